//! Loops as source: a `let` for all results of one, whose step is a block with statements of its
//! own.

use super::tree;
use super::view::Printed;
use super::{Let, Names, Writer, at};
use crate::check::typed::Tree;
use crate::graph::ops::Scan;
use crate::graph::{NodeId, Op, Via};
use crate::syntax::ast::{
    Binding, Block, Expr, ExprKind, Iter, NOWHERE, Pattern, PatternKind, ScanState, Stmt, StmtKind,
};

impl Writer<'_> {
    /// Binds the loop that a node is a result of, and with it all of its results.
    pub(super) fn bind_loop(&mut self, node: NodeId) {
        let graph = self.graph;
        let (Op::Scan(scan), operands) = (graph.op(node), graph.operands(node)) else {
            unreachable!("the caller has found a loop")
        };
        let inputs = scan.step.inputs().len();
        let (states, rest) = operands[..inputs].split_at(scan.carried);
        let (slices, whole) = rest.split_at(scan.sliced);
        let gate = operands.get(inputs).map(|&gate| (self.exact(gate), self.without(scan, states)));
        let mut named: Vec<String> = Vec::new();
        for what in [("state", states.len()), ("row", slices.len())] {
            named.extend((0..what.1).map(|_| self.fresh(what.0)));
        }
        let (state_names, row_names) = named.split_at(scan.carried);
        let state = (!states.is_empty()).then(|| {
            let first = states.iter().map(|&s| self.exact(s)).collect();
            Box::new(ScanState { pattern: pattern(state_names), init: one_or_tuple(first) })
        });
        let rows: Vec<Expr> =
            slices.iter().map(|&s| from_end(self.exact(s), scan.reverse)).collect();
        let iter = match rows.is_empty() {
            true => Iter::Range { start: tree::int(0), end: tree::dim(&scan.count) },
            false => Iter::Each(one_or_tuple(rows)),
        };
        let whole: Vec<String> = whole.iter().map(|&w| self.whole_name(w)).collect();
        let names = named.iter().chain(&whole).cloned();
        let inputs = scan.step.inputs().iter().zip(names).map(|((_, n), name)| (*n, name));
        let inner = self.names.without_nodes();
        let body = self.step(scan, inputs.collect(), &inner);
        let pattern = if slices.is_empty() { pattern(&[]) } else { pattern(row_names) };
        let kind = ExprKind::Scan { pattern, iter: Box::new(iter), state, body };
        let steps = Expr::new(kind, NOWHERE);
        let value = match gate {
            None => steps,
            Some((gate, without)) => tree::choice(gate, steps, without),
        };
        let name = self.fresh("steps");
        let derived = graph.node(node).origin.via != Via::Source;
        self.lets.push(Let { name: name.clone(), value, derived });
        for (other, number) in graph.loop_results(node) {
            let value = result(&name, &scan.with_result(number));
            self.bound[other.index()] = Some(Printed::plain(value, &graph.ty(other).shape));
        }
    }

    /// What a loop gives whose steps are left out.
    fn without(&self, scan: &Scan, states: &[NodeId]) -> Expr {
        let states: Vec<Expr> = states.iter().map(|&s| self.exact(s)).collect();
        let zeros = |number: usize| {
            let ty = scan.result_ty(number);
            let dtype = [("dtype", tree::name(ty.dtype.name()))];
            tree::call_named("zeros", [tree::sizes(&ty.shape)], dtype)
        };
        let elements: Vec<Expr> = (scan.carried..scan.step.outputs().len()).map(zeros).collect();
        let parts = [states, elements].into_iter().filter(|part| !part.is_empty());
        one_or_tuple(parts.map(one_or_tuple).collect())
    }

    /// The step as a block, its inputs under these names.
    fn step(
        &self,
        scan: &Scan,
        inputs: rustc_hash::FxHashMap<NodeId, String>,
        names: &Names,
    ) -> Block {
        let leaf = |(_, node): &(String, NodeId)| Tree::Leaf(*node);
        let (states, elements) = scan.step.outputs().split_at(scan.carried);
        let parts = [states, elements].into_iter().filter(|part| !part.is_empty());
        let parts = parts.map(|part| one_or_tree(part.iter().map(leaf).collect())).collect();
        let value = one_or_tree(parts);
        let mut inner = Writer::over(&scan.step, &value, names, inputs, self.taken.clone());
        inner.bind_nodes();
        let value = inner.result(&value);
        let stmt = |Let { name, value, .. }: Let| {
            let pattern = Pattern { kind: PatternKind::Name(name), span: NOWHERE };
            let kind = StmtKind::Let(Binding { pattern, ty: None, value });
            Stmt { kind, span: NOWHERE }
        };
        let stmts = inner.lets.into_iter().map(stmt).collect();
        Block { stmts, value: Some(Box::new(value)), span: at(0) }
    }

    /// A name under which a step sees the node as it is.
    fn whole_name(&mut self, node: NodeId) -> String {
        if let Some(path) = self.inputs.get(&node) {
            return path.clone();
        }
        let shape = &self.graph.ty(node).shape;
        let printed = self.print(node);
        if let ExprKind::Name(name) = &printed.expr.kind
            && printed.same_layout(&Printed::plain(tree::name(name), shape))
        {
            return name.clone();
        }
        let name = self.fresh("whole");
        let derived = self.graph.node(node).origin.via != Via::Source;
        self.lets.push(Let { name: name.clone(), value: self.exact(node), derived });
        name
    }
}

/// A result of the loop that has this name.
fn result(name: &str, scan: &Scan) -> Expr {
    let elements = scan.step.outputs().len() - scan.carried;
    let (of, number, count) = match scan.result.checked_sub(scan.carried) {
        None => (0, scan.result, scan.carried),
        Some(number) => (1, number, elements),
    };
    let mut path = name.to_string();
    if scan.carried > 0 && elements > 0 {
        path += &format!(".{of}");
    }
    if count > 1 {
        path += &format!(".{number}");
    }
    from_end(tree::member(&path), scan.reverse && of == 1)
}

/// `x[::-1]`, if so.
fn from_end(x: Expr, reverse: bool) -> Expr {
    match reverse {
        true => tree::index(x, vec![tree::slice(None, None, Some(tree::int(-1)))]),
        false => x,
    }
}

fn pattern(names: &[String]) -> Pattern {
    let name = |name: &String| Pattern { kind: PatternKind::Name(name.clone()), span: NOWHERE };
    let kind = match names {
        [] => PatternKind::Wildcard,
        [one] => PatternKind::Name(one.clone()),
        names => PatternKind::Tuple(names.iter().map(name).collect()),
    };
    Pattern { kind, span: NOWHERE }
}

fn one_or_tuple(mut values: Vec<Expr>) -> Expr {
    if values.len() == 1 { values.remove(0) } else { tree::tuple(values) }
}

fn one_or_tree(mut trees: Vec<Tree<NodeId>>) -> Tree<NodeId> {
    if trees.len() == 1 { trees.remove(0) } else { Tree::Tuple(trees) }
}
