//! `.npy`: one numpy array (numpy.lib.format, versions 1.0 to 3.0).
//!
//! A magic, a version, the length of the header, and the header: a Python dictionary of `descr`,
//! `fortran_order` and `shape`. It is parsed here, without recursion: a general parser of Python
//! literals would let a header of nothing but brackets decide how deep the stack grows.

use super::error::{DataError, Origin, Unwritten};
use super::input::{Extent, Input, read_header, widen_unsigned};
use crate::dtype::{DType, Element};
use crate::tensor::Tensor;
use std::io::{Read, Write};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
/// More than any header of the types read here takes; numpy itself refuses above 10,000 bytes.
const MAX_HEADER: usize = 1 << 16;

/// Element types by the two last characters of `descr`.
const TYPES: [(&str, DType); 9] = [
    ("b1", DType::Bool),
    ("u1", DType::U8),
    ("i1", DType::I8),
    ("i2", DType::I16),
    ("i4", DType::I32),
    ("i8", DType::I64),
    ("f2", DType::F16),
    ("f4", DType::F32),
    ("f8", DType::F64),
];

/// Unsigned types without a counterpart, by the signed type of their width; see `widen_unsigned`.
const UNSIGNED: [(&str, DType); 3] = [("u2", DType::I16), ("u4", DType::I32), ("u8", DType::I64)];

/// The array of a whole file.
pub(super) fn load(input: &Input<'_>) -> Result<Tensor, DataError> {
    let origin = input.origin;
    let mut rest = input.bytes();
    let header = Header::read(origin, &mut rest)?;
    let offset = input.bytes().len() - rest.len();
    header.extent.check_len(origin, offset, input.bytes().len())?;
    if header.is_plain() {
        return input.tensor_at(origin, &header.extent, offset);
    }
    header.read_array(origin, &mut rest)
}

/// The array of a source that ends after it, such as a member of a zip archive.
pub(super) fn read(origin: Origin<'_>, source: &mut dyn Read) -> Result<Tensor, DataError> {
    Header::read(origin, source)?.read_array(origin, source)
}

/// Writes `tensor` in version 1.0, its data aligned to 64 bytes as numpy does.
pub(super) fn write(out: &mut dyn Write, tensor: &Tensor) -> Result<(), Unwritten> {
    out.write_all(&header_of(tensor)?)?;
    Ok(out.write_all(tensor.as_bytes())?)
}

/// What `descr` calls an element type.
pub(super) fn code_of(dtype: DType) -> Result<&'static str, Unwritten> {
    let known = TYPES.iter().find(|(_, d)| *d == dtype).map(|(code, _)| *code);
    let what = "numpy has no bf16; .safetensors has, or cast it to f32";
    known.ok_or_else(|| Unwritten::Unfit(what.into()))
}

/// The bytes before the data of `tensor`.
pub(super) fn header_of(tensor: &Tensor) -> Result<Vec<u8>, Unwritten> {
    let code = code_of(tensor.dtype())?;
    let order = if tensor.dtype().size() == 1 { '|' } else { '<' };
    let mut text = format!("{{'descr': '{order}{code}', 'fortran_order': False, 'shape': (");
    for dim in tensor.shape().iter() {
        text += &format!("{dim}, ");
    }
    if tensor.shape().rank() != 1 && text.ends_with(", ") {
        text.truncate(text.len() - 2);
    } else if text.ends_with(", ") {
        text.truncate(text.len() - 1);
    }
    text += "), }";
    let unpadded = MAGIC.len() + 4 + text.len() + 1;
    text.extend(std::iter::repeat_n(' ', unpadded.next_multiple_of(64) - unpadded));
    text.push('\n');
    let Ok(len) = u16::try_from(text.len()) else {
        return Err(Unwritten::Unfit(format!("{} axes are too many", tensor.shape().rank())));
    };
    let mut header = MAGIC.to_vec();
    header.extend([1, 0]);
    header.extend(len.to_le_bytes());
    header.extend(text.into_bytes());
    Ok(header)
}

