//! What runs along an axis in its order: running combinations, linear recurrences, sorting.

use super::naive::{flat, from_floats, from_ints, ints, points};
use super::shape::check_axis;
use super::{Batch, Class, Draws, EvalError, Jvp, MapOp, Op, OpRow, Sample, TypeError};
use crate::graph::{Builder, Dim, NodeId, TensorType};
use tensc_runtime::along::Running;
use tensc_runtime::{DType, Tensor};

pub(super) static RUNNING: OpRow = OpRow {
    name: "running",
    doc: "at each place the combination of the elements up to it along an axis",
    arity: Some(1),
    class: Class::Along,
    infer: |op, operands| {
        let Op::Running(running, axis) = op else { unreachable!("the row of Running") };
        check_axis("running", *axis, 0, operands[0])?;
        let dtype = operands[0].dtype;
        let takes = match running {
            Running::LogSumExp => dtype.is_float(),
            _ => dtype != DType::Bool,
        };
        if !takes {
            return Err(TypeError::new(format!("running {} of {dtype}", running.name())));
        }
        Ok(operands[0].clone())
    },
    eval: running_eval,
    jvp: Jvp::Rule(running_jvp),
    // Only the sum is linear: each element counts in every later sum.
    transpose: Some(|b, op, _, _, cotangent| {
        let Op::Running(_, axis) = op else { unreachable!("the row of Running") };
        let axis = usize::from(*axis);
        b.flip(b.running(Running::Sum, b.flip(cotangent, axis), axis), axis)
    }),
    batch: Batch::Rule(|b, op, lanes| {
        let Op::Running(running, axis) = op else { unreachable!("the row of Running") };
        b.running(*running, lanes.operands[0], usize::from(*axis) + 1)
    }),
    samples: || {
        let mut samples = Vec::new();
        for running in Running::ALL {
            for dtype in [DType::F32, DType::F64, DType::F16, DType::I32] {
                if running == Running::LogSumExp && !dtype.is_float() {
                    continue;
                }
                for (sizes, axis) in [(&[7][..], 0), (&[3, 5], 0), (&[3, 5], 1), (&[2, 4, 3], 1)] {
                    let ty = TensorType::new(dtype, sizes.iter().map(|&n: &i64| Dim::Const(n)));
                    let sample = Sample::new(Op::Running(running, axis), [ty]);
                    let extreme = matches!(running, Running::Max | Running::Min);
                    samples.push(match extreme && dtype.is_float() {
                        true => sample.with(0, Draws::Distinct(-2.0, 2.0)),
                        false => sample,
                    });
                }
            }
        }
        let none = TensorType::new(DType::F32, [0, 3].map(Dim::Const));
        samples.push(Sample::new(Op::Running(Running::Sum, 0), [none]));
        samples
    },
};

