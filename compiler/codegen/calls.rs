//! Kernels that are functions of the runtime: random draws, keys, scattered sums.

#![allow(unsafe_code, reason = "buffers are raw memory whose types and sizes the program states")]

use crate::graph::ops::Draw;
use crate::kernel::{BufferId, Call, Program};
use tensc_runtime::dtype::{BF16, F16};
use tensc_runtime::{DType, Element, Key, Pool, along, linear, rng, with_element};

/// The buffers of a program at run time.
pub(super) struct Buffers<'a> {
    pub program: &'a Program,
    pub starts: &'a [*mut u8],
}

impl Buffers<'_> {
    fn dtype(&self, id: BufferId) -> DType {
        self.program.buffers[id.0 as usize].dtype
    }

    fn len(&self, id: BufferId) -> usize {
        self.program.buffers[id.0 as usize].elements
    }

    fn check<T: Element>(&self, id: BufferId) -> *mut T {
        assert_eq!(self.dtype(id), T::DTYPE, "element type of {}", self.name(id));
        let start = self.starts[id.0 as usize].cast::<T>();
        assert!(start.is_aligned(), "{} is aligned to its elements", self.name(id));
        start
    }

    fn name(&self, id: BufferId) -> &str {
        &self.program.buffers[id.0 as usize].name
    }

    /// # Safety
    /// The buffer is memory of the program's size that holds valid elements and that nothing
    /// writes during `'b`.
    unsafe fn read<'b, T: Element>(&self, id: BufferId) -> &'b [T] {
        let (start, len) = (self.check::<T>(id), self.len(id));
        if len == 0 {
            return &[];
        }
        // SAFETY: by the caller's promise; alignment and type are checked.
        unsafe { std::slice::from_raw_parts(start, len) }
    }

    /// # Safety
    /// As `read`, and nothing else touches the memory during `'b`.
    unsafe fn write<'b, T: Element>(&self, id: BufferId) -> &'b mut [T] {
        let (start, len) = (self.check::<T>(id), self.len(id));
        if len == 0 {
            return &mut [];
        }
        // SAFETY: by the caller's promise; alignment and type are checked.
        unsafe { std::slice::from_raw_parts_mut(start, len) }
    }
}

/// Executes the call.
///
/// # Safety
/// The starts are those of live buffers of the program's sizes, which nothing else uses meanwhile.
pub(super) unsafe fn run(call: &Call, buffers: &Buffers, pool: &Pool) {
    // SAFETY: passed on; the verifier sees to it that a call's result is none of its operands,
    // `ScatterAdd`'s `operand` apart, which is not borrowed beside the result where they are one.
    unsafe {
        match *call {
            Call::Random { draw, key, out } => random(draw, key, out, buffers, pool),
            Call::FoldKey { key, data, out } => {
                let pairs = buffers.read::<i64>(key).iter().zip(buffers.read::<i64>(data));
                for ((&key, &data), out) in pairs.zip(buffers.write::<i64>(out)) {
                    *out = rng::fold_in(rng::key(key), data).0 as i64;
                }
            }
            Call::ScatterAdd { operand, index, updates, out, bound, inner, .. } => {
                scatter(operand, index, updates, out, [bound, inner], buffers);
            }
            Call::Running { op, operand, out, around } => {
                with_element!(buffers.dtype(out), T => {
                    let (x, out) = (buffers.read::<T>(operand), buffers.write::<T>(out));
                    along::running(op, x, around, out, pool);
                });
            }
            Call::Linear { op, matrix, right, out, sizes } => {
                with_element!(buffers.dtype(out), T => {
                    let right = right.map(|b| buffers.read::<T>(b));
                    let matrix = buffers.read::<T>(matrix);
                    linear::run(op, matrix, right, sizes, buffers.write::<T>(out), pool);
                });
            }
            Call::Recur { factor, operand, out, around } => {
                with_element!(buffers.dtype(out), T => {
                    let (factor, x) = (buffers.read::<T>(factor), buffers.read::<T>(operand));
                    along::recurrence(factor, x, around, buffers.write::<T>(out), pool);
                });
            }
            Call::Argsort { operand, out, descending, first, around } => {
                let out = buffers.write::<i64>(out);
                with_element!(buffers.dtype(operand), T => {
                    let x = buffers.read::<T>(operand);
                    along::argsort(x, descending, first, around, out, pool);
                });
            }
        }
    }
}

/// Elements of one task of a random fill.
const CHUNK: usize = 1 << 13;

/// # Safety
/// As `run`.
unsafe fn random(draw: Draw, keys: BufferId, out: BufferId, buffers: &Buffers, pool: &Pool) {
    // SAFETY: passed on.
    unsafe {
        let keys = buffers.read::<i64>(keys);
        match (draw, buffers.dtype(out)) {
            (Draw::Bits, _) => fill(pool, keys, buffers.write::<i64>(out), |key, first, part| {
                each(part, first, |i| rng::bits64(key, i) as i64);
            }),
            (Draw::Uniform, DType::F32) => {
                fill(pool, keys, buffers.write(out), |key, first, part| {
                    rng::fill_uniform_f32(key, first, part);
                })
            }
            (Draw::Normal, DType::F32) => {
                fill(pool, keys, buffers.write(out), |key, first, part| {
                    rng::fill_normal_f32(key, first, part);
                })
            }
            (Draw::Uniform, DType::F64) => {
                fill(pool, keys, buffers.write(out), |key, first, part| {
                    rng::fill_uniform_f64(key, first, part);
                })
            }
            (Draw::Normal, DType::F64) => {
                fill(pool, keys, buffers.write(out), |key, first, part| {
                    rng::fill_normal_f64(key, first, part);
                })
            }
            (draw, DType::F16) => {
                fill(pool, keys, buffers.write::<F16>(out), |key, first, part| {
                    each(part, first, |i| half_draw(draw, key, i, rng::uniform_f16, F16::from_f32));
                })
            }
            (draw, DType::BF16) => {
                fill(pool, keys, buffers.write::<BF16>(out), |key, first, part| {
                    each(part, first, |i| {
                        half_draw(draw, key, i, rng::uniform_bf16, BF16::from_f32)
                    });
                })
            }
            (draw, dtype) => unreachable!("{draw:?} of {dtype} passed the verifier"),
        }
    }
}

