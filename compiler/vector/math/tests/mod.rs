//! Errors of the functions, measured, and their values at special arguments.
//!
//! `f32` results are compared with the `f64` functions of the standard library, `f64` results with
//! double-double ones (`pairs`). Samples are over all exponents; `tests/every_f32.rs` takes all.

mod columns;
mod pairs;

use super::*;
use crate::vector::{Inst, Lane, Param, Program, Slot, Unary, reference};
use columns::{Format, evaluate};
use pairs::Pair;
use tensc_runtime::Scalar;

/// A function of one argument.
struct Row {
    name: &'static str,
    build: fn(&Builder, Value) -> Value,
    /// The function on `f64`, to well beyond the precision of `f32`.
    double: fn(f64) -> f64,
    /// The function on pairs, well beyond `f64`.
    pair: fn(Pair) -> Pair,
    /// Arguments that `pair` takes.
    domain: (f64, f64),
    /// The largest error that is let pass, in units of the last place, for `f32` and `f64`.
    limits: (f64, f64),
}

const ONE: Pair = Pair { high: 1.0, low: 0.0 };

#[rustfmt::skip]
const ROWS: &[Row] = &[
    Row { name: "exp", build: exp, double: f64::exp, pair: Pair::exp,
          domain: (-690.0, 709.7), limits: (1.0, 1.0) },
    Row { name: "exp2", build: exp2, double: f64::exp2, pair: |x| (x * pairs::LN_2).exp(),
          domain: (-1000.0, 1023.9), limits: (1.0, 1.0) },
    Row { name: "expm1", build: expm1, double: f64::exp_m1, pair: Pair::expm1,
          domain: (-60.0, 709.7), limits: (2.0, 2.0) },
    Row { name: "log", build: log, double: f64::ln, pair: Pair::ln,
          domain: (1e-300, 1e300), limits: (1.0, 0.55) },
    Row { name: "log2", build: log2, double: f64::log2, pair: |x| x.ln() / pairs::LN_2,
          domain: (1e-300, 1e300), limits: (2.0, 0.55) },
    Row { name: "log10", build: log10, double: f64::log10, pair: |x| x.ln() / Pair::from(10.0).ln(),
          domain: (1e-300, 1e300), limits: (2.0, 2.0) },
    Row { name: "log1p", build: log1p, double: f64::ln_1p, pair: Pair::ln_1p,
          domain: (-0.9999, 1e300), limits: (2.0, 2.0) },
    Row { name: "sigmoid", build: sigmoid, double: sigmoid_of_f64,
          pair: |x| ONE / (ONE + (-x).exp()), domain: (-600.0, 600.0), limits: (2.0, 2.0) },
    Row { name: "tanh", build: tanh, double: f64::tanh,
          pair: |x| { let e = x.scale(1).expm1(); e / (e + ONE.scale(1)) },
          domain: (-30.0, 30.0), limits: (2.0, 2.0) },
    Row { name: "sinh", build: sinh, double: f64::sinh,
          pair: |x| { let e = x.expm1(); (e + e / (e + ONE)).scale(-1) },
          domain: (-700.0, 700.0), limits: (2.0, 2.0) },
    Row { name: "cosh", build: cosh, double: f64::cosh,
          pair: |x| { let e = x.exp(); (e + ONE / e).scale(-1) },
          domain: (-700.0, 700.0), limits: (2.0, 2.0) },
    Row { name: "sin", build: sin, double: f64::sin, pair: |x| x.sin_cos().0,
          domain: (-4e6, 4e6), limits: (2.0, 2.0) },
    Row { name: "cos", build: cos, double: f64::cos, pair: |x| x.sin_cos().1,
          domain: (-4e6, 4e6), limits: (2.0, 2.0) },
    Row { name: "tan", build: tan, double: f64::tan, pair: |x| { let (s, c) = x.sin_cos(); s / c },
          domain: (-4e6, 4e6), limits: (2.0, 2.0) },
    Row { name: "asin", build: asin, double: f64::asin, pair: Pair::asin,
          domain: (-0.99999999, 0.99999999), limits: (0.65, 0.55) },
    Row { name: "acos", build: acos, double: f64::acos, pair: Pair::acos,
          domain: (-0.99999999, 0.99999999), limits: (0.6, 0.55) },
    Row { name: "atan", build: atan, double: f64::atan, pair: Pair::atan,
          domain: (-1e9, 1e9), limits: (1.0, 0.55) },
    Row { name: "asinh", build: asinh, double: asinh_of_f64,
          pair: |x| (x + x * x / (ONE + (ONE + x * x).sqrt())).ln_1p(),
          domain: (1e-9, 1e12), limits: (2.0, 2.0) },
    Row { name: "acosh", build: acosh, double: acosh_of_f64,
          pair: |x| { let t = x - ONE; (t + (t * (x + ONE)).sqrt()).ln_1p() },
          // In `f64` the steps of the C library have this error.
          domain: (1.0 + 1e-9, 1e12), limits: (2.0, 2.5) },
    Row { name: "atanh", build: atanh, double: atanh_of_f64,
          pair: |x| ((x + x) / (ONE - x)).ln_1p().scale(-1),
          domain: (1e-9, 0.99999999), limits: (2.0, 2.0) },
    Row { name: "erf", build: erf, double: erf_of_f64, pair: Pair::erf,
          domain: (-7.0, 7.0), limits: (2.0, 2.0) },
    Row { name: "gelu", build: gelu, double: gelu_of_f64, pair: |x| x * x.normal_below(),
          domain: (-37.0, 40.0), limits: (2.0, 2.0) },
    Row { name: "gelu_tanh", build: gelu_tanh, double: gelu_tanh_of_f64,
          pair: |x| x / (ONE + (-x.gelu_exponent()).exp()),
          domain: (-21.0, 40.0), limits: (2.0, 2.0) },
    Row { name: "cbrt", build: cbrt, double: f64::cbrt,
          pair: |x| { let y = Pair::from(x.high.cbrt()); y - (y - x / (y * y)) / Pair::from(3.0) },
          domain: (1e-300, 1e300), limits: (0.55, 0.55) },
    Row { name: "rsqrt", build: rsqrt, double: |x| 1.0 / x.sqrt(), pair: |x| ONE / x.sqrt(),
          domain: (1e-300, 1e300), limits: (2.0, 2.0) },
];

