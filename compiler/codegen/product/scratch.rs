//! The scratch memory of a thread that makes a product: what is where.
//!
//! Neighbours: `tiling` decides how much of everything there is; `loops` and `collect` use it.

use super::tiling::{Along, Side, Tiling};

/// Byte offsets in the scratch memory; packed A is at 0.
pub struct Scratch {
    pub right_at: usize,
    pub waiting_at: usize,
    pub tile_at: usize,
    /// The first elements of a body's slots.
    pub table_at: usize,
    /// Columns of B as they are made, before they are turned.
    pub rows_at: usize,
    /// Tables of the spread operands A and B: of steps of the depth, then of rows or columns.
    pub tables_at: [usize; 2],
    pub bytes: usize,
}

/// Bytes of so many offsets; as many lengths of runs follow in a table.
pub fn offsets(count: usize) -> usize {
    line(OFFSET * count)
}

/// Bytes of an offset in a table of a spread operand.
pub const OFFSET: usize = 8;

/// Bytes up to the next line of the cache.
pub fn line(bytes: usize) -> usize {
    bytes.next_multiple_of(64)
}

impl Tiling {
    /// Where everything in the scratch memory begins, and the end.
    pub fn scratch(&self) -> Scratch {
        let left = if self.pack_left { self.left_block * self.left_panel_bytes() } else { 0 };
        let panels =
            if self.packs_right() { self.right_block } else { usize::from(self.fills_up()) };
        let right = panels * self.nr * self.kc * self.size;
        let tiles = if self.tiles_wait() { self.waiting * self.right_block } else { 0 };
        let right_at = line(left);
        let waiting_at = right_at + line(right);
        let tile_at = waiting_at + line(tiles * self.tile_bytes());
        let table_at = tile_at + line(self.tile_bytes());
        let rows_at = table_at + line(8 * self.slots);
        let turned = self.right_made == Some(Along::Depth);
        let rows = if turned { self.nr * self.turned_steps() * self.size } else { 0 };
        let left_tables_at = rows_at + line(rows);
        let tables = |side: Side| {
            let bytes: usize = self.entries(side).map(offsets).iter().sum();
            if self.spread(side) { 2 * bytes } else { 0 }
        };
        let right_tables_at = left_tables_at + tables(Side::Left);
        let tables_at = [left_tables_at, right_tables_at];
        let bytes = right_tables_at + tables(Side::Right);
        Scratch { right_at, waiting_at, tile_at, table_at, rows_at, tables_at, bytes }
    }
}
