//! A thin assembler over iced-x86: instructions, labels, and a pool of constants after the code.
//!
//! Vector instructions are those of [`Op`]; the instruction set decides between VEX and EVEX.
//! General instructions have a method each. Branches are near, memory operands and constants are
//! named by values ([`Mem`]), and everything that is not known yet is patched in
//! [`Assembler::finish`].
//!
//! Invariant: an instruction that the instruction set has not, or operands that it does not take,
//! is a bug of the caller and panics at the call.
//!
//! Neighbours: `table` lists vector instructions; `module::Builder::define_bytes` takes the code.

mod general;
#[cfg(test)]
mod tests;

use super::table::Op;
use crate::codegen::target::Isa;
use iced_x86::{Code, Encoder, Instruction, OpKind, Register};
use rustc_hash::FxHashMap;

/// A general register, by its number.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in crate::codegen) struct Gpr(pub u8);

impl Gpr {
    pub const RAX: Gpr = Gpr(0);
    pub const RCX: Gpr = Gpr(1);
    pub const RDX: Gpr = Gpr(2);
    pub const RBX: Gpr = Gpr(3);
    pub const RSP: Gpr = Gpr(4);
    pub const RBP: Gpr = Gpr(5);
    pub const RSI: Gpr = Gpr(6);
    pub const RDI: Gpr = Gpr(7);
    pub const R8: Gpr = Gpr(8);
    pub const R9: Gpr = Gpr(9);
    pub const R10: Gpr = Gpr(10);
    pub const R11: Gpr = Gpr(11);
    pub const R12: Gpr = Gpr(12);
    pub const R13: Gpr = Gpr(13);
    pub const R14: Gpr = Gpr(14);
    pub const R15: Gpr = Gpr(15);
    /// Those that a function gives back as they were.
    pub const SAVED: [Gpr; 6] = [Gpr::RBX, Gpr::RBP, Gpr::R12, Gpr::R13, Gpr::R14, Gpr::R15];

    fn wide(self) -> Register {
        Register::RAX + u32::from(self.0)
    }
    fn narrow(self) -> Register {
        Register::EAX + u32::from(self.0)
    }
    fn half(self) -> Register {
        Register::AX + u32::from(self.0)
    }
    fn byte(self) -> Register {
        const BYTES: [Register; 8] = [
            Register::AL,
            Register::CL,
            Register::DL,
            Register::BL,
            Register::SPL,
            Register::BPL,
            Register::SIL,
            Register::DIL,
        ];
        match self.0 {
            n @ 0..8 => BYTES[usize::from(n)],
            n => Register::R8L + u32::from(n - 8),
        }
    }
}

/// A vector register, by its number: 0..16 with VEX, 0..32 with EVEX.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in crate::codegen) struct Vector(pub u8);

/// A mask register, by its number. `k0` cannot mask an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in crate::codegen) struct Mask(pub u8);

/// How many bits of the vectors an instruction works on.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(in crate::codegen) enum Width {
    /// 128.
    X,
    /// 256.
    Y,
    /// 512.
    Z,
}

impl Width {
    /// The widest vectors of the instruction set.
    pub fn widest(isa: Isa) -> Width {
        match isa {
            Isa::Avx512 => Width::Z,
            Isa::Avx2 => Width::Y,
            Isa::Portable => Width::X,
        }
    }

    /// Bytes of a vector.
    pub const fn bytes(self) -> usize {
        match self {
            Width::X => 16,
            Width::Y => 32,
            Width::Z => 64,
        }
    }

    /// The register class that holds a `1 / 2^halvings` part.
    fn part(self, halvings: u32) -> Width {
        match (self, halvings) {
            (_, 0) => self,
            (Width::Z, 1) => Width::Y,
            _ => Width::X,
        }
    }

    fn register(self, v: Vector) -> Register {
        let first = match self {
            Width::X => Register::XMM0,
            Width::Y => Register::YMM0,
            Width::Z => Register::ZMM0,
        };
        first + u32::from(v.0)
    }
}

