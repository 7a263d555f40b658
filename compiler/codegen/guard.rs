//! Runs between guard pages: every buffer of a program, and the scratch memory of every thread, in
//! memory of its own, before or behind which an access traps. For tests of the compiler.

#![allow(unsafe_code, reason = "calls machine code on memory made here for it")]

use super::executable::{Executable, Fault, Memory, Thread};
use crate::kernel::{Buffer, BufferId};
use tensc_runtime::{GuardedBuffer, Pool, Tensor};

/// What memory holds that nobody has written: as a float, a tiny negative number.
const UNWRITTEN: u8 = 0xA5;

/// Where the buffers of a run lie.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Guard {
    /// Each begins where an access before it traps; an output is in the memory of the input that
    /// the plan donates to it.
    Below,
    /// Each ends, as close as its elements' alignment permits, where an access behind it traps;
    /// outputs have memory of their own.
    Above,
}

impl Guard {
    fn buffer(self, bytes: usize, align: usize) -> GuardedBuffer {
        let mut buffer = match self {
            Guard::Below => GuardedBuffer::at_lower_guard(bytes),
            Guard::Above => GuardedBuffer::new(bytes, align),
        };
        buffer.as_mut_slice().fill(UNWRITTEN);
        buffer
    }
}

impl Executable {
    /// One run on copies of `inputs`, the bytes of each; gives each output, of rank 1.
    ///
    /// The process ends where compiled code leaves its memory, which that of a program that was not
    /// verified may do beyond all guards. Panics where it wrote beside a
    /// buffer, or to an input that is no output's, or where an input has another size.
    ///
    /// # Errors
    /// Where a check failed.
    pub fn run_guarded(
        &self,
        pool: &Pool,
        inputs: &[&[u8]],
        guard: Guard,
    ) -> Result<Vec<Tensor>, Fault> {
        let program = self.program();
        let size = |id: BufferId| {
            let buffer = &program.buffers[id.0 as usize];
            (buffer.elements * buffer.dtype.size(), buffer.dtype.size())
        };
        assert_eq!(inputs.len(), program.inputs.len(), "number of inputs");
        let mut copies = Vec::with_capacity(inputs.len());
        for (&id, input) in program.inputs.iter().zip(inputs) {
            let (bytes, align) = size(id);
            let mut copy = guard.buffer(bytes, align);
            copy.as_mut_slice().copy_from_slice(input);
            copies.push(copy);
        }
        let donor = |output: usize| {
            let mut donations = program.plan.donations.iter();
            let donation = donations.find(|(_, to)| *to as usize == output);
            donation.filter(|_| guard == Guard::Below).map(|(input, _)| *input as usize)
        };
        let made = |(at, &id): (usize, &BufferId)| {
            let (bytes, align) = size(id);
            donor(at).is_none().then(|| guard.buffer(bytes, align))
        };
        let mut outputs: Vec<Option<GuardedBuffer>> =
            program.outputs.iter().enumerate().map(made).collect();

        // A vector of any type may lie in temporaries and scratch memory: aligned as in an arena.
        let mut temporaries = Vec::new();
        let mut temporary = |bytes: usize| {
            temporaries.push(guard.buffer(bytes, tensc_runtime::arena::ALIGN));
            temporaries.last_mut().expect("it was pushed").as_mut_ptr()
        };
        let mut memory = Memory::new(program, true, &mut |buffer| {
            temporary(buffer.elements * buffer.dtype.size())
        });
        let mut threads: Vec<Thread> =
            (0..pool.threads()).map(|_| Thread::new(temporary(self.scratch()))).collect();
        for (id, copy) in program.inputs.iter().zip(&mut copies) {
            memory.table[id.0 as usize] = copy.as_mut_ptr();
        }
        for (at, (id, output)) in program.outputs.iter().zip(&mut outputs).enumerate() {
            let own = output.as_mut().or_else(|| donor(at).map(|input| &mut copies[input]));
            memory.table[id.0 as usize] = own.expect("no memory is also a donor's").as_mut_ptr();
        }
        // SAFETY: buffers of the program's sizes, alive, aligned to their elements, and apart from
        // each other but for what the plan donates.
        unsafe { self.run_in(pool, &mut memory, &mut threads)? };

        let all = copies.iter().chain(outputs.iter().flatten()).chain(&temporaries);
        assert!(all.clone().all(GuardedBuffer::is_intact), "compiled code wrote beside a buffer");
        for (at, (copy, input)) in copies.iter().zip(inputs).enumerate() {
            let given = (0..outputs.len()).any(|output| donor(output) == Some(at));
            assert!(given || copy.as_slice() == *input, "compiled code wrote to input {at}");
        }
        let results = program.outputs.iter().zip(&outputs).enumerate().map(|(at, (id, output))| {
            let own = output.as_ref().or_else(|| donor(at).map(|input| &copies[input]));
            tensor_of(&program.buffers[id.0 as usize], own.expect("no memory is also a donor's"))
        });
        Ok(results.collect())
    }
}

/// What compiled code wrote.
fn tensor_of(buffer: &Buffer, written: &GuardedBuffer) -> Tensor {
    let mut tensor = Tensor::zeros(buffer.dtype, [buffer.elements]);
    assert_eq!(written.len(), tensor.as_bytes().len(), "an output is of its size");
    // SAFETY: as many bytes on either side; compiled code writes valid elements.
    unsafe { std::ptr::copy_nonoverlapping(written.as_ptr(), tensor.as_mut_ptr(), written.len()) };
    tensor
}
