//! What things are called: names the user gave, and names made of them.

use super::Writer;
use super::ops::FUNCTIONS;
use crate::diag::{Sources, Span};
use crate::graph::fused::ReduceOp;
use crate::graph::{Graph, MapOp, NodeId, Op, Via};
use crate::syntax::ast::{Block, Expr, ExprKind, File, ItemKind, PatternKind, StmtKind};
use crate::syntax::parse;
use rustc_hash::{FxHashMap, FxHashSet};
use tensc_runtime::DType;

/// What the source and the derivation say about nodes.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// Values of `let` and `var`, by their place.
    lets: FxHashMap<Span, String>,
    /// Bodies of functions, by their place.
    bodies: FxHashMap<Span, String>,
    /// The nodes a node is the cotangent of.
    primals: FxHashMap<NodeId, Vec<NodeId>>,
    /// The value that is differentiated.
    pub(super) value: Option<NodeId>,
    /// Nodes of the result, and what they are the gradient of.
    gradients: FxHashMap<NodeId, String>,
}

impl Names {
    /// The names in the sources that the nodes come from.
    pub fn from_sources(sources: &Sources, graph: &Graph) -> Names {
        let mut names = Names::default();
        let spans = graph.nodes().filter_map(|n| graph.node(n).origin.span);
        let ids: std::collections::BTreeSet<_> = spans.map(|span| span.source).collect();
        for id in ids {
            if let Some(source) = sources.find(id) {
                names.add_file(&parse(id, &source.text).0);
            }
        }
        names
    }

    /// Adds what a derivation knows: `value` is the node that is differentiated, `cotangents` pairs
    /// of a node and its cotangent, `gradients` the nodes of the result with the parameter each
    /// belongs to (`m.hidden.w`).
    pub fn with_cotangents(
        mut self,
        value: NodeId,
        cotangents: &[(NodeId, NodeId)],
        gradients: impl IntoIterator<Item = (NodeId, String)>,
    ) -> Names {
        for &(primal, cotangent) in cotangents {
            self.primals.entry(cotangent).or_default().push(primal);
        }
        self.value = Some(value);
        self.gradients.extend(gradients);
        self
    }

    /// The same for another graph: what is known of nodes by their number is left out.
    pub(super) fn without_nodes(&self) -> Names {
        let (lets, bodies) = (self.lets.clone(), self.bodies.clone());
        Names { lets, bodies, ..Names::default() }
    }

    fn add_file(&mut self, file: &File) {
        for item in &file.items {
            match &item.kind {
                ItemKind::Fn(decl) => {
                    self.add_value(&decl.body, &decl.name.name, false);
                    self.add_inner(&decl.body);
                }
                ItemKind::Main(block) => self.add_block(block),
                _ => {}
            }
        }
    }

    /// Names an expression and what it comes down to.
    fn add_value(&mut self, expr: &Expr, name: &str, is_let: bool) {
        let map = if is_let { &mut self.lets } else { &mut self.bodies };
        map.insert(expr.span, name.to_string());
        match &expr.kind {
            ExprKind::Paren(inner) => self.add_value(inner, name, is_let),
            ExprKind::Block(Block { value: Some(value), .. }) => {
                self.add_value(value, name, is_let);
            }
            _ => {}
        }
    }

    /// Names what the blocks of an expression bind.
    fn add_inner(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Block(block) => self.add_block(block),
            ExprKind::If { then, otherwise, .. } => {
                self.add_block(then);
                if let Some(otherwise) = otherwise {
                    self.add_inner(otherwise);
                }
            }
            ExprKind::Scan { body, .. } => self.add_block(body),
            ExprKind::Paren(inner) => self.add_inner(inner),
            _ => {}
        }
    }

    fn add_block(&mut self, block: &Block) {
        for stmt in &block.stmts {
            match &stmt.kind {
                StmtKind::Let(binding) | StmtKind::Var(binding) => {
                    if let PatternKind::Name(name) = &binding.pattern.kind {
                        self.add_value(&binding.value, name, true);
                    }
                    self.add_inner(&binding.value);
                }
                StmtKind::For { body, .. } | StmtKind::While { body, .. } => self.add_block(body),
                StmtKind::Expr(expr) | StmtKind::Assign { value: expr, .. } => self.add_inner(expr),
                StmtKind::Log(_) | StmtKind::Break | StmtKind::Continue => {}
            }
        }
        if let Some(value) = &block.value {
            self.add_inner(value);
        }
    }

    /// The `let` whose value the node is.
    pub(super) fn of_let(&self, graph: &Graph, node: NodeId) -> Option<&str> {
        self.lets.get(&whole_value(graph, node)?).map(String::as_str)
    }

    /// The function whose value the node is.
    fn of_function(&self, graph: &Graph, node: NodeId) -> Option<&str> {
        self.bodies.get(&whole_value(graph, node)?).map(String::as_str)
    }

    /// The nodes it is the cotangent of.
    pub(super) fn primals(&self, node: NodeId) -> &[NodeId] {
        self.primals.get(&node).map_or(&[], Vec::as_slice)
    }
}

