//! Vector programs as machine instructions on virtual registers, for one group of lanes.
//!
//! A group has as many lanes as a vector has 32-bit elements: 8 or 16. A value of 32-bit lanes is
//! one register, of 64-bit lanes two. A mask is one mask register with AVX-512; otherwise it is
//! vectors of all-ones and zero lanes, of 32 or 64 bits as the operands were that it came from.
//! Groups at the end of a row may have fewer active lanes: the others compute something that is
//! neither loaded nor stored nor folded.
//!
//! Neighbours: `arith`, `convert`, `memory` and `fold` lower the instructions; `allocate` emits the
//! steps; `stage` decides which groups there are.

use super::asm::{Label, Width};
use super::frame::Frame;
use super::machine::{Class, Home, OpStep, Place, Reg, Registers, ScalarStep, Source, Step};
use super::table::Op;
use crate::codegen::target::Isa;
use crate::vector::{Binary, Compare, Inst, Program, Slot, Type, Value};
use smallvec::{SmallVec, smallvec};
use tensc_runtime::Scalar;

/// A value of a group of lanes.
#[derive(Clone, Debug)]
pub(super) struct Lanes {
    pub ty: Type,
    /// Bits of a lane. Of a mask: of the vectors' lanes, or 0 if it is a mask register.
    pub bits: u32,
    pub parts: SmallVec<[Reg; 2]>,
}

/// A parameter of a program.
#[derive(Clone)]
pub(super) enum Argument {
    /// One value for all lanes, at that place of the frame (masks as an I32).
    Row(i32),
    /// One for each lane.
    Lanes(Lanes),
}

/// A slot as groups of lanes see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct SlotView {
    /// The number of its pointer.
    pub number: u32,
    /// Bytes from lane to lane.
    pub lane_bytes: i64,
    /// Bytes for each step of a gather's index.
    pub gather_bytes: i64,
    /// Bytes from one row of a region to the next: see [`Lower::row`].
    pub row_bytes: i64,
    /// Whether nothing writes that memory while the kernel runs.
    pub readonly: bool,
    /// Whether stores go past the caches.
    pub streams: bool,
}

/// What a program finds around it.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub program: &'a Program,
    pub slots: &'a [SlotView],
    pub params: &'a [Argument],
    /// Where in the frame the position along each axis around the lanes is.
    pub axes: &'a [i32],
    /// How many of the axes do not change within a row.
    pub outer: usize,
    /// Whether the others change from one run of the region to the next.
    pub reduce_moves: bool,
    /// Values that are the same for every group, if they were lowered before.
    pub invariant: &'a [Option<Lanes>],
}

impl Scene<'_> {
    /// Whether the value of each instruction is the same in every lane.
    fn same(&self) -> Vec<bool> {
        let mut same = Vec::with_capacity(self.program.insts.len());
        for inst in &self.program.insts {
            let moves = |slot: Slot| self.slots[slot.0 as usize].lane_bytes != 0;
            same.push(match *inst {
                Inst::Param(p) => matches!(self.params[p.0 as usize], Argument::Row(_)),
                Inst::Load(slot) | Inst::Gather(slot, _) if moves(slot) => false,
                Inst::Index(axis) => (axis as usize) < self.axes.len(),
                _ => inst.operands().all(|v| same[v.0 as usize]),
            });
        }
        same
    }
}

/// Steps being written for one group of lanes.
pub(super) struct Lower<'a> {
    pub isa: Isa,
    pub width: Width,
    /// Lanes of a group.
    pub lanes: u32,
    /// Lanes that count, from the first.
    pub active: u32,
    /// Lanes before this group in the region.
    pub first: u32,
    /// Where a region does several steps of the innermost reduce axis: which one this is.
    pub row: u32,
    pub registers: &'a mut Registers,
    pub frame: &'a mut Frame,
    pub steps: Vec<Step>,
}

/// Lanes of a group.
pub(super) fn lanes_of(isa: Isa) -> u32 {
    Width::widest(isa).bytes() as u32 / 4
}

