//! Products and linear algebra.

use super::call::{Arg, Call, Row, code, list, text};

pub const ROWS: &[Row] = &[
    text("__rmatmul__", "input other", "other @ input"),
    code("addbmm", "input batch1 batch2 beta=1 alpha=1", |c| {
        plus(c, "sum(batch1 @ batch2, axis = 0)")
    }),
    code("addmm", "input mat1 mat2 beta=1 alpha=1", |c| plus(c, "(mat1 @ mat2)")),
    code("addmv", "input mat vec beta=1 alpha=1", |c| plus(c, "(mat @ vec)")),
    code("addr", "input vec1 vec2 beta=1 alpha=1", |c| plus(c, "outer(vec1, vec2)")),
    code("baddbmm", "input batch1 batch2 beta=1 alpha=1", |c| plus(c, "(batch1 @ batch2)")),
    text("bmm", "input other", "input @ other"),
    code("chain_matmul", "*matrices", chain),
    text(
        "cholesky_solve",
        "input factor upper=false",
        "linalg.cholesky_solve(if upper { swap_axes(factor, -1, -2) } else { factor }, input)",
    ),
    code("linalg.multi_dot", "*matrices", chain),
    text(
        "cholesky",
        "input upper=false",
        "if upper { transpose(cholesky(input)) } else { cholesky(input) }",
    ),
    code("linalg.cholesky", "input upper=false", |c| {
        Ok(match c.flag("upper")? {
            true => "swap_axes(cholesky(input), -1, -2)",
            false => "cholesky(input)",
        }
        .to_string())
    }),
    text("linalg.det", "input", "det(input)"),
    text("dot", "input other", "input @ other"),
    code("einsum", "*all", einsum),
    code("inner", "input other", |c| {
        Ok(match c.rank("input")? == 0 || c.rank("other")? == 0 {
            true => "input * other".to_string(),
            false => {
                let (a, b) = (c.rank("input")?, c.rank("other")?);
                format!("tensordot(input, other, [{}], [{}])", a - 1, b - 1)
            }
        })
    }),
    text("linalg.inv", "input", "inv(input)"),
    code("kron", "input other", |_| Ok("kron(input, other)".to_string())),
    code("linalg.cross", "input other dim=-1", crossed),
    code("cross", "input other dim=None", crossed),
    text(
        "linalg.diagonal",
        "input offset=0 dim1:a=-2 dim2:b=-1",
        "diagonal(input, offset = offset, axis1 = a, axis2 = b)",
    ),
    text("linalg.slogdet", "input", "slogdet(input)"),
    text("logdet", "input", "{ let (sign, log) = slogdet(input); where(sign > 0.0, log, nan) }"),
    code("linalg.solve", "input other left=true", |c| {
        if !c.flag("left")? {
            let right = "solve(swap_axes(input, -1, -2), swap_axes(other, -1, -2))";
            return Ok(format!("swap_axes({right}, -1, -2)"));
        }
        let (a, b) = (c.shape("input")?, c.shape("other")?);
        // A batch of vectors, or one vector, has one axis less than the matrices.
        let vector = b.len() == 1 || (a.len() - 1 == b.len() && b[..] == a[..a.len() - 1]);
        Ok(match vector {
            true => "squeeze(solve(input, expand(other, -1)), axis = -1)",
            false => "solve(input, other)",
        }
        .to_string())
    }),
    code("linalg.solve_triangular", "input other upper left=true unitriangular=false", |c| match (
        c.flag("left")?,
        c.flag("unitriangular")?,
    ) {
        (true, unit) => {
            let lower = !c.flag("upper")?;
            Ok(format!("solve_triangular(input, other, lower = {lower}, unit = {unit})"))
        }
        (false, unit) => {
            let (a, b) = ("swap_axes(input, -1, -2)", "swap_axes(other, -1, -2)");
            let x = format!("solve_triangular({a}, {b}, lower = upper, unit = {unit})");
            Ok(format!("swap_axes({x}, -1, -2)"))
        }
    }),
    text("linalg.vecdot", "input other dim:axis=-1", "sum(input * other, axis = axis)"),
    code("matmul", "input other", |_| Ok("input @ other".to_string())),
    code("linalg.matrix_power", "input n", power),
    text("mm", "input other", "input @ other"),
    text("mv", "input other", "input @ other"),
    text("outer", "input other", "outer(input, other)"),
    code("tensordot", "input other dims=2", tensordot),
    text("trace", "input", "trace(input)"),
    text("vdot", "input other", "input @ other"),
];

/// A product times `alpha`, plus `beta` times the input, which does not count for a `beta` of 0.
fn plus(c: &mut Call<'_>, product: &str) -> Result<String, String> {
    Ok(match c.float("beta")? == 0.0 {
        true => format!("alpha * {product} + zeros({}, {})", list(c.shape("input")?), c.dtype),
        false => format!("beta * input + alpha * {product}"),
    })
}

