//! Reductions, running reductions, sorting.

use super::call::{Arg, Call, Row, code, list, text};
use super::compare::truth;

pub const ROWS: &[Row] = &[
    code("all", "input dim=None keepdim=false", |c| {
        let masked = truth(c, "input")?;
        along(c, "all", &masked)
    }),
    code("any", "input dim=None keepdim=false", |c| {
        let masked = truth(c, "input")?;
        along(c, "any", &masked)
    }),
    code("amax", "input dim=None keepdim=false", |c| along(c, "max", "input")),
    code("amin", "input dim=None keepdim=false", |c| along(c, "min", "input")),
    code("aminmax", "input dim=None keepdim=false", |c| {
        Ok(format!("({}, {})", along(c, "min", "input")?, along(c, "max", "input")?))
    }),
    code("argmax", "input dim=None keepdim=false", |c| position(c, "argmax")),
    code("argmin", "input dim=None keepdim=false", |c| position(c, "argmin")),
    code("argsort", "input dim=-1 descending=false stable=false", |c| {
        let (x, axis) = with_axis(c, "dim")?;
        let order = c.bind(format!("argsort({x}, axis = {axis}, descending = descending)"));
        scalar_again(c, &order)
    }),
    code("count_nonzero", "input dim=None keepdim=false", |c| {
        let masked = format!("i64({})", truth(c, "input")?);
        along(c, "sum", &masked)
    }),
    code("cummax", "input dim", |c| both(c, "cummax", "cumargmax")),
    code("cummin", "input dim", |c| both(c, "cummin", "cumargmin")),
    code("cumprod", "input dim dtype=None", |c| running(c, "cumprod")),
    code("cumsum", "input dim dtype=None", |c| running(c, "cumsum")),
    code("cumulative_trapezoid", "y x=None dx=1 dim=-1", |c| {
        let areas = trapezoids(c)?;
        Ok(format!("cumsum({areas}, axis = dim)"))
    }),
    code("diff", "input n=1 dim=-1 prepend=None append=None", diff),
    code("kthvalue", "input k dim=-1 keepdim=false", |c| {
        let k = c.int("k")? - 1;
        nth(c, k, true)
    }),
    code("linalg.norm", "input ord=None dim=None keepdim=false dtype=None", any_norm),
    code("linalg.vector_norm", "input ord=2 dim=None keepdim=false dtype=None", vector_norm),
    code(
        "linalg.matrix_norm",
        "input ord=\"fro\" dim=[-2,-1] keepdim=false dtype=None",
        matrix_norm,
    ),
    code("logcumsumexp", "input dim", |c| running(c, "logcumsumexp")),
    code("logsumexp", "input dim keepdim=false", |c| along(c, "logsumexp", "input")),
    code("max", "input dim=None keepdim=false", |c| extreme(c, "max", "argmax")),
    code("mean", "input dim=None keepdim=false dtype=None", |c| along(c, "mean", "input")),
    code("median", "input dim=None keepdim=false", median),
    code("min", "input dim=None keepdim=false", |c| extreme(c, "min", "argmin")),
    text("msort", "input", "sort(input, axis = 0)"),
    code("nanmean", "input dim=None keepdim=false dtype=None", |c| along(c, "nanmean", "input")),
    code("nansum", "input dim=None keepdim=false dtype=None", |c| along(c, "nansum", "input")),
    code("norm", "input p:ord=\"fro\" dim=None keepdim=false", norm),
    code("prod", "input dim=None keepdim=false dtype=None", |c| along(c, "prod", "input")),
    code("sort", "input dim=-1 descending=false stable=None", |c| {
        let (x, axis) = with_axis(c, "dim")?;
        let order = c.bind(format!("argsort({x}, axis = {axis}, descending = descending)"));
        let sorted = c.bind(format!("take_along_axis({x}, {order}, {axis})"));
        Ok(format!("({}, {})", scalar_again(c, &sorted)?, scalar_again(c, &order)?))
    }),
    code("std", "input dim=None unbiased=true keepdim=false correction=None", |c| {
        Ok(format!("sqrt({})", variance(c)?))
    }),
    code("std_mean", "input dim=None unbiased=true keepdim=false correction=None", |c| {
        Ok(format!("(sqrt({}), {})", variance(c)?, centre(c)?))
    }),
    code("sum", "input dim=None keepdim=false dtype=None", |c| along(c, "sum", "input")),
    code("sum_to_size", "input *size", |c| {
        let (rank, size) = (c.rank("input")?, c.ints("size")?);
        let shape = c.shape("input")?;
        let lead = rank - size.len().min(rank);
        let stretched = (0..rank).filter(|&a| a < lead || shape[a] as i64 != size[a - lead]);
        Ok(format!("reshape(sum(input, axis = {}), size)", list(stretched)))
    }),
    code("topk", "input k dim=-1 largest=true sorted=true", |c| {
        let (x, axis) = with_axis(c, "dim")?;
        let order = c.bind(format!("argsort({x}, axis = {axis}, descending = largest)"));
        let k = c.int("k")?;
        let order = c.bind(format!("take({order}, arange({k}), axis = {axis})"));
        let values = c.bind(format!("take_along_axis({x}, {order}, {axis})"));
        Ok(format!("({}, {})", scalar_again(c, &values)?, scalar_again(c, &order)?))
    }),
    code("trapezoid", "y x=None dx=1 dim=-1", |c| {
        let areas = trapezoids(c)?;
        Ok(format!("sum({areas}, axis = dim)"))
    }),
    code("trapz", "y x=None dx=1 dim=-1", |c| {
        let areas = trapezoids(c)?;
        Ok(format!("sum({areas}, axis = dim)"))
    }),
    code("var", "input dim=None unbiased=true keepdim=false correction=None", variance),
    code("var_mean", "input dim=None unbiased=true keepdim=false correction=None", |c| {
        Ok(format!("({}, {})", variance(c)?, centre(c)?))
    }),
];

