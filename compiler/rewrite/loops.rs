//! Loops before rewriting: one for all their results, with the least in each step, optimised.
//!
//! Every result of a loop is a node of its own, and differentiation repeats a loop with a step that
//! gives more. Here those that go over the same operands become one step again; states, operands
//! and elements that nobody needs are dropped; what each step would compute alike is computed
//! once, before; and the step is rewritten as any other graph.

use super::{LoopNote, Options, optimise};
use crate::graph::ops::{Class, Scan};
use crate::graph::{Builder, Graph, NodeId, Op, Operands};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// The graph with its loops tidied up and their steps optimised; `None` where it has none. Says
/// what it did.
pub fn tidy(graph: &Graph, options: &Options, notes: &mut Vec<LoopNote>) -> Option<Graph> {
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
                    let alike =
                        |s: &Scan| (s.count.clone(), s.carried, s.sliced, s.reverse, s.gated);
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
            for (member, node) in merged.finish(&b, &operands, options, notes) {
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
    /// The different steps.
    steps: Vec<Arc<Graph>>,
}

impl Merged {
    fn new(scan: &Scan) -> Merged {
        let steps = vec![Arc::clone(&scan.step)];
        Merged { scan: scan.clone(), step: scan.step.pruned(), wanted: Vec::new(), steps }
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
        if self.steps.iter().all(|step| *step != scan.step) {
            self.steps.push(Arc::clone(&scan.step));
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
        notes: &mut Vec<LoopNote>,
    ) -> Vec<(NodeId, NodeId)> {
        let Merged { scan, step, wanted, steps } = self;
        let span = b.origin().span;
        let results: Vec<usize> = wanted.iter().map(|(_, result)| *result).collect();
        let least = Least::of(&scan, &step, &results);
        let kept = |&i: &usize| least.input(i, &step) && !least.still[i];
        let moving: Vec<usize> = (0..scan.carried).filter(kept).collect();
        let mut elements: Vec<usize> =
            results.iter().copied().filter(|&r| r >= scan.carried).collect();
        elements.sort_unstable();
        elements.dedup();

        let mut graph = Graph::new();
        let mut smaller = Smaller {
            b,
            s: Builder::new(&mut graph),
            step: &step,
            operands,
            around: Operands::new(),
            map: FxHashMap::default(),
            outside: FxHashMap::default(),
            before: 0,
        };
        let sliced = smaller.inputs(&scan, &least, &moving);
        // What no step changes is computed around the loop, if there surely is one.
        let once = !scan.gated && scan.count.known().is_some_and(|n| n > 0);
        smaller.nodes(&least, once);
        smaller.outputs(&moving, &elements);
        let (mut around, before) = (smaller.around, smaller.before);
        drop(smaller.s);
        let (step, inner) = optimise(&used(&graph, moving.len() + sliced, &mut around), options);
        notes.extend(inner.loops);
        let done = done(steps.len(), scan.carried - moving.len(), before);
        if !done.is_empty() {
            let what = format!("{} steps: {}", scan.count, done.join(", "));
            notes.push(LoopNote { span, what });
        }
        if scan.gated {
            around.extend(operands.last().copied());
        }
        let until = scan.until.and_then(|state| moving.iter().position(|&m| m == state));
        let (step, carried) = (Arc::new(step), moving.len());
        let scan = Scan { step, carried, sliced, until, result: 0, ..scan };
        let place = |result: usize| match elements.iter().position(|&e| e == result) {
            Some(element) => Some(carried + element),
            None => moving.iter().position(|&m| m == result),
        };
        let node = |result: usize| match place(result) {
            Some(place) => b.scan(&scan.with_result(place), &around),
            None => operands[result],
        };
        wanted.iter().map(|&(member, result)| (member, node(result))).collect()
    }
}

/// A loop with less in its step, in the making.
struct Smaller<'a, 'b, 'g> {
    /// The graph around.
    b: &'a Builder<'b>,
    /// The smaller step.
    s: Builder<'g>,
    step: &'a Graph,
    /// Of the loop as it was.
    operands: &'a Operands,
    /// Of the smaller one.
    around: Operands,
    /// Where the nodes of the step are in the smaller one.
    map: FxHashMap<NodeId, NodeId>,
    /// For nodes of the smaller step that are the same in all steps the node around.
    outside: FxHashMap<NodeId, NodeId>,
    /// How many operations are done before the loop.
    before: usize,
}

impl Smaller<'_, '_, '_> {
    fn input(&mut self, number: usize, name: String) -> NodeId {
        self.around.push(self.operands[number]);
        let node = self.step.node(self.step.inputs()[number].1);
        self.s.set_origin(node.origin);
        self.s.input(name, node.ty.clone())
    }

    /// Makes the inputs: states that move, slices, whole operands. A state that no step changes is
    /// an operand, and an operand that is given twice is read once. Gives the number of slices.
    fn inputs(&mut self, scan: &Scan, least: &Least, moving: &[usize]) -> usize {
        let step = self.step;
        let (states, slices) = (scan.carried, scan.carried + scan.sliced);
        let inner = |number: usize| step.inputs()[number].1;
        let kept = |range: std::ops::Range<usize>| range.filter(|&i| least.input(i, step));
        for (place, &number) in moving.iter().enumerate() {
            let node = self.input(number, format!("state.{place}"));
            self.map.insert(inner(number), node);
        }
        let mut known: FxHashMap<NodeId, NodeId> = FxHashMap::default();
        for number in kept(states..slices) {
            let operand = self.operands[number];
            let node = match known.get(&operand) {
                Some(&node) => node,
                None => self.input(number, format!("slice.{}", known.len() + 1)),
            };
            known.insert(operand, node);
            self.map.insert(inner(number), node);
        }
        let sliced = known.len();
        known.clear();
        let still = kept(0..states).filter(|&i| least.still[i]);
        for number in still.chain(kept(slices..step.inputs().len())) {
            let operand = self.operands[number];
            let node = match known.get(&operand) {
                Some(&node) => node,
                None => self.input(number, format!("whole.{}", self.around.len())),
            };
            known.insert(operand, node);
            self.map.insert(inner(number), node);
            self.outside.insert(node, operand);
        }
        sliced
    }

    /// Makes the nodes; what is the same in all steps around the loop, if it is done `once` there.
    fn nodes(&mut self, least: &Least, once: bool) {
        let step = self.step;
        for id in step.nodes().filter(|id| least.nodes[id.index()]) {
            if self.map.contains_key(&id) {
                continue;
            }
            let (op, origin) = (step.op(id).clone(), step.node(id).origin);
            let inside: Operands = step.operands(id).iter().map(|o| self.map[o]).collect();
            self.s.set_origin(origin);
            let given = inside.iter().map(|o| self.outside.get(o).copied());
            let given: Option<Operands> = given.collect();
            let Some(given) = given.filter(|_| once) else {
                self.map.insert(id, self.s.add_op(op, &inside));
                continue;
            };
            let before = self.b.set_origin(origin);
            let node = self.b.add_op(op.clone(), &given);
            self.b.set_origin(before);
            // Views and sources cost nothing inside, so that what reads them can be fused.
            let new = match op.row().class {
                Class::Source | Class::Iota | Class::View(_) | Class::Window => {
                    self.s.add_op(op, &inside)
                }
                _ => {
                    self.before += 1;
                    self.around.push(node);
                    self.s.input(format!("whole.{}", self.around.len()), self.b.ty(node))
                }
            };
            self.outside.insert(new, node);
            self.map.insert(id, new);
        }
    }

    fn outputs(&self, moving: &[usize], elements: &[usize]) {
        let of = |number: usize| self.map[&self.step.outputs()[number].1];
        for (place, &number) in moving.iter().enumerate() {
            self.s.output(format!("state.{place}"), of(number));
        }
        for &number in elements {
            self.s.output(format!("element.{number}"), of(number));
        }
    }
}

/// What became of a loop, in words.
fn done(loops: usize, states: usize, before: usize) -> Vec<String> {
    let counted = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
    let mut done = Vec::new();
    if loops > 1 {
        done.push(format!("{loops} loops over the same operands are one"));
    }
    if states > 0 {
        let is = if states == 1 { "is" } else { "are" };
        done.push(format!("{} {is} not carried", counted(states, "state")));
    }
    if before > 0 {
        let is = if before == 1 { "is" } else { "are" };
        done.push(format!("{} {is} done once before", counted(before, "operation")));
    }
    done
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
