//! The shape of a product's loops: register tile, cache blocks, what is packed, what is shared out.

use super::super::limits::Limits;
use super::super::target::Isa;
use super::super::x86::product_pack::Turn;
use super::micro::Role;
use super::shape::{self, Reads, Tile};
use super::tiles::Choice;
use crate::kernel::{Access, Operand, Product, Prologue, Spread};
use crate::vector::{Inst, Stride};
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;
use std::iter;

/// Which axis of C the tasks of a batch divide.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Share {
    /// Panels of rows.
    Rows,
    /// Panels of columns.
    Columns,
}

/// How the panels of B come to be packed, if they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PackRight {
    /// They are read where they are: rows of B are contiguous.
    Never,
    /// All panels of a block before its tiles.
    Before,
    /// By the micro-kernels of the first row of tiles, as they read them.
    OnTheWay,
}

/// Along which axis of an operand its elements are made or collected, a vector at a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Along {
    /// The depth.
    Depth,
    /// The other one: rows of A, columns of B.
    Across,
}

/// A side of the product.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Side {
    /// A.
    Left,
    /// B.
    Right,
}

/// The decisions for one product. A panel is as many rows (of A) or columns (of B) as a tile has.
#[derive(Clone, Debug)]
pub struct Tiling {
    /// The vectors of the micro-kernels. Those wider than 128 bits end where the matrix ends;
    /// of 128-bit ones the last panel of B is filled up.
    pub isa: Isa,
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
    /// How elements of A and of B are made or collected, where they are not a matrix in memory;
    /// then all are packed.
    pub left_made: Option<Along>,
    pub right_made: Option<Along>,
    /// Whether A and B are spread: collected, not made.
    pub left_spread: bool,
    pub right_spread: bool,
    /// How long tables of offsets are, at most, that are written once.
    pub short_table: usize,
    /// Whether panels of A are copied together.
    pub pack_left: bool,
    /// Whether panels of B are.
    pub pack_right: PackRight,
    /// Panels in a block of packed A, of packed B, of waiting rows, and of rows that go by all of B
    /// before the next ones do.
    pub left_block: usize,
    pub right_block: usize,
    pub waiting: usize,
    pub rows_block: usize,
    /// What tasks divide, and among how many threads as far as is known.
    pub share: Share,
    pub threads: usize,
    /// Whether full tiles may be stored to C as they are.
    pub plain: bool,
    /// Slots of the body that has the most.
    pub slots: usize,
}

impl Tiling {
    /// The decisions for `product`; what is chosen already is left to the choice.
    pub fn of(product: &Product, isa: Isa, limits: &Limits, choice: Option<Choice>) -> Tiling {
        let Some(choice) = choice.filter(|choice| choice.fits(product, isa)) else {
            return Tiling::with_tile(product, isa, limits, model_tile(product, isa));
        };
        let Choice { rows, columns, pack_left, block, share } = choice;
        let mut t = Tiling::with_tile(product, isa, limits, Tile { rows, columns });
        t.pack_left = product.k > 0 && (pack_left || must_pack_left(product));
        t.share = share;
        if t.cuts_right() {
            t.right_block = block.min(t.n_panels).max(1);
        }
        t
    }