/// Where a memory operand counts from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Base {
    Register(Gpr),
    /// So many bytes into the pool of constants.
    Pool(u32),
}

/// A memory operand: `[base + index * scale + offset]`, or a constant of the pool.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in crate::codegen) struct Mem {
    base: Base,
    index: Option<(Gpr, u8)>,
    offset: i32,
}

impl Mem {
    /// `[base]`.
    pub fn at(base: Gpr) -> Mem {
        Mem { base: Base::Register(base), index: None, offset: 0 }
    }

    /// With an index register times 1, 2, 4 or 8.
    pub fn indexed(self, index: Gpr, scale: u8) -> Mem {
        assert!(matches!(scale, 1 | 2 | 4 | 8) && index != Gpr::RSP, "no such address");
        assert!(matches!(self.base, Base::Register(_)), "constants are not indexed");
        Mem { index: Some((index, scale)), ..self }
    }

    /// So many bytes further on.
    pub fn plus(self, bytes: i32) -> Mem {
        let offset = self.offset.checked_add(bytes).expect("an offset of 32 bits");
        Mem { offset, ..self }
    }
}

/// An operand of a vector instruction.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in crate::codegen) enum Operand {
    /// A vector register.
    Vector(Vector),
    /// A mask register.
    Mask(Mask),
    /// A general register.
    Gpr(Gpr),
    /// Memory.
    Mem(Mem),
    /// One element of memory in every lane: EVEX only.
    Broadcast(Mem),
}

macro_rules! operand_from {
    ($($name:ident),*) => {$(
        impl From<$name> for Operand {
            fn from(x: $name) -> Operand {
                Operand::$name(x)
            }
        }
    )*};
}

operand_from!(Vector, Mask, Gpr, Mem);

/// Which lanes of the destination an EVEX instruction writes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(in crate::codegen) enum Masking {
    /// All.
    #[default]
    All,
    /// Those of the mask; the others keep what they have.
    Merge(Mask),
    /// Those of the mask; the others become 0. Not for stores.
    Zero(Mask),
}

/// When a branch is taken.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in crate::codegen) enum Condition {
    Equal,
    NotEqual,
    /// Signed.
    Less,
    Greater,
    /// Unsigned.
    Below,
    NotBelow,
    Above,
}

/// A place in the code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in crate::codegen) struct Label(u32);

/// Two-operand arithmetic of general registers, 64 bits wide.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in crate::codegen) enum Alu {
    Add,
    Sub,
    And,
    Cmp,
    Test,
    Imul,
}

/// What is patched when all positions are known.
struct Patch {
    /// Where the 32-bit distance lies.
    at: usize,
    /// Where the instruction ends: the distance counts from there.
    end: usize,
    target: Target,
}

enum Target {
    Label(Label),
    Pool(u32),
}

/// Code being written.
pub(in crate::codegen) struct Assembler {
    isa: Isa,
    encoder: Encoder,
    len: usize,
    labels: Vec<Option<usize>>,
    patches: Vec<Patch>,
    pool: Vec<u8>,
    constants: FxHashMap<Box<[u8]>, u32>,
    /// What was asked for, to compare with what a decoder finds.
    #[cfg(test)]
    log: Vec<Instruction>,
}

/// The alignment that the pool, and so the code, has.
const POOL_ALIGN: usize = 64;

impl Assembler {
    /// No code yet.
    pub fn new(isa: Isa) -> Assembler {
        assert!(isa != Isa::Portable, "portable code is Cranelift's");
        Assembler {
            isa,
            encoder: Encoder::try_with_capacity(64, 4096).expect("a bitness there is"),
            len: 0,
            labels: Vec::new(),
            patches: Vec::new(),
            pool: Vec::new(),
            constants: FxHashMap::default(),
            #[cfg(test)]
            log: Vec::new(),
        }
    }

