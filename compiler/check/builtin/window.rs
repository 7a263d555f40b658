//! Views by two axes at once: windows and diagonals.

use super::{Args, Builtin, Run};
use crate::check::value::{SizeOrigin, Value};
use crate::check::walk::{Eval, Walk, steps};
use crate::diag::{Diagnostic, codes};
use crate::graph::ops::Window;
use crate::graph::{Dim, NodeId, Op, TensorType};

pub(super) fn rows() -> Vec<Builtin> {
    vec![
        Builtin {
            name: "windows",
            params: &["x", "axis", "size", "stride?", "dilation?", "start?", "count?"],
            doc: "An axis as two: places, and `size` elements from each on; nothing is copied.",
            run: Run::Values(windows),
        },
        Builtin {
            name: "diagonal",
            params: &["x", "offset?", "axis1?", "axis2?"],
            doc: "The elements whose second index is the first plus an offset, along a new last axis.",
            run: Run::Values(diagonal),
        },
    ]
}

impl<'w> Walk<'w> {
    /// A whole number that may be left out.
    pub(crate) fn int_or(&mut self, args: &Args<'w>, i: usize, or: i64) -> Eval<i64> {
        match args.given(i) {
            None => Ok(or),
            Some((value, at)) => self.known_i64(value, at),
        }
    }
}

fn windows<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let x = w.tensor_arg(args, 0)?;
    let ty = w.node_ty(x).clone();
    let (axis, at) = args.get(1);
    let axis = w.axis(axis, &ty, at)?;
    let (size, size_at) = args.get(2);
    let size = w.as_dim(size, size_at)?;
    if size.known().is_some_and(|n| n < 1) {
        let message = format!("a window has at least one element, found {size}");
        return Err(w.error(codes::BAD_ARGUMENTS, size_at, message));
    }
    let stride = w.int_or(args, 3, 1)?;
    let dilation = w.int_or(args, 4, 1)?;
    if stride < 1 || dilation == 0 {
        let at = args.given(if stride < 1 { 3 } else { 4 }).map_or(args.span, |(_, at)| at);
        let message = match stride < 1 {
            true => format!("the stride of windows is positive, found {stride}"),
            false => "a dilation of 0 gets nowhere".to_string(),
        };
        return Err(w.error(codes::BAD_ARGUMENTS, at, message));
    }
    let reach = Dim::Const(dilation.saturating_abs()) * (size.clone() - Dim::Const(1));
    let (before, after) =
        if dilation > 0 { (Dim::Const(0), reach) } else { (reach, Dim::Const(0)) };
    let start = match args.given(5) {
        None => before,
        Some((value, at)) => w.as_dim(value, at)?,
    };
    let n = ty.shape[axis].clone();
    let count = match args.given(6) {
        Some((value, at)) => w.as_dim(value, at)?,
        None => steps(&start, &(n.clone() - after), stride),
    };
    if count.known().is_some_and(|n| n < 1) && args.given(6).is_none() {
        let message = format!("a window of {size} does not fit axis {axis}, whose size is {n}");
        let diagnostic = Diagnostic::error(codes::SHAPE_MISMATCH, size_at, message);
        let diagnostic = w.with_size(diagnostic, x, axis);
        return Err(w.report(diagnostic));
    }
    let window = Window { axis: axis as u8, start, count, size, stride, dilation };
    let node = w.add(Op::Window(window), &[x], args.span)?;
    for from in (0..ty.rank()).filter(|&from| from != axis) {
        w.set_origin(node, from + usize::from(from > axis), SizeOrigin::Axis(x, from));
    }
    Ok(w.tensor(node))
}

fn diagonal<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let x = w.tensor_arg(args, 0)?;
    let ty = w.node_ty(x).clone();
    let offset = w.int_or(args, 1, 0)?;
    let axes = two_axes(w, args, &ty)?;
    let node = diagonal_of(w, x, offset, axes, args)?;
    Ok(w.tensor(node))
}

/// `axis1` and `axis2`: 0 and 1 where they are left out.
fn two_axes<'w>(w: &mut Walk<'w>, args: &Args<'w>, ty: &TensorType) -> Eval<[usize; 2]> {
    let (_, whole) = args.get(0);
    let mut axes = [0; 2];
    for (number, axis) in axes.iter_mut().enumerate() {
        *axis = match args.given(2 + number) {
            Some((value, at)) => w.axis(value, ty, at)?,
            None => w.checked_axis(number as i64, ty.rank(), &ty.to_string(), whole)?,
        };
    }
    if axes[0] == axes[1] {
        let message = format!("a diagonal runs along two axes, found {} twice", axes[0]);
        return Err(w.error(codes::BAD_AXIS, args.span, message));
    }
    Ok(axes)
}

fn diagonal_of<'w>(
    w: &mut Walk<'w>,
    x: NodeId,
    offset: i64,
    [rows, columns]: [usize; 2],
    args: &Args<'w>,
) -> Eval<NodeId> {
    let ty = w.node_ty(x).clone();
    // Where the diagonal starts, and how many elements of each axis there are from there on.
    let starts = [(-offset).max(0), offset.max(0)];
    let room = [rows, columns].map(|axis| ty.shape[axis].clone());
    let room = [0, 1].map(|i| room[i].clone() - Dim::Const(starts[i]));
    let len = match (room[1].clone() - room[0].clone()).known() {
        Some(more) => room[usize::from(more < 0)].clone(),
        None => {
            let (m, n) = (&ty.shape[rows], &ty.shape[columns]);
            let message = format!("which of {m} and {n} is smaller is not known");
            let diagnostic = Diagnostic::error(codes::SHAPE_MISMATCH, args.span, message);
            let diagnostic = w.with_sizes(diagnostic, (x, rows), (x, columns));
            return Err(w.report(diagnostic));
        }
    };
    let len = if len.known().is_some_and(|n| n < 0) { Dim::Const(0) } else { len };
    let mut lens = ty.shape.clone();
    let mut from: smallvec::SmallVec<[Dim; 4]> =
        smallvec::SmallVec::from_elem(Dim::Const(0), ty.rank());
    for (axis, start) in [(rows, starts[0]), (columns, starts[1])] {
        lens[axis] = len.clone();
        from[axis] = if len.is(0) { Dim::Const(0) } else { Dim::Const(start) };
    }
    let steps = smallvec::SmallVec::from_elem(1, ty.rank());
    let square = w.add(Op::Slice { starts: from, lens, steps }, &[x], args.span)?;
    let (a, b) = (rows.min(columns), rows.max(columns));
    let node = w.add(Op::Diagonal(a as u8, b as u8), &[square], args.span)?;
    // The diagonal goes last.
    let last = ty.rank() as u8 - 1;
    let mut perm: Vec<u8> = (0..last).filter(|&axis| usize::from(axis) != a).collect();
    perm.push(a as u8);
    w.transpose(node, &perm, args.span)
}
