//! Choosing and looking up.

use super::reduce::is_flag;
use super::{Args, Builtin, Run};
use crate::check::value::Value;
use crate::check::walk::{Eval, Walk};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::ops::naive::{LEAST, UNSIGNED};
use crate::graph::{Dim, MapOp, NodeId, Op};
use tensc_runtime::{DType, Scalar};

pub(super) fn rows() -> Vec<Builtin> {
    macro_rules! rows {
        ($($name:literal $params:expr, $doc:literal, $run:expr;)*) => {
            vec![$(Builtin { name: $name, params: &$params, doc: $doc, run: Run::Values($run) }),*]
        };
    }
    rows! {
        "where" ["condition", "x", "y"], "`x` where the condition is true, `y` elsewhere; they broadcast.", choose;
        "clip" ["x", "low?", "high?"], "`x` brought between two bounds, or to one side of one; NaN stays NaN.", clip;
        "one_hot" ["x", "size", "dtype?"], "A new last axis with 1 at the index and 0 elsewhere; an index out of range is an error, and so is a negative one.", one_hot;
        "take" ["x", "indices", "axis?"], "The elements at these indices along an axis (0).", take;
        "scatter_add" ["x", "indices", "updates", "axis?"], "`x` with each update added at its index along an axis (0).", scatter_add;
        "check_index" ["x", "size", "strict?"], "The indices as i64, each counted from the end where it is negative; one that is out of range is an error, with `strict` a negative one too.", check_index;
        "logical_and" ["x", "y"], "Whether both are true, or not 0.", |w, a| on_masks(w, a, MapOp::And);
        "logical_or" ["x", "y"], "Whether one of two is true, or not 0.", |w, a| on_masks(w, a, MapOp::Or);
    }
}

fn on_masks<'w>(w: &mut Walk<'w>, args: &Args<'w>, map: MapOp) -> Eval<Value<'w>> {
    let what = format!("`{}`", map.row().name);
    let mut operands = Vec::with_capacity(2);
    for (value, at) in args.values.iter().flatten() {
        let truth = value.map_leaves(&mut |leaf| truth(w, leaf, (&what, *at)))?;
        operands.push((truth, *at));
    }
    w.elementwise(map, &what, &operands, args.span)
}

/// Whether the elements of a tensor are true, or not 0.
fn truth<'w>(w: &mut Walk<'w>, value: &Value<'w>, (what, at): (&str, Span)) -> Eval<Value<'w>> {
    let is_number = w.strong_dtype(value).is_some() || value.is_weak();
    match is_flag(w, value) || !is_number {
        true => Ok(value.clone()),
        false => {
            let operands = [(value.clone(), at), (Value::int(0), at)];
            w.elementwise(MapOp::Ne, what, &operands, at)
        }
    }
}

fn choose<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let operands: Vec<_> = args.values.iter().flatten().cloned().collect();
    w.elementwise_as(MapOp::Select, "`where`", &operands, (args.span, args.wanted_dtype()))
}

fn clip<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let (value, at) = args.get(0);
    let mut value = value.clone();
    let bounds = [(1, MapOp::Max), (2, MapOp::Min)].map(|(i, map)| Some((args.given(i)?, map)));
    if bounds.iter().all(Option::is_none) {
        let message = "a bound is missing: `low`, `high`, or both";
        return Err(w.error(codes::BAD_ARGUMENTS, args.span, message));
    }
    for ((bound, bound_at), map) in bounds.into_iter().flatten() {
        let operands = [(value, at), (bound.clone(), bound_at)];
        value = w.elementwise(map, "`clip`", &operands, args.span)?;
    }
    Ok(value)
}

/// Indices as `i64`, checked against a size at run time; negative ones count from the end.
pub(crate) fn checked<'w>(
    w: &mut Walk<'w>,
    indices: NodeId,
    bound: &Dim,
    at: Span,
) -> Eval<NodeId> {
    let dtype = w.node_ty(indices).dtype;
    if !dtype.is_int() {
        let message = format!("an index is an integer, found {dtype}");
        let diagnostic = Diagnostic::error(codes::BAD_INDEX, at, message);
        let diagnostic = match dtype {
            DType::Bool => diagnostic.help("choose with where(mask, x, 0.0)"),
            _ => diagnostic.help("convert it: i64(…)"),
        };
        return Err(w.report(diagnostic));
    }
    let indices = w.converted(indices, DType::I64, at)?;
    w.add(Op::CheckIndex(bound.clone()), &[indices], at)
}

