//! The inverses of the circular functions.
//!
//! `atan` has one polynomial on [0, 1], larger arguments going by their reciprocals; `asin` and
//! `acos` one on [0, 1/2], larger arguments going by the half angle:
//! `asin x = π/2 - 2 asin √((1-x)/2)`. Multiples of π are added in two parts.

use super::Float;
use super::coefficients::{ASIN, ATAN, FRAC_PI_2};
use crate::vector::{Builder, Value};

/// The angle whose tangent is `x`.
pub fn atan(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let a = c.abs(x);
    let one = c.num(1.0);
    let inverted = c.gt(a, one);
    let t = c.select(inverted, c.div(one, a), a);
    let angle = atan_small(&c, t);
    c.with_sign(c.select(inverted, complement(&c, angle), angle), x)
}

/// The angle of the point (`x`, `y`), from -π to π.
pub fn atan2(b: &Builder, y: Value, x: Value) -> Value {
    let c = Float::of(b, x);
    let (ax, ay) = (c.abs(x), c.abs(y));
    let steep = c.gt(ay, ax);
    let long = c.select(steep, ay, ax);
    let short = c.select(steep, ax, ay);
    // 0/0 is 0 and ∞/∞ is 1.
    let diagonal = c.select(c.eq(long, c.num(0.0)), long, c.num(1.0));
    let t = c.select(c.eq(short, long), diagonal, c.div(short, long));
    // From the nearest multiple of π/2, away from the axis or back to it. By the sign bit: -0 lies
    // to the left.
    let left = c.lt(c.bits(x), c.int(0));
    let zero = c.num(0.0);
    let axis = |i| {
        let flat = c.select(left, c.part(&FRAC_PI_2, i, 2.0), zero);
        c.select(steep, c.part(&FRAC_PI_2, i, 1.0), flat)
    };
    let angle = atan_small(&c, t);
    let turned = c.select(c.xor(steep, left), c.neg(angle), angle);
    c.with_sign(c.add(axis(0), c.add(turned, axis(1))), y)
}

/// The angle from -π/2 to π/2 whose sine is `x`; NaN outside [-1, 1].
pub fn asin(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let a = c.abs(x);
    let Halved { large, s, rest } = Halved::of(&c, a);
    let far = doubled_complement(&c, s, rest, 1.0);
    c.with_sign(c.select(large, far, c.add(s, rest)), x)
}

/// The angle from 0 to π whose cosine is `x`; NaN outside [-1, 1].
pub fn acos(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let Halved { large, s, rest } = Halved::of(&c, c.abs(x));
    let (high, low) = (c.part(&FRAC_PI_2, 0, 1.0), c.part(&FRAC_PI_2, 1, 1.0));
    let near_one = c.mul(c.add(s, rest), c.num(2.0));
    let near_minus_one = doubled_complement(&c, s, rest, 2.0);
    let far = c.select(c.lt(x, c.num(0.0)), near_minus_one, near_one);
    // π/2 - asin x, where asin x has the sign of x.
    let sign = c.sign(x);
    let signed = |v: Value| c.float(c.xor(c.bits(v), sign));
    let near = c.sub(c.sub(high, signed(s)), c.sub(signed(rest), low));
    c.select(large, far, near)
}

/// `asin` of `a`, or of the half angle's sine, as a sum.
struct Halved {
    /// Whether it is the half angle.
    large: Value,
    /// The sine.
    s: Value,
    /// `asin(s) - s`.
    rest: Value,
}

impl Halved {
    fn of(c: &Float<'_>, a: Value) -> Halved {
        let half = c.num(0.5);
        let large = c.gt(a, half);
        let z = c.select(large, c.fma(a, c.num(-0.5), half), c.mul(a, a));
        let s = c.select(large, c.sqrt(z), a);
        Halved { large, s, rest: c.mul(c.mul(s, z), c.poly(z, &ASIN)) }
    }
}

/// `atan t` for `t` in [0, 1].
fn atan_small(c: &Float<'_>, t: Value) -> Value {
    let z = c.mul(t, t);
    c.fma(c.mul(t, z), c.poly(z, &ATAN), t)
}

/// `π/2 - angle`.
fn complement(c: &Float<'_>, angle: Value) -> Value {
    c.sub(c.part(&FRAC_PI_2, 0, 1.0), c.sub(angle, c.part(&FRAC_PI_2, 1, 1.0)))
}

/// `n · π/2 - 2 (s + rest)`, where n is 1 or 2, and `rest` is small beside `s`.
fn doubled_complement(c: &Float<'_>, s: Value, rest: Value, n: f64) -> Value {
    let (minus_two, right) = (c.num(-2.0), c.part(&FRAC_PI_2, 0, n));
    let high = c.fma(s, minus_two, right);
    let lost = c.fma(s, minus_two, c.sub(right, high));
    let low = c.fma(rest, minus_two, c.part(&FRAC_PI_2, 1, n));
    c.add(high, c.add(lost, low))
}
