//! What indices of comprehensions make of a tensor, without copying: `a[i, k]`, `x[2 * i + k]`.
//!
//! A [`View`] is a tensor some of whose axes are indexed by sums of multiples of indices. In the
//! graph of an index it is an input; when that index's range is known the view is *opened*: the
//! index becomes an axis, and the rest is a view in the graph around, until every index is open and
//! the tensor's own graph is reached. There it is made of slices, windows, diagonals and a
//! transpose.

use super::super::{Eval, Level, MAX_NODES, Reported, Walk};
use super::Lane;
use crate::check::value::{Leaf, SizeOrigin};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::ops::Window;
use crate::graph::{Dim, MapOp, NodeId, Op, TensorType};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use tensc_runtime::DType;

/// How deep the arithmetic of an index may nest to be understood.
const MAX_TERMS: usize = 64;

/// `constant + Σ multiple * index`: the indices by the level of their graphs.
#[derive(Clone, Debug)]
pub(in crate::check::walk) struct Form {
    constant: Dim,
    terms: BTreeMap<u32, i64>,
    pub(in crate::check::walk) span: Span,
}

/// A tensor of a graph with its axes indexed by forms, or taken whole.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) base: (u32, NodeId),
    axes: Vec<Option<Form>>,
    /// Indices that are axes in front by now, outermost first, with their ranges.
    opened: Vec<(u32, Dim)>,
    /// What they are called, and what bounds them.
    names: Vec<(u32, String, Span)>,
    span: Span,
}

impl Form {
    fn constant(constant: Dim, span: Span) -> Form {
        Form { constant, terms: BTreeMap::new(), span }
    }

    fn same(&self, other: &Form) -> bool {
        self.constant == other.constant && self.terms == other.terms
    }

    /// `self + factor * other`
    fn plus(mut self, other: &Form, factor: i64) -> Option<Form> {
        self.constant = self.constant + other.constant.clone() * Dim::Const(factor);
        for (&index, &by) in &other.terms {
            let old = self.terms.get(&index).copied().unwrap_or(0);
            match old.checked_add(by.checked_mul(factor)?)? {
                0 => self.terms.remove(&index),
                sum => self.terms.insert(index, sum),
            };
        }
        Some(self)
    }

    /// The index, where the form is nothing else.
    pub(in crate::check::walk) fn alone(&self) -> Option<u32> {
        match (self.terms.len(), self.terms.first_key_value()) {
            (1, Some((&index, 1))) if self.constant.is(0) => Some(index),
            _ => None,
        }
    }

    /// Whether it is a negative multiple of an index, and nothing else.
    pub(super) fn is_negative_alone(&self, index: u32) -> bool {
        let negative = self.terms.get(&index).is_some_and(|&by| by < 0);
        negative && self.terms.len() == 1 && self.constant.is(0)
    }

    /// The level of the outermost index.
    pub(in crate::check::walk) fn outermost(&self) -> Option<u32> {
        self.terms.keys().next().copied()
    }

    /// The least and the greatest value, for indices that run so far.
    fn bounds(&self, ranges: &dyn Fn(u32) -> Dim) -> (Dim, Dim) {
        let (mut least, mut greatest) = (self.constant.clone(), self.constant.clone());
        for (&index, &by) in &self.terms {
            let reach = (ranges(index) - Dim::Const(1)) * Dim::Const(by);
            match by > 0 {
                true => greatest = greatest + reach,
                false => least = least + reach,
            }
        }
        (least, greatest)
    }
}

impl View {
    fn same(&self, other: &View) -> bool {
        let axes = self.axes.iter().zip(&other.axes).all(|pair| match pair {
            (Some(a), Some(b)) => a.same(b),
            (None, None) => true,
            _ => false,
        });
        self.base == other.base && self.opened == other.opened && axes
    }

