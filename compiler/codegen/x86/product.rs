//! Micro-kernels of products in 256-bit and 512-bit vectors.
//!
//! A tile of C stays in registers over a block of depth. Each step of depth loads a row of B, as
//! many vectors as the tile has, and multiplies it by one broadcast element of A for each row of
//! the tile. Distances within A are constants of the code. The last vector of a tile may be
//! masked: nothing outside the matrices is read or written.
//!
//! Neighbours: `codegen::product` decides on tiles and calls the functions; `product_vectors` has
//! the instructions.

use super::asm::{Alu, Assembler, Condition, Gpr, Mem, Operand, Vector};
pub(in crate::codegen) use super::product_vectors::lanes;
use super::product_vectors::{Part, Vectors, at, registers};
use crate::codegen::product::{Key, UNROLL};
use crate::codegen::target::Isa;

// The parameters of `product::MICRO_PARAMS`, in the System V convention.
const LEFT: Gpr = Gpr::RDI;
const RIGHT: Gpr = Gpr::RSI;
const RIGHT_BYTES: Gpr = Gpr::RDX;
const DEPTH: Gpr = Gpr::RCX;
const ADDS: Gpr = Gpr::R8;
const OUT: Gpr = Gpr::R9;
/// Byte offset from the stack pointer of the parameter that no register is left for.
const OUT_BYTES: i64 = 8;
/// Likewise: where the rows of B that are read are copied to, or what is asked for ahead.
const OTHER_RIGHT: i64 = 16;

// Registers that a call may change.
const THREE_RIGHT_BYTES: Gpr = Gpr::RAX;
const COUNT: Gpr = Gpr::R10;
/// The copy of B's rows, or what is asked for ahead; before and after the loops, bytes from row to
/// row of the result.
const OTHER: Gpr = Gpr::R11;

/// How many rows a tile of so many vectors may have; `masked` where the last vector is not full.
pub(in crate::codegen) fn most_rows(isa: Isa, vectors: usize, masked: bool) -> usize {
    let wide = isa == Isa::Avx512;
    // Beside the sums: a row of B, an element of A, and the mask where it is a vector.
    let others = vectors + usize::from(!(wide && vectors == 1)) + usize::from(masked && !wide);
    registers(isa).saturating_sub(others) / vectors
}

/// The machine code of a micro-kernel.
pub(in crate::codegen) fn emit(key: &Key) -> Vec<u8> {
    let mut a = Assembler::new(key.isa);
    let vectors = Vectors::widest(key.isa, key.size);
    let last = match key.columns % vectors.lanes() {
        0 => Part::All,
        count => vectors.mask(&mut a, count, Vector(registers(key.isa) as u8 - 1)),
    };
    let width = lanes(key.isa, key.size);
    let kernel = Kernel { key, vectors, across: key.columns.div_ceil(width), last };
    kernel.start(&mut a);
    kernel.loops(&mut a);
    kernel.store(&mut a);
    a.vzeroupper();
    a.ret();
    a.finish()
}

struct Kernel<'a> {
    key: &'a Key,
    vectors: Vectors,
    /// Vectors of a row.
    across: usize,
    /// What the last of them has.
    last: Part,
}

