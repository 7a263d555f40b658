//! Pieces of syntax that no source holds: one short constructor a form.

use crate::graph::dim::Factor;
use crate::graph::{Dim, TensorType};
use crate::syntax::ast::{
    self, Arg, BinaryOp, DimKind, DimOp, Expr, ExprKind, GenericArg, Ident, IndexArg, NOWHERE,
    Path, Type, TypeKind, UnaryOp,
};
use tensc_runtime::{DType, Scalar};

pub(super) fn ident(name: &str) -> Ident {
    Ident { name: name.to_string(), span: NOWHERE }
}

fn new(kind: ExprKind) -> Expr {
    Expr::new(kind, NOWHERE)
}

/// `name`
pub(super) fn name(name: &str) -> Expr {
    new(ExprKind::Name(name.to_string()))
}

/// `m.hidden.w`
pub(super) fn member(path: &str) -> Expr {
    let mut parts = path.split('.');
    let head = name(parts.next().expect("a path has a head"));
    parts.fold(head, |base, part| new(ExprKind::Field { base: Box::new(base), name: ident(part) }))
}

/// `42`, `-1`
pub(super) fn int(value: i64) -> Expr {
    match value {
        0.. | i64::MIN => new(ExprKind::Int { value, text: value.to_string() }),
        _ => unary(UnaryOp::Neg, int(-value)),
    }
}

/// A constant. The second value says whether its type is still open: a bare number takes the type
/// that the context asks for, truth values and infinities say theirs.
pub(super) fn scalar(scalar: Scalar) -> (Expr, bool) {
    let dtype = scalar.dtype();
    if dtype == DType::Bool {
        return (new(ExprKind::Bool(scalar.to_i64() != 0)), false);
    }
    if dtype.is_int() {
        return (int(scalar.to_i64()), true);
    }
    let value = scalar.to_f64();
    let text = |magnitude: f64| match dtype {
        DType::F64 => format!("{magnitude:?}"),
        // The digits that tell an `f32` from its neighbours also tell narrower floats apart.
        _ => format!("{:?}", magnitude as f32),
    };
    let magnitude = match value.abs() {
        m if m.is_nan() => return (name("nan"), true),
        m if m.is_infinite() => name("inf"),
        value => new(ExprKind::Float { value, text: text(value) }),
    };
    let negative = value.is_sign_negative();
    (if negative { unary(UnaryOp::Neg, magnitude) } else { magnitude }, true)
}

pub(super) fn unary(op: UnaryOp, operand: Expr) -> Expr {
    new(ExprKind::Unary { op, operand: Box::new(operand) })
}

pub(super) fn binary(op: BinaryOp, left: Expr, right: Expr) -> Expr {
    new(ExprKind::Binary { op, op_span: NOWHERE, left: Box::new(left), right: Box::new(right) })
}

/// `f(a, b)`
pub(super) fn call(callee: &str, args: impl IntoIterator<Item = Expr>) -> Expr {
    call_named(callee, args, [])
}

