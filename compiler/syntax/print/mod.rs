//! From the tree to text, in the one formatting.
//!
//! Lines have at most 100 columns where that is possible, levels four blanks, and lists a trailing
//! comma where they are broken over lines. A list, or the block of an expression, that was written
//! with a new line after its opening bracket stays so. Comments keep their place between items,
//! statements and list elements; one inside an expression moves to the next such place. At most one
//! empty line in a row is kept.
//!
//! Invariants: `parse(print(file))` is `file`, but for spans and trivia, also for trees that no
//! parser built (parentheses are added where the meaning needs them); and printing what was
//! printed changes nothing.

mod doc;
mod expr;
mod item;
mod stmt;
mod ty;

#[cfg(test)]
pub(super) mod tests;

use super::ast::{Dim, Expr, File, Item, Trivia, TriviaKind, Type};
use crate::diag::Span;
use doc::{Doc, docs, flat, hug, layout};
use item::doc_lines;
use std::fmt;

/// A file in the one formatting; it ends with a newline unless it is empty.
pub fn print(file: &File) -> String {
    let mut printer = Printer::new(&file.trivia);
    let mut out = String::new();
    let mut previous: Option<(&Item, bool)> = None;
    for item in &file.items {
        let previous_end = previous.map_or(0, |(p, _)| p.span.end);
        let gap = printer.gap(item.span.start, previous_end);
        let text = layout(&printer.item(item));
        let docs = layout(&doc_lines(&item.docs));
        let long = text.contains('\n');
        let apart = previous.is_some_and(|(p, p_long)| {
            long || p_long || std::mem::discriminant(&p.kind) != std::mem::discriminant(&item.kind)
        });
        push_gap(&mut out, &gap, apart);
        out.extend([&docs, &text, "\n"]);
        previous = Some((item, long));
    }
    let end = previous.map_or(0, |(p, _)| p.span.end);
    let mut gap = printer.gap(u32::MAX, end);
    gap.blank = false;
    push_gap(&mut out, &gap, false);
    out
}

/// Adds the comments between two items, and an empty line if `apart` or written.
fn push_gap(out: &mut String, gap: &Gap, apart: bool) {
    if let Some(comment) = &gap.trailing {
        out.truncate(out.trim_end_matches('\n').len());
        if !out.is_empty() {
            out.push(' ');
        }
        out.push_str(comment);
        out.push('\n');
    }
    let any_blank = gap.blank || gap.comments.iter().any(|c| c.blank_before);
    let mut wanted = apart && !any_blank;
    for comment in &gap.comments {
        // A comment that was inside the item before stays close to it.
        let apart = wanted && !comment.moved;
        if (apart || comment.blank_before) && !out.is_empty() {
            out.push('\n');
        }
        wanted &= comment.moved;
        out.push_str(&comment.text);
        out.push('\n');
    }
    if (wanted || gap.blank) && !out.is_empty() {
        out.push('\n');
    }
}

/// One item in the one formatting, with a newline at its end.
pub fn print_item(item: &Item) -> String {
    layout(&docs![doc_lines(&item.docs), Printer::new(&[]).item(item)]) + "\n"
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&flat(&Printer::new(&[]).ty(self)))
    }
}

impl fmt::Display for Dim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&flat(&Printer::new(&[]).dim(self, 0)))
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&flat(&Printer::new(&[]).expr(self)))
    }
}

/// What is printed, beside the tree.
struct Printer<'a> {
    /// The comments and blank lines, of which the first `taken` are printed.
    trivia: &'a [Trivia],
    taken: usize,
    /// Whether a block follows, so that struct literals need parentheses.
    header: bool,
    /// Whether everything must be on one line: inside a string.
    one_line: bool,
}

/// The comments between two things on lines of their own.
#[derive(Default)]
struct Gap {
    /// That on the line of the first.
    trailing: Option<String>,
    /// Those on their own lines.
    comments: Vec<Comment>,
    /// Whether an empty line stands before the second.
    blank: bool,
    /// Whether the first is an opening bracket, and the second begins on a line below.
    broken: bool,
}

impl Gap {
    fn has_comment(&self) -> bool {
        self.trailing.is_some() || !self.comments.is_empty()
    }
}

/// A comment on its own line.
struct Comment {
    text: String,
    blank_before: bool,
    /// Whether it stood after something else on its line, and that line has one already.
    moved: bool,
}

/// An element of a list: how it looks and where it is.
struct Element {
    doc: Doc,
    gap: Gap,
}

/// The brackets around a list.
#[derive(Clone, Copy)]
struct Brackets {
    open: &'static str,
    close: &'static str,
    /// What stands inside them on one line.
    pad: &'static str,
    /// Whether empty lines between elements are kept.
    blanks: bool,
    /// Whether the last element may alone be broken.
    hugs: bool,
    /// Whether broken lines hold as many elements as fit.
    fills: bool,
}

