//! Arithmetic, comparison and selection on groups of lanes: the emitter's side of
//! `vector::lane`, which defines what each operation means.

use super::lanes::{Group, Lanes, Parts};
use crate::vector::{Binary, Compare, Type, Unary, least_scale};
use cranelift_codegen::ir::condcodes::{FloatCC, IntCC};
use cranelift_codegen::ir::{self, InstBuilder};
use tensc_runtime::{DType, Scalar};

/// The shorthand of the vector programs' floats.
fn is_float(ty: Type) -> bool {
    matches!(ty, Type::F32 | Type::F64)
}

impl Group<'_, '_> {
    /// One operand.
    pub fn unary(&mut self, op: Unary, x: &Lanes) -> Lanes {
        let float = is_float(x.ty);
        match op {
            Unary::Neg if float => self.map(x, |g, p| g.b.ins().fneg(p)),
            Unary::Neg => self.map(x, |g, p| g.b.ins().ineg(p)),
            Unary::Abs if float => self.map(x, |g, p| g.b.ins().fabs(p)),
            Unary::Abs => self.map(x, |g, p| g.b.ins().iabs(p)),
            Unary::Sqrt => self.map(x, |g, p| g.b.ins().sqrt(p)),
            Unary::Round => self.map(x, |g, p| g.b.ins().nearest(p)),
            Unary::Floor => self.map(x, |g, p| g.b.ins().floor(p)),
            Unary::Ceil => self.map(x, |g, p| g.b.ins().ceil(p)),
            Unary::Trunc => self.map(x, |g, p| g.b.ins().trunc(p)),
            Unary::Likely => x.clone(),
            Unary::Not if x.ty == Type::Mask && self.scalar() => {
                self.map(x, |g, p| g.b.ins().bxor_imm_u(p, 1))
            }
            Unary::Not => self.map(x, |g, p| g.b.ins().bnot(p)),
            Unary::Convert(to) => self.convert(to, x),
            Unary::Bitcast(to) => {
                let part = self.part_type(to, x.bits);
                let parts = x.parts.iter().map(|&p| self.cast(part, p)).collect();
                Lanes { ty: to, bits: x.bits, parts }
            }
            Unary::Wrap(dtype) => self.wrap(dtype, x),
            Unary::RoundTo(DType::F16) => {
                let narrow = self.map(x, |g, p| g.f16_from_f32(p));
                self.map(&narrow, |g, p| g.f32_from_f16(p))
            }
            Unary::RoundTo(_) => {
                let narrow = self.map(x, |g, p| g.bf16_from_f32(p));
                self.map(&narrow, |g, p| g.f32_from_bf16(p))
            }
        }
    }

    fn wrap(&mut self, dtype: DType, x: &Lanes) -> Lanes {
        let shift = match dtype {
            DType::U8 => return self.map(x, |g, p| g.and_bits(p, 0xFF)),
            DType::I8 => 24,
            DType::I16 => 16,
            _ => return x.clone(),
        };
        self.map(x, |g, p| {
            let high = g.b.ins().ishl_imm_u(p, shift);
            g.b.ins().sshr_imm_u(high, shift)
        })
    }

    /// Every lane of an integer part masked.
    pub fn and_bits(&mut self, x: ir::Value, lane: u64) -> ir::Value {
        let ty = self.b.func.dfg.value_type(x);
        let mask = self.bits_constant(ty, lane);
        self.b.ins().band(x, mask)
    }

