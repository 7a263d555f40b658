//! Layouts: how copied operands of a contraction lie in memory, and how its result does.
//!
//! A contraction has its axes as batches, rows, columns. Those who read it often walk them
//! otherwise (channels before positions, heads before their features); a product writes any order
//! as fast, so it lies as they want it where they agree, and the epilogue can take what they do.

use super::view::View;
use crate::graph::{Graph, NodeId, Op};
use crate::kernel::walk::{Walk, points};
use smallvec::SmallVec;
use tensc_runtime::DType;

/// How a tensor lies in memory.
pub struct Layout {
    /// Its axes, outermost first.
    order: Order,
    /// How many of the last make a row.
    row: usize,
    /// Elements that are left out after each row.
    gap: usize,
}

type Order = SmallVec<[usize; 8]>;

/// Rows at multiples of so many bytes share few sets of a cache ...
const ALIKE: usize = 2048;
/// ... so copies have a line between them.
const LINE: usize = 64;

impl Layout {
    /// Without gaps.
    pub fn dense(order: impl IntoIterator<Item = usize>) -> Layout {
        Layout { order: order.into_iter().collect(), row: 0, gap: 0 }
    }

    /// Matrices of this view, elements of this type: axes around them, and those of rows and of
    /// what lies within one. No two rows share a set of the cache for long.
    pub fn of_matrices(
        view: &View,
        around: &[u8],
        [rows, row]: [&[u8]; 2],
        dtype: DType,
    ) -> Layout {
        let order = around.iter().chain(rows).chain(row).map(|&a| usize::from(a)).collect();
        let elements: usize = row.iter().map(|&a| view.shape[usize::from(a)]).product();
        let bytes = elements.saturating_mul(dtype.size());
        let alike = bytes > 0 && bytes.is_multiple_of(ALIKE);
        Layout { order, row: row.len(), gap: if alike { LINE / dtype.size() } else { 0 } }
    }

    /// Where each element of a tensor of this shape is.
    pub fn walk(&self, shape: &[usize]) -> Walk {
        let mut walk = Walk::still(shape.len());
        let mut stride = 1;
        for (inside, &axis) in self.order.iter().rev().enumerate() {
            if inside == self.row {
                stride += self.gap as i64;
            }
            walk.strides[axis] = stride;
            stride *= shape[axis].max(1) as i64;
        }
        walk
    }

    /// Elements of the memory of such a tensor.
    pub fn elements(&self, shape: &[usize]) -> usize {
        let (outer, _) = self.order.split_at(self.order.len() - self.row);
        let rows: usize = outer.iter().map(|&axis| shape[axis]).product();
        points(shape).saturating_add(rows.saturating_mul(self.gap))
    }
}

/// The layout in which all live readers of a node walk it: `None` where they differ, or none has a
/// wish.
pub fn wanted(graph: &Graph, id: NodeId, live: &[bool]) -> Option<Layout> {
    let mut orders = Vec::new();
    gather(graph, id, live, (0..graph.ty(id).rank()).collect(), &mut orders);
    let (first, others) = orders.split_first()?;
    others.iter().all(|order| order == first).then(|| Layout::dense(first.iter().copied()))
}

/// The wishes of a node's readers, where its axes are these axes of the contraction.
fn gather(graph: &Graph, id: NodeId, live: &[bool], axes: Order, orders: &mut Vec<Order>) {
    if graph.outputs().iter().any(|(_, output)| *output == id) {
        orders.push(axes.clone());
    }
    for (user, operand) in graph.users(id) {
        match graph.op(user) {
            _ if !live[user.index()] => {}
            Op::Transpose(perm) => {
                let moved = perm.iter().map(|&a| axes[usize::from(a)]).collect();
                gather(graph, user, live, moved, orders);
            }
            Op::Fused(fused) => {
                let map = &fused.maps[operand].0;
                let mut order: Order = (0..axes.len()).collect();
                order.sort_by_key(|&axis| map[axis].axis);
                orders.push(order.iter().map(|&axis| axes[axis]).collect());
            }
            // Products read any order.
            Op::Contract(_) => {}
            _ => orders.push(axes.clone()),
        }
    }
}
