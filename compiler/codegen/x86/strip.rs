//! Folds of columns, a strip of lanes at a time.
//!
//! A fold over the reduce axes that went down one group of lanes after the other would touch a new
//! page with every step. Here the partial results of a strip of lanes lie in the frame, and a few
//! rows at a time are folded into all of them, so that memory is read along the rows. Each lane
//! takes its elements in the same order as ever: the bits are those of the plain loop.
//!
//! Neighbours: `stage` has the plain loop, and the loops used here.

use super::asm::{Alu, Condition, Gpr, Width};
use super::fold::State;
use super::frame::{COUNTER, frame};
use super::loops::Groups;
use super::lower::{Argument, Lower, Scene};
use super::machine::{Class, Place, Registers};
use super::plan::{Emission, Written, choose_pins, folds, settle_states, update_states};
use super::stage::{Placed, StageWriter, moves};
use super::table::Op;
use crate::kernel::walk::{met, points};
use crate::kernel::{Body, Stage};
use crate::vector::{Combine, Inst, Type};

/// Registers of partial results of all lanes of a strip, times the lanes: they stay in the nearest
/// cache. Longer strips read more of a row at once.
const STRIP: usize = 4096;
/// Lanes of a strip at least.
const LEAST: usize = 1024;
/// Instructions that the rows of a region have together, about.
const INSTRUCTIONS: usize = 48;
/// Rows of a region, at most.
const ROWS: usize = 8;

/// Bytes that stay in the second-level cache from row to row, and rows that make it worth while.
const NEAR: usize = 384 << 10;
const FEW: usize = 4;

/// How many rows a region should fold, if going by strips is worth it.
pub(super) fn rows(stage: &Stage, outer: &[usize], each: u32) -> Option<usize> {
    let &extent = stage.reduce.last()?;
    let axis = outer.len() + stage.reduce.len() - 1;
    let program = &stage.body.program;
    let rows = (INSTRUCTIONS / program.insts.len().max(1)).min(ROWS);
    let asked =
        program.insts.iter().any(|inst| matches!(inst, Inst::Index(a) if *a as usize == axis));
    let stride = |slot: usize| {
        let access = &stage.body.slots[slot];
        let stride = access.strides.get(axis).copied().unwrap_or(0);
        (stride * program.slots[slot].dtype.size() as i64).abs()
    };
    // What all rows read again is near after the first.
    let near = |slot: usize| {
        let (of_rows, within) = stage.body.slots[slot].strides.split_at(outer.len());
        let again = of_rows.iter().all(|&stride| stride == 0) && points(outer) >= FEW;
        let extents: Vec<usize> = stage.reduce.iter().copied().chain([stage.lanes]).collect();
        let bytes = met(within, &extents).saturating_mul(program.slots[slot].dtype.size());
        again && bytes <= NEAR
    };
    let far = (0..stage.body.slots.len()).any(|slot| stride(slot) >= 512 && !near(slot));
    let within = (0..stage.body.slots.len()).all(|slot| stride(slot) < 1 << 26);
    let empty = stage.reduce.contains(&0);
    let worth = extent >= 2 * rows && stage.lanes > 2 * each as usize;
    (rows >= 2 && worth && far && within && !asked && !empty).then_some(rows)
}

