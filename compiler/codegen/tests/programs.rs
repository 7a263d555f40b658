//! Random vector programs against the reference, and calls of the runtime.

use super::support::{Close, Maker, Rng, access, awkward, check, map_stage, tame};
use crate::graph::ops::Draw;
use crate::kernel::{Call, Split, Work};
use crate::vector::{Binary, Builder, Compare, Stride, Type, Unary, Value, verify};
use tensc_runtime::{DType, Tensor};

/// A random instruction on values that are there.
pub fn extend(b: &Builder, values: &mut Vec<Value>, rng: &mut Rng) {
    use Binary::*;
    let x = values[rng.below(values.len())];
    let ty = b.ty(x);
    let float = matches!(ty, Type::F32 | Type::F64);
    let same: Vec<Value> = values.iter().copied().filter(|&v| b.ty(v) == ty).collect();
    let pick = |rng: &mut Rng| same[rng.below(same.len())];
    let numbers = [Type::I32, Type::I64, Type::F32, Type::F64];
    let value = match rng.below(6) {
        0 | 1 => {
            let ops: &[Binary] = match ty {
                Type::Mask => &[And, Or, Xor],
                _ if float => &[Add, Sub, Mul, Div, Max, Min],
                _ => &[Add, Sub, Mul, Div, Rem, Max, Min, And, Or, Xor, Shl, Sar, Shr],
            };
            let op = ops[rng.below(ops.len())];
            b.binary(op, x, pick(rng))
        }
        2 if ty != Type::Mask => {
            let ops: &[Unary] = match float {
                true => &[Unary::Neg, Unary::Abs, Unary::Floor, Unary::Round, Unary::Sqrt],
                false => &[Unary::Neg, Unary::Abs, Unary::Not],
            };
            b.unary(ops[rng.below(ops.len())], x)
        }
        3 if ty != Type::Mask => {
            let ops =
                [Compare::Eq, Compare::Ne, Compare::Lt, Compare::Le, Compare::Gt, Compare::Ge];
            b.compare(ops[rng.below(6)], x, pick(rng))
        }
        4 if ty != Type::Mask => {
            let masks: Vec<Value> =
                values.iter().copied().filter(|&v| b.ty(v) == Type::Mask).collect();
            match masks.is_empty() {
                true => b.convert(Type::Mask, x),
                false => {
                    // Whether it is or not.
                    let mask = masks[rng.below(masks.len())];
                    let mask = if rng.below(2) == 0 { b.likely(mask) } else { mask };
                    b.select(mask, x, pick(rng))
                }
            }
        }
        5 if float => b.fma(x, pick(rng), pick(rng)),
        _ => b.convert(numbers[rng.below(4)], x),
    };
    values.push(value);
}

#[test]
fn random_programs_agree_with_the_reference() {
    for seed in 0..200 {
        let mut rng = Rng(seed);
        let lanes = [3, 16, 29, 64][rng.below(4)];
        let mut maker = Maker::default();
        let b = Builder::new();
        let (mut slots, mut values) = (Vec::new(), Vec::new());
        for _ in 0..2 + rng.below(3) {
            let dtype = DType::ALL[rng.below(10)];
            let (stride, step) =
                [(Stride::Unit, 1), (Stride::Splat, 0), (Stride::Far, 2)][rng.below(3)];
            let input = maker.input(awkward(dtype, 2 * lanes, &mut rng));
            slots.push(access(input, 0, &[step]));
            values.push(b.load(b.slot(dtype, stride)));
        }
        for _ in 0..rng.below(60) {
            extend(&b, &mut values, &mut rng);
        }
        for &value in values.iter().rev().take(5) {
            let ty = b.ty(value);
            let fitting: Vec<DType> =
                DType::ALL.into_iter().filter(|&d| Type::of(d) == ty).collect();
            let dtype = fitting[rng.below(fitting.len())];
            let out = maker.output(dtype, lanes);
            slots.push(access(out, 0, &[1]));
            b.store(b.slot(dtype, Stride::Unit), value);
        }
        let program = b.finish();
        verify(&program).unwrap();
        maker.nest(&[], vec![map_stage(lanes, program, slots)], Split::Never);
        check(maker, Close::Same);
    }
}

#[test]
fn runtime_functions_are_called() {
    let mut maker = Maker::default();
    let key = maker.input(Tensor::from_f64_slice(DType::I64, &[7.0], [1]));
    let data = maker.input(Tensor::from_f64_slice(DType::I64, &[-3.0], [1]));
    let folded = maker.output(DType::I64, 1);
    maker.kernel(Work::Call(Call::FoldKey { key, data, out: folded }));
    for (draw, dtype) in [
        (Draw::Bits, DType::I64),
        (Draw::Uniform, DType::F32),
        (Draw::Uniform, DType::F64),
        (Draw::Uniform, DType::F16),
        (Draw::Uniform, DType::BF16),
        (Draw::Normal, DType::F32),
        (Draw::Normal, DType::F64),
        (Draw::Normal, DType::F16),
    ] {
        let out = maker.output(dtype, 9000);
        maker.kernel(Work::Call(Call::Random { draw, key: folded, out }));
    }
    check(maker, Close::Same);
}

#[test]
fn scattered_sums() {
    for dtype in DType::ALL.into_iter().filter(|&d| d != DType::Bool) {
        for with_operand in [false, true] {
            let mut maker = Maker::default();
            let mut rng = Rng(1);
            let (outer, bound, inner, positions) = (2, 5, 3, 8);
            let operand = maker.input(tame(dtype, outer * bound * inner, &mut rng));
            let indices: Vec<f64> = (0..positions).map(|_| rng.below(bound) as f64).collect();
            let index = maker.input(Tensor::from_f64_slice(DType::I64, &indices, [positions]));
            let updates = maker.input(tame(dtype, outer * positions * inner, &mut rng));
            let out = maker.output(dtype, outer * bound * inner);
            let operand = with_operand.then_some(operand);
            maker.kernel(Work::Call(Call::ScatterAdd {
                operand,
                index,
                updates,
                out,
                outer,
                bound,
                inner,
            }));
            let close = if matches!(dtype, DType::F16 | DType::BF16) { 0.02 } else { 1e-6 };
            check(maker, Close::Within(close));
        }
    }
}