fn half_draw<T>(
    draw: Draw,
    key: Key,
    i: u64,
    uniform: fn(Key, u64) -> T,
    round: fn(f32) -> T,
) -> T {
    if draw == Draw::Normal { round(rng::normal_f32(key, i)) } else { uniform(key, i) }
}

fn each<T>(part: &mut [T], first: u64, f: impl Fn(u64) -> T) {
    for (i, x) in (first..).zip(part) {
        *x = f(i);
    }
}

/// Calls `f` on parts of `out`, on the threads of the pool, each with its key and its position
/// among the elements of that key: every key has as many.
fn fill<T: Send>(pool: &Pool, keys: &[i64], out: &mut [T], f: impl Fn(Key, u64, &mut [T]) + Sync) {
    let each = out.len() / keys.len().max(1);
    let parts: Vec<std::sync::Mutex<&mut [T]>> =
        out.chunks_mut(CHUNK).map(std::sync::Mutex::new).collect();
    pool.run(parts.len(), |i| {
        let mut part = parts[i].lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let (mut rest, mut at) = (&mut **part, i * CHUNK);
        while !rest.is_empty() {
            let (key, first) = (at / each, at % each);
            let (run, others) = rest.split_at_mut((each - first).min(rest.len()));
            at += run.len();
            f(rng::key(keys[key]), first as u64, run);
            rest = others;
        }
    });
}

/// # Safety
/// As `run`.
unsafe fn scatter(
    operand: Option<BufferId>,
    index: BufferId,
    updates: BufferId,
    out: BufferId,
    dims: [usize; 2],
    buffers: &Buffers,
) {
    macro_rules! add_as {
        ($t:ty, $add:expr) => {{
            // SAFETY: passed on.
            let (index, updates, sums) = unsafe {
                start_from::<$t>(operand, out, buffers);
                (buffers.read(index), buffers.read::<$t>(updates), buffers.write::<$t>(out))
            };
            add_at(sums, index, updates, dims, $add);
        }};
    }
    macro_rules! add_wide {
        ($t:ty) => {{
            // SAFETY: passed on.
            let (index, updates, sums) = unsafe {
                start_from::<$t>(operand, out, buffers);
                (buffers.read(index), buffers.read::<$t>(updates), buffers.write::<$t>(out))
            };
            // Sums of narrow floats are kept in f32 and rounded once.
            let mut wide: Vec<f32> = sums.iter().map(|x| x.to_f32()).collect();
            add_at(&mut wide, index, updates, dims, |a, b| a + b.to_f32());
            sums.iter_mut().zip(wide).for_each(|(s, w)| *s = <$t>::from_f32(w));
        }};
    }
    match buffers.dtype(out) {
        DType::U8 => add_as!(u8, |a: u8, b: u8| a.wrapping_add(b)),
        DType::I8 => add_as!(i8, |a: i8, b: i8| a.wrapping_add(b)),
        DType::I16 => add_as!(i16, |a: i16, b: i16| a.wrapping_add(b)),
        DType::I32 => add_as!(i32, |a: i32, b: i32| a.wrapping_add(b)),
        DType::I64 => add_as!(i64, |a: i64, b: i64| a.wrapping_add(b)),
        DType::F32 => add_as!(f32, |a: f32, b: f32| a + b),
        DType::F64 => add_as!(f64, |a: f64, b: f64| a + b),
        DType::F16 => add_wide!(F16),
        DType::BF16 => add_wide!(BF16),
        DType::Bool => unreachable!("a scattered sum of bool passed the verifier"),
    }
}

/// Copies the operand, or zeros, to the result.
///
/// # Safety
/// As `run`.
unsafe fn start_from<T: Element>(operand: Option<BufferId>, out: BufferId, buffers: &Buffers) {
    let (to, len) = (buffers.check::<T>(out), buffers.len(out));
    match operand {
        // SAFETY: both have `len` elements; `copy` allows them to be one.
        Some(id) => unsafe { std::ptr::copy(buffers.check::<T>(id), to, len) },
        // SAFETY: as above; zero bytes are valid elements of every type.
        None => unsafe { std::ptr::write_bytes(to, 0, len) },
    }
}

/// `sums[o, index[p], i] += updates[o, p, i]` in row-major order of the updates.
fn add_at<S: Copy, U: Copy>(
    sums: &mut [S],
    index: &[i64],
    updates: &[U],
    [bound, inner]: [usize; 2],
    add: impl Fn(S, U) -> S,
) {
    let place = |at: i64| usize::try_from(at).expect("indices were checked");
    let each = updates.chunks((index.len() * inner).max(1));
    for (sums, updates) in sums.chunks_mut((bound * inner).max(1)).zip(each) {
        // Runs of one element need no loop.
        if inner == 1 {
            for (&at, &update) in index.iter().zip(updates) {
                let sum = &mut sums[place(at)];
                *sum = add(*sum, update);
            }
            continue;
        }
        for (&at, from) in index.iter().zip(updates.chunks(inner)) {
            let to = &mut sums[place(at) * inner..][..inner];
            to.iter_mut().zip(from).for_each(|(s, &u)| *s = add(*s, u));
        }
    }
}
