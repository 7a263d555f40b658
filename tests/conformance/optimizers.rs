//! `optimizers-dev`: trajectories of the optimisers of torch and keras on small problems.
//!
//! A program has the problem's loss and one step of the optimiser as `.tx` functions; each step
//! starts from the parameters and the state that the step before gave, and the loss, the gradient
//! and the parameters of each are compared.
//!
//! Some trajectories turn roundings into other ways: where a `relu` changes its side, or where a
//! gradient that is nearly 0 is divided by its own size. Such a case has no answer to compare with:
//! its own last places, moved, part as far, while each step from the collection's own gradients is
//! right. It is unsupported.

use crate::collection::{Case, Fault};
use crate::npz::{self, Arrays};
use crate::program::{Program, Tolerance, compare, type_of};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::Path;
use std::rc::Rc;
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

/// An optimiser: who it is of, its rule, the module of the library, the type of its state, how
/// the collection's hyperparameters are called there (`init.…` are of the initial state), and what
/// else the step is told.
struct Rule {
    engine: &'static str,
    rule: &'static str,
    module: &'static str,
    state: &'static str,
    hyper: &'static [(&'static str, &'static str)],
    fixed: &'static str,
}

const fn rule(
    engine: &'static str,
    rule: &'static str,
    [module, state]: [&'static str; 2],
    hyper: &'static [(&'static str, &'static str)],
) -> Rule {
    Rule { engine, rule, module, state, hyper, fixed: "" }
}

/// Hyperparameters of Adam and its relatives.
const MEANS: &[(&str, &str)] = &[("b1", "beta1"), ("b2", "beta2"), ("eps", "eps")];
const DECAYED: &[(&str, &str)] =
    &[("b1", "beta1"), ("b2", "beta2"), ("eps", "eps"), ("wd", "decay")];
const SUMS: &[(&str, &str)] = &[("eps", "eps"), ("initial_accumulator_value", "init.start")];
const SQUARES: &[(&str, &str)] = &[("rho", "rho"), ("eps", "eps")];
const CENTRED: &[(&str, &str)] =
    &[("rho", "rho"), ("eps", "eps"), ("momentum", "mu"), ("centered", "")];

/// `*` stands for either library. Rows above win.
const RULES: &[Rule] = &[
    rule("torch", "rmsprop centered", ["rmsprop_centred_torch", "Rmsprop"], CENTRED),
    rule("keras", "rmsprop centered", ["rmsprop_centred", "Rmsprop"], CENTRED),
    rule("torch", "rmsprop momentum", ["rmsprop_momentum_torch", "Rmsprop"], CENTRED),
    rule("keras", "rmsprop momentum", ["rmsprop_momentum", "Rmsprop"], CENTRED),
    rule("torch", "rmsprop", ["rmsprop_torch", "Rmsprop"], SQUARES),
    rule("*", "rmsprop", ["rmsprop", "Rmsprop"], SQUARES),
    rule("keras", "adagrad", ["adagrad_keras", "Adagrad"], SUMS),
    rule("*", "adagrad", ["adagrad", "Adagrad"], SUMS),
    rule("*", "adadelta", ["adadelta", "Adadelta"], SQUARES),
    rule("*", "sgd", ["sgd", ""], &[]),
    rule(
        "torch",
        "momentum damped",
        ["momentum_damped", "Momentum"],
        &[("momentum", "mu"), ("dampening", "dampening")],
    ),
    rule("*", "momentum", ["momentum", "Momentum"], &[("momentum", "mu")]),
    rule("*", "nesterov", ["nesterov", "Nesterov"], &[("momentum", "mu"), ("nesterov", "")]),
    rule("*", "adam", ["adam", "Adam"], MEANS),
    rule(
        "*",
        "amsgrad",
        ["amsgrad", "Amsgrad"],
        &[("b1", "beta1"), ("b2", "beta2"), ("eps", "eps"), ("amsgrad", "")],
    ),
    rule("*", "adamw", ["adamw", "Adam"], DECAYED),
    rule("torch", "adamax", ["adamax_torch", "Adamax"], MEANS),
    rule("*", "adamax", ["adamax", "Adamax"], MEANS),
    rule(
        "torch",
        "nadam",
        ["nadam", "Nadam"],
        &[("b1", "beta1"), ("b2", "beta2"), ("eps", "eps"), ("momentum_decay", "psi")],
    ),
    // Keras' weight of the momentum grows 250 times as fast as the paper's.
    Rule { fixed: ", psi = 1.0", ..rule("keras", "nadam", ["nadam", "Nadam"], MEANS) },
    rule("torch", "radam", ["radam", "Radam"], MEANS),
    rule(
        "torch",
        "rprop",
        ["rprop", "Rprop"],
        &[("eta_minus", "less"), ("eta_plus", "more"), ("step_min", "least"), ("step_max", "most")],
    ),
    rule("*", "lion", ["lion", "Lion"], &[("b1", "beta1"), ("b2", "beta2"), ("wd", "decay")]),
    // Keras' parameters decay before the step, whose length does not see it.
    rule("keras", "lamb", ["lamb", "Lamb"], MEANS),
    rule(
        "keras",
        "ftrl",
        ["ftrl", "Ftrl"],
        &[
            ("initial_accumulator_value", "init.start"),
            ("power", "power"),
            ("l1", "l1"),
            ("l2", "l2"),
            ("shrinkage", "shrinkage"),
            ("l2_shrinkage_regularization_strength", "shrinkage"),
            ("beta", "beta"),
        ],
    ),
    rule(
        "keras",
        "adafactor",
        ["adafactor", "Adafactor"],
        &[
            ("beta_2_decay", "decay"),
            ("eps1", "eps1"),
            ("eps2", "eps2"),
            ("clip_threshold", "limit"),
            // The step is the smaller of both all the same.
            ("relative_step", ""),
        ],
    ),
    rule(
        "torch",
        "adafactor",
        ["adafactor_torch", "Adafactor"],
        &[
            ("beta2_decay", "power"),
            ("eps1", "eps1"),
            ("eps2", "eps2"),
            ("d", "limit"),
            ("wd", "decay"),
        ],
    ),
    rule(
        "torch",
        "asgd",
        ["asgd", "Asgd"],
        &[("lambd", "decay"), ("alpha", "power"), ("t0", "start")],
    ),
    rule(
        "keras",
        "muon",
        ["muon", "Muon"],
        &[
            ("momentum", "mu"),
            ("b1", "beta1"),
            ("b2", "beta2"),
            ("eps", "eps"),
            ("rms_rate", "rms"),
            ("ns_steps", "turns"),
            ("nesterov", "nesterov"),
            ("muon_a", "a"),
            ("muon_b", "b"),
            ("muon_c", "c"),
            ("wd", "decay"),
            ("adam_weight_decay", "adam_decay"),
            ("adam_lr_ratio", "adam_rate"),
        ],
    ),
    rule(
        "keras",
        "schedule_free_adamw",
        ["schedule_free_adamw", "ScheduleFree"],
        &[
            ("b1", "beta1"),
            ("b2", "beta2"),
            ("eps", "eps"),
            ("wd", "decay"),
            ("warmup_steps", "warm"),
        ],
    ),
];

/// How the libraries call what the collection has shorter names for.
const NAMES: [(&str, &str); 14] = [
    ("adam_beta_1", "b1"),
    ("adam_beta_2", "b2"),
    ("epsilon_1", "eps1"),
    ("epsilon_2", "eps2"),
    ("learning_rate", "lr"),
    ("beta1", "b1"),
    ("beta_1", "b1"),
    ("beta2", "b2"),
    ("beta_2", "b2"),
    ("epsilon", "eps"),
    ("learning_rate_power", "power"),
    ("l1_regularization_strength", "l1"),
    ("l2_regularization_strength", "l2"),
    ("weight_decay", "wd"),
];

/// Hyperparameters that ask for nothing where they are 0.
const ZERO_IS_OFF: [&str; 4] = ["momentum", "dampening", "lr_decay", "wd"];

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
    let mut meta: Meta = serde_json::from_str(&arrays["meta"].text()).expect("the meta data");
    meta.settle();
    let unsupported = |what: String| Fault::Unsupported(what);
    let rule = RULES
        .iter()
        .find(|r| r.rule == meta.rule && (r.engine == "*" || r.engine == meta.engine))
        .ok_or_else(|| unsupported(format!("the rule {}", meta.rule)))?;
    let problem = PROBLEMS
        .iter()
        .find(|p| p.name == meta.problem)
        .ok_or_else(|| unsupported(format!("the problem {}", meta.problem)))?;
    let run = Run::new(&meta, rule, problem, arrays)?;
    let (truth, tolerance) = (run.truth(), run.tolerance);
    let free = run.trajectory(session, None)?;
    let compared = all_near(&free, &truth, tolerance);
    if compared.is_err() {
        all_near(&run.trajectory(session, Some(&truth))?, &truth, tolerance)?;
        for [start, rate] in [[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]] {
            let near = run.nearby(start, rate).trajectory(session, None)?;
            if all_near(&near, &free, tolerance).is_err() {
                let why = "other last places of the start and the rate lead elsewhere";
                return Err(unsupported(why.to_string()));
            }
        }
    }
    compared
}

