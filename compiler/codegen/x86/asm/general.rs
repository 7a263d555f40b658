//! General instructions: moves, arithmetic, branches.
//!
//! Neighbours: `asm` has the vector instructions, and what both need.

use super::{Alu, Assembler, Condition, Gpr, Label, Mem, Target, set_memory};
use iced_x86::{Code, Instruction, OpKind, Register};

/// An operand of a general instruction.
#[derive(Clone, Copy)]
enum Arg {
    Register(Register),
    Memory(Mem),
    Immediate(OpKind, i64),
}

impl Assembler {
    fn general(&mut self, code: Code, args: &[Arg]) {
        let mut inst = Instruction::new();
        inst.set_code(code);
        let mut target = None;
        for (i, &arg) in args.iter().enumerate() {
            let i = i as u32;
            match arg {
                Arg::Register(register) => {
                    inst.set_op_kind(i, OpKind::Register);
                    inst.set_op_register(i, register);
                }
                Arg::Memory(mem) => target = set_memory(&mut inst, i, mem),
                Arg::Immediate(kind, x) => {
                    inst.set_op_kind(i, kind);
                    inst.set_immediate_i64(i, x);
                }
            }
        }
        self.push(inst, target);
    }

    /// `to = from`.
    pub fn mov(&mut self, to: Gpr, from: Gpr) {
        if to != from {
            let args = [Arg::Register(to.wide()), Arg::Register(from.wide())];
            self.general(Code::Mov_r64_rm64, &args);
        }
    }

    /// `to = x`, in the shortest form; the flags may change.
    pub fn mov_imm(&mut self, to: Gpr, x: i64) {
        if x == 0 {
            let to = Arg::Register(to.narrow());
            self.general(Code::Xor_r32_rm32, &[to, to]);
        } else if let Ok(x) = u32::try_from(x) {
            let x = Arg::Immediate(OpKind::Immediate32, i64::from(x));
            self.general(Code::Mov_r32_imm32, &[Arg::Register(to.narrow()), x]);
        } else if i32::try_from(x).is_ok() {
            let x = Arg::Immediate(OpKind::Immediate32to64, x);
            self.general(Code::Mov_rm64_imm32, &[Arg::Register(to.wide()), x]);
        } else {
            let x = Arg::Immediate(OpKind::Immediate64, x);
            self.general(Code::Mov_r64_imm64, &[Arg::Register(to.wide()), x]);
        }
    }

    /// Loads `size` (1, 2, 4, 8) bytes, extended by zeros to 64 bits.
    pub fn load(&mut self, to: Gpr, from: Mem, size: usize) {
        let (code, register) = match size {
            1 => (Code::Movzx_r32_rm8, to.narrow()),
            2 => (Code::Movzx_r32_rm16, to.narrow()),
            4 => (Code::Mov_r32_rm32, to.narrow()),
            8 => (Code::Mov_r64_rm64, to.wide()),
            _ => panic!("no load of {size} bytes"),
        };
        self.general(code, &[Arg::Register(register), Arg::Memory(from)]);
    }

    /// Stores the low `size` (1, 2, 4, 8) bytes.
    pub fn store(&mut self, to: Mem, from: Gpr, size: usize) {
        let (code, register) = match size {
            1 => (Code::Mov_rm8_r8, from.byte()),
            2 => (Code::Mov_rm16_r16, from.half()),
            4 => (Code::Mov_rm32_r32, from.narrow()),
            8 => (Code::Mov_rm64_r64, from.wide()),
            _ => panic!("no store of {size} bytes"),
        };
        self.general(code, &[Arg::Memory(to), Arg::Register(register)]);
    }

    /// Stores a 64-bit constant that fits 32 bits with its sign.
    pub fn store_imm(&mut self, to: Mem, x: i32) {
        let x = Arg::Immediate(OpKind::Immediate32to64, i64::from(x));
        self.general(Code::Mov_rm64_imm32, &[Arg::Memory(to), x]);
    }

    /// `to = ` the address.
    pub fn lea(&mut self, to: Gpr, from: Mem) {
        self.general(Code::Lea_r64_m, &[Arg::Register(to.wide()), Arg::Memory(from)]);
    }

