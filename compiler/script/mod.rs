//! Runs scripts: `main` and `test` bodies.
//!
//! A script is a tree of host steps over slots, each slot one tensor. Regions are compiled by the
//! session when they are first reached with given sizes and called from then on; everything else
//! (loading, batches, printing, saving) happens here. The executor knows no operation.
//!
//! Invariants: a slot is read only after it was written (the checker's promise); a file is written
//! whole or not at all; standard output carries only what the script prints, progress goes to the
//! [`Console`].
//!
//! Neighbours: `check::typed` defines scripts, `session` compiles and calls regions.

mod batches;
mod console;
mod files;
mod format;
mod property;

pub use console::{Console, Transcript};
pub use format::{format_tensor, format_value};
pub use property::check_gradient;

use crate::check::nearest;
use crate::check::typed::{Input, Region, RegionId, Script, SlotId, Step, Text, TextPart};
use crate::diag::{Code, Diagnostic, Span, codes};
use crate::graph::{DimVar, Graph, NodeId, Origin, both_halves};
use crate::session::sizes::Sizes;
use crate::session::{Argument, CallError, Compiled, Session, Subject, Told};
use rustc_hash::FxHashMap;
use std::hash::Hash;
use std::path::PathBuf;
use std::sync::Arc;
use tensc_runtime::{DType, Scalar, Shape, Tensor};

/// What a script runs with.
pub struct Environment<'a> {
    /// Compiles and calls regions.
    pub session: &'a Session,
    /// Values for `input`s by name; the others take their defaults.
    pub inputs: &'a [(String, Scalar)],
    /// The folder that paths of `load` and `save` are relative to: the source's.
    pub base: PathBuf,
    /// Where printed lines and progress go.
    pub console: &'a mut dyn Console,
}

/// Runs a script to its end.
///
/// # Errors
/// A value for an input that is not there, is given twice, or is of another type; what only running
/// can tell: a file that is missing, malformed or of another shape, an index out of range, a failed
/// assertion, a size that comes out negative.
pub fn run<'a>(script: &'a Script, environment: Environment<'a>) -> Result<(), Diagnostic> {
    let mut executor = Executor {
        script,
        slots: vec![None; script.slots.len()],
        sizes: Sizes::default(),
        names: FxHashMap::default(),
        compiled: FxHashMap::default(),
        environment,
    };
    given_fit(&script.inputs, executor.environment.inputs)?;
    for input in &script.inputs {
        let given = executor.environment.inputs.iter().find(|(name, _)| *name == input.name);
        let value = given.map_or(input.default, |(_, value)| *value);
        executor.set(input.slot, scalar_tensor(value));
    }
    let result = executor.steps(&script.body).map(|_| ());
    executor.environment.console.finish();
    result
}

/// Whether each value is for an input, the only one for it, and of the type of its default.
fn given_fit(inputs: &[Input], given: &[(String, Scalar)]) -> Result<(), Diagnostic> {
    for (number, (name, value)) in given.iter().enumerate() {
        let Some(input) = inputs.iter().find(|input| input.name == *name) else {
            return Err(no_input(inputs, name));
        };
        if given[..number].iter().any(|(before, _)| before == name) {
            let message = format!("the input `{name}` is given twice");
            return Err(Diagnostic::error(codes::DUPLICATE, input.span, message));
        }
        let (declared, found) = (input.default.dtype(), value.dtype());
        if declared != found {
            let message = format!("the input `{name}` is {declared}, and was given {found}");
            return Err(Diagnostic::error(codes::DATA_SHAPE, input.span, message)
                .here(format!("{declared} by its default {}", input.default)));
        }
    }
    Ok(())
}

/// That no input has this name; at the one whose name is nearest.
fn no_input(inputs: &[Input], name: &str) -> Diagnostic {
    let message = format!("there is no input `{name}`");
    let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
    let meant = nearest(name, names.iter().copied());
    match inputs.iter().find(|input| meant.as_ref() == Some(&input.name)) {
        Some(input) => Diagnostic::error(codes::UNKNOWN_NAME, input.span, message)
            .help(format!("did you mean `{}`?", input.name)),
        None if names.is_empty() => Diagnostic::global(codes::UNKNOWN_NAME, message)
            .help("declare it: `input n: i64 = 3` before `main`"),
        None => Diagnostic::global(codes::UNKNOWN_NAME, message)
            .help(format!("the inputs are {}", names.join(", "))),
    }
}

/// How a list of steps ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flow {
    Next,
    Break,
    Continue,
}

struct Executor<'a> {
    script: &'a Script,
    slots: Vec<Option<Tensor>>,
    /// Sizes bound so far, by data and by loops.
    sizes: Sizes,
    /// The named sizes of each region reached so far.
    names: FxHashMap<RegionId, Vec<DimVar>>,
    /// Regions compiled so far, by the values of the sizes they mention.
    compiled: FxHashMap<(RegionId, Vec<i64>), Arc<Compiled>>,
    environment: Environment<'a>,
}

