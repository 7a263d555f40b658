//! The transcendental functions on every `f32`, as machine code: the largest error of each.
//!
//! The truth is the function's `f64` form, whose own errors (`compiler/vector/math/tests`) are far
//! below the last place of an `f32`. Some 25 minutes of one core:
//!
//! ```text
//! cargo test --release --test every_f32 -- --ignored --nocapture
//! ```

use tensc::{Module, Session, TensorView};

/// The largest error over a binade, `base + step * i` for all `i` below 2²³, in units of the last
/// place of the true value, and where it is. What only one of the two finds NaN errs by 1e9.
const SOURCE: &str = "
    fn worst(base: f32, step: f32) -> (f32, f32) = {
        let x = base + step * f32(arange(8388608))
        let y = FUNCTION(x)
        let truth = FUNCTION(f64(x))
        let largest = 3.4028234663852886e38
        let near = min(abs(truth), largest)
        let place = exp2(max(floor(log2(near)) - 23.0, -149.0))
        let beyond = is_inf(y) & (abs(truth) > largest)
        let error = where(beyond, 0.0, abs(f64(y) - truth) / place)
        let error = where(is_nan(y) & is_nan(truth), 0.0, where(is_nan(error), 1e9, error))
        let at = argmax(error)
        (f32(error[at]), x[at])
    }
";

/// Functions and the errors that are let pass: 1 for `exp`, `log` and `sqrt`, 2 for others.
const LIMITS: [(&str, f32); 26] = [
    ("sqrt", 1.0),
    ("exp", 1.0),
    ("log", 1.0),
    ("exp2", 1.0),
    ("expm1", 2.0),
    ("log2", 2.0),
    ("log10", 2.0),
    ("log1p", 2.0),
    ("sigmoid", 2.0),
    ("tanh", 2.0),
    ("sinh", 2.0),
    ("cosh", 2.0),
    ("sin", 2.0),
    ("cos", 2.0),
    ("tan", 2.0),
    ("asin", 2.0),
    ("acos", 2.0),
    ("atan", 2.0),
    ("asinh", 2.0),
    ("acosh", 2.0),
    ("atanh", 2.0),
    ("erf", 2.0),
    ("gelu", 2.0),
    ("gelu_tanh", 2.0),
    ("cbrt", 1.0),
    ("rsqrt", 2.0),
];

#[test]
#[ignore = "takes a minute a function"]
#[allow(clippy::print_stdout, reason = "the table is what it is run for")]
fn every_f32_is_within_limits() {
    println!("| function | limit | largest error | at |");
    for (name, limit) in LIMITS {
        let module = Module::from_source("worst.tx", SOURCE.replace("FUNCTION", name)).unwrap();
        let (worst, session) = (module.function("worst").unwrap(), Session::default());
        let (mut largest, mut at) = (0.0, 0.0);
        let mut look = |base: f32, step: f32| {
            let (base, step) = ([base], [step]);
            let arguments = [TensorView::new(&base, []), TensorView::new(&step, [])];
            let found = worst.call(&session, &arguments).unwrap();
            let (error, x) = (found[0].as_slice::<f32>()[0], found[1].as_slice::<f32>()[0]);
            if error > largest {
                (largest, at) = (error, x);
            }
        };
        for sign in [1.0, -1.0] {
            for exponent in -126..128 {
                let power = sign * 2f32.powi(exponent);
                look(power, power * 2f32.powi(-23));
            }
            look(0.0, sign * f32::from_bits(1));
        }
        println!("| `{name}` | {limit} | {largest:.3} | {at:e} |");
        assert!(largest <= limit, "{name}({at:e}) errs by {largest} in the last place");
    }
}
