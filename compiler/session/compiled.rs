//! One compiled graph and how it is called.
//!
//! Invariant: a call checks every argument's element type and shape against the graph's inputs
//! before code runs, so that calling is safe whatever the caller passes.

#![allow(
    unsafe_code,
    reason = "hands checked buffers to machine code; each block argues its safety"
)]

use super::error::{CallError, Input};
use super::witness::Witness;
#[cfg(unix)]
use crate::codegen::Guard;
use crate::codegen::{Executable, Fault, Workspace};
use crate::graph::interpret::interpret;
use crate::graph::{Graph, NodeId, Op, Origin};
use smallvec::SmallVec;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tensc_runtime::{Arena, DType, Pool, Shape, Tensor, TensorView};

/// What a call is given for an input.
#[derive(Clone, Debug)]
pub enum Argument<'a> {
    /// Lent: read in place, not copied.
    Borrowed(TensorView<'a>),
    /// Given away: its memory may become a result's. Where the call then fails because an index is
    /// out of range, what it held is lost: [`Compiled::call_reusing`] shows how to keep it.
    Owned(Tensor),
}

impl Argument<'_> {
    fn dtype(&self) -> DType {
        match self {
            Argument::Borrowed(view) => view.dtype(),
            Argument::Owned(tensor) => tensor.dtype(),
        }
    }
    fn shape(&self) -> &Shape {
        match self {
            Argument::Borrowed(view) => view.shape(),
            Argument::Owned(tensor) => tensor.shape(),
        }
    }
    fn to_tensor(&self) -> Tensor {
        match self {
            Argument::Borrowed(view) => view.to_tensor(),
            Argument::Owned(tensor) => tensor.clone(),
        }
    }
    fn as_bytes(&self) -> &[u8] {
        match self {
            Argument::Borrowed(view) => view.as_bytes(),
            Argument::Owned(tensor) => tensor.as_bytes(),
        }
    }
}

const OUT_OF_RANGE: &str = "an index is out of range";

enum Engine {
    Code {
        code: Arc<Code>,
        /// Where each index that the code checks was written.
        sites: Vec<Origin>,
        witness: Option<Witness>,
        guard: bool,
    },
    Interpreter(Graph),
}

/// What all places share that need one computation.
struct Code {
    executable: Executable,
    idle: Mutex<Vec<Workspace>>,
}

/// Who is told the number of each kernel and how long it took.
type Observe<'a> = Option<&'a mut dyn FnMut(&[usize], Duration)>;

/// An executable graph: `Send + Sync`, callable from several threads at once.
pub struct Compiled {
    engine: Engine,
    /// [`Graph::live_origins`].
    origins: Vec<Origin>,
    inputs: Vec<(String, DType, Shape)>,
    /// Where each input is declared.
    declared: Vec<Origin>,
    outputs: Vec<(String, DType, Shape)>,
}

impl Compiled {
    pub(super) fn jit(
        graph: &Graph,
        origins: Vec<Origin>,
        executable: Executable,
        guard: bool,
    ) -> Compiled {
        let sites = executable.program().sites.clone();
        let witness = witness(graph, &executable);
        let code = Arc::new(Code { executable, idle: Mutex::default() });
        Compiled::new(graph, origins, Engine::Code { code, sites, witness, guard })
    }

    pub(super) fn interpreted(graph: &Graph, origins: Vec<Origin>) -> Compiled {
        Compiled::new(graph, origins, Engine::Interpreter(graph.clone()))
    }

    /// The same code for a graph of the same content that was written elsewhere.
    pub(super) fn elsewhere(&self, graph: &Graph, origins: &[Origin]) -> Compiled {
        let engine = match &self.engine {
            Engine::Interpreter(_) => Engine::Interpreter(graph.clone()),
            Engine::Code { code, sites, guard, .. } => {
                let there = |site: &Origin| {
                    let at = self.origins.iter().position(|origin| origin == site);
                    at.map_or(Origin::default(), |at| origins[at])
                };
                let sites = sites.iter().map(there).collect();
                let witness = witness(graph, &code.executable);
                Engine::Code { code: Arc::clone(code), sites, witness, guard: *guard }
            }
        };
        Compiled::new(graph, origins.to_vec(), engine)
    }

