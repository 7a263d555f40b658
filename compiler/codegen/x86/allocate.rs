//! Registers for regions, and their instructions.
//!
//! Code is straight, so every use is known: where a register is wanted and none is free, the one
//! whose value is needed last gives way (Belady). Values with a home need not be stored, and are
//! read from it as operands where an instruction can. Some registers are pinned: they hold what
//! lives around the region, such as accumulators and constants of a loop.
//!
//! Invariant: a pinned register holds its value at the start and at the end of every region; no
//! value is in two registers.
//!
//! Neighbours: `lower` makes the steps; `scalar` writes those without vectors.

mod bank;
mod fma;

use self::bank::{Bank, load, store};
use super::asm::{Assembler, Mask, Masking, Operand, Vector, Width};
use super::frame::{Frame, Pointers};
use super::machine::{Class, Home, OpStep, Place, Reg, Registers, Source, Step};
use super::scalar;
use super::table::Op;
use crate::codegen::target::Isa;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// The registers that are pinned around regions.
#[derive(Clone, Default, Debug)]
pub(super) struct Pins(pub FxHashMap<Reg, u8>);

/// What a region is emitted with.
pub(super) struct Around<'a> {
    pub a: &'a mut Assembler,
    pub registers: &'a mut Registers,
    pub frame: &'a mut Frame,
    pub pointers: &'a Pointers,
    pub pins: &'a Pins,
    /// Where failed checks are reported: a pointer in the frame.
    pub fault: i32,
}

/// A value that a region leaves: `value` is from now on found as `name`, which is pinned, or has a
/// home in the frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Export {
    pub value: Reg,
    pub name: Reg,
}

/// Emits a region. Pinned registers that are `stale` do not hold their values yet.
pub(super) fn region(
    around: Around,
    steps: &[Step],
    exports: &[Export],
    stale: impl Fn(Reg) -> bool,
) {
    let isa = around.registers.isa;
    let mut region = Region {
        width: Width::widest(isa),
        isa,
        uses: uses(steps, exports),
        banks: [Bank::new(isa, Class::Vector), Bank::new(isa, Class::Mask)],
        places: FxHashMap::default(),
        hints: FxHashMap::default(),
        mortal: Vec::new(),
        around,
    };
    for (&reg, &number) in &region.around.pins.0 {
        let bank = &mut region.banks[region.around.registers.class(reg) as usize];
        bank.pinned |= 1 << number;
        if !stale(reg) {
            bank.holder[usize::from(number)] = Some(reg);
            region.places.insert(reg, number);
        }
    }
    for export in exports {
        if let Some(&number) = region.around.pins.0.get(&export.name) {
            region.hints.insert(export.value, number);
            if export.value != export.name {
                region.mortal.push(export.name);
            }
        }
    }
    for (at, step) in steps.iter().enumerate() {
        region.step(at as u32, step);
    }
    region.export(exports);
}

/// Where each register is read, the last first; what is exported is read behind the end.
fn uses(steps: &[Step], exports: &[Export]) -> FxHashMap<Reg, Vec<u32>> {
    let mut uses: FxHashMap<Reg, Vec<u32>> = FxHashMap::default();
    for export in exports {
        uses.entry(export.value).or_default().push(steps.len() as u32);
    }
    for (at, step) in steps.iter().enumerate().rev() {
        for reg in step.reads() {
            uses.entry(reg).or_default().push(at as u32);
        }
    }
    uses
}

struct Region<'a> {
    around: Around<'a>,
    isa: Isa,
    width: Width,
    uses: FxHashMap<Reg, Vec<u32>>,
    banks: [Bank; 2],
    places: FxHashMap<Reg, u8>,
    /// The pinned register that a value ends in.
    hints: FxHashMap<Reg, u8>,
    /// Pinned values that are replaced at the end of the region.
    mortal: Vec<Reg>,
}

/// The registers that one step uses, which stay where they are.
type Locked = SmallVec<[Reg; 6]>;

