//! The verifier: every invariant that code generation relies on, proved from extents.
//!
//! It knows nothing of how programs are made. Accesses are in bounds for every point of their
//! loops; tasks that may run at once write different elements; buffers are written before they
//! are read; row buffers stay within a row; buffers that share memory are not alive together.

/// Fails with a message unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $($message:tt)*) => {
        if !$condition {
            return Err(format!($($message)*));
        }
    };
}

mod memory;

use super::touch::{
    Site, Touch, call_buffers, finish_extents, same_elements, stage_extents, touches,
};
use super::walk::{alike, apart, injective, points, range};
use super::{
    Access, Body, Buffer, BufferId, Call, Fold, Kernel, LANE_BLOCK, Nest, Operand, Place, Product,
    Program, Repeat, RowValue, Split, Spread, Work,
};
use crate::vector::{self, Inst, Stride, Type};
use std::fmt;
use tensc_runtime::DType;
use tensc_runtime::along::Around;

/// A broken rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The kernel, by position and name; `None` for what concerns the whole program.
    pub kernel: Option<(usize, String)>,
    /// One sentence without a full stop.
    pub rule: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kernel {
            Some((at, name)) => write!(f, "kernel {at} ({name}): {}", self.rule),
            None => f.write_str(&self.rule),
        }
    }
}

impl std::error::Error for Violation {}

/// Checks the program; its plan too, if it has one.
///
/// # Errors
/// The first broken rule.
pub fn verify(program: &Program) -> Result<(), Violation> {
    let whole = |rule| Violation { kernel: None, rule };
    buffers(program).map_err(whole)?;
    for (at, kernel) in program.kernels.iter().enumerate() {
        let here = |rule| Violation { kernel: Some((at, kernel.name.clone())), rule };
        let check = match &kernel.work {
            Work::Nest(nest) => check_nest(program, kernel, nest),
            Work::Product(product) => check_product(program, kernel, product),
            Work::Call(call) => check_call(program, call),
            Work::Repeat(repeat) => check_repeat(program, repeat),
        };
        check.map_err(here)?;
    }
    order(program)?;
    if !program.plan.offsets.is_empty() {
        memory::check_plan(program).map_err(whole)?;
    }
    Ok(())
}

fn declared(program: &Program, buffer: BufferId) -> Result<&Buffer, String> {
    let declared = program.buffers.get(buffer.0 as usize);
    declared.ok_or_else(|| format!("there is no buffer b{}", buffer.0))
}

/// Inputs and outputs are what the lists say, and constants have their elements.
fn buffers(program: &Program) -> Result<(), String> {
    for (list, what) in [(&program.inputs, "input"), (&program.outputs, "output")] {
        for (number, &buffer) in list.iter().enumerate() {
            let number = number as u32;
            let fits = match declared(program, buffer)?.place {
                Place::Input(n) => what == "input" && n == number,
                Place::Output(n) => what == "output" && n == number,
                Place::Arena | Place::Row | Place::Constant(_) => false,
            };
            ensure!(fits, "b{} is not {what} {number}", buffer.0);
        }
    }
    for (id, buffer) in program.buffers.iter().enumerate() {
        let listed = match &buffer.place {
            Place::Input(n) => program.inputs.get(*n as usize),
            Place::Output(n) => program.outputs.get(*n as usize),
            Place::Constant(tensor) => {
                let fits = tensor.dtype() == buffer.dtype && tensor.len() == buffer.elements;
                ensure!(fits, "constant b{id} is not of its type");
                continue;
            }
            Place::Arena | Place::Row => continue,
        };
        ensure!(listed == Some(&BufferId(id as u32)), "b{id} is not in the list of its place");
    }
    Ok(())
}

