//! Conversions between lane types, and between memory formats and the lanes that hold them.
//!
//! Neighbours: `vector::lane` defines the conversions; `memory` uses the half formats.

use super::lanes::{Group, Lanes, Parts, lane_type};
use crate::vector::{Compare, Type};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder, types};
use smallvec::smallvec;

impl Group<'_, '_> {
    /// Conversion by value: see `vector::Unary::Convert`.
    pub fn convert(&mut self, to: Type, x: &Lanes) -> Lanes {
        if x.ty == to {
            return x.clone();
        }
        match (x.ty, to) {
            (Type::Mask, _) => self.number_from_mask(to, x),
            (_, Type::Mask) => {
                let zero = self.filled(x.ty, 0);
                self.compare(Compare::Ne, x, &zero)
            }
            _ if self.scalar() => {
                let part = self.convert_scalar(x.ty, to, x.parts[0]);
                Lanes { ty: to, bits: Self::bits_of(to), parts: smallvec![part] }
            }
            _ => self.convert_vectors(to, x),
        }
    }

    fn number_from_mask(&mut self, to: Type, mask: &Lanes) -> Lanes {
        let bits = Self::bits_of(to);
        if self.scalar() {
            let x = mask.parts[0];
            let part = match to {
                Type::I32 | Type::I64 => self.b.ins().uextend(lane_type(to), x),
                _ => {
                    let wide = self.b.ins().uextend(types::I32, x);
                    self.b.ins().fcvt_from_sint(lane_type(to), wide)
                }
            };
            return Lanes { ty: to, bits, parts: smallvec![part] };
        }
        let one = match to {
            Type::F32 => u64::from(1f32.to_bits()),
            Type::F64 => 1f64.to_bits(),
            _ => 1,
        };
        let mask = self.widen_mask(mask, bits);
        let part = self.part_type(to, bits);
        let parts = mask.parts.iter().map(|&p| {
            let ones = self.and_bits(p, one);
            self.cast(part, ones)
        });
        Lanes { ty: to, bits, parts: parts.collect() }
    }

    /// Between numbers, one lane.
    fn convert_scalar(&mut self, from: Type, to: Type, x: ir::Value) -> ir::Value {
        let part = lane_type(to);
        match (from, to) {
            (Type::I32, Type::I64) => self.b.ins().sextend(part, x),
            (Type::I64, Type::I32) => self.b.ins().ireduce(part, x),
            (Type::F32, Type::F64) => self.b.ins().fpromote(part, x),
            (Type::F64, Type::F32) => self.b.ins().fdemote(part, x),
            (Type::I32 | Type::I64, _) => self.b.ins().fcvt_from_sint(part, x),
            _ => self.b.ins().fcvt_to_sint_sat(part, x),
        }
    }

    /// Between numbers, several lanes.
    fn convert_vectors(&mut self, to: Type, x: &Lanes) -> Lanes {
        let bits = Self::bits_of(to);
        let parts: Parts = match (x.ty, to) {
            (Type::I32, Type::I64) => self.widen_halves(&x.parts),
            (Type::I64, Type::I32) => self.even_lanes_of_pairs(&x.parts),
            (Type::I32, Type::F32) => {
                x.parts.iter().map(|&p| self.b.ins().fcvt_from_sint(types::F32X4, p)).collect()
            }
            (Type::F32, Type::I32) => {
                x.parts.iter().map(|&p| self.b.ins().fcvt_to_sint_sat(types::I32X4, p)).collect()
            }
            (Type::F32, Type::F64) => {
                self.by_halves(&x.parts, |g, low| g.b.ins().fvpromote_low(low))
            }
            (Type::I32, Type::F64) => self.by_halves(&x.parts, |g, low| {
                let wide = g.b.ins().swiden_low(low);
                g.b.ins().fcvt_from_sint(types::F64X2, wide)
            }),
            (Type::F64, Type::F32) => {
                let narrow: Parts = x.parts.iter().map(|&p| self.b.ins().fvdemote(p)).collect();
                let pairs = narrow.chunks(2);
                pairs.map(|p| self.shuffle32(types::F32X4, p[0], p[1], [0, 1, 4, 5])).collect()
            }
            _ => {
                // 64-bit integers and floats: no instruction below AVX-512.
                let (from, to) = (x.ty, to);
                return self.each_lane(&[x], to, |g, s| g.convert_scalar(from, to, s[0]));
            }
        };
        Lanes { ty: to, bits, parts }
    }

    /// Applies `f`, which looks at the low two lanes, to the halves of 32-bit vectors.
    fn by_halves(
        &mut self,
        parts: &[ir::Value],
        mut f: impl FnMut(&mut Self, ir::Value) -> ir::Value,
    ) -> Parts {
        let mut wide = Parts::new();
        for &part in parts {
            wide.push(f(self, part));
            let ty = self.b.func.dfg.value_type(part);
            let high = self.shuffle32(ty, part, part, [2, 3, 2, 3]);
            wide.push(f(self, high));
        }
        wide
    }

    /// The float type of the same lanes as an integer part, and back.
    fn float_like(&self, x: ir::Value) -> ir::Type {
        if self.b.func.dfg.value_type(x).is_vector() { types::F32X4 } else { types::F32 }
    }

