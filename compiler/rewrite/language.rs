//! The terms of the e-graph: operations with their attributes, and the classes they apply to.
//!
//! An [`ENode`] shares its operation with every other e-node of it through an interned [`Symbol`]:
//! copying one copies a pointer, comparing and hashing compare a number. The graph's outputs are
//! the children of one variadic root, so that forward, backward and update are rewritten together.
//! Inputs are leaves told apart by their number.
//!
//! Invariant: two symbols of one [`Symbols`] table are the same operation exactly when their
//! numbers are equal.

use crate::graph::fused::ReduceOp;
use crate::graph::{MapOp, Op, TensorType};
use egg::Id;
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::cell::RefCell;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The classes an e-node applies its operation to.
pub type Children = SmallVec<[Id; 4]>;

/// What rules are found by: the operation without its attributes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Kind {
    /// The root: all outputs.
    Outputs,
    /// An input.
    Input,
    /// `Op::Const` and `Op::Size`.
    Const,
    /// `Op::Literal`.
    Literal,
    /// `Op::Iota`.
    Iota,
    /// `Op::Map`.
    Map(MapOp),
    /// `Op::Convert`.
    Convert,
    /// `Op::CheckIndex`.
    CheckIndex,
    /// `Op::Reshape`.
    Reshape,
    /// `Op::Transpose`.
    Transpose,
    /// `Op::Broadcast`.
    Broadcast,
    /// `Op::Slice`.
    Slice,
    /// `Op::Pad`.
    Pad,
    /// `Op::Concat`.
    Concat,
    /// `Op::Reduce`.
    Reduce(ReduceOp),
    /// `Op::ArgReduce`.
    ArgReduce,
    /// `Op::Contract`.
    Contract,
    /// `Op::Gather`.
    Gather,
    /// `Op::ScatterAdd`.
    ScatterAdd,
    /// `Op::Window`.
    Window,
    /// `Op::Diagonal`.
    Diagonal,
    /// `Op::Running`.
    Running,
    /// `Op::Linear`.
    Linear,
    /// `Op::Recur`.
    Recur,
    /// `Op::Argsort`.
    Argsort,
    /// `Op::Random`.
    Random,
    /// `Op::FoldKey`.
    FoldKey,
    /// `Op::Scan`.
    Scan,
    /// `Op::After`.
    After,
    /// `Op::Fused`.
    Fused,
}

impl Kind {
    /// The kind of an operation.
    pub fn of(op: &Op) -> Kind {
        match op {
            Op::Input(_) => Kind::Input,
            Op::Const(_) | Op::Size(..) => Kind::Const,
            Op::Literal(_) => Kind::Literal,
            Op::Iota { .. } => Kind::Iota,
            Op::Map(map) => Kind::Map(*map),
            Op::Convert(_) => Kind::Convert,
            Op::CheckIndex(_) => Kind::CheckIndex,
            Op::Reshape(_) => Kind::Reshape,
            Op::Transpose(_) => Kind::Transpose,
            Op::Broadcast { .. } => Kind::Broadcast,
            Op::Slice { .. } => Kind::Slice,
            Op::Pad { .. } => Kind::Pad,
            Op::Concat(_) => Kind::Concat,
            Op::Reduce(reduce, _) => Kind::Reduce(*reduce),
            Op::ArgReduce(..) => Kind::ArgReduce,
            Op::Contract(_) => Kind::Contract,
            Op::Gather(_) => Kind::Gather,
            Op::ScatterAdd(_) => Kind::ScatterAdd,
            Op::Window(_) => Kind::Window,
            Op::Diagonal(..) => Kind::Diagonal,
            Op::Running(..) => Kind::Running,
            Op::Linear(_) => Kind::Linear,
            Op::Recur(_) => Kind::Recur,
            Op::Argsort { .. } => Kind::Argsort,
            Op::Random { .. } => Kind::Random,
            Op::FoldKey => Kind::FoldKey,
            Op::Scan(_) => Kind::Scan,
            Op::Call(_) => unreachable!("calls are written out before rewriting"),
            Op::After => Kind::After,
            Op::Fused(_) => Kind::Fused,
        }
    }
}

