//! Tiles by measurement: each product of a graph, where it stands in the graph.
//!
//! One respect after another is varied, for all products at once: a variant of the program has the
//! first other choice of each, the next one the second, and so on. The variants take turns, so that
//! what else the machine does meets all of them.
//!
//! Neighbours: `codegen` knows what may be chosen; [`Tiles`] keep what was found.

use super::{Argument, CallError, Compiled, Session};
use crate::codegen::{self, Choice, ProductKind, Tiles};
use crate::graph::Graph;
use crate::kernel::{Product, Program, Work};
use crate::pipeline::{self, Unobserved};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tensc_runtime::TensorView;

/// What was measured for a kind of product.
#[derive(Clone, Debug)]
pub struct Tuned {
    /// What it is.
    pub product: ProductKind,
    /// What the model chose, and how long it took.
    pub model: (Choice, Duration),
    /// What was best, and how long that took beside it.
    pub best: (Choice, Duration),
}

/// A kind of product while choices for it are measured.
struct Subject {
    kind: ProductKind,
    product: Product,
    /// The kernels that are of this kind, by their paths.
    kernels: Vec<Vec<usize>>,
    model: Choice,
    now: Choice,
}

/// Rounds in which the variants take turns, at least.
const ROUNDS: usize = 7;
/// A variant's turn: what another one left in the caches is not what it finds when it is called
/// again and again, so that the first call of several does not count.
const TURN: Duration = Duration::from_millis(4);
/// How much less time another choice must take: what noise would not explain.
const WORTH: f64 = 0.97;

