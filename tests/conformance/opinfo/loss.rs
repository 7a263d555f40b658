//! Losses, which PyTorch reduces and the library does not.

use super::call::{Arg, Call, Row, code, list};

pub const ROWS: &[Row] = &[
    code("nn.functional.binary_cross_entropy", BINARY, |c| {
        let each = "loss.binary_cross_entropy(input, target)";
        reduced(c, &weighted(c, each))
    }),
    code("nn.functional.binary_cross_entropy_with_logits", BINARY_LOGITS, with_logits),
    code("nn.functional.cosine_embedding_loss", COSINE, |c| {
        // A target only chooses.
        let target = float_of(c, "target")?;
        let each = format!(
            "loss.cosine_embedding(input1, input2, stop_gradient({target}), margin = margin)"
        );
        reduced(c, &each)
    }),
    code("nn.functional.cross_entropy", CROSS_ENTROPY, |c| {
        let scores = classes_last(c, "input")?;
        let shape = c.shape("input")?;
        cross_entropy(c, &scores, shape[usize::from(shape.len() > 1)])
    }),
    code("nn.functional.ctc_loss", CTC, ctc),
    code("nn.functional.linear_cross_entropy", LINEAR_CROSS_ENTROPY, |c| {
        // A weight for each class, each position, and each feature.
        let shape = c.shape("linear_weight")?;
        let order = list((1..shape.len() - 1).chain([0, shape.len() - 1]));
        let rows = c.bind(format!("transpose(linear_weight, {order})"));
        let flat: usize = shape[..shape.len() - 1].iter().product();
        let mut scores = c.bind(format!("input @ transpose(reshape({rows}, [{flat}, -1]))"));
        let lead = c.shape("input")?;
        let wide = lead[..lead.len() - 1].iter().chain(&shape[1..shape.len() - 1]);
        scores = c.bind(format!("reshape({scores}, {})", list(wide.chain(&shape[..1]))));
        if c.has("linear_bias") {
            let order = list((1..shape.len() - 1).chain([0]));
            scores = c.bind(format!("{scores} + transpose(linear_bias, {order})"));
        }
        cross_entropy(c, &scores, shape[0])
    }),
    code("nn.functional.gaussian_nll_loss", GAUSSIAN, gaussian),
    code("nn.functional.hinge_embedding_loss", MARGIN, |c| {
        let target = float_of(c, "target")?;
        // A target only chooses.
        let each = format!("loss.hinge_embedding(input, stop_gradient({target}), margin = margin)");
        reduced(c, &each)
    }),
    code("nn.functional.huber_loss", HUBER, |c| {
        reduced(c, &weighted(c, "loss.huber(input, target, delta = delta)"))
    }),
    code("nn.functional.kl_div", KL, kl),
    code("nn.functional.l1_loss", PAIR, |c| reduced(c, &weighted(c, "abs(input - target)"))),
    code("nn.functional.margin_ranking_loss", RANKING, |c| {
        // All three broadcast.
        let target = float_of(c, "target")?;
        let x = c.bind(format!("input1 + 0.0 * (input2 + {target})"));
        let y = c.bind(format!("input2 + 0.0 * (input1 + {target})"));
        let target = c.bind(format!("{target} + 0.0 * (input1 + input2)"));
        reduced(c, &format!("loss.margin_ranking({x}, {y}, {target}, margin = margin)"))
    }),
    code("nn.functional.mse_loss", PAIR, |c| reduced(c, &weighted(c, "square(input - target)"))),
    code("nn.functional.multi_margin_loss", MULTI_MARGIN, multi_margin),
    code("nn.functional.multilabel_margin_loss", TARGETS, multilabel_margin),
    code("nn.functional.multilabel_soft_margin_loss", WEIGHTED_TARGETS, |c| {
        let target = float_of(c, "target")?;
        let each = format!("loss.binary_cross_entropy_with_logits(input, {target})");
        let each = weighted(c, &each);
        reduced(c, &format!("mean({each}, axis = -1)"))
    }),
    code("nn.functional.nll_loss", NLL, nll),
    code("nn.functional.poisson_nll_loss", POISSON, poisson),
    code("nn.functional.smooth_l1_loss", SMOOTH, |c| {
        reduced(c, "loss.smooth_l1(input, target, beta = beta)")
    }),
    code("nn.functional.soft_margin_loss", TARGETS, |c| {
        let target = float_of(c, "target")?;
        reduced(c, &format!("loss.soft_margin(input, {target})"))
    }),
    code("nn.functional.triplet_margin_loss", TRIPLET, triplet),
    code("nn.functional.triplet_margin_with_distance_loss", TRIPLET_BY, |c| {
        if c.has("distance_function") {
            return c.unknown("distance_function");
        }
        triplet(c)
    }),
];