fn check_nest(program: &Program, kernel: &Kernel, nest: &Nest) -> Result<(), String> {
    ensure!(!nest.stages.is_empty(), "a nest without stages");
    let mut row_types: Vec<Type> = Vec::new();
    for (number, stage) in nest.stages.iter().enumerate() {
        let extents = stage_extents(nest, stage);
        ensure!(!extents.contains(&0), "stage {number} has an empty axis");
        let folds = !stage.body.program.accumulators.is_empty();
        ensure!(folds != matches!(stage.fold, Fold::None), "stage {number} folds in two minds");
        let params = row_params(&stage.body, &row_types)?;
        check_body(program, &stage.body, &extents, &params, Some(extents.len() - 1))?;
        ensure!(stage.body.program.yields.is_empty(), "the body of stage {number} yields");
        match &stage.fold {
            Fold::None => {}
            Fold::PerLane(finish) => {
                let stores = stage.body.stores().next().is_some();
                ensure!(!stores, "stage {number} folds per lane and stores");
                let params = finish_params(&stage.body, finish, &row_types)?;
                let extents = finish_extents(nest, stage);
                check_body(program, finish, &extents, &params, Some(extents.len() - 1))?;
                ensure!(finish.program.yields.is_empty(), "a finish per lane yields");
            }
            Fold::AcrossLanes(finish) => {
                let params = finish_params(&stage.body, finish, &row_types)?;
                check_body(program, finish, &finish_extents(nest, stage), &params, None)?;
                let types = vector::verify::types(&finish.program).map_err(|v| v.to_string())?;
                let yields = finish.program.yields.iter();
                row_types.extend(yields.map(|v| types[v.0 as usize].expect("yields have types")));
            }
        }
        let rows = nest.outer.len();
        let inner = stage.body.slots.iter().chain(match &stage.fold {
            Fold::None => &[][..],
            Fold::AcrossLanes(finish) | Fold::PerLane(finish) => &finish.slots[..],
        });
        for access in inner {
            if matches!(declared(program, access.buffer)?.place, Place::Row) {
                let still = access.strides[..rows].iter().all(|&s| s == 0);
                ensure!(still, "row buffer b{} moves with the rows", access.buffer.0);
                ensure!(nest.split != Split::Lanes, "a nest split over lanes has a row buffer");
            }
        }
    }
    if nest.split == Split::Lanes {
        let [stage] = nest.stages.as_slice() else {
            return Err("a nest of several stages is split over lanes".to_owned());
        };
        let across = matches!(stage.fold, Fold::AcrossLanes(_));
        ensure!(!across, "a nest that folds across lanes is split over them");
        ensure!(stage.lanes > LANE_BLOCK, "there is only one block of lanes to split");
    }
    check_stores(program, kernel)
}

/// What a nest or an epilogue stores: no element twice; what it reads again is of its own row.
fn check_stores(program: &Program, kernel: &Kernel) -> Result<(), String> {
    let touches = touches(kernel);
    for (i, write) in touches.iter().enumerate().filter(|(_, t)| t.writes) {
        let buffer = write.buffer.0;
        let access = write.access.expect("nests and products walk");
        let row = matches!(program.buffers[buffer as usize].place, Place::Row);
        if row {
            // Rows follow one another in a row buffer; within a row, elements are apart.
            let rows = match &kernel.work {
                Work::Nest(nest) => nest.outer.len(),
                Work::Product(_) | Work::Call(_) | Work::Repeat(_) => 0,
            };
            let apart = injective(&access.strides[rows..], &write.extents[rows..]);
            ensure!(apart, "b{buffer} is written twice in a row");
        } else {
            let apart = injective(&access.strides, &write.extents);
            ensure!(apart, "points may store to one element of b{buffer}");
        }
        for (j, other) in touches.iter().enumerate() {
            if i == j || other.buffer != write.buffer {
                continue;
            }
            if other.writes {
                ensure!(are_apart(write, other), "b{buffer} is stored to in two places");
                continue;
            }
            ensure!(other.site > write.site, "b{buffer} is read before it is written");
            let in_step = row && within(other, write)
                || same_elements(other, write) && later_stage(other.site, write.site);
            ensure!(in_step, "b{buffer} is read where another row may write it");
        }
    }
    Ok(())
}

