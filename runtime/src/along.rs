//! Work along one axis that is no loop of independent elements: running combinations, recurrences,
//! sorting.
//!
//! A tensor is `[outer, n, inner]` around the axis. Rows of `outer` are independent and are divided
//! over threads; within one the order is that of the axis, so results do not depend on the threads.

use crate::{Element, Pool};
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
    #[inline(always)]
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
    #[inline(always)]
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
    // Each has loops of its own: threads call them through a pointer, so that what it does has to
    // be in their type.
    macro_rules! scans {
        ($running:expr) => {
            scans(x, around, out, pool, |s, x| $running.next(s, x), |s, x| $running.next_int(s, x))
        };
    }
    match op {
        Running::Sum => scans!(Running::Sum),
        Running::Prod => scans!(Running::Prod),
        Running::Max => scans!(Running::Max),
        Running::Min => scans!(Running::Min),
        Running::LogSumExp => scans!(Running::LogSumExp),
    }
}

fn scans<T: Element>(
    x: &[T],
    around: Around,
    out: &mut [T],
    pool: &Pool,
    next: impl Fn(f64, f64) -> f64 + Copy + Sync,
    next_int: impl Fn(i64, i64) -> i64 + Copy + Sync,
) {
    rows(around, out, pool, |row, out| {
        let x = &x[row * around.n * around.inner..][..out.len()];
        if T::DTYPE.is_float() {
            scan(x, around, out, T::to_f64, T::from_f64, next);
        } else {
            scan(x, around, out, T::to_i64, T::from_i64, next_int);
        }
    });
}

/// Rows, with a state of type `S` for each place of the inner axes.
#[inline(always)]
fn scan<T: Element, S: Copy + Default>(
    x: &[T],
    Around { n, inner, .. }: Around,
    out: &mut [T],
    widen: fn(T) -> S,
    narrow: fn(S) -> T,
    next: impl Fn(S, S) -> S + Copy,
) {
    if inner == 1 {
        let load =
            |at, part: &mut [S]| part.iter_mut().zip(&x[at..]).for_each(|(p, &x)| *p = widen(x));
        return single_places(n, out, load, |x| x, next, narrow);
    }
    let mut state = vec![S::default(); inner];
    for (x, out) in x.chunks(n * inner).zip(out.chunks_mut(n * inner)) {
        let ((x_first, x_rest), (first, rest)) = (x.split_at(inner), out.split_at_mut(inner));
        state.iter_mut().zip(x_first).for_each(|(s, &x)| *s = widen(x));
        first.copy_from_slice(x_first);
        for (x, out) in x_rest.chunks(inner).zip(rest.chunks_mut(inner)) {
            for ((s, &x), out) in state.iter_mut().zip(x).zip(out) {
                *s = next(*s, widen(x));
                *out = narrow(*s);
            }
        }
    }
}

/// `out[i] = factor[i] * out[i - 1] + x[i]` along the axis, from 0; the state is kept in `f64`.
pub fn recurrence<T: Element>(factor: &[T], x: &[T], around: Around, out: &mut [T], pool: &Pool) {
    let width = around.n * around.inner;
    rows(around, out, pool, |row, out| {
        let (factor, x) = (&factor[row * width..], &x[row * width..]);
        if around.inner == 1 {
            let load = |at, part: &mut [(f64, f64)]| {
                let both = factor[at..].iter().zip(&x[at..]);
                part.iter_mut().zip(both).for_each(|(p, (a, x))| *p = (a.to_f64(), x.to_f64()));
            };
            // Nothing comes before the first, however infinite its factor.
            let next = |s: f64, (a, x)| a * s + x;
            return single_places(around.n, out, load, |(_, x)| x, next, T::from_f64);
        }
        let mut state = vec![0.0f64; around.inner];
        for (row, out) in out.chunks_mut(width).enumerate() {
            for (step, out) in out.chunks_mut(around.inner).enumerate() {
                let at = row * width + step * around.inner;
                let both = factor[at..].iter().zip(&x[at..]);
                for ((s, (a, x)), out) in state.iter_mut().zip(both).zip(out) {
                    *s = if step == 0 { x.to_f64() } else { a.to_f64() * *s + x.to_f64() };
                    *out = T::from_f64(*s);
                }
            }
        }
    });
}

