//! Loops: what differentiation and batching do to a step, repeated.
//!
//! - The *tangent* of a loop is a loop that is linear in the tangents of states, slices and whole
//!   operands. What its coefficients need of the first loop is stacked as elements of that, which
//!   is repeated with a step that gives more; rewriting makes one loop of the two.
//! - The *cotangent* of such a loop runs the other way: it carries the cotangents of the states
//!   back, and adds up those of whole operands.
//! - The *lanes* of a loop are the loop with a step on all lanes.
//!
//! A state moves if it does before the first step or a step makes it move: a fixed point.

use super::batch::batch_outputs;
use super::linearize::{Mode, linearize};
use super::transpose::transpose;
use super::{NotDifferentiable, gate};
use crate::graph::ops::lanes::{Lanes, moved, repeated};
use crate::graph::ops::{Class, Scan};
use crate::graph::{Builder, Dim, Graph, NodeId, Op, Operands};
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

/// The tangents of loops of one graph: several nodes are results of one.
#[derive(Default)]
pub(super) struct Tangents(FxHashMap<(*const Graph, bool, Operands), Option<Moving>>);

/// The loop of tangents.
struct Moving {
    scan: Scan,
    operands: Operands,
    /// Which result of it is the tangent of each result, if that moves.
    results: Vec<Option<usize>>,
}

impl Tangents {
    /// The tangent of a result, from those of the operands.
    pub(super) fn of(
        &mut self,
        b: &Builder<'_>,
        scan: &Scan,
        operands: &Operands,
        tangents: &[Option<NodeId>],
        mode: Mode,
    ) -> Result<Option<NodeId>, NotDifferentiable> {
        let key = (Arc::as_ptr(&scan.step), scan.reverse, operands.clone());
        let moving = match self.0.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => new.insert(moving(b, scan, operands, tangents, mode)?),
        };
        let Some(moving) = moving else { return Ok(None) };
        let result = moving.results[scan.result];
        Ok(result.map(|result| b.scan(&moving.scan.with_result(result), &moving.operands)))
    }
}

/// Where a step of tangents takes something from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    /// Input of the first step, a slice or whole.
    Operand(usize),
    /// A node of the first step, stacked.
    Stacked(NodeId),
}

