//! Keyed draws: functions of a key and a position, so that no order of execution changes a bit.

use super::naive::{from_floats, from_ints, ints};
use super::shape::show;
use super::{Batch, Class, Draw, Draws, EvalError, Jvp, Op, OpRow, Sample, TypeError};
use crate::graph::{Dim, TensorType};
use tensc_runtime::rng::{self, Key};
use tensc_runtime::{DType, Tensor};

pub(super) static RANDOM: OpRow = OpRow {
    name: "random",
    doc: "for each key of operand 0 a draw at each position of the axes that the result has more",
    arity: Some(1),
    class: Class::Random,
    infer: |op, operands| {
        let Op::Random { draw, ty } = op else { unreachable!("the row of Random") };
        check_keys("random", operands[0])?;
        let keys = &operands[0].shape;
        if !ty.shape.starts_with(keys) {
            let (ty, keys) = (show(&ty.shape), show(keys));
            return Err(TypeError::new(format!("random of shape {ty} for keys of shape {keys}")));
        }
        let fits = match draw {
            Draw::Bits => ty.dtype == DType::I64,
            Draw::Uniform | Draw::Normal => ty.dtype.is_float(),
        };
        if !fits {
            return Err(TypeError::new(format!("random {} does not give {ty}", draw.name())));
        }
        Ok(ty.clone())
    },
    eval,
    jvp: Jvp::Zero,
    transpose: None,
    batch: Batch::Rule(|b, op, lanes| {
        let Op::Random { draw, ty } = op else { unreachable!("the row of Random") };
        let ty = TensorType { dtype: ty.dtype, shape: lanes.dims(&ty.shape) };
        b.random(*draw, lanes.operands[0], &ty)
    }),
    samples: || {
        let mut samples = Vec::new();
        for draw in Draw::ALL {
            for dtype in DType::ALL {
                if (draw == Draw::Bits) != (dtype == DType::I64)
                    || !(dtype.is_float() || dtype == DType::I64)
                {
                    continue;
                }
                for sizes in [&[][..], &[1], &[37], &[3, 5]] {
                    let ty = TensorType::new(dtype, sizes.iter().map(|&n: &i64| Dim::Const(n)));
                    samples.push(keyed(Op::Random { draw, ty }, &[], 1));
                }
                for (keys, sizes) in [(&[4][..], &[4][..]), (&[3], &[3, 5]), (&[2, 3], &[2, 3, 4])]
                {
                    let ty = TensorType::new(dtype, sizes.iter().map(|&n: &i64| Dim::Const(n)));
                    samples.push(keyed(Op::Random { draw, ty }, keys, 1));
                }
            }
        }
        samples
    },
};

pub(super) static FOLD_KEY: OpRow = OpRow {
    name: "fold_key",
    doc: "the keys that operand 1 selects under the keys of operand 0, element by element",
    arity: Some(2),
    class: Class::Random,
    infer: |_, operands| {
        check_keys("fold_key", operands[0])?;
        if operands[1] != operands[0] {
            let (keys, data) = (operands[0], operands[1]);
            return Err(TypeError::new(format!(
                "fold_key of {keys} takes as many i64, found {data}"
            )));
        }
        Ok(operands[0].clone())
    },
    eval: |_, operands, ty| {
        let pairs = ints(operands[0]).into_iter().zip(ints(operands[1]));
        let folded = pairs.map(|(key, data)| rng::fold_in(rng::key(key), data).0 as i64);
        Ok(from_ints(ty, &folded.collect::<Vec<i64>>()))
    },
    jvp: Jvp::Zero,
    transpose: None,
    batch: Batch::Pointwise,
    samples: || vec![keyed(Op::FoldKey, &[], 2), keyed(Op::FoldKey, &[3, 2], 2)],
};

impl Draw {
    /// Every distribution.
    pub const ALL: [Draw; 3] = [Draw::Bits, Draw::Uniform, Draw::Normal];
    /// The name in graph text.
    pub const fn name(self) -> &'static str {
        match self {
            Draw::Bits => "bits",
            Draw::Uniform => "uniform",
            Draw::Normal => "normal",
        }
    }
}

fn keyed(op: Op, sizes: &[i64], operands: usize) -> Sample {
    let keys = TensorType::new(DType::I64, sizes.iter().map(|&n| Dim::Const(n)));
    let mut sample = Sample::new(op, vec![keys; operands]);
    for operand in &mut sample.operands {
        operand.1 = Draws::Between(-1e15, 1e15);
    }
    sample
}

fn check_keys(name: &str, ty: &TensorType) -> Result<(), TypeError> {
    if ty.dtype == DType::I64 {
        return Ok(());
    }
    Err(TypeError::new(format!("{name} takes keys (i64), found {ty}")))
}

fn eval(op: &Op, operands: &[&Tensor], ty: &TensorType) -> Result<Tensor, EvalError> {
    let Op::Random { draw, .. } = op else { unreachable!("the row of Random") };
    let keys: Vec<Key> = ints(operands[0]).into_iter().map(rng::key).collect();
    let each = ty.concrete_shape()[operands[0].shape().rank()..].iter().product::<usize>() as u64;
    let places = || keys.iter().flat_map(|&key| (0..each).map(move |i| (key, i)));
    let float = |(key, i): (Key, u64)| match (draw, ty.dtype) {
        (Draw::Uniform, DType::F64) => rng::uniform_f64(key, i),
        (Draw::Uniform, DType::F16) => rng::uniform_f16(key, i).to_f64(),
        (Draw::Uniform, DType::BF16) => rng::uniform_bf16(key, i).to_f64(),
        (Draw::Uniform, _) => f64::from(rng::uniform_f32(key, i)),
        (Draw::Normal, DType::F64) => rng::normal_f64(key, i),
        (Draw::Normal, _) => f64::from(rng::normal_f32(key, i)),
        (Draw::Bits, _) => unreachable!("bits are integers"),
    };
    Ok(match draw {
        Draw::Bits => from_ints(
            ty,
            &places().map(|(key, i)| rng::bits64(key, i) as i64).collect::<Vec<i64>>(),
        ),
        Draw::Uniform | Draw::Normal => from_floats(ty, &places().map(float).collect::<Vec<f64>>()),
    })
}