impl Kernel<'_> {
    fn sum(&self, row: usize, vector: usize) -> Vector {
        Vector((row * self.across + vector) as u8)
    }

    /// A vector of B's row.
    fn right(&self, vector: usize) -> Vector {
        Vector((self.key.rows * self.across + vector) as u8)
    }

    /// An element of A, in all lanes.
    fn left(&self) -> Vector {
        self.right(self.across)
    }

    /// What a vector of a row has.
    fn part(&self, vector: usize) -> Part {
        if vector + 1 == self.across { self.last } else { Part::All }
    }

    /// The sums are zeros; the tile's memory is asked for.
    fn start(&self, a: &mut Assembler) {
        if self.key.prefetches {
            a.mov(COUNT, OUT);
            a.load(OTHER, at(Gpr::RSP, OUT_BYTES), 8);
            let bytes = (self.key.columns * self.key.size) as i64;
            for r in 0..self.key.rows {
                for line in (0..bytes).step_by(64) {
                    a.prefetch_to_write(at(COUNT, line));
                }
                if r + 1 < self.key.rows {
                    a.alu(Alu::Add, COUNT, OTHER);
                }
            }
        }
        for r in 0..self.key.rows {
            for v in 0..self.across {
                self.vectors.zero(a, self.sum(r, v));
            }
        }
    }

    /// Every vector of the tile in memory; moves `pointer` from row to row.
    fn rows(
        &self,
        a: &mut Assembler,
        pointer: Gpr,
        mut each: impl FnMut(&mut Assembler, usize, usize, Mem),
    ) {
        a.load(OTHER, at(Gpr::RSP, OUT_BYTES), 8);
        for r in 0..self.key.rows {
            for v in 0..self.across {
                each(a, r, v, at(pointer, v as i64 * self.vectors.bytes()));
            }
            if r + 1 < self.key.rows {
                a.alu(Alu::Add, pointer, OTHER);
            }
        }
    }

    /// All steps of depth: as many as are unrolled at a time, then one by one.
    fn loops(&self, a: &mut Assembler) {
        if self.key.copies || self.key.ahead.is_some() {
            a.load(OTHER, at(Gpr::RSP, OTHER_RIGHT), 8);
        }
        a.lea(THREE_RIGHT_BYTES, at(RIGHT_BYTES, 0).indexed(RIGHT_BYTES, 2));
        a.mov(COUNT, DEPTH);
        a.shr(COUNT, UNROLL.ilog2() as u8);
        let (rest, head) = (a.label(), a.label());
        a.jump_if(Condition::Equal, rest);
        a.bind(head);
        for step in 0..UNROLL {
            self.ask(a, step);
            self.step(a, step);
        }
        a.lea(RIGHT, at(RIGHT, 0).indexed(RIGHT_BYTES, UNROLL as u8));
        add(a, LEFT, UNROLL as i64 * self.key.step_bytes);
        if self.key.copies {
            add(a, OTHER, UNROLL as i64 * self.key.panel_bytes);
        }
        a.alu_imm(Alu::Sub, COUNT, 1);
        a.jump_if(Condition::NotEqual, head);

        a.bind(rest);
        let (done, head) = (a.label(), a.label());
        a.alu_imm(Alu::And, DEPTH, UNROLL as i32 - 1);
        a.jump_if(Condition::Equal, done);
        a.bind(head);
        self.step(a, 0);
        a.alu(Alu::Add, RIGHT, RIGHT_BYTES);
        add(a, LEFT, self.key.step_bytes);
        if self.key.copies {
            add(a, OTHER, self.key.panel_bytes);
        }
        a.alu_imm(Alu::Sub, DEPTH, 1);
        a.jump_if(Condition::NotEqual, head);
        a.bind(done);
    }

    /// Asks for a row of the next block, where that belongs to this step.
    fn ask(&self, a: &mut Assembler, step: usize) {
        let Some(ahead) = self.key.ahead.filter(|ahead| step < ahead.rows) else { return };
        for line in 0..ahead.lines as i64 {
            a.prefetch_second(at(OTHER, 64 * line));
        }
        a.alu_imm(Alu::Add, OTHER, ahead.row_bytes);
    }

    /// One step of depth, `step` behind the pointers.
    fn step(&self, a: &mut Assembler, step: usize) {
        let right = |v: usize| {
            let place = at(RIGHT, v as i64 * self.vectors.bytes());
            match step {
                0 => place,
                1 => place.indexed(RIGHT_BYTES, 1),
                2 => place.indexed(RIGHT_BYTES, 2),
                _ => place.indexed(THREE_RIGHT_BYTES, 1),
            }
        };
        let left =
            |r: usize| at(LEFT, r as i64 * self.key.row_bytes + step as i64 * self.key.step_bytes);
        let vectors = self.vectors;
        if self.key.rows == 1 && !self.key.copies {
            // Each vector of B is used once.
            let x = self.left();
            vectors.broadcast(a, x, left(0));
            for v in 0..self.across {
                match self.part(v) {
                    Part::All => vectors.multiply_add(a, self.sum(0, v), x, right(v)),
                    part => {
                        vectors.load(a, self.right(0), right(v), part);
                        vectors.multiply_add(a, self.sum(0, v), x, self.right(0));
                    }
                }
            }
            return;
        }
        for v in 0..self.across {
            vectors.load(a, self.right(v), right(v), self.part(v));
            if self.key.copies {
                let place = step as i64 * self.key.panel_bytes + v as i64 * vectors.bytes();
                vectors.store(a, at(OTHER, place), self.right(v), Part::All);
            }
        }
        for r in 0..self.key.rows {
            if self.across == 1 && self.key.isa == Isa::Avx512 {
                let x = Operand::Broadcast(left(r));
                vectors.multiply_add(a, self.sum(r, 0), self.right(0), x);
                continue;
            }
            vectors.broadcast(a, self.left(), left(r));
            for v in 0..self.across {
                vectors.multiply_add(a, self.sum(r, v), self.left(), self.right(v));
            }
        }
    }

    /// Adds the sums of the blocks before, if there are any, and stores the tile.
    fn store(&self, a: &mut Assembler) {
        let ready = a.label();
        a.alu(Alu::Test, ADDS, ADDS);
        a.jump_if(Condition::Equal, ready);
        a.mov(COUNT, OUT);
        self.rows(a, COUNT, |a, r, v, place| match self.part(v) {
            Part::All => self.vectors.add(a, self.sum(r, v), place),
            part => {
                self.vectors.load(a, self.right(0), place, part);
                self.vectors.add(a, self.sum(r, v), self.right(0));
            }
        });
        a.bind(ready);
        self.rows(a, OUT, |a, r, v, place| {
            self.vectors.store(a, place, self.sum(r, v), self.part(v));
        });
    }
}

fn add(a: &mut Assembler, to: Gpr, bytes: i64) {
    a.alu_imm(Alu::Add, to, i32::try_from(bytes).expect("distances within a tile are checked"));
}
