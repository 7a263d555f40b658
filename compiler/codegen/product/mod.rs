//! Matrix products: cache blocks around a register tile.
//!
//! In the words of BLIS: panels of `MR` rows of A and `NR` columns of B meet in a micro-kernel that
//! keeps a tile of C in registers. Blocks of panels are packed into the thread's scratch memory
//! where that pays (`tiling` decides); rows of B that are contiguous are packed by the micro-kernels
//! of the first row of tiles, on the way. Where the depth takes several blocks, tiles wait in memory
//! for the next: in C if nothing else becomes of them, otherwise in scratch memory. After the last
//! block the epilogue runs on each tile, row by row, before it leaves the cache.
//!
//! Invariant: an element of C is the sum over depth in ascending order, in blocks that
//! depend on the extents only, so that no division of the panels changes a bit.
//!
//! Neighbours: `emit` for loops, `body` for the epilogue, `x86::product` for wide micro-kernels.

mod finish;
mod loops;
mod micro;
mod pack;
mod shape;
mod tiling;

pub(super) use micro::{Key, PARAMS as MICRO_PARAMS, Role, emit as emit_micro};
pub(super) use tiling::{Limits, Tiling};

use super::body::SlotAt;
use super::emit::{Emitter, Range};
use crate::kernel::Product;
use cranelift_codegen::ir::{self, InstBuilder};
use loops::Loops;
use tiling::strides;

/// The micro-kernels that a product calls.
pub(super) fn micro_kernels(product: &Product, tiling: &Tiling) -> Vec<(Role, Key)> {
    let strides = strides(&product.left);
    tiling.roles().into_iter().map(|role| (role, Key::of(tiling, role, strides))).collect()
}

/// How many tasks a product has.
pub(super) fn tasks(product: &Product, tiling: &Tiling) -> u64 {
    let batches: usize = product.batch.iter().product();
    if product.m == 0 || product.n == 0 {
        return 0;
    }
    (batches * tiling.shared_panels()) as u64
}

/// Emits the tasks `begin..end` of a product.
pub(super) fn emit(
    e: &mut Emitter,
    product: &Product,
    tiling: &Tiling,
    micro: &[(Role, ir::FuncRef)],
) {
    e.open_buffers(&product.epilogue);
    e.start_of(product.left.buffer);
    e.start_of(product.right.buffer);
    let batches: usize = product.batch.iter().product();
    let loops = Loops { product, t: tiling, scratch: tiling.scratch(), micro };
    let panels = tiling.shared_panels() as i64;
    if batches == 1 {
        let zero = e.int(0);
        let (begin, end) = (e.begin, e.end);
        return loops.batch(e, &vec![zero; product.batch.len()], begin, end);
    }
    // From the batch of the first task to that of the last.
    let first = e.b.ins().udiv_imm_u(e.begin, panels);
    let last = e.b.ins().iadd_imm_s(e.end, panels - 1);
    let last = e.b.ins().udiv_imm_u(last, panels);
    let range = Range { start: first, end: last, step: 1, nonempty: true };
    e.each(range, |e, batch| {
        let mut positions = Vec::new();
        let mut rest = batch;
        for &extent in product.batch.iter().rev() {
            positions.push(e.b.ins().urem_imm_u(rest, extent as i64));
            rest = e.b.ins().udiv_imm_u(rest, extent as i64);
        }
        positions.reverse();
        let before = e.b.ins().imul_imm_s(batch, panels);
        let (zero, all) = (e.int(0), e.int(panels));
        let begin = e.b.ins().isub(e.begin, before);
        let begin = e.b.ins().smax(begin, zero);
        let end = e.b.ins().isub(e.end, before);
        let end = e.b.ins().smin(end, all);
        loops.batch(e, &positions, begin, end);
    });
}

/// The operands of one batch: first elements, and the slots of the epilogue at row 0.
struct Batch {
    positions: Vec<ir::Value>,
    left: ir::Value,
    right: ir::Value,
    slots: Vec<SlotAt>,
}
