//! Calls, second half: walking the body of what is called.

use super::bind::FnCall;
use super::{Argument, Bound, Eval, Walk};
use crate::check::builtin::{Form, Run};
use crate::check::types::{Bindings, Mismatch, Type, TypeScope};
use crate::check::value::{Callable, Lambda, Static, Value};
use crate::check::world::{FnDef, FnId};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::{Dim, NodeId, Op};
use crate::syntax::ast;
use std::rc::Rc;
use tensc_runtime::DType;

impl<'w> Walk<'w> {
    pub(crate) fn call(
        &mut self,
        function: &Callable<'w>,
        callee: Span,
        args: &'w [ast::Arg],
        call: Span,
        want: Option<&Type>,
    ) -> Eval<Value<'w>> {
        if let Callable::Builtin(builtin) = function
            && let Run::Form(run) = builtin.run
        {
            return run(self, &Form { args, callee, span: call });
        }
        let args: Vec<Argument<'w>> = args.iter().map(Argument::written).collect();
        let bound = self.bind_call(function, callee, &args, call, want)?;
        self.apply(bound)
    }

    /// The result of a call.
    pub(crate) fn apply(&mut self, bound: Bound<'w>) -> Eval<Value<'w>> {
        match bound {
            Bound::Fn(call) => self.apply_fn(call),
            Bound::Lambda(lambda, values, callee) => self.apply_lambda(&lambda, values, callee),
            Bound::Builtin(builtin, args) => match builtin.run {
                Run::Values(run) => run(self, &args),
                Run::Map(map) => {
                    let operands: Vec<_> = args.values.iter().flatten().cloned().collect();
                    self.elementwise(map, &format!("`{}`", builtin.name), &operands, args.span)
                }
                Run::Form(_) => {
                    let message = format!("`{}` cannot be differentiated", builtin.name);
                    Err(self.error(codes::NOT_DIFFERENTIABLE, args.span, message))
                }
            },
            Bound::Convert(dtype, (value, at), span) => self.convert(&value, dtype, at, span),
            Bound::Transformed(transformed) => self.apply_transformed(*transformed),
        }
    }

    fn apply_fn(&mut self, call: FnCall<'w>) -> Eval<Value<'w>> {
        let def = self.world.function(call.id);
        self.refuse_recursion(&call)?;
        if let Some((i, mismatch)) = &call.conflict {
            return Err(self.explain(&call, *i, mismatch));
        }
        self.body(def, call)
    }

    /// Walks a function's body with its parameters bound.
    fn body(&mut self, def: &'w FnDef, call: FnCall<'w>) -> Eval<Value<'w>> {
        let generics = Rc::new(with_sizes(call.bindings, def, call.values.iter().map(|(v, _)| v)));
        let name = def.decl.name.name.clone();
        self.push_frame(name, Some(call.id), def.module, generics, Some(call.callee));
        for (param, (value, _)) in def.decl.params.iter().zip(call.values) {
            self.bind(&param.name.name, value, param.name.span);
        }
        let before = std::mem::replace(&mut self.assignable_from, 0);
        let result = self.returned(&def.decl.body, def.decl.ret.as_ref());
        self.assignable_from = before;
        self.pop_frame();
        result
    }

    /// The value of a body as the type that was declared for it.
    pub(crate) fn returned(
        &mut self,
        body: &'w ast::Expr,
        ret: Option<&'w ast::Type>,
    ) -> Eval<Value<'w>> {
        let want = ret.map(|ty| self.ground(ty));
        let (want, declared) = match want {
            Some(Ok(ty)) => (Some(ty), ret.map(|t| t.span)),
            Some(Err(_)) | None => (None, None),
        };
        let value = self.expr(body, want.as_ref());
        if value.is_error() {
            return Err(self.reported());
        }
        match want {
            Some(ty) => self.coerce(&value, &ty, tail(body), declared),
            None => Ok(value),
        }
    }

    fn apply_lambda(
        &mut self,
        lambda: &Lambda<'w>,
        values: Vec<(Value<'w>, Span)>,
        callee: Span,
    ) -> Eval<Value<'w>> {
        self.enter_lambda(lambda, callee);
        let mut fitted = Ok(());
        for (param, (value, at)) in lambda.params.iter().zip(values) {
            let value = match &param.ty {
                Some(ty) => self
                    .ground(ty)
                    .and_then(|ground| self.coerce(&value, &ground, at, Some(ty.span))),
                None => Ok(value),
            };
            fitted = fitted.and(value.as_ref().map(|_| ()).map_err(|e| *e));
            self.bind(&param.name.name, value.unwrap_or(Value::Error), param.name.span);
        }
        let result = fitted.and_then(|()| self.returned(lambda.body, lambda.ret));
        self.pop_frame();
        result
    }

    /// A frame in which a function without a name sees what it captured.
    pub(super) fn enter_lambda(&mut self, lambda: &Lambda<'w>, callee: Span) {
        let generics = lambda.generics.clone();
        self.push_frame("the function", None, lambda.module, generics, Some(callee));
        for (name, value) in lambda.captured.iter() {
            self.bind(name, value.clone(), lambda.span);
        }
    }

    fn refuse_recursion(&mut self, call: &FnCall<'w>) -> Eval<()> {
        let Some(first) = self.frames.iter().position(|f| f.id == Some(call.id)) else {
            return Ok(());
        };
        let ids: Vec<FnId> = self.frames[first..].iter().filter_map(|f| f.id).collect();
        let known = self.recursive.contains(&call.id);
        self.recursive.extend(ids);
        if known {
            return Err(self.reported());
        }
        let mut cycle: Vec<String> = self.frames[first..]
            .iter()
            .filter(|f| f.id.is_some())
            .map(|f| format!("`{}`", f.name))
            .collect();
        let name = cycle[0].clone();
        cycle.push(name.clone());
        let message = format!("{name} calls itself: functions cannot be recursive");
        let diagnostic = Diagnostic::error(codes::RECURSION, call.callee, message);
        Err(self.report(diagnostic.note(cycle.join(" calls "))))
    }

    /// Reports an argument whose sizes contradict the others. The operation of the body that needs
    /// them equal says it best; where the body has no complaint, the declaration is the reason.
    fn explain(&mut self, call: &FnCall<'w>, i: usize, mismatch: &Mismatch) -> super::Reported {
        let def = self.world.function(call.id);
        let trial = FnCall {
            id: call.id,
            bindings: call.bindings.clone(),
            values: call.values.clone(),
            callee: call.callee,
            conflict: None,
        };
        // Names that stayed open mean nothing to who does not see the body.
        if self.world.in_std(def.span) && call.bindings.is_told() {
            let (_, heard) = self.listening(|w| w.body(def, trial));
            let shapes = [codes::INNER_SIZES, codes::BROADCAST];
            if let Some(reason) = heard.into_iter().find(|d| shapes.contains(&d.code)) {
                return self.keep(reason);
            }
        }
        let param = &def.decl.params[i];
        let ty = param.ty.as_ref().expect("what has no type fits");
        let (value, at) = &call.values[i];
        let others: Vec<(&ast::Type, &Value<'w>)> = def
            .decl
            .params
            .iter()
            .zip(&call.values)
            .take(i)
            .filter_map(|(p, (v, _))| Some((p.ty.as_ref()?, v)))
            .collect();
        let what = format!("`{}` of `{}`", param.name.name, def.decl.name.name);
        let called = self.library_call(def);
        self.does_not_fit((&what, called), ty, value, *at, mismatch.clone(), &others)
    }

    /// How a function of the library is called, for who does not see its declaration: with the
    /// parameters that must be given.
    pub(crate) fn library_call(&self, def: &FnDef) -> Option<String> {
        let needed = |p: &&ast::Param| p.default.is_none() && p.ty.is_some();
        let params: Vec<String> =
            def.decl.params.iter().filter(needed).map(|p| self.text(p.span)).collect();
        let name = &def.decl.name.name;
        self.world.in_std(def.span).then(|| format!("it is {name}({})", params.join(", ")))
    }

    /// Checks what a function's `where` demands of its sizes.
    pub(crate) fn check_constraints(
        &mut self,
        def: &FnDef,
        bindings: &Bindings,
        callee: Span,
    ) -> Eval<()> {
        for constraint in &def.decl.constraints {
            let scope = TypeScope { world: self.world, module: def.module, bindings };
            let (Ok(a), Ok(b)) = (scope.dim(&constraint.left), scope.dim(&constraint.right)) else {
                continue;
            };
            let holds = match constraint.relation {
                ast::Relation::Equal => a == b,
                ast::Relation::Divides => b.div_exact(&a).is_some(),
                ast::Relation::AtMost => match (b.clone() - a.clone()).known() {
                    Some(difference) => difference >= 0,
                    // What depends on names is checked where they get values: by the operations.
                    None => true,
                },
            };
            if !holds {
                let relation = match constraint.relation {
                    ast::Relation::Equal => "==",
                    ast::Relation::Divides => "divides",
                    ast::Relation::AtMost => "<=",
                };
                let name = &def.decl.name.name;
                let message = format!("`{name}` needs {a} {relation} {b}");
                let mut diagnostic = Diagnostic::error(codes::CONSTRAINT, callee, message);
                if !self.world.in_std(constraint.span) {
                    diagnostic = diagnostic.label(constraint.span, "demanded here");
                }
                if b.as_var().is_some() && !a.vars().contains(&b.vars()[0]) {
                    let help =
                        format!("say so of the function that calls it: where {a} {relation} {b}");
                    diagnostic = diagnostic.help(help);
                }
                return Err(self.report(diagnostic));
            }
        }
        Ok(())
    }

    /// `f32(x)`: conversion by value; structs leaf by leaf.
    pub(crate) fn convert(
        &mut self,
        value: &Value<'w>,
        dtype: DType,
        at: Span,
        span: Span,
    ) -> Eval<Value<'w>> {
        if value.is_tree() {
            let converted = value.map_leaves(&mut |leaf| self.convert(leaf, dtype, at, span))?;
            return Ok(self.retyped(value, converted));
        }
        // A known number becomes a constant of the type at once; a float that loses its fraction
        // and a flag are converted as tensors are.
        let want = match value {
            Value::Static(Static::Float(..) | Static::Computed(..)) => {
                Some(dtype).filter(|d| d.is_float())
            }
            Value::Static(Static::Dim(Dim::Const(_))) => {
                Some(dtype).filter(|d| *d == DType::I64 || d.is_float())
            }
            Value::Static(Static::Dim(_)) => Some(dtype).filter(|d| *d != DType::Bool),
            Value::List(items) => {
                Some(dtype).filter(|d| d.is_float() && !items.iter().any(|(v, _)| v.has_flag()))
            }
            _ => None,
        };
        let node = self.to_tensor(value, want, at)?;
        let node = self.converted(node, dtype, span)?;
        Ok(self.tensor(node))
    }

    /// A tensor as one of another element type.
    pub(crate) fn converted(&mut self, node: NodeId, dtype: DType, span: Span) -> Eval<NodeId> {
        match self.node_ty(node).dtype == dtype {
            true => Ok(node),
            false => self.add(Op::Convert(dtype), &[node], span),
        }
    }
}

/// What types of a function may name: its generic parameters, and its parameters that are known
/// sizes.
pub(crate) fn with_sizes<'a, 'w: 'a>(
    mut bindings: Bindings,
    def: &FnDef,
    values: impl Iterator<Item = &'a Value<'w>>,
) -> Bindings {
    for (param, value) in def.decl.params.iter().zip(values) {
        if let (true, Value::Static(Static::Dim(size))) = (param.is_static, value) {
            bindings.add_size(&param.name.name, size.clone());
        }
    }
    bindings
}

/// The expression that gives a body's value.
fn tail(body: &ast::Expr) -> Span {
    match &body.kind {
        ast::ExprKind::Block(block) => block.value.as_ref().map_or(block.span, |e| tail(e)),
        ast::ExprKind::Paren(inner) => tail(inner),
        _ => body.span,
    }
}
