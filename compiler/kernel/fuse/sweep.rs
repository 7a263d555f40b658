//! What fusion leaves behind: stores that nobody reads, buffers that one row needs, buffers that
//! nothing touches.

use super::join::{loads, same};
use super::weave::{Part, Weave};
use crate::kernel::touch::{call_buffers, stage_extents, touches};
use crate::kernel::walk::{dense_strides, points};
use crate::kernel::{
    Access, Body, BufferId, Call, Fold, Kernel, Nest, Operand, Place, Program, Repeat, Split,
    Spread, Work,
};
use crate::vector::Value;
use rustc_hash::FxHashSet;

/// A row buffer is at most this long: several fit the first-level cache beside what a row reads.
const ROW_BYTES: usize = 16 << 10;

/// Cleans a program up.
pub fn sweep(program: &mut Program) {
    while drop_unread(program) {}
    shorten_to_rows(program);
    drop_buffers(program);
}

/// Drops stores to arena buffers that no kernel reads, and kernels that then do nothing. True where
/// something was dropped.
fn drop_unread(program: &mut Program) -> bool {
    let mut read: FxHashSet<BufferId> = FxHashSet::default();
    for kernel in &program.kernels {
        read.extend(touches(kernel).iter().filter(|t| !t.writes).map(|t| t.buffer));
    }
    let unread: FxHashSet<BufferId> = (0..program.buffers.len() as u32)
        .map(BufferId)
        .filter(|b| matches!(program.buffers[b.0 as usize].place, Place::Arena))
        .filter(|b| !read.contains(b))
        .collect();
    let mut dropped = false;
    let mut kept = Vec::with_capacity(program.kernels.len());
    for mut kernel in std::mem::take(&mut program.kernels) {
        let stored = touches(&kernel).iter().any(|t| t.writes && unread.contains(&t.buffer));
        // A loop goes on for the results that are read.
        let read = |repeat: &Repeat| repeat.results().any(|b| !unread.contains(&b));
        if !stored || matches!(&kernel.work, Work::Repeat(repeat) if read(repeat)) {
            kept.push(kernel);
            continue;
        }
        dropped = true;
        let mut left = false;
        for_bodies(&mut kernel, |body, rank| {
            if body.stores().any(|a| unread.contains(&a.buffer)) {
                *body = without_stores(body, rank, &unread);
            }
            left |= body.stores().next().is_some();
        });
        if left {
            kept.push(kernel);
        }
    }
    program.kernels = kept;
    dropped
}

/// Calls `f` on every body of a kernel, with the number of its axes.
fn for_bodies(kernel: &mut Kernel, mut f: impl FnMut(&mut Body, usize)) {
    match &mut kernel.work {
        Work::Product(product) => {
            let rank = product.batch.len() + 2;
            for operand in product.operands_mut() {
                if let Operand::Made(prologue) = operand {
                    f(&mut prologue.body, rank);
                }
            }
            f(&mut product.epilogue, rank);
        }
        Work::Nest(nest) => {
            for stage in &mut nest.stages {
                let rank = nest.outer.len() + stage.reduce.len() + 1;
                f(&mut stage.body, rank);
                match &mut stage.fold {
                    Fold::None => {}
                    Fold::AcrossLanes(finish) | Fold::PerLane(finish) => f(finish, rank),
                }
            }
        }
        Work::Call(_) | Work::Repeat(_) => {}
    }
}

fn without_stores(body: &Body, rank: usize, unread: &FxHashSet<BufferId>) -> Body {
    let mut weave = Weave::default();
    let program = &body.program;
    let params: Vec<Value> = program.params.iter().map(|&ty| weave.b.param(ty)).collect();
    let values = weave.part(&Part::unmoved(body, rank), &params);
    weave.drop_stores(|b| unread.contains(&b));
    let value = |v: Value| values[v.0 as usize];
    for acc in &program.accumulators {
        weave.b.accumulate(acc.combine, value(acc.value), acc.index.map(value));
    }
    for &v in &program.yields {
        weave.b.yields(value(v));
    }
    weave.finish(body.params.clone())
}

/// Arena buffers that only one nest touches, row by row, become row buffers.
fn shorten_to_rows(program: &mut Program) {
    let mut users: Vec<Vec<usize>> = vec![Vec::new(); program.buffers.len()];
    for (at, kernel) in program.kernels.iter().enumerate() {
        for touch in touches(kernel) {
            let users = &mut users[touch.buffer.0 as usize];
            if users.last() != Some(&at) {
                users.push(at);
            }
        }
    }
    for (number, users) in users.iter().enumerate() {
        let &[only] = users.as_slice() else { continue };
        let buffer = BufferId(number as u32);
        if !matches!(program.buffers[number].place, Place::Arena) {
            continue;
        }
        let size = program.buffers[number].dtype.size();
        if let Work::Nest(nest) = &mut program.kernels[only].work
            && let Some(elements) = shorten(nest, buffer, size)
        {
            program.buffers[number].place = Place::Row;
            program.buffers[number].elements = elements;
        }
    }
}