impl Meta {
    /// The names of the table for what is told in other words.
    fn settle(&mut self) {
        let told = std::mem::take(&mut self.hyper);
        for (name, value) in told {
            let short = NAMES.iter().find(|(long, _)| *long == name).map(|(_, short)| *short);
            let name = short.map_or(name, str::to_string);
            // What is off or left out asks for nothing.
            let zero = ZERO_IS_OFF.contains(&name.as_str()) && value.as_f64() == Some(0.0);
            let off = value == Value::Bool(false) && self.rule != "muon";
            match value {
                Value::Array(pair) if name == "eps" && pair.len() == 2 => {
                    let named = ["eps1", "eps2"].map(str::to_string).into_iter().zip(pair);
                    self.hyper.extend(named.filter(|(_, value)| !value.is_null()));
                }
                value if value.is_null() || off || zero => {}
                value => drop(self.hyper.insert(name, value)),
            }
        }
        let has = |name: &str| self.hyper.contains_key(name);
        let rule = match self.rule.as_str() {
            "sgd" | "momentum" if has("nesterov") => "nesterov",
            "sgd" | "momentum" if has("dampening") => "momentum damped",
            "sgd" if has("momentum") => "momentum",
            "rmsprop" if has("centered") => "rmsprop centered",
            "rmsprop" if has("momentum") => "rmsprop momentum",
            "adam" | "adamw" if has("amsgrad") => "amsgrad",
            other => other,
        };
        // PyTorch's word; `alpha` is a power in its `asgd`.
        if self.rule == "rmsprop"
            && let Some(rho) = self.hyper.remove("alpha")
        {
            self.hyper.insert("rho".to_string(), rho);
        }
        if self.rule == "adamw" {
            self.hyper.insert("decoupled_weight_decay".to_string(), Value::Bool(true));
        }
        self.rule = rule.to_string();
    }
}

