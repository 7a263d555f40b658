//! Graphs before and after, with the rules that were applied, to be read.

use tensc::autodiff::gradient;
use tensc::graph::fused::ReduceOp;
use tensc::graph::ops::Contraction;
use tensc::graph::{Builder, Dim, Graph, NodeId, TensorType, interpret};
use tensc::rewrite::{Numerics, Options, optimise};
use tensc_runtime::DType::{self, F32, I64};

use super::values;

fn graph(build: impl FnOnce(&Builder<'_>)) -> Graph {
    let mut graph = Graph::new();
    build(&Builder::new(&mut graph));
    graph
}

fn input(g: &Builder<'_>, name: &str, dtype: DType, dims: &[i64]) -> NodeId {
    g.input(name, TensorType::new(dtype, dims.iter().map(|&n| Dim::Const(n))))
}

/// Both graphs and the report; both compute the same.
fn before_and_after(graph: &Graph, numerics: Numerics) -> String {
    let (result, report) = optimise(graph, &Options::of(numerics));
    let inputs = values(graph, 3);
    let (a, b) = (interpret(graph, &inputs).unwrap(), interpret(&result, &inputs).unwrap());
    for (a, b) in a.iter().zip(&b) {
        for (x, y) in a.to_f64_vec().iter().zip(&b.to_f64_vec()) {
            assert!((x - y).abs() <= 1e-5 * (1.0 + x.abs()), "was {x}, is {y}");
        }
    }
    format!("{graph}\n{result}\n{report}")
}

#[test]
fn elementwise_chain_is_one_kernel() {
    let graph = graph(|g| {
        let (x, bias) = (input(g, "x", F32, &[64, 32]), input(g, "bias", F32, &[32]));
        let shape = g.ty(x).shape;
        let y = g.add(x, g.broadcast(bias, &shape, &[1]));
        let y = g.mul(g.tanh(y), g.like(0.5, y));
        let y = g.add(y, g.like(-0.0, y));
        g.output("y", g.transpose(g.exp(g.add(y, x)), &[1, 0]));
    });
    insta::assert_snapshot!(before_and_after(&graph, Numerics::Exact));
}

#[test]
fn cross_entropy_gradient_is_softmax_minus_one_hot() {
    let loss = graph(|g| {
        let (logits, labels) = (input(g, "logits", F32, &[8, 4]), input(g, "labels", I64, &[8]));
        let shape = g.ty(logits).shape;
        let along = |x: NodeId| g.broadcast(x, &shape, &[0]);
        let total = g.log(g.sum(g.exp(logits), &[1]));
        let logs = g.sub(logits, along(total));
        let hot = g.eq(g.iota(I64, &shape, 1), along(g.check_index(labels, &shape[1])));
        let picked = g.sum(g.select(hot, logs, g.zeros_like(logs)), &[1]);
        g.output("loss", g.div(g.neg(g.sum(picked, &[0])), g.constant(8.0, F32)));
    });
    let gradient = gradient(&loss, 0, &[0]).expect("differentiable");
    insta::assert_snapshot!(before_and_after(&gradient, Numerics::Stable));
}

#[test]
fn transposes_are_absorbed_by_products() {
    let graph = graph(|g| {
        let (x, w) = (input(g, "x", F32, &[6, 5]), input(g, "w", F32, &[7, 5]));
        let product = g.contract(x, g.transpose(w, &[1, 0]), Contraction::matmul());
        g.output("y", g.transpose(g.max(product, g.zeros_like(product)), &[1, 0]));
    });
    insta::assert_snapshot!(before_and_after(&graph, Numerics::Exact));
}

#[test]
fn sum_of_products_is_a_contraction() {
    let graph = graph(|g| {
        let (x, w) = (input(g, "x", F32, &[6, 5]), input(g, "w", F32, &[7, 5]));
        let shape = [6, 7, 5].map(Dim::Const);
        let product = g.mul(g.broadcast(x, &shape, &[0, 2]), g.broadcast(w, &shape, &[1, 2]));
        g.output("y", g.sum(product, &[2]));
    });
    insta::assert_snapshot!(before_and_after(&graph, Numerics::Stable));
}

/// An expensive value with two users of different shape is stored.
#[test]
fn expensive_value_is_shared() {
    let graph = graph(|g| {
        let x = input(g, "x", F32, &[256, 256]);
        let y = g.tanh(g.exp(x));
        g.output("rows", g.sum(y, &[1]));
        g.output("columns", g.reduce(ReduceOp::Max, y, &[0]));
    });
    insta::assert_snapshot!(before_and_after(&graph, Numerics::Stable));
}

/// A cheap one is computed in both, which is less than to write it and to read it twice.
#[test]
fn cheap_value_is_recomputed() {
    let graph = graph(|g| {
        let x = input(g, "x", F32, &[256, 256]);
        let y = g.abs(g.add(x, g.like(1.0, x)));
        g.output("rows", g.sum(y, &[1]));
        g.output("columns", g.reduce(ReduceOp::Max, y, &[0]));
    });
    insta::assert_snapshot!(before_and_after(&graph, Numerics::Stable));
}

/// The three matrices in the order of least work, and one factor on the smallest of them.
#[test]
fn matrix_chain_takes_the_cheap_order() {
    let graph = graph(|g| {
        let x = input(g, "x", F32, &[40, 30]);
        let (y, z) = (input(g, "y", F32, &[30, 40]), input(g, "z", F32, &[40, 2]));
        let matmul = |a, b| g.contract(a, b, Contraction::matmul());
        let product = matmul(matmul(x, y), z);
        g.output("out", g.mul(product, g.like(3.0, product)));
    });
    insta::assert_snapshot!(before_and_after(&graph, Numerics::Reassoc));
}