/// Rows that are combined side by side where each has one place: none waits for itself then.
const SIDE_BY_SIDE: usize = 8;

/// Elements of a row that are read and written before those of the next one: rows that are a
/// power of two apart share sets of the cache, and each line should be touched once.
const STRETCH: usize = 32;

/// Rows of `n` single places. `load` fills a part with what comes from a place on; the state is
/// the `first` of it, then the `next`, and is written `narrow`.
#[inline(always)]
fn single_places<T, E: Copy + Default, S: Copy + Default>(
    n: usize,
    out: &mut [T],
    load: impl Fn(usize, &mut [E]),
    first: impl Fn(E) -> S + Copy,
    next: impl Fn(S, E) -> S + Copy,
    narrow: fn(S) -> T,
) {
    let together = n * SIDE_BY_SIDE;
    for (at, out) in (0..).step_by(together).zip(out.chunks_mut(together)) {
        if out.len() == together {
            let load = |i, part: &mut [E]| load(at + i, part);
            side_by_side::<SIDE_BY_SIDE, _, _, _>(out, load, first, next, narrow);
        } else {
            for (at, out) in (at..).step_by(n).zip(out.chunks_mut(n)) {
                let load = |i, part: &mut [E]| load(at + i, part);
                side_by_side::<1, _, _, _>(out, load, first, next, narrow);
            }
        }
    }
}

/// `R` rows of single places.
#[inline(always)]
fn side_by_side<const R: usize, T, E: Copy + Default, S: Copy + Default>(
    out: &mut [T],
    load: impl Fn(usize, &mut [E]),
    first: impl Fn(E) -> S,
    next: impl Fn(S, E) -> S,
    narrow: fn(S) -> T,
) {
    let n = out.len() / R;
    let mut state = [S::default(); R];
    let (mut elements, mut states) = ([[E::default(); STRETCH]; R], [[S::default(); STRETCH]; R]);
    for start in (0..n).step_by(STRETCH) {
        let len = STRETCH.min(n - start);
        for (row, part) in elements.iter_mut().enumerate() {
            load(row * n + start, &mut part[..len]);
        }
        for i in 0..len {
            for row in 0..R {
                let x = elements[row][i];
                state[row] = if start + i == 0 { first(x) } else { next(state[row], x) };
                states[row][i] = state[row];
            }
        }
        for (row, part) in states.iter().enumerate() {
            let out = &mut out[row * n + start..][..len];
            out.iter_mut().zip(part).for_each(|(out, &s)| *out = narrow(s));
        }
    }
}

/// Positions along the axis in the order of their elements, equal ones in the order of positions.
/// A NaN is larger than any number. Of each row these are the `first` ones; 0 follows.
pub fn argsort<T: Element>(
    x: &[T],
    descending: bool,
    first: usize,
    around: Around,
    out: &mut [i64],
    pool: &Pool,
) {
    let Around { n, inner, .. } = around;
    // A rank of 32 bits and the position are one word.
    let one_word = T::DTYPE.size() <= 4 && u32::try_from(n).is_ok();
    rows(around, out, pool, |row, out| {
        let mut words: Vec<u64> = Vec::new();
        let mut pairs: Vec<(u64, u64)> = Vec::new();
        if first < n {
            out.fill(0);
        }
        for (row, out) in (row..).zip(out.chunks_mut(n * inner)) {
            for place in 0..inner {
                let x = &x[row * n * inner..][place..n * inner];
                let rank = |x| if descending { !rank(x) } else { rank(x) };
                let out = out[place..].iter_mut().step_by(inner).take(first);
                if one_word {
                    numbered(x, inner, &mut words, |x, i| rank(x) << 32 | i);
                    sort_first(&mut words, first);
                    out.zip(&words).for_each(|(out, word)| *out = i64::from(*word as u32));
                } else {
                    numbered(x, inner, &mut pairs, |x, i| (rank(x), i));
                    sort_first(&mut pairs, first);
                    out.zip(&pairs).for_each(|(out, (_, i))| *out = *i as i64);
                }
            }
        }
    });
}

