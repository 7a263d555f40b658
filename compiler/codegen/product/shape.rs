//! Register tiles: how many rows and columns of C meet in a micro-kernel.
//!
//! The choice is a model of what a step of depth takes, so that the same product has the same tile
//! everywhere.

use super::super::target::Isa;
use super::super::x86::product::{lanes, most_rows};

/// Rows and columns of a tile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tile {
    pub rows: usize,
    pub columns: usize,
}

/// Tiles of 128-bit vectors: rows, and vectors of columns. Each leaves room in 16 registers for
/// what a step of depth loads. With one vector the elements of A are broadcast as they are loaded;
/// the others serve products of few rows.
const PORTABLE: [(usize, usize); 6] = [(12, 1), (8, 1), (6, 2), (3, 3), (2, 4), (1, 8)];

/// The tile of 128-bit vectors that costs least. In sixths of a cycle, a step of depth takes a tile
/// its multiply-adds (two a cycle), its loads (two), its instructions (six), or the latency of a
/// sum (four cycles).
pub fn portable(m: usize, n: usize, width: usize) -> Tile {
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
    let best = PORTABLE.into_iter().filter(whole_groups).min_by_key(cost);
    let (rows, vectors) = best.expect("there are tiles");
    Tile { rows, columns: vectors * width }
}

/// Most vectors in a row of a wide tile.
const MOST_VECTORS: usize = 12;

/// What it takes to collect a vector of a panel, in sixteenths of half a cycle.
const COLLECT: usize = 16 * 6;

/// Bytes of B above which its rows come from the second-level cache.
const NEAR: usize = 32 << 10;

/// What else a tile depends on than the sizes of a product.
#[derive(Clone, Copy)]
pub struct Reads {
    /// How many rows of A may be read at once.
    pub streams: usize,
    /// Whether panels of A are collected or made across their rows.
    pub across: bool,
}

/// The tiles of wide vectors, those that cost least first: for each number of vectors the best
/// number of rows.
pub fn wide([m, n, k]: [usize; 3], reads: Reads, isa: Isa, size: usize) -> Vec<Tile> {
    let Reads { streams, across } = reads;
    let product = Wide { across, ..Wide::new([m, n, k], isa, size) };
    let width = product.width;
    let candidate = |vectors: usize| {
        let most = most_rows(isa, vectors, !n.is_multiple_of(width)).min(streams).min(m.max(1));
        let tiles = (most.div_ceil(2)..=most).filter(|&rows| rows > 0);
        let cost = |rows: usize| (product.cost(rows, vectors), m.div_ceil(rows), rows);
        let rows = tiles.min_by_key(|&rows| cost(rows))?;
        Some((cost(rows), Tile { rows, columns: vectors * width }))
    };
    let most = n.div_ceil(width).clamp(1, MOST_VECTORS);
    let mut tiles: Vec<_> = (1..=most).filter_map(candidate).collect();
    tiles.sort_by_key(|&(cost, _)| cost);
    tiles.into_iter().map(|(_, tile)| tile).collect()
}

/// Tiles of wide vectors for products of these sizes, at most `streams` equal rows in each, that
/// cost least together.
pub fn wide_alike(sizes: &[[usize; 3]], streams: usize, isa: Isa, size: usize) -> Vec<Tile> {
    let products: Vec<Wide> = sizes.iter().map(|&sizes| Wide::new(sizes, isa, size)).collect();
    let of_rows = |rows: usize| -> Option<(usize, Vec<Tile>)> {
        let tiles: Option<Vec<_>> = products.iter().map(|p| p.of_rows(rows, isa)).collect();
        let (costs, tiles): (Vec<usize>, Vec<Tile>) = tiles?.into_iter().unzip();
        Some((costs.iter().sum(), tiles))
    };
    let most = most_rows(isa, 1, true).min(streams);
    let best = (1..=most).filter_map(of_rows).min_by_key(|&(cost, _)| cost);
    best.map_or(Vec::new(), |(_, tiles)| tiles)
}

/// A product in wide vectors.
struct Wide {
    m: usize,
    n: usize,
    k: usize,
    /// Lanes of a vector.
    width: usize,
    /// Whether rows of B come from the second-level cache.
    far: bool,
    /// Whether panels of A are collected or made across their rows.
    across: bool,
}

impl Wide {
    fn new([m, n, k]: [usize; 3], isa: Isa, size: usize) -> Wide {
        let far = isa == Isa::Avx512 && k * n * size > NEAR;
        Wide { m, n, k, width: lanes(isa, size), far, across: false }
    }

    /// The tile of so many rows that costs least, and what it costs, if there is one.
    fn of_rows(&self, rows: usize, isa: Isa) -> Option<(usize, Tile)> {
        let edge = !self.n.is_multiple_of(self.width);
        let fits = |&vectors: &usize| (1..=most_rows(isa, vectors, edge)).contains(&rows);
        let most = self.n.div_ceil(self.width).clamp(1, MOST_VECTORS);
        let tile =
            |vectors| (self.cost(rows, vectors), Tile { rows, columns: vectors * self.width });
        (1..=most).filter(fits).map(tile).min_by_key(|&(cost, _)| cost)
    }

    /// What the product takes, in sixteenths of half a cycle.
    fn cost(&self, rows: usize, vectors: usize) -> usize {
        let columns = vectors * self.width;
        let row = |rows: usize| {
            let last = (self.n % columns).div_ceil(self.width);
            let panel = if self.across { self.k * rows.div_ceil(self.width) * COLLECT } else { 0 };
            panel + self.n / columns * self.tile(rows, vectors) + self.tile(rows, last)
        };
        self.m / rows * row(rows) + row(self.m % rows)
    }

    /// A step of depth takes a tile its multiply-adds (two a cycle), its loads (two), or the
    /// latency of a sum (four cycles); of tiles that are equally fast one that loads less is
    /// better, of what is far above all. Beside that a tile takes its stores and a call, and all
    /// together at least as long as its vectors of B come from the second-level cache, 23 bytes
    /// a cycle, if other rows read them too: if none do, every shape waits for the same.
    fn tile(&self, rows: usize, vectors: usize) -> usize {
        if rows == 0 || vectors == 0 {
            return 0;
        }
        let (sums, loads) = (rows * vectors, rows + vectors);
        let far = self.far && rows < self.m;
        let (comes, more) = if far { (88 * vectors, loads + 2 * vectors) } else { (0, 0) };
        let step = 16 * sums.max(loads).max(8) + loads + more;
        (self.k * step + 16 * (2 * sums + 40)).max(self.k * comes)
    }
}
