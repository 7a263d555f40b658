//! From text to the tree of what was written, and back.
//!
//! [`ast`] is the tree, with the place of every piece. This module knows nothing of types or names:
//! it is below the checker, beside the graph, and above `diag` only.

pub mod ast;
