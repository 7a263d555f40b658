//! Reductions along axes.

use super::lanes::shifted;
use super::naive::{flat, from_floats, from_ints, ints, other_axes, points};
use super::shape::{check_ascending, check_axis};
use super::{Axes, Batch, Class, Draws, EvalError, Jvp, Op, OpRow, Sample, TypeError};
use crate::graph::fused::ReduceOp;
use crate::graph::{Builder, Dim, NodeId, TensorType};
use smallvec::SmallVec;
use tensc_runtime::{DType, Scalar, Tensor};

pub(super) static REDUCE: OpRow = OpRow {
    name: "reduce",
    doc: "elements combined along axes",
    arity: Some(1),
    class: Class::Reduce,
    infer: reduce_infer,
    eval: reduce_eval,
    jvp: Jvp::Rule(reduce_jvp),
    transpose: Some(|b, op, operands, _, cotangent| {
        let Op::Reduce(_, axes) = op else { unreachable!("the row of Reduce") };
        repeated(b, cotangent, operands[0], axes)
    }),
    batch: Batch::Rule(|b, op, lanes| {
        let Op::Reduce(reduce, axes) = op else { unreachable!("the row of Reduce") };
        b.add_op(Op::Reduce(*reduce, shifted(axes)), lanes.operands)
    }),
    samples: reduce_samples,
};

pub(super) static ARG_REDUCE: OpRow = OpRow {
    name: "arg_reduce",
    doc: "position of the first extreme element along an axis",
    arity: Some(1),
    class: Class::ArgReduce,
    infer: |op, operands| {
        let Op::ArgReduce(reduce, axis) = op else { unreachable!("the row of ArgReduce") };
        if !matches!(reduce, ReduceOp::Max | ReduceOp::Min) {
            return Err(TypeError::new(format!("there is no position of the {}", reduce.name())));
        }
        let operand = operands[0];
        let along = check_axis("arg_reduce", *axis, 0, operand)?;
        if operand.shape[along].is(0) {
            return Err(TypeError::new("there is no extreme element along an axis of size 0")
                .axis(0, along));
        }
        takes("arg_reduce", ReduceOp::Max, operand.dtype)?;
        let kept = other_axes(operand.rank(), &[*axis]);
        Ok(TensorType::new(DType::I64, kept.iter().map(|&a| operand.shape[a].clone())))
    },
    eval: arg_reduce_eval,
    jvp: Jvp::Zero,
    transpose: None,
    batch: Batch::Rule(|b, op, lanes| {
        let Op::ArgReduce(reduce, axis) = op else { unreachable!("the row of ArgReduce") };
        b.add_op(Op::ArgReduce(*reduce, axis + 1), lanes.operands)
    }),
    samples: || {
        let mut samples = Vec::new();
        for reduce in [ReduceOp::Max, ReduceOp::Min] {
            for dtype in [DType::F32, DType::F64, DType::I32, DType::F16] {
                for (sizes, axis) in [(&[7][..], 0), (&[3, 5], 0), (&[3, 5], 1), (&[2, 1, 3], 1)] {
                    let ty = TensorType::new(dtype, sizes.iter().map(|&n| Dim::Const(n)));
                    samples.push(Sample::new(Op::ArgReduce(reduce, axis), [ty]));
                }
            }
        }
        samples
    },
};

impl ReduceOp {
    /// Whether the reduction takes elements of this type.
    pub fn accepts(self, dtype: DType) -> bool {
        match self {
            ReduceOp::Sum | ReduceOp::Prod | ReduceOp::Max | ReduceOp::Min => dtype != DType::Bool,
            ReduceOp::Any | ReduceOp::All => dtype == DType::Bool,
        }
    }

    /// What a reduction over nothing gives: neutral for combining.
    pub fn identity(self, dtype: DType) -> Scalar {
        let (low, high) = range(dtype);
        match self {
            ReduceOp::Sum | ReduceOp::Any => Scalar::from_i64(dtype, 0),
            ReduceOp::Prod | ReduceOp::All => Scalar::from_i64(dtype, 1),
            ReduceOp::Max => low,
            ReduceOp::Min => high,
        }
    }

    /// The reduction of this name.
    pub fn from_name(name: &str) -> Option<ReduceOp> {
        ReduceOp::ALL.into_iter().find(|op| op.name() == name)
    }
}

/// The smallest and the largest element of a type; infinities for floats.
fn range(dtype: DType) -> (Scalar, Scalar) {
    if dtype.is_float() {
        let of = |x| Scalar::from_f64(dtype, x);
        return (of(f64::NEG_INFINITY), of(f64::INFINITY));
    }
    let (low, high) = match dtype {
        DType::Bool => (0, 1),
        DType::U8 => (0, 255),
        _ => {
            let bits = 8 * dtype.size() as u32;
            (i64::MIN >> (64 - bits), i64::MAX >> (64 - bits))
        }
    };
    (Scalar::from_i64(dtype, low), Scalar::from_i64(dtype, high))
}