    /// The axes that are indexed.
    pub(super) fn forms(&self) -> impl Iterator<Item = (usize, &Form)> {
        self.axes.iter().enumerate().filter_map(|(axis, form)| Some((axis, form.as_ref()?)))
    }

    /// The view with one more index as an axis; its name and what bounds it are for messages.
    pub(super) fn opened(mut self, index: u32, range: &Dim, (name, bound): (&str, Span)) -> View {
        self.opened.insert(0, (index, range.clone()));
        self.names.push((index, name.to_string(), bound));
        self
    }

    fn range(&self, index: u32) -> Option<&Dim> {
        self.opened.iter().find(|(i, _)| *i == index).map(|(_, range)| range)
    }

    /// The innermost index that is not an axis yet.
    fn innermost(&self) -> Option<u32> {
        let terms = self.forms().flat_map(|(_, form)| form.terms.keys().copied());
        terms.filter(|&index| self.range(index).is_none()).max()
    }

    /// In how many places an axis of this size has room, where the other terms are known.
    pub(super) fn places(&self, form: &Form, index: u32, size: &Dim) -> Option<Dim> {
        let by = *form.terms.get(&index)?;
        let mut rest = form.clone();
        rest.terms.remove(&index);
        if rest.terms.keys().any(|&other| self.range(other).is_none()) {
            return None;
        }
        let (least, greatest) =
            rest.bounds(&|other| self.range(other).expect("seen above").clone());
        let room = match by > 0 {
            true => size.clone() - Dim::Const(1) - greatest,
            false => least,
        };
        let by = by.abs();
        let turns = match room.known() {
            Some(room) => Dim::Const(room.div_euclid(by)),
            None => room.div_exact(&Dim::Const(by))?,
        };
        Some(turns + Dim::Const(1))
    }

    /// The sizes of its axes, those of opened indices first, and for each of the others the axis of
    /// the tensor that it is.
    fn shape(&self, base: &TensorType) -> (Vec<Dim>, Vec<usize>) {
        let whole: Vec<usize> =
            (0..self.axes.len()).filter(|&axis| self.axes[axis].is_none()).collect();
        let opened = self.opened.iter().map(|(_, range)| range.clone());
        let sizes = whole.iter().map(|&axis| base.shape[axis].clone());
        (opened.chain(sizes).collect(), whole)
    }
}

impl<'w> Walk<'w> {
    /// The form of a scalar of the graph on top, where it is one of indices.
    pub(in crate::check::walk) fn form_of(&self, leaf: Leaf, span: Span) -> Option<Form> {
        let Leaf::Node(level, node) = leaf else { return None };
        let form = self.form_at(level as usize, node, span, MAX_TERMS)?;
        (!form.terms.is_empty()).then_some(form)
    }

    fn form_at(&self, level: usize, node: NodeId, span: Span, depth: usize) -> Option<Form> {
        let depth = depth.checked_sub(1)?;
        let Level { graph, index, .. } = &self.levels[level];
        if *graph.ty(node) != TensorType::scalar(DType::I64) {
            return None;
        }
        let operands = graph.operands(node);
        let of = |operand: usize| self.form_at(level, operands[operand], span, depth);
        let zero = || Form::constant(Dim::Const(0), span);
        match graph.op(node) {
            Op::Input(_) if index.as_ref().is_some_and(|index| index.number == node) => {
                let number = u32::try_from(level).expect("few levels");
                Some(Form { terms: BTreeMap::from([(number, 1)]), ..zero() })
            }
            Op::Input(_) => {
                let outer = self.imported_from(level, node)?;
                self.form_at(level - 1, outer, span, depth)
            }
            Op::Const(n) => Some(Form::constant(Dim::Const(n.to_i64()), span)),
            Op::Size(dim, _) => Some(Form::constant(dim.clone(), span)),
            Op::Map(MapOp::Add) => of(0)?.plus(&of(1)?, 1),
            Op::Map(MapOp::Sub) => of(0)?.plus(&of(1)?, -1),
            Op::Map(MapOp::Neg) => zero().plus(&of(0)?, -1),
            Op::Map(MapOp::Mul) => {
                let (a, b) = (of(0)?, of(1)?);
                let number = |form: &Form| form.constant.known().filter(|_| form.terms.is_empty());
                match (number(&a), number(&b)) {
                    (Some(by), _) => zero().plus(&b, by),
                    (_, Some(by)) => zero().plus(&a, by),
                    (None, None) => None,
                }
            }
            _ => None,
        }
    }

