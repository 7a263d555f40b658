//! Short rows: all stages of a few rows as one region.
//!
//! A row of a few groups of lanes is mostly waiting: for its largest element, for its sum, for the
//! quotient by it. So the same stage of a few rows stands next to each other, and they share
//! constants and addresses. Where folds of them load the same vectors, as products of rows with one
//! vector do, they go group of lanes by group, each loaded once.
//!
//! Invariant: each row is computed as `stage` does it, bit for bit.
//!
//! Neighbours: `nest` calls this where that many rows are left; `stage` has rows of any length.

use super::allocate::{Around, Pins, region};
use super::asm::Gpr;
use super::fold::{State, groups_apart, joins_rows};
use super::frame::{INDEX, POINTERS, Pointer, PointerAt, Pointers, frame};
use super::loops::Groups;
use super::lower::{Argument, Lower, Scene, SlotView, lanes_of};
use super::machine::{Class, Place, Registers, ScalarStep, Step, count};
use super::nest::Nest;
use super::order::{Group, abreast, interleave};
use super::plan::{Plan, alike, folds, settle_states, state_size, update_states};
use crate::codegen::target::Isa;
use crate::kernel::{self, Access, Body, Fold, Stage};
use crate::vector::{Combine, Inst, Program, SlotDecl, Stride, Type};

/// Groups of lanes of a region, at most.
const GROUPS: usize = 16;
/// The same where rows load the same vectors.
const SHARING: usize = 64;
/// Rows of a region, at most.
const ROWS: usize = 8;
/// Bytes of a cache line.
const LINE: u32 = 64;
/// Rows from which one tree for all is worth that all wait for it.
const JOINED: usize = 8;
/// Instructions of a region, at most.
const INSTRUCTIONS: usize = 1000;

/// Elements from row to row, below which twice as many rows are within reach of a displacement.
const REACH: u64 = 1 << 23;

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
            Fold::AcrossLanes(finish) => Some(finish),
            Fold::PerLane(_) => return None,
        };
        let bodies = || [Some(&stage.body), finish].into_iter().flatten();
        let near = |access: &Access| access.strides[axis].unsigned_abs() < REACH;
        let once = stage.lanes > 0 && stage.reduce.iter().all(|&n| n == 1);
        if !once
            || bodies().flat_map(|body| &body.program.insts).any(asked)
            || !bodies().flat_map(|body| &body.slots).all(near)
        {
            return None;
        }
        groups = groups.max(stage.lanes.div_ceil(each));
        insts += body.insts.len() * stage.lanes.div_ceil(each);
    }
    let mut together = GROUPS / groups;
    if let [stage] = &nest.stages[..]
        && shares(stage, axis)
    {
        // What they share is loaded once for all whose states fit the registers.
        let folds = folds(&stage.body);
        let state: u32 = folds.iter().map(|&(c, ty)| state_size(isa, c, ty)).sum();
        let states = (groups_apart(each as u32, &folds) * state).max(1);
        let fit = u32::from(count(isa, Class::Vector)) / 2 / states;
        together = together.max((SHARING / groups).min(fit as usize));
    }
    let count = ROWS.min(together).min(INSTRUCTIONS / insts).min(nest.outer[axis]);
    (count >= 2).then_some(Rows { axis, count })
}