impl Region<'_> {
    fn class(&self, reg: Reg) -> Class {
        self.around.registers.class(reg)
    }

    fn next_use(&self, reg: Reg) -> Option<u32> {
        self.uses.get(&reg).and_then(|uses| uses.last().copied())
    }

    fn step(&mut self, at: u32, step: &Step) {
        let reads = step.reads();
        match step {
            Step::Op(op) => self.op(at, op, &reads),
            Step::Fma { wide, dst, a, b, c } => self.fma(at, *wide, *dst, [*a, *b, *c]),
            Step::Scalar(step) => {
                let around = &mut self.around;
                scalar::emit(around.a, around.pointers, around.fault, step);
            }
        }
        // A value that nothing reads: what is left of a vector of which a part was wanted.
        if let Some(dst) = step.writes()
            && self.next_use(dst).is_none()
        {
            self.release(dst);
        }
    }

    /// Takes note that the step at `at` has read its operands.
    fn consume(&mut self, at: u32, reads: &[Reg]) {
        for &reg in reads {
            if let Some(uses) = self.uses.get_mut(&reg) {
                while uses.last() == Some(&at) {
                    uses.pop();
                }
            }
            if self.next_use(reg).is_none() {
                self.release(reg);
            }
        }
    }

    /// Frees the register of a value that is not needed again.
    fn release(&mut self, reg: Reg) {
        let immortal = self.around.pins.0.contains_key(&reg) && !self.mortal.contains(&reg);
        if immortal {
            return;
        }
        if let Some(number) = self.places.remove(&reg) {
            self.banks[self.class(reg) as usize].holder[usize::from(number)] = None;
        }
    }

    fn op(&mut self, at: u32, step: &OpStep, reads: &[Reg]) {
        let mut step = step.clone();
        let last = step.srcs.len().wrapping_sub(1);
        if step.commutes && last >= 1 && self.prefers_memory(step.srcs[last - 1], &step) {
            step.srcs.swap(last - 1, last);
        }
        let mut locked: Locked = reads.iter().copied().collect();
        let mut operands: SmallVec<[Operand; 4]> = SmallVec::new();
        let mut places: SmallVec<[Operand; 4]> = SmallVec::new();
        for (i, &source) in step.srcs.iter().enumerate() {
            places.push(match source {
                Source::Gpr(r) => Operand::Gpr(r),
                // A pointer from the frame is loaded at the last moment, see below.
                Source::Mem(_) => Operand::Gpr(super::asm::Gpr::RCX),
                Source::Reg(reg) => match self.folded(at, reg, &step, i) {
                    Some(operand) => operand,
                    None => self.operand(reg, &locked),
                },
            });
        }
        let mask = step.mask.map(|(k, zero)| {
            let k = Mask(self.resident(k, &locked));
            if zero { Masking::Zero(k) } else { Masking::Merge(k) }
        });
        if let Some(tied) = step.tied {
            self.resident(tied, &locked);
        }
        if let Some(dst) = step.dst {
            let number = match step.tied {
                None => {
                    self.consume(at, reads);
                    locked.clear();
                    self.define(dst, &locked)
                }
                Some(tied) => self.define_tied(at, dst, tied, &step, reads, &locked),
            };
            operands.push(self.as_operand(dst, number));
        }
        for (&source, &operand) in step.srcs.iter().zip(&places) {
            operands.push(match source {
                Source::Mem(place) => {
                    let around = &mut self.around;
                    Operand::Mem(around.pointers.resolve(around.a, place))
                }
                _ => operand,
            });
        }
        let masking = mask.unwrap_or(Masking::All);
        self.around.a.masked(step.op, step.width, &operands, step.imm, masking);
        self.consume(at, reads);
    }

    /// The destination of a step that reads it too: the register of `tied` if its value ends
    /// here, or else a copy.
    fn define_tied(
        &mut self,
        at: u32,
        dst: Reg,
        tied: Reg,
        step: &OpStep,
        reads: &[Reg],
        locked: &Locked,
    ) -> u8 {
        let from = self.places[&tied];
        let again = step.srcs.contains(&Source::Reg(tied));
        let dies = self.uses.get(&tied).is_some_and(|uses| uses.iter().all(|&u| u == at));
        let pinned = self.around.pins.0.contains_key(&tied) && !self.mortal.contains(&tied);
        let hint = self.hints.get(&dst).copied();
        if dies && !pinned && !again && hint.is_none_or(|h| h == from) {
            self.consume(at, reads);
            let bank = &mut self.banks[self.class(dst) as usize];
            // It was pinned, or a free register now: either way it is this value's.
            if bank.holder[usize::from(from)].is_none() && (bank.may_use(from) || hint.is_some()) {
                bank.holder[usize::from(from)] = Some(dst);
                self.places.insert(dst, from);
                return from;
            }
        }
        let number = self.define(dst, locked);
        self.copy(self.class(dst), number, from);
        number
    }

    fn as_operand(&self, reg: Reg, number: u8) -> Operand {
        match self.class(reg) {
            Class::Vector => Operand::Vector(Vector(number)),
            Class::Mask => Operand::Mask(Mask(number)),
        }
    }

    fn operand(&mut self, reg: Reg, locked: &Locked) -> Operand {
        let number = self.resident(reg, locked);
        self.as_operand(reg, number)
    }

    /// Whether the operand is not in a register and need not be.
    fn prefers_memory(&self, source: Source, step: &OpStep) -> bool {
        match source {
            Source::Reg(reg) => {
                !self.places.contains_key(&reg)
                    && self.foldable(reg, element_bits(step.op, self.isa, step.width))
            }
            Source::Mem(_) | Source::Gpr(_) => false,
        }
    }

    /// The last source as a memory operand, if it is better read from its home.
    fn folded(&mut self, at: u32, reg: Reg, step: &OpStep, i: usize) -> Option<Operand> {
        let letter = step.op.row().shape.as_bytes()[i + usize::from(step.dst.is_some())];
        let alone = step.reads().iter().filter(|&&r| r == reg).count() == 1;
        let last = i + 1 == step.srcs.len() || step.op.row().shape.len() == 4 && i == 1;
        if letter != b'M' || !last || !alone || step.width != self.width || step.dst.is_none() {
            return None;
        }
        // VEX shifts by an immediate take registers only.
        if self.isa != Isa::Avx512 && step.imm.is_some() && step.op.row().shape == "VM" {
            return None;
        }
        if self.places.contains_key(&reg) {
            return None;
        }
        self.memory_operand(at, reg, element_bits(step.op, self.isa, step.width))
    }

    /// The home of a register that is not resident, as an operand of elements of `bits` bits. None
    /// where the value had better be loaded: it is used again, and a register is free.
    fn memory_operand(&mut self, at: u32, reg: Reg, bits: u32) -> Option<Operand> {
        if !self.foldable(reg, bits) {
            return None;
        }
        let again = self.uses.get(&reg).is_some_and(|uses| uses.iter().any(|&u| u != at));
        if again && self.banks[Class::Vector as usize].free().is_some() {
            return None;
        }
        let around = &mut self.around;
        match around.registers.home(reg)?.clone() {
            Home::Fill(bytes) if self.isa == Isa::Avx512 => {
                Some(Operand::Broadcast(around.a.constant(&bytes)))
            }
            Home::Fill(bytes) => {
                let whole = bytes.repeat(self.width.bytes() / bytes.len());
                Some(Operand::Mem(around.a.constant(&whole)))
            }
            Home::Constant(bytes) => Some(Operand::Mem(around.a.constant(&bytes))),
            Home::Element(place @ Place::Frame(_), _) => {
                Some(Operand::Broadcast(around.pointers.resolve(around.a, place)))
            }
            Home::Element(..) => None,
            Home::Frame(at) => Some(Operand::Mem(super::frame::frame(at))),
        }
    }

    fn foldable(&self, reg: Reg, bits: u32) -> bool {
        if self.class(reg) != Class::Vector {
            return false;
        }
        match self.around.registers.home(reg) {
            Some(Home::Fill(bytes)) => {
                let zero = bytes.iter().all(|&b| b == 0);
                !zero && (self.isa != Isa::Avx512 || 8 * bytes.len() as u32 == bits)
            }
            Some(Home::Element(Place::Frame(_), size)) => {
                self.isa == Isa::Avx512 && 8 * size == bits
            }
            Some(Home::Element(..)) | None => false,
            Some(Home::Constant(_) | Home::Frame(_)) => true,
        }
    }

    /// The number of the register that holds the value; loads it if need be.
    fn resident(&mut self, reg: Reg, locked: &Locked) -> u8 {
        if let Some(&number) = self.places.get(&reg) {
            return number;
        }
        let number = self.define(reg, locked);
        self.load_home(reg, number);
        number
    }

    fn load_home(&mut self, reg: Reg, number: u8) {
        let around = &mut self.around;
        let home = around.registers.home(reg).cloned();
        let home = home.unwrap_or_else(|| panic!("{reg:?} is nowhere"));
        load(around.a, around.pointers, self.width, around.registers.class(reg), number, &home);
    }

    /// Gives a register to a value.
    fn define(&mut self, reg: Reg, locked: &Locked) -> u8 {
        let class = self.class(reg);
        let hint = self.hints.get(&reg).copied();
        let bank = &self.banks[class as usize];
        let hint = hint.filter(|&h| bank.holder[usize::from(h)].is_none());
        let number = match hint.or_else(|| bank.free()) {
            Some(number) => number,
            None => self.evict(class, locked),
        };
        self.banks[class as usize].holder[usize::from(number)] = Some(reg);
        self.places.insert(reg, number);
        number
    }

    /// Frees the register whose value is needed last.
    fn evict(&mut self, class: Class, locked: &Locked) -> u8 {
        let bank = &self.banks[class as usize];
        let candidates = (0..bank.count).filter(|&n| bank.may_use(n)).filter_map(|n| {
            let reg = bank.holder[usize::from(n)]?;
            (!locked.contains(&reg)).then_some((n, reg))
        });
        // Of values needed equally late, one that is in memory already.
        let key = |&(_, reg): &(u8, Reg)| {
            let at = self.next_use(reg).unwrap_or(u32::MAX);
            (at, self.around.registers.home(reg).is_some())
        };
        let (number, reg) = candidates.max_by_key(key).expect("a step has fewer operands");
        if self.around.registers.home(reg).is_none() {
            let at = self.around.frame.take(self.width.bytes());
            self.around.registers.home[reg.0 as usize] = Some(Home::Frame(at));
            store(self.around.a, self.width, class, number, at);
        }
        self.places.remove(&reg);
        self.banks[class as usize].holder[usize::from(number)] = None;
        number
    }

    fn copy(&mut self, class: Class, to: u8, from: u8) {
        if to == from {
            return;
        }
        match class {
            Class::Vector => {
                let (to, from) = (Vector(to).into(), Vector(from).into());
                self.around.a.op(Op::Vmovaps, self.width, [to, from]);
            }
            Class::Mask => {
                let (to, from) = (Mask(to).into(), Mask(from).into());
                self.around.a.op(Op::Kmovw, Width::X, [to, from]);
            }
        }
    }

    fn export(&mut self, exports: &[Export]) {
        for &Export { value, name } in exports {
            let class = self.class(value);
            match self.around.pins.0.get(&name).copied() {
                Some(pin) => match self.places.get(&value).copied() {
                    Some(number) => self.copy(class, pin, number),
                    None => self.load_home(value, pin),
                },
                None => {
                    let at = match self.around.registers.home(name) {
                        Some(&Home::Frame(at)) => at,
                        // Values of constants and elements need no place of their own.
                        Some(_) => continue,
                        None => {
                            let at = self.around.frame.take(self.width.bytes());
                            self.around.registers.home[name.0 as usize] = Some(Home::Frame(at));
                            at
                        }
                    };
                    let spilled = value == name && !self.places.contains_key(&value);
                    if !spilled {
                        let number = self.resident(value, &Locked::new());
                        store(self.around.a, self.width, class, number, at);
                    }
                }
            }
        }
    }
}

/// Bits of the elements that the instruction reads when it broadcasts; 0 if it cannot.
fn element_bits(op: Op, isa: Isa, width: Width) -> u32 {
    if isa != Isa::Avx512 {
        return 0;
    }
    op.broadcast_bits(width)
}
