//! `bench`, `profile` and `tune`: what is printed and written, not how long anything takes.

use super::{assert_success, command, folder, stderr, stdout, tensc};
use std::fs;
use std::io::Write;
use std::process::Stdio;
use tensc::Tensor;
use tensc_runtime::data;

#[test]
fn tune_keeps_what_it_measured_for_later_runs() {
    let text = "fn bench(x: f32[40, 30], w: f32[30, 50]) -> f32[40, 50] = x @ w\n";
    let dir = folder(&[("model.tx", text), ("broken.json", "[{}]")]);
    let tuned = tensc(&dir, &["tune", "model.tx", "--seconds", "0", "--tiles", "tiles.json"]);
    assert_success(&tuned);
    if tensc::codegen::Isa::widest() != tensc::codegen::Isa::Portable {
        assert!(stdout(&tuned).contains("f32 40x30 @ 30x50"), "{}", stdout(&tuned));
        let kept = fs::read_to_string(dir.path().join("tiles.json")).expect("it was written");
        assert!(kept.contains("\"m\":40,\"n\":50,\"k\":30"), "{kept}");
        let used = ["bench", "model.tx", "--seconds", "0", "--tiles", "tiles.json"];
        assert_success(&tensc(&dir, &used));
        // The user's cache, which nobody named, is no reason to stop.
        let cache = folder(&[("tensc/tiles.json", "[{}]")]);
        for name in ["bench", "tune", "bench"] {
            let mut run = command(&dir, &[name, "model.tx", "--seconds", "0"]);
            let out = run.env("XDG_CACHE_HOME", cache.path()).output().expect("it runs");
            assert_success(&out);
            let told =
                stderr(&out).contains("warning: the tiles of") && stderr(&out).contains("field");
            let written =
                fs::read_to_string(cache.path().join("tensc/tiles.json")).expect("it stays");
            // What `tune` wrote replaces it.
            assert_eq!(told, written == "[{}]" || name == "tune", "{name}: {}", stderr(&out));
        }
    }
    for (file, what) in [("broken.json", "missing field"), ("none.json", "No such file")] {
        let out = tensc(&dir, &["bench", "model.tx", "--seconds", "0", "--tiles", file]);
        assert_eq!(out.status.code(), Some(2));
        assert!(stderr(&out).contains(file) && stderr(&out).contains(what), "{}", stderr(&out));
    }
}

#[test]
fn memory_that_is_not_there_is_an_error() {
    let dir = folder(&[("model.tx", "fn bench[B](x: f32[B, 600]) -> f32[B, 600] = x + 1.0\n")]);
    for name in ["bench", "profile", "tune"] {
        let size = ["--size", "B=999999999999", "--seconds", "0", "--tiles", "none"];
        let out = tensc(&dir, &[&[name, "model.tx"][..], &size].concat());
        assert_eq!(out.status.code(), Some(1), "{name}: {}", stderr(&out));
        let told = "error[E0608]: this needs 2.4 PB of memory, which the system does not give";
        assert!(stderr(&out).contains(told), "{name}: {}", stderr(&out));
    }
}

