//! Sums and products: `sum(a * b)` to a contraction, sums of what repeats to a scaling, and
//! contractions that take transposes and broadcasts of their operands into their axes.

use super::super::language::{ENode, Kind};
use super::super::site::{Ref, Site, extent};
use super::movement::{Dims, drop_repeats, leaves, place, reduce_reduce};
use super::{Numerics, Phase, Rule, code};
use crate::graph::fused::ReduceOp;
use crate::graph::ops::{Axes, Contraction, Window};
use crate::graph::{Dim, MapOp, Op};
use egg::Id;
use smallvec::SmallVec;
use tensc_runtime::{DType, Scalar};

const EXACT: (Phase, Numerics) = (Phase::Contraction, Numerics::Exact);
const STABLE: (Phase, Numerics) = (Phase::Contraction, Numerics::Stable);
const SUM: &[Kind] = &[Kind::Reduce(ReduceOp::Sum)];

/// The rows.
#[rustfmt::skip]
pub const RULES: &[Rule] = &[
    code(EXACT,  "contract-transpose-left",  &[Kind::Contract],  transpose_left,  "", "the left operand is read transposed"),
    code(EXACT,  "contract-transpose-right", &[Kind::Contract],  transpose_right, "", "the right operand is read transposed"),
    code(EXACT,  "transpose-contract",       &[Kind::Transpose], transpose_contract, "the transpose swaps the operands' axes", "the operands swap instead"),
    code(EXACT,  "slice-contract",           &[Kind::Slice],     slice_contract,  "axes that are not summed over", "the operands are sliced, and less is multiplied"),
    code(STABLE, "sum-of-shifts",            SUM,                sum_of_shifts,   "the summed axis shifts products along an axis", "the operand is read shifted, and one contraction sums it all"),
    code(EXACT,  "outer-product",            &[Kind::Contract],  outer_product,   "no axis is summed over", "elementwise, so that it fuses"),
    code(STABLE, "contract-broadcast-left",  &[Kind::Contract],  broadcast_left,  "", "the repeats are summed, or made afterwards"),
    code(STABLE, "contract-broadcast-right", &[Kind::Contract],  broadcast_right, "", "the repeats are summed, or made afterwards"),
    code(STABLE, "sum-of-product",           SUM,                sum_of_product,  "floats; an operand has an axis that the other lacks", "a sum of products is a contraction"),
    code(STABLE, "sum-of-repeats",           SUM,                sum_of_repeats,  "the operand does not change along an axis", "n times the element"),
    code(STABLE, "sum-of-sum",               SUM,                reduce_reduce,   "", "one reduction"),
    code(STABLE, "sum-of-transpose",         SUM,                sum_of_transpose, "", "the operand is read in its own order"),
    code(STABLE, "sum-of-neg",               SUM,                sum_of_neg,      "", "the sign of the sum"),
    code(STABLE, "sum-of-one",               UNIT_SUMS,          sum_of_one,      "the axes have size 1", "nothing to add up"),
    code(STABLE, "sum-of-one-hot",           SUM,                sum_of_one_hot,  "the index is checked against the axis", "one term of the sum is not zero"),
];

const UNIT_SUMS: &[Kind] = &[
    Kind::Reduce(ReduceOp::Sum),
    Kind::Reduce(ReduceOp::Prod),
    Kind::Reduce(ReduceOp::Max),
    Kind::Reduce(ReduceOp::Min),
];

fn contraction(node: &ENode) -> Option<&Contraction> {
    match node.op() {
        Some(Op::Contract(c)) => Some(c),
        _ => None,
    }
}

/// One operand's part in a contraction, so that rules need not be written twice.
#[derive(Clone)]
struct Half {
    x: Ref,
    batch: Axes,
    sum: Axes,
}

/// Both operands of a contraction, the one a rule looks at first.
fn halves(node: &ENode, right: bool) -> Option<(Half, Half)> {
    let c = contraction(node)?.clone();
    let left = Half { x: node.children[0].into(), batch: c.left_batch, sum: c.left_sum };
    let other = Half { x: node.children[1].into(), batch: c.right_batch, sum: c.right_sum };
    Some(if right { (other, left) } else { (left, other) })
}

