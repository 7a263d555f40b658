//! `vmap`: a function on many values at once.

use super::super::{Eval, Level, MAX_RANK, Walk};
use super::{Argument, Parameter, extras, leaves, optional, split_last};
use crate::autodiff::batch;
use crate::check::value::{Callable, Leaf, SizeOrigin, Static, Value};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::{Dim, NodeId, Op};
use crate::syntax::ast;
use smallvec::SmallVec;
use std::rc::Rc;
use tensc_runtime::DType;

/// A call of a batched function.
pub(crate) struct Vmapped<'w> {
    function: Rc<Callable<'w>>,
    parameters: Vec<Parameter<'w>>,
    /// One for each parameter, where it is given.
    values: Vec<Option<(Value<'w>, Span)>>,
    /// What transformations added after them.
    last: Vec<(Value<'w>, Span)>,
    axes: Option<(Value<'w>, Span)>,
    out: (i64, Span),
    callee: Span,
    span: Span,
}

/// The lanes that arguments have.
struct Lanes {
    size: Dim,
    /// The first axis that has them: the node around and its place.
    first: (NodeId, Span),
    /// Which inputs of the graph on top hold them.
    inputs: Vec<usize>,
}

impl<'w> Vmapped<'w> {
    pub(super) fn args_mut(&mut self) -> Vec<(String, &mut (Value<'w>, Span))> {
        let given = self.parameters.iter().zip(&mut self.values);
        let given = given.filter_map(|(p, v)| Some((p.name.clone(), v.as_mut()?)));
        let last = self.last.iter_mut().enumerate();
        given.chain(last.map(|(i, v)| (format!("tangent_{i}"), v))).collect()
    }
}

impl<'w> Walk<'w> {
    pub(super) fn bind_vmapped(
        &mut self,
        (axes, out): (Option<(Value<'w>, Span)>, (i64, Span)),
        function: &Rc<Callable<'w>>,
        callee: Span,
        args: &[Argument<'w>],
        span: Span,
    ) -> Eval<Vmapped<'w>> {
        let parameters = self.parameters_of(function);
        let (rest, last) = split_last(args, extras(function)).unwrap_or((args.to_vec(), vec![]));
        let name = "the function";
        let mut values = self.evaluated(name, &optional(&parameters), &rest, callee)?;
        for (parameter, value) in parameters.iter().zip(&mut values) {
            if let Some((value, at)) = value {
                *value = self.tensors(parameter, value, *at)?;
            }
        }
        let mut added = Vec::with_capacity(last.len());
        for arg in &last {
            let value = self.argument(arg, None);
            added.push((self.strengthen(&value, arg.span)?, arg.span));
        }
        let function = function.clone();
        Ok(Vmapped { function, parameters, values, last: added, axes, out, callee, span })
    }

    /// A list of numbers as a tensor of the element type that the parameter declares.
    fn tensors(
        &mut self,
        parameter: &Parameter<'w>,
        value: &Value<'w>,
        at: Span,
    ) -> Eval<Value<'w>> {
        if !matches!(value, Value::List(_)) || parameter.declared.is_some_and(|p| p.is_static) {
            return Ok(value.clone());
        }
        let declared =
            parameter.declared.and_then(|p| p.ty.as_ref()).and_then(|ty| match &ty.kind {
                ast::TypeKind::Named { path, .. } => DType::from_name(&path.as_name()?.name),
                _ => None,
            });
        let node = self.to_tensor(value, declared, at)?;
        Ok(self.tensor(node))
    }

    pub(super) fn apply_vmapped(&mut self, call: Vmapped<'w>) -> Eval<Value<'w>> {
        let span = call.span;
        let given: Vec<(usize, Value<'w>, Span)> = call
            .values
            .iter()
            .enumerate()
            .filter_map(|(i, v)| v.as_ref().map(|(v, at)| (i, v.clone(), *at)))
            .chain(
                (call.parameters.len()..).zip(&call.last).map(|(i, (v, at))| (i, v.clone(), *at)),
            )
            .collect();
        let axes = self.axes_of(&call, &given)?;
        // The nodes around, their lanes in front.
        let mut lanes: Option<(Dim, (NodeId, Span))> = None;
        let mut fronted = Vec::with_capacity(given.len());
        for ((_, value, at), axes) in given.iter().zip(&axes) {
            fronted.push(self.fronted(value, axes, *at, &mut lanes)?);
        }
        let Some((size, first)) = lanes else {
            let message = "no argument holds many values: there is nothing for `vmap` to go along";
            return Err(self.error(codes::BATCH_ARGUMENT, span, message));
        };
        self.levels.push(Level::default());
        let mut lanes = Lanes { size, first, inputs: Vec::new() };
        let mut args = Vec::with_capacity(given.len());
        let mut gap = false;
        for (((i, value, at), axes), fronted) in given.iter().zip(&axes).zip(&fronted) {
            let one = self.lane_form(value, &mut axes.iter().copied());
            let one = self.one_lane(&one, &mut fronted.iter().copied(), &mut lanes);
            let mut arg = Argument::made(one, *at);
            gap |= *i < call.parameters.len() && *i != args.len();
            if gap && let Some(parameter) = call.parameters.get(*i) {
                arg.name = Some(ast::Ident { name: parameter.name.clone(), span: *at });
            }
            args.push(arg);
        }
        let bound = self.bind_call(&call.function, call.callee, &args, span, None);
        let traced = self.traced(bound, span)?;
        let batched: Vec<bool> =
            (0..traced.outer.len()).map(|i| lanes.inputs.contains(&i)).collect();
        let graph = batch(&traced.graph, &batched, &lanes.size);
        let nodes = self.inlined(&graph, &traced.outer, span)?;
        let mut results = Vec::with_capacity(nodes.len());
        for node in nodes {
            let rank = self.node_ty(node).rank();
            if rank > MAX_RANK {
                let message = format!("a tensor has at most {MAX_RANK} axes, with its lanes too");
                return Err(self.error(codes::SHAPE_MISMATCH, span, message));
            }
            self.set_origin(node, 0, SizeOrigin::Axis(lanes.first.0, 0));
            let ty = self.node_ty(node).to_string();
            let out = self.checked_axis(call.out.0, rank, &ty, call.out.1)?;
            results.push(self.moved(node, 0, out, span)?);
        }
        let tree = match call.out.0 {
            0 => traced.result.stacked(&lanes.size),
            _ => self.as_records(&traced.result),
        };
        Ok(self.with_nodes(&tree, &mut results.into_iter()))
    }

    /// For each argument given the axes along which its tensors hold lanes, in order.
    fn axes_of(
        &mut self,
        call: &Vmapped<'w>,
        given: &[(usize, Value<'w>, Span)],
    ) -> Eval<Vec<Vec<Option<i64>>>> {
        let parts = match &call.axes {
            Some((Value::Tuple(items), at)) => {
                Some((items.iter().map(|v| (v.clone(), *at)).collect::<Vec<_>>(), *at))
            }
            Some((Value::List(items), at)) => Some((items.to_vec(), *at)),
            _ => None,
        };
        if let Some((parts, at)) = &parts
            && parts.len() != given.len()
        {
            let (n, m) = (parts.len(), given.len());
            let message =
                format!("`axes` says {n} for {m} argument{}", if m == 1 { "" } else { "s" });
            let diagnostic = Diagnostic::error(codes::BATCH_ARGUMENT, *at, message);
            let help = "one axis for each argument, `None` for one that serves all lanes";
            return Err(self.report(diagnostic.help(help)));
        }
        let mut all = Vec::with_capacity(given.len());
        for (k, (i, value, _)) in given.iter().enumerate() {
            let known =
                call.parameters.get(*i).and_then(|p| p.declared).is_some_and(|p| p.is_static);
            let (spec, at) = match (&parts, &call.axes) {
                (Some((parts, _)), _) => parts[k].clone(),
                (None, Some((one, at))) => (one.clone(), *at),
                (None, None) => (Value::int(0), call.span),
            };
            // What the compiler must know, and known numbers, serve all lanes.
            let spec = if known || leaves(value).is_empty() { Value::Unit } else { spec };
            let mut axes = Vec::new();
            self.spread_axes(&spec, value, at, &mut axes)?;
            all.push(axes);
        }
        Ok(all)
    }

    /// Appends the axis of each tensor of an argument: one for all, or a tuple as it is.
    fn spread_axes(
        &mut self,
        spec: &Value<'w>,
        value: &Value<'w>,
        at: Span,
        axes: &mut Vec<Option<i64>>,
    ) -> Eval<()> {
        match (spec, value) {
            (Value::Unit, value) => axes.extend(leaves(value).iter().map(|_| None)),
            (Value::Static(Static::Dim(Dim::Const(axis))), value) => {
                axes.extend(leaves(value).iter().map(|_| Some(*axis)));
            }
            (Value::Tuple(specs), Value::Tuple(parts)) if specs.len() == parts.len() => {
                for (spec, part) in specs.iter().zip(parts.iter()) {
                    self.spread_axes(spec, part, at, axes)?;
                }
            }
            (other, _) => return Err(self.not_known("an axis or `None`", other, at)),
        }
        Ok(())
    }

    /// The tensors of an argument, those that have lanes with these in front; finds the number of
    /// lanes.
    fn fronted(
        &mut self,
        value: &Value<'w>,
        axes: &[Option<i64>],
        at: Span,
        lanes: &mut Option<(Dim, (NodeId, Span))>,
    ) -> Eval<Vec<Option<NodeId>>> {
        let mut nodes = Vec::new();
        for (number, (leaf, axis)) in leaves(value).into_iter().zip(axes).enumerate() {
            let Some(axis) = axis else {
                nodes.push(None);
                continue;
            };
            let node = self.node(leaf);
            let ty = self.node_ty(node).clone();
            let rank = ty.rank() as i64;
            if !(-rank..rank).contains(axis) {
                let message = match rank {
                    0 => format!("`vmap` goes along an axis, this is the scalar {ty}"),
                    _ => format!("`vmap` goes along axis {axis}, which {ty} does not have"),
                };
                let diagnostic = Diagnostic::error(codes::BATCH_ARGUMENT, at, message);
                let help = "say the axis of each argument, `None` for one that serves all lanes: \
                            vmap(f, axes = (0, None))";
                return Err(self.report(diagnostic.help(help)));
            }
            let axis = (if *axis < 0 { axis + rank } else { *axis }) as usize;
            let moved = self.moved(node, axis, 0, at)?;
            let size = ty.shape[axis].clone();
            match lanes {
                None => *lanes = Some((size, (moved, at))),
                Some((first, _)) if *first == size => {}
                Some((first, (other, other_at))) => {
                    let (first, other, other_at) = (first.clone(), *other, *other_at);
                    let message =
                        format!("`vmap` goes along axes of one size, found {first} and {size}");
                    let mut diagnostic = Diagnostic::error(codes::BATCH_SIZE, at, message);
                    let along = format!("{size} along axis {axis} of {ty}");
                    let field = self.leaf_names(value).swap_remove(number);
                    diagnostic = match field.is_empty() {
                        true => diagnostic.here(along),
                        false => diagnostic.here(format!("`{field}` has {along}")),
                    };
                    diagnostic = diagnostic.label(other_at, format!("{first} here"));
                    let diagnostic = self.with_size(diagnostic, moved, 0);
                    let diagnostic = self.with_size(diagnostic, other, 0);
                    return Err(self.report(diagnostic));
                }
            }
            nodes.push(Some(moved));
        }
        Ok(nodes)
    }

    /// The tree that a lane sees: of a stack along axis 0 one, of a struct with lanes along other
    /// axes a record.
    fn lane_form(
        &self,
        value: &Value<'w>,
        axes: &mut dyn Iterator<Item = Option<i64>>,
    ) -> Value<'w> {
        if let Value::Tuple(_) | Value::Record(_) = value {
            let parts = value.children().into_iter();
            return value.with_children(parts.map(|part| self.lane_form(part, axes)).collect());
        }
        let axes: Vec<Option<i64>> = axes.take(leaves(value).len()).collect();
        match value {
            Value::Struct(..) if axes.iter().all(|axis| *axis == Some(0)) => self.unstacked(value),
            Value::Struct(..) if axes.iter().any(Option::is_some) => self.as_records(value),
            other => other.clone(),
        }
    }

    /// An argument as one lane sees it.
    fn one_lane(
        &mut self,
        value: &Value<'w>,
        fronted: &mut dyn Iterator<Item = Option<NodeId>>,
        lanes: &mut Lanes,
    ) -> Value<'w> {
        value.map_tensors(&mut |leaf: Leaf| match fronted.next().flatten() {
            None => Value::Tensor(leaf),
            Some(outer) => {
                let level = self.levels.len() - 1;
                let number = self.levels[level].outer.len();
                lanes.inputs.push(number);
                let node = self.lane_of(format!("lane.{number}"), outer, level);
                self.tensor(node)
            }
        })
    }

    pub(in crate::check::walk) fn lane_of(
        &mut self,
        name: String,
        outer: NodeId,
        level: usize,
    ) -> NodeId {
        let around = self.levels[level - 1].graph.node(outer);
        let (mut ty, origin) = (around.ty.clone(), around.origin);
        ty.shape.remove(0);
        let rank = ty.rank();
        let level = &mut self.levels[level];
        let node = level.graph.add_input(name, ty, origin);
        level.outer.push(outer);
        for axis in 0..rank {
            level.origins.insert((node, axis), SizeOrigin::Outer(outer, axis + 1));
        }
        node
    }

    /// Moves an axis, the others in order.
    fn moved(&mut self, node: NodeId, from: usize, to: usize, span: Span) -> Eval<NodeId> {
        if from == to {
            return Ok(node);
        }
        let rank = self.node_ty(node).rank();
        let mut perm: SmallVec<[u8; 4]> =
            (0..rank).filter(|&a| a != from).map(|a| a as u8).collect();
        perm.insert(to, from as u8);
        self.add(Op::Transpose(perm), &[node], span)
    }
}