fn sigmoid_of_f64(x: f64) -> f64 {
    if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) }
}

/// `f64::asinh` loses digits near 0.
fn asinh_of_f64(x: f64) -> f64 {
    let a = x.abs();
    let large = a.ln() + std::f64::consts::LN_2;
    let near = (a + a / (1.0 / a + (1.0 / a).hypot(1.0))).ln_1p();
    (if a > 1e9 { large } else { near }).copysign(x)
}

fn acosh_of_f64(x: f64) -> f64 {
    let t = x - 1.0;
    let large = x.ln() + std::f64::consts::LN_2;
    let near = (t + t.sqrt() * (x + 1.0).sqrt()).ln_1p();
    if x > 1e9 { large } else { near }
}

fn atanh_of_f64(x: f64) -> f64 {
    let a = x.abs();
    (0.5 * (2.0 * a / (1.0 - a)).ln_1p()).copysign(x)
}

/// `erf`, by a series of positive terms.
fn erf_of_f64(x: f64) -> f64 {
    if x.is_nan() || x == 0.0 || x.abs() > 6.0 {
        return if x.abs() > 6.0 { x.signum() } else { x };
    }
    let (mut term, mut sum, mut n) = (1.0, 1.0, 1.0);
    while term > sum * 1e-17 {
        term *= 2.0 * x * x / (2.0 * n + 1.0);
        sum += term;
        n += 1.0;
    }
    std::f64::consts::FRAC_2_SQRT_PI * x * (-x * x).exp() * sum
}

/// Below -1, the tail by its continued fraction.
fn gelu_of_f64(x: f64) -> f64 {
    use std::f64::consts::FRAC_1_SQRT_2;
    let a = (-x).min(1e3);
    if a < 1.0 || x.is_nan() {
        return 0.5 * x * (1.0 + erf_of_f64(x * FRAC_1_SQRT_2));
    }
    let terms = (600.0 / a) as i32 + 2;
    let fraction = (1..terms).rev().fold(a, |rest, n| a + f64::from(n) / rest);
    -a * (-0.5 * a * a).exp() / (std::f64::consts::TAU.sqrt() * fraction)
}

