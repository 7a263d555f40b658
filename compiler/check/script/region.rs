//! Opening and closing regions: where tensors are between host steps.

use crate::check::typed::{Region, RegionId, SlotId, Step};
use crate::check::value::{Leaf, SizeOrigin, Value};
use crate::check::walk::{Level, Walk, broken_size, integer};
use crate::diag::Span;
use crate::graph::{NodeId, Op, Origin, TensorType};
use rustc_hash::{FxHashMap, FxHashSet};

impl<'w> Walk<'w> {
    /// The input of the open region that reads a slot.
    pub(crate) fn read_slot(&mut self, slot: SlotId) -> NodeId {
        if let Some(&node) = self.levels[0].slots.get(&slot) {
            return node;
        }
        let state = self.script.as_ref().expect("only a script has slots");
        let decl = &state.script.slots[slot.0 as usize];
        let ty = decl.ty.clone();
        let rank = ty.rank();
        let level = &mut self.levels[0];
        let taken = |name: &str| level.graph.inputs().iter().any(|(n, _)| n == name);
        let name = match taken(&decl.name) {
            false => decl.name.clone(),
            true => format!("{}.{}", decl.name, slot.0),
        };
        let node = level.graph.add_input(name, ty, Origin::default());
        level.slots.insert(slot, node);
        for axis in 0..rank {
            if let Some(source) = state.sources.get(&(slot, axis)) {
                let origin = SizeOrigin::Written(source.clone());
                level.origins.insert((node, axis), origin);
            }
        }
        node
    }

    /// Slots for a new `var` of this value.
    pub(crate) fn var_slots(&mut self, name: &str, value: &Value<'w>) -> Vec<SlotId> {
        let mut slots = Vec::new();
        self.each_leaf(name, value, &mut |walk, path, leaf| {
            let ty = walk.leaf_ty(leaf);
            let slot = walk.state().slot(path, ty);
            walk.state().vars.insert(slot);
            slots.push(slot);
        });
        slots
    }

