//! Functions of two and three tensors, element by element, with broadcasting.

use super::call::{Arg, Call, Row, code, text};

pub const ROWS: &[Row] = &[
    code("__radd__", "input other", |c| of(c, "other + input")),
    code("__rdiv__", "input other", |c| of(c, "other / input")),
    code("__rmod__", "input other", |c| of(c, "other - input * floor(other / input)")),
    code("__rmul__", "input other", |c| of(c, "other * input")),
    code("__rpow__", "input other", |c| of(c, "other ** input")),
    code("__rsub__", "input other", |c| of(c, "other - input")),
    code("add", "input other alpha=1", |c| of(c, "input + alpha * other")),
    text("addcdiv", "input tensor1 tensor2 value=1", "input + value * (tensor1 / tensor2)"),
    text("addcmul", "input tensor1 tensor2 value=1", "input + value * tensor1 * tensor2"),
    code("atan2", "input other", |c| of(c, "atan2(input, other)")),
    code("clamp", "input min:low=None max:high=None", clamp),
    code("clamp_max", "input max:other", |c| of(c, "min(input, other)")),
    code("clamp_min", "input min:other", |c| of(c, "max(input, other)")),
    code("copysign", "input other", |c| of(c, "copysign(input, other)")),
    code("div", "input other rounding_mode=None", div),
    code("true_divide", "input other", |c| of(c, "input / other")),
    code("float_power", "input exponent:other", |c| of(c, "input ** other")),
    code("floor_divide", "input other", |c| of(c, "floor(input / other)")),
    code("fmax", "input other", |c| of(c, "fmax(input, other)")),
    code("fmin", "input other", |c| of(c, "fmin(input, other)")),
    code("fmod", "input other", |c| of(c, "input % other")),
    text(
        "heaviside",
        "input other",
        "where(input == 0.0, other, where(input < 0.0, zeros_like(input), ones_like(input)))",
    ),
    code("hypot", "input other", |c| of(c, "hypot(input, other)")),
    code("nextafter", "input other", |c| of(c, "nextafter(input, other)")),
    code("ldexp", "input other", |c| of(c, "input * exp2(other)")),
    code("lerp", "input end weight", |c| of(c, "input + weight * (end - input)")),
    code("logaddexp", "input other", |c| of(c, "logaddexp(input, other)")),
    code("logaddexp2", "input other", |c| of(c, "logaddexp2(input, other)")),
    code("maximum", "input other", |c| of(c, "max(input, other)")),
    code("minimum", "input other", |c| of(c, "min(input, other)")),
    code("mul", "input other", |c| of(c, "input * other")),
    code("pow", "input exponent:other", |c| of(c, "input ** other")),
    code("remainder", "input other", |c| of(c, "input - other * floor(input / other)")),
    code("rsub", "input other alpha=1", |c| of(c, "other - alpha * input")),
    code("special.xlog1py", "input other", |c| {
        of(c, "where(is_nan(other), nan, where(input == 0.0, 0.0, input * log1p(other)))")
    }),
    code("sub", "input other alpha=1", |c| of(c, "input - alpha * other")),
    code("where", "condition input other", |c| {
        // The samples call it as a method of the second operand.
        let bool = |name: &str| Ok::<_, String>(c.tensor(name)?.dtype() == tensc::DType::Bool);
        match bool("condition")? || !bool("input")? {
            true => of(c, "where(condition, input, other)"),
            false => Ok("where(input, condition, other)".to_string()),
        }
    }),
    code("xlogy", "input other", |c| of(c, "xlogy(input, other)")),
];

/// The expression, with tensors of integers made floats where there is a float among the operands,
/// as PyTorch promotes.
pub fn of(c: &mut Call<'_>, tx: &str) -> Result<String, String> {
    let mut float = false;
    let mut whole = Vec::new();
    for name in ["input", "other", "weight", "end"] {
        if let Some(Arg::Tensor(input)) = c.given(name) {
            let dtype = c.input(input).dtype();
            float |= dtype.is_float();
            if !dtype.is_float() {
                whole.push(name);
            }
        }
        float |= matches!(c.given(name), Some(Arg::Float(_)));
    }
    let mut written = tx.to_string();
    if float {
        for name in whole {
            let dtype = c.dtype;
            written = format!("{{ let {name} = {dtype}({name}); {written} }}");
        }
    }
    Ok(written)
}

fn div(c: &mut Call<'_>) -> Result<String, String> {
    let quotient = "input / other";
    if !c.has("rounding_mode") {
        return of(c, quotient);
    }
    match c.word("rounding_mode")? {
        "trunc" => of(c, "trunc(input / other)"),
        "floor" => of(c, "floor(input / other)"),
        _ => c.unknown("rounding_mode"),
    }
}

fn clamp(c: &mut Call<'_>) -> Result<String, String> {
    let float = c.tensor("input")?.dtype().is_float();
    for name in ["low", "high"] {
        if let Arg::Tensor(bound) = c.arg(name)
            && float
            && !c.input(bound).dtype().is_float()
        {
            return Ok(format!(
                "{{ let {name} = {}({name}); {} }}",
                c.dtype,
                clamped(c.has("low"), c.has("high"))
            ));
        }
    }
    Ok(clamped(c.has("low"), c.has("high")))
}

fn clamped(low: bool, high: bool) -> String {
    let raised = if low { "max(input, low)" } else { "input" };
    let within = format!("min({raised}, high)");
    if high { within } else { raised.to_string() }
}
