//! Loads and stores of groups of lanes, with the conversion from and to the format in memory.
//!
//! Invariant: only active lanes are touched in memory.
//!
//! Neighbours: `lower` has the values; `convert` the half formats.

use super::asm::Width;
use super::lower::{Lanes, Lower, SlotView};
use super::machine::{Home, Place, Reg, ScalarStep, Source};
use super::table::Op;
use crate::vector::{Compare, SlotDecl, Stride, Type};
use smallvec::{SmallVec, smallvec};
use tensc_runtime::DType;

impl Lower<'_> {
    /// The elements of the slot, widened.
    pub fn load(&mut self, slot: u32, decl: &SlotDecl, view: SlotView) -> Lanes {
        if view.lane_bytes == 0 {
            return self.load_splat(slot, decl.dtype, view);
        }
        if decl.stride == Stride::Unit {
            let first = self.lane_offset(view, 0);
            return self
                .load_unit(decl.dtype, |_, bytes| Place::Slot { slot, bytes: first + bytes });
        }
        let raw = self.insert_elements(decl.dtype, |g, lane| Place::Slot {
            slot,
            bytes: g.lane_offset(view, lane),
        });
        self.widen_elements(decl.dtype, &raw)
    }

    /// Bytes from the slot's pointer to its element for a lane of this group.
    fn lane_offset(&self, view: SlotView, lane: u32) -> i32 {
        let bytes = view.lane_bytes * i64::from(self.first + lane);
        i32::try_from(bytes).expect("supported strides") + self.row_offset(view)
    }

    /// Bytes from the slot's pointer to the row that is being lowered.
    fn row_offset(&self, view: SlotView) -> i32 {
        i32::try_from(view.row_bytes * i64::from(self.row)).expect("rows within reach")
    }

    /// The element of the slot, for every lane.
    fn load_splat(&mut self, slot: u32, dtype: DType, view: SlotView) -> Lanes {
        let ty = Type::of(dtype);
        let place = Place::Slot { slot, bytes: self.row_offset(view) };
        match dtype {
            DType::I32 | DType::F32 | DType::I64 | DType::F64 => {
                let bits = 8 * dtype.size() as u32;
                let part = if view.readonly {
                    let home = Home::Element(place, bits / 8);
                    self.registers.at_home(super::machine::Class::Vector, home)
                } else {
                    let op = if bits == 64 { Op::Vbroadcastsd } else { Op::Vbroadcastss };
                    self.v(op, &[place.into()])
                };
                Lanes { ty, bits, parts: SmallVec::from_elem(part, self.part_count(bits)) }
            }
            DType::Bool | DType::U8 | DType::I8 | DType::I16 | DType::F16 | DType::BF16 => {
                // One element, widened, then spread.
                let zero = self.fill_bits(32, 0);
                let op = if dtype.size() == 1 { Op::Vpinsrb } else { Op::Vpinsrw };
                let one = self.wi(op, Width::X, &[zero.into(), place.into()], 0);
                let extend = match dtype {
                    DType::I8 => Op::Vpmovsxbd,
                    DType::Bool | DType::U8 => Op::Vpmovzxbd,
                    DType::I16 => Op::Vpmovsxwd,
                    DType::F16 => Op::Vcvtph2ps,
                    _ => Op::Vpmovzxwd,
                };
                let wide = self.w(extend, Width::X, &[one.into()]);
                let wide = match dtype {
                    DType::BF16 => self.wi(Op::VpslldImm, Width::X, &[wide.into()], 16),
                    _ => wide,
                };
                let part = self.v(Op::Vpbroadcastd, &[wide.into()]);
                let ty = if ty == Type::Mask { Type::I32 } else { ty };
                let x = Lanes { ty, bits: 32, parts: smallvec![part] };
                if dtype == DType::Bool { self.truth(&x) } else { x }
            }
        }
    }

    /// Bytes of 0 and 1 in 32-bit lanes, as a mask.
    fn truth(&mut self, x: &Lanes) -> Lanes {
        let zero = self.fill(Type::I32, 0);
        // There is an instruction for greater, but none for unequal.
        self.compare(Compare::Gt, x, &zero)
    }

    /// Consecutive elements; `place` says where they are, so many bytes from the first lane's, and
    /// is asked right before it is used.
    fn load_unit(&mut self, dtype: DType, mut place: impl FnMut(&mut Self, i32) -> Place) -> Lanes {
        let ty = Type::of(dtype);
        let bytes = self.width.bytes() as i32;
        match dtype {
            DType::I32 | DType::F32 | DType::I64 | DType::F64 => {
                let bits = 8 * dtype.size() as u32;
                let parts = (0..self.part_count(bits)).map(|part| {
                    self.load_part(bits, part, |lower| place(lower, bytes * part as i32))
                });
                Lanes { ty, bits, parts: parts.collect() }
            }
            DType::Bool | DType::U8 | DType::I8 | DType::I16 | DType::F16 | DType::BF16 => {
                if self.is_tail() && !self.has_masks() {
                    let size = dtype.size() as i32;
                    let raw =
                        self.insert_elements(dtype, |lower, lane| place(lower, size * lane as i32));
                    return self.widen_elements(dtype, &raw);
                }
                let k = self.is_tail().then(|| self.active_mask(32, 0));
                let place = place(self, 0);
                self.widen_from(dtype, place.into(), k)
            }
        }
    }

    /// One vector of 32-bit or 64-bit elements.
    fn load_part(&mut self, bits: u32, part: usize, place: impl FnOnce(&mut Self) -> Place) -> Reg {
        let whole = (part as u32 + 1) * self.width.bytes() as u32 * 8 / bits <= self.active;
        if whole {
            let place = place(self);
            return self.v(Op::Vmovups, &[place.into()]);
        }
        if part as u32 * self.width.bytes() as u32 * 8 / bits >= self.active {
            return self.fill_bits(32, 0);
        }
        let wide = bits == 64;
        if self.has_masks() {
            let k = self.active_mask(bits, part);
            let op = if wide { Op::Vmovupd } else { Op::Vmovups };
            let place = place(self);
            return self.masked(op, self.width, &[place.into()], k);
        }
        let mask = self.active_vector(bits, part);
        let op = if wide { Op::VmaskmovpdLoad } else { Op::VmaskmovpsLoad };
        let place = place(self);
        self.v(op, &[mask.into(), place.into()])
    }

    /// Narrow elements in memory or in the low part of a register, in 32-bit lanes.
    fn widen_from(&mut self, dtype: DType, from: Source, mask: Option<Reg>) -> Lanes {
        let ty = Type::of(dtype);
        let op = match dtype {
            DType::I8 => Op::Vpmovsxbd,
            DType::Bool | DType::U8 => Op::Vpmovzxbd,
            DType::I16 => Op::Vpmovsxwd,
            DType::F16 => Op::Vcvtph2ps,
            _ => Op::Vpmovzxwd,
        };
        let part = match mask {
            Some(k) => self.masked(op, self.width, &[from], k),
            None => self.v(op, &[from]),
        };
        let part = match dtype {
            DType::BF16 => self.vi(Op::VpslldImm, &[part.into()], 16),
            _ => part,
        };
        let number = if ty == Type::Mask { Type::I32 } else { ty };
        let x = Lanes { ty: number, bits: 32, parts: smallvec![part] };
        if dtype == DType::Bool { self.truth(&x) } else { x }
    }

    /// Elements of active lanes, one at a time, next to each other in vectors of 128 bits.
    fn insert_elements(
        &mut self,
        dtype: DType,
        mut place: impl FnMut(&mut Self, u32) -> Place,
    ) -> SmallVec<[Reg; 8]> {
        let size = dtype.size() as u32;
        let per_vector = 16 / size;
        let mut vectors = SmallVec::new();
        let mut lane = 0;
        while lane < self.active {
            let mut vector = self.fill_bits(32, 0);
            for i in 0..per_vector.min(self.active - lane) {
                let from = place(self, lane + i).into();
                vector = match (size, i) {
                    (4, 0) => self.w(Op::VmovdFromGpr, Width::X, &[from]),
                    (8, 0) => self.w(Op::VmovqFromGpr, Width::X, &[from]),
                    _ => {
                        let op = match size {
                            1 => Op::Vpinsrb,
                            2 => Op::Vpinsrw,
                            4 => Op::Vpinsrd,
                            _ => Op::Vpinsrq,
                        };
                        self.wi(op, Width::X, &[vector.into(), from], i as u8)
                    }
                };
            }
            vectors.push(vector);
            lane += per_vector;
        }
        vectors
    }

    /// The value of elements that [`Lower::insert_elements`] put next to each other.
    fn widen_elements(&mut self, dtype: DType, raw: &[Reg]) -> Lanes {
        let ty = Type::of(dtype);
        match dtype {
            DType::I32 | DType::F32 | DType::I64 | DType::F64 => {
                let bits = 8 * dtype.size() as u32;
                let per_part = self.width.bytes() / 16;
                let zero = self.fill_bits(32, 0);
                let parts = (0..self.part_count(bits)).map(|part| {
                    let from = raw.iter().skip(part * per_part).take(per_part);
                    let from: SmallVec<[Reg; 4]> = from.copied().collect();
                    self.join_quarters(&from).unwrap_or(zero)
                });
                Lanes { ty, bits, parts: parts.collect() }
            }
            DType::I16 | DType::F16 | DType::BF16 => {
                let joined = match *raw {
                    [low, high] => {
                        self.wi(Op::Vinserti128, Width::Y, &[low.into(), high.into()], 1)
                    }
                    _ => raw[0],
                };
                self.widen_from(dtype, joined.into(), None)
            }
            DType::Bool | DType::U8 | DType::I8 => self.widen_from(dtype, raw[0].into(), None),
        }
    }

    /// A vector of up to four vectors of 128 bits.
    fn join_quarters(&mut self, parts: &[Reg]) -> Option<Reg> {
        let (&first, rest) = parts.split_first()?;
        let mut joined = first;
        for (i, &part) in rest.iter().enumerate() {
            joined = self.vi(Op::Vinserti128, &[joined.into(), part.into()], i as u8 + 1);
        }
        Some(joined)
    }

    /// The elements at `index` times the slot's gather distance from the slot's, widened; and
    /// whether the index is the same in all lanes: then those of a row lie one after another.
    pub fn gather(
        &mut self,
        slot: u32,
        decl: &SlotDecl,
        view: SlotView,
        (index, same): (&Lanes, bool),
    ) -> Lanes {
        let at = self.spill(index);
        if same && decl.stride == Stride::Unit {
            let first = self.lane_offset(view, 0);
            return self.load_unit(decl.dtype, |lower, bytes| {
                lower.scalar(ScalarStep::GatherFrom { slot, index: at, step: view.gather_bytes });
                Place::Gathered { slot, bytes: first + bytes }
            });
        }
        let raw = self.insert_elements(decl.dtype, |g, lane| {
            let index = at + 8 * lane as i32;
            g.scalar(ScalarStep::GatherFrom { slot, index, step: view.gather_bytes });
            Place::Gathered { slot, bytes: g.lane_offset(view, lane) }
        });
        self.widen_elements(decl.dtype, &raw)
    }

    /// Narrows and stores.
    pub fn store(&mut self, slot: u32, decl: &SlotDecl, view: SlotView, x: &Lanes) {
        let size = decl.dtype.size() as i32;
        if decl.stride == Stride::Unit {
            let first = size * self.first as i32 + self.row_offset(view);
            return self.store_unit(slot, decl.dtype, view, first, x);
        }
        let at = self.narrow_to_frame(decl.dtype, x);
        for lane in 0..self.active {
            let bytes = self.lane_offset(view, lane);
            self.scalar(ScalarStep::Copy {
                from: Place::Frame(at + size * lane as i32),
                to: Place::Slot { slot, bytes },
                size: size as u32,
            });
        }
    }

    fn store_unit(&mut self, slot: u32, dtype: DType, view: SlotView, first: i32, x: &Lanes) {
        let bytes = self.width.bytes() as i32;
        match dtype {
            DType::I32 | DType::F32 | DType::I64 | DType::F64 => {
                for (part, &reg) in x.parts.iter().enumerate() {
                    let at = (slot, first + bytes * part as i32);
                    self.store_part(x.bits, part, at, view.streams, reg);
                }
            }
            DType::Bool | DType::U8 | DType::I8 | DType::I16 | DType::F16 | DType::BF16 => {
                let place = Place::Slot { slot, bytes: first };
                let (narrow, op, width) = self.narrow(dtype, x);
                if !self.is_tail() {
                    return self.store_narrow(dtype, op, width, place, narrow);
                }
                if self.has_masks() {
                    let k = self.active_mask(32, 0);
                    let imm = (op == Op::Vcvtps2ph).then_some(0);
                    return self.masked_effect(op, width, &[place.into(), narrow.into()], k, imm);
                }
                let at = self.narrow_to_frame(dtype, x);
                let bytes = dtype.size() as u32 * self.active;
                let mut done = 0;
                for size in [8, 4, 2, 1] {
                    while bytes - done >= size {
                        self.scalar(ScalarStep::Copy {
                            from: Place::Frame(at + done as i32),
                            to: Place::Slot { slot, bytes: first + done as i32 },
                            size,
                        });
                        done += size;
                    }
                }
            }
        }
    }

    fn store_part(
        &mut self,
        bits: u32,
        part: usize,
        (slot, at): (u32, i32),
        streams: bool,
        reg: Reg,
    ) {
        let place = Place::Slot { slot, bytes: at };
        let per_part = self.width.bytes() as u32 * 8 / bits;
        if (part as u32 + 1) * per_part <= self.active {
            let op = if streams { Op::Vmovntps } else { Op::VmovupsStore };
            return self.effect(op, self.width, &[place.into(), reg.into()]);
        }
        if part as u32 * per_part >= self.active {
            return;
        }
        if self.has_masks() {
            let k = self.active_mask(bits, part);
            let op = if bits == 64 { Op::VmovupdStore } else { Op::VmovupsStore };
            return self.masked_effect(op, self.width, &[place.into(), reg.into()], k, None);
        }
        // A masked store of AVX2 takes as long as ten others on some processors.
        let (mut rest, mut done) = (reg, 0);
        let bytes = (self.active - part as u32 * per_part) as i32 * bits as i32 / 8;
        for (size, op) in [(16, Op::VmovupsStore), (8, Op::VmovsdStore), (4, Op::VmovssStore)] {
            if bytes - done < size {
                continue;
            }
            let place = Place::Slot { slot, bytes: at + done };
            self.effect(op, Width::X, &[place.into(), rest.into()]);
            done += size;
            if done < bytes {
                rest = match size {
                    16 => self.vi(Op::Vextracti128, &[rest.into()], 1),
                    _ => self.wi(Op::Vpshufd, Width::X, &[rest.into()], 0x0E),
                };
            }
        }
    }

    /// The value in narrow elements, with the instruction and width that store them.
    fn narrow(&mut self, dtype: DType, x: &Lanes) -> (Reg, Op, Width) {
        if self.has_masks() {
            return match dtype {
                DType::Bool => {
                    let ones = self.convert(Type::I32, x);
                    (ones.parts[0], Op::Vpmovdb, Width::Z)
                }
                DType::U8 | DType::I8 => (x.parts[0], Op::Vpmovdb, Width::Z),
                DType::I16 => (x.parts[0], Op::Vpmovdw, Width::Z),
                DType::BF16 => (self.bf16_from_f32(x.parts[0]), Op::Vpmovdw, Width::Z),
                _ => (x.parts[0], Op::Vcvtps2ph, Width::Z),
            };
        }
        match dtype {
            DType::F16 => (self.f16_from_f32(x.parts[0]), Op::VmovupsStore, Width::X),
            DType::BF16 => {
                let low = self.bf16_from_f32(x.parts[0]);
                (self.pack_halves(low), Op::VmovupsStore, Width::X)
            }
            DType::I16 => {
                let low = self.and_bits(x, 0xFFFF).parts[0];
                (self.pack_halves(low), Op::VmovupsStore, Width::X)
            }
            DType::Bool => {
                let ones = self.convert(Type::I32, x).parts[0];
                (self.pack_bytes(ones), Op::VmovsdStore, Width::X)
            }
            _ => {
                let low = self.and_bits(x, 0xFF).parts[0];
                (self.pack_bytes(low), Op::VmovsdStore, Width::X)
            }
        }
    }

    fn store_narrow(&mut self, dtype: DType, op: Op, width: Width, to: Place, x: Reg) {
        if self.has_masks() && dtype == DType::F16 {
            let half = self.f16_from_f32(x);
            return self.effect(Op::VmovupsStore, Width::Y, &[to.into(), half.into()]);
        }
        self.effect(op, width, &[to.into(), x.into()]);
    }

    /// 32-bit lanes below 2^16 as 16-bit elements: AVX2.
    fn pack_halves(&mut self, x: Reg) -> Reg {
        let packed = self.v(Op::Vpackusdw, &[x.into(), x.into()]);
        self.vi(Op::Vpermq, &[packed.into()], 0x08)
    }

    /// 32-bit lanes below 2^8 as bytes: AVX2.
    fn pack_bytes(&mut self, x: Reg) -> Reg {
        let halves = self.pack_halves(x);
        self.w(Op::Vpackuswb, Width::X, &[halves.into(), halves.into()])
    }

    /// All lanes as elements in the frame.
    fn narrow_to_frame(&mut self, dtype: DType, x: &Lanes) -> i32 {
        match dtype {
            DType::I32 | DType::F32 | DType::I64 | DType::F64 => self.spill(x),
            DType::Bool | DType::U8 | DType::I8 | DType::I16 | DType::F16 | DType::BF16 => {
                let at = self.frame.take(2 * self.lanes as usize);
                let (narrow, op, width) = self.narrow(dtype, x);
                self.store_narrow(dtype, op, width, Place::Frame(at), narrow);
                at
            }
        }
    }
}
