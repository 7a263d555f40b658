//! Loop nests: rows, reductions, folds, row values, divisions.

use super::support::{Close, Maker, Rng, access, awkward, check, map_stage, tame};
use crate::kernel::{Access, Body, BufferId, Fold, RowValue, Split, Stage};
use crate::vector::{Builder, Combine, Program, Stride, Type, Value};
use smallvec::SmallVec;
use tensc_runtime::DType;

/// Lane counts that have every mixture of groups.
const LANES: [usize; 9] = [1, 2, 4, 7, 15, 16, 19, 52, 167];

fn body(program: Program, slots: Vec<Access>, params: Vec<RowValue>) -> Body {
    Body { program, slots, params }
}

/// A body that folds `f` of each element of a contiguous slot.
fn folding(
    dtype: DType,
    input: BufferId,
    strides: &[i64],
    combines: &[Combine],
    lane_axis: u32,
) -> Body {
    let b = Builder::new();
    let x = b.load(b.slot(dtype, Stride::Unit));
    for &combine in combines {
        let index = b.index(lane_axis);
        match combine {
            Combine::ArgMax | Combine::ArgMin => b.accumulate(combine, x, Some(index)),
            Combine::And | Combine::Or => {
                let mask = b.convert(Type::Mask, x);
                b.accumulate(combine, mask, None)
            }
            _ => b.accumulate(combine, x, None),
        };
    }
    body(b.finish(), vec![access(input, 0, strides)], vec![])
}

/// What the results of `combines` over values of `ty` are.
fn result_type(combine: Combine, ty: Type) -> Type {
    match combine {
        Combine::ArgMax | Combine::ArgMin => Type::I64,
        Combine::And | Combine::Or => Type::Mask,
        _ => ty,
    }
}

/// A body that stores each parameter, `strides` apart for each row.
fn storing(
    maker: &mut Maker,
    types: &[Type],
    elements: usize,
    strides: &[i64],
    stride: Stride,
) -> Body {
    let b = Builder::new();
    let mut slots = Vec::new();
    let params: Vec<Value> = types.iter().map(|&ty| b.param(ty)).collect();
    for (&ty, &param) in types.iter().zip(&params) {
        let dtype = ty.dtype();
        let out = maker.output(dtype, elements);
        slots.push(access(out, 0, strides));
        b.store(b.slot(dtype, stride), param);
    }
    body(b.finish(), slots, vec![])
}

const COMBINES: [Combine; 8] = [
    Combine::Add,
    Combine::Mul,
    Combine::Max,
    Combine::Min,
    Combine::And,
    Combine::Or,
    Combine::ArgMax,
    Combine::ArgMin,
];

#[test]
fn folds_across_lanes() {
    for dtype in [DType::F32, DType::F64, DType::I32, DType::I64, DType::U8] {
        for lanes in LANES {
            for reduce in [&[][..], &[3]] {
                let mut maker = Maker::default();
                let mut rng = Rng(lanes as u64);
                let rows = 5;
                let inner = lanes * reduce.iter().product::<usize>();
                let input = maker.input(tame(dtype, rows * inner, &mut rng));
                let mut strides = vec![inner as i64];
                strides.extend(reduce.iter().map(|_| lanes as i64));
                strides.push(1);
                let lane_axis = 1 + reduce.len() as u32;
                let types: Vec<Type> =
                    COMBINES.iter().map(|&c| result_type(c, Type::of(dtype))).collect();
                let mut finish_strides = vec![0; 2 + reduce.len()];
                finish_strides[0] = 1;
                let finish = storing(&mut maker, &types, rows, &finish_strides, Stride::Unit);
                let stage = Stage {
                    reduce: SmallVec::from_slice(reduce),
                    lanes,
                    body: folding(dtype, input, &strides, &COMBINES, lane_axis),
                    fold: Fold::AcrossLanes(finish),
                };
                maker.nest(&[rows], vec![stage], Split::Rows);
                check(maker, Close::Within(1e-5));
            }
        }
    }
}

