//! The walk: a program is checked by evaluating it on values that are not known yet.
//!
//! A [`Walk`] goes over a function's syntax with [`Value`]s whose tensors are nodes of a symbolic
//! graph. A call walks the callee's body with the caller's values, so when the walk is over the
//! graph is the function with every call replaced, and each operation's shape rule has been asked
//! with the sizes at hand.
//!
//! Invariants: what fails has been reported ([`Reported`] proves it) and evaluates to
//! [`Value::Error`], which is silent; a node's operands are in its own graph ([`Walk::node`]
//! imports).
//!
//! Its methods stand in the files of this folder by subject; built-in functions in `builtin`,
//! statements that only `main` has in `script`.

mod arith;
mod bind;
mod block;
mod call;
mod comprehend;
mod declare;
mod expr;
mod fraction;
mod index;
mod infer;
mod lazy;
mod origin;
mod product;
mod report;
mod scan;
mod slice;
mod stack;
mod structs;
mod transform;
mod weak;

pub(crate) use bind::{Argument, Bound, Slot};
pub(crate) use declare::Declared;
pub(crate) use expr::integer;
pub(crate) use fraction::broken_size;
pub(crate) use report::Reported;
pub(crate) use slice::{as_multiple, steps};

use super::script::ScriptState;
use super::typed::{SlotId, Tree};
use super::types::{Bindings, Mismatch, Type, TypeScope};
use super::value::{Leaf, SizeOrigin, Value};
use super::world::{FnId, ModuleId, World};
use crate::diag::{Diagnostics, Sources, Span, codes};
use crate::graph::{Dim, DimVar, Graph, NodeId, Op, Origin, TensorType};
use crate::syntax::ast;
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
use std::rc::Rc;

/// What an evaluation gives, or that the reason it gives nothing was reported.
pub(crate) type Eval<T> = Result<T, Reported>;

/// Nodes a graph may have: a program of nested calls can grow without bound.
const MAX_NODES: usize = 1 << 18;

/// Axes a tensor may have.
const MAX_RANK: usize = 16;

/// Expressions that a function may come to when its calls and loops are written out, besides those
/// of the program's text: known values can be computed without a node.
const MAX_STEPS: usize = 1 << 21;

/// How deep expressions and calls may nest together.
const MAX_DEPTH: usize = 4_000;

/// A graph under construction.
#[derive(Default)]
pub(crate) struct Level {
    pub(crate) graph: Graph,
    /// Where the size of a node's axis comes from, where its operation does not tell.
    pub(crate) origins: FxHashMap<(NodeId, usize), SizeOrigin>,
    /// For each input of a graph above level 0, the node it stands for one level down.
    pub(crate) outer: Vec<NodeId>,
    imports: FxHashMap<NodeId, NodeId>,
    /// The input that reads each slot (level 0 of a script).
    pub(crate) slots: FxHashMap<SlotId, NodeId>,
    /// The index of a comprehension whose body this is.
    index: Option<comprehend::Index>,
}

/// A call being walked.
pub(crate) struct Frame {
    /// The function.
    pub(crate) name: String,
    pub(crate) id: Option<FnId>,
    /// Whose names it sees.
    pub(crate) module: ModuleId,
    /// Its generic parameters, all bound.
    pub(crate) generics: Rc<Bindings>,
    /// The first local it sees.
    base: usize,
    /// The callee as written, in the caller.
    pub(crate) call: Option<Span>,
}

/// A name of a block.
pub(crate) struct Local<'w> {
    pub(crate) name: String,
    pub(crate) value: Value<'w>,
    pub(crate) span: Span,
    /// For a `var`: its type, and in a script its slots, one a leaf.
    pub(crate) var: Option<Var>,
    /// Whether something read it.
    pub(crate) read: bool,
}

/// A variable that can be assigned.
#[derive(Clone)]
pub(crate) struct Var {
    pub(crate) ty: Type,
    pub(crate) slots: Vec<SlotId>,
}

/// The state of a walk.
pub(crate) struct Walk<'w> {
    pub(crate) world: &'w World,
    pub(crate) sources: &'w Sources,
    pub(crate) diags: Diagnostics,
    pub(crate) levels: Vec<Level>,
    pub(crate) frames: Vec<Frame>,
    pub(crate) locals: Vec<Local<'w>>,
    pub(crate) script: Option<ScriptState>,
    /// The first local that can be assigned here: the arms of an `if` that is computed both ways
    /// cannot change what is around them.
    pub(crate) assignable_from: usize,
    /// Whether an arm of such an `if` is being walked: it can have no effects.
    pub(crate) both_ways: bool,
    /// Functions that are known to call themselves: each circle is reported once.
    pub(crate) recursive: FxHashSet<FnId>,
    next_dim: u32,
    depth: usize,
    /// Expressions that may still be walked.
    steps: usize,
    /// Whether the function grew too large: one message says so, and the rest of it is left.
    pub(crate) given_up: bool,
}

