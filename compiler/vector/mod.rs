//! Vector programs: the straight-line SSA bodies of innermost loops.
//!
//! A [`Program`] is executed once for every group of lanes of an innermost loop. It loads from
//! slots (memory the loop walks over), computes, stores, and folds values into accumulators. The
//! lane count is no part of the program: an executor chooses it. There are three executors: the
//! scalar reference (`reference`), the Cranelift emitter and the wide x86 emitter (both in
//! `codegen`). `math` writes the transcendental functions as programs, so every executor computes
//! the same polynomials.
//!
//! Invariants: an instruction uses only earlier values; operand types are those the instruction
//! asks for (`verify`); memory is touched only through slots, whose bounds are the loop's business.
//!
//! Neighbours: below are the element types of the runtime; above, the table of graph operations
//! lowers scalar expressions to programs, and kernels place programs in loop nests.

pub mod builder;
mod fold;
pub mod lane;
pub mod math;
pub mod reference;
#[cfg(test)]
mod tests;
mod text;
pub mod usual;
pub mod verify;

pub use builder::Builder;
pub use lane::Lane;
pub use text::ParseError;
pub use verify::verify;

use smallvec::SmallVec;
use tensc_runtime::{DType, Scalar};

/// The type of a value's lanes. Narrow memory types are widened by `Load`, narrowed by `Store`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Type {
    /// 32-bit integer lanes: also what `u8 i8 i16 i32` compute in.
    I32,
    /// 64-bit integer lanes.
    I64,
    /// `f32` lanes: also what `f16 bf16` compute in.
    F32,
    /// `f64` lanes.
    F64,
    /// One truth value a lane: what comparisons give; stored as `bool` bytes.
    Mask,
}

impl Type {
    /// The lane type elements of `dtype` are computed in.
    pub const fn of(dtype: DType) -> Type {
        match dtype {
            DType::Bool => Type::Mask,
            DType::U8 | DType::I8 | DType::I16 | DType::I32 => Type::I32,
            DType::I64 => Type::I64,
            DType::F16 | DType::BF16 | DType::F32 => Type::F32,
            DType::F64 => Type::F64,
        }
    }
    /// Bits of a lane; a mask takes the width of the lanes it is used with and has none itself.
    pub const fn bits(self) -> Option<u32> {
        match self {
            Type::I32 | Type::F32 => Some(32),
            Type::I64 | Type::F64 => Some(64),
            Type::Mask => None,
        }
    }
}

/// An SSA value: the index of the instruction that makes it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Value(pub u32);

/// A memory operand of the loop, bound to a buffer and strides by the kernel with the program.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Slot(pub u32);

/// A value the loop gets from outside: a row's maximum splat to all lanes, or, in an epilogue or a
/// per-lane finish, the accumulators as a full vector.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Param(pub u32);

/// One operand in, one out, of the same type unless said otherwise.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Unary {
    /// Sign flip (floats: the sign bit; integers: wrapping).
    Neg,
    /// Magnitude (floats: clears the sign bit; integers: wrapping).
    Abs,
    /// Square root, correctly rounded; floats.
    Sqrt,
    /// To the nearest integer, ties to even; floats.
    Round,
    /// Toward minus infinity; floats.
    Floor,
    /// Toward plus infinity; floats.
    Ceil,
    /// Toward zero; floats.
    Trunc,
    /// Bitwise or logical complement; integers and masks.
    Not,
    /// Lane conversion by value between any two types. Float to integer truncates, saturates, and
    /// takes NaN to 0; I64 to I32 keeps the low bits; a mask converts to 0 or 1; to a mask is
    /// `!= 0`.
    Convert(Type),
    /// Same bits, other type: I32<->F32, I64<->F64.
    Bitcast(Type),
    /// An integer wrapped to the range of a narrow memory type and extended again: what a `u8`
    /// sum needs before it is compared. I32 in, I32 out.
    Wrap(DType),
    /// F32 rounded to the nearest value of `f16` or `bf16`. F32 in, F32 out.
    RoundTo(DType),
    /// The mask itself, which nearly always holds: see [`usual`].
    Likely,
}

