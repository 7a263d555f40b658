//! Normalisation and softmax.

use super::call::{Call, Row, code, text};
use super::shape::tuple;

pub const ROWS: &[Row] = &[
    code("log_softmax", "input dim dtype=None", |c| along(c, "log_softmax(input, axis = dim)")),
    code("softmax", "input dim dtype=None", |c| along(c, "softmax(input, axis = dim)")),
    code("nn.functional.softmin", "input dim dtype=None", |c| {
        along(c, "activation.softmin(input, axis = dim)")
    }),
    code(
        "nn.functional.batch_norm",
        "input running_mean running_var weight=None bias=None training=false momentum=0.1 eps=1e-5",
        batch_norm,
    ),
    code("nn.functional.alpha_dropout", DROPOUT, dropout),
    code("nn.functional.dropout", DROPOUT, dropout),
    code("nn.functional.dropout1d", DROPOUT, dropout),
    code("nn.functional.dropout2d", DROPOUT, dropout),
    code("nn.functional.dropout3d", DROPOUT, dropout),
    code("nn.functional.feature_alpha_dropout", DROPOUT, dropout),
    text("native_dropout_backward", "input mask scale", "where(mask, input * scale, 0.0 * input)"),
    code("nn.functional.group_norm", "input num_groups weight=None bias=None eps=1e-5", |c| {
        let x = c.bind("norm.group_norm(input, num_groups, eps = eps)");
        affine_channels(c, x)
    }),
    code(
        "nn.functional.instance_norm",
        "input running_mean=None running_var=None weight=None bias=None use_input_stats=true \
         momentum=0.1 eps=1e-5",
        instance_norm,
    ),
    code("nn.functional.layer_norm", "input shape weight=None bias=None eps=1e-5", |c| {
        let axes = last_axes(c)?;
        let x = c.bind(format!("norm.standardise(input, axis = {axes}, eps = eps)"));
        Ok(affine(c, x))
    }),
    text(
        "nn.functional.local_response_norm",
        "input size:width alpha=1e-4 beta=0.75 k=1.0",
        "norm.local_response_norm(input, width, alpha = alpha, beta = beta, k = k)",
    ),
    code("nn.functional.normalize", "input p=2.0 dim=1 eps=1e-12 out=None", |c| {
        along(c, "distance.normalise(input, p = p, axis = dim, eps = eps)")
    }),
    code("native_batch_norm", BATCH, |c| tuple(with_statistics(c)?)),
    code("_native_batch_norm_legit", BATCH, |c| tuple(with_statistics(c)?)),
    code("_batch_norm_with_update", UPDATE, |c| {
        // What a device keeps for the way back is nothing here.
        let kept = "zeros([0], u8)".to_string();
        tuple(with_statistics(c)?.into_iter().chain([kept]).collect())
    }),
    code("native_layer_norm", "input shape weight bias eps", |c| {
        let axes = last_axes(c)?;
        let x = c.bind(format!("norm.standardise(input, axis = {axes}, eps = eps)"));
        let y = affine(c, x);
        let mean = c.bind(format!("mean(input, axis = {axes}, keep = true)"));
        let spread = format!("variance(input, axis = {axes}, keep = true)");
        Ok(format!("({y}, {mean}, rsqrt({spread} + eps))"))
    }),
    code("native_group_norm", "input weight bias n channels positions groups eps", |c| {
        let x = c.bind("norm.group_norm(input, groups, eps = eps)");
        let y = affine_channels(c, x)?;
        let each = c.int("channels")? * c.int("positions")? / c.int("groups")?;
        let rows = c.bind(format!("reshape(input, [n, groups, {each}])"));
        Ok(format!("({y}, mean({rows}, axis = -1), rsqrt(variance({rows}, axis = -1) + eps))"))
    }),
    code("_softmax_backward_data", "input output dim dtype=None", |c| {
        let inner = "sum(input * output, axis = dim, keep = true)";
        along(c, &format!("(input - {inner}) * output"))
    }),
    code("torch.ops.aten._safe_softmax.default", "input dim dtype=None", |c| {
        let none = "max(input, axis = dim, keep = true) == -inf";
        along(c, &format!("where({none}, 0.0, softmax(where({none}, 0.0, input), axis = dim))"))
    }),
    code("nn.functional.rms_norm", "input shape weight=None eps=None", |c| {
        let axes = last_axes(c)?;
        let eps = match (c.has("eps"), c.dtype) {
            (true, _) => "eps".to_string(),
            (false, tensc::DType::F64) => format!("{:?}", f64::EPSILON),
            (false, _) => format!("{:?}", f32::EPSILON),
        };
        let x = c.bind(format!("norm.rms_norm(input, axis = {axes}, eps = {eps})"));
        Ok(affine(c, x))
    }),
];

