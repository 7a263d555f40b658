//! Sums of products over paired axes: matrix products and everything an einsum of two says.

use super::lanes::{Lanes, after, moved, shifted};
use super::naive::{from_floats, from_ints, ints, points};
use super::shape::check_axis;
use super::{Axes, Batch, Class, Contraction, EvalError, Jvp, Op, OpRow, Sample, TypeError};
use crate::graph::{Builder, Dim, NodeId, TensorType};
use smallvec::SmallVec;
use tensc_runtime::{DType, Shape, Tensor};

pub(super) static CONTRACT: OpRow = OpRow {
    name: "contract",
    doc: "the sum of products over paired axes",
    arity: Some(2),
    class: Class::Contract,
    infer,
    eval,
    jvp: Jvp::Multilinear,
    transpose: Some(transpose),
    batch: Batch::Rule(batch),
    samples,
};

impl Contraction {
    /// The product of matrices: `left` axis 1 with `right` axis 0.
    pub fn matmul() -> Contraction {
        Contraction {
            left_sum: Axes::from_slice(&[1]),
            right_sum: Axes::from_slice(&[0]),
            ..Contraction::default()
        }
    }

    /// The same products where the operands stand in the other order.
    pub fn turned(&self) -> Contraction {
        let Contraction { left_batch, right_batch, left_sum, right_sum } = self.clone();
        Contraction {
            left_batch: right_batch,
            right_batch: left_batch,
            left_sum: right_sum,
            right_sum: left_sum,
        }
    }

    /// Axes of a left operand of this rank that are neither batches nor summed over.
    pub fn left_free(&self, rank: usize) -> Axes {
        free(rank, &self.left_batch, &self.left_sum)
    }

    /// Axes of a right operand of this rank that are neither batches nor summed over.
    pub fn right_free(&self, rank: usize) -> Axes {
        free(rank, &self.right_batch, &self.right_sum)
    }
}

fn free(rank: usize, batch: &[u8], sum: &[u8]) -> Axes {
    (0..rank as u8).filter(|axis| !batch.contains(axis) && !sum.contains(axis)).collect()
}

fn contraction(op: &Op) -> &Contraction {
    let Op::Contract(contraction) = op else { unreachable!("the row of Contract") };
    contraction
}

fn infer(op: &Op, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
    let c = contraction(op);
    let (left, right) = (operands[0], operands[1]);
    if left.dtype != right.dtype || left.dtype == DType::Bool {
        return Err(TypeError::new(format!(
            "contract takes numbers of one type, found {left} and {right}"
        )));
    }
    for (what, l, r) in
        [("batch", &c.left_batch, &c.right_batch), ("summed", &c.left_sum, &c.right_sum)]
    {
        if l.len() != r.len() {
            let message = format!("contract pairs {} with {} {what} axes", l.len(), r.len());
            return Err(TypeError::new(message));
        }
        for (&l, &r) in l.iter().zip(r) {
            let (l, r) =
                (check_axis("contract", l, 0, left)?, check_axis("contract", r, 1, right)?);
            if left.shape[l] != right.shape[r] {
                let (a, b) = (&left.shape[l], &right.shape[r]);
                let message =
                    format!("contract of {left} and {right}: {what} sizes {a} and {b} differ");
                return Err(TypeError::new(message).axis(0, l).axis(1, r));
            }
        }
    }
    for (batch, sum) in [(&c.left_batch, &c.left_sum), (&c.right_batch, &c.right_sum)] {
        let mut axes: Axes = batch.iter().chain(sum).copied().collect();
        axes.sort_unstable();
        if axes.windows(2).any(|w| w[0] == w[1]) {
            return Err(TypeError::new("contract names an axis twice"));
        }
    }
    let of = |ty: &TensorType, axes: &[u8]| -> SmallVec<[Dim; 4]> {
        axes.iter().map(|&a| ty.shape[usize::from(a)].clone()).collect()
    };
    let shape = of(left, &c.left_batch)
        .into_iter()
        .chain(of(left, &c.left_free(left.rank())))
        .chain(of(right, &c.right_free(right.rank())));
    Ok(TensorType::new(left.dtype, shape))
}

