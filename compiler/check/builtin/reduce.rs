//! Reductions.

use super::{Args, Builtin, Run};
use crate::check::value::Value;
use crate::check::walk::{Eval, Walk};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::fused::ReduceOp;
use crate::graph::{Dim, MapOp, NodeId, Op};
use tensc_runtime::DType;

/// What a reduction takes.
const PARAMS: &[&str] = &["x", "axis?", "keep?"];

pub(super) fn rows() -> Vec<Builtin> {
    macro_rules! rows {
        ($($name:literal $params:expr, $doc:literal, $run:expr;)*) => {
            vec![$(Builtin { name: $name, params: $params, doc: $doc, run: Run::Values($run) }),*]
        };
    }
    rows! {
        "sum" PARAMS, "The sum along axes, or of all elements.", |w, a| reduce(w, a, ReduceOp::Sum);
        "prod" PARAMS, "The product along axes, or of all elements.", |w, a| reduce(w, a, ReduceOp::Prod);
        "any" PARAMS, "Whether some element along axes is true.", |w, a| reduce(w, a, ReduceOp::Any);
        "all" PARAMS, "Whether every element along axes is true.", |w, a| reduce(w, a, ReduceOp::All);
        "mean" PARAMS, "The mean along axes, or of all elements.", mean;
        "max" &["x", "y?", "axis?", "keep?"],
            "The larger of two, elementwise; of one tensor the largest along axes.",
            |w, a| extreme(w, a, ReduceOp::Max, MapOp::Max);
        "min" &["x", "y?", "axis?", "keep?"],
            "The smaller of two, elementwise; of one tensor the smallest along axes.",
            |w, a| extreme(w, a, ReduceOp::Min, MapOp::Min);
        "argmax" PARAMS, "The position (i64) of the first largest element along an axis, or of all.",
            |w, a| arg_reduce(w, a, ReduceOp::Max);
        "argmin" PARAMS, "The position (i64) of the first smallest element along an axis, or of all.",
            |w, a| arg_reduce(w, a, ReduceOp::Min);
        "widen" &["x"], "`x` in the type that sums are taken in: `f32` for `f16` and `bf16`, else as it is.", widen;
    }
}

/// The type that sums of a float type are taken in.
pub(super) fn wide(dtype: DType) -> DType {
    if dtype.is_float() && dtype.size() < 4 { DType::F32 } else { dtype }
}

fn widen<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let x = w.tensor_arg(args, 0)?;
    let node = w.converted(x, wide(w.node_ty(x).dtype), args.span)?;
    Ok(w.tensor(node))
}

fn reduce<'w>(w: &mut Walk<'w>, args: &Args<'w>, op: ReduceOp) -> Eval<Value<'w>> {
    let (node, axes) = reduced(w, args, op)?;
    let node = keep_axes(w, args, 2, node, &axes)?;
    Ok(w.tensor(node))
}

/// The reduction, its axes, and the type of what was reduced.
fn reduced<'w>(w: &mut Walk<'w>, args: &Args<'w>, op: ReduceOp) -> Eval<(NodeId, Reduced)> {
    let x = w.kept_arg(args, 0)?;
    let ty = w.node_ty(x).clone();
    let axes = w.axes_arg(args, 1, &ty)?;
    refuse_dtype(w, args, (op, op.name()), ty.dtype)?;
    if matches!(op, ReduceOp::Sum | ReduceOp::Prod) {
        let at = args.get(0).1;
        let wider = format!("{}(i64({}))", op.name(), w.text(at));
        w.warn_of_wrapping(op.name(), ty.dtype, at, &wider);
    }
    let shape = ty.shape.to_vec();
    if axes.is_empty() {
        return Ok((x, Reduced { axes: Vec::new(), shape }));
    }
    let node = w.add(Op::Reduce(op, axes.clone()), &[x], args.span)?;
    Ok((node, Reduced { axes: axes.iter().map(|&a| usize::from(a)).collect(), shape }))
}

impl Walk<'_> {
    /// Warns of a sum whose element type few terms are enough to leave.
    pub(crate) fn warn_of_wrapping(&mut self, name: &str, dtype: DType, at: Span, wider: &str) {
        if matches!(dtype, DType::U8 | DType::I8 | DType::I16) {
            let message =
                format!("`{name}` of {dtype} is {dtype} too, which few terms leave: it wraps");
            let warning = Diagnostic::warning(codes::DTYPE_MISMATCH, at, message);
            self.report(warning.help(format!("write {wider}, or another wider type")));
        }
    }
}

/// What a reduction went over.
struct Reduced {
    axes: Vec<usize>,
    shape: Vec<Dim>,
}

fn refuse_dtype<'w>(
    w: &mut Walk<'w>,
    args: &Args<'w>,
    (op, name): (ReduceOp, &str),
    dtype: DType,
) -> Eval<()> {
    if op.accepts(dtype) {
        return Ok(());
    }
    let (_, at) = args.get(0);
    let message = format!("`{name}` does not take {dtype}");
    let diagnostic = Diagnostic::error(codes::DTYPE_MISMATCH, at, message);
    let help = match dtype {
        DType::Bool if op == ReduceOp::Sum => format!("count with `{name}(i64(…))`"),
        DType::Bool => format!("convert it: {name}(i64(…))"),
        _ => "compare first: the result of a comparison is bool".to_string(),
    };
    Err(w.report(diagnostic.help(help)))
}

