//! `tensc dump`, `tensc grad`, `tensc explain`: looking at what the compiler does.

use super::output::{Error, Output, write_out};
use super::{Dump, DumpFormat, Explain, Grad, Subject, calls};
use serde_json::json;
use std::collections::BTreeSet;
use std::fmt::Display;
use std::time::Duration;
use tensc::diag::Sources;
use tensc::graph::{self, Graph, dot};
use tensc::inspect::explain::Explanation;
use tensc::inspect::gradient::gradient_of;
use tensc::inspect::json;
use tensc::kernel;
use tensc::module::Module;
use tensc::pipeline::{self, Ir, PASSES, Pass, Recorder};
use tensc::session::Compilation;

/// What `--after` calls the syntax tree.
const AST: &str = "ast";

/// What `--after` calls the symbolic graph that the checker made.
const CHECK: &str = "check";

/// The passes, a line each.
pub fn list(output: &Output) -> Result<(), Error> {
    output.line(format_args!("{AST:<12}the syntax tree, printed as source"));
    output.line(format_args!("{CHECK:<12}the graph over named sizes, gradients included"));
    for pass in PASSES {
        output.line(format_args!("{:<12}{}", pass.name, pass.about.trim()));
    }
    Ok(())
}

/// Prints the IR after a pass. `checked` is how long reading and checking the file took.
pub fn dump(
    (module, checked): (&Module, Duration),
    dump: &Dump,
    output: &Output,
) -> Result<(), Error> {
    let after = dump.after.as_deref().unwrap_or(CHECK);
    let known = [CHECK, AST].contains(&after) || PASSES.iter().any(|pass| pass.name == after);
    if !known {
        let message = format!("no pass `{after}`; `tensc dump --list` names them");
        return Err(Error::usage(message));
    }
    let optimises = [pipeline::REWRITE, pipeline::FUSE].iter().any(|pass| pass.name == after);
    if dump.engine.no_optimise && optimises {
        let message = format!("with `--no-optimise` the pass `{after}` does not run");
        return Err(Error::usage(message));
    }
    let forms = forms(after);
    if !forms.contains(&dump.format) {
        let names: Vec<&str> = forms.iter().map(|form| form.name()).collect();
        let (format, names) = (dump.format.name(), names.join(", "));
        return Err(Error::usage(format!("`{after}` has no form `{format}`, only {names}")));
    }
    if after == AST {
        write_out(format_args!("{}", module.formatted()));
        return Ok(());
    }
    let subjects = subjects(module, &dump.subject)?;
    let sizes = sizes(&dump.subject.sizes, subjects.iter().map(|(_, graph)| graph))?;
    for (title, graph) in subjects {
        if after == CHECK && !dump.time_passes {
            show((&title, after), &Ir::Graph(graph), dump.format, module.sources());
            continue;
        }
        let concrete = with_sizes(&graph, &sizes)?;
        let mut recorder = Recorder { wanted: vec![after.to_string()], ..Recorder::default() };
        let options = dump.engine.options(output)?;
        pipeline::compile(&concrete, &options.compile, &mut recorder)
            .map_err(|e| Error::other(e.to_string()))?;
        for (_, ir) in &recorder.seen {
            show((&title, after), ir, dump.format, module.sources());
        }
        if dump.time_passes {
            output.line(took(CHECK, checked));
            for (pass, time) in &recorder.times {
                output.line(took(pass.name, *time));
            }
        }
    }
    Ok(())
}

/// The forms in which what there is after a pass can be printed.
fn forms(after: &str) -> &'static [DumpFormat] {
    let graphs = [CHECK, pipeline::ELABORATE.name, pipeline::REWRITE.name];
    let texts = [AST, pipeline::EMIT.name];
    match after {
        _ if graphs.contains(&after) => &[DumpFormat::Text, DumpFormat::Dot, DumpFormat::Json],
        _ if texts.contains(&after) => &[DumpFormat::Text],
        _ => &[DumpFormat::Text, DumpFormat::Json],
    }
}

