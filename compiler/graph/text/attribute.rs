//! The attributes of operations as data, which every printed form writes in its own way.

use crate::graph::fused::{IndexMap, Lambda};
use crate::graph::ops::{LiteralTensor, Op, Rule};
use crate::graph::{Dim, Graph, NodeId};
use tensc_runtime::{Scalar, Tensor};

/// What an attribute says.
pub enum Attribute<'g> {
    /// A name that the program chose.
    Name(&'g str),
    /// A word of the table of operations.
    Word(&'static str),
    /// The value of a constant.
    Value(Scalar),
    /// The elements of a constant.
    Values(&'g Tensor),
    /// A size or a place.
    Dim(&'g Dim),
    /// One for each axis.
    Dims(&'g [Dim]),
    /// An axis, a number of operands, a step.
    Number(i64),
    /// Axes, steps, operands.
    Numbers(Vec<i64>),
    /// Axes of the left operand, and their partners of the right one.
    Pairs([&'g [u8]; 2]),
    /// It is so: there is no other value.
    So,
    /// What a loop or a call does.
    Graph(&'g Graph),
    /// Which elements of each operand are read.
    Maps(&'g [IndexMap]),
    /// What is done with them.
    Body(&'g Lambda),
}

/// The attributes of a node, by name: all that its operands and its type do not say.
pub fn attributes(graph: &Graph, id: NodeId) -> Vec<(&'static str, Attribute<'_>)> {
    use Attribute::{
        Body, Dim, Dims, Graph, Maps, Name, Number, Numbers, Pairs, So, Value, Values, Word,
    };
    let axis = |axis: &u8| Number((*axis).into());
    match graph.op(id) {
        Op::Input(_) => {
            let input = graph.inputs().iter().find(|(_, n)| *n == id);
            vec![("name", Name(input.map_or("", |(name, _)| name)))]
        }
        Op::Const(scalar) => vec![("value", Value(*scalar))],
        Op::Literal(LiteralTensor(tensor)) => vec![("values", Values(tensor))],
        Op::Size(dim, _) => vec![("size", Dim(dim))],
        Op::Iota { axis: a, .. } => vec![("axis", axis(a))],
        Op::CheckIndex(bound) => vec![("bound", Dim(bound))],
        Op::Transpose(perm) => vec![("perm", numbers(perm))],
        Op::Broadcast { axes, .. } => vec![("axes", numbers(axes))],
        Op::Slice { starts, steps, .. } => {
            vec![("starts", Dims(starts)), ("steps", Numbers(steps.to_vec()))]
        }
        Op::Window(w) => vec![
            ("axis", axis(&w.axis)),
            ("start", Dim(&w.start)),
            ("stride", Number(w.stride)),
            ("dilation", Number(w.dilation)),
        ],
        Op::Diagonal(a, b) => vec![("axes", numbers(&[*a, *b]))],
        Op::Pad { low, high, interior } => {
            vec![("low", Dims(low)), ("high", Dims(high)), ("interior", Numbers(interior.to_vec()))]
        }
        Op::Concat(a) | Op::Gather(a) | Op::ScatterAdd(a) | Op::Recur(a) => vec![("axis", axis(a))],
        Op::Reduce(reduce, axes) => vec![(reduce.name(), numbers(axes))],
        Op::ArgReduce(reduce, a) => vec![(reduce.name(), axis(a))],
        Op::Running(running, a) => vec![(running.name(), axis(a))],
        Op::Linear(linear) => vec![("op", Word(linear.name()))],
        Op::Argsort { axis: a, descending: false } => vec![("ascending", axis(a))],
        Op::Argsort { axis: a, descending: true } => vec![("descending", axis(a))],
        Op::Contract(c) => {
            let sum = ("sum", Pairs([&c.left_sum, &c.right_sum]));
            match c.left_batch.is_empty() && c.right_batch.is_empty() {
                true => vec![sum],
                false => vec![("batch", Pairs([&c.left_batch, &c.right_batch])), sum],
            }
        }
        Op::Random { draw, .. } => vec![("draw", Word(draw.name()))],
        Op::Scan(scan) => {
            let gated = scan.gated.then_some(("gated", So));
            let until = scan.until.map(|state| ("until", number(state)));
            let first = [
                ("count", Dim(&scan.count)),
                ("carried", number(scan.carried)),
                ("sliced", number(scan.sliced)),
                ("from", Word(if scan.reverse { "last" } else { "first" })),
                ("result", number(scan.result)),
            ];
            first
                .into_iter()
                .chain(gated)
                .chain(until)
                .chain([("step", Graph(&scan.step))])
                .collect()
        }
        Op::Call(of) => {
            let mut all = vec![("result", number(of.result)), ("body", Graph(&of.body))];
            if let Rule::Given { backward, by } = &of.rule {
                all.extend([("by", numbers(by)), ("rule", Graph(backward))]);
            }
            if !of.is_value() {
                all.push(("moving", numbers(&of.moving)));
            }
            all
        }
        Op::Fused(fused) => {
            let reduce = fused.reduce.as_ref().map(|(op, axes)| (op.name(), numbers(axes)));
            let space = Numbers(fused.space.iter().map(|&n| n as i64).collect());
            let all = [("space", space), ("maps", Maps(&fused.maps)), ("body", Body(&fused.body))];
            all.into_iter().chain(reduce).collect()
        }
        Op::Map(_) | Op::Convert(_) | Op::Reshape(_) | Op::FoldKey | Op::After => Vec::new(),
    }
}

fn number(of: impl TryInto<i64>) -> Attribute<'static> {
    Attribute::Number(of.try_into().ok().expect("small numbers"))
}

fn numbers<N: Copy + TryInto<i64>>(of: &[N]) -> Attribute<'static> {
    let small = |&n: &N| n.try_into().ok().expect("small numbers");
    Attribute::Numbers(of.iter().map(small).collect())
}
