//! A compiled program: its code, its data, and the order of its calls.
//!
//! Nothing is allocated while it runs: the table of buffers, the arena and the scratch memory are
//! those of a [`Workspace`], which is made once and used for one call at a time.

#![allow(unsafe_code, reason = "calls machine code on raw memory; the contract is `run`'s")]

use super::KernelText;
use super::calls::{self, Buffers};
use super::module::Code;
use crate::kernel::{Buffer, BufferId, Place, Program, Repeat, Work};
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
pub(super) enum Entry {
    /// A compiled kernel.
    Native(KernelFn),
    /// The kernel's runtime function.
    Call,
    /// These steps again and again.
    Repeat(Vec<Step>),
    /// A kernel without a single element.
    Nothing,
}

/// A kernel as it is run.
pub(super) struct Step {
    pub entry: Entry,
    pub tasks: u64,
    /// Whether there is enough work to divide it.
    pub parallel: bool,
    /// Whether it can fault.
    pub checks: bool,
    /// How many of the next kernels it does too, turn by turn of its rows.
    pub followed: usize,
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
    memory: Memory,
    threads: Vec<Thread>,
    /// What the pointers of the others lead to: the temporaries, and scratch memory.
    arena: Arena,
    _scratch: Vec<Arena>,
}

/// Where the buffers of a program are.
pub(super) struct Memory {
    pub table: Vec<*mut u8>,
    /// For each kernel that repeats a program, that one's.
    inside: Vec<Option<Memory>>,
    /// Whether the arena's buffers have places of their own, not those of the plan.
    apart: bool,
}

// SAFETY: the pointers of the table are written at the start of a run and used in it only;
// those of the arena and of constants point to memory that may be used on any thread.
unsafe impl Send for Workspace {}

/// What a thread has for itself, apart from its neighbours' cache lines.
#[repr(align(128))]
pub(super) struct Thread {
    scratch: *mut u8,
    fault: u64,
}

impl Thread {
    pub fn new(scratch: *mut u8) -> Thread {
        Thread { scratch, fault: NO_FAULT }
    }
}

/// A pointer that tasks of one run share: each uses an element of its own, or all only read.
#[derive(Clone, Copy)]
struct Shared<T>(*mut T);

