//! Values worked out by hand, so that the oracle of the other tests has one of its own.

use crate::graph::{interpret, text};
use tensc_runtime::{DType, Tensor};

/// The values of `op`, of type `ty`, on operands of these types and values.
fn value(ty: &str, op: &str, operands: &[(&str, &[f64])]) -> Vec<f64> {
    let mut lines = String::new();
    let mut inputs = Vec::new();
    for (i, (ty, values)) in operands.iter().enumerate() {
        lines += &format!("%{i}: {ty} = input \"x{i}\"\n");
        let (dtype, shape) = ty.split_once('[').unwrap_or((ty, "]"));
        let sizes = shape.trim_end_matches(']').split(", ").filter(|s| !s.is_empty());
        let shape: Vec<usize> = sizes.map(|s| s.parse().expect("a size")).collect();
        let dtype = DType::from_name(dtype).expect("an element type");
        inputs.push(Tensor::from_f64_slice(dtype, values, shape.as_slice()));
    }
    let n = operands.len();
    let graph = text::parse(&format!("{lines}%{n}: {ty} = {op}\noutput \"y\" = %{n}"))
        .unwrap_or_else(|e| panic!("{op}: {e}"));
    interpret(&graph, &inputs).unwrap_or_else(|e| panic!("{op}: {e}"))[0].to_f64_vec()
}

const INF: f64 = f64::INFINITY;

#[test]
fn views() {
    let x: (&str, &[f64]) = ("f32[2, 3]", &[1., 2., 3., 4., 5., 6.]);
    assert_eq!(value("f32[3, 2]", "transpose(%0) {perm: [1, 0]}", &[x]), [1., 4., 2., 5., 3., 6.]);
    assert_eq!(value("f32[3, 2]", "reshape(%0)", &[x]), [1., 2., 3., 4., 5., 6.]);
    let slice = "slice(%0) {starts: [1, 2], steps: [-1, -2]}";
    assert_eq!(value("f32[2, 2]", slice, &[x]), [6., 4., 3., 1.]);
    let row: (&str, &[f64]) = ("i32[2]", &[7., 8.]);
    assert_eq!(value("i32[2, 2]", "broadcast(%0) {axes: [1]}", &[row]), [7., 8., 7., 8.]);
    assert_eq!(value("i32[2, 2]", "broadcast(%0) {axes: [0]}", &[row]), [7., 7., 8., 8.]);
    assert_eq!(value("i32[2, 3]", "iota {axis: 1}", &[]), [0., 1., 2., 0., 1., 2.]);
}

#[test]
fn joining() {
    let pad = "pad(%0, %1) {low: [1], high: [2], interior: [1]}";
    let padded = value("f32[6]", pad, &[("f32[2]", &[1., 2.]), ("f32", &[9.])]);
    assert_eq!(padded, [9., 1., 9., 2., 9., 9.]);
    let parts: [(&str, &[f64]); 2] = [("u8[2, 1]", &[1., 2.]), ("u8[2, 2]", &[3., 4., 5., 6.])];
    assert_eq!(value("u8[2, 3]", "concat(%0, %1) {axis: 1}", &parts), [1., 3., 4., 2., 5., 6.]);
}

