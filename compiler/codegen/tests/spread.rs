//! Products of spread operands, the windows of convolutions, against the naive sum.

use super::products::SMALL_BLOCKS;
use super::support::{Close, Maker, Rng, access, check_within, tame};
use crate::codegen::limits::Limits;
use crate::kernel::{Body, Operand, Product, Spread, Work};
use crate::vector::{Builder, Stride, Type};
use smallvec::SmallVec;
use tensc_runtime::DType;

/// A convolution: images, channels in and out, rows and columns of the result, and of windows.
#[derive(Clone, Copy, Debug)]
struct Conv {
    images: usize,
    inward: usize,
    outward: usize,
    rows: usize,
    columns: usize,
    window: [usize; 2],
    dtype: DType,
}

type Sides = [SmallVec<[usize; 4]>; 2];

fn sides(first: &[usize], second: &[usize]) -> Sides {
    [SmallVec::from_slice(first), SmallVec::from_slice(second)]
}

fn int(x: usize) -> i64 {
    x as i64
}

impl Conv {
    fn row(&self) -> usize {
        self.columns + self.window[1] - 1
    }

    fn channel(&self) -> usize {
        self.row() * (self.rows + self.window[0] - 1)
    }

    fn depth(&self) -> usize {
        self.inward * self.window[0] * self.window[1]
    }

    fn positions(&self) -> usize {
        self.rows * self.columns
    }

    /// Windows of an input, over images, then channels and offsets, then positions.
    fn windows(&self, maker: &mut Maker, rng: &mut Rng) -> (Vec<i64>, crate::kernel::BufferId) {
        let image = self.inward * self.channel();
        let buffer = maker.input(tame(self.dtype, self.images * image, rng));
        let (row, channel) = (int(self.row()), int(self.channel()));
        (vec![int(image), channel, row, 1, row, 1], buffer)
    }

    fn offsets(&self) -> [usize; 3] {
        [self.inward, self.window[0], self.window[1]]
    }

    /// Stores the sums densely over batch, rows, columns, with a number added.
    fn epilogue(&self, maker: &mut Maker, batch: usize, m: usize, n: usize) -> Body {
        let out = maker.output(self.dtype, batch * m * n);
        let (b, ty) = (Builder::new(), Type::of(self.dtype));
        let sum = b.param(ty);
        let sum = if m.is_multiple_of(2) { sum } else { b.add(sum, b.f(ty, 0.5)) };
        b.store(b.slot(self.dtype, Stride::Unit), sum);
        let strides: Vec<i64> = match batch {
            1 => vec![int(n), 1],
            _ => vec![int(m * n), int(n), 1],
        };
        Body { program: b.finish(), slots: vec![access(out, 0, &strides)], params: Vec::new() }
    }

    fn check(&self, maker: Maker, limits: Limits) {
        let depth = (self.images * self.positions().max(self.depth())) as f64;
        let unit = if self.dtype == DType::F64 { 1e-15 } else { 1e-6 };
        check_within(maker, Close::Within(unit * (depth.sqrt() + 1.0) * 4.0), limits);
    }

    /// Weights times windows, image by image.
    fn forward(&self, limits: Limits) {
        let (mut maker, mut rng) = (Maker::default(), Rng(int(self.depth()) as u64));
        let (strides, buffer) = self.windows(&mut maker, &mut rng);
        let [i, h, w] = self.offsets();
        let right = Spread {
            access: access(buffer, 0, &strides),
            axes: sides(&[i, h, w], &[self.rows, self.columns]),
            turned: false,
        };
        let (m, k, n) = (self.outward, self.depth(), self.positions());
        let weights = maker.input(tame(self.dtype, m * k, &mut rng));
        let left = Operand::Stored(access(weights, 0, &[0, int(k), 1]));
        let batch = SmallVec::from_slice(&[self.images]);
        let epilogue = self.epilogue(&mut maker, self.images.max(2), m, n);
        let (dtype, right) = (self.dtype, Operand::Spread(right));
        maker.kernel(Work::Product(Product { batch, m, n, k, dtype, left, right, epilogue }));
        self.check(maker, limits);
    }

    /// The gradient by the result times windows: what the gradient by the weights is.
    fn by_weights(&self, limits: Limits) {
        let (mut maker, mut rng) = (Maker::default(), Rng(int(self.depth()) as u64));
        let (strides, buffer) = self.windows(&mut maker, &mut rng);
        let [i, h, w] = self.offsets();
        let &[image, channel, row, one, down, across] = &strides[..] else { unreachable!() };
        let right = Spread {
            access: access(buffer, 0, &[image, down, across, channel, row, one]),
            axes: sides(&[self.images, self.rows, self.columns], &[i, h, w]),
            turned: true,
        };
        let (m, n, positions) = (self.outward, self.depth(), self.positions());
        let result = maker.input(tame(self.dtype, self.images * m * positions, &mut rng));
        let left = Spread {
            access: access(result, 0, &[int(positions), int(m * positions), 1]),
            axes: sides(&[m], &[self.images, positions]),
            turned: false,
        };
        let (k, batch) = (self.images * positions, SmallVec::new());
        let epilogue = self.epilogue(&mut maker, 1, m, n);
        let (left, right) = (Operand::Spread(left), Operand::Spread(right));
        let dtype = self.dtype;
        maker.kernel(Work::Product(Product { batch, m, n, k, dtype, left, right, epilogue }));
        self.check(maker, limits);
    }

    /// Windows times weights, windows of all images being the rows, collected along either axis.
    fn rows_of_windows(&self, turned: bool, limits: Limits) {
        let (mut maker, mut rng) = (Maker::default(), Rng(int(self.depth()) as u64));
        let (strides, buffer) = self.windows(&mut maker, &mut rng);
        let [i, h, w] = self.offsets();
        let &[image, channel, row, one, down, across] = &strides[..] else { unreachable!() };
        let left = Spread {
            access: access(buffer, 0, &[image, down, across, channel, row, one]),
            axes: sides(&[self.images, self.rows, self.columns], &[i, h, w]),
            turned,
        };
        let (m, n, k) = (self.images * self.positions(), self.outward, self.depth());
        let weights = maker.input(tame(self.dtype, n * k, &mut rng));
        let right = Operand::Stored(access(weights, 0, &[int(n), 1]));
        let epilogue = self.epilogue(&mut maker, 1, m, n);
        let (left, dtype, batch) = (Operand::Spread(left), self.dtype, SmallVec::new());
        maker.kernel(Work::Product(Product { batch, m, n, k, dtype, left, right, epilogue }));
        self.check(maker, limits);
    }
}

#[test]
fn windows_are_collected_in_panels() {
    let sizes = [
        (2, 3, 5, 4, 6, [3, 3]),
        (3, 1, 16, 7, 7, [3, 2]),
        (1, 2, 33, 5, 17, [1, 3]),
        (2, 4, 8, 1, 40, [3, 1]),
        (1, 5, 20, 9, 1, [2, 2]),
        (2, 2, 64, 3, 64, [5, 5]),
        (1, 7, 3, 14, 14, [3, 3]),
    ];
    for dtype in [DType::F32, DType::F64] {
        for (images, inward, outward, rows, columns, window) in sizes {
            let conv = Conv { images, inward, outward, rows, columns, window, dtype };
            for limits in [Limits::default(), SMALL_BLOCKS] {
                conv.forward(limits);
                conv.by_weights(limits);
                conv.rows_of_windows(false, limits);
                conv.rows_of_windows(true, limits);
            }
        }
    }
}
