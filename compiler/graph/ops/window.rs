//! Windows: places along an axis, and what stands around each.
//!
//! A window is affine in two axes of the result, so that it is read where its operand lies and is
//! never stored. Convolution and pooling are a window and a contraction or a reduction.

use super::naive::{flat, rearranged};
use super::shape::check_axis;
use super::{Batch, Class, Jvp, Op, OpRow, Sample, TypeError};
use crate::graph::{Builder, Dim, NodeId, TensorType};
use smallvec::SmallVec;
use tensc_runtime::DType;

/// Which elements of an axis a window reads: `start + stride * i + dilation * j` for place `i` of
/// `count` and part `j` of `size`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Window {
    /// The axis of the operand; places take its place in the result, parts come after them.
    pub axis: u8,
    /// Index of the first part of the first place.
    pub start: Dim,
    /// Number of places.
    pub count: Dim,
    /// Number of parts.
    pub size: Dim,
    /// From place to place; positive.
    pub stride: i64,
    /// From part to part; not 0, may be negative.
    pub dilation: i64,
}

pub(super) static WINDOW: OpRow = OpRow {
    name: "window",
    doc: "along an axis the elements start + stride * i + dilation * j, as two axes",
    arity: Some(1),
    class: Class::Window,
    infer,
    eval: |op, operands, ty| {
        let Op::Window(w) = op else { unreachable!("the row of Window") };
        let (axis, start) = (usize::from(w.axis), w.start.known().expect("sizes are known"));
        Ok(rearranged(ty, operands, |point| {
            let (place, part) = (point[axis] as i64, point[axis + 1] as i64);
            let mut at: SmallVec<[usize; 4]> = SmallVec::from_slice(point);
            at.remove(axis + 1);
            at[axis] = (start + w.stride * place + w.dilation * part) as usize;
            (0, flat(operands[0].shape(), &at))
        }))
    },
    jvp: Jvp::Linear(&[0]),
    transpose: Some(transpose),
    batch: Batch::Rule(|b, op, lanes| {
        let Op::Window(w) = op else { unreachable!("the row of Window") };
        b.window(lanes.operands[0], Window { axis: w.axis + 1, ..w.clone() })
    }),
    samples: || {
        let of = |from: &[i64],
                  axis: u8,
                  [start, count, size]: [i64; 3],
                  [stride, dilation]: [i64; 2]| {
            let [start, count, size] = [start, count, size].map(Dim::Const);
            let window = Window { axis, start, count, size, stride, dilation };
            let ty = TensorType::new(DType::F32, from.iter().map(|&n| Dim::Const(n)));
            Sample::new(Op::Window(window), [ty])
        };
        vec![
            of(&[10], 0, [0, 8, 3], [1, 1]),
            of(&[10], 0, [0, 4, 3], [2, 1]),
            of(&[9], 0, [0, 3, 3], [3, 1]),
            of(&[2, 9], 1, [1, 3, 2], [2, 1]),
            of(&[3, 11], 1, [1, 3, 3], [2, 2]),
            of(&[2, 7, 3], 1, [0, 5, 3], [1, 1]),
            of(&[8], 0, [7, 1, 4], [1, -2]),
            of(&[8], 0, [2, 3, 3], [2, -1]),
            of(&[5, 2], 0, [0, 1, 5], [1, 1]),
            of(&[4], 0, [0, 0, 5], [1, 1]),
        ]
    },
};

fn infer(op: &Op, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
    let Op::Window(w) = op else { unreachable!("the row of Window") };
    let operand = operands[0];
    let axis = check_axis("window", w.axis, 0, operand)?;
    if w.stride < 1 || w.dilation == 0 {
        let (stride, dilation) = (w.stride, w.dilation);
        let message = format!("window with stride {stride} and dilation {dilation}");
        return Err(TypeError::new(message).axis(0, axis));
    }
    // Where there is no place or no part, nothing need be inside; what is not known yet is checked
    // when the sizes are.
    let some = |dim: &Dim| dim.known().is_some_and(|n| n > 0);
    if some(&w.count) && some(&w.size) {
        let size = &operand.shape[axis];
        let (first, last) = ends(w);
        let below = first.known().is_some_and(|i| i < 0);
        if below || (size.clone() - last.clone()).known().is_some_and(|room| room <= 0) {
            let message = format!("window from {first} to {last} of an axis of size {size}");
            return Err(TypeError::new(message).axis(0, axis));
        }
    }
    let mut shape = operand.shape.clone();
    shape[axis] = w.count.clone();
    shape.insert(axis + 1, w.size.clone());
    Ok(TensorType { dtype: operand.dtype, shape })
}