fn join(site: &mut Site<'_>, this: Half, other: Half, right: bool) -> Ref {
    let (left, right) = if right { (other, this) } else { (this, other) };
    let c = Contraction {
        left_batch: left.batch,
        right_batch: right.batch,
        left_sum: left.sum,
        right_sum: right.sum,
    };
    site.contract(c, left.x, right.x)
}

fn free(site: &Site<'_>, half: &Half) -> Axes {
    let rank = site.ty(half.x).rank() as u8;
    (0..rank).filter(|a| !half.batch.contains(a) && !half.sum.contains(a)).collect()
}

fn transpose_left(site: &mut Site<'_>, node: &ENode) {
    transpose_operand(site, node, false);
}

fn transpose_right(site: &mut Site<'_>, node: &ENode) {
    transpose_operand(site, node, true);
}

fn transpose_operand(site: &mut Site<'_>, node: &ENode, right: bool) {
    let Some((this, other)) = halves(node, right) else { return };
    let Ref::Class(x) = this.x else { return };
    for inner in site.nodes(x, Kind::Transpose) {
        let Some(Op::Transpose(perm)) = inner.op() else { continue };
        let through =
            |axes: &[u8]| -> Axes { axes.iter().map(|&a| perm[usize::from(a)]).collect() };
        let free_before = through(&free(site, &this));
        let moved = Half {
            x: inner.children[0].into(),
            batch: through(&this.batch),
            sum: through(&this.sum),
        };
        let free_after = free(site, &moved);
        // Where the free axes changed order, the result is transposed back.
        let at = |axis: &u8| free_after.iter().position(|a| a == axis).expect("a permutation");
        let (batches, others) = (this.batch.len(), free(site, &other).len());
        let before = if right { batches + others } else { batches };
        let mut back: Axes = (0..(batches + others + free_after.len()) as u8).collect();
        for (k, axis) in free_before.iter().enumerate() {
            back[before + k] = (before + at(axis)) as u8;
        }
        let contracted = join(site, moved, other.clone(), right);
        let restored = site.transpose(contracted, &back);
        site.emit(node, restored);
    }
}

fn transpose_contract(site: &mut Site<'_>, node: &ENode) {
    let Some(Op::Transpose(perm)) = node.op() else { return };
    for inner in site.nodes(node.children[0], Kind::Contract) {
        let Some(c) = contraction(inner) else { continue };
        let (a, b) = (inner.children[0], inner.children[1]);
        let batches = c.left_batch.len();
        let lefts = c.left_free(site.rank(a)).len();
        let rights = c.right_free(site.rank(b)).len();
        let total = (batches + lefts + rights) as u8;
        let (left_at, right_at) = (batches as u8, (batches + lefts) as u8);
        let (head, tail) = perm.split_at(batches);
        if head.iter().any(|&axis| axis >= left_at) {
            continue;
        }
        let reorder =
            |axes: &Axes| -> Axes { head.iter().map(|&i| axes[usize::from(i)]).collect() };
        let (left_batch, right_batch) = (reorder(&c.left_batch), reorder(&c.right_batch));
        let contracted = if tail.iter().copied().eq((right_at..total).chain(left_at..right_at)) {
            let reordered = Contraction { left_batch, right_batch, ..c.clone() };
            site.contract(reordered.turned(), b, a)
        } else if tail.iter().copied().eq(left_at..total) {
            let reordered = Contraction { left_batch, right_batch, ..c.clone() };
            site.contract(reordered, a, b)
        } else {
            continue;
        };
        site.emit(node, contracted);
    }
}

