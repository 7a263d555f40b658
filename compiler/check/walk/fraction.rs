//! Quotients of known integers: integers toward zero, and fractions where a float is asked for; and
//! those of sizes, which are sizes.
//!
//! A declared type asks when an expression is walked. The other operand, another element of a list
//! or another argument is known only then, so such a quotient is walked once more; it is of known
//! numbers alone and leaves no trace.

use super::arith::grouped;
use super::expr::integer;
use super::{Eval, Walk};
use crate::check::builtin::{Builtin, Run};
use crate::check::types::Type;
use crate::check::value::{Callable, Leaf, Static, Value};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::ops::elementwise::Takes;
use crate::graph::{Dim, Graph, MapOp, NodeId, Op, TensorType};
use crate::syntax::ast::{self, BinaryOp, Expr, ExprKind};
use tensc_runtime::DType;

/// Built-in functions with parameters of the element type of others.
const OF_ONE_TYPE: [(&str, &[&str]); 7] = [
    ("where", &["x", "y"]),
    ("clip", &["x", "low", "high"]),
    ("max", &["x", "y"]),
    ("min", &["x", "y"]),
    ("full", &["value"]),
    ("full_like", &["value"]),
    ("pad", &["value"]),
];
/// Built-in functions with parameters that are floats.
const OF_FLOATS: [(&str, &[&str]); 2] =
    [("linspace", &["start", "stop"]), ("uniform", &["low", "high"])];

impl<'w> Walk<'w> {
    /// Takes the quotients of known integers among these values for fractions, where another of
    /// them is a float and so asks for one: `x * (1 / 2)`.
    pub(super) fn with_fractions(&mut self, exprs: &[&'w Expr], values: &mut [Value<'w>]) {
        if !exprs.iter().any(|expr| divides(expr)) || !values.iter().any(|v| self.is_float(v)) {
            return;
        }
        for (expr, value) in exprs.iter().zip(values) {
            *value = self.as_fraction(expr, value.clone());
        }
    }

