//! Asking for the next block of B while tiles of this one are multiplied.
//!
//! The first row of tiles reads a block of B where it is, from a far cache or from memory, and
//! would wait for it: as long as for 3 % of a product of 128 rows. So the tiles of the block before
//! ask for it, each for a share: some lines of some rows, a few in every iteration of its
//! micro-kernel, into the second-level cache, where their own block is read from as well.
//!
//! A tile of a column of panels asks for the same column of the next block. The last rows of tiles
//! share it out: `parts` of them divide the depth of the next block for its first `lines` lines,
//! the next ones for those behind. Rows before them ask again and again for the first share: what
//! comes long before it is read has left the cache by then, above all where rows of B are a power
//! of two apart and fall into few of its sets.
//!
//! Neighbours: `loops` asks for the decision and for places, `x86::product` has the
//! instructions.

use super::super::emit::Emitter;
use super::loops::{Depth, Loops, Panels, Tile};
use super::tiling::{PackRight, Tiling, strides};
use crate::codegen::target::Isa;
use crate::kernel::{Operand, Product};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder};

/// Steps of depth an iteration of a wide micro-kernel.
pub const UNROLL: usize = 4;

/// Bytes of a cache line.
const LINE: usize = 64;

/// What each iteration of a micro-kernel asks for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Ahead {
    /// Rows of B: 1, 2 or 4.
    pub rows: usize,
    /// Lines of each row.
    pub lines: usize,
    /// Bytes from row to row.
    pub row_bytes: i32,
}

/// Rows and lines that an iteration may ask for, the fewest first.
const SHARES: [(usize, usize); 7] = [(1, 1), (1, 2), (2, 2), (1, 4), (2, 4), (4, 4), (4, 8)];

impl Ahead {
    /// Among how many tiles the depth of a block is divided.
    fn parts(self) -> usize {
        UNROLL / self.rows
    }

    /// How many rows of tiles share a block.
    fn shares(self, t: &Tiling) -> usize {
        self.parts() * (t.nr * t.size).div_ceil(self.lines * LINE)
    }

    /// The smallest shares such that the rows of tiles that a thread has ask for all of a block;
    /// where several rows of 512-bit tiles read B, the first in place, block after block; and no
    /// rows wait for others to be done, which then read a block again.
    pub fn of(product: &Product, t: &Tiling) -> Option<Ahead> {
        let Operand::Stored(right) = &product.right else { return None };
        let one_block = t.blocks == 1 && t.right_block == t.n_panels;
        let in_place = t.isa == Isa::Avx512 && t.pack_right != PackRight::Before;
        if !in_place || one_block || t.m_panels < 2 || t.waiting < t.rows_block {
            return None;
        }
        // It is a displacement in an instruction.
        let row_bytes = strides(right).0.checked_mul(t.size as i64)?;
        let row_bytes = i32::try_from(row_bytes).ok()?;
        let asking = t.rows_of_a_thread().saturating_sub(t.rows_that_pack());
        let mut shares = SHARES.iter().map(|&(rows, lines)| Ahead { rows, lines, row_bytes });
        shares.find(|share| share.shares(t) <= asking)
    }
}

impl Tiling {
    /// Rows of tiles that pack B instead of asking ahead.
    fn rows_that_pack(&self) -> usize {
        usize::from(self.pack_right == PackRight::OnTheWay)
    }
}

impl Loops<'_> {
    /// Where the block of B begins that will be read after this one: deeper, or of the next
    /// columns; this one if it is the last.
    pub fn next_block(
        &self,
        e: &mut Emitter,
        batch: &super::Batch,
        columns: Panels,
        depth: Depth,
    ) -> ir::Value {
        let (start, (row, column)) = batch.right.in_memory();
        let (zero, deepest) = (e.int(0), self.is_last(e, depth.number));
        let deeper = e.b.ins().iadd(depth.from, depth.count);
        let from = e.b.ins().select(deepest, zero, deeper);
        let panel = e.b.ins().select(deepest, columns.to, columns.from);
        let beyond = e.b.ins().icmp_imm_s(IntCC::Equal, panel, self.t.n_panels as i64);
        let from = e.b.ins().select(beyond, depth.from, from);
        let panel = e.b.ins().select(beyond, columns.from, panel);
        let panel_stride = column * self.t.nr as i64;
        self.corner(e, start, panel, panel_stride, Depth { from, ..depth }, row)
    }

    /// What a tile asks for first of the next block, which begins at `next`.
    pub fn share_ahead(
        &self,
        e: &mut Emitter,
        tile: &Tile,
        ahead: Ahead,
        next: ir::Value,
    ) -> ir::Value {
        let (column, _) = self.within_block(e, tile);
        let (zero, shares) = (e.int(0), e.int(ahead.shares(self.t) as i64));
        let rows_left = e.b.ins().isub(tile.rows.to, tile.row);
        let share = e.b.ins().isub(shares, rows_left);
        let share = e.b.ins().smax(share, zero);
        let parts = ahead.parts() as i64;
        let (part, group) =
            (e.b.ins().urem_imm_u(share, parts), e.b.ins().udiv_imm_u(share, parts));
        let rows_of_a_part = (self.t.kc / UNROLL * ahead.rows) as i64;
        let shares = [column, group, part];
        let bytes = [
            (self.t.nr * self.t.size) as i64,
            (ahead.lines * LINE) as i64,
            rows_of_a_part * i64::from(ahead.row_bytes),
        ];
        e.walk(next, &bytes, &shares, 1)
    }
}
