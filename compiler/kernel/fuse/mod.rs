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
    let mut index = Index::new(&program);
    let mut at = 0;
    while at < program.kernels.len() {
        match partner(&program, &index, at) {
            Some((guest, kernel, why)) => {
                let host = program.kernels[at].name.clone();
                let name = program.kernels[guest].name.clone();
                notes.push(Note { host, guest: name, why });
                replace(&mut program, &mut index, at, guest, kernel);
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

/// Instructions of a kernel up to which others join it: each join writes all of them anew.
const LARGEST: usize = 4096;

/// The first later kernel that can join the one at `host`, with the joint kernel and the reason.
fn partner(program: &Program, index: &Index, host: usize) -> Option<(usize, Kernel, String)> {
    let kernels = &program.kernels;
    let own = &index.uses[host];
    let mut behind = Behind::new(own);
    for guest in host + 1..kernels.len() {
        let uses = &index.uses[guest];
        let related = |&b: &BufferId| own.touches(b);
        // Parts of one buffer keep their order, and a nest writes a buffer in one place.
        let may_join = uses.reads.iter().any(related)
            && !uses.writes.iter().any(|&b| own.writes(b))
            && own.insts + uses.insts <= LARGEST
            && !behind.feeds(uses);
        behind.meet(uses);
        if !may_join {
            continue;
        }
        let (first, second) = (&kernels[host], &kernels[guest]);
        let pair = Pair { program, index, host: first, guest: second, uses: [own, uses] };
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
    let uses = Uses::of(kernel);
    let mut after: Vec<BufferId> = parts.into_iter().flatten().copied().collect();
    after.sort_unstable();
    after.dedup();
    after.retain(|&buffer| !uses.writes(buffer));
    after
}

/// Two kernels that may become one.
struct Pair<'p> {
    program: &'p Program,
    index: &'p Index,
    host: &'p Kernel,
    guest: &'p Kernel,
    /// What the two do to memory.
    uses: [&'p Uses; 2],
}

impl Pair<'_> {
    /// Whether nobody but the pair needs what the buffer holds.
    fn private(&self, buffer: BufferId) -> bool {
        let ours = self.uses.iter().filter(|uses| uses.touches(buffer)).count();
        matches!(self.program.buffers[buffer.0 as usize].place, Place::Arena)
            && self.index.touching[buffer.0 as usize] == ours
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

/// What a kernel does to memory: buffers in ascending order.
#[derive(Default)]
struct Uses {
    reads: Vec<BufferId>,
    writes: Vec<BufferId>,
    /// Instructions of its bodies.
    insts: usize,
}

impl Uses {
    fn of(kernel: &Kernel) -> Uses {
        let mut uses = Uses::default();
        for touch in touches(kernel) {
            if touch.writes { &mut uses.writes } else { &mut uses.reads }.push(touch.buffer);
        }
        for buffers in [&mut uses.reads, &mut uses.writes] {
            buffers.sort_unstable();
            buffers.dedup();
        }
        uses.insts = kernel.work.bodies().iter().map(|body| body.program.insts.len()).sum();
        uses
    }

    fn reads(&self, buffer: BufferId) -> bool {
        self.reads.binary_search(&buffer).is_ok()
    }

    fn writes(&self, buffer: BufferId) -> bool {
        self.writes.binary_search(&buffer).is_ok()
    }

    fn touches(&self, buffer: BufferId) -> bool {
        self.reads(buffer) || self.writes(buffer)
    }

    /// Every buffer, once.
    fn all(&self) -> impl Iterator<Item = BufferId> {
        let only_written = self.writes.iter().filter(|&&b| !self.reads(b));
        self.reads.iter().chain(only_written).copied()
    }
}

/// The uses of each kernel of a program, kept while kernels join.
struct Index {
    uses: Vec<Uses>,
    /// How many kernels touch each buffer.
    touching: Vec<usize>,
}

impl Index {
    fn new(program: &Program) -> Index {
        let uses: Vec<Uses> = program.kernels.iter().map(Uses::of).collect();
        let mut touching = vec![0; program.buffers.len()];
        uses.iter().flat_map(Uses::all).for_each(|b| touching[b.0 as usize] += 1);
        Index { uses, touching }
    }
}

/// What the kernels touch that have to stay behind a host: those that depend on it, or on one of
/// these.
struct Behind<'u> {
    host: &'u Uses,
    reads: FxHashSet<BufferId>,
    writes: FxHashSet<BufferId>,
}

impl<'u> Behind<'u> {
    fn new(host: &'u Uses) -> Behind<'u> {
        Behind { host, reads: FxHashSet::default(), writes: FxHashSet::default() }
    }

    /// Whether the kernel depends on one that stays behind, and so cannot join the host.
    fn feeds(&self, uses: &Uses) -> bool {
        depends(uses, |b| self.reads.contains(&b), |b| self.writes.contains(&b))
    }

    /// Whether the kernel, the next one, stays behind.
    fn meet(&mut self, uses: &Uses) -> bool {
        let of_host = || depends(uses, |b| self.host.reads(b), |b| self.host.writes(b));
        let stays = self.feeds(uses) || of_host();
        if stays {
            self.reads.extend(&uses.reads);
            self.writes.extend(&uses.writes);
        }
        stays
    }
}

/// Whether a kernel comes after others with these reads and writes.
fn depends(
    uses: &Uses,
    reads: impl Fn(BufferId) -> bool,
    writes: impl Fn(BufferId) -> bool,
) -> bool {
    uses.reads.iter().chain(&uses.writes).any(|&b| writes(b))
        || uses.writes.iter().any(|&b| reads(b))
}

/// Puts the joint kernel where all that either part needs has run.
fn replace(program: &mut Program, index: &mut Index, host: usize, guest: usize, kernel: Kernel) {
    let mut middle: Vec<(Kernel, Uses)> =
        program.kernels.drain(host..=guest).zip(index.uses.drain(host..=guest)).collect();
    let parts = [middle.remove(0), middle.pop().expect("the guest is another kernel")];
    let joint = Uses::of(&kernel);
    for buffer in parts.iter().flat_map(|(_, uses)| uses.all()) {
        index.touching[buffer.0 as usize] -= 1;
    }
    for buffer in joint.all() {
        index.touching[buffer.0 as usize] += 1;
    }
    let mut behind = Behind::new(&parts[0].1);
    let (later, mut sorted): (Vec<_>, Vec<_>) =
        middle.into_iter().partition(|(_, uses)| behind.meet(uses));
    sorted.push((kernel, joint));
    let (kernels, uses): (Vec<Kernel>, Vec<Uses>) = sorted.into_iter().chain(later).unzip();
    program.kernels.splice(host..host, kernels);
    index.uses.splice(host..host, uses);
}