const BINARY: &str = "input target weight=None size_average=None reduce=None reduction=\"mean\"";
const BINARY_LOGITS: &str =
    "input target weight=None size_average=None reduce=None reduction=\"mean\" pos_weight=None";
const COSINE: &str =
    "input1 input2 target margin=0.0 size_average=None reduce=None reduction=\"mean\"";
const CROSS_ENTROPY: &str = "input target weight=None size_average=None ignore_index=-100 \
    reduce=None reduction=\"mean\" label_smoothing=0.0";
const CTC: &str = "input targets:labels input_lengths:steps target_lengths:lengths blank=0 \
    reduction=\"mean\" zero_infinity=false";
const GAUSSIAN: &str = "input target var:variance full=false eps=1e-6 reduction=\"mean\"";
const HUBER: &str = "input target reduction=\"mean\" delta=1.0 weight=None";
const KL: &str = "input target size_average=None reduce=None reduction=\"mean\" log_target=false";
const LINEAR_CROSS_ENTROPY: &str = "input linear_weight target linear_bias=None weight=None \
    reduction=\"mean\" ignore_index=-100 label_smoothing=0.0";
const MARGIN: &str = "input target margin=1.0 size_average=None reduce=None reduction=\"mean\"";
const MULTI_MARGIN: &str = "input target p=1 margin=1.0 weight=None size_average=None reduce=None \
    reduction=\"mean\"";
const NLL: &str = "input target weight=None size_average=None ignore_index=-100 reduce=None \
    reduction=\"mean\"";
const PAIR: &str = "input target size_average=None reduce=None reduction=\"mean\" weight=None";
const POISSON: &str = "input target log_input=true full=false size_average=None eps=1e-8 \
    reduce=None reduction=\"mean\"";
const RANKING: &str =
    "input1 input2 target margin=0.0 size_average=None reduce=None reduction=\"mean\"";
const SMOOTH: &str = "input target size_average=None reduce=None reduction=\"mean\" beta=1.0";
const TARGETS: &str = "input target size_average=None reduce=None reduction=\"mean\"";
const TRIPLET: &str = "anchor positive negative margin=1.0 p=2.0 eps=1e-6 swap=false \
    size_average=None reduce=None reduction=\"mean\"";
const TRIPLET_BY: &str = "anchor positive negative distance_function=None margin=1.0 swap=false \
    reduction=\"mean\"";
const WEIGHTED_TARGETS: &str =
    "input target weight=None size_average=None reduce=None reduction=\"mean\"";

/// What one value an example becomes.
fn reduced(c: &Call<'_>, each: &str) -> Result<String, String> {
    for old in ["size_average", "reduce"] {
        if c.given(old).is_some() && c.has(old) {
            return c.unknown(old);
        }
    }
    Ok(match c.word("reduction")? {
        "none" => each.to_string(),
        "mean" => format!("mean({each})"),
        "sum" => format!("sum({each})"),
        _ => return c.unknown("reduction"),
    })
}

/// Times `weight`, where it is given.
fn weighted(c: &Call<'_>, each: &str) -> String {
    if c.has("weight") { format!("{each} * weight") } else { each.to_string() }
}

/// A tensor as one of floats.
fn float_of(c: &mut Call<'_>, name: &str) -> Result<String, String> {
    Ok(match c.tensor(name)?.dtype().is_float() {
        true => name.to_string(),
        false => c.bind(format!("{}({name})", c.dtype)),
    })
}

fn with_logits(c: &mut Call<'_>) -> Result<String, String> {
    let each = match c.has("pos_weight") {
        true => "(1.0 - target) * input + (1.0 + (pos_weight - 1.0) * target) * softplus(-input)",
        false => "loss.binary_cross_entropy_with_logits(input, target)",
    };
    let each = c.bind(each);
    reduced(c, &weighted(c, &each))
}

