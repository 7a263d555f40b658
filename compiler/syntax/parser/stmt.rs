//! Blocks, statements and patterns.

use super::{Failed, Parsed, Parser};
use crate::diag::{Diagnostic, codes};
use crate::syntax::ast::{
    BinaryOp, Binding, Block, Expr, ExprKind, Iter, LogEntry, Pattern, PatternKind, Stmt, StmtKind,
};
use crate::syntax::token::TokenKind as T;

impl Parser<'_> {
    /// `{ statements }`; `what` is what a message says was expected where there is no `{`.
    pub(super) fn block(&mut self, what: &str) -> Parsed<Block> {
        let open = self.expect(T::LBrace, what)?.span;
        let outer = (self.newlines, self.structs);
        let result = self.nested(|p| Ok(p.block_rest()));
        (self.newlines, self.structs) = outer;
        let (stmts, value) = result?;
        Ok(Block { stmts, value, span: self.since(open) })
    }

    /// The statements of a block and its closing brace.
    fn block_rest(&mut self) -> (Vec<Stmt>, Option<Box<Expr>>) {
        let mut stmts: Vec<Stmt> = Vec::new();
        let mut dropped = true;
        while !self.is(T::RBrace) && !self.is(T::Eof) {
            (self.newlines, self.structs) = (true, true);
            if self.eat(T::Semi) {
                dropped = true;
                continue;
            }
            let start = self.at;
            match self.stmt().and_then(|s| self.end_of_line("a statement").map(|()| s)) {
                Ok(stmt) => {
                    stmts.push(stmt);
                    dropped = false;
                }
                Err(Failed) => {
                    (self.newlines, self.structs) = (true, true);
                    dropped = true;
                    self.leave_brackets(start);
                    // The token that was not understood may start the next statement.
                    self.skip_to(|p| p.is(T::Semi) || (p.peek().first_on_line && p.at > start));
                }
            }
        }
        self.eat(T::RBrace);
        match stmts.pop() {
            Some(Stmt { kind: StmtKind::Expr(value), .. }) if !dropped => {
                (stmts, Some(Box::new(value)))
            }
            last => {
                stmts.extend(last);
                (stmts, None)
            }
        }
    }

    fn stmt(&mut self) -> Parsed<Stmt> {
        let first = self.peek().span;
        let kind = match self.peek().kind {
            T::Let => self.binding().map(StmtKind::Let),
            T::Var => self.binding().map(StmtKind::Var),
            T::For if matches!(self.kind(1), T::LParen) || self.kind(2) == T::In => {
                self.bump();
                self.for_loop()
            }
            T::While => self.while_loop(),
            T::Break => {
                self.bump();
                Ok(StmtKind::Break)
            }
            T::Continue => {
                self.bump();
                Ok(StmtKind::Continue)
            }
            T::Ident if self.is_log() => self.log(),
            T::Import | T::Struct => Err(self.nested_item()),
            T::Fn if self.kind(1) == T::Ident => Err(self.nested_item()),
            T::Ident if self.is_word("return") && self.kind(1) != T::Assign => {
                let span = self.bump().span;
                let d = Diagnostic::error(codes::FOREIGN_WORD, span, "`return` means nothing here");
                self.report(d.help("the last expression of a block is its value"));
                match self.at_new_line() || self.is(T::RBrace) {
                    true => Err(Failed),
                    false => self.expr().map(StmtKind::Expr),
                }
            }
            _ => self.assignment_or_expr(),
        }?;
        Ok(Stmt { kind, span: self.since(first) })
    }

    /// Reports an item inside a block.
    fn nested_item(&mut self) -> Failed {
        let span = self.peek().span;
        let message = format!("{} stands at the top level only", self.peek().kind.describe());
        let d = Diagnostic::error(codes::UNEXPECTED, span, message);
        self.report(match self.is(T::Fn) {
            true => d.help("write `let f = fn(x) = …`, or move the function out of the block"),
            false => d.help("move it out of the block"),
        });
        Failed
    }

    /// What follows `let` and `var`.
    fn binding(&mut self) -> Parsed<Binding> {
        let keyword = self.bump();
        if self.is_word("mut") && self.kind(1) == T::Ident {
            let d = Diagnostic::error(
                codes::FOREIGN_WORD,
                keyword.span.to(self.peek().span),
                "`let mut` is not a word of the language",
            );
            self.report(d.help("write `var` for a variable that is assigned later"));
            self.bump();
        }
        let pattern = self.pattern()?;
        if self.is(T::Comma) {
            let d = Diagnostic::error(
                codes::UNEXPECTED,
                pattern.span,
                "several names need parentheses around them",
            );
            self.report(d.help("write `let (a, b) = …`"));
            return Err(Failed);
        }
        let ty = match self.eat(T::Colon) {
            true => Some(self.ty()?),
            false => None,
        };
        self.expect(T::Assign, "`=` and a value")?;
        Ok(Binding { pattern, ty, value: self.expr()? })
    }

    /// `a`, `_`, `(a, b)`
    pub(super) fn pattern(&mut self) -> Parsed<Pattern> {
        let first = self.peek().span;
        if self.eat(T::LParen) {
            return self.nested(|p| {
                let (mut inner, comma) = p.list(T::RParen, "a name", Self::pattern);
                // Parentheses around one name are not kept: they mean nothing.
                if inner.len() == 1 && !comma {
                    return Ok(inner.remove(0));
                }
                Ok(Pattern { kind: PatternKind::Tuple(inner), span: p.since(first) })
            });
        }
        let name = self.ident("a name")?;
        let kind = match name.name.as_str() {
            "_" => PatternKind::Wildcard,
            _ => PatternKind::Name(name.name),
        };
        Ok(Pattern { kind, span: name.span })
    }

    /// `pattern in iter { … }`
    fn for_loop(&mut self) -> Parsed<StmtKind> {
        let pattern = self.pattern()?;
        self.expect(T::In, "`in` and what the loop goes through")?;
        let iter = self.iter()?;
        let body = self.block("`{` and the body of the loop")?;
        Ok(StmtKind::For { pattern, iter, body })
    }

    /// `a..b`, or a value to go through; a block follows.
    pub(super) fn iter(&mut self) -> Parsed<Iter> {
        let start = self.header_expr()?;
        if !self.is(T::DotDot) {
            return Ok(Iter::Each(start));
        }
        let dots = self.bump().span;
        if self.is(T::Assign) {
            let span = dots.to(self.bump().span);
            let message = "a range excludes its end, and there is no `..=`";
            let d = Diagnostic::error(codes::FOREIGN_OPERATOR, span, message);
            self.report(d.help("write `a..b + 1` to include `b`"));
        }
        Ok(Iter::Range { start, end: self.header_expr()? })
    }

    /// An expression before a block: `Name {` is not a struct literal in it.
    pub(super) fn header_expr(&mut self) -> Parsed<Expr> {
        let structs = std::mem::replace(&mut self.structs, false);
        let result = self.expr();
        self.structs = structs;
        result
    }

    fn while_loop(&mut self) -> Parsed<StmtKind> {
        self.bump();
        let cond = self.header_expr()?;
        let limit = match self.is_word("limit") {
            true => {
                self.bump();
                Some(self.header_expr()?)
            }
            false => None,
        };
        let body = self.block("`{` and the body of the loop")?;
        Ok(StmtKind::While { cond, limit, body })
    }

    /// Whether a `log` statement starts here, rather than the logarithm.
    fn is_log(&self) -> bool {
        self.is_word("log")
            && self.kind(1) == T::Ident
            && self.kind(2) == T::Assign
            && self.same_line(1)
    }

    fn log(&mut self) -> Parsed<StmtKind> {
        self.bump();
        let mut entries = Vec::new();
        loop {
            let name = self.ident("the name of a column")?;
            self.expect(T::Assign, "`=` and a value")?;
            entries.push(LogEntry { name, value: self.expr()? });
            if !self.eat(T::Comma) {
                return Ok(StmtKind::Log(entries));
            }
        }
    }

    /// `x = e`, `(a, b) = e`, `x += e`, or an expression.
    fn assignment_or_expr(&mut self) -> Parsed<StmtKind> {
        let left = self.expr()?;
        let op = match self.peek().kind {
            T::Assign => None,
            T::AddAssign => Some(BinaryOp::Add),
            T::SubAssign => Some(BinaryOp::Sub),
            T::MulAssign => Some(BinaryOp::Mul),
            T::DivAssign => Some(BinaryOp::Div),
            _ => return Ok(StmtKind::Expr(left)),
        };
        if self.at_new_line() {
            return Ok(StmtKind::Expr(left));
        }
        self.bump();
        let target = self.target(&left);
        let value = self.expr()?;
        Ok(StmtKind::Assign { target: target?, op, value })
    }

    /// The expression on the left of an assignment as a pattern.
    fn target(&mut self, expr: &Expr) -> Parsed<Pattern> {
        let kind = match &expr.kind {
            ExprKind::Name(name) if name == "_" => PatternKind::Wildcard,
            ExprKind::Name(name) => PatternKind::Name(name.clone()),
            ExprKind::Paren(inner) => return self.target(inner),
            ExprKind::Tuple(members) => {
                let members = members.iter().map(|m| self.target(m)).collect::<Parsed<_>>()?;
                PatternKind::Tuple(members)
            }
            _ => {
                let message = "only variables, and tuples of them, can be assigned";
                let mut d = Diagnostic::error(codes::BAD_TARGET, expr.span, message);
                let new = self.new_value(expr, "…".to_string());
                d.help.extend(new.map(|new| format!("make a new value: `{new}`")));
                self.report(d);
                return Err(Failed);
            }
        };
        Ok(Pattern { kind, span: expr.span })
    }

    /// The assignment of a whole variable in which a part of it, `part`, is this value.
    fn new_value(&self, part: &Expr, value: String) -> Option<String> {
        match &part.kind {
            ExprKind::Name(name) => Some(format!("{name} = {value}")),
            ExprKind::Field { base, name } => {
                let (of, name) = (self.text_of(base.span), &name.name);
                self.new_value(base, format!("Name {{ {name}: {value}, ..{of} }}"))
            }
            ExprKind::Index { base, .. } if base.as_path().is_some() => {
                let of = self.text_of(base.span);
                self.new_value(base, format!("where(arange(n) == i, {value}, {of})"))
            }
            _ => None,
        }
    }
}
