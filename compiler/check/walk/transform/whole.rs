//! `checkpoint` and `custom_grad`: functions that derivatives treat as a whole.
//!
//! The function is walked into a graph of its own, and so is the rule; the call is one operation
//! of the graph at hand that holds both.

use super::super::{Bound, Eval, Level, Walk};
use super::{Argument, Traced, leaves, one_or_tuple};
use crate::check::value::{Callable, Value};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::ops::{Call, Rule};
use crate::graph::{Graph, NodeId, Op, Origin};
use smallvec::SmallVec;
use std::rc::Rc;
use std::sync::Arc;

/// A call of such a function.
pub(crate) struct Whole<'w> {
    /// What gives the gradient, and where it is written; otherwise it is that of the function.
    backward: Option<(Rc<Callable<'w>>, Span)>,
    pub(super) inner: Box<Bound<'w>>,
    /// For each argument whether the compiler must know it, and the element type of its parameter.
    known: Vec<bool>,
    span: Span,
}

impl<'w> Walk<'w> {
    pub(super) fn bind_whole(
        &mut self,
        backward: Option<(Rc<Callable<'w>>, Span)>,
        function: &Rc<Callable<'w>>,
        callee: Span,
        args: &[Argument<'w>],
        span: Span,
    ) -> Eval<Whole<'w>> {
        let inner = Box::new(self.bind_call(function, callee, args, span, None)?);
        let known = |p: &super::Parameter<'w>| p.declared.is_none_or(|p| p.is_static);
        let known = self.parameters_of(function).iter().map(known).collect();
        Ok(Whole { backward, inner, known, span })
    }

    pub(super) fn apply_whole(&mut self, call: Whole<'w>) -> Eval<Value<'w>> {
        let span = call.span;
        let (traced, rule) = match call.backward {
            Some(backward) => self.with_rule(backward, *call.inner, &call.known, span)?,
            None => {
                self.levels.push(Level::default());
                (self.traced(Ok(*call.inner), span)?, Rule::Again)
            }
        };
        let Traced { graph, outer, result, .. } = traced;
        let count = graph.outputs().len();
        let call = Call { body: Arc::new(graph), rule, result: 0, moving: SmallVec::new() };
        let mut nodes = Vec::with_capacity(count);
        for number in 0..count {
            nodes.push(self.add(Op::Call(call.with_result(number)), &outer, span)?);
        }
        Ok(self.with_nodes(&result, &mut nodes.into_iter()))
    }

    /// The function and its rule, as graphs of the same inputs.
    fn with_rule(
        &mut self,
        (backward, at): (Rc<Callable<'w>>, Span),
        mut inner: Bound<'w>,
        known: &[bool],
        span: Span,
    ) -> Eval<(Traced<'w>, Rule)> {
        let walk = &*self;
        let given: Vec<(String, (Value<'w>, Span))> =
            inner.args_mut(walk).into_iter().map(|(name, slot)| (name, slot.clone())).collect();
        self.takes_a_cotangent(&backward, at, given.len())?;
        // A number is a tensor to both, unless it must be known.
        let mut arguments = Vec::with_capacity(given.len());
        for (number, (name, (value, place))) in given.into_iter().enumerate() {
            let value = match &value {
                v if v.is_weak() && known.get(number) != Some(&false) => value,
                v if v.is_weak() => {
                    let node = self.to_tensor(v, inner.declared_dtype(number), place)?;
                    self.tensor(node)
                }
                v if v.is_tree() => self.strengthen(v, place)?,
                _ => value,
            };
            arguments.push((name, value, place));
        }

        self.levels.push(Level::default());
        let mut inputs = Vec::new();
        let mut lifted = Vec::with_capacity(arguments.len());
        for (number, (name, value, _)) in arguments.iter().enumerate() {
            let mut own = Vec::new();
            let value = self.lift(name, value, false, &mut own);
            let walk = &*self;
            inner.args_mut(walk).swap_remove(number).1.0 = value;
            inputs.extend(own.iter().copied());
            lifted.push(own);
        }
        let mut traced = self.traced(Ok(inner), span)?;
        if lifted.iter().all(Vec::is_empty) {
            let message = "`custom_grad` is of a function of floats: no argument has any";
            return Err(self.error(codes::GRAD_ARGUMENT, span, message));
        }

        // The rule, of the same arguments and a cotangent.
        self.levels.push(Level::default());
        let moving: Vec<bool> = lifted.iter().map(|own| !own.is_empty()).collect();
        let ruled = self.rule(&backward, at, &arguments, &moving, &traced)?;
        let (graph, by) = self.joined(&mut traced, &inputs, ruled);
        Ok((traced, Rule::Given { backward: Arc::new(graph), by }))
    }

    fn takes_a_cotangent(
        &mut self,
        backward: &Callable<'w>,
        at: Span,
        arguments: usize,
    ) -> Eval<()> {
        let parameters = self.parameters_of(backward);
        let needed = parameters.iter().filter(|p| p.declared.is_none_or(|p| p.default.is_none()));
        if (needed.count()..=parameters.len()).contains(&(arguments + 1)) {
            return Ok(());
        }
        let (found, wanted) = (parameters.len(), arguments + 1);
        let s = if found == 1 { "" } else { "s" };
        let message = format!(
            "the rule of `custom_grad` takes the arguments of the function and a cotangent, \
             {wanted} in all; it has {found} parameter{s}"
        );
        let diagnostic = Diagnostic::error(codes::BAD_ARGUMENTS, at, message);
        let help = "write custom_grad(f, fn(x, y, dz) = (…, …))";
        Err(self.report(diagnostic.help(help)))
    }

    /// Walks the rule into the graph on top, and takes that off.
    fn rule(
        &mut self,
        backward: &Rc<Callable<'w>>,
        at: Span,
        arguments: &[(String, Value<'w>, Span)],
        moving: &[bool],
        traced: &Traced<'w>,
    ) -> Eval<Ruled> {
        let mut inputs = Vec::new();
        let mut lifted = Vec::new();
        let mut args = Vec::with_capacity(arguments.len() + 1);
        let mut wanted = Vec::new();
        for ((name, value, place), moves) in arguments.iter().zip(moving) {
            let value = self.lift(name, value, false, &mut inputs);
            if *moves {
                wanted.push(self.ty(&value));
                lifted.push(value.clone());
            }
            args.push(Argument::made(value, *place));
        }
        let mut seeds = Vec::new();
        let mut parts = Vec::new();
        for (number, leaf) in leaves(&traced.result).into_iter().enumerate() {
            let ty = traced.ty_of(leaf);
            if !ty.dtype.is_float() {
                match self.zeros(&ty, at) {
                    Ok(zeros) => parts.push(zeros),
                    Err(reported) => {
                        self.levels.pop();
                        return Err(reported);
                    }
                }
                continue;
            }
            let level = self.level_mut();
            seeds.push(level.outer.len());
            let origin = Origin::source(at);
            parts.push(level.graph.add_input(format!("cotangent.{number}"), ty, origin));
            // It stands for no node around: `joined` gives it one.
            level.outer.push(NodeId::from_index(0));
        }
        let cotangent = self.with_nodes(&traced.result, &mut parts.into_iter());
        args.push(Argument::made(cotangent, at));
        let want = match wanted.len() {
            1 => wanted.swap_remove(0),
            _ => crate::check::types::Type::Tuple(wanted),
        };
        let value = self
            .bind_call(backward, at, &args, at, Some(&want))
            .and_then(|bound| self.apply(bound))
            .and_then(|value| self.gradient_as(&value, &want, at));
        let traced = self.traced_value(value, at)?;
        // Of each gradient the tensors that move.
        let all = leaves(&one_or_tuple(lifted));
        let outputs = traced.graph.outputs().iter();
        let chosen = all.into_iter().zip(outputs).filter(|(leaf, _)| self.is_lifted(*leaf));
        let gradients = chosen.map(|(_, (_, node))| *node).collect();
        Ok(Ruled { graph: traced.graph, outer: traced.outer, inputs, seeds, gradients })
    }

    /// What a rule gives as what the gradient must be.
    fn gradient_as(
        &mut self,
        value: &Value<'w>,
        want: &crate::check::types::Type,
        at: Span,
    ) -> Eval<Value<'w>> {
        if value.is_error() {
            return Err(self.reported());
        }
        let (result, heard) = self.listening(|w| w.coerce(value, want, at, None));
        match heard.into_iter().next() {
            None => result,
            Some(_) => {
                let (want, found) = (want.show(self.world), self.show(value));
                let message = format!(
                    "the rule of `custom_grad` gives {found}, the gradient of the arguments is \
                     {want}"
                );
                let diagnostic = Diagnostic::error(codes::GRAD_RESULT, at, message);
                let help = "a gradient for each argument that has floats, of its type: one alone, \
                            several as a tuple";
                Err(self.report(diagnostic.help(help)))
            }
        }
    }

    /// Gives the function the inputs of the rule too, and makes the rule one of all of these and
    /// the cotangents.
    fn joined(
        &self,
        traced: &mut Traced<'w>,
        inputs: &[usize],
        ruled: Ruled,
    ) -> (Graph, SmallVec<[u32; 4]>) {
        let Ruled { graph: mut rule, outer, inputs: lifted, seeds, gradients } = ruled;
        rule.clear_outputs();
        for (number, gradient) in gradients.into_iter().enumerate() {
            rule.add_output(format!("gradient.{number}"), gradient);
        }
        // Where each input of the rule is among those of the function.
        let mut place: Vec<usize> = vec![usize::MAX; outer.len()];
        lifted.iter().zip(inputs).for_each(|(&own, &input)| place[own] = input);
        for (own, around) in outer.iter().enumerate() {
            if place[own] == usize::MAX && !seeds.contains(&own) {
                let ty = rule.ty(rule.inputs()[own].1).clone();
                place[own] = traced.outer.len();
                let name = format!("rule.{}", place[own]);
                traced.graph.add_input(name, ty, Origin::default());
                traced.outer.push(*around);
            }
        }
        let mut graph = Graph::new();
        let mut arguments = vec![NodeId::from_index(0); outer.len()];
        let all: Vec<NodeId> = traced
            .graph
            .inputs()
            .iter()
            .map(|(name, input)| {
                graph.add_input(name, traced.graph.ty(*input).clone(), Origin::default())
            })
            .collect();
        for (own, &input) in place.iter().enumerate() {
            let (name, node) = &rule.inputs()[own];
            arguments[own] = match seeds.contains(&own) {
                true => graph.add_input(name, rule.ty(*node).clone(), rule.node(*node).origin),
                false => all[input],
            };
        }
        let outputs = graph.inline(&rule, &arguments);
        for (number, node) in outputs.into_iter().enumerate() {
            graph.add_output(format!("gradient.{number}"), node);
        }
        (graph, inputs.iter().map(|&input| input as u32).collect())
    }
}

/// A rule walked into a graph of its own.
struct Ruled {
    graph: Graph,
    outer: Vec<NodeId>,
    /// Inputs that are the floats of arguments, in order.
    inputs: Vec<usize>,
    /// Inputs that are cotangents.
    seeds: Vec<usize>,
    /// A gradient for each of `inputs`.
    gradients: Vec<NodeId>,
}
