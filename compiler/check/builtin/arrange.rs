//! Functions that put elements at other places: parts, repetitions, margins, matrices of diagonals.

use super::{Args, Builtin, Run};
use crate::check::value::{Static, Value};
use crate::check::walk::{Eval, Walk};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::ops::LiteralTensor;
use crate::graph::{Dim, MapOp, NodeId, Op};
use smallvec::SmallVec;
use tensc_runtime::{DType, Tensor};

pub(super) fn rows() -> Vec<Builtin> {
    macro_rules! rows {
        ($($name:literal $params:expr, $doc:literal, $run:expr;)*) => {
            vec![$(Builtin { name: $name, params: &$params, doc: $doc, run: Run::Values($run) }),*]
        };
    }
    rows! {
        "parts" ["x", "sizes", "axis?"], "Parts along an axis (0), so many equal ones or of these sizes, as a tuple.", |w, args| {
            let x = w.tensor_arg(args, 0)?;
            parts(w, args, x)
        };
        "roll" ["x", "shift", "axis"], "Moved along axes, so far each (a number, a size, or computed); what leaves at one end enters at the other.", roll;
        "tile" ["x", "counts"], "Copies beside each other, so many along each axis; missing axes come first.", tile;
        "repeat" ["x", "count", "axis"], "Each element along an axis so many times in a row; a list has a number for each.", repeat;
        "move_axis" ["x", "from", "to"], "Axes at other places, the others in their order.", move_axis;
        "meshgrid" ["parts"], "Vectors repeated over the grid that they span: one tensor for each, as a tuple; axis `i` is that of vector `i` (\"ij\" of NumPy).", meshgrid;
        "diag_embed" ["x", "offset?", "axis1?", "axis2?"],
            "Matrices with the last axis on a diagonal and zeros elsewhere, along two new axes (the last).", diag_embed;
        "kron" ["a", "b"], "The Kronecker product.", kron;
        "tensordot" ["a", "b", "axes_a", "axes_b?"],
            "The sum of products over paired axes; one number alone is how many, the last of `a` and the first of `b`.", tensordot;
    }
}

impl<'w> Walk<'w> {
    /// Along one axis `len` elements from `start` on, `step` apart.
    pub(super) fn cut_axis(
        &mut self,
        x: NodeId,
        axis: usize,
        [start, len]: [Dim; 2],
        step: i64,
        span: Span,
    ) -> Eval<NodeId> {
        let mut lens = self.node_ty(x).shape.clone();
        let mut starts: SmallVec<[Dim; 4]> = SmallVec::from_elem(Dim::Const(0), lens.len());
        let mut steps: SmallVec<[i64; 4]> = SmallVec::from_elem(1, lens.len());
        // No element of an axis without any need be inside.
        starts[axis] = if len.is(0) { Dim::Const(0) } else { start };
        lens[axis] = len;
        steps[axis] = step;
        self.add(Op::Slice { starts, lens, steps }, &[x], span)
    }

    /// The known whole numbers of an argument: one, or a list.
    pub(super) fn ints_arg(&mut self, args: &Args<'w>, i: usize) -> Eval<Vec<(i64, Span)>> {
        let (value, at) = args.get(i);
        let items = match value {
            Value::List(items) => items.to_vec(),
            Value::Tuple(items) => items.iter().map(|v| (v.clone(), at)).collect(),
            one => vec![(one.clone(), at)],
        };
        items.iter().map(|(v, at)| Ok((self.known_i64(v, *at)?, *at))).collect()
    }

    /// Axes in the order in which they are written.
    fn ordered_axes(&mut self, args: &Args<'w>, i: usize, x: NodeId) -> Eval<Vec<usize>> {
        let ty = self.node_ty(x).clone();
        let mut axes = Vec::new();
        for (axis, at) in self.ints_arg(args, i)? {
            let axis = self.checked_axis(axis, ty.rank(), &ty.to_string(), at)?;
            if axes.contains(&axis) {
                return Err(self.error(codes::BAD_AXIS, at, "an axis is named twice"));
            }
            axes.push(axis);
        }
        Ok(axes)
    }
}

