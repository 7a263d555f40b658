//! `optimizers-dev`: trajectories of the optimisers of torch and keras on small problems.
//!
//! A program has the problem's loss and one step of the optimiser as `.tx` functions; each step
//! starts from the parameters and the state that the step before gave, and the loss, the gradient
//! and the parameters of each are compared.

use crate::collection::{Case, Fault};
use crate::npz::{self, Arrays};
use crate::program::{Program, Tolerance, compare, type_of};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::Path;
use tensc::{Session, Tensor};

/// What a file says of itself.
#[derive(Deserialize)]
struct Meta {
    engine: String,
    rule: String,
    hyper: Map<String, Value>,
    problem: String,
    steps: usize,
}

/// An optimiser: who it is of, its rule, the module of the library, the type of its state, and how
/// the collection's hyperparameters are called there.
struct Rule {
    engine: &'static str,
    rule: &'static str,
    module: &'static str,
    state: &'static str,
    hyper: &'static [(&'static str, &'static str)],
}

const fn rule(
    engine: &'static str,
    rule: &'static str,
    [module, state]: [&'static str; 2],
    hyper: &'static [(&'static str, &'static str)],
) -> Rule {
    Rule { engine, rule, module, state, hyper }
}

/// `*` stands for either library. Rows above win.
const RULES: [Rule; 10] = [
    rule("torch", "rmsprop", ["rmsprop_torch", "Rmsprop"], &[("rho", "rho"), ("eps", "eps")]),
    rule("*", "rmsprop", ["rmsprop", "Rmsprop"], &[("rho", "rho"), ("eps", "eps")]),
    rule("keras", "adagrad", ["adagrad_keras", "Adagrad"], &[("eps", "eps")]),
    rule("*", "adagrad", ["adagrad", "Adagrad"], &[("eps", "eps")]),
    rule("*", "sgd", ["sgd", ""], &[]),
    rule("*", "momentum", ["momentum", "Momentum"], &[("momentum", "mu")]),
    rule("*", "nesterov", ["nesterov", "Nesterov"], &[("momentum", "mu"), ("nesterov", "")]),
    rule("*", "adam", ["adam", "Adam"], &[("b1", "beta1"), ("b2", "beta2"), ("eps", "eps")]),
    rule(
        "*",
        "adamw",
        ["adamw", "Adam"],
        &[("b1", "beta1"), ("b2", "beta2"), ("eps", "eps"), ("wd", "decay")],
    ),
    rule("*", "lion", ["lion", "Lion"], &[("b1", "beta1"), ("b2", "beta2"), ("wd", "decay")]),
];

/// A loss over parameters `p`, and the arrays it is of.
struct Problem {
    name: &'static str,
    data: &'static [&'static str],
    loss: &'static str,
    /// Rows of the data that a step sees; those of the next step follow. All where it is 0.
    batch: usize,
}

const PROBLEMS: [Problem; 4] = [
    Problem {
        name: "quad",
        data: &["A", "b"],
        loss: "0.5 * (p.p0 @ A @ p.p0) - b @ p.p0",
        batch: 0,
    },
    Problem {
        name: "rosenbrock",
        data: &[],
        loss: "100.0 * square(p.p0[1] - square(p.p0[0])) + square(1.0 - p.p0[0])",
        batch: 0,
    },
    Problem {
        name: "logreg",
        data: &["x", "y"],
        loss: "mean(sparse_cross_entropy(x @ p.p0 + p.p1, y))",
        batch: 0,
    },
    Problem {
        name: "mlp",
        data: &["x", "y"],
        loss: "mean(sparse_cross_entropy(relu(x @ p.p0 + p.p1) @ p.p2 + p.p3, y))",
        batch: 30,
    },
];

pub fn cases(folder: &Path) -> Vec<Case> {
    let entries = std::fs::read_dir(folder).expect("the folder can be read");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "npz"));
    paths.sort();
    let case = |path: std::path::PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        Case { name, judge: Box::new(move |session| judge(&npz::read(&path), session)) }
    };
    paths.into_iter().map(case).collect()
}

