//! Products written with named axes: `einsum("b i d, b j d -> b i j", q, k)`.
//!
//! The pattern is read by `pattern`. An operand that names an axis twice is read along its
//! diagonal; an axis of size 1 that is longer elsewhere is dropped; then the product is taken from
//! left to right.

use super::pattern::{Axes, Pattern};
use super::{Builtin, Form, Run, pattern};
use crate::check::value::{Static, Value};
use crate::check::walk::{Eval, Walk};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::fused::ReduceOp;
use crate::graph::{Dim, NodeId, Op};
use smallvec::SmallVec;

pub(super) fn rows() -> Vec<Builtin> {
    vec![
        Builtin {
            name: "einsum",
            params: &["pattern", "operands"],
            doc: "The sum of products over axes that the result does not name.",
            run: Run::Form(einsum),
        },
        Builtin {
            name: "matmul",
            params: &["a", "b"],
            doc: "The matrix product `a @ b`.",
            run: Run::Values(|w, args| {
                let operand = |i: usize| (args.get(i).0.clone(), args.get(i).1);
                w.matmul(&operand(0), &operand(1), args.span)
            }),
        },
    ]
}

/// An operand on the way: a node and the numbers of its axes' names.
struct Factor {
    node: NodeId,
    axes: Vec<usize>,
}

fn einsum<'w>(w: &mut Walk<'w>, form: &Form<'w>) -> Eval<Value<'w>> {
    let mut values = Vec::with_capacity(form.args.len());
    for arg in form.args {
        let value = w.expr(&arg.value, None);
        if value.is_error() {
            return Err(w.reported());
        }
        values.push((value, arg.value.span));
    }
    let Some(((Value::Static(Static::Str(text, at)), _), operands)) = values.split_first() else {
        let message = "`einsum` starts with its pattern: einsum(\"i k, k j -> i j\", a, b)";
        return Err(w.error(codes::BAD_ARGUMENTS, form.callee, message));
    };
    let want = operands.iter().find_map(|(v, _)| w.strong_dtype(v));
    let mut nodes = Vec::with_capacity(operands.len());
    for (value, span) in operands {
        nodes.push((w.to_tensor(value, want, *span)?, *span));
    }
    let ranks: Vec<usize> = nodes.iter().map(|(n, _)| w.node_ty(*n).rank()).collect();
    let Pattern { inputs, output } = pattern::of_product(w, text, *at, &ranks)?;
    for ((node, span), axes) in nodes.iter().zip(&inputs) {
        let ty = w.node_ty(*node).clone();
        if ty.rank() != axes.len() {
            let (a, b) = (axes.len(), ty.rank());
            let place = axes.first().map_or(*at, |(_, s)| s.to(axes[axes.len() - 1].1));
            let axes = if a == 1 { "axis" } else { "axes" };
            let message = format!("the pattern names {a} {axes}, the operand is {ty} with {b}");
            let diagnostic = Diagnostic::error(codes::BAD_PATTERN, place, message);
            return Err(w.report(diagnostic.label(*span, format!("this is {ty}"))));
        }
    }
    let names = named_sizes(w, &nodes, &inputs)?;
    let mut factors = Vec::new();
    for ((node, _), axes) in nodes.iter().zip(&inputs) {
        factors.push(factor(w, *node, axes, &names, form.span)?);
    }
    let mut result: Vec<usize> = Vec::new();
    for (name, place) in &output {
        match names.iter().position(|n| n.name == *name) {
            Some(number) if !result.contains(&number) => result.push(number),
            Some(_) => {
                let message = format!("the axis `{name}` occurs twice in the result");
                return Err(w.error(codes::BAD_PATTERN, *place, message));
            }
            None => {
                let message = format!("no operand has an axis `{name}`");
                return Err(w.error(codes::BAD_PATTERN, *place, message));
            }
        }
    }
    let node = product(w, factors, &result, form.span)?;
    Ok(w.tensor(node))
}

/// A name of the pattern, and the operand, axis and place that its size comes from.
struct Named {
    name: String,
    size: Dim,
    from: (NodeId, usize, Span),
}

