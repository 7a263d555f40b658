//! A function that derivatives treat as a whole, and the order of work.
//!
//! A [`Call`] holds its function as a graph. As with loops, one with several results is as many
//! nodes of the same call on the same operands, told apart by [`Call::result`]. Whoever rewrites or
//! executes a graph writes calls out first ([`Graph::written_out`](crate::graph::Graph)).

use super::scan::graph_with_dims;
use super::{Batch, Class, EvalError, Jvp, MapOp, Op, OpRow, Sample, TypeError};
use crate::graph::interpret::interpret;
use crate::graph::{Builder, Dim, Graph, NodeId, TensorType};
use smallvec::SmallVec;
use std::sync::Arc;
use tensc_runtime::DType;

/// A function on operands, one for each of its inputs.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Call {
    /// What it computes.
    pub body: Arc<Graph>,
    /// What its derivative is.
    pub rule: Rule,
    /// Which output of the body.
    pub result: usize,
    /// Empty for the value. Otherwise this is the tangent of the result, and the operands after
    /// those of the body are the tangents of these inputs: differentiation alone makes such nodes,
    /// and takes them away again when it goes backward.
    pub moving: SmallVec<[u32; 4]>,
}

/// What the derivative of a call is.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Rule {
    /// That of the body, which is computed again where cotangents go through it.
    Again,
    /// A function of the inputs of the body and a cotangent for each floating-point output.
    Given {
        /// Gives a gradient for each of `by`.
        backward: Arc<Graph>,
        /// Inputs of the body.
        by: SmallVec<[u32; 4]>,
    },
}

impl Call {
    /// The same call with another of its results.
    pub fn with_result(&self, result: usize) -> Call {
        Call { result, ..self.clone() }
    }

    /// Whether it is a value, not the tangent of one.
    pub fn is_value(&self) -> bool {
        self.moving.is_empty()
    }

    /// The outputs that have cotangents.
    pub fn float_outputs(&self) -> impl Iterator<Item = usize> {
        let float = |&o: &usize| self.body.ty(self.body.outputs()[o].1).dtype.is_float();
        (0..self.body.outputs().len()).filter(float)
    }

    /// The call with its graphs replaced.
    pub(in crate::graph) fn map_graphs<E>(
        &self,
        f: &mut dyn FnMut(&Graph) -> Result<Graph, E>,
    ) -> Result<Call, E> {
        let rule = match &self.rule {
            Rule::Again => Rule::Again,
            Rule::Given { backward, by } => {
                Rule::Given { backward: Arc::new(f(backward)?), by: by.clone() }
            }
        };
        Ok(Call { body: Arc::new(f(&self.body)?), rule, ..self.clone() })
    }
}

pub(super) static CALL: OpRow = OpRow {
    name: "call",
    doc: "a function that derivatives treat as a whole: one of its results",
    arity: None,
    class: Class::Call,
    infer,
    eval: |op, operands, _| {
        let call = of(op);
        if !call.is_value() {
            return Err(EvalError::new("a tangent by a rule for cotangents has no value"));
        }
        let operands: Vec<_> = operands.iter().map(|&t| t.clone()).collect();
        // The node that fails is one of the body; messages are about the call.
        let mut results = interpret(&call.body, &operands)
            .map_err(|e| EvalError { message: e.message, node: None })?;
        Ok(results.swap_remove(call.result))
    },
    jvp: Jvp::Step,
    transpose: None,
    batch: Batch::Step,
    samples,
};

pub(super) static AFTER: OpRow = OpRow {
    name: "after",
    doc: "operand 0 itself, for work that is not to be done before operand 1 is there",
    arity: Some(2),
    class: Class::Order,
    infer: |_, operands| Ok(operands[0].clone()),
    eval: |_, operands, _| Ok(operands[0].clone()),
    jvp: Jvp::Rule(|_, _, _, _, tangents| tangents[0]),
    transpose: None,
    batch: Batch::Step,
    samples: || {
        let ty = |sizes: &[i64]| TensorType::new(DType::F32, sizes.iter().map(|&n| Dim::Const(n)));
        vec![
            Sample::new(Op::After, [ty(&[3, 4]), ty(&[5])]),
            Sample::new(Op::After, [ty(&[]), ty(&[])]),
        ]
    },
};

