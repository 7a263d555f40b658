//! A function with its arguments, called again and again: what `bench` and `profile` measure.
//!
//! A parameter whose name is that of a field of the result, and whose data is a `state_NAME` file,
//! is state: each call is given the last call's value, memory included.

use super::inspect::{sizes, with_sizes};
use super::output::{Error, Output};
use super::{Measure, calls};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tensc::graph::{Graph, TensorType};
use tensc::module::{Function, Module};
use tensc::session::{Argument, CallError, Compiled, Session, enough_memory};
use tensc_runtime::{Element, Tensor, TensorView, data, rng, with_element};

/// A compiled function, its arguments, and the results of the last call.
pub struct Workbench {
    module: Module,
    session: Session,
    graph: Graph,
    compiled: Arc<Compiled>,
    parameters: Vec<Parameter>,
    names: Vec<String>,
    /// By result. What became an argument of the next call is gone.
    results: Vec<Option<Tensor>>,
    /// Whether `results` holds the state.
    called: bool,
    /// From the start of reading the source to machine code, loading of data apart.
    pub compile_time: Duration,
}

struct Parameter {
    /// What it is, for state at the start.
    value: Tensor,
    /// The result that takes its place, for state.
    result: Option<usize>,
}

impl Workbench {
    /// Loads the module and the data, and compiles.
    ///
    /// # Errors
    /// What is wrong with the source, the data or the way they are used together.
    pub fn new(measure: &Measure, output: &Output) -> Result<Workbench, Error> {
        let start = Instant::now();
        let session = measure.engine.session(output)?;
        let module = Module::from_file(&measure.file)?;
        let function = calls::function(&module, &measure.function)?;
        let mut compile_time = start.elapsed();
        let failure = |e: CallError| module.call_failure(&e);
        let names: Vec<String> = function.results().into_iter().map(|(name, _)| name).collect();
        let (graph, parameters) = match &measure.data {
            Some(folder) => {
                let parameters = from_files(&function, folder, &names)?;
                let views: Vec<TensorView<'_>> =
                    parameters.iter().map(|p| p.value.view()).collect();
                (function.specialise(&views)?, parameters)
            }
            None => {
                let graph = &function.typed().graph;
                let sizes = sizes(&measure.sizes, std::iter::once(graph))?;
                let graph = with_sizes(graph, &sizes)?;
                let types = || graph.inputs().iter().map(|(_, node)| graph.ty(*node));
                let bytes = types().map(|ty| ty.concrete_shape().elements() * ty.dtype.size());
                enough_memory(bytes.fold(0, usize::saturating_add)).map_err(failure)?;
                let made = types().zip(0..).map(|(ty, number)| made_up(ty, number)).collect();
                (graph, made)
            }
        };
        let start = Instant::now();
        let compiled = session.compile_graph(&graph).map_err(failure)?;
        compile_time += start.elapsed();
        let results = vec![None; names.len()];
        Ok(Workbench {
            module,
            session,
            graph,
            compiled,
            parameters,
            names,
            results,
            called: false,
            compile_time,
        })
    }

    /// The executable.
    pub fn compiled(&self) -> &Compiled {
        &self.compiled
    }

    /// What the function is of.
    pub fn module(&self) -> &Module {
        &self.module
    }

    /// What was compiled.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The arguments of the first call.
    pub fn arguments(&self) -> Vec<TensorView<'_>> {
        self.parameters.iter().map(|parameter| parameter.value.view()).collect()
    }

    /// The session whose threads it runs on.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// State as it was at the start.
    pub fn reset(&mut self) {
        self.called = false;
    }

    /// One call.
    ///
    /// # Errors
    /// Where an index is out of range.
    pub fn call(&mut self) -> Result<(), Error> {
        self.call_observed(None)
    }

    /// One call; `observe` is told the number and the time of each kernel.
    ///
    /// # Errors
    /// As `call`.
    pub fn call_timed(&mut self, observe: &mut dyn FnMut(&[usize], Duration)) -> Result<(), Error> {
        self.call_observed(Some(observe))
    }

    fn call_observed(
        &mut self,
        observe: Option<&mut dyn FnMut(&[usize], Duration)>,
    ) -> Result<(), Error> {
        let mut arguments: Vec<Argument<'_>> = Vec::with_capacity(self.parameters.len());
        for parameter in &self.parameters {
            let last = parameter.result.filter(|_| self.called);
            arguments.push(match (parameter.result, last.and_then(|r| self.results[r].take())) {
                (_, Some(state)) => Argument::Owned(state),
                (Some(_), None) => Argument::Owned(parameter.value.view().to_tensor()),
                (None, None) => Argument::Borrowed(parameter.value.view()),
            });
        }
        let (pool, results) = (self.session.pool(), &mut self.results);
        match observe {
            None => self.compiled.call_reusing(pool, &mut arguments, results),
            Some(observe) => self.compiled.call_timed(pool, &mut arguments, results, observe),
        }
        .map_err(|e| self.module.call_failure(&e))?;
        self.called = true;
        Ok(())
    }

    /// Writes each field of the last result to `folder`, as `NAME.npy`.
    ///
    /// # Errors
    /// Where a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<(), Error> {
        for (name, result) in self.names.iter().zip(&self.results) {
            let Some(tensor) = result else {
                return Err(Error::other("there was no call whose results could be saved"));
            };
            data::save(&folder.join(format!("{name}.npy")), tensor)?;
        }
        Ok(())
    }
}

/// Each parameter from `in_NAME.npy` or `state_NAME.npy`.
fn from_files(
    function: &Function,
    folder: &Path,
    results: &[String],
) -> Result<Vec<Parameter>, Error> {
    let mut parameters = Vec::new();
    for (name, _) in function.parameters() {
        let constant = folder.join(format!("in_{name}.npy"));
        let state = folder.join(format!("state_{name}.npy"));
        let (file, result) = match state.exists() {
            true => (state, results.iter().position(|result| *result == name)),
            false => (constant, None),
        };
        let loaded = data::load(&file)?.into_tensor().expect("an npy file holds one tensor");
        // Owned, as a program's own tensors are: the pages of a mapped file are small.
        let value = loaded.view().to_tensor();
        parameters.push(Parameter { value, result });
    }
    Ok(parameters)
}

/// Data for a parameter that no file gives: floats uniform in [0, 1), everything else 0, which is a
/// valid index wherever there is one.
fn made_up(ty: &TensorType, number: i64) -> Parameter {
    let shape = ty.concrete_shape();
    let key = rng::key(number);
    let mut value = Tensor::zeros(ty.dtype, shape);
    if ty.dtype.is_float() {
        with_element!(ty.dtype, T => {
            for (element, i) in value.as_mut_slice::<T>().iter_mut().zip(0..) {
                *element = Element::from_f64(f64::from(rng::uniform_f32(key, i)));
            }
        });
    }
    Parameter { value, result: None }
}
