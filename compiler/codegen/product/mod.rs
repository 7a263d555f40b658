//! Matrix products: cache blocks around a register tile.
//!
//! In the words of BLIS: panels of `MR` rows of A and `NR` columns of B meet in a micro-kernel that
//! keeps a tile of C in registers. Blocks of panels are packed into the thread's scratch memory
//! where that pays (`tiling` decides); rows of B that are contiguous are packed by the micro-
//! kernels of the first row of tiles, on the way, while those of the others ask for the next block
//! ahead; what a prologue makes of an operand, it makes in the packed panels, and what is spread
//! over memory is collected there. Where the depth takes
//! several blocks, tiles wait in memory for the next: in C if nothing else becomes of them,
//! otherwise in scratch memory. After the last block the epilogue runs on each tile, row by row,
//! before it leaves the cache; and where other kernels follow (`turns`), some rows at a time go
//! through them when all of their columns are there; or one folds the columns (`columns`), tile by
//! tile.
//!
//! Invariant: an element of C is the sum over the blocks of depth, in order, of the sums over each
//! block in ascending order. The blocks depend on the extents only, so that neither the division of
//! the panels nor the instruction set changes a bit.
//!
//! Neighbours: `emit` for loops, `body` for the epilogue, `x86::product` for wide micro-kernels.

mod ahead;
mod collect;
mod columns;
mod finish;
mod loops;
mod micro;
mod over_tile;
mod pack;
mod prologue;
mod scratch;
mod shape;
mod tiles;
mod tiling;
mod turns;

pub(super) use ahead::{Ahead, UNROLL};
pub(super) use micro::{Key, PARAMS as MICRO_PARAMS, Role, emit as emit_micro};
pub(super) use over_tile::over_panel;
pub(super) use tiles::variations;
pub use tiles::{Choice, ProductKind, Tiles};
pub use tiling::Share;
pub(super) use tiling::Tiling;

use super::body::SlotAt;
use super::emit::{Emitter, Range};
use super::limits::Limits;
use super::x86;
use crate::kernel::{Nest, Operand, Product, Program};
use columns::{Columns, Step};
use cranelift_codegen::ir::{self, InstBuilder};
use loops::Loops;
use over_tile::over_tile;
use tiling::{Along, Side, operand_strides, strides};
use turns::Turns;
use x86::product_collect::Collect;
use x86::product_pack::Turn;

/// A function that a product calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Part {
    /// A micro-kernel.
    Micro(Role, Key),
    /// Packs a panel of B; whether it is the last and smaller one.
    Turn(bool, Turn),
    /// Makes the elements of a panel of a side; whether its vectors are the last and fewer ones.
    Make(Side, bool),
    /// Collects the elements of a panel.
    Collect(Collect),
    /// Runs the epilogue on a tile; whether it is one of the last and fewer columns.
    Finish(bool),
    /// Folds the columns of a tile, its epilogue included; whether they are the last and fewer.
    Columns(Step, bool),
    /// Does what follows, the kernel of this number, to some rows.
    Follow(usize),
}

/// What kernels right after a product do with it, part by part.
pub(super) enum After {
    /// They go through some rows at a time.
    Turns(Turns),
    /// One folds the columns of each tile.
    Columns(Columns),
}

impl After {
    /// What may follow the product at `at`, whose tile is open unless it was `measured`.
    pub fn of(
        program: &Program,
        at: usize,
        product: &Product,
        tiling: &Tiling,
        measured: bool,
        limits: &Limits,
    ) -> Option<After> {
        let turns = || Turns::of(program, at, product, tiling, measured, limits);
        let columns = || Columns::of(program, at, product, tiling, measured, limits);
        turns().map(After::Turns).or_else(|| columns().map(After::Columns))
    }

    /// The product's own decisions.
    pub fn tiling(&self) -> &Tiling {
        match self {
            After::Turns(turns) => &turns.tiling,
            After::Columns(columns) => &columns.tiling,
        }
    }

    /// How many kernels follow.
    pub fn count(&self) -> usize {
        match self {
            After::Turns(turns) => turns.followers.len(),
            After::Columns(_) => 1,
        }
    }

    /// Bytes of scratch memory that are not a follower's own.
    pub fn bytes(&self) -> usize {
        match self {
            After::Turns(turns) => turns.bytes(),
            After::Columns(columns) => columns.bytes(),
        }
    }

    /// The functions that the product calls for them.
    pub fn parts(&self) -> Vec<Part> {
        match self {
            After::Turns(turns) => turns.parts().collect(),
            After::Columns(columns) => columns.parts(),
        }
    }
}