fn judge(arrays: &Arrays, session: &Session) -> Result<(), Fault> {
    let meta: Meta = serde_json::from_str(&arrays["meta"].text()).expect("the meta data");
    let unsupported = |what: String| Fault::Unsupported(what);
    let rule = RULES
        .iter()
        .find(|r| r.rule == meta.rule && (r.engine == "*" || r.engine == meta.engine))
        .ok_or_else(|| unsupported(format!("the rule {}", meta.rule)))?;
    let problem = PROBLEMS
        .iter()
        .find(|p| p.name == meta.problem)
        .ok_or_else(|| unsupported(format!("the problem {}", meta.problem)))?;
    let tensor = |name: &str| arrays[name].tensor().expect("floats or integers");
    let start: Vec<Tensor> = (0..)
        .map_while(|i| arrays.contains_key(&format!("p{i}_0")).then(|| tensor(&format!("p{i}_0"))))
        .collect();
    let whole: Vec<Tensor> = problem.data.iter().map(|name| tensor(name)).collect();
    let batches = batches(&whole, problem.batch);
    let text = source(&meta, rule, problem, &start, &batches[0])?;
    let program = Program::new(&text)?;

    // Keras keeps the hyperparameters and its counters in f32.
    let (abs, rel) = if meta.engine == "keras" { (1e-3, 1e-3) } else { (1e-10, 1e-8) };
    let tolerance = Tolerance { abs, rel };
    let lr = meta.hyper["lr"].as_f64().expect("a learning rate");
    let lr = Tensor::scalar(lr);
    let (mut parameters, mut state) = (start, Vec::new());
    for step in 0..meta.steps {
        let function = if step == 0 { "first" } else { "next" };
        let data = &batches[step % batches.len()];
        let arguments: Vec<&Tensor> =
            parameters.iter().chain(&state).chain(data).chain([&lr]).collect();
        let mut results = program.call(session, function, &arguments)?.into_iter();
        let loss = results.next().expect("a loss");
        let count = parameters.len();
        let gradient: Vec<Tensor> = results.by_ref().take(count).collect();
        parameters = results.by_ref().take(count).collect();
        state = results.collect();
        let truth = |name: &str| row(&tensor(name), step);
        compare(&format!("loss of step {step}"), &loss, &truth("loss"), tolerance)?;
        for i in 0..count {
            let what = |name: &str| format!("{name}{i} of step {step}");
            compare(&what("g"), &gradient[i], &truth(&format!("g{i}")), tolerance)?;
            compare(&what("p"), &parameters[i], &truth(&format!("p{i}")), tolerance)?;
        }
    }
    Ok(())
}

/// The loss, the first step from the initial state, and any later step.
fn source(
    meta: &Meta,
    rule: &Rule,
    problem: &Problem,
    start: &[Tensor],
    data: &[Tensor],
) -> Result<String, Fault> {
    let mut hyper = String::new();
    for (name, value) in meta.hyper.iter().filter(|(name, _)| *name != "lr") {
        match rule.hyper.iter().find(|(theirs, _)| theirs == name) {
            Some((_, "")) => {}
            Some((_, ours)) => hyper += &format!(", {ours} = {value}"),
            None => {
                let what = format!("{} with {name} = {value}", meta.rule);
                return Err(Fault::Unsupported(what));
            }
        }
    }
    let fields: Vec<String> =
        start.iter().enumerate().map(|(i, p)| format!("p{i}: {}", type_of(p))).collect();
    let typed: String = (problem.data.iter().zip(data))
        .map(|(name, tensor)| format!("{name}: {}, ", type_of(tensor)))
        .collect();
    let named: String = problem.data.iter().map(|name| format!(", {name}")).collect();
    let (module, state, loss) = (rule.module, rule.state, problem.loss);
    let head = format!(
        "import std.optim.{module}\nimport std.loss.sparse_cross_entropy\n\n\
         struct P {{ {} }}\n\nfn loss(p: P, {typed}) -> f64 = {loss}\n\n",
        fields.join(", ")
    );
    let graded = format!("let (l, g) = value_and_grad(loss)(p{named})");
    // Plain descent has no state.
    if state.is_empty() {
        let body = format!("{{\n    {graded}\n    (l, g, {module}.step(p, g, lr{hyper}))\n}}\n");
        let of = |name: &str| format!("fn {name}(p: P, {typed}lr: f64) = {body}");
        return Ok(format!("{head}{}\n{}", of("first"), of("next")));
    }
    let step = format!("{graded}\n    (l, g, {module}.step(p, g, s, lr{hyper}))\n}}\n");
    Ok(format!(
        "import std.optim.{state_module}.{state}\n{head}\
         fn first(p: P, {typed}lr: f64) = {{\n    let s = {module}.init(p)\n    {step}\n\
         fn next(p: P, s: {state}[P], {typed}lr: f64) = {{\n    {step}",
        state_module = if module == "adamw" { "adam" } else { module },
    ))
}

/// Groups of rows of all arrays, one after another; one of all rows where `size` is 0.
fn batches(data: &[Tensor], size: usize) -> Vec<Vec<Tensor>> {
    let rows = data.first().map_or(0, |tensor| tensor.shape().first().copied().unwrap_or(0));
    if size == 0 || rows < size {
        return vec![data.to_vec()];
    }
    let part = |first: usize| data.iter().map(|t| rows_of(t, first, size)).collect();
    (0..rows / size).map(|i| part(i * size)).collect()
}

fn rows_of(tensor: &Tensor, first: usize, count: usize) -> Tensor {
    let mut shape = tensor.shape().to_vec();
    let width: usize = shape[1..].iter().product();
    shape[0] = count;
    let values = tensor.to_f64_vec();
    let part = &values[first * width..(first + count) * width];
    Tensor::from_f64_slice(tensor.dtype(), part, shape.as_slice())
}

/// What an array of one value a step has for this step.
fn row(tensor: &Tensor, step: usize) -> Tensor {
    let row = rows_of(tensor, step, 1);
    let shape = tensor.shape()[1..].to_vec();
    row.reshape(shape.as_slice())
}
