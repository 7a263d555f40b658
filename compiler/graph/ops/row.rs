//! What a row of the table of operations holds.

use super::elementwise::MapRow;
use super::{Batch, Op, TypeError};
use crate::graph::fused::IndexMap;
use crate::graph::{Builder, NodeId, TensorType};
use std::fmt;
use tensc_runtime::{DType, Shape, Tensor};

/// Everything the compiler knows of an operation. Every field is data or a pure function.
pub struct OpRow {
    /// The name in graph text.
    pub name: &'static str,
    /// One line: the meaning.
    pub doc: &'static str,
    /// Number of operands; `None` where it varies.
    pub arity: Option<usize>,
    /// What lowering goes by.
    pub class: Class,
    /// The shape rule, on symbolic sizes: sizes agree where their normal forms are equal. Called
    /// through [`Op::infer`], which has checked the number of operands.
    pub infer: fn(&Op, &[&TensorType]) -> Result<TensorType, TypeError>,
    /// The meaning, naively, for operands of known sizes and the type of the result.
    pub eval: fn(&Op, &[&Tensor], &TensorType) -> Result<Tensor, EvalError>,
    /// How tangents pass through.
    pub jvp: Jvp,
    /// For an operation that is linear in some operand: the cotangent of operand `which` from the
    /// cotangent of the result.
    pub transpose: Option<Transpose>,
    /// How it acts on operands that hold many values each.
    pub batch: Batch,
    /// Instances for tests over the whole table.
    pub samples: fn() -> Vec<Sample>,
}

impl fmt::Debug for OpRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OpRow({})", self.name)
    }
}

/// What lowering goes by: operations of one class become code in one way.
#[derive(Clone, Copy)]
pub enum Class {
    /// An input, a constant, a size: no work, or a value known when compiling.
    Source,
    /// Positions along an axis: a scalar expression of the point alone.
    Iota,
    /// A scalar expression of one element of each operand at the same point.
    Map,
    /// The same elements of operand 0 at other places.
    View(ViewMap),
    /// The same elements of operand 0 at places that are affine in two axes of the result.
    Window,
    /// Operands one after another.
    Concat,
    /// An operand with a value around and between its elements.
    Pad,
    /// Combines along axes.
    Reduce,
    /// Position of an extreme along an axis.
    ArgReduce,
    /// Along an axis, in its order.
    Along,
    /// Linear algebra on matrices.
    Linear,
    /// A sum of products.
    Contract,
    /// Elements at computed positions.
    Gather,
    /// Additions at computed positions.
    Scatter,
    /// Draws for a key.
    Random,
    /// A step, repeated.
    Scan,
    /// A function, which is written out before there is code.
    Call,
    /// Operand 0 itself; the others are waited for.
    Order,
    /// An iteration space with a body; what fusion makes.
    Fused,
}

/// Which element of operand 0 each element of the result is, for concrete types (operation,
/// operand, result). `None` where no index map says it: the elements are then the operand's in
/// row-major order (a general reshape), so that the view is the operand's memory under another
/// shape.
pub type ViewMap = fn(&Op, &TensorType, &TensorType) -> Option<IndexMap>;

