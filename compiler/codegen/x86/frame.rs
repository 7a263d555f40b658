//! The stack frame of a nest's function, and the general registers it keeps pointers in.
//!
//! Neighbours: `nest` lays the frame out and moves the pointers; `allocate` spills to it.

use super::asm::{Assembler, Gpr, Mem};
use super::machine::Place;

/// The position along the lanes.
pub(super) const INDEX: Gpr = Gpr::RBX;
/// The counter of the innermost loop around the lanes, or where a strip's partial results are.
pub(super) const COUNTER: Gpr = Gpr::R15;
/// Registers of slots; `rax`, `rcx` and `rdx` are for a moment only.
pub(super) const POINTERS: [Gpr; 10] = [
    Gpr::RSI,
    Gpr::RDI,
    Gpr::R8,
    Gpr::R9,
    Gpr::R10,
    Gpr::R11,
    Gpr::R12,
    Gpr::R13,
    Gpr::R14,
    Gpr::RBP,
];

/// Room on the stack; it grows while code is emitted.
pub(super) struct Frame {
    bytes: i32,
}

impl Frame {
    /// Its first word keeps the stack pointer of the caller.
    pub fn new() -> Frame {
        Frame { bytes: 8 }
    }

    /// Room of a size, aligned to it (up to 64).
    pub fn take(&mut self, bytes: usize) -> i32 {
        let align = bytes.next_power_of_two().min(64) as i32;
        let at = (self.bytes + align - 1) & -align;
        self.bytes = at + i32::try_from(bytes).expect("a small frame");
        at
    }

    pub fn bytes(&self) -> i32 {
        self.bytes
    }
}

/// Memory in the frame.
pub(super) fn frame(at: i32) -> Mem {
    Mem::at(Gpr::RSP).plus(at)
}

/// How a slot's pointer is found.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pointer {
    pub at: PointerAt,
    /// Bytes of an element where consecutive lanes are consecutive elements: the index counts.
    pub indexed: Option<u8>,
}

/// Where a pointer is kept.
#[derive(Clone, Copy, Debug)]
pub(super) enum PointerAt {
    Register(Gpr),
    Frame(i32),
}

/// The pointers of a body's slots.
#[derive(Clone, Debug, Default)]
pub(super) struct Pointers(pub Vec<Pointer>);

impl Pointers {
    /// The operand; may use `rcx`.
    pub fn resolve(&self, a: &mut Assembler, place: Place) -> Mem {
        let (slot, bytes, base) = match place {
            Place::Frame(at) => return frame(at),
            Place::Strip(bytes) => return Mem::at(COUNTER).indexed(INDEX, 4).plus(bytes),
            Place::Gathered { slot, bytes } => (slot, bytes, Gpr::RAX),
            Place::Slot { slot, bytes } => {
                let base = match self.0[slot as usize].at {
                    PointerAt::Register(r) => r,
                    PointerAt::Frame(at) => {
                        a.load(Gpr::RCX, frame(at), 8);
                        Gpr::RCX
                    }
                };
                (slot, bytes, base)
            }
        };
        let mem = Mem::at(base).plus(bytes);
        match self.0[slot as usize].indexed {
            Some(size) => mem.indexed(INDEX, size),
            None => mem,
        }
    }

    /// Adds the pointer to `to`.
    pub fn add_to(&self, a: &mut Assembler, to: Gpr, slot: u32) {
        use super::asm::Alu;
        match self.0[slot as usize].at {
            PointerAt::Register(r) => a.alu(Alu::Add, to, r),
            PointerAt::Frame(at) => a.alu_mem(Alu::Add, to, frame(at)),
        }
    }
}
