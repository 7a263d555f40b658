//! Random graphs through every executor: the interpreter, code without optimisation, optimised
//! code, at one and two threads, for every instruction set this machine has, with every buffer
//! between pages that may not be touched.
//!
//! Tolerances, relative to the largest magnitude of the result (the interpreter sums in `f64`), by
//! the narrowest float the graph computes in: `f64` 1e-10, `f32` 2e-5, `bf16` and `f16` a few units
//! of their last place; integers and truth values are equal. Thread counts never change a bit.

use tensc::codegen::Isa;
use tensc::graph::interpret::interpret;
use tensc::graph::testing::{Case, Options as CaseOptions, random_case};
use tensc::session::Argument;
use tensc::{DType, Options, Session, Tensor};

/// Executables of one kind.
struct Way {
    name: String,
    session: Session,
}

fn ways() -> Vec<Way> {
    let mut ways = Vec::new();
    for isa in Isa::available() {
        for (optimise, threads) in [(false, 1), (true, 1), (true, 2)] {
            let mut options = Options { threads, ..Options::default() };
            options.compile.optimise = optimise;
            options.compile.emit.isa = isa;
            options.compile.verify = true;
            options.guard = true;
            let optimised = if optimise { "optimised" } else { "plain" };
            let name = format!("{optimised} {} code at {threads} threads", isa.name());
            ways.push(Way { name, session: Session::new(options) });
        }
    }
    ways
}

#[test]
fn random_graphs_agree_on_every_executor() {
    run(0..80, &CaseOptions::default());
}

#[test]
fn random_float_graphs_agree_on_every_executor() {
    let dtypes = vec![DType::F32, DType::F64];
    run(1000..1060, &CaseOptions { steps: 25, dtypes, ..CaseOptions::default() });
}

/// `cargo test --release --test differential -- --ignored`
#[test]
#[ignore = "minutes: 5,000 random graphs"]
fn many_random_graphs_agree_on_every_executor() {
    run(10_000..15_000, &CaseOptions { steps: 30, ..CaseOptions::default() });
}

fn run(seeds: std::ops::Range<u64>, options: &CaseOptions) {
    let ways = ways();
    for seed in seeds {
        let case = random_case(seed, options);
        let wanted = interpret(&case.graph, &case.inputs).expect("random graphs evaluate");
        let tolerance = tolerance(&case);
        let mut first: Option<(&Way, Vec<Tensor>)> = None;
        for way in &ways {
            let found = call(way, &case, seed);
            for ((name, _), (want, have)) in
                case.graph.outputs().iter().zip(wanted.iter().zip(&found))
            {
                if let Some(difference) = difference(want, have, tolerance) {
                    let graph = &case.graph;
                    panic!("seed {seed}, {}: output {name}: {difference}\n{graph}", way.name);
                }
            }
            // Optimised code of one instruction set differs in the number of threads only.
            match &first {
                Some((one, bits)) if way.name.contains("at 2") => {
                    let same = bits.iter().zip(&found).all(|(a, b)| same_bits(a, b));
                    assert!(same, "seed {seed}: {} and {} differ", one.name, way.name);
                }
                _ => first = Some((way, found)),
            }
        }
    }
}

fn call(way: &Way, case: &Case, seed: u64) -> Vec<Tensor> {
    let compiled = way.session.compile_graph(&case.graph).expect("there is memory for code");
    let arguments = case.inputs.iter().map(|t| Argument::Borrowed(t.view())).collect();
    let found = compiled.call(way.session.pool(), arguments);
    found.unwrap_or_else(|e| panic!("seed {seed}, {}: {e}\n{}", way.name, case.graph))
}

fn same_bits(a: &Tensor, b: &Tensor) -> bool {
    a.dtype() == b.dtype() && a.shape() == b.shape() && a.as_bytes() == b.as_bytes()
}

/// That of the narrowest float type in the graph: an `f64` result may come from `f32` work.
fn tolerance(case: &Case) -> f64 {
    let of = |dtype: DType| match dtype {
        DType::F64 => 1e-10,
        DType::F32 => 2e-5,
        DType::F16 => 4e-3,
        DType::BF16 => 3e-2,
        _ => 0.0,
    };
    case.graph.nodes().map(|id| of(case.graph.ty(id).dtype)).fold(0.0, f64::max)
}

/// What is different beyond the tolerance.
fn difference(want: &Tensor, have: &Tensor, tolerance: f64) -> Option<String> {
    if want.dtype() != have.dtype() || want.shape() != have.shape() {
        return Some(format!("{have:?} is not of the type of {want:?}"));
    }
    let tolerance = if want.dtype().is_float() { tolerance } else { 0.0 };
    let (want, have) = (want.to_f64_vec(), have.to_f64_vec());
    let scale = want.iter().filter(|x| x.is_finite()).fold(0.0f64, |m, x| m.max(x.abs()));
    let far = |(x, y): (&f64, &f64)| {
        let same = x == y || (x.is_nan() && y.is_nan());
        !(same || (x - y).abs() <= tolerance * (scale + 1.0))
    };
    let at = want.iter().zip(&have).position(far)?;
    Some(format!("element {at} is {}, not {}", have[at], want[at]))
}
