//! Small dense linear algebra on batches of matrices, computed in `f64` whatever the element type.
//!
//! Matrices are row-major. Those of a batch are independent and are divided over threads.

use crate::{Element, Pool};
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
        let mut a = wide(a, task, n * n);
        let mut right = b.map_or_else(Vec::new, |b| wide(b, task, n * m));
        let result = match op {
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
                let sign = eliminate(&mut a, n, &mut right, 0);
                let pivots = (0..n).map(|i| a[i * n + i]);
                vec![match op {
                    Linear::Det => pivots.fold(sign, |product, p| product * p),
                    Linear::DetSign => pivots.fold(sign, |product, p| product * signum(p)),
                    _ => pivots.map(|p| p.abs().ln()).sum(),
                }]
            }
        };
        let mut out = tasks[task].lock().unwrap_or_else(PoisonError::into_inner);
        out.iter_mut().zip(result).for_each(|(o, x)| *o = T::from_f64(x));
    });
}

fn signum(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

/// The factor of the symmetric part, column by column, with zeros above the diagonal.
fn cholesky(a: &mut [f64], n: usize) {
    for i in 0..n {
        for j in 0..i {
            a[i * n + j] = 0.5 * (a[i * n + j] + a[j * n + i]);
            a[j * n + i] = 0.0;
        }
    }
    for j in 0..n {
        let squares: f64 = (0..j).map(|k| a[j * n + k] * a[j * n + k]).sum();
        let pivot = a[j * n + j] - squares;
        if pivot.is_nan() || pivot <= 0.0 {
            a.fill(f64::NAN);
            return;
        }
        let pivot = pivot.sqrt();
        a[j * n + j] = pivot;
        for i in j + 1..n {
            let products: f64 = (0..j).map(|k| a[i * n + k] * a[j * n + k]).sum();
            a[i * n + j] = (a[i * n + j] - products) / pivot;
        }
    }
}

/// Brings `a` to upper triangular form, the largest pivot of each column first, doing the same to
/// the right-hand sides. Gives the sign of the exchanges.
fn eliminate(a: &mut [f64], n: usize, b: &mut [f64], m: usize) -> f64 {
    let mut sign = 1.0;
    for column in 0..n {
        let size = |row: usize, a: &[f64]| a[row * n + column].abs();
        let mut best = column;
        for row in column + 1..n {
            if size(row, a) > size(best, a) {
                best = row;
            }
        }
        if best != column {
            (0..n).for_each(|k| a.swap(best * n + k, column * n + k));
            (0..m).for_each(|k| b.swap(best * m + k, column * m + k));
            sign = -sign;
        }
        let pivot = a[column * n + column];
        for row in column + 1..n {
            let factor = a[row * n + column] / pivot;
            if factor == 0.0 || pivot == 0.0 {
                continue;
            }
            (column..n).for_each(|k| a[row * n + k] -= factor * a[column * n + k]);
            (0..m).for_each(|k| b[row * m + k] -= factor * b[column * m + k]);
        }
    }
    sign
}

/// Solves by the upper triangle.
fn substitute_back(a: &[f64], n: usize, b: &mut [f64], m: usize) {
    for row in (0..n).rev() {
        for k in 0..m {
            let known: f64 = (row + 1..n).map(|c| a[row * n + c] * b[c * m + k]).sum();
            b[row * m + k] = (b[row * m + k] - known) / a[row * n + row];
        }
    }
}

/// Solves by the lower triangle.
fn substitute(a: &[f64], n: usize, b: &mut [f64], m: usize) {
    for row in 0..n {
        for k in 0..m {
            let known: f64 = (0..row).map(|c| a[row * n + c] * b[c * m + k]).sum();
            b[row * m + k] = (b[row * m + k] - known) / a[row * n + row];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    }
}
