//! Factors, eigenvalues and functions of matrices.

use super::call::{Arg, Call, Row, code, list, text};

pub const ROWS: &[Row] = &[
    code("cholesky_inverse", "input upper=false", |c| {
        let l = match c.flag("upper")? {
            true => "swap_axes(triu(input), -1, -2)",
            false => "tril(input)",
        };
        let l = c.bind(l);
        Ok(format!("inv({l} @ swap_axes({l}, -1, -2))"))
    }),
    code("linalg.cholesky_ex", "input upper=false check_errors=false", |c| {
        let l = match c.flag("upper")? {
            true => "swap_axes(cholesky(input), -1, -2)",
            false => "cholesky(input)",
        };
        Ok(format!("({l}, {})", success(c)?))
    }),
    code("linalg.cond", "input ord=None", |c| {
        let two = |c: &Call<'_>| Ok::<_, String>(!c.has("ord") || c.float("ord")? == 2.0);
        match matches!(c.arg("ord"), Arg::Text(_)) || !two(c)? {
            true => c.unknown("ord"),
            false => {
                let s = singular_values(c)?;
                let s = c.bind(s);
                Ok(format!("max({s}, axis = -1) / min({s}, axis = -1)"))
            }
        }
    }),
    code("linalg.eigh", "input UPLO=\"L\"", |_| no_signs("eigenvectors")),
    code("linalg.eigvalsh", "input UPLO=\"L\"", |c| {
        // Only one triangle counts.
        let part = match c.word("UPLO")? {
            "U" => "triu(input)",
            _ => "tril(input)",
        };
        let part = c.bind(part);
        let whole = format!(
            "{part} + swap_axes({part}, -1, -2) - {part} * eye(size(input, -1), {})",
            c.dtype
        );
        Ok(format!("linalg.eigh({whole}).0"))
    }),
    code("linalg.inv_ex", "input check_errors=false", |c| {
        Ok(format!("(inv(input), {})", success(c)?))
    }),
    code("linalg.lstsq", "input other rcond=None driver=None", least_squares),
    code("linalg.matrix_rank", "input atol=None rtol=None hermitian=false", |c| {
        let shape = c.shape("input")?;
        let longer = shape[shape.len() - 2..].iter().copied().max().unwrap_or(0) as f64;
        let s = singular_values(c)?;
        let s = c.bind(s);
        let (absolute, relative) = tolerances(c, longer * rounding(c));
        let most = format!("max({s}, axis = -1, keep = true)");
        let least = c.bind(format!("max({relative} * {most}, {absolute})"));
        Ok(format!("sum(i64({s} > {least}), axis = -1)"))
    }),
    code("linalg.pinv", "input atol=None rtol=None hermitian=false", |c| {
        if matches!(c.arg("atol"), Arg::Tensor(_)) && c.rank("atol")? == c.rank("input")? {
            // The samples of singular matrices give two factors of each.
            return pseudoinverse_of_product(c);
        }
        if c.has("atol") || c.has("rtol") {
            return pseudoinverse_above(c);
        }
        match c.flag("hermitian")? {
            // Only one triangle counts.
            true => {
                let low = c.bind("tril(input)");
                Ok(format!("linalg.pinv({low} + swap_axes(tril({low}, offset = -1), -1, -2))"))
            }
            false => pseudoinverse(c),
        }
    }),
    code("pinverse", "input rcond=1e-15", pseudoinverse),
    code("linalg.qr", "input mode=\"reduced\"", |c| {
        let mode = c.word("mode")?.to_string();
        qr(c, &mode)
    }),
    code("qr", "input some=true", |c| {
        let mode = if c.flag("some")? { "reduced" } else { "complete" };
        qr(c, mode)
    }),
    code("linalg.solve_ex", "input other left=true check_errors=false", |c| {
        if !c.flag("left")? {
            return c.unknown("left");
        }
        let (a, b) = (c.shape("input")?, c.shape("other")?);
        let vector = b.len() == 1 || (a.len() - 1 == b.len() && b[..] == a[..a.len() - 1]);
        let x = match vector {
            true => "squeeze(solve(input, expand(other, -1)), axis = -1)",
            false => "solve(input, other)",
        };
        Ok(format!("({x}, {})", success(c)?))
    }),
    code("linalg.svd", "input full_matrices=true driver=None", |_| no_signs("singular vectors")),
    code("svd", "input some=true compute_uv=true", |_| no_signs("singular vectors")),
    code("linalg.svdvals", "input driver=None", singular_values),
    code("linalg.tensorinv", "input ind=2", |c| {
        let shape = c.shape("input")?;
        let k = usize::try_from(c.int("ind")?).map_err(|_| "tensorinv of a negative number")?;
        let n: usize = shape[..k].iter().product();
        let back = shape[k..].iter().chain(&shape[..k]);
        Ok(format!("reshape(inv(reshape(input, [{n}, {n}])), {})", list(back)))
    }),
    code("linalg.tensorsolve", "input other dims=None", |c| {
        let (shape, rank) = (c.shape("input")?, c.rank("input")?);
        let last = if c.has("dims") { c.axes("dims", rank)? } else { Vec::new() };
        let order: Vec<usize> =
            (0..rank).filter(|a| !last.contains(a)).chain(last.iter().copied()).collect();
        let n: usize = c.shape("other")?.iter().product();
        let to = list(order[c.rank("other")?..].iter().map(|&a| shape[a]));
        let a = c.bind(format!("reshape(transpose(input, {}), [{n}, {n}])", list(&order)));
        Ok(format!("reshape(solve({a}, reshape(other, [{n}, 1])), {to})"))
    }),
    code("linalg.vander", "input N:count=None", |c| {
        let shape = c.shape("input")?;
        let n = match c.has("count") {
            true => c.int("count")?,
            false => shape.last().copied().unwrap_or(1) as i64,
        };
        let x = if shape.is_empty() { c.bind("reshape(input, [1])") } else { "input".to_string() };
        let mut powers = vec![c.bind(format!("ones_like({x})"))];
        for _ in 1..n {
            let last = powers.last().expect("there is a first");
            powers.push(c.bind(format!("{last} * {x}")));
        }
        Ok(format!("stack([{}], axis = -1)", powers.join(", ")))
    }),
    text("matrix_exp", "input", "linalg.expm(input)"),
    code("triangular_solve", "input factor upper=true transpose=false unitriangular=false", |c| {
        let unit = c.flag("unitriangular")?;
        let lower = !c.flag("upper")?;
        let (a, lower) = match c.flag("transpose")? {
            true => ("swap_axes(factor, -1, -2)", !lower),
            false => ("factor", lower),
        };
        Ok(format!("(solve_triangular({a}, input, lower = {lower}, unit = {unit}), factor)"))
    }),
];

