//! Elements combined at computed places, and other reductions that are not one operation.

use super::call::{Arg, Call, Row, code, list};
use super::reduce::{self, scalar_again, with_axis};
use super::shape::{at_axis, tuple};

pub const ROWS: &[Row] = &[
    code("dist", "input other p=2", |c| {
        let p = c.float("p")?;
        let apart = c.bind("input - other");
        Ok(reduce::p_norm(&apart, p, "()", "false"))
    }),
    code("gradient", "input spacing=None dim=None edge_order=1", gradient),
    code("histc", "input bins=100 min:low=0 max:high=0", |c| {
        let (low, high, bins) = (c.float("low")?, c.float("high")?, c.int("bins")?);
        if low == high {
            let edges = super::special::even_edges(c, bins, 1.0)?;
            return Ok(format!("stats.weights_between(input, ones_like(input), {edges})"));
        }
        Ok(format!("{}(stats.histogram(input, {bins}, {low:?}, {high:?}))", c.dtype))
    }),
    code("index_put", "input indices values accumulate=false", |c| {
        let mut names = Vec::new();
        for (name, tensor) in c.tensors("indices")? {
            names.push(match tensor.dtype() {
                tensc::DType::Bool => {
                    super::counted::of_mask(c, &name).ok_or("a mask over several axes")?
                }
                _ => name,
            });
        }
        let shape = c.shape("input")?;
        let k = names.len();
        // The indexed axes as one.
        let mut at = names[0].clone();
        for (a, name) in names.iter().enumerate().skip(1) {
            at = c.bind(format!("{at} * {} + {name}", shape[a]));
        }
        let at = c.bind(format!("flatten(i64({at}))"));
        let rows: usize = shape[..k].iter().product();
        let rest = shape[k..].to_vec();
        let wide = list([rows].iter().chain(&rest));
        let x = c.bind(format!("reshape(input, {wide})"));
        let y = c.bind(format!(
            "broadcast_to(values, [size({at}){}])",
            rest.iter().map(|n| format!(", {n}")).collect::<String>()
        ));
        let done = put(c, &x, &at, &y, c.flag("accumulate")?, rest.len());
        Ok(format!("reshape({done}, {})", list(shape)))
    }),
    code("put", "input index source accumulate=false", |c| {
        let (shape, accumulate) = (c.shape("input")?, c.flag("accumulate")?);
        let at = c.bind("flatten(i64(index))");
        let x = c.bind("flatten(input)");
        let done = put(c, &x, &at, "flatten(source)", accumulate, 0);
        Ok(format!("reshape({done}, {})", list(shape)))
    }),
    code("index_reduce", "input dim index source reduce include_self=true", |c| {
        let (x, axis) = with_axis(c, "dim")?;
        let hot = c.bind(format!("one_hot(reshape(index, [-1]), size({x}, {axis}), dtype = bool)"));
        let source = match c.rank("source")? {
            0 => c.bind("reshape(source, [1])"),
            _ => "source".to_string(),
        };
        let y = c.bind(format!("swap_axes({source}, {axis}, -1)"));
        let x = c.bind(format!("swap_axes({x}, {axis}, -1)"));
        let done = reduced(c, &x, &y, &hot)?;
        let done = c.bind(format!("swap_axes({done}, {axis}, -1)"));
        scalar_again(c, &done)
    }),
    code("scatter_reduce", "input dim index source reduce include_self=true", |c| {
        let (x, axis) = with_axis(c, "dim")?;
        let (shape, of) = (c.shape("input")?, c.shape("index")?);
        if of.iter().product::<usize>() == 0 {
            return Ok("input".to_string());
        }
        let [index, source] = ["index", "source"].map(|name| match of.len() {
            0 => c.bind(format!("reshape({name}, [1])")),
            _ => {
                let ranges: Vec<String> = of.iter().map(|n| format!(":{n}")).collect();
                c.bind(format!("{name}[{}]", ranges.join(", ")))
            }
        });
        let n = shape.get(axis).copied().unwrap_or(1);
        let hot =
            c.bind(format!("one_hot(swap_axes(i64({index}), {axis}, -1), {n}, dtype = bool)"));
        let y = c.bind(format!("swap_axes({source}, {axis}, -1)"));
        // What the index does not reach along the other axes stays.
        let part = |a: usize| if a == axis { n } else { of.get(a).copied().unwrap_or(1) };
        let whole = (0..shape.len()).all(|a| part(a) == shape[a]);
        let ranges: Vec<String> =
            (0..shape.len().max(1)).map(|a| format!(":{}", part(a))).collect();
        let reached = c.bind(format!("swap_axes({x}[{}], {axis}, -1)", ranges.join(", ")));
        let done = reduced(c, &reached, &y, &hot)?;
        let done = c.bind(format!("swap_axes({done}, {axis}, -1)"));
        if whole {
            return scalar_again(c, &done);
        }
        let zeros = list(vec![0; shape.len()]);
        let high = list((0..shape.len()).map(|a| shape[a] - part(a)));
        let inside = list((0..shape.len()).map(part));
        let hits = format!("pad(full({inside}, true), {zeros}, {high}, value = false)");
        Ok(format!("where({hits}, pad({done}, {zeros}, {high}), input)"))
    }),
    code("_segment_reduce", SEGMENTS, segments),
    code("_unsafe_masked_index", "input mask indices fill", |c| {
        // What the mask leaves out may lie anywhere.
        let shape = c.shape("input")?;
        let at = |(n, (name, _)): (&usize, (String, _))| format!("clip({name}, -{n}, {n} - 1)");
        let at: Vec<String> = shape.iter().zip(c.tensors("indices")?).map(at).collect();
        Ok(format!("where(mask, input[{}], fill)", at.join(", ")))
    }),
    code("_unsafe_masked_index_put_accumulate", "input mask indices values", |c| {
        let shape = c.shape("input")?;
        let mut at = "0".to_string();
        for (n, (name, _)) in shape.iter().zip(c.tensors("indices")?) {
            at = c.bind(format!("{at} * {n} + clip({name}, 0, {n} - 1)"));
        }
        let rows = "flatten(where(mask, values, 0.0))";
        Ok(format!("reshape(scatter_add(flatten(input), flatten({at}), {rows}), {})", list(shape)))
    }),
    code("masked_scatter", "input mask source", |c| {
        let (a, b) = (c.shape("input")?, c.shape("mask")?);
        let rank = a.len().max(b.len());
        let of = |shape: &[usize], axis: usize| {
            (shape.len() + axis).checked_sub(rank).map_or(1, |at| shape[at])
        };
        let shape = list((0..rank).map(|axis| of(&a, axis).max(of(&b, axis))));
        let mask = c.bind(format!("broadcast_to(mask, {shape})"));
        let at = c.bind(format!("max(cumsum(i64(flatten({mask}))) - 1, 0)"));
        let moved = format!("reshape(take(flatten(source), {at}), {shape})");
        Ok(format!("where({mask}, {moved}, broadcast_to(input, {shape}))"))
    }),
    code("mode", "input dim=-1 keepdim=false", mode),
    code("nanmedian", "input dim=None keepdim=false", |c| {
        if !c.has("dim") {
            let x = c.bind("flatten(input)");
            let (value, _) = reduce::middle(c, &x, 0);
            return Ok(format!("{value}[0]"));
        }
        let (x, axis) = with_axis(c, "dim")?;
        let (value, place) = reduce::middle(c, &x, axis);
        let keep = c.flag("keepdim")? && c.rank("input")? > 0;
        let shown = |t: &str| match keep {
            true => t.to_string(),
            false => format!("squeeze({t}, axis = {axis})"),
        };
        Ok(format!("({}, {})", shown(&value), shown(&place)))
    }),
    code("renorm", "input p dim maxnorm", |c| {
        let rank = c.rank("input")?;
        let axis = c.axis("dim", rank)?;
        let (p, others) = (c.float("p")?, list((0..rank).filter(|&a| a != axis)));
        let norm = c.bind(reduce::p_norm("input", p, &others, "true"));
        Ok(format!("input * where({norm} > maxnorm, maxnorm / ({norm} + 1e-7), 1.0)"))
    }),
    code("nn.functional.max_unpool1d", UNPOOL, |c| unpooled(c, 1)),
    code("nn.functional.max_unpool2d", UNPOOL, |c| unpooled(c, 2)),
    code("nn.functional.max_unpool3d", UNPOOL, |c| unpooled(c, 3)),
    code("unravel_index", "input shape", |c| {
        let sizes = c.ints("shape")?;
        let part = |a: usize| {
            let below: i64 = sizes[a + 1..].iter().product();
            format!("input / {below} % {}", sizes[a])
        };
        tuple((0..sizes.len()).map(part).collect())
    }),
];

