//! Operations whose results have as many elements as the data say.
//!
//! A program is for sizes that are known when it is compiled, so how many elements there are is
//! counted here, in the data; which ones they are the program finds.

use super::call::{Call, Row, code, list};
use super::shape::tuple;
use tensc::Tensor;

pub const ROWS: &[Row] = &[
    code("argwhere", "input", |c| {
        let n = count(c, "input")?;
        places(c, n)
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
        tuple((0..c.rank("input")?).map(|a| format!("{all}[:, {a}]")).collect())
    }),
    code("nonzero_static", "input size fill_value:fill=-1", |c| {
        let n = usize::try_from(c.int("size")?).map_err(|_| "a negative size")?;
        let all = places(c, n)?;
        Ok(match c.rank("input")? {
            0 => all,
            _ => format!("where(nonzero(input, {n})[:, None] >= 0, {all}, fill)"),
        })
    }),
    code("unique", UNIQUE, |c| {
        if c.has("dim") && c.rank("input")? > 1 {
            return c.unknown("dim");
        }
        let mut values = c.tensor("input")?.to_f64_vec();
        values.sort_by(f64::total_cmp);
        values.dedup();
        let n = values.len();
        let sorted = c.bind("sort(flatten(input))");
        let starts = c.bind(format!("{sorted}[1:] != {sorted}[:-1]"));
        let first = match n {
            0 => "zeros([0], i64)".to_string(),
            _ => format!("concat([[0], nonzero({starts}, {}) + 1])", n - 1),
        };
        let first = c.bind(first);
        let distinct = c.bind(format!("take({sorted}, {first})"));
        let mut all = vec![distinct.clone()];
        if c.flag("return_inverse")? {
            all.push(format!("searchsorted({distinct}, input)"));
        }
        if c.flag("return_counts")? {
            let all_counts = match n {
                0 => first,
                _ => format!("concat([{first}[1:], [size({sorted})]]) - {first}"),
            };
            all.push(all_counts);
        }
        tuple(all)
    }),
];

const UNIQUE: &str = "input sorted=true return_inverse=false return_counts=false dim=None";

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