fn gelu_tanh_of_f64(x: f64) -> f64 {
    let exponent = (8.0 / std::f64::consts::PI).sqrt() * (x + 0.044715 * x * x * x);
    x.max(-1e3) / (1.0 + (-exponent).exp())
}

fn program<F: Format>(build: impl Fn(&Builder, Value) -> Value) -> Program {
    let b = Builder::new();
    let x = b.param(F::TYPE);
    b.yields(build(&b, x));
    b.finish()
}

fn program2<F: Format>(build: fn(&Builder, Value, Value) -> Value) -> Program {
    let b = Builder::new();
    let (x, y) = (b.param(F::TYPE), b.param(F::TYPE));
    b.yields(build(&b, x, y));
    b.finish()
}

/// The instructions that compute something.
fn size(program: &Program) -> usize {
    let computes = |i: &&Inst| !matches!(i, Inst::Const(_) | Inst::Param(_));
    let computes = |i: &&Inst| computes(i) && !matches!(i, Inst::Unary(Unary::Bitcast(_), _));
    program.insts.iter().filter(computes).count()
}

/// The distance of an `f32` from the true value, in units of the last place of the latter;
/// infinite where the one is not a number, or not the zero, that the other is.
fn error_f32(found: f32, truth: f64) -> f64 {
    if truth.is_nan() || found.is_nan() {
        return if truth.is_nan() && found.is_nan() { 0.0 } else { f64::INFINITY };
    }
    if truth == 0.0 || truth.is_infinite() {
        let same =
            f64::from(found) == truth && found.is_sign_negative() == truth.is_sign_negative();
        return if same { 0.0 } else { f64::INFINITY };
    }
    if found.is_sign_negative() != truth.is_sign_negative() {
        return f64::INFINITY;
    }
    // Infinity stands for what follows the largest number.
    let beyond = 2f64.powi(128);
    let (found, truth) = (f64::from(found).abs().min(beyond), truth.abs().min(beyond));
    (found - truth).abs() / last_place(truth, -126, 23)
}

fn error_f64(found: f64, truth: Pair) -> f64 {
    if found.is_nan() || found.is_infinite() {
        return f64::INFINITY;
    }
    ((found - truth.high) - truth.low).abs() / last_place(truth.high.abs(), -1022, 52)
}

/// The unit in the last place of numbers like `x`.
fn last_place(x: f64, smallest: i32, mantissa: i32) -> f64 {
    let exponent = (x.to_bits() >> 52) as i32 - 1023;
    let largest = if mantissa == 23 { 127 } else { 1023 };
    let place = exponent.clamp(smallest, largest) - mantissa;
    let bits = if place < -1022 { 1 << (place + 1074) } else { ((place + 1023) as u64) << 52 };
    f64::from_bits(bits)
}

/// Bits of floats over all signs and exponents, and those next to where functions change form.
fn samples_f32() -> Vec<f32> {
    let edges =
        [0.0, 0.5, 1.0, 2.0, 1e-38, 88.72, 103.97, 87.33, 9.01, 17.0, 0.3466, 131072.0, 13.2, 9.9];
    let next_to =
        |x: f32| (-40i32..=40).map(move |d| f32::from_bits((x.to_bits() as i32 + d).max(0) as u32));
    let near = edges.iter().flat_map(|&x| next_to(x)).flat_map(|x| [x, -x]);
    let over_all = (0..=u32::MAX).step_by(21_467).map(f32::from_bits);
    let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, -0.0];
    // The argument nearest to a multiple of π/2 (Muller, Elementary Functions, 11.3), and another
    // that is near to one.
    let hard = [16_367_173.0 * 2f32.powi(72), f32::from_bits(0x57b8_2989)];
    over_all.chain(near).chain(special).chain(hard).collect()
}

/// The largest error over the arguments, and where it is.
fn worst_f32(row: &Row, program: &Program, arguments: &[f32]) -> (f64, f32) {
    let results = evaluate(program, &[arguments]);
    let errors = arguments.iter().zip(results);
    let errors = errors.map(|(&x, y)| (error_f32(y, (row.double)(f64::from(x))), x));
    errors.fold((0.0, 0.0), |worst, this| if this.0 > worst.0 { this } else { worst })
}