/// The transpose rule of an operation: (builder, operation, operands, which, cotangent of the
/// result) to the cotangent of operand `which`, of that operand's type. The values of operands that
/// the operation is linear in are not used.
pub type Transpose = fn(&Builder<'_>, &Op, &[NodeId], usize, NodeId) -> NodeId;

/// A tangent rule: (builder, operation, operands, result, tangent of each operand where it has one)
/// to the tangent of the result, `None` where it vanishes.
pub type JvpRule = fn(&Builder<'_>, &Op, &[NodeId], NodeId, &[Option<NodeId>]) -> Option<NodeId>;

/// How tangents pass through an operation.
#[derive(Clone, Copy)]
pub enum Jvp {
    /// No tangent: the result does not depend on a real operand smoothly.
    Zero,
    /// Linear in these operands jointly, the others fixed: the tangent is the same operation on
    /// tangents (a zero stands for one that vanishes).
    Linear(&'static [usize]),
    /// Linear in all operands jointly, however many there are.
    Joint,
    /// Linear in each operand apart: the sum over the operands of the operation with that operand's
    /// tangent in its place.
    Multilinear,
    /// Elementwise: the sum of tangents times the partials of the operation's `MapRow`.
    Partials,
    /// A rule of its own.
    Rule(JvpRule),
    /// By the tangent of a step: `autodiff` derives the graph that the operation holds.
    Step,
}

/// Why an operation has no value for its operands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EvalError {
    /// One sentence without a full stop.
    pub message: String,
    /// The node, where a graph was being interpreted.
    pub node: Option<NodeId>,
}

impl EvalError {
    /// An error of no known node.
    pub fn new(message: impl Into<String>) -> EvalError {
        EvalError { message: message.into(), node: None }
    }
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node {
            Some(node) => write!(f, "{node}: {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

impl std::error::Error for EvalError {}

/// An instance of an operation with operands it accepts: what table-driven tests run over.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The operation.
    pub op: Op,
    /// Type and values of each operand.
    pub operands: Vec<(TensorType, Draws)>,
}

/// Which values a sample's operand takes.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Draws {
    /// Between the bounds: inside the domain, away from kinks.
    Between(f64, f64),
    /// Matrices along the last two axes whose diagonals outweigh the rest of their rows.
    Dominant,
    /// Pairwise distinct values of that range, so that no extreme is tied.
    Distinct(f64, f64),
}

impl Sample {
    /// An operation with operands whose values lie in -2..2 (integers in -9..9).
    pub fn new(op: impl Into<Op>, operands: impl IntoIterator<Item = TensorType>) -> Sample {
        let draw = |ty: TensorType| {
            let limit = if ty.dtype.is_float() { 2.0 } else { 9.0 };
            (ty, Draws::Between(-limit, limit))
        };
        Sample { op: op.into(), operands: operands.into_iter().map(draw).collect() }
    }

    /// The same with other values of one operand.
    pub fn with(mut self, operand: usize, draws: Draws) -> Sample {
        self.operands[operand].1 = draws;
        self
    }

    /// The types of the operands.
    pub fn types(&self) -> Vec<&TensorType> {
        self.operands.iter().map(|(ty, _)| ty).collect()
    }

    /// Values for the operands: the same for the same seed.
    pub fn values(&self, seed: u64) -> Vec<Tensor> {
        let of = |(i, (ty, draws)): (usize, &(TensorType, Draws))| {
            draws.tensor(
                ty.dtype,
                ty.concrete_shape(),
                seed.wrapping_mul(31).wrapping_add(i as u64),
            )
        };
        self.operands.iter().enumerate().map(of).collect()
    }
}

impl Draws {
    /// A tensor of such values: the same for the same seed.
    pub fn tensor(self, dtype: DType, shape: Shape, seed: u64) -> Tensor {
        let n = shape.elements();
        let mut state = seed;
        let mut unit = || {
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            (mix(state) >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
        };
        let values: Vec<f64> = match self {
            Draws::Between(low, high) if dtype.is_float() => {
                (0..n).map(|_| low + (high - low) * unit()).collect()
            }
            Draws::Between(low, high) => {
                let low = if dtype == DType::U8 { low.max(0.0) } else { low };
                let whole = |u: f64| (low + (high + 1.0 - low) * u).floor().clamp(low, high);
                let truth = |u: f64| f64::from(u8::from(u < 0.5));
                (0..n)
                    .map(|_| if dtype == DType::Bool { truth(unit()) } else { whole(unit()) })
                    .collect()
            }
            Draws::Dominant => {
                let size = shape.last().copied().unwrap_or(1);
                let on_diagonal = |i: usize| size > 0 && i / size % size == i % size;
                let base = |i| if on_diagonal(i) { 1.0 + size as f64 } else { 0.0 };
                (0..n).map(|i| base(i) + 2.0 * unit() - 1.0).collect()
            }
            Draws::Distinct(low, high) => {
                let mut ranks: Vec<(u64, usize)> =
                    (0..n).map(|i| ((unit() * 1e15) as u64, i)).collect();
                ranks.sort_unstable();
                let step = (high - low) / n.max(1) as f64;
                ranks.into_iter().map(|(_, i)| low + step * (i as f64 + 0.5)).collect()
            }
        };
        Tensor::from_f64_slice(dtype, &values, shape)
    }
}

/// The output function of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(state: u64) -> u64 {
    let a = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let b = (a ^ (a >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    b ^ (b >> 31)
}

impl fmt::Debug for MapRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MapRow({})", self.name)
    }
}
