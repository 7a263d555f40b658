//! Programs of elementwise operations that are more than an instruction and no function of
//! `vector::math`.

use crate::vector::{Builder, Type, Value};

/// -1, 0 or 1; a zero or NaN is itself.
pub fn sign(p: &Builder, a: Value) -> Value {
    let number = |n| p.number(p.ty(a), n);
    // Adding makes +0 of -0.
    let below = p.select(p.lt(a, number(0)), number(-1), p.add(a, number(0)));
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

/// The remainder of the truncated quotient, with the sign of `a`; exact. Of floats it is found as
/// in long division: `a` is reduced by the divisor times ever smaller powers of two, so far apart
/// that each quotient is below 2ᵐ, where m is the significand's explicit bits.
pub fn rem(p: &Builder, a: Value, b: Value) -> Value {
    let ty = p.ty(a);
    // The digits of a quotient: from the exponents of the largest and of the smallest number.
    let (step, digits) = match ty {
        Type::F32 => (23, 128 + 149),
        Type::F64 => (52, 1024 + 1074),
        _ => return p.rem(a, b),
    };
    let (zero, factor) = (p.f(ty, 0.0), p.f(ty, f64::from(1u32 << (step / 2)).powi(2)));
    let factor = if step % 2 == 0 { factor } else { p.mul(factor, p.f(ty, 2.0)) };
    // Exact, or infinite, by which nothing is reduced.
    let mut divisors = vec![p.abs(b)];
    for at in 0..digits / step {
        divisors.push(p.mul(divisors[at], factor));
    }
    let reduce = |rest, divisor| {
        let quotient = p.trunc(p.div(rest, divisor));
        let reduced = p.fma(p.neg(quotient), divisor, rest);
        // The quotient may have been rounded up to the next integer.
        let reduced = p.select(p.lt(reduced, zero), p.add(reduced, divisor), reduced);
        p.select(p.lt(rest, divisor), rest, reduced)
    };
    let magnitude = p.abs(a);
    let whole = divisors.iter().rev().fold(magnitude, |rest, &divisor| reduce(rest, divisor));
    // A quotient below 2ᵐ takes one step.
    let is_near = p.likely(p.lt(magnitude, divisors[1]));
    let rest = p.select(is_near, reduce(magnitude, divisors[0]), whole);
    copysign(p, rest, a)
}

/// Whether the sign bit is set.
pub fn signbit(p: &Builder, a: Value) -> Value {
    let int = if p.ty(a) == Type::F64 { Type::I64 } else { Type::I32 };
    p.lt(p.bitcast(int, a), p.i(int, 0))
}
