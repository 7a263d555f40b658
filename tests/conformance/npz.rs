//! NumPy's archives, read for tests: every element type of the collections, text included, and
//! independent of the reader that the language has.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use tensc_runtime::{DType, Tensor};

/// The arrays of an archive by name.
pub type Arrays = BTreeMap<String, Array>;

/// An array as it is stored: little-endian elements in row-major order.
#[derive(Clone, Debug)]
pub struct Array {
    /// NumPy's description of the element type: `<f8`.
    descr: String,
    /// The sizes.
    pub shape: Vec<usize>,
    bytes: Vec<u8>,
}

/// Reads an archive.
pub fn read(path: &Path) -> Arrays {
    let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut archive = zip::ZipArchive::new(file).expect("it is an archive");
    let mut arrays = Arrays::new();
    for i in 0..archive.len() {
        let mut member = archive.by_index(i).expect("it has so many members");
        let name = member.name().expect("a name is text").trim_end_matches(".npy").to_string();
        let mut bytes = Vec::new();
        member.read_to_end(&mut bytes).expect("it can be unpacked");
        arrays.insert(name, Array::parse(&bytes));
    }
    arrays
}

impl Array {
    fn parse(bytes: &[u8]) -> Array {
        assert_eq!(&bytes[..6], b"\x93NUMPY", "an array of NumPy");
        let (start, len) = match bytes[6] {
            1 => (10, usize::from(u16::from_le_bytes([bytes[8], bytes[9]]))),
            _ => (12, u32::from_le_bytes(bytes[8..12].try_into().expect("4 bytes")) as usize),
        };
        let header = std::str::from_utf8(&bytes[start..start + len]).expect("a header is text");
        let after = |key: &str| {
            let at = header.find(key).unwrap_or_else(|| panic!("{key} in {header}"));
            header[at + key.len()..].trim_start_matches(['\'', ':', ' '])
        };
        let descr = after("descr").split('\'').next().expect("a description").to_string();
        let sizes = after("shape").trim_start_matches('(').split(')').next().expect("a shape");
        let sizes = sizes.split(',').map(str::trim).filter(|s| !s.is_empty());
        let shape: Vec<usize> = sizes.map(|s| s.parse().expect("a size")).collect();
        let bytes = bytes[start + len..].to_vec();
        let array = Array { descr, shape, bytes };
        if after("fortran_order").starts_with("True") { array.row_major() } else { array }
    }

    /// Elements that are stored in column-major order, in row-major order.
    fn row_major(mut self) -> Array {
        let elements: usize = self.shape.iter().product();
        let width = self.bytes.len() / elements.max(1);
        let mut bytes = Vec::with_capacity(self.bytes.len());
        for number in 0..elements {
            let (mut rest, mut from) = (number, 0);
            for (axis, &size) in self.shape.iter().enumerate().rev() {
                let stride: usize = self.shape[..axis].iter().product();
                from += rest % size * stride;
                rest /= size;
            }
            bytes.extend_from_slice(&self.bytes[from * width..(from + 1) * width]);
        }
        self.bytes = bytes;
        self
    }

    /// The array as a tensor, where the language has its element type.
    pub fn tensor(&self) -> Option<Tensor> {
        let dtype = match self.descr.as_str() {
            "<f8" => DType::F64,
            "<f4" => DType::F32,
            "<f2" => DType::F16,
            "<i8" => DType::I64,
            "<i4" => DType::I32,
            "<i2" => DType::I16,
            "|i1" => DType::I8,
            "|u1" | "|b1" => DType::U8,
            _ => return None,
        };
        let mut source = self.bytes.as_slice();
        let tensor = Tensor::read_from(dtype, self.shape.as_slice(), &mut source).ok()?;
        if self.descr == "|b1" { tensor.try_into_bool().ok() } else { Some(tensor) }
    }

    /// The bits of unsigned integers of this width, which stand for floats.
    pub fn bits<const WIDTH: usize>(&self) -> Vec<u64> {
        assert_eq!(self.descr, format!("<u{WIDTH}"), "unsigned integers");
        let wide = |chunk: &[u8]| {
            let mut all = [0; 8];
            all[..WIDTH].copy_from_slice(chunk);
            u64::from_le_bytes(all)
        };
        self.bytes.chunks_exact(WIDTH).map(wide).collect()
    }

    /// A scalar of text.
    pub fn text(&self) -> String {
        assert!(self.descr.starts_with("<U"), "text, not {}", self.descr);
        let code = |c: &[u8]| u32::from_le_bytes(c.try_into().expect("4 bytes"));
        let codes = self.bytes.chunks_exact(4).map(code).take_while(|&c| c != 0);
        codes.map(|c| char::from_u32(c).expect("a character")).collect()
    }
}