pub(super) fn takes(name: &str, reduce: ReduceOp, dtype: DType) -> Result<(), TypeError> {
    if reduce.accepts(dtype) {
        return Ok(());
    }
    Err(TypeError::new(format!("{name} does not take {dtype}")))
}

fn reduce_infer(op: &Op, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
    let Op::Reduce(reduce, axes) = op else { unreachable!("the row of Reduce") };
    let operand = operands[0];
    check_ascending(reduce.name(), axes, 0, operand)?;
    takes(reduce.name(), *reduce, operand.dtype)?;
    let kept = other_axes(operand.rank(), axes);
    Ok(TensorType::new(operand.dtype, kept.iter().map(|&a| operand.shape[a].clone())))
}

fn reduce_eval(op: &Op, operands: &[&Tensor], ty: &TensorType) -> Result<Tensor, EvalError> {
    let Op::Reduce(reduce, axes) = op else { unreachable!("the row of Reduce") };
    let x = operands[0];
    Ok(combine_all(*reduce, ty, |fold| {
        let kept = other_axes(x.shape().rank(), axes);
        let (floats, ints) = columns(x);
        for (i, point) in points(x.shape()).enumerate() {
            let target: SmallVec<[usize; 4]> = kept.iter().map(|&a| point[a]).collect();
            fold(&target, floats.get(i).copied().unwrap_or(0.0), ints.get(i).copied().unwrap_or(0));
        }
    }))
}

/// The elements as floats or as integers, whichever they are; the other list is empty.
fn columns(x: &Tensor) -> (Vec<f64>, Vec<i64>) {
    if x.dtype().is_float() { (x.to_f64_vec(), Vec::new()) } else { (Vec::new(), ints(x)) }
}

/// A tensor of type `ty` whose elements start at the identity of `reduce`; `feed` gets a function
/// that folds a value (a float or an integer, as `ty` is) into the element at a point. Floats are
/// combined in `f64` and rounded once at the end; integers wrap.
pub(super) fn combine_all(
    reduce: ReduceOp,
    ty: &TensorType,
    feed: impl FnOnce(&mut dyn FnMut(&[usize], f64, i64)),
) -> Tensor {
    let shape = ty.concrete_shape();
    let identity = reduce.identity(ty.dtype);
    if ty.dtype.is_float() {
        let mut sums = vec![identity.to_f64(); shape.elements()];
        feed(&mut |point, x, _| {
            let sum = &mut sums[flat(&shape, point)];
            *sum = combine_floats(reduce, *sum, x);
        });
        return from_floats(ty, &sums);
    }
    let mut sums = vec![identity.to_i64(); shape.elements()];
    feed(&mut |point, _, x| {
        let sum = &mut sums[flat(&shape, point)];
        *sum = combine_ints(reduce, *sum, x);
    });
    from_ints(ty, &sums)
}

fn combine_floats(reduce: ReduceOp, a: f64, b: f64) -> f64 {
    match reduce {
        ReduceOp::Sum => a + b,
        ReduceOp::Prod => a * b,
        ReduceOp::Max | ReduceOp::Min if a.is_nan() || b.is_nan() => f64::NAN,
        // Of two zeros the one that is not negative, or the one that is.
        ReduceOp::Max if a > b || a == b && b.is_sign_negative() => a,
        ReduceOp::Min if a < b || a == b && b.is_sign_positive() => a,
        ReduceOp::Max | ReduceOp::Min => b,
        ReduceOp::Any | ReduceOp::All => unreachable!("infer refuses floats"),
    }
}

fn combine_ints(reduce: ReduceOp, a: i64, b: i64) -> i64 {
    match reduce {
        ReduceOp::Sum => a.wrapping_add(b),
        ReduceOp::Prod => a.wrapping_mul(b),
        ReduceOp::Max => a.max(b),
        ReduceOp::Min => a.min(b),
        ReduceOp::Any => a | b,
        ReduceOp::All => a & b,
    }
}

