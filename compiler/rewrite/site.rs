//! Where a rule looks, and the term it puts in place of what it found.
//!
//! A rule gets a [`Site`]: a class, one e-node of it, and the e-graph around. It builds its right
//! side with the site's constructors and hands it over with [`Site::emit`]. Constructors drop
//! operations that do nothing (a transpose by the identity, a reshape to the same shape), and what
//! the e-graph already has is found rather than built: a right side that is already equal to the
//! class counts as no match, so a saturated e-graph has no matches left.
//!
//! Searching does not change the e-graph: new e-nodes stay in the [`Found`] until it is applied.

use super::analysis::{EGraph, Facts, add_node, size};
use super::language::{ENode, Kind, Shared};
use crate::graph::fused::ReduceOp;
use crate::graph::ops::{Axes, Contraction};
use crate::graph::{Dim, MapOp, Op, TensorType};
use egg::Id;
use smallvec::SmallVec;
use std::sync::Arc;
use tensc_runtime::{DType, Scalar};

/// An operand of a term: a class, or an e-node that the term adds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Ref {
    /// Already there.
    Class(Id),
    /// The new e-node of this number.
    New(u16),
}

impl From<Id> for Ref {
    fn from(id: Id) -> Ref {
        Ref::Class(id)
    }
}

/// What a rule would put in place of an e-node.
#[derive(Clone, Debug)]
pub struct Found {
    /// The class it is equal to.
    pub class: Id,
    /// The e-node that matched.
    pub node: ENode,
    /// New e-nodes in order.
    new: Vec<(Shared, SmallVec<[Ref; 3]>)>,
    /// The replacement.
    root: Ref,
}

impl Found {
    /// Adds the term and unites it with the class, for the reason `rule`. Whether anything changed.
    pub fn apply(&self, egraph: &mut EGraph, rule: &'static str) -> bool {
        let mut ids: SmallVec<[Id; 8]> = SmallVec::new();
        for (shared, operands) in &self.new {
            let children = operands.iter().map(|&r| resolve(&ids, r));
            let node = ENode::new(shared.clone(), children);
            ids.push(add_node(egraph, self.class, rule, node));
        }
        let root = resolve(&ids, self.root);
        let site = if egraph.are_explanations_enabled() {
            egraph.add_uncanonical(self.node.clone())
        } else {
            self.class
        };
        egraph.union_trusted(site, root, rule)
    }
    /// The new e-nodes in order, operations with operands.
    pub fn terms(&self) -> &[(Shared, SmallVec<[Ref; 3]>)] {
        &self.new
    }
    /// The replacement.
    pub fn root(&self) -> Ref {
        self.root
    }
}

fn resolve(ids: &[Id], r: Ref) -> Id {
    match r {
        Ref::Class(id) => id,
        Ref::New(n) => ids[usize::from(n)],
    }
}

/// A class in which a rule looks at one e-node.
pub struct Site<'a> {
    egraph: &'a EGraph,
    class: Id,
    new: Vec<(Shared, SmallVec<[Ref; 3]>)>,
    types: Vec<Arc<TensorType>>,
    found: Vec<Found>,
}

