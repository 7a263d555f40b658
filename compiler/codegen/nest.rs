//! Loop nests: rows, stages, reduce loops, lanes.
//!
//! A row is a point of the outer axes. The function of a nest does a contiguous range of rows: it
//! decodes the first row's position once and then counts. In a row the stages follow one another;
//! scalars that finished folds yield stay in registers until the row ends. The lanes of a stage go
//! in groups: many lanes at a time, then four, then single ones.
//!
//! Invariant: which element meets which partial result depends on the extents only (see `fold`),
//! so a division of the rows over threads changes no bit.
//!
//! Neighbours: `emit` for loops and pointers, `body` for what is done with a group of lanes.

use super::body::{self, Argument, Scene, SlotAt};
use super::emit::{Emitter, Range};
use super::fold::{Cell, FOLD_GROUP, FOLD_LANES, State, accumulators};
use super::lanes::Group;
use crate::kernel::{Body, Fold, LANE_BLOCK, Nest, Split, Stage};
use crate::vector::{Type, verify};
use cranelift_codegen::ir::{self, InstBuilder};

/// Lanes in a group of a stage that folds nothing, and of one whose body is long.
const MAP_LANES: u32 = 8;
const LONG_MAP_LANES: u32 = 4;
/// Instructions from which a body is long: more lanes would only spill.
const LONG: usize = 48;

/// How many tasks a nest has.
pub(super) fn tasks(nest: &Nest) -> u64 {
    let rows: usize = nest.outer.iter().product();
    let tasks = match nest.split {
        Split::Rows => rows,
        Split::Lanes => {
            let lanes = nest.stages.first().map_or(0, |stage| stage.lanes);
            lanes.div_ceil(LANE_BLOCK) * usize::from(rows > 0)
        }
        Split::Never => usize::from(rows > 0),
    };
    tasks as u64
}

/// Emits the tasks `begin..end` of a nest.
pub(super) fn emit(e: &mut Emitter, nest: &Nest) {
    for stage in &nest.stages {
        e.open_buffers(&stage.body);
        if let Fold::AcrossLanes(finish) | Fold::PerLane(finish) = &stage.fold {
            e.open_buffers(finish);
        }
    }
    let rows: usize = nest.outer.iter().product();
    let (zero, all) = (e.int(0), e.int(rows as i64));
    match nest.split {
        Split::Rows => rows_between(e, nest, e.begin, e.end, None),
        Split::Never => rows_between(e, nest, zero, all, None),
        Split::Lanes => {
            let lanes = e.int(nest.stages[0].lanes as i64);
            let start = e.b.ins().imul_imm_s(e.begin, LANE_BLOCK as i64);
            let end = e.b.ins().imul_imm_s(e.end, LANE_BLOCK as i64);
            let end = e.b.ins().smin(end, lanes);
            rows_between(e, nest, zero, all, Some((start, end)));
        }
    }
}

/// The lanes of a task, where the lanes are what tasks share out.
type Block = Option<(ir::Value, ir::Value)>;

fn rows_between(e: &mut Emitter, nest: &Nest, begin: ir::Value, end: ir::Value, block: Block) {
    if nest.outer.iter().all(|&extent| extent == 1) {
        let zero = e.int(0);
        let positions = vec![zero; nest.outer.len()];
        return row(e, nest, &positions, block);
    }
    let start = first_positions(e, &nest.outer, begin);
    let range = Range { start: begin, end, step: 1, nonempty: true };
    e.count(range, &start, |e, _, positions| {
        row(e, nest, positions, block);
        next_positions(e, &nest.outer, positions)
    });
}

/// The position of a row along each outer axis.
fn first_positions(e: &mut Emitter, outer: &[usize], row: ir::Value) -> Vec<ir::Value> {
    let mut positions = Vec::with_capacity(outer.len());
    let mut rest = row;
    for &extent in outer.iter().rev() {
        positions.push(e.b.ins().urem_imm_u(rest, extent as i64));
        rest = e.b.ins().udiv_imm_u(rest, extent as i64);
    }
    positions.reverse();
    positions
}

/// Those of the next row: counting, without a division.
fn next_positions(e: &mut Emitter, outer: &[usize], positions: &[ir::Value]) -> Vec<ir::Value> {
    use cranelift_codegen::ir::condcodes::IntCC;
    let zero = e.int(0);
    let mut next = positions.to_vec();
    let mut carry: Option<ir::Value> = None;
    for (position, &extent) in next.iter_mut().zip(outer).rev() {
        let step = match carry {
            None => e.int(1),
            Some(carry) => e.b.ins().uextend(ir::types::I64, carry),
        };
        let up = e.b.ins().iadd(*position, step);
        let full = e.b.ins().icmp_imm_s(IntCC::Equal, up, extent as i64);
        *position = e.b.ins().select(full, zero, up);
        carry = Some(full);
    }
    next
}

