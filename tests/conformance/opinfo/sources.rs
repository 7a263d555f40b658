//! Tensors that are made of numbers: ranges, constants, windows of signals.

use super::call::{Arg, Call, Row, code, list};

pub const ROWS: &[Row] = &[
    code("arange", ARANGE, |c| {
        let (start, end) = match c.has("end") {
            true => (c.float("start")?, c.float("end")?),
            false => (0.0, c.float("start")?),
        };
        let step = c.float("step")?;
        let n = ((end - start) / step).ceil().max(0.0);
        if !c.has("dtype") && ["start", "end", "step"].iter().all(|name| !is_float(c, name)) {
            return Ok(format!("{start} + {step} * arange({n})"));
        }
        typed(c)?;
        Ok(format!("{start:?} + {step:?} * {}(arange({n}))", c.dtype))
    }),
    code("eye", "n m=None dtype=None device=None requires_grad=false", |c| {
        let n = c.int("n")?;
        let m = if c.has("m") { c.int("m")? } else { n };
        typed(c)?;
        let (rows, columns) = (format!("arange({n})[:, None]"), format!("arange({m})"));
        Ok(format!("where({rows} == {columns}, {}(1.0), 0.0)", c.dtype))
    }),
    code("empty", "*size dtype=None device=None requires_grad=false", nothing),
    code("empty_permuted", "size layout dtype=None device=None requires_grad=false", nothing),
    code("empty_strided", "size stride dtype=None device=None requires_grad=false", nothing),
    code("rand", "*size dtype=None device=None requires_grad=false", nothing),
    code("randn", "*size dtype=None device=None requires_grad=false", nothing),
    code("new_empty", "input size dtype=None device=None", nothing),
    code("new_empty_strided", "input size stride dtype=None device=None", nothing),
    code("bernoulli", "input p=None", nothing),
    code("empty_like", "input dtype=None device=None", nothing),
    code("rand_like", "input dtype=None device=None", nothing),
    code("randn_like", "input dtype=None device=None", nothing),
    code("full", "size fill_value:value dtype=None device=None", |c| constant(c, "value")),
    code("ones", "*size dtype=None device=None requires_grad=false", |c| constant(c, "1.0")),
    code("zeros", "*size dtype=None device=None requires_grad=false", |c| constant(c, "0.0")),
    code("scalar_tensor", "value dtype=None device=None requires_grad=false", |c| {
        typed(c)?;
        Ok(format!("{}(value)", c.dtype))
    }),
    code("tril_indices", TRIANGLE, |c| triangle(c, |i, j| j <= i)),
    code("triu_indices", TRIANGLE, |c| triangle(c, |i, j| j >= i)),
    code("linspace", "start end steps dtype=None device=None", line),
    code("logspace", "start end steps base=10.0 dtype=None device=None", |c| {
        let exponents = line(c)?;
        Ok(format!("base ** ({exponents})"))
    }),
    code("signal.windows.bartlett", WINDOW, |c| {
        shaped(c, |k, n| format!("1.0 - abs({k} - 1.0)", k = halves(k, n)))
    }),
    code("signal.windows.blackman", WINDOW, |c| cosines(c, &[0.42, 0.5, 0.08])),
    code("signal.windows.cosine", WINDOW, |c| {
        shaped(c, |k, n| format!("sin(pi * ({k} + 0.5) / {:?})", n + 1.0))
    }),
    code("signal.windows.exponential", EXPONENTIAL, |c| {
        if c.has("center") {
            return c.unknown("center");
        }
        shaped(c, |k, n| format!("exp(-abs({k} - {:?}) / tau)", 0.5 * n))
    }),
    code("signal.windows.gaussian", GAUSSIAN, |c| {
        shaped(c, |k, n| format!("exp(-0.5 * square(({k} - {:?}) / std))", 0.5 * n))
    }),
    code("signal.windows.general_cosine", GENERAL_COSINE, |c| {
        let Some(items) = c.arg("a").items() else { return c.unknown("a") };
        let weight = |item: &Arg| match item {
            Arg::Float(a) => Ok(*a),
            Arg::Int(a) => Ok(*a as f64),
            _ => c.unknown("a"),
        };
        let weights: Vec<f64> = items.iter().map(weight).collect::<Result<_, _>>()?;
        cosines(c, &weights)
    }),
    code("signal.windows.general_hamming", GENERAL_HAMMING, |c| {
        let alpha = c.float("alpha")?;
        cosines(c, &[alpha, 1.0 - alpha])
    }),
    code("signal.windows.hamming", WINDOW, |c| cosines(c, &[0.54, 0.46])),
    code("signal.windows.hann", WINDOW, |c| cosines(c, &[0.5, 0.5])),
    code("signal.windows.kaiser", KAISER, |c| {
        shaped(c, |k, n| {
            let inside = format!("1.0 - square({} - 1.0)", halves(k, n));
            format!("bessel.i0(beta * sqrt(max({inside}, 0.0))) / bessel.i0(f64(beta))")
        })
    }),
    code("signal.windows.nuttall", WINDOW, |c| {
        cosines(c, &[0.3635819, 0.4891775, 0.1365995, 0.0106411])
    }),
];

