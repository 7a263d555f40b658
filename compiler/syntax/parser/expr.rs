//! Expressions: operators by precedence climbing, then what they stand between.

use super::{Failed, Parsed, Parser};
use crate::diag::{Diagnostic, codes};
use crate::syntax::ast::{
    Arg, BinaryOp, Expr, ExprKind, FieldInit, Ident, IndexArg, IndexBinder, ReduceOp, ScanState,
    UnaryOp,
};
use crate::syntax::token::{Token, TokenKind as T};

/// How tightly the operators bind, loosest first. Comparisons bind tighter than `&`, `^` and `|`,
/// so that `a > 0 & b < 1` means what it says; `**` binds tighter than a minus on its left.
pub(in crate::syntax) mod level {
    /// `|`
    pub const OR: u8 = 1;
    /// `^`
    pub const XOR: u8 = 2;
    /// `&`
    pub const AND: u8 = 3;
    /// `==` and the like, which do not chain
    pub const COMPARE: u8 = 4;
    /// `+ -`
    pub const ADD: u8 = 5;
    /// `* / % @`
    pub const MUL: u8 = 6;
    /// `as`
    pub const AS: u8 = 7;
    /// `-x !x`
    pub const UNARY: u8 = 8;
    /// `**`, whose operand on the right is at the level of `UNARY`
    pub const POW: u8 = 9;
    /// Calls, indices, members.
    pub const POSTFIX: u8 = 10;
}

/// The operators between expressions.
const OPERATORS: &[(T, BinaryOp)] = &[
    (T::Or, BinaryOp::Or),
    (T::OrOr, BinaryOp::Or),
    (T::Caret, BinaryOp::Xor),
    (T::And, BinaryOp::And),
    (T::AndAnd, BinaryOp::And),
    (T::EqEq, BinaryOp::Eq),
    (T::NotEq, BinaryOp::Ne),
    (T::Less, BinaryOp::Lt),
    (T::LessEq, BinaryOp::Le),
    (T::Greater, BinaryOp::Gt),
    (T::GreaterEq, BinaryOp::Ge),
    (T::Plus, BinaryOp::Add),
    (T::Minus, BinaryOp::Sub),
    (T::Star, BinaryOp::Mul),
    (T::Slash, BinaryOp::Div),
    (T::Percent, BinaryOp::Rem),
    (T::At, BinaryOp::MatMul),
    (T::StarStar, BinaryOp::Pow),
];

/// The level of an operator.
pub(in crate::syntax) const fn level_of(op: BinaryOp) -> u8 {
    use BinaryOp as B;
    match op {
        B::Or => level::OR,
        B::Xor => level::XOR,
        B::And => level::AND,
        B::Eq | B::Ne | B::Lt | B::Le | B::Gt | B::Ge => level::COMPARE,
        B::Add | B::Sub => level::ADD,
        B::Mul | B::Div | B::Rem | B::MatMul => level::MUL,
        B::Pow => level::POW,
    }
}

