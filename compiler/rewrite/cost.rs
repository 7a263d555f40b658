//! What a kernel costs: the larger of its arithmetic and its memory traffic, and a dispatch.
//!
//! The constants are committed, so that one program is optimised to one result everywhere; they are
//! those of one core of a machine of 2021 and matter as ratios. Times are in nanoseconds.

use super::analysis::size;
use crate::graph::fused::{Fused, IndexMap, LambdaInst};
use crate::graph::ops::Class;
use crate::graph::{Graph, NodeId, Op, TensorType};
use tensc_runtime::DType;

/// The machine that costs are of.
#[derive(Clone, PartialEq, Debug)]
pub struct Machine {
    /// For one 32-bit element, a unit of `MapRow::cost` (a vector instruction).
    pub unit: f64,
    /// For a multiplication and addition of 32-bit elements in a product of matrices.
    pub multiply_add: f64,
    /// Memory by size: up to so many bytes, nanoseconds a byte.
    pub levels: [(f64, f64); 4],
    /// For an element read against the order of memory, in units.
    pub strided: f64,
    /// To start a kernel.
    pub dispatch: f64,
}

impl Default for Machine {
    fn default() -> Machine {
        Machine {
            unit: 0.015,
            multiply_add: 0.02,
            levels: [
                (32e3, 1.0 / 150.0),
                (512e3, 1.0 / 70.0),
                (16e6, 1.0 / 35.0),
                (f64::INFINITY, 1.0 / 20.0),
            ],
            strided: 3.0,
            dispatch: 150.0,
        }
    }
}

/// What a kernel takes, by cause.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Work {
    /// Arithmetic.
    pub compute: f64,
    /// Reading operands.
    pub load: f64,
    /// Writing the result.
    pub store: f64,
    /// Starting it.
    pub dispatch: f64,
}

impl Work {
    /// Nanoseconds: arithmetic overlaps with memory.
    pub fn time(self) -> f64 {
        self.compute.max(self.load + self.store) + self.dispatch
    }
}

impl Machine {
    /// To move all bytes of a tensor once.
    pub fn traffic(&self, ty: &TensorType) -> f64 {
        let bytes = elements(ty) * ty.dtype.size() as f64;
        let level = self.levels.iter().find(|(capacity, _)| bytes <= *capacity);
        bytes * level.expect("the last level is infinite").1
    }

    /// To read so many elements of a tensor, at most all of them.
    pub fn part(&self, ty: &TensorType, read: f64) -> f64 {
        self.traffic(ty) * (read / elements(ty)).min(1.0)
    }

    /// To move all bytes of a tensor once while each row of it waits in the nearest cache.
    pub fn row_traffic(&self, ty: &TensorType) -> f64 {
        let (capacity, near) = self.levels[0];
        let row = ty.shape.last().map_or(1, size) as f64 * ty.dtype.size() as f64;
        match row <= capacity / 2.0 {
            true => elements(ty) * ty.dtype.size() as f64 * near,
            false => self.traffic(ty),
        }
    }

    /// Arithmetic of `units` at each of `points` elements of a type.
    pub fn arithmetic(&self, points: f64, units: f64, dtype: DType) -> f64 {
        points * units * self.unit * width(dtype)
    }

    /// A kernel that does one operation.
    pub fn operation(&self, op: &Op, operands: &[&TensorType], ty: &TensorType) -> Work {
        let loads = || operands.iter().map(|o| self.traffic(o)).sum::<f64>();
        let units = |points: f64, units: f64| Work {
            compute: self.arithmetic(points, units, ty.dtype),
            load: loads(),
            store: self.traffic(ty),
            dispatch: self.dispatch,
        };
        let points = elements(ty);
        match op {
            // Windows and diagonals are read where their operand lies.
            Op::Input(_)
            | Op::Const(_)
            | Op::Literal(_)
            | Op::Size(..)
            | Op::Reshape(_)
            | Op::Window(_)
            | Op::Diagonal(..)
            | Op::Call(_)
            | Op::After => Work::default(),
            Op::Map(map) => units(points, f64::from(map.row().cost)),
            Op::Convert(_) | Op::Iota { .. } | Op::Broadcast { .. } => units(points, 1.0),
            Op::Slice { .. } => Work { load: self.part(operands[0], points), ..units(points, 1.0) },
            Op::CheckIndex(_) => units(points, 2.0),
            Op::Transpose(perm) => {
                let moves = perm.last().is_some_and(|&p| usize::from(p) + 1 != perm.len());
                units(points, if moves { 1.0 + self.strided } else { 1.0 })
            }
            Op::Pad { .. } | Op::Concat(_) => units(points, 2.0),
            Op::Reduce(..) | Op::ArgReduce(..) => units(elements(operands[0]), 1.0),
            Op::Contract(c) => {
                let summed = |a: &u8| size(&operands[0].shape[usize::from(*a)]) as f64;
                let depth: f64 = c.left_sum.iter().map(summed).product();
                // Integers go the slow way.
                let slow = if ty.dtype.is_float() { 1.0 } else { 8.0 };
                Work {
                    compute: points * depth * self.multiply_add * width(ty.dtype) * slow,
                    load: loads(),
                    store: self.traffic(ty),
                    dispatch: self.dispatch,
                }
            }
            Op::Gather(_) => {
                let load = self.part(operands[0], points) + self.traffic(operands[1]);
                Work { load, ..units(points, 2.0) }
            }
            Op::ScatterAdd(_) => units(elements(operands[2]), 6.0),
            Op::Random { .. } => units(points, 40.0),
            Op::FoldKey => units(points, 40.0),
            Op::Linear(_) => {
                let n = operands[0].shape.last().map_or(1.0, |d| size(d) as f64);
                units(elements(operands[0]), n)
            }
            Op::Running(..) | Op::Recur(_) => units(points, 8.0),
            Op::Argsort { axis, .. } => {
                let n = size(&ty.shape[usize::from(*axis)]) as f64;
                units(points, 20.0 * n.max(2.0).log2())
            }
            // Each result counts its share of the loop.
            Op::Scan(scan) => Work {
                dispatch: size(&scan.count) as f64 * self.graph(&scan.step)
                    / scan.step.outputs().len().max(1) as f64,
                ..Work::default()
            },
            Op::Fused(fused) => self.fused(fused, operands, ty),
        }
    }

