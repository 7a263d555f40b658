//! The order of kernels: as lowering made it, but for outputs that could take an input's memory,
//! and for programs that compute something again to need less of it.
//!
//! An optimiser's update can be written over the old parameters only after the last kernel that
//! reads them. So readers of an input go before the kernel that writes the output of its name,
//! where the data allow it.
//!
//! Where kernels are after something that they do not read, memory is what matters: a kernel that
//! needs no more than it gives back goes as early as it can. So a gradient that reads what was
//! computed again is taken before the next such thing is.
//!
//! What folds the columns of a product comes right after it, so that it can be done tile by tile.

use super::column::column_fold;
use super::plan::may_take_in_step;
use super::touch::{Touching, touches};
use super::{BufferId, Place, Program, Work};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Puts the kernels in order.
pub fn order(program: &mut Program) {
    let mut after = dependencies(program);
    let touching = Touching::new(program);
    let mut wishes: Vec<(bool, BufferId, BufferId)> = Vec::new();
    for &output in &program.outputs {
        for &input in &program.inputs {
            let declared = |b: BufferId| &program.buffers[b.0 as usize];
            let (from, to) = (declared(input), declared(output));
            let fits = from.elements == to.elements && from.dtype == to.dtype;
            let named = from.name == to.name;
            if fits && (named || may_take_in_step(program, &touching, input, output)) {
                wishes.push((!named, input, output));
            }
        }
    }
    wishes.sort_unstable();
    for (_, input, output) in wishes {
        wish(&touching, &mut after, input, output);
    }
    let waits = program.kernels.iter().any(|kernel| !kernel.after.is_empty());
    let mut sequence = match waits {
        true => sparing(program, &after),
        false => sorted(&after),
    };
    folds_follow(program, &after, &mut sequence);
    let mut kernels: Vec<_> = program.kernels.drain(..).map(Some).collect();
    for at in sequence {
        program.kernels.push(kernels[at].take().expect("each kernel comes once"));
    }
}

/// For each kernel, the kernels that must come after it.
fn dependencies(program: &Program) -> Vec<Vec<usize>> {
    let mut after: Vec<Vec<usize>> = vec![Vec::new(); program.kernels.len()];
    let mut writer: FxHashMap<BufferId, usize> = FxHashMap::default();
    let mut readers: FxHashMap<BufferId, Vec<usize>> = FxHashMap::default();
    for (at, kernel) in program.kernels.iter().enumerate() {
        for touch in touches(kernel) {
            if let Some(&earlier) = writer.get(&touch.buffer)
                && earlier != at
            {
                after[earlier].push(at);
            }
            if touch.writes {
                for earlier in readers.remove(&touch.buffer).unwrap_or_default() {
                    if earlier != at {
                        after[earlier].push(at);
                    }
                }
                writer.insert(touch.buffer, at);
            } else {
                readers.entry(touch.buffer).or_default().push(at);
            }
        }
    }
    after
}

/// Lets every reader of the input come before the first writer of the output, unless one of them
/// needs what that writes.
fn wish(touching: &Touching, after: &mut [Vec<usize>], input: BufferId, output: BufferId) {
    let Some(&(writer, _)) = touching.of(output).first() else { return };
    let readers = touching.of(input).iter().map(|&(at, _)| at).filter(|&at| at != writer);
    let mut reached = vec![false; after.len()];
    let mut stack = vec![writer];
    while let Some(at) = stack.pop() {
        for &next in &after[at] {
            if !std::mem::replace(&mut reached[next], true) {
                stack.push(next);
            }
        }
    }
    if readers.clone().all(|r| !reached[r]) {
        for reader in readers {
            after[reader].push(writer);
        }
    }
}

