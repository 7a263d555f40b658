//! Work along one axis that is no loop of independent elements: running combinations, recurrences,
//! sorting.
//!
//! A tensor is `[outer, n, inner]` around the axis. Rows of `outer` are independent and are divided
//! over threads; within one the order is that of the axis, so results do not depend on the threads.

use crate::{Element, Pool};
use std::cmp::Ordering;
use std::sync::{Mutex, PoisonError};

/// How a running combination combines.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Running {
    /// The sum so far.
    Sum,
    /// The product so far.
    Prod,
    /// The largest so far; a NaN stays.
    Max,
    /// The smallest so far; a NaN stays.
    Min,
    /// The logarithm of the sum of exponentials so far.
    LogSumExp,
}

/// The sizes around an axis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Around {
    /// Product of the sizes before the axis.
    pub outer: usize,
    /// Size of the axis.
    pub n: usize,
    /// Product of the sizes after it.
    pub inner: usize,
}

impl Running {
    /// Every one.
    pub const ALL: [Running; 5] =
        [Running::Sum, Running::Prod, Running::Max, Running::Min, Running::LogSumExp];

    /// The name in texts.
    pub const fn name(self) -> &'static str {
        match self {
            Running::Sum => "sum",
            Running::Prod => "prod",
            Running::Max => "max",
            Running::Min => "min",
            Running::LogSumExp => "logsumexp",
        }
    }

    /// The one of this name.
    pub fn from_name(name: &str) -> Option<Running> {
        Running::ALL.into_iter().find(|running| running.name() == name)
    }

    /// The next value of floats.
    pub fn next(self, so_far: f64, x: f64) -> f64 {
        match self {
            Running::Sum => so_far + x,
            Running::Prod => so_far * x,
            Running::Max if so_far.is_nan() || so_far > x => so_far,
            Running::Min if so_far.is_nan() || so_far < x => so_far,
            Running::Max | Running::Min => x,
            Running::LogSumExp => {
                let (low, high) = if so_far < x { (so_far, x) } else { (x, so_far) };
                // Equal infinities have no difference; a NaN is passed on.
                if low == high && low.is_infinite() {
                    return low;
                }
                high + (low - high).exp().ln_1p()
            }
        }
    }

    /// The next value of integers, which wrap.
    pub fn next_int(self, so_far: i64, x: i64) -> i64 {
        match self {
            Running::Sum => so_far.wrapping_add(x),
            Running::Prod => so_far.wrapping_mul(x),
            Running::Max => so_far.max(x),
            Running::Min => so_far.min(x),
            Running::LogSumExp => unreachable!("logarithms are of floats"),
        }
    }
}

/// Running combinations of `x` along the axis. State is kept in `f64` and rounded at each element;
/// integers wrap.
pub fn running<T: Element>(op: Running, x: &[T], around: Around, out: &mut [T], pool: &Pool) {
    rows(around, out, pool, |row, out| {
        let x = &x[row * around.n * around.inner..][..out.len()];
        if T::DTYPE.is_float() {
            scan(x, around, out, T::to_f64, T::from_f64, |so_far, x| op.next(so_far, x));
        } else {
            scan(x, around, out, T::to_i64, T::from_i64, |so_far, x| op.next_int(so_far, x));
        }
    });
}

/// One row, with a state of type `S` for each place of the inner axes.
fn scan<T: Element, S: Copy>(
    x: &[T],
    around: Around,
    out: &mut [T],
    widen: fn(T) -> S,
    narrow: fn(S) -> T,
    next: impl Fn(S, S) -> S,
) {
    if out.is_empty() {
        return;
    }
    let (first, rest) = x.split_at(around.inner);
    let mut state: Vec<S> = first.iter().map(|&x| widen(x)).collect();
    let (out_first, out_rest) = out.split_at_mut(around.inner);
    out_first.copy_from_slice(first);
    for (x, out) in rest.chunks(around.inner).zip(out_rest.chunks_mut(around.inner)) {
        for ((s, &x), out) in state.iter_mut().zip(x).zip(out) {
            *s = next(*s, widen(x));
            *out = narrow(*s);
        }
    }
}

/// `out[i] = factor[i] * out[i - 1] + x[i]` along the axis, from 0; the state is kept in `f64`.
pub fn recurrence<T: Element>(factor: &[T], x: &[T], around: Around, out: &mut [T], pool: &Pool) {
    rows(around, out, pool, |row, out| {
        let from = row * around.n * around.inner;
        let mut state = vec![0.0f64; around.inner];
        for (step, out) in out.chunks_mut(around.inner.max(1)).enumerate() {
            let at = from + step * around.inner;
            let both = factor[at..].iter().zip(&x[at..]);
            for ((s, (a, x)), out) in state.iter_mut().zip(both).zip(out) {
                // Nothing comes before the first, however infinite its factor.
                *s = if step == 0 { x.to_f64() } else { a.to_f64() * *s + x.to_f64() };
                *out = T::from_f64(*s);
            }
        }
    });
}

