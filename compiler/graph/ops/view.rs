//! The same elements at other places: reshape, transpose, broadcast, slice.

use super::lanes::{after, shifted};
use super::naive::{flat, rearranged};
use super::shape::{check_axis, check_count, show};
use super::{Batch, Class, Jvp, Op, OpRow, Sample, TypeError};
use crate::graph::fused::{AxisIndex, IndexMap};
use crate::graph::{Builder, Dim, NodeId, TensorType};
use smallvec::SmallVec;
use tensc_runtime::DType;

pub(super) static RESHAPE: OpRow = OpRow {
    name: "reshape",
    doc: "the same elements, row-major, under another shape",
    arity: Some(1),
    class: Class::View(reshape_map),
    infer: |op, operands| {
        let Op::Reshape(shape) = op else { unreachable!("the row of Reshape") };
        let ty = TensorType { dtype: operands[0].dtype, shape: shape.clone() };
        let (from, to) = (operands[0].elements(), ty.elements());
        if from != to {
            let (a, b) = (show(&operands[0].shape), show(shape));
            let message = format!("reshape from {a} to {b} changes {from} elements to {to}");
            return Err(TypeError::new(message));
        }
        Ok(ty)
    },
    eval: |_, operands, ty| Ok(operands[0].clone().reshape(ty.concrete_shape())),
    jvp: Jvp::Linear(&[0]),
    transpose: Some(|b, _, operands, _, cotangent| b.reshape(cotangent, &b.ty(operands[0]).shape)),
    batch: Batch::Rule(|b, op, lanes| {
        let Op::Reshape(shape) = op else { unreachable!("the row of Reshape") };
        b.reshape(lanes.operands[0], &lanes.dims(shape))
    }),
    samples: || {
        let of = |from: &[i64], to: &[i64]| Sample::new(Op::Reshape(dims(to)), [f32s(from)]);
        vec![
            of(&[6], &[2, 3]),
            of(&[2, 3], &[6]),
            of(&[2, 3, 4], &[4, 6]),
            of(&[1], &[]),
            of(&[], &[1, 1]),
            of(&[3, 1, 4], &[1, 3, 4]),
            of(&[2, 8], &[2, 2, 2, 2]),
        ]
    },
};

pub(super) static TRANSPOSE: OpRow = OpRow {
    name: "transpose",
    doc: "axes in another order",
    arity: Some(1),
    class: Class::View(transpose_map),
    infer: |op, operands| {
        let Op::Transpose(perm) = op else { unreachable!("the row of Transpose") };
        check_count("transpose", perm.len(), operands[0])?;
        let mut seen = perm.clone();
        seen.sort_unstable();
        if seen.iter().enumerate().any(|(i, &axis)| usize::from(axis) != i) {
            let message = format!("transpose needs each axis once, found {perm:?}");
            return Err(TypeError::new(message));
        }
        let shape = perm.iter().map(|&axis| operands[0].shape[usize::from(axis)].clone());
        Ok(TensorType::new(operands[0].dtype, shape))
    },
    eval: |op, operands, ty| {
        let Op::Transpose(perm) = op else { unreachable!("the row of Transpose") };
        Ok(rearranged(ty, operands, |point| {
            let mut at: SmallVec<[usize; 4]> = SmallVec::from_elem(0, point.len());
            for (&axis, &index) in perm.iter().zip(point) {
                at[usize::from(axis)] = index;
            }
            (0, flat(operands[0].shape(), &at))
        }))
    },
    jvp: Jvp::Linear(&[0]),
    transpose: Some(|b, op, _, _, cotangent| {
        let Op::Transpose(perm) = op else { unreachable!("the row of Transpose") };
        let mut inverse: SmallVec<[usize; 4]> = SmallVec::from_elem(0, perm.len());
        perm.iter().enumerate().for_each(|(axis, &from)| inverse[usize::from(from)] = axis);
        b.transpose(cotangent, &inverse)
    }),
    batch: Batch::Rule(|b, op, lanes| {
        let Op::Transpose(perm) = op else { unreachable!("the row of Transpose") };
        b.add_op(Op::Transpose(after(0, &shifted(perm))), lanes.operands)
    }),
    samples: || {
        let of = |from: &[i64], perm: &[u8]| {
            Sample::new(Op::Transpose(SmallVec::from_slice(perm)), [f32s(from)])
        };
        vec![
            of(&[3, 4], &[1, 0]),
            of(&[2, 3, 4], &[2, 0, 1]),
            of(&[2, 3, 4], &[0, 2, 1]),
            of(&[1, 5], &[1, 0]),
            of(&[4], &[0]),
            of(&[], &[]),
            of(&[17, 9], &[1, 0]),
        ]
    },
};

