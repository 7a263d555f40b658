//! Index comprehensions and reductions: `for i, j: a[i, j] + b[j]`, `sum k: a[i, k] * b[k, j]`.
//!
//! A body is walked once for all values of its indices: each index has a graph of its own, in which
//! it is a scalar, and `autodiff::batch` makes of that graph the one for all of them. So a body
//! may do whatever a function may, and what it gives is arranged along the axes of the indices.
//!
//! `a[i, k]` is not a gather: the tensor goes into the graph as one lane of it (`view`), and what
//! the index ranges over follows from that, or from the bound that is written.
//!
//! Invariant: the graph of an index knows nothing of its range; what needs the range stands in the
//! graph around, and is made when the body has been walked.

mod view;

pub(super) use view::Form;

use super::transform::leaves;
use super::{Eval, Level, MAX_RANK, Reported, Walk};
use crate::autodiff::batch;
use crate::check::builtin::{self, Args, Run};
use crate::check::types::Type;
use crate::check::value::{Leaf, SizeOrigin, SizeSource, Static, Value};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::{Dim, NodeId, Op, Origin, TensorType};
use crate::syntax::ast::{self, IndexBinder, ReduceOp};
use tensc_runtime::DType;
use view::View;

/// An index whose body is being walked. It belongs to the graph of that body.
pub(crate) struct Index {
    name: String,
    span: Span,
    /// Its value: an input of the graph.
    number: NodeId,
    range: Option<Range>,
    /// How far the type that the context asks for lets it run.
    wanted: Option<Dim>,
    /// Whether the body names it.
    used: bool,
    /// Inputs of the graph that stand for one lane of something around it.
    lanes: Vec<Lane>,
}

/// How far an index runs.
#[derive(Clone)]
struct Range {
    size: Dim,
    source: Option<SizeSource>,
    /// The bound, or the index that told.
    at: Span,
    /// What was indexed.
    axis: String,
}

/// An input of the graph of an index.
struct Lane {
    node: NodeId,
    /// Its position among the inputs.
    input: usize,
    view: View,
}