/// A reduction of `x` along `dim`.
pub fn along(c: &mut Call<'_>, function: &str, x: &str) -> Result<String, String> {
    c.same_type()?;
    let rank = c.rank("input")?;
    let axes = if rank == 0 { Vec::new() } else { c.axes("dim", rank)? };
    Ok(format!("{function}({x}, axis = {}, keep = keepdim)", list(axes)))
}

/// The operand with at least one axis, and the axis.
pub fn with_axis(c: &mut Call<'_>, name: &str) -> Result<(String, usize), String> {
    let rank = c.rank("input")?;
    let axis = c.axis(name, rank)?;
    let x = if rank == 0 { c.bind("reshape(input, [1])") } else { "input".to_string() };
    Ok((x, axis))
}

/// What was computed on an operand that `with_axis` gave an axis, without it.
pub fn scalar_again(c: &Call<'_>, x: &str) -> Result<String, String> {
    Ok(if c.rank("input")? == 0 { format!("reshape({x}, [])") } else { x.to_string() })
}

fn running(c: &mut Call<'_>, function: &str) -> Result<String, String> {
    c.same_type()?;
    let (x, axis) = with_axis(c, "dim")?;
    let done = c.bind(format!("{function}({x}, axis = {axis})"));
    scalar_again(c, &done)
}

fn both(c: &mut Call<'_>, values: &str, places: &str) -> Result<String, String> {
    Ok(format!("({}, {})", running(c, values)?, running(c, places)?))
}

fn position(c: &mut Call<'_>, function: &str) -> Result<String, String> {
    position_of(c, function, "input")
}

/// Where an extreme of `x`, which is shaped as the input is, lies along `dim` or among all.
pub fn position_of(c: &mut Call<'_>, function: &str, x: &str) -> Result<String, String> {
    let rank = c.rank("input")?;
    if !c.has("dim") {
        let wide = list(vec![1; rank]);
        return Ok(match c.flag("keepdim")? {
            true => format!("reshape({function}({x}), {wide})"),
            false => format!("{function}({x})"),
        });
    }
    let axis = c.axis("dim", rank)?;
    Ok(match rank {
        0 => format!("{function}(reshape({x}, [1]), axis = 0)"),
        _ => format!("{function}({x}, axis = {axis}, keep = keepdim)"),
    })
}

/// The extreme of all, of two, or along an axis with its position.
fn extreme(c: &mut Call<'_>, function: &str, place: &str) -> Result<String, String> {
    if matches!(c.arg("dim"), Arg::Tensor(_)) {
        return Ok(format!("{function}(input, dim)"));
    }
    if !c.has("dim") {
        return Ok(format!("{function}(input)"));
    }
    Ok(format!("({}, {})", along(c, function, "input")?, position(c, place)?))
}

/// The mean that goes with a variance.
fn centre(c: &mut Call<'_>) -> Result<String, String> {
    match c.arg("dim") {
        Arg::Flag(_) => Ok("mean(input)".to_string()),
        _ => along(c, "mean", "input"),
    }
}