pub(super) static BROADCAST: OpRow = OpRow {
    name: "broadcast",
    doc: "the operand repeated along new axes",
    arity: Some(1),
    class: Class::View(broadcast_map),
    infer: broadcast_infer,
    eval: |op, operands, ty| {
        let Op::Broadcast { axes, .. } = op else { unreachable!("the row of Broadcast") };
        Ok(rearranged(ty, operands, |point| {
            let at: SmallVec<[usize; 4]> = axes.iter().map(|&a| point[usize::from(a)]).collect();
            (0, flat(operands[0].shape(), &at))
        }))
    },
    jvp: Jvp::Linear(&[0]),
    transpose: Some(|b, op, _, _, cotangent| {
        let Op::Broadcast { shape, axes } = op else { unreachable!("the row of Broadcast") };
        let new: SmallVec<[usize; 4]> =
            (0..shape.len()).filter(|&axis| !axes.contains(&(axis as u8))).collect();
        b.sum(cotangent, &new)
    }),
    batch: Batch::Rule(|b, op, lanes| {
        let Op::Broadcast { shape, axes } = op else { unreachable!("the row of Broadcast") };
        let (shape, axes) = (lanes.dims(shape), after(0, &shifted(axes)));
        b.add_op(Op::Broadcast { shape, axes }, lanes.operands)
    }),
    samples: || {
        let of = |from: &[i64], shape: &[i64], axes: &[u8]| {
            let op = Op::Broadcast { shape: dims(shape), axes: SmallVec::from_slice(axes) };
            Sample::new(op, [f32s(from)])
        };
        vec![
            of(&[], &[3, 4], &[]),
            of(&[], &[], &[]),
            of(&[4], &[3, 4], &[1]),
            of(&[3], &[3, 4], &[0]),
            of(&[2, 4], &[2, 3, 4], &[0, 2]),
            of(&[1], &[1, 5], &[0]),
            of(&[5], &[5], &[0]),
        ]
    },
};

pub(super) static SLICE: OpRow = OpRow {
    name: "slice",
    doc: "along each axis the elements start + step * i",
    arity: Some(1),
    class: Class::View(slice_map),
    infer: slice_infer,
    eval: |op, operands, ty| {
        let Op::Slice { starts, steps, .. } = op else { unreachable!("the row of Slice") };
        let start = |axis: usize| starts[axis].known().expect("sizes are known") as isize;
        Ok(rearranged(ty, operands, |point| {
            let index = |(axis, &i): (usize, &usize)| {
                (start(axis) + steps[axis] as isize * i as isize) as usize
            };
            let at: SmallVec<[usize; 4]> = point.iter().enumerate().map(index).collect();
            (0, flat(operands[0].shape(), &at))
        }))
    },
    jvp: Jvp::Linear(&[0]),
    transpose: Some(slice_transpose),
    batch: Batch::Rule(|b, op, lanes| {
        let Op::Slice { starts, lens, steps } = op else { unreachable!("the row of Slice") };
        let starts = after(Dim::Const(0), starts);
        b.slice(lanes.operands[0], &starts, &lanes.dims(lens), &after(1, steps))
    }),
    samples: || {
        let of = |from: &[i64], starts: &[i64], lens: &[i64], steps: &[i64]| {
            let steps = SmallVec::from_slice(steps);
            let op = Op::Slice { starts: dims(starts), lens: dims(lens), steps };
            Sample::new(op, [f32s(from)])
        };
        vec![
            of(&[10], &[2], &[5], &[1]),
            of(&[10], &[9], &[10], &[-1]),
            of(&[10], &[1], &[3], &[3]),
            of(&[4, 6], &[1, 0], &[2, 6], &[1, 1]),
            of(&[4, 6], &[3, 5], &[2, 3], &[-2, -2]),
            of(&[1, 3], &[0, 1], &[1, 1], &[1, 1]),
            of(&[5], &[2], &[0], &[1]),
            of(&[], &[], &[], &[]),
        ]
    },
};

fn dims(sizes: &[i64]) -> SmallVec<[Dim; 4]> {
    sizes.iter().map(|&n| Dim::Const(n)).collect()
}

fn f32s(sizes: &[i64]) -> TensorType {
    TensorType { dtype: DType::F32, shape: dims(sizes) }
}

fn broadcast_infer(op: &Op, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
    let Op::Broadcast { shape, axes } = op else { unreachable!("the row of Broadcast") };
    let operand = operands[0];
    let ty = TensorType { dtype: operand.dtype, shape: shape.clone() };
    check_count("broadcast", axes.len(), operand)?;
    if !axes.is_sorted_by(|a, b| a < b) {
        let message = format!("broadcast needs its axes in ascending order, found {axes:?}");
        return Err(TypeError::new(message));
    }
    for (axis, &to) in axes.iter().enumerate() {
        let to = check_axis("broadcast", to, 0, &ty)?;
        if operand.shape[axis] != shape[to] {
            let (from, into) = (&operand.shape[axis], &shape[to]);
            let message = format!("broadcast of {operand} to {ty}: {from} and {into} differ");
            return Err(TypeError::new(message).axis(0, axis));
        }
    }
    Ok(ty)
}

