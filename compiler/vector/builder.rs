//! Building programs: one call an instruction, each value made once.
//!
//! A [`Builder`] numbers values (an instruction that was already appended is not appended again),
//! folds constants and drops operations that cannot change a bit (`fold`), and checks types as it
//! goes: a wrong instruction is a bug of the caller and panics. `finish` removes what nothing uses.
//!
//! Methods take `&self`, so that calls nest as the mathematics does:
//!
//! ```
//! use tensc::vector::{Builder, Type};
//! let b = Builder::new();
//! let x = b.param(Type::F32);
//! let y = b.sqrt(b.fma(x, x, b.f(Type::F32, 1.0))); // √(x² + 1)
//! b.yields(y);
//! let program = b.finish();
//! assert_eq!(program.to_string(), "\
//! param p0: f32
//! v0 = param p0
//! v1 = const f32 1.0
//! v2 = fma v0, v0, v1
//! v3 = sqrt v2
//! yield v3
//! ");
//! ```

use super::fold::{Folded, exact_reciprocal, fold};
use super::verify::{Known, result_type};
use super::{
    Accumulator, Binary, Combine, Compare, Inst, Param, Program, Slot, SlotDecl, Stride, Type,
    Unary, Value,
};
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use tensc_runtime::{DType, Scalar};

/// Appends instructions to a program.
#[derive(Default, Debug)]
pub struct Builder {
    state: RefCell<State>,
}

#[derive(Default, Debug)]
struct State {
    program: Program,
    types: Vec<Option<Type>>,
    numbers: FxHashMap<Inst, Value>,
}

impl Builder {
    /// A builder of an empty program.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// The program, without the instructions whose values nothing uses. Stores and index checks
    /// are kept: they are seen from outside.
    pub fn finish(self) -> Program {
        sweep(self.state.into_inner().program)
    }

    /// The type of a value.
    pub fn ty(&self, v: Value) -> Type {
        let state = self.state.borrow();
        state.types[v.0 as usize].unwrap_or_else(|| panic!("v{} is a store", v.0))
    }

    /// The constant a value is known to be.
    pub fn constant(&self, v: Value) -> Option<Scalar> {
        match self.state.borrow().program.insts[v.0 as usize] {
            Inst::Const(scalar) => Some(scalar),
            _ => None,
        }
    }

    /// Declares a memory operand.
    pub fn slot(&self, dtype: DType, stride: Stride) -> Slot {
        let slots = &mut self.state.borrow_mut().program.slots;
        slots.push(SlotDecl { dtype, stride });
        Slot(slots.len() as u32 - 1)
    }

    /// Declares the next parameter and gives its value.
    pub fn param(&self, ty: Type) -> Value {
        let state = &mut *self.state.borrow_mut();
        state.program.params.push(ty);
        state.push(Inst::Param(Param(state.program.params.len() as u32 - 1)))
    }

    /// Hands `value` to whoever runs the program.
    pub fn yields(&self, value: Value) {
        self.ty(value);
        self.state.borrow_mut().program.yields.push(value);
    }

    /// Folds `value` over the iterations; the result is the position of the accumulator.
    pub fn accumulate(&self, combine: Combine, value: Value, index: Option<Value>) -> usize {
        let accumulators = &mut self.state.borrow_mut().program.accumulators;
        accumulators.push(Accumulator { combine, value, index });
        accumulators.len() - 1
    }

    /// Appends a program's instructions with `arguments` for its parameters and `slots` for its
    /// slots, and gives its yields. Its accumulators are appended to this program's.
    pub fn inline(&self, program: &Program, arguments: &[Value], slots: &[Slot]) -> Vec<Value> {
        let mut values: Vec<Value> = Vec::with_capacity(program.insts.len());
        for inst in &program.insts {
            let value = match *inst {
                Inst::Param(p) => arguments[p.0 as usize],
                ref other => {
                    let renamed = other.map(|v| values[v.0 as usize]);
                    self.push(renamed.with_slot(|s| slots[s.0 as usize]))
                }
            };
            values.push(value);
        }
        for acc in &program.accumulators {
            let index = acc.index.map(|v| values[v.0 as usize]);
            self.accumulate(acc.combine, values[acc.value.0 as usize], index);
        }
        program.yields.iter().map(|v| values[v.0 as usize]).collect()
    }

