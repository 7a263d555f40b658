//! From a function's declaration to its graph.
//!
//! Every function of the program is walked once with names for its sizes, so that mistakes in it
//! show even where nobody calls it. What a function is generic over besides sizes is sampled: a
//! pack by some sizes, an element type by `f32`, a tree by a vector; such a walk only looks for
//! mistakes.

use super::Given;
use super::typed::{Function, Tree};
use super::types::{Bindings, Generic, Instance, Type, Unifier, is_stack, stack_args};
use super::value::{Callable, Leaf, SizeOrigin, Static, Value};
use super::walk::{Argument, Declared, Eval, Reported, Walk, without_dead_nodes};
use super::world::{DTypeBound, FnDef, FnId, GenericSort, ModuleId};
use crate::diag::{Diagnostic, codes};
use crate::graph::{Dim, DimVar, NodeId, Origin, TensorType};
use crate::syntax::ast;
use std::rc::Rc;
use tensc_runtime::{DType, Scalar};

/// Walks a function over named sizes. `None` where it has mistakes, or is generic over more than
/// sizes, or takes functions or known values without defaults: it has no graph of its own then.
pub(crate) fn define(walk: &mut Walk<'_>, id: FnId) -> Option<Function> {
    let def = walk.world.function(id);
    if def.sorts.iter().all(|s| *s == GenericSort::Dim) {
        let bindings = rigid(walk, def, 0);
        return instance(walk, id, bindings);
    }
    // A function may be meant for some ranks only: it is wrong where no sample goes through.
    let packs = def.sorts.contains(&GenericSort::Pack);
    let ranks: &[usize] = if packs { &[2, 1, 3, 4, 0] } else { &[0] };
    let mut first = None;
    for &rank in ranks {
        let bindings = rigid(walk, def, rank);
        let sample = sample_of(walk, &bindings);
        let (_, heard) = walk.listening(|w| {
            instance(w, id, bindings);
            w.reset();
        });
        if !heard.has_errors() {
            return None;
        }
        first.get_or_insert((heard, sample));
    }
    let (heard, sample) = first.expect("there is a sample");
    for diagnostic in heard {
        let name = &def.decl.name.name;
        walk.keep(diagnostic.note(format!("`{name}` was tried with {sample}")));
    }
    None
}

/// `T = f32, S... = S.0, S.1`
fn sample_of(walk: &Walk<'_>, bindings: &Bindings) -> String {
    let samples = bindings.0.iter().filter_map(|b| {
        let value = b.value.as_ref()?.show(walk.world);
        match b.sort {
            GenericSort::Dim => None,
            GenericSort::Pack => Some(format!("{}... = [{value}]", b.name)),
            GenericSort::DType(_) | GenericSort::Tree => Some(format!("{} = {value}", b.name)),
        }
    });
    samples.collect::<Vec<_>>().join(", ")
}

/// Walks a call of a function with what comes from outside for some of its parameters.
///
/// # Errors
/// Where that does not fit; what is wrong has been reported.
pub(crate) fn instantiate(
    walk: &mut Walk<'_>,
    id: FnId,
    arguments: &[(String, Given)],
) -> Eval<Function> {
    let def = walk.world.function(id);
    walk.push_frame("a call from outside", None, def.module, Rc::default(), None);
    let called = called(walk, id, arguments);
    walk.pop_frame();
    let (params, result) = called?;
    function(walk, def, params, &result).ok_or_else(|| {
        let message = format!("`{}` gives no tensors", def.decl.name.name);
        walk.error(codes::TYPE_MISMATCH, def.decl.name.span, message)
    })
}