/// With `keep`, the axes that were reduced stay as 1.
fn keep_axes<'w>(
    w: &mut Walk<'w>,
    args: &Args<'w>,
    flag: usize,
    node: NodeId,
    reduced: &Reduced,
) -> Eval<NodeId> {
    if !w.flag_arg(args, flag)? {
        return Ok(node);
    }
    let size = |(axis, d): (usize, &Dim)| match reduced.axes.contains(&axis) {
        true => Dim::Const(1),
        false => d.clone(),
    };
    let shape: Vec<Dim> = reduced.shape.iter().enumerate().map(size).collect();
    let kept: Vec<usize> = (0..shape.len()).filter(|axis| !reduced.axes.contains(axis)).collect();
    let wide = w.reshape(node, shape, args.span)?;
    if wide != node {
        for (from, to) in kept.into_iter().enumerate() {
            w.set_origin(wide, to, crate::check::value::SizeOrigin::Axis(node, from));
        }
    }
    Ok(wide)
}

fn mean<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let x = w.kept_arg(args, 0)?;
    let dtype = w.node_ty(x).dtype;
    if !dtype.is_float() {
        let (_, at) = args.get(0);
        let message = format!("`mean` takes floats, found {dtype}");
        let diagnostic = Diagnostic::error(codes::DTYPE_MISMATCH, at, message);
        let text = w.text(at);
        return Err(w.report(diagnostic.help(format!("convert it: f32({text})"))));
    }
    // The sum of many halves may be beyond them where their mean is not.
    let wide = wide(dtype);
    let x = w.converted(x, wide, args.span)?;
    let mut args = args.clone();
    args.values[0] = Some((w.tensor(x), args.get(0).1));
    let (node, over) = reduced(w, &args, ReduceOp::Sum)?;
    let count = over.axes.iter().fold(Dim::Const(1), |n, &axis| n * over.shape[axis].clone());
    let node = match count.is(1) {
        true => node,
        false => {
            let count = w.to_tensor(&Value::dim(count), Some(wide), args.span)?;
            let shape = w.node_ty(node).shape.clone();
            let count = w.stretch(count, &shape, args.span)?;
            w.add(MapOp::Div, &[node, count], args.span)?
        }
    };
    let node = w.converted(node, dtype, args.span)?;
    let node = keep_axes(w, &args, 2, node, &over)?;
    Ok(w.tensor(node))
}

fn extreme<'w>(w: &mut Walk<'w>, args: &Args<'w>, op: ReduceOp, map: MapOp) -> Eval<Value<'w>> {
    if let Some((y, at)) = args.given(1) {
        if let Some((_, span)) = args.given(2).or(args.given(3)) {
            let message = format!("`{}` of two tensors has no axis", op.name());
            return Err(w.error(codes::BAD_ARGUMENTS, span, message));
        }
        let (x, x_at) = args.get(0);
        let operands = [(x.clone(), x_at), (y.clone(), at)];
        let flags = operands.iter().any(|(v, _)| is_flag(w, v));
        let map = match map {
            MapOp::Max if flags => MapOp::Or,
            MapOp::Min if flags => MapOp::And,
            map => map,
        };
        return w.elementwise(map, &format!("`{}`", op.name()), &operands, args.span);
    }
    let values = vec![args.values[0].clone(), args.values[2].clone(), args.values[3].clone()];
    let op = match op {
        ReduceOp::Max if is_flag(w, args.get(0).0) => ReduceOp::Any,
        ReduceOp::Min if is_flag(w, args.get(0).0) => ReduceOp::All,
        op => op,
    };
    reduce(w, &Args { values, ..args.clone() }, op)
}

/// Whether a value is true or false, or a tensor of that.
pub(super) fn is_flag<'w>(w: &Walk<'w>, value: &Value<'w>) -> bool {
    w.strong_dtype(value).map_or_else(|| value.has_flag(), |dtype| dtype == DType::Bool)
}

fn arg_reduce<'w>(w: &mut Walk<'w>, args: &Args<'w>, op: ReduceOp) -> Eval<Value<'w>> {
    let mut x = w.tensor_arg(args, 0)?;
    let name = if op == ReduceOp::Max { "argmax" } else { "argmin" };
    if w.node_ty(x).dtype == DType::Bool {
        x = w.converted(x, DType::U8, args.span)?;
    }
    refuse_dtype(w, args, (op, name), w.node_ty(x).dtype)?;
    let ty = w.node_ty(x).clone();
    let axis = match args.given(1) {
        Some((value, at)) => w.axis(value, &ty, at)?,
        None => {
            x = w.reshape(x, [ty.elements()], args.span)?;
            0
        }
    };
    let shape = w.node_ty(x).shape.to_vec();
    let node = w.add(Op::ArgReduce(op, axis as u8), &[x], args.span)?;
    let node = keep_axes(w, args, 2, node, &Reduced { axes: vec![axis], shape })?;
    Ok(w.tensor(node))
}
