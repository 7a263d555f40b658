//! What is known of declarations once all names are: what generic parameters range over, and which
//! structs have no end.

use super::super::types::is_stack;
use super::{DTypeBound, GenericSort, ModuleId, StructId, World, default_of};
use crate::diag::{Diagnostic, Diagnostics, codes};
use crate::syntax::ast;

/// Finds what each generic parameter without a bound ranges over: a tree where it stands for a
/// type, a size otherwise. A struct's answer may depend on another's, so this goes on until nothing
/// changes.
pub(super) fn find_sorts(world: &mut World) {
    for i in 0..world.structs.len() {
        world.structs[i].sorts = declared_sorts(&world.structs[i].decl.generics);
    }
    loop {
        let mut changes = Vec::new();
        for (i, def) in world.structs.iter().enumerate() {
            let types: Vec<&ast::Type> = def.decl.fields.iter().map(|f| &f.ty).collect();
            let sorts = used_sorts(world, def.module, &def.decl.generics, &def.sorts, &types);
            if sorts != def.sorts {
                changes.push((i, sorts));
            }
        }
        if changes.is_empty() {
            break;
        }
        for (i, sorts) in changes {
            world.structs[i].sorts = sorts;
        }
    }
    for i in 0..world.fns.len() {
        let def = &world.fns[i];
        let types = def.decl.params.iter().filter_map(|p| p.ty.as_ref()).chain(&def.decl.ret);
        let types: Vec<&ast::Type> = types.collect();
        let declared = declared_sorts(&def.decl.generics);
        let sorts = used_sorts(world, def.module, &def.decl.generics, &declared, &types);
        world.fns[i].sorts = sorts;
    }
}

fn declared_sorts(generics: &[ast::GenericParam]) -> Vec<GenericSort> {
    let sort = |g: &ast::GenericParam| match g.kind {
        ast::GenericKind::Plain => GenericSort::Dim,
        ast::GenericKind::Pack => GenericSort::Pack,
        ast::GenericKind::Float => GenericSort::DType(DTypeBound::Float),
        ast::GenericKind::Int => GenericSort::DType(DTypeBound::Int),
        ast::GenericKind::Number => GenericSort::DType(DTypeBound::Number),
        ast::GenericKind::DType => GenericSort::DType(DTypeBound::Any),
        ast::GenericKind::Tree => GenericSort::Tree,
    };
    generics.iter().map(sort).collect()
}

fn used_sorts(
    world: &World,
    module: ModuleId,
    generics: &[ast::GenericParam],
    known: &[GenericSort],
    types: &[&ast::Type],
) -> Vec<GenericSort> {
    let mut sorts = known.to_vec();
    let mut mark = |name: &str| {
        let found =
            generics.iter().position(|g| g.name.name == name && g.kind == ast::GenericKind::Plain);
        if let Some(i) = found {
            sorts[i] = GenericSort::Tree;
        }
    };
    types.iter().for_each(|ty| mark_trees(world, module, ty, &mut mark));
    sorts
}

/// Calls `mark` with each lone name that stands where a type must.
fn mark_trees(world: &World, module: ModuleId, ty: &ast::Type, mark: &mut dyn FnMut(&str)) {
    match &ty.kind {
        ast::TypeKind::Paren(inner) => mark_trees(world, module, inner, mark),
        ast::TypeKind::Tuple(items) => {
            items.iter().for_each(|t| mark_trees(world, module, t, mark));
        }
        ast::TypeKind::Record(fields) => {
            fields.iter().for_each(|f| mark_trees(world, module, &f.ty, mark));
        }
        ast::TypeKind::Fn { params, ret } => {
            params.iter().for_each(|t| mark_trees(world, module, t, mark));
            mark_trees(world, module, ret, mark);
        }
        ast::TypeKind::Named { path, args } => {
            if let (Some(name), true) = (path.as_name(), args.is_empty()) {
                mark(&name.name);
            }
            let def = world.resolve_struct(module, path).filter(|_| !is_stack(path));
            let stack = &[GenericSort::Dim, GenericSort::Tree][..];
            let none = if is_stack(path) { stack } else { &[] };
            let sorts = def.map_or(none, |d| &world.structure(d).sorts);
            for (i, arg) in args.iter().enumerate() {
                match arg {
                    ast::GenericArg::Type(ty) => mark_trees(world, module, ty, mark),
                    ast::GenericArg::Dim(ast::Dim { kind: ast::DimKind::Name(name), .. })
                        if sorts.get(i) == Some(&GenericSort::Tree) =>
                    {
                        mark(name);
                    }
                    ast::GenericArg::Dim(_) => {}
                }
            }
        }
    }
}

