//! Tensors while lowering: views that nobody has copied yet.
//!
//! A [`View`] says where each element of a tensor is: in a buffer at an affine place, or nowhere,
//! because it is a constant or a function of the position. Transposes, slices, flips and broadcasts
//! only change strides, so that no kernel is ever made for them; a reshape does so where the
//! strides allow it.

use crate::graph::IndexMap;
use crate::graph::ops::Window;
use crate::kernel::BufferId;
use crate::kernel::walk::{Strides, Walk, dense_strides, joins, points, range};
use smallvec::SmallVec;
use tensc_runtime::{DType, Scalar};

/// What holds the elements.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Base {
    /// Memory; the walk gives the element's place.
    Buffer(BufferId),
    /// Every element is this one.
    Const(Scalar),
    /// The element *is* the walk's number, converted to the element type.
    Position,
}

/// A tensor that may share memory with others.
#[derive(Clone, Debug)]
pub struct View {
    /// What holds the elements.
    pub base: Base,
    /// Element type of the tensor (and of the buffer).
    pub dtype: DType,
    /// Axis sizes.
    pub shape: SmallVec<[usize; 4]>,
    /// Where each element is.
    pub walk: Walk,
}

impl View {
    /// A whole buffer, dense.
    pub fn buffer(buffer: BufferId, dtype: DType, shape: &[usize]) -> View {
        View { base: Base::Buffer(buffer), dtype, shape: shape.into(), walk: Walk::dense(shape) }
    }

    /// One element everywhere.
    pub fn constant(value: Scalar, shape: &[usize]) -> View {
        let walk = Walk::still(shape.len());
        View { base: Base::Const(value), dtype: value.dtype(), shape: shape.into(), walk }
    }

    /// The position along an axis.
    pub fn position(dtype: DType, shape: &[usize], axis: usize) -> View {
        let mut walk = Walk::still(shape.len());
        walk.strides[axis] = 1;
        View { base: Base::Position, dtype, shape: shape.into(), walk }
    }

    /// Number of elements.
    pub fn elements(&self) -> usize {
        points(&self.shape)
    }

    /// Elements of memory from the first to the last.
    pub fn span(&self) -> usize {
        let range = range(self.walk.offset, &self.walk.strides, &self.shape);
        range.map_or(0, |(low, high)| usize::try_from(high - low + 1).unwrap_or(usize::MAX))
    }

    /// The walk over a space of `rank` axes that reads this view through an index map.
    pub fn through(&self, map: &IndexMap, rank: usize) -> Walk {
        let mut walk = Walk { offset: self.walk.offset, ..Walk::still(rank) };
        for (index, &stride) in map.0.iter().zip(&self.walk.strides) {
            walk.offset += stride * index.start;
            if let Some(axis) = index.axis {
                walk.strides[usize::from(axis)] += stride * index.step;
            }
        }
        walk
    }

    /// The view of shape `shape` whose point `p` is this view's point `map(p)`.
    pub fn mapped(&self, map: &IndexMap, shape: &[usize]) -> View {
        let walk = self.through(map, shape.len());
        View { base: self.base, dtype: self.dtype, shape: shape.into(), walk }
    }

    /// The windows of this view: an axis becomes places and parts, at strides of its own.
    pub fn windowed(&self, window: &Window) -> View {
        let axis = usize::from(window.axis);
        let [start, count, size] = [&window.start, &window.count, &window.size]
            .map(|dim| dim.known().expect("lowering needs known sizes"));
        let mut view = self.clone();
        let step = self.walk.strides[axis];
        if count > 0 && size > 0 {
            view.walk.offset += step * start;
        }
        view.walk.strides[axis] = step * window.stride;
        view.walk.strides.insert(axis + 1, step * window.dilation);
        view.shape[axis] = count as usize;
        view.shape.insert(axis + 1, size as usize);
        view
    }

    /// The view with its axes in the order of `axes`.
    pub fn permuted(&self, axes: &[usize]) -> View {
        View {
            shape: axes.iter().map(|&a| self.shape[a]).collect(),
            walk: self.walk.select(axes),
            ..self.clone()
        }
    }

    /// Whether the elements are those of a buffer from `offset` on, row-major.
    pub fn is_dense(&self) -> bool {
        let dense = dense_strides(&self.shape);
        let mut axes = self.walk.strides.iter().zip(&dense).zip(&self.shape);
        matches!(self.base, Base::Buffer(_)) && axes.all(|((s, d), &e)| e == 1 || s == d)
    }

    /// The same elements, row-major, under another shape, if strides can say it.
    pub fn reshaped(&self, shape: &[usize]) -> Option<View> {
        let strides = restride(&self.walk.strides, &self.shape, shape)?;
        let walk = Walk { offset: self.walk.offset, strides };
        Some(View { base: self.base, dtype: self.dtype, shape: shape.into(), walk })
    }
}

/// The strides of a row-major reshape: runs of axes of equal products are matched, and the old
/// axes of each run must be one axis.
fn restride(strides: &[i64], from: &[usize], to: &[usize]) -> Option<Strides> {
    if from.contains(&0) || to.contains(&0) {
        return Some(Strides::from_elem(0, to.len()));
    }
    let old: SmallVec<[(usize, i64); 6]> =
        from.iter().copied().zip(strides.iter().copied()).filter(|(e, _)| *e != 1).collect();
    let mut result = Strides::from_elem(0, to.len());
    let (mut next_old, mut next_new) = (0, 0);
    while next_old < old.len() {
        let (first_old, first_new) = (next_old, next_new);
        let (mut have, mut want) = (old[next_old].0, 1);
        next_old += 1;
        while have != want {
            if have < want {
                have *= old.get(next_old)?.0;
                next_old += 1;
            } else {
                want *= to.get(next_new)?;
                next_new += 1;
            }
        }
        let run = &old[first_old..next_old];
        if !run.windows(2).all(|w| joins(w[0].1, w[1].1, w[1].0)) {
            return None;
        }
        let mut stride = run.last().expect("a run has an axis").1;
        for axis in (first_new..next_new).rev() {
            result[axis] = stride;
            stride *= to[axis] as i64;
        }
    }
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restrided(strides: &[i64], from: &[usize], to: &[usize]) -> Option<Vec<i64>> {
        restride(strides, from, to).map(|s| s.to_vec())
    }

    #[test]
    fn reshapes_that_strides_can_say() {
        assert_eq!(restrided(&[12, 4, 1], &[2, 3, 4], &[6, 4]), Some(vec![4, 1]));
        assert_eq!(restrided(&[12, 4, 1], &[2, 3, 4], &[24]), Some(vec![1]));
        assert_eq!(restrided(&[1], &[24], &[2, 1, 12]), Some(vec![12, 12, 1]));
        // A transposed matrix splits, but does not flatten.
        assert_eq!(restrided(&[1, 4], &[4, 6], &[2, 2, 6]), Some(vec![2, 1, 4]));
        assert_eq!(restrided(&[1, 4], &[4, 6], &[24]), None);
        // A broadcast axis stays one.
        assert_eq!(restrided(&[0, 1], &[5, 6], &[5, 2, 3]), Some(vec![0, 3, 1]));
        assert_eq!(restrided(&[0, 0], &[5, 6], &[30]), Some(vec![0]));
        assert_eq!(restrided(&[], &[], &[1, 1]), Some(vec![0, 0]));
    }
}
