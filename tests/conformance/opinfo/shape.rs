//! Functions that move elements: views, joins, parts.

use super::call::{Arg, Call, Row, code, list, text};

pub const ROWS: &[Row] = &[
    code("atleast_1d", "*tensors", |c| at_least(c, 1)),
    code("atleast_2d", "*tensors", |c| at_least(c, 2)),
    code("atleast_3d", "*tensors", |c| at_least(c, 3)),
    text("broadcast_to", "input size", "broadcast_to(input, size)"),
    code("cat", "tensors dim=0", concat),
    code("chunk", "input chunks dim=0", chunk),
    code("column_stack", "*tensors", |c| joined(c, 1, &|rank| (rank < 2).then_some("[-1, 1]"))),
    code("constant_pad_nd", "input pad:margins value=0", |c| padded(c, "constant")),
    code("nn.functional.pad", "input pad:margins mode=\"constant\" value=None", |c| {
        let mode = c.word("mode")?.to_string();
        padded(c, &mode)
    }),
    code("_chunk_cat", "tensors dim num_chunks", chunks_joined),
    code("dstack", "*tensors", |c| {
        joined(c, 2, &|rank| match rank {
            0 | 1 => Some("[1, -1, 1]"),
            2 => Some("[size(x, 0), size(x, 1), 1]"),
            _ => None,
        })
    }),
    code("expand", "input *sizes", |c| {
        let (shape, sizes) = (c.shape("input")?, c.ints("sizes")?);
        let lead = sizes.len() - shape.len().min(sizes.len());
        let size = |(i, n): (usize, &i64)| if *n < 0 { shape[i - lead] as i64 } else { *n };
        let sizes: Vec<i64> = sizes.iter().enumerate().map(size).collect();
        Ok(format!("broadcast_to(input, {})", list(sizes)))
    }),
    code("expand_as", "input other", |c| {
        Ok(format!("broadcast_to(input, {})", list(c.shape("other")?)))
    }),
    code("flatten", "input start_dim=0 end_dim=-1", flatten),
    code("flip", "input *dims", |c| {
        let rank = c.rank("input")?;
        if c.arg("dims").items().is_some_and(<[Arg]>::is_empty) {
            return Ok("input".to_string());
        }
        Ok(format!("flip(input, axis = {})", list(c.axes("dims", rank)?)))
    }),
    text("fliplr", "input", "flip(input, axis = 1)"),
    text("flipud", "input", "flip(input, axis = 0)"),
    code("hsplit", "input indices_or_sections:cuts", |c| {
        let axis = usize::from(c.rank("input")? > 1);
        cut(c, axis)
    }),
    code("vsplit", "input indices_or_sections:cuts", |c| cut(c, 0)),
    code("dsplit", "input indices_or_sections:cuts", |c| cut(c, 2)),
    code("hstack", "*tensors", |c| {
        let axis = usize::from(!c.tensors("tensors")?.iter().all(|(_, t)| t.shape().len() < 2));
        joined(c, axis, &|rank| (rank == 0).then_some("[1]"))
    }),
    code("meshgrid", "*tensors indexing=\"ij\"", meshgrid),
    code("moveaxis", "input source destination", moved),
    code("movedim", "input source destination", moved),
    code("narrow", "input dim start length", narrow),
    code("permute", "input *dims", |c| {
        let rank = c.rank("input")?;
        if rank == 0 {
            return Ok("input".to_string());
        }
        Ok(format!("transpose(input, {})", list(c.axes("dims", rank)?)))
    }),
    text("ravel", "input", "flatten(input)"),
    code("repeat", "input *reps", |c| Ok(format!("tile(input, {})", list(c.ints("reps")?)))),
    code("reshape", "input *sizes", view),
    code("reshape_as", "input other", |c| {
        Ok(format!("reshape(input, {})", list(c.shape("other")?)))
    }),
    code("roll", "input shifts dims=None", roll),
    code("rot90", "input k=1 dims=[0,1]", rot90),
    code("select", "input dim index", |c| {
        let rank = c.rank("input")?;
        let axis = c.axis("dim", rank)?;
        Ok(format!("input[{}]", at_axis(rank, axis, &c.int("index")?.to_string())))
    }),
    code("slice", "input dim=0 start=None end=None step=1", |c| {
        let shape = c.shape("input")?;
        let axis = c.axis("dim", shape.len())?;
        let parts = ["start", "end", "step"].map(|name| c.arg(name).clone());
        let range = range_of(&parts, shape[axis]).ok_or("these bounds of a slice")?;
        Ok(format!("input[{}]", at_axis(shape.len(), axis, &range)))
    }),
    code("resize_", "input *sizes", resized),
    code("resize_as_", "input other", resized),
    code("split", "input split_size dim=0", split),
    code("squeeze", "input dim=None", |c| {
        let shape = c.shape("input")?;
        if c.arg("dim").items().is_some_and(<[Arg]>::is_empty) {
            return Ok("input".to_string());
        }
        let axes = c.axes("dim", shape.len())?;
        let axes = axes.into_iter().filter(|&a| shape.get(a) == Some(&1));
        Ok(format!("squeeze(input, axis = {})", list(axes)))
    }),
    code("stack", "tensors dim=0", |c| {
        let rank = c.tensors("tensors")?[0].1.shape().len();
        Ok(format!("stack(tensors, axis = {})", c.axis("dim", rank + 1)?))
    }),
    text("swapaxes", "input a b", "swap_axes(input, a, b)"),
    code("t", "input", |c| {
        Ok(if c.rank("input")? < 2 { "input" } else { "swap_axes(input, 0, 1)" }.to_string())
    }),
    code("tensor_split", "input cuts dim=0", |c| {
        let rank = c.rank("input")?;
        let axis = c.axis("dim", rank)?;
        cut(c, axis)
    }),
    code("tile", "input *dims", |c| {
        let (rank, reps) = (c.rank("input")?, c.ints("dims")?);
        let lead = vec![1; rank.saturating_sub(reps.len())];
        Ok(format!("tile(input, {})", list(lead.into_iter().chain(reps))))
    }),
    code("transpose", "input dim0 dim1", |c| {
        let rank = c.rank("input")?;
        if rank == 0 {
            return Ok("input".to_string());
        }
        Ok(format!("swap_axes(input, {}, {})", c.axis("dim0", rank)?, c.axis("dim1", rank)?))
    }),
    code("swapdims", "input dim0 dim1", |c| {
        let rank = c.rank("input")?;
        Ok(format!("swap_axes(input, {}, {})", c.axis("dim0", rank)?, c.axis("dim1", rank)?))
    }),
    code("unbind", "input dim=0", |c| {
        let shape = c.shape("input")?;
        let axis = c.axis("dim", shape.len())?;
        let part = |i: usize| format!("input[{}]", at_axis(shape.len(), axis, &i.to_string()));
        tuple((0..shape[axis]).map(part).collect())
    }),
    code("unflatten", "input dim sizes", |c| {
        let shape = c.shape("input")?;
        let axis = c.axis("dim", shape.len())?;
        let before = shape[..axis].iter().map(|&n| n as i64);
        let after = shape[axis + 1..].iter().map(|&n| n as i64);
        Ok(format!("reshape(input, {})", list(before.chain(c.ints("sizes")?).chain(after))))
    }),
    code("unfold", "input dimension size step", unfold),
    code("unsqueeze", "input dim", |c| {
        let rank = c.rank("input")?;
        Ok(format!("expand(input, {})", c.axis("dim", rank + 1)?))
    }),
    code("view", "input *sizes", view),
    code("view_as", "input other", |c| Ok(format!("reshape(input, {})", list(c.shape("other")?)))),
    code("vstack", "*tensors", |c| joined(c, 0, &|rank| (rank < 2).then_some("[1, -1]"))),
];