fn same_number<'w>(w: &mut Walk<'w>, args: &Args<'w>, i: usize, of: [usize; 2]) -> Eval<()> {
    if of[0] == of[1] {
        return Ok(());
    }
    let message = format!("{} numbers for {} axes", of[0], of[1]);
    Err(w.error(codes::BAD_ARGUMENTS, args.get(i).1, message))
}

fn roll<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let mut x = w.tensor_arg(args, 0)?;
    let (shifts, at) = args.get(1);
    let shifts: Vec<(Value<'w>, Span)> = match shifts {
        Value::List(items) => items.to_vec(),
        Value::Tuple(items) => items.iter().map(|shift| (shift.clone(), at)).collect(),
        one => vec![(one.clone(), at)],
    };
    let axes = w.ordered_axes(args, 2, x)?;
    same_number(w, args, 1, [shifts.len(), axes.len()])?;
    for (axis, (shift, at)) in axes.into_iter().zip(shifts) {
        let n = w.node_ty(x).shape[axis].clone();
        x = match (&shift, n.known()) {
            (_, Some(0)) => x,
            (Value::Static(Static::Dim(Dim::Const(shift))), Some(n)) => {
                rolled(w, x, axis, shift.rem_euclid(n), args.span)?
            }
            (Value::Static(Static::Dim(Dim::Const(shift))), None) => {
                rolled(w, x, axis, *shift, args.span)?
            }
            _ => rolled_by_places(w, x, axis, (&shift, at), args.span)?,
        };
    }
    Ok(w.tensor(x))
}

/// Moved by a known number of places, not more than there are.
fn rolled(w: &mut Walk<'_>, x: NodeId, axis: usize, shift: i64, span: Span) -> Eval<NodeId> {
    if shift == 0 {
        return Ok(x);
    }
    // The first `first` elements go behind the others.
    let n = w.node_ty(x).shape[axis].clone();
    let first = if shift > 0 { n.clone() - Dim::Const(shift) } else { Dim::Const(-shift) };
    let front = w.cut_axis(x, axis, [Dim::Const(0), first.clone()], 1, span)?;
    let back = w.cut_axis(x, axis, [first.clone(), n - first], 1, span)?;
    w.add(Op::Concat(axis as u8), &[back, front], span)
}

/// Moved by a size or a computed number: gathered from the places it was at before.
fn rolled_by_places<'w>(
    w: &mut Walk<'w>,
    x: NodeId,
    axis: usize,
    (shift, at): (&Value<'w>, Span),
    span: Span,
) -> Eval<NodeId> {
    let shift = w.to_tensor(shift, Some(DType::I64), at)?;
    let ty = w.node_ty(shift);
    if ty.rank() > 0 || !ty.dtype.is_int() {
        let found = w.tensor(shift);
        return Err(w.expected("a whole number", &found, at));
    }
    let n = w.node_ty(x).shape[axis].clone();
    let shape = [n.clone()];
    let shift = w.converted(shift, DType::I64, at)?;
    let size = w.to_tensor(&Value::dim(n.clone()), Some(DType::I64), span)?;
    let (shift, size) = (w.stretch(shift, &shape, span)?, w.stretch(size, &shape, span)?);
    let shape = std::iter::once(n.clone()).collect();
    let here = w.add(Op::Iota { dtype: DType::I64, shape, axis: 0 }, &[], span)?;
    // The shift is brought into the axis first: the least integer may be one.
    let shift = w.add(MapOp::Rem, &[shift, size], span)?;
    let before = w.add(MapOp::Sub, &[here, shift], span)?;
    let before = w.add(MapOp::Add, &[before, size], span)?;
    let before = w.add(MapOp::Rem, &[before, size], span)?;
    let before = super::checked(w, before, &n, span)?;
    w.add(Op::Gather(axis as u8), &[x, before], span)
}

