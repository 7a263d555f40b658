//! Second derivatives and Jacobians against differences of first ones.

use super::{differentiable, evaluate, in_f64, scalar_graph, shifted};
use crate::autodiff::{gradient, hessian, hvp, jacobian};
use crate::graph::ops::{Jvp, ROWS, Sample};
use crate::graph::{Builder, Dim, Graph, NodeId, Origin};
use tensc_runtime::Tensor;

const STEP: f64 = 1e-5;

/// `x + by * v` in the inputs `wrt`.
fn along(x: &[Tensor], v: &[Tensor], wrt: &[usize], by: f64) -> Vec<Tensor> {
    let mut moved = x.to_vec();
    for &i in wrt {
        let direction = v[i].to_f64_vec();
        let to = moved[i].as_mut_slice::<f64>();
        to.iter_mut().zip(direction).for_each(|(x, d)| *x += by * d);
    }
    moved
}

fn smooth() -> impl Iterator<Item = (&'static str, Sample)> {
    ROWS.iter().filter(|row| !matches!(row.jvp, Jvp::Zero)).flat_map(|row| {
        let samples = (row.samples)().into_iter().filter_map(|s| in_f64(&s));
        samples.filter(|s| !s.op.stops_gradient()).map(|s| (row.name, s))
    })
}

#[test]
fn hessian_vector_products_agree_with_differences_of_gradients() {
    for (name, sample) in smooth() {
        let mut graph = scalar_graph(&sample);
        // The square makes the second derivative of what is linear count as well.
        let loss = graph.outputs()[0].1;
        graph.clear_outputs();
        let b = Builder::new(&mut graph);
        b.output("loss", b.add(b.square(loss), loss));
        drop(b);
        let wrt = differentiable(&graph);
        let (x, v) = (sample.values(7), sample.values(23));
        let first = gradient(&graph, 0, &wrt).expect("differentiable");
        let at = |by: f64| evaluate(&first, &along(&x, &v, &wrt, by)).expect("evaluates");
        let (up, down) = (at(STEP), at(-STEP));
        let second = hvp(&graph, &wrt).expect("differentiable");
        let inputs: Vec<Tensor> =
            x.iter().cloned().chain(wrt.iter().map(|&i| v[i].clone())).collect();
        let have = evaluate(&second, &inputs).expect("evaluates");
        for (k, have) in have.iter().enumerate() {
            let (up, down) = (up[k + 1].to_f64_vec(), down[k + 1].to_f64_vec());
            let largest = up.iter().fold(1.0f64, |m, x| m.max(x.abs()));
            for (i, have) in have.to_f64_vec().into_iter().enumerate() {
                let want = (up[i] - down[i]) / (2.0 * STEP);
                let close = (have - want).abs() <= 1e-5 * (largest + want.abs());
                assert!(close, "{name} {:?}: {have}, not {want}", sample.op);
            }
        }
    }
}

/// The operation with its elements weighted, so that none of them is like another.
fn vector_graph(sample: &Sample) -> Graph {
    let mut graph = Graph::new();
    let add = |(i, (ty, _)): (usize, &(crate::graph::TensorType, _))| {
        graph.add_input(format!("x{i}"), ty.clone(), Origin::default())
    };
    let operands: Vec<NodeId> = sample.operands.iter().enumerate().map(add).collect();
    let b = Builder::new(&mut graph);
    b.output("y", b.add_op(sample.op.clone(), &operands));
    drop(b);
    graph
}

