//! Removing what nobody reads: results of regions, copies, and with them the work that made them.
//!
//! A backward walk over the steps knows which slots are read afterwards; loops are walked until
//! that does not change. A region then gives only what is read after it, and an input whose slot is
//! not read after it, or is overwritten by it, is marked as dying.

use crate::check::typed::{Region, Script, SlotId, Step, Text, TextPart};
use crate::check::walk::without_dead_nodes;
use crate::graph::Graph;
use rustc_hash::{FxHashMap, FxHashSet};

/// Slots that are read afterwards.
type Live = FxHashSet<SlotId>;

/// Shrinks a script's regions to what is used.
pub(super) fn prune(script: &mut Script) {
    let body = std::mem::take(&mut script.body);
    let mut pruner = Pruner { regions: &script.regions, kept: FxHashMap::default() };
    let nothing = Live::default();
    let (body, _) = pruner.steps(&body, nothing.clone(), &nothing, &nothing);
    let kept = pruner.kept;
    script.body = body;
    // Regions that are left, in their order, under new numbers.
    let mut numbers = FxHashMap::default();
    let mut regions = Vec::new();
    for (i, region) in script.regions.iter().enumerate() {
        if let Some(kept) = kept.get(&(i as u32)) {
            numbers.insert(i as u32, regions.len() as u32);
            regions.push(shrunk(region, kept));
        }
    }
    script.regions = regions;
    renumber(&mut script.body, &numbers);
}

/// What stays of a region.
struct Kept {
    /// Positions of the outputs.
    outputs: Vec<usize>,
    /// Positions of the inputs, and whether each dies.
    inputs: Vec<(usize, bool)>,
}

struct Pruner<'a> {
    regions: &'a [Region],
    kept: FxHashMap<u32, Kept>,
}

impl Pruner<'_> {
    /// The steps that are left and what is live before them, given what is live after them, at the
    /// end of the loop around them, and at its next turn.
    fn steps(
        &mut self,
        steps: &[Step],
        mut live: Live,
        after_loop: &Live,
        next_turn: &Live,
    ) -> (Vec<Step>, Live) {
        let mut left = Vec::with_capacity(steps.len());
        for step in steps.iter().rev() {
            let (step, before) = self.step(step, live, after_loop, next_turn);
            left.extend(step);
            live = before;
        }
        left.reverse();
        (left, live)
    }

    fn step(
        &mut self,
        step: &Step,
        mut live: Live,
        after_loop: &Live,
        next_turn: &Live,
    ) -> (Option<Step>, Live) {
        match step {
            Step::Region(id) => {
                let kept = self.keep(&self.regions[id.0 as usize], &live);
                let region = &self.regions[id.0 as usize];
                if kept.outputs.is_empty() {
                    self.kept.remove(&id.0);
                    return (None, live);
                }
                for &output in &kept.outputs {
                    live.remove(&region.outputs[output]);
                }
                live.extend(kept.inputs.iter().map(|(input, _)| region.inputs[*input].0));
                self.kept.insert(id.0, kept);
                return (Some(step.clone()), live);
            }
            Step::Copy { from, to } => {
                if !live.remove(to) {
                    return (None, live);
                }
                live.insert(*from);
            }
            Step::Load { path, leaves, .. } => {
                for leaf in leaves {
                    live.remove(&leaf.slot);
                }
                read_text(path, &mut live);
            }
            Step::Save { path, leaves, .. } => {
                live.extend(leaves.iter().map(|(_, slot)| *slot));
                read_text(path, &mut live);
            }
            Step::Print(text) => read_text(text, &mut live),
            Step::Log(values) => live.extend(values.iter().map(|(_, slot)| *slot)),
            Step::Assert { condition, message, .. } => {
                live.insert(*condition);
                read_text(message, &mut live);
            }
            Step::Range { var, start, end, body } => {
                let (body, mut live) = self.turns(body, live, &|before| {
                    before.remove(var);
                });
                live.extend([*start, *end]);
                let (var, start, end) = (*var, *start, *end);
                return (Some(Step::Range { var, start, end, body }), live);
            }
            Step::Batches { data, size, shuffle, order, drop_last, dim, body, span } => {
                // The whole tensors are read at each turn.
                live.extend(data.iter().map(|(whole, _)| *whole));
                live.extend(order);
                let (body, mut live) = self.turns(body, live, &|before| {
                    for (_, batch) in data {
                        before.remove(batch);
                    }
                    before.extend(data.iter().map(|(whole, _)| *whole));
                    before.extend(order);
                });
                live.insert(*size);
                live.extend(shuffle);
                let step = Step::Batches {
                    data: data.clone(),
                    size: *size,
                    shuffle: *shuffle,
                    order: *order,
                    drop_last: *drop_last,
                    dim: dim.clone(),
                    body,
                    span: *span,
                };
                return (Some(step), live);
            }
            Step::If { condition, then, otherwise } => {
                let (then, mut before) = self.steps(then, live.clone(), after_loop, next_turn);
                let (otherwise, other) = self.steps(otherwise, live, after_loop, next_turn);
                before.extend(other);
                before.insert(*condition);
                return (Some(Step::If { condition: *condition, then, otherwise }), before);
            }
            Step::While { head, condition, body, limit, span } => {
                let after = live.clone();
                let mut turn = live.clone();
                loop {
                    let (new_body, before_body) =
                        self.steps(body, turn.clone(), &after, &turn.clone());
                    let mut at_condition: Live = after.union(&before_body).copied().collect();
                    at_condition.insert(*condition);
                    let (new_head, before) = self.steps(head, at_condition, &after, &turn);
                    let grown: Live = turn.union(&before).copied().collect();
                    if grown == turn {
                        let mut before = before;
                        before.insert(*limit);
                        let step = Step::While {
                            head: new_head,
                            condition: *condition,
                            body: new_body,
                            limit: *limit,
                            span: *span,
                        };
                        return (Some(step), before);
                    }
                    turn = grown;
                }
            }
            Step::Break => return (Some(Step::Break), after_loop.clone()),
            Step::Continue => return (Some(Step::Continue), next_turn.clone()),
        }
        (Some(step.clone()), live)
    }

    /// A loop's body and what is live before the loop. `entering` turns what is live before the
    /// body's steps into what is live before a turn.
    fn turns(
        &mut self,
        body: &[Step],
        after: Live,
        entering: &dyn Fn(&mut Live),
    ) -> (Vec<Step>, Live) {
        let mut turn = after.clone();
        loop {
            let (left, mut before) = self.steps(body, turn.clone(), &after, &turn.clone());
            entering(&mut before);
            let grown: Live = turn.union(&before).copied().collect();
            if grown == turn {
                return (left, turn);
            }
            turn = grown;
        }
    }

    /// What of a region is used where these slots are live after it.
    fn keep(&self, region: &Region, live: &Live) -> Kept {
        let outputs: Vec<usize> =
            (0..region.outputs.len()).filter(|&i| live.contains(&region.outputs[i])).collect();
        let used = reached(&region.graph, &outputs);
        let written: Live = outputs.iter().map(|&i| region.outputs[i]).collect();
        let inputs = region
            .graph
            .inputs()
            .iter()
            .enumerate()
            .filter(|(_, (_, node))| used[node.index()])
            .map(|(i, _)| {
                let slot = region.inputs[i].0;
                (i, written.contains(&slot) || !live.contains(&slot))
            })
            .collect();
        Kept { outputs, inputs }
    }
}