/// What a step gave, or should: the loss and its gradient, and the parameters after it.
struct Step {
    loss: Tensor,
    gradient: Vec<Tensor>,
    parameters: Vec<Tensor>,
}

/// A case as a program.
struct Run<'a> {
    program: Rc<Program>,
    arrays: &'a Arrays,
    start: Vec<Tensor>,
    batches: Rc<[Vec<Tensor>]>,
    lr: f64,
    steps: usize,
    /// How much rounding moves a rate.
    place: f64,
    tolerance: Tolerance,
}

impl<'a> Run<'a> {
    fn new(
        meta: &Meta,
        rule: &Rule,
        problem: &Problem,
        arrays: &'a Arrays,
    ) -> Result<Run<'a>, Fault> {
        let tensor = |name: &str| arrays[name].tensor().expect("floats or integers");
        let names = (0..).map(|i| format!("p{i}_0"));
        let names = names.take_while(|name| arrays.contains_key(name));
        let start: Vec<Tensor> = names.map(|name| tensor(&name)).collect();
        let whole: Vec<Tensor> = problem.data.iter().map(|name| tensor(name)).collect();
        let batches: Rc<[_]> = batches(&whole, problem.batch).into();
        let program = Rc::new(Program::new(&source(meta, rule, problem, &start, &batches[0])?)?);
        let lr = meta.hyper["lr"].as_f64().expect("a learning rate");
        // Keras keeps hyperparameters in f32, and subtracts powers of some from 1.
        let kept = ["b2", "rho"].map(|name| meta.hyper.get(name).and_then(Value::as_f64));
        let kept = kept.into_iter().flatten().fold(0.0, f64::max);
        let (place, tolerance) = match meta.engine == "keras" {
            true => (f64::from(f32::EPSILON) / (1.0 - kept), Tolerance { abs: 1e-3, rel: 1e-3 }),
            false => (f64::EPSILON, Tolerance { abs: 1e-10, rel: 1e-8 }),
        };
        Ok(Run { program, arrays, start, batches, lr, steps: meta.steps, place, tolerance })
    }

    /// From a start and at a rate so many last places away.
    fn nearby(&self, start: f64, rate: f64) -> Run<'_> {
        let mut moved = self.start.clone();
        for tensor in &mut moved {
            tensor.as_mut_slice::<f64>().iter_mut().for_each(|x| *x *= 1.0 + start * self.place);
        }
        Run {
            program: Rc::clone(&self.program),
            batches: Rc::clone(&self.batches),
            start: moved,
            lr: self.lr * (1.0 + rate * self.place),
            ..*self
        }
    }

    /// All steps: each from what the step before gave, or (`driven`) by the collection's gradients,
    /// and the loss and its gradient at the collection's parameters.
    fn trajectory(&self, session: &Session, driven: Option<&[Step]>) -> Result<Vec<Step>, Fault> {
        let (count, lr) = (self.start.len(), Tensor::scalar(self.lr));
        let (mut parameters, mut state) = (self.start.clone(), Vec::new());
        let mut steps: Vec<Step> = Vec::new();
        for step in 0..self.steps {
            let data = &self.batches[step % self.batches.len()];
            let at = match (driven, step) {
                (Some(truth), 1..) => &truth[step - 1].parameters,
                _ => &parameters,
            };
            let arguments: Vec<&Tensor> = at.iter().chain(data).collect();
            let mut graded = self.program.call(session, "graded", &arguments)?;
            let (gradient, loss) = (graded.split_off(1), graded.remove(0));
            let used = driven.map_or(&gradient, |truth| &truth[step].gradient);
            let function = if step == 0 { "first" } else { "next" };
            let t = Tensor::scalar(step as i64);
            let arguments: Vec<&Tensor> =
                parameters.iter().chain(used).chain(&state).chain([&lr, &t]).collect();
            parameters = self.program.call(session, function, &arguments)?;
            state = parameters.split_off(count);
            steps.push(Step { loss, gradient, parameters: parameters.clone() });
        }
        Ok(steps)
    }

    /// The collection's gradients of a step, `g`, or its parameters after it, `p`.
    fn rows(&self, name: &str, step: usize) -> Vec<Tensor> {
        (0..self.start.len()).map(|i| self.row(&format!("{name}{i}"), step)).collect()
    }

    fn row(&self, name: &str, step: usize) -> Tensor {
        row(&self.arrays[name].tensor().expect("floats"), step)
    }

    /// What the collection has of each step.
    fn truth(&self) -> Vec<Step> {
        let step = |step| Step {
            loss: self.row("loss", step),
            gradient: self.rows("g", step),
            parameters: self.rows("p", step),
        };
        (0..self.steps).map(step).collect()
    }
}

