//! Kernels that follow a product turn by turn of its rows.
//!
//! Where the kernels after a product go over the same rows (a softmax over scores, then the product
//! that weighs values with it), some panels of rows go through all of them, one after another,
//! while they are in the cache: reductions over rows belong to the product then, as its epilogue
//! does. The kernels stay apart to everything else; only the order of their rows changes, and so
//! no bit of a result. What nothing else reads needs no memory beyond the rows of a turn.
//!
//! It is allowed where rows of two of the kernels meet in memory only if they are the same row. The
//! plan places buffers for kernels one after another: what one writes may lie where another one
//! still reads, and then they do not follow.
//!
//! A kernel that folds the columns of C follows in another way: each tile's rows, as soon as they
//! are there, go into the results so far of the tile's columns. It may where they meet in memory at
//! the elements of C only.
//!
//! Neighbours: `product::turns` and `product::columns` call their functions; `codegen` compiles
//! them first.

use super::alias::overlap;
use crate::kernel::column::{column_fold, same_element, same_walk};
use crate::kernel::touch::{Site, Touch, touches};
use crate::kernel::walk::{points, range};
use crate::kernel::{Body, BufferId, Kernel, Operand, Place, Product, Program, Split, Work};

/// The kernels right after the product at `at` that may follow it, if C has at least `far` bytes.
pub(super) fn followers(program: &Program, at: usize, far: usize) -> &[Kernel] {
    let (head, later) = (&program.kernels[at], &program.kernels[at + 1..]);
    let Work::Product(product) = &head.work else { return &[] };
    let rows = rows(product);
    if !is_far(product, far) {
        return &[];
    }
    let follows = |&n: &usize| {
        let before = &program.kernels[at..=at + n];
        goes_over(&later[n], product) && in_step(program, before, &later[n], rows)
    };
    &later[..(0..later.len()).take_while(follows).count()]
}

/// The body and the finish of the kernel right after the product at `at`, if it folds the columns
/// of C and may follow it tile by tile, and C has at least `far` bytes.
pub(super) fn folds_after(program: &Program, at: usize, far: usize) -> Option<[&Body; 2]> {
    let (head, next) = (&program.kernels[at], program.kernels.get(at + 1)?);
    let (Work::Product(product), Work::Nest(nest)) = (&head.work, &next.work) else { return None };
    let bodies = column_fold(product, nest).filter(|_| is_far(product, far))?;
    let same = |made: &Touch<'_>, used: &Touch<'_>| match (made.access, used.access) {
        (Some(store), Some(load)) => made.writes && !used.writes && same_element(store, load),
        _ => false,
    };
    let meet = |made: &Touch<'_>, used: &Touch<'_>| {
        (made.writes || used.writes) && overlap(program, made.buffer, used.buffer)
    };
    let used = touches(next);
    let apart = |made: &Touch<'_>| {
        let fine = |used: &Touch<'_>| same(made, used) || same_column(program, made, used);
        used.iter().all(|used| !meet(made, used) || fine(used))
    };
    touches(head).iter().all(apart).then_some(bodies)
}

/// Whether an epilogue reads what a fold's finish writes, one element a column: all rows of a
/// column have read it when it is written.
fn same_column(program: &Program, made: &Touch<'_>, used: &Touch<'_>) -> bool {
    let (Some(a), Some(b)) = (made.access, used.access) else { return false };
    let [.., row, _] = a.strides[..] else { return false };
    let sites = matches!((made.site, used.site), (Site::Epilogue(_), Site::Finish(..)));
    sites && !made.writes && row == 0 && same_walk(a, b) && same_start(program, made, used)
}

/// Whether C has elements, and at least `far` bytes.
fn is_far(product: &Product, far: usize) -> bool {
    let elements = rows(product).saturating_mul(product.n);
    elements > 0 && elements.saturating_mul(product.dtype.size()) >= far
}

/// The buffers that only these kernels touch, a product and those that follow it, each row of a
/// kernel one row of the buffer.
pub(super) fn passing(program: &Program, kernels: &[Kernel]) -> Vec<BufferId> {
    let Some(Work::Product(product)) = kernels.first().map(|kernel| &kernel.work) else {
        return Vec::new();
    };
    let rows = rows(product);
    between(program, kernels, |kernel, touch| by_rows(program, kernel, touch, rows))
}