/// Makes words of every `step`th element and its number.
fn numbered<T: Copy, W>(x: &[T], step: usize, words: &mut Vec<W>, word: impl Fn(T, u64) -> W) {
    words.clear();
    let word = |(&x, i)| word(x, i);
    // A step that is known to be 1 is a loop of vectors.
    match step {
        1 => words.extend(x.iter().zip(0..).map(word)),
        _ => words.extend(x.iter().step_by(step).zip(0..).map(word)),
    }
}

/// So many of a row, and each finds its place among those before it.
const FEW: usize = 32;

/// Brings the `first` least to the front, in order; the others may be lost.
fn sort_first<W: Ord + Copy>(words: &mut [W], first: usize) {
    if first == words.len() || first > FEW {
        if first < words.len() {
            words.select_nth_unstable(first);
        }
        words[..first].sort_unstable();
        return;
    }
    let (least, others) = words.split_at_mut(first);
    least.sort_unstable();
    let Some(last) = first.checked_sub(1) else { return };
    for &word in &*others {
        if word < least[last] {
            let at = least.partition_point(|&w| w < word);
            least.copy_within(at..last, at + 1);
            least[at] = word;
        }
    }
}

/// A number that is in the order of elements, and 32 bits of it are if they have no more: NaN above
/// all, zeros equal.
fn rank<T: Element>(x: T) -> u64 {
    // Numbers below 0 in turned order, and below the others.
    let ordered = |bits: u64, sign: u64| if bits & sign == 0 { bits | sign } else { !bits };
    match (T::DTYPE.is_float(), T::DTYPE.size() <= 4) {
        // Adding 0 takes the sign of zeros.
        (true, _) if x.to_f64().is_nan() => u64::MAX,
        (true, true) => {
            let bits = (x.to_f64() as f32 + 0.0).to_bits();
            u64::from(ordered(u64::from(bits), 1 << 31) as u32)
        }
        (true, false) => ordered((x.to_f64() + 0.0).to_bits(), 1 << 63),
        (false, true) => u64::from(x.to_i64() as u32 ^ 1 << 31),
        (false, false) => x.to_i64() as u64 ^ 1 << 63,
    }
}

/// Elements that a task has at least, rows permitting.
const TASK: usize = 1 << 13;

