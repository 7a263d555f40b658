//! An epilogue as a nest over one tile, a prologue as a nest over one panel.
//!
//! The nest belongs to a small program of its own: a buffer for each slot of the body, which starts
//! at the tile's or the panel's first element, and the tile or the panel itself. What may share
//! memory in the kernel's program may in this.
//!
//! Neighbours: `finish` and `prologue` call the functions, which are emitted as any nest is;
//! `columns` makes such nests for what follows an epilogue.

use super::tiling::{Along, Side, Tiling, strides};
use crate::kernel::{Access, Body, Buffer, BufferId, Fold, Nest, Operand, Place, Plan};
use crate::kernel::{Product, Program, Split, Stage};
use crate::vector::{self, Builder, Inst, Slot, Stride, Value};
use smallvec::{SmallVec, smallvec};
use tensc_runtime::DType;

/// The epilogue of tiles of so many columns, row by row; `None` if it asks where it is.
pub fn over_tile(
    program: &Program,
    product: &Product,
    tiling: &Tiling,
    columns: usize,
) -> Option<(Program, Nest)> {
    let epilogue = &product.epilogue;
    if epilogue.program.insts.iter().any(|inst| matches!(inst, Inst::Index(_))) {
        return None;
    }
    let mut small = Small::of(program);
    let accesses = small.take(program, &epilogue.slots);
    let mut body = Written::default();
    let slots = body.slots(&epilogue.program, accesses);
    let sum = body.load(product.dtype, small.add_tile(product, tiling));
    body.b.inline(&epilogue.program, &[sum], &slots);
    let body = body.finish();
    let stage = Stage { reduce: smallvec![], lanes: columns, body, fold: Fold::None };
    Some((small.0, rows_of(tiling.mr, stage)))
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
    let of = |(full, edge): (usize, usize)| if last { edge } else { full };
    let (rows, columns, row_elements) = match along {
        Along::Depth => (tiling.widths(side).0, of(tiling.depths()), tiling.kc),
        Along::Across => {
            let columns = of(tiling.widths(side));
            (tiling.kc, columns, if side == Side::Right { tiling.nr } else { columns })
        }
    };
    let mut small = Small::of(program);
    let made = &prologue.body.program;
    let mut body = Written::default();
    let slots = body.slots(made, small.take(program, &prologue.body.slots));
    let panel = walk(
        small.add_scratch("panel", product.dtype, rows * row_elements),
        0,
        &[row_elements as i64, 1],
    );
    let elements = body.b.inline(made, &[], &slots);
    let slot = body.slot(product.dtype, panel);
    elements.into_iter().for_each(|element| body.b.store(slot, element));
    let body = body.finish();
    let stage = Stage { reduce: smallvec![], lanes: columns, body, fold: Fold::None };
    Some((small.0, rows_of(rows, stage)))
}

/// A nest whose rows are those of a tile or a panel.
fn rows_of(rows: usize, stage: Stage) -> Nest {
    Nest { outer: smallvec![rows], stages: vec![stage], split: Split::Rows }
}

/// An access without gathers.
pub fn walk(buffer: BufferId, offset: i64, strides: &[i64]) -> Access {
    Access { buffer, offset, strides: SmallVec::from_slice(strides), gather: None }
}

/// A body being written, and the walks of its slots.
#[derive(Default)]
pub struct Written {
    pub b: Builder,
    pub accesses: Vec<Access>,
}

impl Written {
    /// Slots like those of a program that is to be inlined, with these walks.
    pub fn slots(&mut self, program: &vector::Program, accesses: Vec<Access>) -> Vec<Slot> {
        self.accesses.extend(accesses);
        program.slots.iter().map(|decl| self.b.slot(decl.dtype, decl.stride)).collect()
    }

    /// A slot whose lanes are neighbours.
    pub fn slot(&mut self, dtype: DType, access: Access) -> Slot {
        self.accesses.push(access);
        self.b.slot(dtype, Stride::Unit)
    }

    /// An element of neighbours.
    pub fn load(&mut self, dtype: DType, access: Access) -> Value {
        let slot = self.slot(dtype, access);
        self.b.load(slot)
    }

    pub fn finish(self) -> Body {
        Body { program: self.b.finish(), slots: self.accesses, params: Vec::new() }
    }
}

/// The program of a nest over a tile or a panel.
pub struct Small(pub Program);

impl Small {
    /// Without buffers, as part of `program`.
    pub fn of(program: &Program) -> Small {
        let plan = Plan { donations: program.plan.donations.clone(), ..Plan::default() };
        Small(Program { plan, ..Program::default() })
    }

    /// A buffer for each slot of a body of the kernel, from the first element of the tile or panel
    /// on, and the walks over its rows and columns.
    pub fn take(&mut self, program: &Program, accesses: &[Access]) -> Vec<Access> {
        let take = |access: &Access| {
            let (row, column) = strides(access);
            let index = access.buffer.0 as usize;
            let buffer = buffer_of(&program.buffers[index]);
            let buffer = self.add(buffer, program.plan.offsets[index]);
            Access { buffer, offset: 0, strides: smallvec![row, column], ..*access }
        };
        accesses.iter().map(take).collect()
    }

    /// The tile, and the walk over its rows and columns.
    pub fn add_tile(&mut self, product: &Product, tiling: &Tiling) -> Access {
        let tile = self.add_scratch("tile", product.dtype, tiling.mr * tiling.nr);
        walk(tile, 0, &[tiling.nr as i64, 1])
    }

    /// A buffer where the scratch memory begins.
    fn add_scratch(&mut self, name: &str, dtype: DType, elements: usize) -> BufferId {
        self.add(Buffer { name: name.into(), dtype, elements, place: Place::Row }, None)
    }

    /// A buffer that shares memory with no other, as an output of no number does.
    pub fn add_own(&mut self, name: &str, dtype: DType, elements: usize) -> BufferId {
        let place = Place::Output(u32::MAX - self.0.buffers.len() as u32);
        self.add(Buffer { name: name.into(), dtype, elements, place }, None)
    }

    fn add(&mut self, buffer: Buffer, offset: Option<usize>) -> BufferId {
        let Small(program) = self;
        let id = BufferId(program.buffers.len() as u32);
        let row = (buffer.place == Place::Row).then_some(0);
        program.buffers.push(buffer);
        program.plan.offsets.push(offset);
        program.plan.row_offsets.push(row);
        id
    }
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
