//! What was wrong with an index, told after the fact.
//!
//! Machine code that meets an index out of range reports that it happened; rewriting may have moved
//! the check far from where it was written. The interpreter knows the place, the index and the
//! bound: so the part of the graph that computes indices is kept, and evaluated again when a call
//! fails.
//!
//! Invariant: what is kept reads no input whose memory a result may take, and does no products.

use super::CallError;
use crate::graph::interpret::interpret;
use crate::graph::{Graph, NodeId, Op};
use tensc_runtime::Tensor;

/// The indices of a graph, to be looked at again.
pub struct Witness(Graph);

impl Witness {
    /// The witness of a graph; `None` where it has nothing to tell. `donated` are the positions of
    /// inputs that may be written over.
    pub fn of(graph: &Graph, donated: &[usize]) -> Option<Witness> {
        let checks: Vec<NodeId> = graph
            .nodes()
            .filter(|&node| matches!(graph.op(node), Op::CheckIndex { .. }))
            .filter(|&node| is_cheap_and_intact(graph, node, donated))
            .collect();
        if checks.is_empty() {
            return None;
        }
        let mut indices = graph.clone();
        indices.clear_outputs();
        for (number, check) in checks.into_iter().enumerate() {
            indices.add_output(number.to_string(), check);
        }
        Some(Witness(indices.pruned()))
    }

    /// The index that is out of range, if it is one of those that were kept. `input` gives the
    /// value of the input at a position, where it still has it.
    pub fn tell(&self, input: impl Fn(usize) -> Option<Tensor>) -> Option<CallError> {
        let graph = &self.0;
        let missing = |node: NodeId| {
            let ty = graph.ty(node);
            Tensor::zeros(ty.dtype, ty.concrete_shape())
        };
        let inputs = graph.inputs().iter().enumerate();
        let inputs: Vec<Tensor> =
            inputs.map(|(i, (_, node))| input(i).unwrap_or_else(|| missing(*node))).collect();
        let error = interpret(graph, &inputs).err()?;
        Some(CallError::Index { origin: graph.node(error.node?).origin, message: error.message })
    }
}

/// Whether a node is computed without products, from inputs that stay as they are.
fn is_cheap_and_intact(graph: &Graph, node: NodeId, donated: &[usize]) -> bool {
    let gone = |node: NodeId| donated.iter().any(|&input| graph.inputs()[input].1 == node);
    let mut seen = vec![false; graph.len()];
    let mut rest = vec![node];
    while let Some(node) = rest.pop() {
        if std::mem::replace(&mut seen[node.index()], true) {
            continue;
        }
        if matches!(graph.op(node), Op::Contract(_)) || gone(node) {
            return false;
        }
        rest.extend(graph.operands(node));
    }
    true
}
