//! `run/*.tx`: every program on every engine. `main` prints what the program expects and the same
//! everywhere; `test` items pass; every function gives the same on random data of several sizes.

use crate::engines::{Engine, ONE_THREAD, TWO_THREADS, difference, engines, same_line};
use crate::program::Program;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tensc::codegen::{self, Isa};
use tensc::script::Transcript;
use tensc::session::sizes::Sizes;
use tensc::{CallError, Function, Module, RunOptions, Tensor, TensorView};
use tensc_runtime::{DType, Element, rng};

/// Sizes that named sizes take in turn: 1, odd, below and above a vector's lanes, a tile.
const SIZES: [i64; 5] = [2, 5, 1, 17, 64];

#[test]
fn programs_agree_on_every_engine() {
    agree(codegen::Options::default().isa);
}

/// `cargo test --release --test suite every_instruction_set -- --ignored`
#[test]
#[ignore = "minutes: every program for every instruction set of this machine"]
fn programs_agree_for_every_instruction_set() {
    for isa in Isa::ALL {
        if isa.is_available() {
            agree(isa);
        } else {
            println!("skipped: this machine has no {} instructions", isa.name());
        }
    }
}

fn agree(isa: Isa) {
    let engines = engines(isa);
    let mut wrong = String::new();
    for program in Program::all("run") {
        // A broken invariant of the compiler panics: the program that shows it is named as well.
        let checked = catch_unwind(AssertUnwindSafe(|| check(&program, &engines)));
        for complaint in checked.unwrap_or_else(|_| vec!["panics".to_string()]) {
            writeln!(wrong, "{}: {complaint}", program.name()).expect("a string grows");
        }
    }
    assert!(wrong.is_empty(), "code for {}:\n{wrong}", isa.name());
}

fn check(program: &Program, engines: &[Engine]) -> Vec<String> {
    let mut wrong = Vec::new();
    let dir = tempfile::tempdir().expect("a folder for files");
    let module = match program.module(dir.path()) {
        Ok(module) => module,
        Err(failure) => return vec![format!("does not check:\n{failure}")],
    };
    let parts = module.program();
    if parts.main.is_none() && parts.tests.is_empty() && parts.functions.is_empty() {
        wrong.push("has nothing to run".to_string());
    }
    wrong.extend(mains(program, &module, engines));
    wrong.extend(tests(&module, engines));
    for function in &parts.functions {
        let function = module.function(&function.name).expect("it is listed");
        // What only the context's type tells the sizes of is for other functions to call.
        if function.open_size().is_some() {
            continue;
        }
        wrong.extend(calls(program, &function, engines));
    }
    wrong
}

/// Runs `main` everywhere.
fn mains(program: &Program, module: &Module, engines: &[Engine]) -> Vec<String> {
    let expected = program.directives("expect");
    if module.program().main.is_none() {
        return if expected.is_empty() { vec![] } else { vec!["expects, but has no main".into()] };
    }
    let mut wrong = Vec::new();
    let mut transcripts: Vec<(&str, Transcript)> = Vec::new();
    for engine in engines {
        let mut transcript = Transcript::default();
        let options = RunOptions::default();
        match module.run(&engine.session, &options, &mut transcript) {
            Ok(()) => transcripts.push((engine.name, transcript)),
            Err(failure) => wrong.push(format!("main fails on {}:\n{failure}", engine.name)),
        }
    }
    let tolerance = program.tolerance().unwrap_or(1e-5);
    for (engine, transcript) in &transcripts {
        if transcript.lines.len() != expected.len() {
            let text = transcript.lines.join("\n    ");
            wrong.push(format!("{} lines expected on {engine}:\n    {text}", expected.len()));
            continue;
        }
        for (want, have) in expected.iter().zip(&transcript.lines) {
            if !same_line(want, have, tolerance) {
                wrong.push(format!("on {engine}: expected `{want}`, found `{have}`"));
            }
        }
        let first = &transcripts[0].1;
        for ((name, want), (_, have)) in first.logged.iter().zip(&transcript.logged) {
            if (want - have).abs() > tolerance * want.abs().max(1.0) {
                wrong.push(format!("on {engine}: {name} = {have} instead of {want}"));
            }
        }
        if first.logged.len() != transcript.logged.len() {
            wrong.push(format!("on {engine}: another number of logged values"));
        }
    }
    let of = |name| transcripts.iter().find(|(n, _)| *n == name).map(|(_, t)| t);
    if of(ONE_THREAD) != of(TWO_THREADS) {
        wrong.push("main is not the same on two threads".to_string());
    }
    wrong
}

/// Runs every `test` item everywhere.
fn tests(module: &Module, engines: &[Engine]) -> Vec<String> {
    let mut wrong = Vec::new();
    for test in &module.program().tests {
        for engine in engines {
            let ran = module.run_test(test, &engine.session, &mut Transcript::default());
            if let Err(failure) = ran {
                wrong.push(format!("test `{}` on {}:\n{failure}", test.name, engine.name));
            }
        }
    }
    wrong
}

