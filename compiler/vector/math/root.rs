//! Functions that are little more than a square root.

use super::Float;
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
