//! Arguments of the circular functions, reduced to `|r| ≤ π/4` and a quadrant.
//!
//! Up to [`limit`], `n · π/2` is subtracted in three parts (Cody and Waite), with `fma`, which
//! makes the first step exact. Beyond, `x · 2/π` modulo 4 is computed from a window of the binary
//! digits of 2/π (Payne and Hanek): those further left contribute multiples of 4. With
//! `x = M · 2ᵉ`, the window starts at a bit that `e` tells, and is
//!
//! - a word `w₀` whose product with `M` modulo 2^width holds two bits of quadrant and a fraction;
//! - three floats `u`, `v`, `t` of the digits that follow, whose products with `M` are added; the
//!   last matters next to multiples of π/2.
//!
//! The window is cut out by a barrel shifter of selects: no table is indexed. Everything stays in
//! lanes of the argument's width, and there is no conversion between integers and floats.

use super::Float;
use super::coefficients::{FRAC_2_PI, FRAC_2_PI_BITS, FRAC_PI_2};
use crate::vector::Value;

/// A reduced argument.
pub(super) struct Reduced {
    /// An integer whose two low bits are the quadrant.
    pub quadrant: Value,
    /// The angle within it, from -π/4 to π/4.
    pub r: Value,
    /// What `r` was rounded by.
    pub low: Value,
}

/// The power of two below which Cody and Waite's reduction is used.
pub(super) fn limit(c: &Float<'_>) -> i64 {
    c.pick(17, 21)
}

/// Reduces a number that is not negative. Infinity becomes NaN.
pub(super) fn reduce(c: &Float<'_>, a: Value) -> Reduced {
    let near = reduce_near(c, a);
    let far = reduce_far(c, a);
    let is_near = c.likely(c.lt(a, c.num(Float::exp2i(limit(c)))));
    let is_far = c.lt(a, c.num(f64::INFINITY));
    Reduced {
        quadrant: c.select(is_near, near.quadrant, far.quadrant),
        r: c.select(is_near, near.r, c.select(is_far, far.r, c.num(f64::NAN))),
        low: c.select(is_near, near.low, far.low),
    }
}

/// Reduces a number whose magnitude is less than 2^[`limit`].
pub(super) fn reduce_near(c: &Float<'_>, a: Value) -> Reduced {
    let magic = c.num(c.magic());
    let shifted = c.fma(a, c.part(&FRAC_2_PI, 0, 1.0), magic);
    let n = c.sub(shifted, magic);
    let first = c.fma(n, c.part(&FRAC_PI_2, 0, -1.0), a);
    let (second, lost) = c.two_product(n, c.part(&FRAC_PI_2, 1, -1.0));
    // `first` is a multiple of the last place of `a` or of π/2, both above that of `second`.
    let (sum, lost_in_sum) = c.fast_two_sum(first, second);
    let low = c.fma(n, c.part(&FRAC_PI_2, 2, -1.0), c.add(lost_in_sum, lost));
    let (r, low) = c.fast_two_sum(sum, low);
    Reduced { quadrant: c.bits(shifted), r, low }
}

