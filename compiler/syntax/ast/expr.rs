//! Expressions.

use super::{Block, Dim, Ident, Iter, Param, Path, Pattern, Type};
use crate::diag::Span;

/// An expression.
#[derive(Clone, PartialEq, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Its place.
    pub span: Span,
}

/// The kinds of [`Expr`].
#[derive(Clone, PartialEq, Debug)]
pub enum ExprKind {
    /// `42`, `0xff`, `1_000`
    Int {
        /// The value.
        value: i64,
        /// How it is spelled.
        text: String,
    },
    /// `1.0`, `1e-3`; always finite.
    Float {
        /// The nearest `f64`.
        value: f64,
        /// How it is spelled, so that an `f32` is rounded once.
        text: String,
    },
    /// `true`, `false`
    Bool(bool),
    /// `"epoch {epoch}: {loss:.4}"`; one `Text` part, or none, where nothing is interpolated.
    Str(Vec<StrPart>),
    /// `x`; also the head of a path: `std.nn.dense` is two fields of the name `std`.
    Name(String),
    /// `B...` in `reshape(x, [B..., I])`: every dim of a pack.
    Spread(Ident),
    /// `None`: what is not there.
    None,
    /// `(a)`: parentheses, kept for the formatter.
    Paren(Box<Expr>),
    /// `()`, `(a,)`, `(a, b)`
    Tuple(Vec<Expr>),
    /// `[B, 784]`
    Array(Vec<Expr>),
    /// `Mlp { hidden: h, out, ..m }`
    Struct {
        /// The struct.
        path: Path,
        /// The fields given.
        fields: Vec<FieldInit>,
        /// Where the fields not given come from.
        rest: Option<Box<Expr>>,
    },
    /// `base.name`; `base.0` of a tuple has the name `"0"`.
    Field {
        /// The struct, record, tuple or module.
        base: Box<Expr>,
        /// The member.
        name: Ident,
    },
    /// `f(a, axis = -1)`; `f[N](a)` is a call of an [`ExprKind::Index`].
    Call {
        /// What is called.
        callee: Box<Expr>,
        /// The arguments: those without a name come first.
        args: Vec<Arg>,
    },
    /// `x[1:3, ..., None, i]`; or the explicit generic arguments in `zeros[f32]([3])`, where `x`
    /// names a function.
    Index {
        /// The tensor, or the generic function.
        base: Box<Expr>,
        /// One an axis; never empty.
        args: Vec<IndexArg>,
    },
    /// `-x`, `!x`
    Unary {
        /// The operator.
        op: UnaryOp,
        /// What it is applied to.
        operand: Box<Expr>,
    },
    /// `a + b`
    Binary {
        /// The operator.
        op: BinaryOp,
        /// Its place.
        op_span: Span,
        /// What is on the left.
        left: Box<Expr>,
        /// What is on the right.
        right: Box<Expr>,
    },
    /// `if c { a } else { b }`
    If {
        /// The condition.
        cond: Box<Expr>,
        /// Where it holds.
        then: Block,
        /// Where it does not: a `Block` or another `If`.
        otherwise: Option<Box<Expr>>,
    },
    /// `{ let y = x; y + y }`
    Block(Block),
    /// `load("train.npz") as { images: u8[N, 28, 28] }`
    As {
        /// The value.
        value: Box<Expr>,
        /// The type it is checked against when it comes in.
        ty: Type,
    },
    /// `fn(x) = x * x`
    Lambda {
        /// The parameters.
        params: Vec<Param>,
        /// The result's type, if said.
        ret: Option<Type>,
        /// The body.
        body: Box<Expr>,
    },
    /// `scan x in xs with h = h0 { … }`
    Scan {
        /// What each step binds.
        pattern: Pattern,
        /// What is gone through.
        iter: Box<Iter>,
        /// The state's names and their first value: `with (h, c) = (h0, c0)`.
        state: Option<Box<ScanState>>,
        /// A step.
        body: Block,
    },
    /// `for i, j: body`: the tensor of the body's values.
    Comprehension {
        /// The axes of the result.
        indices: Vec<IndexBinder>,
        /// The element.
        body: Box<Expr>,
    },
    /// `sum k: a[i, k] * b[k, j]`
    Reduction {
        /// How values are combined.
        op: ReduceOp,
        /// The place of the operator's name.
        op_span: Span,
        /// What runs.
        indices: Vec<IndexBinder>,
        /// What is combined.
        body: Box<Expr>,
    },
}

/// What a `scan` carries.
#[derive(Clone, PartialEq, Debug)]
pub struct ScanState {
    /// The names of the state.
    pub pattern: Pattern,
    /// Its first value.
    pub init: Expr,
}

/// An index of a comprehension: `i`, or `i < N` where its range does not follow from the types.
#[derive(Clone, PartialEq, Debug)]
pub struct IndexBinder {
    /// Its name.
    pub name: Ident,
    /// How far it runs, itself excluded.
    pub bound: Option<Dim>,
}

/// The reductions of a comprehension.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReduceOp {
    /// `sum`
    Sum,
    /// `prod`
    Prod,
    /// `mean`
    Mean,
    /// `max`
    Max,
    /// `min`
    Min,
    /// `any`
    Any,
    /// `all`
    All,
}

impl ReduceOp {
    /// Every one of them.
    pub const ALL: [ReduceOp; 7] = [
        ReduceOp::Sum,
        ReduceOp::Prod,
        ReduceOp::Mean,
        ReduceOp::Max,
        ReduceOp::Min,
        ReduceOp::Any,
        ReduceOp::All,
    ];

