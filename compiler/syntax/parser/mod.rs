//! From words to the tree: recursive descent, with precedence climbing for operators.
//!
//! The grammar is in `spec/language.md`. Each construct is one function that reads it from the
//! current token on; one file a level: `item`, `ty`, `stmt`, `expr`, `string`. What people of other
//! languages write by habit is recognised in `mistakes`.
//!
//! **Newlines.** A statement ends with its line. It goes on where the line cannot be complete
//! (inside parentheses and square brackets, after an operator or a comma), and where the next line
//! starts with what cannot start a statement: a binary operator, `.`, `as` or `else`. A minus sign
//! could be either: `- b` with a blank after it continues, `-b` starts.
//!
//! **Recovery.** A function that cannot go on has reported why and returns [`Failed`]. Lists,
//! blocks and files catch it, skip to the next element, statement or item, and go on; brackets are
//! balanced beforehand (`delimiters`), so skipping never loses its place.
//!
//! **Depth.** Both the recursion of the parser and the height of the tree are bounded, so that no
//! text can exhaust the stack of anything that walks the tree.

mod expr;
mod item;
mod mistakes;
mod stmt;
mod string;
mod ty;

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

pub(super) use expr::{level, level_of};
pub(super) use ty::BOUNDS;

use super::ast::{File, Ident, Trivia, TriviaKind};
use super::delimiters::balance;
use super::lex::{MAX_MESSAGES, lex};
use super::token::{Token, TokenKind};
use crate::diag::{Code, Diagnostic, Diagnostics, SourceId, Span, codes};

/// Reads a source. The file is complete where the diagnostics hold no error.
pub fn parse(source: SourceId, text: &str) -> (File, Diagnostics) {
    let mut diagnostics = Diagnostics::default();
    let lexed = lex(source, text, 0, &mut diagnostics);
    let tokens = balance(lexed.tokens, text, &mut diagnostics);
    let mut parser = Parser {
        text,
        tokens,
        at: 0,
        previous: Span::new(source, 0, 0),
        trivia: lexed.trivia.into_iter().map(Some).collect(),
        newlines: true,
        structs: true,
        strings: 0,
        depth: 0,
        tallest: 0,
        aborted: false,
        diagnostics,
    };
    let items = parser.items();
    let trivia = parser.trivia.into_iter().flatten().collect();
    let file = File { items, trivia, span: Span::new(source, 0, text.len()) };
    // The lexer and the brackets have been first; a reader goes from top to bottom.
    let mut found: Vec<Diagnostic> = parser.diagnostics.into_iter().collect();
    found.sort_by_key(|d| d.primary.as_ref().map(|label| label.span.start));
    let mut diagnostics = Diagnostics::default();
    diagnostics.extend(found);
    (file, diagnostics)
}

/// How deep brackets, blocks, prefix operators and the like can nest.
const MAX_DEPTH: usize = 128;

/// How tall a tree can get; a sum of `n` terms is a tree of height `n`.
const MAX_HEIGHT: usize = 256;

/// What could not be read has been reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Failed;

/// What was read, if it could be.
type Parsed<T> = Result<T, Failed>;

/// A text on its way to become a tree.
struct Parser<'a> {
    /// All of the source.
    text: &'a str,
    /// Balanced, the last is `Eof`.
    tokens: Vec<Token>,
    /// The current token.
    at: usize,
    /// The place of the token before it.
    previous: Span,
    /// Comments and blank lines; documentation is taken out where it belongs to something.
    trivia: Vec<Option<Trivia>>,
    /// Whether a newline ends what is being read.
    newlines: bool,
    /// Whether `Name {` is a struct literal here: not before the block of an `if` or a loop.
    structs: bool,
    /// How many interpolations are around the current token.
    strings: usize,
    /// How deep the recursion is.
    depth: usize,
    /// The height of the tallest tree read since the innermost [`Parser::nested`] began.
    tallest: usize,
    /// Whether the depth was exceeded: the rest of the text is not read.
    aborted: bool,
    diagnostics: Diagnostics,
}

// Looking at tokens and taking them.
impl<'a> Parser<'a> {
    /// The current token.
    fn peek(&self) -> Token {
        self.tokens[self.at]
    }

