//! Elementwise functions: correctly rounded values with an allowed error in units of the last
//! place, and what IEEE 754 answers on special operands.

use crate::collection::{Case, Fault};
use crate::npz::{self, Array, Arrays};
use crate::program::Program;
use std::path::Path;
use std::sync::Arc;
use tensc::{DType, Session, Tensor};

/// NumPy's name and the expression of `.tx` over `x`.
const UNARY: [(&str, &str); 51] = [
    ("abs", "abs(x)"),
    ("absolute", "abs(x)"),
    ("acos", "acos(x)"),
    ("acosh", "acosh(x)"),
    ("arccos", "acos(x)"),
    ("arccosh", "acosh(x)"),
    ("arcsin", "asin(x)"),
    ("arcsinh", "asinh(x)"),
    ("arctan", "atan(x)"),
    ("arctanh", "atanh(x)"),
    ("asin", "asin(x)"),
    ("asinh", "asinh(x)"),
    ("atan", "atan(x)"),
    ("atanh", "atanh(x)"),
    ("cbrt", "cbrt(x)"),
    ("ceil", "ceil(x)"),
    ("conj", "x"),
    ("conjugate", "x"),
    ("cos", "cos(x)"),
    ("cosh", "cosh(x)"),
    ("deg2rad", "radians(x)"),
    ("degrees", DEGREES),
    ("exp", "exp(x)"),
    ("exp2", "exp2(x)"),
    ("expm1", "expm1(x)"),
    ("fabs", "abs(x)"),
    ("floor", "floor(x)"),
    ("isfinite", "is_finite(x)"),
    ("isinf", "is_inf(x)"),
    ("isnan", "is_nan(x)"),
    ("log", "log(x)"),
    ("log10", "log10(x)"),
    ("log1p", "log1p(x)"),
    ("log2", "log2(x)"),
    ("logical_not", "x == 0.0"),
    ("negative", "-x"),
    ("positive", "x"),
    ("rad2deg", DEGREES),
    ("radians", "radians(x)"),
    ("reciprocal", "reciprocal(x)"),
    ("rint", "round(x)"),
    ("sign", "sign(x)"),
    ("signbit", "copysign(1.0, x) < 0.0"),
    ("sin", "sin(x)"),
    ("sinh", "sinh(x)"),
    ("spacing", SPACING),
    ("sqrt", "sqrt(x)"),
    ("square", "square(x)"),
    ("tan", "tan(x)"),
    ("tanh", "tanh(x)"),
    ("trunc", "trunc(x)"),
];

/// NumPy rounds 180 over pi from numbers of the element type.
const DEGREES: &str = "x * (full_like(x, 180.0) / pi)";

/// How far the next number away from 0 is; from either 0 it is the one above.
const SPACING: &str =
    "{ let away = copysign(inf, where(x == 0.0, 1.0, x)); nextafter(x, away) - x }";

/// NumPy's name and the expression of `.tx` over `x` and `y`.
const BINARY: [(&str, &str); 33] = [
    ("add", "x + y"),
    ("arctan2", "atan2(x, y)"),
    ("atan2", "atan2(x, y)"),
    ("copysign", "copysign(x, y)"),
    ("divide", "x / y"),
    ("equal", "x == y"),
    // In f64 whatever the operands are.
    ("float_power", "f64(x) ** f64(y)"),
    ("floor_divide", "floor_divide(x, y)"),
    ("fmax", "fmax(x, y)"),
    ("fmin", "fmin(x, y)"),
    ("fmod", "x % y"),
    ("greater", "x > y"),
    ("greater_equal", "x >= y"),
    ("heaviside", "heaviside(x, y)"),
    ("hypot", "hypot(x, y)"),
    ("less", "x < y"),
    ("less_equal", "x <= y"),
    ("logaddexp", "logaddexp(x, y)"),
    ("logaddexp2", "logaddexp2(x, y)"),
    ("logical_and", "(x != 0.0) & (y != 0.0)"),
    ("logical_or", "(x != 0.0) | (y != 0.0)"),
    ("logical_xor", "(x != 0.0) ^ (y != 0.0)"),
    ("maximum", "max(x, y)"),
    ("minimum", "min(x, y)"),
    ("mod", "remainder(x, y)"),
    ("multiply", "x * y"),
    ("nextafter", "nextafter(x, y)"),
    ("not_equal", "x != y"),
    ("pow", "x ** y"),
    ("power", "x ** y"),
    ("remainder", "remainder(x, y)"),
    ("subtract", "x - y"),
    ("true_divide", "x / y"),
];

fn unary(name: &str) -> Option<&'static str> {
    UNARY.iter().find(|(n, _)| *n == name).map(|(_, tx)| *tx)
}

/// Tables `f.TYPE.in`, `.out` and `.ulp`.
pub fn umath(folder: &Path) -> Vec<Case> {
    tables(
        folder,
        "umath.npz",
        |arrays| {
            let heads = arrays.keys().filter_map(|name| name.strip_suffix(".in"));
            heads.map(str::to_string).collect()
        },
        within_ulps,
    )
}

/// Tables `f.TYPE` of the function on `x.TYPE`, or on all pairs of it.
pub fn special(folder: &Path) -> Vec<Case> {
    tables(
        folder,
        "special.npz",
        |arrays| arrays.keys().filter(|name| !name.starts_with("x.")).cloned().collect(),
        exact,
    )
}