fn called<'w>(walk: &mut Walk<'w>, id: FnId, given: &[(String, Given)]) -> Eval<Walked<'w>> {
    let def = walk.world.function(id);
    let place = def.decl.name.span;
    let position = |name: &str| def.decl.params.iter().position(|p| p.name.name == name);
    let mut given: Vec<&(String, Given)> = given.iter().collect();
    given.sort_by_key(|(name, _)| position(name).unwrap_or(usize::MAX));
    let (mut params, mut arguments) = (Vec::new(), Vec::new());
    for (name, given) in given {
        let param = position(name).map(|i| &def.decl.params[i]);
        let value = match (given, param.and_then(|param| Some((param, param.ty.as_ref()?)))) {
            (Given::Known(scalar), _) => known(*scalar),
            (Given::Data(tree), Some((param, ty))) => {
                let Some(ty) = type_of(walk, def.module, ty, tree) else {
                    return Err(refuse(walk, param, ty, tree));
                };
                walk.tree_leaves(name, &ty, param.span, &mut input)
            }
            // There is no such parameter, which the call says.
            (Given::Data(_), None) => Value::Unit,
        };
        let span = param.map_or(place, |param| param.span);
        params.extend(value_tree(walk, &value).map(|tree| (name.clone(), tree)));
        arguments.push(Argument::named(name, value, span));
    }
    let callee = Callable::Fn(id, Rc::default());
    let bound = walk.bind_call(&callee, place, &arguments, place, None)?;
    let result = walk.apply(bound)?;
    Ok((params, walk.strengthen(&result, def.decl.body.span)?))
}

/// A number that the compiler knows.
fn known<'w>(scalar: Scalar) -> Value<'w> {
    match scalar.dtype() {
        DType::Bool => Value::Static(Static::Bool(scalar.to_i64() != 0)),
        dtype if dtype.is_float() => Value::Static(Static::Float(scalar.to_f64(), None)),
        _ => Value::int(scalar.to_i64()),
    }
}

/// Says that data is not of the kind that a parameter is.
fn refuse(
    walk: &mut Walk<'_>,
    param: &ast::Param,
    ty: &ast::Type,
    found: &Tree<TensorType>,
) -> Reported {
    let leaf = |(path, ty): (String, &TensorType)| match path.is_empty() {
        true => ty.to_string(),
        false => format!("{path}: {ty}"),
    };
    let found: Vec<String> = found.leaves("").into_iter().map(leaf).collect();
    let (name, written) = (&param.name.name, walk.text(ty.span));
    let message = format!("`{name}` is {written}, found {}", found.join(", "));
    walk.error(codes::SHAPE_MISMATCH, ty.span, message)
}

/// The type that a written type and the types of its leaves make together.
fn type_of(
    walk: &Walk<'_>,
    module: ModuleId,
    ty: &ast::Type,
    tree: &Tree<TensorType>,
) -> Option<Type> {
    let field = |name: &str| match tree {
        Tree::Record { fields, .. } => fields.iter().find(|(n, _)| n == name).map(|(_, t)| t),
        _ => None,
    };
    match (&ty.kind, tree) {
        (ast::TypeKind::Paren(inner), _) => type_of(walk, module, inner, tree),
        (_, Tree::Leaf(leaf)) => Some(Type::Tensor(leaf.clone())),
        (ast::TypeKind::Tuple(types), Tree::Tuple(trees)) if types.len() == trees.len() => {
            let parts = types.iter().zip(trees).map(|(ty, tree)| type_of(walk, module, ty, tree));
            Some(Type::Tuple(parts.collect::<Option<_>>()?))
        }
        (ast::TypeKind::Tuple(types), Tree::Record { .. }) => {
            let part =
                |(i, ty): (usize, &ast::Type)| type_of(walk, module, ty, field(&i.to_string())?);
            Some(Type::Tuple(types.iter().enumerate().map(part).collect::<Option<_>>()?))
        }
        (ast::TypeKind::Record(types), Tree::Record { .. }) => {
            let part = |ty: &ast::RecordField| {
                let name = &ty.name.name;
                Some((name.clone(), type_of(walk, module, &ty.ty, field(name)?)?))
            };
            Some(Type::Record(types.iter().map(part).collect::<Option<_>>()?))
        }
        (ast::TypeKind::Named { path, args }, _) if is_stack(path) => {
            let (_, one) = stack_args(args, ty.span).ok()?;
            let (size, tree) = unstacked(tree)?;
            Some(type_of(walk, module, &one, &tree)?.stacked(&size))
        }
        (ast::TypeKind::Named { path, .. }, Tree::Record { fields, .. }) => {
            let Some(id) = walk.world.resolve_struct(module, path) else {
                // A file with the name of its only tensor stands for that.
                let [(_, Tree::Leaf(leaf))] = &fields[..] else { return None };
                return Some(Type::Tensor(leaf.clone()));
            };
            let inner = walk.world.structure(id);
            let mut bindings = Bindings::open(&inner.decl.generics, &inner.sorts);
            for part in &inner.decl.fields {
                let found = type_of(walk, inner.module, &part.ty, field(&part.name.name)?)?;
                let mut unifier = Unifier::new(walk.world, inner.module, &mut bindings);
                unifier.unify(&part.ty, &found).ok()?;
            }
            let bindings = bindings.or_default(&inner.decl.generics);
            let args: Option<Vec<Generic>> = bindings.0.into_iter().map(|b| b.value).collect();
            Some(Type::Struct(Instance::new(id, args?)))
        }
        _ => None,
    }
}

