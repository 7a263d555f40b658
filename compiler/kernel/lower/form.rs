//! The forms of a contraction as matrices: what is a row, a column, a batch, and how the operands
//! give their elements.
//!
//! Axes fall into batches, rows (of the left operand), columns (of the right) and summed ones.
//! Neighbours of one kind become one axis where the strides allow it, so that a transposed or a
//! stacked operand needs no copy; rows and columns that stay apart in the result become batches.
//! An operand in which an axis of the matrix stays apart is spread, if enough of its elements lie
//! side by side; otherwise it is copied.

use super::layout::Layout;
use super::view::{Base, View};
use crate::graph::ops::{Axes, Contraction};
use crate::kernel::walk::{joins, points};
use std::cmp::Reverse;
use std::ops::Range;
use tensc_runtime::DType;

/// Rows and columns of a product that its result may have in a layout that its readers want; fewer
/// are worse than a copy.
const FEW_ROWS: usize = 8;
const FEW_COLUMNS: usize = 16;

/// The view as if its memory were like this.
pub fn laid_out(view: &View, layout: &Layout) -> View {
    View { walk: layout.walk(&view.shape), ..view.clone() }
}

/// An axis of a contraction with its stride in each tensor; 0 where the tensor lacks it.
#[derive(Clone, Copy, Debug)]
pub struct Axis {
    pub extent: usize,
    pub left: i64,
    pub right: i64,
    pub out: i64,
}

/// An axis of one element.
const SINGLE: Axis = Axis { extent: 1, left: 0, right: 0, out: 0 };

/// A contraction as matrices. Rows, columns and summed axes are one axis each in the result and in
/// operands that are stored, but may be several, outermost first, in those that are spread.
pub struct Form {
    pub batch: Vec<Axis>,
    pub rows: Vec<Axis>,
    pub columns: Vec<Axis>,
    pub sum: Vec<Axis>,
}

/// How an operand gives its elements.
pub enum Way {
    /// As it is.
    Stored,
    /// Collected while panels of it are packed.
    Spread,
    /// From a copy.
    Copied(Layout),
}

/// Columns from which a copy of the left operand takes little of the time: to collect it again for
/// each block of columns takes more.
const MANY_COLUMNS: usize = 4096;

/// Neighbours in memory that are worth collecting together; fewer are copied one by one.
const RUN: usize = 3;

/// The axes of a contraction by kind.
pub struct Groups<'c> {
    pub contraction: &'c Contraction,
    pub left_free: Axes,
    pub right_free: Axes,
}

