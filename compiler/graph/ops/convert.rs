//! Elementwise work that is no row of `elementwise`, since its type is an attribute.

use super::naive::{checked_index, from_floats, from_ints, ints};
use super::{Batch, Class, Draws, Jvp, Op, OpRow, Sample, TypeError};
use crate::graph::{Dim, TensorType};
use tensc_runtime::DType;

pub(super) static CONVERT: OpRow = OpRow {
    name: "convert",
    doc: "each element as another type, by value",
    arity: Some(1),
    class: Class::Map,
    infer: |op, operands| {
        let Op::Convert(dtype) = op else { unreachable!("the row of Convert") };
        Ok(operands[0].with_dtype(*dtype))
    },
    eval: |_, operands, ty| {
        let x = operands[0];
        Ok(match (x.dtype().is_float(), ty.dtype) {
            // ops.md convert (C3): NaN is not 0, so it is true.
            (true, _) => from_floats(ty, &x.to_f64_vec()),
            (false, _) => from_ints(ty, &ints(x)),
        })
    },
    jvp: Jvp::Rule(|b, op, _, _, tangents| {
        let Op::Convert(dtype) = op else { unreachable!("the row of Convert") };
        // Conversion to integers is a step function.
        dtype.is_float().then(|| b.convert(tangents[0].expect("one operand moves"), *dtype))
    }),
    transpose: Some(|b, _, operands, _, cotangent| b.convert(cotangent, b.ty(operands[0]).dtype)),
    batch: Batch::Pointwise,
    samples: || {
        let mut samples = Vec::new();
        for from in DType::ALL {
            for to in DType::ALL {
                let ty = TensorType::new(from, [Dim::Const(2), Dim::Const(9)]);
                let limit = if from == DType::U8 || to == DType::U8 { 0.0 } else { -100.0 };
                samples
                    .push(Sample::new(Op::Convert(to), [ty]).with(0, Draws::Between(limit, 100.0)));
            }
        }
        let scalar = TensorType::scalar(DType::F32);
        samples.push(Sample::new(Op::Convert(DType::F64), [scalar]));
        samples
    },
};

pub(super) static CHECK_INDEX: OpRow = OpRow {
    name: "check_index",
    doc: "indices brought into 0..bound; one that is out of range is a run-time error",
    arity: Some(1),
    class: Class::Map,
    infer: |_, operands| {
        if operands[0].dtype != DType::I64 {
            let found = operands[0].dtype;
            return Err(TypeError::new(format!("check_index takes i64 indices, found {found}")));
        }
        Ok(operands[0].clone())
    },
    eval: |op, operands, ty| {
        let Op::CheckIndex(bound) = op else { unreachable!("the row of CheckIndex") };
        let bound = bound.known().expect("sizes are known where a graph is evaluated");
        let checked: Result<Vec<i64>, _> =
            ints(operands[0]).into_iter().map(|i| checked_index(i, bound)).collect();
        Ok(from_ints(ty, &checked?))
    },
    jvp: Jvp::Zero,
    transpose: None,
    batch: Batch::Pointwise,
    samples: || {
        let of = |bound: i64, sizes: &[i64]| {
            let ty = TensorType::new(DType::I64, sizes.iter().map(|&n| Dim::Const(n)));
            let draws = Draws::Between(-bound as f64, bound as f64 - 1.0);
            Sample::new(Op::CheckIndex(Dim::Const(bound)), [ty]).with(0, draws)
        };
        vec![of(10, &[8]), of(1, &[3]), of(7, &[]), of(5, &[2, 20])]
    },
};
