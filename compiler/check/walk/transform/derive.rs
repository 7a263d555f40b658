//! Derivatives.

use super::super::expr::quoted;
use super::super::{Bound, Eval, Level, MAX_RANK, Reported, Walk};
use super::{Argument, Derived, Parameter, Traced, extras, leaves, one_or_tuple, split_last};
use crate::autodiff::{NotDifferentiable, gradient_beside, hessian, hvp, jacobian, jvp, vjp};
use crate::check::types::Type;
use crate::check::value::{Callable, Derivative, Leaf, Param, Value, Wrt};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::{Graph, NodeId, TensorType};
use crate::syntax::ast;
use std::rc::Rc;

/// An argument, or a part of one, that is differentiated by.
struct By<'w> {
    /// Its tree, whose float leaves are inputs of the differentiated graph.
    lifted: Value<'w>,
    ty: Type,
    /// Positions of those inputs.
    inputs: Vec<usize>,
}

impl Derivative {
    /// The name of the arguments that come after those of the function.
    pub(super) fn extra(self) -> &'static str {
        match self {
            Derivative::Vjp => "cotangent",
            _ => "tangent",
        }
    }

    /// How many there are.
    pub(super) fn extras(self, wrt: &[Wrt]) -> usize {
        match self {
            Derivative::Jvp | Derivative::Hvp => wrt.len().max(1),
            Derivative::Vjp => 1,
            Derivative::Grad
            | Derivative::ValueAndGrad
            | Derivative::Jacobian
            | Derivative::Hessian => 0,
        }
    }

    /// Whether the function's result must be one float.
    fn of_scalar(self) -> bool {
        match self {
            Derivative::Grad | Derivative::ValueAndGrad | Derivative::Hvp | Derivative::Hessian => {
                true
            }
            Derivative::Jvp | Derivative::Vjp | Derivative::Jacobian => false,
        }
    }
}

impl<'w> Walk<'w> {
    pub(super) fn bind_derived(
        &mut self,
        (derivative, wrt): (Derivative, &[Wrt]),
        function: &Rc<Callable<'w>>,
        callee: Span,
        args: &[Argument<'w>],
        span: Span,
    ) -> Eval<Derived<'w>> {
        let count = derivative.extras(wrt);
        let needed = |p: &Parameter<'w>| p.declared.is_some_and(|p| p.default.is_none());
        let needed = self.parameters_of(function).into_iter().filter(needed).count();
        let enough = |(rest, _): &(Vec<_>, Vec<_>)| rest.len() >= needed + extras(function);
        // Without a tangent to add there is nothing that the function would not say itself.
        let split = split_last(args, count).filter(|split| count == 0 || enough(split));
        let Some((rest, last)) = split else {
            let (name, extra) = (derivative.name(), derivative.extra());
            let s = if count == 1 { "" } else { "s" };
            let message =
                format!("`{name}(f)` takes the arguments of `f`, then {count} {extra}{s}");
            let diagnostic = Diagnostic::error(codes::BAD_ARGUMENTS, span, message);
            let help = format!("write {name}(f)(x, {})", if count == 1 { "v" } else { "v, w" });
            return Err(self.report(diagnostic.help(help)));
        };
        let mut inner = self.bind_call(function, callee, &rest, span, None)?;
        // A direction has the type of what it is a direction of, which a literal takes.
        let wanted = match derivative {
            Derivative::Vjp => vec![None; count],
            _ => {
                let chosen = self.chosen(wrt, &mut inner, span)?;
                let walk = &*self;
                let args = inner.args_mut(walk);
                let part = |(i, path): &(usize, Vec<ast::Ident>)| {
                    let value = walk.part(&args[*i].1.0, path)?;
                    (!value.is_weak()).then(|| walk.ty(&value))
                };
                chosen.iter().map(part).collect()
            }
        };
        let mut extra = Vec::with_capacity(count);
        for (arg, want) in last.iter().zip(&wanted) {
            let value = self.argument(arg, want.as_ref());
            if value.is_error() {
                return Err(self.reported());
            }
            extra.push((value, arg.span));
        }
        Ok(Derived { derivative, wrt: wrt.to_vec(), inner: Box::new(inner), extra, span })
    }

