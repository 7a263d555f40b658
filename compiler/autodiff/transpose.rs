//! Backward: cotangents through the linear nodes that linearisation made.

use crate::graph::{Builder, Graph, MapOp, NodeId, Via};

/// Appends the cotangents of the tangent inputs (the second of each pair in `inputs`), given those of
/// some tangents in `seeds` as pairs (tangent, cotangent). Nodes from number `first` on are the
/// tangents. `None` stands for a cotangent that vanishes.
pub(super) fn transpose(
    graph: &mut Graph,
    first: usize,
    inputs: &[(NodeId, NodeId)],
    seeds: &[(NodeId, NodeId)],
) -> Vec<Option<NodeId>> {
    let end = graph.len();
    let linear = linear_nodes(graph, first, inputs);
    let mut cotangents: Vec<Option<NodeId>> = vec![None; end];
    for (tangent, seed) in seeds {
        accumulate(&Builder::new(graph), &mut cotangents[tangent.index()], *seed);
    }
    for id in (first..end).rev().map(NodeId::from_index) {
        let Some(cotangent) = cotangents[id.index()].filter(|_| linear[id.index()]) else {
            continue;
        };
        let node = graph.node(id);
        let (op, origin) = (node.op.clone(), node.origin.by(Via::Cotangent));
        let operands = graph.operands(id);
        for (position, operand) in operands.iter().enumerate() {
            if operand.index() < end && linear[operand.index()] {
                let rule = op.row().transpose.unwrap_or_else(|| {
                    panic!("`{}` made a tangent, so it needs a transpose rule", op.name())
                });
                let builder = Builder::new(graph).at(origin);
                let pulled = rule(&builder, &op, &operands, position, cotangent);
                accumulate(&builder, &mut cotangents[operand.index()], pulled);
            }
        }
    }
    inputs.iter().map(|(_, tangent)| cotangents[tangent.index()]).collect()
}

fn accumulate(b: &Builder<'_>, sum: &mut Option<NodeId>, term: NodeId) {
    *sum = Some(match *sum {
        Some(sum) => b.map(MapOp::Add, &[sum, term]),
        None => term,
    });
}

/// Which nodes depend on a tangent input: the linear part of the graph.
fn linear_nodes(graph: &Graph, first: usize, inputs: &[(NodeId, NodeId)]) -> Vec<bool> {
    let mut linear = vec![false; graph.len()];
    for (_, tangent) in inputs {
        linear[tangent.index()] = true;
    }
    for id in (first..graph.len()).map(NodeId::from_index) {
        linear[id.index()] |= graph.operands(id).iter().any(|o| linear[o.index()]);
    }
    linear
}