fn tile<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let x = w.tensor_arg(args, 0)?;
    let counts: Vec<Dim> = w.shape_arg(args, 1)?.into_iter().map(|(d, _)| d).collect();
    let own = w.node_ty(x).shape.clone();
    if counts.len() < own.len() {
        let message = format!("{} axes need as many counts, found {}", own.len(), counts.len());
        return Err(w.error(codes::BAD_ARGUMENTS, args.get(1).1, message));
    }
    let lead = counts.len() - own.len();
    let size = |axis: usize| if axis < lead { Dim::Const(1) } else { own[axis - lead].clone() };
    let wide: SmallVec<[Dim; 4]> =
        (0..counts.len()).flat_map(|a| [counts[a].clone(), size(a)]).collect();
    let axes = (lead..counts.len()).map(|a| 2 * a as u8 + 1).collect();
    let node = w.add(Op::Broadcast { shape: wide, axes }, &[x], args.span)?;
    let shape: Vec<Dim> = (0..counts.len()).map(|a| counts[a].clone() * size(a)).collect();
    let node = w.reshape(node, shape, args.span)?;
    Ok(w.tensor(node))
}

fn repeat<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let x = w.tensor_arg(args, 0)?;
    let ty = w.node_ty(x).clone();
    let (axis, at) = args.get(2);
    let axis = w.axis(axis, &ty, at)?;
    let (count, at) = args.get(1);
    if let Value::List(_) | Value::Tuple(_) = count {
        return repeat_each(w, args, x, axis);
    }
    let count = w.as_dim(count, at)?;
    let mut wide = ty.shape.clone();
    wide.insert(axis + 1, count.clone());
    let axes = (0..wide.len() as u8).filter(|&a| usize::from(a) != axis + 1).collect();
    let node = w.add(Op::Broadcast { shape: wide, axes }, &[x], args.span)?;
    let mut shape = ty.shape.to_vec();
    shape[axis] = shape[axis].clone() * count;
    let node = w.reshape(node, shape, args.span)?;
    Ok(w.tensor(node))
}

/// Each element along an axis as often as its number in a list says.
fn repeat_each<'w>(w: &mut Walk<'w>, args: &Args<'w>, x: NodeId, axis: usize) -> Eval<Value<'w>> {
    let n = w.node_ty(x).shape[axis].clone();
    let (counts, (_, at)) = (w.ints_arg(args, 1)?, args.get(1));
    if !n.is(counts.len() as i64) {
        let message = format!("{} numbers for an axis of size {n}", counts.len());
        let diagnostic = Diagnostic::error(codes::SHAPE_MISMATCH, at, message);
        let diagnostic = w.with_size(diagnostic, x, axis);
        return Err(w.report(diagnostic));
    }
    let mut places = Vec::new();
    for (place, (count, at)) in counts.into_iter().enumerate() {
        let Ok(count) = usize::try_from(count) else {
            let message = format!("an element cannot stand {count} times in a row");
            return Err(w.error(codes::SHAPE_MISMATCH, at, message));
        };
        places.extend(std::iter::repeat_n(place as i64, count));
    }
    let shape = [places.len()];
    let literal = Op::Literal(LiteralTensor(Tensor::from_slice(&places, shape)));
    let places = w.add(literal, &[], at)?;
    let places = super::checked(w, places, &n, at)?;
    let node = w.add(Op::Gather(axis as u8), &[x, places], args.span)?;
    Ok(w.tensor(node))
}

fn move_axis<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let x = w.tensor_arg(args, 0)?;
    let (from, to) = (w.ordered_axes(args, 1, x)?, w.ordered_axes(args, 2, x)?);
    same_number(w, args, 2, [to.len(), from.len()])?;
    let rank = w.node_ty(x).rank();
    let mut rest = (0..rank).filter(|a| !from.contains(a));
    let perm: Vec<u8> = (0..rank)
        .map(|axis| match to.iter().position(|&t| t == axis) {
            Some(i) => from[i] as u8,
            None => rest.next().expect("as many axes as before") as u8,
        })
        .collect();
    let node = w.transpose(x, &perm, args.span)?;
    Ok(w.tensor(node))
}

