//! One stage of a row: its loops, and the regions inside them.
//!
//! Lanes go in groups of one vector of 32-bit elements. A region holds several groups, so that
//! latencies overlap; what remains of the lanes is one region more, with a last group that is
//! masked. Values that are the same for all groups are computed before the loop, and stay in
//! registers as far as there are any.
//!
//! Neighbours: `nest` has the rows, `loops` the loops; `lower` and `fold` write regions, which
//! `allocate` emits.

use super::allocate::{Around, Pins, region};
use super::asm::{Alu, Assembler, Gpr, Label};
use super::fold::{State, groups_apart};
use super::frame::{INDEX, POINTERS, Pointer, PointerAt, Pointers, frame};
use super::loops::Groups;
use super::lower::{Argument, Lanes, Lower, Scene, SlotView, lanes_of};
use super::machine::{Place, Reg, Registers, ScalarStep, Step};
use super::nest::{Nest, Row};
use super::order::{Group, abreast, interleave};
use super::plan::{Emission, Plan, Written, alike, choose_pins, exports, folds, give_homes};
use super::plan::{load_pinned, named_states, settle_states, state_size, unroll, update_states};
use super::stream::{Fetch, Fetches};
use super::strip;
use crate::codegen::target::Isa;
use crate::kernel::{Access, Body, Fold, Stage};
use crate::vector::usual::Usual;
use crate::vector::{Inst, Stride};
use rustc_hash::FxHashSet;

/// Groups of lanes of a row, at most, that a fold for each lane keeps all at once.
const SHORT_ROW: u32 = 8;

/// A body at a row: where its slots are.
pub(super) struct Placed<'b> {
    pub body: &'b Body,
    /// In the frame: each slot's element for lane 0 at the current point of the reduce axes.
    pub bases: Vec<i32>,
    pub views: Vec<SlotView>,
    pub pointers: Pointers,
}

/// Emits stages into the function of a nest.
pub(super) struct StageWriter<'w, 'n> {
    pub nest: &'w mut Nest<'n>,
    pub row: &'w mut Row,
    pub fetches: &'w Fetches,
}

