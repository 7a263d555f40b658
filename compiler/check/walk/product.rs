//! Products: `@` by NumPy's rule, and `einsum`.

use super::arith::Operand;
use super::{Eval, Walk};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::ops::Contraction;
use crate::graph::{Dim, NodeId, Op, TensorType};
use smallvec::SmallVec;

impl<'w> Walk<'w> {
    /// `a @ b`: the last axis of `a` with the last but one of `b` (the only one of a vector), batch
    /// axes broadcast.
    pub(crate) fn matmul(
        &mut self,
        left: &Operand<'w>,
        right: &Operand<'w>,
        span: Span,
    ) -> Eval<crate::check::value::Value<'w>> {
        let want = self.strong_dtype(&left.0).or_else(|| self.strong_dtype(&right.0));
        let a = self.to_tensor(&left.0, want, left.1)?;
        let b = self.to_tensor(&right.0, want, right.1)?;
        let (ta, tb) = (self.node_ty(a).clone(), self.node_ty(b).clone());
        let here = format!(
            "{}, {}",
            self.describe(left.1, &self.tensor_ty(a)),
            self.describe(right.1, &self.tensor_ty(b))
        );
        for (ty, (_, at)) in [(&ta, left), (&tb, right)] {
            if ty.rank() == 0 {
                let message = "`@` needs tensors with axes, found a scalar";
                let diagnostic = Diagnostic::error(codes::SHAPE_MISMATCH, *at, message);
                let diagnostic = diagnostic.here(here);
                return Err(self.report(diagnostic.help("scale by a number with `*`")));
            }
        }
        if ta.dtype != tb.dtype {
            let message = format!(
                "`@` needs operands of one element type, found {} and {}",
                ta.dtype, tb.dtype
            );
            return Err(
                self.report(Diagnostic::error(codes::DTYPE_MISMATCH, span, message).here(here))
            );
        }
        let wider = format!("i64({}) @ i64({})", self.text(left.1), self.text(right.1));
        self.warn_of_wrapping("@", ta.dtype, span, &wider);
        let (inner_a, inner_b) = (ta.rank() - 1, tb.rank().saturating_sub(2));
        let (m, k) = (&ta.shape[inner_a], &tb.shape[inner_b]);
        if m != k {
            let message = format!("`@` needs equal inner dimensions, found {m} and {k}");
            let diagnostic = Diagnostic::error(codes::INNER_SIZES, span, message).here(here);
            let mut diagnostic = self.with_sizes(diagnostic, (a, inner_a), (b, inner_b));
            let (left, right) = (self.text(left.1), self.text(right.1));
            if ta.rank() == 2 && ta.shape[0] == *k {
                diagnostic = diagnostic.help(format!("or write transpose({left}) @ {right}"));
            } else if tb.rank() == 2 && tb.shape[1] == *m {
                diagnostic = diagnostic.help(format!("or write {left} @ transpose({right})"));
            }
            return Err(self.report(diagnostic));
        }
        let node = match (ta.rank(), tb.rank()) {
            (_, 1 | 2) => {
                let c = Contraction {
                    left_sum: SmallVec::from_slice(&[inner_a as u8]),
                    right_sum: SmallVec::from_slice(&[inner_b as u8]),
                    ..Contraction::default()
                };
                self.add(Op::Contract(c), &[a, b], span)?
            }
            (1, _) => {
                // The batch axes of `b`, then its last: what the contraction gives anyway.
                let c = Contraction {
                    left_sum: SmallVec::from_slice(&[0]),
                    right_sum: SmallVec::from_slice(&[inner_b as u8]),
                    ..Contraction::default()
                };
                self.add(Op::Contract(c), &[a, b], span)?
            }
            _ => self.batched(a, b, (left.1, right.1), span)?,
        };
        Ok(self.tensor(node))
    }

    /// Both operands have at least two axes and one has more. Batch axes that one of them lacks or
    /// has as a literal 1 are not repeated: they become free axes of the other, put in their place
    /// after.
    fn batched(&mut self, a: NodeId, b: NodeId, spans: (Span, Span), span: Span) -> Eval<NodeId> {
        let (ta, tb) = (self.node_ty(a).clone(), self.node_ty(b).clone());
        let batches = ta.rank().max(tb.rank()) - 2;
        let own = |ty: &TensorType, i: usize| (i + ty.rank()).checked_sub(batches + 2);
        let mut letters_a: Vec<usize> = Vec::new();
        let mut letters_b: Vec<usize> = Vec::new();
        let mut keep_a: Vec<Dim> = Vec::new();
        let mut keep_b: Vec<Dim> = Vec::new();
        let mut ones = Vec::new();
        for i in 0..batches {
            let (x, y) = (own(&ta, i), own(&tb, i));
            let size = |ty: &TensorType, at: Option<usize>| at.map(|axis| ty.shape[axis].clone());
            let (sx, sy) = (size(&ta, x), size(&tb, y));
            let stretched = |s: &Option<Dim>| s.as_ref().is_none_or(|d| d.is(1));
            match (stretched(&sx), stretched(&sy)) {
                (true, true) => ones.push(i),
                (false, true) => {
                    letters_a.push(i);
                    keep_a.extend(sx);
                }
                (true, false) => {
                    letters_b.push(i);
                    keep_b.extend(sy);
                }
                (false, false) if sx == sy => {
                    letters_a.push(i);
                    letters_b.push(i);
                    keep_a.extend(sx);
                    keep_b.extend(sy);
                }
                (false, false) => {
                    let left = (a, x.expect("it has a size"), spans.0);
                    let right = (b, y.expect("it has a size"), spans.1);
                    return Err(self.no_broadcast("`@`", left, right, span));
                }
            }
        }
        // Letters: batch axes by position, then rows, columns and the inner axis.
        let (row, column, inner) = (batches, batches + 1, batches + 2);
        keep_a.extend(ta.shape[ta.rank() - 2..].iter().cloned());
        keep_b.extend(tb.shape[tb.rank() - 2..].iter().cloned());
        letters_a.extend([row, inner]);
        letters_b.extend([inner, column]);
        let a = self.reshape(a, keep_a, span)?;
        let b = self.reshape(b, keep_b, span)?;
        let out: Vec<usize> =
            (0..batches).filter(|i| !ones.contains(i)).chain([row, column]).collect();
        let node = self.contract(a, &letters_a, b, &letters_b, &out, span)?;
        let mut shape: Vec<Dim> = self.node_ty(node).shape.to_vec();
        for &one in &ones {
            shape.insert(one, Dim::Const(1));
        }
        self.reshape(node, shape, span)
    }

    /// The product whose axes bear letters: a letter of both operands that is not in `out` is
    /// summed over. Every letter is in `out` or in both operands, and none twice in one operand.
    pub(crate) fn contract(
        &mut self,
        a: NodeId,
        letters_a: &[usize],
        b: NodeId,
        letters_b: &[usize],
        out: &[usize],
        span: Span,
    ) -> Eval<NodeId> {
        let mut c = Contraction::default();
        let mut batch = Vec::new();
        let mut left_free = Vec::new();
        for (axis, letter) in letters_a.iter().enumerate() {
            match letters_b.iter().position(|l| l == letter) {
                Some(other) if out.contains(letter) => {
                    c.left_batch.push(axis as u8);
                    c.right_batch.push(other as u8);
                    batch.push(*letter);
                }
                Some(other) => {
                    c.left_sum.push(axis as u8);
                    c.right_sum.push(other as u8);
                }
                None => left_free.push(*letter),
            }
        }
        let right_free = letters_b.iter().filter(|l| !letters_a.contains(l));
        let natural: Vec<usize> =
            batch.into_iter().chain(left_free).chain(right_free.copied()).collect();
        let node = self.add(Op::Contract(c), &[a, b], span)?;
        let perm: SmallVec<[u8; 4]> = out
            .iter()
            .map(|l| natural.iter().position(|n| n == l).expect("every letter is there") as u8)
            .collect();
        self.transpose(node, &perm, span)
    }

    /// Result axis `i` is axis `perm[i]`.
    pub(crate) fn transpose(&mut self, node: NodeId, perm: &[u8], span: Span) -> Eval<NodeId> {
        if perm.iter().enumerate().all(|(i, &p)| usize::from(p) == i) {
            return Ok(node);
        }
        self.add(Op::Transpose(SmallVec::from_slice(perm)), &[node], span)
    }
}
