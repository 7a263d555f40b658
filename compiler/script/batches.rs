//! `for b in batches(data, size, …)`: rows in groups along axis 0.

use super::{Executor, Flow};
use crate::check::typed::{SlotId, Step};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::DimVar;
use tensc_runtime::{Tensor, rng};

impl Executor<'_> {
    /// Runs the body for each batch; the last one may be short.
    pub(super) fn batches(&mut self, step: &Step) -> Result<Flow, Diagnostic> {
        let Step::Batches { data, size, shuffle, order, drop_last, dim, body, span } = step else {
            unreachable!("called for batches only");
        };
        let rows = self.rows(data, *span)?;
        let size = self.integer(*size);
        let Some(size) = usize::try_from(size).ok().filter(|n| *n > 0) else {
            let message = format!("a batch needs at least one row, not {size}");
            return Err(Diagnostic::error(codes::BAD_SIZE, *span, message));
        };
        let order = match (shuffle, order) {
            (Some(key), _) => {
                let key = rng::Key(self.integer(*key) as u64);
                Some(rng::permutation(key, rows).into_iter().map(|row| row as usize).collect())
            }
            (None, Some(order)) => Some(self.checked_order(*order, rows, *span)?),
            (None, None) => None,
        };
        let total = order.as_ref().map_or(rows, Vec::len);
        let whole_only = if *drop_last { total - total % size } else { total };
        self.environment.console.enter("batch", whole_only.div_ceil(size) as u64);
        for start in (0..whole_only).step_by(size) {
            let range = start..(start + size).min(whole_only);
            self.bind(data, order.as_deref(), range, dim);
            if self.steps(body)? == Flow::Break {
                break;
            }
            self.environment.console.advance();
        }
        self.environment.console.leave();
        Ok(Flow::Next)
    }

    /// The one size of axis 0 of all tensors.
    fn rows(&self, data: &[(SlotId, SlotId)], span: Span) -> Result<usize, Diagnostic> {
        let mut sizes = data.iter().map(|(whole, _)| {
            (self.get(*whole).shape()[0], &self.script.slots[whole.0 as usize].name)
        });
        let (rows, first) = sizes.next().expect("the checker asks for at least one tensor");
        match sizes.find(|(n, _)| *n != rows) {
            None => Ok(rows),
            Some((n, name)) => {
                let message = format!("`{first}` has {rows} rows, but `{name}` has {n}");
                Err(Diagnostic::error(codes::DATA_SHAPE, span, message)
                    .help("every tensor of one `batches` needs the same size of axis 0"))
            }
        }
    }

    fn checked_order(
        &self,
        order: SlotId,
        rows: usize,
        span: Span,
    ) -> Result<Vec<usize>, Diagnostic> {
        let valid = |row: &i64| usize::try_from(*row).ok().filter(|r| *r < rows).ok_or(*row);
        let order: Result<Vec<usize>, i64> =
            self.get(order).as_slice::<i64>().iter().map(valid).collect();
        order.map_err(|row| {
            let message = format!("the order names row {row}, but there are {rows} rows");
            Diagnostic::error(codes::INDEX_OUT_OF_RANGE, span, message)
        })
    }

    /// Puts the rows of one batch into the body's slots and binds its size.
    fn bind(
        &mut self,
        data: &[(SlotId, SlotId)],
        order: Option<&[usize]>,
        range: std::ops::Range<usize>,
        dim: &DimVar,
    ) {
        for (whole, batch) in data {
            let rows = take_rows(self.get(*whole), order, range.clone());
            self.set(*batch, rows);
        }
        self.sizes.insert(dim.clone(), range.len() as i64);
    }
}

/// The rows `order[range]` (or `range`) of axis 0, copied.
fn take_rows(whole: &Tensor, order: Option<&[usize]>, range: std::ops::Range<usize>) -> Tensor {
    let mut shape = whole.shape().clone();
    shape.0[0] = range.len();
    let row: usize = shape[1..].iter().product();
    let mut batch = Tensor::zeros(whole.dtype(), shape);
    tensc_runtime::with_element!(whole.dtype(), T => {
        let (from, to) = (whole.as_slice::<T>(), batch.as_mut_slice::<T>());
        match order {
            None => to.copy_from_slice(&from[range.start * row..range.end * row]),
            Some(order) => {
                for (i, &source) in order[range].iter().enumerate() {
                    to[i * row..][..row].copy_from_slice(&from[source * row..][..row]);
                }
            }
        }
    });
    batch
}
