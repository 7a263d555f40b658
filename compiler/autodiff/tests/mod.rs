//! Every differentiable row of the table against central differences, and the driver's own
//! promises.

mod batch;
mod second;

use super::*;
use crate::graph::ops::{EvalError, Jvp, ROWS, Sample};
use crate::graph::{Dim, MapOp, Op, Origin};
use tensc_runtime::{DType, Tensor};

/// The values of the outputs, by the rows' naive evaluation.
fn evaluate(graph: &Graph, inputs: &[Tensor]) -> Result<Vec<Tensor>, EvalError> {
    let mut values: Vec<Option<Tensor>> = vec![None; graph.len()];
    for ((_, id), tensor) in graph.inputs().iter().zip(inputs) {
        values[id.index()] = Some(tensor.clone());
    }
    for id in graph.nodes().filter(|id| !matches!(graph.op(*id), Op::Input(_))) {
        let operands = graph.operands(id);
        let operands: Vec<&Tensor> =
            operands.iter().map(|o| values[o.index()].as_ref().expect("in order")).collect();
        let value = (graph.op(id).row().eval)(graph.op(id), &operands, graph.ty(id))?;
        values[id.index()] = Some(value);
    }
    let output = |(_, id): &(String, NodeId)| values[id.index()].clone().expect("evaluated");
    Ok(graph.outputs().iter().map(output).collect())
}

/// A sample in `f64`, where the operation takes it: differences need the precision.
fn in_f64(sample: &Sample) -> Option<Sample> {
    let mut sample = sample.clone();
    for (ty, _) in &mut sample.operands {
        match ty.dtype {
            DType::F32 => ty.dtype = DType::F64,
            // A step says its types itself.
            DType::F64 if matches!(sample.op, Op::Scan(_) | Op::Call(_)) => {}
            DType::F16 | DType::BF16 | DType::F64 => return None,
            _ => {}
        }
    }
    if let Op::Convert(dtype) = &mut sample.op {
        if *dtype != DType::F32 {
            return None;
        }
        *dtype = DType::F64;
    }
    let result = sample.op.infer(&sample.types()).ok()?;
    let moves = sample.operands.iter().any(|(ty, _)| ty.dtype.is_float());
    (result.dtype == DType::F64 && moves).then_some(sample)
}

/// `weighted sum of the operation's result` as a graph, so that every element of the Jacobian
/// counts.
fn scalar_graph(sample: &Sample) -> Graph {
    let mut graph = Graph::new();
    let operands: Vec<NodeId> = (sample.operands.iter().enumerate())
        .map(|(i, (ty, _))| graph.add_input(format!("x{i}"), ty.clone(), Origin::default()))
        .collect();
    let b = Builder::new(&mut graph);
    let result = b.add_op(sample.op.clone(), &operands);
    let ty = b.ty(result);
    let n = ty.elements().known().expect("samples are concrete");
    let flat = b.reshape(result, &[Dim::Const(n)]);
    let position = b.iota(DType::F64, &[Dim::Const(n)], 0);
    let weight = b.cos(b.scale(0.7, position));
    b.output("loss", b.sum_all(b.mul(flat, weight)));
    drop(b);
    graph
}

fn differentiable(graph: &Graph) -> Vec<usize> {
    let float = |i: &usize| graph.ty(graph.inputs()[*i].1).dtype.is_float();
    (0..graph.inputs().len()).filter(float).collect()
}

fn loss(graph: &Graph, inputs: &[Tensor]) -> f64 {
    evaluate(graph, inputs).expect("samples evaluate")[0].to_f64_vec()[0]
}

fn shifted(inputs: &[Tensor], which: usize, element: usize, by: f64) -> Vec<Tensor> {
    let mut inputs = inputs.to_vec();
    inputs[which].as_mut_slice::<f64>()[element] += by;
    inputs
}

/// Compares the gradient of a graph with central differences at every element.
fn check_gradient(graph: &Graph, inputs: &[Tensor], what: &str) {
    const STEP: f64 = 1e-5;
    let wrt = differentiable(graph);
    let derived = gradient(graph, 0, &wrt).unwrap_or_else(|e| panic!("{what}: {e}"));
    let values = evaluate(&derived, inputs).expect("the gradient evaluates");
    for (&input, gradient) in wrt.iter().zip(&values[1..]) {
        for (element, have) in gradient.to_f64_vec().into_iter().enumerate() {
            let (up, down) =
                (shifted(inputs, input, element, STEP), shifted(inputs, input, element, -STEP));
            let want = (loss(graph, &up) - loss(graph, &down)) / (2.0 * STEP);
            let close = (have - want).abs() <= 1e-6 + 1e-6 * want.abs();
            assert!(close, "{what}, operand {input}, element {element}: {have}, not {want}");
        }
    }
}

#[test]
fn every_differentiable_row_agrees_with_central_differences() {
    for row in ROWS {
        let mut checked = 0;
        for (number, sample) in (row.samples)().iter().filter_map(in_f64).enumerate() {
            // What it is for is that it disagrees with differences.
            if sample.op.stops_gradient() {
                continue;
            }
            let graph = scalar_graph(&sample);
            let what = format!("{} sample {number} ({:?})", row.name, sample.op);
            // Rows without a derivative (floor and its like aside) must say so.
            if matches!(row.jvp, Jvp::Zero) {
                let derived = gradient(&graph, 0, &differentiable(&graph));
                assert!(derived.is_err() || row.name == "fused", "{what} claims a gradient");
                continue;
            }
            check_gradient(&graph, &sample.values(7), &what);
            checked += 1;
        }
        let needs = !matches!(row.jvp, Jvp::Zero);
        assert!(!needs || checked > 0, "no sample of `{}` was checked", row.name);
    }
}

