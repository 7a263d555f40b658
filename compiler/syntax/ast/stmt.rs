//! Blocks, statements and patterns.

use super::{BinaryOp, Expr, Ident, Type};
use crate::diag::Span;

/// `{ statements; value }`
#[derive(Clone, PartialEq, Debug)]
pub struct Block {
    /// The statements before the value.
    pub stmts: Vec<Stmt>,
    /// The last expression, unless a `;` follows it. The block's value is `()` without one.
    pub value: Option<Box<Expr>>,
    /// Braces included.
    pub span: Span,
}

/// A statement.
#[derive(Clone, PartialEq, Debug)]
pub struct Stmt {
    /// What it is.
    pub kind: StmtKind,
    /// Its place.
    pub span: Span,
}

/// The kinds of [`Stmt`]. Which of them a function's body may hold is the checker's business.
#[derive(Clone, PartialEq, Debug)]
pub enum StmtKind {
    /// `let (l, g) = value`, `let x: f32[3] = value`
    Let(Binding),
    /// `var m = value`: as `let`, and may be assigned.
    Var(Binding),
    /// `x = value`, `(m, opt) = value`, `x += value`
    Assign {
        /// The variables.
        target: Pattern,
        /// `+` in `+=`.
        op: Option<BinaryOp>,
        /// What they become.
        value: Expr,
    },
    /// `for i in a..b { … }`, `for b in batches(…) { … }`
    For {
        /// What each turn binds.
        pattern: Pattern,
        /// What is gone through.
        iter: Iter,
        /// What is done.
        body: Block,
    },
    /// `while c limit 100 { … }`
    While {
        /// Whether to go on.
        cond: Expr,
        /// How many turns there are at most.
        limit: Option<Expr>,
        /// What is done.
        body: Block,
    },
    /// `log loss = l, accuracy = a`
    Log(Vec<LogEntry>),
    /// `break`
    Break,
    /// `continue`
    Continue,
    /// An expression for its effect, or whose value is dropped: `print("…")`.
    Expr(Expr),
}

/// What `let` and `var` bind.
#[derive(Clone, PartialEq, Debug)]
pub struct Binding {
    /// The names.
    pub pattern: Pattern,
    /// The type that was asked for.
    pub ty: Option<Type>,
    /// The value.
    pub value: Expr,
}

/// One `name = value` of a `log` statement.
#[derive(Clone, PartialEq, Debug)]
pub struct LogEntry {
    /// The column's name.
    pub name: Ident,
    /// The value.
    pub value: Expr,
}

/// Names taken from a value.
#[derive(Clone, PartialEq, Debug)]
pub struct Pattern {
    /// What it is.
    pub kind: PatternKind,
    /// Its place.
    pub span: Span,
}

/// The kinds of [`Pattern`].
#[derive(Clone, PartialEq, Debug)]
pub enum PatternKind {
    /// `x`
    Name(String),
    /// `_`
    Wildcard,
    /// `(a, (b, _))`
    Tuple(Vec<Pattern>),
}

/// What a loop goes through.
#[derive(Clone, PartialEq, Debug)]
pub enum Iter {
    /// `a..b`, `b` excluded.
    Range {
        /// The first.
        start: Expr,
        /// One past the last.
        end: Expr,
    },
    /// The members of a value: the rows of a tensor, `batches(…)`.
    Each(Expr),
}