/// How many a tree is a stack of, and the types of the leaves of one.
fn unstacked(tree: &Tree<TensorType>) -> Option<(Dim, Tree<TensorType>)> {
    let mut sizes: Vec<Dim> = Vec::new();
    let one = tree.try_map(&mut |ty: &TensorType| {
        let (size, rest) = ty.shape.split_first()?;
        sizes.push(size.clone());
        Some(TensorType::new(ty.dtype, rest.iter().cloned()))
    })?;
    let size = sizes.first()?.clone();
    sizes.iter().all(|other| *other == size).then_some((size, one))
}

/// Names for a function's sizes, samples for the rest; `where` ties sizes together.
fn rigid<'w>(walk: &mut Walk<'w>, def: &'w FnDef, rank: usize) -> Bindings {
    let mut bindings = Bindings::open(&def.decl.generics, &def.sorts);
    for binding in &mut bindings.0 {
        let name = binding.name.clone();
        binding.value = Some(match binding.sort {
            GenericSort::Dim => Generic::Dim(Dim::var(walk.fresh_dim(&name))),
            GenericSort::Pack => Generic::Pack(
                (0..rank).map(|i| Dim::var(walk.fresh_dim(&format!("{name}.{i}")))).collect(),
            ),
            GenericSort::DType(DTypeBound::Int) => Generic::DType(DType::I64),
            GenericSort::DType(_) => Generic::DType(DType::F32),
            GenericSort::Tree => {
                let size = Dim::var(walk.fresh_dim(&format!("{name}.size")));
                Generic::Tree(Type::Tensor(TensorType::new(DType::F32, [size])))
            }
        });
    }
    let known = with_default_sizes(walk, def, &bindings);
    for constraint in &def.decl.constraints {
        let scope =
            super::types::TypeScope { world: walk.world, module: def.module, bindings: &known };
        let (left, right) = (scope.dim(&constraint.left), scope.dim(&constraint.right));
        let (Ok(left), Ok(right)) = (left, right) else { continue };
        let (name, value) = match constraint.relation {
            ast::Relation::Equal => match (&constraint.left.kind, &constraint.right.kind) {
                (_, ast::DimKind::Name(name)) => (name, left),
                (ast::DimKind::Name(name), _) => (name, right),
                _ => continue,
            },
            ast::Relation::Divides => match &constraint.right.kind {
                ast::DimKind::Name(name) if right.div_exact(&left).is_none() => {
                    let quotient = walk.fresh_dim(&format!("({right}/{left})"));
                    (name, left * Dim::var(quotient))
                }
                _ => continue,
            },
            ast::Relation::AtMost => continue,
        };
        if let Some(binding) = bindings.get_mut(name) {
            binding.value = Some(Generic::Dim(value));
        }
    }
    bindings
}

/// With the parameters that are known sizes, as they are by default.
fn with_default_sizes<'w>(walk: &mut Walk<'w>, def: &'w FnDef, bindings: &Bindings) -> Bindings {
    let mut known = bindings.clone();
    walk.push_frame(&def.decl.name.name, None, def.module, Rc::new(known.clone()), None);
    for param in def.decl.params.iter().filter(|p| p.is_static) {
        // A default that is wrong is reported where the body is walked.
        let value = param.default.as_ref().map(|default| walk.listening(|w| w.expr(default, None)));
        if let Some((Value::Static(Static::Dim(size)), _)) = value {
            known.add_size(&param.name.name, size);
        }
    }
    walk.pop_frame();
    known
}

