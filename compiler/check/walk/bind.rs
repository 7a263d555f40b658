//! Calls, first half: which argument belongs to which parameter, and what the generic parameters
//! are.
//!
//! Arguments are evaluated and matched in order. A weak one (a literal) waits until the others have
//! had their say. What the arguments leave open, the type that the context asks for may tell.

use super::expr::quoted;
use super::{Eval, Walk};
use crate::check::builtin::{Args, Builtin};
use crate::check::suggest::nearest;
use crate::check::types::{Bindings, Generic, Mismatch, Type, Unifier};
use crate::check::value::{Callable, Lambda, Static, Transform, Value};
use crate::check::world::{FnDef, FnId, GenericSort};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::Dim;
use crate::syntax::ast;
use std::rc::Rc;
use tensc_runtime::DType;

/// A call whose arguments are values: what remains is to walk the body.
pub(crate) enum Bound<'w> {
    Fn(FnCall<'w>),
    Lambda(Lambda<'w>, Vec<(Value<'w>, Span)>, Span),
    Builtin(&'static Builtin, Args<'w>),
    Convert(DType, (Value<'w>, Span), Span),
    Transform(Transform, Vec<ast::Ident>, Box<Bound<'w>>, Span),
}

/// A call of a named function.
pub(crate) struct FnCall<'w> {
    pub(crate) id: FnId,
    pub(crate) bindings: Bindings,
    /// One for each parameter.
    pub(crate) values: Vec<(Value<'w>, Span)>,
    pub(crate) callee: Span,
    /// An argument whose sizes are not those declared: reported with what it breaks in the body.
    pub(crate) conflict: Option<(usize, Mismatch)>,
}

/// A parameter as far as it matters to who calls: its name, and whether it may be left out.
pub(crate) struct Slot<'a> {
    pub(crate) name: &'a str,
    pub(crate) optional: bool,
}

impl<'w> Walk<'w> {
    /// Evaluates and matches the arguments of a call.
    pub(crate) fn bind_call(
        &mut self,
        function: &Callable<'w>,
        callee: Span,
        args: &'w [ast::Arg],
        call: Span,
        want: Option<&Type>,
    ) -> Eval<Bound<'w>> {
        match function {
            Callable::Fn(id, generics) => {
                Ok(Bound::Fn(self.bind_fn(*id, generics, callee, args, want)?))
            }
            Callable::Builtin(builtin) => {
                let slots: Vec<Slot<'_>> = builtin.slots().collect();
                let assigned = self.assign(builtin.name, &slots, args, callee)?;
                let mut failed = false;
                let values = assigned
                    .into_iter()
                    .map(|arg| {
                        let value = self.expr(&arg?.value, None);
                        failed |= value.is_error();
                        Some((value, arg?.value.span))
                    })
                    .collect();
                if failed {
                    return Err(self.reported());
                }
                Ok(Bound::Builtin(builtin, Args { values, span: call, want: want.cloned() }))
            }
            Callable::Convert(dtype) => {
                let slots = [Slot { name: "x", optional: false }];
                let assigned = self.assign(dtype.name(), &slots, args, callee)?;
                let arg = assigned[0].expect("it must be given");
                let value = self.expr(&arg.value, None);
                if value.is_error() {
                    return Err(self.reported());
                }
                Ok(Bound::Convert(*dtype, (value, arg.value.span), call))
            }
            Callable::Transform(transform, inner, wrt) => {
                let inner = self.bind_call(inner, callee, args, call, None)?;
                Ok(Bound::Transform(*transform, wrt.clone(), Box::new(inner), call))
            }
            Callable::Lambda(lambda) => {
                let slot = |p: &'w ast::Param| Slot { name: &p.name.name, optional: false };
                let slots: Vec<Slot<'_>> = lambda.params.iter().map(slot).collect();
                let assigned = self.assign("the function", &slots, args, callee)?;
                let mut values = Vec::with_capacity(args.len());
                for arg in assigned {
                    let arg = arg.expect("every parameter is given");
                    let value = self.expr(&arg.value, None);
                    if value.is_error() {
                        return Err(self.reported());
                    }
                    values.push((value, arg.value.span));
                }
                Ok(Bound::Lambda(lambda.clone(), values, callee))
            }
        }
    }

    /// The argument of each parameter; reports those that are too many, unknown, repeated or
    /// missing.
    pub(crate) fn assign(
        &mut self,
        name: &str,
        slots: &[Slot<'_>],
        args: &'w [ast::Arg],
        callee: Span,
    ) -> Eval<Vec<Option<&'w ast::Arg>>> {
        let mut assigned: Vec<Option<&'w ast::Arg>> = vec![None; slots.len()];
        let mut failed = None;
        for (position, arg) in args.iter().enumerate() {
            let i = match &arg.name {
                None if position < slots.len() => position,
                None => {
                    let message = match slots.len() {
                        0 => format!("`{name}` takes no arguments, found {}", args.len()),
                        1 => format!("`{name}` takes 1 argument, found {}", args.len()),
                        n => format!("`{name}` takes {n} arguments, found {}", args.len()),
                    };
                    failed = Some(self.error(codes::BAD_ARGUMENTS, arg.span, message));
                    break;
                }
                Some(given) => match slots.iter().position(|s| s.name == given.name) {
                    Some(i) => i,
                    None => {
                        let names: Vec<&str> = slots.iter().map(|s| s.name).collect();
                        let message = format!("`{name}` has no parameter `{}`", given.name);
                        let code = codes::BAD_ARGUMENTS;
                        let diagnostic = Diagnostic::error(code, given.span, message);
                        let help = match nearest(&given.name, names.iter().copied()) {
                            Some(near) => format!("did you mean `{near}`?"),
                            None => format!("it has {}", quoted(&names)),
                        };
                        failed = Some(self.report(diagnostic.help(help)));
                        continue;
                    }
                },
            };
            if let Some(first) = assigned[i] {
                let message = format!("the argument `{}` is given twice", slots[i].name);
                let diagnostic = Diagnostic::error(codes::BAD_ARGUMENTS, arg.span, message);
                failed = Some(self.report(diagnostic.label(first.span, "first here")));
            }
            assigned[i] = Some(arg);
        }
        let missing: Vec<&str> = slots
            .iter()
            .zip(&assigned)
            .filter(|(slot, arg)| arg.is_none() && !slot.optional)
            .map(|(slot, _)| slot.name)
            .collect();
        if failed.is_none() && !missing.is_empty() {
            let message = format!("`{name}` also needs {}", quoted(&missing));
            failed = Some(self.error(codes::BAD_ARGUMENTS, callee, message));
        }
        match failed {
            None => Ok(assigned),
            Some(reported) => {
                // The arguments may have mistakes of their own.
                for arg in args {
                    self.expr(&arg.value, None);
                }
                Err(reported)
            }
        }
    }

    fn bind_fn(
        &mut self,
        id: FnId,
        generics: &[Generic],
        callee: Span,
        args: &'w [ast::Arg],
        want: Option<&Type>,
    ) -> Eval<FnCall<'w>> {
        let def = self.world.function(id);
        let params = &def.decl.params;
        let slot = |p: &'w ast::Param| Slot { name: &p.name.name, optional: p.default.is_some() };
        let slots: Vec<Slot<'_>> = params.iter().map(slot).collect();
        let assigned = self.assign(&def.decl.name.name, &slots, args, callee)?;
        let mut binder = Binder {
            def,
            bindings: Bindings::open(&def.decl.generics, &def.sorts),
            hints: Bindings::open(&def.decl.generics, &def.sorts),
            deferred: Vec::new(),
            conflict: None,
        };
        for (binding, given) in binder.bindings.0.iter_mut().zip(generics) {
            binding.value = Some(given.clone());
        }
        binder.hint(self, want);
        let mut values: Vec<Option<(Value<'w>, Span)>> = Vec::with_capacity(params.len());
        let mut failed = false;
        for (i, (param, arg)) in params.iter().zip(&assigned).enumerate() {
            let Some(arg) = arg else {
                values.push(None);
                continue;
            };
            let ty = param.ty.as_ref().and_then(|ty| binder.ground(self, ty).ok());
            let value = self.expr(&arg.value, ty.as_ref());
            let at = arg.value.span;
            let value = match value.is_error() {
                true => Err(self.reported()),
                false if param.is_static => self.static_argument(param, value, at),
                false => binder.strong(self, i, value, at),
            };
            failed |= value.is_err();
            values.push(Some((value.unwrap_or(Value::Error), at)));
        }
        if failed {
            return Err(self.reported());
        }
        for (i, param) in params.iter().enumerate() {
            let (value, at) = match values[i].take() {
                Some(given) => given,
                None => {
                    let default = param.default.as_ref().expect("only optional ones are left out");
                    let value = binder.default(self, param, default)?;
                    (value, callee)
                }
            };
            let value = match param.is_static {
                true => value,
                false => binder.weak(self, i, value, at)?,
            };
            values[i] = Some((value, at));
        }
        let values: Vec<(Value<'w>, Span)> = values.into_iter().flatten().collect();
        let (bindings, conflict) = binder.finish(self, &values, callee)?;
        Ok(FnCall { id, bindings, values, callee, conflict })
    }

    /// An argument that must be known.
    pub(crate) fn static_argument(
        &mut self,
        param: &ast::Param,
        value: Value<'w>,
        at: Span,
    ) -> Eval<Value<'w>> {
        fn known(value: &Value<'_>) -> bool {
            match value {
                Value::Static(_) | Value::Unit | Value::Function(_) => true,
                Value::List(items) => items.iter().all(|(v, _)| known(v)),
                Value::Tuple(items) => items.iter().all(known),
                _ => false,
            }
        }
        if !known(&value) {
            let message = format!("`{}` must be known to the compiler", param.name.name);
            let diagnostic = Diagnostic::error(codes::NOT_STATIC, at, message);
            return Err(self.report(diagnostic.here("this is computed at run time")));
        }
        let wanted = param.ty.as_ref().and_then(|ty| match &ty.kind {
            ast::TypeKind::Named { path, args } if args.is_empty() => path.as_name(),
            _ => None,
        });
        let dtype = wanted.and_then(|name| DType::from_name(&name.name));
        let fits = match (dtype, &value) {
            (None, _) | (Some(_), Value::Unit) => true,
            (Some(DType::Bool), Value::Static(Static::Bool(_))) => true,
            (Some(d), Value::Static(Static::Dim(_))) => d != DType::Bool,
            (Some(d), Value::Static(Static::Float(..))) => d.is_float(),
            // A static integer may be a list of axes where the function hands it on.
            (Some(d), Value::List(_)) => d.is_int(),
            _ => false,
        };
        if fits {
            return Ok(value);
        }
        let what = dtype.map_or("a known value", |d| d.name());
        Err(self.expected(what, &value, at))
    }
}

