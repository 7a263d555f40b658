//! Bounds that hold anyway: an element less the largest of its row is never above 0.
//!
//! So what a softmax hands to `exp` needs no upper bound, one of the fifteen instructions it takes.
//!
//! Neighbours: `rows` has made stages of one nest of the passes over a row.

use crate::kernel::{Access, Body, Fold, Nest, RowValue, Stage};
use crate::vector::{Binary, Combine, Inst, Program, Value};

/// Removes upper bounds above 0 of what is an element less the largest of its row.
pub fn relax(nest: &mut Nest) {
    let mut known = 0;
    for at in 0..nest.stages.len() {
        let (before, after) = nest.stages.split_at_mut(at + 1);
        let stage = &before[at];
        let Fold::AcrossLanes(finish) = &stage.fold else { continue };
        for (yielded, access) in largest(&stage.body, finish) {
            let value = RowValue(known + yielded as u32);
            let same_row = |s: &&mut Stage| s.lanes == stage.lanes && s.reduce == stage.reduce;
            for later in after.iter_mut().filter(same_row) {
                relax_body(&mut later.body, value, access);
            }
        }
        known += finish.program.yields.len() as u32;
    }
}

/// The yields of a finish that are the largest element of what the body loads.
fn largest<'b>(body: &'b Body, finish: &Body) -> Vec<(usize, &'b Access)> {
    let yields = finish.program.yields.iter().enumerate();
    yields
        .filter_map(|(number, &value)| {
            let &Inst::Param(acc) = inst(&finish.program, value) else { return None };
            let acc = body.program.accumulators.get(acc.0 as usize)?;
            let access = loaded(body, acc.value)?;
            (acc.combine == Combine::Max).then_some((number, access))
        })
        .collect()
}

fn inst(program: &Program, value: Value) -> &Inst {
    &program.insts[value.0 as usize]
}

/// The access that a value is loaded from.
fn loaded(body: &Body, value: Value) -> Option<&Access> {
    match *inst(&body.program, value) {
        Inst::Load(slot) => Some(&body.slots[slot.0 as usize]),
        _ => None,
    }
}

/// The same where row value `largest` is that of the elements at `access`.
fn relax_body(body: &mut Body, largest: RowValue, access: &Access) {
    let written = body.program.insts.iter().any(|i| match *i {
        Inst::Store(slot, _) => body.slots[slot.0 as usize].buffer == access.buffer,
        _ => false,
    });
    while let Some((at, kept)) = needless(body, largest, access).filter(|_| !written) {
        remove(&mut body.program, at as u32, kept);
    }
}

/// The first bound above 0 of an element less the largest, and what it bounds.
fn needless(body: &Body, largest: RowValue, access: &Access) -> Option<(usize, Value)> {
    let program = &body.program;
    let is_largest = |v: Value| match *inst(program, v) {
        Inst::Param(p) => body.params.get(p.0 as usize) == Some(&largest),
        _ => false,
    };
    let difference = |v: Value| match *inst(program, v) {
        Inst::Binary(Binary::Sub, x, y) => loaded(body, x) == Some(access) && is_largest(y),
        _ => false,
    };
    let above = |v: Value| matches!(inst(program, v), Inst::Const(c) if c.to_f64() > 0.0);
    program.insts.iter().enumerate().find_map(|(at, inst)| match *inst {
        Inst::Binary(Binary::Min, x, y) if difference(x) && above(y) => Some((at, x)),
        Inst::Binary(Binary::Min, x, y) if above(x) && difference(y) => Some((at, y)),
        _ => None,
    })
}

/// Removes an instruction; `kept`, which is made before it, takes the place of its value.
fn remove(program: &mut Program, at: u32, kept: Value) {
    let moved = |v: Value| match v.0 {
        n if n == at => kept,
        n if n > at => Value(n - 1),
        _ => v,
    };
    program.insts.remove(at as usize);
    for inst in &mut program.insts {
        *inst = inst.map(moved);
    }
    for acc in &mut program.accumulators {
        acc.value = moved(acc.value);
        acc.index = acc.index.map(moved);
    }
    program.yields.iter_mut().for_each(|v| *v = moved(*v));
}