    /// Appends an instruction, or finds or folds the value that it would make.
    pub fn push(&self, inst: Inst) -> Value {
        let state = &mut *self.state.borrow_mut();
        state.push(inst)
    }
}

impl State {
    fn push(&mut self, inst: Inst) -> Value {
        // Checked before folding, which relies on types.
        self.check(&inst);
        let inst = match fold(inst, &self.program.insts, &self.types) {
            Folded::Value(v) => return v,
            Folded::Inst(inst) => inst,
        };
        if let Some(&v) = self.numbers.get(&inst) {
            return v;
        }
        let v = Value(self.program.insts.len() as u32);
        let ty = self.check(&inst);
        match inst {
            // What was loaded from the slot before may be stale now.
            Inst::Store(slot, _) => self.numbers.retain(|i, _| match *i {
                Inst::Load(s) | Inst::Gather(s, _) => s != slot,
                _ => true,
            }),
            _ => {
                self.numbers.insert(inst.clone(), v);
            }
        }
        self.program.insts.push(inst);
        self.types.push(ty);
        v
    }

    fn check(&self, inst: &Inst) -> Option<Type> {
        let known = Known { types: &self.types, insts: &self.program.insts };
        result_type(inst, &self.program.slots, &self.program.params, &known)
            .unwrap_or_else(|rule| panic!("vector program: {inst:?}: {rule}"))
    }
}

/// Constants, memory and the loop's position.
impl Builder {
    /// A constant; one of a narrow type becomes one of the lane type it is computed in.
    pub fn konst(&self, scalar: Scalar) -> Value {
        self.push(Inst::Const(scalar))
    }
    /// The float constant of type `F32` or `F64` nearest to `x`.
    pub fn f(&self, ty: Type, x: f64) -> Value {
        assert!(ty.is_float(), "a float constant of type {ty}");
        self.konst(Scalar::from_f64(ty.dtype(), x))
    }
    /// The integer constant of type `I32` or `I64` with the low bits of `x`.
    pub fn i(&self, ty: Type, x: i64) -> Value {
        assert!(ty.is_int(), "an integer constant of type {ty}");
        self.konst(Scalar::from_i64(ty.dtype(), x))
    }
    /// A small number as a constant of any type; a mask is its being non-zero.
    pub fn number(&self, ty: Type, x: i32) -> Value {
        self.konst(Scalar::from_i64(ty.dtype(), i64::from(x)))
    }
    /// A constant mask.
    pub fn mask(&self, x: bool) -> Value {
        self.konst(Scalar::new(x))
    }
    /// The element of `slot` at this iteration.
    pub fn load(&self, slot: Slot) -> Value {
        self.push(Inst::Load(slot))
    }
    /// Stores to `slot` at this iteration.
    pub fn store(&self, slot: Slot, value: Value) {
        self.push(Inst::Store(slot, value));
    }
    /// The element of `slot`, `index` gather strides on; the index comes from `check_index`.
    pub fn gather(&self, slot: Slot, index: Value) -> Value {
        self.push(Inst::Gather(slot, index))
    }
    /// The position along an axis of the loop nest, I64.
    pub fn index(&self, axis: u32) -> Value {
        self.push(Inst::Index(axis))
    }
    /// An I64 index brought into `0..bound`, or reported under `site`.
    pub fn check_index(&self, index: Value, bound: u64, site: u32) -> Value {
        self.push(Inst::CheckIndex { index, bound, site })
    }
}