    /// How it is written.
    pub const fn name(self) -> &'static str {
        match self {
            ReduceOp::Sum => "sum",
            ReduceOp::Prod => "prod",
            ReduceOp::Mean => "mean",
            ReduceOp::Max => "max",
            ReduceOp::Min => "min",
            ReduceOp::Any => "any",
            ReduceOp::All => "all",
        }
    }
}

/// `name: value` of a struct literal; `name` alone stands for `name: name`.
#[derive(Clone, PartialEq, Debug)]
pub struct FieldInit {
    /// The field.
    pub name: Ident,
    /// Its value.
    pub value: Expr,
}

/// An argument: `x`, `axis = -1`.
#[derive(Clone, PartialEq, Debug)]
pub struct Arg {
    /// The parameter, if named.
    pub name: Option<Ident>,
    /// The value.
    pub value: Expr,
    /// The whole of it.
    pub span: Span,
}

/// What stands for one axis (or more) in an index.
#[derive(Clone, PartialEq, Debug)]
pub enum IndexArg {
    /// `i`: an integer drops the axis, an integer tensor gathers, `B...` names dims.
    Expr(Expr),
    /// `a:b:c`, every part optional.
    Slice {
        /// The first.
        start: Option<Box<Expr>>,
        /// One past the last.
        stop: Option<Box<Expr>>,
        /// The distance.
        step: Option<Box<Expr>>,
        /// The whole of it.
        span: Span,
    },
    /// `...`: every axis not mentioned.
    Ellipsis(Span),
    /// `None`: a new axis of size 1.
    NewAxis(Span),
}

impl IndexArg {
    /// Its place.
    pub fn span(&self) -> Span {
        match self {
            IndexArg::Expr(e) => e.span,
            IndexArg::Slice { span, .. } | IndexArg::Ellipsis(span) | IndexArg::NewAxis(span) => {
                *span
            }
        }
    }
}

/// A piece of a string.
#[derive(Clone, PartialEq, Debug)]
pub enum StrPart {
    /// Text as it is.
    Text {
        /// The text, escapes replaced.
        value: String,
        /// Its place inside the quotes; byte for byte that of `value` where it has no escapes.
        span: Span,
    },
    /// `{expr}`, `{expr:.4}`
    Interpolation {
        /// The value shown.
        expr: Expr,
        /// How.
        format: Option<Format>,
        /// Braces included.
        span: Span,
    },
}

/// How a value is shown: `[<|>|^][width][.precision][e|%]` after the colon of an interpolation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Format {
    /// Where the value stands in its width.
    pub align: Option<Align>,
    /// Characters at least.
    pub width: Option<u16>,
    /// Digits after the point.
    pub precision: Option<u16>,
    /// The notation.
    pub style: FormatStyle,
    /// Its place, colon apart.
    pub span: Span,
}

/// Where a value stands in its width.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Align {
    /// `<`
    Left,
    /// `>`
    Right,
    /// `^`
    Center,
    /// `0`: a number on the right, with zeros after its sign.
    Zeros,
}

/// The notation of a shown number.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum FormatStyle {
    /// As it is: `0.9812`.
    #[default]
    Plain,
    /// `e`: `9.812e-1`.
    Exponent,
    /// `%`: `98.12%`.
    Percent,
    /// `c`: numbers as the characters of these code points, without brackets.
    Characters,
}

/// An operator before an expression.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnaryOp {
    /// `-`
    Neg,
    /// `!`
    Not,
}

impl UnaryOp {
    /// How it is written.
    pub const fn symbol(self) -> &'static str {
        match self {
            UnaryOp::Neg => "-",
            UnaryOp::Not => "!",
        }
    }
}

/// An operator between expressions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Rem,
    /// `@`
    MatMul,
    /// `**`
    Pow,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `&`
    And,
    /// `|`
    Or,
    /// `^`
    Xor,
}

impl BinaryOp {
    /// Whether the result is of the element type of both operands.
    #[must_use]
    pub fn keeps_element_type(self) -> bool {
        use BinaryOp::{Add, Div, Mul, Pow, Rem, Sub};
        matches!(self, Add | Sub | Mul | Div | Rem | Pow)
    }

    /// How it is written.
    pub const fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Rem => "%",
            BinaryOp::MatMul => "@",
            BinaryOp::Pow => "**",
            BinaryOp::Eq => "==",
            BinaryOp::Ne => "!=",
            BinaryOp::Lt => "<",
            BinaryOp::Le => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::Ge => ">=",
            BinaryOp::And => "&",
            BinaryOp::Or => "|",
            BinaryOp::Xor => "^",
        }
    }

    /// Whether it yields `bool` from a comparison of two values.
    pub const fn is_comparison(self) -> bool {
        use BinaryOp::{Eq, Ge, Gt, Le, Lt, Ne};
        matches!(self, Eq | Ne | Lt | Le | Gt | Ge)
    }
}

impl Expr {
    /// An expression at a place.
    pub fn new(kind: ExprKind, span: Span) -> Expr {
        Expr { kind, span }
    }
    /// The expression inside any parentheses.
    pub fn unparenthesized(&self) -> &Expr {
        match &self.kind {
            ExprKind::Paren(inner) => inner.unparenthesized(),
            _ => self,
        }
    }
    /// The dotted path it spells, where it is names and dots only.
    pub fn as_path(&self) -> Option<Path> {
        match &self.kind {
            ExprKind::Name(name) => {
                let head = Ident { name: name.clone(), span: self.span };
                Some(Path { segments: vec![head], span: self.span })
            }
            ExprKind::Field { base, name } => {
                let mut path = base.as_path()?;
                path.segments.push(name.clone());
                path.span = self.span;
                Some(path)
            }
            _ => None,
        }
    }
}