#[test]
fn errors_of_f32_functions_are_within_limits() {
    let arguments = samples_f32();
    for row in ROWS {
        let (error, x) = worst_f32(row, &program::<f32>(row.build), &arguments);
        assert!(error <= row.limits.0, "{}({x:e}) errs by {error} ULP", row.name);
    }
}

/// Numbers in an order without pattern, from 0 to 1.
fn scattered(n: u64) -> f64 {
    let x = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (x ^ (x >> 32)) as f64 / 2f64.powi(64)
}

/// Arguments in a domain: evenly spread, and spread over exponents.
fn samples_f64((low, high): (f64, f64), count: u64) -> Vec<f64> {
    let even = |i| low + (high - low) * scattered(i);
    let smallest: f64 = if low > 0.0 { low } else { 1e-30 };
    let over_exponents = |i| {
        let x = (smallest.ln() + (high / smallest).ln() * scattered(i)).exp();
        if low < -x && i % 2 == 1 { -x } else { x }
    };
    let near_one = |i| 1.0 + (scattered(i) - 0.5) * (scattered(i + 1) * -20.0).exp();
    let all = (0..count).flat_map(|i| [even(3 * i), over_exponents(3 * i + 1), near_one(3 * i)]);
    all.filter(|x| (low..=high).contains(x)).collect()
}

fn worst_f64(row: &Row, count: u64) -> (f64, f64) {
    let arguments = samples_f64(row.domain, count);
    let results = evaluate(&program::<f64>(row.build), &[&arguments]);
    let errors = arguments.iter().zip(results);
    let errors = errors.map(|(&x, y)| (error_f64(y, (row.pair)(x.into())), x));
    errors.fold((0.0, 0.0), |worst, this| if this.0 > worst.0 { this } else { worst })
}

#[test]
fn errors_of_f64_functions_are_within_limits() {
    for row in ROWS {
        let (error, x) = worst_f64(row, 700);
        assert!(error <= row.limits.1, "{}({x:e}) errs by {error} ULP", row.name);
    }
}

/// Prints the table of errors in `f64`:
/// `cargo test --lib many_f64 -- --ignored --nocapture`.
#[test]
#[ignore = "takes minutes"]
#[allow(clippy::print_stdout, reason = "the table is what it is run for")]
fn many_f64_are_within_limits() {
    println!("| function | instructions | largest error (ULP) | at |");
    for row in ROWS {
        let (error, x) = worst_f64(row, 100_000);
        let size = size(&program::<f64>(row.build));
        println!("| `{}` | {size} | {error:.3} | {x:e} |", row.name);
        assert!(error <= row.limits.1, "{}({x:e}) errs by {error} ULP", row.name);
    }
}

/// Where the C library, whose steps these functions have, is not the nearest number, or nearly not.
#[test]
fn results_are_those_of_the_c_library() {
    type Unary = fn(&Builder, Value) -> Value;
    for (name, build, x, truth) in [
        ("log10", log10 as Unary, std::f64::consts::PI, 0.4971498726941338),
        ("log1p", log1p, 2.0, 1.0986122886681096),
        ("expm1", expm1, 1.0, 1.718281828459045),
        ("tanh", tanh, 0.5, 0.46211715726000973),
        ("asinh", asinh, f64::MAX, 710.4758600739439),
        ("acosh", acosh, 2.0, 1.3169578969248166),
        ("acosh", acosh, std::f64::consts::PI, 1.811526272460853),
        ("acosh", acosh, f64::MAX, 710.4758600739439),
        ("atanh", atanh, 0.5, 0.5493061443340548),
        ("asin", asin, 0.5, std::f64::consts::FRAC_PI_6),
    ] {
        assert_eq!(evaluate(&program::<f64>(build), &[&[x]])[0], truth, "{name}({x:e})");
    }
    let single = evaluate(&program::<f32>(log10), &[&[3f32]])[0];
    assert_eq!(single, 0.47712123);
    for (y, x, truth) in [
        (1.0f32, 1.0f32, std::f32::consts::FRAC_PI_4),
        (0.5, std::f32::consts::PI, 0.15783118),
        (2.0, -0.5, 1.8157749),
        (std::f32::consts::PI, -0.5, 1.7286274),
        // One place below π/2, as the C library has it.
        (f32::MAX, -1.0, std::f32::consts::FRAC_PI_2.next_down()),
        (2.0, -0.0, std::f32::consts::FRAC_PI_2),
        (f32::INFINITY, -1.0, std::f32::consts::FRAC_PI_2),
    ] {
        assert_eq!(evaluate(&program2::<f32>(atan2), &[&[y], &[x]])[0], truth, "atan2({y}, {x})");
    }
}