#[test]
fn reductions() {
    let x: (&str, &[f64]) = ("f32[2, 3]", &[1., -2., 3., -4., 5., 6.]);
    assert_eq!(value("f32[2]", "reduce(%0) {sum: [1]}", &[x]), [2., 7.]);
    assert_eq!(value("f32[3]", "reduce(%0) {prod: [0]}", &[x]), [-4., -10., 18.]);
    assert_eq!(value("f32", "reduce(%0) {min: [0, 1]}", &[x]), [-4.]);
    assert_eq!(value("i64[3]", "arg_reduce(%0) {max: 0}", &[x]), [0., 1., 1.]);
    assert_eq!(value("i64[2]", "arg_reduce(%0) {min: 1}", &[x]), [1., 0.]);
    let nan: (&str, &[f64]) = ("f32[4]", &[1., f64::NAN, 5., f64::NAN]);
    assert!(value("f32", "reduce(%0) {max: [0]}", &[nan])[0].is_nan());
    assert_eq!(value("i64", "arg_reduce(%0) {max: 0}", &[nan]), [1.]);
    assert_eq!(value("i64", "arg_reduce(%0) {min: 0}", &[nan]), [1.]);
    let ties: (&str, &[f64]) = ("i32[4]", &[3., 7., 7., 3.]);
    assert_eq!(value("i64", "arg_reduce(%0) {max: 0}", &[ties]), [1.]);
    let none: (&str, &[f64]) = ("f32[0]", &[]);
    assert_eq!(value("f32", "reduce(%0) {max: [0]}", &[none]), [-INF]);
    assert_eq!(value("f32", "reduce(%0) {prod: [0]}", &[none]), [1.]);
    assert_eq!(value("i8", "reduce(%0) {min: [0]}", &[("i8[0]", &[])]), [127.]);
    assert_eq!(value("u8", "reduce(%0) {sum: [0]}", &[("u8[3]", &[100., 100., 100.])]), [44.]);
    let masks: (&str, &[f64]) = ("bool[2, 2]", &[1., 0., 1., 1.]);
    assert_eq!(value("bool[2]", "reduce(%0) {all: [1]}", &[masks]), [0., 1.]);
    assert_eq!(value("bool[2]", "reduce(%0) {any: [1]}", &[masks]), [1., 1.]);
    // 2²⁴ + 1 + 1 in f32 stays 2²⁴ if each sum is rounded; the interpreter rounds once.
    let long: (&str, &[f64]) = ("f32[3]", &[16_777_216., 1., 1.]);
    assert_eq!(value("f32", "reduce(%0) {sum: [0]}", &[long]), [16_777_218.]);
}

#[test]
fn products() {
    let x: (&str, &[f64]) = ("f32[2, 3]", &[1., 2., 3., 4., 5., 6.]);
    let y: (&str, &[f64]) = ("f32[3, 2]", &[1., 0., 2., 1., 0., 3.]);
    let matmul = "contract(%0, %1) {sum: [1]x[0]}";
    assert_eq!(value("f32[2, 2]", matmul, &[x, y]), [5., 11., 14., 23.]);
    let rows = "contract(%0, %1) {batch: [0]x[0], sum: [1]x[1]}";
    assert_eq!(value("f32[2]", rows, &[x, x]), [14., 77.]);
    let crossed = "contract(%0, %1) {sum: [0, 1]x[1, 0]}";
    assert_eq!(value("f32", crossed, &[x, y]), [1. + 4. + 5. + 18.]);
    let outer = "contract(%0, %1) {sum: []x[]}";
    let (a, b): ((&str, &[f64]), (&str, &[f64])) = (("i32[2]", &[1., 2.]), ("i32[2]", &[3., 5.]));
    assert_eq!(value("i32[2, 2]", outer, &[a, b]), [3., 5., 6., 10.]);
    // A batch axis comes first wherever it stands in the operands.
    let batched = "contract(%0, %1) {batch: [1]x[0], sum: []x[]}";
    let right: (&str, &[f64]) = ("f32[3, 2]", &[1., 1., 2., 1., 0., 3.]);
    let left: (&str, &[f64]) = ("f32[1, 3]", &[1., 2., 5.]);
    assert_eq!(value("f32[3, 1, 2]", batched, &[left, right]), [1., 1., 4., 2., 0., 15.]);
}

#[test]
fn computed_positions() {
    let x: (&str, &[f64]) = ("f32[2, 3]", &[1., 2., 3., 4., 5., 6.]);
    let i: (&str, &[f64]) = ("i64[4]", &[2., 0., -1., 2.]);
    let gathered = value("f32[2, 4]", "gather(%0, %1) {axis: 1}", &[x, i]);
    assert_eq!(gathered, [3., 1., 3., 3., 6., 4., 6., 6.]);
    let updates: (&str, &[f64]) = ("f32[2, 4]", &[1., 2., 4., 8., 10., 20., 40., 80.]);
    let scattered = value("f32[2, 3]", "scatter_add(%0, %1, %2) {axis: 1}", &[x, i, updates]);
    assert_eq!(scattered, [3., 2., 16., 24., 5., 136.]);
    assert_eq!(value("i64[4]", "check_index(%0) {bound: 3}", &[i]), [2., 0., 2., 2.]);
}

