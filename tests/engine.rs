//! Options of the command that say how a program is compiled, and what compiling it took.

use std::process::{Command, Output};
use tempfile::TempDir;

fn run(source: &str, arguments: &[&str]) -> Output {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("model.tx"), source).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_tensc"));
    command.args(["run", "model.tx"]).args(arguments).current_dir(dir.path());
    command.output().unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn passes_are_timed_beside_the_results() {
    let source = "main { print(sum(exp(ones([3])) * 0.0)) }\n";
    let out = run(source, &["--time-passes"]);
    assert_eq!(text(&out.stdout), text(&run(source, &[]).stdout));
    let mut lines: Vec<Vec<&str>> =
        text(&out.stderr).lines().map(|line| line.split_whitespace().collect()).collect();
    let compiled = lines.split_off(7);
    let passes: Vec<&str> = lines.iter().map(|line| line[0]).collect();
    assert_eq!(passes, ["check", "elaborate", "rewrite", "lower", "fuse", "plan", "emit"]);
    for line in &lines {
        assert_eq!(line[2], "us");
        line[1].parse::<u64>().unwrap();
    }
    let said = "region 0 of main, the first time (model.tx:1)";
    let [line] = &compiled[..] else { panic!("one graph was compiled: {compiled:?}") };
    assert_eq!((line[0], line[2], line[3..].join(" ").as_str()), ("compile", "us", said));
    line[1].parse::<u64>().unwrap();
    let check: u64 = lines[0][1].parse().unwrap();
    assert!(check > 0, "reading and checking takes time");
}

#[test]
fn what_is_compiled_again_tells_the_size_that_is_new() {
    let source = "main { for b in batches(ones([10, 4]), 4) { print(sum(b)) } }\n";
    let out = run(source, &["--time-passes"]);
    let lines: Vec<&str> =
        text(&out.stderr).lines().filter(|line| line.starts_with("compile ")).collect();
    let last = lines.last().expect("something was compiled");
    assert!(last.contains(" = 2, before for ") && last.contains(" = 4  (model.tx:1)"), "{last}");
}

/// `x - x` is 0 for numbers, and may be taken for 0 if infinities need not be seen.
#[test]
fn how_far_results_may_differ_is_chosen() {
    let source = "fn f(x: f32[2]) -> f32[2] = x - x\nmain { print(f([inf, 1.0])) }\n";
    let strict = run(source, &[]);
    assert_eq!(text(&strict.stdout), "[NaN, 0.0]\n");
    assert_eq!(text(&run(source, &["--fp", "exact"]).stdout), "[NaN, 0.0]\n");
    for class in ["finite", "approx"] {
        assert_eq!(text(&run(source, &["--fp", class]).stdout), "[0.0, 0.0]\n", "{class}");
    }
    let wrong = run(source, &["--fp", "fast"]);
    assert_eq!(wrong.status.code(), Some(2));
    let message =
        "error: no class `fast` of numerics: there are exact, stable, reassoc, finite, approx\n";
    assert_eq!(text(&wrong.stderr), message);
}
