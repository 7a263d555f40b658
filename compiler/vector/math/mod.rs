//! The transcendental functions, as programs: every executor computes the same polynomials, so
//! results do not depend on the machine.
//!
//! Each function appends straight-line instructions for a value of type `F32` or `F64` and is
//! right at ±0, ±∞, NaN and subnormals, at both ends of its range. `spec/math.md` has the measured
//! errors; the limits are 1 ULP for `exp`, `exp2` and `log`, 4 for `pow`, 2 for the others. Nothing
//! but loop-free arithmetic is used: no tables, no branches, no wider type than the argument's.
//!
//! Two idioms matter to emitters. `select(lt(a, b), a, b)` and `select(gt(a, b), a, b)` are what
//! one `minps` or `maxps` does, and are used to clamp because they let a NaN in `b` through.
//! Small integers are made of floats, and floats of small integers, by adding a power of two
//! (`Float::magic`) rather than by `Convert`, whose saturation costs more.
//!
//! Coefficients are in `coefficients.rs`, derived by `fit.py` beside it.

mod arc;
mod area;
mod coefficients;
mod erf;
mod exp;
mod gelu;
mod log;
mod pow;
mod reduce;
mod root;
#[cfg(test)]
mod tests;
mod trig;

pub use arc::{acos, asin, atan, atan2};
pub use area::{acosh, asinh, atanh};
pub use erf::erf;
pub use exp::{cosh, exp, exp2, expm1, sigmoid, sinh, tanh};
pub use gelu::{gelu, gelu_tanh};
pub use log::{log, log1p, log2, log10};
pub use pow::pow;
pub use root::{cbrt, hypot, rsqrt};
pub use trig::{cos, cos_within, sin, sin_within, tan};

use super::{Builder, Type, Value};
use coefficients::{Parts, Polynomial};
use std::ops::Deref;

/// A builder that knows the float format a function is being written for.
struct Float<'b> {
    builder: &'b Builder,
    /// `F32` or `F64`.
    ty: Type,
    /// The integer type of the same width.
    int: Type,
    /// Explicit bits of the significand.
    mantissa: i64,
    /// What is added to exponents.
    bias: i64,
}

impl Deref for Float<'_> {
    type Target = Builder;
    fn deref(&self) -> &Builder {
        self.builder
    }
}

