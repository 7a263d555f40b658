//! What is made once, what is not made, and what the fallible methods say.

use super::*;
use crate::graph::{DimVar, interpret, verify};
use std::sync::Arc;

fn ty(sizes: &[i64]) -> TensorType {
    TensorType::new(DType::F32, sizes.iter().map(|&n| Dim::Const(n)))
}

fn named(name: &str) -> Dim {
    Dim::var(DimVar { id: 0, name: Arc::from(name) })
}

#[test]
fn equal_nodes_are_one_node() {
    let mut graph = Graph::new();
    let g = Builder::new(&mut graph);
    let (x, y) = (g.input("x", ty(&[3])), g.input("y", ty(&[3])));
    assert_ne!(x, y, "inputs of one type are two");
    assert_eq!(g.add(x, y), g.add(x, y));
    assert_ne!(g.add(x, y), g.add(y, x));
    assert_eq!(g.like(1.0, x), g.like(1.0, y));
    assert_ne!(g.constant(0.0, DType::F32), g.constant(-0.0, DType::F32));
    let sum = g.add(x, y);
    let again = Builder::new(&mut graph);
    assert_eq!(again.add(x, y), sum, "a new builder finds what is there");
}

#[test]
fn what_changes_no_bit_is_not_made() {
    let mut graph = Graph::new();
    let g = Builder::new(&mut graph);
    let x = g.input("x", ty(&[2, 3, 4]));
    let shape = g.ty(x).shape;
    assert_eq!(g.reshape(g.reshape(x, &[Dim::Const(24)]), &shape), x);
    assert_eq!(g.transpose(g.transpose(x, &[2, 0, 1]), &[1, 2, 0]), x);
    assert_eq!(g.transpose(x, &[0, 1, 2]), x);
    assert_eq!(g.convert(x, DType::F32), x);
    assert_ne!(g.convert(g.convert(x, DType::F16), DType::F32), x);
    assert_eq!(g.broadcast_to(x, &shape), x);
    assert_eq!(g.sum(x, &[]), x);
    assert_eq!(g.concat(&[x], 1), x);
    assert_eq!(g.slice_axis(x, 1, &Dim::Const(0), &Dim::Const(3)), x);
    assert_ne!(g.slice_axis(x, 1, &Dim::Const(1), &Dim::Const(2)), x);
    let zero = g.constant(0.0, DType::F32);
    let (row, wide) = (g.splat(zero, &shape[2..]), g.splat(zero, &shape));
    assert_eq!(g.broadcast(row, &shape, &[2]), wide, "a broadcast of a broadcast is one");
    assert!(g.try_add(Op::Reshape(smallvec![Dim::Const(5)]), &[x]).is_err(), "still checked");
}

#[test]
fn broadcasting_is_numpys() {
    let mut graph = Graph::new();
    let g = Builder::new(&mut graph);
    let (column, row) = (g.input("column", ty(&[2, 1])), g.input("row", ty(&[3])));
    let sum = g.try_map(MapOp::Add, &[column, row]).expect("broadcasts");
    assert_eq!(g.ty(sum), ty(&[2, 3]));
    assert_eq!(g.ty(g.sum_to(sum, &g.ty(column).shape)), ty(&[2, 1]));
    assert_eq!(g.ty(g.sum_to(sum, &g.ty(row).shape)), ty(&[3]));
    g.output("sum", sum);
    let inputs =
        [Tensor::from_slice(&[1f32, 2.0], [2, 1]), Tensor::from_slice(&[10f32, 20.0, 30.0], [3])];
    let sums = Tensor::from_slice(&[11f32, 21.0, 31.0, 12.0, 22.0, 32.0], [2, 3]);
    assert_eq!(interpret(&graph, &inputs).expect("runs"), [sums]);
}

#[test]
fn a_mismatch_names_operands_and_axes() {
    let mut graph = Graph::new();
    let g = Builder::new(&mut graph);
    let b = named("B");
    let x = g.input("x", TensorType::new(DType::F32, [b.clone(), Dim::Const(3)]));
    let y = g.input("y", TensorType::new(DType::F32, [Dim::Const(1), Dim::Const(4)]));
    let z = g.input("z", ty(&[4]));
    let one = g.constant(1.0, DType::F32);
    let error = |operands: &[NodeId]| g.try_map(MapOp::Add, operands).expect_err("differs");
    let of = |e: TypeError| format!("{} at {:?}", e.message, e.axes.as_slice());
    insta::assert_snapshot!(of(error(&[x, y])), @"shapes [B, 3] and [1, 4] do not broadcast: 3 and 4 differ at [(0, 1), (1, 1)]");
    insta::assert_snapshot!(of(error(&[one, z, x])), @"shapes [4] and [B, 3] do not broadcast: 4 and 3 differ at [(1, 0), (2, 1)]");
    let selected = g.try_map(MapOp::Select, &[g.eq(z, z), x, y]).expect_err("differs");
    insta::assert_snapshot!(of(selected), @"shapes [4] and [B, 3] do not broadcast: 4 and 3 differ at [(0, 0), (1, 1)]");
    let n = g.input("n", TensorType::new(DType::I64, [b]));
    insta::assert_snapshot!(of(error(&[n, one])), @"add takes operands of one type, found i64 and f32 at []");
    insta::assert_snapshot!(of(g.try_matmul(x, y).expect_err("differs")), @"@ needs equal inner dimensions, found 3 and 1 at [(0, 1), (1, 0)]");
    insta::assert_snapshot!(of(g.try_matmul(x, one).expect_err("differs")), @"@ takes vectors and matrices, found f32[B, 3] and f32 at []");
}

#[test]
fn matmul_is_numpys() {
    let cases: &[(&[i64], &[i64], &[i64])] = &[
        (&[3], &[3], &[]),
        (&[2, 3], &[3], &[2]),
        (&[3], &[3, 4], &[4]),
        (&[2, 3], &[3, 4], &[2, 4]),
        (&[5, 2, 3], &[3, 4], &[5, 2, 4]),
        (&[5, 2, 3], &[5, 3, 4], &[5, 2, 4]),
        (&[2, 3], &[5, 3, 4], &[5, 2, 4]),
        (&[3], &[5, 3, 4], &[5, 4]),
        (&[5, 2, 3], &[3], &[5, 2]),
        (&[6, 1, 2, 3], &[5, 3, 4], &[6, 5, 2, 4]),
    ];
    for (left, right, result) in cases {
        let mut graph = Graph::new();
        let g = Builder::new(&mut graph);
        let (x, y) = (g.input("x", ty(left)), g.input("y", ty(right)));
        let product = g.matmul(x, y);
        assert_eq!(g.ty(product), ty(result), "{left:?} @ {right:?}");
        g.output("product", product);
        verify(&graph).expect("sound");
    }
}

#[test]
fn inlining_replaces_inputs() {
    let mut square = Graph::new();
    let g = Builder::new(&mut square);
    let x = g.input("x", ty(&[2]));
    g.exp(x);
    g.output("y", g.mul(x, x));
    let mut graph = Graph::new();
    let g = Builder::new(&mut graph);
    let a = g.input("a", ty(&[2]));
    let fourth = g.inline(&square, &g.inline(&square, &[a]));
    g.output("fourth", fourth[0]);
    assert_eq!(graph.len(), 3, "dead nodes stay behind");
    let value = interpret(&graph, &[Tensor::from_slice(&[2f32, -3.0], [2])]).expect("runs");
    assert_eq!(value, [Tensor::from_slice(&[16f32, 81.0], [2])]);
}