    /// The kind of the token `n` after the current one.
    fn kind(&self, n: usize) -> TokenKind {
        self.tokens.get(self.at + n).map_or(TokenKind::Eof, |t| t.kind)
    }

    /// Whether the current token is of this kind.
    fn is(&self, kind: TokenKind) -> bool {
        self.peek().kind == kind
    }

    /// Whether the current token is this word, which is a name elsewhere.
    fn is_word(&self, word: &str) -> bool {
        self.is(TokenKind::Ident) && self.text_of(self.peek().span) == word
    }

    /// Whether the token `n` after the current one is on the same line, where lines matter.
    fn same_line(&self, n: usize) -> bool {
        let next = (self.at + 1..=self.at + n).map(|i| self.tokens.get(i));
        !self.newlines || next.flatten().all(|t| !t.first_on_line)
    }

    /// Whether the current token starts a new line, where lines matter.
    fn at_new_line(&self) -> bool {
        self.newlines && self.peek().first_on_line
    }

    /// What a span covers.
    fn text_of(&self, span: Span) -> &'a str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or("")
    }

    /// Takes the current token; the last one stays.
    fn bump(&mut self) -> Token {
        let token = self.peek();
        if token.kind != TokenKind::Eof {
            self.at += 1;
            self.previous = token.span;
        }
        token
    }

    /// Takes the current token if it is of this kind.
    fn eat(&mut self, kind: TokenKind) -> bool {
        let found = self.is(kind);
        if found {
            self.bump();
        }
        found
    }

    /// Takes a token of this kind, or reports that `what` was expected.
    fn expect(&mut self, kind: TokenKind, what: &str) -> Parsed<Token> {
        match self.is(kind) {
            true => Ok(self.bump()),
            false => Err(self.unexpected(what)),
        }
    }

    /// Takes a name.
    fn ident(&mut self, what: &str) -> Parsed<Ident> {
        let token = self.peek();
        if token.kind.is_reserved() && !self.at_new_line() {
            let word = token.kind.describe();
            let message = format!("{word} is a word of the language; expected {what}");
            return Err(self.fail(codes::RESERVED_WORD, token.span, message));
        }
        let token = self.expect(TokenKind::Ident, what)?;
        Ok(Ident { name: self.text_of(token.span).to_string(), span: token.span })
    }

    /// From the start of `first` to the token before the current one.
    fn since(&self, first: Span) -> Span {
        Span { end: self.previous.end.max(first.start), ..first }
    }

    /// The `///` lines right before the current token, taken out of the trivia.
    fn docs(&mut self) -> Vec<String> {
        let start = self.peek().span.start;
        let after = self.trivia.partition_point(|t| {
            // Places that were taken out have been before an earlier token.
            t.as_ref().is_none_or(|t| t.span.start < start)
        });
        let mut first = after;
        while first > 0
            && let Some(Trivia { kind: TriviaKind::OwnLine(text), span }) = &self.trivia[first - 1]
            && doc_text(text).is_some()
            && span.start >= self.previous.end
        {
            first -= 1;
        }
        let taken = self.trivia[first..after].iter_mut().filter_map(Option::take);
        taken
            .filter_map(|t| match t.kind {
                TriviaKind::OwnLine(text) => doc_text(&text).map(str::to_string),
                TriviaKind::Trailing(_) | TriviaKind::BlankLine | TriviaKind::Opened => None,
            })
            .collect()
    }
}

/// What a documentation comment says.
fn doc_text(comment: &str) -> Option<&str> {
    let text = comment.strip_prefix("///")?;
    match text.starts_with('/') {
        true => None,
        false => Some(text.strip_prefix(' ').unwrap_or(text)),
    }
}

