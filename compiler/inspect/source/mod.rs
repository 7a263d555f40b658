//! From a graph back to readable source.
//!
//! A node is written where it is used, unless it is used twice, the user gave it a name, or the
//! line would get long: then a `let` binds it. Repetition by NumPy's rule does not show (`view`);
//! operators stand where the language has them (`ops`); names come from the source (`names`).
//!
//! Invariant: the item that [`function`] makes computes what the graph does, node by node, so the
//! same bits; it is a tree of the syntax, so what is printed of it parses.
//!
//! Neighbours: `gradient` asks for it; the tree is printed by `syntax`.

mod names;
mod ops;
mod scan;
mod tree;
mod view;

#[cfg(test)]
mod tests;

pub use names::Names;

use crate::check::typed::Tree;
use crate::diag::Span;
use crate::graph::{Graph, NodeId, Op, TensorType, Via};
use crate::syntax::ast::{
    Binding, Constraint, Expr, File, FnDecl, GenericKind, GenericParam, Item, ItemKind, NOWHERE,
    Param, Pattern, PatternKind, Stmt, StmtKind, Trivia, TriviaKind, Type,
};
use crate::syntax::print;
use rustc_hash::{FxHashMap, FxHashSet};
use tree::ident;
use view::Printed;

/// Everything of a function but its body.
#[derive(Clone, Debug)]
pub struct Head {
    /// Lines of documentation.
    pub docs: Vec<String>,
    /// Its name.
    pub name: String,
    /// Generic parameters.
    pub generics: Vec<GenericParam>,
    /// Parameters.
    pub params: Vec<Param>,
    /// The type of the result.
    pub ret: Type,
    /// What must hold of the sizes.
    pub constraints: Vec<Constraint>,
}

/// Columns that a `let` takes at most, where it can be cut into several.
const WIDTH: usize = 72;
/// Columns from which on a part is worth a `let` of its own.
const PART: usize = 12;
/// Columns from which on a member of the result is bound before.
const MEMBER: usize = 56;

/// The function that computes `graph`: its inputs are named by paths below the parameters of
/// `head`, and `result` says how the nodes make up the result. Made of nodes that came by
/// differentiation, the second part has a comment above it.
pub fn function(head: Head, graph: &Graph, result: &Tree<NodeId>, names: &Names) -> String {
    let mut writer = Writer::new(&head, graph, result, names);
    writer.bind_nodes();
    let value = writer.result(result);
    let (stmts, trivia, end) = laid_out(writer.lets);
    let value = Expr { span: at(end), ..value };
    let body = tree::block(stmts, value, Span { end: u32::MAX - 1, ..at(0) });
    let decl = FnDecl {
        name: ident(&head.name),
        generics: head.generics,
        params: head.params,
        ret: Some(head.ret),
        constraints: head.constraints,
        body,
    };
    let item = Item { docs: head.docs, kind: ItemKind::Fn(decl), span: NOWHERE };
    print(&File { items: vec![item], trivia, span: NOWHERE })
}

/// The type of a tree, as far as the tree tells: a struct by its name.
pub fn tree_type(tree: &Tree<TensorType>) -> Type {
    match tree {
        Tree::Leaf(ty) => tree::tensor_type(ty),
        Tree::Tuple(members) => tuple_type(members.iter().map(tree_type).collect()),
        Tree::Record { name: Some(name), .. } => tree::named_type(name),
        Tree::Record { name: None, fields } => {
            let field =
                |(name, field): &(String, Tree<TensorType>)| (name.clone(), tree_type(field));
            tree::record_type(fields.iter().map(field).collect())
        }
    }
}

/// `(A, B)`
pub fn tuple_type(members: Vec<Type>) -> Type {
    tree::tuple_type(members)
}

/// A statement of the body.
struct Let {
    name: String,
    value: Expr,
    derived: bool,
}

/// The place of the line of this number: beyond what a source can hold, since parameters keep the
/// places they have in theirs, and comments are printed by place.
fn at(line: u32) -> Span {
    let start = (1 << 30) + 4 * line;
    Span { start, end: start + 1, ..NOWHERE }
}

/// Statements one a line, a comment where the derived ones begin, and a blank line before the
/// result of long bodies; and the place of the result.
fn laid_out(lets: Vec<Let>) -> (Vec<Stmt>, Vec<Trivia>, u32) {
    const LONG: usize = 4;
    let (mut stmts, mut trivia) = (Vec::new(), Vec::new());
    let mut put = |kind, line: u32, back: u32| {
        let start = at(line).start - back;
        trivia.push(Trivia { kind, span: Span { start, end: start + 1, ..NOWHERE } });
    };
    let first_derived = lets.iter().position(|l| l.derived).filter(|&first| first > 0);
    let (mut line, count) = (1, lets.len());
    for (i, Let { name, value, .. }) in lets.into_iter().enumerate() {
        if first_derived == Some(i) {
            put(TriviaKind::BlankLine, line, 3);
            put(TriviaKind::OwnLine("// backward".to_string()), line, 2);
        }
        let pattern = Pattern { kind: PatternKind::Name(name), span: NOWHERE };
        let kind = StmtKind::Let(Binding { pattern, ty: None, value });
        stmts.push(Stmt { kind, span: at(line) });
        line += 1;
    }
    if count >= LONG {
        put(TriviaKind::BlankLine, line, 3);
    }
    (stmts, trivia, line)
}