    /// `to = to op from`; `Cmp` and `Test` set the flags only.
    pub fn alu(&mut self, op: Alu, to: Gpr, from: Gpr) {
        let (to, from) = (Arg::Register(to.wide()), Arg::Register(from.wide()));
        let code = match op {
            Alu::Test => Code::Test_rm64_r64,
            _ => alu_from_memory(op),
        };
        self.general(code, &[to, from]);
    }

    /// `to = to op [from]`, 64 bits. Not `Test`.
    pub fn alu_mem(&mut self, op: Alu, to: Gpr, from: Mem) {
        assert!(op != Alu::Test, "test takes memory first");
        self.general(alu_from_memory(op), &[Arg::Register(to.wide()), Arg::Memory(from)]);
    }

    /// `to = to op x`, for an immediate of 32 bits with its sign.
    pub fn alu_imm(&mut self, op: Alu, to: Gpr, x: i32) {
        let register = Arg::Register(to.wide());
        let short = i8::try_from(x).is_ok();
        let code = match op {
            Alu::Add if short => Code::Add_rm64_imm8,
            Alu::Add => Code::Add_rm64_imm32,
            Alu::Sub if short => Code::Sub_rm64_imm8,
            Alu::Sub => Code::Sub_rm64_imm32,
            Alu::And if short => Code::And_rm64_imm8,
            Alu::And => Code::And_rm64_imm32,
            Alu::Cmp if short => Code::Cmp_rm64_imm8,
            Alu::Cmp => Code::Cmp_rm64_imm32,
            Alu::Test => Code::Test_rm64_imm32,
            Alu::Imul => {
                let (code, kind) = match short {
                    true => (Code::Imul_r64_rm64_imm8, OpKind::Immediate8to64),
                    false => (Code::Imul_r64_rm64_imm32, OpKind::Immediate32to64),
                };
                let x = Arg::Immediate(kind, i64::from(x));
                return self.general(code, &[register, register, x]);
            }
        };
        let kind = match short && op != Alu::Test {
            true => OpKind::Immediate8to64,
            false => OpKind::Immediate32to64,
        };
        self.general(code, &[register, Arg::Immediate(kind, i64::from(x))]);
    }

    /// `[to] += x`, 64 bits.
    pub fn add_to_memory(&mut self, to: Mem, x: i32) {
        let x = Arg::Immediate(OpKind::Immediate32to64, i64::from(x));
        self.general(Code::Add_rm64_imm32, &[Arg::Memory(to), x]);
    }

    /// Compares `[left]` with `x`, 64 bits.
    pub fn cmp_memory(&mut self, left: Mem, x: i32) {
        let x = Arg::Immediate(OpKind::Immediate32to64, i64::from(x));
        self.general(Code::Cmp_rm64_imm32, &[Arg::Memory(left), x]);
    }

    /// `to = from * x`; any `x`, but for one beyond 32 bits `scratch` is written.
    pub fn times(&mut self, to: Gpr, from: Gpr, x: i64, scratch: Gpr) {
        match i32::try_from(x) {
            Ok(x) => {
                let (kind, code) = match i8::try_from(x).is_ok() {
                    true => (OpKind::Immediate8to64, Code::Imul_r64_rm64_imm8),
                    false => (OpKind::Immediate32to64, Code::Imul_r64_rm64_imm32),
                };
                let (to, from) = (Arg::Register(to.wide()), Arg::Register(from.wide()));
                self.general(code, &[to, from, Arg::Immediate(kind, i64::from(x))]);
            }
            Err(_) => {
                assert!(scratch != from && scratch != to, "the scratch register is free");
                self.mov_imm(scratch, x);
                self.mov(to, from);
                self.alu(Alu::Imul, to, scratch);
            }
        }
    }

    /// `to = to + x`; any `x`, but for one beyond 32 bits `scratch` is written.
    pub fn add_any(&mut self, to: Gpr, x: i64, scratch: Gpr) {
        match i32::try_from(x) {
            Ok(0) => {}
            Ok(x) => self.alu_imm(Alu::Add, to, x),
            Err(_) => {
                assert!(scratch != to, "the scratch register is free");
                self.mov_imm(scratch, x);
                self.alu(Alu::Add, to, scratch);
            }
        }
    }

    /// Shift right by a constant; zeros come in.
    pub fn shr(&mut self, to: Gpr, by: u8) {
        let by = Arg::Immediate(OpKind::Immediate8, i64::from(by));
        self.general(Code::Shr_rm64_imm8, &[Arg::Register(to.wide()), by]);
    }

