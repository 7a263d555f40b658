//! The shape of a product's loops: register tile, cache blocks, what is packed, what is shared out.

use crate::kernel::{Access, Product};
use crate::vector::{Inst, Stride};

/// Register tiles: rows, and vectors of columns. Each leaves room in 16 registers for what a step
/// of depth loads. With one vector the elements of A are broadcast as they are loaded; the others
/// serve products of few rows.
const TILES: [(usize, usize); 6] = [(12, 1), (8, 1), (6, 2), (3, 3), (2, 4), (1, 8)];

/// Sizes that a tiling keeps within.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a block's depth: a panel of B and one of A stay in the first-level cache.
    pub depth_bytes: usize,
    /// Bytes of a block of A, packed or not: it stays in the second-level cache.
    pub left_bytes: usize,
    /// Bytes of a packed block of B.
    pub right_bytes: usize,
    /// Rows of partial sums that wait for the next block of depth.
    pub waiting_rows: usize,
    /// Elements of an operand below which packing it is not worth while.
    pub small: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            depth_bytes: 1536,
            left_bytes: 192 << 10,
            right_bytes: 768 << 10,
            waiting_rows: 768,
            small: 16 << 10,
        }
    }
}

/// Which axis of C the tasks of a batch divide.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Share {
    /// Panels of rows.
    Rows,
    /// Panels of columns.
    Columns,
}

/// The decisions for one product. A panel is as many rows (of A) or columns (of B) as a tile has.
#[derive(Clone, Debug)]
pub struct Tiling {
    /// Rows of a tile.
    pub mr: usize,
    /// Columns of a tile; a multiple of four.
    pub nr: usize,
    /// Bytes of an element.
    pub size: usize,
    /// Depth of a block, its number, and the depth of the last.
    pub kc: usize,
    pub blocks: usize,
    pub last_kc: usize,
    /// Panels of rows and of columns, the last of which may be smaller.
    pub m_panels: usize,
    pub n_panels: usize,
    /// Rows and columns of the last panel where it is smaller, otherwise 0.
    pub m_edge: usize,
    pub n_edge: usize,
    /// Whether panels of A are copied together.
    pub pack_left: bool,
    /// Whether panels of B are. The last is in any case, if it is smaller: what is missing is 0.
    pub pack_right: bool,
    /// Panels in a block of packed A, of packed B, of waiting rows.
    pub left_block: usize,
    pub right_block: usize,
    pub waiting: usize,
    /// What tasks divide.
    pub share: Share,
    /// Whether full tiles may be stored to C as they are.
    pub plain: bool,
}

impl Tiling {
    /// The decisions for `product`.
    pub fn of(product: &Product, limits: &Limits) -> Tiling {
        let Product { m, n, k, .. } = *product;
        let size = product.dtype.size();
        let width = 16 / size;
        let (mr, vectors) = best_tile(m, n, width);
        let nr = vectors * width;
        let (kc, blocks, last_kc) = depth(k, limits.depth_bytes / size);
        let (m_panels, n_panels) = (m.div_ceil(mr), n.div_ceil(nr));
        let pack_left = k > 0 && packs_left(product, nr, limits);
        let pack_right = k > 0 && packs_right(product, mr, limits);
        let fitting = |bytes: usize, rows: usize| (bytes / (rows * kc.max(1) * size)).max(1);
        let left_block = fitting(limits.left_bytes, mr).min(m_panels);
        let right_block =
            if pack_right { fitting(limits.right_bytes, nr).min(n_panels) } else { n_panels };
        let waiting = if blocks > 1 { (limits.waiting_rows / mr).min(m_panels) } else { m_panels };
        // Those who divide rows each pack all of B, those who divide columns all of A.
        let columns = if pack_left == pack_right { n > m } else { pack_right };
        let enough = |panels: usize| panels >= 8;
        let share = match (enough(m_panels), enough(n_panels)) {
            (true, true) if columns => Share::Columns,
            (true, _) => Share::Rows,
            (false, true) => Share::Columns,
            (false, false) if n_panels > m_panels => Share::Columns,
            (false, false) => Share::Rows,
        };
        Tiling {
            mr,
            nr,
            size,
            kc,
            blocks,
            last_kc,
            m_panels,
            n_panels,
            m_edge: m % mr,
            n_edge: n % nr,
            pack_left,
            pack_right,
            left_block: left_block.max(1),
            right_block: right_block.max(1),
            waiting: waiting.max(1),
            share,
            plain: is_plain(product),
        }
    }

    /// Panels that tasks of one batch divide.
    pub fn shared_panels(&self) -> usize {
        match self.share {
            Share::Rows => self.m_panels,
            Share::Columns => self.n_panels,
        }
    }

