//! The usual form of a program: what it does where all masks hold that are likely to.
//!
//! A few instructions may serve values that hardly ever come, such as large arguments of a sine,
//! and be most of the program. [`Unary::Likely`] marks the masks that tell. An executor may run the
//! usual form of a few lanes, ask whether it was right to, and begin anew with the whole program if
//! not, as long as nothing was stored.
//!
//! Invariant: where all conditions hold, both forms give the same bits.

use super::builder::live;
use super::{Inst, Program, Unary, Value};
use tensc_runtime::Scalar;

/// The usual form of a program.
pub struct Usual {
    /// The program, with the same numbers of instructions; what it does not need are constants.
    pub program: Program,
    /// The masks that have to hold in every lane, at least one.
    pub conditions: Vec<Value>,
}

impl Usual {
    /// The usual form of a program, if it has one: not where indices are checked, and not where
    /// selections by likely masks are `known` without it.
    pub fn of(program: &Program, known: impl Fn(Value) -> bool) -> Option<Usual> {
        if !program.insts.iter().any(|inst| matches!(inst, Inst::Unary(Unary::Likely, _))) {
            return None;
        }
        let mut usual = program.clone();
        let mut names: Vec<Value> = (0..program.insts.len() as u32).map(Value).collect();
        let mut conditions = Vec::new();
        for (i, inst) in program.insts.iter().enumerate() {
            let inst = inst.map(|v| names[v.0 as usize]);
            match inst {
                Inst::CheckIndex { .. } => return None,
                Inst::Select(mask, usually, _) if !known(Value(i as u32)) => {
                    if let Inst::Unary(Unary::Likely, condition) = usual.insts[mask.0 as usize] {
                        names[i] = usually;
                        conditions.push(condition);
                    }
                }
                _ => {}
            }
            usual.insts[i] = inst;
        }
        conditions.sort_unstable();
        conditions.dedup();
        if conditions.is_empty() {
            return None;
        }
        let name = |v: &mut Value| *v = names[v.0 as usize];
        usual.yields.iter_mut().for_each(name);
        for acc in &mut usual.accumulators {
            name(&mut acc.value);
            acc.index.iter_mut().for_each(name);
        }
        let needed = live(&usual, &conditions);
        let unused = usual.insts.iter_mut().zip(needed).filter(|(_, needed)| !needed);
        unused.for_each(|(inst, _)| *inst = Inst::Const(Scalar::new(false)));
        Some(Usual { program: usual, conditions })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::{Builder, Stride, math};
    use tensc_runtime::DType;

    fn function(of: fn(&Builder, Value) -> Value) -> Program {
        let b = Builder::new();
        let [from, to] = [(); 2].map(|()| b.slot(DType::F32, Stride::Unit));
        b.store(to, of(&b, b.load(from)));
        b.finish()
    }

    #[test]
    fn a_sine_usually_leaves_out_what_large_arguments_need() {
        let (whole, within) = (function(math::sin), function(math::sin_within));
        let usual = Usual::of(&whole, |_| false).expect("a mask is likely");
        assert_eq!(usual.conditions.len(), 1);
        let made = |program: &Program| {
            program.insts.iter().filter(|inst| !matches!(inst, Inst::Const(_))).count()
        };
        // The condition is one more.
        assert_eq!(made(&usual.program), made(&within) + 1);
        crate::vector::verify(&usual.program).expect("it is a program");
    }

    #[test]
    fn what_has_no_likely_mask_has_no_usual_form() {
        assert!(Usual::of(&function(math::exp), |_| false).is_none());
        assert!(Usual::of(&function(math::sin), |_| true).is_none());
    }
}