/// Compares all of each step, in their order.
fn all_near(found: &[Step], truth: &[Step], tolerance: Tolerance) -> Result<(), Fault> {
    for (step, (found, truth)) in found.iter().zip(truth).enumerate() {
        let named = |name: &str, i: usize| format!("{name}{i} of step {step}");
        compare(&format!("loss of step {step}"), &found.loss, &truth.loss, tolerance)?;
        for (i, (found, truth)) in found.gradient.iter().zip(&truth.gradient).enumerate() {
            compare(&named("g", i), found, truth, tolerance)?;
        }
        for (i, (found, truth)) in found.parameters.iter().zip(&truth.parameters).enumerate() {
            compare(&named("p", i), found, truth, tolerance)?;
        }
    }
    Ok(())
}

/// What is done with parameters `p` and gradients `g` before the step of any rule, as `let`s, for
/// an option that the rule itself has no word for.
fn before(meta: &Meta, name: &str, value: &Value) -> Option<String> {
    let decoupled = meta.engine == "keras" || meta.hyper.contains_key("decoupled_weight_decay");
    Some(match (meta.engine.as_str(), name) {
        (_, "wd") if decoupled => format!("let p = p - lr * {value} * p"),
        ("torch", "wd") => format!("let g = g + {value} * p"),
        ("torch", "lr_decay") => format!("let lr = schedule.inverse_time(t, lr, 1, {value})"),
        ("torch", "maximize") => "let g = -g".to_string(),
        (_, "decoupled_weight_decay") => String::new(),
        ("torch", "foreach" | "fused" | "capturable" | "differentiable") => String::new(),
        ("keras", "clipnorm") => format!("let g = clip.by_norm(g, {value})"),
        ("keras", "clipvalue") => format!("let g = clip.by_value(g, {value})"),
        ("keras", "global_clipnorm") => format!("let g = clip.by_global_norm(g, f64({value}))"),
        // The mean is kept apart from the parameters.
        ("keras", "use_ema" | "ema_momentum") => String::new(),
        _ => return None,
    })
}

