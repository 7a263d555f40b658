//! Convolution, pooling and resizing. PyTorch lets the batch axis be missing.

use super::call::{Arg, Call, Row, code, list, text};

pub const ROWS: &[Row] = &[
    code("nn.functional.adaptive_avg_pool1d", ADAPTIVE, |c| adaptive(c, 1, "average")),
    code("nn.functional.adaptive_avg_pool2d", ADAPTIVE, |c| adaptive(c, 2, "average")),
    code("nn.functional.adaptive_avg_pool3d", ADAPTIVE, |c| adaptive(c, 3, "average")),
    code("nn.functional.adaptive_max_pool1d", ADAPTIVE_AT, |c| adaptive(c, 1, "max")),
    code("nn.functional.adaptive_max_pool2d", ADAPTIVE_AT, |c| adaptive(c, 2, "max")),
    code("nn.functional.adaptive_max_pool3d", ADAPTIVE_AT, |c| adaptive(c, 3, "max")),
    code("nn.functional.avg_pool1d", AVERAGE_1D, |c| average(c, 1)),
    code("nn.functional.avg_pool2d", AVERAGE, |c| average(c, 2)),
    code("nn.functional.avg_pool3d", AVERAGE, |c| average(c, 3)),
    code("nn.functional.conv1d", CONV, |c| convolved(c, 1)),
    code("nn.functional.conv2d", CONV, |c| convolved(c, 2)),
    code("nn.functional.conv3d", CONV, |c| convolved(c, 3)),
    code("nn.functional.conv_transpose1d", TRANSPOSED, |c| convolved(c, 1)),
    code("nn.functional.conv_transpose2d", TRANSPOSED, |c| convolved(c, 2)),
    code("nn.functional.conv_transpose3d", TRANSPOSED, |c| convolved(c, 3)),
    code("nn.functional.fold", FOLD, fold),
    code("nn.functional.grid_sample", GRID, |c| {
        let (mode, outside) = (c.word("mode")?.to_string(), c.word("outside")?.to_string());
        sampled(c, &mode, &outside)
    }),
    code("grid_sampler_2d", GRID_NUMBERS, sampled_by_numbers),
    code("grid_sampler_3d", GRID_NUMBERS, sampled_by_numbers),
    code("nn.functional.interpolate", RESIZE, resize),
    code("nn.functional.lp_pool1d", POWER, |c| power(c, 1)),
    code("nn.functional.lp_pool2d", POWER, |c| power(c, 2)),
    code("nn.functional.lp_pool3d", POWER, |c| power(c, 3)),
    code("nn.functional.max_pool1d", LARGEST, |c| largest(c, 1)),
    code("nn.functional.max_pool2d", LARGEST, |c| largest(c, 2)),
    code("nn.functional.max_pool3d", LARGEST, |c| largest(c, 3)),
    code("max_pool2d_with_indices_backward", LARGEST, |c| {
        // The derivative of the sum of the largest elements.
        let options = options(c, 2, &["window", "stride", "padding", "dilation"])?;
        let sum = format!("fn(x) = sum(conv.max_pool(x, {options}, ceil = ceil))");
        batched(c, 2, |_, x| Ok(format!("grad({sum})({x})")))
    }),
    code("nn.functional.channel_shuffle", "input groups", |c| {
        let shape = c.shape("input")?;
        let groups = c.int("groups")?;
        let rest = list(&shape[2..]).replace(['[', ']'], "");
        let rest = if rest.is_empty() { rest } else { format!(", {rest}") };
        let (b, each) = (shape[0], shape[1] as i64 / groups.max(1));
        let apart = c.bind(format!("reshape(input, [{b}, {groups}, {each}{rest}])"));
        Ok(format!("reshape(swap_axes({apart}, 1, 2), {})", list(&shape)))
    }),
    text("nn.functional.pixel_shuffle", "input upscale_factor:r", "conv.pixel_shuffle(input, r)"),
    text(
        "nn.functional.pixel_unshuffle",
        "input downscale_factor:r",
        "conv.pixel_unshuffle(input, r)",
    ),
    code("nn.functional.unfold", "input kernel_size:window dilation=1 padding=0 stride=1", |c| {
        let options = options(c, 2, &["window", "dilation", "padding", "stride"])?;
        batched(c, 2, |_, x| Ok(format!("conv.unfold({x}, {options})")))
    }),
    code("_upsample_bilinear2d_aa", SMOOTH, |c| {
        let scales = match c.has("scales_h") {
            true => vec![c.float("scales_h")?, c.float("scales_w")?],
            false => Vec::new(),
        };
        smoothed(c, scales)
    }),
    code("nn.functional.upsample_bilinear", UPSAMPLE, |c| upsampled(c, "bilinear")),
    code("nn.functional.upsample_nearest", UPSAMPLE, |c| upsampled(c, "nearest")),
];