fn slice_infer(op: &Op, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
    let Op::Slice { starts, lens, steps } = op else { unreachable!("the row of Slice") };
    let operand = operands[0];
    for count in [starts.len(), lens.len(), steps.len()] {
        check_count("slice", count, operand)?;
    }
    for axis in 0..operand.rank() {
        let (start, len, step) = (&starts[axis], &lens[axis], steps[axis]);
        if step == 0 {
            return Err(TypeError::new("slice with step 0").axis(0, axis));
        }
        // Where the length may be 0, nothing need be inside; what is not known yet is checked
        // when the sizes are.
        let last = start.clone() + Dim::Const(step) * (len.clone() - Dim::Const(1));
        let size = &operand.shape[axis];
        let outside = |index: &Dim| {
            index.known().is_some_and(|i| i < 0)
                || (size.clone() - index.clone()).known().is_some_and(|room| room <= 0)
        };
        if len.known().is_some_and(|n| n > 0) && (outside(start) || outside(&last)) {
            let message = format!("slice from {start} to {last} of an axis of size {size}");
            return Err(TypeError::new(message).axis(0, axis));
        }
    }
    Ok(TensorType { dtype: operand.dtype, shape: lens.clone() })
}

fn reshape_map(_: &Op, operand: &TensorType, result: &TensorType) -> Option<IndexMap> {
    let beyond_one = |ty: &TensorType| -> Vec<(usize, Dim)> {
        let sizes = ty.shape.iter().cloned().enumerate();
        sizes.filter(|(_, d)| !d.is(1)).collect()
    };
    let (from, to) = (beyond_one(operand), beyond_one(result));
    let same = from.len() == to.len() && from.iter().zip(&to).all(|(a, b)| a.1 == b.1);
    same.then(|| {
        let mut map = IndexMap(SmallVec::from_elem(FIXED, operand.rank()));
        for ((axis, _), (target, _)) in from.iter().zip(&to) {
            map.0[*axis] = AxisIndex { axis: Some(*target as u8), start: 0, step: 1 };
        }
        map
    })
}

/// Index 0 whatever the point.
const FIXED: AxisIndex = AxisIndex { axis: None, start: 0, step: 1 };

fn transpose_map(op: &Op, operand: &TensorType, _: &TensorType) -> Option<IndexMap> {
    let Op::Transpose(perm) = op else { unreachable!("the row of Transpose") };
    let mut map = IndexMap::identity(operand.rank());
    for (axis, &from) in perm.iter().enumerate() {
        map.0[usize::from(from)].axis = Some(axis as u8);
    }
    Some(map)
}

fn broadcast_map(op: &Op, _: &TensorType, _: &TensorType) -> Option<IndexMap> {
    let Op::Broadcast { axes, .. } = op else { unreachable!("the row of Broadcast") };
    let follow = |&axis: &u8| AxisIndex { axis: Some(axis), start: 0, step: 1 };
    Some(IndexMap(axes.iter().map(follow).collect()))
}

fn slice_map(op: &Op, _: &TensorType, _: &TensorType) -> Option<IndexMap> {
    let Op::Slice { starts, steps, .. } = op else { unreachable!("the row of Slice") };
    let follow = |(axis, start): (usize, &Dim)| AxisIndex {
        axis: Some(axis as u8),
        start: start.known().expect("sizes are known where code is made"),
        step: steps[axis],
    };
    Some(IndexMap(starts.iter().enumerate().map(follow).collect()))
}

/// Each element goes back to where it was taken from, zeros elsewhere. A negative step is first
/// turned into a positive one by reversing the cotangent.
fn slice_transpose(
    b: &Builder<'_>,
    op: &Op,
    operands: &[NodeId],
    _: usize,
    cotangent: NodeId,
) -> NodeId {
    let Op::Slice { starts, lens, steps } = op else { unreachable!("the row of Slice") };
    let one = Dim::Const(1);
    let operand = b.ty(operands[0]);
    if lens.iter().any(|len| len.is(0)) {
        return b.zeros_like(operands[0]);
    }
    let last = |axis: usize| lens[axis].clone() - one.clone();
    let (mut low, mut high) = (SmallVec::<[Dim; 4]>::new(), SmallVec::<[Dim; 4]>::new());
    for axis in 0..starts.len() {
        let end = starts[axis].clone() + Dim::Const(steps[axis]) * last(axis);
        let (first, final_) =
            if steps[axis] > 0 { (starts[axis].clone(), end) } else { (end, starts[axis].clone()) };
        low.push(first);
        high.push(operand.shape[axis].clone() - one.clone() - final_);
    }
    let flipped: SmallVec<[Dim; 4]> = (0..steps.len())
        .map(|axis| if steps[axis] < 0 { last(axis) } else { Dim::Const(0) })
        .collect();
    let signs: SmallVec<[i64; 4]> = steps.iter().map(|step| step.signum()).collect();
    let ordered = b.slice(cotangent, &flipped, lens, &signs);
    let interior: SmallVec<[i64; 4]> = steps.iter().map(|step| step.abs() - 1).collect();
    b.pad(ordered, b.constant(0.0, operand.dtype), &low, &high, &interior)
}
