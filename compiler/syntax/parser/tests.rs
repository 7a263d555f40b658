//! What parses, how it is grouped, and what is said about what does not parse.

use super::parse;
use crate::diag::{Diagnostics, SourceId};
use crate::syntax::ast::{ExprKind, File, ItemKind};
use crate::syntax::samples;

/// The file of a text without mistakes.
#[track_caller]
fn good(text: &str) -> File {
    let (file, diagnostics) = parse(SourceId(0), text);
    assert!(diagnostics.is_empty(), "{}", shown(text, &diagnostics));
    file
}

/// The messages about a text: line, column, code, message and help.
fn shown(text: &str, diagnostics: &Diagnostics) -> String {
    let mut sources = crate::diag::Sources::default();
    sources.add("t.tx", text);
    let mut out = String::new();
    for d in diagnostics.iter() {
        let (line, column) = d.primary.as_ref().map_or((0, 0), |p| sources.line_column(p.span));
        out.push_str(&format!("{line}:{column} {} {}\n", d.code, d.message));
        for help in &d.help {
            out.push_str(&format!("    help: {help}\n"));
        }
    }
    out
}

fn errors(text: &str) -> String {
    shown(text, &parse(SourceId(0), text).1)
}

#[test]
fn samples_parse() {
    for (name, text) in samples::ALL {
        let (file, diagnostics) = parse(SourceId(0), text);
        assert!(diagnostics.is_empty(), "{name}:\n{}", shown(text, &diagnostics));
        assert!(!file.items.is_empty());
    }
}

/// The body of `fn f() = …`, operators in parentheses.
#[track_caller]
fn grouped(text: &str) -> String {
    let source = format!("fn f() = {text}");
    let file = good(&source);
    let ItemKind::Fn(f) = &file.items[0].kind else { panic!("not a function") };
    fn show(e: &crate::syntax::ast::Expr, source: &str) -> String {
        match &e.kind {
            ExprKind::Binary { op, left, right, .. } => {
                format!("({} {} {})", show(left, source), op.symbol(), show(right, source))
            }
            ExprKind::Unary { op, operand } => {
                format!("({}{})", op.symbol(), show(operand, source))
            }
            ExprKind::As { value, .. } => format!("({} as …)", show(value, source)),
            ExprKind::Paren(inner) => show(inner, source),
            _ => source[e.span.start as usize..e.span.end as usize].to_string(),
        }
    }
    show(&f.body, &source)
}

#[test]
fn operators_group_as_the_grammar_says() {
    assert_eq!(grouped("a + b * c - d"), "((a + (b * c)) - d)");
    assert_eq!(grouped("-x ** 2"), "(-(x ** 2))");
    assert_eq!(grouped("2 ** -x ** 2 * 3"), "((2 ** (-(x ** 2))) * 3)");
    assert_eq!(grouped("a ** b ** c"), "(a ** (b ** c))");
    assert_eq!(grouped("a @ b * c"), "((a @ b) * c)");
    assert_eq!(grouped("a > 0 & b < 1 | c"), "(((a > 0) & (b < 1)) | c)");
    assert_eq!(grouped("a ^ b & c"), "(a ^ (b & c))");
    assert_eq!(grouped("!a == b"), "((!a) == b)");
    assert_eq!(grouped("-x as f32 * 2"), "(((-x) as …) * 2)");
    assert_eq!(grouped("a - b - c"), "((a - b) - c)");
    assert_eq!(grouped("-x.y[0](1)"), "(-x.y[0](1))");
}
