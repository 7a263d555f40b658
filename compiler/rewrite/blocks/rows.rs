//! What a node has to do with the rows of a table: whether its place `i` depends on row `i` only.

use super::{Part, THIN, size};
use crate::graph::fused::ReduceOp;
use crate::graph::ops::Axes;
use crate::graph::{Graph, NodeId, Op};

/// Whether a node is row-wise and computed from the table.
pub(super) fn reads(graph: &Graph, parts: &[Part], node: NodeId, table: NodeId) -> bool {
    let rows = |o: &NodeId| matches!(parts[o.index()], Part::Rows(_));
    let mut seen = vec![false; graph.len()];
    let mut stack: Vec<NodeId> = [node].into_iter().filter(rows).collect();
    while let Some(node) = stack.pop() {
        if node == table {
            return true;
        }
        if !std::mem::replace(&mut seen[node.index()], true) {
            stack.extend(graph.operands(node).into_iter().filter(rows));
        }
    }
    false
}

/// Whether a product is with few vectors, so that reading the table is what it costs.
pub(super) fn is_thin(graph: &Graph, id: NodeId) -> bool {
    let Op::Contract(c) = graph.op(id) else { return true };
    let operands = graph.operands(id);
    let free = |operand: usize, batch: &Axes, sum: &Axes| -> i64 {
        let shape = graph.ty(operands[operand]).shape.iter().enumerate();
        let free = shape.filter(|(a, _)| !batch.iter().chain(sum).any(|b| usize::from(*b) == *a));
        free.map(|(_, dim)| size(dim)).product()
    };
    free(0, &c.left_batch, &c.left_sum).min(free(1, &c.right_batch, &c.right_sum)) <= THIN
}

pub(super) fn part(graph: &Graph, parts: &[Part], id: NodeId) -> Part {
    let operands = graph.operands(id);
    let of = |o: &NodeId| parts[o.index()];
    if operands.iter().any(|o| matches!(of(o), Part::Sum | Part::After)) {
        return Part::After;
    }
    if operands.iter().all(|o| of(o) == Part::Before) {
        return Part::Before;
    }
    follows(graph, parts, id).unwrap_or(Part::After)
}

/// What a node is that reads rows; `None` where it needs them all at once.
fn follows(graph: &Graph, parts: &[Part], id: NodeId) -> Option<Part> {
    let operands = graph.operands(id);
    let rows = |o: NodeId| match parts[o.index()] {
        Part::Rows(axis) => Some(axis),
        _ => None,
    };
    let along = |axis: usize, o: NodeId| match rows(o) {
        Some(own) => own == axis,
        None => can_be_cut(graph, o, axis),
    };
    match graph.op(id) {
        Op::Map(_) | Op::Convert(_) => {
            let axis = operands.iter().find_map(|&o| rows(o))?;
            operands.iter().all(|&o| along(axis, o)).then_some(Part::Rows(axis))
        }
        Op::Broadcast { axes, .. } => Some(Part::Rows(usize::from(axes[rows(operands[0])?]))),
        Op::Transpose(perm) => {
            let axis = rows(operands[0])?;
            perm.iter().position(|&p| usize::from(p) == axis).map(Part::Rows)
        }
        Op::Reduce(op, axes) => {
            let axis = rows(operands[0])?;
            match axes.contains(&(axis as u8)) {
                true => (*op == ReduceOp::Sum).then_some(Part::Sum),
                false => {
                    let before = axes.iter().filter(|&&a| usize::from(a) < axis).count();
                    Some(Part::Rows(axis - before))
                }
            }
        }
        Op::Contract(c) => {
            let [left, right] = [operands[0], operands[1]];
            let place = |axes: &Axes, axis: Option<usize>| {
                axes.iter().position(|&a| Some(usize::from(a)) == axis)
            };
            let (l, r) = (rows(left), rows(right));
            let summed = place(&c.left_sum, l).or_else(|| place(&c.right_sum, r));
            if let Some(pair) = summed {
                let (a, b) = (usize::from(c.left_sum[pair]), usize::from(c.right_sum[pair]));
                return (along(a, left) && along(b, right)).then_some(Part::Sum);
            }
            let batched = place(&c.left_batch, l).or_else(|| place(&c.right_batch, r));
            if let Some(pair) = batched {
                let (a, b) = (usize::from(c.left_batch[pair]), usize::from(c.right_batch[pair]));
                return (along(a, left) && along(b, right)).then_some(Part::Rows(pair));
            }
            // A free axis of one side; the other has no rows.
            let free = |rank: usize, batch: &Axes, sum: &Axes| -> Vec<usize> {
                let taken = |a: &usize| batch.iter().chain(sum).any(|&t| usize::from(t) == *a);
                (0..rank).filter(|a| !taken(a)).collect()
            };
            let of_left = free(graph.ty(left).rank(), &c.left_batch, &c.left_sum);
            let batches = c.left_batch.len();
            match (l, r) {
                (Some(axis), None) => {
                    let at = of_left.iter().position(|&a| a == axis)?;
                    Some(Part::Rows(batches + at))
                }
                (None, Some(axis)) => {
                    let of_right = free(graph.ty(right).rank(), &c.right_batch, &c.right_sum);
                    let at = of_right.iter().position(|&a| a == axis)?;
                    Some(Part::Rows(batches + of_left.len() + at))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// Whether what is known before can be given to the loop block by block along an axis.
fn can_be_cut(graph: &Graph, node: NodeId, axis: usize) -> bool {
    axis == 0 || is_repeated(graph, node, axis)
}

/// Whether it is the same at each place of the axis.
pub(super) fn is_repeated(graph: &Graph, node: NodeId, axis: usize) -> bool {
    matches!(graph.op(node), Op::Broadcast { axes, .. } if !axes.contains(&(axis as u8)))
}

/// An axis where the axis of rows has become two, so that later ones move by one.
pub(super) fn moved(a: u8, rows: Option<usize>) -> u8 {
    a + u8::from(rows.is_some_and(|rows| usize::from(a) > rows))
}
