//! Sine, cosine and tangent: polynomials within a quadrant, chosen and signed by the quadrant.
//!
//! The sign of the argument is taken off and put back, which keeps -0. `sin` and `cos` are right
//! for every argument; most of their instructions reduce large ones. A caller that knows its
//! arguments to be moderate uses [`sin_within`] and [`cos_within`], which give the same bits there.

use super::Float;
use super::coefficients::{COS, SIN, TAN};
use super::reduce::{Reduced, reduce, reduce_near};
use crate::vector::{Builder, Value};

/// The sine.
pub fn sin(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    signed_sin(&c, x, &reduce(&c, c.abs(x)))
}

/// The cosine.
pub fn cos(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    unsigned_cos(&c, &reduce(&c, c.abs(x)))
}

/// The sine of a finite number whose magnitude is less than 2¹⁷ (2²¹ for `F64`).
pub fn sin_within(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    signed_sin(&c, x, &reduce_near(&c, c.abs(x)))
}

/// The cosine of a finite number whose magnitude is less than 2¹⁷ (2²¹ for `F64`).
pub fn cos_within(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    unsigned_cos(&c, &reduce_near(&c, c.abs(x)))
}

/// The tangent.
pub fn tan(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let Reduced { quadrant, r, low } = reduce(&c, c.abs(x));
    let z = c.mul(r, r);
    // The derivative, 1 + tan², of what `r` was rounded by is near enough 1 + r².
    let curved = c.fma(c.mul(r, z), c.poly(z, &TAN), c.fma(low, z, low));
    let (t, low) = c.fast_two_sum(r, curved);
    // In odd quadrants it is -1 / (t + low), by one Newton step from -1 / t.
    let inverse = c.div(c.num(-1.0), t);
    let error = c.fma(inverse, low, c.fma(inverse, t, c.num(1.0)));
    let refined = c.fma(inverse, error, inverse);
    // (t is 0 for x = 0 only, in an even quadrant.)
    let result = c.select(is_odd(&c, quadrant), refined, t);
    c.float(c.xor(c.bits(result), c.sign(x)))
}

fn signed_sin(c: &Float<'_>, x: Value, reduced: &Reduced) -> Value {
    let result = sin_in_quadrant(c, reduced.quadrant, reduced);
    c.float(c.xor(c.bits(result), c.sign(x)))
}

fn unsigned_cos(c: &Float<'_>, reduced: &Reduced) -> Value {
    sin_in_quadrant(c, c.add(reduced.quadrant, c.int(1)), reduced)
}

/// The sine of `r` in a quadrant: `sin r`, `cos r`, `-sin r`, `-cos r`.
fn sin_in_quadrant(c: &Float<'_>, quadrant: Value, &Reduced { r, low, .. }: &Reduced) -> Value {
    let (z, z_low) = c.two_product(r, r);
    let (one, half) = (c.num(1.0), c.num(0.5));
    let half_z = c.mul(z, half);
    let sin = c.add(r, c.fma(c.mul(r, z), c.poly(z, &SIN), c.fma(c.neg(low), half_z, low)));
    // 1 - r²/2, what rounding took from it, and the rest.
    let near = c.sub(one, half_z);
    let lost = c.sub(c.sub(one, near), half_z);
    let lost = c.sub(lost, c.fma(z_low, half, c.mul(r, low)));
    let cos = c.add(near, c.fma(c.mul(z, z), c.poly(z, &COS), lost));
    let result = c.select(is_odd(c, quadrant), cos, sin);
    // Bit 1 of the quadrant is the sign.
    let sign = c.and(c.shl(quadrant, c.int(c.width() - 2)), c.sign_bit());
    c.float(c.xor(c.bits(result), sign))
}

fn is_odd(c: &Float<'_>, quadrant: Value) -> Value {
    c.ne(c.and(quadrant, c.int(1)), c.int(0))
}
