//! Between graphs and the e-graph: in with every live node, out with the extracted plan.
//!
//! Provenance survives: a class that a node of the original graph belongs to keeps that node's
//! origin; one that a rule made has the place of the rule's left side, by way of the rule.

use super::analysis::{Analysis, EGraph};
use super::extract::{ClassNumber, Problem, Role};
use super::fusion::Expressions;
use super::improve::Plan;
use super::language::{ENode, Symbol};
use crate::graph::ops::TypeError;
use crate::graph::{Graph, NodeId, Op, Operands, Origin, TensorType, Via};
use egg::Id;
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;

/// A graph as an e-graph.
pub struct Loaded {
    /// The e-graph.
    pub egraph: EGraph,
    /// The class of the outputs.
    pub root: Id,
    /// The e-node of each live node, by node index.
    pub nodes: Vec<Option<Id>>,
}

/// The live nodes of a graph as an e-graph, with egg's bookkeeping for explanations if asked.
pub fn load(graph: &Graph, explain: bool) -> Loaded {
    let mut egraph = EGraph::new(Analysis::default());
    if explain {
        egraph = egraph.with_explanations_enabled();
    }
    let live = graph.live();
    let mut nodes: Vec<Option<Id>> = vec![None; graph.len()];
    for (number, (_, input)) in graph.inputs().iter().enumerate() {
        let number = u32::try_from(number).expect("fewer than 2^32 inputs");
        let symbol = Symbol::Input(number, graph.ty(*input).clone());
        let shared = egraph.analysis.symbols.intern(symbol);
        nodes[input.index()] = Some(egraph.add_uncanonical(ENode::new(shared, [])));
    }
    for id in graph.nodes().filter(|id| live[id.index()]) {
        if nodes[id.index()].is_none() {
            let op = match graph.op(id) {
                // One spelling of a known size.
                Op::Size(dim, dtype) => {
                    let n = dim.known().expect("sizes are known in a concrete graph");
                    Op::Const(tensc_runtime::Scalar::from_i64(*dtype, n))
                }
                op => op.clone(),
            };
            if is_nothing(graph, id) {
                nodes[id.index()] = Some(nothing(&mut egraph, graph.ty(id)));
                continue;
            }
            let shared = egraph.analysis.symbols.op(op);
            let children = graph.operands(id);
            let children = children.iter().map(|o| nodes[o.index()].expect("operands come first"));
            let node = ENode::new(shared, children);
            nodes[id.index()] = Some(egraph.add_uncanonical(node));
        }
    }
    let outputs = graph.outputs().iter().map(|(_, n)| nodes[n.index()].expect("outputs are live"));
    let shared = egraph.analysis.symbols.intern(Symbol::Outputs);
    let root = egraph.add_uncanonical(ENode::new(shared, outputs));
    egraph.rebuild();
    Loaded { egraph, root, nodes }
}

/// Whether a node has no elements, and none of what it has come from can be out of range: of what
/// such a node is made does not matter, and any two of one type are equal, which would let rules
/// go round in circles.
fn is_nothing(graph: &Graph, id: NodeId) -> bool {
    let faults = matches!(graph.op(id), Op::Gather(_) | Op::ScatterAdd(_) | Op::Scan(_));
    !faults && graph.ty(id).elements().known() == Some(0)
}

/// The one spelling of a tensor without elements.
fn nothing(egraph: &mut EGraph, ty: &TensorType) -> Id {
    let zero = egraph.analysis.symbols.op(Op::Const(tensc_runtime::Scalar::from_i64(ty.dtype, 0)));
    let zero = egraph.add_uncanonical(ENode::new(zero, []));
    let op = Op::Broadcast { shape: ty.shape.clone(), axes: SmallVec::new() };
    let shared = egraph.analysis.symbols.op(op);
    egraph.add_uncanonical(ENode::new(shared, [zero]))
}

impl Loaded {
    /// The e-nodes of the graph as it was, under the classes of now.
    pub fn original(&self) -> FxHashSet<ENode> {
        let canonical = |id: &Id| {
            let mut node = self.egraph.id_to_node(*id).clone();
            node.children.iter_mut().for_each(|c| *c = self.egraph.find(*c));
            node
        };
        self.nodes.iter().flatten().map(canonical).collect()
    }
}

/// Where the values of classes come from.
pub struct Origins<'a> {
    egraph: &'a EGraph,
    original: FxHashMap<Id, Origin>,
    made: FxHashMap<Id, (Id, &'static str, Id)>,
}

