//! Conversions between lane types, and rounding to the half formats.
//!
//! Neighbours: `vector::lane` defines them; `memory` uses the half formats.

use super::arith::by_bits;
use super::asm::Width;
use super::lower::{Lanes, Lower};
use super::machine::{Place, Reg, ScalarStep};
use super::table::Op;
use crate::vector::{Compare, Type};
use smallvec::{SmallVec, smallvec};
use tensc_runtime::DType;

impl Lower<'_> {
    /// Conversion by value: see `vector::Unary::Convert`.
    pub fn convert(&mut self, to: Type, x: &Lanes) -> Lanes {
        if x.ty == to {
            return x.clone();
        }
        match (x.ty, to) {
            (Type::Mask, _) => self.number_from_mask(to, x),
            (_, Type::Mask) => {
                let zero = self.fill(x.ty, 0);
                self.compare(Compare::Ne, x, &zero)
            }
            (Type::I32, Type::F32) => self.part_by_part(to, x, Op::Vcvtdq2ps),
            (Type::I32, Type::I64) => self.widen(to, x.parts[0], Op::Vpmovsxdq),
            (Type::I32, Type::F64) => self.widen(to, x.parts[0], Op::Vcvtdq2pd),
            (Type::F32, Type::F64) => self.widen(to, x.parts[0], Op::Vcvtps2pd),
            (Type::I64, Type::I32) => self.low_halves(x),
            (Type::F64, Type::F32) => self.narrow_by(to, x, Op::Vcvtpd2ps),
            (Type::F32, Type::I32) => {
                let truncated = self.part_by_part(to, x, Op::Vcvttps2dq);
                self.saturate(x, &truncated)
            }
            (Type::F64, Type::I32) => self.i32_from_f64(x),
            (Type::I64, Type::F64) if self.has_masks() => self.part_by_part(to, x, Op::Vcvtqq2pd),
            (Type::I64, Type::F64) => self.map_to(to, x, Self::f64_from_i64),
            (Type::I64, Type::F32) if self.has_masks() => self.narrow_by(to, x, Op::Vcvtqq2ps),
            (Type::I64, Type::F32) => self.f32_from_i64(x),
            (Type::F64, Type::I64) => {
                let truncated = if self.has_masks() {
                    self.part_by_part(to, x, Op::Vcvttpd2qq)
                } else {
                    let at = self.spill(x);
                    for lane in 0..self.lanes {
                        self.scalar(ScalarStep::F64ToI64 { at: at + 8 * lane as i32 });
                    }
                    self.unspill(to, at)
                };
                self.saturate(x, &truncated)
            }
            (Type::F32, Type::I64) => {
                // Exact, so nothing is rounded twice.
                let wide = self.convert(Type::F64, x);
                self.convert(to, &wide)
            }
            (Type::I32, Type::I32)
            | (Type::I64, Type::I64)
            | (Type::F32, Type::F32)
            | (Type::F64, Type::F64) => unreachable!("types differ here"),
        }
    }

    fn map_to(&mut self, to: Type, x: &Lanes, f: impl FnMut(&mut Self, Reg) -> Reg) -> Lanes {
        let parts = self.map(x, f).parts;
        Lanes { ty: to, bits: self.bits_of(to), parts }
    }

    fn part_by_part(&mut self, to: Type, x: &Lanes, op: Op) -> Lanes {
        self.map_to(to, x, |g, p| g.v(op, &[p.into()]))
    }

    /// Applies an instruction that widens the low half of a vector to both halves.
    fn widen(&mut self, to: Type, x: Reg, op: Op) -> Lanes {
        let low = self.v(op, &[x.into()]);
        let high = self.upper_half(x);
        let high = self.v(op, &[high.into()]);
        Lanes { ty: to, bits: 64, parts: smallvec![low, high] }
    }

    /// Applies an instruction that narrows a vector to half a vector to both parts.
    fn narrow_by(&mut self, to: Type, x: &Lanes, op: Op) -> Lanes {
        let halves: SmallVec<[Reg; 2]> = x.parts.iter().map(|&p| self.v(op, &[p.into()])).collect();
        let part = self.join_halves(&halves);
        Lanes { ty: to, bits: 32, parts: smallvec![part] }
    }

    /// The upper half of a vector, as the lower half of another.
    pub fn upper_half(&mut self, x: Reg) -> Reg {
        match self.width {
            Width::Z => self.wi(Op::Vextracti256, Width::Z, &[x.into()], 1),
            _ => self.wi(Op::Vextracti128, Width::Y, &[x.into()], 1),
        }
    }

    /// A vector from two lower halves, or from one.
    pub fn join_halves(&mut self, halves: &[Reg]) -> Reg {
        match *halves {
            [low, high] => {
                let op = match self.width {
                    Width::Z => Op::Vinserti256,
                    _ => Op::Vinserti128,
                };
                self.vi(op, &[low.into(), high.into()], 1)
            }
            _ => halves[0],
        }
    }

    /// The low halves of 64-bit lanes.
    fn low_halves(&mut self, x: &Lanes) -> Lanes {
        if self.has_masks() {
            return self.narrow_by(Type::I32, x, Op::Vpmovqd);
        }
        let part = self.even_lanes(&x.parts);
        Lanes { ty: Type::I32, bits: 32, parts: smallvec![part] }
    }

    /// The even 32-bit lanes of two vectors of 256 bits.
    fn even_lanes(&mut self, parts: &[Reg]) -> Reg {
        let (low, high) = (parts[0], parts[parts.len() - 1]);
        let pairs = self.vi(Op::Vshufps, &[low.into(), high.into()], 0x88);
        self.vi(Op::Vpermq, &[pairs.into()], 0xD8)
    }

    /// A mask of vectors with lanes of `bits` bits.
    pub fn widen_mask(&mut self, mask: &Lanes, bits: u32) -> Lanes {
        debug_assert!(mask.ty == Type::Mask && !self.has_masks());
        if mask.bits == bits {
            return mask.clone();
        }
        let parts = if bits == 64 {
            self.widen(Type::I64, mask.parts[0], Op::Vpmovsxdq).parts
        } else {
            smallvec![self.even_lanes(&mask.parts)]
        };
        Lanes { ty: Type::Mask, bits, parts }
    }

    fn number_from_mask(&mut self, to: Type, mask: &Lanes) -> Lanes {
        let bits = self.bits_of(to);
        let one = match to {
            Type::F32 => u64::from(1f32.to_bits()),
            Type::F64 => 1f64.to_bits(),
            _ => 1,
        };
        let one = self.fill_bits(bits, one);
        if self.has_masks() {
            let masks = self.split_mask(mask.parts[0], bits, self.part_count(bits));
            let op = by_bits(bits, Op::Vmovaps, Op::Vmovapd);
            let parts =
                masks.iter().map(|&k| self.masked(op, self.width, &[one.into()], k)).collect();
            return Lanes { ty: to, bits, parts };
        }
        let mask = self.widen_mask(mask, bits);
        let parts = mask.parts.iter().map(|&m| self.v(Op::Vandps, &[m.into(), one.into()]));
        Lanes { ty: to, bits, parts: parts.collect() }
    }

    /// Truncation where out of range gives the smallest integer: what remains to be mended are
    /// the large numbers and NaN.
    fn saturate(&mut self, x: &Lanes, truncated: &Lanes) -> Lanes {
        let limit = match x.ty {
            Type::F32 if truncated.ty == Type::I32 => u64::from(2_147_483_648f32.to_bits()),
            _ => 9_223_372_036_854_775_808f64.to_bits(),
        };
        let limit = self.fill(x.ty, limit);
        let large = self.compare(Compare::Ge, x, &limit);
        let most = self.fill(
            truncated.ty,
            if truncated.bits == 64 { i64::MAX as u64 } else { i32::MAX as u64 },
        );
        let bounded = self.select(&large, &most, truncated);
        let number = self.compare(Compare::Eq, x, x);
        let zero = self.fill(truncated.ty, 0);
        self.select(&number, &bounded, &zero)
    }

    fn i32_from_f64(&mut self, x: &Lanes) -> Lanes {
        let zero = self.fill(Type::F64, 0);
        let number = self.compare(Compare::Eq, x, x);
        let x = self.select(&number, x, &zero);
        let most = self.fill(Type::F64, f64::from(i32::MAX).to_bits());
        let x = self.zip(&x, &most, |g, p, q| g.v(Op::Vminpd, &[p.into(), q.into()]));
        self.truncate_to_i32(&x)
    }

    /// Truncation of `f64`; out of range and NaN give the smallest integer.
    pub fn truncate_to_i32(&mut self, x: &Lanes) -> Lanes {
        self.narrow_by(Type::I32, x, Op::Vcvttpd2dq)
    }

    /// Both halves of the integer as floats with known exponents: their difference from what these
    /// stand for is exact for the upper half, and the sum rounds once.
    fn f64_from_i64(&mut self, x: Reg) -> Reg {
        let low_magic = self.fill_bits(64, 0x4330_0000_0000_0000);
        let high_magic = self.fill_bits(64, 0x4530_0000_8000_0000);
        let both_magic = self.fill_bits(64, 0x4530_0000_8010_0000);
        let low = self.vi(Op::Vpblendd, &[low_magic.into(), x.into()], 0b0101_0101);
        let high = self.vi(Op::VpsrlqImm, &[x.into()], 32);
        let high = self.v(Op::Vpxorq, &[high.into(), high_magic.into()]);
        let high = self.v(Op::Vsubpd, &[high.into(), both_magic.into()]);
        self.v(Op::Vaddpd, &[high.into(), low.into()])
    }

    /// One lane at a time: there is no way through `f64` that rounds once.
    fn f32_from_i64(&mut self, x: &Lanes) -> Lanes {
        let at = self.spill(x);
        let to = self.frame.take(4 * self.lanes as usize);
        let zero = self.fill_bits(32, 0);
        for lane in 0..self.lanes as i32 {
            let from = Place::Frame(at + 8 * lane);
            let one = self.w(Op::Vcvtsi2ss, Width::X, &[zero.into(), from.into()]);
            let place = Place::Frame(to + 4 * lane);
            self.effect(Op::VmovssStore, Width::X, &[place.into(), one.into()]);
        }
        self.unspill(Type::F32, to)
    }

    /// F32 rounded to the nearest value of `f16` or `bf16`.
    pub fn round_to(&mut self, dtype: DType, x: &Lanes) -> Lanes {
        self.map(x, |g, p| match dtype {
            DType::F16 => {
                let half = g.f16_from_f32(p);
                g.v(Op::Vcvtph2ps, &[half.into()])
            }
            _ => {
                let half = g.bf16_from_f32(p);
                g.vi(Op::VpslldImm, &[half.into()], 16)
            }
        })
    }

    /// The nearest `f16` of each lane, ties to even, in half a vector.
    pub fn f16_from_f32(&mut self, x: Reg) -> Reg {
        self.wi(Op::Vcvtps2ph, self.width, &[x.into()], 0)
    }

    /// The nearest `bf16` of each lane, ties to even, in the low halves of 32-bit lanes.
    pub fn bf16_from_f32(&mut self, x: Reg) -> Reg {
        let lanes = |ty, part| Lanes { ty, bits: 32, parts: smallvec![part] };
        let one = self.fill_bits(32, 1);
        let bias = self.fill_bits(32, 0x7FFF);
        let quiet = self.fill_bits(32, 0x40);
        let high = self.vi(Op::VpsrldImm, &[x.into()], 16);
        let last = self.v(Op::Vpandd, &[high.into(), one.into()]);
        let rounded = self.v(Op::Vpaddd, &[x.into(), bias.into()]);
        let rounded = self.v(Op::Vpaddd, &[rounded.into(), last.into()]);
        let rounded = self.vi(Op::VpsrldImm, &[rounded.into()], 16);
        let nan = self.v(Op::Vpord, &[high.into(), quiet.into()]);
        let value = lanes(Type::F32, x);
        let is_nan = self.unordered(&value, &value);
        self.select(&is_nan, &lanes(Type::I32, nan), &lanes(Type::I32, rounded)).parts[0]
    }
}
