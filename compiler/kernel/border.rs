//! Borders of rows: what a pad writes at the ends of short rows, written along with the rows.
//!
//! A pad is a nest for each part of its result, and those at the ends of rows store a few elements
//! in every line of memory that the rows are in. They become further stages of the nest that
//! writes the rows, so that memory is gone over once.
//!
//! Neighbours: runs after `fuse`, which may have joined the rows to what makes them, and `tile`.

use super::touch::Touching;
use super::walk::apart;
use super::{Access, BufferId, Fold, Kernel, Nest, Program, Stage, Work};
use crate::vector::{Inst, Stride};
use smallvec::SmallVec;

/// Elements of a border, at most.
const NARROW: usize = 8;

/// Joins the borders that a program writes to rows of the same buffer.
pub fn join_borders(program: &mut Program) {
    for kernel in &mut program.kernels {
        if let Work::Repeat(repeat) = &mut kernel.work {
            join_borders(&mut repeat.step);
        }
    }
    let touching = Touching::new(program);
    let join = |(at, kernel): (usize, &Kernel)| {
        let (constant, stored) = constant_map(kernel)?;
        let mut others = touching.of(stored.buffer).iter().filter(|(_, writes)| *writes);
        others.find_map(|&(rows, _)| {
            let stage = border_of(constant, &program.kernels[rows], stored.buffer)?;
            Some((at, rows, stage))
        })
    };
    let joins: Vec<_> = program.kernels.iter().enumerate().filter_map(join).collect();
    let mut gone = vec![false; program.kernels.len()];
    for (at, rows, stage) in joins {
        gone[at] = true;
        let origins = std::mem::take(&mut program.kernels[at].origins);
        let kernel = &mut program.kernels[rows];
        let Work::Nest(nest) = &mut kernel.work else { unreachable!("rows are a nest's") };
        nest.stages.push(stage);
        for origin in origins {
            if !kernel.origins.contains(&origin) {
                kernel.origins.push(origin);
            }
        }
    }
    let mut gone = gone.into_iter();
    program.kernels.retain(|_| !gone.next().expect("one flag a kernel"));
}

/// The nest of a kernel that stores one constant everywhere, and where it does.
fn constant_map(kernel: &Kernel) -> Option<(&Nest, &Access)> {
    let (nest, stage) = map(kernel)?;
    if nest.stages.len() > 1 {
        return None;
    }
    let [Inst::Const(_), Inst::Store(..)] = stage.body.program.insts[..] else { return None };
    let [stored] = &stage.body.slots[..] else { return None };
    (stage.reduce.is_empty() && kernel.after.is_empty()).then_some((nest, stored))
}

/// The nest and its first stage, if it is a map.
fn map(kernel: &Kernel) -> Option<(&Nest, &Stage)> {
    let Work::Nest(nest) = &kernel.work else { return None };
    let stage = nest.stages.first()?;
    matches!(stage.fold, Fold::None).then_some((nest, stage))
}

/// The stage that stores the constant beside each row of a kernel, if that is where it belongs: not
/// beside rows that are a constant too.
fn border_of(constant: &Nest, rows: &Kernel, buffer: BufferId) -> Option<Stage> {
    let (nest, stage) = map(rows)?;
    if constant_map(rows).is_some() {
        return None;
    }
    let row = stage.body.stores().find(|access| access.buffer == buffer)?;
    let [outer @ .., 1] = &row.strides[..] else { return None };
    if !stage.reduce.is_empty() || nest.outer.is_empty() {
        return None;
    }
    let border = &constant.stages[0];
    let stored = &border.body.slots[0];
    // Its axes: those of the rows in any order, and perhaps one along the row.
    let extents = constant.outer.iter().copied().chain([border.lanes]);
    let mut axes: Vec<(i64, usize)> = stored.strides.iter().copied().zip(extents).collect();
    for axis in outer.iter().copied().zip(nest.outer.iter().copied()) {
        let same = axes.iter().position(|own| *own == axis)?;
        axes.remove(same);
    }
    axes.retain(|&(_, extent)| extent != 1);
    let width = match axes[..] {
        [] => 1,
        [(1, width)] => width,
        _ => return None,
    };
    let of_row: SmallVec<[usize; 6]> = nest.outer.iter().copied().chain([stage.lanes]).collect();
    let of_border: SmallVec<[usize; 6]> = nest.outer.iter().copied().chain([width]).collect();
    let beside = (stored.offset - row.offset).unsigned_abs() <= (stage.lanes + NARROW) as u64;
    let walks = [(row.offset, &of_row), (stored.offset, &of_border)];
    let [a, b] = walks.map(|(offset, extents)| (offset, &row.strides[..], &extents[..]));
    if width > NARROW || !beside || !apart(a, b) {
        return None;
    }
    let mut body = border.body.clone();
    body.slots[0].strides.clone_from(&row.strides);
    body.program.slots[0].stride = Stride::Unit;
    Some(Stage { reduce: SmallVec::new(), lanes: width, body, fold: Fold::None })
}
