//! Kernels that follow a product turn by turn of its rows.

use super::products::SMALL_BLOCKS;
use super::support::{Close, Maker, Rng, access, check_within, map_stage, same_bits, tame};
use crate::codegen::follow::{followers, passing};
use crate::codegen::limits::Limits;
use crate::kernel::{Access, Body, BufferId, Fold, Operand, Product, RowValue, Split, Stage, Work};
use crate::vector::{Builder, Combine, Stride, Type};
use smallvec::SmallVec;
use tensc_runtime::DType::F32;

/// A product of matrices into `c`, which the caller makes: `batch` of them.
#[derive(Clone, Copy)]
struct Case {
    batch: usize,
    m: usize,
    n: usize,
    k: usize,
    /// Whether C is twice the product: then tiles wait for the last block of depth elsewhere.
    twice: bool,
}

impl Case {
    fn rows(&self) -> usize {
        self.batch * self.m
    }

    /// The product of inputs, and its left operand.
    fn product(&self, maker: &mut Maker, c: BufferId) -> BufferId {
        let &Case { batch, m, n, k, .. } = self;
        let a = maker.input(tame(F32, batch * m * k, &mut Rng((m * n + k) as u64)));
        self.product_of(maker, a, c);
        a
    }

    /// The product of `a` and an input.
    fn product_of(&self, maker: &mut Maker, a: BufferId, c: BufferId) {
        let &Case { batch, m, n, k, .. } = self;
        let b = maker.input(tame(F32, batch * k * n, &mut Rng((m + n * k) as u64)));
        let matrix = |id: BufferId, rows: usize, columns: usize| {
            access(id, 0, &[(rows * columns) as i64, columns as i64, 1])
        };
        let (left, right) = (matrix(a, m, k), matrix(b, k, n));
        let b = Builder::new();
        let sum = b.param(Type::F32);
        let sum = if self.twice { b.add(sum, sum) } else { sum };
        b.store(b.slot(F32, Stride::Unit), sum);
        let slots = vec![access(c, 0, &[(m * n) as i64, n as i64, 1])];
        let epilogue = Body { program: b.finish(), slots, params: Vec::new() };
        let (left, right) = (Operand::Stored(left), Operand::Stored(right));
        let batch = SmallVec::from_slice(&[batch]);
        maker.kernel(Work::Product(Product { batch, m, n, k, dtype: F32, left, right, epilogue }));
    }

    /// Rows less their largest element, from `c` to `to`.
    fn rows_less_largest(&self, maker: &mut Maker, c: BufferId, to: BufferId) {
        let walk = [self.n as i64, 1];
        let b = Builder::new();
        b.accumulate(Combine::Max, b.load(b.slot(F32, Stride::Unit)), None);
        let (program, slots) = (b.finish(), vec![access(c, 0, &walk)]);
        let b = Builder::new();
        b.yields(b.param(Type::F32));
        let finish = Body { program: b.finish(), slots: Vec::new(), params: Vec::new() };
        let fold = Fold::AcrossLanes(finish);
        let largest = Stage { fold, ..map_stage(self.n, program, slots) };
        let b = Builder::new();
        let most = b.param(Type::F32);
        let x = b.load(b.slot(F32, Stride::Unit));
        b.store(b.slot(F32, Stride::Unit), b.sub(x, most));
        let mut less =
            map_stage(self.n, b.finish(), vec![access(c, 0, &walk), access(to, 0, &walk)]);
        less.body.params.push(RowValue(0));
        maker.nest(&[self.rows()], vec![largest, less], Split::Rows);
    }
}

const CASES: [Case; 4] = [
    Case { batch: 1, m: 40, n: 70, k: 33, twice: true },
    Case { batch: 3, m: 29, n: 16, k: 5, twice: false },
    Case { batch: 2, m: 61, n: 130, k: 12, twice: true },
    Case { batch: 1, m: 5, n: 3, k: 50, twice: false },
];

#[test]
fn rows_follow_their_panels() {
    for case in CASES {
        for in_place in [false, true] {
            let mut maker = Maker::default();
            let all = case.rows() * case.n;
            let (c, to) = (maker.arena(F32, all), maker.arena(F32, all));
            if in_place {
                maker.program.plan.offsets[to.0 as usize] =
                    maker.program.plan.offsets[c.0 as usize];
            }
            case.product(&mut maker, c);
            case.rows_less_largest(&mut maker, c, to);
            let out = maker.output(F32, all);
            copy(&mut maker, all, to, out);
            assert_eq!(followers(&maker.program, 0, 0).len(), 1);
            assert!(followers(&maker.program, 0, usize::MAX).is_empty(), "C is near");
            check_within(maker, Close::Within(1e-4), SMALL_BLOCKS);
        }
    }
    let case = &CASES[0];
    let mut maker = Maker::default();
    let (c, to) = (maker.arena(F32, 2800), maker.output(F32, 2800));
    case.product(&mut maker, c);
    case.rows_less_largest(&mut maker, c, to);
    check_within(maker, Close::Within(1e-4), Limits { far_bytes: 0, ..Limits::default() });
}