    pub(super) fn differentiate(&mut self, derived: Derived<'w>) -> Eval<Value<'w>> {
        let Derived { derivative, wrt, mut inner, extra, span } = derived;
        let chosen = self.chosen(&wrt, &mut inner, span)?;
        self.levels.push(Level::default());
        let by = match self.lift_chosen(&chosen, &mut inner) {
            Ok(by) => by,
            Err(reported) => {
                self.levels.pop();
                return Err(reported);
            }
        };
        let traced = self.traced(Ok(*inner), span)?;
        self.check_result(derivative, &traced, span)?;
        let inputs: Vec<usize> = by.iter().flat_map(|b| b.inputs.iter().copied()).collect();
        let graph = &traced.graph;
        match derivative {
            Derivative::Grad | Derivative::ValueAndGrad => {
                let graph = self.derived(gradient_beside(graph, &inputs), &traced, span)?;
                let mut nodes = self.inlined(&graph, &traced.outer, span)?.into_iter();
                let value = self.with_nodes(&traced.result, &mut nodes);
                let gradients = self.gradients(&by, &mut nodes, span)?;
                Ok(match derivative {
                    Derivative::Grad => gradients,
                    _ => Value::tuple(vec![value, gradients]),
                })
            }
            Derivative::Vjp => {
                let graph = self.derived(vjp(graph, &inputs), &traced, span)?;
                let (cotangent, at) = &extra[0];
                let cotangent = self.coerce(cotangent, &traced.ty, *at, None)?;
                let mut arguments = traced.outer.clone();
                for leaf in leaves(&cotangent) {
                    if self.leaf_ty(leaf).dtype.is_float() {
                        arguments.push(self.node(leaf));
                    }
                }
                let mut nodes = self.inlined(&graph, &arguments, span)?.into_iter();
                let value = self.with_nodes(&traced.result, &mut nodes);
                let gradients = self.gradients(&by, &mut nodes, span)?;
                Ok(Value::tuple(vec![value, gradients]))
            }
            Derivative::Jvp => {
                let graph = self.derived(jvp(graph, &inputs), &traced, span)?;
                let arguments = self.directions(&traced, &by, &extra)?;
                let mut nodes = self.inlined(&graph, &arguments, span)?.into_iter();
                let value = self.with_nodes(&traced.result, &mut nodes);
                let mut parts = Vec::new();
                for leaf in leaves(&traced.result) {
                    let ty = traced.ty_of(leaf);
                    parts.push(match ty.dtype.is_float() {
                        true => nodes.next().expect("a tangent for each float"),
                        false => self.zeros(&ty, span)?,
                    });
                }
                let tangent = self.with_nodes(&traced.result, &mut parts.into_iter());
                Ok(Value::tuple(vec![value, tangent]))
            }
            Derivative::Hvp => {
                let graph = self.derived(hvp(graph, &inputs), &traced, span)?;
                let arguments = self.directions(&traced, &by, &extra)?;
                let mut nodes = self.inlined(&graph, &arguments, span)?.into_iter();
                self.gradients(&by, &mut nodes, span)
            }
            Derivative::Jacobian => {
                self.check_ranks(&leaves(&traced.result), &traced, &by, span)?;
                let graph = self.derived(jacobian(graph, &inputs), &traced, span)?;
                let mut nodes = self.inlined(&graph, &traced.outer, span)?.into_iter();
                self.blocks(&traced.result, &traced, &by, &mut nodes, span)
            }
            Derivative::Hessian => {
                let rows = one_or_tuple(by.iter().map(|b| b.lifted.clone()).collect());
                self.check_ranks(&leaves(&rows), &traced, &by, span)?;
                let graph = self.derived(hessian(graph, &inputs), &traced, span)?;
                let mut nodes = self.inlined(&graph, &traced.outer, span)?.into_iter();
                self.blocks(&rows, &traced, &by, &mut nodes, span)
            }
        }
    }

    fn derived(
        &mut self,
        graph: Result<Graph, NotDifferentiable>,
        traced: &Traced<'w>,
        span: Span,
    ) -> Eval<Graph> {
        graph.map_err(|refused| self.not_differentiable(&refused, &traced.graph, span))
    }

    /// The nodes for the inputs of a graph, and for the tangents that come after them.
    fn directions(
        &mut self,
        traced: &Traced<'w>,
        by: &[By<'w>],
        extra: &[(Value<'w>, Span)],
    ) -> Eval<Vec<NodeId>> {
        let mut arguments = traced.outer.clone();
        for (by, (direction, at)) in by.iter().zip(extra) {
            let direction = self.coerce(direction, &by.ty, *at, None)?;
            for (lifted, leaf) in leaves(&by.lifted).into_iter().zip(leaves(&direction)) {
                if self.is_lifted(lifted) {
                    arguments.push(self.node(leaf));
                }
            }
        }
        Ok(arguments)
    }

    /// What is differentiated by: positions of arguments, and the fields on the way to the part.
    fn chosen(
        &mut self,
        wrt: &[Wrt],
        inner: &mut Bound<'w>,
        span: Span,
    ) -> Eval<Vec<(usize, Vec<ast::Ident>)>> {
        let walk = &*self;
        let names: Vec<String> = inner.args_mut(walk).into_iter().map(|(n, _)| n).collect();
        if names.is_empty() {
            let message = "there is no argument to differentiate by";
            return Err(self.error(codes::GRAD_ARGUMENT, span, message));
        }
        if wrt.is_empty() {
            return Ok(vec![(0, Vec::new())]);
        }
        let mut chosen: Vec<(usize, Vec<ast::Ident>)> = Vec::with_capacity(wrt.len());
        for part in wrt {
            let found = match &part.parameter {
                Param::Named(name) => names.iter().position(|n| n == name),
                Param::Numbered(n) => usize::try_from(*n).ok().filter(|n| *n < names.len()),
            };
            let Some(position) = found else {
                let listed: Vec<&str> = names.iter().map(String::as_str).collect();
                let message = match &part.parameter {
                    Param::Named(name) => format!("the function has no parameter `{name}`"),
                    Param::Numbered(n) => format!("the function has no parameter number {n}"),
                };
                let diagnostic = Diagnostic::error(codes::GRAD_ARGUMENT, part.span, message);
                return Err(self.report(diagnostic.help(format!("it has {}", quoted(&listed)))));
            };
            let within =
                |a: &[ast::Ident], b: &[ast::Ident]| a.iter().zip(b).all(|(a, b)| a.name == b.name);
            if chosen.iter().any(|(i, path)| *i == position && within(path, &part.path)) {
                let message = format!("`{}` is named twice", self.text(part.span));
                return Err(self.error(codes::GRAD_ARGUMENT, part.span, message));
            }
            let walk = &*self;
            let whole = inner.args_mut(walk).swap_remove(position).1.0.clone();
            if self.part(&whole, &part.path).is_none() {
                let message = format!(
                    "`{}` is {}, which has no `{}`",
                    names[position],
                    self.show(&whole),
                    part.path.iter().map(|p| p.name.as_str()).collect::<Vec<_>>().join(".")
                );
                return Err(self.error(codes::UNKNOWN_FIELD, part.span, message));
            }
            chosen.push((position, part.path.clone()));
        }
        Ok(chosen)
    }

    /// The position of a field among the parts of a tree.
    fn field_position(&self, value: &Value<'w>, name: &str) -> Option<usize> {
        match value {
            Value::Struct(of, _) => {
                self.world.structure(of.def).decl.fields.iter().position(|f| f.name.name == name)
            }
            Value::Record(fields) => fields.iter().position(|(n, _)| n == name),
            Value::Tuple(parts) => name.parse().ok().filter(|i: &usize| *i < parts.len()),
            _ => None,
        }
    }

    /// The part of a tree at the end of a path.
    fn part(&self, value: &Value<'w>, path: &[ast::Ident]) -> Option<Value<'w>> {
        let Some((field, rest)) = path.split_first() else { return Some(value.clone()) };
        let at = self.field_position(value, &field.name)?;
        self.part(value.children()[at], rest)
    }

    /// Makes the chosen arguments inputs of the graph on top.
    fn lift_chosen(
        &mut self,
        chosen: &[(usize, Vec<ast::Ident>)],
        inner: &mut Bound<'w>,
    ) -> Eval<Vec<By<'w>>> {
        let mut all = Vec::with_capacity(chosen.len());
        for (position, path) in chosen {
            let walk = &*self;
            let (name, slot) = inner.args_mut(walk).swap_remove(*position);
            let (value, at) = slot.clone();
            // A weak argument becomes a tensor of the graph around first.
            let top = self.levels.pop().expect("pushed by the caller");
            let strong = match value.is_weak() {
                true => {
                    let node = self.to_tensor(&value, inner.declared_dtype(*position), at);
                    node.map(|node| self.tensor(node))
                }
                false => self.strengthen(&value, at),
            };
            self.levels.push(top);
            let (whole, by) = self.lift_part(&name, &strong?, path, false, at)?;
            let walk = &*self;
            inner.args_mut(walk).swap_remove(*position).1.0 = whole;
            all.push(by);
        }
        Ok(all)
    }

    /// Lifts a part of a tree: the tree with that part replaced, and the part.
    fn lift_part(
        &mut self,
        name: &str,
        value: &Value<'w>,
        path: &[ast::Ident],
        frozen: bool,
        at: Span,
    ) -> Eval<(Value<'w>, By<'w>)> {
        if let Some((field, rest)) = path.split_first() {
            let i = self.field_position(value, &field.name).expect("checked when it was chosen");
            let frozen = frozen
                || matches!(value, Value::Struct(of, _)
                    if self.world.structure(of.def).decl.fields[i].frozen);
            let below = format!("{name}.{}", field.name);
            let (part, by) = self.lift_part(&below, value.children()[i], rest, frozen, at)?;
            let mut parts: Vec<Value<'w>> = value.children().into_iter().cloned().collect();
            parts[i] = part;
            return Ok((value.with_children(parts), by));
        }
        let mut inputs = Vec::new();
        let ty = self.ty(value);
        let lifted = self.lift(name, value, frozen, &mut inputs);
        if inputs.is_empty() {
            let found = self.show(value);
            let frozen = if frozen { "frozen " } else { "" };
            let message = format!("there is no derivative by `{name}`, which is {frozen}{found}");
            let diagnostic = Diagnostic::error(codes::GRAD_ARGUMENT, at, message);
            let help = "only floats have derivatives: choose another argument with `wrt = name`";
            return Err(self.report(diagnostic.help(help)));
        }
        Ok((lifted.clone(), By { lifted, ty, inputs }))
    }

    /// A tree whose float leaves are inputs of the graph on top; `frozen` ones stay outside.
    pub(super) fn lift(
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
            Value::Struct(of, parts) => {
                let fields = &self.world.structure(of.def).decl.fields;
                let parts = fields
                    .iter()
                    .zip(parts.iter())
                    .map(|(f, v)| self.lift(&below(&f.name.name), v, frozen || f.frozen, inputs))
                    .collect();
                Value::Struct(of.clone(), parts)
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

    /// Whether a leaf is of the graph that was on top of the one at hand: of an argument, it is an
    /// input that moves.
    pub(super) fn is_lifted(&self, leaf: Leaf) -> bool {
        matches!(leaf, Leaf::Node(level, _) if level as usize == self.levels.len())
    }

    fn check_result(
        &mut self,
        derivative: Derivative,
        traced: &Traced<'w>,
        span: Span,
    ) -> Eval<()> {
        // What stands behind a loss is handed on.
        let beside = derivative == Derivative::ValueAndGrad;
        let result = match &traced.result {
            Value::Tuple(parts) if beside && !parts.is_empty() => &parts[0],
            result => result,
        };
        let types: Vec<TensorType> =
            leaves(result).into_iter().map(|leaf| traced.ty_of(leaf)).collect();
        let scalar = !result.is_tree() && types.iter().all(|ty| ty.rank() == 0);
        let float = types.iter().any(|ty| ty.dtype.is_float());
        if float && (scalar || !derivative.of_scalar()) {
            return Ok(());
        }
        let found = traced.ty.show(self.world);
        let (message, help) = match derivative.of_scalar() {
            true => (
                format!("a gradient is that of one float, the function gives {found}"),
                match traced.result {
                    Value::Tuple(_) if beside => "the first part is the float, the others go along",
                    Value::Tuple(_) => {
                        "value_and_grad takes a float with other parts behind it, and gives all"
                    }
                    _ => "reduce it to a scalar first, with mean or sum",
                },
            ),
            false => (
                format!("a derivative is that of floats, the function gives {found}"),
                "convert it to a float type, if the way to it is one of floats",
            ),
        };
        Err(self.report(Diagnostic::error(codes::GRAD_RESULT, span, message).help(help)))
    }

    /// Refuses blocks of more axes than a tensor has.
    fn check_ranks(
        &mut self,
        rows: &[Leaf],
        traced: &Traced<'w>,
        by: &[By<'w>],
        span: Span,
    ) -> Result<(), Reported> {
        let rank = |leaf: &Leaf| match self.is_lifted(*leaf) {
            true => traced.ty_of(*leaf).rank(),
            false => self.leaf_ty(*leaf).rank(),
        };
        let row = rows.iter().map(rank).max().unwrap_or(0);
        let column = by.iter().flat_map(|b| leaves(&b.lifted)).map(|leaf| rank(&leaf)).max();
        let axes = row + column.unwrap_or(0);
        if axes <= MAX_RANK {
            return Ok(());
        }
        let message =
            format!("this derivative would have {axes} axes, a tensor has at most {MAX_RANK}");
        Err(self.error(codes::SHAPE_MISMATCH, span, message))
    }

    /// The trees of gradients: one, or a tuple of as many as were asked for.
    fn gradients(
        &mut self,
        by: &[By<'w>],
        nodes: &mut dyn Iterator<Item = NodeId>,
        span: Span,
    ) -> Eval<Value<'w>> {
        let mut trees = Vec::with_capacity(by.len());
        for by in by {
            trees.push(by.lifted.map_leaves(&mut |leaf| match leaf {
                Value::Tensor(leaf) if self.is_lifted(*leaf) => {
                    Ok(self.tensor(nodes.next().expect("one gradient for each lifted leaf")))
                }
                Value::Tensor(leaf) => {
                    let ty = self.leaf_ty(*leaf);
                    let node = self.zeros(&ty, span)?;
                    Ok(self.tensor(node))
                }
                other => Ok(other.clone()),
            })?);
        }
        Ok(one_or_tuple(trees))
    }

    /// For each leaf of `rows` the derivative of it by each leaf of what is differentiated by,
    /// which `nodes` gives where both move; zeros elsewhere.
    fn blocks(
        &mut self,
        rows: &Value<'w>,
        traced: &Traced<'w>,
        by: &[By<'w>],
        nodes: &mut dyn Iterator<Item = NodeId>,
        span: Span,
    ) -> Eval<Value<'w>> {
        let columns: Vec<Value<'w>> = by.iter().map(|b| self.as_records(&b.lifted)).collect();
        self.as_records(rows).map_leaves(&mut |row| {
            let Value::Tensor(row) = row else { return Ok(row.clone()) };
            let ty = if self.is_lifted(*row) { traced.ty_of(*row) } else { self.leaf_ty(*row) };
            let moves = ty.dtype.is_float() && self.is_lifted(*row);
            let mut trees = Vec::with_capacity(columns.len());
            for column in &columns {
                trees.push(column.map_leaves(&mut |leaf| match leaf {
                    Value::Tensor(leaf) if moves && self.is_lifted(*leaf) => {
                        Ok(self.tensor(nodes.next().expect("a block for each pair")))
                    }
                    Value::Tensor(leaf) => {
                        let by = match self.is_lifted(*leaf) {
                            true => traced.ty_of(*leaf),
                            false => self.leaf_ty(*leaf),
                        };
                        let shape = ty.shape.iter().chain(&by.shape).cloned();
                        let node = self.zeros(&TensorType::new(ty.dtype, shape), span)?;
                        Ok(self.tensor(node))
                    }
                    other => Ok(other.clone()),
                })?);
            }
            Ok(one_or_tuple(trees))
        })
    }
}

impl Traced<'_> {
    /// The type of a node of the graph.
    pub(super) fn ty_of(&self, leaf: Leaf) -> TensorType {
        let Leaf::Node(_, node) = leaf else { unreachable!("imported when it was traced") };
        self.graph.ty(node).clone()
    }
}
