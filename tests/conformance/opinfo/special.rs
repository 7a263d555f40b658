//! Special functions, and what the library has of statistics.

use super::call::{Arg, Call, Row, code, list, text};
use super::reduce;

pub const ROWS: &[Row] = &[
    text("digamma", "input", "special.digamma(input)"),
    text("igamma", "input other", "special.igamma(input, other)"),
    text("igammac", "input other", "special.igammac(input, other)"),
    text("erfc", "input", "special.erfc(input)"),
    text("erfinv", "input", "special.erfinv(input)"),
    code("frexp", "input", |c| {
        // Of one result alone the mantissa.
        Ok(format!("special.frexp(input){}", if c.results == 1 { ".0" } else { "" }))
    }),
    code("histogram", HISTOGRAM, histogram),
    text("i0", "input", "bessel.i0(input)"),
    text("lgamma", "input", "special.lgamma(input)"),
    text("mvlgamma", "input p", "special.multigammaln(input, p)"),
    code("polygamma", "input n", polygamma),
    text("special.entr", "input", "where(input < 0.0, -inf, -xlogy(input, input))"),
    text("special.erfcx", "input", "special.erfcx(input)"),
    text("special.i0e", "input", "bessel.i0e(input)"),
    text("special.i1", "input", "bessel.i1(input)"),
    text("special.i1e", "input", "bessel.i1e(input)"),
    text("special.log_ndtr", "input", "special.log_ndtr(input)"),
    text("special.modified_bessel_i0", "input", "bessel.i0(input)"),
    text("special.modified_bessel_i1", "input", "bessel.i1(input)"),
    code("special.airy_ai", "input", |c| where_right(c, "airy_ai", |x| !(-4.0..-2.0).contains(&x))),
    code("special.bessel_j0", "input", |c| where_right(c, "j0", |x| x.abs() < 3.5)),
    code("special.bessel_j1", "input", |c| where_right(c, "j1", |x| x.abs() < 3.5)),
    code("special.bessel_y0", "input", |c| where_right(c, "y0", |x| x < 3.5)),
    code("special.bessel_y1", "input", |c| where_right(c, "y1", |x| x < 3.5)),
    text("special.modified_bessel_k0", "input", "bessel.k0(input)"),
    text("special.modified_bessel_k1", "input", "bessel.k1(input)"),
    text("special.scaled_modified_bessel_k0", "input", "bessel.k0e(input)"),
    text("special.scaled_modified_bessel_k1", "input", "bessel.k1e(input)"),
    text("special.spherical_bessel_j0", "input", "bessel.spherical_j0(input)"),
    text("special.ndtr", "input", "special.ndtr(input)"),
    text("special.ndtri", "input", "special.ndtri(input)"),
    text("special.zeta", "input other", "special.zeta(input, other)"),
    text("special.hermite_polynomial_h", DEGREE, "polynomial.hermite_h(input, i64(n))"),
    text("special.hermite_polynomial_he", DEGREE, "polynomial.hermite_he(input, i64(n))"),
    text("special.laguerre_polynomial_l", DEGREE, "polynomial.laguerre(input, i64(n))"),
    text("special.legendre_polynomial_p", DEGREE, "polynomial.legendre(input, i64(n))"),
    text("special.chebyshev_polynomial_t", DEGREE, "polynomial.chebyshev_t(input, i64(n))"),
    text(
        "special.shifted_chebyshev_polynomial_t",
        DEGREE,
        "polynomial.chebyshev_t(2.0 * input - 1.0, i64(n))",
    ),
    text("special.chebyshev_polynomial_u", DEGREE, "polynomial.chebyshev_u(input, i64(n))"),
    text(
        "special.shifted_chebyshev_polynomial_u",
        DEGREE,
        "polynomial.chebyshev_u(2.0 * input - 1.0, i64(n))",
    ),
    text("special.chebyshev_polynomial_v", DEGREE, "polynomial.chebyshev_v(input, i64(n))"),
    text(
        "special.shifted_chebyshev_polynomial_v",
        DEGREE,
        "polynomial.chebyshev_v(2.0 * input - 1.0, i64(n))",
    ),
    text("special.chebyshev_polynomial_w", DEGREE, "polynomial.chebyshev_w(input, i64(n))"),
    text(
        "special.shifted_chebyshev_polynomial_w",
        DEGREE,
        "polynomial.chebyshev_w(2.0 * input - 1.0, i64(n))",
    ),
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
        let x = match c.has("sorter") {
            true => c.bind("take_along_axis(input, sorter, -1)"),
            false => "input".to_string(),
        };
        let right = match c.arg("side") {
            Arg::Text(side) => side == "right",
            _ => c.flag("right")?,
        };
        let less = if right { "<=" } else { "<" };
        if c.rank("values")? == 0 {
            return Ok(format!("sum(i64({x} {less} values), axis = -1)"));
        }
        Ok(format!("sum(i64({x}[..., None, :] {less} values[..., :, None]), axis = -1)"))
    }),
    text("isin", "input among", "is_in(input, among)"),
];

