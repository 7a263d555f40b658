//! Training, held step by step to losses that others computed in float64.
//!
//! The short run is of a small network on data that is committed (`mnist/make_short_trace.py`
//! computed its losses). The long one is the textbook's network on the whole of MNIST against a
//! trace made with torch; it needs that trace's folder:
//!
//! ```text
//! TENSC_CONFORMANCE=FOLDER cargo test --release --test mnist_trace -- --ignored --nocapture
//! ```

use std::path::{Path, PathBuf};
use tensc::script::Transcript;
use tensc::session::{Backend, Options, Session};
use tensc::{Module, RunOptions};
use tensc_runtime::data;

#[test]
fn the_first_steps_have_the_losses_of_numpy() {
    let trace = Path::new("tests/mnist/short_trace.npz");
    let losses = read(trace, "losses");
    let sums = read(trace, "sums");
    for threads in [1, 2] {
        let session = Session::new(Options { threads, ..Options::default() });
        let logged = run(Path::new("tests/mnist/short.tx"), &session);
        let found = named(&logged, "loss");
        assert_eq!(found.len(), losses.len());
        assert_close(&found, &losses, 1e-5);
        for (name, sum) in ["w1", "b1", "w2", "b2"].iter().zip(&sums) {
            // What is summed is thousands of weights: relatively.
            let found = named(&logged, name)[0];
            assert!((found - sum).abs() <= 1e-5 * sum.abs(), "{name}: {found} instead of {sum}");
        }
    }
}

#[test]
#[ignore = "needs the trace of others (tests/README.md has the command) and a minute"]
fn the_whole_of_mnist_has_the_losses_and_the_accuracy_of_torch() {
    let folder = std::env::var_os("TENSC_CONFORMANCE");
    let folder = PathBuf::from(folder.expect("TENSC_CONFORMANCE names the folder of the trace"));
    let trace = folder.join("mnist_mlp_trace.npz");
    let dir = tempfile::tempdir().expect("a folder");
    let link = |from: PathBuf| {
        let to = dir.path().join(from.file_name().expect("a file"));
        std::fs::copy(&from, to).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
    };
    link(trace.clone());
    link("tests/mnist/trace.tx".into());
    for name in ["train-images.idx3", "train-labels.idx1", "t10k-images.idx3", "t10k-labels.idx1"] {
        link(format!("examples/data/mnist/{name}-ubyte.gz").into());
    }
    let session = Session::default();
    assert_eq!(session.options().backend, Backend::Jit);
    let logged = run(&dir.path().join("trace.tx"), &session);
    let losses = named(&logged, "loss");
    let expected = read(&trace, "loss64");
    assert_eq!(losses.len(), expected.len());
    let worst = |range: std::ops::Range<usize>| {
        range.map(|i| (losses[i] - expected[i]).abs()).fold(0.0, f64::max)
    };
    println!("largest difference of a loss: {:.2e} in the first epoch", worst(0..469));
    println!("{:.2e} in all five", worst(0..losses.len()));
    assert_close(&losses[..469], &expected[..469], 1e-5);
    let accuracy = named(&logged, "accuracy");
    let wanted = read(&trace, "acc64");
    println!("accuracy {accuracy:?}, torch {wanted:?}");
    let (last, wanted) = (accuracy[accuracy.len() - 1], wanted[wanted.len() - 1]);
    assert!((last - wanted).abs() <= 0.004, "accuracy {last} instead of {wanted}");
}

fn run(source: &Path, session: &Session) -> Vec<(String, f64)> {
    let module = Module::from_file(source).unwrap_or_else(|failure| panic!("{failure}"));
    let mut transcript = Transcript::default();
    let ran = module.run(session, &RunOptions::default(), &mut transcript);
    ran.unwrap_or_else(|failure| panic!("{failure}"));
    transcript.logged
}

fn named(logged: &[(String, f64)], name: &str) -> Vec<f64> {
    logged.iter().filter(|(n, _)| n == name).map(|(_, value)| *value).collect()
}

fn read(file: &Path, member: &str) -> Vec<f64> {
    let loaded = data::load_members(file, &[member]);
    let loaded = loaded.unwrap_or_else(|e| panic!("{e}"));
    loaded.get(member).expect("the trace has it").to_f64_vec()
}

fn assert_close(found: &[f64], expected: &[f64], tolerance: f64) {
    for (step, (found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (found - expected).abs();
        assert!(difference <= tolerance, "step {step}: {found} instead of {expected}");
    }
}
