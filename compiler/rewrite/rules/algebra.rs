//! Elementwise identities that hold to the bit.
//!
//! Mind the signs of zero: `x + 0` is not `x` where `x` is `-0`, but `x + (-0)` is; `-(x - y)` is
//! not `y - x` where both are equal. Constants are folded by the analysis, and common
//! subexpressions by the e-graph itself, so no row is about them.

use super::super::language::{ENode, Kind};
use super::super::site::{Ref, Site};
use super::pattern::commutes;
use super::{Condition, Numerics, Phase, Rule, code, terms};
use crate::graph::{MapOp, Op};
use tensc_runtime::{DType, Scalar};

const EXACT: (Phase, Numerics) = (Phase::Algebra, Numerics::Exact);

/// No side condition.
pub const ALWAYS: Condition = Condition { words: "", holds: |_, _| true };
/// Integers and `bool`.
pub const INT: Condition =
    Condition { words: "x is not a float", holds: |s, b| !s.dtype(b.get(b'x')).is_float() };
const X_CONSTANT_Y: Condition =
    Condition { words: "y is a constant", holds: |s, b| s.constant(b.get(b'y')).is_some() };
const X_NEVER_ZERO: Condition = Condition {
    words: "x is not a float, or never zero",
    holds: |s, b| {
        let facts = s.facts(b.get(b'x'));
        let interval = facts.interval;
        !facts.ty.dtype.is_float() || interval.low > 0.0 || interval.high < 0.0
    },
};
const X_POSITIVE: Condition =
    Condition { words: "x > 0 or NaN", holds: |s, b| s.facts(b.get(b'x')).interval.low > 0.0 };
const X_ABOVE_Y: Condition = Condition {
    words: "x > y everywhere, y never NaN",
    holds: |s, b| {
        let (x, y) = (s.facts(b.get(b'x')).interval, s.facts(b.get(b'y')).interval);
        x.low > y.high && !y.nan
    },
};
const ORDERED: Condition = Condition {
    words: "x and y are never NaN",
    holds: |s, b| !s.facts(b.get(b'x')).interval.nan && !s.facts(b.get(b'y')).interval.nan,
};
const X_NUMBER: Condition =
    Condition { words: "x is never NaN", holds: |s, b| !s.facts(b.get(b'x')).interval.nan };