/// The expression whose value the node is: the one it comes from, unless another node that comes
/// from there uses it.
fn whole_value(graph: &Graph, node: NodeId) -> Option<Span> {
    let origin = graph.node(node).origin;
    let inner = graph.users(node).iter().any(|&(user, _)| graph.node(user).origin == origin);
    origin.span.filter(|_| origin.via == Via::Source && !inner)
}

impl Writer<'_> {
    /// A new name for a node.
    pub(super) fn name(&mut self, node: NodeId) -> String {
        let wanted = match self.graph.node(node).origin.via {
            Via::Source => self.source_name(node),
            Via::Tangent | Via::Cotangent | Via::Rewrite(_) => self.derived_name(node),
        };
        let wanted = wanted.unwrap_or_else(|| plain_name(self.graph, node).to_string());
        self.fresh(&wanted)
    }

    fn source_name(&self, node: NodeId) -> Option<String> {
        let own = self.names.of_let(self.graph, node).map(str::to_string);
        own.or_else(|| self.layer(node))
            .or_else(|| self.names.of_function(self.graph, node).map(str::to_string))
    }

    /// `d_h` for the cotangent of `h`, `d_w` for the gradient of the parameter `w`.
    fn derived_name(&self, node: NodeId) -> Option<String> {
        let primal = self.names.primals(node).iter().rev().find_map(|p| self.named.get(p));
        let of = primal.cloned().or_else(|| {
            let path = self.names.gradients.get(&node)?;
            let parts: Vec<&str> = path.split('.').collect();
            Some(parts[parts.len().saturating_sub(2)..].join("_"))
        })?;
        Some(format!("d_{of}"))
    }

    /// `hidden`, where the node combines the members of `m.hidden` and no other parameters of a
    /// struct inside a struct.
    fn layer(&self, node: NodeId) -> Option<String> {
        let mut inputs = Vec::new();
        self.direct_inputs(node, &mut inputs);
        let mut layers = inputs.iter().filter_map(|input| self.inputs[input].rsplit_once('.'));
        let (layer, _) = layers.next()?;
        let (_, name) = layer.rsplit_once('.')?;
        let named = name.starts_with(|c: char| c.is_alphabetic() || c == '_');
        (named && layers.all(|(other, _)| other == layer)).then(|| name.to_string())
    }

    /// The inputs in the text of a node.
    fn direct_inputs(&self, node: NodeId, out: &mut Vec<NodeId>) {
        for operand in self.graph.operands(node) {
            if matches!(self.graph.op(operand), Op::Input(_)) {
                out.push(operand);
            } else if self.bound[operand.index()].is_none() {
                self.direct_inputs(operand, out);
            }
        }
    }

    /// `name`, or `name_2` and so on where that is taken.
    pub(super) fn fresh(&mut self, name: &str) -> String {
        let candidates = (2..).map(|n| format!("{name}_{n}"));
        let free = std::iter::once(name.to_string()).chain(candidates);
        let name = free.into_iter().find(|n| !self.taken.contains(n)).expect("numbers do not end");
        self.taken.insert(name.clone());
        name
    }
}

/// What a node is called that the source has no name for.
fn plain_name(graph: &Graph, node: NodeId) -> &'static str {
    match graph.op(node) {
        _ if graph.ty(node).dtype == DType::Bool => "mask",
        Op::Contract(_) => "product",
        Op::Reduce(ReduceOp::Sum, _) => "total",
        Op::Reduce(ReduceOp::Max, _) => "largest",
        Op::Reduce(ReduceOp::Min, _) => "smallest",
        Op::Map(MapOp::Exp) => "e",
        _ if graph.node(node).origin.via == Via::Source => "t",
        _ => "g",
    }
}

/// Names that a `let` must not take: they would hide what the text calls.
pub(super) fn reserved() -> FxHashSet<String> {
    const WORDS: &[&str] = &[
        "None", "as", "break", "continue", "else", "false", "fn", "for", "if", "import", "in",
        "let", "scan", "struct", "true", "var", "while",
    ];
    let words = WORDS.iter().chain(FUNCTIONS).map(ToString::to_string);
    let elementwise = MapOp::ALL.into_iter().map(|op| op.row().name.to_string());
    let types = DType::ALL.into_iter().map(|dtype| dtype.name().to_string());
    words.chain(elementwise).chain(types).collect()
}
