//! The last stage of a row beside the fold of the next.

use super::support::{Close, Maker, Rng, access, check, tame};
use crate::kernel::fuse::overlap;
use crate::kernel::{Body, Fold, RowValue, Split, Stage, Work};
use crate::vector::{Builder, Combine, Stride, Type};
use smallvec::SmallVec;
use tensc_runtime::DType;

/// Where the map of a row has its elements from.
#[derive(Clone, Copy, PartialEq, Debug)]
enum From {
    /// The row buffer that the fold stores to.
    Fold,
    /// The same, the other way round.
    Backwards,
    /// A row buffer that the first stage stores to.
    First,
    /// The input, and positions.
    Input,
}

/// Rows of three stages: their largest element, a sum that needs it, a map that needs both. More
/// lanes than short rows have.
fn rows(outer: &[usize], lanes: usize, from: From) -> Maker {
    let mut maker = Maker::default();
    let count: usize = outer.iter().product();
    let f32 = DType::F32;
    let input = maker.input(tame(f32, count * lanes, &mut Rng(lanes as u64)));
    let out = maker.output(f32, count * lanes);
    let temporary = maker.row(f32, lanes);
    let mut walk = vec![1; outer.len() + 1];
    for axis in (0..outer.len()).rev() {
        let inner = outer.get(axis + 1).map_or(lanes as i64, |&n| n as i64);
        walk[axis] = walk[axis + 1] * inner;
    }
    let mut still = vec![0; outer.len() + 1];
    still[outer.len()] = 1;
    let lane = outer.len() as u32;
    let stage = |body: Body, fold: Fold| Stage { reduce: SmallVec::new(), lanes, body, fold };
    let yields = |values: &[RowValue]| {
        let b = Builder::new();
        let mut sum = b.param(Type::F32);
        for _ in values {
            sum = b.add(sum, b.param(Type::F32));
        }
        b.yields(sum);
        Fold::AcrossLanes(Body { program: b.finish(), slots: vec![], params: values.to_vec() })
    };

    let b = Builder::new();
    let x = b.load(b.slot(f32, Stride::Unit));
    let mut slots = vec![access(input, 0, &walk)];
    if from == From::First {
        b.store(b.slot(f32, Stride::Unit), b.mul(x, x));
        slots.push(access(temporary, 0, &still));
    }
    b.accumulate(Combine::Max, x, None);
    let largest = stage(Body { program: b.finish(), slots, params: vec![] }, yields(&[]));

    let b = Builder::new();
    let top = b.param(Type::F32);
    let difference = b.sub(b.load(b.slot(f32, Stride::Unit)), top);
    let mut slots = vec![access(input, 0, &walk)];
    if matches!(from, From::Fold | From::Backwards) {
        b.store(b.slot(f32, Stride::Unit), difference);
        slots.push(access(temporary, 0, &still));
    }
    b.accumulate(Combine::Add, difference, None);
    let body = Body { program: b.finish(), slots, params: vec![RowValue(0)] };
    let sum = stage(body, yields(&[RowValue(0)]));

    let b = Builder::new();
    let (sum_value, top) = (b.param(Type::F32), b.param(Type::F32));
    let x = b.load(b.slot(f32, if from == From::Backwards { Stride::Far } else { Stride::Unit }));
    let y = b.sub(b.fma(sum_value, b.f(Type::F32, 0.0009765625), x), top);
    let positions = (0..=lane).map(|axis| b.convert(Type::F32, b.index(axis)));
    let y = if from == From::Input { positions.fold(y, |y, at| b.sub(at, y)) } else { y };
    b.store(b.slot(f32, Stride::Unit), y);
    let mut backwards = still.clone();
    backwards[outer.len()] = -1;
    let read = match from {
        From::Fold | From::First => access(temporary, 0, &still),
        From::Backwards => access(temporary, lanes as i64 - 1, &backwards),
        From::Input => access(input, 0, &walk),
    };
    let slots = vec![read, access(out, 0, &walk)];
    let params = vec![RowValue(1), RowValue(0)];
    let map = stage(Body { program: b.finish(), slots, params }, Fold::None);
    maker.nest(outer, vec![largest, sum, map], Split::Rows);
    maker
}

#[test]
fn a_map_runs_beside_the_fold_of_the_next_row() {
    for from in [From::Fold, From::Input, From::First, From::Backwards] {
        for outer in [&[1][..], &[2], &[5], &[3, 1, 4]] {
            for lanes in [167, 336] {
                let maker = rows(outer, lanes, from);
                let Work::Nest(nest) = &maker.program.kernels[0].work else { unreachable!() };
                let overlaps = overlap(&maker.program, nest).is_some();
                assert_eq!(overlaps, matches!(from, From::Fold | From::Input), "{from:?}");
                check(maker, Close::Within(1e-5));
            }
        }
    }
}
