//! Loads and stores of groups of lanes, with the conversion from and to the format in memory.
//!
//! Neighbours: `lanes` for values, `convert` for the half formats; `body` gives the addresses.

use super::lanes::{Group, Lanes, Parts, invariant, lane_type, plain};
use crate::vector::{SlotDecl, Stride, Type};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder, MemFlagsData, types};
use tensc_runtime::DType;

/// Where a slot's element for the first lane of the group is.
#[derive(Clone, Copy)]
pub(super) struct Address {
    /// The pointer.
    pub pointer: ir::Value,
    /// Bytes from lane to lane.
    pub lane_bytes: i64,
    /// Whether nothing writes that memory while the kernel runs.
    pub readonly: bool,
}

impl Address {
    fn flags(&self) -> MemFlagsData {
        if self.readonly { invariant() } else { plain() }
    }
}

impl Group<'_, '_> {
    /// The elements of the slot, widened.
    pub fn load(&mut self, slot: &SlotDecl, at: Address) -> Lanes {
        let ty = Type::of(slot.dtype);
        match slot.stride {
            Stride::Splat => {
                let element = self.load_element(slot.dtype, at.pointer, 0, at.flags());
                self.splat(ty, element)
            }
            Stride::Unit if !self.scalar() => self.load_unit(slot.dtype, at),
            Stride::Unit | Stride::Far => {
                let elements: Vec<ir::Value> = (0..self.lanes)
                    .map(|lane| {
                        let (pointer, offset) = self.lane_pointer(at, lane);
                        self.load_element(slot.dtype, pointer, offset, at.flags())
                    })
                    .collect();
                self.from_elements(ty, &elements)
            }
        }
    }

    /// The elements at `index` times `step` bytes from the slot's, widened.
    pub fn gather(&mut self, dtype: DType, at: Address, index: &Lanes, step: i64) -> Lanes {
        let mut elements: Vec<ir::Value> = Vec::new();
        for lane in 0..self.lanes {
            let index = self.lane(index, lane);
            let distance = self.b.ins().imul_imm_s(index, step);
            let (pointer, offset) = self.lane_pointer(at, lane);
            let pointer = self.b.ins().iadd(pointer, distance);
            elements.push(self.load_element(dtype, pointer, offset, at.flags()));
        }
        self.from_elements(Type::of(dtype), &elements)
    }

    /// A value whose lanes are widened elements (masks as `i8`).
    fn from_elements(&mut self, ty: Type, elements: &[ir::Value]) -> Lanes {
        if ty != Type::Mask || self.scalar() {
            return self.gather_lanes(ty, elements);
        }
        let wide: Vec<ir::Value> =
            elements.iter().map(|&e| self.b.ins().uextend(types::I32, e)).collect();
        let numbers = self.gather_lanes(Type::I32, &wide);
        self.convert(Type::Mask, &numbers)
    }

    /// A pointer and displacement of the slot's element for `lane`.
    fn lane_pointer(&mut self, at: Address, lane: u32) -> (ir::Value, i32) {
        let distance = at.lane_bytes * i64::from(lane);
        match i32::try_from(distance) {
            Ok(offset) => (at.pointer, offset),
            Err(_) => (self.b.ins().iadd_imm_s(at.pointer, distance), 0),
        }
    }

    /// One element, widened to a scalar of its lane type.
    pub fn load_element(
        &mut self,
        dtype: DType,
        pointer: ir::Value,
        offset: i32,
        flags: MemFlagsData,
    ) -> ir::Value {
        match dtype {
            DType::Bool => {
                let byte = self.b.ins().load(types::I8, flags, pointer, offset);
                self.b.ins().icmp_imm_s(IntCC::NotEqual, byte, 0)
            }
            DType::U8 => self.b.ins().uload8(types::I32, flags, pointer, offset),
            DType::I8 => self.b.ins().sload8(types::I32, flags, pointer, offset),
            DType::I16 => self.b.ins().sload16(types::I32, flags, pointer, offset),
            DType::F16 => {
                let half = self.b.ins().uload16(types::I32, flags, pointer, offset);
                self.f32_from_f16(half)
            }
            DType::BF16 => {
                let half = self.b.ins().uload16(types::I32, flags, pointer, offset);
                self.f32_from_bf16(half)
            }
            DType::I32 | DType::I64 | DType::F32 | DType::F64 => {
                let ty = lane_type(Type::of(dtype));
                self.b.ins().load(ty, flags, pointer, offset)
            }
        }
    }

