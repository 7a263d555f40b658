//! Differentiation and batching as maps from graphs to graphs.
//!
//! Reverse mode is linearisation and transposition ("You Only Linearize Once", arXiv 2204.10923):
//! the jvp rule of each operation builds the *tangent* nodes, which are linear in the tangents of
//! the inputs (`linearize`); walking those nodes backwards with the transpose rule of each linear
//! operation turns them into *cotangents* (`transpose`). One table of rules so gives `jvp`, `vjp`,
//! and, because the result is a graph like any other, every order of both. `batch` is the map for
//! many values at once, by the batching rule of each operation; `second` is made of the others.
//!
//! Invariants: a derived graph has the inputs of its source, in order; derivation is symbolic in
//! the sizes, so one gradient serves every batch size; each derived node keeps the span of the node
//! it was derived from.
//!
//! Neighbours: the rules stand in the rows of `graph::ops`; the checker calls this for `grad`,
//! `vmap` and their like.

mod batch;
mod call;
mod gate;
mod linearize;
mod scan;
mod second;
mod transpose;

#[cfg(test)]
mod tests;

use crate::graph::{Builder, Graph, NodeId, TensorType, Via, verify};
use linearize::{Mode, linearize};
use std::fmt;
use transpose::transpose;

pub use batch::batch;
pub use second::{hessian, hvp, jacobian};

/// Why a derivative does not exist where one was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotDifferentiable {
    /// The node of the source graph that stands in the way, where it is one.
    pub node: Option<NodeId>,
    /// One sentence without a full stop.
    pub reason: String,
    /// What may be done about it.
    pub help: &'static str,
}

/// What makes a constant of what is in the way.
const STOP: &str = "stop_gradient(x) makes it a constant for the derivative";

/// What has a gradient instead of several numbers.
const ONE_NUMBER: &str = "differentiate one number made of it, such as its sum, or use vjp";

/// What becomes of a derivative that is zero only because the way leads through integers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Blocked {
    /// The user should say so.
    Refuse,
    /// It is zero: someone else looks at the whole way.
    Zero,
}

impl fmt::Display for NotDifferentiable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.node {
            Some(node) => write!(f, "{node}: {}", self.reason),
            None => f.write_str(&self.reason),
        }
    }
}

impl std::error::Error for NotDifferentiable {}

/// The gradient of a scalar output by some inputs: a graph with the inputs of `graph` and the
/// outputs `value` (output number `output`) and `grad.NAME` for each input number in `wrt`, of that
/// input's type. An input that the output does not depend on has a gradient of zeros.
///
/// # Errors
/// Where there is no such output or input, the output is not a floating-point scalar, an input of
/// `wrt` is not floating point or there twice, or the output depends on one only through integers
/// or truth values.
pub fn gradient(graph: &Graph, output: usize, wrt: &[usize]) -> Result<Graph, NotDifferentiable> {
    Ok(backward(graph, output, wrt)?.0.pruned())
}

/// As [`gradient`] of the first output, with all outputs of `graph` instead of `value`.
///
/// # Errors
/// As [`gradient`].
pub fn gradient_beside(graph: &Graph, wrt: &[usize]) -> Result<Graph, NotDifferentiable> {
    let mut derived = backward(graph, 0, wrt)?.0;
    let gradients = derived.outputs()[1..].to_vec();
    derived.clear_outputs();
    let all = graph.outputs().iter().cloned().chain(gradients);
    all.for_each(|(name, node)| derived.add_output(name, node));
    Ok(derived.pruned())
}

/// A derived graph, and which of its nodes are cotangents of which.
#[derive(Clone, PartialEq, Debug)]
pub struct Traced {
    /// What [`gradient`] gives; nodes that only `cotangents` names are not live.
    pub graph: Graph,
    /// Pairs of a node that was there before and its cotangent, in order of the former.
    pub cotangents: Vec<(NodeId, NodeId)>,
}

/// As [`gradient`], with the meaning of the nodes that it added: for those who print it.
///
/// # Errors
/// As [`gradient`].
pub fn traced_gradient(
    graph: &Graph,
    output: usize,
    wrt: &[usize],
) -> Result<Traced, NotDifferentiable> {
    let (mut derived, cotangents) = backward(graph, output, wrt)?;
    // Pruning renumbers what it keeps, so the pairs go through it as outputs.
    let count = derived.outputs().len();
    for (number, (primal, cotangent)) in cotangents.iter().enumerate() {
        derived.add_output(format!("primal.{number}"), *primal);
        derived.add_output(format!("cotangent.{number}"), *cotangent);
    }
    let mut graph = derived.written_out().pruned();
    let outputs = graph.outputs().to_vec();
    graph.clear_outputs();
    let (own, pairs) = outputs.split_at(count);
    own.iter().for_each(|(name, node)| graph.add_output(name, *node));
    let cotangents = pairs.chunks_exact(2).map(|pair| (pair[0].1, pair[1].1)).collect();
    Ok(Traced { graph, cotangents })
}

