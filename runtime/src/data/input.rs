//! A data file opened for reading, and the payload of one tensor in it.
//!
//! Invariant: an [`Extent`] has a size in bytes that fits the address space, so that nothing
//! behind it can overflow, and was compared with the bytes that are there before use.

#![allow(unsafe_code, reason = "mapping a file is unsafe; one call, argued there")]

use super::Format;
use super::error::{DataError, Origin};
use crate::dtype::DType;
use crate::tensor::{Shape, Tensor};
use memmap2::Mmap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

/// Axes a tensor may have; numpy's own limit.
const MAX_RANK: usize = 64;

/// The bytes of an open data file.
pub(super) struct Input<'a> {
    pub origin: Origin<'a>,
    bytes: Bytes,
}

enum Bytes {
    Mapped(Arc<Mmap>),
    Read(Vec<u8>),
}

impl<'a> Input<'a> {
    pub fn open(path: &'a Path, format: Format) -> Result<Input<'a>, DataError> {
        let origin = Origin { path, format, member: None };
        let read = || -> io::Result<Bytes> {
            let mut file = File::open(path)?;
            let about = file.metadata()?;
            if about.is_dir() {
                return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a directory"));
            }
            if !about.is_file() {
                return Err(io::Error::other("it is not a regular file"));
            }
            // SAFETY: mapped bytes may change or vanish while another process writes the file;
            // `data` documents that they must not. What we write ourselves is written aside and
            // renamed, which leaves mapped files as they are. Types for which some bytes are
            // invalid (bool) are copied before they are checked.
            if let Ok(map) = unsafe { Mmap::map(&file) } {
                return Ok(Bytes::Mapped(Arc::new(map)));
            }
            // Some file systems cannot map, and an empty file never can.
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            Ok(Bytes::Read(bytes))
        };
        match read() {
            Ok(bytes) => Ok(Input { origin, bytes }),
            Err(source) => Err(DataError::Read { path: path.to_path_buf(), source }),
        }
    }

    pub fn bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped(map) => map,
            Bytes::Read(bytes) => bytes,
        }
    }

    /// The tensor that lies row-major and little-endian from `offset` on: mapped where that is
    /// possible, else copied. The caller has checked that the bytes are there.
    pub fn tensor_at(
        &self,
        origin: Origin<'_>,
        extent: &Extent,
        offset: usize,
    ) -> Result<Tensor, DataError> {
        if let Bytes::Mapped(map) = &self.bytes {
            let shape = extent.shape.clone();
            if let Some(tensor) = Tensor::from_map(extent.dtype, shape, map.clone(), offset) {
                return Ok(tensor);
            }
        }
        extent.read(origin, &mut &self.bytes()[offset..])
    }
}

/// The element type and shape of a tensor in a file, checked for overflow.
pub(super) struct Extent {
    pub dtype: DType,
    pub shape: Shape,
    pub bytes: usize,
}

impl Extent {
    pub fn new(origin: Origin<'_>, dtype: DType, dims: &[u64]) -> Result<Extent, DataError> {
        if dims.len() > MAX_RANK {
            let rank = dims.len();
            return Err(origin.unsupported(format!("{rank} axes; at most {MAX_RANK} are read")));
        }
        // An axis of size 0 counts as 1 here, for strides must not overflow either.
        let spanned = dims.iter().try_fold(dtype.size() as u64, |n, &d| n.checked_mul(d.max(1)));
        let (Some(_), Some(shape)) = (
            spanned.filter(|&n| n <= isize::MAX as u64),
            dims.iter().map(|&d| usize::try_from(d).ok()).collect::<Option<Shape>>(),
        ) else {
            return Err(origin.malformed(format!("a shape of {dims:?} is beyond all memory")));
        };
        let bytes = shape.elements() * dtype.size();
        Ok(Extent { dtype, shape, bytes })
    }