/// Reports defaults of generic parameters that cannot be: of what is no element type, of one that
/// the parameter does not stand for, or before a parameter that has none.
pub(super) fn has_bad_defaults(world: &World, diags: &mut Diagnostics) -> bool {
    let structs = world.structs.iter().map(|def| (&def.decl.generics, &def.sorts));
    let fns = world.fns.iter().map(|def| (&def.decl.generics, &def.sorts));
    let before = diags.len();
    for (generics, sorts) in structs.chain(fns) {
        let mut defaults = false;
        for (param, sort) in generics.iter().zip(sorts) {
            let Some(default) = &param.default else {
                if defaults {
                    let message = format!("`{}` has no default", param.name.name);
                    let error = Diagnostic::error(codes::BAD_TYPE, param.span, message);
                    diags.push(error.help("parameters with a default come last"));
                }
                continue;
            };
            defaults = true;
            if !default_of(param).is_some_and(|dtype| sort.accepts(dtype)) {
                let (name, ty) = (&param.name.name, &default.name);
                let message = format!("`{name}` cannot be `{ty}` by default");
                let error = Diagnostic::error(codes::BAD_TYPE, default.span, message);
                diags.push(error.help("a default is an element type: `T: float = f32`"));
            }
        }
    }
    diags.len() > before
}

/// Reports structs that contain themselves, if there are any: a value of one would never end.
pub(super) fn has_endless_structs(world: &World, diags: &mut Diagnostics) -> bool {
    fn contains(world: &World, from: StructId, target: StructId, seen: &mut Vec<StructId>) -> bool {
        let def = world.structure(from);
        let mut found = false;
        for field in &def.decl.fields {
            each_struct(world, def.module, &field.ty, &mut |inner| {
                if inner == target {
                    found = true;
                } else if !seen.contains(&inner) {
                    seen.push(inner);
                    found |= contains(world, inner, target, seen);
                }
            });
        }
        found
    }
    let mut any = false;
    for index in 0..world.structs.len() {
        let id = StructId::new(index);
        if contains(world, id, id, &mut Vec::new()) {
            any = true;
            let name = &world.structure(id).decl.name;
            let message = format!("the struct `{}` contains itself", name.name);
            diags.push(Diagnostic::error(codes::ENDLESS_STRUCT, name.span, message));
        }
    }
    any
}

fn each_struct(world: &World, module: ModuleId, ty: &ast::Type, f: &mut dyn FnMut(StructId)) {
    match &ty.kind {
        ast::TypeKind::Paren(inner) => each_struct(world, module, inner, f),
        ast::TypeKind::Tuple(items) => {
            items.iter().for_each(|t| each_struct(world, module, t, f));
        }
        ast::TypeKind::Record(fields) => {
            fields.iter().for_each(|field| each_struct(world, module, &field.ty, f));
        }
        ast::TypeKind::Fn { .. } => {}
        ast::TypeKind::Named { path, args } => {
            if let Some(def) = world.resolve_struct(module, path) {
                f(def);
            }
            for (i, arg) in args.iter().enumerate() {
                match arg {
                    ast::GenericArg::Type(ty) => each_struct(world, module, ty, f),
                    // A lone name may be that of a struct: `stack[3, Block]`.
                    ast::GenericArg::Dim(dim) if i == 1 && is_stack(path) => {
                        if let ast::DimKind::Name(name) = &dim.kind {
                            let name = ast::Ident { name: name.clone(), span: dim.span };
                            let path = ast::Path { span: dim.span, segments: vec![name] };
                            world.resolve_struct(module, &path).into_iter().for_each(&mut *f);
                        }
                    }
                    ast::GenericArg::Dim(_) => {}
                }
            }
        }
    }
}