    /// `i * W + j` as its two indices and `W`, which is a name.
    pub(in crate::check::walk) fn split_form(
        &self,
        leaf: Leaf,
        span: Span,
    ) -> Option<((Form, Leaf), (Form, Leaf), Dim)> {
        let Leaf::Node(at, node) = leaf else { return None };
        let level = at as usize;
        let graph = &self.levels[level].graph;
        let form = |node: NodeId| self.form_at(level, node, span, MAX_TERMS);
        let alone = |node: NodeId| {
            let form = form(node)?;
            form.alone().is_some().then_some((form, Leaf::Node(at, node)))
        };
        let name = |node: NodeId| {
            let form = form(node)?;
            (form.terms.is_empty() && form.constant.known().is_none()).then_some(form.constant)
        };
        if !matches!(graph.op(node), Op::Map(MapOp::Add)) {
            return None;
        }
        let terms = graph.operands(node);
        [(terms[0], terms[1]), (terms[1], terms[0])].into_iter().find_map(|(rows, second)| {
            let factors = graph.operands(rows);
            if !matches!(graph.op(rows), Op::Map(MapOp::Mul)) {
                return None;
            }
            let (first, width) = [(factors[0], factors[1]), (factors[1], factors[0])]
                .into_iter()
                .find_map(|(index, by)| Some((alone(index)?, name(by)?)))?;
            Some((first, alone(second)?, width))
        })
    }

    /// Whether the index that a form is alone runs to this size, or as far as it is told; with
    /// `bounded` also to any bound that is written.
    pub(in crate::check::walk) fn may_run_to(
        &self,
        form: &Form,
        size: &Dim,
        bounded: bool,
    ) -> Option<bool> {
        let index = self.levels[form.alone()? as usize].index.as_ref()?;
        Some(match &index.range {
            None => true,
            Some(range) => range.size == *size || bounded && range.axis == "its bound",
        })
    }

    /// Whether a form may leave an axis, where it is known how far all its indices run.
    pub(in crate::check::walk) fn may_leave(&self, form: &Form, x: NodeId, axis: usize) -> bool {
        let range = |index: u32| {
            let index = self.levels[index as usize].index.as_ref()?;
            Some(index.range.as_ref()?.size.clone())
        };
        if form.terms.keys().any(|&index| range(index).is_none()) {
            return false;
        }
        let size = self.node_ty(x).shape[axis].clone();
        let (least, greatest) = form.bounds(&|index| range(index).expect("seen above"));
        let room = size - greatest;
        !(least.known().is_some_and(|n| n >= 0) && room.known().is_some_and(|n| n > 0))
    }

    /// The node of the graph around that an input just brings in.
    pub(in crate::check::walk) fn imported_from(
        &self,
        level: usize,
        node: NodeId,
    ) -> Option<NodeId> {
        let graph = &self.levels[level].graph;
        let position = graph.inputs().iter().position(|(_, input)| *input == node)?;
        let outer = *self.levels[level].outer.get(position)?;
        (self.levels[level].imports.get(&outer) == Some(&node)).then_some(outer)
    }

    /// The same tensor as far out as it can be computed, until it is below the graph `below`.
    pub(in crate::check::walk) fn hoisted(
        &mut self,
        node: NodeId,
        below: u32,
        span: Span,
    ) -> Eval<(u32, NodeId)> {
        let (mut level, mut node) = (self.levels.len() - 1, node);
        while level >= below as usize {
            match self.hoisted_once(level, node, span)? {
                Some(outer) => (level, node) = (level - 1, outer),
                None => break,
            }
        }
        Ok((u32::try_from(level).expect("few levels"), node))
    }