/// Finds the generic parameters of one call.
struct Binder<'w> {
    def: &'w FnDef,
    bindings: Bindings,
    /// What the type that the context asks for would make them.
    hints: Bindings,
    deferred: Vec<(usize, ast::Dim, Dim, Vec<usize>, usize)>,
    conflict: Option<(usize, Mismatch)>,
}

impl<'w> Binder<'w> {
    fn hint(&mut self, walk: &Walk<'w>, want: Option<&Type>) {
        let (Some(want), Some(ret)) = (want, &self.def.decl.ret) else { return };
        let mut trial = self.hints.clone();
        let mut unifier = Unifier::new(walk.world, self.def.module, &mut trial);
        if unifier.unify(ret, want).is_ok() {
            self.hints = trial;
        }
    }

    fn ground(&self, walk: &Walk<'w>, ty: &ast::Type) -> Result<Type, Mismatch> {
        walk.try_ground(self.def.module, &self.bindings.or(&self.hints), ty)
    }

    /// Matches an argument, unless it is weak and must wait.
    fn strong(
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
                Err(walk.does_not_fit(&what, ty, value, at, mismatch, &[]))
            }
        }
    }

    /// `` `x` of `dense` ``
    fn what(&self, i: usize) -> String {
        let decl = &self.def.decl;
        format!("`{}` of `{}`", decl.params[i].name.name, decl.name.name)
    }

    /// A parameter that was left out, evaluated where the function stands.
    fn default(
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
    fn weak(
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
        written_dtype(ty, &self.bindings.or(&self.hints), value)
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

    /// The bindings, all of them known.
    fn finish(
        mut self,
        walk: &mut Walk<'w>,
        values: &[(Value<'w>, Span)],
        callee: Span,
    ) -> Eval<(Bindings, Option<(usize, Mismatch)>)> {
        let mut all = self.bindings.or(&self.hints);
        for binding in &mut all.0 {
            if let (None, sort @ GenericSort::DType(_)) = (&binding.value, binding.sort) {
                let shared = self.tree_dtype(walk, values).filter(|d| sort.accepts(*d));
                let weak = values.iter().map(|(v, _)| v).find(|v| v.is_weak());
                let literal = || default_dtype(sort, weak.unwrap_or(&Value::Unit));
                let dtype = shared.unwrap_or_else(literal);
                binding.value = Some(Generic::DType(dtype));
            }
        }
        self.bindings = all;
        let name = &self.def.decl.name.name;
        walk.all_bound(&self.bindings, name, callee)?;
        for (i, dim, found, path, axis) in std::mem::take(&mut self.deferred) {
            let scope = crate::check::types::TypeScope {
                world: walk.world,
                module: self.def.module,
                bindings: &self.bindings,
            };
            let mismatch = match scope.dim(&dim) {
                Ok(wanted) if wanted == found => continue,
                Ok(wanted) => Mismatch::Size { written: dim.span, wanted, found, path, axis },
                Err(other) => other,
            };
            self.conflict.get_or_insert((i, mismatch));
        }
        if self.conflict.is_none() {
            walk.check_constraints(self.def, &self.bindings, callee)?;
        }
        Ok((self.bindings, self.conflict))
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
    fn float(value: &Value<'_>) -> bool {
        match value {
            Value::Static(Static::Float(..)) => true,
            Value::List(items) => items.iter().any(|(v, _)| float(v)),
            _ => false,
        }
    }
    let literal = match value {
        Value::Static(Static::Bool(_)) => DType::Bool,
        Value::Static(Static::Dim(_)) => DType::I64,
        v if float(v) => DType::F32,
        Value::List(_) => DType::I64,
        _ => DType::F32,
    };
    let fallback = [literal, DType::F32, DType::I64];
    fallback.into_iter().find(|d| sort.accepts(*d)).unwrap_or(DType::F32)
}

impl<'w> Bound<'w> {
    /// The arguments with their parameters' names, to be replaced by what a transformation needs.
    pub(crate) fn args_mut(&mut self, walk: &Walk<'w>) -> Vec<(String, &mut (Value<'w>, Span))> {
        match self {
            Bound::Fn(call) => {
                let params = &walk.world.function(call.id).decl.params;
                let named = params.iter().zip(&mut call.values);
                named.map(|(p, v)| (p.name.name.clone(), v)).collect()
            }
            Bound::Lambda(lambda, values, _) => {
                let named = lambda.params.iter().zip(values);
                named.map(|(p, v)| (p.name.name.clone(), v)).collect()
            }
            Bound::Builtin(builtin, args) => builtin
                .slots()
                .zip(&mut args.values)
                .filter_map(|(slot, v)| Some((slot.name.to_string(), v.as_mut()?)))
                .collect(),
            Bound::Convert(_, value, _) => vec![("x".to_string(), value)],
            Bound::Transform(_, _, inner, _) => inner.args_mut(walk),
        }
    }
}
