//! Diagnostics as text for a terminal, and as JSON for editors: the only file that knows the
//! rendering crate.
//!
//! The text shows the code and message, the source lines with `^^^` under what is wrong and `---`
//! under what made it wrong, then notes and help. Labels may lie in several sources; that of the
//! primary label comes first. Spans are clamped to the text they are in, so that a wrong span shows
//! a wrong place and never panics.

use super::{Diagnostic, Diagnostics, Label, Severity, Source, SourceId, Sources, Span};
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde_json::{Value, json};
use std::ops::Range;

/// One diagnostic as text, without a newline at its end; with colours for a terminal if asked.
pub fn render(sources: &Sources, d: &Diagnostic, color: bool) -> String {
    let level = match d.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let code = d.code.to_string();
    let mut group = level.primary_title(&d.message).id(&code).elements(snippets(sources, d));
    group = group.elements(d.notes.iter().map(|note| Level::NOTE.message(note)));
    group = group.elements(d.help.iter().map(|help| Level::HELP.message(help)));
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    renderer.render(&[group])
}

/// All diagnostics as text, with an empty line after each and their number at the end.
pub fn render_all(sources: &Sources, diagnostics: &Diagnostics, color: bool) -> String {
    let mut out = String::new();
    for d in diagnostics.iter() {
        out.push_str(&render(sources, d, color));
        out.push_str("\n\n");
    }
    let count = |severity| diagnostics.iter().filter(|d| d.severity == severity).count();
    let counts = [(count(Severity::Error), "error"), (count(Severity::Warning), "warning")];
    let counts: Vec<String> = counts
        .into_iter()
        .filter(|(n, _)| *n > 0)
        .map(|(n, what)| format!("{n} {what}{}", if n == 1 { "" } else { "s" }))
        .collect();
    if !counts.is_empty() {
        out.push_str(&format!("{}\n", counts.join(", ")));
    }
    out
}

/// One diagnostic as JSON: `severity`, `code`, `message`, `notes`, `help`, and `labels` with
/// `source`, `primary`, `text`, the byte range `start..end`, and one-based lines and columns.
pub fn to_json(sources: &Sources, d: &Diagnostic) -> Value {
    let labels: Vec<Value> = labels(d)
        .filter_map(|(label, is_primary)| {
            let source = sources.find(label.span.source)?;
            let range = clamp(source, label.span);
            let point = |offset: usize| {
                let span = Span::new(label.span.source, offset, offset);
                let (line, column) = sources.line_column(span);
                json!({ "line": line, "column": column })
            };
            Some(json!({
                "source": source.name,
                "primary": is_primary,
                "text": label.text,
                "start": range.start,
                "end": range.end,
                "from": point(range.start),
                "to": point(range.end),
            }))
        })
        .collect();
    json!({
        "severity": match d.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        "code": d.code.to_string(),
        "message": d.message,
        "labels": labels,
        "notes": d.notes,
        "help": d.help,
    })
}

/// The labels, the primary one first, and whether it is that.
fn labels(d: &Diagnostic) -> impl Iterator<Item = (&Label, bool)> {
    d.primary.iter().map(|l| (l, true)).chain(d.secondary.iter().map(|l| (l, false)))
}

/// A snippet of every source that has labels, in the order of their first label.
fn snippets<'a>(
    sources: &'a Sources,
    d: &'a Diagnostic,
) -> Vec<Snippet<'a, annotate_snippets::Annotation<'a>>> {
    let mut ids: Vec<SourceId> = Vec::new();
    for (label, _) in labels(d) {
        if !ids.contains(&label.span.source) {
            ids.push(label.span.source);
        }
    }
    let snippet = |id: SourceId| {
        let source = sources.find(id)?;
        let here = labels(d).filter(|(label, _)| label.span.source == id);
        let annotations = here.map(|(label, is_primary)| {
            let kind = match is_primary {
                true => AnnotationKind::Primary,
                false => AnnotationKind::Context,
            };
            let text = (!label.text.is_empty()).then_some(label.text.as_str());
            kind.span(clamp(source, label.span)).label(text)
        });
        Some(Snippet::source(&source.text).path(&source.name).annotations(annotations))
    };
    ids.into_iter().filter_map(snippet).collect()
}

