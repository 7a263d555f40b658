//! Associativity and distributivity: real arithmetic with other roundings.
//!
//! Sums and products of more than two operands are brought to one canonical chain each, sorted,
//! with constants and like terms joined, instead of being permuted by rules: four rules for the
//! associativity and commutativity of addition are enough to fill an e-graph.

use super::super::language::{ENode, Kind};
use super::super::site::{Ref, Site, extent};
use super::algebra::ALWAYS;
use super::movement::drop_repeats;
use super::{Condition, Numerics, Phase, Rule, code, terms};
use crate::graph::fused::ReduceOp;
use crate::graph::ops::Contraction;
use crate::graph::{MapOp, Op};
use egg::Id;
use tensc_runtime::Scalar;

const REASSOC: (Phase, Numerics) = (Phase::Reassociate, Numerics::Reassoc);

const X_Z_CONSTANT: Condition = Condition {
    words: "x and z are constant floats",
    holds: |s, b| {
        let float = s.dtype(b.get(b'x')).is_float();
        float && s.constant(b.get(b'x')).is_some() && s.constant(b.get(b'z')).is_some()
    },
};
const FLOAT: Condition = super::algebra::FLOAT;

/// The rows.
#[rustfmt::skip]
pub const RULES: &[Rule] = &[
    code(REASSOC,  "canonical-sum",     &[Kind::Map(MapOp::Add), Kind::Map(MapOp::Sub)], canonical_sum, "floats; three terms or more", "sorted, constants and like terms joined"),
    code(REASSOC,  "canonical-product", &[Kind::Map(MapOp::Mul)], canonical_product, "floats; three factors or more", "sorted, constants and like factors joined"),
    terms(REASSOC, "factor-sum",        "(add (mul ?x ?y) (mul ?x ?z))", "(mul ?x (add ?y ?z))", FLOAT,      "one product less"),
    terms(REASSOC, "factor-difference", "(sub (mul ?x ?y) (mul ?x ?z))", "(mul ?x (sub ?y ?z))", FLOAT,      "one product less"),
    terms(REASSOC, "div-div",           "(div (div ?x ?y) ?z)",          "(div ?x (mul ?y ?z))", FLOAT,      "one quotient less"),
    terms(REASSOC, "div-mul-constants", "(mul (div ?x ?y) ?z)",          "(div (mul ?x ?z) ?y)", X_Z_CONSTANT, "one product less"),
    terms(REASSOC, "pow-three",         "(pow ?x 3)",                    "(mul (square ?x) ?x)", ALWAYS,     "two products instead of a logarithm"),
    code(REASSOC,  "div-constant",      &[Kind::Map(MapOp::Div)], divide_by_constant, "floats; the divisor is a constant with a finite reciprocal", "a product instead of a quotient"),
    code(REASSOC,  "sum-of-scaled",     &[Kind::Reduce(ReduceOp::Sum)], sum_of_scaled, "floats; a factor or divisor does not change along the axes", "the sum is scaled instead"),
    code(REASSOC,  "contract-scaled",   &[Kind::Contract], contract_scaled, "floats; a factor of an operand is one number", "the smaller tensor is scaled"),
    code(REASSOC,  "scale-contract",    &[Kind::Map(MapOp::Mul)], scale_contract, "floats; the factor is one number", "the smaller tensor is scaled"),
    code(REASSOC,  "factor-contract",   &[Kind::Map(MapOp::Add)], factor_contract, "floats; the contractions share an operand", "one contraction less"),
    code(REASSOC,  "matrix-chain",      &[Kind::Contract], matrix_chain, "floats; matrices", "the order of least work, by dynamic programming"),
];

/// More terms than this stay as they are.
const LONGEST: usize = 24;

/// Terms of a sum with their coefficients.
type Terms = Vec<(Id, f64)>;

