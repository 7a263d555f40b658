//! From text to words.
//!
//! [`lex`] never fails: what it cannot read is reported and left out. Comments, blank lines and
//! line breaks after opening brackets become trivia, beside the tokens. Brackets are balanced
//! afterwards by `delimiters`, so that the parser can rely on them.

use super::ast::{Trivia, TriviaKind};
use super::token::{LexError, Token, TokenKind};
use crate::diag::{Diagnostic, Diagnostics, SourceId, Span, codes};
use logos::Logos;

/// The words of a text.
#[derive(Debug, Default)]
pub struct Lexed {
    /// In order; the last is [`TokenKind::Eof`].
    pub tokens: Vec<Token>,
    /// Comments, blank lines and line breaks after opening brackets, in order.
    pub trivia: Vec<Trivia>,
}

/// The size above which a source is refused: spans must fit 32 bits, and no person wrote it.
const MAX_SOURCE_BYTES: usize = 16 << 20;

/// The number of messages after which reading stops: this is no source of ours.
pub(super) const MAX_MESSAGES: usize = 64;

/// Splits `text`, which is `source` from its byte `offset` on.
pub fn lex(source: SourceId, text: &str, offset: usize, diagnostics: &mut Diagnostics) -> Lexed {
    let mut lexed = Lexed::default();
    let span = |start, end| Span::new(source, offset + start, offset + end);
    let mut text = text;
    if text.len() > MAX_SOURCE_BYTES {
        let message = "the source is larger than 16 MiB";
        diagnostics.push(Diagnostic::error(codes::SOURCE_TOO_LARGE, span(0, 0), message));
        text = "";
    }
    if let Some(at) = lone_return(text) {
        let message = "a carriage return ends no line";
        let d = Diagnostic::error(codes::UNKNOWN_CHARACTER, span(at, at + 1), message);
        diagnostics.push(d.help("end lines with a line feed; in a string, write `\\r`"));
    }
    // Editors on Windows may put a byte-order mark before the first line.
    let bom = text.strip_prefix('\u{feff}').map_or(0, |_| '\u{feff}'.len_utf8());
    let mut lexer = TokenKind::lexer(&text[bom..]);
    let mut first_on_line = true;
    let (mut newlines, mut line_start, mut blank_from, mut indent) = (0, bom, 0, 0);
    while let Some(result) = lexer.next() {
        let (start, end) = (lexer.span().start + bom, lexer.span().end + bom);
        let kind = match result {
            Ok(TokenKind::Newline) => {
                if newlines == 0 {
                    blank_from = end;
                    if let Some(last) = lexed.tokens.last()
                        && last.kind.closer().is_some()
                        && lexed.trivia.last().is_none_or(|t| t.span.start < last.span.start)
                    {
                        let kind = TriviaKind::Opened;
                        lexed.trivia.push(Trivia { kind, span: span(start, end) });
                    }
                }
                newlines += 1;
                line_start = end;
                first_on_line = true;
                continue;
            }
            Ok(kind) => kind,
            Err(error) => match lexed.tokens.last_mut() {
                // One message for a run of strange characters.
                Some(last)
                    if last.kind == TokenKind::Unknown
                        && last.span.end == offset_of(start + offset) =>
                {
                    last.span = last.span.to(span(start, end));
                    continue;
                }
                _ => {
                    diagnostics.push(lex_error(error, &text[start..end], span(start, end)));
                    match error {
                        LexError::UnknownCharacter => TokenKind::Unknown,
                        // A string without its end is still one, so that its statement parses.
                        LexError::UnterminatedString => TokenKind::Str,
                    }
                }
            },
        };
        if newlines > 1 && !(lexed.tokens.is_empty() && lexed.trivia.is_empty()) {
            let kind = TriviaKind::BlankLine;
            lexed.trivia.push(Trivia { kind, span: span(blank_from, line_start) });
        }
        newlines = 0;
        if first_on_line {
            indent = offset_of(start - line_start);
        }
        match kind {
            TokenKind::Comment => {
                let comment = text[start..end].trim_end();
                if !first_on_line
                    && looks_divided(&comment[2..], &lexed.tokens, &text[..start], offset)
                {
                    let at = span(start, start + comment.len());
                    let message = "`//` starts a comment, it does not divide";
                    let d = Diagnostic::warning(codes::BAD_COMMENT, at, message);
                    let help = "integers are divided by `/`, toward zero; a comment has words";
                    diagnostics.push(d.help(help));
                }
                let kind = match first_on_line {
                    true => TriviaKind::OwnLine(comment.to_string()),
                    false => TriviaKind::Trailing(comment.to_string()),
                };
                lexed.trivia.push(Trivia { kind, span: span(start, start + comment.len()) });
            }
            TokenKind::BlockComment | TokenKind::HashComment => {
                let message = "comments start with `//`";
                let d = Diagnostic::error(codes::BAD_COMMENT, span(start, end), message);
                diagnostics.push(d.help("write `// …` on each line of the comment"));
            }
            kind => {
                if kind.is_closer()
                    && let Some(last) = lexed.tokens.last()
                {
                    // Between brackets that hold nothing, it says nothing.
                    let open = last.span.start;
                    lexed.trivia.pop_if(|t| t.kind == TriviaKind::Opened && t.span.start > open);
                }
                let span = span(start, end);
                lexed.tokens.push(Token { kind, span, first_on_line, indent, synthetic: false });
                first_on_line = false;
            }
        }
        if diagnostics.len() >= MAX_MESSAGES {
            break;
        }
    }
    lexed.tokens.push(Token {
        kind: TokenKind::Eof,
        span: span(text.len(), text.len()),
        first_on_line: true,
        indent: 0,
        synthetic: false,
    });
    lexed
}

