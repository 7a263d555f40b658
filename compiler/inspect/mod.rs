//! Looking at what the compiler does: graphs as readable source.
//!
//! `source` prints any symbolic graph as a function of the language; `gradient` prints the backward
//! function of a function of the user; `json` gives programs to others. Nothing here changes a
//! graph, and nothing below depends on it.

pub mod explain;
pub mod gradient;
pub mod json;
pub mod source;
