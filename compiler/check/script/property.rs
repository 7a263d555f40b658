//! Tests of properties: `test gradcheck(loss, B = 4)`.
//!
//! The function is walked on parameters of the sizes that the test says, into a graph in float64;
//! its gradient is derived from that as any other. Running compares the two (`script::property`).

use super::super::define::{input, value_tree};
use super::super::typed::{GradientTest, Moving};
use super::super::types::{Bindings, Generic};
use super::super::value::{Callable, Leaf, Static, Value};
use super::super::walk::{Argument, Eval, Walk};
use super::super::world::{GenericSort, ModuleId};
use crate::autodiff::gradient;
use crate::check::suggest::nearest;
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::{Builder, Dim, Graph, NodeId};
use crate::syntax::ast;
use std::rc::Rc;
use tensc_runtime::DType;

/// How far a derivative may be from differences, where the test does not say.
const TOLERANCE: f64 = 1e-6;

/// The properties there are.
const PROPERTIES: [&str; 1] = ["gradcheck"];

impl<'w> Walk<'w> {
    /// A test of a property, ready to run.
    pub(super) fn property(
        &mut self,
        root: ModuleId,
        name: &'w ast::Ident,
        args: &'w [ast::Arg],
        span: Span,
    ) -> Eval<GradientTest> {
        if !PROPERTIES.contains(&name.name.as_str()) {
            let message = format!("there is no property `{}`", name.name);
            let diagnostic = Diagnostic::error(codes::UNKNOWN_NAME, name.span, message);
            let help = match nearest(&name.name, PROPERTIES) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "test gradcheck(loss, B = 4) compares a gradient with differences".into(),
            };
            return Err(self.report(diagnostic.help(help)));
        }
        self.push_frame("the test", None, root, Rc::default(), None);
        let result = self.gradient_test(args, span);
        self.pop_frame();
        result
    }

    fn gradient_test(&mut self, args: &'w [ast::Arg], span: Span) -> Eval<GradientTest> {
        let Some((first, rest)) = args.split_first().filter(|(first, _)| first.name.is_none())
        else {
            let message = "`gradcheck` takes a function, then its sizes by name";
            let diagnostic = Diagnostic::error(codes::BAD_ARGUMENTS, span, message);
            return Err(self.report(diagnostic.help("write test gradcheck(loss, B = 4)")));
        };
        let function = match self.expr(&first.value, None) {
            Value::Function(function) => function,
            Value::Error => return Err(self.reported()),
            other => return Err(self.expected("a function", &other, first.value.span)),
        };
        let mut tolerance = TOLERANCE;
        let mut sizes: Vec<(&'w ast::Ident, Value<'w>, Span)> = Vec::new();
        for arg in rest {
            let Some(name) = &arg.name else {
                let message = "sizes are given by name";
                let diagnostic = Diagnostic::error(codes::BAD_ARGUMENTS, arg.span, message);
                return Err(self.report(diagnostic.help("write test gradcheck(loss, B = 4)")));
            };
            let value = self.expr(&arg.value, None);
            match (name.name.as_str(), &value) {
                (_, Value::Error) => return Err(self.reported()),
                ("tol", Value::Static(Static::Float(tol, _))) if *tol > 0.0 => tolerance = *tol,
                ("tol", other) => {
                    return Err(self.expected("a number above 0", other, arg.value.span));
                }
                _ => sizes.push((name, value, arg.value.span)),
            }
        }
        let (arguments, moving) = self.parameters(&function, first.value.span, &sizes)?;
        let bound = self.bind_call(&function, first.value.span, &arguments, span, None)?;
        let value = self.apply(bound)?;
        let value = self.strengthen(&value, first.value.span)?;
        let what = self.text(first.value.span);
        self.comparison(&what, &value, moving, tolerance, first.value.span)
    }

    /// An argument for each parameter, and the leaves that move.
    fn parameters(
        &mut self,
        function: &Rc<Callable<'w>>,
        at: Span,
        sizes: &[(&'w ast::Ident, Value<'w>, Span)],
    ) -> Eval<(Vec<Argument<'w>>, Vec<(String, NodeId)>)> {
        let (module, generics) = self.bound_sizes(function, at, sizes)?;
        let mut arguments = Vec::new();
        let mut moving = Vec::new();
        self.push_frame("the test", None, module, generics, None);
        let mut failed = None;
        for param in self.declared_parameters(function) {
            let Some(ty) = param.ty.as_ref().filter(|_| !param.is_static) else {
                if param.default.is_none() {
                    let name = &param.name.name;
                    let message = format!("`gradcheck` draws no value for `{name}`");
                    let diagnostic = Diagnostic::error(codes::BAD_ARGUMENTS, at, message);
                    let help = "write fn(x: f32[3]) = f(x, …), with the types of what is drawn";
                    failed = Some(self.report(diagnostic.help(help)));
                }
                continue;
            };
            match self.declare(&param.name.name, ty, &mut input) {
                Ok(value) => {
                    self.moving(&param.name.name, &value, false, &mut moving);
                    let name = ast::Ident { name: param.name.name.clone(), span: at };
                    let mut argument = Argument::made(value, at);
                    argument.name = Some(name);
                    arguments.push(argument);
                }
                Err(reported) => failed = Some(reported),
            }
        }
        self.pop_frame();
        match failed {
            Some(reported) => Err(reported),
            None => Ok((arguments, moving)),
        }
    }

    fn declared_parameters(&self, function: &Callable<'w>) -> &'w [ast::Param] {
        match function {
            Callable::Fn(id, _) => &self.world.function(*id).decl.params,
            Callable::Lambda(lambda) => lambda.params,
            Callable::Transform(_, inner) => self.declared_parameters(inner),
            Callable::Builtin(_) | Callable::Convert(_) => &[],
        }
    }

    /// Where the types of a function's parameters are written, and the sizes in them.
    fn bound_sizes(
        &mut self,
        function: &Rc<Callable<'w>>,
        at: Span,
        sizes: &[(&'w ast::Ident, Value<'w>, Span)],
    ) -> Eval<(ModuleId, Rc<Bindings>)> {
        let (module, mut bindings) = match &**function {
            Callable::Fn(id, given) => {
                let def = self.world.function(*id);
                let mut bindings = Bindings::open(&def.decl.generics, &def.sorts);
                for (binding, given) in bindings.0.iter_mut().zip(given.iter()) {
                    binding.value = Some(given.clone());
                }
                (def.module, bindings)
            }
            Callable::Lambda(lambda) => {
                // What it sees has its sizes already.
                if let Some((name, _, _)) = sizes.first() {
                    return Err(self.no_such_size(name, &[]));
                }
                return Ok((lambda.module, lambda.generics.clone()));
            }
            Callable::Transform(_, inner) => return self.bound_sizes(inner, at, sizes),
            Callable::Builtin(_) | Callable::Convert(_) => {
                let message = "`gradcheck` needs a function that says the types of its parameters";
                let diagnostic = Diagnostic::error(codes::BAD_ARGUMENTS, at, message);
                let help = "write test gradcheck(fn(x: f32[3]) = …)";
                return Err(self.report(diagnostic.help(help)));
            }
        };
        for (name, value, place) in sizes {
            let names: Vec<String> = bindings.0.iter().map(|b| b.name.clone()).collect();
            let Some(binding) = bindings.0.iter_mut().find(|b| b.name == name.name) else {
                return Err(self.no_such_size(name, &names));
            };
            let size = |value: &Value<'w>| match value {
                Value::Static(Static::Dim(Dim::Const(n))) if *n >= 0 => Some(Dim::Const(*n)),
                _ => None,
            };
            binding.value = match (binding.sort, value) {
                (GenericSort::Dim, value) => size(value).map(Generic::Dim),
                (GenericSort::Pack, Value::List(items)) => {
                    let all: Option<_> = items.iter().map(|(item, _)| size(item)).collect();
                    all.map(Generic::Pack)
                }
                _ => None,
            };
            if binding.value.is_none() {
                let what = match binding.sort {
                    GenericSort::Pack => "a list of sizes",
                    _ => "a size",
                };
                return Err(self.expected(what, value, *place));
            }
        }
        for binding in &mut bindings.0 {
            match (&binding.value, binding.sort) {
                (Some(_), _) => {}
                (None, GenericSort::DType(_)) => {
                    binding.value = Some(Generic::DType(DType::F64));
                }
                (None, GenericSort::Dim | GenericSort::Pack) => {
                    let name = &binding.name;
                    let message = format!("`gradcheck` needs the size of `{name}`");
                    let value = if binding.sort == GenericSort::Dim { "4" } else { "[4, 3]" };
                    let diagnostic = Diagnostic::error(codes::BAD_ARGUMENTS, at, message);
                    let help = format!("say it by name: {name} = {value}");
                    return Err(self.report(diagnostic.help(help)));
                }
                (None, GenericSort::Tree) => {
                    let name = &binding.name;
                    let message = format!("`gradcheck` draws no value of any tree `{name}`");
                    let diagnostic = Diagnostic::error(codes::BAD_ARGUMENTS, at, message);
                    let help = "write fn(m: Model) = …, with the type of what is drawn";
                    return Err(self.report(diagnostic.help(help)));
                }
            }
        }
        Ok((module, Rc::new(bindings)))
    }

    fn no_such_size(
        &mut self,
        name: &ast::Ident,
        names: &[String],
    ) -> super::super::walk::Reported {
        let message = format!("the function has no size `{}`", name.name);
        let diagnostic = Diagnostic::error(codes::BAD_ARGUMENTS, name.span, message);
        let near = nearest(&name.name, names.iter().map(String::as_str));
        let diagnostic = match near {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None => diagnostic,
        };
        self.report(diagnostic)
    }

    /// The floats of a value that are not frozen.
    fn moving(&self, path: &str, value: &Value<'w>, frozen: bool, all: &mut Vec<(String, NodeId)>) {
        match value {
            Value::Tensor(Leaf::Node(_, node))
                if !frozen && self.node_ty(*node).dtype.is_float() =>
            {
                all.push((path.to_string(), *node));
            }
            Value::Struct(of, parts) => {
                let fields = &self.world.structure(of.def).decl.fields;
                for (field, part) in fields.iter().zip(parts.iter()) {
                    let below = format!("{path}.{}", field.name.name);
                    self.moving(&below, part, frozen || field.frozen, all);
                }
            }
            Value::Record(fields) => {
                for (name, part) in fields.iter() {
                    self.moving(&format!("{path}.{name}"), part, frozen, all);
                }
            }
            Value::Tuple(parts) => {
                for (number, part) in parts.iter().enumerate() {
                    self.moving(&format!("{path}.{number}"), part, frozen, all);
                }
            }
            _ => {}
        }
    }

    /// The function as one number in float64, and its gradient.
    fn comparison(
        &mut self,
        what: &str,
        value: &Value<'w>,
        moving: Vec<(String, NodeId)>,
        tolerance: f64,
        at: Span,
    ) -> Eval<GradientTest> {
        let floats = value_tree(self, value)
            .map_or(0, |tree| tree.leaves("").iter().filter(|(_, ty)| ty.dtype.is_float()).count());
        if floats == 0 {
            let found = self.show(value);
            let message = format!("`gradcheck` is of a function of floats, this gives {found}");
            return Err(self.error(codes::GRAD_RESULT, at, message));
        }
        if moving.is_empty() {
            let message = "no parameter has floats that move";
            return Err(self.error(codes::GRAD_ARGUMENT, at, message));
        }
        let mut nodes = Vec::new();
        value.map_tensors(&mut |leaf| {
            nodes.push(self.node(leaf));
            Value::Unit
        });
        let mut graph = std::mem::take(self.level_mut()).graph;
        let inputs: Vec<NodeId> = graph.inputs().iter().map(|(_, node)| *node).collect();
        let places = moving.iter().map(|(_, node)| {
            inputs.iter().position(|input| input == node).expect("a parameter is an input")
        });
        let places: Vec<usize> = places.collect();
        for (number, node) in nodes.into_iter().enumerate() {
            if graph.ty(node).dtype.is_float() {
                graph.add_output(format!("y{number}"), node);
            }
        }
        let refused = |walk: &mut Walk<'w>, message: String, help: &str| {
            let message = format!("`{what}` has no gradient to check: {message}");
            let diagnostic = Diagnostic::error(codes::NOT_DIFFERENTIABLE, at, message);
            walk.report(if help.is_empty() { diagnostic } else { diagnostic.help(help) })
        };
        let value = match graph.in_f64() {
            Ok(wide) => one_number(&wide),
            Err(error) => return Err(refused(self, error.message, "")),
        };
        match gradient(&value, 0, &places) {
            Ok(gradient) => {
                let named = moving.into_iter().zip(places);
                let moving = named.map(|((name, _), input)| Moving { name, input }).collect();
                Ok(GradientTest { function: what.to_string(), value, gradient, moving, tolerance })
            }
            Err(error) => Err(refused(self, error.reason, error.help)),
        }
    }
}

/// A graph whose output is one float: that of the graph, or a sum of all its floats in which each
/// has a weight of its own.
fn one_number(graph: &Graph) -> Graph {
    let mut one = graph.clone();
    let outputs: Vec<NodeId> = graph.outputs().iter().map(|(_, node)| *node).collect();
    one.clear_outputs();
    let b = Builder::new(&mut one);
    let weighted = |node: &NodeId| {
        let ty = b.ty(*node);
        if ty.rank() == 0 {
            return *node;
        }
        let flat = b.reshape(*node, &[ty.elements()]);
        let places = b.iota(DType::F64, &[ty.elements()], 0);
        let weights = b.cos(b.scale(0.7, places));
        b.sum_all(b.mul(flat, weights))
    };
    let terms = outputs.iter().map(weighted);
    let sum = terms.reduce(|sum, term| b.add(sum, term)).expect("there is a float");
    b.output("value", sum);
    drop(b);
    one
}
