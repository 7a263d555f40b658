//! `tensc profile`: where the time of a function goes, kernel by kernel.
//!
//! The roof is measured, not read from a data sheet: a product whose operands stay in the caches
//! for arithmetic, a sum of two vectors that do not for memory, both compiled like everything else
//! and run on the same threads. The kernels of the steps of a loop stand below it, with their time
//! in all steps; they are part of the loop's. `--trace` also writes the calls as a timeline.

use super::Measure;
use super::bench::shown;
use super::output::{Error, Output};
use super::trace::{Label, Trace};
use super::workbench::Workbench;
use serde_json::json;
use std::path::Path;
use std::time::{Duration, Instant};
use tensc::graph::Origin;
use tensc::kernel::cost::{Counts, counts};
use tensc::kernel::{Program, Work};
use tensc::module::Module;
use tensc::session::{Argument, Session};
use tensc_runtime::Tensor;

/// Calls, prints a table of the kernels, and writes the trace that is asked for.
pub fn profile(measure: &Measure, trace: Option<&Path>, output: &Output) -> Result<(), Error> {
    let mut bench = Workbench::new(measure, output)?;
    let Some(executable) = bench.compiled().executable() else {
        return Err(Error::other("the function is interpreted: it has no kernels to measure"));
    };
    let program = executable.program();
    let mut rows = Vec::new();
    list(bench.module(), program, &mut Vec::new(), &mut rows);
    let within: Vec<bool> = rows.iter().map(|row| executable.follows(&row.path)).collect();
    let roof = Roof::measure(bench.session())?;
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); rows.len()];
    let mut runs = vec![0u32; rows.len()];
    bench.call()?;
    let mut recorded = trace.map(|file| (file, Trace::new()));
    let (begin, budget) = (Instant::now(), Duration::from_secs_f64(measure.seconds));
    while times.iter().any(|of| of.len() < 3) || begin.elapsed() < budget {
        // What a loop does not come to takes no time.
        let mut call = vec![Duration::ZERO; rows.len()];
        runs.fill(0);
        let mut slices = recorded.as_mut().map(|(_, trace)| trace).filter(|trace| trace.goes_on());
        let start = Instant::now();
        bench.call_timed(&mut |path, time| {
            let row = rows.iter().position(|row| row.path == path);
            let row = row.expect("every kernel has its row");
            call[row] += time;
            runs[row] += 1;
            if let Some(trace) = slices.as_mut().filter(|_| !within[row]) {
                let followers = within[row + 1..].iter().take_while(|within| **within).count();
                trace.ended(Some(row), path.len(), time, once(&rows[row..=row + followers]));
            }
        })?;
        if let Some(trace) = slices {
            trace.ended(None, 0, start.elapsed(), Counts::default());
        }
        times.iter_mut().zip(call).for_each(|(of, time)| of.push(time));
        if rows.is_empty() {
            break;
        }
    }
    let medians: Vec<f64> = times.iter_mut().map(|of| median_ns(of)).collect();
    let outer = |row: &Row| row.path.len() == 1;
    let outermost = rows.iter().zip(&medians).filter(|(row, _)| outer(row));
    let total = outermost.fold(0.0, |total, (_, ns)| total + ns);
    output.line(format_args!(
        "roof {:.1} GFLOP/s, {:.1} GB/s on {} threads; {} a call in {} kernels",
        roof.flops,
        roof.bytes,
        bench.session().pool().threads(),
        shown(total),
        rows.iter().filter(|row| outer(row)).count()
    ));
    output.line("      time   share  GFLOP/s     GB/s   roof  kernel");
    for (at, (Row { path, name, lines, .. }, ns)) in rows.iter().zip(&medians).enumerate() {
        let margin = "  ".repeat(path.len() - 1);
        if within[at] {
            let none = format!("{0:>10} {0:>7} {0:>8} {0:>8} {0:>6}", "-");
            output.line(format_args!("{none}  {margin}{name}{lines}  (in the kernel before)"));
            continue;
        }
        let followers = within[at + 1..].iter().take_while(|within| **within).count();
        let counts = done(&rows[at..=at + followers], &rows, &runs);
        let (flops, bytes) = (counts.flops / ns.max(1.0), counts.bytes / ns.max(1.0));
        let reached = (flops / roof.flops).max(bytes / roof.bytes);
        output.line(format_args!(
            "{:>10} {:>6.1}% {flops:>8.2} {bytes:>8.2} {:>5.0}%  {margin}{name}{lines}",
            shown(*ns),
            100.0 * ns / total.max(1.0),
            100.0 * reached,
        ));
    }
    let Some((file, trace)) = recorded else { return Ok(()) };
    let labels: Vec<Label<'_>> =
        rows.iter().map(|row| Label { name: &row.name, place: row.lines.trim_start() }).collect();
    let about = json!({
        "file": measure.file.display().to_string(),
        "function": measure.function,
        "threads": bench.session().pool().threads(),
        "roof GFLOP/s": roof.flops,
        "roof GB/s": roof.bytes,
    });
    trace.write(file, &labels, &about)
}