/// A function whose values in PyTorch are beside mpmath's, which ours are tested with, off by up to
/// 2e-7 in places: only for arguments where they are right.
fn where_right(c: &mut Call<'_>, function: &str, right: fn(f64) -> bool) -> Result<String, String> {
    match c.tensor("input")?.to_f64_vec().into_iter().all(right) {
        true => Ok(format!("bessel.{function}(input)")),
        false => Err("PyTorch's values have errors of 2e-7 there".to_string()),
    }
}

const DEGREE: &str = "input n";
const HISTOGRAM: &str = "input bins range=None weight=None density=false";
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
        // The sums of weights are in their own type, where the order of additions shows.
        let dtype = c.dtype;
        let of = if by { c.tensor("aweights")?.dtype() } else { dtype };
        let weights = match (often, by) {
            (true, true) => c.bind(format!("{of}(fweights) * aweights")),
            (true, false) => c.bind(format!("{of}(fweights)")),
            _ => "aweights".to_string(),
        };
        let in_order = |of: &str| format!("cumsum({of}, axis = 0)[-1]");
        let total = c.bind(in_order(&weights));
        let wide = c.bind(format!("{dtype}({weights})"));
        let centre = format!("sum({x} * {wide}, axis = -1, keep = true) / {dtype}({total})");
        let centred = c.bind(format!("{x} - {centre}"));
        let less = match by {
            true => {
                let squares = in_order(&format!("{weights} * aweights"));
                format!("{correction:?} * ({squares} / {total})")
            }
            false => format!("{correction:?}"),
        };
        let count = c.bind(format!("max({total} - {less}, 0.0)"));
        format!("({centred} * {wide}) @ transpose({centred}) / {dtype}({count})")
    };
    Ok(if row { format!("reshape({result}, [])") } else { result })
}

/// Weights between edges that are given, or between the least and the largest element.
fn histogram(c: &mut Call<'_>) -> Result<String, String> {
    if c.has("range") {
        return c.unknown("range");
    }
    let edges = match c.arg("bins") {
        Arg::Tensor(_) => "bins".to_string(),
        _ => {
            let n = c.int("bins")?;
            even_edges(c, n, 0.5)?
        }
    };
    let weights = if c.has("weight") { "weight" } else { "ones_like(input)" };
    let sums = c.bind(format!("stats.weights_between(input, {weights}, {edges})"));
    Ok(match c.flag("density")? {
        true => format!("({sums} / sum({sums}) / ({edges}[1:] - {edges}[:-1]), {edges})"),
        false => format!("({sums}, {edges})"),
    })
}

/// The edges of so many equal parts between the least and the largest element, or so far around
/// them where these are equal; from 0 to 1 where there are none.
pub fn even_edges(c: &mut Call<'_>, n: i64, around: f64) -> Result<String, String> {
    let (low, high) = match c.shape("input")?.contains(&0) {
        true => (c.bind("f64(0.0)"), c.bind("f64(1.0)")),
        false => {
            let (low, high) = (c.bind("f64(min(input))"), c.bind("f64(max(input))"));
            let away = c.bind(format!("where({low} == {high}, f64({around:?}), 0.0)"));
            (c.bind(format!("{low} - {away}")), c.bind(format!("{high} + {away}")))
        }
    };
    let step = c.bind(format!("({high} - {low}) / {n}.0"));
    let at = c.bind(format!("f64(arange({}))", n + 1));
    let (up, down) =
        (format!("{low} + {step} * {at}"), format!("{high} - {step} * ({n}.0 - {at})"));
    Ok(c.bind(format!("{}(where({at} < {}.0, {up}, {down}))", c.dtype, (n + 1) / 2)))
}

fn quantile(c: &mut Call<'_>, function: &str) -> Result<String, String> {
    let midpoint = match c.word("interpolation")? {
        "linear" => false,
        "midpoint" => true,
        _ => return c.unknown("interpolation"),
    };
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
    let (keep, dtype) = (c.flag("keepdim")?, c.dtype);
    let one = |q: &String| {
        let way = format!("axis = {axis}, keep = {keep}, midpoint = {midpoint}");
        let y = format!("stats.{function}({x}, {q}, {way})");
        // A middle does not move with `q`.
        let y = if midpoint { format!("({y} + 0.0 * {dtype}({q}))") } else { y };
        match (c.has("dim"), keep) {
            (false, true) => format!("reshape({y}, {})", list(vec![1; rank])),
            _ if rank == 0 => format!("reshape({y}, [])"),
            _ => y,
        }
    };
    let all: Vec<String> = q.iter().map(one).collect();
    Ok(if many { format!("stack([{}])", all.join(", ")) } else { all[0].clone() })
}
