//! Work that is about places: pads, concatenations, gathers, scatters, draws.

use super::nest::{Loop, Target};
use super::scribe::{Read, Scribe};
use super::view::{Base, View};
use super::{Lowering, body};
use crate::graph::ops::Draw;
use crate::graph::{NodeId, Op};
use crate::kernel::walk::{Walk, points};
use crate::kernel::{BufferId, Call, Place, Work};
use tensc_runtime::DType;
use tensc_runtime::along::Around;
use tensc_runtime::linear::Linear;

impl Lowering<'_> {
    /// The value everywhere around the operand, then the operand. Where nothing stands between its
    /// elements, the surroundings are boxes that do not touch the operand's.
    pub(super) fn pad(
        &mut self,
        id: NodeId,
        operand: &View,
        value: &View,
        low: &[i64],
        interior: &[i64],
    ) -> View {
        let result = self.result(id);
        let target = self.target(&result);
        let around = |shape: &[usize]| View {
            shape: shape.into(),
            walk: Walk { offset: value.walk.offset, ..Walk::still(shape.len()) },
            ..value.clone()
        };
        if interior.iter().all(|&n| n == 0) || operand.elements() == 0 {
            let mut shape: Vec<usize> = result.shape.to_vec();
            let mut walk = target.walk.clone();
            for axis in 0..shape.len() {
                let (all, first, size) = (shape[axis], low[axis] as usize, operand.shape[axis]);
                for (start, length) in [(0, first), (first + size, all - first - size)] {
                    shape[axis] = length;
                    let mut part = walk.clone();
                    part.offset += part.strides[axis] * start as i64;
                    self.copy_to("pad", &around(&shape), target.buffer, part);
                }
                shape[axis] = size;
                walk.offset += walk.strides[axis] * low[axis];
            }
        } else {
            self.copy_to("pad", &around(&result.shape), target.buffer, target.walk.clone());
        }
        let mut walk = target.walk;
        for (axis, stride) in walk.strides.iter_mut().enumerate() {
            walk.offset += *stride * low[axis];
            *stride *= 1 + interior[axis];
        }
        self.copy_to("pad", operand, target.buffer, walk);
        result
    }

    pub(super) fn concat(&mut self, id: NodeId, operands: &[View], axis: usize) -> View {
        if let [only] = operands {
            return only.clone();
        }
        let result = self.result(id);
        let mut target = self.target(&result);
        for operand in operands {
            self.copy_to("concat", operand, target.buffer, target.walk.clone());
            target.walk.offset += target.walk.strides[axis] * operand.shape[axis] as i64;
        }
        result
    }

    pub(super) fn gather(&mut self, id: NodeId, data: &View, index: &View, axis: usize) -> View {
        let result = self.result(id);
        let rank = index.shape.len();
        // The space: axes of the data before the gathered one, of the index, of the data after it.
        let mut from_index = Walk::still(result.shape.len());
        from_index.offset = index.walk.offset;
        from_index.strides[axis..axis + rank].copy_from_slice(&index.walk.strides);
        let mut from_data = Walk::still(result.shape.len());
        from_data.offset = data.walk.offset;
        from_data.strides[..axis].copy_from_slice(&data.walk.strides[..axis]);
        from_data.strides[axis + rank..].copy_from_slice(&data.walk.strides[axis + 1..]);
        let (stride, bound) = (data.walk.strides[axis], data.shape[axis]);
        let site = self.site();
        let body = |scribe: &mut Scribe, reads: &[Read]| {
            let place = scribe.read(&reads[0]);
            let checked = body::check_index(&scribe.b, place, bound as i64, site);
            if bound == 0 {
                // The check reports whatever comes; there is nothing to read.
                return scribe.b.number(crate::vector::Type::of(data.dtype), 0);
            }
            scribe.gather(&reads[1], stride, bound, checked)
        };
        let work = Loop {
            space: result.shape.to_vec(),
            reduced: vec![false; result.shape.len()],
            reads: vec![
                Read::whole(index).with_walk(from_index),
                Read::whole(data).with_walk(from_data),
            ],
            body: &body,
            fold: None,
            target: self.target(&result),
        };
        self.emit("gather", work, &[self.origin]);
        result
    }

    pub(super) fn scatter_add(&mut self, id: NodeId, operands: &[View], axis: usize) -> View {
        let [base, index, updates] = operands else { unreachable!("scatter_add has 3 operands") };
        if updates.elements() == 0 {
            return base.clone();
        }
        let zero = matches!(base.base, Base::Const(c) if c.to_f64() == 0.0);
        let operand = if zero { None } else { Some(self.dense(base)) };
        let bound = base.shape[axis];
        let index = self.checked(id, index, bound);
        let updates = self.dense(updates);
        let result = self.result(id);
        let call = Call::ScatterAdd {
            operand,
            index,
            updates,
            out: self.target(&result).buffer,
            outer: points(&base.shape[..axis]),
            bound,
            inner: points(&base.shape[axis + 1..]),
        };
        self.kernel("scatter_add", Work::Call(call), &[self.origin]);
        result
    }

    /// A buffer of indices that a kernel has brought into `0..bound`.
    fn checked(&mut self, scatter: NodeId, index: &View, bound: usize) -> BufferId {
        let node = self.graph.operands(scatter)[1];
        let is_checked = matches!(
            self.graph.op(node),
            Op::CheckIndex(n) if n.known() == Some(bound as i64)
        );
        if let (true, Some(buffer)) = (is_checked, self.whole_buffer(index)) {
            return buffer;
        }
        let buffer = self.buffer(DType::I64, index.elements(), Place::Arena);
        let site = self.site();
        let work = Loop {
            space: index.shape.to_vec(),
            reduced: vec![false; index.shape.len()],
            reads: vec![Read::whole(index)],
            body: &|scribe, reads| {
                let place = scribe.read(&reads[0]);
                body::check_index(&scribe.b, place, bound as i64, site)
            },
            fold: None,
            target: Target { buffer, dtype: DType::I64, walk: Walk::dense(&index.shape) },
        };
        self.emit("check_index", work, &[self.origin]);
        buffer
    }

    /// Linear algebra on dense matrices.
    pub(super) fn linear(&mut self, id: NodeId, operands: &[View], op: Linear) -> View {
        let result = self.result(id);
        if result.elements() == 0 {
            return result;
        }
        let last = |view: &View| view.shape.last().copied().expect("matrices have two axes");
        let sizes = [last(&operands[0]), operands.get(1).map_or(0, last)];
        let matrix = self.dense(&operands[0]);
        let right = operands.get(1).map(|view| self.dense(view));
        let call = Call::Linear { op, matrix, right, out: self.target(&result).buffer, sizes };
        self.kernel(op.name(), Work::Call(call), &[self.origin]);
        result
    }

    /// A runtime function along an axis, on dense operands.
    pub(super) fn along(
        &mut self,
        id: NodeId,
        operands: &[View],
        axis: usize,
        call: &dyn Fn(&[BufferId], BufferId, Around) -> Call,
    ) -> View {
        let result = self.result(id);
        if result.elements() == 0 {
            return result;
        }
        let shape = &result.shape;
        let around = Around {
            outer: points(&shape[..axis]),
            n: shape[axis],
            inner: points(&shape[axis + 1..]),
        };
        let operands: Vec<BufferId> = operands.iter().map(|view| self.dense(view)).collect();
        let call = call(&operands, self.target(&result).buffer, around);
        self.kernel(self.graph.op(id).name(), Work::Call(call), &[self.origin]);
        result
    }

    /// How many of the first positions along an axis of a node anything reads.
    pub(super) fn first_read(&self, id: NodeId, axis: usize) -> usize {
        let all = self.graph.ty(id).concrete_shape()[axis];
        if self.graph.outputs().iter().any(|(_, output)| *output == id) {
            return all;
        }
        let end = |start: i64, step: i64, len: i64| start.max(start + step * (len - 1)) + 1;
        let users = self.graph.users(id).into_iter().filter(|(user, _)| self.live[user.index()]);
        let ends = users.map(|(user, operand)| match self.graph.op(user) {
            Op::Slice { starts, lens, steps } => {
                let [start, len] = [&starts[axis], &lens[axis]].map(|d| d.known());
                let [start, len] = [start, len].map(|n| n.expect("lowering needs known sizes"));
                end(start, steps[axis], len)
            }
            Op::Fused(fused) => {
                let index = fused.maps[operand].0[axis];
                let len = index.axis.map_or(1, |a| fused.space[usize::from(a)] as i64);
                end(index.start, index.step, len)
            }
            _ => all as i64,
        });
        ends.max().map_or(0, |end| all.min(end.max(0) as usize))
    }

    pub(super) fn random(&mut self, id: NodeId, key: &View, draw: Draw) -> View {
        let key = self.dense(key);
        let result = self.result(id);
        if result.elements() > 0 {
            let call = Call::Random { draw, key, out: self.target(&result).buffer };
            self.kernel("random", Work::Call(call), &[self.origin]);
        }
        result
    }

    pub(super) fn fold_key(&mut self, id: NodeId, key: &View, data: &View) -> View {
        let (key, data) = (self.dense(key), self.dense(data));
        let result = self.result(id);
        if result.elements() > 0 {
            let call = Call::FoldKey { key, data, out: self.target(&result).buffer };
            self.kernel("fold_key", Work::Call(call), &[self.origin]);
        }
        result
    }
}
