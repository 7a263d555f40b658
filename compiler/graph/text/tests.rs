//! Round trips and messages.

use super::*;
use crate::graph::ops::ROWS;
use crate::graph::{Builder, Dim, DimVar, Graph, Origin, TensorType};
use std::sync::Arc;
use tensc_runtime::{DType, Scalar, Tensor};

fn round_trip(graph: &Graph) -> String {
    let text = graph.to_string();
    let parsed = parse(&text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    assert_eq!(parsed, *graph, "{text}");
    assert_eq!(parsed.to_string(), text);
    text
}

#[test]
fn every_sample_of_every_row() {
    for sample in ROWS.iter().flat_map(|row| (row.samples)()) {
        let mut graph = Graph::new();
        let mut operands = Vec::new();
        for (i, ty) in sample.types().into_iter().enumerate() {
            operands.push(graph.add_input(format!("x{i}"), ty.clone(), Origin::default()));
        }
        let node = match &sample.op {
            crate::graph::Op::Input(ty) => graph.add_input("x", ty.clone(), Origin::default()),
            op => graph.add(op.clone(), &operands, Origin::default()).expect("well typed"),
        };
        graph.add_output("y", node);
        round_trip(&graph);
    }
}

#[test]
fn odd_names_sizes_and_numbers() {
    let mut graph = Graph::new();
    let g = Builder::new(&mut graph);
    let var = |id, name: &str| Dim::var(DimVar { id, name: Arc::from(name) });
    let (b, other_b, odd) = (var(3, "B"), var(1, "B"), var(2, "a b"));
    let f32 = DType::F32;
    let shape = [b.clone() * Dim::Const(2) - Dim::Const(1), other_b, odd, var(7, "N")];
    g.input("a \"quoted\"\n\u{1}name", TensorType::new(f32, shape));
    g.input("é", TensorType::new(f32, [b.clone() * b - Dim::Const(3) * var(7, "N")]));
    for x in [-0.0, 1e-45, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, 0.1, 16_777_217.0] {
        for dtype in DType::ALL {
            g.constant(x, dtype);
        }
    }
    g.scalar(Scalar::from_bits(f32, 0x7fc0_0123));
    g.literal(Tensor::from_slice(&[f64::NAN, -0.0, 0.1], [3, 1]));
    g.literal(Tensor::zeros(DType::Bool, [0]));
    g.literal(Tensor::from_slice(&[i64::MIN, i64::MAX], [2]));
    round_trip(&graph);
}

#[test]
fn origins_are_comments() {
    let mut sources = crate::diag::Sources::default();
    let source = sources.add("model.tx", "fn f() =\n    exp(x)");
    let span = crate::diag::Span::new(source, 13, 19);
    let mut graph = Graph::new();
    let x = graph.add_input("x", TensorType::scalar(DType::F32), Origin::source(span));
    let op = crate::graph::MapOp::Exp;
    let by = Origin::source(span).by(crate::graph::Via::Rewrite("fold"));
    let y = graph.add(op.into(), &[x], by).expect("well typed");
    graph.add_output("y", y);
    let text = with_origins(&graph, &sources);
    insta::assert_snapshot!(text, @r#"
    %0: f32 = input "x"  // model.tx:2:5
    %1: f32 = exp(%0)  // model.tx:2:5, by fold
    output "y" = %1
    "#);
    assert_eq!(parse(&text).expect("comments are skipped"), graph);
}

#[test]
fn sizes_may_begin_with_a_bracket() {
    let text = "dims N#0\n%0: f32[N] = input \"x\"\n%1: f32 = size (N / 2)\noutput \"y\" = %1\n";
    assert_eq!(parse(text).expect("it is a graph").to_string(), text);
}

#[test]
fn several_graphs_stand_below_their_titles() {
    let one = |name: &str| format!("%0: f32 = input \"{name}\"\noutput \"y\" = %0\n");
    let text = format!("// fn a\n// of the file\n{}\n// fn b\n{}", one("x"), one("z"));
    let all = parse_all(&text).expect("they are graphs");
    let found: Vec<(&str, String)> = all.iter().map(|(t, g)| (t.as_str(), g.to_string())).collect();
    assert_eq!(found, [("fn a", one("x")), ("fn b", one("z"))]);
    assert_eq!(parse_all(&one("x")).expect("it is a graph")[0].0, "");
    assert!(parse_all("").expect("there are none").is_empty());
    let broken = format!("{text}oops\n");
    let error = parse_all(&broken).expect_err("the last line is none").to_string();
    assert!(error.starts_with("line 9: "), "{error}");
}

#[test]
fn mistakes_name_their_line() {
    let of = |text: &str| match parse(&format!("%0: f32[2, 3] = input \"x\"\n{text}")) {
        Ok(graph) => panic!("parsed:\n{graph}"),
        Err(error) => error.to_string(),
    };
    insta::assert_snapshot!(of("%1: f32[2] = exp(%0)"), @"line 2: exp gives f32[2, 3], not f32[2]");
    insta::assert_snapshot!(of("%2: f32[2] = exp(%0)"), @"line 2: expected node %1, found %2");
    insta::assert_snapshot!(of("%1: f32[2, 3] = exp(%1)"), @"line 2: %1 does not exist yet");
    insta::assert_snapshot!(of("%1: f32[2, 3] = oops(%0)"), @"line 2: there is no operation `oops`");
    insta::assert_snapshot!(of("%1: f32[2, 3] = oops(%0) {axis: 1}"), @"line 2: there is no operation `oops`");
    insta::assert_snapshot!(of("%1: f32[B, 3] = exp(%0)"), @"line 2: `B` is not among the dims");
    insta::assert_snapshot!(of("%1: f31 = exp(%0)"), @"line 2: there is no element type `f31`");
    insta::assert_snapshot!(of("%1: f32[3, 2] = transpose(%0) {perm: [1, 1]}"), @"line 2: transpose needs each axis once, found [1, 1]");
    insta::assert_snapshot!(of("%1: f32[3, 2] = transpose(%0) {perm: [1, 300]}"), @"line 2: expected an integer in range, found `300]}`");
    insta::assert_snapshot!(of("%1: f32 = const 1.0 1"), @"line 2: expected the end of the line, found `1`");
    insta::assert_snapshot!(of("%1: i32 = const 1.5"), @"line 2: expected an element of type i32, found `1.5`");
    insta::assert_snapshot!(of("%1: f32 = input \"x\""), @r#"line 2: there is an input "x" already"#);
    insta::assert_snapshot!(of("%1: f32[-1] = input \"y\""), @"line 2: input of type f32[-1] has a negative size");
    insta::assert_snapshot!(of("output \"y = %0"), @"line 2: a string without an end");
}