    /// The node of the graph around that a node can be computed by, copied there with all that it
    /// is computed from; none where that needs what only this graph has.
    fn hoisted_once(&mut self, level: usize, node: NodeId, span: Span) -> Eval<Option<NodeId>> {
        let mut needed = vec![node];
        let mut next = 0;
        while let Some(&at) = needed.get(next) {
            next += 1;
            let graph = &self.levels[level].graph;
            if matches!(graph.op(at), Op::Input(_)) && self.imported_from(level, at).is_none() {
                return Ok(None);
            }
            let known = &needed;
            let more: Vec<NodeId> =
                graph.operands(at).iter().copied().filter(|o| !known.contains(o)).collect();
            needed.extend(more);
        }
        if self.levels[level - 1].graph.len() + needed.len() >= MAX_NODES {
            return Err(self.too_large(span));
        }
        needed.sort_unstable();
        let mut copies: BTreeMap<NodeId, NodeId> = BTreeMap::new();
        for &at in &needed {
            let copy = match self.imported_from(level, at) {
                Some(outer) => outer,
                None => {
                    let graph = &self.levels[level].graph;
                    let (op, origin) = (graph.op(at).clone(), graph.node(at).origin);
                    let operands: SmallVec<[NodeId; 3]> =
                        graph.operands(at).iter().map(|o| copies[o]).collect();
                    let copy = self.levels[level - 1].graph.add(op, &operands, origin);
                    copy.expect("a copy has the types of the original")
                }
            };
            copies.insert(at, copy);
        }
        Ok(Some(copies[&node]))
    }

    /// The tensor with axes indexed by forms, as a node of the graph on top: those axes are gone.
    pub(in crate::check::walk) fn indexed(
        &mut self,
        base: (u32, NodeId),
        axes: Vec<Option<Form>>,
        span: Span,
    ) -> Eval<NodeId> {
        for (axis, form) in axes.iter().enumerate() {
            if let Some(form) = form
                && let Some(index) = form.alone()
            {
                self.tell_range(index, base, axis, form.span)?;
            }
        }
        self.viewed(View { base, axes, opened: Vec::new(), names: Vec::new(), span })
    }

    /// The view as a node of the graph on top.
    pub(super) fn viewed(&mut self, view: View) -> Eval<NodeId> {
        let top = self.levels.len() - 1;
        match view.innermost() {
            None => {
                let (level, node) = view.base;
                let node = self.node_at(Leaf::Node(level, node), top);
                self.made(node, &view)
            }
            Some(index) => {
                let node = self.lane(index, view);
                Ok(self.node_at(Leaf::Node(index, node), top))
            }
        }
    }

    /// The input of an index's graph that stands for one lane of a view.
    fn lane(&mut self, index: u32, view: View) -> NodeId {
        let (level, base) = view.base;
        let around = self.levels[level as usize].graph.node(base);
        let (origin, ty) = (around.origin, around.ty.clone());
        let (shape, whole) = view.shape(&ty);
        let sources: Vec<_> =
            whole.iter().map(|&axis| self.trace_in(level as usize, base, axis)).collect();
        let level = &mut self.levels[index as usize];
        let lanes = &mut level.index.as_mut().expect("the graph of an index").lanes;
        if let Some(lane) = lanes.iter().find(|lane| lane.view.same(&view)) {
            return lane.node;
        }
        let input = level.outer.len();
        let name = format!("lane.{input}");
        let opened = view.opened.len();
        let node = level.graph.add_input(name, TensorType::new(ty.dtype, shape), origin);
        // What it stands for is known when the index's range is.
        level.outer.push(node);
        lanes.push(Lane { node, input, view });
        for (axis, source) in sources.into_iter().enumerate() {
            if let Some(source) = source {
                let at = (node, opened + axis);
                level.origins.insert(at, SizeOrigin::Written(source));
            }
        }
        node
    }

