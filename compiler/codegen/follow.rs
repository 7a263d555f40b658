//! Nests that follow a product panel by panel.
//!
//! Where a nest goes over the rows of what the product before it makes (a softmax over scores, the
//! loss of each row), a panel of rows is done as soon as all of its columns are there, while they
//! are in the cache: row reductions belong to the product then, as its epilogue does. The kernels
//! stay two to everything else; only the order of their rows changes, and so no bit of a result.
//!
//! It is allowed where a row of the nest meets memory of the product in the same row of C only.
//! The plan places buffers for kernels one after another: what the nest writes may lie where the
//! product still reads, and then the two remain apart.
//!
//! Neighbours: `product::loops` calls the nest's function; `codegen` compiles it first.

use super::alias::overlap;
use crate::kernel::touch::{Site, Touch, touches};
use crate::kernel::walk::{points, range};
use crate::kernel::{Kernel, Nest, Program, Split, Work};

/// The nest that follows the product at `at`, if C has at least `far` bytes.
pub(super) fn follower(program: &Program, at: usize, far: usize) -> Option<(&Kernel, &Nest)> {
    let Work::Product(product) = &program.kernels[at].work else { return None };
    let kernel = program.kernels.get(at + 1)?;
    let Work::Nest(nest) = &kernel.work else { return None };
    let rows = points(&product.batch).saturating_mul(product.m);
    let bytes = rows.saturating_mul(product.n).saturating_mul(product.dtype.size());
    let fits = nest.split == Split::Rows && points(&nest.outer) == rows && bytes >= far;
    (fits && in_step(program, &program.kernels[at], kernel, nest)).then_some((kernel, nest))
}

/// Whether the nest reads something that the product writes, and each of its rows meets the
/// product's memory in the same row only.
fn in_step(program: &Program, product: &Kernel, kernel: &Kernel, nest: &Nest) -> bool {
    let (made, used) = (touches(product), touches(kernel));
    let rows = nest.outer.len();
    let mut reads = false;
    for of_nest in &used {
        for of_product in &made {
            let meet = of_nest.writes || of_product.writes;
            if !meet || !overlap(program, of_nest.buffer, of_product.buffer) {
                continue;
            }
            if !same_row(program, of_product, of_nest, rows) {
                return false;
            }
            reads |= !of_nest.writes;
        }
    }
    reads
}

/// Whether a row of the nest touches the very bytes that the same row of the product's epilogue
/// does; both buffers begin at one place.
fn same_row(program: &Program, product: &Touch<'_>, nest: &Touch<'_>, rows: usize) -> bool {
    let size = |t: &Touch<'_>| program.buffers[t.buffer.0 as usize].dtype.size();
    let offset = |t: &Touch<'_>| program.plan.offsets[t.buffer.0 as usize];
    let epilogue = matches!(product.site, Site::Epilogue(_));
    let apart = product.buffer != nest.buffer && offset(product) != offset(nest);
    if !epilogue || apart || size(product) != size(nest) {
        return false;
    }
    let columns = product.extents.len() - 1;
    let row = product.extents[columns] as i64;
    within(product, columns, row) && within(nest, rows, row)
}

/// Whether the first axes count rows of so many elements, one after another, and the others stay
/// within a row.
fn within(touch: &Touch<'_>, rows: usize, row: i64) -> bool {
    let Some(access) = touch.access.filter(|access| access.gather.is_none()) else { return false };
    let mut step = row;
    for (&stride, &extent) in access.strides[..rows].iter().zip(&touch.extents[..rows]).rev() {
        if extent != 1 && stride != step {
            return false;
        }
        step = step.saturating_mul(extent as i64);
    }
    range(access.offset, &access.strides[rows..], &touch.extents[rows..])
        .is_none_or(|(low, high)| low >= 0 && high < i128::from(row))
}
