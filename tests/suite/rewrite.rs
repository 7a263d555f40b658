//! `rewrite/*.tx`: what a function's graph becomes, as snapshots: the graph before and after, the
//! kernels, and what was decided.

use crate::program::Program;
use std::fmt::Write;
use std::path::Path;
use tensc::graph::Graph;
use tensc::pipeline::{self, Recorder};

#[test]
fn rewrites() {
    insta::with_settings!({
        snapshot_path => "rewrite/snapshots", prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::glob!("rewrite", "*.tx", |path| {
            let program = Program::read(path);
            let (text, kernels) = shown(&program);
            if let [wanted] = program.directives("kernels")[..] {
                assert_eq!(kernels.to_string(), wanted, "kernels of {}:\n{text}", program.name());
            }
            insta::assert_snapshot!(text);
        });
    });
}

/// Everything that a reader wants to see, and the number of kernels.
fn shown(program: &Program) -> (String, usize) {
    let [name] = program.directives("fn")[..] else { panic!("one `// fn: NAME` is needed") };
    let module = program.module(Path::new(""));
    let module = module.unwrap_or_else(|failure| panic!("{failure}"));
    let function = module.function(name).expect("the program has the function");
    let graph = concrete(&function.typed().graph, program);
    let wanted = [pipeline::ELABORATE, pipeline::REWRITE, pipeline::FUSE];
    let wanted = wanted.iter().map(|pass| pass.name.to_string()).collect();
    let mut recorder = Recorder { wanted, ..Recorder::default() };
    let options = pipeline::Options::default();
    let executable = pipeline::compile(&graph, &options, &mut recorder).expect("it compiles");
    let mut text = String::new();
    for (pass, after) in &recorder.seen {
        let after = after.to_string();
        let after = if *pass == pipeline::FUSE { outline(&after) } else { after };
        write!(text, "=== after {}\n{}\n\n", pass.name, after.trim_end()).expect("it grows");
    }
    let report = recorder.report.expect("rewriting reports");
    write!(text, "=== decided\n{report}").expect("it grows");
    (text, executable.program().kernels.len())
}

/// The buffers, and what each kernel reads, writes and folds; its arithmetic stands in the graph.
fn outline(kernels: &str) -> String {
    let arithmetic = |line: &str| {
        let line = line.trim_start();
        let value = line.strip_prefix('v').and_then(|rest| rest.split_once(" = "));
        let value = value.is_some_and(|(number, _)| number.parse::<u32>().is_ok());
        value || line.starts_with("slot ") || line.starts_with("param ")
    };
    kernels.lines().filter(|line| !arithmetic(line)).map(|line| format!("{line}\n")).collect()
}

fn concrete(graph: &Graph, program: &Program) -> Graph {
    let sizes = program.sizes().into_iter().next().unwrap_or_default();
    let value = |name: &str| sizes.iter().find(|(n, _)| n == name).map(|(_, value)| *value);
    graph.with_sizes(&|var| value(&var.name)).expect("the sizes fit")
}
