//! Loops that lanes do or do not: an `if` whose condition differs between lanes.
//!
//! The steps are done for all lanes, and each takes what it would have without, if it does not do
//! them. What they compute in such a lane may be anything, and so may its derivatives: they pass
//! only where a lane does the steps, since 0 times what is infinite is no number. An index is 0 in
//! such a lane: it may be out of range, which is no mistake of a lane that does not use it.

use super::scan::{Steps, batched, reached};
use crate::graph::fused::ReduceOp;
use crate::graph::ops::Scan;
use crate::graph::ops::lanes::{Lanes, repeated};
use crate::graph::{Builder, Graph, MapOp, NodeId, Op, Operands, TensorType};
use rustc_hash::FxHashMap;
use std::convert::Infallible;
use std::sync::Arc;
use tensc_runtime::DType;

/// Steps with the gate as an input, by the step and which of its inputs have lanes.
pub(super) type Passing = FxHashMap<(*const Graph, Vec<bool>), Arc<Graph>>;

/// A result of a loop with a gate that differs between lanes, which has lanes.
pub(super) fn chosen(
    b: &Builder<'_>,
    scan: &Scan,
    lanes: &Lanes<'_>,
    steps: &mut Steps,
) -> (NodeId, bool) {
    let inputs = scan.step.inputs().len();
    let (gates, size) = (lanes.operands[inputs], lanes.size);
    let all =
        Lanes { operands: &lanes.operands[..inputs], batched: &lanes.batched[..inputs], size };
    let gate = |node| b.broadcast(gates, &b.ty(node).shape, &[0]);
    let open = b.reduce(ReduceOp::Any, gates, &[0]);
    let (mut operands, mut has) = (Operands::new(), Vec::new());
    for i in 0..inputs {
        let (node, ty) = (all.operands[i], b.ty(all.operands[i]));
        // Of a matrix that all lanes share there need not be one for each.
        let shared = !all.batched[i] && ty.rank() > 1 && i >= scan.carried;
        has.push(all.batched[i] || ty.dtype.is_float() && !shared);
        operands.push(match (ty.dtype.is_float(), shared) {
            (false, _) => node,
            (true, true) => passing(b, b.splat(open, &ty.shape), node),
            (true, false) => {
                let x = all.spread(b, i);
                passing(b, gate(x), x)
            }
        });
    }
    let mut inner = Scan { gated: false, ..scan.clone() };
    let shares = (0..inputs).any(|i| !has[i] && b.ty(operands[i]).dtype.is_float());
    if shares || checks(&scan.step) {
        let key = (Arc::as_ptr(&scan.step), has.clone());
        let step = steps.passing.entry(key).or_insert_with(|| Arc::new(gated(&scan.step, &has)));
        inner.step = Arc::clone(step);
        operands.extend([gates, open]);
        has.extend([true, false]);
    }
    let (node, lanes) =
        batched(b, &inner, &Lanes { operands: &operands, batched: &has, size }, steps);
    let done = if lanes { node } else { repeated(b, node, size) };
    let before = match scan.result < scan.carried {
        true => all.spread(b, scan.result),
        false => b.zeros_like(done),
    };
    (b.select(gate(done), done, before), true)
}

/// A node itself; derivatives pass where the gates, one for each element, are open.
fn passing(b: &Builder<'_>, gates: NodeId, node: NodeId) -> NodeId {
    b.select(gates, node, b.map(MapOp::StopGradient, &[node]))
}

/// Whether a graph has an index that may be out of range.
fn checks(graph: &Graph) -> bool {
    graph.nodes().any(|id| match graph.op(id) {
        Op::CheckIndex(_) => true,
        Op::Scan(scan) => checks(&scan.step),
        _ => false,
    })
}

/// A step with two more inputs: its gate, and whether that of any lane is open. Where what all
/// lanes share meets what they do not, only open lanes give a derivative by it. A product stays one
/// product for all lanes: its operand of a closed lane is 0, and so is the cotangent of its result.
/// Indices are 0 where the gate is closed; loops with indices are not done.
fn gated(step: &Graph, has: &[bool]) -> Graph {
    let float = |id: NodeId| step.ty(id).dtype.is_float();
    let lanes = reached(step, has);
    let alike: Vec<bool> =
        step.inputs().iter().zip(has).map(|((_, id), has)| !has && float(*id)).collect();
    let alike = reached(step, &alike);
    let shared = |id: NodeId| alike[id.index()] && !lanes[id.index()] && float(id);
    let mut graph = Graph::new();
    let b = Builder::new(&mut graph);
    let input = |(name, id): &(String, NodeId)| b.input(name, step.ty(*id).clone());
    let inputs: Vec<NodeId> = step.inputs().iter().map(input).collect();
    let gate = b.input("gate", TensorType::scalar(DType::Bool));
    let any = b.input("any", TensorType::scalar(DType::Bool));
    let open = |x: NodeId| b.splat(gate, &b.ty(x).shape);
    let make = |id: NodeId, operands: &[NodeId]| {
        let (op, of) = (step.op(id), step.operands(id));
        let used = if lanes[id.index()] { gate } else { any };
        match op {
            Op::CheckIndex(_) => {
                let index = operands[0];
                let used = b.splat(used, &b.ty(index).shape);
                let index = b.select(used, index, b.zeros_like(index));
                return Ok(b.add_op(op.clone(), &[index]));
            }
            Op::Scan(scan) if checks(&scan.step) => {
                let mut operands = operands.to_vec();
                match operands.last_mut().filter(|_| scan.gated) {
                    Some(inner) => *inner = b.map(MapOp::And, &[*inner, used]),
                    None => operands.push(used),
                }
                return Ok(b.scan(&Scan { gated: true, ..scan.clone() }, &operands));
            }
            _ => {}
        }
        if !lanes[id.index()] || !of.iter().any(|o| shared(*o)) {
            return Ok::<_, Infallible>(b.add_op(op.clone(), operands));
        }
        let product = matches!(op, Op::Contract(_));
        let operand = |(x, from): (&NodeId, &NodeId)| match (product, shared(*from)) {
            (true, false) => b.select(open(*x), *x, b.zeros_like(*x)),
            (false, true) => passing(&b, open(*x), *x),
            _ => *x,
        };
        let operands: Operands = operands.iter().zip(&of).map(operand).collect();
        let node = b.add_op(op.clone(), &operands);
        Ok(if product { passing(&b, open(node), node) } else { node })
    };
    let Ok(outputs) = b.rebuild(step, &inputs, make);
    for ((name, _), node) in step.outputs().iter().zip(outputs) {
        b.output(name, node);
    }
    drop(b);
    graph
}