/// Results as a tuple; one alone is itself.
pub fn tuple(parts: Vec<String>) -> Result<String, String> {
    match parts.as_slice() {
        [] => Err("no results".to_string()),
        [one] => Ok(one.clone()),
        many => Ok(format!("({})", many.join(", "))),
    }
}

/// An index that says something of one axis only.
pub fn at_axis(rank: usize, axis: usize, index: &str) -> String {
    let items: Vec<&str> = (0..rank).map(|a| if a == axis { index } else { ":" }).collect();
    items.join(", ")
}

/// A slice of Python on an axis of this size, its bounds brought inside.
pub fn range_of(parts: &[Arg], size: usize) -> Option<String> {
    let n = size as i64;
    let [start, stop, step] = parts else { return None };
    let part = |arg: &Arg| match arg {
        Arg::None => Some(None),
        Arg::Int(i) => Some(Some(*i)),
        _ => None,
    };
    let (start, stop, step) = (part(start)?, part(stop)?, part(step)?.unwrap_or(1));
    let (low, high) = if step > 0 { (0, n) } else { (-1, n - 1) };
    let inside = |i: i64| (if i < 0 { i + n } else { i }).clamp(low, high);
    let first = start.map_or(if step > 0 { 0 } else { n - 1 }, inside);
    let last = stop.map_or(if step > 0 { n } else { -1 }, inside);
    let last = if step > 0 { last.max(first) } else { last.min(first) };
    Some(match last {
        -1 => format!("{first}::{step}"),
        last => format!("{first}:{last}:{step}"),
    })
}