/// The rows.
#[rustfmt::skip]
pub const RULES: &[Rule] = &[
    terms(EXACT, "stop-gradient",     "(stop_gradient ?x)",            "?x",                  ALWAYS,       "gradients have been taken when graphs are rewritten"),
    terms(EXACT, "mul-one",           "(mul ?x 1)",                    "?x",                  ALWAYS,       "one is neutral"),
    terms(EXACT, "div-one",           "(div ?x 1)",                    "?x",                  ALWAYS,       "one is neutral"),
    terms(EXACT, "pow-one",           "(pow ?x 1)",                    "?x",                  ALWAYS,       "one is neutral"),
    terms(EXACT, "pow-zero",          "(pow ?x 0)",                    "1",                   ALWAYS,       "even of NaN, as in IEEE 754"),
    terms(EXACT, "pow-two",           "(pow ?x 2)",                    "(square ?x)",         ALWAYS,       "a product instead of a logarithm"),
    terms(EXACT, "pow-minus-one",     "(pow ?x -1)",                   "(reciprocal ?x)",     ALWAYS,       "a quotient instead of a logarithm"),
    terms(EXACT, "add-neg-zero",      "(add ?x -0)",                   "?x",                  ALWAYS,       "-0 is neutral for every x"),
    terms(EXACT, "add-zero",          "(add ?x 0)",                    "?x",                  X_NEVER_ZERO, "0 is not neutral for -0"),
    terms(EXACT, "sub-zero",          "(sub ?x 0)",                    "?x",                  ALWAYS,       "-0 - 0 is -0"),
    terms(EXACT, "zero-sub",          "(sub -0 ?x)",                   "(neg ?x)",            ALWAYS,       "-0 - x flips the sign of every x"),
    terms(EXACT, "neg-neg",           "(neg (neg ?x))",                "?x",                  ALWAYS,       "signs cancel"),
    terms(EXACT, "add-neg",           "(add ?x (neg ?y))",             "(sub ?x ?y)",         ALWAYS,       "the definition of the difference"),
    terms(EXACT, "sub-neg",           "(sub ?x (neg ?y))",             "(add ?x ?y)",         ALWAYS,       "signs cancel"),
    terms(EXACT, "mul-minus-one",     "(mul ?x -1)",                   "(neg ?x)",            ALWAYS,       "a sign flip"),
    terms(EXACT, "div-minus-one",     "(div ?x -1)",                   "(neg ?x)",            ALWAYS,       "a sign flip"),
    terms(EXACT, "mul-neg",           "(mul (neg ?x) ?y)",             "(neg (mul ?x ?y))",   ALWAYS,       "signs move outward, where they meet"),
    terms(EXACT, "div-neg",           "(div (neg ?x) ?y)",             "(neg (div ?x ?y))",   FLOAT,        "signs move outward, where they meet"),
    terms(EXACT, "div-by-neg",        "(div ?x (neg ?y))",             "(neg (div ?x ?y))",   FLOAT,        "signs move outward, where they meet"),
    terms(EXACT, "neg-mul-constant",  "(neg (mul ?x ?y))",             "(mul ?x (neg ?y))",   X_CONSTANT_Y, "the constant takes the sign"),
    terms(EXACT, "neg-div-constant",  "(neg (div ?x ?y))",             "(div ?x (neg ?y))",   FLOAT_BY_CONSTANT, "the constant takes the sign"),
    terms(EXACT, "mul-self",          "(mul ?x ?x)",                   "(square ?x)",         ALWAYS,       "one operand to read"),
    terms(EXACT, "square-neg",        "(square (neg ?x))",             "(square ?x)",         ALWAYS,       "a square has no sign"),
    terms(EXACT, "square-abs",        "(square (abs ?x))",             "(square ?x)",         ALWAYS,       "a square has no sign"),
    terms(EXACT, "abs-neg",           "(abs (neg ?x))",                "(abs ?x)",            SIGNED,       "a magnitude has no sign"),
    terms(EXACT, "abs-abs",           "(abs (abs ?x))",                "(abs ?x)",            ALWAYS,       "idempotent"),
    terms(EXACT, "abs-square",        "(abs (square ?x))",             "(square ?x)",         FLOAT,        "a square has no sign"),
    terms(EXACT, "abs-positive",      "(abs ?x)",                      "?x",                  X_POSITIVE,   "nothing to do"),
    terms(EXACT, "one-div",           "(div 1 ?x)",                    "(reciprocal ?x)",     FLOAT,        "one operand to read"),
    terms(EXACT, "max-self",          "(max ?x ?x)",                   "?x",                  ALWAYS,       "idempotent"),
    terms(EXACT, "min-self",          "(min ?x ?x)",                   "?x",                  ALWAYS,       "idempotent"),
    terms(EXACT, "max-max",           "(max (max ?x ?y) ?y)",          "(max ?x ?y)",         ALWAYS,       "idempotent"),
    terms(EXACT, "min-min",           "(min (min ?x ?y) ?y)",          "(min ?x ?y)",         ALWAYS,       "idempotent"),
    terms(EXACT, "max-first",         "(max ?y (max ?y ?x))",          "(max ?y ?x)",         ALWAYS,       "idempotent"),
    terms(EXACT, "min-first",         "(min ?y (min ?y ?x))",          "(min ?y ?x)",         ALWAYS,       "idempotent"),
    terms(EXACT, "max-above",         "(max ?x ?y)",                   "?x",                  X_ABOVE_Y,    "decided by intervals"),
    terms(EXACT, "min-below",         "(min ?y ?x)",                   "?y",                  Y_BELOW_X,    "decided by intervals"),
    terms(EXACT, "max-above-second",  "(max ?y ?x)",                   "?x",                  X_ABOVE_Y,    "decided by intervals"),
    terms(EXACT, "min-below-second",  "(min ?x ?y)",                   "?y",                  Y_BELOW_X,    "decided by intervals"),
    terms(EXACT, "mask-of-max",       "(gt (max ?x ?y) ?y)",           "(gt ?x ?y)",          ALWAYS,       "the mask of the gradient of max(x, y)"),
    terms(EXACT, "mask-of-max-second", "(gt (max ?y ?x) ?y)",          "(gt ?x ?y)",          ALWAYS,       "the mask of the gradient of max(y, x)"),
    terms(EXACT, "and-self",          "(and ?x ?x)",                   "?x",                  ALWAYS,       "idempotent"),
    terms(EXACT, "or-self",           "(or ?x ?x)",                    "?x",                  ALWAYS,       "idempotent"),
    terms(EXACT, "not-not",           "(not (not ?x))",                "?x",                  ALWAYS,       "complements cancel"),
    terms(EXACT, "not-eq",            "(not (eq ?x ?y))",              "(ne ?x ?y)",          ALWAYS,       "also for NaN"),
    terms(EXACT, "not-ne",            "(not (ne ?x ?y))",              "(eq ?x ?y)",          ALWAYS,       "also for NaN"),
    terms(EXACT, "not-lt",            "(not (lt ?x ?y))",              "(ge ?x ?y)",          ORDERED,      "a NaN is neither"),
    terms(EXACT, "not-gt",            "(not (gt ?x ?y))",              "(le ?x ?y)",          ORDERED,      "a NaN is neither"),
    terms(EXACT, "eq-self",           "(eq ?x ?x)",                    "1",                   X_NUMBER,     "a NaN differs from itself"),
    terms(EXACT, "ne-self",           "(ne ?x ?x)",                    "0",                   X_NUMBER,     "a NaN differs from itself"),
    terms(EXACT, "lt-self",           "(lt ?x ?x)",                    "0",                   ALWAYS,       "also for NaN"),
    terms(EXACT, "gt-self",           "(gt ?x ?x)",                    "0",                   ALWAYS,       "also for NaN"),
    terms(EXACT, "select-same",       "(select ?c ?x ?x)",             "?x",                  ALWAYS,       "no choice"),
    terms(EXACT, "select-true",       "(select 1 ?x ?y)",              "?x",                  ALWAYS,       "no choice"),
    terms(EXACT, "select-false",      "(select 0 ?x ?y)",              "?y",                  ALWAYS,       "no choice"),
    terms(EXACT, "select-not",        "(select (not ?c) ?x ?y)",       "(select ?c ?y ?x)",   ALWAYS,       "the arms swap"),
    terms(EXACT, "select-then",       "(select ?c (select ?c ?x ?y) ?z)", "(select ?c ?x ?z)", ALWAYS,      "the inner choice is made"),
    terms(EXACT, "select-else",       "(select ?c ?x (select ?c ?y ?z))", "(select ?c ?x ?z)", ALWAYS,      "the inner choice is made"),
    terms(EXACT, "select-neg",        "(select ?c (neg ?x) 0)",        "(neg (select ?c ?x -0))", ALWAYS,   "signs move outward, where they meet"),
    terms(EXACT, "mul-zero-int",      "(mul ?x 0)",                    "0",                   INT,          "floats: `finite`"),
    terms(EXACT, "sub-self-int",      "(sub ?x ?x)",                   "0",                   INT,          "floats: `finite`"),
    code(EXACT,  "commute",           COMMUTATIVE, commute,            "the swapped e-node exists",         "operands of add, mul, and… in either order are one class"),
    code(EXACT,  "mirror-comparison", COMPARISONS, mirror,             "the mirrored e-node exists",        "x < y and y > x are one class"),
    code(EXACT,  "mask-by-max",       &[Kind::Map(MapOp::Gt)], mask_by_max, "max(x, y) exists, y a constant", "the mask x > y read off max(x, y), which is there anyway"),
    code(EXACT,  "div-power-of-two",  &[Kind::Map(MapOp::Div)], divide_exactly, "float; divisor and reciprocal are powers of two", "a product instead of a quotient"),
    code(EXACT,  "convert-same",      &[Kind::Convert], convert_same,  "",                                  "to the type it has"),
    code(EXACT,  "convert-convert",   &[Kind::Convert], convert_twice, "the inner conversion loses nothing", "one conversion"),
];

