//! Factors of matrices that others have: by rows that change places, and by reflections.

use super::call::{Call, Row, code, list, text};
use super::matrix::{sides, success};

pub const ROWS: &[Row] = &[
    code("geqrf", "input", |c| {
        let (n, m) = sides(c)?;
        let both = c.bind("linalg.reflections(input)");
        Ok(format!("({both}.0, {both}.1[..., :{}])", n.min(m)))
    }),
    code("linalg.householder_product", "input tau", |_| {
        Ok("linalg.reflected(input, tau)".to_string())
    }),
    code("ormqr", "input tau other left=true transpose=false", |c| {
        // All columns of the product, of which the reflections tell the first.
        let ((n, _), shape) = (sides(c)?, c.shape("tau")?);
        let k = shape.last().copied().unwrap_or(0);
        let zeros = vec![0; shape.len()];
        let more = list(zeros.iter().copied().chain([n - k]));
        let zeros = list(zeros.iter().chain([&0]));
        let square = c.bind(format!("pad(input[..., :{k}], {zeros}, {more})"));
        let q = c.bind(format!("linalg.reflected({square}, tau)"));
        let q = if c.flag("transpose")? { c.bind(format!("swap_axes({q}, -1, -2)")) } else { q };
        Ok(if c.flag("left")? { format!("{q} @ other") } else { format!("other @ {q}") })
    }),
    code("linalg.lu", "input pivot=true", |c| {
        pivoted(c)?;
        let both = c.bind("linalg.lu_factor(input)");
        unpacked(c, &format!("{both}.0"), &format!("{both}.1"))
    }),
    code("lu_unpack", UNPACK, |c| {
        for name in ["unpack_data", "unpack_pivots"] {
            if !c.flag(name)? {
                return c.unknown(name);
            }
        }
        let swaps = swaps(c)?;
        unpacked(c, "input", &swaps)
    }),
    code("linalg.lu_factor", "input pivot=true", |c| {
        let (packed, pivots) = factor(c)?;
        Ok(format!("({packed}, {pivots})"))
    }),
    code("linalg.lu_factor_ex", "input pivot=true check_errors=false", |c| {
        let (packed, pivots) = factor(c)?;
        Ok(format!("({packed}, {pivots}, {})", success(c)?))
    }),
    code("lu", "input pivot=true get_infos:infos=false", |c| {
        let (packed, pivots) = factor(c)?;
        Ok(match c.flag("infos")? {
            true => format!("({packed}, {pivots}, {})", success(c)?),
            false => format!("({packed}, {pivots})"),
        })
    }),
    code("lu_solve", "input factors pivots", |c| solved(c, true, false)),
    code("linalg.lu_solve", "factors pivots input left=true adjoint=false", |c| {
        let (left, adjoint) = (c.flag("left")?, c.flag("adjoint")?);
        solved(c, left, adjoint)
    }),
    code("linalg.ldl_factor", "input hermitian=false", |c| {
        let (packed, pivots) = ldl(c)?;
        Ok(format!("({packed}, {pivots})"))
    }),
    code("linalg.ldl_factor_ex", "input hermitian=false check_errors=false", |c| {
        let (packed, pivots) = ldl(c)?;
        Ok(format!("({packed}, {pivots}, {})", success(c)?))
    }),
    code("linalg.ldl_solve", "factors pivots input hermitian=false", |c| {
        let (a, b) = (c.shape("factors")?, c.shape("input")?);
        if a.last() == Some(&0) {
            return Ok("input".to_string());
        }
        // One right side may serve all matrices.
        let wide = list(a[..a.len() - 1].iter().chain(b.last()));
        Ok(format!("linalg.ldl_solve(factors, i64(pivots), broadcast_to(input, {wide}))"))
    }),
    code("linalg.polar", "input side=\"right\"", |c| {
        let (n, m) = sides(c)?;
        match (c.word("side")?, n >= m) {
            ("right", true) => Ok("linalg.polar(input)".to_string()),
            _ => c.unknown("side"),
        }
    }),
    text("linalg.matrix_sqrth", "input", "linalg.sqrt_symmetric(input)"),
];

