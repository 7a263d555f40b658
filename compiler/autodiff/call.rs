//! Calls: what differentiation and batching do to functions that they treat as a whole.
//!
//! - Forward, the tangent of a call is that of its body; a rule for cotangents gives none.
//! - Backward, the tangent is a node that stands for it, of the call and the tangents of what
//!   moves, until `transpose` comes to it: then the rule is written there, or the body and its
//!   derivative, from operands that wait for the cotangent. So nothing inside the body is kept from
//!   the way forward, and no rewriting makes one of the two computations.
//! - The *lanes* of a call are the call with its graphs on all lanes.

use super::batch::batch_outputs;
use super::linearize::{Mode, linearize};
use super::{Blocked, NotDifferentiable, jvp_of, vjp_of};
use crate::graph::ops::lanes::Lanes;
use crate::graph::ops::{Call, Class, Rule};
use crate::graph::{Builder, Graph, NodeId, Op, Operands};
use smallvec::SmallVec;
use std::sync::Arc;

/// The tangent of a result, from those of the operands; `None` where it does not move.
pub(super) fn tangent(
    b: &Builder<'_>,
    call: &Call,
    operands: &Operands,
    tangents: &[Option<NodeId>],
    mode: Mode,
) -> Result<Option<NodeId>, NotDifferentiable> {
    debug_assert!(call.is_value(), "the tangents of a call go before its next derivative");
    let mut moving: Vec<usize> = (0..operands.len()).filter(|&i| tangents[i].is_some()).collect();
    match (&call.rule, mode) {
        (Rule::Given { .. }, _) if !is_float(call) => return Ok(None),
        (Rule::Given { .. }, Mode::Forward) => {
            return Err(NotDifferentiable {
                node: None,
                reason: "a function of `custom_grad` has derivatives backward only: `jvp` does \
                         not go through it"
                    .into(),
                help: "use grad or vjp, or differentiate the function itself",
            });
        }
        (Rule::Given { by, .. }, Mode::Backward) => {
            // What the body does not use is of the rule: it moves the gradient, not the value.
            let used = call.body.live();
            let is_of = |i: usize| by.contains(&(i as u32));
            let moves = |i: usize| used[call.body.inputs()[i].1.index()];
            moving.retain(|&i| is_of(i) || moves(i));
            if moving.is_empty() {
                return Ok(None);
            }
            if let Some(&other) = moving.iter().find(|&&i| !is_of(i)) {
                let (name, _) = &call.body.inputs()[other];
                let what = match name.starts_with("captured.") {
                    true => "what it uses from around it".to_string(),
                    false => format!("`{name}`"),
                };
                return Err(NotDifferentiable {
                    node: None,
                    reason: format!(
                        "the rule of `custom_grad` gives no gradient by {what}, which moves"
                    ),
                    help: "make it a parameter of the function, or use stop_gradient(x)",
                });
            }
        }
        (Rule::Again, Mode::Forward) => {
            let pushed = jvp_of(&only(&call.body, &[call.result]), &moving, Blocked::Zero)?;
            let given = moving.iter().filter_map(|&i| tangents[i]);
            let arguments: Operands = operands.iter().copied().chain(given).collect();
            return Ok(b.inline(&pushed, &arguments).get(1).copied());
        }
        (Rule::Again, Mode::Backward) => {
            let mut body = only(&call.body, &[call.result]);
            let (len, live) = (body.len(), body.live());
            let seeds = super::add_tangents(&mut body, &moving)?;
            let result = body.outputs()[0].1;
            let tangents = linearize(&Builder::new(&mut body), &live, len, &seeds, mode)?;
            if tangents[result.index()].is_none() {
                return Ok(None);
            }
        }
    }
    let moves = Call { moving: moving.iter().map(|&i| i as u32).collect(), ..call.clone() };
    let given = moving.iter().filter_map(|&i| tangents[i]);
    let around: Operands = operands.iter().copied().chain(given).collect();
    Ok(Some(b.add_op(Op::Call(moves), &around)))
}

fn is_float(call: &Call) -> bool {
    call.body.ty(call.body.outputs()[call.result].1).dtype.is_float()
}