/// Floats.
pub const FLOAT: Condition =
    Condition { words: "x is a float", holds: |s, b| s.dtype(b.get(b'x')).is_float() };
const FLOAT_BY_CONSTANT: Condition = Condition {
    words: "x is a float, y is a constant",
    holds: |s, b| s.dtype(b.get(b'x')).is_float() && s.constant(b.get(b'y')).is_some(),
};
const SIGNED: Condition =
    Condition { words: "x is signed", holds: |s, b| s.dtype(b.get(b'x')) != DType::U8 };
const Y_BELOW_X: Condition = Condition {
    words: "y < x everywhere, x never NaN",
    holds: |s, b| {
        let (x, y) = (s.facts(b.get(b'x')).interval, s.facts(b.get(b'y')).interval);
        y.high < x.low && !x.nan
    },
};

const COMMUTATIVE: &[Kind] = &[
    Kind::Map(MapOp::Add),
    Kind::Map(MapOp::Mul),
    Kind::Map(MapOp::Max),
    Kind::Map(MapOp::Min),
    Kind::Map(MapOp::And),
    Kind::Map(MapOp::Or),
    Kind::Map(MapOp::Xor),
    Kind::Map(MapOp::Eq),
    Kind::Map(MapOp::Ne),
];

const COMPARISONS: &[Kind] = &[Kind::Map(MapOp::Lt), Kind::Map(MapOp::Le)];