fn moving(
    b: &Builder<'_>,
    scan: &Scan,
    operands: &Operands,
    tangents: &[Option<NodeId>],
    mode: Mode,
) -> Result<Option<Moving>, NotDifferentiable> {
    let step = &*scan.step;
    let given: Vec<bool> = tangents.iter().map(Option::is_some).collect();
    let Linearized { graph: derived, seeds, tangents: outputs, moves } =
        linearized(scan, &given, mode)?;
    let states: Vec<usize> = (0..scan.carried).filter(|&i| moves[i]).collect();
    let elements: Vec<usize> =
        (scan.carried..outputs.len()).filter(|&o| outputs[o].is_some()).collect();
    if states.is_empty() && elements.is_empty() {
        return Ok(None);
    }
    let plan = Plan::new(scan, &derived, &seeds, outputs.iter().flatten().copied());
    let is_slice = |&input: &usize| input < scan.carried + scan.sliced;
    let (moving_slices, moving_whole): (Vec<usize>, Vec<usize>) =
        (scan.carried..moves.len()).filter(|&i| moves[i]).partition(is_slice);
    let (slices, whole): (Vec<Source>, Vec<Source>) =
        plan.sources.iter().copied().partition(|source| match source {
            Source::Operand(input) => is_slice(input),
            Source::Stacked(_) => true,
        });

    // The step of tangents.
    let mut graph = Graph::new();
    let t = Builder::new(&mut graph);
    let mut made: FxHashMap<NodeId, NodeId> = FxHashMap::default();
    let ty = |node: NodeId| derived.ty(node).clone();
    let seed = |input: usize| seeds[input].expect("it moves");
    for (number, &input) in states.iter().enumerate() {
        made.insert(seed(input), t.input(format!("state.{number}"), ty(seed(input))));
    }
    for (moving, sources, what) in
        [(&moving_slices, &slices, "slice"), (&moving_whole, &whole, "whole")]
    {
        for (number, &input) in moving.iter().enumerate() {
            made.insert(seed(input), t.input(format!("{what}.{number}"), ty(seed(input))));
        }
        for (number, source) in sources.iter().enumerate() {
            let node = match source {
                Source::Operand(input) => step.inputs()[*input].1,
                Source::Stacked(node) => *node,
            };
            made.insert(node, t.input(format!("kept.{what}.{number}"), ty(node)));
        }
    }
    for id in derived.nodes().filter(|id| plan.wanted[id.index()]) {
        if made.contains_key(&id) {
            continue;
        }
        t.set_origin(derived.node(id).origin);
        let operands: Operands = derived.operands(id).iter().map(|o| made[o]).collect();
        made.insert(id, t.add_op(derived.op(id).clone(), &operands));
    }
    for (number, &state) in states.iter().enumerate() {
        let next = match outputs[state] {
            Some(node) => made[&node],
            None => t.zeros_like(made[&seed(state)]),
        };
        t.output(format!("state.{number}"), next);
    }
    for (number, &element) in elements.iter().enumerate() {
        t.output(format!("element.{number}"), made[&outputs[element].expect("it moves")]);
    }
    drop(t);

    // The first loop again, with what is stacked.
    let stacked: Vec<NodeId> = (slices.iter())
        .filter_map(|s| match s {
            Source::Stacked(node) => Some(*node),
            Source::Operand(_) => None,
        })
        .collect();
    let first = with_elements(scan, &derived, &seeds, &stacked);
    let mut next_stacked = step.outputs().len()..;
    let mut around: Operands = Operands::new();
    for &state in &states {
        around.push(tangents[state].unwrap_or_else(|| b.zeros_like(operands[state])));
    }
    let tangent = |input: &usize| tangents[*input].expect("slices and whole operands move by it");
    around.extend(moving_slices.iter().map(tangent));
    for source in &slices {
        around.push(match source {
            Source::Operand(input) => operands[*input],
            Source::Stacked(_) => {
                let result = next_stacked.next().expect("without end");
                b.scan(&first.with_result(result), operands)
            }
        });
    }
    around.extend(moving_whole.iter().map(tangent));
    for source in &whole {
        let Source::Operand(input) = source else { unreachable!("stacked ones are slices") };
        around.push(operands[*input]);
    }
    around.extend(gate(scan, operands));
    let results = (0..outputs.len()).map(|o| match o < scan.carried {
        true => states.iter().position(|&s| s == o),
        false => elements.iter().position(|&e| e == o).map(|e| states.len() + e),
    });
    let results = results.collect();
    let sliced = moving_slices.len() + slices.len();
    let scan = Scan {
        step: Arc::new(graph.pruned()),
        count: scan.count.clone(),
        carried: states.len(),
        sliced,
        reverse: scan.reverse,
        result: 0,
        gated: scan.gated,
        until: None,
    };
    Ok(Some(Moving { scan, operands: around, results }))
}

/// What says whether the steps are done.
fn gate(scan: &Scan, operands: &[NodeId]) -> Option<NodeId> {
    operands.last().copied().filter(|_| scan.gated)
}

/// A step with its tangents.
struct Linearized {
    /// The step, then the inputs of tangents and the tangents.
    graph: Graph,
    /// The tangent of each input that moves.
    seeds: Vec<Option<NodeId>>,
    /// The tangent of each output that moves.
    tangents: Vec<Option<NodeId>>,
    /// Which inputs move.
    moves: Vec<bool>,
}