/// Turns of few rows, and blocks of up to 35 steps, so that one case has several.
const SMALL_TURNS: Limits = Limits {
    depth_bytes: 140,
    left_bytes: 4 << 10,
    small: 16 << 10,
    turn_bytes: 16 << 10,
    right_bytes: 64 << 10,
    wide_right_bytes: 64 << 10,
    whole_right_bytes: 64 << 10,
    ..SMALL_BLOCKS
};

#[test]
fn products_follow_and_rows_pass_through_scratch_memory() {
    for case in CASES {
        for (columns, in_place) in [(7, true), (40, false)] {
            let mut maker = Maker::default();
            let next = Case { n: columns, k: case.n, ..case };
            let (all, less) = (case.rows() * case.n, case.rows() * columns);
            let [c, to] = [(); 2].map(|()| maker.arena(F32, all));
            let weighted = maker.arena(F32, less);
            if in_place {
                let offsets = &mut maker.program.plan.offsets;
                offsets[to.0 as usize] = offsets[c.0 as usize];
            }
            let out = maker.output(F32, less);
            case.product(&mut maker, c);
            case.rows_less_largest(&mut maker, c, to);
            next.product_of(&mut maker, to, weighted);
            next.rows_less_largest(&mut maker, weighted, out);
            let kernels = &maker.program.kernels;
            assert_eq!(followers(&maker.program, 0, 0).len(), 3);
            assert_eq!(passing(&maker.program, kernels), [c, to, weighted]);
            assert_eq!(passing(&maker.program, &kernels[..2]), [c], "the rest is read later");
            let apart = Limits { far_bytes: usize::MAX, ..SMALL_TURNS };
            for limits in [SMALL_TURNS, SMALL_BLOCKS, apart] {
                check_within(maker.clone(), Close::Within(1e-4), limits);
            }
            same_bits(&maker, [SMALL_TURNS, apart]);
        }
    }
}

/// Elements from one buffer to another.
fn copy(maker: &mut Maker, count: usize, from: BufferId, to: BufferId) {
    let b = Builder::new();
    let x = b.load(b.slot(F32, Stride::Unit));
    b.store(b.slot(F32, Stride::Unit), x);
    let slots = vec![access(from, 0, &[1]), access(to, 0, &[1])];
    maker.nest(&[], vec![map_stage(count, b.finish(), slots)], Split::Never);
}

#[test]
fn rows_wait_where_they_meet_others() {
    let case = Case { batch: 1, m: 24, n: 24, k: 24, twice: false };
    let follows = |prepare: &dyn Fn(&mut Maker, BufferId, BufferId, BufferId)| {
        let mut maker = Maker::default();
        let (c, to) = (maker.arena(F32, 576), maker.arena(F32, 576));
        let left = case.product(&mut maker, c);
        prepare(&mut maker, c, to, left);
        !followers(&maker.program, 0, 0).is_empty()
    };
    assert!(follows(&|maker, c, to, _| case.rows_less_largest(maker, c, to)));
    // The result lies half over C: rows would overwrite those of later panels.
    assert!(!follows(&|maker, c, to, _| {
        case.rows_less_largest(maker, c, to);
        maker.program.plan.offsets[to.0 as usize] = Some(1152);
    }));
    // It lies where the left operand does, row by row, or the right one, which is read until the
    // end.
    for (operand, may) in [(0, true), (1, false)] {
        let follows = follows(&|maker, c, to, left| {
            case.rows_less_largest(maker, c, to);
            let operand = left.0 as usize + operand;
            maker.program.buffers[operand].place = crate::kernel::Place::Arena;
            maker.program.plan.offsets[operand] = maker.program.plan.offsets[to.0 as usize];
        });
        assert_eq!(follows, may);
    }
    // Rows of the nest are columns of C, or reach into the next row.
    for walk in [[1, 24], [24, 2]] {
        assert!(!follows(&|maker, c, to, _| {
            case.rows_less_largest(maker, c, to);
            let Work::Nest(nest) = &mut maker.program.kernels[1].work else { unreachable!() };
            nest.stages[0].body.slots[0] =
                Access { strides: walk.into_iter().collect(), ..access(c, 0, &[]) };
        }));
    }
    // A product takes what it makes as its right operand: no row of that is complete before all
    // are.
    assert!(!follows(&|maker, c, to, left| {
        case.product_of(maker, left, to);
        let Work::Product(product) = &mut maker.program.kernels[1].work else { unreachable!() };
        product.right = Operand::Stored(access(c, 0, &[576, 24, 1]));
    }));
    // It has nothing to do with C.
    assert!(!follows(&|maker, _, to, left| case.rows_less_largest(maker, left, to)));
}
