//! The typed graph IR: a DAG of primitive operations on tensors.
//!
//! A [`Graph`] is append-only: a node is added after its operands, so ascending [`NodeId`]s are a
//! topological order. Sizes are [`Dim`]s: the checker builds graphs over *named* sizes, autodiff
//! works on those, and [`Graph::with_sizes`] replaces the names by integers; every later stage
//! takes a graph whose sizes are all known ([`Graph::is_concrete`]).
//!
//! Invariants (`verify`): each node's type is what its operation's shape rule derives from its
//! operands; inputs and outputs are named, and names are unique; every operation has one result.
//!
//! Neighbours: `ops` is the one table of operations; `builder` makes nodes; `text` prints and
//! parses; `interpret` is the naive oracle. Above: `autodiff` and `rewrite` map graphs to graphs.

pub mod builder;
mod calls;
pub mod dim;
pub mod dot;
pub mod fused;
pub mod interpret;
pub mod ops;
mod substitute;
#[doc(hidden)]
pub mod testing;
pub mod text;
pub mod verify;
mod wide;

pub use builder::Builder;
pub use dim::{Dim, DimVar};
pub use fused::{Fused, IndexMap, Lambda};
pub use interpret::interpret;
pub use ops::{MapOp, Op};
pub use substitute::SizeError;
pub(crate) use substitute::both_halves;
pub use verify::verify;

use crate::diag::Span;
use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;
use smallvec::SmallVec;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::OnceLock;
use tensc_runtime::{DType, Shape};

/// A node of a [`Graph`]. Ascending ids are a topological order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct NodeId(NodeIndex<u32>);

impl NodeId {
    /// The node added `index`-th.
    pub fn from_index(index: usize) -> NodeId {
        NodeId(NodeIndex::new(index))
    }
    /// How many nodes were added before it.
    pub fn index(self) -> usize {
        self.0.index()
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "%{}", self.index())
    }
}

/// The type of a node's one result.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct TensorType {
    /// Element type.
    pub dtype: DType,
    /// Axis sizes, outermost first; empty for a scalar.
    pub shape: SmallVec<[Dim; 4]>,
}

impl TensorType {
    /// `dtype[shape]`.
    pub fn new(dtype: DType, shape: impl IntoIterator<Item = Dim>) -> TensorType {
        TensorType { dtype, shape: shape.into_iter().collect() }
    }
    /// A rank-0 type.
    pub fn scalar(dtype: DType) -> TensorType {
        TensorType { dtype, shape: SmallVec::new() }
    }
    /// Number of axes.
    pub fn rank(&self) -> usize {
        self.shape.len()
    }
    /// The shape with another element type.
    pub fn with_dtype(&self, dtype: DType) -> TensorType {
        TensorType { dtype, shape: self.shape.clone() }
    }
    /// Number of elements.
    pub fn elements(&self) -> Dim {
        self.shape.iter().cloned().fold(Dim::Const(1), |a, b| a * b)
    }
    /// The shape as integers. Panics where a size is still a name: only concrete graphs get here.
    pub fn concrete_shape(&self) -> Shape {
        let size = |d: &Dim| {
            let n = d.known().expect("sizes are known in a concrete graph");
            usize::try_from(n).expect("sizes are not negative")
        };
        self.shape.iter().map(size).collect()
    }
    /// Whether the sizes that are known, axes without elements aside, fit the address space.
    pub fn fits_memory(&self) -> bool {
        let known = self.shape.iter().filter_map(Dim::known);
        let mut known = known.map(|size| usize::try_from(size).ok());
        let bytes =
            known.try_fold(self.dtype.size(), |bytes, size| bytes.checked_mul(size?.max(1)));
        bytes.is_some_and(|bytes| bytes <= isize::MAX as usize)
    }
    /// The type with every size replaced.
    pub fn map_dims(&self, f: &mut dyn FnMut(&Dim) -> Dim) -> TensorType {
        TensorType { dtype: self.dtype, shape: self.shape.iter().map(f).collect() }
    }
    /// Whether every size is an integer.
    pub fn is_concrete(&self) -> bool {
        self.shape.iter().all(|d| d.known().is_some())
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.dtype)?;
        if !self.shape.is_empty() {
            let dims: Vec<String> = self.shape.iter().map(ToString::to_string).collect();
            write!(f, "[{}]", dims.join(", "))?;
        }
        Ok(())
    }
}

