//! The laws of differentiation and of lanes, for the functions of the library as a program calls
//! them: `graph::ops` and `autodiff` hold them for each operation of the table.
//!
//! `laws/MODULE.tx` has for each function `f` of `std.MODULE` a function `case_f` of f64 tensors. A
//! function of the library that has none stands in `apart.txt` with the reason.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tensc::graph::TensorType;
use tensc::session::{Backend, Options};
use tensc::{Module, Session, Tensor, TensorView};
use tensc_runtime::{DType, rng};

fn folder(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The text of each `.tx` file of a folder by the file's name without its ending.
fn texts(path: &str) -> BTreeMap<String, String> {
    let entries = std::fs::read_dir(folder(path)).expect("the folder can be read");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let programs = paths.filter(|path| path.extension().is_some_and(|e| e == "tx"));
    let read = |path: PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, std::fs::read_to_string(&path).expect("text"))
    };
    programs.map(read).collect()
}

/// The names of functions whose names begin with `prefix`, without it.
fn functions<'a>(text: &'a str, prefix: &'a str) -> impl Iterator<Item = &'a str> {
    let named = text.lines().filter_map(move |line| line.strip_prefix("fn ")?.strip_prefix(prefix));
    named.map(|rest| rest.split(['[', '(']).next().expect("a part"))
}

/// The functions that have no case: `MODULE.NAME: why`.
fn apart() -> BTreeSet<String> {
    let text = std::fs::read_to_string(folder("tests/laws/apart.txt")).expect("text");
    let name = |line: &str| line.split_once(": ").expect("a name and a reason").0.to_string();
    text.lines().map(name).collect()
}

#[test]
fn every_function_of_the_library_has_a_case_or_a_reason() {
    let cases = texts("tests/laws");
    let cased = |(module, text): (&String, &String)| -> Vec<String> {
        functions(text, "case_").map(|name| format!("{module}.{name}")).collect()
    };
    let cased: BTreeSet<String> = cases.iter().flat_map(cased).collect();
    let public = |(module, text): (&String, &String)| -> Vec<String> {
        let all = functions(text, "").filter(|name| !name.starts_with('_'));
        all.map(|name| format!("{module}.{name}")).collect()
    };
    let library: BTreeSet<String> = texts("compiler/std").iter().flat_map(public).collect();
    let apart = apart();
    let told: BTreeSet<String> = cased.union(&apart).cloned().collect();
    assert_eq!(cased.intersection(&apart).next(), None, "both a case and a reason for none");
    assert_eq!(library.difference(&told).next(), None, "no case in tests/laws, and no reason");
    assert_eq!(told.difference(&library).next(), None, "no such function in the library");
}

/// A case: a function of f64 tensors with a tensor for its result.
struct Case {
    name: String,
    parameters: Vec<(String, Vec<usize>)>,
    module: Module,
}

impl Case {
    /// The case of a function, and what is derived from it.
    fn new(text: &str, name: &str) -> Case {
        let module = Module::from_source("case.tx", text).unwrap_or_else(|e| panic!("{name}: {e}"));
        let function = module.function(&format!("case_{name}")).expect("it is there");
        let parameter = |(name, ty): (String, &TensorType)| {
            assert_eq!(ty.dtype, DType::F64, "cases are of f64");
            (name, ty.concrete_shape().to_vec())
        };
        let parameters: Vec<_> = function.parameters().into_iter().map(parameter).collect();
        let typed = |more: &str| -> String {
            let one = |(name, shape): &(String, Vec<usize>)| match shape.is_empty() {
                true => format!("{name}{more}: f64"),
                false => format!("{name}{more}: f64{shape:?}"),
            };
            parameters.iter().map(one).collect::<Vec<_>>().join(", ")
        };
        let named = |more: &str| -> String {
            parameters
                .iter()
                .map(|(name, _)| format!("{name}{more}"))
                .collect::<Vec<_>>()
                .join(", ")
        };
        let stacked: Vec<String> =
            parameters.iter().map(|(name, _)| format!("stack([{name}, {name}_way])")).collect();
        let (all, both) = (typed(""), format!("{}, {}", typed(""), typed("_way")));
        let (names, ways, lanes) = (named(""), named("_way"), stacked.join(", "));
        let case = format!("case_{name}");
        let text = format!(
            "{text}
             fn weight({all}) = {{ let y = {case}({names}); cos(3.0 * y) + 0.3 }}
             fn score({all}) = {{ let y = {case}({names}); sum(y + 0.5 * y * y * y) }}
             fn first({all}) = grad(score, wrt = ({names}))({names})
             fn second({both}) = hvp(score, wrt = ({names}))({names}, {ways})
             fn ahead({both}) =
                 sum(weight({names}) * jvp({case}, wrt = ({names}))({names}, {ways}).1)
             fn back({all}) = vjp({case}, wrt = ({names}))({names}, weight({names})).1
             fn lanes({both}) = vmap({case})({lanes})
             fn loop({both}) = stack([{case}({names}), {case}({ways})])\n"
        );
        let module = Module::from_source("case.tx", text).unwrap_or_else(|e| panic!("{name}: {e}"));
        Case { name: name.to_string(), parameters, module }
    }

