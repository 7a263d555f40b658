//! Data files in and out: `.npy`, `.npz`, `.safetensors`, IDX (also gzipped), `.csv`, `.png`.
//!
//! [`load`] and [`save`] are the doors; the file's name says the format, the file's first bytes
//! must agree. Each format is one file here.
//!
//! Invariant: whatever bytes a file holds, loading it gives tensors or a [`DataError`], without a
//! panic and without memory out of proportion to the file: sizes are multiplied with overflow
//! checks, compared with the bytes that are there before anything is allocated, and what is
//! compressed grows as it is unpacked. Saving leaves a whole file or none.
//!
//! Unsigned integers that the language does not have are widened: 16 bits to `i32`, 32 to `i64`,
//! and 64 bits to `i64` where all values fit.
//!
//! Values in `.npy` and `.safetensors` files are mapped, not read, where their alignment allows:
//! such a file must not be shortened by others while its tensors live.

mod csv;
mod error;
mod fit;
mod idx;
mod input;
mod npy;
mod npz;
mod png;
mod safetensors;

#[cfg(test)]
mod tests;

pub use error::{DataError, Place};
pub use fit::{Form, check};

use crate::atomic_file::write_atomically;
use crate::tensor::Tensor;
use input::Input;
use std::fmt;
use std::path::Path;

const _: () = assert!(cfg!(target_endian = "little"), "mapped files are little-endian");

/// Reads the tensor or the tensors of the file at `path`.
pub fn load(path: &Path) -> Result<Loaded, DataError> {
    load_where(path, &|_| true)
}

/// Reads those tensors of the file at `path` whose names are among `names`.
///
/// The others are not read, so their element types need not be ones of the language. A name that
/// the file does not have is simply absent from the result; a file of one unnamed tensor is
/// loaded whatever `names` says.
pub fn load_members(path: &Path, names: &[&str]) -> Result<Loaded, DataError> {
    load_where(path, &|name| names.contains(&name))
}

/// Writes one tensor to `path`: the whole file or nothing.
///
/// Formats that name their tensors call it `arr_0`, as numpy does.
///
/// ```
/// use tensc_runtime::{load, save, Tensor};
/// # let dir = tempfile::tempdir().unwrap();
/// let path = dir.path().join("x.npy");
/// let x = Tensor::from_slice(&[1.0f32, 2.0, 3.0], [3]);
/// save(&path, &x)?;
/// assert_eq!(load(&path)?.into_tensor(), Some(x));
/// # Ok::<(), tensc_runtime::DataError>(())
/// ```
pub fn save(path: &Path, tensor: &Tensor) -> Result<(), DataError> {
    save_named(path, &[("arr_0", tensor)])
}

/// Writes named tensors to `path`: the whole file or nothing.
///
/// Formats that hold one unnamed tensor take a single one, and drop its name.
pub fn save_named<S: AsRef<str>>(path: &Path, tensors: &[(S, &Tensor)]) -> Result<(), DataError> {
    let tensors: Vec<(&str, &Tensor)> = tensors.iter().map(|(n, t)| (n.as_ref(), *t)).collect();
    let forms: Vec<Form> = tensors.iter().map(|(name, tensor)| Form::of(name, tensor)).collect();
    check(path, &forms)?;
    let format = Format::of(path)?;
    let only = || tensors[0].1;
    let written = write_atomically(path, |out| match format {
        Format::Npy => npy::write(out, only()),
        Format::Npz => npz::write(out, &tensors),
        Format::Safetensors => safetensors::write(out, &tensors),
        Format::Csv => csv::write(out, only()),
        Format::Png => png::write(out, only()),
        Format::Idx => idx::write(out, only()),
        Format::IdxGz => idx::write_gz(out, only()),
    });
    written.map_err(|unwritten| unwritten.at(path, format))
}

/// What a data file held.
#[derive(Clone, PartialEq, Debug)]
pub enum Loaded {
    /// One tensor without a name: `.npy`, IDX, `.csv`, `.png`.
    One(Tensor),
    /// Tensors with names, in the file's order: `.npz`, `.safetensors`.
    Named(Vec<(String, Tensor)>),
}

impl Loaded {
    /// The tensor called `name`; `None` for a file whose tensor has no name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        match self {
            Loaded::One(_) => None,
            Loaded::Named(all) => all.iter().find(|(n, _)| n == name).map(|(_, t)| t),
        }
    }
    /// The names in the file's order; empty for a file whose tensor has no name.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Loaded::One(_) => Vec::new(),
            Loaded::Named(all) => all.iter().map(|(n, _)| n.as_str()).collect(),
        }
    }
    /// The only tensor there is; `None` where there are several or none.
    pub fn into_tensor(self) -> Option<Tensor> {
        match self {
            Loaded::One(tensor) => Some(tensor),
            Loaded::Named(mut all) => {
                let last = all.pop()?;
                all.is_empty().then_some(last.1)
            }
        }
    }
}

/// The data formats there are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Format {
    /// One numpy array.
    Npy,
    /// A zip archive of numpy arrays.
    Npz,
    /// Named tensors behind a JSON header.
    Safetensors,
    /// The format of the MNIST files.
    Idx,
    /// A gzipped IDX file.
    IdxGz,
    /// Lines of comma-separated numbers.
    Csv,
    /// An image.
    Png,
}

impl Format {
    /// The format that the name of the file at `path` stands for.
    pub fn of(path: &Path) -> Result<Format, DataError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let format = match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
            "npy" => Some(Format::Npy),
            "npz" => Some(Format::Npz),
            "safetensors" => Some(Format::Safetensors),
            "csv" => Some(Format::Csv),
            "png" => Some(Format::Png),
            "gz" if is_idx(name.trim_end_matches(".gz")) => Some(Format::IdxGz),
            _ if is_idx(&name) => Some(Format::Idx),
            _ => None,
        };
        format.ok_or_else(|| DataError::UnknownFormat { path: path.to_path_buf() })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Npy => ".npy",
            Format::Npz => ".npz",
            Format::Safetensors => ".safetensors",
            Format::Idx => "IDX",
            Format::IdxGz => "gzipped IDX",
            Format::Csv => ".csv",
            Format::Png => ".png",
        })
    }
}

/// `x.idx`, `x.idx3-ubyte`, `x-idx1-ubyte`: the names such files go by.
fn is_idx(name: &str) -> bool {
    let tail = name.rsplit(['.', '/']).next().unwrap_or(name);
    let mut parts = tail.rsplit('-');
    let (last, before) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let digits = |part: &str| {
        part.strip_prefix("idx").is_some_and(|d| d.bytes().all(|b| b.is_ascii_digit()))
    };
    digits(last) && name != "idx" || digits(before)
}

fn load_where(path: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<Loaded, DataError> {
    let format = Format::of(path)?;
    let input = Input::open(path, format)?;
    match format {
        Format::Npy => npy::load(&input).map(Loaded::One),
        Format::Npz => npz::load(&input, wanted).map(Loaded::Named),
        Format::Safetensors => safetensors::load(&input, wanted).map(Loaded::Named),
        Format::Idx => idx::load(&input).map(Loaded::One),
        Format::IdxGz => idx::load_gz(&input).map(Loaded::One),
        Format::Csv => csv::load(&input).map(Loaded::One),
        Format::Png => png::load(&input).map(Loaded::One),
    }
}
