//! Programs against the interpreter: every row of the table, views, fusion, random graphs.

mod broken;
mod memory;

use super::reference::{execute, execute_donated};
use super::verify;
use super::{Nest, Place, Program, Work, fuse, join_borders, lower, plan, schedule, text, tile};
use crate::graph::fused::ReduceOp;
use crate::graph::interpret::interpret;
use crate::graph::ops::{Draws, ROWS, Sample};
use crate::graph::testing::{Options, random_case};
use crate::graph::text::parse;
use crate::graph::{Builder, Dim, Graph, NodeId, Op, Origin, TensorType};
use crate::vector::{Binary, Inst};
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
    let input = |(i, (_, node)): (usize, &(String, NodeId))| {
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

/// The tolerance for an output: that of the coarsest float it is computed from.
fn coarsest(graph: &Graph, output: NodeId) -> f64 {
    if !graph.ty(output).dtype.is_float() {
        return 0.0;
    }
    let mut from = vec![output];
    let mut seen = vec![false; graph.len()];
    let mut most = 0.0f64;
    while let Some(node) = from.pop() {
        if !std::mem::replace(&mut seen[node.index()], true) {
            most = most.max(tolerance(graph.ty(node).dtype));
            from.extend(graph.operands(node).iter().copied());
        }
    }
    most
}

fn same(found: &Tensor, expected: &Tensor, tolerance: f64, what: &str) {
    assert_eq!(found.dtype(), expected.dtype(), "{what}");
    let (found, wanted) = (found.to_f64_vec(), expected.to_f64_vec());
    assert_eq!(found.len(), wanted.len(), "{what}");
    for (i, (&f, &w)) in found.iter().zip(&wanted).enumerate() {
        let close =
            f == w || (f.is_nan() && w.is_nan()) || (f - w).abs() <= tolerance * w.abs().max(1.0);
        assert!(close, "{what}: element {i} is {f}, expected {w}");
    }
}

/// The planned program of the graph, after checking that it computes what the graph means.
fn check(graph: &Graph, inputs: &[Tensor]) -> Program {
    let expected = interpret(graph, inputs).expect("the inputs are in the domain");
    let fused = || {
        let mut program = fuse(lower(graph));
        tile(&mut program);
        join_borders(&mut program);
        program
    };
    for mut program in [lower(graph), fused()] {
        schedule(&mut program);
        plan(&mut program);
        round_trip(&program);
        verify(&program).unwrap_or_else(|v| panic!("{v}\n{graph}\n{program}"));
        for found in [execute(&program, inputs), execute_donated(&program, inputs)] {
            let found = found.expect("no index is out of range");
            for ((name, node), (f, e)) in graph.outputs().iter().zip(found.iter().zip(&expected)) {
                let what = format!("output {name} of\n{graph}\n{program}");
                same(f, e, coarsest(graph, *node), &what);
            }
        }
    }
    let mut program = fused();
    schedule(&mut program);
    plan(&mut program);
    program
}

fn without_origins(program: &mut Program) {
    program.sites.fill(Origin::default());
    for kernel in &mut program.kernels {
        kernel.origins.clear();
        if let Work::Repeat(repeat) = &mut kernel.work {
            without_origins(&mut repeat.step);
        }
    }
}

/// The text of a program says all of it but origins.
fn round_trip(program: &Program) {
    let text = program.to_string();
    let mut bare = program.clone();
    without_origins(&mut bare);
    let parsed = text::parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(parsed, bare, "{text}");
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
            Work::Nest(nest) => format!("nest of {}", nest.stages.len()),
            Work::Product(p) => format!("product {}x{}x{}", p.m, p.n, p.k),
            Work::Call(_) => "call".to_owned(),
            Work::Repeat(r) => format!("repeat of {}", r.count),
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
    insta::assert_snapshot!(outlined(text), @"matmul_add_max: product 8x16x12");
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
    insta::assert_snapshot!(outlined(text), @"matmul: product 8x16x12");
}

/// The only kernel of a graph, a nest.
fn only_nest(text: &str) -> Nest {
    let graph = parse(text).expect("the test's graph is right");
    let program = check(&graph, &values(&graph, 3));
    let [kernel] = &program.kernels[..] else { panic!("one kernel\n{program}") };
    let Work::Nest(nest) = &kernel.work else { panic!("a nest") };
    nest.clone()
}

#[test]
fn transposes_that_are_stored_go_tile_by_tile() {
    let transposed = |rows: usize, columns: usize| {
        let nest = only_nest(&format!(
            "\
%0: f32[{rows}, {columns}] = input \"x\"
%1: f32[{columns}, {rows}] = transpose(%0) {{perm: [1, 0]}}
%2: f32[{columns}, {rows}] = exp(%1)
output \"y\" = %2
"
        ));
        (nest.outer.to_vec(), nest.stages[0].lanes)
    };
    assert_eq!(transposed(256, 256), (vec![16, 256], 16));
    // No number of lanes that goes into 300 is nearer to 16.
    assert_eq!(transposed(300, 100), (vec![20, 100], 15));
    // Prime numbers of lanes, and few lines.
    assert_eq!(transposed(257, 263), (vec![257], 263));
    assert_eq!(transposed(100, 100), (vec![100], 100));
}

/// Channels come before positions for who reads a convolution: the product writes them so.
#[test]
fn a_product_lies_as_its_reader_wants_it() {
    let text = "\
%0: f32[4, 8, 40] = input \"x\"
%1: f32[16, 8] = input \"w\"
%2: f32[16] = input \"b\"
%3: f32[4, 40, 16] = contract(%0, %1) {sum: [1]x[1]}
%4: f32[4, 16, 40] = fused(%3, %2) {space: [4, 16, 40], maps: [[i0, i2, i1], [i1]], \
body: [v0: f32 = arg 0; v1: f32 = arg 1; v2: f32 = add v0 v1]}
output \"y\" = %4
";
    insta::assert_snapshot!(outlined(text), @"matmul_add: product 16x40x8");
}

/// Rows of a copy that would share sets of the cache have a line between them.
#[test]
fn copies_of_operands_have_gaps() {
    let text = "\
%0: f32[6, 1028] = input \"x\"
%1: f32[9, 6, 3] = input \"w\"
%2: f32[6, 512, 3] = window(%0) {axis: 1, start: 0, stride: 2, dilation: 2}
%3: f32[9, 512] = contract(%1, %2) {sum: [1, 2]x[0, 2]}
output \"y\" = %3
";
    let graph = parse(text).expect("the test's graph is right");
    let program = check(&graph, &values(&graph, 3));
    let copies = program.buffers.iter().filter(|b| b.place == Place::Arena);
    assert_eq!(copies.map(|b| b.elements).collect::<Vec<_>>(), [18 * (512 + 16)]);
}

/// What surrounds an image is written with its rows, but for the rows above and below.
#[test]
fn ends_of_rows_are_written_with_them() {
    let text = "\
%0: f32[6, 5, 7] = input \"x\"
%1: f32 = const 0.5
%2: f32[6, 8, 10] = pad(%0, %1) {low: [0, 1, 2], high: [0, 2, 1], interior: [0, 0, 0]}
output \"y\" = %2
";
    insta::assert_snapshot!(outlined(text), @r"
    pad: nest of 1
    pad: nest of 1
    pad: nest of 3
    ");
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
    insta::assert_snapshot!(outlined(text), @"max_sub_exp_sum_div: nest of 3");
}

/// Nothing bounds from above what is less than the largest of its row, and other exponents are
/// bounded still.
#[test]
fn the_exponents_of_a_softmax_need_no_upper_bound() {
    let bounds = |largest: &str| {
        let text = format!(
            "\
%0: f32[20, 10] = input \"x\"
%1: f32[20] = reduce(%0) {{{largest}: [1]}}
%2: f32[20, 10] = broadcast(%1) {{axes: [0]}}
%3: f32[20, 10] = sub(%0, %2)
%4: f32[20, 10] = exp(%3)
output \"y\" = %4
"
        );
        let nest = only_nest(&text);
        let insts = nest.stages.iter().flat_map(|stage| &stage.body.program.insts);
        insts.filter(|i| matches!(i, Inst::Binary(Binary::Min, ..))).count()
    };
    assert_eq!(bounds("max"), 0);
    assert_eq!(bounds("min"), 1);
}

/// A training step of a classifier with one hidden layer, as autodiff would write it.
fn training_step(batch: usize, inputs: usize, hidden: usize, classes: usize) -> Graph {
    let mut graph = Graph::new();
    let b = Builder::new(&mut graph);
    let ty = |shape: &[usize]| TensorType::new(DType::F32, shape.iter().map(|&n| Dim::from(n)));
    let dims = |shape: &[usize]| -> Vec<Dim> { shape.iter().map(|&n| Dim::from(n)).collect() };
    let pixels = TensorType::new(DType::U8, dims(&[batch, inputs]));
    let x = b.input("x", pixels);
    let y = b.input("y", TensorType::new(DType::U8, dims(&[batch])));
    let names = ["w1", "b1", "w2", "b2"];
    let shapes = [vec![inputs, hidden], vec![hidden], vec![hidden, classes], vec![classes]];
    let params: Vec<_> = names.iter().zip(&shapes).map(|(n, s)| b.input(*n, ty(s))).collect();
    let squares: Vec<_> =
        names.iter().zip(&shapes).map(|(n, s)| b.input(format!("v.{n}"), ty(s))).collect();
    let over = |x, shape: &[usize], to: &[usize]| b.broadcast(x, &dims(shape), to);

    let x = b.convert(x, DType::F32);
    let x = b.scale(1.0 / 255.0, x);
    let h = b.add(b.matmul(x, params[0]), over(params[1], &[batch, hidden], &[1]));
    let a = b.max(h, b.zeros_like(h));
    let z = b.add(b.matmul(a, params[2]), over(params[3], &[batch, classes], &[1]));
    let rows = [batch, classes];
    let top = b.reduce(ReduceOp::Max, z, &[1]);
    let e = b.exp(b.sub(z, over(top, &rows, &[0])));
    let sum = b.sum(e, &[1]);
    let lse = b.add(b.log(sum), top);
    let class = b.iota(DType::U8, &dims(&rows), 1);
    let hot = b.convert(b.eq(over(y, &rows, &[0]), class), DType::F32);
    let picked = b.sum(b.mul(hot, z), &[1]);
    let loss = b.scale(1.0 / batch as f64, b.sum_all(b.sub(lse, picked)));
    b.output("loss", loss);

    let p = b.div(e, over(sum, &rows, &[0]));
    let dz = b.scale(1.0 / batch as f64, b.sub(p, hot));
    let dw2 = b.matmul(b.transpose(a, &[1, 0]), dz);
    let db2 = b.sum(dz, &[0]);
    let da = b.matmul(dz, b.transpose(params[2], &[1, 0]));
    let dh = b.select(b.gt(h, b.zeros_like(h)), da, b.zeros_like(da));
    let dw1 = b.matmul(b.transpose(x, &[1, 0]), dh);
    let db1 = b.sum(dh, &[0]);
    for (i, g) in [dw1, db1, dw2, db2].into_iter().enumerate() {
        let v = b.add(b.scale(0.9, squares[i]), b.scale(0.1, b.square(g)));
        let step = b.div(b.scale(1e-3, g), b.add(b.sqrt(v), b.like(1e-7, v)));
        b.output(names[i], b.sub(params[i], step));
        b.output(format!("v.{}", names[i]), v);
    }
    drop(b);
    graph
}

#[test]
fn a_training_step_is_few_kernels() {
    let graph = training_step(16, 28, 24, 10);
    let mut inputs = values(&graph, 5);
    // Accumulated squares are not negative.
    for (input, (name, _)) in inputs.iter_mut().zip(graph.inputs()) {
        if name.starts_with("v.") {
            let shape = input.shape().clone();
            *input = Draws::Between(0.1, 1.0).tensor(DType::F32, shape, 9);
        }
    }
    let program = check(&graph, &inputs);
    insta::assert_snapshot!(outline(&program), @r"
    convert_mul: nest of 1
    matmul_add_max_gt: product 16x24x28
    matmul_add: product 16x10x24
    max_sub_exp_sum_eq_convert_mul_sum_div_sub_mul: nest of 3
    log_add_sub_sum_mul: nest of 1
    matmul_select: product 16x24x10
    sum_square_mul_mul_add_mul_sqrt_add_div_sub: nest of 1
    matmul_square_mul_mul_add_mul_sqrt_add_div_sub: product 28x24x16
    matmul_square_mul_mul_add_mul_sqrt_add_div_sub: product 24x10x16
    sum_square_mul_mul_add_mul_sqrt_add_div_sub: nest of 1
    ");
    // Every parameter and every accumulated square is updated in place.
    let names =
        |(i, o): &(u32, u32)| (&graph.inputs()[*i as usize].0, &graph.outputs()[*o as usize].0);
    let donations = &program.plan.donations;
    assert_eq!(donations.len(), 8);
    assert!(donations.iter().map(names).all(|(input, output)| input == output));
}

#[test]
fn products_of_half_floats_go_by_way_of_f32() {
    let text = "\
%0: bf16[32, 32] = input \"x\"
%1: bf16[32, 32] = input \"y\"
%2: bf16[32, 32] = contract(%0, %1) {sum: [1]x[1]}
output \"z\" = %2
";
    insta::assert_snapshot!(outlined(text), @"pack_pack_matmul: product 32x32x32");
}

#[test]
fn batched_products_copy_nothing() {
    // Heads stand between the rows and the columns of both operands.
    let text = "\
%0: f32[2, 5, 3, 8] = input \"q\"
%1: f32[2, 7, 3, 8] = input \"k\"
%2: f32[2, 3, 5, 7] = contract(%0, %1) {batch: [0, 2]x[0, 2], sum: [3]x[3]}
output \"scores\" = %2
";
    insta::assert_snapshot!(outlined(text), @"matmul: product 5x7x8");
}

#[test]
fn summed_axes_in_another_order_are_collected() {
    let text = "\
%0: f32[4, 5, 6] = input \"x\"
%1: f32[6, 5, 7] = input \"y\"
%2: f32[4, 7] = contract(%0, %1) {sum: [1, 2]x[1, 0]}
output \"z\" = %2
";
    insta::assert_snapshot!(outlined(text), @"matmul: product 4x7x30");
}

#[test]
fn layer_norm_is_one_nest() {
    let text = "\
%0: f32[12, 40] = input \"x\"
%1: f32 = const 0.025
%2: f32[12] = reduce(%0) {sum: [1]}
%3: f32[12] = broadcast(%1) {axes: []}
%4: f32[12] = mul(%2, %3)
%5: f32[12, 40] = broadcast(%4) {axes: [0]}
%6: f32[12, 40] = sub(%0, %5)
%7: f32[12, 40] = square(%6)
%8: f32[12] = reduce(%7) {sum: [1]}
%9: f32[12] = mul(%8, %3)
%10: f32[12] = rsqrt(%9)
%11: f32[12, 40] = broadcast(%10) {axes: [0]}
%12: f32[12, 40] = mul(%6, %11)
output \"y\" = %12
";
    insta::assert_snapshot!(outlined(text), @"sum_mul_sub_square_sum_mul_rsqrt_mul: nest of 3");
}

/// Squares of the differences of all pairs of so many rows of five elements, summed.
fn pairs(left: usize, right: usize) -> String {
    let body = "v0: f32 = arg 0; v1: f32 = arg 1; v2: f32 = sub v0 v1; v3: f32 = square v2";
    format!(
        "\
%0: f32[{left}, 5] = input \"x\"
%1: f32[{right}, 5] = input \"y\"
%2: f32[{left}, {right}] = fused(%0, %1) {{space: [{left}, {right}, 5], \
         maps: [[i0, i2], [i1, i2]], body: [{body}], sum: [2]}}
output \"z\" = %2
"
    )
}

#[test]
fn pairs_are_folded_along_results() {
    let lanes = |program: &Program| match &program.kernels.last().expect("a kernel").work {
        Work::Nest(nest) => nest.stages[0].lanes,
        _ => unreachable!("a nest"),
    };
    insta::assert_snapshot!(outlined(&pairs(20, 40)), @r"
    transpose: nest of 1
    sub_square_sum: nest of 1
    ");
    let lowered = |left, right| lower(&parse(&pairs(left, right)).expect("a graph"));
    assert_eq!(lanes(&lowered(20, 40)), 40);
    // A copy that few rows read, or few results to run along.
    assert_eq!(lanes(&lowered(3, 40)), 5);
    assert_eq!(lanes(&lowered(40, 9)), 5);
}

#[test]
fn large_reductions_are_chunked() {
    let text = "\
%0: f32[70001, 2] = input \"x\"
%1: f32 = reduce(%0) {sum: [0, 1]}
%2: f32[2] = reduce(%0) {max: [0]}
output \"sum\" = %1
output \"max\" = %2
";
    insta::assert_snapshot!(outlined(text), @r"
    sum: nest of 1
    sum: nest of 1
    sum_chunks: nest of 1
    max: nest of 1
    max: nest of 1
    max_chunks: nest of 1
    ");
}

#[test]
fn every_join_has_a_reason() {
    let (_, notes) = fuse::explained(lower(&training_step(16, 28, 24, 10)));
    let notes: Vec<String> = notes.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(notes[..4].join("\n"), @r"
    convert + mul: the value is handed on in a register, and not read back
    matmul + add: an epilogue on the product's registers replaces a pass over it
    matmul_add + max: an epilogue on the product's registers replaces a pass over it
    matmul_add_max + gt: an epilogue on the product's registers replaces a pass over it
    ");
}
