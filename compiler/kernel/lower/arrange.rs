//! From an iteration space to loop axes: which axis the lanes run along, which axes become one.
//!
//! A space is a box of points, some of its axes reduced, with a walk for every operand and the
//! result. Neighbouring axes that all walks cross without a jump are merged, so that a dense map of
//! any rank is one loop; the lanes run along the axis on which most walks move by single elements,
//! or along a longer one where that has only a few.

use crate::kernel::walk::{Walk, joins, points};
use smallvec::SmallVec;

/// The loops of one stage.
#[derive(Clone, PartialEq, Debug)]
pub struct Arranged {
    /// Extents of the row axes.
    pub outer: SmallVec<[usize; 4]>,
    /// Extents of the sequential reduced axes.
    pub reduce: SmallVec<[usize; 2]>,
    /// Extent of the lane axis.
    pub lanes: usize,
    /// Whether the lane axis is a reduced one.
    pub across: bool,
    /// The walks over outer, reduce, lane axes.
    pub walks: Vec<Walk>,
}

#[derive(Clone, Copy, PartialEq, Debug)]
struct Axis {
    extent: usize,
    reduced: bool,
}

/// Lanes of a vector, roughly; the choice of the lane axis needs no better number.
const VECTOR: usize = 8;

/// Elements of a line, roughly, and how many lines wait in the nearest cache; fewer where they are
/// multiples of so many elements apart, and share sets of it.
const LINE: u64 = 16;
const LINES: usize = 400;
const ALIKE: u64 = 256;
const WAYS: usize = 8;

/// What a row of a map costs beside its vectors, in vector operations: it matters for rows that are
/// shorter than one.
const AROUND: f64 = 20.0;
/// What the fold of a row across its lanes costs that has a loop around them: such rows do not
/// stand side by side.
const LOOPED: f64 = 40.0;

/// Arranges a space without empty axes. `memory[i]` says whether walk `i` is one of memory; the
/// others constrain merging but cost nothing.
pub fn arrange(space: &[usize], reduced: &[bool], walks: &[Walk], memory: &[bool]) -> Arranged {
    let beyond_one: Vec<usize> = (0..space.len()).filter(|&a| space[a] != 1).collect();
    let mut axes: Vec<Axis> =
        beyond_one.iter().map(|&a| Axis { extent: space[a], reduced: reduced[a] }).collect();
    let mut walks: Vec<Walk> = walks.iter().map(|w| w.select(&beyond_one)).collect();
    merge(&mut axes, &mut walks);

    let lane = choose_lane(&axes, &walks, memory);
    let mut order: Vec<usize> = (0..axes.len()).filter(|&a| Some(a) != lane).collect();
    order.sort_by_key(|&a| axes[a].reduced);
    // The lane axis stands beside its own kind while axes are merged.
    let across = lane.is_some_and(|l| axes[l].reduced);
    let kept = order.iter().filter(|&&a| !axes[a].reduced).count();
    if let Some(lane) = lane {
        let at = if across { order.len() } else { kept };
        order.insert(at, lane);
    }
    axes = order.iter().map(|&a| axes[a]).collect();
    walks = walks.iter().map(|w| w.select(&order)).collect();
    merge(&mut axes, &mut walks);

    let kept = axes.iter().filter(|a| !a.reduced).count();
    let lane = match (lane, across) {
        (None, _) => None,
        (Some(_), true) => Some(axes.len() - 1),
        (Some(_), false) => Some(kept - 1),
    };
    let of_kind = |reduced: bool| {
        let axes = axes.iter().enumerate();
        axes.filter(move |(a, axis)| axis.reduced == reduced && Some(*a) != lane)
    };
    let outer: Vec<usize> = of_kind(false).map(|(a, _)| a).collect();
    let reduce: Vec<usize> = of_kind(true).map(|(a, _)| a).collect();
    let order: Vec<usize> = outer.iter().chain(&reduce).chain(&lane).copied().collect();
    let with_lane = |w: &Walk| {
        let mut walk = w.select(&order);
        if lane.is_none() {
            walk.strides.push(0);
        }
        walk
    };
    Arranged {
        outer: outer.iter().map(|&a| axes[a].extent).collect(),
        reduce: reduce.iter().map(|&a| axes[a].extent).collect(),
        lanes: lane.map_or(1, |l| axes[l].extent),
        across,
        walks: walks.iter().map(with_lane).collect(),
    }
}

/// Makes neighbours of one kind one axis wherever every walk allows it.
fn merge(axes: &mut Vec<Axis>, walks: &mut [Walk]) {
    let mut a = 1;
    while a < axes.len() {
        let (outer, inner) = (axes[a - 1], axes[a]);
        let one = |w: &Walk| joins(w.strides[a - 1], w.strides[a], inner.extent);
        if outer.reduced == inner.reduced && walks.iter().all(one) {
            axes[a].extent *= outer.extent;
            axes.remove(a - 1);
            for walk in walks.iter_mut() {
                walk.strides.remove(a - 1);
            }
        } else {
            a += 1;
        }
    }
}

