//! Special functions, and what the library has of statistics.

use super::call::{Arg, Call, Row, code, list, text};
use super::reduce;

pub const ROWS: &[Row] = &[
    text("digamma", "input", "special.digamma(input)"),
    text("erfc", "input", "special.erfc(input)"),
    text("erfinv", "input", "special.erfinv(input)"),
    text("i0", "input", "special.i0(input)"),
    text("lgamma", "input", "special.lgamma(input)"),
    text("mvlgamma", "input p", "special.multigammaln(input, p)"),
    code("polygamma", "input n", polygamma),
    text("special.digamma", "input", "special.digamma(input)"),
    text("special.entr", "input", "where(input < 0.0, -inf, -xlogy(input, input))"),
    text("special.erfcx", "input", "special.erfcx(input)"),
    text("special.i0e", "input", "special.i0e(input)"),
    text("special.i1", "input", "special.i1(input)"),
    text("special.i1e", "input", "special.i1e(input)"),
    text("special.log_ndtr", "input", "special.log_ndtr(input)"),
    text("special.modified_bessel_i0", "input", "special.i0(input)"),
    text("special.modified_bessel_i1", "input", "special.i1(input)"),
    text("special.ndtr", "input", "special.ndtr(input)"),
    text("special.ndtri", "input", "special.ndtri(input)"),
    code("special.polygamma", "input n", polygamma),
    code("corrcoef", "input", |c| {
        Ok(match c.shape("input")?[..] {
            [n, _] if n > 1 => "stats.corrcoef(input)".to_string(),
            // One variable goes with itself.
            _ => "reshape(stats.corrcoef(reshape(input, [1, -1])), [])".to_string(),
        })
    }),
    code("cov", "input correction=1 fweights=None aweights=None", cov),
    code("quantile", QUANTILE, |c| quantile(c, "quantile")),
    code("nanquantile", QUANTILE, |c| quantile(c, "nan_quantile")),
    code("bucketize", "input boundaries out_int32=false right=false", |_| {
        Ok("searchsorted(boundaries, input, right = right)".to_string())
    }),
    code("searchsorted", SEARCH, |c| {
        if c.has("sorter") {
            return c.unknown("sorter");
        }
        let right = match c.arg("side") {
            Arg::Text(side) => side == "right",
            _ => c.flag("right")?,
        };
        let less = if right { "<=" } else { "<" };
        if c.rank("values")? == 0 {
            return Ok(format!("sum(i64(input {less} values), axis = -1)"));
        }
        Ok(format!("sum(i64(input[..., None, :] {less} values[..., :, None]), axis = -1)"))
    }),
    text("isin", "input among", "is_in(input, among)"),
];

const QUANTILE: &str = "input q dim=None keepdim=false interpolation=\"linear\"";
const SEARCH: &str = "input values out_int32=false right=false side=None sorter=None";

/// The samples call it with the operand first; PyTorch with the order first.
fn polygamma(c: &mut Call<'_>) -> Result<String, String> {
    Ok(match c.arg("input") {
        Arg::Tensor(_) => format!("special.polygamma({}, input)", c.int("n")?),
        _ => format!("special.polygamma({}, n)", c.int("input")?),
    })
}

/// Observations may have weights: whole numbers say how often they were made.
fn cov(c: &mut Call<'_>) -> Result<String, String> {
    let row = matches!(c.shape("input")?[..], [] | [_] | [1, _]);
    let x = if row { c.bind("reshape(input, [1, -1])") } else { "input".to_string() };
    let (often, by) = (c.has("fweights"), c.has("aweights"));
    let correction = c.float("correction")?;
    let result = if !often && !by {
        format!("stats.cov({x}, correction = {correction:?})")
    } else {
        let dtype = c.dtype;
        let weights = match (often, by) {
            (true, true) => c.bind(format!("{dtype}(fweights) * aweights")),
            (true, false) => c.bind(format!("{dtype}(fweights)")),
            _ => "aweights".to_string(),
        };
        let total = c.bind(format!("sum({weights})"));
        let centred =
            c.bind(format!("{x} - sum({x} * {weights}, axis = -1, keep = true) / {total}"));
        let less = match by {
            true => format!("{correction:?} * sum({weights} * aweights) / {total}"),
            false => format!("{correction:?}"),
        };
        format!("({centred} * {weights}) @ transpose({centred}) / max({total} - {less}, 0.0)")
    };
    Ok(if row { format!("reshape({result}, [])") } else { result })
}

fn quantile(c: &mut Call<'_>, function: &str) -> Result<String, String> {
    if c.word("interpolation")? != "linear" {
        return c.unknown("interpolation");
    }
    let rank = c.rank("input")?;
    let (q, many) = match c.arg("q") {
        Arg::Tensor(name) => match c.input(name).shape()[..] {
            [] => (vec!["f64(q)".to_string()], false),
            [n] => ((0..n).map(|i| format!("f64(q[{i}])")).collect(), true),
            _ => return c.unknown("q"),
        },
        _ => (vec![format!("{:?}", c.float("q")?)], false),
    };
    let (x, axis) = match c.has("dim") {
        true => reduce::with_axis(c, "dim")?,
        false => (c.bind("flatten(input)"), 0),
    };
    let keep = c.flag("keepdim")?;
    let one = |q: &String| {
        let y = format!("stats.{function}({x}, {q}, axis = {axis}, keep = {keep})");
        match (c.has("dim"), keep) {
            (false, true) => format!("reshape({y}, {})", list(vec![1; rank])),
            _ if rank == 0 => format!("reshape({y}, [])"),
            _ => y,
        }
    };
    let all: Vec<String> = q.iter().map(one).collect();
    Ok(if many { format!("stack([{}])", all.join(", ")) } else { all[0].clone() })
}
