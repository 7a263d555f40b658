//! What goes along an axis in its order: running combinations, sorting, and elements at indices of
//! their own.

use super::{Args, Builtin, Run, checked};
use crate::check::value::Value;
use crate::check::walk::{Eval, Walk};
use crate::diag::{Diagnostic, codes};
use crate::graph::{Dim, MapOp, NodeId, Op};
use smallvec::SmallVec;
use tensc_runtime::DType;
use tensc_runtime::along::Running;

pub(super) fn rows() -> Vec<Builtin> {
    macro_rules! rows {
        ($($name:literal $params:expr, $doc:literal, $run:expr;)*) => {
            vec![$(Builtin { name: $name, params: &$params, doc: $doc, run: Run::Values($run) }),*]
        };
    }
    rows! {
        "cumsum" ["x", "axis?"], "The sums of the elements so far along an axis (the last).",
            |w, a| running(w, a, Running::Sum);
        "cumprod" ["x", "axis?"], "The products of the elements so far along an axis (the last).",
            |w, a| running(w, a, Running::Prod);
        "cummax" ["x", "axis?"], "The largest element so far along an axis (the last).",
            |w, a| running(w, a, Running::Max);
        "cummin" ["x", "axis?"], "The smallest element so far along an axis (the last).",
            |w, a| running(w, a, Running::Min);
        "logcumsumexp" ["x", "axis?"],
            "The logarithms of the sums of exponentials so far along an axis (the last).",
            |w, a| running(w, a, Running::LogSumExp);
        "cumargmax" ["x", "axis?"], "The latest position (i64) of the largest element so far.",
            |w, a| running_place(w, a, Running::Max);
        "cumargmin" ["x", "axis?"], "The latest position (i64) of the smallest element so far.",
            |w, a| running_place(w, a, Running::Min);
        "recurrence" ["a", "b", "axis?"],
            "Along an axis (the last) `y[i] = a[i] * y[i - 1] + b[i]`, from `y[0] = b[0]`.", recurrence;
        "argsort" ["x", "axis?", "descending?"],
            "The positions (i64) along an axis (the last) in the order of their elements; a NaN is largest.",
            argsort;
        "take_along_axis" ["x", "indices", "axis"],
            "Along an axis, at each position the element that the index there names.", take_along;
        "add_along_axis" ["x", "indices", "updates", "axis"],
            "`x` with each update added where, along an axis, the index at its position says.", add_along;
    }
}

/// The axis of an argument, or the last one.
fn axis_or_last<'w>(w: &mut Walk<'w>, args: &Args<'w>, i: usize, x: NodeId) -> Eval<usize> {
    let ty = w.node_ty(x).clone();
    match args.given(i) {
        Some((value, at)) => w.axis(value, &ty, at),
        None => w.checked_axis(-1, ty.rank(), &ty.to_string(), args.get(0).1),
    }
}

fn running<'w>(w: &mut Walk<'w>, args: &Args<'w>, op: Running) -> Eval<Value<'w>> {
    let x = w.tensor_arg(args, 0)?;
    let axis = axis_or_last(w, args, 1, x)?;
    if let Some(name) = match op {
        Running::Sum => Some("cumsum"),
        Running::Prod => Some("cumprod"),
        Running::Max | Running::Min | Running::LogSumExp => None,
    } {
        let (dtype, at) = (w.node_ty(x).dtype, args.get(0).1);
        let wider = format!("{name}(i64({}))", w.text(at));
        w.warn_of_wrapping(name, dtype, at, &wider);
    }
    let node = w.add(Op::Running(op, axis as u8), &[x], args.span)?;
    Ok(w.tensor(node))
}

fn running_place<'w>(w: &mut Walk<'w>, args: &Args<'w>, op: Running) -> Eval<Value<'w>> {
    let x = w.tensor_arg(args, 0)?;
    let axis = axis_or_last(w, args, 1, x)?;
    let span = args.span;
    let extreme = w.add(Op::Running(op, axis as u8), &[x], span)?;
    let shape = w.node_ty(x).shape.clone();
    let iota = Op::Iota { dtype: DType::I64, shape: shape.clone(), axis: axis as u8 };
    let places = w.add(iota, &[], span)?;
    let mut reached = w.add(MapOp::Eq, &[x, extreme], span)?;
    if w.node_ty(x).dtype.is_float() {
        // From the first NaN on, a NaN is the extreme.
        let nan = w.add(MapOp::IsNan, &[x], span)?;
        reached = w.add(MapOp::Or, &[reached, nan], span)?;
    }
    let zero = w.to_tensor(&Value::int(0), Some(DType::I64), span)?;
    let zero = w.stretch(zero, &shape, span)?;
    let chosen = w.add(MapOp::Select, &[reached, places, zero], span)?;
    let node = w.add(Op::Running(Running::Max, axis as u8), &[chosen], span)?;
    Ok(w.tensor(node))
}

