//! The form of a fused multiply-add.

use super::super::asm::{Operand, Vector};
use super::super::machine::{Class, Reg};
use super::super::table::Op;
use super::{Locked, Region};
use smallvec::SmallVec;

impl Region<'_> {
    /// `x * y + z`: the form is chosen so that the destination is an operand that ends here, and
    /// an operand in memory is the last.
    pub fn fma(&mut self, at: u32, wide: bool, dst: Reg, [x, y, z]: [Reg; 3]) {
        let locked: Locked = SmallVec::from_slice(&[x, y, z]);
        let bits = if wide { 64 } else { 32 };
        // At most one operand is read from memory: the addend first, since it is oftenest constant.
        let mut memory = None;
        for reg in [z, y, x] {
            let once = [x, y, z].iter().filter(|&&r| r == reg).count() == 1;
            if memory.is_none() && once && !self.places.contains_key(&reg) {
                memory = self.memory_operand(at, reg, bits).map(|operand| (reg, operand));
            }
        }
        for reg in [x, y, z] {
            if memory.is_none_or(|(m, _)| m != reg) {
                self.resident(reg, &locked);
            }
        }
        let ends = |this: &Self, reg: Reg| {
            let pinned = this.around.pins.0.contains_key(&reg) && !this.mortal.contains(&reg);
            let again = this.uses.get(&reg).is_some_and(|uses| uses.iter().any(|&u| u != at));
            this.places.contains_key(&reg) && !pinned && !again
        };
        let hint = self.hints.get(&dst).copied();
        let fits = |this: &Self, reg: Reg| {
            let number = this.places[&reg];
            let general = this.banks[Class::Vector as usize].may_use(number);
            ends(this, reg) && (hint == Some(number) || hint.is_none() && general)
        };
        let in_memory = |reg: Reg| memory.is_some_and(|(m, _)| m == reg);
        let candidates = [z, x, y].into_iter().filter(|&r| !in_memory(r));
        let mut chosen = None;
        for reg in candidates {
            if self.places.contains_key(&reg) && fits(self, reg) {
                chosen = Some(reg);
                break;
            }
        }
        let (tied, number) = match chosen {
            Some(reg) => {
                let number = self.places[&reg];
                (reg, number)
            }
            None => {
                let reg = if in_memory(z) { x } else { z };
                let from = self.places[&reg];
                let number = self.define(dst, &locked);
                self.copy(Class::Vector, number, from);
                (reg, number)
            }
        };
        let operand = |this: &Self, reg: Reg| match memory {
            Some((m, operand)) if m == reg => operand,
            _ => Operand::Vector(Vector(this.places[&reg])),
        };
        let to = Operand::Vector(Vector(number));
        let (op, second, third) = if tied == z {
            let (second, third) = if in_memory(x) { (y, x) } else { (x, y) };
            (pick(wide, Op::Vfmadd231ps, Op::Vfmadd231pd), second, third)
        } else {
            let other = if tied == x { y } else { x };
            if in_memory(other) {
                (pick(wide, Op::Vfmadd132ps, Op::Vfmadd132pd), z, other)
            } else {
                (pick(wide, Op::Vfmadd213ps, Op::Vfmadd213pd), other, z)
            }
        };
        let operands = [to, operand(self, second), operand(self, third)];
        self.around.a.op(op, self.width, operands);
        self.consume(at, &[x, y, z]);
        if chosen.is_some() {
            let bank = &mut self.banks[Class::Vector as usize];
            bank.holder[usize::from(number)] = Some(dst);
            self.places.insert(dst, number);
        }
    }
}

fn pick<T>(wide: bool, narrow_one: T, wide_one: T) -> T {
    if wide { wide_one } else { narrow_one }
}
