//! A graph in float64: what the tests of properties compare with differences.

use super::ops::{LiteralTensor, Scan, TypeError};
use super::{Builder, Graph, Op, TensorType};
use std::sync::Arc;
use tensc_runtime::{DType, Scalar, Tensor};

impl Graph {
    /// The same computation with every float of 64 bits; inputs and outputs are those of this
    /// graph, by name and order.
    ///
    /// # Errors
    /// Where an operation does not take them.
    pub fn in_f64(&self) -> Result<Graph, TypeError> {
        let mut graph = Graph::new();
        let b = Builder::new(&mut graph);
        let mut inputs = Vec::with_capacity(self.inputs().len());
        for (name, input) in self.inputs() {
            b.set_origin(self.node(*input).origin);
            inputs.push(b.input(name, wide_type(self.ty(*input))));
        }
        let results =
            b.rebuild(self, &inputs, |id, operands| b.try_add(wide_op(self.op(id))?, operands))?;
        for ((name, _), result) in self.outputs().iter().zip(results) {
            b.output(name, result);
        }
        drop(b);
        Ok(graph)
    }
}

fn wide(dtype: DType) -> DType {
    if dtype.is_float() { DType::F64 } else { dtype }
}

fn wide_type(ty: &TensorType) -> TensorType {
    ty.with_dtype(wide(ty.dtype))
}

fn wide_op(op: &Op) -> Result<Op, TypeError> {
    Ok(match op {
        Op::Input(ty) => Op::Input(wide_type(ty)),
        Op::Const(scalar) if scalar.dtype().is_float() => {
            Op::Const(Scalar::from_f64(DType::F64, scalar.to_f64()))
        }
        Op::Literal(literal) if literal.0.dtype().is_float() => {
            let shape = literal.0.shape().clone();
            Op::Literal(LiteralTensor(Tensor::from_slice(&literal.0.to_f64_vec(), shape)))
        }
        Op::Size(dim, dtype) => Op::Size(dim.clone(), wide(*dtype)),
        Op::Iota { dtype, shape, axis } => {
            Op::Iota { dtype: wide(*dtype), shape: shape.clone(), axis: *axis }
        }
        Op::Convert(dtype) => Op::Convert(wide(*dtype)),
        Op::Random { draw, ty } => Op::Random { draw: *draw, ty: wide_type(ty) },
        Op::Scan(scan) => Op::Scan(Scan { step: Arc::new(scan.step.in_f64()?), ..scan.clone() }),
        Op::Call(call) => Op::Call(call.map_graphs(&mut |graph| graph.in_f64())?),
        other => other.clone(),
    })
}
