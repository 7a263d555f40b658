//! Transposes, reshapes, broadcasts and slices: composed, cancelled, and moved toward the inputs,
//! where reading through them is free.
//!
//! Moves go one way only, so that no two rules undo each other: views move below elementwise
//! operations, elementwise operations move below broadcasts.

use super::super::language::{ENode, Kind};
use super::super::site::{Ref, Site, extent};
use super::{Numerics, Phase, Rule, code};
use crate::graph::fused::ReduceOp;
use crate::graph::ops::naive::{LEAST, UNSIGNED};
use crate::graph::ops::{Axes, Window};
use crate::graph::{Dim, MapOp, Op};
use smallvec::SmallVec;
use tensc_runtime::{DType, Scalar};

const EXACT: (Phase, Numerics) = (Phase::Movement, Numerics::Exact);

/// The rows.
#[rustfmt::skip]
pub const RULES: &[Rule] = &[
    code(EXACT, "reshape-reshape",     &[Kind::Reshape],   reshape_reshape,     "", "one reshape, or none"),
    code(EXACT, "transpose-transpose", &[Kind::Transpose], transpose_transpose, "", "one transpose, or none"),
    code(EXACT, "broadcast-broadcast", &[Kind::Broadcast], broadcast_broadcast, "", "one broadcast"),
    code(EXACT, "slice-slice",         &[Kind::Slice],     slice_slice,         "", "one slice"),
    code(EXACT, "view-nothing",        VIEWS,              view_nothing,        "the result is the operand", "a view that moves nothing"),
    code(EXACT, "transpose-units",     &[Kind::Transpose], transpose_units,     "only axes of size 1 move", "the same memory under another shape"),
    code(EXACT, "transpose-broadcast", &[Kind::Transpose], transpose_broadcast, "", "the smaller tensor is transposed, if any"),
    code(EXACT, "slice-broadcast",     &[Kind::Slice],     slice_broadcast,     "", "the smaller tensor is sliced"),
    code(EXACT, "slice-concat",        &[Kind::Slice],     slice_concat,        "the slice lies in one part", "the other parts are not needed"),
    code(EXACT, "slice-pad",           &[Kind::Slice],     slice_pad,           "no interior and the slice keeps off the margin, or axes with margins are whole", "the margin is not needed, or less is padded"),
    code(EXACT, "pad-window",          &[Kind::Pad],       pad_window,          "the margins are along other axes", "less is padded"),
    code(EXACT, "pad-pad",             &[Kind::Pad],       pad_pad,             "of one value; the outer one puts nothing between elements", "one pad"),
    code(EXACT, "slice-window",        &[Kind::Slice],     slice_window,        "all parts of places that follow each other", "only these places"),
    code(EXACT, "gather-run",          &[Kind::Gather],    gather_run,          "the places follow each other, and none counts from the end", "only the first place is looked up and checked"),
    code(EXACT, "gather-counted",      &[Kind::Gather],    gather_counted,      "the places are counted from a constant and inside", "a slice: nothing is looked up"),
    code(EXACT, "view-of-map",         &[Kind::Reshape, Kind::Transpose], view_of_map, "the other operands are constants or such views", "views move toward the inputs"),
    code(EXACT, "map-of-broadcasts",   MAPS,               map_of_broadcasts,   "the operands are broadcasts or constants", "computed before it is repeated"),
    code(EXACT, "extreme-of-repeats",  EXTREMES,           extreme_of_repeats,  "the operand does not change along an axis", "nothing to choose from"),
    code(EXACT, "extreme-of-extreme",  EXTREMES,           reduce_reduce,       "", "one reduction"),
];

const VIEWS: &[Kind] =
    &[Kind::Reshape, Kind::Transpose, Kind::Broadcast, Kind::Slice, Kind::Pad, Kind::Concat];

const EXTREMES: &[Kind] = &[
    Kind::Reduce(ReduceOp::Max),
    Kind::Reduce(ReduceOp::Min),
    Kind::Reduce(ReduceOp::Any),
    Kind::Reduce(ReduceOp::All),
];

/// Every elementwise kind that can sit on a broadcast.
const MAPS: &[Kind] = &{
    const N: usize = MapOp::ALL.len();
    let mut kinds = [Kind::Convert; N + 1];
    let mut i = 0;
    while i < N {
        kinds[i] = Kind::Map(MapOp::ALL[i]);
        i += 1;
    }
    kinds
};

