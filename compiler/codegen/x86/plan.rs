//! What is decided before a stage is emitted: which values its groups share, which registers are
//! pinned, how many groups a region has.
//!
//! Neighbours: `stage` lays out the loops; `allocate` follows the pins.

use super::allocate::{Export, Pins};
use super::fold::State;
use super::frame::Frame;
use super::lower::{Lanes, Lower, Scene};
use super::machine::{Class, Home, Reg, Registers, Step, count};
use crate::codegen::fold::accumulators;
use crate::codegen::target::Isa;
use crate::kernel::Body;
use crate::vector::{Combine, Inst, Program, Slot, Stride, Type, verify};
use rustc_hash::{FxHashMap, FxHashSet};

/// A region that is written but not emitted.
#[derive(Default)]
pub(super) struct Written {
    pub steps: Vec<Step>,
    pub exports: Vec<Export>,
}

/// How often a value changes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Level {
    /// Not within a stage of a row.
    Stage,
    /// With the reduce axes.
    Pass,
    /// With the lanes.
    Group,
}

/// Values that all groups share, and how they are computed.
#[derive(Default)]
pub(super) struct Plan {
    /// By instruction of the program.
    pub values: Vec<Option<Lanes>>,
    /// Once a row.
    pub stage: Vec<Step>,
    /// At each point of the reduce axes.
    pub pass: Vec<Step>,
    /// Values in memory that change with the reduce axes.
    pub moving: FxHashSet<Reg>,
}

impl Plan {
    /// Lowers what is the same for all groups. `moves` tells which slots the reduce axes move.
    pub fn new(lower: &mut Lower, scene: &Scene, moves: impl Fn(usize) -> bool) -> Plan {
        let levels = levels(scene, moves);
        let mut plan = Plan { values: vec![None; levels.len()], ..Plan::default() };
        for level in [Level::Stage, Level::Pass] {
            let scene = Scene { invariant: &plan.values, ..*scene };
            let lowered = lower.program(&scene, |i| levels[i] == level);
            let steps = std::mem::take(&mut lower.steps);
            if level == Level::Pass {
                let made: FxHashSet<Reg> = steps.iter().filter_map(Step::writes).collect();
                for (value, _) in lowered.iter().zip(&levels).filter(|(_, l)| **l == level) {
                    let parts = value.iter().flat_map(|lanes| lanes.parts.iter().copied());
                    plan.moving.extend(parts.filter(|r| !made.contains(r)));
                }
                plan.pass = steps;
            } else {
                plan.stage = steps;
            }
            plan.values = lowered;
        }
        plan
    }
}

fn levels(scene: &Scene, moves: impl Fn(usize) -> bool) -> Vec<Level> {
    use super::lower::Argument;
    let program = scene.program;
    let mut levels: Vec<Level> = Vec::with_capacity(program.insts.len());
    let moved = if scene.reduce_moves { Level::Group } else { Level::Pass };
    for inst in &program.insts {
        let of = |v: &crate::vector::Value| levels[v.0 as usize];
        let level = match inst {
            Inst::Const(_) => Level::Stage,
            Inst::Param(p) => match scene.params[p.0 as usize] {
                Argument::Row(_) => Level::Stage,
                Argument::Lanes(_) => Level::Group,
            },
            Inst::Load(slot) => {
                let slot = slot.0 as usize;
                let view = scene.slots[slot];
                let splat = program.slots[slot].stride == Stride::Splat || view.lane_bytes == 0;
                match splat && view.readonly {
                    false => Level::Group,
                    true if moves(slot) => moved,
                    true => Level::Stage,
                }
            }
            Inst::Index(axis) => match *axis as usize {
                axis if axis >= scene.axes.len() => Level::Group,
                axis if axis >= scene.outer => moved,
                _ => Level::Stage,
            },
            Inst::Gather(..) | Inst::Store(..) | Inst::CheckIndex { .. } => Level::Group,
            Inst::Unary(_, x) => of(x),
            Inst::Binary(_, x, y) | Inst::Compare(_, x, y) => of(x).max(of(y)),
            Inst::Fma(x, y, z) | Inst::Select(x, y, z) => of(x).max(of(y)).max(of(z)),
        };
        levels.push(level);
    }
    levels
}

