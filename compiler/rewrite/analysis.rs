//! What is known of each class: its type, whether it is one constant, between which bounds its
//! values lie, and along which axes they do not change.
//!
//! Invariant: every e-node of a class has the class's type. Where a union would break it, a rule is
//! wrong: that panics in debug builds, and in release builds it is noted as `broken`, upon which
//! `optimise` returns the graph it was given.
//!
//! Classes that are one constant get that constant as an e-node as soon as it is known, so that
//! folding needs no rule.

use super::interval::Interval;
use super::language::{ENode, Kind, Symbol, Symbols};
use crate::graph::fused::ReduceOp;
use crate::graph::{Dim, MapOp, Op, TensorType};
use egg::{DidMerge, Id};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::sync::Arc;
use tensc_runtime::{DType, Scalar};

/// The e-graph of a tensor graph.
pub type EGraph = egg::EGraph<ENode, Analysis>;

/// The reason that explanations give for a constant's e-node.
pub const FOLD: &str = "fold-constant";

/// What is known of every value of a class.
#[derive(Clone, PartialEq, Debug)]
pub struct Facts {
    /// Element type and shape.
    pub ty: Arc<TensorType>,
    /// Every element is this.
    pub constant: Option<Scalar>,
    /// Bounds of the elements.
    pub interval: Interval,
    /// Bit `i`: the elements do not depend on the index along axis `i`.
    pub uniform: u16,
}

impl Facts {
    /// Axis sizes.
    pub fn dims(&self) -> SmallVec<[i64; 4]> {
        self.ty.shape.iter().map(size).collect()
    }
    /// Number of elements.
    pub fn elements(&self) -> i64 {
        self.ty.shape.iter().map(size).product()
    }
}

/// A size of a concrete graph.
pub fn size(dim: &Dim) -> i64 {
    dim.known().expect("sizes are known in a concrete graph")
}

/// Which rule made an e-node, and in place of what.
#[derive(Clone, Copy, Debug)]
pub struct Maker {
    /// The name of the rule.
    pub rule: &'static str,
    /// The class of the rule's left side.
    pub site: Id,
}

/// What the e-graph knows beside its classes.
#[derive(Default)]
pub struct Analysis {
    /// The table of operations.
    pub symbols: Symbols,
    /// By e-node id: who made it. Ids that are absent came with the graph.
    pub makers: FxHashMap<Id, Maker>,
    /// E-nodes that a numerically better one replaces: extraction takes them only where it must.
    pub superseded: Vec<ENode>,
    /// Every application that changed something: the rule and the class of its left side.
    pub applied: Vec<(&'static str, Id)>,
    /// Why the e-graph is not to be trusted: a rule united classes of different types.
    pub broken: Option<String>,
}

impl egg::Analysis<ENode> for Analysis {
    type Data = Facts;

    fn make(egraph: &mut EGraph, node: &ENode, _: Id) -> Facts {
        derive(egraph, node)
    }

    fn merge(&mut self, to: &mut Facts, from: Facts) -> DidMerge {
        if to.ty != from.ty && !Arc::ptr_eq(&to.ty, &from.ty) {
            let message = format!("a rule united {} with {}", to.ty, from.ty);
            debug_assert!(false, "{message}");
            self.broken = Some(message);
            return DidMerge(false, false);
        }
        let joint = Facts {
            ty: Arc::clone(&to.ty),
            constant: to.constant.or(from.constant),
            interval: to.interval.meet(from.interval),
            uniform: to.uniform | from.uniform,
        };
        let same = |a: &Facts, b: &Facts| {
            a.constant == b.constant && a.interval == b.interval && a.uniform == b.uniform
        };
        let changed = DidMerge(!same(to, &joint), !same(&from, &joint));
        *to = joint;
        changed
    }

