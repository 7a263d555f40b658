//! The error function: a polynomial below 1, and above it `1 - erfc(x)` with a polynomial for the
//! logarithm of `erfc`, whose error is small beside the 1.

use super::Float;
use super::coefficients::{ERF, ERFC};
use super::exp::exp_normal;
use crate::vector::{Builder, Value};

/// The error function.
pub fn erf(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let a = c.abs(x);
    let small = c.fma(c.poly(c.mul(a, a), &ERF), a, a);
    // Past these numbers the result is 1, and the polynomial is not fitted.
    let t = c.sub(c.at_most(a, c.pick(4.0, 5.95)), c.num(2.0));
    let large = c.sub(c.num(1.0), exp_normal(&c, c.poly(t, &ERFC)));
    c.with_sign(c.select(c.lt(a, c.num(1.0)), small, large), x)
}