/// The contractions in a class, transposed or not: the operands' parts, and the axis of the
/// contraction that each axis of the class is.
fn contractions<'a>(site: &Site<'a>, class: Id) -> Vec<([Half; 2], Axes)> {
    let plain = |x: Id, perm: Axes| {
        let halves = move |node: &ENode| {
            let (left, right) = halves(node, false)?;
            Some(([left, right], perm.clone()))
        };
        site.nodes(x, Kind::Contract).filter_map(halves).collect::<Vec<_>>()
    };
    let mut found = plain(class, (0..site.rank(class) as u8).collect());
    for node in site.nodes(class, Kind::Transpose) {
        if let Some(Op::Transpose(perm)) = node.op() {
            found.extend(plain(node.children[0], perm.clone()));
        }
    }
    found
}

/// The operand, left or right, that has this axis of a contraction to itself, and its axis there.
fn owner(site: &Site<'_>, [left, right]: &[Half; 2], axis: u8) -> Option<(usize, u8)> {
    let (lefts, rights) = (free(site, left), free(site, right));
    let at = usize::from(axis).checked_sub(left.batch.len())?;
    match at.checked_sub(lefts.len()) {
        None => Some((0, lefts[at])),
        Some(at) => Some((1, rights[at])),
    }
}

/// A slice of a product of matrices is the product of slices.
fn slice_contract(site: &mut Site<'_>, node: &ENode) {
    let Some(Op::Slice { starts, lens, steps }) = node.op() else { return };
    let whole = |axis: usize, size: i64| {
        starts[axis].is(0) && extent(&lens[axis]) == size && (size <= 1 || steps[axis] == 1)
    };
    let dims = site.dims(node.children[0]);
    for (mut operands, perm) in contractions(site, node.children[0]) {
        let sliced = (0..dims.len()).filter(|&axis| !whole(axis, dims[axis]));
        let owned: Option<Vec<_>> =
            sliced.map(|axis| Some((axis, owner(site, &operands, perm[axis])?))).collect();
        let Some(owned) = owned.filter(|owned| !owned.is_empty()) else { continue };
        for (axis, (side, at)) in owned {
            let x = operands[side].x;
            let shape = site.ty(x).shape.clone();
            let mut slice = (Dims::from_elem(Dim::Const(0), shape.len()), shape.clone());
            let mut by: SmallVec<[i64; 4]> = SmallVec::from_elem(1, shape.len());
            let at = usize::from(at);
            (slice.0[at], slice.1[at], by[at]) =
                (starts[axis].clone(), lens[axis].clone(), steps[axis]);
            let slice = Op::Slice { starts: slice.0, lens: slice.1, steps: by };
            operands[side].x = site.op(slice, &[x]);
        }
        let [left, right] = operands;
        let contracted = join(site, left, right, false);
        let restored = site.transpose(contracted, &perm);
        site.emit(node, restored);
    }
}

/// `Σ_t c[.., p - t, .., t, ..]` of a product `c` of matrices, of which one has the axis of `p` and
/// the other the one of `t`: the sum over shifts of the one is one more sum of products. So the
/// gradient of a convolution by its input is a convolution of the gradient of its result.
fn sum_of_shifts(site: &mut Site<'_>, node: &ENode) {
    let Some(Op::Reduce(_, axes)) = node.op() else { return };
    let &[summed] = axes.as_slice() else { return };
    let diagonals = site.nodes(node.children[0], Kind::Diagonal);
    for (shifted, first, second) in diagonals.filter_map(|node| match node.op() {
        Some(&Op::Diagonal(first, second)) => Some((node.children[0], first, second)),
        _ => None,
    }) {
        if first.min(second) != summed {
            continue;
        }
        for inner in site.nodes(shifted, Kind::Window) {
            let Some(Op::Window(window)) = inner.op() else { continue };
            let shifts = window.axis + 1;
            // The other axis of the diagonal, where there were no windows yet.
            let tap = match (first == shifts, second == shifts) {
                (true, false) => second,
                (false, true) => first,
                _ => continue,
            };
            let tap = if tap > shifts { tap - 1 } else { tap };
            for padded in site.nodes(inner.children[0], Kind::Pad) {
                shifts_of_contraction(site, node, window, tap, padded);
            }
        }
    }
}