impl Session {
    /// Measures choices for the products of a graph, for about as long as `budget`.
    ///
    /// # Errors
    /// As a call of the graph with these arguments.
    pub fn tune(
        &self,
        graph: &Graph,
        arguments: &[TensorView<'_>],
        budget: Duration,
    ) -> Result<Vec<Tuned>, CallError> {
        let mut subjects = self.subjects(graph)?;
        let part = budget / 5;
        for respect in 0.. {
            let options = &self.options().compile.emit;
            let varied: Option<Vec<Vec<Choice>>> = subjects
                .iter()
                .map(|s| codegen::variations(&s.product, options, s.now, respect))
                .collect();
            let Some(varied) = varied.filter(|_| !subjects.is_empty()) else { break };
            let most = varied.iter().map(Vec::len).max().unwrap_or(0);
            let choices = |variant: usize| -> Vec<Choice> {
                let of = |(s, varied): (&Subject, &Vec<Choice>)| match variant.checked_sub(1) {
                    Some(i) => varied.get(i).copied().unwrap_or(s.now),
                    None => s.now,
                };
                subjects.iter().zip(&varied).map(of).collect()
            };
            let variants: Vec<Vec<Choice>> = (0..=most).map(choices).collect();
            let times = self.measure(graph, arguments, &subjects, &variants, part)?;
            for (number, subject) in subjects.iter_mut().enumerate() {
                let time = |variant: usize| times[variant][number].as_secs_f64();
                let best = (0..variants.len()).min_by(|&a, &b| time(a).total_cmp(&time(b)));
                let best = best.filter(|&b| time(b) < WORTH * time(0));
                subject.now = variants[best.unwrap_or(0)][number];
            }
        }
        let both = [|s: &Subject| s.model, |s: &Subject| s.now];
        let variants = both.map(|choice| subjects.iter().map(choice).collect());
        let times = self.measure(graph, arguments, &subjects, &variants, part)?;
        let tuned = subjects.into_iter().zip(&times[0]).zip(&times[1]);
        Ok(tuned
            .map(|((s, &model), &best)| match best < model {
                true => Tuned { product: s.kind, model: (s.model, model), best: (s.now, best) },
                false => Tuned { product: s.kind, model: (s.model, model), best: (s.model, model) },
            })
            .collect())
    }

    /// The kinds of products of a graph.
    fn subjects(&self, graph: &Graph) -> Result<Vec<Subject>, CallError> {
        let compiled = self.variant(graph, Tiles::default())?;
        let mut subjects = Vec::new();
        if let Some(executable) = compiled.executable() {
            let options = &self.options().compile.emit;
            products(executable.program(), &mut Vec::new(), &mut |path, product| {
                let (kind, model) = codegen::model_choice(product, options);
                add(&mut subjects, kind, model, product, path);
            });
        }
        Ok(subjects)
    }

    /// The graph compiled with these tiles.
    fn variant(&self, graph: &Graph, tiles: Tiles) -> Result<Compiled, CallError> {
        let mut options = self.options().compile.clone();
        options.emit.tiles = Some(Arc::new(tiles));
        let executable = pipeline::compile(graph, &options, &mut Unobserved);
        let executable = executable.map_err(|e| CallError::Compile(e.to_string()))?;
        Ok(Compiled::jit(graph, Vec::new(), executable, false))
    }

    /// The median time of each subject in each variant.
    fn measure(
        &self,
        graph: &Graph,
        arguments: &[TensorView<'_>],
        subjects: &[Subject],
        variants: &[Vec<Choice>],
        budget: Duration,
    ) -> Result<Vec<Vec<Duration>>, CallError> {
        let mut compiled = Vec::with_capacity(variants.len());
        for choices in variants {
            let mut tiles = Tiles::default();
            for (subject, &choice) in subjects.iter().zip(choices) {
                tiles.insert(subject.kind.clone(), choice);
            }
            compiled.push(self.variant(graph, tiles)?);
        }
        let mut times = vec![vec![Vec::new(); subjects.len()]; variants.len()];
        let mut results = vec![None; graph.outputs().len()];
        let begin = Instant::now();
        let mut rounds = 0;
        while rounds < ROUNDS || begin.elapsed() < budget {
            for (compiled, times) in compiled.iter().zip(&mut times) {
                let turn = Instant::now();
                for call in 0.. {
                    let mut given: Vec<Argument<'_>> =
                        arguments.iter().cloned().map(Argument::Borrowed).collect();
                    let mut spent = vec![Duration::ZERO; subjects.len()];
                    let mut timed = |path: &[usize], time| {
                        let of = |s: &Subject| s.kernels.iter().any(|kernel| kernel == path);
                        if let Some(number) = subjects.iter().position(of) {
                            spent[number] += time;
                        }
                    };
                    compiled.call_timed(self.pool(), &mut given, &mut results, &mut timed)?;
                    let last = turn.elapsed() >= TURN;
                    if call > 0 || last {
                        times.iter_mut().zip(spent).for_each(|(all, time)| all.push(time));
                    }
                    if last {
                        break;
                    }
                }
            }
            rounds += 1;
        }
        let median = |mut all: Vec<Duration>| {
            all.sort_unstable();
            all[all.len() / 2]
        };
        Ok(times.into_iter().map(|of| of.into_iter().map(median).collect()).collect())
    }
}

/// Calls `found` with every product and its path: the numbers of the loops around it, and its own.
fn products(program: &Program, path: &mut Vec<usize>, found: &mut dyn FnMut(&[usize], &Product)) {
    for (number, kernel) in program.kernels.iter().enumerate() {
        path.push(number);
        match &kernel.work {
            Work::Product(product) => found(path, product),
            Work::Repeat(repeat) => products(&repeat.step, path, found),
            Work::Nest(_) | Work::Call(_) => {}
        }
        path.pop();
    }
}

fn add(
    subjects: &mut Vec<Subject>,
    kind: ProductKind,
    model: Choice,
    product: &Product,
    path: &[usize],
) {
    match subjects.iter_mut().find(|s| s.kind == kind) {
        Some(subject) => subject.kernels.push(path.to_vec()),
        None => {
            let (product, kernels) = (product.clone(), vec![path.to_vec()]);
            subjects.push(Subject { kind, product, kernels, model, now: model });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::text::parse;
    use tensc_runtime::{DType, Tensor};

    const STEP: &str = "\
%0: f32[70, 810] = input \"x\"
%1: f32[810, 90] = input \"w\"
%2: f32[90, 33] = input \"v\"
%3: f32[70, 90] = contract(%0, %1) {sum: [1]x[0]}
%4: f32[70, 90] = tanh(%3)
%5: f32[70, 33] = contract(%4, %2) {sum: [1]x[0]}
output \"y\" = %5
";

    fn arguments(graph: &Graph) -> Vec<Tensor> {
        let made = graph.inputs().iter().zip(1..).map(|((_, node), number)| {
            let shape = graph.ty(*node).concrete_shape();
            let values: Vec<f64> =
                (0..shape.elements()).map(|i| ((i * number * 37) % 101) as f64 / 101.0).collect();
            Tensor::from_f64_slice(DType::F32, &values, shape)
        });
        made.collect()
    }

    #[test]
    fn no_choice_changes_a_bit() {
        let graph = parse(STEP).expect("the test's graph is right");
        let session = Session::default();
        let given = arguments(&graph);
        let views: Vec<TensorView<'_>> = given.iter().map(Tensor::view).collect();
        let call = |tiles: Tiles| {
            let compiled = session.variant(&graph, tiles).expect("there is memory");
            let given = views.iter().cloned().map(Argument::Borrowed).collect();
            compiled.call(session.pool(), given).expect("nothing can fail").remove(0)
        };
        let expected = call(Tiles::default());
        let subjects = session.subjects(&graph).expect("there is memory");
        assert_eq!(subjects.len(), 2);
        for subject in &subjects {
            let options = &session.options().compile.emit;
            let mut respect = 0;
            while let Some(varied) =
                codegen::variations(&subject.product, options, subject.now, respect)
            {
                for choice in varied {
                    let mut tiles = Tiles::default();
                    tiles.insert(subject.kind.clone(), choice);
                    assert_eq!(call(tiles).as_bytes(), expected.as_bytes(), "{choice:?}");
                }
                respect += 1;
            }
            // What cannot be made is left to the model.
            let mut tiles = Tiles::default();
            tiles.insert(subject.kind.clone(), Choice { rows: 1000, ..subject.now });
            assert_eq!(call(tiles).as_bytes(), expected.as_bytes());
        }
    }

    #[test]
    fn what_is_tuned_is_never_slower_and_comes_back_from_its_text() {
        let graph = parse(STEP).expect("the test's graph is right");
        let session = Session::default();
        let given = arguments(&graph);
        let views: Vec<TensorView<'_>> = given.iter().map(Tensor::view).collect();
        let tuned = session.tune(&graph, &views, Duration::ZERO).expect("nothing can fail");
        assert_eq!(tuned.len(), 2);
        let mut tiles = Tiles::default();
        for product in tuned {
            assert!(product.best.1 <= product.model.1);
            tiles.insert(product.product, product.best.0);
        }
        assert_eq!(Tiles::from_json(&tiles.to_json()), Ok(tiles));
        assert!(Tiles::from_json("[{}]").is_err());
    }
}
