//! The loops of a stage: over the reduce axes, and over the groups of lanes.
//!
//! Neighbours: `stage` and `strip` say what is inside them.

use super::asm::{Alu, Condition, Gpr, Mem};
use super::frame::{COUNTER, INDEX, PointerAt, frame};
use super::stage::{Placed, StageWriter};
use crate::kernel::{LANE_BLOCK, Stage};
use crate::vector::Inst;

/// What the lanes of a stage are divided into.
pub(super) struct Groups {
    /// Groups in the region of the loop.
    pub unroll: u32,
    /// Lanes of that region.
    pub step: usize,
    /// How often it is done, where that is known.
    pub times: usize,
    /// Full groups left, then lanes.
    pub rest: u32,
    pub tail: u32,
}

impl Groups {
    pub fn of(lanes: usize, each: u32, unroll: u32) -> Groups {
        let step = (each * unroll) as usize;
        let left = lanes % step;
        Groups {
            unroll,
            step,
            times: lanes / step,
            rest: left as u32 / each,
            tail: left as u32 % each,
        }
    }

    /// The groups of the last region: first lane and active lanes of each.
    pub fn last(&self, each: u32) -> Vec<(u32, u32)> {
        let mut groups: Vec<(u32, u32)> = (0..self.rest).map(|i| (i * each, each)).collect();
        if self.tail > 0 {
            groups.push((self.rest * each, self.tail));
        }
        groups
    }

    /// Those of the loop's region.
    pub fn main(&self, each: u32) -> Vec<(u32, u32)> {
        let groups = if self.times > 0 { self.unroll } else { 0 };
        (0..groups).map(|i| (i * each, each)).collect()
    }
}

impl StageWriter<'_, '_> {
    /// Loops over the reduce axes, none of which is empty. They move the bases, or the pointers
    /// themselves, which are as before when the loops end.
    pub fn reduce_loops(
        &mut self,
        placed: &Placed,
        stage: &Stage,
        counters: &[i32],
        bases: bool,
        body: &mut dyn FnMut(&mut Self),
    ) {
        self.reduce_loop(placed, &stage.reduce, counters, bases, 0, body);
    }

    pub fn reduce_loop(
        &mut self,
        placed: &Placed,
        reduce: &[usize],
        counters: &[i32],
        bases: bool,
        axis: usize,
        body: &mut dyn FnMut(&mut Self),
    ) {
        let Some(&extent) = reduce.get(axis) else { return body(self) };
        self.a().store_imm(frame(counters[axis]), 0);
        if extent == 1 {
            return self.reduce_loop(placed, reduce, counters, bases, axis + 1, body);
        }
        let outer = self.row.positions.len();
        let innermost = reduce[axis + 1..].iter().all(|&n| n == 1);
        let asked = placed
            .body
            .program
            .insts
            .iter()
            .any(|inst| matches!(inst, Inst::Index(a) if *a as usize == outer + axis));
        let in_register = innermost && !asked && !bases;
        if in_register {
            self.a().mov_imm(COUNTER, extent as i64);
        }
        let top = self.a().here();
        self.reduce_loop(placed, reduce, counters, bases, axis + 1, body);
        self.advance(placed, outer + axis, 1, bases);
        let a = self.a();
        if in_register {
            a.alu_imm(Alu::Sub, COUNTER, 1);
            a.jump_if(Condition::NotEqual, top);
        } else {
            a.add_to_memory(frame(counters[axis]), 1);
            a.cmp_memory(frame(counters[axis]), extent as i32);
            a.jump_if(Condition::Less, top);
        }
        self.advance(placed, outer + axis, -(extent as i64), bases);
    }

    /// Moves the bases or pointers by so many steps of an axis.
    pub fn advance(&mut self, placed: &Placed, axis: usize, steps: i64, bases: bool) {
        let Placed { body, bases: cells, pointers, .. } = placed;
        for (i, access) in body.slots.iter().enumerate() {
            let stride = access.strides.get(axis).copied().unwrap_or(0);
            let bytes = stride * steps * body.program.slots[i].dtype.size() as i64;
            if bytes == 0 {
                continue;
            }
            let at = if bases { PointerAt::Frame(cells[i]) } else { pointers.0[i].at };
            let a = self.a();
            match (at, i32::try_from(bytes)) {
                (PointerAt::Register(r), _) => a.add_any(r, bytes, Gpr::RAX),
                (PointerAt::Frame(at), Ok(bytes)) => a.add_to_memory(frame(at), bytes),
                (PointerAt::Frame(at), Err(_)) => {
                    a.load(Gpr::RAX, frame(at), 8);
                    a.add_any(Gpr::RAX, bytes, Gpr::RCX);
                    a.store(frame(at), Gpr::RAX, 8);
                }
            }
        }
    }

    /// The groups of a row or of a block of lanes: `emit` is told whether the loop's region is
    /// wanted, or the last.
    pub fn lane_loop(
        &mut self,
        lanes: usize,
        groups: &Groups,
        emit: &mut dyn FnMut(&mut Self, bool),
    ) {
        let has_last = groups.rest > 0 || groups.tail > 0;
        let until = groups.times * groups.step;
        let Some((begin, end)) = self.row.block else {
            self.a().mov_imm(INDEX, 0);
            if groups.times > 0 {
                let top = self.a().here();
                emit(self, true);
                self.a().alu_imm(Alu::Add, INDEX, groups.step as i32);
                if groups.times > 1 {
                    self.a().alu_imm(Alu::Cmp, INDEX, until as i32);
                    self.a().jump_if(Condition::Less, top);
                }
            }
            if has_last {
                emit(self, false);
            }
            return;
        };
        // A block ends at a multiple of the step, or where the row does.
        assert!(LANE_BLOCK.is_multiple_of(groups.step), "blocks are of whole steps");
        let (done, skip) = (self.a().label(), self.a().label());
        let a = self.a();
        a.load(INDEX, frame(begin), 8);
        if groups.times > 0 {
            let top = a.here();
            a.lea(Gpr::RAX, Mem::at(INDEX).plus(groups.step as i32));
            a.alu_mem(Alu::Cmp, Gpr::RAX, frame(end));
            a.jump_if(Condition::Greater, skip);
            emit(self, true);
            self.a().alu_imm(Alu::Add, INDEX, groups.step as i32);
            self.a().jump(top);
        }
        self.a().bind(skip);
        if has_last {
            let a = self.a();
            a.cmp_memory(frame(end), lanes as i32);
            a.jump_if(Condition::NotEqual, done);
            emit(self, false);
        }
        self.a().bind(done);
    }
}