fn linearized(scan: &Scan, given: &[bool], mode: Mode) -> Result<Linearized, NotDifferentiable> {
    let step = &*scan.step;
    let mut moves = given.to_vec();
    loop {
        let mut graph = step.clone();
        let mut seeds = vec![None; moves.len()];
        for (number, (name, input)) in step.inputs().iter().enumerate() {
            if moves[number] {
                let node = step.node(*input);
                let name = format!("tangent.{name}");
                seeds[number] = Some(graph.add_input(name, node.ty.clone(), node.origin));
            }
        }
        let pairs: Vec<(NodeId, NodeId)> = (step.inputs().iter().zip(&seeds))
            .filter_map(|((_, input), seed)| Some((*input, (*seed)?)))
            .collect();
        let b = Builder::new(&mut graph);
        let all = linearize(&b, &step.live(), step.len(), &pairs, mode)?;
        drop(b);
        let tangents: Vec<Option<NodeId>> =
            step.outputs().iter().map(|(_, node)| all[node.index()]).collect();
        let more: Vec<usize> =
            (0..scan.carried).filter(|&i| tangents[i].is_some() && !moves[i]).collect();
        if more.is_empty() {
            return Ok(Linearized { graph, seeds, tangents, moves });
        }
        more.into_iter().for_each(|i| moves[i] = true);
    }
}

/// What a step of tangents computes, and what it takes from the first loop.
struct Plan {
    sources: Vec<Source>,
    /// The nodes that are computed, or taken, in the step of tangents.
    wanted: Vec<bool>,
}

impl Plan {
    fn new(
        scan: &Scan,
        derived: &Graph,
        seeds: &[Option<NodeId>],
        outputs: impl Iterator<Item = NodeId>,
    ) -> Plan {
        let mut linear = vec![false; derived.len()];
        let mut input_of: Vec<Option<usize>> = vec![None; derived.len()];
        for (number, (_, input)) in scan.step.inputs().iter().enumerate() {
            input_of[input.index()] = Some(number);
        }
        seeds.iter().flatten().for_each(|seed| linear[seed.index()] = true);
        // What follows from slices and whole operands by cheap work is done again.
        let mut again = vec![false; derived.len()];
        for id in derived.nodes() {
            let operands = derived.operands(id);
            linear[id.index()] |= operands.iter().any(|o| linear[o.index()]);
            again[id.index()] = match derived.op(id) {
                Op::Input(_) => input_of[id.index()].is_some_and(|input| input >= scan.carried),
                Op::Map(_) | Op::Convert(_) | Op::CheckIndex(_) => {
                    operands.iter().all(|o| again[o.index()])
                }
                op => match op.row().class {
                    Class::Source | Class::Iota => true,
                    Class::View(_) | Class::Window => operands.iter().all(|o| again[o.index()]),
                    _ => false,
                },
            };
        }
        let mut plan = Plan { sources: Vec::new(), wanted: vec![false; derived.len()] };
        outputs.for_each(|node| plan.wanted[node.index()] = true);
        for id in derived.nodes().rev() {
            if !plan.wanted[id.index()] {
                continue;
            }
            let view = matches!(derived.op(id).row().class, Class::View(_));
            let input = input_of[id.index()];
            let source = match (linear[id.index()], again[id.index()], input) {
                (false, true, Some(input)) => Some(Source::Operand(input)),
                (false, false, _) if !view => Some(Source::Stacked(id)),
                _ => None,
            };
            match source {
                Some(source) => plan.sources.push(source),
                None => {
                    derived.operands(id).iter().for_each(|o| plan.wanted[o.index()] = true);
                }
            }
        }
        plan.sources.reverse();
        plan
    }
}

/// The loop with nodes of its step as further elements.
fn with_elements(
    scan: &Scan,
    derived: &Graph,
    seeds: &[Option<NodeId>],
    elements: &[NodeId],
) -> Scan {
    let mut step = derived.clone();
    for node in elements {
        // The step may have such elements already, of an earlier derivative.
        step.add_output(format!("kept.{}", step.outputs().len()), *node);
    }
    seeds.iter().flatten().for_each(|seed| step.remove_input(*seed));
    Scan { step: Arc::new(step.pruned()), ..scan.clone() }
}