fn row(e: &mut Emitter, nest: &Nest, positions: &[ir::Value], block: Block) {
    let mut row = Row { positions: positions.to_vec(), values: Vec::new(), block };
    for stage in &nest.stages {
        row.stage(e, stage);
    }
}

/// The state of a row: where it is, and the scalars that finished stages left.
struct Row {
    positions: Vec<ir::Value>,
    values: Vec<ir::Value>,
    block: Block,
}

/// Lanes that are done alike: groups of `width`.
struct Phase {
    width: u32,
    range: Range,
    /// Whether there is exactly one group.
    once: bool,
}

impl Row {
    fn stage(&mut self, e: &mut Emitter, stage: &Stage) {
        let empty = stage.lanes == 0 || stage.reduce.contains(&0);
        match &stage.fold {
            Fold::None if empty => {}
            Fold::None => self.map(e, stage),
            Fold::AcrossLanes(finish) => self.fold_across(e, stage, finish, empty),
            Fold::PerLane(_) if stage.lanes == 0 => {}
            Fold::PerLane(finish) => self.fold_per_lane(e, stage, finish),
        }
    }

    fn arguments(&self, body: &Body) -> Vec<Argument> {
        body.params.iter().map(|v| Argument::Scalar(self.values[v.0 as usize])).collect()
    }

    fn map(&mut self, e: &mut Emitter, stage: &Stage) {
        let body = &stage.body;
        let params = self.arguments(body);
        let widest = if body.program.insts.len() > LONG { LONG_MAP_LANES } else { MAP_LANES };
        let mut positions = self.positions.clone();
        let block = self.block;
        e.nested(&stage.reduce, &mut positions, Vec::new(), &mut |e, axes, state| {
            let slots = e.slots(body, axes);
            for phase in phases(e, stage.lanes, widest, block) {
                in_phase(e, &phase, &[], |e, lane, _| {
                    run(e, body, phase.width, &slots, &params, axes, lane);
                    Vec::new()
                });
            }
            state
        });
    }

    fn fold_across(&mut self, e: &mut Emitter, stage: &Stage, finish: &Body, empty: bool) {
        let body = &stage.body;
        let types = verify::types(&body.program).expect("a verified program");
        let params = self.arguments(body);
        let mut wide = e.group(FOLD_LANES);
        let cells: Vec<Cell> = accumulators(&body.program, &types)
            .into_iter()
            .map(|(combine, ty)| Cell::new(&mut wide, combine, ty))
            .collect();
        let zero = e.int(0);
        for cell in &cells {
            let mut wide = e.group(FOLD_LANES);
            let identity = cell.identity(&mut wide);
            cell.store(&mut wide, zero, &identity);
        }
        if !empty {
            let mut positions = self.positions.clone();
            e.nested(&stage.reduce, &mut positions, Vec::new(), &mut |e, axes, state| {
                let slots = e.slots(body, axes);
                for phase in phases(e, stage.lanes, FOLD_GROUP, None) {
                    fold_phase(e, body, &phase, &cells, &slots, &params, axes);
                }
                state
            });
        }
        let mut results = Vec::with_capacity(cells.len() + finish.params.len());
        for cell in &cells {
            let mut wide = e.group(FOLD_LANES);
            let state = cell.load(&mut wide, zero);
            results.push(Argument::Scalar(wide.across(cell.combine(), &state)));
        }
        results.extend(self.arguments(finish));
        let axes = self.axes_of_finish(e, stage);
        let slots = e.slots(finish, &axes);
        let values = run(e, finish, 1, &slots, &results, &axes, zero);
        for &y in &finish.program.yields {
            self.values.push(values.of(y).parts[0]);
        }
    }

    fn fold_per_lane(&mut self, e: &mut Emitter, stage: &Stage, finish: &Body) {
        let body = &stage.body;
        let types = verify::types(&body.program).expect("a verified program");
        let folds = accumulators(&body.program, &types);
        let params = self.arguments(body);
        let finish_params = self.arguments(finish);
        for phase in phases(e, stage.lanes, FOLD_GROUP, self.block) {
            let width = phase.width;
            let mut positions = self.positions.clone();
            in_phase(e, &phase, &[], |e, lane, _| {
                let mut start = Vec::new();
                let mut g = e.group(width);
                for &(combine, ty) in &folds {
                    g.identity(combine, ty).carried(&mut g, &mut start);
                }
                let totals = if stage.reduce.contains(&0) {
                    start
                } else {
                    e.nested(&stage.reduce, &mut positions, start, &mut |e, axes, state| {
                        let slots = e.slots(body, axes);
                        let values = run(e, body, width, &slots, &params, axes, lane);
                        let mut g = e.group(width);
                        let before = states(&g, &folds, &state);
                        let mut after = Vec::new();
                        for (acc, before) in body.program.accumulators.iter().zip(&before) {
                            let new = State {
                                value: values.of(acc.value).clone(),
                                index: acc.index.map(|v| values.of(v).clone()),
                            };
                            g.merge(acc.combine, before, &new).carried(&mut g, &mut after);
                        }
                        after
                    })
                };
                let g = e.group(width);
                let totals = states(&g, &folds, &totals);
                let mut results: Vec<Argument> =
                    totals.iter().map(|s| Argument::Lanes(g.result(s))).collect();
                results.extend(finish_params.iter().cloned());
                let axes = self.axes_of_finish(e, stage);
                let slots = e.slots(finish, &axes);
                run(e, finish, width, &slots, &results, &axes, lane);
                Vec::new()
            });
        }
    }

