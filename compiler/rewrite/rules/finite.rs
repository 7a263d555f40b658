//! What holds when nothing is infinite or NaN and zero has no sign; and approximations.

use super::super::language::{ENode, Kind};
use super::super::site::Site;
use super::algebra::{ALWAYS, FLOAT};
use super::{Numerics, Phase, Rule, code, terms};
use crate::graph::ops::Axes;
use crate::graph::{MapOp, Op};

const FINITE: (Phase, Numerics) = (Phase::Reassociate, Numerics::Finite);
const APPROX: (Phase, Numerics) = (Phase::Reassociate, Numerics::Approx);

/// The rows.
#[rustfmt::skip]
pub const RULES: &[Rule] = &[
    terms(FINITE, "mul-zero",      "(mul ?x 0)",              "0",                 FLOAT,  "not for inf and NaN, nor for the sign"),
    terms(FINITE, "sub-self",      "(sub ?x ?x)",             "0",                 FLOAT,  "not for inf and NaN"),
    terms(FINITE, "div-self",      "(div ?x ?x)",             "1",                 FLOAT,  "not for 0, inf and NaN"),
    terms(FINITE, "zero-div",      "(div 0 ?x)",              "0",                 FLOAT,  "not for 0 and NaN, nor for the sign"),
    terms(FINITE, "add-any-zero",  "(add ?x 0)",              "?x",                FLOAT,  "not for the sign of -0"),
    terms(FINITE, "any-zero-sub",  "(sub 0 ?x)",              "(neg ?x)",          ALWAYS, "not for the sign of 0"),
    terms(FINITE, "neg-sub",       "(neg (sub ?x ?y))",       "(sub ?y ?x)",       ALWAYS, "not for the sign of 0"),
    terms(FINITE, "select-relu",   "(select (gt ?x 0) ?x 0)", "(max ?x 0)",        ALWAYS, "not for NaN"),
    terms(FINITE, "eq-itself",     "(eq ?x ?x)",              "1",                 ALWAYS, "not for NaN"),
    terms(FINITE, "x-over-sqrt-x", "(div ?x (sqrt ?x))",      "(sqrt ?x)",         ALWAYS, "not for 0 and inf"),
    code(FINITE,  "masked-product", &[Kind::Map(MapOp::Mul)], masked_product, "a factor is a converted mask", "a choice instead of a product; not for inf and NaN"),
    terms(APPROX, "div-sqrt",      "(div ?x (sqrt ?y))",      "(mul ?x (rsqrt ?y))", ALWAYS, "a product instead of a quotient"),
    terms(APPROX, "gelu-by-erf",   "(gelu ?x)",               "(mul (mul ?x 0.5) (add (erf (mul ?x 0.7071067811865476)) 1))", ALWAYS, "fewer instructions; below 0 as exact as beside `?x`"),
    terms(APPROX, "gelu-tanh-by-sigmoid", "(gelu_tanh ?x)",   "(mul ?x (sigmoid (mul ?x (add (mul (square ?x) 0.07135481627260025) 1.5957691216057308))))", ALWAYS, "fewer instructions; below 0 as exact as beside `?x`"),
    code(APPROX,  "div-repeated",  &[Kind::Map(MapOp::Div)], divide_by_repeated, "the divisor is a broadcast", "one quotient for many products"),
];

fn masked_product(site: &mut Site<'_>, node: &ENode) {
    if !site.dtype(site.class()).is_float() {
        return;
    }
    for (mask, value) in [(0, 1), (1, 0)] {
        let (mask, value) = (node.children[mask], node.children[value]);
        for convert in site.nodes(mask, Kind::Convert) {
            let mask = convert.children[0];
            if site.dtype(mask) == tensc_runtime::DType::Bool {
                let zero = site.like(0.0, value);
                let chosen = site.map(MapOp::Select, &[mask.into(), value.into(), zero]);
                site.emit(node, chosen);
            }
        }
    }
}

fn divide_by_repeated(site: &mut Site<'_>, node: &ENode) {
    let (x, divisor) = (node.children[0], node.children[1]);
    if !site.dtype(x).is_float() || site.constant(divisor).is_some() {
        return;
    }
    for repeat in site.nodes(divisor, Kind::Broadcast) {
        let Some(Op::Broadcast { shape, axes }) = repeat.op() else { continue };
        let (shape, axes): (_, Axes) = (shape.clone(), axes.clone());
        let factor = site.map(MapOp::Reciprocal, &[repeat.children[0].into()]);
        let factors = site.broadcast(factor, &shape, &axes);
        let product = site.map(MapOp::Mul, &[x.into(), factors]);
        site.emit(node, product);
    }
}
