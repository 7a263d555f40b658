//! Tensors from sizes, values and keys.

use super::{Args, Builtin, Run};
use crate::check::types::Type;
use crate::check::value::{Callable, Lambda, Static, Value};
use crate::check::walk::{Bound, Eval, Walk, steps};
use crate::diag::{Span, codes};
use crate::graph::fused::ReduceOp;
use crate::graph::ops::Draw;
use crate::graph::{Dim, MapOp, NodeId, Op, TensorType};
use tensc_runtime::{DType, Scalar};

/// How long a list that is written out can be.
const MAX_LIST: i64 = 4096;

pub(super) fn rows() -> Vec<Builtin> {
    macro_rules! rows {
        ($($name:literal $params:expr, $doc:literal, $run:expr;)*) => {
            vec![$(Builtin { name: $name, params: &$params, doc: $doc, run: Run::Values($run) }),*]
        };
    }
    rows! {
        "zeros" ["shape", "dtype?"], "A tensor of zeros.", |w, a| filled(w, a, 0);
        "ones" ["shape", "dtype?"], "A tensor of ones.", |w, a| filled(w, a, 1);
        "full" ["shape", "value", "dtype?"], "A tensor of one value.", full;
        "zeros_like" ["x"], "Zeros of the type of `x`, a tensor or a struct.", |w, a| like(w, a, 0);
        "ones_like" ["x"], "Ones of the type of `x`, a tensor or a struct.", |w, a| like(w, a, 1);
        "full_like" ["x", "value"], "One value, of the type of `x`.", full_like;
        "arange" ["start", "stop?", "step?", "dtype?"], "`start, start + step, …` below `stop`; from 0 with one argument.", arange;
        "linspace" ["start", "stop", "count", "dtype?"], "So many numbers from `start` to `stop`, both included, evenly spaced.", linspace;
        "list" ["count", "f"], "The list `[f(0), f(1), …]` of so many values; numbers among them stay known.", list;
        "fold" ["count", "start", "f"], "`f(… f(f(start, 0), 1) …, count - 1)`, written out: shapes may change on the way.", fold;
        "tree_map" ["f", "x"], "A function applied to each tensor of a struct, tuple or record.", tree_map;
        "tree_sum" ["x"], "The sum of all elements of all tensors of a struct; of the floats where there are any, in the widest of their types.", tree_sum;
        "eye" ["n", "columns?", "dtype?"], "1 on the diagonal and 0 elsewhere: the identity matrix, or one of other columns; `eye(n, dtype)` too.", eye;
        "key" ["seed"], "The key of random draws that a seed names; of a tensor of seeds, keys.", key;
        "fold_in" ["key", "data"], "The key that an integer selects under a key.", fold_in;
        "split" ["key", "count?"], "So many independent keys from one (2): `let (a, b) = split(k)`, or `key[8]`, which `vmap` and `scan` go along.", split;
        "uniform" ["key", "shape", "low?", "high?", "dtype?"], "Draws uniform in [0, 1), or between two bounds; for a tensor of keys, for each.", uniform;
        "normal" ["key", "shape", "dtype?"], "Draws from the standard normal distribution.", normal;
        "bits" ["key", "shape"], "Random integers (i64), all 64 bits of them.", bits;
    }
}

/// The element type of a new tensor: as given, as the context asks, or `f32`.
fn new_dtype<'w>(w: &mut Walk<'w>, args: &Args<'w>, i: usize) -> Eval<DType> {
    Ok(w.dtype_arg(args, i)?.or(args.wanted_dtype()).unwrap_or(DType::F32))
}

/// A scalar repeated to a shape.
fn splat<'w>(
    w: &mut Walk<'w>,
    scalar: NodeId,
    sizes: &[(Dim, Span)],
    span: Span,
) -> Eval<Value<'w>> {
    let shape: Vec<Dim> = sizes.iter().map(|(d, _)| d.clone()).collect();
    let node = w.stretch(scalar, &shape, span)?;
    if node != scalar {
        w.written_sizes(node, sizes);
    }
    Ok(w.tensor(node))
}

fn filled<'w>(w: &mut Walk<'w>, args: &Args<'w>, value: i64) -> Eval<Value<'w>> {
    let sizes = w.shape_arg(args, 0)?;
    let dtype = new_dtype(w, args, 1)?;
    let scalar = w.constant(Scalar::from_i64(dtype, value), args.span);
    splat(w, scalar, &sizes, args.span)
}

