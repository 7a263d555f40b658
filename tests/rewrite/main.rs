//! Rewriting a whole training step: two layers, softmax cross-entropy, backward pass and RMSprop;
//! and graphs before and after (`snapshots`).

mod snapshots;

use tensc::autodiff::gradient;
use tensc::graph::ops::{Contraction, Draws};
use tensc::graph::{Builder, Dim, Graph, NodeId, Op, TensorType, interpret};
use tensc::rewrite::{Numerics, Options, optimise};
use tensc_runtime::{DType, Tensor};

/// Sizes of a network.
struct Sizes {
    batch: i64,
    inputs: i64,
    hidden: i64,
    classes: i64,
}

fn ty(dtype: DType, dims: &[i64]) -> TensorType {
    TensorType::new(dtype, dims.iter().map(|&n| Dim::Const(n)))
}

/// The mean loss as the standard library's functions elaborate to.
fn loss(s: &Sizes) -> Graph {
    let mut graph = Graph::new();
    let g = Builder::new(&mut graph);
    let f32s = |dims: &[i64]| ty(DType::F32, dims);
    let images = g.input("images", ty(DType::U8, &[s.batch, s.inputs]));
    let labels = g.input("labels", ty(DType::U8, &[s.batch]));
    let w1 = g.input("hidden.w", f32s(&[s.inputs, s.hidden]));
    let b1 = g.input("hidden.b", f32s(&[s.hidden]));
    let w2 = g.input("out.w", f32s(&[s.hidden, s.classes]));
    let b2 = g.input("out.b", f32s(&[s.classes]));

    let x = g.convert(images, DType::F32);
    let x = g.div(x, g.like(255.0, x));
    let dense = |x: NodeId, w: NodeId, b: NodeId| {
        let y = g.contract(x, w, Contraction::matmul());
        g.add(y, g.broadcast(b, &g.ty(y).shape, &[1]))
    };
    let hidden = dense(x, w1, b1);
    let hidden = g.max(hidden, g.zeros_like(hidden));
    let logits = dense(hidden, w2, b2);
    let along = |x: NodeId| g.broadcast(x, &g.ty(logits).shape, &[0]);
    // As the mathematics has it: rewriting shifts the exponents.
    let total = g.log(g.sum(g.exp(logits), &[1]));
    let logs = g.sub(logits, along(total));
    let index = g.check_index(g.convert(labels, DType::I64), &Dim::Const(s.classes));
    let positions = g.iota(DType::I64, &g.ty(logits).shape, 1);
    let hot = g.eq(positions, along(index));
    let picked = g.sum(g.select(hot, logs, g.zeros_like(logs)), &[1]);
    let losses = g.neg(picked);
    let batch = g.constant(s.batch as f64, DType::F32);
    g.output("loss", g.div(g.sum(losses, &[0]), batch));
    drop(g);
    graph
}

/// Loss, gradient, and the update of parameters and their mean squares, as one graph.
fn training_step(s: &Sizes) -> Graph {
    let loss = loss(s);
    let gradient = gradient(&loss, 0, &[2, 3, 4, 5]).expect("the loss is differentiable");
    let mut graph = Graph::new();
    let g = Builder::new(&mut graph);
    let inputs: Vec<NodeId> = gradient
        .inputs()
        .iter()
        .map(|(name, node)| g.input(name.clone(), gradient.ty(*node).clone()))
        .collect();
    let rate = g.input("rate", ty(DType::F32, &[]));
    let outputs = g.inline(&gradient, &inputs);
    g.output("loss", outputs[0]);
    for (i, &slope) in outputs[1..].iter().enumerate() {
        let name = gradient.inputs()[2 + i].0.clone();
        let of = g.ty(slope);
        let square = g.input(format!("square.{name}"), of.clone());
        let like = |x: f64| g.full(x, &of);
        let square = g.add(g.mul(like(0.9), square), g.mul(like(0.1), g.square(slope)));
        let step = g.div(slope, g.add(g.sqrt(square), like(1e-7)));
        let rates = g.splat(rate, &of.shape);
        g.output(format!("new.{name}"), g.sub(inputs[2 + i], g.mul(rates, step)));
        g.output(format!("new.square.{name}"), square);
    }
    drop(g);
    graph
}

