//! Keyed random numbers: every value is a pure function of a key and an index.
//!
//! The generator is Philox4x32-10 (Salmon, Moraes, Dror, Shaw, *Parallel random numbers: as easy
//! as 1, 2, 3*, SC 2011): a 64-bit key and a 128-bit counter give 128 bits. There is no state, so
//! the same key gives the same bits at any number of threads, in any order, on any machine.
//!
//! - **Words.** A key's stream is the sequence of 32-bit words `bits32(key, 0), bits32(key, 1), …`;
//!   block `i / 4` of the counter gives words `4 * (i / 4) ..`. `bits64(key, i)` is words `2 * i`
//!   (low) and `2 * i + 1` (high). All distributions are functions of these, so two draws of
//!   the same key are the same numbers in two guises: [`split`] a key before using it twice.
//! - **Keys.** [`fold_in`] and [`split`] encrypt under the key in counter domains of their own.
//! - **Floats.** Normal values come from the inverse of the distribution function by Wichura's
//!   algorithm AS 241, with a logarithm of our own: only `+ - * /` and `sqrt` of `f64` are used,
//!   which IEEE 754 fixes to the bit. No libm is involved.

mod normal;

use crate::dtype::{BF16, F16};
use normal::{Quantiles, TOGETHER as PART};
use pulp::{Arch, NullaryFnOnce};

pub use normal::normal_quantile;

/// What a stream of random numbers is named by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Key(pub u64);

/// The key of a seed.
pub fn key(seed: i64) -> Key {
    Key(seed as u64)
}

/// The key that `data` selects under `key`: an epoch's, a step's, a layer's.
pub fn fold_in(key: Key, data: i64) -> Key {
    derive(key, data as u64, Domain::Fold)
}

/// Key `index` of those that `key` splits into; does not depend on how many there are.
pub fn split_at(key: Key, index: u64) -> Key {
    derive(key, index, Domain::Split)
}

/// `n` keys, each with a stream of its own.
///
/// ```
/// use tensc_runtime::rng::{key, normal_f32, split};
/// let [weights, noise] = split(key(1), 2)[..] else { unreachable!() };
/// assert_ne!(normal_f32(weights, 0), normal_f32(noise, 0));
/// ```
pub fn split(key: Key, n: usize) -> Vec<Key> {
    (0..n as u64).map(|index| split_at(key, index)).collect()
}

/// Word `index` of the key's stream.
pub fn bits32(key: Key, index: u64) -> u32 {
    block(key, index / 4, Domain::Bits)[(index % 4) as usize]
}

/// Words `2 * index` (low half) and `2 * index + 1` (high half) of the key's stream.
///
/// `index` counts modulo 2^63.
pub fn bits64(key: Key, index: u64) -> u64 {
    let words = block(key, (index << 1) / 4, Domain::Bits);
    let at = (index % 2) as usize * 2;
    join(words[at], words[at + 1])
}

/// Uniform on [0, 1): the top 24 bits of word `index`.
pub fn uniform_f32(key: Key, index: u64) -> f32 {
    unit_f32(bits32(key, index))
}

/// Uniform on [0, 1): the top 53 bits of `bits64(key, index)`.
pub fn uniform_f64(key: Key, index: u64) -> f64 {
    unit_f64(bits64(key, index))
}

/// Uniform on [0, 1): the top 11 bits of word `index`.
///
/// Not the rounded [`uniform_f32`], which would reach 1.
pub fn uniform_f16(key: Key, index: u64) -> F16 {
    F16::from_f32((bits32(key, index) >> 21) as f32 * (1.0 / 2048.0))
}

/// Uniform on [0, 1): the top 8 bits of word `index`.
pub fn uniform_bf16(key: Key, index: u64) -> BF16 {
    BF16::from_f32((bits32(key, index) >> 24) as f32 * (1.0 / 256.0))
}

/// Standard normal: the quantile of `(bits32 + 1/2) / 2^32`, rounded once from `f64`.
///
/// Within ±6.34.
pub fn normal_f32(key: Key, index: u64) -> f32 {
    normal_quantile(open_f32(bits32(key, index))) as f32
}

