//! Functions of functions: `grad`, `vmap` and their like.
//!
//! The function's body is walked into a graph of its own, whose inputs are the arguments that the
//! transformation is about and whatever else it uses; `autodiff` makes another graph of it; and
//! that is copied into the graph at hand. So transformations nest in any order.
//!
//! `derive` has the derivatives, `lanes` has `vmap`, `whole` has `checkpoint` and `custom_grad`.

mod derive;
mod lanes;
mod whole;

use super::bind::{Argument, Bound, Slot};
use super::{Eval, MAX_NODES, Walk};
use crate::autodiff::NotDifferentiable;
use crate::check::types::Type;
use crate::check::value::{Callable, Derivative, Leaf, Transform, Value, Wrt};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::{Graph, NodeId, Op, Origin, TensorType};
use crate::syntax::ast;
use lanes::Vmapped;
use std::rc::Rc;
use tensc_runtime::{DType, Scalar};
use whole::Whole;

/// A call of a transformed function whose arguments are values.
pub(crate) enum Transformed<'w> {
    Derived(Derived<'w>),
    Vmapped(Vmapped<'w>),
    Whole(Whole<'w>),
}

/// A call of a derivative.
pub(crate) struct Derived<'w> {
    derivative: Derivative,
    wrt: Vec<Wrt>,
    inner: Box<Bound<'w>>,
    /// Tangents or cotangents, which come after the arguments of the function.
    extra: Vec<(Value<'w>, Span)>,
    span: Span,
}

/// A parameter of a function that can be called.
#[derive(Clone)]
struct Parameter<'w> {
    name: String,
    /// Where it is declared, if it is.
    declared: Option<&'w ast::Param>,
}

/// A function walked into a graph of its own.
struct Traced<'w> {
    /// Its outputs are the tensors of the result, in order.
    graph: Graph,
    /// For each input of the graph the node around it.
    outer: Vec<NodeId>,
    /// The result; its tensors are nodes of the graph.
    result: Value<'w>,
    ty: Type,
}

impl<'w> Walk<'w> {
    pub(super) fn bind_transformed(
        &mut self,
        transform: &Rc<Transform<'w>>,
        inner: &Rc<Callable<'w>>,
        callee: Span,
        args: &[Argument<'w>],
        span: Span,
    ) -> Eval<Transformed<'w>> {
        Ok(match &**transform {
            Transform::Derivative(derivative, wrt) => Transformed::Derived(self.bind_derived(
                (*derivative, wrt),
                inner,
                callee,
                args,
                span,
            )?),
            Transform::Lanes { axes, out } => {
                let said = (axes.clone(), *out);
                Transformed::Vmapped(self.bind_vmapped(said, inner, callee, args, span)?)
            }
            Transform::Checkpoint => {
                Transformed::Whole(self.bind_whole(None, inner, callee, args, span)?)
            }
            Transform::CustomGrad(backward, at) => {
                let backward = Some((backward.clone(), *at));
                Transformed::Whole(self.bind_whole(backward, inner, callee, args, span)?)
            }
        })
    }

