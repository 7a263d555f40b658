//! Functions that move elements without changing them.

use super::arrange::{Around, around};
use super::{Args, Builtin, Run};
use crate::check::value::{SizeOrigin, Static, Value};
use crate::check::walk::{Eval, Walk, as_multiple, show_shape};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::{Dim, NodeId, Op};
use smallvec::SmallVec;
use tensc_runtime::DType;

pub(super) fn rows() -> Vec<Builtin> {
    macro_rules! rows {
        ($($name:literal $params:expr, $doc:literal, $run:expr;)*) => {
            vec![$(Builtin { name: $name, params: &$params, doc: $doc, run: Run::Values($run) }),*]
        };
    }
    rows! {
        "reshape" ["x", "shape"], "The same elements in row-major order under another shape; one size may be -1.", reshape;
        "flatten" ["x"], "The elements in row-major order along one axis.", flatten;
        "transpose" ["x", "axes?"], "Axes in another order: reversed, or as listed.", transpose;
        "swap_axes" ["x", "a", "b"], "Two axes in each other's place.", swap_axes;
        "expand" ["x", "axis"], "A new axis of size 1 at this place of the result; a list has several.", expand;
        "squeeze" ["x", "axis?"], "Without axes of size 1: all of them, or those listed.", squeeze;
        "broadcast_to" ["x", "shape"], "Repeated to a shape, by the rule of broadcasting.", broadcast_to;
        "concat" ["parts", "axis?"], "Tensors one after another along an axis (0).", concat;
        "stack" ["parts", "axis?"], "Tensors of one type along a new axis (0); structs of one type as a stack of them.", stack;
        "flip" ["x", "axis?"], "Reversed along axes, or along all.", flip;
        "pad" ["x", "low", "high", "value?", "interior?", "mode?"],
            "Surrounded by a value (0), so many before and after along each axis, and between neighbours; or by \"reflect\", \"edge\" or \"wrap\".", pad;
        "size" ["x", "axis?"], "The size of an axis, or the number of elements, as a size.", size;
        "rank" ["x"], "The number of axes, as a known number.", rank;
    }
}

fn reshape<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let x = w.tensor_arg(args, 0)?;
    let ty = w.node_ty(x).clone();
    let (value, at) = args.get(1);
    let mut sizes = w.sizes(value, at)?;
    let open: Vec<usize> = (0..sizes.len()).filter(|&i| sizes[i].0.is(-1)).collect();
    let total = ty.elements();
    let product = |sizes: &[(Dim, Span)]| {
        let known = sizes.iter().filter(|(d, _)| !d.is(-1));
        known.fold(Dim::Const(1), |n, (d, _)| n * d.clone())
    };
    match open.as_slice() {
        [] => {}
        &[one] => {
            let rest = product(&sizes);
            match total.div_exact(&rest).filter(|_| !rest.is(0)) {
                Some(size) => sizes[one].0 = size,
                None => {
                    let message = format!(
                        "{ty} has {total} elements, which is not known to be a multiple of {rest}"
                    );
                    let code = codes::RESHAPE;
                    return Err(w.report(Diagnostic::error(code, sizes[one].1, message)));
                }
            }
        }
        many => {
            let message = "only one size of a shape can be -1";
            return Err(w.error(codes::RESHAPE, sizes[many[1]].1, message));
        }
    }
    if product(&sizes) != total {
        let shape: Vec<Dim> = sizes.iter().map(|(d, _)| d.clone()).collect();
        let message = format!(
            "{ty} has {total} elements, the shape {} has {}",
            show_shape(&shape),
            product(&sizes)
        );
        let mut diagnostic = Diagnostic::error(codes::RESHAPE, at, message);
        for axis in 0..ty.rank() {
            diagnostic = w.with_size(diagnostic, x, axis);
        }
        if let Some((of, by)) = shape.iter().find_map(Dim::broken) {
            diagnostic = diagnostic.help(as_multiple(&of, &by.into()));
        }
        return Err(w.report(diagnostic));
    }
    let node = w.reshape(x, sizes.iter().map(|(d, _)| d.clone()), args.span)?;
    if node != x {
        w.written_sizes(node, &sizes);
    }
    Ok(w.tensor(node))
}

fn flatten<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let x = w.tensor_arg(args, 0)?;
    let total = w.node_ty(x).elements();
    let node = w.reshape(x, [total], args.span)?;
    Ok(w.tensor(node))
}

