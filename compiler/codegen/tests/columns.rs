//! Folds of a product's columns, tile by tile.

use super::products::SMALL_BLOCKS;
use super::support::{Close, Maker, Rng, access, check_within, map_stage, same_bits, tame};
use crate::codegen::follow::folds_after;
use crate::codegen::limits::Limits;
use crate::kernel::{Body, BufferId, Fold, Operand, Place, Product, Split, Stage, Work};
use crate::vector::{Builder, Combine, Stride, Type};
use smallvec::smallvec;
use tensc_runtime::DType::{self, F32, F64, I64};

#[derive(Clone, Copy)]
struct Case {
    m: usize,
    n: usize,
    k: usize,
    dtype: DType,
    /// Whether C is the product, without a bias.
    plain: bool,
}

const CASES: [Case; 5] = [
    Case { m: 40, n: 70, k: 33, dtype: F32, plain: false },
    Case { m: 61, n: 130, k: 72, dtype: F32, plain: true },
    Case { m: 5, n: 3, k: 50, dtype: F32, plain: false },
    Case { m: 37, n: 41, k: 20, dtype: F64, plain: true },
    Case { m: 64, n: 64, k: 1, dtype: F32, plain: false },
];

impl Case {
    /// `c = a × b` of inputs, or `a × b + bias`, an element of which is for each column; gives a.
    fn product(&self, maker: &mut Maker, bias: BufferId, c: BufferId) -> BufferId {
        let &Case { m, n, k, dtype, plain } = self;
        let left = maker.input(tame(dtype, m * k, &mut Rng((m * n + k) as u64)));
        let right = maker.input(tame(dtype, k * n, &mut Rng((m + n * k) as u64)));
        let matrix = |id, columns: usize| access(id, 0, &[columns as i64, 1]);
        let b = Builder::new();
        let sum = b.param(Type::of(dtype));
        let mut slots = Vec::new();
        let mut element = sum;
        if !plain {
            element = b.add(sum, b.load(b.slot(dtype, Stride::Unit)));
            slots.push(access(bias, 0, &[0, 1]));
        }
        b.store(b.slot(dtype, Stride::Unit), element);
        slots.push(matrix(c, n));
        let epilogue = Body { program: b.finish(), slots, params: Vec::new() };
        let [a, right] = [matrix(left, k), matrix(right, n)].map(Operand::Stored);
        let batch = smallvec![];
        let product = Product { batch, m, n, k, dtype, left: a, right, epilogue };
        maker.kernel(Work::Product(product));
        left
    }

    /// Folds the columns of `c`: their sums, the products of elements and a bias of the column, how
    /// many are positive. The sums less their number go to `to`, the rest to outputs.
    fn folds(&self, maker: &mut Maker, c: BufferId, to: BufferId) {
        let &Case { m, n, dtype, .. } = self;
        let ty = Type::of(dtype);
        let bias = maker.input(tame(dtype, n, &mut Rng(n as u64)));
        let products = maker.output(dtype, n);
        let counts = maker.output(I64, n);
        let b = Builder::new();
        let x = b.load(b.slot(dtype, Stride::Unit));
        let y = b.load(b.slot(dtype, Stride::Unit));
        let positive = b.convert(Type::I64, b.gt(x, b.f(ty, 0.0)));
        b.accumulate(Combine::Add, x, None);
        // Factors near 1: others would lose digits, and the product with them.
        let factor = b.add(b.mul(b.mul(x, y), b.f(ty, 0.05)), b.f(ty, 1.0));
        b.accumulate(Combine::Mul, factor, None);
        b.accumulate(Combine::Add, positive, None);
        let slots = vec![access(c, 0, &[n as i64, 1]), access(bias, 0, &[0, 1])];
        let body = map_stage(n, b.finish(), slots).body;
        let b = Builder::new();
        let [sum, product] = [(); 2].map(|()| b.param(ty));
        let count = b.param(Type::I64);
        let slots = [dtype, dtype, I64].map(|dtype| b.slot(dtype, Stride::Unit));
        let all = b.f(ty, m as f64);
        for (slot, value) in slots.into_iter().zip([b.sub(sum, all), product, count]) {
            b.store(slot, value);
        }
        let slots = [to, products, counts].map(|id| access(id, 0, &[0, 1])).to_vec();
        let finish = Body { program: b.finish(), slots, params: Vec::new() };
        let stage = Stage { reduce: smallvec![m], lanes: n, body, fold: Fold::PerLane(finish) };
        maker.nest(&[], vec![stage], Split::Never);
    }

