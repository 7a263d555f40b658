//! Small dense linear algebra on batches of matrices, computed in `f64` whatever the element type.
//!
//! Matrices are row-major. Those of a batch are independent and are divided over threads.

use crate::{Element, Pool};
use pulp::{Arch, Simd, WithSimd};
use std::sync::{Mutex, PoisonError};

/// What is done with each matrix.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Linear {
    /// The lower triangular factor of the symmetric part; NaN where it is not positive definite.
    Cholesky,
    /// `A⁻¹ B`, by elimination with row exchanges.
    Solve,
    /// `L⁻¹ B` for the lower triangle of the matrix.
    SolveLower,
    /// The determinant.
    Det,
    /// Its sign: -1, 0 or 1.
    DetSign,
    /// The logarithm of its magnitude.
    LogAbsDet,
}

impl Linear {
    /// Every one.
    pub const ALL: [Linear; 6] = [
        Linear::Cholesky,
        Linear::Solve,
        Linear::SolveLower,
        Linear::Det,
        Linear::DetSign,
        Linear::LogAbsDet,
    ];

    /// The name in texts.
    pub const fn name(self) -> &'static str {
        match self {
            Linear::Cholesky => "cholesky",
            Linear::Solve => "solve",
            Linear::SolveLower => "solve_lower",
            Linear::Det => "det",
            Linear::DetSign => "det_sign",
            Linear::LogAbsDet => "log_abs_det",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Linear> {
        Linear::ALL.into_iter().find(|linear| linear.name() == name)
    }

    /// Whether it takes right-hand sides.
    pub const fn solves(self) -> bool {
        matches!(self, Linear::Solve | Linear::SolveLower)
    }

    /// Elements of a result for a matrix of `n` rows and `m` right-hand sides.
    pub const fn elements(self, n: usize, m: usize) -> usize {
        match self {
            Linear::Cholesky => n * n,
            Linear::Solve | Linear::SolveLower => n * m,
            Linear::Det | Linear::DetSign | Linear::LogAbsDet => 1,
        }
    }
}

/// Does it with each `n × n` matrix of `a`, and `n × m` right-hand sides of `b` where it takes any.
pub fn run<T: Element>(
    op: Linear,
    a: &[T],
    b: Option<&[T]>,
    [n, m]: [usize; 2],
    out: &mut [T],
    pool: &Pool,
) {
    let each = op.elements(n, m);
    if each == 0 {
        return;
    }
    let tasks: Vec<Mutex<&mut [T]>> = out.chunks_mut(each).map(Mutex::new).collect();
    let wide = |x: &[T], at: usize, len: usize| -> Vec<f64> {
        x[at * len..(at + 1) * len].iter().map(|x| x.to_f64()).collect()
    };
    pool.run(tasks.len(), |task| {
        let a = wide(a, task, n * n);
        let right = b.map_or_else(Vec::new, |b| wide(b, task, n * m));
        let result = of_one(op, a, right, [n, m]);
        let mut out = tasks[task].lock().unwrap_or_else(PoisonError::into_inner);
        out.iter_mut().zip(result).for_each(|(o, x)| *o = T::from_f64(x));
    });
}

/// What is done with one matrix and its right-hand sides.
fn of_one(op: Linear, mut a: Vec<f64>, mut right: Vec<f64>, [n, m]: [usize; 2]) -> Vec<f64> {
    match op {
        Linear::Cholesky => {
            cholesky(&mut a, n);
            a
        }
        Linear::Solve => {
            eliminate(&mut a, n, &mut right, m);
            substitute_back(&a, n, &mut right, m);
            right
        }
        Linear::SolveLower => {
            substitute(&a, n, &mut right, m);
            right
        }
        Linear::Det | Linear::DetSign | Linear::LogAbsDet => {
            let sign = eliminate(&mut a, n, &mut [], 0);
            let pivots = (0..n).map(|i| a[i * n + i]);
            vec![match op {
                Linear::Det => pivots.fold(sign, |product, p| product * p),
                Linear::DetSign => pivots.fold(sign, |product, p| product * signum(p)),
                _ => pivots.fold(0.0, |sum, p| sum + p.abs().ln()),
            }]
        }
    }
}

fn signum(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

/// `row -= factor * other`.
fn subtract(row: &mut [f64], factor: f64, other: &[f64]) {
    row.iter_mut().zip(other).for_each(|(x, y)| *x -= factor * y);
}

/// Rows that are taken away from others together: what they are taken from is read and written once
/// for all. One after another all the same, so no bit depends on it.
const PANEL: usize = 8;

/// A matrix of at most so many rows is one panel: nothing is behind it.
const SMALL: usize = 24;

/// Takes rows from a row, each times its factor, in vectors, whose operations round as single ones
/// do.
struct Subtract<'a> {
    row: &'a mut [f64],
    factors: &'a [f64],
    /// The rows, so long each, and the first of their columns that counts.
    others: &'a [f64],
    width: usize,
    from: usize,
}

impl WithSimd for Subtract<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Subtract { row, factors, others, width, from } = self;
        let len = row.len();
        let other = |k: usize| &others[k * width + from..][..len];
        let (panels, rest) = factors.as_chunks::<PANEL>();
        let (vectors, tail) = S::as_mut_simd_f64s(row);
        for (at, factors) in (0..).step_by(PANEL).zip(panels) {
            let others: [_; PANEL] = std::array::from_fn(|k| S::as_simd_f64s(other(at + k)));
            let splat = factors.map(|factor| simd.splat_f64s(factor));
            for (i, x) in vectors.iter_mut().enumerate() {
                let mut sum = *x;
                for (factor, (other, _)) in splat.into_iter().zip(others) {
                    sum = simd.sub_f64s(sum, simd.mul_f64s(factor, other[i]));
                }
                *x = sum;
            }
            for (factor, (_, other)) in factors.iter().zip(others) {
                subtract(tail, *factor, other);
            }
        }
        for (k, &factor) in (panels.len() * PANEL..).zip(rest) {
            let (others, other) = S::as_simd_f64s(other(k));
            let splat = simd.splat_f64s(factor);
            for (x, &other) in vectors.iter_mut().zip(others) {
                *x = simd.sub_f64s(*x, simd.mul_f64s(splat, other));
            }
            subtract(tail, factor, other);
        }
    }
}