/// Reverse mode with the cotangents of the outputs as further inputs, `cotangent.NAME`: a graph
/// whose outputs are those of `graph`, then `vjp.NAME` for each input number in `wrt`.
///
/// # Errors
/// As [`gradient`], for any floating-point shapes.
pub fn vjp(graph: &Graph, wrt: &[usize]) -> Result<Graph, NotDifferentiable> {
    vjp_of(graph, wrt, Blocked::Refuse)
}

fn vjp_of(graph: &Graph, wrt: &[usize], blocked: Blocked) -> Result<Graph, NotDifferentiable> {
    asked_of(graph, &[], wrt)?;
    let mut with_seeds = graph.clone();
    let mut seeds = Vec::new();
    for (number, (name, node)) in graph.outputs().iter().enumerate() {
        let ty = graph.ty(*node).clone();
        if ty.dtype.is_float() {
            let origin = graph.node(*node).origin;
            seeds.push((number, with_seeds.add_input(format!("cotangent.{name}"), ty, origin)));
        }
    }
    let outputs: Vec<usize> = (0..graph.outputs().len()).collect();
    Ok(pull_back(&with_seeds, &outputs, wrt, ("vjp", blocked), |_| seeds)?.0.pruned())
}

/// Forward mode: a graph with the inputs of `graph`, then `tangent.NAME` for each input number in
/// `wrt`; its outputs are those of `graph`, then `jvp.NAME` for each floating-point output.
///
/// # Errors
/// Where there is no such input, one of `wrt` is not floating point or there twice, or no output
/// depends on any but through integers or truth values.
pub fn jvp(graph: &Graph, wrt: &[usize]) -> Result<Graph, NotDifferentiable> {
    jvp_of(graph, wrt, Blocked::Refuse)
}

fn jvp_of(graph: &Graph, wrt: &[usize], blocked: Blocked) -> Result<Graph, NotDifferentiable> {
    asked_of(graph, &[], wrt)?;
    let mut derived = graph.clone();
    let seeds = add_tangents(&mut derived, wrt)?;
    let b = Builder::new(&mut derived);
    let tangents = linearize(&b, &graph.live(), graph.len(), &seeds, Mode::Forward)?;
    let still = graph.outputs().iter().all(|(_, node)| tangents[node.index()].is_none());
    if still && blocked == Blocked::Refuse {
        let all: Vec<usize> = (0..graph.outputs().len()).collect();
        wrt.iter().try_for_each(|&input| refuse_blocked(graph, input, &all))?;
    }
    for (name, node) in graph.outputs() {
        if graph.ty(*node).dtype.is_float() {
            let tangent = tangents[node.index()].unwrap_or_else(|| b.zeros_like(*node));
            b.output(format!("jvp.{name}"), tangent);
        }
    }
    drop(b);
    Ok(derived.pruned())
}

/// Whether a graph has these outputs and the inputs of `wrt`, each of those named once.
fn asked_of(graph: &Graph, outputs: &[usize], wrt: &[usize]) -> Result<(), NotDifferentiable> {
    let refuse = |reason: String, help| Err(NotDifferentiable { node: None, reason, help });
    if let Err(broken) = verify::names(graph) {
        let reason = format!("the graph is not well formed: {broken}");
        return refuse(reason, "graph::verify tells it where the graph is made");
    }
    let (had, given) = (graph.outputs().len(), graph.inputs().len());
    if let Some(output) = outputs.iter().find(|&&output| output >= had) {
        let reason = format!("there is no output {output}, the graph has {had}");
        return refuse(reason, "outputs are counted from 0, in the order of Graph::outputs");
    }
    for (number, input) in wrt.iter().enumerate() {
        if *input >= given {
            let reason = format!("there is no input {input}, the graph has {given}");
            return refuse(reason, "inputs are counted from 0, in the order of Graph::inputs");
        }
        if wrt[..number].contains(input) {
            let reason = format!("the input `{}` is asked for twice", graph.inputs()[*input].0);
            return refuse(reason, "name each input of `wrt` once");
        }
    }
    Ok(())
}

/// The parts of [`traced_gradient`], not pruned.
fn backward(
    graph: &Graph,
    output: usize,
    wrt: &[usize],
) -> Result<(Graph, Vec<(NodeId, NodeId)>), NotDifferentiable> {
    asked_of(graph, &[output], wrt)?;
    let (_, value) = &graph.outputs()[output];
    let ty = graph.ty(*value);
    if ty.rank() != 0 || !ty.dtype.is_float() {
        let reason = format!("a gradient needs a floating-point scalar, this is {ty}");
        return Err(NotDifferentiable { node: Some(*value), reason, help: ONE_NUMBER });
    }
    let seed = |builder: &Builder<'_>| vec![(0, builder.constant(1.0, ty.dtype))];
    pull_back(graph, &[output], wrt, ("grad", Blocked::Refuse), seed)
}

