//! What is made of the others: Jacobians, Hessians and their products with a vector.
//!
//! A Jacobian is a batched directional derivative: of `jvp` in the direction of every element of
//! the input, or of `vjp` by every element of the output, whichever are fewer.

use super::call::goes_forward;
use super::{NotDifferentiable, asked_of, batch, gradient, jvp, vjp};
use crate::graph::{Builder, Dim, Graph, NodeId};
use smallvec::SmallVec;
use tensc_runtime::DType;

/// A graph with the inputs of `graph` whose outputs are `jacobian.OUT.IN` for each floating-point
/// output and, for each of those, each input number in `wrt`: the derivative of each element of the
/// output by each element of the input, of shape `[out..., in...]`.
///
/// # Errors
/// Where there is no such input, one of `wrt` is not floating point or there twice, or the outputs
/// depend on one only through integers or truth values.
pub fn jacobian(graph: &Graph, wrt: &[usize]) -> Result<Graph, NotDifferentiable> {
    asked_of(graph, &[], wrt)?;
    let mut derived = Graph::new();
    let copy = |(name, input): &(String, NodeId)| {
        let node = graph.node(*input);
        derived.add_input(name, node.ty.clone(), node.origin)
    };
    let inputs: Vec<NodeId> = graph.inputs().iter().map(copy).collect();
    let b = Builder::new(&mut derived);
    let float = |node: &NodeId| graph.ty(*node).dtype.is_float();
    for output in graph.outputs().iter().filter(|(_, node)| float(node)) {
        let mut one = graph.clone();
        one.clear_outputs();
        one.add_output(&output.0, output.1);
        for &input in wrt {
            let (name, node) = &graph.inputs()[input];
            let (from, to) = (graph.ty(*node).elements(), graph.ty(output.1).elements());
            // Where both are as many, forward mode stores nothing on its way.
            let forward = likely(&from) <= likely(&to) && goes_forward(&one);
            let block = match forward {
                true => by_columns(&b, &one, input, &inputs)?,
                false => by_rows(&b, &one, input, &inputs)?,
            };
            b.output(format!("jacobian.{}.{name}", output.0), block);
        }
    }
    drop(b);
    Ok(derived)
}

/// A graph with the inputs of `graph` whose outputs are `jacobian.grad.A.B` for each pair of inputs
/// in `wrt`: the second derivatives of the scalar output number 0, of shape `[a..., b...]`.
///
/// # Errors
/// As [`gradient`].
pub fn hessian(graph: &Graph, wrt: &[usize]) -> Result<Graph, NotDifferentiable> {
    jacobian(&gradients_alone(graph, wrt)?, wrt)
}

/// A graph with the inputs of `graph`, then `tangent.NAME` for each input number in `wrt`, whose
/// outputs are those for each: the second derivatives of output number 0 times the tangents. Where
/// no `jvp` goes through the gradient they are its `vjp`, which is the same, as second derivatives
/// are symmetric.
///
/// # Errors
/// As [`gradient`].
pub fn hvp(graph: &Graph, wrt: &[usize]) -> Result<Graph, NotDifferentiable> {
    let gradients = gradients_alone(graph, wrt)?;
    let mut derived = match goes_forward(&gradients) {
        true => jvp(&gradients, wrt)?,
        false => vjp(&gradients, wrt)?,
    };
    keep_outputs(&mut derived, wrt.len());
    Ok(derived)
}

/// The gradient without the value.
fn gradients_alone(graph: &Graph, wrt: &[usize]) -> Result<Graph, NotDifferentiable> {
    let mut derived = gradient(graph, 0, wrt)?;
    keep_outputs(&mut derived, 1);
    Ok(derived)
}

/// Drops the first outputs.
pub(super) fn keep_outputs(graph: &mut Graph, from: usize) {
    let outputs = graph.outputs()[from..].to_vec();
    graph.clear_outputs();
    outputs.into_iter().for_each(|(name, node)| graph.add_output(name, node));
}

/// The Jacobian of the only output, column by column: in the direction of each element of an input.
fn by_columns(
    b: &Builder<'_>,
    graph: &Graph,
    input: usize,
    inputs: &[NodeId],
) -> Result<NodeId, NotDifferentiable> {
    let mut pushed = jvp(graph, &[input])?;
    keep_outputs(&mut pushed, 1);
    let columns = each_direction(b, &pushed, inputs)[0];
    let from = graph.ty(graph.inputs()[input].1).shape.clone();
    let to = graph.ty(graph.outputs()[0].1).shape.clone();
    let shape: SmallVec<[Dim; 4]> = from.iter().chain(&to).cloned().collect();
    let perm: SmallVec<[usize; 4]> = (from.len()..shape.len()).chain(0..from.len()).collect();
    Ok(b.transpose(b.reshape(columns, &shape), &perm))
}

/// The Jacobian of the only output, row by row: the gradient of each of its elements.
fn by_rows(
    b: &Builder<'_>,
    graph: &Graph,
    input: usize,
    inputs: &[NodeId],
) -> Result<NodeId, NotDifferentiable> {
    let mut pulled = vjp(graph, &[input])?;
    keep_outputs(&mut pulled, 1);
    let rows = each_direction(b, &pulled, inputs)[0];
    let from = &graph.ty(graph.inputs()[input].1).shape;
    let to = &graph.ty(graph.outputs()[0].1).shape;
    let shape: SmallVec<[Dim; 4]> = to.iter().chain(from).cloned().collect();
    Ok(b.reshape(rows, &shape))
}

/// The outputs of a graph for every unit vector as its last input, the others given.
fn each_direction(b: &Builder<'_>, graph: &Graph, inputs: &[NodeId]) -> Vec<NodeId> {
    let (_, direction) = graph.inputs().last().expect("the direction is the last input");
    let ty = graph.ty(*direction);
    let count = ty.elements();
    let mut batched = vec![false; graph.inputs().len()];
    *batched.last_mut().expect("as above") = true;
    let many = batch(graph, &batched, &count);
    let shape: SmallVec<[Dim; 4]> = std::iter::once(&count).chain(&ty.shape).cloned().collect();
    let units = b.reshape(identity(b, &count, ty.dtype), &shape);
    let arguments: Vec<NodeId> = inputs.iter().copied().chain([units]).collect();
    b.inline(&many, &arguments)
}

/// The identity matrix.
fn identity(b: &Builder<'_>, size: &Dim, dtype: DType) -> NodeId {
    let square = [size.clone(), size.clone()];
    let position = |axis| b.iota(DType::I64, &square, axis);
    b.convert(b.eq(position(0), position(1)), dtype)
}

/// What a size may be, for a choice that is right either way: names stand for something of the size
/// of a batch.
fn likely(size: &Dim) -> i64 {
    const BATCH: i64 = 64;
    size.substitute(&|_| Some(Dim::Const(BATCH))).known().expect("every name is replaced")
}