    fn fused(&self, fused: &Fused, operands: &[&TensorType], ty: &TensorType) -> Work {
        let points: f64 = fused.space.iter().map(|&n| n as f64).product();
        let mut compute = 0.0;
        for (inst, dtype) in &fused.body.insts {
            compute += self.arithmetic(points, instruction(inst), *dtype);
        }
        if fused.reduce.is_some() {
            compute += self.arithmetic(points, 1.0, ty.dtype);
        }
        let mut load = 0.0;
        for (operand, map) in operands.iter().zip(&fused.maps) {
            load += self.part(operand, read(map, &fused.space));
            if is_strided(map, fused.space.len()) {
                compute += self.arithmetic(points, self.strided, operand.dtype);
            }
        }
        Work { compute, load, store: self.traffic(ty), dispatch: self.dispatch }
    }

    /// A graph, each node a kernel; elementwise work on a product that nothing else reads is done
    /// as it is written.
    pub fn graph(&self, graph: &Graph) -> f64 {
        let live = graph.live();
        let mut readers = vec![0usize; graph.len()];
        let nodes = || graph.nodes().filter(|n| live[n.index()]);
        for node in nodes() {
            graph.operands(node).iter().for_each(|o| readers[o.index()] += 1);
        }
        for (_, output) in graph.outputs() {
            readers[output.index()] += 1;
        }
        let mut total = 0.0;
        for node in nodes() {
            let operands = graph.operands(node);
            let types: Vec<&TensorType> = operands.iter().map(|&o| graph.ty(o)).collect();
            let mut work = self.operation(graph.op(node), &types, graph.ty(node));
            let product = operands
                .iter()
                .find(|&&o| readers[o.index()] == 1 && matches!(graph.op(o), Op::Contract(_)));
            if let Some(&product) = product
                && is_epilogue(graph, node, product)
            {
                work.load -= self.traffic(graph.ty(product));
                work.dispatch = 0.0;
                total -= self.traffic(graph.ty(product));
            }
            total += work.time();
        }
        total
    }
}

/// How many elements of an operand are read over a space.
fn read(map: &IndexMap, space: &[usize]) -> f64 {
    map.0.iter().filter_map(|a| a.axis).map(|axis| space[usize::from(axis)] as f64).product()
}

/// Whether a node can be computed as the product's elements are: it reads them in place.
fn is_epilogue(graph: &Graph, node: NodeId, product: NodeId) -> bool {
    match graph.op(node) {
        Op::Map(_) | Op::Convert(_) => true,
        Op::Fused(fused) => {
            let at = graph.operands(node).iter().position(|&o| o == product);
            let map = &fused.maps[at.expect("an operand")];
            fused.reduce.is_none() && *map == IndexMap::identity(fused.space.len())
        }
        _ => false,
    }
}

/// Units of an instruction of a fused body.
pub fn instruction(inst: &LambdaInst) -> f64 {
    match inst {
        LambdaInst::Arg(_) | LambdaInst::Const(_) => 0.0,
        LambdaInst::Index(..) | LambdaInst::Convert(..) => 1.0,
        LambdaInst::CheckIndex(..) => 2.0,
        LambdaInst::Map(map, _) => f64::from(map.row().cost),
    }
}

/// Whether an operand is read against the order of memory: its last axis does not follow the last
/// axis of the space, but some axis does.
pub fn is_strided(map: &IndexMap, rank: usize) -> bool {
    let Some(inner) = rank.checked_sub(1) else { return false };
    let last = map.0.last();
    let follows = |a: &&crate::graph::fused::AxisIndex| a.axis == Some(inner as u8);
    let unit = last.is_some_and(|a| follows(&a) && a.step == 1);
    !unit && map.0.iter().any(|a| follows(&a))
}

/// Units of an operation inside a fused body; `None` where it cannot be part of one.
pub fn fusible(op: &Op, operand: Option<&TensorType>, ty: &TensorType) -> Option<f64> {
    match op {
        Op::Map(map) => Some(f64::from(map.row().cost)),
        Op::Convert(_) => Some(1.0),
        Op::CheckIndex(_) => Some(2.0),
        Op::Iota { .. } => Some(1.0),
        Op::Reshape(_) | Op::Transpose(_) | Op::Broadcast { .. } | Op::Slice { .. } => {
            let Class::View(map) = op.row().class else { return None };
            map(op, operand?, ty).map(|_| 0.0)
        }
        _ => None,
    }
}

/// Number of elements.
pub fn elements(ty: &TensorType) -> f64 {
    ty.shape.iter().map(|d| size(d) as f64).product()
}

fn width(dtype: DType) -> f64 {
    match dtype {
        DType::F64 | DType::I64 => 2.0,
        _ => 1.0,
    }
}