    /// What an expression is where a float is asked for: the quotient of known integers a fraction.
    pub(super) fn as_fraction(&mut self, expr: &'w Expr, value: Value<'w>) -> Value<'w> {
        let float = Type::Tensor(TensorType::scalar(DType::F32));
        match value {
            Value::Static(Static::Dim(_)) | Value::List(_) if divides(expr) => {
                self.expr(expr, Some(&float))
            }
            value => value,
        }
    }

    /// Warns of a quotient without a declared type whose integer surprises: 0, or one of numbers as
    /// they are written. Whoever reads its name later may have meant the fraction.
    pub(super) fn warn_of_lost_fraction(&mut self, expr: &'w Expr, value: &Value<'w>) {
        let &Value::Static(Static::Dim(Dim::Const(whole))) = value else { return };
        if !divides(expr) || whole != 0 && !is_of_literals(expr) {
            return;
        }
        let fraction = self.as_fraction(expr, value.clone());
        if let Value::Static(Static::Float(fraction, _)) = fraction
            && fraction != whole as f64
        {
            let text = self.text(expr.span);
            let message = format!("`{text}` is {whole}: integers are divided toward zero");
            let warning = Diagnostic::warning(codes::INEXACT_DIVISION, expr.span, message);
            self.report(
                warning.help(format!("the fraction is {fraction}; write a number as `1.0`")),
            );
        }
    }

    fn is_float(&self, value: &Value<'w>) -> bool {
        match value {
            Value::Function(f) => matches!(**f, Callable::Convert(dtype) if dtype.is_float()),
            value => self.strong_dtype(value).is_some_and(DType::is_float) || value.has_float(),
        }
    }

    /// The arms of an `if` as [`Walk::with_fractions`] has them.
    pub(super) fn arms_with_fractions(
        &mut self,
        (then, a): (&'w ast::Block, Value<'w>),
        (otherwise, b): (Option<&'w Expr>, Value<'w>),
    ) -> (Value<'w>, Value<'w>) {
        let (Some(x), Some(y)) = (alone(then), otherwise) else { return (a, b) };
        let mut values = [a, b];
        self.with_fractions(&[x, y], &mut values);
        values.into()
    }

    /// The arguments of a built-in function, the quotients among them fractions where it takes
    /// floats, or where another argument or `want` asks for the same type.
    pub(super) fn arguments_with_fractions(
        &mut self,
        builtin: &'static Builtin,
        exprs: &[Option<&'w Expr>],
        values: &mut [Option<(Value<'w>, Span)>],
        want: Option<&Type>,
    ) {
        let given = || exprs.iter().zip(values.iter());
        if !given().any(|(expr, _)| expr.is_some_and(divides)) {
            return;
        }
        let float = |w: &Self, value: &Option<(Value<'w>, Span)>| {
            value.as_ref().is_some_and(|(value, _)| w.is_float(value))
        };
        let asked = asks_float(want) || given().any(|(_, value)| float(self, value));
        let names = |table: &[(&str, &'static [&'static str])]| {
            table.iter().find(|(name, _)| *name == builtin.name).map_or(&[][..], |(_, names)| names)
        };
        let takes = |name: &str| match builtin.run {
            Run::Map(map) => asked || map.row().takes == Takes::Float,
            _ => names(&OF_FLOATS).contains(&name) || asked && names(&OF_ONE_TYPE).contains(&name),
        };
        for ((slot, expr), value) in builtin.slots().zip(exprs).zip(values) {
            if let (Some(expr), Some((value, _)), true) = (expr, value, takes(slot.name)) {
                *value = self.as_fraction(expr, value.clone());
            }
        }
    }

    /// The size that a computed integer is: a number that is known, or a sum or product with
    /// quotients of sizes that need not be whole.
    pub(crate) fn size_of(&self, leaf: Leaf) -> Option<Dim> {
        self.known_integer(leaf).or_else(|| match leaf {
            Leaf::Node(level, node) => broken_size(&self.levels[level as usize].graph, node),
            Leaf::Slot(_) => None,
        })
    }

    /// Refuses the quotient of sizes that is not known to be one, where a size is needed.
    pub(super) fn whole_quotient(&mut self, leaf: Leaf, span: Span) -> Eval<()> {
        let Leaf::Node(level, node) = leaf else { return Ok(()) };
        let graph = &self.levels[level as usize].graph;
        let Op::Map(MapOp::Div) = graph.op(node) else { return Ok(()) };
        let size = |i: usize| integer(graph.op(graph.operands(node)[i]));
        let (Some(size), Some(by)) = (size(0), size(1)) else { return Ok(()) };
        let (size, by) = (grouped(&size), grouped(&by));
        let message = format!("{size} / {by} is not known to be whole: it is no size");
        let diagnostic = Diagnostic::error(codes::INEXACT_DIVISION, span, message);
        let help = "a size divided by a number above 0 is one, toward zero; by a name, where that divides it";
        Err(self.report(diagnostic.help(help)))
    }
}

/// How deep the sums and products are in which quotients of sizes are found.
const MAX_SUMS: usize = 8;

/// The size that an integer made of sizes is, where some of them are divided and need not be whole:
/// `N - N / 3`.
pub(crate) fn broken_size(graph: &Graph, node: NodeId) -> Option<Dim> {
    fn size(graph: &Graph, node: NodeId, depth: usize) -> Option<Dim> {
        let Op::Map(map) = graph.op(node) else { return integer(graph.op(node)) };
        if depth == 0 || graph.ty(node).dtype != DType::I64 {
            return None;
        }
        let operands = graph.operands(node).into_iter();
        let sizes: Option<Vec<Dim>> = operands.map(|o| size(graph, o, depth - 1)).collect();
        let [a, b] = match &sizes?[..] {
            [a] if *map == MapOp::Neg => return Dim::Const(0).checked_sub(a),
            [a, b] => [a.clone(), b.clone()],
            _ => return None,
        };
        match map {
            MapOp::Add => a.checked_add(&b),
            MapOp::Sub => a.checked_sub(&b),
            MapOp::Mul => a.checked_mul(&b),
            MapOp::Div => a.over(&b),
            MapOp::Rem => a.checked_sub(&a.over(&b)?.checked_mul(&b)?),
            _ => None,
        }
    }
    size(graph, node, MAX_SUMS).filter(|size| size.broken().is_some())
}

/// Whether the type that is asked for is one of floats.
pub(super) fn asks_float(want: Option<&Type>) -> bool {
    matches!(want, Some(Type::Tensor(ty)) if ty.dtype.is_float())
}

/// What `a / b` is as a fraction, where that is no integer.
pub(super) fn fraction<'w>(op: BinaryOp, a: &Value<'w>, b: &Value<'w>) -> Option<Value<'w>> {
    let (Value::Static(Static::Dim(Dim::Const(a))), Value::Static(Static::Dim(Dim::Const(b)))) =
        (a, b)
    else {
        return None;
    };
    let broken = op == BinaryOp::Div && a.checked_rem(*b).is_some_and(|rest| rest != 0);
    broken.then(|| Value::Static(Static::Float(*a as f64 / *b as f64, None)))
}

/// Whether a number is written as a quotient, or is made of one.
pub(super) fn divides(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Paren(inner) => divides(inner),
        ExprKind::Block(block) => alone(block).is_some_and(divides),
        ExprKind::Array(items) => items.iter().any(divides),
        ExprKind::Unary { operand, .. } => divides(operand),
        ExprKind::Binary { op, left, right, .. } => {
            *op == BinaryOp::Div || divides(left) || divides(right)
        }
        _ => false,
    }
}

/// Whether a number is written as numbers and operators alone.
fn is_of_literals(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Int { .. } => true,
        ExprKind::Paren(inner) => is_of_literals(inner),
        ExprKind::Unary { operand, .. } => is_of_literals(operand),
        ExprKind::Binary { left, right, .. } => is_of_literals(left) && is_of_literals(right),
        _ => false,
    }
}

/// The expression that is all of a block.
fn alone(block: &ast::Block) -> Option<&Expr> {
    block.value.as_deref().filter(|_| block.stmts.is_empty())
}