/// What is known of a graph while its body is written.
struct Writer<'a> {
    graph: &'a Graph,
    names: &'a Names,
    /// How an input is written: `m.hidden.w`.
    inputs: FxHashMap<NodeId, String>,
    /// How many times the node would be written, were it not bound; 0 where it is dead.
    uses: Vec<u32>,
    /// Reductions that are printed with `keep = true`.
    keep: Vec<bool>,
    /// Nodes that a `let` binds.
    bound: Vec<Option<Printed>>,
    /// The name of a bound node.
    named: FxHashMap<NodeId, String>,
    /// Names that nothing new may take.
    taken: FxHashSet<String>,
    lets: Vec<Let>,
}

impl<'a> Writer<'a> {
    fn new(head: &Head, graph: &'a Graph, result: &Tree<NodeId>, names: &'a Names) -> Writer<'a> {
        let inputs = graph.inputs().iter().map(|(name, node)| (*node, name.clone())).collect();
        let mut taken: FxHashSet<String> = names::reserved();
        taken.extend(head.params.iter().map(|p| p.name.name.clone()));
        let plain = |g: &&GenericParam| matches!(g.kind, GenericKind::Plain | GenericKind::Pack);
        taken.extend(head.generics.iter().filter(plain).map(|g| g.name.name.clone()));
        Writer::over(graph, result, names, inputs, taken)
    }

    /// A writer of what a graph computes, whose inputs are written so.
    fn over(
        graph: &'a Graph,
        result: &Tree<NodeId>,
        names: &'a Names,
        inputs: FxHashMap<NodeId, String>,
        taken: FxHashSet<String>,
    ) -> Writer<'a> {
        let mut writer = Writer {
            graph,
            names,
            inputs,
            uses: vec![0; graph.len()],
            keep: vec![false; graph.len()],
            bound: vec![None; graph.len()],
            named: FxHashMap::default(),
            taken,
            lets: Vec::new(),
        };
        writer.count_uses(result);
        writer.choose_kept_axes(result);
        writer
    }

    /// Binds what is used twice, has a name, or is long, in order.
    fn bind_nodes(&mut self) {
        for node in self.graph.nodes() {
            if self.uses[node.index()] > 0 && matches!(self.graph.op(node), Op::Scan(_)) {
                if self.bound[node.index()].is_none() {
                    self.bind_loop(node);
                }
            } else if self.uses[node.index()] > 0 && !self.is_transparent(node) {
                self.shorten(node);
                if self.uses[node.index()] > 1 || self.deserves_name(node) {
                    self.bind(node);
                }
            }
        }
    }

    /// The result, whose long members are bound first.
    fn result(&mut self, result: &Tree<NodeId>) -> Expr {
        for (_, &node) in result.leaves("") {
            let free = !self.is_transparent(node) && self.bound[node.index()].is_none();
            if free && width(&self.exact(node)) > MEMBER {
                self.bind(node);
            }
        }
        self.result_tree(result)
    }

    fn result_tree(&self, result: &Tree<NodeId>) -> Expr {
        match result {
            Tree::Leaf(node) => self.exact(*node),
            Tree::Tuple(members) => {
                tree::tuple(members.iter().map(|m| self.result_tree(m)).collect())
            }
            Tree::Record { name, fields } => {
                let fields = fields.iter().map(|(n, f)| (n.clone(), self.result_tree(f))).collect();
                tree::record(name.as_deref().unwrap_or_default(), fields)
            }
        }
    }

    /// The node's value: its name, or written out.
    fn print(&self, node: NodeId) -> Printed {
        match &self.bound[node.index()] {
            Some(printed) => printed.clone(),
            None => self.write(node),
        }
    }

    fn bind(&mut self, node: NodeId) {
        let printed = self.write(node);
        let name = self.name(node);
        let derived = self.graph.node(node).origin.via != Via::Source;
        self.bound[node.index()] = Some(Printed { expr: tree::name(&name), ..printed });
        self.named.insert(node, name.clone());
        self.lets.push(Let { name, value: printed.expr, derived });
    }

    /// Binds parts of a node until it fits its line.
    fn shorten(&mut self, node: NodeId) {
        while width(&self.write(node).expr) > WIDTH {
            let part_width = |&part: &NodeId| width(&self.write(part).expr);
            let parts = self.parts(node).into_iter().filter(|part| part_width(part) >= PART);
            let Some(longest) = parts.max_by_key(|part| part_width(part)) else { return };
            self.bind(longest);
        }
    }

    /// The nodes whose text is part of this node's, the next below it.
    fn parts(&self, node: NodeId) -> Vec<NodeId> {
        let mut parts = Vec::new();
        for operand in self.graph.operands(node) {
            if self.is_transparent(operand) {
                parts.extend(self.parts(operand));
            } else if self.bound[operand.index()].is_none() {
                parts.push(operand);
            }
        }
        parts
    }

    /// Whether the user would look for it by name: a `let` of the source, the cotangent of
    /// something that has a name here, or the value that is differentiated.
    fn deserves_name(&self, node: NodeId) -> bool {
        let long = || width(&self.write(node).expr) >= PART;
        match self.graph.node(node).origin.via {
            Via::Source => {
                self.names.of_let(self.graph, node).is_some()
                    || (self.names.value == Some(node) && long())
            }
            Via::Tangent | Via::Cotangent => {
                let primals = self.names.primals(node);
                primals.iter().any(|p| self.named.contains_key(p)) && long()
            }
            Via::Rewrite(_) => false,
        }
    }

    /// How many times each node would be written.
    fn count_uses(&mut self, result: &Tree<NodeId>) {
        for (_, &node) in result.leaves("") {
            self.uses[node.index()] += 1;
        }
        for node in self.graph.nodes().rev() {
            let uses = self.uses[node.index()];
            let times = if self.is_transparent(node) { uses } else { uses.min(1) };
            for operand in self.graph.operands(node) {
                self.uses[operand.index()] += times;
            }
        }
    }

    /// Whether the node is no text of its own that would be worth a name.
    fn is_transparent(&self, node: NodeId) -> bool {
        match self.graph.op(node) {
            Op::Input(_) | Op::Const(_) | Op::Size(..) | Op::Iota { .. } | Op::CheckIndex(_) => {
                true
            }
            Op::After => true,
            Op::Broadcast { .. } | Op::Reshape(_) => self.view(node).is_some(),
            Op::Map(map) => self.unit_factor(*map, &self.graph.operands(node)).is_some(),
            _ => false,
        }
    }

    /// Where each axis of the node is in its operand, if all the node does is to repeat, or to add
    /// or drop axes of size 1. `x[3]` drops an axis as well, but is better written as that.
    fn view(&self, node: NodeId) -> Option<Vec<Option<usize>>> {
        let operand = self.graph.operands(node)[0];
        let (from, to) = (&self.graph.ty(operand).shape, &self.graph.ty(node).shape);
        match self.graph.op(node) {
            Op::Broadcast { axes, .. } => {
                let find = |axis: usize| axes.iter().position(|&a| usize::from(a) == axis);
                Some((0..to.len()).map(find).collect())
            }
            Op::Reshape(_) => {
                if matches!(self.graph.op(operand), Op::Slice { .. }) && to.len() < from.len() {
                    return None;
                }
                let mut axes = Vec::new();
                let mut next = 0;
                for size in to {
                    if size.is(1) {
                        axes.push(None);
                        continue;
                    }
                    next += from[next..].iter().position(|d| !d.is(1))?;
                    if from[next] != *size {
                        return None;
                    }
                    axes.push(Some(next));
                    next += 1;
                }
                from[next..].iter().all(|d| d.is(1)).then_some(axes)
            }
            _ => None,
        }
    }

    /// Chooses the reductions whose uses all put the axes back that they take away.
    fn choose_kept_axes(&mut self, result: &Tree<NodeId>) {
        // How the users of a node lay its axes out: unknown yet, all in one way, or not.
        let mut layouts: Vec<Option<Option<Vec<Option<usize>>>>> = vec![None; self.graph.len()];
        for (_, &node) in result.leaves("") {
            layouts[node.index()] = Some(None);
        }
        for node in self.graph.nodes().rev().filter(|n| self.uses[n.index()] > 0) {
            let own = layouts[node.index()].clone().flatten();
            if let (Op::Reduce(_, axes), Some(own)) = (self.graph.op(node), &own) {
                let mut kept = 0;
                let back = own.iter().enumerate().all(|(axis, from)| {
                    let reduced = axes.contains(&(axis as u8));
                    let expected = (!reduced).then_some(kept);
                    kept += usize::from(!reduced);
                    *from == expected
                });
                let rank = self.graph.ty(self.graph.operands(node)[0]).rank();
                // Axes that come last need no keeping: they align by themselves.
                let leading = axes.iter().enumerate().all(|(i, &a)| usize::from(a) == i);
                self.keep[node.index()] = back && own.len() == rank && !leading;
            }
            for operand in self.graph.operands(node) {
                let seen = match self.graph.op(node) {
                    Op::Map(_) | Op::Convert(_) => own.clone(),
                    Op::Broadcast { .. } | Op::Reshape(_) => {
                        let more = self.graph.ty(node).rank() > self.graph.ty(operand).rank();
                        self.view(node).filter(|_| more)
                    }
                    _ => None,
                };
                let layout = &mut layouts[operand.index()];
                *layout = Some(match layout.take() {
                    None => seen,
                    Some(before) => before.filter(|b| Some(b) == seen.as_ref()),
                });
            }
        }
    }
}

/// Columns an expression takes on one line.
fn width(expr: &Expr) -> usize {
    expr.to_string().chars().count()
}