pub(super) static RECUR: OpRow = OpRow {
    name: "recur",
    doc: "along an axis the operand 0 times what stood before, plus operand 1",
    arity: Some(2),
    class: Class::Along,
    infer: |op, operands| {
        let Op::Recur(axis) = op else { unreachable!("the row of Recur") };
        check_axis("recur", *axis, 0, operands[0])?;
        if operands[0] != operands[1] || !operands[0].dtype.is_float() {
            let (a, b) = (operands[0], operands[1]);
            return Err(TypeError::new(format!("recur of {a} and {b}")));
        }
        Ok(operands[0].clone())
    },
    eval: |op, operands, ty| {
        let Op::Recur(axis) = op else { unreachable!("the row of Recur") };
        let (axis, shape) = (usize::from(*axis), ty.concrete_shape());
        let (factors, added) = (operands[0].to_f64_vec(), operands[1].to_f64_vec());
        let mut out = added.clone();
        for point in points(&shape).filter(|point| point[axis] > 0) {
            let mut before = point.clone();
            before[axis] -= 1;
            let (at, before) = (flat(&shape, &point), flat(&shape, &before));
            out[at] = factors[at] * out[before] + added[at];
        }
        Ok(from_floats(ty, &out))
    },
    jvp: Jvp::Rule(|b, op, operands, result, tangents| {
        let Op::Recur(axis) = op else { unreachable!("the row of Recur") };
        let axis = usize::from(*axis);
        let by_factor = tangents[0].map(|t| b.mul(t, b.delayed(result, axis, 0.0)));
        let added = match (by_factor, tangents[1]) {
            (Some(a), Some(x)) => b.add(a, x),
            (one, other) => one.or(other)?,
        };
        Some(b.recur(operands[0], added, axis))
    }),
    // Linear in operand 1: what an element adds goes on with the factors after it.
    transpose: Some(|b, op, operands, _, cotangent| {
        let Op::Recur(axis) = op else { unreachable!("the row of Recur") };
        let axis = usize::from(*axis);
        let later = b.delayed(b.flip(operands[0], axis), axis, 0.0);
        b.flip(b.recur(later, b.flip(cotangent, axis), axis), axis)
    }),
    batch: Batch::Rule(|b, op, lanes| {
        let Op::Recur(axis) = op else { unreachable!("the row of Recur") };
        b.recur(lanes.spread(b, 0), lanes.spread(b, 1), usize::from(*axis) + 1)
    }),
    samples: || {
        let of = |dtype: DType, sizes: &[i64], axis: u8| {
            let ty = TensorType::new(dtype, sizes.iter().map(|&n| Dim::Const(n)));
            Sample::new(Op::Recur(axis), [ty.clone(), ty]).with(0, Draws::Between(-1.0, 1.0))
        };
        vec![
            of(DType::F32, &[7], 0),
            of(DType::F64, &[3, 5], 0),
            of(DType::F32, &[3, 5], 1),
            of(DType::F64, &[2, 4, 3], 1),
            of(DType::F32, &[0, 2], 0),
        ]
    },
};

pub(super) static ARGSORT: OpRow = OpRow {
    name: "argsort",
    doc: "positions along an axis in the order of their elements",
    arity: Some(1),
    class: Class::Along,
    infer: |op, operands| {
        let Op::Argsort { axis, .. } = op else { unreachable!("the row of Argsort") };
        check_axis("argsort", *axis, 0, operands[0])?;
        Ok(operands[0].with_dtype(DType::I64))
    },
    eval: argsort_eval,
    jvp: Jvp::Zero,
    transpose: None,
    batch: Batch::Rule(|b, op, lanes| {
        let Op::Argsort { axis, descending } = op else { unreachable!("the row of Argsort") };
        b.argsort(lanes.operands[0], usize::from(*axis) + 1, *descending)
    }),
    samples: || {
        let mut samples = Vec::new();
        for dtype in [DType::F32, DType::F64, DType::I32, DType::F16, DType::Bool] {
            for (sizes, axis) in [(&[9][..], 0), (&[4, 5], 0), (&[3, 5], 1), (&[2, 4, 3], 1)] {
                let ty = TensorType::new(dtype, sizes.iter().map(|&n: &i64| Dim::Const(n)));
                let op = Op::Argsort { axis, descending: sizes.len() == 2 };
                samples.push(Sample::new(op, [ty]));
            }
        }
        samples
    },
};

fn running_eval(op: &Op, operands: &[&Tensor], ty: &TensorType) -> Result<Tensor, EvalError> {
    let Op::Running(running, axis) = op else { unreachable!("the row of Running") };
    let (axis, shape) = (usize::from(*axis), ty.concrete_shape());
    let earlier = points(&shape).filter(|point| point[axis] > 0).map(|point| {
        let mut before = point.clone();
        before[axis] -= 1;
        (flat(&shape, &point), flat(&shape, &before))
    });
    if ty.dtype.is_float() {
        let mut out = operands[0].to_f64_vec();
        for (at, before) in earlier {
            out[at] = combined(*running, out[before], out[at]);
        }
        return Ok(from_floats(ty, &out));
    }
    let mut out = ints(operands[0]);
    for (at, before) in earlier {
        let (a, x) = (out[before], out[at]);
        out[at] = match running {
            Running::Sum => a.wrapping_add(x),
            Running::Prod => a.wrapping_mul(x),
            Running::Max => a.max(x),
            Running::Min => a.min(x),
            Running::LogSumExp => unreachable!("the shape rule asks for floats"),
        };
    }
    Ok(from_ints(ty, &out))
}

