//! An epilogue as a nest over one tile, a prologue as a nest over one panel.
//!
//! The nest belongs to a small program of its own: a buffer for each slot of the body, which starts
//! at the tile's or the panel's first element, and the tile or the panel itself. What may share
//! memory in the kernel's program may in this.
//!
//! Neighbours: `finish` and `prologue` call the functions; they are emitted as any nest is.

use super::tiling::{Along, Side, Tiling, strides};
use crate::kernel::{Access, Body, Buffer, BufferId, Fold, Nest, Operand, Place, Plan};
use crate::kernel::{Product, Program, Split, Stage};
use crate::vector::{self, Inst, Slot, SlotDecl, Stride, Value};
use smallvec::smallvec;

/// The epilogue of tiles of so many columns, row by row; `None` if it asks where it is.
pub fn over_tile(
    program: &Program,
    product: &Product,
    tiling: &Tiling,
    columns: usize,
) -> Option<(Program, Nest)> {
    let mut body = product.epilogue.program.clone();
    if body.insts.iter().any(|inst| matches!(inst, Inst::Index(_))) {
        return None;
    }
    let tile = slot(&mut body, product);
    body.params.clear();
    for inst in &mut body.insts {
        if matches!(inst, Inst::Param(_)) {
            *inst = Inst::Load(tile);
        }
    }
    let over = Over { rows: tiling.mr, columns, row_elements: tiling.nr };
    Some(nest(program, product, body, &product.epilogue.slots, over))
}

/// The prologue of a side over a panel: one of the last, with fewer lanes, or any other.
pub fn over_panel(
    program: &Program,
    product: &Product,
    tiling: &Tiling,
    side: Side,
    last: bool,
) -> Option<(Program, Nest)> {
    let (operand, along) = match side {
        Side::Left => (&product.left, tiling.left_made?),
        Side::Right => (&product.right, tiling.right_made?),
    };
    let Operand::Made(prologue) = operand else { return None };
    let mut body = prologue.body.program.clone();
    let panel = slot(&mut body, product);
    let elements = std::mem::take(&mut body.yields);
    body.insts.extend(elements.into_iter().map(|element: Value| Inst::Store(panel, element)));
    let of = |(full, edge): (usize, usize)| if last { edge } else { full };
    let over = match along {
        Along::Depth => {
            let (rows, _) = tiling.widths(side);
            Over { rows, columns: of(tiling.depths()), row_elements: tiling.kc }
        }
        Along::Across => {
            let columns = of(tiling.widths(side));
            let row_elements = if side == Side::Right { tiling.nr } else { columns };
            Over { rows: tiling.kc, columns, row_elements }
        }
    };
    Some(nest(program, product, body, &prologue.body.slots, over))
}

/// A slot for the tile or the panel.
fn slot(body: &mut vector::Program, product: &Product) -> Slot {
    body.slots.push(SlotDecl { dtype: product.dtype, stride: Stride::Unit });
    Slot(body.slots.len() as u32 - 1)
}

/// What a nest goes over, and how far apart the rows of the tile or the panel are.
struct Over {
    rows: usize,
    columns: usize,
    row_elements: usize,
}

fn nest(
    program: &Program,
    product: &Product,
    body: vector::Program,
    accesses: &[Access],
    over: Over,
) -> (Program, Nest) {
    let mut small = Program {
        plan: Plan { donations: program.plan.donations.clone(), ..Plan::default() },
        ..Program::default()
    };
    let mut slots = Vec::with_capacity(body.slots.len());
    for access in accesses {
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
    let Over { rows, columns, row_elements } = over;
    let name = String::from("tile");
    let elements = rows * row_elements;
    let buffer = Buffer { name, dtype: product.dtype, elements, place: Place::Row };
    let buffer = add(&mut small, buffer, None);
    let strides = smallvec![row_elements as i64, 1];
    slots.push(Access { buffer, offset: 0, strides, gather: None });
    let body = Body { program: body, slots, params: Vec::new() };
    let stage = Stage { reduce: smallvec![], lanes: columns, body, fold: Fold::None };
    (small, Nest { outer: smallvec![rows], stages: vec![stage], split: Split::Rows })
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