struct Header {
    extent: Extent,
    unsigned: bool,
    big_endian: bool,
    fortran_order: bool,
}

impl Header {
    fn read(origin: Origin<'_>, source: &mut dyn Read) -> Result<Header, DataError> {
        let mut start = [0; 8];
        read_header(origin, source, &mut start)?;
        if !start.starts_with(MAGIC) {
            return Err(origin.malformed("it does not begin with numpy's mark `\\x93NUMPY`"));
        }
        let mut len = [0; 4];
        let len_bytes = match (start[6], start[7]) {
            (1, 0) => &mut len[..2],
            (2 | 3, 0) => &mut len[..],
            (major, minor) => {
                return Err(origin.unsupported(format!("numpy format version {major}.{minor}")));
            }
        };
        read_header(origin, source, len_bytes)?;
        let len = u32::from_le_bytes(len) as usize;
        if len > MAX_HEADER {
            let what = format!("a header of {len} bytes; at most {MAX_HEADER} are read");
            return Err(origin.malformed(what));
        }
        let mut text = vec![0; len];
        read_header(origin, source, &mut text)?;
        Header::parse(origin, &text)
    }

    fn parse(origin: Origin<'_>, text: &[u8]) -> Result<Header, DataError> {
        let text = std::str::from_utf8(text)
            .map_err(|_| origin.malformed("the header is not UTF-8 text"))?;
        let mut literal = Literal { rest: text };
        let fields = literal.header().map_err(|what| {
            let at = text.len() - literal.rest.len();
            origin.malformed(format!("in the header, at byte {at}: {what}"))
        })?;
        let (big_endian, unsigned, dtype) = element_type(origin, fields.descr)?;
        Ok(Header {
            extent: Extent::new(origin, dtype, &fields.shape)?,
            unsigned,
            big_endian: big_endian && dtype.size() > 1,
            fortran_order: fields.fortran_order && fields.shape.len() > 1,
        })
    }

    /// Whether the data lie in the file as they lie in memory.
    fn is_plain(&self) -> bool {
        !self.big_endian && !self.fortran_order && !self.unsigned
    }

    fn read_array(&self, origin: Origin<'_>, source: &mut dyn Read) -> Result<Tensor, DataError> {
        let mut tensor = self.extent.read_all(origin, source)?;
        if self.big_endian {
            tensor.bytes_mut().chunks_exact_mut(self.extent.dtype.size()).for_each(<[u8]>::reverse);
        }
        if self.fortran_order {
            tensor = crate::with_element!(self.extent.dtype, T => from_fortran::<T>(&tensor));
        }
        if self.unsigned { widen_unsigned(origin, tensor) } else { Ok(tensor) }
    }
}

/// Whether elements are big-endian, whether they are unsigned ones to be widened, and their type.
fn element_type(origin: Origin<'_>, descr: &str) -> Result<(bool, bool, DType), DataError> {
    let (order, code) = match descr.chars().next() {
        Some(c @ ('<' | '>' | '=' | '|')) => (c, &descr[1..]),
        _ => ('=', descr),
    };
    let unsigned = UNSIGNED.iter().any(|(name, _)| *name == code);
    match TYPES.iter().chain(&UNSIGNED).find(|(name, _)| *name == code) {
        Some((_, dtype)) => Ok((order == '>', unsigned, *dtype)),
        None => {
            let note = match code {
                "V2" => "; if that is bf16, convert it to float32 or use .safetensors",
                _ => "",
            };
            let known: Vec<_> = TYPES.iter().chain(&UNSIGNED).map(|(name, _)| *name).collect();
            Err(origin.unsupported(format!(
                "element type `{}` has no counterpart (read are {}){note}",
                descr.escape_debug(),
                known.join(" ")
            )))
        }
    }
}

