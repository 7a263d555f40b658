//! `.png`: images of 8 bits a sample as `u8 [H, W]` (grey) or `u8 [H, W, C]` (grey and alpha,
//! colour, colour and alpha).
//!
//! Palettes and samples of fewer bits are expanded, which loses nothing; 16-bit samples are
//! refused, since 8 bits would.

use super::Form;
use super::error::{DataError, Origin, Unwritten};
use super::input::Input;
use crate::dtype::DType;
use crate::tensor::Tensor;
use ::png::{BitDepth, ColorType, Decoder, DecodingError, Encoder, EncodingError, Limits};
use ::png::{InterlaceInfo, Transformations};
use std::io::{BufRead, Cursor, Seek, Write};

/// What deflate can make of one byte at most, so the size a header may honestly promise.
const MAX_INFLATION: u64 = 1032;

/// The image of a whole file.
pub(super) fn load(input: &Input<'_>) -> Result<Tensor, DataError> {
    let (origin, bytes) = (input.origin, input.bytes());
    let mut source = Cursor::new(bytes);
    let tensor = decode(origin, &mut source, bytes.len() as u64)?;
    match source.position() {
        end if end < bytes.len() as u64 => Err(origin.oversized(end)),
        _ => Ok(tensor),
    }
}

fn decode(
    origin: Origin<'_>,
    source: &mut (impl BufRead + Seek),
    len: u64,
) -> Result<Tensor, DataError> {
    let said = |e| said(origin, e);
    let bound = len.saturating_mul(MAX_INFLATION).saturating_add(1 << 16);
    let limits = Limits { bytes: usize::try_from(bound).unwrap_or(usize::MAX) };
    let mut decoder = Decoder::new_with_limits(source, limits);
    decoder.set_transformations(Transformations::EXPAND);
    decoder.set_ignore_text_chunk(true);
    let info = decoder.read_header_info().map_err(said)?;
    let (width, height) = (info.width, info.height);
    if info.bit_depth == BitDepth::Sixteen {
        return Err(origin.unsupported("16 bits a sample; images of 8 bits are read"));
    }
    let samples = u64::from(width) * u64::from(height);
    let bits = samples.saturating_mul(info.bits_per_pixel() as u64);
    if bits.div_ceil(8) > bound || u64::from(width) > bound {
        let what = format!("{width} by {height} pixels cannot be in a file of {len} bytes");
        return Err(origin.malformed(what));
    }
    let mut reader = decoder.read_info().map_err(said)?;
    let (color, _) = reader.output_color_type();
    let row_bytes = width as usize * color.samples();
    let mut pixels: Vec<u8> = Vec::new();
    if reader.info().interlaced {
        // Rows come scattered, so the image must be there first; its size was bounded above.
        pixels.try_reserve_exact(row_bytes * height as usize).map_err(|_| {
            origin.unsupported(format!("{width} by {height} pixels do not fit in memory"))
        })?;
        pixels.resize(row_bytes * height as usize, 0);
    }
    while let Some(row) = reader.next_interlaced_row().map_err(said)? {
        match row.interlace() {
            InterlaceInfo::Null(_) => pixels.extend_from_slice(row.data()),
            InterlaceInfo::Adam7(pass) => {
                let bits = color.samples() as u8 * 8;
                ::png::expand_interlaced_row(&mut pixels, row_bytes, row.data(), pass, bits);
            }
        }
    }
    reader.finish().map_err(said)?;
    let dims = [height as usize, width as usize, color.samples()];
    if pixels.len() != dims.iter().product::<usize>() {
        return Err(origin.truncated(dims.iter().product::<usize>() as u64, pixels.len() as u64));
    }
    let rank = if color == ColorType::Grayscale { 2 } else { 3 };
    Ok(Tensor::from_slice(&pixels, &dims[..rank]))
}

/// What pixels of so many channels are.
fn color_of(channels: usize) -> Option<ColorType> {
    match channels {
        1 => Some(ColorType::Grayscale),
        2 => Some(ColorType::GrayscaleAlpha),
        3 => Some(ColorType::Rgb),
        4 => Some(ColorType::Rgba),
        _ => None,
    }
}

/// Whether an image can hold it: `u8 [H, W]` or `u8 [H, W, C]` with C of 1 to 4.
pub(super) fn fits(form: &Form) -> Result<(), Unwritten> {
    let unfit = |what: String| Err(Unwritten::Unfit(what));
    if form.dtype != DType::U8 {
        return unfit(format!("a .png file holds u8, not {}", form.dtype));
    }
    match form.shape[..] {
        [_, _] | [_, _, None] => Ok(()),
        [_, _, Some(channels)] if color_of(channels).is_some() => Ok(()),
        _ => {
            let shape = form.shape();
            unfit(format!("a .png file holds [H, W] or [H, W, 1 to 4], not {shape}"))
        }
    }
}

/// Writes `u8 [H, W]` or `u8 [H, W, C]` with C of 1 to 4.
pub(super) fn write(out: &mut dyn Write, tensor: &Tensor) -> Result<(), Unwritten> {
    let unfit = |what: String| Err(Unwritten::Unfit(what));
    let (height, width) = (tensor.shape()[0], tensor.shape()[1]);
    let color = color_of(tensor.shape().get(2).copied().unwrap_or(1)).expect("it fits");
    let side = |n: usize| u32::try_from(n).ok().filter(|n| (1..1 << 31).contains(n));
    let (Some(w), Some(h)) = (side(width), side(height)) else {
        return unfit(format!("an image cannot be {width} by {height} pixels"));
    };
    let mut encoder = Encoder::new(out, w, h);
    encoder.set_color(color);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header().map_err(unwritten)?;
    writer.write_image_data(tensor.as_bytes()).map_err(unwritten)?;
    writer.finish().map_err(unwritten)
}

fn said(origin: Origin<'_>, error: DecodingError) -> DataError {
    match error {
        DecodingError::IoError(e) => origin.reading(e),
        other => origin.malformed(other.to_string()),
    }
}

fn unwritten(error: EncodingError) -> Unwritten {
    match error {
        EncodingError::IoError(e) => Unwritten::System(e),
        other => Unwritten::Unfit(other.to_string()),
    }
}
