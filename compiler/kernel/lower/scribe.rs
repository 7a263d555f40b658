//! Writing the body of a loop: a vector program together with the walks of its slots.

use super::body::convert;
use super::view::{Base, View};
use crate::graph::IndexMap;
use crate::kernel::walk::Walk;
use crate::kernel::{Access, Body, RowValue};
use crate::vector::{Builder, Slot, Stride, Type, Value};
use rustc_hash::FxHashMap;
use tensc_runtime::DType;

/// An operand of a loop: where its element is at each point. The walk is over the iteration space
/// first, and over the loop's axes once these are arranged.
#[derive(Clone, Debug)]
pub struct Read {
    /// What holds the elements.
    pub base: Base,
    /// Element type.
    pub dtype: DType,
    /// The place of each point's element.
    pub walk: Walk,
}

impl Read {
    /// The element of a view at each point of a space of `rank` axes, through an index map.
    pub fn mapped(view: &View, map: &IndexMap, rank: usize) -> Read {
        Read { base: view.base, dtype: view.dtype, walk: view.through(map, rank) }
    }

    /// The element of a view at each point of its own shape.
    pub fn whole(view: &View) -> Read {
        Read { base: view.base, dtype: view.dtype, walk: view.walk.clone() }
    }
}

impl Read {
    /// The operand with another walk.
    pub fn with_walk(&self, walk: Walk) -> Read {
        Read { walk, ..*self }
    }
}

/// A body in the making.
#[derive(Default)]
pub struct Scribe {
    /// The vector program.
    pub b: Builder,
    slots: Vec<Access>,
    loads: FxHashMap<Access, Slot>,
}

impl Scribe {
    /// The element of the operand at this point.
    pub fn read(&mut self, read: &Read) -> Value {
        match read.base {
            Base::Const(scalar) => self.b.konst(scalar),
            Base::Position => {
                let place = self.position(&read.walk);
                convert(&self.b, DType::I64, read.dtype, place)
            }
            Base::Buffer(buffer) => {
                let access = Access {
                    buffer,
                    offset: read.walk.offset,
                    strides: read.walk.strides.clone(),
                    gather: None,
                };
                let slot = match self.loads.get(&access) {
                    Some(&slot) => slot,
                    None => {
                        let slot = self.slot(read.dtype, access.clone());
                        self.loads.insert(access, slot);
                        slot
                    }
                };
                self.b.load(slot)
            }
        }
    }

    /// The element `stride * index` elements further on; `index` was checked against `bound`.
    pub fn gather(&mut self, read: &Read, stride: i64, bound: usize, index: Value) -> Value {
        match read.base {
            Base::Const(scalar) => self.b.konst(scalar),
            Base::Position => {
                let step = self.b.mul(index, self.b.i(Type::I64, stride));
                let place = self.b.add(self.position(&read.walk), step);
                convert(&self.b, DType::I64, read.dtype, place)
            }
            Base::Buffer(buffer) => {
                let access = Access {
                    buffer,
                    offset: read.walk.offset,
                    strides: read.walk.strides.clone(),
                    gather: Some((stride, bound)),
                };
                let slot = self.slot(read.dtype, access);
                self.b.gather(slot, index)
            }
        }
    }

    /// Stores to a walk over `dtype` elements. Where there is only one lane, the slot counts as one
    /// of consecutive elements.
    pub fn store(&mut self, access: Access, dtype: DType, value: Value) {
        let stride = match lane_stride(&access) {
            Stride::Splat => Stride::Unit,
            stride => stride,
        };
        let slot = self.b.slot(dtype, stride);
        self.slots.push(access);
        self.b.store(slot, value);
    }

    /// The number a walk has at this point, I64.
    pub fn position(&self, walk: &Walk) -> Value {
        let b = &self.b;
        let mut sum = b.i(Type::I64, walk.offset);
        for (axis, &stride) in walk.strides.iter().enumerate().filter(|(_, s)| **s != 0) {
            let index = b.index(axis as u32);
            sum = b.add(sum, b.mul(index, b.i(Type::I64, stride)));
        }
        sum
    }

    /// The body, with these parameters.
    pub fn finish(self, params: Vec<RowValue>) -> Body {
        Body { program: self.b.finish(), slots: self.slots, params }
    }

    fn slot(&mut self, dtype: DType, access: Access) -> Slot {
        let slot = self.b.slot(dtype, lane_stride(&access));
        self.slots.push(access);
        slot
    }
}

/// How a slot with this access moves with the lanes.
pub fn lane_stride(access: &Access) -> Stride {
    match access.strides.last() {
        None | Some(0) => Stride::Splat,
        Some(1) => Stride::Unit,
        Some(_) => Stride::Far,
    }
}
