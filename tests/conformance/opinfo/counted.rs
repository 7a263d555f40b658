//! Operations whose results have as many elements as the data say.
//!
//! A program is for sizes that are known when it is compiled, so how many elements there are is
//! counted here, in the data; which ones they are the program finds.

use super::call::{Call, Row, code, list};
use super::shape::tuple;
use std::cmp::Ordering;
use tensc::Tensor;

pub const ROWS: &[Row] = &[
    code("argwhere", "input", |c| {
        let n = count(c, "input")?;
        places(c, n)
    }),
    code("bincount", "input weights=None minlength=0", |c| {
        let values = c.tensor("input")?.to_f64_vec();
        let most = values.iter().map(|&x| x as i64 + 1).max().unwrap_or(0);
        let n = most.max(c.int("minlength")?);
        Ok(match c.has("weights") {
            true => {
                let dtype = c.dtype;
                format!("scatter_add(zeros([{n}], {dtype}), i64(input), {dtype}(weights))")
            }
            false => format!("bincount(i64(input), {n})"),
        })
    }),
    code("masked_select", "input mask", |c| {
        let (a, b) = (c.shape("input")?, c.shape("mask")?);
        let rank = a.len().max(b.len());
        let size = |own: &[usize], axis: usize| {
            (own.len() + axis).checked_sub(rank).map_or(1, |at| own[at])
        };
        // An axis of none stays so beside one of one.
        let shape: Vec<usize> = (0..rank)
            .map(|axis| match (size(&a, axis), size(&b, axis)) {
                (1, n) | (n, _) => n,
            })
            .collect();
        let times = shape.iter().product::<usize>() / b.iter().product::<usize>().max(1);
        let n = count(c, "mask")? * times;
        let shape = list(shape);
        let [x, mask] =
            ["input", "mask"].map(|name| c.bind(format!("broadcast_to({name}, {shape})")));
        Ok(format!("take(flatten({x}), nonzero({mask}, {n}))"))
    }),
    code("nonzero", "input as_tuple=false", |c| {
        let n = count(c, "input")?;
        let all = places(c, n)?;
        if !c.flag("as_tuple")? {
            return Ok(all);
        }
        let all = c.bind(all);
        match c.rank("input")? {
            // A scalar has one axis by courtesy.
            0 => Ok(format!("nonzero(input, {n})")),
            rank => tuple((0..rank).map(|a| format!("{all}[:, {a}]")).collect()),
        }
    }),
    code("nonzero_static", "input size fill_value:fill=-1", |c| {
        let n = usize::try_from(c.int("size")?).map_err(|_| "a negative size")?;
        let all = places(c, n)?;
        Ok(match c.rank("input")? {
            0 => all,
            _ => format!("where(nonzero(input, {n})[:, None] >= 0, {all}, fill)"),
        })
    }),
    code("unique", UNIQUE, |c| distinct(c, false)),
    code("unique_consecutive", RUNS, |c| distinct(c, true)),
];

const RUNS: &str = "input return_inverse=false return_counts=false dim=None";
const UNIQUE: &str = "input sorted=true return_inverse=false return_counts=false dim=None";

/// Elements, or slices along an axis: each once, in order; or each once for every run of its like.
fn distinct(c: &mut Call<'_>, runs: bool) -> Result<String, String> {
    let shape = c.shape("input")?;
    let axis = match c.has("dim") && !shape.is_empty() {
        true => Some(c.axis("dim", shape.len())?),
        false => None,
    };
    // As rows: one for each element, or for each slice.
    let mut rest = shape.clone();
    let (rows, len) = match axis {
        Some(at) => (rest.remove(at), rest.iter().product::<usize>()),
        None => (shape.iter().product(), 1),
    };
    let front = match axis {
        Some(at) => {
            let order = [at].into_iter().chain((0..shape.len()).filter(|&a| a != at));
            format!("transpose(input, {})", list(order))
        }
        None => "input".to_string(),
    };
    let values = c.tensor("input")?.to_f64_vec();
    let stride: usize = axis.map_or(1, |at| shape[at + 1..].iter().product());
    let place = |row: usize, i: usize| (i / stride * rows + row) * stride + i % stride;
    let row = |r: usize| (0..len).map(|i| values[place(r, i)]).collect::<Vec<f64>>();
    let mut all: Vec<Vec<f64>> = (0..rows).map(row).collect();
    if !runs {
        all.sort_by(|a, b| a.partial_cmp(b).unwrap_or(Ordering::Equal));
    }
    all.dedup();
    let n = all.len();
    let x = c.bind(format!("reshape({front}, [{rows}, {len}])"));
    let parts = match rows {
        0 => format!("({x}, zeros([0], i64), zeros([0], i64))"),
        _ if runs => format!("stats.runs({x}, {n})"),
        _ => format!("stats.unique({x}, {n})"),
    };
    let parts = c.bind(parts);
    let distinct = match axis {
        Some(at) => {
            let back = (1..=at).chain([0]).chain(at + 1..shape.len());
            let wide = list([n].iter().chain(&rest));
            format!("transpose(reshape({parts}.0, {wide}), {})", list(back))
        }
        None => format!("reshape({parts}.0, [{n}])"),
    };
    let mut results = vec![distinct];
    if c.flag("return_inverse")? {
        results.push(match axis {
            Some(_) => format!("{parts}.1"),
            None => format!("reshape({parts}.1, {})", list(&shape)),
        });
    }
    if c.flag("return_counts")? {
        results.push(format!("{parts}.2"));
    }
    tuple(results)
}

/// How many elements are not 0.
fn count(c: &Call<'_>, name: &str) -> Result<usize, String> {
    Ok(non_zeros(c.tensor(name)?))
}

fn non_zeros(tensor: &Tensor) -> usize {
    tensor.to_f64_vec().iter().filter(|&&x| x != 0.0).count()
}

/// The places of so many elements that are not 0, a row of positions along the axes for each.
fn places(c: &mut Call<'_>, n: usize) -> Result<String, String> {
    let shape = c.shape("input")?;
    if shape.is_empty() {
        return Ok(format!("zeros([{n}, 0], i64)"));
    }
    let at = c.bind(format!("nonzero(input, {n})"));
    let along = |a: usize| {
        let below: usize = shape[a + 1..].iter().product();
        format!("{at} / {} % {}", below.max(1), shape[a].max(1))
    };
    let all: Vec<String> = (0..shape.len()).map(along).collect();
    Ok(format!("stack([{}], axis = 1)", all.join(", ")))
}

/// The places where a mask is true, along its axis.
pub fn of_mask(c: &mut Call<'_>, mask: &str) -> Option<String> {
    let tensor = c.input(mask);
    if tensor.dtype() != tensc::DType::Bool || tensor.shape().len() != 1 {
        return None;
    }
    Some(c.bind(format!("nonzero({mask}, {})", non_zeros(tensor))))
}
