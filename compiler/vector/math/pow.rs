//! Powers: `|x|ʸ = 2^(y · log₂|x|)`, with the logarithm and the product to about twice the
//! precision, since an absolute error of the exponent is a relative one of the result. Nearly all
//! results are the nearest number.
//!
//! A pair `(high, low)` stands for the sum of two floats, the second below the last place of the
//! first.

use super::Float;
use super::coefficients::{EXP2_CUBE, HALF_LN_2_SQUARED, LN_2_FULL, LOG_RATIO, LOG2_E, THIRD};
use super::exp::nearest;
use super::log::Split;
use crate::vector::{Builder, Type, Value};

/// `xʸ`, with the special cases of IEEE 754: `x⁰` and `1ʸ` are 1 even for NaN; a negative `x` has
/// powers for integers only; infinities and zeros are limits.
pub fn pow(b: &Builder, x: Value, y: Value) -> Value {
    let c = Float::of(b, x);
    let (zero, one, infinity) = (c.num(0.0), c.num(1.0), c.num(f64::INFINITY));
    let a = c.abs(x);
    let result = exp2_pair(&c, times(&c, y, log2_pair(&c, a)));
    // A square root may lie nearer the middle of two floats than pairs of floats tell.
    let result = c.select(c.eq(y, c.num(0.5)), c.sqrt(a), result);

    let is_zero = c.eq(a, zero);
    let is_limit = c.or(is_zero, c.eq(a, infinity));
    let limit = c.select(c.xor(is_zero, c.lt(y, zero)), zero, infinity);
    let result = c.select(is_limit, limit, result);
    let result = c.select(c.eq(a, one), one, result);

    let half = c.mul(y, c.num(0.5));
    let is_integer = c.eq(c.trunc(y), y);
    let is_odd = c.and(is_integer, c.ne(c.trunc(half), half));
    let negated = c.float(c.xor(c.bits(result), c.sign(x)));
    let result = c.select(is_odd, negated, result);

    let nan = c.num(f64::NAN);
    let below = c.and(c.lt(x, zero), c.not(is_limit));
    let result = c.select(c.and(below, c.not(is_integer)), nan, result);
    let known = c.and(c.eq(x, x), c.eq(y, y));
    let result = c.select(known, result, nan);
    c.select(c.or(c.eq(x, one), c.eq(y, zero)), one, result)
}

/// `log₂ a` for a positive finite number: with `s = f / (2 + f)`, `ln(1 + f) = 2 artanh s`.
fn log2_pair(c: &Float<'_>, a: Value) -> (Value, Value) {
    let Split { exponent: k, fraction: f, .. } = Split::of(c, a);
    // s = f / (f + 2)
    let (divisor, divisor_low) = c.fast_two_sum(c.num(2.0), f);
    let inverse = c.div(c.num(1.0), divisor);
    let s = c.mul(f, inverse);
    let left = c.fma(c.neg(s), divisor_low, c.fma(c.neg(s), divisor, f));
    let s_low = c.mul(left, inverse);
    // z = s², cube = s³
    let (z, lost) = c.two_product(s, s);
    let z_low = c.fma(c.mul(s, c.num(2.0)), s_low, lost);
    let (cube, lost) = c.two_product(s, z);
    let cube_low = c.fma(s, z_low, c.fma(s_low, z, lost));
    // t = s³ · (1/3 + s² · polynomial)
    let (rest, rest_low) = match c.ty {
        Type::F32 => (c.mul(z, c.poly(z, &LOG_RATIO)), c.num(0.0)),
        _ => c.times_poly(c.num(1.0), (z, z_low), &LOG_RATIO),
    };
    let (g, g_low) = c.fast_two_sum(c.part(&THIRD, 0, 1.0), rest);
    let g_low = c.add(g_low, c.add(rest_low, c.part(&THIRD, 1, 1.0)));
    let (t, lost) = c.two_product(cube, g);
    let t_low = c.fma(cube, g_low, c.fma(cube_low, g, lost));
    // log₂ a = k + (s + t) · 2 / ln 2
    let (sum, lost) = c.fast_two_sum(s, t);
    let sum_low = c.add(lost, c.add(s_low, t_low));
    let unit = c.part(&LOG2_E, 0, 2.0);
    let (high, lost) = c.two_product(sum, unit);
    let low = c.fma(sum, c.part(&LOG2_E, 1, 2.0), c.fma(sum_low, unit, lost));
    let (high, lost) = c.fast_two_sum(k, high);
    (high, c.add(lost, low))
}

fn times(c: &Float<'_>, y: Value, (high, low): (Value, Value)) -> (Value, Value) {
    let (product, lost) = c.two_product(y, high);
    (product, c.fma(y, low, lost))
}

/// `2^(high + low)`.
pub(super) fn exp2_pair(c: &Float<'_>, (high, low): (Value, Value)) -> Value {
    let bound = c.pick(160.0, 1100.0);
    // Beyond, the result is 0 or ∞, and `low` may be NaN.
    let low = c.select(c.lt(c.abs(high), c.num(bound)), low, c.num(0.0));
    let high = c.at_least(c.at_most(high, bound), c.pick(-520.0, -4100.0));
    let n = nearest(c, high);
    let r = c.sub(high, n);
    // 2ʳ = 1 + r ln 2 + r² · (½ ln² 2 + r · polynomial), all of them pairs.
    let ln_2 = c.part(&LN_2_FULL, 0, 1.0);
    let (linear, lost) = c.two_product(r, ln_2);
    let linear_low = c.fma(low, ln_2, c.fma(r, c.part(&LN_2_FULL, 1, 1.0), lost));
    let (r, r_low) = c.fast_two_sum(r, low);
    let (sum, first) = c.fast_two_sum(c.num(1.0), linear);
    let (square, lost) = c.two_product(r, r);
    let square_low = c.fma(c.add(r, r), r_low, lost);
    let (tail, tail_low) = c.two_product(c.poly(r, &EXP2_CUBE), r);
    let (g, lost) = c.fast_two_sum(c.part(&HALF_LN_2_SQUARED, 0, 1.0), tail);
    let g_low = c.add(lost, c.add(tail_low, c.part(&HALF_LN_2_SQUARED, 1, 1.0)));
    let (rest, lost) = c.two_product(square, g);
    let rest_low = c.fma(square, g_low, c.fma(square_low, g, lost));
    let (sum, second) = c.fast_two_sum(sum, rest);
    let low = c.add(linear_low, rest_low);
    c.scale(c.add(sum, c.add(second, c.add(first, low))), n)
}