/// [`checked`], where a negative index is out of range, too: the number of a class has no end to
/// count from.
pub(crate) fn strictly_checked<'w>(
    w: &mut Walk<'w>,
    indices: NodeId,
    bound: &Dim,
    at: Span,
) -> Eval<NodeId> {
    let ty = w.node_ty(indices).clone();
    if !ty.dtype.is_int() || ty.dtype == DType::U8 {
        return checked(w, indices, bound, at);
    }
    let mut indices = w.converted(indices, DType::I64, at)?;
    let all = |w: &mut Walk<'w>, number: i64| {
        let scalar = w.constant(Scalar::from_i64(DType::I64, number), at);
        w.stretch(scalar, &ty.shape, at)
    };
    if ty.dtype == DType::I64 {
        let least = all(w, LEAST)?;
        indices = w.add(MapOp::Max, &[indices, least], at)?;
    }
    let bits = all(w, UNSIGNED)?;
    let indices = w.add(MapOp::And, &[indices, bits], at)?;
    checked(w, indices, bound, at)
}

fn one_hot<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let x = w.tensor_arg(args, 0)?;
    let (size, at) = args.get(1);
    let size = w.as_dim(size, at)?;
    let dtype = w.dtype_arg(args, 2)?.or(args.wanted_dtype()).unwrap_or(DType::F32);
    let (_, x_at) = args.get(0);
    let mask = hot_mask(w, x, &size, x_at, args.span)?;
    let node = w.converted(mask, dtype, args.span)?;
    Ok(w.tensor(node))
}

/// `bool[x..., size]`: where the last position is the index.
fn hot_mask<'w>(w: &mut Walk<'w>, x: NodeId, size: &Dim, at: Span, span: Span) -> Eval<NodeId> {
    let index = strictly_checked(w, x, size, at)?;
    let mut shape = w.node_ty(index).shape.clone();
    let rank = shape.len();
    shape.push(size.clone());
    let axes = (0..rank as u8).collect();
    let index = w.add(Op::Broadcast { shape: shape.clone(), axes }, &[index], span)?;
    let positions = Op::Iota { dtype: DType::I64, shape, axis: rank as u8 };
    let positions = w.add(positions, &[], span)?;
    w.add(MapOp::Eq, &[positions, index], span)
}

fn take<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let x = w.tensor_arg(args, 0)?;
    let ty = w.node_ty(x).clone();
    let axis = match args.given(2) {
        Some((value, at)) => w.axis(value, &ty, at)?,
        None => w.checked_axis(0, ty.rank(), &ty.to_string(), args.get(0).1)?,
    };
    let (indices, at) = args.get(1);
    let indices = w.to_tensor(indices, Some(DType::I64), at)?;
    let indices = checked(w, indices, &ty.shape[axis], at)?;
    let node = w.add(Op::Gather(axis as u8), &[x, indices], args.span)?;
    Ok(w.tensor(node))
}

fn scatter_add<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let x = w.tensor_arg(args, 0)?;
    let ty = w.node_ty(x).clone();
    let axis = match args.given(3) {
        Some((value, at)) => w.axis(value, &ty, at)?,
        None => w.checked_axis(0, ty.rank(), &ty.to_string(), args.get(0).1)?,
    };
    let (indices, at) = args.get(1);
    let indices = w.to_tensor(indices, Some(DType::I64), at)?;
    let indices = checked(w, indices, &ty.shape[axis], at)?;
    let (updates, at) = args.get(2);
    let updates = w.to_tensor(updates, Some(ty.dtype), at)?;
    // What `take` gives for these indices is what updates look like.
    let mut like = ty.clone();
    let positions = w.node_ty(indices).shape.clone();
    like.shape =
        (ty.shape[..axis].iter().chain(&positions).chain(&ty.shape[axis + 1..])).cloned().collect();
    let found = w.node_ty(updates).clone();
    if found != like {
        let message = format!("these indices of {ty} need updates {like}, found {found}");
        return Err(w.error(codes::SHAPE_MISMATCH, at, message));
    }
    let node = w.add(Op::ScatterAdd(axis as u8), &[x, indices, updates], args.span)?;
    Ok(w.tensor(node))
}

fn check_index<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let (indices, at) = args.get(0);
    let indices = w.to_tensor(indices, Some(DType::I64), at)?;
    let (size, size_at) = args.get(1);
    let bound = w.as_dim(size, size_at)?;
    let node = match w.flag_arg(args, 2)? {
        true => strictly_checked(w, indices, &bound, at)?,
        false => checked(w, indices, &bound, at)?,
    };
    Ok(w.tensor(node))
}
