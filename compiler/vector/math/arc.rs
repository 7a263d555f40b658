//! The inverses of the circular functions.
//!
//! `asin` and `acos` have one polynomial on [0, 1/2], larger arguments going by the half angle:
//! `asin x = π/2 - 2 asin √((1-x)/2)`. `atan` and `atan2` are in `f64` the angle of a quotient in
//! [0, 1], taken from π/4 on above tan π/8; with the rounding errors of quotients, roots and of the
//! first terms kept, so that the result is the nearest number nearly everywhere. In `f32` they
//! have the steps of the C library (fdlibm), so that results are its.

use super::Float;
use super::coefficients::{
    ASIN, ATAN_HALF, ATAN_INFINITY, ATAN_ONE, ATAN_SMALL, ATAN_THREE_HALVES, FRAC_3PI_4, FRAC_PI_2,
    Parts,
};
use crate::vector::{Builder, Type, Value};

/// The angle whose tangent is `x`.
pub fn atan(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let a = c.abs(x);
    if c.ty == Type::F32 {
        return c.with_sign(atan_in_steps(&c, a), x);
    }
    let one = c.num(1.0);
    // As far as it matters; infinity would have no quotient.
    let a = c.at_most(a, Float::exp2i(100));
    let steep = c.gt(a, one);
    let (short, long) = (c.select(steep, one, a), c.select(steep, a, one));
    c.with_sign(angle(&c, short, long, steep, b.mask(false)), x)
}

/// The angle of the point (`x`, `y`), from -π to π.
pub fn atan2(b: &Builder, y: Value, x: Value) -> Value {
    let c = Float::of(b, x);
    let (ax, ay) = (c.abs(x), c.abs(y));
    let zero = c.num(0.0);
    // By the sign bit: -0 lies to the left.
    let left = c.lt(c.bits(x), c.int(0));
    let steep = c.gt(ay, ax);
    let (short, long) = (c.select(steep, ax, ay), c.select(steep, ay, ax));
    // 0/0 is 0 and ∞/∞ is 1.
    let equal = c.eq(short, long);
    let is_zero = c.eq(long, zero);
    let one = c.num(1.0);
    let angle = if c.ty == Type::F32 {
        let ratio = c.select(equal, c.select(is_zero, zero, one), c.div(ay, ax));
        let angle = atan_in_steps(&c, ratio);
        let (half_turn, low) = (c.part(&FRAC_PI_2, 0, 2.0), c.part(&FRAC_PI_2, 1, 2.0));
        let beyond = c.sub(half_turn, c.sub(angle, low));
        // Of an infinite `y` too the angle is π/2 exactly.
        let upright = c.or(c.eq(ax, zero), c.eq(ay, c.num(f64::INFINITY)));
        let on_axis = c.and(upright, steep);
        c.select(c.and(left, c.not(on_axis)), beyond, angle)
    } else {
        let special = c.and(equal, c.or(is_zero, c.eq(long, c.num(f64::INFINITY))));
        let short = c.select(special, c.select(is_zero, zero, one), short);
        angle(&c, short, c.select(special, one, long), steep, left)
    };
    c.with_sign(angle, y)
}

/// The angle from -π/2 to π/2 whose sine is `x`; NaN outside [-1, 1].
pub fn asin(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let halved = Halved::of(&c, c.abs(x));
    let factor = c.select(halved.large, c.num(-2.0), c.num(1.0));
    let from = |i| c.select(halved.large, c.part(&FRAC_PI_2, i, 1.0), c.num(0.0));
    c.with_sign(halved.angle.from(&c, (from(0), from(1)), factor), x)
}

/// The angle from 0 to π whose cosine is `x`; NaN outside [-1, 1].
pub fn acos(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let halved = Halved::of(&c, c.abs(x));
    let below = c.lt(x, c.num(0.0));
    // π/2 - asin x, where asin x has the sign of x; 2 asin of the half angle, or π less that.
    let size = c.select(halved.large, c.num(2.0), c.num(1.0));
    let factor = c.select(c.xor(halved.large, below), size, c.neg(size));
    let from = |i| {
        let far = c.select(below, c.part(&FRAC_PI_2, i, 2.0), c.num(0.0));
        c.select(halved.large, far, c.part(&FRAC_PI_2, i, 1.0))
    };
    halved.angle.from(&c, (from(0), from(1)), factor)
}

/// A small angle as the sum of four numbers, each below the last places of the one before or much
/// smaller.
struct Angle {
    /// Its sine or tangent.
    first: Value,
    /// What rounding that lost.
    first_low: Value,
    /// How much larger or smaller the angle is.
    second: Value,
    /// What rounding that lost.
    second_low: Value,
}

impl Angle {
    /// `from + factor · angle`, where `from` is 0 or larger than the other.
    fn from(&self, c: &Float<'_>, (from, from_low): (Value, Value), factor: Value) -> Value {
        let (sum, first) = c.fast_two_sum(from, c.mul(self.first, factor));
        let (sum, second) = c.fast_two_sum(sum, c.mul(self.second, factor));
        let low = c.fma(factor, c.add(self.first_low, self.second_low), from_low);
        c.add(sum, c.add(second, c.add(first, low)))
    }
}

