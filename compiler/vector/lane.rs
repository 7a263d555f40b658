//! What every operation does to one lane: the meaning of the instruction set, in Rust.
//!
//! This is the definition that emitters are tested against and that constant folding uses. Each
//! function takes operands whose types `verify` has accepted; others are a bug and panic.
//!
//! Neighbours: `reference` runs whole programs with these functions, `fold` folds constants.

use super::{Binary, Compare, Type, Unary};
use tensc_runtime::dtype::{BF16, F16};
use tensc_runtime::{DType, Scalar};

/// The value of one lane.
#[derive(Clone, Copy, Debug)]
pub enum Lane {
    /// 32-bit integer.
    I32(i32),
    /// 64-bit integer.
    I64(i64),
    /// Single precision.
    F32(f32),
    /// Double precision.
    F64(f64),
    /// Truth value.
    Mask(bool),
}

impl Lane {
    /// The type of the lane.
    pub const fn ty(self) -> Type {
        match self {
            Lane::I32(_) => Type::I32,
            Lane::I64(_) => Type::I64,
            Lane::F32(_) => Type::F32,
            Lane::F64(_) => Type::F64,
            Lane::Mask(_) => Type::Mask,
        }
    }

    /// An element of memory, widened to the type it is computed in.
    pub fn widen(element: Scalar) -> Lane {
        match Type::of(element.dtype()) {
            Type::I32 => Lane::I32(element.to_i64() as i32),
            Type::I64 => Lane::I64(element.to_i64()),
            Type::F32 => Lane::F32(element.to_f64() as f32),
            Type::F64 => Lane::F64(element.to_f64()),
            Type::Mask => Lane::Mask(element.to_i64() != 0),
        }
    }

    /// The lane as an element of `dtype`: low bits of an integer, the nearest value of a float.
    pub fn narrow(self, dtype: DType) -> Scalar {
        assert_eq!(self.ty(), Type::of(dtype), "a {dtype} is not stored from {self:?}");
        match self {
            Lane::I32(x) => Scalar::from_i64(dtype, i64::from(x)),
            Lane::I64(x) => Scalar::from_i64(dtype, x),
            // Not by way of `f64` for the half formats: that would be the same, but needs a proof.
            Lane::F32(x) => match dtype {
                DType::F16 => Scalar::new(F16::from_f32(x)),
                DType::BF16 => Scalar::new(BF16::from_f32(x)),
                _ => Scalar::new(x),
            },
            Lane::F64(x) => Scalar::new(x),
            Lane::Mask(x) => Scalar::new(x),
        }
    }

    /// The lane as an element of its own width, which compares and hashes by bits.
    pub fn scalar(self) -> Scalar {
        self.narrow(self.ty().dtype())
    }

    /// The number in the lane; exact for all types but large `I64`.
    pub fn to_f64(self) -> f64 {
        self.scalar().to_f64()
    }
}

impl Type {
    /// The element type that fills a lane of this type.
    pub const fn dtype(self) -> DType {
        match self {
            Type::I32 => DType::I32,
            Type::I64 => DType::I64,
            Type::F32 => DType::F32,
            Type::F64 => DType::F64,
            Type::Mask => DType::Bool,
        }
    }
}

fn misuse(what: impl std::fmt::Debug, operands: &[Lane]) -> ! {
    panic!("{what:?} of {operands:?}: the program was not verified")
}