#[test]
fn f64_functions_are_right_at_the_ends() {
    let tiny = f64::from_bits(1);
    let edges = [0.0, tiny, 3e-310, f64::MIN_POSITIVE, 0.5, 1.0, 709.9, 745.0, 746.0, 1100.0];
    let rest = [-740.0, 1e-20, 710.4, 711.0, 1e300, f64::MAX, f64::INFINITY, f64::NAN];
    let arguments: Vec<f64> = edges.into_iter().chain(rest).flat_map(|x| [x, -x]).collect();
    for row in ROWS {
        let results = evaluate(&program::<f64>(row.build), &[&arguments]);
        for (&x, found) in arguments.iter().zip(results) {
            let truth = (row.double)(x);
            let same = found.is_nan() && truth.is_nan()
                || found == truth && found.is_sign_negative() == truth.is_sign_negative()
                || (found - truth).abs() <= 4.0 * last_place(truth.abs(), -1022, 52);
            assert!(same, "{}({x:e}) is {found:e}, not {truth:e}", row.name);
        }
    }
}

#[test]
fn large_f64_angles_are_reduced() {
    // Computed to 300 digits; the first is the double nearest to a multiple of π/2 (Muller).
    for (x, sine, cosine) in LARGE_ANGLES {
        for (build, truth) in [(sin as Build, sine), (cos, cosine)] {
            let found = evaluate(&program::<f64>(build), &[&[x]])[0];
            let error = (found - truth).abs() / last_place(truth.abs(), -1022, 52);
            assert!(error <= 2.0, "{found:e} for {truth:e} at {x:e}");
        }
    }
}

type Build = fn(&Builder, Value) -> Value;

const LARGE_ANGLES: [(f64, f64, f64); 16] = [
    (5.319372648326541e+255, 1.0, -4.687165924254628e-19),
    (2097152.0, 0.6238443993586297, 0.7815485687971482),
    (1e+22, -0.8522008497671888, 0.523214785395139),
    (1.7976931348623157e+308, 0.004961954789184062, -0.9999876894265599),
    (6.33989940299682e+52, 0.9999577785745515, 0.009189182131629075),
    (1.6467169322569606e+21, 0.9971333424477546, 0.07566437324771053),
    (2.072235135436006e+171, 0.9939958882355191, 0.1094174308365964),
    (5.950812511809211e+185, 0.9396602510054382, 0.3421090654753202),
    (3.807876765824638e+162, -0.9497421904646522, -0.3130331797931397),
    (7.883841935526221e+32, 0.05225080463854358, 0.9986339937207349),
    (7.099069575817319e+27, -0.9816374056158175, 0.19075639935752373),
    (1.5710908309209265e+176, 0.9998714719219763, -0.016032455725198028),
    (1.401762845221539e+261, -0.9961609801368585, 0.08754028588469052),
    (3.2761662255457493e+298, 0.5378784704320987, 0.8430223905956626),
    (4.681644491139899e+199, -0.6446770169057339, -0.7644550633448144),
    (3.06196132827555e+25, -0.41162964655857665, 0.9113512133497499),
];

/// Pairs of arguments: exponents of the first and the results' are spread.
fn pairs_of_arguments(count: u64) -> (Vec<f32>, Vec<f32>) {
    let pair = |i: u64| {
        let x = ((scattered(3 * i) - 0.5) * 170.0).exp() as f32;
        let x = if i.is_multiple_of(3) { 1.0 + (x - 1.0) / (x + 1.0) * 0.3 } else { x };
        let y = (scattered(3 * i + 1) - 0.5) * 200.0 / f64::from(x).ln();
        let y = if i.is_multiple_of(5) { y.round() } else { y };
        (if y.fract() == 0.0 && i.is_multiple_of(2) { -x } else { x }, y as f32)
    };
    (0..count).map(pair).unzip()
}

