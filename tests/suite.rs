//! Runs the programs of `tests/suite/`; `tests/README.md` says what each folder holds and how to
//! add to it.

#[path = "suite/engines.rs"]
mod engines;
#[path = "suite/program.rs"]
mod program;

mod suite {
    mod check;
    mod fail;
    mod rewrite;
    mod run;
}