    fn new(graph: &Graph, origins: Vec<Origin>, engine: Engine) -> Compiled {
        let describe = |(name, node): &(String, NodeId)| {
            (name.clone(), graph.ty(*node).dtype, graph.ty(*node).concrete_shape())
        };
        let inputs = graph.inputs().iter().map(describe).collect();
        let declared = graph.inputs().iter().map(|(_, node)| graph.node(*node).origin).collect();
        let outputs = graph.outputs().iter().map(describe).collect();
        Compiled { engine, origins, inputs, declared, outputs }
    }

    /// Where the nodes of its graph were written.
    pub(super) fn origins(&self) -> &[Origin] {
        &self.origins
    }

    /// Whether compiling would cost more than it can give back: a handful of operations on integers
    /// and keys, such as a loop's bound, which the interpreter does in a microsecond. Floats are
    /// compiled: rewriting may make them stabler, and their last bits may differ.
    pub(super) fn is_trivial(graph: &Graph) -> bool {
        const FEW: usize = 16;
        let scalar = |id: NodeId| {
            let node = graph.node(id);
            let exact = !node.ty.dtype.is_float()
                && matches!(node.op, Op::Const(_) | Op::Map(_) | Op::Convert(_) | Op::FoldKey);
            node.ty.rank() == 0 && (exact || matches!(node.op, Op::Input(_)))
        };
        graph.len() <= FEW && graph.nodes().all(scalar)
    }

    /// Gives back the memory for temporaries that earlier calls have left for the next one.
    pub fn release_idle(&self) {
        if let Engine::Code { code, .. } = &self.engine {
            lock(&code.idle).clear();
        }
    }

    /// Name, element type and shape of each input.
    pub fn inputs(&self) -> &[(String, DType, Shape)] {
        &self.inputs
    }

    /// Name, element type and shape of each output.
    pub fn outputs(&self) -> &[(String, DType, Shape)] {
        &self.outputs
    }

    /// The machine code; `None` where the graph is interpreted.
    pub fn executable(&self) -> Option<&Executable> {
        match &self.engine {
            Engine::Code { code, .. } => Some(&code.executable),
            Engine::Interpreter(_) => None,
        }
    }

    /// Calls it: one argument for each input, one tensor for each output.
    ///
    /// # Errors
    /// Where an argument does not fit, or an index is out of range while the code runs.
    pub fn call(
        &self,
        pool: &Pool,
        mut arguments: Vec<Argument<'_>>,
    ) -> Result<Vec<Tensor>, CallError> {
        let mut results = vec![None; self.outputs.len()];
        self.call_reusing(pool, &mut arguments, &mut results)?;
        Ok(results.into_iter().map(|result| result.expect("a call has every result")).collect())
    }

    /// As [`Compiled::call`]. `results` has a place for each output: the tensor found there, such
    /// as the result of an earlier call, is written to if it fits and nothing else holds it.
    /// Arguments that were given away are left empty where their memory became a result's.
    ///
    /// # Errors
    /// As `call`, or where the number of places is not that of the outputs; `results` is then
    /// void. An index out of range is found while the code runs, which may have written over what
    /// was given away. A step whose data may be wrong so lends its state and has the next one
    /// written to the memory of the one before, two of them in turn, without allocating:
    ///
    /// ```
    /// use tensc::{Argument, CallError, Module, Session, Tensor, TensorView};
    ///
    /// let module = Module::from_source("steps.tx", "
    ///     fn step[N](w: f32[4], at: i64[N]) -> f32[4] = w + 0.5 * sum(w[at])
    /// ")?;
    /// let session = Session::default();
    /// let step = module.function("step").expect("it is there");
    /// let mut w = Tensor::from_slice(&[1.0f32, 2.0, 3.0, 4.0], [4]);
    /// let compiled = step.compile(&session, &[w.view(), TensorView::new(&[0i64], [1])])?;
    /// let mut next = [None];
    /// for at in [[0i64], [9], [1]] {
    ///     let lent = Argument::Borrowed(w.view());
    ///     let at = Argument::Borrowed(TensorView::new(&at, [1]));
    ///     let called = compiled.call_reusing(session.pool(), &mut [lent, at], &mut next);
    ///     match called {
    ///         Ok(()) => w = next[0].replace(w).expect("a result"),
    ///         Err(CallError::Index { .. }) => {} // Leaves this batch out; `w` is as it was.
    ///         Err(error) => return Err(error.into()),
    ///     }
    /// }
    /// assert_eq!(w.as_slice::<f32>(), [2.75, 3.75, 4.75, 5.75]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn call_reusing(
        &self,
        pool: &Pool,
        arguments: &mut [Argument<'_>],
        results: &mut [Option<Tensor>],
    ) -> Result<(), CallError> {
        self.call_observed(pool, arguments, results, None)
    }