/// The factor of the symmetric part, with zeros above the diagonal. Row `j` of the upper triangle
/// becomes column `j` of the factor, which is taken from the rows below it.
fn cholesky(a: &mut [f64], n: usize) {
    let arch = Arch::new();
    for i in 0..n {
        for j in 0..i {
            a[j * n + i] = 0.5 * (a[i * n + j] + a[j * n + i]);
            a[i * n + j] = 0.0;
        }
    }
    for first in (0..n).step_by(PANEL) {
        let last = n.min(first + PANEL);
        let (above, below) = a.split_at_mut(last * n);
        let panel = &mut above[first * n..];
        for j in first..last {
            let (row, others) = panel[(j - first) * n..].split_at_mut(n);
            let row = &mut row[j..];
            if row[0].is_nan() || row[0] <= 0.0 {
                a.fill(f64::NAN);
                return;
            }
            let pivot = row[0].sqrt();
            row[0] = pivot;
            row[1..].iter_mut().for_each(|x| *x /= pivot);
            for (i, other) in (j + 1..).zip(others.chunks_mut(n)) {
                subtract(&mut other[i..], row[i - j], &row[i - j..]);
            }
        }
        for (i, row) in (last..).zip(below.chunks_mut(n)) {
            let mut factors = [0.0; PANEL];
            for (factor, row) in factors.iter_mut().zip(panel.chunks(n)) {
                *factor = row[i];
            }
            let factors = &factors[..last - first];
            let row = &mut row[i..];
            arch.dispatch(Subtract { row, factors, others: panel, width: n, from: i });
        }
    }
    for i in 0..n {
        for j in 0..i {
            a[i * n + j] = std::mem::take(&mut a[j * n + i]);
        }
    }
}

/// Row `i` of `b`, the rows above it and those below it.
fn around(b: &mut [f64], m: usize, i: usize) -> (&[f64], &mut [f64], &[f64]) {
    let (above, rest) = b.split_at_mut(i * m);
    let (row, below) = rest.split_at_mut(m);
    (above, row, below)
}

/// Brings `a` to upper triangular form, the largest pivot of each column first, doing the same to
/// the right-hand sides. Below the diagonal the factors stay that rows were taken away with. Gives
/// the sign of the exchanges.
fn eliminate(a: &mut [f64], n: usize, b: &mut [f64], m: usize) -> f64 {
    let arch = Arch::new();
    let mut sign = 1.0;
    let panel = if n <= SMALL { SMALL } else { PANEL };
    for first in (0..n).step_by(panel) {
        let last = n.min(first + panel);
        for column in first..last {
            let best = largest(a, n, column);
            if best != column {
                (0..n).for_each(|k| a.swap(best * n + k, column * n + k));
                (0..m).for_each(|k| b.swap(best * m + k, column * m + k));
                sign = -sign;
            }
            let (above, below) = a.split_at_mut((column + 1) * n);
            let upper = &above[column * n..][..last];
            for row in below.chunks_mut(n) {
                let pivot = upper[column];
                let factor = if pivot == 0.0 { 0.0 } else { row[column] / pivot };
                row[column] = factor;
                subtract(&mut row[column + 1..last], factor, &upper[column + 1..]);
            }
        }
        // What the columns of the panel do to those behind it.
        for i in first + 1..n {
            let (above, row) = a.split_at_mut(i * n);
            let (factors, rest) = row[..n].split_at_mut(last);
            let (others, factors) = (&above[first * n..], &factors[first..last.min(i)]);
            arch.dispatch(Subtract { row: rest, factors, others, width: n, from: last });
            let (above, row, _) = around(b, m, i);
            let others = &above[first * m..];
            arch.dispatch(Subtract { row, factors, others, width: m, from: 0 });
        }
    }
    sign
}

