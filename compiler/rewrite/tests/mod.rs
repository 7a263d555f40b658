//! Tests of rewriting: random graphs and whole models against the interpreter, before and after;
//! every rule by itself.

mod blocks;
mod examples;
mod intervals;
mod limits;
mod random;
mod rules;

use super::{Numerics, Options, Report, optimise};
use crate::graph::{Graph, interpret};
use tensc_runtime::{DType, Element, Scalar, Shape, Tensor, with_element};

/// Values of a type that break identities: where it begins and ends, zeros of both signs,
/// infinities, NaN, a neighbour of 1, large, small and subnormal; integers that an `f64` does not
/// hold.
fn special(dtype: DType) -> [Scalar; 12] {
    if dtype.is_float() {
        let of = |x: f64| Scalar::from_f64(dtype, x);
        let beside =
            |x: f64, by| Scalar::from_bits(dtype, of(x).bits().wrapping_add_signed(by)).to_f64();
        let (after_one, most) = (beside(1.0, 1), beside(f64::INFINITY, -1));
        let (top, bottom) = (f64::INFINITY, f64::NEG_INFINITY);
        let numbers = [0.0, -0.0, 1.0, -1.0, after_one, 3.3, -2.5e-40, 1e30, -most, top, bottom];
        return std::array::from_fn(|i| of(numbers.get(i).copied().unwrap_or(f64::NAN)));
    }
    let (least, most) = match dtype {
        DType::U8 | DType::Bool => (0, 255),
        _ => {
            let unused = 64 - 8 * dtype.size();
            (i64::MIN >> unused, i64::MAX >> unused)
        }
    };
    let odd = (1 << 53) + 1;
    [0, 1, -1, 2, 3, -7, 100, odd, least, least + 1, most, most - 1]
        .map(|x| Scalar::from_i64(dtype, x))
}

/// A tensor of these elements, repeated.
fn tensor(dtype: DType, values: impl Iterator<Item = Scalar>, shape: Shape) -> Tensor {
    with_element!(dtype, T => {
        let element = |s: Scalar| match dtype.is_float() {
            true => T::from_f64(s.to_f64()),
            false => T::from_i64(s.to_i64()),
        };
        Tensor::from_slice(&values.map(element).collect::<Vec<T>>(), shape)
    })
}

fn element(tensor: &Tensor, at: usize) -> Scalar {
    with_element!(tensor.dtype(), T => Scalar::new(tensor.as_slice::<T>()[at]))
}

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
        DType::F16 => 1e-3,
        DType::BF16 => 8e-3,
        DType::F32 => 1e-6,
        DType::F64 => 1e-14,
        _ => 0.0,
    };
    let tolerance = match numerics {
        Numerics::Exact => 0.0,
        _ => 40.0 * epsilon,
    };
    if !a.dtype().is_float() {
        // An `f64` does not hold every integer.
        let at = (0..a.len()).find(|&at| element(a, at) != element(b, at))?;
        return Some(format!("element {at} was {}, is {}", element(a, at), element(b, at)));
    }
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