fn full<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let sizes = w.shape_arg(args, 0)?;
    let (value, at) = args.get(1);
    let want = w.dtype_arg(args, 2)?.or(args.wanted_dtype());
    let scalar = w.to_tensor(value, want, at)?;
    refuse_axes(w, scalar, at)?;
    splat(w, scalar, &sizes, args.span)
}

fn refuse_axes<'w>(w: &mut Walk<'w>, node: NodeId, at: Span) -> Eval<()> {
    if w.node_ty(node).rank() == 0 {
        return Ok(());
    }
    let value = w.tensor(node);
    Err(w.expected("a scalar", &value, at))
}

fn like<'w>(w: &mut Walk<'w>, args: &Args<'w>, number: i64) -> Eval<Value<'w>> {
    let (value, at) = args.get(0);
    let value = w.strengthen(value, at)?;
    value.map_leaves(&mut |leaf| {
        let Value::Tensor(of) = leaf else { return Err(w.expected("a tensor", leaf, at)) };
        let ty = w.leaf_ty(*of);
        let scalar = w.constant(Scalar::from_i64(ty.dtype, number), args.span);
        let node = w.stretch(scalar, &ty.shape, args.span)?;
        let source = w.node(*of);
        for axis in 0..ty.rank() {
            w.set_origin(node, axis, crate::check::value::SizeOrigin::Axis(source, axis));
        }
        Ok(w.tensor(node))
    })
}

fn full_like<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let (value, at) = args.get(0);
    let value = w.strengthen(value, at)?;
    w.map_moving(&value, &mut |w, leaf| {
        let Value::Tensor(of) = leaf else { return Err(w.expected("a tensor", leaf, at)) };
        let ty = w.leaf_ty(*of);
        let (number, at) = args.get(1);
        let scalar = w.to_tensor(number, Some(ty.dtype), at)?;
        refuse_axes(w, scalar, at)?;
        let node = w.stretch(scalar, &ty.shape, args.span)?;
        Ok(w.tensor(node))
    })
}

fn arange<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let float = |i: usize| matches!(args.given(i), Some((Value::Static(Static::Float(..)), _)));
    if (0..3).any(float) {
        return arange_of_floats(w, args);
    }
    let (first, at) = args.get(0);
    let first = w.as_dim(first, at)?;
    let (start, stop) = match args.given(1) {
        None => (Dim::Const(0), first),
        Some((stop, at)) => (first, w.as_dim(stop, at)?),
    };
    let step = match args.given(2) {
        None => 1,
        Some((step, at)) => match w.known_i64(step, at)? {
            0 => return Err(w.error(codes::BAD_ARGUMENTS, at, "a step of 0 gets nowhere")),
            step => step,
        },
    };
    let count = steps(&start, &stop, step);
    let wanted = args.wanted_dtype();
    let dtype = w.dtype_arg(args, 3)?.or(wanted).unwrap_or(DType::I64);
    let shape = std::iter::once(count.clone()).collect();
    let node = w.add(Op::Iota { dtype, shape, axis: 0 }, &[], args.span)?;
    let mut value = w.tensor(node);
    if step != 1 {
        let operands = [(value, args.span), (Value::int(step), args.span)];
        value = w.elementwise(MapOp::Mul, "`arange`", &operands, args.span)?;
    }
    if !start.is(0) {
        let operands = [(value, args.span), (Value::dim(start), args.span)];
        value = w.elementwise(MapOp::Add, "`arange`", &operands, args.span)?;
    }
    Ok(value)
}

/// `start + i * step` for as many `i` as stay before `stop`; each rounded once.
fn arange_of_floats<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let mut numbers = [0.0f64, 0.0, 1.0];
    for (i, number) in numbers.iter_mut().enumerate() {
        *number = match args.given(i) {
            None => continue,
            Some((Value::Static(Static::Float(x, _)), _)) => *x,
            Some((Value::Static(Static::Dim(Dim::Const(n))), _)) => *n as f64,
            Some((other, at)) => return Err(w.not_known("a number", other, at)),
        };
    }
    let [start, stop, step] = match args.given(1) {
        Some(_) => numbers,
        None => [0.0, numbers[0], numbers[2]],
    };
    let count = ((stop - start) / step).ceil();
    if count.is_nan() || count >= i32::MAX.into() {
        let message = format!("there is no end from {start} to {stop} by {step}");
        return Err(w.error(codes::BAD_ARGUMENTS, args.span, message));
    }
    let dtype = new_dtype(w, args, 3)?;
    let shape = std::iter::once(Dim::Const(count.max(0.0) as i64)).collect();
    let node = w.add(Op::Iota { dtype: DType::F64, shape, axis: 0 }, &[], args.span)?;
    let mut value = (w.tensor(node), args.span);
    for (map, number) in [(MapOp::Mul, step), (MapOp::Add, start)] {
        let number = (Value::Static(Static::Float(number, None)), args.span);
        value.0 = w.elementwise(map, "`arange`", &[value.clone(), number], args.span)?;
    }
    w.convert(&value.0, dtype, args.span, args.span)
}