// SAFETY: of the threads, task `i` uses element `i` only, and each task runs once; nobody writes
// the table of buffers while tasks run.
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

    /// Whether the kernel that `path` leads to, past those of the loops around it, is done by the
    /// product before it, turn by turn of its rows.
    pub fn follows(&self, path: &[usize]) -> bool {
        let Some((&last, around)) = path.split_last() else { return false };
        let inside =
            around.iter().try_fold(&self.steps, |steps, &at| match &steps.get(at)?.entry {
                Entry::Repeat(inside) => Some(inside),
                Entry::Native(_) | Entry::Call | Entry::Nothing => None,
            });
        let before = inside.and_then(|steps| steps.get(..last)).unwrap_or(&[]);
        before.iter().enumerate().any(|(at, step)| at + step.followed >= last)
    }

    /// The text of each function, if the options asked for it.
    pub fn texts(&self) -> &[KernelText] {
        &self.texts
    }

    /// Memory for runs on up to `threads` threads; `None` where the system does not give it.
    pub fn workspace(&self, threads: usize) -> Option<Workspace> {
        let mut arena = Arena::try_new(self.program.plan.bytes)?;
        let memory = Memory::planned(&self.program, arena.as_mut_ptr());
        let scratch = (0..threads.max(1)).map(|_| Arena::try_new(self.scratch));
        let mut scratch: Vec<Arena> = scratch.collect::<Option<_>>()?;
        let threads = scratch.iter_mut().map(|s| Thread::new(s.as_mut_ptr())).collect();
        Some(Workspace { memory, threads, arena, _scratch: scratch })
    }

    /// Bytes of a [`Workspace`].
    pub fn workspace_bytes(&self, threads: usize) -> usize {
        let scratch = self.scratch.saturating_mul(threads.max(1));
        self.program.plan.bytes.saturating_add(scratch)
    }

    /// Bytes of scratch memory a thread needs.
    #[cfg(unix)]
    pub(super) fn scratch(&self) -> usize {
        self.scratch
    }

    /// Runs the program.
    ///
    /// # Errors
    /// Where a check failed; the outputs are then void.
    ///
    /// # Safety
    /// The program was verified (by [`crate::kernel::verify()`]). `workspace` is from this
    /// executable's [`Executable::workspace`]. `inputs` and `outputs` are one pointer for each of
    /// the program's, in order, to memory of at least the buffer's size, aligned to its elements
    /// and valid for reads, for outputs also for writes; nothing else writes inputs or touches
    /// outputs meanwhile. No output overlaps another or an input, except that it may be the very
    /// memory of an input that the plan donates to it.
    pub unsafe fn run(
        &self,
        pool: &Pool,
        workspace: &mut Workspace,
        inputs: &[*const u8],
        outputs: &[*mut u8],
    ) -> Result<(), Fault> {
        self.bind(workspace, inputs, outputs);
        let Workspace { memory, threads, .. } = workspace;
        // SAFETY: the table is complete, by this function's contract.
        unsafe { self.run_in(pool, memory, threads) }
    }

    /// Runs the program in memory whose table is complete.
    ///
    /// # Safety
    /// `memory` and `threads` were made for this executable, and the table holds a pointer for
    /// each buffer, as for `run`.
    pub(super) unsafe fn run_in(
        &self,
        pool: &Pool,
        memory: &mut Memory,
        threads: &mut [Thread],
    ) -> Result<(), Fault> {
        // SAFETY: passed on.
        unsafe { Run { pool, threads, watch: None }.steps(&self.program, &self.steps, memory) }
    }

    /// As [`Executable::run`]; tells `observe` the number of each kernel and how long it took: of
    /// those in the steps of a loop its number and then theirs, each time that they ran.
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
        observe: &mut dyn FnMut(&[usize], Duration),
    ) -> Result<(), Fault> {
        self.bind(workspace, inputs, outputs);
        let Workspace { memory, threads, .. } = workspace;
        let watch = Some(Watch { path: Vec::new(), observe });
        let mut run = Run { pool, threads, watch };
        // SAFETY: the table is complete, by this function's contract.
        unsafe { run.steps(&self.program, &self.steps, memory) }
    }

    /// Writes the caller's pointers to the table.
    fn bind(&self, workspace: &mut Workspace, inputs: &[*const u8], outputs: &[*mut u8]) {
        let program = &self.program;
        assert_eq!(inputs.len(), program.inputs.len(), "number of inputs");
        assert_eq!(outputs.len(), program.outputs.len(), "number of outputs");
        let table = &mut workspace.memory.table;
        assert_eq!(table.len(), program.buffers.len(), "this executable's workspace");
        assert_eq!(workspace.arena.len(), program.plan.bytes, "this executable's workspace");
        for (id, &pointer) in program.inputs.iter().zip(inputs) {
            table[id.0 as usize] = pointer.cast_mut();
        }
        for (id, &pointer) in program.outputs.iter().zip(outputs) {
            table[id.0 as usize] = pointer;
        }
    }
}

impl Memory {
    /// Every buffer where the plan has it.
    fn planned(program: &Program, arena: *mut u8) -> Memory {
        let mut memory = Memory::new(program, false, &mut |_| std::ptr::null_mut());
        memory.place(program, arena);
        memory
    }