#[test]
fn conversions() {
    let x: (&str, &[f64]) = ("f32[7]", &[-1.9, 0.5, 300., -INF, INF, f64::NAN, -0.0]);
    let to = |ty: &str| value(ty, "convert(%0)", &[x]);
    assert_eq!(to("u8[7]"), [0., 0., 255., 0., 255., 0., 0.]);
    assert_eq!(to("i8[7]"), [-1., 0., 127., -128., 127., 0., 0.]);
    assert_eq!(to("bool[7]"), [1., 1., 1., 1., 1., 1., 0.]);
    let n: (&str, &[f64]) = ("i32[4]", &[-1., 256., 300., 16_777_217.]);
    assert_eq!(value("u8[4]", "convert(%0)", &[n]), [255., 0., 44., 1.]);
    assert_eq!(value("f32[4]", "convert(%0)", &[n]), [-1., 256., 300., 16_777_216.]);
    assert_eq!(value("bool[4]", "convert(%0)", &[n]), [1., 1., 1., 1.]);
    assert_eq!(value("f16[1]", "convert(%0)", &[("f32[1]", &[1e6])]), [INF]);
}

#[test]
fn integers_wrap_and_divide_by_zero_to_zero() {
    let (a, b): ((&str, &[f64]), (&str, &[f64])) =
        (("i8[4]", &[-128., -7., 7., 100.]), ("i8[4]", &[-1., 2., 0., 100.]));
    assert_eq!(value("i8[4]", "div(%0, %1)", &[a, b]), [-128., -3., 0., 1.]);
    assert_eq!(value("i8[4]", "rem(%0, %1)", &[a, b]), [0., -1., 0., 0.]);
    assert_eq!(value("i8[4]", "add(%0, %1)", &[a, b]), [127., -5., 7., -56.]);
    assert_eq!(value("i8[4]", "neg(%0)", &[a]), [-128., 7., -7., -100.]);
    assert_eq!(value("i8[4]", "shr(%0, %1)", &[a, b]), [-1., -2., 7., 0.]);
    assert_eq!(value("bool[2]", "not(%0)", &[("bool[2]", &[0., 1.])]), [1., 0.]);
}

#[test]
fn fused_work() {
    let fused = "fused(%0, %1) {space: [2, 3], maps: [[i0], [2 - i1]], \
                 body: [v0: f32 = arg 0; v1: f32 = arg 1; v2: f32 = mul v0 v1]";
    let operands: [(&str, &[f64]); 2] = [("f32[2]", &[1., 10.]), ("f32[3]", &[1., 2., 3.])];
    let all = value("f32[2, 3]", &format!("{fused}}}"), &operands);
    assert_eq!(all, [3., 2., 1., 30., 20., 10.]);
    let sums = value("f32[2]", &format!("{fused}, sum: [1]}}"), &operands);
    assert_eq!(sums, [6., 60.]);
}

/// Philox and its distributions have tests of their own; here, that positions are row-major, keys
/// count, and ranges hold.
#[test]
fn draws() {
    let at = |key: f64, ty: &str, draw: &str| {
        value(ty, &format!("random(%0) {{draw: {draw}}}"), &[("i64", &[key])])
    };
    assert_eq!(at(1., "f32[2, 3]", "normal"), at(1., "f32[6]", "normal"));
    assert_ne!(at(1., "f32[6]", "normal"), at(2., "f32[6]", "normal"));
    for ty in ["f16[4000]", "bf16[4000]", "f32[4000]", "f64[4000]"] {
        let uniform = at(3., ty, "uniform");
        assert!(uniform.iter().all(|x| (0.0..1.0).contains(x)), "{ty}");
        let mean = uniform.iter().sum::<f64>() / 4000.0;
        assert!((mean - 0.5).abs() < 0.02, "{ty}: {mean}");
        let variance = at(3., ty, "normal").iter().map(|x| x * x).sum::<f64>() / 4000.0;
        assert!((variance - 1.0).abs() < 0.1, "{ty}: {variance}");
    }
}