fn commute(site: &mut Site<'_>, node: &ENode) {
    let Some(Op::Map(map)) = node.op() else { return };
    let (x, y) = (node.children[0], node.children[1]);
    if x < y
        && commutes(*map, site.dtype(x))
        && let Some(swapped) = site.lookup(*map, &[y, x])
    {
        site.emit(node, swapped);
    }
}

fn mirror(site: &mut Site<'_>, node: &ENode) {
    let mirrored = match node.op() {
        Some(Op::Map(MapOp::Lt)) => MapOp::Gt,
        Some(Op::Map(MapOp::Le)) => MapOp::Ge,
        _ => return,
    };
    if let Some(other) = site.lookup(mirrored, &[node.children[1], node.children[0]]) {
        site.emit(node, other);
    }
}

fn mask_by_max(site: &mut Site<'_>, node: &ENode) {
    let (x, y) = (node.children[0], node.children[1]);
    if site.constant(y).is_none() || site.dtype(y) == DType::Bool {
        return;
    }
    let max = site.lookup(MapOp::Max, &[x, y]).or_else(|| site.lookup(MapOp::Max, &[y, x]));
    if let Some(max) = max {
        let mask = site.map(MapOp::Gt, &[max.into(), y.into()]);
        site.emit(node, mask);
    }
}

fn divide_exactly(site: &mut Site<'_>, node: &ENode) {
    let Some(divisor) = site.constant(node.children[1]) else { return };
    let (dtype, x) = (divisor.dtype(), divisor.to_f64());
    // Well inside the exponents of every float type, so that the reciprocal is normal too.
    let inside = (2f64.powi(-14)..=2f64.powi(14)).contains(&x.abs());
    let mantissa = x.to_bits() & ((1 << (f64::MANTISSA_DIGITS - 1)) - 1);
    if !dtype.is_float() || !inside || mantissa != 0 {
        return;
    }
    let ty = site.ty(node.children[1]);
    let factor = site.splat(Scalar::from_f64(dtype, 1.0 / x), &ty.shape);
    let product = site.map(MapOp::Mul, &[node.children[0].into(), factor]);
    site.emit(node, product);
}

fn convert_same(site: &mut Site<'_>, node: &ENode) {
    if site.dtype(node.children[0]) == site.dtype(site.class()) {
        site.emit(node, node.children[0]);
    }
}

fn convert_twice(site: &mut Site<'_>, node: &ENode) {
    let Some(Op::Convert(to)) = node.op() else { return };
    let middle = site.dtype(node.children[0]);
    let inner: Vec<_> = site.nodes(node.children[0], Kind::Convert).collect();
    for inner in inner {
        let x = inner.children[0];
        if lossless(site.dtype(x), middle) {
            let converted: Ref = site.op(Op::Convert(*to), &[x.into()]);
            site.emit(node, converted);
        }
    }
}

/// Whether every element of `from` is one of `to`, and converts further to the same values.
fn lossless(from: DType, to: DType) -> bool {
    let digits = |d: DType| match d {
        DType::Bool => 1,
        DType::U8 | DType::BF16 => 8,
        DType::I8 => 7,
        DType::F16 => 11,
        DType::I16 => 15,
        DType::F32 => 24,
        DType::I32 => 31,
        DType::F64 => 53,
        DType::I64 => 63,
    };
    match (from.is_float(), to.is_float()) {
        (true, true) => from.size() < to.size(),
        (true, false) => false,
        // A float saturates where an integer wraps, so the way back differs: integers only widen.
        (false, true) => false,
        (false, false) => {
            let signs = to != DType::U8 || from == DType::U8;
            digits(from) <= digits(to) && signs && to != DType::Bool && from != DType::Bool
        }
    }
}
