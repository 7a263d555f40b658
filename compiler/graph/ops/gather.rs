//! Elements at computed positions, and the transpose of reading them.

use super::lanes::{Lanes, moved};
use super::naive::{checked_index, flat, from_floats, from_ints, ints, points, rearranged};
use super::shape::{check_axis, show};
use super::{Batch, Class, Draws, EvalError, Jvp, Op, OpRow, Sample, TypeError};
use crate::graph::{Builder, Dim, NodeId, TensorType};
use smallvec::SmallVec;
use tensc_runtime::{DType, Shape, Tensor};

pub(super) static GATHER: OpRow = OpRow {
    name: "gather",
    doc: "operand 0 at the positions of operand 1 along an axis",
    arity: Some(2),
    class: Class::Gather,
    infer: |op, operands| {
        let (axis, data, indices) = (axis(op), operands[0], operands[1]);
        let along = check_axis("gather", axis, 0, data)?;
        check_indices("gather", indices)?;
        Ok(TensorType { dtype: data.dtype, shape: taken(data, indices, along) })
    },
    eval: gather_eval,
    jvp: Jvp::Linear(&[0]),
    transpose: Some(|b, op, operands, _, cotangent| {
        let base = b.zeros_like(operands[0]);
        b.scatter_add(base, operands[1], cotangent, usize::from(axis(op)))
    }),
    batch: Batch::Rule(gather_lanes),
    samples: || {
        let of = |data: &[i64], indices: &[i64], axis: u8| {
            let sample = Sample::new(Op::Gather(axis), [numbers(data), positions(indices)]);
            sample.with(1, within(data[usize::from(axis)]))
        };
        vec![
            of(&[10], &[4], 0),
            of(&[10], &[], 0),
            of(&[5, 3], &[4], 0),
            of(&[5, 3], &[2, 2], 1),
            of(&[2, 5, 3], &[7], 1),
            of(&[1], &[3], 0),
            of(&[4, 2], &[0], 0),
        ]
    },
};

pub(super) static SCATTER_ADD: OpRow = OpRow {
    name: "scatter_add",
    doc: "operand 0 with operand 2 added at the positions of operand 1 along an axis",
    arity: Some(3),
    class: Class::Scatter,
    infer: |op, operands| {
        let (axis, base, indices, updates) = (axis(op), operands[0], operands[1], operands[2]);
        let along = check_axis("scatter_add", axis, 0, base)?;
        check_indices("scatter_add", indices)?;
        let wanted = taken(base, indices, along);
        if updates.dtype != base.dtype || base.dtype == DType::Bool {
            return Err(TypeError::new(format!("scatter_add of {updates} to {base}")));
        }
        if updates.shape != wanted {
            let (found, wanted) = (show(&updates.shape), show(&wanted));
            let message = format!("scatter_add needs updates of shape {wanted}, found {found}");
            return Err(TypeError::new(message));
        }
        Ok(base.clone())
    },
    eval: scatter_eval,
    jvp: Jvp::Linear(&[0, 2]),
    transpose: Some(|b, op, operands, which, cotangent| match which {
        0 => cotangent,
        _ => b.gather(cotangent, operands[1], usize::from(axis(op))),
    }),
    batch: Batch::Rule(scatter_lanes),
    samples: || {
        let of = |base: &[i64], indices: &[i64], axis: u8| {
            let base_ty = numbers(base);
            let updates = taken(&base_ty, &positions(indices), usize::from(axis));
            let updates = TensorType { dtype: DType::F32, shape: updates };
            let operands = [base_ty, positions(indices), updates];
            Sample::new(Op::ScatterAdd(axis), operands).with(1, within(base[usize::from(axis)]))
        };
        vec![
            of(&[10], &[4], 0),
            of(&[3], &[20], 0),
            of(&[10], &[], 0),
            of(&[5, 3], &[4], 0),
            of(&[5, 3], &[2, 2], 1),
            of(&[2, 5, 3], &[7], 1),
            of(&[4, 2], &[0], 0),
        ]
    },
};

fn axis(op: &Op) -> u8 {
    match op {
        Op::Gather(axis) | Op::ScatterAdd(axis) => *axis,
        _ => unreachable!("the rows of Gather and ScatterAdd"),
    }
}

fn numbers(sizes: &[i64]) -> TensorType {
    TensorType::new(DType::F32, sizes.iter().map(|&n| Dim::Const(n)))
}

fn positions(sizes: &[i64]) -> TensorType {
    TensorType::new(DType::I64, sizes.iter().map(|&n| Dim::Const(n)))
}

fn within(bound: i64) -> Draws {
    Draws::Between(0.0, bound as f64 - 1.0)
}

fn check_indices(name: &str, indices: &TensorType) -> Result<(), TypeError> {
    if indices.dtype == DType::I64 {
        return Ok(());
    }
    Err(TypeError::new(format!("{name} takes i64 indices, found {}", indices.dtype)))
}

/// The shape of `data` with the axes of `indices` in place of `axis`.
fn taken(data: &TensorType, indices: &TensorType, axis: usize) -> SmallVec<[Dim; 4]> {
    let (before, after) = (&data.shape[..axis], &data.shape[axis + 1..]);
    before.iter().chain(&indices.shape).chain(after).cloned().collect()
}

