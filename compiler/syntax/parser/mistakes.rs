//! What people of other languages write by habit, and what to tell them.

use super::Parser;
use crate::diag::{Diagnostic, codes};
use crate::syntax::token::TokenKind as T;

/// Words that start something in other languages, and what to do instead.
const FOREIGN_WORDS: &[(&str, &str)] = &[
    ("def", "functions start with `fn`"),
    ("func", "functions start with `fn`"),
    ("function", "functions start with `fn`"),
    ("fun", "functions start with `fn`"),
    ("class", "write `struct` for a group of tensors"),
    ("type", "write `struct` for a group of tensors"),
    ("enum", "the language has structs and tuples only"),
    (
        "const",
        "at the top level write a function without parameters: `fn n() = 3`; in a block, `let`",
    ),
    ("mut", "write `var` for a variable that is assigned later"),
    ("elif", "write `else if`"),
    ("elsif", "write `else if`"),
    ("lambda", "write `fn(x) = …`"),
    ("and", "write `&`"),
    ("or", "write `|`"),
    ("not", "write `!`"),
    ("is", "write `==`"),
    ("then", "write braces: `if c { a } else { b }`"),
    ("do", "write braces around the body of a loop"),
    ("from", "write `import module.{name}`"),
    ("use", "write `import module.{name}`"),
    ("include", "write `import \"file.tx\"`"),
    ("pub", "everything is visible in other files, but for names that start with `_`"),
    ("public", "everything is visible in other files, but for names that start with `_`"),
    ("private", "start a name with `_` to hide it from other files"),
    ("match", "write `if … else if … else`"),
    ("switch", "write `if … else if … else`"),
    ("loop", "write `while true limit 1000 { … }`, with a limit that fits"),
    ("print", "write `print(…)`"),
];

impl Parser<'_> {
    /// Whether the token after this one is the first of its line.
    fn breaks_after(&self) -> bool {
        self.tokens.get(self.at + 1).is_some_and(|token| token.first_on_line)
    }

    /// Whether another language's word for `fn` stands here, and the name of a function after it.
    pub(super) fn is_function_elsewhere(&self) -> bool {
        ["def", "func", "function", "fun"].into_iter().any(|w| self.is_word(w))
            && self.kind(1) == T::Ident
            && matches!(self.kind(2), T::LParen | T::LBracket | T::Less)
    }

    /// The message about a word of another language at the token that was not understood, or right
    /// before it.
    pub(super) fn foreign_word(&self) -> Option<Diagnostic> {
        let token = self.peek();
        let before = self.previous;
        let adjacent = !self.at_new_line() && before.end <= token.span.start;
        let places = [
            (token.kind == T::Ident).then_some(token.span),
            (adjacent && before.end > before.start).then_some(before),
        ];
        places.into_iter().flatten().find_map(|span| {
            let word = self.text_of(span);
            // It is right as it is, but for where it stands.
            if word == "print" && span == token.span && self.kind(1) == T::LParen {
                return None;
            }
            let (_, help) = FOREIGN_WORDS.iter().find(|(w, _)| *w == word)?;
            let message = format!("`{word}` means nothing here");
            Some(Diagnostic::error(codes::FOREIGN_WORD, span, message).help(*help))
        })
    }

    /// Adds what to change to the message that `expected` was not found at the current token.
    pub(super) fn mistake(&self, expected: &str, d: Diagnostic) -> Diagnostic {
        let found = self.peek();
        let wants = |what: &str| expected.contains(what);
        match found.kind {
            T::Colon if self.kind(1) == T::Colon => d.help("paths are written with dots: `a.b`"),
            T::Colon if wants("`=` or") && self.kind(1) == T::Ident && !self.breaks_after() => {
                d.help("write `->` before the type of the result")
            }
            T::Colon if wants("`{`") || wants("`=` or") => {
                d.help("blocks stand in braces: `{ … }`")
            }
            T::If if wants("a new line") => d.help("write `if condition { a } else { b }`"),
            T::Str if wants("`,`") && self.text_of(self.previous) == "f" => {
                d.help("write the text without `f`: `{x}` stands in every text")
            }
            T::Ellipsis if wants("a dim") => {
                d.help("give the axes a name: `fn f[S...](x: f32[S..., 3])`")
            }
            T::None if wants("a dim") => d.help("give the size a name: `fn f[B](x: f32[B, 3])`"),
            T::Comma if wants("a new line after a statement") => {
                d.help("a tuple stands in parentheses, a struct has a name before its brace")
            }
            T::Colon if wants("an argument") => d.help("arguments are named with `=`"),
            T::Assign if wants("`{`") => d.help("write `==` to compare"),
            T::Assign if wants("`:`") => d.help("write `:` here; `=` is for arguments of calls"),
            T::EqEq if wants("`=`") => d.help("write `=` here; `==` compares"),
            T::FatArrow => d.help("write `=` before the body of a function, `->` before its type"),
            T::Dot if wants("an expression") && self.kind(1) == T::Int => {
                d.help("a number has a digit before its point too: `0.5`")
            }
            T::Plus if wants("an expression") => d.help("there is no `+` before or after a value"),
            T::Less | T::Greater
                if wants("an expression")
                    && self.previous.end == found.span.start
                    && self.text_of(self.previous) == self.text_of(found.span) =>
            {
                d.help("bits are shifted by powers of two: `x * 2 ** n`, `x / 2 ** n`")
            }
            T::Semi if wants("`,`") => d.help("write `,` here"),
            T::Less if wants("`(`") => d.help("generic arguments stand in square brackets"),
            T::Ident | T::Str | T::Int | T::Float if wants("`,`") => {
                d.help("a comma is missing before it")
            }
            T::DotDot if wants("a new line") => d.help("a range stands after `in` only"),
            T::Eof if wants("`{`") || wants("`=`") => d.help("the file ends too early"),
            T::RBrace if wants("an expression") => d.help("the value is missing before it"),
            T::LBrace if wants("a new line") && !self.structs => {
                d.help("a struct literal needs parentheses around it here")
            }
            _ => d,
        }
    }
}