/// Elementwise operations once more, by name: the samples of the shared row cover each of them.
#[test]
fn every_elementwise_operation_that_takes_floats_has_a_checked_sample() {
    let map_row = MapOp::Add;
    let samples = (Op::from(map_row).row().samples)();
    for op in MapOp::ALL {
        let takes_floats = op.row().float.is_some()
            && op.row().gives != crate::graph::ops::elementwise::Gives::Bool;
        let sampled = samples.iter().filter_map(in_f64).any(|s| s.op == Op::Map(op));
        assert!(!takes_floats || sampled, "`{}` has no f64 sample", op.row().name);
    }
}

#[test]
fn forward_and_reverse_mode_are_adjoint() {
    for row in ROWS.iter().filter(|row| !matches!(row.jvp, Jvp::Zero)) {
        for sample in (row.samples)().iter().filter_map(in_f64) {
            let graph = scalar_graph(&sample);
            let (inputs, directions) = (sample.values(3), sample.values(11));
            let wrt = differentiable(&graph);
            let forward = jvp(&graph, &wrt).expect("differentiable");
            let moved: Vec<Tensor> =
                inputs.iter().cloned().chain(wrt.iter().map(|&i| directions[i].clone())).collect();
            let along = evaluate(&forward, &moved).expect("evaluates")[1].to_f64_vec()[0];
            let reverse = gradient(&graph, 0, &wrt).expect("differentiable");
            let gradients = evaluate(&reverse, &inputs).expect("evaluates");
            let dot: f64 = wrt
                .iter()
                .zip(&gradients[1..])
                .flat_map(|(&i, g)| g.to_f64_vec().into_iter().zip(directions[i].to_f64_vec()))
                .map(|(g, d)| g * d)
                .sum();
            let close = (along - dot).abs() <= 1e-12 * (1.0 + along.abs() + dot.abs());
            assert!(close, "{} {:?}: {along} and {dot}", row.name, sample.op);
        }
    }
}

#[test]
fn the_gradient_of_a_gradient_is_right() {
    // sum(tanh(x)^2 * x) twice: d/dx of sum of the first gradient.
    let mut graph = Graph::new();
    let ty = TensorType::new(DType::F64, [Dim::Const(5)]);
    let x = graph.add_input("x", ty, Origin::default());
    let b = Builder::new(&mut graph);
    let y = b.sum_all(b.mul(b.square(b.tanh(x)), x));
    b.output("loss", y);
    drop(b);
    let mut first = gradient(&graph, 0, &[0]).unwrap();
    let g = first.outputs()[1].1;
    first.clear_outputs();
    let b = Builder::new(&mut first);
    let total = b.sum_all(g);
    b.output("loss", total);
    drop(b);
    let inputs = [Tensor::from_slice(&[0.3, -1.2, 0.0, 2.0, 0.7], [5])];
    check_gradient(&first, &inputs, "second order");
}

#[test]
fn sizes_stay_symbolic() {
    let batch = Dim::var(crate::graph::DimVar { id: 0, name: "B".into() });
    let mut graph = Graph::new();
    let ty = TensorType::new(DType::F32, [batch.clone(), Dim::Const(3)]);
    let x = graph.add_input("x", ty.clone(), Origin::default());
    let b = Builder::new(&mut graph);
    b.output("loss", b.sum_all(b.square(x)));
    drop(b);
    let derived = gradient(&graph, 0, &[0]).unwrap();
    assert_eq!(derived.ty(derived.outputs()[1].1), &ty);
}

#[test]
fn a_path_through_integers_is_refused_unless_it_is_stopped() {
    let build = |stop: bool| {
        let mut graph = Graph::new();
        let x = graph.add_input("x", TensorType::scalar(DType::F32), Origin::default());
        let b = Builder::new(&mut graph);
        let from = if stop { b.map(MapOp::StopGradient, &[x]) } else { x };
        b.output("loss", b.convert(b.convert(from, DType::I64), DType::F32));
        drop(b);
        graph
    };
    let refused = gradient(&build(false), 0, &[0]).unwrap_err();
    assert!(refused.reason.contains("through `convert`, whose result is i64"), "{refused}");
    let stopped = gradient(&build(true), 0, &[0]).unwrap();
    let values = evaluate(&stopped, &[Tensor::scalar(2.5f32)]).unwrap();
    assert_eq!(values[1].to_f64_vec(), [0.0]);
}

#[test]
fn an_unused_parameter_has_a_gradient_of_zeros() {
    let mut graph = Graph::new();
    let ty = TensorType::new(DType::F32, [Dim::Const(2)]);
    let x = graph.add_input("x", ty.clone(), Origin::default());
    graph.add_input("unused", ty, Origin::default());
    let b = Builder::new(&mut graph);
    b.output("loss", b.sum_all(x));
    drop(b);
    let derived = gradient(&graph, 0, &[1]).unwrap();
    let one = Tensor::from_slice(&[1.0f32, 2.0], [2]);
    let values = evaluate(&derived, &[one.clone(), one]).unwrap();
    assert_eq!(values[1].to_f64_vec(), [0.0, 0.0]);
}