/// Whether all that is read of a row buffer was written, judging by the ranges: writes of row
/// buffers are injective, so that a write of as many points as the range is long leaves no gap.
fn within(read: &Touch<'_>, write: &Touch<'_>) -> bool {
    let bounds = |t: &Touch<'_>| t.access.and_then(|a| range(a.offset, &a.strides, &t.extents));
    let (Some(r), Some(w)) = (bounds(read), bounds(write)) else { return false };
    let moving = write.access.into_iter().flat_map(|a| a.strides.iter().zip(&write.extents));
    let written: usize = moving.filter(|(s, _)| **s != 0).map(|(_, e)| *e).product();
    let dense = written as i128 == w.1 - w.0 + 1;
    dense && r.0 >= w.0 && r.1 <= w.1 && later_stage(read.site, write.site)
}

fn later_stage(a: Site, b: Site) -> bool {
    let stage = |site: Site| match site {
        Site::Body(stage, _) => Some((stage, 0)),
        Site::Finish(stage, _) => Some((stage, 1)),
        Site::Operand | Site::Epilogue(_) => None,
    };
    matches!((stage(a), stage(b)), (Some(a), Some(b)) if a > b)
}

/// The types of a body's parameters, given those of the row values so far.
fn row_params(body: &Body, row_types: &[Type]) -> Result<Vec<Type>, String> {
    let of = |&RowValue(v): &RowValue| {
        let ty = row_types.get(v as usize).copied();
        ty.ok_or_else(|| format!("row value {v} is used before it is made"))
    };
    body.params.iter().map(of).collect()
}

/// The types of a finish's parameters: the accumulators' results, then row values.
fn finish_params(body: &Body, finish: &Body, row_types: &[Type]) -> Result<Vec<Type>, String> {
    let types = vector::verify::types(&body.program).map_err(|v| v.to_string())?;
    let folds = body.program.accumulators.iter().map(|acc| match acc.index {
        Some(_) => Type::I64,
        None => types[acc.value.0 as usize].expect("accumulators fold values"),
    });
    let folds: Vec<Type> = folds.collect();
    Ok(folds.into_iter().chain(row_params(finish, row_types)?).collect())
}