impl<'n> StageWriter<'_, 'n> {
    /// Emits one stage.
    pub fn stage(&mut self, stage: &'n Stage) {
        let empty = stage.lanes == 0 || stage.reduce.contains(&0);
        match &stage.fold {
            Fold::None if empty => {}
            Fold::None => self.map(stage),
            Fold::AcrossLanes(finish) => self.fold_across(stage, finish, empty),
            Fold::PerLane(_) if stage.lanes == 0 => {}
            Fold::PerLane(finish) => self.fold_per_lane(stage, finish),
        }
    }

    pub(super) fn a(&mut self) -> &mut Assembler {
        &mut self.nest.a
    }

    pub(super) fn arguments(&self, body: &Body) -> Vec<Argument> {
        body.params.iter().map(|v| Argument::Row(self.row.values[v.0 as usize])).collect()
    }

    /// Computes the slots' elements of a body at this row, for lane 0 and the first point of the
    /// other axes, into the frame.
    pub(super) fn place<'b>(&mut self, body: &'b Body) -> Placed<'b> {
        let mut bases = Vec::with_capacity(body.slots.len());
        let mut views = Vec::with_capacity(body.slots.len());
        let mut pointers = Vec::with_capacity(body.slots.len());
        for (i, (access, decl)) in body.slots.iter().zip(&body.program.slots).enumerate() {
            let at = self.nest.frame.take(8);
            self.nest.point(access, &self.row.positions);
            self.a().store(frame(at), Gpr::RAX, 8);
            bases.push(at);
            views.push(self.nest.view(access, decl, i, 0));
            pointers.push(Pointer {
                at: match POINTERS.get(i) {
                    Some(&register) => PointerAt::Register(register),
                    // Moving pointers of the group: apart from the base.
                    None => PointerAt::Frame(self.nest.frame.take(8)),
                },
                indexed: (decl.stride == Stride::Unit).then_some(decl.dtype.size() as u8),
            });
        }
        Placed { body, bases, views, pointers: Pointers(pointers) }
    }

    /// Brings the pointers to their bases; those of far slots to the group's first lane.
    pub(super) fn load_pointers(&mut self, placed: &Placed, only_far: bool) {
        for (i, pointer) in placed.pointers.0.iter().enumerate() {
            let far = placed.body.program.slots[i].stride == Stride::Far;
            if only_far && !far {
                continue;
            }
            let base = frame(placed.bases[i]);
            let to = match pointer.at {
                PointerAt::Register(register) => register,
                PointerAt::Frame(_) => Gpr::RAX,
            };
            let a = self.a();
            if far {
                a.times(to, INDEX, placed.views[i].lane_bytes, Gpr::RCX);
                a.alu_mem(Alu::Add, to, base);
            } else {
                a.load(to, base, 8);
            }
            if let PointerAt::Frame(at) = pointer.at {
                a.store(frame(at), to, 8);
            }
        }
    }

    pub(super) fn has_far(placed: &Placed) -> bool {
        placed.body.program.slots.iter().any(|slot| slot.stride == Stride::Far)
    }

    fn map(&mut self, stage: &'n Stage) {
        let body = &stage.body;
        let placed = self.place(body);
        let isa = self.nest.isa;
        let each = lanes_of(isa);
        let mut registers = Registers::new(isa);
        let counters = self.counters(stage);
        let params = self.arguments(body);
        let axes = self.axes(&counters);
        let plan = self.plan(stage, &placed, &params, &axes, false, &mut registers);
        let usual = Usual::of(&body.program, |v| plan.values[v.0 as usize].is_some());
        let program = usual.as_ref().map_or(&body.program, |usual| &usual.program);
        let mut abreast = abreast(program, isa);
        if self.row.block.is_some() {
            // Blocks of lanes end at multiples of powers of two.
            abreast = 1 << abreast.ilog2();
        }
        let mut unroll = abreast;
        while unroll > 1 && (unroll * each) as usize > stage.lanes.max(1) {
            unroll /= 2;
        }
        let groups = Groups::of(stage.lanes, each, unroll);
        let scene = Scene {
            program: &body.program,
            slots: &placed.views,
            params: &params,
            axes: &axes,
            outer: self.row.positions.len(),
            reduce_moves: false,
            invariant: &plan.values,
        };
        let mut write = |this: &mut Self, groups: &[(u32, u32)]| {
            let mut lower = Lower::new(&mut registers, &mut this.nest.frame);
            let mut all = Vec::with_capacity(groups.len());
            for &(first, active) in groups {
                (lower.first, lower.active) = (first, active);
                lower.program(&scene, |_| true);
                all.push(Group { own: std::mem::take(&mut lower.steps), chained: Vec::new() });
            }
            let mut steps = this.fetch(body, groups);
            steps.extend(interleave(all, abreast));
            let whole = Written { steps, exports: Vec::new() };
            let usual = usual.as_ref().filter(|_| !groups.is_empty()).map(|usual| {
                let leave = this.a().label();
                let mut steps = this.fetch(body, groups);
                steps.extend(this.usual_steps(
                    usual,
                    &scene,
                    groups,
                    abreast,
                    leave,
                    &mut registers,
                ));
                (Written { steps, exports: Vec::new() }, leave)
            });
            Mapped { whole, usual }
        };
        let main = write(self, &groups.main(each));
        let last = write(self, &groups.last(each));
        let used = if groups.times > 0 { &main } else { &last };
        let used = used.usual.as_ref().map_or(&used.whole, |(usual, _)| usual);
        let loops =
            groups.times > 1 || self.row.block.is_some() || stage.reduce.iter().any(|&n| n > 1);
        let pins = choose_pins(&registers, &[], &used.steps, loops);
        let mut emit = Emission { registers, pins, plan };
        let users: Vec<&Written> = [&main, &last]
            .into_iter()
            .flat_map(|mapped| mapped.usual.iter().map(|(usual, _)| usual).chain([&mapped.whole]))
            .collect();
        self.stage_values(&mut emit, &placed, &users);
        self.reduce_loops(&placed, stage, &counters, true, &mut |this| {
            this.load_pointers(&placed, false);
            this.pass_values(&mut emit, &placed, &users);
            this.lane_loop(stage.lanes, &groups, &mut |this, is_main| {
                if Self::has_far(&placed) {
                    this.load_pointers(&placed, true);
                }
                let mapped = if is_main { &main } else { &last };
                let done = mapped.usual.as_ref().map(|(usual, leave)| {
                    this.region(&mut emit, &placed.pointers, usual, |_| false);
                    let done = this.a().label();
                    this.a().jump(done);
                    this.a().bind(*leave);
                    done
                });
                this.region(&mut emit, &placed.pointers, &mapped.whole, |_| false);
                if let Some(done) = done {
                    this.a().bind(done);
                }
            });
        });
    }

    /// The usual form of a map: it leaves before it has stored anything where it does not serve.
    fn usual_steps(
        &mut self,
        usual: &Usual,
        scene: &Scene,
        groups: &[(u32, u32)],
        abreast: u32,
        leave: Label,
        registers: &mut Registers,
    ) -> Vec<Step> {
        let stores = |i: usize| matches!(usual.program.insts[i], Inst::Store(..));
        let scene = Scene { program: &usual.program, ..*scene };
        let mut lower = Lower::new(registers, &mut self.nest.frame);
        let (mut all, mut made) = (Vec::new(), Vec::new());
        for &(first, active) in groups {
            (lower.first, lower.active) = (first, active);
            made.push(lower.program(&scene, |i| !stores(i)));
            all.push(Group { own: std::mem::take(&mut lower.steps), chained: Vec::new() });
        }
        let mut steps = interleave(all, abreast);
        let conditions = made.iter().flat_map(|values| {
            usual.conditions.iter().filter_map(|v| values[v.0 as usize].clone())
        });
        let conditions: Vec<Lanes> = conditions.collect();
        lower.leave_unless(&conditions, leave);
        for (&(first, active), values) in groups.iter().zip(&made) {
            (lower.first, lower.active) = (first, active);
            lower.program(&Scene { invariant: values, ..scene }, stores);
        }
        steps.append(&mut lower.steps);
        steps
    }

    fn fold_across(&mut self, stage: &'n Stage, finish: &'n Body, empty: bool) {
        let body = &stage.body;
        let isa = self.nest.isa;
        let each = lanes_of(isa);
        let apart = groups_apart(each, &folds(body));
        let unroll = apart * unroll(body.program.insts.len(), apart, stage.lanes, each);
        let abreast = abreast(&body.program, isa);
        let groups = Groups::of(stage.lanes, each, unroll);
        let mut registers = Registers::new(isa);
        let placed = self.place(body);
        let counters = self.counters(stage);
        let params = self.arguments(body);
        let axes = self.axes(&counters);
        let plan = self.plan(stage, &placed, &params, &axes, false, &mut registers);
        let folds = folds(body);
        // The states of the groups that are apart, by names that regions share.
        let (mut states, mut init) = (Vec::new(), Written::default());
        {
            let mut lower = Lower::new(&mut registers, &mut self.nest.frame);
            for _ in 0..apart {
                states.push(named_states(&mut lower, &folds, &mut init));
            }
        }
        let mut write = |this: &mut Self, groups: &[(u32, u32)]| {
            let scene = Scene {
                program: &body.program,
                slots: &placed.views,
                params: &params,
                axes: &axes,
                outer: this.row.positions.len(),
                reduce_moves: false,
                invariant: &plan.values,
            };
            let mut steps = this.fetch(body, groups);
            let mut lower = Lower::new(&mut registers, &mut this.nest.frame);
            let mut now = states.clone();
            let mut all = Vec::with_capacity(groups.len());
            for (i, &(first, active)) in groups.iter().enumerate() {
                (lower.first, lower.active) = (first, active);
                let values = lower.program(&scene, |_| true);
                let own = std::mem::take(&mut lower.steps);
                update_states(&mut lower, body, &values, &mut now[i % apart as usize]);
                all.push(Group { own, chained: std::mem::take(&mut lower.steps) });
            }
            settle_states(&mut lower, now.iter_mut().flatten());
            steps.extend(interleave(all, abreast));
            steps.append(&mut lower.steps);
            Written { steps, exports: exports(&states, &now) }
        };
        let main = write(self, &groups.main(each));
        let last = write(self, &groups.last(each));
        // The tree, and its results.
        let (tree, results) = {
            let mut lower = Lower::new(&mut registers, &mut self.nest.frame);
            let results = lower.trees(&folds, &states, false);
            (Written { steps: lower.steps, exports: Vec::new() }, results)
        };
        let accumulators: Vec<Reg> =
            states.iter().flatten().flat_map(|s| s.parts().collect::<Vec<_>>()).collect();
        let used = if groups.times > 0 { &main } else { &last };
        let loops = groups.times > 1 || stage.reduce.iter().any(|&n| n > 1);
        let pins = choose_pins(&registers, &accumulators, &used.steps, loops);
        give_homes(&mut registers, &pins, &accumulators, &mut self.nest.frame);
        let mut emit = Emission { registers, pins, plan };
        self.stage_values(&mut emit, &placed, &[&main, &last]);
        self.region(&mut emit, &placed.pointers, &init, |r| accumulators.contains(&r));
        if !empty {
            self.reduce_loops(&placed, stage, &counters, true, &mut |this| {
                this.load_pointers(&placed, false);
                this.pass_values(&mut emit, &placed, &[&main, &last]);
                this.lane_loop(stage.lanes, &groups, &mut |this, is_main| {
                    if Self::has_far(&placed) {
                        this.load_pointers(&placed, true);
                    }
                    let written = if is_main { &main } else { &last };
                    this.region(&mut emit, &placed.pointers, written, |_| false);
                });
            });
        }
        self.region(&mut emit, &placed.pointers, &tree, |_| false);
        let mut params: Vec<Argument> = results.into_iter().map(Argument::Row).collect();
        params.extend(self.arguments(finish));
        self.finish_row(stage, finish, &params);
    }

    /// The finish of a fold across lanes: a group of one lane.
    fn finish_row(&mut self, stage: &Stage, finish: &'n Body, params: &[Argument]) {
        let isa = self.nest.isa;
        let placed = self.place(finish);
        let mut registers = Registers::new(isa);
        let axes = self.finish_axes(stage);
        let scene = Scene {
            program: &finish.program,
            slots: &placed.views,
            params,
            axes: &axes,
            outer: self.row.positions.len(),
            reduce_moves: false,
            invariant: &[],
        };
        let mut lower = Lower::new(&mut registers, &mut self.nest.frame);
        let values = lower.finish(&scene);
        let written = Written { steps: lower.steps, exports: Vec::new() };
        self.a().mov_imm(INDEX, 0);
        self.load_pointers(&placed, false);
        let mut emit = Emission::bare(registers);
        self.region(&mut emit, &placed.pointers, &written, |_| false);
        self.row.values.extend(values);
    }

    fn fold_per_lane(&mut self, stage: &'n Stage, finish: &'n Body) {
        let body = &stage.body;
        let isa = self.nest.isa;
        let each = lanes_of(isa);
        if let Some(rows) = strip::rows(stage, self.nest.outer, each) {
            return self.fold_in_strips(stage, finish, rows);
        }
        let folds = folds(body);
        let width: u32 = folds.iter().map(|&(c, ty)| state_size(isa, c, ty)).sum();
        let most = if isa == Isa::Avx512 { 16 } else { 8 };
        let all = stage.lanes.div_ceil(each as usize) as u32;
        let unroll = if all <= SHORT_ROW && all * width.max(1) <= most {
            // One pass, over whole rows.
            all.next_power_of_two()
        } else {
            let mut unroll = unroll(0, 1, stage.lanes, each);
            while unroll > 1 && unroll * width.max(1) > most {
                unroll /= 2;
            }
            unroll
        };
        let groups = Groups::of(stage.lanes, each, unroll);
        let mut registers = Registers::new(isa);
        let mut placed = self.place(body);
        let alike = alike(&body.program, true, |slot| {
            let view = &placed.views[slot.0 as usize];
            view.readonly && view.lane_bytes == 0
        });
        for (view, access) in placed.views.iter_mut().zip(&body.slots) {
            // What the reduce axes move changes while a region is repeated.
            view.readonly &= !moves(access, stage, self.row.positions.len());
        }
        let placed_finish = self.place_beside(finish);
        let counters = self.counters(stage);
        let params = self.arguments(body);
        let axes = self.axes(&counters);
        let plan = self.plan(stage, &placed, &params, &axes, true, &mut registers);
        let finish_axes = self.finish_axes(stage);
        let finish_row_params = self.arguments(finish);
        let write = |this: &mut Self, registers: &mut Registers, groups: &[(u32, u32)]| {
            let mut init = Written::default();
            let mut lower = Lower::new(registers, &mut this.nest.frame);
            let states: Vec<Vec<State>> =
                groups.iter().map(|_| named_states(&mut lower, &folds, &mut init)).collect();
            let scene = Scene {
                program: &body.program,
                slots: &placed.views,
                params: &params,
                axes: &axes,
                outer: this.row.positions.len(),
                reduce_moves: true,
                invariant: &plan.values,
            };
            let (mut now, mut known) = (states.clone(), plan.values.clone());
            for (state, &(first, active)) in now.iter_mut().zip(groups) {
                (lower.first, lower.active) = (first, active);
                let values = lower.program(&Scene { invariant: &known, ..scene }, |_| true);
                // What is the same for all lanes is made once at a point of the reduce axes.
                for (i, known) in known.iter_mut().enumerate().filter(|&(i, _)| alike[i]) {
                    known.clone_from(&values[i]);
                }
                // Lanes that do not count fold what nobody looks at.
                lower.active = lower.lanes;
                update_states(&mut lower, body, &values, state);
                settle_states(&mut lower, state);
            }
            let inner = Written {
                steps: std::mem::take(&mut lower.steps),
                exports: exports(&states, &now),
            };
            for (state, &(first, active)) in states.iter().zip(groups) {
                (lower.first, lower.active) = (first, active);
                let mut results: Vec<Argument> =
                    state.iter().map(|s| Argument::Lanes(lower.result(s))).collect();
                results.extend(finish_row_params.iter().cloned());
                let scene = Scene {
                    program: &finish.program,
                    slots: &placed_finish.views,
                    params: &results,
                    axes: &finish_axes,
                    outer: this.row.positions.len(),
                    reduce_moves: false,
                    invariant: &[],
                };
                lower.program(&scene, |_| true);
            }
            let finish = Written { steps: lower.steps, exports: Vec::new() };
            let accumulators: Vec<Reg> =
                states.iter().flatten().flat_map(|s| s.parts().collect::<Vec<_>>()).collect();
            PerLane { init, inner, finish, accumulators }
        };
        let main = write(self, &mut registers, &groups.main(each));
        let last = write(self, &mut registers, &groups.last(each));
        // Both share what is computed before; each has pins of its own.
        let mut emit = Emission { registers, pins: Pins::default(), plan };
        self.stage_values(&mut emit, &placed, &[&main.inner, &last.inner]);
        self.lane_loop(stage.lanes, &groups, &mut |this, is_main| {
            let part = if is_main { &main } else { &last };
            emit.pins = choose_pins(&emit.registers, &part.accumulators, &part.inner.steps, true);
            give_homes(&mut emit.registers, &emit.pins, &part.accumulators, &mut this.nest.frame);
            this.load_pointers(&placed, false);
            let pinned = load_pinned(&emit.pins, &part.accumulators);
            this.region(&mut emit, &placed.pointers, &pinned, |_| true);
            this.region(&mut emit, &placed.pointers, &part.init, |r| {
                part.accumulators.contains(&r)
            });
            if !stage.reduce.contains(&0) {
                this.reduce_loops(&placed, stage, &counters, false, &mut |this| {
                    this.region(&mut emit, &placed.pointers, &part.inner, |_| false);
                });
            }
            this.load_pointers(&placed_finish, false);
            this.region(&mut emit, &placed_finish.pointers, &part.finish, |_| false);
        });
    }

    /// The slots of a finish that shares the registers of its body, where an element is known by
    /// the number of its slot: the same number of another body must not name the same element.
    pub(super) fn place_beside(&mut self, finish: &'n Body) -> Placed<'n> {
        let mut placed = self.place(finish);
        placed.views.iter_mut().for_each(|view| view.readonly = false);
        placed
    }

    /// Asks for a later row's lines of these groups.
    fn fetch(&self, body: &Body, groups: &[(u32, u32)]) -> Vec<Step> {
        let lanes: u32 = groups.iter().map(|&(_, active)| active).sum();
        let lines = |&Fetch { slot, row, rows }: &Fetch| {
            let bytes = lanes as i32 * body.program.slots[slot as usize].dtype.size() as i32;
            (0..bytes).step_by(64).map(move |from| Place::Slot { slot, bytes: rows * row + from })
        };
        let places = self.fetches.iter().flat_map(lines);
        places.map(|at| Step::Scalar(ScalarStep::Fetch { at })).collect()
    }

    /// Emits a region.
    pub(super) fn region(
        &mut self,
        emit: &mut Emission,
        pointers: &Pointers,
        written: &Written,
        stale: impl Fn(Reg) -> bool,
    ) {
        let around = Around {
            a: &mut self.nest.a,
            registers: &mut emit.registers,
            frame: &mut self.nest.frame,
            pointers,
            pins: &emit.pins,
            fault: self.nest.fault,
        };
        region(around, &written.steps, &written.exports, stale);
    }

    /// Lowers what is the same for all groups. Where the reduce axes change within a region's loop
    /// (`reduce_moves`), what they change is not the same.
    pub(super) fn plan(
        &mut self,
        stage: &Stage,
        placed: &Placed,
        params: &[Argument],
        axes: &[i32],
        reduce_moves: bool,
        registers: &mut Registers,
    ) -> Plan {
        let outer = self.row.positions.len();
        let moves = |slot: usize| moves(&placed.body.slots[slot], stage, outer);
        let scene = Scene {
            program: &placed.body.program,
            slots: &placed.views,
            params,
            axes,
            outer,
            reduce_moves,
            invariant: &[],
        };
        Plan::new(&mut Lower::new(registers, &mut self.nest.frame), &scene, moves)
    }

    /// Computes what a stage's groups share, and fills pinned registers.
    pub(super) fn stage_values(
        &mut self,
        emit: &mut Emission,
        placed: &Placed,
        users: &[&Written],
    ) {
        self.load_pointers(placed, false);
        let steps = std::mem::take(&mut emit.plan.stage);
        let users = users.iter().map(|w| &w.steps[..]);
        let later: Vec<&[Step]> = users.chain([&emit.plan.pass[..]]).collect();
        let exports = emit.shared(&steps, &later, false);
        self.region(emit, &placed.pointers, &Written { steps, exports }, |_| true);
    }

    /// The same for what the reduce axes change.
    fn pass_values(&mut self, emit: &mut Emission, placed: &Placed, users: &[&Written]) {
        let steps = std::mem::take(&mut emit.plan.pass);
        let later: Vec<&[Step]> = users.iter().map(|w| &w.steps[..]).collect();
        let exports = emit.shared(&steps, &later, true);
        if !steps.is_empty() || !exports.is_empty() {
            let stale: FxHashSet<Reg> = exports.iter().map(|e| e.name).collect();
            let written = Written { steps, exports };
            self.region(emit, &placed.pointers, &written, |r| stale.contains(&r));
        }
    }

    /// Room for the positions along the reduce axes.
    pub(super) fn counters(&mut self, stage: &Stage) -> Vec<i32> {
        stage.reduce.iter().map(|_| self.nest.frame.take(8)).collect()
    }

    pub(super) fn axes(&self, counters: &[i32]) -> Vec<i32> {
        self.row.positions.iter().chain(counters).copied().collect()
    }

    /// What a finish sees: the row's positions, and 0 along the reduce axes.
    pub(super) fn finish_axes(&mut self, stage: &Stage) -> Vec<i32> {
        let zeros = vec![self.nest.zero; stage.reduce.len()];
        self.axes(&zeros)
    }
}

/// What is written for a number of groups of a map: the usual form too, if there is one, and where
/// it goes where it does not serve.
struct Mapped {
    whole: Written,
    usual: Option<(Written, Label)>,
}

/// What is written for a number of groups of a fold over the reduce axes.
struct PerLane {
    init: Written,
    inner: Written,
    finish: Written,
    accumulators: Vec<Reg>,
}

/// Whether the reduce axes move an access.
pub(super) fn moves(access: &Access, stage: &Stage, outer: usize) -> bool {
    let mut axes = access.strides.iter().skip(outer).zip(&stage.reduce);
    axes.any(|(&stride, &extent)| stride != 0 && extent > 1)
}