/// A tensor with its classes, which are axis 1 (the only one of one example), moved to the end.
fn classes_last(c: &mut Call<'_>, name: &str) -> Result<String, String> {
    let rank = c.rank(name)?;
    if rank < 3 {
        return Ok(name.to_string());
    }
    let perm = (0..rank).filter(|&a| a != 1).chain([1]);
    Ok(c.bind(format!("transpose({name}, {})", list(perm))))
}

fn nll(c: &mut Call<'_>) -> Result<String, String> {
    let log_p = classes_last(c, "input")?;
    let each =
        c.bind(format!("loss.nll({log_p}, loss.without_ignored(target, ignore = ignore_index))"));
    let shape = c.shape("input")?;
    let weights = label_weights(c, shape[usize::from(shape.len() > 1)]);
    by_weight(c, &each, &weights)
}

/// The weight of each label.
fn label_weights(c: &mut Call<'_>, classes: usize) -> String {
    let weight = match c.has("weight") {
        true => "weight".to_string(),
        false => format!("ones([{classes}], dtype = {})", c.dtype),
    };
    c.bind(format!("loss.class_weights(target, {weight}, ignore = ignore_index)"))
}

/// Means are weighted.
fn by_weight(c: &Call<'_>, each: &str, weights: &str) -> Result<String, String> {
    match c.word("reduction")? {
        "mean" => Ok(format!("sum({each} * {weights}) / sum({weights})")),
        _ => reduced(c, &format!("{each} * {weights}")),
    }
}

/// Of scores whose last axis are the classes.
fn cross_entropy(c: &mut Call<'_>, scores: &str, classes: usize) -> Result<String, String> {
    let log_p = c.bind(format!("log_softmax({scores}, axis = -1)"));
    let smoothing = c.float("label_smoothing")?;
    let weigh = if c.has("weight") { " * weight" } else { "" };
    if c.tensor("target")?.dtype().is_float() {
        let target = classes_last(c, "target")?;
        let target = c.bind(format!("loss.smooth_labels({target}, {smoothing:?})"));
        let each = c.bind(format!("-sum({log_p} * {target}{weigh}, axis = -1)"));
        return reduced(c, &each);
    }
    let right =
        c.bind(format!("loss.nll({log_p}, loss.without_ignored(target, ignore = ignore_index))"));
    let weights = label_weights(c, classes);
    if smoothing == 0.0 {
        return by_weight(c, &right, &weights);
    }
    // The part for all classes has the classes' weights; both leave out what is ignored.
    let all =
        c.bind(format!("where(target != ignore_index, -sum({log_p}{weigh}, axis = -1), 0.0)"));
    let each = c.bind(format!(
        "{:?} * {right} * {weights} + {:?} * {all}",
        1.0 - smoothing,
        smoothing / classes as f64
    ));
    match c.word("reduction")? {
        "mean" => Ok(format!("sum({each}) / sum({weights})")),
        _ => reduced(c, &each),
    }
}

/// Labels are a row for each example, or one row for all, with as many as each example has in turn.
fn ctc(c: &mut Call<'_>) -> Result<String, String> {
    let lengths: Vec<usize> = match c.arg("lengths") {
        Arg::Tensor(_) => c.tensor("lengths")?.to_f64_vec().iter().map(|&n| n as usize).collect(),
        _ => c.ints("lengths")?.iter().map(|&n| n as usize).collect(),
    };
    let most = lengths.iter().copied().max().unwrap_or(0);
    let labels = match c.rank("labels")? {
        2 => c.bind(format!("i64(labels)[:, :{most}]")),
        _ => {
            let mut at = 0;
            let mut rows = Vec::new();
            for n in &lengths {
                rows.push(format!("pad(i64(labels[{at}:{}]), [0], [{}])", at + n, most - n));
                at += n;
            }
            c.bind(format!("stack([{}])", rows.join(", ")))
        }
    };
    let [steps, counts] = ["steps", "lengths"].map(|name| c.bind(format!("i64({name})")));
    let blank = c.int("blank")?;
    let each = c.bind(format!("loss.ctc(input, {labels}, {steps}, {counts}, blank = {blank})"));
    let each = match c.flag("zero_infinity")? {
        true => c.bind(format!("where({each} == inf, 0.0, {each})")),
        false => each,
    };
    // A mean is of what one label costs.
    match c.word("reduction")? {
        "mean" => Ok(format!("mean({each} / {}(max({counts}, 1)))", c.dtype)),
        _ => reduced(c, &each),
    }
}

