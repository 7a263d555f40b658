//! The programs of `examples/` in a shortened form: few steps, and figures as their comments say.

use std::path::Path;
use tensc::script::Transcript;
use tensc::{Module, Options, RunOptions, Scalar, Session};

/// What an example prints, with some of its inputs set. Its tests run first; what it saves goes to
/// a folder that is thrown away.
fn printed(name: &str, inputs: &[(&str, i64)]) -> Vec<String> {
    let path = Path::new("examples").join(name).with_extension("tx");
    let text = std::fs::read_to_string(&path).expect("the example is there");
    let folder = tempfile::tempdir().expect("a folder for files");
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/data");
    let text = text.replace("save(\"", &format!("save(\"{}/", folder.path().display()));
    let text = text.replace("load(\"data", &format!("load(\"{}", data.display()));
    let module = Module::from_source(&path.to_string_lossy(), text);
    let module = module.unwrap_or_else(|e| panic!("{name}:\n{e}"));
    let session = Session::new(Options::default());
    for test in &module.program().tests {
        let ran = module.run_test(test, &session, &mut Transcript::default());
        ran.unwrap_or_else(|e| panic!("{name}, test `{}`:\n{e}", test.name));
    }
    let inputs = inputs.iter().map(|(name, n)| (name.to_string(), Scalar::new(*n))).collect();
    let mut transcript = Transcript::default();
    let ran = module.run(&session, &RunOptions { inputs }, &mut transcript);
    ran.unwrap_or_else(|e| panic!("{name}:\n{e}"));
    transcript.lines
}

/// The last number of a line.
fn number(line: &str) -> f64 {
    let mut numbers = line.rsplit(' ').filter_map(|word| word.parse().ok());
    numbers.next().unwrap_or_else(|| panic!("a number in `{line}`"))
}

#[test]
fn every_example_has_a_test() {
    let tests = include_str!("examples.rs");
    let mut untested = Vec::new();
    for entry in std::fs::read_dir("examples").expect("the examples are there") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy().to_string();
        let program = path.extension().is_some_and(|e| e == "tx");
        if program && !tests.contains(&format!("printed(\"{name}\",")) {
            untested.push(name);
        }
    }
    assert!(untested.is_empty(), "no test runs {untested:?}");
}

/// What is measured beside other tools is right for the library as it is.
#[test]
fn every_benchmark_checks() {
    let mut checked = 0;
    for folder in ["benches", "benches/workloads"] {
        for entry in std::fs::read_dir(folder).expect("the benchmarks are there") {
            let path = entry.expect("an entry").path();
            if path.extension().is_some_and(|e| e == "tx") {
                Module::from_file(&path).unwrap_or_else(|e| panic!("{}:\n{e}", path.display()));
                checked += 1;
            }
        }
    }
    assert!(checked > 20, "{checked} benchmarks");
}

#[test]
fn linear_regression() {
    let lines = printed("linear_regression", &[]);
    let end = lines[0].split(", loss = ").nth(1).expect("it ends with the loss");
    assert!((end.parse::<f64>().expect("a number") - 0.01).abs() < 1e-3, "{lines:?}");
}

#[test]
fn logistic_regression() {
    let lines = printed("logistic_regression", &[]);
    assert!((number(&lines[0]) - 0.92).abs() < 0.01, "{lines:?}");
}

#[test]
fn two_layer() {
    let lines = printed("two_layer", &[("steps", 100)]);
    assert!(number(&lines[0]) < 0.01, "{lines:?}");
}

#[test]
fn mnist() {
    let lines = printed("mnist", &[("epochs", 1)]);
    assert!((number(&lines[0]) - 0.96).abs() < 0.01, "{lines:?}");
}

#[test]
fn housing() {
    let lines = printed("housing", &[("epochs", 40)]);
    assert_eq!(lines[0], "plane: 5.56");
    assert!(number(&lines[1]) < 5.0, "{lines:?}");
}

#[test]
fn newton() {
    let lines = printed("newton", &[]);
    assert_eq!(lines[0], "step 0: loss 0.693147, gradient 6.8e-1");
    assert_eq!(lines[5], "step 5: loss 0.120050, gradient 6.4e-5");
    assert_eq!(lines[6], "step 6: loss 0.120050, gradient 4.4e-8");
    assert_eq!(lines[8], "right: 99.4%");
}

#[test]
fn geometry() {
    let lines = printed("geometry", &[("frames", 2)]);
    assert_eq!(lines, ["0.000", "frame 0: light 4000.0", "frame 1: light 4000.0"]);
}

#[test]
fn shakespeare() {
    let lines = printed("shakespeare", &[("steps", 40), ("letters", 10)]);
    let (before, after) = (number(&lines[0]), number(&lines[1]));
    assert!(before > 4.5 && after < 3.4, "{lines:?}");
    assert!(lines[2].contains("SON.\nIf he were dead"), "what is gone on from: {lines:?}");
}

#[test]
fn motions() {
    let lines = printed("motions", &[("epochs", 30)]);
    assert!(number(&lines[0]) >= 0.9, "{lines:?}");
}

#[test]
fn mnist_conv() {
    let lines = printed("mnist_conv", &[("epochs", 1), ("most", 30)]);
    assert!(number(&lines[0]) > 0.8, "{lines:?}");
}

#[test]
fn video() {
    let lines = printed("video", &[("steps", 3)]);
    assert_eq!(
        lines[..3],
        ["brightness 0.4028, motion 0.0283", "noise: 20.01 dB", "blur: 22.88 dB"]
    );
    assert!(number(&lines[3]) > 10.0, "{lines:?}");
}