const BATCH: &str = "input weight bias running_mean running_var training momentum eps";
const UPDATE: &str = "input weight bias running_mean running_var momentum eps";
const DROPOUT: &str = "input p=0.5 training=true inplace=false";

/// Where nothing is drawn: all stays, or nothing does.
fn dropout(c: &mut Call<'_>) -> Result<String, String> {
    match (c.flag("training")?, c.float("p")?) {
        (false, _) | (true, 0.0) => Ok("input".to_string()),
        (true, 1.0) => Ok("0.0 * input".to_string()),
        _ => c.unknown("p"),
    }
}

/// Along an axis; a scalar has one by courtesy.
fn along(c: &mut Call<'_>, tx: &str) -> Result<String, String> {
    c.same_type()?;
    Ok(match c.rank("input")? {
        0 => {
            c.bind("reshape(input, [1])");
            format!("reshape({}, [])", tx.replace("input", "t0"))
        }
        _ => tx.to_string(),
    })
}

/// The axes of `shape`, which are the last ones.
fn last_axes(c: &Call<'_>) -> Result<String, String> {
    let (rank, count) = (c.rank("input")?, c.ints("shape")?.len());
    Ok(super::call::list(rank - count..rank))
}

/// Times `weight` plus `bias`, where they are given and shaped as the last axes are.
fn affine(c: &Call<'_>, x: String) -> String {
    let weight = if c.has("weight") { format!("{x} * weight") } else { x };
    match c.given("bias") {
        Some(_) if c.has("bias") => format!("{weight} + bias"),
        _ => weight,
    }
}

/// The same with one weight a channel.
fn affine_channels(c: &Call<'_>, x: String) -> Result<String, String> {
    let rank = c.rank("input")?;
    let weight = match c.has("weight") {
        true => format!("{x} * norm.per_channel(weight, {rank})"),
        false => x,
    };
    Ok(match c.has("bias") {
        true => format!("{weight} + norm.per_channel(bias, {rank})"),
        false => weight,
    })
}

fn batch_norm(c: &mut Call<'_>) -> Result<String, String> {
    match c.shape("input")?[..] {
        [0] => return Ok("input".to_string()),
        [] | [_] => return c.unknown("input"),
        _ => {}
    }
    let (centre, variance) = match trains(c)? {
        true => {
            let of = c.bind("norm.channel_statistics(input)");
            (format!("{of}.0"), format!("{of}.1"))
        }
        false => ("running_mean".to_string(), "running_var".to_string()),
    };
    let x = c.bind(format!("norm.batch_norm(input, {centre}, {variance}, eps = eps)"));
    affine_channels(c, x)
}

/// With the mean of the batch and one over its deviation.
fn with_statistics(c: &mut Call<'_>) -> Result<Vec<String>, String> {
    let y = batch_norm(c)?;
    let y = c.bind(y);
    let none = format!("zeros([0], {})", c.dtype);
    Ok(match trains(c)? {
        // What the statistics are is bound first.
        true => vec![y, "t0.0".to_string(), "rsqrt(t0.1 + eps)".to_string()],
        false => vec![y, none.clone(), none],
    })
}

/// Whether the batch's own statistics count: always, where nothing says so.
fn trains(c: &Call<'_>) -> Result<bool, String> {
    if c.given("training").is_some() { c.flag("training") } else { Ok(true) }
}

fn instance_norm(c: &mut Call<'_>) -> Result<String, String> {
    let x = match c.flag("use_input_stats")? {
        true => c.bind("norm.instance_norm(input, eps = eps)"),
        false => c.bind("norm.batch_norm(input, running_mean, running_var, eps = eps)"),
    };
    affine_channels(c, x)
}
