//! A step, repeated: what carries a state along an axis.
//!
//! A [`Scan`] holds its step as a graph. Every node has one result, so a loop with several is as
//! many nodes of the same step on the same operands, told apart by [`Scan::result`]; whoever
//! executes them does the loop once.

use super::{Batch, Class, Draws, EvalError, Jvp, MapOp, Op, OpRow, Sample, TypeError};
use crate::graph::interpret::interpret;
use crate::graph::{Builder, Dim, Graph, NodeId, TensorType};
use smallvec::SmallVec;
use std::sync::Arc;
use tensc_runtime::{DType, Shape, Tensor, with_element};

/// A step and what it is repeated on.
///
/// The inputs of the step: `carried` states, `sliced` operands without their leading axis, and
/// operands that every step sees whole. Its outputs: the next states, then elements that are
/// stacked along a new leading axis. A gate is one more operand, which no step sees.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Scan {
    /// One step.
    pub step: Arc<Graph>,
    /// Number of steps.
    pub count: Dim,
    /// Inputs and outputs of the step that are states.
    pub carried: usize,
    /// Inputs after those that are slices of an operand.
    pub sliced: usize,
    /// Whether the last slice comes first; elements stand where their slices do.
    pub reverse: bool,
    /// Which output of the step: a state, as it is after the last step, or stacked elements.
    pub result: usize,
    /// Whether the last operand, a `bool`, says if there are steps at all. Without, states are as
    /// they were before, and elements are 0.
    pub gated: bool,
    /// A state, a `bool`, that is false where no step changes anything any more: so that the rest
    /// of the steps need not be done.
    pub until: Option<usize>,
}

impl Scan {
    /// The type of operand `number`: that of the input of the step, with slices in a row; after
    /// these that of the gate.
    pub fn operand_ty(&self, number: usize) -> TensorType {
        if number == self.step.inputs().len() {
            return TensorType::scalar(DType::Bool);
        }
        let inputs = self.step.inputs();
        let mut ty = self.step.ty(inputs[number].1).clone();
        if (self.carried..self.carried + self.sliced).contains(&number) {
            ty.shape.insert(0, self.count.clone());
        }
        ty
    }

    /// The type of output `number` as a result.
    pub fn result_ty(&self, number: usize) -> TensorType {
        let mut ty = self.step.ty(self.step.outputs()[number].1).clone();
        if number >= self.carried {
            ty.shape.insert(0, self.count.clone());
        }
        ty
    }

    /// The same loop with another of its results.
    pub fn with_result(&self, result: usize) -> Scan {
        Scan { result, ..self.clone() }
    }

    /// The order in which slices are visited.
    pub fn order(&self, count: usize) -> impl Iterator<Item = usize> + use<> {
        let reverse = self.reverse;
        (0..count).map(move |i| if reverse { count - 1 - i } else { i })
    }
}

pub(super) static SCAN: OpRow = OpRow {
    name: "scan",
    doc: "a step repeated along an axis: the last state, or the elements of all steps",
    arity: None,
    class: Class::Scan,
    infer,
    eval,
    jvp: Jvp::Step,
    transpose: None,
    batch: Batch::Step,
    samples,
};

fn of(op: &Op) -> &Scan {
    let Op::Scan(scan) = op else { unreachable!("the row of Scan") };
    scan
}

fn infer(op: &Op, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
    let scan = of(op);
    let (inputs, outputs) = (scan.step.inputs(), scan.step.outputs());
    let wanted = inputs.len() + usize::from(scan.gated);
    if wanted != operands.len() {
        let found = operands.len();
        return Err(TypeError::new(format!("the step takes {wanted} operands, found {found}")));
    }
    if let Some(count) = scan.count.known()
        && count < 0
    {
        return Err(TypeError::new(format!("a loop of {count} steps")));
    }
    if scan.carried + scan.sliced > inputs.len() || scan.carried > outputs.len() {
        return Err(TypeError::new("the step has fewer inputs or outputs than states"));
    }
    for (number, found) in operands.iter().enumerate() {
        let wanted = scan.operand_ty(number);
        if wanted != **found {
            let message = format!("operand {number} of the scan is {found} instead of {wanted}");
            return Err(TypeError::new(message));
        }
    }
    for number in 0..scan.carried {
        let (before, after) = (scan.operand_ty(number), scan.result_ty(number));
        if before != after {
            let message = format!("state {number} is {before} before a step and {after} after it");
            return Err(TypeError::new(message));
        }
    }
    if let Some(until) = scan.until
        && (until >= scan.carried || scan.operand_ty(until) != TensorType::scalar(DType::Bool))
    {
        return Err(TypeError::new(format!("state {until} is no bool that ends the loop")));
    }
    if scan.result >= outputs.len() {
        return Err(TypeError::new(format!("the step has no output {}", scan.result)));
    }
    Ok(scan.result_ty(scan.result))
}

fn eval(op: &Op, operands: &[&Tensor], ty: &TensorType) -> Result<Tensor, EvalError> {
    let scan = of(op);
    let count = scan.count.known().expect("sizes are known") as usize;
    let (gate, operands) = match operands.split_last() {
        Some((gate, operands)) if scan.gated => (gate.as_slice::<bool>()[0], operands),
        _ => (true, operands),
    };
    if !gate {
        return Ok(match operands.get(scan.result).filter(|_| scan.result < scan.carried) {
            Some(&state) => state.clone(),
            None => Tensor::zeros(ty.dtype, ty.concrete_shape()),
        });
    }
    let (states, rest) = operands.split_at(scan.carried);
    let mut states: Vec<Tensor> = states.iter().map(|&t| t.clone()).collect();
    let stacks = scan.result >= scan.carried;
    let mut elements = vec![Tensor::zeros(ty.dtype, [0]); if stacks { count } else { 0 }];
    for place in scan.order(count) {
        let mut inputs = std::mem::take(&mut states);
        for (number, operand) in rest.iter().enumerate() {
            inputs.push(match number < scan.sliced {
                true => slice(operand, place),
                false => (*operand).clone(),
            });
        }
        // The node that fails is one of the step; messages are about the loop.
        let mut outputs = interpret(&scan.step, &inputs)
            .map_err(|e| EvalError { message: e.message, node: None })?;
        if stacks {
            elements[place] = outputs[scan.result].clone();
        }
        outputs.truncate(scan.carried);
        states = outputs;
    }
    Ok(match stacks {
        true => stacked(&elements, ty),
        false => states.swap_remove(scan.result),
    })
}

