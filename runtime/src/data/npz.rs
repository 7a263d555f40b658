//! `.npz`: a zip archive of `.npy` files, stored or deflated.
//!
//! Members are read one after another through their checksums. Two members over the same bytes
//! are refused: that is how a small archive unpacks to an enormous one.

use super::error::{DataError, Origin, Unwritten};
use super::input::Input;
use super::npy;
use crate::atomic_file::Aside;
use crate::tensor::Tensor;
use std::collections::HashSet;
use std::io::{self, Cursor, Write};
use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

const OTHER_PACKING: &str = "a member is packed in a way that is not read: store or deflate it";

/// Those arrays whose names are `wanted`, in the order of the archive's directory.
pub(super) fn load(
    input: &Input<'_>,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<(String, Tensor)>, DataError> {
    let origin = input.origin;
    let bytes = input.bytes();
    if !bytes.starts_with(b"PK") {
        return Err(origin.malformed("it does not begin with the mark of a zip archive, `PK`"));
    }
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| said(origin, e))?;
    if archive.has_overlapping_files().map_err(|e| said(origin, e))? {
        return Err(origin.malformed("two of its members are the same bytes of the file"));
    }
    let mut tensors = Vec::new();
    let mut seen = HashSet::new();
    for index in 0..archive.len() {
        let mut member = archive.by_index(index).map_err(|e| said(origin, e))?;
        let name = member.name().map_err(|e| said(origin, e))?.into_owned();
        let name = name.strip_suffix(".npy").unwrap_or(&name).to_string();
        if !seen.insert(name.clone()) {
            return Err(origin.malformed(format!("two members are called `{name}`")));
        }
        if wanted(&name) {
            let tensor = npy::read(origin.member(&name), &mut member)?;
            tensors.push((name, tensor));
        }
    }
    if archive.has_duplicate_names() {
        return Err(origin.malformed("two members have the same name"));
    }
    Ok(tensors)
}

/// Writes the tensors uncompressed, as `numpy.savez` does. The same tensors give the same bytes.
pub(super) fn write(out: &mut Aside<'_>, tensors: &[(&str, &Tensor)]) -> Result<(), Unwritten> {
    let mut archive = ZipWriter::new(out);
    for (name, tensor) in tensors {
        let header = npy::header_of(tensor)?;
        let size = header.len() as u64 + tensor.as_bytes().len() as u64;
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default())
            .large_file(size >= u64::from(u32::MAX));
        archive.start_file(format!("{name}.npy"), options).map_err(unwritten)?;
        archive.write_all(&header)?;
        archive.write_all(tensor.as_bytes())?;
    }
    archive.finish().map_err(unwritten)?;
    Ok(())
}

fn said(origin: Origin<'_>, error: ZipError) -> DataError {
    match error {
        ZipError::UnsupportedArchive(ZipError::PASSWORD_REQUIRED) | ZipError::InvalidPassword => {
            origin.unsupported("its members are locked by a password")
        }
        ZipError::UnsupportedArchive(_) | ZipError::CompressionMethodNotSupported(_) => {
            origin.unsupported(OTHER_PACKING)
        }
        ZipError::Io(e) if e.kind() == io::ErrorKind::Unsupported => {
            origin.unsupported(OTHER_PACKING)
        }
        ZipError::Io(e) => origin.reading(e),
        // The words of the archive's reader are about its own parts.
        _ => origin.malformed("its directory of members is damaged, or cut off"),
    }
}

fn unwritten(error: ZipError) -> Unwritten {
    match error {
        ZipError::Io(e) => Unwritten::System(e),
        other => Unwritten::System(io::Error::other(other)),
    }
}