    /// The decisions of the model, but for the tile.
    pub fn with_tile(product: &Product, isa: Isa, limits: &Limits, tile: Tile) -> Tiling {
        let Product { m, n, k, .. } = *product;
        let size = product.dtype.size();
        let Tile { rows: mr, columns: nr } = tile;
        let (kc, blocks, last_kc) = depth(k, limits.depth_bytes / size);
        let (m_panels, n_panels) = (m.div_ceil(mr), n.div_ceil(nr));
        let pack_left = k > 0 && packs_left(product, nr, isa, limits);
        let pack_right =
            if k > 0 { packs_right(product, mr, isa, limits) } else { PackRight::Never };
        let plain = is_plain(product);
        let fitting = |bytes: usize, rows: usize| (bytes / (rows * kc.max(1) * size)).max(1);
        let left_block = fitting(limits.left_bytes, mr).min(m_panels);
        let mut t = Tiling {
            isa,
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
            left_made: made(&product.left, Along::Depth, Along::Across),
            right_made: made(&product.right, Along::Across, Along::Depth),
            left_spread: matches!(product.left, Operand::Spread(_)),
            right_spread: matches!(product.right, Operand::Spread(_)),
            short_table: limits.short_table,
            pack_left,
            pack_right,
            left_block: left_block.max(1),
            right_block: n_panels.max(1),
            waiting: m_panels.max(1),
            rows_block: m_panels.max(1),
            share: Share::Rows,
            threads: limits.threads.max(1),
            plain,
            slots: slots(product),
        };
        if t.cuts_right() {
            // Rounded: wide panels are few.
            let bytes = right_bytes(isa, m_panels, limits, limits.wide_right_bytes);
            let half_a_panel = nr * kc * size / 2;
            t.right_block = fitting(bytes + half_a_panel, nr).clamp(1, t.right_block);
        }
        if t.right_block < n_panels {
            // As many as may wait, at least: each block of rows reads all of B, and may copy it.
            let rows = (limits.rows_bytes / (k.max(1) * size)).max(limits.waiting_rows);
            t.rows_block = (rows / mr).clamp(1, t.rows_block);
        }
        t.limit_waiting(limits);
        t.share = t.shares(product);
        t
    }

    /// What tasks divide: what leaves the thread with the largest share the least to do.
    fn shares(&self, product: &Product) -> Share {
        let (rows, columns) = self.most_steps(product);
        match rows.cmp(&columns) {
            Ordering::Less => Share::Rows,
            Ordering::Greater => Share::Columns,
            Ordering::Equal if self.n_panels > self.m_panels => Share::Columns,
            Ordering::Equal => Share::Rows,
        }
    }

    /// Whether to divide rows is as good, or nearly: what follows needs whole ones.
    pub fn may_divide_rows(&self, product: &Product) -> bool {
        let (rows, columns) = self.most_steps(product);
        self.share == Share::Rows || rows <= columns + columns / 16
    }

    /// As `may_divide_rows`, of columns: what folds them takes all rows in order.
    fn may_divide_columns(&self, product: &Product) -> bool {
        let (rows, columns) = self.most_steps(product);
        self.share == Share::Columns || columns <= rows + rows / 16
    }

    /// The decisions where columns are divided, and no tile is made in C; with another tile if need
    /// be, and if that is `open`.
    pub fn by_columns(&self, product: &Product, limits: &Limits, open: bool) -> Option<Tiling> {
        let tiles = match self.isa {
            Isa::Avx2 | Isa::Avx512 if open => wide_tiles(product, self.isa),
            Isa::Portable | Isa::Avx2 | Isa::Avx512 => Vec::new(),
        };
        let others = tiles.iter().map(|&tile| Tiling::with_tile(product, self.isa, limits, tile));
        let mut all = iter::once(self.clone()).chain(others);
        let mut t = all.find(|tiling| tiling.may_divide_columns(product))?;
        (t.share, t.plain) = (Share::Columns, false);
        t.limit_waiting(limits);
        Some(t)
    }

    /// How many tiles wait at a time, if any do.
    fn limit_waiting(&mut self, limits: &Limits) {
        if self.tiles_wait() {
            self.waiting = (limits.waiting_rows / self.mr).clamp(1, self.rows_block);
        }
    }

    /// The decisions where rows go through other kernels, at most so many panels a turn; `whole` if
    /// only those of a turn are kept, which then must have all of their columns.
    pub fn in_turns(&self, panels: usize, whole: bool) -> Tiling {
        Tiling {
            share: Share::Rows,
            left_block: self.left_block.min(panels.max(1)),
            right_block: if whole { self.n_panels.max(1) } else { self.right_block },
            rows_block: if whole { self.m_panels.max(1) } else { self.rows_block },
            ..self.clone()
        }
    }