/// One operand.
pub fn unary(op: Unary, x: Lane) -> Lane {
    use Lane::{F32, F64, I32, I64, Mask};
    match (op, x) {
        (Unary::Neg, I32(x)) => I32(x.wrapping_neg()),
        (Unary::Neg, I64(x)) => I64(x.wrapping_neg()),
        (Unary::Neg, F32(x)) => F32(-x),
        (Unary::Neg, F64(x)) => F64(-x),
        (Unary::Abs, I32(x)) => I32(x.wrapping_abs()),
        (Unary::Abs, I64(x)) => I64(x.wrapping_abs()),
        (Unary::Abs, F32(x)) => F32(x.abs()),
        (Unary::Abs, F64(x)) => F64(x.abs()),
        (Unary::Sqrt, F32(x)) => F32(x.sqrt()),
        (Unary::Sqrt, F64(x)) => F64(x.sqrt()),
        (Unary::Round, F32(x)) => F32(x.round_ties_even()),
        (Unary::Round, F64(x)) => F64(x.round_ties_even()),
        (Unary::Floor, F32(x)) => F32(x.floor()),
        (Unary::Floor, F64(x)) => F64(x.floor()),
        (Unary::Ceil, F32(x)) => F32(x.ceil()),
        (Unary::Ceil, F64(x)) => F64(x.ceil()),
        (Unary::Trunc, F32(x)) => F32(x.trunc()),
        (Unary::Trunc, F64(x)) => F64(x.trunc()),
        (Unary::Not, I32(x)) => I32(!x),
        (Unary::Not, I64(x)) => I64(!x),
        (Unary::Not, Mask(x)) => Mask(!x),
        (Unary::Likely, Mask(x)) => Mask(x),
        (Unary::Convert(to), x) => convert(to, x),
        (Unary::Bitcast(Type::F32), I32(x)) => F32(f32::from_bits(x as u32)),
        (Unary::Bitcast(Type::I32), F32(x)) => I32(x.to_bits() as i32),
        (Unary::Bitcast(Type::F64), I64(x)) => F64(f64::from_bits(x as u64)),
        (Unary::Bitcast(Type::I64), F64(x)) => I64(x.to_bits() as i64),
        (Unary::Wrap(DType::U8), I32(x)) => I32(i32::from(x as u8)),
        (Unary::Wrap(DType::I8), I32(x)) => I32(i32::from(x as i8)),
        (Unary::Wrap(DType::I16), I32(x)) => I32(i32::from(x as i16)),
        (Unary::RoundTo(DType::F16), F32(x)) => F32(F16::from_f32(x).to_f32()),
        (Unary::RoundTo(DType::BF16), F32(x)) => F32(BF16::from_f32(x).to_f32()),
        (op, x) => misuse(op, &[x]),
    }
}

/// Conversion by value. Rust's `as` has the semantics of [`Unary::Convert`] for numbers.
fn convert(to: Type, x: Lane) -> Lane {
    macro_rules! number {
        ($x:expr) => {
            match to {
                Type::I32 => Lane::I32($x as i32),
                Type::I64 => Lane::I64($x as i64),
                Type::F32 => Lane::F32($x as f32),
                Type::F64 => Lane::F64($x as f64),
                Type::Mask => Lane::Mask($x as f64 != 0.0),
            }
        };
    }
    match x {
        Lane::I32(x) => number!(x),
        Lane::I64(x) => number!(x),
        Lane::F32(x) => number!(x),
        Lane::F64(x) => number!(x),
        Lane::Mask(x) => match to {
            Type::Mask => Lane::Mask(x),
            _ => convert(to, Lane::I32(i32::from(x))),
        },
    }
}

macro_rules! integer {
    ($op:expr, $a:expr, $b:expr, $int:ty, $unsigned:ty) => {{
        let (a, b): ($int, $int) = ($a, $b);
        let amount = u32::try_from(b as $unsigned).ok().filter(|&n| n < <$int>::BITS);
        match $op {
            Binary::Add => a.wrapping_add(b),
            Binary::Sub => a.wrapping_sub(b),
            Binary::Mul => a.wrapping_mul(b),
            Binary::Div if b == 0 => 0,
            Binary::Div => a.wrapping_div(b),
            Binary::Rem if b == 0 => 0,
            Binary::Rem => a.wrapping_rem(b),
            Binary::Max => a.max(b),
            Binary::Min => a.min(b),
            Binary::And => a & b,
            Binary::Or => a | b,
            Binary::Xor => a ^ b,
            Binary::Shl => amount.map_or(0, |n| a << n),
            Binary::Sar => a >> amount.unwrap_or(<$int>::BITS - 1),
            Binary::Shr => amount.map_or(0, |n| ((a as $unsigned) >> n) as $int),
            Binary::Scale => unreachable!("the verifier asks for floats"),
        }
    }};
}

