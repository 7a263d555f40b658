//! `tensc fmt`: sources in the one formatting.

use super::output::{Error, Output};
use std::io::Write;
use std::path::PathBuf;
use tensc::module::format as formatted;
use tensc::syntax::read_file;
use tensc_runtime::write_atomically;

/// Formats files in place, or, where that is asked, only names those that would change.
pub fn format(files: &[PathBuf], check: bool, output: &Output) -> Result<(), Error> {
    let mut changed = 0;
    for file in files {
        let name = file.display().to_string();
        let text = read_file(file).map_err(|e| Error::other(format!("cannot read {name}: {e}")))?;
        let new = formatted(&name, &text)?;
        if new == text {
            continue;
        }
        changed += 1;
        output.line(&name);
        if !check {
            write_atomically(file, |out| out.write_all(new.as_bytes()))
                .map_err(|e| Error::other(format!("cannot write {name}: {e}")))?;
        }
    }
    match (check, changed) {
        (true, 1..) => Err(Error::other(format!("{changed} to be formatted: tensc fmt does it"))),
        _ => Ok(()),
    }
}
