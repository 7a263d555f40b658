//! Solving named sizes from the shapes of data.

use crate::graph::{Dim, DimVar, TensorType};
use rustc_hash::FxHashMap;
use std::fmt;
use tensc_runtime::{DType, Shape};

/// The values of named sizes.
pub type Sizes = FxHashMap<DimVar, i64>;

/// How data differs from its declared type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mismatch {
    /// Declared and found element type.
    DType(DType, DType),
    /// Declared and found rank.
    Rank(usize, usize),
    /// Along one axis.
    Size {
        /// The axis.
        axis: usize,
        /// The size as declared.
        declared: Dim,
        /// The same with the sizes bound so far.
        expected: Dim,
        /// What the data has.
        found: usize,
    },
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mismatch::DType(want, have) => write!(f, "declared {want}, found {have}"),
            Mismatch::Rank(want, have) => write!(f, "declared rank {want}, found rank {have}"),
            Mismatch::Size { axis, declared, expected, found } if declared == expected => {
                write!(f, "axis {axis} is declared {declared}, found {found}")
            }
            Mismatch::Size { axis, declared, expected, found } => {
                write!(f, "axis {axis} is declared {declared} = {expected}, found {found}")
            }
        }
    }
}

/// Checks data against a declared type. A size that is a name without a value takes the data's;
/// every other size must agree.
///
/// # Errors
/// The first difference; `sizes` may then have been extended.
pub fn bind(
    declared: &TensorType,
    dtype: DType,
    shape: &Shape,
    sizes: &mut Sizes,
) -> Result<(), Mismatch> {
    if declared.dtype != dtype {
        return Err(Mismatch::DType(declared.dtype, dtype));
    }
    if declared.rank() != shape.rank() {
        return Err(Mismatch::Rank(declared.rank(), shape.rank()));
    }
    for (axis, (size, &found)) in declared.shape.iter().zip(shape.iter()).enumerate() {
        match size.as_var() {
            Some(var) if !sizes.contains_key(var) => {
                sizes.insert(var.clone(), found as i64);
            }
            _ => {
                let expected = size.substitute(&|var| sizes.get(var).map(|n| Dim::Const(*n)));
                if !expected.is(found as i64) {
                    return Err(Mismatch::Size { axis, declared: size.clone(), expected, found });
                }
            }
        }
    }
    Ok(())
}