/// The cotangents of the operands of a loop that is linear in some of them (and in every state),
/// from those of its results.
pub(super) fn cotangents(
    b: &Builder<'_>,
    scan: &Scan,
    operands: &Operands,
    linear: &[bool],
    results: &[Option<NodeId>],
) -> Vec<Option<NodeId>> {
    let step = &*scan.step;
    let ty = |input: usize| step.ty(step.inputs()[input].1).clone();
    let inputs = step.inputs().len();
    let slices = scan.carried..scan.carried + scan.sliced;
    let whole = slices.end..inputs;
    let elements: Vec<usize> =
        (scan.carried..results.len()).filter(|&r| results[r].is_some()).collect();
    let summed: Vec<usize> = whole.clone().filter(|&i| linear[i]).collect();

    let mut graph = Graph::new();
    let t = Builder::new(&mut graph);
    let states: Vec<NodeId> =
        (0..scan.carried).map(|i| t.input(format!("state.{i}"), ty(i))).collect();
    let sums: Vec<NodeId> = (scan.carried..)
        .zip(&summed)
        .map(|(number, &input)| t.input(format!("state.{number}"), ty(input)))
        .collect();
    let element_ty = |r: usize| step.ty(step.outputs()[r].1).clone();
    let given: Vec<NodeId> =
        elements.iter().map(|&r| t.input(format!("slice.{r}"), element_ty(r))).collect();
    let kept = |inputs: std::ops::Range<usize>| -> Vec<(usize, NodeId)> {
        let kept = inputs.filter(|&i| !linear[i]);
        kept.map(|i| (i, t.input(format!("kept.{i}"), ty(i)))).collect()
    };
    let (kept_slices, kept_whole) = (kept(slices.clone()), kept(whole));
    let constants: FxHashMap<usize, NodeId> =
        kept_slices.iter().chain(&kept_whole).copied().collect();
    // Inputs of tangents, which only show what is linear in them.
    let arguments: Vec<NodeId> = (0..inputs)
        .map(|i| {
            let constant = constants.get(&i).copied();
            constant.unwrap_or_else(|| t.input(format!("tangent.{i}"), ty(i)))
        })
        .collect();
    let outputs = t.inline(step, &arguments);
    let mut seeds: Vec<(NodeId, NodeId)> = Vec::new();
    seeds.extend(outputs.iter().copied().zip(states.iter().copied()));
    seeds.extend(elements.iter().zip(&given).map(|(&r, &seed)| (outputs[r], seed)));
    let moving: Vec<(NodeId, NodeId)> = (0..inputs)
        .filter(|i| !constants.contains_key(i))
        .map(|i| (arguments[i], arguments[i]))
        .collect();
    let pulled = transpose(&t, 0, &moving, &seeds);
    let of = |input: usize| pulled[arguments[input].index()];
    for (i, &state) in states.iter().enumerate() {
        t.output(format!("state.{i}"), of(i).unwrap_or_else(|| t.zeros_like(state)));
    }
    for ((number, &input), &sum) in (scan.carried..).zip(&summed).zip(&sums) {
        let sum = of(input).map_or(sum, |more| t.add(sum, more));
        t.output(format!("state.{number}"), sum);
    }
    let linear_slices: Vec<usize> = slices.filter(|&i| linear[i]).collect();
    for &input in &linear_slices {
        let element = of(input).unwrap_or_else(|| t.zeros_like(arguments[input]));
        t.output(format!("element.{input}"), element);
    }
    drop(t);
    moving.iter().for_each(|(input, _)| graph.remove_input(*input));

    let back = Scan {
        step: Arc::new(graph.pruned()),
        count: scan.count.clone(),
        carried: scan.carried + summed.len(),
        sliced: elements.len() + kept_slices.len(),
        reverse: !scan.reverse,
        result: 0,
        gated: scan.gated,
        until: None,
    };
    let mut around: Operands = Operands::new();
    for i in 0..scan.carried {
        around.push(results[i].unwrap_or_else(|| b.zeros_like(operands[i])));
    }
    around.extend(summed.iter().map(|&i| b.zeros_like(operands[i])));
    around.extend(elements.iter().map(|&r| results[r].expect("chosen above")));
    around.extend(kept_slices.iter().chain(&kept_whole).map(|(i, _)| operands[*i]));
    around.extend(gate(scan, operands));
    let result = |number: usize| Some(b.scan(&back.with_result(number), &around));
    let mut cotangents = vec![None; operands.len()];
    for i in (0..scan.carried).filter(|&i| linear[i]) {
        cotangents[i] = result(i);
    }
    for (number, &input) in (scan.carried..).zip(&summed) {
        cotangents[input] = result(number);
    }
    for (number, &input) in (back.carried..).zip(&linear_slices) {
        cotangents[input] = result(number);
    }
    cotangents
}