fn transpose<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let x = w.tensor_arg(args, 0)?;
    let ty = w.node_ty(x).clone();
    let perm: Vec<u8> = match args.given(1) {
        None => (0..ty.rank() as u8).rev().collect(),
        Some((value, at)) => {
            let sizes = w.sizes(value, at)?;
            let mut perm = Vec::with_capacity(sizes.len());
            for (axis, at) in sizes {
                perm.push(w.axis(&Value::dim(axis), &ty, at)? as u8);
            }
            let mut sorted = perm.clone();
            sorted.sort_unstable();
            if !sorted.iter().copied().eq(0..ty.rank() as u8) {
                let message = format!("the axes of {ty} must each be listed once");
                return Err(w.error(codes::BAD_AXIS, at, message));
            }
            perm
        }
    };
    let node = w.transpose(x, &perm, args.span)?;
    Ok(w.tensor(node))
}

fn swap_axes<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let x = w.tensor_arg(args, 0)?;
    let ty = w.node_ty(x).clone();
    let (a, at) = args.get(1);
    let a = w.axis(a, &ty, at)?;
    let (b, at) = args.get(2);
    let b = w.axis(b, &ty, at)?;
    let mut perm: Vec<u8> = (0..ty.rank() as u8).collect();
    perm.swap(a, b);
    let node = w.transpose(x, &perm, args.span)?;
    Ok(w.tensor(node))
}

fn expand<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let x = w.tensor_arg(args, 0)?;
    let ty = w.node_ty(x).clone();
    let places = w.ints_arg(args, 1)?;
    let rank = ty.rank() + places.len();
    let with = if places.len() == 1 { "a new axis" } else { "new axes" };
    let mut new = Vec::new();
    for (axis, at) in places {
        let axis = w.checked_axis(axis, rank, &format!("{ty} with {with}"), at)?;
        if new.contains(&axis) {
            return Err(w.error(codes::BAD_AXIS, at, "an axis is named twice"));
        }
        new.push(axis);
    }
    let kept: Vec<usize> = (0..rank).filter(|axis| !new.contains(axis)).collect();
    let mut shape = vec![Dim::Const(1); rank];
    for (from, &to) in kept.iter().enumerate() {
        shape[to] = ty.shape[from].clone();
    }
    let node = w.reshape(x, shape, args.span)?;
    for (from, &to) in kept.iter().enumerate() {
        w.set_origin(node, to, SizeOrigin::Axis(x, from));
    }
    Ok(w.tensor(node))
}

fn squeeze<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let x = w.tensor_arg(args, 0)?;
    let ty = w.node_ty(x).clone();
    let drop: Vec<usize> = match args.given(1) {
        None => (0..ty.rank()).filter(|&a| ty.shape[a].is(1)).collect(),
        Some((_, at)) => {
            let axes = w.axes_arg(args, 1, &ty)?;
            if let Some(&axis) = axes.iter().find(|&&a| !ty.shape[usize::from(a)].is(1)) {
                let size = &ty.shape[usize::from(axis)];
                let message = format!("axis {axis} of {ty} is {size}, only a 1 can be dropped");
                let diagnostic = Diagnostic::error(codes::BAD_AXIS, at, message);
                let diagnostic = w.with_size(diagnostic, x, usize::from(axis));
                return Err(w.report(diagnostic));
            }
            axes.iter().map(|&a| usize::from(a)).collect()
        }
    };
    let kept: Vec<usize> = (0..ty.rank()).filter(|a| !drop.contains(a)).collect();
    let node = w.reshape(x, kept.iter().map(|&a| ty.shape[a].clone()), args.span)?;
    if node != x {
        for (to, &from) in kept.iter().enumerate() {
            w.set_origin(node, to, SizeOrigin::Axis(x, from));
        }
    }
    Ok(w.tensor(node))
}