const ADAPTIVE: &str = "input output_size:count";
const ADAPTIVE_AT: &str = "input output_size:count return_indices=false";
const AVERAGE_1D: &str = "input kernel_size:window stride=None padding=0 ceil_mode:ceil=false \
    count_include_pad:whole=true";
const AVERAGE: &str = "input kernel_size:window stride=None padding=0 ceil_mode:ceil=false \
    count_include_pad:whole=true divisor_override:divisor=None";
const CONV: &str = "input weight bias=None stride=1 padding=0 dilation=1 groups=1";
const FOLD: &str = "input output_size:shape kernel_size:window dilation=1 padding=0 stride=1";
const GRID: &str =
    "input grid mode=\"bilinear\" padding_mode:outside=\"zeros\" align_corners:corners=None";
const GRID_NUMBERS: &str =
    "input grid interpolation_mode:mode padding_mode:outside align_corners:corners";
const LARGEST: &str = "input kernel_size:window stride=None padding=0 dilation=1 \
    ceil_mode:ceil=false return_indices=false";
const POWER: &str = "input norm_type:p kernel_size:window stride=None ceil_mode:ceil=false";
const RESIZE: &str = "input size=None scale_factor=None mode=\"nearest\" align_corners=None \
    recompute_scale_factor=None antialias=false";
const SMOOTH: &str = "input output_size:size=None align_corners=false \
    scale_factors:scale_factor=None scales_h=None scales_w=None";
const TRANSPOSED: &str = "input weight bias=None stride=1 padding=0 output_padding:extra=0 \
    groups=1 dilation=1";
const UPSAMPLE: &str = "input size=None scale_factor=None";

/// Numbers for each of `n` axes of positions, as named arguments; those that are left out stay so.
fn options(c: &Call<'_>, n: usize, names: &[&str]) -> Result<String, String> {
    let mut options = Vec::new();
    for name in names {
        if !c.has(name) || c.arg(name).items().is_some_and(<[Arg]>::is_empty) {
            continue;
        }
        options.push(format!("{name} = {}", list(c.per_axis(name, n)?)));
    }
    Ok(options.join(", "))
}