/// Walks a function's body with inputs for its parameters.
fn instance(walk: &mut Walk<'_>, id: FnId, bindings: Bindings) -> Option<Function> {
    let def = walk.world.function(id);
    let errors = walk.diags.len();
    let generics = Rc::new(with_default_sizes(walk, def, &bindings));
    walk.push_frame(&def.decl.name.name, Some(id), def.module, generics, None);
    let walked = walk_body(walk, def);
    walk.pop_frame();
    let (params, result) = walked?;
    let errors = walk.diags.iter().skip(errors);
    if errors.into_iter().any(|d| d.severity == crate::diag::Severity::Error) {
        return None;
    }
    function(walk, def, params, &result)
}

/// The function whose body the graph of the walk is.
fn function<'w>(
    walk: &mut Walk<'w>,
    def: &FnDef,
    params: Vec<(String, Tree<TensorType>)>,
    result: &Value<'w>,
) -> Option<Function> {
    // What the caller gives back untouched is an output as well.
    let result = result.map_leaves::<()>(&mut |leaf| match leaf {
        Value::Tensor(at) => {
            let node = walk.node(*at);
            Ok(walk.tensor(node))
        }
        other => Ok(other.clone()),
    });
    let mut graph = std::mem::take(walk.level_mut()).graph;
    let (result, outputs) = tree_of(walk, &graph, &result.ok()?)?;
    for (name, node) in outputs {
        graph.add_output(name, node);
    }
    Some(Function {
        name: def.decl.name.name.clone(),
        params,
        result,
        dims: input_dims(&graph),
        graph: without_dead_nodes(&graph, true),
        span: def.span,
    })
}

/// The parameters with their types, and the body's value.
type Walked<'w> = (Vec<(String, Tree<TensorType>)>, Value<'w>);

fn walk_body<'w>(walk: &mut Walk<'w>, def: &'w FnDef) -> Option<Walked<'w>> {
    let mut params = Vec::new();
    let mut complete = true;
    for param in &def.decl.params {
        let name = &param.name.name;
        let value = match (param.is_static, &param.default, &param.ty) {
            (true, Some(default), _) => walk.expr(default, None),
            (false, _, Some(ty)) if !is_function(ty) => {
                let value = walk.declare(name, ty, &mut input);
                value.unwrap_or(Value::Error)
            }
            // What is not known cannot be walked: calls will.
            _ => {
                complete = false;
                Value::Error
            }
        };
        if !param.is_static && !value.is_error() {
            let tree = value_tree(walk, &value);
            params.extend(tree.map(|tree| (name.clone(), tree)));
        }
        walk.bind(name, value, param.name.span);
    }
    if !complete {
        return None;
    }
    let result = walk.returned(&def.decl.body, def.decl.ret.as_ref()).ok()?;
    Some((params, walk.strengthen(&result, def.decl.body.span).ok()?))
}

/// An input of the graph that knows where its sizes are written.
pub(crate) fn input(walk: &mut Walk<'_>, declared: Declared) -> Leaf {
    let origin = Origin::source(declared.span);
    let node = walk.level_mut().graph.add_input(declared.path, declared.ty, origin);
    for (axis, source) in declared.sources.into_iter().enumerate() {
        if let Some(source) = source {
            walk.set_origin(node, axis, SizeOrigin::Written(source));
        }
    }
    match walk.tensor(node) {
        Value::Tensor(leaf) => leaf,
        _ => unreachable!("a node is a tensor"),
    }
}

fn is_function(ty: &ast::Type) -> bool {
    match &ty.kind {
        ast::TypeKind::Fn { .. } => true,
        ast::TypeKind::Paren(inner) => is_function(inner),
        _ => false,
    }
}

