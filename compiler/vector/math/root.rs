//! Functions that are little more than a square root, and the cube root.

use super::Float;
use super::coefficients::CBRT;
use super::exp::nearest;
use super::log::Split;
use crate::vector::{Builder, Value};

/// `1 / √x`.
pub fn rsqrt(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    c.div(c.num(1.0), c.sqrt(x))
}

/// `√(x² + y²)` without overflow or underflow on the way; infinite if either is, even beside a NaN.
pub fn hypot(b: &Builder, x: Value, y: Value) -> Value {
    let c = Float::of(b, x);
    let (one, infinity) = (c.num(1.0), c.num(f64::INFINITY));
    let (ax, ay) = (c.abs(x), c.abs(y));
    let swap = c.gt(ay, ax);
    let long = c.select(swap, ay, ax);
    let short = c.select(swap, ax, ay);
    // Powers of two, which bring the squares into range and are taken back exactly.
    let (large, small) = (c.bias / 2 - 3, -c.bias / 2 + c.mantissa / 2 + 2);
    let (down, up) = (c.bias / 2 + 7, c.bias - c.mantissa - 4);
    let two = |n: i64| c.num(Float::exp2i(n));
    let (is_large, is_small) = (c.gt(long, two(large)), c.lt(long, two(small)));
    let factor = |n: i64, m: i64| c.select(is_large, two(n), c.select(is_small, two(m), one));
    let (there, back) = (factor(-down, up), factor(down, -up));
    let (long_scaled, short_scaled) = (c.mul(long, there), c.mul(short, there));
    let sum = c.fma(long_scaled, long_scaled, c.mul(short_scaled, short_scaled));
    let root = c.mul(c.sqrt(sum), back);
    c.select(c.or(c.eq(ax, infinity), c.eq(ay, infinity)), infinity, root)
}

/// `∛x`: with `|x| = 8ⁿ m`, a polynomial for `∛m`, one of Halley's steps, and one of Newton's with
/// all of `m - y³`.
pub fn cbrt(b: &Builder, x: Value) -> Value {
    const CBRT_2: f64 = 1.2599210498948732;
    let c = Float::of(b, x);
    let (zero, one, two) = (c.num(0.0), c.num(1.0), c.num(2.0));
    let a = c.abs(x);
    let Split { exponent: k, fraction: f } = Split::of(&c, a);
    let n = nearest(&c, c.mul(k, c.num(1.0 / 3.0)));
    let rest = c.sub(k, c.mul(n, c.num(3.0)));
    let (down, up) = (c.lt(rest, zero), c.gt(rest, zero));
    let of_rest =
        |less: f64, more: f64| c.select(down, c.num(less), c.select(up, c.num(more), one));
    let m = c.mul(c.add(one, f), of_rest(0.5, 2.0));
    let y = c.mul(c.poly(f, &CBRT), of_rest(1.0 / CBRT_2, CBRT_2));

    let cube = c.mul(c.mul(y, y), y);
    let y = c.mul(y, c.div(c.fma(two, m, cube), c.fma(two, cube, m)));

    let (square, square_low) = c.two_product(y, y);
    let (cube, cube_low) = c.two_product(square, y);
    let left = c.sub(c.sub(c.sub(m, cube), cube_low), c.mul(square_low, y));
    let y = c.add(y, c.div(left, c.mul(square, c.num(3.0))));

    let inside = c.and(c.gt(a, zero), c.lt(a, c.num(f64::INFINITY)));
    c.with_sign(c.select(inside, c.scale(y, n), a), x)
}
