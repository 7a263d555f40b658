//! Collecting panels of spread operands: runs of neighbours, found in a table of offsets.
//!
//! Each vector of the panel consists of pieces of a few runs. To find them costs time, so the
//! vector is put together in all rows of the panel before the next one is looked for. A piece is
//! loaded by a mask from where the whole vector would be, were all of it beside the piece: what is
//! stored lies at multiples of a vector, as long as that few pieces complete each.
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
    /// Bytes from the offset of a lane to how many from it on lie side by side.
    pub runs_at: i64,
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

/// Lanes that are found, and how many are asked for.
const FOUND: Gpr = Gpr::RAX;
const ASKED: Gpr = Gpr::R10;
const OFFSET: Gpr = Gpr::R11;
// Saved: where the vector would be, were all of it beside a piece; a row, its place in the panel.
const PIECES: [Gpr; 4] = [Gpr::RBX, Gpr::R14, Gpr::R15, Gpr::RBP];
const ROW: Gpr = Gpr::R12;
const PLACE: Gpr = Gpr::R13;

const X: Vector = Vector(0);
const Y: Vector = Vector(1);

impl Collect {
    /// For dumps.
    pub fn name(&self) -> String {
        format!("collect_f{}_{}_{}", 8 * self.size, self.row_bytes, self.runs_at)
    }
}

/// The machine code of a collecting function.
pub(in crate::codegen) fn emit(collect: &Collect) -> Vec<u8> {
    let mut a = Assembler::new(collect.isa);
    let saved = || PIECES.into_iter().chain([ROW, PLACE]);
    saved().for_each(|register| a.push_register(register));
    let vectors = Vectors::widest(collect.isa, collect.size);
    Collecting { a: &mut a, vectors, collect }.all();
    saved().rev().for_each(|register| a.pop_register(register));
    a.vzeroupper();
    a.ret();
    a.finish()
}

/// A collecting function being written.
struct Collecting<'a> {
    a: &'a mut Assembler,
    vectors: Vectors,
    collect: &'a Collect,
}