/// What made a node.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Via {
    /// The source wrote it.
    #[default]
    Source,
    /// The tangent (jvp rule) of what the span holds.
    Tangent,
    /// The cotangent (transpose rule) of what the span holds.
    Cotangent,
    /// The rewrite rule of this name.
    Rewrite(&'static str),
}

/// Provenance: where in the source a node comes from, and by which derivation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Origin {
    /// The expression; `None` in graphs that no source made.
    pub span: Option<Span>,
    /// Where the program calls the library, if the expression is inside of that.
    pub call: Option<Span>,
    /// The derivation.
    pub via: Via,
}

impl Origin {
    /// Written in the source at `span`.
    pub fn source(span: Span) -> Origin {
        Origin { span: Some(span), call: None, via: Via::Source }
    }
    /// The same place by another derivation.
    pub fn by(self, via: Via) -> Origin {
        Origin { via, ..self }
    }
}

/// An operation with the type of its result and where it came from.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// The operation with its attributes.
    pub op: Op,
    /// What the operation's shape rule gives for its operands.
    pub ty: TensorType,
    /// Provenance.
    pub origin: Origin,
}

/// The operands of a node in order.
pub type Operands = SmallVec<[NodeId; 3]>;

/// A DAG of operations with named inputs and outputs.
#[derive(Clone, Default)]
pub struct Graph {
    dag: DiGraph<Node, u16, u32>,
    inputs: Vec<(String, NodeId)>,
    outputs: Vec<(String, NodeId)>,
    known: OnceLock<Known>,
}

/// What is asked of the graphs inside of others again and again, for each result of a loop: whose
/// step may have such loops too.
#[derive(Clone, Copy)]
struct Known {
    hash: u128,
    has_calls: bool,
    fits_memory: bool,
}

impl Graph {
    /// A graph without nodes.
    pub fn new() -> Graph {
        Graph::default()
    }

    /// Adds a node whose type the operation's shape rule derives.
    ///
    /// # Errors
    /// Where the operands do not satisfy the operation's constraints.
    pub fn add(
        &mut self,
        op: Op,
        operands: &[NodeId],
        origin: Origin,
    ) -> Result<NodeId, ops::TypeError> {
        let ty = {
            let types: SmallVec<[&TensorType; 3]> = operands.iter().map(|&n| self.ty(n)).collect();
            op.infer(&types)?
        };
        self.known.take();
        let id = self.dag.add_node(Node { op, ty, origin });
        for (position, operand) in operands.iter().enumerate() {
            let position = u16::try_from(position).expect("fewer than 2^16 operands");
            self.dag.add_edge(operand.0, id, position);
        }
        Ok(NodeId(id))
    }

    /// The node of an operation whose only fault is that no memory holds its result.
    fn add_beyond_memory(&mut self, op: &Op, of: &[NodeId], origin: Origin) -> Option<NodeId> {
        let ty = {
            let types: SmallVec<[&TensorType; 3]> = of.iter().map(|&n| self.ty(n)).collect();
            op.infer_of_any_size(&types).ok().filter(|ty| !ty.fits_memory())?
        };
        Some(self.copied(op.clone(), ty, of, origin))
    }

    /// A type that an output needs and no memory holds: derived graphs may have one.
    pub fn beyond_memory(&self) -> Option<&TensorType> {
        if self.known().fits_memory {
            return None;
        }
        let live = self.live();
        self.nodes().find_map(|id| match self.op(id) {
            _ if !live[id.index()] => None,
            _ if !self.ty(id).fits_memory() => Some(self.ty(id)),
            Op::Scan(scan) => scan.step.beyond_memory(),
            Op::Call(call) => call.body.beyond_memory(),
            _ => None,
        })
    }

