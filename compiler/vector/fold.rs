//! What an instruction is known to be before it runs: folding that changes no bit of a number.
//!
//! Constants are folded by the same functions that the reference executor uses. The identities
//! hold for every operand, infinities, NaN and negative zero included; only the sign and payload of
//! a NaN may differ, which no part of the compiler keeps. Nothing here reassociates.

use super::lane::{self, Lane};
use super::{Binary, Inst, Type, Unary, Value};
use tensc_runtime::Scalar;

/// The outcome of folding.
pub(super) enum Folded {
    /// A value that was there.
    Value(Value),
    /// The instruction in canonical form.
    Inst(Inst),
}

/// Folds a well-typed instruction, given those before it and their types.
pub(super) fn fold(inst: Inst, insts: &[Inst], types: &[Option<Type>]) -> Folded {
    let before = Before { insts, types };
    match inst {
        Inst::Const(scalar) => constant(Lane::widen(scalar)),
        Inst::Unary(op, x) => before.unary(op, x),
        Inst::Binary(op, a, b) => before.binary(op, a, b),
        Inst::Fma(a, b, c) => before.fma(a, b, c),
        Inst::Compare(op, a, b) => match (before.lane(a), before.lane(b)) {
            (Some(a), Some(b)) => constant(lane::compare(op, a, b)),
            _ => Folded::Inst(Inst::Compare(op, a, b)),
        },
        Inst::Select(mask, a, b) => match before.lane(mask) {
            _ if a == b => Folded::Value(a),
            Some(mask) => Folded::Value(if mask.to_f64() != 0.0 { a } else { b }),
            None => Folded::Inst(Inst::Select(mask, a, b)),
        },
        Inst::Param(_) | Inst::Load(_) | Inst::Gather(..) | Inst::Store(..) | Inst::Index(_) => {
            Folded::Inst(inst)
        }
        Inst::CheckIndex { index, bound, .. } => match before.insts[index.0 as usize] {
            // What was checked against a bound no larger is in range.
            Inst::CheckIndex { bound: inner, .. } if inner <= bound => Folded::Value(index),
            _ => Folded::Inst(inst),
        },
    }
}

fn constant(value: Lane) -> Folded {
    Folded::Inst(Inst::Const(value.scalar()))
}

struct Before<'a> {
    insts: &'a [Inst],
    types: &'a [Option<Type>],
}

