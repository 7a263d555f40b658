//! `if` on what is computed: only the arm that is taken is.
//!
//! Both arms have been walked into the graph at hand. What only an arm needs is taken out again, as
//! the step of a loop that the condition lets happen once or not at all. So there is one thing that
//! may be left out, with the derivatives and lanes of loops. Where both arms are next to nothing
//! they are computed, and selected, and so are their derivatives where they come out of an arm.

use super::{Eval, Level, Walk};
use crate::diag::Span;
use crate::graph::ops::Scan;
use crate::graph::ops::elementwise::Partial;
use crate::graph::{Dim, Graph, MapOp, NodeId, Op, TensorType};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Elements of a tensor that are as good as one.
const FEW: i64 = 64;

impl<'w> Walk<'w> {
    /// The first of each pair where the mask is true, else the second. What only they need was made
    /// from node number `start` on.
    pub(super) fn taken(
        &mut self,
        mask: NodeId,
        pairs: &[(NodeId, NodeId)],
        start: usize,
        span: Span,
    ) -> Eval<Vec<NodeId>> {
        let (first, second): (Vec<NodeId>, Vec<NodeId>) = pairs.iter().copied().unzip();
        let graph = &self.level().graph;
        let cheap = |arm: &[NodeId]| {
            inside(graph, arm, start).into_iter().all(|node| is_cheap(graph, node))
        };
        // The lanes of an index are computed together: both arms would be.
        if pairs.is_empty() || self.in_comprehension() || cheap(&first) && cheap(&second) {
            let first = self.passing_where(mask, true, &first, start, span)?;
            let second = self.passing_where(mask, false, &second, start, span)?;
            let mut nodes = Vec::with_capacity(pairs.len());
            for (x, y) in first.into_iter().zip(second) {
                let shape = self.node_ty(x).shape.clone();
                let mask = self.stretch(mask, &shape, span)?;
                nodes.push(self.add(Op::Map(MapOp::Select), &[mask, x, y], span)?);
            }
            return Ok(nodes);
        }
        let other = self.add(Op::Map(MapOp::Not), &[mask], span)?;
        // An arm that is there already needs nothing to be left out.
        let outside =
            |walk: &Self, arm: &[NodeId]| inside(&walk.level().graph, arm, start).is_empty();
        if outside(self, &second) {
            return self.perhaps(mask, &second, &first, start, span);
        }
        let before = match outside(self, &first) {
            true => first,
            false => {
                let mut zeros = Vec::with_capacity(first.len());
                for &node in &first {
                    let ty = self.node_ty(node).clone();
                    zeros.push(self.zeros(&ty, span)?);
                }
                self.perhaps(mask, &zeros, &first, start, span)?
            }
        };
        self.perhaps(other, &before, &second, start, span)
    }

    /// The nodes of an arm, made of operands through which derivatives pass only where the mask is
    /// as it is when the arm is taken, and indices are in range. What an arm that is not taken does
    /// to a derivative is not undone by a cotangent of 0: the slope of `sqrt` at 0 is infinite, and
    /// infinity times 0 is no number.
    fn passing_where(
        &mut self,
        mask: NodeId,
        taken: bool,
        arm: &[NodeId],
        start: usize,
        span: Span,
    ) -> Eval<Vec<NodeId>> {
        let own = inside(&self.level().graph, arm, start);
        if own.iter().all(|&node| has_no_slope(self.level().graph.op(node))) {
            return Ok(arm.to_vec());
        }
        let mut map: FxHashMap<NodeId, NodeId> = FxHashMap::default();
        for &node in &own {
            let mut operands = self.level().graph.operands(node).to_vec();
            for operand in &mut operands {
                let copy = match map.get(operand) {
                    Some(&copy) => copy,
                    None => self.passing(mask, taken, *operand, span)?,
                };
                map.insert(*operand, copy);
                *operand = copy;
            }
            if let Op::CheckIndex(_) = self.level().graph.op(node) {
                operands[0] = self.used(mask, taken, operands[0], span)?;
            }
            let Level { graph, origins, .. } = self.level_mut();
            let (op, origin) = (graph.op(node).clone(), graph.node(node).origin);
            let copy = graph.add(op, &operands, origin);
            let copy = copy.expect("a copy has the types of the original");
            for axis in 0..graph.ty(copy).rank() {
                if let Some(source) = origins.get(&(node, axis)).cloned() {
                    origins.insert((copy, axis), source);
                }
            }
            map.insert(node, copy);
        }
        Ok(arm.iter().map(|node| map.get(node).copied().unwrap_or(*node)).collect())
    }

