//! Contractions: batched matrix products over strides, or nests where a product would be the wrong
//! tool.
//!
//! The result lies in memory as its readers want it; the operand with its innermost axis is the
//! right one, so that vectors are stored along it. `form` says what matrices the operands are.

use super::Lowering;
use super::form::{Axis, Form, Groups, Way, extent, innermost, laid_out, near};
use super::layout::{Layout, wanted};
use super::nest::LoopFold;
use super::scribe::{Read, Scribe};
use super::view::{Base, View};
use crate::graph::NodeId;
use crate::graph::ops::Contraction;
use crate::kernel::walk::{Strides, Walk, points};
use crate::kernel::{Access, Operand, Place, Product, Spread, Work};
use crate::vector::{Combine, Type};
use tensc_runtime::{DType, Scalar};

/// Multiply-adds below which half floats are not worth copies in `f32`.
const SMALL: usize = 1 << 14;

impl Lowering<'_> {
    pub(super) fn contract(
        &mut self,
        id: NodeId,
        left: &View,
        right: &View,
        contraction: &Contraction,
    ) -> View {
        let groups = Groups::new(left, right, contraction);
        let result = self.result(id);
        let wanted = wanted(self.graph, id, &self.live).map(|layout| laid_out(&result, &layout));
        let result = wanted.filter(|wanted| groups.suits(right, wanted)).unwrap_or(result);
        let result = groups.with_windows_outside(left, right, &result).unwrap_or(result);
        if groups.reads_turned(right, &result) {
            let turned = contraction.turned();
            let result = groups.turned(&result);
            self.contract_in(id, [right, left], &Groups::new(right, left, &turned), &result);
        } else {
            self.contract_in(id, [left, right], &groups, &result);
        }
        result
    }

    /// A contraction into a result with axes batch..., left..., right....
    fn contract_in(
        &mut self,
        id: NodeId,
        [left, right]: [&View; 2],
        groups: &Groups,
        result: &View,
    ) {
        let [m, n, k] = groups.sizes(left, right);
        let work = points(&result.shape).saturating_mul(k);
        let dtype = match result.dtype {
            DType::F64 => DType::F64,
            _ => DType::F32,
        };
        let half = matches!(result.dtype, DType::F16 | DType::BF16);
        let product = result.dtype == dtype || half && work >= SMALL;
        // Rows of B that are contiguous are multiplied and added a vector at a time, however few
        // rows there are; where only one of its columns is, a sum along them is the better loop.
        let row = m == 1
            && groups.right_free.last().is_some_and(|&axis| {
                matches!(right.base, Base::Buffer(_)) && right.walk.strides[usize::from(axis)] == 1
            });
        if m < 1 || m == 1 && !row || n <= 1 || k <= 1 || work == 0 || !product {
            self.contract_nest(id, left, right, groups, result);
        } else {
            self.contract_product(id, left, right, groups, result, dtype);
        }
    }

    /// A nest that multiplies and adds.
    fn contract_nest(
        &mut self,
        id: NodeId,
        left: &View,
        right: &View,
        groups: &Groups,
        result: &View,
    ) {
        // The space: the axes of the result, then the summed ones.
        let kept = result.shape.len();
        let c = groups.contraction;
        let mut space: Vec<usize> = result.shape.to_vec();
        space.extend(c.left_sum.iter().map(|&a| left.shape[usize::from(a)]));
        let batches = c.left_batch.len();
        let spread = |view: &View, batch: &[u8], free: &[u8], first: usize, sum: &[u8]| {
            let mut walk = Walk { offset: view.walk.offset, ..Walk::still(space.len()) };
            let places = (0..batches).chain(first..first + free.len()).chain(kept..space.len());
            for (place, &axis) in places.zip(batch.iter().chain(free).chain(sum)) {
                walk.strides[place] = view.walk.strides[usize::from(axis)];
            }
            Read::whole(view).with_walk(walk)
        };
        let (left_free, right_free) = (&groups.left_free, &groups.right_free);
        let reads = vec![
            spread(left, &c.left_batch, left_free, batches, &c.left_sum),
            spread(right, &c.right_batch, right_free, batches + left_free.len(), &c.right_sum),
        ];
        let body = |scribe: &mut Scribe, reads: &[Read]| {
            let (a, b) = (scribe.read(&reads[0]), scribe.read(&reads[1]));
            scribe.b.mul(a, b)
        };
        let axes: Vec<u8> = (kept..space.len()).map(|a| a as u8).collect();
        let empty = Scalar::from_i64(result.dtype, 0);
        let fold = LoopFold { combine: Combine::Add, index: None, empty };
        self.fold_loop(id, &space, &axes, reads, &body, fold, result);
    }

    fn contract_product(
        &mut self,
        id: NodeId,
        left: &View,
        right: &View,
        groups: &Groups,
        result: &View,
        dtype: DType,
    ) {
        let (ways, form) = groups.choose(left, right, result, dtype);
        let [left, right] = [(left, &ways[0]), (right, &ways[1])].map(|(view, way)| match way {
            Way::Copied(layout) => self.packed(view, layout, dtype),
            Way::Stored | Way::Spread => view.clone(),
        });
        let Form { batch, rows, columns, sum } = &form;
        let access = |view: &View, stride: fn(&Axis) -> i64, inner: &[Axis]| {
            let Base::Buffer(buffer) = view.base else { unreachable!("operands are in memory") };
            let strides: Strides = batch.iter().chain(inner).map(stride).collect();
            Access { buffer, offset: view.walk.offset, strides, gather: None }
        };
        let matrix = |view: &View, stride: fn(&Axis) -> i64, [first, second]: [&[Axis]; 2]| {
            access(view, stride, &[innermost(first), innermost(second)])
        };
        let operand = |view: &View, way: &Way, stride: fn(&Axis) -> i64, own: [&[Axis]; 2]| {
            if !matches!(way, Way::Spread) {
                return Operand::Stored(matrix(view, stride, own));
            }
            let [first, second] = own.map(|parts| near(parts, stride));
            Operand::Spread(Spread {
                access: access(view, stride, &own.concat()),
                axes: own.map(|parts| parts.iter().map(|part| part.extent).collect()),
                turned: first > second,
            })
        };
        let out = matrix(result, |a| a.out, [rows, columns]);
        let mut epilogue = Scribe::default();
        let element = epilogue.b.param(Type::of(dtype));
        epilogue.store(out, result.dtype, element);
        let product = Product {
            batch: batch.iter().map(|a| a.extent).collect(),
            m: extent(rows),
            n: extent(columns),
            k: extent(sum),
            dtype,
            left: operand(&left, &ways[0], |a| a.left, [rows, sum]),
            right: operand(&right, &ways[1], |a| a.right, [sum, columns]),
            epilogue: epilogue.finish(Vec::new()),
        };
        self.kernel(&self.name(id), Work::Product(product), &[self.origin]);
    }

    /// A copy of the operand (as `dtype`) whose memory has the axes as told; the axes of the view
    /// stay where they are.
    fn packed(&mut self, view: &View, layout: &Layout, dtype: DType) -> View {
        let copy = laid_out(view, layout);
        let elements = layout.elements(&view.shape);
        let buffer = self.buffer(dtype, elements, Place::Arena);
        self.copy_to("pack", view, buffer, copy.walk.clone());
        View { base: Base::Buffer(buffer), dtype, ..copy }
    }
}