    /// The decisions for a product and for another one that follows it, in panels of as many rows;
    /// if there are such tiles, and no turn has to copy all of the second B.
    pub fn alike(products: [&Product; 2], isa: Isa, limits: &Limits) -> Option<[Tiling; 2]> {
        let tiles = match isa {
            Isa::Portable => products.map(|product| model_tile(product, isa)).to_vec(),
            Isa::Avx2 | Isa::Avx512 => {
                let sizes = products.map(|product| [product.m, product.n, product.k]);
                let streams = products.map(most_streams);
                let size = products[0].dtype.size();
                shape::wide_alike(&sizes, streams[0].min(streams[1]), isa, size)
            }
        };
        let [first, second] = tiles[..] else { return None };
        let [product, next] = products;
        let first = Tiling::with_tile(product, isa, limits, first);
        let second = Tiling::with_tile(next, isa, limits, second);
        let alike = first.mr == second.mr && second.pack_right != PackRight::Before;
        alike.then_some([first, Tiling { share: Share::Rows, ..second }])
    }

    /// Whether all of B stays near while rows of panels go by.
    pub fn keeps_right(&self, product: &Product, limits: &Limits) -> bool {
        let bytes = product.k.saturating_mul(product.n).saturating_mul(self.size);
        bytes <= right_bytes(self.isa, self.m_panels, limits, limits.whole_right_bytes)
    }

    /// Steps of the thread with the largest share where rows are divided, and where columns are.
    /// Those who divide rows each pack all of B, those who divide columns all of A.
    fn most_steps(&self, product: &Product) -> (usize, usize) {
        let Product { m, n, k, .. } = *product;
        let most = |panels: usize, panel: usize, all: usize| {
            (panels.div_ceil(self.threads) * panel).min(all)
        };
        let steps = |m: usize, n: usize| {
            let copies = |packs: bool, elements: usize| if packs { COPY * elements } else { 0 };
            let copied = copies(self.pack_left, m) + copies(self.packs_right(), n);
            (m * n + copied).saturating_mul(k.max(1))
        };
        let rows = steps(most(self.m_panels, self.mr, m), n);
        (rows, steps(m, most(self.n_panels, self.nr, n)))
    }

    /// Whether a panel of A stays while those of B go by, or the other way round.
    pub fn rows_outside(&self) -> bool {
        match self.isa {
            Isa::Portable => self.mr >= self.nr,
            Isa::Avx2 => false,
            Isa::Avx512 => true,
        }
    }

    /// Whether micro-kernels end where the matrix ends.
    pub fn masked(&self) -> bool {
        self.isa != Isa::Portable
    }

    /// Whether any panel of B is packed.
    pub fn packs_right(&self) -> bool {
        self.pack_right != PackRight::Never
    }

    /// Whether B is cut into blocks: of packed panels, or of those that are asked for ahead.
    fn cuts_right(&self) -> bool {
        self.packs_right() || self.isa == Isa::Avx512 && self.m_panels > 1
    }

    /// Rows of tiles that go by a block of B in a thread, at least but for what is left over.
    pub fn rows_of_a_thread(&self) -> usize {
        let all = match self.share {
            Share::Rows => self.m_panels / self.threads,
            Share::Columns => self.m_panels,
        };
        all.min(self.rows_block)
    }

    /// Whether the last panel of columns is smaller and has to be filled up.
    pub fn fills_up(&self) -> bool {
        self.n_edge > 0 && !self.masked()
    }

    /// Whether there are tiles that wait in scratch memory for the next block of depth.
    pub fn tiles_wait(&self) -> bool {
        self.blocks > 1 && (!self.plain || self.fills_up())
    }

    /// Panels that tasks of one batch divide.
    pub fn shared_panels(&self) -> usize {
        match self.share {
            Share::Rows => self.m_panels,
            Share::Columns => self.n_panels,
        }
    }

    /// Bytes of a tile.
    pub fn tile_bytes(&self) -> usize {
        self.mr * self.nr * self.size
    }

    /// Elements from row to row and from step to step of depth of a packed panel of A.
    pub fn left_strides(&self, rows: usize) -> (i64, i64) {
        match self.left_made {
            Some(Along::Depth) => (self.kc as i64, 1),
            Some(Along::Across) | None => (1, rows as i64),
        }
    }

    /// The panels of a side: how wide they are, how wide the last is
    /// where it is smaller, otherwise 0.
    pub fn widths(&self, side: Side) -> (usize, usize) {
        match side {
            Side::Left => (self.mr, self.m_edge),
            Side::Right => (self.nr, self.n_edge),
        }
    }