/// Standard normal: the quantile of `(top 52 bits of bits64 + 1/2) / 2^52`.
///
/// Within ±8.21.
pub fn normal_f64(key: Key, index: u64) -> f64 {
    normal_quantile(open_f64(bits64(key, index)))
}

/// An integer of `0..n`: `floor(bits64 * n / 2^64)`.
///
/// A value's probability differs from `1 / n` by less than `2^-64`. Panics where `n` is 0.
pub fn below(key: Key, index: u64, n: u64) -> u64 {
    assert!(n > 0, "there is no integer below 0");
    ((u128::from(bits64(key, index)) * u128::from(n)) >> 64) as u64
}

/// An integer of `low..high`. Panics where that is empty.
pub fn between(key: Key, index: u64, low: i64, high: i64) -> i64 {
    assert!(low < high, "the range {low}..{high} is empty");
    low.wrapping_add(below(key, index, high.wrapping_sub(low) as u64) as i64)
}

/// The numbers `0..n` in random order: the stable order by `bits64(key, i)` of each number `i`.
pub fn permutation(key: Key, n: usize) -> Vec<i64> {
    let mut bits = vec![0; n];
    fill_bits64(key, 0, &mut bits);
    let mut ranks: Vec<(u64, i64)> = bits.into_iter().zip(0..).collect();
    ranks.sort_unstable();
    ranks.into_iter().map(|(_, i)| i).collect()
}

/// `out[i] = bits32(key, first + i)`.
pub fn fill_bits32(key: Key, first: u64, out: &mut [u32]) {
    Arch::new().dispatch(Fill { key, first, out });
}

/// `out[i] = bits64(key, first + i)`.
pub fn fill_bits64(key: Key, first: u64, out: &mut [u64]) {
    from_pairs(key, first, out, |bits| bits);
}

/// `out[i] = uniform_f32(key, first + i)`.
pub fn fill_uniform_f32(key: Key, first: u64, out: &mut [f32]) {
    from_words(key, first, out, unit_f32);
}

/// `out[i] = uniform_f64(key, first + i)`.
pub fn fill_uniform_f64(key: Key, first: u64, out: &mut [f64]) {
    from_pairs(key, first, out, unit_f64);
}

/// `out[i] = normal_f32(key, first + i)`.
pub fn fill_normal_f32(key: Key, first: u64, out: &mut [f32]) {
    Arch::new().dispatch(Normals { key, first, out });
}

/// `out[i] = normal_f64(key, first + i)`.
pub fn fill_normal_f64(key: Key, first: u64, out: &mut [f64]) {
    for (out, first) in out.chunks_mut(PART).zip((first..).step_by(PART)) {
        from_pairs(key, first, out, open_f64);
        Arch::new().dispatch(Quantiles(out));
    }
}

/// `out[i] = of(bits32(key, first + i))`.
fn from_words<T>(key: Key, first: u64, out: &mut [T], of: impl Fn(u32) -> T) {
    let mut bits = [0; PART];
    for (out, first) in out.chunks_mut(PART).zip((first..).step_by(PART)) {
        fill_bits32(key, first, &mut bits[..out.len()]);
        out.iter_mut().zip(&bits).for_each(|(out, &word)| *out = of(word));
    }
}

/// `out[i] = of(bits64(key, first + i))`.
fn from_pairs<T>(key: Key, first: u64, out: &mut [T], of: impl Fn(u64) -> T) {
    let mut bits = [0; 2 * PART];
    for (out, first) in out.chunks_mut(PART).zip((first..).step_by(PART)) {
        fill_bits32(key, first << 1, &mut bits[..2 * out.len()]);
        let pairs = bits.chunks_exact(2);
        out.iter_mut().zip(pairs).for_each(|(out, pair)| *out = of(join(pair[0], pair[1])));
    }
}

/// What a block of the counter space is for, in the third word of the counter.
#[derive(Clone, Copy)]
enum Domain {
    Bits = 0,
    Fold = 1,
    Split = 2,
}

