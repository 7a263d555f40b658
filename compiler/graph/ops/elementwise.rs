//! Elementwise operations: one row each, and nothing about them anywhere else.
//!
//! A row says what the operation means (in `f64` or `i64`, naively), its derivative, and its program.
//! The language's function of that name, the checker's rule, the interpreter, the e-graph, the
//! lowering and the gradient tests all read the row.

use crate::graph::NodeId;
use crate::vector;

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

/// The element type of the result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gives {
    /// That of the (last) operand.
    Same,
    /// `bool`.
    Bool,
}

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
    Times(fn(&mut Builder, &[NodeId], NodeId) -> NodeId),
    /// One where the mask that this makes is true, zero elsewhere; an infinite or NaN cotangent
    /// does not leak through a zero.
    Where(fn(&mut Builder, &[NodeId], NodeId) -> NodeId),
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
    /// The program.
    pub lower: fn(&mut vector::Builder, &[vector::Value]) -> vector::Value,
    /// Vector instructions an element takes, roughly: the cost model's unit.
    pub cost: u32,
    /// For each operand the interval gradient tests draw from: inside the domain, away from kinks.
    pub sample: &'static [(f64, f64)],
}
