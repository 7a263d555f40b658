//! Formulas that overflow, cancel or underflow, to ones that do not.
//!
//! These rows are about accuracy, not speed: what they replace is *superseded*, and extraction
//! takes it only where nothing else is left, whatever the cost.

use super::super::analysis::is_largest_over_others;
use super::super::language::{ENode, Kind};
use super::super::site::{Ref, Site};
use super::algebra::ALWAYS;
use super::{Condition, Numerics, Phase, Rule, code, terms};
use crate::graph::fused::ReduceOp;
use crate::graph::ops::Axes;
use crate::graph::{MapOp, Op};
use egg::Id;

const STABLE: (Phase, Numerics) = (Phase::Stabilise, Numerics::Stable);

const X_NONNEGATIVE: Condition =
    Condition { words: "x >= 0 or NaN", holds: |s, b| s.facts(b.get(b'x')).interval.low >= 0.0 };
const X_LARGE: Condition = Condition {
    words: "x may be above 16",
    holds: |s, b| s.facts(b.get(b'x')).interval.high > 16.0,
};

/// The rows.
#[rustfmt::skip]
pub const RULES: &[Rule] = &[
    terms(STABLE, "log-exp",           "(log (exp ?x))",               "?x",                       ALWAYS,        "no overflow").superseding(),
    terms(STABLE, "exp-log",           "(exp (log ?x))",               "?x",                       X_NONNEGATIVE, "no rounding").superseding(),
    terms(STABLE, "log-div-exp",       "(log (div (exp ?x) ?y))",      "(sub ?x (log ?y))",        ALWAYS,        "log-softmax: no underflow").superseding(),
    terms(STABLE, "log-by-exp",        "(log (div ?x (exp ?y)))",      "(sub (log ?x) ?y)",        ALWAYS,        "no overflow").superseding(),
    terms(STABLE, "log-mul-exp",       "(log (mul (exp ?x) ?y))",      "(add ?x (log ?y))",        ALWAYS,        "no overflow").superseding(),
    terms(STABLE, "exp-over-exp",      "(div (exp ?x) (exp ?y))",      "(exp (sub ?x ?y))",        ALWAYS,        "no inf / inf, one exponential").superseding(),
    terms(STABLE, "exp-times-exp",     "(mul (exp ?x) (exp ?y))",      "(exp (add ?x ?y))",        ALWAYS,        "no inf * 0, one exponential").superseding(),
    terms(STABLE, "log-one-plus",      "(log (add ?x 1))",             "(log1p ?x)",               ALWAYS,        "accurate near 0").superseding(),
    terms(STABLE, "exp-minus-one",     "(sub (exp ?x) 1)",             "(expm1 ?x)",               ALWAYS,        "accurate near 0").superseding(),
    terms(STABLE, "exp-add-minus-one", "(add (exp ?x) -1)",            "(expm1 ?x)",               ALWAYS,        "accurate near 0").superseding(),
    terms(STABLE, "log1p-expm1",       "(log1p (expm1 ?x))",           "?x",                       ALWAYS,        "no overflow").superseding(),
    terms(STABLE, "softplus",          "(log1p (exp ?x))",             "(add (max ?x 0) (log1p (exp (neg (abs ?x)))))", X_LARGE, "log(1 + exp(x)) without overflow").superseding(),
    terms(STABLE, "log-sigmoid",       "(log (sigmoid ?x))",           "(sub (min ?x 0) (log1p (exp (neg (abs ?x)))))", ALWAYS, "no log of an underflowed 0").superseding(),
    terms(STABLE, "sigmoid",           "(div 1 (add (exp (neg ?x)) 1))", "(sigmoid ?x)",           ALWAYS,        "the function itself"),
    terms(STABLE, "sigmoid-reciprocal", "(reciprocal (add (exp (neg ?x)) 1))", "(sigmoid ?x)",     ALWAYS,        "the function itself"),
    terms(STABLE, "one-minus-sigmoid", "(sub 1 (sigmoid ?x))",         "(sigmoid (neg ?x))",       ALWAYS,        "no cancellation").superseding(),
    terms(STABLE, "sqrt-times-sqrt",   "(square (sqrt ?x))",           "?x",                       X_NONNEGATIVE, "no rounding"),
    terms(STABLE, "sqrt-of-square",    "(sqrt (square ?x))",           "(abs ?x)",                 ALWAYS,        "no overflow"),
    terms(STABLE, "pow-half",          "(pow ?x 0.5)",                 "(sqrt ?x)",                X_NONNEGATIVE, "one correctly rounded operation"),
    terms(STABLE, "one-over-sqrt",     "(reciprocal (sqrt ?x))",       "(rsqrt ?x)",               ALWAYS,        "one rounding"),
    terms(STABLE, "mul-reciprocal",    "(mul ?x (reciprocal ?y))",     "(div ?x ?y)",              ALWAYS,        "one rounding"),
    terms(STABLE, "div-reciprocal",    "(div ?x (reciprocal ?y))",     "(mul ?x ?y)",              ALWAYS,        "one rounding"),
    code(STABLE,  "log-sum-exp",       &[Kind::Map(MapOp::Log)], log_sum_exp, "the exponent is not shifted yet and may be large", "shifted by the largest, so that no exponential overflows").superseding(),
    code(STABLE,  "softmax",           &[Kind::Map(MapOp::Div)], softmax,     "the exponent is not shifted yet and may be large", "shifted by the largest, so that no exponential overflows").superseding(),
    code(STABLE,  "scaled-softmax",    &[Kind::Map(MapOp::Mul)], scaled_softmax, "as softmax; the other factor is a quotient by the sum", "the gradient of log-sum-exp: a softmax, scaled").superseding(),
];