/// The least and the greatest index that a window reads, if it reads any.
fn ends(w: &Window) -> (Dim, Dim) {
    let one = Dim::Const(1);
    let reach = Dim::Const(w.dilation) * (w.size.clone() - one.clone());
    let places = Dim::Const(w.stride) * (w.count.clone() - one);
    let last = w.start.clone() + places;
    if w.dilation > 0 { (w.start.clone(), last + reach) } else { (w.start.clone() + reach, last) }
}

/// The cotangents where windows follow each other: each is that of one element, and what is before
/// and after them has none.
fn side_by_side(b: &Builder<'_>, w: &Window, operand: &TensorType, cotangent: NodeId) -> NodeId {
    let (axis, covered) = (usize::from(w.axis), Dim::Const(w.stride) * w.count.clone());
    let mut shape = operand.shape.clone();
    shape[axis] = covered.clone();
    let elements = b.reshape(cotangent, &shape);
    let mut low: SmallVec<[Dim; 4]> = SmallVec::from_elem(Dim::Const(0), operand.rank());
    let mut high = low.clone();
    low[axis] = w.start.clone();
    high[axis] = operand.shape[axis].clone() - covered - w.start.clone();
    if low[axis].is(0) && high[axis].is(0) {
        return elements;
    }
    let interior = vec![0; operand.rank()];
    b.pad(elements, b.constant(0.0, operand.dtype), &low, &high, &interior)
}

/// Each element's cotangent is the sum over the parts `j` of that of the place whose part `j` it
/// is. The cotangents are first set apart by zeros, so that there is a place, perhaps an empty one,
/// for each element and part; those are again a window, whose parts stand on a diagonal.
fn transpose(b: &Builder<'_>, op: &Op, operands: &[NodeId], _: usize, cotangent: NodeId) -> NodeId {
    let Op::Window(w) = op else { unreachable!("the row of Window") };
    let operand = b.ty(operands[0]);
    if w.count.is(0) || w.size.is(0) {
        return b.zeros_like(operands[0]);
    }
    if w.dilation == 1 && w.size.is(w.stride) {
        return side_by_side(b, w, &operand, cotangent);
    }
    let axis = usize::from(w.axis);
    let (rank, n) = (operand.rank() + 1, operand.shape[axis].clone());
    let one = Dim::Const(1);
    // How far the first place's index is above the least part of any, and likewise at the end.
    let reach = Dim::Const(w.dilation.abs()) * (w.size.clone() - one.clone());
    let before = if w.dilation > 0 { reach.clone() } else { Dim::Const(0) };
    let after = if w.dilation > 0 { Dim::Const(0) } else { reach };
    let mut low: SmallVec<[Dim; 4]> = SmallVec::from_elem(Dim::Const(0), rank);
    let mut high = low.clone();
    let mut interior: SmallVec<[i64; 4]> = SmallVec::from_elem(0, rank);
    low[axis] = w.start.clone() + before.clone();
    let final_place = w.start.clone() + Dim::Const(w.stride) * (w.count.clone() - one.clone());
    high[axis] = n.clone() - one + after - final_place;
    interior[axis] = w.stride - 1;
    let zero = b.constant(0.0, operand.dtype);
    let apart = b.pad(cotangent, zero, &low, &high, &interior);
    let back = Window {
        axis: w.axis,
        start: before,
        count: n,
        size: w.size.clone(),
        stride: 1,
        dilation: -w.dilation,
    };
    let parts = b.window(apart, back);
    let matched = b.diagonal(parts, axis + 1, axis + 2);
    b.sum(matched, &[axis + 1])
}
