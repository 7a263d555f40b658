//! Forward: the tangent of every node, by the jvp rule of its operation.

use super::scan::Tangents;
use super::{NotDifferentiable, call};
use crate::graph::ops::Jvp;
use crate::graph::ops::elementwise::Partial;
use crate::graph::{Builder, MapOp, NodeId, Op, Operands, Via};

/// What tangents are for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    /// Themselves.
    Forward,
    /// To be transposed: calls keep theirs together.
    Backward,
}

/// Appends the tangents of the first `len` nodes that are `live`, given those of some inputs as
/// pairs (input, tangent). `None` stands for a tangent that vanishes.
///
/// # Errors
/// Where a rule of the user's gives no derivative.
pub(super) fn linearize(
    b: &Builder<'_>,
    live: &[bool],
    len: usize,
    seeds: &[(NodeId, NodeId)],
    mode: Mode,
) -> Result<Vec<Option<NodeId>>, NotDifferentiable> {
    let mut tangents: Vec<Option<NodeId>> = vec![None; len];
    for (input, tangent) in seeds {
        tangents[input.index()] = Some(*tangent);
    }
    let mut loops = Tangents::default();
    for id in (0..len).map(NodeId::from_index).filter(|id| live[id.index()]) {
        let operands = b.operands(id);
        let moving: Vec<Option<NodeId>> = operands.iter().map(|o| tangents[o.index()]).collect();
        if moving.iter().any(Option::is_some) {
            b.set_origin(b.graph(|g| g.node(id).origin).by(Via::Tangent));
            let here = |refused: NotDifferentiable| NotDifferentiable { node: Some(id), ..refused };
            tangents[id.index()] = match b.op(id) {
                Op::Scan(scan) => loops.of(b, &scan, &operands, &moving, mode).map_err(here)?,
                Op::Call(of) => call::tangent(b, &of, &operands, &moving, mode).map_err(here)?,
                op => tangent(b, &op, &operands, id, &moving),
            };
        }
    }
    Ok(tangents)
}

fn tangent(
    b: &Builder<'_>,
    op: &Op,
    operands: &Operands,
    result: NodeId,
    tangents: &[Option<NodeId>],
) -> Option<NodeId> {
    match op.row().jvp {
        Jvp::Zero => None,
        Jvp::Step => unreachable!("loops and calls have their tangents elsewhere"),
        Jvp::Rule(rule) => rule(b, op, operands, result, tangents),
        Jvp::Linear(positions) => {
            positions.iter().find(|&&p| tangents.get(p).is_some_and(Option::is_some))?;
            let moved = |p: usize| match tangents[p] {
                Some(tangent) => tangent,
                None if positions.contains(&p) => b.zeros_like(operands[p]),
                None => operands[p],
            };
            Some(b.add_op(op.clone(), &(0..operands.len()).map(moved).collect::<Operands>()))
        }
        Jvp::Joint => {
            let moved = |(operand, tangent): (&NodeId, &Option<NodeId>)| {
                tangent.unwrap_or_else(|| b.zeros_like(*operand))
            };
            let moved: Operands = operands.iter().zip(tangents).map(moved).collect();
            Some(b.add_op(op.clone(), &moved))
        }
        Jvp::Multilinear => {
            let term = |(position, tangent): (usize, &Option<NodeId>)| {
                let mut moved = operands.clone();
                moved[position] = (*tangent)?;
                Some(b.add_op(op.clone(), &moved))
            };
            sum(b, tangents.iter().enumerate().filter_map(term))
        }
        Jvp::Partials => {
            let Op::Map(map) = op else { unreachable!("only elementwise rows have partials") };
            let term = |(partial, tangent): (&Partial, &Option<NodeId>)| {
                scaled(b, partial, operands, result, (*tangent)?)
            };
            sum(b, map.row().partials.iter().zip(tangents).filter_map(term))
        }
    }
}

/// A tangent times a partial derivative.
fn scaled(
    b: &Builder<'_>,
    partial: &Partial,
    operands: &[NodeId],
    result: NodeId,
    tangent: NodeId,
) -> Option<NodeId> {
    match partial {
        Partial::Zero => None,
        Partial::One => Some(tangent),
        Partial::MinusOne => Some(b.map(MapOp::Neg, &[tangent])),
        Partial::Times(factor) => Some(b.map(MapOp::Mul, &[factor(b, operands, result), tangent])),
        Partial::Where(mask) => {
            let mask = mask(b, operands, result);
            Some(b.map(MapOp::Select, &[mask, tangent, b.zeros_like(tangent)]))
        }
    }
}

fn sum(b: &Builder<'_>, terms: impl Iterator<Item = NodeId>) -> Option<NodeId> {
    terms.reduce(|sum, term| b.map(MapOp::Add, &[sum, term]))
}