/// Sizes, or numbers of elements, along each axis.
pub type Dims = SmallVec<[Dim; 4]>;

fn reshape_reshape(site: &mut Site<'_>, node: &ENode) {
    let Some(Op::Reshape(shape)) = node.op() else { return };
    for inner in site.nodes(node.children[0], Kind::Reshape) {
        let reshaped = site.reshape(inner.children[0], shape);
        site.emit(node, reshaped);
    }
}

fn transpose_transpose(site: &mut Site<'_>, node: &ENode) {
    let Some(Op::Transpose(outer)) = node.op() else { return };
    for inner in site.nodes(node.children[0], Kind::Transpose) {
        let Some(Op::Transpose(perm)) = inner.op() else { continue };
        let both: Axes = outer.iter().map(|&i| perm[usize::from(i)]).collect();
        let transposed = site.transpose(inner.children[0], &both);
        site.emit(node, transposed);
    }
}

fn broadcast_broadcast(site: &mut Site<'_>, node: &ENode) {
    let Some(Op::Broadcast { shape, axes }) = node.op() else { return };
    for inner in site.nodes(node.children[0], Kind::Broadcast) {
        let Some(Op::Broadcast { axes: first, .. }) = inner.op() else { continue };
        let both: Axes = first.iter().map(|&i| axes[usize::from(i)]).collect();
        let repeated = site.broadcast(inner.children[0], shape, &both);
        site.emit(node, repeated);
    }
}

fn slice_slice(site: &mut Site<'_>, node: &ENode) {
    let Some(Op::Slice { starts, lens, steps }) = node.op() else { return };
    for inner in site.nodes(node.children[0], Kind::Slice) {
        let Some(Op::Slice { starts: first, steps: strides, .. }) = inner.op() else { continue };
        let start = |i: usize| Dim::Const(extent(&first[i]) + strides[i] * extent(&starts[i]));
        // A step that is not taken is 1, or steps of steps would never end.
        let step = |i: usize| if extent(&lens[i]) <= 1 { 1 } else { steps[i] * strides[i] };
        let both = Op::Slice {
            starts: (0..starts.len()).map(start).collect(),
            lens: lens.clone(),
            steps: (0..steps.len()).map(step).collect(),
        };
        let sliced = site.op(both, &[inner.children[0].into()]);
        site.emit(node, sliced);
    }
}

fn view_nothing(site: &mut Site<'_>, node: &ENode) {
    let x = node.children[0];
    let same_type = *site.ty(x) == *site.ty(site.class());
    let nothing = match node.op() {
        Some(Op::Reshape(_) | Op::Broadcast { .. }) => same_type,
        Some(Op::Transpose(perm)) => perm.iter().enumerate().all(|(i, &p)| i == usize::from(p)),
        Some(Op::Slice { starts, steps, .. }) => {
            // A step along an axis of one element is not taken.
            let along = |(axis, &step): (usize, &i64)| step == 1 || site.dims(x)[axis] <= 1;
            same_type && starts.iter().all(|s| s.is(0)) && steps.iter().enumerate().all(along)
        }
        Some(pad @ Op::Pad { low, .. }) => (0..low.len()).all(|axis| leaves(pad, axis)),
        Some(Op::Concat(_)) => node.children.len() == 1,
        _ => false,
    };
    if nothing {
        site.emit(node, x);
    }
}

fn transpose_units(site: &mut Site<'_>, node: &ENode) {
    let Some(Op::Transpose(perm)) = node.op() else { return };
    let dims = site.dims(node.children[0]);
    let moved: SmallVec<[u8; 4]> =
        perm.iter().copied().filter(|&a| dims[usize::from(a)] != 1).collect();
    if moved.windows(2).all(|w| w[0] < w[1]) {
        let shape = site.ty(site.class()).shape.clone();
        let reshaped = site.reshape(node.children[0], &shape);
        site.emit(node, reshaped);
    }
}

fn transpose_broadcast(site: &mut Site<'_>, node: &ENode) {
    let Some(Op::Transpose(perm)) = node.op() else { return };
    let shape = site.ty(site.class()).shape.clone();
    for inner in site.nodes(node.children[0], Kind::Broadcast) {
        let Some(Op::Broadcast { axes, .. }) = inner.op() else { continue };
        let to = |axis: u8| perm.iter().position(|&p| p == axis).expect("a permutation") as u8;
        let placed: Axes = axes.iter().map(|&a| to(a)).collect();
        let repeated = place(site, inner.children[0].into(), &shape, &placed);
        site.emit(node, repeated);
    }
}

