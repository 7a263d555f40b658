//! The last stage of a row and the stage before it, of the next row, in one pass.
//!
//! A map at the end of a row does little but store; the fold before it (a sum of exponentials) does
//! much and stores nothing that leaves the cache. One after the other, memory waits for arithmetic
//! and arithmetic for memory. Together, the map of one row beside the fold of the next, both are
//! busy, and the scalar that ends a fold has time to come about.
//!
//! Rows are independent, so only what they share has to be looked at: buffers that hold one row.
//! The map may read one that the fold stores to, at the same lane; it does so first.
//!
//! Neighbours: `join` has bodies after one another; `codegen` writes the rows around the pass.

use super::join::weave_parts;
use super::weave::Part;
use crate::kernel::walk::Walk;
use crate::kernel::{Access, Body, BufferId, Fold, Nest, Place, Program, RowValue, Stage};

/// The pass over two rows of a nest, if its last two stages allow it. Its outer axes are those of
/// the nest twice, for the row before and for this row; so are its row values: all those of the
/// row before, then those that earlier stages of this row have.
pub fn overlap(program: &Program, nest: &Nest) -> Option<Stage> {
    let [earlier @ .., fold, map] = &nest.stages[..] else { return None };
    let Fold::AcrossLanes(finish) = &fold.fold else { return None };
    let alike = fold.reduce.is_empty() && map.reduce.is_empty() && fold.lanes == map.lanes;
    if !alike || map.fold != Fold::None || !in_step(program, earlier, fold, finish, &map.body) {
        return None;
    }
    let yields = |stage: &Stage| match &stage.fold {
        Fold::AcrossLanes(finish) => finish.program.yields.len(),
        Fold::None | Fold::PerLane(_) => 0,
    };
    let values: usize = nest.stages.iter().map(yields).sum();
    let this_row = |body: &Body| {
        let later = |value: &RowValue| RowValue(value.0 + values as u32);
        Body { params: body.params.iter().map(later).collect(), ..body.clone() }
    };
    let (body, finish) = (this_row(&fold.body), this_row(finish));
    let outer = nest.outer.len();
    let [before, here] = [&map.body, &body].map(|body| (body, outer));
    let body = weave_parts(&[&of_row(before, 0), &of_row(here, outer)], false);
    let finish = weave_parts(&[&of_row((&finish, outer), outer)], false);
    Some(Stage { body, fold: Fold::AcrossLanes(finish), ..fold.clone() })
}

/// An access of a row, over the axes of two: the row's begin at `at`.
pub fn access_of_row(access: &Access, outer: usize, at: usize) -> Access {
    let (rows, inner) = access.strides.split_at(outer);
    let mut strides = Walk::still(2 * outer).strides;
    strides[at..at + outer].copy_from_slice(rows);
    strides.extend_from_slice(inner);
    Access { strides: strides.iter().copied().collect(), ..access.clone() }
}

/// A body without reduce axes in the space of two rows; its row's axes begin at `at`.
fn of_row((body, outer): (&Body, usize), at: usize) -> Part<'_> {
    let position = |axis: usize| {
        let mut walk = Walk::still(2 * outer + 1);
        walk.strides[if axis < outer { at + axis } else { 2 * outer }] = 1;
        Some(walk)
    };
    let accesses = body.slots.iter().map(|access| access_of_row(access, outer, at));
    Part { body, accesses: accesses.collect(), positions: (0..=outer).map(position).collect() }
}

/// Whether the map of a row may run beside the fold of the next.
fn in_step(program: &Program, earlier: &[Stage], fold: &Stage, finish: &Body, map: &Body) -> bool {
    let in_row = |id: BufferId| program.buffers[id.0 as usize].place == Place::Row;
    let touched = |bodies: &[&Body], id: BufferId| {
        bodies.iter().flat_map(|body| &body.slots).any(|access| access.buffer == id)
    };
    let before: Vec<&Body> = earlier.iter().flat_map(Stage::bodies).collect();
    let apart =
        |access: &Access| !in_row(access.buffer) && !touched(&[&fold.body, finish], access.buffer);
    let handed_on = |access: &Access| {
        let id = access.buffer;
        let of_fold = || fold.body.slots.iter().filter(|other| other.buffer == id);
        !in_row(id)
            || access.strides.last() == Some(&1)
                && access.gather.is_none()
                && of_fold().all(|other| other == access)
                && fold.body.stores().any(|other| other == access)
                && of_fold().count() == 1
                && !touched(&before, id)
    };
    let finish_in_row = finish.slots.iter().any(|access| in_row(access.buffer));
    map.stores().all(apart) && map.slots.iter().all(handed_on) && !finish_in_row
}
