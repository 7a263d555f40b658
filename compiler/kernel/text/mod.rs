//! The text form of programs: what dumps show, snapshots hold, and tests write.
//!
//! One line a buffer, then the kernels in order; `spec/ir.md` has the grammar. Bodies are the text
//! of vector programs, with one line more for the walk of each slot. Invariant: `parse` of a
//! program's text is the program again, origins aside.
//!
//! ```
//! use tensc::kernel::text::parse;
//! let text = "\
//! buffer b0 \"x\": f32 8 = input 0
//! buffer b1 \"y\": f32 8 = output 0
//! kernel \"neg\" = nest [] split never
//!   stage reduce [] lanes 8
//!     body ()
//!       at s0 = b0 + 0 [1]
//!       at s1 = b1 + 0 [1]
//!       slot s0: f32 unit
//!       slot s1: f32 unit
//!       v0 = load s0
//!       v1 = neg v0
//!       v2 = store s1, v1
//!     end
//! ";
//! assert_eq!(parse(text).unwrap().to_string(), text);
//! ```

mod parse;
mod print;

pub use crate::vector::ParseError;
pub use parse::{parse, parse_all};