    /// The instruction set.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The code with its pool; it must be placed at a multiple of 64 bytes.
    pub fn finish(mut self) -> Vec<u8> {
        let mut bytes = self.encoder.take_buffer();
        bytes.resize(bytes.len().next_multiple_of(POOL_ALIGN), 0xCC);
        let pool = bytes.len();
        bytes.extend_from_slice(&self.pool);
        for patch in &self.patches {
            let target = match patch.target {
                Target::Label(label) => {
                    self.labels[label.0 as usize].expect("every label used is bound")
                }
                Target::Pool(offset) => pool + offset as usize,
            };
            let distance = target as i64 - patch.end as i64;
            let distance = i32::try_from(distance).expect("code of less than 2^31 bytes");
            bytes[patch.at..patch.at + 4].copy_from_slice(&distance.to_le_bytes());
        }
        #[cfg(test)]
        tests::check(&bytes[..self.len], &self.log);
        bytes
    }

    /// A constant, once for all that are alike, aligned to its size (a power of two up to 64).
    pub fn constant(&mut self, bytes: &[u8]) -> Mem {
        assert!(bytes.len().is_power_of_two() && bytes.len() <= POOL_ALIGN, "a whole operand");
        let offset = match self.constants.get(bytes) {
            Some(&offset) => offset,
            None => {
                let offset = self.pool.len().next_multiple_of(bytes.len());
                self.pool.resize(offset, 0);
                self.pool.extend_from_slice(bytes);
                let offset = u32::try_from(offset).expect("a pool of less than 2^32 bytes");
                self.constants.insert(bytes.into(), offset);
                offset
            }
        };
        Mem { base: Base::Pool(offset), index: None, offset: 0 }
    }

    /// A label for a place that is not reached yet.
    pub fn label(&mut self) -> Label {
        self.labels.push(None);
        Label(self.labels.len() as u32 - 1)
    }

    /// Puts the label here.
    pub fn bind(&mut self, label: Label) {
        let place = &mut self.labels[label.0 as usize];
        assert!(place.is_none(), "a label is one place");
        *place = Some(self.len);
    }

    /// A label for this place.
    pub fn here(&mut self) -> Label {
        let label = self.label();
        self.bind(label);
        label
    }

    /// A vector or mask instruction. Operands are in Intel's order, destination first.
    pub fn op<const N: usize>(&mut self, op: Op, width: Width, operands: [Operand; N]) {
        self.masked(op, width, &operands, None, Masking::All);
    }

    /// As [`Assembler::op`], with an immediate.
    pub fn op_imm<const N: usize>(
        &mut self,
        op: Op,
        width: Width,
        operands: [Operand; N],
        imm: u8,
    ) {
        self.masked(op, width, &operands, Some(imm), Masking::All);
    }

    /// The general form.
    pub fn masked(
        &mut self,
        op: Op,
        width: Width,
        operands: &[Operand],
        imm: Option<u8>,
        masking: Masking,
    ) {
        let row = op.row();
        let code = row.codes[form(self.isa, width)];
        assert!(code != Code::INVALID, "{op:?} has no form of {width:?} for {:?}", self.isa);
        assert_eq!(row.shape.len(), operands.len(), "operands of {op:?}");
        assert_eq!(row.imm, imm.is_some(), "immediate of {op:?}");
        let mut inst = Instruction::new();
        inst.set_code(code);
        let mut target = None;
        for (i, (&operand, letter)) in operands.iter().zip(row.shape.bytes()).enumerate() {
            let register = match operand {
                Operand::Vector(v) => Some(match letter {
                    b'V' | b'M' => width.register(v),
                    b'H' | b'h' => width.part(1).register(v),
                    b'Q' | b'O' => width.part(2).register(v),
                    b'W' => Width::Y.register(v),
                    b'X' | b'S' | b'D' | b'P' | b's' | b'4' | b'8' => Width::X.register(v),
                    _ => panic!("operand {i} of {op:?} is no vector"),
                }),
                Operand::Mask(k) => {
                    assert_eq!(letter, b'K', "operand {i} of {op:?} is no mask");
                    Some(Register::K0 + u32::from(k.0))
                }
                Operand::Gpr(r) => Some(match letter {
                    b'g' => r.narrow(),
                    b'G' => r.wide(),
                    _ => panic!("operand {i} of {op:?} is no general register"),
                }),
                Operand::Mem(mem) => {
                    target = set_memory(&mut inst, i as u32, mem);
                    None
                }
                Operand::Broadcast(mem) => {
                    target = set_memory(&mut inst, i as u32, mem);
                    inst.set_is_broadcast(true);
                    None
                }
            };
            if let Some(register) = register {
                inst.set_op_kind(i as u32, OpKind::Register);
                inst.set_op_register(i as u32, register);
            }
        }
        if let Some(imm) = imm {
            inst.set_op_kind(operands.len() as u32, OpKind::Immediate8);
            inst.set_immediate8(imm);
        }
        match masking {
            Masking::All => {}
            Masking::Merge(k) | Masking::Zero(k) => {
                assert!(k.0 != 0, "k0 masks nothing");
                inst.set_op_mask(Register::K0 + u32::from(k.0));
                inst.set_zeroing_masking(matches!(masking, Masking::Zero(_)));
            }
        }
        self.push(inst, target);
    }

