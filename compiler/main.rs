//! The `tensc` command.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    let_long_writes_fail();
    cli::main()
}

/// A write beyond the limit of a file's size (`ulimit -f`) shall be an error like that of a full
/// disk, so that what was begun is removed, and not the end of the process.
#[cfg(unix)]
#[allow(unsafe_code, reason = "there is no safe way to ignore a signal")]
fn let_long_writes_fail() {
    // SAFETY: no handler runs, the signal is ignored; no other thread has been started yet.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

#[cfg(not(unix))]
fn let_long_writes_fail() {}
