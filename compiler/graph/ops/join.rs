//! Several operands in one result: pad, concat.

use super::lanes::{Lanes, after};
use super::naive::{flat, rearranged};
use super::shape::{check_axis, check_count};
use super::{Batch, Class, Jvp, Op, OpRow, Sample, TypeError};
use crate::graph::{Builder, Dim, MapOp, NodeId, TensorType};
use smallvec::SmallVec;
use tensc_runtime::DType;

pub(super) static PAD: OpRow = OpRow {
    name: "pad",
    doc: "operand 0 with operand 1 around it and between its elements",
    arity: Some(2),
    class: Class::Pad,
    infer: pad_infer,
    eval: |op, operands, ty| {
        let Op::Pad { low, interior, .. } = op else { unreachable!("the row of Pad") };
        let shape = operands[0].shape();
        Ok(rearranged(ty, operands, |point| {
            let mut at: SmallVec<[usize; 4]> = SmallVec::new();
            for (axis, &index) in point.iter().enumerate() {
                let inside = index as i64 - low[axis].known().expect("sizes are known");
                let stride = 1 + interior[axis];
                let element = inside / stride;
                if inside < 0 || inside % stride != 0 || element >= shape[axis] as i64 {
                    return (1, 0);
                }
                at.push(element as usize);
            }
            (0, flat(shape, &at))
        }))
    },
    jvp: Jvp::Linear(&[0, 1]),
    transpose: Some(|b, op, operands, which, cotangent| {
        let Op::Pad { low, interior, .. } = op else { unreachable!("the row of Pad") };
        let steps: SmallVec<[i64; 4]> = interior.iter().map(|n| n + 1).collect();
        let inside = b.slice(cotangent, low, &b.ty(operands[0]).shape, &steps);
        match which {
            0 => inside,
            _ => b.sub(b.sum_all(cotangent), b.sum_all(inside)),
        }
    }),
    batch: Batch::Rule(pad_lanes),
    samples: || {
        let of = |from: &[i64], low: &[i64], high: &[i64], interior: &[i64]| {
            let interior = SmallVec::from_slice(interior);
            let op = Op::Pad { low: dims(low), high: dims(high), interior };
            Sample::new(op, [f32s(from), TensorType::scalar(DType::F32)])
        };
        vec![
            of(&[4], &[1], &[2], &[0]),
            of(&[4], &[0], &[0], &[2]),
            of(&[2, 3], &[1, 0], &[0, 2], &[0, 1]),
            of(&[1], &[3], &[3], &[4]),
            of(&[0], &[2], &[1], &[0]),
            of(&[], &[], &[], &[]),
        ]
    },
};

pub(super) static CONCAT: OpRow = OpRow {
    name: "concat",
    doc: "operands one after another along an axis",
    arity: None,
    class: Class::Concat,
    infer: concat_infer,
    eval: |op, operands, ty| {
        let Op::Concat(axis) = op else { unreachable!("the row of Concat") };
        let axis = usize::from(*axis);
        Ok(rearranged(ty, operands, |point| {
            let mut at: SmallVec<[usize; 4]> = SmallVec::from_slice(point);
            let mut part = 0;
            while at[axis] >= operands[part].shape()[axis] {
                at[axis] -= operands[part].shape()[axis];
                part += 1;
            }
            (part, flat(operands[part].shape(), &at))
        }))
    },
    // Each operand fills a part of its own, so the whole is linear in all of them jointly; the
    // number of operands varies, which is why this is no `Linear`.
    jvp: Jvp::Joint,
    transpose: Some(|b, op, operands, which, cotangent| {
        let Op::Concat(axis) = op else { unreachable!("the row of Concat") };
        let axis = usize::from(*axis);
        let size = |node: &NodeId| b.ty(*node).shape[axis].clone();
        let start = operands[..which].iter().map(size).fold(Dim::Const(0), |a, n| a + n);
        b.slice_axis(cotangent, axis, &start, &size(&operands[which]))
    }),
    batch: Batch::Rule(|b, op, lanes| {
        let Op::Concat(axis) = op else { unreachable!("the row of Concat") };
        b.concat(&lanes.all(b), usize::from(*axis) + 1)
    }),
    samples: || {
        let of = |axis: u8, parts: &[&[i64]]| {
            Sample::new(Op::Concat(axis), parts.iter().map(|p| f32s(p)))
        };
        vec![
            of(0, &[&[2], &[3]]),
            of(1, &[&[2, 3], &[2, 1], &[2, 4]]),
            of(0, &[&[2, 3], &[1, 3]]),
            of(0, &[&[4]]),
            of(0, &[&[0], &[2]]),
        ]
    },
};