impl Executor<'_> {
    fn steps(&mut self, steps: &[Step]) -> Result<Flow, Diagnostic> {
        for step in steps {
            match self.step(step)? {
                Flow::Next => {}
                leave => return Ok(leave),
            }
        }
        Ok(Flow::Next)
    }

    fn step(&mut self, step: &Step) -> Result<Flow, Diagnostic> {
        match step {
            Step::Region(id) => self.region(*id)?,
            Step::Copy { from, to } => self.set(*to, self.get(*from).clone()),
            Step::Load { path, leaves, span } => self.load(path, leaves, *span)?,
            Step::Save { path, leaves, span } => self.save(path, leaves, *span)?,
            Step::Print(text) => {
                let line = self.text(text);
                self.environment.console.print(&line);
            }
            Step::Log(values) => {
                let values: Vec<(&str, f64)> = values
                    .iter()
                    .map(|(name, slot)| (name.as_str(), self.get(*slot).to_f64_vec()[0]))
                    .collect();
                self.environment.console.log(&values);
            }
            Step::Range { var, start, end, body } => {
                return self.range(*var, (*start, *end), body);
            }
            Step::Batches { .. } => return self.batches(step),
            Step::If { condition, then, otherwise } => {
                return self.steps(if self.truth(*condition) { then } else { otherwise });
            }
            Step::While { head, condition, body, limit, span } => {
                return self.repeat(head, *condition, body, *limit, *span);
            }
            Step::Break => return Ok(Flow::Break),
            Step::Continue => return Ok(Flow::Continue),
            Step::Assert { condition, message, span } => {
                if !self.truth(*condition) {
                    let message = self.text(message);
                    return Err(Diagnostic::error(codes::ASSERTION_FAILED, *span, message));
                }
            }
        }
        Ok(Flow::Next)
    }

    /// Compiles a region for the sizes bound now, unless it was before, and calls it.
    fn region(&mut self, id: RegionId) -> Result<(), Diagnostic> {
        let script = self.script;
        let region = &script.regions[id.0 as usize];
        let compiled = self.compile(id, region)?;
        let mut arguments = Vec::with_capacity(region.inputs.len());
        for (slot, dies) in &region.inputs {
            let place = &mut self.slots[slot.0 as usize];
            // A tensor that dies is moved in, so that its memory may take the result.
            let tensor = if *dies { place.take() } else { place.clone() };
            arguments.push(Argument::Owned(tensor.expect("a slot is written before it is read")));
        }
        let results = compiled.call(self.environment.session.pool(), arguments);
        let results = results.map_err(|e| call_failed(&e, Some(region.span)))?;
        for (slot, tensor) in region.outputs.iter().zip(results) {
            self.set(*slot, tensor);
        }
        Ok(())
    }

    fn compile(&mut self, id: RegionId, region: &Region) -> Result<Arc<Compiled>, Diagnostic> {
        let names = self.names.entry(id).or_insert_with(|| region.graph.named_sizes());
        let sizes: Vec<i64> = (names.iter())
            .map(|var| *self.sizes.get(var).expect("a size is bound before it is used"))
            .collect();
        if let Some(compiled) = self.compiled.get(&(id, sizes.clone())) {
            return Ok(Arc::clone(compiled));
        }
        let session = self.environment.session;
        let (identity, origins) = (region.graph.content_hash(), region.graph.live_origins());
        let key = both_halves(|hasher| ("region", identity, &origins, &sizes).hash(hasher));
        let compiled = session.compile_once(key, || {
            let graph = region.graph.with_sizes(&|var| self.sizes.get(var).copied());
            let graph = graph.map_err(CallError::Size)?;
            let subject = Subject {
                name: format!("region {} of main", id.0),
                origin: Origin::source(region.span),
                sizes: names.iter().map(|var| var.name.to_string()).zip(sizes.clone()).collect(),
                inputs: typed_inputs(&graph),
                identity,
            };
            Ok((graph, subject))
        });
        let compiled = compiled.map_err(|e| call_failed(&e, Some(region.span)))?;
        // What the session has dropped shall not be kept here.
        if self.compiled.len() >= session.options().capacity {
            self.compiled.clear();
        }
        self.compiled.insert((id, sizes), Arc::clone(&compiled));
        Ok(compiled)
    }

    fn range(
        &mut self,
        var: SlotId,
        (start, end): (SlotId, SlotId),
        body: &[Step],
    ) -> Result<Flow, Diagnostic> {
        let (start, end) = (self.integer(start), self.integer(end));
        let name = &self.script.slots[var.0 as usize].name;
        self.environment.console.enter(name, end.saturating_sub(start).max(0) as u64);
        for i in start..end {
            self.set(var, Tensor::scalar(i));
            if self.steps(body)? == Flow::Break {
                break;
            }
            self.environment.console.advance();
        }
        self.environment.console.leave();
        Ok(Flow::Next)
    }

    fn repeat(
        &mut self,
        head: &[Step],
        condition: SlotId,
        body: &[Step],
        limit: SlotId,
        span: Span,
    ) -> Result<Flow, Diagnostic> {
        let limit = self.integer(limit);
        for _ in 0..limit {
            self.steps(head)?;
            if !self.truth(condition) || self.steps(body)? == Flow::Break {
                return Ok(Flow::Next);
            }
        }
        self.steps(head)?;
        if self.truth(condition) {
            let message = format!("the loop did not end within its limit of {limit} turns");
            return Err(Diagnostic::error(codes::LOOP_LIMIT, span, message)
                .help("raise the limit, or make the condition become false"));
        }
        Ok(Flow::Next)
    }

    fn text(&self, text: &Text) -> String {
        let mut line = String::new();
        for part in text {
            match part {
                TextPart::Text(text) => line.push_str(text),
                TextPart::Value(slot, format) => {
                    line.push_str(&format_value(self.get(*slot), *format));
                }
            }
        }
        line
    }

    fn get(&self, slot: SlotId) -> &Tensor {
        self.slots[slot.0 as usize].as_ref().expect("a slot is written before it is read")
    }

    fn set(&mut self, slot: SlotId, tensor: Tensor) {
        self.slots[slot.0 as usize] = Some(tensor);
    }

    fn integer(&self, slot: SlotId) -> i64 {
        self.get(slot).as_slice::<i64>()[0]
    }

    fn truth(&self, slot: SlotId) -> bool {
        self.get(slot).as_slice::<bool>()[0]
    }
}

