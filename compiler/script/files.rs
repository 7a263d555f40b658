//! `load` and `save`: data files against the types the script declares.

use super::Executor;
use crate::check::typed::{LoadLeaf, SlotId, Text};
use crate::diag::{Diagnostic, Span, codes};
use crate::session::sizes::{Datum, Misfit, Mismatch, bind};
use std::path::Path;
use tensc_runtime::{Tensor, data};

impl Executor<'_> {
    /// Reads a file and binds the sizes that its leaves name for the first time.
    pub(super) fn load(
        &mut self,
        path: &Text,
        leaves: &[LoadLeaf],
        span: Span,
    ) -> Result<(), Diagnostic> {
        let path = self.environment.base.join(self.text(path));
        let unreadable =
            |e: data::DataError| Diagnostic::error(codes::BAD_DATA_FILE, span, e.to_string());
        let names: Vec<&str> = leaves.iter().filter_map(|leaf| leaf.key.as_deref()).collect();
        let file = match names.len() == leaves.len() {
            true => data::load_members(&path, &names),
            false => data::load(&path),
        };
        let file = file.map_err(unreadable)?;
        for leaf in leaves {
            let tensor = match &leaf.key {
                None => file.clone().into_tensor(),
                Some(key) => file.get(key).cloned(),
            };
            let Some(tensor) = tensor else {
                return Err(missing(&path, leaf));
            };
            self.accept(&path, leaf, &tensor)?;
            self.set(leaf.slot, tensor);
        }
        Ok(())
    }

    /// Checks a loaded tensor against the declared type; a size that is a new name takes its value.
    fn accept(&mut self, path: &Path, leaf: &LoadLeaf, data: &Tensor) -> Result<(), Diagnostic> {
        let declared = &self.script.slots[leaf.slot.0 as usize].ty;
        let datum = Datum { declared, dtype: data.dtype(), shape: data.shape() };
        bind(&[datum], &mut self.sizes).map_err(|Misfit { mismatch, .. }| {
            let name = leaf.key.as_ref().map_or(String::new(), |key| format!("`{key}` of "));
            let (dtype, shape) = (data.dtype(), data.shape());
            let message = format!("{name}{} is {dtype}{shape}, not {declared}", path.display());
            let here = mismatch.to_string();
            let diagnostic = Diagnostic::error(codes::DATA_SHAPE, leaf.span, message).here(here);
            match mismatch {
                Mismatch::DType(want, have) => diagnostic.help(format!(
                    "declare {have}, as the file has it, and convert what is read: {want}(…)"
                )),
                _ => diagnostic,
            }
        })
    }

    /// Writes a file whole or not at all.
    pub(super) fn save(
        &mut self,
        path: &Text,
        leaves: &[(Option<String>, SlotId)],
        span: Span,
    ) -> Result<(), Diagnostic> {
        let path = self.environment.base.join(self.text(path));
        let written = match leaves {
            [(None, slot)] => data::save(&path, self.get(*slot)),
            _ => {
                let named: Vec<(&str, &Tensor)> = leaves
                    .iter()
                    .map(|(name, slot)| (name.as_deref().unwrap_or("value"), self.get(*slot)))
                    .collect();
                data::save_named(&path, &named)
            }
        };
        written.map_err(|e| Diagnostic::error(codes::CANNOT_SAVE, span, e.to_string()))
    }
}

fn missing(path: &Path, leaf: &LoadLeaf) -> Diagnostic {
    let shown = path.display();
    let message = match &leaf.key {
        Some(key) => format!("{shown} holds no tensor named `{key}`"),
        None => format!("{shown} holds several tensors, but one is asked for"),
    };
    let diagnostic = Diagnostic::error(codes::BAD_DATA_FILE, leaf.span, message);
    // Only what was asked for has been read; what else there is may be unreadable.
    let Ok(whole) = data::load(path) else { return diagnostic };
    let names: Vec<String> = whole.names().iter().map(|n| format!("`{n}`")).collect();
    let held = match whole {
        data::Loaded::One(_) => "one tensor without a name".to_string(),
        data::Loaded::Named(_) if names.is_empty() => "none".to_string(),
        data::Loaded::Named(_) => names.join(", "),
    };
    diagnostic.note(format!("it holds {held}"))
}