    /// Every buffer of the arena where `start` says, those of repeated programs too; `apart` where
    /// they are to stay there.
    pub fn new(
        program: &Program,
        apart: bool,
        start: &mut dyn FnMut(&Buffer) -> *mut u8,
    ) -> Memory {
        let mut table = Vec::with_capacity(program.buffers.len());
        for buffer in &program.buffers {
            table.push(match &buffer.place {
                Place::Constant(tensor) => tensor.as_bytes().as_ptr().cast_mut(),
                Place::Arena => start(buffer),
                Place::Input(_) | Place::Output(_) | Place::Row => std::ptr::null_mut(),
            });
        }
        let inside = program.kernels.iter().map(|kernel| match &kernel.work {
            Work::Repeat(repeat) => Some(Memory::new(&repeat.step, apart, start)),
            Work::Nest(_) | Work::Product(_) | Work::Call(_) => None,
        });
        Memory { table, inside: inside.collect(), apart }
    }

    /// Puts the buffers of the arena into it, unless they are apart.
    fn place(&mut self, program: &Program, arena: *mut u8) {
        for (at, buffer) in program.buffers.iter().enumerate() {
            if !self.apart && matches!(buffer.place, Place::Arena) {
                let offset = program.plan.offsets[at].expect("the plan places the arena");
                self.table[at] = arena.wrapping_add(offset);
            }
        }
    }
}

/// One run of an executable.
struct Run<'r> {
    pool: &'r Pool,
    threads: &'r mut [Thread],
    watch: Option<Watch<'r>>,
}

/// Who is told how long kernels take.
struct Watch<'r> {
    /// The kernels whose steps are being done, from the outermost.
    path: Vec<usize>,
    observe: &'r mut dyn FnMut(&[usize], Duration),
}