#[test]
fn errors_of_pow_are_within_limits() {
    let (x, y) = pairs_of_arguments(200_000);
    let results = evaluate(&program2::<f32>(pow), &[&x, &y]);
    let mut worst = (0.0, 0.0, 0.0);
    for ((&x, &y), found) in x.iter().zip(&y).zip(results) {
        let error = error_f32(found, f64::from(x).powf(f64::from(y)));
        worst = if error > worst.0 { (error, x, y) } else { worst };
    }
    // A subnormal result is rounded twice.
    assert!(worst.0 <= 0.8, "pow errs by {worst:?}");
    let (x, y): (Vec<f64>, Vec<f64>) = (0..3000)
        .map(|i| {
            let x = ((scattered(2 * i) - 0.5) * [1.0, 1400.0, 1e-6][i as usize % 3]).exp();
            (x, (scattered(2 * i + 1) - 0.5) * 1380.0 / x.ln())
        })
        .unzip();
    let results = evaluate(&program2::<f64>(pow), &[&x, &y]);
    for ((&x, &y), found) in x.iter().zip(&y).zip(results) {
        let error = error_f64(found, Pair::from(x).pow(y.into()));
        assert!(error <= 0.6, "pow({x:e}, {y:e}) errs by {error} ULP");
    }
}

#[test]
fn functions_of_two_arguments_are_right_at_special_ones() {
    let one_side = [0.0, 1e-45, 1e-38, 0.3, 0.5, 1.0, 1.5, 2.0, 3.0, 7.0, 1e10, 16777217.0, 3e38];
    let more = [f64::INFINITY, f64::NAN];
    let all: Vec<f64> = one_side.into_iter().chain(more).flat_map(|x| [x, -x]).collect();
    let (x, y): (Vec<f32>, Vec<f32>) =
        all.iter().flat_map(|&x| all.iter().map(move |&y| (x as f32, y as f32))).unzip();
    for (name, build, double) in [
        ("pow", pow as fn(&Builder, Value, Value) -> Value, f64::powf as fn(f64, f64) -> f64),
        ("atan2", atan2, f64::atan2),
        ("hypot", hypot, f64::hypot),
    ] {
        let single = evaluate(&program2::<f32>(build), &[&x, &y]);
        for ((&x, &y), found) in x.iter().zip(&y).zip(single) {
            let error = error_f32(found, double(f64::from(x), f64::from(y)));
            assert!(error <= 4.0, "{name}({x:e}, {y:e}) is {found:e}: {error} ULP");
        }
        let (x, y): (Vec<f64>, Vec<f64>) =
            x.iter().zip(&y).map(|(&x, &y)| (f64::from(x), f64::from(y))).unzip();
        let results = evaluate(&program2::<f64>(build), &[&x, &y]);
        for ((&x, &y), found) in x.iter().zip(&y).zip(results) {
            let truth = double(x, y);
            let same = found.is_nan() && truth.is_nan()
                || found == truth && found.is_sign_negative() == truth.is_sign_negative()
                || (found - truth).abs() <= 4.0 * last_place(truth.abs(), -1022, 52);
            assert!(same, "{name}({x:e}, {y:e}) is {found:e}, not {truth:e}");
        }
    }
}