    /// Two operands; `constant` is the second one where it is known.
    pub fn binary(&mut self, op: Binary, x: &Lanes, y: &Lanes, constant: Option<Scalar>) -> Lanes {
        if x.ty == Type::Mask {
            return self.logic(op, x, y);
        }
        if is_float(x.ty) {
            return self.float_binary(op, x, y, constant);
        }
        let bits = x.bits;
        match op {
            Binary::Add => self.zip(x, y, |g, p, q| g.b.ins().iadd(p, q)),
            Binary::Sub => self.zip(x, y, |g, p, q| g.b.ins().isub(p, q)),
            Binary::Mul => self.zip(x, y, |g, p, q| g.b.ins().imul(p, q)),
            Binary::And => self.zip(x, y, |g, p, q| g.b.ins().band(p, q)),
            Binary::Or => self.zip(x, y, |g, p, q| g.b.ins().bor(p, q)),
            Binary::Xor => self.zip(x, y, |g, p, q| g.b.ins().bxor(p, q)),
            Binary::Max | Binary::Min if bits == 64 && !self.scalar() => {
                // There is no 64-bit vector minimum below AVX-512.
                let cc = if op == Binary::Max { Compare::Gt } else { Compare::Lt };
                let mask = self.compare(cc, x, y);
                self.select(&mask, x, y)
            }
            Binary::Max => self.zip(x, y, |g, p, q| g.b.ins().smax(p, q)),
            Binary::Min => self.zip(x, y, |g, p, q| g.b.ins().smin(p, q)),
            Binary::Div => self.each_lane(&[x, y], x.ty, |g, s| g.divide(s[0], s[1])),
            Binary::Rem => self.each_lane(&[x, y], x.ty, |g, s| {
                let divisor = g.safe_divisor(s[1]);
                // By 1 where the divisor was 0 or -1: the remainder is 0, which is right for both.
                g.b.ins().srem(s[0], divisor)
            }),
            Binary::Shl | Binary::Sar | Binary::Shr => match constant {
                Some(amount) => self.shift_by_constant(op, x, amount.to_i64() as u64),
                None => self.each_lane(&[x, y], x.ty, |g, s| g.shift(op, s[0], s[1])),
            },
            Binary::Scale => unreachable!("the verifier asks for floats"),
        }
    }

    fn logic(&mut self, op: Binary, x: &Lanes, y: &Lanes) -> Lanes {
        let bits = x.bits.max(y.bits);
        let (x, y) = (self.widen_mask(x, bits), self.widen_mask(y, bits));
        match op {
            Binary::And => self.zip(&x, &y, |g, p, q| g.b.ins().band(p, q)),
            Binary::Or => self.zip(&x, &y, |g, p, q| g.b.ins().bor(p, q)),
            Binary::Xor => self.zip(&x, &y, |g, p, q| g.b.ins().bxor(p, q)),
            other => unreachable!("{other:?} of masks passed the verifier"),
        }
    }

    fn float_binary(&mut self, op: Binary, x: &Lanes, y: &Lanes, c: Option<Scalar>) -> Lanes {
        match op {
            Binary::Add => self.zip(x, y, |g, p, q| g.b.ins().fadd(p, q)),
            Binary::Sub => self.zip(x, y, |g, p, q| g.b.ins().fsub(p, q)),
            Binary::Mul => self.zip(x, y, |g, p, q| g.b.ins().fmul(p, q)),
            Binary::Div => self.zip(x, y, |g, p, q| g.b.ins().fdiv(p, q)),
            Binary::Max | Binary::Min => match c {
                Some(c) if self.x86 && !self.scalar() && cheap_bound(c) => {
                    let bounded = self.bound(op, y, x);
                    if c.is(0.0) {
                        self.zip(&bounded, y, |g, p, zero| g.b.ins().fadd(p, zero))
                    } else {
                        bounded
                    }
                }
                _ => {
                    let beats = if op == Binary::Max { Compare::Gt } else { Compare::Lt };
                    let mask = self.compare(beats, x, y);
                    let extreme = self.select(&mask, x, y);
                    let nan = self.compare(Compare::Ne, x, x);
                    self.select(&nan, x, &extreme)
                }
            },
            Binary::Scale => self.scale(x, y),
            other => unreachable!("{other:?} of floats passed the verifier"),
        }
    }

    /// Whether [`Group::bound`] serves for this constant.
    pub fn bounds(&self, c: Scalar) -> bool {
        self.x86 && !self.scalar() && c.dtype().is_float() && !c.to_f64().is_nan()
    }

    /// The larger or smaller float in an order that has `-0` below `+0`; NaN if either is.
    pub fn ordered_extreme(&mut self, op: Binary, x: &Lanes, y: &Lanes) -> Lanes {
        match op {
            Binary::Max => self.zip(x, y, |g, p, q| g.b.ins().fmax(p, q)),
            _ => self.zip(x, y, |g, p, q| g.b.ins().fmin(p, q)),
        }
    }

