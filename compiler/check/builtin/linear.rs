//! Linear algebra on the last two axes.

use super::{Args, Builtin, Run};
use crate::check::value::Value;
use crate::check::walk::{Eval, Walk};
use crate::diag::{Diagnostic, codes};
use crate::graph::Op;
use tensc_runtime::linear::Linear;

pub(super) fn rows() -> Vec<Builtin> {
    macro_rules! rows {
        ($($name:literal $params:expr, $doc:literal, $op:ident;)*) => {
            vec![$(Builtin {
                name: $name,
                params: &$params,
                doc: $doc,
                run: Run::Values(|w, args| linear(w, args, Linear::$op)),
            }),*]
        };
    }
    rows! {
        "cholesky" ["a"], "The lower triangular `L` with `L Lᵀ = a`, for symmetric positive definite `a`.", Cholesky;
        "solve" ["a", "b"], "The `x` with `a x = b`; `b` has a column for each of them.", Solve;
        "solve_lower" ["a", "b"], "The `x` with `L x = b` for the lower triangle `L` of `a`.", SolveLower;
        "det" ["a"], "The determinant.", Det;
        "det_sign" ["a"], "The sign of the determinant.", DetSign;
        "log_abs_det" ["a"], "The logarithm of the magnitude of the determinant.", LogAbsDet;
    }
}

fn linear<'w>(w: &mut Walk<'w>, args: &Args<'w>, op: Linear) -> Eval<Value<'w>> {
    let mut operands = vec![w.tensor_arg(args, 0)?];
    if op.solves() {
        let dtype = w.node_ty(operands[0]).dtype;
        let (right, at) = args.get(1);
        operands.push(w.to_tensor(right, Some(dtype), at)?);
    }
    let types: Vec<_> = operands.iter().map(|&n| w.node_ty(n).clone()).collect();
    if let Err(e) = Op::Linear(op).infer(&types.iter().collect::<Vec<_>>()) {
        let mut diagnostic = Diagnostic::error(codes::SHAPE_MISMATCH, args.span, e.message);
        for (operand, axis) in e.axes {
            diagnostic = w.with_size(diagnostic, operands[operand], axis);
        }
        return Err(w.report(diagnostic));
    }
    let node = w.add(Op::Linear(op), &operands, args.span)?;
    Ok(w.tensor(node))
}
