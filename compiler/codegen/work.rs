//! How much a kernel does: what decides whether threads share it.

use crate::kernel::{Fold, Kernel, Nest, Product, Work};
use crate::vector::Inst;

/// Below this many nanoseconds of work, waking threads costs more than it saves.
const WORTH_DIVIDING: f64 = 15_000.0;

/// Nanoseconds for one vector instruction on one lane, loads and stores included.
const LANE_INST: f64 = 0.08;
/// Nanoseconds for one multiplication and addition of a product.
const PRODUCT_STEP: f64 = 0.04;
/// Nanoseconds for what a row costs beside its lanes.
const ROW: f64 = 5.0;

/// Whether threads should share the kernel's tasks.
pub(super) fn worth_dividing(work: &Work) -> bool {
    nanoseconds(work) > WORTH_DIVIDING
}

/// A rough estimate for one thread.
fn nanoseconds(work: &Work) -> f64 {
    match work {
        Work::Nest(nest) => nest_nanoseconds(nest),
        Work::Product(product) => {
            let Product { batch, m, n, k, .. } = product;
            let batches: usize = batch.iter().product();
            let elements = batches as f64 * *m as f64 * *n as f64;
            let epilogue = product.epilogue.program.insts.len() as f64 * LANE_INST;
            elements * (*k as f64 * PRODUCT_STEP + epilogue)
        }
        Work::Call(_) | Work::Repeat(_) => 0.0,
    }
}

fn nest_nanoseconds(nest: &Nest) -> f64 {
    let rows: usize = nest.outer.iter().product();
    let mut row = ROW;
    for stage in &nest.stages {
        let points = stage.reduce.iter().product::<usize>() as f64 * stage.lanes as f64;
        row += points * stage.body.program.insts.len() as f64 * LANE_INST;
        if let Fold::PerLane(finish) = &stage.fold {
            row += stage.lanes as f64 * finish.program.insts.len() as f64 * LANE_INST;
        }
    }
    rows as f64 * row
}

/// Whether the kernel may report a fault.
pub(super) fn checks(kernel: &Kernel) -> bool {
    let mut insts = kernel.work.bodies().into_iter().flat_map(|body| &body.program.insts);
    insts.any(|inst| matches!(inst, Inst::CheckIndex { .. }))
}