const SEGMENTS: &str = "input reduce lengths=None indices=None offsets=None axis=0 unsafe=false \
    initial=None";
const UNPOOL: &str =
    "input indices kernel_size:window stride=None padding=0 output_size:shape=None";

/// Rows put, or added, at places along axis 0.
fn put(c: &mut Call<'_>, x: &str, at: &str, rows: &str, add: bool, axes: usize) -> String {
    if add {
        return c.bind(format!("scatter_add({x}, {at}, {rows})"));
    }
    let counts = format!("scatter_add(zeros([size({x}, 0)], i64), {at}, ones_like({at})) > 0");
    let counts = c.bind(counts);
    let wide = ", None".repeat(axes);
    let moved = c.bind(format!("scatter_add(zeros_like({x}), {at}, {rows})"));
    c.bind(format!("where({counts}[:{wide}], {moved}, {x})"))
}

/// What of `y` goes where `hot` says, along its last axis, combined with what is there in `x`.
fn reduced(c: &mut Call<'_>, x: &str, y: &str, hot: &str) -> Result<String, String> {
    let with_self = c.flag("include_self")?;
    let word = c.word("reduce")?.to_string();
    let (function, neutral) = match word.as_str() {
        "sum" | "mean" => ("sum", "0.0"),
        "prod" => ("prod", "1.0"),
        "amax" => ("max", "-inf"),
        "amin" => ("min", "inf"),
        _ => return c.unknown("reduce"),
    };
    let hit = c.bind(format!("any({hot}, axis = -2)"));
    // What was there is one element more, where it counts.
    let parts = c.bind(format!("where({hot}, {y}[..., :, None], {neutral})"));
    let own = match with_self {
        true => format!("{x}[..., None, :]"),
        false => format!("where({hit}, {neutral}, {x})[..., None, :]"),
    };
    let all = c.bind(format!("concat([{parts}, {own}], axis = -2)"));
    let total = c.bind(format!("{function}({all}, axis = -2)"));
    if word != "mean" {
        return Ok(total);
    }
    let own = if with_self { "1" } else { "0" };
    let count = c.bind(format!("max(sum(i64({hot}), axis = -2) + {own}, 1)"));
    Ok(c.bind(format!("{total} / {}({count})", c.dtype)))
}

