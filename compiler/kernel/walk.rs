//! Affine walks over iteration spaces: how axes merge, split and are proved harmless.
//!
//! A [`Walk`] gives an element number for every point of a space. Lowering arranges spaces and
//! their walks into loop axes; fusion re-expresses walks over another kernel's axes; the verifier
//! and the planner ask for ranges and injectivity. Everything here is exact integer reasoning: what
//! cannot be proved is answered with "no".

use smallvec::SmallVec;
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Strides of a walk, one for each axis of its space.
pub type Strides = SmallVec<[i64; 6]>;

/// Element `offset + Σ strides[i] * index[i]`.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Walk {
    /// Element at the origin.
    pub offset: i64,
    /// Elements for each step along each axis.
    pub strides: Strides,
}

impl Walk {
    /// A walk that stays at element 0 of a space with `rank` axes.
    pub fn still(rank: usize) -> Walk {
        Walk { offset: 0, strides: Strides::from_elem(0, rank) }
    }

    /// The row-major walk over a dense tensor of this shape.
    pub fn dense(extents: &[usize]) -> Walk {
        Walk { offset: 0, strides: dense_strides(extents) }
    }

    /// The walk with its axes in the order of `axes`.
    pub fn select(&self, axes: &[usize]) -> Walk {
        Walk { offset: self.offset, strides: axes.iter().map(|&a| self.strides[a]).collect() }
    }
}

/// Row-major strides in elements.
pub fn dense_strides(extents: &[usize]) -> Strides {
    let mut strides = Strides::from_elem(1, extents.len());
    for axis in (1..extents.len()).rev() {
        strides[axis - 1] = strides[axis] * extents[axis].max(1) as i64;
    }
    strides
}

/// Points of a space; saturates, so that a comparison with a limit stays right.
pub fn points(extents: &[usize]) -> usize {
    extents.iter().fold(1usize, |n, &e| n.saturating_mul(e))
}

/// How many elements a walk with these strides meets; more than there are where it meets some
/// again in another direction.
pub fn met(strides: &[i64], extents: &[usize]) -> usize {
    let moving = strides.iter().zip(extents).filter(|(stride, _)| **stride != 0);
    moving.fold(1, |elements: usize, (_, &extent)| elements.saturating_mul(extent))
}

/// The smallest and the largest element a walk touches, or `None` for an empty space. Computed in
/// `i128`, so that no walk can hide by overflowing.
pub fn range(offset: i64, strides: &[i64], extents: &[usize]) -> Option<(i128, i128)> {
    let (mut low, mut high) = (i128::from(offset), i128::from(offset));
    for (&stride, &extent) in strides.iter().zip(extents) {
        let last = (extent as i128).checked_sub(1).filter(|&l| l >= 0)?;
        let reach = i128::from(stride) * last;
        if reach < 0 {
            low += reach;
        } else {
            high += reach;
        }
    }
    Some((low, high))
}

/// Whether different points certainly have different elements: sorted by size, every stride jumps
/// over all that the smaller ones span.
pub fn injective(strides: &[i64], extents: &[usize]) -> bool {
    let mut moving: SmallVec<[(u64, usize); 6]> = strides
        .iter()
        .zip(extents)
        .filter(|(_, extent)| **extent > 1)
        .map(|(stride, &extent)| (stride.unsigned_abs(), extent))
        .collect();
    moving.sort_unstable();
    let mut span: u128 = 0;
    moving.into_iter().all(|(stride, extent)| {
        let clear = u128::from(stride) > span;
        span += u128::from(stride) * (extent as u128 - 1);
        clear
    })
}

