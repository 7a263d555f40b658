//! The reference executor: one lane at a time, instruction by instruction.
//!
//! It is what emitters are compared with, and what the reference executor of kernels runs. It is
//! written to be read; `lane` says what each operation means.
//!
//! Neighbours: the caller owns memory and the loop, and shows them as an [`Environment`].

use super::lane::{self, Lane};
use super::{Binary, Combine, Inst, Param, Program, Slot, Type, Value};
use smallvec::SmallVec;
use tensc_runtime::Scalar;

/// What a program sees of the loop around it, at one iteration.
pub trait Environment {
    /// The element of the slot, of the slot's element type.
    fn load(&mut self, slot: Slot) -> Scalar;
    /// The element `index` gather strides from this iteration's address.
    fn gather(&mut self, slot: Slot, index: i64) -> Scalar;
    /// Takes the element for the slot, of the slot's element type.
    fn store(&mut self, slot: Slot, element: Scalar);
    /// The value of a parameter, of its declared type.
    fn param(&mut self, param: Param) -> Lane;
    /// The position along an axis of the loop nest.
    fn index(&mut self, axis: u32) -> i64;
    /// An index was outside `-bound..bound`: the results are void.
    fn fault(&mut self, site: u32, index: i64, bound: u64);
}

/// Runs a verified program for one lane of one iteration: folds into `accumulators` (made by
/// [`accumulators`]) and gives the yields.
pub fn run(
    program: &Program,
    environment: &mut impl Environment,
    accumulators: &mut [Accumulate],
) -> SmallVec<[Lane; 2]> {
    let mut lanes: Vec<Lane> = Vec::with_capacity(program.insts.len());
    for inst in &program.insts {
        let of = |v: Value| lanes[v.0 as usize];
        let lane = match *inst {
            Inst::Const(scalar) => Lane::widen(scalar),
            Inst::Param(p) => environment.param(p),
            Inst::Load(slot) => Lane::widen(environment.load(slot)),
            Inst::Gather(slot, index) => Lane::widen(environment.gather(slot, integer(of(index)))),
            Inst::Store(slot, value) => {
                let dtype = program.slots[slot.0 as usize].dtype;
                environment.store(slot, of(value).narrow(dtype));
                // Keeps the numbering; `verify` sees to it that nothing uses it.
                Lane::Mask(false)
            }
            Inst::Index(axis) => Lane::I64(environment.index(axis)),
            Inst::CheckIndex { index, bound, site } => {
                let index = integer(of(index));
                Lane::I64(check_index(index, bound).unwrap_or_else(|| {
                    environment.fault(site, index, bound);
                    0
                }))
            }
            Inst::Unary(op, x) => lane::unary(op, of(x)),
            Inst::Binary(op, a, b) => lane::binary(op, of(a), of(b)),
            Inst::Fma(a, b, c) => lane::fma(of(a), of(b), of(c)),
            Inst::Compare(op, a, b) => lane::compare(op, of(a), of(b)),
            Inst::Select(mask, a, b) => lane::select(of(mask), of(a), of(b)),
        };
        lanes.push(lane);
    }
    for (acc, decl) in accumulators.iter_mut().zip(&program.accumulators) {
        let index = decl.index.map(|v| integer(lanes[v.0 as usize]));
        acc.update(lanes[decl.value.0 as usize], index);
    }
    program.yields.iter().map(|v| lanes[v.0 as usize]).collect()
}

/// The accumulators of a verified program before the first iteration.
pub fn accumulators(program: &Program) -> Vec<Accumulate> {
    let types = super::verify::types(program).expect("the program was verified");
    let start = |acc: &super::Accumulator| {
        let ty = types[acc.value.0 as usize].expect("an accumulator folds a value");
        Accumulate::new(acc.combine, ty)
    };
    program.accumulators.iter().map(start).collect()
}

/// `index` brought into `0..bound`, counting from the end if negative.
pub fn check_index(index: i64, bound: u64) -> Option<i64> {
    let bound = i64::try_from(bound).expect("the program was verified");
    let from_start = if index < 0 { index.checked_add(bound)? } else { index };
    (0..bound).contains(&from_start).then_some(from_start)
}

