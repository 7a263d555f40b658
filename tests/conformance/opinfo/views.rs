//! More functions that move elements: transposes, the copying forms of views, blocks, combinations.

use super::call::{Arg, Call, Row, code, list, text};
use super::shape::{at_axis, tuple};

pub const ROWS: &[Row] = &[
    code("H", "input", upright),
    code("T", "input", |c| {
        let axes = (0..c.rank("input")?).rev();
        Ok(format!("transpose(input, {})", list(axes)))
    }),
    code("adjoint", "input", upright),
    code("mH", "input", upright),
    code("mT", "input", upright),
    text("alias", "input", "input"),
    code("as_strided", "input size stride storage_offset=None", strided),
    code("as_strided_scatter", "input src size stride storage_offset=None", |c| {
        let (places, shape) = (places(c)?, c.shape("input")?);
        let places = c.bind(list(places));
        let n: usize = shape.iter().product();
        let flat = format!("scatter_add(zeros([{n}], {}), {places}, flatten(src))", c.dtype);
        let flat = c.bind(flat);
        let hits = format!("scatter_add(zeros([{n}], i64), {places}, ones_like({places})) > 0");
        let hits = c.bind(hits);
        Ok(format!("reshape(where({hits}, {flat}, flatten(input)), {})", list(shape)))
    }),
    code("block_diag", "*tensors", block_diag),
    code("broadcast_tensors", "*tensors", |c| {
        let all = c.tensors("tensors")?;
        let rank = all.iter().map(|(_, t)| t.shape().len()).max().unwrap_or(0);
        let mut shape = vec![1; rank];
        for (_, tensor) in &all {
            let own = tensor.shape();
            for (a, &n) in own.iter().enumerate() {
                let common = &mut shape[rank - own.len() + a];
                *common = if *common == 1 { n } else { *common };
            }
        }
        let sizes = list(shape);
        tuple(all.iter().map(|(name, _)| format!("broadcast_to({name}, {sizes})")).collect())
    }),
    code("cartesian_prod", "*tensors", |c| {
        let all = c.tensors("tensors")?;
        if let [(one, _)] = &all[..] {
            return Ok(one.clone());
        }
        let shape: Vec<usize> = all.iter().map(|(_, t)| t.shape().elements()).collect();
        let part = |(i, (name, _)): (usize, &(String, &tensc::Tensor))| {
            let own = (0..shape.len()).map(|a| if a == i { shape[a] } else { 1 });
            format!("flatten(broadcast_to(reshape({name}, {}), {}))", list(own), list(&shape))
        };
        let parts: Vec<String> = all.iter().enumerate().map(part).collect();
        Ok(format!("stack([{}], axis = 1)", parts.join(", ")))
    }),
    code("combinations", "input r=2 with_replacement=false", |c| {
        let n = c.shape("input")?[0];
        let r = usize::try_from(c.int("r")?).map_err(|_| "combinations of a negative count")?;
        let chosen = choices(n, r, c.flag("with_replacement")?);
        if chosen.is_empty() || r == 0 {
            return Ok(format!("zeros([{}, {r}], {}) * sum(input)", chosen.len(), c.dtype));
        }
        let rows: Vec<String> = chosen.iter().map(list).collect();
        Ok(format!("take(input, [{}])", rows.join(", ")))
    }),
    code("fft.fftshift", "input dim=None", |c| rolled(c, |n| n / 2)),
    code("fft.ifftshift", "input dim=None", |c| rolled(c, |n| n - n / 2)),
    code("repeat_interleave", "input repeats dim=None output_size=None", repeat_interleave),
];

/// The last two axes exchanged; of less than two axes nothing is.
fn upright(c: &mut Call<'_>) -> Result<String, String> {
    Ok(match c.rank("input")? {
        0 | 1 => "input",
        _ => "swap_axes(input, -1, -2)",
    }
    .to_string())
}

