//! Tests of properties: a gradient beside central differences.
//!
//! Parameters are drawn from keys that depend on their place only: a test draws the same always.

use super::call_failed;
use crate::check::typed::{GradientTest, Moving};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::Graph;
use crate::session::{Argument, CallError, Compiled, Session};
use std::sync::Arc;
use tensc_runtime::{Tensor, rng};

/// Half the distance of the points that differences are of.
const STEP: f64 = 1e-5;
/// Elements of a parameter that are looked at; of longer ones as many, spread evenly.
const ELEMENTS: usize = 64;

/// Compares the gradient with differences in every direction.
///
/// # Errors
/// Where they disagree, or the function has no finite value.
pub fn check_gradient(
    test: &GradientTest,
    session: &Session,
    span: Span,
) -> Result<(), Diagnostic> {
    let fails = |message: String| Diagnostic::error(codes::ASSERTION_FAILED, span, message);
    let compile = |graph: &Graph| -> Result<Arc<Compiled>, Diagnostic> {
        session.compile_graph(graph).map_err(|e| call_failed(&e, Some(span)))
    };
    let run = |compiled: &Compiled, inputs: &[Tensor]| -> Result<Vec<Tensor>, Diagnostic> {
        let arguments = inputs.iter().map(|t| Argument::Borrowed(t.view())).collect();
        compiled.call(session.pool(), arguments).map_err(|e| match e {
            CallError::Index { .. } => {
                call_failed(&e, Some(span)).note("`gradcheck` draws integers from 0 and 1")
            }
            _ => call_failed(&e, Some(span)),
        })
    };
    let (value, gradient) = (compile(&test.value)?, compile(&test.gradient)?);
    let mut inputs = drawn(&test.value);
    let at = |inputs: &[Tensor]| Ok(run(&value, inputs)?[0].to_f64_vec()[0]);
    let first = at(&inputs)?;
    if !first.is_finite() {
        let message = format!("`{}` is {first} where its gradient is checked", test.function);
        let help = "parameters are drawn from -1 to 1: check a function that brings them where it \
                    is finite, such as fn(x: f32[3]) = f(exp(x))";
        return Err(fails(message).help(help));
    }
    let gradients = run(&gradient, &inputs)?;
    for (Moving { name, input }, gradient) in test.moving.iter().zip(&gradients[1..]) {
        let found = gradient.to_f64_vec();
        let stride = found.len().div_ceil(ELEMENTS).max(1);
        for element in (0..found.len()).step_by(stride) {
            let before = inputs[*input].as_slice::<f64>()[element];
            let mut moved = |by: f64| -> Result<f64, Diagnostic> {
                inputs[*input].as_mut_slice::<f64>()[element] = before + by;
                at(&inputs)
            };
            let wanted = (moved(STEP)? - moved(-STEP)?) / (2.0 * STEP);
            moved(0.0)?;
            inputs[*input].as_mut_slice::<f64>()[element] = before;
            let have = found[element];
            let scale = have.abs().max(wanted.abs()).max(first.abs()).max(1.0);
            // NaN is not close to anything.
            let close = (have - wanted).abs() <= test.tolerance * scale;
            if !close {
                let place = place(element, gradient.shape());
                let message = format!(
                    "the gradient of `{}` by `{name}{place}` is {have}, differences give {wanted}",
                    test.function
                );
                return Err(fails(message));
            }
        }
    }
    Ok(())
}

/// `[2, 1]`; nothing for a scalar.
fn place(mut element: usize, shape: &[usize]) -> String {
    if shape.is_empty() {
        return String::new();
    }
    let mut index: Vec<String> = Vec::with_capacity(shape.len());
    for &size in shape.iter().rev() {
        index.push((element % size).to_string());
        element /= size;
    }
    index.reverse();
    format!("[{}]", index.join(", "))
}

/// A value for each input: floats from -1 to 1, integers from 0 and 1.
fn drawn(graph: &Graph) -> Vec<Tensor> {
    let draw = |(number, (_, node)): (usize, &(String, crate::graph::NodeId))| {
        let ty = graph.ty(*node);
        let shape = ty.concrete_shape();
        let key = rng::fold_in(rng::key(0), number as i64);
        let at = |i: u64| rng::uniform_f64(key, i);
        let count = shape.elements() as u64;
        let value = |i: u64| match ty.dtype.is_float() {
            true => 2.0 * at(i) - 1.0,
            false => f64::from(u8::from(at(i) >= 0.5)),
        };
        let values: Vec<f64> = (0..count).map(value).collect();
        Tensor::from_f64_slice(ty.dtype, &values, shape)
    };
    graph.inputs().iter().enumerate().map(draw).collect()
}