impl<'a> Lower<'a> {
    pub fn new(registers: &'a mut Registers, frame: &'a mut Frame) -> Lower<'a> {
        let isa = registers.isa;
        let lanes = lanes_of(isa);
        Lower {
            isa,
            width: Width::widest(isa),
            lanes,
            active: lanes,
            first: 0,
            row: 0,
            registers,
            frame,
            steps: Vec::new(),
        }
    }

    /// Whether masks are mask registers.
    pub fn has_masks(&self) -> bool {
        self.isa == Isa::Avx512
    }

    /// Whether some lanes do not count.
    pub fn is_tail(&self) -> bool {
        self.active < self.lanes
    }

    /// Lowers every instruction that `select` wants; the others are in `scene.invariant` already.
    pub fn program(&mut self, scene: &Scene, select: impl Fn(usize) -> bool) -> Vec<Option<Lanes>> {
        let mut values: Vec<Option<Lanes>> = scene.invariant.to_vec();
        values.resize(scene.program.insts.len(), None);
        let same = scene.same();
        for (i, inst) in scene.program.insts.iter().enumerate() {
            if select(i) && values[i].is_none() {
                values[i] = self.inst(scene, inst, (&values, &same));
            }
        }
        values
    }

    /// Lowers an instruction, of the values before it and whether they are the same in all lanes.
    fn inst(
        &mut self,
        scene: &Scene,
        inst: &Inst,
        (values, same): (&[Option<Lanes>], &[bool]),
    ) -> Option<Lanes> {
        let program = scene.program;
        let of = |v: Value| values[v.0 as usize].as_ref().expect("lowered before its use");
        let constant = |v: Value| match program.insts[v.0 as usize] {
            Inst::Const(scalar) => Some(scalar),
            _ => None,
        };
        Some(match *inst {
            Inst::Const(scalar) => self.constant(scalar),
            Inst::Param(p) => match &scene.params[p.0 as usize] {
                Argument::Lanes(lanes) => lanes.clone(),
                Argument::Row(at) => self.row_value(program.params[p.0 as usize], *at),
            },
            Inst::Load(slot) => {
                let view = scene.slots[slot.0 as usize];
                self.load(view.number, &program.slots[slot.0 as usize], view)
            }
            Inst::Gather(slot, index) => {
                let view = scene.slots[slot.0 as usize];
                let index = (of(index), same[index.0 as usize]);
                self.gather(view.number, &program.slots[slot.0 as usize], view, index)
            }
            Inst::Store(slot, x) => {
                let view = scene.slots[slot.0 as usize];
                self.store(view.number, &program.slots[slot.0 as usize], view, of(x));
                return None;
            }
            Inst::Index(axis) => match scene.axes.get(axis as usize) {
                Some(&at) if scene.reduce_moves && axis as usize >= scene.outer => {
                    let part = self.v(Op::Vpbroadcastq, &[Place::Frame(at).into()]);
                    Lanes { ty: Type::I64, bits: 64, parts: smallvec![part; 2] }
                }
                Some(&at) => self.row_value(Type::I64, at),
                None => self.lane_positions(),
            },
            Inst::CheckIndex { index, bound, site } => self.check_index(of(index), bound, site),
            Inst::Unary(op, x) => self.unary(op, of(x)),
            Inst::Binary(Binary::Div, x, y)
                if of(x).ty.is_float() && same[x.0 as usize] && same[y.0 as usize] =>
            {
                self.divide_once(of(x), of(y))
            }
            Inst::Binary(op, x, y) => match (constant(x), op) {
                (Some(c), Binary::Max | Binary::Min)
                    if c.dtype().is_float() && !c.to_f64().is_nan() =>
                {
                    self.bound(op, of(x), of(y))
                }
                _ => self.binary(op, of(x), of(y), constant(y)),
            },
            Inst::Fma(x, y, z) => self.fma(of(x), of(y), of(z)),
            Inst::Compare(op, x, y) => self.compare(op, of(x), of(y)),
            Inst::Select(mask, x, y) => self.select(of(mask), of(x), of(y)),
        })
    }

    /// The bits of a lane of `ty` as it is first made.
    pub fn bits_of(&self, ty: Type) -> u32 {
        match ty.bits() {
            Some(bits) => bits,
            None if self.has_masks() => 0,
            None => 32,
        }
    }

    /// How many registers lanes of `bits` bits take.
    pub fn part_count(&self, bits: u32) -> usize {
        if bits == 64 { 2 } else { 1 }
    }

    /// The same element in every lane.
    pub fn constant(&mut self, scalar: Scalar) -> Lanes {
        let ty = Type::of(scalar.dtype());
        match ty {
            Type::F32 => self.fill(ty, u64::from((scalar.to_f64() as f32).to_bits())),
            Type::F64 | Type::I64 => self.fill(ty, scalar.bits()),
            Type::I32 => self.fill(ty, scalar.to_i64() as u64),
            Type::Mask => self.mask_constant(scalar.to_i64() != 0),
        }
    }

    /// These (low) bits in every lane of a number.
    pub fn fill(&mut self, ty: Type, lane: u64) -> Lanes {
        let bits = ty.bits().expect("a number");
        let part = self.fill_bits(bits, lane);
        Lanes { ty, bits, parts: SmallVec::from_elem(part, self.part_count(bits)) }
    }

    /// A vector of lanes of `bits` bits that are all alike.
    pub fn fill_bits(&mut self, bits: u32, lane: u64) -> Reg {
        let bytes = lane.to_le_bytes();
        let home = Home::Fill(SmallVec::from_slice(&bytes[..bits as usize / 8]));
        self.registers.at_home(Class::Vector, home)
    }

    fn mask_constant(&mut self, holds: bool) -> Lanes {
        let lane = if holds { u64::MAX } else { 0 };
        if self.has_masks() {
            let part = self.mask_bits(lane as u16);
            return Lanes { ty: Type::Mask, bits: 0, parts: smallvec![part] };
        }
        let part = self.fill_bits(32, lane);
        Lanes { ty: Type::Mask, bits: 32, parts: smallvec![part] }
    }

    /// A mask register of these bits.
    pub fn mask_bits(&mut self, bits: u16) -> Reg {
        let home = Home::Constant(bits.to_le_bytes().into());
        self.registers.at_home(Class::Mask, home)
    }

    /// The active lanes of part `part` of lanes of `bits` bits: a mask register.
    pub fn active_mask(&mut self, bits: u32, part: usize) -> Reg {
        let all = (1u32 << self.active) - 1;
        let per_part = self.width.bytes() as u32 * 8 / bits.max(32);
        let bits = (all >> (part as u32 * per_part)) & ((1u32 << per_part) - 1);
        self.mask_bits(bits as u16)
    }

    /// The active lanes of part `part` of lanes of `bits` bits: a vector of all-ones and zeros.
    pub fn active_vector(&mut self, bits: u32, part: usize) -> Reg {
        let per_part = self.width.bytes() * 8 / bits as usize;
        let mut bytes = Vec::with_capacity(self.width.bytes());
        for lane in part * per_part..(part + 1) * per_part {
            let byte = if lane < self.active as usize { 0xFF } else { 0 };
            bytes.extend(std::iter::repeat_n(byte, bits as usize / 8));
        }
        self.registers.at_home(Class::Vector, Home::Constant(bytes.into()))
    }

    /// Which lanes count, as a mask value.
    pub fn active_lanes(&mut self) -> Lanes {
        if self.has_masks() {
            let part = self.active_mask(32, 0);
            return Lanes { ty: Type::Mask, bits: 0, parts: smallvec![part] };
        }
        let part = self.active_vector(32, 0);
        Lanes { ty: Type::Mask, bits: 32, parts: smallvec![part] }
    }

    /// A value of the row, which lies in the frame.
    fn row_value(&mut self, ty: Type, at: i32) -> Lanes {
        let bits = ty.bits().unwrap_or(32);
        let home = Home::Element(Place::Frame(at), bits / 8);
        let part = self.registers.at_home(Class::Vector, home);
        let number = if ty == Type::Mask { Type::I32 } else { ty };
        let parts = SmallVec::from_elem(part, self.part_count(bits));
        let x = Lanes { ty: number, bits, parts };
        if ty == Type::Mask { self.convert(Type::Mask, &x) } else { x }
    }

    /// The position of each lane along the lane axis.
    fn lane_positions(&mut self) -> Lanes {
        let at = self.vector();
        if self.has_masks() {
            let index = Source::Gpr(super::frame::INDEX);
            self.push(Op::VpbroadcastqGpr, self.width, at, &[index]);
        } else {
            let index = Source::Gpr(super::frame::INDEX);
            let low = self.vector();
            self.push(Op::VmovqFromGpr, Width::X, low, &[index]);
            self.push(Op::Vpbroadcastq, self.width, at, &[low.into()]);
        }
        let per_part = self.lanes / 2;
        let parts = (0..2).map(|part| {
            let offsets: Vec<u8> = (0..per_part)
                .flat_map(|i| u64::from(self.first + part * per_part + i).to_le_bytes())
                .collect();
            let offsets = self.registers.at_home(Class::Vector, Home::Constant(offsets.into()));
            self.v(Op::Vpaddq, &[at.into(), offsets.into()])
        });
        Lanes { ty: Type::I64, bits: 64, parts: parts.collect() }
    }

    /// The index in `0..bound`, or 0 and a report.
    fn check_index(&mut self, index: &Lanes, bound: u64, site: u32) -> Lanes {
        let zero = self.fill(Type::I64, 0);
        let bound = self.fill(Type::I64, bound);
        let negative = self.compare(Compare::Lt, index, &zero);
        let from_end = self.binary(Binary::Add, index, &bound, None);
        let index = self.select(&negative, &from_end, index);
        let below = self.compare(Compare::Lt, &index, &zero);
        let above = self.compare(Compare::Ge, &index, &bound);
        let outside = self.binary(Binary::Or, &below, &above, None);
        let counted = if self.is_tail() {
            let active = self.active_lanes();
            self.binary(Binary::And, &outside, &active, None)
        } else {
            outside.clone()
        };
        if self.has_masks() {
            let k = counted.parts[0].into();
            self.effect(Op::Kortestw, Width::X, &[k, k]);
        } else {
            let mut any = counted.parts[0];
            for &part in &counted.parts[1..] {
                any = self.v(Op::Vpord, &[any.into(), part.into()]);
            }
            self.effect(Op::Vptest, self.width, &[any.into(), any.into()]);
        }
        self.steps.push(Step::Scalar(ScalarStep::Report { site }));
        self.select(&outside, &zero, &index)
    }

    /// Leaves the region for `to` unless all masks hold in all lanes.
    pub fn leave_unless(&mut self, masks: &[Lanes], to: Label) {
        let op = if self.has_masks() { Op::Kandw } else { Op::Vpandd };
        let parts = masks.iter().flat_map(|mask| mask.parts.iter().copied());
        let all = parts.collect::<Vec<_>>().into_iter().reduce(|x, y| match self.has_masks() {
            true => self.k(op, Width::X, &[x.into(), y.into()], None),
            false => self.v(op, &[x.into(), y.into()]),
        });
        let all: Source = all.expect("there are masks").into();
        // Either sets the carry flag if there are ones alone.
        if self.has_masks() {
            self.effect(Op::Kortestw, Width::X, &[all, all]);
        } else {
            let ones = self.fill(Type::I32, u64::from(u32::MAX)).parts[0];
            self.effect(Op::Vptest, self.width, &[all, ones.into()]);
        }
        self.steps.push(Step::Scalar(ScalarStep::Leave { to }));
    }

    /// A vector register that is not defined yet.
    pub fn vector(&mut self) -> Reg {
        self.registers.fresh(Class::Vector)
    }

    /// `dst = op srcs`.
    pub fn push(&mut self, op: Op, width: Width, dst: Reg, srcs: &[Source]) {
        self.step(op, width, Some(dst), srcs, None);
    }

    /// An instruction without a result.
    pub fn effect(&mut self, op: Op, width: Width, srcs: &[Source]) {
        self.step(op, width, None, srcs, None);
    }

    fn step(&mut self, op: Op, width: Width, dst: Option<Reg>, srcs: &[Source], imm: Option<u8>) {
        self.steps.push(Step::Op(OpStep {
            op,
            width,
            dst,
            tied: None,
            srcs: SmallVec::from_slice(srcs),
            imm,
            mask: None,
            commutes: commutes(op),
        }));
    }

    /// A full vector made by `op`.
    pub fn v(&mut self, op: Op, srcs: &[Source]) -> Reg {
        let dst = self.vector();
        self.push(op, self.width, dst, srcs);
        dst
    }

    /// As [`Lower::v`], with an immediate.
    pub fn vi(&mut self, op: Op, srcs: &[Source], imm: u8) -> Reg {
        self.wi(op, self.width, srcs, imm)
    }

    /// As [`Lower::v`], of another width.
    pub fn w(&mut self, op: Op, width: Width, srcs: &[Source]) -> Reg {
        let dst = self.vector();
        self.push(op, width, dst, srcs);
        dst
    }

    /// As [`Lower::w`], with an immediate.
    pub fn wi(&mut self, op: Op, width: Width, srcs: &[Source], imm: u8) -> Reg {
        let dst = self.vector();
        self.step(op, width, Some(dst), srcs, Some(imm));
        dst
    }

    /// A mask register made by `op`.
    pub fn k(&mut self, op: Op, width: Width, srcs: &[Source], imm: Option<u8>) -> Reg {
        let dst = self.registers.fresh(Class::Mask);
        self.step(op, width, Some(dst), srcs, imm);
        dst
    }

    /// A mask register made by a comparison of the lanes of `mask`; the others are 0.
    pub fn masked_compare(&mut self, op: Op, srcs: &[Source], imm: u8, mask: &Lanes) -> Reg {
        let dst = self.k(op, self.width, srcs, Some(imm));
        if let Some(Step::Op(step)) = self.steps.last_mut() {
            step.mask = Some((mask.parts[0], false));
        }
        dst
    }

    /// A vector of which `op` writes the lanes of `mask`; the others are 0, or those of `tied`.
    pub fn masked(&mut self, op: Op, width: Width, srcs: &[Source], mask: Reg) -> Reg {
        self.masked_with(op, width, None, srcs, mask, None)
    }

    /// The general form of [`Lower::masked`].
    pub fn masked_with(
        &mut self,
        op: Op,
        width: Width,
        tied: Option<Reg>,
        srcs: &[Source],
        mask: Reg,
        imm: Option<u8>,
    ) -> Reg {
        let dst = self.vector();
        self.steps.push(Step::Op(OpStep {
            op,
            width,
            dst: Some(dst),
            tied,
            srcs: SmallVec::from_slice(srcs),
            imm,
            mask: Some((mask, tied.is_none())),
            commutes: false,
        }));
        dst
    }

    /// A store of the lanes of `mask`.
    pub fn masked_effect(
        &mut self,
        op: Op,
        width: Width,
        srcs: &[Source],
        mask: Reg,
        imm: Option<u8>,
    ) {
        self.steps.push(Step::Op(OpStep {
            op,
            width,
            dst: None,
            tied: None,
            srcs: SmallVec::from_slice(srcs),
            imm,
            mask: Some((mask, false)),
            commutes: false,
        }));
    }

    pub fn scalar(&mut self, step: ScalarStep) {
        self.steps.push(Step::Scalar(step));
    }
}

/// Whether operands may be exchanged.
fn commutes(op: Op) -> bool {
    use Op::*;
    matches!(
        op,
        Vaddps
            | Vaddpd
            | Vmulps
            | Vmulpd
            | Vandps
            | Vandpd
            | Vorps
            | Vorpd
            | Vxorps
            | Vxorpd
            | Vpaddd
            | Vpaddq
            | Vpmulld
            | Vpmullq
            | Vpandd
            | Vpandq
            | Vpord
            | Vporq
            | Vpxord
            | Vpxorq
            | Vpmaxsd
            | Vpmaxsq
            | Vpminsd
            | Vpminsq
            | Vpcmpeqd
            | Vpcmpeqq
    )
}
