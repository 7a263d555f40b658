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

/// The tiles of wide vectors, those that cost least first; the rows of the matrix are divided into
/// panels of nearly equal heights.
pub fn wide(m: usize, n: usize, k: usize, streams: usize, isa: Isa, size: usize) -> Vec<Tile> {
    let width = lanes(isa, size);
    let candidate = |vectors: usize| {
        let most = most_rows(isa, vectors, !n.is_multiple_of(width)).min(streams);
        let rows = (most > 0).then(|| m.div_ceil(m.div_ceil(most).max(1)).max(1))?;
        Some((wide_cost(m, n, k, rows, vectors, width), Tile { rows, columns: vectors * width }))
    };
    let most = n.div_ceil(width).clamp(1, MOST_VECTORS);
    let mut tiles: Vec<(usize, Tile)> = (1..=most).filter_map(candidate).collect();
    tiles.sort_by_key(|&(cost, _)| cost);
    tiles.into_iter().map(|(_, tile)| tile).collect()
}

/// What the product takes, in sixteenths of half a cycle. A step of depth takes a tile its
/// multiply-adds (two a cycle), its loads (two), or the latency of a sum (four cycles); fewer loads
/// are better at equal speed. Beside that a tile takes its stores and a call.
fn wide_cost(m: usize, n: usize, k: usize, rows: usize, vectors: usize, width: usize) -> usize {
    let tile = |rows: usize, vectors: usize| match (rows, vectors) {
        (0, _) | (_, 0) => 0,
        _ => {
            let (sums, loads) = (rows * vectors, rows + vectors);
            k * (16 * sums.max(loads).max(8) + loads) + 16 * (2 * sums + 40)
        }
    };
    let row = |rows: usize| {
        let columns = vectors * width;
        n / columns * tile(rows, vectors) + tile(rows, (n % columns).div_ceil(width))
    };
    m / rows * row(rows) + row(m % rows)
}