fn canonical_sum(site: &mut Site<'_>, node: &ENode) {
    let class = site.class();
    if !site.dtype(class).is_float() {
        return;
    }
    let (mut terms, mut constant) = (Terms::new(), None);
    if !add_terms(site, node, 1.0, &mut terms, &mut constant, 0) {
        return;
    }
    if terms.len() + usize::from(constant.is_some()) < 3
        && terms.iter().all(|(_, c)| c.abs() == 1.0)
    {
        return;
    }
    terms.sort_by_key(|(id, _)| *id);
    let mut sums = Terms::new();
    for (id, coefficient) in terms {
        match sums.last_mut() {
            Some((last, sum)) if *last == id => *sum += coefficient,
            _ => sums.push((id, coefficient)),
        }
    }
    let mut sum: Option<Ref> = None;
    for (id, coefficient) in sums {
        let magnitude = coefficient.abs();
        let term = if magnitude == 1.0 { id.into() } else { site.scale(id, magnitude) };
        sum = Some(match (sum, coefficient < 0.0) {
            (None, false) => term,
            (None, true) => site.map(MapOp::Neg, &[term]),
            (Some(sum), false) => site.map(MapOp::Add, &[sum, term]),
            (Some(sum), true) => site.map(MapOp::Sub, &[sum, term]),
        });
    }
    let Some(mut sum) = sum else { return };
    if let Some(constant) = constant {
        let constant = site.like(constant, class);
        sum = site.map(MapOp::Add, &[sum, constant]);
    }
    site.emit(node, sum);
}

/// Adds `sign` times the terms of a node; whether there were few enough.
fn add_terms(
    site: &Site<'_>,
    node: &ENode,
    sign: f64,
    terms: &mut Terms,
    constant: &mut Option<f64>,
    depth: usize,
) -> bool {
    let second = if node.kind() == Kind::Map(MapOp::Sub) { -sign } else { sign };
    for (&x, sign) in node.children.iter().zip([sign, second]) {
        if let Some(value) = site.constant(x) {
            *constant = Some(constant.unwrap_or(0.0) + sign * value.to_f64());
            continue;
        }
        if let Some(negated) = site.under(x, Kind::Map(MapOp::Neg)) {
            terms.push((site.egraph().find(negated), -sign));
            continue;
        }
        let deeper = [MapOp::Add, MapOp::Sub]
            .into_iter()
            .find_map(|op| site.nodes(x, Kind::Map(op)).next())
            .filter(|n| depth < LONGEST && n.children.iter().all(|&c| !site.same(c, x)));
        match deeper {
            Some(deeper) => {
                if !add_terms(site, deeper, sign, terms, constant, depth + 1) {
                    return false;
                }
            }
            None => terms.push((site.egraph().find(x), sign)),
        }
        if terms.len() > LONGEST {
            return false;
        }
    }
    true
}

fn canonical_product(site: &mut Site<'_>, node: &ENode) {
    let class = site.class();
    if !site.dtype(class).is_float() {
        return;
    }
    let (mut factors, mut constant) = (Vec::new(), None);
    if !add_factors(site, node, &mut factors, &mut constant, 0) {
        return;
    }
    if factors.len() + usize::from(constant.is_some()) < 3 {
        return;
    }
    factors.sort_unstable();
    let mut product: Option<Ref> = None;
    let mut at = 0;
    while at < factors.len() {
        let mut factor = Ref::Class(factors[at]);
        at += 1;
        if at < factors.len() && Ref::Class(factors[at]) == factor {
            factor = site.map(MapOp::Square, &[factor]);
            at += 1;
        }
        product = Some(match product {
            None => factor,
            Some(product) => site.map(MapOp::Mul, &[product, factor]),
        });
    }
    let Some(mut product) = product else { return };
    if let Some(constant) = constant {
        let constant = site.like(constant, class);
        product = site.map(MapOp::Mul, &[product, constant]);
    }
    site.emit(node, product);
}

fn add_factors(
    site: &Site<'_>,
    node: &ENode,
    factors: &mut Vec<Id>,
    constant: &mut Option<f64>,
    depth: usize,
) -> bool {
    for &x in &node.children {
        if let Some(value) = site.constant(x) {
            *constant = Some(constant.unwrap_or(1.0) * value.to_f64());
            continue;
        }
        let deeper = site
            .nodes(x, Kind::Map(MapOp::Mul))
            .next()
            .filter(|n| depth < LONGEST && n.children.iter().all(|&c| !site.same(c, x)));
        match deeper {
            Some(deeper) => {
                if !add_factors(site, deeper, factors, constant, depth + 1) {
                    return false;
                }
            }
            None => factors.push(site.egraph().find(x)),
        }
        if factors.len() > LONGEST {
            return false;
        }
    }
    true
}

