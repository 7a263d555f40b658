//! Inside literals: the digits of numbers; the escapes, interpolations and formats of strings.

use super::{Failed, Parsed, Parser};
use crate::diag::{Diagnostic, Span, codes};
use crate::syntax::ast::{Align, Expr, ExprKind, Format, FormatStyle, StrPart};
use crate::syntax::delimiters::balance;
use crate::syntax::lex::lex;
use crate::syntax::token::{Open, Token, TokenKind as T, end_of};

/// How many strings can stand inside each other's interpolations.
const MAX_STRINGS: usize = 8;

/// What a literal of digits is worth.
enum Digits {
    Value(u64),
    Malformed,
    TooLarge,
}

impl Parser<'_> {
    /// An integer or a float.
    pub(super) fn number(&mut self) -> Parsed<ExprKind> {
        let token = self.bump();
        let text = self.text_of(token.span).to_string();
        if token.kind == T::Int {
            return Ok(ExprKind::Int { value: self.int_value(token.span)?, text });
        }
        let digits = text.replace('_', "");
        // Rust also reads "inf" and the like, but a float of ours starts with a digit.
        match digits.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(ExprKind::Float { value, text }),
            Ok(_) => {
                let message = "no float type holds a number this large";
                Err(self.fail(codes::NUMBER_TOO_LARGE, token.span, message))
            }
            Err(_) => Err(self.malformed_number(token.span)),
        }
    }

    /// The value of the integer literal at a span.
    pub(super) fn int_value(&mut self, span: Span) -> Parsed<i64> {
        match read_digits(self.text_of(span)) {
            Digits::Value(value) if i64::try_from(value).is_ok() => Ok(value as i64),
            Digits::Value(_) | Digits::TooLarge => {
                let message = "this integer is too large for `i64`";
                let d = Diagnostic::error(codes::NUMBER_TOO_LARGE, span, message);
                self.report(d.note(format!("the largest is {}", i64::MAX)));
                Err(Failed)
            }
            Digits::Malformed => Err(self.malformed_number(span)),
        }
    }

    /// The one negative integer whose digits alone are too large, after its minus sign.
    pub(super) fn smallest_int(&mut self, minus: Span) -> Option<Expr> {
        let token = self.peek();
        let smallest = token.kind == T::Int
            && matches!(read_digits(self.text_of(token.span)), Digits::Value(v) if v == 1 << 63);
        if !smallest {
            return None;
        }
        self.bump();
        let text = format!("-{}", self.text_of(token.span));
        let kind = ExprKind::Int { value: i64::MIN, text };
        Some(Expr::new(kind, minus.to(token.span)))
    }

    fn malformed_number(&mut self, span: Span) -> Failed {
        let text = self.text_of(span);
        let message = format!("`{text}` is not a number");
        let d = Diagnostic::error(codes::BAD_NUMBER, span, message);
        let suffix = ["f16", "bf16", "f32", "f64", "u8", "i8", "i16", "i32", "i64"]
            .into_iter()
            .find_map(|s| text.strip_suffix(s).map(|digits| (digits, s)));
        self.report(match (suffix, text.get(..2)) {
            (Some((digits, ty)), _) => d.help(format!("convert it: `{ty}({digits})`")),
            (None, Some("0x")) => d.help("write hexadecimal digits after `0x`: `0x1f`"),
            (None, Some("0b")) => d.help("write the digits 0 and 1 after `0b`: `0b101`"),
            _ if text.ends_with(['e', 'E']) => d.help("an exponent has digits: `1e-3`"),
            _ => d.help("a name cannot start with a digit"),
        });
        Failed
    }

    /// A string in which nothing is interpolated.
    pub(super) fn plain_string(&mut self, token: Token) -> Parsed<String> {
        let mut value = String::new();
        for part in self.string_parts(token)? {
            match part {
                StrPart::Text { value: text, .. } => value.push_str(&text),
                StrPart::Interpolation { span, .. } => {
                    let d = Diagnostic::error(
                        codes::BAD_FORMAT,
                        span,
                        "nothing can be interpolated in this string",
                    );
                    self.report(d.help("write `{{` for a brace"));
                    return Err(Failed);
                }
            }
        }
        Ok(value)
    }

    /// The parts of a string.
    pub(super) fn string_parts(&mut self, token: Token) -> Parsed<Vec<StrPart>> {
        let text = self.text_of(token.span);
        // Without its closing quote, which has been reported, a string is its line.
        let inner = match end_of(Open::Text, &text[1..]) {
            Ok(end) => &text[1..end],
            Err(_) => &text[1..],
        };
        let base = token.span.start as usize + 1;
        let source = token.span.source;
        let mut parts = Vec::new();
        let (mut value, mut from, mut at) = (String::new(), 0, 0);
        let mut failed = false;
        while let Some(c) = inner[at..].chars().next() {
            let rest = &inner[at + c.len_utf8()..];
            let place = |len: usize| Span::new(source, base + at, base + at + len);
            match c {
                '\\' => match escape(rest) {
                    Some((meant, len)) => {
                        value.push(meant);
                        at += 1 + len;
                    }
                    None => {
                        let len = 1 + rest.chars().next().map_or(0, char::len_utf8);
                        self.bad_escape(place(len));
                        failed = true;
                        at += len;
                    }
                },
                '{' if rest.starts_with('{') => {
                    value.push('{');
                    at += 2;
                }
                '}' => {
                    if !rest.starts_with('}') {
                        let message = "this `}` closes no interpolation";
                        let d = Diagnostic::error(codes::BAD_FORMAT, place(1), message);
                        self.report(d.help("write `}}` for a brace"));
                        failed = true;
                    }
                    value.push('}');
                    at += 1 + usize::from(rest.starts_with('}'));
                }
                '{' => {
                    let Ok(len) = end_of(Open::Interpolation, rest) else { return Err(Failed) };
                    if at > from {
                        let span = Span::new(source, base + from, base + at);
                        parts.push(StrPart::Text { value: std::mem::take(&mut value), span });
                    }
                    match self.interpolation(place(1 + len)) {
                        Ok(part) => parts.push(part),
                        Err(Failed) => failed = true,
                    }
                    at += 1 + len;
                    from = at;
                }
                c => {
                    value.push(c);
                    at += c.len_utf8();
                }
            }
        }
        if at > from {
            let span = Span::new(source, base + from, base + at);
            parts.push(StrPart::Text { value, span });
        }
        if failed { Err(Failed) } else { Ok(parts) }
    }

    fn bad_escape(&mut self, span: Span) {
        let text = self.text_of(span);
        let message = format!("`{text}` stands for nothing");
        let d = Diagnostic::error(codes::BAD_ESCAPE, span, message);
        self.report(match text {
            "\\{" => d.help("write `{{` for a brace"),
            "\\}" => d.help("write `}}` for a brace"),
            _ => d.help(r#"the escapes are `\n`, `\t`, `\r`, `\0`, `\\`, `\"` and `\u{1f600}`"#),
        });
    }

    /// `{expr:format}` at a span, braces included. The tokens inside are read in place of those of
    /// the file, so that depth and height count on.
    fn interpolation(&mut self, span: Span) -> Parsed<StrPart> {
        let (start, end) = (span.start as usize + 1, span.end as usize - 1);
        let inner = self.text.get(start..end).unwrap_or("");
        if inner.trim().is_empty() {
            let d = Diagnostic::error(codes::BAD_FORMAT, span, "nothing stands in these braces");
            self.report(d.help("write the value between them, `{x}`; or `{{` and `}}` for braces"));
            return Err(Failed);
        }
        // Each string inside an interpolation is read once more for every string around it.
        if self.strings >= MAX_STRINGS {
            return Err(self.too_deep());
        }
        let lexed = lex(span.source, inner, start, &mut self.diagnostics);
        if let Some(comment) = lexed.trivia.first() {
            let message = "a comment cannot stand in an interpolation";
            self.report(Diagnostic::error(codes::BAD_COMMENT, comment.span, message));
            return Err(Failed);
        }
        let tokens = balance(lexed.tokens, self.text, &mut self.diagnostics);
        let outer = (std::mem::replace(&mut self.tokens, tokens), self.at, self.previous);
        let flags = (self.newlines, self.structs);
        self.at = 0;
        (self.newlines, self.structs) = (false, true);
        self.strings += 1;
        let result = self.interpolated(end);
        self.strings -= 1;
        (self.tokens, self.at, self.previous) = outer;
        (self.newlines, self.structs) = flags;
        if self.aborted {
            self.abort();
        }
        let (expr, format) = result?;
        Ok(StrPart::Interpolation { expr, format, span })
    }

    /// The expression and the format of an interpolation whose text ends at byte `end`.
    fn interpolated(&mut self, end: usize) -> Parsed<(Expr, Option<Format>)> {
        let expr = self.expr()?;
        if self.is(T::Colon) {
            let colon = self.bump().span;
            let span = Span::new(colon.source, colon.end as usize, end);
            return Ok((expr, Some(self.format(span)?)));
        }
        match self.is(T::Eof) {
            true => Ok((expr, None)),
            false => Err(self.unexpected("`}` or `:` and a format")),
        }
    }

    fn format(&mut self, span: Span) -> Parsed<Format> {
        read_format(self.text_of(span), span).ok_or_else(|| {
            let text = self.text_of(span);
            let message = format!("`{text}` is not a format");
            let mut d = Diagnostic::error(codes::BAD_FORMAT, span, message);
            if let Some(bare) = text.strip_suffix(['f', 'd', 'g', 's'])
                && (bare.is_empty() || read_format(bare, span).is_some())
            {
                let help = match bare {
                    "" => "write `{x}`".to_string(),
                    bare => format!("write `{{x:{bare}}}`: what `x` is, is known"),
                };
                d = d.help(help);
            }
            self.report(d.help(
                "a format is `[<|>|^|0][width][.digits][e|%]`: `{x:.4}`, `{x:>8.2}`, `{x:.1%}`",
            ));
            Failed
        })
    }
}

