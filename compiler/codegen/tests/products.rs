//! Products against the naive sum: shapes, layouts, batches, epilogues, packed and not.

use super::support::{Close, Maker, Rng, access, check_within, map_stage, tame};
use crate::codegen::Isa;
use crate::codegen::limits::Limits;
use crate::codegen::product::{Ahead, Tiling, UNROLL};
use crate::kernel::{Access, Body, BufferId, Operand, Product, Prologue, Split, Work};
use crate::vector::{Builder, Program, Stride, Type};
use smallvec::SmallVec;
use tensc_runtime::DType;

/// How an operand lies in memory, relative to the axes it is used with.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Layout {
    /// The last axis contiguous.
    Normal,
    /// The axis before it contiguous.
    Transposed,
    /// Neither: every third element, rows backwards.
    Apart,
}

const LAYOUTS: [Layout; 3] = [Layout::Normal, Layout::Transposed, Layout::Apart];

#[derive(Clone, Copy, PartialEq, Debug)]
enum Epilogue {
    /// Store the sum.
    Plain,
    /// Add a bias along n, apply a bound, add a residual.
    Bias,
    /// Store as another type, and multiply by the position.
    Other,
}

#[derive(Clone, Debug)]
struct Case {
    dtype: DType,
    batch: Vec<usize>,
    m: usize,
    n: usize,
    k: usize,
    left: Layout,
    right: Layout,
    /// Whether the operands are made by prologues.
    made: [bool; 2],
    epilogue: Epilogue,
}

impl Case {
    fn plain(dtype: DType, m: usize, n: usize, k: usize) -> Case {
        let (left, right) = (Layout::Normal, Layout::Normal);
        let (made, epilogue) = ([false; 2], Epilogue::Plain);
        Case { dtype, batch: vec![], m, n, k, left, right, made, epilogue }
    }

    fn check(&self) {
        self.check_within(Limits::default());
    }

    fn check_within(&self, limits: Limits) {
        let mut maker = Maker::default();
        let product = self.product(&mut maker);
        maker.kernel(Work::Product(product));
        let depth = (self.k as f64).sqrt() + 1.0;
        let unit = if self.dtype == DType::F64 { 1e-15 } else { 1e-6 };
        check_within(maker, Close::Within(unit * depth * 4.0), limits);
    }

    fn product(&self, maker: &mut Maker) -> Product {
        let mut rng = Rng(self.m as u64 * 31 + self.n as u64 * 7 + self.k as u64);
        let left = self.operand(maker, &mut rng, self.m, self.k, self.left);
        let right = self.operand(maker, &mut rng, self.k, self.n, self.right);
        let [make_left, make_right] = self.made;
        let left = if make_left {
            self.prologue(maker, &mut rng, left, self.left == Layout::Transposed)
        } else {
            Operand::Stored(left)
        };
        let right = if make_right {
            self.prologue(maker, &mut rng, right, self.right == Layout::Transposed)
        } else {
            Operand::Stored(right)
        };
        let epilogue = self.epilogue(maker, &mut rng);
        Product {
            batch: SmallVec::from_slice(&self.batch),
            m: self.m,
            n: self.n,
            k: self.k,
            dtype: self.dtype,
            left,
            right,
            epilogue,
        }
    }

    /// A matrix of `rows` by `columns` for each batch.
    fn operand(
        &self,
        maker: &mut Maker,
        rng: &mut Rng,
        rows: usize,
        columns: usize,
        layout: Layout,
    ) -> Access {
        let (r, c) = (rows as i64, columns as i64);
        let (offset, row, column, each) = match layout {
            Layout::Normal => (0, c, 1, r * c),
            Layout::Transposed => (0, 1, r, r * c),
            Layout::Apart => ((r - 1).max(0) * 3 * c, -3 * c, 3, 3 * r * c),
        };
        let batches: usize = self.batch.iter().product();
        let id = maker.input(tame(self.dtype, each as usize * batches, rng));
        let mut strides = self.batch_strides(each);
        strides.extend([row, column]);
        access(id, offset, &strides)
    }

