//! What only the host can do: files, printing, assertions.

use crate::check::builtin::Form;
use crate::check::typed::{LoadLeaf, SlotId, Step, Text, TextFormat, TextPart};
use crate::check::types::{Generic, Type};
use crate::check::value::{Callable, Leaf, Static, Value};
use crate::check::walk::{Declared, Eval, Slot, Walk};
use crate::check::world::GenericSort;
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::{Dim, MapOp};
use crate::syntax::ast::{self, ExprKind, StrPart};
use std::path::Path;
use std::rc::Rc;
use tensc_runtime::DType;
use tensc_runtime::data;

impl<'w> Walk<'w> {
    /// Refuses what only `main` can do where a function is being walked.
    fn only_in_script(&mut self, name: &str, span: Span) -> Eval<()> {
        if self.in_script() {
            return Ok(());
        }
        let message = format!("`{name}` is for `main` and tests: functions only compute");
        Err(self.error(codes::MISPLACED, span, message))
    }

    pub(crate) fn print(&mut self, form: &Form<'w>) -> Eval<Value<'w>> {
        self.only_in_script("print", form.callee)?;
        if form.args.len() > 1 && form.args.iter().all(|arg| arg.name.is_none()) {
            let message = format!("`print` takes one text, found {} values", form.args.len());
            let diagnostic = Diagnostic::error(codes::BAD_ARGUMENTS, form.args[1].span, message);
            let help = "values stand in it: print(\"{x} {y}\")";
            return Err(self.report(diagnostic.help(help)));
        }
        let slots = [Slot { name: "text", optional: true }];
        let assigned = self.assign("print", &slots, form.args, form.callee)?;
        let text = match assigned[0] {
            Some(arg) => self.text_of(&arg.value)?,
            None => Vec::new(),
        };
        self.close_region();
        self.state().push(Step::Print(text));
        Ok(Value::Unit)
    }

    /// Text with values, which are put into slots by the open region.
    fn text_of(&mut self, expr: &'w ast::Expr) -> Eval<Text> {
        let ExprKind::Str(parts) = &expr.unparenthesized().kind else {
            let value = self.expr(expr, None);
            let mut text = Vec::new();
            self.shown(&value, TextFormat::default(), expr.span, &mut text)?;
            return Ok(text);
        };
        let mut text = Vec::new();
        let mut failed = None;
        for part in parts {
            match part {
                StrPart::Text { value, .. } => append(&mut text, value),
                StrPart::Interpolation { expr, format, .. } => {
                    let format = match format {
                        None => TextFormat::default(),
                        Some(f) => TextFormat {
                            align: f.align,
                            width: f.width,
                            precision: f.precision,
                            style: f.style,
                        },
                    };
                    let value = self.expr(expr, None);
                    failed = self.shown(&value, format, expr.span, &mut text).err().or(failed);
                }
            }
        }
        match failed {
            Some(reported) => Err(reported),
            None => Ok(text),
        }
    }

    /// A value as part of a text.
    fn shown(
        &mut self,
        value: &Value<'w>,
        format: TextFormat,
        span: Span,
        text: &mut Text,
    ) -> Eval<()> {
        let plain = format == TextFormat::default();
        match value {
            Value::Error => return Err(self.reported()),
            Value::Static(Static::Str(s, _)) if plain => append(text, s),
            Value::Static(Static::Dim(Dim::Const(n))) if plain => append(text, &n.to_string()),
            Value::Static(Static::Bool(b)) if plain => append(text, &b.to_string()),
            Value::Tensor(leaf) => {
                let slot = self.slot_of("shown", *leaf);
                text.push(TextPart::Value(slot, format));
            }
            Value::Static(Static::Float(..) | Static::Computed(..)) => {
                // What is printed is the literal, not its nearest `f32`.
                let node = self.to_tensor(value, Some(DType::F64), span)?;
                let slot = self.slot_of("shown", Leaf::Node(0, node));
                text.push(TextPart::Value(slot, format));
            }
            Value::Static(Static::Dim(_) | Static::Bool(_)) | Value::List(_) => {
                let node = self.to_tensor(value, None, span)?;
                let slot = self.slot_of("shown", Leaf::Node(0, node));
                text.push(TextPart::Value(slot, format));
            }
            Value::Tuple(parts) => {
                append(text, "(");
                for (i, part) in parts.iter().enumerate() {
                    append(text, if i == 0 { "" } else { ", " });
                    self.shown(part, format, span, text)?;
                }
                append(text, if parts.len() == 1 { ",)" } else { ")" });
            }
            Value::Struct(of, parts) => {
                let decl = &self.world.structure(of.def).decl;
                append(text, &format!("{} {{ ", decl.name.name));
                for (i, (field, part)) in decl.fields.iter().zip(parts.iter()).enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    append(text, &format!("{comma}{}: ", field.name.name));
                    self.shown(part, format, span, text)?;
                }
                append(text, " }");
            }
            Value::Record(fields) => {
                append(text, "{ ");
                for (i, (name, part)) in fields.iter().enumerate() {
                    append(text, &format!("{}{name}: ", if i == 0 { "" } else { ", " }));
                    self.shown(part, format, span, text)?;
                }
                append(text, " }");
            }
            other => return Err(self.expected("something to print", other, span)),
        }
        Ok(())
    }