fn derive(key: Key, data: u64, domain: Domain) -> Key {
    let words = block(key, data, domain);
    Key(join(words[0], words[1]))
}

fn block(key: Key, count: u64, domain: Domain) -> [u32; 4] {
    let counter = [count as u32, (count >> 32) as u32, domain as u32, 0].map(|word| [word]);
    philox4x32_10(counter, [key.0 as u32, (key.0 >> 32) as u32]).map(|[word]| word)
}

/// Blocks that are computed side by side, in vectors.
const BLOCKS: usize = 16;

/// `out[i] = bits32(key, first + i)`, several blocks at a time.
struct Fill<'a> {
    key: Key,
    first: u64,
    out: &'a mut [u32],
}

impl NullaryFnOnce for Fill<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let Fill { key, first, out } = self;
        let index = |i: usize| first.wrapping_add(i as u64);
        let begun = ((first.wrapping_neg() % 4) as usize).min(out.len());
        let (head, body) = out.split_at_mut(begun);
        head.iter_mut().enumerate().for_each(|(i, word)| *word = bits32(key, index(i)));
        for (part, at) in body.chunks_mut(4 * BLOCKS).zip((begun..).step_by(4 * BLOCKS)) {
            let count = index(at) / 4;
            let counts: [u64; BLOCKS] = std::array::from_fn(|b| count.wrapping_add(b as u64));
            let blocks = philox4x32_10(
                [
                    counts.map(|count| count as u32),
                    counts.map(|count| (count >> 32) as u32),
                    [Domain::Bits as u32; BLOCKS],
                    [0; BLOCKS],
                ],
                [key.0 as u32, (key.0 >> 32) as u32],
            );
            for (i, word) in part.iter_mut().enumerate() {
                *word = blocks[i % 4][i / 4];
            }
        }
    }
}

/// `out[i] = normal_f32(key, first + i)`.
struct Normals<'a> {
    key: Key,
    first: u64,
    out: &'a mut [f32],
}

impl NullaryFnOnce for Normals<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let (mut bits, mut x) = ([0; PART], [0.0; PART]);
        for (out, first) in self.out.chunks_mut(PART).zip((self.first..).step_by(PART)) {
            let (bits, x) = (&mut bits[..out.len()], &mut x[..out.len()]);
            Fill { key: self.key, first, out: bits }.call();
            x.iter_mut().zip(bits).for_each(|(x, word)| *x = open_f32(*word));
            Quantiles(x).call();
            out.iter_mut().zip(x).for_each(|(out, x)| *out = *x as f32);
        }
    }
}

fn join(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// The block cipher on `N` counters: ten rounds, the key bumped by the Weyl constants between them.
#[inline(always)]
pub fn philox4x32_10<const N: usize>(counter: [[u32; N]; 4], mut key: [u32; 2]) -> [[u32; N]; 4] {
    const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
    const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    for _ in 0..10 {
        for i in 0..N {
            let a = u64::from(MULTIPLIERS[0]) * u64::from(c0[i]);
            let b = u64::from(MULTIPLIERS[1]) * u64::from(c2[i]);
            c0[i] = (b >> 32) as u32 ^ c1[i] ^ key[0];
            c1[i] = b as u32;
            c2[i] = (a >> 32) as u32 ^ c3[i] ^ key[1];
            c3[i] = a as u32;
        }
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    [c0, c1, c2, c3]
}

fn unit_f32(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / (1u32 << 24) as f32)
}

fn unit_f64(word: u64) -> f64 {
    (word >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

// The half keeps both ends open and the two tails mirror images; both sums are exact in f64.
fn open_f32(word: u32) -> f64 {
    (f64::from(word) + 0.5) * (1.0 / (1u64 << 32) as f64)
}

fn open_f64(word: u64) -> f64 {
    ((word >> 12) as f64 + 0.5) * (1.0 / (1u64 << 52) as f64)
}

#[cfg(test)]
mod tests;