impl<'w> Walk<'w> {
    pub(crate) fn new(world: &'w World, sources: &'w Sources) -> Walk<'w> {
        Walk {
            world,
            sources,
            diags: Diagnostics::default(),
            levels: vec![Level::default()],
            frames: Vec::new(),
            locals: Vec::new(),
            script: None,
            assignable_from: 0,
            both_ways: false,
            recursive: FxHashSet::default(),
            next_dim: 0,
            depth: 0,
            steps: MAX_STEPS + sources.total_len(),
            given_up: false,
        }
    }

    /// Forgets everything but what was reported.
    pub(crate) fn reset(&mut self) {
        self.levels = vec![Level::default()];
        self.frames.clear();
        self.locals.clear();
        self.script = None;
        self.assignable_from = 0;
        self.both_ways = false;
        self.steps = MAX_STEPS + self.sources.total_len();
        self.given_up = false;
    }

    /// Makes sizes that are not known differ from those in given types.
    pub(crate) fn avoid_dims<'t>(&mut self, types: impl Iterator<Item = &'t Tree<TensorType>>) {
        for (_, ty) in types.flat_map(|tree| tree.leaves("")) {
            for var in ty.shape.iter().flat_map(Dim::vars) {
                self.next_dim = self.next_dim.max(var.id);
            }
        }
    }

    // ------------------------------------------------------------------------------------ graph

    /// The graph that operations are added to.
    pub(crate) fn level(&self) -> &Level {
        self.levels.last().expect("a walk has a graph")
    }

    pub(crate) fn level_mut(&mut self) -> &mut Level {
        self.levels.last_mut().expect("a walk has a graph")
    }

    /// Adds an operation; the sources of a failure are those of the operands' axes.
    pub(crate) fn add(
        &mut self,
        op: impl Into<Op>,
        operands: &[NodeId],
        span: Span,
    ) -> Eval<NodeId> {
        let op = op.into();
        if self.level().graph.len() >= MAX_NODES {
            return Err(self.too_large(span));
        }
        let origin = self.origin(span);
        match self.level_mut().graph.add(op, operands, origin) {
            Ok(node) if self.node_ty(node).rank() > MAX_RANK => {
                let message = format!("a tensor has at most {MAX_RANK} axes");
                Err(self.error(codes::SHAPE_MISMATCH, span, message))
            }
            Ok(node) => Ok(node),
            Err(error) => Err(self.operation_refused(&error, operands, span)),
        }
    }

    /// What is written at this place, and which call of the program led into the library.
    fn origin(&self, span: Span) -> Origin {
        let mut calls = self.frames.iter().rev().filter_map(|frame| frame.call);
        let call = match self.world.in_std(span) {
            true => calls.find(|call| !self.world.in_std(*call)),
            false => None,
        };
        Origin { call, ..Origin::source(span) }
    }

    /// A scalar constant.
    pub(crate) fn constant(&mut self, scalar: tensc_runtime::Scalar, span: Span) -> NodeId {
        let origin = self.origin(span);
        let node = self.level_mut().graph.add(Op::Const(scalar), &[], origin);
        node.expect("a constant has no operands")
    }

    /// The tensor of a node of the current graph.
    pub(crate) fn tensor(&self, node: NodeId) -> Value<'w> {
        Value::Tensor(Leaf::Node(self.top(), node))
    }

    fn top(&self) -> u32 {
        u32::try_from(self.levels.len() - 1).expect("few levels")
    }

    /// The type of a tensor, wherever it is.
    pub(crate) fn leaf_ty(&self, leaf: Leaf) -> TensorType {
        match leaf {
            Leaf::Node(level, node) => self.levels[level as usize].graph.ty(node).clone(),
            Leaf::Slot(slot) => {
                let script = self.script.as_ref().expect("only a script has slots");
                script.slot_ty(slot).clone()
            }
        }
    }

    /// The type of a node of the current graph.
    pub(crate) fn node_ty(&self, node: NodeId) -> &TensorType {
        self.level().graph.ty(node)
    }

    /// The type of a value.
    pub(crate) fn ty(&self, value: &Value<'w>) -> Type {
        value.ty(&|leaf| self.leaf_ty(leaf))
    }

    /// The node of the current graph that holds the tensor: graphs of differentiated functions
    /// import what they use from around them, a region reads what it uses from slots.
    pub(crate) fn node(&mut self, leaf: Leaf) -> NodeId {
        self.node_at(leaf, self.levels.len() - 1)
    }

    pub(crate) fn node_at(&mut self, leaf: Leaf, level: usize) -> NodeId {
        match leaf {
            Leaf::Node(at, node) if at as usize == level => node,
            Leaf::Slot(slot) if level == 0 => self.read_slot(slot),
            Leaf::Node(..) | Leaf::Slot(_) => {
                let outer = self.node_at(leaf, level - 1);
                self.import(outer, level)
            }
        }
    }

    fn import(&mut self, outer: NodeId, level: usize) -> NodeId {
        if let Some(&node) = self.levels[level].imports.get(&outer) {
            return node;
        }
        let name = format!("captured.{}", self.levels[level].outer.len());
        let node = self.input_from(name, outer, level);
        self.levels[level].imports.insert(outer, node);
        node
    }

    /// An input of the graph at `level` that stands for a node of the one below.
    pub(crate) fn input_from(&mut self, name: String, outer: NodeId, level: usize) -> NodeId {
        let below = self.levels[level - 1].graph.node(outer);
        let (ty, origin) = (below.ty.clone(), below.origin);
        let rank = ty.rank();
        let level = &mut self.levels[level];
        let node = level.graph.add_input(name, ty, origin);
        level.outer.push(outer);
        for axis in 0..rank {
            level.origins.insert((node, axis), SizeOrigin::Outer(outer, axis));
        }
        node
    }

    /// Says where the size of an axis comes from.
    pub(crate) fn set_origin(&mut self, node: NodeId, axis: usize, origin: SizeOrigin) {
        self.level_mut().origins.entry((node, axis)).or_insert(origin);
    }

    /// A size that is not known.
    pub(crate) fn fresh_dim(&mut self, name: &str) -> DimVar {
        self.next_dim += 1;
        DimVar { id: self.next_dim, name: name.into() }
    }

    // ------------------------------------------------------------------------------------ names

    pub(crate) fn frame(&self) -> &Frame {
        self.frames.last().expect("something is being walked")
    }

    pub(crate) fn module(&self) -> ModuleId {
        self.frame().module
    }

    /// Enters a function whose locals are hidden from what called it and the other way round.
    pub(crate) fn push_frame(
        &mut self,
        name: impl Into<String>,
        id: Option<FnId>,
        module: ModuleId,
        generics: Rc<Bindings>,
        call: Option<Span>,
    ) {
        let base = self.locals.len();
        self.frames.push(Frame { name: name.into(), id, module, generics, base, call });
    }

    pub(crate) fn pop_frame(&mut self) {
        let frame = self.frames.pop().expect("pushed before");
        self.locals.truncate(frame.base);
    }

    pub(crate) fn bind(&mut self, name: &str, value: Value<'w>, span: Span) {
        self.locals.push(Local { name: name.to_string(), value, span, var: None, read: false });
    }

    /// The innermost visible local of this name.
    pub(crate) fn local(&self, name: &str) -> Option<usize> {
        let base = self.frame().base;
        (base..self.locals.len()).rev().find(|&i| self.locals[i].name == name)
    }

    /// Every local that is visible.
    pub(crate) fn visible(&self) -> &[Local<'w>] {
        &self.locals[self.frame().base..]
    }

    // ------------------------------------------------------------------------------------ types

    /// The type as written here, every name in it bound.
    pub(crate) fn ground(&mut self, ty: &ast::Type) -> Eval<Type> {
        let generics = self.frame().generics.clone();
        let scope = TypeScope { world: self.world, module: self.module(), bindings: &generics };
        match scope.ground(ty) {
            Ok(ty) => Ok(ty),
            Err(mismatch) => Err(self.bad_type(ty, mismatch)),
        }
    }

    /// The type as written in a callee, if its names are bound.
    pub(crate) fn try_ground(
        &self,
        module: ModuleId,
        bindings: &Bindings,
        ty: &ast::Type,
    ) -> Result<Type, Mismatch> {
        TypeScope { world: self.world, module, bindings }.ground(ty)
    }

    /// Guards against nesting that would exhaust the stack.
    fn deeper<T>(&mut self, span: Span, f: impl FnOnce(&mut Self) -> Eval<T>) -> Eval<T> {
        if self.given_up {
            return Err(self.reported());
        }
        if self.depth >= MAX_DEPTH || self.steps == 0 {
            return Err(self.too_large(span));
        }
        self.depth += 1;
        self.steps -= 1;
        let result = f(self);
        self.depth -= 1;
        result
    }
}