    /// Fails unless exactly this tensor's bytes are there after a header of `header` bytes.
    pub fn check_len(
        &self,
        origin: Origin<'_>,
        header: usize,
        found: usize,
    ) -> Result<(), DataError> {
        let needed = header as u64 + self.bytes as u64;
        match (found as u64).cmp(&needed) {
            std::cmp::Ordering::Less => Err(origin.truncated(needed, found as u64)),
            std::cmp::Ordering::Greater => Err(origin.oversized(needed)),
            std::cmp::Ordering::Equal => Ok(()),
        }
    }

    /// Reads this tensor, little-endian and row-major, and not a byte more.
    pub fn read(&self, origin: Origin<'_>, source: &mut dyn Read) -> Result<Tensor, DataError> {
        let mut source = Counted { source, count: 0 };
        let stored = if self.dtype == DType::Bool { DType::U8 } else { self.dtype };
        let tensor = match Tensor::read_from(stored, self.shape.clone(), &mut source) {
            Ok(tensor) => tensor,
            // Only the end of the source itself leaves fewer bytes than were asked for.
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && source.ended() => {
                return Err(origin.truncated(self.bytes as u64, source.count));
            }
            Err(e) => return Err(origin.reading(e)),
        };
        if self.dtype != DType::Bool {
            return Ok(tensor);
        }
        tensor.try_into_bool().map_err(|(index, byte)| {
            origin.malformed(format!("element {index} is a bool of value {byte}, not 0 or 1"))
        })
    }

    /// As [`Extent::read`], from a source that ends after this tensor.
    pub fn read_all(&self, origin: Origin<'_>, source: &mut dyn Read) -> Result<Tensor, DataError> {
        let tensor = self.read(origin, source)?;
        // One byte more tells whether it ends here, and lets decoders check their checksums; a
        // source that unpacks to terabytes is not followed there.
        match source.read(&mut [0]) {
            Ok(0) => Ok(tensor),
            Ok(_) => Err(origin.oversized(self.bytes as u64)),
            Err(e) => Err(origin.reading(e)),
        }
    }
}

/// Unsigned elements, read as signed ones of their width, as the signed type that holds them all:
/// `i32` for 16 bits, `i64` for 32, and for 64 `i64` too unless an element is too large.
pub(super) fn widen_unsigned(origin: Origin<'_>, stored: Tensor) -> Result<Tensor, DataError> {
    let shape = stored.shape().clone();
    match stored.dtype() {
        DType::I16 => {
            let wide = stored.as_slice::<i16>().iter().map(|&x| i32::from(x as u16));
            Ok(Tensor::from_slice(&wide.collect::<Vec<_>>(), shape))
        }
        DType::I32 => {
            let wide = stored.as_slice::<i32>().iter().map(|&x| i64::from(x as u32));
            Ok(Tensor::from_slice(&wide.collect::<Vec<_>>(), shape))
        }
        DType::I64 => match stored.as_slice::<i64>().iter().position(|&x| x < 0) {
            None => Ok(stored),
            Some(index) => {
                let value = stored.as_slice::<i64>()[index] as u64;
                Err(origin.unsupported(format!("element {index} is {value}, too large for i64")))
            }
        },
        other => unreachable!("{other} does not stand for unsigned elements"),
    }
}

/// A reader that knows how many bytes it gave, and whether it is at its end.
struct Counted<'a> {
    source: &'a mut dyn Read,
    count: u64,
}

impl Counted<'_> {
    fn ended(&mut self) -> bool {
        matches!(self.source.read(&mut [0]), Ok(0))
    }
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.source.read(buffer)?;
        self.count += n as u64;
        Ok(n)
    }
}

/// Fills `buffer` from a header, or says how much of it there was.
pub(super) fn read_header(
    origin: Origin<'_>,
    source: &mut dyn Read,
    buffer: &mut [u8],
) -> Result<(), DataError> {
    let mut source = Counted { source, count: 0 };
    match source.read_exact(buffer) {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof && source.ended() => Err(origin
            .malformed(format!(
                "the header is cut short: {} of its next {} bytes are there",
                source.count,
                buffer.len()
            ))),
        Err(e) => Err(origin.reading(e)),
    }
}