/// `f(a, b, axis = 0)`
pub(super) fn call_named(
    callee: &str,
    args: impl IntoIterator<Item = Expr>,
    named: impl IntoIterator<Item = (&'static str, Expr)>,
) -> Expr {
    let plain = args.into_iter().map(|value| Arg { name: None, value, span: NOWHERE });
    let named =
        named.into_iter().map(|(n, value)| Arg { name: Some(ident(n)), value, span: NOWHERE });
    let args = plain.chain(named).collect();
    new(ExprKind::Call { callee: Box::new(name(callee)), args })
}

/// `dtype = f64`, where that is not what is meant without.
pub(super) fn dtype_arg(dtype: DType, default: DType) -> Option<(&'static str, Expr)> {
    (dtype != default).then(|| ("dtype", name(dtype.name())))
}

/// `[B, 784]`
pub(super) fn sizes(shape: &[Dim]) -> Expr {
    array(shape.iter().map(dim))
}

pub(super) fn index(base: Expr, args: Vec<IndexArg>) -> Expr {
    new(ExprKind::Index { base: Box::new(base), args })
}

/// `:`
pub(super) fn whole() -> IndexArg {
    slice(None, None, None)
}

pub(super) fn slice(start: Option<Expr>, stop: Option<Expr>, step: Option<Expr>) -> IndexArg {
    let [start, stop, step] = [start, stop, step].map(|part| part.map(Box::new));
    IndexArg::Slice { start, stop, step, span: NOWHERE }
}

/// `None`
pub(super) fn new_axis() -> IndexArg {
    IndexArg::NewAxis(NOWHERE)
}

/// `[a, b]`
pub(super) fn array(elements: impl IntoIterator<Item = Expr>) -> Expr {
    new(ExprKind::Array(elements.into_iter().collect()))
}

/// `(a, b)`
pub(super) fn tuple(members: Vec<Expr>) -> Expr {
    new(ExprKind::Tuple(members))
}

/// `Mlp { hidden: h }`
pub(super) fn record(path: &str, fields: Vec<(String, Expr)>) -> Expr {
    let field = |(name, value): (String, Expr)| ast::FieldInit { name: ident(&name), value };
    let fields = fields.into_iter().map(field).collect();
    new(ExprKind::Struct { path: self::path(path), fields, rest: None })
}

/// `{ … }`
pub(super) fn block(stmts: Vec<ast::Stmt>, value: Expr, span: crate::diag::Span) -> Expr {
    let block = ast::Block { stmts, value: Some(Box::new(value)), span };
    Expr::new(ExprKind::Block(block), span)
}

/// `if c { a } else { b }`
pub(super) fn choice(cond: Expr, then: Expr, otherwise: Expr) -> Expr {
    let of =
        |value: Expr| ast::Block { stmts: Vec::new(), value: Some(Box::new(value)), span: NOWHERE };
    new(ExprKind::If {
        cond: Box::new(cond),
        then: of(then),
        otherwise: Some(Box::new(new(ExprKind::Block(of(otherwise))))),
    })
}

/// A size as an integer value: `B`, `2 * N + 1`.
pub(super) fn dim(dim: &Dim) -> Expr {
    polynomial(
        dim,
        &int,
        &|var| name(var),
        &|op, a, b| {
            let op = match op {
                DimOp::Add => BinaryOp::Add,
                DimOp::Sub => BinaryOp::Sub,
                DimOp::Mul => BinaryOp::Mul,
                DimOp::Div => BinaryOp::Div,
            };
            binary(op, a, b)
        },
        &|a| unary(UnaryOp::Neg, a),
    )
}

/// A size in a type.
fn type_dim(dim: &Dim) -> ast::Dim {
    let new = |kind| ast::Dim { kind, span: NOWHERE };
    polynomial(
        dim,
        &|n| new(DimKind::Int(n)),
        &|var| new(DimKind::Name(var.to_string())),
        &|op, a, b| new(DimKind::Binary { op, left: Box::new(a), right: Box::new(b) }),
        &|a| new(DimKind::Neg(Box::new(a))),
    )
}

/// A polynomial in whatever syntax: `2 * B * H - 1`.
fn polynomial<T>(
    dim: &Dim,
    int: &dyn Fn(i64) -> T,
    var: &dyn Fn(&str) -> T,
    binary: &dyn Fn(DimOp, T, T) -> T,
    neg: &dyn Fn(T) -> T,
) -> T {
    let terms = match dim {
        Dim::Const(n) => return int(*n),
        Dim::Poly(terms) => terms,
    };
    let mut sum: Option<T> = None;
    for (monomial, coefficient) in terms.iter() {
        let magnitude = coefficient.saturating_abs();
        let mut factors = monomial.iter().map(|factor| match factor {
            Factor::Var(v) => var(&v.name),
            Factor::Quotient(quotient) => {
                let (of, by) = &**quotient;
                binary(DimOp::Div, polynomial(of, int, var, binary, neg), int(*by))
            }
        });
        let first = match magnitude {
            1 => factors.next().unwrap_or_else(|| int(1)),
            n => int(n),
        };
        let term = factors.fold(first, |a, b| binary(DimOp::Mul, a, b));
        sum = Some(match (sum, *coefficient < 0) {
            (None, false) => term,
            (None, true) => neg(term),
            (Some(sum), false) => binary(DimOp::Add, sum, term),
            (Some(sum), true) => binary(DimOp::Sub, sum, term),
        });
    }
    sum.expect("a polynomial has terms")
}

fn path(text: &str) -> Path {
    Path { segments: text.split('.').map(ident).collect(), span: NOWHERE }
}

fn ty(kind: TypeKind) -> Type {
    Type { kind, span: NOWHERE }
}

/// `f32[B, 784]`
pub(super) fn tensor_type(tensor: &TensorType) -> Type {
    let args = tensor.shape.iter().map(|d| GenericArg::Dim(type_dim(d))).collect();
    ty(TypeKind::Named { path: path(tensor.dtype.name()), args })
}

/// `Mlp`
pub(super) fn named_type(name: &str) -> Type {
    ty(TypeKind::Named { path: path(name), args: Vec::new() })
}

/// `(A, B)`
pub(super) fn tuple_type(members: Vec<Type>) -> Type {
    ty(TypeKind::Tuple(members))
}

/// `{ images: u8[N], labels: u8[N] }`
pub(super) fn record_type(fields: Vec<(String, Type)>) -> Type {
    let field = |(name, ty): (String, Type)| ast::RecordField { name: ident(&name), ty };
    ty(TypeKind::Record(fields.into_iter().map(field).collect()))
}

/// `"text"`, without interpolation.
pub(super) fn text(value: &str) -> Expr {
    let part = ast::StrPart::Text { value: value.to_string(), span: NOWHERE };
    new(ExprKind::Str(vec![part]))
}