fn concat(c: &mut Call<'_>) -> Result<String, String> {
    // A vector without elements goes with anything.
    let all = c.tensors("tensors")?;
    let rank = all.iter().map(|(_, t)| t.shape().len()).max().unwrap_or(0);
    let parts: Vec<&str> = (all.iter())
        .filter(|(_, t)| t.shape().len() == rank || t.shape()[..] != [0])
        .map(|(name, _)| name.as_str())
        .collect();
    Ok(format!("concat([{}], axis = {})", parts.join(", "), c.axis("dim", rank)?))
}

/// Tensors of at least the rank that joining needs, joined.
fn joined(
    c: &mut Call<'_>,
    axis: usize,
    shape: &dyn Fn(usize) -> Option<&'static str>,
) -> Result<String, String> {
    let mut parts = Vec::new();
    for (name, tensor) in c.tensors("tensors")? {
        parts.push(match shape(tensor.shape().len()) {
            None => name,
            Some(sizes) => {
                let sizes = sizes.replace('x', &name);
                c.bind(format!("reshape({name}, {sizes})"))
            }
        });
    }
    Ok(format!("concat([{}], axis = {axis})", parts.join(", ")))
}

fn pieces(c: &mut Call<'_>, axis: usize, sizes: &[i64]) -> Result<String, String> {
    let rank = c.rank("input")?;
    let mut start = 0;
    let mut parts = Vec::new();
    for size in sizes {
        let range = format!("{start}:{}", start + size);
        parts.push(format!("input[{}]", at_axis(rank, axis, &range)));
        start += size;
    }
    tuple(parts)
}

fn chunk(c: &mut Call<'_>) -> Result<String, String> {
    let shape = c.shape("input")?;
    let axis = c.axis("dim", shape.len())?;
    let n = shape[axis] as i64;
    let size = (n + c.int("chunks")? - 1) / c.int("chunks")?;
    pieces(c, axis, &equal(n, size))
}

/// Pieces of one size, the last perhaps smaller.
fn equal(n: i64, size: i64) -> Vec<i64> {
    let size = size.max(1);
    (0..(n + size - 1) / size).map(|i| size.min(n - i * size)).collect()
}

/// Each cut into so many parts of one size, with zeros where elements are missing, and laid flat
/// behind that axis; then joined.
fn chunks_joined(c: &mut Call<'_>) -> Result<String, String> {
    let parts = usize::try_from(c.int("num_chunks")?).map_err(|_| "chunks of a negative number")?;
    let mut flat = Vec::new();
    let mut at = 0;
    for (name, tensor) in c.tensors("tensors")? {
        let shape = tensor.shape();
        at = c.axis("dim", shape.len())?;
        let missing = shape[at].div_ceil(parts) * parts - shape[at];
        let high = list((0..shape.len()).map(|a| if a == at { missing } else { 0 }));
        let low = list(vec![0; shape.len()]);
        let lead = shape[..at].iter().copied().chain([parts]).map(|n| n.to_string());
        let wide = list(lead.chain(["-1".to_string()]));
        flat.push(c.bind(format!("reshape(pad({name}, {low}, {high}), {wide})")));
    }
    Ok(format!("concat([{}], axis = {})", flat.join(", "), at + 1))
}

fn split(c: &mut Call<'_>) -> Result<String, String> {
    let shape = c.shape("input")?;
    let axis = c.axis("dim", shape.len())?;
    let sizes = match c.arg("split_size") {
        Arg::Int(size) => equal(shape[axis] as i64, *size),
        _ => c.ints("split_size")?,
    };
    pieces(c, axis, &sizes)
}

/// Each with so many axes at least: of a vector the second of two, the middle one of three.
fn at_least(c: &mut Call<'_>, axes: usize) -> Result<String, String> {
    let widened = |(name, tensor): (String, &tensc::Tensor)| {
        let sizes: Vec<usize> = match (axes, &tensor.shape()[..]) {
            (_, sizes) if sizes.len() >= axes => return name,
            (_, []) => vec![1; axes],
            (2, [n]) => vec![1, *n],
            (_, [n]) => vec![1, *n, 1],
            (_, sizes) => sizes.iter().copied().chain([1]).collect(),
        };
        format!("reshape({name}, {})", list(sizes))
    };
    tuple(c.tensors("tensors")?.into_iter().map(widened).collect())
}