/// `asin` of an argument, or of the half angle's sine.
struct Halved {
    /// Whether it is the half angle.
    large: Value,
    angle: Angle,
}

impl Halved {
    fn of(c: &Float<'_>, a: Value) -> Halved {
        let (half, zero) = (c.num(0.5), c.num(0.0));
        let large = c.gt(a, half);
        let (square, square_low) = c.two_product(a, a);
        let z = c.select(large, c.fma(a, c.num(-0.5), half), square);
        let z_low = c.select(large, zero, square_low);
        let root = c.sqrt(z);
        let lost = c.div(c.fma(c.neg(root), root, z), c.add(root, root));
        // The root of 0 has lost nothing.
        let kept = c.and(large, c.gt(root, zero));
        let (first, first_low) = (c.select(large, root, a), c.select(kept, lost, zero));
        let (second, second_low) = c.times_poly(first, (z, z_low), &ASIN);
        Halved { large, angle: Angle { first, first_low, second, second_low } }
    }
}

/// The angle of the point (`long`, `short`) in the first octant, from the nearest multiple of π/2:
/// away from the axis or back to it.
fn angle(c: &Float<'_>, short: Value, long: Value, steep: Value, left: Value) -> Value {
    let (zero, one) = (c.num(0.0), c.num(1.0));
    let quotient = c.div(short, long);
    let lost = c.div(c.fma(c.neg(quotient), long, short), long);
    // Of a quotient that is nearly subnormal, or 0 beside infinity, that is no number.
    let lost = c.select(c.ge(quotient, c.num(Float::exp2i(-900))), lost, zero);
    // From π/4: tan (θ - π/4) = (tan θ - 1) / (tan θ + 1).
    let far = c.gt(quotient, c.num(std::f64::consts::SQRT_2 - 1.0));
    let above = c.sub(quotient, one);
    let above_low = c.add(c.sub(quotient, c.add(above, one)), lost);
    let (below, below_low) = c.fast_two_sum(one, quotient);
    let below_low = c.add(below_low, lost);
    let inverse = c.div(one, below);
    let ratio = c.mul(above, inverse);
    let left_over = c.add(c.fma(c.neg(ratio), below, above), above_low);
    let ratio_low = c.mul(c.fma(c.neg(ratio), below_low, left_over), inverse);
    let t = c.select(far, ratio, quotient);
    let t_low = c.select(far, ratio_low, lost);

    let (z, z_low) = c.two_product(t, t);
    let (second, second_low) = c.times_poly(t, (z, z_low), &ATAN_SMALL);
    // The derivative at t is 1 / (1 + t²).
    let first_low = c.fma(c.neg(t_low), z, t_low);
    let angle = Angle { first: t, first_low, second, second_low };
    let back = c.xor(steep, left);
    let factor = c.select(back, c.num(-1.0), one);
    let from = |i| {
        let flat = c.select(left, c.part(&FRAC_PI_2, i, 2.0), zero);
        let axis = c.select(steep, c.part(&FRAC_PI_2, i, 1.0), flat);
        let (quarter, three) = (c.part(&FRAC_PI_2, i, 0.5), c.part(&FRAC_3PI_4, i, 1.0));
        c.select(far, c.select(left, three, quarter), axis)
    };
    angle.from(c, (from(0), from(1)), factor)
}

/// `atan a` of a magnitude, from the nearest of `atan 0`, `atan ½`, `atan 1`, `atan 1½`, `atan ∞`.
fn atan_in_steps(c: &Float<'_>, a: Value) -> Value {
    let (one, two, three_halves) = (c.num(1.0), c.num(2.0), c.num(1.5));
    let (zero, minus_one) = (c.num(0.0), c.num(-1.0));
    let steps = [7.0, 11.0, 19.0, 39.0].map(|n| c.ge(a, c.num(n / 16.0)));
    let choose = |values: [Value; 5]| {
        let [first, rest @ ..] = values;
        steps.iter().zip(rest).fold(first, |so_far, (&at, value)| c.select(at, value, so_far))
    };
    let twice_less = c.sub(c.mul(two, a), one);
    let less = c.sub(a, three_halves);
    let dividend = choose([a, twice_less, c.sub(a, one), less, minus_one]);
    let more = c.fma_apart(three_halves, a, one);
    let divisor = choose([one, c.add(two, a), c.add(a, one), more, a]);
    let t = c.div(dividend, divisor);
    let z = c.mul(t, t);
    let shrunk = c.mul(t, c.mul(z, c.neg(c.poly(z, &ATAN_SMALL))));
    let all = [&ATAN_HALF, &ATAN_ONE, &ATAN_THREE_HALVES, &ATAN_INFINITY];
    let part = |i| {
        let [half, one, three_halves, infinity] = all.map(|parts: &Parts| c.part(parts, i, 1.0));
        choose([zero, half, one, three_halves, infinity])
    };
    c.sub(part(0), c.sub(c.sub(shrunk, part(1)), t))
}
