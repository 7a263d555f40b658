//! Values of a written type: a function's parameters, what a file holds.
//!
//! Each leaf knows where each of its sizes is written: through a field's type to the struct's
//! argument.

use super::{Eval, Walk};
use crate::check::types::{Bindings, Generic, Mismatch, Type, TypeScope, is_stack, stack_args};
use crate::check::value::{Leaf, SizeSource, Value};
use crate::check::world::ModuleId;
use crate::diag::Span;
use crate::graph::TensorType;
use crate::syntax::ast;
use rustc_hash::FxHashMap;

/// A leaf to be made: its path, its type, and where each size is written.
pub(crate) struct Declared {
    pub(crate) path: String,
    pub(crate) ty: TensorType,
    pub(crate) sources: Vec<Option<SizeSource>>,
    /// The written type.
    pub(crate) span: Span,
}

/// What makes leaves.
pub(crate) type Maker<'a, 'w> = &'a mut dyn FnMut(&mut Walk<'w>, Declared) -> Leaf;

/// Where the generic names of a type are looked up.
struct Surroundings<'a> {
    module: ModuleId,
    bindings: &'a Bindings,
    /// Where the value of each generic name was written.
    sources: FxHashMap<String, SizeSource>,
}

impl<'w> Walk<'w> {
    /// A value of the type as written here, its leaves made by `make`.
    pub(crate) fn declare(
        &mut self,
        path: &str,
        ty: &ast::Type,
        make: Maker<'_, 'w>,
    ) -> Eval<Value<'w>> {
        let bindings = self.frame().generics.clone();
        let around = Surroundings {
            module: self.module(),
            bindings: &bindings,
            sources: FxHashMap::default(),
        };
        // Names that mean nothing are reported against the type as the user sees it.
        self.ground(ty)?;
        match self.declared(path, ty, &around, ty.span, make) {
            Ok(value) => Ok(value),
            Err(mismatch) => Err(self.bad_type(ty, mismatch)),
        }
    }

    fn declared(
        &mut self,
        path: &str,
        ty: &ast::Type,
        around: &Surroundings<'_>,
        span: Span,
        make: Maker<'_, 'w>,
    ) -> Result<Value<'w>, Mismatch> {
        let below = |name: &str| match path.is_empty() {
            true => name.to_string(),
            false => format!("{path}.{name}"),
        };
        match &ty.kind {
            ast::TypeKind::Paren(inner) => self.declared(path, inner, around, span, make),
            ast::TypeKind::Tuple(items) if items.is_empty() => Ok(Value::Unit),
            ast::TypeKind::Tuple(items) => {
                let mut parts = Vec::with_capacity(items.len());
                for (i, item) in items.iter().enumerate() {
                    parts.push(self.declared(&below(&i.to_string()), item, around, span, make)?);
                }
                Ok(Value::tuple(parts))
            }
            ast::TypeKind::Record(fields) => {
                let mut parts = Vec::with_capacity(fields.len());
                for field in fields {
                    let name = &field.name.name;
                    let value =
                        self.declared(&below(name), &field.ty, around, field.ty.span, make)?;
                    parts.push((name.clone(), value));
                }
                Ok(Value::Record(parts.into()))
            }
            ast::TypeKind::Fn { .. } => {
                Err(Mismatch::Malformed(ty.span, "a function cannot come from outside".to_string()))
            }
            ast::TypeKind::Named { path: head, args } if is_stack(head) => {
                let (size, one) = stack_args(args, ty.span)?;
                let axis = source_of(size, around, ty.span, path);
                let scope = TypeScope {
                    world: self.world,
                    module: around.module,
                    bindings: around.bindings,
                };
                let size = scope.axis_size(size)?;
                let mut stacked = |walk: &mut Self, leaf: Declared| {
                    let shape = std::iter::once(&size).chain(&leaf.ty.shape).cloned();
                    let ty = TensorType::new(leaf.ty.dtype, shape);
                    let sources = std::iter::once(Some(axis.clone())).chain(leaf.sources).collect();
                    make(walk, Declared { ty, sources, ..leaf })
                };
                let one = self.declared(path, &one, around, span, &mut stacked)?;
                Ok(one.stacked(&size))
            }
            ast::TypeKind::Named { args, .. } => {
                match self.try_ground(around.module, around.bindings, ty)? {
                    Type::Tensor(tensor) => {
                        let sources = self.axis_sources(path, args, tensor.rank(), around, ty.span);
                        let declared =
                            Declared { path: path.to_string(), ty: tensor, sources, span };
                        Ok(Value::Tensor(make(self, declared)))
                    }
                    Type::Struct(of) if of.lanes.is_empty() => {
                        let (def, generics) = (of.def, &of.args);
                        let decl = &self.world.structure(def).decl;
                        let sorts = &self.world.structure(def).sorts;
                        let mut inner = Bindings::open(&decl.generics, sorts);
                        let mut sources = FxHashMap::default();
                        for (i, binding) in inner.0.iter_mut().enumerate() {
                            binding.value = Some(generics[i].clone());
                            if let (Generic::Dim(_), Some(ast::GenericArg::Dim(dim))) =
                                (&generics[i], args.get(i))
                            {
                                let source = source_of(dim, around, ty.span, path);
                                sources.insert(binding.name.clone(), source);
                            }
                        }
                        let module = self.world.structure(def).module;
                        let around = Surroundings { module, bindings: &inner, sources };
                        let mut parts = Vec::with_capacity(decl.fields.len());
                        for field in &decl.fields {
                            let path = below(&field.name.name);
                            parts.push(self.declared(&path, &field.ty, &around, span, make)?);
                        }
                        Ok(Value::Struct(of, parts.into()))
                    }
                    other => Ok(self.tree_leaves(path, &other, span, make)),
                }
            }
        }
    }

    /// A value of a type that nobody wrote: what a tree parameter stands for.
    pub(crate) fn tree_leaves(
        &mut self,
        path: &str,
        ty: &Type,
        span: Span,
        make: Maker<'_, 'w>,
    ) -> Value<'w> {
        match ty {
            Type::Tensor(tensor) => {
                let sources = vec![None; tensor.rank()];
                let ty = tensor.clone();
                Value::Tensor(make(self, Declared { path: path.to_string(), ty, sources, span }))
            }
            Type::Tuple(items) => {
                let part = |(i, t): (usize, &Type)| {
                    self.tree_leaves(&format!("{path}.{i}"), t, span, make)
                };
                Value::tuple(items.iter().enumerate().map(part).collect())
            }
            Type::Record(fields) => {
                let part = |(n, t): &(String, Type)| {
                    (n.clone(), self.tree_leaves(&format!("{path}.{n}"), t, span, make))
                };
                Value::Record(fields.iter().map(part).collect())
            }
            Type::Struct(of) => {
                let structure = self.world.structure(of.def);
                let mut bindings = Bindings::open(&structure.decl.generics, &structure.sorts);
                for (binding, value) in bindings.0.iter_mut().zip(of.args.iter()) {
                    binding.value = Some(value.clone());
                }
                let part = |f: &ast::StructField| {
                    let ty = self.try_ground(structure.module, &bindings, &f.ty);
                    let ty = of.field(ty.unwrap_or(Type::Unit));
                    self.tree_leaves(&format!("{path}.{}", f.name.name), &ty, span, make)
                };
                let parts = structure.decl.fields.iter().map(part).collect();
                Value::Struct(of.clone(), parts)
            }
            Type::Unit | Type::Function | Type::Static(_) => Value::Unit,
        }
    }

    /// Where the size of each axis of a tensor type is written.
    fn axis_sources(
        &self,
        path: &str,
        args: &[ast::GenericArg],
        rank: usize,
        around: &Surroundings<'_>,
        ty: Span,
    ) -> Vec<Option<SizeSource>> {
        let mut sources = vec![None; rank];
        let packed = |arg: &ast::GenericArg| match arg {
            ast::GenericArg::Dim(ast::Dim { kind: ast::DimKind::Pack(name), .. }) => {
                match around.bindings.get(&name.name)?.value.as_ref()? {
                    Generic::Pack(dims) => Some(dims.len()),
                    _ => None,
                }
            }
            _ => None,
        };
        let mut axis = 0;
        for arg in args {
            match (packed(arg), arg) {
                (Some(width), _) => axis += width,
                (None, ast::GenericArg::Dim(dim)) => {
                    if let Some(source) = sources.get_mut(axis) {
                        *source = Some(source_of(dim, around, ty, path));
                    }
                    axis += 1;
                }
                (None, ast::GenericArg::Type(_)) => axis += 1,
            }
        }
        sources
    }
}

/// Where a size is written: what its name stands for, where that was written, or right here.
fn source_of(dim: &ast::Dim, around: &Surroundings<'_>, ty: Span, path: &str) -> SizeSource {
    if let ast::DimKind::Name(name) = &dim.kind
        && let Some(source) = around.sources.get(name)
    {
        return source.clone();
    }
    let owner = path.rsplit('.').next().map(ToString::to_string);
    SizeSource { span: dim.span, ty: Some(ty), owner }
}
