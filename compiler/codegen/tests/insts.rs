//! Every instruction for every type, on awkward values and every kind of group of lanes.

use super::support::{Close, Maker, Rng, access, awkward, check, map_stage};
use crate::kernel::Split;
use crate::vector::{Binary, Builder, Compare, Stride, Type, Unary, Value, verify};
use tensc_runtime::DType;

/// So many lanes that groups of eight, of four and single lanes are all there.
const LANES: usize = 8 * 37 + 4 + 3;

/// A kernel that loads `inputs`, applies `build` and stores every value it gives.
fn each_lane(inputs: &[DType], seed: u64, build: impl FnOnce(&Builder, &[Value]) -> Vec<Value>) {
    let mut maker = Maker::default();
    let mut rng = Rng(seed);
    let b = Builder::new();
    let mut slots = Vec::new();
    let mut values = Vec::new();
    for &dtype in inputs {
        let id = maker.input(awkward(dtype, LANES, &mut rng));
        slots.push(access(id, 0, &[1]));
        let slot = b.slot(dtype, Stride::Unit);
        values.push(b.load(slot));
    }
    for value in build(&b, &values) {
        let dtype = b.ty(value).dtype();
        let id = maker.output(dtype, LANES);
        slots.push(access(id, 0, &[1]));
        let slot = b.slot(dtype, Stride::Unit);
        b.store(slot, value);
    }
    let program = b.finish();
    verify(&program).unwrap();
    maker.nest(&[], vec![map_stage(LANES, program, slots)], Split::Never);
    check(maker, Close::Same);
}

const NUMBERS: [DType; 4] = [DType::I32, DType::I64, DType::F32, DType::F64];

#[test]
fn unary_operations() {
    for dtype in NUMBERS {
        each_lane(&[dtype], 1, |b, x| {
            let x = x[0];
            let ops: &[Unary] = if dtype.is_float() {
                use Unary::*;
                &[Neg, Abs, Sqrt, Round, Floor, Ceil, Trunc]
            } else {
                &[Unary::Neg, Unary::Abs, Unary::Not]
            };
            let mut values: Vec<Value> = ops.iter().map(|&op| b.unary(op, x)).collect();
            for to in [Type::I32, Type::I64, Type::F32, Type::F64, Type::Mask] {
                values.push(b.convert(to, x));
            }
            let cast = match dtype {
                DType::I32 => Type::F32,
                DType::I64 => Type::F64,
                DType::F32 => Type::I32,
                _ => Type::I64,
            };
            // A NaN may lose its payload on the way through a float, so only numbers go there.
            if dtype.is_float() {
                let number = b.compare(Compare::Eq, x, x);
                let zero = b.f(b.ty(x), 0.0);
                values.push(b.bitcast(cast, b.select(number, x, zero)));
            } else {
                let small = b.unary(Unary::Abs, b.convert(Type::I32, x));
                let bits = b.convert(b.ty(x), small);
                values.push(b.bitcast(cast, b.binary(Binary::Shr, bits, b.i(b.ty(x), 2))));
            }
            if dtype == DType::I32 {
                for narrow in [DType::U8, DType::I8, DType::I16] {
                    values.push(b.unary(Unary::Wrap(narrow), x));
                }
            }
            if dtype == DType::F32 {
                for narrow in [DType::F16, DType::BF16] {
                    values.push(b.unary(Unary::RoundTo(narrow), x));
                }
            }
            values
        });
    }
}

#[test]
fn binary_operations() {
    use Binary::*;
    for dtype in NUMBERS {
        let ops: &[Binary] = if dtype.is_float() {
            &[Add, Sub, Mul, Div, Max, Min]
        } else {
            &[Add, Sub, Mul, Div, Rem, Max, Min, And, Or, Xor, Shl, Sar, Shr]
        };
        for &op in ops {
            each_lane(&[dtype, dtype], 2, |b, x| vec![b.binary(op, x[0], x[1])]);
        }
        // With constants, some of which have a shorter form.
        each_lane(&[dtype], 3, |b, x| {
            let ty = b.ty(x[0]);
            let mut values = Vec::new();
            for &op in ops {
                for c in [0.0, -0.0, 1.0, -1.0, 3.0, 31.0, 33.0, 64.0, f64::NAN, f64::INFINITY] {
                    if dtype.is_float() {
                        values.push(b.binary(op, x[0], b.f(ty, c)));
                        values.push(b.binary(op, b.f(ty, c), x[0]));
                    } else if c.is_finite() {
                        values.push(b.binary(op, x[0], b.i(ty, c as i64)));
                        values.push(b.binary(op, b.i(ty, c as i64), x[0]));
                    }
                }
            }
            values.sort_unstable();
            values.dedup();
            values
        });
    }
}

