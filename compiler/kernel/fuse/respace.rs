//! One space in terms of another: how a kernel's walks look over the axes of the kernel it joins.
//!
//! Two spaces are related by a buffer that both walk over. The source's axes are split where they
//! cross axes of the target, and each part belongs to one axis of the target, or to none where it
//! does not move in the buffer. A walk of the source carries over if it moves evenly along every
//! target axis.

use crate::kernel::Access;
use crate::kernel::walk::{Strides, Walk, cuts, digits};
use smallvec::SmallVec;
use std::cmp::Reverse;

/// A correspondence of points.
#[derive(Debug)]
pub struct Respace {
    source_rank: usize,
    target_rank: usize,
    parts: Vec<Part>,
    /// Extents of the parts that no target axis determines, in the order of the source's axes.
    pub free: SmallVec<[usize; 4]>,
}

/// A part of a source axis.
#[derive(Debug)]
struct Part {
    source: usize,
    /// Steps of the source axis for a step of the part.
    weight: i64,
    extent: usize,
    place: Placed,
}

#[derive(Clone, Copy, Debug)]
enum Placed {
    /// So many steps of the target axis for a step of the part.
    Target(usize, i64),
    Free,
    /// The part has one point.
    Single,
}

impl Respace {
    /// Relates the spaces by walks over one buffer. Every target axis must move in the buffer and
    /// must be covered in full by source axes.
    pub fn between(source: (&[usize], &Walk), target: (&[usize], &Walk)) -> Option<Respace> {
        let (source_extents, source_walk) = source;
        let (target_extents, target_walk) = target;
        if source_walk.offset != target_walk.offset {
            return None;
        }
        let mut order: Vec<usize> =
            (0..target_extents.len()).filter(|&a| target_extents[a] > 1).collect();
        order.sort_by_key(|&a| Reverse(target_walk.strides[a]));
        let unit = order.last().map_or(1, |&a| target_walk.strides[a]);
        if unit <= 0 || source_walk.strides.iter().any(|s| s % unit != 0) {
            return None;
        }
        let mut expected = unit;
        for &axis in order.iter().rev() {
            if target_walk.strides[axis] != expected {
                return None;
            }
            expected *= target_extents[axis] as i64;
        }
        let radices: Vec<usize> = order.iter().map(|&a| target_extents[a]).collect();

        let mut parts = Vec::new();
        let mut split = Walk::default();
        let mut extents = Vec::new();
        for (axis, &extent) in source_extents.iter().enumerate() {
            let stride = source_walk.strides[axis] / unit;
            let mut weight = 1;
            let first = parts.len();
            for factor in cuts(stride, extent, &radices)?.into_iter().rev() {
                parts.insert(
                    first,
                    Part { source: axis, weight, extent: factor, place: Placed::Single },
                );
                split.strides.insert(first, stride * weight);
                extents.insert(first, factor);
                weight *= factor as i64;
            }
        }
        let digits = digits(&split, &extents, &radices)?;
        for (at, part) in parts.iter_mut().enumerate().filter(|(_, p)| p.extent > 1) {
            let moved = digits.iter().zip(&order).find(|(digit, _)| digit.steps[at] != 0);
            part.place = match moved {
                Some((digit, &axis)) => Placed::Target(axis, digit.steps[at]),
                None => Placed::Free,
            };
        }
        for (digit, &radix) in digits.iter().zip(&radices) {
            let mut steps: Vec<(i64, usize)> =
                digit.steps.iter().copied().zip(extents.iter().copied()).collect();
            steps.retain(|&(step, extent)| step != 0 && extent > 1);
            steps.sort_unstable();
            let mut next = 1;
            for (step, extent) in steps {
                if step != next {
                    return None;
                }
                next *= extent as i64;
            }
            if digit.start != 0 || next != radix as i64 {
                return None;
            }
        }
        let free = parts.iter().filter(|p| matches!(p.place, Placed::Free));
        let free = free.map(|p| p.extent).collect();
        let (source_rank, target_rank) = (source_extents.len(), target_extents.len());
        Some(Respace { source_rank, target_rank, parts, free })
    }