    /// Whether some panel of a side is not smaller than the others.
    pub fn has_full(&self, side: Side) -> bool {
        match side {
            Side::Left => self.m_panels > usize::from(self.m_edge > 0),
            Side::Right => self.full_columns() > 0,
        }
    }

    /// As `widths`, of the blocks of depth.
    pub fn depths(&self) -> (usize, usize) {
        (self.kc, if self.last_kc == self.kc { 0 } else { self.last_kc })
    }

    /// Bytes of a packed panel of A.
    pub fn left_panel_bytes(&self) -> usize {
        self.mr * self.kc * self.size
    }

    /// Panels of columns that are not smaller than the others.
    pub fn full_columns(&self) -> usize {
        self.n_panels - usize::from(self.n_edge > 0)
    }

    /// Whether panels of B may be packed by wide code.
    pub fn turns(&self) -> bool {
        self.masked() && self.pack_right == PackRight::Before
    }

    /// Steps of depth of B's columns that are side by side until they are turned over.
    pub fn turned_steps(&self) -> usize {
        if self.right_spread { self.kc.min(SQUARE) } else { self.kc }
    }

    /// What packs a panel of B whose columns are so many elements apart; its rows are neighbours.
    pub fn turn(&self, last: bool, column: i64) -> Turn {
        let size = self.size;
        let width = if last { self.n_edge } else { self.nr };
        let (row_bytes, step_bytes) = (column * size as i64, (self.nr * size) as i64);
        Turn { size, width, row_bytes, step_bytes }
    }

    /// The micro-kernels that are called.
    pub fn roles(&self) -> Vec<Role> {
        let mut roles = Vec::new();
        let full_rows = self.has_full(Side::Left);
        let full_columns = self.has_full(Side::Right);
        for last_rows in [false, true] {
            for last_columns in [false, true] {
                let rows = if last_rows { self.m_edge > 0 } else { full_rows };
                let columns = match last_columns {
                    true => self.n_edge > 0 && self.masked(),
                    false => full_columns || !self.masked(),
                };
                if rows && columns {
                    roles.push(Role { last_rows, last_columns, copies: false });
                    if !last_rows && self.pack_right == PackRight::OnTheWay {
                        roles.push(Role { last_rows, last_columns, copies: true });
                    }
                }
            }
        }
        roles
    }
}

/// Steps of depth that are collected at a time where they are turned over then.
const SQUARE: usize = 64;

/// Bytes of B that stay near, `wide` for many rows of tiles of 512-bit vectors.
fn right_bytes(isa: Isa, m_panels: usize, limits: &Limits, wide: usize) -> usize {
    match isa {
        Isa::Portable | Isa::Avx2 => limits.right_bytes,
        // What few rows use again has to be nearer.
        Isa::Avx512 if m_panels <= FEW_PANELS => wide / 2,
        Isa::Avx512 => wide,
    }
}

/// The tile that the model likes best.
fn model_tile(product: &Product, isa: Isa) -> Tile {
    match isa {
        Isa::Portable => shape::portable(product.m, product.n, 16 / product.dtype.size()),
        Isa::Avx2 | Isa::Avx512 => *wide_tiles(product, isa).first().expect("one vector fits"),
    }
}