/// A body on its own: its program, the types of its parameters, and every slot in bounds. `lane` is
/// the axis of the lanes, where the body runs for more than one.
fn check_body(
    program: &Program,
    body: &Body,
    extents: &[usize],
    params: &[Type],
    lane: Option<usize>,
) -> Result<(), String> {
    let vector = &body.program;
    vector::verify(vector).map_err(|v| v.to_string())?;
    ensure!(vector.params == params, "parameters are {params:?}, declared {:?}", vector.params);
    ensure!(vector.slots.len() == body.slots.len(), "an access for each slot");
    for (number, (decl, access)) in vector.slots.iter().zip(&body.slots).enumerate() {
        let buffer = declared(program, access.buffer)?;
        ensure!(decl.dtype == buffer.dtype, "slot s{number} and b{} differ", access.buffer.0);
        in_bounds(program, access, extents)?;
        let stride = match lane {
            Some(lane) if extents[lane] > 1 => access.strides[lane],
            _ => continue,
        };
        let fits = match decl.stride {
            Stride::Splat => stride == 0,
            Stride::Unit => stride == 1,
            Stride::Far => true,
        };
        ensure!(fits, "slot s{number} moves by {stride} elements a lane");
    }
    let mut stored = vec![false; body.slots.len()];
    for inst in &vector.insts {
        match *inst {
            Inst::Gather(slot, index) => {
                let Some((_, valid)) = body.slots[slot.0 as usize].gather else {
                    return Err(format!("slot s{} is gathered from without a stride", slot.0));
                };
                let checked = match vector.insts[index.0 as usize] {
                    Inst::CheckIndex { bound, .. } => bound <= valid as u64,
                    _ => false,
                };
                ensure!(checked, "slot s{} is gathered from past what was checked", slot.0);
            }
            Inst::CheckIndex { site, .. } => {
                ensure!((site as usize) < program.sites.len(), "there is no site {site}");
            }
            Inst::Index(axis) => {
                ensure!((axis as usize) < extents.len(), "there is no axis {axis}");
            }
            Inst::Store(slot, _) => {
                let access = &body.slots[slot.0 as usize];
                let place = &declared(program, access.buffer)?.place;
                let writable = !matches!(place, Place::Input(_) | Place::Constant(_));
                ensure!(writable, "b{} is read only", access.buffer.0);
                ensure!(access.gather.is_none(), "slot s{} is gathered and stored", slot.0);
                ensure!(!stored[slot.0 as usize], "slot s{} is stored to twice", slot.0);
                stored[slot.0 as usize] = true;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Every point, with every valid index where the slot is gathered from, is an element.
fn in_bounds(program: &Program, access: &Access, extents: &[usize]) -> Result<(), String> {
    let buffer = access.buffer.0;
    ensure!(access.strides.len() == extents.len(), "b{buffer}: a stride for each axis");
    let (mut strides, mut extents) = (access.strides.to_vec(), extents.to_vec());
    if let Some((stride, valid)) = access.gather {
        strides.push(stride);
        extents.push(valid);
    }
    let elements = declared(program, access.buffer)?.elements;
    let Some((low, high)) = range(access.offset, &strides, &extents) else { return Ok(()) };
    let fits = low >= 0 && high < elements as i128;
    ensure!(fits, "b{buffer}: elements {low}..={high} of {elements}");
    Ok(())
}

fn check_product(program: &Program, kernel: &Kernel, product: &Product) -> Result<(), String> {
    let float = matches!(product.dtype, DType::F32 | DType::F64);
    ensure!(float, "a product of {}", product.dtype);
    let sizes = [[product.m, product.k], [product.k, product.n]];
    for ((operand, extents), sizes) in super::touch::operands(product).into_iter().zip(sizes) {
        ensure!(!extents.contains(&0), "a product with an empty axis");
        if let Operand::Spread(Spread { axes, .. }) = operand {
            let whole = axes.iter().zip(sizes).all(|(axes, size)| points(axes) == size);
            ensure!(whole, "an operand is spread over axes of another size");
        }
        match operand {
            Operand::Stored(access) | Operand::Spread(Spread { access, .. }) => {
                ensure!(access.gather.is_none(), "a product does not gather operands");
                let buffer = declared(program, access.buffer)?;
                ensure!(buffer.dtype == product.dtype, "b{} is {}", access.buffer.0, buffer.dtype);
                in_bounds(program, access, &extents)?;
            }
            Operand::Made(prologue) => {
                check_prologue(program, &prologue.body, &extents, product.dtype)?;
            }
        }
    }
    let extents = super::touch::epilogue_extents(product);
    let lane = extents.len() - 1;
    let types = [Type::of(product.dtype)];
    check_body(program, &product.epilogue, &extents, &types, Some(lane))?;
    ensure!(product.epilogue.params.is_empty(), "a product has no row values");
    let plain = &product.epilogue.program;
    ensure!(plain.accumulators.is_empty() && plain.yields.is_empty(), "an epilogue that folds");
    for access in product.reads().chain(&product.epilogue.slots) {
        let row = matches!(declared(program, access.buffer)?.place, Place::Row);
        ensure!(!row, "a product uses row buffer b{}", access.buffer.0);
    }
    let stored = touches(kernel);
    let spoils = |t: &Touch<'_>| t.writes && product.reads().any(|a| a.buffer == t.buffer);
    ensure!(!stored.iter().any(spoils), "a product writes over its operand");
    check_stores(program, kernel)
}

/// A body that does nothing but make an element: panels are packed in any order and several times.
fn check_prologue(
    program: &Program,
    body: &Body,
    extents: &[usize],
    dtype: DType,
) -> Result<(), String> {
    check_body(program, body, extents, &[], Some(extents.len() - 1))?;
    let vector = &body.program;
    let simple =
        |inst: &Inst| !matches!(inst, Inst::Store(..) | Inst::Index(_) | Inst::CheckIndex { .. });
    ensure!(vector.insts.iter().all(simple), "a prologue stores, or asks where it is");
    ensure!(body.params.is_empty() && vector.accumulators.is_empty(), "a prologue that folds");
    let types = vector::verify::types(vector).map_err(|v| v.to_string())?;
    let one = match vector.yields[..] {
        [value] => types[value.0 as usize] == Some(Type::of(dtype)),
        _ => false,
    };
    ensure!(one, "a prologue yields one element of {dtype}");
    Ok(())
}

fn check_call(program: &Program, call: &Call) -> Result<(), String> {
    let (reads, out) = call_buffers(call);
    let buffer = |b: BufferId| declared(program, b);
    for &b in reads.iter().chain([&out]) {
        ensure!(!matches!(buffer(b)?.place, Place::Row), "a call uses row buffer b{}", b.0);
    }
    let writable = !matches!(buffer(out)?.place, Place::Input(_) | Place::Constant(_));
    ensure!(writable && !reads.contains(&out), "b{} cannot be written", out.0);
    let keys = |b: BufferId| {
        let keys = buffer(b)?;
        ensure!(keys.dtype == DType::I64 && keys.elements > 0, "keys are i64");
        Ok::<usize, String>(keys.elements)
    };
    match *call {
        Call::Random { key, out, .. } => {
            let whole = buffer(out)?.elements.is_multiple_of(keys(key)?);
            ensure!(whole, "each key has as many draws");
        }
        Call::FoldKey { key, data, out } => {
            let same = keys(key)? == keys(data)? && keys(key)? == keys(out)?;
            ensure!(same, "as many keys as numbers");
        }
        Call::ScatterAdd { operand, index, updates, out, outer, bound, inner } => {
            let positions = buffer(index)?.elements;
            ensure!(buffer(index)?.dtype == DType::I64, "indices are i64");
            let whole = points(&[outer, bound, inner]);
            let (out, added) = (buffer(out)?, buffer(updates)?);
            let sizes = out.elements == whole
                && added.elements == points(&[outer, positions, inner])
                && added.dtype == out.dtype;
            ensure!(sizes, "scatter_add of b{} to {} elements", updates.0, out.elements);
            if let Some(operand) = operand {
                let start = buffer(operand)?;
                let fits = start.elements == whole && start.dtype == out.dtype;
                ensure!(fits, "scatter_add to b{}", operand.0);
            }
            ensure!(checked(program, index, bound), "b{} holds indices unchecked", index.0);
        }
        Call::Running { operand, out, around, .. } => {
            along(buffer(operand)?, buffer(out)?, around)?;
            ensure!(buffer(out)?.dtype == buffer(operand)?.dtype, "a running result of its type");
        }
        Call::Linear { op, matrix, right, out, sizes: [n, m] } => {
            let (matrices, result) = (buffer(matrix)?, buffer(out)?);
            // Matrices without elements are told by their results, if those have any.
            let batch = match (n, op.elements(n, m)) {
                (0, 0) => 0,
                (0, each) => result.elements / each,
                (n, _) => matrices.elements / (n * n),
            };
            let whole = matrices.elements == batch * n * n
                && result.elements == batch * op.elements(n, m)
                && matrices.dtype == result.dtype
                && result.dtype.is_float();
            ensure!(whole && right.is_some() == op.solves(), "{} of whole matrices", op.name());
            if let Some(right) = right {
                let right = buffer(right)?;
                let fits = right.elements == batch * n * m && right.dtype == result.dtype;
                ensure!(fits, "right-hand sides for each matrix");
            }
        }
        Call::Recur { factor, operand, out, around } => {
            along(buffer(factor)?, buffer(out)?, around)?;
            along(buffer(operand)?, buffer(out)?, around)?;
            let dtype = buffer(out)?.dtype;
            let same =
                [factor, operand].into_iter().all(|b| buffer(b).is_ok_and(|b| b.dtype == dtype));
            ensure!(same && dtype.is_float(), "a recurrence of floats of one type");
        }
        Call::Argsort { operand, out, first, around, .. } => {
            along(buffer(operand)?, buffer(out)?, around)?;
            ensure!(first <= around.n, "no more positions than elements");
            ensure!(buffer(out)?.dtype == DType::I64, "positions are i64");
        }
    }
    Ok(())
}

/// The step is right, and what it is repeated on has the sizes and types of its inputs and outputs.
fn check_repeat(program: &Program, repeat: &Repeat) -> Result<(), String> {
    let Repeat { count, step, states, slices, whole, elements, .. } = repeat;
    verify(step).map_err(|violation| format!("in a step, {violation}"))?;
    ensure!(*count > 0, "no step");
    let inputs = states.len() + slices.len() + whole.len();
    let outputs = states.len() + elements.len();
    let fits = step.inputs.len() == inputs && step.outputs.len() == outputs;
    ensure!(fits, "the step has other inputs or outputs");
    let same = |outer: BufferId, inner: BufferId, times: usize| {
        let (outer, inner) = (declared(program, outer)?, declared(step, inner)?);
        let fits = outer.dtype == inner.dtype && outer.elements == times * inner.elements;
        ensure!(fits, "{} is not of the size of the step's {}", outer.name, inner.name);
        ensure!(!matches!(outer.place, Place::Row), "a step uses a row buffer");
        Ok(())
    };
    for (number, state) in states.iter().enumerate() {
        same(state.first, step.inputs[number], 1)?;
        same(state.last, step.outputs[number], 1)?;
        if !program.plan.offsets.is_empty() && !repeat.in_place(number) {
            same(state.spare, step.outputs[number], 1)?;
        }
    }
    let inner = &step.inputs[states.len()..];
    let times = slices.iter().map(|s| (s, *count)).chain(whole.iter().map(|w| (w, 1)));
    for ((&outer, times), &inner) in times.zip(inner) {
        same(outer, inner, times)?;
    }
    for (&outer, &inner) in elements.iter().zip(&step.outputs[states.len()..]) {
        same(outer, inner, *count)?;
    }
    if let Some(gate) = repeat.gate {
        let gate = declared(program, gate)?;
        ensure!(gate.dtype == DType::Bool && gate.elements == 1, "a gate is one bool");
    }
    if let Some(until) = repeat.until {
        ensure!(until < states.len() && elements.is_empty(), "no state ends these steps");
        let flag = declared(program, states[until].last)?;
        ensure!(flag.dtype == DType::Bool && flag.elements == 1, "what ends steps is one bool");
    }
    let arena = declared(program, repeat.arena)?;
    ensure!(arena.elements * arena.dtype.size() >= step.plan.bytes, "too little memory for a step");
    let mut written: Vec<BufferId> = Vec::new();
    for buffer in repeat.results().chain(repeat.scratch()) {
        let place = &declared(program, buffer)?.place;
        let writable = !matches!(place, Place::Input(_) | Place::Constant(_));
        let apart = !written.contains(&buffer) && repeat.reads().all(|b| b != buffer);
        ensure!(writable && apart, "b{} cannot be written", buffer.0);
        written.push(buffer);
    }
    Ok(())
}

/// Both are whole around the axis.
fn along(operand: &Buffer, out: &Buffer, around: Around) -> Result<(), String> {
    let whole = points(&[around.outer, around.n, around.inner]);
    ensure!(operand.elements == whole && out.elements == whole, "{whole} elements along an axis");
    Ok(())
}

/// Whether something is stored to the buffer, and all that ever is was checked against at most this
/// bound. What is called or repeated checks nothing.
fn checked(program: &Program, index: BufferId, bound: usize) -> bool {
    let is_check =
        |inst: &Inst| matches!(inst, Inst::CheckIndex { bound: b, .. } if *b <= bound as u64);
    let mut stored = 0;
    for kernel in &program.kernels {
        let writes = touches(kernel).iter().any(|t| t.writes && t.buffer == index);
        if writes && matches!(kernel.work, Work::Call(_) | Work::Repeat(_)) {
            return false;
        }
        for body in kernel.work.bodies() {
            let insts = &body.program.insts;
            for inst in insts {
                if let Inst::Store(slot, value) = *inst
                    && body.slots[slot.0 as usize].buffer == index
                {
                    if !is_check(&insts[value.0 as usize]) {
                        return false;
                    }
                    stored += 1;
                }
            }
        }
    }
    let place = &program.buffers[index.0 as usize].place;
    stored > 0 && matches!(place, Place::Arena | Place::Output(_))
}

fn are_apart(a: &Touch<'_>, b: &Touch<'_>) -> bool {
    let (Some(x), Some(y)) = (a.access, b.access) else { return false };
    apart((x.offset, &x.strides, &a.extents), (y.offset, &y.strides, &b.extents))
}

fn are_alike(a: &Touch<'_>, b: &Touch<'_>) -> bool {
    let (Some(x), Some(y)) = (a.access, b.access) else { return false };
    alike((x.offset, &x.strides, &a.extents), (y.offset, &y.strides, &b.extents))
}

/// Every buffer is written before it is read: all of it, or a part that is what is read. Parts of a
/// buffer are counted: those of one kernel are apart from each other, and one of a later kernel
/// counts where it is apart from those before.
fn order(program: &Program) -> Result<(), Violation> {
    let mut written: Vec<usize> = vec![0; program.buffers.len()];
    let mut parts: Vec<Vec<Touch<'_>>> = vec![Vec::new(); program.buffers.len()];
    for (at, kernel) in program.kernels.iter().enumerate() {
        let fail = |rule| Err(Violation { kernel: Some((at, kernel.name.clone())), rule });
        let touches = touches(kernel);
        for read in touches.iter().filter(|t| !t.writes) {
            let buffer = read.buffer.0 as usize;
            let declared = &program.buffers[buffer];
            let own = touches.iter().any(|t| t.writes && t.buffer == read.buffer);
            let ready = match declared.place {
                Place::Input(_) | Place::Constant(_) => true,
                Place::Row => own,
                Place::Arena | Place::Output(_) => {
                    let whole = written[buffer] >= declared.elements;
                    own || whole || parts[buffer].iter().any(|part| are_alike(part, read))
                }
            };
            if !ready {
                return fail(format!("b{buffer} is read before it is written"));
            }
        }
        for write in touches.into_iter().filter(|t| t.writes) {
            let buffer = write.buffer.0 as usize;
            let elements = program.buffers[buffer].elements;
            let part = write.access.map_or(elements, |_| points(&write.extents));
            if part >= elements {
                written[buffer] = elements;
            } else if parts[buffer].iter().all(|other| are_apart(other, &write)) {
                written[buffer] += part;
                parts[buffer].push(write);
            }
        }
    }
    for &output in &program.outputs {
        let buffer = output.0 as usize;
        if written[buffer] < program.buffers[buffer].elements {
            let rule = format!("output b{buffer} is not written in full");
            return Err(Violation { kernel: None, rule });
        }
    }
    Ok(())
}