    pub(crate) fn log(&mut self, entries: &'w [ast::LogEntry]) -> Eval<()> {
        let mut values = Vec::with_capacity(entries.len());
        let mut failed = None;
        for entry in entries {
            let span = entry.value.span;
            let value = self.expr(&entry.value, None);
            let slot = self.strengthen(&value, span).and_then(|value| match &value {
                Value::Tensor(leaf) if self.leaf_ty(*leaf).rank() == 0 => {
                    Ok(self.slot_of(&entry.name.name, *leaf))
                }
                other => Err(self.expected("a scalar to log", other, span)),
            });
            match slot {
                Ok(slot) => values.push((entry.name.name.clone(), slot)),
                Err(reported) => failed = Some(reported),
            }
        }
        match failed {
            Some(reported) => Err(reported),
            None => {
                self.state().logs.push(Step::Log(values));
                Ok(())
            }
        }
    }

    pub(crate) fn save(&mut self, form: &Form<'w>) -> Eval<Value<'w>> {
        self.only_in_script("save", form.callee)?;
        let slots =
            [Slot { name: "path", optional: false }, Slot { name: "value", optional: false }];
        let assigned = self.assign("save", &slots, form.args, form.callee)?;
        let (path, value) = (assigned[0].expect("given"), assigned[1].expect("given"));
        let path = self.text_of(&path.value);
        let at = value.value.span;
        let value = self.expr(&value.value, None);
        let value = self.strengthen(&value, at)?;
        let mut found = Vec::new();
        self.each_leaf("", &value, &mut |_, path, leaf| found.push((path, leaf)));
        if found.is_empty() {
            return Err(self.expected("a tensor or a struct of tensors", &value, at));
        }
        let mut leaves = Vec::with_capacity(found.len());
        for (name, leaf) in found {
            let slot = self.slot_of(if name.is_empty() { "saved" } else { &name }, leaf);
            leaves.push((Some(name).filter(|n| !n.is_empty()), slot));
        }
        let path = path?;
        self.refuse_unsavable(&path, &leaves, form.span)?;
        self.close_region();
        self.state().push(Step::Save { path, leaves, span: form.span });
        Ok(Value::Unit)
    }

    /// Refuses what no file of the name can hold, where the name's end is known: found when the
    /// statement runs, the work of the program until there would be lost.
    fn refuse_unsavable(
        &mut self,
        path: &Text,
        leaves: &[(Option<String>, SlotId)],
        span: Span,
    ) -> Eval<()> {
        let path = match path.as_slice() {
            [TextPart::Text(whole)] => whole.clone(),
            [.., TextPart::Text(end)] if end.contains('.') => format!("…{end}"),
            _ => return Ok(()),
        };
        let slots = &self.state().script.slots;
        let form = |(name, slot): &(Option<String>, SlotId)| {
            let ty = &slots[slot.0 as usize].ty;
            let size = |dim: &Dim| dim.known().and_then(|n| usize::try_from(n).ok());
            data::Form {
                name: name.clone().unwrap_or_default(),
                dtype: ty.dtype,
                shape: ty.shape.iter().map(size).collect(),
            }
        };
        let forms: Vec<data::Form> = leaves.iter().map(form).collect();
        data::check(Path::new(&path), &forms)
            .map_err(|e| self.error(codes::CANNOT_SAVE, span, e.to_string()))
    }

    /// `load(path) as type`: sizes that the type names for the first time are bound by the data.
    pub(crate) fn load_as(
        &mut self,
        value: &'w ast::Expr,
        ty: &'w ast::Type,
        span: Span,
    ) -> Eval<Value<'w>> {
        let ExprKind::Call { callee, args } = &value.unparenthesized().kind else {
            return Err(self.nothing_to_check(value));
        };
        match self.expr(callee, None) {
            Value::Function(f) if matches!(&*f, Callable::Builtin(b) if b.name == "load") => {}
            Value::Error => return Err(self.reported()),
            _ => return Err(self.nothing_to_check(value)),
        }
        self.only_in_script("load", callee.span)?;
        let slots = [Slot { name: "path", optional: false }];
        let assigned = self.assign("load", &slots, args, callee.span)?;
        let path = self.text_of(&assigned[0].expect("given").value)?;
        self.bind_sizes(ty);
        let mut leaves: Vec<LoadLeaf> = Vec::new();
        let loaded = self.declare("", ty, &mut |walk: &mut Walk<'w>, declared: Declared| {
            let state = walk.state();
            let name = match declared.path.is_empty() {
                true => "loaded".to_string(),
                false => declared.path.clone(),
            };
            let slot = state.slot(name, declared.ty);
            for (axis, source) in declared.sources.into_iter().enumerate() {
                if let Some(source) = source {
                    state.sources.insert((slot, axis), source);
                }
            }
            let key = Some(declared.path).filter(|p| !p.is_empty());
            leaves.push(LoadLeaf { key, slot, span: declared.span });
            Leaf::Slot(slot)
        })?;
        if leaves.is_empty() {
            let message = "a file holds tensors";
            return Err(self.error(codes::BAD_TYPE, ty.span, message));
        }
        // The file does not depend on the open region, unless its name does.
        if path.iter().any(|p| matches!(p, TextPart::Value(..))) {
            self.close_region();
        }
        self.state().push(Step::Load { path, leaves, span });
        Ok(loaded)
    }

    fn nothing_to_check(&mut self, value: &ast::Expr) -> crate::check::walk::Reported {
        let message = "`as` says what is in a file: load(\"x.npy\") as f32[N]";
        let diagnostic = Diagnostic::error(codes::MISPLACED, value.span, message);
        self.report(diagnostic.help("to convert elements, call the type: f32(x)"))
    }

    /// Makes a size of each name in a type that stands for nothing yet.
    fn bind_sizes(&mut self, ty: &ast::Type) {
        let mut names = Vec::new();
        size_names(ty, &mut names);
        for name in names {
            let known = self.frame().generics.get(&name).is_some();
            if !known {
                let dim = Dim::var(self.fresh_dim(&name));
                let frame = self.frames.last_mut().expect("main is being walked");
                let generics = Rc::make_mut(&mut frame.generics);
                generics.0.push(crate::check::types::Binding {
                    name,
                    sort: GenericSort::Dim,
                    value: Some(Generic::Dim(dim)),
                });
            }
        }
    }

    pub(crate) fn assert(&mut self, form: &Form<'w>) -> Eval<Value<'w>> {
        self.only_in_script("assert", form.callee)?;
        let slots =
            [Slot { name: "condition", optional: false }, Slot { name: "message", optional: true }];
        let assigned = self.assign("assert", &slots, form.args, form.callee)?;
        let condition = assigned[0].expect("given");
        let value = self.expr(&condition.value, None);
        let at = condition.value.span;
        let slot = self.scalar_slot("condition", &value, DType::Bool, "a condition", at);
        let message = match assigned[1] {
            Some(arg) => self.text_of(&arg.value)?,
            None => vec![TextPart::Text(format!("assertion failed: {}", self.text(at)))],
        };
        let condition = slot?;
        self.close_region();
        self.state().push(Step::Assert { condition, message, span: form.span });
        Ok(Value::Unit)
    }

    pub(crate) fn assert_close(&mut self, form: &Form<'w>) -> Eval<Value<'w>> {
        self.only_in_script("assert_close", form.callee)?;
        let slots =
            ["actual", "expected", "tol"].map(|name| Slot { name, optional: name == "tol" });
        let assigned = self.assign("assert_close", &slots, form.args, form.callee)?;
        let (a, b) = (assigned[0].expect("given"), assigned[1].expect("given"));
        let (mut actual, mut heard) = self.listening(|w| w.expr(&a.value, None));
        let want = (!actual.is_error()).then(|| self.ty(&actual));
        let (expected, after) = self.listening(|w| w.expr(&b.value, want.as_ref()));
        // What leaves its type open takes that of the other.
        if !expected.is_error() && want.as_ref() != Some(&self.ty(&expected)) {
            let other = self.ty(&expected);
            let (again, said) = self.listening(|w| w.expr(&a.value, Some(&other)));
            if self.ty(&again) == other {
                (actual, heard) = (again, said);
            }
        }
        heard.into_iter().chain(after).for_each(|said| _ = self.keep(said));
        let tol = match assigned[2] {
            Some(arg) => (self.expr(&arg.value, None), arg.value.span),
            None => (Value::Static(Static::Float(1e-6, None)), form.span),
        };
        if actual.is_error() || expected.is_error() || tol.0.is_error() {
            return Err(self.reported());
        }
        let spans = (a.value.span, b.value.span, form.span);
        let close = self.close_to(&actual, &expected, &tol, spans)?;
        let Value::Tensor(leaf) = close else { unreachable!("a conjunction is a tensor") };
        let condition = self.slot_of("close", leaf);
        let mut message: Text = Vec::new();
        let (left, right) = (self.text(a.value.span), self.text(b.value.span));
        append(&mut message, &format!("{left} is not close to {right}: "));
        if !actual.is_tree() && !expected.is_tree() {
            self.shown(&actual, TextFormat::default(), a.value.span, &mut message)?;
            append(&mut message, " against ");
            self.shown(&expected, TextFormat::default(), b.value.span, &mut message)?;
        } else {
            append(&mut message, "some field differs");
        }
        self.close_region();
        self.state().push(Step::Assert { condition, message, span: form.span });
        Ok(Value::Unit)
    }

    /// Whether two values of one type differ nowhere by more than `tol * max(1, |expected|)`.
    fn close_to(
        &mut self,
        actual: &Value<'w>,
        expected: &Value<'w>,
        tol: &(Value<'w>, Span),
        (a, b, span): (Span, Span, Span),
    ) -> Eval<Value<'w>> {
        if actual.is_tree() {
            let ty = self.ty(actual);
            let expected = self.coerce(expected, &ty, b, None)?;
            let mut all: Option<Value<'w>> = None;
            for (x, y) in actual.children().into_iter().zip(expected.children()) {
                let part = self.close_to(x, y, tol, (a, b, span))?;
                all = Some(match all {
                    None => part,
                    Some(all) => {
                        let both = [(all, span), (part, span)];
                        self.elementwise(MapOp::And, "`assert_close`", &both, span)?
                    }
                });
            }
            return match all {
                Some(all) => Ok(all),
                None => Err(self.expected("a tensor or a struct of tensors", actual, a)),
            };
        }
        let want = self.strong_dtype(actual).or_else(|| self.strong_dtype(expected));
        let x = self.to_tensor(actual, want, a)?;
        let y = self.to_tensor(expected, want, b)?;
        let (tx, ty) = (self.node_ty(x).clone(), self.node_ty(y).clone());
        if tx != ty && ty.rank() != 0 {
            let found = self.tensor(y);
            let diagnostic = self.mismatch(&found, &Type::Tensor(tx), b);
            return Err(self.report(diagnostic));
        }
        if !tx.dtype.is_float() {
            let operands = [(self.tensor(x), a), (self.tensor(y), b)];
            let equal = self.elementwise(MapOp::Eq, "`assert_close`", &operands, span)?;
            return self.every(&equal, span);
        }
        let (x, y) = ((self.tensor(x), a), (self.tensor(y), b));
        let what = "`assert_close`";
        let difference = self.elementwise(MapOp::Sub, what, &[x, y.clone()], span)?;
        let difference = self.elementwise(MapOp::Abs, what, &[(difference, span)], span)?;
        let scale = self.elementwise(MapOp::Abs, what, &[y], span)?;
        let scale =
            self.elementwise(MapOp::Max, what, &[(scale, span), (Value::int(1), span)], span)?;
        let bound = self.elementwise(MapOp::Mul, what, &[(scale, span), tol.clone()], span)?;
        let close =
            self.elementwise(MapOp::Le, what, &[(difference, span), (bound, span)], span)?;
        self.every(&close, span)
    }

    fn every(&mut self, mask: &Value<'w>, span: Span) -> Eval<Value<'w>> {
        let node = self.to_tensor(mask, None, span)?;
        let rank = self.node_ty(node).rank() as u8;
        let all = crate::graph::fused::ReduceOp::All;
        let node = match rank {
            0 => node,
            _ => self.add(crate::graph::Op::Reduce(all, (0..rank).collect()), &[node], span)?,
        };
        Ok(self.tensor(node))
    }
}

fn append(text: &mut Text, more: &str) {
    if more.is_empty() {
        return;
    }
    match text.last_mut() {
        Some(TextPart::Text(last)) => last.push_str(more),
        _ => text.push(TextPart::Text(more.to_string())),
    }
}

/// The names of sizes in a type, in order.
fn size_names(ty: &ast::Type, names: &mut Vec<String>) {
    fn of_dim(dim: &ast::Dim, names: &mut Vec<String>) {
        match &dim.kind {
            ast::DimKind::Name(name) => {
                if !names.contains(name) {
                    names.push(name.clone());
                }
            }
            ast::DimKind::Binary { left, right, .. } => {
                of_dim(left, names);
                of_dim(right, names);
            }
            ast::DimKind::Neg(inner) | ast::DimKind::Paren(inner) => of_dim(inner, names),
            ast::DimKind::Int(_) | ast::DimKind::Pack(_) => {}
        }
    }
    match &ty.kind {
        ast::TypeKind::Named { args, .. } => {
            for arg in args {
                match arg {
                    ast::GenericArg::Dim(dim) => of_dim(dim, names),
                    ast::GenericArg::Type(ty) => size_names(ty, names),
                }
            }
        }
        ast::TypeKind::Tuple(items) => items.iter().for_each(|t| size_names(t, names)),
        ast::TypeKind::Record(fields) => fields.iter().for_each(|f| size_names(&f.ty, names)),
        ast::TypeKind::Paren(inner) => size_names(inner, names),
        ast::TypeKind::Fn { .. } => {}
    }
}
