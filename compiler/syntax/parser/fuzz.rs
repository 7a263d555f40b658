//! One second of damaged programs: nothing panics, nothing hangs, and all spans lie in the text.

use super::parse;
use crate::diag::SourceId;
use crate::syntax::lex::lex;
use crate::syntax::{print, samples};
use std::time::{Duration, Instant};

/// SplitMix64: the same damage every time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n.max(1) as u64) as usize
    }
}

/// Pieces that are put where they do not belong.
const PIECES: &[&str] = &[
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "\"",
    "\"{",
    "}\"",
    "\n",
    ";",
    ",",
    ":",
    "=",
    "==",
    "...",
    "..",
    ".",
    "-",
    "**",
    "@",
    "fn ",
    "let ",
    "if ",
    "else ",
    "for ",
    "in ",
    "scan ",
    "as ",
    "where ",
    "main ",
    "test ",
    "import ",
    "struct ",
    "None",
    "// x\n",
    "/// x\n",
    "/*",
    "#",
    "é",
    "∂",
    "\\",
    "0x",
    "1e999",
    "99999999999999999999",
    "sum k: ",
    "\u{feff}",
    "\r",
    "$",
    "&&",
    "def ",
];

/// The text with one change.
fn damaged(text: &str, random: &mut Random) -> String {
    let tokens = lex(SourceId(0), text, 0, &mut Default::default()).tokens;
    let place = |random: &mut Random| {
        let span = tokens[random.below(tokens.len())].span;
        span.start as usize..span.end as usize
    };
    let (a, b) = (place(random), place(random));
    let mut out = text.to_string();
    match random.below(5) {
        0 => out.replace_range(a, ""),
        1 => out.insert_str(a.end, &text[a.clone()]),
        2 => {
            // The later one first, so that the places of the earlier one stay right.
            let (first, second) = if a.start <= b.start { (a, b) } else { (b, a) };
            out.replace_range(second.clone(), &text[first.clone()]);
            out.replace_range(first, &text[second]);
        }
        3 => out.insert_str(a.start, PIECES[random.below(PIECES.len())]),
        _ => out.truncate(a.start),
    }
    out
}

/// Parses a text and checks what holds of every text.
fn check(text: &str) {
    let (file, diagnostics) = parse(SourceId(0), text);
    let inside = |start: u32, end: u32| {
        let (start, end) = (start as usize, end as usize);
        start <= end && text.is_char_boundary(start) && text.is_char_boundary(end)
    };
    for d in diagnostics.iter() {
        for label in d.primary.iter().chain(&d.secondary) {
            assert!(inside(label.span.start, label.span.end), "{d:?}\n{text}");
        }
    }
    for span in format!("{file:?}").split("Span { ").skip(1) {
        let numbers: Vec<u32> =
            span.split([' ', ',', '}']).filter_map(|word| word.parse().ok()).take(2).collect();
        assert!(inside(numbers[0], numbers[1]), "{numbers:?}\n{text}");
    }
    match diagnostics.has_errors() {
        // What could be read of a wrong program can be printed as well.
        true => drop(print(&file)),
        false => drop(print::tests::formatted(text)),
    }
}

#[test]
fn damaged_programs_are_survived() {
    let start = Instant::now();
    let mut random = Random(2024);
    let mut rounds = 0;
    while start.elapsed() < Duration::from_secs(1) || rounds < 50 {
        let (_, sample) = samples::ALL[random.below(samples::ALL.len())];
        let mut text = sample.to_string();
        for _ in 0..=random.below(4) {
            text = damaged(&text, &mut random);
        }
        check(&text);
        rounds += 1;
    }
}

#[test]
fn deep_and_long_programs_are_refused_or_read() {
    let n = 50_000;
    let repeated =
        |open: &str, close: &str| format!("fn f() = {}x{}", open.repeat(n), close.repeat(n));
    let deep = [
        repeated("(", ")"),
        repeated("[", "]"),
        repeated("{", "}"),
        repeated("f(", ")"),
        repeated("x[", "]"),
        repeated("-", ""),
        repeated("!", ""),
        repeated("x ** ", ""),
        repeated("x + ", ""),
        repeated("", ".x"),
        repeated("", "(1)"),
        repeated("", " as f32"),
        repeated("if x { ", " }"),
        repeated("if x { y } else ", "{ z }"),
        repeated("fn(x) = ", ""),
        repeated("for i: ", ""),
        repeated("sum k: ", ""),
        repeated("scan x in ", ""),
        repeated("\"{", "}\""),
        repeated("S { a: ", " }"),
        format!("fn f(x: {}A{}) = x", "(".repeat(n), ")".repeat(n)),
        format!("fn f(x: {}A{}) = x", "A[".repeat(n), "]".repeat(n)),
        format!("fn f(x: A[{}N{}]) = x", "(".repeat(n), ")".repeat(n)),
        format!("fn f(x: A[{}N]) = x", "-".repeat(n)),
        format!("fn f(x: A[{}N]) = x", "N + ".repeat(n)),
        format!("main {{ let {}x{} = 1 }}", "(".repeat(n), ")".repeat(n)),
        format!("main {{ {} {} }}", "while x {".repeat(n), "}".repeat(n)),
    ];
    for text in deep {
        let (file, diagnostics) = parse(SourceId(0), &text);
        let codes: Vec<String> = diagnostics.iter().map(|d| d.code.to_string()).collect();
        assert_eq!(codes, ["E0104"], "{}", &text[..40]);
        print(&file);
    }
    let long = format!("main {{\n{}}}\n", "    x = f(x, [1, 2])\n".repeat(n));
    let (file, diagnostics) = parse(SourceId(0), &long);
    assert!(diagnostics.is_empty());
    assert_eq!(print(&file), long);
    let strange = parse(SourceId(0), &"$ ".repeat(n)).1;
    assert!(strange.len() < 100);
}
