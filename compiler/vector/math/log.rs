//! Logarithms.
//!
//! `x = 2ᵏ · (1 + f)` with `√½ ≤ 1 + f < √2`, and a polynomial for `ln(1 + f)`. The leading sum
//! `k · ln 2 + f` is kept with its rounding error, so that the last addition alone rounds. The
//! `f64` logarithm also keeps those of the first terms of the polynomial, and is rounded as the
//! nearest number nearly everywhere.

use super::Float;
use super::coefficients::{
    LN_2, LN_2_CUT, LOG, LOG_CUBE, LOG_RATIO, LOG2_E, LOG10_2_CUT, LOG10_E, THIRD,
};
use crate::vector::{Builder, Value};

/// The natural logarithm.
pub fn log(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let split = Split::of(&c, x);
    let (k, f) = (split.exponent, split.fraction);
    at_the_ends(&c, x, c.pick(natural as fn(&_, _, _) -> _, nearly_rounded)(&c, k, f))
}

/// The natural logarithm, nearly as if rounded once, of `f32` too.
pub(super) fn log_nearly_rounded(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let split = Split::of(&c, x);
    at_the_ends(&c, x, nearly_rounded(&c, split.exponent, split.fraction))
}

/// The logarithm to base 2; exact at powers of 2.
pub fn log2(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let Split { exponent: k, fraction: f, .. } = Split::of(&c, x);
    let (ln, ln_low) = c.pick(fraction_pair_short as fn(&_, _) -> _, fraction_pair)(&c, f);
    let unit = c.part(&LOG2_E, 0, 1.0);
    let (high, lost) = c.two_product(ln, unit);
    let low = c.fma(ln_low, unit, c.fma(ln, c.part(&LOG2_E, 1, 1.0), lost));
    let (sum, lost) = c.fast_two_sum(k, high);
    at_the_ends(&c, x, c.add(sum, c.add(lost, low)))
}

/// The logarithm to base 10: with `x = 2ʸ · m`, `½ ≤ m < 1` below 1 and `1 ≤ m < 2` from there on,
/// `y · log₁₀ 2 + ln m / ln 10`, in the steps of the C library (fdlibm), so that results are its.
pub fn log10(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let Split { exponent: k, fraction: f, .. } = Split::of(&c, x);
    let (zero, one) = (c.num(0.0), c.num(1.0));
    // `m = 2ʳ · (1 + f)`.
    let below = c.lt(f, zero);
    let up = c.and(below, c.gt(k, zero));
    let down = c.and(c.not(below), c.lt(k, zero));
    let r = c.select(up, one, c.select(down, c.num(-1.0), zero));
    let y = c.sub(k, r);
    let ln = c.mul(c.part(&LOG10_E, 0, 1.0), nearly_rounded(&c, r, f));
    let low = c.add(c.mul(y, c.part(&LOG10_2_CUT, 1, 1.0)), ln);
    at_the_ends(&c, x, c.add(low, c.mul(y, c.part(&LOG10_2_CUT, 0, 1.0))))
}

/// `ln(1 + x)`, exact to the last places near 0. With `s = f / (2 + f)`,
/// `ln(1 + f) = f - (f²/2 - s (f²/2 + R(s²)))`, in the steps of the C library (fdlibm), so that
/// results are its.
pub fn log1p(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let (zero, one, half) = (c.num(0.0), c.num(1.0), c.num(0.5));
    let u = c.add(one, x);
    let Split { exponent: k, fraction } = Split::of(&c, u);
    // What rounding took from 1 + x; nothing where x itself is the fraction.
    let lost = c.select(c.lt(u, c.num(2.0)), c.sub(x, c.sub(u, one)), c.sub(one, c.sub(u, x)));
    let near = c.eq(k, zero);
    let lost = c.select(near, zero, c.div(lost, u));
    let f = c.select(near, x, fraction);
    let square = c.mul(c.mul(half, f), f);
    let s = c.div(f, c.add(c.num(2.0), f));
    let z = c.mul(s, s);
    let inner = c.fma(z, c.poly(z, &LOG_RATIO), c.part(&THIRD, 0, 1.0));
    let ratio = c.mul(c.add(z, z), inner);
    let low = c.fma_apart(k, c.part(&LN_2_CUT, 1, 1.0), lost);
    let rest = c.fma_apart(s, c.add(square, ratio), low);
    let small = c.sub(c.sub(square, rest), f);
    let result = at_the_ends(&c, u, c.sub(c.mul(k, c.part(&LN_2_CUT, 0, 1.0)), small));
    c.select(c.eq(x, zero), x, result)
}