/// The row, from that of the diagonal on, that has the largest element of a column.
fn largest(a: &[f64], n: usize, column: usize) -> usize {
    let size = |row: usize| a[row * n + column].abs();
    let mut best = column;
    for row in column + 1..n {
        if size(row) > size(best) {
            best = row;
        }
    }
    best
}

/// Solves by the upper triangle.
fn substitute_back(a: &[f64], n: usize, b: &mut [f64], m: usize) {
    let arch = Arch::new();
    for row in (0..n).rev() {
        let (_, known, others) = around(b, m, row);
        let (pivot, factors) = (a[row * n + row], &a[row * n..][row + 1..n]);
        arch.dispatch(Subtract { row: known, factors, others, width: m, from: 0 });
        known.iter_mut().for_each(|x| *x /= pivot);
    }
}

/// Solves by the lower triangle.
fn substitute(a: &[f64], n: usize, b: &mut [f64], m: usize) {
    let arch = Arch::new();
    for row in 0..n {
        let (others, known, _) = around(b, m, row);
        let (pivot, factors) = (a[row * n + row], &a[row * n..][..row]);
        arch.dispatch(Subtract { row: known, factors, others, width: m, from: 0 });
        known.iter_mut().for_each(|x| *x /= pivot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{key, normal_f64};

    fn of(op: Linear, a: &[f64], b: &[f64], n: usize) -> Vec<f64> {
        let m = b.len() / n.max(1);
        let mut out = vec![0.0; op.elements(n, m)];
        run(op, a, op.solves().then_some(b), [n, m], &mut out, &Pool::new(1));
        out
    }

    #[test]
    fn small_cases_by_hand() {
        let a = [0.0, 2.0, 1.0, 1.0];
        assert_eq!(of(Linear::Det, &a, &[], 2), [-2.0]);
        assert_eq!(of(Linear::DetSign, &a, &[], 2), [-1.0]);
        assert_eq!(of(Linear::LogAbsDet, &a, &[], 2), [2f64.ln()]);
        assert_eq!(of(Linear::Solve, &a, &[2.0, 3.0], 2), [2.0, 1.0]);
        assert_eq!(of(Linear::SolveLower, &[2.0, 9.0, 1.0, 4.0], &[2.0, 5.0], 2), [1.0, 1.0]);
        assert_eq!(of(Linear::Cholesky, &[4.0, 2.0, 2.0, 5.0], &[], 2), [2.0, 0.0, 1.0, 2.0]);
        assert!(of(Linear::Cholesky, &[1.0, 2.0, 2.0, 1.0], &[], 2)[0].is_nan());
        assert_eq!(of(Linear::Det, &[1.0, 2.0, 2.0, 4.0], &[], 2), [0.0]);
        assert_eq!(of(Linear::Det, &[], &[], 0), [1.0]);
        assert!(of(Linear::LogAbsDet, &[], &[], 0)[0].is_sign_positive());
    }

    #[test]
    fn factors_and_solutions_give_back_what_they_are_of() {
        let n = 23;
        let g: Vec<f64> = (0..n * n).map(|i| normal_f64(key(1), i as u64)).collect();
        let product = |a: &dyn Fn(usize, usize) -> f64, b: &dyn Fn(usize, usize) -> f64| {
            let at = |i: usize, j: usize| (0..n).map(|k| a(i, k) * b(k, j)).sum::<f64>();
            (0..n * n).map(|i| at(i / n, i % n)).collect::<Vec<f64>>()
        };
        let close = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-10);
        let mut positive = product(&|i, k| g[i * n + k], &|k, j| g[j * n + k]);
        (0..n).for_each(|i| positive[i * n + i] += 1.0);
        let l = of(Linear::Cholesky, &positive, &[], n);
        assert!((0..n * n).all(|i| i % n <= i / n || l[i] == 0.0));
        assert!(close(&product(&|i, k| l[i * n + k], &|k, j| l[j * n + k]), &positive));
        let x = of(Linear::Solve, &g, &positive, n);
        assert!(close(&product(&|i, k| g[i * n + k], &|k, j| x[k * n + j]), &positive));
        let y = of(Linear::SolveLower, &l, &positive, n);
        assert!(close(&product(&|i, k| l[i * n + k], &|k, j| y[k * n + j]), &positive));
    }
}
