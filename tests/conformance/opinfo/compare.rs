//! Comparisons, logic, bits.

use super::binary::of;
use super::call::{Call, Row, code, text};
use tensc::DType;

pub const ROWS: &[Row] = &[
    code("allclose", "input other rtol=1e-5 atol=1e-8 equal_nan=false", |c| {
        of(c, "all(is_close(input, other, rtol = rtol, atol = atol, equal_nan = equal_nan))")
    }),
    code("__rand__", "input other", |c| of(c, "other & input")),
    code("__ror__", "input other", |c| of(c, "other | input")),
    code("__rxor__", "input other", |c| of(c, "other ^ input")),
    code("bitwise_left_shift", "input other", |c| of(c, "shl(input, other)")),
    code("bitwise_right_shift", "input other", |c| of(c, "shr(input, other)")),
    code("gcd", "input other", |c| of(c, "gcd(input, other)")),
    code("lcm", "input other", |c| of(c, "lcm(input, other)")),
    code("equal", "input other", |c| match c.shape("input")? == c.shape("other")? {
        true => Ok("all(input == other)".to_string()),
        false => Ok("false".to_string()),
    }),
    code("bitwise_and", "input other", |c| of(c, "input & other")),
    code("bitwise_or", "input other", |c| of(c, "input | other")),
    code("bitwise_xor", "input other", |c| of(c, "input ^ other")),
    text("bitwise_not", "input", "!input"),
    code("eq", "input other", |c| of(c, "input == other")),
    code("ge", "input other", |c| of(c, "input >= other")),
    code("gt", "input other", |c| of(c, "input > other")),
    code("isclose", "input other rtol=1e-5 atol=1e-8 equal_nan=false", |c| {
        of(c, "is_close(input, other, rtol = rtol, atol = atol, equal_nan = equal_nan)")
    }),
    text("isfinite", "input", "is_finite(input)"),
    text("isinf", "input", "is_inf(input)"),
    text("isnan", "input", "is_nan(input)"),
    text("isneginf", "input", "input == -inf"),
    text("isposinf", "input", "input == inf"),
    text("isreal", "input", "input == input | is_nan(input)"),
    code("le", "input other", |c| of(c, "input <= other")),
    code("logical_and", "input other", |c| logic(c, "&")),
    code("logical_not", "input", |c| Ok(format!("!{}", truth(c, "input")?))),
    code("logical_or", "input other", |c| logic(c, "|")),
    code("logical_xor", "input other", |c| logic(c, "^")),
    code("lt", "input other", |c| of(c, "input < other")),
    code("ne", "input other", |c| of(c, "input != other")),
    text("signbit", "input", "copysign(1.0, input) < 0.0"),
];

/// Whether it is not 0.
pub fn truth(c: &Call<'_>, name: &str) -> Result<String, String> {
    Ok(match c.tensor(name)?.dtype() {
        DType::Bool => name.to_string(),
        _ => format!("({name} != 0)"),
    })
}

fn logic(c: &mut Call<'_>, operator: &str) -> Result<String, String> {
    Ok(format!("{} {operator} {}", truth(c, "input")?, truth(c, "other")?))
}