    fn int_like(&self, x: ir::Value) -> ir::Type {
        if self.b.func.dfg.value_type(x).is_vector() { types::I32X4 } else { types::I32 }
    }

    fn fill_like(&mut self, x: ir::Value, lane: u32) -> ir::Value {
        let ty = self.b.func.dfg.value_type(x);
        self.bits_constant(ty, u64::from(lane))
    }

    /// `x >= bound` of integer parts, and a choice by it.
    fn at_least(
        &mut self,
        x: ir::Value,
        bound: u32,
        then: ir::Value,
        otherwise: ir::Value,
    ) -> ir::Value {
        let bound = self.fill_like(x, bound);
        let holds = self.b.ins().icmp(IntCC::SignedGreaterThanOrEqual, x, bound);
        if self.b.func.dfg.value_type(x).is_vector() {
            self.b.ins().bitselect(holds, then, otherwise)
        } else {
            self.b.ins().select(holds, then, otherwise)
        }
    }

    /// An `f16` in the low half of each integer lane, as `f32`. Shifting the fields into place
    /// leaves the exponent 112 too small; the product puts that right, for subnormals too.
    pub fn f32_from_f16(&mut self, x: ir::Value) -> ir::Value {
        let float = self.float_like(x);
        let magnitude = self.and_bits(x, 0x7FFF);
        let sign = self.and_bits(x, 0x8000);
        let sign = self.b.ins().ishl_imm_u(sign, 16);
        let fields = self.b.ins().ishl_imm_u(magnitude, 13);
        let scaled = self.cast(float, fields);
        let power = self.bits_constant(float, u64::from(0x7780_0000u32)); // 2^112
        let finite = self.b.ins().fmul(scaled, power);
        let integer = self.int_like(x);
        let finite = self.cast(integer, finite);
        let top = self.fill_like(x, 0x7F80_0000);
        let special = self.b.ins().bor(fields, top);
        let value = self.at_least(magnitude, 0x7C00, special, finite);
        let value = self.b.ins().bor(value, sign);
        self.cast(float, value)
    }

    /// The nearest `f16` of each `f32`, in the low half of an integer lane; ties to even.
    pub fn f16_from_f32(&mut self, x: ir::Value) -> ir::Value {
        let (integer, float) = (self.int_like(x), self.b.func.dfg.value_type(x));
        let bits = self.cast(integer, x);
        let sign = self.b.ins().ushr_imm_u(bits, 16);
        let sign = self.and_bits(sign, 0x8000);
        let magnitude = self.and_bits(bits, 0x7FFF_FFFF);

        // Normal results: rebias the exponent, then round half to even on the 13 bits that go.
        let last = self.b.ins().ushr_imm_u(magnitude, 13);
        let last = self.and_bits(last, 1);
        let rebias = self.fill_like(bits, 0xFFFu32.wrapping_sub(112 << 23));
        let rounded = self.b.ins().iadd(magnitude, rebias);
        let rounded = self.b.ins().iadd(rounded, last);
        let normal = self.b.ins().ushr_imm_u(rounded, 13);
        // Subnormal results: in [0.5, 1) a unit in the last place is the smallest f16, so that
        // the addition rounds as wanted.
        let half = self.bits_constant(float, u64::from(0.5f32.to_bits()));
        let absolute = self.cast(float, magnitude);
        let sum = self.b.ins().fadd(absolute, half);
        let sum = self.cast(integer, sum);
        let offset = self.fill_like(bits, 0u32.wrapping_sub(0.5f32.to_bits()));
        let subnormal = self.b.ins().iadd(sum, offset);
        let finite = self.at_least(magnitude, 0x3880_0000, normal, subnormal);
        let infinity = self.fill_like(bits, 0x7C00);
        let value = self.at_least(magnitude, 0x4780_0000, infinity, finite);
        let payload = self.b.ins().ushr_imm_u(magnitude, 13);
        let payload = self.and_bits(payload, 0x3FF);
        let quiet = self.fill_like(bits, 0x7E00);
        let nan = self.b.ins().bor(payload, quiet);
        let value = self.at_least(magnitude, 0x7F80_0001, nan, value);
        self.b.ins().bor(value, sign)
    }

    /// A `bf16` in the low half of each integer lane, as `f32`.
    pub fn f32_from_bf16(&mut self, x: ir::Value) -> ir::Value {
        let float = self.float_like(x);
        let bits = self.b.ins().ishl_imm_u(x, 16);
        self.cast(float, bits)
    }

    /// The nearest `bf16` of each `f32`, in the low half of an integer lane; ties to even.
    pub fn bf16_from_f32(&mut self, x: ir::Value) -> ir::Value {
        let integer = self.int_like(x);
        let bits = self.cast(integer, x);
        let high = self.b.ins().ushr_imm_u(bits, 16);
        let last = self.and_bits(high, 1);
        let bias = self.fill_like(bits, 0x7FFF);
        let rounded = self.b.ins().iadd(bits, bias);
        let rounded = self.b.ins().iadd(rounded, last);
        let rounded = self.b.ins().ushr_imm_u(rounded, 16);
        let quiet = self.fill_like(bits, 0x40);
        let nan = self.b.ins().bor(high, quiet);
        let magnitude = self.and_bits(bits, 0x7FFF_FFFF);
        self.at_least(magnitude, 0x7F80_0001, nan, rounded)
    }
}
