//! A left side for every rule that is code.

use super::rules::Raw;
use crate::graph::fused::ReduceOp;
use crate::graph::ops::naive::{LEAST, UNSIGNED};
use crate::graph::ops::{Contraction, Window};
use crate::graph::{Dim, MapOp, NodeId, Op};
use tensc_runtime::DType::{self, Bool, F32, I32, I64, U8};

/// A rule, and a graph with a place for it.
pub type Example = (&'static str, fn(&mut Raw) -> NodeId);

fn dims(sizes: &[i64]) -> smallvec::SmallVec<[Dim; 4]> {
    sizes.iter().map(|&n| Dim::Const(n)).collect()
}

impl Raw {
    fn x(&mut self, sizes: &[i64]) -> NodeId {
        self.input(F32, sizes)
    }
    fn reshape(&mut self, x: NodeId, sizes: &[i64]) -> NodeId {
        self.op(Op::Reshape(dims(sizes)), &[x])
    }
    fn transpose(&mut self, x: NodeId, perm: &[u8]) -> NodeId {
        self.op(Op::Transpose(perm.into()), &[x])
    }
    fn slice(&mut self, x: NodeId, starts: &[i64], lens: &[i64], steps: &[i64]) -> NodeId {
        let op = Op::Slice { starts: dims(starts), lens: dims(lens), steps: steps.into() };
        self.op(op, &[x])
    }
    fn pad(&mut self, x: NodeId, low: &[i64], high: &[i64]) -> NodeId {
        let zero = self.full(0.0, F32, &[]);
        let interior = low.iter().map(|_| 0).collect();
        self.op(Op::Pad { low: dims(low), high: dims(high), interior }, &[x, zero])
    }
    /// Windows along an axis: the first, how many, how long.
    fn windows(&mut self, x: NodeId, axis: u8, places: [i64; 3], dilation: i64) -> NodeId {
        let [start, count, size] = places.map(Dim::Const);
        self.op(Op::Window(Window { axis, start, count, size, stride: 1, dilation }), &[x])
    }
    fn reduce(&mut self, op: ReduceOp, x: NodeId, axes: &[u8]) -> NodeId {
        self.op(Op::Reduce(op, axes.into()), &[x])
    }
    fn sum(&mut self, x: NodeId, axes: &[u8]) -> NodeId {
        self.reduce(ReduceOp::Sum, x, axes)
    }
    fn contract(&mut self, a: NodeId, b: NodeId, batch: [&[u8]; 2], sum: [&[u8]; 2]) -> NodeId {
        let c = Contraction {
            left_batch: batch[0].into(),
            right_batch: batch[1].into(),
            left_sum: sum[0].into(),
            right_sum: sum[1].into(),
        };
        self.op(Op::Contract(c), &[a, b])
    }
    fn matmul(&mut self, a: NodeId, b: NodeId) -> NodeId {
        self.contract(a, b, [&[], &[]], [&[1], &[0]])
    }
    fn map(&mut self, op: MapOp, operands: &[NodeId]) -> NodeId {
        self.op(op, operands)
    }
    fn one_hot(&mut self, rows: i64, columns: i64) -> NodeId {
        let positions = Op::Iota { dtype: I64, shape: dims(&[rows, columns]), axis: 1 };
        let positions = self.op(positions, &[]);
        let index = self.input(I32, &[rows]);
        let index = self.map(MapOp::Abs, &[index]);
        let bound = self.full(columns as f64, I32, &[rows]);
        let index = self.map(MapOp::Rem, &[index, bound]);
        let index = self.op(Op::Convert(I64), &[index]);
        let index = self.op(Op::CheckIndex(Dim::Const(columns)), &[index]);
        let index = self.repeat(index, &[rows, columns], &[0]);
        self.map(MapOp::Eq, &[positions, index])
    }
}

/// The examples.
pub const EXAMPLES: &[Example] = &[
    ("commute", |g| {
        let (x, y) = (g.x(&[12, 12]), g.x(&[12, 12]));
        let (a, b) = (g.map(MapOp::Add, &[x, y]), g.map(MapOp::Add, &[y, x]));
        g.map(MapOp::Atan2, &[a, b])
    }),
    ("mirror-comparison", |g| {
        let (x, y) = (g.x(&[12, 12]), g.x(&[12, 12]));
        let (a, b) = (g.map(MapOp::Lt, &[x, y]), g.map(MapOp::Gt, &[y, x]));
        g.map(MapOp::Xor, &[a, b])
    }),
    ("mask-by-max", |g| {
        let x = g.x(&[12, 12]);
        let zero = g.full(0.0, F32, &[12, 12]);
        let (relu, mask) = (g.map(MapOp::Max, &[x, zero]), g.map(MapOp::Gt, &[x, zero]));
        g.map(MapOp::Select, &[mask, relu, x])
    }),
    ("div-power-of-two", |g| {
        let x = g.x(&[12, 12]);
        let by = g.full(-8.0, F32, &[12, 12]);
        g.map(MapOp::Div, &[x, by])
    }),
    ("div-power-of-two", |g| {
        // Beside a power of two, whose logarithm rounds to an integer: to be left alone.
        let x = g.input(DType::F64, &[12, 12]);
        let by = g.full(16.000_000_000_000_004, DType::F64, &[12, 12]);
        g.map(MapOp::Div, &[x, by])
    }),
    ("convert-same", |g| {
        let x = g.x(&[12]);
        g.op(Op::Convert(F32), &[x])
    }),
    ("convert-convert", |g| {
        let x = g.input(U8, &[12]);
        let wide = g.op(Op::Convert(I32), &[x]);
        g.op(Op::Convert(F32), &[wide])
    }),
    ("convert-convert", |g| {
        let x = g.input(DType::F16, &[12]);
        let wide = g.op(Op::Convert(F32), &[x]);
        g.op(Op::Convert(I32), &[wide])
    }),
    ("reshape-reshape", |g| {
        let x = g.x(&[4, 6]);
        let y = g.reshape(x, &[24]);
        g.reshape(y, &[3, 8])
    }),
    ("transpose-transpose", |g| {
        let x = g.x(&[2, 3, 4]);
        let y = g.transpose(x, &[2, 0, 1]);
        g.transpose(y, &[1, 0, 2])
    }),
    ("broadcast-broadcast", |g| {
        let x = g.x(&[4]);
        let y = g.repeat(x, &[3, 4], &[1]);
        g.repeat(y, &[3, 2, 4], &[0, 2])
    }),
    ("slice-slice", |g| {
        let x = g.x(&[9, 10]);
        let y = g.slice(x, &[1, 9], &[8, 5], &[1, -2]);
        g.slice(y, &[6, 1], &[3, 3], &[-2, 1])
    }),
    ("view-nothing", |g| {
        let x = g.x(&[3, 4]);
        g.reshape(x, &[3, 4])
    }),
    ("view-nothing", |g| {
        let x = g.x(&[3, 4]);
        g.transpose(x, &[0, 1])
    }),
    ("view-nothing", |g| {
        let x = g.x(&[3, 4]);
        g.repeat(x, &[3, 4], &[0, 1])
    }),
    ("view-nothing", |g| {
        let x = g.x(&[3, 4]);
        g.slice(x, &[0, 0], &[3, 4], &[1, 1])
    }),
    ("view-nothing", |g| {
        let x = g.x(&[3, 4]);
        g.pad(x, &[0, 0], &[0, 0])
    }),
    ("view-nothing", |g| {
        let x = g.x(&[3, 4]);
        g.op(Op::Concat(1), &[x])
    }),
    ("transpose-units", |g| {
        let x = g.x(&[3, 1, 4]);
        g.transpose(x, &[1, 0, 2])
    }),
    ("transpose-broadcast", |g| {
        let x = g.x(&[3, 4]);
        let y = g.repeat(x, &[3, 2, 4], &[0, 2]);
        g.transpose(y, &[2, 1, 0])
    }),
    ("slice-broadcast", |g| {
        let x = g.x(&[6]);
        let y = g.repeat(x, &[5, 6], &[1]);
        g.slice(y, &[1, 4], &[3, 2], &[1, -2])
    }),
    ("slice-concat", |g| {
        let (x, y) = (g.x(&[3, 4]), g.x(&[3, 5]));
        let both = g.op(Op::Concat(1), &[x, y]);
        g.slice(both, &[0, 8], &[3, 2], &[1, -3])
    }),
    ("slice-pad", |g| {
        let x = g.x(&[3, 4]);
        let y = g.pad(x, &[2, 1], &[1, 0]);
        g.slice(y, &[4, 1], &[3, 4], &[-1, 1])
    }),
    ("slice-pad", |g| {
        let x = g.x(&[3, 4]);
        let y = g.pad(x, &[2, 0], &[1, 0]);
        g.slice(y, &[0, 3], &[6, 2], &[1, -2])
    }),
    ("pad-window", |g| {
        let x = g.x(&[9, 4]);
        let windows = g.windows(x, 0, [1, 5, 3], 1);
        g.pad(windows, &[0, 0, 2], &[0, 0, 1])
    }),
    ("pad-pad", |g| {
        let x = g.x(&[3, 4]);
        let y = g.pad(x, &[1, 0], &[0, 2]);
        g.pad(y, &[2, 1], &[0, 3])
    }),
    ("slice-window", |g| {
        let x = g.x(&[9, 4]);
        let windows = g.windows(x, 0, [0, 5, 3], 2);
        g.slice(windows, &[1, 0, 3], &[3, 3, 2], &[1, 1, -2])
    }),
    ("gather-run", |g| {
        // From the place 0 or 1 on, as a slice of the language is made.
        let x = g.x(&[4, 9, 2]);
        let first = g.input(Bool, &[]);
        let first = g.op(Op::Convert(I64), &[first]);
        let first = g.repeat(first, &[5], &[]);
        let next = g.op(Op::Iota { dtype: I64, shape: dims(&[5]), axis: 0 }, &[]);
        let places = g.map(MapOp::Add, &[first, next]);
        let least = g.full(LEAST as f64, I64, &[5]);
        let places = g.map(MapOp::Max, &[places, least]);
        let unsigned = g.full(UNSIGNED as f64, I64, &[5]);
        let places = g.map(MapOp::And, &[places, unsigned]);
        let places = g.op(Op::CheckIndex(Dim::Const(9)), &[places]);
        g.op(Op::Gather(1), &[x, places])
    }),
    ("gather-counted", |g| {
        let x = g.x(&[4, 9, 2]);
        let next = g.op(Op::Iota { dtype: I64, shape: dims(&[5]), axis: 0 }, &[]);
        let three = g.full(3.0, I64, &[5]);
        let places = g.map(MapOp::Add, &[next, three]);
        let places = g.op(Op::CheckIndex(Dim::Const(9)), &[places]);
        g.op(Op::Gather(1), &[x, places])
    }),
    ("gather-counted", |g| {
        let x = g.x(&[9]);
        let places = g.op(Op::Iota { dtype: I64, shape: dims(&[4]), axis: 0 }, &[]);
        let places = g.op(Op::CheckIndex(Dim::Const(9)), &[places]);
        g.op(Op::Gather(0), &[x, places])
    }),
    ("view-of-map", |g| {
        let x = g.x(&[3, 4]);
        let two = g.full(2.0, F32, &[3, 4]);
        let y = g.map(MapOp::Mul, &[x, two]);
        g.transpose(y, &[1, 0])
    }),
    ("view-of-map", |g| {
        let x = g.x(&[3, 4]);
        let y = g.map(MapOp::Exp, &[x]);
        g.reshape(y, &[12])
    }),
    ("map-of-broadcasts", |g| {
        let (x, y) = (g.x(&[3]), g.x(&[3]));
        let (a, b) = (g.repeat(x, &[3, 4], &[0]), g.repeat(y, &[3, 4], &[0]));
        g.map(MapOp::Pow, &[a, b])
    }),
    ("map-of-broadcasts", |g| {
        let (x, y) = (g.x(&[3]), g.x(&[2]));
        let (a, b) = (g.repeat(x, &[3, 2, 4], &[0]), g.repeat(y, &[3, 2, 4], &[1]));
        g.map(MapOp::Div, &[a, b])
    }),
    ("extreme-of-repeats", |g| {
        let x = g.x(&[12]);
        let y = g.repeat(x, &[12, 4, 2], &[0]);
        g.reduce(ReduceOp::Max, y, &[0, 1])
    }),
    ("extreme-of-repeats", |g| {
        let x = g.input(Bool, &[12]);
        let y = g.repeat(x, &[12, 4], &[0]);
        g.reduce(ReduceOp::All, y, &[1])
    }),
    ("extreme-of-extreme", |g| {
        let x = g.x(&[3, 4, 12]);
        let y = g.reduce(ReduceOp::Min, x, &[1]);
        g.reduce(ReduceOp::Min, y, &[1])
    }),
    ("contract-transpose-left", |g| {
        let (x, w) = (g.x(&[4, 3]), g.x(&[4, 5]));
        let x = g.transpose(x, &[1, 0]);
        g.matmul(x, w)
    }),
    ("contract-transpose-left", |g| {
        let (x, w) = (g.x(&[2, 3, 4, 5]), g.x(&[4, 6]));
        let x = g.transpose(x, &[3, 1, 2, 0]);
        g.contract(x, w, [&[], &[]], [&[2], &[0]])
    }),
    ("contract-transpose-right", |g| {
        let (x, w) = (g.x(&[7, 3, 4]), g.x(&[5, 4, 7, 2]));
        let w = g.transpose(w, &[2, 3, 1, 0]);
        g.contract(x, w, [&[0], &[0]], [&[2], &[2]])
    }),
    ("slice-contract", |g| {
        let (x, w) = (g.x(&[7, 3, 4]), g.x(&[5, 4, 7]));
        let y = g.contract(x, w, [&[0], &[2]], [&[2], &[1]]);
        let y = g.transpose(y, &[2, 0, 1]);
        g.slice(y, &[1, 0, 2], &[3, 7, 2], &[1, 1, -1])
    }),
    ("sum-of-shifts", |g| {
        let (x, w) = (g.x(&[4, 2, 5]), g.x(&[3, 4]));
        let y = g.contract(x, w, [&[], &[]], [&[0], &[1]]);
        let y = g.pad(y, &[0, 2, 0], &[0, 2, 0]);
        let windows = g.windows(y, 1, [2, 7, 3], -1);
        let shifted = g.op(Op::Diagonal(2, 3), &[windows]);
        g.sum(shifted, &[2])
    }),
    ("sum-of-shifts", |g| {
        let (w, x) = (g.x(&[2, 6, 3]), g.x(&[5, 2, 6]));
        let y = g.contract(w, x, [&[0], &[1]], [&[1], &[2]]);
        let y = g.transpose(y, &[1, 2, 0]);
        let y = g.pad(y, &[0, 4, 0], &[0, 4, 0]);
        let windows = g.windows(y, 1, [4, 9, 3], -2);
        let shifted = g.op(Op::Diagonal(0, 2), &[windows]);
        g.sum(shifted, &[0])
    }),
    ("transpose-contract", |g| {
        let (x, w) = (g.x(&[3, 4]), g.x(&[4, 5]));
        let y = g.matmul(x, w);
        g.transpose(y, &[1, 0])
    }),
    ("transpose-contract", |g| {
        let (x, w) = (g.x(&[2, 7, 3, 4]), g.x(&[2, 7, 4, 5]));
        let y = g.contract(x, w, [&[0, 1], &[0, 1]], [&[3], &[2]]);
        g.transpose(y, &[1, 0, 2, 3])
    }),
    ("outer-product", |g| {
        let (x, w) = (g.x(&[3, 2]), g.x(&[5, 2]));
        g.contract(x, w, [&[1], &[1]], [&[], &[]])
    }),
    ("contract-broadcast-left", |g| {
        let (x, w) = (g.x(&[4]), g.x(&[4, 5]));
        let x = g.repeat(x, &[3, 4], &[1]);
        g.matmul(x, w)
    }),
    ("contract-broadcast-left", |g| {
        let (x, w) = (g.x(&[3]), g.x(&[2, 4, 5]));
        let x = g.repeat(x, &[2, 3, 4], &[1]);
        g.contract(x, w, [&[0], &[0]], [&[2], &[1]])
    }),
    ("contract-broadcast-right", |g| {
        let (x, w) = (g.x(&[2, 3, 4]), g.x(&[4]));
        let w = g.repeat(w, &[2, 4, 5], &[1]);
        g.contract(x, w, [&[0], &[0]], [&[2], &[1]])
    }),
    ("sum-of-product", |g| {
        let (x, w) = (g.x(&[3, 4]), g.x(&[5, 4]));
        let (a, b) = (g.repeat(x, &[3, 5, 4], &[0, 2]), g.repeat(w, &[3, 5, 4], &[1, 2]));
        let y = g.map(MapOp::Mul, &[a, b]);
        g.sum(y, &[2])
    }),
    ("sum-of-product", |g| {
        let (x, w) = (g.x(&[3, 4, 5]), g.x(&[4]));
        let b = g.repeat(w, &[3, 4, 5], &[1]);
        let y = g.map(MapOp::Mul, &[x, b]);
        g.sum(y, &[1])
    }),
    ("sum-of-repeats", |g| {
        let x = g.x(&[3]);
        let y = g.repeat(x, &[3, 4, 5], &[0]);
        g.sum(y, &[0, 2])
    }),
    ("sum-of-sum", |g| {
        let x = g.x(&[3, 4, 5]);
        let y = g.sum(x, &[1]);
        g.sum(y, &[0])
    }),
    ("sum-of-transpose", |g| {
        let x = g.x(&[3, 4, 5, 2]);
        let y = g.transpose(x, &[3, 1, 0, 2]);
        g.sum(y, &[1])
    }),
    ("sum-of-neg", |g| {
        let x = g.x(&[3, 4]);
        let y = g.map(MapOp::Neg, &[x]);
        g.sum(y, &[1])
    }),
    ("sum-of-one", |g| {
        let x = g.x(&[3, 1, 4]);
        g.sum(x, &[1])
    }),
    ("sum-of-one-hot", |g| {
        let hot = g.one_hot(6, 5);
        let (x, zero) = (g.x(&[6]), g.full(0.0, F32, &[6, 5]));
        let values = g.repeat(x, &[6, 5], &[0]);
        let chosen = g.map(MapOp::Select, &[hot, values, zero]);
        g.sum(chosen, &[1])
    }),
    ("sum-of-one-hot", |g| {
        let hot = g.one_hot(6, 5);
        let hot = g.op(Op::Convert(F32), &[hot]);
        let x = g.x(&[6]);
        let values = g.repeat(x, &[6, 5], &[0]);
        let chosen = g.map(MapOp::Mul, &[hot, values]);
        g.sum(chosen, &[1])
    }),
    ("sum-of-one-hot", |g| {
        let hot = g.one_hot(6, 5);
        let hot = g.op(Op::Convert(F32), &[hot]);
        g.sum(hot, &[1])
    }),
    ("log-sum-exp", |g| {
        let x = g.x(&[3, 4]);
        let exp = g.map(MapOp::Exp, &[x]);
        let sum = g.sum(exp, &[1]);
        g.map(MapOp::Log, &[sum])
    }),
    ("softmax", |g| {
        let x = g.x(&[3, 4]);
        let exp = g.map(MapOp::Exp, &[x]);
        let sum = g.sum(exp, &[0]);
        let sums = g.repeat(sum, &[3, 4], &[1]);
        g.map(MapOp::Div, &[exp, sums])
    }),
    ("scaled-softmax", |g| {
        let (x, scale) = (g.x(&[3, 4]), g.x(&[3]));
        let exp = g.map(MapOp::Exp, &[x]);
        let sum = g.sum(exp, &[1]);
        let scale = g.map(MapOp::Div, &[scale, sum]);
        let scales = g.repeat(scale, &[3, 4], &[0]);
        g.map(MapOp::Mul, &[scales, exp])
    }),
    ("scaled-softmax", |g| {
        let (x, scale) = (g.x(&[3, 4]), g.x(&[3, 4]));
        let exp = g.map(MapOp::Exp, &[x]);
        let sum = g.sum(exp, &[1]);
        let sums = g.repeat(sum, &[3, 4], &[0]);
        let scale = g.map(MapOp::Div, &[scale, sums]);
        g.map(MapOp::Mul, &[exp, scale])
    }),
    ("canonical-sum", |g| {
        let (x, y, z) = (g.x(&[9]), g.x(&[9]), g.x(&[9]));
        let one = g.full(1.0, F32, &[9]);
        let a = g.map(MapOp::Add, &[z, one]);
        let b = g.map(MapOp::Sub, &[x, a]);
        let c = g.map(MapOp::Add, &[b, y]);
        g.map(MapOp::Add, &[x, c])
    }),
    ("canonical-product", |g| {
        let (x, y) = (g.x(&[9]), g.x(&[9]));
        let three = g.full(3.0, F32, &[9]);
        let a = g.map(MapOp::Mul, &[x, three]);
        let b = g.map(MapOp::Mul, &[a, y]);
        let c = g.map(MapOp::Mul, &[b, three]);
        g.map(MapOp::Mul, &[c, x])
    }),
    ("div-constant", |g| {
        let x = g.x(&[9]);
        let by = g.full(3.0, F32, &[9]);
        g.map(MapOp::Div, &[x, by])
    }),
    ("sum-of-scaled", |g| {
        let (x, w) = (g.x(&[3, 4]), g.x(&[3]));
        let w = g.repeat(w, &[3, 4], &[0]);
        let y = g.map(MapOp::Mul, &[x, w]);
        g.sum(y, &[1])
    }),
    ("sum-of-scaled", |g| {
        let x = g.x(&[3, 4]);
        let by = g.full(7.0, F32, &[3, 4]);
        let y = g.map(MapOp::Div, &[x, by]);
        g.sum(y, &[0])
    }),
    ("contract-scaled", |g| {
        let (x, w, s) = (g.x(&[3, 4]), g.x(&[4, 2]), g.x(&[]));
        let s = g.repeat(s, &[3, 4], &[]);
        let x = g.map(MapOp::Mul, &[s, x]);
        g.matmul(x, w)
    }),
    ("scale-contract", |g| {
        let (x, w, s) = (g.x(&[9, 2]), g.x(&[2, 9]), g.x(&[]));
        let s = g.repeat(s, &[9, 9], &[]);
        let y = g.matmul(x, w);
        g.map(MapOp::Mul, &[y, s])
    }),
    ("factor-contract", |g| {
        let (x, y, w) = (g.x(&[3, 4]), g.x(&[3, 4]), g.x(&[4, 2]));
        let (a, b) = (g.matmul(x, w), g.matmul(y, w));
        g.map(MapOp::Add, &[a, b])
    }),
    ("matrix-chain", |g| {
        let (x, y, z) = (g.x(&[30, 4]), g.x(&[4, 30]), g.x(&[30, 2]));
        let a = g.matmul(x, y);
        g.matmul(a, z)
    }),
    ("masked-product", |g| {
        let (m, x) = (g.input(Bool, &[9]), g.x(&[9]));
        let m = g.op(Op::Convert(F32), &[m]);
        g.map(MapOp::Mul, &[m, x])
    }),
    ("div-repeated", |g| {
        let (x, y) = (g.x(&[4, 9]), g.x(&[4]));
        let y = g.repeat(y, &[4, 9], &[0]);
        g.map(MapOp::Div, &[x, y])
    }),
    ("lift", |g| {
        let x = g.x(&[12]);
        let y = g.map(MapOp::Exp, &[x]);
        g.map(MapOp::Neg, &[y])
    }),
    ("fuse-map", |g| {
        let (x, y) = (g.x(&[12, 12]), g.x(&[12, 12]));
        let z = g.map(MapOp::Max, &[x, y]);
        g.map(MapOp::Div, &[z, x])
    }),
    ("fuse-convert", |g| {
        let x = g.x(&[12]);
        let y = g.op(Op::Convert(I32), &[x]);
        g.map(MapOp::Neg, &[y])
    }),
    ("fuse-check-index", |g| {
        let x = g.input(Bool, &[12]);
        let y = g.op(Op::Convert(I64), &[x]);
        let y = g.op(Op::CheckIndex(Dim::Const(2)), &[y]);
        g.map(MapOp::Neg, &[y])
    }),
    ("fuse-iota", |g| {
        let x = g.input(I64, &[4, 5]);
        let y = g.op(Op::Iota { dtype: I64, shape: dims(&[4, 5]), axis: 1 }, &[]);
        g.map(MapOp::Mul, &[x, y])
    }),
    ("fuse-iota", |g| {
        let y = g.op(Op::Iota { dtype: F32, shape: dims(&[9]), axis: 0 }, &[]);
        let y = g.slice(y, &[8], &[4], &[-2]);
        g.map(MapOp::Sqrt, &[y])
    }),
    ("fuse-constant", |g| {
        let (x, two) = (g.x(&[12]), g.full(2.0, F32, &[12]));
        g.map(MapOp::Pow, &[two, x])
    }),
    ("fuse-broadcast", |g| {
        let (x, y) = (g.x(&[12]), g.x(&[3, 12]));
        let z = g.repeat(x, &[3, 12], &[1]);
        g.map(MapOp::Add, &[z, y])
    }),
    ("fuse-transpose", |g| {
        let (x, y) = (g.x(&[4, 12]), g.x(&[12, 4]));
        let z = g.transpose(x, &[1, 0]);
        g.map(MapOp::Sub, &[z, y])
    }),
    ("fuse-slice", |g| {
        let (x, y) = (g.x(&[14]), g.x(&[5]));
        let z = g.slice(x, &[12], &[5], &[-3]);
        g.map(MapOp::Sub, &[z, y])
    }),
    ("fuse-reshape", |g| {
        let (x, y) = (g.x(&[4, 1, 3]), g.x(&[1, 4, 3]));
        let z = g.reshape(x, &[1, 4, 3]);
        g.map(MapOp::Sub, &[z, y])
    }),
    ("fuse-reduce", |g| {
        let (x, y) = (g.x(&[12, 12]), g.x(&[12, 12]));
        let z = g.map(MapOp::Sub, &[x, y]);
        g.reduce(ReduceOp::Max, z, &[0])
    }),
];