    pub(super) fn apply_transformed(&mut self, transformed: Transformed<'w>) -> Eval<Value<'w>> {
        match transformed {
            Transformed::Derived(derived) => self.differentiate(derived),
            Transformed::Vmapped(vmapped) => self.apply_vmapped(vmapped),
            Transformed::Whole(whole) => self.apply_whole(whole),
        }
    }

    /// Applies a function whose arguments are nodes of the graph on top, and takes that off.
    fn traced(&mut self, inner: Eval<Bound<'w>>, span: Span) -> Eval<Traced<'w>> {
        let result = inner.and_then(|inner| self.apply(inner));
        self.traced_value(result, span)
    }

    /// The graph on top with this result, taken off.
    fn traced_value(&mut self, result: Eval<Value<'w>>, span: Span) -> Eval<Traced<'w>> {
        let result = result.and_then(|value| {
            value.map_leaves(&mut |leaf| match leaf {
                Value::Error => Err(self.reported()),
                Value::Unit | Value::Function(_) | Value::Module(_) => {
                    let message = "the result of a transformed function is made of tensors";
                    let diagnostic = Diagnostic::error(codes::GRAD_RESULT, span, message);
                    let found = match leaf {
                        Value::Unit => "it gives nothing".to_string(),
                        other => format!("a part of it is {}", self.show(other)),
                    };
                    Err(self.report(diagnostic.here(found)))
                }
                leaf => {
                    let node = self.to_tensor(leaf, None, span)?;
                    Ok(self.tensor(node))
                }
            })
        });
        let typed = result.map(|value| (self.ty(&value), value));
        let mut level = self.levels.pop().expect("pushed by the caller");
        let (ty, result) = typed?;
        for (number, leaf) in leaves(&result).into_iter().enumerate() {
            let Leaf::Node(_, node) = leaf else { unreachable!("imported above") };
            level.graph.add_output(format!("y{number}"), node);
        }
        Ok(Traced { graph: level.graph, outer: level.outer, result, ty })
    }

    /// Copies a graph into the one at hand.
    pub(super) fn inlined(
        &mut self,
        graph: &Graph,
        arguments: &[NodeId],
        span: Span,
    ) -> Eval<Vec<NodeId>> {
        if self.level().graph.len() + graph.len() >= MAX_NODES {
            return Err(self.too_large(span));
        }
        if let Some(ty) = graph.beyond_memory() {
            let message = format!("this needs {ty}, which does not fit the address space");
            return Err(self.error(codes::SHAPE_MISMATCH, span, message));
        }
        Ok(self.level_mut().graph.inline(graph, arguments))
    }

    /// The same tree with other tensors, in order.
    pub(super) fn with_nodes(
        &self,
        tree: &Value<'w>,
        nodes: &mut dyn Iterator<Item = NodeId>,
    ) -> Value<'w> {
        tree.map_tensors(&mut |_| self.tensor(nodes.next().expect("a node for each tensor")))
    }

    pub(super) fn zeros(&mut self, ty: &TensorType, span: Span) -> Eval<NodeId> {
        let zero = Scalar::from_i64(ty.dtype, 0);
        let zero = self.level_mut().graph.add(Op::Const(zero), &[], Origin::source(span));
        self.stretch(zero.expect("a constant has no operands"), &ty.shape, span)
    }

    /// What was made of each leaf of a tree: structs become records where a leaf changed its type.
    pub(crate) fn retyped(&self, before: &Value<'w>, after: Value<'w>) -> Value<'w> {
        match self.leaves_agree(before, &after, &|a, b| self.ty(a) == self.ty(b)) {
            true => after,
            false => self.as_records(&after),
        }
    }

    /// Whether two trees have parts of the same names, of which the leaves agree.
    pub(crate) fn leaves_agree(
        &self,
        a: &Value<'w>,
        b: &Value<'w>,
        agree: &dyn Fn(&Value<'w>, &Value<'w>) -> bool,
    ) -> bool {
        if !a.is_tree() || !b.is_tree() {
            return !a.is_tree() && !b.is_tree() && agree(a, b);
        }
        if let (Value::Struct(a, ..), Value::Struct(b, ..)) = (a, b)
            && a.def != b.def
        {
            return false;
        }
        let mut parts = a.children().into_iter().zip(b.children());
        self.part_names(a) == self.part_names(b)
            && parts.all(|(a, b)| self.leaves_agree(a, b, agree))
    }

    /// The names of a tree's parts; those of a tuple have none.
    fn part_names<'v>(&'v self, tree: &'v Value<'w>) -> Vec<Option<&'v str>> {
        match tree {
            Value::Struct(of, _) => {
                let fields = &self.world.structure(of.def).decl.fields;
                fields.iter().map(|f| Some(f.name.name.as_str())).collect()
            }
            Value::Record(fields) => fields.iter().map(|(name, _)| Some(name.as_str())).collect(),
            tree => vec![None; tree.children().len()],
        }
    }

    /// The tree with records in place of structs: its leaves may then be of any type.
    pub(super) fn as_records(&self, value: &Value<'w>) -> Value<'w> {
        match value {
            Value::Struct(of, parts) => {
                let fields = &self.world.structure(of.def).decl.fields;
                let named = fields.iter().zip(parts.iter());
                Value::Record(
                    named.map(|(f, v)| (f.name.name.clone(), self.as_records(v))).collect(),
                )
            }
            tree if tree.is_tree() => {
                let parts = tree.children().into_iter().map(|part| self.as_records(part)).collect();
                tree.with_children(parts)
            }
            leaf => leaf.clone(),
        }
    }

    /// The parameters of what can be called, in order, those that a transformation adds apart.
    fn parameters_of(&self, function: &Callable<'w>) -> Vec<Parameter<'w>> {
        let declared =
            |p: &'w ast::Param| Parameter { name: p.name.name.clone(), declared: Some(p) };
        let named = |name: &str| Parameter { name: name.to_string(), declared: None };
        match function {
            Callable::Fn(id, _) => {
                self.world.function(*id).decl.params.iter().map(declared).collect()
            }
            Callable::Lambda(lambda) => lambda.params.iter().map(declared).collect(),
            Callable::Builtin(builtin) => builtin.slots().map(|s| named(s.name)).collect(),
            Callable::Convert(_) => vec![named("x")],
            Callable::Transform(_, inner) => self.parameters_of(inner),
        }
    }

    fn not_differentiable(
        &mut self,
        refused: &NotDifferentiable,
        graph: &Graph,
        span: Span,
    ) -> super::Reported {
        let node = refused.node.filter(|node| node.index() < graph.len());
        let at = node.and_then(|node| graph.node(node).origin.span).unwrap_or(span);
        let (at, here) = match self.world.in_std(at) {
            true => (span, format!("in `{}`", self.text(at))),
            false => (at, String::new()),
        };
        let diagnostic =
            Diagnostic::error(codes::NOT_DIFFERENTIABLE, at, &refused.reason).here(here);
        let diagnostic = match at == span {
            true => diagnostic,
            false => diagnostic.label(span, "differentiated here"),
        };
        self.report(diagnostic.help(refused.help))
    }
}

impl<'w> Transformed<'w> {
    pub(super) fn declared_dtype(&self, position: usize) -> Option<DType> {
        match self {
            Transformed::Derived(derived) => derived.inner.declared_dtype(position),
            // The arguments of a batched function are tensors by then.
            Transformed::Vmapped(_) => None,
            Transformed::Whole(whole) => whole.inner.declared_dtype(position),
        }
    }

    /// The arguments with their parameters' names, to be replaced by what a transformation needs.
    pub(super) fn args_mut(&mut self, walk: &Walk<'w>) -> Vec<(String, &mut (Value<'w>, Span))> {
        match self {
            Transformed::Derived(derived) => {
                let extra = derived.derivative.extra();
                let count = derived.extra.len();
                let named = derived.extra.iter_mut().enumerate().map(|(i, slot)| {
                    let name = if count == 1 { extra.to_string() } else { format!("{extra}_{i}") };
                    (name, slot)
                });
                derived.inner.args_mut(walk).into_iter().chain(named).collect()
            }
            Transformed::Vmapped(vmapped) => vmapped.args_mut(),
            Transformed::Whole(whole) => whole.inner.args_mut(walk),
        }
    }
}

