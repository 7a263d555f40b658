//! Backward: cotangents through the linear nodes that linearisation made.

use super::{call, scan};
use crate::graph::{Builder, MapOp, NodeId, Op, Via};

/// Appends the cotangents of the linear nodes, given those of some in `seeds` as pairs (tangent,
/// cotangent): by node index, also those of the tangent inputs (the second of each pair in
/// `inputs`). Nodes from number `first` on are the tangents. `None` stands for a cotangent that
/// vanishes.
pub(super) fn transpose(
    b: &Builder<'_>,
    first: usize,
    inputs: &[(NodeId, NodeId)],
    seeds: &[(NodeId, NodeId)],
) -> Vec<Option<NodeId>> {
    let linear = linear_nodes(b, first, inputs);
    let mut cotangents: Vec<Option<NodeId>> = vec![None; linear.len()];
    for (tangent, seed) in seeds {
        accumulate(b, &mut cotangents[tangent.index()], *seed);
    }
    for id in (first..linear.len()).rev().map(NodeId::from_index) {
        if linear[id.index()] && matches!(b.op(id), Op::Scan(_)) {
            through_loop(b, id, &linear, &mut cotangents);
            continue;
        }
        if linear[id.index()] && matches!(b.op(id), Op::Call(_)) {
            through_call(b, id, &linear, &mut cotangents);
            continue;
        }
        let Some(cotangent) = cotangents[id.index()].filter(|_| linear[id.index()]) else {
            continue;
        };
        b.set_origin(b.graph(|g| g.node(id).origin).by(Via::Cotangent));
        let (op, operands) = (b.op(id), b.operands(id));
        for (position, operand) in operands.iter().enumerate() {
            if linear[operand.index()] {
                let rule = op.row().transpose.unwrap_or_else(|| {
                    panic!("`{}` made a tangent, so it needs a transpose rule", op.name())
                });
                let pulled = rule(b, &op, &operands, position, cotangent);
                accumulate(b, &mut cotangents[operand.index()], pulled);
            }
        }
    }
    cotangents
}

/// Through all results of a loop together, when the first of them is reached: what reads any of
/// them comes after it.
fn through_loop(b: &Builder<'_>, id: NodeId, linear: &[bool], cotangents: &mut [Option<NodeId>]) {
    let Op::Scan(scan) = b.op(id) else { unreachable!("the caller looked") };
    let siblings = b.graph(|graph| graph.loop_results(id));
    let count = scan.step.outputs().len();
    let Some(results) = of_results(id, siblings, count, linear, cotangents) else { return };
    b.set_origin(b.graph(|g| g.node(id).origin).by(Via::Cotangent));
    let operands = b.operands(id);
    let by: Vec<bool> = operands.iter().map(|o| linear[o.index()]).collect();
    let pulled = scan::cotangents(b, &scan, &operands, &by, &results);
    for (operand, pulled) in operands.iter().zip(pulled) {
        if let Some(pulled) = pulled {
            accumulate(b, &mut cotangents[operand.index()], pulled);
        }
    }
}

/// Through all results of a call together, as through those of a loop.
fn through_call(b: &Builder<'_>, id: NodeId, linear: &[bool], cotangents: &mut [Option<NodeId>]) {
    let Op::Call(call) = b.op(id) else { unreachable!("the caller looked") };
    let siblings = b.graph(|graph| graph.call_results(id));
    let count = call.body.outputs().len();
    let Some(results) = of_results(id, siblings, count, linear, cotangents) else { return };
    b.set_origin(b.graph(|g| g.node(id).origin).by(Via::Cotangent));
    let operands = b.operands(id);
    let pulled = call::cotangents(b, &call, &operands, &results);
    for (operand, pulled) in operands[call.body.inputs().len()..].iter().zip(pulled) {
        accumulate(b, &mut cotangents[operand.index()], pulled);
    }
}

/// The cotangents of the results of one loop or call, by number: none where there is nothing to
/// pull back, or where a result before `id` is still to come.
fn of_results(
    id: NodeId,
    siblings: impl IntoIterator<Item = (NodeId, usize)>,
    count: usize,
    linear: &[bool],
    cotangents: &[Option<NodeId>],
) -> Option<Vec<Option<NodeId>>> {
    let mut results = vec![None; count];
    for (other, number) in siblings {
        // What was made after the linear part is none of it.
        if linear.get(other.index()) == Some(&true) {
            if other < id {
                return None;
            }
            results[number] = cotangents[other.index()];
        }
    }
    results.iter().any(Option::is_some).then_some(results)
}

fn accumulate(b: &Builder<'_>, sum: &mut Option<NodeId>, term: NodeId) {
    *sum = Some(match *sum {
        Some(sum) => b.map(MapOp::Add, &[sum, term]),
        None => term,
    });
}

/// Which of the nodes made so far depend on a tangent input: the linear part of the graph.
fn linear_nodes(b: &Builder<'_>, first: usize, inputs: &[(NodeId, NodeId)]) -> Vec<bool> {
    b.graph(|graph| {
        let mut linear = vec![false; graph.len()];
        for (_, tangent) in inputs {
            linear[tangent.index()] = true;
        }
        for id in (first..graph.len()).map(NodeId::from_index) {
            linear[id.index()] |= graph.operands(id).iter().any(|o| linear[o.index()]);
        }
        linear
    })
}
