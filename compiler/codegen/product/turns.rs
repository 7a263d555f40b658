//! Turns: some panels of rows of C go through the kernels that follow, while they are in the cache.
//!
//! Buffers that nothing else touches hold the rows of one turn, in scratch memory. The functions of
//! the followers know nothing of that: they get a table of buffers in which such a one begins as
//! far before the rows of the turn as it would in memory. So does the product's own epilogue.
//!
//! Neighbours: `follow` says which kernels and buffers; `loops` calls this around a turn's tiles.

use super::super::emit::Emitter;
use super::super::follow;
use super::super::lanes::plain;
use super::super::limits::Limits;
use super::loops::{Depth, Loops, Panels, when};
use super::scratch::line;
use super::tiling::Tiling;
use super::{After, Batch, Part};
use crate::kernel::touch::touches;
use crate::kernel::{BufferId, Kernel, Place, Product, Program, Work};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder};

/// What is done with the rows of a turn.
pub struct Turns {
    /// The product's own decisions: a block of panels of A is a turn.
    pub tiling: Tiling,
    /// The decisions of each follower that is a product: its tasks are panels, of others rows.
    pub followers: Vec<Option<Tiling>>,
    /// The buffers that followers use.
    used: Vec<BufferId>,
    /// Those that hold the rows of a turn.
    passing: Vec<Passing>,
    /// Where the followers' table is in the scratch memory, and what is theirs of it.
    table_at: usize,
    scratch_at: usize,
}

/// A buffer that holds the rows of a turn.
struct Passing {
    buffer: BufferId,
    /// Where it is in the scratch memory.
    at: usize,
    /// Bytes of a row.
    row_bytes: usize,
}

/// Rows of a turn below which products do not follow: they would read all of B for so few.
const FEW_ROWS: usize = 16;

/// Columns of a product that follows, for each row of a turn: each turn may copy B, which has to be
/// little beside not writing and reading C.
const COLUMNS: usize = 4;

impl Turns {
    /// The turns of the product at `at`, if any kernel may follow. Its tile is open unless it was
    /// `measured`.
    pub fn of(
        program: &Program,
        at: usize,
        product: &Product,
        tiling: &Tiling,
        measured: bool,
        limits: &Limits,
    ) -> Option<Turns> {
        let kernels = follow::followers(program, at, limits.far_bytes);
        let next_product = |from: usize| {
            let is_product = |kernel: &Kernel| matches!(kernel.work, Work::Product(_));
            let later = kernels.get(from..).unwrap_or(&[]);
            from + later.iter().position(is_product).unwrap_or(later.len())
        };
        // One product may follow, and what goes over rows before and after it.
        let next = next_product(0);
        let pair = kernels.get(next).and_then(|kernel| match &kernel.work {
            Work::Product(next) => pair([product, next], tiling, measured, limits),
            _ => None,
        });
        let count = if pair.is_some() { next_product(next + 1) } else { next };
        let mut followers = vec![None; count];
        let mut tiling = tiling.clone();
        if let Some([first, second]) = pair {
            tiling = first;
            followers[next] = Some(second);
        }
        if followers.is_empty() || !tiling.may_divide_rows(product) {
            return None;
        }
        let kernels = &program.kernels[at..=at + count];
        let whole = completes_rows(product, &tiling, limits);
        let passing = if whole { follow::passing(program, kernels) } else { Vec::new() };
        let tiling = tiling.in_turns(panels(product, &tiling, limits), whole);
        Some(Turns::laid_out(program, product, kernels, tiling, followers, &passing))
    }

    fn laid_out(
        program: &Program,
        product: &Product,
        kernels: &[Kernel],
        tiling: Tiling,
        followers: Vec<Option<Tiling>>,
        passing: &[BufferId],
    ) -> Turns {
        let mut used: Vec<BufferId> =
            kernels[1..].iter().flat_map(touches).map(|touch| touch.buffer).collect();
        used.retain(|buffer| program.buffers[buffer.0 as usize].place != Place::Row);
        used.sort_unstable();
        used.dedup();
        let table_at = line(tiling.scratch().bytes);
        let table = if passing.is_empty() { 0 } else { 8 * program.buffers.len() };
        let rows = follow::rows(product);
        let (rows_of_a_turn, mut end) = (tiling.left_block * tiling.mr, table_at + line(table));
        let mut turns =
            Turns { tiling, followers, used, passing: Vec::new(), table_at, scratch_at: 0 };
        let offset = |buffer: BufferId| program.plan.offsets[buffer.0 as usize];
        for &buffer in passing {
            let declared = &program.buffers[buffer.0 as usize];
            let row_bytes = declared.elements / rows * declared.dtype.size();
            // What the plan has take another one's place does so row by row.
            let taken = turns.passing.iter().find(|other| offset(other.buffer) == offset(buffer));
            let at = taken.map_or(end, |other| other.at);
            end = end.max(at + line(rows_of_a_turn * row_bytes));
            turns.passing.push(Passing { buffer, at, row_bytes });
        }
        turns.scratch_at = end;
        turns
    }

    /// Bytes of scratch memory before what the followers use.
    pub fn bytes(&self) -> usize {
        self.scratch_at
    }

    /// The parts that are followers.
    pub fn parts(&self) -> impl Iterator<Item = Part> + use<> {
        (0..self.followers.len()).map(Part::Follow)
    }
}

/// Panels of rows a turn.
fn panels(product: &Product, tiling: &Tiling, limits: &Limits) -> usize {
    let row_bytes = product.n.saturating_mul(product.dtype.size());
    limits.turn_bytes / tiling.mr.saturating_mul(row_bytes).max(1)
}