impl<'c> Groups<'c> {
    pub fn new(left: &View, right: &View, contraction: &'c Contraction) -> Groups<'c> {
        Groups {
            contraction,
            left_free: contraction.left_free(left.shape.len()),
            right_free: contraction.right_free(right.shape.len()),
        }
    }

    /// How many rows, columns and summed elements these operands have.
    pub fn sizes(&self, left: &View, right: &View) -> [usize; 3] {
        let size = |view: &View, axes: &[u8]| -> usize {
            axes.iter().map(|&a| view.shape[usize::from(a)]).product()
        };
        let depth = size(left, &self.contraction.left_sum);
        [size(left, &self.left_free), size(right, &self.right_free), depth]
    }

    /// The axes of the result that are the left operand's, and those that are the right one's.
    fn sides(&self, result: &View) -> [Range<usize>; 2] {
        let first = self.contraction.left_batch.len();
        let split = first + self.left_free.len();
        [first..split, split..result.shape.len()]
    }

    /// Whether the innermost axis of the result, which has more than one column, is one of the left
    /// operand's.
    pub fn reads_turned(&self, right: &View, result: &View) -> bool {
        let [left, _] = self.sides(result);
        let mut axes = 0..result.shape.len();
        let inner = axes.find(|&a| result.shape[a] != 1 && result.walk.strides[a] == 1);
        let columns = self.right_free.iter().any(|&a| right.shape[usize::from(a)] != 1);
        columns && inner.is_some_and(|axis| left.contains(&axis))
    }

    /// The result with the axes of overlapping windows outside, so that these are the left operand:
    /// its panels are collected as the windows lie, those of the right one turned over. That is for
    /// gradients by filters, where the windows are many more than what they meet, and the result
    /// small beside either.
    pub fn with_windows_outside(&self, left: &View, right: &View, result: &View) -> Option<View> {
        let [rows, columns, depth] = self.sizes(left, right);
        let turned = self.reads_turned(right, result);
        let (inner, few, many) = match turned {
            true => (left, columns, rows),
            false => (right, rows, columns),
        };
        let overlaps = inner.elements() > 2 * inner.span();
        let worth = overlaps && many >= 2 * few && few >= FEW_COLUMNS && depth >= 4 * many;
        let [of_left, of_right] = self.sides(result);
        let batches = 0..of_left.start;
        let (outside, others) = if turned { (of_left, of_right) } else { (of_right, of_left) };
        let order = batches.chain(outside).chain(others);
        worth.then(|| laid_out(result, &Layout::dense(order)))
    }

    /// Whether a result that lies like this has rows and columns that are worth a product.
    pub fn suits(&self, right: &View, result: &View) -> bool {
        let sides = self.sides(result);
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
    pub fn turned(&self, result: &View) -> View {
        let [left, right] = self.sides(result);
        let order: Vec<usize> = (0..left.start).chain(right).chain(left).collect();
        result.permuted(&order)
    }

    /// The form that needs the fewest copies, and how the operands give their elements.
    pub fn choose(
        &self,
        left: &View,
        right: &View,
        result: &View,
        dtype: DType,
    ) -> ([Way; 2], Form) {
        let stored = |view: &View| matches!(view.base, Base::Buffer(_)) && view.dtype == dtype;
        let usable = |view: &View| stored(view) && view.walk.strides.iter().all(|&s| s >= 0);
        let by = |view: &View, axes: &[u8]| -> Vec<usize> {
            let mut order: Vec<usize> = (0..axes.len()).collect();
            order.sort_by_key(|&i| Reverse(view.walk.strides[usize::from(axes[i])].abs()));
            order
        };
        let by_left = by(left, &self.contraction.left_sum);
        let by_right = by(right, &self.contraction.right_sum);
        let as_written: Vec<usize> = (0..by_left.len()).collect();
        // What only has to be of another type, or does not lie in memory, keeps its order.
        let as_is = |view: &View| {
            let mut order: Vec<usize> = (0..view.shape.len()).collect();
            order.sort_by_key(|&axis| Reverse(view.walk.strides[axis].abs()));
            if usable(view) { Way::Stored } else { Way::Copied(Layout::dense(order)) }
        };
        let left_as = |sum: &[usize]| Way::Copied(self.left_layout(left, sum, result, dtype));
        let right_as = |sum: &[usize]| Way::Copied(self.right_layout(right, sum, result, dtype));
        let [_, columns, _] = self.sizes(left, right);
        let copies_left = columns >= MANY_COLUMNS && left.elements() <= left.span();
        let left_spread = |sum: &[usize]| if copies_left { left_as(sum) } else { Way::Spread };
        let candidates = [
            (as_is(left), as_is(right), &by_left),
            (as_is(left), as_is(right), &by_right),
            (as_is(left), Way::Spread, &by_left),
            (left_spread(&by_right), as_is(right), &by_right),
            (left_spread(&by_left), Way::Spread, &by_left),
            (left_spread(&by_right), Way::Spread, &by_right),
            (left_as(&by_right), Way::Spread, &by_right),
            (Way::Spread, right_as(&by_left), &by_left),
            (Way::Stored, right_as(&by_left), &by_left),
            (left_as(&by_right), Way::Stored, &by_right),
            (left_as(&as_written), right_as(&as_written), &as_written),
        ];
        for (way_left, way_right, sum) in candidates {
            let as_if = |view: &View, way: &Way| match way {
                Way::Copied(layout) => Some(laid_out(view, layout)),
                Way::Stored => usable(view).then(|| view.clone()),
                Way::Spread => stored(view).then(|| view.clone()),
            };
            let (l, r) = (as_if(left, &way_left), as_if(right, &way_right));
            let (Some(l), Some(r)) = (l, r) else { continue };
            let ways = [way_left, way_right];
            if let Some(form) = self.form([&l, &r], &ways, result, sum) {
                return (ways, form);
            }
        }
        unreachable!("operands that are copied in canonical order have a canonical form")
    }

    /// Batches, rows, summed axes: a row-major left matrix; or a column-major one, if all rows are
    /// one axis of the result.
    fn left_layout(&self, left: &View, sum: &[usize], result: &View, dtype: DType) -> Layout {
        let c = self.contraction;
        let sum: Axes = sum.iter().map(|&i| c.left_sum[i]).collect();
        let rows = &self.left_free;
        let [side, _] = self.sides(result);
        let one = joined(result, side.clone()) == side.start;
        let turned = one && run(left, rows) > run(left, &sum);
        let matrix: [&[u8]; 2] = if turned { [&sum[..], rows] } else { [rows, &sum[..]] };
        Layout::of_matrices(left, &c.left_batch, matrix, dtype)
    }

    /// Batches, summed axes, columns: a row-major right matrix; or a column-major one. Columns that
    /// the result has apart from the innermost ones are batches too.
    fn right_layout(&self, right: &View, sum: &[usize], result: &View, dtype: DType) -> Layout {
        let c = self.contraction;
        let sum: Axes = sum.iter().map(|&i| c.right_sum[i]).collect();
        let [_, side] = self.sides(result);
        let inner = joined(result, side.clone());
        let (apart, columns) = self.right_free.split_at(inner - side.start);
        let batch: Axes = c.right_batch.iter().chain(apart).copied().collect();
        let turned = run(right, &sum) > run(right, columns);
        let matrix = if turned { [columns, &sum[..]] } else { [&sum[..], columns] };
        Layout::of_matrices(right, &batch, matrix, dtype)
    }

    /// The form for operands that give their elements so, the summed axes in this order: `None`
    /// where an axis would have to be one and is not, or too few elements lie side by side.
    fn form(
        &self,
        [left, right]: [&View; 2],
        ways: &[Way; 2],
        result: &View,
        sum: &[usize],
    ) -> Option<Form> {
        let c = self.contraction;
        let spread = |way: &Way| matches!(way, Way::Spread);
        let [left_spread, right_spread] = [spread(&ways[0]), spread(&ways[1])];
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
        // What must be one axis in these tensors.
        let in_left = |a: &Axis, b: &Axis| left_spread || joins(a.left, b.left, b.extent);
        let in_right = |a: &Axis, b: &Axis| right_spread || joins(a.right, b.right, b.extent);
        let in_result = |a: &Axis, b: &Axis| joins(a.out, b.out, b.extent);
        let mut rows = gather(rows, |a, b| in_result(a, b) && in_left(a, b));
        let mut columns = gather(columns, |a, b| in_result(a, b) && in_right(a, b));
        let mut sums = gather(sums, |a, b| in_left(a, b) && in_right(a, b));
        let (sum, None) = (sums.pop()?, sums.pop()) else { return None };
        // The longest rows and the innermost columns are the matrix; the rest are batches.
        let longest = (0..rows.len()).max_by_key(|&a| extent(&rows[a]));
        let row = longest.map_or(vec![SINGLE], |longest| rows.remove(longest));
        let column = columns.pop()?;
        let worth = |way: &Way, own: [&[Axis]; 2], stride: fn(&Axis) -> i64| match way {
            Way::Spread => own.into_iter().any(|parts| near(parts, stride) >= RUN),
            Way::Stored | Way::Copied(_) => own.into_iter().any(|p| stride(&innermost(p)) == 1),
        };
        let worth = worth(&ways[0], [&row, &sum], |a| a.left)
            && worth(&ways[1], [&sum, &column], |a| a.right);
        let batch = merge(batch.into_iter().chain(rows.concat()).chain(columns.concat()));
        worth.then_some(Form { batch, rows: row, columns: column, sum })
    }
}

/// Elements along an axis of these parts.
pub fn extent(parts: &[Axis]) -> usize {
    parts.iter().map(|part| part.extent).product()
}

/// The innermost of the parts of an axis.
pub fn innermost(parts: &[Axis]) -> Axis {
    *parts.last().expect("an axis has parts")
}

/// Elements that lie side by side along an axis of these parts.
pub fn near(parts: &[Axis], stride: fn(&Axis) -> i64) -> usize {
    let mut run = 1;
    for part in parts.iter().rev() {
        if usize::try_from(stride(part)) != Ok(run) {
            break;
        }
        run *= part.extent;
    }
    run
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

/// Groups of neighbours that may be the parts of one axis.
fn gather(
    axes: impl IntoIterator<Item = Axis>,
    one: impl Fn(&Axis, &Axis) -> bool,
) -> Vec<Vec<Axis>> {
    let mut groups: Vec<Vec<Axis>> = Vec::new();
    for axis in merge(axes) {
        match groups.last_mut() {
            Some(group) if one(&innermost(group), &axis) => group.push(axis),
            _ => groups.push(vec![axis]),
        }
    }
    groups
}
