//! A graph on many values at once: `vmap`.
//!
//! Each operation's batching rule gives it on every lane; what depends on no batched input is
//! computed once for all. So a batched graph has no loop, and is differentiated, batched again and
//! rewritten as any other.

use super::{call, scan};
use crate::graph::ops::Lanes;
use crate::graph::ops::lanes::repeated;
use crate::graph::{Builder, Dim, Graph, NodeId, Op};

/// The graph on `size` values of its batched inputs, which get a leading axis of that size; so does
/// every output, repeated where it depends on none of them. Names and order are those of `graph`.
///
/// # Panics
/// Where `batched` does not say of each input whether it is, or the graph is not well formed.
pub fn batch(graph: &Graph, batched: &[bool], size: &Dim) -> Graph {
    batch_outputs(graph, batched, size, &|_| true).0
}

/// The same where outputs may be without lanes unless `wanted` says otherwise; and which have them.
pub(super) fn batch_outputs(
    graph: &Graph,
    batched: &[bool],
    size: &Dim,
    wanted: &dyn Fn(usize) -> bool,
) -> (Graph, Vec<bool>) {
    assert_eq!(batched.len(), graph.inputs().len(), "says for each input whether it is batched");
    let mut many = Graph::new();
    let mut map: Vec<Option<(NodeId, bool)>> = vec![None; graph.len()];
    for ((name, input), &batched) in graph.inputs().iter().zip(batched) {
        let node = graph.node(*input);
        let mut ty = node.ty.clone();
        if batched {
            ty.shape.insert(0, size.clone());
        }
        map[input.index()] = Some((many.add_input(name, ty, node.origin), batched));
    }
    let b = Builder::new(&mut many);
    let mut steps = scan::Steps::default();
    let live = graph.live();
    for id in graph.nodes().filter(|id| live[id.index()]) {
        if map[id.index()].is_some() {
            continue;
        }
        let node = graph.node(id);
        b.set_origin(node.origin);
        let operands = graph.operands(id);
        let of = |o: &NodeId| map[o.index()].expect("operands come before");
        let (operands, batched): (Vec<NodeId>, Vec<bool>) = operands.iter().map(of).unzip();
        let any = batched.contains(&true);
        let lanes = Lanes { operands: &operands, batched: &batched, size };
        let result = match (&node.op, any) {
            (Op::Scan(loop_), true) => {
                map[id.index()] = Some(scan::batched(&b, loop_, &lanes, &mut steps));
                continue;
            }
            (Op::Call(of), true) => {
                map[id.index()] = Some(call::batched(&b, of, &lanes));
                continue;
            }
            (Op::After, true) => {
                map[id.index()] = Some((b.after(operands[0], operands[1]), batched[0]));
                continue;
            }
            (op, true) => op.row().batch.apply(&b, op, &lanes),
            // An input that was removed is a leaf of its own.
            (Op::Input(_), false) => unreachable!("a live input is one of the inputs"),
            (op, false) => b.add_op(op.clone(), &operands),
        };
        map[id.index()] = Some((result, any));
    }
    let mut has = Vec::with_capacity(graph.outputs().len());
    for (number, (name, node)) in graph.outputs().iter().enumerate() {
        let (node, batched) = map[node.index()].expect("outputs are live");
        let repeat = !batched && wanted(number);
        b.output(name, if repeat { repeated(&b, node, size) } else { node });
        has.push(batched || repeat);
    }
    drop(b);
    (many, has)
}
