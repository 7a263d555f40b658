//! Printing keeps the tree and the comments, and is its own fixed point.

use super::print;
use crate::diag::SourceId;
use crate::syntax::ast::{File, TriviaKind};
use crate::syntax::{parse, samples};

/// The items of a file without their spans.
fn spanless(file: &File) -> String {
    let text = format!("{:?}", file.items);
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("Span { ") {
        out.push_str(before);
        rest = after.split_once(" }").map_or("", |(_, rest)| rest);
    }
    out + rest
}

/// The texts of the comments of a file, sorted: one may be moved.
fn comments(file: &File) -> Vec<&str> {
    let mut texts: Vec<&str> = file
        .trivia
        .iter()
        .filter_map(|t| match &t.kind {
            TriviaKind::OwnLine(text) | TriviaKind::Trailing(text) => Some(text.as_str()),
            TriviaKind::BlankLine => None,
        })
        .collect();
    texts.sort_unstable();
    texts
}

/// Prints a text that parses, and checks all that must hold of the result.
#[track_caller]
pub(in crate::syntax) fn formatted(text: &str) -> String {
    let (file, diagnostics) = parse(SourceId(0), text);
    assert!(diagnostics.is_empty(), "{diagnostics:?}\n{text}");
    let printed = print(&file);
    let (again, diagnostics) = parse(SourceId(0), &printed);
    assert!(diagnostics.is_empty(), "{diagnostics:?}\n{printed}");
    assert_eq!(spanless(&file), spanless(&again), "{printed}");
    assert_eq!(comments(&file), comments(&again), "{printed}");
    assert_eq!(print(&again), printed, "printing is idempotent");
    printed
}

#[test]
fn samples_survive() {
    for (name, text) in samples::ALL {
        let printed = formatted(text);
        let longest = printed.lines().map(|l| l.chars().count()).max();
        assert!(longest <= Some(super::doc::WIDTH), "{name}: {longest:?}");
    }
}