/// Whether rows of a fold across lanes load the same vectors.
fn shares(stage: &Stage, axis: usize) -> bool {
    let slots = stage.body.slots.iter().zip(&stage.body.program.slots);
    let mut shared =
        slots.map(|(access, decl)| access.strides[axis] == 0 && decl.stride != Stride::Splat);
    matches!(stage.fold, Fold::AcrossLanes(_)) && shared.any(|shared| shared)
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
        self.program.buffers[access.buffer.0 as usize].place == kernel::Place::Row
    }

    fn stage_of_rows(&mut self, stage: &'n Stage, short: &mut Short<'n>) {
        let views = self.place_rows(&stage.body, short);
        let finish = match &stage.fold {
            Fold::AcrossLanes(finish) => Some((finish, self.place_rows(finish, short))),
            Fold::None | Fold::PerLane(_) => None,
        };
        let folds = folds(&stage.body);
        let states = self.bodies_of_rows(stage, &folds, &views, short);
        if let Some((finish, views)) = finish {
            let results = self.trees_of_rows(&folds, states, short);
            self.finishes_of_rows(finish, &views, results, short);
        }
    }

    /// Writes a stage's body for every row. The states of each, by groups that are apart.
    fn bodies_of_rows(
        &mut self,
        stage: &'n Stage,
        folds: &[(Combine, Type)],
        views: &[SlotView],
        short: &mut Short<'n>,
    ) -> Vec<Vec<Vec<State>>> {
        let body = &stage.body;
        let each = lanes_of(self.isa);
        let groups = Groups::of(stage.lanes, each, stage.lanes as u32 / each + 1).last(each);
        let abreast = abreast(&body.program, self.isa);
        let apart = groups_apart(each, folds) as usize;
        let of_row = |values: &Vec<i32>| -> Vec<Argument> {
            body.params.iter().map(|v| Argument::Row(values[v.0 as usize])).collect()
        };
        let params: Vec<Vec<Argument>> = short.values.iter().map(of_row).collect();
        let scene = |row: usize| Scene {
            program: &body.program,
            slots: views,
            params: &params[row],
            axes: &short.axes,
            outer: short.outer,
            reduce_moves: false,
            invariant: &[],
        };
        let count = short.rows.count;
        let mut lower = Lower::new(&mut short.registers, &mut self.frame);
        let mut states: Vec<Vec<Vec<State>>> = Vec::with_capacity(count);
        let mut known = Vec::with_capacity(count);
        for row in 0..count {
            lower.row = row as u32;
            (lower.first, lower.active) = (0, lower.lanes);
            let plan = Plan::new(&mut lower, &scene(row), |_| false);
            short.steps.extend(plan.stage);
            short.steps.extend(plan.pass);
            known.push(plan.values);
            let begin = |_| folds.iter().map(|&(c, ty)| lower.identity(c, ty)).collect();
            states.push((0..apart).map(begin).collect());
        }
        // Row by row; where folds of rows share what is loaded, group by group.
        let shared = shared_by_rows(&body.program, views);
        let shares = !folds.is_empty() && shared.contains(&true);
        let order = (0..count * groups.len()).map(|i| match shares {
            true => (i / count, i % count),
            false => (i % groups.len(), i / groups.len()),
        });
        let (mut all, mut of_all) = (Vec::new(), Vec::new());
        for (group, row) in order {
            (lower.first, lower.active) = groups[group];
            lower.row = row as u32;
            if shares && row == 0 {
                short.steps.extend(interleave(std::mem::take(&mut all), abreast));
                let scene = Scene { invariant: &known[0], ..scene(0) };
                of_all = lower.program(&scene, |inst| shared[inst]);
                short.steps.append(&mut lower.steps);
                short.steps.extend(fetches(body, views, count, groups[group]));
            }
            let mut values = known[row].clone();
            for (value, of_all) in values.iter_mut().zip(&of_all) {
                if value.is_none() {
                    value.clone_from(of_all);
                }
            }
            let values = lower.program(&Scene { invariant: &values, ..scene(row) }, |_| true);
            let own = std::mem::take(&mut lower.steps);
            update_states(&mut lower, body, &values, &mut states[row][group % apart]);
            all.push(Group { own, chained: std::mem::take(&mut lower.steps) });
        }
        short.steps.extend(interleave(all, abreast));
        states
    }

    /// Writes the trees of every row; where in the frame the results of each then are.
    fn trees_of_rows(
        &mut self,
        folds: &[(Combine, Type)],
        mut states: Vec<Vec<Vec<State>>>,
        short: &mut Short<'n>,
    ) -> Vec<Vec<i32>> {
        let mut lower = Lower::new(&mut short.registers, &mut self.frame);
        if short.rows.count >= JOINED && joins_rows(folds) {
            let results = lower.trees_of_rows(folds, &states);
            short.steps.append(&mut lower.steps);
            return results;
        }
        let (mut trees, mut results) = (Vec::new(), Vec::new());
        for state in &mut states {
            settle_states(&mut lower, state.iter_mut().flatten());
            results.push(lower.trees(folds, state, true));
            trees.push(Group { own: std::mem::take(&mut lower.steps), chained: Vec::new() });
        }
        short.steps.extend(interleave(trees, short.rows.count as u32));
        results
    }

    /// Writes the finish of a fold for every row, whose results are in the frame; they become
    /// values of the rows.
    fn finishes_of_rows(
        &mut self,
        finish: &'n Body,
        views: &[SlotView],
        results: Vec<Vec<i32>>,
        short: &mut Short<'n>,
    ) {
        let mut lower = Lower::new(&mut short.registers, &mut self.frame);
        let mut finishes = Vec::new();
        for (row, (values, cells)) in short.values.iter_mut().zip(results).enumerate() {
            lower.row = row as u32;
            let outer = finish.params.iter().map(|v| values[v.0 as usize]);
            let params: Vec<Argument> = cells.into_iter().chain(outer).map(Argument::Row).collect();
            let scene = Scene {
                program: &finish.program,
                slots: views,
                params: &params,
                axes: &short.axes,
                outer: short.outer,
                reduce_moves: false,
                invariant: &[],
            };
            values.extend(lower.finish(&scene));
            finishes.push(Group { own: std::mem::take(&mut lower.steps), chained: Vec::new() });
        }
        short.steps.extend(interleave(finishes, short.rows.count as u32));
    }
}

/// Asks for what a group of the next rows loads: these rows side by side are more streams than the
/// processor follows.
fn fetches(body: &Body, views: &[SlotView], rows: usize, (first, active): (u32, u32)) -> Vec<Step> {
    let mut steps = Vec::new();
    for (view, decl) in views.iter().zip(&body.program.slots) {
        if view.row_bytes == 0 || !view.readonly || decl.stride != Stride::Unit {
            continue;
        }
        let size = decl.dtype.size() as u32;
        let from = (first * size).next_multiple_of(LINE);
        for line in (from..(first + active) * size).step_by(LINE as usize) {
            for row in rows..2 * rows {
                let bytes = view.row_bytes * row as i64 + i64::from(line);
                let bytes = i32::try_from(bytes).expect("rows within reach");
                let at = Place::Slot { slot: view.number, bytes };
                steps.push(Step::Scalar(ScalarStep::Fetch { at }));
            }
        }
    }
    steps
}

/// By instruction: whether it loads, or makes of such loads, what is the same in all rows of a
/// region, but not in all of their lanes.
fn shared_by_rows(program: &Program, views: &[SlotView]) -> Vec<bool> {
    let alike = alike(program, false, |slot| {
        let view = &views[slot.0 as usize];
        view.readonly && view.row_bytes == 0
    });
    let mut varies: Vec<bool> = Vec::with_capacity(program.insts.len());
    for inst in &program.insts {
        varies.push(match inst {
            Inst::Load(slot) => views[slot.0 as usize].lane_bytes != 0,
            _ => inst.operands().any(|v| varies[v.0 as usize]),
        });
    }
    alike.iter().zip(varies).map(|(alike, varies)| *alike && varies).collect()
}
