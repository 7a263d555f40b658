//! What was written, with the place of every piece.
//!
//! A [`File`] is the tree of one source. The tree says only what the text says: names are not
//! resolved, `x[…]` may be an index or the explicit generic arguments of a function, `a.b` may be
//! a field or a member of a module. The checker decides those. Nothing that a formatter needs is
//! lost: parentheses, the spelling of numbers, comments and blank lines are kept.
//!
//! Invariant: the height of the tree is bounded (see `parser`), so recursive walks over it are
//! safe. A file whose diagnostics hold errors is incomplete: what could not be read is missing
//! from it.
//!
//! One file a level: items here and in `item`, then `ty`, `stmt`, `expr`.

mod expr;
mod item;
mod stmt;
mod ty;

pub use expr::*;
pub use item::*;
pub use stmt::*;
pub use ty::*;

use crate::diag::{SourceId, Span};

/// The span of nodes that no source holds, such as those of a printed backward function.
pub const NOWHERE: Span = Span { source: SourceId(u32::MAX), start: 0, end: 0 };

/// A name where it is written.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Ident {
    /// The name.
    pub name: String,
    /// Its place.
    pub span: Span,
}

/// A string without interpolation: the name of a test, the path of an import.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StrLit {
    /// The text it stands for, escapes replaced.
    pub value: String,
    /// Its place, quotes included.
    pub span: Span,
}

/// A dotted name: `Dense`, `std.nn.Dense`. Never empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path {
    /// The names between the dots.
    pub segments: Vec<Ident>,
    /// From the first to the last.
    pub span: Span,
}

impl Path {
    /// The last segment.
    pub fn last(&self) -> &Ident {
        &self.segments[self.segments.len() - 1]
    }
    /// The name, where there is only one segment.
    pub fn as_name(&self) -> Option<&Ident> {
        match self.segments.as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, segment) in self.segments.iter().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            f.write_str(&segment.name)?;
        }
        Ok(())
    }
}

/// One source.
#[derive(Clone, PartialEq, Debug)]
pub struct File {
    /// Its items in order.
    pub items: Vec<Item>,
    /// Comments (documentation comments of items and fields apart), blank lines, and line breaks
    /// after opening brackets, in order.
    pub trivia: Vec<Trivia>,
    /// The whole text.
    pub span: Span,
}

/// What the meaning does not depend on and the formatter keeps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trivia {
    /// Comment, blank line or line break.
    pub kind: TriviaKind,
    /// Its place.
    pub span: Span,
}

/// The kinds of [`Trivia`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TriviaKind {
    /// A comment on its own line; the text starts with its slashes and has no trailing blanks.
    OwnLine(String),
    /// A comment after other tokens of its line.
    Trailing(String),
    /// One or more lines with nothing on them.
    BlankLine,
    /// The end of a line whose last token is an opening bracket, unless the next one closes it.
    Opened,
}
