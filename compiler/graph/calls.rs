//! Calls written out: what derivatives treat as a whole is, to everything after them, its body.

use super::ops::Scan;
use super::{Builder, Graph, NodeId, Op, Operands};
use rustc_hash::FxHashMap;
use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;

impl Graph {
    /// The graph with the body in place of every call, also in the steps of loops. Inputs and
    /// outputs stay, of the other nodes those that an output needs.
    pub fn written_out(&self) -> Cow<'_, Graph> {
        match self.has_calls() {
            true => Cow::Owned(self.traced_out().0),
            false => Cow::Borrowed(self),
        }
    }

    /// The same, and for each node of it the one of this graph that it was or was part of.
    pub fn traced_out(&self) -> (Graph, Vec<NodeId>) {
        let mut graph = Graph::new();
        let mut from: Vec<NodeId> = Vec::new();
        let b = Builder::new(&mut graph);
        let mut inputs = Vec::with_capacity(self.inputs().len());
        for (name, input) in self.inputs() {
            b.set_origin(self.node(*input).origin);
            inputs.push(b.input(name, self.ty(*input).clone()));
            from.push(*input);
        }
        // Results of one call, and loops of one step, are told apart late.
        let mut bodies: FxHashMap<(*const Graph, Operands), Vec<NodeId>> = FxHashMap::default();
        let mut steps: FxHashMap<*const Graph, Arc<Graph>> = FxHashMap::default();
        let Ok(results) = b.rebuild(self, &inputs, |id, operands| {
            let made = match self.op(id) {
                Op::Call(call) if call.is_value() => {
                    let key = (Arc::as_ptr(&call.body), operands.into());
                    let results = bodies
                        .entry(key)
                        .or_insert_with(|| b.inline(&call.body.written_out(), operands));
                    results[call.result]
                }
                Op::Scan(scan) if scan.step.has_calls() => {
                    let key = Arc::as_ptr(&scan.step);
                    let written = || Arc::new(scan.step.written_out().into_owned());
                    let step = Arc::clone(steps.entry(key).or_insert_with(written));
                    b.add_op(Op::Scan(Scan { step, ..scan.clone() }), operands)
                }
                op => b.add_op(op.clone(), operands),
            };
            from.resize(b.graph(Graph::len), id);
            Ok::<_, Infallible>(made)
        });
        for ((name, _), result) in self.outputs().iter().zip(results) {
            b.output(name, result);
        }
        drop(b);
        (graph, from)
    }
}
