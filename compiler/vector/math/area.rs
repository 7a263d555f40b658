//! The inverses of the hyperbolic functions, by the logarithm, in the steps of the C library
//! (fdlibm), so that results are its.

use super::Float;
use super::log::{log_nearly_rounded, log1p};
use crate::vector::{Builder, Type, Value};
use std::f64::consts::LN_2;

/// The inverse of `sinh`, of the magnitude `a`: `log1p(a + a² / (1 + √(1 + a²)))` up to 2, then
/// `log(2a + 1 / (√(a² + 1) + a))`; `log a + log 2` from 2²⁸ on.
pub fn asinh(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let one = c.num(1.0);
    let a = c.abs(x);
    let square = c.mul(a, a);
    let root = c.sqrt(c.add(square, one));
    let is_near = c.le(a, c.num(2.0));
    let quotient = c.div(c.select(is_near, square, one), c.add(root, c.select(is_near, one, a)));
    let near = log1p(b, c.add(a, quotient));
    let far = far(&c, a, c.fma_apart(c.num(2.0), a, quotient));
    let tiny = c.lt(a, c.num(Float::exp2i(-28)));
    c.select(tiny, x, c.with_sign(c.select(is_near, near, far), x))
}

/// The inverse of `cosh`: `log1p(t + √(2t + t²))` with `t = x - 1` up to 2, then
/// `log(2x - 1 / (x + √(x² - 1)))`; `log x + log 2` from 2²⁸ on; NaN below 1.
pub fn acosh(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let (one, two) = (c.num(1.0), c.num(2.0));
    let t = c.sub(x, one);
    let is_near = c.le(x, two);
    let squares = c.select(is_near, c.fma_apart(two, t, c.mul(t, t)), c.sub(c.mul(x, x), one));
    let root = c.sqrt(squares);
    let (sum, lost) = c.fast_two_sum(root, t);
    let near = log1p(b, sum);
    // In `f32` what the sum lost is kept: the C library's error is 2.0002 in the last place. The
    // derivative of the logarithm is `1 / (x + √(x² - 1))`, which is `x - √(x² - 1)`.
    let near = match c.ty {
        Type::F32 => c.fma(lost, c.sub(x, root), near),
        _ => near,
    };
    let far = far(&c, x, c.sub(c.mul(two, x), c.div(one, c.add(x, root))));
    c.select(c.lt(x, one), c.num(f64::NAN), c.select(is_near, near, far))
}

/// The inverse of `tanh`, of the magnitude `a`: `½ log1p(2a + 2a · a / (1 - a))` below ½, then
/// `½ log1p(2a / (1 - a))`; infinite at 1, NaN beyond.
pub fn atanh(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let a = c.abs(x);
    let twice = c.add(a, a);
    let is_near = c.lt(a, c.num(0.5));
    let dividend = c.select(is_near, c.mul(twice, a), twice);
    let ratio = c.div(dividend, c.sub(c.num(1.0), a));
    let argument = c.select(is_near, c.add(twice, ratio), ratio);
    c.with_sign(c.mul(c.num(0.5), log1p(b, argument)), x)
}

/// `log x + log 2` where `x` is so large that its square may not be formed, else `log beyond`.
fn far(c: &Float<'_>, x: Value, beyond: Value) -> Value {
    let is_large = c.gt(x, c.num(f64::from(1 << 28)));
    let log = log_nearly_rounded(c.builder, c.select(is_large, x, beyond));
    c.select(is_large, c.add(log, c.num(LN_2)), log)
}