/// Reduces a finite number that is at least 2^[`limit`].
fn reduce_far(c: &Float<'_>, a: Value) -> Reduced {
    let (m, width) = (c.mantissa, c.width());
    let bits = c.bits(a);
    let fraction = c.and(bits, c.int((1 << m) - 1));
    let integer = c.or(fraction, c.int(1 << m));
    // M as a float, and M / 2^mantissa.
    let whole = c.float(c.or(fraction, c.int((c.bias + m) << m)));
    let scaled = c.float(c.or(fraction, c.int(c.bias << m)));

    let [w0, w1, w2] = window(c, c.sub(c.shr(bits, c.int(m)), c.int(c.bias + limit(c))));
    // Digits as floats below 1: the bits of 1.digits, less 1. For `t`, which is cut short, half of
    // the unit that was cut is added.
    let digits = |word: Value, less: f64| {
        let one = c.int(c.bias << m);
        c.sub(c.float(c.or(c.shr(word, c.int(width - m)), one)), c.num(less))
    };
    let u = digits(w1, 1.0);
    let following = c.or(c.shl(w1, c.int(m)), c.shr(w2, c.int(width - m)));
    let v = digits(following, 1.0);
    let t = digits(c.shl(w2, c.int(2 * m - width)), 1.0 - Float::exp2i(2 * (m - width) - 1));

    // M · u is below 2^(mantissa + 1). Its even part joins the integer; what is left is small.
    let (product, lost) = c.two_product(whole, u);
    let power = Float::exp2i(m + 1);
    let shifted = c.add(product, c.num(power));
    let odd = c.sub(product, c.sub(shifted, c.num(power)));
    let even = c.shl(c.bits(shifted), c.int(1));
    // In units of 2^(2 - width), so that the two highest bits are the quadrant; half a quadrant is
    // added, to take the nearest, and half of what `high` will cut off.
    let cut = width - 2 - m;
    let half = 1i64 << (cut - 1);
    let offset = ((1i64 << (width - 3)) + half).wrapping_sub(c.bits_of(power) << 1);
    let sum = c.add(c.add(c.mul(integer, w0), even), c.int(offset));
    let high = digits(c.shl(sum, c.int(2)), 1.5);
    let tail = c.and(sum, c.int((1 << cut) - 1));
    let magic = Float::exp2i(m);
    let tail = c.float(c.or(tail, c.int(c.bits_of(magic))));
    let tail = c.sub(tail, c.num(magic + half as f64));
    // From the largest to the smallest: the first sums are exact where the result is small.
    let larger = c.add(c.add(tail, odd), lost);
    let rest = c.fma(scaled, v, larger);
    let rest_low = c.fma(scaled, v, c.sub(larger, rest));
    let rest_low = c.fma(c.mul(scaled, t), c.num(Float::exp2i(-m)), rest_low);

    // Back from quadrants to radians. Next to a multiple of π/2 `high` is 0.
    let unit = Float::exp2i(2 - width);
    let pi_2 = |part, factor| c.part(&FRAC_PI_2, part, factor);
    let (angle, lost) = c.two_product(high, pi_2(0, 1.0));
    let low = c.fma(high, pi_2(1, 1.0), lost);
    let low = c.fma(rest_low, pi_2(0, unit), c.fma(rest, pi_2(1, unit), low));
    let (near, lost) = c.two_product(rest, pi_2(0, unit));
    let (angle, lost_in_sum) = c.fast_two_sum(angle, near);
    let (r, low) = c.fast_two_sum(angle, c.add(low, c.add(lost, lost_in_sum)));
    Reduced { quadrant: c.shr(sum, c.int(width - 2)), r, low }
}

/// Three words of the digits of 2/π, from the bit `start`, counted so that 0 serves the smallest
/// argument of `reduce_far`.
fn window(c: &Float<'_>, start: Value) -> [Value; 3] {
    let width = c.width();
    // The first digit of the window weighs 2 in the product.
    let leading_zeros = c.mantissa + 2 - limit(c);
    let levels = c.pick(2u32, 4);
    let mut words: Vec<Value> = (0..(1 << levels) + 3)
        .map(|i| c.int(digits_at(i * width - leading_zeros, width)))
        .collect();
    for level in (0..levels).rev() {
        let step = 1usize << level;
        let bit = c.and(start, c.int(width << level));
        let skip = c.ne(bit, c.int(0));
        words = (0..step + 3).map(|i| c.select(skip, words[i + step], words[i])).collect();
    }
    let left = c.and(start, c.int(width - 1));
    let right = c.sub(c.int(width), left);
    // A right shift by the whole width gives 0, as it should.
    [0, 1, 2].map(|i| c.or(c.shl(words[i], left), c.shr(words[i + 1], right)))
}

/// `width` binary digits of 2/π after the point, from digit `start`; those before the point are 0.
fn digits_at(start: i64, width: i64) -> i64 {
    let digit = |i: i64| {
        let word = usize::try_from(i).ok().and_then(|i| FRAC_2_PI_BITS.get(i / 64));
        word.map_or(0, |word| word >> (63 - i % 64) & 1)
    };
    let word = (start..start + width).fold(0u64, |word, i| word << 1 | digit(i));
    word as i64
}