#[test]
fn extremes_of_awkward_values() {
    let combines = [Combine::Max, Combine::Min, Combine::ArgMax, Combine::ArgMin];
    for dtype in [DType::F32, DType::F64, DType::I32, DType::I64, DType::F16] {
        for seed in 0..6 {
            let (rows, lanes) = (4, 37);
            let mut maker = Maker::default();
            let input = maker.input(awkward(dtype, rows * lanes, &mut Rng(seed)));
            let types: Vec<Type> =
                combines.iter().map(|&c| result_type(c, Type::of(dtype))).collect();
            let finish = storing(&mut maker, &types, rows, &[1, 0], Stride::Unit);
            let stage = Stage {
                reduce: SmallVec::new(),
                lanes,
                body: folding(dtype, input, &[lanes as i64, 1], &combines, 1),
                fold: Fold::AcrossLanes(finish),
            };
            maker.nest(&[rows], vec![stage], Split::Rows);
            check(maker, Close::Same);
        }
    }
}

#[test]
fn folds_per_lane() {
    for dtype in [DType::F32, DType::F64, DType::I32, DType::I64] {
        for lanes in LANES {
            for split in [Split::Rows, Split::Never] {
                let mut maker = Maker::default();
                let mut rng = Rng(lanes as u64 + 1);
                let (rows, reduce) = (3, [2, 5]);
                let inner = 10 * lanes;
                let input = maker.input(tame(dtype, rows * inner, &mut rng));
                let strides = [inner as i64, 5 * lanes as i64, lanes as i64, 1];
                let types: Vec<Type> =
                    COMBINES.iter().map(|&c| result_type(c, Type::of(dtype))).collect();
                let finish_strides = [lanes as i64, 0, 0, 1];
                let finish =
                    storing(&mut maker, &types, rows * lanes, &finish_strides, Stride::Unit);
                // The index that goes with an extreme is that of the inner reduce axis.
                let stage = Stage {
                    reduce: SmallVec::from_slice(&reduce),
                    lanes,
                    body: folding(dtype, input, &strides, &COMBINES, 2),
                    fold: Fold::PerLane(finish),
                };
                maker.nest(&[rows], vec![stage], split);
                // In the order of the reference, so the same bits.
                check(maker, Close::Same);
            }
        }
    }
}

#[test]
fn folds_of_nothing_are_identities() {
    let mut maker = Maker::default();
    let input = maker.input(tame(DType::F32, 0, &mut Rng(0)));
    let combines = [Combine::Add, Combine::Mul, Combine::Max, Combine::Min];
    let types = [Type::F32; 4];
    let finish = storing(&mut maker, &types, 3, &[1, 0, 0], Stride::Unit);
    let stage = Stage {
        reduce: SmallVec::from_slice(&[0]),
        lanes: 5,
        body: folding(DType::F32, input, &[0, 0, 1], &combines, 1),
        fold: Fold::AcrossLanes(finish),
    };
    let per_lane = storing(&mut maker, &types, 15, &[5, 0, 1], Stride::Unit);
    let other = Stage {
        reduce: SmallVec::from_slice(&[0]),
        lanes: 5,
        body: folding(DType::F32, input, &[0, 0, 1], &combines, 1),
        fold: Fold::PerLane(per_lane),
    };
    maker.nest(&[3], vec![stage], Split::Rows);
    maker.nest(&[3], vec![other], Split::Rows);
    check(maker, Close::Same);
}

