//! Every instruction in every form, as a decoder sees it; and small functions, by their bytes.

use super::super::table::Op;
use super::*;
use iced_x86::{Decoder, DecoderOptions};

/// Decodes `bytes` and compares with the instructions asked for. Every assembly of a test build
/// ends with this.
pub(super) fn check(bytes: &[u8], log: &[Instruction]) {
    let mut decoder = Decoder::with_ip(64, bytes, 0, DecoderOptions::NONE);
    for asked in log {
        let found = decoder.decode();
        assert_eq!(found.code(), asked.code());
        assert_eq!(found.op_count(), asked.op_count(), "{:?}", asked.code());
        assert_eq!(found.op_mask(), asked.op_mask(), "{:?}", asked.code());
        assert_eq!(found.zeroing_masking(), asked.zeroing_masking(), "{:?}", asked.code());
        assert_eq!(found.is_broadcast(), asked.is_broadcast(), "{:?}", asked.code());
        for i in 0..asked.op_count() {
            assert_eq!(found.op_kind(i), asked.op_kind(i), "{:?}", asked.code());
            match asked.op_kind(i) {
                OpKind::Register => assert_eq!(found.op_register(i), asked.op_register(i)),
                OpKind::Memory => same_address(&found, asked),
                // Where it goes was patched; that it goes to an instruction is checked below.
                OpKind::NearBranch64 => {}
                _ => assert_eq!(found.immediate(i), asked.immediate(i), "{:?}", asked.code()),
            }
        }
    }
    assert_eq!(decoder.position(), bytes.len(), "nothing but what was asked for");
}

fn same_address(found: &Instruction, asked: &Instruction) {
    assert_eq!(found.memory_base(), asked.memory_base());
    assert_eq!(found.memory_index(), asked.memory_index());
    if asked.memory_base() != Register::RIP {
        assert_eq!(found.memory_index_scale(), asked.memory_index_scale());
        let displacement = |i: &Instruction| i.memory_displacement64();
        assert_eq!(displacement(found), displacement(asked), "{:?}", asked.code());
    }
}

/// Operands of a row, with memory or a register where both are possible.
fn operands(op: Op, memory: Option<Operand>, top: u8) -> Option<Vec<Operand>> {
    let mut operands = Vec::new();
    let mut used = memory.is_none();
    for (i, letter) in op.row().shape.bytes().enumerate() {
        let i = i as u8;
        let register = match letter {
            b'K' => Operand::Mask(Mask(7 - i)),
            b'g' | b'G' => Operand::Gpr(Gpr(15 - i)),
            _ => Operand::Vector(Vector(top - i)),
        };
        let memory_only = letter == b'm' || op_loads_only(op, letter);
        let can = memory_only || b"MHQODSPW48".contains(&letter);
        operands.push(match memory {
            Some(memory) if can && !used => {
                used = true;
                memory
            }
            _ if memory_only => return None,
            _ => register,
        });
    }
    used.then_some(operands)
}

/// VEX broadcasts from registers are another row.
fn op_loads_only(op: Op, letter: u8) -> bool {
    matches!((op, letter), (Op::Vbroadcastss, b'S') | (Op::Vbroadcastsd, b'D'))
}

#[test]
fn every_form_is_decoded_as_it_was_meant() {
    for isa in [Isa::Avx2, Isa::Avx512] {
        let top = if isa == Isa::Avx512 { 31 } else { 15 };
        for &op in Op::ALL {
            let row = op.row();
            let mut a = Assembler::new(isa);
            let imm = row.imm.then_some(3);
            let mut forms = 0;
            for width in [Width::X, Width::Y, Width::Z] {
                if isa == Isa::Avx2 && width == Width::Z {
                    continue;
                }
                let code = row.codes[form(isa, width)];
                if code == Code::INVALID {
                    continue;
                }
                let constant = a.constant(&[7; 64]);
                for memory in [
                    None,
                    Some(Mem::at(Gpr::R13)),
                    Some(Mem::at(Gpr::RSP).plus(64)),
                    Some(Mem::at(Gpr::RBP).indexed(Gpr::R12, 8).plus(-3000)),
                    Some(constant),
                ] {
                    // Shifts of memory by an immediate came with EVEX.
                    let shift = isa == Isa::Avx2 && format!("{op:?}").ends_with("Imm");
                    let memory = memory.filter(|_| !shift);
                    let Some(operands) = operands(op, memory.map(Operand::Mem), top) else {
                        continue;
                    };
                    forms += 1;
                    a.masked(op, width, &operands, imm, Masking::All);
                    if isa == Isa::Avx512 && format!("{code:?}").contains("_k1") {
                        a.masked(op, width, &operands, imm, Masking::Merge(Mask(3)));
                    }
                    let first_is_memory = matches!(operands[0], Operand::Mem(_));
                    if format!("{code:?}").contains("_k1z") && !first_is_memory {
                        a.masked(op, width, &operands, imm, Masking::Zero(Mask(7)));
                    }
                    if let Some(memory) = memory
                        && can_broadcast(code)
                    {
                        let memory = Operand::Broadcast(memory);
                        if let Some(operands) = tests::operands(op, Some(memory), top) {
                            a.masked(op, width, &operands, imm, Masking::All);
                        }
                    }
                }
            }
            let any = row
                .codes
                .iter()
                .enumerate()
                .any(|(i, &code)| code != Code::INVALID && (i >= 2) == (isa == Isa::Avx512));
            assert_eq!(forms > 0, any, "{op:?} for {isa:?}");
            a.finish();
        }
    }
}

