//! The engines that every program runs on, and what it means that their results agree.

use tensc::codegen::{self, Isa};
use tensc::pipeline;
use tensc::session::{Backend, Options, Session};
use tensc::{DType, Tensor};

/// An engine and its name in messages.
pub struct Engine {
    pub name: &'static str,
    pub session: Session,
}

/// The interpreter first: the others, code for `isa`, are held against it. Optimised code runs with
/// every buffer between pages that may not be touched.
pub fn engines(isa: Isa) -> Vec<Engine> {
    let jit = |name, threads, optimise, divide_all| {
        let emit = codegen::Options { isa, divide_all, ..codegen::Options::default() };
        let compile = pipeline::Options { optimise, emit, ..pipeline::Options::default() };
        let backend = Backend::Jit;
        let options = Options { threads, backend, compile, guard: optimise, ..Options::default() };
        Engine { name, session: Session::new(options) }
    };
    let interpreter = Options { threads: 1, backend: Backend::Interpreter, ..Options::default() };
    vec![
        Engine { name: "interpreter", session: Session::new(interpreter) },
        jit("unoptimised code", 1, false, false),
        jit(ONE_THREAD, 1, true, false),
        // Kernels are divided however small they are, or threads would rarely meet.
        jit(TWO_THREADS, 2, true, true),
    ]
}

/// These two must agree bit for bit.
pub const ONE_THREAD: &str = "optimised code";
pub const TWO_THREADS: &str = "optimised code on two threads";

/// How far an element may be from the interpreter's: relatively, and, against cancellation,
/// relatively to the largest magnitude of the tensor.
pub fn tolerance(dtype: DType) -> f64 {
    match dtype {
        DType::F64 => 1e-12,
        DType::F32 => 1e-5,
        DType::F16 => 4e-3,
        DType::BF16 => 3e-2,
        DType::Bool | DType::U8 | DType::I8 | DType::I16 | DType::I32 | DType::I64 => 0.0,
    }
}

/// What is wrong with a result, if anything.
pub fn difference(expected: &Tensor, found: &Tensor) -> Option<String> {
    if expected.dtype() != found.dtype() || expected.shape() != found.shape() {
        let (a, b) = ((expected.dtype(), expected.shape()), (found.dtype(), found.shape()));
        return Some(format!("{}{} instead of {}{}", b.0, b.1, a.0, a.1));
    }
    if !expected.dtype().is_float() {
        let same = expected.as_bytes() == found.as_bytes();
        let (a, b) = (expected.to_f64_vec(), found.to_f64_vec());
        let at = a.iter().zip(&b).position(|(x, y)| x != y).unwrap_or_default();
        return (!same).then(|| format!("element {at} is {} instead of {}", b[at], a[at]));
    }
    let (a, b) = (expected.to_f64_vec(), found.to_f64_vec());
    let finite = |x: &f64| x.is_finite();
    let largest = a.iter().copied().filter(finite).fold(0.0, |m: f64, x| m.max(x.abs()));
    let allowed = tolerance(expected.dtype());
    let close = |x: f64, y: f64| {
        if !(x.is_finite() && y.is_finite()) {
            return x == y || (x.is_nan() && y.is_nan());
        }
        (x - y).abs() <= allowed * x.abs().max(largest).max(1e-3)
    };
    let at = (0..a.len()).find(|&i| !close(a[i], b[i]))?;
    Some(format!("element {at} of {} is {:?} instead of {:?}", a.len(), b[at], a[at]))
}

/// Whether two printed lines say the same: words exactly, integers exactly, other numbers within a
/// relative tolerance.
pub fn same_line(expected: &str, found: &str, tolerance: f64) -> bool {
    let (a, b) = (tokens(expected), tokens(found));
    a.len() == b.len()
        && a.iter().zip(&b).all(|(x, y)| {
            let integers = [x, y].into_iter().all(|t| t.parse::<i64>().is_ok());
            match (x.parse::<f64>(), y.parse::<f64>()) {
                (Ok(x), Ok(y)) if !integers => {
                    x == y
                        || (x.is_nan() && y.is_nan())
                        || (x - y).abs() <= tolerance * x.abs().max(1.0)
                }
                _ => x == y,
            }
        })
}

/// Numbers as one token each, everything else character by character.
fn tokens(line: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut in_word = false;
    for c in line.chars() {
        let of_word = c.is_alphanumeric() || "+-._".contains(c);
        match tokens.last_mut() {
            Some(word) if in_word && of_word => word.push(c),
            _ => tokens.push(c.to_string()),
        }
        in_word = of_word;
    }
    tokens
}

#[test]
fn lines_are_compared_by_what_they_say() {
    assert!(same_line("loss 0.1000001, 3 steps", "loss 0.1, 3 steps", 1e-5));
    assert!(!same_line("loss 0.1001, 3 steps", "loss 0.1, 3 steps", 1e-5));
    assert!(!same_line("100001", "100000", 1e-2));
    assert!(same_line("[3, NaN]", "[2.9999999, NaN]", 1e-5));
    assert!(!same_line("[3, 4]", "[3, 4, 5]", 1e-5));
    assert!(!same_line("1 true", "1 false", 1.0));
}

#[test]
fn tensors_are_compared_by_their_types_tolerance() {
    let of = |x: f32| Tensor::from_slice(&[1.0f32, x], [2]);
    assert_eq!(difference(&of(2.0), &of(2.000001)), None);
    assert!(difference(&of(2.0), &of(2.001)).is_some());
    assert!(difference(&of(f32::NAN), &of(f32::NAN)).is_none());
    assert!(difference(&of(f32::INFINITY), &of(f32::MAX)).is_some());
    assert!(difference(&Tensor::scalar(1i64), &Tensor::scalar(2i64)).is_some());
    assert!(difference(&Tensor::scalar(1i64), &Tensor::scalar(1i32)).is_some());
}