/// Cotangents of the inputs `wrt` from those of some outputs, which `seeds` gives by the position
/// of the output in `outputs`: a graph that is not pruned, and pairs of a node of `graph` and its
/// cotangent.
fn pull_back(
    graph: &Graph,
    outputs: &[usize],
    wrt: &[usize],
    (prefix, blocked): (&str, Blocked),
    seeds: impl FnOnce(&Builder<'_>) -> Vec<(usize, NodeId)>,
) -> Result<(Graph, Vec<(NodeId, NodeId)>), NotDifferentiable> {
    let mut derived = graph.clone();
    derived.clear_outputs();
    for &output in outputs {
        let (name, node) = &graph.outputs()[output];
        derived.add_output(if prefix == "grad" { "value" } else { name }, *node);
    }
    let inputs = add_tangents(&mut derived, wrt)?;
    let b = Builder::new(&mut derived);
    let tangents = linearize(&b, &graph.live(), graph.len(), &inputs, Mode::Backward)?;
    let seeds: Vec<(NodeId, NodeId)> = seeds(&b)
        .into_iter()
        .filter_map(|(output, seed)| {
            let node = graph.outputs()[outputs[output]].1;
            tangents[node.index()].map(|tangent| (tangent, seed))
        })
        .collect();
    let cotangents = transpose(&b, graph.len(), &inputs, &seeds);
    for (&number, (source, tangent)) in wrt.iter().zip(&inputs) {
        let gradient = match cotangents[tangent.index()] {
            Some(node) => node,
            None => {
                if blocked == Blocked::Refuse {
                    refuse_blocked(graph, number, outputs)?;
                }
                b.zeros_like(*source)
            }
        };
        b.output(format!("{prefix}.{}", graph.inputs()[number].0), gradient);
    }
    drop(b);
    for (_, tangent) in &inputs {
        derived.remove_input(*tangent);
    }
    let of_primal = |(primal, tangent): (usize, &Option<NodeId>)| {
        Some((NodeId::from_index(primal), cotangents[(*tangent)?.index()]?))
    };
    let pairs = tangents.iter().enumerate().filter_map(of_primal).collect();
    Ok((derived, pairs))
}

/// Adds an input for the tangent of each input in `wrt`: pairs of (input, its tangent).
fn add_tangents(
    graph: &mut Graph,
    wrt: &[usize],
) -> Result<Vec<(NodeId, NodeId)>, NotDifferentiable> {
    let add = |&number: &usize| {
        let (name, node) = graph.inputs()[number].clone();
        let ty: TensorType = graph.ty(node).clone();
        if !ty.dtype.is_float() {
            let reason = format!("`{name}` is {ty}: a derivative needs a floating-point type");
            return Err(NotDifferentiable { node: Some(node), reason, help: STOP });
        }
        let origin = graph.node(node).origin;
        Ok((node, graph.add_input(format!("tangent.{name}"), ty, origin)))
    };
    wrt.iter().map(add).collect()
}

/// Refuses a gradient that would be zero only because the path from an input to some outputs passes
/// through integers or truth values: the user should stop it explicitly, if it is meant. A
/// derivative is not refused: that of `max(x, 0)` is a step, whose derivative is 0.
fn refuse_blocked(graph: &Graph, input: usize, outputs: &[usize]) -> Result<(), NotDifferentiable> {
    let derived = |id: NodeId| matches!(graph.node(id).origin.via, Via::Tangent | Via::Cotangent);
    if graph.nodes().any(derived) {
        return Ok(());
    }
    // The way may lead through the inside of calls.
    let (graph, from) = graph.traced_out();
    let mut depends = vec![false; graph.len()];
    depends[graph.inputs()[input].1.index()] = true;
    let mut reaches = vec![false; graph.len()];
    outputs.iter().for_each(|&output| reaches[graph.outputs()[output].1.index()] = true);
    for id in graph.nodes().rev() {
        if reaches[id.index()] {
            graph.operands(id).iter().for_each(|o| reaches[o.index()] = true);
        }
    }
    for id in graph.nodes() {
        if graph.operands(id).iter().any(|o| depends[o.index()]) && !graph.op(id).stops_gradient() {
            depends[id.index()] = true;
            if reaches[id.index()] && !graph.ty(id).dtype.is_float() {
                let (name, ty) = (graph.op(id).name(), graph.ty(id));
                let reason = format!(
                    "the only way to the result leads through `{name}`, whose result is {ty} and \
                     has no derivative"
                );
                let node = Some(from[id.index()]);
                return Err(NotDifferentiable { node, reason, help: STOP });
            }
        }
    }
    Ok(())
}