/// Calls `f` for some rows of `outer` at a time, with the number of the first and the elements of
/// all, on the threads of the pool.
fn rows<T: Send>(around: Around, out: &mut [T], pool: &Pool, f: impl Fn(usize, &mut [T]) + Sync) {
    let width = around.n * around.inner;
    if width == 0 {
        return;
    }
    let group = TASK.div_ceil(width);
    let tasks: Vec<Mutex<&mut [T]>> = out.chunks_mut(group * width).map(Mutex::new).collect();
    pool.run(tasks.len(), |task| {
        let mut part = tasks[task].lock().unwrap_or_else(PoisonError::into_inner);
        f(task * group, &mut part);
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
    fn rows_side_by_side_are_rows() {
        for n in [7, STRETCH, 2 * STRETCH + 3] {
            let x: Vec<f32> = (0..19 * n).map(|i| ((i * 37) % 11) as f32 - 5.0).collect();
            let a: Vec<f32> = x.iter().map(|x| x * 0.1).collect();
            let [all, one] = [19, 1].map(|outer| Around { outer, n, inner: 1 });
            let recur = |a: &[f32], x: &[f32], around| {
                let mut out = x.to_vec();
                recurrence(a, x, around, &mut out, &Pool::new(2));
                out
            };
            for op in Running::ALL {
                let found = run(op, &x, all);
                for (row, found) in x.chunks(n).zip(found.chunks(n)) {
                    assert_eq!(found, run(op, row, one), "{op:?}");
                }
            }
            let found = recur(&a, &x, all);
            for ((a, x), found) in a.chunks(n).zip(x.chunks(n)).zip(found.chunks(n)) {
                assert_eq!(found, recur(a, x, one));
                let mut state = x[0];
                for i in 1..n {
                    state = (f64::from(a[i]) * f64::from(state) + f64::from(x[i])) as f32;
                    assert!((state - found[i]).abs() <= 1e-5 * (1.0 + state.abs()));
                }
            }
        }
    }

    #[test]
    fn the_first_are_those_of_all() {
        let x: Vec<f32> = (0..3 * 200).map(|i| ((i * 7919) % 101) as f32).collect();
        let around = Around { outer: 3, n: 200, inner: 1 };
        for descending in [false, true] {
            let sorted = |first| {
                let mut out = vec![-1; x.len()];
                argsort(&x, descending, first, around, &mut out, &Pool::new(2));
                out
            };
            let all = sorted(200);
            for first in [0, 1, 8, FEW, FEW + 1, 199] {
                for (all, found) in all.chunks(200).zip(sorted(first).chunks(200)) {
                    assert_eq!(all[..first], found[..first]);
                    assert!(found[first..].iter().all(|&i| i == 0));
                }
            }
        }
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

    /// Ranks of every width against comparing.
    fn sorts<T: Element + PartialOrd>() {
        let numbers = (0..500i64).map(|i| i * 7919 % 251 - 125);
        let x: Vec<T> = numbers.map(T::from_i64).collect();
        for descending in [false, true] {
            let mut out = vec![0; x.len()];
            let around = Around { outer: 1, n: x.len(), inner: 1 };
            argsort(&x, descending, x.len(), around, &mut out, &Pool::new(1));
            let mut expected: Vec<i64> = (0..x.len() as i64).collect();
            expected.sort_by(|&a, &b| {
                let order = x[a as usize].partial_cmp(&x[b as usize]).expect("numbers");
                if descending { order.reverse() } else { order }
            });
            assert_eq!(out, expected, "{} {descending}", T::DTYPE);
        }
    }

    #[test]
    fn every_type_sorts() {
        sorts::<bool>();
        sorts::<u8>();
        sorts::<i8>();
        sorts::<i16>();
        sorts::<i32>();
        sorts::<i64>();
        sorts::<crate::dtype::F16>();
        sorts::<crate::dtype::BF16>();
        sorts::<f32>();
        sorts::<f64>();
    }

    #[test]
    fn sorting_is_stable_and_puts_nan_last() {
        let order = |x: &[f64], descending| {
            let mut out = vec![0; x.len()];
            let around = Around { outer: 1, n: x.len(), inner: 1 };
            argsort(x, descending, x.len(), around, &mut out, &Pool::new(2));
            out
        };
        assert_eq!(order(&[2.0, f64::NAN, -1.0, 2.0, -0.0, 0.0], false), [2, 4, 5, 0, 3, 1]);
        assert_eq!(order(&[2.0, f64::NAN, -1.0, 2.0], true), [1, 0, 3, 2]);
        assert_eq!(order(&[f64::INFINITY, -1e300, 1e-310, f64::NEG_INFINITY], false), [3, 1, 2, 0]);
        let mut out = [0; 6];
        argsort(&[3, 1, 2, 2, 1, 3], false, 3, COLUMNS, &mut out, &Pool::new(1));
        assert_eq!(out, [2, 0, 1, 1, 0, 2]);
    }
}
