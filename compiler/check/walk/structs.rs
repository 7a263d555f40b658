//! Struct literals.

use super::expr::quoted;
use super::infer::written_dtype;
use super::{Eval, Walk};
use crate::check::suggest::nearest;
use crate::check::types::{Bindings, Generic, Instance, Mismatch, Type, Unifier};
use crate::check::value::Value;
use crate::check::world::{Def, ModuleId, StructDef, StructId};
use crate::diag::{Diagnostic, Diagnostics, Span, codes};
use crate::syntax::ast;
use std::rc::Rc;

impl<'w> Walk<'w> {
    /// `Mlp { hidden: h, out }`: the struct's arguments are inferred from the fields and from the
    /// type asked for.
    pub(crate) fn struct_literal(
        &mut self,
        path: &'w ast::Path,
        inits: &'w [ast::FieldInit],
        rest: Option<&'w ast::Expr>,
        span: Span,
        want: Option<&Type>,
    ) -> Eval<Value<'w>> {
        let module = self.module();
        let Some(id) = self.world.resolve_struct(module, path) else {
            for init in inits {
                self.expr(&init.value, None);
            }
            return Err(match self.world.resolve(module, path) {
                Some(Def::Missing) => self.reported(),
                _ => self.unknown_struct(path),
            });
        };
        let def = self.world.structure(id);
        let rest = rest.map(|expr| (self.expr(expr, want), expr.span));
        let inits = self.assign_fields(def, inits, path.span, rest.is_some());
        let mut bindings = Bindings::open(&def.decl.generics, &def.sorts);
        let mut hints = bindings.clone();
        if let Some(Type::Struct(Instance { def: wanted, args, lanes })) = want
            && *wanted == id
            && lanes.is_empty()
        {
            for (binding, arg) in hints.0.iter_mut().zip(args.iter()) {
                binding.value = Some(arg.clone());
            }
        }
        let mut values: Vec<Option<Value<'w>>> = Vec::with_capacity(inits.len());
        let mut failed = false;
        for (i, (field, init)) in def.decl.fields.iter().zip(&inits).enumerate() {
            let all = bindings.or(&hints);
            let ty = self.try_ground(def.module, &all, &field.ty).ok();
            // What nothing has told yet is asked to be as by default.
            let asked = || {
                let known = all.clone().or_default(&def.decl.generics);
                self.try_ground(def.module, &known, &field.ty).ok()
            };
            let asked = ty.clone().or_else(asked);
            let (value, at) = match (init, &rest) {
                (Some(init), _) => (self.expr(&init.value, asked.as_ref()), init.value.span),
                (None, Some((Value::Struct(other, values), at)))
                    if other.def == id && other.lanes.is_empty() =>
                {
                    (values[i].clone(), *at)
                }
                (None, Some((Value::Error, at))) => (Value::Error, *at),
                (None, Some((other, at))) => {
                    let what = def.decl.name.name.clone();
                    self.expected(&what, &other.clone(), *at);
                    (Value::Error, *at)
                }
                (None, None) => (Value::Error, span),
            };
            let before: Vec<(&ast::Type, &Value<'w>)> = def
                .decl
                .fields
                .iter()
                .zip(&values)
                .filter_map(|(f, v)| Some((&f.ty, v.as_ref()?)))
                .collect();
            let fitted =
                self.field_value(id, field, (value, at), ty.as_ref(), &mut bindings, &before);
            failed |= fitted.is_none();
            values.push(fitted);
        }
        if failed {
            return Err(self.reported());
        }
        let all = bindings.or(&hints).or_default(&def.decl.generics);
        let args = self.all_bound(&all, &def.decl.name.name, path.span)?;
        let values: Vec<Value<'w>> = values.into_iter().flatten().collect();
        Ok(Value::Struct(Instance::new(id, args), values.into()))
    }

