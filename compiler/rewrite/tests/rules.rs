//! Every rule by itself: its left side on random values, against its right side, by the
//! interpreter.
//!
//! Rows of terms instantiate themselves, with stand-ins for variables where the side condition asks
//! for them; rows of code have an example in `examples`. A rule that nothing here makes apply
//! fails.

use super::examples::EXAMPLES;
use super::{compare, difference, special, tensor};
use crate::graph::ops::Draws;
use crate::graph::{Dim, Graph, MapOp, NodeId, Op, Origin, TensorType, interpret};
use crate::rewrite::convert::{Loaded, load};
use crate::rewrite::rules::pattern::Term;
use crate::rewrite::rules::{Act, Numerics, Rule, all};
use crate::rewrite::site::{Found, Ref};
use crate::rewrite::{Options, optimise, search};
use rustc_hash::FxHashMap;
use tensc_runtime::{DType, Scalar, Shape, Tensor};

#[test]
fn every_rule_keeps_values() {
    let mut silent = Vec::new();
    for rule in all() {
        let applied = match rule.act {
            Act::Terms { left, when, .. } => terms(rule, left, when.words),
            Act::Code { .. } => code(rule),
            Act::Fusion => fusion(rule),
        };
        if applied == 0 {
            silent.push(rule.name);
        }
    }
    assert!(silent.is_empty(), "rules that nothing instantiates: {silent:?}");
}

#[test]
fn names_are_unique_and_documented() {
    let mut names: Vec<&str> = all().map(|r| r.name).collect();
    names.sort_unstable();
    assert!(names.windows(2).all(|w| w[0] != w[1]), "a name twice");
    let spec = include_str!("../../../spec/rewrites.md");
    let table = table();
    assert!(spec.contains(&table), "spec/rewrites.md should have these tables:\n{table}");
}

/// The tables of `spec/rewrites.md`.
fn table() -> String {
    let mut text = String::new();
    let mut phase = None;
    for rule in all() {
        if phase != Some(rule.phase) {
            phase = Some(rule.phase);
            let name = rule.phase.name();
            text += &format!("\n### {name}\n\n| rule | class | replaces | by | when | why |\n");
            text += "|---|---|---|---|---|---|\n";
        }
        let (left, right) = match rule.act {
            Act::Terms { left, right, .. } => (format!("`{left}`"), format!("`{right}`")),
            Act::Code { .. } | Act::Fusion => (String::new(), String::new()),
        };
        let class =
            if rule.supersedes { format!("{}*", rule.class) } else { rule.class.to_string() };
        let row = [&format!("`{}`", rule.name), &class, &left, &right, rule.when(), rule.doc];
        text += &format!("| {} |\n", row.map(|cell: &str| cell.to_string()).join(" | "));
    }
    text
}

/// A graph under construction, without a builder's simplifications.
pub struct Raw(pub Graph);

impl Raw {
    pub fn ty(dtype: DType, dims: &[i64]) -> TensorType {
        TensorType::new(dtype, dims.iter().map(|&n| Dim::Const(n)))
    }
    pub fn input(&mut self, dtype: DType, dims: &[i64]) -> NodeId {
        let name = format!("x{}", self.0.inputs().len());
        self.0.add_input(name, Raw::ty(dtype, dims), Origin::default())
    }
    pub fn op(&mut self, op: impl Into<Op>, operands: &[NodeId]) -> NodeId {
        self.0.add(op.into(), operands, Origin::default()).expect("an example is well typed")
    }
    pub fn full(&mut self, value: f64, dtype: DType, dims: &[i64]) -> NodeId {
        let scalar = self.op(Op::Const(Scalar::from_f64(dtype, value)), &[]);
        if dims.is_empty() { scalar } else { self.repeat(scalar, dims, &[]) }
    }
    pub fn repeat(&mut self, x: NodeId, dims: &[i64], axes: &[u8]) -> NodeId {
        let shape = dims.iter().map(|&n| Dim::Const(n)).collect();
        self.op(Op::Broadcast { shape, axes: axes.into() }, &[x])
    }
}

