//! Linear algebra on the last two axes.

use super::{Args, Builtin, Run};
use crate::check::value::Value;
use crate::check::walk::{Eval, Walk};
use crate::diag::Span;
use crate::graph::ops::shape::broadcast;
use crate::graph::{Dim, NodeId, Op};
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
        "solve" ["a", "b"], "The `x` with `a x = b`; `b` has a column for each of them, or is one vector.", Solve;
        "solve_lower" ["a", "b"], "The `x` with `L x = b` for the lower triangle `L` of `a`; `b` as for `solve`.", SolveLower;
        "det" ["a"], "The determinant.", Det;
        "det_sign" ["a"], "The sign of the determinant.", DetSign;
        "log_abs_det" ["a"], "The logarithm of the magnitude of the determinant.", LogAbsDet;
    }
}

fn linear<'w>(w: &mut Walk<'w>, args: &Args<'w>, op: Linear) -> Eval<Value<'w>> {
    let mut operands = vec![w.tensor_arg(args, 0)?];
    let mut vector = false;
    if op.solves() {
        let left = w.node_ty(operands[0]).clone();
        let (right, at) = args.get(1);
        let mut right = w.to_tensor(right, Some(left.dtype), at)?;
        vector = w.node_ty(right).rank() == 1 && left.rank() >= 2;
        if vector {
            // One column, which serves every matrix.
            let size = w.node_ty(right).shape[0].clone();
            right = w.reshape(right, [size, Dim::Const(1)], at)?;
        }
        let (a, b) = in_one_batch(w, operands[0], right, args.span)?;
        operands = vec![a, b];
    }
    let types: Vec<_> = operands.iter().map(|&n| w.node_ty(n).clone()).collect();
    if let Err(e) = Op::Linear(op).infer(&types.iter().collect::<Vec<_>>()) {
        return Err(w.operation_refused(&e, &operands, args.span));
    }
    let mut node = w.add(Op::Linear(op), &operands, args.span)?;
    if vector {
        let mut shape = w.node_ty(node).shape.clone();
        shape.pop();
        node = w.reshape(node, shape, args.span)?;
    }
    Ok(w.tensor(node))
}

/// Matrices whose axes before the last two are stretched to those of each other, by the rule of
/// broadcasting; as they are where that does not fit.
fn in_one_batch(w: &mut Walk<'_>, a: NodeId, b: NodeId, span: Span) -> Eval<(NodeId, NodeId)> {
    let (left, right) = (w.node_ty(a).shape.clone(), w.node_ty(b).shape.clone());
    let (Some(n), Some(m)) = (left.len().checked_sub(2), right.len().checked_sub(2)) else {
        return Ok((a, b));
    };
    let Ok(batch) = broadcast(&left[..n], &right[..m]) else { return Ok((a, b)) };
    let whole = |matrix: &[Dim]| -> Vec<Dim> { batch.iter().chain(matrix).cloned().collect() };
    let (left, right) = (whole(&left[n..]), whole(&right[m..]));
    Ok((w.stretch(a, &left, span)?, w.stretch(b, &right, span)?))
}