    /// A value for a `let`: what it reads from a `var` is kept apart, since that may change.
    pub(crate) fn snapshot(&mut self, name: &str, value: &Value<'w>) -> Value<'w> {
        value.map_tensors(&mut |leaf| match leaf {
            Leaf::Slot(slot) if self.state().vars.contains(&slot) => {
                let copy = self.copy_of(name, slot);
                Value::Tensor(Leaf::Slot(copy))
            }
            other => Value::Tensor(other),
        })
    }

    /// A new slot with what a slot holds when the open region starts.
    fn copy_of(&mut self, name: &str, from: SlotId) -> SlotId {
        let ty = self.state().slot_ty(from).clone();
        let to = self.state().slot(name.to_string(), ty);
        self.inherit_sources(from, to);
        self.state().push(Step::Copy { from, to });
        to
    }

    fn inherit_sources(&mut self, from: SlotId, to: SlotId) {
        let state = self.state();
        for axis in 0..state.slot_ty(from).rank() {
            if let Some(source) = state.sources.get(&(from, axis)).cloned() {
                state.sources.insert((to, axis), source);
            }
        }
    }

    /// The slot a step after the open region reads a tensor from.
    pub(crate) fn slot_of(&mut self, name: &str, leaf: Leaf) -> SlotId {
        match leaf {
            Leaf::Slot(slot) if self.state().vars.contains(&slot) => self.copy_of(name, slot),
            Leaf::Slot(slot) => slot,
            Leaf::Node(_, node) => match self.input_slot(node) {
                Some(slot) => self.slot_of(name, Leaf::Slot(slot)),
                None => {
                    let slot = self.result_slot(name, node);
                    self.state().forced.push((node, slot));
                    slot
                }
            },
        }
    }

    /// The slot that a node of the open region just reads.
    fn input_slot(&self, node: NodeId) -> Option<SlotId> {
        let level = &self.levels[0];
        match level.graph.op(node) {
            Op::Input(_) => level.slots.iter().find(|(_, n)| **n == node).map(|(slot, _)| *slot),
            _ => None,
        }
    }

    /// A new slot for a node of the open region.
    fn result_slot(&mut self, name: &str, node: NodeId) -> SlotId {
        let ty: TensorType = self.levels[0].graph.ty(node).clone();
        let sources: Vec<_> = (0..ty.rank()).map(|axis| self.trace(node, axis)).collect();
        let graph = &self.levels[0].graph;
        let number = integer(graph.op(node)).or_else(|| broken_size(graph, node));
        let state = self.state();
        let slot = state.slot(name.to_string(), ty);
        if let Some(number) = number {
            state.integers.insert(slot, number);
        }
        for (axis, source) in sources.into_iter().enumerate() {
            if let Some(source) = source {
                state.sources.insert((slot, axis), source);
            }
        }
        slot
    }

    /// Extends the place of the open region.
    pub(crate) fn cover(&mut self, span: Span) {
        let state = self.state();
        state.span = Some(match state.span {
            Some(before) if before.source == span.source => before.to(span),
            _ => span,
        });
    }

    /// Ends the open region: every local moves to slots.
    pub(crate) fn close_region(&mut self) {
        let mut outputs = std::mem::take(&mut self.state().forced);
        let mut copies: Vec<(SlotId, SlotId)> = Vec::new();
        let mut moved: FxHashMap<NodeId, SlotId> = FxHashMap::default();
        for i in 0..self.locals.len() {
            let name = self.locals[i].name.clone();
            let value = std::mem::replace(&mut self.locals[i].value, Value::Unit);
            let value = match self.locals[i].var.clone() {
                Some(var) => self.write_var(&value, &var.slots, &mut outputs, &mut copies),
                None => self.move_let(&name, &value, &mut outputs, &mut moved),
            };
            self.locals[i].value = value;
        }
        let before = self.ordered(&outputs, &mut copies);
        let level = std::mem::take(&mut self.levels[0]);
        let state = self.state();
        for (from, to) in before {
            state.push(Step::Copy { from, to });
        }
        if let Some(region) = finished(level, &outputs, state) {
            let id = RegionId(u32::try_from(state.script.regions.len()).expect("few regions"));
            state.script.regions.push(region);
            state.push(Step::Region(id));
        }
        for (from, to) in copies {
            state.push(Step::Copy { from, to });
        }
        for log in std::mem::take(&mut state.logs) {
            state.push(log);
        }
        state.span = None;
    }

    /// Writes a variable's value to its slots; it is read from there from now on.
    fn write_var(
        &mut self,
        value: &Value<'w>,
        slots: &[SlotId],
        outputs: &mut Vec<(NodeId, SlotId)>,
        copies: &mut Vec<(SlotId, SlotId)>,
    ) -> Value<'w> {
        let mut next = slots.iter();
        value.map_tensors(&mut |leaf| {
            let slot = *next.next().expect("a slot for each leaf");
            let from = match leaf {
                Leaf::Slot(from) => Some(from),
                Leaf::Node(_, node) => self.input_slot(node),
            };
            match (from, leaf) {
                (Some(from), _) if from == slot => {}
                (Some(from), _) => copies.push((from, slot)),
                (None, Leaf::Node(_, node)) => outputs.push((node, slot)),
                (None, Leaf::Slot(_)) => unreachable!("a slot is read from itself"),
            }
            Value::Tensor(Leaf::Slot(slot))
        })
    }

