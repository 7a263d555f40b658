//! Operands that hold many values of their kind: what batching rules are written with.
//!
//! A *lane* is one of the values that a batched operand holds along its leading axis. A batching
//! rule gives the operation on every lane, the lanes of the result along its leading axis, without
//! a loop. Operands that are not batched serve all lanes.

use super::{Axes, Op};
use crate::graph::{Builder, Dim, NodeId, Operands};
use smallvec::SmallVec;

/// The operands of an operation, some of them with one more, leading axis.
#[derive(Clone, Copy, Debug)]
pub struct Lanes<'a> {
    /// The operands.
    pub operands: &'a [NodeId],
    /// Which of them are batched; at least one is.
    pub batched: &'a [bool],
    /// The number of lanes: the size of their leading axis.
    pub size: &'a Dim,
}

/// How an operation acts on lanes.
#[derive(Clone, Copy)]
pub enum Batch {
    /// It has no operands, so it is the same for every lane.
    Source,
    /// Element by element: the same operation, an operand that is not batched repeated.
    Pointwise,
    /// A rule of its own.
    Rule(BatchRule),
    /// By the lanes of a step or of some operands: `autodiff` knows, and batches the graph that the
    /// operation holds.
    Step,
}

/// A batching rule: (builder, operation, operands) to the result, lanes along its leading axis.
pub type BatchRule = fn(&Builder<'_>, &Op, &Lanes<'_>) -> NodeId;

impl Lanes<'_> {
    /// An operand with a leading axis of lanes, repeated along it where it is not batched.
    pub fn spread(&self, b: &Builder<'_>, which: usize) -> NodeId {
        let node = self.operands[which];
        if self.batched[which] { node } else { repeated(b, node, self.size) }
    }

    /// Every operand with a leading axis of lanes.
    pub fn all(&self, b: &Builder<'_>) -> Operands {
        (0..self.operands.len()).map(|which| self.spread(b, which)).collect()
    }

    /// The sizes after that of the lanes.
    pub fn dims(&self, sizes: &[Dim]) -> SmallVec<[Dim; 4]> {
        after(self.size.clone(), sizes)
    }
}

impl Batch {
    /// The operation on every lane.
    pub fn apply(self, b: &Builder<'_>, op: &Op, lanes: &Lanes<'_>) -> NodeId {
        match self {
            Batch::Source => unreachable!("{} has no operand that could be batched", op.name()),
            Batch::Pointwise => b.add_op(op.clone(), &lanes.all(b)),
            Batch::Rule(rule) => rule(b, op, lanes),
            Batch::Step => unreachable!("{} is batched with its step", op.name()),
        }
    }
}

/// A node repeated along a new leading axis.
pub fn repeated(b: &Builder<'_>, node: NodeId, size: &Dim) -> NodeId {
    let shape = after(size.clone(), &b.ty(node).shape);
    let to: SmallVec<[usize; 4]> = (1..shape.len()).collect();
    b.broadcast(node, &shape, &to)
}

/// A list with one more element in front: what an attribute of each axis becomes.
pub(super) fn after<T: Clone>(first: T, rest: &[T]) -> SmallVec<[T; 4]>
where
    [T; 4]: smallvec::Array<Item = T>,
{
    std::iter::once(first).chain(rest.iter().cloned()).collect()
}

/// The same axes where there is one more in front.
pub(super) fn shifted(axes: &[u8]) -> Axes {
    axes.iter().map(|axis| axis + 1).collect()
}

/// Moves an axis to the front, the others in order.
pub fn to_front(b: &Builder<'_>, node: NodeId, axis: usize) -> NodeId {
    moved(b, node, axis, 0)
}

/// Moves axis `from` to place `to`, the others in order.
pub fn moved(b: &Builder<'_>, node: NodeId, from: usize, to: usize) -> NodeId {
    let mut perm: SmallVec<[usize; 4]> = (0..b.ty(node).rank()).filter(|&a| a != from).collect();
    perm.insert(to, from);
    b.transpose(node, &perm)
}