/// Prints one subject. In JSON it is an object on a line.
fn show((title, after): (&str, &str), ir: &Ir, format: DumpFormat, sources: &Sources) {
    match (format, ir) {
        (DumpFormat::Json, Ir::Graph(graph)) => {
            let graph = graph::text::to_json(graph, sources);
            write_out(format_args!("{}\n", json!({ "of": title, "after": after, "graph": graph })));
        }
        (DumpFormat::Json, Ir::Program(program)) => {
            let program = json::program(program, sources);
            let value = json!({ "of": title, "after": after, "program": program });
            write_out(format_args!("{value}\n"));
        }
        (DumpFormat::Dot, Ir::Graph(graph)) => {
            write_out(format_args!("// {title}\n{}", dot::dot(graph)));
        }
        (_, Ir::Graph(graph)) => {
            write_out(format_args!("// {title}\n{}", graph::text::with_origins(graph, sources)));
        }
        (_, ir) => write_out(format_args!("// {title}\n{ir}")),
    }
}

/// Tells how long passes took: reading and checking all files, then what was compiled.
pub fn time_passes(checked: Duration, times: &[(Pass, Duration)], output: &Output) {
    output.note(took(CHECK, checked));
    for (pass, time) in times {
        output.note(took(pass.name, *time));
    }
}

/// Tells what was compiled for which sizes, how long it took, and what differs from before.
pub fn compilations(module: &Module, compilations: &[Compilation], output: &Output) {
    for compilation in compilations {
        let took = took("compile", compilation.time);
        let place = compilation.subject.origin.span.map_or(String::new(), |span| {
            let sources = module.sources();
            let name = &sources.get(span.source).name;
            format!("  ({name}:{})", sources.line_column(span).0)
        });
        output.note(format_args!("{took}  {compilation}{place}"));
    }
}

fn took(pass: &str, time: Duration) -> impl Display {
    format!("{pass:<12}{:>10.0} us", time.as_secs_f64() * 1e6)
}

/// Prints the gradient of a function as source.
pub fn grad(module: &Module, grad: &Grad) -> Result<(), Error> {
    let function = calls::function(module, &grad.function)?;
    let text = gradient_of(module.sources(), function.typed(), &grad.wrt)
        .map_err(|diagnostic| module.failure(diagnostic))?;
    write_out(format_args!("{text}"));
    Ok(())
}

/// Tells which rewrites were applied.
pub fn explain(module: &Module, explain: &Explain, output: &Output) -> Result<(), Error> {
    let subjects = subjects(module, &explain.subject)?;
    let sizes = sizes(&explain.subject.sizes, subjects.iter().map(|(_, graph)| graph))?;
    for (title, graph) in subjects {
        let concrete = with_sizes(&graph, &sizes)?;
        let mut options = explain.engine.options(output)?;
        options.compile.rewrite.explain = explain.proof;
        let mut recorder = Recorder::default();
        let executable = pipeline::compile(&concrete, &options.compile, &mut recorder)
            .map_err(|e| Error::other(e.to_string()))?;
        let explanation = Explanation {
            sources: module.sources(),
            report: &recorder.report.unwrap_or_default(),
            before: &kernel::lower(&concrete),
            after: executable.program(),
            joins: &recorder.notes,
        };
        output.line(format_args!("// {title}\n{explanation}"));
    }
    Ok(())
}

/// The graphs that are asked for: one function, one region, or all.
fn subjects(module: &Module, subject: &Subject) -> Result<Vec<(String, Graph)>, Error> {
    if let Some(name) = &subject.function {
        let function = calls::function(module, name)?;
        return Ok(vec![(format!("fn {name}"), function.typed().graph.clone())]);
    }
    let main = module.program().main.as_ref();
    let regions = main.map_or(&[][..], |main| &main.regions);
    let title = |number: usize| {
        let line = module.sources().line_column(regions[number].span).0;
        (format!("region {number} of main, line {line}"), regions[number].graph.clone())
    };
    if let Some(number) = subject.region {
        if number >= regions.len() {
            let message = format!("no region {number}: `main` has {} of them", regions.len());
            return Err(Error::usage(message));
        }
        return Ok(vec![title(number)]);
    }
    let functions = module.program().functions.iter();
    let mut all: Vec<(String, Graph)> =
        functions.map(|f| (format!("fn {}", f.name), f.graph.clone())).collect();
    all.extend((0..regions.len()).map(title));
    Ok(all)
}

