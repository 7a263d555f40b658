//! Programs against meanings, on the reference executor.

use super::*;
use crate::vector::lane::Lane;
use crate::vector::reference::{self, Environment};
use crate::vector::verify;
use crate::vector::{Binary, Builder as ProgramBuilder, Inst, Param, Program, Slot, Type, Unary};

/// Operands as parameters.
struct Operands<'a>(&'a [Scalar]);

impl Environment for Operands<'_> {
    fn load(&mut self, slot: Slot) -> Scalar {
        unreachable!("{slot:?}: an elementwise program has no slots")
    }
    fn gather(&mut self, slot: Slot, _: i64) -> Scalar {
        unreachable!("{slot:?}: an elementwise program has no slots")
    }
    fn store(&mut self, slot: Slot, _: Scalar) {
        unreachable!("{slot:?}: an elementwise program has no slots")
    }
    fn param(&mut self, param: Param) -> Lane {
        Lane::widen(self.0[param.0 as usize])
    }
    fn index(&mut self, axis: u32) -> i64 {
        unreachable!("axis {axis}: an elementwise program has no loop")
    }
    fn fault(&mut self, _: u32, _: i64, _: u64) {
        unreachable!("an elementwise program checks no index")
    }
}

fn program(row: &MapRow, operands: &[DType], result: DType) -> Program {
    let b = ProgramBuilder::new();
    let values: Vec<vector::Value> = operands.iter().map(|&d| b.param(Type::of(d))).collect();
    b.yields(b.through(result, (row.lower)(&b, &values)));
    let program = b.finish();
    verify(&program).unwrap_or_else(|e| panic!("{}: {e}\n{program}", row.name));
    program
}

/// The types of the operands where the common one is `dtype`.
fn operand_types(row: &MapRow, dtype: DType) -> Vec<DType> {
    let mask = row.takes == Takes::MaskThenAny;
    (0..row.arity).map(|i| if mask && i == 0 { DType::Bool } else { dtype }).collect()
}

/// Values of operand `i`: of the sample's interval, and every special one.
fn values(row: &MapRow, i: usize, dtype: DType) -> Vec<Scalar> {
    let draws = match dtype.is_float() {
        true => Draws::Between(row.sample[i].0, row.sample[i].1),
        false => Draws::Between(-100.0, 100.0),
    };
    let drawn = draws.tensor(dtype, [16].into(), 7 + i as u64);
    let mut values: Vec<Scalar> =
        drawn.to_f64_vec().iter().map(|&x| Scalar::from_f64(dtype, x)).collect();
    if dtype.is_float() {
        let (huge, tiny) = if dtype == DType::F64 { (1e300, 1e-310) } else { (1e38, 1e-40) };
        for x in [0.0, 0.5, 1.0, 1.5, 2.5, 30.0, 1e4, huge, tiny, f64::INFINITY, f64::NAN] {
            values.extend([x, -x].map(|x| Scalar::from_f64(dtype, x)));
        }
    } else {
        for x in [0, 1, -1, 2, 31, 32, 63, 64, 127, -128, 1 << 31, i64::MAX, i64::MIN] {
            values.push(Scalar::from_i64(dtype, x));
        }
    }
    values
}

/// Numbers of the type between two.
fn distance(a: Scalar, b: Scalar) -> u64 {
    let ordered = |s: Scalar| {
        let sign = 1i64 << (8 * s.dtype().size() - 1);
        let (bits, magnitude) = (s.bits() as i64, s.bits() as i64 & sign.wrapping_sub(1));
        if bits & sign != 0 { -magnitude } else { magnitude }
    };
    ordered(a).abs_diff(ordered(b))
}

/// What a program may be off by, in units in the last place: its own error and, of `f64`, that of
/// the meaning.
fn tolerance(op: MapOp) -> u64 {
    match op {
        MapOp::Rem => 0,
        MapOp::Pow | MapOp::Erf | MapOp::Asinh | MapOp::Acosh | MapOp::Atanh => 4,
        op if op.row().cost > 6 => 2,
        _ => 0,
    }
}

#[test]
fn programs_compute_what_rows_mean() {
    let mut worst: Vec<String> = Vec::new();
    for op in MapOp::ALL {
        let row = op.row();
        for dtype in DType::ALL.into_iter().filter(|&d| row.takes.accepts(d)) {
            let types = operand_types(row, dtype);
            let result = row.result(&types).expect("accepted");
            let program = program(row, &types, result);
            let columns: Vec<Vec<Scalar>> =
                types.iter().enumerate().map(|(i, &d)| values(row, i, d)).collect();
            let mut cases: Vec<Vec<Scalar>> = vec![Vec::new()];
            for column in &columns {
                let extend = |case: &Vec<Scalar>| -> Vec<Vec<Scalar>> {
                    column.iter().map(|&x| [case.as_slice(), &[x]].concat()).collect()
                };
                cases = cases.iter().flat_map(extend).collect();
            }
            for case in cases {
                let lane = reference::run(&program, &mut Operands(&case), &mut [])[0];
                let (found, meant) = (lane.narrow(result), row.scalar(&case));
                let nan = |s: Scalar| s.dtype().is_float() && s.to_f64().is_nan();
                let same = found == meant || (nan(found) && nan(meant));
                if !same
                    && (!result.is_float()
                        || nan(found) != nan(meant)
                        || distance(found, meant) > tolerance(op))
                {
                    worst.push(format!("{} {dtype} {case:?}: {found}, not {meant}", row.name));
                }
            }
        }
    }
    assert!(
        worst.is_empty(),
        "{} differ:\n{}",
        worst.len(),
        worst[..worst.len().min(60)].join("\n")
    );
}

/// The cost of a row is about the number of instructions of its program, where a quotient or a root
/// counts for five.
#[test]
fn costs_are_honest() {
    let mut wrong = Vec::new();
    for op in MapOp::ALL {
        let row = op.row();
        let dtype = if row.takes.accepts(DType::F32) { DType::F32 } else { DType::I32 };
        let types = operand_types(row, dtype);
        let program = program(row, &types, row.result(&types).expect("accepted"));
        let weight = |inst: &Inst| match inst {
            Inst::Const(_) | Inst::Param(_) => 0,
            Inst::Binary(Binary::Div, ..) | Inst::Unary(Unary::Sqrt, _) => 5,
            _ => 1,
        };
        let count: u32 = program.insts.iter().map(weight).sum();
        if row.cost.abs_diff(count) > 1 + count / 4 {
            wrong.push(format!("{}: cost {}, program {count}", row.name, row.cost));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
