//! The registers of a class, and how they go to memory and come back.

use super::super::asm::{Assembler, Mask, Mem, Operand, Vector, Width};
use super::super::frame::{Pointers, frame};
use super::super::machine::{Class, Home, Reg, count};
use super::super::table::Op;
use crate::codegen::target::Isa;

/// The registers of a class.
pub struct Bank {
    pub holder: [Option<Reg>; 32],
    pub count: u8,
    /// One bit a register that only its pin, or a value exported to it, may take.
    pub pinned: u32,
}

impl Bank {
    pub fn new(isa: Isa, class: Class) -> Bank {
        let mut bank = Bank { holder: [None; 32], count: count(isa, class), pinned: 0 };
        if class == Class::Mask {
            bank.pinned |= 1;
        }
        bank
    }

    pub fn may_use(&self, number: u8) -> bool {
        self.pinned & (1 << number) == 0
    }

    pub fn free(&self) -> Option<u8> {
        (0..self.count).find(|&n| self.may_use(n) && self.holder[usize::from(n)].is_none())
    }
}

/// Loads a whole register from a home.
pub fn load(
    a: &mut Assembler,
    pointers: &Pointers,
    width: Width,
    class: Class,
    number: u8,
    home: &Home,
) {
    if class == Class::Mask {
        let from: Mem = match home {
            Home::Constant(bytes) => a.constant(bytes),
            Home::Frame(at) => frame(*at),
            Home::Fill(_) | Home::Element(..) => unreachable!("a mask lies in memory as bits"),
        };
        return a.op(Op::KmovwLoad, Width::X, [Mask(number).into(), from.into()]);
    }
    let to = Operand::from(Vector(number));
    let (op, from) = match home {
        Home::Fill(bytes) if bytes.iter().all(|&b| b == 0) => {
            return a.op(Op::Vxorps, width, [to, to, to]);
        }
        Home::Fill(bytes) => {
            let from = a.constant(bytes);
            (if bytes.len() == 4 { Op::Vbroadcastss } else { Op::Vbroadcastsd }, from)
        }
        Home::Constant(bytes) => (Op::Vmovups, a.constant(bytes)),
        Home::Element(place, size) => {
            let from = pointers.resolve(a, *place);
            (if *size == 4 { Op::Vbroadcastss } else { Op::Vbroadcastsd }, from)
        }
        Home::Frame(at) => (Op::Vmovups, frame(*at)),
    };
    a.op(op, width, [to, from.into()]);
}

/// Stores a whole register to the frame.
pub fn store(a: &mut Assembler, width: Width, class: Class, number: u8, at: i32) {
    let to: Operand = frame(at).into();
    match class {
        Class::Vector => a.op(Op::VmovupsStore, width, [to, Vector(number).into()]),
        Class::Mask => a.op(Op::KmovwStore, Width::X, [to, Mask(number).into()]),
    }
}
