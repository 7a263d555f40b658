//! Arithmetic, comparison and selection: the wide side of `vector::lane`.
//!
//! Neighbours: `lower` has the values; `convert` the conversions.

use super::asm::Width;
use super::lower::{Lanes, Lower};
use super::machine::{Class, Reg, ScalarStep, Source, Step};
use super::table::Op;
use crate::vector::{Binary, Compare, Type, Unary, least_scale};
use smallvec::{SmallVec, smallvec};
use tensc_runtime::{DType, Scalar};

/// The row for 32-bit lanes, or the one for 64-bit lanes.
pub(super) fn by_bits(bits: u32, narrow: Op, wide: Op) -> Op {
    if bits == 64 { wide } else { narrow }
}

fn is_float(ty: Type) -> bool {
    matches!(ty, Type::F32 | Type::F64)
}

impl Lower<'_> {
    pub fn map(&mut self, x: &Lanes, mut f: impl FnMut(&mut Self, Reg) -> Reg) -> Lanes {
        let parts = x.parts.iter().map(|&p| f(self, p)).collect();
        Lanes { ty: x.ty, bits: x.bits, parts }
    }

    pub fn zip(
        &mut self,
        x: &Lanes,
        y: &Lanes,
        mut f: impl FnMut(&mut Self, Reg, Reg) -> Reg,
    ) -> Lanes {
        let parts = x.parts.iter().zip(&y.parts).map(|(&p, &q)| f(self, p, q)).collect();
        Lanes { ty: x.ty, bits: x.bits, parts }
    }

    fn zip_op(&mut self, x: &Lanes, y: &Lanes, narrow: Op, wide: Op) -> Lanes {
        let op = by_bits(x.bits, narrow, wide);
        self.zip(x, y, |g, p, q| g.v(op, &[p.into(), q.into()]))
    }

    /// One operand.
    pub fn unary(&mut self, op: Unary, x: &Lanes) -> Lanes {
        let float = is_float(x.ty);
        let sign = 1u64 << (x.bits.max(1) - 1);
        match op {
            Unary::Neg if float => {
                let sign = self.fill(x.ty, sign);
                self.zip_op(x, &sign, Op::Vxorps, Op::Vxorpd)
            }
            Unary::Neg => {
                let zero = self.fill(x.ty, 0);
                self.zip_op(&zero, x, Op::Vpsubd, Op::Vpsubq)
            }
            Unary::Abs if float => {
                let rest = self.fill(x.ty, sign - 1);
                self.zip_op(x, &rest, Op::Vandps, Op::Vandpd)
            }
            Unary::Abs if x.bits == 64 && !self.has_masks() => {
                let zero = self.fill(x.ty, 0);
                let sign = self.zip(&zero, x, |g, z, p| g.v(Op::Vpcmpgtq, &[z.into(), p.into()]));
                let flipped = self.zip_op(x, &sign, Op::Vpxord, Op::Vpxorq);
                self.zip_op(&flipped, &sign, Op::Vpsubd, Op::Vpsubq)
            }
            Unary::Abs => {
                let op = by_bits(x.bits, Op::Vpabsd, Op::Vpabsq);
                self.map(x, |g, p| g.v(op, &[p.into()]))
            }
            Unary::Sqrt => {
                let op = by_bits(x.bits, Op::Vsqrtps, Op::Vsqrtpd);
                self.map(x, |g, p| g.v(op, &[p.into()]))
            }
            // The immediate's low bits are the direction; 8 keeps the inexact flag away.
            Unary::Round => self.round(x, 8),
            Unary::Floor => self.round(x, 9),
            Unary::Ceil => self.round(x, 10),
            Unary::Trunc => self.round(x, 11),
            Unary::Likely => x.clone(),
            Unary::Not if x.ty == Type::Mask => self.not_mask(x),
            Unary::Not => {
                let ones = self.fill(x.ty, u64::MAX);
                self.zip_op(x, &ones, Op::Vpxord, Op::Vpxorq)
            }
            Unary::Convert(to) => self.convert(to, x),
            Unary::Bitcast(to) => Lanes { ty: to, bits: x.bits, parts: x.parts.clone() },
            Unary::Wrap(dtype) => self.wrap(dtype, x),
            Unary::RoundTo(dtype) => self.round_to(dtype, x),
        }
    }

    fn round(&mut self, x: &Lanes, imm: u8) -> Lanes {
        let op = by_bits(x.bits, Op::Vroundps, Op::Vroundpd);
        self.map(x, |g, p| g.vi(op, &[p.into()], imm))
    }

    fn not_mask(&mut self, x: &Lanes) -> Lanes {
        if self.has_masks() {
            return self.map(x, |g, p| g.k(Op::Knotw, Width::X, &[p.into()], None));
        }
        let ones = self.fill_bits(32, u64::MAX);
        self.map(x, |g, p| g.v(Op::Vpxord, &[p.into(), ones.into()]))
    }

    fn wrap(&mut self, dtype: DType, x: &Lanes) -> Lanes {
        let shift = match dtype {
            DType::U8 => return self.and_bits(x, 0xFF),
            DType::I8 => 24,
            DType::I16 => 16,
            _ => return x.clone(),
        };
        let high = self.map(x, |g, p| g.vi(Op::VpslldImm, &[p.into()], shift));
        self.map(&high, |g, p| g.vi(Op::VpsradImm, &[p.into()], shift))
    }

    /// Every lane of 32 bits masked.
    pub fn and_bits(&mut self, x: &Lanes, lane: u32) -> Lanes {
        let mask = self.fill_bits(32, u64::from(lane));
        self.map(x, |g, p| g.v(Op::Vpandd, &[p.into(), mask.into()]))
    }

    /// Two operands; `constant` is the second one where it is known.
    pub fn binary(&mut self, op: Binary, x: &Lanes, y: &Lanes, constant: Option<Scalar>) -> Lanes {
        if x.ty == Type::Mask {
            return self.logic(op, x, y);
        }
        if is_float(x.ty) {
            return self.float_binary(op, x, y, constant);
        }
        let wide = x.bits == 64;
        match op {
            Binary::Add => self.zip_op(x, y, Op::Vpaddd, Op::Vpaddq),
            Binary::Sub => self.zip_op(x, y, Op::Vpsubd, Op::Vpsubq),
            Binary::Mul if wide && !self.has_masks() => self.zip(x, y, Self::multiply_wide),
            Binary::Mul => self.zip_op(x, y, Op::Vpmulld, Op::Vpmullq),
            Binary::And => self.zip_op(x, y, Op::Vpandd, Op::Vpandq),
            Binary::Or => self.zip_op(x, y, Op::Vpord, Op::Vporq),
            Binary::Xor => self.zip_op(x, y, Op::Vpxord, Op::Vpxorq),
            Binary::Max | Binary::Min if wide && !self.has_masks() => {
                let beats = if op == Binary::Max { Compare::Gt } else { Compare::Lt };
                let mask = self.compare(beats, x, y);
                self.select(&mask, x, y)
            }
            Binary::Max => self.zip_op(x, y, Op::Vpmaxsd, Op::Vpmaxsq),
            Binary::Min => self.zip_op(x, y, Op::Vpminsd, Op::Vpminsq),
            Binary::Div | Binary::Rem if wide => self.divide_wide(op, x, y),
            Binary::Div | Binary::Rem => self.divide(op, x, y),
            Binary::Shl | Binary::Shr | Binary::Sar => match constant {
                Some(amount) => self.shift_by_constant(op, x, amount),
                None => self.shift(op, x, y),
            },
            Binary::Scale => unreachable!("the verifier asks for floats"),
        }
    }

    /// Floats that are the same in all lanes: 512 bits of quotients take three times as long as
    /// one.
    pub fn divide_once(&mut self, x: &Lanes, y: &Lanes) -> Lanes {
        if !self.has_masks() {
            return self.zip_op(x, y, Op::Vdivps, Op::Vdivpd);
        }
        let divide = by_bits(x.bits, Op::Vdivps, Op::Vdivpd);
        let spread = by_bits(x.bits, Op::Vbroadcastss, Op::Vbroadcastsd);
        let one = self.w(divide, Width::X, &[x.parts[0].into(), y.parts[0].into()]);
        let all = self.v(spread, &[one.into()]);
        Lanes { parts: SmallVec::from_elem(all, x.parts.len()), ..x.clone() }
    }

    fn logic(&mut self, op: Binary, x: &Lanes, y: &Lanes) -> Lanes {
        if self.has_masks() {
            let op = match op {
                Binary::And => Op::Kandw,
                Binary::Or => Op::Korw,
                Binary::Xor => Op::Kxorw,
                other => unreachable!("{other:?} of masks passed the verifier"),
            };
            let width = Width::X;
            return self.zip(x, y, |g, p, q| g.k(op, width, &[p.into(), q.into()], None));
        }
        let bits = x.bits.max(y.bits);
        let (x, y) = (self.widen_mask(x, bits), self.widen_mask(y, bits));
        let op = match op {
            Binary::And => Op::Vpandd,
            Binary::Or => Op::Vpord,
            Binary::Xor => Op::Vpxord,
            other => unreachable!("{other:?} of masks passed the verifier"),
        };
        self.zip(&x, &y, |g, p, q| g.v(op, &[p.into(), q.into()]))
    }

    fn float_binary(&mut self, op: Binary, x: &Lanes, y: &Lanes, c: Option<Scalar>) -> Lanes {
        match op {
            Binary::Add => self.zip_op(x, y, Op::Vaddps, Op::Vaddpd),
            Binary::Sub => self.zip_op(x, y, Op::Vsubps, Op::Vsubpd),
            Binary::Mul => self.zip_op(x, y, Op::Vmulps, Op::Vmulpd),
            Binary::Div => self.zip_op(x, y, Op::Vdivps, Op::Vdivpd),
            Binary::Max | Binary::Min => match c {
                Some(c) if cheap_bound(c) => {
                    let bounded = self.bound(op, y, x);
                    if c.is(0.0) {
                        self.zip_op(&bounded, y, Op::Vaddps, Op::Vaddpd)
                    } else {
                        bounded
                    }
                }
                _ => {
                    let extreme = self.bound(op, x, y);
                    let nan = self.unordered(x, x);
                    self.select(&nan, x, &extreme)
                }
            },
            Binary::Scale => self.scale(x, y),
            other => unreachable!("{other:?} of floats passed the verifier"),
        }
    }

    /// `max(c, x)` or `min(c, x)` where `c` is not NaN. The instructions give the second operand
    /// where an operand is NaN or both are equal, as they should. Of `max(x, c)` that is right too
    /// unless both are zeros.
    pub fn bound(&mut self, op: Binary, c: &Lanes, x: &Lanes) -> Lanes {
        match op {
            Binary::Max => self.zip_op(c, x, Op::Vmaxps, Op::Vmaxpd),
            _ => self.zip_op(c, x, Op::Vminps, Op::Vminpd),
        }
    }

    /// `x · 2ⁿ`. Without an instruction for it: adding a large number brings `n` into the low bits,
    /// and the halves of it are the exponents of two factors, which are at least those that give 0.
    fn scale(&mut self, x: &Lanes, n: &Lanes) -> Lanes {
        let mut x = x.clone();
        if self.is_tail() {
            // A tiny result takes a hundred cycles, also in a lane that nobody looks at.
            let (active, zero) = (self.active_lanes(), self.fill(x.ty, 0));
            x = self.select(&active, &x, &zero);
        }
        if self.has_masks() {
            return self.zip_op(&x, n, Op::Vscalefps, Op::Vscalefpd);
        }
        let (mantissa, magic) = match x.bits {
            64 => (52, (1.5 * 2f64.powi(52) + 2046.0).to_bits()),
            _ => (23, u64::from((1.5 * 2f32.powi(23) + 254.0).to_bits())),
        };
        let magic = self.fill(x.ty, magic);
        let least = self.constant(least_scale(x.ty));
        let n = self.zip_op(n, &least, Op::Vmaxps, Op::Vmaxpd);
        let bits = self.zip_op(&n, &magic, Op::Vaddps, Op::Vaddpd);
        let right = by_bits(x.bits, Op::VpsrldImm, Op::VpsrlqImm);
        let left = by_bits(x.bits, Op::VpslldImm, Op::VpsllqImm);
        let half = self.map(&bits, |g, p| g.vi(right, &[p.into()], 1));
        let rest = self.zip_op(&bits, &half, Op::Vpsubd, Op::Vpsubq);
        [half, rest].iter().fold(x, |x, exponent| {
            let power = self.map(exponent, |g, p| g.vi(left, &[p.into()], mantissa));
            self.zip_op(&x, &power, Op::Vmulps, Op::Vmulpd)
        })
    }

    /// The larger or smaller of numbers; zeros are ordered. Anything where an operand is NaN.
    pub fn ordered_extreme(&mut self, op: Binary, x: &Lanes, y: &Lanes) -> Lanes {
        let max = op == Binary::Max;
        if self.has_masks() {
            let op = by_bits(x.bits, Op::Vrangeps, Op::Vrangepd);
            // Minimum 0 or maximum 1, with the sign of the result.
            let imm = 0b0100 | u8::from(max);
            return self.zip(x, y, |g, p, q| g.vi(op, &[p.into(), q.into()], imm));
        }
        // Either order gives its second operand of two zeros; together their signs tell.
        if max {
            let a = self.zip_op(x, y, Op::Vmaxps, Op::Vmaxpd);
            let b = self.zip_op(y, x, Op::Vmaxps, Op::Vmaxpd);
            self.zip_op(&a, &b, Op::Vandps, Op::Vandpd)
        } else {
            let a = self.zip_op(x, y, Op::Vminps, Op::Vminpd);
            let b = self.zip_op(y, x, Op::Vminps, Op::Vminpd);
            self.zip_op(&a, &b, Op::Vorps, Op::Vorpd)
        }
    }

    /// Whether either is NaN.
    pub fn unordered(&mut self, x: &Lanes, y: &Lanes) -> Lanes {
        self.compare_floats(3, x, y)
    }

    /// `mask`, less the lanes where either is NaN.
    pub fn ordered_and(&mut self, mask: &Lanes, x: &Lanes, y: &Lanes) -> Lanes {
        const ORDERED: u8 = 7;
        if let ([x], [y], true) = (&x.parts[..], &y.parts[..], self.has_masks() && x.bits == 32) {
            // A comparison under a mask leaves 0 where the mask does.
            let part = self.masked_compare(Op::VcmppsK, &[(*x).into(), (*y).into()], ORDERED, mask);
            return Lanes { parts: smallvec![part], ..mask.clone() };
        }
        let ordered = self.compare_floats(ORDERED, x, y);
        self.binary(Binary::And, mask, &ordered, None)
    }

    /// 64-bit products from those of halves.
    fn multiply_wide(&mut self, x: Reg, y: Reg) -> Reg {
        let x_high = self.vi(Op::VpsrlqImm, &[x.into()], 32);
        let y_high = self.vi(Op::VpsrlqImm, &[y.into()], 32);
        let cross = self.v(Op::Vpmuludq, &[x_high.into(), y.into()]);
        let other = self.v(Op::Vpmuludq, &[x.into(), y_high.into()]);
        let cross = self.v(Op::Vpaddq, &[cross.into(), other.into()]);
        let high = self.vi(Op::VpsllqImm, &[cross.into()], 32);
        let low = self.v(Op::Vpmuludq, &[x.into(), y.into()]);
        self.v(Op::Vpaddq, &[low.into(), high.into()])
    }

    /// By way of `f64`, whose quotients of 32-bit integers truncate to the right ones.
    fn divide(&mut self, op: Binary, x: &Lanes, y: &Lanes) -> Lanes {
        let (wide_x, wide_y) = (self.convert(Type::F64, x), self.convert(Type::F64, y));
        let quotient = self.zip_op(&wide_x, &wide_y, Op::Vdivps, Op::Vdivpd);
        // What is out of range becomes MIN: right for MIN / -1; by zero is mended below.
        let quotient = self.truncate_to_i32(&quotient);
        let zero = self.fill(x.ty, 0);
        let by_zero = self.compare(Compare::Eq, y, &zero);
        let result = if op == Binary::Rem {
            let product = self.zip_op(&quotient, y, Op::Vpmulld, Op::Vpmullq);
            self.zip_op(x, &product, Op::Vpsubd, Op::Vpsubq)
        } else {
            quotient
        };
        self.select(&by_zero, &zero, &result)
    }

    fn divide_wide(&mut self, op: Binary, x: &Lanes, y: &Lanes) -> Lanes {
        let (from, by) = (self.spill(x), self.spill(y));
        let to = self.frame.take(8 * self.lanes as usize);
        let count = 8 * self.lanes / 8;
        let remainder = op == Binary::Rem;
        self.scalar(ScalarStep::Divide { x: from, by, to, count, remainder });
        self.unspill(Type::I64, to)
    }

    /// Writes the parts to the frame, one behind the other.
    pub fn spill(&mut self, x: &Lanes) -> i32 {
        let bytes = self.width.bytes();
        let at = self.frame.take(bytes * x.parts.len());
        for (i, &part) in x.parts.iter().enumerate() {
            let place = super::machine::Place::Frame(at + (i * bytes) as i32);
            self.effect(Op::VmovupsStore, self.width, &[place.into(), part.into()]);
        }
        at
    }

    /// The value whose parts lie in the frame.
    pub fn unspill(&mut self, ty: Type, at: i32) -> Lanes {
        let bits = ty.bits().expect("a number");
        let bytes = self.width.bytes();
        let parts = (0..self.part_count(bits)).map(|i| {
            let place = super::machine::Place::Frame(at + (i * bytes) as i32);
            self.v(Op::Vmovups, &[place.into()])
        });
        Lanes { ty, bits, parts: parts.collect() }
    }

    fn shift_by_constant(&mut self, op: Binary, x: &Lanes, amount: Scalar) -> Lanes {
        let amount = amount.to_i64() as u64;
        // As an unsigned number of the lane's width.
        let amount = if x.bits == 32 { amount & 0xFFFF_FFFF } else { amount };
        if op == Binary::Sar && x.bits == 64 && !self.has_masks() {
            let amount = self.fill(x.ty, amount);
            return self.shift(op, x, &amount);
        }
        // The instructions do as wanted for amounts beyond the width, up to 255.
        let imm = u8::try_from(amount).unwrap_or(255);
        let op = match op {
            Binary::Shl => by_bits(x.bits, Op::VpslldImm, Op::VpsllqImm),
            Binary::Shr => by_bits(x.bits, Op::VpsrldImm, Op::VpsrlqImm),
            _ => by_bits(x.bits, Op::VpsradImm, Op::VpsraqImm),
        };
        self.map(x, |g, p| g.vi(op, &[p.into()], imm))
    }

    fn shift(&mut self, op: Binary, x: &Lanes, amount: &Lanes) -> Lanes {
        match op {
            Binary::Shl => self.zip_op(x, amount, Op::Vpsllvd, Op::Vpsllvq),
            Binary::Shr => self.zip_op(x, amount, Op::Vpsrlvd, Op::Vpsrlvq),
            _ if x.bits == 64 && !self.has_masks() => {
                // Negative numbers are shifted as their complements.
                let zero = self.fill(x.ty, 0);
                let sign = self.zip(&zero, x, |g, z, p| g.v(Op::Vpcmpgtq, &[z.into(), p.into()]));
                let flipped = self.zip_op(x, &sign, Op::Vpxord, Op::Vpxorq);
                let shifted = self.zip_op(&flipped, amount, Op::Vpsrlvd, Op::Vpsrlvq);
                self.zip_op(&shifted, &sign, Op::Vpxord, Op::Vpxorq)
            }
            _ => self.zip_op(x, amount, Op::Vpsravd, Op::Vpsravq),
        }
    }

    /// `x * y + z` rounded once.
    pub fn fma(&mut self, x: &Lanes, y: &Lanes, z: &Lanes) -> Lanes {
        let wide = x.bits == 64;
        let mut parts = SmallVec::new();
        for ((&a, &b), &c) in x.parts.iter().zip(&y.parts).zip(&z.parts) {
            let dst = self.vector();
            self.steps.push(Step::Fma { wide, dst, a, b, c });
            parts.push(dst);
        }
        Lanes { ty: x.ty, bits: x.bits, parts }
    }

    /// A mask.
    pub fn compare(&mut self, op: Compare, x: &Lanes, y: &Lanes) -> Lanes {
        if is_float(x.ty) {
            let predicate = match op {
                Compare::Eq => 0,
                Compare::Lt => 1,
                Compare::Le => 2,
                Compare::Ne => 4,
                Compare::Ge => 13,
                Compare::Gt => 14,
            };
            return self.compare_floats(predicate, x, y);
        }
        if self.has_masks() {
            let predicate = match op {
                Compare::Eq => 0,
                Compare::Lt => 1,
                Compare::Le => 2,
                Compare::Ne => 4,
                Compare::Ge => 5,
                Compare::Gt => 6,
            };
            let op = by_bits(x.bits, Op::VpcmpdK, Op::VpcmpqK);
            return self.compare_to_mask(op, predicate, x, y);
        }
        let greater = |g: &mut Self, x: &Lanes, y: &Lanes| {
            let mask = g.zip_op(x, y, Op::Vpcmpgtd, Op::Vpcmpgtq);
            Lanes { ty: Type::Mask, ..mask }
        };
        match op {
            Compare::Gt => greater(self, x, y),
            Compare::Lt => greater(self, y, x),
            Compare::Eq | Compare::Ne => {
                let equal = self.zip_op(x, y, Op::Vpcmpeqd, Op::Vpcmpeqq);
                let equal = Lanes { ty: Type::Mask, ..equal };
                if op == Compare::Eq { equal } else { self.not_mask(&equal) }
            }
            Compare::Le => {
                let above = greater(self, x, y);
                self.not_mask(&above)
            }
            Compare::Ge => {
                let below = greater(self, y, x);
                self.not_mask(&below)
            }
        }
    }

    fn compare_floats(&mut self, predicate: u8, x: &Lanes, y: &Lanes) -> Lanes {
        if self.has_masks() {
            let op = by_bits(x.bits, Op::VcmppsK, Op::VcmppdK);
            return self.compare_to_mask(op, predicate, x, y);
        }
        let op = by_bits(x.bits, Op::Vcmpps, Op::Vcmppd);
        let mask = self.zip(x, y, |g, p, q| g.vi(op, &[p.into(), q.into()], predicate));
        Lanes { ty: Type::Mask, ..mask }
    }

    fn compare_to_mask(&mut self, op: Op, predicate: u8, x: &Lanes, y: &Lanes) -> Lanes {
        let parts: SmallVec<[Reg; 2]> = x
            .parts
            .iter()
            .zip(&y.parts)
            .map(|(&p, &q)| self.k(op, self.width, &[p.into(), q.into()], Some(predicate)))
            .collect();
        let part = self.join_masks(&parts);
        Lanes { ty: Type::Mask, bits: 0, parts: smallvec![part] }
    }

    /// One mask register from those of the parts of 64-bit lanes.
    fn join_masks(&mut self, parts: &[Reg]) -> Reg {
        match *parts {
            [low, high] => {
                let width = Width::X;
                self.k(Op::Kunpckbw, width, &[high.into(), low.into()], None)
            }
            _ => parts[0],
        }
    }

    /// The mask registers for `count` parts of lanes of `bits` bits.
    pub fn split_mask(&mut self, mask: Reg, bits: u32, count: usize) -> SmallVec<[Reg; 2]> {
        let mut parts = smallvec![mask];
        if bits == 64 && count > 1 {
            let width = Width::X;
            let high = self.k(Op::Kshiftrw, width, &[mask.into()], Some(8));
            parts.push(high);
        }
        parts
    }

    /// `mask ? x : y` of numbers.
    pub fn select(&mut self, mask: &Lanes, x: &Lanes, y: &Lanes) -> Lanes {
        let mut parts = SmallVec::new();
        if self.has_masks() {
            let masks = self.split_mask(mask.parts[0], x.bits, x.parts.len());
            let op = by_bits(x.bits, Op::Vblendmps, Op::Vblendmpd);
            for ((&k, &p), &q) in masks.iter().zip(&x.parts).zip(&y.parts) {
                let dst = self.registers.fresh(Class::Vector);
                self.steps.push(Step::Op(super::machine::OpStep {
                    op,
                    width: self.width,
                    dst: Some(dst),
                    tied: None,
                    srcs: smallvec![Source::Reg(q), Source::Reg(p)],
                    imm: None,
                    mask: Some((k, false)),
                    commutes: false,
                }));
                parts.push(dst);
            }
        } else {
            let mask = self.widen_mask(mask, x.bits);
            let op = by_bits(x.bits, Op::Vblendvps, Op::Vblendvpd);
            for ((&m, &p), &q) in mask.parts.iter().zip(&x.parts).zip(&y.parts) {
                parts.push(self.v(op, &[q.into(), p.into(), m.into()]));
            }
        }
        Lanes { ty: x.ty, bits: x.bits, parts }
    }
}

/// Whether [`Lower::bound`], and the addition of `+0` where this is the constant, are right with
/// the constant as second operand: of zeros that gives `+0`.
fn cheap_bound(c: Scalar) -> bool {
    !c.to_f64().is_nan() && !c.is(-0.0)
}