// Reporting and recovering.
impl Parser<'_> {
    /// Reports a message, unless one about the same place has been reported in other words.
    fn report(&mut self, d: Diagnostic) {
        if !self.aborted {
            self.diagnostics.push(d);
        }
        if self.diagnostics.len() >= MAX_MESSAGES {
            self.abort();
        }
    }

    /// Reports a mistake that cannot be read over.
    fn fail(&mut self, code: Code, span: Span, message: impl Into<String>) -> Failed {
        self.report(Diagnostic::error(code, span, message));
        Failed
    }

    /// Reports that something else was expected than the current token.
    fn unexpected(&mut self, expected: &str) -> Failed {
        let token = self.peek();
        // Both have been reported by whoever put them there.
        if token.synthetic || token.kind == TokenKind::Unknown {
            return Failed;
        }
        let d = self.foreign_word().unwrap_or_else(|| {
            let found = match token.kind {
                TokenKind::Ident | TokenKind::Int | TokenKind::Float => {
                    format!("`{}`", self.text_of(token.span))
                }
                kind => kind.describe().to_string(),
            };
            let message = format!("expected {expected}, found {found}");
            let d = Diagnostic::error(codes::UNEXPECTED, token.span, message);
            self.mistake(expected, d)
        });
        self.report(d);
        Failed
    }

    /// Stops reading: the rest is taken for the end.
    fn abort(&mut self) {
        self.aborted = true;
        self.at = self.tokens.len() - 1;
    }

    /// Skips to what `stop` accepts, over whole brackets; to a closing bracket or the end at last.
    fn skip_to(&mut self, stop: impl Fn(&Self) -> bool) {
        let mut open = 0usize;
        while !self.is(TokenKind::Eof) {
            let kind = self.peek().kind;
            if open == 0 && (kind.is_closer() || stop(self)) {
                return;
            }
            if kind.closer().is_some() {
                open += 1;
            } else if kind.is_closer() {
                open -= 1;
            }
            self.bump();
        }
    }

    /// After a failure with `since` the first token not understood: leaves the brackets that were
    /// entered from there on.
    fn leave_brackets(&mut self, since: usize) {
        let entered = self.tokens[since.min(self.at)..self.at].iter();
        let mut open = 0usize;
        for t in entered {
            if t.kind.closer().is_some() {
                open += 1;
            } else if t.kind.is_closer() {
                open = open.saturating_sub(1);
            }
        }
        for _ in 0..open {
            self.skip_to(|_| false);
            self.bump();
        }
    }

    /// The elements between an opening bracket, which was taken, and its closing one, which is
    /// taken as well. An element that cannot be read is reported and left out.
    fn list<T>(
        &mut self,
        close: TokenKind,
        what: &str,
        mut element: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> (Vec<T>, bool) {
        let (newlines, structs) = (self.newlines, self.structs);
        (self.newlines, self.structs) = (false, true);
        let mut elements = Vec::new();
        let mut comma = false;
        while !self.is(close) && !self.is(TokenKind::Eof) {
            let start = self.at;
            let read = element(self);
            let failed = match read {
                Ok(element) => {
                    elements.push(element);
                    if self.is(TokenKind::Comma) || self.is(close) {
                        false
                    } else {
                        self.unexpected(&format!("`,` or {} after {what}", close.describe()));
                        true
                    }
                }
                Err(Failed) => true,
            };
            if failed {
                (self.newlines, self.structs) = (false, true);
                self.leave_brackets(start);
                self.skip_to(|p| p.is(TokenKind::Comma));
            }
            comma = self.eat(TokenKind::Comma);
            if !comma && !self.is(close) {
                break;
            }
        }
        self.eat(close);
        (self.newlines, self.structs) = (newlines, structs);
        (elements, comma)
    }

    /// Reads something that can hold others of its kind, one level deeper.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Parsed<T>) -> Parsed<T> {
        if self.depth >= MAX_DEPTH {
            return Err(self.too_deep());
        }
        self.depth += 1;
        let outer = std::mem::take(&mut self.tallest);
        let result = read(self);
        self.depth -= 1;
        let grown = self.grow();
        self.tallest = self.tallest.max(outer);
        grown.and(result)
    }

    /// Counts one more level on top of the tree being read.
    fn grow(&mut self) -> Parsed<()> {
        self.tallest += 1;
        match self.tallest > MAX_HEIGHT {
            true => Err(self.too_deep()),
            false => Ok(()),
        }
    }

    /// Reports that the limits are exceeded, and stops reading.
    fn too_deep(&mut self) -> Failed {
        let span = self.peek().span;
        let d = Diagnostic::error(codes::TOO_DEEP, span, "this is nested too deeply");
        let limits = format!(
            "at most {MAX_DEPTH} brackets inside each other, and {MAX_HEIGHT} operators in a row"
        );
        self.report(d.note(limits).help("give parts of it a name with `let`"));
        self.abort();
        Failed
    }
}