/// Where the elements of a strided view are among those of the input in row-major order.
fn places(c: &Call<'_>) -> Result<Vec<i64>, String> {
    let (sizes, strides) = (c.ints("size")?, c.ints("stride")?);
    // Without a start the view begins where the input does, in what may be larger.
    let start = c.int("storage_offset")?;
    let mut all = vec![start];
    for (&size, &stride) in sizes.iter().zip(&strides) {
        all = all.iter().flat_map(|at| (0..size).map(move |i| at + i * stride)).collect();
    }
    let n: usize = c.shape("input")?.iter().product();
    match all.iter().all(|&at| (0..n as i64).contains(&at)) {
        true => Ok(all),
        false => Err("a view of what the input is a part of".to_string()),
    }
}

fn strided(c: &mut Call<'_>) -> Result<String, String> {
    let (places, sizes) = (places(c)?, c.ints("size")?);
    Ok(format!("reshape(take(flatten(input), {}), {})", list(places), list(sizes)))
}

fn block_diag(c: &mut Call<'_>) -> Result<String, String> {
    let all = c.tensors("tensors")?;
    let size = |t: &tensc::Tensor| match t.shape()[..] {
        [] => [1, 1],
        [n] => [1, n],
        [n, m, ..] => [n, m],
    };
    let total = all.iter().map(|(_, t)| size(t)).fold([0, 0], |s, n| [s[0] + n[0], s[1] + n[1]]);
    let mut at = [0, 0];
    let mut parts = Vec::new();
    for (name, tensor) in &all {
        let [n, m] = size(tensor);
        let high = [total[0] - at[0] - n, total[1] - at[1] - m];
        parts.push(format!("pad(reshape({name}, [{n}, {m}]), {}, {})", list(at), list(high)));
        at = [at[0] + n, at[1] + m];
    }
    Ok(parts.join(" + "))
}

/// All ways to choose `r` of `n` in order.
fn choices(n: usize, r: usize, again: bool) -> Vec<Vec<usize>> {
    let mut all = vec![Vec::new()];
    for _ in 0..r {
        let longer = |chosen: &Vec<usize>| {
            let first = chosen.last().map_or(0, |&last| last + usize::from(!again));
            (first..n).map(|i| [&chosen[..], &[i]].concat()).collect::<Vec<_>>()
        };
        all = all.iter().flat_map(longer).collect();
    }
    all
}

fn rolled(c: &mut Call<'_>, by: fn(usize) -> usize) -> Result<String, String> {
    let shape = c.shape("input")?;
    let axes = c.axes("dim", shape.len())?;
    let shifts = list(axes.iter().map(|&a| by(shape[a])));
    Ok(format!("roll(input, {shifts}, axis = {})", list(axes)))
}

/// The numbers of times are read: they decide the shape.
fn repeat_interleave(c: &mut Call<'_>) -> Result<String, String> {
    let shape = c.shape("input")?;
    let (x, axis, n) = match c.has("dim") {
        true => {
            let axis = c.axis("dim", shape.len())?;
            ("input".to_string(), axis, shape[axis])
        }
        false => ("flatten(input)".to_string(), 0, shape.iter().product()),
    };
    let times: Vec<usize> = match c.arg("repeats") {
        Arg::Tensor(name) => c.input(name).to_f64_vec().iter().map(|&t| t as usize).collect(),
        _ => vec![usize::try_from(c.int("repeats")?).map_err(|_| "negative repeats")?],
    };
    let of = |i: usize| if times.len() == 1 { times[0] } else { times[i] };
    let places: Vec<usize> = (0..n).flat_map(|i| vec![i; of(i)]).collect();
    if places.is_empty() {
        let rank = if c.has("dim") { shape.len() } else { 1 };
        let x = c.bind(x);
        return Ok(format!("{x}[{}]", at_axis(rank, axis, ":0")));
    }
    Ok(format!("take({x}, {}, axis = {axis})", list(places)))
}