    /// Half floats of a row or a column, as lanes go, added to the positive elements of a matrix.
    fn prologue(&self, maker: &mut Maker, rng: &mut Rng, of: Access, turned: bool) -> Operand {
        let mut matrix = of;
        let last = matrix.strides.len() - 1;
        if turned {
            matrix.strides.swap(last - 1, last);
        }
        let long = self.m.max(self.n).max(self.k);
        let halves = maker.input(tame(DType::BF16, long, rng));
        let mut along = vec![0; last];
        along.push(1);
        let (b, ty) = (Builder::new(), Type::of(self.dtype));
        let stride = if matrix.strides[last] == 1 { Stride::Unit } else { Stride::Far };
        let x = b.load(b.slot(self.dtype, stride));
        let half = b.load(b.slot(DType::BF16, Stride::Unit));
        let sum = b.add(b.max(x, b.f(ty, 0.0)), b.convert(ty, half));
        b.yields(sum);
        let slots = vec![matrix, access(halves, 0, &along)];
        let body = Body { program: b.finish(), slots, params: Vec::new() };
        Operand::Made(Prologue { body, turned })
    }

    fn batch_strides(&self, each: i64) -> Vec<i64> {
        let mut strides = vec![0; self.batch.len()];
        let mut step = each;
        for (stride, &extent) in strides.iter_mut().zip(&self.batch).rev() {
            *stride = step;
            step *= extent as i64;
        }
        strides
    }

    fn epilogue(&self, maker: &mut Maker, rng: &mut Rng) -> Body {
        let (m, n) = (self.m as i64, self.n as i64);
        let total = self.m * self.n * self.batch.iter().product::<usize>();
        let ty = Type::of(self.dtype);
        let b = Builder::new();
        let sum = b.param(ty);
        let mut dense = self.batch_strides(m * n);
        dense.extend([n, 1]);
        let mut slots = Vec::new();
        match self.epilogue {
            Epilogue::Plain => {
                let out = maker.output(self.dtype, total);
                slots.push(access(out, 0, &dense));
                b.store(b.slot(self.dtype, Stride::Unit), sum);
            }
            Epilogue::Bias => {
                let bias = maker.input(tame(self.dtype, self.n, rng));
                let residual = maker.input(tame(self.dtype, total, rng));
                let out = maker.output(self.dtype, total);
                let mut along_n = vec![0; self.batch.len() + 1];
                along_n.push(1);
                slots.push(access(bias, 0, &along_n));
                slots.push(access(residual, 0, &dense));
                slots.push(access(out, 0, &dense));
                let bias = b.load(b.slot(self.dtype, Stride::Unit));
                let residual = b.load(b.slot(self.dtype, Stride::Unit));
                let bounded = b.max(b.add(sum, bias), b.f(ty, 0.0));
                b.store(b.slot(self.dtype, Stride::Unit), b.add(bounded, residual));
            }
            Epilogue::Other => {
                let out = maker.output(DType::F64, total);
                // Stored transposed: far along n.
                let mut far = self.batch_strides(m * n);
                far.extend([1, m]);
                slots.push(access(out, 0, &far));
                let wide = b.convert(Type::F64, sum);
                let axes = self.batch.len() as u32;
                let mut place = b.index(axes);
                for axis in (0..axes).chain([axes + 1]) {
                    place = b.add(place, b.index(axis));
                }
                let place = b.convert(Type::F64, place);
                b.store(b.slot(DType::F64, Stride::Far), b.mul(wide, place));
            }
        }
        Body { program: b.finish(), slots, params: Vec::new() }
    }
}

#[test]
fn small_shapes_of_every_kind() {
    for m in [1, 2, 5, 6, 7, 13] {
        for n in [1, 3, 4, 8, 11, 16] {
            for k in [0, 1, 5] {
                Case::plain(DType::F32, m, n, k).check();
            }
        }
    }
    for (m, n, k) in [(1, 1, 1), (3, 7, 2), (6, 4, 9), (7, 9, 0), (14, 5, 33)] {
        Case::plain(DType::F64, m, n, k).check();
    }
}

#[test]
fn nothing_to_do() {
    Case::plain(DType::F32, 0, 4, 4).check();
    Case::plain(DType::F32, 4, 0, 4).check();
    Case { batch: vec![0], ..Case::plain(DType::F32, 4, 4, 4) }.check();
}

#[test]
fn layouts_and_epilogues() {
    for dtype in [DType::F32, DType::F64] {
        for left in LAYOUTS {
            for right in LAYOUTS {
                for epilogue in [Epilogue::Plain, Epilogue::Bias, Epilogue::Other] {
                    for (m, n, k) in [(7, 10, 6), (12, 16, 8), (1, 21, 4)] {
                        let case = Case::plain(dtype, m, n, k);
                        Case { left, right, epilogue, ..case }.check();
                    }
                }
            }
        }
    }
}