const ARANGE: &str = "start end=None step=1 dtype=None device=None";
const TRIANGLE: &str = "rows columns offset=0 dtype=None device=None layout=None";
const WINDOW: &str = "M:count sym=true dtype=None device=None requires_grad=false";
const EXPONENTIAL: &str =
    "M:count center=None tau=1.0 sym=true dtype=None device=None requires_grad=false";
const GAUSSIAN: &str = "M:count std=1.0 sym=true dtype=None device=None requires_grad=false";
const GENERAL_COSINE: &str = "M:count a sym=true dtype=None device=None requires_grad=false";
const GENERAL_HAMMING: &str =
    "M:count alpha=0.54 sym=true dtype=None device=None requires_grad=false";
const KAISER: &str = "M:count beta=12.0 sym=true dtype=None device=None requires_grad=false";

/// Checks that the element type is the one of this run, which is asked for by name: without one it
/// is what numbers become.
fn typed(c: &Call<'_>) -> Result<(), String> {
    match c.has("dtype") {
        true => c.same_type(),
        false => c.unknown("dtype"),
    }
}

fn is_float(c: &Call<'_>, name: &str) -> bool {
    matches!(c.arg(name), Arg::Float(_))
}

/// Of what is drawn, or just there in memory, only the shape is told: it must have no elements.
fn nothing(c: &mut Call<'_>) -> Result<String, String> {
    let shape = match c.given("size") {
        Some(_) => c.ints("size")?,
        None => c.shape("input")?.iter().map(|&n| n as i64).collect(),
    };
    if !shape.contains(&0) {
        return Err("elements that nothing tells".to_string());
    }
    if c.given("dtype").is_some() && c.given("input").is_none() {
        typed(c)?;
    }
    c.same_type()?;
    Ok(match c.given("input") {
        // It is moved by nothing, but moves.
        Some(_) if c.given("size").is_none() => format!("0.0 * reshape(input, {})", list(shape)),
        _ => format!("zeros({}, {})", list(shape), c.dtype),
    })
}

/// The places of a triangle of a matrix, beside a diagonal.
fn triangle(c: &mut Call<'_>, inside: fn(i64, i64) -> bool) -> Result<String, String> {
    let (n, m, offset) = (c.int("rows")?, c.int("columns")?, c.int("offset")?);
    let all = (0..n).flat_map(|i| (0..m).map(move |j| (i, j)));
    let kept: Vec<(i64, i64)> = all.filter(|&(i, j)| inside(i + offset, j)).collect();
    if kept.is_empty() {
        return Ok("zeros([2, 0], i64)".to_string());
    }
    Ok(list([list(kept.iter().map(|p| p.0)), list(kept.iter().map(|p| p.1))]))
}

fn constant(c: &mut Call<'_>, value: &str) -> Result<String, String> {
    typed(c)?;
    Ok(format!("full({}, {value}, {})", list(c.ints("size")?), c.dtype))
}

/// As many numbers at equal distances, counted from the nearer end.
fn line(c: &mut Call<'_>) -> Result<String, String> {
    typed(c)?;
    let n = c.int("steps")?;
    let dtype = c.dtype;
    let [start, end] = ["start", "end"].map(|name| c.bind(format!("f64({name})")));
    if n == 1 {
        return Ok(format!("reshape({dtype}({start}), [1])"));
    }
    let at = c.bind(format!("f64(arange({n}))"));
    let step = c.bind(format!("({end} - {start}) / {:?}", (n - 1) as f64));
    let (up, down) =
        (format!("{start} + {step} * {at}"), format!("{step} * ({:?} - {at})", (n - 1) as f64));
    Ok(format!("{dtype}(where({at} < {:?}, {up}, {end} - {down}))", (n / 2) as f64))
}

/// A window of `count` numbers by a formula of their places and the last place; one alone is 1.
/// What is not symmetric leaves out the last of one more.
fn shaped(c: &mut Call<'_>, of: impl Fn(&str, f64) -> String) -> Result<String, String> {
    typed(c)?;
    let (n, dtype) = (c.int("count")?, c.dtype);
    if n < 2 {
        return Ok(format!("ones([{n}], {dtype})"));
    }
    let last = if c.flag("sym")? { n - 1 } else { n };
    let at = c.bind(format!("f64(arange({n}))"));
    Ok(format!("{dtype}({})", of(&at, last as f64)))
}

/// Places from 0 to 2.
fn halves(at: &str, last: f64) -> String {
    format!("{at} * {:?}", 2.0 / last)
}

/// Cosines of so many turns over the window, added and taken away in turn.
fn cosines(c: &mut Call<'_>, weights: &[f64]) -> Result<String, String> {
    shaped(c, |k, n| {
        let term = |(i, w): (usize, &f64)| {
            let sign = if i % 2 == 0 { 1.0 } else { -1.0 };
            format!("{:?} * cos({k} * (tau * {:?}))", sign * w, i as f64 / n)
        };
        weights.iter().enumerate().map(term).collect::<Vec<_>>().join(" + ")
    })
}