/// Where in the data each position of a gathered tensor comes from, in row-major order.
fn sources(
    data: &Shape,
    indices: &Tensor,
    axis: usize,
    gathered: &Shape,
) -> Result<Vec<usize>, EvalError> {
    let values = ints(indices);
    let rank = indices.shape().rank();
    let source = |point: super::naive::Point| {
        let index = values[flat(indices.shape(), &point[axis..axis + rank])];
        let index = checked_index(index, data[axis] as i64)? as usize;
        let (before, after) = (&point[..axis], &point[axis + rank..]);
        let at: SmallVec<[usize; 4]> =
            before.iter().copied().chain([index]).chain(after.iter().copied()).collect();
        Ok(flat(data, &at))
    };
    points(gathered).map(source).collect()
}

fn gather_eval(op: &Op, operands: &[&Tensor], ty: &TensorType) -> Result<Tensor, EvalError> {
    let shape = ty.concrete_shape();
    let from = sources(operands[0].shape(), operands[1], usize::from(axis(op)), &shape)?;
    Ok(rearranged(ty, &operands[..1], |point| (0, from[flat(&shape, point)])))
}

fn scatter_eval(op: &Op, operands: &[&Tensor], ty: &TensorType) -> Result<Tensor, EvalError> {
    let (base, indices, updates) = (operands[0], operands[1], operands[2]);
    let to = sources(base.shape(), indices, usize::from(axis(op)), updates.shape())?;
    if ty.dtype.is_float() {
        let mut sums = base.to_f64_vec();
        to.iter().zip(updates.to_f64_vec()).for_each(|(&at, x)| sums[at] += x);
        return Ok(from_floats(ty, &sums));
    }
    let mut sums = ints(base);
    to.iter().zip(ints(updates)).for_each(|(&at, x)| sums[at] = sums[at].wrapping_add(x));
    Ok(from_ints(ty, &sums))
}

fn gather_lanes(b: &Builder<'_>, op: &Op, lanes: &Lanes<'_>) -> NodeId {
    let axis = usize::from(axis(op));
    let (data, indices) = (lanes.operands[0], lanes.operands[1]);
    match (lanes.batched[0], lanes.batched[1]) {
        (_, false) => b.gather(data, indices, axis + 1),
        (false, true) => moved(b, b.gather(data, indices, axis), axis, 0),
        (true, true) => {
            let (rows, at) = (one_axis(b, data, axis), row_numbers(b, data, indices, axis));
            let taken = b.gather(rows, at, 0);
            let places = b.ty(indices).rank() - 1;
            group_moved(b, taken, 1, places, axis + 1)
        }
    }
}

fn scatter_lanes(b: &Builder<'_>, op: &Op, lanes: &Lanes<'_>) -> NodeId {
    let axis = usize::from(axis(op));
    let (base, updates, indices) = (lanes.spread(b, 0), lanes.spread(b, 2), lanes.operands[1]);
    if !lanes.batched[1] {
        return b.scatter_add(base, indices, updates, axis + 1);
    }
    let places = b.ty(indices).rank() - 1;
    let at = row_numbers(b, base, indices, axis);
    let rows = one_axis(b, base, axis);
    let updates = group_moved(b, updates, axis + 1, places, 1);
    // The order of the updates of one lane's element is that of its indices, as without lanes.
    let sums = b.scatter_add(rows, at, updates, 0);
    let mut shape = b.ty(base).shape;
    let along = shape.remove(axis + 1);
    shape.insert(1, along);
    moved(b, b.reshape(sums, &shape), 1, axis + 1)
}

/// Lanes of data as rows of one axis: `[lanes * n, …]` with the axis of size `n` that is gathered
/// along.
fn one_axis(b: &Builder<'_>, data: NodeId, axis: usize) -> NodeId {
    let rows = moved(b, data, axis + 1, 1);
    let shape = b.ty(rows).shape;
    let mut joined: SmallVec<[Dim; 4]> = shape[1..].into();
    joined[0] = shape[0].clone() * shape[1].clone();
    b.reshape(rows, &joined)
}

/// Checked positions in each lane as positions among the rows of [`one_axis`].
fn row_numbers(b: &Builder<'_>, data: NodeId, indices: NodeId, axis: usize) -> NodeId {
    let (lanes, bound) = (b.ty(data).shape[0].clone(), b.ty(data).shape[axis + 1].clone());
    let shape = b.ty(indices).shape;
    let lane = b.iota(DType::I64, &shape, 0);
    let first = b.mul(lane, b.splat(b.size(&bound, DType::I64), &shape));
    b.check_index(b.add(first, indices), &(lanes * bound))
}

/// Moves the `count` axes that start at `from` so that they start at `to`, the others in order.
fn group_moved(b: &Builder<'_>, node: NodeId, from: usize, count: usize, to: usize) -> NodeId {
    let group = from..from + count;
    let mut perm: SmallVec<[usize; 4]> =
        (0..b.ty(node).rank()).filter(|axis| !group.contains(axis)).collect();
    perm.insert_many(to, group);
    b.transpose(node, &perm)
}
