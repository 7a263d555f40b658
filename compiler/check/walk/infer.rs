//! Calls: what the generic parameters are.
//!
//! Declared types are matched against those of arguments in order. A weak argument (a literal)
//! waits until the others have had their say. What the arguments leave open, the type that the
//! context asks for may tell.

use super::call::with_sizes;
use super::{Eval, Walk};
use crate::check::types::{Bindings, Generic, Mismatch, Type, TypeScope, Unifier};
use crate::check::value::{Static, Value};
use crate::check::world::{FnDef, GenericSort, default_of};
use crate::diag::Span;
use crate::graph::{Dim, DimVar};
use crate::syntax::ast;
use std::rc::Rc;
use tensc_runtime::DType;

/// Finds the generic parameters of one call.
pub(super) struct Binder<'w> {
    pub(super) def: &'w FnDef,
    pub(super) bindings: Bindings,
    /// What the type that the context asks for would make them.
    pub(super) hints: Bindings,
    pub(super) deferred: Vec<(usize, ast::Dim, Dim, Vec<usize>, usize)>,
    pub(super) conflict: Option<(usize, Mismatch)>,
}

impl<'w> Binder<'w> {
    pub(super) fn hint(&mut self, walk: &Walk<'w>, want: Option<&Type>) {
        let (Some(want), Some(ret)) = (want, &self.def.decl.ret) else { return };
        let mut trial = self.hints.clone();
        let mut unifier = Unifier::new(walk.world, self.def.module, &mut trial);
        if unifier.unify(ret, want).is_ok() {
            self.hints = trial;
        }
    }

    pub(super) fn ground(&self, walk: &Walk<'w>, ty: &ast::Type) -> Result<Type, Mismatch> {
        walk.try_ground(self.def.module, &self.bindings.or(&self.hints), ty)
    }

