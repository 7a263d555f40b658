//! Functions of one tensor, element by element.

use super::call::{Arg, Call, Row, code, list, text};

pub const ROWS: &[Row] = &[
    text("abs", "input", "abs(input)"),
    text("acos", "input", "acos(input)"),
    text("acosh", "input", "acosh(input)"),
    text("asin", "input", "asin(input)"),
    text("asinh", "input", "asinh(input)"),
    text("atan", "input", "atan(input)"),
    text("atanh", "input", "atanh(input)"),
    text(
        "angle",
        "input",
        "where(is_nan(input), input, where(input < 0.0, full_like(input, pi), zeros_like(input)))",
    ),
    text("ceil", "input", "ceil(input)"),
    text("clone", "input", "input"),
    text("conj", "input", "input"),
    text("conj_physical", "input", "input"),
    text("contiguous", "input", "input"),
    text("cos", "input", "cos(input)"),
    text("cosh", "input", "cosh(input)"),
    text("deg2rad", "input", "input * (pi / 180.0)"),
    text("erf", "input", "erf(input)"),
    text("bool", "input", "bool(input)"),
    text("bfloat16", "input", "bf16(input)"),
    text("byte", "input", "u8(i64(input) % 256 + 256 * i64(i64(input) % 256 < 0))"),
    text("char", "input", "i8(input)"),
    text("double", "input", "input"),
    text("exp", "input", "exp(input)"),
    text("exp2", "input", "exp2(input)"),
    text("expm1", "input", "expm1(input)"),
    code("fill", "input value", |c| {
        Ok(match c.arg("value") {
            Arg::Tensor(_) => "ones_like(input) * value".to_string(),
            _ => format!("full_like(input, {:?})", c.float("value")?),
        })
    }),
    text("float", "input", "f32(input)"),
    text("floor", "input", "floor(input)"),
    text("frac", "input", "input - trunc(input)"),
    text("full_like", "input value dtype=None device=None", "full_like(input, value)"),
    text("half", "input", "f16(input)"),
    text("int", "input", "i32(input)"),
    text("item", "input", "reshape(input, [])"),
    text("log", "input", "log(input)"),
    text("log10", "input", "log10(input)"),
    text("log1p", "input", "log1p(input)"),
    text("log2", "input", "log2(input)"),
    code("logit", "input eps=None", logit),
    code("nan_to_num", "input nan=0.0 posinf=None neginf=None", nan_to_num),
    text("long", "input", "i64(input)"),
    text("neg", "input", "-input"),
    code("new_full", "input sizes value dtype=None device=None", |c| created(c, "value")),
    code("new_ones", "input *sizes dtype=None device=None", |c| created(c, "1.0")),
    code("new_zeros", "input *sizes dtype=None device=None", |c| created(c, "0.0")),
    text("ones_like", "input dtype=None device=None", "ones_like(input)"),
    text("positive", "input", "input"),
    text("rad2deg", "input", "input * (180.0 / pi)"),
    text("real", "input", "input"),
    text("reciprocal", "input", "reciprocal(input)"),
    text("resolve_conj", "input", "input"),
    text("resolve_neg", "input", "input"),
    code("round", "input decimals=0", round),
    text("rsqrt", "input", "rsqrt(input)"),
    text("short", "input", "i16(input)"),
    text("sgn", "input", "sign(input)"),
    text("sigmoid", "input", "sigmoid(input)"),
    text("sign", "input", "sign(input)"),
    text("sin", "input", "sin(input)"),
    text("sinc", "input", "where(input == 0.0, 1.0, sin(pi * input) / (pi * input))"),
    text("sinh", "input", "sinh(input)"),
    text("sqrt", "input", "sqrt(input)"),
    text("square", "input", "square(input)"),
    text("tan", "input", "tan(input)"),
    text("tanh", "input", "tanh(input)"),
    text("trunc", "input", "trunc(input)"),
    text("zero_", "input", "zeros_like(input)"),
    text("zeros_like", "input dtype=None device=None", "zeros_like(input)"),
];

/// A tensor of one number, of the input's element type.
fn created(c: &mut Call<'_>, value: &str) -> Result<String, String> {
    c.same_type()?;
    Ok(format!("full({}, {value}, {})", list(c.ints("sizes")?), c.dtype))
}

fn logit(c: &mut Call<'_>) -> Result<String, String> {
    let z = match c.has("eps") {
        // The lower bound comes first, even where it is above the other.
        true => c.bind("where(input < eps, eps, where(input > 1.0 - eps, 1.0 - eps, input))"),
        false => "input".to_string(),
    };
    Ok(format!("log({z} / (1.0 - {z}))"))
}

fn nan_to_num(c: &mut Call<'_>) -> Result<String, String> {
    let most = c.dtype;
    let or = |name: &str, limit: f64| match c.has(name) {
        true => name.to_string(),
        false => format!("({limit:?})"),
    };
    let limit = if most == tensc::DType::F64 { f64::MAX } else { f64::from(f32::MAX) };
    let (high, low, nan) = (or("posinf", limit), or("neginf", -limit), or("nan", 0.0));
    Ok(format!(
        "where(is_nan(input), {nan}, where(input == inf, {high}, where(input == -inf, {low}, input)))"
    ))
}

fn round(c: &mut Call<'_>) -> Result<String, String> {
    match c.int("decimals")? {
        0 => Ok("round(input)".to_string()),
        digits => {
            let scale = format!("{:?}", 10f64.powi(digits as i32));
            Ok(format!("round(input * {scale}) / {scale}"))
        }
    }
}