/// What `of` gives for the input with a batch axis in front, which goes where there was none.
fn batched(
    c: &mut Call<'_>,
    n: usize,
    of: impl FnOnce(&mut Call<'_>, &str) -> Result<String, String>,
) -> Result<String, String> {
    if c.rank("input")? == n + 2 {
        return of(c, "input");
    }
    if c.rank("input")? != n + 1 {
        return c.unknown("input");
    }
    let x = c.bind("input[None]");
    let y = of(c, &x)?;
    let y = c.bind(y);
    Ok(format!("{y}[0]"))
}

fn adaptive(c: &mut Call<'_>, n: usize, what: &str) -> Result<String, String> {
    let places = c.given("return_indices").is_some() && c.flag("return_indices")?;
    // `None` keeps a size.
    let shape = c.shape("input")?;
    let given = match c.arg("count").items() {
        Some(items) if items.len() == n => items.to_vec(),
        Some([one]) => vec![one.clone(); n],
        Some(_) => return c.unknown("count"),
        None => vec![c.arg("count").clone(); n],
    };
    let mut counts = Vec::new();
    for (axis, count) in given.iter().enumerate() {
        counts.push(match count {
            Arg::Int(count) => *count,
            Arg::None => shape[shape.len() - n + axis] as i64,
            _ => return c.unknown("count"),
        });
    }
    let counts = list(counts);
    if places {
        let at = |x: &str| format!("conv.adaptive_max_pool_at({x}, {counts})");
        if c.rank("input")? == n + 2 {
            return Ok(at("input"));
        }
        let y = c.bind(at("input[None]"));
        return Ok(format!("({y}.0[0], {y}.1[0])"));
    }
    batched(c, n, |_, x| Ok(format!("conv.adaptive_{what}_pool({x}, {counts})")))
}

fn average(c: &mut Call<'_>, n: usize) -> Result<String, String> {
    let options = options(c, n, &["window", "stride", "padding"])?;
    let divisor = match c.given("divisor") {
        Some(Arg::Int(_)) => ", divisor = divisor",
        _ => "",
    };
    batched(c, n, |_, x| {
        Ok(format!("conv.average_pool({x}, {options}, ceil = ceil, whole = whole{divisor})"))
    })
}

fn largest(c: &mut Call<'_>, n: usize) -> Result<String, String> {
    let options = options(c, n, &["window", "stride", "padding", "dilation"])?;
    if !c.flag("return_indices")? {
        return batched(c, n, |_, x| Ok(format!("conv.max_pool({x}, {options}, ceil = ceil)")));
    }
    let at = |x: &str| format!("conv.max_pool_at({x}, {options}, ceil = ceil)");
    if c.rank("input")? == n + 2 {
        return Ok(at("input"));
    }
    let y = c.bind(at("input[None]"));
    Ok(format!("({y}.0[0], {y}.1[0])"))
}

fn power(c: &mut Call<'_>, n: usize) -> Result<String, String> {
    let options = options(c, n, &["window", "stride"])?;
    batched(c, n, |_, x| Ok(format!("conv.power_pool({x}, p, {options}, ceil = ceil)")))
}

/// Convolution or its transpose, by whether there is a parameter that only that one has.
fn convolved(c: &mut Call<'_>, n: usize) -> Result<String, String> {
    let (name, numbers) = match c.given("extra") {
        Some(_) => {
            ("convolve_transposed", options(c, n, &["stride", "padding", "extra", "dilation"])?)
        }
        None => match c.arg("padding") {
            Arg::Text(mode) if mode == "same" => {
                ("convolve", options(c, n, &["stride", "dilation"])? + ", same = true")
            }
            Arg::Text(mode) if mode == "valid" => {
                ("convolve", options(c, n, &["stride", "dilation"])?)
            }
            _ => ("convolve", options(c, n, &["stride", "padding", "dilation"])?),
        },
    };
    let bias = c.has("bias");
    batched(c, n, |c, x| {
        // The sizes of filters tell the groups, but not those of filters that are transposed.
        let (name, groups) = match name {
            "convolve" if c.int("groups")? != 1 => ("convolve_in_groups", ""),
            "convolve" => (name, ""),
            _ => (name, ", groups = groups"),
        };
        let y = c.bind(format!("conv.{name}({x}, weight, {numbers}{groups})"));
        let ones = ", 1".repeat(n);
        Ok(if bias { format!("{y} + reshape(bias, [-1{ones}])") } else { y })
    })
}

fn fold(c: &mut Call<'_>) -> Result<String, String> {
    let options = options(c, 2, &["shape", "window", "dilation", "padding", "stride"])?;
    batched(c, 1, |_, x| Ok(format!("conv.overlap_add({x}, {options})")))
}

/// The modes are numbers.
fn sampled_by_numbers(c: &mut Call<'_>) -> Result<String, String> {
    let number = |name: &str, words: [&'static str; 3]| {
        let word = usize::try_from(c.int(name)?).ok().and_then(|n| words.get(n).copied());
        word.map_or_else(|| c.unknown(name), Ok)
    };
    let mode = number("mode", ["bilinear", "nearest", "bicubic"])?;
    let outside = number("outside", ["zeros", "border", "reflection"])?;
    sampled(c, mode, outside)
}

fn sampled(c: &mut Call<'_>, mode: &str, outside: &str) -> Result<String, String> {
    let function = match (c.rank("input")?, mode) {
        (4, _) => "sample_at",
        (5, _) => "sample_volume_at",
        _ => return c.unknown("input"),
    };
    let between = match mode {
        "bilinear" => "",
        "nearest" => ", nearest = true",
        "bicubic" => ", cubic = true",
        _ => return c.unknown("mode"),
    };
    let outside = match outside {
        "zeros" => "",
        "border" => ", edge = true",
        "reflection" => ", mirror = true",
        _ => return c.unknown("outside"),
    };
    let corners = c.has("corners") && c.flag("corners")?;
    // The nearest pixel does not move with the place: PyTorch's gradient is 0.
    let grid = if mode == "nearest" { "stop_gradient(grid)" } else { "grid" };
    Ok(format!("resize.{function}(input, {grid}, corners = {corners}{between}{outside})"))
}

fn upsampled(c: &mut Call<'_>, mode: &str) -> Result<String, String> {
    let corners = mode == "bilinear";
    resized(c, mode, corners, false)
}

/// Where elements become fewer, by means of what they cover: by these factors, by those that the
/// sizes are told by, or by the sizes.
fn smoothed(c: &mut Call<'_>, mut scales: Vec<f64>) -> Result<String, String> {
    let shape = c.shape("input")?;
    let n = shape.len() - 2;
    let sizes: Vec<i64> = match c.has("size") {
        true => c.per_axis("size", n)?,
        false => {
            scales = factors(c, n)?;
            shape[2..].iter().zip(&scales).map(|(&m, s)| (m as f64 * s).floor() as i64).collect()
        }
    };
    scales.resize(n, 0.0);
    let corners = c.has("align_corners") && c.flag("align_corners")?;
    let scales: Vec<String> = scales.iter().map(|s| format!("{s:?}")).collect();
    let how = format!("corners = {corners}, scale = {}", list(scales));
    Ok(format!("resize.resize_smooth(input, {}, {how})", list(sizes)))
}

/// What sizes are multiplied by: one number for each of `n` axes.
fn factors(c: &Call<'_>, n: usize) -> Result<Vec<f64>, String> {
    let Some(items) = c.arg("scale_factor").items() else {
        return Ok(vec![c.float("scale_factor")?; n]);
    };
    let factor = |arg: &Arg| match arg {
        Arg::Float(x) => Ok(*x),
        Arg::Int(x) => Ok(*x as f64),
        _ => c.unknown("scale_factor"),
    };
    items.iter().map(factor).collect()
}

fn resize(c: &mut Call<'_>) -> Result<String, String> {
    if c.flag("antialias")? {
        return match c.word("mode")? {
            "bilinear" => smoothed(c, Vec::new()),
            _ => c.unknown("antialias"),
        };
    }
    let corners = c.has("align_corners") && c.flag("align_corners")?;
    let recompute = c.has("recompute_scale_factor") && c.flag("recompute_scale_factor")?;
    let mode = c.word("mode")?.to_string();
    resized(c, &mode, corners, recompute)
}

fn resized(c: &mut Call<'_>, mode: &str, corners: bool, recompute: bool) -> Result<String, String> {
    let shape = c.shape("input")?;
    let positions = &shape[2..];
    let n = positions.len();
    let mut scale = 0.0;
    let sizes: Vec<i64> = match c.has("size") {
        true => c.per_axis("size", n)?,
        false => {
            let scales = factors(c, n)?;
            if scales.windows(2).any(|pair| pair[0] != pair[1]) {
                return c.unknown("scale_factor");
            }
            scale = if recompute { 0.0 } else { scales[0] };
            positions.iter().zip(&scales).map(|(&m, s)| (m as f64 * s).floor() as i64).collect()
        }
    };
    let sizes = list(sizes);
    let call = match mode {
        "area" => return Ok(format!("conv.adaptive_average_pool(input, {sizes})")),
        "nearest" => format!("resize_nearest(input, {sizes}"),
        "nearest-exact" => format!("resize_nearest(input, {sizes}, centred = true"),
        "linear" | "bilinear" | "trilinear" => {
            format!("resize_linear(input, {sizes}, corners = {corners}")
        }
        "bicubic" => format!("resize_cubic(input, {sizes}, corners = {corners}"),
        _ => return c.unknown("mode"),
    };
    Ok(format!("resize.{call}, scale = {scale:?})"))
}