/// The tiles of wide vectors for a product, those that the model likes best first.
pub fn wide_tiles(product: &Product, isa: Isa) -> Vec<Tile> {
    let across = made(&product.left, Along::Depth, Along::Across) == Some(Along::Across);
    let reads = Reads { streams: most_streams(product), across };
    shape::wide([product.m, product.n, product.k], reads, isa, product.dtype.size())
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

/// The strides of an operand: those it would have as a matrix in memory, if it is none.
pub fn operand_strides(operand: &Operand, columns: usize) -> (i64, i64) {
    match operand {
        Operand::Stored(access) => strides(access),
        Operand::Made(Prologue { turned, .. }) | Operand::Spread(Spread { turned, .. }) => {
            if *turned {
                (1, columns as i64)
            } else {
                (columns as i64, 1)
            }
        }
    }
}

/// Along which axis the elements of an operand are made or collected: `one`, or the other one if
/// it is turned.
fn made(operand: &Operand, one: Along, other: Along) -> Option<Along> {
    match operand {
        Operand::Stored(_) => None,
        Operand::Made(Prologue { turned, .. }) | Operand::Spread(Spread { turned, .. }) => {
            Some(if *turned { other } else { one })
        }
    }
}

/// Slots of the body that has the most.
fn slots(product: &Product) -> usize {
    let prologues = product.operands().into_iter().filter_map(Operand::body);
    let bodies = prologues.chain([&product.epilogue]);
    bodies.map(|body| body.slots.len()).max().unwrap_or(0)
}

/// How many rows of A may be read at once where they are: as many as there are ways in the sets
/// of the first-level cache that they fall into, less some for B and C.
fn most_streams(product: &Product) -> usize {
    let Operand::Stored(left) = &product.left else { return usize::MAX };
    let (row, column) = strides(left);
    let row_bytes = row.unsigned_abs().saturating_mul(product.dtype.size() as u64);
    let sets = (SET_BYTES >> row_bytes.trailing_zeros().min(SET_BYTES.ilog2())).max(1) as usize;
    let streams = column == 1 && row_bytes >= 64;
    let limited = streams && (product.n <= FEW_COLUMNS || sets == 1);
    if limited { WAYS * sets - 2 } else { usize::MAX }
}

/// Ways of the first-level cache, and bytes of each.
const WAYS: usize = 8;
const SET_BYTES: u64 = 4096;

/// Panels of rows up to which a packed panel of B is read a few times only.
const FEW_PANELS: usize = 8;

/// Whether the rows of an operand fall into one set of the first-level cache.
fn in_one_set(operand: &Access, size: usize) -> bool {
    strides(operand).0.unsigned_abs().saturating_mul(size as u64).is_multiple_of(SET_BYTES)
}

/// Multiply-adds that take as long as to copy an element, about.
const COPY: usize = 8;

/// Columns of a product up to which a tile reads A nearly as fast as it multiplies. Beyond, it does
/// not matter which sets the rows fall into, unless it is one.
const FEW_COLUMNS: usize = 64;

/// Whether A cannot be read where it is: it is made or spread, or so long that distances within a
/// panel are no displacements of 32 bits.
fn must_pack_left(product: &Product) -> bool {
    let Operand::Stored(left) = &product.left else { return true };
    let (row, column) = strides(left);
    let most = row.unsigned_abs().max(column.unsigned_abs());
    most.saturating_mul(product.dtype.size() as u64) > u64::from(u32::MAX) / 64
}

/// A step of depth reads a tile's rows of A: each its own stream, or near each other. They need
/// packing where few cache sets would have to hold them, where they are far apart along the
/// depth, or where A is large; and only if enough tiles use the copy.
fn packs_left(product: &Product, nr: usize, isa: Isa, limits: &Limits) -> bool {
    if must_pack_left(product) {
        return true;
    }
    let (row, column) = operand_strides(&product.left, product.k);
    let row_bytes = row.unsigned_abs().saturating_mul(product.dtype.size() as u64);
    if isa == Isa::Avx512 {
        // A tile of 512-bit vectors reads so little of A that even another cache is near enough.
        return false;
    }
    let elements = product.m * product.k;
    let worth = product.n > 2 * nr && elements > limits.small;
    let one_set = row_bytes.is_multiple_of(SET_BYTES) && product.m > 4;
    worth && (column != 1 || one_set || elements > 32 * limits.small)
}

/// Rows of B must be contiguous to be read without a copy, and then are where few tiles or little
/// memory make up for the distance between rows: the more so if the rows fall into different sets
/// of the caches.
fn packs_right(product: &Product, mr: usize, isa: Isa, limits: &Limits) -> PackRight {
    let Operand::Stored(right) = &product.right else { return PackRight::Before };
    let (_, column) = strides(right);
    let one_set = isa == Isa::Avx512 && in_one_set(right, product.dtype.size());
    let few = if one_set { mr } else { 4 * mr };
    let worth = product.m > few && product.k * product.n > limits.small;
    match (column == 1, isa) {
        (false, _) => PackRight::Before,
        (true, _) if !worth => PackRight::Never,
        (true, Isa::Portable) => PackRight::Before,
        (true, Isa::Avx2 | Isa::Avx512) => PackRight::OnTheWay,
    }
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
