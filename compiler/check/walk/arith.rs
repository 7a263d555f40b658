//! Operators and elementwise functions: literals, element types, broadcasting, and structs as
//! vectors.

use super::{Eval, Walk};
use crate::check::value::{SizeOrigin, Static, Value};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::ops::elementwise::{Gives, Takes};
use crate::graph::{Dim, MapOp, NodeId, Op};
use crate::syntax::ast::{BinaryOp, UnaryOp};
use smallvec::SmallVec;
use std::rc::Rc;
use tensc_runtime::{DType, Scalar};

/// An operand and where it is written.
pub(crate) type Operand<'w> = (Value<'w>, Span);

/// The largest exponent that becomes multiplications.
const MAX_UNROLLED_POWER: i64 = 16;

impl<'w> Walk<'w> {
    pub(crate) fn binary(
        &mut self,
        op: BinaryOp,
        left: Operand<'w>,
        right: Operand<'w>,
        span: Span,
    ) -> Eval<Value<'w>> {
        if left.0.is_error() || right.0.is_error() {
            return Err(self.reported());
        }
        // Whether something is `None` is known.
        if let BinaryOp::Eq | BinaryOp::Ne = op
            && let (Value::Unit, _) | (_, Value::Unit) = (&left.0, &right.0)
        {
            let both = matches!((&left.0, &right.0), (Value::Unit, Value::Unit));
            return Ok(Value::Static(Static::Bool(both == (op == BinaryOp::Eq))));
        }
        if let (Value::Static(a), Value::Static(b)) = (&left.0, &right.0)
            && let Some(known) = self.fold(op, a, b, span)?
        {
            return Ok(Value::Static(known));
        }
        let map = match op {
            BinaryOp::MatMul => return self.matmul(&left, &right, span),
            BinaryOp::Pow => return self.power(left, right, span),
            BinaryOp::Add => MapOp::Add,
            BinaryOp::Sub => MapOp::Sub,
            BinaryOp::Mul => MapOp::Mul,
            BinaryOp::Div => MapOp::Div,
            BinaryOp::Rem => MapOp::Rem,
            BinaryOp::Eq => MapOp::Eq,
            BinaryOp::Ne => MapOp::Ne,
            BinaryOp::Lt => MapOp::Lt,
            BinaryOp::Le => MapOp::Le,
            BinaryOp::Gt => MapOp::Gt,
            BinaryOp::Ge => MapOp::Ge,
            BinaryOp::And => MapOp::And,
            BinaryOp::Or => MapOp::Or,
            BinaryOp::Xor => MapOp::Xor,
        };
        self.elementwise(map, &format!("`{}`", op.symbol()), &[left, right], span)
    }

    pub(crate) fn unary(
        &mut self,
        op: UnaryOp,
        operand: Operand<'w>,
        span: Span,
    ) -> Eval<Value<'w>> {
        match (op, &operand.0) {
            (_, Value::Error) => Err(self.reported()),
            (UnaryOp::Neg, Value::Static(Static::Dim(d))) => {
                let negative = Dim::Const(0).checked_sub(d);
                let what = format!("-{}", grouped(d));
                Ok(Value::dim(self.fits(negative, &what, span)?))
            }
            (UnaryOp::Neg, Value::Static(Static::Float(x, text))) => {
                let text = text.as_ref().map(|t| match t.strip_prefix('-') {
                    Some(positive) => positive.into(),
                    None => format!("-{t}").into(),
                });
                Ok(Value::Static(Static::Float(-x, text)))
            }
            (UnaryOp::Not, Value::Static(Static::Bool(b))) => Ok(Value::Static(Static::Bool(!b))),
            (UnaryOp::Neg, _) => self.elementwise(MapOp::Neg, "`-`", &[operand], span),
            (UnaryOp::Not, _) => self.elementwise(MapOp::Not, "`!`", &[operand], span),
        }
    }

    /// The value of an operator on known numbers, where it is known too.
    fn fold(&mut self, op: BinaryOp, a: &Static, b: &Static, span: Span) -> Eval<Option<Static>> {
        use Static::{Bool, Float};
        Ok(match (a, b) {
            (Static::Dim(a), Static::Dim(b)) => self.fold_dims(op, a, b, span)?,
            (Bool(a), Bool(b)) => Some(Bool(match op {
                BinaryOp::And => *a && *b,
                BinaryOp::Or => *a || *b,
                BinaryOp::Xor | BinaryOp::Ne => a != b,
                BinaryOp::Eq => a == b,
                _ => return Ok(None),
            })),
            (Static::Str(a, _), Static::Str(b, _)) => match op {
                BinaryOp::Eq => Some(Bool(a == b)),
                BinaryOp::Ne => Some(Bool(a != b)),
                _ => None,
            },
            (Static::Dim(Dim::Const(a)), Float(b, _)) => fold_floats(op, *a as f64, *b),
            (Float(a, _), Static::Dim(Dim::Const(b))) => fold_floats(op, *a, *b as f64),
            (Float(a, _), Float(b, _)) => fold_floats(op, *a, *b),
            _ => None,
        })
    }

    fn fold_dims(&mut self, op: BinaryOp, a: &Dim, b: &Dim, span: Span) -> Eval<Option<Static>> {
        let known = a.known().zip(b.known());
        // Sizes whose difference is known are ordered, whatever they are.
        let known_or = || Some((a.checked_sub(b)?.known()?, 0));
        let order = |f: fn(&i64, &i64) -> bool| {
            known.or_else(known_or).map(|(a, b)| Static::Bool(f(&a, &b)))
        };
        let dim = |w: &mut Self, result: Option<Dim>| {
            let what = format!("{} {} {}", grouped(a), op.symbol(), grouped(b));
            w.fits(result, &what, span).map(|dim| Some(Static::Dim(dim)))
        };
        Ok(match op {
            BinaryOp::Add => dim(self, a.checked_add(b))?,
            BinaryOp::Sub => dim(self, a.checked_sub(b))?,
            BinaryOp::Mul => dim(self, a.checked_mul(b))?,
            BinaryOp::Div => match (a.div_exact(b), known) {
                _ if b.is(0) => {
                    return Err(self.error(codes::INEXACT_DIVISION, span, "division by 0"));
                }
                (Some(quotient), _) => Some(Static::Dim(quotient)),
                // Numbers are divided toward zero; sizes that do not divide must say so.
                (None, Some((a, b))) => dim(self, a.checked_div(b).map(Dim::Const))?,
                (None, None) => None,
            },
            BinaryOp::Rem => {
                // The least number by -1 has no remainder, though the quotient does not fit.
                let rest = match known {
                    Some((a, b)) => (b != 0).then(|| a.wrapping_rem(b)),
                    None => b.known().and_then(|b| a.remainder(b)),
                };
                rest.map(|r| Static::Dim(Dim::Const(r)))
            }
            BinaryOp::Pow => match known.map(|(a, b)| (a, u32::try_from(b))) {
                Some((a, Ok(b))) => dim(self, a.checked_pow(b).map(Dim::Const))?,
                _ => None,
            },
            BinaryOp::Eq if a == b => Some(Static::Bool(true)),
            BinaryOp::Ne if a == b => Some(Static::Bool(false)),
            BinaryOp::Eq => order(i64::eq),
            BinaryOp::Ne => order(i64::ne),
            BinaryOp::Lt => order(i64::lt),
            BinaryOp::Le => order(i64::le),
            BinaryOp::Gt => order(i64::gt),
            BinaryOp::Ge => order(i64::ge),
            BinaryOp::And | BinaryOp::Or | BinaryOp::Xor | BinaryOp::MatMul => None,
        })
    }

    /// A known number or size, where it is within what one may be.
    fn fits(&mut self, result: Option<Dim>, what: &str, span: Span) -> Eval<Dim> {
        result.ok_or_else(|| {
            let message = format!("{what} is beyond i64, in which known numbers are exact");
            let diagnostic = Diagnostic::error(codes::BAD_LITERAL, span, message);
            self.report(diagnostic.help("with a float, such as 1e19, it is rounded instead"))
        })
    }

    /// `x ** n`: a small whole exponent multiplies, so that it is exact and takes integers.
    fn power(&mut self, base: Operand<'w>, exponent: Operand<'w>, span: Span) -> Eval<Value<'w>> {
        if let Value::Static(Static::Dim(Dim::Const(n @ 1..=MAX_UNROLLED_POWER))) = exponent.0 {
            let square = |w: &mut Self, x: &Value<'w>| {
                w.elementwise(MapOp::Square, "`**`", &[(x.clone(), base.1)], span)
            };
            let mut result: Option<Value<'w>> = None;
            let mut factor = base.0.clone();
            let mut rest = n;
            loop {
                if rest & 1 == 1 {
                    let pair = |r: Value<'w>| [(r, base.1), (factor.clone(), base.1)];
                    result = Some(match result {
                        None => factor.clone(),
                        Some(r) => self.elementwise(MapOp::Mul, "`**`", &pair(r), span)?,
                    });
                }
                rest >>= 1;
                if rest == 0 {
                    return Ok(result.expect("the exponent is at least 1"));
                }
                factor = square(self, &factor)?;
            }
        }
        let whole = |w: &Self, value| w.strong_dtype(value).is_some_and(DType::is_int);
        let counts = |v: &Value<'w>| matches!(v, Value::Static(Static::Dim(_)));
        if (whole(self, &base.0) || counts(&base.0)) && whole(self, &exponent.0) {
            let (x, n) = (self.text(base.1), self.text(exponent.1));
            let message = "`**` of integers takes a known exponent from 1 to 16";
            let diagnostic = Diagnostic::error(codes::DTYPE_MISMATCH, span, message);
            let help = format!("write integer_power({x}, {n}), or convert both to floats");
            return Err(self.report(diagnostic.help(help)));
        }
        self.elementwise(MapOp::Pow, "`**`", &[base, exponent], span)
    }

    /// An elementwise operation by its row. Structs are taken leaf by leaf; with one of them,
    /// scalars apply to every leaf.
    pub(crate) fn elementwise(
        &mut self,
        map: MapOp,
        what: &str,
        operands: &[Operand<'w>],
        span: Span,
    ) -> Eval<Value<'w>> {
        self.elementwise_as(map, what, operands, (span, None))
    }

    /// As `elementwise`, of an element type that is asked for where the operands have none.
    pub(crate) fn elementwise_as(
        &mut self,
        map: MapOp,
        what: &str,
        operands: &[Operand<'w>],
        (span, asked): (Span, Option<DType>),
    ) -> Eval<Value<'w>> {
        if operands.iter().any(|(v, _)| v.is_error()) {
            return Err(self.reported());
        }
        match operands.iter().position(|(v, _)| v.is_tree()) {
            Some(tree) => self.lifted(map, what, operands, tree, span),
            None => self.on_tensors(map, what, operands, (span, asked)),
        }
    }

    fn lifted(
        &mut self,
        map: MapOp,
        what: &str,
        operands: &[Operand<'w>],
        tree: usize,
        span: Span,
    ) -> Eval<Value<'w>> {
        // The mask of a choice is a tree of truth values.
        let mask = map.row().takes == Takes::MaskThenAny;
        let tree = match mask {
            true => operands.iter().rposition(|(v, _)| v.is_tree()).unwrap_or(tree),
            false => tree,
        };
        let like = &operands[tree].0;
        for (i, (value, at)) in operands.iter().enumerate() {
            let fits = |a: &Value<'w>, b: &Value<'w>| mask && i == 0 || self.ty(a) == self.ty(b);
            if value.is_tree() && !self.leaves_agree(like, value, &fits) {
                let (ty, found) = (self.show(like), self.show(value));
                let message = format!("{what} needs values of one type, found {ty} and {found}");
                return Err(self.error(codes::TYPE_MISMATCH, span, message));
            }
            let scalar = match value {
                Value::Tensor(leaf) => self.leaf_ty(*leaf).rank() == 0,
                Value::Static(_) => true,
                _ => false,
            };
            if !value.is_tree() && !scalar {
                let (ty, found) = (self.show(like), self.show(value));
                let message = format!("{what} between {ty} and {found} has no meaning");
                let diagnostic = Diagnostic::error(codes::TYPE_MISMATCH, *at, message);
                let help = "with a struct, the other operand is the same struct or a scalar";
                return Err(self.report(diagnostic.help(help)));
            }
        }
        let scalars = self.of_each_leaf(like, operands, span)?;
        self.leafwise(map, what, &scalars, span)
    }

    /// The operands, where the floats of a tree are of several types, with the scalars among them
    /// as trees of one for each leaf, of its type.
    fn of_each_leaf(
        &mut self,
        like: &Value<'w>,
        operands: &[Operand<'w>],
        span: Span,
    ) -> Eval<Vec<Operand<'w>>> {
        let mut each = operands.to_vec();
        let mut dtypes = Vec::new();
        like.map_tensors(&mut |leaf| {
            dtypes.push(self.leaf_ty(leaf).dtype);
            Value::Tensor(leaf)
        });
        let mut floats = dtypes.into_iter().filter(|dtype| dtype.is_float());
        let first = floats.next();
        if floats.all(|dtype| Some(dtype) == first) {
            return Ok(each);
        }
        for (value, _) in &mut each {
            let &mut Value::Tensor(scalar) = value else { continue };
            if self.leaf_ty(scalar).dtype.is_float() {
                *value = self.as_records(like).map_leaves(&mut |leaf| match leaf {
                    Value::Tensor(leaf) if self.leaf_ty(*leaf).dtype.is_float() => {
                        let node = self.node(scalar);
                        let node = self.converted(node, self.leaf_ty(*leaf).dtype, span)?;
                        Ok(self.tensor(node))
                    }
                    _ => Ok(Value::Tensor(scalar)),
                })?;
            }
        }
        Ok(each)
    }

    /// An operation on the leaves of trees of one form; scalars go with every leaf. What is frozen
    /// is left as it is in the first struct; compared it is where it is of floats.
    fn leafwise(
        &mut self,
        map: MapOp,
        what: &str,
        operands: &[Operand<'w>],
        span: Span,
    ) -> Eval<Value<'w>> {
        let masks = usize::from(map.row().takes == Takes::MaskThenAny);
        let trees = |from: usize| operands[from..].iter().map(|(v, _)| v).filter(|v| v.is_tree());
        let Some(first) = trees(masks).next().or_else(|| trees(0).next()) else {
            return self.on_tensors(map, what, operands, (span, None));
        };
        // A record goes with a struct of its fields, and gives one.
        let structs = trees(masks).find(|v| matches!(v, Value::Struct(..)));
        let like = structs.unwrap_or(first);
        let mut results = Vec::with_capacity(like.children().len());
        for (part, stays) in self.frozen_parts(like).into_iter().enumerate() {
            let of = |(value, at): &Operand<'w>| match value.is_tree() {
                true => (value.children()[part].clone(), *at),
                false => (value.clone(), *at),
            };
            let operands: Vec<Operand<'w>> = operands.iter().map(of).collect();
            let compares = map.row().gives != Gives::Same;
            let stays = stays && !(compares && self.all_floats(like.children()[part]));
            results.push(match stays {
                true => like.children()[part].clone(),
                false => self.leafwise(map, what, &operands, span)?,
            });
        }
        Ok(self.retyped(like, like.with_children(results)))
    }

    fn on_tensors(
        &mut self,
        map: MapOp,
        what: &str,
        operands: &[Operand<'w>],
        (span, asked): (Span, Option<DType>),
    ) -> Eval<Value<'w>> {
        let row = map.row();
        if operands.iter().all(|(v, _)| matches!(v, Value::Static(_)))
            && let Some(known) = fold_row(map, operands)
        {
            return Ok(Value::Static(known));
        }
        if let Some(open) = computed(map, operands) {
            return Ok(Value::Static(open));
        }
        // The operands that must be of one type; `select` has its mask first.
        let masks = usize::from(row.takes == Takes::MaskThenAny);
        let strong = operands[masks..].iter().find_map(|(v, _)| self.strong_dtype(v));
        let float = operands[masks..].iter().any(|(v, _)| v.has_float());
        let asked = asked.filter(|_| matches!(row.gives, Gives::Same));
        let want = strong.or(asked).or(match row.takes {
            Takes::Float => Some(DType::F32),
            Takes::Bool => Some(DType::Bool),
            _ if float => Some(DType::F32),
            Takes::Number | Takes::Int | Takes::Bits | Takes::Any | Takes::MaskThenAny => None,
        });
        let mut nodes: SmallVec<[NodeId; 3]> = SmallVec::new();
        for (i, (value, at)) in operands.iter().enumerate() {
            let want = if i < masks { Some(DType::Bool) } else { want };
            nodes.push(self.to_tensor(value, want, *at)?);
        }
        if let [x] = nodes[..]
            && let Some(value) = self.of_whole_numbers(map, x, span)?
        {
            return Ok(self.tensor(value));
        }
        let types: SmallVec<[DType; 3]> = nodes.iter().map(|&n| self.node_ty(n).dtype).collect();
        if let Err(error) = row.result(&types) {
            return Err(self.wrong_dtypes(
                (what, row.takes),
                &error.message,
                &nodes,
                operands,
                span,
            ));
        }
        let spans: SmallVec<[Span; 3]> = operands.iter().map(|(_, s)| *s).collect();
        let nodes = self.broadcast(what, &nodes, &spans, span)?;
        let node = self.add(map, &nodes, span)?;
        Ok(self.tensor(node))
    }

    /// What a function of floats is for integers, where that needs no computing: they are rounded,
    /// finite, and numbers.
    fn of_whole_numbers(&mut self, map: MapOp, x: NodeId, span: Span) -> Eval<Option<NodeId>> {
        let ty = self.node_ty(x).clone();
        if !ty.dtype.is_int() {
            return Ok(None);
        }
        let known = match map {
            MapOp::Floor | MapOp::Ceil | MapOp::Round | MapOp::Trunc => return Ok(Some(x)),
            MapOp::IsNan | MapOp::IsInf => 0,
            MapOp::IsFinite => 1,
            _ => return Ok(None),
        };
        let scalar = self.constant(Scalar::from_i64(DType::Bool, known), span);
        self.stretch(scalar, &ty.shape, span).map(Some)
    }

    fn wrong_dtypes(
        &mut self,
        (what, takes): (&str, Takes),
        message: &str,
        nodes: &[NodeId],
        operands: &[Operand<'w>],
        span: Span,
    ) -> super::Reported {
        let masks = usize::from(takes == Takes::MaskThenAny);
        let rest = &nodes[masks..];
        let dtype = |n: NodeId| self.node_ty(n).dtype;
        let differ = rest.iter().position(|&n| dtype(n) != dtype(rest[0]));
        let describe = |i: usize| self.describe(operands[i].1, &self.tensor_ty(nodes[i]));
        if let Some(other) = differ {
            let (a, b) = (dtype(rest[0]), dtype(rest[other]));
            let message = format!("{what} needs operands of one element type, found {a} and {b}");
            let here = format!("{}, {}", describe(masks), describe(masks + other));
            let diagnostic = Diagnostic::error(codes::DTYPE_MISMATCH, span, message).here(here);
            let width = |d: DType| (d.is_float(), d.is_int(), d.size());
            let (wide, narrow) = if width(a) >= width(b) { (a, masks + other) } else { (b, masks) };
            let text = self.text(operands[narrow].1);
            let help = format!("convert one of them: {wide}({text})");
            return self.report(diagnostic.help(help));
        }
        // The row's message starts with its name; the user wrote another.
        let detail = message.split_once(' ').map_or(message, |(_, rest)| rest);
        let here = (0..nodes.len()).map(describe).collect::<Vec<_>>().join(", ");
        let message = format!("{what} {detail}");
        let mut diagnostic = Diagnostic::error(codes::DTYPE_MISMATCH, span, message).here(here);
        let wrong = |i: usize, right: fn(DType) -> bool| !right(dtype(nodes[i]));
        let text = |i: usize| self.text(operands[i].1);
        diagnostic.help.extend(match takes {
            Takes::MaskThenAny if wrong(0, |d| d == DType::Bool) => {
                Some(format!("compare it: {} != 0", text(0)))
            }
            Takes::Float if wrong(0, DType::is_float) => {
                Some(format!("convert it: f32({})", text(0)))
            }
            Takes::Bits if what == "`^`" => {
                Some(format!("a power is written {} ** {}", text(0), text(1)))
            }
            _ => None,
        });
        self.report(diagnostic)
    }

    /// The operands stretched to one shape, by NumPy's rule.
    pub(crate) fn broadcast(
        &mut self,
        what: &str,
        nodes: &[NodeId],
        spans: &[Span],
        span: Span,
    ) -> Eval<SmallVec<[NodeId; 3]>> {
        let rank = nodes.iter().map(|&n| self.node_ty(n).rank()).max().unwrap_or(0);
        // For each axis of the result the operand and axis that gives its size.
        let mut giver: Vec<Option<(usize, usize)>> = vec![None; rank];
        for axis in (0..rank).rev() {
            for (i, &node) in nodes.iter().enumerate() {
                let Some(own) = (axis + self.node_ty(node).rank()).checked_sub(rank) else {
                    continue;
                };
                let size = &self.node_ty(node).shape[own];
                match giver[axis] {
                    None => giver[axis] = Some((i, own)),
                    Some((j, theirs)) => {
                        let other = &self.node_ty(nodes[j]).shape[theirs];
                        if other.is(1) && !size.is(1) {
                            giver[axis] = Some((i, own));
                        } else if other != size && !size.is(1) {
                            let left = (nodes[j], theirs, spans[j]);
                            return Err(self.no_broadcast(what, left, (node, own, spans[i]), span));
                        }
                    }
                }
            }
        }
        let giver: Vec<(usize, usize)> =
            giver.into_iter().map(|g| g.expect("some operand has this axis")).collect();
        let size = |&(i, axis): &(usize, usize)| self.node_ty(nodes[i]).shape[axis].clone();
        let shape: SmallVec<[Dim; 4]> = giver.iter().map(size).collect();
        let mut results = SmallVec::new();
        for &node in nodes {
            let result = self.stretch(node, &shape, span)?;
            if result != node {
                for (axis, &(i, theirs)) in giver.iter().enumerate() {
                    self.set_origin(result, axis, SizeOrigin::Axis(nodes[i], theirs));
                }
            }
            results.push(result);
        }
        Ok(results)
    }

    /// A tensor repeated to a shape that its own broadcasts to.
    pub(crate) fn stretch(&mut self, node: NodeId, shape: &[Dim], span: Span) -> Eval<NodeId> {
        let ty = self.node_ty(node).clone();
        if ty.shape.as_slice() == shape {
            return Ok(node);
        }
        let offset = shape.len() - ty.rank();
        let keeps = |axis: &usize| ty.shape[*axis] == shape[offset + axis];
        let kept: SmallVec<[usize; 4]> = (0..ty.rank()).filter(keeps).collect();
        let node = self.reshape(node, kept.iter().map(|&a| ty.shape[a].clone()), span)?;
        let axes = kept.iter().map(|&a| (offset + a) as u8).collect();
        self.add(Op::Broadcast { shape: shape.into(), axes }, &[node], span)
    }
}