/// `x` with its axis `i` at axis `axes[i]` of `shape`, in any order: transposed, then repeated.
pub fn place(site: &mut Site<'_>, x: Ref, shape: &[Dim], axes: &[u8]) -> Ref {
    let mut order: SmallVec<[u8; 4]> = (0..axes.len() as u8).collect();
    order.sort_unstable_by_key(|&i| axes[usize::from(i)]);
    let ascending: Axes = order.iter().map(|&i| axes[usize::from(i)]).collect();
    let x = site.transpose(x, &order);
    site.broadcast(x, shape, &ascending)
}

fn slice_broadcast(site: &mut Site<'_>, node: &ENode) {
    let Some(Op::Slice { starts, lens, steps }) = node.op() else { return };
    for inner in site.nodes(node.children[0], Kind::Broadcast) {
        let Some(Op::Broadcast { axes, .. }) = inner.op() else { continue };
        let at = || axes.iter().map(|&a| usize::from(a));
        let slice = Op::Slice {
            starts: at().map(|a| starts[a].clone()).collect(),
            lens: at().map(|a| lens[a].clone()).collect(),
            steps: at().map(|a| steps[a]).collect(),
        };
        let x = Ref::Class(inner.children[0]);
        let sliced = if axes.is_empty() { x } else { site.op(slice, &[x]) };
        let repeated = site.broadcast(sliced, lens, axes);
        site.emit(node, repeated);
    }
}

fn slice_concat(site: &mut Site<'_>, node: &ENode) {
    let Some(Op::Slice { starts, lens, steps }) = node.op() else { return };
    for inner in site.nodes(node.children[0], Kind::Concat) {
        let Some(Op::Concat(axis)) = inner.op() else { continue };
        let axis = usize::from(*axis);
        let (start, len, step) = (extent(&starts[axis]), extent(&lens[axis]), steps[axis]);
        if len == 0 {
            continue;
        }
        let last = start + step * (len - 1);
        let (low, high) = (start.min(last), start.max(last));
        let mut begin = 0;
        for &part in &inner.children {
            let end = begin + site.dims(part)[axis];
            if begin <= low && high < end {
                let mut starts = starts.clone();
                starts[axis] = Dim::Const(start - begin);
                let slice = Op::Slice { starts, lens: lens.clone(), steps: steps.clone() };
                let sliced = site.op(slice, &[part.into()]);
                site.emit(node, sliced);
                break;
            }
            begin = end;
        }
    }
}

fn slice_pad(site: &mut Site<'_>, node: &ENode) {
    let Some(Op::Slice { starts, lens, steps }) = node.op() else { return };
    for inner in site.nodes(node.children[0], Kind::Pad) {
        let Some(Op::Pad { low, interior, .. }) = inner.op() else { continue };
        let x = inner.children[0];
        let dims = site.dims(x);
        let mut inside: SmallVec<[Dim; 4]> = SmallVec::new();
        let mut fits = interior.iter().all(|&i| i == 0);
        for axis in 0..dims.len() {
            let start = extent(&starts[axis]) - extent(&low[axis]);
            let last = start + steps[axis] * (extent(&lens[axis]) - 1);
            fits &= extent(&lens[axis]) > 0 && (0..dims[axis]).contains(&start);
            fits &= (0..dims[axis]).contains(&last);
            inside.push(Dim::Const(start));
        }
        if fits {
            let slice = Op::Slice { starts: inside, lens: lens.clone(), steps: steps.clone() };
            let sliced = site.op(slice, &[x.into()]);
            site.emit(node, sliced);
            continue;
        }
        // Where whole axes have the margins, the slice goes below.
        let padded = site.dims(node.children[0]);
        let bare = |axis: usize| padded[axis] == dims[axis];
        let whole = |axis: usize| {
            starts[axis].is(0) && extent(&lens[axis]) == padded[axis] && steps[axis] == 1
        };
        if (0..dims.len()).all(|axis| bare(axis) || whole(axis)) {
            let pick =
                |axis: usize| if bare(axis) { lens[axis].clone() } else { Dim::Const(dims[axis]) };
            let lens = (0..dims.len()).map(pick).collect();
            let slice = Op::Slice { starts: starts.clone(), lens, steps: steps.clone() };
            let sliced = site.op(slice, &[x.into()]);
            let padding = inner.op().expect("a pad").clone();
            let padded = site.op(padding, &[sliced, inner.children[1].into()]);
            site.emit(node, padded);
        }
    }
}