fn gaussian(c: &mut Call<'_>) -> Result<String, String> {
    // A variance may lack the last axis, or be one number.
    let (x, var) = (c.rank("input")?, c.arg("variance").clone());
    let var = match var {
        Arg::Tensor(_) if c.rank("variance")? + 1 == x => c.bind("variance[..., None]"),
        _ => "variance".to_string(),
    };
    let var = c.bind(format!("{var} + 0.0 * (input + target)"));
    let mean = c.bind("input + 0.0 * target");
    let target = c.bind("target + 0.0 * input");
    let each = format!("loss.gaussian_nll({mean}, {target}, {var}, eps = eps)");
    let each = match c.flag("full")? {
        true => format!("({each} + 0.5 * log(2.0 * pi))"),
        false => each,
    };
    reduced(c, &each)
}

fn kl(c: &mut Call<'_>) -> Result<String, String> {
    let each = match c.flag("log_target")? {
        true => "exp(target) * (target - input)",
        false => "loss.kl_of_logs(input, target)",
    };
    match c.word("reduction")? {
        "batchmean" => Ok(format!("sum({each}) / {:?}", c.shape("input")?[0] as f64)),
        _ => reduced(c, each),
    }
}

fn multi_margin(c: &mut Call<'_>) -> Result<String, String> {
    let row = c.rank("input")? < 2;
    let scores = if row { c.bind("reshape(input, [1, -1])") } else { "input".to_string() };
    let labels = match c.rank("target")? {
        0 => c.bind("target[None]"),
        _ => "target".to_string(),
    };
    let each = format!("loss.multi_margin({scores}, {labels}, p = p, margin = margin)");
    let each = match c.has("weight") {
        true => format!("{each} * loss.class_weights({labels}, weight)"),
        false => each,
    };
    reduced(c, &if row { format!("({each})[0]") } else { each })
}

fn multilabel_margin(c: &mut Call<'_>) -> Result<String, String> {
    let shape = c.shape("input")?;
    let classes = shape.last().copied().unwrap_or(1);
    let [scores, target] = ["input", "target"].map(|name| match shape.len() {
        0 => c.bind(format!("{name}[None]")),
        _ => name.to_string(),
    });
    // A row of targets ends at its first negative one; those that occur twice count twice.
    let ended = c.bind(format!("i64({target} < 0)"));
    let before = c.bind(format!("arange({classes})[None, :] <= arange({classes})[:, None]"));
    let open = c.bind(format!("sum(where({before}, {ended}[..., None, :], 0), axis = -1) == 0"));
    let hot = c.bind(format!("one_hot(max({target}, 0), {classes}, dtype = bool)"));
    let hot = c.bind(format!("{hot} & {open}[..., None]"));
    let absent = c.bind(format!("!any({hot}, axis = -2)"));
    let right = c.bind(format!("sum(where({hot}, {scores}[..., None, :], 0.0), axis = -1)"));
    let near = c.bind(format!("max(1.0 - {right}[..., :, None] + {scores}[..., None, :], 0.0)"));
    let counts = c.bind(format!("{open}[..., :, None] & {absent}[..., None, :]"));
    reduced(c, &format!("(sum(where({counts}, {near}, 0.0), axis = [-2, -1]) / {classes}.0)"))
}

fn poisson(c: &mut Call<'_>) -> Result<String, String> {
    let target = float_of(c, "target")?;
    let each = match c.flag("log_input")? {
        true => format!("loss.poisson_with_logs(input, {target})"),
        false => format!("loss.poisson(input, {target}, eps = eps)"),
    };
    match c.flag("full")? {
        true => reduced(c, &format!("({each} + loss.stirling({target}))")),
        false => reduced(c, &each),
    }
}

fn triplet(c: &mut Call<'_>) -> Result<String, String> {
    let power = match c.given("p") {
        Some(_) => ", p = p, eps = eps",
        None => "",
    };
    // They broadcast.
    let all = |x: &str, y: &str, z: &str| format!("{x} + 0.0 * ({y} + {z})");
    let a = c.bind(all("anchor", "positive", "negative"));
    let p = c.bind(all("positive", "anchor", "negative"));
    let n = c.bind(all("negative", "anchor", "positive"));
    let each = format!("loss.triplet_margin({a}, {p}, {n}, margin = margin, swap = swap{power})");
    reduced(c, &each)
}