/// As an operand: what is not one word in brackets.
pub(super) fn grouped(dim: &Dim) -> String {
    match dim {
        Dim::Const(0..) => dim.to_string(),
        _ if dim.as_var().is_some() => dim.to_string(),
        _ => format!("({dim})"),
    }
}

fn fold_floats(op: BinaryOp, a: f64, b: f64) -> Option<Static> {
    let float = |x: f64| Some(Static::Float(x, None));
    match op {
        BinaryOp::Add => float(a + b),
        BinaryOp::Sub => float(a - b),
        BinaryOp::Mul => float(a * b),
        BinaryOp::Div => float(a / b),
        BinaryOp::Rem => float(a % b),
        BinaryOp::Pow => float(a.powf(b)),
        BinaryOp::Eq => Some(Static::Bool(a == b)),
        BinaryOp::Ne => Some(Static::Bool(a != b)),
        BinaryOp::Lt => Some(Static::Bool(a < b)),
        BinaryOp::Le => Some(Static::Bool(a <= b)),
        BinaryOp::Gt => Some(Static::Bool(a > b)),
        BinaryOp::Ge => Some(Static::Bool(a >= b)),
        BinaryOp::And | BinaryOp::Or | BinaryOp::Xor | BinaryOp::MatMul => None,
    }
}

