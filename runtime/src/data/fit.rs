//! What a format can hold, told from the types of tensors before there is one to write.

use super::error::{DataError, Unwritten};
use super::{Format, csv, idx, npy, png};
use crate::dtype::DType;
use crate::tensor::Tensor;
use std::collections::HashSet;
use std::fmt;
use std::path::Path;

/// A tensor that is to be written: its name, element type and sizes, as far as they are known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Form {
    /// What the file shall call it.
    pub name: String,
    /// The type of its elements.
    pub dtype: DType,
    /// The sizes of its axes; `None` where one is not known yet.
    pub shape: Vec<Option<usize>>,
}

impl Form {
    pub(super) fn of(name: &str, tensor: &Tensor) -> Form {
        let shape = tensor.shape().iter().map(|&size| Some(size)).collect();
        Form { name: name.to_string(), dtype: tensor.dtype(), shape }
    }

    /// `[3, _]`
    pub(super) fn shape(&self) -> impl fmt::Display {
        let size = |size: &Option<usize>| size.map_or("_".to_string(), |size| size.to_string());
        format!("[{}]", self.shape.iter().map(size).collect::<Vec<_>>().join(", "))
    }
}

/// Whether a file at `path` can hold such tensors, as far as its name and their types tell.
///
/// # Errors
/// What [`super::save_named`] would give for them, whatever their values.
pub fn check(path: &Path, tensors: &[Form]) -> Result<(), DataError> {
    let format = Format::of(path)?;
    fits(format, tensors).map_err(|unfit| unfit.at(path, format))
}

fn fits(format: Format, tensors: &[Form]) -> Result<(), Unwritten> {
    let mut seen = HashSet::new();
    if let Some(Form { name, .. }) = tensors.iter().find(|form| !seen.insert(&form.name)) {
        return Err(Unwritten::Unfit(format!("two tensors are called `{name}`")));
    }
    match format {
        Format::Npy => npy::code_of(only(format, tensors)?.dtype).map(|_| ()),
        Format::Npz => tensors.iter().try_for_each(|form| npy::code_of(form.dtype).map(|_| ())),
        Format::Safetensors => Ok(()),
        Format::Csv => csv::fits(only(format, tensors)?),
        Format::Png => png::fits(only(format, tensors)?),
        Format::Idx | Format::IdxGz => idx::code_of(only(format, tensors)?.dtype).map(|_| ()),
    }
}

fn only(format: Format, tensors: &[Form]) -> Result<&Form, Unwritten> {
    match tensors {
        [form] => Ok(form),
        _ => {
            let one = if format == Format::Idx { "an" } else { "a" };
            Err(Unwritten::Unfit(format!(
                "{one} {format} file holds one tensor, not {}; .npz and .safetensors hold any \
                 number",
                tensors.len()
            )))
        }
    }
}
