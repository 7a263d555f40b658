//! Joining bodies: the instructions of several bodies as one, values handed on in registers.

use crate::kernel::lower::lane_stride;
use crate::kernel::walk::Walk;
use crate::kernel::{Access, Body, BufferId, RowValue};
use crate::vector::{Builder, Inst, Slot, Stride, Type, Value};
use rustc_hash::FxHashMap;
use tensc_runtime::DType;

/// A body in another space: its accesses and the positions it asks for, over the new axes.
pub struct Part<'b> {
    /// The body as it was.
    pub body: &'b Body,
    /// The access of each slot.
    pub accesses: Vec<Access>,
    /// For each axis of the old space, its position as a walk over the new axes.
    pub positions: Vec<Option<Walk>>,
}

impl<'b> Part<'b> {
    /// A body over axes as they are.
    pub fn unmoved(body: &'b Body, rank: usize) -> Part<'b> {
        let position = |axis: usize| {
            let mut walk = Walk::still(rank);
            walk.strides[axis] = 1;
            Some(walk)
        };
        Part { body, accesses: body.slots.clone(), positions: (0..rank).map(position).collect() }
    }
}

/// Bodies becoming one.
#[derive(Default)]
pub struct Weave {
    /// The joint program.
    pub b: Builder,
    slots: Vec<Access>,
    loads: FxHashMap<Access, Slot>,
    stores: Vec<(Access, DType, Value)>,
    forwarded: FxHashMap<BufferId, (Value, DType)>,
    row_loads: FxHashMap<BufferId, Value>,
}

impl Weave {
    /// Appends a part; returns the value of each of its instructions. Its accumulators and yields
    /// are the caller's business.
    pub fn part(&mut self, part: &Part<'_>, params: &[Value]) -> Vec<Value> {
        let program = &part.body.program;
        let mut values: Vec<Value> = Vec::with_capacity(program.insts.len());
        let mut stored: Vec<(BufferId, Value, DType)> = Vec::new();
        for inst in &program.insts {
            let value = match *inst {
                Inst::Param(p) => params[p.0 as usize],
                Inst::Load(slot) => {
                    let at = slot.0 as usize;
                    self.load(&part.accesses[at], program.slots[at].dtype)
                }
                Inst::Gather(slot, index) => {
                    let at = slot.0 as usize;
                    let slot = self.slot(&part.accesses[at], program.slots[at].dtype);
                    self.b.gather(slot, values[index.0 as usize])
                }
                Inst::Store(slot, value) => {
                    let at = slot.0 as usize;
                    let (access, dtype) = (&part.accesses[at], program.slots[at].dtype);
                    let value = values[value.0 as usize];
                    self.stores.push((access.clone(), dtype, value));
                    stored.push((access.buffer, value, dtype));
                    value
                }
                Inst::Index(axis) => {
                    let walk = part.positions[axis as usize].as_ref();
                    self.position(walk.expect("positions that are asked for carry over"))
                }
                ref other => self.b.push(other.map(|v| values[v.0 as usize])),
            };
            values.push(value);
        }
        for (buffer, value, dtype) in stored {
            self.forwarded.insert(buffer, (value, dtype));
        }
        values
    }

    /// From now on, loads of the buffer are this value.
    pub fn replace_loads(&mut self, buffer: BufferId, value: Value) {
        self.row_loads.insert(buffer, value);
    }

    /// Forgets the stores to a buffer.
    pub fn drop_stores(&mut self, drop: impl Fn(BufferId) -> bool) {
        self.stores.retain(|(access, ..)| !drop(access.buffer));
    }

    /// The joint body: all stores come last.
    pub fn finish(mut self, params: Vec<RowValue>) -> Body {
        for (access, dtype, value) in std::mem::take(&mut self.stores) {
            let stride = match lane_stride(&access) {
                Stride::Splat => Stride::Unit,
                stride => stride,
            };
            let slot = self.b.slot(dtype, stride);
            self.slots.push(access);
            self.b.store(slot, value);
        }
        prune(Body { program: self.b.finish(), slots: self.slots, params })
    }

    fn load(&mut self, access: &Access, dtype: DType) -> Value {
        if let Some(&value) = self.row_loads.get(&access.buffer) {
            return value;
        }
        if let Some(&(value, dtype)) = self.forwarded.get(&access.buffer) {
            // What was stored is what a load would give.
            return self.b.through(dtype, value);
        }
        let slot = self.slot(access, dtype);
        self.b.load(slot)
    }

    fn slot(&mut self, access: &Access, dtype: DType) -> Slot {
        if let Some(&slot) = self.loads.get(access) {
            return slot;
        }
        let slot = self.b.slot(dtype, lane_stride(access));
        self.slots.push(access.clone());
        self.loads.insert(access.clone(), slot);
        slot
    }

    fn position(&self, walk: &Walk) -> Value {
        let b = &self.b;
        let mut sum = b.i(Type::I64, walk.offset);
        for (axis, &stride) in walk.strides.iter().enumerate().filter(|(_, s)| **s != 0) {
            sum = b.add(sum, b.mul(b.index(axis as u32), b.i(Type::I64, stride)));
        }
        sum
    }
}

/// Drops the slots and parameters that no instruction uses. (Parameters before the row values are
/// accumulators and stay.)
pub fn prune(mut body: Body) -> Body {
    let slot_of = |inst: &Inst| match *inst {
        Inst::Load(slot) | Inst::Gather(slot, _) | Inst::Store(slot, _) => Some(slot),
        _ => None,
    };
    let mut used = vec![false; body.slots.len()];
    for slot in body.program.insts.iter().filter_map(slot_of) {
        used[slot.0 as usize] = true;
    }
    if used.iter().all(|&u| u) {
        return body;
    }
    let mut number = 0;
    let renumbered: Vec<Slot> = used
        .iter()
        .map(|&u| {
            number += u32::from(u);
            Slot(number.wrapping_sub(1))
        })
        .collect();
    for inst in &mut body.program.insts {
        match inst {
            Inst::Load(slot) | Inst::Gather(slot, _) | Inst::Store(slot, _) => {
                *slot = renumbered[slot.0 as usize];
            }
            _ => {}
        }
    }
    let mut keep = used.iter();
    body.slots.retain(|_| *keep.next().expect("one flag a slot"));
    let mut keep = used.iter();
    body.program.slots.retain(|_| *keep.next().expect("one flag a slot"));
    body
}
