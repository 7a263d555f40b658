//! `torch.masked`: reductions and softmax over the elements where a mask is true.

use super::call::{Call, Row, code, list};
use super::reduce;

pub const ROWS: &[Row] = &[
    code("masked.amax", REDUCED, |c| filled(c, "max", "-inf")),
    code("masked.amin", REDUCED, |c| filled(c, "min", "inf")),
    code("masked.argmax", REDUCED, |c| position(c, "argmax", "-inf")),
    code("masked.argmin", REDUCED, |c| position(c, "argmin", "inf")),
    code("masked.cumprod", ALONG, |c| running(c, "cumprod", "1.0")),
    code("masked.cumsum", ALONG, |c| running(c, "cumsum", "0.0")),
    code("masked.logaddexp", "input other input_mask=None other_mask=None", |c| {
        let part = |c: &Call<'_>, name: &str, mask: &str| match c.has(mask) {
            true => format!("where({mask}, {name}, -inf)"),
            false => name.to_string(),
        };
        let (x, y) = (part(c, "input", "input_mask"), part(c, "other", "other_mask"));
        Ok(format!("logaddexp({x}, {y})"))
    }),
    code("masked.logsumexp", REDUCED, |c| filled(c, "logsumexp", "-inf")),
    code("masked.log_softmax", ALONG, |c| softmax(c, "log_softmax", "")),
    code("masked.softmax", ALONG, |c| softmax(c, "softmax", "")),
    code("masked.softmin", ALONG, |c| softmax(c, "softmax", "-")),
    code("masked.mean", REDUCED, mean),
    code("masked.norm", "input ord=2.0 dim=None keepdim=false dtype=None mask=None", |c| {
        let x = fill(c, if c.float("ord")? == f64::NEG_INFINITY { "inf" } else { "0.0" });
        let (ord, axes) = (c.float("ord")?, axes(c)?);
        Ok(reduce::p_norm(&x, ord, &list(axes), "keepdim"))
    }),
    code("masked.normalize", "input ord dim eps=1e-12 dtype=None mask=None", |c| {
        let x = fill(c, "0.0");
        let x = match c.rank("input")? {
            0 => format!("{x}[None]"),
            _ => x,
        };
        let axis = c.axis("dim", c.rank("input")?)?;
        let norm = reduce::p_norm(&x, c.float("ord")?, &list([axis]), "true");
        let y = c.bind(format!("{x} / max({norm}, eps)"));
        reduce::scalar_again(c, &y)
    }),
    code("masked.prod", REDUCED, |c| filled(c, "prod", "1.0")),
    code("masked.sum", REDUCED, |c| filled(c, "sum", "0.0")),
    code("masked.std", SPREAD, |c| Ok(format!("sqrt({})", variance(c)?))),
    code("masked.var", SPREAD, variance),
    code("masked.median", "input dim=-1 keepdim=false dtype=None mask=None", |c| {
        c.same_type()?;
        let x = fill(c, "nan");
        let scalar = c.rank("input")? == 0;
        let x = if scalar { c.bind(format!("{x}[None]")) } else { x };
        let axis = c.axis("dim", c.rank("input")?)?;
        let (value, _) = reduce::middle(c, &x, axis);
        Ok(match c.flag("keepdim")? && !scalar {
            true => value,
            false => format!("squeeze({value}, axis = {axis})"),
        })
    }),
];

const ALONG: &str = "input dim dtype=None mask=None";
const REDUCED: &str = "input dim=None keepdim=false dtype=None mask=None";
const SPREAD: &str =
    "input dim=None unbiased=None correction=None keepdim=false dtype=None mask=None";

fn axes(c: &Call<'_>) -> Result<Vec<usize>, String> {
    c.same_type()?;
    let rank = c.rank("input")?;
    if rank == 0 { Ok(Vec::new()) } else { c.axes("dim", rank) }
}

/// The input with something that does not count where the mask is false.
fn fill(c: &mut Call<'_>, with: &str) -> String {
    match c.has("mask") {
        true => c.bind(format!("where(mask, input, {with})")),
        false => "input".to_string(),
    }
}

fn filled(c: &mut Call<'_>, function: &str, with: &str) -> Result<String, String> {
    let (x, axes) = (fill(c, with), axes(c)?);
    Ok(format!("{function}({x}, axis = {}, keep = keepdim)", list(axes)))
}

/// Where the first of the extreme elements is: along an axis, or among all.
fn position(c: &mut Call<'_>, function: &str, with: &str) -> Result<String, String> {
    c.same_type()?;
    let x = fill(c, with);
    // As a number of the input's type.
    let place = reduce::position_of(c, function, &x)?;
    Ok(format!("{}({place})", c.dtype))
}

/// How many elements count.
fn count(c: &mut Call<'_>, axes: &str, keep: &str) -> Result<String, String> {
    let (dtype, shape) = (c.dtype, list(c.shape("input")?));
    let ones = match c.has("mask") {
        true => format!("where(mask, ones({shape}, {dtype}), 0.0)"),
        false => format!("ones({shape}, {dtype})"),
    };
    Ok(c.bind(format!("sum({ones}, axis = {axes}, keep = {keep})")))
}

fn mean(c: &mut Call<'_>) -> Result<String, String> {
    let axes = list(axes(c)?);
    let (x, n) = (fill(c, "0.0"), count(c, &axes, "keepdim")?);
    Ok(format!("sum({x}, axis = {axes}, keep = keepdim) / {n}"))
}

fn variance(c: &mut Call<'_>) -> Result<String, String> {
    let axes = list(axes(c)?);
    let correction = match (c.has("correction"), c.has("unbiased")) {
        (true, false) => c.float("correction")?,
        (false, true) => f64::from(u8::from(c.flag("unbiased")?)),
        _ => 1.0,
    };
    let (x, n) = (fill(c, "0.0"), count(c, &axes, "true")?);
    let centre = c.bind(format!("sum({x}, axis = {axes}, keep = true) / {n}"));
    let apart = match c.has("mask") {
        true => c.bind(format!("where(mask, square(input - {centre}), 0.0)")),
        false => c.bind(format!("square(input - {centre})")),
    };
    let n = count(c, &axes, "keepdim")?;
    Ok(format!("sum({apart}, axis = {axes}, keep = keepdim) / max({n} - {correction:?}, 0.0)"))
}

fn running(c: &mut Call<'_>, function: &str, with: &str) -> Result<String, String> {
    c.same_type()?;
    let x = fill(c, with);
    Ok(line(c, &x, |x| format!("{function}({x}, axis = dim)")))
}

fn softmax(c: &mut Call<'_>, function: &str, sign: &str) -> Result<String, String> {
    c.same_type()?;
    let x = match c.has("mask") {
        true => c.bind(format!("where(mask, {sign}input, -inf)")),
        false => c.bind(format!("{sign}input")),
    };
    Ok(line(c, &x, |x| format!("{function}({x}, axis = dim)")))
}

/// Along an axis; a scalar has one by courtesy.
fn line(c: &Call<'_>, x: &str, of: impl Fn(&str) -> String) -> String {
    match c.rank("input") {
        Ok(0) => format!("reshape({}, [])", of(&format!("{x}[None]"))),
        _ => of(x),
    }
}
