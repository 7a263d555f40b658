//! `tensc bench`: how long calls of a function take, told to a person, or to a program that asks.

use super::Measure;
use super::output::{Error, Output, write_out};
use super::workbench::Workbench;
use cpu_time::ProcessTime;
use serde::{Deserialize, Serialize};
use std::io::{self, BufRead};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tensc::kernel::cost::counts;
use tensc::kernel::{Program, Work};

/// Calls and prints what they took.
pub fn bench(measure: &Measure, serve: bool, output: &Output) -> Result<(), Error> {
    if serve {
        return self::serve(measure, output);
    }
    let mut bench = Workbench::new(measure, output)?;
    let start = Instant::now();
    bench.call()?;
    let first = start.elapsed();
    let mut times = Times::default();
    let budget = Duration::from_secs_f64(measure.seconds);
    times.run(&mut bench, 3, usize::MAX, budget)?;
    let mut walls = times.wall_ns;
    walls.sort_unstable();
    let at = |share: f64| walls[((walls.len() - 1) as f64 * share).round() as usize] as f64;
    output.line(format_args!("compile {:>12}", shown(bench.compile_time.as_nanos() as f64)));
    output.line(format_args!("first   {:>12}", shown(first.as_nanos() as f64)));
    for (name, share) in [("minimum", 0.0), ("median", 0.5), ("95%", 0.95)] {
        output.line(format_args!("{name:<8}{:>12}", shown(at(share))));
    }
    output.line(format_args!("calls   {:>12}", walls.len()));
    // What a loop may leave out cannot be counted before it runs: `profile` does.
    let executable = bench.compiled().executable();
    if let Some(executable) = executable.filter(|e| does_everything(e.program())) {
        let program = executable.program();
        let all = program.kernels.iter().map(|kernel| counts(program, kernel));
        let (flops, bytes) = all.fold((0.0, 0.0), |(f, b), c| (f + c.flops, b + c.bytes));
        let median = at(0.5).max(1.0);
        output.line(format_args!("GFLOP/s {:>12.2}", flops / median));
        output.line(format_args!("GB/s    {:>12.2}", bytes / median));
    }
    Ok(())
}

/// Whether no loop may be left out or end early.
fn does_everything(program: &Program) -> bool {
    program.kernels.iter().all(|kernel| match &kernel.work {
        Work::Repeat(repeat) => {
            repeat.gate.is_none() && repeat.until.is_none() && does_everything(&repeat.step)
        }
        Work::Nest(_) | Work::Product(_) | Work::Call(_) => true,
    })
}

/// A time in the unit that suits it.
pub fn shown(ns: f64) -> String {
    match ns {
        ns if ns < 1e3 => format!("{ns:.0} ns"),
        ns if ns < 1e6 => format!("{:.2} us", ns / 1e3),
        ns if ns < 1e9 => format!("{:.3} ms", ns / 1e6),
        ns => format!("{:.3} s", ns / 1e9),
    }
}

/// What calls took, one by one: wall time, and processor time of the whole process.
#[derive(Default, Serialize)]
pub struct Times {
    /// Nanoseconds by the clock.
    pub wall_ns: Vec<u64>,
    /// Nanoseconds of all threads together.
    pub cpu_ns: Vec<u64>,
}

impl Times {
    /// Calls until `budget` is over, at least `min` times, at most `max`.
    pub fn run(
        &mut self,
        bench: &mut Workbench,
        min: usize,
        max: usize,
        budget: Duration,
    ) -> Result<(), Error> {
        let begin = Instant::now();
        let mut calls = 0;
        while calls < max && (calls < min || begin.elapsed() < budget) {
            let cpu = ProcessTime::now();
            let wall = Instant::now();
            bench.call()?;
            self.wall_ns.push(wall.elapsed().as_nanos() as u64);
            self.cpu_ns.push(cpu.elapsed().as_nanos() as u64);
            calls += 1;
        }
        Ok(())
    }
}

/// A line of standard input.
#[derive(Deserialize)]
#[serde(tag = "cmd", rename_all = "lowercase", deny_unknown_fields)]
enum Request {
    Reset {},
    Call {},
    Run { min: usize, max: usize, budget_s: f64 },
    Save { dir: PathBuf },
}

/// A line of standard output.
#[derive(Serialize)]
#[serde(untagged)]
enum Answer {
    Ready {
        ok: bool,
        version: &'static str,
        compile_ms: f64,
        first_ms: f64,
    },
    Done {
        ok: bool,
    },
    Ran {
        ok: bool,
        #[serde(flatten)]
        times: Times,
    },
    Failed {
        ok: bool,
        error: String,
    },
}

impl Answer {
    fn of(done: Result<Answer, Error>) -> Answer {
        done.unwrap_or_else(|error| Answer::Failed { ok: false, error: error.to_string() })
    }

    fn write(&self) {
        let line = serde_json::to_string(self).expect("an answer has a form in JSON");
        write_out(format_args!("{line}\n"));
    }
}

/// Calls once, then does what each line of standard input asks until it ends.
fn serve(measure: &Measure, output: &Output) -> Result<(), Error> {
    let start = || -> Result<(Workbench, Answer), Error> {
        let mut bench = Workbench::new(measure, output)?;
        let start = Instant::now();
        bench.call()?;
        let (compile_ms, first_ms) = (millis(bench.compile_time), millis(start.elapsed()));
        let version = env!("CARGO_PKG_VERSION");
        Ok((bench, Answer::Ready { ok: true, version, compile_ms, first_ms }))
    };
    let mut bench = match start() {
        Ok((bench, ready)) => {
            ready.write();
            bench
        }
        Err(error) => {
            Answer::Failed { ok: false, error: error.to_string() }.write();
            return Err(error);
        }
    };
    for line in io::stdin().lock().lines() {
        Answer::of(answer(&mut bench, &line?)).write();
    }
    Ok(())
}

fn answer(bench: &mut Workbench, line: &str) -> Result<Answer, Error> {
    let request = serde_json::from_str(line);
    match request.map_err(|e| Error::other(format!("not a request: {e}")))? {
        Request::Reset {} => bench.reset(),
        Request::Call {} => bench.call()?,
        Request::Save { dir } => bench.save(&dir)?,
        Request::Run { min, max, budget_s } => {
            let budget = Duration::try_from_secs_f64(budget_s)
                .map_err(|e| Error::other(format!("budget_s: {e}")))?;
            let mut times = Times::default();
            times.run(bench, min, max, budget)?;
            return Ok(Answer::Ran { ok: true, times });
        }
    }
    Ok(Answer::Done { ok: true })
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
