//! Tiles of maps that cross memory in two directions, such as transposes.
//!
//! Where lanes jump from line to line, the next row wants the neighbours of what this one read; by
//! then long rows have driven it out of the nearest cache. Such rows are cut into short ones, and
//! all rows go over one tile of the lanes before the next. No result depends on it.
//!
//! Neighbours: runs before `schedule`, when kernels are joined.

use super::{Access, Fold, Nest, Program, Work};
use crate::vector::Inst;

/// Lanes of a tile: this number, or the nearest of these that divides a row.
const TILE: usize = 16;
const TILES: std::ops::RangeInclusive<usize> = 8..=64;
/// Rows of so many lines wait in the cache for the next one, and stay whole ...
const LINES: usize = 128;
/// ... but only so many where lines are multiples of this apart: they share sets of the cache.
const WAYS: usize = 8;
const ALIKE: i64 = 1024;
/// Bytes of a line.
const LINE: i64 = 64;

/// Cuts what is worth it.
pub fn tile(program: &mut Program) {
    let sizes: Vec<i64> = program.buffers.iter().map(|b| b.dtype.size() as i64).collect();
    for kernel in &mut program.kernels {
        match &mut kernel.work {
            Work::Nest(nest) => cut(nest, &sizes),
            Work::Repeat(repeat) => tile(&mut repeat.step),
            Work::Product(_) | Work::Call(_) => {}
        }
    }
}

fn cut(nest: &mut Nest, sizes: &[i64]) {
    let ([stage], Some(at)) = (nest.stages.as_mut_slice(), nest.outer.len().checked_sub(1)) else {
        return;
    };
    let counts = |inst: &Inst| matches!(inst, Inst::Index(axis) if *axis as usize >= at);
    let lane = nest.outer.len() + stage.reduce.len();
    let far = |access: &Access| {
        let [row, jump] = [access.strides[at], access.strides[lane]]
            .map(|stride| stride.saturating_mul(sizes[access.buffer.0 as usize]).saturating_abs());
        let room = if jump % ALIKE == 0 { WAYS } else { LINES };
        (1..LINE).contains(&row) && jump >= LINE && stage.lanes > room
    };
    let map = matches!(stage.fold, Fold::None) && !stage.body.program.insts.iter().any(counts);
    if !map || nest.outer[at] < WAYS || !stage.body.slots.iter().any(far) {
        return;
    }
    let fits = |tile: &usize| stage.lanes.is_multiple_of(*tile) && *tile < stage.lanes;
    let Some(tile) = TILES.filter(fits).min_by_key(|tile| tile.abs_diff(TILE)) else { return };
    for access in &mut stage.body.slots {
        access.strides.insert(at, access.strides[lane].saturating_mul(tile as i64));
    }
    nest.outer.insert(at, stage.lanes / tile);
    stage.lanes = tile;
}
