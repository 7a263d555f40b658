//! Tests of rewriting: random graphs and whole models against the interpreter, before and after;
//! every rule by itself.

mod blocks;
mod examples;
mod random;
mod rules;

use super::{Numerics, Options, Report, optimise};
use crate::graph::{Graph, interpret};
use tensc_runtime::Tensor;

/// Optimises, and checks that both graphs compute the same.
fn check(graph: &Graph, inputs: &[Tensor], numerics: Numerics) -> (Graph, Report) {
    let (result, report) = optimise(graph, &Options::of(numerics));
    compare(graph, &result, inputs, numerics);
    (result, report)
}

/// Fails where outputs differ by more than the class of rules allows.
fn compare(graph: &Graph, result: &Graph, inputs: &[Tensor], numerics: Numerics) {
    let before = interpret(graph, inputs).expect("the original runs");
    let after = interpret(result, inputs)
        .unwrap_or_else(|e| panic!("the result runs: {e:?}\n{graph}\n->\n{result}"));
    for (((name, _), a), b) in graph.outputs().iter().zip(&before).zip(&after) {
        if let Some(difference) = difference(a, b, numerics) {
            panic!("output {name}: {difference}\n{graph}\n->\n{result}");
        }
    }
}

/// The first element in which two tensors differ by more than is allowed.
fn difference(a: &Tensor, b: &Tensor, numerics: Numerics) -> Option<String> {
    assert_eq!((a.dtype(), a.shape()), (b.dtype(), b.shape()), "type of the result");
    let epsilon = match a.dtype() {
        tensc_runtime::DType::F16 => 1e-3,
        tensc_runtime::DType::BF16 => 8e-3,
        tensc_runtime::DType::F32 => 1e-6,
        tensc_runtime::DType::F64 => 1e-14,
        _ => 0.0,
    };
    let tolerance = match numerics {
        Numerics::Exact => 0.0,
        _ => 40.0 * epsilon,
    };
    let (a, b) = (a.to_f64_vec(), b.to_f64_vec());
    a.iter()
        .zip(&b)
        .position(|(x, y)| {
            let same = x == y && x.is_sign_negative() == y.is_sign_negative()
                || x.is_nan() && y.is_nan()
                || numerics > Numerics::Exact && x == y
                || (x - y).abs() <= tolerance * (1.0 + x.abs().max(y.abs()));
            !same
        })
        .map(|at| format!("element {at} was {}, is {}", a[at], b[at]))
}
