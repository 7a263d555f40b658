//! `.safetensors`: a JSON header of names, types, shapes and offsets, then the tensors.
//!
//! The header is parsed by the format's own crate; the sums that decide what is read are done
//! here, with overflow checks. The tensors must cover the rest of the file without a gap.

use super::error::{DataError, Origin, Unwritten};
use super::input::{Extent, Input, widen_unsigned};
use crate::dtype::DType;
use crate::tensor::Tensor;
use ::safetensors::tensor::{Dtype, Metadata, TensorInfo};
use std::io::Write;

/// The limit of the format.
const MAX_HEADER: u64 = 100_000_000;

const TYPES: [(Dtype, DType); 10] = [
    (Dtype::BOOL, DType::Bool),
    (Dtype::U8, DType::U8),
    (Dtype::I8, DType::I8),
    (Dtype::I16, DType::I16),
    (Dtype::I32, DType::I32),
    (Dtype::I64, DType::I64),
    (Dtype::F16, DType::F16),
    (Dtype::BF16, DType::BF16),
    (Dtype::F32, DType::F32),
    (Dtype::F64, DType::F64),
];

/// Unsigned types without a counterpart, by the signed type of their width; see `widen_unsigned`.
const UNSIGNED: [(Dtype, DType); 3] =
    [(Dtype::U16, DType::I16), (Dtype::U32, DType::I32), (Dtype::U64, DType::I64)];

/// Those tensors whose names are `wanted`, in the order in which they lie in the file.
pub(super) fn load(
    input: &Input<'_>,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<Vec<(String, Tensor)>, DataError> {
    let (origin, bytes) = (input.origin, input.bytes());
    let Some((len, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(origin.truncated(8, bytes.len() as u64));
    };
    let len = u64::from_le_bytes(*len);
    if len > MAX_HEADER {
        let what = format!("its first 8 bytes promise a header of {len} bytes");
        return Err(origin.malformed(what));
    }
    let Some((header, data)) = rest.split_at_checked(len as usize) else {
        return Err(origin.truncated(8 + len, bytes.len() as u64));
    };
    let header: Metadata = serde_json::from_slice(header)
        .map_err(|e| origin.malformed(format!("in the header: {e}")))?;
    let start = bytes.len() - data.len();
    let needed = start as u64;
    let needed = needed.saturating_add(header.data_len() as u64);
    if needed > bytes.len() as u64 {
        return Err(origin.truncated(needed, bytes.len() as u64));
    }
    if needed < bytes.len() as u64 {
        return Err(origin.oversized(needed));
    }
    let names = header.offset_keys();
    let entries = names.into_iter().filter(|name| wanted(name)).map(|name| {
        let info = header.info(&name).expect("the header has the names that it lists");
        let tensor = load_one(input, origin.member(&name), info, start)?;
        Ok((name, tensor))
    });
    entries.collect()
}

fn load_one(
    input: &Input<'_>,
    origin: Origin<'_>,
    info: &TensorInfo,
    start: usize,
) -> Result<Tensor, DataError> {
    let types = || TYPES.iter().chain(&UNSIGNED);
    let Some((_, dtype)) = types().find(|(theirs, _)| *theirs == info.dtype) else {
        let what = format!("element type {} has no counterpart", info.dtype);
        return Err(origin.unsupported(what));
    };
    let dims: Vec<u64> = info.shape.iter().map(|&d| d as u64).collect();
    let extent = Extent::new(origin, *dtype, &dims)?;
    // The whole of the data is in the file and the parser has found the tensors to lie in it
    // one after another; this repeats what matters for memory.
    let (from, to) = info.data_offsets;
    let offset = start.checked_add(from).filter(|&offset| offset <= input.bytes().len());
    let Some(offset) = offset.filter(|_| to.checked_sub(from) == Some(extent.bytes)) else {
        return Err(origin.malformed("its offsets do not agree with its shape"));
    };
    let tensor = input.tensor_at(origin, &extent, offset)?;
    match UNSIGNED.iter().any(|(theirs, _)| *theirs == info.dtype) {
        true => widen_unsigned(origin, tensor),
        false => Ok(tensor),
    }
}

/// Writes the tensors, widest element type first so that all are aligned, then by name.
pub(super) fn write(out: &mut dyn Write, tensors: &[(&str, &Tensor)]) -> Result<(), Unwritten> {
    let mut order: Vec<(Dtype, &str, &Tensor)> = Vec::new();
    for (name, tensor) in tensors {
        if *name == "__metadata__" {
            return Err(Unwritten::Unfit("the format keeps the name `__metadata__`".into()));
        }
        let theirs = TYPES.iter().find(|(_, ours)| *ours == tensor.dtype());
        order.push((theirs.expect("every type is in the table").0, name, tensor));
    }
    order.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    let mut end = 0;
    let infos = order.iter().map(|(dtype, name, tensor)| {
        let start = end;
        end += tensor.as_bytes().len();
        let shape = tensor.shape().to_vec();
        let info = TensorInfo { dtype: *dtype, shape, data_offsets: (start, end) };
        (name.to_string(), info)
    });
    let header = Metadata::new(None, infos.collect())
        .map_err(|e| Unwritten::Unfit(e.to_string()))
        .and_then(|m| serde_json::to_string(&m).map_err(|e| Unwritten::Unfit(e.to_string())))?;
    let padded = header.len().next_multiple_of(8);
    out.write_all(&(padded as u64).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    out.write_all(&b"       "[..padded - header.len()])?;
    for (_, _, tensor) in &order {
        out.write_all(tensor.as_bytes())?;
    }
    Ok(())
}
