//! The exponential and its relatives.
//!
//! `eˣ = 2ⁿ · eʳ` with `n` the integer nearest to `x / ln 2`, so that `|r| ≤ ln 2 / 2`, and a
//! polynomial for `eʳ`. `n` comes out of the low bits of a float and goes into the exponent of one.
//! Where the result may overflow or be subnormal, `2ⁿ` is applied as two factors, each of which is
//! normal: then only the last multiplication rounds.

use super::Float;
use super::coefficients::{EXP, EXP2, LN_2_FULL, LOG2_E, SINH};
use crate::vector::{Builder, Value};

/// `eˣ`.
pub fn exp(b: &Builder, x: Value) -> Value {
    scaled_exp(&Float::of(b, x), x, 0)
}

/// `2ˣ`.
pub fn exp2(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let x = c.at_least(c.at_most(x, c.pick(129.0, 1025.0)), c.pick(-151.0, -1076.0));
    let magic = c.num(c.magic() + (2 * c.bias) as f64);
    let shifted = c.add(x, magic);
    let r = c.sub(x, c.sub(shifted, magic));
    let p = c.fma(c.poly(r, &EXP2), r, c.num(1.0));
    scale(&c, p, c.bits(shifted))
}

/// `eˣ - 1`, exact to the last places near 0.
pub fn expm1(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let clamped = c.at_least(c.at_most(x, c.pick(89.0, 710.0)), c.pick(-30.0, -50.0));
    // Half of the result: 2ⁿ itself may be too large where the result is not.
    let (bits, r) = reduce(&c, clamped, clamped, 1.0, c.bias - 1);
    let half = c.float(c.shl(bits, c.int(c.mantissa)));
    let result = c.fma(expm1_small(&c, r), half, c.sub(half, c.num(0.5)));
    let tiny = c.lt(c.abs(x), c.num(Float::exp2i(-2 - c.mantissa)));
    c.select(tiny, x, c.mul(result, c.num(2.0)))
}

/// `1 / (1 + e⁻ˣ)`, by `e^-|x|`, which does not overflow.
pub fn sigmoid(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let one = c.num(1.0);
    let minus = c.float(c.or(c.bits(x), c.sign_bit()));
    let e = scaled_exp(&c, minus, 0);
    let (divisor, lost) = c.fast_two_sum(one, e);
    let q = c.div(c.select(c.lt(x, c.num(0.0)), e, one), divisor);
    // q · lost / divisor is missing; 1 / divisor is q or 1 - q, whichever is larger.
    let rest = c.sub(one, q);
    let inverse = c.select(c.gt(rest, q), rest, q);
    c.fma(c.neg(lost), c.mul(q, inverse), q)
}

/// The hyperbolic tangent: with `t = e^2|x| - 1` it is `t / (t + 2)`, and `1 - 2 / (t + 2)`.
pub fn tanh(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let (one, two) = (c.num(1.0), c.num(2.0));
    let a = c.at_most(c.abs(x), c.pick(10.0, 20.0));
    let (bits, r) = reduce(&c, a, c.mul(a, two), 2.0, c.bias);
    let power = c.float(c.shl(bits, c.int(c.mantissa)));
    let t = c.fma(expm1_small(&c, r), power, c.sub(power, one));
    let is_large = c.gt(t, two);
    let (divisor, lost) = c.fast_two_sum(two, t);
    let q = c.div(c.select(is_large, two, t), divisor);
    let large = c.sub(one, q);
    // For small t, one more step of the division: 1 / divisor is (1 - q) / 2.
    let left = c.fma(c.neg(q), lost, c.fma(c.neg(q), divisor, t));
    let small = c.fma(left, c.fma(q, c.num(-0.5), c.num(0.5)), q);
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
    let x = c.at_least(x, c.pick(-104.0, -746.0));
    let (bits, r) = reduce(c, x, x, 1.0, 2 * c.bias + shift);
    scale(c, exp_small(c, r), bits)
}

/// `eˣ` for a result that is known to be normal.
pub(super) fn exp_normal(c: &Float<'_>, x: Value) -> Value {
    let (bits, r) = reduce(c, x, x, 1.0, c.bias);
    c.mul(exp_small(c, r), c.float(c.shl(bits, c.int(c.mantissa))))
}

/// `p · 2ⁿ` where the low bits of `bits` are `n` and twice the bias.
pub(super) fn scale(c: &Float<'_>, p: Value, bits: Value) -> Value {
    let mantissa = c.int(c.mantissa);
    let half = c.shr(bits, c.int(1));
    let rest = c.sub(bits, half);
    let p = c.mul(p, c.float(c.shl(half, mantissa)));
    c.mul(p, c.float(c.shl(rest, mantissa)))
}

/// With `n` the integer nearest to `x · factor / ln 2`: bits whose low ones are `n + offset`, and
/// `scaled - n · ln 2`, where `scaled` is `x · factor` and `factor` is a power of two.
fn reduce(c: &Float<'_>, x: Value, scaled: Value, factor: f64, offset: i64) -> (Value, Value) {
    let magic = c.num(c.magic() + offset as f64);
    let shifted = c.fma(x, c.part(&LOG2_E, 0, factor), magic);
    let n = c.sub(shifted, magic);
    // The first step is exact: the product is not rounded, and the difference has few bits.
    let r = c.fma(n, c.part(&LN_2_FULL, 0, -1.0), scaled);
    (c.bits(shifted), c.fma(n, c.part(&LN_2_FULL, 1, -1.0), r))
}

/// `eʳ` for reduced `r`.
fn exp_small(c: &Float<'_>, r: Value) -> Value {
    let one = c.num(1.0);
    c.fma(c.fma(c.poly(r, &EXP), r, one), r, one)
}

/// `eʳ - 1` for reduced `r`.
fn expm1_small(c: &Float<'_>, r: Value) -> Value {
    c.fma(c.mul(r, r), c.poly(r, &EXP), r)
}