fn recurrence<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let (a, b) = (w.tensor_arg(args, 0)?, w.tensor_arg(args, 1)?);
    let spans = [args.get(0).1, args.get(1).1];
    let both = w.broadcast("`recurrence`", &[a, b], &spans, args.span)?;
    let axis = axis_or_last(w, args, 2, both[0])?;
    let node = w.add(Op::Recur(axis as u8), &both, args.span)?;
    Ok(w.tensor(node))
}

fn argsort<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let x = w.tensor_arg(args, 0)?;
    let axis = axis_or_last(w, args, 1, x)?;
    let descending = w.flag_arg(args, 2)?;
    let x = match w.node_ty(x).dtype {
        DType::Bool => w.converted(x, DType::U8, args.span)?,
        _ => x,
    };
    let node = w.add(Op::Argsort { axis: axis as u8, descending }, &[x], args.span)?;
    Ok(w.tensor(node))
}

/// The operand, its axis, and the row-major places that the indices name.
fn places<'w>(w: &mut Walk<'w>, args: &Args<'w>, axis: usize) -> Eval<(NodeId, NodeId)> {
    let x = w.tensor_arg(args, 0)?;
    let indices = w.tensor_arg(args, 1)?;
    let (ty, of) = (w.node_ty(x).clone(), w.node_ty(indices).clone());
    let (axis, at) = args.get(axis);
    let axis = w.axis(axis, &ty, at)?;
    let differs = (0..ty.rank().min(of.rank())).find(|&a| a != axis && ty.shape[a] != of.shape[a]);
    if ty.rank() != of.rank() || differs.is_some() {
        let message = format!("indices {of} do not fit {ty}: they may differ in axis {axis} only");
        let mut diagnostic = Diagnostic::error(codes::SHAPE_MISMATCH, args.get(1).1, message);
        if let Some(axis) = differs {
            diagnostic = w.with_sizes(diagnostic, (x, axis), (indices, axis));
        }
        return Err(w.report(diagnostic));
    }
    let indices = checked(w, indices, &ty.shape[axis], args.get(1).1)?;
    let own = w.node_ty(indices).shape.clone();
    let mut stride = Dim::Const(1);
    let mut sum: Option<NodeId> = None;
    for a in (0..ty.rank()).rev() {
        let part = match a == axis {
            true => indices,
            false => {
                let iota = Op::Iota { dtype: DType::I64, shape: own.clone(), axis: a as u8 };
                w.add(iota, &[], args.span)?
            }
        };
        let step = w.to_tensor(&Value::dim(stride.clone()), Some(DType::I64), args.span)?;
        let step = w.stretch(step, &own, args.span)?;
        let part = w.add(MapOp::Mul, &[part, step], args.span)?;
        sum = Some(match sum {
            None => part,
            Some(sum) => w.add(MapOp::Add, &[sum, part], args.span)?,
        });
        stride = stride * ty.shape[a].clone();
    }
    let flat = w.reshape(x, [ty.elements()], args.span)?;
    Ok((flat, sum.expect("an axis is among the axes")))
}

fn take_along<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let (flat, places) = places(w, args, 2)?;
    let node = w.add(Op::Gather(0), &[flat, places], args.span)?;
    Ok(w.tensor(node))
}

fn add_along<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let (flat, places) = places(w, args, 3)?;
    let ty = w.node_ty(flat).clone();
    let (updates, at) = args.get(2);
    let updates = w.to_tensor(updates, Some(ty.dtype), at)?;
    let (found, like) = (w.node_ty(updates).clone(), w.node_ty(places).with_dtype(ty.dtype));
    if found != like {
        let message = format!("these indices need updates {like}, found {found}");
        return Err(w.error(codes::SHAPE_MISMATCH, at, message));
    }
    let sums = w.add(Op::ScatterAdd(0), &[flat, places, updates], args.span)?;
    let x = w.tensor_arg(args, 0)?;
    let shape: SmallVec<[Dim; 4]> = w.node_ty(x).shape.clone();
    let node = w.reshape(sums, shape, args.span)?;
    Ok(w.tensor(node))
}