    /// Appends an instruction of which `target` is still to be patched in.
    fn push(&mut self, inst: Instruction, target: Option<Target>) {
        let len = match self.encoder.encode(&inst, self.len as u64) {
            Ok(len) => len,
            Err(error) => panic!("{:?}: {error}", inst.code()),
        };
        let start = self.len;
        self.len += len;
        if let Some(target) = target {
            let at = match target {
                Target::Label(_) => self.len - 4,
                Target::Pool(_) => {
                    start + self.encoder.get_constant_offsets().displacement_offset()
                }
            };
            self.patches.push(Patch { at, end: self.len, target });
        }
        #[cfg(test)]
        self.log.push(inst);
    }
}

/// Code as text, one instruction a line. What lies behind the last instruction is the pool.
pub(in crate::codegen) fn text(bytes: &[u8]) -> String {
    use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter};
    let mut formatter = IntelFormatter::new();
    let mut text = String::new();
    for inst in &mut Decoder::with_ip(64, bytes, 0, DecoderOptions::NONE) {
        if inst.code() == Code::Int3 || inst.is_invalid() {
            break;
        }
        text.push_str(&format!("{:6x}  ", inst.ip()));
        formatter.format(&inst, &mut text);
        text.push('\n');
    }
    text
}

/// The column of a row.
fn form(isa: Isa, width: Width) -> usize {
    match (isa, width) {
        (Isa::Avx512, Width::X) => 2,
        (Isa::Avx512, Width::Y) => 3,
        (Isa::Avx512, Width::Z) => 4,
        (_, Width::X) => 0,
        (_, Width::Y) => 1,
        (_, Width::Z) => panic!("vectors of 512 bits without AVX-512"),
    }
}

/// Makes operand `i` the memory operand; gives what is to be patched into it.
fn set_memory(inst: &mut Instruction, i: u32, mem: Mem) -> Option<Target> {
    inst.set_op_kind(i, OpKind::Memory);
    match mem.base {
        Base::Register(base) => {
            inst.set_memory_base(base.wide());
            inst.set_memory_displacement64(i64::from(mem.offset) as u64);
            // The encoder chooses the short form where there is one.
            inst.set_memory_displ_size(u32::from(mem.offset != 0 || base.0 & 7 == 5));
            if let Some((index, scale)) = mem.index {
                inst.set_memory_index(index.wide());
                inst.set_memory_index_scale(u32::from(scale));
            }
            None
        }
        Base::Pool(offset) => {
            // The encoder takes the absolute target; what it writes is overwritten, see `finish`.
            inst.set_memory_base(Register::RIP);
            inst.set_memory_displ_size(8);
            let offset = i64::from(offset) + i64::from(mem.offset);
            Some(Target::Pool(u32::try_from(offset).expect("an address in the pool")))
        }
    }
}