    fn move_let(
        &mut self,
        name: &str,
        value: &Value<'w>,
        outputs: &mut Vec<(NodeId, SlotId)>,
        moved: &mut FxHashMap<NodeId, SlotId>,
    ) -> Value<'w> {
        if tensors(value) == 0 {
            return value.clone();
        }
        // Paths for structs; what functions captured is moved as well.
        let mut names = Vec::new();
        self.each_leaf(name, value, &mut |_, path, _| names.push(path));
        let mut names = names.into_iter();
        value.map_tensors(&mut |leaf| {
            let path = names.next().unwrap_or_else(|| name.to_string());
            let Leaf::Node(_, node) = leaf else { return Value::Tensor(leaf) };
            let slot = match (self.input_slot(node), moved.get(&node)) {
                (Some(slot), _) => self.slot_of(&path, Leaf::Slot(slot)),
                (None, Some(&slot)) => slot,
                (None, None) => {
                    let slot = self.result_slot(&path, node);
                    moved.insert(node, slot);
                    outputs.push((node, slot));
                    slot
                }
            };
            Value::Tensor(Leaf::Slot(slot))
        })
    }

    /// Makes copies safe: one whose source this close writes is taken before, through a slot in
    /// between.
    fn ordered(
        &mut self,
        outputs: &[(NodeId, SlotId)],
        copies: &mut [(SlotId, SlotId)],
    ) -> Vec<(SlotId, SlotId)> {
        let written: FxHashSet<SlotId> =
            outputs.iter().map(|(_, s)| *s).chain(copies.iter().map(|(_, to)| *to)).collect();
        let mut before = Vec::new();
        for (from, _) in copies.iter_mut() {
            if written.contains(from) {
                let state = self.state();
                let ty = state.slot_ty(*from).clone();
                let name = state.script.slots[from.0 as usize].name.clone();
                let between = state.slot(name, ty);
                before.push((*from, between));
                *from = between;
            }
        }
        before
    }

    /// Calls `f` with the path and place of each tensor of a value.
    pub(crate) fn each_leaf(
        &mut self,
        path: &str,
        value: &Value<'w>,
        f: &mut dyn FnMut(&mut Walk<'w>, String, Leaf),
    ) {
        let below = |name: &str| match path.is_empty() {
            true => name.to_string(),
            false => format!("{path}.{name}"),
        };
        match value {
            Value::Tensor(leaf) => f(self, path.to_string(), *leaf),
            Value::Tuple(parts) => {
                for (i, part) in parts.iter().enumerate() {
                    self.each_leaf(&below(&i.to_string()), part, f);
                }
            }
            Value::Record(fields) => {
                for (name, part) in fields.iter() {
                    self.each_leaf(&below(name), part, f);
                }
            }
            Value::Struct(of, parts) => {
                let fields = &self.world.structure(of.def).decl.fields;
                for (field, part) in fields.iter().zip(parts.iter()) {
                    self.each_leaf(&below(&field.name.name), part, f);
                }
            }
            _ => {}
        }
    }
}

/// How many tensors a value holds, those that functions captured included.
fn tensors(value: &Value<'_>) -> usize {
    let mut count = 0;
    value.map_tensors(&mut |leaf| {
        count += 1;
        Value::Tensor(leaf)
    });
    count
}

/// The region of a finished graph, if it computes anything.
fn finished(
    level: Level,
    outputs: &[(NodeId, SlotId)],
    state: &super::ScriptState,
) -> Option<Region> {
    if outputs.is_empty() {
        return None;
    }
    let Level { mut graph, slots, .. } = level;
    for (node, slot) in outputs {
        let name = &state.script.slots[slot.0 as usize].name;
        let taken = graph.outputs().iter().any(|(n, _)| n == name);
        let name = if taken { format!("{name}.{}", slot.0) } else { name.clone() };
        graph.add_output(name, *node);
    }
    let slot_of = |node: NodeId| *slots.iter().find(|(_, n)| **n == node).expect("an input").0;
    let inputs = graph.inputs().iter().map(|(_, node)| (slot_of(*node), false)).collect();
    let nowhere = Span { source: crate::diag::SourceId(0), start: 0, end: 0 };
    Some(Region {
        graph,
        inputs,
        outputs: outputs.iter().map(|(_, slot)| *slot).collect(),
        span: state.span.unwrap_or(nowhere),
    })
}
