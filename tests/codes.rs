//! Every code of `compiler/diag/codes.rs` stands in a test with the message that is expected, word
//! for word and not in a snapshot's file; and here are those that no program of `tests/suite` can
//! show.

use std::path::{Path, PathBuf};
use tensc::diag::codes;
use tensc::script::Transcript;
use tensc::{Module, RunOptions, Session};

/// The message of a source that is wrong, without what is shown of the source.
fn messages(text: &str) -> Vec<String> {
    match Module::from_source("wrong.tx", text) {
        Ok(_) => vec!["it is right".to_string()],
        Err(failure) => headlines(&failure.to_string()),
    }
}

fn headlines(text: &str) -> Vec<String> {
    text.lines().filter(|line| line.starts_with("error")).map(str::to_string).collect()
}

#[test]
fn sources_that_are_too_large_or_too_deep() {
    let large = " ".repeat((16 << 20) + 1);
    assert_eq!(messages(&large), ["error[E0007]: the source is larger than 16 MiB"]);
    let deep = format!("fn f(x: f32) = {}x{}", "(".repeat(140), ")".repeat(140));
    assert_eq!(messages(&deep), ["error[E0104]: this is nested too deeply"]);
    let mut doubled = "fn f0(x: f32) -> f32 = sin(x) * cos(x)\n".to_string();
    for i in 1..20 {
        doubled += &format!("fn f{i}(x: f32) -> f32 = f{0}(f{0}(x))\n", i - 1);
    }
    let text = "error[E0220]: this program grows too large when its calls are replaced by their \
                bodies";
    assert_eq!(messages(&doubled), [text]);
    // What is known needs no node, but takes time.
    let lists = "fn f() -> i64 = size(list(4096, fn(i) = list(4096, fn(j) = j)))";
    assert_eq!(messages(lists), [text]);
}

#[test]
fn files_that_cannot_be_read_or_written_and_programs_that_do_not_run() {
    let missing = Module::from_file("no/such/file.tx").expect_err("there is no such file");
    let found = headlines(&missing.to_string());
    assert!(found[0].starts_with("error[E0505]: cannot read no/such/file.tx: "), "{found:?}");

    let dir = tempfile::tempdir().expect("a folder");
    let latin = dir.path().join("latin.tx");
    std::fs::write(&latin, b"fn f(x: f32) = x\n// caf\xe9\n").expect("it is written");
    let strange = Module::from_file(&latin).expect_err("it is no text");
    let found = headlines(&strange.to_string());
    assert!(found[0].starts_with("error[E0505]: cannot read "), "{found:?}");
    assert!(
        found[0].ends_with(": line 2 is no UTF-8 text: the byte 0xe9 stands there"),
        "{found:?}"
    );

    let run = |text: &str| {
        let module = Module::from_source("run.tx", text).expect("it is right");
        let ran =
            module.run(&Session::default(), &RunOptions::default(), &mut Transcript::default());
        headlines(&ran.expect_err("it cannot run").to_string())
    };
    assert_eq!(run("fn f(x: f32) = x"), ["error[E0506]: run.tx has no `main`"]);
    let found = run("main { save(\"no/such/folder/x.npy\", [1.0, 2.0]) }");
    assert!(found[0].starts_with("error[E0603]: "), "{found:?}");
    assert!(found[0].contains("no/such/folder/x.npy"), "{found:?}");
}

#[test]
fn every_code_has_a_test_that_says_its_message() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tests = String::new();
    for part in ["compiler", "tests"] {
        read_tests(&root.join(part), part == "tests", &mut tests);
    }
    let untested: Vec<String> = codes::ALL
        .iter()
        .filter(|(code, _)| !says_message(&tests, &code.to_string()))
        .map(|(code, meaning)| format!("{code}: {meaning}"))
        .collect();
    assert!(untested.is_empty(), "no test says the message of\n{}", untested.join("\n"));
}

/// Whether a message follows a code: `error[E0203]: …`, or `3:7 E0203 …`.
fn says_message(tests: &str, code: &str) -> bool {
    tests.split(code).skip(1).any(|rest| {
        let line = rest.lines().next().unwrap_or_default();
        let message = line.strip_prefix("]:").unwrap_or(line).strip_prefix(' ');
        message
            .is_some_and(|message| message.starts_with(|c: char| c.is_alphanumeric() || c == '`'))
    })
}

#[test]
fn a_message_follows_its_code() {
    assert!(says_message("error[E0203]: `@` needs", "E0203"));
    assert!(says_message("codes \"E0203\" and\n1:2 E0203 there are\n", "E0203"));
    assert!(!says_message("(\"E0203\".to_string(), at), starts_with(\"error[E0203]: \")", "E0203"));
}

#[test]
fn every_code_stands_in_the_spec() {
    let page = include_str!("../spec/codes.md");
    let listed: Vec<&str> = page.lines().filter(|line| line.starts_with("- ")).collect();
    let meant: Vec<String> =
        codes::ALL.iter().map(|(code, meaning)| format!("- `{code}`: {meaning}")).collect();
    assert_eq!(listed, meant);
}

/// Appends what tests below a folder say: programs, files of tests, and what follows
/// `#[cfg(test)]` in others. The tests of `diag` make messages up.
fn read_tests(folder: &Path, all: bool, text: &mut String) {
    let entries = std::fs::read_dir(folder).expect("a folder of the repository");
    let mut paths: Vec<PathBuf> = entries.map(|e| e.expect("an entry").path()).collect();
    paths.sort();
    for path in paths.into_iter().filter(|path| !path.ends_with("compiler/diag")) {
        let all = all || path.file_stem().is_some_and(|stem| stem == "tests");
        match path.extension().and_then(|e| e.to_str()) {
            _ if path.is_dir() => read_tests(&path, all, text),
            Some("tx") if all => *text += &std::fs::read_to_string(&path).expect("text"),
            Some("rs") => {
                let source = std::fs::read_to_string(&path).expect("text");
                let from = if all { Some(0) } else { source.find("#[cfg(test)]") };
                *text += &source[from.unwrap_or(source.len())..];
            }
            _ => {}
        }
    }
}
