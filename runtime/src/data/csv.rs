//! `.csv`: lines of comma-separated numbers, as `f64 [rows, columns]`.
//!
//! The first line is a header, and skipped, where it has text and none of its cells is a number. A
//! cell with nothing in it is NaN.

use super::Form;
use super::error::{DataError, Origin, Unwritten};
use super::input::Input;
use crate::dtype::{DType, Element};
use crate::tensor::Tensor;
use ::csv::{ByteRecord, ErrorKind, Position, ReaderBuilder, Trim};
use std::io::Write;

/// The table of a whole file.
pub(super) fn load(input: &Input<'_>) -> Result<Tensor, DataError> {
    let origin = input.origin;
    let bytes = input.bytes();
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let mut reader = ReaderBuilder::new().has_headers(false).trim(Trim::All).from_reader(bytes);
    let mut record = ByteRecord::new();
    let (mut values, mut rows, mut columns) = (Vec::new(), 0, None);
    while reader.read_byte_record(&mut record).map_err(|e| said(origin, bytes, e))? {
        if columns.is_none() {
            columns = Some(record.len());
            if let Some(separator) = other_separator(&record) {
                let what = format!("cells are separated by commas, here by {separator}");
                return Err(origin.malformed(what));
            }
            if record.iter().all(|cell| number(cell).is_none()) && !blank(&record) {
                continue;
            }
        }
        for (column, cell) in record.iter().enumerate() {
            let value = if cell.is_empty() { Some(f64::NAN) } else { number(cell) };
            values.push(value.ok_or_else(|| bad_cell(origin, bytes, &record, column))?);
        }
        rows += 1;
    }
    match columns {
        Some(columns) => Ok(Tensor::from_slice(&values, [rows, columns])),
        None => Err(origin.malformed("it is empty")),
    }
}

/// Whether a table can hold it: up to two axes, and some columns.
pub(super) fn fits(form: &Form) -> Result<(), Unwritten> {
    match form.shape[..] {
        [] | [_] | [_, None | Some(1..)] => Ok(()),
        _ => {
            let what = format!("a .csv file holds no tensor of shape {}", form.shape());
            Err(Unwritten::Unfit(what))
        }
    }
}

/// Writes a matrix as lines, a vector as one column, a scalar as one cell.
///
/// Numbers are the shortest that read back as the same value.
pub(super) fn write(out: &mut dyn Write, tensor: &Tensor) -> Result<(), Unwritten> {
    let columns = tensor.shape().get(1).copied().unwrap_or(1);
    crate::with_element!(tensor.dtype(), T => {
        for row in tensor.as_slice::<T>().chunks_exact(columns) {
            for (i, &value) in row.iter().enumerate() {
                out.write_all(if i == 0 { b"" } else { b"," })?;
                write_number(out, value)?;
            }
            out.write_all(b"\n")?;
        }
    });
    Ok(())
}

fn write_number<T: Element>(out: &mut dyn Write, value: T) -> std::io::Result<()> {
    match T::DTYPE {
        // `{:?}` turns to the scientific form for the very large and the very small.
        DType::F16 | DType::BF16 | DType::F32 => write!(out, "{:?}", value.to_f64() as f32),
        DType::F64 => write!(out, "{:?}", value.to_f64()),
        DType::Bool | DType::U8 | DType::I8 | DType::I16 | DType::I32 | DType::I64 => {
            write!(out, "{}", value.to_i64())
        }
    }
}

fn number(cell: &[u8]) -> Option<f64> {
    std::str::from_utf8(cell).ok()?.parse().ok()
}

fn blank(record: &ByteRecord) -> bool {
    record.iter().all(<[u8]>::is_empty)
}

/// What separates the numbers of a line in the place of commas, which a heading would hide.
fn other_separator(record: &ByteRecord) -> Option<&'static str> {
    let [cell] = record.iter().collect::<Vec<_>>()[..] else { return None };
    let separators = [(b';', "semicolons"), (b'\t', "tabs"), (b' ', "spaces")];
    let numbers = |by: u8| cell.split(move |&b| b == by).filter(|part| !part.is_empty());
    let parts = |by: u8| numbers(by).count() > 1 && numbers(by).all(|part| number(part).is_some());
    separators.into_iter().find(|(by, _)| parts(*by)).map(|(_, name)| name)
}

fn bad_cell(origin: Origin<'_>, file: &[u8], record: &ByteRecord, column: usize) -> DataError {
    let line = line_of(file, record.position());
    let text = String::from_utf8_lossy(&record[column]);
    let shown: String = text.chars().take(40).collect();
    origin.cell(line, column as u64 + 1, shown.escape_debug().to_string())
}

/// The line of the record that was begun at `position`, which is before any blank lines.
fn line_of(file: &[u8], position: Option<&Position>) -> u64 {
    let begun = position.map_or(0, |p| (p.byte() as usize).min(file.len()));
    let blank = file[begun..].iter().take_while(|&&b| b == b'\n' || b == b'\r').count();
    1 + file[..begun + blank].iter().filter(|&&b| b == b'\n').count() as u64
}

fn said(origin: Origin<'_>, file: &[u8], error: ::csv::Error) -> DataError {
    match error.into_kind() {
        ErrorKind::Io(e) => origin.reading(e),
        ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = line_of(file, pos.as_ref());
            origin.malformed(format!("line {line} has {len} cells, the first has {expected_len}"))
        }
        other => origin.malformed(format!("{other:?}")),
    }
}