#[test]
fn errors_of_atan2_and_hypot_are_within_limits() {
    let spread = |i: u64| {
        let size = ((scattered(i) - 0.5) * 60.0).exp();
        if i.is_multiple_of(3) { -size } else { size }
    };
    let (y, x): (Vec<f64>, Vec<f64>) = (0..60_000)
        .map(|i| {
            let y = spread(2 * i) as f32;
            let near = y * (0.5 + scattered(i) as f32);
            (f64::from(y), f64::from(if i % 2 == 0 { near } else { spread(2 * i + 1) as f32 }))
        })
        .unzip();
    let [ys, xs] = [&y, &x].map(|v| v.iter().map(|&v| v as f32).collect::<Vec<_>>());
    let single = evaluate(&program2::<f32>(atan2), &[&ys, &xs]);
    let double = evaluate(&program2::<f64>(atan2), &[&y, &x]);
    let single_lengths = evaluate(&program2::<f32>(hypot), &[&ys, &xs]);
    let double_lengths = evaluate(&program2::<f64>(hypot), &[&y, &x]);
    for (i, (&y, &x)) in y.iter().zip(&x).enumerate() {
        let error = error_f32(single_lengths[i], y.hypot(x));
        assert!(error <= 2.0, "hypot({y:e}, {x:e}) errs by {error} ULP");
        let (a, b) = (Pair::from(x), Pair::from(y));
        let error = error_f64(double_lengths[i], (a * a + b * b).sqrt());
        assert!(error <= 2.0, "hypot({y:e}, {x:e}) errs by {error} ULP in f64");
        let error = error_f32(single[i], y.atan2(x));
        assert!(error <= 2.0, "atan2({y:e}, {x:e}) errs by {error} ULP");
        if i % 20 == 0 && x > 0.0 {
            let error = error_f64(double[i], (Pair::from(y) / x.into()).atan());
            assert!(error <= 0.55, "atan2({y:e}, {x:e}) errs by {error} ULP in f64");
        }
    }
}

#[test]
fn angles_near_zero_are_quotients() {
    let tiny = f64::from_bits(1);
    let [y, x]: [Vec<f64>; 2] = [
        vec![tiny, 3.0 * tiny, 1.1125369292536007e-308, 2.0, 5.0, 1e-300],
        vec![1.6, 2.5, 4503599627370495.5, 4.4942328371557893e307, 1e308, 7e6],
    ];
    let angles = evaluate(&program2::<f64>(atan2), &[&y, &x]);
    for ((&y, &x), angle) in y.iter().zip(&x).zip(angles) {
        assert_eq!(angle, y / x, "atan2({y:e}, {x:e})");
    }
}

#[test]
fn moderate_angles_give_the_same_bits() {
    let arguments: Vec<f32> = samples_f32().into_iter().filter(|x| x.abs() < 131_072.0).collect();
    for (any, within) in [(sin as Build, sin_within as Build), (cos, cos_within)] {
        let any = evaluate(&program::<f32>(any), &[&arguments]);
        let within = evaluate(&program::<f32>(within), &[&arguments]);
        assert!(any.iter().zip(&within).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
}

/// Parameters only.
struct Arguments<'a>(&'a [Lane]);

impl reference::Environment for Arguments<'_> {
    fn param(&mut self, Param(p): Param) -> Lane {
        self.0[p as usize]
    }
    fn load(&mut self, slot: Slot) -> Scalar {
        panic!("{slot} is not there")
    }
    fn gather(&mut self, slot: Slot, _: i64) -> Scalar {
        panic!("{slot} is not there")
    }
    fn store(&mut self, slot: Slot, _: Scalar) {
        panic!("{slot} is not there")
    }
    fn index(&mut self, axis: u32) -> i64 {
        panic!("axis {axis} is not there")
    }
    fn fault(&mut self, site: u32, _: i64, _: u64) {
        panic!("nothing is checked at {site}")
    }
}

#[test]
fn columns_are_what_the_reference_computes() {
    fn check<F: Format>(program: &Program, arguments: &[F], lane: fn(F) -> Lane) {
        let columns = evaluate(program, &vec![arguments; program.params.len()]);
        for (&x, column) in arguments.iter().zip(columns) {
            let lanes = vec![lane(x); program.params.len()];
            let found = reference::run(program, &mut Arguments(&lanes), &mut [])[0];
            let same = found.scalar() == lane(column).scalar()
                || found.to_f64().is_nan() && lane(column).to_f64().is_nan();
            assert!(same, "{x:e}: {column:e} and {found:?}");
        }
    }
    let single: Vec<f32> = samples_f32().into_iter().step_by(997).collect();
    let double: Vec<f64> = single.iter().map(|&x| f64::from(x) * 1.000_000_001).collect();
    for row in ROWS {
        check(&program::<f32>(row.build), &single, Lane::F32);
        check(&program::<f64>(row.build), &double, Lane::F64);
    }
    for build in [pow, atan2, hypot] {
        check(&program2::<f32>(build), &single, Lane::F32);
        check(&program2::<f64>(build), &double, Lane::F64);
    }
}
