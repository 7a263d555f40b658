//! Collecting panels of spread operands: runs of neighbours, found in a table of offsets.
//!
//! A run of lanes that lie side by side in memory, a vector at most, goes from all rows of the
//! panel to its place before the next one is looked for, so that to find it costs little.
//!
//! Neighbours: `codegen::product::collect` writes the tables and calls the functions;
//! `product_vectors` has the elements.

use super::asm::{Alu, Assembler, Condition, Gpr, Mask, Mem, Vector, Width};
use super::product_vectors::{Part, Vectors};
use super::table::Op;
use crate::codegen::target::Isa;
use cranelift_codegen::ir::{self, types};

/// What a collecting function is made for: equal keys, equal code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(in crate::codegen) struct Collect {
    /// The vectors it is emitted in.
    pub isa: Isa,
    /// Bytes of an element: 4 or 8.
    pub size: usize,
    /// Bytes from row to row of the panel.
    pub row_bytes: i64,
}

// The parameters, in the System V convention: the element that offsets count from, offsets of
// lanes and their number, offsets of rows and their number (neither is 0), the panel.
const FROM: Gpr = Gpr::RDI;
const LANES: Gpr = Gpr::RSI;
const COUNT: Gpr = Gpr::RDX;
const ROWS: Gpr = Gpr::RCX;
const NUMBER: Gpr = Gpr::R8;
const TO: Gpr = Gpr::R9;

/// How many there are.
pub(in crate::codegen) const PARAMS: [ir::Type; 6] = [types::I64; 6];

/// Lanes of the run, and the offset that its next lane would have.
const RUN: Gpr = Gpr::RAX;
const NEXT: Gpr = Gpr::R10;
const OFFSET: Gpr = Gpr::R11;
// Saved: the first lane in memory, a row, its place in the panel.
const LANE: Gpr = Gpr::RBX;
const ROW: Gpr = Gpr::R12;
const PLACE: Gpr = Gpr::R13;

const SAVED: [Gpr; 3] = [LANE, ROW, PLACE];
const X: Vector = Vector(0);
const ACTIVE: Vector = Vector(1);

impl Collect {
    /// For dumps.
    pub fn name(&self) -> String {
        format!("collect_f{}_{}", 8 * self.size, self.row_bytes)
    }
}

/// The machine code of a collecting function.
pub(in crate::codegen) fn emit(collect: &Collect) -> Vec<u8> {
    let vectors = Vectors::widest(collect.isa, collect.size);
    let mut a = Assembler::new(collect.isa);
    SAVED.into_iter().for_each(|saved| a.push_register(saved));
    let head = a.here();
    find_run(&mut a, vectors);
    let (part, after) = (a.label(), a.label());
    a.alu_imm(Alu::Cmp, RUN, vectors.lanes() as i32);
    a.jump_if(Condition::NotEqual, part);
    each_row(&mut a, collect, vectors, Part::All);
    a.jump(after);
    a.bind(part);
    let active = active(&mut a, vectors);
    each_row(&mut a, collect, vectors, active);
    a.bind(after);
    a.lea(LANES, Mem::at(LANES).indexed(RUN, 8));
    a.lea(TO, Mem::at(TO).indexed(RUN, collect.size as u8));
    a.alu(Alu::Sub, COUNT, RUN);
    a.jump_if(Condition::NotEqual, head);
    SAVED.into_iter().rev().for_each(|saved| a.pop_register(saved));
    a.vzeroupper();
    a.ret();
    a.finish()
}

/// Counts the lanes that lie side by side, and points to the first.
fn find_run(a: &mut Assembler, vectors: Vectors) {
    let found = a.label();
    a.load(NEXT, Mem::at(LANES), 8);
    a.lea(LANE, Mem::at(FROM).indexed(NEXT, 1));
    a.mov_imm(RUN, 1);
    let head = a.here();
    a.alu_imm(Alu::Cmp, RUN, vectors.lanes() as i32);
    a.jump_if(Condition::Equal, found);
    a.alu(Alu::Cmp, RUN, COUNT);
    a.jump_if(Condition::Equal, found);
    a.alu_imm(Alu::Add, NEXT, vectors.size as i32);
    a.alu_mem(Alu::Cmp, NEXT, Mem::at(LANES).indexed(RUN, 8));
    a.jump_if(Condition::NotEqual, found);
    a.alu_imm(Alu::Add, RUN, 1);
    a.jump(head);
    a.bind(found);
}

/// A mask of the run's lanes, fewer than a vector has.
fn active(a: &mut Assembler, vectors: Vectors) -> Part {
    // Bits that are set, then bits that are not: a window of them is the mask.
    let mut bits = [0u8; 64];
    if a.isa() == Isa::Avx512 {
        for (lanes, bits) in bits.chunks_exact_mut(2).enumerate().take(vectors.lanes()) {
            bits.copy_from_slice(&((1u16 << lanes) - 1).to_le_bytes());
        }
        let table = a.constant(&bits);
        a.lea(OFFSET, table);
        a.load(OFFSET, Mem::at(OFFSET).indexed(RUN, 2), 2);
        let mask = Mask(1);
        a.op(Op::KmovwFromGpr, Width::X, [mask.into(), OFFSET.into()]);
        return Part::Bits(mask);
    }
    bits[..32].fill(0xFF);
    let table = a.constant(&bits);
    a.lea(OFFSET, table.plus(32));
    a.mov_imm(PLACE, 0);
    a.alu(Alu::Sub, PLACE, RUN);
    let window = Mem::at(OFFSET).indexed(PLACE, vectors.size as u8);
    a.op(Op::Vmovups, vectors.width, [ACTIVE.into(), window.into()]);
    Part::Lanes(ACTIVE)
}

/// Moves the lanes of all rows.
fn each_row(a: &mut Assembler, collect: &Collect, vectors: Vectors, part: Part) {
    a.mov(PLACE, TO);
    a.mov_imm(ROW, 0);
    let head = a.here();
    a.load(OFFSET, Mem::at(ROWS).indexed(ROW, 8), 8);
    vectors.load(a, X, Mem::at(LANE).indexed(OFFSET, 1), part);
    vectors.store(a, Mem::at(PLACE), X, part);
    a.add_any(PLACE, collect.row_bytes, OFFSET);
    a.alu_imm(Alu::Add, ROW, 1);
    a.alu(Alu::Cmp, ROW, NUMBER);
    a.jump_if(Condition::NotEqual, head);
}
