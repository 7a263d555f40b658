//! Reductions whose lanes could run along results, if an operand were turned over.
//!
//! Where each row of one operand meets each row of another one (distances of all pairs), the
//! reduced axis is the only one along which both have neighbours: lanes along it fold every pair
//! across lanes, which takes longer than its few elements. So the operand that many rows meet again
//! is copied with its results' axis innermost; each lane then folds a result of its own.

use super::Lowering;
use super::nest::Loop;
use super::scribe::Read;
use super::view::{Base, View};
use crate::kernel::Place;
use crate::kernel::walk::{Walk, met, points};

/// Elements of a reduced axis beyond which folding across lanes is little beside it.
const LONG: usize = 512;

/// Results that lanes run along, at least.
const LANES: usize = 32;

/// How often each element of a copy is read, at least.
const READ_AGAIN: usize = 16;

impl Lowering<'_> {
    /// The operands of a reduction, some of them turned over, where that is worth it.
    pub(super) fn turned(&mut self, work: &Loop<'_>) -> Option<Vec<Read>> {
        let lane = lane(work)?;
        let turn = |read: &Read| match far(read, lane) {
            true => self.turn(work, read, lane),
            false => read.clone(),
        };
        Some(work.reads.iter().map(turn).collect())
    }

    /// An operand with its elements along an axis side by side.
    fn turn(&mut self, work: &Loop<'_>, read: &Read, lane: usize) -> Read {
        let others = (0..work.space.len()).filter(|&a| a != lane && read.walk.strides[a] != 0);
        let axes: Vec<usize> = others.chain([lane]).collect();
        let shape = axes.iter().map(|&a| work.space[a]).collect();
        let walk = read.walk.select(&axes);
        let view = View { base: read.base, dtype: read.dtype, shape, walk };
        let buffer = self.buffer(view.dtype, view.elements(), Place::Arena);
        self.copy("transpose", &view, buffer);
        let dense = Walk::dense(&view.shape);
        let mut walk = Walk::still(work.space.len());
        for (&axis, stride) in axes.iter().zip(dense.strides) {
            walk.strides[axis] = stride;
        }
        Read { base: Base::Buffer(buffer), dtype: view.dtype, walk }
    }
}

/// The axis of the results along which lanes should run, if operands have to be turned over for it.
fn lane(work: &Loop<'_>) -> Option<usize> {
    let mut reduced = (0..work.space.len()).filter(|&a| work.reduced[a] && work.space[a] > 1);
    let (sum, None) = (reduced.next()?, reduced.next()) else { return None };
    let in_memory = |read: &&Read| matches!(read.base, Base::Buffer(_));
    let across = |read: &Read| matches!(read.walk.strides[sum], 0 | 1);
    if work.space[sum] > LONG || !work.reads.iter().filter(in_memory).all(across) {
        return None;
    }
    let strides = &work.target.walk.strides;
    let lane = (0..work.space.len()).find(|&a| strides[a] == 1 && work.space[a] >= LANES)?;
    let mut turned = work.reads.iter().filter(|read| far(read, lane)).peekable();
    turned.peek()?;
    let elements = |read: &Read| met(&read.walk.strides, &work.space);
    let worth = |read: &Read| elements(read).saturating_mul(READ_AGAIN) <= points(&work.space);
    turned.all(worth).then_some(lane)
}

/// Whether an operand's elements along an axis are in memory, and far apart.
fn far(read: &Read, lane: usize) -> bool {
    matches!(read.base, Base::Buffer(_)) && !matches!(read.walk.strides[lane], 0 | 1)
}
