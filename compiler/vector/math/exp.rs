//! The exponential and its relatives.
//!
//! `eˣ = 2ⁿ · eʳ` with `n` the integer nearest to `x / ln 2`, so that `|r| ≤ ln 2 / 2`, and a
//! polynomial for `eʳ`. Where the result is known to be normal, `n` comes out of the low bits of a
//! float and goes into the exponent of one; elsewhere `Scale` rounds once. `sigmoid` and `tanh` are
//! quotients of `2ⁿ + eʳ`: the sum is `2ⁿ + 1`, nearly always exact, and `eʳ - 1`, so that it
//! rounds once. `expm1` of `f64` has the steps of the C library (fdlibm), so that results are its.

use super::Float;
use super::coefficients::{EXP, EXPM1, LN_2_CUT, LN_2_FULL, LOG2_E, SINH};
use super::pow::exp2_pair;
use crate::vector::{Builder, Type, Value};
use std::f64::consts::LN_2;

/// Where exponents of `f32` and `f64` end. Powers are 0 long before, but processors take a hundred
/// cycles to scale by less than 2⁻¹²⁶ and more than 2⁻⁵¹² (`f64`: 2⁻¹⁰²² and 2⁻⁴⁰⁹⁶): masked scores
/// of an attention would all be there.
const FAR: (f64, f64) = (-360.0, -2850.0);

/// `eˣ`.
pub fn exp(b: &Builder, x: Value) -> Value {
    scaled_exp(&Float::of(b, x), x, 0)
}

/// `2ˣ`.
pub fn exp2(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    exp2_pair(&c, (x, c.num(0.0)))
}

/// `eˣ - 1`, exact to the last places near 0.
pub fn expm1(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    if c.ty == Type::F64 {
        return expm1_in_steps(&c, x);
    }
    let clamped = c.at_least(c.at_most(x, 89.0), -30.0);
    // Half of the result: 2ⁿ itself may be too large where the result is not.
    let Reduced { shifted, r, .. } = reduce(&c, clamped, 1.0, c.bias - 1);
    let half = c.float(c.shl(c.bits(shifted), c.int(c.mantissa)));
    let result = c.fma(expm1_small(&c, r), half, c.sub(half, c.num(0.5)));
    let tiny = c.lt(c.abs(x), c.num(Float::exp2i(-2 - c.mantissa)));
    c.select(tiny, x, c.mul(result, c.num(2.0)))
}

/// `1 / (1 + e⁻ˣ)`: with `x = n ln 2 + r` it is `2ⁿ / (2ⁿ + e⁻ʳ)`.
pub fn sigmoid(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let one = c.num(1.0);
    // Past these numbers the result is 1, and 0.
    let x = c.at_least(c.at_most(x, c.pick(18.0, 40.0)), c.pick(FAR.0, FAR.1));
    let Reduced { n, r, .. } = reduce(&c, x, 1.0, 0);
    let power = c.scale(one, n);
    let sum = c.add(power, one);
    // Small powers are lost in the sum, in part or as a whole; large ones hide the 1.
    let lost = c.sub(power, c.sub(sum, one));
    let slope = c.fma(c.poly_of(r, &EXP, 1.0, -1.0), r, c.num(-1.0));
    c.div(power, c.add(sum, c.fma(slope, r, lost)))
}

/// The hyperbolic tangent: with `2 |x| = n ln 2 + 2 r` it is `(2ⁿ - e⁻²ʳ) / (2ⁿ + e⁻²ʳ)`, of which
/// both terms are halved here.
pub fn tanh(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    if c.ty == Type::F64 {
        return tanh_nearly_rounded(&c, x);
    }
    let half = c.num(0.5);
    let a = c.at_most(c.abs(x), 10.0);
    let Reduced { shifted, r, .. } = reduce(&c, a, 2.0, c.bias - 1);
    let power = c.float(c.shl(c.bits(shifted), c.int(c.mantissa)));
    // (1 - e⁻²ʳ) / 2
    let rest = c.fma(c.mul(r, r), c.poly_of(r, &EXP, -2.0, -2.0), r);
    let magnitude = c.div(c.add(c.sub(power, half), rest), c.sub(c.add(power, half), rest));
    c.with_sign(magnitude, x)
}

