//! Makes the brackets of a token stream balanced, reporting those that are not.
//!
//! Invariant of the result: every opening bracket has its closing one, properly nested. Brackets
//! that were missing are there as synthetic tokens of no width, at which the parser reports
//! nothing; those that close nothing are gone. So one missing bracket is one message, and the
//! parser can skip what it does not understand without losing its place.
//!
//! Where a bracket is missing is guessed from the words that cannot stand inside one (`let` inside
//! parentheses, an item inside braces) and from the indentation.

use super::token::{Token, TokenKind};
use crate::diag::{Diagnostic, Diagnostics, Span, codes};

/// The tokens of `text` with balanced brackets; the text is looked at for names only.
pub fn balance(tokens: Vec<Token>, text: &str, diagnostics: &mut Diagnostics) -> Vec<Token> {
    let mut balancer = Balancer { out: Vec::with_capacity(tokens.len()), ..Balancer::default() };
    for (i, &token) in tokens.iter().enumerate() {
        if token.first_on_line {
            let keep = balancer.keep_before(&tokens[i..], text);
            if let Some(first) = balancer.open.get(keep).copied() {
                let innermost = balancer.open[balancer.open.len() - 1];
                let blame = if innermost.kind == TokenKind::LBrace { first } else { innermost };
                diagnostics.push(balancer.unclosed(blame, token.span));
                balancer.close_down_to(keep);
            }
        }
        let next = tokens.get(i + 1).map_or(TokenKind::Eof, |t| t.kind);
        balancer.step(token, next, diagnostics);
    }
    balancer.out
}

/// The state of [`balance`].
#[derive(Default)]
struct Balancer {
    /// The balanced tokens so far, but for what is open.
    out: Vec<Token>,
    /// The opening brackets not closed yet.
    open: Vec<Token>,
    /// The first `{` whose `}` stands in another column than its line, and that `}`.
    suspicious: Option<(Token, Token)>,
}

impl Balancer {
    /// How many of the open brackets can stay open where these tokens start a line.
    fn keep_before(&self, tokens: &[Token], text: &str) -> usize {
        let (token, all) = (tokens[0], self.open.len());
        let is_brace = |t: &&Token| t.kind == TokenKind::LBrace;
        if starts_item(tokens, text) {
            // An item does not stand inside anything; a deeper one is left to the parser's message.
            return self.open.iter().take_while(|t| t.indent < token.indent).count();
        }
        if starts_statement(tokens) {
            return all - self.open.iter().rev().take_while(|t| !is_brace(t)).count();
        }
        let after_brace = self.out.last().is_some_and(|t| t.kind == TokenKind::RBrace);
        if token.kind == TokenKind::Else && !after_brace {
            // The block before an `else` is that of a line with the same indentation.
            let same = |t: &Token| t.kind == TokenKind::LBrace && t.indent == token.indent;
            return self.open.iter().rposition(same).unwrap_or(all);
        }
        all
    }

    /// Takes one token over, with what must come before it.
    fn step(&mut self, token: Token, next: TokenKind, diagnostics: &mut Diagnostics) {
        if token.kind.closer().is_some() {
            self.open.push(token);
        } else if token.kind.is_closer() {
            let matching = self.open.iter().rposition(|o| o.kind.closer() == Some(token.kind));
            match (matching, self.open.last().copied()) {
                (Some(at), Some(innermost)) => {
                    if at + 1 < self.open.len() {
                        diagnostics.push(self.unclosed(innermost, token.span));
                        self.close_down_to(at + 1);
                    }
                    self.watch_indentation(self.open[at], token);
                    self.open.truncate(at);
                }
                (None, Some(innermost))
                    if innermost.kind != TokenKind::LBrace
                        && token.kind != TokenKind::RBrace
                        && innermost.kind.closer() != Some(next) =>
                {
                    let expected = innermost.kind.closer().unwrap_or(token.kind);
                    let message = format!(
                        "expected {}, found {}",
                        expected.describe(),
                        token.kind.describe()
                    );
                    let d = Diagnostic::error(codes::MISMATCHED, token.span, message);
                    diagnostics.push(d.label(innermost.span, "to close this"));
                    self.open.pop();
                    self.out.push(Token { kind: expected, ..token });
                    return;
                }
                (None, _) => {
                    let message = format!("this {} closes nothing", token.kind.describe());
                    diagnostics.push(Diagnostic::error(codes::MISMATCHED, token.span, message));
                    return;
                }
                (Some(_), None) => unreachable!("a bracket was found in an empty stack"),
            }
        } else if token.kind == TokenKind::Eof
            && let Some(&innermost) = self.open.last()
        {
            diagnostics.push(self.unclosed(innermost, token.span));
            self.close_down_to(0);
        }
        self.out.push(token);
    }

