//! `grad` and its like: functions of functions.
//!
//! The function's body is walked into a graph of its own, whose inputs are the arguments that are
//! differentiated by and whatever else it uses; `autodiff` makes the graph of the gradients from
//! it; and that is copied into the graph at hand. So transformations nest to any order.

use super::{Bound, Eval, Level, Walk};
use crate::autodiff::gradient;
use crate::check::value::{Leaf, Transform, Value};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::{NodeId, Op, Origin};
use crate::syntax::ast;
use tensc_runtime::Scalar;

impl<'w> Walk<'w> {
    /// The gradient of a call by some of its arguments (the first where `wrt` names none), after
    /// the value for `value_and_grad`.
    pub(crate) fn differentiate(
        &mut self,
        transform: Transform,
        wrt: &[ast::Ident],
        mut inner: Bound<'w>,
        span: Span,
    ) -> Eval<Value<'w>> {
        let chosen = self.chosen(wrt, &mut inner, span)?;
        self.levels.push(Level::default());
        let mut parameters = Vec::with_capacity(chosen.len());
        let mut names: Vec<(String, Value<'w>, Span)> = Vec::new();
        for (i, (name, slot)) in inner.args_mut(self).into_iter().enumerate() {
            if chosen.contains(&i) {
                names.push((name, slot.0.clone(), slot.1));
            }
        }
        for (name, value, at) in names {
            match self.parameter(&name, &value, at) {
                Ok(parameter) => parameters.push(parameter),
                Err(reported) => {
                    self.levels.pop();
                    return Err(reported);
                }
            }
        }
        let walk = &*self;
        let replaced = inner.args_mut(walk).into_iter().enumerate();
        for (position, (_, (_, slot))) in replaced.filter(|(i, _)| chosen.contains(i)).enumerate() {
            slot.0 = parameters[position].value.clone();
        }
        let result = self.apply(inner).and_then(|value| self.only_output(&value, span));
        let mut level = self.levels.pop().expect("pushed above");
        let output = result?;
        level.graph.add_output("value", output);
        let wrt: Vec<usize> = parameters.iter().flat_map(|p| p.inputs.iter().copied()).collect();
        let graph = match gradient(&level.graph, 0, &wrt) {
            Ok(graph) => graph,
            Err(refused) => {
                let at = level.graph.node(refused.node).origin.span.unwrap_or(span);
                return Err(self.not_differentiable(&refused.reason, at, span));
            }
        };
        let outputs = self.level_mut().graph.inline(&graph, &level.outer);
        let (value, gradients) = outputs.split_first().expect("the value comes first");
        let mut gradients = gradients.iter().copied();
        let mut trees = Vec::with_capacity(parameters.len());
        for parameter in &parameters {
            trees.push(self.gradient_tree(&parameter.value, &mut gradients, span)?);
        }
        let gradients = match trees.len() {
            1 => trees.swap_remove(0),
            _ => Value::tuple(trees),
        };
        Ok(match transform {
            Transform::Grad => gradients,
            Transform::ValueAndGrad => Value::tuple(vec![self.tensor(*value), gradients]),
        })
    }

    /// Positions of the arguments that are differentiated by.
    fn chosen(
        &mut self,
        wrt: &[ast::Ident],
        inner: &mut Bound<'w>,
        span: Span,
    ) -> Eval<Vec<usize>> {
        let walk = &*self;
        let names: Vec<String> = inner.args_mut(walk).into_iter().map(|(n, _)| n).collect();
        if names.is_empty() {
            let message = "there is no argument to differentiate by";
            return Err(self.error(codes::GRAD_ARGUMENT, span, message));
        }
        if wrt.is_empty() {
            return Ok(vec![0]);
        }
        let mut chosen = Vec::with_capacity(wrt.len());
        for name in wrt {
            match names.iter().position(|n| *n == name.name) {
                Some(i) => chosen.push(i),
                None => {
                    let listed: Vec<&str> = names.iter().map(String::as_str).collect();
                    let message = format!("the function has no parameter `{}`", name.name);
                    let diagnostic = Diagnostic::error(codes::GRAD_ARGUMENT, name.span, message);
                    let help = format!("it has {}", super::expr::quoted(&listed));
                    return Err(self.report(diagnostic.help(help)));
                }
            }
        }
        chosen.sort_unstable();
        chosen.dedup();
        Ok(chosen)
    }