/// How many arguments transformations add at the end of those of a function.
fn extras(function: &Callable<'_>) -> usize {
    match function {
        Callable::Transform(transform, inner) => {
            let own = match &**transform {
                Transform::Derivative(derivative, wrt) => derivative.extras(wrt),
                Transform::Lanes { .. } | Transform::Checkpoint | Transform::CustomGrad(..) => 0,
            };
            own + extras(inner)
        }
        Callable::Fn(..) | Callable::Builtin(_) | Callable::Convert(_) | Callable::Lambda(_) => 0,
    }
}

/// Splits off the last arguments without a name; `None` where there are too few.
fn split_last<'w>(
    args: &[Argument<'w>],
    count: usize,
) -> Option<(Vec<Argument<'w>>, Vec<Argument<'w>>)> {
    let positional = args.iter().filter(|a| a.name.is_none()).count();
    let first = positional.checked_sub(count)?;
    let rest = args[..first].iter().chain(&args[positional..]).cloned().collect();
    Some((rest, args[first..positional].to_vec()))
}

/// Where the tensors of a tree are, in order.
pub(super) fn leaves(value: &Value<'_>) -> Vec<Leaf> {
    let mut all = Vec::new();
    value.map_tensors(&mut |leaf| {
        all.push(leaf);
        Value::Unit
    });
    all
}

/// One value alone, or several as a tuple.
fn one_or_tuple(mut values: Vec<Value<'_>>) -> Value<'_> {
    match values.len() {
        1 => values.swap_remove(0),
        _ => Value::tuple(values),
    }
}

/// Parameters that may all be left out: what is missing is said by the function itself.
fn optional<'a>(parameters: &'a [Parameter<'_>]) -> Vec<Slot<'a>> {
    parameters.iter().map(|p| Slot { name: &p.name, optional: true }).collect()
}