/// A float function of numbers of which some are sizes: its element type is still open.
fn computed(map: MapOp, operands: &[Operand<'_>]) -> Option<Static> {
    let number = |(value, _): &Operand<'_>| match value {
        Value::Static(known @ (Static::Dim(_) | Static::Float(..) | Static::Computed(..))) => {
            Some(known.clone())
        }
        _ => None,
    };
    let row = map.row();
    let float = operands.iter().any(|(v, _)| v.has_float()) || row.takes == Takes::Float;
    let same = row.takes != Takes::MaskThenAny && matches!(row.gives, Gives::Same);
    let operands: Option<Rc<[Static]>> = operands.iter().map(number).collect();
    let operands = operands.filter(|_| float && same)?;
    row.result(&vec![DType::F64; operands.len()]).ok()?;
    Some(Static::Computed(map, operands))
}

/// The value of a float function on known numbers, in `f64`: it is rounded where it is used.
fn fold_row(map: MapOp, operands: &[Operand<'_>]) -> Option<Static> {
    let number = |(value, _): &Operand<'_>| match value {
        Value::Static(Static::Float(x, _)) => Some(Scalar::new(*x)),
        Value::Static(Static::Dim(Dim::Const(n))) => Some(Scalar::new(*n as f64)),
        _ => None,
    };
    let row = map.row();
    let float = operands.iter().any(|(v, _)| v.has_float()) || row.takes == Takes::Float;
    if !float || matches!(row.takes, Takes::MaskThenAny) {
        return None;
    }
    let operands: Option<Vec<Scalar>> = operands.iter().map(number).collect();
    let operands = operands?;
    let types: Vec<DType> = operands.iter().map(|s| s.dtype()).collect();
    row.result(&types).ok()?;
    let result = row.scalar(&operands);
    Some(match result.dtype() {
        DType::Bool => Static::Bool(result.to_i64() != 0),
        _ => Static::Float(result.to_f64(), None),
    })
}