fn inputs(graph: &Graph, extreme: bool, seed: u64) -> Vec<Tensor> {
    let value = |(i, (_, node)): (usize, &(String, NodeId))| {
        let ty = graph.ty(*node);
        let shape: Shape = ty.concrete_shape();
        let n = shape.elements();
        if !extreme {
            let limit = if ty.dtype.is_float() { 2.0 } else { 9.0 };
            return Draws::Between(-limit, limit).tensor(ty.dtype, shape, seed + i as u64);
        }
        // Every pair of special values meets somewhere in 144 elements.
        let values = special(ty.dtype);
        let stride = if i % 2 == 0 { 1 } else { values.len() };
        let chosen = (0..n).map(|at| values[(at / stride + i) % values.len()]);
        tensor(ty.dtype, chosen, shape)
    };
    graph.inputs().iter().enumerate().map(value).collect()
}

fn terms(rule: &'static Rule, left: &str, when: &str) -> usize {
    let left = Term::parse(left);
    let mut applied = 0;
    for dtype in DType::ALL {
        for dims in [&[12, 12][..], &[]] {
            let mut raw = Raw(Graph::new());
            let mut variables = FxHashMap::default();
            let mut build = Build { raw: &mut raw, variables: &mut variables, dtype, dims, when };
            let Some(root) = build.term(&left, true) else { continue };
            raw.0.add_output("y", root);
            applied += by_itself(rule, &raw.0);
        }
    }
    applied
}

/// Instantiates a term; `None` where the types do not fit.
struct Build<'a> {
    raw: &'a mut Raw,
    variables: &'a mut FxHashMap<u8, NodeId>,
    dtype: DType,
    dims: &'a [i64],
    when: &'a str,
}

impl Build<'_> {
    fn term(&mut self, term: &Term, root: bool) -> Option<NodeId> {
        match term {
            Term::Var(name) => Some(self.variable(*name)),
            Term::Number(x) => {
                // The mask of a choice is the only number that is not of the term's type.
                let value = Scalar::from_f64(self.dtype, *x);
                let fits = self.dtype.is_float() || value.to_f64() == *x;
                fits.then(|| self.raw.full(*x, self.dtype, self.dims))
            }
            Term::Map(op, operands) => {
                let mut nodes = Vec::new();
                for (i, operand) in operands.iter().enumerate() {
                    // A mask is a variable of its own, or compares values of the term's type.
                    let compares = matches!(operand, Term::Map(MapOp::Gt, _));
                    let mask = *op == MapOp::Select && i == 0 && !compares;
                    let dtype = self.dtype;
                    if mask {
                        self.dtype = DType::Bool;
                    }
                    let node = self.term(operand, false);
                    self.dtype = dtype;
                    nodes.push(node?);
                }
                let types: Vec<DType> = nodes.iter().map(|&n| self.raw.0.ty(n).dtype).collect();
                let fits = op.row().result(&types).is_ok();
                debug_assert!(fits || !root || !types.is_empty());
                fits.then(|| self.raw.op(*op, &nodes))
            }
        }
    }

    fn variable(&mut self, name: u8) -> NodeId {
        if let Some(known) = self.variables.get(&name) {
            return *known;
        }
        let float = self.dtype.is_float();
        let node = match (self.when, name) {
            ("y is a constant" | "x is a float, y is a constant", b'y')
            | ("x and z are constant floats", b'x' | b'z') => {
                self.raw.full(3.0, self.dtype, self.dims)
            }
            ("x > 0 or NaN" | "x is not a float, or never zero", b'x') if float => {
                self.square_plus(0.5)
            }
            ("x >= 0 or NaN", b'x') if float => self.square_plus(0.0),
            ("x > y everywhere, y never NaN" | "y < x everywhere, x never NaN", b'x') if float => {
                let x = self.raw.input(self.dtype, self.dims);
                let y = self.raw.op(MapOp::Sigmoid, &[x]);
                let two = self.raw.full(2.0, self.dtype, self.dims);
                let when_x_may_be_nan = self.when.starts_with("x > y");
                let x = if when_x_may_be_nan { x } else { two };
                let square = self.raw.op(MapOp::Square, &[x]);
                let _ = y;
                self.raw.op(MapOp::Add, &[square, two])
            }
            ("x > y everywhere, y never NaN", b'y') if float => {
                self.raw.full(0.5, self.dtype, self.dims)
            }
            ("y < x everywhere, x never NaN", b'y') if float => {
                let x = self.raw.input(self.dtype, self.dims);
                self.raw.op(MapOp::Sigmoid, &[x])
            }
            _ => self.raw.input(self.dtype, self.dims),
        };
        self.variables.insert(name, node);
        node
    }

    fn square_plus(&mut self, more: f64) -> NodeId {
        let x = self.raw.input(self.dtype, self.dims);
        let square = self.raw.op(MapOp::Square, &[x]);
        if more == 0.0 {
            return square;
        }
        let more = self.raw.full(more, self.dtype, self.dims);
        self.raw.op(MapOp::Add, &[square, more])
    }
}