/// The functions that a product calls.
pub(super) fn parts(
    program: &Program,
    product: &Product,
    tiling: &Tiling,
    after: Option<&After>,
) -> Vec<Part> {
    let left = operand_strides(&product.left, product.k);
    let ahead = Ahead::of(product, tiling);
    let micro = |role: Role| Part::Micro(role, Key::of(tiling, role, left, ahead));
    let (row, column) = match tiling.right_made {
        Some(Along::Depth) => (1, tiling.turned_steps() as i64),
        Some(Along::Across) => (tiling.nr as i64, 1),
        None => operand_strides(&product.right, product.n),
    };
    let turn = |last: bool| Part::Turn(last, tiling.turn(last, column));
    let mut parts: Vec<Part> = tiling.roles().into_iter().map(micro).collect();
    if row == 1 && tiling.turns() && tiling.turn(false, column).is_possible() {
        parts.extend((tiling.full_columns() > 0).then(|| turn(false)));
        parts.extend((tiling.n_edge > 0).then(|| turn(true)));
    }
    for (side, along) in [(Side::Left, tiling.left_made), (Side::Right, tiling.right_made)] {
        let (full, edge) = match along {
            None => continue,
            Some(along) if tiling.spread(side) => {
                parts.extend(tiling.collects(side, along));
                continue;
            }
            Some(Along::Depth) => (true, tiling.depths().1),
            Some(Along::Across) => (tiling.has_full(side), tiling.widths(side).1),
        };
        parts.extend(full.then_some(Part::Make(side, false)));
        parts.extend((edge > 0).then_some(Part::Make(side, true)));
    }
    parts.extend(after.into_iter().flat_map(After::parts));
    let alone = !matches!(after, Some(After::Columns(_))) && tiling.masked() && !tiling.plain;
    if alone && finish(program, product, tiling, false).is_some() {
        parts.extend((tiling.full_columns() > 0).then_some(Part::Finish(false)));
        parts.extend((tiling.n_edge > 0).then_some(Part::Finish(true)));
    }
    parts
}

/// The epilogue as a nest over a tile, of the last columns or of any others, if wide code can do
/// it.
pub(super) fn finish(
    program: &Program,
    product: &Product,
    tiling: &Tiling,
    last: bool,
) -> Option<(Program, Nest)> {
    let columns = if last { tiling.n_edge } else { tiling.nr };
    over_tile(program, product, tiling, columns).filter(|(_, nest)| x86::supports(nest))
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
    parts: &[(Part, ir::FuncRef)],
    after: Option<&After>,
) {
    e.open_buffers(&product.epilogue);
    if let Some(After::Columns(columns)) = after {
        columns.bodies().into_iter().for_each(|body| e.open_buffers(body));
    }
    for access in product.reads() {
        e.start_of(access.buffer);
    }
    let batches: usize = product.batch.iter().product();
    let loops = Loops { product, t: tiling, scratch: tiling.scratch(), parts, after };
    loops.open_turns(e);
    let panels = tiling.shared_panels() as i64;
    if batches == 1 {
        let zero = e.int(0);
        let (begin, end) = (e.begin, e.end);
        let some = loops.panels(e, begin, end);
        loops.open_tables(e, some);
        return loops.batch(e, &vec![zero; product.batch.len()], begin, end);
    }
    let (zero, all) = (e.int(0), e.int(panels));
    let all = loops.panels(e, zero, all);
    loops.open_tables(e, all);
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

/// The operands of one batch, and the slots of the epilogue at row 0.
#[derive(Clone)]
struct Batch {
    positions: Vec<ir::Value>,
    left: First,
    right: First,
    slots: Vec<SlotAt>,
}

/// An operand at its first element.
#[derive(Clone)]
enum First {
    /// The element, and the strides along the operand's own axes.
    Stored(ir::Value, (i64, i64)),
    /// The element at index 0 of all axes that the operand's own consist of.
    Spread(ir::Value),
    /// The slots of the prologue.
    Made(Vec<SlotAt>),
}

impl First {
    fn of(e: &mut Emitter, operand: &Operand, positions: &[ir::Value]) -> First {
        match operand {
            Operand::Stored(access) => First::Stored(e.point(access, positions), strides(access)),
            Operand::Spread(spread) => First::Spread(e.point(&spread.access, positions)),
            Operand::Made(prologue) => First::Made(e.slots(&prologue.body, positions)),
        }
    }

    /// The first element and the strides of an operand that is read where it is.
    fn in_memory(&self) -> (ir::Value, (i64, i64)) {
        match self {
            First::Stored(start, strides) => (*start, *strides),
            First::Spread(_) | First::Made(_) => unreachable!("what is no matrix is packed"),
        }
    }
}