    /// `max(c, x)` or `min(c, x)` where `c` is not NaN. The x86 instructions give the second
    /// operand, here `x`, where an operand is NaN or both are equal, as they should. Of `max(x, c)`
    /// that is right too unless both are zeros.
    pub fn bound(&mut self, op: Binary, c: &Lanes, x: &Lanes) -> Lanes {
        let integer = self.part_type(Type::Mask, x.bits);
        let part = self.part_type(x.ty, x.bits);
        self.zip(x, c, |g, p, q| {
            let (left, right) = if op == Binary::Max { (p, q) } else { (q, p) };
            let mask = g.b.ins().fcmp(FloatCC::LessThan, left, right);
            debug_assert_eq!(g.b.func.dfg.value_type(mask), integer);
            let mask = g.cast(part, mask);
            g.b.ins().bitselect(mask, q, p)
        })
    }

    /// `x · 2ⁿ`: adding a large number brings `n` into the low bits, and the halves of it are the
    /// exponents of two factors, which are at least those that give 0.
    fn scale(&mut self, x: &Lanes, n: &Lanes) -> Lanes {
        let (integer, mantissa, magic) = match x.bits {
            64 => (Type::I64, 52, (1.5 * 2f64.powi(52) + 2046.0).to_bits()),
            _ => (Type::I32, 23, u64::from((1.5 * 2f32.powi(23) + 254.0).to_bits())),
        };
        let (integer, float) = (self.part_type(integer, x.bits), self.part_type(x.ty, x.bits));
        let magic = self.bits_constant(float, magic);
        let least = self.constant(least_scale(x.ty));
        let far = self.compare(Compare::Lt, n, &least);
        let n = self.select(&far, &least, n);
        self.zip(x, &n, |g, p, q| {
            let shifted = g.b.ins().fadd(q, magic);
            let bits = g.cast(integer, shifted);
            let half = g.b.ins().ushr_imm_u(bits, 1);
            let rest = g.b.ins().isub(bits, half);
            [half, rest].into_iter().fold(p, |p, exponent| {
                let power = g.b.ins().ishl_imm_u(exponent, mantissa);
                let power = g.cast(float, power);
                g.b.ins().fmul(p, power)
            })
        })
    }

