//! Calls, first half: which argument belongs to which parameter.
//!
//! Arguments are evaluated and matched in order; `infer` finds the generic parameters on the way.

use super::expr::quoted;
use super::infer::Binder;
use super::transform::Transformed;
use super::{Eval, Walk};
use crate::check::builtin::{Args, Builtin};
use crate::check::suggest::{self, nearest};
use crate::check::types::{Bindings, Generic, Mismatch, Type};
use crate::check::value::{Callable, Lambda, Static, Value};
use crate::check::world::FnId;
use crate::diag::{Diagnostic, Span, codes};
use crate::syntax::ast;
use tensc_runtime::DType;

/// A call whose arguments are values: what remains is to walk the body.
pub(crate) enum Bound<'w> {
    Fn(FnCall<'w>),
    Lambda(Lambda<'w>, Vec<(Value<'w>, Span)>, Span),
    Builtin(&'static Builtin, Args<'w>),
    Convert(DType, (Value<'w>, Span), Span),
    Transformed(Box<Transformed<'w>>),
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

/// An argument of a call.
#[derive(Clone)]
pub(crate) struct Argument<'w> {
    /// The parameter that it is for, where it says so.
    pub(crate) name: Option<ast::Ident>,
    pub(crate) given: Given<'w>,
    /// The value.
    pub(crate) span: Span,
    /// The value with its name.
    whole: Span,
}

/// What an argument is.
#[derive(Clone)]
pub(crate) enum Given<'w> {
    /// Written in the source: evaluated when the type that is asked for is known.
    Written(&'w ast::Expr),
    /// A value that a transformation made.
    Made(Value<'w>),
}

impl<'w> Argument<'w> {
    pub(crate) fn written(arg: &'w ast::Arg) -> Argument<'w> {
        let given = Given::Written(&arg.value);
        Argument { name: arg.name.clone(), given, span: arg.value.span, whole: arg.span }
    }

    /// A value from outside for the parameter of this name.
    pub(crate) fn named(name: &str, value: Value<'w>, span: Span) -> Argument<'w> {
        let name = ast::Ident { name: name.to_string(), span };
        Argument { name: Some(name), ..Argument::made(value, span) }
    }

    pub(crate) fn made(value: Value<'w>, span: Span) -> Argument<'w> {
        Argument { name: None, given: Given::Made(value), span, whole: span }
    }
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
        args: &[Argument<'w>],
        call: Span,
        want: Option<&Type>,
    ) -> Eval<Bound<'w>> {
        match function {
            Callable::Fn(id, generics) => {
                Ok(Bound::Fn(self.bind_fn(*id, generics, callee, args, want)?))
            }
            Callable::Builtin(builtin) => {
                let slots: Vec<Slot<'_>> = builtin.slots().collect();
                let assigned = self.assigned(builtin.name, &slots, args, callee)?;
                let mut values = self.values_of(&assigned, args)?;
                let written = |i: usize| match &args[i].given {
                    Given::Written(expr) => Some(*expr),
                    Given::Made(_) => None,
                };
                let exprs: Vec<_> = assigned.iter().map(|at| at.and_then(written)).collect();
                self.arguments_with_fractions(builtin, &exprs, &mut values, want);
                Ok(Bound::Builtin(builtin, Args { values, span: call, want: want.cloned() }))
            }
            Callable::Convert(dtype) => {
                let slots = [Slot { name: "x", optional: false }];
                let values = self.evaluated(dtype.name(), &slots, args, callee)?;
                let value = values.into_iter().flatten().next().expect("it must be given");
                if let (true, Some(Given::Written(expr))) =
                    (dtype.is_float(), args.first().map(|arg| &arg.given))
                {
                    self.warn_of_lost_fraction(expr, &value.0);
                }
                Ok(Bound::Convert(*dtype, value, call))
            }
            Callable::Transform(transform, inner) => {
                let transformed = self.bind_transformed(transform, inner, callee, args, call)?;
                Ok(Bound::Transformed(Box::new(transformed)))
            }
            Callable::Lambda(lambda) => {
                let slot =
                    |p: &'w ast::Param| Slot { name: &p.name.name, optional: p.default.is_some() };
                let slots: Vec<Slot<'_>> = lambda.params.iter().map(slot).collect();
                let given = self.evaluated("the function", &slots, args, callee)?;
                let mut values = Vec::with_capacity(given.len());
                for (param, value) in lambda.params.iter().zip(given) {
                    values.push(match (value, &param.default) {
                        (Some(value), _) => value,
                        (None, Some(default)) => {
                            (self.lambda_default(lambda, param, default, callee)?, callee)
                        }
                        (None, None) => unreachable!("only optional ones are left out"),
                    });
                }
                Ok(Bound::Lambda(lambda.clone(), values, callee))
            }
        }
    }

    /// What a parameter of a function without a name is where it is left out, of what is seen where
    /// the function is written.
    fn lambda_default(
        &mut self,
        lambda: &Lambda<'w>,
        param: &'w ast::Param,
        default: &'w ast::Expr,
        callee: Span,
    ) -> Eval<Value<'w>> {
        self.enter_lambda(lambda, callee);
        let want = param.ty.as_ref().map(|ty| self.ground(ty)).transpose();
        let value = want.map(|want| self.expr(default, want.as_ref()));
        self.pop_frame();
        match value? {
            Value::Error => Err(self.reported()),
            value => Ok(value),
        }
    }

    /// The value of an argument.
    pub(crate) fn argument(&mut self, arg: &Argument<'w>, want: Option<&Type>) -> Value<'w> {
        match &arg.given {
            Given::Written(expr) => self.expr(expr, want),
            Given::Made(value) => value.clone(),
        }
    }

    /// The value of the argument of each parameter, with its place.
    pub(crate) fn evaluated(
        &mut self,
        name: &str,
        slots: &[Slot<'_>],
        args: &[Argument<'w>],
        callee: Span,
    ) -> Eval<Vec<Option<(Value<'w>, Span)>>> {
        let assigned = self.assigned(name, slots, args, callee)?;
        self.values_of(&assigned, args)
    }

    /// The values of the arguments at these positions.
    fn values_of(
        &mut self,
        assigned: &[Option<usize>],
        args: &[Argument<'w>],
    ) -> Eval<Vec<Option<(Value<'w>, Span)>>> {
        let mut failed = false;
        let mut values = Vec::with_capacity(assigned.len());
        for &at in assigned {
            let value = at.map(|i| (self.argument(&args[i], None), args[i].span));
            failed |= value.as_ref().is_some_and(|(v, _)| v.is_error());
            values.push(value);
        }
        if failed { Err(self.reported()) } else { Ok(values) }
    }

    /// As [`Walk::assigned`], for arguments as written.
    pub(crate) fn assign(
        &mut self,
        name: &str,
        slots: &[Slot<'_>],
        args: &'w [ast::Arg],
        callee: Span,
    ) -> Eval<Vec<Option<&'w ast::Arg>>> {
        let written: Vec<Argument<'w>> = args.iter().map(Argument::written).collect();
        let assigned = self.assigned(name, slots, &written, callee)?;
        Ok(assigned.into_iter().map(|at| at.map(|i| &args[i])).collect())
    }

    /// The position of the argument of each parameter; reports arguments that are too many,
    /// unknown, repeated or missing.
    fn assigned(
        &mut self,
        name: &str,
        slots: &[Slot<'_>],
        args: &[Argument<'w>],
        callee: Span,
    ) -> Eval<Vec<Option<usize>>> {
        let mut assigned: Vec<Option<usize>> = vec![None; slots.len()];
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
                    let diagnostic = Diagnostic::error(codes::BAD_ARGUMENTS, arg.whole, message);
                    failed = Some(self.report(diagnostic.note(signature(name, slots))));
                    break;
                }
                Some(given) => match slots.iter().position(|s| s.name == given.name) {
                    Some(i) => i,
                    None => {
                        let names: Vec<&str> = slots.iter().map(|s| s.name).collect();
                        let message = format!("`{name}` has no parameter `{}`", given.name);
                        let code = codes::BAD_ARGUMENTS;
                        let diagnostic = Diagnostic::error(code, given.span, message);
                        let elsewhere = suggest::parameter(&given.name, &names).map(str::to_string);
                        let near = || nearest(&given.name, names.iter().copied());
                        let help = match elsewhere.or_else(near) {
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
                let diagnostic = Diagnostic::error(codes::BAD_ARGUMENTS, arg.whole, message);
                failed = Some(self.report(diagnostic.label(args[first].whole, "first here")));
            }
            assigned[i] = Some(position);
        }
        let missing: Vec<&str> = slots
            .iter()
            .zip(&assigned)
            .filter(|(slot, arg)| arg.is_none() && !slot.optional)
            .map(|(slot, _)| slot.name)
            .collect();
        if failed.is_none() && !missing.is_empty() {
            let message = format!("`{name}` also needs {}", quoted(&missing));
            let diagnostic = Diagnostic::error(codes::BAD_ARGUMENTS, callee, message);
            failed = Some(self.report(diagnostic.note(signature(name, slots))));
        }
        match failed {
            None => Ok(assigned),
            Some(reported) => {
                // The arguments may have mistakes of their own.
                for arg in args {
                    self.argument(arg, None);
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
        args: &[Argument<'w>],
        want: Option<&Type>,
    ) -> Eval<FnCall<'w>> {
        let def = self.world.function(id);
        let params = &def.decl.params;
        let slot = |p: &'w ast::Param| Slot { name: &p.name.name, optional: p.default.is_some() };
        let slots: Vec<Slot<'_>> = params.iter().map(slot).collect();
        let assigned = self.assigned(&def.decl.name.name, &slots, args, callee)?;
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
        let (mut failed, mut unknown) = (false, false);
        for (i, (param, arg)) in params.iter().zip(&assigned).enumerate() {
            let Some(arg) = arg.map(|i| &args[i]) else {
                values.push(None);
                continue;
            };
            let ty = param.ty.as_ref().and_then(|ty| binder.ground(self, ty).ok());
            let mut value = self.argument(arg, ty.as_ref());
            if let (Given::Written(expr), None) = (&arg.given, &ty)
                && binder.takes_float(param, &value)
            {
                value = self.as_fraction(expr, value);
            }
            if let Some(ty) = &ty {
                value = self.as_asked(value, ty);
            }
            if let Some(declared) = &param.ty {
                value = self.record_as_declared(def.module, declared, value);
            }
            let at = arg.span;
            unknown |= value.is_error();
            let value = match value.is_error() {
                true => Err(self.reported()),
                false if is_written_number(arg, &value) && takes_key(param) => Err(self.no_key(at)),
                false if param.is_static => self.static_argument(param, value, at),
                // What an argument before this one would have told is not known.
                false if unknown => Ok(value),
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
        let value = match value {
            // A number of a declared type, a quotient of sizes.
            Value::Tensor(leaf) => self.size_of(leaf).map_or(Value::Tensor(leaf), Value::dim),
            value => value,
        };
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
        // A list of numbers may be written as a tuple: `axis = (0, 1)`.
        let value = match value {
            Value::Tuple(items) if dtype.is_some() => {
                Value::List(items.iter().map(|item| (item.clone(), at)).collect())
            }
            value => value,
        };
        let fits = match (dtype, &value) {
            (None, _) | (Some(_), Value::Unit) => true,
            (Some(DType::Bool), Value::Static(Static::Bool(_))) => true,
            (Some(d), Value::Static(Static::Dim(_))) => d != DType::Bool,
            (Some(d), Value::Static(Static::Float(..) | Static::Computed(..))) => d.is_float(),
            // A static number may be a list of numbers where the function hands it on: of axes,
            // of coefficients.
            (Some(d), Value::List(_)) => d != DType::Bool,
            _ => false,
        };
        if fits {
            return Ok(value);
        }
        let what = dtype.map_or("a known value", |d| d.name());
        let help = match &value {
            Value::Static(Static::Str(text, _)) => suggest::value(&param.name.name, text),
            _ => None,
        };
        Err(self.expected_with((what, help), &value, at))
    }
}

impl<'w> Bound<'w> {
    /// The element type that a parameter of a function without a name declares.
    pub(crate) fn declared_dtype(&self, position: usize) -> Option<DType> {
        match self {
            Bound::Lambda(lambda, ..) => {
                let ast::TypeKind::Named { path, .. } =
                    &lambda.params.get(position)?.ty.as_ref()?.kind
                else {
                    return None;
                };
                DType::from_name(&path.as_name()?.name)
            }
            Bound::Transformed(transformed) => transformed.declared_dtype(position),
            Bound::Fn(_) | Bound::Builtin(..) | Bound::Convert(..) => None,
        }
    }

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
            Bound::Transformed(transformed) => transformed.args_mut(walk),
        }
    }
}

/// How something is called: `sum(x, axis?, keep?)`.
fn signature(name: &str, slots: &[Slot<'_>]) -> String {
    let parameter = |slot: &Slot<'_>| match slot.optional {
        true => format!("{}?", slot.name),
        false => slot.name.to_string(),
    };
    let parameters: Vec<String> = slots.iter().map(parameter).collect();
    format!("it is {name}({})", parameters.join(", "))
}

/// Whether a known number was written as an argument. One that comes from outside may be a key.
fn is_written_number(arg: &Argument<'_>, value: &Value<'_>) -> bool {
    matches!((&arg.given, value), (Given::Written(_), Value::Static(_)))
}

/// Whether a parameter is declared to be one key.
fn takes_key(param: &ast::Param) -> bool {
    let Some(ast::TypeKind::Named { path, args }) = param.ty.as_ref().map(|ty| &ty.kind) else {
        return false;
    };
    args.is_empty() && path.as_name().is_some_and(|name| name.name == "key")
}
