//! Activations.

use super::call::{Call, Row, code, text};

pub const ROWS: &[Row] = &[
    text(
        "nn.functional.celu",
        "input alpha=1.0 inplace=false",
        "activation.celu(input, alpha = alpha)",
    ),
    text("nn.functional.elu", "input alpha=1.0 inplace=false", "elu(input, alpha = alpha)"),
    code("nn.functional.gelu", "input approximate=\"none\"", |c| match c.word("approximate")? {
        "none" => Ok("gelu(input)".to_string()),
        "tanh" => Ok("gelu_tanh(input)".to_string()),
        _ => c.unknown("approximate"),
    }),
    text(
        "nn.functional.glu",
        "input dim=-1",
        "swap_axes(activation.glu(swap_axes(input, dim, -1)), dim, -1)",
    ),
    text(
        "nn.functional.hardshrink",
        "input lambd=0.5",
        "activation.hard_shrink(input, threshold = lambd)",
    ),
    code("nn.functional.hardsigmoid", "input inplace=false", |c| {
        // PyTorch's derivative has a slope of 1/6 that is rounded to f32.
        let value = c.bind("activation.hard_sigmoid(input)");
        let slope = f64::from(1.0_f32 / 6.0);
        let rounded = c.bind(format!("activation.relu6(input + 3.0) * {slope:?}"));
        Ok(format!("{rounded} + stop_gradient({value} - {rounded})"))
    }),
    text("nn.functional.hardswish", "input inplace=false", "activation.hard_silu(input)"),
    text(
        "nn.functional.hardtanh",
        "input min_val=-1.0 max_val=1.0 inplace=false",
        "activation.hard_tanh(input, low = min_val, high = max_val)",
    ),
    text(
        "nn.functional.leaky_relu",
        "input negative_slope=0.01 inplace=false",
        "leaky_relu(input, slope = negative_slope)",
    ),
    text("nn.functional.logsigmoid", "input", "activation.log_sigmoid(input)"),
    text("nn.functional.mish", "input inplace=false", "activation.mish(input)"),
    code("nn.functional.prelu", "input weight", prelu),
    text("nn.functional.relu", "input inplace=false", "relu(input)"),
    text("nn.functional.relu6", "input inplace=false", "activation.relu6(input)"),
    code(
        "nn.functional.rrelu",
        "input lower=0.125 upper=0.3333333333333333 training=false inplace=false",
        |c| match c.flag("training")? {
            true => c.unknown("training"),
            false => Ok("leaky_relu(input, slope = (lower + upper) / 2.0)".to_string()),
        },
    ),
    text("nn.functional.selu", "input inplace=false", "activation.selu(input)"),
    text("nn.functional.silu", "input inplace=false", "silu(input)"),
    text(
        "nn.functional.softplus",
        "input beta=1.0 threshold=20.0",
        "where(input * beta > threshold, input, softplus(beta * input) / beta)",
    ),
    text(
        "nn.functional.softshrink",
        "input lambd=0.5",
        "activation.soft_shrink(input, threshold = lambd)",
    ),
    text("nn.functional.softsign", "input", "activation.softsign(input)"),
    text("nn.functional.tanhshrink", "input", "activation.tanh_shrink(input)"),
    text(
        "nn.functional.threshold",
        "input threshold value inplace=false",
        "activation.threshold(input, threshold, value)",
    ),
];

/// Slopes are one for all, or one for each of the channels, which are axis 1.
fn prelu(c: &mut Call<'_>) -> Result<String, String> {
    let rank = c.rank("input")?;
    let slopes: usize = c.shape("weight")?.iter().product();
    let ones = ", 1".repeat(rank.saturating_sub(2));
    Ok(match slopes {
        1 => "activation.prelu(input, reshape(weight, []))".to_string(),
        n => format!("activation.prelu(input, reshape(weight, [{n}{ones}]))"),
    })
}
