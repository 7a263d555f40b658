//! Joining work over the same rows: stages of one nest.
//!
//! The host is a nest whose rows are reduced across lanes, or mapped. The guest uses what a row of
//! the host makes (a maximum, a sum, the elements), or reads the elements it reads; it becomes one
//! more stage, in the same pass as the last one where it needs none of its results.

use super::Pair;
use super::join::{Joined, as_map, loads, relate, same, shared};
use super::respace::Respace;
use super::weave::{Part, Weave};
use crate::kernel::touch::stage_extents;
use crate::kernel::walk::{Strides, Walk, joins, points};
use crate::kernel::{Access, Body, BufferId, Fold, Kernel, Nest, RowValue, Split, Stage, Work};
use crate::vector::{Inst, Value};
use smallvec::SmallVec;

/// With fewer rows than this the joint nest cannot be shared out ...
const FEW_ROWS: usize = 8;
/// ... which does not matter below so many points.
const SERIAL: usize = 1 << 15;

/// The guest as further stages of the host.
pub fn join(pair: &Pair<'_>) -> Joined {
    let (Work::Nest(host), Work::Nest(guest)) = (&pair.host.work, &pair.guest.work) else {
        return None;
    };
    let [stage] = guest.stages.as_slice() else { return None };
    let of_rows = |s: &Stage| matches!(s.fold, Fold::None | Fold::AcrossLanes(_));
    if !host.stages.iter().all(of_rows)
        || !of_rows(stage)
        || as_map(pair.host).is_some() && as_map(pair.guest).is_some()
    {
        return None;
    }
    let all = points(&stage_extents(guest, stage));
    if points(&host.outer) < FEW_ROWS && all > SERIAL {
        return None;
    }
    let placed = place(host, guest, stage)?;
    let (mut nest, row_values) = with_row_values(host, stage, &placed)?;
    let why = attach(&mut nest, placed, &row_values)?;
    nest.split = Split::Never;
    let kernel = Kernel { work: Work::Nest(nest), ..pair.host.clone() };
    Some((kernel, why.to_owned()))
}

/// The guest's stage over the host's rows.
struct PlacedStage<'g> {
    inner: SmallVec<[usize; 4]>,
    body: Part<'g>,
    finish: Option<Part<'g>>,
}

/// Finds the host's rows among the guest's axes, by what the guest reads of what the host makes, or
/// by what both read.
fn place<'g>(host: &Nest, guest: &Nest, stage: &'g Stage) -> Option<PlacedStage<'g>> {
    let extents = stage_extents(guest, stage);
    let rows = host.outer.len();
    // By a result of a row: the guest's other axes are the row's own.
    for earlier in &host.stages {
        if let Fold::AcrossLanes(finish) = &earlier.fold {
            for (made, read) in shared(finish.stores(), loads(&stage.body)) {
                let of_rows = Access { strides: made.strides[..rows].into(), ..made.clone() };
                if let Some(respace) = relate(&extents, read, &host.outer, &of_rows)
                    && let Some(placed) = move_stage(host, guest, stage, &respace, None)
                {
                    return Some(placed);
                }
            }
        }
    }
    // By elements.
    for earlier in &host.stages {
        let target = stage_extents(host, earlier);
        let made = shared(earlier.body.stores(), loads(&stage.body));
        for (ours, read) in made.chain(shared(loads(&earlier.body), loads(&stage.body))) {
            if let Some(respace) = relate(&extents, read, &target, ours)
                && let Some(placed) = move_stage(host, guest, stage, &respace, Some(earlier))
            {
                return Some(placed);
            }
        }
    }
    None
}

