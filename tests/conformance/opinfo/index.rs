//! Indexing: parts at computed places, and changing them.

use super::binary::of;
use super::call::{Arg, Call, Row, code, list, text};
use super::shape::range_of;

pub const ROWS: &[Row] = &[
    code("__getitem__", "input index", item),
    code("diag", "input diagonal:offset=0", |c| {
        Ok(match c.rank("input")? {
            1 => "diag_embed(input, offset = offset)",
            _ => "diagonal(input, offset = offset)",
        }
        .to_string())
    }),
    text("diagflat", "input offset=0", "diag_embed(flatten(input), offset = offset)"),
    text(
        "diag_embed",
        "input offset=0 dim1:a=-2 dim2:b=-1",
        "diag_embed(input, offset = offset, axis1 = a, axis2 = b)",
    ),
    text(
        "diagonal",
        "input offset=0 dim1:a=0 dim2:b=1",
        "diagonal(input, offset = offset, axis1 = a, axis2 = b)",
    ),
    code("diagonal_scatter", "input src offset=0 dim1:a=0 dim2:b=1", |c| {
        let part = "offset = offset, axis1 = a, axis2 = b";
        let wide = c.bind(format!("diag_embed(src, {part})"));
        let (shape, rank) = (c.shape("input")?, c.rank("input")?);
        let (offset, a, b) = (c.int("offset")?, c.axis("a", rank)?, c.axis("b", rank)?);
        if shape.iter().product::<usize>() == 0 {
            return Ok("input".to_string());
        }
        // Where the matrix is not square, what is embedded is larger or smaller than the matrix.
        let len = c.shape("src")?.last().copied().unwrap_or(0) + offset.unsigned_abs() as usize;
        let fit = |axis: usize| if axis == a || axis == b { len } else { shape[axis] };
        let ranges: Vec<String> = (0..rank).map(|x| format!(":{}", fit(x).min(shape[x]))).collect();
        let high = (0..rank).map(|x| shape[x] - fit(x).min(shape[x]));
        let zeros = list(vec![0; rank]);
        let wide = c.bind(format!("pad({wide}[{}], {zeros}, {})", ranges.join(", "), list(high)));
        let mask =
            format!("arange({})[None, :] == arange({})[:, None] + offset", shape[b], shape[a]);
        let mask = c.bind(mask);
        let mask = if a < b { mask } else { c.bind(format!("transpose({mask})")) };
        let wide_shape = (0..rank).map(|x| if x == a || x == b { shape[x] } else { 1 });
        let mask = c.bind(format!("reshape({mask}, {})", list(wide_shape)));
        Ok(format!("where({mask}, {wide}, input)"))
    }),
    code("gather", "input dim index sparse_grad=false", |c| {
        let of = c.shape("index")?;
        if of.contains(&0) && of.len() != c.rank("input")? {
            return Ok(format!("zeros({}, {}) * sum(input)", list(of), c.dtype));
        }
        let (x, index, axis) = aligned(c)?;
        let taken = c.bind(format!("take_along_axis({x}, {index}, {axis})"));
        Ok(match c.rank("index")? {
            0 => format!("reshape({taken}, [])"),
            _ => taken,
        })
    }),
    code("index_add", "input dim index source alpha=1", |c| {
        let (x, axis) = super::reduce::with_axis(c, "dim")?;
        let (index, source) = vectors(c, "source")?;
        let done = c.bind(format!("scatter_add({x}, {index}, alpha * {source}, axis = {axis})"));
        super::reduce::scalar_again(c, &done)
    }),
    code("index_copy", "input dim index source", |c| {
        let (x, axis) = super::reduce::with_axis(c, "dim")?;
        let (index, source) = vectors(c, "source")?;
        let hits = c.bind(hits(c, axis, &index)?);
        let moved =
            c.bind(format!("scatter_add(zeros_like({x}), {index}, {source}, axis = {axis})"));
        let done = c.bind(format!("where({hits}, {moved}, {x})"));
        super::reduce::scalar_again(c, &done)
    }),
    code("index_fill", "input dim index value", |c| {
        let (x, axis) = super::reduce::with_axis(c, "dim")?;
        let index = c.bind("reshape(index, [-1])");
        let hits = hits(c, axis, &index)?;
        let done = c.bind(format!("where({hits}, value, {x})"));
        super::reduce::scalar_again(c, &done)
    }),
    code("index_select", "input dim index", |c| {
        let (x, axis) = super::reduce::with_axis(c, "dim")?;
        let index = c.bind("reshape(index, [-1])");
        let done = c.bind(format!("take({x}, {index}, axis = {axis})"));
        super::reduce::scalar_again(c, &done)
    }),
    code("masked_fill", "input mask value", |c| of(c, "where(mask, value, input)")),
    code("scatter", "input dim index src", |c| scattered(c, false)),
    code("scatter_add", "input dim index src", |c| scattered(c, true)),
    code("select_scatter", "input src dim index", |c| {
        let (shape, rank) = (c.shape("input")?, c.rank("input")?);
        let axis = c.axis("dim", rank)?;
        let at = c.int("index")?;
        let at = if at < 0 { at + shape[axis] as i64 } else { at };
        let wide = (0..rank).map(|a| if a == axis { shape[axis] } else { 1 });
        let hit = c.bind(format!("reshape(arange({}) == {at}, {})", shape[axis], list(wide)));
        Ok(format!("where({hit}, expand(src, {axis}), input)"))
    }),
    code("slice_scatter", "input src dim=0 start=None end=None step=1", |c| {
        let (shape, rank) = (c.shape("input")?, c.rank("input")?);
        let axis = c.axis("dim", rank)?;
        let parts = ["start", "end", "step"].map(|name| c.arg(name).clone());
        let range = range_of(&parts, shape[axis]).ok_or("these bounds of a slice")?;
        let index = c.bind(format!("arange({})[{range}]", shape[axis]));
        let hits = c.bind(hits(c, axis, &index)?);
        Ok(format!(
            "where({hits}, scatter_add(zeros_like(input), {index}, src, axis = {axis}), input)"
        ))
    }),
    text("take", "input index", "take(flatten(input), index)"),
    code("take_along_dim", "input index dim=None", |c| {
        if !c.has("dim") {
            return Ok("take_along_axis(flatten(input), flatten(index), 0)".to_string());
        }
        let (rank, shape, of) = (c.rank("input")?, c.shape("input")?, c.shape("index")?);
        let axis = c.axis("dim", rank)?;
        // Apart from the axis, the two broadcast.
        let common = |a: usize| shape[a].max(of[a]);
        let size =
            |own: &[usize]| list((0..rank).map(|a| if a == axis { own[a] } else { common(a) }));
        Ok(format!(
            "take_along_axis(broadcast_to(input, {}), broadcast_to(index, {}), {axis})",
            size(&shape),
            size(&of)
        ))
    }),
    text("tril", "input diagonal:offset=0", "tril(input, offset = offset)"),
    text("triu", "input diagonal:offset=0", "triu(input, offset = offset)"),
    code("nn.functional.one_hot", "input num_classes=-1", |c| {
        let most = c.tensor("input")?.to_f64_vec().into_iter().fold(-1.0, f64::max);
        // As many as the data have, where none are said.
        let classes = match c.int("num_classes")? {
            -1 => most as i64 + 1,
            n => n,
        };
        Ok(format!("one_hot(input, {classes}, dtype = i64)"))
    }),
];