impl Collecting<'_> {
    /// Vector after vector of the panel, until no lane is left.
    fn all(&mut self) {
        let lanes = self.vectors.lanes() as i32;
        let (head, next) = (self.a.here(), self.a.label());
        let ends = PIECES.map(|_| [self.a.label(), self.a.label()]);
        self.a.mov_imm(FOUND, 0);
        self.a.mov_imm(ASKED, i64::from(lanes));
        self.a.alu(Alu::Cmp, COUNT, ASKED);
        self.a.mov_if(Condition::Less, ASKED, COUNT);
        for (number, [full, part]) in ends.into_iter().enumerate() {
            self.find_run(PIECES[number]);
            self.mask(number);
            self.a.alu_imm(Alu::Cmp, FOUND, lanes);
            self.a.jump_if(Condition::Equal, full);
            self.a.alu(Alu::Cmp, FOUND, COUNT);
            self.a.jump_if(Condition::Equal, part);
        }
        // Not complete with the last piece: the lanes that there are. The next vector begins there.
        for (number, [full, part]) in ends.into_iter().enumerate().rev() {
            self.a.bind(part);
            self.each_row(number, self.found(number));
            self.a.jump(next);
            self.a.bind(full);
            self.each_row(number, Part::All);
            self.a.jump(next);
        }
        self.a.bind(next);
        self.a.lea(LANES, Mem::at(LANES).indexed(FOUND, 8));
        self.a.lea(TO, Mem::at(TO).indexed(FOUND, self.vectors.size as u8));
        self.a.alu(Alu::Sub, COUNT, FOUND);
        self.a.jump_if(Condition::NotEqual, head);
    }

    /// Takes the lanes that lie beside the next one, and where all of the vector would be.
    fn find_run(&mut self, piece: Gpr) {
        let runs_at = i32::try_from(self.collect.runs_at).expect("a table of a block");
        let a = &mut *self.a;
        let lane = Mem::at(LANES).indexed(FOUND, 8);
        a.load(OFFSET, lane, 8);
        a.lea(piece, Mem::at(FROM).indexed(OFFSET, 1));
        a.times(OFFSET, FOUND, self.vectors.size as i64, PLACE);
        a.alu(Alu::Sub, piece, OFFSET);
        a.alu_mem(Alu::Add, FOUND, lane.plus(runs_at));
        a.alu(Alu::Cmp, FOUND, ASKED);
        a.mov_if(Condition::Greater, FOUND, ASKED);
    }

    /// The lanes of a piece.
    fn piece(&self, number: usize) -> Part {
        match self.a.isa() {
            Isa::Avx512 => Part::Bits(Mask(1 + number as u8)),
            Isa::Portable | Isa::Avx2 => Part::Lanes(Vector(2 + number as u8)),
        }
    }

    /// The lanes that are found with a piece: after the first, in one of two registers in turn.
    fn found(&self, number: usize) -> Part {
        self.piece(if number == 0 { 0 } else { PIECES.len() + number % 2 })
    }

    /// Sets the lanes that are found, and those of the last piece among them.
    fn mask(&mut self, number: usize) {
        let found = self.found(number);
        self.first_lanes(found);
        let Some(before) = number.checked_sub(1) else { return };
        match (self.piece(number), found, self.found(before)) {
            (Part::Bits(piece), Part::Bits(found), Part::Bits(before)) => {
                let operands = [piece.into(), found.into(), before.into()];
                self.a.op(Op::Kxorw, Width::X, operands);
            }
            (Part::Lanes(piece), Part::Lanes(found), Part::Lanes(before)) => {
                let operands = [piece.into(), found.into(), before.into()];
                self.a.op(Op::Vxorps, self.vectors.width, operands);
            }
            _ => unreachable!("all masks are of one kind"),
        }
    }

    /// Sets as many lanes as are found, from the first on.
    fn first_lanes(&mut self, part: Part) {
        // Bits that are set, then bits that are not: a window of them is the mask.
        let mut bits = [0u8; 64];
        match part {
            Part::All => unreachable!("a mask"),
            Part::Bits(mask) => {
                for (lanes, bits) in bits.chunks_exact_mut(2).enumerate().take(17) {
                    bits.copy_from_slice(&((1u32 << lanes) as u16).wrapping_sub(1).to_le_bytes());
                }
                let table = self.a.constant(&bits);
                self.a.lea(OFFSET, table);
                self.a.load(OFFSET, Mem::at(OFFSET).indexed(FOUND, 2), 2);
                self.a.op(Op::KmovwFromGpr, Width::X, [mask.into(), OFFSET.into()]);
            }
            Part::Lanes(mask) => {
                bits[..32].fill(0xFF);
                let table = self.a.constant(&bits);
                self.a.lea(OFFSET, table.plus(32));
                self.a.mov_imm(PLACE, 0);
                self.a.alu(Alu::Sub, PLACE, FOUND);
                let window = Mem::at(OFFSET).indexed(PLACE, self.vectors.size as u8);
                self.a.op(Op::Vmovups, self.vectors.width, [mask.into(), window.into()]);
            }
        }
    }

    /// Puts the vector together from the pieces up to this one in all rows, and stores these lanes.
    fn each_row(&mut self, last: usize, stored: Part) {
        let whole = last == 0 && matches!(stored, Part::All);
        self.a.mov(PLACE, TO);
        self.a.mov_imm(ROW, 0);
        let head = self.a.here();
        self.a.load(OFFSET, Mem::at(ROWS).indexed(ROW, 8), 8);
        for (number, register) in PIECES.into_iter().enumerate().take(last + 1) {
            let from = Mem::at(register).indexed(OFFSET, 1);
            let part = if whole { Part::All } else { self.piece(number) };
            if number == 0 {
                self.vectors.load(self.a, X, from, part);
            } else {
                self.add_piece(from, part);
            }
        }
        self.vectors.store(self.a, Mem::at(PLACE), X, stored);
        self.a.add_any(PLACE, self.collect.row_bytes, OFFSET);
        self.a.alu_imm(Alu::Add, ROW, 1);
        self.a.alu(Alu::Cmp, ROW, NUMBER);
        self.a.jump_if(Condition::NotEqual, head);
    }

    /// Loads the lanes of a piece, beside those of the pieces before.
    fn add_piece(&mut self, from: Mem, part: Part) {
        self.vectors.load(self.a, Y, from, part);
        self.a.op(Op::Vorps, self.vectors.width, [X.into(), X.into(), Y.into()]);
    }
}
