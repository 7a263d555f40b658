//! What elementwise operations mean on numbers, where `f64` has no method that says it.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, LN_2, TAU};

/// 1 or 0.
pub fn truth(is: bool) -> f64 {
    f64::from(u8::from(is))
}

/// The larger; NaN if either is; the second of equals.
pub fn max(a: f64, b: f64) -> f64 {
    if a > b || a.is_nan() { a } else { b }
}

/// The smaller; NaN if either is; the second of equals.
pub fn min(a: f64, b: f64) -> f64 {
    if a < b || a.is_nan() { a } else { b }
}

/// `sign(x) log(|x| + √(x² + 1))`; the standard library's loses digits near 0.
pub fn asinh(x: f64) -> f64 {
    let a = x.abs();
    let magnitude =
        if a > 1e9 { a.ln() + LN_2 } else { (a + a * a / (1.0 + a.hypot(1.0))).ln_1p() };
    magnitude.copysign(x)
}

/// `log(x + √(x² - 1))`; NaN below 1.
pub fn acosh(x: f64) -> f64 {
    if x < 1.0 {
        return f64::NAN;
    }
    let t = x - 1.0;
    if x > 1e9 { x.ln() + LN_2 } else { (t + (t * (x + 1.0)).sqrt()).ln_1p() }
}

/// `½ log((1 + x) / (1 - x))`.
pub fn atanh(x: f64) -> f64 {
    let a = x.abs();
    (0.5 * (2.0 * a / (1.0 - a)).ln_1p()).copysign(x)
}

/// Below 1 the series `2/√π exp(-x²) Σ 2ⁿ x²ⁿ⁺¹ / (2n+1)!!` (DLMF 7.6.2), whose terms have one
/// sign, so that nothing cancels; from 1 on `1 - erfc(x)` by the continued fraction (DLMF 7.9.1)
/// `√π exp(x²) erfc(x) = 1 / (x + ½ / (x + 1 / (x + 3/2 / (x + …))))`.
pub fn erf(x: f64) -> f64 {
    let (a, bell) = (x.abs(), FRAC_2_SQRT_PI * (-x * x).exp());
    if a.is_nan() || a >= 6.0 {
        return if a.is_nan() { x } else { 1f64.copysign(x) };
    }
    if a < 1.0 {
        let step = |sum: f64, n: i32| (2.0 * x * x / f64::from(2 * n + 1)).mul_add(sum, 1.0);
        return bell * x * (1..40).rev().fold(1.0, step);
    }
    let fraction = (1..200).rev().fold(a, |rest, n| a + 0.5 * f64::from(n) / rest);
    (1.0 - 0.5 * bell / fraction).copysign(x)
}

/// `x` times the distribution function of the standard normal: below -1 by the continued fraction
/// of its tail, `φ(a) / (a + 1 / (a + 2 / (a + 3 / (a + …))))` for `a = -x` (DLMF 7.9.1).
pub fn gelu(x: f64) -> f64 {
    // The result is -0 long before.
    let a = (-x).min(100.0);
    if a < 1.0 || x.is_nan() {
        return 0.5 * x * (1.0 + erf(x * FRAC_1_SQRT_2));
    }
    let terms = (600.0 / a) as i32 + 2;
    let fraction = (1..terms).rev().fold(a, |rest, n| a + f64::from(n) / rest);
    // The square and what rounding it lost: the one's error would be a relative one.
    let square = a * a;
    let bell = (-0.5 * square).exp() * (-0.5 * a.mul_add(a, -square)).exp();
    -a * bell / (TAU.sqrt() * fraction)
}

/// `x` times the sigmoid of `√(8/π) (x + 0.044715 x³)`. The exponent comes in two parts, as far
/// below 0 its error is a relative one of the result.
pub fn gelu_tanh(x: f64) -> f64 {
    const LINEAR: (f64, f64) = (1.5957691216057308, -9.96930880911092e-17);
    const CUBIC: f64 = 0.07135481627260025;
    // Beyond, the result is `x` or -0.
    let a = max(x, -100.0);
    let square = a * a;
    let slope = CUBIC.mul_add(square, LINEAR.0);
    let low = CUBIC.mul_add(square, LINEAR.0 - slope) + LINEAR.1;
    let low = low + CUBIC * a.mul_add(a, -square);
    let exponent = a * slope;
    let low = a.mul_add(low, a.mul_add(slope, -exponent));
    if exponent > 100.0 { x } else { a / (1.0 + (-exponent).exp() * (1.0 - low)) }
}
