//! `scan`, and `while` in functions: a step, compiled once and repeated.
//!
//! The step is walked into a graph of its own, as a function that is transformed is: its inputs are
//! the state, what a step sees of the rows, and whatever else it uses.

use super::transform::leaves;
use super::{Eval, Level, Walk};
use crate::check::types::Type;
use crate::check::value::{Static, Value};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::ops::Scan;
use crate::graph::{Dim, NodeId, Op};
use crate::syntax::ast::{self, Expr};
use std::sync::Arc;
use tensc_runtime::DType;

/// What a `scan` goes through: a tree of tensors whose leading axes are of one size.
struct Rows<'w> {
    tree: Value<'w>,
    nodes: Vec<NodeId>,
    count: Dim,
}

impl<'w> Walk<'w> {
    pub(super) fn scan(
        &mut self,
        pattern: &'w ast::Pattern,
        iter: &'w ast::Iter,
        state: Option<&'w ast::ScanState>,
        body: &'w ast::Block,
        (span, want): (Span, Option<&Type>),
    ) -> Eval<Value<'w>> {
        let rows = match iter {
            ast::Iter::Range { start, end } => self.numbers(start, end)?,
            ast::Iter::Each(value) => self.rows(value)?,
        };
        let Some(state) = state else {
            return self.repeated(pattern, &rows, None, body, span);
        };
        let at = state.init.span;
        let want = state_type(&state.init, want);
        let value = self.expr(&state.init, want);
        if let Some(want) = want
            && let Ok(first) = self.listening(|w| w.fit(&value, want, at)).0
        {
            let first = self.first_state(&first, at)?;
            return self.repeated(pattern, &rows, Some((state, &first)), body, span);
        }
        let first = self.first_state(&value, at)?;
        // A number takes the element type of the rows where the step does not do with its own.
        let Some(other) = self.strong_dtype(&rows.tree).filter(|_| has_number(&value)) else {
            return self.repeated(pattern, &rows, Some((state, &first)), body, span);
        };
        let own = |w: &mut Self| w.repeated(pattern, &rows, Some((state, &first)), body, span);
        let (result, heard) = self.listening(own);
        if result.is_err() {
            let (retried, heard) = self.listening(|w| {
                let numbers = w.numbers_as(&value, other, at)?;
                let first = w.first_state(&numbers, at)?;
                w.repeated(pattern, &rows, Some((state, &first)), body, span)
            });
            if retried.is_ok() {
                self.diags.extend(heard);
                return retried;
            }
        }
        self.diags.extend(heard);
        result
    }

    /// The steps from a first state on, if there is one.
    fn repeated(
        &mut self,
        pattern: &'w ast::Pattern,
        rows: &Rows<'w>,
        start: Option<(&'w ast::ScanState, &Value<'w>)>,
        body: &'w ast::Block,
        span: Span,
    ) -> Eval<Value<'w>> {
        let (state, first) = match start {
            Some((state, first)) => (Some(state), first.clone()),
            None => (None, Value::Unit),
        };
        let first_ty = self.ty(&first);
        let outer: Vec<NodeId> = leaves(&first).into_iter().map(|leaf| self.node(leaf)).collect();
        self.levels.push(Level::default());
        let stepped = self.step(pattern, rows, state, (&first, &outer), body);
        let typed = stepped.and_then(|(next, element)| {
            let declared = state.map(|s| s.init.span);
            let next = match state {
                Some(_) => self.coerce(&next, &first_ty, result_span(body), declared)?,
                None => Value::Unit,
            };
            let mut nodes = Vec::new();
            for leaf in leaves(&next).into_iter().chain(leaves(&element)) {
                nodes.push(self.node(leaf));
            }
            Ok((nodes, element))
        });
        let mut level = self.levels.pop().expect("pushed above");
        let (nodes, element) = typed?;
        let carried = outer.len();
        for (number, node) in nodes.iter().enumerate() {
            let name = match number.checked_sub(carried) {
                None => format!("state.{number}"),
                Some(number) => format!("element.{number}"),
            };
            level.graph.add_output(name, *node);
        }
        let scan = Scan {
            step: Arc::new(level.graph.pruned()),
            count: rows.count.clone(),
            carried,
            sliced: rows.nodes.len(),
            reverse: false,
            result: 0,
            gated: false,
            until: None,
        };
        let mut results = Vec::with_capacity(nodes.len());
        for number in 0..nodes.len() {
            results.push(self.add(Op::Scan(scan.with_result(number)), &level.outer, span)?);
        }
        let mut results = results.into_iter();
        let mut filled = |tree: &Value<'w>| self.with_nodes(tree, &mut results);
        let last = filled(&first);
        let elements = filled(&element);
        let elements = elements.stacked(&rows.count);
        Ok(match (state, elements) {
            (None, elements) => elements,
            (Some(_), Value::Unit) => last,
            (Some(_), elements) => Value::tuple(vec![last, elements]),
        })
    }

    /// The next state and the element of a step, in the graph on top.
    fn step(
        &mut self,
        pattern: &'w ast::Pattern,
        rows: &Rows<'w>,
        state: Option<&'w ast::ScanState>,
        (first, outer): (&Value<'w>, &[NodeId]),
        body: &'w ast::Block,
    ) -> Eval<(Value<'w>, Value<'w>)> {
        let level = self.levels.len() - 1;
        let before = self.state_inputs(first, outer);
        let mut numbered = rows.nodes.iter().enumerate();
        let row = self.unstacked(&rows.tree).map_tensors(&mut |_| {
            let (number, &node) = numbered.next().expect("a node for each tensor");
            let input = self.lane_of(format!("row.{number}"), node, level);
            self.tensor(input)
        });
        let mark = self.locals.len();
        let outside = std::mem::replace(&mut self.assignable_from, mark);
        let bound = self.destructure(pattern, row, false).and_then(|()| match state {
            Some(state) => self.destructure(&state.pattern, before, false),
            None => Ok(()),
        });
        let value = bound.map(|()| self.block(body, None));
        self.assignable_from = outside;
        self.locals.truncate(mark);
        let value = value?;
        let at = result_span(body);
        if value.is_error() {
            return Err(self.reported());
        }
        // No tree is its own first member, so what a step gives is never ambiguous.
        let (next, element) = match (&value, state) {
            (_, None) => (Value::Unit, value),
            (Value::Tuple(parts), Some(_)) if parts.len() == 2 && alike(&parts[0], first) => {
                (parts[0].clone(), parts[1].clone())
            }
            (_, Some(_)) => (value, Value::Unit),
        };
        let element = match element {
            Value::Unit if state.is_some() => Value::Unit,
            element => self.tensors_of(&element, at, "the elements of a scan are tensors")?,
        };
        Ok((next, element))
    }

    /// `while` in a function: so many steps as its limit says, of which those after the end do
    /// nothing. Every variable is a state, and so is whether it goes on; those that the body leaves
    /// alone are dropped later.
    pub(super) fn while_steps(
        &mut self,
        cond: &'w Expr,
        limit: Option<&'w Expr>,
        body: &'w ast::Block,
        span: Span,
    ) -> Eval<()> {
        let limit = self.limit_of(cond, limit)?;
        let count = self.known_size(limit)?;
        if let Some(count) = count.known()
            && count < 0
        {
            let message = format!("a loop that turns {count} times at most");
            return Err(self.error(codes::BAD_ARGUMENTS, limit.span, message));
        }
        let base = self.locals.len() - self.visible().len();
        let is_tensors = |value: &Value<'w>| {
            let mut ok = !value.is_error();
            let _ = value.map_leaves::<()>(&mut |leaf| {
                ok &= matches!(leaf, Value::Tensor(_));
                Ok(leaf.clone())
            });
            ok
        };
        let vars: Vec<usize> = (base.max(self.assignable_from)..self.locals.len())
            .filter(|&i| self.locals[i].var.is_some() && is_tensors(&self.locals[i].value))
            .collect();
        let values: Vec<Value<'w>> = vars.iter().map(|&i| self.locals[i].value.clone()).collect();
        let first = Value::tuple(values.clone());
        let mut outer: Vec<NodeId> =
            leaves(&first).into_iter().map(|leaf| self.node(leaf)).collect();
        let goes_on = self.constant(tensc_runtime::Scalar::from_i64(DType::Bool, 1), span);
        self.levels.push(Level::default());
        let before = self.state_inputs(&first, &outer);
        outer.push(goes_on);
        let level = self.levels.len() - 1;
        let until = outer.len() - 1;
        let goes_on = self.input_from(format!("state.{until}"), goes_on, level);
        for (&i, value) in vars.iter().zip(before.children()) {
            self.locals[i].value = value.clone();
        }
        let stepped = self.turn(cond, body, &vars, &before, goes_on);
        for (&i, value) in vars.iter().zip(&values) {
            self.locals[i].value = value.clone();
        }
        let mut level = self.levels.pop().expect("pushed above");
        for (number, node) in stepped?.into_iter().enumerate() {
            level.graph.add_output(format!("state.{number}"), node);
        }
        let (carried, step) = (outer.len(), Arc::new(level.graph.pruned()));
        let scan = Scan {
            step,
            count,
            carried,
            sliced: 0,
            reverse: false,
            result: 0,
            gated: false,
            until: Some(until),
        };
        let mut results = Vec::with_capacity(until);
        for number in 0..until {
            results.push(self.add(Op::Scan(scan.with_result(number)), &level.outer, span)?);
        }
        let mut results = results.into_iter();
        for (&i, value) in vars.iter().zip(&values) {
            self.locals[i].value = self.with_nodes(value, &mut results);
        }
        Ok(())
    }

    /// The variables after a turn of a `while`, as nodes of the graph on top.
    fn turn(
        &mut self,
        cond: &'w Expr,
        body: &'w ast::Block,
        vars: &[usize],
        before: &Value<'w>,
        goes_on: NodeId,
    ) -> Eval<Vec<NodeId>> {
        let value = self.expr(cond, None);
        if value.is_error() {
            return Err(self.reported());
        }
        let Value::Tensor(condition) = self.condition(&value, cond.span)? else {
            unreachable!("a condition is a tensor")
        };
        let condition = self.node(condition);
        let goes_on = self.add(crate::graph::MapOp::And, &[goes_on, condition], cond.span)?;
        let start = self.level().graph.len();
        if self.block(body, None).is_error() {
            return Err(self.reported());
        }
        let mut pairs = Vec::new();
        for (&i, before) in vars.iter().zip(before.children()) {
            let after = self.locals[i].value.clone();
            for (after, before) in leaves(&after).into_iter().zip(leaves(before)) {
                pairs.push((self.node(after), self.node(before)));
            }
        }
        // What the body leaves alone needs no choice.
        let moved: Vec<(NodeId, NodeId)> =
            pairs.iter().copied().filter(|(after, before)| after != before).collect();
        let mut chosen = self.taken(goes_on, &moved, start, body.span)?.into_iter();
        let mut nodes: Vec<NodeId> = pairs
            .into_iter()
            .map(|(after, before)| match after == before {
                true => after,
                false => chosen.next().expect("one for each that moved"),
            })
            .collect();
        nodes.push(goes_on);
        Ok(nodes)
    }

    /// The limit that a `while` must have.
    pub(crate) fn limit_of(&mut self, cond: &'w Expr, limit: Option<&'w Expr>) -> Eval<&'w Expr> {
        limit.ok_or_else(|| {
            let message = "`while` says how often it turns at most";
            let diagnostic = Diagnostic::error(codes::BAD_ARGUMENTS, cond.span, message);
            let text = self.text(cond.span);
            self.report(diagnostic.help(format!("write while {text} limit 1000 {{ … }}")))
        })
    }

    /// Inputs of the graph on top that stand for a state, nodes around it.
    fn state_inputs(&mut self, first: &Value<'w>, outer: &[NodeId]) -> Value<'w> {
        let level = self.levels.len() - 1;
        let mut numbered = outer.iter().enumerate();
        first.map_tensors(&mut |_| {
            let (number, &node) = numbered.next().expect("a node for each tensor");
            let input = self.input_from(format!("state.{number}"), node, level);
            self.tensor(input)
        })
    }

    /// `a..b` as the tensor of its numbers.
    fn numbers(&mut self, start: &'w Expr, end: &'w Expr) -> Eval<Rows<'w>> {
        let (from, to) = (self.known_size(start)?, self.known_size(end)?);
        let count = to - from.clone();
        if count.known().is_some_and(|n| n < 0) {
            let message = "the range ends before it starts";
            return Err(self.error(codes::BAD_ARGUMENTS, start.span.to(end.span), message));
        }
        let (span, dtype) = (start.span, DType::I64);
        let shape = [count.clone()].into_iter().collect();
        let mut node = self.add(Op::Iota { dtype, shape, axis: 0 }, &[], span)?;
        if from != Dim::Const(0) {
            let from = self.add(Op::Size(from, dtype), &[], span)?;
            let from = self.stretch(from, std::slice::from_ref(&count), span)?;
            node = self.add(crate::graph::MapOp::Add, &[node, from], span)?;
        }
        Ok(Rows { tree: self.tensor(node), nodes: vec![node], count })
    }

    fn known_size(&mut self, expr: &'w Expr) -> Eval<Dim> {
        let value = self.expr(expr, None);
        let size = match &value {
            Value::Static(Static::Dim(dim)) => Some(dim.clone()),
            Value::Tensor(leaf) => self.size_of(*leaf),
            Value::Error => return Err(self.reported()),
            _ => None,
        };
        size.ok_or_else(|| {
            let message = "how many steps a loop takes must be known";
            let diagnostic = Diagnostic::error(codes::NOT_STATIC, expr.span, message);
            self.report(diagnostic.help("go through the rows of a tensor, or use a size"))
        })
    }

    /// A tree of tensors to go through row by row.
    fn rows(&mut self, expr: &'w Expr) -> Eval<Rows<'w>> {
        let value = self.expr(expr, None);
        let tree = self.tensors_of(&value, expr.span, "a scan goes through the rows of tensors")?;
        let mut nodes: Vec<NodeId> = Vec::new();
        for leaf in leaves(&tree) {
            let node = self.node(leaf);
            let ty = self.node_ty(node).clone();
            let Some(size) = ty.shape.first() else {
                let message = format!("a scan goes through the rows of tensors, {ty} has none");
                return Err(self.error(codes::BAD_AXIS, expr.span, message));
            };
            if let Some(&other) = nodes.first()
                && self.node_ty(other).shape[0] != *size
            {
                let count = self.node_ty(other).shape[0].clone();
                let message =
                    format!("a scan goes through rows of one number, found {count} and {size}");
                let mut diagnostic = Diagnostic::error(codes::SHAPE_MISMATCH, expr.span, message);
                let names = self.leaf_names(&tree);
                if let (Some(first), Some(name)) = (names.first(), names.get(nodes.len())) {
                    let here = format!("`{first}` has {count}, `{name}` has {size}");
                    diagnostic = diagnostic.here(here);
                }
                let diagnostic = self.with_size(diagnostic, other, 0);
                let diagnostic = self.with_size(diagnostic, node, 0);
                return Err(self.report(diagnostic));
            }
            nodes.push(node);
        }
        let Some(&first) = nodes.first() else {
            return Err(self.expected("tensors with rows", &value, expr.span));
        };
        let count = self.node_ty(first).shape[0].clone();
        Ok(Rows { tree, nodes, count })
    }

    /// A value with its numbers of this element type, where they are of its kind.
    fn numbers_as(&mut self, value: &Value<'w>, dtype: DType, at: Span) -> Eval<Value<'w>> {
        value.map_leaves(&mut |leaf| {
            let fits = match leaf {
                Value::Static(Static::Float(..) | Static::Computed(..)) => dtype.is_float(),
                Value::Static(Static::Dim(_)) => dtype.is_int(),
                _ => false,
            };
            if !fits {
                return Ok(leaf.clone());
            }
            let node = self.to_tensor(leaf, Some(dtype), at)?;
            Ok(self.tensor(node))
        })
    }

    fn first_state(&mut self, value: &Value<'w>, at: Span) -> Eval<Value<'w>> {
        self.tensors_of(value, at, "a state is made of tensors")
    }

    /// A value whose leaves are tensors.
    fn tensors_of(&mut self, value: &Value<'w>, span: Span, rule: &str) -> Eval<Value<'w>> {
        value.map_leaves(&mut |leaf| match leaf {
            Value::Error => Err(self.reported()),
            Value::Unit | Value::Function(_) | Value::Module(_) => {
                Err(self.error(codes::TYPE_MISMATCH, span, rule))
            }
            leaf => {
                let node = self.to_tensor(leaf, None, span)?;
                Ok(self.tensor(node))
            }
        })
    }
}

/// The type that a state is asked to have: that of the scan, or of its first part where there are
/// elements too.
fn state_type<'t>(init: &Expr, want: Option<&'t Type>) -> Option<&'t Type> {
    match want? {
        Type::Tuple(parts) if parts.len() == 2 => match (&init.kind, &parts[0]) {
            (ast::ExprKind::Tuple(_), Type::Tuple(_)) => Some(&parts[0]),
            (ast::ExprKind::Tuple(_), _) => want,
            _ => Some(&parts[0]),
        },
        want => Some(want),
    }
}

/// Whether a number that is known stands in a value.
fn has_number(value: &Value<'_>) -> bool {
    match value {
        Value::Static(Static::Float(..) | Static::Computed(..) | Static::Dim(_)) => true,
        tree => tree.children().iter().any(|part| has_number(part)),
    }
}

/// What the value of a block is said of in messages.
fn result_span(body: &ast::Block) -> Span {
    body.value.as_ref().map_or(body.span, |value| value.span)
}

/// Whether two values are trees of one form, whatever their leaves.
fn alike(a: &Value<'_>, b: &Value<'_>) -> bool {
    let (x, y) = (a.children(), b.children());
    a.is_tree() == b.is_tree() && x.len() == y.len() && x.iter().zip(&y).all(|(a, b)| alike(a, b))
}
