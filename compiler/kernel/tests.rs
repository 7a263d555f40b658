//! Programs against the interpreter: every row of the table, views, fusion, random graphs.

use super::reference::{execute, execute_donated};
use super::{Program, fuse, lower, plan, schedule, verify};
use crate::graph::interpret::interpret;
use crate::graph::ops::{Draws, ROWS, Sample};
use crate::graph::testing::{Options, random_case};
use crate::graph::text::parse;
use crate::graph::{Builder, Graph, Op};
use tensc_runtime::{DType, Tensor};

/// A graph of the sample's operation alone, with values for its inputs.
fn single(sample: &Sample, seed: u64) -> (Graph, Vec<Tensor>) {
    let mut graph = Graph::new();
    let b = Builder::new(&mut graph);
    let operands: Vec<_> = sample
        .operands
        .iter()
        .enumerate()
        .map(|(i, (ty, _))| b.input(format!("x{i}"), ty.clone()))
        .collect();
    let mut values = sample.values(seed);
    let node = match &sample.op {
        Op::Input(ty) => {
            values.push(Draws::Between(-2.0, 2.0).tensor(ty.dtype, ty.concrete_shape(), seed));
            b.input("x", ty.clone())
        }
        op => b.add_op(op.clone(), &operands),
    };
    b.output("y", node);
    (graph, values)
}

/// Values for the inputs of a graph: floats in -2..2.
fn values(graph: &Graph, seed: u64) -> Vec<Tensor> {
    let input = |(i, (_, node)): (usize, &(String, crate::graph::NodeId))| {
        let ty = graph.ty(*node);
        let limit = if ty.dtype.is_float() { 2.0 } else { 9.0 };
        let draws = Draws::Between(-limit, limit);
        draws.tensor(ty.dtype, ty.concrete_shape(), seed + i as u64)
    };
    graph.inputs().iter().enumerate().map(input).collect()
}

fn tolerance(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => 1e-11,
        DType::F32 => 2e-5,
        DType::F16 => 4e-3,
        DType::BF16 => 3e-2,
        _ => 0.0,
    }
}

fn same(found: &Tensor, expected: &Tensor, what: &str) {
    assert_eq!(found.dtype(), expected.dtype(), "{what}");
    let (found, wanted) = (found.to_f64_vec(), expected.to_f64_vec());
    assert_eq!(found.len(), wanted.len(), "{what}");
    let tolerance = tolerance(expected.dtype());
    for (i, (&f, &w)) in found.iter().zip(&wanted).enumerate() {
        let close =
            f == w || (f.is_nan() && w.is_nan()) || (f - w).abs() <= tolerance * w.abs().max(1.0);
        assert!(close, "{what}: element {i} is {f}, expected {w}");
    }
}

/// The planned program of the graph, after checking that it computes what the graph means.
fn check(graph: &Graph, inputs: &[Tensor]) -> Program {
    let expected = interpret(graph, inputs).expect("the inputs are in the domain");
    for mut program in [lower(graph), fuse(lower(graph))] {
        schedule(&mut program);
        plan(&mut program);
        verify(&program).unwrap_or_else(|v| panic!("{v}\n{graph}\n{program:#?}"));
        for found in [execute(&program, inputs), execute_donated(&program, inputs)] {
            let found = found.expect("no index is out of range");
            for ((name, _), (f, e)) in graph.outputs().iter().zip(found.iter().zip(&expected)) {
                same(f, e, &format!("output {name} of\n{graph}\n{program:#?}"));
            }
        }
    }
    let mut program = fuse(lower(graph));
    schedule(&mut program);
    plan(&mut program);
    program
}

#[test]
fn every_row_of_the_table() {
    for row in ROWS {
        for (i, sample) in (row.samples)().iter().enumerate() {
            let (graph, inputs) = single(sample, 7 + i as u64);
            check(&graph, &inputs);
        }
    }
}

/// The names of a program's kernels, in order, with their stages.
fn outline(program: &Program) -> String {
    let mut lines = Vec::new();
    for kernel in &program.kernels {
        let what = match &kernel.work {
            super::Work::Nest(nest) => format!("nest of {}", nest.stages.len()),
            super::Work::Product(p) => format!("product {}x{}x{}", p.m, p.n, p.k),
            super::Work::Call(_) => "call".to_owned(),
        };
        lines.push(format!("{}: {what}", kernel.name));
    }
    lines.join("\n")
}

fn outlined(text: &str) -> String {
    let graph = parse(text).expect("the test's graph is right");
    outline(&check(&graph, &values(&graph, 3)))
}

/// Random graphs, by what they are made of.
fn random(fused: bool, seeds: std::ops::Range<u64>) {
    let options = Options { fused, ..Options::default() };
    for seed in seeds {
        let case = random_case(seed, &options);
        check(&case.graph, &case.inputs);
    }
}

#[test]
fn random_graphs() {
    random(false, 0..60);
}

#[test]
fn random_graphs_with_fused_nodes() {
    random(true, 1000..1060);
}

#[test]
fn a_dense_layer_is_one_kernel() {
    let text = "\
%0: f32[8, 12] = input \"x\"
%1: f32[12, 16] = input \"w\"
%2: f32[16] = input \"b\"
%3: f32[8, 16] = contract(%0, %1) {sum: [1]x[0]}
%4: f32[8, 16] = broadcast(%2) {axes: [1]}
%5: f32[8, 16] = add(%3, %4)
%6: f32 = const 0.0
%7: f32[8, 16] = broadcast(%6) {axes: []}
%8: f32[8, 16] = max(%5, %7)
output \"y\" = %8
";
    insta::assert_snapshot!(outlined(text), @"contract_add_max: product 8x16x12");
}

#[test]
fn transposes_cost_nothing() {
    let text = "\
%0: f32[12, 8] = input \"x\"
%1: f32[16, 12] = input \"w\"
%2: f32[8, 12] = transpose(%0) {perm: [1, 0]}
%3: f32[12, 16] = transpose(%1) {perm: [1, 0]}
%4: f32[8, 16] = contract(%2, %3) {sum: [1]x[0]}
output \"y\" = %4
";
    insta::assert_snapshot!(outlined(text), @"contract: product 8x16x12");
}

#[test]
fn softmax_is_one_nest() {
    let text = "\
%0: f32[20, 10] = input \"x\"
%1: f32[20] = reduce(%0) {max: [1]}
%2: f32[20, 10] = broadcast(%1) {axes: [0]}
%3: f32[20, 10] = sub(%0, %2)
%4: f32[20, 10] = exp(%3)
%5: f32[20] = reduce(%4) {sum: [1]}
%6: f32[20, 10] = broadcast(%5) {axes: [0]}
%7: f32[20, 10] = div(%4, %6)
output \"y\" = %7
";
    insta::assert_snapshot!(outlined(text), @"reduce_sub_exp_reduce_div: nest of 3");
}