    /// An element for each column, from one buffer to another.
    fn copy(&self, maker: &mut Maker, from: BufferId, to: BufferId) {
        let b = Builder::new();
        let x = b.load(b.slot(self.dtype, Stride::Unit));
        b.store(b.slot(self.dtype, Stride::Unit), x);
        let slots = vec![access(from, 0, &[1]), access(to, 0, &[1])];
        maker.nest(&[], vec![map_stage(self.n, b.finish(), slots)], Split::Never);
    }
}

/// Blocks of up to 35 steps, so that a case has several.
const SOME_BLOCKS: Limits = Limits { depth_bytes: 140, ..SMALL_BLOCKS };

#[test]
fn columns_are_folded_tile_by_tile() {
    for case in CASES {
        for kept in [false, true] {
            let mut maker = Maker::default();
            let all = case.m * case.n;
            let c = if kept { maker.output(case.dtype, all) } else { maker.arena(case.dtype, all) };
            let given = maker.input(tame(case.dtype, case.n, &mut Rng(7)));
            // The sums are written over the bias.
            let [bias, to] = [(); 2].map(|()| maker.arena(case.dtype, case.n));
            let offsets = &mut maker.program.plan.offsets;
            offsets[to.0 as usize] = offsets[bias.0 as usize];
            case.copy(&mut maker, given, bias);
            case.product(&mut maker, bias, c);
            case.folds(&mut maker, c, to);
            let out = maker.output(case.dtype, case.n);
            case.copy(&mut maker, to, out);
            assert!(folds_after(&maker.program, 1, 0).is_some());
            assert!(folds_after(&maker.program, 1, usize::MAX).is_none(), "C is near");
            let apart = Limits { far_bytes: usize::MAX, ..SOME_BLOCKS };
            for limits in [SMALL_BLOCKS, SOME_BLOCKS, apart] {
                check_within(maker.clone(), Close::Within(1e-4), limits);
            }
            same_bits(&maker, [SOME_BLOCKS, apart]);
            same_bits(&maker, [Limits { threads: 1, ..SOME_BLOCKS }, apart]);
        }
    }
}

#[test]
fn columns_wait_where_they_meet_others() {
    let case = CASES[0];
    let follows = |change: &dyn Fn(&mut Maker, [BufferId; 3])| {
        let mut maker = Maker::default();
        let (c, to) = (maker.arena(F32, case.m * case.n), maker.arena(F32, case.n));
        let bias = maker.input(tame(F32, case.n, &mut Rng(7)));
        let left = case.product(&mut maker, bias, c);
        case.folds(&mut maker, c, to);
        change(&mut maker, [c, to, left]);
        folds_after(&maker.program, 0, 0).is_some()
    };
    let stage = |maker: &mut Maker, change: &dyn Fn(&mut Stage)| {
        let Work::Nest(nest) = &mut maker.program.kernels[1].work else { unreachable!() };
        change(&mut nest.stages[0]);
    };
    assert!(follows(&|_, _| {}));
    // The result lies over C, or over an operand that later tiles read.
    assert!(!follows(&|maker, [c, to, _]| {
        maker.program.plan.offsets[to.0 as usize] = maker.program.plan.offsets[c.0 as usize];
    }));
    assert!(!follows(&|maker, [_, to, left]| {
        maker.program.buffers[left.0 as usize].place = Place::Arena;
        maker.program.plan.offsets[left.0 as usize] = maker.program.plan.offsets[to.0 as usize];
    }));
    // It goes over C in another order, or over a part of it, or not at all.
    assert!(!follows(&|maker, _| stage(maker, &|s| s.body.slots[0].strides = smallvec![1, 40])));
    assert!(!follows(&|maker, _| stage(maker, &|s| s.reduce = smallvec![case.m - 1])));
    assert!(!follows(&|maker, _| stage(maker, &|s| s.body.slots[0].offset = 1)));
    assert!(!follows(&|maker, [_, _, left]| {
        stage(maker, &|s| s.body.slots[0].buffer = left);
    }));
    // What is no chain of one instruction, or asks for the row.
    assert!(!follows(&|maker, _| {
        stage(maker, &|s| s.body.program.accumulators[0].combine = Combine::Max);
    }));
    assert!(!follows(&|maker, _| {
        stage(maker, &|s| s.body.program.insts.push(crate::vector::Inst::Index(0)));
    }));
}