/// Elements along an axis, so many in each segment, combined with what each begins with.
fn segments(c: &mut Call<'_>) -> Result<String, String> {
    let (shape, rank) = (c.shape("input")?, c.rank("input")?);
    let axis = c.axis("axis", rank)?;
    let (start, end) = match (c.has("lengths"), c.has("offsets")) {
        (true, false) => {
            let end = c.bind(format!("cumsum(lengths, axis = {axis})"));
            (format!("({end} - lengths)"), end)
        }
        (false, true) => ("offsets[..., :-1]".to_string(), "offsets[..., 1:]".to_string()),
        _ => return c.unknown("indices"),
    };
    let (function, neutral, with) = match c.word("reduce")? {
        "sum" | "mean" => ("sum", 0.0, "{} + initial"),
        "prod" => ("prod", 1.0, "{} * initial"),
        "max" => ("max", f64::NEG_INFINITY, "max({}, initial)"),
        "min" => ("min", f64::INFINITY, "min({}, initial)"),
        _ => return c.unknown("reduce"),
    };
    // Axes behind stand in front of the one that goes.
    let order = (0..axis).chain(axis + 1..rank).chain([axis]);
    let x = c.bind(format!("transpose(input, {})", list(order)));
    let at = format!("arange({})", shape[axis]);
    let inside = c.bind(format!("({at} >= {start}[..., None]) & ({at} < {end}[..., None])"));
    let ahead = vec![":"; axis];
    let behind = vec!["None"; rank - axis - 1];
    let index = [&ahead[..], &behind, &[":", ":"]].concat().join(", ");
    let inside = c.bind(format!("{inside}[{index}]"));
    let neutral = Arg::Float(neutral).tx().expect("a number is a value");
    let parts = format!("where({inside}, {x}[..., None, :], {neutral})");
    let total = c.bind(format!("{function}({parts}, axis = -1)"));
    let total = match c.has("initial") {
        true => c.bind(with.replace("{}", &total)),
        false => total,
    };
    let total = match c.word("reduce")? {
        "mean" => {
            let count = c.bind(format!("sum(where({inside}, {}(1.0), 0.0), axis = -1)", c.dtype));
            // Of none, what it begins with.
            let least = if c.has("initial") { "1.0" } else { "0.0" };
            c.bind(format!("{total} / max({count}, {least})"))
        }
        _ => total,
    };
    // The axis of segments, which is the last one, goes where it was.
    let back = (0..axis).chain([rank - 1]).chain(axis..rank - 1);
    Ok(format!("transpose({total}, {})", list(back)))
}