    /// An argument whose float leaves become inputs of the graph on top; `frozen` ones stay
    /// outside.
    fn parameter(&mut self, name: &str, value: &Value<'w>, at: Span) -> Eval<Parameter<'w>> {
        // A weak argument becomes a tensor of the graph around first.
        let top = self.levels.pop().expect("pushed by the caller");
        let strong = self.strengthen(value, at);
        self.levels.push(top);
        let mut inputs = Vec::new();
        let strong = strong?;
        let lifted = self.lift(name, &strong, false, &mut inputs);
        if inputs.is_empty() {
            let found = self.show(&strong);
            let message = format!("there is no derivative by `{name}`, which is {found}");
            let diagnostic = Diagnostic::error(codes::GRAD_ARGUMENT, at, message);
            let help = "only floats have derivatives: choose another argument with `wrt = name`";
            return Err(self.report(diagnostic.help(help)));
        }
        Ok(Parameter { value: lifted, inputs })
    }

    fn lift(
        &mut self,
        path: &str,
        value: &Value<'w>,
        frozen: bool,
        inputs: &mut Vec<usize>,
    ) -> Value<'w> {
        let below = |name: &str| format!("{path}.{name}");
        match value {
            Value::Tensor(leaf) if !frozen && self.leaf_ty(*leaf).dtype.is_float() => {
                let level = self.levels.len() - 1;
                let outer = self.node_at(*leaf, level - 1);
                inputs.push(self.levels[level].outer.len());
                let node = self.input_from(path.to_string(), outer, level);
                self.tensor(node)
            }
            Value::Struct(def, args, parts) => {
                let fields = &self.world.structure(*def).decl.fields;
                let parts = fields
                    .iter()
                    .zip(parts.iter())
                    .map(|(f, v)| self.lift(&below(&f.name.name), v, frozen || f.frozen, inputs))
                    .collect();
                Value::Struct(*def, args.clone(), parts)
            }
            Value::Tuple(parts) => Value::Tuple(
                parts
                    .iter()
                    .enumerate()
                    .map(|(i, v)| self.lift(&below(&i.to_string()), v, frozen, inputs))
                    .collect(),
            ),
            Value::Record(fields) => Value::Record(
                fields
                    .iter()
                    .map(|(n, v)| (n.clone(), self.lift(&below(n), v, frozen, inputs)))
                    .collect(),
            ),
            other => other.clone(),
        }
    }

    /// The node of the one float that is differentiated.
    fn only_output(&mut self, value: &Value<'w>, span: Span) -> Eval<NodeId> {
        let node = match value {
            Value::Error => return Err(self.reported()),
            value if value.is_tree() => None,
            Value::Tensor(_) | Value::Static(_) => Some(self.to_tensor(value, None, span)?),
            _ => None,
        };
        let ty = node.map(|n| self.node_ty(n).clone());
        match (node, ty) {
            (Some(node), Some(ty)) if ty.rank() == 0 && ty.dtype.is_float() => Ok(node),
            _ => {
                let found = self.show(value);
                let message =
                    format!("a gradient is that of one float, the function gives {found}");
                let diagnostic = Diagnostic::error(codes::GRAD_RESULT, span, message);
                let help = "reduce it to a scalar first, with mean or sum";
                Err(self.report(diagnostic.help(help)))
            }
        }
    }

    fn not_differentiable(&mut self, reason: &str, at: Span, span: Span) -> super::Reported {
        let (at, here) = match self.world.in_std(at) {
            true => (span, format!("in `{}`", self.text(at))),
            false => (at, String::new()),
        };
        let diagnostic = Diagnostic::error(codes::NOT_DIFFERENTIABLE, at, reason).here(here);
        let diagnostic = match at == span {
            true => diagnostic,
            false => diagnostic.label(span, "differentiated here"),
        };
        self.report(diagnostic.help("stop_gradient(x) makes it a constant for the derivative"))
    }

    /// The argument's tree with each lifted leaf replaced by its gradient, the others by zeros.
    fn gradient_tree(
        &mut self,
        lifted: &Value<'w>,
        gradients: &mut dyn Iterator<Item = NodeId>,
        span: Span,
    ) -> Eval<Value<'w>> {
        let above = self.levels.len() as u32;
        lifted.map_leaves(&mut |leaf| match leaf {
            Value::Tensor(Leaf::Node(level, _)) if *level == above => {
                let node = gradients.next().expect("one gradient for each lifted leaf");
                Ok(self.tensor(node))
            }
            Value::Tensor(leaf) => {
                let ty = self.leaf_ty(*leaf);
                let zero = Scalar::from_i64(ty.dtype, 0);
                let origin = Origin::source(span);
                let zero = self.level_mut().graph.add(Op::Const(zero), &[], origin);
                let zero = zero.expect("a constant has no operands");
                let node = self.stretch(zero, &ty.shape, span)?;
                Ok(self.tensor(node))
            }
            other => Ok(other.clone()),
        })
    }
}

/// An argument that is differentiated by.
struct Parameter<'w> {
    /// Its tree, whose float leaves are inputs of the differentiated graph.
    value: Value<'w>,
    /// Positions of those inputs.
    inputs: Vec<usize>,
}
