//! Loops before rewriting: one for all their results, with the least in each step, optimised.
//!
//! Every result of a loop is a node of its own, and differentiation repeats a loop with a step that
//! gives more. Here those that go over the same operands become one step again; states, operands
//! and elements that nobody needs are dropped; what each step would compute alike is computed
//! once, before; and the step is rewritten as any other graph.

use super::{Options, optimise};
use crate::graph::ops::{Class, Scan};
use crate::graph::{Builder, Graph, NodeId, Op, Operands};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// The graph with its loops tidied up and their steps optimised; `None` where it has none.
pub fn tidy(graph: &Graph, options: &Options) -> Option<Graph> {
    let live = graph.live();
    let is_loop = |id: &NodeId| live[id.index()] && matches!(graph.op(*id), Op::Scan(_));
    let loops: Vec<NodeId> = graph.nodes().filter(is_loop).collect();
    if loops.is_empty() {
        return None;
    }
    let mut tidied = Graph::new();
    let b = Builder::new(&mut tidied);
    let mut map: Vec<Option<NodeId>> = vec![None; graph.len()];
    for (name, input) in graph.inputs() {
        let node = graph.node(*input);
        b.set_origin(node.origin);
        map[input.index()] = Some(b.input(name, node.ty.clone()));
    }
    for id in graph.nodes().filter(|id| live[id.index()]) {
        if map[id.index()].is_some() {
            continue;
        }
        let node = graph.node(id);
        b.set_origin(node.origin);
        let operands: Operands =
            graph.operands(id).iter().map(|o| map[o.index()].expect("in order")).collect();
        if let Op::Scan(scan) = &node.op {
            let same = |other: &NodeId| match graph.op(*other) {
                Op::Scan(found) => {
                    let alike = |s: &Scan| (s.count.clone(), s.carried, s.sliced, s.reverse);
                    alike(found) == alike(scan) && graph.operands(*other) == graph.operands(id)
                }
                _ => false,
            };
            let group: Vec<NodeId> = loops.iter().copied().filter(same).collect();
            let mut merged = Merged::new(scan);
            for member in group {
                let Op::Scan(found) = graph.op(member) else { unreachable!("chosen so") };
                if let Some(result) = merged.add(found) {
                    merged.wanted.push((member, result));
                }
            }
            for (member, node) in merged.finish(&b, &operands, options) {
                map[member.index()] = Some(node);
            }
            continue;
        }
        map[id.index()] = Some(b.add_op(node.op.clone(), &operands));
    }
    for (name, node) in graph.outputs() {
        b.output(name, map[node.index()].expect("outputs are live"));
    }
    drop(b);
    Some(tidied)
}

/// Steps over the same operands as one.
struct Merged {
    scan: Scan,
    /// The step so far: inputs and states are those of the first.
    step: Graph,
    /// Each node that wants a result, and which.
    wanted: Vec<(NodeId, usize)>,
}

impl Merged {
    fn new(scan: &Scan) -> Merged {
        Merged { scan: scan.clone(), step: scan.step.pruned(), wanted: Vec::new() }
    }

    /// Takes in the step of a loop, if its states go the same way; gives the number that its
    /// result has here.
    fn add(&mut self, scan: &Scan) -> Option<usize> {
        if scan.step == self.scan.step {
            return Some(scan.result);
        }
        let inputs: Vec<NodeId> = self.step.inputs().iter().map(|(_, n)| *n).collect();
        let outputs = self.step.outputs().to_vec();
        let nodes = Builder::new(&mut self.step).inline(&scan.step, &inputs);
        let states = nodes.iter().zip(&outputs).take(scan.carried);
        if states.into_iter().any(|(node, (_, own))| node != own) {
            return None;
        }
        if scan.result < scan.carried {
            return Some(scan.result);
        }
        let node = nodes[scan.result];
        let elements = outputs.iter().enumerate().skip(scan.carried);
        let known = elements.into_iter().find(|(_, (_, own))| *own == node);
        Some(known.map(|(number, _)| number).unwrap_or_else(|| {
            self.step.add_output(format!("element.{}", outputs.len()), node);
            outputs.len()
        }))
    }