/// The stage with its rows on the host's rows. Its inner axes are those of `like`, or the ones that
/// the correspondence leaves free.
fn move_stage<'g>(
    host: &Nest,
    guest: &Nest,
    stage: &'g Stage,
    respace: &Respace,
    like: Option<&Stage>,
) -> Option<PlacedStage<'g>> {
    let rows = host.outer.len();
    let folds = !matches!(stage.fold, Fold::None);
    for (source, target) in respace.lands() {
        let of_guest_row = source < guest.outer.len();
        let on_row = target.is_some_and(|t| t < rows);
        // A map may be cut anywhere; a reduction reduces exactly the inner axes of its rows.
        if folds && of_guest_row != on_row {
            return None;
        }
    }
    let mut inner: SmallVec<[usize; 4]> = match like {
        Some(like) => like.reduce.iter().copied().chain([like.lanes]).collect(),
        None => respace.free.iter().copied().collect(),
    };
    if like.is_some() && !respace.free.is_empty() || like.is_none() && inner.is_empty() {
        return None;
    }
    let moved = |walk: &Walk| {
        let (walk, free) = respace.walk(walk)?;
        let strides: Strides = walk.strides.iter().chain(&free).copied().collect();
        Some(Walk { offset: walk.offset, strides })
    };
    let mut parts: Vec<(&Body, Vec<Walk>, Vec<Option<Walk>>)> = Vec::new();
    let bodies = [Some(&stage.body), finish_of(stage)];
    for body in bodies.into_iter().flatten() {
        let walks: Option<Vec<Walk>> =
            body.slots.iter().map(|a| moved(&super::respace::walk_of(a))).collect();
        let mut positions = vec![None; respace.source_rank()];
        for inst in &body.program.insts {
            if let Inst::Index(axis) = *inst {
                let mut unit = Walk::still(respace.source_rank());
                unit.strides[axis as usize] = 1;
                positions[axis as usize] = Some(moved(&unit)?);
            }
        }
        parts.push((body, walks?, positions));
    }
    if like.is_none() {
        merge_inner(&mut inner, rows, &mut parts);
    }
    let mut parts = parts.into_iter().map(|(body, walks, positions)| {
        let accesses = body.slots.iter().zip(walks).map(|(access, walk)| Access {
            offset: walk.offset,
            strides: walk.strides,
            ..access.clone()
        });
        Part { body, accesses: accesses.collect(), positions }
    });
    let (body, finish) = (parts.next()?, parts.next());
    let near = |a: &Access| matches!(a.strides.last(), None | Some(0 | 1));
    let worse = stage.body.slots.iter().zip(&body.accesses).any(|(o, n)| near(o) && !near(n));
    let row_local = |a: &Access| a.strides[rows..].iter().all(|&s| s == 0);
    let finishes = finish.as_ref().is_none_or(|f| f.accesses.iter().all(row_local));
    (!worse && finishes).then_some(PlacedStage { inner, body, finish })
}

fn finish_of(stage: &Stage) -> Option<&Body> {
    match &stage.fold {
        Fold::None => None,
        Fold::AcrossLanes(finish) | Fold::PerLane(finish) => Some(finish),
    }
}

/// Makes inner axes that every walk crosses evenly one axis.
fn merge_inner(
    inner: &mut SmallVec<[usize; 4]>,
    rows: usize,
    parts: &mut [(&Body, Vec<Walk>, Vec<Option<Walk>>)],
) {
    let mut axis = 1;
    while axis < inner.len() {
        let extent = inner[axis];
        let at = rows + axis;
        let even = |w: &Walk| joins(w.strides[at - 1], w.strides[at], extent);
        let all = parts
            .iter()
            .all(|(_, walks, positions)| walks.iter().chain(positions.iter().flatten()).all(even));
        if !all {
            axis += 1;
            continue;
        }
        inner[axis] *= inner[axis - 1];
        inner.remove(axis - 1);
        for (_, walks, positions) in parts.iter_mut() {
            for walk in walks.iter_mut().chain(positions.iter_mut().flatten()) {
                walk.strides.remove(at - 1);
            }
        }
    }
}