impl<'a> Origins<'a> {
    /// The origins of the classes of a loaded graph.
    pub fn new(loaded: &'a Loaded, graph: &Graph) -> Origins<'a> {
        let egraph = &loaded.egraph;
        let mut original: FxHashMap<Id, Origin> = FxHashMap::default();
        for node in graph.nodes() {
            if let Some(id) = loaded.nodes[node.index()] {
                original.entry(egraph.find(id)).or_insert(graph.node(node).origin);
            }
        }
        // The first e-node that a rule added to each class.
        let mut made: FxHashMap<Id, (Id, &'static str, Id)> = FxHashMap::default();
        for (&id, maker) in &egraph.analysis.makers {
            let first = made.entry(egraph.find(id)).or_insert((id, maker.rule, maker.site));
            if id < first.0 {
                *first = (id, maker.rule, maker.site);
            }
        }
        Origins { egraph, original, made }
    }

    /// The origin of a class.
    pub fn of(&self, class: Id) -> Origin {
        let mut at = self.egraph.find(class);
        let mut via = None;
        // Sites are older than what was made for them; the bound is against a broken history.
        for _ in 0..64 {
            if let Some(origin) = self.original.get(&at) {
                return via.map_or(*origin, |rule| origin.by(Via::Rewrite(rule)));
            }
            let Some((_, rule, site)) = self.made.get(&at) else { break };
            via = via.or(Some(*rule));
            at = self.egraph.find(*site);
        }
        via.map_or(Origin::default(), |rule| Origin::default().by(Via::Rewrite(rule)))
    }
}

/// The graph of a plan, with the inputs and outputs of `original`.
///
/// # Errors
/// Where an operation does not take its operands: a rule, or extraction, is wrong.
pub fn emit(
    original: &Graph,
    problem: &Problem,
    plan: &Plan,
    expressions: &Expressions,
    origins: &Origins<'_>,
) -> Result<Graph, TypeError> {
    let mut graph = Graph::new();
    let mut inputs: Vec<NodeId> = Vec::new();
    for (name, input) in original.inputs() {
        let node = original.node(*input);
        inputs.push(graph.add_input(name.clone(), node.ty.clone(), node.origin));
    }
    let mut emitted: Vec<Option<NodeId>> = vec![None; problem.classes.len()];
    for &output in &problem.outputs {
        let mut stack = vec![output];
        while let Some(&class) = stack.last() {
            if emitted[class as usize].is_some() {
                stack.pop();
                continue;
            }
            let (op, operands) = kernel(problem, plan, expressions, class);
            let missing = operands.iter().rev().filter(|&&o| emitted[o as usize].is_none());
            let before = stack.len();
            stack.extend(missing.copied());
            if stack.len() > before {
                continue;
            }
            stack.pop();
            let id = match op {
                Made::Input(number) => inputs[number as usize],
                Made::Op(op) => {
                    let operands: Operands = operands
                        .iter()
                        .map(|&o| emitted[o as usize].expect("operands come first"))
                        .collect();
                    graph.add(op, &operands, origins.of(problem.class(class).id))?
                }
            };
            emitted[class as usize] = Some(id);
        }
    }
    for ((name, _), &class) in original.outputs().iter().zip(&problem.outputs) {
        graph.add_output(name.clone(), emitted[class as usize].expect("outputs are emitted"));
    }
    Ok(graph)
}

/// What makes a stored class.
pub enum Made {
    /// It is the input of this number.
    Input(u32),
    /// An operation.
    Op(Op),
}

/// What makes a stored class, and what it reads.
pub fn kernel<'a>(
    problem: &'a Problem,
    plan: &Plan,
    expressions: &'a Expressions,
    class: ClassNumber,
) -> (Made, &'a [ClassNumber]) {
    let chosen = &problem.class(class).alternatives[plan.choice[class as usize] as usize];
    let alias = matches!(chosen.role, Role::Inline { alias: true, .. });
    if let Some(expression) = &expressions[class as usize]
        && !alias
    {
        return (Made::Op(Op::from(expression.fused.clone())), &expression.operands);
    }
    let made = match chosen.node.shared.symbol() {
        Symbol::Input(number, _) => Made::Input(*number),
        Symbol::Op(op) => Made::Op(op.clone()),
        Symbol::Outputs => unreachable!("the root is no operand"),
    };
    (made, &chosen.children)
}
