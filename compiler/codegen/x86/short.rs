//! Short rows: all stages of a few rows as one region.
//!
//! A row of a few groups of lanes is mostly waiting: for its largest element, for its sum, for the
//! quotient by it. So the same stage of a few rows stands next to each other, and they share
//! constants and addresses.
//!
//! Invariant: each row is computed as `stage` does it, bit for bit.
//!
//! Neighbours: `nest` calls this where that many rows are left; `stage` has rows of any length.

use super::allocate::{Around, Pins, region};
use super::asm::Gpr;
use super::fold::{State, groups_apart};
use super::frame::{INDEX, POINTERS, Pointer, PointerAt, Pointers, frame};
use super::loops::Groups;
use super::lower::{Argument, Lower, Scene, SlotView, lanes_of};
use super::machine::{Registers, Step};
use super::nest::Nest;
use super::order::{Group, abreast, interleave};
use super::plan::{Plan, folds, settle_states, update_states};
use crate::codegen::target::Isa;
use crate::kernel::{self, Access, Body, Fold, Place, Stage};
use crate::vector::{Inst, SlotDecl, Stride};

/// Groups of lanes of a region, at most.
const GROUPS: usize = 16;
/// Rows of a region, at most.
const ROWS: usize = 8;
/// Instructions of a region, at most.
const INSTRUCTIONS: usize = 1000;

/// Rows next to each other: so many steps of an axis.
#[derive(Clone, Copy)]
pub(super) struct Rows {
    pub axis: usize,
    pub count: usize,
}

/// How many rows of the nest should stand together, if it has short rows.
pub(super) fn rows(nest: &kernel::Nest, isa: Isa) -> Option<Rows> {
    let axis = nest.outer.iter().rposition(|&extent| extent > 1)?;
    let each = lanes_of(isa) as usize;
    let mut groups = 1;
    let mut insts = 1;
    for stage in &nest.stages {
        let body = &stage.body.program;
        let asked = |inst: &Inst| matches!(inst, Inst::Index(a) if *a as usize == axis);
        let finish = match &stage.fold {
            Fold::None => None,
            Fold::AcrossLanes(finish) => Some(&finish.program),
            Fold::PerLane(_) => return None,
        };
        let programs = [Some(body), finish].into_iter().flatten();
        let once = stage.lanes > 0 && stage.reduce.iter().all(|&n| n == 1);
        if !once || programs.flat_map(|p| &p.insts).any(asked) {
            return None;
        }
        groups = groups.max(stage.lanes.div_ceil(each));
        insts += body.insts.len() * stage.lanes.div_ceil(each);
    }
    let count = ROWS.min(GROUPS / groups).min(INSTRUCTIONS / insts).min(nest.outer[axis]);
    (count >= 2).then_some(Rows { axis, count })
}

/// What rows of a nest have in common while they are written.
struct Short<'w> {
    rows: Rows,
    registers: Registers,
    steps: Vec<Step>,
    pointers: Vec<Pointer>,
    /// The access of each pointer.
    known: Vec<(&'w Access, &'w SlotDecl)>,
    /// By row: where its values are in the frame.
    values: Vec<Vec<i32>>,
    /// Where the position along each axis is.
    axes: Vec<i32>,
    outer: usize,
}

impl<'n> Nest<'n> {
    /// Emits the stages of `rows` rows, of which the first is at `positions`.
    pub fn short_rows(&mut self, nest: &'n kernel::Nest, positions: &[i32], rows: Rows) {
        let mut short = Short {
            rows,
            registers: Registers::new(self.isa),
            steps: Vec::new(),
            pointers: Vec::new(),
            known: Vec::new(),
            values: vec![Vec::new(); rows.count],
            axes: positions.to_vec(),
            outer: positions.len(),
        };
        for stage in &nest.stages {
            short.axes.truncate(positions.len());
            short.axes.extend(stage.reduce.iter().map(|_| self.zero));
            self.stage_of_rows(stage, &mut short);
        }
        let pointers = Pointers(short.pointers);
        self.a.mov_imm(INDEX, 0);
        let around = Around {
            a: &mut self.a,
            registers: &mut short.registers,
            frame: &mut self.frame,
            pointers: &pointers,
            pins: &Pins::default(),
            fault: self.fault,
        };
        region(around, &short.steps, &[], |_| false);
    }

