//! A compiled program: its code, its data, and the order of its calls.
//!
//! Nothing is allocated while it runs: the table of buffers, the arena and the scratch memory are
//! those of a [`Workspace`], which is made once and used for one call at a time.

#![allow(unsafe_code, reason = "calls machine code on raw memory; the contract is `run`'s")]

use super::KernelText;
use super::calls::{self, Buffers};
use super::module::Code;
use crate::kernel::{Place, Program, Work};
use std::time::{Duration, Instant};
use tensc_runtime::{Arena, Pool};

/// Does the tasks `begin..end` of a kernel: `(buffers, begin, end, scratch, fault)`. `buffers` are
/// the starts of the program's buffers; `fault` takes the smallest site of a failed check.
pub type KernelFn = unsafe extern "C" fn(*const *mut u8, u64, u64, *mut u8, *mut u64);

/// A check that failed: the results are void.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Which of the program's sites; of several the smallest.
    pub site: u32,
}

/// The value of a fault cell while nothing failed.
const NO_FAULT: u64 = u64::MAX;

/// What a step calls.
#[derive(Clone, Copy)]
pub(super) enum Entry {
    /// A compiled kernel.
    Native(KernelFn),
    /// The runtime function of the kernel of this number.
    Call(usize),
    /// A kernel without a single element.
    Nothing,
}

/// A kernel as it is run.
#[derive(Clone, Copy)]
pub(super) struct Step {
    pub entry: Entry,
    pub tasks: u64,
    /// Whether there is enough work to divide it.
    pub parallel: bool,
    /// Whether it can fault.
    pub checks: bool,
}

/// Machine code for a program. It may be called from several threads at once, each with a
/// [`Workspace`] of its own.
pub struct Executable {
    program: Program,
    steps: Vec<Step>,
    texts: Vec<KernelText>,
    /// Bytes of scratch memory a thread needs.
    scratch: usize,
    // Last: the functions of `steps` lie in it.
    _code: Code,
}

/// The memory of one run at a time: temporaries, and scratch for each thread.
pub struct Workspace {
    table: Vec<*mut u8>,
    arena: Arena,
    threads: Vec<Thread>,
}

// SAFETY: the pointers of the table are written at the start of a run and used in it only;
// those of the arena and of constants point to memory that may be used on any thread.
unsafe impl Send for Workspace {}

/// What a thread has for itself, apart from its neighbours' cache lines.
#[repr(align(128))]
struct Thread {
    scratch: Arena,
    fault: u64,
}

/// A pointer that tasks of one run share, each using its own part of what it points to.
#[derive(Clone, Copy)]
struct Shared<T>(*mut T);

// SAFETY: task `i` uses element `i` only, and each task runs once.
unsafe impl<T> Sync for Shared<T> {}

impl<T> Shared<T> {
    /// The element; a method, so that closures capture the wrapper and not the pointer.
    fn at(&self, i: usize) -> *mut T {
        self.0.wrapping_add(i)
    }
}

impl Executable {
    pub(super) fn new(
        code: Code,
        program: Program,
        steps: Vec<Step>,
        texts: Vec<KernelText>,
        scratch: usize,
    ) -> Executable {
        Executable { program, steps, texts, scratch, _code: code }
    }

    /// Divides every kernel that has several tasks, however little it does.
    #[cfg(test)]
    pub(super) fn divide_everything(&mut self) {
        for step in &mut self.steps {
            step.parallel = step.tasks > 1;
        }
    }

    /// The program this was compiled from.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The text of each function, if the options asked for it.
    pub fn texts(&self) -> &[KernelText] {
        &self.texts
    }

    /// Memory for runs on up to `threads` threads.
    pub fn workspace(&self, threads: usize) -> Workspace {
        let mut arena = Arena::new(self.program.plan.bytes);
        let base = arena.as_mut_ptr();
        let start = |(i, buffer): (usize, &crate::kernel::Buffer)| match &buffer.place {
            Place::Constant(tensor) => tensor.as_bytes().as_ptr().cast_mut(),
            Place::Arena => {
                let offset = self.program.plan.offsets[i].expect("the plan places the arena");
                base.wrapping_add(offset)
            }
            Place::Input(_) | Place::Output(_) | Place::Row => std::ptr::null_mut(),
        };
        let table = self.program.buffers.iter().enumerate().map(start).collect();
        let thread = |_| Thread { scratch: Arena::new(self.scratch), fault: NO_FAULT };
        Workspace { table, arena, threads: (0..threads.max(1)).map(thread).collect() }
    }