fn integer(lane: Lane) -> i64 {
    match lane {
        Lane::I64(x) => x,
        other => panic!("{other:?} is no index: the program was not verified"),
    }
}

/// The state of one accumulator: the meaning of [`Combine`].
///
/// `merge` makes the states of several lanes or chunks one. It is associative and commutative
/// but for the rounding of float sums and products, whose order is the schedule's business.
#[derive(Clone, Copy, Debug)]
pub struct Accumulate {
    combine: Combine,
    value: Lane,
    /// Where `value` stood; `i64::MAX` before the first. Only `ArgMax` and `ArgMin` look at it.
    index: i64,
}

impl Accumulate {
    /// The state before the first value of type `ty`.
    pub fn new(combine: Combine, ty: Type) -> Accumulate {
        Accumulate { combine, value: identity(combine, ty), index: i64::MAX }
    }

    /// Takes in a value, and the index that goes with it for `ArgMax` and `ArgMin`.
    pub fn update(&mut self, value: Lane, index: Option<i64>) {
        let index = index.unwrap_or(i64::MAX);
        self.merge(&Accumulate { combine: self.combine, value, index });
    }

    /// Takes in all that another state of the same accumulator took in.
    pub fn merge(&mut self, other: &Accumulate) {
        let op = match self.combine {
            Combine::Add => Binary::Add,
            Combine::Mul => Binary::Mul,
            Combine::Max => Binary::Max,
            Combine::Min => Binary::Min,
            Combine::And => Binary::And,
            Combine::Or => Binary::Or,
            Combine::ArgMax | Combine::ArgMin => {
                if other.wins(self) {
                    *self = *other;
                }
                return;
            }
        };
        self.value = match op {
            Binary::Max | Binary::Min => lane::extreme(op, self.value, other.value),
            _ => lane::binary(op, self.value, other.value),
        };
    }

    /// The folded value; the index for `ArgMax` and `ArgMin`.
    pub fn result(&self) -> Lane {
        match self.combine {
            Combine::ArgMax | Combine::ArgMin => Lane::I64(self.index),
            _ => self.value,
        }
    }

    /// Whether this extreme value comes before the other: NaN first, then the value, then the
    /// smaller index.
    fn wins(&self, other: &Accumulate) -> bool {
        use super::Compare;
        let holds = |op, a, b| matches!(lane::compare(op, a, b), Lane::Mask(true));
        let nan = |a: &Accumulate| holds(Compare::Ne, a.value, a.value);
        let beats = if self.combine == Combine::ArgMax { Compare::Gt } else { Compare::Lt };
        match (nan(self), nan(other)) {
            (true, false) => true,
            (false, true) => false,
            (false, false) if holds(beats, self.value, other.value) => true,
            (false, false) if holds(beats, other.value, self.value) => false,
            _ => self.index < other.index,
        }
    }
}

/// The value that changes no other when combined with it.
pub fn identity(combine: Combine, ty: Type) -> Lane {
    let extreme = |float: f64, int: (i32, i64)| match ty {
        Type::I32 => Lane::I32(int.0),
        Type::I64 => Lane::I64(int.1),
        Type::F32 => Lane::F32(float as f32),
        Type::F64 => Lane::F64(float),
        Type::Mask => panic!("{combine:?} of masks: the program was not verified"),
    };
    match combine {
        Combine::Add => Lane::widen(Scalar::from_i64(ty.dtype(), 0)),
        Combine::Mul => Lane::widen(Scalar::from_i64(ty.dtype(), 1)),
        Combine::Max | Combine::ArgMax => extreme(f64::NEG_INFINITY, (i32::MIN, i64::MIN)),
        Combine::Min | Combine::ArgMin => extreme(f64::INFINITY, (i32::MAX, i64::MAX)),
        Combine::And => Lane::Mask(true),
        Combine::Or => Lane::Mask(false),
    }
}