    /// Makes a view all of whose indices are axes.
    fn made(&mut self, x: NodeId, view: &View) -> Eval<NodeId> {
        let ty = self.node_ty(x).clone();
        let range = |index: u32| view.range(index).expect("every index is open").clone();
        for (axis, form) in view.forms() {
            let bounds = form.bounds(&range);
            self.refuse_outside(x, axis, form, &bounds, (&range, &view.names))?;
        }
        // First a slice, along each axis of one term; then windows, from the last axis on.
        let mut starts: SmallVec<[Dim; 4]> = SmallVec::new();
        let mut lens: SmallVec<[Dim; 4]> = SmallVec::new();
        let mut steps: SmallVec<[i64; 4]> = SmallVec::new();
        for (axis, form) in view.axes.iter().enumerate() {
            let single = form.as_ref().and_then(|form| match form.terms.len() {
                1 => form.terms.first_key_value().map(|(&index, &by)| (form, index, by)),
                _ => None,
            });
            let (start, len, step) = match single {
                Some((form, index, by)) => (form.constant.clone(), range(index), by),
                None => (Dim::Const(0), ty.shape[axis].clone(), 1),
            };
            starts.push(start);
            lens.push(len);
            steps.push(step);
        }
        let whole = starts.iter().all(|s| s.is(0)) && steps.iter().all(|&s| s == 1);
        let mut node = match whole && lens == ty.shape {
            true => x,
            false => self.add(Op::Slice { starts, lens, steps }, &[x], view.span)?,
        };
        let mut labels: Vec<Option<u32>> = Vec::new();
        for (axis, form) in view.axes.iter().enumerate().rev() {
            let terms: Vec<(u32, i64)> = match form {
                // Opened indices in their order: places come before parts.
                Some(form) => view
                    .opened
                    .iter()
                    .filter_map(|(index, _)| Some((*index, *form.terms.get(index)?)))
                    .collect(),
                None => Vec::new(),
            };
            if let (Some(form), 2..) = (form, terms.len()) {
                node = self.unfolded(node, axis, form, &terms, &range, view.span)?;
            }
            let mut own: Vec<Option<u32>> = terms.iter().map(|(index, _)| Some(*index)).collect();
            if form.is_none() {
                own.push(None);
            }
            own.append(&mut labels);
            labels = own;
        }
        // One index at several axes is their diagonal.
        for b in (0..labels.len()).rev() {
            let first = labels.iter().position(|label| *label == labels[b]);
            if let (Some(_), Some(a)) = (labels[b], first.filter(|&a| a < b)) {
                node = self.add(Op::Diagonal(a as u8, b as u8), &[node], view.span)?;
                labels.remove(b);
            }
        }
        let place = |index: &u32| {
            let at = labels.iter().position(|label| *label == Some(*index));
            at.expect("an index is open where it occurs") as u8
        };
        let front: Vec<u8> = view.opened.iter().map(|(index, _)| place(index)).collect();
        let rest = (0..labels.len()).filter(|&axis| labels[axis].is_none());
        let perm: Vec<u8> = front.into_iter().chain(rest.map(|axis| axis as u8)).collect();
        self.transpose(node, &perm, view.span)
    }