/// Two operands of one type in, one out of the same type.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Binary {
    /// Sum; integers wrap.
    Add,
    /// Difference; integers wrap.
    Sub,
    /// Product; integers wrap.
    Mul,
    /// Quotient; integers truncate, a zero divisor gives 0, `MIN / -1` gives `MIN`.
    Div,
    /// Remainder of `Div`, with the sign of the dividend; integers only, `x % 0` is 0.
    Rem,
    /// Larger value; NaN if either is NaN; the second of equals: `max(+0, -0)` is `-0`.
    Max,
    /// Smaller value; NaN if either is NaN; the second of equals: `min(-0, +0)` is `+0`.
    Min,
    /// Bitwise; integers and masks.
    And,
    /// Bitwise; integers and masks.
    Or,
    /// Bitwise; integers and masks.
    Xor,
    /// Left shift; amounts of the width or more (taken as unsigned) give 0. Integers.
    Shl,
    /// Arithmetic right shift; amounts of the width or more give the sign. Integers.
    Sar,
    /// Logical right shift; amounts of the width or more give 0. Integers.
    Shr,
    /// `a · 2ᵇ`, rounded once; floats. It is made for reduced exponentials: `a` is from 0.5 to 4 or
    /// NaN, and `b` a whole number of at most twice the bias of exponents. So far or further below
    /// 0 the result is 0; of a larger `b` it is any number.
    Scale,
}

/// A `b` for which [`Binary::Scale`] gives 0 by two factors of which the first leaves a normal
/// number: what comes near the least numbers takes processors a hundred cycles.
pub fn least_scale(ty: Type) -> Scalar {
    if ty == Type::F64 { Scalar::new(-2042f64) } else { Scalar::new(-250f32) }
}

/// Comparisons of numbers; a NaN makes every one false but `Ne`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Compare {
    /// Equal.
    Eq,
    /// Not equal.
    Ne,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
}

/// One instruction.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Inst {
    /// The same value in every lane; its type is `Type::of` the scalar's.
    Const(Scalar),
    /// A value from outside the loop.
    Param(Param),
    /// The element of the slot at this iteration, widened to `Type::of` the slot's element type.
    Load(Slot),
    /// The element of the slot at this iteration's address plus `index` times the slot's gather
    /// stride. The index, I64, must come from a `CheckIndex`.
    Gather(Slot, Value),
    /// Narrows and stores to the slot.
    Store(Slot, Value),
    /// Position along an axis of the loop nest (counted over outer, reduce, lane axes), as I64.
    Index(u32),
    /// An I64 index brought into `0..bound`: a negative one counts from the end; one that is out
    /// of range is replaced by 0 and reported under `site` to the caller, who discards the results.
    CheckIndex {
        /// The index, I64.
        index: Value,
        /// Number of valid indices.
        bound: u64,
        /// What the report names.
        site: u32,
    },
    /// One operand.
    Unary(Unary, Value),
    /// Two operands of one type.
    Binary(Binary, Value, Value),
    /// `a * b + c` rounded once; floats.
    Fma(Value, Value, Value),
    /// Two operands of one type to a mask.
    Compare(Compare, Value, Value),
    /// `mask ? a : b` lane by lane; numbers (the builder writes logic for masks).
    Select(Value, Value, Value),
}

/// How an accumulator takes in a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Combine {
    /// Sum from 0.
    Add,
    /// Product from 1.
    Mul,
    /// Largest; NaN wins, `+0` is above `-0`; starts at the smallest value of the type.
    Max,
    /// Smallest; NaN wins, `-0` is below `+0`; starts at the largest value of the type.
    Min,
    /// Conjunction of masks.
    And,
    /// Disjunction of masks.
    Or,
    /// Index (I64) of the first largest value; a NaN counts as larger than all, zeros are equal.
    /// The result is the index as it was given; of no values it is `i64::MAX`.
    ArgMax,
    /// Index (I64) of the first smallest value; a NaN counts as smaller than all. See `ArgMax`.
    ArgMin,
}

/// A value folded over the iterations of the loop.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Accumulator {
    /// How.
    pub combine: Combine,
    /// What each iteration contributes.
    pub value: Value,
    /// The position that goes with the value, I64: present for `ArgMax` and `ArgMin` only.
    pub index: Option<Value>,
}

/// How a slot moves with the lanes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Stride {
    /// Every lane reads the same element.
    Splat,
    /// Consecutive lanes are consecutive elements.
    Unit,
    /// Lanes are a distance apart that the kernel's access tells (elements, may be negative).
    Far,
}

/// What the program knows of a slot.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SlotDecl {
    /// Element type in memory.
    pub dtype: DType,
    /// Movement with the lanes.
    pub stride: Stride,
}

/// A straight-line body.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Program {
    /// Memory operands.
    pub slots: Vec<SlotDecl>,
    /// Types of the outside values.
    pub params: Vec<Type>,
    /// Instructions; `Value(i)` is made by `insts[i]` (a `Store` makes none that may be used).
    pub insts: Vec<Inst>,
    /// Folds, in order.
    pub accumulators: Vec<Accumulator>,
    /// Values handed to whoever runs the program: the scalar results of a finish.
    pub yields: SmallVec<[Value; 2]>,
}