/// Rewrites the accesses of a nest to a buffer of one row; gives the row's elements. `None` where
/// the buffer is not written and read at the same places of bodies over the same axes.
fn shorten(nest: &mut Nest, buffer: BufferId, size: usize) -> Option<usize> {
    if nest.split == Split::Lanes {
        return None;
    }
    let rows = nest.outer.len();
    let mut first: Option<(Access, Vec<usize>)> = None;
    for stage in &nest.stages {
        let extents = stage_extents(nest, stage).to_vec();
        if let Fold::AcrossLanes(finish) | Fold::PerLane(finish) = &stage.fold
            && finish.stores().chain(loads(finish)).any(|a| a.buffer == buffer)
        {
            return None;
        }
        for access in stage.body.stores().chain(loads(&stage.body)) {
            if access.buffer != buffer {
                continue;
            }
            match &first {
                None => first = Some((access.clone(), extents.clone())),
                Some((a, e)) if *e == extents && same(a, access, e) => {}
                Some(_) => return None,
            }
        }
    }
    let (_, extents) = first?;
    let inner = dense_strides(&extents[rows..]);
    let elements = points(&extents[rows..]);
    if elements * size > ROW_BYTES {
        return None;
    }
    for stage in &mut nest.stages {
        for access in stage.body.slots.iter_mut().filter(|a| a.buffer == buffer) {
            access.offset = 0;
            access.strides[..rows].fill(0);
            access.strides[rows..].copy_from_slice(&inner);
        }
        restride(&mut stage.body);
    }
    Some(elements)
}

/// Brings the declarations of slots into line with their accesses.
fn restride(body: &mut Body) {
    use crate::vector::{Inst, Stride};
    let stored: Vec<usize> = body
        .program
        .insts
        .iter()
        .filter_map(|inst| match inst {
            Inst::Store(slot, _) => Some(slot.0 as usize),
            _ => None,
        })
        .collect();
    for (number, access) in body.slots.iter().enumerate() {
        body.program.slots[number].stride = match crate::kernel::lower::lane_stride(access) {
            Stride::Splat if stored.contains(&number) => Stride::Unit,
            stride => stride,
        };
    }
}

/// Drops buffers that nothing touches and numbers the others anew.
fn drop_buffers(program: &mut Program) {
    let mut used: Vec<bool> = vec![false; program.buffers.len()];
    for kernel in &program.kernels {
        for touch in touches(kernel) {
            used[touch.buffer.0 as usize] = true;
        }
        // Slots that no instruction uses count: they are verified with the others.
        let mut kernel = kernel.clone();
        for_bodies(&mut kernel, |body, _| {
            for access in &body.slots {
                used[access.buffer.0 as usize] = true;
            }
        });
    }
    for (number, buffer) in program.buffers.iter().enumerate() {
        used[number] |= matches!(buffer.place, Place::Input(_) | Place::Output(_));
    }
    let mut next = 0;
    let numbers: Vec<BufferId> = used
        .iter()
        .map(|&u| {
            let id = BufferId(next);
            next += u32::from(u);
            id
        })
        .collect();
    let renumber = |b: &mut BufferId| *b = numbers[b.0 as usize];
    for kernel in &mut program.kernels {
        for_bodies(kernel, |body, _| body.slots.iter_mut().for_each(|a| renumber(&mut a.buffer)));
        kernel.after.iter_mut().for_each(renumber);
        match &mut kernel.work {
            Work::Nest(_) => {}
            Work::Product(product) => {
                for operand in product.operands_mut() {
                    match operand {
                        Operand::Stored(access) | Operand::Spread(Spread { access, .. }) => {
                            renumber(&mut access.buffer);
                        }
                        Operand::Made(_) => {}
                    }
                }
            }
            Work::Call(call) => renumber_call(call, renumber),
            Work::Repeat(repeat) => repeat.buffers_mut().for_each(renumber),
        }
        debug_assert!(!matches!(&kernel.work, Work::Call(c) if call_buffers(c).0.is_empty()));
    }
    program.inputs.iter_mut().chain(&mut program.outputs).for_each(renumber);
    let mut used = used.into_iter();
    program.buffers.retain(|_| used.next().expect("one flag a buffer"));
}

fn renumber_call(call: &mut Call, renumber: impl Fn(&mut BufferId)) {
    match call {
        Call::Random { key, out, .. } => [key, out].into_iter().for_each(renumber),
        Call::FoldKey { key, data, out } => [key, data, out].into_iter().for_each(renumber),
        Call::ScatterAdd { operand, index, updates, out, .. } => {
            operand.iter_mut().chain([index, updates, out]).for_each(renumber);
        }
        Call::Running { operand, out, .. } | Call::Argsort { operand, out, .. } => {
            [operand, out].into_iter().for_each(renumber);
        }
        Call::Linear { matrix, right, out, .. } => {
            right.iter_mut().chain([matrix, out]).for_each(renumber);
        }
        Call::Recur { factor, operand, out, .. } => {
            [factor, operand, out].into_iter().for_each(renumber);
        }
    }
}
