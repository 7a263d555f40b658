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

use crate::dtype::{BF16, F16};

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

/// The value below which a standard normal variable falls with probability `p`, 0 < p < 1.
///
/// Algorithm AS 241, routine PPND16 (M. J. Wichura, *Applied Statistics* 37, 1988): relative
/// error about 1e-16, by rational approximations of degree seven on three ranges.
pub fn normal_quantile(p: f64) -> f64 {
    let q = p - 0.5;
    if q.abs() <= 0.425 {
        let r = 0.180_625 - q * q;
        return q * ratio(r, &CENTRE);
    }
    let tail = if q < 0.0 { p } else { 1.0 - p };
    let r = (-ln(tail)).sqrt();
    let x = if r <= 5.0 { ratio(r - 1.6, &MIDDLE) } else { ratio(r - 5.0, &FAR) };
    if q < 0.0 { -x } else { x }
}

/// Numerator and denominator of a rational approximation, coefficients by rising power.
struct Rational([f64; 8], [f64; 8]);

fn ratio(x: f64, r: &Rational) -> f64 {
    let polynomial = |c: &[f64; 8]| c.iter().rev().fold(0.0, |sum, &c| sum * x + c);
    polynomial(&r.0) / polynomial(&r.1)
}

const CENTRE: Rational = Rational(
    [
        3.387_132_872_796_366_608,
        1.331_416_678_917_843_774_5e2,
        1.971_590_950_306_551_442_7e3,
        1.373_169_376_550_946_112_5e4,
        4.592_195_393_154_987_145_7e4,
        6.726_577_092_700_870_085_3e4,
        3.343_057_558_358_812_810_5e4,
        2.509_080_928_730_122_672_7e3,
    ],
    [
        1.0,
        4.231_333_070_160_091_125_2e1,
        6.871_870_074_920_579_083e2,
        5.394_196_021_424_751_107_7e3,
        2.121_379_430_158_659_586_7e4,
        3.930_789_580_009_271_061e4,
        2.872_908_573_572_194_267_4e4,
        5.226_495_278_852_854_561e3,
    ],
);

const MIDDLE: Rational = Rational(
    [
        1.423_437_110_749_683_577_34,
        4.630_337_846_156_545_295_9,
        5.769_497_221_460_691_405_5,
        3.647_848_324_763_204_605_04,
        1.270_458_252_452_368_382_58,
        2.417_807_251_774_506_117_7e-1,
        2.272_384_498_926_918_458_33e-2,
        7.745_450_142_783_414_076_4e-4,
    ],
    [
        1.0,
        2.053_191_626_637_758_821_87,
        1.676_384_830_183_803_849_4,
        6.897_673_349_851_000_045_5e-1,
        1.481_039_764_274_800_745_9e-1,
        1.519_866_656_361_645_719_66e-2,
        5.475_938_084_995_344_946e-4,
        1.050_750_071_644_416_843_24e-9,
    ],
);

const FAR: Rational = Rational(
    [
        6.657_904_643_501_103_777_2,
        5.463_784_911_164_114_369_9,
        1.784_826_539_917_291_335_8,
        2.965_605_718_285_048_912_3e-1,
        2.653_218_952_657_612_309_3e-2,
        1.242_660_947_388_078_438_6e-3,
        2.711_555_568_743_487_578_15e-5,
        2.010_334_399_292_288_132_65e-7,
    ],
    [
        1.0,
        5.998_322_065_558_879_376_9e-1,
        1.369_298_809_227_358_053_1e-1,
        1.487_536_129_085_061_485_25e-2,
        7.868_691_311_456_132_591e-4,
        1.846_318_317_510_054_681_8e-5,
        1.421_511_758_316_445_888_7e-7,
        2.044_263_103_389_939_785_64e-15,
    ],
);

/// The natural logarithm of a positive normal number, from plain arithmetic.
///
/// With x = 2^k m and m in [√½, √2), ln x = k ln 2 + 2 artanh(s) for s = (m - 1) / (m + 1), whose
/// series in s² (at most 0.0295) is below half an ulp after twelve terms.
fn ln(x: f64) -> f64 {
    const LN_2_HIGH: f64 = 0.693_147_180_369_123_816_49; // its last 21 bits are 0, so k * it is exact
    const LN_2_LOW: f64 = 1.908_214_929_270_587_700e-10;
    let bits = x.to_bits();
    let mut k = ((bits >> 52) & 0x7FF) as i32 - 1023;
    let mut m = f64::from_bits((bits & ((1 << 52) - 1)) | 1023 << 52);
    if m >= std::f64::consts::SQRT_2 {
        m *= 0.5;
        k += 1;
    }
    let f = m - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    let series = (1..=12).rev().fold(0.0, |sum, n| (sum + 1.0 / f64::from(2 * n + 1)) * z);
    let k = f64::from(k);
    k * LN_2_HIGH + (2.0 * s + (2.0 * s * series + k * LN_2_LOW))
}

#[cfg(test)]
mod tests;