    /// An axis indexed by several terms as one axis a term.
    fn unfolded(
        &mut self,
        x: NodeId,
        axis: usize,
        form: &Form,
        terms: &[(u32, i64)],
        range: &dyn Fn(u32) -> Dim,
        span: Span,
    ) -> Eval<NodeId> {
        // Backwards is forwards from the other end, turned round.
        let reach =
            |&(index, by): &(u32, i64)| (range(index) - Dim::Const(1)) * Dim::Const(by.abs());
        let mut start = form.constant.clone();
        for term in terms.iter().filter(|(_, by)| *by < 0) {
            start = start - reach(term);
        }
        let mut node = x;
        for (i, pair) in terms.windows(2).enumerate() {
            let last = i + 2 == terms.len();
            // All that the later terms reach, but for the last two.
            let rest = terms[i + 1..].iter().map(reach).fold(Dim::Const(1), |a, b| a + b);
            let window = Window {
                axis: (axis + i) as u8,
                start: std::mem::replace(&mut start, Dim::Const(0)),
                count: range(pair[0].0),
                size: if last { range(pair[1].0) } else { rest },
                stride: pair[0].1.abs(),
                dilation: if last { pair[1].1.abs() } else { 1 },
            };
            node = self.add(Op::Window(window), &[node], span)?;
        }
        if terms.iter().all(|(_, by)| *by > 0) {
            return Ok(node);
        }
        let lens = self.node_ty(node).shape.clone();
        let mut starts = SmallVec::from_elem(Dim::Const(0), lens.len());
        let mut steps = SmallVec::from_elem(1, lens.len());
        for (i, _) in terms.iter().enumerate().filter(|(_, (_, by))| *by < 0) {
            starts[axis + i] = lens[axis + i].clone() - Dim::Const(1);
            steps[axis + i] = -1;
        }
        self.add(Op::Slice { starts, lens, steps }, &[node], span)
    }

    /// Refuses an index that is known to leave its axis; what is not known is checked where the
    /// sizes are.
    fn refuse_outside(
        &mut self,
        x: NodeId,
        axis: usize,
        form: &Form,
        (least, greatest): &(Dim, Dim),
        (range, names): (&dyn Fn(u32) -> Dim, &[(u32, String, Span)]),
    ) -> Eval<()> {
        let size = self.node_ty(x).shape[axis].clone();
        let below = least.known().is_some_and(|n| n < 0);
        let above = (size.clone() - greatest.clone()).known().is_some_and(|room| room < 1);
        let nothing = form.terms.keys().any(|&index| range(index).is(0));
        if nothing || !(below || above) {
            return Ok(());
        }
        let text = self.text(form.span);
        let reached = if above { greatest } else { least };
        let message = format!(
            "the index {text} reaches {reached}, outside of axis {axis}, whose size is {size}"
        );
        let error = Diagnostic::error(codes::BAD_INDEX, form.span, message);
        let error = with_ranges(self.with_size(error, x, axis), form, range, names);
        let help = "say how far its names run, where that is less than the axis: `i < …`";
        Err(self.report(error.help(help)))
    }

    /// Says that an index has no place at which a sum that it is a term of is inside an axis.
    pub(super) fn no_place(
        &mut self,
        name: &str,
        view: &View,
        (axis, form): (usize, &Form),
        size: &Dim,
    ) -> Reported {
        let text = self.text(form.span);
        let message = format!(
            "`{name}` has no place where {text} is inside of axis {axis}, whose size is {size}"
        );
        let mut error = Diagnostic::error(codes::BAD_INDEX, form.span, message);
        let (level, node) = view.base;
        if let Some(source) = self.trace_in(level as usize, node, axis) {
            error = self.with_source(error, size, &source);
        }
        let range = |index| view.range(index).expect("places are of ranges that are known").clone();
        self.report(with_ranges(error, form, &range, &view.names))
    }
}

/// Says how far the names of a form run.
fn with_ranges(
    mut error: Diagnostic,
    form: &Form,
    range: &dyn Fn(u32) -> Dim,
    names: &[(u32, String, Span)],
) -> Diagnostic {
    for (index, name, bound) in names.iter().filter(|(i, ..)| form.terms.contains_key(i)) {
        let runs = format!("`{name}` runs from 0 to {}", range(*index) - Dim::Const(1));
        error = error.label(*bound, runs);
    }
    error
}
