//! From an operation to its row.

use super::{
    MapOp, Op, OpRow, TypeError, along, call, contract, convert, diagonal, elementwise, fused,
    gather, join, linear,
};
use super::{Window, random, reduce, scan, source, view, window};
use crate::graph::{Dim, TensorType};

/// Every row.
pub static ROWS: [&OpRow; 31] = [
    &source::INPUT,
    &source::CONST,
    &source::LITERAL,
    &source::SIZE,
    &source::IOTA,
    &elementwise::MAP,
    &convert::CONVERT,
    &convert::CHECK_INDEX,
    &view::RESHAPE,
    &view::TRANSPOSE,
    &view::BROADCAST,
    &view::SLICE,
    &window::WINDOW,
    &diagonal::DIAGONAL,
    &join::PAD,
    &join::CONCAT,
    &reduce::REDUCE,
    &reduce::ARG_REDUCE,
    &along::RUNNING,
    &along::RECUR,
    &along::ARGSORT,
    &linear::LINEAR,
    &contract::CONTRACT,
    &gather::GATHER,
    &gather::SCATTER_ADD,
    &random::RANDOM,
    &random::FOLD_KEY,
    &scan::SCAN,
    &call::CALL,
    &call::AFTER,
    &fused::FUSED,
];

impl Op {
    /// The row of this operation.
    pub fn row(&self) -> &'static OpRow {
        match self {
            Op::Input(_) => &source::INPUT,
            Op::Const(_) => &source::CONST,
            Op::Literal(_) => &source::LITERAL,
            Op::Size(..) => &source::SIZE,
            Op::Iota { .. } => &source::IOTA,
            Op::Map(_) => &elementwise::MAP,
            Op::Convert(_) => &convert::CONVERT,
            Op::CheckIndex(_) => &convert::CHECK_INDEX,
            Op::Reshape(_) => &view::RESHAPE,
            Op::Transpose(_) => &view::TRANSPOSE,
            Op::Broadcast { .. } => &view::BROADCAST,
            Op::Slice { .. } => &view::SLICE,
            Op::Window(_) => &window::WINDOW,
            Op::Diagonal(..) => &diagonal::DIAGONAL,
            Op::Pad { .. } => &join::PAD,
            Op::Concat(_) => &join::CONCAT,
            Op::Reduce(..) => &reduce::REDUCE,
            Op::ArgReduce(..) => &reduce::ARG_REDUCE,
            Op::Running(..) => &along::RUNNING,
            Op::Recur(_) => &along::RECUR,
            Op::Argsort { .. } => &along::ARGSORT,
            Op::Linear(_) => &linear::LINEAR,
            Op::Contract(_) => &contract::CONTRACT,
            Op::Gather(_) => &gather::GATHER,
            Op::ScatterAdd(_) => &gather::SCATTER_ADD,
            Op::Random { .. } => &random::RANDOM,
            Op::FoldKey => &random::FOLD_KEY,
            Op::Scan(_) => &scan::SCAN,
            Op::Call(_) => &call::CALL,
            Op::After => &call::AFTER,
            Op::Fused(_) => &fused::FUSED,
        }
    }

    /// Whether differentiation takes the result for a constant because the user said so.
    pub fn stops_gradient(&self) -> bool {
        matches!(self, Op::Map(MapOp::StopGradient))
    }

    /// What messages call the operation: the row's name, or the elementwise operation's.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Map(map) => map.row().name,
            _ => self.row().name,
        }
    }

    /// The type of the result for operands of these types.
    ///
    /// # Errors
    /// Where the operands do not satisfy the operation's constraints.
    pub fn infer(&self, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
        let ty = self.infer_of_any_size(operands)?;
        possible(self.name(), &ty)?;
        Ok(ty)
    }

    /// As [`Op::infer`], but the result may be one that no memory holds.
    pub(in crate::graph) fn infer_of_any_size(
        &self,
        operands: &[&TensorType],
    ) -> Result<TensorType, TypeError> {
        let row = self.row();
        if let Some(arity) = row.arity
            && arity != operands.len()
        {
            let found = operands.len();
            return Err(TypeError::new(format!(
                "{} takes {arity} operand{}, found {found}",
                self.name(),
                if arity == 1 { "" } else { "s" },
            )));
        }
        (row.infer)(self, operands)
    }

    /// Whether every size among the attributes is an integer.
    pub fn is_concrete(&self) -> bool {
        let known = |dims: &[Dim]| dims.iter().all(|d| d.known().is_some());
        match self {
            Op::Input(ty) | Op::Random { ty, .. } => ty.is_concrete(),
            Op::Size(dim, _) | Op::CheckIndex(dim) => dim.known().is_some(),
            Op::Iota { shape, .. } | Op::Reshape(shape) | Op::Broadcast { shape, .. } => {
                known(shape)
            }
            Op::Slice { starts, lens, .. } => known(starts) && known(lens),
            Op::Window(w) => [&w.start, &w.count, &w.size].iter().all(|d| d.known().is_some()),
            Op::Pad { low, high, .. } => known(low) && known(high),
            Op::Scan(scan) => scan.count.known().is_some() && scan.step.is_concrete(),
            Op::Call(call) => call.body.is_concrete(),
            Op::Const(_)
            | Op::Literal(_)
            | Op::Map(_)
            | Op::Convert(_)
            | Op::Transpose(_)
            | Op::Diagonal(..)
            | Op::Concat(_)
            | Op::Reduce(..)
            | Op::ArgReduce(..)
            | Op::Running(..)
            | Op::Recur(_)
            | Op::Argsort { .. }
            | Op::Linear(_)
            | Op::Contract(_)
            | Op::Gather(_)
            | Op::ScatterAdd(_)
            | Op::FoldKey
            | Op::After
            | Op::Fused(_) => true,
        }
    }

    /// The operation with every size among its attributes replaced.
    pub fn map_dims(&self, f: &mut dyn FnMut(&Dim) -> Dim) -> Op {
        match self {
            Op::Input(ty) => Op::Input(ty.map_dims(f)),
            Op::Random { draw, ty } => Op::Random { draw: *draw, ty: ty.map_dims(f) },
            Op::Size(dim, dtype) => Op::Size(f(dim), *dtype),
            Op::CheckIndex(bound) => Op::CheckIndex(f(bound)),
            Op::Iota { dtype, shape, axis } => {
                Op::Iota { dtype: *dtype, shape: shape.iter().map(f).collect(), axis: *axis }
            }
            Op::Reshape(shape) => Op::Reshape(shape.iter().map(f).collect()),
            Op::Broadcast { shape, axes } => {
                Op::Broadcast { shape: shape.iter().map(f).collect(), axes: axes.clone() }
            }
            Op::Slice { starts, lens, steps } => Op::Slice {
                starts: starts.iter().map(&mut *f).collect(),
                lens: lens.iter().map(f).collect(),
                steps: steps.clone(),
            },
            Op::Window(w) => Op::Window(Window {
                start: f(&w.start),
                count: f(&w.count),
                size: f(&w.size),
                ..w.clone()
            }),
            Op::Scan(scan) => Op::Scan(scan::map_dims(scan, f)),
            Op::Call(call) => Op::Call(call::map_dims(call, f)),
            Op::Pad { low, high, interior } => Op::Pad {
                low: low.iter().map(&mut *f).collect(),
                high: high.iter().map(f).collect(),
                interior: interior.clone(),
            },
            Op::Const(_)
            | Op::Literal(_)
            | Op::Map(_)
            | Op::Convert(_)
            | Op::Transpose(_)
            | Op::Diagonal(..)
            | Op::Concat(_)
            | Op::Reduce(..)
            | Op::ArgReduce(..)
            | Op::Running(..)
            | Op::Recur(_)
            | Op::Argsort { .. }
            | Op::Linear(_)
            | Op::Contract(_)
            | Op::Gather(_)
            | Op::ScatterAdd(_)
            | Op::FoldKey
            | Op::After
            | Op::Fused(_) => self.clone(),
        }
    }
}

/// No size that is known is negative, and a tensor of known sizes fits the address space.
fn possible(name: &str, ty: &TensorType) -> Result<(), TypeError> {
    if ty.shape.iter().any(|dim| dim.known().is_some_and(|size| size < 0)) {
        return Err(TypeError::new(format!("{name} of type {ty} has a negative size")));
    }
    match ty.fits_memory() {
        true => Ok(()),
        false => Err(TypeError::new(format!("{name} of type {ty} does not fit the address space"))),
    }
}