/// Whether a pad leaves an axis as it is.
pub fn leaves(pad: &Op, axis: usize) -> bool {
    let Op::Pad { low, high, interior } = pad else { return false };
    low[axis].is(0) && high[axis].is(0) && interior[axis] == 0
}

fn pad_window(site: &mut Site<'_>, node: &ENode) {
    let Some(pad @ Op::Pad { low, high, interior }) = node.op() else { return };
    for inner in site.nodes(node.children[0], Kind::Window) {
        let Some(Op::Window(window)) = inner.op() else { continue };
        let (places, parts) = (usize::from(window.axis), usize::from(window.axis) + 1);
        if !leaves(pad, places) || !leaves(pad, parts) {
            continue;
        }
        let (mut low, mut high, mut interior) = (low.clone(), high.clone(), interior.clone());
        low.remove(parts);
        high.remove(parts);
        interior.remove(parts);
        let below = Op::Pad { low, high, interior };
        let padded = site.op(below, &[inner.children[0].into(), node.children[1].into()]);
        let windows = site.op(Op::Window(window.clone()), &[padded]);
        site.emit(node, windows);
    }
}

fn pad_pad(site: &mut Site<'_>, node: &ENode) {
    let Some(Op::Pad { low, high, interior }) = node.op() else { return };
    for inner in site.nodes(node.children[0], Kind::Pad) {
        let Some(Op::Pad { low: first, high: last, interior: between }) = inner.op() else {
            continue;
        };
        let one_value = site.same(node.children[1], inner.children[1]);
        if !one_value || interior.iter().any(|&n| n != 0) {
            continue;
        }
        let sums = |a: &Dims, b: &Dims| -> Dims {
            a.iter().zip(b).map(|(a, b)| Dim::Const(extent(a) + extent(b))).collect()
        };
        let both =
            Op::Pad { low: sums(low, first), high: sums(high, last), interior: between.clone() };
        let padded = site.op(both, &[inner.children[0].into(), inner.children[1].into()]);
        site.emit(node, padded);
    }
}

fn slice_window(site: &mut Site<'_>, node: &ENode) {
    let Some(Op::Slice { starts, lens, steps }) = node.op() else { return };
    let dims = site.dims(node.children[0]);
    for inner in site.nodes(node.children[0], Kind::Window) {
        let Some(Op::Window(window)) = inner.op() else { continue };
        let (places, parts) = (usize::from(window.axis), usize::from(window.axis) + 1);
        let all_parts = starts[parts].is(0) && extent(&lens[parts]) == dims[parts];
        if !all_parts || steps[places] != 1 || steps[parts] != 1 {
            continue;
        }
        let x = inner.children[0];
        let mut below = (starts.clone(), lens.clone(), steps.clone());
        below.0[places] = Dim::Const(0);
        below.1[places] = site.ty(x).shape[places].clone();
        below.0.remove(parts);
        below.1.remove(parts);
        below.2.remove(parts);
        let sliced = Op::Slice { starts: below.0, lens: below.1, steps: below.2 };
        let sliced = site.op(sliced, &[x.into()]);
        let first = extent(&window.start) + window.stride * extent(&starts[places]);
        let window =
            Window { start: Dim::Const(first), count: lens[places].clone(), ..window.clone() };
        let windows = site.op(Op::Window(window), &[sliced]);
        site.emit(node, windows);
    }
}