fn combined(running: Running, a: f64, x: f64) -> f64 {
    match running {
        Running::Sum => a + x,
        Running::Prod => a * x,
        Running::Max if a.is_nan() || x.is_nan() => f64::NAN,
        Running::Min if a.is_nan() || x.is_nan() => f64::NAN,
        Running::Max if a > x => a,
        Running::Min if a < x => a,
        Running::Max | Running::Min => x,
        Running::LogSumExp if a.is_nan() || x.is_nan() => f64::NAN,
        Running::LogSumExp => {
            let top = a.max(x);
            if top.is_infinite() { top } else { top + ((a - top).exp() + (x - top).exp()).ln() }
        }
    }
}

fn running_jvp(
    b: &Builder<'_>,
    op: &Op,
    operands: &[NodeId],
    result: NodeId,
    tangents: &[Option<NodeId>],
) -> Option<NodeId> {
    let Op::Running(running, axis) = op else { unreachable!("the row of Running") };
    let (x, axis, tangent) = (operands[0], usize::from(*axis), tangents[0]?);
    Some(match running {
        Running::Sum => b.running(Running::Sum, tangent, axis),
        // The product rule at each place, without division.
        Running::Prod => {
            let here = b.mul(tangent, b.delayed(result, axis, 1.0));
            b.recur(x, here, axis)
        }
        Running::Max | Running::Min => b.take_along(tangent, extreme_at(b, x, result, axis), axis),
        // Each place weighs what came before and the element by their shares of the sum.
        Running::LogSumExp => {
            let [before, here] = shares(b, x, axis);
            b.recur(before, b.mul(here, tangent), axis)
        }
    })
}

/// At each place the shares in the sum of exponentials of what came before and of the element.
/// They come from sums that are scaled by the largest element so far: the differences of large
/// logarithms would have lost their digits.
fn shares(b: &Builder<'_>, x: NodeId, axis: usize) -> [NodeId; 2] {
    let top = b.running(Running::Max, x, axis);
    // An infinite shift would make NaN of infinity minus infinity.
    let finite = b.map(MapOp::IsFinite, &[top]);
    let top = b.map(MapOp::StopGradient, &[b.select(finite, top, b.zeros_like(top))]);
    let here = b.exp(b.sub(x, top));
    let scale = b.exp(b.sub(b.delayed(top, axis, f64::NEG_INFINITY), top));
    let sum = b.recur(scale, here, axis);
    let nothing = b.eq(sum, b.zeros_like(sum));
    let divisor = b.select(nothing, b.like(1.0, sum), sum);
    let before = b.mul(scale, b.delayed(sum, axis, 0.0));
    [b.div(before, divisor), b.div(here, divisor)]
}

/// At each place the latest position along the axis, up to it, that has the extreme so far.
fn extreme_at(b: &Builder<'_>, x: NodeId, extreme: NodeId, axis: usize) -> NodeId {
    let ty = b.ty(x);
    let positions = b.iota(DType::I64, &ty.shape, axis);
    let reached = b.eq(x, extreme);
    b.running(Running::Max, b.select(reached, positions, b.zeros_like(positions)), axis)
}

fn argsort_eval(op: &Op, operands: &[&Tensor], ty: &TensorType) -> Result<Tensor, EvalError> {
    let Op::Argsort { axis, descending } = op else { unreachable!("the row of Argsort") };
    let (axis, shape) = (usize::from(*axis), ty.concrete_shape());
    let (floats, whole) = (operands[0].to_f64_vec(), ints(operands[0]));
    let float = operands[0].dtype().is_float();
    // Whether the element at `a` stands before that at `b`, positions apart.
    let before = |a: usize, b: usize| {
        let (a, b) = if *descending { (b, a) } else { (a, b) };
        match float {
            true => floats[a] < floats[b] || (floats[b].is_nan() && !floats[a].is_nan()),
            false => whole[a] < whole[b],
        }
    };
    let mut out = vec![0; shape.elements()];
    for point in points(&shape) {
        let at = flat(&shape, &point);
        // The place of this element: how many stand before it.
        let mut place = 0;
        let mut other = point.clone();
        for i in 0..shape[axis] {
            other[axis] = i;
            let there = flat(&shape, &other);
            let tied = !before(there, at) && !before(at, there);
            place += usize::from(before(there, at) || (tied && i < point[axis]));
        }
        other[axis] = place;
        out[flat(&shape, &other)] = point[axis] as i64;
    }
    Ok(from_ints(ty, &out))
}