/// The sizes of the command line: each is one of the graphs', and given once.
pub fn sizes<'g>(
    given: &[String],
    graphs: impl Iterator<Item = &'g Graph>,
) -> Result<Vec<(String, i64)>, Error> {
    let named = graphs.flat_map(Graph::named_sizes);
    let names: BTreeSet<String> = named.flat_map(|var| told_by(&var.name)).collect();
    let mut sizes: Vec<(String, i64)> = Vec::new();
    for assignment in given {
        let wrong = |what: String| Error::usage(format!("`--size {assignment}`: {what}"));
        let parsed = assignment
            .split_once('=')
            .and_then(|(name, value)| Some((name, value.parse().ok().filter(|n: &i64| *n >= 0)?)));
        let (name, value) = parsed.ok_or_else(|| wrong("expected NAME=N".to_string()))?;
        if !names.contains(name) {
            let known: Vec<&str> = names.iter().map(String::as_str).collect();
            let known = match known.as_slice() {
                [] => "there are none".to_string(),
                known => format!("there are {}", known.join(", ")),
            };
            return Err(wrong(format!("no size `{name}`; {known}")));
        }
        if sizes.iter().any(|(other, _)| other == name) {
            return Err(wrong(format!("`{name}` was given already")));
        }
        sizes.push((name.to_string(), value));
    }
    Ok(sizes)
}

/// The graph with these sizes; every named size needs one.
pub fn with_sizes(graph: &Graph, sizes: &[(String, i64)]) -> Result<Graph, Error> {
    let named = graph.named_sizes();
    let mut missing: Vec<String> = Vec::new();
    for var in &named {
        if let Err(unknown) = size_of(&var.name, sizes)? {
            missing.push(format!("--size {unknown}=N"));
        }
    }
    missing.dedup();
    if !missing.is_empty() {
        let message = format!("every size is needed: add {}", missing.join(" "));
        return Err(Error::usage(message));
    }
    let concrete = graph.with_sizes(&|var| size_of(&var.name, sizes).ok()?.ok());
    concrete.map_err(|e| Error::Other(e.to_string()))
}

/// The value of a named size, or the name that has to be given for it. What `where 4 divides E`
/// says of `E` makes it four times a size with the name `(E/4)`: that is told by `E`.
fn size_of(name: &str, sizes: &[(String, i64)]) -> Result<Result<i64, String>, Error> {
    if let Some((_, value)) = sizes.iter().find(|(given, _)| given == name) {
        return Ok(Ok(*value));
    }
    let Some((whole, divisor)) = quotient(name) else { return Ok(Err(name.to_string())) };
    let part = |name: &str| match name.parse() {
        Ok(number) => Ok(Ok(number)),
        Err(_) => size_of(name, sizes),
    };
    match (part(whole)?, part(divisor)?) {
        (Ok(n), Ok(d)) if d != 0 && n % d == 0 => Ok(Ok(n / d)),
        (Ok(n), Ok(d)) => Err(Error::usage(format!(
            "`--size {whole}={n}`: {whole} is a multiple of {divisor} = {d}"
        ))),
        (Err(unknown), _) | (_, Err(unknown)) => Ok(Err(unknown)),
    }
}

/// The names that tell a named size: of `(E/4)` it is `E`.
fn told_by(name: &str) -> Vec<String> {
    match quotient(name) {
        Some((whole, divisor)) => {
            let parts = [whole, divisor].into_iter().filter(|part| part.parse::<i64>().is_err());
            parts.flat_map(told_by).collect()
        }
        None => vec![name.to_string()],
    }
}

/// `E` and `4` of `(E/4)`.
fn quotient(name: &str) -> Option<(&str, &str)> {
    name.strip_prefix('(')?.strip_suffix(')')?.split_once('/')
}
