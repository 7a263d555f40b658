//! The command line as a Unix user meets it: exit codes, streams, files, and the helps.

mod calls;
mod dump;
mod files;
mod measure;
mod stable;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;
use tensc::Tensor;
use tensc_runtime::data;

const MODEL: &str = r#"
/// How many turns.
input epochs: i64 = 2
input rate: f32 = 0.5
input loud: bool = false

struct Line { w: f32[2], b: f32 }

fn predict[N](p: Line, x: f32[N, 2]) -> f32[N] = x @ p.w + p.b

fn loss[N](p: Line, x: f32[N, 2], y: f32[N]) -> f32 = mean(square(predict(p, x) - y))

fn both[N](x: f32[N]) -> (f32[N], f32) = (2.0 * x, sum(x))

fn double[N](x: f32[N]) -> f32[N] = 2.0 * x

test "doubling" {
    assert_close(double([1.0, 2.0]), [2.0, 4.0])
}

test "losing" {
    let p = Line { w: [1.0, 1.0], b: 0.0 }
    assert(loss(p, [[1.0, 2.0]], [3.0]) == 0.0)
}

main {
    for epoch in 0..epochs {
        let value = rate * f32(epoch)
        log value = value
        print("epoch {epoch}: {value}")
    }
    if loud {
        print("LOUD")
    }
}
"#;

#[test]
fn main_runs_with_its_inputs_as_options() {
    let dir = folder(&[("model.tx", MODEL)]);
    let out = tensc(&dir, &["run", "model.tx"]);
    assert_success(&out);
    assert_eq!(stdout(&out), "epoch 0: 0.0\nepoch 1: 0.5\n");
    let out = tensc(&dir, &["run", "model.tx", "--epochs", "3", "--rate", "-2", "--loud", "true"]);
    assert_success(&out);
    assert_eq!(stdout(&out), "epoch 0: -0.0\nepoch 1: -2.0\nepoch 2: -4.0\nLOUD\n");
    let out = tensc(&dir, &["run", "model.tx", "--set", "epochs=1", "--set", "rate=0.25"]);
    assert_eq!(stdout(&out), "epoch 0: 0.0\n");
    let out =
        tensc(&dir, &["run", "model.tx", "--rate", "2", "--", "--epochs=2", "--loud", "true"]);
    assert_eq!(stdout(&out), "epoch 0: 0.0\nepoch 1: 2.0\nLOUD\n", "{}", stderr(&out));
}

#[test]
fn the_file_to_run_is_found_wherever_it_stands() {
    let other = "input n: i64 = 1\ninput color: i64 = 1\nmain { print(\"sum {n + color}\") }";
    let dir = folder(&[("model.tx", MODEL), ("other.tx", other), ("model.txt", other)]);
    let cases = [
        ("--color never run model.tx --epochs 3", "epoch 0: 0.0"),
        ("run --log model.tx.log other.tx --n 2", "sum 3"),
        ("run model.txt --log model.tx", "sum 2"),
        ("run other.tx --color never --set color=5", "sum 6"),
        ("run other.tx --color never -- --color 7 --n 3", "sum 10"),
        ("run -- other.tx -- --n 3", "sum 4"),
        ("run other.tx --n 3 --", "sum 4"),
    ];
    for (line, printed) in cases {
        let out = stdout(&tensc(&dir, &line.split(' ').collect::<Vec<_>>()));
        assert!(out.starts_with(printed), "{line}: {out}");
    }
}

#[cfg(unix)]
#[test]
fn paths_need_not_be_utf_8() {
    let dir = folder(&[]);
    let name: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"caf\xe9.tx");
    fs::write(dir.path().join(name), MODEL).expect("written");
    let out = command(&dir, &["run"]).arg(name).args(["--epochs", "1"]).output().expect("it runs");
    assert_eq!(stdout(&out), "epoch 0: 0.0\n", "{}", stderr(&out));
}

#[test]
fn results_do_not_depend_on_the_engine() {
    let dir = folder(&[("model.tx", MODEL)]);
    let plain = stdout(&tensc(&dir, &["run", "model.tx"]));
    let engines: [&[&str]; 5] = [
        &["--threads", "1"],
        &["--threads", "3"],
        &["--backend", "interpreter"],
        &["--no-optimise"],
        &["--isa", "portable"],
    ];
    for engine in engines {
        let out = tensc(&dir, &[&["run", "model.tx"], engine].concat());
        assert_success(&out);
        assert_eq!(stdout(&out), plain, "{engine:?}");
    }
}