    /// Consecutive elements into vectors.
    fn load_unit(&mut self, dtype: DType, at: Address) -> Lanes {
        let ty = Type::of(dtype);
        let flags = at.flags();
        match dtype {
            DType::I32 | DType::I64 | DType::F32 | DType::F64 => {
                let bits = Self::bits_of(ty);
                let part = self.part_type(ty, bits);
                let count = self.part_count(bits);
                let parts = (0..count)
                    .map(|i| self.b.ins().load(part, flags, at.pointer, 16 * i as i32))
                    .collect();
                Lanes { ty, bits, parts }
            }
            DType::Bool => {
                let parts = self.load_bytes(at, false);
                let bytes = Lanes { ty: Type::I32, bits: 32, parts };
                self.convert(Type::Mask, &bytes)
            }
            DType::U8 | DType::I8 => {
                Lanes { ty, bits: 32, parts: self.load_bytes(at, dtype == DType::I8) }
            }
            DType::I16 | DType::F16 | DType::BF16 => {
                let mut parts = Parts::new();
                for i in 0..self.part_count(32) {
                    let offset = 8 * i as i32;
                    parts.push(match dtype {
                        DType::I16 => self.b.ins().sload16x4(flags, at.pointer, offset),
                        _ => {
                            let half = self.b.ins().uload16x4(flags, at.pointer, offset);
                            match dtype {
                                DType::F16 => self.f32_from_f16(half),
                                _ => self.f32_from_bf16(half),
                            }
                        }
                    });
                }
                Lanes { ty, bits: 32, parts }
            }
        }
    }

    /// Consecutive bytes, extended to 32-bit lanes.
    fn load_bytes(&mut self, at: Address, signed: bool) -> Parts {
        let flags = at.flags();
        let mut parts = Parts::new();
        let mut lane = 0;
        while lane < self.lanes {
            let left = self.lanes - lane;
            let offset = lane as i32;
            if left >= 8 {
                let halves = if signed {
                    self.b.ins().sload8x8(flags, at.pointer, offset)
                } else {
                    self.b.ins().uload8x8(flags, at.pointer, offset)
                };
                if signed {
                    parts.push(self.b.ins().swiden_low(halves));
                    parts.push(self.b.ins().swiden_high(halves));
                } else {
                    parts.push(self.b.ins().uwiden_low(halves));
                    parts.push(self.b.ins().uwiden_high(halves));
                }
                lane += 8;
            } else {
                let four = self.b.ins().load(types::I32, flags, at.pointer, offset);
                let four = self.b.ins().scalar_to_vector(types::I32X4, four);
                let bytes = self.cast(types::I8X16, four);
                parts.push(if signed {
                    let halves = self.b.ins().swiden_low(bytes);
                    self.b.ins().swiden_low(halves)
                } else {
                    let halves = self.b.ins().uwiden_low(bytes);
                    self.b.ins().uwiden_low(halves)
                });
                lane += 4;
            }
        }
        parts
    }

    /// Narrows and stores.
    pub fn store(&mut self, slot: &SlotDecl, at: Address, x: &Lanes) {
        match slot.stride {
            Stride::Unit if !self.scalar() => self.store_unit(slot.dtype, at, x),
            Stride::Splat => unreachable!("a store to one element passed the verifier"),
            Stride::Unit | Stride::Far => {
                for lane in 0..self.lanes {
                    let element = self.lane(x, lane);
                    let (pointer, offset) = self.lane_pointer(at, lane);
                    self.store_element(slot.dtype, element, pointer, offset);
                }
            }
        }
    }

