//! Accumulators: what a combination does to groups of lanes, and how lanes become one value.
//!
//! Invariant: a fold across lanes has [`FOLD_LANES`] partial results on every target; the element
//! at lane `i` goes to partial result `i % FOLD_LANES`, and these are combined as a tree by
//! halves. So the bits of a float sum depend on the extents only.
//!
//! Neighbours: `vector::reference` defines the combinations; `nest` places the loops.

use super::lanes::{Group, Lanes, Parts, lane_type, plain};
use crate::vector::{Binary, Combine, Compare, Program, Type, reference};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder, StackSlot, StackSlotData, StackSlotKind, types};
use smallvec::SmallVec;

/// Partial results of a fold across lanes: as many as AVX-512 adds while it waits for one sum.
pub(super) const FOLD_LANES: u32 = 32;

/// Lanes of a group that is folded here, at most.
pub(super) const FOLD_GROUP: u32 = 16;

/// The state of one accumulator for a group of lanes: the value, and for `ArgMax` and `ArgMin`
/// the index where it stood.
#[derive(Clone)]
pub(super) struct State {
    pub value: Lanes,
    pub index: Option<Lanes>,
}

impl State {
    /// All parts, with masks in their canonical width: what a loop carries.
    pub fn carried(&self, g: &mut Group, into: &mut Vec<ir::Value>) {
        into.extend(g.canonical(&self.value));
        if let Some(index) = &self.index {
            into.extend(index.parts.iter().copied());
        }
    }

    /// The inverse of [`State::carried`]: takes the parts of this state off the front.
    pub fn from_carried(
        g: &Group,
        combine: Combine,
        ty: Type,
        carried: &mut &[ir::Value],
    ) -> State {
        let mut take = |ty: Type| {
            let (parts, rest) = carried.split_at(g.part_count(Group::bits_of(ty)));
            *carried = rest;
            g.assemble(ty, parts)
        };
        let value = take(ty);
        let index = has_index(combine).then(|| take(Type::I64));
        State { value, index }
    }
}

/// Whether the combination carries an index.
pub(super) fn has_index(combine: Combine) -> bool {
    matches!(combine, Combine::ArgMax | Combine::ArgMin)
}

/// The accumulators of a program with the types of their values.
pub(super) fn accumulators(
    program: &Program,
    types: &[Option<Type>],
) -> SmallVec<[(Combine, Type); 2]> {
    let of = |acc: &crate::vector::Accumulator| {
        let ty = types[acc.value.0 as usize].expect("an accumulator folds a value");
        (acc.combine, ty)
    };
    program.accumulators.iter().map(of).collect()
}

impl Group<'_, '_> {
    /// The state that changes nothing it is combined with.
    pub fn identity(&mut self, combine: Combine, ty: Type) -> State {
        let value = self.constant(reference::identity(combine, ty).scalar());
        let index = has_index(combine).then(|| self.filled(Type::I64, i64::MAX as u64));
        State { value, index }
    }

    /// Both states in one.
    pub fn merge(&mut self, combine: Combine, x: &State, y: &State) -> State {
        let op = match combine {
            Combine::Add => Binary::Add,
            Combine::Mul => Binary::Mul,
            Combine::Max => Binary::Max,
            Combine::Min => Binary::Min,
            Combine::And => Binary::And,
            Combine::Or => Binary::Or,
            Combine::ArgMax => return self.merge_extremes(Compare::Gt, x, y),
            Combine::ArgMin => return self.merge_extremes(Compare::Lt, x, y),
        };
        let value = match op {
            Binary::Max | Binary::Min if matches!(x.value.ty, Type::F32 | Type::F64) => {
                self.ordered_extreme(op, &x.value, &y.value)
            }
            _ => self.binary(op, &x.value, &y.value, None),
        };
        State { value, index: None }
    }

    /// The state whose value `beats` the other's; NaN beats numbers, of equals the smaller index.
    fn merge_extremes(&mut self, beats: Compare, x: &State, y: &State) -> State {
        let (Some(x_index), Some(y_index)) = (&x.index, &y.index) else {
            unreachable!("positions of extremes carry an index");
        };
        let mut takes_y = self.compare(beats, &y.value, &x.value);
        let mut equal = self.compare(Compare::Eq, &x.value, &y.value);
        if matches!(x.value.ty, Type::F32 | Type::F64) {
            let x_nan = self.compare(Compare::Ne, &x.value, &x.value);
            let y_nan = self.compare(Compare::Ne, &y.value, &y.value);
            let both = self.binary(Binary::And, &x_nan, &y_nan, None);
            equal = self.binary(Binary::Or, &equal, &both, None);
            let only_y = self.binary(Binary::Xor, &both, &y_nan, None);
            takes_y = self.binary(Binary::Or, &takes_y, &only_y, None);
        }
        let earlier = self.compare(Compare::Lt, y_index, x_index);
        let tie = self.binary(Binary::And, &equal, &earlier, None);
        let takes_y = self.binary(Binary::Or, &takes_y, &tie, None);
        State {
            value: self.select(&takes_y, &y.value, &x.value),
            index: Some(self.select(&takes_y, y_index, x_index)),
        }
    }

    /// One lane of a state, as a state of a group of one.
    fn lane_of(&mut self, x: &State, lane: u32) -> State {
        let mut one = |x: &Lanes| {
            let part = self.lane(x, lane);
            Lanes { ty: x.ty, bits: x.bits, parts: Parts::from_slice(&[part]) }
        };
        State { value: one(&x.value), index: x.index.as_ref().map(one) }
    }

