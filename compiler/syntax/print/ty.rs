//! Types, dims, generic parameters and constraints as text.

use super::doc::{Doc, docs};
use super::{BRACES, PARENS, Printer, SQUARE};
use crate::syntax::ast::{
    Constraint, Dim, DimKind, DimOp, GenericArg, GenericKind, GenericParam, RecordField, Relation,
    Type, TypeKind,
};
use crate::syntax::parser::BOUNDS;

/// How tightly dims bind: sums, products, the rest.
const SUM: u8 = 1;
const PRODUCT: u8 = 2;
const ATOM: u8 = 3;

impl Printer<'_> {
    /// A type.
    pub(super) fn ty(&mut self, ty: &Type) -> Doc {
        let end = ty.span.end;
        match &ty.kind {
            TypeKind::Named { path, args } if args.is_empty() => path.to_string().into(),
            TypeKind::Named { path, args } => {
                let args = self.list(SQUARE, args, GenericArg::span, end, |p, arg| match arg {
                    GenericArg::Dim(dim) => p.dim(dim, 0),
                    GenericArg::Type(ty) => p.ty(ty),
                });
                docs![path.to_string(), args]
            }
            TypeKind::Tuple(types) => match types.as_slice() {
                [one] => docs!["(", self.ty(one), ",)"],
                _ => self.types(types, end),
            },
            TypeKind::Record(fields) => self.list(
                BRACES,
                fields,
                |f: &RecordField| f.name.span.to(f.ty.span),
                end,
                |p, f| docs![f.name.name.clone(), ": ", p.ty(&f.ty)],
            ),
            TypeKind::Fn { params, ret } => {
                docs!["fn", self.types(params, ret.span.start), " -> ", self.ty(ret)]
            }
            TypeKind::Paren(inner) => docs!["(", self.ty(inner), ")"],
        }
    }

    fn types(&mut self, types: &[Type], end: u32) -> Doc {
        self.list(PARENS, types, |t| t.span, end, |p, t| p.ty(t))
    }

    /// A dim where one of at least this level can stand.
    pub(super) fn dim(&mut self, dim: &Dim, least: u8) -> Doc {
        let (level, doc) = match &dim.kind {
            DimKind::Int(value) if *value < 0 => (0, value.to_string().into()),
            DimKind::Int(value) => (ATOM, value.to_string().into()),
            DimKind::Name(name) => (ATOM, name.clone().into()),
            DimKind::Pack(name) => (ATOM, docs![name.name.clone(), "..."]),
            DimKind::Neg(inner) => (ATOM, docs!["-", self.dim(inner, ATOM)]),
            DimKind::Paren(inner) => (ATOM, docs!["(", self.dim(inner, 0), ")"]),
            DimKind::Binary { op, left, right } => {
                let level = match op {
                    DimOp::Add | DimOp::Sub => SUM,
                    DimOp::Mul | DimOp::Div => PRODUCT,
                };
                let (left, right) = (self.dim(left, level), self.dim(right, level + 1));
                (level, docs![left, " ", op.symbol(), " ", right])
            }
        };
        if level < least { docs!["(", doc, ")"] } else { doc }
    }

    /// `[N, S..., T: float]`, or nothing; `end` is where what follows begins.
    pub(super) fn generics(&mut self, params: &[GenericParam], end: u32) -> Doc {
        if params.is_empty() {
            return Doc::Nil;
        }
        let span = |p: &GenericParam| p.span;
        self.list(SQUARE, params, span, end, |_, param| {
            let bound = BOUNDS.iter().find(|(_, kind)| *kind == param.kind);
            let suffix: Doc = match (param.kind, bound) {
                (GenericKind::Pack, _) => "...".into(),
                (_, Some((bound, _))) => docs![": ", *bound],
                (_, None) => Doc::Nil,
            };
            let default: Doc = match &param.default {
                Some(dtype) => docs![" = ", dtype.name.clone()],
                None => Doc::Nil,
            };
            docs![param.name.name.clone(), suffix, default]
        })
    }

    /// `where N divides E`, or nothing, with a blank or a line break before it.
    pub(super) fn constraints(&mut self, constraints: &[Constraint]) -> Doc {
        if constraints.is_empty() {
            return Doc::Nil;
        }
        let mut inner = vec![Doc::Line(" "), "where ".into()];
        for (i, c) in constraints.iter().enumerate() {
            if i > 0 {
                inner.push(", ".into());
            }
            let relation = match c.relation {
                Relation::Divides => " divides ",
                Relation::Equal => " == ",
                Relation::AtMost => " <= ",
            };
            inner.extend([self.dim(&c.left, 0), relation.into(), self.dim(&c.right, 0)]);
        }
        Doc::from(inner).nest().group()
    }
}