/// Whether no element is touched by both of two walks, each an offset, strides and extents: whether
/// the difference of their elements is never 0.
pub fn apart(a: (i64, &[i64], &[usize]), b: (i64, &[i64], &[usize])) -> bool {
    if a.2.contains(&0) || b.2.contains(&0) {
        return true;
    }
    // Σ stride * index is the distance of the offsets: strides above 0, their indices from the one
    // number to the other. Strides that occur in both are one.
    let mut axes: BTreeMap<u64, (i128, i128)> = BTreeMap::new();
    for ((_, strides, extents), sign) in [(a, 1), (b, -1)] {
        for (stride, extent) in joined(strides, extents) {
            let (low, high) = axes.entry(stride.unsigned_abs()).or_default();
            match stride.signum() == sign {
                true => *high += extent as i128 - 1,
                false => *low -= extent as i128 - 1,
            }
        }
    }
    let axes: Vec<(i128, i128, i128)> =
        axes.into_iter().rev().map(|(s, (low, high))| (i128::from(s), low, high)).collect();
    let mut steps = 1 << 12;
    !reaches(&axes, i128::from(b.0) - i128::from(a.0), &mut steps)
}

/// The axes of a walk that move it, the longest stride first, those that are one axis together.
fn joined(strides: &[i64], extents: &[usize]) -> Vec<(i64, usize)> {
    let mut axes: Vec<(i64, usize)> = Vec::new();
    let moving = strides.iter().copied().zip(extents.iter().copied());
    let mut moving: Vec<(i64, usize)> =
        moving.filter(|&(stride, extent)| stride != 0 && extent > 1).collect();
    moving.sort_by_key(|&(stride, _)| Reverse(stride.unsigned_abs()));
    for (stride, extent) in moving {
        match axes.last_mut() {
            Some(last) if joins(last.0, stride, extent) => *last = (stride, last.1 * extent),
            _ => axes.push((stride, extent)),
        }
    }
    axes
}

/// Whether two walks, each an offset, strides and extents, certainly reach the same elements.
pub fn alike(a: (i64, &[i64], &[usize]), b: (i64, &[i64], &[usize])) -> bool {
    let rising = |(offset, strides, extents): (i64, &[i64], &[usize])| {
        let (low, _) = range(offset, strides, extents)?;
        let strides: Strides = strides.iter().map(|stride| stride.saturating_abs()).collect();
        Some((low, joined(&strides, extents)))
    };
    rising(a) == rising(b)
}

/// Whether `Σ stride * index` over the axes, the longest stride first, may be `target`: also where
/// so many steps do not show that it is not.
fn reaches(axes: &[(i128, i128, i128)], target: i128, steps: &mut usize) -> bool {
    let Some((&(stride, low, high), rest)) = axes.split_first() else { return target == 0 };
    let Some(left) = steps.checked_sub(1) else { return true };
    *steps = left;
    let least: i128 = rest.iter().map(|(stride, low, _)| stride * low).sum();
    let most: i128 = rest.iter().map(|(stride, _, high)| stride * high).sum();
    let first = low.max(-(most - target).div_euclid(stride));
    let last = high.min((target - least).div_euclid(stride));
    (first..=last).any(|index| reaches(rest, target - stride * index, steps))
}

/// Whether two adjacent axes (outer, inner) are one axis for the walk.
pub fn joins(outer: i64, inner: i64, inner_extent: usize) -> bool {
    i64::try_from(inner_extent).ok().and_then(|e| inner.checked_mul(e)) == Some(outer)
}

/// One digit of a mixed-radix number, as a function of a space's point.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Digit {
    /// Value at the origin.
    pub start: i64,
    /// Change for each step along each axis of the space.
    pub steps: Strides,
}