/// `eˣ - 1` with `x = k ln 2 + r`, where `r - low` is the whole rest: from
/// `r (eʳ + 1) / (eʳ - 1) = 2 + r²/6 · (1 + …)`, of which the polynomial is the last factor, comes
/// `eʳ - 1 = r + r²/2 - …`, and its `2ᵏ`-fold in the order that loses least for each `k`.
fn expm1_in_steps(c: &Float<'_>, x: Value) -> Value {
    let (zero, half, one, two) = (c.num(0.0), c.num(0.5), c.num(1.0), c.num(2.0));
    let clamped = c.at_least(c.at_most(x, 710.0), -50.0);
    let signed_half = c.select(c.lt(x, zero), c.num(-0.5), half);
    let turns = c.trunc(c.fma_apart(c.part(&LOG2_E, 0, 1.0), clamped, signed_half));
    let k = c.select(c.gt(c.abs(x), c.num(0.5 * LN_2)), turns, zero);
    let high = c.sub(clamped, c.mul(k, c.part(&LN_2_CUT, 0, 1.0)));
    let low = c.mul(k, c.part(&LN_2_CUT, 1, 1.0));
    let r = c.sub(high, low);
    let lost = c.sub(c.sub(high, r), low);

    let half_r = c.mul(r, half);
    let z = c.mul(r, half_r);
    let ratio = c.fma_apart(z, c.poly(z, &EXPM1), one);
    let t = c.sub(c.num(3.0), c.mul(ratio, half_r));
    let e = c.mul(z, c.div(c.sub(ratio, t), c.sub(c.num(6.0), c.mul(r, t))));
    let unscaled = c.sub(r, c.sub(c.mul(r, e), z));
    let e = c.sub(c.sub(c.mul(r, c.sub(e, lost)), lost), z);

    // 2⁻ᵏ, where k is not negative.
    let small = c.scale(one, c.sub(zero, c.max(k, zero)));
    let less = c.sub(e, r);
    let (down, up) = (c.lt(k, zero), c.gt(k, c.num(56.0)));
    let whole = c.scale(c.sub(one, less), k);
    let power = c.scale(one, c.at_most(k, 20.0));
    let some = c.mul(c.sub(c.sub(one, small), less), power);
    let many = c.scale(c.add(c.sub(r, c.add(e, small)), one), k);
    let doubled = c.select(
        c.lt(r, c.num(-0.25)),
        c.mul(c.num(-2.0), c.sub(e, c.add(r, half))),
        c.fma_apart(two, c.sub(r, e), one),
    );
    let halved = c.sub(c.mul(half, c.sub(r, e)), half);
    let result = c.select(c.lt(k, c.num(20.0)), some, many);
    let result = c.select(c.or(down, up), c.sub(whole, one), result);
    let result = c.select(c.eq(k, c.num(-1.0)), halved, result);
    let result = c.select(c.eq(k, one), doubled, result);
    let result = c.select(c.eq(k, zero), unscaled, result);
    let tiny = c.lt(c.abs(x), c.num(Float::exp2i(-2 - c.mantissa)));
    c.select(tiny, x, result)
}

/// The hyperbolic tangent of `f64`, nearly as if rounded once: with `t = e^2|x| - 1` it is
/// `t / (t + 2)` up to `t = 2`, then `1 - 2 / (t + 2)`, and rounding errors are kept on the way.
fn tanh_nearly_rounded(c: &Float<'_>, x: Value) -> Value {
    let (half, one, two) = (c.num(0.5), c.num(1.0), c.num(2.0));
    let a = c.mul(c.at_most(c.abs(x), 22.0), two);
    let magic = c.num(c.magic() + c.bias as f64);
    let shifted = c.fma(a, c.part(&LOG2_E, 0, 1.0), magic);
    let n = c.sub(shifted, magic);
    let power = c.float(c.shl(c.bits(shifted), c.int(c.mantissa)));
    let near = c.fma(n, c.part(&LN_2_FULL, 0, -1.0), a);
    let r = c.fma(n, c.part(&LN_2_FULL, 1, -1.0), near);
    let r_low = c.fma(n, c.part(&LN_2_FULL, 1, -1.0), c.sub(near, r));
    // 2ⁿ (1 + r + …) - 1
    let (sum, lost) = c.fast_two_sum(c.sub(power, one), c.mul(power, r));
    let rest = c.fma(c.mul(r, r), c.poly(r, &EXP), r_low);
    let (t, t_low) = c.fast_two_sum(sum, c.fma(power, rest, lost));

    let is_large = c.gt(t, two);
    let (divisor, lost) = c.fast_two_sum(two, t);
    let divisor_low = c.add(lost, t_low);
    let dividend = c.select(is_large, two, t);
    let dividend_low = c.select(is_large, c.num(0.0), t_low);
    let q = c.div(dividend, divisor);
    // One more step of the division: 1 / (t + 2) is q / 2, or (1 - q) / 2.
    let left =
        c.add(c.fma(c.neg(q), divisor, dividend), c.fma(c.neg(q), divisor_low, dividend_low));
    let (far, lost) = c.fast_two_sum(one, c.neg(q));
    let small = c.fma(left, c.mul(far, half), q);
    let large = c.add(far, c.fma(left, c.mul(q, c.num(-0.5)), lost));
    c.with_sign(c.select(is_large, large, small), x)
}