    /// Number of axes of the source.
    pub fn source_rank(&self) -> usize {
        self.source_rank
    }

    /// Each source axis that moves, with the target axis that one of its parts belongs to.
    pub fn lands(&self) -> impl Iterator<Item = (usize, Option<usize>)> + '_ {
        self.parts.iter().filter_map(|part| match part.place {
            Placed::Target(axis, _) => Some((part.source, Some(axis))),
            Placed::Free => Some((part.source, None)),
            Placed::Single => None,
        })
    }

    /// A walk of the source over the axes of the target, and the strides along the free parts.
    pub fn walk(&self, walk: &Walk) -> Option<(Walk, Strides)> {
        let mut moved = Walk { offset: walk.offset, ..Walk::still(self.target_rank) };
        let mut seen: SmallVec<[Option<i64>; 6]> = SmallVec::from_elem(None, self.target_rank);
        let mut free = Strides::new();
        for part in &self.parts {
            let stride = walk.strides[part.source] * part.weight;
            match part.place {
                Placed::Single => {}
                Placed::Free => free.push(stride),
                Placed::Target(axis, step) => {
                    if stride % step != 0 {
                        return None;
                    }
                    let even = *seen[axis].get_or_insert(stride / step);
                    if even != stride / step {
                        return None;
                    }
                    moved.strides[axis] = even;
                }
            }
        }
        Some((moved, free))
    }

    /// An access of the source over the axes of the target, which determine it.
    pub fn access(&self, access: &Access) -> Option<Access> {
        let (walk, free) = self.walk(&walk_of(access))?;
        free.is_empty().then_some(Access { strides: walk.strides, ..access.clone() })
    }
}

/// The walk of an access.
pub fn walk_of(access: &Access) -> Walk {
    Walk { offset: access.offset, strides: access.strides.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(strides: &[i64]) -> Walk {
        Walk { offset: 0, strides: Strides::from_slice(strides) }
    }

    #[test]
    fn a_merged_axis_splits() {
        // A dense map of 12 elements over the rows and columns of a 3×4 product.
        let r = Respace::between((&[12], &walk(&[1])), (&[3, 4], &walk(&[4, 1]))).expect("splits");
        assert_eq!(r.walk(&walk(&[1])).expect("dense").0.strides.as_slice(), [4, 1]);
        assert_eq!(r.walk(&walk(&[2])).expect("every second").0.strides.as_slice(), [8, 2]);
        assert!(r.free.is_empty());
    }

    #[test]
    fn axes_change_places_and_merge() {
        // The target walks a transposed buffer; the source has split one of its axes.
        let target = (&[4, 6][..], walk(&[1, 4]));
        let source = (&[2, 3, 4][..], walk(&[12, 4, 1]));
        let r = Respace::between((source.0, &source.1), (target.0, &target.1)).expect("relates");
        assert_eq!(r.walk(&walk(&[3, 1, 0])).expect("even").0.strides.as_slice(), [0, 1]);
        // Along the merged axis this one does not move evenly.
        assert!(r.walk(&walk(&[0, 1, 0])).is_none());
    }

    #[test]
    fn rows_leave_columns_free() {
        let rows = (&[5][..], walk(&[1]));
        let map = (&[5, 7][..], walk(&[1, 0]));
        let r = Respace::between((map.0, &map.1), (rows.0, &rows.1)).expect("rows");
        assert_eq!(r.free.as_slice(), [7]);
        let (moved, free) = r.walk(&walk(&[7, 1])).expect("dense");
        assert_eq!((moved.strides.as_slice(), free.as_slice()), (&[7][..], &[1][..]));
    }

    #[test]
    fn partial_covers_are_refused() {
        assert!(Respace::between((&[6], &walk(&[2])), (&[3, 4], &walk(&[4, 1]))).is_none());
        assert!(Respace::between((&[2, 4], &walk(&[4, 1])), (&[3, 4], &walk(&[4, 1]))).is_none());
        assert!(Respace::between((&[12], &walk(&[0])), (&[3, 4], &walk(&[4, 1]))).is_none());
    }
}