    /// The positions a finish sees: those of the row, and 0 along the reduce axes.
    fn axes_of_finish(&self, e: &mut Emitter, stage: &Stage) -> Vec<ir::Value> {
        let zero = e.int(0);
        let mut axes = self.positions.clone();
        axes.extend(std::iter::repeat_n(zero, stage.reduce.len()));
        axes
    }
}

fn states(
    g: &Group,
    folds: &[(crate::vector::Combine, Type)],
    carried: &[ir::Value],
) -> Vec<State> {
    let mut rest = carried;
    folds.iter().map(|&(combine, ty)| State::from_carried(g, combine, ty, &mut rest)).collect()
}

/// Emits `body` for one group of lanes.
fn run(
    e: &mut Emitter,
    body: &Body,
    width: u32,
    slots: &[SlotAt],
    params: &[Argument],
    axes: &[ir::Value],
    lane: ir::Value,
) -> body::Values {
    let scene = Scene { slots, params, axes, lane, fault: e.fault };
    body::emit(&mut e.group(width), &body.program, &scene)
}

/// Folds the lanes of a phase into the cells.
fn fold_phase(
    e: &mut Emitter,
    body: &Body,
    phase: &Phase,
    cells: &[Cell],
    slots: &[SlotAt],
    params: &[Argument],
    axes: &[ir::Value],
) {
    let width = phase.width;
    let merge = |e: &mut Emitter, lane: ir::Value, before: &[State]| -> Vec<State> {
        let values = run(e, body, width, slots, params, axes, lane);
        let mut g = e.group(width);
        let accumulators = body.program.accumulators.iter().zip(before);
        accumulators
            .map(|(acc, before)| {
                let new = State {
                    value: values.of(acc.value).clone(),
                    index: acc.index.map(|v| values.of(v).clone()),
                };
                g.merge(acc.combine, before, &new)
            })
            .collect()
    };
    let load = |e: &mut Emitter, lane: ir::Value| -> Vec<State> {
        cells.iter().map(|cell| cell.load(&mut e.group(width), lane)).collect()
    };
    let store = |e: &mut Emitter, lane: ir::Value, states: &[State]| {
        for (cell, state) in cells.iter().zip(states) {
            cell.store(&mut e.group(width), lane, state);
        }
    };
    in_phase(e, phase, &[], |e, lane, _| {
        let before = load(e, lane);
        let after = merge(e, lane, &before);
        store(e, lane, &after);
        Vec::new()
    });
}

/// The phases of `lanes` lanes: groups of `widest`, then of four, then single lanes. A task's
/// block of lanes begins at a multiple of every width.
fn phases(e: &mut Emitter, lanes: usize, widest: u32, block: Block) -> Vec<Phase> {
    let mut phases = Vec::new();
    let mut widths = vec![widest];
    widths.extend([4, 1].into_iter().filter(|&w| w < widest));
    let mut done = 0;
    let mut start = block.map(|(start, _)| start);
    for width in widths {
        let until = lanes - lanes % width as usize;
        if until == done {
            continue;
        }
        let (from, to) = match block {
            None => (e.int(done as i64), e.int(until as i64)),
            Some((_, end)) => {
                let to =
                    if width == 1 { end } else { e.b.ins().band_imm_s(end, -i64::from(width)) };
                (start.replace(to).expect("a block has a start"), to)
            }
        };
        phases.push(Phase {
            width,
            range: Range {
                start: from,
                end: to,
                step: i64::from(width),
                nonempty: block.is_none(),
            },
            once: block.is_none() && until - done == width as usize,
        });
        done = until;
    }
    phases
}

/// Runs `body` for each group of the phase, carrying `state`.
fn in_phase(
    e: &mut Emitter,
    phase: &Phase,
    state: &[ir::Value],
    body: impl FnOnce(&mut Emitter, ir::Value, &[ir::Value]) -> Vec<ir::Value>,
) -> Vec<ir::Value> {
    if phase.once {
        return body(e, phase.range.start, state);
    }
    e.repeat(phase.range, state, body)
}
