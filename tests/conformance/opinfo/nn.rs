//! Distances, attention, tables of vectors and the like.

use super::call::{Call, Row, code};

pub const ROWS: &[Row] = &[
    code("nn.functional.bilinear", "input1 input2 weight bias=None", bilinear),
    code("cdist", "x1 x2 p=2.0 compute_mode=None", |c| {
        let parts = [("x1".to_string(), c.shape("x1")?), ("x2".to_string(), c.shape("x2")?)];
        let parts = together(c, &parts);
        Ok(format!("distance.all_distances({}, {}, p = p)", parts[0], parts[1]))
    }),
    code("pdist", "input p=2.0", pdist),
    code("nn.functional.pdist", "input p=2.0", pdist),
    code("nn.functional.cosine_similarity", "x1 x2 dim=1 eps=1e-8", |c| {
        let (x, y) = broadcast(c, "x1", "x2");
        let scalars = c.rank("x1")?.max(c.rank("x2")?) == 0;
        let [x, y] = match scalars {
            true => [x, y].map(|x| format!("{x}[None]")),
            false => [x, y],
        };
        Ok(format!("distance.cosine_similarity({x}, {y}, axis = dim, eps = eps)"))
    }),
    code("nn.functional.embedding", EMBEDDING, embedding),
    code("nn.functional.embedding_bag", BAG, embedding_bag),
    code("nn.functional.linear", "input weight bias=None", |c| {
        let x = "input @ transpose(weight)";
        let plain = if c.rank("weight")? == 1 { "input @ weight" } else { x };
        Ok(if c.has("bias") { format!("{plain} + bias") } else { plain.to_string() })
    }),
    code("nn.functional.pairwise_distance", "x1 x2 p=2.0 eps=1e-6 keepdim=false", |c| {
        let (x, y) = broadcast(c, "x1", "x2");
        Ok(format!("distance.pairwise_distance({x}, {y}, p = p, eps = eps, keep = keepdim)"))
    }),
    code("nn.functional.scaled_dot_product_attention", ATTENTION, attention),
    code("torch.ops.aten._scaled_dot_product_flash_attention_for_cpu", FLASH, |c| {
        // The logarithms of what the weights were divided by, too.
        let y = attention(c)?;
        let scores = c.bind("attention.attention_scores(query, key)");
        let scores = match (c.has("attn_mask"), c.flag("is_causal")?) {
            (true, _) => format!("{scores} + attn_mask"),
            (false, false) => scores,
            (false, true) => {
                let [q, k] = ["query", "key"].map(|name| c.shape(name).map(|s| s[s.len() - 2]));
                let kept = format!("arange({})[:, None] >= arange({})", q?, k?);
                format!("where({kept}, {scores}, -inf)")
            }
        };
        match c.has("scale") {
            true => c.unknown("scale"),
            false => Ok(format!("({y}, logsumexp({scores}, axis = -1))")),
        }
    }),
];

const EMBEDDING: &str = "input:indices weight padding_idx=None max_norm=None norm_type=2.0 \
    scale_grad_by_freq=false sparse=false";

const BAG: &str = "input:indices weight offsets=None max_norm=None norm_type=2.0 \
    scale_grad_by_freq=false mode=\"mean\" sparse=false per_sample_weights:factors=None \
    include_last_offset:closed=false padding_idx=None";

const ATTENTION: &str = "query key value attn_mask=None dropout_p=0.0 is_causal=false scale=None \
    enable_gqa=false";

const FLASH: &str =
    "query key value dropout_p=0.0 is_causal=false attn_mask=None scale=None enable_gqa=false";

/// Two tensors stretched to one shape.
fn broadcast(c: &mut Call<'_>, x: &str, y: &str) -> (String, String) {
    (c.bind(format!("{x} + 0.0 * {y}")), c.bind(format!("{y} + 0.0 * {x}")))
}

/// Tensors whose axes before the last two broadcast, broadcast.
fn together(c: &mut Call<'_>, parts: &[(String, Vec<usize>)]) -> Vec<String> {
    let rank = parts.iter().map(|(_, shape)| shape.len()).max().unwrap_or(0);
    let size = |shape: &[usize], axis: usize| {
        (shape.len() + axis).checked_sub(rank).map_or(1, |at| shape[at])
    };
    let common = |axis: usize| {
        let mut sizes = parts.iter().map(|(_, shape)| size(shape, axis));
        sizes.find(|&n| n != 1).unwrap_or(1)
    };
    let lead: Vec<usize> = (0..rank - 2).map(common).collect();
    let stretched = |(name, shape): &(String, Vec<usize>)| {
        let whole = [&lead, &shape[shape.len() - 2..]].concat();
        match *shape == whole {
            true => name.clone(),
            false => c.bind(format!("broadcast_to({name}, {})", super::call::list(whole))),
        }
    };
    parts.iter().map(stretched).collect()
}

fn bilinear(c: &mut Call<'_>) -> Result<String, String> {
    // Each output is a product of a row, a matrix and a column.
    let rows = c.bind("(input1[..., None, None, :] @ weight)[..., 0, :]");
    let y = format!("sum({rows} * input2[..., None, :], axis = -1)");
    Ok(if c.has("bias") { format!("{y} + bias") } else { y })
}

/// The distances of all pairs of rows, each once, in order.
fn pdist(c: &mut Call<'_>) -> Result<String, String> {
    let n = c.shape("input")?[0];
    let all = |f: &dyn Fn(usize, usize) -> usize| {
        super::call::list(
            (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j))).map(|(i, j)| f(i, j)),
        )
    };
    let (first, second) = (all(&|i, _| i), all(&|_, j| j));
    if n < 2 {
        return Ok(format!("zeros([0], {}) * sum(input)", c.dtype));
    }
    Ok(format!("distance.p_norm(take(input, {first}) - take(input, {second}), p = p, axis = 1)"))
}

