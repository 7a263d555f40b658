//! Slices: `x[start:stop:step]`, whose bounds are known or computed.
//!
//! How many elements a slice takes is always known. Bounds that are computed must therefore be a
//! known number apart: both are read as sums, in which what is computed cancels.

use super::index::Item;
use super::{Eval, Walk};
use crate::check::builtin::strictly_checked;
use crate::check::value::{Leaf, SizeOrigin, SizeSource, Static, Value};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::{Dim, Graph, MapOp, NodeId, Op, TensorType};
use crate::syntax::ast;
use std::collections::BTreeMap;
use tensc_runtime::{DType, Scalar};

/// Where a slice begins or ends.
enum Bound {
    Known(Dim),
    /// At an integer scalar, a node of the graph on top, whose value the compiler may know.
    Scalar(Leaf, NodeId),
}

/// `constant + Σ multiple * scalar`
struct Sum {
    constant: Dim,
    terms: Vec<Term>,
}

/// A scalar, a node of the graph of a level, and how many times it is taken.
type Term = ((usize, NodeId), Dim);

/// How deep two scalars are compared that were written twice.
const MAX_ALIKE: usize = 8;

impl<'w> Walk<'w> {
    /// The item that `start:stop:step` is.
    pub(super) fn slice(
        &mut self,
        x: NodeId,
        ty: &TensorType,
        axis: usize,
        [start, stop, step]: [Option<&'w ast::Expr>; 3],
        span: Span,
    ) -> Eval<Item> {
        if start.is_none() && stop.is_none() && step.is_none() {
            return Ok(Item::Whole);
        }
        let size = ty.shape[axis].clone();
        let step = match step {
            None => 1,
            Some(expr) => {
                let value = self.expr(expr, None);
                match self.known_i64(&value, expr.span)? {
                    0 => {
                        let message = "a slice with a step of 0 has no end";
                        return Err(self.error(codes::BAD_INDEX, expr.span, message));
                    }
                    step => step,
                }
            }
        };
        let (first, end) = match step > 0 {
            true => (Dim::Const(0), size.clone()),
            false => (size.clone() - Dim::Const(1), Dim::Const(-1)),
        };
        let from = self.bound(start, &size, first)?;
        let to = self.bound(stop, &size, end)?;
        let (from, to) = match (self.known_bound(&from, &size), self.known_bound(&to, &size)) {
            (Some(from), Some(to)) => (from, to),
            _ => return self.sliding((x, axis), (&from, &to), step, span),
        };
        // What is known to be outside is a mistake; what is not known is checked when it is.
        let outside = |at: &Dim, low: i64, high: i64| {
            let below = at.known().is_some_and(|n| n < low);
            below || (size.clone() - at.clone()).known().is_some_and(|room| room < high)
        };
        let (low, high) = if step > 0 { (0, 0) } else { (-1, 1) };
        let wrong = [(start, &from), (stop, &to)]
            .into_iter()
            .find(|(expr, at)| expr.is_some() && outside(at, low, high));
        if let Some((Some(expr), _)) = wrong {
            let at = self.text(expr.span);
            let message = format!("the bound {at} is outside of axis {axis}, whose size is {size}");
            let diagnostic = Diagnostic::error(codes::BAD_INDEX, expr.span, message);
            let diagnostic = self.with_size(diagnostic, x, axis);
            return Err(self.report(diagnostic));
        }
        let len = steps(&from, &to, step);
        Ok(Item::Slice { start: from, len, step, span })
    }

    fn bound(&mut self, expr: Option<&'w ast::Expr>, size: &Dim, default: Dim) -> Eval<Bound> {
        let Some(expr) = expr else { return Ok(Bound::Known(default)) };
        let value = match self.expr(expr, None) {
            // A float, which is told apart below.
            computed @ Value::Static(Static::Computed(..)) => {
                self.strengthen(&computed, expr.span)?
            }
            value => value,
        };
        let Value::Tensor(leaf) = value else {
            let at = self.as_dim(&value, expr.span)?;
            return self.place(&at, size, expr.span).map(Bound::Known);
        };
        let node = self.node(leaf);
        let ty = self.node_ty(node);
        if ty.rank() > 0 || !ty.dtype.is_int() {
            let message = format!("a bound of a slice is one integer, found {ty}");
            let mut diagnostic = Diagnostic::error(codes::BAD_INDEX, expr.span, message);
            if ty.rank() == 0 && ty.dtype.is_float() && size.known().is_none() {
                let help = format!("a part of a size is a quotient of sizes: {size} * 8 / 10");
                diagnostic = diagnostic.help(help);
            }
            return Err(self.report(diagnostic));
        }
        Ok(Bound::Scalar(leaf, node))
    }

    /// A place on an axis of this size, which may be counted from its end.
    pub(super) fn place(&mut self, at: &Dim, size: &Dim, span: Span) -> Eval<Dim> {
        from_either_end(at, size).ok_or_else(|| {
            let message =
                format!("whether {at} is negative, and counts from the end, is not known");
            let diagnostic = Diagnostic::error(codes::BAD_INDEX, span, message);
            let from_end = size.clone() + at.clone();
            self.report(diagnostic.help(format!("from the end it is {from_end}")))
        })
    }

    /// Where a bound is, if the compiler knows it.
    fn known_bound(&self, bound: &Bound, size: &Dim) -> Option<Dim> {
        match bound {
            Bound::Known(at) => Some(at.clone()),
            Bound::Scalar(leaf, _) => from_either_end(&self.size_of(*leaf)?, size),
        }
    }

    /// A slice whose bounds are computed.
    fn sliding(
        &mut self,
        (x, axis): (NodeId, usize),
        (from, to): (&Bound, &Bound),
        step: i64,
        span: Span,
    ) -> Eval<Item> {
        let size = self.node_ty(x).shape[axis].clone();
        let first = self.sum(&[(from, 1)]);
        let distance = self.sum(&[(to, 1), (from, -1)]);
        let known = distance.terms.is_empty();
        let len = known.then(|| steps(&Dim::Const(0), &distance.constant, step));
        let Some(len) = len else {
            for bound in [from, to] {
                if let Bound::Scalar(leaf, _) = bound {
                    self.whole_quotient(*leaf, span)?;
                }
            }
            let message = format!(
                "how many elements `{}` takes is not known to the compiler",
                self.text(span)
            );
            let diagnostic = Diagnostic::error(codes::NOT_STATIC, span, message);
            let text = self.text(span);
            let start = match from {
                Bound::Scalar(..) => text.split(':').next().unwrap_or_default().trim(),
                Bound::Known(_) => "i",
            };
            return Err(self.report(diagnostic.help(format!(
                "a slice that begins at a computed place has a known length: \
                 `{start}:{start} + 4`"
            ))));
        };
        // What is known not to fit is a mistake; the rest is checked when the place is there.
        let reach = (len.clone() - Dim::Const(1)) * Dim::Const(step.saturating_abs());
        if (size.clone() - reach.clone()).known().is_some_and(|room| room < 1) && !len.is(0) {
            let text = self.text(span);
            let message = format!("`{text}` takes more than axis {axis} has, whose size is {size}");
            let diagnostic = Diagnostic::error(codes::BAD_INDEX, span, message);
            let diagnostic = self.with_size(diagnostic, x, axis);
            return Err(self.report(diagnostic));
        }
        // A number that was handed to a function is a computed place to it: where it fits it is
        // known all the same.
        let known = match from {
            Bound::Known(at) => Some(at.clone()),
            Bound::Scalar(..) => {
                Some(first.constant).filter(|at| first.terms.is_empty() && at.known() >= Some(0))
            }
        };
        let fits = |at: &Dim| {
            (size.clone() - at.clone() - reach.clone()).known().is_some_and(|room| room >= 1)
        };
        if step > 0
            && !len.is(0)
            && let Some(start) = known.filter(fits)
        {
            return Ok(Item::Slice { start, len, step, span });
        }
        let start = match from {
            Bound::Scalar(_, start) => self.converted(*start, DType::I64, span)?,
            Bound::Known(at) => self.to_tensor(&Value::dim(at.clone()), Some(DType::I64), span)?,
        };
        Ok(Item::Sliding { start, len, step, span })
    }

    /// Takes the slices that begin at computed places. An index of theirs does not count from the
    /// end: a slice from -1 on would go on at the other end.
    pub(super) fn slid(&mut self, mut x: NodeId, items: Vec<Item>) -> Eval<(NodeId, Vec<Item>)> {
        let mut axis = 0;
        let mut left = Vec::with_capacity(items.len());
        for item in items {
            let Item::Sliding { start, len, step, span } = item else {
                axis += usize::from(!matches!(item, Item::New));
                left.push(item);
                continue;
            };
            let size = self.node_ty(x).shape[axis].clone();
            let shape = [len.clone()];
            let positions =
                Op::Iota { dtype: DType::I64, shape: shape.clone().into_iter().collect(), axis: 0 };
            let mut places = self.add(positions, &[], span)?;
            if step != 1 {
                let step = self.constant(Scalar::from_i64(DType::I64, step), span);
                let step = self.stretch(step, &shape, span)?;
                places = self.add(MapOp::Mul, &[places, step], span)?;
            }
            let start = self.stretch(start, &shape, span)?;
            let places = self.add(MapOp::Add, &[start, places], span)?;
            let places = strictly_checked(self, places, &size, span)?;
            x = self.add(Op::Gather(axis as u8), &[x, places], span)?;
            let source = SizeSource { span, ty: None, owner: None };
            self.set_origin(x, axis, SizeOrigin::Written(source));
            axis += 1;
            left.push(Item::Whole);
        }
        Ok((x, left))
    }

    /// The sum of so many times each of some bounds. Nodes are looked into from the last one back,
    /// so that what several share is one term, or none, before it is.
    fn sum(&self, bounds: &[(&Bound, i64)]) -> Sum {
        let mut sum = Sum { constant: Dim::Const(0), terms: Vec::new() };
        let mut left: BTreeMap<(usize, NodeId), Dim> = BTreeMap::new();
        let put = |left: &mut BTreeMap<_, Dim>, at: (usize, NodeId), times: Dim| {
            let before = left.remove(&at).unwrap_or(Dim::Const(0));
            left.insert(at, before + times);
        };
        for (bound, times) in bounds {
            let times = Dim::Const(*times);
            match bound {
                Bound::Known(at) => sum.constant = sum.constant + at.clone() * times,
                Bound::Scalar(_, node) => put(&mut left, (self.levels.len() - 1, *node), times),
            }
        }
        while let Some(((level, node), times)) = left.pop_last() {
            let graph = &self.levels[level].graph;
            let operands = graph.operands(node);
            let known = |node: NodeId| match graph.op(node) {
                Op::Const(n) => Some(Dim::Const(n.to_i64())),
                Op::Size(dim, _) => Some(dim.clone()),
                _ => None,
            };
            let multiple = |operand: usize| known(operands[operand])?.checked_mul(&times);
            let mut add = |operand: usize, times: Dim| {
                put(&mut left, (level, operands[operand]), times);
            };
            match graph.op(node) {
                _ if times.is(0) => {}
                _ if let Some(at) = known(node) => sum.constant = sum.constant + at * times,
                Op::Map(MapOp::Add) => {
                    add(0, times.clone());
                    add(1, times);
                }
                Op::Map(MapOp::Sub) => {
                    add(0, times.clone());
                    add(1, Dim::Const(0) - times);
                }
                Op::Map(MapOp::Mul) if let Some(times) = multiple(1) => add(0, times),
                Op::Map(MapOp::Mul) if let Some(times) = multiple(0) => add(1, times),
                // Wider, it is the same number.
                Op::Convert(to) if widens(graph.ty(operands[0]).dtype, *to) => add(0, times),
                Op::Input(_) if let Some(outer) = self.imported_from(level, node) => {
                    put(&mut left, (level - 1, outer), times);
                }
                _ => self.add_term((level, node), times, &mut sum.terms),
            }
        }
        sum
    }

    /// Adds so many times a scalar that is no sum.
    fn add_term(&self, scalar: (usize, NodeId), times: Dim, terms: &mut Vec<Term>) {
        let graph = &self.levels[scalar.0].graph;
        let same = |((level, node), _): &Term| {
            *level == scalar.0 && alike(graph, *node, scalar.1, MAX_ALIKE)
        };
        let before = match terms.iter().position(same) {
            Some(at) => terms.swap_remove(at).1,
            None => Dim::Const(0),
        };
        let times = before + times;
        if !times.is(0) {
            terms.push((scalar, times));
        }
    }
}

/// A place on an axis: what is negative for all sizes above 0, `-2` and `-H`, counts from the end;
/// `None` of what is so for some, `1 - H`.
fn from_either_end(at: &Dim, size: &Dim) -> Option<Dim> {
    match at.has_negative_terms_only() {
        false => Some(at.clone()),
        true => (at.constant_term() <= 0).then(|| size.clone() + at.clone()),
    }
}

/// Whether every integer of one type is one of another.
fn widens(from: DType, to: DType) -> bool {
    from.is_int() && to.is_int() && (from.size() < to.size() || from == to)
}

/// Whether two nodes are the same computation.
fn alike(graph: &Graph, a: NodeId, b: NodeId, depth: usize) -> bool {
    let (x, y) = (graph.operands(a), graph.operands(b));
    a == b
        || depth > 0
            && graph.op(a) == graph.op(b)
            && !matches!(graph.op(a), Op::Input(_))
            && x.len() == y.len()
            && x.iter().zip(&y).all(|(&a, &b)| alike(graph, a, b, depth - 1))
}

/// How many of `from, from + step, …` come before `to`.
pub(crate) fn steps(from: &Dim, to: &Dim, step: i64) -> Dim {
    let (distance, step) = match step > 0 {
        true => (to.clone() - from.clone(), step),
        false => (from.clone() - to.clone(), step.saturating_neg()),
    };
    if let Some(n) = distance.known() {
        let n = n.max(0);
        return Dim::Const(n / step + i64::from(n % step != 0));
    }
    // Of whole steps and a known rest, the rest is rounded up: `2*N - 1` by 2 is N. Of others it is
    // `(N + 1) / 2`.
    let rest = distance.constant_term();
    match (distance.clone() - Dim::Const(rest)).div_exact(&Dim::Const(step)) {
        Some(whole) => {
            let up = rest.div_euclid(step) + i64::from(rest.rem_euclid(step) != 0);
            whole + Dim::Const(up)
        }
        None => (distance + Dim::Const(step - 1)).quotient(step).expect("a step is above 0"),
    }
}

/// How to say that a size can be divided.
pub(crate) fn as_multiple(size: &Dim, by: &Dim) -> String {
    match size.as_var() {
        Some(_) => format!(
            "say that it is a multiple: write the size as {by} * {size}, or behind the result's \
             type where {by} divides {size}"
        ),
        None => format!("write the size as a multiple of {by}"),
    }
}