/// The elements at one index of the leading axis.
fn slice(tensor: &Tensor, place: usize) -> Tensor {
    let shape: Shape = tensor.shape()[1..].iter().copied().collect();
    let n = shape.elements();
    with_element!(tensor.dtype(), T => {
        Tensor::from_slice(&tensor.as_slice::<T>()[place * n..(place + 1) * n], shape)
    })
}

fn stacked(elements: &[Tensor], ty: &TensorType) -> Tensor {
    with_element!(ty.dtype, T => {
        let all: Vec<T> = elements.iter().flat_map(|e| e.as_slice::<T>().to_vec()).collect();
        Tensor::from_slice(&all, ty.concrete_shape())
    })
}

/// `h' = tanh(w h + x)`, whose elements are `h' * x`: a recurrent network.
fn samples() -> Vec<Sample> {
    let ty =
        |dtype: DType, sizes: &[i64]| TensorType::new(dtype, sizes.iter().map(|&n| Dim::Const(n)));
    let mut samples = Vec::new();
    let dtype = DType::F64;
    for (count, reverse) in [(4, false), (3, true), (1, true), (0, false)] {
        let mut step = Graph::new();
        let b = Builder::new(&mut step);
        let h = b.input("h", ty(dtype, &[3]));
        let x = b.input("x", ty(dtype, &[3]));
        let w = b.input("w", ty(dtype, &[3, 3]));
        let next = b.map(MapOp::Tanh, &[b.add(b.matmul(w, h), x)]);
        b.output("next", next);
        b.output("y", b.mul(next, x));
        drop(b);
        let step = Arc::new(step);
        for result in 0..2 {
            let scan = Scan {
                step: step.clone(),
                count: Dim::Const(count),
                carried: 1,
                sliced: 1,
                reverse,
                result,
                gated: false,
                until: None,
            };
            let operands = [ty(dtype, &[3]), ty(dtype, &[count, 3]), ty(dtype, &[3, 3])];
            samples.push(Sample::new(Op::Scan(scan.clone()), operands.clone()));
            for gate in [0.0, 1.0] {
                let scan = Scan { gated: true, ..scan.clone() };
                let gated = operands.clone().into_iter().chain([TensorType::scalar(DType::Bool)]);
                let sample = Sample::new(Op::Scan(scan), gated);
                samples.push(sample.with(3, Draws::Between(gate, gate)));
            }
        }
    }
    samples
}

impl Builder<'_> {
    /// Every result of a loop, in order.
    pub fn scan_all(&self, scan: &Scan, operands: &[NodeId]) -> Vec<NodeId> {
        (0..scan.step.outputs().len()).map(|r| self.scan(&scan.with_result(r), operands)).collect()
    }

    /// One result of a loop.
    pub fn scan(&self, scan: &Scan, operands: &[NodeId]) -> NodeId {
        self.add_op(Op::Scan(scan.clone()), operands)
    }
}

impl Graph {
    /// The nodes that are results of the loop that `id` is one of, with the number of each: those
    /// of the same step on the same operands.
    pub fn loop_results(&self, id: NodeId) -> Vec<(NodeId, usize)> {
        let (Op::Scan(scan), operands) = (self.op(id), self.operands(id)) else {
            return Vec::new();
        };
        let result = |other: NodeId| match self.op(other) {
            Op::Scan(found) => {
                let same = found.with_result(scan.result) == *scan;
                (same && self.operands(other) == operands).then_some((other, found.result))
            }
            _ => None,
        };
        self.nodes().filter_map(result).collect()
    }
}

/// The sizes of a step replaced: what `Op::map_dims` does to its graph.
pub(super) fn map_dims(scan: &Scan, f: &mut dyn FnMut(&Dim) -> Dim) -> Scan {
    let step = Arc::new(graph_with_dims(&scan.step, f));
    Scan { step, count: f(&scan.count), ..scan.clone() }
}

/// A graph with its sizes replaced. Types are taken as they become, nothing is derived or
/// simplified.
pub(super) fn graph_with_dims(step: &Graph, f: &mut dyn FnMut(&Dim) -> Dim) -> Graph {
    let mut replaced = Graph::new();
    let mut map: SmallVec<[NodeId; 16]> = SmallVec::new();
    for id in step.nodes() {
        let node = step.node(id);
        let new = match &node.op {
            Op::Input(ty) => {
                let named = step.inputs().iter().find(|(_, n)| *n == id);
                let (name, _) = named.expect("a step has no input without a name");
                replaced.add_input(name.clone(), ty.map_dims(f), node.origin)
            }
            op => {
                let operands: SmallVec<[NodeId; 3]> =
                    step.operands(id).iter().map(|o| map[o.index()]).collect();
                replaced.copied(op.map_dims(f), node.ty.map_dims(f), &operands, node.origin)
            }
        };
        map.push(new);
    }
    for (name, node) in step.outputs() {
        replaced.add_output(name.clone(), map[node.index()]);
    }
    replaced
}
