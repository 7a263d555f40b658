//! What the analysis says of values, against the values: at the ends of every type.

use super::rules::Raw;
use super::{compare, special, tensor};
use crate::graph::fused::ReduceOp;
use crate::graph::{Dim, MapOp, NodeId, Op};
use crate::rewrite::interval::Interval;
use crate::rewrite::{Numerics, Options, optimise};
use tensc_runtime::{DType, Scalar, Shape};

/// Numbers of a type in ascending order, the first and the last of some, and the bounds of these.
struct Span {
    of: Vec<Scalar>,
    bounds: Interval,
}

/// From each special value of the type to itself, from the least to it, from it to the largest;
/// and where there is a NaN, all of them with it.
fn spans(dtype: DType) -> Vec<Span> {
    let (mut numbers, rest): (Vec<Scalar>, Vec<Scalar>) =
        special(dtype).into_iter().partition(|s| !s.to_f64().is_nan());
    numbers.sort_by(|a, b| {
        let by_value = a.to_f64().total_cmp(&b.to_f64());
        by_value.then(a.to_i64().cmp(&b.to_i64()))
    });
    numbers.dedup();
    let span = |of: &[Scalar]| {
        let points = of.iter().map(|&s| Interval::point(s));
        let bounds = points.reduce(Interval::hull).expect("some");
        Span { of: of.to_vec(), bounds }
    };
    let mut spans = Vec::new();
    for at in 0..numbers.len() {
        spans.extend([span(&numbers[at..=at]), span(&numbers[..=at]), span(&numbers[at..])]);
    }
    if let [nan, ..] = rest[..] {
        let with_nan = [&numbers[..], &[nan]].concat();
        spans.push(span(&with_nan));
    }
    spans
}

fn holds(bounds: Interval, value: Scalar) -> bool {
    if value.dtype().is_float() {
        let x = value.to_f64();
        return if x.is_nan() { bounds.nan } else { bounds.low <= x && x <= bounds.high };
    }
    // As integers: an `f64` between them would round.
    let x = i128::from(value.to_i64());
    bounds.low as i128 <= x && x <= bounds.high as i128
}

#[test]
fn elementwise_results_are_within_their_bounds() {
    let mut wrong = Vec::new();
    for op in MapOp::ALL {
        for dtype in DType::ALL {
            let types: Vec<DType> = match (op, op.row().arity) {
                (MapOp::Select, _) => vec![DType::Bool, dtype, dtype],
                (_, arity) => vec![dtype; arity],
            };
            if op.row().result(&types).is_ok() {
                wrong.extend(out_of_bounds(op, &types));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Operands of these types for which the result is not within the bounds that follow from theirs.
fn out_of_bounds(op: MapOp, types: &[DType]) -> Option<String> {
    let result = op.row().result(types).expect("it takes these types");
    let operands: Vec<Vec<Span>> = types.iter().map(|&ty| spans(ty)).collect();
    let mut found = None;
    every(&operands, &mut Vec::new(), &mut |chosen| {
        let bounds: Vec<Interval> = chosen.iter().map(|span| span.bounds).collect();
        let bounds = Interval::map(op, result, &bounds);
        let values: Vec<Vec<Scalar>> = chosen.iter().map(|span| some(&span.of)).collect();
        every(&values, &mut Vec::new(), &mut |x| {
            let x: Vec<Scalar> = x.iter().map(|&&s| s).collect();
            let y = op.row().scalar(&x);
            if !holds(bounds, y) {
                found = Some(format!("{op:?} of {x:?}: {y} is not in {bounds:?}"));
            }
        });
    });
    found
}

/// The first, the last and one between them.
fn some(of: &[Scalar]) -> Vec<Scalar> {
    vec![of[0], of[of.len() / 2], of[of.len() - 1]]
}

/// Tells `see` of every choice of one of each.
fn every<'a, T>(of: &'a [Vec<T>], chosen: &mut Vec<&'a T>, see: &mut dyn FnMut(&[&'a T])) {
    let Some(next) = of.get(chosen.len()) else { return see(chosen) };
    for one in next {
        chosen.push(one);
        every(of, chosen, see);
        chosen.pop();
    }
}

#[test]
fn conversions_and_sums_are_within_their_bounds() {
    for from in DType::ALL {
        for Span { of, bounds } in spans(from) {
            for to in DType::ALL {
                let converted = bounds.convert(from, to);
                for &x in &of {
                    let y = match from.is_float() {
                        true => Scalar::from_f64(to, x.to_f64()),
                        false => Scalar::from_i64(to, x.to_i64()),
                    };
                    assert!(holds(converted, y), "{x} to {to}: {y} is not in {converted:?}");
                }
            }
            if from == DType::Bool {
                continue;
            }
            let add = |a: Scalar, b: Scalar| MapOp::Add.row().scalar(&[a, b]);
            let (first, last) = (of[0], of[of.len() - 1]);
            for terms in [vec![first], vec![first, last], vec![first, first, first, last]] {
                let bounds = bounds.sum(terms.len(), from);
                let y = terms.iter().copied().reduce(add).expect("some");
                assert!(holds(bounds, y), "the sum of {terms:?}: {y} is not in {bounds:?}");
            }
        }
    }
}

/// A choice that an interval decides is the same, with `x` every special value.
fn decided(dtype: DType, build: impl Fn(&mut Raw, NodeId) -> NodeId) {
    let mut raw = Raw(crate::graph::Graph::new());
    let x = raw.input(dtype, &[12]);
    let y = build(&mut raw, x);
    raw.0.add_output("y", y);
    let options = Options::of(Numerics::Exact);
    let (result, _) = optimise(&raw.0, &options);
    let x = tensor(dtype, special(dtype).into_iter(), Shape::new(&[12]));
    compare(&raw.0, &result, &[x], Numerics::Exact);
}

#[test]
fn a_checked_index_counts_from_the_end() {
    for (low, high) in [(-3.0, 2.0), (-9.0, -4.0), (2.0, 7.0), (-10.0, 9.0)] {
        for at_least in [1.0, 5.0, 7.0] {
            decided(DType::I64, |g, x| {
                let number = |g: &mut Raw, n: f64| g.full(n, DType::I64, &[12]);
                let (low, high) = (number(g, low), number(g, high));
                let at_least = number(g, at_least);
                let x = g.op(MapOp::Max, &[x, low]);
                let x = g.op(MapOp::Min, &[x, high]);
                let x = g.op(Op::CheckIndex(Dim::Const(10)), &[x]);
                g.op(MapOp::Max, &[x, at_least])
            });
        }
    }
}

#[test]
fn the_distance_to_the_largest_wraps() {
    for dtype in DType::ALL.into_iter().filter(|d| *d != DType::Bool) {
        decided(dtype, |g, x| {
            let largest = g.op(Op::Reduce(ReduceOp::Max, [0u8][..].into()), &[x]);
            let largest = g.repeat(largest, &[12], &[]);
            let below = g.op(MapOp::Sub, &[x, largest]);
            let one = g.full(1.0, dtype, &[12]);
            g.op(MapOp::Max, &[below, one])
        });
    }
}