/// `softmax` of rows, without the exponential: a maximum, a sum that needs it, a row buffer
/// between, and a division by the sum.
#[test]
fn row_values_and_row_buffers_pass_from_stage_to_stage() {
    for lanes in LANES {
        let mut maker = Maker::default();
        let rows = 7;
        let input = maker.input(tame(DType::F32, rows * lanes, &mut Rng(9)));
        let temporary = maker.row(DType::F32, lanes);
        let out = maker.output(DType::F32, rows * lanes);
        let walk = [lanes as i64, 1];

        let b = Builder::new();
        let total = b.param(Type::F32);
        b.yields(total);
        let maximum = Stage {
            reduce: SmallVec::new(),
            lanes,
            body: folding(DType::F32, input, &walk, &[Combine::Max], 1),
            fold: Fold::AcrossLanes(body(b.finish(), vec![], vec![])),
        };

        let b = Builder::new();
        let maximum_value = b.param(Type::F32);
        let x = b.load(b.slot(DType::F32, Stride::Unit));
        let difference = b.sub(x, maximum_value);
        let square = b.fma(difference, difference, b.f(Type::F32, 0.125));
        b.store(b.slot(DType::F32, Stride::Unit), square);
        b.accumulate(Combine::Add, square, None);
        let program = b.finish();
        let b = Builder::new();
        let (sum, maximum_again) = (b.param(Type::F32), b.param(Type::F32));
        b.yields(b.div(
            b.f(Type::F32, 1.0),
            b.add(sum, b.unary(crate::vector::Unary::Abs, maximum_again)),
        ));
        let sum = Stage {
            reduce: SmallVec::new(),
            lanes,
            body: body(
                program,
                vec![access(input, 0, &walk), access(temporary, 0, &[0, 1])],
                vec![RowValue(0)],
            ),
            fold: Fold::AcrossLanes(body(b.finish(), vec![], vec![RowValue(0)])),
        };

        let b = Builder::new();
        let scale = b.param(Type::F32);
        let x = b.load(b.slot(DType::F32, Stride::Unit));
        b.store(b.slot(DType::F32, Stride::Unit), b.mul(x, scale));
        let scaled = Stage {
            reduce: SmallVec::new(),
            lanes,
            body: body(
                b.finish(),
                vec![access(temporary, 0, &[0, 1]), access(out, 0, &walk)],
                vec![RowValue(1)],
            ),
            fold: Fold::None,
        };
        maker.nest(&[rows], vec![maximum, sum, scaled], Split::Rows);
        check(maker, Close::Within(1e-5));
    }
}

#[test]
fn lanes_are_divided_in_blocks() {
    for lanes in [5, 1024, 1025, 3000, 4096, 4099] {
        for outer in [&[][..], &[3]] {
            let mut maker = Maker::default();
            let rows: usize = outer.iter().product();
            let a = maker.input(tame(DType::F32, rows * lanes, &mut Rng(1)));
            let c = maker.constant(tame(DType::F32, 1, &mut Rng(2)));
            let out = maker.output(DType::F32, rows * lanes);
            let mut walk: Vec<i64> = outer.iter().map(|_| lanes as i64).collect();
            walk.push(1);
            let fixed = vec![0; walk.len()];
            let b = Builder::new();
            let x = b.load(b.slot(DType::F32, Stride::Unit));
            let y = b.load(b.slot(DType::F32, Stride::Splat));
            b.store(b.slot(DType::F32, Stride::Unit), b.mul(x, y));
            let slots = vec![access(a, 0, &walk), access(c, 0, &fixed), access(out, 0, &walk)];
            maker.nest(outer, vec![map_stage(lanes, b.finish(), slots)], Split::Lanes);
            check(maker, Close::Same);
        }
    }
}

#[test]
fn kernels_follow_one_another_through_the_arena() {
    let mut maker = Maker::default();
    let n = 1000;
    let input = maker.input(tame(DType::F32, n, &mut Rng(3)));
    let middle = maker.arena(DType::F16, n);
    let out = maker.output(DType::F32, n);
    for (from, from_type, to, to_type) in
        [(input, DType::F32, middle, DType::F16), (middle, DType::F16, out, DType::F32)]
    {
        let b = Builder::new();
        let x = b.load(b.slot(from_type, Stride::Unit));
        b.store(b.slot(to_type, Stride::Unit), b.add(x, x));
        let slots = vec![access(from, 0, &[10, 1]), access(to, 0, &[10, 1])];
        maker.nest(&[n / 10], vec![map_stage(10, b.finish(), slots)], Split::Rows);
    }
    check(maker, Close::Same);
}

