//! Elementwise operations: one row each, and nothing about them anywhere else.
//!
//! A row says what the operation means (in `f64` or `i64`, naively), its derivative, and its
//! program. The language's function of that name, the checker's rule, the interpreter, the e-graph,
//! the lowering and the gradient tests all read the row. The rows are in `rows`: to add an
//! operation is to add one there.

#[macro_use]
mod declare;
mod meaning;
mod program;
mod rows;
#[cfg(test)]
mod tests;

pub use rows::MapOp;

use super::naive::{from_floats, from_ints, ints};
use super::shape::show;
use super::{Batch, Class, Draws, EvalError, Jvp, Op, OpRow, Sample, TypeError};
use crate::graph::{Builder, Dim, NodeId, TensorType};
use crate::vector;
use tensc_runtime::{DType, Scalar, Tensor};

/// What element types an operation takes; its operands are of one type unless the row says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Takes {
    /// Floating point only.
    Float,
    /// Floating point and integers.
    Number,
    /// Integers only.
    Int,
    /// `bool` only.
    Bool,
    /// Integers and `bool`.
    Bits,
    /// Every type.
    Any,
    /// A `bool`, then two of any one type: `select`.
    MaskThenAny,
}

impl Takes {
    /// Whether the operands that are of the common type may be of this one.
    pub fn accepts(self, dtype: DType) -> bool {
        match self {
            Takes::Float => dtype.is_float(),
            Takes::Number => dtype.is_float() || dtype.is_int(),
            Takes::Int => dtype.is_int(),
            Takes::Bool => dtype == DType::Bool,
            Takes::Bits => dtype.is_int() || dtype == DType::Bool,
            Takes::Any | Takes::MaskThenAny => true,
        }
    }

    /// In words, for messages.
    pub fn describe(self) -> &'static str {
        match self {
            Takes::Float => "floats",
            Takes::Number => "floats or integers",
            Takes::Int => "integers",
            Takes::Bool => "bool",
            Takes::Bits => "integers or bool",
            Takes::Any => "operands of one type",
            Takes::MaskThenAny => "a bool and two operands of one type",
        }
    }
}

/// The element type of the result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gives {
    /// That of the (last) operand.
    Same,
    /// `bool`.
    Bool,
}

