//! One compiled graph and how it is called.
//!
//! Invariant: a call checks every argument's element type and shape against the graph's inputs
//! before code runs, so that calling is safe whatever the caller passes.

#![allow(
    unsafe_code,
    reason = "hands checked buffers to machine code; each block argues its safety"
)]

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
    /// Given away: its memory may become a result's.
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

/// Why a call has no result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CallError {
    /// The number of arguments is not that of the inputs.
    Count {
        /// Inputs.
        expected: usize,
        /// Arguments.
        found: usize,
    },
    /// An argument is not of its input's type.
    Type {
        /// The input.
        input: String,
        /// Its type.
        expected: String,
        /// The argument's.
        found: String,
    },
    /// The graph has no code: there is no memory for it, or none for this machine.
    Compile(String),
    /// The system gave no memory for what a call computes.
    Memory(String),
    /// An index was out of range while the code ran.
    Index {
        /// Where it was written.
        origin: Origin,
        /// What happened.
        message: String,
    },
}

impl CallError {
    /// Where in the source it happened, for what happened while code ran.
    pub fn origin(&self) -> Option<Origin> {
        match self {
            CallError::Index { origin, .. } => Some(*origin),
            CallError::Count { .. }
            | CallError::Type { .. }
            | CallError::Compile(_)
            | CallError::Memory(_) => None,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Count { expected, found } => {
                write!(f, "{expected} arguments are needed, {found} were given")
            }
            CallError::Type { input, expected, found } => {
                write!(f, "`{input}` needs {expected}, found {found}")
            }
            CallError::Compile(message) | CallError::Memory(message) => f.write_str(message),
            CallError::Index { message, .. } => f.write_str(message),
        }
    }
}

impl std::error::Error for CallError {}

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
        let outputs = graph.outputs().iter().map(describe).collect();
        Compiled { engine, origins, inputs, outputs }
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
    /// As `call`, or where the number of places is not that of the outputs; what `results` holds
    /// is then void.
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
        check_types(&self.inputs, arguments.iter().map(|a| (a.dtype(), a.shape())))?;
        if results.len() != self.outputs.len() {
            let (expected, found) = (self.outputs.len(), results.len());
            return Err(CallError::Count { expected, found });
        }
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
    /// caller's: nothing is allocated after the first call.
    ///
    /// # Errors
    /// As `call`; `results` must be of the outputs' types, and are void after an error.
    pub fn call_into(
        &self,
        pool: &Pool,
        arguments: &[TensorView<'_>],
        results: &mut [Tensor],
    ) -> Result<(), CallError> {
        let given = arguments.iter().map(|a| (a.dtype(), a.shape()));
        check_types(&self.inputs, given)?;
        check_types(&self.outputs, results.iter().map(|r| (r.dtype(), r.shape())))?;
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

fn check_types<'a>(
    declared: &[(String, DType, Shape)],
    given: impl ExactSizeIterator<Item = (DType, &'a Shape)>,
) -> Result<(), CallError> {
    if given.len() != declared.len() {
        return Err(CallError::Count { expected: declared.len(), found: given.len() });
    }
    for ((name, dtype, shape), (found, found_shape)) in declared.iter().zip(given) {
        if found != *dtype || found_shape != shape {
            return Err(CallError::Type {
                input: name.clone(),
                expected: format!("{dtype}{shape}"),
                found: format!("{found}{found_shape}"),
            });
        }
    }
    Ok(())
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