/// Whether rows are complete after one turn: not only after a pass over all of them for each block
/// of depth and of columns.
fn completes_rows(product: &Product, tiling: &Tiling, limits: &Limits) -> bool {
    tiling.blocks == 1 && tiling.keeps_right(product, limits)
}

/// The decisions for a product and the one that follows it, if that is worth it.
fn pair(
    products: [&Product; 2],
    tiling: &Tiling,
    measured: bool,
    limits: &Limits,
) -> Option<[Tiling; 2]> {
    let [product, next] = products;
    if product.dtype != next.dtype {
        return None;
    }
    let [first, second] = Tiling::alike(products, tiling.isa, limits)?;
    let first = if measured { tiling.clone() } else { first };
    let rows = first.in_turns(panels(product, &first, limits), true).left_block * first.mr;
    let near = completes_rows(product, &first, limits) && second.keeps_right(next, limits);
    let worth = near && rows >= FEW_ROWS && next.n <= COLUMNS * rows;
    (worth && first.mr == second.mr).then_some([first, second])
}

impl Loops<'_> {
    fn turns(&self) -> Option<&Turns> {
        match self.after {
            Some(After::Turns(turns)) => Some(turns),
            Some(After::Columns(_)) | None => None,
        }
    }

    /// Writes what does not change from turn to turn into the followers' table.
    pub fn open_turns(&self, e: &mut Emitter) {
        let Some(turns) = self.turns().filter(|turns| !turns.passing.is_empty()) else { return };
        let table = self.table_of(e, turns);
        for &buffer in &turns.used {
            let start = e.start_of(buffer);
            e.b.ins().store(plain(), start, table, 8 * buffer.0 as i32);
        }
    }

    /// The batch as a turn of these panels sees it: buffers that pass begin before its rows.
    pub fn at_turn(&self, e: &mut Emitter, batch: &Batch, rows: Panels) -> Batch {
        let mut batch = batch.clone();
        let Some(turns) = self.turns() else { return batch };
        let first = self.row(e, &batch, rows.from);
        for &Passing { buffer, at, row_bytes } in &turns.passing {
            let before = e.b.ins().imul_imm_s(first, row_bytes as i64);
            let place = e.b.ins().iadd_imm_s(e.scratch, at as i64);
            let start = e.b.ins().isub(place, before);
            let planned = e.start_of(buffer);
            let moved = e.b.ins().isub(start, planned);
            for (access, slot) in self.product.epilogue.slots.iter().zip(&mut batch.slots) {
                if access.buffer == buffer {
                    slot.pointer = e.b.ins().iadd(slot.pointer, moved);
                }
            }
            let table = self.table_of(e, turns);
            e.b.ins().store(plain(), start, table, 8 * buffer.0 as i32);
        }
        batch
    }

    /// The followers' table of buffers.
    fn table_of(&self, e: &mut Emitter, turns: &Turns) -> ir::Value {
        match turns.passing[..] {
            [] => e.table,
            _ => e.b.ins().iadd_imm_s(e.scratch, turns.table_at as i64),
        }
    }

    /// Has the followers do the rows of panels, if these columns are the last and this block is the
    /// deepest.
    pub fn follow(
        &self,
        e: &mut Emitter,
        batch: &Batch,
        rows: Panels,
        columns: Panels,
        depth: Depth,
    ) {
        let Some(turns) = self.turns() else { return };
        let deepest = self.is_last(e, depth.number);
        let last = e.b.ins().icmp_imm_s(IntCC::Equal, columns.to, self.t.n_panels as i64);
        let complete = e.b.ins().band(deepest, last);
        when(e, complete, |e| {
            let table = self.table_of(e, turns);
            let scratch = e.b.ins().iadd_imm_s(e.scratch, turns.scratch_at as i64);
            let fault = e.fault;
            for (number, follower) in turns.followers.iter().enumerate() {
                let [begin, end] = [rows.from, rows.to].map(|panel| match follower {
                    Some(_) => self.panel(e, batch, panel),
                    None => self.row(e, batch, panel),
                });
                let this = |(part, _): &&(Part, _)| *part == Part::Follow(number);
                let (_, function) = self.parts.iter().find(this).expect("each has its part");
                e.b.ins().call(*function, &[table, begin, end, scratch, fault]);
            }
        });
    }

    /// The first row of a panel of the batch, among the rows of all; behind the last panel the end.
    fn row(&self, e: &mut Emitter, batch: &Batch, panel: ir::Value) -> ir::Value {
        let before = self.number(e, batch);
        let before = e.b.ins().imul_imm_s(before, self.product.m as i64);
        let row = e.b.ins().imul_imm_s(panel, self.t.mr as i64);
        let all = e.int(self.product.m as i64);
        let row = e.b.ins().smin(row, all);
        e.b.ins().iadd(before, row)
    }

    /// A panel of the batch, among the panels of all.
    fn panel(&self, e: &mut Emitter, batch: &Batch, panel: ir::Value) -> ir::Value {
        let before = self.number(e, batch);
        let before = e.b.ins().imul_imm_s(before, self.t.m_panels as i64);
        e.b.ins().iadd(before, panel)
    }

    /// Which batch it is.
    fn number(&self, e: &mut Emitter, batch: &Batch) -> ir::Value {
        let mut number = e.int(0);
        for (&position, &extent) in batch.positions.iter().zip(&self.product.batch) {
            let outer = e.b.ins().imul_imm_s(number, extent as i64);
            number = e.b.ins().iadd(outer, position);
        }
        number
    }
}