/// Cut into so many parts, or before these places.
fn cut(c: &mut Call<'_>, axis: usize) -> Result<String, String> {
    let shape = c.shape("input")?;
    let n = shape[axis] as i64;
    // Places, or how many parts, decide the shapes: those of a tensor are read.
    let read = |name: &String| -> Vec<i64> {
        c.input(name).to_f64_vec().iter().map(|&at| at as i64).collect()
    };
    let cuts = match c.arg("cuts") {
        Arg::Tensor(name) if c.input(name).shape().is_empty() => Arg::Int(read(name)[0]),
        Arg::Tensor(name) => Arg::List(read(name).into_iter().map(Arg::Int).collect()),
        given => given.clone(),
    };
    let sizes: Vec<i64> = match &cuts {
        Arg::Int(count) => (0..*count).map(|i| n / count + i64::from(i < n % count)).collect(),
        _ => {
            let inside = |i: i64| (if i < 0 { i + n } else { i }).clamp(0, n);
            let place = |cut: &Arg| match cut {
                Arg::Int(at) => Ok(inside(*at)),
                _ => c.unknown("cuts"),
            };
            let cuts = cuts.items().ok_or("cuts of this form")?;
            let cuts = cuts.iter().map(place).collect::<Result<Vec<_>, String>>()?;
            let ends: Vec<i64> = [0].into_iter().chain(cuts).chain([n]).collect();
            ends.windows(2).map(|w| (w[1] - w[0]).max(0)).collect()
        }
    };
    pieces(c, axis, &sizes)
}

/// `pad` lists the last axis first, two numbers an axis; a negative one crops.
fn padded(c: &mut Call<'_>, mode: &str) -> Result<String, String> {
    let shape = c.shape("input")?;
    let pads = c.ints("margins")?;
    let rank = shape.len();
    if pads.len() % 2 != 0 || pads.len() / 2 > rank {
        return c.unknown("margins");
    }
    let of = |axis: usize, side: usize| pads.get(2 * (rank - 1 - axis) + side).copied();
    let at = |axis: usize, side: usize| of(axis, side).unwrap_or(0);
    let how = match mode {
        "constant" if c.has("value") => ", value = value",
        "constant" => ", value = 0.0",
        "reflect" => ", mode = \"reflect\"",
        "replicate" => ", mode = \"edge\"",
        "circular" => ", mode = \"wrap\"",
        _ => return c.unknown("mode"),
    };
    let low = list((0..rank).map(|a| at(a, 0).max(0)));
    let high = list((0..rank).map(|a| at(a, 1).max(0)));
    let padded = |x: &str| format!("pad({x}, {low}, {high}{how})");
    let cropped = |x: &str, sizes: &[i64]| {
        let range = |a: usize| format!("{}:{}", (-at(a, 0)).max(0), sizes[a] + at(a, 1).min(0));
        let ranges: Vec<String> = (0..rank).map(range).collect();
        format!("{x}[{}]", ranges.join(", "))
    };
    let sizes: Vec<i64> = shape.iter().map(|&n| n as i64).collect();
    if mode == "circular" {
        let x = c.bind(cropped("input", &sizes));
        return Ok(padded(&x));
    }
    // Padded first: what is cropped may be all that there was.
    let wide: Vec<i64> = (0..rank).map(|a| sizes[a] + at(a, 0).max(0) + at(a, 1).max(0)).collect();
    let x = c.bind(padded("input"));
    Ok(cropped(&x, &wide))
}

fn flatten(c: &mut Call<'_>) -> Result<String, String> {
    let shape = c.shape("input")?;
    if shape.is_empty() {
        return Ok("reshape(input, [1])".to_string());
    }
    let (a, b) = (c.axis("start_dim", shape.len())?, c.axis("end_dim", shape.len())?);
    let merged: usize = shape[a..=b].iter().product();
    let sizes = shape[..a].iter().chain([&merged]).chain(&shape[b + 1..]);
    Ok(format!("reshape(input, {})", list(sizes)))
}

/// As many elements in another shape: what more elements would be is not told.
fn resized(c: &mut Call<'_>) -> Result<String, String> {
    let sizes: Vec<i64> = match c.given("other") {
        Some(_) => c.shape("other")?.iter().map(|&n| n as i64).collect(),
        None => c.ints("sizes")?,
    };
    match sizes.iter().product::<i64>() == c.shape("input")?.iter().product::<usize>() as i64 {
        true => Ok(format!("reshape(input, {})", list(sizes))),
        false => Err("a number of elements that the input does not have".to_string()),
    }
}