/// The steps on all lanes of one graph's loops: several nodes are results of one.
#[derive(Default)]
pub(super) struct Steps {
    many: FxHashMap<(*const Graph, usize, Vec<bool>), Many>,
    /// Those of loops that lanes do or do not.
    pub(super) passing: gate::Passing,
}

/// A step on all lanes.
struct Many {
    step: Arc<Graph>,
    /// Which inputs have lanes.
    has: Vec<bool>,
    /// Which outputs have lanes.
    outputs: Vec<bool>,
}

impl Steps {
    /// The step for lanes of these operands.
    fn of(&mut self, scan: &Scan, given: &[bool], size: &Dim) -> &Many {
        let key = (Arc::as_ptr(&scan.step), scan.carried, given.to_vec());
        self.many.entry(key).or_insert_with(|| {
            let step = &*scan.step;
            let mut has = given.to_vec();
            loop {
                let reached = reached(step, &has);
                let more: Vec<usize> = (0..scan.carried)
                    .filter(|&i| reached[step.outputs()[i].1.index()] && !has[i])
                    .collect();
                if more.is_empty() {
                    break;
                }
                more.into_iter().for_each(|i| has[i] = true);
            }
            let state = |output| output < scan.carried && has[output];
            let (many, outputs) = batch_outputs(step, &has, size, &state);
            Many { step: Arc::new(many), has, outputs }
        })
    }
}

/// A result of the loop on many lanes, and whether it has lanes.
pub(super) fn batched(
    b: &Builder<'_>,
    scan: &Scan,
    lanes: &Lanes<'_>,
    steps: &mut Steps,
) -> (NodeId, bool) {
    let inputs = scan.step.inputs().len();
    if scan.gated && lanes.batched[inputs] {
        return gate::chosen(b, scan, lanes, steps);
    }
    let Many { step, has, outputs } = steps.of(scan, &lanes.batched[..inputs], lanes.size);
    let operands: Operands = (0..lanes.operands.len())
        .map(|i| {
            let operand = lanes.operands[i];
            let slice = (scan.carried..scan.carried + scan.sliced).contains(&i);
            match (has.get(i) == Some(&true), lanes.batched[i]) {
                (true, true) if slice => moved(b, operand, 0, 1),
                (true, false) => repeated(b, operand, lanes.size),
                _ => operand,
            }
        })
        .collect();
    // A loop that ends for some lanes goes on for the others.
    let until = scan.until.filter(|&state| !has[state]);
    let node = b.scan(&Scan { step: Arc::clone(step), until, ..scan.clone() }, &operands);
    let has_lanes = outputs[scan.result];
    match has_lanes && scan.result >= scan.carried {
        true => (moved(b, node, 1, 0), true),
        false => (node, has_lanes),
    }
}

/// Which nodes of a graph depend on some of its inputs.
pub(super) fn reached(graph: &Graph, from: &[bool]) -> Vec<bool> {
    let mut reached = vec![false; graph.len()];
    for ((_, input), &from) in graph.inputs().iter().zip(from) {
        reached[input.index()] = from;
    }
    for id in graph.nodes() {
        reached[id.index()] |= graph.operands(id).iter().any(|o| reached[o.index()]);
    }
    reached
}