impl Run<'_> {
    /// # Safety
    /// The table points to the program's buffers, as `Executable::run` describes them.
    unsafe fn steps(
        &mut self,
        program: &Program,
        steps: &[Step],
        memory: &mut Memory,
    ) -> Result<(), Fault> {
        for (number, step) in steps.iter().enumerate() {
            let Some(watch) = &mut self.watch else {
                // SAFETY: passed on.
                unsafe { self.step(program, number, step, memory)? };
                continue;
            };
            watch.path.push(number);
            let start = Instant::now();
            // SAFETY: passed on.
            let done = unsafe { self.step(program, number, step, memory) };
            if let Some(watch) = &mut self.watch {
                (watch.observe)(&watch.path, start.elapsed());
                watch.path.pop();
            }
            done?;
        }
        Ok(())
    }

    /// # Safety
    /// As `steps`.
    unsafe fn repeat(
        &mut self,
        repeat: &Repeat,
        steps: &[Step],
        outer: &[*mut u8],
        memory: &mut Memory,
    ) -> Result<(), Fault> {
        let program = &*repeat.step;
        let at = |buffer: BufferId| outer[buffer.0 as usize];
        let bytes = |inner: BufferId| {
            let buffer = &program.buffers[inner.0 as usize];
            buffer.elements * buffer.dtype.size()
        };
        if repeat.gate.is_some_and(|gate| !flag(at(gate))) {
            for (state, &inner) in repeat.states.iter().zip(&program.inputs) {
                // SAFETY: both are of the size of the step's input, and apart.
                unsafe { copy(at(state.first), at(state.last), bytes(inner)) };
            }
            let elements = &program.outputs[repeat.states.len()..];
            for (&buffer, &inner) in repeat.elements.iter().zip(elements) {
                // SAFETY: elements have the size of the step's output for each step.
                unsafe { at(buffer).write_bytes(0, repeat.count * bytes(inner)) };
            }
            return Ok(());
        }
        memory.place(program, at(repeat.arena));
        let states = repeat.states.len();
        let (slices, whole) = program.inputs[states..].split_at(repeat.slices.len());
        for (&inner, &buffer) in whole.iter().zip(&repeat.whole) {
            memory.table[inner.0 as usize] = at(buffer);
        }
        for (turn, place) in repeat.order().enumerate() {
            for state in 0..states {
                let (read, written) = repeat.turn(state, turn);
                memory.table[program.inputs[state].0 as usize] = at(read);
                memory.table[program.outputs[state].0 as usize] = at(written);
            }
            let elements = &program.outputs[states..];
            let parts = slices.iter().zip(&repeat.slices);
            for (&inner, &buffer) in parts.chain(elements.iter().zip(&repeat.elements)) {
                memory.table[inner.0 as usize] = at(buffer).wrapping_add(place * bytes(inner));
            }
            // SAFETY: the verifier has shown that the buffers have the sizes of the step's inputs
            // and outputs, `count` times for slices, and that results and scratch are apart from
            // all else; a state is written over itself only where the step's plan allows it.
            unsafe { self.steps(program, steps, memory)? };
            let ends = repeat.until.is_some_and(|state| !flag(at(repeat.turn(state, turn).1)));
            if ends {
                for (state, &inner) in program.inputs[..states].iter().enumerate() {
                    let (written, last) = (repeat.turn(state, turn).1, repeat.states[state].last);
                    if written != last {
                        // SAFETY: the spare buffer of a state and its own are of one size, and
                        // apart.
                        unsafe { copy(at(written), at(last), bytes(inner)) };
                    }
                }
                break;
            }
        }
        Ok(())
    }

    /// # Safety
    /// As `steps`; the step is that of the kernel of this number.
    unsafe fn step(
        &mut self,
        program: &Program,
        number: usize,
        step: &Step,
        memory: &mut Memory,
    ) -> Result<(), Fault> {
        let Memory { table, inside, .. } = memory;
        let function = match (&step.entry, &program.kernels[number].work) {
            (Entry::Native(function), _) => *function,
            (Entry::Call, Work::Call(call)) => {
                let buffers = Buffers { program, starts: table };
                // SAFETY: passed on.
                unsafe { calls::run(call, &buffers, self.pool) };
                return Ok(());
            }
            (Entry::Repeat(steps), Work::Repeat(repeat)) => {
                let memory = inside[number].as_mut().expect("a repeat has memory of its own");
                // SAFETY: passed on.
                return unsafe { self.repeat(repeat, steps, table, memory) };
            }
            (Entry::Nothing | Entry::Call | Entry::Repeat(_), _) => return Ok(()),
        };
        let parts = if step.parallel {
            self.pool.threads().min(self.threads.len()).min(step.tasks as usize)
        } else {
            1
        };
        if parts == 1 {
            let thread = &mut self.threads[0];
            let (scratch, fault) = (thread.scratch, &raw mut thread.fault);
            let table = table.as_ptr();
            // SAFETY: the function does tasks of this program's kernel, whose memory the table and
            // the scratch are.
            unsafe { function(table, 0, step.tasks, scratch, fault) };
        } else {
            let table = Shared(table.as_mut_ptr());
            let threads = Shared(self.threads.as_mut_ptr());
            let border = |part: usize| step.tasks * part as u64 / parts as u64;
            self.pool.run(parts, |part| {
                // SAFETY: `part < parts <= threads.len()`, and no other task uses this element.
                let thread = unsafe { &mut *threads.at(part) };
                let (scratch, fault) = (thread.scratch, &raw mut thread.fault);
                let table = table.at(0).cast_const();
                // SAFETY: as above; different tasks of a kernel write different memory.
                unsafe { function(table, border(part), border(part + 1), scratch, fault) };
            });
        }
        if step.checks { take_fault(self.threads) } else { Ok(()) }
    }
}

/// The `bool` at a place.
fn flag(at: *mut u8) -> bool {
    // SAFETY: the verifier has shown that the buffer holds one byte, which an earlier kernel wrote.
    unsafe { *at != 0 }
}

/// # Safety
/// Both places have so many bytes, and are apart.
unsafe fn copy(from: *mut u8, to: *mut u8, bytes: usize) {
    // SAFETY: passed on.
    unsafe { std::ptr::copy_nonoverlapping(from, to, bytes) };
}

fn take_fault(threads: &mut [Thread]) -> Result<(), Fault> {
    let mut least = NO_FAULT;
    for thread in threads {
        least = least.min(std::mem::replace(&mut thread.fault, NO_FAULT));
    }
    match u32::try_from(least) {
        Ok(site) => Err(Fault { site }),
        Err(_) => Ok(()),
    }
}
