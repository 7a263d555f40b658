//! Source text, compiled and called as a host program would; and answers compared with truth.

use crate::collection::Fault;
use tensc::{CallError, DType, Module, Session, Tensor};

/// How far an answer may be from the truth: `abs + rel * |truth|`.
#[derive(Clone, Copy, Debug)]
pub struct Tolerance {
    pub abs: f64,
    pub rel: f64,
}

/// A checked source.
pub struct Program {
    module: Module,
}

impl Program {
    /// Checks a source.
    pub fn new(text: &str) -> Result<Program, Fault> {
        let module = Module::from_source("case.tx", text)
            .map_err(|failure| Fault::Error(format!("{failure}\n{text}")))?;
        Ok(Program { module })
    }

    /// Calls a function of it.
    pub fn call(
        &self,
        session: &Session,
        function: &str,
        arguments: &[&Tensor],
    ) -> Result<Vec<Tensor>, Fault> {
        let views: Vec<_> = arguments.iter().map(|t| t.view()).collect();
        let function = self.module.function(function).expect("the source has it");
        let called: Result<_, CallError> = function.call(session, &views);
        called.map_err(|e| Fault::Error(e.to_string()))
    }
}

/// The type of a tensor as a source writes it.
pub fn type_of(tensor: &Tensor) -> String {
    let sizes: Vec<String> = tensor.shape().iter().map(usize::to_string).collect();
    match sizes.is_empty() {
        true => tensor.dtype().to_string(),
        false => format!("{}[{}]", tensor.dtype(), sizes.join(", ")),
    }
}

/// Parameters of a function: `in0: f64[3], in1: i64`.
pub fn parameters<'a>(of: impl IntoIterator<Item = (&'a str, &'a Tensor)>) -> String {
    let written: Vec<String> =
        of.into_iter().map(|(name, t)| format!("{name}: {}", type_of(t))).collect();
    written.join(", ")
}

/// A float tensor in another float type; any other tensor as it is.
pub fn in_type(tensor: &Tensor, dtype: DType) -> Tensor {
    match tensor.dtype().is_float() {
        true => Tensor::from_f64_slice(dtype, &tensor.to_f64_vec(), tensor.shape().clone()),
        false => tensor.clone(),
    }
}

impl Tolerance {
    fn allows(self, found: f64, truth: f64) -> bool {
        let off = (found - truth).abs();
        found == truth
            || (found.is_nan() && truth.is_nan())
            || off <= self.abs + self.rel * truth.abs()
    }
}

/// The truth, and where what is exact of other inputs is further from it than is allowed, that.
pub fn moved(truth: &Tensor, exact: &Tensor, tolerance: Tolerance) -> Tensor {
    let pairs = truth.to_f64_vec().into_iter().zip(exact.to_f64_vec());
    let either: Vec<f64> = pairs.map(|(t, e)| if tolerance.allows(e, t) { t } else { e }).collect();
    Tensor::from_f64_slice(truth.dtype(), &either, truth.shape().clone())
}

/// Says where two tensors differ by more than is allowed.
pub fn compare(
    what: &str,
    found: &Tensor,
    truth: &Tensor,
    tolerance: Tolerance,
) -> Result<(), Fault> {
    let wrong = |text: String| Err(Fault::Mismatch(format!("{what}: {text}")));
    if found.shape() != truth.shape() {
        return wrong(format!("shape {} instead of {}", found.shape(), truth.shape()));
    }
    if found.dtype().is_float() != truth.dtype().is_float() {
        return wrong(format!("{} instead of {}", found.dtype(), truth.dtype()));
    }
    let (found, truth) = (found.to_f64_vec(), truth.to_f64_vec());
    let pairs = found.iter().zip(&truth).enumerate();
    let off = pairs.filter(|(_, (a, b))| !tolerance.allows(**a, **b));
    let off: Vec<_> = off.collect();
    match off.first() {
        None => Ok(()),
        Some((at, (a, b))) => {
            let (n, all) = (off.len(), found.len());
            wrong(format!("{a:e} instead of {b:e} at {at}, {n} of {all} differ"))
        }
    }
}
