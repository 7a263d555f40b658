//! Contractions: batched matrix products over strides, or nests where a product would be the wrong
//! tool.
//!
//! The result lies in memory as its readers want it; the operand with its innermost axis is the
//! right one, so that vectors are stored along it.
//!
//! Axes fall into batches, rows (of the left operand), columns (of the right) and summed ones.
//! Neighbours of one kind become one axis where the strides allow it, so that a transposed or a
//! stacked operand needs no copy; rows and columns that stay apart become batches. An operand is
//! copied only where its summed axes do not match the other's, or where it moves by single elements
//! along neither of its axes.

use super::Lowering;
use super::layout::{Layout, wanted};
use super::nest::LoopFold;
use super::scribe::{Read, Scribe};
use super::view::{Base, View};
use crate::graph::NodeId;
use crate::graph::ops::{Axes, Contraction};
use crate::kernel::walk::{Strides, Walk, joins, points};
use crate::kernel::{Access, Operand, Place, Product, Work};
use crate::vector::{Combine, Type};
use std::cmp::Reverse;
use std::ops::Range;
use tensc_runtime::{DType, Scalar};

/// Rows and columns of a product that its result may have in a layout that its readers want; fewer
/// are worse than a copy.
const FEW_ROWS: usize = 8;
const FEW_COLUMNS: usize = 16;

/// Multiply-adds below which half floats are not worth copies in `f32`.
const SMALL: usize = 1 << 14;

impl Lowering<'_> {
    pub(super) fn contract(
        &mut self,
        id: NodeId,
        left: &View,
        right: &View,
        contraction: &Contraction,
    ) -> View {
        let groups = Groups::new(left, right, contraction);
        let result = self.result(id);
        let wanted = wanted(self.graph, id, &self.live).map(|layout| laid_out(&result, &layout));
        let result = wanted.filter(|wanted| groups.suits(right, wanted)).unwrap_or(result);
        if groups.reads_turned(right, &result) {
            let turned = contraction.turned();
            let result = groups.turned(&result);
            self.contract_in(id, [right, left], &Groups::new(right, left, &turned), &result);
        } else {
            self.contract_in(id, [left, right], &groups, &result);
        }
        result
    }

    /// A contraction into a result with axes batch..., left..., right....
    fn contract_in(
        &mut self,
        id: NodeId,
        [left, right]: [&View; 2],
        groups: &Groups,
        result: &View,
    ) {
        let contraction = groups.contraction;
        let size = |axes: &[u8], view: &View| -> usize {
            axes.iter().map(|&a| view.shape[usize::from(a)]).product()
        };
        let (m, n) = (size(&groups.left_free, left), size(&groups.right_free, right));
        let k = size(&contraction.left_sum, left);
        let work = points(&result.shape).saturating_mul(k);
        let dtype = match result.dtype {
            DType::F64 => DType::F64,
            _ => DType::F32,
        };
        let half = matches!(result.dtype, DType::F16 | DType::BF16);
        let product = result.dtype == dtype || half && work >= SMALL;
        // Rows of B that are contiguous are multiplied and added a vector at a time, however few
        // rows there are; where only one of its columns is, a sum along them is the better loop.
        let row = m == 1
            && groups.right_free.last().is_some_and(|&axis| {
                matches!(right.base, Base::Buffer(_)) && right.walk.strides[usize::from(axis)] == 1
            });
        if m < 1 || m == 1 && !row || n <= 1 || k <= 1 || work == 0 || !product {
            self.contract_nest(id, left, right, groups, result);
        } else {
            self.contract_product(id, left, right, groups, result, dtype);
        }
    }

    /// A nest that multiplies and adds.
    fn contract_nest(
        &mut self,
        id: NodeId,
        left: &View,
        right: &View,
        groups: &Groups,
        result: &View,
    ) {
        // The space: the axes of the result, then the summed ones.
        let kept = result.shape.len();
        let c = groups.contraction;
        let mut space: Vec<usize> = result.shape.to_vec();
        space.extend(c.left_sum.iter().map(|&a| left.shape[usize::from(a)]));
        let batches = c.left_batch.len();
        let spread = |view: &View, batch: &[u8], free: &[u8], first: usize, sum: &[u8]| {
            let mut walk = Walk { offset: view.walk.offset, ..Walk::still(space.len()) };
            let places = (0..batches).chain(first..first + free.len()).chain(kept..space.len());
            for (place, &axis) in places.zip(batch.iter().chain(free).chain(sum)) {
                walk.strides[place] = view.walk.strides[usize::from(axis)];
            }
            Read::whole(view).with_walk(walk)
        };
        let (left_free, right_free) = (&groups.left_free, &groups.right_free);
        let reads = vec![
            spread(left, &c.left_batch, left_free, batches, &c.left_sum),
            spread(right, &c.right_batch, right_free, batches + left_free.len(), &c.right_sum),
        ];
        let body = |scribe: &mut Scribe, reads: &[Read]| {
            let (a, b) = (scribe.read(&reads[0]), scribe.read(&reads[1]));
            scribe.b.mul(a, b)
        };
        let axes: Vec<u8> = (kept..space.len()).map(|a| a as u8).collect();
        let empty = Scalar::from_i64(result.dtype, 0);
        let fold = LoopFold { combine: Combine::Add, index: None, empty };
        self.fold_loop(id, &space, &axes, reads, &body, fold, result);
    }

    fn contract_product(
        &mut self,
        id: NodeId,
        left: &View,
        right: &View,
        groups: &Groups,
        result: &View,
        dtype: DType,
    ) {
        let (packing, form) = groups.choose(left, right, result, dtype);
        let left = self.packed(left, packing.left.as_ref(), dtype);
        let right = self.packed(right, packing.right.as_ref(), dtype);
        let access = |view: &View, stride: fn(&Axis) -> i64, inner: [&Axis; 2]| {
            let Base::Buffer(buffer) = view.base else { unreachable!("operands are in memory") };
            let strides: Strides = form.batch.iter().chain(inner).map(stride).collect();
            Access { buffer, offset: view.walk.offset, strides, gather: None }
        };
        let out = access(result, |a| a.out, [&form.rows, &form.columns]);
        let mut epilogue = Scribe::default();
        let sum = epilogue.b.param(Type::of(dtype));
        epilogue.store(out, result.dtype, sum);
        let product = Product {
            batch: form.batch.iter().map(|a| a.extent).collect(),
            m: form.rows.extent,
            n: form.columns.extent,
            k: form.sum.extent,
            dtype,
            left: Operand::Stored(access(&left, |a| a.left, [&form.rows, &form.sum])),
            right: Operand::Stored(access(&right, |a| a.right, [&form.sum, &form.columns])),
            epilogue: epilogue.finish(Vec::new()),
        };
        self.kernel(&self.name(id), Work::Product(product), &[self.origin]);
    }

    /// The operand, or a copy of it (as `dtype`) whose memory has the axes as told; the axes of the
    /// view stay where they are.
    fn packed(&mut self, view: &View, layout: Option<&Layout>, dtype: DType) -> View {
        let Some(layout) = layout else { return view.clone() };
        let copy = laid_out(view, layout);
        let elements = layout.elements(&view.shape);
        let buffer = self.buffer(dtype, elements, Place::Arena);
        self.copy_to("pack", view, buffer, copy.walk.clone());
        View { base: Base::Buffer(buffer), dtype, ..copy }
    }
}

