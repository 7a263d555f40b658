//! From the start of the process to the end of the first training step: the command itself is
//! started again and again on a program that makes weights and images, takes one step and prints
//! the loss. Loading data is apart; everything else of a cold start is in it, the end of the
//! process too.
//!
//! `cargo bench --bench cold_start`

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const TURNS: usize = 40;

fn main() {
    // `cargo bench` passes `--bench`; `cargo test --benches` runs everything once.
    let turns = if std::env::args().any(|a| a == "--bench") { TURNS } else { 1 };
    let version = median(turns, &["--version"]);
    let check = median(turns, &["check", "benches/cold_start.tx"]);
    let first = median(turns, &["run", "benches/cold_start.tx"]);
    let single = median(turns, &["run", "benches/cold_start.tx", "--threads", "1"]);
    println!("process start to end, medians of {turns} turns");
    let rows = [
        ("tensc --version", version),
        ("tensc check", check),
        ("first training step, all cores", first),
        ("first training step, one thread", single),
    ];
    for (what, time) in rows {
        println!("{what:>32} {:>8.1} ms", time.as_secs_f64() * 1e3);
    }
}

fn median(turns: usize, arguments: &[&str]) -> Duration {
    let mut times: Vec<Duration> = (0..turns)
        .map(|_| {
            let start = Instant::now();
            let mut command = Command::new(env!("CARGO_BIN_EXE_tensc"));
            let status = command.args(arguments).stdout(Stdio::null()).status().expect("it starts");
            let time = start.elapsed();
            assert!(status.success(), "tensc {arguments:?} fails");
            time
        })
        .collect();
    times.sort_unstable();
    times[times.len() / 2]
}