/// `x[…]`
fn item(c: &mut Call<'_>) -> Result<String, String> {
    let shape = c.shape("input")?;
    let parts = match c.arg("index").clone() {
        Arg::Tuple(parts) => parts,
        one => vec![one],
    };
    let takes = |arg: &Arg| !matches!(arg, Arg::None | Arg::Ellipsis);
    let taken = parts.iter().filter(|arg| takes(arg)).count();
    let mut axis = 0;
    let mut written = Vec::new();
    for part in &parts {
        written.push(match part {
            Arg::None => "None".to_string(),
            Arg::Ellipsis => {
                axis += shape.len() - taken;
                "...".to_string()
            }
            Arg::Slice(bounds) => {
                let size = *shape.get(axis).ok_or("more indices than axes")?;
                axis += 1;
                range_of(bounds, size).ok_or("these bounds of a slice")?
            }
            Arg::Int(n) => {
                axis += 1;
                n.to_string()
            }
            Arg::Tensor(name) if c.input(name).dtype() == tensc::DType::Bool => {
                axis += 1;
                super::counted::of_mask(c, name).ok_or("a mask over several axes")?
            }
            Arg::Tensor(_) | Arg::List(_) => {
                axis += 1;
                part.tx().ok_or("an index of this form")?
            }
            _ => return Err("an index of this form".to_string()),
        });
    }
    match written.is_empty() {
        true => Ok("input".to_string()),
        false => Ok(format!("input[{}]", written.join(", "))),
    }
}

