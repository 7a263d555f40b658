//! Fused elementwise work: a scalar function over an iteration space, operands read through index
//! maps, optionally reduced. The e-graph's fusion phase makes these nodes; lowering turns one into
//! one loop nest.
//!
//! Invariant: every index map stays inside its operand for all points of the space (`verify`).

use super::{Dim, MapOp, Op, TensorType};
use smallvec::SmallVec;
use tensc_runtime::{DType, Scalar};

/// Which element of an operand a point of the iteration space reads: for each axis of the operand,
/// `start + step * point[axis]`, or just `start` where it follows no axis (a broadcast).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub struct IndexMap(pub SmallVec<[AxisIndex; 4]>);

/// The index along one axis of an operand.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct AxisIndex {
    /// The axis of the iteration space it follows.
    pub axis: Option<u8>,
    /// Index at point 0.
    pub start: i64,
    /// Change for each step along the axis; may be negative, not 0; 1 where it follows no axis, so
    /// that equal maps are equal values.
    pub step: i64,
}

impl IndexMap {
    /// The operand's axes are the first axes of the space, in order.
    pub fn identity(rank: usize) -> IndexMap {
        IndexMap((0..rank).map(|a| AxisIndex { axis: Some(a as u8), start: 0, step: 1 }).collect())
    }
    /// The index along each operand axis at `point`.
    pub fn at(&self, point: &[usize]) -> SmallVec<[usize; 4]> {
        let index = |a: &AxisIndex| {
            let moved = a.axis.map_or(0, |axis| a.step * point[usize::from(axis)] as i64);
            usize::try_from(a.start + moved).expect("index maps stay inside their operand")
        };
        self.0.iter().map(index).collect()
    }
    /// The map that reads through `self` from what `outer` reads: first `outer`'s point of the
    /// intermediate, then `self`'s element of the operand.
    pub fn then(&self, outer: &IndexMap) -> IndexMap {
        let compose = |a: &AxisIndex| match a.axis {
            None => *a,
            Some(axis) => {
                let o = outer.0[usize::from(axis)];
                AxisIndex {
                    axis: o.axis,
                    start: a.start + a.step * o.start,
                    step: if o.axis.is_some() { a.step * o.step } else { 1 },
                }
            }
        };
        IndexMap(self.0.iter().map(compose).collect())
    }
}

/// A value inside a [`Lambda`]: the index of its instruction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LambdaValue(pub u16);

/// One instruction of a [`Lambda`].
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum LambdaInst {
    /// The element of the operand of this number.
    Arg(u8),
    /// A constant.
    Const(Scalar),
    /// The position along an axis of the iteration space, as this integer or float type.
    Index(u8, DType),
    /// An elementwise operation; all operands have the type its row asks for.
    Map(MapOp, SmallVec<[LambdaValue; 3]>),
    /// Conversion by value.
    Convert(DType, LambdaValue),
    /// `Op::CheckIndex` with its bound and the site its report names.
    CheckIndex(i64, LambdaValue),
}

/// A scalar function: straight-line, hash-consed (no instruction occurs twice), operands before
/// uses, every instruction used. Equal functions built in one way are equal values.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Lambda {
    /// Element type of each operand.
    pub args: SmallVec<[DType; 4]>,
    /// Instructions with their element types; the last one is the result.
    pub insts: Vec<(LambdaInst, DType)>,
}

/// How a reduction combines.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum ReduceOp {
    /// Sum; 0 where there is nothing.
    Sum,
    /// Product; 1 where there is nothing.
    Prod,
    /// Largest; NaN wins.
    Max,
    /// Smallest; NaN wins.
    Min,
    /// Disjunction of `bool`.
    Any,
    /// Conjunction of `bool`.
    All,
}

impl ReduceOp {
    /// Every reduction.
    pub const ALL: [ReduceOp; 6] =
        [ReduceOp::Sum, ReduceOp::Prod, ReduceOp::Max, ReduceOp::Min, ReduceOp::Any, ReduceOp::All];
    /// The name in graph text.
    pub const fn name(self) -> &'static str {
        match self {
            ReduceOp::Sum => "sum",
            ReduceOp::Prod => "prod",
            ReduceOp::Max => "max",
            ReduceOp::Min => "min",
            ReduceOp::Any => "any",
            ReduceOp::All => "all",
        }
    }
}

/// An elementwise function over an iteration space, then perhaps a reduction over some of its axes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Fused {
    /// Sizes of the iteration space.
    pub space: SmallVec<[usize; 4]>,
    /// How each operand is read.
    pub maps: SmallVec<[IndexMap; 4]>,
    /// What is computed at each point.
    pub body: Lambda,
    /// The reduction and the axes of the space it runs over, ascending; the result has the others.
    pub reduce: Option<(ReduceOp, SmallVec<[u8; 4]>)>,
}

impl Fused {
    /// The type of the result.
    pub fn result(&self) -> TensorType {
        let dtype = self.body.insts.last().expect("a body has a result").1;
        let reduced = |axis: usize| {
            self.reduce.as_ref().is_some_and(|(_, axes)| axes.contains(&(axis as u8)))
        };
        let kept = self.space.iter().enumerate().filter(|(axis, _)| !reduced(*axis));
        TensorType::new(dtype, kept.map(|(_, &n)| Dim::from(n)))
    }
}

impl From<Fused> for Op {
    fn from(fused: Fused) -> Op {
        Op::Fused(std::sync::Arc::new(fused))
    }
}
