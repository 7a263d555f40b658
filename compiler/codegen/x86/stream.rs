//! Memory that the caches should not wait for, or not keep: rows fetched ahead, stores that go past
//! the caches.
//!
//! Neither changes a result. What is fetched is one of the next rows of what a stage of this row
//! reads for the second time: the processor follows a stream of its own accord, but not beyond a
//! page, and not while the first stage of a row is all that reads it. Stores go past the caches
//! where a result is larger than they are and no kernel of the program reads it again: a line that
//! is written whole need not be read before.
//!
//! Neighbours: `nest` emits the rows once with such stores and once without; `stage` the
//! prefetches.

use super::asm::{Alu, Assembler, Condition, Gpr, Label, Mem};
use super::frame::frame;
use crate::kernel::{self, Access, Body, BufferId, LANE_BLOCK, Place, Program, Stage, Work};
use crate::vector::{Inst, Stride};

/// Bytes of a cache line: what the stores of a group of lanes fill.
const LINE: i64 = 64;
/// Bytes of a row that is worth fetching, and that leaves room in the nearest cache.
const ROW: std::ops::RangeInclusive<i64> = 256..=16 << 10;
/// Bytes that are fetched ahead, if a row has fewer: a short row is over before the next one could
/// arrive.
const AHEAD: i64 = 8 << 10;

/// The results of at least `bytes` that the nest stores past the caches, if they lie at a line and
/// are not written in place.
pub(super) fn streamed(program: &Program, nest: &kernel::Nest, bytes: usize) -> Vec<BufferId> {
    let stored = nest.stages.iter().flat_map(Stage::bodies).flat_map(Body::stores);
    let large = stored.map(|access| access.buffer).filter(|&id| is_large(program, id, bytes));
    let mut found: Vec<BufferId> = large.collect();
    found.sort_unstable_by_key(|buffer| buffer.0);
    found.dedup();
    found.retain(|&buffer| {
        program.kernels.iter().all(|kernel| {
            let bodies = kernel.work.bodies();
            let whole = bodies.into_iter().all(|body| whole_lines(program, body, buffer));
            let read = match &kernel.work {
                Work::Product(product) => product.reads().any(|access| access.buffer == buffer),
                Work::Nest(_) | Work::Call(_) | Work::Repeat(_) => false,
            };
            whole && !read
        })
    });
    found
}

fn is_large(program: &Program, id: BufferId, bytes: usize) -> bool {
    let buffer = &program.buffers[id.0 as usize];
    let size = buffer.dtype.size();
    matches!(buffer.place, Place::Output(_)) && size >= 4 && buffer.elements * size >= bytes
}

/// Whether a body does nothing with a buffer but store whole rows that begin at lines.
fn whole_lines(program: &Program, body: &Body, id: BufferId) -> bool {
    let size = program.buffers[id.0 as usize].dtype.size() as i64;
    let at_line = |elements: i64| (elements * size) % LINE == 0;
    body.slots.iter().zip(&body.program.slots).enumerate().all(|(i, (access, decl))| {
        let stored = |inst: &Inst| matches!(inst, Inst::Store(slot, _) if slot.0 as usize == i);
        access.buffer != id
            || decl.stride == Stride::Unit
                && body.program.insts.iter().any(stored)
                && at_line(access.offset)
                && access
                    .strides
                    .split_last()
                    .is_some_and(|(_, axes)| axes.iter().all(|&s| at_line(s)))
    })
}

/// Jumps to `plain` unless every buffer lies at a line, and apart from the input that it may
/// replace. `table` is the table of buffers in the frame; uses `rax` and `rcx`.
pub(super) fn check(
    a: &mut Assembler,
    program: &Program,
    streamed: &[BufferId],
    table: i32,
    plain: Label,
) {
    const { assert!((LANE_BLOCK * 4).is_multiple_of(LINE as usize), "blocks of lanes begin at lines") };
    let pointer = |a: &mut Assembler, to: Gpr, buffer: BufferId| {
        let entry = i32::try_from(8 * buffer.0 as usize).expect("fewer than 2^28 buffers");
        a.load(to, frame(table), 8);
        a.load(to, Mem::at(to).plus(entry), 8);
    };
    for &buffer in streamed {
        let Place::Output(output) = program.buffers[buffer.0 as usize].place else {
            unreachable!("only results are streamed");
        };
        for &(input, _) in program.plan.donations.iter().filter(|&&(_, to)| to == output) {
            pointer(a, Gpr::RAX, buffer);
            pointer(a, Gpr::RCX, program.inputs[input as usize]);
            a.alu(Alu::Cmp, Gpr::RAX, Gpr::RCX);
            a.jump_if(Condition::Equal, plain);
        }
        pointer(a, Gpr::RAX, buffer);
        a.alu_imm(Alu::And, Gpr::RAX, LINE as i32 - 1);
        a.jump_if(Condition::NotEqual, plain);
    }
}

/// What a stage fetches for a later row.
#[derive(Clone, Copy)]
pub(super) struct Fetch {
    pub slot: u32,
    /// Bytes from a row to the next.
    pub row: i32,
    /// How many rows ahead.
    pub rows: i32,
}

/// All that a stage fetches.
pub(super) type Fetches = Vec<Fetch>;

/// The fetches of each stage of a nest.
pub(super) fn fetches(program: &Program, nest: &kernel::Nest) -> Vec<Fetches> {
    let mut all = vec![Vec::new(); nest.stages.len()];
    let Some(axis) = nest.outer.iter().rposition(|&extent| extent > 1) else { return all };
    for (first, stage) in nest.stages.iter().enumerate() {
        for access in rows_read(stage) {
            let size = program.buffers[access.buffer.0 as usize].dtype.size() as i64;
            let step = access.strides[axis] * size;
            let row = stage.lanes as i64 * size;
            let known = nest.stages[..first].iter().any(|s| rows_read(s).any(|a| a == access));
            if known || step == 0 || !ROW.contains(&row) {
                continue;
            }
            // The longest of the stages that read it again has the most time.
            let again = nest.stages.iter().enumerate().skip(first + 1);
            let longest = again
                .filter_map(|(at, s)| Some((s.body.program.insts.len(), at, slot_of(s, access)?)))
                .max();
            let rows = (AHEAD / row).max(1);
            // One row more where rows overlap, and what is in a row.
            let reach = step.saturating_mul(rows + 2);
            if let (Some((_, at, slot)), Ok(_)) = (longest, i32::try_from(reach)) {
                all[at].push(Fetch { slot, row: step as i32, rows: rows as i32 });
            }
        }
    }
    all
}

/// The rows of consecutive elements that a stage reads once.
fn rows_read(stage: &Stage) -> impl Iterator<Item = &Access> {
    let once = stage.reduce.iter().all(|&n| n == 1);
    let body = &stage.body;
    let loads = body.program.insts.iter().filter_map(|inst| match inst {
        Inst::Load(slot) => Some(slot.0 as usize),
        _ => None,
    });
    loads
        .filter(move |&slot| once && body.program.slots[slot].stride == Stride::Unit)
        .map(|slot| &body.slots[slot])
}

/// The slot by which a stage reads those elements too.
fn slot_of(stage: &Stage, access: &Access) -> Option<u32> {
    rows_read(stage).any(|a| a == access).then(|| {
        let slot = stage.body.slots.iter().position(|a| a == access);
        slot.expect("it is read") as u32
    })
}