    /// Runs the program.
    ///
    /// # Errors
    /// Where a check failed; the outputs are then void.
    ///
    /// # Safety
    /// `workspace` is from this executable's [`Executable::workspace`]. `inputs` and `outputs` are
    /// one pointer for each of the program's, in order, to memory of at least the buffer's size,
    /// aligned to its elements and valid for reads, for outputs also for writes; nothing else
    /// writes inputs or touches outputs meanwhile. No output overlaps another or an input,
    /// except that it may be the very memory of an input that the plan donates to it.
    pub unsafe fn run(
        &self,
        pool: &Pool,
        workspace: &mut Workspace,
        inputs: &[*const u8],
        outputs: &[*mut u8],
    ) -> Result<(), Fault> {
        self.bind(workspace, inputs, outputs);
        for step in &self.steps {
            // SAFETY: the table is complete, by this function's contract.
            unsafe { self.step(step, pool, workspace)? };
        }
        Ok(())
    }

    /// As [`Executable::run`]; tells `observe` the number of each kernel and how long it took.
    ///
    /// # Errors
    /// As `run`.
    ///
    /// # Safety
    /// As `run`.
    pub unsafe fn run_timed(
        &self,
        pool: &Pool,
        workspace: &mut Workspace,
        inputs: &[*const u8],
        outputs: &[*mut u8],
        observe: &mut dyn FnMut(usize, Duration),
    ) -> Result<(), Fault> {
        self.bind(workspace, inputs, outputs);
        for (i, step) in self.steps.iter().enumerate() {
            let start = Instant::now();
            // SAFETY: the table is complete, by this function's contract.
            unsafe { self.step(step, pool, workspace)? };
            observe(i, start.elapsed());
        }
        Ok(())
    }

    /// Writes the caller's pointers to the table.
    fn bind(&self, workspace: &mut Workspace, inputs: &[*const u8], outputs: &[*mut u8]) {
        let program = &self.program;
        assert_eq!(inputs.len(), program.inputs.len(), "number of inputs");
        assert_eq!(outputs.len(), program.outputs.len(), "number of outputs");
        assert_eq!(workspace.table.len(), program.buffers.len(), "this executable's workspace");
        assert_eq!(workspace.arena.len(), program.plan.bytes, "this executable's workspace");
        for (id, &pointer) in program.inputs.iter().zip(inputs) {
            workspace.table[id.0 as usize] = pointer.cast_mut();
        }
        for (id, &pointer) in program.outputs.iter().zip(outputs) {
            workspace.table[id.0 as usize] = pointer;
        }
    }

    /// # Safety
    /// The workspace's table points to the buffers, as `run` describes them.
    unsafe fn step(
        &self,
        step: &Step,
        pool: &Pool,
        workspace: &mut Workspace,
    ) -> Result<(), Fault> {
        let function = match step.entry {
            Entry::Native(function) => function,
            Entry::Nothing => return Ok(()),
            Entry::Call(kernel) => {
                let Work::Call(call) = &self.program.kernels[kernel].work else {
                    unreachable!("only calls are entered so");
                };
                let buffers = Buffers { program: &self.program, starts: &workspace.table };
                // SAFETY: passed on.
                unsafe { calls::run(call, &buffers, pool) };
                return Ok(());
            }
        };
        let parts = if step.parallel {
            pool.threads().min(workspace.threads.len()).min(step.tasks as usize)
        } else {
            1
        };
        if parts == 1 {
            let thread = &mut workspace.threads[0];
            let (scratch, fault) = (thread.scratch.as_mut_ptr(), &raw mut thread.fault);
            let table = workspace.table.as_ptr();
            // SAFETY: the function does tasks of this program's kernel, whose memory the table and
            // the scratch are.
            unsafe { function(table, 0, step.tasks, scratch, fault) };
        } else {
            let table = Shared(workspace.table.as_mut_ptr());
            let threads = Shared(workspace.threads.as_mut_ptr());
            let border = |part: usize| step.tasks * part as u64 / parts as u64;
            pool.run(parts, |part| {
                // SAFETY: `part < parts <= threads.len()`, and no other task uses this element.
                let thread = unsafe { &mut *threads.at(part) };
                let (scratch, fault) = (thread.scratch.as_mut_ptr(), &raw mut thread.fault);
                let table = table.at(0).cast_const();
                // SAFETY: as above; different tasks of a kernel write different memory.
                unsafe { function(table, border(part), border(part + 1), scratch, fault) };
            });
        }
        if step.checks { take_fault(workspace) } else { Ok(()) }
    }
}

fn take_fault(workspace: &mut Workspace) -> Result<(), Fault> {
    let mut least = NO_FAULT;
    for thread in &mut workspace.threads {
        least = least.min(std::mem::replace(&mut thread.fault, NO_FAULT));
    }
    match u32::try_from(least) {
        Ok(site) => Err(Fault { site }),
        Err(_) => Ok(()),
    }
}