    /// A half of the parts of a state: a state of half the lanes.
    fn half_of(&self, x: &State, upper: bool) -> State {
        let half = |x: &Lanes| {
            let (low, high) = x.parts.split_at(x.parts.len() / 2);
            let parts = if upper { high } else { low };
            Lanes { ty: x.ty, bits: x.bits, parts: parts.into() }
        };
        State { value: half(&x.value), index: x.index.as_ref().map(half) }
    }

    /// All lanes combined, lower with upper half until one is left: its result as a scalar.
    pub fn across(&mut self, combine: Combine, x: &State) -> ir::Value {
        let mut x = x.clone();
        let mut lanes = self.lanes;
        while lanes > 4 {
            lanes /= 2;
            let (low, high) = (self.half_of(&x, false), self.half_of(&x, true));
            x = Group { b: &mut *self.b, lanes, x86: self.x86 }.merge(combine, &low, &high);
        }
        let mut group = Group { b: &mut *self.b, lanes, x86: self.x86 };
        let mut states: Vec<State> = (0..lanes).map(|lane| group.lane_of(&x, lane)).collect();
        let mut one = Group { b: &mut *self.b, lanes: 1, x86: self.x86 };
        while states.len() > 1 {
            let (low, high) = states.split_at(states.len() / 2);
            let pairs = low.iter().zip(high);
            states = pairs.map(|(x, y)| one.merge(combine, x, y)).collect();
        }
        one.result(&states[0]).parts[0]
    }

    /// What an accumulator hands on.
    pub fn result(&self, x: &State) -> Lanes {
        x.index.as_ref().unwrap_or(&x.value).clone()
    }
}

/// The partial results of one accumulator in memory, between the loops that carry them.
pub(super) struct Cell {
    combine: Combine,
    ty: Type,
    value: StackSlot,
    index: Option<StackSlot>,
}

impl Cell {
    /// Room for [`FOLD_LANES`] partial results.
    pub fn new(g: &mut Group, combine: Combine, ty: Type) -> Cell {
        let mut slot = |ty: Type| {
            let bytes = FOLD_LANES * Group::bits_of(ty) / 8;
            let data = StackSlotData::new(StackSlotKind::ExplicitSlot, bytes, 4);
            g.b.create_sized_stack_slot(data)
        };
        let value = slot(ty);
        let index = has_index(combine).then(|| slot(Type::I64));
        Cell { combine, ty, value, index }
    }

    /// The partial results from `lane` on, as many as the group has lanes.
    pub fn load(&self, g: &mut Group, lane: ir::Value) -> State {
        let value = load_field(g, self.value, self.ty, lane);
        let index = self.index.map(|slot| load_field(g, slot, Type::I64, lane));
        State { value, index }
    }

    /// Writes the partial results from `lane` on.
    pub fn store(&self, g: &mut Group, lane: ir::Value, state: &State) {
        store_field(g, self.value, lane, &state.value);
        if let (Some(slot), Some(index)) = (self.index, &state.index) {
            store_field(g, slot, lane, index);
        }
    }

    /// The combination.
    pub fn combine(&self) -> Combine {
        self.combine
    }

    /// The state before the first element.
    pub fn identity(&self, g: &mut Group) -> State {
        g.identity(self.combine, self.ty)
    }
}

fn field_pointer(g: &mut Group, slot: StackSlot, ty: Type, lane: ir::Value) -> ir::Value {
    let start = g.b.ins().stack_addr(types::I64, slot, 0);
    let within = g.b.ins().band_imm_u(lane, i64::from(FOLD_LANES - 1));
    let distance = g.b.ins().imul_imm_s(within, i64::from(Group::bits_of(ty) / 8));
    g.b.ins().iadd(start, distance)
}

fn load_field(g: &mut Group, slot: StackSlot, ty: Type, lane: ir::Value) -> Lanes {
    let pointer = field_pointer(g, slot, ty, lane);
    if g.scalar() && ty == Type::Mask {
        let wide = g.b.ins().load(types::I32, plain(), pointer, 0);
        let part = g.b.ins().icmp_imm_s(IntCC::NotEqual, wide, 0);
        return g.assemble(ty, &[part]);
    }
    let part_types = g.part_types(ty);
    let load =
        |(i, &part): (usize, &ir::Type)| g.b.ins().load(part, plain(), pointer, 16 * i as i32);
    let parts: Parts = part_types.iter().enumerate().map(load).collect();
    g.assemble(ty, &parts)
}

fn store_field(g: &mut Group, slot: StackSlot, lane: ir::Value, x: &Lanes) {
    let pointer = field_pointer(g, slot, x.ty, lane);
    if g.scalar() && x.ty == Type::Mask {
        let wide = g.b.ins().uextend(types::I32, x.parts[0]);
        let mask = g.b.ins().ineg(wide);
        g.b.ins().store(plain(), mask, pointer, 0);
        return;
    }
    debug_assert!(!g.scalar() || g.b.func.dfg.value_type(x.parts[0]) == lane_type(x.ty));
    for (i, part) in g.canonical(x).into_iter().enumerate() {
        g.b.ins().store(plain(), part, pointer, 16 * i as i32);
    }
}