fn eval(op: &Op, operands: &[&Tensor], ty: &TensorType) -> Result<Tensor, EvalError> {
    let c = contraction(op);
    let (left, right) = (operands[0], operands[1]);
    let left_free = c.left_free(left.shape().rank());
    let right_free = c.right_free(right.shape().rank());
    let sums: Shape = c.left_sum.iter().map(|&a| left.shape()[usize::from(a)]).collect();
    // Where the summands of one result element lie does not depend on the element.
    let offsets = |shape: &Shape, axes: &[u8]| -> Vec<usize> {
        let strides = shape.strides();
        let offset = |p: super::naive::Point| {
            axes.iter().zip(&p).map(|(&a, i)| strides[usize::from(a)] * i).sum()
        };
        points(&sums).map(offset).collect()
    };
    let left_offsets = offsets(left.shape(), &c.left_sum);
    let right_offsets = offsets(right.shape(), &c.right_sum);
    let pairs = left_offsets.iter().zip(&right_offsets);
    let bases = |point: &[usize]| {
        let (batch, rest) = point.split_at(c.left_batch.len());
        let (from_left, from_right) = rest.split_at(left_free.len());
        let base = |shape: &Shape, batch_axes: &[u8], free_axes: &[u8], free: &[usize]| {
            let strides = shape.strides();
            let axes = batch_axes.iter().chain(free_axes);
            axes.zip(batch.iter().chain(free)).map(|(&a, i)| strides[usize::from(a)] * i).sum()
        };
        let l: usize = base(left.shape(), &c.left_batch, &left_free, from_left);
        let r: usize = base(right.shape(), &c.right_batch, &right_free, from_right);
        (l, r)
    };
    let space = points(&ty.concrete_shape());
    if ty.dtype.is_float() {
        let (a, b) = (left.to_f64_vec(), right.to_f64_vec());
        let dot = |point: super::naive::Point| {
            let (l, r) = bases(&point);
            pairs.clone().map(|(i, j)| a[l + i] * b[r + j]).sum::<f64>()
        };
        return Ok(from_floats(ty, &space.map(dot).collect::<Vec<f64>>()));
    }
    let (a, b) = (ints(left), ints(right));
    let dot = |point: super::naive::Point| {
        let (l, r) = bases(&point);
        let product = |(i, j): (&usize, &usize)| a[l + i].wrapping_mul(b[r + j]);
        pairs.clone().map(product).fold(0i64, i64::wrapping_add)
    };
    Ok(from_ints(ty, &space.map(dot).collect::<Vec<i64>>()))
}

fn samples() -> Vec<Sample> {
    let of = |dtype, left: &[i64], right: &[i64], batch: [&[u8]; 2], sum: [&[u8]; 2]| {
        let ty = |sizes: &[i64]| TensorType::new(dtype, sizes.iter().map(|&n| Dim::Const(n)));
        let op = Op::Contract(Contraction {
            left_batch: Axes::from_slice(batch[0]),
            right_batch: Axes::from_slice(batch[1]),
            left_sum: Axes::from_slice(sum[0]),
            right_sum: Axes::from_slice(sum[1]),
        });
        Sample::new(op, [ty(left), ty(right)])
    };
    let none: [&[u8]; 2] = [&[], &[]];
    let mut samples = Vec::new();
    for dtype in [DType::F32, DType::F64, DType::I32, DType::BF16] {
        samples.extend([
            of(dtype, &[3, 4], &[4, 5], none, [&[1], &[0]]),
            of(dtype, &[3, 4], &[5, 4], none, [&[1], &[1]]),
            of(dtype, &[4, 3], &[4, 5], none, [&[0], &[0]]),
            of(dtype, &[4], &[4], none, [&[0], &[0]]),
            of(dtype, &[3], &[4], none, none),
            of(dtype, &[], &[], none, none),
            of(dtype, &[3, 4], &[4], none, [&[1], &[0]]),
            of(dtype, &[2, 3, 4], &[2, 4, 5], [&[0], &[0]], [&[2], &[1]]),
            of(dtype, &[3, 2, 4], &[4, 5, 2], [&[1], &[2]], [&[2], &[0]]),
            of(dtype, &[2, 3, 4], &[4, 3, 5], none, [&[1, 2], &[1, 0]]),
            of(dtype, &[1, 1], &[1, 1], none, [&[1], &[0]]),
            of(dtype, &[2, 0], &[0, 3], none, [&[1], &[0]]),
        ]);
    }
    samples.push(of(DType::F32, &[19, 33], &[33, 17], none, [&[1], &[0]]));
    samples
}