/// Decimal, or with the prefix `0x` or `0b`; `_` may separate digits.
fn read_digits(text: &str) -> Digits {
    let (digits, radix) = match text.as_bytes() {
        [b'0', b'x', ..] => (&text[2..], 16),
        [b'0', b'b', ..] => (&text[2..], 2),
        _ => (text, 10),
    };
    let digits = digits.replace('_', "");
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Digits::Malformed;
    }
    u64::from_str_radix(&digits, radix).map_or(Digits::TooLarge, Digits::Value)
}

/// The character an escape stands for, and its length after the backslash.
fn escape(rest: &str) -> Option<(char, usize)> {
    let simple = match rest.chars().next()? {
        'n' => '\n',
        't' => '\t',
        'r' => '\r',
        '0' => '\0',
        '\\' => '\\',
        '"' => '"',
        'u' => {
            let hex = rest.strip_prefix("u{")?;
            let len = hex.find('}').filter(|len| (1..=6).contains(len))?;
            let value = u32::from_str_radix(&hex[..len], 16).ok()?;
            return Some((char::from_u32(value)?, len + 3));
        }
        _ => return None,
    };
    Some((simple, 1))
}

/// `[<|>|^|0][width][.precision][e|%|c]`, not empty.
fn read_format(text: &str, span: Span) -> Option<Format> {
    let mut rest = text.trim();
    let after = rest.strip_prefix('0');
    let zeros = after.is_some_and(|width| width.starts_with(|c: char| c.is_ascii_digit()));
    let mut eat = |prefixes: &[char]| {
        let c = rest.chars().next().filter(|c| prefixes.contains(c))?;
        rest = &rest[c.len_utf8()..];
        Some(c)
    };
    let align = eat(if zeros { &['0'] } else { &['<', '>', '^'] }).map(|c| match c {
        '<' => Align::Left,
        '>' => Align::Right,
        '^' => Align::Center,
        _ => Align::Zeros,
    });
    let number = |eat: &mut dyn FnMut(&[char]) -> Option<char>| {
        let mut digits = String::new();
        while let Some(c) = eat(&['0', '1', '2', '3', '4', '5', '6', '7', '8', '9']) {
            digits.push(c);
        }
        digits
    };
    let width = number(&mut eat);
    let width = if width.is_empty() { None } else { Some(width.parse().ok()?) };
    let precision = match eat(&['.']) {
        Some(_) => Some(number(&mut eat).parse().ok()?),
        None => None,
    };
    let style = match eat(&['e', '%', 'c']) {
        Some('e') => FormatStyle::Exponent,
        Some('c') => FormatStyle::Characters,
        Some(_) => FormatStyle::Percent,
        None => FormatStyle::Plain,
    };
    let format = Format { align, width, precision, style, span };
    (rest.is_empty() && !text.trim().is_empty()).then_some(format)
}
