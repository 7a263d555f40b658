//! Positions in sources and messages about them.
//!
//! Every mistake a user can make ends as a [`Diagnostic`]: a code, a message, one primary label,
//! the places the offending sizes or names came from, and what to change. Stages collect them in
//! [`Diagnostics`] and go on; nothing here prints. Rendering is in `render`, the only file that
//! knows the rendering crate.

pub mod codes;
pub mod render;

use std::fmt;

/// A source file of the program; the embedded standard library's files are sources as well.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SourceId(pub u32);

/// A range of bytes of one source: `start..end`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Span {
    /// The file.
    pub source: SourceId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The bytes `start..end` of `source`.
    pub fn new(source: SourceId, start: usize, end: usize) -> Span {
        let offset = |n| u32::try_from(n).unwrap_or(u32::MAX);
        Span { source, start: offset(start), end: offset(end) }
    }
    /// The smallest span that covers both, which must be of one source.
    pub fn to(self, other: Span) -> Span {
        debug_assert_eq!(self.source, other.source, "a span stays inside one source");
        let (start, end) = (self.start.min(other.start), self.end.max(other.end));
        Span { source: self.source, start, end }
    }
}

/// The text of one source.
#[derive(Clone, Debug)]
pub struct Source {
    /// What messages call it: the path as the user gave it, or `std/nn.tx`.
    pub name: String,
    /// Its whole text.
    pub text: String,
}

/// Every source of a program, by id.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    files: Vec<Source>,
}

impl Sources {
    /// Adds a source and names it from now on by the id returned.
    pub fn add(&mut self, name: impl Into<String>, text: impl Into<String>) -> SourceId {
        self.files.push(Source { name: name.into(), text: text.into() });
        SourceId(self.files.len() as u32 - 1)
    }
    /// The source of this id.
    pub fn get(&self, id: SourceId) -> &Source {
        &self.files[id.0 as usize]
    }
    /// The name of the source that was added first, which has the others read.
    pub fn name(&self) -> &str {
        &self.files[0].name
    }
    /// The source of this id, if there is one.
    pub fn find(&self, id: SourceId) -> Option<&Source> {
        self.files.get(id.0 as usize)
    }
    /// The text a span covers.
    pub fn text(&self, span: Span) -> &str {
        &self.get(span.source).text[span.start as usize..span.end as usize]
    }
    /// Whether there is a text that the span covers.
    pub fn has(&self, span: Span) -> bool {
        let range = span.start as usize..span.end as usize;
        self.find(span.source).is_some_and(|source| source.text.get(range).is_some())
    }
    /// The bytes of all sources together.
    pub fn total_len(&self) -> usize {
        self.files.iter().map(|source| source.text.len()).sum()
    }
    /// One-based line and column (in characters) of the span's start.
    pub fn line_column(&self, span: Span) -> (usize, usize) {
        let before = &self.get(span.source).text[..span.start as usize];
        let line_start = before.rfind('\n').map_or(0, |i| i + 1);
        (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
    }
}

/// A stable number a message can be looked up by: `E0203`. The list is `codes.rs`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Code(pub u16);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E{:04}", self.0)
    }
}

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// The program does not run.
    Error,
    /// The program runs; something in it is probably not meant.
    Warning,
}

/// A span with a few words about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// What is there; may be empty.
    pub text: String,
}

/// One message about a program.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// The stable number.
    pub code: Code,
    /// One sentence without a full stop: "`@` needs equal inner dimensions, found 128 and 512".
    pub message: String,
    /// The place that is wrong; `None` where the mistake is in no source (a missing file).
    pub primary: Option<Label>,
    /// The places that made it wrong: where each size came from, the first definition.
    pub secondary: Vec<Label>,
    /// Facts that help to understand.
    pub notes: Vec<String>,
    /// What to change.
    pub help: Vec<String>,
}

impl Diagnostic {
    /// An error at `span`.
    pub fn error(code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
        let mut d = Diagnostic::global(code, message);
        d.primary = Some(Label { span, text: String::new() });
        d
    }
    /// What is probably not meant, at `span`.
    pub fn warning(code: Code, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, span, message) }
    }
    /// An error that no source holds, such as a file that cannot be read.
    pub fn global(code: Code, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            code,
            message: message.into(),
            primary: None,
            secondary: Vec::new(),
            notes: Vec::new(),
            help: Vec::new(),
        }
    }
    /// Says what is at the primary span.
    pub fn here(mut self, text: impl Into<String>) -> Diagnostic {
        if let Some(label) = &mut self.primary {
            label.text = text.into();
        }
        self
    }
    /// Adds a place that made it wrong.
    pub fn label(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.secondary.push(Label { span, text: text.into() });
        self
    }
    /// Adds a fact.
    pub fn note(mut self, text: impl Into<String>) -> Diagnostic {
        self.notes.push(text.into());
        self
    }
    /// Adds what to change.
    pub fn help(mut self, text: impl Into<String>) -> Diagnostic {
        self.help.push(text.into());
        self
    }
}

/// The messages of one run, in the order they were found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Diagnostics {
    items: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Adds one; an exact repetition is dropped.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if !self.items.contains(&diagnostic) {
            self.items.push(diagnostic);
        }
    }
    /// Whether any of them is an error.
    pub fn has_errors(&self) -> bool {
        self.items.iter().any(|d| d.severity == Severity::Error)
    }
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.items.iter()
    }
    /// Number of messages.
    pub fn len(&self) -> usize {
        self.items.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(d: Diagnostic) -> Diagnostics {
        Diagnostics { items: vec![d] }
    }
}

impl Extend<Diagnostic> for Diagnostics {
    fn extend<I: IntoIterator<Item = Diagnostic>>(&mut self, items: I) {
        items.into_iter().for_each(|d| self.push(d));
    }
}

impl IntoIterator for Diagnostics {
    type Item = Diagnostic;
    type IntoIter = std::vec::IntoIter<Diagnostic>;
    fn into_iter(self) -> Self::IntoIter {
        self.items.into_iter()
    }
}
