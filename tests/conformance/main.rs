//! Third-party truth: collections of cases with the results that other projects computed.
//!
//! Each case is translated into `.tx` source text, compiled and called as a host program would, and
//! compared with the collection's tolerance, in f64 and in f32. The collections are not part of
//! this repository; unpack them into a folder and say where:
//!
//! ```text
//! TENSC_CONFORMANCE=FOLDER cargo test --release --test conformance -- --ignored --nocapture
//! ```
//!
//! Collections that are not there are passed over. `TENSC_CONFORMANCE_ONLY=TEXT` runs the cases
//! whose name contains the text. What passes is counted; what does not is listed with a reason.
//!
//! `collection` finds, runs and reports; `npz` reads; `program` compiles, calls and compares; the
//! other modules know one collection each, `trace` a whole training.

mod array;
mod collection;
mod npz;
mod opinfo;
mod optimizers;
mod program;
mod trace;

#[test]
#[ignore = "needs the collections of others (tests/README.md has the command)"]
fn array_dev() {
    collection::run("array-dev", array::cases);
}

#[test]
#[ignore = "needs the collections of others (tests/README.md has the command)"]
fn opinfo_dev() {
    collection::run("opinfo-dev", opinfo::cases);
}

#[test]
#[ignore = "needs the collections of others (tests/README.md has the command)"]
fn optimizers_dev() {
    collection::run("optimizers-dev", optimizers::cases);
}

#[test]
#[ignore = "needs the trace of others (tests/README.md has the command) and a minute"]
fn mnist_mlp_trace() {
    trace::run();
}
