//! The order of kernels: as lowering made it, but for outputs that could take an input's memory.
//!
//! An optimiser's update can be written over the old parameters only after the last kernel that
//! reads them. So readers of an input go before the kernel that writes the output of its name,
//! where the data allow it.

use super::plan::may_take_in_step;
use super::touch::touches;
use super::{BufferId, Program};
use rustc_hash::FxHashMap;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Puts the kernels in order.
pub fn order(program: &mut Program) {
    let mut after = dependencies(program);
    let mut wishes: Vec<(bool, BufferId, BufferId)> = Vec::new();
    for &output in &program.outputs {
        for &input in &program.inputs {
            let declared = |b: BufferId| &program.buffers[b.0 as usize];
            let (from, to) = (declared(input), declared(output));
            let fits = from.elements == to.elements && from.dtype == to.dtype;
            let named = from.name == to.name;
            if fits && (named || may_take_in_step(program, input, output)) {
                wishes.push((!named, input, output));
            }
        }
    }
    wishes.sort_unstable();
    for (_, input, output) in wishes {
        wish(program, &mut after, input, output);
    }
    let mut kernels: Vec<_> = program.kernels.drain(..).map(Some).collect();
    for at in sorted(&after) {
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
fn wish(program: &Program, after: &mut [Vec<usize>], input: BufferId, output: BufferId) {
    let touching = |buffer: BufferId| -> Vec<usize> {
        let kernels = program.kernels.iter().enumerate();
        kernels
            .filter(|(_, k)| touches(k).iter().any(|t| t.buffer == buffer))
            .map(|(i, _)| i)
            .collect()
    };
    let Some(&writer) = touching(output).first() else { return };
    let readers: Vec<usize> = touching(input).into_iter().filter(|&r| r != writer).collect();
    let mut reached = vec![false; after.len()];
    let mut stack = vec![writer];
    while let Some(at) = stack.pop() {
        for &next in &after[at] {
            if !std::mem::replace(&mut reached[next], true) {
                stack.push(next);
            }
        }
    }
    if readers.iter().all(|&r| !reached[r]) {
        for reader in readers {
            after[reader].push(writer);
        }
    }
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
