//! Loops: the step becomes a program of its own, repeated on dense buffers.

use super::view::View;
use super::{Lowering, lower_after};
use crate::graph::NodeId;
use crate::graph::ops::Scan;
use crate::kernel::walk::points;
use crate::kernel::{BufferId, Place, Repeat, State, Work};
use tensc_runtime::DType;

impl Lowering<'_> {
    /// The loop of a node and of every other node that is a result of it.
    pub(super) fn scan(&mut self, id: NodeId, operands: &[View], scan: &Scan) -> View {
        let count = scan.count.known().expect("lowering needs known sizes") as usize;
        if count == 0 {
            let state = operands[..scan.carried].get(scan.result);
            return state.cloned().unwrap_or_else(|| self.result(id));
        }
        let sites = std::mem::take(&mut self.program.sites);
        let step = Box::new(lower_after(&scan.step, sites));
        self.program.sites = step.sites.clone();
        let mut operands: Vec<BufferId> = operands.iter().map(|view| self.dense(view)).collect();
        let gate = if scan.gated { operands.pop() } else { None };
        let (states, rest) = operands.split_at(scan.carried);
        let (slices, whole) = rest.split_at(scan.sliced);
        let mut results: Vec<View> = Vec::new();
        for number in 0..scan.step.outputs().len() {
            let ty = scan.result_ty(number);
            let shape = ty.concrete_shape();
            let buffer = self.buffer(ty.dtype, points(&shape), Place::Arena);
            results.push(View::buffer(buffer, ty.dtype, &shape));
        }
        let buffers: Vec<BufferId> = results.iter().map(|view| self.target(view).buffer).collect();
        let (last, elements) = buffers.split_at(scan.carried);
        let states = states.iter().zip(last).map(|(&first, &last)| {
            let dtype = self.program.buffers[last.0 as usize].dtype;
            // Planning finds out whether it is needed.
            State { first, last, spare: self.buffer(dtype, 0, Place::Arena) }
        });
        let states = states.collect();
        let repeat = Repeat {
            count,
            reverse: scan.reverse,
            step,
            states,
            slices: slices.to_vec(),
            whole: whole.to_vec(),
            elements: elements.to_vec(),
            gate,
            // Elements are of every step.
            until: scan.until.filter(|_| elements.is_empty()),
            arena: self.buffer(DType::U8, 0, Place::Arena),
        };
        self.kernel("scan", Work::Repeat(repeat), &[self.origin]);
        for (other, result) in self.graph.loop_results(id) {
            self.views[other.index()] = Some(results[result].clone());
        }
        results.swap_remove(scan.result)
    }
}
