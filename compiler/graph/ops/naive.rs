//! Naive access to tensors: what the evaluations of the table are written with. Nothing here is
//! fast; nothing here is shared with lowering.

use super::EvalError;
use crate::graph::TensorType;
use smallvec::SmallVec;
use tensc_runtime::{Element, Shape, Tensor, with_element};

/// A position in a tensor or an iteration space.
pub type Point = SmallVec<[usize; 4]>;

/// Every point of `shape` in row-major order.
pub fn points(shape: &[usize]) -> impl Iterator<Item = Point> + use<> {
    let sizes: Point = shape.iter().copied().collect();
    let mut next = (!sizes.contains(&0)).then(|| Point::from_elem(0, sizes.len()));
    std::iter::from_fn(move || {
        let point = next.take()?;
        let mut after = point.clone();
        for axis in (0..sizes.len()).rev() {
            after[axis] += 1;
            if after[axis] < sizes[axis] {
                next = Some(after);
                break;
            }
            after[axis] = 0;
        }
        Some(point)
    })
}

/// The row-major position of `point` in a tensor of `shape`.
pub fn flat(shape: &Shape, point: &[usize]) -> usize {
    debug_assert_eq!(shape.rank(), point.len(), "a point has the rank of its tensor");
    shape.iter().zip(point).fold(0, |at, (&size, &index)| {
        assert!(index < size, "index {index} is outside 0..{size}");
        at * size + index
    })
}

/// All elements as `i64`.
pub fn ints(tensor: &Tensor) -> Vec<i64> {
    with_element!(tensor.dtype(), T => {
        tensor.as_slice::<T>().iter().map(|x| x.to_i64()).collect()
    })
}

/// The one element of a rank-0 integer tensor.
pub fn int_scalar(tensor: &Tensor) -> i64 {
    ints(tensor)[0]
}

/// A tensor of type `ty`: low bits of integers, nearest floats.
pub fn from_ints(ty: &TensorType, values: &[i64]) -> Tensor {
    let mut tensor = Tensor::zeros(ty.dtype, ty.concrete_shape());
    with_element!(ty.dtype, T => {
        let out = tensor.as_mut_slice::<T>();
        assert_eq!(out.len(), values.len(), "number of values");
        out.iter_mut().zip(values).for_each(|(o, &v)| *o = T::from_i64(v));
    });
    tensor
}

/// A tensor of type `ty`, each value rounded once.
pub fn from_floats(ty: &TensorType, values: &[f64]) -> Tensor {
    Tensor::from_f64_slice(ty.dtype, values, ty.concrete_shape())
}

/// A tensor of type `ty` whose element at each point is an element of one of `sources`: `pick`
/// gives which source, and the position there.
pub fn rearranged(
    ty: &TensorType,
    sources: &[&Tensor],
    mut pick: impl FnMut(&[usize]) -> (usize, usize),
) -> Tensor {
    let mut tensor = Tensor::zeros(ty.dtype, ty.concrete_shape());
    let space = points(tensor.shape());
    with_element!(ty.dtype, T => {
        let sources: Vec<&[T]> = sources.iter().map(|s| s.as_slice::<T>()).collect();
        for (out, point) in tensor.as_mut_slice::<T>().iter_mut().zip(space) {
            let (source, at) = pick(&point);
            *out = sources[source][at];
        }
    });
    tensor
}

/// The bits of an index that must not count from the end: a negative one from [`LEAST`] on is out
/// of every range without its sign, and a message can put it back.
pub const UNSIGNED: i64 = i64::MAX;

/// The least index that is told by its number.
pub const LEAST: i64 = i64::MIN / 2;

/// An index brought into `0..bound`: a negative one counts from the end.
///
/// # Errors
/// Where it is in `-bound..bound` not at all.
pub fn checked_index(index: i64, bound: i64) -> Result<i64, EvalError> {
    let wrapped = if index < 0 { index.wrapping_add(bound) } else { index };
    if (0..bound).contains(&wrapped) {
        return Ok(wrapped);
    }
    let (index, note) = match index >= LEAST & UNSIGNED {
        true => (index | !UNSIGNED, ": here a negative one does not count from the end"),
        false => (index, ""),
    };
    Err(EvalError::new(format!("index {index} is out of range for an axis of size {bound}{note}")))
}

/// The axes of a space of `rank` axes that are not among `axes`.
pub fn other_axes(rank: usize, axes: &[u8]) -> SmallVec<[usize; 4]> {
    (0..rank).filter(|&axis| !axes.contains(&(axis as u8))).collect()
}