/// A kernel.
struct Row {
    /// Its number, after those of the loops around it.
    path: Vec<usize>,
    name: String,
    /// Of one run; nothing for a loop, which is its kernels.
    once: Counts,
    lines: String,
}

/// What some kernels do in one run each.
fn once(some: &[Row]) -> Counts {
    let mut done = Counts::default();
    for row in some {
        done += row.once;
    }
    done
}

/// What some kernels did in all their runs, the loops with what is inside of them: a loop may end
/// early, or not be come to.
fn done(some: &[Row], rows: &[Row], runs: &[u32]) -> Counts {
    let mut done = Counts::default();
    let within = |row: &Row| some.iter().any(|outer| row.path.starts_with(&outer.path));
    for (row, &runs) in rows.iter().zip(runs).filter(|(row, _)| within(row)) {
        done.flops += f64::from(runs) * row.once.flops;
        done.bytes += f64::from(runs) * row.once.bytes;
    }
    done
}

/// The kernels of a program, those of steps below their loop.
fn list(module: &Module, program: &Program, path: &mut Vec<usize>, rows: &mut Vec<Row>) {
    for (number, kernel) in program.kernels.iter().enumerate() {
        path.push(number);
        let once = match &kernel.work {
            Work::Repeat(_) => Counts::default(),
            _ => counts(program, kernel),
        };
        let lines = lines(module, &kernel.origins);
        rows.push(Row { path: path.clone(), name: kernel.name.clone(), once, lines });
        if let Work::Repeat(repeat) = &kernel.work {
            list(module, &repeat.step, path, rows);
        }
        path.pop();
    }
}

fn median_ns(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times.get(times.len() / 2).map_or(0.0, |time| time.as_nanos() as f64)
}

/// The lines that a kernel came from: `  model.tx:3,5-7`.
fn lines(module: &Module, origins: &[Origin]) -> String {
    let spans = origins.iter().filter_map(|origin| origin.span);
    let mut places: Vec<(String, usize)> = spans
        .map(|span| {
            let name = module.sources().get(span.source).name.clone();
            (name, module.sources().line_column(span).0)
        })
        .collect();
    places.sort();
    places.dedup();
    let mut text = String::new();
    let mut rest = places.as_slice();
    let mut file = None;
    while let Some((name, from)) = rest.first() {
        let run = rest.iter().zip(*from..).take_while(|((n, line), i)| n == name && line == i);
        let length = run.count();
        match file == Some(name) {
            true => text.push(','),
            false => text.push_str(&format!("  {name}:")),
        }
        file = Some(name);
        text.push_str(&from.to_string());
        if length > 1 {
            text.push_str(&format!("-{}", from + length - 1));
        }
        rest = &rest[length..];
    }
    text
}

/// What the machine reaches with the session's threads.
struct Roof {
    /// Operations a nanosecond.
    flops: f64,
    /// Bytes a nanosecond.
    bytes: f64,
}

/// Rows and columns of the product.
const SIDE: usize = 384;
/// Elements of each vector of the sum: 32 MiB.
const LONG: usize = 8 << 20;
/// The best of so many calls counts.
const CALLS: usize = 12;

impl Roof {
    fn measure(session: &Session) -> Result<Roof, Error> {
        let text = "fn product[N](a: f32[N, N], b: f32[N, N]) -> f32[N, N] = a @ b\n\
                    fn total[N](a: f32[N], b: f32[N]) -> f32[N] = a + b\n";
        let module = Module::from_source("roof.tx", text)?;
        let best = |name: &str, shape: &[usize]| -> Result<f64, Error> {
            let function = module.function(name).expect("it is in the text");
            let operand = Tensor::zeros(tensc_runtime::DType::F32, shape);
            let operands = [operand.view(), operand.view()];
            let compiled = function.compile(session, &operands)?;
            let mut results = [None];
            let mut best = f64::INFINITY;
            for _ in 0..CALLS {
                let mut arguments = operands.clone().map(Argument::Borrowed);
                let start = Instant::now();
                compiled.call_reusing(session.pool(), &mut arguments, &mut results)?;
                best = best.min(start.elapsed().as_nanos() as f64);
            }
            Ok(best)
        };
        let flops = 2.0 * (SIDE as f64).powi(3) / best("product", &[SIDE, SIDE])?;
        let bytes = 3.0 * 4.0 * LONG as f64 / best("total", &[LONG])?;
        Ok(Roof { flops, bytes })
    }
}