impl Parser<'_> {
    /// An expression.
    pub(super) fn expr(&mut self) -> Parsed<Expr> {
        self.binary(level::OR)
    }

    /// Operands between operators of at least this level.
    fn binary(&mut self, least: u8) -> Parsed<Expr> {
        self.nested(|p| p.binary_chain(least))
    }

    fn binary_chain(&mut self, least: u8) -> Parsed<Expr> {
        let mut left = self.unary()?;
        loop {
            let token = self.peek();
            if token.kind == T::As && least <= level::AS {
                self.bump();
                let ty = self.ty()?;
                let span = left.span.to(ty.span);
                left = Expr::new(ExprKind::As { value: Box::new(left), ty }, span);
            } else {
                let found = OPERATORS.iter().find(|(kind, _)| *kind == token.kind);
                let Some(&(_, op)) = found.filter(|_| self.continues_line()) else {
                    return Ok(left);
                };
                if level_of(op) < least {
                    return Ok(left);
                }
                self.check_operator(token, op, &left);
                self.bump();
                let right = match op {
                    BinaryOp::Pow => self.binary(level::UNARY)?,
                    _ => self.binary(level_of(op) + 1)?,
                };
                let span = left.span.to(right.span);
                let (left_box, right) = (Box::new(left), Box::new(right));
                let op_span = token.span;
                left = Expr::new(ExprKind::Binary { op, op_span, left: left_box, right }, span);
            }
            self.grow()?;
        }
    }

    /// Whether the operator at the current token belongs to the expression before it. All do, even
    /// at the start of a line, but for a minus sign that is written as a prefix.
    pub(super) fn continues_line(&self) -> bool {
        let token = self.peek();
        let tight = || {
            let next = self.tokens.get(self.at + 1);
            next.is_some_and(|next| next.span.start == token.span.end)
        };
        !(self.at_new_line() && token.kind == T::Minus && tight())
    }

    /// Reports operators of other languages, and comparisons in a row.
    fn check_operator(&mut self, token: Token, op: BinaryOp, left: &Expr) {
        if matches!(token.kind, T::AndAnd | T::OrOr) {
            let message = format!("{} is written `{}`", token.kind.describe(), op.symbol());
            self.report(Diagnostic::error(codes::FOREIGN_OPERATOR, token.span, message));
        }
        let ExprKind::Binary { op: first, op_span, .. } = &left.kind else { return };
        if op.is_comparison() && first.is_comparison() {
            let d = Diagnostic::error(
                codes::CHAINED_COMPARISON,
                token.span,
                "comparisons do not chain",
            );
            self.report(d.label(*op_span, "the first one").help("write `a < b & b < c`"));
        }
    }

    /// `-x`, `!x`, or what stands without a prefix.
    fn unary(&mut self) -> Parsed<Expr> {
        let first = self.peek();
        let op = match first.kind {
            T::Minus => UnaryOp::Neg,
            T::Bang => UnaryOp::Not,
            _ => return self.postfix(),
        };
        self.bump();
        if op == UnaryOp::Neg
            && let Some(smallest) = self.smallest_int(first.span)
        {
            return Ok(smallest);
        }
        let operand = Box::new(self.binary(level::UNARY)?);
        let span = self.since(first.span);
        Ok(Expr::new(ExprKind::Unary { op, operand }, span))
    }

    /// Something, and the calls, indices and members after it.
    fn postfix(&mut self) -> Parsed<Expr> {
        let first = self.peek().span;
        let mut base = self.primary()?;
        loop {
            let here = !self.at_new_line();
            let kind = match self.peek().kind {
                T::LParen if here => {
                    self.bump();
                    ExprKind::Call { callee: Box::new(base), args: self.args() }
                }
                T::LBracket if here => {
                    self.bump();
                    if self.is(T::RBracket) {
                        return Err(self.unexpected("an index"));
                    }
                    let (args, _) = self.list(T::RBracket, "an index", Self::index_arg);
                    ExprKind::Index { base: Box::new(base), args }
                }
                T::Dot => {
                    self.bump();
                    let names = self.members(match base.kind {
                        ExprKind::Int { .. } => "a digit after the point",
                        _ => "the name of a member after the dot",
                    })?;
                    for name in names {
                        let span = first.to(name.span);
                        base = Expr::new(ExprKind::Field { base: Box::new(base), name }, span);
                        self.grow()?;
                    }
                    continue;
                }
                T::LBrace if here && self.structs && self.at_struct_fields() => {
                    match base.as_path() {
                        Some(path) => self.struct_literal(path)?,
                        None => return Ok(base),
                    }
                }
                _ => return Ok(base),
            };
            base = Expr::new(kind, self.since(first));
            self.grow()?;
        }
    }

    /// What stands after a dot: a name, or the number of a tuple's member. `x.0.1` is two of them,
    /// though its last three characters look like a number.
    fn members(&mut self, expected: &str) -> Parsed<Vec<Ident>> {
        let token = self.peek();
        let text = self.text_of(token.span);
        let digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
        match token.kind {
            T::Int if digits(text) => {
                self.bump();
                Ok(vec![Ident { name: text.to_string(), span: token.span }])
            }
            T::Float => match text.split_once('.') {
                Some((a, b)) if digits(a) && digits(b) => {
                    self.bump();
                    let (mut first, mut second) = (token.span, token.span);
                    first.end = first.start + a.len() as u32;
                    second.start = first.end + 1;
                    let ident = |name: &str, span| Ident { name: name.to_string(), span };
                    Ok(vec![ident(a, first), ident(b, second)])
                }
                _ => Err(self.unexpected(expected)),
            },
            _ => Ok(vec![self.ident(expected)?]),
        }
    }

    /// The arguments of a call, whose `(` was taken.
    pub(super) fn args(&mut self) -> Vec<Arg> {
        let mut named: Option<Ident> = None;
        let (args, _) = self.list(T::RParen, "an argument", |p| {
            let first = p.peek().span;
            let name = match p.kind(1) {
                T::Assign if p.is(T::Ident) => {
                    let name = p.ident("a name")?;
                    p.bump();
                    Some(name)
                }
                _ => None,
            };
            let value = p.expr()?;
            let span = p.since(first);
            match (&name, &named) {
                (Some(name), _) => named = Some(name.clone()),
                (None, Some(earlier)) => {
                    let d = Diagnostic::error(
                        codes::ARGUMENT_ORDER,
                        span,
                        "arguments without a name come before those with one",
                    );
                    p.report(d.label(earlier.span, "this one has a name"));
                }
                (None, None) => {}
            }
            Ok(Arg { name, value, span })
        });
        args
    }

    /// What stands for an axis in an index.
    fn index_arg(&mut self) -> Parsed<IndexArg> {
        let first = self.peek().span;
        match self.peek().kind {
            T::Ellipsis => return Ok(IndexArg::Ellipsis(self.bump().span)),
            T::None => return Ok(IndexArg::NewAxis(self.bump().span)),
            _ => {}
        }
        let part = |p: &mut Self| match p.peek().kind {
            T::Colon | T::Comma | T::RBracket => Ok(None),
            _ => p.expr().map(|e| Some(Box::new(e))),
        };
        let start = match self.peek().kind {
            T::Colon => None,
            _ => Some(self.expr()?),
        };
        if !self.is(T::Colon) {
            // There is no start only where a colon stands.
            return start.map(IndexArg::Expr).ok_or(Failed);
        }
        self.bump();
        let start = start.map(Box::new);
        let stop = part(self)?;
        let step = match self.eat(T::Colon) {
            true => part(self)?,
            false => None,
        };
        Ok(IndexArg::Slice { start, stop, step, span: self.since(first) })
    }

    /// Whether the brace at the current token opens the fields of a struct literal.
    fn at_struct_fields(&self) -> bool {
        match self.kind(1) {
            T::RBrace | T::DotDot => true,
            T::Ident => matches!(self.kind(2), T::Colon | T::Comma | T::RBrace),
            _ => false,
        }
    }

    /// The fields of a struct literal, braces included.
    fn struct_literal(&mut self, path: crate::syntax::ast::Path) -> Parsed<ExprKind> {
        self.bump();
        let mut rest = None;
        let (fields, _) = self.list(T::RBrace, "a field", |p| {
            if let T::DotDot = p.peek().kind {
                p.bump();
                rest = Some(Box::new(p.expr()?));
                return Ok(None);
            }
            let name = p.ident("the name of a field")?;
            let value = match p.eat(T::Colon) {
                true => p.expr()?,
                false if p.is(T::Assign) => return Err(p.unexpected("`:` and a value")),
                false => Expr::new(ExprKind::Name(name.name.clone()), name.span),
            };
            if rest.is_some() {
                let message = "`..` and the rest come last";
                p.fail(codes::UNEXPECTED, name.span, message);
            }
            Ok(Some(FieldInit { name, value }))
        });
        let fields = fields.into_iter().flatten().collect();
        Ok(ExprKind::Struct { path, fields, rest })
    }

    /// What operators and postfixes are applied to.
    fn primary(&mut self) -> Parsed<Expr> {
        let token = self.peek();
        let kind = match token.kind {
            T::Int | T::Float => self.number()?,
            T::Str => {
                self.bump();
                ExprKind::Str(self.string_parts(token)?)
            }
            T::True | T::False => {
                self.bump();
                ExprKind::Bool(token.kind == T::True)
            }
            T::Ident => match self.reduction()? {
                Some(reduction) => reduction,
                None => {
                    let name = self.ident("an expression")?;
                    match self.is(T::Ellipsis) && !self.at_new_line() {
                        true => {
                            self.bump();
                            ExprKind::Spread(name)
                        }
                        false => ExprKind::Name(name.name),
                    }
                }
            },
            T::LParen => {
                self.bump();
                let (mut members, comma) = self.list(T::RParen, "an expression", Self::expr);
                match members.len() {
                    1 if !comma => ExprKind::Paren(Box::new(members.remove(0))),
                    _ => ExprKind::Tuple(members),
                }
            }
            T::LBracket => {
                self.bump();
                ExprKind::Array(self.list(T::RBracket, "an element", Self::expr).0)
            }
            T::LBrace => ExprKind::Block(self.block("`{`")?),
            T::If => self.if_expr()?,
            T::Fn => self.lambda()?,
            T::Scan => self.scan()?,
            T::For => {
                self.bump();
                let indices = self.binders()?;
                ExprKind::Comprehension { indices, body: Box::new(self.expr()?) }
            }
            T::None => {
                self.bump();
                ExprKind::None
            }
            T::Ellipsis => {
                let message = format!("{} stands in an index only", token.kind.describe());
                return Err(self.fail(codes::UNEXPECTED, token.span, message));
            }
            _ => return Err(self.unexpected("an expression")),
        };
        Ok(Expr::new(kind, self.since(token.span)))
    }

    /// `if c { a } else { b }`
    fn if_expr(&mut self) -> Parsed<ExprKind> {
        self.bump();
        let cond = Box::new(self.header_expr()?);
        let then = self.block("`{` after the condition")?;
        let mut otherwise = None;
        if self.eat(T::Else) {
            let first = self.peek().span;
            let kind = match self.peek().kind {
                T::If => self.nested(Self::if_expr)?,
                _ => ExprKind::Block(self.block("`{` or `if` after `else`")?),
            };
            otherwise = Some(Box::new(Expr::new(kind, self.since(first))));
        }
        Ok(ExprKind::If { cond, then, otherwise })
    }

    /// `fn(x) = body`
    fn lambda(&mut self) -> Parsed<ExprKind> {
        self.bump();
        self.expect(T::LParen, "`(` and the parameters")?;
        let (params, _) = self.list(T::RParen, "a parameter", |p| p.param(false));
        let ret = self.result_type()?;
        let body = match self.peek().kind {
            T::LBrace => {
                let block = self.block("`{`")?;
                let span = block.span;
                Expr::new(ExprKind::Block(block), span)
            }
            _ => {
                self.expect(T::Assign, "`=` or `{` and the body of the function")?;
                self.expr()?
            }
        };
        Ok(ExprKind::Lambda { params, ret, body: Box::new(body) })
    }

    /// `scan x in xs with h = h0 { … }`
    fn scan(&mut self) -> Parsed<ExprKind> {
        self.bump();
        let pattern = self.pattern()?;
        self.expect(T::In, "`in` and what the scan goes through")?;
        let iter = Box::new(self.iter()?);
        let mut state = None;
        if self.is_word("with") {
            self.bump();
            let pattern = self.pattern()?;
            self.expect(T::Assign, "`=` and the first value of the state")?;
            state = Some(Box::new(ScanState { pattern, init: self.header_expr()? }));
        }
        let body = self.block("`with` and the state, or `{` and a step of the scan")?;
        Ok(ExprKind::Scan { pattern, iter, state, body })
    }

    /// `sum k: body`, if that is what starts here: two names in a row are nothing else.
    fn reduction(&mut self) -> Parsed<Option<ExprKind>> {
        let token = self.peek();
        let name = self.text_of(token.span);
        let Some(op) = ReduceOp::ALL.into_iter().find(|op| op.name() == name) else {
            return Ok(None);
        };
        let binds = self.kind(1) == T::Ident
            && self.same_line(1)
            && matches!(self.kind(2), T::Colon | T::Comma | T::Less);
        if !binds {
            return Ok(None);
        }
        self.bump();
        let indices = self.binders()?;
        let body = Box::new(self.expr()?);
        Ok(Some(ExprKind::Reduction { op, op_span: token.span, indices, body }))
    }

    /// `i, j < N:`
    fn binders(&mut self) -> Parsed<Vec<IndexBinder>> {
        let mut binders = Vec::new();
        loop {
            let name = self.ident("the name of an index")?;
            let bound = match self.eat(T::Less) {
                true => Some(self.dim()?),
                false => None,
            };
            binders.push(IndexBinder { name, bound });
            if !self.eat(T::Comma) {
                self.expect(T::Colon, "`:` and the body, or `in` and a block")?;
                return Ok(binders);
            }
        }
    }
}