fn code(rule: &'static Rule) -> usize {
    let examples = EXAMPLES.iter().filter(|(name, _)| *name == rule.name);
    let applied = examples.map(|(_, example)| {
        let mut raw = Raw(Graph::new());
        let root = example(&mut raw);
        raw.0.add_output("y", root);
        by_itself(rule, &raw.0)
    });
    applied.sum()
}

/// Applies only this rule wherever it applies, and compares each place with what replaces it.
fn by_itself(rule: &'static Rule, graph: &Graph) -> usize {
    let loaded = load(graph, false);
    let found = search::search_only(rule, &loaded.egraph);
    for found in &found {
        let (both, left, right) = side_by_side(graph, &loaded, found);
        for (special, seed) in [(false, 1), (false, 2), (true, 3)] {
            if special && rule.class != Numerics::Exact {
                continue;
            }
            let inputs = inputs(&both, special, seed);
            let Ok(values) = interpret(&both, &inputs) else {
                panic!("{}: does not run\n{both}", rule.name)
            };
            // Sums over the whole tensor of what is special are NaN on both sides: fine.
            if let Some(why) = difference(&values[0], &values[1], rule.class) {
                panic!("{}: {left} and {right} differ: {why}\n{both}", rule.name);
            }
        }
    }
    found.len()
}

/// The graph with the left side and the right side as outputs.
fn side_by_side(graph: &Graph, loaded: &Loaded, found: &Found) -> (Graph, NodeId, NodeId) {
    let mut both = graph.clone();
    both.clear_outputs();
    let mut nodes = FxHashMap::default();
    for node in graph.nodes() {
        if let Some(id) = loaded.nodes[node.index()] {
            nodes.entry(loaded.egraph.find(id)).or_insert(node);
        }
    }
    let mut new: Vec<NodeId> = Vec::new();
    let resolve = |both: &mut Graph, new: &[NodeId], r: Ref| match r {
        Ref::New(n) => new[usize::from(n)],
        Ref::Class(id) => match nodes.get(&loaded.egraph.find(id)) {
            Some(node) => *node,
            None => {
                let facts = &loaded.egraph[id].data;
                let value = facts.constant.expect("a class without a node is a folded constant");
                let scalar = both.add(Op::Const(value), &[], Origin::default()).expect("typed");
                if facts.ty.rank() == 0 {
                    return scalar;
                }
                let shape = facts.ty.shape.clone();
                let op = Op::Broadcast { shape, axes: Default::default() };
                both.add(op, &[scalar], Origin::default()).expect("typed")
            }
        },
    };
    for (shared, operands) in found.terms() {
        let operands: Vec<NodeId> = operands.iter().map(|&r| resolve(&mut both, &new, r)).collect();
        let op = shared.op().expect("rules make operations").clone();
        new.push(both.add(op, &operands, Origin::default()).expect("a right side is well typed"));
    }
    let right = resolve(&mut both, &new, found.root());
    let left = nodes[&loaded.egraph.find(found.class)];
    both.add_output("left", left);
    both.add_output("right", right);
    (both, left, right)
}

fn fusion(rule: &'static Rule) -> usize {
    let examples = EXAMPLES.iter().filter(|(name, _)| *name == rule.name);
    let applied = examples.map(|(_, example)| {
        let mut raw = Raw(Graph::new());
        let root = example(&mut raw);
        raw.0.add_output("y", root);
        let only = Some(vec![rule.name]);
        let options = Options { only, numerics: Numerics::Exact, ..Options::default() };
        let (result, report) = optimise(&raw.0, &options);
        for (special, seed) in [(false, 1), (true, 3)] {
            compare(&raw.0, &result, &inputs(&raw.0, special, seed), Numerics::Exact);
        }
        report.count(rule.name)
    });
    applied.sum()
}
