//! What the command writes where something stands in its way.

use super::{assert_success, folder, stderr, stdout, tensc};
use std::fs;

const SPACED: &str = "fn  f(x: f32) -> f32 = x\n";
const FORMATTED: &str = "fn f(x: f32) -> f32 = x\n";

#[test]
fn what_cannot_be_formatted_leaves_the_other_files_to_it() {
    let dir = folder(&[("a.tx", "fn f(x: f32) = = x\n"), ("b.tx", SPACED)]);
    let out = tensc(&dir, &["fmt", "a.tx", "none.tx", "b.tx"]);
    assert_eq!(out.status.code(), Some(1));
    assert_eq!(stdout(&out), "b.tx\n");
    let told = stderr(&out);
    assert!(told.contains("a.tx:1:16") && told.contains("cannot read none.tx"), "{told}");
    assert_eq!(fs::read_to_string(dir.path().join("b.tx")).expect("it is there"), FORMATTED);
}

#[test]
fn a_log_starts_on_a_new_line() {
    let model = "main { for i in 0..3 { log loss = 0.5 * f32(i) } }\n";
    let half = "{\"step\":1,\"lo";
    let dir = folder(&[("model.tx", model), ("log.jsonl", half)]);
    assert_success(&tensc(&dir, &["run", "model.tx", "--log", "log.jsonl"]));
    assert_success(&tensc(&dir, &["run", "model.tx", "--log", "log.jsonl"]));
    let log = fs::read_to_string(dir.path().join("log.jsonl")).expect("it is there");
    let run = "{\"loss\":0.0,\"step\":1}\n{\"loss\":0.5,\"step\":2}\n{\"loss\":1.0,\"step\":3}\n";
    assert_eq!(log, format!("{half}\n{run}{run}"));
}

#[test]
fn negative_numbers_are_values_that_do_not_fit() {
    let dir = folder(&[("model.tx", FORMATTED)]);
    let cases: [(&[&str], &str); 3] = [
        (&["run", "model.tx", "--threads", "-1"], "-1 is not in 1..=1024"),
        (&["bench", "model.tx", "--seconds", "-1"], "a number of seconds from 0 to 86400"),
        (&["dump", "model.tx", "--region", "-1"], "invalid value '-1' for '--region <N>'"),
    ];
    for (arguments, told) in cases {
        let out = tensc(&dir, arguments);
        assert_eq!(out.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&out).contains(told), "{arguments:?}: {}", stderr(&out));
    }
}