fn broadcast_to<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let x = w.tensor_arg(args, 0)?;
    let sizes = w.shape_arg(args, 1)?;
    let shape: Vec<Dim> = sizes.iter().map(|(d, _)| d.clone()).collect();
    let ty = w.node_ty(x).clone();
    let (_, at) = args.get(1);
    let offset = shape.len().checked_sub(ty.rank());
    let fits = |offset: usize| {
        (0..ty.rank()).find(|&a| !ty.shape[a].is(1) && ty.shape[a] != shape[offset + a])
    };
    let differs = match offset {
        None => Some(None),
        Some(offset) => fits(offset).map(Some),
    };
    if let Some(axis) = differs {
        let message = format!("{ty} does not broadcast to {}", show_shape(&shape));
        let mut diagnostic = Diagnostic::error(codes::BROADCAST, at, message);
        if let Some(axis) = axis {
            diagnostic = w.with_size(diagnostic, x, axis);
        }
        return Err(w.report(diagnostic));
    }
    let node = w.stretch(x, &shape, args.span)?;
    if node != x {
        w.written_sizes(node, &sizes);
    }
    Ok(w.tensor(node))
}

/// The tensors of a list, of one element type.
/// The parts of a list or tuple, of which there is one at least.
fn items<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Vec<(Value<'w>, Span)>> {
    let (value, at) = args.get(0);
    let items: Vec<(Value<'w>, Span)> = match value {
        Value::List(items) => items.to_vec(),
        Value::Tuple(items) => items.iter().map(|v| (v.clone(), at)).collect(),
        other => return Err(w.expected("a list of tensors", other, at)),
    };
    if items.is_empty() {
        return Err(w.error(codes::BAD_ARGUMENTS, at, "there is nothing to join"));
    }
    Ok(items)
}

fn parts<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Vec<(NodeId, Span)>> {
    let items = items(w, args)?;
    let want = items.iter().find_map(|(v, _)| w.strong_dtype(v));
    items.iter().map(|(v, at)| Ok((w.to_tensor(v, want, *at)?, *at))).collect()
}

fn concat<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let parts = parts(w, args)?;
    let first = w.node_ty(parts[0].0).clone();
    let axis = match args.given(1) {
        Some((value, at)) => w.axis(value, &first, at)?,
        None => w.checked_axis(0, first.rank(), &first.to_string(), args.get(0).1)?,
    };
    for &(part, at) in &parts[1..] {
        let ty = w.node_ty(part).clone();
        let differs =
            (0..ty.rank().min(first.rank())).find(|&a| a != axis && ty.shape[a] != first.shape[a]);
        if ty.rank() != first.rank() || ty.dtype != first.dtype || differs.is_some() {
            let message = format!("{ty} cannot follow {first} along axis {axis}");
            let mut diagnostic = Diagnostic::error(codes::SHAPE_MISMATCH, at, message);
            if let Some(axis) = differs {
                diagnostic = w.with_sizes(diagnostic, (parts[0].0, axis), (part, axis));
            }
            return Err(w.report(diagnostic));
        }
    }
    let nodes: Vec<NodeId> = parts.iter().map(|&(n, _)| n).collect();
    let node = match nodes.as_slice() {
        &[one] => one,
        many => w.add(Op::Concat(axis as u8), many, args.span)?,
    };
    Ok(w.tensor(node))
}

fn stack<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let items = items(w, args)?;
    if items[0].0.is_tree() {
        return stack_trees(w, args, &items);
    }
    let parts = parts(w, args)?;
    let first = w.node_ty(parts[0].0).clone();
    let axis = match args.given(1) {
        Some((value, at)) => {
            let axis = w.known_i64(value, at)?;
            w.checked_axis(axis, first.rank() + 1, &format!("{first} with a new axis"), at)?
        }
        None => 0,
    };
    let node = w.stack(&parts, axis, args.span)?;
    Ok(w.tensor(node))
}

/// Trees of one type, leaf by leaf along a new axis in front.
fn stack_trees<'w>(
    w: &mut Walk<'w>,
    args: &Args<'w>,
    items: &[(Value<'w>, Span)],
) -> Eval<Value<'w>> {
    if let Some((axis, at)) = args.given(1)
        && w.known_i64(axis, at)? != 0
    {
        return Err(w.error(codes::BAD_AXIS, at, "structs are stacked along axis 0"));
    }
    let first = w.strengthen(&items[0].0, items[0].1)?;
    let ty = w.ty(&first);
    let mut columns: Vec<Vec<(NodeId, Span)>> = Vec::new();
    for (value, at) in items {
        let value = w.coerce(value, &ty, *at, None)?;
        let mut leaf = 0;
        value.map_leaves(&mut |part| {
            let node = w.to_tensor(part, None, *at)?;
            if leaf == columns.len() {
                columns.push(Vec::new());
            }
            columns[leaf].push((node, *at));
            leaf += 1;
            Ok(part.clone())
        })?;
    }
    let mut columns = columns.into_iter();
    let stacked = first.map_leaves(&mut |_| {
        let column = columns.next().expect("one for each leaf");
        let node = w.stack(&column, 0, args.span)?;
        Ok(w.tensor(node))
    })?;
    Ok(stacked.stacked(&Dim::Const(items.len() as i64)))
}

