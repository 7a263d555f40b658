//! Normalisation and softmax.

use super::call::{Call, Row, code, text};

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
    text(
        "nn.functional.normalize",
        "input p=2.0 dim=1 eps=1e-12 out=None",
        "distance.normalise(input, p = p, axis = dim, eps = eps)",
    ),
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

/// Along an axis; a scalar has one by courtesy.
fn along(c: &mut Call<'_>, tx: &str) -> Result<String, String> {
    if c.has("dtype") {
        return c.unknown("dtype");
    }
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
    let (centre, variance) = match c.flag("training")? {
        true => {
            let of = c.bind("norm.channel_statistics(input)");
            (format!("{of}.0"), format!("{of}.1"))
        }
        false => ("running_mean".to_string(), "running_var".to_string()),
    };
    let x = c.bind(format!("norm.batch_norm(input, {centre}, {variance}, eps = eps)"));
    affine_channels(c, x)
}

fn instance_norm(c: &mut Call<'_>) -> Result<String, String> {
    let x = match c.flag("use_input_stats")? {
        true => c.bind("norm.instance_norm(input, eps = eps)"),
        false => c.bind("norm.batch_norm(input, running_mean, running_var, eps = eps)"),
    };
    affine_channels(c, x)
}