/// Positions along the axis in the order of their elements, equal ones in the order of positions.
/// A NaN is larger than any number.
pub fn argsort<T: Element>(
    x: &[T],
    descending: bool,
    around: Around,
    out: &mut [i64],
    pool: &Pool,
) {
    let Around { n, inner, .. } = around;
    rows(around, out, pool, |row, out| {
        let mut order: Vec<i64> = Vec::with_capacity(n);
        for place in 0..inner {
            let key = |i: i64| x[(row * n + i as usize) * inner + place];
            order.clear();
            order.extend(0..n as i64);
            order.sort_by(|&a, &b| {
                let order = compare(key(a), key(b));
                if descending { order.reverse() } else { order }
            });
            for (i, &from) in order.iter().enumerate() {
                out[i * inner + place] = from;
            }
        }
    });
}

/// The order of elements: NaN above all, zeros equal.
pub fn compare<T: Element>(a: T, b: T) -> Ordering {
    if !T::DTYPE.is_float() {
        return a.to_i64().cmp(&b.to_i64());
    }
    let (a, b) = (a.to_f64(), b.to_f64());
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Elements that a task has at least, rows permitting.
const TASK: usize = 1 << 13;

/// Calls `f` with the number and the elements of each row of `outer`, on the threads of the pool.
fn rows<T: Send>(around: Around, out: &mut [T], pool: &Pool, f: impl Fn(usize, &mut [T]) + Sync) {
    let width = around.n * around.inner;
    if width == 0 {
        return;
    }
    let group = TASK.div_ceil(width);
    let tasks: Vec<Mutex<&mut [T]>> = out.chunks_mut(group * width).map(Mutex::new).collect();
    pool.run(tasks.len(), |task| {
        let mut part = tasks[task].lock().unwrap_or_else(PoisonError::into_inner);
        for (i, row) in part.chunks_mut(width).enumerate() {
            f(task * group + i, row);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: Around = Around { outer: 2, n: 3, inner: 1 };
    const COLUMNS: Around = Around { outer: 1, n: 3, inner: 2 };

    fn run<T: Element>(op: Running, x: &[T], around: Around) -> Vec<T> {
        let mut out = x.to_vec();
        running(op, x, around, &mut out, &Pool::new(2));
        out
    }

    #[test]
    fn combinations_run_along_the_axis() {
        assert_eq!(run(Running::Sum, &[1, 2, 3, 4, 5, 6], ROWS), [1, 3, 6, 4, 9, 15]);
        assert_eq!(run(Running::Sum, &[1, 2, 3, 4, 5, 6], COLUMNS), [1, 2, 4, 6, 9, 12]);
        assert_eq!(run(Running::Prod, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], ROWS)[4..], [20.0, 120.0]);
        assert_eq!(run(Running::Max, &[3, 1, 4, 1, 5, 2], ROWS), [3, 3, 4, 1, 5, 5]);
        assert_eq!(run(Running::Sum, &[200u8, 100, 1], Around { outer: 1, ..ROWS }), [200, 44, 45]);
        let nan = run(Running::Min, &[1.0, f64::NAN, 0.0], Around { outer: 1, ..ROWS });
        assert!(nan[0] == 1.0 && nan[1].is_nan() && nan[2].is_nan());
    }

    #[test]
    fn logarithms_of_sums_do_not_overflow() {
        let logs = run(Running::LogSumExp, &[1e3, 1e3, -1e3], Around { outer: 1, ..ROWS });
        assert!((logs[1] - (1e3 + 2f64.ln())).abs() < 1e-12 && logs[2] == logs[1]);
        let low = f64::NEG_INFINITY;
        assert_eq!(
            run(Running::LogSumExp, &[low, low, 0.0], Around { outer: 1, ..ROWS })[1..],
            [low, 0.0]
        );
    }

    #[test]
    fn recurrences_start_at_nothing() {
        let (a, x) = ([f64::INFINITY, 2.0, 0.5, 7.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0, 2.0, 3.0]);
        let mut out = [0.0; 6];
        recurrence(&a, &x, ROWS, &mut out, &Pool::new(1));
        assert_eq!(out, [1.0, 3.0, 2.5, 1.0, 3.0, 6.0]);
    }

    #[test]
    fn sorting_is_stable_and_puts_nan_last() {
        let order = |x: &[f64], descending| {
            let mut out = vec![0; x.len()];
            let around = Around { outer: 1, n: x.len(), inner: 1 };
            argsort(x, descending, around, &mut out, &Pool::new(2));
            out
        };
        assert_eq!(order(&[2.0, f64::NAN, -1.0, 2.0, -0.0, 0.0], false), [2, 4, 5, 0, 3, 1]);
        assert_eq!(order(&[2.0, f64::NAN, -1.0, 2.0], true), [1, 0, 3, 2]);
        let mut out = [0; 6];
        argsort(&[3, 1, 2, 2, 1, 3], false, COLUMNS, &mut out, &Pool::new(1));
        assert_eq!(out, [2, 0, 1, 1, 0, 2]);
    }
}
