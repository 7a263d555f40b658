//! Emission of a vector program for one group of lanes.
//!
//! Neighbours: `lanes`, `arith`, `convert`, `memory` emit the instructions; `nest` and `product`
//! make the loops and say what the program finds there, as a [`Scene`].

use super::lanes::{Group, Lanes, plain};
use super::memory::Address;
use crate::vector::{Binary, Compare, Inst, Program, Stride, Type, Value};
use cranelift_codegen::ir::{self, InstBuilder, types};
use tensc_runtime::Scalar;

/// A slot at the iteration of the outer loops.
#[derive(Clone, Copy)]
pub(super) struct SlotAt {
    /// The element of lane 0.
    pub pointer: ir::Value,
    /// Elements from lane to lane.
    pub lane_stride: i64,
    /// Elements for each step of a gather's index.
    pub gather_stride: i64,
    /// Whether nothing writes that memory while the kernel runs.
    pub readonly: bool,
}

/// A parameter's value.
#[derive(Clone)]
pub(super) enum Argument {
    /// The same for all lanes.
    Scalar(ir::Value),
    /// One for each lane of the group.
    Lanes(Lanes),
}

/// What a program finds where it is executed.
pub(super) struct Scene<'a> {
    /// By slot.
    pub slots: &'a [SlotAt],
    /// By parameter.
    pub params: &'a [Argument],
    /// Positions along the axes around the lanes, outermost first (I64).
    pub axes: &'a [ir::Value],
    /// Position of the group's first lane (I64).
    pub lane: ir::Value,
    /// Where a failed check is reported.
    pub fault: ir::Value,
}

/// The values of a program after its emission.
pub(super) struct Values(Vec<Option<Lanes>>);

impl Values {
    /// The value; stores have none.
    pub fn of(&self, v: Value) -> &Lanes {
        self.0[v.0 as usize].as_ref().expect("a verified program uses no store's value")
    }
}

/// Emits all instructions of a verified program.
pub(super) fn emit(g: &mut Group, program: &Program, scene: &Scene) -> Values {
    let mut values = Values(Vec::with_capacity(program.insts.len()));
    for inst in &program.insts {
        let value = emit_inst(g, program, inst, scene, &values);
        values.0.push(value);
    }
    values
}

fn emit_inst(
    g: &mut Group,
    program: &Program,
    inst: &Inst,
    scene: &Scene,
    values: &Values,
) -> Option<Lanes> {
    let of = |v: Value| values.of(v);
    let constant = |v: Value| -> Option<Scalar> {
        match program.insts[v.0 as usize] {
            Inst::Const(scalar) => Some(scalar),
            _ => None,
        }
    };
    Some(match *inst {
        Inst::Const(scalar) => g.constant(scalar),
        Inst::Param(p) => match &scene.params[p.0 as usize] {
            Argument::Scalar(x) => g.splat(program.params[p.0 as usize], *x),
            Argument::Lanes(lanes) => lanes.clone(),
        },
        Inst::Load(slot) => {
            let decl = &program.slots[slot.0 as usize];
            let at = address(g, program, scene, slot.0);
            g.load(decl, at)
        }
        Inst::Gather(slot, index) => {
            let dtype = program.slots[slot.0 as usize].dtype;
            let step = scene.slots[slot.0 as usize].gather_stride * dtype.size() as i64;
            let at = address(g, program, scene, slot.0);
            g.gather(dtype, at, of(index), step)
        }
        Inst::Store(slot, x) => {
            let decl = &program.slots[slot.0 as usize];
            let at = address(g, program, scene, slot.0);
            g.store(decl, at, of(x));
            return None;
        }
        Inst::Index(axis) => match scene.axes.get(axis as usize) {
            Some(&position) => g.splat(Type::I64, position),
            None => g.count_from(scene.lane),
        },
        Inst::CheckIndex { index, bound, site } => {
            check_index(g, of(index), bound, site, scene.fault)
        }
        Inst::Unary(op, x) => g.unary(op, of(x)),
        Inst::Binary(op, x, y) => match (constant(x), op) {
            (Some(c), Binary::Max | Binary::Min) if g.bounds(c) => g.bound(op, of(x), of(y)),
            _ => g.binary(op, of(x), of(y), constant(y)),
        },
        Inst::Fma(x, y, z) => g.fma(of(x), of(y), of(z)),
        Inst::Compare(op, x, y) => g.compare(op, of(x), of(y)),
        Inst::Select(mask, x, y) => g.select(of(mask), of(x), of(y)),
    })
}

/// Where the slot's element for the group's first lane is.
fn address(g: &mut Group, program: &Program, scene: &Scene, slot: u32) -> Address {
    let (decl, at) = (&program.slots[slot as usize], &scene.slots[slot as usize]);
    let lane_bytes = match decl.stride {
        Stride::Splat => 0,
        Stride::Unit => decl.dtype.size() as i64,
        Stride::Far => at.lane_stride * decl.dtype.size() as i64,
    };
    let pointer = if lane_bytes == 0 {
        at.pointer
    } else {
        let distance = g.b.ins().imul_imm_s(scene.lane, lane_bytes);
        g.b.ins().iadd(at.pointer, distance)
    };
    Address { pointer, lane_bytes, readonly: at.readonly }
}

/// The index in `0..bound`, or 0 and a report.
fn check_index(g: &mut Group, index: &Lanes, bound: u64, site: u32, fault: ir::Value) -> Lanes {
    let zero = g.filled(Type::I64, 0);
    let bound = g.filled(Type::I64, bound);
    let negative = g.compare(Compare::Lt, index, &zero);
    let from_end = g.binary(Binary::Add, index, &bound, None);
    let index = g.select(&negative, &from_end, index);
    let below = g.compare(Compare::Lt, &index, &zero);
    let above = g.compare(Compare::Ge, &index, &bound);
    let outside = g.binary(Binary::Or, &below, &above, None);

    let any = g.any(&outside);
    let (report, go_on) = (g.b.create_block(), g.b.create_block());
    g.b.set_cold_block(report);
    g.b.ins().brif(any, report, &[], go_on, &[]);
    g.b.switch_to_block(report);
    // The smallest site stays, so that what is reported does not depend on the order of work.
    let before = g.b.ins().load(types::I64, plain(), fault, 0);
    let this = g.b.ins().iconst(types::I64, i64::from(site));
    let least = g.b.ins().umin(before, this);
    g.b.ins().store(plain(), least, fault, 0);
    g.b.ins().jump(go_on, &[]);
    g.b.switch_to_block(go_on);
    g.select(&outside, &zero, &index)
}