impl<'a> Site<'a> {
    /// The site of class `class`.
    pub fn new(egraph: &'a EGraph, class: Id) -> Site<'a> {
        Site { egraph, class, new: Vec::new(), types: Vec::new(), found: Vec::new() }
    }
    /// What rules handed over.
    pub fn into_found(self) -> Vec<Found> {
        self.found
    }
    /// Moves to another class, keeping what was found.
    pub fn enter(&mut self, class: Id) {
        self.class = class;
        self.new.clear();
        self.types.clear();
    }
    /// How many replacements were handed over.
    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// The class the rule looks at.
    pub fn class(&self) -> Id {
        self.class
    }
    /// The e-graph.
    pub fn egraph(&self) -> &'a EGraph {
        self.egraph
    }
    /// What is known of a class.
    pub fn facts(&self, id: Id) -> &'a Facts {
        &self.egraph[id].data
    }
    /// Axis sizes of a class.
    pub fn dims(&self, id: Id) -> SmallVec<[i64; 4]> {
        self.facts(id).dims()
    }
    /// Number of axes of a class.
    pub fn rank(&self, id: Id) -> usize {
        self.facts(id).ty.rank()
    }
    /// Element type of a class.
    pub fn dtype(&self, id: Id) -> DType {
        self.facts(id).ty.dtype
    }
    /// The value that every element of a class has.
    pub fn constant(&self, id: Id) -> Option<Scalar> {
        self.facts(id).constant
    }
    /// Whether every element of a class is the number `x`, sign of zero included.
    pub fn is(&self, id: Id, x: f64) -> bool {
        self.constant(id).is_some_and(|c| c.is(x))
    }
    /// Whether both are one class.
    pub fn same(&self, a: Id, b: Id) -> bool {
        self.egraph.find(a) == self.egraph.find(b)
    }
    /// The e-nodes of a class that are of a kind.
    pub fn nodes(&self, id: Id, kind: Kind) -> impl Iterator<Item = &'a ENode> + use<'a> {
        self.egraph[id].nodes.iter().filter(move |n| n.kind() == kind)
    }
    /// The operand of the first e-node of this kind in a class.
    pub fn under(&self, id: Id, kind: Kind) -> Option<Id> {
        self.nodes(id, kind).next().map(|n| n.children[0])
    }
    /// The class of an elementwise operation on classes, where the e-graph has it.
    pub fn lookup(&self, map: MapOp, operands: &[Id]) -> Option<Id> {
        let shared = self.egraph.analysis.symbols.op(map);
        self.egraph.lookup(ENode::new(shared, operands.iter().copied()))
    }

    /// The type of an operand.
    pub fn ty(&self, r: impl Into<Ref>) -> Arc<TensorType> {
        match r.into() {
            Ref::Class(id) => Arc::clone(&self.facts(id).ty),
            Ref::New(n) => Arc::clone(&self.types[usize::from(n)]),
        }
    }

    /// An operation. Panics where the operands do not fit: the rule is wrong.
    pub fn op(&mut self, op: impl Into<Op>, operands: &[Ref]) -> Ref {
        let op = op.into();
        let types: SmallVec<[Arc<TensorType>; 3]> = operands.iter().map(|&r| self.ty(r)).collect();
        let types: SmallVec<[&TensorType; 3]> = types.iter().map(|t| &**t).collect();
        let ty = op.infer(&types).unwrap_or_else(|e| {
            panic!("a rule applies {op:?} to operands it does not take: {}", e.message)
        });
        let shared = self.egraph.analysis.symbols.op(op);
        let classes: Option<SmallVec<[Id; 4]>> = operands
            .iter()
            .map(|r| match r {
                Ref::Class(id) => Some(*id),
                Ref::New(_) => None,
            })
            .collect();
        if let Some(children) = classes
            && let Some(id) = self.egraph.lookup(ENode { shared: shared.clone(), children })
        {
            return Ref::Class(id);
        }
        let known =
            |(s, o): &(Shared, SmallVec<[Ref; 3]>)| *s == shared && o.as_slice() == operands;
        if let Some(at) = self.new.iter().position(known) {
            return Ref::New(u16::try_from(at).expect("terms are small"));
        }
        let at = u16::try_from(self.new.len()).expect("terms are small");
        self.new.push((shared, SmallVec::from_slice(operands)));
        self.types.push(Arc::new(ty));
        Ref::New(at)
    }

    /// An elementwise operation.
    pub fn map(&mut self, map: MapOp, operands: &[Ref]) -> Ref {
        self.op(map, operands)
    }
    /// A constant tensor.
    pub fn splat(&mut self, value: Scalar, shape: &[Dim]) -> Ref {
        let scalar = self.op(Op::Const(value), &[]);
        self.broadcast(scalar, shape, &[])
    }
    /// A constant of the type of `like` (shape and element type).
    pub fn like(&mut self, value: f64, like: impl Into<Ref>) -> Ref {
        let ty = self.ty(like);
        self.splat(Scalar::from_f64(ty.dtype, value), &ty.shape)
    }
    /// The operand with its axes at `axes` of a new shape.
    pub fn broadcast(&mut self, x: impl Into<Ref>, shape: &[Dim], axes: &[u8]) -> Ref {
        let x = x.into();
        if self.ty(x).rank() == shape.len() {
            return x;
        }
        let (shape, axes) = (shape.iter().cloned().collect(), Axes::from_slice(axes));
        self.op(Op::Broadcast { shape, axes }, &[x])
    }
    /// The operand with axes reordered.
    pub fn transpose(&mut self, x: impl Into<Ref>, perm: &[u8]) -> Ref {
        let x = x.into();
        if perm.iter().enumerate().all(|(i, &axis)| i == usize::from(axis)) {
            return x;
        }
        self.op(Op::Transpose(Axes::from_slice(perm)), &[x])
    }
    /// The operand under another shape.
    pub fn reshape(&mut self, x: impl Into<Ref>, shape: &[Dim]) -> Ref {
        let x = x.into();
        if self.ty(x).shape.as_slice() == shape {
            return x;
        }
        self.op(Op::Reshape(shape.iter().cloned().collect()), &[x])
    }
    /// The operand combined along axes (in any order).
    pub fn reduce(&mut self, reduce: ReduceOp, x: impl Into<Ref>, axes: &[u8]) -> Ref {
        let x = x.into();
        if axes.is_empty() {
            return x;
        }
        let mut axes = Axes::from_slice(axes);
        axes.sort_unstable();
        self.op(Op::Reduce(reduce, axes), &[x])
    }
    /// A contraction.
    pub fn contract(&mut self, c: Contraction, a: impl Into<Ref>, b: impl Into<Ref>) -> Ref {
        self.op(Op::Contract(c), &[a.into(), b.into()])
    }
    /// `x * factor`.
    pub fn scale(&mut self, x: impl Into<Ref>, factor: f64) -> Ref {
        let x = x.into();
        let factor = self.like(factor, x);
        self.map(MapOp::Mul, &[x, factor])
    }

    /// A tensor without an axis along which class `x` does not change, made from what `x` repeats.
    pub fn without_axes(&mut self, x: Id, axes: &[u8]) -> Option<Ref> {
        let ty = self.ty(x);
        let rank = ty.rank() as u8;
        let shape: SmallVec<[Dim; 4]> = (0..rank)
            .filter(|a| !axes.contains(a))
            .map(|a| ty.shape[usize::from(a)].clone())
            .collect();
        if let Some(value) = self.constant(x) {
            return Some(self.splat(value, &shape));
        }
        let node = self.nodes(x, Kind::Broadcast).find(|n| match n.op() {
            Some(Op::Broadcast { axes: to, .. }) => to.iter().all(|a| !axes.contains(a)),
            _ => false,
        })?;
        let Some(Op::Broadcast { axes: to, .. }) = node.op() else { return None };
        let moved = |a: &u8| a - axes.iter().filter(|dropped| *dropped < a).count() as u8;
        let to: Axes = to.iter().map(moved).collect();
        Some(self.broadcast(node.children[0], &shape, &to))
    }

    /// Hands over `root` as equal to the class. Nothing happens where the e-graph knows that.
    pub fn emit(&mut self, node: &ENode, root: impl Into<Ref>) {
        let root = root.into();
        let known = matches!(root, Ref::Class(id) if self.same(id, self.class));
        if !known {
            debug_assert_eq!(
                *self.ty(root),
                *self.ty(self.class),
                "a rule keeps the type of {node:?}"
            );
            let new = std::mem::take(&mut self.new);
            self.found.push(Found { class: self.class, node: node.clone(), new, root });
        }
        self.new.clear();
        self.types.clear();
    }
}

/// A size as an index of axes and elements.
pub fn extent(dim: &Dim) -> i64 {
    size(dim)
}