    /// Vectors of a row of a tile.
    pub fn vectors(&self) -> usize {
        self.nr * self.size / 16
    }

    /// Bytes of a tile.
    pub fn tile_bytes(&self) -> usize {
        self.mr * self.nr * self.size
    }

    /// Where in the scratch memory packed A, packed B, waiting sums and a tile begin, and the end.
    pub fn scratch(&self) -> Scratch {
        let line = |bytes: usize| bytes.next_multiple_of(64);
        let left = if self.pack_left { self.left_block * self.mr * self.kc * self.size } else { 0 };
        let panels = match (self.pack_right, self.n_edge > 0) {
            (true, _) => self.right_block,
            (false, edge) => usize::from(edge),
        };
        let right = panels * self.nr * self.kc * self.size;
        let tiles = if self.blocks > 1 { self.waiting * self.right_block } else { 0 };
        let right_at = line(left);
        let waiting_at = right_at + line(right);
        let tile_at = waiting_at + line(tiles * self.tile_bytes());
        Scratch { right_at, waiting_at, tile_at, bytes: tile_at + line(self.tile_bytes()) }
    }
}

/// Byte offsets in the scratch memory; packed A is at 0.
pub struct Scratch {
    pub right_at: usize,
    pub waiting_at: usize,
    pub tile_at: usize,
    pub bytes: usize,
}

/// The tile that costs least. In sixths of a cycle, a step of depth takes a tile its multiply-adds
/// (two a cycle), its loads (two), its instructions (six), or the latency of a sum (four cycles).
fn best_tile(m: usize, n: usize, width: usize) -> (usize, usize) {
    let step = |rows: usize, vectors: usize| {
        let (sums, loads) = (rows * vectors, rows + vectors);
        // Cranelift moves sums and copies factors; a loop of two steps halves its own cost.
        let moves = if vectors == 1 { sums / 2 + 3 } else { 2 * sums + rows + 5 };
        match rows {
            0 => 0,
            _ => (3 * sums).max(3 * loads).max(24).max(sums + loads + moves),
        }
    };
    let cost = |&(rows, vectors): &(usize, usize)| {
        let panels = n.div_ceil(vectors * width);
        panels * (m / rows * step(rows, vectors) + step(m % rows, vectors))
    };
    let whole_groups = |&(_, vectors): &(usize, usize)| (vectors * width).is_multiple_of(4);
    TILES.into_iter().filter(whole_groups).min_by_key(cost).expect("there are tiles")
}

/// Blocks of depth: how deep, how many, how deep the last. Balanced.
fn depth(k: usize, most: usize) -> (usize, usize, usize) {
    let blocks = k.div_ceil(most).max(1);
    let kc = k.div_ceil(blocks).next_multiple_of(4).min(k);
    let blocks = if kc == 0 { 1 } else { k.div_ceil(kc) };
    (kc, blocks, k - kc * (blocks - 1))
}

/// The strides of an operand along its two last axes.
pub fn strides(access: &Access) -> (i64, i64) {
    let [.., row, column] = access.strides[..] else {
        unreachable!("an operand of a product has two axes after the batch axes");
    };
    (row, column)
}

/// A step of depth reads a tile's rows of A: each its own stream, or near each other. They need
/// packing where few cache sets would have to hold them, where they are far apart along the
/// depth, or where A is large; and only if enough tiles use the copy.
fn packs_left(product: &Product, nr: usize, limits: &Limits) -> bool {
    let (row, column) = strides(&product.left);
    let row_bytes = row.unsigned_abs().saturating_mul(product.dtype.size() as u64);
    if row_bytes > u64::from(u32::MAX) / 64 {
        return true;
    }
    let elements = product.m * product.k;
    let worth = product.n > 2 * nr && elements > limits.small;
    let one_set = row_bytes.is_multiple_of(4096) && product.m > 4;
    worth && (column != 1 || one_set || elements > 32 * limits.small)
}

/// Rows of B must be contiguous to be read without a copy, and then are where few tiles or little
/// memory make up for the distance between rows.
fn packs_right(product: &Product, mr: usize, limits: &Limits) -> bool {
    let (_, column) = strides(&product.right);
    column != 1 || (product.m > 4 * mr && product.k * product.n > limits.small)
}

/// Whether the epilogue only stores the accumulator, in its own type, to contiguous elements.
fn is_plain(product: &Product) -> bool {
    let program = &product.epilogue.program;
    let [Inst::Param(_), Inst::Store(slot, value)] = program.insts[..] else {
        return false;
    };
    let slot = &program.slots[slot.0 as usize];
    value.0 == 0 && slot.stride == Stride::Unit && slot.dtype == product.dtype
}