fn linspace<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let (count, at) = args.get(2);
    let count = w.as_dim(count, at)?;
    if count.known().is_some_and(|n| n < 1) {
        return Err(w.error(codes::BAD_ARGUMENTS, args.get(2).1, "at least 1 number is needed"));
    }
    let dtype = new_dtype(w, args, 3)?;
    // Spaced in a wider type, so that each number is rounded once.
    let known = (0..2).all(|i| matches!(args.get(i).0, Value::Static(_)));
    let wide = if known { DType::F64 } else { super::reduce::wide(dtype) };
    let start = bound(w, args, 0, dtype, wide)?;
    let stop = bound(w, args, 1, dtype, wide)?;
    let span = args.span;
    let shape = [count.clone()];
    let steps = Op::Iota { dtype: wide, shape: shape.as_slice().into(), axis: 0 };
    let steps = w.add(steps, &[], span)?;
    // One alone is the start.
    let count = w.to_tensor(&Value::dim(count), Some(wide), at)?;
    let one = w.constant(Scalar::from_f64(wide, 1.0), span);
    let last = w.add(MapOp::Sub, &[count, one], span)?;
    let last = w.add(MapOp::Max, &[last, one], span)?;
    let range = w.add(MapOp::Sub, &[stop, start], span)?;
    let unit = w.add(MapOp::Div, &[range, last], span)?;
    let all = |w: &mut Walk<'w>, scalar: NodeId| w.stretch(scalar, &shape, span);
    let (start, stop, unit, last) = (all(w, start)?, all(w, stop)?, all(w, unit)?, all(w, last)?);
    let moved = w.add(MapOp::Mul, &[steps, unit], span)?;
    let moved = w.add(MapOp::Add, &[moved, start], span)?;
    let at_end = w.add(MapOp::Eq, &[steps, last], span)?;
    let spaced = w.add(MapOp::Select, &[at_end, stop, moved], span)?;
    let node = w.converted(spaced, dtype, span)?;
    Ok(w.tensor(node))
}

/// A bound of `linspace`: a scalar of its type, in a wider one.
fn bound<'w>(
    w: &mut Walk<'w>,
    args: &Args<'w>,
    i: usize,
    dtype: DType,
    wide: DType,
) -> Eval<NodeId> {
    let (value, at) = args.get(i);
    if matches!(value, Value::Static(_)) {
        return w.to_tensor(value, Some(wide), at);
    }
    let node = w.to_tensor(value, Some(dtype), at)?;
    refuse_axes(w, node, at)?;
    let found = w.node_ty(node).dtype;
    if found != dtype {
        let message = format!("`linspace` gives {dtype} here, but this bound is {found}");
        return Err(w.error(codes::DTYPE_MISMATCH, at, message));
    }
    w.converted(node, wide, at)
}

/// The function that an argument must be, written in place, of one parameter or of two.
fn lambda<'w>(
    w: &mut Walk<'w>,
    args: &Args<'w>,
    i: usize,
    params: usize,
) -> Eval<(Lambda<'w>, Span)> {
    let (f, at) = args.get(i);
    if let Value::Function(callable) = f
        && let Callable::Lambda(lambda) = &**callable
        && lambda.params.len() == params
    {
        return Ok((lambda.clone(), at));
    }
    let form = match params {
        1 => "of one parameter, written fn(i) = …,",
        _ => "of two parameters, written fn(x, i) = …,",
    };
    Err(w.expected(&format!("a function {form}"), f, at))
}

/// How many turns a list or a fold is asked for.
fn turns<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<i64> {
    let count = w.int_arg(args, 0)?;
    if (0..=MAX_LIST).contains(&count) {
        return Ok(count);
    }
    let message = format!("0 to {MAX_LIST} turns can be written out, not {count}");
    Err(w.error(codes::BAD_ARGUMENTS, args.get(0).1, message))
}