/// The rest of `sum_of_shifts`: the windows of what was `padded`, whose places are summed along the
/// axis `tap`.
fn shifts_of_contraction(
    site: &mut Site<'_>,
    node: &ENode,
    window: &Window,
    tap: u8,
    padded: &ENode,
) {
    let Some(pad @ Op::Pad { low, high, interior }) = padded.op() else { return };
    let along = usize::from(window.axis);
    let one_axis = (0..low.len()).all(|axis| axis == along || leaves(pad, axis));
    if tap == window.axis || !one_axis || !site.is(padded.children[1], 0.0) {
        return;
    }
    for (operands, perm) in contractions(site, padded.children[0]) {
        let of = |axis: u8| owner(site, &operands, perm[usize::from(axis)]);
        let (Some((side, at)), Some((other, tap_at))) = (of(window.axis), of(tap)) else {
            continue;
        };
        if side == other {
            continue;
        }
        let [left, right] = operands;
        let (mut this, mut that) = if side == 0 { (left, right) } else { (right, left) };
        let rank = site.ty(this.x).rank();
        let only = |dim: &Dim| {
            let mut dims = Dims::from_elem(Dim::Const(0), rank);
            dims[usize::from(at)] = dim.clone();
            dims
        };
        let mut between: SmallVec<[i64; 4]> = SmallVec::from_elem(0, rank);
        between[usize::from(at)] = interior[along];
        let pad = Op::Pad { low: only(&low[along]), high: only(&high[along]), interior: between };
        this.x = site.op(pad, &[this.x, padded.children[1].into()]);
        this.x = site.op(Op::Window(Window { axis: at, ..window.clone() }), &[this.x]);
        for axis in this.batch.iter_mut().chain(&mut this.sum) {
            *axis += u8::from(*axis > at);
        }
        this.sum.push(at + 1);
        that.sum.push(tap_at);
        let contracted = join(site, this, that, side == 1);
        // The axes of the result, in the old order, and those of the contraction, without the taps.
        let gone = perm[usize::from(tap)];
        let kept: Axes = perm.iter().copied().filter(|&axis| axis != gone).collect();
        let order: Axes = kept.iter().map(|&axis| axis - u8::from(axis > gone)).collect();
        let restored = site.transpose(contracted, &order);
        site.emit(node, restored);
    }
}

fn outer_product(site: &mut Site<'_>, node: &ENode) {
    let Some(c) = contraction(node) else { return };
    if !c.left_sum.is_empty() {
        return;
    }
    let shape = site.ty(site.class()).shape.clone();
    let (a, b) = (node.children[0], node.children[1]);
    let batches = c.left_batch.len();
    let (left_free, right_free) = (c.left_free(site.rank(a)), c.right_free(site.rank(b)));
    let at = |axis: u8, batch: &Axes, free: &Axes, before: usize| {
        let batch = batch.iter().position(|&x| x == axis);
        let free = || free.iter().position(|&x| x == axis).map(|k| k + before);
        batch.or_else(free).expect("an axis is a batch or free") as u8
    };
    let lefts: Axes =
        (0..site.rank(a) as u8).map(|axis| at(axis, &c.left_batch, &left_free, batches)).collect();
    let rights: Axes = (0..site.rank(b) as u8)
        .map(|axis| at(axis, &c.right_batch, &right_free, batches + left_free.len()))
        .collect();
    let left = place(site, a.into(), &shape, &lefts);
    let right = place(site, b.into(), &shape, &rights);
    let product = site.map(MapOp::Mul, &[left, right]);
    site.emit(node, product);
}

fn broadcast_left(site: &mut Site<'_>, node: &ENode) {
    broadcast_operand(site, node, false);
}

fn broadcast_right(site: &mut Site<'_>, node: &ENode) {
    broadcast_operand(site, node, true);
}

