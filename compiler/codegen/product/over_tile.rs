//! An epilogue as a nest over one tile, which wide code can be emitted for.
//!
//! The nest belongs to a small program of its own: a buffer for each slot of the epilogue, which
//! starts at the tile's first element, and the tile, which stands in the place of the accumulator.
//! What may share memory in the kernel's program may in this.
//!
//! Neighbours: `finish` calls the function; `x86` emits it as it does any nest.

use super::tiling::{Tiling, strides};
use crate::kernel::{Access, Body, Buffer, BufferId, Fold, Nest, Place, Plan};
use crate::kernel::{Product, Program, Split, Stage};
use crate::vector::{Inst, Slot, SlotDecl, Stride};
use smallvec::smallvec;

/// The epilogue of tiles of so many columns, row by row; `None` if it asks where it is.
pub fn over_tile(
    program: &Program,
    product: &Product,
    tiling: &Tiling,
    columns: usize,
) -> Option<(Program, Nest)> {
    let epilogue = &product.epilogue;
    let mut body = epilogue.program.clone();
    if body.insts.iter().any(|inst| matches!(inst, Inst::Index(_))) {
        return None;
    }
    let tile = Slot(body.slots.len() as u32);
    body.slots.push(SlotDecl { dtype: product.dtype, stride: Stride::Unit });
    body.params.clear();
    for inst in &mut body.insts {
        if matches!(inst, Inst::Param(_)) {
            *inst = Inst::Load(tile);
        }
    }
    let mut small = Program {
        plan: Plan { donations: program.plan.donations.clone(), ..Plan::default() },
        ..Program::default()
    };
    let mut slots = Vec::with_capacity(body.slots.len());
    for access in &epilogue.slots {
        let (row, column) = strides(access);
        let index = access.buffer.0 as usize;
        let offset = program.plan.offsets[index];
        let buffer = buffer_of(&program.buffers[index]);
        let strides = smallvec![row, column];
        slots.push(Access {
            buffer: add(&mut small, buffer, offset),
            offset: 0,
            strides,
            ..*access
        });
    }
    let name = String::from("tile");
    let elements = tiling.mr * tiling.nr;
    let buffer = Buffer { name, dtype: product.dtype, elements, place: Place::Row };
    let buffer = add(&mut small, buffer, None);
    let strides = smallvec![tiling.nr as i64, 1];
    slots.push(Access { buffer, offset: 0, strides, gather: None });
    let body = Body { program: body, slots, params: Vec::new() };
    let stage = Stage { reduce: smallvec![], lanes: columns, body, fold: Fold::None };
    Some((small, Nest { outer: smallvec![tiling.mr], stages: vec![stage], split: Split::Rows }))
}

fn add(program: &mut Program, buffer: Buffer, offset: Option<usize>) -> BufferId {
    let id = BufferId(program.buffers.len() as u32);
    let row = (buffer.place == Place::Row).then_some(0);
    program.buffers.push(buffer);
    program.plan.offsets.push(offset);
    program.plan.row_offsets.push(row);
    id
}

/// The same place, but no copy of a constant's data: it shares memory with nothing, as an input of
/// no number does.
fn buffer_of(buffer: &Buffer) -> Buffer {
    let place = match &buffer.place {
        Place::Constant(_) => Place::Input(u32::MAX),
        place => place.clone(),
    };
    Buffer { name: buffer.name.clone(), place, ..*buffer }
}
