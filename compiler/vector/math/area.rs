//! The inverses of the hyperbolic functions, by the logarithm.

use super::Float;
use super::log::{log, log1p};
use crate::vector::{Builder, Value};
use std::f64::consts::LN_2;

/// The inverse of `sinh`: `log1p(a + a² / (1 + √(a² + 1)))` of the magnitude `a`; `log a + log 2`
/// from 2²⁵ on.
pub fn asinh(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let one = c.num(1.0);
    let a = c.abs(x);
    let square = c.mul(a, a);
    let root = c.sqrt(c.add(square, one));
    let near = log1p(b, c.add(a, c.div(square, c.add(one, root))));
    c.with_sign(far(&c, a, near), x)
}

/// The inverse of `cosh`: `log1p(t + √(t (x + 1)))` with `t = x - 1`; `log x + log 2` from 2²⁵ on;
/// NaN below 1.
pub fn acosh(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let one = c.num(1.0);
    let t = c.sub(x, one);
    let near = log1p(b, c.add(t, c.sqrt(c.mul(t, c.add(x, one)))));
    c.select(c.lt(x, one), c.num(f64::NAN), far(&c, x, near))
}

/// The inverse of `tanh`: `½ log1p(2a / (1 - a))` of the magnitude `a`; infinite at 1, NaN beyond.
pub fn atanh(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let a = c.abs(x);
    let ratio = c.div(c.add(a, a), c.sub(c.num(1.0), a));
    c.with_sign(c.mul(c.num(0.5), log1p(b, ratio)), x)
}

/// `log x + log 2` where `x` is so large that its square may not be formed, else `near`.
fn far(c: &Float<'_>, x: Value, near: Value) -> Value {
    let large = c.add(log(c.builder, x), c.num(LN_2));
    c.select(c.gt(x, c.num(f64::from(1 << 25))), large, near)
}