    /// `rax, rdx` = quotient and remainder of the signed `rax / by`; overwrites `rdx`.
    pub fn divide_signed(&mut self, by: Gpr) {
        self.general(Code::Cqo, &[]);
        self.general(Code::Idiv_rm64, &[Arg::Register(by.wide())]);
    }

    /// `rax, rdx` = quotient and remainder of the unsigned `rdx:rax / by`.
    pub fn divide_unsigned(&mut self, by: Gpr) {
        self.general(Code::Div_rm64, &[Arg::Register(by.wide())]);
    }

    /// `to = from` if the condition holds.
    pub fn mov_if(&mut self, condition: Condition, to: Gpr, from: Gpr) {
        let code = match condition {
            Condition::Equal => Code::Cmove_r64_rm64,
            Condition::NotEqual => Code::Cmovne_r64_rm64,
            Condition::Less => Code::Cmovl_r64_rm64,
            Condition::Greater => Code::Cmovg_r64_rm64,
            Condition::Below => Code::Cmovb_r64_rm64,
            Condition::NotBelow => Code::Cmovae_r64_rm64,
            Condition::Above => Code::Cmova_r64_rm64,
        };
        self.general(code, &[Arg::Register(to.wide()), Arg::Register(from.wide())]);
    }

    /// Goes to the label.
    pub fn jump(&mut self, to: Label) {
        self.branch(Code::Jmp_rel32_64, to);
    }

    /// Goes to the label if the condition holds.
    pub fn jump_if(&mut self, condition: Condition, to: Label) {
        let code = match condition {
            Condition::Equal => Code::Je_rel32_64,
            Condition::NotEqual => Code::Jne_rel32_64,
            Condition::Less => Code::Jl_rel32_64,
            Condition::Greater => Code::Jg_rel32_64,
            Condition::Below => Code::Jb_rel32_64,
            Condition::NotBelow => Code::Jae_rel32_64,
            Condition::Above => Code::Ja_rel32_64,
        };
        self.branch(code, to);
    }

    fn branch(&mut self, code: Code, to: Label) {
        let mut inst = Instruction::new();
        inst.set_code(code);
        inst.set_op_kind(0, OpKind::NearBranch64);
        inst.set_near_branch64(0);
        self.push(inst, Some(Target::Label(to)));
    }

    /// Saves a register on the stack.
    pub fn push_register(&mut self, r: Gpr) {
        self.general(Code::Push_r64, &[Arg::Register(r.wide())]);
    }

    /// Takes a register from the stack.
    pub fn pop_register(&mut self, r: Gpr) {
        self.general(Code::Pop_r64, &[Arg::Register(r.wide())]);
    }

    /// Asks for the cache line.
    pub fn prefetch(&mut self, at: Mem) {
        self.general(Code::Prefetcht0_m8, &[Arg::Memory(at)]);
    }

    /// Asks for the cache line, as near as the second-level cache.
    pub fn prefetch_second(&mut self, at: Mem) {
        self.general(Code::Prefetcht1_m8, &[Arg::Memory(at)]);
    }

    /// Asks for the cache line, which will be written soon.
    pub fn prefetch_to_write(&mut self, at: Mem) {
        self.general(Code::Prefetchw_m8, &[Arg::Memory(at)]);
    }

    /// Waits until stores past the caches can be seen by others.
    pub fn store_fence(&mut self) {
        self.general(Code::Sfence, &[]);
    }

    /// Forgets the upper halves of vectors: Cranelift's code is slow otherwise.
    pub fn vzeroupper(&mut self) {
        self.general(Code::VEX_Vzeroupper, &[]);
    }

    /// Returns from the function.
    pub fn ret(&mut self) {
        self.general(Code::Retnq, &[]);
    }
}

/// The form with a register first and a register or memory second.
fn alu_from_memory(op: Alu) -> Code {
    match op {
        Alu::Add => Code::Add_r64_rm64,
        Alu::Sub => Code::Sub_r64_rm64,
        Alu::And => Code::And_r64_rm64,
        Alu::Cmp => Code::Cmp_r64_rm64,
        Alu::Imul => Code::Imul_r64_rm64,
        Alu::Test => panic!("test takes memory first"),
    }
}
