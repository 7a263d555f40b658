//! Logarithms.
//!
//! `x = 2ᵏ · (1 + f)` with `√½ ≤ 1 + f < √2`, and a polynomial for `ln(1 + f)`. The leading sum
//! `k · ln 2 + f` is kept with its rounding error, so that the last addition alone rounds.

use super::Float;
use super::coefficients::{LN_2, LOG, LOG2_E, LOG10_2, LOG10_E, Parts};
use crate::vector::{Builder, Value};

/// The natural logarithm.
pub fn log(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let split = Split::of(&c, x);
    at_the_ends(&c, x, natural(&c, split.exponent, split.fraction))
}

/// The logarithm to base 2; exact at powers of 2.
pub fn log2(b: &Builder, x: Value) -> Value {
    based(b, x, &LOG2_E, None)
}

/// The logarithm to base 10.
pub fn log10(b: &Builder, x: Value) -> Value {
    based(b, x, &LOG10_E, Some(&LOG10_2))
}

/// `ln(1 + x)`, exact to the last places near 0.
pub fn log1p(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let one = c.num(1.0);
    let u = c.add(one, x);
    // What rounding took from 1 + x goes to the fraction, in the fraction's scale.
    let lost = c.sub(x, c.sub(u, one));
    let split = Split::of(&c, u);
    let scale = c.float(c.shl(c.sub(c.int(2 * c.bias), split.biased), c.int(c.mantissa)));
    let whole = c.fma(lost, scale, split.fraction);
    // Beyond, nothing that matters is lost, and 2⁻ᵏ need not exist.
    let matters = c.lt(u, c.num(Float::exp2i(c.mantissa + 2)));
    let fraction = c.select(matters, whole, split.fraction);
    let result = at_the_ends(&c, u, natural(&c, split.exponent, fraction));
    c.select(c.eq(x, c.num(0.0)), x, result)
}

/// A positive number as `2ᵏ · (1 + f)`.
pub(super) struct Split {
    /// `k`, a float.
    pub exponent: Value,
    /// `f`, exact.
    pub fraction: Value,
    /// `k` and the bias, an integer; of a subnormal's multiple by 2^mantissa.
    biased: Value,
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
        Split { exponent, fraction, biased }
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

/// The logarithm to another base: `unit` is that of e, `two` that of 2 unless it is 1.
fn based(b: &Builder, x: Value, unit: &Parts, two: Option<&Parts>) -> Value {
    let c = Float::of(b, x);
    let Split { exponent: k, fraction: f, .. } = Split::of(&c, x);
    let scale = c.part(unit, 0, 1.0);
    let (high, lost) = c.two_product(f, scale);
    let rest = c.mul(c.mul(f, f), c.poly(f, &LOG));
    let low = c.fma(rest, scale, c.fma(f, c.part(unit, 1, 1.0), lost));
    let (whole, low) = match two {
        None => (k, low),
        Some(two) => (c.mul(k, c.part(two, 0, 1.0)), c.fma(k, c.part(two, 1, 1.0), low)),
    };
    let (sum, lost) = c.fast_two_sum(whole, high);
    at_the_ends(&c, x, c.add(sum, c.add(lost, low)))
}

/// `result`, but -∞ at 0, NaN below, and `x` itself at ∞ and NaN.
fn at_the_ends(c: &Float<'_>, x: Value, result: Value) -> Value {
    let zero = c.num(0.0);
    let finite = c.select(c.lt(x, c.num(f64::INFINITY)), result, x);
    let pole = c.select(c.eq(x, zero), c.num(f64::NEG_INFINITY), c.num(f64::NAN));
    c.select(c.gt(x, zero), finite, pole)
}
