//! `for b in batches(data, size, …)`: rows in groups along axis 0.
//!
//! Large batches are gathered on a thread of their own, one ahead of the body, so that reading a
//! mapped file and computing overlap. What the body sees does not depend on that: the rows are
//! those that the tensors had when the loop began.

use super::{Executor, Flow};
use crate::check::typed::{SlotId, Step};
use crate::diag::{Diagnostic, Span, codes};
use std::ops::Range;
use std::sync::mpsc;
use tensc_runtime::{Tensor, rng};

/// Batches of fewer bytes are gathered where they are used: handing them over would cost more.
const AHEAD_FROM: usize = 1 << 18;

/// What batches are made of.
struct Source {
    data: Vec<Tensor>,
    /// The rows in the order of the loop; as they lie where there is none.
    order: Option<Vec<usize>>,
    /// The rows, as counted by `order`, of all batches together.
    rows: usize,
    size: usize,
}

impl Source {
    fn ranges(&self) -> impl Iterator<Item = Range<usize>> + Clone + use<> {
        let (rows, size) = (self.rows, self.size);
        (0..rows).step_by(size).map(move |start| start..(start + size).min(rows))
    }

    fn gather(&self, range: &Range<usize>) -> Vec<Tensor> {
        let order = self.order.as_deref();
        self.data.iter().map(|whole| take_rows(whole, order, range.clone())).collect()
    }

    fn bytes_of_a_batch(&self) -> usize {
        let row = |t: &Tensor| t.shape()[1..].iter().product::<usize>() * t.dtype().size();
        self.data.iter().map(row).sum::<usize>().saturating_mul(self.size.min(self.rows))
    }

    /// Calls `body` with each batch until it leaves the loop.
    fn each<E>(
        &self,
        mut body: impl FnMut(Range<usize>, Vec<Tensor>) -> Result<Flow, E>,
    ) -> Result<(), E> {
        let mut in_turn = |batches: &mut dyn Iterator<Item = (Range<usize>, Vec<Tensor>)>| {
            for (range, batch) in batches {
                if body(range, batch)? == Flow::Break {
                    break;
                }
            }
            Ok(())
        };
        let mut gathered = self.ranges().map(|range| {
            let batch = self.gather(&range);
            (range, batch)
        });
        if self.bytes_of_a_batch() < AHEAD_FROM || self.rows <= self.size {
            return in_turn(&mut gathered);
        }
        std::thread::scope(|scope| {
            // One batch waits in the channel while the next is gathered.
            let (give, take) = mpsc::sync_channel(1);
            let again = gathered.clone();
            // Nobody takes any more once the body has left the loop.
            let ahead = move || drop(gathered.try_for_each(|batch| give.send(batch)));
            match std::thread::Builder::new().spawn_scoped(scope, ahead) {
                Ok(_) => in_turn(&mut take.into_iter()),
                Err(_) => in_turn(&mut { again }),
            }
        })
    }
}

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
        let rows = if *drop_last { total - total % size } else { total };
        let whole = data.iter().map(|(whole, _)| self.get(*whole).clone()).collect();
        let source = Source { data: whole, order, rows, size };
        self.environment.console.enter("batch", rows.div_ceil(size) as u64);
        source.each(|range, batch| {
            for ((_, slot), rows) in data.iter().zip(batch) {
                self.set(*slot, rows);
            }
            self.sizes.insert(dim.clone(), range.len() as i64);
            let flow = self.steps(body)?;
            if flow != Flow::Break {
                self.environment.console.advance();
            }
            Ok(flow)
        })?;
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
}

/// The rows `order[range]` (or `range`) of axis 0, copied.
fn take_rows(whole: &Tensor, order: Option<&[usize]>, range: Range<usize>) -> Tensor {
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
