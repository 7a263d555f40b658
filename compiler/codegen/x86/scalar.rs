//! What general registers do inside a region.
//!
//! Neighbours: `machine` lists the steps; `allocate` calls this between vector instructions.

use super::asm::{Alu, Assembler, Condition, Gpr, Mem, Width};
use super::frame::{COUNTER, Pointers, frame};
use super::machine::ScalarStep;
use super::table::Op;

/// Emits a step. `fault` is the place in the frame of the pointer to the fault cell.
pub(super) fn emit(a: &mut Assembler, pointers: &Pointers, fault: i32, step: &ScalarStep) {
    match *step {
        ScalarStep::Copy { from, to, size } => {
            let from = pointers.resolve(a, from);
            a.load(Gpr::RDX, from, size as usize);
            let to = pointers.resolve(a, to);
            a.store(to, Gpr::RDX, size as usize);
        }
        ScalarStep::Divide { x, by, to, count, remainder } => {
            divide(a, [x, by, to], count, remainder);
        }
        ScalarStep::F64ToI64 { at } => {
            a.op(Op::Vcvttsd2si, Width::X, [Gpr::RAX.into(), frame(at).into()]);
            a.store(frame(at), Gpr::RAX, 8);
        }
        ScalarStep::GatherFrom { slot, index, step } => {
            a.load(Gpr::RAX, frame(index), 8);
            a.times(Gpr::RAX, Gpr::RAX, step, Gpr::RCX);
            pointers.add_to(a, Gpr::RAX, slot);
        }
        ScalarStep::Fetch { at } => {
            let at = pointers.resolve(a, at);
            a.prefetch(at);
        }
        ScalarStep::Leave { to } => a.jump_if(Condition::NotBelow, to),
        ScalarStep::Report { site } => report(a, fault, site),
    }
}

/// Where the zero flag is clear, the least site of all stays in the cell: what is reported does not
/// depend on the order of work.
fn report(a: &mut Assembler, fault: i32, site: u32) {
    let go_on = a.label();
    a.jump_if(Condition::Equal, go_on);
    a.load(Gpr::RAX, frame(fault), 8);
    a.load(Gpr::RDX, Mem::at(Gpr::RAX), 8);
    a.mov_imm(Gpr::RCX, i64::from(site));
    a.alu(Alu::Cmp, Gpr::RCX, Gpr::RDX);
    a.mov_if(Condition::Below, Gpr::RDX, Gpr::RCX);
    a.store(Mem::at(Gpr::RAX), Gpr::RDX, 8);
    a.bind(go_on);
}

/// A loop over elements of the frame; `x / 0` is 0 and `x / -1` is `-x`.
fn divide(a: &mut Assembler, [x, by, to]: [i32; 3], count: u32, remainder: bool) {
    // The counter is borrowed: every other register may hold a pointer.
    a.push_register(COUNTER);
    a.mov_imm(COUNTER, 0);
    // What was pushed moved the frame by eight bytes.
    let element = |at: i32| frame(at + 8).indexed(COUNTER, 8);
    let top = a.here();
    let (plain, done) = (a.label(), a.label());
    a.load(Gpr::RCX, element(by), 8);
    a.load(Gpr::RAX, element(x), 8);
    a.lea(Gpr::RDX, Mem::at(Gpr::RCX).plus(1));
    a.alu_imm(Alu::Cmp, Gpr::RDX, 1);
    a.jump_if(Condition::Above, plain);
    // 0 or -1: by 0 times gives 0, by -1 the negative; the remainder is 0 for both.
    if remainder {
        a.mov_imm(Gpr::RDX, 0);
    } else {
        a.alu(Alu::Imul, Gpr::RAX, Gpr::RCX);
    }
    a.jump(done);
    a.bind(plain);
    a.divide_signed(Gpr::RCX);
    a.bind(done);
    a.store(element(to), if remainder { Gpr::RDX } else { Gpr::RAX }, 8);
    a.alu_imm(Alu::Add, COUNTER, 1);
    a.alu_imm(Alu::Cmp, COUNTER, count as i32);
    a.jump_if(Condition::Less, top);
    a.pop_register(COUNTER);
}