/// An axis that an operand merely repeats is taken off it. Free, it is repeated afterwards; summed
/// over, the other operand is summed along its partner first; a batch, the partner becomes free.
fn broadcast_operand(site: &mut Site<'_>, node: &ENode, right: bool) {
    let Some((this, other)) = halves(node, right) else { return };
    let Ref::Class(x) = this.x else { return };
    for inner in site.nodes(x, Kind::Broadcast) {
        let Some(Op::Broadcast { axes, .. }) = inner.op() else { continue };
        let keeps = |axis: &u8| axes.contains(axis);
        let renumber = |axis: &u8| axes.iter().position(|a| a == axis).expect("kept") as u8;
        // What each result axis is: a batch pair, or a free axis of either operand.
        let (this_free, other_free) = (free(site, &this), free(site, &other));
        let summed: Axes = pairs(&this.sum, &other.sum)
            .filter(|(mine, _)| !keeps(mine))
            .map(|(_, partner)| partner)
            .collect();
        let shrunk = |axis: &u8| axis - summed.iter().filter(|&s| s < axis).count() as u8;
        let partner = site.reduce(ReduceOp::Sum, other.x, &summed);
        let kept_pairs = |mine: &Axes, theirs: &Axes| -> (Axes, Axes) {
            pairs(mine, theirs)
                .filter(|(mine, _)| keeps(mine))
                .map(|(mine, theirs)| (renumber(&mine), shrunk(&theirs)))
                .unzip()
        };
        let (this_batch, other_batch) = kept_pairs(&this.batch, &other.batch);
        let (this_sum, other_sum) = kept_pairs(&this.sum, &other.sum);
        let smaller = Half { x: inner.children[0].into(), batch: this_batch, sum: this_sum };
        let rest = Half { x: partner, batch: other_batch, sum: other_sum };
        let (smaller_free, rest_free) = (free(site, &smaller), free(site, &rest));

        // Where the axes of the new result stand in the old one, in the order of the new.
        let old_batches: SmallVec<[(u8, u8); 4]> = pairs(&this.batch, &other.batch).collect();
        let (this_at, other_at) = if right {
            (old_batches.len() + other_free.len(), old_batches.len())
        } else {
            (old_batches.len(), old_batches.len() + this_free.len())
        };
        let of_this = |axis: u8| {
            let original = axes[usize::from(axis)];
            let batch = old_batches.iter().position(|(mine, _)| *mine == original);
            let free = || this_free.iter().position(|&a| a == original).map(|k| k + this_at);
            batch.or_else(free).expect("kept axes are in the result") as u8
        };
        let of_other = |axis: u8| {
            let original = (0..16).find(|a| !summed.contains(a) && shrunk(a) == axis);
            let original = original.expect("an axis of the operand");
            let batch = old_batches.iter().position(|(_, theirs)| *theirs == original);
            let free = || other_free.iter().position(|&a| a == original).map(|k| k + other_at);
            batch.or_else(free).expect("kept axes are in the result") as u8
        };
        let mut to: Axes = smaller.batch.iter().map(|&a| of_this(a)).collect();
        let mine = smaller_free.iter().map(|&a| of_this(a));
        let theirs = rest_free.iter().map(|&a| of_other(a));
        if right {
            to.extend(theirs.chain(mine));
        } else {
            to.extend(mine.chain(theirs));
        }
        let contracted = join(site, smaller, rest, right);
        let shape = site.ty(site.class()).shape.clone();
        let repeated = place(site, contracted, &shape, &to);
        site.emit(node, repeated);
    }
}

fn pairs<'a>(mine: &'a Axes, theirs: &'a Axes) -> impl Iterator<Item = (u8, u8)> + 'a {
    mine.iter().copied().zip(theirs.iter().copied())
}

/// What an operand of a product repeats, and where the source's axes go.
fn source(site: &Site<'_>, x: Id) -> (Id, Axes) {
    for repeat in site.nodes(x, Kind::Broadcast) {
        if let Some(Op::Broadcast { axes, .. }) = repeat.op() {
            return (repeat.children[0], axes.clone());
        }
    }
    (x, (0..site.rank(x) as u8).collect())
}