fn gather_run(site: &mut Site<'_>, node: &ENode) {
    let Some(Op::Gather(axis)) = node.op() else { return };
    let (x, index) = (node.children[0], node.children[1]);
    let &[size] = site.dims(index).as_slice() else { return };
    let count = site.dims(x)[usize::from(*axis)] - size + 1;
    if size < 2 || count < 1 {
        return;
    }
    for check in site.nodes(index, Kind::CheckIndex) {
        let Some(first) = first_of_run(site, check.children[0]) else { continue };
        let Some(first) = site.without_axes(first, &[0]) else { continue };
        // As the checker makes it: a negative place is outside, and told by its number.
        let least = site.splat(Scalar::from_i64(DType::I64, LEAST), &[]);
        let unsigned = site.splat(Scalar::from_i64(DType::I64, UNSIGNED), &[]);
        let first = site.map(MapOp::Max, &[first, least]);
        let first = site.map(MapOp::And, &[first, unsigned]);
        let first = site.op(Op::CheckIndex(Dim::Const(count)), &[first]);
        let window = Window {
            axis: *axis,
            start: Dim::Const(0),
            count: Dim::Const(count),
            size: Dim::Const(size),
            stride: 1,
            dilation: 1,
        };
        let runs = site.op(Op::Window(window), &[x.into()]);
        let run = site.op(Op::Gather(*axis), &[runs, first]);
        site.emit(node, run);
    }
}

fn gather_counted(site: &mut Site<'_>, node: &ENode) {
    let Some(Op::Gather(axis)) = node.op() else { return };
    let (x, axis) = (node.children[0], usize::from(*axis));
    let &[size] = site.dims(node.children[1]).as_slice() else { return };
    for check in site.nodes(node.children[1], Kind::CheckIndex) {
        let Some(first) = counted_from(site, check.children[0]) else { continue };
        let dims = site.dims(x);
        if first < 0 || first > dims[axis] - size {
            continue;
        }
        let mut starts: SmallVec<_> = dims.iter().map(|_| Dim::Const(0)).collect();
        let mut lens: SmallVec<_> = dims.iter().map(|&n| Dim::Const(n)).collect();
        (starts[axis], lens[axis]) = (Dim::Const(first), Dim::Const(size));
        let steps = dims.iter().map(|_| 1).collect();
        let slice = site.op(Op::Slice { starts, lens, steps }, &[x.into()]);
        site.emit(node, slice);
    }
}

/// The number `s` of the indices `s + 0, s + 1, …`.
fn counted_from(site: &Site<'_>, index: egg::Id) -> Option<i64> {
    let counts = |x: egg::Id| site.nodes(x, Kind::Iota).next().is_some();
    if counts(index) {
        return Some(0);
    }
    site.nodes(index, Kind::Map(MapOp::Add)).find_map(|node| match *node.children.as_slice() {
        [a, b] if counts(a) => site.constant(b).map(|c| c.to_i64()),
        [a, b] if counts(b) => site.constant(a).map(|c| c.to_i64()),
        _ => None,
    })
}

/// `s` of the indices `s + 0, s + 1, …`, of which negative ones are out of range.
fn first_of_run(site: &Site<'_>, index: egg::Id) -> Option<egg::Id> {
    let beside = |of: egg::Id, map: MapOp, number: i64| {
        let is = |x: egg::Id| site.constant(x).is_some_and(|c| c.to_i64() == number);
        site.nodes(of, Kind::Map(map)).find_map(|node| match *node.children.as_slice() {
            [a, b] if is(b) => Some(a),
            [a, b] if is(a) => Some(b),
            _ => None,
        })
    };
    let signed = match beside(index, MapOp::And, UNSIGNED) {
        Some(signed) => signed,
        None if site.facts(index).interval.low >= 0.0 => index,
        None => return None,
    };
    let sum = beside(signed, MapOp::Max, LEAST).unwrap_or(signed);
    let counts = |x: egg::Id| site.nodes(x, Kind::Iota).next().is_some();
    let uniform = |x: egg::Id| site.facts(x).uniform & 1 != 0;
    site.nodes(sum, Kind::Map(MapOp::Add)).find_map(|node| match *node.children.as_slice() {
        [a, b] if uniform(a) && counts(b) => Some(a),
        [a, b] if uniform(b) && counts(a) => Some(b),
        _ => None,
    })
}