    fn draws(&self, seed: i64) -> Vec<Vec<f64>> {
        let key = rng::key(seed);
        let draw = |(i, (_, shape)): (usize, &(String, Vec<usize>))| {
            let n: usize = shape.iter().product();
            let key = rng::fold_in(key, i as i64);
            (0..n).map(|at| 0.2 + 0.6 * rng::uniform_f64(key, at as u64)).collect()
        };
        self.parameters.iter().enumerate().map(draw).collect()
    }

    fn call(&self, session: &Session, function: &str, values: &[Vec<f64>]) -> Vec<f64> {
        let shapes = self.parameters.iter().chain(&self.parameters);
        let tensors: Vec<Tensor> = (values.iter().zip(shapes))
            .map(|(values, (_, shape))| Tensor::from_slice(values, shape.as_slice()))
            .collect();
        let views: Vec<TensorView<'_>> = tensors.iter().map(Tensor::view).collect();
        let function = self.module.function(function).expect("it is there");
        let found = function.call(session, &views).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        found.iter().flat_map(Tensor::to_f64_vec).collect()
    }

    /// The laws that do not hold.
    fn broken(&self, session: &Session) -> Vec<String> {
        let (x, v) = (self.draws(1), self.draws(2));
        let both = [x.clone(), v.clone()].concat();
        let moved = |by: f64| -> Vec<Vec<f64>> {
            let add = |(x, v): (&Vec<f64>, &Vec<f64>)| -> Vec<f64> {
                x.iter().zip(v).map(|(x, v)| x + by * v).collect()
            };
            x.iter().zip(&v).map(add).collect()
        };
        let dot = |a: &[f64], b: &[f64]| -> f64 { a.iter().zip(b).map(|(a, b)| a * b).sum() };
        let slope = |function: &str, step: f64| -> Vec<f64> {
            let [up, down] = [step, -step].map(|by| self.call(session, function, &moved(by)));
            up.iter().zip(down).map(|(up, down)| (up - down) / (2.0 * step)).collect()
        };
        let ways = v.concat();
        let first = self.call(session, "first", &x);
        let back = self.call(session, "back", &x);
        let laws = [
            (
                "the gradient is what differences say",
                1e-6,
                vec![dot(&first, &ways)],
                slope("score", 1e-6),
            ),
            (
                "hvp is what differences of gradients say",
                1e-5,
                self.call(session, "second", &both),
                slope("first", 1e-5),
            ),
            (
                "jvp and vjp are adjoint",
                1e-12,
                self.call(session, "ahead", &both),
                vec![dot(&back, &ways)],
            ),
            (
                "vmap is a loop",
                1e-13,
                self.call(session, "lanes", &both),
                self.call(session, "loop", &both),
            ),
        ];
        let holds = |tolerance: f64, have: &[f64], want: &[f64]| {
            let largest = want.iter().fold(1.0f64, |m, x| m.max(x.abs()));
            let near = |(a, b): (&f64, &f64)| (a - b).abs() <= tolerance * largest;
            have.len() == want.len() && have.iter().zip(want).all(near)
        };
        let wrong = laws.iter().filter(|(_, tolerance, have, want)| !holds(*tolerance, have, want));
        let tell = |(law, _, have, want): &(&str, f64, Vec<f64>, Vec<f64>)| {
            format!("{}: not so: {law}: {have:?} and {want:?}", self.name)
        };
        wrong.map(tell).collect()
    }
}

#[test]
fn functions_of_the_library_keep_the_laws() {
    let texts = texts("tests/laws");
    let mut cases: Vec<(&str, &str)> = Vec::new();
    for text in texts.values() {
        cases.extend(functions(text, "case_").map(|name| (text.as_str(), name)));
    }
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                let backend = Backend::Interpreter;
                let session = Session::new(Options { threads: 1, backend, ..Options::default() });
                while let Some((text, name)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let broken = Case::new(text, name).broken(&session);
                    wrong.lock().expect("no panic").extend(broken);
                }
            });
        }
    });
    let wrong = wrong.into_inner().expect("no panic");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