/// Reads the element numbers of a walk as positions in a dense tensor of shape `radices`: each
/// position an affine function of the point that stays inside its axis, so that no carry ever
/// happens. `None` where that cannot be shown, such as for an axis that crosses two digits: split
/// it first ([`cuts`]).
pub fn digits(walk: &Walk, extents: &[usize], radices: &[usize]) -> Option<Vec<Digit>> {
    if extents.contains(&0) || radices.contains(&0) {
        return None;
    }
    // Count every axis from the end where its stride is negative, so that all steps are positive.
    let mut base = walk.offset;
    for (&stride, &extent) in walk.strides.iter().zip(extents) {
        if stride < 0 {
            base += stride * (extent as i64 - 1);
        }
    }
    let weights = dense_strides(radices);
    let mut digits = Vec::with_capacity(radices.len());
    let mut rest = base;
    let mut left: Strides = walk.strides.iter().map(|s| s.abs()).collect();
    for (stride, &extent) in left.iter_mut().zip(extents) {
        if extent == 1 {
            *stride = 0;
        }
    }
    for (&weight, &radix) in weights.iter().zip(radices) {
        let start = rest.div_euclid(weight);
        rest = rest.rem_euclid(weight);
        let steps: Strides = left.iter().map(|s| s / weight).collect();
        left.iter_mut().for_each(|s| *s %= weight);
        let reach: i64 = steps.iter().zip(extents).map(|(s, &e)| s * (e as i64 - 1)).sum();
        if start < 0 || start + reach >= radix as i64 {
            return None;
        }
        digits.push(Digit { start, steps });
    }
    if rest != 0 || left.iter().any(|&s| s != 0) {
        return None;
    }
    for digit in &mut digits {
        for (axis, step) in digit.steps.iter_mut().enumerate() {
            if walk.strides[axis] < 0 {
                digit.start += *step * (extents[axis] as i64 - 1);
                *step = -*step;
            }
        }
    }
    Some(digits)
}

