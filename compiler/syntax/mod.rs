//! From text to the tree of what was written, and back.
//!
//! `lex` splits the text into words (`token`), `delimiters` balances its brackets, `parser` builds
//! the tree of [`ast`], with the place of every piece; `print` writes a tree in the one
//! formatting. This module knows nothing of types or names: it is below the checker, beside the
//! graph, and above `diag` only.

pub mod ast;
mod delimiters;
mod lex;
mod parser;
mod print;
#[cfg(test)]
mod samples;
mod token;

pub use lex::is_name;
pub use parser::parse;
pub use print::{print, print_item};

/// The text of a source file.
///
/// # Errors
/// Why there is none, in a sentence without a full stop.
pub fn read_file(path: &std::path::Path) -> Result<String, String> {
    let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
    String::from_utf8(bytes).map_err(|e| {
        let (text, strange) = e.as_bytes().split_at(e.utf8_error().valid_up_to());
        let line = text.iter().filter(|byte| **byte == b'\n').count() + 1;
        format!("line {line} is no UTF-8 text: the byte {:#04x} stands there", strange[0])
    })
}
