//! Fourier transforms whose results are real.

use super::call::{Call, Row, code, list};

pub const ROWS: &[Row] = &[
    code("fft.irfft", ONE, |c| real(c, &Of::ONE)),
    code("fft.irfft2", TWO, |c| real(c, &Of::ALL)),
    code("fft.irfftn", ALL, |c| real(c, &Of::ALL)),
    code("fft.hfft", ONE, |c| real(c, &Of { forward: true, ..Of::ONE })),
    code("fft.hfft2", TWO, |c| real(c, &Of { forward: true, ..Of::ALL })),
    code("fft.hfftn", ALL, |c| real(c, &Of { forward: true, ..Of::ALL })),
    code("stft", SHORT, short_time),
];

const ONE: &str = "input n=None dim=-1 norm=None";
const TWO: &str = "input s:n=None dim=[-2,-1] norm=None";
const ALL: &str = "input s:n=None dim=None norm=None";
const SHORT: &str = "input n_fft:n hop_length:hop=None win_length=None window=None center=true \
    pad_mode=\"reflect\" normalized=false onesided=None return_complex=None align_to_window=None";

/// Which transform of half a spectrum.
struct Of {
    /// Along one axis only.
    single: bool,
    /// Forward: of real numbers it differs from the inverse by a factor.
    forward: bool,
}

impl Of {
    const ONE: Of = Of { single: true, forward: false };
    const ALL: Of = Of { single: false, forward: false };
}

/// Complex along all axes but the last, which ends in real numbers; of real numbers.
fn real(c: &mut Call<'_>, of: &Of) -> Result<String, String> {
    let (mut shape, rank) = (c.shape("input")?, c.rank("input")?);
    let sizes = if c.has("n") { Some(c.ints("n")?) } else { None };
    let axes = match &sizes {
        // Without axes, the last ones.
        Some(sizes) if !of.single && !c.has("dim") => (rank - sizes.len()..rank).collect(),
        _ => c.axes("dim", rank)?,
    };
    let last = *axes.last().ok_or("a transform along no axis")?;
    let given = |i: usize| match sizes.as_ref().and_then(|sizes| sizes.get(i)) {
        Some(&n) if n > 0 => Some(n as usize),
        _ => None,
    };
    // How many numbers go in along each axis: what is too much is cut off, what lacks is 0.
    let count = given(axes.len() - 1).unwrap_or(2 * (shape[last] - 1));
    let mut factor = count as f64;
    let (mut ranges, mut high) = (vec![":".to_string(); rank], vec![0; rank]);
    for (i, &axis) in axes.iter().enumerate() {
        let wanted =
            if i + 1 == axes.len() { count / 2 + 1 } else { given(i).unwrap_or(shape[axis]) };
        ranges[axis] = format!(":{}", wanted.min(shape[axis]));
        high[axis] = wanted.saturating_sub(shape[axis]);
        shape[axis] = wanted;
        if i + 1 < axes.len() {
            factor *= wanted as f64;
        }
    }
    let low = list(vec![0; rank]);
    let cut = c.bind(format!("pad(input[{}], {low}, {})", ranges.join(", "), list(high)));
    let mut z = c.bind(format!("({cut}, zeros_like({cut}))"));
    for &axis in &axes[..axes.len() - 1] {
        z = c.bind(format!("fourier.ifft({z}, axis = {axis})"));
    }
    let y = format!("fourier.irfft({z}, {count}, axis = {last})");
    // The inverse divides by the number of elements.
    let norm = if c.has("norm") { c.word("norm")? } else { "backward" };
    Ok(match (norm, of.forward) {
        ("backward", false) | ("forward", true) => y,
        ("forward", false) | ("backward", true) => format!("{factor:?} * {y}"),
        ("ortho", _) => format!("{:?} * {y}", factor.sqrt()),
        _ => return c.unknown("norm"),
    })
}

/// The spectra of windows of a signal, in real and imaginary parts.
fn short_time(c: &mut Call<'_>) -> Result<String, String> {
    let (n, rank) = (c.int("n")?, c.rank("input")?);
    for name in ["win_length", "window", "align_to_window"] {
        if c.has(name) {
            return c.unknown(name);
        }
    }
    if !matches!(c.arg("return_complex"), super::call::Arg::Flag(false)) {
        return Err("complex results".to_string());
    }
    if c.has("onesided") && !c.flag("onesided")? {
        return c.unknown("onesided");
    }
    let hop = if c.has("hop") { c.int("hop")? } else { n / 4 };
    let x = match (c.flag("center")?, c.word("pad_mode")?) {
        (false, _) => "input".to_string(),
        (true, "reflect") => {
            let margins =
                list(vec!["0".to_string(); rank - 1].into_iter().chain([(n / 2).to_string()]));
            c.bind(format!("pad(input, {margins}, {margins}, mode = \"reflect\")"))
        }
        _ => return c.unknown("pad_mode"),
    };
    let z = c.bind(format!(
        "fourier.rfft(windows({x}, axis = -1, size = {n}, stride = {hop}), {})",
        n / 2 + 1
    ));
    let scale = if c.flag("normalized")? {
        format!("{:?} * ", 1.0 / (n as f64).sqrt())
    } else {
        String::new()
    };
    Ok(format!("{scale}swap_axes(stack([{z}.0, {z}.1], axis = -1), -2, -3)"))
}