    /// The divisor, or 1 where it is 0 or -1, by which the machine could not always divide.
    fn safe_divisor(&mut self, y: ir::Value) -> ir::Value {
        let ty = self.b.func.dfg.value_type(y);
        let shifted = self.b.ins().iadd_imm_s(y, 1);
        let unsafe_ = self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, shifted, 2);
        let one = self.b.ins().iconst(ty, 1);
        self.b.ins().select(unsafe_, one, y)
    }

    fn divide(&mut self, x: ir::Value, y: ir::Value) -> ir::Value {
        let ty = self.b.func.dfg.value_type(y);
        let divisor = self.safe_divisor(y);
        let quotient = self.b.ins().sdiv(x, divisor);
        let negative = self.b.ins().ineg(x);
        let minus_one = self.b.ins().icmp_imm_s(IntCC::Equal, y, -1);
        let quotient = self.b.ins().select(minus_one, negative, quotient);
        let zero = self.b.ins().iconst(ty, 0);
        let by_zero = self.b.ins().icmp_imm_s(IntCC::Equal, y, 0);
        self.b.ins().select(by_zero, zero, quotient)
    }

    fn shift_by_constant(&mut self, op: Binary, x: &Lanes, amount: u64) -> Lanes {
        let width = u64::from(x.bits);
        // As an unsigned number of the lane's width.
        let amount = if width == 32 { amount & 0xFFFF_FFFF } else { amount };
        let within = i64::try_from(amount.min(width - 1)).expect("a small number");
        match op {
            Binary::Sar => self.map(x, |g, p| g.b.ins().sshr_imm_u(p, within)),
            _ if amount >= width => {
                let part = self.part_type(x.ty, x.bits);
                let zero = self.bits_constant(part, 0);
                self.map(x, |_, _| zero)
            }
            Binary::Shl => self.map(x, |g, p| g.b.ins().ishl_imm_u(p, within)),
            _ => self.map(x, |g, p| g.b.ins().ushr_imm_u(p, within)),
        }
    }

    fn shift(&mut self, op: Binary, x: ir::Value, amount: ir::Value) -> ir::Value {
        let ty = self.b.func.dfg.value_type(x);
        let width = i64::from(ty.bits());
        if op == Binary::Sar {
            let most = self.b.ins().iconst(ty, width - 1);
            let amount = self.b.ins().umin(amount, most);
            return self.b.ins().sshr(x, amount);
        }
        let shifted = match op {
            Binary::Shl => self.b.ins().ishl(x, amount),
            _ => self.b.ins().ushr(x, amount),
        };
        let zero = self.b.ins().iconst(ty, 0);
        let within = self.b.ins().icmp_imm_u(IntCC::UnsignedLessThan, amount, width);
        self.b.ins().select(within, shifted, zero)
    }

    /// `x * y + z` rounded once. Without the instruction Cranelift calls the function, so the bits
    /// are the same everywhere.
    pub fn fma(&mut self, x: &Lanes, y: &Lanes, z: &Lanes) -> Lanes {
        let terms = x.parts.iter().zip(&y.parts).zip(&z.parts);
        let parts = terms.map(|((&p, &q), &r)| self.b.ins().fma(p, q, r)).collect();
        Lanes { ty: x.ty, bits: x.bits, parts }
    }

    /// A mask of the operands' width.
    pub fn compare(&mut self, op: Compare, x: &Lanes, y: &Lanes) -> Lanes {
        let pairs = x.parts.iter().zip(&y.parts);
        let parts = if is_float(x.ty) {
            let cc = match op {
                Compare::Eq => FloatCC::Equal,
                Compare::Ne => FloatCC::NotEqual,
                Compare::Lt => FloatCC::LessThan,
                Compare::Le => FloatCC::LessThanOrEqual,
                Compare::Gt => FloatCC::GreaterThan,
                Compare::Ge => FloatCC::GreaterThanOrEqual,
            };
            pairs.map(|(&p, &q)| self.b.ins().fcmp(cc, p, q)).collect()
        } else {
            let cc = match op {
                Compare::Eq => IntCC::Equal,
                Compare::Ne => IntCC::NotEqual,
                Compare::Lt => IntCC::SignedLessThan,
                Compare::Le => IntCC::SignedLessThanOrEqual,
                Compare::Gt => IntCC::SignedGreaterThan,
                Compare::Ge => IntCC::SignedGreaterThanOrEqual,
            };
            pairs.map(|(&p, &q)| self.b.ins().icmp(cc, p, q)).collect()
        };
        Lanes { ty: Type::Mask, bits: x.bits, parts }
    }

    /// `mask ? x : y` of numbers.
    pub fn select(&mut self, mask: &Lanes, x: &Lanes, y: &Lanes) -> Lanes {
        let mask = self.widen_mask(mask, x.bits);
        let part = self.part_type(x.ty, x.bits);
        let terms = mask.parts.iter().zip(&x.parts).zip(&y.parts);
        let mut parts = Parts::new();
        for ((&m, &p), &q) in terms {
            parts.push(if self.scalar() {
                self.b.ins().select(m, p, q)
            } else {
                let m = self.cast(part, m);
                self.b.ins().bitselect(m, p, q)
            });
        }
        Lanes { ty: x.ty, bits: x.bits, parts }
    }

    /// Whether any lane of a mask holds, as a scalar for a branch.
    pub fn any(&mut self, mask: &Lanes) -> ir::Value {
        let (&first, rest) = mask.parts.split_first().expect("a group has lanes");
        let all = rest.iter().fold(first, |all, &p| self.b.ins().bor(all, p));
        if self.scalar() { all } else { self.b.ins().vany_true(all) }
    }

    /// A number of every lane's type and width with these bits in each lane.
    pub fn filled(&mut self, ty: Type, lane: u64) -> Lanes {
        let bits = Self::bits_of(ty);
        let part = self.part_type(ty, bits);
        let part = self.bits_constant(part, lane);
        let count = self.part_count(bits);
        Lanes { ty, bits, parts: std::iter::repeat_n(part, count).collect() }
    }
}

/// Whether [`Group::bound`], and the addition of `+0` where this is the constant, are right with
/// the constant as second operand: of zeros that gives `+0`.
fn cheap_bound(c: Scalar) -> bool {
    !c.to_f64().is_nan() && !c.is(-0.0)
}
