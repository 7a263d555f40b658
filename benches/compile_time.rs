//! How long the compiler takes for the training step of MNIST, stage by stage.
//!
//! `cargo bench --bench compile_time`

use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tensc::Module;
use tensc::graph::Graph;
use tensc::pipeline::{self, PASSES, Recorder};

const TURNS: usize = 40;

fn main() {
    // `cargo bench` passes `--bench`; `cargo test --benches` runs everything once.
    let turns = if std::env::args().any(|a| a == "--bench") { TURNS } else { 1 };
    let mut times: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    let mut note = |name: &'static str, time: Duration| times.entry(name).or_default().push(time);
    for _ in 0..turns {
        let start = Instant::now();
        let module = Module::from_file("benches/mnist_step.tx").unwrap_or_else(|e| panic!("{e}"));
        note("check", start.elapsed());
        let whole = start;
        let start = Instant::now();
        let graph = concrete(&module);
        note("sizes", start.elapsed());
        let mut recorder = Recorder::default();
        let options = pipeline::Options::default();
        let executable = pipeline::compile(&graph, &options, &mut recorder);
        let executable = executable.expect("there is memory for code");
        note("in all", whole.elapsed());
        for (pass, time) in &recorder.times {
            note(pass.name, *time);
        }
        drop(executable);
    }
    println!("the training step of MNIST, batch of 128: medians of {turns} turns");
    let passes = PASSES.iter().filter(|pass| pass.name != pipeline::ELABORATE.name);
    let names = ["check", "sizes"].into_iter().chain(passes.map(|p| p.name)).chain(["in all"]);
    for name in names {
        let of_stage = times.get_mut(name).expect("every stage ran");
        of_stage.sort_unstable();
        let median = of_stage[of_stage.len() / 2];
        println!("{name:>10} {:>9.2} ms", median.as_secs_f64() * 1e3);
    }
}

fn concrete(module: &Module) -> Graph {
    let step = module.function("step").expect("the source has it");
    let graph = step.typed().graph.with_sizes(&|_| Some(128));
    graph.expect("a batch of 128 fits")
}
