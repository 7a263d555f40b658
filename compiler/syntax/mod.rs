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
