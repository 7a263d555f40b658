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
    gauss_f32(bits32(key, index))
}

/// Standard normal: the quantile of `(top 52 bits of bits64 + 1/2) / 2^52`.
///
/// Within ±8.21.
pub fn normal_f64(key: Key, index: u64) -> f64 {
    gauss_f64(bits64(key, index))
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
    let mut ranks = vec![(0u64, 0i64); n];
    let mut words = Words::new(key, 0);
    for (i, rank) in ranks.iter_mut().enumerate() {
        *rank = (words.next_u64(), i as i64);
    }
    ranks.sort_unstable();
    ranks.into_iter().map(|(_, i)| i).collect()
}

/// `out[i] = bits32(key, first + i)`.
pub fn fill_bits32(key: Key, first: u64, out: &mut [u32]) {
    let mut words = Words::new(key, first);
    out.iter_mut().for_each(|o| *o = words.next_u32());
}

/// `out[i] = uniform_f32(key, first + i)`.
pub fn fill_uniform_f32(key: Key, first: u64, out: &mut [f32]) {
    let mut words = Words::new(key, first);
    out.iter_mut().for_each(|o| *o = unit_f32(words.next_u32()));
}

/// `out[i] = uniform_f64(key, first + i)`.
pub fn fill_uniform_f64(key: Key, first: u64, out: &mut [f64]) {
    let mut words = Words::new(key, first << 1);
    out.iter_mut().for_each(|o| *o = unit_f64(words.next_u64()));
}

/// `out[i] = normal_f32(key, first + i)`.
pub fn fill_normal_f32(key: Key, first: u64, out: &mut [f32]) {
    let mut words = Words::new(key, first);
    out.iter_mut().for_each(|o| *o = gauss_f32(words.next_u32()));
}

/// `out[i] = normal_f64(key, first + i)`.
pub fn fill_normal_f64(key: Key, first: u64, out: &mut [f64]) {
    let mut words = Words::new(key, first << 1);
    out.iter_mut().for_each(|o| *o = gauss_f64(words.next_u64()));
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
    philox4x32_10(
        [count as u32, (count >> 32) as u32, domain as u32, 0],
        [key.0 as u32, (key.0 >> 32) as u32],
    )
}

/// The words of a stream in order, one block computed for each four of them.
struct Words {
    key: Key,
    index: u64,
    block: [u32; 4],
}

impl Words {
    fn new(key: Key, index: u64) -> Words {
        Words { key, index, block: block(key, index / 4, Domain::Bits) }
    }

    fn next_u32(&mut self) -> u32 {
        let word = self.block[(self.index % 4) as usize];
        self.index = self.index.wrapping_add(1);
        if self.index.is_multiple_of(4) {
            self.block = block(self.key, self.index / 4, Domain::Bits);
        }
        word
    }

    fn next_u64(&mut self) -> u64 {
        let low = self.next_u32();
        join(low, self.next_u32())
    }
}

fn join(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

/// The block cipher: ten rounds, the key bumped by the Weyl constants between them.
pub fn philox4x32_10(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    const MULTIPLIERS: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
    const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
    for _ in 0..10 {
        let a = u64::from(MULTIPLIERS[0]) * u64::from(counter[0]);
        let b = u64::from(MULTIPLIERS[1]) * u64::from(counter[2]);
        counter = [
            (b >> 32) as u32 ^ counter[1] ^ key[0],
            b as u32,
            (a >> 32) as u32 ^ counter[3] ^ key[1],
            a as u32,
        ];
        key = [key[0].wrapping_add(WEYL[0]), key[1].wrapping_add(WEYL[1])];
    }
    counter
}

fn unit_f32(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / (1u32 << 24) as f32)
}

fn unit_f64(word: u64) -> f64 {
    (word >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

// The half keeps both ends open and the two tails mirror images; both sums are exact in f64.
fn gauss_f32(word: u32) -> f32 {
    normal_quantile((f64::from(word) + 0.5) * (1.0 / (1u64 << 32) as f64)) as f32
}

fn gauss_f64(word: u64) -> f64 {
    normal_quantile(((word >> 12) as f64 + 0.5) * (1.0 / (1u64 << 52) as f64))
}

#[cfg(test)]
mod tests;