fn meshgrid<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let (value, at) = args.get(0);
    let items = match value {
        Value::List(items) => items.to_vec(),
        Value::Tuple(items) => items.iter().map(|v| (v.clone(), at)).collect(),
        other => return Err(w.expected("a list of vectors", other, at)),
    };
    let mut nodes = Vec::new();
    for (item, at) in &items {
        let node = w.to_tensor(item, None, *at)?;
        if w.node_ty(node).rank() > 1 {
            return Err(w.expected("a vector", item, *at));
        }
        nodes.push(node);
    }
    let size = |w: &Walk<'w>, n: NodeId| w.node_ty(n).elements();
    let shape: SmallVec<[Dim; 4]> = nodes.iter().map(|&n| size(w, n)).collect();
    let mut grids = Vec::new();
    for (axis, &node) in nodes.iter().enumerate() {
        let vector = w.reshape(node, [size(w, node)], args.span)?;
        let axes = SmallVec::from_slice(&[axis as u8]);
        let grid = w.add(Op::Broadcast { shape: shape.clone(), axes }, &[vector], args.span)?;
        grids.push(w.tensor(grid));
    }
    Ok(Value::tuple(grids))
}

fn diag_embed<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let x = w.tensor_arg(args, 0)?;
    let ty = w.node_ty(x).clone();
    let offset = w.int_or(args, 1, 0)?;
    let (rank, span) = (ty.rank() + 1, args.span);
    if ty.rank() == 0 {
        return Err(w.error(codes::BAD_AXIS, args.get(0).1, "a scalar has no axis to embed"));
    }
    let mut places = [rank - 2, rank - 1];
    for (number, place) in places.iter_mut().enumerate() {
        if let Some((value, at)) = args.given(2 + number) {
            let axis = w.known_i64(value, at)?;
            *place = w.checked_axis(axis, rank, &format!("{ty} with two axes for its last"), at)?;
        }
    }
    if places[0] == places[1] {
        return Err(w.error(codes::BAD_AXIS, span, "a matrix has two different axes"));
    }
    // Below the diagonal a column has its own element, above it a row.
    let last = rank - 2;
    let zero = w.to_tensor(&Value::int(0), Some(ty.dtype), span)?;
    let mut high: SmallVec<[Dim; 4]> = SmallVec::from_elem(Dim::Const(0), ty.rank());
    high[last] = Dim::Const(offset.saturating_abs());
    let low = SmallVec::from_elem(Dim::Const(0), ty.rank());
    let pad = Op::Pad { low, high, interior: SmallVec::from_elem(0, ty.rank()) };
    let longer = w.add(pad, &[x, zero], span)?;
    let mut shape = w.node_ty(longer).shape.clone();
    shape.push(shape[last].clone());
    let own = if offset >= 0 { last } else { last + 1 };
    let axes = (0..last as u8).chain([own as u8]).collect();
    let wide = w.add(Op::Broadcast { shape: shape.clone(), axes }, &[longer], span)?;
    let iota = |axis| Op::Iota { dtype: DType::I64, shape: shape.clone(), axis };
    let rows = w.add(iota(last as u8), &[], span)?;
    let columns = w.add(iota(last as u8 + 1), &[], span)?;
    let shift = w.to_tensor(&Value::int(offset), Some(DType::I64), span)?;
    let shift = w.stretch(shift, &shape, span)?;
    let moved = w.add(MapOp::Add, &[rows, shift], span)?;
    let mask = w.add(MapOp::Eq, &[moved, columns], span)?;
    let zeros = w.stretch(zero, &shape, span)?;
    let matrix = w.add(MapOp::Select, &[mask, wide, zeros], span)?;
    let mut rest = 0..last as u8;
    let perm: Vec<u8> = (0..rank)
        .map(|axis| match places.iter().position(|&p| p == axis) {
            Some(i) => (last + i) as u8,
            None => rest.next().expect("as many axes as before"),
        })
        .collect();
    let node = w.transpose(matrix, &perm, span)?;
    Ok(w.tensor(node))
}