/// Vectors that may as well have the other sign.
fn no_signs(what: &str) -> Result<String, String> {
    Err(format!("{what}: which of two signs they have is a library's choice"))
}

/// The report of LAPACK that all went well, for each matrix.
pub fn success(c: &Call<'_>) -> Result<String, String> {
    let shape = c.shape("input")?;
    Ok(format!("zeros({}, i32)", list(&shape[..shape.len() - 2])))
}

/// The number of rows and columns.
pub fn sides(c: &Call<'_>) -> Result<(usize, usize), String> {
    match c.shape("input")?[..] {
        [.., n, m] => Ok((n, m)),
        _ => c.unknown("input"),
    }
}

/// Of matrices that are at least as high as wide, or of what they are turned over.
fn singular_values(c: &mut Call<'_>) -> Result<String, String> {
    let (n, m) = sides(c)?;
    Ok(match n >= m {
        true => "linalg.svdvals(input)".to_string(),
        false => "linalg.svdvals(swap_axes(input, -1, -2))".to_string(),
    })
}

fn pseudoinverse(c: &mut Call<'_>) -> Result<String, String> {
    let (n, m) = sides(c)?;
    Ok(match n >= m {
        true => "linalg.pinv(input)".to_string(),
        false => "swap_axes(linalg.pinv(swap_axes(input, -1, -2)), -1, -2)".to_string(),
    })
}

/// Of matrices of any rank: singular values that are not above a tolerance count as 0.
fn pseudoinverse_above(c: &mut Call<'_>) -> Result<String, String> {
    if c.flag("hermitian")? {
        return c.unknown("hermitian");
    }
    let ((n, m), shape) = (sides(c)?, c.shape("input")?);
    let (absolute, relative) = tolerances(c, n.max(m) as f64 * rounding(c));
    above(c, "input", &[&shape[..shape.len() - 2], &[n, m]].concat(), &absolute, &relative)
}