impl<'n> StageWriter<'_, 'n> {
    /// Emits a fold over the reduce axes, `rows` steps of the innermost one at a time.
    pub fn fold_in_strips(&mut self, stage: &'n Stage, finish: &'n Body, rows: usize) {
        let body = &stage.body;
        let isa = self.nest.isa;
        let folds = folds(body);
        let each = super::lower::lanes_of(isa);
        let unroll = super::plan::unroll(rows * body.program.insts.len(), 1, stage.lanes, each);
        let groups = Groups::of(stage.lanes, each, unroll);
        let outer = self.row.positions.len();
        let axis = stage.reduce.len() - 1;
        let mut placed = self.place(body);
        for (i, access) in body.slots.iter().enumerate() {
            let view = &mut placed.views[i];
            view.readonly &= !moves(access, stage, outer);
            let stride = access.strides.get(outer + axis).copied().unwrap_or(0);
            view.row_bytes = stride * body.program.slots[i].dtype.size() as i64;
        }
        let placed_finish = self.place_beside(finish);
        let counters = self.counters(stage);
        let axes = self.axes(&counters);
        let params = self.arguments(body);
        let finish_params = self.arguments(finish);
        let finish_axes = self.finish_axes(stage);
        let mut registers = Registers::new(isa);
        let plan = self.plan(stage, &placed, &params, &axes, true, &mut registers);
        let cells = Cells::new(&mut Lower::new(&mut registers, &mut self.nest.frame), &folds);
        let room = self.nest.frame.take(cells.parts * cells.lanes * 4);
        let scene = Scene {
            program: &body.program,
            slots: &placed.views,
            params: &params,
            axes: &axes,
            outer,
            reduce_moves: true,
            invariant: &plan.values,
        };
        let mut write = |what: What| {
            let mut lower = Lower::new(&mut registers, &mut self.nest.frame);
            for &(first, active) in &what.groups {
                (lower.first, lower.active) = (first, active);
                let mut states: Vec<State> = match what.pass {
                    Pass::Begin => folds.iter().map(|&(c, ty)| lower.identity(c, ty)).collect(),
                    Pass::Rows(_) | Pass::Finish => cells.load(&mut lower, &folds),
                };
                match what.pass {
                    Pass::Begin => cells.store(&mut lower, &states),
                    Pass::Rows(rows) => {
                        for row in 0..rows as u32 {
                            (lower.row, lower.active) = (row, active);
                            let values = lower.program(&scene, |_| true);
                            // Lanes that do not count fold what nobody looks at.
                            lower.active = lower.lanes;
                            update_states(&mut lower, body, &values, &mut states);
                        }
                        lower.row = 0;
                        settle_states(&mut lower, &mut states);
                        cells.store(&mut lower, &states);
                    }
                    Pass::Finish => {
                        let mut results: Vec<Argument> =
                            states.iter().map(|s| Argument::Lanes(lower.result(s))).collect();
                        results.extend(finish_params.iter().cloned());
                        let scene = Scene {
                            program: &finish.program,
                            slots: &placed_finish.views,
                            params: &results,
                            axes: &finish_axes,
                            outer,
                            reduce_moves: false,
                            invariant: &[],
                        };
                        lower.program(&scene, |_| true);
                    }
                }
            }
            Written { steps: lower.steps, exports: Vec::new() }
        };
        let mut pair = |pass: Pass| {
            let main = write(What { pass, groups: groups.main(each) });
            let last = write(What { pass, groups: groups.last(each) });
            (main, last)
        };
        let begin = pair(Pass::Begin);
        let inner = pair(Pass::Rows(rows));
        let extent = stage.reduce[axis];
        let left = extent % rows;
        let rest = (left > 0).then(|| pair(Pass::Rows(left)));
        let end = pair(Pass::Finish);

        let used = if groups.times > 0 { &inner.0 } else { &inner.1 };
        let pins = choose_pins(&registers, &[], &used.steps, true);
        let mut emit = Emission { registers, pins, plan };
        let users = [Some(&inner), rest.as_ref()].into_iter().flatten();
        let users: Vec<&Written> = users.flat_map(|(main, last)| [main, last]).collect();
        self.stage_values(&mut emit, &placed, &users);
        self.strips(stage.lanes, &cells, room, &mut |this| {
            this.groups(&mut emit, stage, &groups, &placed, &begin);
            let counter = counters[axis];
            this.reduce_loop(&placed, &stage.reduce[..axis], &counters, true, 0, &mut |this| {
                let times = (extent / rows) as i32;
                this.a().store_imm(frame(counter), 0);
                let top = this.a().here();
                this.groups(&mut emit, stage, &groups, &placed, &inner);
                this.advance(&placed, outer + axis, rows as i64, true);
                let a = this.a();
                a.add_to_memory(frame(counter), 1);
                a.cmp_memory(frame(counter), times);
                a.jump_if(Condition::Less, top);
                if let Some(rest) = &rest {
                    this.groups(&mut emit, stage, &groups, &placed, rest);
                }
                let done = i64::from(times) * rows as i64;
                this.advance(&placed, outer + axis, -done, true);
            });
            this.groups(&mut emit, stage, &groups, &placed_finish, &end);
        });
    }

    /// Loops over the strips of the row, or of the task's block of it.
    fn strips(&mut self, lanes: usize, cells: &Cells, room: i32, body: &mut dyn FnMut(&mut Self)) {
        let block = self.row.block;
        let (begin, end) = (self.nest.frame.take(8), self.nest.frame.take(8));
        let until = self.nest.frame.take(8);
        let a = self.a();
        match block {
            Some((from, to)) => {
                a.load(Gpr::RAX, frame(from), 8);
                a.load(Gpr::RCX, frame(to), 8);
            }
            None => {
                a.mov_imm(Gpr::RAX, 0);
                a.mov_imm(Gpr::RCX, lanes as i64);
            }
        }
        a.store(frame(begin), Gpr::RAX, 8);
        a.store(frame(until), Gpr::RCX, 8);
        let top = a.here();
        // The end of the strip, and its first lane's partial results less what the index adds.
        a.load(Gpr::RAX, frame(begin), 8);
        a.lea(COUNTER, frame(room));
        a.times(Gpr::RCX, Gpr::RAX, 4, Gpr::RDX);
        a.alu(Alu::Sub, COUNTER, Gpr::RCX);
        a.alu_imm(Alu::Add, Gpr::RAX, cells.lanes as i32);
        a.load(Gpr::RCX, frame(until), 8);
        a.alu(Alu::Cmp, Gpr::RAX, Gpr::RCX);
        a.mov_if(Condition::Greater, Gpr::RAX, Gpr::RCX);
        a.store(frame(end), Gpr::RAX, 8);
        self.row.block = Some((begin, end));
        body(self);
        self.row.block = block;
        let a = self.a();
        a.load(Gpr::RAX, frame(end), 8);
        a.store(frame(begin), Gpr::RAX, 8);
        a.alu_mem(Alu::Cmp, Gpr::RAX, frame(until));
        a.jump_if(Condition::Less, top);
    }

    /// One pass over the groups of the strip.
    fn groups(
        &mut self,
        emit: &mut Emission,
        stage: &Stage,
        groups: &Groups,
        placed: &Placed,
        (main, last): &(Written, Written),
    ) {
        self.load_pointers(placed, false);
        self.lane_loop(stage.lanes, groups, &mut |this, is_main| {
            if Self::has_far(placed) {
                this.load_pointers(placed, true);
            }
            let written = if is_main { main } else { last };
            this.region(emit, &placed.pointers, written, |_| false);
        });
    }
}

