//! The verifier: every invariant that a program's consumers rely on.
//!
//! `result_type` is the one statement of the typing rules; the builder asks it as well, so that
//! a wrong instruction is caught where it is made. Masks have only the logical operations and
//! conversions: `compare`, `min`, `max` and `select` of masks are logic, which the builder writes.

use super::{Accumulator, Binary, Combine, Inst, Program, SlotDecl, Stride, Type, Unary, Value};
use std::fmt;
use tensc_runtime::DType;

/// Checks the whole program.
pub fn verify(program: &Program) -> Result<(), Violation> {
    types(program).map(|_| ())
}

/// The type of every value (`None` for a store), if the program is well formed.
pub fn types(program: &Program) -> Result<Vec<Option<Type>>, Violation> {
    let mut types = Vec::with_capacity(program.insts.len());
    for (i, inst) in program.insts.iter().enumerate() {
        let at = Place::Inst(Value(i as u32));
        let known = Known { types: &types, insts: &program.insts };
        let ty = result_type(inst, &program.slots, &program.params, &known)
            .map_err(|rule| Violation { at, rule })?;
        types.push(ty);
    }
    let known = Known { types: &types, insts: &program.insts };
    for (i, accumulator) in program.accumulators.iter().enumerate() {
        let at = Place::Accumulator(i);
        check_accumulator(accumulator, &known).map_err(|rule| Violation { at, rule })?;
    }
    for (i, &value) in program.yields.iter().enumerate() {
        known.ty(value).map_err(|rule| Violation { at: Place::Yield(i), rule })?;
    }
    Ok(types)
}

/// Where a program is wrong, and what rule it breaks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The offender.
    pub at: Place,
    /// The broken rule.
    pub rule: Rule,
}

/// A part of a program.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// The instruction that makes this value.
    Inst(Value),
    /// The accumulator of this position.
    Accumulator(usize),
    /// The yield of this position.
    Yield(usize),
}

/// A rule of well-formed programs, as it is broken.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rule {
    /// The operand is made by this or a later instruction, or by none.
    NotYetDefined(Value),
    /// The operand is a store, which makes no value.
    NoValue(Value),
    /// No such slot is declared.
    NoSlot(u32),
    /// No such parameter is declared.
    NoParam(u32),
    /// The operation does not exist for operands of this type.
    Undefined(Type),
    /// Two operands must agree, and do not.
    Differ(Type, Type),
    /// The operand must be of the first type and is of the second.
    Expected(Type, Type),
    /// `Wrap` and `RoundTo` only know the narrow memory types.
    NotNarrow(DType),
    /// The index of a gather is not a checked one.
    Unchecked(Value),
    /// An index is checked against a bound outside `1..=i64::MAX`.
    Bound(u64),
    /// All lanes would write one element.
    SplatStore,
    /// `ArgMax` and `ArgMin` have an index, other combinations have none.
    Index,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Place::Inst(Value(i)) => write!(f, "v{i}: ")?,
            Place::Accumulator(i) => write!(f, "accumulator {i}: ")?,
            Place::Yield(i) => write!(f, "yield {i}: ")?,
        }
        write!(f, "{}", self.rule)
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Rule::NotYetDefined(Value(v)) => write!(f, "v{v} is not defined yet"),
            Rule::NoValue(Value(v)) => write!(f, "v{v} is a store and has no value"),
            Rule::NoSlot(s) => write!(f, "there is no slot s{s}"),
            Rule::NoParam(p) => write!(f, "there is no parameter p{p}"),
            Rule::Undefined(ty) => write!(f, "not defined for {ty}"),
            Rule::Differ(a, b) => write!(f, "operands are {a} and {b}"),
            Rule::Expected(wanted, found) => write!(f, "wants {wanted}, gets {found}"),
            Rule::NotNarrow(dtype) => write!(f, "{dtype} is not a narrow type of this kind"),
            Rule::Unchecked(Value(v)) => write!(f, "index v{v} does not come from check_index"),
            Rule::Bound(bound) => write!(f, "a bound of {bound} has no valid index"),
            Rule::SplatStore => write!(f, "every lane would store to one element"),
            Rule::Index => write!(f, "argmax and argmin have an index, others have none"),
        }
    }
}

impl std::error::Error for Violation {}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Type::I32 => "i32",
            Type::I64 => "i64",
            Type::F32 => "f32",
            Type::F64 => "f64",
            Type::Mask => "mask",
        })
    }
}

/// The instructions before the one that is looked at, with their types.
pub(super) struct Known<'a> {
    /// Types so far: operands must be below this length.
    pub types: &'a [Option<Type>],
    /// Instructions, at least as many.
    pub insts: &'a [Inst],
}

impl Known<'_> {
    fn ty(&self, v: Value) -> Result<Type, Rule> {
        match self.types.get(v.0 as usize) {
            None => Err(Rule::NotYetDefined(v)),
            Some(None) => Err(Rule::NoValue(v)),
            Some(&Some(ty)) => Ok(ty),
        }
    }
    fn expect(&self, wanted: Type, v: Value) -> Result<(), Rule> {
        match self.ty(v)? {
            found if found == wanted => Ok(()),
            found => Err(Rule::Expected(wanted, found)),
        }
    }
    fn same(&self, a: Value, b: Value) -> Result<Type, Rule> {
        let (a, b) = (self.ty(a)?, self.ty(b)?);
        if a == b { Ok(a) } else { Err(Rule::Differ(a, b)) }
    }
}

