//! Passes over a large table are joined where they may be, and compute the same.

use super::check;
use crate::graph::fused::ReduceOp;
use crate::graph::ops::Draws;
use crate::graph::{Builder, Dim, Graph, MapOp, NodeId, Op, TensorType};
use crate::rewrite::{Numerics, blocks};
use tensc_runtime::{DType, Tensor};

/// A graph over a table of 2048 x 64 and vectors beside and below it, with its inputs.
fn with_table(
    rows: i64,
    build: impl FnOnce(&Builder<'_>, [NodeId; 3]) -> Vec<NodeId>,
) -> (Graph, Vec<Tensor>) {
    let mut graph = Graph::new();
    let b = Builder::new(&mut graph);
    let ty = |sizes: &[i64]| TensorType::new(DType::F64, sizes.iter().map(|&n| Dim::Const(n)));
    let types = [ty(&[rows, 64]), ty(&[rows]), ty(&[64])];
    let inputs: Vec<NodeId> =
        ["x", "y", "w"].iter().zip(&types).map(|(name, ty)| b.input(*name, ty.clone())).collect();
    for (number, node) in build(&b, [inputs[0], inputs[1], inputs[2]]).into_iter().enumerate() {
        b.output(format!("y{number}"), node);
    }
    drop(b);
    let draw = |(seed, ty): (usize, &TensorType)| {
        Draws::Between(-1.0, 1.0).tensor(ty.dtype, ty.concrete_shape(), seed as u64)
    };
    let values = types.iter().enumerate().map(draw).collect();
    (graph, values)
}

fn loops(graph: &Graph) -> usize {
    graph.nodes().filter(|n| matches!(graph.op(*n), Op::Scan(_))).count()
}

/// The gradient of a logistic regression: weights, bias, and perhaps what it is made of.
fn gradient(b: &Builder<'_>, [x, y, w]: [NodeId; 3]) -> [NodeId; 3] {
    let z = b.matmul(x, w);
    let scale = b.broadcast_to(b.constant(0.25, DType::F64), &b.ty(z).shape);
    let d = b.mul(b.sub(b.map(MapOp::Sigmoid, &[z]), y), scale);
    let by_weights = b.matmul(b.matrix_transpose(x), d);
    [by_weights, b.reduce(ReduceOp::Sum, d, &[0]), d]
}

#[test]
fn both_products_of_a_gradient_share_a_pass() {
    let (graph, inputs) = with_table(2048, |b, given| gradient(b, given)[..2].to_vec());
    let cut = blocks::cut(&graph, &mut Vec::new()).expect("it reads the table twice");
    assert_eq!(loops(&cut), 2, "two sums of one loop");
    let (result, _) = check(&graph, &inputs, Numerics::default());
    assert!(loops(&result) > 0);
}

#[test]
fn rows_may_leave_the_loop_and_go_on() {
    let (graph, inputs) = with_table(2048, |b, given| {
        let [by_weights, by_bias, d] = gradient(b, given);
        let again = b.matmul(given[0], by_weights);
        vec![b.add(b.square(d), again), by_bias]
    });
    assert!(blocks::cut(&graph, &mut Vec::new()).is_some());
    check(&graph, &inputs, Numerics::default());
}

/// A vector that a square table is multiplied by, and that the product is compared with row by row.
#[test]
fn what_is_read_by_rows_may_be_read_as_a_whole_too() {
    let mut graph = Graph::new();
    let b = Builder::new(&mut graph);
    let ty = |sizes: &[i64]| TensorType::new(DType::F64, sizes.iter().map(|&n| Dim::Const(n)));
    let (x, w) = (b.input("x", ty(&[384, 384])), b.input("w", ty(&[384])));
    let z = b.matmul(x, w);
    let repeated = b.broadcast(w, &b.ty(x).shape, &[0]);
    let lengths = b.reduce(ReduceOp::Sum, b.mul(x, repeated), &[1]);
    let off = b.add(b.sub(z, w), lengths);
    b.output("y", b.matmul(b.matrix_transpose(x), off));
    drop(b);
    let draw = |(seed, sizes): (u64, &[i64])| {
        Draws::Between(-1.0, 1.0).tensor(DType::F64, ty(sizes).concrete_shape(), seed)
    };
    let inputs: Vec<Tensor> = [(1, &[384, 384][..]), (2, &[384])].map(draw).into();
    assert!(blocks::cut(&graph, &mut Vec::new()).is_some());
    check(&graph, &inputs, Numerics::default());
}

#[test]
fn rows_with_more_axes_are_cut_too() {
    let (graph, inputs) = with_table(2048, |b, [x, y, w]| {
        let wide = b.broadcast(w, &b.ty(x).shape, &[1]);
        let lengths = b.reduce(ReduceOp::Sum, b.mul(b.square(x), wide), &[1]);
        let z = b.mul(b.add(b.matmul(x, w), lengths), y);
        let each = b.broadcast(z, &b.ty(x).shape, &[0]);
        let spread = b.reduce(ReduceOp::Sum, b.mul(each, x), &[0]);
        vec![b.matmul(b.matrix_transpose(x), z), spread]
    });
    assert!(blocks::cut(&graph, &mut Vec::new()).is_some());
    check(&graph, &inputs, Numerics::default());
}

#[test]
fn what_gains_nothing_stays() {
    let one_pass = |b: &Builder<'_>, [x, _, w]: [NodeId; 3]| vec![b.matmul(x, w)];
    assert!(blocks::cut(&with_table(2048, one_pass).0, &mut Vec::new()).is_none());
    let whole = |b: &Builder<'_>, given: [NodeId; 3]| gradient(b, given)[..2].to_vec();
    assert!(blocks::cut(&with_table(256, whole).0, &mut Vec::new()).is_none(), "it fits the cache");
    assert!(
        blocks::cut(&with_table(2053, whole).0, &mut Vec::new()).is_none(),
        "no block divides the rows"
    );
    let (graph, inputs) = with_table(2048, whole);
    let (exact, _) = check(&graph, &inputs, Numerics::Exact);
    assert_eq!(loops(&exact), 0, "sums keep their order");
}