macro_rules! float {
    ($op:expr, $a:expr, $b:expr, $wrap:path, $scale:path) => {{
        let (a, b) = ($a, $b);
        $wrap(match $op {
            Binary::Add => a + b,
            Binary::Sub => a - b,
            Binary::Mul => a * b,
            Binary::Div => a / b,
            // Of equals, such as two zeros, the second.
            Binary::Max if a > b || a.is_nan() => a,
            Binary::Min if a < b || a.is_nan() => a,
            Binary::Max | Binary::Min => b,
            Binary::Scale => $scale(a, b),
            op => misuse(op, &[$wrap(a), $wrap(b)]),
        })
    }};
}

/// [`Binary::Scale`] by two factors, both normal, so that only the last product rounds.
fn scale_f32(a: f32, b: f32) -> f32 {
    let power = |n: i32| f32::from_bits(((n + 127) as u32) << 23);
    let n = (b as i32).clamp(-252, 252);
    a * power(n >> 1) * power(n - (n >> 1))
}

/// See [`scale_f32`].
fn scale_f64(a: f64, b: f64) -> f64 {
    let power = |n: i64| f64::from_bits(((n + 1023) as u64) << 52);
    let n = (b as i64).clamp(-2044, 2044);
    a * power(n >> 1) * power(n - (n >> 1))
}

/// Two operands.
pub fn binary(op: Binary, a: Lane, b: Lane) -> Lane {
    match (a, b) {
        (Lane::I32(a), Lane::I32(b)) => Lane::I32(integer!(op, a, b, i32, u32)),
        (Lane::I64(a), Lane::I64(b)) => Lane::I64(integer!(op, a, b, i64, u64)),
        (Lane::F32(a), Lane::F32(b)) => float!(op, a, b, Lane::F32, scale_f32),
        (Lane::F64(a), Lane::F64(b)) => float!(op, a, b, Lane::F64, scale_f64),
        (Lane::Mask(x), Lane::Mask(y)) => Lane::Mask(match op {
            Binary::And => x & y,
            Binary::Or => x | y,
            Binary::Xor => x ^ y,
            op => misuse(op, &[a, b]),
        }),
        _ => misuse(op, &[a, b]),
    }
}

/// The larger of two, or the smaller if `op` is `Min`, in an order in which `-0` is below `+0`, so
/// that nothing depends on which is first; NaN if either is.
pub fn extreme(op: Binary, a: Lane, b: Lane) -> Lane {
    let negative = |x: Lane| x.to_f64().is_sign_negative();
    let zeros = a.ty().is_float() && a.to_f64() == 0.0 && b.to_f64() == 0.0;
    if zeros { if negative(a) == (op == Binary::Min) { a } else { b } } else { binary(op, a, b) }
}

/// `a * b + c`, rounded once.
pub fn fma(a: Lane, b: Lane, c: Lane) -> Lane {
    match (a, b, c) {
        (Lane::F32(a), Lane::F32(b), Lane::F32(c)) => Lane::F32(a.mul_add(b, c)),
        (Lane::F64(a), Lane::F64(b), Lane::F64(c)) => Lane::F64(a.mul_add(b, c)),
        _ => misuse("fma", &[a, b, c]),
    }
}

/// Two operands to a truth value.
pub fn compare(op: Compare, a: Lane, b: Lane) -> Lane {
    fn holds<T: PartialOrd>(op: Compare, a: T, b: T) -> bool {
        match op {
            Compare::Eq => a == b,
            Compare::Ne => a != b,
            Compare::Lt => a < b,
            Compare::Le => a <= b,
            Compare::Gt => a > b,
            Compare::Ge => a >= b,
        }
    }
    Lane::Mask(match (a, b) {
        (Lane::I32(a), Lane::I32(b)) => holds(op, a, b),
        (Lane::I64(a), Lane::I64(b)) => holds(op, a, b),
        (Lane::F32(a), Lane::F32(b)) => holds(op, a, b),
        (Lane::F64(a), Lane::F64(b)) => holds(op, a, b),
        _ => misuse(op, &[a, b]),
    })
}