#[test]
fn bench_measures_and_serves() {
    let text = "struct Out { s: f32[3], total: f32 }\n\n\
                fn bench(x: f32[3], s: f32[3]) -> Out = Out { s: s + x, total: sum(s) }\n";
    let dir = folder(&[("model.tx", text)]);
    let x = Tensor::from_slice(&[1.0f32, 2.0, 3.0], [3]);
    data::save(&dir.path().join("in_x.npy"), &x).expect("it is written");
    data::save(&dir.path().join("state_s.npy"), &x).expect("it is written");

    let person = tensc(&dir, &["bench", "model.tx", "--data", ".", "--seconds", "0"]);
    assert_success(&person);
    for word in ["compile", "first", "median", "GFLOP/s"] {
        assert!(stdout(&person).contains(word), "{}", stdout(&person));
    }
    let table = tensc(&dir, &["profile", "model.tx", "--data", ".", "--seconds", "0"]);
    assert_success(&table);
    assert!(stdout(&table).contains("model.tx:3"), "{}", stdout(&table));

    let mut child = command(&dir, &["bench", "model.tx", "--data", ".", "--serve"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    // Two calls after a reset: the state is what it was and twice `x`.
    let requests = "{\"cmd\":\"call\"}\n{\"cmd\":\"reset\"}\n\
                    {\"cmd\":\"run\",\"min\":2,\"max\":2,\"budget_s\":0.0}\n\
                    {\"cmd\":\"save\",\"dir\":\".\"}\n{\"cmd\":\"jump\"}\n";
    child.stdin.take().expect("piped").write_all(requests.as_bytes()).expect("it reads");
    let out = child.wait_with_output().expect("it ends");
    let lines: Vec<serde_json::Value> = (stdout(&out).lines())
        .map(|line| serde_json::from_str(line).expect("a line of JSON"))
        .collect();
    let ok: Vec<bool> = lines.iter().map(|line| line["ok"] == true).collect();
    assert_eq!(ok, [true, true, true, true, true, false], "{}", stdout(&out));
    assert!(lines[0]["compile_ms"].is_number() && lines[0]["first_ms"].is_number());
    assert_eq!(lines[3]["wall_ns"].as_array().map(Vec::len), Some(2));
    let saved = |name: &str| {
        let loaded = data::load(&dir.path().join(name)).expect("it was saved");
        loaded.into_tensor().expect("one tensor").to_f64_vec()
    };
    assert_eq!(saved("s.npy"), [3.0, 6.0, 9.0]);
    assert_eq!(saved("total.npy"), [12.0]);

    let missing = tensc(&dir, &["bench", "model.tx", "--data", "nowhere", "--serve"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stdout(&missing).contains("in_x.npy"), "{}", stdout(&missing));
}

#[test]
fn a_profile_is_written_as_a_timeline() {
    let text = "fn bench[N](w: f32[N, N], x: f32[N]) -> f32[N] = {\n    \
                let y = softmax(w @ x)\n    \
                scan i in 0..5 with y = y { softmax(w @ y) }\n}\n";
    let dir = folder(&[("model.tx", text)]);
    let line = "profile model.tx --size N=40 --seconds 0 --threads 2 --trace trace.json";
    assert_success(&tensc(&dir, &line.split(' ').collect::<Vec<_>>()));
    let trace = fs::read_to_string(dir.path().join("trace.json")).expect("it was written");
    let trace: serde_json::Value = serde_json::from_str(&trace).expect("it is JSON");
    let events = trace["traceEvents"].as_array().expect("a list of events");
    // Name, start and end in nanoseconds, and what is told.
    let mut slices: Vec<(&str, i64, i64, &serde_json::Value)> = events
        .iter()
        .filter(|event| event["ph"] == "X")
        .map(|event| {
            let ns = |of: &str| (event[of].as_f64().expect("a time") * 1e3).round() as i64;
            let name = event["name"].as_str().expect("a name");
            (name, ns("ts"), ns("ts") + ns("dur"), &event["args"])
        })
        .collect();
    slices.sort_by_key(|&(_, start, end, _)| (start, -end));
    let mut calls = 0;
    let mut steps = 0;
    let mut open: Vec<i64> = Vec::new();
    for (name, start, end, told) in slices {
        assert!(0 <= start && start <= end, "{name}");
        while open.last().is_some_and(|&outer| outer <= start) {
            open.pop();
        }
        assert!(open.last().is_none_or(|&outer| end <= outer), "{name} reaches out of its slice");
        // A call holds kernels, one of which is a loop that holds the kernels of its steps.
        assert_eq!(name == "call", open.is_empty(), "{name}");
        match open.len() {
            0 => calls += 1,
            1 => {
                assert!(told["source"].as_str().is_some_and(|s| s.contains(".tx:")), "{told}")
            }
            2 => steps += 1,
            _ => panic!("{name} lies too deep"),
        }
        // The products of one call, at least: one before the loop and five in it.
        let least = [6.0, 0.0, 0.0][open.len()] * 2.0 * 40.0 * 40.0;
        assert!(told["flops"].as_f64().is_some_and(|flops| flops >= least), "{name}: {told}");
        assert!(told["GFLOP/s"].is_number() && told["bytes"].is_number(), "{told}");
        open.push(end);
    }
    assert!(calls >= 3 && steps >= 5 * calls, "{calls} calls, {steps} steps");

    let missing = tensc(
        &dir,
        &["profile", "model.tx", "--size", "N=4", "--seconds", "0", "--trace", "no/t.json"],
    );
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("no/t.json"), "{}", stderr(&missing));
}