    /// Adds a node whose type is known to be what its operation gives.
    fn copied(&mut self, op: Op, ty: TensorType, operands: &[NodeId], origin: Origin) -> NodeId {
        self.known.take();
        let id = self.dag.add_node(Node { op, ty, origin });
        for (position, operand) in operands.iter().enumerate() {
            self.dag.add_edge(operand.0, id, position as u16);
        }
        NodeId(id)
    }

    /// Adds an input. Its name must be new: [`verify()`] says so where it is not.
    pub fn add_input(&mut self, name: impl Into<String>, ty: TensorType, origin: Origin) -> NodeId {
        let name = name.into();
        let op = Op::Input(ty.clone());
        self.known.take();
        let id = NodeId(self.dag.add_node(Node { op, ty, origin }));
        self.inputs.push((name, id));
        id
    }

    /// Makes `node` an output; one node may be several. The name must be new and the node one of
    /// the graph's: [`verify()`] says so where it is not.
    pub fn add_output(&mut self, name: impl Into<String>, node: NodeId) {
        let name = name.into();
        self.known.take();
        self.outputs.push((name, node));
    }

    /// Forgets the outputs (not the nodes).
    pub fn clear_outputs(&mut self) {
        self.known.take();
        self.outputs.clear();
    }

    /// The node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.dag[id.0]
    }
    /// Its operation.
    pub fn op(&self, id: NodeId) -> &Op {
        &self.node(id).op
    }
    /// Its type.
    pub fn ty(&self, id: NodeId) -> &TensorType {
        &self.node(id).ty
    }
    /// Its operands in order.
    pub fn operands(&self, id: NodeId) -> Operands {
        let edges = self.dag.edges_directed(id.0, Direction::Incoming);
        let mut operands: SmallVec<[(u16, NodeId); 3]> =
            edges.map(|e| (*e.weight(), NodeId(e.source()))).collect();
        operands.sort_unstable();
        operands.into_iter().map(|(_, n)| n).collect()
    }
    /// The nodes that use it, with the operand position, in ascending order.
    pub fn users(&self, id: NodeId) -> SmallVec<[(NodeId, usize); 4]> {
        let edges = self.dag.edges_directed(id.0, Direction::Outgoing);
        let mut users: SmallVec<[(NodeId, usize); 4]> =
            edges.map(|e| (NodeId(e.target()), usize::from(*e.weight()))).collect();
        users.sort_unstable();
        users
    }
    /// All nodes in topological order.
    pub fn nodes(&self) -> impl DoubleEndedIterator<Item = NodeId> + ExactSizeIterator + use<> {
        (0..self.dag.node_count()).map(NodeId::from_index)
    }
    /// Number of nodes.
    pub fn len(&self) -> usize {
        self.dag.node_count()
    }
    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Named inputs in order of declaration.
    pub fn inputs(&self) -> &[(String, NodeId)] {
        &self.inputs
    }
    /// Named outputs in order of declaration.
    pub fn outputs(&self) -> &[(String, NodeId)] {
        &self.outputs
    }
    /// Whether every size in it is an integer.
    pub fn is_concrete(&self) -> bool {
        self.nodes().all(|n| self.ty(n).is_concrete() && self.op(n).is_concrete())
    }

    /// Makes an input that no live node uses an ordinary leaf again: [`Graph::pruned`] drops it.
    pub fn remove_input(&mut self, input: NodeId) {
        self.known.take();
        self.inputs.retain(|(_, node)| *node != input);
    }

    /// A copy with only the nodes that outputs need, and all inputs.
    pub fn pruned(&self) -> Graph {
        let mut pruned = Graph::new();
        let copy = |(name, input): &(String, NodeId)| {
            let node = self.node(*input);
            pruned.add_input(name, node.ty.clone(), node.origin)
        };
        let inputs: Vec<NodeId> = self.inputs.iter().map(copy).collect();
        let outputs = pruned.inline(self, &inputs);
        for ((name, _), node) in self.outputs.iter().zip(outputs) {
            pruned.add_output(name, node);
        }
        pruned
    }

    /// Which nodes some output needs, by node index.
    pub fn live(&self) -> Vec<bool> {
        let mut live = vec![false; self.len()];
        for (_, output) in &self.outputs {
            live[output.index()] = true;
        }
        for id in self.nodes().rev() {
            if live[id.index()] {
                for operand in self.operands(id) {
                    live[operand.index()] = true;
                }
            }
        }
        live
    }

    /// A copy of the nodes of `other` that its outputs need, its inputs replaced by `arguments`
    /// (nodes of `self`); returns the nodes that stand for its outputs.
    ///
    /// Panics where the number or a type of the arguments is not that of the inputs: callers check.
    pub fn inline(&mut self, other: &Graph, arguments: &[NodeId]) -> Vec<NodeId> {
        assert_eq!(arguments.len(), other.inputs.len(), "one argument for each input");
        let mut map: Vec<Option<NodeId>> = vec![None; other.len()];
        for ((name, input), &argument) in other.inputs.iter().zip(arguments) {
            assert_eq!(other.ty(*input), self.ty(argument), "type of argument {name}");
            map[input.index()] = Some(argument);
        }
        let live = other.live();
        for id in other.nodes() {
            if live[id.index()] && map[id.index()].is_none() {
                let node = other.node(id);
                let operands: Operands =
                    other.operands(id).iter().map(|o| map[o.index()].expect("in order")).collect();
                let copy = self.add(node.op.clone(), &operands, node.origin);
                map[id.index()] = Some(copy.expect("a copy has the types of the original"));
            }
        }
        other.outputs.iter().map(|(_, n)| map[n.index()].expect("outputs are live")).collect()
    }
}

