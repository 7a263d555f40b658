//! `tensc fmt`: sources in the one formatting.

use super::output::{Error, Output};
use std::io::Write;
use std::path::{Path, PathBuf};
use tensc::module::format as formatted;
use tensc::syntax::read_file;
use tensc_runtime::write_atomically;

/// Formats files in place, or, where that is asked, only names those that would change.
pub fn format(files: &[PathBuf], check: bool, output: &Output) -> Result<(), Error> {
    let mut changed = 0;
    let mut failed = None;
    for file in files {
        match format_file(file, check) {
            Ok(false) => {}
            Ok(true) => {
                changed += 1;
                output.line(file.display());
            }
            // The others are formatted all the same; the last one is what the command ends with.
            Err(error) => {
                if let Some(before) = failed.replace(error) {
                    output.error(&before);
                }
            }
        }
    }
    if let Some(error) = failed {
        return Err(error);
    }
    match (check, changed) {
        (true, 1..) => Err(Error::other(format!("{changed} to be formatted: tensc fmt does it"))),
        _ => Ok(()),
    }
}

/// Whether a file changes, which it has then, unless that is only asked.
fn format_file(file: &Path, check: bool) -> Result<bool, Error> {
    let name = file.display().to_string();
    let text = read_file(file).map_err(|e| Error::other(format!("cannot read {name}: {e}")))?;
    let new = formatted(&name, &text)?;
    if new != text && !check {
        write_atomically(file, |out| out.write_all(new.as_bytes()))
            .map_err(|e| Error::other(format!("cannot write {name}: {e}")))?;
    }
    Ok(new != text)
}
