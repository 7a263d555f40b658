//! Which memory a kernel only reads.
//!
//! Loads from it may move freely and be shared. What may share memory is the plan's decision: arena
//! buffers whose ranges overlap, and an output that takes the place of a donated input.

use crate::kernel::{Body, BufferId, Place, Program, Work};

/// The buffers that one kernel writes.
pub(super) struct Aliases<'a> {
    program: &'a Program,
    written: Vec<BufferId>,
}

impl<'a> Aliases<'a> {
    /// Those of `work`.
    pub fn new(program: &'a Program, work: &Work) -> Aliases<'a> {
        let stored = work.bodies().into_iter().flat_map(Body::stores);
        Aliases { program, written: stored.map(|access| access.buffer).collect() }
    }

    /// Whether nothing writes the buffer's memory while the kernel runs.
    pub fn readonly(&self, buffer: BufferId) -> bool {
        self.written.iter().all(|&other| !overlap(self.program, buffer, other))
    }
}

/// Whether two buffers of a program may share memory.
pub(super) fn overlap(program: &Program, a: BufferId, b: BufferId) -> bool {
    let place = |id: BufferId| &program.buffers[id.0 as usize].place;
    match (place(a), place(b)) {
        _ if a == b => true,
        (Place::Arena, Place::Arena) => match (arena(program, a), arena(program, b)) {
            (Some((start, end)), Some((other_start, other_end))) => {
                start < other_end && other_start < end
            }
            _ => true,
        },
        (&Place::Input(input), &Place::Output(output))
        | (&Place::Output(output), &Place::Input(input)) => {
            program.plan.donations.contains(&(input, output))
        }
        // One input given for two, or one output, is the caller's own business.
        (Place::Input(a), Place::Input(b)) => a == b,
        (Place::Output(a), Place::Output(b)) => a == b,
        // Row buffers may share scratch memory in turn.
        (Place::Row, Place::Row) => true,
        _ => false,
    }
}

fn arena(program: &Program, id: BufferId) -> Option<(usize, usize)> {
    let start = (*program.plan.offsets.get(id.0 as usize)?)?;
    let buffer = &program.buffers[id.0 as usize];
    Some((start, start + buffer.elements * buffer.dtype.size()))
}