/// The host with the results of rows that the guest reads handed on as row values. `None` where
/// the guest reads anything else the host makes at another place than the host makes it.
fn with_row_values(
    host: &Nest,
    stage: &Stage,
    placed: &PlacedStage<'_>,
) -> Option<(Nest, Vec<(BufferId, RowValue)>)> {
    let rows = host.outer.len();
    let mut nest = host.clone();
    let mut values: Vec<(BufferId, RowValue)> = Vec::new();
    let inner_extents: SmallVec<[usize; 6]> =
        host.outer.iter().chain(&placed.inner).copied().collect();
    let parts = [Some((&stage.body, &placed.body)), finish_of(stage).zip(placed.finish.as_ref())];
    for (body, part) in parts.into_iter().flatten() {
        for inst in &body.program.insts {
            let (slot, gathered) = match *inst {
                Inst::Load(slot) => (slot, false),
                Inst::Gather(slot, _) => (slot, true),
                _ => continue,
            };
            let access = &part.accesses[slot.0 as usize];
            for (number, earlier) in host.stages.iter().enumerate() {
                let extents = stage_extents(host, earlier);
                for made in earlier.body.stores().filter(|m| m.buffer == access.buffer) {
                    // Elements through memory: the same place in the row.
                    if gathered || extents != inner_extents || !same(made, access, &extents) {
                        return None;
                    }
                }
                let Some(finish) = finish_of(earlier) else { continue };
                for made in finish.stores().filter(|m| m.buffer == access.buffer) {
                    let still = access.strides[rows..].iter().all(|&s| s == 0);
                    let row =
                        |a: &Access| Access { strides: a.strides[..rows].into(), ..a.clone() };
                    if gathered || !still || !same(&row(made), &row(access), &host.outer) {
                        return None;
                    }
                    if values.iter().all(|(buffer, _)| *buffer != access.buffer) {
                        let value = hand_on(&mut nest, number, access.buffer);
                        shift(&mut values, value);
                        values.push((access.buffer, value));
                    }
                }
            }
        }
    }
    Some((nest, values))
}

/// The row value that the finish of a stage yields for what it stores to the buffer.
fn hand_on(nest: &mut Nest, stage: usize, buffer: BufferId) -> RowValue {
    let yields = |s: &Stage| finish_of(s).map_or(0, |f| f.program.yields.len());
    let before: usize = nest.stages[..stage].iter().map(yields).sum();
    let Fold::AcrossLanes(finish) = &mut nest.stages[stage].fold else {
        unreachable!("rows are finished across lanes");
    };
    let stored = finish.program.insts.iter().find_map(|inst| match *inst {
        Inst::Store(slot, value) if finish.slots[slot.0 as usize].buffer == buffer => {
            Some((value, finish.program.slots[slot.0 as usize].dtype))
        }
        _ => None,
    });
    let (value, dtype) = stored.expect("the finish stores to the buffer");
    // What a load would give: narrow elements are rounded or wrapped.
    let mut weave = Weave::default();
    let rank = finish.slots.first().map_or(0, |a| a.strides.len());
    let part = Part::unmoved(finish, rank);
    let params: Vec<Value> = finish.program.params.iter().map(|&t| weave.b.param(t)).collect();
    let values = weave.part(&part, &params);
    let loaded = weave.b.through(dtype, values[value.0 as usize]);
    for &v in &finish.program.yields {
        weave.b.yields(values[v.0 as usize]);
    }
    weave.b.yields(loaded);
    let own = finish.program.yields.len();
    let params = finish.params.clone();
    *finish = weave.finish(params);
    let new = RowValue((before + own) as u32);
    // The yields of later finishes have moved by one.
    let renumber = |body: &mut Body| {
        for value in body.params.iter_mut().filter(|v| **v >= new) {
            value.0 += 1;
        }
    };
    for later in &mut nest.stages[stage + 1..] {
        renumber(&mut later.body);
        if let Fold::AcrossLanes(finish) | Fold::PerLane(finish) = &mut later.fold {
            renumber(finish);
        }
    }
    new
}

/// Makes room among the values found so far for one that was inserted.
fn shift(values: &mut [(BufferId, RowValue)], inserted: RowValue) {
    for (_, value) in values.iter_mut().filter(|(_, v)| *v >= inserted) {
        value.0 += 1;
    }
}

