//! Graphs for Graphviz.

use super::{Graph, Op};
use petgraph::dot::{Config, Dot};
use std::fmt::Write;

/// The graph in the DOT language: a box a node, an edge from each operand to its user.
pub fn dot(graph: &Graph) -> String {
    let label = |_: &_, (index, node): (petgraph::graph::NodeIndex, &super::Node)| {
        let id = super::NodeId(index);
        let input = graph.inputs().iter().find(|(_, n)| *n == id).map(|(n, _)| n);
        let mut label = match (&node.op, input) {
            (Op::Input(_), Some(name)) => format!("input {name}"),
            (Op::Const(scalar), _) => format!("{id} = {scalar}"),
            (op, _) => format!("{id} = {}", op.name()),
        };
        let _ = write!(label, "\n{}", node.ty);
        for (name, _) in graph.outputs().iter().filter(|(_, n)| *n == id) {
            let _ = write!(label, "\noutput {name}");
        }
        format!("shape=box, label={label:?}")
    };
    let config = [Config::NodeNoLabel, Config::EdgeNoLabel];
    let edge = |_: &_, e: petgraph::graph::EdgeReference<'_, u16>| {
        format!("taillabel=\"\", headlabel=\"{}\"", e.weight())
    };
    format!("{:?}", Dot::with_attr_getters(&graph.dag, &config, &edge, &label))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_and_edges() {
        let graph = crate::graph::text::parse(
            "%0: f32[2] = input \"x\"\n%1: f32[2] = mul(%0, %0)\noutput \"y\" = %1",
        );
        insta::assert_snapshot!(dot(&graph.expect("parses")), @r#"
        digraph {
            0 [ shape=box, label="input x\nf32[2]"]
            1 [ shape=box, label="%1 = mul\nf32[2]\noutput y"]
            0 -> 1 [ taillabel="", headlabel="0"]
            0 -> 1 [ taillabel="", headlabel="1"]
        }
        "#);
    }
}