/// Moves each fold of a product's columns to right after the product, if it is the last kernel that
/// the fold waits for.
fn folds_follow(program: &Program, after: &[Vec<usize>], sequence: &mut [usize]) {
    let work = |at: usize| &program.kernels[at].work;
    for head in 0..program.kernels.len() {
        let Work::Product(product) = work(head) else { continue };
        for &fold in &after[head] {
            let Work::Nest(nest) = work(fold) else { continue };
            if column_fold(product, nest).is_none() {
                continue;
            }
            let place = sequence.iter().position(|&at| at == fold).expect("each has its place");
            let last = sequence[..place].iter().rposition(|&at| after[at].contains(&fold));
            if let Some(last) = last.filter(|&last| sequence[last] == head) {
                sequence[last + 1..=place].rotate_right(1);
            }
        }
    }
}

/// A topological order: of the kernels that may come next the first that makes the arena no
/// larger, the first of all where there is none.
fn sparing(program: &Program, after: &[Vec<usize>]) -> Vec<usize> {
    // The arena buffers of each kernel, and how many kernels still come to each buffer.
    let mut comers = vec![0usize; program.buffers.len()];
    let arena: Vec<Vec<(BufferId, bool)>> = program
        .kernels
        .iter()
        .map(|kernel| {
            let mut own: Vec<(BufferId, bool)> = Vec::new();
            for touch in touches(kernel) {
                let held = matches!(program.buffers[touch.buffer.0 as usize].place, Place::Arena);
                match own.iter_mut().find(|(buffer, _)| *buffer == touch.buffer) {
                    Some((_, writes)) => *writes |= touch.writes,
                    None if held => own.push((touch.buffer, touch.writes)),
                    None => {}
                }
            }
            own.iter().for_each(|(buffer, _)| comers[buffer.0 as usize] += 1);
            own
        })
        .collect();
    let bytes = |buffer: BufferId| {
        let declared = &program.buffers[buffer.0 as usize];
        (declared.elements * declared.dtype.size()) as i64
    };
    let mut born = vec![false; program.buffers.len()];
    let mut waits = vec![0usize; after.len()];
    for &next in after.iter().flatten() {
        waits[next] += 1;
    }
    let mut ready: Vec<usize> = (0..after.len()).filter(|&at| waits[at] == 0).collect();
    let mut order = Vec::with_capacity(after.len());
    while !ready.is_empty() {
        let growth = |at: usize| -> i64 {
            let of = |&(buffer, writes): &(BufferId, bool)| {
                let number = buffer.0 as usize;
                let new = if writes && !born[number] { bytes(buffer) } else { 0 };
                new - if comers[number] == 1 { bytes(buffer) } else { 0 }
            };
            arena[at].iter().map(of).sum()
        };
        let spares = ready.iter().position(|&at| growth(at) <= 0);
        let at = ready.remove(spares.unwrap_or(0));
        order.push(at);
        for &(buffer, _) in &arena[at] {
            comers[buffer.0 as usize] -= 1;
            born[buffer.0 as usize] = true;
        }
        for &next in &after[at] {
            waits[next] -= 1;
            if waits[next] == 0 {
                let place = ready.partition_point(|&other| other < next);
                ready.insert(place, next);
            }
        }
    }
    assert_eq!(order.len(), after.len(), "wishes make no cycles");
    order
}

/// A topological order: among the kernels that may come next, the one that came first before.
fn sorted(after: &[Vec<usize>]) -> Vec<usize> {
    let mut waits = vec![0usize; after.len()];
    for &next in after.iter().flatten() {
        waits[next] += 1;
    }
    let ready = waits.iter().enumerate().filter(|(_, w)| **w == 0).map(|(at, _)| Reverse(at));
    let mut ready: BinaryHeap<Reverse<usize>> = ready.collect();
    let mut order = Vec::with_capacity(after.len());
    while let Some(Reverse(at)) = ready.pop() {
        order.push(at);
        for &next in &after[at] {
            waits[next] -= 1;
            if waits[next] == 0 {
                ready.push(Reverse(next));
            }
        }
    }
    assert_eq!(order.len(), after.len(), "wishes make no cycles");
    order
}