/// The cotangent of one operand is a contraction of the result's cotangent with the other operand
/// over that one's free axes; its axes are then put in the operand's order.
fn transpose(
    b: &Builder<'_>,
    op: &Op,
    operands: &[NodeId],
    which: usize,
    cotangent: NodeId,
) -> NodeId {
    let c = contraction(op);
    let (left_rank, right_rank) = (b.ty(operands[0]).rank(), b.ty(operands[1]).rank());
    let (left_free, right_free) = (c.left_free(left_rank), c.right_free(right_rank));
    let batches = c.left_batch.len();
    let range =
        |from: usize, count: usize| -> Axes { (from..from + count).map(|a| a as u8).collect() };
    let of_left = range(batches, left_free.len());
    let of_right = range(batches + left_free.len(), right_free.len());
    // Where each axis of the pulled-back tensor belongs in the operand.
    let (pulled, places): (NodeId, Axes) = if which == 0 {
        let back = Contraction {
            left_batch: range(0, batches),
            right_batch: c.right_batch.clone(),
            left_sum: of_right,
            right_sum: right_free,
        };
        let sums = partners_ascending(&c.right_sum, &c.left_sum);
        let places = c.left_batch.iter().chain(&left_free).chain(&sums).copied().collect();
        (b.contract(cotangent, operands[1], back), places)
    } else {
        let back = Contraction {
            left_batch: c.left_batch.clone(),
            right_batch: range(0, batches),
            left_sum: left_free,
            right_sum: of_left,
        };
        let sums = partners_ascending(&c.left_sum, &c.right_sum);
        let places = c.right_batch.iter().chain(&sums).chain(&right_free).copied().collect();
        (b.contract(operands[0], cotangent, back), places)
    };
    let mut perm = vec![0; places.len()];
    for (axis, &place) in places.iter().enumerate() {
        perm[usize::from(place)] = axis;
    }
    b.transpose(pulled, &perm)
}

/// The partners in the order that `axes` has when it ascends: the order of free axes in a result.
fn partners_ascending(axes: &[u8], partners: &[u8]) -> Axes {
    let mut pairs: Vec<(u8, u8)> = axes.iter().copied().zip(partners.iter().copied()).collect();
    pairs.sort_unstable();
    pairs.into_iter().map(|(_, partner)| partner).collect()
}

/// Where both operands are batched their lanes are one more pair of batch axes. Where one is, they
/// are a free axis of it, which is then brought to the front: the other is read once for all.
fn batch(b: &Builder<'_>, op: &Op, lanes: &Lanes<'_>) -> NodeId {
    let c = contraction(op);
    let of = |axes: &Axes, batched: bool| if batched { shifted(axes) } else { axes.clone() };
    let (left, right) = (lanes.batched[0], lanes.batched[1]);
    let mut more = Contraction {
        left_batch: of(&c.left_batch, left),
        right_batch: of(&c.right_batch, right),
        left_sum: of(&c.left_sum, left),
        right_sum: of(&c.right_sum, right),
    };
    if left && right {
        more.left_batch = after(0, &more.left_batch);
        more.right_batch = after(0, &more.right_batch);
        return b.contract(lanes.operands[0], lanes.operands[1], more);
    }
    let batches = c.left_batch.len();
    let before = match left {
        true => batches,
        false => batches + c.left_free(b.ty(lanes.operands[0]).rank()).len(),
    };
    moved(b, b.contract(lanes.operands[0], lanes.operands[1], more), before, 0)
}