/// `mask ? a : b`.
pub fn select(mask: Lane, a: Lane, b: Lane) -> Lane {
    match mask {
        Lane::Mask(true) if a.ty() == b.ty() => a,
        Lane::Mask(false) if a.ty() == b.ty() => b,
        _ => misuse("select", &[mask, a, b]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(found: Lane, expected: Lane) {
        assert_eq!(found.scalar(), expected.scalar(), "{found:?} is not {expected:?}");
    }

    #[test]
    fn integers_wrap_and_division_is_total() {
        use Binary::{Div, Mul, Rem, Sar, Shl, Shr};
        for (op, a, b, expected) in [
            (Mul, i32::MAX, 2, -2),
            (Div, 7, 0, 0),
            (Div, -7, 2, -3),
            (Div, i32::MIN, -1, i32::MIN),
            (Rem, 7, 0, 0),
            (Rem, -7, 2, -1),
            (Rem, i32::MIN, -1, 0),
            (Shl, 1, 31, i32::MIN),
            (Shl, 1, 32, 0),
            (Shl, 1, -1, 0),
            (Sar, -8, 1, -4),
            (Sar, -8, 77, -1),
            (Sar, 8, -1, 0),
            (Shr, -8, 28, 15),
            (Shr, -8, 32, 0),
        ] {
            check(binary(op, Lane::I32(a), Lane::I32(b)), Lane::I32(expected));
        }
        check(binary(Shl, Lane::I64(1), Lane::I64(1 << 32)), Lane::I64(0));
        check(binary(Shr, Lane::I64(-1), Lane::I64(63)), Lane::I64(1));
    }

    #[test]
    fn extremes_know_nan_and_the_sign_of_zero() {
        let number = |lane| match lane {
            Lane::F32(x) => x,
            other => panic!("{other:?}"),
        };
        let f = |op, a: f32, b: f32| number(binary(op, Lane::F32(a), Lane::F32(b)));
        let folded = |op, a: f32, b: f32| number(extreme(op, Lane::F32(a), Lane::F32(b)));
        for (a, b) in [(0.0f32, -0.0f32), (-0.0, 0.0)] {
            for op in [Binary::Max, Binary::Min] {
                assert_eq!(f(op, a, b).to_bits(), b.to_bits(), "the second of equals");
            }
            assert!(folded(Binary::Max, a, b).is_sign_positive());
            assert!(folded(Binary::Min, a, b).is_sign_negative());
        }
        assert_eq!((folded(Binary::Max, -1.0, 2.0), folded(Binary::Min, -1.0, 2.0)), (2.0, -1.0));
        for (a, b) in [(f32::NAN, 1.0), (1.0, f32::NAN), (f32::INFINITY, f32::NAN)] {
            assert!(f(Binary::Max, a, b).is_nan());
            assert!(f(Binary::Min, a, b).is_nan());
        }
        assert_eq!(f(Binary::Max, -1.0, 2.0), 2.0);
        assert_eq!(f(Binary::Min, -1.0, 2.0), -1.0);
    }

    #[test]
    fn conversions_saturate_truncate_and_wrap() {
        for (x, to, expected) in [
            (Lane::F32(1e10), Type::I32, Lane::I32(i32::MAX)),
            (Lane::F32(f32::NAN), Type::I32, Lane::I32(0)),
            (Lane::F64(-1e30), Type::I64, Lane::I64(i64::MIN)),
            (Lane::F64(-1.9), Type::I32, Lane::I32(-1)),
            (Lane::I64((1 << 32) + 5), Type::I32, Lane::I32(5)),
            (Lane::I64(i64::MAX), Type::Mask, Lane::Mask(true)),
            (Lane::F32(f32::NAN), Type::Mask, Lane::Mask(true)),
            (Lane::F32(-0.0), Type::Mask, Lane::Mask(false)),
            (Lane::Mask(true), Type::F64, Lane::F64(1.0)),
            (Lane::I64(16_777_217), Type::F32, Lane::F32(16_777_216.0)),
        ] {
            check(unary(Unary::Convert(to), x), expected);
        }
        check(unary(Unary::Wrap(DType::U8), Lane::I32(-1)), Lane::I32(255));
        check(unary(Unary::Wrap(DType::I8), Lane::I32(200)), Lane::I32(-56));
        check(unary(Unary::RoundTo(DType::BF16), Lane::F32(1.001)), Lane::F32(1.0));
        check(unary(Unary::Round, Lane::F32(2.5)), Lane::F32(2.0));
    }
}