fn kron<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let (a, b) = (w.tensor_arg(args, 0)?, w.tensor_arg(args, 1)?);
    let rank = w.node_ty(a).rank().max(w.node_ty(b).rank());
    let sizes = |w: &Walk<'w>, n: NodeId| -> Vec<Dim> {
        let own = w.node_ty(n).shape.clone();
        let lead = rank - own.len();
        (0..rank).map(|i| if i < lead { Dim::Const(1) } else { own[i - lead].clone() }).collect()
    };
    let (of_a, of_b) = (sizes(w, a), sizes(w, b));
    let one = || Dim::Const(1);
    let wide_a: Vec<Dim> = of_a.iter().flat_map(|n| [n.clone(), one()]).collect();
    let wide_b: Vec<Dim> = of_b.iter().flat_map(|n| [one(), n.clone()]).collect();
    let wide_a = w.reshape(a, wide_a, args.span)?;
    let wide_b = w.reshape(b, wide_b, args.span)?;
    let operands = [(w.tensor(wide_a), args.get(0).1), (w.tensor(wide_b), args.get(1).1)];
    let product = w.elementwise(MapOp::Mul, "`kron`", &operands, args.span)?;
    let product = w.to_tensor(&product, None, args.span)?;
    let shape: Vec<Dim> = of_a.into_iter().zip(of_b).map(|(m, n)| m * n).collect();
    let node = w.reshape(product, shape, args.span)?;
    Ok(w.tensor(node))
}

fn tensordot<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let (a, b) = (w.tensor_arg(args, 0)?, w.tensor_arg(args, 1)?);
    let (of_a, of_b) = paired_axes(w, args, a, b)?;
    for (&i, &j) in of_a.iter().zip(&of_b) {
        let (m, n) = (w.node_ty(a).shape[i].clone(), w.node_ty(b).shape[j].clone());
        if m != n {
            let message = format!("paired axes must be of one size, found {m} and {n}");
            let diagnostic = Diagnostic::error(codes::INNER_SIZES, args.span, message);
            let diagnostic = w.with_sizes(diagnostic, (a, i), (b, j));
            return Err(w.report(diagnostic));
        }
    }
    let ranks = [w.node_ty(a).rank(), w.node_ty(b).rank()];
    let letters_a: Vec<usize> = (0..ranks[0]).collect();
    let letter = |axis: usize| match of_b.iter().position(|&x| x == axis) {
        Some(i) => of_a[i],
        None => ranks[0] + axis,
    };
    let letters_b: Vec<usize> = (0..ranks[1]).map(letter).collect();
    let out: Vec<usize> = (letters_a.iter().filter(|l| !of_a.contains(l)).copied())
        .chain(letters_b.iter().copied().filter(|&l| l >= ranks[0]))
        .collect();
    let node = w.contract(a, &letters_a, b, &letters_b, &out, args.span)?;
    Ok(w.tensor(node))
}

/// The axes that a `tensordot` pairs.
fn paired_axes<'w>(
    w: &mut Walk<'w>,
    args: &Args<'w>,
    a: NodeId,
    b: NodeId,
) -> Eval<(Vec<usize>, Vec<usize>)> {
    if args.given(3).is_some() {
        let (of_a, of_b) = (w.ordered_axes(args, 2, a)?, w.ordered_axes(args, 3, b)?);
        same_number(w, args, 3, [of_b.len(), of_a.len()])?;
        return Ok((of_a, of_b));
    }
    let ranks = [w.node_ty(a).rank(), w.node_ty(b).rank()];
    let count = usize::try_from(w.int_arg(args, 2)?).ok();
    let Some(count) = count.filter(|n| ranks.iter().all(|rank| n <= rank)) else {
        let (a, b) = (w.node_ty(a).clone(), w.node_ty(b).clone());
        let message = format!("not so many axes pair between {a} and {b}");
        return Err(w.error(codes::BAD_AXIS, args.get(2).1, message));
    };
    Ok(((ranks[0] - count..ranks[0]).collect(), (0..count).collect()))
}

/// What stands around a tensor that is padded by its own elements.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Around {
    /// The elements from the edge on backwards, the edge apart.
    Reflect,
    /// The edge.
    Edge,
    /// The elements from the other end.
    Wrap,
}

impl Around {
    /// The one of this name.
    pub(super) fn of(name: &str) -> Option<Around> {
        match name {
            "reflect" => Some(Around::Reflect),
            "edge" => Some(Around::Edge),
            "wrap" => Some(Around::Wrap),
            _ => None,
        }
    }
}