fn view_of_map(site: &mut Site<'_>, node: &ENode) {
    let view = node.op().expect("a view").clone();
    let shape = site.ty(site.class()).shape.clone();
    let kind = node.kind();
    for inner in &site.egraph()[node.children[0]].nodes {
        let elementwise = matches!(inner.op(), Some(Op::Map(_) | Op::Convert(_)));
        if !elementwise || site.constant(node.children[0]).is_some() {
            continue;
        }
        // At most one operand gets a view that it did not have.
        let free =
            |&&x: &&egg::Id| site.constant(x).is_some() || site.nodes(x, kind).next().is_some();
        let bare = inner.children.iter().filter(|x| !free(x)).count();
        if bare > 1 {
            continue;
        }
        let through = |site: &mut Site<'_>, x: egg::Id| -> Ref {
            if let Some(value) = site.constant(x) {
                return site.splat(value, &shape);
            }
            match &view {
                Op::Reshape(shape) => site.reshape(x, shape),
                Op::Transpose(perm) => site.transpose(x, perm),
                _ => unreachable!("the rule's kinds"),
            }
        };
        let operands: SmallVec<[Ref; 3]> =
            inner.children.iter().map(|&x| through(site, x)).collect();
        let op = inner.op().expect("elementwise").clone();
        let mapped = site.op(op, &operands);
        site.emit(node, mapped);
    }
}

fn map_of_broadcasts(site: &mut Site<'_>, node: &ENode) {
    let facts = site.facts(site.class());
    if facts.constant.is_some() || facts.uniform == 0 {
        return;
    }
    let mut used: Axes = Axes::new();
    let mut sources: SmallVec<[Option<(egg::Id, Axes)>; 3]> = SmallVec::new();
    for &x in &node.children {
        if site.constant(x).is_some() {
            sources.push(None);
            continue;
        }
        let Some(repeat) = site.nodes(x, Kind::Broadcast).next() else { return };
        let Some(Op::Broadcast { axes, .. }) = repeat.op() else { return };
        used.extend(axes.iter().copied());
        sources.push(Some((repeat.children[0], axes.clone())));
    }
    used.sort_unstable();
    used.dedup();
    let ty = site.ty(site.class());
    if used.len() == ty.rank() {
        return;
    }
    let small: Dims = used.iter().map(|&a| ty.shape[usize::from(a)].clone()).collect();
    let mut operands: SmallVec<[Ref; 3]> = SmallVec::new();
    for (&x, source) in node.children.iter().zip(&sources) {
        operands.push(match source {
            None => {
                let value = site.constant(x).expect("a constant");
                site.splat(value, &small)
            }
            Some((source, axes)) => {
                let to = |a: &u8| used.iter().position(|u| u == a).expect("collected") as u8;
                let axes: Axes = axes.iter().map(to).collect();
                site.broadcast(*source, &small, &axes)
            }
        });
    }
    let mapped = site.op(node.op().expect("elementwise").clone(), &operands);
    let repeated = site.broadcast(mapped, &ty.shape, &used);
    site.emit(node, repeated);
}

fn extreme_of_repeats(site: &mut Site<'_>, node: &ENode) {
    let Some(Op::Reduce(reduce, axes)) = node.op() else { return };
    let x = node.children[0];
    let Some((smaller, rest, n)) = drop_repeats(site, x, axes) else { return };
    if n > 0 {
        let reduced = site.reduce(*reduce, smaller, &rest);
        site.emit(node, reduced);
    }
}

/// `x` without those of `axes` along which it does not change, the other axes renumbered, and how
/// many times each element was repeated.
pub fn drop_repeats(site: &mut Site<'_>, x: egg::Id, axes: &[u8]) -> Option<(Ref, Axes, i64)> {
    let facts = site.facts(x);
    let dropped: Axes = axes.iter().copied().filter(|&a| facts.uniform & (1 << a) != 0).collect();
    if dropped.is_empty() {
        return None;
    }
    let n = dropped.iter().map(|&a| facts.dims()[usize::from(a)]).product();
    let smaller = site.without_axes(x, &dropped)?;
    let renumber = |&a: &u8| a - dropped.iter().filter(|&&d| d < a).count() as u8;
    let rest = axes.iter().filter(|a| !dropped.contains(a)).map(renumber).collect();
    Some((smaller, rest, n))
}

/// A reduction of a reduction by the same operation.
pub fn reduce_reduce(site: &mut Site<'_>, node: &ENode) {
    let Some(Op::Reduce(reduce, outer)) = node.op() else { return };
    for inner in site.nodes(node.children[0], node.kind()) {
        let Some(Op::Reduce(_, first)) = inner.op() else { continue };
        let x = inner.children[0];
        let kept: Axes = (0..site.rank(x) as u8).filter(|a| !first.contains(a)).collect();
        let mut all = first.clone();
        all.extend(outer.iter().map(|&a| kept[usize::from(a)]));
        let reduced = site.reduce(*reduce, x, &all);
        site.emit(node, reduced);
    }
}
