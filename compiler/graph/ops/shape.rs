//! Rules about shapes that several operations and the checker share.

use super::TypeError;
use crate::graph::{Dim, TensorType};
use smallvec::SmallVec;

/// Sizes of axes, outermost first.
pub type Dims = SmallVec<[Dim; 4]>;

/// The shape both broadcast to by NumPy's rule: aligned at the last axis, a missing axis or a
/// literal 1 stretches; a named size never does.
///
/// # Errors
/// Names the first pair of axes that disagree, as axes of operands 0 and 1.
pub fn broadcast(left: &[Dim], right: &[Dim]) -> Result<Dims, TypeError> {
    let rank = left.len().max(right.len());
    let at = |shape: &[Dim], axis: usize| (axis + shape.len()).checked_sub(rank);
    let pair = |axis: usize| match (at(left, axis), at(right, axis)) {
        (Some(l), Some(r)) => match (&left[l], &right[r]) {
            (a, b) if a == b || b.is(1) => Ok(a.clone()),
            (a, b) if a.is(1) => Ok(b.clone()),
            (a, b) => Err(TypeError::new(format!(
                "shapes {} and {} do not broadcast: {a} and {b} differ",
                show(left),
                show(right),
            ))
            .axis(0, l)
            .axis(1, r)),
        },
        (Some(l), None) => Ok(left[l].clone()),
        (None, Some(r)) => Ok(right[r].clone()),
        (None, None) => unreachable!("the rank is that of the longer shape"),
    };
    // From the last axis, so that the error names the innermost disagreement.
    let mut shape = (0..rank).rev().map(pair).collect::<Result<Dims, TypeError>>()?;
    shape.reverse();
    Ok(shape)
}

/// `[B, 10]`.
pub fn show(shape: &[Dim]) -> String {
    let dims: Vec<String> = shape.iter().map(ToString::to_string).collect();
    format!("[{}]", dims.join(", "))
}

/// Fails unless `axis` is one of the operand's.
pub(super) fn check_axis(
    name: &str,
    axis: u8,
    operand: usize,
    ty: &TensorType,
) -> Result<usize, TypeError> {
    let at = usize::from(axis);
    if at < ty.rank() {
        return Ok(at);
    }
    Err(TypeError::new(format!("{name} along axis {axis} of operand {operand}, which is {ty}")))
}

/// Fails unless `axes` ascend strictly and are axes of the operand.
pub(super) fn check_ascending(
    name: &str,
    axes: &[u8],
    operand: usize,
    ty: &TensorType,
) -> Result<(), TypeError> {
    for &axis in axes {
        check_axis(name, axis, operand, ty)?;
    }
    if axes.is_sorted_by(|a, b| a < b) {
        return Ok(());
    }
    Err(TypeError::new(format!("{name} needs its axes in ascending order, found {axes:?}")))
}

/// Fails unless there is one attribute for each axis.
pub(super) fn check_count(name: &str, count: usize, ty: &TensorType) -> Result<(), TypeError> {
    if count == ty.rank() {
        return Ok(());
    }
    Err(TypeError::new(format!("{name} with attributes for {count} axes of an operand {ty}")))
}