/// The cheapest lane axis by a count of vector operations; the innermost of equals.
fn choose_lane(axes: &[Axis], walks: &[Walk], memory: &[bool]) -> Option<usize> {
    let extents: Vec<usize> = axes.iter().map(|a| a.extent).collect();
    let total = points(&extents) as f64;
    // Rows of a reduction are joined with others over the same rows, which shares what is around.
    let reduced = axes.iter().filter(|a| a.reduced).count();
    let around = if reduced > 0 { 1.0 } else { AROUND };
    let kept: f64 = axes.iter().filter(|a| !a.reduced).map(|a| a.extent as f64).product();
    let cost = |lane: usize| {
        let extent = axes[lane].extent;
        let moves: f64 = walks
            .iter()
            .zip(memory)
            .filter(|(_, memory)| **memory)
            .map(|(w, _)| match w.strides[lane] {
                0 => 0.25,
                1 => 1.0,
                // Each lane is moved on its own, and the farther apart the longer it takes; longer
                // still where lines have left the nearest cache before they are used up.
                stride => {
                    let stride = stride.unsigned_abs();
                    let room = if stride % ALIKE == 0 { WAYS } else { LINES };
                    let again = if stride >= LINE && extent > room { 4.0 } else { 0.0 };
                    VECTOR as f64 * (1.5 + f64::from(stride.ilog2()) / 8.0 + again)
                }
            })
            .sum();
        let rows = total / extent as f64;
        let finish = match axes[lane].reduced {
            true if reduced > 1 => LOOPED * kept,
            true => 4.0 * kept,
            false => 0.0,
        };
        rows * (extent.div_ceil(VECTOR) as f64 * (moves + 1.0) + around) + finish
    };
    // `min_by` keeps the first of equals.
    (0..axes.len()).rev().min_by(|&a, &b| cost(a).total_cmp(&cost(b)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::walk::Strides;

    fn walk(strides: &[i64]) -> Walk {
        Walk { offset: 0, strides: Strides::from_slice(strides) }
    }

    fn arranged(space: &[usize], reduced: &[usize], walks: &[&[i64]]) -> Arranged {
        let reduced: Vec<bool> = (0..space.len()).map(|a| reduced.contains(&a)).collect();
        let walks: Vec<Walk> = walks.iter().map(|w| walk(w)).collect();
        arrange(space, &reduced, &walks, &vec![true; walks.len()])
    }

    #[test]
    fn dense_maps_are_one_loop() {
        let a = arranged(&[4, 1, 5, 6], &[], &[&[30, 0, 6, 1], &[30, 30, 6, 1]]);
        assert_eq!((a.outer.as_slice(), a.lanes), (&[][..], 120));
    }

    #[test]
    fn a_bias_keeps_its_axis() {
        let a = arranged(&[4, 5, 6], &[], &[&[30, 6, 1], &[0, 0, 1], &[30, 6, 1]]);
        assert_eq!((a.outer.as_slice(), a.lanes), (&[20][..], 6));
        assert_eq!(a.walks[1].strides.as_slice(), [0, 1]);
    }

    #[test]
    fn reductions_run_along_memory() {
        // Over the last axis of a matrix: across lanes.
        let a = arranged(&[40, 50], &[1], &[&[50, 1], &[1, 0]]);
        assert_eq!((a.outer.as_slice(), a.across, a.lanes), (&[40][..], true, 50));
        // Over the first: lanes along what is kept.
        let a = arranged(&[40, 50], &[0], &[&[50, 1], &[0, 1]]);
        assert_eq!((a.reduce.as_slice(), a.across, a.lanes), (&[40][..], false, 50));
        assert_eq!(a.walks[0].strides.as_slice(), [50, 1]);
        // Over everything: one long row.
        let a = arranged(&[40, 50], &[0, 1], &[&[50, 1], &[0, 0]]);
        assert_eq!((a.outer.as_slice(), a.across, a.lanes), (&[][..], true, 2000));
    }

    #[test]
    fn rows_that_are_shorter_than_a_vector_are_lanes() {
        // A value for each of three neighbours, or for each window of two by two.
        let a = arranged(&[500, 3], &[], &[&[3, 1], &[0, 1], &[3, 1]]);
        assert_eq!((a.outer.as_slice(), a.lanes), (&[3][..], 500));
        let a = arranged(&[9, 13, 2], &[], &[&[26, 2, 1], &[13, 1, 0], &[26, 2, 1]]);
        assert_eq!((a.outer.as_slice(), a.lanes), (&[2][..], 117));
        // Margins of long rows are lines apart.
        let a = arranged(&[80000, 6], &[], &[&[21, 1]]);
        assert_eq!((a.outer.as_slice(), a.lanes), (&[80000][..], 6));
        // The largest of such windows; of neighbours alone it stays with the row.
        let a = arranged(&[9, 5, 5, 2, 2], &[3, 4], &[&[121, 22, 2, 11, 1], &[25, 5, 1, 0, 0]]);
        assert_eq!((a.across, a.lanes), (false, 5));
        let a = arranged(&[500, 16], &[1], &[&[16, 1], &[1, 0]]);
        assert_eq!((a.across, a.lanes), (true, 16));
    }

    #[test]
    fn a_scalar_is_one_lane() {
        let a = arranged(&[1, 1], &[], &[&[1, 1]]);
        assert_eq!((a.outer.len(), a.reduce.len(), a.lanes), (0, 0, 1));
        assert_eq!(a.walks[0].strides.as_slice(), [0]);
    }
}