#[test]
fn masks_comparisons_and_selections() {
    for dtype in NUMBERS {
        each_lane(&[dtype, dtype, DType::Bool, DType::Bool], 4, |b, x| {
            let (p, q, m, n) = (x[0], x[1], x[2], x[3]);
            let ops =
                [Compare::Eq, Compare::Ne, Compare::Lt, Compare::Le, Compare::Gt, Compare::Ge];
            let mut values: Vec<Value> = ops.iter().map(|&op| b.compare(op, p, q)).collect();
            let masks = values.clone();
            for op in [Binary::And, Binary::Or, Binary::Xor] {
                values.push(b.binary(op, m, n));
                values.push(b.binary(op, masks[2], m));
                // Masks of 32 and of 64 bits meet.
                let other = if p_is_wide(dtype) { Type::I32 } else { Type::I64 };
                let zero = b.number(other, 0);
                let wide = b.compare(Compare::Lt, b.convert(other, p), zero);
                values.push(b.binary(op, masks[2], wide));
            }
            values.push(b.unary(Unary::Not, m));
            values.push(b.select(m, p, q));
            values.push(b.select(masks[0], q, p));
            for to in [Type::I32, Type::I64, Type::F32, Type::F64] {
                values.push(b.convert(to, m));
                values.push(b.convert(to, masks[1]));
            }
            values.sort_unstable();
            values.dedup();
            values
        });
    }
}

fn p_is_wide(dtype: DType) -> bool {
    dtype.size() == 8
}

#[test]
fn fused_multiply_add_rounds_once() {
    for dtype in [DType::F32, DType::F64] {
        each_lane(&[dtype, dtype, dtype], 5, |b, x| {
            vec![b.fma(x[0], x[1], x[2]), b.fma(x[0], x[0], b.unary(Unary::Neg, x[1]))]
        });
    }
}

#[test]
fn powers_of_two_scale_with_one_rounding() {
    for dtype in [DType::F32, DType::F64] {
        each_lane(&[dtype, dtype, dtype], 7, |b, x| {
            let ty = b.ty(x[0]);
            let bias = if dtype == DType::F32 { 127.0 } else { 1023.0 };
            // Any fraction beside 1, and any whole number that may be asked for.
            let bound = |x, low, high| b.max(b.min(x, b.f(ty, high)), b.f(ty, low));
            let reduced = bound(x[0], 0.5, 3.999);
            let whole = |x| b.unary(Unary::Round, x);
            let number = b.select(b.compare(Compare::Eq, x[1], x[1]), x[1], b.f(ty, 0.0));
            let small = b.mul(bound(x[2], -1.0, 1.0), b.f(ty, 2.0 * bias));
            let small = b.select(b.compare(Compare::Eq, small, small), small, b.f(ty, 0.0));
            let mut values = vec![
                b.scale(reduced, whole(bound(number, -2.0 * bias, 2.0 * bias))),
                b.scale(reduced, whole(small)),
            ];
            // Results that are subnormal, overflow, or are just large enough.
            for n in [-1.18, -1.1, -1.0, -0.99, 0.0, 0.99, 1.0, 1.01] {
                values.push(b.scale(reduced, b.f(ty, f64::floor(n * bias))));
            }
            values
        });
    }
}

#[test]
fn every_element_type_loads_and_stores_at_every_stride() {
    for from in DType::ALL {
        for to in DType::ALL {
            for stride in [Stride::Unit, Stride::Far, Stride::Splat] {
                loads_and_stores(from, to, stride);
            }
        }
    }
}

/// Loads from `from` at a stride, converts by value, stores to `to` densely and far.
fn loads_and_stores(from: DType, to: DType, stride: Stride) {
    let mut maker = Maker::default();
    let mut rng = Rng(6);
    let (step, elements) = match stride {
        Stride::Unit => (1, LANES),
        Stride::Far => (-3, 3 * LANES),
        Stride::Splat => (0, 1),
    };
    let offset = if step < 0 { elements as i64 - 1 } else { 0 };
    let input = maker.input(awkward(from, elements, &mut rng));
    let dense = maker.output(to, LANES);
    let far = maker.output(to, 2 * LANES);
    let b = Builder::new();
    let load = b.slot(from, stride);
    let store = b.slot(to, Stride::Unit);
    let far_store = b.slot(to, Stride::Far);
    let value = b.convert(Type::of(to), b.load(load));
    b.store(store, value);
    b.store(far_store, value);
    let slots = vec![access(input, offset, &[step]), access(dense, 0, &[1]), access(far, 1, &[2])];
    // The gaps of the far output are written too, so that all of it is defined.
    let gaps = {
        let b = Builder::new();
        let slot = b.slot(to, Stride::Far);
        b.store(slot, b.convert(Type::of(to), b.i(Type::I32, 1)));
        map_stage(LANES, b.finish(), vec![access(far, 0, &[2])])
    };
    maker.nest(&[], vec![map_stage(LANES, b.finish(), slots), gaps], Split::Never);
    check(maker, Close::Same);
}