/// Of `input atolᵀ`.
fn pseudoinverse_of_product(c: &mut Call<'_>) -> Result<String, String> {
    let ((n, _), mut shape) = (sides(c)?, c.shape("atol")?);
    let m = shape[shape.len() - 2];
    shape.truncate(shape.len() - 2);
    let a = c.bind("input @ swap_axes(atol, -1, -2)");
    let relative = format!("{:?}", n.max(m) as f64 * rounding(c));
    above(c, &a, &[&shape[..], &[n, m]].concat(), "0.0", &relative)
}

/// The pseudoinverse of matrices of this shape with an absolute and a relative tolerance.
fn above(
    c: &mut Call<'_>,
    a: &str,
    shape: &[usize],
    absolute: &str,
    relative: &str,
) -> Result<String, String> {
    let &[ref batch @ .., n, m] = shape else { return c.unknown("input") };
    if n.min(m) == 0 {
        return Ok(format!("swap_axes({a}, -1, -2)"));
    }
    // In f64, where the largest one is compared with itself.
    let high = if n >= m { a.to_string() } else { format!("swap_axes({a}, -1, -2)") };
    let a = c.bind(format!("f64({high})"));
    let most = format!("max(linalg.svdvals(stop_gradient({a})), axis = -1, keep = true)");
    let least = c.bind(format!("max(f64({relative}) * {most}, f64({absolute}))"));
    let least = format!("broadcast_to({least}[..., 0], {})", list(batch));
    let inverse = format!("{}(linalg.pinv_above({a}, {least}))", c.dtype);
    Ok(if n >= m { inverse } else { format!("swap_axes({inverse}, -1, -2)") })
}

/// What lies between 1 and the next number.
fn rounding(c: &Call<'_>) -> f64 {
    match c.dtype {
        tensc::DType::F64 => f64::EPSILON,
        _ => f64::from(f32::EPSILON),
    }
}

/// The absolute and the relative tolerance: numbers, or tensors with one for each matrix.
fn tolerances(c: &Call<'_>, default: f64) -> (String, String) {
    let given = |name: &str| match c.arg(name) {
        Arg::None => None,
        Arg::Tensor(input) => Some(format!("{}({input})[..., None]", c.dtype)),
        other => other.tx(),
    };
    let (absolute, dtype) = (given("atol"), c.dtype);
    let relative = match (given("rtol"), &absolute) {
        (Some(relative), _) => relative,
        (None, None) => format!("{default:?}"),
        // An absolute one alone takes the place of the other.
        (None, Some(absolute)) => format!("where({absolute} > 0.0, {dtype}(0.0), {default:?})"),
    };
    (absolute.unwrap_or_else(|| "0.0".to_string()), relative)
}

fn qr(c: &mut Call<'_>, mode: &str) -> Result<String, String> {
    let (n, m) = sides(c)?;
    let k = n.min(m);
    let both = c.bind("linalg.full_qr(input)");
    Ok(match mode {
        "complete" => both,
        "reduced" => format!("({both}.0[..., :, :{k}], {both}.1[..., :{k}, :])"),
        "r" => format!("(zeros([0], {}), {both}.1[..., :{k}, :])", c.dtype),
        _ => return c.unknown("mode"),
    })
}

/// Of full rank: the solution, what is left of each column where there are more rows than columns,
/// and what the driver gives beside these.
fn least_squares(c: &mut Call<'_>) -> Result<String, String> {
    if c.has("rcond") {
        return c.unknown("rcond");
    }
    let (n, m) = sides(c)?;
    let shape = c.shape("input")?;
    let batch = &shape[..shape.len() - 2];
    let driver = if c.has("driver") { c.word("driver")?.to_string() } else { "gelsy".to_string() };
    let inverse = pseudoinverse(c)?;
    let x = match n >= m {
        true => c.bind("linalg.lstsq(input, other)"),
        false => c.bind(format!("{inverse} @ other")),
    };
    let rest = match n > m && driver != "gelsy" {
        true => format!("sum(square(input @ {x} - other), axis = -2)"),
        false => format!("zeros([0], {})", c.dtype),
    };
    let rank = match driver.as_str() {
        "gels" => "zeros([0], i64)".to_string(),
        _ => format!("full({}, {}, i64)", list(batch), n.min(m)),
    };
    let values = match driver.as_str() {
        "gelss" | "gelsd" => singular_values(c)?,
        _ => format!("zeros([0], {})", c.dtype),
    };
    Ok(match c.results {
        2 => format!("({x}, {rest})"),
        _ => format!("({x}, {rest}, {rank}, {values})"),
    })
}
