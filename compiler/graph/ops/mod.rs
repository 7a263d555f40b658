//! The one table of operations.
//!
//! An [`Op`] is an operation with its attributes. Everything the compiler knows of it hangs on its
//! [`OpRow`]: the shape rule, the naive evaluation, the derivative, the batching rule, the class
//! that lowering goes by, and the samples that tests run over the whole table. Elementwise
//! operations are rows of `elementwise`; the others stand in one file a family.

mod along;
mod call;
mod contract;
mod convert;
mod diagonal;
pub mod elementwise;
mod fused;
mod gather;
mod join;
pub mod lanes;
mod linear;
pub mod naive;
mod random;
mod reduce;
pub mod row;
mod scan;
pub mod shape;
mod source;
mod table;
mod view;
mod window;

pub use call::{Call, Rule};
pub use elementwise::{MapOp, MapRow};
pub use lanes::{Batch, BatchRule, Lanes};
pub use row::{Class, Draws, EvalError, Jvp, JvpRule, OpRow, Sample, Transpose};
pub use scan::Scan;
pub use table::ROWS;
pub use window::Window;

use super::fused::{Fused, ReduceOp};
use super::{Dim, TensorType};
use smallvec::SmallVec;
use std::fmt;
use std::sync::Arc;
use tensc_runtime::along::Running;
use tensc_runtime::linear::Linear;
use tensc_runtime::{DType, Scalar, Tensor};

#[cfg(test)]
mod tests;
#[cfg(test)]
mod values;

/// A list of axes.
pub type Axes = SmallVec<[u8; 4]>;

/// Why operands do not fit an operation: the checker turns it into a diagnostic with origins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TypeError {
    /// One sentence without a full stop.
    pub message: String,
    /// The operand axes that disagree: (operand, axis).
    pub axes: SmallVec<[(usize, usize); 2]>,
}

impl TypeError {
    /// An error that names no axes.
    pub fn new(message: impl Into<String>) -> TypeError {
        TypeError { message: message.into(), axes: SmallVec::new() }
    }
    /// Names an operand's axis that has part in it.
    pub fn axis(mut self, operand: usize, axis: usize) -> TypeError {
        self.axes.push((operand, axis));
        self
    }
}

impl fmt::Display for TypeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for TypeError {}

/// Which axes of two operands a contraction pairs. The result's axes: batch axes in order, then the
/// free axes of the left operand, then those of the right.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct Contraction {
    /// Axes of the left operand that are batches.
    pub left_batch: Axes,
    /// Their partners of the right operand.
    pub right_batch: Axes,
    /// Axes of the left operand that are summed over.
    pub left_sum: Axes,
    /// Their partners of the right operand.
    pub right_sum: Axes,
}

/// A keyed random draw: a function of the key and the element's position only.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Draw {
    /// All bits of `i64`.
    Bits,
    /// Uniform in `[0, 1)`.
    Uniform,
    /// Standard normal.
    Normal,
}