    /// Matches an argument, unless it is weak and must wait.
    pub(super) fn strong(
        &mut self,
        walk: &mut Walk<'w>,
        i: usize,
        value: Value<'w>,
        at: Span,
    ) -> Eval<Value<'w>> {
        if value.is_weak() {
            return Ok(value);
        }
        let value = match value {
            Value::List(_) | Value::Tuple(_) => walk.strengthen(&value, at)?,
            other => other,
        };
        self.unify(walk, i, &value, at)?;
        Ok(value)
    }

    fn unify(&mut self, walk: &mut Walk<'w>, i: usize, value: &Value<'w>, at: Span) -> Eval<()> {
        let Some(ty) = &self.def.decl.params[i].ty else { return Ok(()) };
        let found = walk.ty(value);
        let mut unifier = Unifier::new(walk.world, self.def.module, &mut self.bindings);
        let result = unifier.unify(ty, &found);
        let deferred = std::mem::take(&mut unifier.deferred);
        self.deferred.extend(deferred.into_iter().map(|(d, a, p, x)| (i, d, a, p, x)));
        match result {
            Ok(()) => Ok(()),
            Err(mismatch @ Mismatch::Size { .. }) => {
                self.conflict.get_or_insert((i, mismatch));
                Ok(())
            }
            Err(mismatch) => {
                let what = self.what(i);
                let called = walk.library_call(self.def);
                Err(walk.does_not_fit((&what, called), ty, value, at, mismatch, &[]))
            }
        }
    }

    /// `` `x` of `dense` ``
    fn what(&self, i: usize) -> String {
        let decl = &self.def.decl;
        format!("`{}` of `{}`", decl.params[i].name.name, decl.name.name)
    }

    /// A parameter that was left out, evaluated where the function stands.
    pub(super) fn default(
        &mut self,
        walk: &mut Walk<'w>,
        param: &ast::Param,
        default: &'w ast::Expr,
    ) -> Eval<Value<'w>> {
        let generics = Rc::new(self.bindings.or(&self.hints));
        walk.push_frame(&self.def.decl.name.name, None, self.def.module, generics, None);
        let ty = param.ty.as_ref().and_then(|ty| self.ground(walk, ty).ok());
        let value = walk.expr(default, ty.as_ref());
        walk.pop_frame();
        match value {
            Value::Error => Err(walk.reported()),
            value => Ok(value),
        }
    }

    /// Gives a weak argument its type, now that the others have been matched.
    pub(super) fn weak(
        &mut self,
        walk: &mut Walk<'w>,
        i: usize,
        value: Value<'w>,
        at: Span,
    ) -> Eval<Value<'w>> {
        if !value.is_weak() {
            return Ok(value);
        }
        let Some(ty) = &self.def.decl.params[i].ty else { return Ok(value) };
        match self.ground(walk, ty) {
            Ok(ground @ Type::Tensor(_)) => {
                walk.coerce(&value, &ground, at, Some(ty.span).filter(|s| !walk.world.in_std(*s)))
            }
            Err(Mismatch::Open(_)) if self.is_open_scalar(ty) => Ok(value),
            _ => {
                let want = self.open_dtype(ty, &value);
                let node = walk.to_tensor(&value, want, at)?;
                let value = walk.tensor(node);
                self.unify(walk, i, &value, at)?;
                Ok(value)
            }
        }
    }

    /// Whether the type is a lone `T` whose element type nothing has told: the literal stays weak.
    fn is_open_scalar(&self, ty: &ast::Type) -> bool {
        let ast::TypeKind::Named { path, args } = &ty.kind else { return false };
        let binding = path.as_name().and_then(|name| self.bindings.get(&name.name));
        let open =
            binding.is_some_and(|b| b.value.is_none() && matches!(b.sort, GenericSort::DType(_)));
        open && args.is_empty()
    }

    /// The element type for a weak argument of a type that is open otherwise.
    fn open_dtype(&self, ty: &ast::Type, value: &Value<'w>) -> Option<DType> {
        let known = self.bindings.or(&self.hints).or_default(&self.def.decl.generics);
        written_dtype(ty, &known, value)
    }

    /// Whether a parameter whose sizes are open, or whose element type is, is one of floats.
    pub(super) fn takes_float(&self, param: &ast::Param, value: &Value<'w>) -> bool {
        let dtype = param.ty.as_ref().and_then(|ty| self.open_dtype(ty, value));
        dtype.is_some_and(DType::is_float)
    }

    /// The type of all floats in the arguments that are trees, where it is one: what scalars that
    /// go with the trees are of.
    fn tree_dtype(&self, walk: &Walk<'w>, values: &[(Value<'w>, Span)]) -> Option<DType> {
        let is_tree = |ty: &ast::Type| {
            let ast::TypeKind::Named { path, args } = &ty.kind else { return false };
            let binding = path.as_name().and_then(|name| self.bindings.get(&name.name));
            args.is_empty() && binding.is_some_and(|b| b.sort == GenericSort::Tree)
        };
        let mut floats = Vec::new();
        let params = self.def.decl.params.iter().zip(values);
        for (_, (value, _)) in params.filter(|(p, _)| p.ty.as_ref().is_some_and(is_tree)) {
            let _ = value.map_leaves::<()>(&mut |leaf| {
                if let Value::Tensor(at) = leaf {
                    floats.push(walk.leaf_ty(*at).dtype);
                }
                Ok(leaf.clone())
            });
        }
        floats.retain(|d| d.is_float());
        floats.dedup();
        match floats.as_slice() {
            &[one] => Some(one),
            _ => None,
        }
    }

    /// Solves sizes that waited for other names: `G * I`, once `I` is told. Where that has no
    /// solution, the argument is not of the declared type.
    fn settle(&mut self, walk: &Walk<'w>) {
        let waiting =
            self.deferred.iter().map(|(_, d, a, p, x)| (d.clone(), a.clone(), p.clone(), *x));
        let waiting = waiting.collect();
        let mut unifier = Unifier::new(walk.world, self.def.module, &mut self.bindings);
        unifier.deferred = waiting;
        unifier.settle();
        let known = self.bindings.or(&self.hints);
        let scope = |bindings| TypeScope { world: walk.world, module: self.def.module, bindings };
        // Of several, the one that is nearest to a solution.
        let open = |dim: &ast::Dim| matches!(scope(&known).dim(dim), Err(Mismatch::Open(_)));
        let left = self.deferred.iter().filter(|(_, dim, ..)| open(dim));
        let left = left.min_by_key(|(_, dim, ..)| open_names(dim, &known)).cloned();
        let Some((i, dim, found, path, axis)) = left else { return };
        // What is open is shown by its name.
        let mut named = known.clone();
        for binding in named.0.iter_mut().filter(|b| b.value.is_none()) {
            let var = DimVar { id: u32::MAX, name: binding.name.as_str().into() };
            binding.value = match binding.sort {
                GenericSort::Dim => Some(Generic::Dim(Dim::var(var))),
                _ => None,
            };
        }
        if let Ok(wanted) = scope(&named).dim(&dim) {
            let written = dim.span;
            self.bindings = named;
            self.deferred.clear();
            self.conflict = Some((i, Mismatch::Size { written, wanted, found, path, axis }));
        }
    }

    /// The bindings, all of them known.
    pub(super) fn finish(
        mut self,
        walk: &mut Walk<'w>,
        values: &[(Value<'w>, Span)],
        callee: Span,
    ) -> Eval<(Bindings, Option<(usize, Mismatch)>)> {
        self.settle(walk);
        let mut all = self.bindings.or(&self.hints);
        for (param, binding) in self.def.decl.generics.iter().zip(&mut all.0) {
            if let (None, sort @ GenericSort::DType(_)) = (&binding.value, binding.sort) {
                let shared = self.tree_dtype(walk, values).filter(|d| sort.accepts(*d));
                let weak = values.iter().map(|(v, _)| v).find(|v| v.is_weak());
                let literal = || default_dtype(sort, weak.unwrap_or(&Value::Unit));
                let dtype = shared.or_else(|| default_of(param)).unwrap_or_else(literal);
                binding.value = Some(Generic::DType(dtype));
            }
        }
        self.bindings = all;
        let name = &self.def.decl.name.name;
        walk.all_bound(&self.bindings, name, callee)?;
        for (i, dim, found, path, axis) in std::mem::take(&mut self.deferred) {
            let scope =
                TypeScope { world: walk.world, module: self.def.module, bindings: &self.bindings };
            let mismatch = match scope.dim(&dim) {
                Ok(wanted) if wanted == found => continue,
                Ok(wanted) => Mismatch::Size { written: dim.span, wanted, found, path, axis },
                Err(other) => other,
            };
            self.conflict.get_or_insert((i, mismatch));
        }
        if self.conflict.is_none() {
            let given = values.iter().map(|(value, _)| value);
            let known = with_sizes(self.bindings.clone(), self.def, given);
            walk.check_constraints(self.def, &known, callee)?;
        }
        Ok((self.bindings, self.conflict))
    }
}

/// How many names of a size as written are open.
fn open_names(dim: &ast::Dim, bindings: &Bindings) -> usize {
    match &dim.kind {
        ast::DimKind::Name(name) => {
            usize::from(bindings.get(name).is_some_and(|b| b.value.is_none()))
        }
        ast::DimKind::Int(_) | ast::DimKind::Pack(_) => 0,
        ast::DimKind::Neg(inner) | ast::DimKind::Paren(inner) => open_names(inner, bindings),
        ast::DimKind::Binary { left, right, .. } => {
            open_names(left, bindings) + open_names(right, bindings)
        }
    }
}

/// The element type of a type as written, whose sizes may be open; for a parameter that nothing has
/// told yet, that of the literal which stands for it.
pub(crate) fn written_dtype(
    ty: &ast::Type,
    bindings: &Bindings,
    value: &Value<'_>,
) -> Option<DType> {
    let ast::TypeKind::Named { path, .. } = &ty.kind else { return None };
    let name = &path.as_name()?.name;
    let Some(binding) = bindings.get(name) else { return DType::from_name(name) };
    match (&binding.value, binding.sort) {
        (Some(Generic::DType(dtype)), _) => Some(*dtype),
        (None, sort @ GenericSort::DType(_)) => Some(default_dtype(sort, value)),
        _ => None,
    }
}

/// The element type where nothing tells: that of a literal.
fn default_dtype(sort: GenericSort, value: &Value<'_>) -> DType {
    let literal = match value {
        v if v.has_flag() => DType::Bool,
        Value::Static(Static::Dim(_)) => DType::I64,
        v if v.has_float() => DType::F32,
        Value::List(_) => DType::I64,
        _ => DType::F32,
    };
    let fallback = [literal, DType::F32, DType::I64];
    fallback.into_iter().find(|d| sort.accepts(*d)).unwrap_or(DType::F32)
}