/// What a region does with the partial results of its groups.
#[derive(Clone, Copy)]
enum Pass {
    Begin,
    Rows(usize),
    Finish,
}

/// A region to be written.
struct What {
    pass: Pass,
    groups: Vec<(u32, u32)>,
}

/// The layout of partial results: for each register of a group's states, so many bytes a lane as
/// 32-bit lanes have, one strip behind the other.
struct Cells {
    pattern: Vec<State>,
    /// Registers of a group's states.
    parts: usize,
    /// Lanes of a strip.
    lanes: usize,
}

impl Cells {
    fn new(lower: &mut Lower, folds: &[(Combine, Type)]) -> Cells {
        let pattern: Vec<State> = folds.iter().map(|&(c, ty)| lower.identity(c, ty)).collect();
        let parts = pattern.iter().flat_map(State::parts).count();
        let lanes = (STRIP / parts.max(1)).next_power_of_two().max(LEAST);
        Cells { pattern, parts, lanes }
    }

    fn place(&self, lower: &Lower, part: usize) -> Place {
        let within = 4 * lower.first as usize;
        Place::Strip(i32::try_from(4 * self.lanes * part + within).expect("a small frame"))
    }

    fn load(&self, lower: &mut Lower, folds: &[(Combine, Type)]) -> Vec<State> {
        let mut part = 0;
        debug_assert_eq!(self.pattern.len(), folds.len());
        let pattern = self.pattern.iter();
        pattern
            .map(|state| {
                state.renamed(|reg| {
                    let place = self.place(lower, part).into();
                    part += 1;
                    match lower.registers.class(reg) {
                        Class::Vector => lower.v(Op::Vmovups, &[place]),
                        Class::Mask => lower.k(Op::KmovwLoad, Width::X, &[place], None),
                    }
                })
            })
            .collect()
    }

    fn store(&self, lower: &mut Lower, states: &[State]) {
        for (part, reg) in states.iter().flat_map(State::parts).enumerate() {
            let place = self.place(lower, part).into();
            match lower.registers.class(reg) {
                Class::Vector => lower.effect(Op::VmovupsStore, lower.width, &[place, reg.into()]),
                Class::Mask => lower.effect(Op::KmovwStore, Width::X, &[place, reg.into()]),
            }
        }
    }
}