fn variance(c: &mut Call<'_>) -> Result<String, String> {
    let (rank, shape) = (c.rank("input")?, c.shape("input")?);
    // One form of these functions has the flag first: `var(x, unbiased)`.
    let flag = matches!(c.arg("dim"), Arg::Flag(_));
    let axes = if rank == 0 || flag { (0..rank).collect() } else { c.axes("dim", rank)? };
    let correction = match c.has("correction") {
        true => c.float("correction")?,
        false => f64::from(u8::from(c.flag(if flag { "dim" } else { "unbiased" })?)),
    };
    let count = axes.iter().map(|&a| shape[a]).product::<usize>() as f64;
    let mean = c.bind(format!("mean(input, axis = {}, keep = true)", list(&axes)));
    let total = format!("sum(square(input - {mean}), axis = {}, keep = keepdim)", list(&axes));
    Ok(format!("{total} / {:?}", (count - correction).max(0.0)))
}

fn median(c: &mut Call<'_>) -> Result<String, String> {
    let shape = c.shape("input")?;
    if c.has("dim") {
        let axis = c.axis("dim", shape.len())?;
        let n = shape.get(axis).copied().unwrap_or(1) as i64;
        return nth(c, (n - 1) / 2, true);
    }
    let n: usize = shape.iter().product();
    if n == 0 {
        return Ok(format!("{}(nan)", c.dtype));
    }
    Ok(format!("sort(flatten(input))[{}]", (n - 1) / 2))
}

/// The element number `k` along `dim` in order, with its position.
fn nth(c: &mut Call<'_>, k: i64, place: bool) -> Result<String, String> {
    let (x, axis) = with_axis(c, "dim")?;
    let order = c.bind(format!("argsort({x}, axis = {axis})"));
    let order = c.bind(format!("take({order}, [{k}], axis = {axis})"));
    let value = c.bind(format!("take_along_axis({x}, {order}, {axis})"));
    let scalar = c.rank("input")? == 0;
    let drop = scalar || !c.flag("keepdim")?;
    let shown = |t: &str| if drop { format!("squeeze({t}, axis = {axis})") } else { t.to_string() };
    Ok(if place { format!("({}, {})", shown(&value), shown(&order)) } else { shown(&value) })
}

/// The middle one of the elements that are numbers along an axis, which stays, with its position.
pub fn middle(c: &mut Call<'_>, x: &str, axis: usize) -> (String, String) {
    let order = c.bind(format!("argsort({x}, axis = {axis})"));
    let count = c.bind(format!("sum(i64(!is_nan({x})), axis = {axis}, keep = true)"));
    let place = c.bind(format!("take_along_axis({order}, max({count} - 1, 0) / 2, {axis})"));
    (c.bind(format!("take_along_axis({x}, {place}, {axis})")), place)
}

/// `torch.norm`: of vectors, but for the nuclear norm.
fn norm(c: &mut Call<'_>) -> Result<String, String> {
    let rank = c.rank("input")?;
    let axes = if rank == 0 { Vec::new() } else { c.axes("dim", rank)? };
    let ord = match c.arg("ord") {
        Arg::None => 2.0,
        Arg::Text(word) if word == "fro" => 2.0,
        Arg::Text(word) if word == "nuc" => return matrix_norm(c),
        Arg::Text(_) => return c.unknown("ord"),
        _ => c.float("ord")?,
    };
    Ok(p_norm("input", ord, &list(axes), "keepdim"))
}

/// `linalg.norm`: of matrices where there are two axes and an order; of vectors otherwise.
fn any_norm(c: &mut Call<'_>) -> Result<String, String> {
    let rank = c.rank("input")?;
    let axes = if rank == 0 { Vec::new() } else { c.axes("dim", rank)? };
    match c.has("ord") && axes.len() == 2 {
        true => matrix_norm(c),
        false => vector_norm(c),
    }
}

fn vector_norm(c: &mut Call<'_>) -> Result<String, String> {
    let rank = c.rank("input")?;
    c.same_type()?;
    let axes = if rank == 0 { Vec::new() } else { c.axes("dim", rank)? };
    let ord = if c.has("ord") { c.float("ord")? } else { 2.0 };
    Ok(p_norm("input", ord, &list(axes), "keepdim"))
}

