//! The verifier: whether a graph keeps the invariants its module states. It runs after every pass
//! in debug builds and tests; what it finds is a bug of that pass, never of the user.

use super::ops::{LiteralTensor, Rule};
use super::{Graph, NodeId, Op, Operands, TensorType};
use petgraph::Direction;
use petgraph::visit::EdgeRef;
use smallvec::SmallVec;
use std::fmt;

/// A broken invariant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Broken {
    /// The node, where it is one's.
    pub node: Option<NodeId>,
    /// One sentence without a full stop.
    pub message: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node {
            Some(node) => write!(f, "{node}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for Broken {}

/// Checks every invariant of the graph.
///
/// # Errors
/// The first one that is broken.
pub fn verify(graph: &Graph) -> Result<(), Broken> {
    for id in graph.nodes() {
        node(graph, id).map_err(|message| Broken { node: Some(id), message })?;
    }
    names(graph).map_err(|message| Broken { node: None, message })
}

fn node(graph: &Graph, id: NodeId) -> Result<(), String> {
    let operands = positions(graph, id)?;
    let types: SmallVec<[&TensorType; 3]> = operands.iter().map(|&o| graph.ty(o)).collect();
    let node = graph.node(id);
    let name = node.op.name();
    let derived = node.op.infer(&types).map_err(|e| e.message)?;
    if derived != node.ty {
        return Err(format!("{name} gives {derived}, but the node says {}", node.ty));
    }
    match &node.op {
        Op::Input(_) if !graph.inputs.iter().any(|(_, n)| *n == id) => {
            Err("an input without a name".into())
        }
        Op::Scan(scan) => verify(&scan.step).map_err(|broken| format!("in the step, {broken}")),
        Op::Call(call) => {
            verify(&call.body).map_err(|broken| format!("in the body, {broken}"))?;
            match &call.rule {
                Rule::Given { backward, .. } => {
                    verify(backward).map_err(|broken| format!("in the rule, {broken}"))
                }
                Rule::Again => Ok(()),
            }
        }
        Op::Literal(LiteralTensor(t)) if t.shape().rank() == 0 => {
            Err("a literal of rank 0, which is a const".into())
        }
        _ => Ok(()),
    }
}

/// The operands, which must come before the node and fill positions 0, 1, ….
fn positions(graph: &Graph, id: NodeId) -> Result<Operands, String> {
    let mut edges: Vec<(u16, NodeId)> = graph
        .dag
        .edges_directed(id.0, Direction::Incoming)
        .map(|e| (*e.weight(), NodeId(e.source())))
        .collect();
    edges.sort_unstable();
    for (i, (position, operand)) in edges.iter().enumerate() {
        if usize::from(*position) != i {
            return Err(format!("operand {i} is missing or double"));
        }
        if *operand >= id {
            return Err(format!("operand {operand} does not come before its user"));
        }
    }
    Ok(edges.into_iter().map(|(_, operand)| operand).collect())
}

/// Checks that inputs and outputs are nodes of the graph and have names of their own.
///
/// # Errors
/// The first name that is not so.
pub fn names(graph: &Graph) -> Result<(), String> {
    for (what, list) in [("input", &graph.inputs), ("output", &graph.outputs)] {
        for (i, (name, node)) in list.iter().enumerate() {
            if list[..i].iter().any(|(earlier, _)| earlier == name) {
                return Err(format!("two {what}s are named `{name}`"));
            }
            if node.index() >= graph.len() {
                return Err(format!("{what} `{name}` is {node}, which does not exist"));
            }
            if what == "input" && !matches!(graph.op(*node), Op::Input(_)) {
                return Err(format!("input `{name}` is {node}, which is no input"));
            }
        }
    }
    let nodes: Vec<NodeId> = graph.inputs.iter().map(|(_, n)| *n).collect();
    if !nodes.is_sorted_by(|a, b| a < b) {
        return Err("inputs are not in the order of their nodes".into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Builder, Dim, MapOp, Node, Origin};
    use tensc_runtime::DType;

    fn sound() -> Graph {
        let mut graph = Graph::new();
        let g = Builder::new(&mut graph);
        let x = g.input("x", TensorType::new(DType::F32, [Dim::Const(4)]));
        g.output("y", g.add(x, g.like(1.0, x)));
        graph
    }

    fn broken(break_it: impl FnOnce(&mut Graph)) -> String {
        let mut graph = sound();
        verify(&graph).expect("sound before");
        break_it(&mut graph);
        verify(&graph).expect_err("broken").to_string()
    }

    #[test]
    fn each_invariant() {
        insta::assert_snapshot!(broken(|g| {
            g.dag[NodeId::from_index(3).0].ty = TensorType::scalar(DType::F32);
        }), @"%3: add gives f32[4], but the node says f32");
        insta::assert_snapshot!(broken(|g| {
            g.dag.add_edge(NodeId::from_index(0).0, NodeId::from_index(3).0, 1);
        }), @"%3: operand 2 is missing or double");
        insta::assert_snapshot!(broken(|g| {
            let edge = g.dag.first_edge(NodeId::from_index(2).0, Direction::Incoming);
            g.dag.remove_edge(edge.expect("the broadcast has an operand"));
            g.dag.add_edge(NodeId::from_index(3).0, NodeId::from_index(2).0, 0);
        }), @"%2: operand %3 does not come before its user");
        insta::assert_snapshot!(broken(|g| {
            g.outputs.push(("y".into(), NodeId::from_index(0)));
        }), @"two outputs are named `y`");
        insta::assert_snapshot!(broken(|g| {
            g.outputs.push(("z".into(), NodeId::from_index(9)));
        }), @"output `z` is %9, which does not exist");
        insta::assert_snapshot!(broken(|g| {
            g.inputs.push(("z".into(), NodeId::from_index(2)));
        }), @"input `z` is %2, which is no input");
        insta::assert_snapshot!(broken(|g| g.inputs.clear()), @"%0: an input without a name");
        insta::assert_snapshot!(broken(|g| {
            let (op, ty) = (Op::Map(MapOp::Exp), TensorType::scalar(DType::F32));
            g.dag.add_node(Node { op, ty, origin: Origin::default() });
        }), @"%4: exp takes 1 operand, found 0");
    }
}