/// A positive number as `2ᵏ · (1 + f)`.
pub(super) struct Split {
    /// `k`, a float.
    pub exponent: Value,
    /// `f`, exact.
    pub fraction: Value,
}

impl Split {
    /// Splits `x`; the outcome has no meaning where `x` is not positive and finite.
    pub(super) fn of(c: &Float<'_>, x: Value) -> Split {
        let m = c.mantissa;
        let small = c.lt(x, c.num(c.smallest_normal()));
        let normal = c.select(small, c.mul(x, c.num(Float::exp2i(m))), x);
        // Counted from √½, the fields of the number are k and its place among its peers.
        let origin = c.bits_of(0.5f64.sqrt());
        let place = c.sub(c.bits(normal), c.int(origin - (c.bias << m)));
        let biased = c.shr(place, c.int(m));
        let peers = c.and(place, c.int((1 << m) - 1));
        let fraction = c.sub(c.float(c.add(peers, c.int(origin))), c.num(1.0));
        // The integer in the low bits of a float is that float, less the power of two.
        let power = Float::exp2i(m);
        let float = c.float(c.or(biased, c.int(c.bits_of(power))));
        let offset = |n: i64| c.num(power + n as f64);
        let exponent = c.sub(float, c.select(small, offset(c.bias + m), offset(c.bias)));
        Split { exponent, fraction }
    }
}

/// `k · ln 2 + ln(1 + f)`.
fn natural(c: &Float<'_>, k: Value, f: Value) -> Value {
    let first = c.part(&LN_2, 0, 1.0);
    let sum = c.fma(k, first, f);
    let lost = c.sub(f, c.fma(k, c.neg(first), sum));
    let low = c.fma(k, c.part(&LN_2, 1, 1.0), lost);
    c.add(sum, c.fma(c.mul(f, f), c.poly(f, &LOG), low))
}

/// `ln(1 + f)` as a pair, to about twice the precision: `f - f²/2 + f³ (c₀ + f …)`, where the
/// last sum is the polynomial, and all but the dots are pairs.
fn fraction_pair(c: &Float<'_>, f: Value) -> (Value, Value) {
    let (g, g_low) = c.poly_pair(f, &LOG_CUBE);
    let (t, lost) = c.two_product(f, g);
    let t_low = c.fma(f, g_low, lost);
    let (square, square_low) = c.two_product(f, f);
    let (cube, lost) = c.two_product(square, t);
    let cube_low = c.fma(square, t_low, c.fma(square_low, t, lost));
    let minus_half = c.num(-0.5);
    let (sum, first) = c.fast_two_sum(f, c.mul(square, minus_half));
    let (sum, second) = c.fast_two_sum(sum, cube);
    (sum, c.add(second, c.add(first, c.fma(square_low, minus_half, cube_low))))
}

/// `ln(1 + f)` as `f` and the rest, which is rounded.
fn fraction_pair_short(c: &Float<'_>, f: Value) -> (Value, Value) {
    (f, c.mul(c.mul(f, f), c.poly(f, &LOG)))
}

/// `k · ln 2 + ln(1 + f)`, nearly as if rounded once.
fn nearly_rounded(c: &Float<'_>, k: Value, f: Value) -> Value {
    let (ln, low) = fraction_pair(c, f);
    let (sum, lost) = c.fast_two_sum(c.mul(k, c.part(&LN_2, 0, 1.0)), ln);
    c.add(sum, c.add(lost, c.fma(k, c.part(&LN_2, 1, 1.0), low)))
}

/// `result`, but -∞ at 0, NaN below, and `x` itself at ∞ and NaN.
fn at_the_ends(c: &Float<'_>, x: Value, result: Value) -> Value {
    let zero = c.num(0.0);
    let finite = c.select(c.lt(x, c.num(f64::INFINITY)), result, x);
    let pole = c.select(c.eq(x, zero), c.num(f64::NEG_INFINITY), c.num(f64::NAN));
    c.select(c.gt(x, zero), finite, pole)
}