/// The hyperbolic cosine.
pub fn cosh(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let half = scaled_exp(&c, c.abs(x), -1);
    c.add(half, c.div(c.num(0.25), half))
}

/// The hyperbolic sine: a polynomial below 1, where the difference of exponentials cancels.
pub fn sinh(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let a = c.abs(x);
    let half = scaled_exp(&c, a, -1);
    let large = c.sub(half, c.div(c.num(0.25), half));
    let z = c.mul(a, a);
    let small = c.fma(c.mul(a, z), c.poly(z, &SINH), a);
    c.with_sign(c.select(c.lt(a, c.num(1.0)), small, large), x)
}

/// `eˣ · 2^shift`, for a small shift.
fn scaled_exp(c: &Float<'_>, x: Value, shift: i64) -> Value {
    let x = c.at_most(x, c.pick(90.0, 711.0));
    let x = c.at_least(x, c.pick(FAR.0, FAR.1));
    let Reduced { shifted, r, .. } = reduce(c, x, 1.0, 0);
    let n = c.sub(shifted, c.num(c.magic() - shift as f64));
    c.scale(exp_small(c, r), n)
}

/// `eˣ` for a result that is known to be normal.
pub(super) fn exp_normal(c: &Float<'_>, x: Value) -> Value {
    let Reduced { shifted, r, .. } = reduce(c, x, 1.0, c.bias);
    c.mul(exp_small(c, r), c.float(c.shl(c.bits(shifted), c.int(c.mantissa))))
}

/// The integer nearest to `x`, which is small beside [`Float::magic`].
pub(super) fn nearest(c: &Float<'_>, x: Value) -> Value {
    let magic = c.num(c.magic());
    c.sub(c.add(x, magic), magic)
}

/// What [`reduce`] gives.
pub(super) struct Reduced {
    /// A float whose low bits are `n` and the offset.
    shifted: Value,
    /// The integer nearest to `x · factor / ln 2`.
    pub n: Value,
    /// `x - n ln 2 / factor`.
    pub r: Value,
}

/// Brings `x` near 0 by multiples of `ln 2 / factor`, where `factor` is a power of two.
pub(super) fn reduce(c: &Float<'_>, x: Value, factor: f64, offset: i64) -> Reduced {
    let magic = c.num(c.magic() + offset as f64);
    let shifted = c.fma(x, c.part(&LOG2_E, 0, factor), magic);
    let n = c.sub(shifted, magic);
    // The first step is exact: the product is not rounded, and the difference has few bits.
    let r = c.fma(n, c.part(&LN_2_FULL, 0, -factor.recip()), x);
    let r = c.fma(n, c.part(&LN_2_FULL, 1, -factor.recip()), r);
    Reduced { shifted, n, r }
}

/// `eʳ` for reduced `r`.
fn exp_small(c: &Float<'_>, r: Value) -> Value {
    let one = c.num(1.0);
    c.fma(c.fma(c.poly(r, &EXP), r, one), r, one)
}

/// `eʳ - 1` for reduced `r`.
pub(super) fn expm1_small(c: &Float<'_>, r: Value) -> Value {
    c.fma(c.mul(r, r), c.poly(r, &EXP), r)
}