    fn modify(egraph: &mut EGraph, id: Id) {
        let class = &egraph[id];
        let Some(constant) = class.data.constant else { return };
        let is_constant = |n: &ENode| match n.kind() {
            Kind::Const => true,
            Kind::Broadcast => {
                matches!(n.op(), Some(Op::Broadcast { axes, .. }) if axes.is_empty())
            }
            _ => false,
        };
        if class.nodes.iter().any(is_constant) {
            return;
        }
        let shape = class.data.ty.shape.clone();
        let mut folded = add_by(egraph, id, FOLD, Op::Const(constant), &[]);
        if !shape.is_empty() {
            let op = Op::Broadcast { shape, axes: SmallVec::new() };
            folded = add_by(egraph, id, FOLD, op, &[folded]);
        }
        egraph.union_trusted(id, folded, FOLD);
    }
}

/// Adds an e-node that `rule` makes in place of class `site`.
pub fn add_by(
    egraph: &mut EGraph,
    site: Id,
    rule: &'static str,
    op: impl Into<Op>,
    children: &[Id],
) -> Id {
    let shared = egraph.analysis.symbols.op(op);
    add_node(egraph, site, rule, ENode::new(shared, children.iter().copied()))
}

/// As [`add_by`], for an e-node. The id is the e-node's own, which explanations need.
pub fn add_node(egraph: &mut EGraph, site: Id, rule: &'static str, node: ENode) -> Id {
    let before = egraph.nodes().len();
    let id = egraph.add_uncanonical(node);
    if egraph.nodes().len() > before {
        egraph.analysis.makers.entry(id).or_insert(Maker { rule, site });
    }
    id
}

/// The type an operation gives for classes, or why it has none.
pub fn infer(egraph: &EGraph, op: &Op, children: &[Id]) -> Result<TensorType, String> {
    let operands: SmallVec<[Arc<TensorType>; 3]> =
        children.iter().map(|&c| Arc::clone(&egraph[c].data.ty)).collect();
    let operands: SmallVec<[&TensorType; 3]> = operands.iter().map(|ty| &**ty).collect();
    op.infer(&operands).map_err(|error| error.message)
}

fn derive(egraph: &EGraph, node: &ENode) -> Facts {
    let op = match node.shared.symbol() {
        Symbol::Outputs => {
            let ty = Arc::new(TensorType::scalar(DType::Bool));
            let interval = Interval::of(DType::Bool);
            return Facts { ty, constant: None, interval, uniform: 0 };
        }
        Symbol::Input(_, ty) => {
            let interval = Interval::of(ty.dtype);
            return Facts { ty: Arc::new(ty.clone()), constant: None, interval, uniform: 0 };
        }
        Symbol::Op(op) => op,
    };
    let operands: SmallVec<[&Facts; 3]> = node.children.iter().map(|&c| &egraph[c].data).collect();
    let types: SmallVec<[&TensorType; 3]> = operands.iter().map(|f| &*f.ty).collect();
    let ty = op.infer(&types).unwrap_or_else(|error| {
        panic!("a rule applied {op:?} to operands it does not take: {error:?}")
    });
    // Most operations keep the type of an operand: share it.
    let ty = match operands.iter().find(|f| *f.ty == ty) {
        Some(operand) => Arc::clone(&operand.ty),
        None => Arc::new(ty),
    };
    let constant = constant(op, &operands);
    let interval = match constant {
        Some(value) => Interval::point(value),
        None => interval(egraph, node, op, &operands, &ty),
    };
    let uniform = if constant.is_some() { u16::MAX } else { uniform(op, &operands) };
    let uniform = uniform & mask_below(ty.rank());
    Facts { ty, constant, interval, uniform }
}

fn constant(op: &Op, operands: &[&Facts]) -> Option<Scalar> {
    let first = || operands.first().and_then(|f| f.constant);
    match op {
        Op::Const(value) => Some(*value),
        Op::Size(dim, dtype) => dim.known().map(|n| Scalar::from_i64(*dtype, n)),
        Op::Map(map) => {
            let values: Option<SmallVec<[Scalar; 3]>> =
                operands.iter().map(|f| f.constant).collect();
            Some(map.row().scalar(&values?))
        }
        Op::Convert(dtype) => first().map(|value| {
            if value.dtype().is_float() {
                Scalar::from_f64(*dtype, value.to_f64())
            } else {
                Scalar::from_i64(*dtype, value.to_i64())
            }
        }),
        Op::Reshape(_)
        | Op::Transpose(_)
        | Op::Broadcast { .. }
        | Op::Slice { .. }
        | Op::Window(_)
        | Op::Diagonal(..) => first(),
        Op::Reduce(reduce, axes) => {
            let n = reduced(operands[0], axes);
            let same = match reduce {
                ReduceOp::Max | ReduceOp::Min | ReduceOp::Any | ReduceOp::All => n > 0,
                ReduceOp::Sum | ReduceOp::Prod => n == 1,
            };
            if same { first() } else { None }
        }
        Op::Pad { .. } => {
            let (inside, around) = (operands[0].constant?, operands[1].constant?);
            (inside == around).then_some(inside)
        }
        Op::Iota { shape, axis, dtype } => {
            let one = size(&shape[usize::from(*axis)]) == 1;
            one.then(|| Scalar::from_i64(*dtype, 0))
        }
        Op::Concat(_) => {
            let value = first()?;
            operands.iter().all(|f| f.constant == Some(value)).then_some(value)
        }
        Op::After => first(),
        Op::Input(_)
        | Op::Literal(_)
        | Op::CheckIndex(_)
        | Op::ArgReduce(..)
        | Op::Running(..)
        | Op::Recur(_)
        | Op::Linear(_)
        | Op::Argsort { .. }
        | Op::Contract(_)
        | Op::Gather(_)
        | Op::ScatterAdd(_)
        | Op::Random { .. }
        | Op::FoldKey
        | Op::Scan(_)
        | Op::Call(_)
        | Op::Fused(_) => None,
    }
}

/// How many elements of the operand one element of the result combines.
pub fn reduced(operand: &Facts, axes: &[u8]) -> i64 {
    axes.iter().map(|&a| size(&operand.ty.shape[usize::from(a)])).product()
}

fn interval(
    egraph: &EGraph,
    node: &ENode,
    op: &Op,
    operands: &[&Facts],
    ty: &TensorType,
) -> Interval {
    let all = Interval::of(ty.dtype);
    let positions = |n: i64| Interval::between(0.0, (n - 1).max(0) as f64);
    match op {
        Op::Map(map) => {
            let of: SmallVec<[Interval; 3]> = operands.iter().map(|f| f.interval).collect();
            let interval = Interval::map(*map, ty.dtype, &of);
            let shifted = *map == MapOp::Sub && ty.dtype.is_float();
            if shifted && is_maximum_of(egraph, node.children[1], node.children[0]) {
                // x - max(x): not above 0 where it is a number; of integers it may wrap.
                return interval.meet(Interval { high: 0.0, ..all });
            }
            interval
        }
        Op::Convert(_) => operands[0].interval.convert(operands[0].ty.dtype, ty.dtype),
        Op::CheckIndex(bound) => match operands[0].interval {
            // A negative index counts from the end: it becomes another number.
            index if index.low < 0.0 => positions(size(bound)),
            index => index.meet(positions(size(bound))),
        },
        Op::Reshape(_)
        | Op::Transpose(_)
        | Op::Broadcast { .. }
        | Op::Slice { .. }
        | Op::Window(_)
        | Op::Diagonal(..)
        | Op::Gather(_)
        | Op::After => operands[0].interval,
        Op::Pad { .. } | Op::Concat(_) => {
            operands.iter().map(|f| f.interval).reduce(Interval::hull).unwrap_or(all)
        }
        Op::Iota { shape, axis, dtype } => {
            positions(size(&shape[usize::from(*axis)])).convert(DType::I64, *dtype)
        }
        Op::Reduce(ReduceOp::Max | ReduceOp::Min, axes) if reduced(operands[0], axes) > 0 => {
            operands[0].interval
        }
        Op::Reduce(ReduceOp::Sum, axes) => {
            let n = usize::try_from(reduced(operands[0], axes)).unwrap_or(usize::MAX);
            operands[0].interval.sum(n, ty.dtype)
        }
        Op::Contract(_) => {
            let (a, b) = (operands[0].interval, operands[1].interval);
            let bounded = a.is_finite() && b.is_finite() && ty.dtype.is_float();
            if bounded && a.low >= 0.0 && b.low >= 0.0 {
                Interval { low: 0.0, high: f64::INFINITY, nan: false }
            } else {
                all
            }
        }
        Op::ArgReduce(_, axis) | Op::Argsort { axis, .. } => {
            let n = size(&operands[0].ty.shape[usize::from(*axis)]);
            positions(n)
        }
        Op::Random { draw, .. } => match draw {
            crate::graph::ops::Draw::Uniform => Interval::between(0.0, 1.0),
            crate::graph::ops::Draw::Normal => Interval { nan: false, ..all },
            crate::graph::ops::Draw::Bits => all,
        },
        Op::Literal(literal) if literal.0.shape().iter().product::<usize>() <= 4096 => {
            let values = literal.0.to_f64_vec();
            let of = |x: &f64| Interval::number(*x, ty.dtype);
            values.iter().map(of).reduce(Interval::hull).unwrap_or(all)
        }
        Op::Input(_)
        | Op::Const(_)
        | Op::Literal(_)
        | Op::Size(..)
        | Op::Reduce(..)
        | Op::Running(..)
        | Op::Recur(_)
        | Op::Linear(_)
        | Op::ScatterAdd(_)
        | Op::FoldKey
        | Op::Scan(_)
        | Op::Call(_)
        | Op::Fused(_) => all,
    }
}

/// Whether class `maximum` is the largest of `x` along some axes, repeated along them.
fn is_maximum_of(egraph: &EGraph, maximum: Id, x: Id) -> bool {
    let repeated = |n: &ENode| match n.op() {
        Some(Op::Broadcast { axes, .. }) => is_largest_over_others(egraph, n.children[0], x, axes),
        _ => false,
    };
    egraph[maximum].nodes.iter().any(repeated)
}

/// Whether class `largest` is the largest of `x` along all axes but these.
pub fn is_largest_over_others(egraph: &EGraph, largest: Id, x: Id, kept: &[u8]) -> bool {
    let x = egraph.find(x);
    let rank = egraph[x].data.ty.rank() as u8;
    egraph[largest].nodes.iter().any(|n| match n.op() {
        Some(Op::Reduce(ReduceOp::Max, axes)) => {
            egraph.find(n.children[0]) == x
                && (0..rank).filter(|axis| !axes.contains(axis)).eq(kept.iter().copied())
        }
        _ => false,
    })
}

fn uniform(op: &Op, operands: &[&Facts]) -> u16 {
    match op {
        Op::Map(_) | Op::Convert(_) | Op::CheckIndex(_) => {
            operands.iter().fold(u16::MAX, |mask, f| mask & f.uniform)
        }
        Op::Broadcast { axes, .. } => {
            let mut mask = u16::MAX;
            for (from, &to) in axes.iter().enumerate() {
                if operands[0].uniform & (1 << from) == 0 {
                    mask &= !(1 << to);
                }
            }
            mask
        }
        Op::Transpose(perm) => {
            let from = |&axis: &u8| u16::from(operands[0].uniform & (1 << axis) != 0);
            perm.iter().enumerate().fold(0, |mask, (to, axis)| mask | (from(axis) << to))
        }
        Op::Slice { .. } => operands[0].uniform,
        Op::Iota { axis, .. } => !(1 << axis),
        Op::Reduce(_, axes) => {
            let kept = (0..operands[0].ty.rank()).filter(|&a| !axes.contains(&(a as u8)));
            kept.enumerate().fold(0, |mask, (to, from)| {
                mask | (u16::from(operands[0].uniform & (1 << from) != 0) << to)
            })
        }
        _ => 0,
    }
}

fn mask_below(rank: usize) -> u16 {
    if rank >= 16 { u16::MAX } else { (1 << rank) - 1 }
}