#[test]
fn what_is_wrong_with_a_model_is_told_before_its_options() {
    let dir = folder(&[("broken.tx", "input n: i64 = 3\nmain { print(\"{y}\") }\n")]);
    let cases: [(&[&str], &str); 4] = [
        (&["broken.tx", "--n", "5"], "error[E0301]: `y` is not defined"),
        (&["--n=-5", "broken.tx", "--n", "-6", "--quiet"], "error[E0301]: `y` is not defined"),
        (&["broken.tx", "--n", "5", "--message-format", "json"], "\"code\":\"E0301\""),
        (&["none.tx", "--n", "5"], "error[E0505]: cannot read "),
    ];
    for (arguments, told) in cases {
        let out = tensc(&dir, &[&["run"], arguments].concat());
        assert_eq!(out.status.code(), Some(1), "{arguments:?}");
        assert!(stderr(&out).contains(told), "{arguments:?}: {}", stderr(&out));
    }
    let out = tensc(&dir, &["run", "broken.tx", "--threads", "0"]);
    assert_eq!(out.status.code(), Some(2), "{}", stderr(&out));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_standard_error_changes_no_exit_code() {
    let dir = folder(&[("model.tx", MODEL), ("broken.tx", "fn f(x: f32) -> f32 = y\n")]);
    let cases: [(&[&str], i32); 4] = [
        (&["check", "broken.tx"], 1),
        (&["check", "broken.tx", "--message-format", "json"], 1),
        (&["run", "model.tx", "--set", "z=3"], 2),
        (&["run", "model.tx", "--time-passes"], 0),
    ];
    for (arguments, code) in cases {
        let full = fs::File::create("/dev/full").expect("it opens");
        let status = command(&dir, arguments).stdout(Stdio::null()).stderr(full).status();
        assert_eq!(status.expect("it runs").code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn wrong_usage_exits_with_2_and_says_so_on_standard_error() {
    let dir = folder(&[("model.tx", MODEL)]);
    let cases: [(&[&str], &str); 21] = [
        (&[], "Usage"),
        (&["fly", "model.tx"], "fly"),
        (&["run"], "required"),
        (&["run", "model.tx", "--epoch", "3"], "--epochs"),
        (&["run", "model.tx", "--epochs", "three"], "three"),
        (&["run", "model.tx", "--threads", "0"], "threads"),
        (&["run", "model.tx", "--set", "epochs"], "NAME=VALUE"),
        (&["run", "model.tx", "--set", "epoch=3"], "no input `epoch`; did you mean `epochs`?"),
        (&["run", "model.tx", "--set", "z=3"], "no input `z`; the model's inputs are epochs, "),
        (&["run", "model.tx", "--set", "epochs="], "`--set epochs=`: expected NAME=VALUE"),
        (&["run", "model.tx", "--set", "epochs=1.5"], "`1.5` is not a value of type i64"),
        (&["run", "model.tx", "--epochs", "1", "--", "--epochs", "2"], "`epochs` is given twice"),
        (&["run", "model.tx", "--", "--epoch", "3"], "a similar argument exists: '--epochs'"),
        (&["run", "model.tx", "--", "--epochs"], "a value is required for '--epochs <i64>'"),
        (&["run", "model.tx", "--fn", "double", "--", "--epochs", "3"], "sees the input `epochs`"),
        (&["run", "model.tx", "--fn", "treble", "--in", "x=x.npy"], "double"),
        (&["run", "model.tx", "--isa", "z80"], "portable"),
        (&["dump", "model.tx", "--fn", "double", "--after", "lunch"], "--list"),
        (&["dump", "model.tx", "--fn", "double", "--after", "rewrite"], "--size N="),
        (&["explain", "model.tx", "--fn", "double", "--size", "K=2"], "no size `K`; there are N"),
        (&["explain", "model.tx", "--size", "N=2", "--size", "N=3"], "`N` was given already"),
    ];
    for (arguments, hint) in cases {
        let out = tensc(&dir, arguments);
        assert_eq!(out.status.code(), Some(2), "{arguments:?}: {}", stderr(&out));
        assert!(stderr(&out).contains(hint), "{arguments:?}: {}", stderr(&out));
        assert_eq!(stdout(&out), "", "{arguments:?}");
    }
}

#[test]
fn wrong_programs_exit_with_1_and_a_message_on_standard_error() {
    let wrong = "fn f(a: f32[2, 3]) -> f32[2, 3] = a @ a\n\nmain { print(\"never\") }\n";
    let fails = "main {\n    print(\"first\")\n    let x = load(\"gone.npy\") as f32[N]\n}\n";
    let dir =
        folder(&[("wrong.tx", wrong), ("fails.tx", fails), ("pure.tx", "fn f() -> f32 = 1.0\n")]);
    for command in ["run", "check", "test"] {
        let out = tensc(&dir, &[command, "wrong.tx"]);
        assert_eq!(out.status.code(), Some(1), "{command}");
        assert_eq!(stdout(&out), "", "{command}");
        let message = stderr(&out);
        assert!(message.contains("error[E0203]") && message.contains("wrong.tx:1:"), "{message}");
    }
    let out = tensc(&dir, &["run", "fails.tx"]);
    assert_eq!(out.status.code(), Some(1));
    assert_eq!(stdout(&out), "first\n", "what was printed before stays");
    assert!(stderr(&out).contains("gone.npy"), "{}", stderr(&out));
    let out = tensc(&dir, &["run", "nowhere.tx"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(stderr(&out).contains("nowhere.tx"), "{}", stderr(&out));
    let out = tensc(&dir, &["run", "pure.tx"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(stderr(&out).contains("main"), "{}", stderr(&out));
}

#[test]
fn fmt_keeps_comments_and_is_done_after_once() {
    let ugly = "// A model.\nfn f( x:f32 )->f32=x+1.0 // more\n";
    let dir = folder(&[("ugly.tx", ugly), ("model.tx", MODEL), ("broken.tx", "fn f(")]);
    let out = tensc(&dir, &["fmt", "--check", "ugly.tx"]);
    assert_eq!((out.status.code(), stdout(&out)), (Some(1), "ugly.tx\n".to_string()));
    assert_eq!(fs::read_to_string(dir.path().join("ugly.tx")).expect("it is there"), ugly);
    assert_success(&tensc(&dir, &["fmt", "ugly.tx"]));
    let pretty = fs::read_to_string(dir.path().join("ugly.tx")).expect("it is there");
    assert_eq!(pretty, "// A model.\nfn f(x: f32) -> f32 = x + 1.0 // more\n");
    assert_success(&tensc(&dir, &["fmt", "--check", "ugly.tx"]));
    let out = tensc(&dir, &["fmt", "broken.tx"]);
    assert_eq!(out.status.code(), Some(1));
    assert_eq!(fs::read_to_string(dir.path().join("broken.tx")).expect("it is there"), "fn f(");
}

/// Every program of the repository is read, printed and read again.
#[test]
fn printing_is_idempotent_and_keeps_comments_everywhere() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).to_path_buf()];
    let mut seen = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder").map(|e| e.expect("an entry").path()) {
            let hidden = entry.file_name().is_some_and(|n| n.to_string_lossy().starts_with('.'));
            if entry.is_dir() && !hidden && !entry.ends_with("target") {
                folders.push(entry);
            } else if entry.extension().is_some_and(|e| e == "tx") {
                let text = fs::read_to_string(&entry).expect("text");
                let name = entry.display().to_string();
                // Programs with mistakes of syntax on purpose have no formatting.
                let Ok(once) = tensc::module::format(&name, &text) else { continue };
                let twice = tensc::module::format(&name, &once).expect("it was printed");
                assert_eq!(once, twice, "{name}");
                let comments = |text: &str| text.matches("//").count();
                assert_eq!(comments(&text), comments(&once), "{name}");
                seen += 1;
            }
        }
    }
    assert!(seen > 100, "{seen} programs");
}

#[test]
fn check_is_silent_about_what_is_right() {
    let dir = folder(&[("model.tx", MODEL), ("other.tx", "fn f() -> f32 = 1.0\n")]);
    let out = tensc(&dir, &["check", "model.tx", "other.tx"]);
    assert_success(&out);
    assert_eq!((stdout(&out), stderr(&out)), (String::new(), String::new()));
}

#[test]
fn messages_are_json_where_asked() {
    let dir = folder(&[("wrong.tx", "fn f(x: f32[3]) -> f32[3] = y\nfn g() -> f32 = z\n")]);
    let out = tensc(&dir, &["check", "wrong.tx", "--message-format", "json"]);
    assert_eq!(out.status.code(), Some(1));
    let lines: Vec<serde_json::Value> =
        stderr(&out).lines().map(|l| serde_json::from_str(l).expect("a line is JSON")).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["code"], "E0301");
    assert_eq!(lines[0]["severity"], "error");
    assert_eq!(lines[0]["labels"][0]["from"]["line"], 1);
    assert_eq!(lines[1]["labels"][0]["from"]["line"], 2);
}

#[test]
fn a_function_is_called_on_files() {
    let dir = folder(&[("model.tx", MODEL)]);
    let x = Tensor::from_slice(&[1.0f32, 2.0, 3.0], [3]);
    data::save(&dir.path().join("x.npy"), &x).expect("saved");
    data::save_named(&dir.path().join("x.npz"), &[("x", &x), ("z", &x)]).expect("saved");
    let out = tensc(&dir, &["run", "model.tx", "--fn", "double", "--in", "x=x.npy"]);
    assert_success(&out);
    assert_eq!(stdout(&out), "result = [2.0, 4.0, 6.0]\n");
    let arguments = ["run", "model.tx", "--fn", "double", "--in", "x=x.npz:z", "--out", "y.npy"];
    let out = tensc(&dir, &arguments);
    assert_success(&out);
    assert_eq!(stdout(&out), "");
    let y = data::load(&dir.path().join("y.npy")).expect("written").into_tensor().expect("one");
    assert_eq!(y.as_slice::<f32>(), [2.0, 4.0, 6.0]);
    let out = tensc(&dir, &["run", "model.tx", "--fn", "both", "--in", "x=x.npy"]);
    assert_eq!(stdout(&out).lines().count(), 2, "a line for each part of the result");
}

#[test]
fn a_struct_is_taken_from_a_file_of_its_fields() {
    let dir = folder(&[("model.tx", MODEL)]);
    let w = Tensor::from_slice(&[1.0f32, 2.0], [2]);
    let parts = [("w", &w), ("b", &Tensor::scalar(0.5f32))];
    data::save_named(&dir.path().join("p.safetensors"), &parts).expect("saved");
    let x = Tensor::from_slice(&[1.0f32, 1.0, 0.0, 1.0], [2, 2]);
    data::save(&dir.path().join("x.npy"), &x).expect("saved");
    let arguments =
        ["run", "model.tx", "--fn", "predict", "--in", "p=p.safetensors", "--in", "x=x.npy"];
    let out = tensc(&dir, &arguments);
    assert_success(&out);
    assert_eq!(stdout(&out), "result = [3.5, 2.5]\n");
}

#[test]
fn a_call_that_fails_writes_no_file() {
    let dir = folder(&[("model.tx", MODEL)]);
    let x = Tensor::from_slice(&[1.0f64, 2.0], [2]);
    data::save(&dir.path().join("x.npy"), &x).expect("saved");
    fs::write(dir.path().join("short.npy"), b"\x93NUMPY").expect("written");
    for input in ["x=x.npy", "x=short.npy", "x=gone.npy"] {
        let arguments = ["run", "model.tx", "--fn", "double", "--in", input, "--out", "y.npy"];
        let out = tensc(&dir, &arguments);
        assert_eq!(out.status.code(), Some(1), "{input}: {}", stderr(&out));
        assert!(stderr(&out).starts_with("error"), "{input}: {}", stderr(&out));
        assert!(!dir.path().join("y.npy").exists(), "{input}");
    }
    let out = tensc(&dir, &["run", "model.tx", "--fn", "double", "--out", "y.npy"]);
    assert_eq!(out.status.code(), Some(2), "{}", stderr(&out));
}

#[test]
fn save_writes_beside_the_source_and_whole_or_not_at_all() {
    let saves = concat!(
        "main {\n    save(\"out.npy\", [1.0, 2.0])\n",
        "    let back = load(\"out.npy\") as f32[2]\n    assert(back[1] > 2.0, \"late\")\n}\n"
    );
    let format = "main {\n    save(\"x.xyz\", [1.0])\n}\n";
    let two =
        "struct P { a: f32, b: f32 }\n\nmain {\n    save(\"x.npy\", P { a: 1.0, b: 2.0 })\n}\n";
    let bad = "main {\n    save(\"no/dir/x.npy\", [1.0])\n}\n";
    let files = [("sub/saves.tx", saves), ("bad.tx", bad), ("format.tx", format), ("two.tx", two)];
    let dir = folder(&files);
    let out = tensc(&dir, &["run", "sub/saves.tx"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(stderr(&out).contains("late"), "{}", stderr(&out));
    let saved = data::load(&dir.path().join("sub/out.npy")).expect("saved before the failure");
    assert_eq!(saved.into_tensor().expect("one").as_slice::<f32>(), [1.0, 2.0]);
    for (file, named) in [("bad.tx", "no/dir/x.npy"), ("format.tx", "x.xyz"), ("two.tx", "x.npy")] {
        let out = tensc(&dir, &["run", file]);
        assert_eq!(out.status.code(), Some(1), "{file}");
        assert!(stderr(&out).contains(named), "{}", stderr(&out));
    }
    let mut left: Vec<String> = fs::read_dir(dir.path())
        .expect("readable")
        .map(|e| e.expect("readable").file_name().to_string_lossy().into_owned())
        .collect();
    left.sort();
    assert_eq!(left, ["bad.tx", "format.tx", "sub", "two.tx"], "no temporary file stays");
}

#[test]
fn steps_are_logged_as_json_lines() {
    let dir = folder(&[("model.tx", MODEL)]);
    let out = tensc(&dir, &["run", "model.tx", "--log", "steps.jsonl", "--quiet"]);
    assert_success(&out);
    let log = fs::read_to_string(dir.path().join("steps.jsonl")).expect("written");
    let steps: Vec<serde_json::Value> =
        log.lines().map(|l| serde_json::from_str(l).expect("a line is JSON")).collect();
    assert_eq!(steps.len(), 2);
    assert_eq!((&steps[1]["step"], &steps[1]["value"]), (&2.into(), &0.5.into()));
}

#[test]
fn tests_of_a_file_run() {
    let failing =
        format!("{MODEL}\ntest \"wrong\" {{\n    print(\"here\")\n    assert(1 > 2)\n}}\n");
    let dir = folder(&[("model.tx", MODEL), ("failing.tx", &failing)]);
    let out = tensc(&dir, &["test", "model.tx"]);
    assert_success(&out);
    assert_eq!(stdout(&out), "test doubling ... ok\ntest losing ... ok\n2 passed, 0 failed\n");
    let out = tensc(&dir, &["test", "model.tx", "dou"]);
    assert_eq!(stdout(&out), "test doubling ... ok\n1 passed, 0 failed, 1 filtered out\n");
    let out = tensc(&dir, &["test", "failing.tx"]);
    assert_eq!(out.status.code(), Some(1));
    assert!(stdout(&out).contains("test wrong ... FAILED\n    here\n2 passed, 1 failed"));
    assert!(stderr(&out).contains("assert(1 > 2)"), "{}", stderr(&out));
}

/// A file system that has no room for the file; what was begun goes away.
#[cfg(target_os = "linux")]
#[test]
fn a_save_that_is_cut_leaves_nothing() {
    let dir = folder(&[("big.tx", "main { save(\"big.npy\", zeros([1000000])) }\n")]);
    let command = format!("ulimit -f 64; exec {} run big.tx", env!("CARGO_BIN_EXE_tensc"));
    let out = Command::new("sh")
        .args(["-c", &command])
        .current_dir(dir.path())
        .output()
        .expect("there is a shell");
    assert_eq!(out.status.code(), Some(1), "{}", stderr(&out));
    assert!(stderr(&out).contains("error[E0603]"), "{}", stderr(&out));
    let entries = fs::read_dir(dir.path()).expect("the folder is there");
    let names: Vec<_> = entries.map(|e| e.expect("readable").file_name()).collect();
    assert_eq!(names, ["big.tx"]);
}

#[test]
fn gradients_are_held_to_differences() {
    let source =
        "fn right(x: f32[3]) -> f32 = custom_grad(fn(x) = sum(x * x), fn(x, d) = 2.0 * x * d)(x)
                  fn wrong(x: f32[3]) -> f32 = custom_grad(fn(x) = sum(x * x), fn(x, d) = x * d)(x)
                  test gradcheck(right)
                  test gradcheck(wrong)
                  test gradcheck(wrong, tol = 0.5)
                  test gradcheck(fn(x: f32[3]) = sum(log(x)))\n";
    let dir = folder(&[("rules.tx", source)]);
    let out = tensc(&dir, &["test", "rules.tx"]);
    assert_eq!(out.status.code(), Some(1));
    assert_eq!(
        stdout(&out),
        "test gradcheck(right) ... ok\ntest gradcheck(wrong) ... FAILED\n\
         test gradcheck(wrong, tol = 0.5) ... ok\n\
         test gradcheck(fn(x: f32[3]) = sum(log(x))) ... FAILED\n2 passed, 2 failed\n"
    );
    let message = stderr(&out);
    assert!(message.contains("the gradient of `wrong` by `x[0]` is"), "{message}");
    assert!(message.contains("is NaN where its gradient is checked"), "{message}");
}

#[test]
fn dump_shows_every_pass() {
    let dir = folder(&[("model.tx", MODEL)]);
    let out = tensc(&dir, &["dump", "--list"]);
    assert_success(&out);
    let passes: Vec<String> = stdout(&out)
        .lines()
        .map(|l| l.split_whitespace().next().expect("a pass has a name").to_string())
        .collect();
    assert!(passes.len() >= 7, "{passes:?}");
    for pass in &passes {
        let size = ["--size", "N=4"];
        let arguments =
            [&["dump", "model.tx", "--fn", "double", "--after", pass][..], &size].concat();
        let out = tensc(&dir, &arguments);
        assert_success(&out);
        assert!(!stdout(&out).trim().is_empty(), "{pass}");
    }
    let out = tensc(&dir, &["dump", "model.tx", "--fn", "double", "--format", "dot"]);
    assert_success(&out);
    assert!(stdout(&out).contains("digraph"), "{}", stdout(&out));
    for (after, format) in [("plan", "dot"), ("emit", "json"), ("ast", "dot")] {
        let arguments = ["--fn", "double", "--size", "N=4", "--after", after, "--format", format];
        let out = tensc(&dir, &[&["dump", "model.tx"][..], &arguments].concat());
        assert_eq!(out.status.code(), Some(2));
        let message = format!("`{after}` has no form `{format}`, only text");
        assert!(stderr(&out).contains(&message), "{}", stderr(&out));
    }
    let arguments = ["dump", "model.tx", "--fn", "double", "--size", "N=4", "--time-passes"];
    let out = tensc(&dir, &arguments);
    assert!(stdout(&out).contains("rewrite") && stdout(&out).contains("us"), "{}", stdout(&out));
}

#[test]
fn a_size_that_something_divides_is_given_by_its_name() {
    let source = "fn f[E](x: f32[E]) -> f32[4, E / 4] where 4 divides E = reshape(x, [4, E / 4])\n";
    let dir = folder(&[("heads.tx", source)]);
    let sized = |size: &[&str]| {
        tensc(&dir, &[&["dump", "heads.tx", "--fn", "f", "--after", "elaborate"], size].concat())
    };
    let out = sized(&["--size", "E=32"]);
    assert_success(&out);
    assert!(stdout(&out).contains("f32[4, 8]"), "{}", stdout(&out));
    assert!(stderr(&sized(&[])).contains("add --size E=N"));
    let out = sized(&["--size", "E=33"]);
    assert_eq!(out.status.code(), Some(2));
    assert!(stderr(&out).contains("E is a multiple of 4"), "{}", stderr(&out));
}

#[test]
fn an_index_out_of_range_is_shown_in_the_function_that_is_called() {
    let dir = folder(&[("pick.tx", "fn pick[N](x: f32[N], i: i64) -> f32 = x[i]\n")]);
    data::save(&dir.path().join("x.npy"), &Tensor::from_slice(&[1.0f32, 2.0], [2])).unwrap();
    data::save(&dir.path().join("i.npy"), &Tensor::scalar(7i64)).unwrap();
    let arguments = ["run", "pick.tx", "--fn", "pick", "--in", "x=x.npy", "--in", "i=i.npy"];
    let out = tensc(&dir, &arguments);
    assert_eq!(out.status.code(), Some(1));
    let message = stderr(&out);
    assert!(message.contains("error[E0604]: index 7 is out of range"), "{message}");
    assert!(message.contains("pick.tx:1:"), "{message}");
}

#[test]
fn grad_prints_a_function_that_belongs_to_the_program() {
    let dir = folder(&[("model.tx", MODEL)]);
    let out = tensc(&dir, &["grad", "model.tx", "--fn", "loss"]);
    assert_success(&out);
    let both = format!("{MODEL}\n{}", stdout(&out));
    fs::write(dir.path().join("gradient.tx"), both).expect("written");
    assert_success(&tensc(&dir, &["check", "gradient.tx"]));
    let out = tensc(&dir, &["grad", "model.tx", "--fn", "predict"]);
    assert_eq!(out.status.code(), Some(1), "the result is no scalar");
    assert_eq!(stdout(&out), "");
}

#[test]
fn explain_names_the_rules() {
    let dir = folder(&[("model.tx", MODEL)]);
    let out = tensc(&dir, &["explain", "model.tx", "--fn", "loss", "--size", "N=8", "--proof"]);
    assert_success(&out);
    let told = ["fn loss", "\nProof of `result`, from what was written", "\nKernels\n"];
    assert!(told.iter().all(|part| stdout(&out).contains(part)), "{}", stdout(&out));
}

#[test]
fn a_reader_that_goes_away_ends_the_run_quietly() {
    let endless = "main {\n    for i in 0..100000 {\n        print(\"line {i}\")\n    }\n}\n";
    let dir = folder(&[("endless.tx", endless)]);
    let mut child = command(&dir, &["run", "endless.tx"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut first = [0; 6];
    child.stdout.take().expect("piped").read_exact(&mut first).expect("a line comes");
    let out = child.wait_with_output().expect("it ends");
    assert_eq!(&first, b"line 0");
    assert!(!out.status.success());
    assert_eq!(stderr(&out), "");
}

#[test]
fn the_helps_are_worth_reading() {
    let dir = folder(&[("model.tx", MODEL)]);
    let out = tensc(&dir, &["--help"]);
    assert_success(&out);
    insta::assert_snapshot!("help", stdout(&out));
    for command in
        ["run", "check", "fmt", "test", "dump", "grad", "explain", "bench", "profile", "tune"]
    {
        let out = tensc(&dir, &[command, "--help"]);
        assert_success(&out);
        assert!(stdout(&out).contains("Usage: tensc"), "{command}");
        assert!(stdout(&out).lines().count() > 8, "{command}");
    }
    let out = tensc(&dir, &["run", "model.tx", "--help"]);
    assert_success(&out);
    assert!(stdout(&out).contains("--epochs <i64>"), "{}", stdout(&out));
    assert!(stdout(&out).contains("How many turns. [default: 2]"), "{}", stdout(&out));
    let out = tensc(&dir, &["--version"]);
    assert_eq!(stdout(&out), format!("tensc {}\n", env!("CARGO_PKG_VERSION")));
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("made");
        fs::write(path, text).expect("written");
    }
    dir
}

fn command(dir: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(Path::new(env!("CARGO_BIN_EXE_tensc")));
    command.current_dir(dir.path()).args(arguments).stdin(Stdio::null());
    command
}

fn tensc(dir: &TempDir, arguments: &[&str]) -> Output {
    command(dir, arguments).output().expect("it runs")
}

fn stdout(out: &Output) -> String {
    String::from_utf8(out.stdout.clone()).expect("output is UTF-8")
}

fn stderr(out: &Output) -> String {
    String::from_utf8(out.stderr.clone()).expect("messages are UTF-8")
}

#[track_caller]
fn assert_success(out: &Output) {
    assert!(out.status.success(), "{:?}\n{}", out.status.code(), stderr(out));
}