    /// A record as the struct that has its fields: what `vmap` makes of many structs is a record,
    /// of which each lane is a struct again.
    pub(crate) fn record_as(&self, id: StructId, value: &Value<'w>) -> Option<Value<'w>> {
        let record = self.as_records(value);
        let Value::Record(given) = &record else { return None };
        let def = self.world.structure(id);
        if given.len() != def.decl.fields.len() {
            return None;
        }
        let mut bindings = Bindings::open(&def.decl.generics, &def.sorts);
        let mut values = Vec::with_capacity(given.len());
        for field in &def.decl.fields {
            let (_, value) = given.iter().find(|(name, _)| *name == field.name.name)?;
            let value = self.record_as_declared(def.module, &field.ty, value.clone());
            let mut unifier = Unifier::new(self.world, def.module, &mut bindings);
            unifier.unify(&field.ty, &self.ty(&value)).and_then(|()| unifier.finish()).ok()?;
            values.push(value);
        }
        let args: Option<Vec<Generic>> = bindings.0.iter().map(|b| b.value.clone()).collect();
        Some(Value::Struct(Instance::new(id, args?), values.into()))
    }

    /// The value as one of a type that is asked for, where all that differs is whether a tree is a
    /// struct or the record of its fields: the lanes of a struct go where the struct does.
    pub(crate) fn as_asked(&self, value: Value<'w>, ty: &Type) -> Value<'w> {
        let part = |v: &Value<'w>, ty: &Type| self.as_asked(v.clone(), ty);
        let asked = match (ty, &value) {
            (Type::Tuple(types), Value::Tuple(parts)) if types.len() == parts.len() => {
                Value::tuple(parts.iter().zip(types).map(|(v, ty)| part(v, ty)).collect())
            }
            (Type::Record(types), Value::Struct(..)) => {
                let record = self.as_records(&value);
                let same = matches!(&record, Value::Record(parts) if parts.len() == types.len());
                if same { part(&record, ty) } else { return value }
            }
            (Type::Record(types), Value::Record(parts)) if parts.len() == types.len() => {
                let named = parts.iter().zip(types);
                Value::Record(named.map(|((n, v), (_, ty))| (n.clone(), part(v, ty))).collect())
            }
            (Type::Struct(of), Value::Struct(..) | Value::Record(_)) => {
                match self.fields_asked(of, &value) {
                    Some(parts) => Value::Struct(of.clone(), parts),
                    None => return value,
                }
            }
            _ => return value,
        };
        if self.ty(&asked) == *ty { asked } else { value }
    }

    /// The parts of a tree as the fields of a struct with these arguments; `None` where one does
    /// not fit.
    fn fields_asked(&self, of: &Instance, value: &Value<'w>) -> Option<Rc<[Value<'w>]>> {
        let def = self.world.structure(of.def);
        let mut bindings = Bindings::open(&def.decl.generics, &def.sorts);
        for (binding, arg) in bindings.0.iter_mut().zip(of.args.iter()) {
            binding.value = Some(arg.clone());
        }
        let given = |i: usize| match value {
            Value::Struct(found, parts) if found.def == of.def => parts.get(i),
            Value::Record(parts) if parts.len() == def.decl.fields.len() => {
                let name = &def.decl.fields[i].name.name;
                parts.iter().find(|(n, _)| n == name).map(|(_, v)| v)
            }
            _ => None,
        };
        let field = |(i, field): (usize, &ast::StructField)| {
            let ty = of.field(self.try_ground(def.module, &bindings, &field.ty).ok()?);
            let part = self.as_asked(given(i)?.clone(), &ty);
            (self.ty(&part) == ty).then_some(part)
        };
        def.decl.fields.iter().enumerate().map(field).collect()
    }

    /// The value, a record as the struct that is declared, where it fits.
    pub(crate) fn record_as_declared(
        &self,
        module: ModuleId,
        declared: &ast::Type,
        value: Value<'w>,
    ) -> Value<'w> {
        match (&declared.kind, &value) {
            (ast::TypeKind::Paren(inner), _) => self.record_as_declared(module, inner, value),
            (ast::TypeKind::Named { path, .. }, Value::Record(_) | Value::Struct(..))
                if is_lanes(&value) =>
            {
                let id = self.world.resolve_struct(module, path);
                id.and_then(|id| self.record_as(id, &value)).unwrap_or(value)
            }
            (ast::TypeKind::Tuple(types), Value::Tuple(parts)) if types.len() == parts.len() => {
                let parts = types.iter().zip(parts.iter());
                let fit = |(ty, v): (_, &Value<'w>)| self.record_as_declared(module, ty, v.clone());
                Value::tuple(parts.map(fit).collect())
            }
            _ => value,
        }
    }

    /// For each part of a tree, whether it is of a `frozen` field, which does not move.
    pub(crate) fn frozen_parts(&self, tree: &Value<'w>) -> Vec<bool> {
        match tree {
            Value::Struct(of, _) => {
                let fields = &self.world.structure(of.def).decl.fields;
                fields.iter().map(|field| field.frozen).collect()
            }
            other => vec![false; other.children().len()],
        }
    }

    /// Whether every tensor of a tree is one of floats.
    pub(crate) fn all_floats(&self, tree: &Value<'w>) -> bool {
        let mut all = true;
        tree.map_tensors(&mut |leaf| {
            all &= self.leaf_ty(leaf).dtype.is_float();
            Value::Tensor(leaf)
        });
        all
    }

    /// A tree with an image in the place of each leaf, but for what is frozen and no float.
    pub(crate) fn map_moving(
        &mut self,
        tree: &Value<'w>,
        f: &mut dyn FnMut(&mut Self, &Value<'w>) -> Eval<Value<'w>>,
    ) -> Eval<Value<'w>> {
        if !tree.is_tree() {
            return f(self, tree);
        }
        let mut parts = Vec::new();
        for (part, stays) in tree.children().into_iter().zip(self.frozen_parts(tree)) {
            let stays = stays && !self.all_floats(part);
            parts.push(if stays { part.clone() } else { self.map_moving(part, f)? });
        }
        Ok(tree.with_children(parts))
    }

    /// Calls a function for each leaf of a tree that is not frozen.
    pub(crate) fn each_moving(
        &mut self,
        tree: &Value<'w>,
        f: &mut dyn FnMut(&mut Self, &Value<'w>) -> Eval<()>,
    ) -> Eval<()> {
        if !tree.is_tree() {
            return f(self, tree);
        }
        let mut parts = tree.children().into_iter().zip(self.frozen_parts(tree));
        parts.try_for_each(|(part, stays)| if stays { Ok(()) } else { self.each_moving(part, f) })
    }

    /// A field's value, fitted to the field's type, whose open names it may bind.
    fn field_value(
        &mut self,
        id: StructId,
        field: &'w ast::StructField,
        (value, at): (Value<'w>, Span),
        ty: Option<&Type>,
        bindings: &mut Bindings,
        before: &[(&ast::Type, &Value<'w>)],
    ) -> Option<Value<'w>> {
        if value.is_error() {
            return None;
        }
        let def = self.world.structure(id);
        let value = match ty {
            Some(ty) => {
                let (fitted, heard) =
                    self.listening(|w| w.coerce(&value, ty, at, Some(field.ty.span)));
                match fitted {
                    Ok(fitted) => {
                        heard.into_iter().for_each(|said| _ = self.keep(said));
                        fitted
                    }
                    Err(_) => {
                        self.field_differs(id, field, (&value, at), bindings, (before, heard));
                        return None;
                    }
                }
            }
            // Only sizes are open: the element type is as written.
            None if value.is_weak() => {
                let known = bindings.clone().or_default(&def.decl.generics);
                let dtype = written_dtype(&field.ty, &known, &value);
                let node = self.to_tensor(&value, dtype, at).ok()?;
                self.tensor(node)
            }
            None => self.strengthen(&value, at).ok()?,
        };
        let found = self.ty(&value);
        let mut unifier = Unifier::new(self.world, def.module, bindings);
        let result = unifier.unify(&field.ty, &found).and_then(|()| match ty {
            // It is of the type asked for: what its sizes leave open (`H * D`), that type tells.
            Some(_) => Ok(()),
            None => unifier.finish(),
        });
        match result {
            Ok(()) => Some(value),
            Err(mismatch) => {
                let what = format!("the field `{}`", field.name.name);
                self.does_not_fit((&what, None), &field.ty, &value, at, mismatch, before);
                None
            }
        }
    }

    /// Reports a value that is not of the type that other fields, or the context, give a field: by
    /// what the others are, where they told.
    fn field_differs(
        &mut self,
        id: StructId,
        field: &'w ast::StructField,
        (value, at): (&Value<'w>, Span),
        bindings: &mut Bindings,
        (before, heard): (&[(&ast::Type, &Value<'w>)], Diagnostics),
    ) {
        let found = self.ty(value);
        let mut unifier = Unifier::new(self.world, self.world.structure(id).module, bindings);
        match unifier.unify(&field.ty, &found) {
            Err(mismatch @ Mismatch::Size { .. }) if !value.is_weak() => {
                let what = format!("the field `{}`", field.name.name);
                self.does_not_fit((&what, None), &field.ty, value, at, mismatch, before);
            }
            _ => heard.into_iter().for_each(|said| _ = self.keep(said)),
        }
    }

    /// The initialiser of each field; reports those that are unknown, repeated or missing.
    fn assign_fields(
        &mut self,
        def: &'w StructDef,
        inits: &'w [ast::FieldInit],
        at: Span,
        rest: bool,
    ) -> Vec<Option<&'w ast::FieldInit>> {
        let fields = &def.decl.fields;
        let mut assigned: Vec<Option<&'w ast::FieldInit>> = vec![None; fields.len()];
        let name = &def.decl.name.name;
        for init in inits {
            let Some(i) = fields.iter().position(|f| f.name.name == init.name.name) else {
                self.expr(&init.value, None);
                let message = format!("`{name}` has no field `{}`", init.name.name);
                let mut diagnostic =
                    Diagnostic::error(codes::UNKNOWN_FIELD, init.name.span, message);
                let names: Vec<&str> = fields.iter().map(|f| f.name.name.as_str()).collect();
                diagnostic = match nearest(&init.name.name, names.iter().copied()) {
                    Some(near) => diagnostic.help(format!("did you mean `{near}`?")),
                    None => diagnostic.help(format!("it has {}", quoted(&names))),
                };
                self.report(diagnostic);
                continue;
            };
            if let Some(first) = assigned[i] {
                let message = format!("the field `{}` is given twice", init.name.name);
                let code = codes::DUPLICATE;
                let diagnostic = Diagnostic::error(code, init.name.span, message);
                self.report(diagnostic.label(first.name.span, "first here"));
            }
            assigned[i] = Some(init);
        }
        let missing: Vec<&str> = fields
            .iter()
            .zip(&assigned)
            .filter(|(_, init)| init.is_none() && !rest)
            .map(|(f, _)| f.name.name.as_str())
            .collect();
        if !missing.is_empty() {
            let message = format!("`{name}` also has {}", quoted(&missing));
            self.error(codes::MISSING_FIELD, at, message);
        }
        assigned
    }

    fn unknown_struct(&mut self, path: &ast::Path) -> super::Reported {
        let module = self.module();
        if let Some(private) = self.world.private_elsewhere(module, path.last()) {
            return self.report(private);
        }
        let names = self.world.structs().map(|s| s.decl.name.name.as_str());
        let near = nearest(&path.last().name, names.chain(self.world.names(module)));
        let message = format!("there is no struct `{path}`");
        let mut diagnostic = Diagnostic::error(codes::UNKNOWN_TYPE, path.span, message);
        diagnostic.help.extend(near.map(|n| format!("did you mean `{n}`?")));
        self.report(diagnostic)
    }

    /// The arguments of a struct or function, all of which must be known by now.
    pub(crate) fn all_bound(
        &mut self,
        bindings: &Bindings,
        name: &str,
        span: Span,
    ) -> Eval<Vec<Generic>> {
        let open: Vec<&str> =
            bindings.0.iter().filter(|b| b.value.is_none()).map(|b| b.name.as_str()).collect();
        if open.is_empty() {
            return Ok(bindings.0.iter().filter_map(|b| b.value.clone()).collect());
        }
        let is = if open.len() == 1 { "is" } else { "are" };
        let message = format!("nothing tells what {} of `{name}` {is} here", quoted(&open));
        let diagnostic = Diagnostic::error(codes::CANNOT_INFER, span, message);
        let help = "say the type: `let x: … = …`, or give the sizes in brackets after the name";
        Err(self.report(diagnostic.help(help)))
    }

    /// A value's type cannot be the declared one. `others` are what the names in it were bound by.
    pub(crate) fn does_not_fit(
        &mut self,
        (what, call): (&str, Option<String>),
        declared: &ast::Type,
        value: &Value<'w>,
        at: Span,
        mismatch: Mismatch,
        others: &[(&ast::Type, &Value<'w>)],
    ) -> super::Reported {
        let ty = self.ty(value).show(self.world);
        let written = self.text(declared.span);
        let message = format!("{what} is {written}, found {ty}");
        match mismatch {
            Mismatch::Size { written, wanted, found, path, axis } => {
                let mut diagnostic = Diagnostic::error(codes::SHAPE_MISMATCH, at, message);
                diagnostic.notes.extend(call);
                let name = self.text(written);
                let wanted_text = wanted.to_string();
                let here = match name.replace(' ', "") == wanted_text.replace(' ', "") {
                    true => format!("{wanted} is expected, this is {found}"),
                    false => format!("`{name}` is {wanted} here, this is {found}"),
                };
                diagnostic = diagnostic.here(here);
                // Channels that come last, mostly.
                if let Type::Tensor(of) = self.ty(value)
                    && wanted.known().is_some()
                    && of.rank() > axis + 2
                    && of.shape[of.rank() - 1] == wanted
                {
                    let text = self.text(at);
                    let help = format!("the last axis has {wanted}: move_axis({text}, -1, {axis})");
                    diagnostic = diagnostic.help(help);
                }
                let found_at = self.axis_of(value, &path, axis, &found);
                let first = others.iter().find_map(|(ty, v)| self.axis_named(ty, v, &name));
                let packed = |walk: &mut Self| {
                    let mut others = others.iter();
                    others.find_map(|(ty, v)| walk.axis_packed(ty, v, &name, (axis, &wanted)))
                };
                let first = first.or_else(|| packed(self));
                let sources = (found_at, first);
                let sources = (self.source_of(sources.0), self.source_of(sources.1));
                diagnostic =
                    self.with_sources(diagnostic, (&found, sources.0), (&wanted, sources.1));
                self.report(diagnostic)
            }
            Mismatch::Rank => {
                let mut diagnostic = Diagnostic::error(codes::SHAPE_MISMATCH, at, message);
                diagnostic.notes.extend(call);
                self.report(diagnostic.here("another number of axes"))
            }
            Mismatch::DType(why) => {
                let mut diagnostic = Diagnostic::error(codes::DTYPE_MISMATCH, at, message);
                diagnostic.notes.extend(call);
                self.report(match why {
                    Some(why) => diagnostic.here(why),
                    None => diagnostic,
                })
            }
            Mismatch::Tree(why) => {
                self.report(Diagnostic::error(codes::TYPE_MISMATCH, at, message).here(why))
            }
            Mismatch::Kind => {
                let mut diagnostic = Diagnostic::error(codes::TYPE_MISMATCH, at, message);
                if let Type::Struct(of) = self.ty(value)
                    && !of.lanes.is_empty()
                {
                    let text = self.text(at);
                    let help = format!("one of them is {text}[i]; `scan` and `vmap` go along all");
                    diagnostic = diagnostic.help(help);
                }
                self.report(diagnostic)
            }
            Mismatch::Unknown(name) => self.unknown_type(&name),
            Mismatch::Malformed(span, message) => self.error(codes::BAD_TYPE, span, message),
            Mismatch::Reported => self.reported(),
            Mismatch::Open(name) => {
                let message = format!("nothing tells what `{name}` is here");
                self.error(codes::CANNOT_INFER, at, message)
            }
        }
    }
}

/// Whether a value is a record, or a stack of structs: what many structs are.
fn is_lanes(value: &Value<'_>) -> bool {
    match value {
        Value::Record(_) => true,
        Value::Struct(of, _) => !of.lanes.is_empty(),
        _ => false,
    }
}