macro_rules! operations {
    (unary $($(#[$doc:meta])* $name:ident $op:ident;)*) => { impl Builder { $(
        $(#[$doc])*
        pub fn $name(&self, x: Value) -> Value {
            self.push(Inst::Unary(Unary::$op, x))
        }
    )* } };
    (binary $($(#[$doc:meta])* $name:ident $op:ident;)*) => { impl Builder { $(
        $(#[$doc])*
        pub fn $name(&self, a: Value, b: Value) -> Value {
            self.binary(Binary::$op, a, b)
        }
    )* } };
    (compare $($(#[$doc:meta])* $name:ident $op:ident;)*) => { impl Builder { $(
        $(#[$doc])*
        pub fn $name(&self, a: Value, b: Value) -> Value {
            self.compare(Compare::$op, a, b)
        }
    )* } };
}

operations! { unary
    /// `-x`.
    neg Neg;
    /// `|x|`.
    abs Abs;
    /// `√x`.
    sqrt Sqrt;
    /// To the nearest integer, ties to even.
    round Round;
    /// Toward minus infinity.
    floor Floor;
    /// Toward plus infinity.
    ceil Ceil;
    /// Toward zero.
    trunc Trunc;
    /// Complement.
    not Not;
}

operations! { binary
    /// `a + b`.
    add Add;
    /// `a - b`.
    sub Sub;
    /// `a * b`.
    mul Mul;
    /// `a / b`.
    div Div;
    /// `a % b`, with the sign of `a`.
    rem Rem;
    /// The larger.
    max Max;
    /// The smaller.
    min Min;
    /// Conjunction.
    and And;
    /// Disjunction.
    or Or;
    /// Exclusive disjunction.
    xor Xor;
    /// `a << b`.
    shl Shl;
    /// `a >> b`, filled with the sign.
    sar Sar;
    /// `a >> b`, filled with zeros.
    shr Shr;
    /// `a · 2ᵇ`; see [`Binary::Scale`] for what `a` and `b` may be.
    scale Scale;
}

operations! { compare
    /// `a == b`.
    eq Eq;
    /// `a != b`.
    ne Ne;
    /// `a < b`.
    lt Lt;
    /// `a <= b`.
    le Le;
    /// `a > b`.
    gt Gt;
    /// `a >= b`.
    ge Ge;
}

/// Operations with attributes or more than two operands.
impl Builder {
    /// Any operation of one operand.
    pub fn unary(&self, op: Unary, x: Value) -> Value {
        self.push(Inst::Unary(op, x))
    }
    /// Any operation of two operands. `Min` and `Max` of masks are their conjunction and
    /// disjunction; division by a power of two is multiplication.
    pub fn binary(&self, op: Binary, a: Value, b: Value) -> Value {
        if op == Binary::Div
            && let Some(factor) = self.constant(b).and_then(exact_reciprocal)
        {
            return self.mul(a, self.konst(factor));
        }
        let op = match op {
            Binary::Min if self.ty(a) == Type::Mask => Binary::And,
            Binary::Max if self.ty(a) == Type::Mask => Binary::Or,
            op => op,
        };
        self.push(Inst::Binary(op, a, b))
    }
    /// A comparison; of masks, false is less than true.
    pub fn compare(&self, op: Compare, a: Value, b: Value) -> Value {
        if self.ty(a) != Type::Mask {
            return self.push(Inst::Compare(op, a, b));
        }
        match op {
            Compare::Eq => self.not(self.xor(a, b)),
            Compare::Ne => self.xor(a, b),
            Compare::Lt => self.and(self.not(a), b),
            Compare::Le => self.or(self.not(a), b),
            Compare::Gt => self.and(a, self.not(b)),
            Compare::Ge => self.or(a, self.not(b)),
        }
    }
    /// `a * b + c`, rounded once.
    pub fn fma(&self, a: Value, b: Value, c: Value) -> Value {
        self.push(Inst::Fma(a, b, c))
    }
    /// `mask ? a : b`.
    pub fn select(&self, mask: Value, a: Value, b: Value) -> Value {
        if self.ty(a) == Type::Mask {
            return self.or(self.and(mask, a), self.and(self.not(mask), b));
        }
        self.push(Inst::Select(mask, a, b))
    }
    /// The mask, which nearly always holds.
    pub fn likely(&self, mask: Value) -> Value {
        self.unary(Unary::Likely, mask)
    }
    /// Conversion by value.
    pub fn convert(&self, to: Type, x: Value) -> Value {
        self.push(Inst::Unary(Unary::Convert(to), x))
    }
    /// The same bits as a value of the type of the same width and the other kind.
    pub fn bitcast(&self, to: Type, x: Value) -> Value {
        if self.ty(x) == to {
            return x;
        }
        self.push(Inst::Unary(Unary::Bitcast(to), x))
    }
    /// What a value of memory type `dtype` would be after a store and a load: integers wrapped,
    /// floats rounded, to the narrow type. `x` is of the type that `dtype` is computed in.
    pub fn through(&self, dtype: DType, x: Value) -> Value {
        match dtype {
            DType::U8 | DType::I8 | DType::I16 => self.unary(Unary::Wrap(dtype), x),
            DType::F16 | DType::BF16 => self.unary(Unary::RoundTo(dtype), x),
            DType::Bool | DType::I32 | DType::I64 | DType::F32 | DType::F64 => x,
        }
    }
}

impl Type {
    /// `F32` or `F64`.
    pub const fn is_float(self) -> bool {
        matches!(self, Type::F32 | Type::F64)
    }
    /// `I32` or `I64`.
    pub const fn is_int(self) -> bool {
        matches!(self, Type::I32 | Type::I64)
    }
}

impl Inst {
    /// The values the instruction uses, in order.
    pub fn operands(&self) -> impl Iterator<Item = Value> + use<> {
        let operands = match *self {
            Inst::Const(_) | Inst::Param(_) | Inst::Load(_) | Inst::Index(_) => [None, None, None],
            Inst::Gather(_, x) | Inst::Store(_, x) | Inst::Unary(_, x) => [Some(x), None, None],
            Inst::CheckIndex { index, .. } => [Some(index), None, None],
            Inst::Binary(_, a, b) | Inst::Compare(_, a, b) => [Some(a), Some(b), None],
            Inst::Fma(a, b, c) | Inst::Select(a, b, c) => [Some(a), Some(b), Some(c)],
        };
        operands.into_iter().flatten()
    }

    /// The instruction with every operand replaced.
    pub fn map(&self, mut to: impl FnMut(Value) -> Value) -> Inst {
        match *self {
            Inst::Const(_) | Inst::Param(_) | Inst::Load(_) | Inst::Index(_) => self.clone(),
            Inst::Gather(slot, x) => Inst::Gather(slot, to(x)),
            Inst::Store(slot, x) => Inst::Store(slot, to(x)),
            Inst::CheckIndex { index, bound, site } => {
                Inst::CheckIndex { index: to(index), bound, site }
            }
            Inst::Unary(op, x) => Inst::Unary(op, to(x)),
            Inst::Binary(op, a, b) => Inst::Binary(op, to(a), to(b)),
            Inst::Fma(a, b, c) => Inst::Fma(to(a), to(b), to(c)),
            Inst::Compare(op, a, b) => Inst::Compare(op, to(a), to(b)),
            Inst::Select(a, b, c) => Inst::Select(to(a), to(b), to(c)),
        }
    }

    fn with_slot(self, to: impl Fn(Slot) -> Slot) -> Inst {
        match self {
            Inst::Load(s) => Inst::Load(to(s)),
            Inst::Gather(s, x) => Inst::Gather(to(s), x),
            Inst::Store(s, x) => Inst::Store(to(s), x),
            other => other,
        }
    }
}

/// Which instructions are needed for what a program stores, folds, yields and checks, and for some
/// more values.
pub(super) fn live(program: &Program, more: &[Value]) -> Vec<bool> {
    let mut live = vec![false; program.insts.len()];
    let roots = program.accumulators.iter().flat_map(|a| [Some(a.value), a.index]);
    for v in roots.flatten().chain(program.yields.iter().chain(more).copied()) {
        live[v.0 as usize] = true;
    }
    for (i, inst) in program.insts.iter().enumerate().rev() {
        live[i] |= matches!(inst, Inst::Store(..) | Inst::CheckIndex { .. });
        if live[i] {
            inst.operands().for_each(|v| live[v.0 as usize] = true);
        }
    }
    live
}

/// Removes instructions whose values are not used.
fn sweep(mut program: Program) -> Program {
    let live = live(&program, &[]);
    let mut names = vec![Value(0); live.len()];
    let mut insts = Vec::new();
    for (i, inst) in program.insts.iter().enumerate().filter(|&(i, _)| live[i]) {
        names[i] = Value(insts.len() as u32);
        insts.push(inst.map(|v| names[v.0 as usize]));
    }
    program.insts = insts;
    for acc in &mut program.accumulators {
        acc.value = names[acc.value.0 as usize];
        acc.index = acc.index.map(|v| names[v.0 as usize]);
    }
    program.yields.iter_mut().for_each(|v| *v = names[v.0 as usize]);
    program
}