fn fold<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let count = turns(w, args)?;
    let (lambda, at) = lambda(w, args, 2, 2)?;
    let (mut value, start_at) = (args.get(1).0.clone(), args.get(1).1);
    for i in 0..count {
        let arguments = vec![(value, start_at), (Value::int(i), at)];
        value = w.apply(Bound::Lambda(lambda.clone(), arguments, at))?;
    }
    Ok(value)
}

fn tree_map<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let (lambda, f_at) = lambda(w, args, 0, 1)?;
    let (value, at) = args.get(1);
    let value = w.strengthen(value, at)?;
    let mapped = w.map_moving(&value, &mut |w, leaf| {
        let argument = vec![(leaf.clone(), at)];
        let image = w.apply(Bound::Lambda(lambda.clone(), argument, f_at))?;
        w.strengthen(&image, f_at)
    })?;
    Ok(w.retyped(&value, mapped))
}

fn tree_sum<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let (value, at) = args.get(0);
    let value = w.strengthen(value, at)?;
    let mut sums = Vec::new();
    w.each_moving(&value, &mut |w, leaf| {
        let x = w.to_tensor(leaf, None, at)?;
        let axes: smallvec::SmallVec<[u8; 4]> = (0..w.node_ty(x).rank() as u8).collect();
        sums.push((x, axes));
        Ok(())
    })?;
    // Beside floats, what is none does not move, and does not count.
    let is_float = |w: &Walk<'w>, x: NodeId| w.node_ty(x).dtype.is_float();
    if sums.iter().any(|(x, _)| is_float(w, *x)) {
        sums.retain(|(x, _)| is_float(w, *x));
    }
    // Floats of several types are added in one that holds them all.
    let floats = || sums.iter().map(|(x, _)| w.node_ty(*x).dtype).filter(|d| d.is_float());
    let shared = match floats().max_by_key(|dtype| dtype.size()) {
        Some(widest) if floats().all(|d| d == widest || d.size() < widest.size()) => Some(widest),
        Some(_) => Some(DType::F32),
        None => None,
    };
    let mut total: Option<Value<'w>> = None;
    for (x, axes) in sums {
        let sum = match axes.is_empty() {
            true => x,
            false => w.add(Op::Reduce(ReduceOp::Sum, axes), &[x], args.span)?,
        };
        let sum = match shared {
            Some(dtype) => w.converted(sum, dtype, args.span)?,
            None => sum,
        };
        let sum = (w.tensor(sum), at);
        total = Some(match total.take() {
            None => sum.0,
            Some(so_far) => {
                w.elementwise(MapOp::Add, "`tree_sum`", &[(so_far, at), sum], args.span)?
            }
        });
    }
    match total {
        Some(total) => Ok(total),
        None => Err(w.expected("a tensor or a struct of tensors", &value, at)),
    }
}

fn list<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let count = turns(w, args)?;
    let (lambda, at) = lambda(w, args, 1, 1)?;
    let mut items = Vec::new();
    for i in 0..count {
        let position = vec![(Value::int(i), at)];
        items.push((w.apply(Bound::Lambda(lambda.clone(), position, at))?, at));
    }
    Ok(Value::List(items.into()))
}

fn eye<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let (n, at) = args.get(0);
    let n = w.as_dim(n, at)?;
    let (columns, dtype) = match args.given(1) {
        Some((Value::Function(_), _)) if args.given(2).is_none() => (n.clone(), 1),
        Some((columns, at)) => (w.as_dim(columns, at)?, 2),
        None => (n.clone(), 2),
    };
    let dtype = new_dtype(w, args, dtype)?;
    let shape: smallvec::SmallVec<[Dim; 4]> = [n, columns].into_iter().collect();
    let iota = |axis| Op::Iota { dtype: DType::I64, shape: shape.clone(), axis };
    let rows = w.add(iota(0), &[], args.span)?;
    let columns = w.add(iota(1), &[], args.span)?;
    let mask = w.add(MapOp::Eq, &[rows, columns], args.span)?;
    let node = w.converted(mask, dtype, args.span)?;
    Ok(w.tensor(node))
}

/// An `i64` or a tensor of them: keys, seeds.
fn integers<'w>(w: &mut Walk<'w>, args: &Args<'w>, i: usize, what: &str) -> Eval<NodeId> {
    let (value, at) = args.get(i);
    let node = w.to_tensor(value, Some(DType::I64), at)?;
    if w.node_ty(node).dtype != DType::I64 {
        let found = w.tensor(node);
        return Err(w.expected(what, &found, at));
    }
    Ok(node)
}