fn divide_by_constant(site: &mut Site<'_>, node: &ENode) {
    let Some(divisor) = site.constant(node.children[1]) else { return };
    let factor = Scalar::from_f64(divisor.dtype(), 1.0 / divisor.to_f64());
    if divisor.dtype().is_float() && factor.to_f64().is_normal() {
        let ty = site.ty(node.children[1]);
        let factor = site.splat(factor, &ty.shape);
        let product = site.map(MapOp::Mul, &[node.children[0].into(), factor]);
        site.emit(node, product);
    }
}

fn sum_of_scaled(site: &mut Site<'_>, node: &ENode) {
    let Some(Op::Reduce(_, axes)) = node.op() else { return };
    let x = node.children[0];
    if !site.dtype(x).is_float() {
        return;
    }
    for (op, orders) in [(MapOp::Mul, &[(0, 1), (1, 0)][..]), (MapOp::Div, &[(0, 1)][..])] {
        for inner in site.nodes(x, Kind::Map(op)) {
            for &(of, by) in orders {
                let (of, by) = (inner.children[of], inner.children[by]);
                let steady = axes.iter().all(|&a| site.facts(by).uniform & (1 << a) != 0);
                if !steady || site.constant(of).is_some() {
                    continue;
                }
                let factor = match site.constant(by) {
                    Some(value) => {
                        let shape = site.ty(site.class()).shape.clone();
                        site.splat(value, &shape)
                    }
                    None => match drop_repeats(site, by, axes) {
                        Some((factor, rest, _)) if rest.is_empty() => factor,
                        _ => continue,
                    },
                };
                let sum = site.reduce(ReduceOp::Sum, of, axes);
                let scaled = site.map(op, &[sum, factor]);
                site.emit(node, scaled);
            }
        }
    }
}

/// The factors of a product: the tensor, and the class that is one number.
fn scaled(site: &Site<'_>, x: Id) -> Option<(Id, Id)> {
    let all = |id: Id| {
        let facts = site.facts(id);
        let rank = facts.ty.rank();
        rank > 0 && facts.uniform.trailing_ones() >= rank as u32
    };
    site.nodes(x, Kind::Map(MapOp::Mul)).find_map(|n| {
        let (a, b) = (n.children[0], n.children[1]);
        if all(b) {
            Some((a, b))
        } else if all(a) {
            Some((b, a))
        } else {
            None
        }
    })
}

fn contract_scaled(site: &mut Site<'_>, node: &ENode) {
    let Some(Op::Contract(c)) = node.op() else { return };
    let (a, b) = (node.children[0], node.children[1]);
    if !site.dtype(a).is_float() {
        return;
    }
    for right in [false, true] {
        let Some((x, factor)) = scaled(site, if right { b } else { a }) else { continue };
        let all: Vec<u8> = (0..site.rank(factor) as u8).collect();
        let Some(factor) = site.without_axes(factor, &all) else { continue };
        let (left, other) = if right { (a, x) } else { (x, b) };
        let contracted = site.contract(c.clone(), left, other);
        let shape = site.ty(contracted).shape.clone();
        let factor = site.broadcast(factor, &shape, &[]);
        let product = site.map(MapOp::Mul, &[contracted, factor]);
        site.emit(node, product);
    }
}

fn scale_contract(site: &mut Site<'_>, node: &ENode) {
    let class = site.class();
    let Some((x, factor)) = scaled(site, class) else { return };
    if !site.dtype(class).is_float() {
        return;
    }
    let all: Vec<u8> = (0..site.rank(factor) as u8).collect();
    let Some(factor) = site.without_axes(factor, &all) else { return };
    for inner in site.nodes(x, Kind::Contract) {
        let Some(Op::Contract(c)) = inner.op() else { continue };
        let (a, b) = (inner.children[0], inner.children[1]);
        let right = site.facts(b).elements() < site.facts(a).elements();
        let small = if right { b } else { a };
        if site.facts(small).elements() >= site.facts(x).elements() {
            continue;
        }
        let shape = site.ty(small).shape.clone();
        let factors = site.broadcast(factor, &shape, &[]);
        let product = site.map(MapOp::Mul, &[small.into(), factors]);
        let (left, other) = if right { (a.into(), product) } else { (product, b.into()) };
        let contracted = site.contract(c.clone(), left, other);
        site.emit(node, contracted);
    }
}