fn sum_of_product(site: &mut Site<'_>, node: &ENode) {
    let Some(Op::Reduce(_, reduced)) = node.op() else { return };
    let product = node.children[0];
    if !site.dtype(product).is_float() {
        return;
    }
    for inner in site.nodes(product, Kind::Map(MapOp::Mul)) {
        let (a, b) = (inner.children[0], inner.children[1]);
        if site.constant(a).is_some() || site.constant(b).is_some() {
            continue;
        }
        let ((a, a_at), (b, b_at)) = (source(site, a), source(site, b));
        let in_a = |axis: &u8| a_at.contains(axis);
        let in_b = |axis: &u8| b_at.contains(axis);
        let space = 0..site.rank(product) as u8;
        let is_sum = |axis: &u8| reduced.contains(axis);
        let sums: Axes = space.clone().filter(|x| is_sum(x) && in_a(x) && in_b(x)).collect();
        let batch: Axes = space.clone().filter(|x| !is_sum(x) && in_a(x) && in_b(x)).collect();
        let left: Axes = a_at.iter().copied().filter(|x| !is_sum(x) && !in_b(x)).collect();
        let right: Axes = b_at.iter().copied().filter(|x| !is_sum(x) && !in_a(x)).collect();
        // Without a free axis on either side it is a plain sum, which fuses with its product.
        if sums.is_empty() || (left.is_empty() && right.is_empty()) {
            continue;
        }
        if reduced.iter().any(|x| !in_a(x) || !in_b(x)) {
            // Axes that one operand lacks are summed first: `sum-of-repeats` and distributivity.
            continue;
        }
        let index = |at: &Axes, axes: &Axes| -> Axes {
            let of = |x: &u8| at.iter().position(|y| y == x).expect("the operand has it") as u8;
            axes.iter().map(of).collect()
        };
        let c = Contraction {
            left_batch: index(&a_at, &batch),
            right_batch: index(&b_at, &batch),
            left_sum: index(&a_at, &sums),
            right_sum: index(&b_at, &sums),
        };
        let kept: Axes = space.clone().filter(|x| !is_sum(x)).collect();
        let result: Axes = batch.iter().chain(&left).chain(&right).copied().collect();
        let to: Axes =
            result.iter().map(|x| kept.iter().position(|y| y == x).expect("kept") as u8).collect();
        let contracted = site.contract(c, a, b);
        let shape = site.ty(site.class()).shape.clone();
        let placed = place(site, contracted, &shape, &to);
        site.emit(node, placed);
    }
}

fn sum_of_repeats(site: &mut Site<'_>, node: &ENode) {
    let Some(Op::Reduce(_, axes)) = node.op() else { return };
    let x = node.children[0];
    let Some((smaller, rest, n)) = drop_repeats(site, x, axes) else { return };
    let dtype = site.dtype(x);
    let factor = Scalar::from_i64(dtype, n);
    if dtype.is_float() && factor.to_f64() != n as f64 {
        return;
    }
    let sum = site.reduce(ReduceOp::Sum, smaller, &rest);
    let ty = site.ty(sum);
    let factor = site.splat(factor, &ty.shape);
    let scaled = if n == 1 { sum } else { site.map(MapOp::Mul, &[sum, factor]) };
    site.emit(node, scaled);
}

fn sum_of_transpose(site: &mut Site<'_>, node: &ENode) {
    let Some(Op::Reduce(_, axes)) = node.op() else { return };
    for inner in site.nodes(node.children[0], Kind::Transpose) {
        let Some(Op::Transpose(perm)) = inner.op() else { continue };
        let original: Axes = axes.iter().map(|&a| perm[usize::from(a)]).collect();
        let kept: Axes = perm.iter().copied().filter(|a| !original.contains(a)).collect();
        // Kept axes in the operand's own order, then back to the transposed one.
        let mut sorted = kept.clone();
        sorted.sort_unstable();
        let back: Axes = kept
            .iter()
            .map(|a| sorted.iter().position(|s| s == a).expect("the same axes") as u8)
            .collect();
        let sum = site.reduce(ReduceOp::Sum, inner.children[0], &original);
        let restored = site.transpose(sum, &back);
        site.emit(node, restored);
    }
}