/// The types of a value's leaves.
pub(crate) fn value_tree<'w>(walk: &Walk<'w>, value: &Value<'w>) -> Option<Tree<TensorType>> {
    Some(match value {
        Value::Tensor(leaf) => Tree::Leaf(walk.leaf_ty(*leaf)),
        Value::Unit => Tree::Tuple(Vec::new()),
        Value::Tuple(items) => {
            Tree::Tuple(items.iter().map(|v| value_tree(walk, v)).collect::<Option<_>>()?)
        }
        Value::Record(fields) => {
            let field = |(n, v): &(String, Value<'w>)| Some((n.clone(), value_tree(walk, v)?));
            Tree::Record { name: None, fields: fields.iter().map(field).collect::<Option<_>>()? }
        }
        Value::Struct(of, parts) => {
            let decl = &walk.world.structure(of.def).decl;
            let field = |(f, v): (&ast::StructField, &Value<'w>)| {
                Some((f.name.name.clone(), value_tree(walk, v)?))
            };
            let fields = decl.fields.iter().zip(parts.iter()).map(field).collect::<Option<_>>()?;
            Tree::Record { name: Some(decl.name.name.clone()), fields }
        }
        Value::Error
        | Value::Static(Static::Str(..))
        | Value::Function(_)
        | Value::Module(_)
        | Value::Static(_)
        | Value::List(_) => return None,
    })
}

/// The result's tree and the named outputs.
fn tree_of<'w>(
    walk: &Walk<'w>,
    graph: &crate::graph::Graph,
    value: &Value<'w>,
) -> Option<(Tree<TensorType>, Vec<(String, NodeId)>)> {
    fn nodes(value: &Value<'_>, out: &mut Vec<NodeId>) -> Option<()> {
        match value {
            Value::Tensor(Leaf::Node(_, node)) => out.push(*node),
            Value::Unit => {}
            tree if tree.is_tree() => {
                for part in tree.children() {
                    nodes(part, out)?;
                }
            }
            _ => return None,
        }
        Some(())
    }
    fn types<'w>(
        walk: &Walk<'w>,
        graph: &crate::graph::Graph,
        value: &Value<'w>,
    ) -> Option<Tree<TensorType>> {
        Some(match value {
            Value::Tensor(Leaf::Node(_, node)) => Tree::Leaf(graph.ty(*node).clone()),
            Value::Unit => Tree::Tuple(Vec::new()),
            Value::Tuple(items) => {
                Tree::Tuple(items.iter().map(|v| types(walk, graph, v)).collect::<Option<_>>()?)
            }
            Value::Record(fields) => Tree::Record {
                name: None,
                fields: fields
                    .iter()
                    .map(|(n, v)| Some((n.clone(), types(walk, graph, v)?)))
                    .collect::<Option<_>>()?,
            },
            Value::Struct(of, parts) => {
                let decl = &walk.world.structure(of.def).decl;
                Tree::Record {
                    name: Some(decl.name.name.clone()),
                    fields: decl
                        .fields
                        .iter()
                        .zip(parts.iter())
                        .map(|(f, v)| Some((f.name.name.clone(), types(walk, graph, v)?)))
                        .collect::<Option<_>>()?,
                }
            }
            _ => return None,
        })
    }
    let mut all = Vec::new();
    nodes(value, &mut all)?;
    let tree = types(walk, graph, value)?;
    let names: Vec<String> = match &tree {
        Tree::Leaf(_) => vec!["result".to_string()],
        tree => tree.leaves("").into_iter().map(|(name, _)| name).collect(),
    };
    Some((tree, names.into_iter().zip(all).collect()))
}

/// The sizes in the types of a graph's inputs, in order of appearance.
fn input_dims(graph: &crate::graph::Graph) -> Vec<DimVar> {
    let mut dims: Vec<DimVar> = Vec::new();
    for (_, input) in graph.inputs() {
        for var in graph.ty(*input).shape.iter().flat_map(Dim::vars) {
            if !dims.contains(&var) {
                dims.push(var);
            }
        }
    }
    dims
}

/// A function that nothing but the size of its result determines cannot be called from outside.
pub(crate) fn unknown_function(name: &str, known: &[&str]) -> Diagnostic {
    let message = format!("there is no function `{name}`");
    let diagnostic = Diagnostic::global(codes::UNKNOWN_NAME, message);
    match super::suggest::nearest(name, known.iter().copied()) {
        Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
        None => diagnostic,
    }
}