/// An update in place: what is read is what is written, by way of another buffer of the arena.
#[test]
fn overlapping_buffers_are_updated_in_place() {
    let mut maker = Maker::default();
    let n = 333;
    let input = maker.input(tame(DType::F32, n, &mut Rng(4)));
    let before = maker.arena(DType::F32, n);
    let after = maker.arena(DType::F32, n);
    maker.program.plan.offsets[after.0 as usize] = maker.program.plan.offsets[before.0 as usize];
    let (out, twice) = (maker.output(DType::F32, n), maker.output(DType::F32, n));
    let b = Builder::new();
    b.store(b.slot(DType::F32, Stride::Unit), b.load(b.slot(DType::F32, Stride::Unit)));
    let slots = vec![access(before, 0, &[1]), access(input, 0, &[1])];
    maker.nest(&[], vec![map_stage(n, b.finish(), slots)], Split::Lanes);
    let b = Builder::new();
    let x = b.load(b.slot(DType::F32, Stride::Unit));
    b.store(b.slot(DType::F32, Stride::Unit), b.add(x, b.f(Type::F32, 1.0)));
    // The old value is used again after the store over it.
    b.store(b.slot(DType::F32, Stride::Unit), b.mul(x, b.f(Type::F32, 2.0)));
    let slots = [before, after, twice].map(|id| access(id, 0, &[1])).to_vec();
    maker.nest(&[], vec![map_stage(n, b.finish(), slots)], Split::Lanes);
    let b = Builder::new();
    b.store(b.slot(DType::F32, Stride::Unit), b.load(b.slot(DType::F32, Stride::Unit)));
    let slots = vec![access(out, 0, &[1]), access(after, 0, &[1])];
    maker.nest(&[], vec![map_stage(n, b.finish(), slots)], Split::Lanes);
    check(maker, Close::Same);
}

#[test]
fn rows_of_several_axes_are_counted_from_any_start() {
    let mut maker = Maker::default();
    let outer = [3, 1, 4, 5];
    let n: usize = outer.iter().product();
    let input = maker.input(tame(DType::I32, 2 * n, &mut Rng(5)));
    let out = maker.output(DType::I32, 2 * n);
    let b = Builder::new();
    b.store(b.slot(DType::I32, Stride::Unit), b.load(b.slot(DType::I32, Stride::Unit)));
    // The input is walked backwards along the third axis.
    let slots = vec![access(out, 0, &[40, 40, 10, 2, 1]), access(input, 30, &[40, 40, -10, 2, 1])];
    maker.nest(&outer, vec![map_stage(2, b.finish(), slots)], Split::Rows);
    check(maker, Close::Same);
}

/// Sums of columns and all other folds of them: so many rows and lanes that strips of lanes, blocks
/// of rows, and what is left of either, are all there.
#[test]
fn columns_fold_in_the_order_of_their_rows() {
    for dtype in [DType::F32, DType::F64, DType::I16] {
        for (reduce, lanes) in
            [(&[19][..], 40), (&[2, 17], 300), (&[33], 1024), (&[16], 2500), (&[16, 1], 131)]
        {
            for (rows, split) in [(2, Split::Rows), (1, Split::Lanes), (1, Split::Never)] {
                let mut maker = Maker::default();
                let mut rng = Rng(lanes as u64 + 7);
                let depth: usize = reduce.iter().product();
                let input = maker.input(tame(dtype, rows * depth * lanes, &mut rng));
                let scale = maker.input(tame(dtype, depth, &mut rng));
                let mut strides = vec![(depth * lanes) as i64];
                let mut scales = vec![0];
                for i in 0..reduce.len() {
                    let below: usize = reduce[i + 1..].iter().product();
                    strides.push((below * lanes) as i64);
                    scales.push(below as i64);
                }
                strides.push(1);
                scales.push(0);
                let b = Builder::new();
                let x = b.load(b.slot(dtype, Stride::Unit));
                let y = b.mul(x, b.load(b.slot(dtype, Stride::Splat)));
                b.accumulate(Combine::Add, y, None);
                b.accumulate(Combine::Max, x, None);
                let slots = vec![access(input, 0, &strides), access(scale, 0, &scales)];
                let mut finish_strides = vec![0; reduce.len() + 2];
                finish_strides[0] = lanes as i64;
                finish_strides[reduce.len() + 1] = 1;
                let types = [Type::of(dtype); 2];
                let finish =
                    storing(&mut maker, &types, rows * lanes, &finish_strides, Stride::Unit);
                let stage = Stage {
                    reduce: SmallVec::from_slice(reduce),
                    lanes,
                    body: body(b.finish(), slots, vec![]),
                    fold: Fold::PerLane(finish),
                };
                maker.nest(&[rows], vec![stage], split);
                check(maker, Close::Same);
            }
        }
    }
}