/// Whether a comment behind a value is what another language would divide by: a number, or a size
/// that the function names in its brackets, and operators between such.
fn looks_divided(comment: &str, before: &[Token], text: &str, offset: usize) -> bool {
    use TokenKind::{Float, Fn, Ident, Int, LParen, Minus, Plus, RBracket, RParen, Star};
    if !before.last().is_some_and(|t| matches!(t.kind, Ident | Int | Float | RParen | RBracket)) {
        return false;
    }
    let word = |token: &Token| {
        let (start, end) = (token.span.start as usize, token.span.end as usize);
        &text[start - offset..end - offset]
    };
    let function = before.iter().rposition(|token| token.kind == Fn).unwrap_or(before.len());
    let head = before[function..].iter().take_while(|token| token.kind != LParen);
    let sizes: Vec<&str> = head.filter(|t| t.kind == Ident).skip(1).map(word).collect();
    let mut words = TokenKind::lexer(comment);
    let mut wanted = true;
    while let Some(kind) = words.next() {
        wanted = match kind {
            Ok(Int) if wanted => false,
            Ok(Ident) if wanted && sizes.contains(&words.slice()) => false,
            Ok(Plus | Minus | Star) if !wanted => true,
            Ok(RParen | RBracket) if !wanted => false,
            _ => return false,
        };
    }
    !wanted
}

/// The first carriage return that no line feed follows.
fn lone_return(text: &str) -> Option<usize> {
    let mut returns = text.match_indices('\r').map(|(at, _)| at);
    returns.find(|at| !text[at + 1..].starts_with('\n'))
}

/// Whether `text` can be a name: not a reserved word, and made of the right characters.
pub fn is_name(text: &str) -> bool {
    let mut lexer = TokenKind::lexer(text);
    lexer.next() == Some(Ok(TokenKind::Ident)) && lexer.span() == (0..text.len())
}