fn sum_of_neg(site: &mut Site<'_>, node: &ENode) {
    let Some(Op::Reduce(_, axes)) = node.op() else { return };
    for inner in site.nodes(node.children[0], Kind::Map(MapOp::Neg)) {
        let sum = site.reduce(ReduceOp::Sum, inner.children[0], axes);
        let negated = site.map(MapOp::Neg, &[sum]);
        site.emit(node, negated);
    }
}

fn sum_of_one(site: &mut Site<'_>, node: &ENode) {
    let Some(Op::Reduce(_, axes)) = node.op() else { return };
    let x = node.children[0];
    let dims = site.dims(x);
    if axes.iter().all(|&a| dims[usize::from(a)] == 1) {
        let shape: SmallVec<[Dim; 4]> = site.ty(site.class()).shape.clone();
        let reshaped = site.reshape(x, &shape);
        site.emit(node, reshaped);
    }
}

/// `Σ_j where(j == i, v, 0)` with `v` the same for every `j`: it is `v`, since `i` is some `j`.
fn sum_of_one_hot(site: &mut Site<'_>, node: &ENode) {
    let Some(Op::Reduce(_, axes)) = node.op() else { return };
    let &[axis] = axes.as_slice() else { return };
    let summand = node.children[0];
    let mut values: SmallVec<[Option<Id>; 2]> = SmallVec::new();
    for choice in site.nodes(summand, Kind::Map(MapOp::Select)) {
        let zero = site.constant(choice.children[2]).is_some_and(|c| c.to_f64() == 0.0);
        if zero && is_one_hot(site, choice.children[0], axis) {
            values.push(Some(choice.children[1]));
        }
    }
    for product in site.nodes(summand, Kind::Map(MapOp::Mul)) {
        for (mask, value) in [(0, 1), (1, 0)] {
            if is_converted_one_hot(site, product.children[mask], axis) {
                values.push(Some(product.children[value]));
            }
        }
    }
    if is_converted_one_hot(site, summand, axis) {
        values.push(None);
    }
    for value in values {
        let result = match value {
            Some(value) => site.without_axes(value, &[axis]),
            None => Some(site.like(1.0, site.class())),
        };
        if let Some(result) = result {
            site.emit(node, result);
        }
    }
}

fn is_converted_one_hot(site: &Site<'_>, x: Id, axis: u8) -> bool {
    site.dtype(x) != DType::Bool
        && site.nodes(x, Kind::Convert).any(|n| {
            site.dtype(n.children[0]) == DType::Bool && is_one_hot(site, n.children[0], axis)
        })
}

/// Whether exactly one element of the mask along `axis` is true: it compares positions along the
/// axis with an index that is one of them.
fn is_one_hot(site: &Site<'_>, mask: Id, axis: u8) -> bool {
    let size = extent(&site.facts(mask).ty.shape[usize::from(axis)]);
    let chosen = |index: Id| {
        let facts = site.facts(index);
        let within = facts.interval.low >= 0.0 && facts.interval.high <= (size - 1) as f64;
        !facts.ty.dtype.is_float() && within && facts.uniform & (1 << axis) != 0
    };
    site.nodes(mask, Kind::Map(MapOp::Eq)).any(|n| {
        let (a, b) = (n.children[0], n.children[1]);
        is_position(site, a, axis) && chosen(b) || is_position(site, b, axis) && chosen(a)
    })
}

/// Whether the elements are the positions along `axis`, all of which their type holds.
fn is_position(site: &Site<'_>, x: Id, axis: u8) -> bool {
    let facts = site.facts(x);
    let last = extent(&facts.ty.shape[usize::from(axis)]) - 1;
    if facts.interval.high < last as f64 {
        return false;
    }
    let counts =
        |n: &ENode, along: u8| matches!(n.op(), Some(Op::Iota { axis, .. }) if *axis == along);
    site.nodes(x, Kind::Iota).any(|n| counts(n, axis))
        || site.nodes(x, Kind::Broadcast).any(|n| {
            let Some(Op::Broadcast { axes, .. }) = n.op() else { return false };
            let Some(from) = axes.iter().position(|&a| a == axis) else { return false };
            site.nodes(n.children[0], Kind::Iota).any(|i| counts(i, from as u8))
        })
}