fn of(op: &Op) -> &Call {
    let Op::Call(call) = op else { unreachable!("the row of Call") };
    call
}

fn infer(op: &Op, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
    let call = of(op);
    let (inputs, outputs) = (call.body.inputs(), call.body.outputs());
    let mut wanted: Vec<&TensorType> = inputs.iter().map(|(_, n)| call.body.ty(*n)).collect();
    for &moving in &call.moving {
        let input = inputs.get(moving as usize);
        let (_, input) = input.ok_or_else(|| TypeError::new("the body has no such input"))?;
        wanted.push(call.body.ty(*input));
    }
    if wanted.len() != operands.len() {
        let (wanted, found) = (wanted.len(), operands.len());
        return Err(TypeError::new(format!("the call takes {wanted} operands, found {found}")));
    }
    for (number, (wanted, found)) in wanted.into_iter().zip(operands).enumerate() {
        if wanted != *found {
            let message = format!("operand {number} of the call is {found} instead of {wanted}");
            return Err(TypeError::new(message));
        }
    }
    if let Rule::Given { backward, by } = &call.rule {
        let (takes, gives) = (backward.inputs(), backward.outputs());
        if takes.len() != inputs.len() + call.float_outputs().count() || gives.len() != by.len() {
            return Err(TypeError::new("the rule has not the inputs and outputs of the call"));
        }
        for ((_, gradient), &by) in gives.iter().zip(by) {
            let (of, found) = (inputs.get(by as usize), backward.ty(*gradient));
            if of.is_none_or(|(_, input)| call.body.ty(*input) != found) {
                return Err(TypeError::new(format!("the rule gives {found} for input {by}")));
            }
        }
    }
    match outputs.get(call.result) {
        Some((_, output)) => Ok(call.body.ty(*output).clone()),
        None => Err(TypeError::new(format!("the call has no result {}", call.result))),
    }
}

/// `tanh(w x)` and its sum.
fn samples() -> Vec<Sample> {
    let ty = |sizes: &[i64]| TensorType::new(DType::F64, sizes.iter().map(|&n| Dim::Const(n)));
    let mut body = Graph::new();
    let b = Builder::new(&mut body);
    let w = b.input("w", ty(&[2, 3]));
    let x = b.input("x", ty(&[3]));
    let y = b.map(MapOp::Tanh, &[b.matmul(w, x)]);
    b.output("y", y);
    b.output("sum", b.sum_all(y));
    drop(b);
    let call = Call { body: Arc::new(body), rule: Rule::Again, result: 0, moving: SmallVec::new() };
    let sample = |result| Sample::new(Op::Call(call.with_result(result)), [ty(&[2, 3]), ty(&[3])]);
    vec![sample(0), sample(1)]
}

/// The sizes of a call replaced: what `Op::map_dims` does to its graphs.
pub(super) fn map_dims(call: &Call, f: &mut dyn FnMut(&Dim) -> Dim) -> Call {
    let replaced = call.map_graphs::<std::convert::Infallible>(&mut |g| Ok(graph_with_dims(g, f)));
    let Ok(replaced) = replaced;
    replaced
}

impl Builder<'_> {
    /// `x`, for work that is not to be done before `other` is there.
    pub fn after(&self, x: NodeId, other: NodeId) -> NodeId {
        self.add_op(Op::After, &[x, other])
    }
}

impl Graph {
    /// The nodes that are results of the call that `id` is one of, with the number of each.
    pub fn call_results(&self, id: NodeId) -> Vec<(NodeId, usize)> {
        let (Op::Call(call), operands) = (self.op(id), self.operands(id)) else {
            return Vec::new();
        };
        let result = |other: NodeId| match self.op(other) {
            Op::Call(found) => {
                let same = found.with_result(call.result) == *call;
                (same && self.operands(other) == operands).then_some((other, found.result))
            }
            _ => None,
        };
        self.nodes().filter_map(result).collect()
    }
}
