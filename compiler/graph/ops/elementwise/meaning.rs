//! What elementwise operations mean on numbers, where `f64` has no method that says it.

use std::f64::consts::{FRAC_2_SQRT_PI, LN_2};

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