/// What an e-node does.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Symbol {
    /// The input of this number, of this type.
    Input(u32, TensorType),
    /// Any other operation.
    Op(Op),
    /// The root: its children are the outputs.
    Outputs,
}

/// An interned symbol.
#[derive(Clone)]
pub struct Shared {
    number: u32,
    kind: Kind,
    symbol: Arc<Symbol>,
}

impl Shared {
    /// What it is.
    pub fn symbol(&self) -> &Symbol {
        &self.symbol
    }
    /// The operation, where it is one.
    pub fn op(&self) -> Option<&Op> {
        match &*self.symbol {
            Symbol::Op(op) => Some(op),
            Symbol::Input(..) | Symbol::Outputs => None,
        }
    }
    /// The operation without its attributes.
    pub fn kind(&self) -> Kind {
        self.kind
    }
}

impl PartialEq for Shared {
    fn eq(&self, other: &Shared) -> bool {
        self.number == other.number
    }
}

impl Eq for Shared {}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.symbol)
    }
}

/// The table of symbols of one e-graph. Interning is idempotent and needs no exclusive access, so
/// that rules can name operations while they search.
#[derive(Default)]
pub struct Symbols {
    known: RefCell<FxHashMap<Arc<Symbol>, Shared>>,
}

impl Symbols {
    /// The one symbol that equals this one.
    pub fn intern(&self, symbol: Symbol) -> Shared {
        let mut known = self.known.borrow_mut();
        if let Some(shared) = known.get(&symbol) {
            return shared.clone();
        }
        let number = u32::try_from(known.len()).expect("fewer than 2^32 operations");
        let kind = match &symbol {
            Symbol::Input(..) => Kind::Input,
            Symbol::Op(op) => Kind::of(op),
            Symbol::Outputs => Kind::Outputs,
        };
        let symbol = Arc::new(symbol);
        let shared = Shared { number, kind, symbol: Arc::clone(&symbol) };
        known.insert(symbol, shared.clone());
        shared
    }
    /// The symbol of an operation.
    pub fn op(&self, op: impl Into<Op>) -> Shared {
        self.intern(Symbol::Op(op.into()))
    }
}

/// An operation on classes.
#[derive(Clone)]
pub struct ENode {
    /// The operation.
    pub shared: Shared,
    /// Its operands.
    pub children: Children,
}

impl ENode {
    /// `shared` applied to `children`.
    pub fn new(shared: Shared, children: impl IntoIterator<Item = Id>) -> ENode {
        ENode { shared, children: children.into_iter().collect() }
    }
    /// The operation, where it is one.
    pub fn op(&self) -> Option<&Op> {
        self.shared.op()
    }
    /// The operation without its attributes.
    pub fn kind(&self) -> Kind {
        self.shared.kind
    }
}

impl fmt::Debug for ENode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}{:?}", self.shared, self.children)
    }
}

impl PartialEq for ENode {
    fn eq(&self, other: &ENode) -> bool {
        self.shared.number == other.shared.number && self.children == other.children
    }
}

impl Eq for ENode {}

impl Hash for ENode {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.shared.number.hash(state);
        self.children.hash(state);
    }
}

impl PartialOrd for ENode {
    fn partial_cmp(&self, other: &ENode) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ENode {
    /// By kind first: egg finds the classes of a kind by scanning sorted e-nodes.
    fn cmp(&self, other: &ENode) -> Ordering {
        let key = |n: &ENode| (n.shared.kind, n.shared.number);
        key(self).cmp(&key(other)).then_with(|| self.children.cmp(&other.children))
    }
}

impl egg::Language for ENode {
    type Discriminant = Kind;

    fn discriminant(&self) -> Kind {
        self.shared.kind
    }
    fn matches(&self, other: &ENode) -> bool {
        self.shared.number == other.shared.number && self.children.len() == other.children.len()
    }
    fn children(&self) -> &[Id] {
        &self.children
    }
    fn children_mut(&mut self) -> &mut [Id] {
        &mut self.children
    }
}