#[test]
fn batches() {
    for batch in [vec![3], vec![2, 3]] {
        for epilogue in [Epilogue::Plain, Epilogue::Other] {
            for (left, right) in
                [(Layout::Normal, Layout::Normal), (Layout::Apart, Layout::Transposed)]
            {
                let case = Case::plain(DType::F32, 9, 10, 7);
                Case { batch: batch.clone(), left, right, epilogue, ..case }.check();
            }
        }
    }
}

/// Blocks so small that small products have several in every direction.
pub const SMALL_BLOCKS: Limits = Limits {
    depth_bytes: 32,
    left_bytes: 1 << 10,
    right_bytes: 1 << 9,
    wide_right_bytes: 1 << 9,
    whole_right_bytes: 1 << 9,
    rows_bytes: 1 << 9,
    waiting_rows: 24,
    small: 16,
    short_table: 16,
    threads: 2,
    far_bytes: 0,
    turn_bytes: 2 << 10,
    streamed_bytes: usize::MAX,
    narrow_streams: true,
};

#[test]
fn several_blocks_of_depth_rows_and_columns() {
    for (m, n, k) in [(20, 30, 29), (61, 17, 16), (9, 70, 33), (40, 33, 7)] {
        for left in LAYOUTS {
            for right in LAYOUTS {
                for epilogue in [Epilogue::Plain, Epilogue::Bias] {
                    let case = Case::plain(DType::F32, m, n, k);
                    Case { left, right, epilogue, ..case }.check_within(SMALL_BLOCKS);
                }
            }
        }
    }
    let deep = Case::plain(DType::F64, 25, 37, 50);
    let batch = vec![2];
    Case { left: Layout::Transposed, right: Layout::Transposed, batch, ..deep }
        .check_within(SMALL_BLOCKS);
}

#[test]
fn blocks_of_real_size() {
    let case = Case::plain(DType::F32, 50, 60, 500);
    case.check();
    Case { right: Layout::Transposed, epilogue: Epilogue::Bias, ..case }.check();
}

/// The epilogue of the first kind is what is stored directly.
#[test]
fn a_plain_epilogue_is_two_instructions() {
    let mut maker = Maker::default();
    let case = Case::plain(DType::F32, 2, 2, 2);
    let body = case.epilogue(&mut maker, &mut Rng(0));
    let program: Program = body.program;
    assert_eq!(program.insts.len(), 2, "{program}");
}

/// Every height and every tail of the tiles, with each layout of A.
#[test]
fn tiles_of_every_height_and_tail() {
    for dtype in [DType::F32, DType::F64] {
        for m in 1..=33 {
            for left in LAYOUTS {
                // One to three vectors of any width, and a tail of each length.
                let n = 1 + (7 * m + 5) % 50;
                Case { left, ..Case::plain(dtype, m, n, 5) }.check();
            }
        }
        for n in 1..=50 {
            Case::plain(dtype, 4, n, 6).check();
        }
    }
}

/// Enough rows that the first row of tiles packs B on the way, in blocks that start anywhere.
#[test]
fn panels_are_packed_on_the_way() {
    for (m, n, k) in [(80, 37, 9), (75, 64, 12), (64, 16, 7), (130, 33, 5)] {
        for left in LAYOUTS {
            for epilogue in [Epilogue::Plain, Epilogue::Bias] {
                let case = Case { left, epilogue, ..Case::plain(DType::F32, m, n, k) };
                case.check_within(SMALL_BLOCKS);
                case.check_within(Limits { small: 16, ..Limits::default() });
            }
        }
    }
}

/// Rows of tiles that do not pack B ask for all of its next block, in as small shares as do.
#[test]
fn the_next_block_is_asked_for() {
    let decided = |case: Case, isa: Isa| {
        let product = case.product(&mut Maker::default());
        let tiling = Tiling::of(&product, isa, &Limits::default(), None);
        (Ahead::of(&product, &tiling), tiling)
    };
    let tiling =
        |m: usize, n: usize, k: usize, isa: Isa| decided(Case::plain(DType::F32, m, n, k), isa);
    let asked = |m: usize, n: usize, k: usize| tiling(m, n, k, Isa::Avx512).0;
    for m in [128, 64, 48, 32, 16] {
        let (ahead, t) = tiling(m, 512, 784, Isa::Avx512);
        let ahead = ahead.expect("there are several blocks of depth");
        let packing = usize::from(t.packs_right());
        let shares = (UNROLL / ahead.rows) * (4 * t.nr).div_ceil(64 * ahead.lines);
        assert!(shares <= t.m_panels - packing, "{m} rows: {ahead:?}");
        assert_eq!(ahead.row_bytes, 4 * 512);
    }
    let lines = |m: usize| asked(m, 512, 784).map_or(0, |ahead| ahead.rows * ahead.lines);
    assert!(lines(128) < lines(32), "fewer rows of tiles ask for more each");
    assert_eq!(asked(8, 512, 784), None, "nobody reads B again");
    let waiting = Case { epilogue: Epilogue::Bias, ..Case::plain(DType::F32, 4096, 512, 784) };
    assert_eq!(decided(waiting, Isa::Avx512).0, None, "the next rows read the first block again");
    assert_eq!(asked(128, 128, 128), None, "there is one block");
    assert_eq!(tiling(128, 512, 784, Isa::Avx2).0, None);
}