/// The graph with these outputs only.
fn only(graph: &Graph, outputs: &[usize]) -> Graph {
    let mut only = graph.clone();
    only.clear_outputs();
    for &output in outputs {
        let (name, node) = &graph.outputs()[output];
        only.add_output(name, *node);
    }
    only
}

/// The cotangents of the tangents of a call's inputs (its last operands), from those of its
/// results.
pub(super) fn cotangents(
    b: &Builder<'_>,
    call: &Call,
    operands: &[NodeId],
    results: &[Option<NodeId>],
) -> Vec<NodeId> {
    let inputs = &operands[..call.body.inputs().len()];
    match &call.rule {
        Rule::Again => {
            let given: Vec<usize> = (0..results.len()).filter(|&r| results[r].is_some()).collect();
            let seeds: Vec<NodeId> = results.iter().flatten().copied().collect();
            let moving: Vec<usize> = call.moving.iter().map(|&i| i as usize).collect();
            let mut pulled = vjp_of(&only(&call.body, &given), &moving, Blocked::Zero)
                .expect("it was linearised before");
            super::second::keep_outputs(&mut pulled, given.len());
            let known = |node: NodeId| matches!(b.op(node).row().class, Class::Source);
            let is_input = |node: NodeId| matches!(b.op(node), Op::Input(_));
            let wait = |&node: &NodeId| match known(node) && !is_input(node) {
                true => node,
                false => b.after(node, seeds[0]),
            };
            let arguments: Vec<NodeId> =
                inputs.iter().map(wait).chain(seeds.iter().copied()).collect();
            b.inline(&pulled, &arguments)
        }
        Rule::Given { backward, by } => {
            let seed = |output: usize| {
                let ty = call.body.ty(call.body.outputs()[output].1);
                results[output].unwrap_or_else(|| b.full(0.0, ty))
            };
            let seeds = call.float_outputs().map(seed);
            let arguments: Vec<NodeId> = inputs.iter().copied().chain(seeds).collect();
            let gradients = b.inline(backward, &arguments);
            let of = |input: &u32| {
                let place = by.iter().position(|b| b == input);
                gradients[place.expect("checked when it was linearised")]
            };
            call.moving.iter().map(of).collect()
        }
    }
}

/// Whether jvp goes through a graph: whether no rule for cotangents is in the way.
pub(super) fn goes_forward(graph: &Graph) -> bool {
    let live = graph.live();
    !graph.has_calls()
        || graph.nodes().filter(|id| live[id.index()]).all(|id| match graph.op(id) {
            Op::Call(call) => matches!(call.rule, Rule::Again) && goes_forward(&call.body),
            Op::Scan(scan) => goes_forward(&scan.step),
            _ => true,
        })
}

/// A result of the call on many lanes, and whether it has lanes.
pub(super) fn batched(b: &Builder<'_>, call: &Call, lanes: &Lanes<'_>) -> (NodeId, bool) {
    let size = lanes.size;
    let all = matches!(call.rule, Rule::Given { .. });
    let (body, has) = batch_outputs(&call.body, lanes.batched, size, &|_| all);
    let rule = match &call.rule {
        Rule::Again => Rule::Again,
        Rule::Given { backward, by } => {
            let cotangents = call.float_outputs().map(|_| true);
            let batched: Vec<bool> = lanes.batched.iter().copied().chain(cotangents).collect();
            let (mut many, _) = batch_outputs(backward, &batched, size, &|_| true);
            let outputs = many.outputs().to_vec();
            many.clear_outputs();
            let m = Builder::new(&mut many);
            for ((name, gradient), &input) in outputs.into_iter().zip(by) {
                // What serves all lanes has the gradient of all.
                let one = lanes.batched[input as usize];
                m.output(name, if one { gradient } else { m.sum(gradient, &[0]) });
            }
            drop(m);
            Rule::Given { backward: Arc::new(many), by: by.clone() }
        }
    };
    let (result, moving) = (call.result, SmallVec::new());
    let many = Call { body: Arc::new(body), rule, result, moving };
    (b.add_op(Op::Call(many), lanes.operands), has[call.result])
}