/// A primitive operation with its attributes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Op {
    /// A named input of this type (the name is the graph's).
    Input(TensorType),
    /// A rank-0 constant.
    Const(Scalar),
    /// A dense constant.
    Literal(LiteralTensor),
    /// A rank-0 constant of this type whose value is a size: what a mean divides by.
    Size(Dim, DType),
    /// Positions along `axis` of `shape`.
    Iota {
        /// Element type, integer or float.
        dtype: DType,
        /// Shape of the result.
        shape: SmallVec<[Dim; 4]>,
        /// The axis counted along.
        axis: u8,
    },
    /// An elementwise operation on operands of one shape.
    Map(MapOp),
    /// Conversion of each element by value.
    Convert(DType),
    /// `i64` indices brought into `0..bound`; one that is out of range is a run-time error.
    CheckIndex(Dim),
    /// The same elements, row-major, under another shape.
    Reshape(SmallVec<[Dim; 4]>),
    /// Result axis `i` is operand axis `perm[i]`.
    Transpose(Axes),
    /// Repeats the operand: its axis `i` becomes axis `axes[i]` of `shape`, the others are new.
    /// `axes` ascends; paired sizes are equal (to stretch a 1, drop the axis by `Reshape` first).
    Broadcast {
        /// Shape of the result.
        shape: SmallVec<[Dim; 4]>,
        /// Where each operand axis goes.
        axes: Axes,
    },
    /// Along each axis the elements `start + step * i` for `i` in `0..len`.
    Slice {
        /// First index along each axis.
        starts: SmallVec<[Dim; 4]>,
        /// Length of the result along each axis.
        lens: SmallVec<[Dim; 4]>,
        /// Step along each axis; not 0, may be negative.
        steps: SmallVec<[i64; 4]>,
    },
    /// Along an axis the elements `start + stride * i + dilation * j`, as two axes.
    Window(Window),
    /// The elements whose indices along two axes (ascending, of one size) are equal; the result
    /// lacks the second.
    Diagonal(u8, u8),
    /// Operand 0 surrounded by operand 1 (rank 0): along each axis `low` before, `high` after, and
    /// `interior` between neighbours.
    Pad {
        /// Elements before the first.
        low: SmallVec<[Dim; 4]>,
        /// Elements after the last.
        high: SmallVec<[Dim; 4]>,
        /// Elements between neighbours.
        interior: SmallVec<[i64; 4]>,
    },
    /// Operands one after another along an axis.
    Concat(u8),
    /// Combines along `axes`, which the result lacks.
    Reduce(ReduceOp, Axes),
    /// Position (`i64`) of the first extreme element along an axis, which the result lacks. `Max`
    /// or `Min`; a NaN is more extreme than any number.
    ArgReduce(ReduceOp, u8),
    /// At each place the combination of the elements up to it along an axis.
    Running(Running, u8),
    /// Along an axis `result[i] = operand 0[i] * result[i - 1] + operand 1[i]`, from 0.
    Recur(u8),
    /// Positions (`i64`) along an axis in the order of their elements, equal ones in their own.
    Argsort {
        /// The axis.
        axis: u8,
        /// The largest first.
        descending: bool,
    },
    /// A factor, solution or determinant of the matrices along the last two axes.
    Linear(Linear),
    /// Sum of products over paired axes. Narrow floats accumulate in `f32`.
    Contract(Contraction),
    /// Operand 0 at the positions of operand 1 (checked `i64`) along `axis`, whose place the axes
    /// of operand 1 take.
    Gather(u8),
    /// Operand 0 with operand 2 added at the positions of operand 1 (checked `i64`) along `axis`:
    /// the transpose of `Gather`. Positions that coincide add in row-major order.
    ScatterAdd(u8),
    /// Draws for the key (operand 0, an `i64` scalar) at each position of the shape.
    Random {
        /// Distribution.
        draw: Draw,
        /// Type and shape of the result.
        ty: TensorType,
    },
    /// A new key (`i64` scalar) from a key and an `i64` scalar.
    FoldKey,
    /// A step repeated along an axis: one of its results.
    Scan(Scan),
    /// A function that derivatives treat as a whole: one of its results.
    Call(Call),
    /// Operand 0 itself, for work that is not to be done before operand 1 is there.
    After,
    /// Elementwise work over an iteration space, perhaps reduced; made by rewriting only.
    Fused(Arc<Fused>),
}

/// A dense constant: compared and hashed by type, shape and bits.
#[derive(Clone, PartialEq, Debug)]
pub struct LiteralTensor(pub Tensor);

impl Eq for LiteralTensor {}

impl LiteralTensor {
    fn key(&self) -> (DType, &[usize], &[u8]) {
        (self.0.dtype(), self.0.shape(), self.0.as_bytes())
    }
}

impl std::hash::Hash for LiteralTensor {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl PartialOrd for LiteralTensor {
    fn partial_cmp(&self, other: &LiteralTensor) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for LiteralTensor {
    fn cmp(&self, other: &LiteralTensor) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}