/// The index as a vector, and what goes there with as many axes as the operand has.
fn vectors(c: &mut Call<'_>, source: &str) -> Result<(String, String), String> {
    let index = c.bind("reshape(index, [-1])");
    let wide = c.rank("input")?.max(1);
    let of = c.rank(source)?;
    let source = match of < wide {
        true => c.bind(format!("reshape({source}, {})", list(vec![1; wide]))),
        false => source.to_string(),
    };
    Ok((index, source))
}

/// Whether a position along the axis is among the indices, as a mask that broadcasts.
fn hits(c: &Call<'_>, axis: usize, index: &str) -> Result<String, String> {
    let shape = c.shape("input")?;
    let n = shape.get(axis).copied().unwrap_or(1);
    let wide = (0..shape.len().max(1)).map(|a| if a == axis { n } else { 1 });
    let counts = format!("scatter_add(zeros([{n}], i64), {index}, ones_like({index}))");
    Ok(format!("reshape({counts} > 0, {})", list(wide)))
}

/// The operand cut to the index along the other axes, the index, and the axis.
fn aligned(c: &mut Call<'_>) -> Result<(String, String, usize), String> {
    let (x, axis) = super::reduce::with_axis(c, "dim")?;
    let (shape, of) = (c.shape("input")?, c.shape("index")?);
    let index = if of.is_empty() { c.bind("reshape(index, [1])") } else { "index".to_string() };
    let cut: Vec<String> = (0..shape.len())
        .map(|a| match a == axis || of.get(a).is_none_or(|&n| n == shape[a]) {
            true => ":".to_string(),
            false => format!(":{}", of[a]),
        })
        .collect();
    let x = match cut.iter().all(|range| range == ":") {
        true => x,
        false => c.bind(format!("{x}[{}]", cut.join(", "))),
    };
    Ok((x, index, axis))
}

/// Each element of `src` goes where the index says along the axis: added, or in the place of what
/// is there.
fn scattered(c: &mut Call<'_>, add: bool) -> Result<String, String> {
    let (x, axis) = super::reduce::with_axis(c, "dim")?;
    let (shape, of) = (c.shape("input")?, c.shape("index")?);
    if of.iter().product::<usize>() == 0 {
        return Ok("input".to_string());
    }
    let (index, src) = match of.is_empty() {
        true => (c.bind("reshape(i64(index), [1])"), "reshape(src, [1])".to_string()),
        false => (c.bind("i64(index)"), "src".to_string()),
    };
    let src = match c.arg("src") {
        Arg::Int(_) | Arg::Float(_) => {
            let sizes = list(if of.is_empty() { vec![1] } else { of.clone() });
            c.bind(format!("full({sizes}, src, {})", c.dtype))
        }
        _ if of.is_empty() => c.bind(src),
        _ => {
            let ranges: Vec<String> = of.iter().map(|n| format!(":{n}")).collect();
            c.bind(format!("{src}[{}]", ranges.join(", ")))
        }
    };
    let narrow = (0..shape.len()).any(|a| a != axis && of[a] != shape[a]);
    if narrow {
        // What the index does not reach along the other axes stays.
        let part = (0..shape.len()).map(|a| if a == axis { shape[a] } else { of[a] });
        let part: Vec<usize> = part.collect();
        let high = (0..shape.len()).map(|a| shape[a] - part[a]);
        let zeros = list(vec![0; shape.len()]);
        let sums =
            format!("add_along_axis(zeros({}, {}), {index}, {src}, {axis})", list(&part), c.dtype);
        let sums = c.bind(sums);
        let high = list(high);
        let wide = c.bind(format!("pad({sums}, {zeros}, {high})"));
        if add {
            return Ok(format!("{x} + {wide}"));
        }
        let hits = c.bind(format!(
            "add_along_axis(zeros({}, i64), {index}, ones_like({index}), {axis}) > 0",
            list(&part)
        ));
        let hits = c.bind(format!("pad({hits}, {zeros}, {high}, value = false)"));
        return Ok(format!("where({hits}, {wide}, {x})"));
    }
    let done = match add {
        true => c.bind(format!("add_along_axis({x}, {index}, {src}, {axis})")),
        false => {
            let hit = c.bind(format!(
                "add_along_axis(zeros_like(i64({x})), {index}, ones_like({index}), {axis}) > 0"
            ));
            let sums = format!("add_along_axis(zeros_like({x}), {index}, {src}, {axis})");
            c.bind(format!("where({hit}, {sums}, {x})"))
        }
    };
    super::reduce::scalar_again(c, &done)
}