    /// An index where the mask is `taken`, and 0 elsewhere, where it may be out of range.
    fn used(&mut self, mask: NodeId, taken: bool, index: NodeId, span: Span) -> Eval<NodeId> {
        let ty = self.node_ty(index).clone();
        let mask = self.stretch(mask, &ty.shape, span)?;
        let zeros = self.zeros(&ty, span)?;
        let (x, y) = if taken { (index, zeros) } else { (zeros, index) };
        self.add(Op::Map(MapOp::Select), &[mask, x, y], span)
    }

    /// A node itself; derivatives pass where the mask is `taken`.
    fn passing(&mut self, mask: NodeId, taken: bool, node: NodeId, span: Span) -> Eval<NodeId> {
        let ty = self.node_ty(node).clone();
        if !ty.dtype.is_float() {
            return Ok(node);
        }
        let mask = self.stretch(mask, &ty.shape, span)?;
        let still = self.add(Op::Map(MapOp::StopGradient), &[node], span)?;
        let (x, y) = if taken { (node, still) } else { (still, node) };
        self.add(Op::Map(MapOp::Select), &[mask, x, y], span)
    }

    /// The nodes of an arm where the gate is true, otherwise those from before.
    fn perhaps(
        &mut self,
        gate: NodeId,
        before: &[NodeId],
        arm: &[NodeId],
        start: usize,
        span: Span,
    ) -> Eval<Vec<NodeId>> {
        let graph = &self.level().graph;
        let mut step = Graph::new();
        let mut operands: Vec<NodeId> = Vec::new();
        for (number, &node) in before.iter().enumerate() {
            let node_ty: TensorType = graph.ty(node).clone();
            step.add_input(format!("state.{number}"), node_ty, graph.node(node).origin);
            operands.push(node);
        }
        let mut map: FxHashMap<NodeId, NodeId> = FxHashMap::default();
        let own = inside(graph, arm, start);
        let taken = own.iter().flat_map(|&node| graph.operands(node)).chain(arm.iter().copied());
        let mut taken: Vec<NodeId> =
            taken.filter(|node| own.binary_search(node).is_err()).collect();
        taken.sort_unstable();
        taken.dedup();
        for node in taken {
            let (name, origin) = (format!("whole.{}", operands.len()), graph.node(node).origin);
            map.insert(node, step.add_input(name, graph.ty(node).clone(), origin));
            operands.push(node);
        }
        for node in own {
            let inner: Vec<NodeId> = graph.operands(node).iter().map(|o| map[o]).collect();
            let copy = step.add(graph.op(node).clone(), &inner, graph.node(node).origin);
            map.insert(node, copy.expect("a copy has the types of the original"));
        }
        for (number, node) in arm.iter().enumerate() {
            step.add_output(format!("state.{number}"), map[node]);
        }
        operands.push(gate);
        let scan = Scan {
            step: Arc::new(step),
            count: Dim::Const(1),
            carried: before.len(),
            sliced: 0,
            reverse: false,
            result: 0,
            gated: true,
            until: None,
        };
        let mut results = Vec::with_capacity(arm.len());
        for number in 0..arm.len() {
            results.push(self.add(Op::Scan(scan.with_result(number)), &operands, span)?);
        }
        Ok(results)
    }
}

/// The nodes that some nodes need, themselves too, from number `start` on: in order. What reads a
/// graph around is not among them.
fn inside(graph: &Graph, needed: &[NodeId], start: usize) -> Vec<NodeId> {
    let mut wanted = vec![false; graph.len()];
    needed.iter().for_each(|node| wanted[node.index()] = true);
    let mut all = Vec::new();
    for node in (start..graph.len()).rev().map(NodeId::from_index) {
        if wanted[node.index()] && !matches!(graph.op(node), Op::Input(_)) {
            graph.operands(node).iter().for_each(|o| wanted[o.index()] = true);
            all.push(node);
        }
    }
    all.reverse();
    all
}

/// Whether a derivative goes through an operation unchanged, or chosen from: what is multiplied by
/// nothing cannot be multiplied by what is infinite.
fn has_no_slope(op: &Op) -> bool {
    match op {
        Op::Map(map) => !map.row().partials.iter().any(|p| matches!(p, Partial::Times(_))),
        Op::Convert(_) => true,
        op => computes_nothing(op),
    }
}

/// Whether elements are known, or those of the operand in other places.
fn computes_nothing(op: &Op) -> bool {
    matches!(
        op,
        Op::Const(_)
            | Op::Literal(_)
            | Op::Size(..)
            | Op::Iota { .. }
            | Op::Reshape(_)
            | Op::Transpose(_)
            | Op::Broadcast { .. }
            | Op::Slice { .. }
    )
}

/// Whether to compute a node is no more than to leave it out.
fn is_cheap(graph: &Graph, node: NodeId) -> bool {
    let ty = graph.ty(node);
    let few = ty.elements().known().is_some_and(|n| n <= FEW);
    match graph.op(node) {
        Op::Map(_) | Op::Convert(_) => few,
        op => computes_nothing(op),
    }
}
