//! The timeline of a profile, in the trace event format that Perfetto and Chrome's tracing read.
//!
//! A slice for each call and for each run of a kernel, as the thread that calls sees them: what
//! other threads do meanwhile is part of the kernel's slice. The kernels of a loop's steps lie
//! within the slice of the loop. Only `tensc profile --trace` records; nothing else pays for it.

use super::output::Error;
use serde_json::{Map, Value, json};
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};
use tensc::kernel::cost::Counts;
use tensc_runtime::write_atomically;

/// No call is recorded after so many slices.
const ENOUGH: usize = 20_000;

/// Slices in the order in which they ended, so that a slice follows those within it.
pub struct Trace {
    begin: Instant,
    slices: Vec<Slice>,
}

struct Slice {
    /// The kernel's row in the table; none for a call.
    row: Option<usize>,
    /// How many slices it lies within.
    depth: usize,
    start: Duration,
    end: Duration,
    done: Counts,
}

/// What is shown of a row's slices.
pub struct Label<'a> {
    /// The kernel.
    pub name: &'a str,
    /// The lines that it came from.
    pub place: &'a str,
}

impl Trace {
    /// A trace whose clock starts now.
    pub fn new() -> Trace {
        Trace { begin: Instant::now(), slices: Vec::new() }
    }

    /// Whether another call has a place.
    pub fn goes_on(&self) -> bool {
        self.slices.len() < ENOUGH
    }

    /// Records what took so long and ended just now. What ended before it and lies deeper lies
    /// within it; `once` is what it did itself.
    pub fn ended(&mut self, row: Option<usize>, depth: usize, time: Duration, once: Counts) {
        let end = self.begin.elapsed();
        let (mut start, mut done) = (end.saturating_sub(time), once);
        for inner in self.slices.iter().rev().take_while(|slice| slice.depth > depth) {
            // The clock is read a moment after the end, and for each slice a different one.
            start = start.min(inner.start);
            if inner.depth == depth + 1 {
                done += inner.done;
            }
        }
        self.slices.push(Slice { row, depth, start, end, done });
    }

    /// Writes the file: `labels` by row, and what is said of the whole.
    ///
    /// # Errors
    /// Where the file cannot be written.
    pub fn write(&self, file: &Path, labels: &[Label<'_>], about: &Value) -> Result<(), Error> {
        let thread = json!({ "name": "thread_name", "ph": "M", "pid": 1, "tid": 1,
            "args": { "name": "the calling thread" } });
        let slices = self.slices.iter().map(|slice| event(slice, labels));
        let events: Vec<Value> = std::iter::once(thread).chain(slices).collect();
        let trace = json!({ "traceEvents": events, "displayTimeUnit": "ns", "otherData": about });
        let wrong = |e: std::io::Error| Error::other(format!("`{}`: {e}", file.display()));
        write_atomically(file, |out| writeln!(out, "{trace}")).map_err(wrong)
    }
}

/// A complete event: times are in microseconds.
fn event(slice: &Slice, labels: &[Label<'_>]) -> Value {
    let Slice { row, start, end, done, .. } = slice;
    let micros = |time: Duration| time.as_nanos() as f64 / 1e3;
    let label = row.map(|row| &labels[row]);
    let ns = (end.saturating_sub(*start).as_nanos() as f64).max(1.0);
    let mut args = Map::new();
    if let Some(label) = label.filter(|label| !label.place.is_empty()) {
        args.insert("source".to_string(), label.place.into());
    }
    args.insert("flops".to_string(), done.flops.into());
    args.insert("bytes".to_string(), done.bytes.into());
    args.insert("GFLOP/s".to_string(), (done.flops / ns).into());
    args.insert("GB/s".to_string(), (done.bytes / ns).into());
    json!({
        "name": label.map_or("call", |label| label.name),
        "cat": if row.is_some() { "kernel" } else { "call" },
        "ph": "X", "pid": 1, "tid": 1, "ts": micros(*start), "dur": micros(*end - *start),
        "args": args,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_holds_its_steps_and_does_what_they_do() {
        let mut trace = Trace::new();
        let once = Counts { flops: 3.0, bytes: 8.0 };
        let none = Counts::default();
        for _ in 0..2 {
            trace.ended(Some(1), 2, Duration::from_nanos(5), once);
        }
        // A time that is too short by what passed before the clock was read.
        trace.ended(Some(0), 1, Duration::ZERO, none);
        trace.ended(Some(2), 1, Duration::ZERO, once);
        trace.ended(None, 0, Duration::ZERO, none);
        let flops: Vec<f64> = trace.slices.iter().map(|slice| slice.done.flops).collect();
        assert_eq!(flops, [3.0, 3.0, 6.0, 3.0, 9.0]);
        let [first, _, outer, last, call] = &trace.slices[..] else { panic!("five slices") };
        assert_eq!((outer.start, call.start), (first.start, first.start));
        assert!(outer.end <= last.start && last.end <= call.end);
    }
}