fn values(graph: &Graph, classes: i64) -> Vec<Tensor> {
    let value = |(i, (name, node)): (usize, &(String, NodeId))| {
        let ty = graph.ty(*node);
        let draws = match name.as_str() {
            "labels" => Draws::Between(0.0, (classes - 1) as f64),
            "images" => Draws::Between(0.0, 255.0),
            "rate" => Draws::Between(0.01, 0.02),
            square if square.starts_with("square") => Draws::Between(0.0, 0.1),
            _ => Draws::Between(-0.3, 0.3),
        };
        draws.tensor(ty.dtype, ty.concrete_shape(), i as u64)
    };
    graph.inputs().iter().enumerate().map(value).collect()
}

fn count(graph: &Graph, of: impl Fn(&Op) -> bool) -> usize {
    graph.nodes().filter(|&n| of(graph.op(n))).count()
}

#[test]
fn training_step_computes_the_same_in_fewer_kernels() {
    let step = training_step(&Sizes { batch: 8, inputs: 12, hidden: 16, classes: 5 });
    let inputs = values(&step, 5);
    let before = interpret(&step, &inputs).expect("runs");
    for numerics in [Numerics::Exact, Numerics::Stable, Numerics::Reassoc, Numerics::Approx] {
        let (result, report) = optimise(&step, &Options::of(numerics));
        let after = interpret(&result, &inputs).expect("runs");
        for (((name, _), a), b) in step.outputs().iter().zip(&before).zip(&after) {
            for (x, y) in a.to_f64_vec().iter().zip(&b.to_f64_vec()) {
                let close = (x - y).abs() <= 2e-5 * (1.0 + x.abs());
                assert!(close, "{numerics}: {name} was {x}, is {y}\n{result}{report}");
            }
        }
    }
}

#[test]
fn mnist_step_keeps_five_products_and_few_kernels() {
    let step = training_step(&Sizes { batch: 128, inputs: 784, hidden: 512, classes: 10 });
    let (result, report) = optimise(&step, &Options::default());
    insta::assert_snapshot!(format!("{result}\n{report}"));
    assert_eq!(count(&result, |op| matches!(op, Op::Contract(_))), 5);
    assert_eq!(count(&result, |op| matches!(op, Op::Transpose(_) | Op::Broadcast { .. })), 0);
}

/// Exponentials of large logits: the formulas as written overflow, what they are rewritten to does
/// not.
#[test]
fn large_logits_do_not_overflow() {
    let step = training_step(&Sizes { batch: 8, inputs: 12, hidden: 16, classes: 5 });
    let mut inputs = values(&step, 5);
    let bias = step.inputs().iter().position(|(name, _)| name == "out.b").expect("an input");
    inputs[bias] = Tensor::from_slice(&[300f32, 250.0, 299.0, -400.0, 298.0], [5]);
    let finite =
        |outputs: &[Tensor]| outputs.iter().all(|t| t.to_f64_vec().iter().all(|x| x.is_finite()));
    assert!(!finite(&interpret(&step, &inputs).expect("runs")));
    let (result, _) = optimise(&step, &Options::default());
    assert!(finite(&interpret(&result, &inputs).expect("runs")), "{result}");
}

#[test]
#[ignore = "a timing: cargo test --release --test rewrite -- --ignored --nocapture"]
fn mnist_step_timing() {
    let step = training_step(&Sizes { batch: 128, inputs: 784, hidden: 512, classes: 10 });
    for round in 0..8 {
        let start = std::time::Instant::now();
        let (_, report) = optimise(&step, &Options::default());
        println!("round {round}: {:?} of {} nodes", start.elapsed(), step.len());
        for phase in &report.phases {
            println!(
                "  {:12} {:2} {:5} {:?}",
                phase.name, phase.iterations, phase.nodes, phase.time
            );
        }
    }
}