/// Makes a node from the operands and the result of an elementwise operation.
pub type PartialRule = fn(&Builder<'_>, &[NodeId], NodeId) -> NodeId;

/// The derivative of the result by one operand.
#[derive(Clone, Copy)]
pub enum Partial {
    /// Zero almost everywhere (`floor`, comparisons); the tangent vanishes.
    Zero,
    /// One.
    One,
    /// Minus one.
    MinusOne,
    /// A factor made from the operands and the result.
    Times(PartialRule),
    /// One where the mask that this makes is true, zero elsewhere; an infinite or NaN cotangent
    /// does not leak through a zero.
    Where(PartialRule),
}

/// One elementwise operation.
pub struct MapRow {
    /// The name in graph text and in the language.
    pub name: &'static str,
    /// Number of operands.
    pub arity: usize,
    /// Accepted element types.
    pub takes: Takes,
    /// Element type of the result.
    pub gives: Gives,
    /// One line: the meaning.
    pub doc: &'static str,
    /// The meaning on floats, computed in `f64` and then rounded; truth is 1 and 0.
    pub float: Option<fn(&[f64]) -> f64>,
    /// The meaning on integers and `bool`, computed in `i64` and then wrapped.
    pub int: Option<fn(&[i64]) -> i64>,
    /// Derivative by each operand.
    pub partials: &'static [Partial],
    /// The program, on lanes of `vector::Type::of` the element types; the caller then wraps or
    /// rounds to types narrower than their lanes (`vector::Builder::through`).
    pub lower: fn(&vector::Builder, &[vector::Value]) -> vector::Value,
    /// Vector instructions an element takes, roughly: the cost model's unit.
    pub cost: u32,
    /// For each operand the interval gradient tests draw from: inside the domain, away from kinks.
    pub sample: &'static [(f64, f64)],
}

impl MapRow {
    /// The element type of the result for operands of these types.
    ///
    /// # Errors
    /// Where the operation does not take them.
    pub fn result(&self, operands: &[DType]) -> Result<DType, TypeError> {
        let list = || operands.iter().map(|d| d.name()).collect::<Vec<_>>().join(" and ");
        if operands.len() != self.arity {
            let (name, arity, found) = (self.name, self.arity, operands.len());
            let s = if arity == 1 { "" } else { "s" };
            return Err(TypeError::new(format!("{name} takes {arity} operand{s}, found {found}")));
        }
        let (masks, common) = match self.takes {
            Takes::MaskThenAny => operands.split_at(1),
            _ => operands.split_at(0),
        };
        let dtype = common[0];
        let fits = masks.iter().all(|&m| m == DType::Bool)
            && common.iter().all(|&d| d == dtype)
            && self.takes.accepts(dtype);
        if !fits {
            let each = common.iter().all(|&d| self.takes.accepts(d));
            let takes = match self.takes {
                Takes::MaskThenAny => self.takes.describe(),
                _ if each => "operands of one type",
                _ => self.takes.describe(),
            };
            return Err(TypeError::new(format!("{} takes {takes}, found {}", self.name, list())));
        }
        Ok(match self.gives {
            Gives::Same => dtype,
            Gives::Bool => DType::Bool,
        })
    }

    /// The meaning for operands of types that [`MapRow::result`] accepts, rounded or wrapped to the
    /// type of the result.
    pub fn scalar(&self, operands: &[Scalar]) -> Scalar {
        let types: Vec<DType> = operands.iter().map(|s| s.dtype()).collect();
        let result = self.result(&types).expect("operands were checked");
        if types.last().is_some_and(|d| d.is_float()) {
            let float = self.float.expect("a row that takes floats says what it means on them");
            let values: Vec<f64> = operands.iter().map(|s| s.to_f64()).collect();
            Scalar::from_f64(result, float(&values))
        } else {
            let int = self.int.expect("a row that takes integers says what it means on them");
            let values: Vec<i64> = operands.iter().map(|s| s.to_i64()).collect();
            Scalar::from_i64(result, wrap(result, int(&values)))
        }
    }
}

impl MapOp {
    /// The operation of this name.
    pub fn from_name(name: &str) -> Option<MapOp> {
        MapOp::ALL.into_iter().find(|op| op.row().name == name)
    }
}

impl From<MapOp> for Op {
    fn from(op: MapOp) -> Op {
        Op::Map(op)
    }
}

/// The row that all elementwise operations share in the table of operations.
pub(super) static MAP: OpRow = OpRow {
    name: "map",
    doc: "an elementwise operation on operands of one shape",
    arity: None,
    class: Class::Map,
    infer,
    eval,
    jvp: Jvp::Partials,
    transpose: Some(transpose),
    batch: Batch::Pointwise,
    samples,
};

fn map_op(op: &Op) -> MapOp {
    let Op::Map(map) = op else { unreachable!("the row of Map") };
    *map
}

fn infer(op: &Op, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
    let row = map_op(op).row();
    let types: Vec<DType> = operands.iter().map(|t| t.dtype).collect();
    let dtype = row.result(&types)?;
    for (i, operand) in operands.iter().enumerate() {
        if operand.shape != operands[0].shape {
            let (a, b) = (show(&operands[0].shape), show(&operand.shape));
            let message = format!("{} needs operands of one shape, found {a} and {b}", row.name);
            let differ = (0..operand.rank()).find(|&axis| {
                operands[0].rank() == operand.rank()
                    && operands[0].shape[axis] != operand.shape[axis]
            });
            let error = TypeError::new(message);
            return Err(match differ {
                Some(axis) => error.axis(0, axis).axis(i, axis),
                None => error,
            });
        }
    }
    Ok(operands[0].with_dtype(dtype))
}

fn eval(op: &Op, operands: &[&Tensor], ty: &TensorType) -> Result<Tensor, EvalError> {
    let row = map_op(op).row();
    let n = operands[0].len();
    let float = operands.last().is_some_and(|t| t.dtype().is_float());
    if float {
        let meaning = row.float.expect("a row that takes floats says what it means on them");
        let columns: Vec<Vec<f64>> = operands.iter().map(|t| t.to_f64_vec()).collect();
        let at = |i: usize| meaning(&columns.iter().map(|c| c[i]).collect::<Vec<f64>>());
        Ok(from_floats(ty, &(0..n).map(at).collect::<Vec<f64>>()))
    } else {
        let meaning = row.int.expect("a row that takes integers says what it means on them");
        let columns: Vec<Vec<i64>> = operands.iter().map(|t| ints(t)).collect();
        let at =
            |i: usize| wrap(ty.dtype, meaning(&columns.iter().map(|c| c[i]).collect::<Vec<i64>>()));
        Ok(from_ints(ty, &(0..n).map(at).collect::<Vec<i64>>()))
    }
}

/// What wrapping to a tensor's type does not do: `bool` keeps the lowest bit.
fn wrap(dtype: DType, value: i64) -> i64 {
    if dtype == DType::Bool { value & 1 } else { value }
}

/// Every operation on every element type it takes, over a few shapes.
fn samples() -> Vec<Sample> {
    let mut samples = Vec::new();
    for map in MapOp::ALL {
        let row = map.row();
        for dtype in DType::ALL.into_iter().filter(|&d| row.takes.accepts(d)) {
            for shape in [&[][..], &[1], &[37], &[3, 5]] {
                samples.push(sample(map, dtype, shape));
            }
        }
    }
    samples
}

fn sample(map: MapOp, dtype: DType, shape: &[usize]) -> Sample {
    let row = map.row();
    let ty = |dtype| TensorType::new(dtype, shape.iter().map(|&n| Dim::from(n)));
    let mut sample = Sample { op: map.into(), operands: Vec::new() };
    for (i, &(low, high)) in row.sample.iter().enumerate() {
        let mask = row.takes == Takes::MaskThenAny && i == 0;
        let draws = match dtype.is_float() {
            true => Draws::Between(low, high),
            false => Draws::Between(-9.0, 9.0),
        };
        sample.operands.push((ty(if mask { DType::Bool } else { dtype }), draws));
    }
    sample
}

/// The transposes of the elementwise operations that tangents are made of.
fn transpose(
    b: &Builder<'_>,
    op: &Op,
    operands: &[NodeId],
    which: usize,
    cotangent: NodeId,
) -> NodeId {
    let zeros = || b.zeros_like(cotangent);
    match (map_op(op), which) {
        (MapOp::Add, _) | (MapOp::Sub, 0) => cotangent,
        (MapOp::Sub, _) | (MapOp::Neg, _) => b.neg(cotangent),
        (MapOp::Mul, 0) => b.mul(cotangent, operands[1]),
        (MapOp::Mul, _) => b.mul(operands[0], cotangent),
        (MapOp::Div, 0) => b.div(cotangent, operands[1]),
        (MapOp::Select, 1) => b.select(operands[0], cotangent, zeros()),
        (MapOp::Select, 2) => b.select(operands[0], zeros(), cotangent),
        (map, _) => unreachable!("no tangent is made of `{}`", map.row().name),
    }
}