/// Name, element type and shape of each input of a graph whose sizes are known.
fn typed_inputs(graph: &Graph) -> Vec<(String, DType, Shape)> {
    let typed = |(name, node): &(String, NodeId)| {
        let ty = graph.ty(*node);
        (name.clone(), ty.dtype, ty.concrete_shape())
    };
    graph.inputs().iter().map(typed).collect()
}

/// The message about a call that failed, at `place` where the error has none of its own.
pub(crate) fn call_failed(error: &CallError, place: Option<Span>) -> Diagnostic {
    let code = match error {
        CallError::Graph(_) | CallError::Compile(_) => codes::NO_CODE,
        CallError::Memory(_) => codes::NO_MEMORY,
        CallError::Index { .. } => codes::INDEX_OUT_OF_RANGE,
        CallError::Size(_) => codes::BAD_SIZE,
        CallError::Open { .. } => codes::CANNOT_INFER,
        CallError::Count { .. } | CallError::Places { .. } | CallError::Type { .. } => {
            codes::DATA_SHAPE
        }
    };
    let origin = error.origin();
    let Some(place) = place.or(origin.and_then(|o| o.span)) else {
        return Diagnostic::global(code, error.to_string());
    };
    let diagnostic = |message: String| placed(code, origin, place, message);
    match error {
        CallError::Type { input, declared, dtype, shape, mismatch, told } => {
            let message = format!("`{}` needs {declared}, found {dtype}{shape}", input.name);
            let place = |told: &Told| Some((told.input.origin.span?, told.to_string()));
            (told.iter().filter_map(place))
                .fold(diagnostic(message).here(mismatch.to_string()), |d, (span, text)| {
                    d.label(span, text)
                })
        }
        CallError::Count { missing: Some(_), .. } => {
            diagnostic(error.to_string()).here("there is no argument for this")
        }
        _ => diagnostic(error.to_string()),
    }
}

/// A message about what a node comes from: inside the library, at the call that led there.
fn placed(code: Code, origin: Option<Origin>, region: Span, message: String) -> Diagnostic {
    let Some(Origin { span: Some(span), call, .. }) = origin else {
        return Diagnostic::error(code, region, message);
    };
    match call {
        Some(call) => Diagnostic::error(code, call, message).label(span, "in this of the library"),
        None => Diagnostic::error(code, span, message),
    }
}

fn scalar_tensor(value: Scalar) -> Tensor {
    if value.dtype().is_float() {
        Tensor::from_f64_slice(value.dtype(), &[value.to_f64()], [])
    } else {
        tensc_runtime::with_element!(value.dtype(), T => {
            Tensor::scalar(<T as tensc_runtime::Element>::from_i64(value.to_i64()))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diag::SourceId;

    #[test]
    fn each_failure_of_a_call_has_its_code() {
        let (region, at) = (Span::new(SourceId(0), 0, 9), Span::new(SourceId(0), 2, 3));
        let told = |error: CallError| {
            let diagnostic = call_failed(&error, Some(region));
            let text = format!("error[{}]: {}", diagnostic.code, diagnostic.message);
            (text, diagnostic.primary.expect("a place").span)
        };
        let text = "error[E0609]: no code for this machine: it is unknown".to_string();
        let message = || "no code for this machine: it is unknown".to_string();
        assert_eq!(told(CallError::Compile(message())), (text, region));
        let index = CallError::Index { origin: Origin::source(at), message: String::new() };
        assert_eq!(told(index).1, at);
        let memory = CallError::Memory(String::new());
        assert_eq!(told(memory).1, region);
    }
}