    /// The nodes that stand for the wanted results.
    fn finish(
        self,
        b: &Builder<'_>,
        operands: &Operands,
        options: &Options,
    ) -> Vec<(NodeId, NodeId)> {
        let Merged { scan, step, wanted } = self;
        let results: Vec<usize> = wanted.iter().map(|(_, result)| *result).collect();
        let least = Least::of(&scan, &step, &results);
        let mut around: Operands = Operands::new();
        let mut graph = Graph::new();
        let s = Builder::new(&mut graph);
        let mut map: FxHashMap<NodeId, NodeId> = FxHashMap::default();
        // A state that no step changes is an operand.
        let (states, slices) = (scan.carried, scan.carried + scan.sliced);
        let input = |number: usize| step.inputs()[number].1;
        let kept = |range: std::ops::Range<usize>| range.filter(|&i| least.input(i, &step));
        let moving: Vec<usize> = kept(0..states).filter(|&i| !least.still[i]).collect();
        let whole = kept(0..states).filter(|&i| least.still[i]).chain(kept(slices..operands.len()));
        let add = |number: usize, name: String, around: &mut Operands| {
            around.push(operands[number]);
            s.set_origin(step.node(input(number)).origin);
            s.input(name, step.ty(input(number)).clone())
        };
        for (place, &number) in moving.iter().enumerate() {
            map.insert(input(number), add(number, format!("state.{place}"), &mut around));
        }
        let mut known: FxHashMap<NodeId, NodeId> = FxHashMap::default();
        let mut sliced = 0;
        for number in kept(states..slices) {
            // An operand that is given twice is read once.
            let node = *known.entry(operands[number]).or_insert_with(|| {
                sliced += 1;
                add(number, format!("slice.{sliced}"), &mut around)
            });
            map.insert(input(number), node);
        }
        known.clear();
        let mut whole_inputs: Vec<(NodeId, NodeId)> = Vec::new();
        for number in whole {
            let node = *known
                .entry(operands[number])
                .or_insert_with(|| add(number, format!("whole.{}", around.len()), &mut around));
            whole_inputs.push((node, operands[number]));
            map.insert(input(number), node);
        }
        // What no step changes is computed around the loop.
        let mut outside: FxHashMap<NodeId, NodeId> = whole_inputs.into_iter().collect();
        let once = scan.count.known().is_some_and(|n| n > 0);
        for id in step.nodes().filter(|id| least.nodes[id.index()]) {
            if map.contains_key(&id) {
                continue;
            }
            let (op, origin) = (step.op(id).clone(), step.node(id).origin);
            let inside: Operands = step.operands(id).iter().map(|o| map[o]).collect();
            s.set_origin(origin);
            let given: Option<Operands> = inside.iter().map(|o| outside.get(o).copied()).collect();
            let source = matches!(op.row().class, Class::Source | Class::Iota);
            let Some(given) = given.filter(|_| once) else {
                map.insert(id, s.add_op(op, &inside));
                continue;
            };
            let before = b.set_origin(origin);
            let node = b.add_op(op.clone(), &given);
            b.set_origin(before);
            // Views and sources cost nothing inside, so that what reads them can be fused.
            let view = matches!(op.row().class, Class::View(_) | Class::Window);
            let new = match source || view {
                true => s.add_op(op, &inside),
                false => {
                    around.push(node);
                    s.input(format!("whole.{}", around.len()), b.ty(node))
                }
            };
            outside.insert(new, node);
            map.insert(id, new);
        }
        for (place, &number) in moving.iter().enumerate() {
            s.output(format!("state.{place}"), map[&step.outputs()[number].1]);
        }
        let mut elements: Vec<usize> = results.iter().copied().filter(|&r| r >= states).collect();
        elements.sort_unstable();
        elements.dedup();
        for &number in &elements {
            s.output(format!("element.{number}"), map[&step.outputs()[number].1]);
        }
        drop(s);
        let (step, _) = optimise(&used(&graph, moving.len() + sliced, &mut around), options);
        let scan =
            Scan { step: Arc::new(step), carried: moving.len(), sliced, result: 0, ..scan.clone() };
        let place = |result: usize| match result < states {
            true => moving.iter().position(|&m| m == result),
            false => elements.iter().position(|&e| e == result).map(|e| moving.len() + e),
        };
        let node = |result: usize| match place(result) {
            Some(place) => b.scan(&scan.with_result(place), &around),
            None => operands[result],
        };
        wanted.iter().map(|&(member, result)| (member, node(result))).collect()
    }
}

/// The graph without inputs from number `first` on that nothing in it reads; their operands go too.
fn used(graph: &Graph, first: usize, around: &mut Operands) -> Graph {
    let live = graph.live();
    let mut graph = graph.clone();
    let inputs = graph.inputs().to_vec();
    for (number, (_, input)) in inputs.iter().enumerate().skip(first).rev() {
        if !live[input.index()] {
            graph.remove_input(*input);
            around.remove(number);
        }
    }
    graph.pruned()
}

/// What of a step the wanted results need.
struct Least {
    /// Which nodes.
    nodes: Vec<bool>,
    /// Which states stay as they are.
    still: Vec<bool>,
}

impl Least {
    fn of(scan: &Scan, step: &Graph, results: &[usize]) -> Least {
        let (inputs, outputs) = (step.inputs(), step.outputs());
        let still: Vec<bool> = (0..scan.carried).map(|i| inputs[i].1 == outputs[i].1).collect();
        let mut nodes = vec![false; step.len()];
        let wanted = results.iter().copied().filter(|&r| r >= scan.carried || !still[r]);
        let mut outputs_wanted: Vec<usize> = wanted.collect();
        loop {
            outputs_wanted.iter().for_each(|&o| nodes[outputs[o].1.index()] = true);
            for id in step.nodes().rev().filter(|id| nodes[id.index()]).collect::<Vec<_>>() {
                mark(step, id, &mut nodes);
            }
            let more: Vec<usize> = (0..scan.carried)
                .filter(|&i| nodes[inputs[i].1.index()] && !still[i])
                .filter(|i| !outputs_wanted.contains(i))
                .collect();
            if more.is_empty() {
                break;
            }
            outputs_wanted.extend(more);
        }
        // A state whose last value is wanted is carried even if no step reads it.
        for &output in outputs_wanted.iter().filter(|&&o| o < scan.carried) {
            nodes[inputs[output].1.index()] = true;
        }
        Least { nodes, still }
    }

    fn input(&self, number: usize, step: &Graph) -> bool {
        self.nodes[step.inputs()[number].1.index()]
    }
}

/// Marks what a node is computed from.
fn mark(step: &Graph, node: NodeId, nodes: &mut [bool]) {
    let mut stack = vec![node];
    while let Some(node) = stack.pop() {
        for operand in step.operands(node) {
            if !std::mem::replace(&mut nodes[operand.index()], true) {
                stack.push(operand);
            }
        }
    }
}