/// The view as if its memory were like this.
fn laid_out(view: &View, layout: &Layout) -> View {
    View { walk: layout.walk(&view.shape), ..view.clone() }
}

/// An axis of a contraction with its stride in each tensor; 0 where the tensor lacks it.
#[derive(Clone, Copy, Debug)]
struct Axis {
    extent: usize,
    left: i64,
    right: i64,
    out: i64,
}

/// A contraction as matrices.
struct Form {
    batch: Vec<Axis>,
    rows: Axis,
    columns: Axis,
    sum: Axis,
}

/// Which operands are copied.
struct Packing {
    left: Option<Layout>,
    right: Option<Layout>,
}

/// The axes of a contraction by kind.
struct Groups<'c> {
    contraction: &'c Contraction,
    left_free: Axes,
    right_free: Axes,
}

impl<'c> Groups<'c> {
    fn new(left: &View, right: &View, contraction: &'c Contraction) -> Groups<'c> {
        Groups {
            contraction,
            left_free: contraction.left_free(left.shape.len()),
            right_free: contraction.right_free(right.shape.len()),
        }
    }

    /// Whether the innermost axis of the result, which has more than one column, is one of the left
    /// operand's.
    fn reads_turned(&self, right: &View, result: &View) -> bool {
        let batches = self.contraction.left_batch.len();
        let left = batches..batches + self.left_free.len();
        let mut axes = 0..result.shape.len();
        let inner = axes.find(|&a| result.shape[a] != 1 && result.walk.strides[a] == 1);
        let columns = self.right_free.iter().any(|&a| right.shape[usize::from(a)] != 1);
        columns && inner.is_some_and(|axis| left.contains(&axis))
    }

    /// Whether a result that lies like this has rows and columns that are worth a product.
    fn suits(&self, right: &View, result: &View) -> bool {
        let batches = self.contraction.left_batch.len();
        let first = batches + self.left_free.len();
        let sides = [batches..first, first..result.shape.len()];
        let falls =
            |side: &Range<usize>| result.walk.strides[side.clone()].is_sorted_by(|a, b| a >= b);
        let [rows, columns] = if self.reads_turned(right, result) {
            [&sides[1], &sides[0]]
        } else {
            [&sides[0], &sides[1]]
        };
        let extents = |side: &Range<usize>| &result.shape[side.clone()];
        let inner = joined(result, columns.clone());
        let most = extents(rows).iter().copied().max().unwrap_or(1);
        let enough =
            |part: usize, side: &Range<usize>, few: usize| part >= few.min(points(extents(side)));
        sides.iter().all(falls)
            && enough(most, rows, FEW_ROWS)
            && enough(points(&result.shape[inner..columns.end]), columns, FEW_COLUMNS)
    }

    /// The result with the axes of the right operand before those of the left.
    fn turned(&self, result: &View) -> View {
        let batches = self.contraction.left_batch.len();
        let right = batches + self.left_free.len();
        let order: Vec<usize> =
            (0..batches).chain(right..result.shape.len()).chain(batches..right).collect();
        result.permuted(&order)
    }

    /// The form that needs the fewest copies.
    fn choose(&self, left: &View, right: &View, result: &View, dtype: DType) -> (Packing, Form) {
        let usable = |view: &View| {
            let forward = view.walk.strides.iter().all(|&s| s >= 0);
            matches!(view.base, Base::Buffer(_)) && view.dtype == dtype && forward
        };
        let by = |view: &View, axes: &[u8]| -> Vec<usize> {
            let mut order: Vec<usize> = (0..axes.len()).collect();
            order.sort_by_key(|&i| Reverse(view.walk.strides[usize::from(axes[i])]));
            order
        };
        let by_left = by(left, &self.contraction.left_sum);
        let by_right = by(right, &self.contraction.right_sum);
        let as_written: Vec<usize> = (0..by_left.len()).collect();
        // What only has to be of another type, or does not lie in memory, keeps its order.
        let as_is = |view: &View| {
            let mut order: Vec<usize> = (0..view.shape.len()).collect();
            order.sort_by_key(|&axis| Reverse(view.walk.strides[axis].abs()));
            (!usable(view)).then(|| Layout::dense(order))
        };
        let left_as = |sum: &[usize]| Some(self.left_layout(left, sum, dtype));
        let right_as = |sum: &[usize]| Some(self.right_layout(right, sum, result, dtype));
        let candidates = [
            (as_is(left), as_is(right), &by_left),
            (as_is(left), as_is(right), &by_right),
            (None, right_as(&by_left), &by_left),
            (left_as(&by_right), None, &by_right),
            (left_as(&as_written), right_as(&as_written), &as_written),
        ];
        for (pack_left, pack_right, sum) in candidates {
            if (pack_left.is_none() && !usable(left)) || (pack_right.is_none() && !usable(right)) {
                continue;
            }
            let as_if = |view: &View, layout: &Option<Layout>| match layout {
                Some(layout) => laid_out(view, layout),
                None => view.clone(),
            };
            let (l, r) = (as_if(left, &pack_left), as_if(right, &pack_right));
            if let Some(form) = self.form(&l, &r, result, sum) {
                return (Packing { left: pack_left, right: pack_right }, form);
            }
        }
        unreachable!("operands that are copied in canonical order have a canonical form")
    }

    /// Batches, rows, summed axes: a row-major left matrix; or a column-major one.
    fn left_layout(&self, left: &View, sum: &[usize], dtype: DType) -> Layout {
        let c = self.contraction;
        let sum: Axes = sum.iter().map(|&i| c.left_sum[i]).collect();
        let rows = &self.left_free;
        let turned = run(left, rows) > run(left, &sum);
        let matrix: [&[u8]; 2] = if turned { [&sum[..], rows] } else { [rows, &sum[..]] };
        Layout::of_matrices(left, &c.left_batch, matrix, dtype)
    }

    /// Batches, summed axes, columns: a row-major right matrix; or a column-major one. Columns that
    /// the result has apart from the innermost ones are batches too.
    fn right_layout(&self, right: &View, sum: &[usize], result: &View, dtype: DType) -> Layout {
        let c = self.contraction;
        let sum: Axes = sum.iter().map(|&i| c.right_sum[i]).collect();
        let first = result.shape.len() - self.right_free.len();
        let inner = joined(result, first..result.shape.len());
        let (apart, columns) = self.right_free.split_at(inner - first);
        let batch: Axes = c.right_batch.iter().chain(apart).copied().collect();
        let turned = run(right, &sum) > run(right, columns);
        let matrix = if turned { [columns, &sum[..]] } else { [&sum[..], columns] };
        Layout::of_matrices(right, &batch, matrix, dtype)
    }

    /// The form for operands as they are, the summed axes in this order: `None` where the summed
    /// axes are not one, or an operand moves by single elements along neither of its axes.
    fn form(&self, left: &View, right: &View, result: &View, sum: &[usize]) -> Option<Form> {
        let c = self.contraction;
        let stride = |view: &View, axis: u8| view.walk.strides[usize::from(axis)];
        let size = |view: &View, axis: u8| view.shape[usize::from(axis)];
        let mut out = result.walk.strides.iter().copied();
        let mut next = || out.next().expect("the result has all kept axes");
        let mut batch = Vec::new();
        for (&l, &r) in c.left_batch.iter().zip(&c.right_batch) {
            let (left, right, extent) = (stride(left, l), stride(right, r), size(left, l));
            batch.push(Axis { extent, left, right, out: next() });
        }
        let mut rows = Vec::new();
        for &l in &self.left_free {
            let (left, extent) = (stride(left, l), size(left, l));
            rows.push(Axis { extent, left, right: 0, out: next() });
        }
        let mut columns = Vec::new();
        for &r in &self.right_free {
            let (right, extent) = (stride(right, r), size(right, r));
            columns.push(Axis { extent, left: 0, right, out: next() });
        }
        let pairs = sum.iter().map(|&i| (c.left_sum[i], c.right_sum[i]));
        let sums = pairs.map(|(l, r)| {
            let (left, right, extent) = (stride(left, l), stride(right, r), size(left, l));
            Axis { extent, left, right, out: 0 }
        });
        let (sums, mut rows, mut columns) = (merge(sums), merge(rows), merge(columns));
        let &[sum] = sums.as_slice() else { return None };
        // The longest rows and the innermost columns are the matrix; the rest are batches.
        let longest = (0..rows.len()).max_by_key(|&a| rows[a].extent);
        let single = Axis { extent: 1, left: 0, right: 0, out: 0 };
        let row = longest.map_or(single, |longest| rows.remove(longest));
        let column = columns.pop()?;
        let left_near = row.left == 1 || sum.left == 1;
        let right_near = column.right == 1 || sum.right == 1;
        let batch = merge(batch.into_iter().chain(rows).chain(columns));
        (left_near && right_near).then_some(Form { batch, rows: row, columns: column, sum })
    }
}

/// Elements that lie side by side along these axes of a view.
fn run(view: &View, axes: &[u8]) -> usize {
    let axes = axes.iter().rev().map(|&a| usize::from(a)).filter(|&a| view.shape[a] != 1);
    axes.map_while({
        let mut side_by_side = 1;
        move |axis| {
            let next = view.walk.strides[axis] == side_by_side;
            side_by_side *= view.shape[axis] as i64;
            next.then_some(view.shape[axis])
        }
    })
    .product()
}

/// The first of these axes of a tensor from which on they are one.
fn joined(view: &View, axes: Range<usize>) -> usize {
    let (strides, shape) = (&view.walk.strides, &view.shape);
    let mut from = axes.end.saturating_sub(1).max(axes.start);
    while from > axes.start && joins(strides[from - 1], strides[from], shape[from]) {
        from -= 1;
    }
    from
}

/// Makes neighbours one axis where every tensor allows it, and drops those of extent 1.
fn merge(axes: impl IntoIterator<Item = Axis>) -> Vec<Axis> {
    let mut merged: Vec<Axis> = Vec::new();
    for axis in axes.into_iter().filter(|a| a.extent != 1) {
        match merged.last_mut() {
            Some(last)
                if joins(last.left, axis.left, axis.extent)
                    && joins(last.right, axis.right, axis.extent)
                    && joins(last.out, axis.out, axis.extent) =>
            {
                *last = Axis { extent: last.extent * axis.extent, ..axis };
            }
            _ => merged.push(axis),
        }
    }
    merged
}