fn matrix_norm(c: &mut Call<'_>) -> Result<String, String> {
    c.same_type()?;
    let rank = c.rank("input")?;
    let &[a, b] = &c.axes("dim", rank)?[..] else { return c.unknown("dim") };
    let keep = c.flag("keepdim")?;
    let sums = |c: &mut Call<'_>, axis: usize| {
        c.bind(format!("sum(abs(input), axis = {axis}, keep = true)"))
    };
    let order = match c.arg("ord") {
        Arg::Text(word) if word == "fro" => {
            return Ok(p_norm("input", 2.0, &list([a, b]), "keepdim"));
        }
        Arg::Text(word) if word == "nuc" => "sum",
        Arg::Text(_) => return c.unknown("ord"),
        _ => match c.float("ord")? {
            2.0 => "max",
            -2.0 => "min",
            ord if ord.abs() == 1.0 || ord.is_infinite() => {
                let (inner, outer) = if ord.is_infinite() { (b, a) } else { (a, b) };
                let function = if ord > 0.0 { "max" } else { "min" };
                let lengths = sums(c, inner);
                let norm = format!("{function}({lengths}, axis = {outer}, keep = true)");
                return Ok(match keep {
                    true => norm,
                    false => format!("squeeze({norm}, axis = {})", list([a, b])),
                });
            }
            _ => return c.unknown("ord"),
        },
    };
    let shape = c.shape("input")?;
    // At least as high as wide.
    let (high, wide) = if shape[a] < shape[b] { (b, a) } else { (a, b) };
    let others = (0..rank).filter(|&axis| axis != a && axis != b);
    let matrices = c.bind(format!("transpose(input, {})", list(others.chain([high, wide]))));
    let norm = c.bind(format!("{order}(linalg.svdvals({matrices}), axis = -1)"));
    let kept = list((0..rank).map(|axis| if axis == a || axis == b { 1 } else { shape[axis] }));
    Ok(if keep { format!("reshape({norm}, {kept})") } else { norm })
}

/// The norm of vectors; how many elements are not 0 does not move.
pub fn p_norm(x: &str, ord: f64, axes: &str, keep: &str) -> String {
    let x = if ord == 0.0 { format!("stop_gradient({x})") } else { x.to_string() };
    let ord = Arg::Float(ord).tx().expect("a number is a value");
    format!("distance.p_norm({x}, p = {ord}, axis = {axes}, keep = {keep})")
}

fn diff(c: &mut Call<'_>) -> Result<String, String> {
    let rank = c.rank("input")?;
    let axis = c.axis("dim", rank)?;
    if c.int("n")? == 0 {
        return Ok("input".to_string());
    }
    let mut parts = vec!["input"];
    if c.has("prepend") {
        parts.insert(0, "prepend");
    }
    if c.has("append") {
        parts.push("append");
    }
    let mut n = 0;
    for part in &parts {
        n += c.shape(part)?[axis];
    }
    let mut x = c.bind(format!("concat([{}], axis = {axis})", parts.join(", ")));
    let skip = vec![":"; axis].join(", ");
    let lead = if axis == 0 { String::new() } else { format!("{skip}, ") };
    // Of nothing there are no differences.
    for _ in 0..c.int("n")?.min(n as i64) {
        x = c.bind(format!("{x}[{lead}1:] - {x}[{lead}:-1]"));
    }
    Ok(x)
}

/// The areas between neighbours.
fn trapezoids(c: &mut Call<'_>) -> Result<String, String> {
    let rank = c.rank("y")?;
    let axis = c.axis("dim", rank)?;
    let pick = |name: &str, rank: usize, axis: usize, range: &str| {
        let index: Vec<&str> = (0..rank).map(|a| if a == axis { range } else { ":" }).collect();
        format!("{name}[{}]", index.join(", "))
    };
    let (after, before) = (pick("y", rank, axis, "1:"), pick("y", rank, axis, ":-1"));
    let width = match c.has("x") {
        false => "dx".to_string(),
        true => {
            let of = c.rank("x")?;
            let x_axis = match of {
                1 => 0,
                _ => c.axis("dim", of)?,
            };
            let widths =
                format!("{} - {}", pick("x", of, x_axis, "1:"), pick("x", of, x_axis, ":-1"));
            let widths = c.bind(widths);
            match of == 1 && rank > 1 {
                // One row of places stands along the axis.
                true => {
                    let n = c.shape("x")?[0] as i64 - 1;
                    let shape = (0..rank).map(|a| if a == axis { n } else { 1 });
                    format!("reshape({widths}, {})", list(shape))
                }
                false => widths,
            }
        }
    };
    Ok(c.bind(format!("0.5 * {width} * ({after} + {before})")))
}