fn view(c: &mut Call<'_>) -> Result<String, String> {
    Ok(format!("reshape(input, {})", list(c.ints("sizes")?)))
}

fn meshgrid(c: &mut Call<'_>) -> Result<String, String> {
    let all = c.tensors("tensors")?;
    let swap = c.word("indexing")? == "xy" && all.len() > 1;
    // With "xy" the first two stand along each other's axes.
    let place = |i: usize| if swap && i < 2 { 1 - i } else { i };
    let mut shape = vec![1; all.len()];
    for (i, (_, tensor)) in all.iter().enumerate() {
        shape[place(i)] = tensor.shape().elements();
    }
    let part = |(i, (name, _)): (usize, &(String, &tensc::Tensor))| {
        let sizes = (0..shape.len()).map(|a| if a == place(i) { shape[a] } else { 1 });
        format!("broadcast_to(reshape({name}, {}), {})", list(sizes), list(&shape))
    };
    tuple(all.iter().enumerate().map(part).collect())
}

fn moved(c: &mut Call<'_>) -> Result<String, String> {
    let rank = c.rank("input")?;
    let given = |name: &str| c.axes(name, rank);
    let (from, to) = match c.arg("source").items() {
        Some([]) => (Vec::new(), Vec::new()),
        _ => (given("source")?, given("destination")?),
    };
    let mut rest = (0..rank).filter(|a| !from.contains(a));
    let perm = (0..rank).map(|axis| match to.iter().position(|&t| t == axis) {
        Some(i) => from[i],
        None => rest.next().expect("as many axes as before"),
    });
    Ok(format!("transpose(input, {})", list(perm)))
}

fn narrow(c: &mut Call<'_>) -> Result<String, String> {
    let shape = c.shape("input")?;
    let axis = c.axis("dim", shape.len())?;
    let length = c.int("length")?;
    if let Arg::Tensor(start) = c.arg("start") {
        let positions = format!("{start} + arange({length})");
        return Ok(format!("take(input, {positions}, axis = {axis})"));
    }
    let start = c.int("start")?;
    let start = if start < 0 { start + shape[axis] as i64 } else { start };
    let range = format!("{start}:{}", start + length);
    Ok(format!("input[{}]", at_axis(shape.len(), axis, &range)))
}

fn roll(c: &mut Call<'_>) -> Result<String, String> {
    let rank = c.rank("input")?;
    let shape = c.shape("input")?;
    if c.has("dims") && c.arg("dims").items().is_none_or(|dims| !dims.is_empty()) {
        let axes = c.axes("dims", rank)?;
        let shifts = c.per_axis("shifts", axes.len())?;
        return Ok(match rank {
            0 => "input".to_string(),
            _ => format!("roll(input, {}, axis = {})", list(shifts), list(axes)),
        });
    }
    let flat = c.bind("roll(flatten(input), shifts, axis = 0)");
    Ok(format!("reshape({flat}, {})", list(shape)))
}

fn rot90(c: &mut Call<'_>) -> Result<String, String> {
    let rank = c.rank("input")?;
    let axes = c.axes("dims", rank)?;
    let [a, b] = axes[..] else { return c.unknown("dims") };
    Ok(match c.int("k")?.rem_euclid(4) {
        0 => "input".to_string(),
        1 => format!("flip(swap_axes(input, {a}, {b}), axis = {a})"),
        2 => format!("flip(input, axis = [{a}, {b}])"),
        _ => format!("flip(swap_axes(input, {a}, {b}), axis = {b})"),
    })
}

fn unfold(c: &mut Call<'_>) -> Result<String, String> {
    let rank = c.rank("input")?;
    let axis = c.axis("dimension", rank)?;
    let x = if rank == 0 { c.bind("reshape(input, [1])") } else { "input".to_string() };
    let seen = c.bind(format!("windows({x}, axis = {axis}, size = size, stride = step)"));
    // The window's axis goes last.
    let width = rank.max(1) + 1;
    let perm = (0..width).filter(|&a| a != axis + 1).chain([axis + 1]);
    let moved = c.bind(format!("transpose({seen}, {})", list(perm)));
    // A scalar's windows have the window's axis only.
    Ok(if rank == 0 { format!("reshape({moved}, [size])") } else { moved })
}