fn read_text(text: &Text, live: &mut Live) {
    for part in text {
        if let TextPart::Value(slot, _) = part {
            live.insert(*slot);
        }
    }
}

/// Which nodes these outputs need.
fn reached(graph: &Graph, outputs: &[usize]) -> Vec<bool> {
    let mut used = vec![false; graph.len()];
    for &output in outputs {
        used[graph.outputs()[output].1.index()] = true;
    }
    for node in graph.nodes().rev() {
        if used[node.index()] {
            for operand in graph.operands(node) {
                used[operand.index()] = true;
            }
        }
    }
    used
}

/// The region with what is kept of it.
fn shrunk(region: &Region, kept: &Kept) -> Region {
    // The graph with the outputs that are kept, then without the inputs that they do not need.
    let mut graph = region.graph.clone();
    graph.clear_outputs();
    for &output in &kept.outputs {
        let (name, node) = &region.graph.outputs()[output];
        graph.add_output(name.clone(), *node);
    }
    let graph = without_dead_nodes(&graph, false);
    Region {
        graph,
        inputs: kept.inputs.iter().map(|&(i, dies)| (region.inputs[i].0, dies)).collect(),
        outputs: kept.outputs.iter().map(|&i| region.outputs[i]).collect(),
        span: region.span,
    }
}

fn renumber(steps: &mut [Step], numbers: &FxHashMap<u32, u32>) {
    for step in steps {
        match step {
            Step::Region(id) => id.0 = numbers[&id.0],
            Step::Range { body, .. } | Step::Batches { body, .. } => renumber(body, numbers),
            Step::If { then, otherwise, .. } => {
                renumber(then, numbers);
                renumber(otherwise, numbers);
            }
            Step::While { head, body, .. } => {
                renumber(head, numbers);
                renumber(body, numbers);
            }
            Step::Copy { .. }
            | Step::Load { .. }
            | Step::Save { .. }
            | Step::Print(_)
            | Step::Log(_)
            | Step::Break
            | Step::Continue
            | Step::Assert { .. } => {}
        }
    }
}