/// B is turned over in squares, of which the last of a panel may be smaller either way.
#[test]
fn panels_are_turned_over() {
    for dtype in [DType::F32, DType::F64] {
        for n in 1..=36 {
            let right = Layout::Transposed;
            Case { right, ..Case::plain(dtype, 3, n, 13) }.check();
            Case { right, ..Case::plain(dtype, 2, n, 1 + n % 5) }.check();
        }
    }
}

/// Elements made where they are packed: vectors along either axis, panels and blocks of any size.
#[test]
fn operands_are_made_in_their_panels() {
    for dtype in [DType::F32, DType::F64] {
        for made in [[true, false], [false, true], [true, true]] {
            for left in LAYOUTS {
                for right in LAYOUTS {
                    for (m, n, k) in [(7, 10, 6), (1, 21, 4), (33, 5, 29), (40, 70, 33)] {
                        let case = Case { left, right, made, ..Case::plain(dtype, m, n, k) };
                        case.check();
                        case.check_within(SMALL_BLOCKS);
                    }
                }
            }
        }
    }
    let (made, epilogue, batch) = ([true; 2], Epilogue::Bias, vec![2, 3]);
    Case { made, epilogue, batch, ..Case::plain(DType::F32, 9, 10, 7) }.check();
    let case = Case::plain(DType::F32, 50, 60, 500);
    Case { made, right: Layout::Transposed, ..case }.check();
}

/// An epilogue that stores where it loads, as an update of parameters does.
#[test]
fn parameters_are_updated_in_place() {
    fn copy(maker: &mut Maker, dtype: DType, count: usize, from: BufferId, to: BufferId) {
        let b = Builder::new();
        let x = b.load(b.slot(dtype, Stride::Unit));
        b.store(b.slot(dtype, Stride::Unit), x);
        let slots = vec![access(from, 0, &[1]), access(to, 0, &[1])];
        maker.nest(&[], vec![map_stage(count, b.finish(), slots)], Split::Never);
    }
    for dtype in [DType::F32, DType::F64] {
        for (m, n, k) in [(5, 3, 4), (40, 37, 9), (29, 64, 70), (1, 50, 8)] {
            let case = Case::plain(dtype, m, n, k);
            let (mut maker, mut rng) = (Maker::default(), Rng(n as u64));
            let left = case.operand(&mut maker, &mut rng, m, k, Layout::Transposed);
            let right = case.operand(&mut maker, &mut rng, k, n, Layout::Normal);
            let (left, right) = (Operand::Stored(left), Operand::Stored(right));
            let before = maker.input(tame(dtype, m * n, &mut rng));
            let parameters = maker.arena(dtype, m * n);
            copy(&mut maker, dtype, m * n, before, parameters);
            let (b, ty) = (Builder::new(), Type::of(dtype));
            let sum = b.param(ty);
            let old = b.load(b.slot(dtype, Stride::Unit));
            let step = b.mul(sum, b.f(ty, 0.25));
            b.store(b.slot(dtype, Stride::Unit), b.sub(old, step));
            let place = access(parameters, 0, &[n as i64, 1]);
            let slots = vec![place.clone(), place];
            let epilogue = Body { program: b.finish(), slots, params: Vec::new() };
            let batch = SmallVec::new();
            let product = Product { batch, m, n, k, dtype, left, right, epilogue };
            maker.kernel(Work::Product(product));
            let after = maker.output(dtype, m * n);
            copy(&mut maker, dtype, m * n, parameters, after);
            check_within(maker, Close::Within(1e-5), SMALL_BLOCKS);
        }
    }
}