/// Appends the stage, or joins it to the last one where it needs no result of that one and goes
/// over the same axes.
fn attach(
    nest: &mut Nest,
    placed: PlacedStage<'_>,
    values: &[(BufferId, RowValue)],
) -> Option<&'static str> {
    let (lanes, reduce) = placed.inner.split_last()?;
    let last = nest.stages.last().expect("a nest has stages");
    let yields = |s: &Stage| finish_of(s).map_or(0, |f| f.program.yields.len());
    let before: usize = nest.stages[..nest.stages.len() - 1].iter().map(yields).sum();
    let waits = values.iter().any(|(_, RowValue(v))| *v as usize >= before);
    let same_axes = last.lanes == *lanes && last.reduce.as_slice() == reduce;
    if same_axes && !waits {
        let first = Part::unmoved(&last.body, nest.outer.len() + placed.inner.len());
        let body = weave(&[&first, &placed.body], values, 0);
        let fold = match (&last.fold, &placed.finish) {
            (Fold::None, None) => Fold::None,
            (fold, finish) => {
                let old = match fold {
                    Fold::AcrossLanes(old) => {
                        Some(Part::unmoved(old, nest.outer.len() + placed.inner.len()))
                    }
                    Fold::None | Fold::PerLane(_) => None,
                };
                let parts: Vec<&Part<'_>> = old.iter().chain(finish.as_ref()).collect();
                let folds = body.program.accumulators.len();
                Fold::AcrossLanes(weave(&parts, values, folds))
            }
        };
        let last = nest.stages.last_mut().expect("a nest has stages");
        last.body = body;
        last.fold = fold;
        return Some("both go over the same rows, in one pass");
    }
    let body = weave(&[&placed.body], values, 0);
    let fold = match &placed.finish {
        None => Fold::None,
        Some(finish) => {
            let folds = body.program.accumulators.len();
            Fold::AcrossLanes(weave(&[finish], values, folds))
        }
    };
    let (reduce, lanes) = (reduce.iter().copied().collect(), *lanes);
    nest.stages.push(Stage { reduce, lanes, body, fold });
    Some("both go over the same rows: a row stays in the cache, its results in registers")
}

/// Parts as one body. `folds` is the number of accumulators whose results are the first parameters;
/// the parts take them in turn. Loads of the buffers in `values` become row values.
fn weave(parts: &[&Part<'_>], values: &[(BufferId, RowValue)], folds: usize) -> Body {
    let mut weave = Weave::default();
    // Parameters are declared first: the folds of all parts, then the row values of all.
    let of_folds = |part: &Part<'_>| {
        if folds == 0 { 0 } else { part.body.program.params.len() - part.body.params.len() }
    };
    let mut fold_params: Vec<Vec<Value>> = Vec::new();
    for part in parts {
        let types = part.body.program.params[..of_folds(part)].iter();
        fold_params.push(types.map(|&ty| weave.b.param(ty)).collect());
    }
    let mut row_values: Vec<RowValue> = Vec::new();
    let mut row_params: Vec<Vec<Value>> = Vec::new();
    for part in parts {
        let types = &part.body.program.params[of_folds(part)..];
        let mut params = Vec::new();
        for (&ty, &value) in types.iter().zip(&part.body.params) {
            row_values.push(value);
            params.push(weave.b.param(ty));
        }
        row_params.push(params);
    }
    for &(buffer, value) in values {
        let load = parts.iter().find_map(|part| {
            let slots = part.accesses.iter().zip(&part.body.program.slots);
            let loaded = loads(part.body).any(|a| a.buffer == buffer);
            slots.filter(|_| loaded).find(|(a, _)| a.buffer == buffer).map(|(_, decl)| decl.dtype)
        });
        if let Some(dtype) = load {
            let param = weave.b.param(crate::vector::Type::of(dtype));
            row_values.push(value);
            weave.replace_loads(buffer, param);
        }
    }
    for ((part, folded), of_row) in parts.iter().zip(fold_params).zip(row_params) {
        let params: Vec<Value> = folded.into_iter().chain(of_row).collect();
        let made = weave.part(part, &params);
        let value = |v: Value| made[v.0 as usize];
        let program = &part.body.program;
        for acc in &program.accumulators {
            weave.b.accumulate(acc.combine, value(acc.value), acc.index.map(value));
        }
        for &v in &program.yields {
            weave.b.yields(value(v));
        }
    }
    weave.finish(row_values)
}