/// Of vectors that broadcast, along an axis of three: the first such one where none is named.
fn crossed(c: &mut Call<'_>) -> Result<String, String> {
    let (a, b) = (c.shape("input")?, c.shape("other")?);
    let axis = match c.has("dim") {
        true => c.axis("dim", a.len())?,
        false => a.iter().position(|&n| n == 3).ok_or("cross without an axis of three")?,
    };
    let all = list(a.iter().zip(&b).map(|(&n, &m)| n.max(m)));
    Ok(format!("cross(broadcast_to(input, {all}), broadcast_to(other, {all}), axis = {axis})"))
}

fn chain(c: &mut Call<'_>) -> Result<String, String> {
    let names: Vec<String> = c.tensors("matrices")?.into_iter().map(|(name, _)| name).collect();
    Ok(names.join(" @ "))
}

/// The samples call it with the operands first, then the equation; PyTorch with the equation first.
fn einsum(c: &mut Call<'_>) -> Result<String, String> {
    let parts = c.arg("all").items().expect("a list").to_vec();
    let mut equation = None;
    let mut operands = Vec::new();
    for part in &parts {
        match part {
            Arg::Text(text) => equation = Some(text.replace(' ', "")),
            Arg::Tensor(name) => operands.push(name.clone()),
            Arg::List(items) | Arg::Tuple(items) => {
                operands.extend(items.iter().filter_map(Arg::tx));
            }
            _ => return Err("einsum with operands of this form".to_string()),
        }
    }
    let equation = equation.ok_or("einsum without an equation")?;
    let equation = summed_ellipsis(c, &equation, &operands);
    Ok(format!("einsum({equation:?}, {})", operands.join(", ")))
}

/// PyTorch sums over what `...` stands for where the result lacks it: letters in its place.
fn summed_ellipsis(c: &Call<'_>, equation: &str, operands: &[String]) -> String {
    let Some((left, right)) = equation.split_once("->") else { return equation.to_string() };
    if right.contains("...") || !left.contains("...") {
        return equation.to_string();
    }
    let spelled = |(term, operand): (&str, &String)| {
        let named = term.replace("...", "").len();
        let rank = c.input(operand).shape().len();
        // From the last one, as they broadcast.
        let letters: String = ('A'..='Z').take(rank.saturating_sub(named)).collect();
        let letters: String = letters.chars().rev().collect();
        term.replace("...", &letters)
    };
    let terms: Vec<String> = left.split(',').zip(operands).map(spelled).collect();
    format!("{}->{right}", terms.join(","))
}

fn power(c: &mut Call<'_>) -> Result<String, String> {
    let shape = c.shape("input")?;
    let n = c.int("n")?;
    if n == 0 {
        let size = shape.last().copied().unwrap_or(1);
        return Ok(format!("broadcast_to(eye({size}, {}), {})", c.dtype, list(&shape)));
    }
    let base = if n < 0 { c.bind("inv(input)") } else { "input".to_string() };
    let times = vec![base; n.unsigned_abs() as usize];
    Ok(times.join(" @ "))
}

/// PyTorch stretches a 1 among the paired axes, which is to sum the other side's axis.
fn tensordot(c: &mut Call<'_>) -> Result<String, String> {
    let (of_a, of_b) = (c.shape("input")?, c.shape("other")?);
    let [axes_a, axes_b]: [Vec<usize>; 2] = match c.arg("dims") {
        Arg::Int(n) => {
            let n = *n as usize;
            [(of_a.len() - n..of_a.len()).collect(), (0..n).collect()]
        }
        Arg::List(sides) | Arg::Tuple(sides) if sides.len() == 2 => {
            let side = |i: usize, rank: usize| -> Result<Vec<usize>, String> {
                let form = || "tensordot with dims of this form".to_string();
                let items = sides[i].items().ok_or_else(form)?;
                let axis = |item: &Arg| match item {
                    Arg::Int(n) => Ok(n.rem_euclid(rank as i64) as usize),
                    _ => Err(form()),
                };
                items.iter().map(axis).collect()
            };
            [side(0, of_a.len())?, side(1, of_b.len())?]
        }
        _ => return c.unknown("dims"),
    };
    let (mut a, mut b) = ("input".to_string(), "other".to_string());
    for (&i, &j) in axes_a.iter().zip(&axes_b) {
        match (of_a[i], of_b[j]) {
            (1, n) if n != 1 => b = c.bind(format!("sum({b}, axis = {j}, keep = true)")),
            (n, 1) if n != 1 => a = c.bind(format!("sum({a}, axis = {i}, keep = true)")),
            _ => {}
        }
    }
    Ok(format!("tensordot({a}, {b}, {}, {})", list(axes_a), list(axes_b)))
}
