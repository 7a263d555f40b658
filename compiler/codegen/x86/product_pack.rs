//! Packing of panels whose elements are contiguous along the depth: they are turned over in
//! registers.
//!
//! Rows of the operand become columns of the panel, a vector of them at a time. Vectors of 256 bits
//! serve every instruction set: the work is in loads and stores.
//!
//! Neighbours: `codegen::product::pack` calls the functions; `product_vectors` has the elements.

use super::asm::{Alu, Assembler, Condition, Gpr, Vector, Width};
use super::product_vectors::at;
use super::table::Op;
use crate::codegen::target::Isa;
use cranelift_codegen::ir::{self, types};

/// What a packing function is made for: equal keys, equal code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in crate::codegen) struct Turn {
    /// Bytes of an element: 4 or 8.
    pub size: usize,
    /// Rows of the operand.
    pub width: usize,
    /// Bytes from row to row of the operand.
    pub row_bytes: i64,
    /// Bytes from step to step of the panel: room for whole vectors of 256 bits.
    pub step_bytes: i64,
}

// The parameters, in the System V convention: the first element, the panel, the depth.
const FROM: Gpr = Gpr::RDI;
const TO: Gpr = Gpr::RSI;
const DEPTH: Gpr = Gpr::RDX;

/// How many there are.
pub(in crate::codegen) const PARAMS: [ir::Type; 3] = [types::I64; 3];

// Registers that a call may change.
const COUNT: Gpr = Gpr::RCX;
const READ: Gpr = Gpr::R8;
const WRITE: Gpr = Gpr::R9;
const ELEMENT: Gpr = Gpr::RAX;

impl Turn {
    /// Whether rows are near enough to be reached by displacements.
    pub fn is_possible(&self) -> bool {
        self.row_bytes.unsigned_abs() < 1 << 27
    }

    /// For dumps.
    pub fn name(&self) -> String {
        format!("pack_f{}_{}", 8 * self.size, self.width)
    }

    /// Rows that become a vector.
    fn lanes(&self) -> usize {
        32 / self.size
    }

    /// Steps of depth that are turned at a time: elements of half a vector.
    fn steps(&self) -> usize {
        self.lanes() / 2
    }

    /// Bytes to the row that gives this lane of a vector; the last row stands in for those that
    /// are not there.
    fn row(&self, first: usize, lane: usize) -> i64 {
        ((first + lane).min(self.width - 1) - first) as i64 * self.row_bytes
    }
}

/// The machine code of a packing function.
pub(in crate::codegen) fn emit(turn: &Turn) -> Vec<u8> {
    let mut a = Assembler::new(Isa::Avx2);
    for first in (0..turn.width).step_by(turn.lanes()) {
        if first == 0 {
            a.mov(READ, FROM);
        } else {
            a.add_any(FROM, turn.lanes() as i64 * turn.row_bytes, ELEMENT);
            a.mov(READ, FROM);
        }
        a.lea(WRITE, at(TO, (first * turn.size) as i64));
        several(&mut a, turn, first);
        one_by_one(&mut a, turn, first);
    }
    a.vzeroupper();
    a.ret();
    a.finish()
}

/// Whole squares of elements.
fn several(a: &mut Assembler, turn: &Turn, first: usize) {
    let after = a.label();
    a.mov(COUNT, DEPTH);
    a.shr(COUNT, turn.steps().ilog2() as u8);
    a.jump_if(Condition::Equal, after);
    let head = a.here();
    // A vector has the same steps of two rows, half the lanes apart: what is mixed within the
    // halves of vectors then has its lanes in order.
    let half = turn.lanes() / 2;
    for i in 0..half {
        let (low, high) = (at(READ, turn.row(first, i)), at(READ, turn.row(first, i + half)));
        let v = Vector(i as u8);
        a.op(Op::Vmovups, Width::X, [v.into(), low.into()]);
        a.op_imm(Op::Vinserti128, Width::Y, [v.into(), v.into(), high.into()], 1);
    }
    let mut mix = |op: Op, to: u8, x: u8, y: u8| {
        a.op(op, Width::Y, [Vector(to).into(), Vector(x).into(), Vector(y).into()]);
    };
    let columns = if turn.size == 8 {
        mix(Op::Vunpcklpd, 2, 0, 1);
        mix(Op::Vunpckhpd, 3, 0, 1);
        2..4
    } else {
        mix(Op::Vunpcklps, 4, 0, 1);
        mix(Op::Vunpckhps, 5, 0, 1);
        mix(Op::Vunpcklps, 6, 2, 3);
        mix(Op::Vunpckhps, 7, 2, 3);
        mix(Op::Vunpcklpd, 8, 4, 6);
        mix(Op::Vunpckhpd, 9, 4, 6);
        mix(Op::Vunpcklpd, 10, 5, 7);
        mix(Op::Vunpckhpd, 11, 5, 7);
        8..12
    };
    for (step, column) in columns.enumerate() {
        let to = at(WRITE, step as i64 * turn.step_bytes);
        a.op(Op::VmovupsStore, Width::Y, [to.into(), Vector(column).into()]);
    }
    a.alu_imm(Alu::Add, READ, 16);
    a.add_any(WRITE, turn.steps() as i64 * turn.step_bytes, ELEMENT);
    a.alu_imm(Alu::Sub, COUNT, 1);
    a.jump_if(Condition::NotEqual, head);
    a.bind(after);
}

/// The steps of depth that are left.
fn one_by_one(a: &mut Assembler, turn: &Turn, first: usize) {
    let after = a.label();
    a.mov(COUNT, DEPTH);
    a.alu_imm(Alu::And, COUNT, turn.steps() as i32 - 1);
    a.jump_if(Condition::Equal, after);
    let head = a.here();
    for lane in 0..turn.lanes() {
        a.load(ELEMENT, at(READ, turn.row(first, lane)), turn.size);
        a.store(at(WRITE, (lane * turn.size) as i64), ELEMENT, turn.size);
    }
    a.alu_imm(Alu::Add, READ, turn.size as i32);
    a.add_any(WRITE, turn.step_bytes, ELEMENT);
    a.alu_imm(Alu::Sub, COUNT, 1);
    a.jump_if(Condition::NotEqual, head);
    a.bind(after);
}
