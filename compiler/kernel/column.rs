//! Folds of a product's columns: nests that go over the rows of what a product stores, in order,
//! each column for itself, as the gradient of a bias does.
//!
//! Neighbours: `order` puts such a nest right after its product; `codegen` does both tile by tile.

use super::walk::points;
use super::{Access, Body, Fold, Nest, Product};
use crate::vector::{Combine, Inst};

/// The body and the finish of a nest that folds the columns of what `product` stores, by sums and
/// products of numbers. No program of the two kernels asks where it is, or may fail.
pub fn column_fold<'n>(product: &Product, nest: &'n Nest) -> Option<[&'n Body; 2]> {
    let [stage] = &nest.stages[..] else { return None };
    let Fold::PerLane(finish) = &stage.fold else { return None };
    let alone = points(&product.batch) == 1 && points(&nest.outer) == 1;
    let alike = stage.reduce[..] == [product.m] && stage.lanes == product.n;
    let simple = |body: &Body| {
        let asks = |inst: &Inst| {
            matches!(inst, Inst::Index(_) | Inst::CheckIndex { .. } | Inst::Gather(..))
        };
        !body.program.insts.iter().any(asks)
    };
    let folds = stage.body.program.accumulators.iter().map(|fold| fold.combine);
    let chains = folds.clone().all(|fold| matches!(fold, Combine::Add | Combine::Mul));
    let made = |access: &Access| product.epilogue.stores().any(|store| same_element(store, access));
    let all_simple = [&product.epilogue, &stage.body, finish].into_iter().all(simple);
    let may = alone && alike && chains && all_simple;
    (may && stage.body.slots.iter().any(made)).then_some([&stage.body, finish])
}

/// Whether two walks, of a product's result and of a nest over its rows and columns, are at the
/// same element of a buffer wherever they are.
pub fn same_element(store: &Access, load: &Access) -> bool {
    store.buffer == load.buffer && same_walk(store, load)
}

/// Whether two such walks are at elements of one number.
pub fn same_walk(a: &Access, b: &Access) -> bool {
    let last_two = |access: &Access| -> [i64; 2] {
        *access.strides.last_chunk().expect("axes of rows and columns")
    };
    let gathers = a.gather.is_some() || b.gather.is_some();
    !gathers && a.offset == b.offset && last_two(a) == last_two(b)
}