/// The graph without the nodes that no output needs; inputs among them stay where `all_inputs` says
/// so.
pub(crate) fn without_dead_nodes(old: &Graph, all_inputs: bool) -> Graph {
    let live = old.live();
    let mut graph = Graph::new();
    let mut map: Vec<Option<NodeId>> = vec![None; old.len()];
    for (name, node) in old.inputs().iter().filter(|(_, n)| all_inputs || live[n.index()]) {
        let new = graph.add_input(name.clone(), old.ty(*node).clone(), old.node(*node).origin);
        map[node.index()] = Some(new);
    }
    for node in old.nodes().filter(|n| live[n.index()]) {
        if map[node.index()].is_some() {
            continue;
        }
        let operands: SmallVec<[NodeId; 3]> =
            old.operands(node).iter().map(|o| map[o.index()].expect("in order")).collect();
        let copy = graph.add(old.op(node).clone(), &operands, old.node(node).origin);
        map[node.index()] = Some(copy.expect("a copy has the types of the original"));
    }
    for (name, node) in old.outputs() {
        graph.add_output(name.clone(), map[node.index()].expect("outputs are live"));
    }
    graph
}

/// `[B, 10]`
pub(crate) fn show_shape(shape: &[Dim]) -> String {
    let dims: SmallVec<[String; 4]> = shape.iter().map(ToString::to_string).collect();
    format!("[{}]", dims.join(", "))
}