fn tables(
    folder: &Path,
    file: &'static str,
    names: fn(&Arrays) -> Vec<String>,
    judge: fn(&str, DType, &str, &Arrays, &Session) -> Result<(), Fault>,
) -> Vec<Case> {
    let path = folder.join(file);
    if !path.is_file() {
        return Vec::new();
    }
    let arrays = Arc::new(npz::read(&path));
    let case = |head: String| {
        let arrays = Arc::clone(&arrays);
        let name = format!("{}.{head}", file.trim_end_matches(".npz"));
        let judge = move |session: &Session| {
            let (function, width) = head.split_once('.').expect("a function and a type");
            let dtype = DType::from_name(width).expect("a type");
            judge(function, dtype, &head, &arrays, session)
        };
        Case { name, judge: Box::new(judge) }
    };
    names(&arrays).into_iter().map(case).collect()
}

fn no_row(function: &str) -> Fault {
    Fault::Unsupported(format!("no row for {function}"))
}

/// Floats from their bits.
fn floats(array: &Array, dtype: DType) -> Tensor {
    let values: Vec<f64> = match dtype {
        DType::F32 => {
            let bits = array.bits::<4>();
            return Tensor::from_slice(
                &bits.iter().map(|&b| f32::from_bits(b as u32)).collect::<Vec<_>>(),
                array.shape.as_slice(),
            );
        }
        _ => array.bits::<8>().into_iter().map(f64::from_bits).collect(),
    };
    Tensor::from_slice(&values, array.shape.as_slice())
}

/// The number of floats between two, counting through zero; 0 for two NaNs.
fn distance(a: f64, b: f64, dtype: DType) -> u64 {
    if a.is_nan() || b.is_nan() {
        return if a.is_nan() && b.is_nan() { 0 } else { u64::MAX };
    }
    let place = |x: f64| -> i64 {
        match dtype {
            DType::F32 => {
                let bits = (x as f32).to_bits();
                let magnitude = i64::from(bits & 0x7fff_ffff);
                if bits >> 31 == 1 { -magnitude } else { magnitude }
            }
            _ => {
                let magnitude = (x.to_bits() & !(1 << 63)) as i64;
                if x.is_sign_negative() { -magnitude } else { magnitude }
            }
        }
    };
    place(a).abs_diff(place(b))
}

fn within_ulps(
    function: &str,
    dtype: DType,
    head: &str,
    arrays: &Arrays,
    session: &Session,
) -> Result<(), Fault> {
    let tx = unary(function).ok_or_else(|| no_row(function))?;
    let [x, truth] = ["in", "out"].map(|part| floats(&arrays[&format!("{head}.{part}")], dtype));
    let allowed = arrays[&format!("{head}.ulp")].tensor().expect("small integers").to_f64_vec();
    let n = x.len();
    let program = Program::new(&format!("fn f(x: {dtype}[{n}]) = {tx}\n"))?;
    let found = program.call(session, "f", &[&x])?[0].to_f64_vec();
    let (arguments, truth) = (x.to_f64_vec(), truth.to_f64_vec());
    let ulps = |i: usize| distance(found[i], truth[i], dtype);
    let off: Vec<usize> = (0..n).filter(|&i| ulps(i) as f64 > allowed[i]).collect();
    let Some(&worst) = off.iter().max_by_key(|&&i| ulps(i)) else { return Ok(()) };
    Err(Fault::Mismatch(format!(
        "{head}: {} of {n} are off; {} ulp at {:e}: {:e} instead of {:e}, {} allowed",
        off.len(),
        ulps(worst),
        arguments[worst],
        found[worst],
        truth[worst],
        allowed[worst]
    )))
}

fn exact(
    function: &str,
    dtype: DType,
    head: &str,
    arrays: &Arrays,
    session: &Session,
) -> Result<(), Fault> {
    let x = arrays[&format!("x.{dtype}")].tensor().expect("floats");
    let n = x.len();
    let pair = BINARY.iter().find(|(name, _)| *name == function).map(|(_, tx)| *tx);
    let text = match (unary(function), pair) {
        (Some(tx), _) => format!("fn f(x: {dtype}[{n}]) = {tx}\n"),
        (None, Some(tx)) => {
            let all = "let x = all[:, None]; let y = all[None, :]";
            format!("fn f(all: {dtype}[{n}]) = {{ {all}; {tx} }}\n")
        }
        (None, None) => return Err(no_row(function)),
    };
    let found = Program::new(&text)?.call(session, "f", &[&x])?.remove(0);
    let truth = arrays[head].tensor().expect("floats or truth values");
    let (points, found, truth) = (x.to_f64_vec(), found.to_f64_vec(), truth.to_f64_vec());
    let same = |a: f64, b: f64| (a.is_nan() && b.is_nan()) || a.to_bits() == b.to_bits();
    let off: Vec<usize> = (0..truth.len()).filter(|&i| !same(found[i], truth[i])).collect();
    let Some(&first) = off.first() else { return Ok(()) };
    let place = match truth.len() == n {
        true => format!("{:e}", points[first]),
        false => format!("{:e}, {:e}", points[first / n], points[first % n]),
    };
    let (a, b, all) = (found[first], truth[first], truth.len());
    let count = off.len();
    Err(Fault::Mismatch(format!("{head}({place}) is {a:e} instead of {b:e}; {count} of {all}")))
}