/// A length as spans store it; sources are far smaller than 4 GiB.
fn offset_of(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// The message about what could not be read.
fn lex_error(error: LexError, text: &str, span: Span) -> Diagnostic {
    match error {
        LexError::UnterminatedString => {
            let message = "this string has no closing `\"`";
            let d = Diagnostic::error(codes::UNTERMINATED_STRING, span, message);
            d.help("a string ends on the line where it starts; write `\\n` for a new line in it")
        }
        LexError::UnknownCharacter => {
            let c = text.chars().next().unwrap_or('\u{fffd}');
            let shown = if c.is_control() { c.escape_unicode().to_string() } else { c.to_string() };
            let message = format!("the language does not use the character `{shown}`");
            let d = Diagnostic::error(codes::UNKNOWN_CHARACTER, span, message);
            match LOOKALIKES.iter().find(|(look, _)| look.contains(c)) {
                Some((_, "")) => d.help("write an ordinary blank"),
                Some((_, meant)) => d.help(format!("write `{meant}`")),
                None if c == '?' => d.help("write `if condition { a } else { b }`"),
                None if c.is_alphabetic() => {
                    d.help("names are made of the letters A to Z, Greek letters, digits and `_`")
                }
                None => d,
            }
        }
    }
}

/// Characters that people paste from papers and word processors, and what they stand for.
const LOOKALIKES: &[(&str, &str)] = &[
    ("“”„«»‘’'`", "\""),
    ("−–—", "-"),
    ("×⋅·∗", "*"),
    ("÷∕", "/"),
    ("≤", "<="),
    ("≥", ">="),
    ("≠", "!="),
    ("→", "->"),
    ("∧", "&"),
    ("∨", "|"),
    ("¬~", "!"),
    ("…", "..."),
    ("\u{a0}\u{2009}\u{202f}\u{3000}\u{feff}\u{c}", ""),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// The kinds of the tokens of `text`, and the codes of the messages about it.
    fn words(text: &str) -> (Vec<TokenKind>, Vec<String>) {
        let mut diagnostics = Diagnostics::default();
        let lexed = lex(SourceId(0), text, 0, &mut diagnostics);
        let kinds = lexed.tokens.iter().map(|t| t.kind).filter(|k| *k != TokenKind::Eof);
        (kinds.collect(), diagnostics.iter().map(|d| d.code.to_string()).collect())
    }

    #[track_caller]
    fn check(text: &str, expected: &[TokenKind]) {
        assert_eq!(words(text), (expected.to_vec(), vec![]), "{text}");
    }

    #[test]
    fn numbers_and_dots() {
        use TokenKind as T;
        check("0..5", &[T::Int, T::DotDot, T::Int]);
        check("1.5e-3", &[T::Float]);
        check("1e5", &[T::Float]);
        check("1e5-3", &[T::Float, T::Minus, T::Int]);
        check("1.x", &[T::Int, T::Dot, T::Ident]);
        check("0xff 1_000", &[T::Int, T::Int]);
        check(
            "x[..., None]",
            &[T::Ident, T::LBracket, T::Ellipsis, T::Comma, T::None, T::RBracket],
        );
        check("x[::2]", &[T::Ident, T::LBracket, T::Colon, T::Colon, T::Int, T::RBracket]);
    }

    #[test]
    fn strings_hold_expressions() {
        use TokenKind as T;
        check(r#""a" "b\"c""#, &[T::Str, T::Str]);
        check(r#""{f("}")} {{" x"#, &[T::Str, T::Ident]);
        check(r#""{m[{ "a" }]:.4}""#, &[T::Str]);
        assert_eq!(words("\"abc\nx").1, ["E0002"]);
        assert_eq!(words("\"abc\\").1, ["E0002"]);
        assert_eq!(words("\"{ab\"\nx").0, [T::Str, T::Ident]);
    }

    #[test]
    fn lines_end_with_a_line_feed() {
        check("x\r\ny\r\n", &[TokenKind::Ident, TokenKind::Ident]);
        assert_eq!(words("// note\rx\ry").1, ["E0001"]);
    }

    #[test]
    fn unknown_characters_are_reported_once_each() {
        assert_eq!(words("a $ b ≤ c").1, ["E0001", "E0001"]);
        assert_eq!(words("# note\nx /* a\nb */ y").1, ["E0006", "E0006"]);
        check("α β_1", &[TokenKind::Ident, TokenKind::Ident]);
    }

    #[test]
    fn names_are_told_from_other_words() {
        assert!(["x", "_1", "main", "α"].into_iter().all(is_name));
        assert!(!["", "fn", "1x", "a b", "a.b", " a", "é", "None"].into_iter().any(is_name));
    }

    #[test]
    fn trivia_is_kept() {
        let text = "// one\n\n\nx // two  \n// three\ny";
        let lexed = lex(SourceId(0), text, 0, &mut Diagnostics::default());
        let kinds: Vec<_> = lexed.trivia.into_iter().map(|t| t.kind).collect();
        assert_eq!(
            kinds,
            [
                TriviaKind::OwnLine("// one".into()),
                TriviaKind::BlankLine,
                TriviaKind::Trailing("// two".into()),
                TriviaKind::OwnLine("// three".into()),
            ]
        );
        assert!(lexed.tokens.iter().all(|t| t.first_on_line));
    }
}