/// Calls a function everywhere, for several sets of sizes.
fn calls(program: &Program, function: &Function, engines: &[Engine]) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut called = 0;
    let given = program.sizes();
    let rounds = if function.typed().dims.is_empty() { 1 } else { SIZES.len() + given.len() };
    for round in 0..rounds {
        let mut sizes = Sizes::default();
        for (i, dim) in function.typed().dims.iter().enumerate() {
            let given = given.get(round.wrapping_sub(SIZES.len()));
            let given = given.and_then(|set| set.iter().find(|(n, _)| **n == *dim.name));
            let default = SIZES[(round + i) % SIZES.len()];
            sizes.insert(dim.clone(), given.map_or(default, |(_, n)| *n));
        }
        let Some(arguments) = arguments(function, &sizes, round) else { continue };
        let views: Vec<TensorView<'_>> = arguments.iter().map(Tensor::view).collect();
        if function.specialise(&views).is_err() {
            // These sizes break a constraint of the function: some others must not.
            continue;
        }
        called += 1;
        wrong.extend(call(function, &views, engines).into_iter().map(|complaint| {
            let shapes: Vec<String> =
                views.iter().map(|v| format!("{}{}", v.dtype(), v.shape())).collect();
            format!("{}({}): {complaint}", function.typed().name, shapes.join(", "))
        }));
    }
    if called == 0 {
        wrong.push(format!("{}: no sizes fit", function.typed().name));
    }
    wrong
}

fn call(function: &Function, views: &[TensorView<'_>], engines: &[Engine]) -> Vec<String> {
    let mut wrong = Vec::new();
    let results: Vec<(&str, Result<Vec<Tensor>, CallError>)> =
        engines.iter().map(|e| (e.name, function.call(&e.session, views))).collect();
    let names: Vec<String> = function.results().into_iter().map(|(name, _)| name).collect();
    for (engine, result) in &results[1..] {
        match (&results[0].1, result) {
            (Ok(expected), Ok(found)) => {
                for (name, (x, y)) in names.iter().zip(expected.iter().zip(found)) {
                    let complaint = difference(x, y);
                    wrong.extend(complaint.map(|c| format!("{name} on {engine}: {c}")));
                }
            }
            // Where an index is out of range, it is everywhere.
            (Err(CallError::Index { .. }), Err(CallError::Index { .. })) => {}
            (expected, found) => {
                let text = |r: &Result<Vec<Tensor>, CallError>| match r {
                    Ok(_) => "succeeds".to_string(),
                    Err(e) => format!("fails: {e}"),
                };
                wrong.push(format!("{} on {engine}, {}", text(found), text(expected)));
            }
        }
    }
    let of = |name| results.iter().find(|(n, _)| *n == name).and_then(|(_, r)| r.as_ref().ok());
    if let (Some(one), Some(two)) = (of(ONE_THREAD), of(TWO_THREADS)) {
        let same = one.iter().zip(two).all(|(x, y)| x.as_bytes() == y.as_bytes());
        if !same {
            wrong.push("not the same bits on two threads".to_string());
        }
    }
    wrong
}

/// Random data of the parameters' types, or nothing where a size comes out wrong.
fn arguments(function: &Function, sizes: &Sizes, seed: usize) -> Option<Vec<Tensor>> {
    let mut arguments = Vec::new();
    for (i, (_, ty)) in function.parameters().into_iter().enumerate() {
        let size = |dim: &tensc::graph::Dim| {
            let value = dim.substitute(&|v| sizes.get(v).map(|n| tensc::graph::Dim::Const(*n)));
            value.known().and_then(|n| usize::try_from(n).ok())
        };
        let shape: Vec<usize> = ty.shape.iter().map(size).collect::<Option<_>>()?;
        let key = rng::fold_in(rng::key(seed as i64), i as i64);
        arguments.push(random(ty.dtype, &shape, key));
    }
    Some(arguments)
}

/// Floats in -1.5..1.5, integers among 0 and 1 (which are also indices), bools.
fn random(dtype: DType, shape: &[usize], key: rng::Key) -> Tensor {
    let count: usize = shape.iter().product();
    let unit = |i: usize| rng::uniform_f64(key, i as u64);
    if dtype.is_float() {
        let values: Vec<f64> = (0..count).map(|i| 3.0 * unit(i) - 1.5).collect();
        return Tensor::from_f64_slice(dtype, &values, shape);
    }
    let mut tensor = Tensor::zeros(dtype, shape);
    tensc_runtime::with_element!(dtype, T => {
        for (i, element) in tensor.as_mut_slice::<T>().iter_mut().enumerate() {
            *element = <T as Element>::from_i64(i64::from(unit(i) < 0.5));
        }
    });
    tensor
}
