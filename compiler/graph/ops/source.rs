//! Operations without operands: inputs, constants, sizes, positions.

use super::naive::{from_ints, points};
use super::{Batch, Class, EvalError, Jvp, LiteralTensor, Op, OpRow, Sample, TypeError};
use crate::graph::{Dim, TensorType};
use smallvec::smallvec;
use tensc_runtime::{DType, Element, Scalar, Tensor, with_element};

pub(super) static INPUT: OpRow = OpRow {
    name: "input",
    doc: "a named input of the graph",
    arity: Some(0),
    class: Class::Source,
    infer,
    eval: |_, _, _| Err(EvalError::new("an input has no value of its own")),
    jvp: Jvp::Zero,
    transpose: None,
    batch: Batch::Source,
    samples: || vec![source(Op::Input(TensorType::new(DType::F32, [Dim::Const(3)])))],
};

pub(super) static CONST: OpRow = OpRow {
    name: "const",
    doc: "a rank-0 constant",
    arity: Some(0),
    class: Class::Source,
    infer,
    eval: |op, _, _| {
        let Op::Const(scalar) = op else { unreachable!("the row of Const") };
        Ok(scalar_tensor(*scalar))
    },
    jvp: Jvp::Zero,
    transpose: None,
    batch: Batch::Source,
    samples: || {
        let of = |dtype| source(Op::Const(Scalar::from_f64(dtype, 1.0)));
        DType::ALL.into_iter().map(of).collect()
    },
};

pub(super) static LITERAL: OpRow = OpRow {
    name: "literal",
    doc: "a dense constant",
    arity: Some(0),
    class: Class::Source,
    infer,
    eval: |op, _, _| {
        let Op::Literal(LiteralTensor(tensor)) = op else { unreachable!("the row of Literal") };
        Ok(tensor.clone())
    },
    jvp: Jvp::Zero,
    transpose: None,
    batch: Batch::Source,
    samples: || {
        let values: Vec<f64> = (0..6).map(f64::from).collect();
        let of = |d| source(Op::Literal(LiteralTensor(Tensor::from_f64_slice(d, &values, [2, 3]))));
        DType::ALL.into_iter().map(of).collect()
    },
};

pub(super) static SIZE: OpRow = OpRow {
    name: "size",
    doc: "a size as a rank-0 constant",
    arity: Some(0),
    class: Class::Source,
    infer: |op, _| {
        let Op::Size(_, dtype) = op else { unreachable!("the row of Size") };
        number("size", *dtype)?;
        Ok(TensorType::scalar(*dtype))
    },
    eval: |op, _, ty| {
        let Op::Size(dim, _) = op else { unreachable!("the row of Size") };
        let size = dim.known().expect("sizes are known where a graph is evaluated");
        Ok(from_ints(ty, &[size]))
    },
    jvp: Jvp::Zero,
    transpose: None,
    batch: Batch::Source,
    samples: || {
        let of = |dtype| source(Op::Size(Dim::Const(12), dtype));
        [DType::F32, DType::F64, DType::I64, DType::F16].into_iter().map(of).collect()
    },
};

pub(super) static IOTA: OpRow = OpRow {
    name: "iota",
    doc: "positions along an axis",
    arity: Some(0),
    class: Class::Iota,
    infer: |op, _| {
        let Op::Iota { dtype, shape, axis } = op else { unreachable!("the row of Iota") };
        number("iota", *dtype)?;
        let ty = TensorType { dtype: *dtype, shape: shape.clone() };
        if usize::from(*axis) >= shape.len() {
            return Err(TypeError::new(format!("iota along axis {axis} of {ty}")));
        }
        Ok(ty)
    },
    eval: |op, _, ty| {
        let Op::Iota { axis, .. } = op else { unreachable!("the row of Iota") };
        let along = |point: super::naive::Point| point[usize::from(*axis)] as i64;
        Ok(from_ints(ty, &points(&ty.concrete_shape()).map(along).collect::<Vec<i64>>()))
    },
    jvp: Jvp::Zero,
    transpose: None,
    batch: Batch::Source,
    samples: || {
        let of = |dtype, sizes: &[i64], axis| {
            let shape = sizes.iter().map(|&n| Dim::Const(n)).collect();
            source(Op::Iota { dtype, shape, axis })
        };
        vec![
            of(DType::I64, &[5], 0),
            of(DType::F32, &[3, 4], 0),
            of(DType::F32, &[3, 4], 1),
            of(DType::I32, &[2, 1, 3], 2),
            of(DType::U8, &[300], 0),
            Sample::new(
                Op::Iota { dtype: DType::F64, shape: smallvec![Dim::Const(1)], axis: 0 },
                [],
            ),
        ]
    },
};

fn source(op: Op) -> Sample {
    Sample::new(op, [])
}

fn infer(op: &Op, _: &[&TensorType]) -> Result<TensorType, TypeError> {
    match op {
        Op::Input(ty) => Ok(ty.clone()),
        Op::Const(scalar) => Ok(TensorType::scalar(scalar.dtype())),
        Op::Literal(LiteralTensor(t)) => {
            Ok(TensorType::new(t.dtype(), t.shape().iter().map(|&n| Dim::from(n))))
        }
        _ => unreachable!("the rows of Input, Const and Literal"),
    }
}

fn number(name: &str, dtype: DType) -> Result<(), TypeError> {
    if dtype == DType::Bool {
        return Err(TypeError::new(format!("{name} gives a number, not bool")));
    }
    Ok(())
}

fn scalar_tensor(scalar: Scalar) -> Tensor {
    let dtype = scalar.dtype();
    if dtype.is_float() {
        return Tensor::from_f64_slice(dtype, &[scalar.to_f64()], []);
    }
    with_element!(dtype, T => Tensor::scalar(T::from_i64(scalar.to_i64())))
}