    /// The slots of a body; those that another body has too are shared.
    fn place_rows(&mut self, body: &'n Body, short: &mut Short<'n>) -> Vec<SlotView> {
        let mut views = Vec::with_capacity(body.slots.len());
        for (access, decl) in body.slots.iter().zip(&body.program.slots) {
            let known = short.known.iter().position(|&known| known == (access, decl));
            let number = known.unwrap_or_else(|| {
                self.point(access, &short.axes[..short.outer]);
                let at = match POINTERS.get(short.pointers.len()) {
                    Some(&register) => {
                        self.a.mov(register, Gpr::RAX);
                        PointerAt::Register(register)
                    }
                    None => {
                        let at = self.frame.take(8);
                        self.a.store(frame(at), Gpr::RAX, 8);
                        PointerAt::Frame(at)
                    }
                };
                let indexed = decl.stride == Stride::Unit;
                let indexed = indexed.then_some(decl.dtype.size() as u8);
                short.pointers.push(Pointer { at, indexed });
                short.known.push((access, decl));
                short.pointers.len() - 1
            });
            let row_bytes = match access.strides[short.rows.axis] {
                // What all rows would use in turn: each has its own.
                0 if self.is_row(access) => self.row_bytes() as i64,
                stride => stride * decl.dtype.size() as i64,
            };
            views.push(self.view(access, decl, number, row_bytes));
        }
        views
    }

    fn is_row(&self, access: &Access) -> bool {
        self.program.buffers[access.buffer.0 as usize].place == Place::Row
    }

    fn stage_of_rows(&mut self, stage: &'n Stage, short: &mut Short<'n>) {
        let body = &stage.body;
        let views = self.place_rows(body, short);
        let finish = match &stage.fold {
            Fold::AcrossLanes(finish) => Some((finish, self.place_rows(finish, short))),
            Fold::None | Fold::PerLane(_) => None,
        };
        let each = lanes_of(self.isa);
        let groups = Groups::of(stage.lanes, each, stage.lanes as u32 / each + 1).last(each);
        let (folds, abreast) = (folds(body), abreast(&body.program, self.isa));
        let apart = groups_apart(each, &folds) as usize;
        let mut lower = Lower::new(&mut short.registers, &mut self.frame);
        let mut all = Vec::new();
        let mut states: Vec<Vec<Vec<State>>> = Vec::new();
        for (row, values) in short.values.iter().enumerate() {
            lower.row = row as u32;
            let params: Vec<Argument> =
                body.params.iter().map(|v| Argument::Row(values[v.0 as usize])).collect();
            let scene = Scene {
                program: &body.program,
                slots: &views,
                params: &params,
                axes: &short.axes,
                outer: short.outer,
                reduce_moves: false,
                invariant: &[],
            };
            (lower.first, lower.active) = (0, lower.lanes);
            let plan = Plan::new(&mut lower, &scene, |_| false);
            short.steps.extend(plan.stage);
            short.steps.extend(plan.pass);
            let scene = Scene { invariant: &plan.values, ..scene };
            let begin = |_| folds.iter().map(|&(c, ty)| lower.identity(c, ty)).collect();
            let mut state: Vec<Vec<State>> = (0..apart).map(begin).collect();
            for (i, &(first, active)) in groups.iter().enumerate() {
                (lower.first, lower.active) = (first, active);
                let values = lower.program(&scene, |_| true);
                let own = std::mem::take(&mut lower.steps);
                update_states(&mut lower, body, &values, &mut state[i % apart]);
                all.push(Group { own, chained: std::mem::take(&mut lower.steps) });
            }
            states.push(state);
        }
        short.steps.extend(interleave(all, abreast));
        let Some((finish, finish_views)) = finish else { return };
        lower.first = 0;
        let together = short.rows.count as u32;
        let own = |lower: &mut Lower| Group {
            own: std::mem::take(&mut lower.steps),
            chained: Vec::new(),
        };
        // The trees, and their results.
        let (mut trees, mut results) = (Vec::new(), Vec::new());
        lower.active = lower.lanes;
        for state in &mut states {
            settle_states(&mut lower, state.iter_mut().flatten());
            results.push(lower.trees(&folds, state));
            trees.push(own(&mut lower));
        }
        short.steps.extend(interleave(trees, together));
        let mut finishes = Vec::new();
        for (row, (values, cells)) in short.values.iter_mut().zip(results).enumerate() {
            lower.row = row as u32;
            let outer = finish.params.iter().map(|v| values[v.0 as usize]);
            let params: Vec<Argument> = cells.into_iter().chain(outer).map(Argument::Row).collect();
            let scene = Scene {
                program: &finish.program,
                slots: &finish_views,
                params: &params,
                axes: &short.axes,
                outer: short.outer,
                reduce_moves: false,
                invariant: &[],
            };
            values.extend(lower.finish(&scene));
            finishes.push(own(&mut lower));
        }
        short.steps.extend(interleave(finishes, together));
    }
}