    /// One element from a scalar of its lane type.
    pub fn store_element(&mut self, dtype: DType, x: ir::Value, pointer: ir::Value, offset: i32) {
        match dtype {
            DType::U8 | DType::I8 => {
                self.b.ins().istore8(plain(), x, pointer, offset);
            }
            DType::I16 => {
                self.b.ins().istore16(plain(), x, pointer, offset);
            }
            DType::F16 | DType::BF16 => {
                let half = match dtype {
                    DType::F16 => self.f16_from_f32(x),
                    _ => self.bf16_from_f32(x),
                };
                self.b.ins().istore16(plain(), half, pointer, offset);
            }
            DType::Bool | DType::I32 | DType::I64 | DType::F32 | DType::F64 => {
                self.b.ins().store(plain(), x, pointer, offset);
            }
        }
    }

    /// Vectors into consecutive elements.
    fn store_unit(&mut self, dtype: DType, at: Address, x: &Lanes) {
        match dtype {
            DType::I32 | DType::I64 | DType::F32 | DType::F64 => {
                for (i, &part) in x.parts.iter().enumerate() {
                    self.b.ins().store(plain(), part, at.pointer, 16 * i as i32);
                }
            }
            DType::Bool => {
                let mask = self.widen_mask(x, 32);
                let ones: Parts = mask.parts.iter().map(|&p| self.and_bits(p, 1)).collect();
                self.store_bytes(&ones, at.pointer);
            }
            DType::U8 | DType::I8 => {
                let low: Parts = x.parts.iter().map(|&p| self.and_bits(p, 0xFF)).collect();
                self.store_bytes(&low, at.pointer);
            }
            DType::I16 => {
                let low: Parts = x.parts.iter().map(|&p| self.and_bits(p, 0xFFFF)).collect();
                self.store_halves(&low, at.pointer);
            }
            DType::F16 => {
                let halves: Parts = x.parts.iter().map(|&p| self.f16_from_f32(p)).collect();
                self.store_halves(&halves, at.pointer);
            }
            DType::BF16 => {
                let halves: Parts = x.parts.iter().map(|&p| self.bf16_from_f32(p)).collect();
                self.store_halves(&halves, at.pointer);
            }
        }
    }

    /// Stores 32-bit lanes that are below 2^16 as 16-bit elements.
    fn store_halves(&mut self, parts: &[ir::Value], pointer: ir::Value) {
        for (i, pair) in parts.chunks(2).enumerate() {
            let offset = 16 * i as i32;
            let packed = self.b.ins().unarrow(pair[0], pair[pair.len() - 1]);
            self.store_low(packed, 8 * pair.len() as u32, pointer, offset);
        }
    }

    /// Stores 32-bit lanes that are below 2^8 as bytes.
    fn store_bytes(&mut self, parts: &[ir::Value], pointer: ir::Value) {
        for (i, four) in parts.chunks(4).enumerate() {
            let offset = 16 * i as i32;
            let last = four.len() - 1;
            let low = self.b.ins().unarrow(four[0], four[1.min(last)]);
            let high = self.b.ins().unarrow(four[2.min(last)], four[last]);
            let packed = self.b.ins().unarrow(low, high);
            self.store_low(packed, 4 * four.len() as u32, pointer, offset);
        }
    }

    /// Stores the low 4, 8, 12 or 16 bytes of a vector.
    fn store_low(&mut self, x: ir::Value, bytes: u32, pointer: ir::Value, offset: i32) {
        if bytes == 16 {
            self.b.ins().store(plain(), x, pointer, offset);
            return;
        }
        let mut done = 0;
        if bytes >= 8 {
            let words = self.cast(types::I64X2, x);
            let low = self.b.ins().extractlane(words, 0u8);
            self.b.ins().store(plain(), low, pointer, offset);
            done = 8;
        }
        if bytes > done {
            let words = self.cast(types::I32X4, x);
            let word = self.b.ins().extractlane(words, (done / 4) as u8);
            self.b.ins().store(plain(), word, pointer, offset + done as i32);
        }
    }
}