/// A key or a tensor of keys. A literal is refused: `key` makes a seed a key, lest it be forgotten.
fn key_arg<'w>(w: &mut Walk<'w>, args: &Args<'w>, i: usize) -> Eval<NodeId> {
    let (value, at) = args.get(i);
    if let Value::Static(_) = value {
        return Err(w.no_key(at));
    }
    integers(w, args, i, "a key")
}

fn key<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let node = integers(w, args, 0, "a seed (an i64)")?;
    Ok(w.tensor(node))
}

fn fold_in<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let key = key_arg(w, args, 0)?;
    let data = integers(w, args, 1, "an i64")?;
    // One key for many numbers and many keys for one number stretch as in arithmetic.
    let spans = [args.get(0).1, args.get(1).1];
    let operands = w.broadcast("`fold_in`", &[key, data], &spans, args.span)?;
    let node = w.add(Op::FoldKey, &operands, args.span)?;
    Ok(w.tensor(node))
}

fn split<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let key = key_arg(w, args, 0)?;
    let count = match (args.given(1), &args.want) {
        (Some((value, at)), _) => w.as_dim(value, at)?,
        // A declared type, `key[8]`, says how many.
        (None, Some(Type::Tensor(ty))) if ty.rank() == 1 => ty.shape[0].clone(),
        (None, _) => Dim::Const(2),
    };
    let keys = w.node_ty(key).shape.clone();
    let Dim::Const(count) = count else {
        let shape: Vec<Dim> = std::iter::once(count).chain(keys).collect();
        let dtype = DType::I64;
        let op = Op::Iota { dtype, shape: shape.iter().cloned().collect(), axis: 0 };
        let numbers = w.add(op, &[], args.span)?;
        let key = w.stretch(key, &shape, args.span)?;
        let node = w.add(Op::FoldKey, &[key, numbers], args.span)?;
        return Ok(w.tensor(node));
    };
    if !(1..=1024).contains(&count) {
        let message = "a key can be split into 1 to 1024 keys at once";
        return Err(w.error(codes::BAD_ARGUMENTS, args.get(1).1, message));
    }
    let mut parts = Vec::new();
    for i in 0..count {
        let data = w.constant(Scalar::new(i), args.span);
        let data = w.stretch(data, &keys, args.span)?;
        let node = w.add(Op::FoldKey, &[key, data], args.span)?;
        parts.push((w.tensor(node), args.span));
    }
    Ok(Value::List(parts.into()))
}

fn draw<'w>(w: &mut Walk<'w>, args: &Args<'w>, draw: Draw, dtype: DType) -> Eval<NodeId> {
    let key = key_arg(w, args, 0)?;
    let sizes = w.shape_arg(args, 1)?;
    let keys = w.node_ty(key).shape.clone();
    let each = sizes.iter().map(|(d, _)| d.clone());
    let ty = TensorType::new(dtype, keys.iter().cloned().chain(each));
    let node = w.add(Op::Random { draw, ty }, &[key], args.span)?;
    if keys.is_empty() {
        w.written_sizes(node, &sizes);
    }
    Ok(node)
}

fn uniform<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let dtype = new_dtype(w, args, 4)?;
    let node = draw(w, args, Draw::Uniform, dtype)?;
    let unit = w.tensor(node);
    let span = args.span;
    let (low, high) = match (args.given(2), args.given(3)) {
        (None, None) => return Ok(unit),
        (low, high) => {
            let bound = |given: Option<(&Value<'w>, Span)>, or: i64| match given {
                // A whole number is a float here, as the other bound may be one too.
                Some((Value::Static(Static::Dim(Dim::Const(n))), at)) if dtype.is_float() => {
                    (Value::Static(Static::Float(*n as f64, None)), at)
                }
                Some((value, at)) => (value.clone(), at),
                None => (Value::int(or), span),
            };
            (bound(low, 0), bound(high, 1))
        }
    };
    let range = w.elementwise(MapOp::Sub, "`uniform`", &[high, low.clone()], span)?;
    let wide = w.elementwise(MapOp::Mul, "`uniform`", &[(unit, span), (range, span)], span)?;
    w.elementwise(MapOp::Add, "`uniform`", &[(wide, span), low], span)
}

fn bits<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let node = draw(w, args, Draw::Bits, DType::I64)?;
    Ok(w.tensor(node))
}

fn normal<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let dtype = new_dtype(w, args, 2)?;
    let node = draw(w, args, Draw::Normal, dtype)?;
    Ok(w.tensor(node))
}
