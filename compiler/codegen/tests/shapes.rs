//! Random nests against the reference: every fold, every kind of slot, any number of axes.

use super::programs::extend;
use super::support::{Close, Maker, Rng, access, awkward, check};
use crate::kernel::{Access, Body, Fold, RowValue, Split, Stage};
use crate::vector::{Builder, Combine, Stride, Type, Value, verify};
use smallvec::SmallVec;
use tensc_runtime::DType;

/// The axes of a stage.
struct Axes {
    outer: Vec<usize>,
    reduce: Vec<usize>,
    lanes: usize,
}

impl Axes {
    fn random(rng: &mut Rng) -> Axes {
        let mut extents = |most: usize| -> Vec<usize> {
            (0..rng.below(most + 1)).map(|_| [1, 2, 3, 5][rng.below(4)]).collect()
        };
        let (outer, reduce) = (extents(2), extents(2));
        let lanes = [1, 3, 8, 16, 17, 31, 64, 70, 130][rng.below(9)];
        Axes { outer, reduce, lanes }
    }

    fn all(&self) -> Vec<usize> {
        self.outer.iter().chain(&self.reduce).chain([&self.lanes]).copied().collect()
    }

    fn rows(&self) -> usize {
        self.outer.iter().product()
    }
}

/// A walk that is dense, but for axes that it ignores and a gap between lanes. Gives the number of
/// elements too.
fn random_walk(axes: &Axes, rng: &mut Rng) -> (Vec<i64>, Stride, usize) {
    let extents = axes.all();
    let mut strides = vec![0; extents.len()];
    let mut step = 1;
    let mut kind = Stride::Splat;
    for i in (0..extents.len()).rev() {
        let is_lanes = i + 1 == extents.len();
        if rng.below(4) == 0 {
            continue;
        }
        if is_lanes {
            (kind, step) = match rng.below(4) {
                0 => (Stride::Far, 3),
                _ => (Stride::Unit, 1),
            };
        }
        strides[i] = step;
        step *= extents[i] as i64;
    }
    (strides, kind, step as usize)
}

/// The dense walk over some of the axes; 0 along others.
fn dense(extents: &[usize], keep: impl Fn(usize) -> bool) -> (Vec<i64>, usize) {
    let mut strides = vec![0; extents.len()];
    let mut step = 1;
    for i in (0..extents.len()).rev() {
        if keep(i) {
            strides[i] = step as i64;
            step *= extents[i];
        }
    }
    (strides, step)
}

/// Loads from random slots, and random instructions on them.
fn random_values(
    maker: &mut Maker,
    b: &Builder,
    axes: &Axes,
    slots: &mut Vec<Access>,
    rng: &mut Rng,
) -> Vec<Value> {
    let mut values = Vec::new();
    // Now and then more slots than there are registers for pointers.
    let loads = if rng.below(6) == 0 { 14 } else { 1 + rng.below(4) };
    for _ in 0..loads {
        let (strides, stride, elements) = random_walk(axes, rng);
        let dtype = DType::ALL[rng.below(10)];
        let input = maker.input(awkward(dtype, elements, rng));
        slots.push(access(input, 0, &strides));
        values.push(b.load(b.slot(dtype, stride)));
    }
    for axis in 0..axes.all().len() {
        if rng.below(3) == 0 {
            values.push(b.index(axis as u32));
        }
    }
    for _ in 0..rng.below(25) {
        extend(b, &mut values, rng);
    }
    values
}

/// Combinations whose result does not depend on the order.
fn exact(ty: Type) -> &'static [Combine] {
    use Combine::*;
    match ty {
        Type::Mask => &[And, Or],
        Type::F32 | Type::F64 => &[Max, Min, ArgMax, ArgMin],
        Type::I32 | Type::I64 => &[Add, Mul, Max, Min, ArgMax, ArgMin],
    }
}