/// The loss with its gradients, the first step from the initial state, and any later step.
fn source(
    meta: &Meta,
    rule: &Rule,
    problem: &Problem,
    start: &[Tensor],
    data: &[Tensor],
) -> Result<String, Fault> {
    let (mut initial, mut hyper, mut lets) = (String::new(), rule.fixed.to_string(), Vec::new());
    for (name, value) in meta.hyper.iter().filter(|(name, _)| *name != "lr") {
        match rule.hyper.iter().find(|(theirs, _)| theirs == name) {
            Some((_, "")) => {}
            Some((_, ours)) => match ours.strip_prefix("init.") {
                Some(ours) => initial += &format!(", {ours} = {value}"),
                None => hyper += &format!(", {ours} = {value}"),
            },
            None => lets.push(before(meta, name, value).ok_or_else(|| {
                Fault::Unsupported(format!("{} with {name} = {value}", meta.rule))
            })?),
        }
    }
    // The sign of a gradient comes before whatever is added to it.
    lets.sort_by_key(|text| text != "let g = -g");
    let lets: String = lets.iter().map(|text| format!("    {text}\n")).collect();
    let fields: Vec<String> =
        start.iter().enumerate().map(|(i, p)| format!("p{i}: {}", type_of(p))).collect();
    let typed: String = (problem.data.iter().zip(data))
        .map(|(name, tensor)| format!(", {name}: {}", type_of(tensor)))
        .collect();
    let named: String = problem.data.iter().map(|name| format!(", {name}")).collect();
    let (module, state, loss) = (rule.module, rule.state, problem.loss);
    let head = format!(
        "import std.optim.{module}\nimport std.optim.{{clip, schedule}}\n\
         import std.loss.sparse_cross_entropy\n\n\
         struct P {{ {} }}\n\nfn loss(p: P{typed}) -> f64 = {loss}\n\n\
         fn graded(p: P{typed}) = value_and_grad(loss)(p{named})\n\n",
        fields.join(", ")
    );
    // Plain descent has no state.
    if state.is_empty() {
        let of = |name: &str| {
            let step = format!("{module}.step(p, g, lr{hyper})");
            format!("fn {name}(p: P, g: P, lr: f64, t: i64) = {{\n{lets}    {step}\n}}\n")
        };
        return Ok(format!("{head}{}\n{}", of("first"), of("next")));
    }
    let step = format!("{lets}    {module}.step(p, g, s, lr{hyper})\n}}\n");
    Ok(format!(
        "import std.optim.{state_module}.{state}\n{head}\
         fn first(p: P, g: P, lr: f64, t: i64) = {{\n\
             let s = {module}.init(p{initial})\n{step}\n\
         fn next(p: P, g: P, s: {state}[P], lr: f64, t: i64) = {{\n{step}",
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