impl<'b> Float<'b> {
    /// The format of `x`.
    fn of(builder: &'b Builder, x: Value) -> Float<'b> {
        match builder.ty(x) {
            ty @ Type::F32 => Float { builder, ty, int: Type::I32, mantissa: 23, bias: 127 },
            ty @ Type::F64 => Float { builder, ty, int: Type::I64, mantissa: 52, bias: 1023 },
            ty => panic!("a transcendental function of {ty}"),
        }
    }

    /// One number for each format.
    fn pick<T>(&self, single: T, double: T) -> T {
        if self.ty == Type::F32 { single } else { double }
    }
    /// Bits of the format.
    fn width(&self) -> i64 {
        self.pick(32, 64)
    }
    /// A float constant.
    fn num(&self, x: f64) -> Value {
        self.builder.f(self.ty, x)
    }
    /// An integer constant of the format's width.
    fn int(&self, x: i64) -> Value {
        self.builder.i(self.int, x)
    }
    /// The nearest number to 2ⁿ.
    fn exp2i(n: i64) -> f64 {
        2f64.powi(n as i32)
    }
    /// The bits of a float constant of the format.
    fn bits_of(&self, x: f64) -> i64 {
        self.pick(i64::from((x as f32).to_bits()), x.to_bits() as i64)
    }
    /// The bits of a value.
    fn bits(&self, x: Value) -> Value {
        self.bitcast(self.int, x)
    }
    /// The float of these bits.
    fn float(&self, bits: Value) -> Value {
        self.bitcast(self.ty, bits)
    }
    /// 1.5 · 2^mantissa: added to a float that is small beside it, it leaves the nearest integer in
    /// the low bits, in two's complement; subtracted again, it leaves that integer as a float.
    fn magic(&self) -> f64 {
        1.5 * Self::exp2i(self.mantissa)
    }
    /// Part `i` of a constant, times `factor`, a power of two.
    fn part(&self, parts: &Parts, i: usize, factor: f64) -> Value {
        self.num(self.pick(parts.f32, parts.f64)[i] * factor)
    }
    /// A polynomial, by Horner's rule.
    fn poly(&self, x: Value, polynomial: &Polynomial) -> Value {
        self.poly_of(x, polynomial, 1.0, 1.0)
    }
    /// `factor` times the polynomial at `inner · x`; both are powers of two, with any sign.
    fn poly_of(&self, x: Value, polynomial: &Polynomial, factor: f64, inner: f64) -> Value {
        let all = self.pick(polynomial.f32, polynomial.f64).iter().enumerate().rev();
        let mut coefficients = all.map(|(i, c)| self.num(c * factor * inner.powi(i as i32)));
        let highest = coefficients.next().expect("a polynomial has coefficients");
        coefficients.fold(highest, |p, c| self.fma(p, x, c))
    }
    /// `x`, or `most` where `x` is larger; NaN stays.
    fn at_most(&self, x: Value, most: f64) -> Value {
        self.min(x, self.num(most))
    }
    /// `x`, or `least` where `x` is less; NaN stays.
    fn at_least(&self, x: Value, least: f64) -> Value {
        self.max(x, self.num(least))
    }
    /// The constant whose only bit is the sign.
    fn sign_bit(&self) -> Value {
        self.int(1 << (self.width() - 1))
    }
    /// The sign of `x`, as bits.
    fn sign(&self, x: Value) -> Value {
        self.and(self.bits(x), self.sign_bit())
    }
    /// `magnitude`, which has no sign, with the sign of `x`.
    fn with_sign(&self, magnitude: Value, x: Value) -> Value {
        self.float(self.or(self.bits(magnitude), self.sign(x)))
    }
    /// The smallest normal number.
    fn smallest_normal(&self) -> f64 {
        Self::exp2i(1 - self.bias)
    }
    /// `a + b` and what rounding lost, where `a` is zero or a multiple of the last place of `b`.
    fn fast_two_sum(&self, a: Value, b: Value) -> (Value, Value) {
        let sum = self.add(a, b);
        (sum, self.sub(b, self.sub(sum, a)))
    }
    /// A polynomial that its first coefficient dominates, and what rounding its last sum lost.
    fn poly_pair(&self, x: Value, polynomial: &Polynomial) -> (Value, Value) {
        let (first, rest) = self
            .pick(polynomial.f32, polynomial.f64)
            .split_first()
            .expect("a polynomial has coefficients");
        let (highest, rest) = rest.split_last().expect("a polynomial has two coefficients");
        let rest = rest.iter().rev();
        let rest = rest.fold(self.num(*highest), |p, &c| self.fma(p, x, self.num(c)));
        self.fast_two_sum(self.num(*first), self.mul(rest, x))
    }
    /// `s z p(z)` for a pair `z`, and what rounding lost.
    fn times_poly(
        &self,
        s: Value,
        (z, z_low): (Value, Value),
        polynomial: &Polynomial,
    ) -> (Value, Value) {
        let (g, g_low) = self.poly_pair(z, polynomial);
        let (w, lost) = self.two_product(s, z);
        let w_low = self.fma(s, z_low, lost);
        let (product, lost) = self.two_product(w, g);
        (product, self.fma(w, g_low, self.fma(w_low, g, lost)))
    }
    /// `a * b + c`, rounded twice, where results are to be those of a library that does so.
    fn fma_apart(&self, a: Value, b: Value, c: Value) -> Value {
        self.add(self.mul(a, b), c)
    }
    /// `a * b` and what rounding lost.
    fn two_product(&self, a: Value, b: Value) -> (Value, Value) {
        let product = self.mul(a, b);
        (product, self.fma(a, b, self.neg(product)))
    }
}
