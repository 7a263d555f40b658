//! Tiles that were measured: what a product does instead of what the model would choose.
//!
//! Invariant: a [`Choice`] changes no bit of a result. The blocks of depth, which the order of
//! additions depends on, are not among what is chosen.
//!
//! Neighbours: `tiling` follows a choice; `session::tune` measures.

use super::super::limits::Limits;
use super::super::target::Isa;
use super::super::x86::product::{lanes, most_rows};
use super::shape::Tile;
use super::tiling::{Share, Tiling, operand_strides, wide_tiles};
use crate::kernel::{Operand, Product};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a product is, as far as the time of a tiling depends on it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ProductKind {
    /// The processor's name for itself.
    pub processor: String,
    /// The instruction set.
    pub isa: String,
    /// Threads that share the work.
    pub threads: usize,
    /// Element type.
    pub dtype: String,
    /// Points of the batch axes.
    pub batch: usize,
    /// Rows of the result.
    pub m: usize,
    /// Its columns.
    pub n: usize,
    /// The depth.
    pub k: usize,
    /// Elements from row to row and from column to column of A.
    pub left: [i64; 2],
    /// The same of B.
    pub right: [i64; 2],
    /// Instructions of the epilogue.
    pub epilogue: usize,
    /// Instructions of the prologues of A and B, 0 where there is none.
    #[serde(default)]
    pub prologues: [usize; 2],
}

fn made(operand: &Operand) -> usize {
    operand.body().map_or(0, |body| body.program.insts.len())
}

impl ProductKind {
    /// What a product is on this machine.
    pub(in crate::codegen) fn of(product: &Product, isa: Isa, threads: usize) -> ProductKind {
        let pair = |(row, column): (i64, i64)| [row, column];
        ProductKind {
            processor: super::super::limits::processor().to_owned(),
            isa: isa.name().to_owned(),
            threads,
            dtype: product.dtype.to_string(),
            batch: product.batch.iter().product(),
            m: product.m,
            n: product.n,
            k: product.k,
            left: pair(operand_strides(&product.left, product.k)),
            right: pair(operand_strides(&product.right, product.n)),
            epilogue: product.epilogue.program.insts.len(),
            prologues: product.operands().map(made),
        }
    }
}

impl std::fmt::Display for ProductKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let turned = |[row, column]: [i64; 2]| if column == 1 || row != 1 { "" } else { "ᵀ" };
        let ProductKind { m, n, k, left, right, .. } = self;
        write!(f, "{} {m}x{k}{} @ {k}x{n}{}", self.dtype, turned(*left), turned(*right))
    }
}

/// What may be chosen for a product.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Choice {
    /// Rows of a tile.
    pub rows: usize,
    /// Columns of a tile.
    pub columns: usize,
    /// Whether panels of A are copied together.
    pub pack_left: bool,
    /// Panels in a block of packed B.
    pub block: usize,
    /// What tasks divide.
    pub share: Share,
}

impl Choice {
    /// What a tiling does.
    pub(in crate::codegen) fn of(tiling: &Tiling) -> Choice {
        Choice {
            rows: tiling.mr,
            columns: tiling.nr,
            pack_left: tiling.pack_left,
            block: tiling.right_block,
            share: tiling.share,
        }
    }

    /// Whether micro-kernels of these sizes can be made for the product.
    pub(super) fn fits(&self, product: &Product, isa: Isa) -> bool {
        let width = lanes(isa, product.dtype.size());
        let vectors = self.columns / width;
        isa != Isa::Portable
            && self.columns.is_multiple_of(width)
            && vectors > 0
            && (1..=most_rows(isa, vectors, !product.n.is_multiple_of(width))).contains(&self.rows)
            && self.block > 0
    }
}

/// Measured choices, by what a product is.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Tiles(BTreeMap<ProductKind, Choice>);

/// An entry of a file of tiles.
#[derive(Serialize, Deserialize)]
struct Entry {
    product: ProductKind,
    tile: Choice,
}

impl Tiles {
    /// Reads the text that [`Tiles::to_json`] writes.
    ///
    /// # Errors
    /// What is wrong with the text, and where.
    pub fn from_json(text: &str) -> Result<Tiles, String> {
        let entries: Vec<Entry> = serde_json::from_str(text).map_err(|e| e.to_string())?;
        Ok(Tiles(entries.into_iter().map(|e| (e.product, e.tile)).collect()))
    }

    /// A list of entries, in the order of what they are for.
    pub fn to_json(&self) -> String {
        let entry = |(product, &tile): (&ProductKind, &Choice)| {
            serde_json::to_string(&Entry { product: product.clone(), tile }).expect("plain data")
        };
        let lines: Vec<String> = self.0.iter().map(entry).collect();
        format!("[\n{}\n]\n", lines.join(",\n"))
    }

    /// The choice for a product.
    pub fn get(&self, product: &ProductKind) -> Option<Choice> {
        self.0.get(product).copied()
    }

    /// Makes a choice; the one before is forgotten.
    pub fn insert(&mut self, product: ProductKind, choice: Choice) {
        self.0.insert(product, choice);
    }

    /// Takes the choices of `other`, where both have one instead of its own.
    pub fn extend(&mut self, other: Tiles) {
        self.0.extend(other.0);
    }

    /// Number of choices.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is no choice.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Tiles that are tried, at most: those that the model likes best.
const TILES: usize = 6;

/// Choices that differ from `now` in one respect, by respect: what is worth measuring next. Tiles
/// first, then how much of B is packed at once, whether A is packed, what tasks divide.
pub(in crate::codegen) fn variations(
    product: &Product,
    isa: Isa,
    limits: &Limits,
    now: Choice,
    respect: usize,
) -> Option<Vec<Choice>> {
    let tile = |Tile { rows, columns }: Tile| {
        let model = Tiling::with_tile(product, isa, limits, Tile { rows, columns });
        Choice { share: now.share, pack_left: now.pack_left, ..Choice::of(&model) }
    };
    let panels = product.n.div_ceil(now.columns);
    let mut all: Vec<Choice> = match respect {
        0 => wide_tiles(product, isa).into_iter().take(TILES).map(tile).collect(),
        1 => {
            let blocks = [now.block / 4, now.block / 2, now.block * 2, panels];
            blocks.into_iter().map(|b| Choice { block: b.clamp(1, panels), ..now }).collect()
        }
        2 => vec![Choice { pack_left: !now.pack_left && product.k > 0, ..now }],
        3 => vec![Choice {
            share: if now.share == Share::Rows { Share::Columns } else { Share::Rows },
            ..now
        }],
        _ => return None,
    };
    all.retain(|choice| *choice != now && choice.fits(product, isa));
    all.dedup();
    Some(all)
}
