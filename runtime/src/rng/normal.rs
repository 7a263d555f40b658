//! The quantile of the normal distribution, to the bit the same everywhere.
//!
//! Only operations that IEEE 754 fixes to the last bit are used: `+ - * /` and `sqrt`. The
//! logarithm is therefore our own. Nothing here may be contracted to fused operations.

#![allow(
    clippy::excessive_precision,
    reason = "coefficients have the digits they were published with"
)]

use pulp::NullaryFnOnce;

/// The value below which a standard normal variable falls with probability `p`, 0 < p < 1.
///
/// Algorithm AS 241, routine PPND16 (M. J. Wichura, *Applied Statistics* 37, 1988): relative
/// error about 1e-16, by rational approximations of degree seven on three ranges.
pub fn normal_quantile(p: f64) -> f64 {
    if (p - 0.5).abs() > CENTRAL { in_the_tail(p) } else { in_the_centre(p) }
}

/// Probabilities whose quantiles are found together.
pub const TOGETHER: usize = 256;

/// The quantiles of at most [`TOGETHER`] probabilities, in their place: those of the centre for
/// all, without a branch, so that it is done in vectors; then those of the tails.
pub struct Quantiles<'a>(pub &'a mut [f64]);

impl NullaryFnOnce for Quantiles<'_> {
    type Output = ();

    #[inline(always)]
    fn call(self) {
        let p = self.0;
        let (mut tails, mut places, mut count) = ([0.5; TOGETHER], [0u8; TOGETHER], 0);
        let mut in_tail = [0u8; TOGETHER];
        let marks = in_tail.iter_mut().zip(&*p);
        marks.for_each(|(mark, p)| *mark = u8::from((p - 0.5).abs() > CENTRAL));
        for (first, eight) in (0..).step_by(8).zip(in_tail.as_chunks::<8>().0) {
            let mut marks = u64::from_le_bytes(*eight);
            while marks != 0 {
                let place = first + marks.trailing_zeros() as usize / 8;
                (tails[count], places[count]) = (p[place], place as u8);
                count += 1;
                marks &= marks - 1;
            }
        }
        // Loops that are written out are compiled with the instructions that the caller chose.
        for p in p.iter_mut() {
            *p = in_the_centre(*p);
        }
        let (mut roots, mut quantiles) = ([0.0; TOGETHER], [0.0; TOGETHER]);
        let (tails, roots) = (&tails[..count], &mut roots[..count]);
        for (root, &p) in roots.iter_mut().zip(tails) {
            *root = root_of_log(p);
        }
        for ((x, &root), &p) in quantiles.iter_mut().zip(&*roots).zip(tails) {
            *x = on_the_side_of(p, ratio(root - 1.6, &MIDDLE));
        }
        for ((x, &root), &p) in quantiles.iter_mut().zip(&*roots).zip(tails) {
            if root > OUTER {
                *x = on_the_side_of(p, ratio(root - 5.0, &FAR));
            }
        }
        for (&x, &place) in quantiles[..count].iter().zip(&places) {
            p[usize::from(place)] = x;
        }
    }
}

#[inline(always)]
fn in_the_centre(p: f64) -> f64 {
    let q = p - 0.5;
    q * ratio(0.180_625 - q * q, &CENTRE)
}

/// How far from one half the first approximation holds.
const CENTRAL: f64 = 0.425;

fn in_the_tail(p: f64) -> f64 {
    let root = root_of_log(p);
    let x = if root <= OUTER { ratio(root - 1.6, &MIDDLE) } else { ratio(root - 5.0, &FAR) };
    on_the_side_of(p, x)
}

/// Up to which root the second approximation holds.
const OUTER: f64 = 5.0;

/// The root of minus the logarithm of the probability on this side.
#[inline(always)]
fn root_of_log(p: f64) -> f64 {
    (-ln(if p < 0.5 { p } else { 1.0 - p })).sqrt()
}

#[inline(always)]
fn on_the_side_of(p: f64, x: f64) -> f64 {
    if p < 0.5 { -x } else { x }
}

/// Numerator and denominator of a rational approximation, coefficients by rising power.
struct Rational([f64; 8], [f64; 8]);

#[inline(always)]
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

/// 1/3, 1/5, and so on.
const SERIES: [f64; 12] = {
    let (mut series, mut n) = ([0.0; 12], 0);
    while n < 12 {
        series[n] = 1.0 / (2 * n + 3) as f64;
        n += 1;
    }
    series
};

/// The natural logarithm of a positive normal number, from plain arithmetic.
///
/// With x = 2^k m and m in [√½, √2), ln x = k ln 2 + 2 artanh(s) for s = (m - 1) / (m + 1), whose
/// series in s² (at most 0.0295) is below half an ulp after twelve terms.
#[inline(always)]
fn ln(x: f64) -> f64 {
    // The high part ends in 21 zero bits, so that its product with k is exact.
    const LN_2_HIGH: f64 = 0.693_147_180_369_123_816_49;
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
    let series = SERIES.iter().rev().fold(0.0, |sum, c| (sum + c) * z);
    let k = f64::from(k);
    k * LN_2_HIGH + (2.0 * s + (2.0 * s * series + k * LN_2_LOW))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rng::{key, uniform_f64};

    #[test]
    fn quantiles_agree_with_reference_values() {
        // Python 3.11, statistics.NormalDist().inv_cdf, which uses the platform's logarithm.
        let known = [
            (1.1102230246251565e-16, -8.209536151601386),
            (1e-300, -37.0470962993612),
            (1e-10, -6.361340902404056),
            (1e-05, -4.2648907939228256),
            (0.01, -2.3263478740408408),
            (0.0749, -1.4402382675279632),
            (0.076, -1.4325027208258114),
            (0.3, -0.5244005127080407),
            (0.5, 0.0),
            (0.6, 0.2533471031357998),
            (0.9, 1.2815515655446008),
            (0.9999, 3.7190164854557084),
        ];
        for (p, x) in known {
            let found = normal_quantile(p);
            assert!((found - x).abs() <= 4e-16 * x.abs(), "{p}: {found} against {x}");
        }
    }

    #[test]
    fn the_logarithm_is_within_two_ulp_of_the_platforms() {
        for i in 0..100_000 {
            let x = uniform_f64(key(3), i).max(1e-300).powi(1 + (i % 40) as i32).max(1e-300);
            let (ours, theirs) = (ln(x), x.ln());
            let ulp = (theirs.abs().next_up() - theirs.abs()).max(f64::EPSILON * f64::EPSILON);
            assert!((ours - theirs).abs() <= 2.0 * ulp, "ln({x}): {ours} against {theirs}");
        }
        assert_eq!(ln(1.0), 0.0);
    }
}