/// The samples call it with the table first.
fn embedding(c: &mut Call<'_>) -> Result<String, String> {
    for plain in ["scale_grad_by_freq", "sparse"] {
        if c.flag(plain)? {
            return c.unknown(plain);
        }
    }
    if c.has("max_norm") {
        return c.unknown("max_norm");
    }
    let (table, indices) = match c.tensor("indices")?.dtype().is_float() {
        true => ("indices", "weight"),
        false => ("weight", "indices"),
    };
    if !c.has("padding_idx") {
        return Ok(format!("take({table}, {indices})"));
    }
    // The row of padding is not trained.
    let rows = c.shape(table)?[0] as i64;
    let padding = c.int("padding_idx")?.rem_euclid(rows);
    let x = c.bind(format!("take({table}, {indices})"));
    Ok(format!("where(({indices} == {padding})[..., None], stop_gradient({x}), {x})"))
}

/// Bags are rows of indices, or what stands between offsets in one row; an empty one gives zeros.
fn embedding_bag(c: &mut Call<'_>) -> Result<String, String> {
    for plain in ["scale_grad_by_freq", "sparse"] {
        if c.flag(plain)? {
            return c.unknown(plain);
        }
    }
    if c.has("max_norm") {
        return c.unknown("max_norm");
    }
    let reduce = match c.word("mode")? {
        mode @ ("sum" | "mean" | "max") => mode.to_string(),
        _ => return c.unknown("mode"),
    };
    let (table, indices) = match c.tensor("indices")?.dtype().is_float() {
        true => ("indices", "weight"),
        false => ("weight", "indices"),
    };
    let rows = c.bind(format!("take({table}, {indices})"));
    let rows = match c.has("factors") {
        true => c.bind(format!("{rows} * factors[..., None]")),
        false => rows,
    };
    let shape = c.shape(indices)?;
    // What is padding does not count.
    let counts = match c.has("padding_idx") {
        true => {
            let padding = c.int("padding_idx")?.rem_euclid(c.shape(table)?[0] as i64);
            Some(c.bind(format!("({indices} != {padding})[..., None]")))
        }
        false => None,
    };
    let bag = |rows: &str, counts: &Option<String>, part: &str, axis: usize, len: usize| {
        let rows = format!("{rows}{part}");
        let Some(counts) = counts.as_ref().map(|counts| format!("{counts}{part}")) else {
            let function = if len == 0 { "sum" } else { reduce.as_str() };
            return format!("{function}({rows}, axis = {axis})");
        };
        let sum = format!("sum(where({counts}, {rows}, 0.0), axis = {axis})");
        let number = format!("sum(where({counts}, ones_like({rows}), 0.0), axis = {axis})");
        match reduce.as_str() {
            "sum" => sum,
            "mean" => format!("{sum} / max({number}, 1.0)"),
            _ if len == 0 => sum,
            _ => format!(
                "where({number} > 0.0, max(where({counts}, {rows}, -inf), axis = {axis}), 0.0)"
            ),
        }
    };
    if shape.len() == 2 {
        return Ok(bag(&rows, &counts, "", 1, shape[1]));
    }
    let starts = c.tensor("offsets")?.to_f64_vec();
    let mut ends: Vec<usize> = starts.iter().map(|&at| at as usize).collect();
    if !c.flag("closed")? {
        ends.push(shape[0]);
    }
    let part = |pair: &[usize]| {
        let len = pair[1].saturating_sub(pair[0]);
        bag(&rows, &counts, &format!("[{}:{}]", pair[0], pair[0] + len), 0, len)
    };
    let bags: Vec<String> = ends.windows(2).map(part).collect();
    Ok(format!("stack([{}])", bags.join(", ")))
}

fn attention(c: &mut Call<'_>) -> Result<String, String> {
    if c.float("dropout_p")? != 0.0 {
        return c.unknown("dropout_p");
    }
    let mut parts = Vec::new();
    for name in ["query", "key", "value"] {
        parts.push((name.to_string(), c.shape(name)?));
    }
    if c.flag("enable_gqa")? {
        // Grouped queries share the heads of keys and values.
        let heads = |shape: &[usize]| shape[shape.len() - 3];
        let all = heads(&parts[0].1);
        for (name, shape) in &mut parts[1..] {
            let times = all / heads(shape).max(1);
            if times != 1 {
                *name = c.bind(format!("repeat({name}, {times}, axis = -3)"));
                let at = shape.len() - 3;
                shape[at] = all;
            }
        }
    }
    let parts = together(c, &parts);
    let [query, key, value] = &parts[..] else { unreachable!("three go in") };
    // The library scales by the width: what is asked for beyond that goes into the queries.
    let query = match c.has("scale") {
        true => {
            let width = c.shape("query")?.last().copied().unwrap_or(1) as f64;
            c.bind(format!("{query} * (scale * {:?})", width.sqrt()))
        }
        false => query.clone(),
    };
    Ok(match (c.has("attn_mask"), c.flag("is_causal")?) {
        (false, causal) => {
            format!("attention.attention({query}, {key}, {value}, causal = {causal})")
        }
        (true, true) => return c.unknown("is_causal"),
        (true, false) => {
            let name = match c.tensor("attn_mask")?.dtype().is_float() {
                true => "biased_attention",
                false => "masked_attention",
            };
            format!("attention.{name}({query}, {key}, {value}, attn_mask)")
        }
    })
}
