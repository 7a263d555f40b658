//! Training, held step by step to losses that others computed in float64.
//!
//! This run is of a small network on data that is committed (`mnist/make_short_trace.py` computed
//! its losses). The textbook's network on the whole of MNIST is in `conformance/trace.rs`.

use std::path::Path;
use tensc::script::Transcript;
use tensc::session::{Options, Session};
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