fn dims(sizes: &[i64]) -> SmallVec<[Dim; 4]> {
    sizes.iter().map(|&n| Dim::Const(n)).collect()
}

fn f32s(sizes: &[i64]) -> TensorType {
    TensorType { dtype: DType::F32, shape: dims(sizes) }
}

fn pad_infer(op: &Op, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
    let Op::Pad { low, high, interior } = op else { unreachable!("the row of Pad") };
    let (operand, value) = (operands[0], operands[1]);
    for count in [low.len(), high.len(), interior.len()] {
        check_count("pad", count, operand)?;
    }
    if value.rank() != 0 || value.dtype != operand.dtype {
        return Err(TypeError::new(format!("pad of {operand} with a value of type {value}")));
    }
    let negative = |d: &Dim| d.known().is_some_and(|n| n < 0);
    if low.iter().chain(high).any(negative) || interior.iter().any(|&n| n < 0) {
        return Err(TypeError::new("pad by a negative number of elements"));
    }
    let size = |axis: usize| {
        let n = operand.shape[axis].clone();
        // Between n elements are n - 1 gaps; a size that is a name is taken as at least 1.
        let gaps = if n.is(0) { Dim::Const(0) } else { n.clone() - Dim::Const(1) };
        low[axis].clone() + n + gaps * Dim::Const(interior[axis]) + high[axis].clone()
    };
    Ok(TensorType::new(operand.dtype, (0..operand.rank()).map(size)))
}

/// One value for every lane surrounds as it is; where each lane has its own, it is put where a mask
/// says that there is no element.
fn pad_lanes(b: &Builder<'_>, op: &Op, lanes: &Lanes<'_>) -> NodeId {
    let Op::Pad { low, high, interior } = op else { unreachable!("the row of Pad") };
    let none = Dim::Const(0);
    let (low, high) = (after(none.clone(), low), after(none, high));
    let (x, interior) = (lanes.spread(b, 0), after(0, interior));
    let padded = |x: NodeId, around: NodeId| b.pad(x, around, &low, &high, &interior);
    if !lanes.batched[1] {
        return padded(x, lanes.operands[1]);
    }
    let truth = |t: bool| b.scalar(tensc_runtime::Scalar::new(t));
    let element = padded(b.splat(truth(true), &b.ty(x).shape), truth(false));
    let placed = padded(x, b.constant(0.0, b.ty(x).dtype));
    let around = b.broadcast(lanes.operands[1], &b.ty(placed).shape, &[0]);
    b.map(MapOp::Select, &[element, placed, around])
}

fn concat_infer(op: &Op, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
    let Op::Concat(axis) = op else { unreachable!("the row of Concat") };
    let Some((first, rest)) = operands.split_first() else {
        return Err(TypeError::new("concat takes at least one operand"));
    };
    let along = check_axis("concat", *axis, 0, first)?;
    let mut total = first.shape[along].clone();
    for (i, operand) in rest.iter().enumerate() {
        if operand.rank() != first.rank() || operand.dtype != first.dtype {
            return Err(TypeError::new(format!("concat of {first} and {operand}")));
        }
        let differs = |&a: &usize| a != along && operand.shape[a] != first.shape[a];
        if let Some(differing) = (0..first.rank()).find(differs) {
            let message = format!("concat of {first} and {operand} along axis {axis}");
            return Err(TypeError::new(message).axis(0, differing).axis(i + 1, differing));
        }
        total = total + operand.shape[along].clone();
    }
    let mut ty = (*first).clone();
    ty.shape[along] = total;
    Ok(ty)
}
