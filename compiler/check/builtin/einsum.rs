//! Products written with named axes: `einsum("b i d, b j d -> b i j", q, k)`.

use super::{Builtin, Form, Run};
use crate::check::value::{Static, Value};
use crate::check::walk::{Eval, Walk};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::fused::ReduceOp;
use crate::graph::{NodeId, Op};
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

/// The axes of an operand: names with their places.
type Axes = Vec<(String, Span)>;

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
    let Some(((Value::Static(Static::Str(pattern, at)), _), operands)) = values.split_first()
    else {
        let message = "`einsum` starts with its pattern: einsum(\"i k, k j -> i j\", a, b)";
        return Err(w.error(codes::BAD_ARGUMENTS, form.callee, message));
    };
    let want = operands.iter().find_map(|(v, _)| w.strong_dtype(v));
    let mut nodes = Vec::with_capacity(operands.len());
    for (value, span) in operands {
        nodes.push((w.to_tensor(value, want, *span)?, *span));
    }
    let ranks: Vec<usize> = nodes.iter().map(|(n, _)| w.node_ty(*n).rank()).collect();
    let (inputs, output) = parse(w, pattern, *at, &ranks)?;
    if inputs.len() != nodes.len() || nodes.is_empty() {
        let (a, b) = (inputs.len(), nodes.len());
        let message = format!("the pattern is for {a} operands, found {b}");
        return Err(w.error(codes::BAD_PATTERN, *at, message));
    }
    let mut names: Vec<String> = Vec::new();
    let mut first: Vec<(NodeId, usize, Span)> = Vec::new();
    let mut factors = Vec::new();
    for ((node, span), axes) in nodes.iter().zip(&inputs) {
        let ty = w.node_ty(*node).clone();
        if ty.rank() != axes.len() {
            let (a, b) = (axes.len(), ty.rank());
            let place = axes.first().map_or(*at, |(_, s)| s.to(axes[axes.len() - 1].1));
            let message = format!("the pattern names {a} axes, the operand is {ty} with {b}");
            let diagnostic = Diagnostic::error(codes::BAD_PATTERN, place, message);
            return Err(w.report(diagnostic.label(*span, format!("this is {ty}"))));
        }
        let mut numbers: Vec<usize> = Vec::new();
        for (axis, (name, place)) in axes.iter().enumerate() {
            let number = match names.iter().position(|n| n == name) {
                Some(known) => {
                    let (other, other_axis, there) = first[known];
                    let (a, b) = (&w.node_ty(other).shape[other_axis], &ty.shape[axis]);
                    if a != b {
                        let message = format!("the axis `{name}` is {a} and {b}");
                        let diagnostic = Diagnostic::error(codes::INNER_SIZES, *place, message)
                            .here(format!("{b} here"))
                            .label(there, format!("{a} here"));
                        let diagnostic =
                            w.with_sizes(diagnostic, (other, other_axis), (*node, axis));
                        return Err(w.report(diagnostic));
                    }
                    known
                }
                None => {
                    names.push(name.clone());
                    first.push((*node, axis, *place));
                    names.len() - 1
                }
            };
            if numbers.contains(&number) {
                let message = format!("the axis `{name}` occurs twice in one operand");
                return Err(w.error(codes::BAD_PATTERN, *place, message));
            }
            numbers.push(number);
        }
        factors.push(Factor { node: *node, axes: numbers });
    }
    let mut result: Vec<usize> = Vec::new();
    for (name, place) in &output {
        match names.iter().position(|n| n == name) {
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

/// The axes of each operand and of the result. Names stand apart (`b i d`); a word of as many
/// letters as the operand has axes is read as letters (`bid`).
fn parse(w: &mut Walk<'_>, pattern: &str, at: Span, ranks: &[usize]) -> Eval<(Vec<Axes>, Axes)> {
    let Some(arrow) = pattern.find("->") else {
        let message = "the pattern needs `->` and the axes of the result";
        return Err(w.error(codes::BAD_PATTERN, at, message));
    };
    let (left, right) = (&pattern[..arrow], &pattern[arrow + 2..]);
    let mut offset = 0;
    let mut inputs = Vec::new();
    let mut letters = false;
    for (i, part) in left.split(',').enumerate() {
        let axes = names(part, at, offset);
        let compact = ranks.get(i).is_some_and(|&r| r > 1 && one_word(&axes) == Some(r));
        letters |= compact;
        inputs.push((axes, offset, part));
        offset += part.len() + 1;
    }
    let expand = |axes: Axes| -> Axes { if letters { split_letters(axes) } else { axes } };
    let inputs: Vec<Axes> = inputs.into_iter().map(|(axes, ..)| expand(axes)).collect();
    let output = expand(names(right, at, arrow + 2));
    for (name, place) in inputs.iter().flatten().chain(&output) {
        if !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
            let message = format!("`{name}` is no name of an axis");
            return Err(w.error(codes::BAD_PATTERN, *place, message));
        }
    }
    Ok((inputs, output))
}

/// The length of the only name, if there is only one.
fn one_word(axes: &Axes) -> Option<usize> {
    match axes.as_slice() {
        [(one, _)] => Some(one.chars().count()),
        _ => None,
    }
}

fn split_letters(axes: Axes) -> Axes {
    let letters = axes.into_iter().flat_map(|(word, span)| {
        word.char_indices()
            .map(|(i, c)| {
                let start = span.start as usize + i;
                (c.to_string(), Span::new(span.source, start, start + c.len_utf8()))
            })
            .collect::<Vec<_>>()
    });
    letters.collect()
}

/// The words of a part of the pattern, with their places.
fn names(part: &str, at: Span, offset: usize) -> Axes {
    let mut words = Vec::new();
    let mut start = None;
    for (i, c) in part.char_indices().chain([(part.len(), ' ')]) {
        match (c.is_whitespace(), start) {
            (false, None) => start = Some(i),
            (true, Some(from)) => {
                let place = at.start as usize + offset;
                let span = Span::new(at.source, place + from, place + i);
                words.push((part[from..i].to_string(), span));
                start = None;
            }
            _ => {}
        }
    }
    words
}