/// The bytes of a span, inside the text and at borders of characters.
fn clamp(source: &Source, span: Span) -> Range<usize> {
    let start = source.text.floor_char_boundary(span.start as usize);
    let end = source.text.ceil_char_boundary(span.end as usize);
    start..end.max(start)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::{Code, Diagnostic};

    const MNIST: &str = "\
import std.nn.{Dense, dense}

struct Mlp { hidden: Dense[784, 128], out: Dense[512, 10] }

fn logits[B](m: Mlp, x: f32[B, 784]) -> f32[B, 10] =
    dense(m.out, relu(dense(m.hidden, x)))
";

    /// The span of the `n`th occurrence of a piece of the source.
    fn find(sources: &Sources, id: u32, piece: &str, n: usize) -> Span {
        let (start, _) = sources.get(SourceId(id)).text.match_indices(piece).nth(n).unwrap();
        Span::new(SourceId(id), start, start + piece.len())
    }

    fn inner_dimensions(sources: &Sources) -> Diagnostic {
        let message = "`@` needs equal inner dimensions, found 128 and 512";
        Diagnostic::error(Code(203), find(sources, 0, "dense", 1), message)
            .here("in `x @ p.w`: x is f32[B, 128], p.w is f32[512, 10]")
            .label(find(sources, 0, "128", 0), "128 comes from here")
            .help("change it to Dense[784, 512], or `out` to Dense[128, 10]")
    }

    #[test]
    fn both_origins_are_shown() {
        let mut sources = Sources::default();
        sources.add("mnist.tx", MNIST);
        let mut d = inner_dimensions(&sources);
        d.primary.as_mut().unwrap().span = find(&sources, 0, "dense", 2);
        insta::assert_snapshot!(render(&sources, &d, false), @"
            error[E0203]: `@` needs equal inner dimensions, found 128 and 512
             --> mnist.tx:6:23
              |
            3 | struct Mlp { hidden: Dense[784, 128], out: Dense[512, 10] }
              |                                 --- 128 comes from here
            ...
            6 |     dense(m.out, relu(dense(m.hidden, x)))
              |                       ^^^^^ in `x @ p.w`: x is f32[B, 128], p.w is f32[512, 10]
              |
              = help: change it to Dense[784, 512], or `out` to Dense[128, 10]
            ");
        assert!(render(&sources, &d, true).contains("\u{1b}["));
    }

    #[test]
    fn several_sources_and_notes() {
        let mut sources = Sources::default();
        sources.add("mnist.tx", MNIST);
        sources
            .add("std/nn.tx", "fn dense[B..., I, O](p: Dense[I, O], x: f32[B..., I]) = x @ p.w\n");
        let d = inner_dimensions(&sources)
            .label(find(&sources, 1, "x @ p.w", 0), "used here")
            .note("`dense` multiplies its input by the weights");
        insta::assert_snapshot!(render(&sources, &d, false), @"
            error[E0203]: `@` needs equal inner dimensions, found 128 and 512
             --> mnist.tx:6:5
              |
            3 | struct Mlp { hidden: Dense[784, 128], out: Dense[512, 10] }
              |                                 --- 128 comes from here
            ...
            6 |     dense(m.out, relu(dense(m.hidden, x)))
              |     ^^^^^ in `x @ p.w`: x is f32[B, 128], p.w is f32[512, 10]
              |
             ::: std/nn.tx:1:57
              |
            1 | fn dense[B..., I, O](p: Dense[I, O], x: f32[B..., I]) = x @ p.w
              |                                                         ------- used here
              |
              = note: `dense` multiplies its input by the weights
              = help: change it to Dense[784, 512], or `out` to Dense[128, 10]
            ");
    }

    #[test]
    fn mistakes_without_a_place_and_warnings() {
        let sources = Sources::default();
        let mut d = Diagnostic::global(Code(501), "cannot read `x.tx`").help("is the path right?");
        insta::assert_snapshot!(render(&sources, &d, false), @"
            error[E0501]: cannot read `x.tx`
             |
             = help: is the path right?
            ");
        d.severity = Severity::Warning;
        let mut all = Diagnostics::from(d.clone());
        all.push(Diagnostic::global(Code(502), "another"));
        insta::assert_snapshot!(render_all(&sources, &all, false), @"
            warning[E0501]: cannot read `x.tx`
             |
             = help: is the path right?

            error[E0502]: another

            1 error, 1 warning
            ");
    }

    #[test]
    fn wrong_spans_do_not_panic() {
        let mut sources = Sources::default();
        sources.add("a.tx", "é = 1");
        for (start, end) in [(1, 1), (0, 1), (5, 90), (90, 95), (6, 6), (3, 1)] {
            let span = Span { source: SourceId(0), start, end };
            let d = Diagnostic::error(Code(1), span, "m").label(span, "l");
            assert!(render(&sources, &d, false).contains("a.tx:1"), "{start}..{end}");
            to_json(&sources, &d);
        }
        let nowhere = Span { source: SourceId(7), start: 0, end: 0 };
        let d = Diagnostic::error(Code(1), nowhere, "m");
        assert_eq!(render(&sources, &d, false), "error[E0001]: m");
    }

    #[test]
    fn json_has_all_of_it() {
        let mut sources = Sources::default();
        sources.add("mnist.tx", MNIST);
        let value = to_json(&sources, &inner_dimensions(&sources));
        assert_eq!(value["code"], "E0203");
        assert_eq!(value["severity"], "error");
        assert_eq!(value["labels"][0]["primary"], true);
        assert_eq!(value["labels"][1]["from"], json!({ "line": 3, "column": 33 }));
        assert_eq!(value["labels"][1]["text"], "128 comes from here");
        assert_eq!(value["help"][0], "change it to Dense[784, 512], or `out` to Dense[128, 10]");
    }
}