#[test]
fn jacobians_agree_with_differences() {
    for (name, sample) in smooth() {
        let graph = vector_graph(&sample);
        let wrt = differentiable(&graph);
        let x = sample.values(7);
        let derived = jacobian(&graph, &wrt).expect("differentiable");
        let blocks = evaluate(&derived, &x).expect("evaluates");
        let outputs = graph.ty(graph.outputs()[0].1).clone();
        for (&input, block) in wrt.iter().zip(&blocks) {
            let shape: Vec<usize> =
                (outputs.concrete_shape().iter()).chain(x[input].shape().iter()).copied().collect();
            assert_eq!(block.shape()[..], shape[..], "{name} {:?}", sample.op);
            let (n, have) = (x[input].len(), block.to_f64_vec());
            for element in 0..n {
                let value = |by| {
                    evaluate(&graph, &shifted(&x, input, element, by)).expect("evaluates")[0]
                        .to_f64_vec()
                };
                let (up, down) = (value(STEP), value(-STEP));
                for (row, (up, down)) in up.into_iter().zip(down).enumerate() {
                    let (want, have) = ((up - down) / (2.0 * STEP), have[row * n + element]);
                    let close = (have - want).abs() <= 1e-5 + 1e-5 * want.abs();
                    assert!(close, "{name} {:?} [{row}, {element}]: {have}, not {want}", sample.op);
                }
            }
        }
    }
}

/// `sum(tanh(w @ x)²) + sum(x³)`, by `w` and `x`.
fn energy() -> Graph {
    let f64s = |sizes: &[i64]| {
        let dims = sizes.iter().map(|&n| Dim::Const(n));
        crate::graph::TensorType::new(tensc_runtime::DType::F64, dims)
    };
    let mut graph = Graph::new();
    let w = graph.add_input("w", f64s(&[2, 3]), Origin::default());
    let x = graph.add_input("x", f64s(&[3]), Origin::default());
    let b = Builder::new(&mut graph);
    let squares = b.sum_all(b.square(b.tanh(b.matmul(w, x))));
    let cubes = b.sum_all(b.mul(b.square(x), x));
    b.output("loss", b.add(squares, cubes));
    drop(b);
    graph
}

#[test]
fn hessians_are_symmetric_and_agree_with_differences() {
    let graph = energy();
    let inputs = [
        Tensor::from_slice(&[0.3f64, -0.2, 0.5, 0.7, 0.1, -0.4], [2, 3]),
        Tensor::from_slice(&[0.9f64, -1.1, 0.4], [3]),
    ];
    let blocks = evaluate(&hessian(&graph, &[0, 1]).unwrap(), &inputs).unwrap();
    let first = gradient(&graph, 0, &[0, 1]).unwrap();
    let sizes = [6, 3];
    for a in 0..2 {
        for c in 0..2 {
            let block = blocks[a * 2 + c].to_f64_vec();
            let mirror = blocks[c * 2 + a].to_f64_vec();
            for j in 0..sizes[c] {
                let at = |by| evaluate(&first, &shifted(&inputs, c, j, by)).unwrap();
                let (up, down) = (at(STEP)[a + 1].to_f64_vec(), at(-STEP)[a + 1].to_f64_vec());
                for i in 0..sizes[a] {
                    let have = block[i * sizes[c] + j];
                    let want = (up[i] - down[i]) / (2.0 * STEP);
                    assert!((have - want).abs() < 1e-8, "[{a}{c}] {i} {j}: {have}, not {want}");
                    assert!((have - mirror[j * sizes[a] + i]).abs() < 1e-14);
                }
            }
        }
    }
}

#[test]
fn the_second_derivative_of_a_ramp_is_zero_and_no_mistake() {
    let mut graph = Graph::new();
    let ty = crate::graph::TensorType::new(tensc_runtime::DType::F64, [Dim::Const(2)]);
    let x = graph.add_input("x", ty, Origin::default());
    let b = Builder::new(&mut graph);
    b.output("loss", b.sum_all(b.max(x, b.zeros_like(x))));
    drop(b);
    let values =
        evaluate(&hessian(&graph, &[0]).unwrap(), &[Tensor::from_slice(&[1.0, -1.0], [2])]);
    assert_eq!(values.unwrap()[0].to_f64_vec(), [0.0; 4]);
}