impl Graph {
    fn known(&self) -> &Known {
        self.known.get_or_init(|| Known {
            hash: both_halves(|hasher| {
                self.content().for_each(|node| node.hash(hasher));
                (&self.inputs, &self.outputs).hash(hasher);
            }),
            has_calls: self.nodes().any(|id| match self.op(id) {
                Op::Call(_) => true,
                Op::Scan(scan) => scan.step.has_calls(),
                _ => false,
            }),
            fits_memory: self.nodes().all(|id| match self.op(id) {
                _ if !self.ty(id).fits_memory() => false,
                Op::Scan(scan) => scan.step.known().fits_memory,
                Op::Call(call) => call.body.known().fits_memory,
                _ => true,
            }),
        })
    }

    /// Whether some node, or one inside of a loop, is a call.
    pub(crate) fn has_calls(&self) -> bool {
        self.known().has_calls
    }

    /// What two graphs must agree on to be equal, in order: their nodes, their names; origins do
    /// not count.
    fn content(&self) -> impl Iterator<Item = (&Op, &TensorType, Operands)> {
        self.nodes().map(|id| (self.op(id), self.ty(id), self.operands(id)))
    }
}

impl PartialEq for Graph {
    /// The same nodes in the same order, the same names; origins do not count.
    fn eq(&self, other: &Graph) -> bool {
        let differ = |(a, b): (&Known, &Known)| a.hash != b.hash;
        !self.known.get().zip(other.known.get()).is_some_and(differ)
            && self.len() == other.len()
            && self.inputs == other.inputs
            && self.outputs == other.outputs
            && self.content().eq(other.content())
    }
}

impl Eq for Graph {}

impl Hash for Graph {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.known().hash.hash(state);
    }
}

impl PartialOrd for Graph {
    fn partial_cmp(&self, other: &Graph) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Graph {
    fn cmp(&self, other: &Graph) -> Ordering {
        let names = |g: &Graph| (g.len(), g.inputs.clone(), g.outputs.clone());
        self.content().cmp(other.content()).then_with(|| names(self).cmp(&names(other)))
    }
}
