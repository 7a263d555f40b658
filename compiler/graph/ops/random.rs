//! Keyed draws: functions of a key and a position, so that no order of execution changes a bit.

use super::naive::{from_floats, from_ints, int_scalar};
use super::{Class, Draw, Draws, EvalError, Jvp, Op, OpRow, Sample, TypeError};
use crate::graph::{Dim, TensorType};
use tensc_runtime::{DType, Tensor, rng};

pub(super) static RANDOM: OpRow = OpRow {
    name: "random",
    doc: "a draw for the key (operand 0) at each position",
    arity: Some(1),
    class: Class::Random,
    infer: |op, operands| {
        let Op::Random { draw, ty } = op else { unreachable!("the row of Random") };
        check_key("random", operands[0])?;
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
                    samples.push(keyed(Op::Random { draw, ty }, 1));
                }
            }
        }
        samples
    },
};

pub(super) static FOLD_KEY: OpRow = OpRow {
    name: "fold_key",
    doc: "the key that operand 1 selects under the key operand 0",
    arity: Some(2),
    class: Class::Random,
    infer: |_, operands| {
        check_key("fold_key", operands[0])?;
        check_key("fold_key", operands[1])?;
        Ok(TensorType::scalar(DType::I64))
    },
    eval: |_, operands, ty| {
        let key = rng::key(int_scalar(operands[0]));
        Ok(from_ints(ty, &[rng::fold_in(key, int_scalar(operands[1])).0 as i64]))
    },
    jvp: Jvp::Zero,
    transpose: None,
    samples: || vec![keyed(Op::FoldKey, 2)],
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

fn keyed(op: Op, keys: usize) -> Sample {
    let mut sample = Sample::new(op, vec![TensorType::scalar(DType::I64); keys]);
    for operand in &mut sample.operands {
        operand.1 = Draws::Between(-1e15, 1e15);
    }
    sample
}

fn check_key(name: &str, ty: &TensorType) -> Result<(), TypeError> {
    if *ty == TensorType::scalar(DType::I64) {
        return Ok(());
    }
    Err(TypeError::new(format!("{name} takes an i64 scalar, found {ty}")))
}

fn eval(op: &Op, operands: &[&Tensor], ty: &TensorType) -> Result<Tensor, EvalError> {
    let Op::Random { draw, .. } = op else { unreachable!("the row of Random") };
    let key = rng::key(int_scalar(operands[0]));
    let n = ty.concrete_shape().elements() as u64;
    let float = |i: u64| match (draw, ty.dtype) {
        (Draw::Uniform, DType::F64) => rng::uniform_f64(key, i),
        (Draw::Uniform, DType::F16) => rng::uniform_f16(key, i).to_f64(),
        (Draw::Uniform, DType::BF16) => rng::uniform_bf16(key, i).to_f64(),
        (Draw::Uniform, _) => f64::from(rng::uniform_f32(key, i)),
        (Draw::Normal, DType::F64) => rng::normal_f64(key, i),
        (Draw::Normal, _) => f64::from(rng::normal_f32(key, i)),
        (Draw::Bits, _) => unreachable!("bits are integers"),
    };
    Ok(match draw {
        Draw::Bits => {
            from_ints(ty, &(0..n).map(|i| rng::bits64(key, i) as i64).collect::<Vec<i64>>())
        }
        Draw::Uniform | Draw::Normal => from_floats(ty, &(0..n).map(float).collect::<Vec<f64>>()),
    })
}