/// The most frequent element, of those the least, and the last of its positions.
fn mode(c: &mut Call<'_>) -> Result<String, String> {
    let (x, axis) = with_axis(c, "dim")?;
    let last = c.bind(format!("swap_axes({x}, {axis}, -1)"));
    let same = c.bind(format!("{last}[..., :, None] == {last}[..., None, :]"));
    let often = c.bind(format!("sum(i64({same}), axis = -1)"));
    let most = c.bind(format!("{often} == max({often}, axis = -1, keep = true)"));
    let least = c.bind(format!("min(where({most}, {last}, inf), axis = -1, keep = true)"));
    let found = c.bind(format!("{most} & ({last} == {least})"));
    let places = format!("where({found}, arange(size({last}, -1)), -1)");
    let place = c.bind(format!("max({places}, axis = -1, keep = true)"));
    let value = c.bind(format!("take_along_axis({last}, {place}, -1)"));
    let keep = c.flag("keepdim")? && c.rank("input")? > 0;
    let shown = |t: &str| match keep {
        true => format!("swap_axes({t}, {axis}, -1)"),
        false => format!("squeeze({t}, axis = -1)"),
    };
    Ok(format!("({}, {})", shown(&value), shown(&place)))
}

/// Differences over the distance, along each axis.
fn gradient(c: &mut Call<'_>) -> Result<String, String> {
    let shape = c.shape("input")?;
    let rank = shape.len();
    let axes = c.axes("dim", rank)?;
    let second = match c.int("edge_order")? {
        1 => false,
        2 => true,
        _ => return c.unknown("edge_order"),
    };
    let spacing = match c.arg("spacing").items() {
        Some(items) => items.to_vec(),
        None => vec![c.arg("spacing").clone(); axes.len()],
    };
    let mut all = Vec::new();
    for (&axis, step) in axes.iter().zip(&spacing) {
        let n = shape[axis];
        let at = |range: &str| format!("input[{}]", at_axis(rank, axis, range));
        // The distances between neighbours.
        let steps: Vec<f64> = match step {
            Arg::None => vec![1.0; n - 1],
            Arg::Int(h) => vec![*h as f64; n - 1],
            Arg::Float(h) => vec![*h; n - 1],
            Arg::Tensor(name) => {
                let places = c.input(name).to_f64_vec();
                places.windows(2).map(|w| w[1] - w[0]).collect()
            }
            _ => return c.unknown("spacing"),
        };
        let edge = |i: [usize; 3], [h, k]: [f64; 2], sign: f64| {
            let [a, b, d] = i.map(|i| at(&format!("{i}:{}", i + 1)));
            match second {
                false => format!("({b} - {a}) * {:?}", sign / h),
                true => {
                    let weights =
                        [-(2.0 * h + k) / (h * (h + k)), (h + k) / (h * k), -h / (k * (h + k))];
                    let [u, v, w] = weights.map(|w| sign * w);
                    format!("({a} * {u:?} + {b} * {v:?} + {d} * {w:?})")
                }
            }
        };
        let far = (n - 1).min(2);
        let h = |i: usize| steps[i.min(steps.len() - 1)];
        let mut parts = vec![edge([0, 1, far], [h(0), h(1)], 1.0)];
        for i in 1..n - 1 {
            let (h, k) = (steps[i - 1], steps[i]);
            let weights = [-k / (h * (h + k)), (k - h) / (h * k), h / (k * (h + k))];
            let term = |(j, w): (usize, f64)| {
                format!("{} * {w:?}", at(&format!("{}:{}", i + j - 1, i + j)))
            };
            let terms: Vec<String> = weights.into_iter().enumerate().map(term).collect();
            parts.push(terms.join(" + "));
        }
        let behind = n - 1 - far;
        parts.push(edge([n - 1, n - 2, behind], [h(n - 2), h((n - 2).saturating_sub(1))], -1.0));
        all.push(c.bind(format!("concat([{}], axis = {axis})", parts.join(", "))));
    }
    tuple(all)
}

/// Each value at its place, where the same value may be put more than once.
fn unpooled(c: &mut Call<'_>, n: usize) -> Result<String, String> {
    if !c.has("shape") {
        return c.unknown("shape");
    }
    let (shape, sizes) = (c.shape("input")?, c.ints("shape")?);
    let lead = shape.len() - n;
    let rows: usize = shape[..lead].iter().product();
    let from: usize = shape[lead..].iter().product();
    let sizes = &sizes[sizes.len() - n..];
    let to: i64 = sizes.iter().product();
    let [x, at] = ["input", "indices"].map(|t| c.bind(format!("reshape({t}, [{rows}, {from}])")));
    let zeros = |dtype: &str| format!("zeros([{rows}, {to}], {dtype})");
    let (dtype, ones) = (c.dtype.to_string(), format!("ones_like({x})"));
    let sums = c.bind(format!("add_along_axis({}, {at}, {x}, 1)", zeros(&dtype)));
    let counts = c.bind(format!("add_along_axis({}, {at}, {ones}, 1)", zeros(&dtype)));
    let shape = list(shape[..lead].iter().map(|&n| n as i64).chain(sizes.iter().copied()));
    Ok(format!("reshape({sums} / max({counts}, 1.0), {shape})"))
}
