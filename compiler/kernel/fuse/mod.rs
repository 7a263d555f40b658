//! Fusion: kernels that may become one, do.
//!
//! The e-graph has decided which elementwise work is recomputed and which is stored. What is left
//! is to join kernels that touch the same elements one after another:
//!
//! - **append**: a map whose points are those of a body that makes one of its operands joins that
//!   body: the epilogue of a product, the finish of a reduction, another map;
//! - **prepend**: a map joins the body of the reduction that consumes it;
//! - **pack**: a map whose result is an operand of one product becomes its prologue;
//! - **rows**: a map or a reduction over rows joins the nest that goes over the same rows before
//!   it, as one more stage; so softmax, log-sum-exp and layer norm become one nest.
//!
//! Each join is legal by the accesses alone: what is handed on is proved to be the same element at
//! the same point, and no kernel that depends on the first may feed the second. Afterwards `sweep`
//! removes what nobody reads any more. `overlap` has the code generator join two stages of
//! neighbouring rows.

mod bounds;
mod join;
mod overlap;
mod respace;
mod rows;
mod sweep;
mod weave;

pub use overlap::{access_of_row, overlap};

use super::touch::{stage_extents, touches};
use super::walk::points;
use super::{BufferId, Fold, Kernel, Place, Program, Work};
use crate::vector::Inst;
use rustc_hash::FxHashSet;
use std::fmt;

/// One join, for `explain`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Note {
    /// The name of the kernel that came first.
    pub host: String,
    /// The name of the one that joined it.
    pub guest: String,
    /// What happened and what it saves, in one sentence.
    pub why: String,
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} + {}: {}", self.host, self.guest, self.why)
    }
}

/// Joins kernels. The program must not be planned yet.
pub fn fuse(program: Program) -> Program {
    explained(program).0
}

/// The same, with a note on every join.
pub fn explained(mut program: Program) -> (Program, Vec<Note>) {
    let mut notes = Vec::new();
    for kernel in &mut program.kernels {
        if let Work::Repeat(repeat) = &mut kernel.work {
            let (step, inside) = explained(std::mem::take(&mut repeat.step));
            *repeat.step = step;
            notes.extend(inside);
        }
    }
    let mut at = 0;
    while at < program.kernels.len() {
        match partner(&program, at) {
            Some((guest, kernel, why)) => {
                let host = program.kernels[at].name.clone();
                let name = program.kernels[guest].name.clone();
                notes.push(Note { host, guest: name, why });
                replace(&mut program, at, guest, kernel);
            }
            None => at += 1,
        }
    }
    sweep::sweep(&mut program);
    for kernel in &mut program.kernels {
        if let Work::Nest(nest) = &mut kernel.work {
            bounds::relax(nest);
        }
    }
    (program, notes)
}

/// The first later kernel that can join the one at `host`, with the joint kernel and the reason.
fn partner(program: &Program, host: usize) -> Option<(usize, Kernel, String)> {
    let kernels = &program.kernels;
    let (reads, writes) = sets(&kernels[host]);
    for guest in host + 1..kernels.len() {
        let (guest_reads, guest_writes) = sets(&kernels[guest]);
        let related = |b: &BufferId| writes.contains(b) || reads.contains(b);
        // Parts of one buffer keep their order, and a nest writes a buffer in one place.
        if !guest_reads.iter().any(related)
            || !guest_writes.is_disjoint(&writes)
            || between(kernels, host, guest).is_none()
        {
            continue;
        }
        let pair = Pair { program, host: &kernels[host], guest: &kernels[guest] };
        if pair.wastes_lanes() {
            continue;
        }
        let joined = join::append(&pair)
            .or_else(|| join::prepend(&pair))
            .or_else(|| rows::join(&pair))
            .or_else(|| join::pack(&pair));
        if let Some((mut kernel, why)) = joined {
            kernel.name = joint_name(&pair.host.name, &pair.guest.name);
            kernel.after = after(&kernel, &pair);
            kernel.origins = pair.host.origins.clone();
            for &origin in &pair.guest.origins {
                if !kernel.origins.contains(&origin) {
                    kernel.origins.push(origin);
                }
            }
            return Some((guest, kernel, why));
        }
    }
    None
}

/// What two kernels are after together: not what they write themselves.
fn after(kernel: &Kernel, pair: &Pair<'_>) -> Vec<BufferId> {
    let parts = [&pair.host.after, &pair.guest.after];
    if parts.iter().all(|part| part.is_empty()) {
        return Vec::new();
    }
    let (_, writes) = sets(kernel);
    let mut after: Vec<BufferId> = parts.into_iter().flatten().copied().collect();
    after.sort_unstable();
    after.dedup();
    after.retain(|buffer| !writes.contains(buffer));
    after
}