/// The factors, outermost first, that an axis of this extent and stride must be split into so that
/// each part moves within one digit of `radices`. `None` where no factors do.
pub fn cuts(stride: i64, extent: usize, radices: &[usize]) -> Option<SmallVec<[usize; 4]>> {
    let weights = dense_strides(radices);
    let (mut factors, mut left) = (SmallVec::<[usize; 4]>::new(), extent);
    let mut stride = stride.abs();
    if stride == 0 || extent <= 1 {
        factors.push(extent);
        return Some(factors);
    }
    for (&weight, &radix) in weights.iter().zip(radices).rev() {
        let above = weight * radix as i64;
        if left == 1 || stride >= above {
            continue;
        }
        if stride < weight || above % stride != 0 {
            return None;
        }
        let room = usize::try_from(above / stride).ok()?;
        if left <= room {
            factors.push(left);
            left = 1;
        } else if left.is_multiple_of(room) {
            factors.push(room);
            left /= room;
            stride = above;
        } else {
            return None;
        }
    }
    if left != 1 {
        return None;
    }
    factors.reverse();
    Some(factors)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn walk(offset: i64, strides: &[i64]) -> Walk {
        Walk { offset, strides: Strides::from_slice(strides) }
    }

    #[test]
    fn digits_undo_a_dense_walk_and_its_flip() {
        let found = digits(&walk(0, &[12, 4, 1]), &[2, 3, 4], &[2, 3, 4]).expect("dense");
        for (i, digit) in found.iter().enumerate() {
            assert_eq!(digit.start, 0);
            assert!(digit.steps.iter().enumerate().all(|(a, &s)| s == i64::from(a == i)));
        }
        let found = digits(&walk(11, &[-4, -1]), &[3, 4], &[3, 4]).expect("flipped");
        assert_eq!((found[0].start, found[1].start), (2, 3));
        assert_eq!(found[0].steps.as_slice(), [-1, 0]);
    }

    #[test]
    fn digits_refuse_carries() {
        // Axis 0 runs through two digits, and an offset of 2 makes the inner digit carry.
        assert!(digits(&walk(0, &[1]), &[12], &[3, 4]).is_none());
        assert!(digits(&walk(2, &[4, 1]), &[2, 3], &[3, 4]).is_none());
        assert!(digits(&walk(1, &[4, 1]), &[2, 3], &[3, 4]).is_some());
    }

    #[test]
    fn digits_agree_with_the_element_numbers() {
        let radices = [3, 4, 5];
        for (w, extents) in [
            (walk(7, &[20, 1]), [2usize, 3]),
            (walk(59, &[-20, -5]), [3, 4]),
            (walk(4, &[5, 0]), [4, 9]),
        ] {
            let found = digits(&w, &extents, &radices).expect("no carries");
            for i in 0..extents[0] as i64 {
                for j in 0..extents[1] as i64 {
                    let element = w.offset + w.strides[0] * i + w.strides[1] * j;
                    let at = |d: &Digit| d.start + d.steps[0] * i + d.steps[1] * j;
                    let number = at(&found[0]) * 20 + at(&found[1]) * 5 + at(&found[2]);
                    assert_eq!(number, element);
                    assert!(found.iter().zip(radices).all(|(d, r)| (0..r as i64).contains(&at(d))));
                }
            }
        }
    }

    #[test]
    fn cuts_follow_the_digits() {
        assert_eq!(cuts(1, 12, &[3, 4]).expect("both").as_slice(), [3, 4]);
        assert_eq!(cuts(4, 3, &[3, 4]).expect("one").as_slice(), [3]);
        assert_eq!(cuts(2, 6, &[3, 4]).expect("every second").as_slice(), [3, 2]);
        assert!(cuts(1, 6, &[3, 4]).is_none());
        assert!(cuts(3, 4, &[3, 4]).is_none());
    }

    #[test]
    fn parts_are_apart() {
        // Beside each other, interleaved, the columns of a matrix, backwards.
        assert!(apart((0, &[1], &[4]), (4, &[1], &[4])));
        assert!(!apart((0, &[1], &[4]), (3, &[1], &[4])));
        assert!(apart((0, &[2], &[4]), (1, &[2], &[4])));
        assert!(apart((0, &[10, 1], &[5, 3]), (3, &[10, 1], &[5, 7])));
        assert!(!apart((0, &[10, 1], &[5, 4]), (3, &[10, 1], &[5, 7])));
        assert!(apart((9, &[-1], &[5]), (4, &[-1], &[5])));
        assert!(!apart((9, &[-1], &[6]), (4, &[-1], &[5])));
        assert!(apart((0, &[1], &[0]), (0, &[1], &[8])));
        // Rows of many axes between their edges: one axis of rows.
        let rows: (&[i64], &[usize]) = (&[800_000, 8000, 400, 20, 1], &[9, 100, 20, 20, 12]);
        assert!(apart((4, rows.0, rows.1), (0, &[20, 1], &[360_000, 4])));
        assert!(!apart((4, rows.0, rows.1), (0, &[20, 1], &[360_000, 5])));
        // By every point.
        let walks: [(i64, &[i64], &[usize]); 5] = [
            (0, &[7, 2], &[3, 3]),
            (1, &[7, 2], &[3, 3]),
            (6, &[7], &[3]),
            (20, &[-5, 0], &[4, 2]),
            (3, &[1], &[3]),
        ];
        let elements = |(offset, strides, extents): (i64, &[i64], &[usize])| -> Vec<i64> {
            let mut elements = vec![offset];
            for (&stride, &extent) in strides.iter().zip(extents) {
                let steps = 0..extent as i64;
                elements =
                    steps.flat_map(|i| elements.iter().map(move |e| e + i * stride)).collect();
            }
            elements
        };
        for a in walks {
            for b in walks {
                let (of_a, of_b) = (elements(a), elements(b));
                assert_eq!(apart(a, b), of_a.iter().all(|e| !of_b.contains(e)), "{a:?} {b:?}");
            }
        }
    }

    #[test]
    fn ranges_and_injectivity() {
        assert_eq!(range(3, &[-1, 10], &[4, 2]), Some((0, 13)));
        assert_eq!(range(0, &[1], &[0]), None);
        assert!(injective(&[10, 1], &[5, 10]));
        assert!(!injective(&[9, 1], &[5, 10]));
        assert!(!injective(&[0], &[2]));
        assert!(injective(&[0, -1], &[1, 7]));
    }
}
