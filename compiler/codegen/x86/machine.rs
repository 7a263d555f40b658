//! Machine instructions on virtual registers: what `lower` makes of vector programs, and what
//! `allocate` gives registers.
//!
//! A region is straight-line code, a list of [`Step`]s. Every virtual register is defined once, by
//! a step or by what is around the region, and holds one vector or mask. One that has a [`Home`]
//! can be had again from memory at any time.

use super::asm::{Gpr, Label, Width};
use super::table::Op;
use crate::codegen::target::Isa;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;

/// A virtual register.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) struct Reg(pub u32);

/// What a register holds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Class {
    Vector,
    /// AVX-512's truth values, one bit a lane.
    Mask,
}

/// Memory, as regions name it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Place {
    /// Bytes from the start of the frame.
    Frame(i32),
    /// Bytes from the element of the slot for the group's first lane.
    Slot { slot: u32, bytes: i32 },
    /// Bytes from the partial results of the group's first lane: see `strip`.
    Strip(i32),
    /// As `Slot`, moved by the gather distance that [`ScalarStep::GatherFrom`] just computed.
    Gathered { slot: u32, bytes: i32 },
}

/// Where a register's value lies besides.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) enum Home {
    /// The element of 4 or 8 bytes in every lane.
    Fill(SmallVec<[u8; 8]>),
    /// A constant vector, or the 2 bytes of a constant mask.
    Constant(Box<[u8]>),
    /// One element of so many bytes in memory, for every lane.
    Element(Place, u32),
    /// All of it, in the frame.
    Frame(i32),
}

/// An operand of a step.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Source {
    Reg(Reg),
    Mem(Place),
    Gpr(Gpr),
}

impl From<Reg> for Source {
    fn from(reg: Reg) -> Source {
        Source::Reg(reg)
    }
}

impl From<Place> for Source {
    fn from(place: Place) -> Source {
        Source::Mem(place)
    }
}

/// An instruction of the table.
#[derive(Clone, Debug)]
pub(super) struct OpStep {
    pub op: Op,
    pub width: Width,
    /// The first operand, if it is a register that is written.
    pub dst: Option<Reg>,
    /// What the destination holds before: the instruction reads its first operand too.
    pub tied: Option<Reg>,
    /// The other operands.
    pub srcs: SmallVec<[Source; 3]>,
    pub imm: Option<u8>,
    /// The mask, and whether other lanes become 0 (or else keep what `tied` has).
    pub mask: Option<(Reg, bool)>,
    /// Whether the last two operands may be exchanged.
    pub commutes: bool,
}

/// One instruction, or a few.
#[derive(Clone, Debug)]
pub(super) enum Step {
    Op(OpStep),
    /// `dst = a * b + c`, in whichever form costs no move.
    Fma {
        wide: bool,
        dst: Reg,
        a: Reg,
        b: Reg,
        c: Reg,
    },
    /// What vectors cannot do.
    Scalar(ScalarStep),
}

/// Code on general registers and memory. It leaves vectors and masks alone, and may use `rax`,
/// `rcx` and `rdx`.
#[derive(Clone, Copy, Debug)]
pub(super) enum ScalarStep {
    /// Copies a few bytes: 1, 2, 4 or 8.
    Copy { from: Place, to: Place, size: u32 },
    /// `to[i] = from[i] / by[i]` (or the remainder) for 64-bit integers in the frame.
    Divide { x: i32, by: i32, to: i32, count: u32, remainder: bool },
    /// Converts one element of the frame to another: `f64` to `i64` (without saturation).
    F64ToI64 { at: i32 },
    /// Computes where a gather reads: the index at `index` in the frame times `step` bytes, from
    /// the slot's pointer.
    GatherFrom { slot: u32, index: i32, step: i64 },
    /// Asks for the cache line.
    Fetch { at: Place },
    /// Leaves the region if the instruction just before left the carry flag clear.
    Leave { to: Label },
    /// Reports `site` if the instruction just before left the zero flag clear.
    Report { site: u32 },
}

/// The virtual registers of a stage.
pub(super) struct Registers {
    pub isa: Isa,
    pub class: Vec<Class>,
    pub home: Vec<Option<Home>>,
    constants: FxHashMap<(Class, Home), Reg>,
}

impl Registers {
    pub fn new(isa: Isa) -> Registers {
        Registers { isa, class: Vec::new(), home: Vec::new(), constants: FxHashMap::default() }
    }

    /// A register that nothing defines yet.
    pub fn fresh(&mut self, class: Class) -> Reg {
        self.class.push(class);
        self.home.push(None);
        Reg(self.class.len() as u32 - 1)
    }

    /// The register whose value lies in that home; one for all that ask.
    pub fn at_home(&mut self, class: Class, home: Home) -> Reg {
        if let Some(&reg) = self.constants.get(&(class, home.clone())) {
            return reg;
        }
        let reg = self.fresh(class);
        self.home[reg.0 as usize] = Some(home.clone());
        self.constants.insert((class, home), reg);
        reg
    }

    pub fn home(&self, reg: Reg) -> Option<&Home> {
        self.home[reg.0 as usize].as_ref()
    }

    pub fn class(&self, reg: Reg) -> Class {
        self.class[reg.0 as usize]
    }
}

impl OpStep {
    /// The registers it reads.
    pub fn reads(&self) -> SmallVec<[Reg; 5]> {
        let operands = self.srcs.iter().filter_map(|s| match s {
            Source::Reg(r) => Some(*r),
            Source::Mem(_) | Source::Gpr(_) => None,
        });
        operands.chain(self.tied).chain(self.mask.map(|(k, _)| k)).collect()
    }
}

impl Step {
    /// The registers it reads.
    pub fn reads(&self) -> SmallVec<[Reg; 5]> {
        match self {
            Step::Op(op) => op.reads(),
            Step::Fma { a, b, c, .. } => SmallVec::from_slice(&[*a, *b, *c]),
            Step::Scalar(_) => SmallVec::new(),
        }
    }

    /// The register it defines.
    pub fn writes(&self) -> Option<Reg> {
        match self {
            Step::Op(op) => op.dst,
            Step::Fma { dst, .. } => Some(*dst),
            Step::Scalar(_) => None,
        }
    }
}

/// How many registers of a class there are to give away. `k0` masks nothing and stays out.
pub(super) fn count(isa: Isa, class: Class) -> u8 {
    match (class, isa) {
        (Class::Vector, Isa::Avx512) => 32,
        (Class::Vector, _) => 16,
        (Class::Mask, _) => 8,
    }
}
