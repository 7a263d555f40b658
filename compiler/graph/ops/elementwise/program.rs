//! Programs of elementwise operations that are more than an instruction and no function of
//! `vector::math`.

use crate::vector::{Builder, Type, Value, math};
use std::f64::consts::LN_2;

/// -1, 0 or 1; a zero or NaN is itself.
pub fn sign(p: &Builder, a: Value) -> Value {
    let number = |n| p.number(p.ty(a), n);
    let below = p.select(p.lt(a, number(0)), number(-1), a);
    p.select(p.gt(a, number(0)), number(1), below)
}

/// The magnitude of `a` with the sign of `b`.
pub fn copysign(p: &Builder, a: Value, b: Value) -> Value {
    let (int, sign) = match p.ty(a) {
        Type::F64 => (Type::I64, i64::MIN),
        _ => (Type::I32, i64::from(i32::MIN)),
    };
    let sign = p.and(p.bitcast(int, b), p.i(int, sign));
    p.bitcast(p.ty(a), p.or(p.bitcast(int, p.abs(a)), sign))
}

/// The remainder of the truncated quotient, with the sign of `a`. Of floats it is exact where the
/// quotient fits the significand, and 0 beyond.
pub fn rem(p: &Builder, a: Value, b: Value) -> Value {
    let ty = p.ty(a);
    if !matches!(ty, Type::F32 | Type::F64) {
        return p.rem(a, b);
    }
    let (zero, infinity) = (p.f(ty, 0.0), p.f(ty, f64::INFINITY));
    let (dividend, divisor) = (p.abs(a), p.abs(b));
    let quotient = p.trunc(p.div(dividend, divisor));
    let rest = p.fma(p.neg(quotient), divisor, dividend);
    // The quotient may have been rounded up to the next integer.
    let rest = p.select(p.lt(rest, zero), p.add(rest, divisor), rest);
    let lost = p.or(p.lt(rest, zero), p.ge(rest, divisor));
    let rest = p.select(lost, zero, rest);
    // 0 * inf is NaN in the fma; but a finite number is its own remainder by infinity.
    let whole = p.and(p.eq(divisor, infinity), p.lt(dividend, infinity));
    copysign(p, p.select(whole, dividend, rest), a)
}

/// `sign(a) log1p(|a| + a² / (1 + √(a² + 1)))`; from 2²⁵ on `log |a| + log 2`.
pub fn asinh(p: &Builder, a: Value) -> Value {
    let one = p.number(p.ty(a), 1);
    let magnitude = p.abs(a);
    let square = p.mul(magnitude, magnitude);
    let root = p.sqrt(p.add(square, one));
    let near = math::log1p(p, p.add(magnitude, p.div(square, p.add(one, root))));
    copysign(p, far(p, magnitude, near), a)
}

/// `log1p(t + √(t (a + 1)))` with `t = a - 1`; from 2²⁵ on `log a + log 2`; NaN below 1.
pub fn acosh(p: &Builder, a: Value) -> Value {
    let ty = p.ty(a);
    let one = p.number(ty, 1);
    let t = p.sub(a, one);
    let near = math::log1p(p, p.add(t, p.sqrt(p.mul(t, p.add(a, one)))));
    p.select(p.lt(a, one), p.f(ty, f64::NAN), far(p, a, near))
}

/// `½ log1p(2 |a| / (1 - |a|))` with the sign of `a`.
pub fn atanh(p: &Builder, a: Value) -> Value {
    let ty = p.ty(a);
    let magnitude = p.abs(a);
    let ratio = p.div(p.add(magnitude, magnitude), p.sub(p.number(ty, 1), magnitude));
    copysign(p, p.mul(p.f(ty, 0.5), math::log1p(p, ratio)), a)
}

/// `log x + log 2` where `x` is so large that its square may not be formed, else `near`.
fn far(p: &Builder, x: Value, near: Value) -> Value {
    let ty = p.ty(x);
    let large = p.add(math::log(p, x), p.f(ty, LN_2));
    p.select(p.gt(x, p.f(ty, f64::from(1 << 25))), large, near)
}
