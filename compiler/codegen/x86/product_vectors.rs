//! Vectors of `f32` or `f64` elements, in the widest form of an instruction set.
//!
//! What the kernels of products say of vectors: the element type and the width are chosen once,
//! here, and the first lanes alone can be loaded and stored with either kind of mask.
//!
//! Neighbours: `asm` encodes; `product`, `product_pack` and `product_collect` write kernels.

use super::asm::{Assembler, Gpr, Mask, Masking, Mem, Operand, Vector, Width};
use super::table::Op;
use crate::codegen::target::Isa;

/// The instructions of one element type and width.
#[derive(Clone, Copy)]
pub struct Vectors {
    pub width: Width,
    /// Bytes of an element: 4 or 8.
    pub size: usize,
}

/// The first lanes of a vector.
#[derive(Clone, Copy)]
pub enum Part {
    /// All of them.
    All,
    /// Those whose bits are set in a mask register.
    Bits(Mask),
    /// Those that are set in a vector register.
    Lanes(Vector),
}

/// `[base + bytes]`.
pub fn at(base: Gpr, bytes: i64) -> Mem {
    Mem::at(base).plus(i32::try_from(bytes).expect("distances within a tile are checked"))
}

/// Lanes of a vector.
pub fn lanes(isa: Isa, size: usize) -> usize {
    Width::widest(isa).bytes() / size
}

/// How many vector registers there are.
pub fn registers(isa: Isa) -> usize {
    match isa {
        Isa::Portable | Isa::Avx2 => 16,
        Isa::Avx512 => 32,
    }
}

impl Vectors {
    /// The widest vectors of these elements.
    pub fn widest(isa: Isa, size: usize) -> Vectors {
        Vectors { width: Width::widest(isa), size }
    }

    /// Bytes of a vector.
    pub fn bytes(self) -> i64 {
        self.width.bytes() as i64
    }

    /// Lanes of a vector.
    pub fn lanes(self) -> usize {
        self.width.bytes() / self.size
    }

    fn op(self, single: Op, double: Op) -> Op {
        if self.size == 8 { double } else { single }
    }

    /// A mask of the first `count` lanes, fewer than all; `register` holds it where masks are
    /// vectors, and `rax` is overwritten.
    pub fn mask(self, a: &mut Assembler, count: usize, register: Vector) -> Part {
        if a.isa() == Isa::Avx512 {
            let mask = Mask(1);
            a.mov_imm(Gpr::RAX, (1 << count) - 1);
            a.op(Op::KmovwFromGpr, Width::X, [mask.into(), Gpr::RAX.into()]);
            return Part::Bits(mask);
        }
        let bytes: Vec<u8> = (0..self.width.bytes())
            .map(|byte| if byte < count * self.size { 0xFF } else { 0 })
            .collect();
        let constant = a.constant(&bytes);
        a.op(Op::Vmovups, self.width, [register.into(), constant.into()]);
        Part::Lanes(register)
    }

    /// All lanes zero.
    pub fn zero(self, a: &mut Assembler, v: Vector) {
        // Writing 128 bits clears the rest.
        a.op(Op::Vxorps, Width::X, [v.into(), v.into(), v.into()]);
    }

    /// Loads the lanes of the part; the others become 0.
    pub fn load(self, a: &mut Assembler, to: Vector, from: Mem, part: Part) {
        let code = self.op(Op::Vmovups, Op::Vmovupd);
        match part {
            Part::All => a.op(code, self.width, [to.into(), from.into()]),
            Part::Bits(mask) => {
                let operands = [to.into(), from.into()];
                a.masked(code, self.width, &operands, None, Masking::Zero(mask));
            }
            Part::Lanes(mask) => {
                let code = self.op(Op::VmaskmovpsLoad, Op::VmaskmovpdLoad);
                a.op(code, self.width, [to.into(), mask.into(), from.into()]);
            }
        }
    }

    /// Stores the lanes of the part, and leaves what the others would overwrite.
    pub fn store(self, a: &mut Assembler, to: Mem, from: Vector, part: Part) {
        let code = self.op(Op::VmovupsStore, Op::VmovupdStore);
        match part {
            Part::All => a.op(code, self.width, [to.into(), from.into()]),
            Part::Bits(mask) => {
                let operands = [to.into(), from.into()];
                a.masked(code, self.width, &operands, None, Masking::Merge(mask));
            }
            Part::Lanes(mask) => {
                let code = self.op(Op::VmaskmovpsStore, Op::VmaskmovpdStore);
                a.op(code, self.width, [to.into(), mask.into(), from.into()]);
            }
        }
    }

    /// One element to all lanes.
    pub fn broadcast(self, a: &mut Assembler, to: Vector, from: Mem) {
        let code = self.op(Op::Vbroadcastss, Op::Vbroadcastsd);
        a.op(code, self.width, [to.into(), from.into()]);
    }

    /// `sum += x`
    pub fn add(self, a: &mut Assembler, sum: Vector, x: impl Into<Operand>) {
        let code = self.op(Op::Vaddps, Op::Vaddpd);
        a.op(code, self.width, [sum.into(), sum.into(), x.into()]);
    }

    /// `sum += x * y`
    pub fn multiply_add(self, a: &mut Assembler, sum: Vector, x: Vector, y: impl Into<Operand>) {
        let code = self.op(Op::Vfmadd231ps, Op::Vfmadd231pd);
        a.op(code, self.width, [sum.into(), x.into(), y.into()]);
    }
}