fn can_broadcast(code: Code) -> bool {
    let name = format!("{code:?}");
    ["b32", "b64"].iter().any(|suffix| name.contains(suffix))
}

#[test]
fn general_instructions_are_decoded_as_they_were_meant() {
    let mut a = Assembler::new(Isa::Avx2);
    let all: Vec<Gpr> = (0..16).map(Gpr).collect();
    let (top, end) = (a.here(), a.label());
    for &r in &all {
        for &s in &all {
            a.mov(r, s);
            for op in [Alu::Add, Alu::Sub, Alu::And, Alu::Cmp, Alu::Imul] {
                a.alu(op, r, s);
                a.alu_mem(op, r, Mem::at(s).plus(8));
            }
            a.alu(Alu::Test, r, s);
            a.lea(r, Mem::at(s).plus(1 << 20));
            if s != Gpr::RSP {
                a.lea(r, Mem::at(r).indexed(s, 4).plus(-1));
            }
            a.mov_if(Condition::Below, r, s);
            for size in [1, 2, 4, 8] {
                a.load(r, Mem::at(s), size);
                a.store(Mem::at(s).plus(size as i32), r, size);
            }
        }
        for x in [0, 1, -1, 127, 128, -129, i32::MAX, i32::MIN] {
            for op in [Alu::Add, Alu::Sub, Alu::And, Alu::Cmp, Alu::Imul] {
                a.alu_imm(op, r, x);
            }
            a.alu_imm(Alu::Test, r, x);
            a.store_imm(Mem::at(r), x);
            a.add_to_memory(Mem::at(r), x);
            a.cmp_memory(Mem::at(r), x);
        }
        for x in [0, 1, -1, i64::from(u32::MAX), i64::from(i32::MIN), i64::MAX, i64::MIN] {
            a.mov_imm(r, x);
            let scratch = all[usize::from((r.0 + 1) % 16)];
            a.add_any(r, x, scratch);
            a.times(r, r, x, scratch);
        }
        a.shr(r, 63);
        a.divide_signed(r);
        a.divide_unsigned(r);
        a.push_register(r);
        a.pop_register(r);
        for condition in CONDITIONS {
            a.jump_if(condition, top);
            a.jump_if(condition, end);
            a.mov_if(condition, r, Gpr::RAX);
        }
    }
    a.bind(end);
    a.vzeroupper();
    a.ret();
    a.finish();
}

const CONDITIONS: [Condition; 7] = [
    Condition::Equal,
    Condition::NotEqual,
    Condition::Less,
    Condition::Greater,
    Condition::Below,
    Condition::NotBelow,
    Condition::Above,
];

/// Branches and constants reach what they name.
#[test]
fn branches_and_constants_are_patched() {
    let mut a = Assembler::new(Isa::Avx2);
    let one = a.constant(&1f32.to_le_bytes());
    let wide = a.constant(&[5; 32]);
    assert_eq!(a.constant(&1f32.to_le_bytes()), one);
    let top = a.here();
    let x = Operand::from(Vector(1));
    a.op(Op::Vbroadcastss, Width::Y, [x, one.into()]);
    a.op_imm(Op::Vroundps, Width::Y, [x, wide.plus(16).into()], 1);
    a.jump(top);
    let bytes = a.finish();
    let mut decoder = Decoder::with_ip(64, &bytes, 0, DecoderOptions::NONE);
    let load = decoder.decode().memory_displacement64() as usize;
    assert_eq!(bytes[load..load + 4], 1f32.to_le_bytes());
    let round = decoder.decode().memory_displacement64() as usize;
    assert_eq!(bytes[round..round + 16], [5; 16]);
    assert_eq!(round % 32, 16, "constants are aligned");
    assert_eq!(decoder.decode().near_branch64(), 0);
}