/// The type of the value an instruction makes, or what is wrong with it.
pub(super) fn result_type(
    inst: &Inst,
    slots: &[SlotDecl],
    params: &[Type],
    known: &Known<'_>,
) -> Result<Option<Type>, Rule> {
    let slot = |s: super::Slot| slots.get(s.0 as usize).ok_or(Rule::NoSlot(s.0));
    Ok(Some(match *inst {
        Inst::Const(scalar) => Type::of(scalar.dtype()),
        Inst::Param(p) => *params.get(p.0 as usize).ok_or(Rule::NoParam(p.0))?,
        Inst::Load(s) => Type::of(slot(s)?.dtype),
        Inst::Gather(s, index) => {
            let decl = slot(s)?;
            known.expect(Type::I64, index)?;
            match known.insts[index.0 as usize] {
                Inst::CheckIndex { .. } => Type::of(decl.dtype),
                _ => return Err(Rule::Unchecked(index)),
            }
        }
        Inst::Store(s, value) => {
            let decl = slot(s)?;
            known.expect(Type::of(decl.dtype), value)?;
            if decl.stride == Stride::Splat {
                return Err(Rule::SplatStore);
            }
            return Ok(None);
        }
        Inst::Index(_) => Type::I64,
        Inst::CheckIndex { index, bound, .. } => {
            known.expect(Type::I64, index)?;
            if bound == 0 || i64::try_from(bound).is_err() {
                return Err(Rule::Bound(bound));
            }
            Type::I64
        }
        Inst::Unary(op, x) => unary(op, known.ty(x)?)?,
        Inst::Binary(op, a, b) => binary(op, known.same(a, b)?)?,
        Inst::Fma(a, b, c) => {
            known.same(b, c)?;
            float(known.same(a, b)?)?
        }
        Inst::Compare(_, a, b) => number(known.same(a, b)?).map(|_| Type::Mask)?,
        Inst::Select(mask, a, b) => {
            known.expect(Type::Mask, mask)?;
            number(known.same(a, b)?)?
        }
    }))
}

fn unary(op: Unary, x: Type) -> Result<Type, Rule> {
    match op {
        Unary::Neg | Unary::Abs => number(x),
        Unary::Sqrt | Unary::Round | Unary::Floor | Unary::Ceil | Unary::Trunc => float(x),
        Unary::Not => logical(x),
        Unary::Likely if x == Type::Mask => Ok(x),
        Unary::Likely => Err(Rule::Expected(Type::Mask, x)),
        Unary::Convert(to) => Ok(to),
        Unary::Bitcast(to) => {
            let floats = matches!(x, Type::F32 | Type::F64);
            let crosses = floats != matches!(to, Type::F32 | Type::F64);
            if x.bits().is_some() && x.bits() == to.bits() && crosses {
                Ok(to)
            } else {
                Err(Rule::Differ(x, to))
            }
        }
        Unary::Wrap(dtype) => match (dtype, x) {
            (DType::U8 | DType::I8 | DType::I16, Type::I32) => Ok(x),
            (DType::U8 | DType::I8 | DType::I16, _) => Err(Rule::Expected(Type::I32, x)),
            _ => Err(Rule::NotNarrow(dtype)),
        },
        Unary::RoundTo(dtype) => match (dtype, x) {
            (DType::F16 | DType::BF16, Type::F32) => Ok(x),
            (DType::F16 | DType::BF16, _) => Err(Rule::Expected(Type::F32, x)),
            _ => Err(Rule::NotNarrow(dtype)),
        },
    }
}

fn binary(op: Binary, x: Type) -> Result<Type, Rule> {
    match op {
        Binary::Add | Binary::Sub | Binary::Mul | Binary::Div => number(x),
        Binary::Max | Binary::Min => number(x),
        Binary::And | Binary::Or | Binary::Xor => logical(x),
        Binary::Rem | Binary::Shl | Binary::Sar | Binary::Shr => integer(x),
        Binary::Scale => float(x),
    }
}

fn check_accumulator(acc: &Accumulator, known: &Known<'_>) -> Result<(), Rule> {
    let ty = known.ty(acc.value)?;
    match acc.combine {
        Combine::Add | Combine::Mul | Combine::Max | Combine::Min => number(ty)?,
        Combine::ArgMax | Combine::ArgMin => number(ty)?,
        Combine::And | Combine::Or if ty == Type::Mask => ty,
        Combine::And | Combine::Or => return Err(Rule::Expected(Type::Mask, ty)),
    };
    match (acc.combine, acc.index) {
        (Combine::ArgMax | Combine::ArgMin, Some(index)) => known.expect(Type::I64, index),
        (Combine::ArgMax | Combine::ArgMin, None) | (_, Some(_)) => Err(Rule::Index),
        (_, None) => Ok(()),
    }
}

fn number(x: Type) -> Result<Type, Rule> {
    if x == Type::Mask { Err(Rule::Undefined(x)) } else { Ok(x) }
}

fn float(x: Type) -> Result<Type, Rule> {
    if matches!(x, Type::F32 | Type::F64) { Ok(x) } else { Err(Rule::Undefined(x)) }
}

fn integer(x: Type) -> Result<Type, Rule> {
    if matches!(x, Type::I32 | Type::I64) { Ok(x) } else { Err(Rule::Undefined(x)) }
}

fn logical(x: Type) -> Result<Type, Rule> {
    if x == Type::Mask { Ok(x) } else { integer(x) }
}