fn arg_reduce_eval(op: &Op, operands: &[&Tensor], ty: &TensorType) -> Result<Tensor, EvalError> {
    let Op::ArgReduce(reduce, axis) = op else { unreachable!("the row of ArgReduce") };
    let x = operands[0];
    let kept = other_axes(x.shape().rank(), &[*axis]);
    let (floats, integers) = columns(x);
    let shape = ty.concrete_shape();
    let mut best: Vec<Option<usize>> = vec![None; shape.elements()];
    let mut at = vec![0i64; shape.elements()];
    let beats = |a: usize, b: usize| {
        if floats.is_empty() {
            let (a, b) = (integers[a], integers[b]);
            return if *reduce == ReduceOp::Max { a > b } else { a < b };
        }
        let (a, b) = (floats[a], floats[b]);
        let more = if *reduce == ReduceOp::Max { a > b } else { a < b };
        (a.is_nan() && !b.is_nan()) || (more && !b.is_nan())
    };
    for (i, point) in points(x.shape()).enumerate() {
        let target: SmallVec<[usize; 4]> = kept.iter().map(|&a| point[a]).collect();
        let target = flat(&shape, &target);
        if best[target].is_none_or(|b| beats(i, b)) {
            best[target] = Some(i);
            at[target] = point[usize::from(*axis)] as i64;
        }
    }
    Ok(from_ints(ty, &at))
}

fn reduce_samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    for reduce in ReduceOp::ALL {
        for dtype in DType::ALL.into_iter().filter(|&d| reduce.accepts(d)) {
            for (sizes, axes) in [
                (&[7][..], &[0][..]),
                (&[3, 5], &[1]),
                (&[3, 5], &[0]),
                (&[3, 5], &[0, 1]),
                (&[2, 3, 4], &[1]),
                (&[2, 3, 4], &[0, 2]),
                (&[1, 4], &[0]),
                (&[4], &[]),
                (&[], &[]),
                (&[3, 0], &[1]),
            ] {
                let ty = TensorType::new(dtype, sizes.iter().map(|&n: &i64| Dim::Const(n)));
                let op = Op::Reduce(reduce, Axes::from_slice(axes));
                // Distinct values: the derivative of an extreme is none at a tie.
                let sample = Sample::new(op, [ty]);
                let float = dtype.is_float();
                let draws = if float { Draws::Distinct(-2.0, 2.0) } else { sample.operands[0].1 };
                samples.push(sample.with(0, draws));
            }
        }
    }
    samples
}

/// A sum is linear. An extreme moves with the elements that attain it, in equal parts where several
/// do. A product moves with each factor times the product of the others, which is formed without
/// division, so that it is right where factors are zero.
fn reduce_jvp(
    b: &Builder<'_>,
    op: &Op,
    operands: &[NodeId],
    result: NodeId,
    tangents: &[Option<NodeId>],
) -> Option<NodeId> {
    let Op::Reduce(reduce, axes) = op else { unreachable!("the row of Reduce") };
    let over: SmallVec<[usize; 4]> = axes.iter().map(|&a| usize::from(a)).collect();
    let (x, tangent) = (operands[0], tangents[0].expect("one operand moves"));
    match reduce {
        ReduceOp::Sum => Some(b.sum(tangent, &over)),
        ReduceOp::Max | ReduceOp::Min => {
            let attained = b.eq(x, repeated(b, result, x, axes));
            let moved = b.sum(b.select(attained, tangent, b.zeros_like(x)), &over);
            let count = b.sum(b.convert(attained, b.ty(x).dtype), &over);
            // Nothing attains the extreme of nothing; its tangent is 0, not 0 / 0.
            Some(b.div(moved, b.max(count, b.like(1.0, count))))
        }
        ReduceOp::Prod => {
            let others = products_of_others(b, x, &over);
            Some(b.sum(b.mul(others, tangent), &over))
        }
        ReduceOp::Any | ReduceOp::All => None,
    }
}

/// `x`, which lacks `axes`, repeated along them to the shape of `like`.
fn repeated(b: &Builder<'_>, x: NodeId, like: NodeId, axes: &[u8]) -> NodeId {
    let shape = b.ty(like).shape;
    b.broadcast(x, &shape, &other_axes(shape.len(), axes))
}

/// For each element the product along `over` of all elements but it.
fn products_of_others(b: &Builder<'_>, x: NodeId, over: &[usize]) -> NodeId {
    // One axis at a time: others(x) along (p, q) = others(x) along q × others(prod along q) along
    // p.
    let Some((&axis, rest)) = over.split_last() else { return b.like(1.0, x) };
    let shape = b.ty(x).shape;
    let mut square = shape.clone();
    square.insert(axis, shape[axis].clone());
    let (row, column) = (axis, axis + 1);
    let to: SmallVec<[usize; 4]> = (0..square.len()).filter(|&a| a != row).collect();
    let spread = b.broadcast(x, &square, &to);
    let same = b.eq(b.iota(DType::I64, &square, row), b.iota(DType::I64, &square, column));
    let others = b.reduce(ReduceOp::Prod, b.select(same, b.like(1.0, spread), spread), &[column]);
    if rest.is_empty() {
        return others;
    }
    let whole = b.reduce(ReduceOp::Prod, x, &[axis]);
    b.mul(others, repeated(b, products_of_others(b, whole, rest), x, &[axis as u8]))
}
