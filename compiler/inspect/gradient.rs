//! The backward function of a user's function, as source.
//!
//! The signature is the user's own, copied from the syntax; the body is printed from the derived
//! graph; the result is what `value_and_grad` gives: the value and a tree like the parameter. The
//! text stands on its own beside the function: it uses the same imports.

use super::source::{Head, Names, function as source_of};
use crate::autodiff::{NotDifferentiable, Traced, traced_gradient};
use crate::check::typed::{Function, Tree};
use crate::diag::{Diagnostic, SourceId, Sources, codes};
use crate::graph::{Builder, NodeId, TensorType};
use crate::syntax::ast::{File, FnDecl, GenericKind, GenericParam, ItemKind, NOWHERE};
use crate::syntax::{ast, parse};
use rustc_hash::FxHashSet;

/// The backward function of `function` by the parameters named in `wrt`, the first where there are
/// none: a function item that stands in the same file.
///
/// # Errors
/// Where a parameter does not exist or holds no floats, the result is not one float, or the result
/// has no derivative.
pub fn gradient_of(
    sources: &Sources,
    function: &Function,
    wrt: &[String],
) -> Result<String, Diagnostic> {
    scalar_result(function)?;
    let files = Files::of(sources, function);
    let chosen = chosen(function, wrt)?;
    let inputs = differentiated(function, &chosen, &files)?;
    let (Traced { mut graph, cotangents }, value) = derive(function, &inputs)?;
    let outputs: Vec<NodeId> = graph.outputs()[1..].iter().map(|(_, node)| *node).collect();
    let mut gradients = outputs.into_iter();
    let mut trees = Vec::new();
    let mut named = Vec::new();
    for (name, tree) in chosen.iter().map(|&i| &function.params[i]) {
        let mut member = |path: &str, ty: &TensorType| {
            let number = input_number(function, path);
            if !inputs.contains(&number) {
                let b = Builder::new(&mut graph);
                return b.full(0.0, ty);
            }
            let node = gradients.next().expect("one gradient for each chosen input");
            named.push((node, path.to_string()));
            node
        };
        trees.push(map_tree(tree, name, &mut member));
    }
    drop(gradients);
    let by = match trees.len() {
        1 => trees.swap_remove(0),
        _ => Tree::Tuple(trees),
    };
    let result = Tree::Tuple(vec![Tree::Leaf(value), by]);
    let names = Names::from_sources(sources, &graph).with_cotangents(value, &cotangents, named);
    Ok(source_of(head(function, &chosen, &files), &graph, &result, &names))
}

/// The derived graph, and its node of the value.
fn derive(function: &Function, inputs: &[usize]) -> Result<(Traced, NodeId), Diagnostic> {
    let refused = |NotDifferentiable { node, reason, help }: NotDifferentiable| {
        let span = node.and_then(|node| function.graph.node(node).origin.span);
        let message = format!("`{}` has no gradient: {reason}", function.name);
        let span = span.unwrap_or(function.span);
        Diagnostic::error(codes::NOT_DIFFERENTIABLE, span, message).help(help)
    };
    let traced = traced_gradient(&function.graph, 0, inputs).map_err(refused)?;
    let value = traced.graph.outputs()[0].1;
    Ok((traced, value))
}

fn scalar_result(function: &Function) -> Result<(), Diagnostic> {
    let found = match &function.result {
        Tree::Leaf(ty) if ty.rank() == 0 && ty.dtype.is_float() => return Ok(()),
        Tree::Leaf(ty) => ty.to_string(),
        Tree::Tuple(members) => format!("a tuple of {}", members.len()),
        Tree::Record { name, .. } => name.clone().unwrap_or_else(|| "a record".to_string()),
    };
    let message = format!("`{}` gives {found}; a gradient is that of one float", function.name);
    let diagnostic = Diagnostic::error(codes::GRAD_RESULT, function.span, message);
    Err(diagnostic.help("reduce it to a scalar first, with mean or sum"))
}

