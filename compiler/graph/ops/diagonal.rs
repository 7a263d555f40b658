//! The elements whose indices along two axes are equal.

use super::naive::{flat, rearranged};
use super::shape::check_axis;
use super::{Batch, Class, Jvp, Op, OpRow, Sample, TypeError};
use crate::graph::fused::{AxisIndex, IndexMap};
use crate::graph::{Builder, Dim, NodeId, TensorType};
use smallvec::SmallVec;
use tensc_runtime::DType;

pub(super) static DIAGONAL: OpRow = OpRow {
    name: "diagonal",
    doc: "the elements whose indices along two axes are equal",
    arity: Some(1),
    class: Class::View(diagonal_map),
    infer: |op, operands| {
        let (a, b) = axes(op);
        let operand = operands[0];
        let (first, second) =
            (check_axis("diagonal", a, 0, operand)?, check_axis("diagonal", b, 0, operand)?);
        if first >= second {
            let message = format!("diagonal needs its axes in ascending order, found {a} and {b}");
            return Err(TypeError::new(message).axis(0, first).axis(0, second));
        }
        if operand.shape[first] != operand.shape[second] {
            let (m, n) = (&operand.shape[first], &operand.shape[second]);
            let message = format!("diagonal of axes of size {m} and {n}");
            return Err(TypeError::new(message).axis(0, first).axis(0, second));
        }
        let mut shape = operand.shape.clone();
        shape.remove(second);
        Ok(TensorType { dtype: operand.dtype, shape })
    },
    eval: |op, operands, ty| {
        let (a, b) = axes(op);
        Ok(rearranged(ty, operands, |point| {
            let mut at: SmallVec<[usize; 4]> = SmallVec::from_slice(point);
            at.insert(usize::from(b), point[usize::from(a)]);
            (0, flat(operands[0].shape(), &at))
        }))
    },
    jvp: Jvp::Linear(&[0]),
    transpose: Some(transpose),
    batch: Batch::Rule(|b, op, lanes| {
        let (first, second) = axes(op);
        b.diagonal(lanes.operands[0], usize::from(first) + 1, usize::from(second) + 1)
    }),
    samples: || {
        let of = |from: &[i64], a: u8, b: u8| {
            let ty = TensorType::new(DType::F32, from.iter().map(|&n| Dim::Const(n)));
            Sample::new(Op::Diagonal(a, b), [ty])
        };
        vec![
            of(&[3, 3], 0, 1),
            of(&[4, 2, 4], 0, 2),
            of(&[2, 5, 5], 1, 2),
            of(&[3, 3, 2], 0, 1),
            of(&[17, 17], 0, 1),
            of(&[1, 1], 0, 1),
            of(&[0, 0], 0, 1),
        ]
    },
};

fn axes(op: &Op) -> (u8, u8) {
    let Op::Diagonal(a, b) = op else { unreachable!("the row of Diagonal") };
    (*a, *b)
}

fn diagonal_map(op: &Op, operand: &TensorType, _: &TensorType) -> Option<IndexMap> {
    let (a, b) = axes(op);
    let follow = |axis: usize| {
        let axis = axis as u8;
        let axis = if axis == b { a } else { axis - u8::from(axis > b) };
        AxisIndex { axis: Some(axis), start: 0, step: 1 }
    };
    Some(IndexMap((0..operand.rank()).map(follow).collect()))
}

/// The cotangent where both indices are equal, 0 elsewhere: chosen, so that what stands elsewhere
/// is 0 whatever the cotangent.
fn transpose(b: &Builder<'_>, op: &Op, operands: &[NodeId], _: usize, cotangent: NodeId) -> NodeId {
    let (first, second) = axes(op);
    let shape = b.ty(operands[0]).shape;
    let [rows, columns] = [first, second].map(|a| b.iota(DType::I64, &shape, usize::from(a)));
    let kept: SmallVec<[usize; 4]> =
        (0..shape.len()).filter(|&axis| axis != usize::from(second)).collect();
    let wide = b.broadcast(cotangent, &shape, &kept);
    b.select(b.eq(rows, columns), wide, b.zeros_like(operands[0]))
}