const PARENS: Brackets =
    Brackets { open: "(", close: ")", pad: "", blanks: false, hugs: false, fills: false };
const SQUARE: Brackets = Brackets { open: "[", close: "]", ..PARENS };
const BRACES: Brackets = Brackets { open: "{", close: "}", pad: " ", ..PARENS };

impl<'a> Printer<'a> {
    fn new(trivia: &'a [Trivia]) -> Printer<'a> {
        Printer { trivia, taken: 0, header: false, one_line: false }
    }

    /// Takes the comments before `end`; empty lines count from `from` on.
    fn gap(&mut self, end: u32, from: u32) -> Gap {
        let mut gap = Gap::default();
        while let Some(trivia) = self.trivia.get(self.taken)
            && trivia.span.start < end
            && !self.one_line
        {
            self.taken += 1;
            match &trivia.kind {
                TriviaKind::BlankLine => gap.blank |= trivia.span.start >= from,
                TriviaKind::Opened => gap.broken = true,
                TriviaKind::Trailing(text) if gap.trailing.is_none() && gap.comments.is_empty() => {
                    gap.trailing = Some(text.clone());
                }
                TriviaKind::Trailing(text) | TriviaKind::OwnLine(text) => {
                    let blank_before = std::mem::take(&mut gap.blank);
                    let moved = matches!(trivia.kind, TriviaKind::Trailing(_));
                    gap.comments.push(Comment { text: text.clone(), blank_before, moved });
                }
            }
        }
        gap
    }

    /// Takes the comments before `end`, but none in brackets that open after the last element.
    fn last_gap(&mut self, end: u32) -> Gap {
        let opened = self.trivia[self.taken..].iter().find(|t| t.kind == TriviaKind::Opened);
        self.gap(opened.map_or(end, |t| t.span.start.min(end)), u32::MAX)
    }

    /// Whether a comment stands before `end` that is not printed yet.
    fn has_comment_before(&self, end: u32) -> bool {
        let rest = self.trivia[self.taken..].iter().take_while(|t| t.span.start < end);
        let comment = |t: &Trivia| !matches!(t.kind, TriviaKind::BlankLine | TriviaKind::Opened);
        !self.one_line && rest.into_iter().any(comment)
    }

    /// A list in brackets, on one line or one element a line.
    fn list<T>(
        &mut self,
        brackets: Brackets,
        elements: &[T],
        span: impl Fn(&T) -> Span,
        end: u32,
        mut print: impl FnMut(&mut Self, &T) -> Doc,
    ) -> Doc {
        let header = std::mem::replace(&mut self.header, false);
        let mut from = 0;
        let mut docs = Vec::new();
        for element in elements {
            let gap = self.gap(span(element).start, from);
            from = span(element).end;
            docs.push(Element { doc: print(self, element), gap });
        }
        let last = match elements.is_empty() {
            true => Gap::default(),
            false => self.last_gap(end),
        };
        self.header = header;
        bracketed(brackets, docs, last)
    }
}

/// Elements in brackets, with their comments.
fn bracketed(brackets: Brackets, elements: Vec<Element>, last: Gap) -> Doc {
    if elements.is_empty() {
        return docs![brackets.open, brackets.close];
    }
    let bare = elements.iter().all(|element| !element.gap.has_comment());
    let fills = brackets.fills && bare && !last.has_comment();
    let mut inner = Vec::new();
    for (i, Element { doc, gap }) in elements.into_iter().enumerate() {
        let (first, pad) = (i == 0, if i == 0 { brackets.pad } else { " " });
        if !first {
            inner.push(",".into());
        }
        push_comments(&mut inner, &gap, pad);
        if brackets.blanks && !first && gap.blank {
            inner.extend([Doc::Break, Doc::Blank]);
        }
        if first && gap.broken {
            inner.push(Doc::Break);
        }
        inner.extend([if fills && !first { Doc::Fill } else { Doc::Line(pad) }, doc]);
    }
    let close = docs![Doc::Line(brackets.pad), brackets.close];
    if brackets.hugs
        && !last.has_comment()
        && let Some(last) = inner.pop()
    {
        let (head, tail) = (docs![brackets.open, inner], docs![Doc::IfBroken(","), close]);
        return hug(head, last, tail);
    }
    inner.push(Doc::IfBroken(","));
    push_comments(&mut inner, &last, brackets.pad);
    docs![brackets.open, Doc::from(inner).nest(), close].group()
}

/// Comments inside a group, which break it.
fn push_comments(docs: &mut Vec<Doc>, gap: &Gap, pad: &'static str) {
    if let Some(comment) = &gap.trailing {
        docs.extend([" ".into(), comment.clone().into(), Doc::Break]);
    }
    for comment in &gap.comments {
        docs.extend([Doc::Line(pad), comment.text.clone().into(), Doc::Break]);
    }
}
