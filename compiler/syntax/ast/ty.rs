//! Types and dims as written.

use super::{Ident, Path};
use crate::diag::Span;

/// A type as written.
#[derive(Clone, PartialEq, Debug)]
pub struct Type {
    /// What it is.
    pub kind: TypeKind,
    /// Its place.
    pub span: Span,
}

/// The kinds of [`Type`].
#[derive(Clone, PartialEq, Debug)]
pub enum TypeKind {
    /// `f32`, `f32[B, 784]`, `T[S...]`, `Dense[784, 512]`, `P`, `key`, `std.nn.Dense[I, O]`.
    Named {
        /// The element type, struct, or parameter.
        path: Path,
        /// What stands in brackets; empty where there are none (`f32[]` is not written).
        args: Vec<GenericArg>,
    },
    /// `(A, B)`; `()` is the type of statements, `(A,)` has one member.
    Tuple(Vec<Type>),
    /// `{ images: u8[N, 28, 28], labels: u8[N] }`
    Record(Vec<RecordField>),
    /// `fn(A, B) -> C`
    Fn {
        /// The parameters' types.
        params: Vec<Type>,
        /// The result's type.
        ret: Box<Type>,
    },
    /// `(A)`: parentheses around a type.
    Paren(Box<Type>),
}

/// A field of a record type.
#[derive(Clone, PartialEq, Debug)]
pub struct RecordField {
    /// Its name.
    pub name: Ident,
    /// Its type.
    pub ty: Type,
}

/// What stands in the brackets of a type.
#[derive(Clone, PartialEq, Debug)]
pub enum GenericArg {
    /// A dim. A lone name is read as a dim even where it names a type (`Rmsprop[Mlp]`): the checker
    /// looks at what the parameter is.
    Dim(Dim),
    /// What can only be a type: `f32[3]`, `(A, B)`, `std.nn.Dense[2, 3]`.
    Type(Type),
}

impl GenericArg {
    /// Its place.
    pub fn span(&self) -> Span {
        match self {
            GenericArg::Dim(d) => d.span,
            GenericArg::Type(t) => t.span,
        }
    }
}

/// An integer polynomial over named dims.
#[derive(Clone, PartialEq, Debug)]
pub struct Dim {
    /// What it is.
    pub kind: DimKind,
    /// Its place.
    pub span: Span,
}

/// The kinds of [`Dim`].
#[derive(Clone, PartialEq, Debug)]
pub enum DimKind {
    /// `784`
    Int(i64),
    /// `B`
    Name(String),
    /// `S...`
    Pack(Ident),
    /// `2 * N`
    Binary {
        /// The operator.
        op: DimOp,
        /// What is on the left.
        left: Box<Dim>,
        /// What is on the right.
        right: Box<Dim>,
    },
    /// `-N`
    Neg(Box<Dim>),
    /// `(N + 1)`
    Paren(Box<Dim>),
}

/// An operator between dims.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DimOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`: exact division.
    Div,
}

impl DimOp {
    /// How it is written.
    pub const fn symbol(self) -> &'static str {
        match self {
            DimOp::Add => "+",
            DimOp::Sub => "-",
            DimOp::Mul => "*",
            DimOp::Div => "/",
        }
    }
}