/// The size of each name: a 1 gives way to any other, two others must be equal.
fn named_sizes(w: &mut Walk<'_>, nodes: &[(NodeId, Span)], inputs: &[Axes]) -> Eval<Vec<Named>> {
    let mut names: Vec<Named> = Vec::new();
    for ((node, _), axes) in nodes.iter().zip(inputs) {
        for (axis, (name, place)) in axes.iter().enumerate() {
            let size = w.node_ty(*node).shape[axis].clone();
            let here = Named { name: name.clone(), size, from: (*node, axis, *place) };
            match names.iter_mut().find(|n| n.name == *name) {
                None => names.push(here),
                Some(known) if known.size.is(1) => *known = here,
                Some(known) if known.size == here.size || here.size.is(1) => {}
                Some(known) => {
                    let (a, b) = (&known.size, &here.size);
                    let (other, other_axis, there) = known.from;
                    let message = format!("the axis `{name}` is {a} and {b}");
                    let diagnostic = Diagnostic::error(codes::INNER_SIZES, *place, message)
                        .here(format!("{b} here"))
                        .label(there, format!("{a} here"));
                    let diagnostic = w.with_sizes(diagnostic, (other, other_axis), (*node, axis));
                    return Err(w.report(diagnostic));
                }
            }
        }
    }
    Ok(names)
}

/// An operand with each name once: along its diagonals, and without what is repeated elsewhere.
fn factor(
    w: &mut Walk<'_>,
    node: NodeId,
    axes: &Axes,
    names: &[Named],
    span: Span,
) -> Eval<Factor> {
    let number = |name: &str| names.iter().position(|n| n.name == name).expect("it was numbered");
    let shape = w.node_ty(node).shape.clone();
    let stays = |axis: &usize| {
        let named = &names[number(&axes[*axis].0)];
        !shape[*axis].is(1) || named.size.is(1)
    };
    let kept: Vec<usize> = (0..axes.len()).filter(stays).collect();
    let mut node = w.reshape(node, kept.iter().map(|&a| shape[a].clone()), span)?;
    let mut left: Vec<usize> = kept.iter().map(|&a| number(&axes[a].0)).collect();
    while let Some((a, b)) = repeated(&left) {
        node = w.add(Op::Diagonal(a as u8, b as u8), &[node], span)?;
        left.remove(b);
    }
    Ok(Factor { node, axes: left })
}

/// The first two axes of one name.
fn repeated(axes: &[usize]) -> Option<(usize, usize)> {
    (0..axes.len()).find_map(|b| axes[..b].iter().position(|a| *a == axes[b]).map(|a| (a, b)))
}

/// The product of all factors with the axes of `result`: from left to right, what nobody needs any
/// more is summed over as soon as possible.
fn product(w: &mut Walk<'_>, factors: Vec<Factor>, result: &[usize], span: Span) -> Eval<NodeId> {
    let mut rest = factors.into_iter();
    let mut done = rest.next().expect("there is an operand");
    let mut rest: Vec<Factor> = rest.collect();
    let needed = |rest: &[Factor], axis: usize| {
        result.contains(&axis) || rest.iter().any(|f| f.axes.contains(&axis))
    };
    while !rest.is_empty() {
        done = summed(w, done, &|axis| needed(&rest, axis), span)?;
        let next = rest.remove(0);
        let next = summed(w, next, &|axis| needed(&rest, axis) || done.axes.contains(&axis), span)?;
        let all = done.axes.iter().chain(next.axes.iter().filter(|a| !done.axes.contains(a)));
        let out: Vec<usize> = all.copied().filter(|&axis| needed(&rest, axis)).collect();
        let node = w.contract(done.node, &done.axes, next.node, &next.axes, &out, span)?;
        done = Factor { node, axes: out };
    }
    let done = summed(w, done, &|axis| result.contains(&axis), span)?;
    let at = |axis: &usize| done.axes.iter().position(|a| a == axis).expect("it is needed") as u8;
    let perm: SmallVec<[u8; 4]> = result.iter().map(at).collect();
    w.transpose(done.node, &perm, span)
}

/// A factor without the axes that are not kept.
fn summed(
    w: &mut Walk<'_>,
    factor: Factor,
    keep: &dyn Fn(usize) -> bool,
    span: Span,
) -> Eval<Factor> {
    let drop: SmallVec<[u8; 4]> =
        (0..factor.axes.len()).filter(|&i| !keep(factor.axes[i])).map(|i| i as u8).collect();
    if drop.is_empty() {
        return Ok(factor);
    }
    let node = w.add(Op::Reduce(ReduceOp::Sum, drop), &[factor.node], span)?;
    Ok(Factor { node, axes: factor.axes.into_iter().filter(|&a| keep(a)).collect() })
}