/// Two kernels that may become one.
struct Pair<'p> {
    program: &'p Program,
    host: &'p Kernel,
    guest: &'p Kernel,
}

impl Pair<'_> {
    /// Whether nobody but the pair needs what the buffer holds.
    fn private(&self, buffer: BufferId) -> bool {
        let apart = |k: &&Kernel| !std::ptr::eq(*k, self.host) && !std::ptr::eq(*k, self.guest);
        let mut others = self.program.kernels.iter().filter(apart);
        matches!(self.program.buffers[buffer.0 as usize].place, Place::Arena)
            && others.all(|k| touches(k).iter().all(|t| t.buffer != buffer))
    }
}

/// Arithmetic of one point that is better done on a vector of rows than row by row.
const HEAVY: usize = 12;
/// Rows from which on it is.
const MANY_ROWS: usize = 16;

impl Pair<'_> {
    /// Whether the guest would do much for each row of the host, one lane of a vector at a time,
    /// and no pass over the same rows waits for it.
    fn wastes_lanes(&self) -> bool {
        let Work::Nest(host) = &self.host.work else { return false };
        let Some((nest, stage)) = join::as_map(self.guest) else { return false };
        let rows = points(&host.outer);
        let folds = host.stages.iter().any(|s| matches!(s.fold, Fold::AcrossLanes(_)));
        if !folds || rows < MANY_ROWS || points(&stage_extents(nest, stage)) != rows {
            return false;
        }
        let free = |i: &Inst| matches!(i, Inst::Const(_) | Inst::Load(_) | Inst::Store(..));
        let made: Vec<BufferId> = stage.body.stores().map(|a| a.buffer).collect();
        let waits = |k: &Kernel| match &k.work {
            Work::Nest(nest) => {
                points(&nest.outer) == rows
                    && nest.stages.iter().any(|s| s.lanes > 1)
                    && touches(k).iter().any(|t| !t.writes && made.contains(&t.buffer))
            }
            Work::Product(_) | Work::Call(_) | Work::Repeat(_) => false,
        };
        stage.body.program.insts.iter().filter(|i| !free(i)).count() > HEAVY
            && !self.program.kernels.iter().any(waits)
    }
}

/// The longest name a kernel gets by joining.
const LONGEST_NAME: usize = 48;

fn joint_name(host: &str, guest: &str) -> String {
    let name = format!("{host}_{guest}");
    if name.len() <= LONGEST_NAME {
        return name;
    }
    match host.strip_suffix("_etc") {
        Some(_) => host.to_owned(),
        None => format!("{host}_etc"),
    }
}

/// The buffers a kernel reads and those it writes.
fn sets(kernel: &Kernel) -> (FxHashSet<BufferId>, FxHashSet<BufferId>) {
    let (mut reads, mut writes) = (FxHashSet::default(), FxHashSet::default());
    for touch in touches(kernel) {
        if touch.writes { &mut writes } else { &mut reads }.insert(touch.buffer);
    }
    (reads, writes)
}

/// Which kernels strictly between the two depend on the first; `None` where the second depends on
/// one of those, so that the two cannot be one.
fn between(kernels: &[Kernel], host: usize, guest: usize) -> Option<Vec<bool>> {
    let (mut reads, mut writes) = sets(&kernels[host]);
    let mut after = Vec::new();
    // Reads and writes grow with every kernel that has to stay behind the first.
    let depends = |k: &Kernel, reads: &FxHashSet<BufferId>, writes: &FxHashSet<BufferId>| {
        touches(k)
            .iter()
            .any(|t| writes.contains(&t.buffer) || (t.writes && reads.contains(&t.buffer)))
    };
    let (mut later_reads, mut later_writes) = (FxHashSet::default(), FxHashSet::default());
    for kernel in &kernels[host + 1..guest] {
        let stays = depends(kernel, &reads, &writes);
        if stays {
            let (r, w) = sets(kernel);
            reads.extend(&r);
            writes.extend(&w);
            later_reads.extend(r);
            later_writes.extend(w);
        }
        after.push(stays);
    }
    (!depends(&kernels[guest], &later_reads, &later_writes)).then_some(after)
}

/// Puts the joint kernel where all that either part needs has run.
fn replace(program: &mut Program, host: usize, guest: usize, kernel: Kernel) {
    let after = between(&program.kernels, host, guest).expect("the pair may be joined");
    let mut middle: Vec<Kernel> = program.kernels.drain(host..=guest).collect();
    middle.pop();
    middle.remove(0);
    let mut later = Vec::new();
    let mut sorted = Vec::new();
    for (kernel, stays) in middle.into_iter().zip(after) {
        if stays { later.push(kernel) } else { sorted.push(kernel) }
    }
    sorted.push(kernel);
    sorted.extend(later);
    program.kernels.splice(host..host, sorted);
}