/// The row-major tensor whose column-major elements `stored` holds.
fn from_fortran<T: Element>(stored: &Tensor) -> Tensor {
    let dims = stored.shape().clone();
    let from = stored.as_slice::<T>();
    let mut tensor = Tensor::zeros(stored.dtype(), dims.clone());
    let mut strides = vec![1; dims.rank()];
    for axis in 1..dims.rank() {
        strides[axis] = strides[axis - 1] * dims[axis - 1];
    }
    let mut at = vec![0; dims.rank()];
    let mut source = 0;
    for to in tensor.as_mut_slice::<T>() {
        *to = from[source];
        for axis in (0..dims.rank()).rev() {
            at[axis] += 1;
            source += strides[axis];
            if at[axis] < dims[axis] {
                break;
            }
            source -= strides[axis] * dims[axis];
            at[axis] = 0;
        }
    }
    tensor
}

/// The three fields of a header.
struct Fields<'a> {
    descr: &'a str,
    fortran_order: bool,
    shape: Vec<u64>,
}

/// The part of a Python literal that is still to be parsed.
struct Literal<'a> {
    rest: &'a str,
}

impl<'a> Literal<'a> {
    fn header(&mut self) -> Result<Fields<'a>, String> {
        let (mut descr, mut fortran_order, mut shape) = (None, None, None);
        self.expect('{')?;
        while !self.accept('}') {
            let key = self.string()?;
            self.expect(':')?;
            let repeated = match key {
                "descr" => descr.replace(self.descr()?).is_some(),
                "fortran_order" => fortran_order.replace(self.boolean()?).is_some(),
                "shape" => shape.replace(self.tuple()?).is_some(),
                _ => return Err(format!("unknown key `{}`", key.escape_debug())),
            };
            if repeated {
                return Err(format!("`{key}` stands there twice"));
            }
            if !self.accept(',') {
                self.expect('}')?;
                break;
            }
        }
        if !self.rest.trim_ascii_start().is_empty() {
            return Err("there is more after the dictionary".into());
        }
        Ok(Fields {
            descr: descr.ok_or("`descr` is missing")?,
            fortran_order: fortran_order.ok_or("`fortran_order` is missing")?,
            shape: shape.ok_or("`shape` is missing")?,
        })
    }

    fn descr(&mut self) -> Result<&'a str, String> {
        if self.rest.trim_ascii_start().starts_with('[') {
            return Err("the array has structured elements (records)".into());
        }
        self.string()
    }

    fn string(&mut self) -> Result<&'a str, String> {
        let quote = if self.accept('"') { '"' } else { '\'' };
        if quote == '\'' {
            self.expect('\'')?;
        }
        let (string, rest) = self.rest.split_once(quote).ok_or("a string does not end")?;
        self.rest = rest;
        Ok(string)
    }

    fn boolean(&mut self) -> Result<bool, String> {
        match self.word() {
            "True" => Ok(true),
            "False" => Ok(false),
            word => Err(format!("`True` or `False` should be here, not `{word}`")),
        }
    }

    fn tuple(&mut self) -> Result<Vec<u64>, String> {
        let mut sizes = Vec::new();
        self.expect('(')?;
        while !self.accept(')') {
            if self.rest.trim_ascii_start().starts_with('-') {
                return Err("an axis has a negative size".into());
            }
            // Python 2 wrote long integers as `3L`.
            let word = self.word();
            let digits = word.strip_suffix('L').unwrap_or(word);
            let size = digits.parse::<u64>().map_err(|_| match word {
                "" => "the size of an axis or `)` should be here".to_string(),
                _ => format!("`{word}` is not the size of an axis, a whole number below 2^64"),
            })?;
            sizes.push(size);
            if !self.accept(',') {
                self.expect(')')?;
                break;
            }
        }
        Ok(sizes)
    }

    /// Letters and digits.
    fn word(&mut self) -> &'a str {
        let text = self.rest.trim_ascii_start();
        let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
        self.rest = &text[end..];
        &text[..end]
    }

    fn accept(&mut self, mark: char) -> bool {
        match self.rest.trim_ascii_start().strip_prefix(mark) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn expect(&mut self, mark: char) -> Result<(), String> {
        if self.accept(mark) { Ok(()) } else { Err(format!("`{mark}` should be here")) }
    }
}