/// Axis by axis, so that corners are made of margins.
pub(super) fn around(
    w: &mut Walk<'_>,
    x: NodeId,
    [low, high]: &[SmallVec<[Dim; 4]>; 2],
    mode: Around,
    span: Span,
) -> Eval<NodeId> {
    let mut x = x;
    for axis in 0..low.len() {
        let mut parts = Vec::new();
        for (amount, before) in [(&low[axis], true), (&high[axis], false)] {
            if !before {
                parts.push(x);
            }
            if !amount.is(0) {
                parts.push(margin(w, x, axis, (amount, before), mode, span)?);
            }
        }
        if parts.len() > 1 {
            x = w.add(Op::Concat(axis as u8), &parts, span)?;
        }
    }
    Ok(x)
}

/// What stands before or after an axis.
fn margin(
    w: &mut Walk<'_>,
    x: NodeId,
    axis: usize,
    (amount, before): (&Dim, bool),
    mode: Around,
    span: Span,
) -> Eval<NodeId> {
    let n = w.node_ty(x).shape[axis].clone();
    let one = Dim::Const(1);
    let last = n.clone() - one.clone();
    let start = match (mode, before) {
        (Around::Reflect, true) => amount.clone(),
        (Around::Reflect, false) => n.clone() - Dim::Const(2),
        (Around::Edge, true) | (Around::Wrap, false) => Dim::Const(0),
        (Around::Edge, false) => last.clone(),
        (Around::Wrap, true) => n.clone() - amount.clone(),
    };
    let room = if mode == Around::Reflect { last } else { n };
    let short = (room.clone() - amount.clone()).known().is_some_and(|more| more < 0);
    if short && mode != Around::Edge {
        let message = format!("a margin of {amount} is longer than what it repeats, {room}");
        return Err(w.error(codes::SHAPE_MISMATCH, span, message));
    }
    match mode {
        Around::Reflect => w.cut_axis(x, axis, [start, amount.clone()], -1, span),
        Around::Wrap => w.cut_axis(x, axis, [start, amount.clone()], 1, span),
        Around::Edge => {
            let edge = w.cut_axis(x, axis, [start, one], 1, span)?;
            let mut shape = w.node_ty(x).shape.clone();
            shape.remove(axis);
            let flat = w.reshape(edge, shape.iter().cloned(), span)?;
            let axes = (0..=shape.len() as u8).filter(|&a| usize::from(a) != axis).collect();
            shape.insert(axis, amount.clone());
            w.add(Op::Broadcast { shape, axes }, &[flat], span)
        }
    }
}

/// Parts of a tensor along an axis: so many of one size, or of these sizes.
fn parts<'w>(w: &mut Walk<'w>, args: &Args<'w>, x: NodeId) -> Eval<Value<'w>> {
    let ty = w.node_ty(x).clone();
    let axis = match args.given(2) {
        Some((value, at)) => w.axis(value, &ty, at)?,
        None => w.checked_axis(0, ty.rank(), &ty.to_string(), args.get(0).1)?,
    };
    let n = ty.shape[axis].clone();
    let (value, at) = args.get(1);
    let sizes: Vec<Dim> = match value {
        Value::List(_) | Value::Tuple(_) => {
            w.sizes(value, at)?.into_iter().map(|(size, _)| size).collect()
        }
        _ => {
            let count = w.known_i64(value, at)?;
            let each = if count > 0 { n.div_exact(&Dim::Const(count)) } else { None };
            let Some(each) = each else {
                let message = format!("{n} is not known to be {count} equal parts");
                let diagnostic = Diagnostic::error(codes::INEXACT_DIVISION, at, message);
                let diagnostic = w.with_size(diagnostic, x, axis);
                return Err(w.report(diagnostic.help("write the sizes: parts(x, [2, 3])")));
            };
            vec![each; count as usize]
        }
    };
    let total = sizes.iter().fold(Dim::Const(0), |sum, size| sum + size.clone());
    if total != n {
        let message = format!("parts of {total} together, axis {axis} is {n}");
        let diagnostic = Diagnostic::error(codes::SHAPE_MISMATCH, at, message);
        let diagnostic = w.with_size(diagnostic, x, axis);
        return Err(w.report(diagnostic));
    }
    let mut start = Dim::Const(0);
    let mut made = Vec::new();
    for size in sizes {
        let part = w.cut_axis(x, axis, [start.clone(), size.clone()], 1, args.span)?;
        made.push(w.tensor(part));
        start = start + size;
    }
    Ok(Value::tuple(made))
}