    /// As [`Compiled::call_reusing`]; `observe` is told the number of each kernel and its time, of
    /// those in the steps of a loop its number and then theirs.
    ///
    /// # Errors
    /// As `call`.
    pub fn call_timed(
        &self,
        pool: &Pool,
        arguments: &mut [Argument<'_>],
        results: &mut [Option<Tensor>],
        observe: &mut dyn FnMut(&[usize], Duration),
    ) -> Result<(), CallError> {
        self.call_observed(pool, arguments, results, Some(observe))
    }

    fn call_observed(
        &self,
        pool: &Pool,
        arguments: &mut [Argument<'_>],
        results: &mut [Option<Tensor>],
        observe: Observe<'_>,
    ) -> Result<(), CallError> {
        self.check_arguments(arguments.iter().map(|a| (a.dtype(), a.shape())))?;
        self.check_places(results.len())?;
        let (code, guard) = match &self.engine {
            Engine::Interpreter(graph) => {
                let values = interpreted_call(graph, arguments)?;
                results.iter_mut().zip(values).for_each(|(result, value)| *result = Some(value));
                return Ok(());
            }
            Engine::Code { code, guard, .. } => (&**code, *guard),
        };
        #[cfg(unix)]
        if guard {
            let sizes =
                self.outputs.iter().map(|(_, dtype, shape)| shape.elements() * dtype.size());
            let workspace = code.executable.workspace_bytes(pool.threads());
            enough_memory(sizes.fold(workspace, usize::saturating_add))?;
            let bytes: Vec<&[u8]> = arguments.iter().map(Argument::as_bytes).collect();
            let found = run_guarded(pool, &code.executable, &bytes);
            // Whatever a fault was is told below, by a run that meets it again.
            if let Ok(found) = found {
                for ((place, (_, _, shape)), found) in
                    results.iter_mut().zip(&self.outputs).zip(found)
                {
                    *place = Some(found.reshape(shape.clone()));
                }
                return Ok(());
            }
        }
        let workspace = code.workspace(pool)?;
        let inputs: SmallVec<[*const u8; 16]> =
            arguments.iter().map(|argument| argument.as_bytes().as_ptr()).collect();
        for (input, output) in &code.executable.program().plan.donations {
            let argument = &mut arguments[*input as usize];
            if let Argument::Owned(tensor) = argument
                && tensor.is_unique()
            {
                let shape = self.outputs[*output as usize].2.clone();
                let empty = Tensor::zeros(tensor.dtype(), [0]);
                let donated = std::mem::replace(tensor, empty).reshape(shape);
                results[*output as usize] = Some(donated);
            }
        }
        let mut missing = 0usize;
        for (result, (_, dtype, shape)) in results.iter_mut().zip(&self.outputs) {
            let fits = |t: &mut Tensor| t.dtype() == *dtype && t.shape() == shape && t.is_unique();
            if !result.as_mut().is_some_and(fits) {
                *result = None;
                missing = missing.saturating_add(shape.elements() * dtype.size());
            }
        }
        enough_memory(missing)?;
        let mut outputs: SmallVec<[*mut u8; 16]> = SmallVec::new();
        for (result, (_, dtype, shape)) in results.iter_mut().zip(&self.outputs) {
            let tensor = result.get_or_insert_with(|| Tensor::zeros(*dtype, shape.clone()));
            outputs.push(tensor.as_mut_ptr());
        }
        code.run(pool, workspace, &inputs, &outputs, observe).map_err(|fault| {
            results.fill(None);
            let fits = |argument: &&Argument<'_>, i: usize| *argument.shape() == self.inputs[i].2;
            let input = |i: usize| {
                arguments.get(i).filter(|argument| fits(argument, i)).map(Argument::to_tensor)
            };
            self.out_of_range(fault, input)
        })
    }

    /// As [`Compiled::call`] on borrowed tensors, with the results written to tensors of the
    /// caller's. After the first call no memory for tensors is allocated, but where a graph is
    /// interpreted, a result shares its memory with a clone, or as many threads call at once as
    /// never before.
    ///
    /// # Errors
    /// As `call`; `results` must be of the outputs' types, and are void after an error.
    pub fn call_into(
        &self,
        pool: &Pool,
        arguments: &[TensorView<'_>],
        results: &mut [Tensor],
    ) -> Result<(), CallError> {
        self.check_arguments(arguments.iter().map(|a| (a.dtype(), a.shape())))?;
        self.check_places(results.len())?;
        for ((name, dtype, shape), result) in self.outputs.iter().zip(&*results) {
            let output = || Input { name: name.clone(), origin: Origin::default() };
            CallError::unless_of((result.dtype(), result.shape()), (*dtype, shape), output)?;
        }
        let Engine::Code { code, guard: false, .. } = &self.engine else {
            let arguments = arguments.iter().cloned().map(Argument::Borrowed).collect();
            let values = self.call(pool, arguments)?;
            results.iter_mut().zip(values).for_each(|(result, value)| *result = value);
            return Ok(());
        };
        let workspace = code.workspace(pool)?;
        let inputs: SmallVec<[*const u8; 16]> =
            arguments.iter().map(|a| a.as_bytes().as_ptr()).collect();
        let outputs: SmallVec<[*mut u8; 16]> = results.iter_mut().map(Tensor::as_mut_ptr).collect();
        code.run(pool, workspace, &inputs, &outputs, None).map_err(|fault| {
            let input = |i: usize| arguments.get(i).map(TensorView::to_tensor);
            self.out_of_range(fault, input)
        })
    }

    fn check_arguments<'a>(
        &self,
        given: impl ExactSizeIterator<Item = (DType, &'a Shape)>,
    ) -> Result<(), CallError> {
        let input = |number: usize| Input {
            name: self.inputs[number].0.clone(),
            origin: self.declared[number],
        };
        if given.len() != self.inputs.len() {
            return Err(CallError::count(self.inputs.len(), given.len(), input));
        }
        let mut pairs = self.inputs.iter().zip(given).enumerate();
        pairs.try_for_each(|(number, ((_, dtype, shape), found))| {
            CallError::unless_of(found, (*dtype, shape), || input(number))
        })
    }

    fn check_places(&self, found: usize) -> Result<(), CallError> {
        let expected = self.outputs.len();
        match found == expected {
            true => Ok(()),
            false => Err(CallError::Places { expected, found }),
        }
    }

    /// The error of a call that met an index out of range. `input` gives the value of the argument
    /// at a position, where it is still there.
    fn out_of_range(&self, fault: Fault, input: impl Fn(usize) -> Option<Tensor>) -> CallError {
        let Engine::Code { sites, witness, .. } = &self.engine else {
            unreachable!("faults are of code")
        };
        witness.as_ref().and_then(|witness| witness.tell(input)).unwrap_or_else(|| {
            let origin = sites[fault.site as usize];
            CallError::Index { origin, message: OUT_OF_RANGE.to_string() }
        })
    }
}

impl Code {
    /// Memory for one run: that of an earlier one, or new.
    fn workspace(&self, pool: &Pool) -> Result<Workspace, CallError> {
        let idle = lock(&self.idle).pop();
        let workspace = idle.or_else(|| self.executable.workspace(pool.threads()));
        workspace.ok_or_else(|| no_memory(self.executable.workspace_bytes(pool.threads())))
    }

    fn run(
        &self,
        pool: &Pool,
        mut workspace: Workspace,
        inputs: &[*const u8],
        outputs: &[*mut u8],
        observe: Observe<'_>,
    ) -> Result<(), Fault> {
        let executable = &self.executable;
        // SAFETY: the callers have shown that each input pointer leads to a dense tensor of the
        // input's type and shape, which they keep alive, and each output pointer to unshared memory
        // of the output's size. An output is an input's memory only for the pairs that the plan
        // names as donations, and then the caller's handle on it was the only one.
        let done = unsafe {
            match observe {
                None => executable.run(pool, &mut workspace, inputs, outputs),
                Some(observe) => {
                    executable.run_timed(pool, &mut workspace, inputs, outputs, observe)
                }
            }
        };
        lock(&self.idle).push(workspace);
        done
    }
}

/// The witness of a graph for this code of it.
fn witness(graph: &Graph, executable: &Executable) -> Option<Witness> {
    let donations = executable.program().plan.donations.iter();
    let donated: Vec<usize> = donations.map(|(input, _)| *input as usize).collect();
    Witness::of(graph, &donated)
}

/// Asks the system for so much memory, and gives it back: whether what a call is about to allocate
/// is there can still be an error then, and not the end of the process.
///
/// # Errors
/// [`CallError::Memory`] where it is not.
pub fn enough_memory(bytes: usize) -> Result<(), CallError> {
    const LARGE: usize = 1 << 30;
    if bytes < LARGE || Arena::try_new(bytes).is_some() {
        return Ok(());
    }
    Err(no_memory(bytes))
}

fn no_memory(bytes: usize) -> CallError {
    let size = size(bytes);
    CallError::Memory(format!("this needs {size} of memory, which the system does not give"))
}

/// `4.0 TB`
fn size(bytes: usize) -> String {
    const UNITS: [(f64, &str); 4] = [(1e18, "EB"), (1e15, "PB"), (1e12, "TB"), (1e9, "GB")];
    let bytes = bytes as f64;
    let (unit, name) = UNITS.into_iter().find(|(unit, _)| bytes >= *unit).unwrap_or(UNITS[3]);
    format!("{:.1} {name}", bytes / unit)
}

/// The outputs, of rank 1, found twice the same, with a guard on either side of each buffer.
#[cfg(unix)]
fn run_guarded(
    pool: &Pool,
    executable: &Executable,
    inputs: &[&[u8]],
) -> Result<Vec<Tensor>, Fault> {
    let below = executable.run_guarded(pool, inputs, Guard::Below)?;
    let above = executable.run_guarded(pool, inputs, Guard::Above)?;
    for (x, y) in below.iter().zip(&above) {
        let other = || {
            let both = x.to_f64_vec().into_iter().zip(y.to_f64_vec());
            both.enumerate().find(|(_, (x, y))| x.to_bits() != y.to_bits())
        };
        let same = x.as_bytes() == y.as_bytes();
        assert!(same, "other bits where memory lies elsewhere: {:?}", other());
    }
    Ok(above)
}

fn interpreted_call(graph: &Graph, arguments: &[Argument<'_>]) -> Result<Vec<Tensor>, CallError> {
    let bytes = graph.nodes().map(|id| {
        let ty = graph.ty(id);
        ty.concrete_shape().elements() * ty.dtype.size()
    });
    enough_memory(bytes.fold(0, usize::saturating_add))?;
    let inputs: Vec<Tensor> = arguments.iter().map(Argument::to_tensor).collect();
    interpret(graph, &inputs).map_err(|e| CallError::Index {
        origin: e.node.map(|node| graph.node(node).origin).unwrap_or_default(),
        message: e.message,
    })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    // The list of idle workspaces is whole between any two operations on it.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled")
            .field("inputs", &self.inputs)
            .field("outputs", &self.outputs)
            .finish_non_exhaustive()
    }
}