/// By instruction: whether its value is made of nothing but constants, parameters, if those are,
/// and loads that are `alike`.
pub(super) fn alike(program: &Program, params: bool, load: impl Fn(Slot) -> bool) -> Vec<bool> {
    let mut alike: Vec<bool> = Vec::with_capacity(program.insts.len());
    for inst in &program.insts {
        alike.push(match inst {
            Inst::Const(_) => true,
            Inst::Load(slot) => load(*slot),
            Inst::Param(_) => params,
            Inst::Index(_) | Inst::Gather(..) | Inst::Store(..) | Inst::CheckIndex { .. } => false,
            _ => inst.operands().all(|v| alike[v.0 as usize]),
        });
    }
    alike
}

/// What regions of a stage are emitted with.
pub(super) struct Emission {
    pub registers: Registers,
    pub pins: Pins,
    pub plan: Plan,
}

impl Emission {
    /// Nothing shared, nothing pinned.
    pub fn bare(registers: Registers) -> Emission {
        Emission { registers, pins: Pins::default(), plan: Plan::default() }
    }

    /// What a preheader leaves: its values that `later` reads, and pinned values in memory; of
    /// these the ones that the reduce axes change if `moving` says so, or else the others.
    pub fn shared(&self, steps: &[Step], later: &[&[Step]], moving: bool) -> Vec<Export> {
        let read: FxHashSet<Reg> =
            later.iter().flat_map(|steps| steps.iter()).flat_map(Step::reads).collect();
        let made = steps.iter().filter_map(Step::writes).filter(|r| read.contains(r));
        let mut exports: Vec<Export> = made.map(|r| Export { value: r, name: r }).collect();
        let mut pinned: Vec<Reg> = self.pins.0.keys().copied().collect();
        pinned.sort_unstable();
        for reg in pinned {
            let in_memory = match self.registers.home(reg) {
                Some(Home::Fill(_) | Home::Constant(_) | Home::Element(..)) => true,
                Some(Home::Frame(_)) | None => false,
            };
            if in_memory && self.plan.moving.contains(&reg) == moving {
                exports.push(Export { value: reg, name: reg });
            }
        }
        exports
    }
}

/// Registers that are left to the values of a region at least.
fn general(isa: Isa, class: Class) -> u32 {
    match (class, isa) {
        (Class::Vector, Isa::Avx512) => 10,
        (Class::Vector, _) => 6,
        (Class::Mask, _) => 4,
    }
}

/// Pins accumulators, if there is room for all of them; then, if the region is looped over, what
/// it reads oftenest of what is made outside it.
pub(super) fn choose_pins(
    registers: &Registers,
    accumulators: &[Reg],
    region: &[Step],
    looped: bool,
) -> Pins {
    let mut pins = Pins::default();
    let isa = registers.isa;
    let mut free = [Class::Vector, Class::Mask].map(|class| {
        let first = u32::from(class == Class::Mask);
        (first, u32::from(count(isa, class)))
    });
    let of = |class| accumulators.iter().filter(|&&r| registers.class(r) == class).count() as u32;
    let fit = [Class::Vector, Class::Mask].into_iter().all(|class| {
        let (first, end) = free[class as usize];
        of(class) + general(isa, class) <= end - first
    });
    if fit {
        for &reg in accumulators {
            let (_, end) = &mut free[registers.class(reg) as usize];
            *end -= 1;
            pins.0.insert(reg, *end as u8);
        }
    }
    if !looped {
        return pins;
    }
    let made: FxHashSet<Reg> = region.iter().filter_map(Step::writes).collect();
    let mut reads: FxHashMap<Reg, u32> = FxHashMap::default();
    for reg in region.iter().flat_map(Step::reads) {
        if !made.contains(&reg) && !accumulators.contains(&reg) {
            *reads.entry(reg).or_default() += 1;
        }
    }
    let mut candidates: Vec<(u32, Reg)> = reads.into_iter().map(|(reg, n)| (n, reg)).collect();
    candidates.sort_unstable_by_key(|&(n, reg)| (std::cmp::Reverse(n), reg));
    let pressure = [Class::Vector, Class::Mask].map(|class| {
        let alive = most_alive(registers, region, &made, class) + 1;
        alive.max(general(isa, class))
    });
    for (_, reg) in candidates {
        let class = registers.class(reg);
        let (first, end) = &mut free[class as usize];
        if *end > *first + pressure[class as usize] {
            *end -= 1;
            pins.0.insert(reg, *end as u8);
        }
    }
    pins
}

