//! Blocks and the statements that functions and `main` share.

use super::{Eval, Local, Var, Walk};
use crate::check::suggest::nearest;
use crate::check::types::Type;
use crate::check::value::{Static, Value};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::{Dim, TensorType};
use crate::syntax::ast::{self, PatternKind, Stmt, StmtKind};

/// Turns that a `for` of a function may take: each is written out.
const MAX_TURNS: i64 = 4096;

impl<'w> Walk<'w> {
    /// The value of a block: `()` where it has none.
    pub(crate) fn block(&mut self, block: &'w ast::Block, want: Option<&Type>) -> Value<'w> {
        let mark = self.locals.len();
        for stmt in &block.stmts {
            self.stmt(stmt);
        }
        let value = match &block.value {
            Some(value) => self.expr(value, want),
            None => Value::Unit,
        };
        self.leave(mark);
        value
    }

    /// Forgets the locals of a block. One that hides a variable around it, and that nothing read,
    /// was to be an assignment.
    pub(crate) fn leave(&mut self, mark: usize) {
        let base = self.frame().base;
        for i in mark..self.locals.len() {
            let local = &self.locals[i];
            if local.read || local.var.is_some() || local.value.is_error() {
                continue;
            }
            let hidden = self.locals[base.min(mark)..mark].iter().rfind(|l| l.name == local.name);
            if let Some(variable) = hidden.filter(|l| l.var.is_some()) {
                let name = &local.name;
                let message = format!("this `{name}` is not read, and hides the variable `{name}`");
                let warning = Diagnostic::warning(codes::MISPLACED, local.span, message)
                    .label(variable.span, "the variable")
                    .help(format!("to assign the variable, write {name} = … without `let`"));
                self.report(warning);
            }
        }
        self.locals.truncate(mark);
    }

    /// Whether the statements walked are those of `main` or a test, not of a function.
    pub(crate) fn in_script(&self) -> bool {
        self.script.is_some() && self.frames.len() == 1 && self.levels.len() == 1 && !self.both_ways
    }

    /// A statement; mistakes in it have been reported.
    pub(crate) fn stmt(&mut self, stmt: &'w Stmt) {
        if self.in_script() {
            let _ = self.script_stmt(stmt);
        } else {
            let _ = self.pure_stmt(stmt);
        }
    }

    fn pure_stmt(&mut self, stmt: &'w Stmt) -> Eval<()> {
        let what = match &stmt.kind {
            StmtKind::Let(_) | StmtKind::Var(_) | StmtKind::Assign { .. } => {
                return self.shared_stmt(stmt);
            }
            StmtKind::Expr(expr) => {
                return match self.expr(expr, None) {
                    Value::Error => Err(self.reported()),
                    _ => Ok(()),
                };
            }
            StmtKind::For { pattern, iter: ast::Iter::Range { start, end }, body } => {
                return self.unrolled(pattern, start, end, body, stmt.span);
            }
            StmtKind::While { cond, limit, body } => {
                return self.while_steps(cond, limit.as_ref(), body, stmt.span);
            }
            StmtKind::For { .. } => "a loop over a value",
            StmtKind::Log(_) => "`log`",
            StmtKind::Break => "`break`",
            StmtKind::Continue => "`continue`",
        };
        let message = format!("{what} is for `main` and tests: functions only compute");
        let mut diagnostic = Diagnostic::error(codes::MISPLACED, stmt.span, message);
        if let StmtKind::For { .. } = &stmt.kind {
            let help = "go through its rows with `scan x in xs with s = start { … }`, or through a \
                        list by its numbers, `for i in 0..n`";
            diagnostic = diagnostic.help(help);
        }
        Err(self.report(diagnostic))
    }

    /// `let`, `var` and assignment.
    pub(crate) fn shared_stmt(&mut self, stmt: &'w Stmt) -> Eval<()> {
        match &stmt.kind {
            StmtKind::Let(binding) => {
                let value = self.bound_value(binding);
                self.destructure(&binding.pattern, value.clone(), false)?;
                if value.is_error() { Err(self.reported()) } else { Ok(()) }
            }
            StmtKind::Var(binding) => {
                let value = self.bound_value(binding);
                let strong = self.strengthen(&value, binding.value.span);
                self.destructure(&binding.pattern, strong.unwrap_or(Value::Error), true)
            }
            StmtKind::Assign { target, op, value } => self.assignment(target, *op, value),
            _ => unreachable!("the callers look at the other statements"),
        }
    }

    fn bound_value(&mut self, binding: &'w ast::Binding) -> Value<'w> {
        let Some(ty) = &binding.ty else {
            let value = self.expr(&binding.value, None);
            self.warn_of_lost_fraction(&binding.value, &value);
            return value;
        };
        let want = self.ground(ty);
        let value = self.expr(&binding.value, want.as_ref().ok());
        match want {
            Ok(want) => self
                .coerce(&value, &want, binding.value.span, Some(ty.span))
                .unwrap_or(Value::Error),
            Err(_) => Value::Error,
        }
    }

    /// Binds the names of a pattern to the parts of a value.
    pub(crate) fn destructure(
        &mut self,
        pattern: &'w ast::Pattern,
        value: Value<'w>,
        mutable: bool,
    ) -> Eval<()> {
        match &pattern.kind {
            PatternKind::Wildcard => Ok(()),
            PatternKind::Name(name) => {
                let local = match mutable && !value.is_error() {
                    true => self.new_var(name, value, pattern.span)?,
                    false => {
                        let value = match self.in_script() {
                            true => self.snapshot(name, &value),
                            false => value,
                        };
                        let span = pattern.span;
                        Local { name: name.clone(), value, span, var: None, read: false }
                    }
                };
                self.locals.push(local);
                Ok(())
            }
            PatternKind::Tuple(parts) => {
                let values = self.parts(&value, parts.len(), pattern.span);
                let mut result = Ok(());
                for (i, part) in parts.iter().enumerate() {
                    let value = match &values {
                        Ok(values) => values[i].clone(),
                        Err(_) => Value::Error,
                    };
                    result = result.and(self.destructure(part, value, mutable));
                }
                values.map(|_| ()).and(result)
            }
        }
    }

    fn parts(&mut self, value: &Value<'w>, count: usize, span: Span) -> Eval<Vec<Value<'w>>> {
        match value {
            Value::Error => Err(self.reported()),
            Value::Tuple(items) if items.len() == count => Ok(items.to_vec()),
            Value::List(items) if items.len() == count => {
                Ok(items.iter().map(|(item, _)| item.clone()).collect())
            }
            Value::Tuple(items) => {
                let message = format!("{count} names for a tuple of {}", items.len());
                Err(self.error(codes::TYPE_MISMATCH, span, message))
            }
            other => {
                let what = format!("a tuple of {count}");
                Err(self.expected(&what, other, span))
            }
        }
    }

    fn new_var(&mut self, name: &str, value: Value<'w>, span: Span) -> Eval<Local<'w>> {
        if let Value::Function(_) | Value::Module(_) | Value::Unit = value {
            return Err(self.expected("a tensor or a struct of tensors", &value, span));
        }
        let ty = self.ty(&value);
        let slots = match self.in_script() {
            true => self.var_slots(name, &value),
            false => Vec::new(),
        };
        let var = Some(Var { ty, slots });
        Ok(Local { name: name.to_string(), value, span, var, read: false })
    }

    fn assignment(
        &mut self,
        target: &'w ast::Pattern,
        op: Option<ast::BinaryOp>,
        value: &'w ast::Expr,
    ) -> Eval<()> {
        if let (Some(op), PatternKind::Name(name)) = (op, &target.kind) {
            let old = self.name(name, target.span)?;
            let dtype = self.strong_dtype(&old).filter(|_| !old.is_tree());
            let want = dtype.map(|dtype| Type::Tensor(TensorType::scalar(dtype)));
            let by = self.expr(value, want.as_ref());
            let span = target.span.to(value.span);
            let new = self.binary(op, (old, target.span), (by, value.span), span)?;
            return self.store(target, &new, span);
        }
        let want = self.target_ty(target);
        let new = self.expr(value, want.as_ref());
        if new.is_error() {
            return Err(self.reported());
        }
        self.store(target, &new, value.span)
    }

    /// The type of what a pattern assigns, where every name in it is a variable.
    fn target_ty(&self, target: &ast::Pattern) -> Option<Type> {
        match &target.kind {
            PatternKind::Name(name) => {
                Some(self.locals[self.local(name)?].var.as_ref()?.ty.clone())
            }
            PatternKind::Wildcard => None,
            PatternKind::Tuple(parts) => {
                Some(Type::Tuple(parts.iter().map(|p| self.target_ty(p)).collect::<Option<_>>()?))
            }
        }
    }

    fn store(&mut self, target: &'w ast::Pattern, value: &Value<'w>, at: Span) -> Eval<()> {
        match &target.kind {
            PatternKind::Wildcard => Ok(()),
            PatternKind::Tuple(parts) => {
                let values = self.parts(value, parts.len(), target.span)?;
                let mut result = Ok(());
                for (part, value) in parts.iter().zip(&values) {
                    result = result.and(self.store(part, value, at));
                }
                result
            }
            PatternKind::Name(name) => {
                let Some(i) = self.local(name) else {
                    return Err(self.not_defined_yet(name, target.span));
                };
                let Some(var) = self.locals[i].var.clone() else {
                    if self.locals[i].value.is_error() {
                        return Err(self.reported());
                    }
                    let message = format!("`{name}` cannot be assigned: it is no `var`");
                    let code = codes::NOT_ASSIGNABLE;
                    let diagnostic = Diagnostic::error(code, target.span, message);
                    let first = self.locals[i].span;
                    return Err(self.report(diagnostic.label(first, "bound here")));
                };
                if i < self.assignable_from {
                    let (place, help) = if self.both_ways {
                        (
                            "an `if` whose condition is computed",
                            format!("write {name} = if … {{ … }} else {{ {name} }}"),
                        )
                    } else if self.in_comprehension() {
                        (
                            "a body that is computed for all values of its indices",
                            "combine the values: sum i: …, or carry them with `scan`".to_string(),
                        )
                    } else {
                        (
                            "a step of `scan`",
                            format!("carry it: scan … with {name} = {name} {{ … }}"),
                        )
                    };
                    let message = format!("`{name}` cannot be assigned in {place}");
                    let code = codes::NOT_ASSIGNABLE;
                    let diagnostic = Diagnostic::error(code, target.span, message);
                    return Err(self.report(diagnostic.help(help)));
                }
                let declared = self.locals[i].span;
                self.locals[i].value = self.coerce(value, &var.ty, at, Some(declared))?;
                Ok(())
            }
        }
    }

    fn not_defined_yet(&mut self, name: &str, span: Span) -> super::Reported {
        let near = nearest(name, self.visible().iter().map(|l| l.name.as_str()));
        let message = format!("`{name}` is not defined");
        let mut diagnostic = Diagnostic::error(codes::UNKNOWN_NAME, span, message);
        diagnostic = match near {
            Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
            None => diagnostic.help(format!("define it first: var {name} = …")),
        };
        self.report(diagnostic)
    }

    /// `for i in 0..n` in a function: the bounds are known, and each turn is written out.
    fn unrolled(
        &mut self,
        pattern: &'w ast::Pattern,
        start: &'w ast::Expr,
        end: &'w ast::Expr,
        body: &'w ast::Block,
        span: Span,
    ) -> Eval<()> {
        let turns = format!(
            "{} in {}..{}",
            self.text(pattern.span),
            self.text(start.span),
            self.text(end.span)
        );
        let from = self.known_int(start, &turns)?;
        let to = self.known_int(end, &turns)?;
        if to.saturating_sub(from) > MAX_TURNS {
            return Err(self.too_large(span));
        }
        for i in from..to {
            let mark = self.locals.len();
            self.destructure(pattern, Value::int(i), false)?;
            let value = self.deeper(span, |w| Ok(w.block(body, None)));
            self.locals.truncate(mark);
            if value?.is_error() {
                return Err(self.reported());
            }
        }
        Ok(())
    }

    fn known_int(&mut self, expr: &'w ast::Expr, turns: &str) -> Eval<i64> {
        let value = self.expr(expr, None);
        let known = match &value {
            Value::Static(Static::Dim(dim)) => Some(dim.clone()),
            Value::Tensor(leaf) => self.known_integer(*leaf),
            Value::Error => return Err(self.reported()),
            _ => None,
        };
        if let Some(Dim::Const(n)) = known {
            return Ok(n);
        }
        let message = "`for` in a function is written out: its bounds must be known numbers";
        let diagnostic = Diagnostic::error(codes::NOT_STATIC, expr.span, message);
        let help = match known {
            Some(_) => format!("repeat a step as often: scan {turns} with state = … {{ … }}"),
            None => "write `while … limit n`, use whole tensors, or loop in `main`".to_string(),
        };
        Err(self.report(diagnostic.help(help)))
    }
}