impl<'w> Walk<'w> {
    /// `for i, j: body`
    pub(super) fn comprehension(
        &mut self,
        indices: &'w [IndexBinder],
        body: &'w ast::Expr,
        span: Span,
        want: Option<&Type>,
    ) -> Eval<Value<'w>> {
        let (wanted, want) = match want {
            Some(Type::Tensor(ty)) if ty.rank() >= indices.len() => {
                let (front, rest) = ty.shape.split_at(indices.len());
                (front, Some(Type::Tensor(TensorType::new(ty.dtype, rest.iter().cloned()))))
            }
            _ => (&[] as &[Dim], None),
        };
        let value = self.over_indices((indices, wanted), body, span, want.as_ref())?;
        let first = leaves(&value).first().map(|leaf| self.leaf_ty(*leaf).shape);
        let sizes = first.iter().flat_map(|shape| &shape[..indices.len()]);
        Ok(sizes.rev().fold(value.clone(), |tree, size| tree.stacked(size)))
    }

    /// `sum k: body`
    pub(super) fn reduction(
        &mut self,
        op: ReduceOp,
        indices: &'w [IndexBinder],
        body: &'w ast::Expr,
        span: Span,
        want: Option<&Type>,
    ) -> Eval<Value<'w>> {
        let value = self.over_indices((indices, &[]), body, span, want)?;
        let name = op.name();
        let row = builtin::find(name).expect("each reduction is a built-in function");
        let Run::Values(run) = row.run else { unreachable!("reductions take values") };
        let axes = (0..indices.len() as i64).map(|axis| (Value::int(axis), span)).collect();
        let axis_at = row.slots().position(|slot| slot.name == "axis").expect("it has axes");
        value.map_leaves(&mut |leaf| {
            let mut values = vec![None; row.params.len()];
            values[0] = Some((leaf.clone(), body.span));
            values[axis_at] = Some((Value::List(std::rc::Rc::clone(&axes)), span));
            run(self, &Args { values, span, want: None })
        })
    }

    /// The values of a body, along the axes of the indices and then its own. The sizes of those are
    /// `wanted` where the context says so.
    fn over_indices(
        &mut self,
        (indices, wanted): (&'w [IndexBinder], &[Dim]),
        body: &'w ast::Expr,
        span: Span,
        want: Option<&Type>,
    ) -> Eval<Value<'w>> {
        self.refuse_twice(indices)?;
        let mut bounds = Vec::with_capacity(indices.len());
        for index in indices {
            bounds.push(self.bound_of(index)?);
        }
        let (depth, mark) = (self.levels.len(), self.locals.len());
        let outside = std::mem::replace(&mut self.assignable_from, mark);
        let both_ways = std::mem::replace(&mut self.both_ways, false);
        for (i, (index, bound)) in indices.iter().zip(bounds).enumerate() {
            self.enter_index(&index.name, bound, wanted.get(i).cloned());
        }
        let value = self.expr(body, want);
        self.locals.truncate(mark);
        self.assignable_from = outside;
        self.both_ways = both_ways;
        let value = self.body_values(&value, body.span, want).and_then(|value| {
            let mut value = value;
            while self.levels.len() > depth {
                value = self.leave_index(&value, span)?;
            }
            Ok(value)
        });
        self.levels.truncate(depth);
        value
    }

    fn refuse_twice(&mut self, indices: &[IndexBinder]) -> Eval<()> {
        for (i, index) in indices.iter().enumerate() {
            let name = &index.name;
            if let Some(first) = indices[..i].iter().find(|b| b.name.name == name.name) {
                let message = format!("the index `{}` is bound twice", name.name);
                let error = Diagnostic::error(codes::DUPLICATE, name.span, message);
                return Err(self.report(error.label(first.name.span, "first here")));
            }
        }
        Ok(())
    }

    /// The range that is written: `i < N`.
    fn bound_of(&mut self, index: &'w IndexBinder) -> Eval<Option<Range>> {
        let Some(bound) = &index.bound else { return Ok(None) };
        let size = self.written_dim(bound)?;
        if size.known().is_some_and(|n| n < 0) {
            let message = format!("`{}` cannot run to {size}", index.name.name);
            return Err(self.error(codes::BAD_INDEX, bound.span, message));
        }
        let source = SizeSource { span: bound.span, ty: None, owner: None };
        let axis = "its bound".to_string();
        Ok(Some(Range { size, source: Some(source), at: bound.span, axis }))
    }

    /// The value of a size as written, of generic parameters and of locals.
    fn written_dim(&mut self, dim: &'w ast::Dim) -> Eval<Dim> {
        match &dim.kind {
            ast::DimKind::Int(n) => Ok(Dim::Const(*n)),
            ast::DimKind::Name(name) => {
                let value = self.name(name, dim.span)?;
                self.as_dim(&value, dim.span)
            }
            ast::DimKind::Pack(pack) => {
                let message =
                    format!("`{}...` stands for several sizes, one was expected", pack.name);
                Err(self.error(codes::TYPE_MISMATCH, dim.span, message))
            }
            ast::DimKind::Neg(inner) => Ok(Dim::Const(0) - self.written_dim(inner)?),
            ast::DimKind::Paren(inner) => self.written_dim(inner),
            ast::DimKind::Binary { op, left, right } => {
                let (a, b) = (self.written_dim(left)?, self.written_dim(right)?);
                Ok(match op {
                    ast::DimOp::Add => a + b,
                    ast::DimOp::Sub => a - b,
                    ast::DimOp::Mul => a * b,
                    ast::DimOp::Div => match a.over(&b) {
                        Some(quotient) => quotient,
                        None => {
                            let message = format!("{a} is not known to be a multiple of {b}");
                            return Err(self.error(codes::INEXACT_DIVISION, dim.span, message));
                        }
                    },
                })
            }
        }
    }

    /// Opens the graph of an index and binds its name.
    fn enter_index(&mut self, name: &ast::Ident, range: Option<Range>, wanted: Option<Dim>) {
        let mut level = Level::default();
        let origin = Origin::source(name.span);
        let scalar = TensorType::scalar(DType::I64);
        let number = level.graph.add_input("index", scalar, origin);
        // What it stands for is known when its range is.
        level.outer.push(number);
        let (name, span) = (name.name.clone(), name.span);
        level.index = Some(Index {
            name: name.clone(),
            span,
            number,
            range,
            wanted,
            used: false,
            lanes: vec![],
        });
        self.levels.push(level);
        let number = self.tensor(number);
        self.bind(&name, number, span);
    }

    /// The value of a body as tensors of the graph on top.
    fn body_values(&mut self, value: &Value<'w>, at: Span, want: Option<&Type>) -> Eval<Value<'w>> {
        let dtype = want.and_then(|want| match want {
            Type::Tensor(ty) => Some(ty.dtype),
            _ => None,
        });
        value.map_leaves(&mut |leaf| match leaf {
            Value::Error => Err(self.reported()),
            Value::Tensor(_) | Value::Static(_) | Value::List(_) => {
                let text = matches!(leaf, Value::Static(Static::Str(..)));
                if text {
                    return Err(self.expected("a tensor", leaf, at));
                }
                let node = self.to_tensor(leaf, dtype, at)?;
                Ok(self.tensor(node))
            }
            other => Err(self.expected("a tensor or a struct of tensors", other, at)),
        })
    }

    /// Closes the graph of an index: the value for all of its range, in the graph around.
    fn leave_index(&mut self, value: &Value<'w>, span: Span) -> Eval<Value<'w>> {
        let mut level = self.levels.pop().expect("pushed by `enter_index`");
        let index = level.index.take().expect("the graph of an index");
        let number = u32::try_from(self.levels.len()).expect("few levels");
        let range = self.range_of(&index, number)?;
        let origin = Origin::source(index.span);
        let shape = [range.size.clone()].into_iter().collect();
        let positions = Op::Iota { dtype: DType::I64, shape, axis: 0 };
        let positions = self.level_mut().graph.add(positions, &[], origin);
        level.outer[0] = positions.expect("a size is a shape");
        let mut batched = vec![false; level.outer.len()];
        batched[0] = true;
        for lane in index.lanes {
            let view = lane.view.opened(number, &range.size, (&index.name, range.at));
            level.outer[lane.input] = self.viewed(view)?;
            batched[lane.input] = true;
        }
        let mut count = 0;
        value.map_tensors(&mut |leaf| {
            let Leaf::Node(_, node) = leaf else { unreachable!("a node of the graph on top") };
            level.graph.add_output(format!("y{count}"), node);
            count += 1;
            Value::Unit
        });
        let many = batch(&level.graph, &batched, &range.size);
        let nodes = self.inlined(&many, &level.outer, span)?;
        for &node in &nodes {
            if self.node_ty(node).rank() > MAX_RANK {
                let message =
                    format!("a tensor has at most {MAX_RANK} axes, with those of its indices too");
                return Err(self.error(codes::SHAPE_MISMATCH, span, message));
            }
            if let Some(source) = &range.source {
                self.set_origin(node, 0, SizeOrigin::Written(source.clone()));
            }
        }
        Ok(self.with_nodes(value, &mut nodes.into_iter()))
    }

    /// How far an index runs: as written, as the axis that it indexes alone, as far as the sums
    /// that it is a term of stay inside, or as the type that the context asks for says.
    fn range_of(&mut self, index: &Index, number: u32) -> Eval<Range> {
        if !index.used && !index.name.starts_with('_') {
            let message = format!("the index `{}` is not used", index.name);
            let error = Diagnostic::error(codes::UNUSED_INDEX, index.span, message);
            let help = match &index.range {
                Some(_) => format!("to repeat a value, call it `_{}`", index.name),
                None => "leave it out".to_string(),
            };
            return Err(self.report(error.help(help)));
        }
        if let Some(range) = &index.range {
            return Ok(range.clone());
        }
        let mut found: Option<Range> = None;
        for lane in &index.lanes {
            for (axis, form) in lane.view.forms() {
                let (base, node) = lane.view.base;
                let size = self.levels[base as usize].graph.ty(node).shape[axis].clone();
                let Some(places) = lane.view.places(form, number, &size) else { continue };
                if form.is_negative_alone(number) {
                    return Err(self.from_the_end(&index.name, form.span, &size));
                }
                if places.known().is_some_and(|n| n < 0) {
                    return Err(self.no_place(&index.name, &lane.view, (axis, form), &size));
                }
                let range = self.told(&places, (base, node), axis, form.span);
                match &found {
                    None => found = Some(range),
                    Some(first) if first.size == places => {}
                    Some(first) => return Err(self.ranges_differ(index, first, &range)),
                }
            }
        }
        let wanted = index.wanted.clone().map(|size| {
            let axis = "what is asked for".to_string();
            Range { size, source: None, at: index.span, axis }
        });
        found.or(wanted).ok_or_else(|| {
            let message = format!("nothing tells how far `{}` runs", index.name);
            let error = Diagnostic::error(codes::CANNOT_INFER, index.span, message);
            let help = format!("index an axis by it, or say its bound: `{} < N`", index.name);
            self.report(error.help(help))
        })
    }

    /// Refuses `x[-i]`, which is inside for `i = 0` alone, and is meant otherwise elsewhere.
    fn from_the_end(&mut self, name: &str, at: Span, size: &Dim) -> Reported {
        let message = format!("-{name} is below 0, and does not count from the end here");
        let error = Diagnostic::error(codes::BAD_INDEX, at, message);
        self.report(error.help(format!("from the end it is {size} - 1 - {name}")))
    }

    /// A range with where it comes from.
    fn told(&self, size: &Dim, (level, node): (u32, NodeId), axis: usize, at: Span) -> Range {
        let source = self.trace_in(level as usize, node, axis);
        Range { size: size.clone(), source, at, axis: format!("axis {axis}") }
    }

    /// `a[i]` tells how far `i` runs.
    pub(super) fn tell_range(
        &mut self,
        number: u32,
        base: (u32, NodeId),
        axis: usize,
        at: Span,
    ) -> Eval<()> {
        let size = self.levels[base.0 as usize].graph.ty(base.1).shape[axis].clone();
        let range = self.told(&size, base, axis, at);
        let index = self.levels[number as usize].index.as_mut().expect("the graph of an index");
        match &index.range {
            None => index.range = Some(range),
            // A bound that is written may be less than the axis: that is seen where it is used.
            Some(first) if first.size == size || first.axis == "its bound" => {}
            Some(first) => {
                let first = first.clone();
                let index = self.levels[number as usize].index.take().expect("seen above");
                let reported = self.ranges_differ(&index, &first, &range);
                self.levels[number as usize].index = Some(index);
                return Err(reported);
            }
        }
        Ok(())
    }

    fn ranges_differ(&mut self, index: &Index, first: &Range, second: &Range) -> Reported {
        let name = &index.name;
        let (a, b) = (&first.size, &second.size);
        let message = format!("`{name}` indexes axes of different sizes, {a} and {b}");
        let error = Diagnostic::error(codes::SHAPE_MISMATCH, second.at, message)
            .here(format!("{} is {b} here", second.axis))
            .label(first.at, format!("{} is {a} here", first.axis));
        let (from, to) = (first.source.clone(), second.source.clone());
        let error = self.with_sources(error, (a, from), (b, to));
        self.report(error.help(format!("where the shorter one is meant, say so: `{name} < …`")))
    }

    /// Whether the innermost graph is that of an index.
    pub(super) fn in_comprehension(&self) -> bool {
        self.level().index.is_some()
    }

    /// Remembers that an index was named.
    pub(super) fn use_index(&mut self, value: &Value<'w>) {
        let Value::Tensor(Leaf::Node(level, node)) = value else { return };
        if let Some(index) = self.levels[*level as usize].index.as_mut()
            && index.number == *node
        {
            index.used = true;
        }
    }
}