impl Before<'_> {
    fn scalar(&self, v: Value) -> Option<Scalar> {
        match self.insts[v.0 as usize] {
            Inst::Const(scalar) => Some(scalar),
            _ => None,
        }
    }

    fn lane(&self, v: Value) -> Option<Lane> {
        self.scalar(v).map(Lane::widen)
    }

    fn ty(&self, v: Value) -> Type {
        self.types[v.0 as usize].expect("operands were checked to have values")
    }

    fn unary(&self, op: Unary, x: Value) -> Folded {
        if let Some(x) = self.lane(x) {
            return constant(lane::unary(op, x));
        }
        match (op, &self.insts[x.0 as usize]) {
            (Unary::Convert(to), _) if to == self.ty(x) => Folded::Value(x),
            (Unary::Bitcast(to), &Inst::Unary(Unary::Bitcast(_), y)) if to == self.ty(y) => {
                Folded::Value(y)
            }
            (Unary::Neg, &Inst::Unary(Unary::Neg, y)) => Folded::Value(y),
            (Unary::Not, &Inst::Unary(Unary::Not, y)) => Folded::Value(y),
            (Unary::Abs, &Inst::Unary(Unary::Neg, y)) => Folded::Inst(Inst::Unary(Unary::Abs, y)),
            (
                Unary::Abs
                | Unary::Round
                | Unary::Floor
                | Unary::Ceil
                | Unary::Trunc
                | Unary::Wrap(_)
                | Unary::RoundTo(_),
                &Inst::Unary(inner, _),
            ) if inner == op => Folded::Value(x),
            (op, _) => Folded::Inst(Inst::Unary(op, x)),
        }
    }

    fn binary(&self, op: Binary, a: Value, b: Value) -> Folded {
        if let (Some(a), Some(b)) = (self.lane(a), self.lane(b)) {
            return constant(lane::binary(op, a, b));
        }
        let ty = self.ty(a);
        let (a, b) = if commutes(op, ty) { self.ordered(a, b) } else { (a, b) };
        if a == b {
            match op {
                Binary::Max | Binary::Min | Binary::And | Binary::Or => return Folded::Value(a),
                Binary::Sub if ty.is_int() => return zero(ty),
                Binary::Xor => return zero(ty),
                _ => {}
            }
        }
        let Some(right) = self.scalar(b) else {
            return Folded::Inst(Inst::Binary(op, a, b));
        };
        let float = ty.is_float();
        let is = |x: f64| right.is(x);
        match op {
            // x + (-0) is x for every x; x + 0 is not, for x = -0.
            Binary::Add if is(if float { -0.0 } else { 0.0 }) => Folded::Value(a),
            Binary::Sub if is(0.0) => Folded::Value(a),
            Binary::Mul | Binary::Div if is(1.0) => Folded::Value(a),
            Binary::Mul | Binary::Div if is(-1.0) => Folded::Inst(Inst::Unary(Unary::Neg, a)),
            Binary::Mul if !float && is(0.0) => zero(ty),
            Binary::And if right.to_i64() == 0 => zero(ty),
            Binary::And if all_ones(ty, right) => Folded::Value(a),
            Binary::Or if all_ones(ty, right) => Folded::Value(b),
            Binary::Or | Binary::Xor if right.to_i64() == 0 => Folded::Value(a),
            Binary::Xor if all_ones(ty, right) => Folded::Inst(Inst::Unary(Unary::Not, a)),
            Binary::Shl | Binary::Sar | Binary::Shr if is(0.0) => Folded::Value(a),
            op => Folded::Inst(Inst::Binary(op, a, b)),
        }
    }

    fn fma(&self, a: Value, b: Value, c: Value) -> Folded {
        if let (Some(a), Some(b), Some(c)) = (self.lane(a), self.lane(b), self.lane(c)) {
            return constant(lane::fma(a, b, c));
        }
        let (a, b) = self.ordered(a, b);
        let is = |v: Value, x: f64| self.scalar(v).is_some_and(|s| s.is(x));
        if is(b, 1.0) {
            return self.binary(Binary::Add, a, c);
        }
        if is(c, -0.0) {
            return self.binary(Binary::Mul, a, b);
        }
        Folded::Inst(Inst::Fma(a, b, c))
    }

    /// Commuting operands in canonical order: a constant last, otherwise the older first.
    fn ordered(&self, a: Value, b: Value) -> (Value, Value) {
        let key = |v: Value| (self.scalar(v).is_some(), v);
        if key(b) < key(a) { (b, a) } else { (a, b) }
    }
}

fn commutes(op: Binary, ty: Type) -> bool {
    match op {
        Binary::Add | Binary::Mul => true,
        // Of two zeros of floats the second is taken.
        Binary::Max | Binary::Min => !ty.is_float(),
        Binary::And | Binary::Or | Binary::Xor => true,
        Binary::Sub | Binary::Div | Binary::Rem => false,
        Binary::Shl | Binary::Sar | Binary::Shr | Binary::Scale => false,
    }
}

fn zero(ty: Type) -> Folded {
    Folded::Inst(Inst::Const(Scalar::from_i64(ty.dtype(), 0)))
}

fn all_ones(ty: Type, x: Scalar) -> bool {
    x.to_i64() == if ty == Type::Mask { 1 } else { -1 }
}

/// `1 / divisor`, if dividing by `divisor` is multiplying by it: both are normal powers of two.
pub(super) fn exact_reciprocal(divisor: Scalar) -> Option<Scalar> {
    let power_of_two = |bits: u64, mantissa: u32| bits & ((1 << mantissa) - 1) == 0;
    match Lane::widen(divisor) {
        Lane::F32(x) => {
            let exact = power_of_two(u64::from(x.to_bits()), 23);
            (exact && x.is_normal() && (1.0 / x).is_normal()).then(|| Scalar::new(1.0 / x))
        }
        Lane::F64(x) => {
            let exact = power_of_two(x.to_bits(), 52);
            (exact && x.is_normal() && (1.0 / x).is_normal()).then(|| Scalar::new(1.0 / x))
        }
        Lane::I32(_) | Lane::I64(_) | Lane::Mask(_) => None,
    }
}