#[test]
fn indices_are_checked_and_gathered_at() {
    for (dtype, bad) in
        [(DType::F32, false), (DType::U8, false), (DType::Bool, false), (DType::I64, true)]
    {
        let mut maker = Maker::default();
        let mut rng = Rng(7);
        let bound = 11;
        let mut indices: Vec<f64> =
            (0..LANES).map(|_| rng.below(2 * bound) as f64 - 11.0).collect();
        if bad {
            indices[200] = 11.0;
            indices[201] = -12.0;
        }
        let index =
            maker.input(tensc_runtime::Tensor::from_f64_slice(DType::I64, &indices, [LANES]));
        let table = maker.input(awkward(dtype, bound * 2 + LANES, &mut rng));
        let out = maker.output(dtype, LANES);
        let b = Builder::new();
        let slots = [
            b.slot(DType::I64, Stride::Unit),
            b.slot(dtype, Stride::Unit),
            b.slot(dtype, Stride::Unit),
        ];
        let at = b.check_index(b.load(slots[0]), bound as u64, 5);
        b.store(slots[2], b.gather(slots[1], at));
        let mut gathered = access(table, 0, &[1]);
        gathered.gather = Some((2, bound));
        let accesses = vec![access(index, 0, &[1]), gathered, access(out, 0, &[1])];
        maker.program.sites = vec![crate::graph::Origin::default(); 6];
        maker.nest(&[], vec![map_stage(LANES, b.finish(), accesses)], Split::Never);
        check(maker, Close::Same);
    }
}

/// Rows of a table, one for each index, and one index beyond it.
#[test]
fn rows_are_gathered() {
    for dtype in [DType::F32, DType::F64, DType::U8, DType::Bool, DType::BF16, DType::F16] {
        for lanes in [1, 5, 16, 31, 70] {
            let mut maker = Maker::default();
            let mut rng = Rng(lanes as u64);
            let (rows, bound) = (9, 4);
            let mut indices: Vec<f64> =
                (0..rows).map(|_| rng.below(2 * bound) as f64 - bound as f64).collect();
            if lanes == 31 {
                indices[3] = bound as f64;
            }
            let index =
                maker.input(tensc_runtime::Tensor::from_f64_slice(DType::I64, &indices, [rows]));
            let table = maker.input(awkward(dtype, bound * lanes, &mut rng));
            let out = maker.output(dtype, rows * lanes);
            let b = Builder::new();
            let slots = [
                b.slot(DType::I64, Stride::Splat),
                b.slot(dtype, Stride::Unit),
                b.slot(dtype, Stride::Unit),
            ];
            let at = b.check_index(b.load(slots[0]), bound as u64, 0);
            b.store(slots[2], b.gather(slots[1], at));
            let mut gathered = access(table, 0, &[0, 1]);
            gathered.gather = Some((lanes as i64, bound));
            let walk = access(out, 0, &[lanes as i64, 1]);
            let accesses = vec![access(index, 0, &[1, 0]), gathered, walk];
            maker.program.sites = vec![crate::graph::Origin::default(); 1];
            maker.nest(&[rows], vec![map_stage(lanes, b.finish(), accesses)], Split::Rows);
            check(maker, Close::Same);
        }
    }
}

#[test]
fn positions_count_along_every_axis() {
    let mut maker = Maker::default();
    let (rows, columns, lanes) = (3, 2, 21);
    let n = rows * columns * lanes;
    let b = Builder::new();
    let mut slots = Vec::new();
    for axis in 0..3 {
        let out = maker.output(DType::I64, n);
        slots.push(access(out, 0, &[(columns * lanes) as i64, lanes as i64, 1]));
        let slot = b.slot(DType::I64, Stride::Unit);
        b.store(slot, b.index(axis));
    }
    maker.nest(&[rows, columns], vec![map_stage(lanes, b.finish(), slots)], Split::Rows);
    check(maker, Close::Same);
}