/// Positions of the parameters to differentiate by, in order of declaration.
fn chosen(function: &Function, wrt: &[String]) -> Result<Vec<usize>, Diagnostic> {
    if function.params.is_empty() {
        let message = format!("`{}` has no parameter to differentiate by", function.name);
        return Err(Diagnostic::error(codes::GRAD_ARGUMENT, function.span, message));
    }
    if wrt.is_empty() {
        return Ok(vec![0]);
    }
    let find = |wanted: &String| {
        let position = function.params.iter().position(|(name, _)| name == wanted);
        position.ok_or_else(|| {
            let message = format!("`{}` has no parameter `{wanted}`", function.name);
            let names: Vec<String> =
                function.params.iter().map(|(name, _)| format!("`{name}`")).collect();
            Diagnostic::error(codes::GRAD_ARGUMENT, function.span, message)
                .help(format!("it has {}", names.join(", ")))
        })
    };
    let mut chosen = wrt.iter().map(find).collect::<Result<Vec<usize>, Diagnostic>>()?;
    chosen.sort_unstable();
    chosen.dedup();
    Ok(chosen)
}

/// Numbers of the graph's inputs that have a gradient: the floats of the chosen parameters,
/// `frozen` fields apart.
fn differentiated(
    function: &Function,
    chosen: &[usize],
    files: &Files,
) -> Result<Vec<usize>, Diagnostic> {
    let mut inputs = Vec::new();
    for (name, tree) in chosen.iter().map(|&i| &function.params[i]) {
        let before = inputs.len();
        files.moving_leaves(tree, name, &mut |path, ty| {
            if ty.dtype.is_float() {
                inputs.push(input_number(function, path));
            }
        });
        if inputs.len() == before {
            let found = match tree {
                Tree::Leaf(ty) => ty.to_string(),
                Tree::Tuple(_) | Tree::Record { .. } => "without floats".to_string(),
            };
            let message = format!("there is no derivative by `{name}`, which is {found}");
            let diagnostic = Diagnostic::error(codes::GRAD_ARGUMENT, function.span, message);
            let has_floats =
                |tree: &Tree<TensorType>| tree.leaves("").iter().any(|(_, ty)| ty.dtype.is_float());
            let others: Vec<&str> = (function.params.iter())
                .filter_map(|(name, tree)| has_floats(tree).then_some(name.as_str()))
                .collect();
            let help = match others.as_slice() {
                [] => "only floats have derivatives, and no parameter holds any".to_string(),
                others => {
                    format!("only floats have derivatives: try --wrt {}", others.join(" or "))
                }
            };
            return Err(diagnostic.help(help));
        }
    }
    Ok(inputs)
}

fn input_number(function: &Function, path: &str) -> usize {
    let number = function.graph.inputs().iter().position(|(name, _)| name == path);
    number.unwrap_or_else(|| panic!("`{path}` is an input of the graph of `{}`", function.name))
}

/// The tree with each leaf replaced, in order.
fn map_tree<T, U>(tree: &Tree<T>, path: &str, f: &mut dyn FnMut(&str, &T) -> U) -> Tree<U> {
    match tree {
        Tree::Leaf(leaf) => Tree::Leaf(f(path, leaf)),
        Tree::Tuple(members) => {
            let members = members.iter().enumerate();
            Tree::Tuple(members.map(|(i, m)| map_tree(m, &format!("{path}.{i}"), f)).collect())
        }
        Tree::Record { name, fields } => {
            let field =
                |(n, t): &(String, Tree<T>)| (n.clone(), map_tree(t, &format!("{path}.{n}"), f));
            Tree::Record { name: name.clone(), fields: fields.iter().map(field).collect() }
        }
    }
}

