//! Batching against a loop over the lanes, for every row of the table.

use super::{differentiable, evaluate, in_f64, scalar_graph};
use crate::autodiff::{batch, gradient};
use crate::graph::ops::{Jvp, ROWS, Sample};
use crate::graph::{Builder, Dim, DimVar, Graph, NodeId, Origin};
use tensc_runtime::{Shape, Tensor, with_element};

const LANES: usize = 3;

/// The operation alone as a graph.
fn plain(sample: &Sample) -> Graph {
    let mut graph = Graph::new();
    let add = |(i, (ty, _)): (usize, &(crate::graph::TensorType, _))| {
        graph.add_input(format!("x{i}"), ty.clone(), Origin::default())
    };
    let operands: Vec<NodeId> = sample.operands.iter().enumerate().map(add).collect();
    let node = graph.add(sample.op.clone(), &operands, Origin::default()).expect("a sample fits");
    graph.add_output("y", node);
    graph
}

/// Tensors of one type along a new leading axis.
fn stacked(parts: &[Tensor]) -> Tensor {
    let shape: Shape =
        std::iter::once(parts.len()).chain(parts[0].shape().iter().copied()).collect();
    with_element!(parts[0].dtype(), T => {
        let all: Vec<T> = parts.iter().flat_map(|p| p.as_slice::<T>().to_vec()).collect();
        Tensor::from_slice(&all, shape)
    })
}

fn lane(tensor: &Tensor, number: usize) -> Tensor {
    let shape: Shape = tensor.shape()[1..].iter().copied().collect();
    let n = shape.elements();
    with_element!(tensor.dtype(), T => {
        Tensor::from_slice(&tensor.as_slice::<T>()[number * n..][..n], shape)
    })
}

/// The arguments of each lane, and of the batched graph; operands that are not batched are those of
/// lane 0.
fn arguments(sample: &Sample, batched: &[bool]) -> (Vec<Vec<Tensor>>, Vec<Tensor>) {
    let mut lanes: Vec<Vec<Tensor>> = (0..LANES).map(|l| sample.values(5 + l as u64)).collect();
    for l in 1..LANES {
        for (i, _) in batched.iter().enumerate().filter(|(_, batched)| !**batched) {
            lanes[l][i] = lanes[0][i].clone();
        }
    }
    let of = |(i, &batched): (usize, &bool)| {
        let parts: Vec<Tensor> = lanes.iter().map(|lane| lane[i].clone()).collect();
        if batched { stacked(&parts) } else { parts[0].clone() }
    };
    let many = batched.iter().enumerate().map(of).collect();
    (lanes, many)
}

/// Every way to batch some of `count` operands.
fn choices(count: usize) -> Vec<Vec<bool>> {
    (1..1usize << count).map(|bits| (0..count).map(|i| bits >> i & 1 == 1).collect()).collect()
}

fn size() -> Dim {
    Dim::from(LANES)
}

#[test]
fn every_row_on_lanes_gives_the_bits_of_a_loop() {
    for row in ROWS {
        let mut checked = 0;
        for (number, sample) in (row.samples)().iter().enumerate() {
            let graph = plain(sample);
            for batched in choices(sample.operands.len()) {
                let what = format!("{} sample {number} ({:?}) on {batched:?}", row.name, sample.op);
                let many = batch(&graph, &batched, &size());
                let (lanes, arguments) = arguments(sample, &batched);
                let have =
                    &evaluate(&many, &arguments).unwrap_or_else(|e| panic!("{what}: {e}"))[0];
                for (l, inputs) in lanes.iter().enumerate() {
                    let want = &evaluate(&graph, inputs).expect("a sample evaluates")[0];
                    let have = lane(have, l);
                    assert_eq!(have.shape(), want.shape(), "{what}");
                    assert_eq!(have.as_bytes(), want.as_bytes(), "{what}, lane {l}");
                }
                checked += 1;
            }
        }
        assert!(checked > 0 || row.arity == Some(0), "no sample of `{}` was batched", row.name);
    }
}

#[test]
fn lanes_of_lanes_are_lanes() {
    for row in ROWS.iter().filter(|row| row.arity != Some(0) && row.name != "fused") {
        for sample in (row.samples)().iter().take(6) {
            let graph = plain(sample);
            let all = vec![true; sample.operands.len()];
            let once = batch(&graph, &all, &size());
            let (lanes, arguments) = arguments(sample, &all);
            let twice = batch(&once, &all, &Dim::Const(2));
            let arguments: Vec<Tensor> =
                arguments.iter().map(|t| stacked(&[t.clone(), t.clone()])).collect();
            let have = &evaluate(&twice, &arguments).expect("evaluates")[0];
            let want = &evaluate(&graph, &lanes[1]).expect("evaluates")[0];
            assert_eq!(lane(&lane(have, 1), 1).as_bytes(), want.as_bytes(), "{:?}", sample.op);
        }
    }
}

#[test]
fn the_gradient_of_lanes_is_the_lanes_of_the_gradient() {
    for row in ROWS.iter().filter(|row| !matches!(row.jvp, Jvp::Zero)) {
        for sample in (row.samples)().iter().filter_map(in_f64) {
            let graph = scalar_graph(&sample);
            let wrt = differentiable(&graph);
            let all = vec![true; sample.operands.len()];
            let outside = batch(&gradient(&graph, 0, &wrt).expect("differentiable"), &all, &size());
            let mut summed = batch(&graph, &all, &size());
            let losses = summed.outputs()[0].1;
            summed.clear_outputs();
            let b = Builder::new(&mut summed);
            let total = b.sum_all(losses);
            b.output("loss", total);
            drop(b);
            let inside = gradient(&summed, 0, &wrt).expect("differentiable");
            let (_, arguments) = arguments(&sample, &all);
            let outside = evaluate(&outside, &arguments).expect("evaluates");
            let inside = evaluate(&inside, &arguments).expect("evaluates");
            for (a, b) in outside[1..].iter().zip(&inside[1..]) {
                for (a, b) in a.to_f64_vec().into_iter().zip(b.to_f64_vec()) {
                    let close = (a - b).abs() <= 1e-12 * (1.0 + a.abs() + b.abs());
                    assert!(close, "{:?}: {a} and {b}", sample.op);
                }
            }
        }
    }
}

#[test]
fn the_number_of_lanes_may_be_a_name() {
    let lanes = Dim::var(DimVar { id: 0, name: "B".into() });
    for row in ROWS.iter().filter(|row| row.arity != Some(0) && row.name != "fused") {
        for sample in (row.samples)() {
            let graph = plain(&sample);
            for batched in choices(sample.operands.len()) {
                let many = batch(&graph, &batched, &lanes);
                let (_, y) = &many.outputs()[0];
                assert_eq!(many.ty(*y).shape[0], lanes, "{:?}", sample.op);
                let (_, was) = &graph.outputs()[0];
                assert_eq!(many.ty(*y).shape[1..], graph.ty(*was).shape[..], "{:?}", sample.op);
            }
        }
    }
}
