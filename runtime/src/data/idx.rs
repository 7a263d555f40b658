//! IDX, the format of the MNIST files: two zero bytes, an element type, a number of axes, the
//! sizes of the axes, the elements; everything big-endian. Often gzipped.

use super::error::{DataError, Origin, Unwritten};
use super::input::{Extent, Input, read_header};
use crate::dtype::DType;
use crate::tensor::Tensor;
use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;
use std::io::{Read, Write};

const TYPES: [(u8, DType); 6] = [
    (0x08, DType::U8),
    (0x09, DType::I8),
    (0x0B, DType::I16),
    (0x0C, DType::I32),
    (0x0D, DType::F32),
    (0x0E, DType::F64),
];

/// The tensor of a plain file.
pub(super) fn load(input: &Input<'_>) -> Result<Tensor, DataError> {
    let mut rest = input.bytes();
    let extent = read_extent(input.origin, &mut rest)?;
    extent.check_len(input.origin, input.bytes().len() - rest.len(), input.bytes().len())?;
    read_elements(input.origin, &extent, &mut rest)
}

/// The tensor of a gzipped file; unpacks not more than the header promises, and one byte.
pub(super) fn load_gz(input: &Input<'_>) -> Result<Tensor, DataError> {
    if !input.bytes().starts_with(&[0x1F, 0x8B]) {
        return Err(input.origin.malformed("it does not begin with the mark of gzip"));
    }
    let mut unpacked = MultiGzDecoder::new(input.bytes());
    let extent = read_extent(input.origin, &mut unpacked)?;
    read_elements(input.origin, &extent, &mut unpacked)
}

/// The byte that stands for an element type.
pub(super) fn code_of(dtype: DType) -> Result<u8, Unwritten> {
    TYPES.iter().find(|(_, d)| *d == dtype).map(|(code, _)| *code).ok_or_else(|| {
        let what = format!("an IDX file holds u8, i8, i16, i32, f32 or f64, not {dtype}");
        Unwritten::Unfit(what)
    })
}

/// Writes a plain file.
pub(super) fn write(out: &mut dyn Write, tensor: &Tensor) -> Result<(), Unwritten> {
    let code = code_of(tensor.dtype())?;
    let sizes = tensor.shape().iter().map(|&n| u32::try_from(n));
    let Ok(sizes) = sizes.collect::<Result<Vec<u32>, _>>() else {
        let what = format!("an IDX file has axes below 2^32, not {}", tensor.shape());
        return Err(Unwritten::Unfit(what));
    };
    out.write_all(&[0, 0, code, sizes.len() as u8])?;
    for size in sizes {
        out.write_all(&size.to_be_bytes())?;
    }
    match tensor.dtype().size() {
        1 => out.write_all(tensor.as_bytes())?,
        size => {
            for element in tensor.as_bytes().chunks_exact(size) {
                let mut turned = [0; 8];
                turned[..size].copy_from_slice(element);
                turned[..size].reverse();
                out.write_all(&turned[..size])?;
            }
        }
    }
    Ok(())
}

/// Writes a gzipped file, without a time in it: the same bytes for the same tensor.
pub(super) fn write_gz(out: &mut dyn Write, tensor: &Tensor) -> Result<(), Unwritten> {
    let mut packed = GzEncoder::new(out, Compression::default());
    write(&mut packed, tensor)?;
    packed.finish()?;
    Ok(())
}

fn read_extent(origin: Origin<'_>, source: &mut dyn Read) -> Result<Extent, DataError> {
    let mut start = [0; 4];
    read_header(origin, source, &mut start)?;
    let [0, 0, code, rank] = start else {
        return Err(origin.malformed("it does not begin with two zero bytes"));
    };
    let Some((_, dtype)) = TYPES.iter().find(|(c, _)| *c == code) else {
        return Err(origin.malformed(format!("there is no element type 0x{code:02x}")));
    };
    let mut sizes = vec![0; usize::from(rank) * 4];
    read_header(origin, source, &mut sizes)?;
    let dims: Vec<u64> =
        sizes.as_chunks().0.iter().map(|size| u32::from_be_bytes(*size).into()).collect();
    Extent::new(origin, *dtype, &dims)
}

fn read_elements(
    origin: Origin<'_>,
    extent: &Extent,
    source: &mut dyn Read,
) -> Result<Tensor, DataError> {
    let mut tensor = extent.read_all(origin, source)?;
    if extent.dtype.size() > 1 {
        tensor.bytes_mut().chunks_exact_mut(extent.dtype.size()).for_each(<[u8]>::reverse);
    }
    Ok(tensor)
}
