//! The textbook's network trained on the whole of MNIST, step by step beside what torch computed in
//! float64: `mnist_mlp_trace.npz` has the weights to begin with, the order of rows, and the losses.
//!
//! In f64 all losses and accuracies are torch's. In f32 those of the first epoch are near, and the
//! accuracy at the end: sooner or later the sign of one activation near 0 is decided by rounding,
//! and from there on two runs differ (tests/README.md).

use super::collection::{self, Case, Fault};
use std::path::{Path, PathBuf};
use tensc::script::Transcript;
use tensc::{Module, RunOptions, Session};
use tensc_runtime::data;

/// A run, and how near it is to torch's.
struct Run {
    name: &'static str,
    source: &'static str,
    /// The losses of so many steps are within `tolerance`.
    steps: usize,
    tolerance: f64,
    /// The accuracies after so many epochs, the last ones, are within `accuracy`.
    epochs: usize,
    accuracy: f64,
}

const STEPS: usize = 469;
const EPOCHS: usize = 5;

const RUNS: [Run; 2] = [
    Run {
        name: "f64",
        source: "trace64.tx",
        steps: STEPS * EPOCHS,
        tolerance: 1e-12,
        epochs: EPOCHS,
        accuracy: 0.0,
    },
    Run {
        name: "f32",
        source: "trace.tx",
        steps: STEPS,
        tolerance: 1e-5,
        epochs: 1,
        accuracy: 0.004,
    },
];

/// Runs both, if the trace is there.
pub fn run() {
    let name = "mnist_mlp_trace";
    let trace = collection::root().join(name).with_extension("npz");
    if !trace.is_file() {
        println!("{name}: not in {}", collection::root().display());
        return;
    }
    let case = |run: &'static Run| {
        let trace = trace.clone();
        Case { name: run.name.to_string(), judge: Box::new(move |s| judge(run, &trace, s)) }
    };
    collection::check(name, RUNS.iter().map(case).collect());
}

fn judge(run: &Run, trace: &Path, session: &Session) -> Result<(), Fault> {
    let logged = logged(run, trace, session);
    let of = |name: &str| -> Vec<f64> {
        logged.iter().filter(|(n, _)| n == name).map(|(_, value)| *value).collect()
    };
    let compare = |what: &str, found: &[f64], wanted: &[f64], tolerance: f64| {
        assert_eq!(found.len(), wanted.len(), "as many of {what}");
        let near = |(a, b): (&f64, &f64)| (a - b).abs() <= tolerance;
        match found.iter().zip(wanted).position(|pair| !near(pair)) {
            None => Ok(()),
            Some(i) => {
                let (found, wanted) = (found[i], wanted[i]);
                Err(Fault::Mismatch(format!("{what} {i} is {found} instead of {wanted}")))
            }
        }
    };
    let (losses, wanted) = (of("loss"), read(trace, "loss64"));
    assert_eq!(losses.len(), wanted.len(), "as many steps");
    compare("loss", &losses[..run.steps], &wanted[..run.steps], run.tolerance)?;
    let (accuracies, wanted) = (of("accuracy"), read(trace, "acc64"));
    let last = EPOCHS - run.epochs..;
    compare("accuracy", &accuracies[last.clone()], &wanted[last], run.accuracy)
}

/// What the program of the run logs, in a folder with the data and the trace beside it.
fn logged(run: &Run, trace: &Path, session: &Session) -> Vec<(String, f64)> {
    let dir = tempfile::tempdir().expect("a folder");
    let place = |from: PathBuf| {
        let to = dir.path().join(from.file_name().expect("a file"));
        std::fs::copy(&from, to).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
    };
    place(trace.to_path_buf());
    place(Path::new("tests/mnist").join(run.source));
    for name in ["train-images.idx3", "train-labels.idx1", "t10k-images.idx3", "t10k-labels.idx1"] {
        place(format!("examples/data/mnist/{name}-ubyte.gz").into());
    }
    let module = Module::from_file(dir.path().join(run.source));
    let module = module.unwrap_or_else(|failure| panic!("{failure}"));
    let mut transcript = Transcript::default();
    let ran = module.run(session, &RunOptions::default(), &mut transcript);
    ran.unwrap_or_else(|failure| panic!("{failure}"));
    transcript.logged
}

fn read(file: &Path, member: &str) -> Vec<f64> {
    let loaded = data::load_members(file, &[member]).unwrap_or_else(|e| panic!("{e}"));
    loaded.get(member).expect("the trace has it").to_f64_vec()
}