/// How many values that a region makes are alive at once, at most.
fn most_alive(registers: &Registers, region: &[Step], made: &FxHashSet<Reg>, class: Class) -> u32 {
    let mut last: FxHashMap<Reg, usize> = FxHashMap::default();
    for (at, step) in region.iter().enumerate() {
        for reg in step.reads() {
            last.insert(reg, at);
        }
    }
    let (mut alive, mut most) = (0u32, 0);
    let mut ends: FxHashMap<usize, u32> = FxHashMap::default();
    for (at, step) in region.iter().enumerate() {
        if let Some(reg) = step.writes()
            && registers.class(reg) == class
            && made.contains(&reg)
        {
            alive += 1;
            *ends.entry(last.get(&reg).copied().unwrap_or(at)).or_default() += 1;
        }
        most = most.max(alive);
        alive -= ends.remove(&at).unwrap_or(0);
    }
    most
}

/// Gives accumulators that are not pinned a place in the frame.
pub(super) fn give_homes(
    registers: &mut Registers,
    pins: &Pins,
    accumulators: &[Reg],
    frame: &mut Frame,
) {
    for &reg in accumulators {
        if !pins.0.contains_key(&reg) && registers.home(reg).is_none() {
            registers.home[reg.0 as usize] = Some(Home::Frame(frame.take(64)));
        }
    }
}

/// A region that fills the pinned registers from memory, accumulators aside.
pub(super) fn load_pinned(pins: &Pins, accumulators: &[Reg]) -> Written {
    let mut regs: Vec<Reg> = pins.0.keys().copied().collect();
    regs.retain(|r| !accumulators.contains(r));
    regs.sort_unstable();
    let exports = regs.into_iter().map(|r| Export { value: r, name: r }).collect();
    Written { steps: Vec::new(), exports }
}

/// The accumulators of a body.
pub(super) fn folds(body: &Body) -> Vec<(Combine, Type)> {
    let types = verify::types(&body.program).expect("a verified program");
    accumulators(&body.program, &types).to_vec()
}

/// States under names that several regions share; `init` gives them their first values.
pub(super) fn named_states(
    lower: &mut Lower,
    folds: &[(Combine, Type)],
    init: &mut Written,
) -> Vec<State> {
    let mut states = Vec::with_capacity(folds.len());
    for &(combine, ty) in folds {
        let first = lower.identity(combine, ty);
        states.push(first.renamed(|value| {
            let name = lower.registers.fresh(lower.registers.class(value));
            init.exports.push(Export { value, name });
            name
        }));
    }
    states
}

/// Folds the values of one run of the body into the states of its group.
pub(super) fn update_states(
    lower: &mut Lower,
    body: &Body,
    values: &[Option<Lanes>],
    states: &mut [State],
) {
    let of = |v: crate::vector::Value| values[v.0 as usize].as_ref().expect("a value");
    for (acc, state) in body.program.accumulators.iter().zip(states) {
        *state = lower.update(acc.combine, state, of(acc.value), acc.index.map(of));
    }
}

/// Ends a region's work on states.
pub(super) fn settle_states<'s>(
    lower: &mut Lower,
    states: impl IntoIterator<Item = &'s mut State>,
) {
    states.into_iter().for_each(|state| lower.settle(state));
}

/// The states after a region, under the names they had before.
pub(super) fn exports(before: &[Vec<State>], after: &[Vec<State>]) -> Vec<Export> {
    let names = before.iter().flatten().flat_map(State::parts);
    let values = after.iter().flatten().flat_map(State::parts);
    values.zip(names).map(|(value, name)| Export { value, name }).collect()
}

/// Registers of a state.
pub(super) fn state_size(isa: Isa, combine: Combine, ty: Type) -> u32 {
    let parts = |ty: Type| if ty.bits() == Some(64) { 2 } else { 1 };
    match combine {
        Combine::ArgMax | Combine::ArgMin => parts(ty) + 2,
        Combine::Max | Combine::Min if isa != Isa::Avx512 => 2 * parts(ty),
        _ => parts(ty),
    }
}

/// How many times `apart` groups of `each` lanes a region has, for a body of so many instructions.
pub(super) fn unroll(insts: usize, apart: u32, lanes: usize, each: u32) -> u32 {
    let mut unroll = match insts {
        0..=12 => 4,
        13..=40 => 2,
        _ => 1,
    };
    while unroll > 1 && (unroll * apart > 8 || (unroll * apart * each) as usize > lanes.max(1)) {
        unroll /= 2;
    }
    unroll
}
