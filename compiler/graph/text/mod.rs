//! The text form of graphs: what dumps show, snapshots hold, and tests write.
//!
//! One line a node, then the outputs; `spec/ir.md` has the grammar. Invariant:
//! `parse(&graph.to_string())` is the graph again, origins aside. `to_json` says the same for other
//! programs to read.
//!
//! ```
//! use tensc::graph::text::parse;
//! let text = "\
//! dims B#0
//! %0: f32[B, 3] = input \"x\"
//! %1: f32[3, B] = transpose(%0) {perm: [1, 0]}
//! %2: f32[3] = reduce(%1) {sum: [1]}
//! output \"y\" = %2
//! ";
//! assert_eq!(parse(text).unwrap().to_string(), text);
//! ```

mod attribute;
mod cursor;
mod json;
mod parse;
mod print;

pub use crate::vector::ParseError;
pub use json::{elements as elements_json, origin as origin_json, to_json};
pub use parse::{Section, parse, parse_all, sections};
pub use print::with_origins;

#[cfg(test)]
mod tests;