#[test]
fn random_maps_agree_with_the_reference() {
    for seed in 0..120 {
        let mut rng = Rng(seed);
        let axes = Axes::random(&mut rng);
        let mut maker = Maker::default();
        let (b, mut slots) = (Builder::new(), Vec::new());
        let values = random_values(&mut maker, &b, &axes, &mut slots, &mut rng);
        let (strides, elements) = dense(&axes.all(), |_| true);
        for &value in values.iter().rev().take(3) {
            let dtype = b.ty(value).dtype();
            let out = maker.output(dtype, elements);
            slots.push(access(out, 0, &strides));
            b.store(b.slot(dtype, Stride::Unit), value);
        }
        let program = b.finish();
        verify(&program).unwrap();
        let stage = Stage {
            reduce: SmallVec::from_slice(&axes.reduce),
            lanes: axes.lanes,
            body: Body { program, slots, params: Vec::new() },
            fold: Fold::None,
        };
        maker.nest(&axes.outer, vec![stage], Split::Rows);
        check(maker, Close::Same);
    }
}

#[test]
fn random_folds_agree_with_the_reference() {
    for seed in 0..160 {
        let mut rng = Rng(1000 + seed);
        let axes = Axes::random(&mut rng);
        let per_lane = seed % 2 == 0;
        let mut maker = Maker::default();
        let (b, mut slots) = (Builder::new(), Vec::new());
        let values = random_values(&mut maker, &b, &axes, &mut slots, &mut rng);
        let mut results = Vec::new();
        for _ in 0..1 + rng.below(4) {
            let value = values[rng.below(values.len())];
            let combines = exact(b.ty(value));
            let combine = combines[rng.below(combines.len())];
            let position = b.index(rng.below(axes.all().len()) as u32);
            let arg = matches!(combine, Combine::ArgMax | Combine::ArgMin);
            b.accumulate(combine, value, arg.then_some(position));
            results.push(if arg { Type::I64 } else { b.ty(value) });
        }
        let program = b.finish();
        verify(&program).unwrap();
        let body = Body { program, slots, params: Vec::new() };
        let finish = store_all(&mut maker, &axes, &results, per_lane);
        let stage = Stage {
            reduce: SmallVec::from_slice(&axes.reduce),
            lanes: axes.lanes,
            body,
            fold: if per_lane { Fold::PerLane(finish) } else { Fold::AcrossLanes(finish) },
        };
        let mut stages = vec![stage];
        if !per_lane {
            stages.push(use_row_value(&mut maker, &axes, results[0]));
        }
        maker.nest(&axes.outer, stages, Split::Rows);
        check(maker, Close::Same);
    }
}

/// A finish that stores what was folded; one of a fold across lanes yields the first result.
fn store_all(maker: &mut Maker, axes: &Axes, results: &[Type], per_lane: bool) -> Body {
    let extents = axes.all();
    let outer = axes.outer.len();
    let last = extents.len() - 1;
    let (strides, elements) = dense(&extents, |i| i < outer || per_lane && i == last);
    let b = Builder::new();
    let mut slots = Vec::new();
    for &ty in results {
        let value = b.param(ty);
        let out = maker.output(ty.dtype(), elements);
        slots.push(access(out, 0, &strides));
        b.store(b.slot(ty.dtype(), Stride::Unit), value);
        if !per_lane && slots.len() == 1 {
            b.yields(value);
        }
    }
    Body { program: b.finish(), slots, params: Vec::new() }
}

/// A stage that stores the row's value for each lane.
fn use_row_value(maker: &mut Maker, axes: &Axes, ty: Type) -> Stage {
    let lanes = axes.lanes;
    let mut extents = axes.outer.clone();
    extents.push(lanes);
    let (strides, elements) = dense(&extents, |_| true);
    assert_eq!(elements, axes.rows() * lanes);
    let b = Builder::new();
    let out = maker.output(ty.dtype(), elements);
    let value = b.param(ty);
    b.store(b.slot(ty.dtype(), Stride::Unit), value);
    let slots = vec![access(out, 0, &strides)];
    let body = Body { program: b.finish(), slots, params: vec![RowValue(0)] };
    Stage { reduce: SmallVec::new(), lanes, body, fold: Fold::None }
}
