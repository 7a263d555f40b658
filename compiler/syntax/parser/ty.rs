//! Types, dims, generic parameters and constraints.

use super::{Failed, Parsed, Parser};
use crate::diag::{Diagnostic, Span, codes};
use crate::syntax::ast::{
    Constraint, Dim, DimKind, DimOp, GenericArg, GenericKind, GenericParam, Path, RecordField,
    Relation, Type, TypeKind,
};
use crate::syntax::token::TokenKind as T;

/// The bounds of generic parameters.
pub(in crate::syntax) const BOUNDS: &[(&str, GenericKind)] = &[
    ("float", GenericKind::Float),
    ("int", GenericKind::Int),
    ("number", GenericKind::Number),
    ("dtype", GenericKind::DType),
    ("tree", GenericKind::Tree),
];

impl Parser<'_> {
    /// A type.
    pub(super) fn ty(&mut self) -> Parsed<Type> {
        self.nested(Self::ty_here)
    }

    fn ty_here(&mut self) -> Parsed<Type> {
        let first = self.peek().span;
        let kind = match self.peek().kind {
            T::Ident => {
                let path = self.path("a type")?;
                let args = self.type_args()?;
                TypeKind::Named { path, args }
            }
            T::LParen => {
                self.bump();
                let (mut types, comma) = self.list(T::RParen, "a type", Self::ty);
                match types.len() {
                    1 if !comma => TypeKind::Paren(Box::new(types.remove(0))),
                    _ => TypeKind::Tuple(types),
                }
            }
            T::LBrace => {
                self.bump();
                let (fields, _) = self.list(T::RBrace, "a field", |p| {
                    let name = p.ident("the name of a field")?;
                    p.expect(T::Colon, "`:` and a type")?;
                    Ok(RecordField { name, ty: p.ty()? })
                });
                TypeKind::Record(fields)
            }
            T::Fn => {
                self.bump();
                self.expect(T::LParen, "`(` and the types of the parameters")?;
                let (params, _) = self.list(T::RParen, "a type", Self::ty);
                self.expect(T::Arrow, "`->` and the type of the result")?;
                TypeKind::Fn { params, ret: Box::new(self.ty()?) }
            }
            _ => return Err(self.unexpected("a type")),
        };
        Ok(Type { kind, span: self.since(first) })
    }

    /// `a.b.c`
    pub(super) fn path(&mut self, what: &str) -> Parsed<Path> {
        let head = self.ident(what)?;
        let first = head.span;
        let mut segments = vec![head];
        while self.is(T::Dot) {
            self.bump();
            segments.push(self.ident("a name after the dot")?);
        }
        Ok(Path { segments, span: self.since(first) })
    }

    /// What stands in brackets after the name of a type, if anything does.
    fn type_args(&mut self) -> Parsed<Vec<GenericArg>> {
        if !self.is(T::LBracket) || self.at_new_line() {
            return Ok(Vec::new());
        }
        let open = self.bump().span;
        if self.is(T::RBracket) && !self.peek().synthetic {
            let span = open.to(self.peek().span);
            let d = Diagnostic::error(codes::UNEXPECTED, span, "expected a dim in the brackets");
            self.report(d.help("a scalar has no brackets: `f32`"));
        }
        let (args, _) = self.list(T::RBracket, "a dim", Self::generic_arg);
        Ok(args)
    }

    fn generic_arg(&mut self) -> Parsed<GenericArg> {
        let is_type = match self.peek().kind {
            T::LBrace | T::Fn => true,
            T::Ident => matches!(self.kind(1), T::LBracket | T::Dot),
            // `((N + 1) * 2)` or `(A, B)`: a tuple has a comma directly inside, or nothing.
            T::LParen => self.is_tuple(),
            _ => false,
        };
        match is_type {
            true => self.ty().map(GenericArg::Type),
            false => self.dim().map(GenericArg::Dim),
        }
    }

    /// Whether the parentheses at the current token hold what only types have: a comma, brackets, a
    /// path, or nothing at all.
    fn is_tuple(&self) -> bool {
        let mut depth = 0usize;
        for (i, t) in self.tokens[self.at..].iter().enumerate() {
            match t.kind {
                T::LParen => depth += 1,
                T::RParen if depth <= 1 => return i == 1,
                T::RParen => depth -= 1,
                T::Comma | T::LBracket | T::LBrace | T::Fn | T::Dot => return true,
                _ => {}
            }
        }
        false
    }

    /// A dim: sums of products.
    pub(super) fn dim(&mut self) -> Parsed<Dim> {
        self.nested(|p| {
            p.dim_chain(&[(T::Plus, DimOp::Add), (T::Minus, DimOp::Sub)], |p| {
                p.dim_chain(&[(T::Star, DimOp::Mul), (T::Slash, DimOp::Div)], Self::dim_atom)
            })
        })
    }

    /// Operands between these operators, grouped to the left.
    fn dim_chain(
        &mut self,
        operators: &[(T, DimOp)],
        operand: impl Fn(&mut Self) -> Parsed<Dim>,
    ) -> Parsed<Dim> {
        let mut left = operand(self)?;
        loop {
            let kind = self.peek().kind;
            let found = operators.iter().find(|(t, _)| *t == kind);
            let Some(&(_, op)) = found.filter(|_| self.continues_line()) else {
                return Ok(left);
            };
            self.bump();
            let right = operand(self)?;
            self.grow()?;
            let span = left.span.to(right.span);
            let kind = DimKind::Binary { op, left: Box::new(left), right: Box::new(right) };
            left = Dim { kind, span };
        }
    }

    fn dim_atom(&mut self) -> Parsed<Dim> {
        let first = self.peek().span;
        let kind = match self.peek().kind {
            T::Int => {
                let token = self.bump();
                DimKind::Int(self.int_value(token.span)?)
            }
            T::Ident => {
                let name = self.ident("a dim")?;
                match self.eat(T::Ellipsis) {
                    true => DimKind::Pack(name),
                    false => DimKind::Name(name.name),
                }
            }
            T::Minus => {
                self.bump();
                DimKind::Neg(Box::new(self.nested(Self::dim_atom)?))
            }
            T::LParen => {
                self.bump();
                let newlines = std::mem::replace(&mut self.newlines, false);
                let inner = self.dim();
                let close = inner.and_then(|d| self.expect(T::RParen, "`)`").map(|_| d));
                self.newlines = newlines;
                DimKind::Paren(Box::new(close?))
            }
            T::Float => {
                let d = Diagnostic::error(codes::UNEXPECTED, first, "a dim is an integer");
                self.report(d);
                return Err(Failed);
            }
            _ => return Err(self.unexpected("a dim")),
        };
        Ok(Dim { kind, span: self.since(first) })
    }

    /// `[N, S..., P: tree, T: float = f32]`, if there are brackets.
    pub(super) fn generics(&mut self) -> Parsed<Vec<GenericParam>> {
        if self.is(T::Less) {
            let span = self.peek().span;
            let d = Diagnostic::error(codes::UNEXPECTED, span, "expected `[`, found `<`");
            self.report(d.help("generic parameters stand in square brackets: `fn f[N](…)`"));
            return Err(Failed);
        }
        if !self.eat(T::LBracket) {
            return Ok(Vec::new());
        }
        let (params, _) = self.list(T::RBracket, "a generic parameter", Self::generic_param);
        Ok(params)
    }

    fn generic_param(&mut self) -> Parsed<GenericParam> {
        let name = self.ident("the name of a generic parameter")?;
        let first = name.span;
        let kind = if self.eat(T::Ellipsis) {
            GenericKind::Pack
        } else if self.eat(T::Colon) {
            let bound = self.ident("a bound")?;
            self.bound(&bound.name, bound.span)?
        } else {
            GenericKind::Plain
        };
        let default = match self.eat(T::Assign) {
            true => Some(self.ident("the element type that it is where nothing else is said")?),
            false => None,
        };
        Ok(GenericParam { name, kind, default, span: self.since(first) })
    }

    fn bound(&mut self, name: &str, span: Span) -> Parsed<GenericKind> {
        match BOUNDS.iter().find(|(bound, _)| *bound == name) {
            Some((_, kind)) => Ok(*kind),
            None => {
                let message = format!("there is no bound `{name}`");
                let d = Diagnostic::error(codes::UNKNOWN_BOUND, span, message);
                let bounds = "the bounds are `float`, `int`, `number`, `dtype` and `tree`";
                self.report(d.help(bounds).help("dims have none: `[N]`, `[S...]`"));
                Err(Failed)
            }
        }
    }

    /// `where N divides E, K <= H`, if there is one.
    pub(super) fn constraints(&mut self) -> Parsed<Vec<Constraint>> {
        let mut constraints = Vec::new();
        if !self.is_word("where") {
            return Ok(constraints);
        }
        self.bump();
        loop {
            let left = self.dim()?;
            let relation = match self.peek().kind {
                T::Ident if self.is_word("divides") => Relation::Divides,
                T::EqEq => Relation::Equal,
                T::LessEq => Relation::AtMost,
                _ => return Err(self.unexpected("`divides`, `==` or `<=`")),
            };
            self.bump();
            let right = self.dim()?;
            let span = left.span.to(right.span);
            constraints.push(Constraint { left, relation, right, span });
            if !self.eat(T::Comma) {
                return Ok(constraints);
            }
        }
    }
}