const UNPACK: &str = "input pivots unpack_data=true unpack_pivots=true";

/// The packed factors, and for each row that was chosen its number from 1 on.
fn factor(c: &mut Call<'_>) -> Result<(String, String), String> {
    pivoted(c)?;
    let (n, m) = sides(c)?;
    let both = c.bind("linalg.lu_factor(input)");
    Ok((format!("{both}.0"), format!("i32({both}.1[..., :{}] + 1)", n.min(m))))
}

/// The packed factors of symmetric matrices, and the exchanges as LAPACK numbers them.
fn ldl(c: &mut Call<'_>) -> Result<(String, String), String> {
    let shape = c.shape("input")?;
    if shape.last() == Some(&0) {
        let rows = format!("zeros({}, i32)", list(&shape[..shape.len() - 1]));
        return Ok(("input".to_string(), rows));
    }
    let both = c.bind("linalg.ldl_factor(input)");
    Ok((format!("{both}.0"), format!("i32({both}.1)")))
}

fn pivoted(c: &Call<'_>) -> Result<(), String> {
    if c.flag("pivot")? { Ok(()) } else { c.unknown("pivot") }
}

/// The exchanges of all rows: those that are not told stay.
fn swaps(c: &mut Call<'_>) -> Result<String, String> {
    let ((n, m), mut shape) = (sides(c)?, c.shape("pivots")?);
    if n <= m {
        return Ok(c.bind("i64(pivots) - 1"));
    }
    *shape.last_mut().ok_or("pivots of a number")? = n - m;
    let rest = format!("broadcast_to(arange({m}, {n}), {})", list(shape));
    Ok(c.bind(format!("concat([i64(pivots) - 1, {rest}], axis = -1)")))
}

/// The permutation and both triangles.
fn unpacked(c: &mut Call<'_>, packed: &str, swaps: &str) -> Result<String, String> {
    let (n, m) = sides(c)?;
    let k = n.min(m);
    let order = c.bind(format!("linalg.rows_after({swaps})"));
    let rows = format!("one_hot({order}, {n}, dtype = {})", c.dtype);
    let lower = format!("tril({packed}[..., :{k}], offset = -1) + eye({n}, {})[:, :{k}]", c.dtype);
    Ok(format!("(swap_axes({rows}, -1, -2), {lower}, triu({packed}[..., :{k}, :]))"))
}

/// The solution by factors of the matrix, or of its transpose; from the right, all is transposed.
fn solved(c: &mut Call<'_>, left: bool, adjoint: bool) -> Result<String, String> {
    let (a, b) = (c.shape("factors")?, c.shape("input")?);
    let [.., n] = a[..] else { return c.unknown("factors") };
    if a.len() != b.len() || a[..a.len() - 2] != b[..b.len() - 2] {
        return c.unknown("input");
    }
    let mut wide = b.clone();
    let x = match left {
        true => "input".to_string(),
        false => {
            wide.swap(b.len() - 2, b.len() - 1);
            c.bind("swap_axes(input, -1, -2)")
        }
    };
    let order = c.bind("linalg.rows_after(i64(pivots) - 1)");
    let rows = |x: &str, order: &str| match n {
        0 => x.to_string(),
        _ => format!("take_along_axis({x}, broadcast_to({order}[..., None], {}), -2)", list(&wide)),
    };
    let y = match left == adjoint {
        true => {
            let turned = c.bind("swap_axes(factors, -1, -2)");
            let y = c.bind(format!("solve_triangular({turned}, {x})"));
            let y = c.bind(format!("solve_triangular({turned}, {y}, lower = false, unit = true)"));
            rows(&y, &c.bind(format!("argsort({order})")))
        }
        false => {
            let x = c.bind(rows(&x, &order));
            let y = c.bind(format!("solve_triangular(factors, {x}, unit = true)"));
            format!("solve_triangular(factors, {y}, lower = false)")
        }
    };
    Ok(if left { y } else { format!("swap_axes({y}, -1, -2)") })
}