/// The signature: the user's, but for the name and the result.
fn head(function: &Function, chosen: &[usize], files: &Files) -> Head {
    let decl = files.declaration(function).filter(|decl| {
        // An instance of a function over types has types that its declaration does not.
        decl.generics.iter().all(|g| g.kind == GenericKind::Plain)
            && decl.params.iter().all(|p| !p.is_static)
    });
    let own: Vec<ast::Param> =
        function.params.iter().map(|(name, tree)| param(name, tree)).collect();
    let params = decl.map_or(own, |decl| decl.params.clone());
    let generics = match decl {
        Some(decl) => decl.generics.clone(),
        None => function.dims.iter().map(|dim| generic(&dim.name)).collect(),
    };
    let constraints = decl.map_or_else(Vec::new, |decl| decl.constraints.clone());
    let ty = |i: usize| params[i].ty.clone().expect("a function's parameters have types");
    let by = match chosen {
        [one] => ty(*one),
        several => super::source::tuple_type(several.iter().map(|&i| ty(i)).collect()),
    };
    let value = super::source::tree_type(&function.result);
    let names: Vec<String> =
        chosen.iter().map(|&i| format!("`{}`", function.params[i].0)).collect();
    Head {
        docs: vec![format!("`{}` and its gradient by {}.", function.name, names.join(" and "))],
        name: files.free_name(&format!("{}_grad", function.name)),
        generics,
        params,
        ret: super::source::tuple_type(vec![value, by]),
        constraints,
    }
}

fn param(name: &str, tree: &Tree<TensorType>) -> ast::Param {
    let name = ast::Ident { name: name.to_string(), span: NOWHERE };
    let ty = Some(super::source::tree_type(tree));
    ast::Param { is_static: false, name, ty, default: None, span: NOWHERE }
}

fn generic(name: &str) -> GenericParam {
    let name = ast::Ident { name: name.to_string(), span: NOWHERE };
    GenericParam { name, kind: GenericKind::Plain, default: None, span: NOWHERE }
}

/// The syntax of a program's sources.
struct Files {
    files: Vec<File>,
}

impl Files {
    /// The function's own file first, then the others.
    fn of(sources: &Sources, function: &Function) -> Files {
        let own = function.span.source;
        let others = (0..).map(SourceId).take_while(|id| sources.find(*id).is_some());
        let ids = std::iter::once(own).chain(others.filter(|id| *id != own));
        let file = |id: SourceId| Some(parse(id, &sources.find(id)?.text).0);
        Files { files: ids.filter_map(file).collect() }
    }

    fn declaration(&self, function: &Function) -> Option<&FnDecl> {
        let items = self.files.iter().flat_map(|file| &file.items);
        items.filter(|item| item.span == function.span).find_map(|item| match &item.kind {
            ItemKind::Fn(decl) => Some(decl),
            _ => None,
        })
    }

    /// A name that no function of the first file has.
    fn free_name(&self, name: &str) -> String {
        let items = self.files.first().map_or(&[][..], |file| &file.items);
        let taken: FxHashSet<&str> = items
            .iter()
            .filter_map(|item| match &item.kind {
                ItemKind::Fn(decl) => Some(decl.name.name.as_str()),
                _ => None,
            })
            .collect();
        let mut free = name.to_string();
        let mut number = 2;
        while taken.contains(free.as_str()) {
            free = format!("{name}_{number}");
            number += 1;
        }
        free
    }

    /// The leaves that are not in `frozen` fields, with their paths.
    fn moving_leaves(
        &self,
        tree: &Tree<TensorType>,
        path: &str,
        f: &mut dyn FnMut(&str, &TensorType),
    ) {
        match tree {
            Tree::Leaf(ty) => f(path, ty),
            Tree::Tuple(members) => {
                for (i, member) in members.iter().enumerate() {
                    self.moving_leaves(member, &format!("{path}.{i}"), f);
                }
            }
            Tree::Record { name, fields } => {
                for (field, member) in fields {
                    if !self.is_frozen(name.as_deref(), field) {
                        self.moving_leaves(member, &format!("{path}.{field}"), f);
                    }
                }
            }
        }
    }

    fn is_frozen(&self, structure: Option<&str>, field: &str) -> bool {
        let Some(structure) = structure else { return false };
        let decls = self.files.iter().flat_map(|file| &file.items);
        let mut fields = decls
            .filter_map(|item| match &item.kind {
                ItemKind::Struct(decl) if decl.name.name == structure => Some(decl),
                _ => None,
            })
            .flat_map(|decl| &decl.fields);
        fields.any(|f| f.name.name == field && f.frozen)
    }
}