/// The buffers that only these kernels touch, in a way that is allowed.
pub(super) fn between(
    program: &Program,
    kernels: &[Kernel],
    allowed: impl Fn(&Kernel, &Touch<'_>) -> bool,
) -> Vec<BufferId> {
    let mut buffers: Vec<BufferId> = Vec::new();
    for touch in kernels.iter().flat_map(touches).filter(|touch| touch.writes) {
        let place = &program.buffers[touch.buffer.0 as usize].place;
        if *place == Place::Arena && !buffers.contains(&touch.buffer) {
            buffers.push(touch.buffer);
        }
    }
    for kernel in &program.kernels {
        let inside = kernels.iter().any(|other| std::ptr::eq(kernel, other));
        let touched = touches(kernel);
        let passes = |touch: &Touch<'_>| inside && allowed(kernel, touch);
        buffers.retain(|&buffer| touched.iter().all(|t| t.buffer != buffer || passes(t)));
    }
    buffers
}

/// Rows of C in all batches.
pub(super) fn rows(product: &Product) -> usize {
    points(&product.batch).saturating_mul(product.m)
}

/// Whether a kernel goes over rows as this product does.
fn goes_over(kernel: &Kernel, product: &Product) -> bool {
    match &kernel.work {
        Work::Nest(nest) => nest.split == Split::Rows && points(&nest.outer) == rows(product),
        Work::Product(next) => {
            points(&next.batch) == points(&product.batch) && next.m == product.m && next.n > 0
        }
        Work::Call(_) | Work::Repeat(_) => false,
    }
}

/// Whether a kernel reads something that those before it write, and each of its rows meets theirs
/// in the same row only.
fn in_step(program: &Program, before: &[Kernel], kernel: &Kernel, rows: usize) -> bool {
    let used = touches(kernel);
    let mut reads = false;
    for earlier in before {
        for made in &touches(earlier) {
            for touch in &used {
                let meet = made.writes || touch.writes;
                if !meet || !overlap(program, made.buffer, touch.buffer) {
                    continue;
                }
                if !same_row(program, (earlier, made), (kernel, touch), rows) {
                    return false;
                }
                reads |= made.writes && !touch.writes;
            }
        }
    }
    reads
}

/// Whether a row of either kernel touches bytes of one row in memory only, the same one.
fn same_row(
    program: &Program,
    a: (&Kernel, &Touch<'_>),
    b: (&Kernel, &Touch<'_>),
    rows: usize,
) -> bool {
    let by_rows = |(kernel, touch)| by_rows(program, kernel, touch, rows);
    same_start(program, a.1, b.1) && by_rows(a) && by_rows(b)
}

/// Whether two buffers that share memory are of the same elements there.
fn same_start(program: &Program, a: &Touch<'_>, b: &Touch<'_>) -> bool {
    let buffer = |touch: &Touch<'_>| &program.buffers[touch.buffer.0 as usize];
    let offset = |touch: &Touch<'_>| program.plan.offsets[touch.buffer.0 as usize];
    let alike = |touch: &Touch<'_>| (buffer(touch).elements, buffer(touch).dtype.size());
    (a.buffer == b.buffer || offset(a) == offset(b)) && alike(a) == alike(b)
}

/// Whether each row of the kernel touches one row of the buffer, the first the first.
fn by_rows(program: &Program, kernel: &Kernel, touch: &Touch<'_>, rows: usize) -> bool {
    let elements = program.buffers[touch.buffer.0 as usize].elements;
    elements.is_multiple_of(rows) && within(kernel, touch, (elements / rows) as i64)
}

/// Whether the kernel's row axes count rows of so many elements, one after another, and the other
/// axes stay within a row.
fn within(kernel: &Kernel, touch: &Touch<'_>, row: i64) -> bool {
    let Some(access) = touch.access.filter(|access| access.gather.is_none()) else { return false };
    let Some(rows) = row_axes(kernel, touch) else { return false };
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

/// How many of the first axes of a touch count rows; none do where all rows read the same.
fn row_axes(kernel: &Kernel, touch: &Touch<'_>) -> Option<usize> {
    match &kernel.work {
        Work::Nest(nest) => Some(nest.outer.len()),
        Work::Product(product) => {
            let left = match (&product.left, touch.access) {
                (Operand::Stored(left), Some(access)) => std::ptr::eq(left, access),
                _ => false,
            };
            let by_rows = left || matches!(touch.site, Site::Epilogue(_));
            by_rows.then_some(product.batch.len() + 1)
        }
        Work::Call(_) | Work::Repeat(_) => None,
    }
}