    /// Closes all open brackets but the first `keep`, after the last token.
    fn close_down_to(&mut self, keep: usize) {
        while self.open.len() > keep {
            let (Some(open), Some(&last)) = (self.open.pop(), self.out.last()) else { return };
            let Some(kind) = open.kind.closer() else { continue };
            let span = Span { start: last.span.end, ..last.span };
            self.out.push(Token { kind, span, first_on_line: false, synthetic: true, ..last });
        }
    }

    /// Remembers a pair of braces that the indentation says is none.
    fn watch_indentation(&mut self, open: Token, close: Token) {
        let brace = close.kind == TokenKind::RBrace && close.first_on_line;
        if brace && close.indent < open.indent && self.suspicious.is_none() {
            self.suspicious = Some((open, close));
        }
    }

    /// The message that `open` has no end where `found` stands.
    fn unclosed(&self, open: Token, found: Span) -> Diagnostic {
        let message = format!("this {} is never closed", open.kind.describe());
        let d = Diagnostic::error(codes::UNCLOSED, open.span, message);
        let closer = open.kind.closer().map_or("", TokenKind::describe);
        match self.suspicious {
            Some((open, close)) if open.kind == TokenKind::LBrace => d
                .label(open.span, "the indentation says that this one is not closed either,")
                .label(close.span, "and that this `}` was meant for another"),
            _ => d.label(found, format!("{closer} was expected before this")),
        }
    }
}

/// Whether a line that starts with these tokens starts a statement, wherever it stands.
fn starts_statement(tokens: &[Token]) -> bool {
    use TokenKind::{Break, Continue, For, In, Let, Var, While};
    match tokens[0].kind {
        Let | Var | While | Break | Continue => true,
        For => tokens.get(2).is_some_and(|t| t.kind == In),
        _ => false,
    }
}

/// Whether an item starts with the first of these tokens.
pub(super) fn starts_item(tokens: &[Token], text: &str) -> bool {
    use TokenKind as T;
    let Some(first) = tokens.first() else { return false };
    let kind = |i: usize| tokens.get(i).map_or(T::Eof, |t| t.kind);
    match first.kind {
        T::Import | T::Struct => true,
        T::Fn => kind(1) == T::Ident,
        T::Ident => match text.get(first.span.start as usize..first.span.end as usize) {
            Some("main") => kind(1) == T::LBrace,
            Some("test") => kind(1) == T::Str || (kind(1) == T::Ident && kind(2) == T::LParen),
            Some("input") => kind(1) == T::Ident && kind(2) == T::Colon,
            _ => false,
        },
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::SourceId;
    use crate::syntax::lex::lex;

    /// The balanced text, synthetic brackets marked by `'`, and the messages.
    fn balanced(text: &str) -> String {
        let mut diagnostics = Diagnostics::default();
        let tokens = lex(SourceId(0), text, 0, &mut diagnostics).tokens;
        let mut out = String::new();
        for t in balance(tokens, text, &mut diagnostics) {
            match t.synthetic {
                true => out.push_str(&format!("{}'", t.kind.describe().trim_matches('`'))),
                false if t.kind.is_closer() => out.push_str(t.kind.describe().trim_matches('`')),
                false => out.push_str(&text[t.span.start as usize..t.span.end as usize]),
            }
        }
        for d in diagnostics.iter() {
            out.push_str(&format!(" | {}", d.message));
        }
        out
    }

    #[test]
    fn balanced_text_is_left_alone() {
        assert_eq!(balanced("f(a[1],{b})"), "f(a[1],{b})");
    }

    #[test]
    fn missing_brackets_are_added_where_they_can_be_guessed() {
        assert_eq!(balanced("{f(a[1}"), "{f(a[1]')'} | this `[` is never closed");
        assert_eq!(balanced("{let x=f(a\nlet y}"), "{letx=f(a)'lety} | this `(` is never closed");
        assert_eq!(
            balanced("fn f() {\n  if c {\n    a\n}\nfn g() {}"),
            "fnf(){ifc{a}}'fng(){} | this `{` is never closed"
        );
    }

    #[test]
    fn a_block_ends_before_else() {
        assert_eq!(
            balanced("fn f() {\n  if c {\n    a\n  else {\n    b\n  }\n}"),
            "fnf(){ifc{a}'else{b}} | this `{` is never closed"
        );
    }

    #[test]
    fn wrong_brackets_are_replaced_or_dropped() {
        assert_eq!(balanced("f(])"), "f() | this `]` closes nothing");
        assert_eq!(balanced("f(a]"), "f(a) | expected `)`, found `]`");
        assert_eq!(balanced("a)}"), "a | this `)` closes nothing | this `}` closes nothing");
    }
}