fn flip<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let x = w.tensor_arg(args, 0)?;
    let ty = w.node_ty(x).clone();
    let axes = w.axes_arg(args, 1, &ty)?;
    let flipped = |a: usize| axes.contains(&(a as u8));
    let start = |a: usize| match flipped(a) {
        true => ty.shape[a].clone() - Dim::Const(1),
        false => Dim::Const(0),
    };
    let op = Op::Slice {
        starts: (0..ty.rank()).map(start).collect(),
        lens: ty.shape.clone(),
        steps: (0..ty.rank()).map(|a| if flipped(a) { -1 } else { 1 }).collect(),
    };
    let node = w.add(op, &[x], args.span)?;
    Ok(w.tensor(node))
}

fn pad<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let x = w.tensor_arg(args, 0)?;
    let ty = w.node_ty(x).clone();
    let mut ends: [SmallVec<[Dim; 4]>; 2] = [SmallVec::new(), SmallVec::new()];
    for (end, i) in ends.iter_mut().zip([1, 2]) {
        let sizes = w.shape_arg(args, i)?;
        if sizes.len() != ty.rank() {
            let (_, at) = args.get(i);
            let message = format!("{ty} has {} axes, found {} sizes", ty.rank(), sizes.len());
            return Err(w.error(codes::BAD_ARGUMENTS, at, message));
        }
        end.extend(sizes.into_iter().map(|(d, _)| d));
    }
    let constant =
        |v: &Value<'_>| matches!(v, Value::Static(Static::Str(s, _)) if &**s == "constant");
    if let Some((mode, at)) = args.given(5).filter(|(mode, _)| !constant(mode)) {
        let Value::Static(Static::Str(mode, _)) = mode else {
            return Err(w.expected("the name of a mode", mode, at));
        };
        if let Some((_, at)) = args.given(3).or(args.given(4)) {
            let message = "a mode says what stands around: there is no value, and nothing between";
            return Err(w.error(codes::BAD_ARGUMENTS, at, message));
        }
        let Some(mode) = Around::of(mode) else {
            let message = format!("there is no mode `{mode}`");
            let diagnostic = Diagnostic::error(codes::BAD_ARGUMENTS, at, message);
            return Err(
                w.report(diagnostic.help("write \"constant\", \"reflect\", \"edge\" or \"wrap\""))
            );
        };
        let node = around(w, x, &ends, mode, args.span)?;
        return Ok(w.tensor(node));
    }
    let zero = match ty.dtype {
        DType::Bool => Value::Static(Static::Bool(false)),
        _ => Value::int(0),
    };
    let (value, at) = args.given(3).unwrap_or((&zero, args.span));
    let value = w.to_tensor(value, Some(ty.dtype), at)?;
    let mut interior = SmallVec::from_elem(0, ty.rank());
    if let Some((_, at)) = args.given(4) {
        let sizes = w.shape_arg(args, 4)?;
        let known: Vec<i64> = sizes.iter().filter_map(|(d, _)| d.known()).collect();
        if known.len() != ty.rank() || known.iter().any(|&n| n < 0) {
            let message = format!("{ty} needs {} numbers of its own, not negative", ty.rank());
            return Err(w.error(codes::BAD_ARGUMENTS, at, message));
        }
        interior = known.into();
    }
    let [low, high] = ends;
    let op = Op::Pad { low, high, interior };
    let node = w.add(op, &[x, value], args.span)?;
    Ok(w.tensor(node))
}

fn size<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let x = w.tensor_arg(args, 0)?;
    let ty = w.node_ty(x).clone();
    match args.given(1) {
        None => Ok(Value::dim(ty.elements())),
        Some((value, at)) => {
            let axis = w.axis(value, &ty, at)?;
            Ok(Value::dim(ty.shape[axis].clone()))
        }
    }
}

fn rank<'w>(w: &mut Walk<'w>, args: &Args<'w>) -> Eval<Value<'w>> {
    let x = w.tensor_arg(args, 0)?;
    Ok(Value::int(w.node_ty(x).rank() as i64))
}