fn factor_contract(site: &mut Site<'_>, node: &ENode) {
    let (x, y) = (node.children[0], node.children[1]);
    if !site.dtype(x).is_float() {
        return;
    }
    for first in site.nodes(x, Kind::Contract) {
        for second in site.nodes(y, Kind::Contract) {
            let Some(Op::Contract(c)) = first.op() else { continue };
            if first.op() != second.op() {
                continue;
            }
            let (a, b) = (first.children[0], first.children[1]);
            let (d, e) = (second.children[0], second.children[1]);
            let same_type = |x: Id, y: Id| *site.ty(x) == *site.ty(y);
            if site.same(b, e) && same_type(a, d) {
                let sum = site.map(MapOp::Add, &[a.into(), d.into()]);
                let contracted = site.contract(c.clone(), sum, b);
                site.emit(node, contracted);
            } else if site.same(a, d) && same_type(b, e) {
                let sum = site.map(MapOp::Add, &[b.into(), e.into()]);
                let contracted = site.contract(c.clone(), a, sum);
                site.emit(node, contracted);
            }
        }
    }
}

/// Whether an e-node is a product of matrices, left axis 1 with right axis 0.
fn is_matmul(site: &Site<'_>, node: &ENode) -> bool {
    let matmul = Contraction::matmul();
    matches!(node.op(), Some(Op::Contract(c)) if *c == matmul)
        && node.children.iter().all(|&x| site.rank(x) == 2 && site.dtype(x).is_float())
}

fn matrix_chain(site: &mut Site<'_>, node: &ENode) {
    if !is_matmul(site, node) {
        return;
    }
    let mut chain = Vec::new();
    for &x in &node.children {
        add_matrices(site, x, &mut chain);
    }
    let n = chain.len();
    if !(3..=12).contains(&n) {
        return;
    }
    let shape = |i: usize| site.facts(chain[i]).ty.shape.iter().map(extent).collect::<Vec<_>>();
    let mut sizes: Vec<f64> = (0..n).map(|i| shape(i)[0] as f64).collect();
    sizes.push(shape(n - 1)[1] as f64);

    // cost[i][j]: the least work of matrices i..=j, and where to split for it.
    let mut cost = vec![vec![(0.0f64, 0usize); n]; n];
    for length in 1..n {
        for i in 0..n - length {
            let j = i + length;
            let work =
                |k: usize| cost[i][k].0 + cost[k + 1][j].0 + sizes[i] * sizes[k + 1] * sizes[j + 1];
            let best = (i..j).map(|k| (work(k), k));
            cost[i][j] = best.min_by(|a, b| a.0.total_cmp(&b.0)).expect("at least one split");
        }
    }
    let best = build_chain(site, &chain, &cost, 0, n - 1);
    site.emit(node, best);
}

fn add_matrices(site: &Site<'_>, x: Id, chain: &mut Vec<Id>) {
    let product = site
        .nodes(x, Kind::Contract)
        .find(|n| is_matmul(site, n) && n.children.iter().all(|&c| !site.same(c, x)));
    match product {
        Some(product) if chain.len() <= 12 => {
            for &x in &product.children {
                add_matrices(site, x, chain);
            }
        }
        _ => chain.push(site.egraph().find(x)),
    }
}

fn build_chain(
    site: &mut Site<'_>,
    chain: &[Id],
    cost: &[Vec<(f64, usize)>],
    i: usize,
    j: usize,
) -> Ref {
    if i == j {
        return chain[i].into();
    }
    let k = cost[i][j].1;
    let left = build_chain(site, chain, cost, i, k);
    let right = build_chain(site, chain, cost, k + 1, j);
    site.contract(Contraction::matmul(), left, right)
}