fn log_sum_exp(site: &mut Site<'_>, node: &ENode) {
    for sum in site.nodes(node.children[0], Kind::Reduce(ReduceOp::Sum)) {
        let Some(Op::Reduce(_, axes)) = sum.op() else { continue };
        for exp in site.nodes(sum.children[0], Kind::Map(MapOp::Exp)) {
            let x = exp.children[0];
            let Some((shift, shifted)) = shift(site, x, axes) else { continue };
            let exp = site.map(MapOp::Exp, &[shifted]);
            let sum = site.reduce(ReduceOp::Sum, exp, axes);
            let log = site.map(MapOp::Log, &[sum]);
            let restored = site.map(MapOp::Add, &[log, shift]);
            site.emit(node, restored);
        }
    }
}

fn softmax(site: &mut Site<'_>, node: &ENode) {
    let (numerator, denominator) = (node.children[0], node.children[1]);
    for repeat in site.nodes(denominator, Kind::Broadcast) {
        let Some(Op::Broadcast { axes: kept, .. }) = repeat.op() else { continue };
        if let Some(quotient) = shifted_softmax(site, numerator, repeat.children[0], kept) {
            site.emit(node, quotient);
        }
    }
}

/// `exp(x) * (g / Σ exp(x))`, the sum repeated before or after the quotient.
fn scaled_softmax(site: &mut Site<'_>, node: &ENode) {
    for (e, other) in [(0, 1), (1, 0)] {
        let (exp, scale) = (node.children[e], node.children[other]);
        if site.nodes(exp, Kind::Map(MapOp::Exp)).next().is_none() {
            continue;
        }
        for quotient in site.nodes(scale, Kind::Map(MapOp::Div)) {
            let (g, sums) = (quotient.children[0], quotient.children[1]);
            for repeat in site.nodes(sums, Kind::Broadcast) {
                let Some(Op::Broadcast { axes: kept, .. }) = repeat.op() else { continue };
                if let Some(softmax) = shifted_softmax(site, exp, repeat.children[0], kept) {
                    let scaled = site.map(MapOp::Mul, &[softmax, g.into()]);
                    site.emit(node, scaled);
                }
            }
        }
        for repeat in site.nodes(scale, Kind::Broadcast) {
            let Some(Op::Broadcast { shape, axes: kept }) = repeat.op() else { continue };
            for quotient in site.nodes(repeat.children[0], Kind::Map(MapOp::Div)) {
                let (g, sum) = (quotient.children[0], quotient.children[1]);
                if let Some(softmax) = shifted_softmax(site, exp, sum, kept) {
                    let g = site.broadcast(g, shape, kept);
                    let scaled = site.map(MapOp::Mul, &[softmax, g]);
                    site.emit(node, scaled);
                }
            }
        }
    }
}

/// `exp(x) / Σ exp(x)` with the exponents shifted, where `sum` is that sum and lies at the axes
/// `kept` of `exp`.
fn shifted_softmax(site: &mut Site<'_>, exp: Id, sum: Id, kept: &Axes) -> Option<Ref> {
    let ty = site.ty(exp);
    for reduced in site.nodes(sum, Kind::Reduce(ReduceOp::Sum)) {
        let Some(Op::Reduce(_, axes)) = reduced.op() else { continue };
        let along = |axis: u8| axes.contains(&axis) != kept.contains(&axis);
        let aligned = (0..ty.rank() as u8).all(along);
        if !aligned || !site.same(reduced.children[0], exp) {
            continue;
        }
        for exp in site.nodes(exp, Kind::Map(MapOp::Exp)) {
            let Some((_, shifted)) = shift(site, exp.children[0], axes) else { continue };
            let exp = site.map(MapOp::Exp, &[shifted]);
            let sum = site.reduce(ReduceOp::Sum, exp, axes);
            let sums = site.broadcast(sum, &ty.shape, kept);
            return Some(site.map(MapOp::Div, &[exp, sums]));
        }
    }
    None
}

/// The largest of `x` along `axes` (0 where that is infinite or NaN), and `x` minus it; `None`
/// where `x` is such a difference already, or cannot be large.
fn shift(site: &mut Site<'_>, x: Id, axes: &[u8]) -> Option<(Ref, Ref)> {
    if site.facts(x).interval.high < 60.0 || is_shifted(site, x) {
        return None;
    }
    let ty = site.ty(x);
    let kept: Axes = (0..ty.rank() as u8).filter(|a| !axes.contains(a)).collect();
    let largest = site.reduce(ReduceOp::Max, x, axes);
    let finite = site.map(MapOp::IsFinite, &[largest]);
    let zero = site.like(0.0, largest);
    let shift = site.map(MapOp::Select, &[finite, largest, zero]);
    let shifts = site.broadcast(shift, &ty.shape, &kept);
    let shifted = site.map(MapOp::Sub, &[x.into(), shifts]);
    Some((shift, shifted))
}

/// Whether `x` is some `y` minus a largest of `y`, perhaps made finite.
fn is_shifted(site: &Site<'_>, x: Id) -> bool {
    let shift = |id: Id, y: Id, kept: &[u8]| {
        let largest = |id: Id| is_largest_over_others(site.egraph(), id, y, kept);
        largest(id) || site.nodes(id, Kind::Map(MapOp::Select)).any(|n| largest(n.children[1]))
    };
    site.nodes(x, Kind::Map(MapOp::Sub)).any(|n| {
        let (y, shifts) = (n.children[0], n.children[1]);
        let repeated = |b: &ENode| match b.op() {
            Some(Op::Broadcast { axes, .. }) => shift(b.children[0], y, axes),
            _ => false,
        };
        shift(shifts, y, &[]) || site.nodes(shifts, Kind::Broadcast).any(repeated)
    })
}
