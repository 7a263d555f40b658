//! Expressions.

use super::fraction::{asks_float, fraction};
use super::{Eval, Walk};
use crate::check::builtin;
use crate::check::suggest::{self, nearest};
use crate::check::types::{Generic, Type};
use crate::check::value::{Callable, Lambda, Leaf, Static, Value};
use crate::check::world::{Def, GenericSort, ModuleId};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::{Dim, NodeId, Op, TensorType};
use crate::syntax::ast::{self, Expr, ExprKind};
use std::rc::Rc;
use tensc_runtime::DType;

impl<'w> Walk<'w> {
    /// The value of an expression; [`Value::Error`] where it has none. `want` is the type that the
    /// context asks for, where it does: it helps to infer, and need not be met.
    pub(crate) fn expr(&mut self, expr: &'w Expr, want: Option<&Type>) -> Value<'w> {
        let span = expr.span;
        self.deeper(span, |w| w.eval(expr, want)).unwrap_or(Value::Error)
    }

    fn eval(&mut self, expr: &'w Expr, want: Option<&Type>) -> Eval<Value<'w>> {
        let span = expr.span;
        match &expr.kind {
            ExprKind::Int { value, .. } => Ok(Value::int(*value)),
            ExprKind::Float { value, text } => {
                Ok(Value::Static(Static::Float(*value, Some(text.as_str().into()))))
            }
            ExprKind::Bool(b) => Ok(Value::Static(Static::Bool(*b))),
            ExprKind::None => Ok(Value::Unit),
            ExprKind::Str(parts) => self.plain_text(parts, span),
            ExprKind::Name(name) => self.name(name, span),
            ExprKind::Spread(name) => {
                let message = format!("`{}...` stands for sizes in a list only", name.name);
                Err(self.error(codes::MISPLACED, span, message))
            }
            ExprKind::Paren(inner) => self.eval(inner, want),
            ExprKind::Tuple(items) if items.is_empty() => Ok(Value::Unit),
            ExprKind::Tuple(items) => {
                let part = |i: usize| match want {
                    Some(Type::Tuple(types)) => types.get(i),
                    _ => None,
                };
                let items =
                    items.iter().enumerate().map(|(i, item)| self.expr(item, part(i))).collect();
                Ok(Value::tuple(items))
            }
            ExprKind::Array(items) => self.list(items, want),
            ExprKind::Struct { path, fields, rest } => {
                self.struct_literal(path, fields, rest.as_deref(), span, want)
            }
            ExprKind::Field { base, name } => {
                let base_value = self.expr(base, None);
                self.field(&base_value, base.span, name)
            }
            ExprKind::Call { callee, args } => {
                let function = self.callee(callee)?;
                self.call(&function, callee.span, args, span, want)
            }
            ExprKind::Index { base, args } => match self.expr(base, None) {
                Value::Error => Err(self.reported()),
                Value::Function(function) => self.with_generics(&function, args, span),
                value => self.index(&value, base.span, args, span),
            },
            ExprKind::Unary { op, operand } => {
                let value = self.expr(operand, want);
                self.unary(*op, (value, operand.span), span)
            }
            ExprKind::Binary { op, left, right, .. } => {
                let want = want.filter(|_| op.keeps_element_type());
                let mut values = [self.operand(left, want), self.operand(right, want)];
                self.with_fractions(&[left, right], &mut values);
                let [a, b] = values;
                match fraction(*op, &a, &b) {
                    Some(fraction) if asks_float(want) => Ok(fraction),
                    _ => self.binary(*op, (a, left.span), (b, right.span), span),
                }
            }
            ExprKind::If { cond, then, otherwise } => {
                self.if_expr(cond, then, otherwise.as_deref(), span, want)
            }
            ExprKind::Block(block) => Ok(self.block(block, want)),
            ExprKind::As { value, ty } => self.load_as(value, ty, span),
            ExprKind::Lambda { params, ret, body } => {
                Ok(self.lambda(params, ret.as_ref(), body, span))
            }
            ExprKind::Scan { pattern, iter, state, body } => {
                self.scan(pattern, iter, state.as_deref(), body, (span, want))
            }
            ExprKind::Comprehension { indices, body } => {
                self.comprehension(indices, body, span, want)
            }
            ExprKind::Reduction { op, op_span: _, indices, body } => {
                self.reduction(*op, indices, body, span, want)
            }
        }
    }

    /// An operand of an operation whose result is asked for: of its element type, and perhaps not
    /// of its shape. How far an index runs is not told by what may be stretched.
    fn operand(&mut self, expr: &'w Expr, want: Option<&Type>) -> Value<'w> {
        let indices = matches!(expr.kind, ExprKind::Comprehension { .. });
        self.expr(expr, want.filter(|_| !indices))
    }

    fn callee(&mut self, callee: &'w Expr) -> Eval<Rc<Callable<'w>>> {
        match self.expr(callee, None) {
            Value::Function(function) => Ok(function),
            Value::Error => Err(self.reported()),
            other => {
                // A module that is imported leaves the function of its name to calls.
                if let (Value::Module(_), ExprKind::Name(name)) = (&other, &callee.kind)
                    && let Some(function) = self.function_of_all(name)
                {
                    return Ok(function);
                }
                let message = format!("`{}` is no function", self.text(callee.span));
                let here = match &other {
                    Value::Module(_) => "a module".to_string(),
                    value => self.show(value),
                };
                let code = codes::NOT_CALLABLE;
                let diagnostic = Diagnostic::error(code, callee.span, message);
                let mut diagnostic = diagnostic.here(format!("this is {here}"));
                diagnostic.help.extend(self.function_of(&other, callee.span));
                Err(self.report(diagnostic))
            }
        }
    }

    /// A function that every file sees.
    fn function_of_all(&self, name: &str) -> Option<Rc<Callable<'w>>> {
        let prelude = || match self.world.in_prelude(name)? {
            Def::Fn(id) => Some(Callable::Fn(id, Rc::new([]))),
            _ => None,
        };
        builtin::find(name).map(Callable::Builtin).or_else(prelude).map(Rc::new)
    }

    /// Text without interpolations.
    fn plain_text(&mut self, parts: &'w [ast::StrPart], span: Span) -> Eval<Value<'w>> {
        match parts {
            [] => {
                let inside = Span { start: span.start + 1, end: span.end - 1, ..span };
                Ok(Value::Static(Static::Str("".into(), inside)))
            }
            [ast::StrPart::Text { value, span }] => {
                Ok(Value::Static(Static::Str(value.as_str().into(), *span)))
            }
            _ => {
                let message =
                    "values can be put into text only where it is printed or names a file";
                Err(self.error(codes::MISPLACED, span, message))
            }
        }
    }

    fn list(&mut self, items: &'w [Expr], want: Option<&Type>) -> Eval<Value<'w>> {
        let mut list = Vec::with_capacity(items.len());
        let row = match want {
            Some(Type::Tensor(ty)) => {
                let shape = ty.shape.iter().skip(1).cloned();
                Some(Type::Tensor(TensorType::new(ty.dtype, shape)))
            }
            _ => None,
        };
        for item in items {
            if let ExprKind::Spread(pack) = &item.kind {
                match self.name(&pack.name, pack.span)? {
                    Value::List(dims) => {
                        list.extend(dims.iter().map(|(dim, _)| (dim.clone(), item.span)));
                    }
                    other => return Err(self.expected("a pack of sizes", &other, pack.span)),
                }
            } else {
                list.push((self.expr(item, row.as_ref()), item.span));
            }
        }
        if items.len() == list.len() {
            let (mut values, spans): (Vec<_>, Vec<_>) = list.into_iter().unzip();
            self.with_fractions(&items.iter().collect::<Vec<_>>(), &mut values);
            list = values.into_iter().zip(spans).collect();
        }
        Ok(Value::List(list.into()))
    }

    /// What a name means: a local, a generic parameter, an item, a built-in function.
    pub(crate) fn name(&mut self, name: &str, span: Span) -> Eval<Value<'w>> {
        if let Some(local) = self.local(name) {
            self.locals[local].read = true;
            let value = self.locals[local].value.clone();
            self.use_index(&value);
            return Ok(value);
        }
        if let Some(binding) = self.frame().generics.get(name) {
            match &binding.value {
                Some(Generic::Dim(dim)) => return Ok(Value::dim(dim.clone())),
                Some(Generic::Pack(dims)) => {
                    let dims = dims.iter().map(|d| (Value::dim(d.clone()), span));
                    return Ok(Value::List(dims.collect()));
                }
                Some(Generic::DType(dtype)) => {
                    return Ok(Value::Function(Rc::new(Callable::Convert(*dtype))));
                }
                Some(Generic::Tree(_)) => {
                    let message = format!("`{name}` is a type, a value was expected");
                    return Err(self.error(codes::WRONG_KIND, span, message));
                }
                None => return Err(self.reported()),
            }
        }
        if let Some(def) = self.world.lookup(self.module(), name) {
            return self.def(def, name, span);
        }
        if let Some(dtype) = DType::from_name(name) {
            return Ok(Value::Function(Rc::new(Callable::Convert(dtype))));
        }
        if let Some(value) = builtin::constant(name) {
            return Ok(Value::Static(Static::Float(value, None)));
        }
        match builtin::find(name) {
            Some(builtin) => Ok(Value::Function(Rc::new(Callable::Builtin(builtin)))),
            None => Err(self.unknown_name(name, span)),
        }
    }

    fn def(&mut self, def: Def, name: &str, span: Span) -> Eval<Value<'w>> {
        match def {
            Def::Fn(id) => Ok(Value::Function(Rc::new(Callable::Fn(id, Rc::new([]))))),
            Def::Module(id) => Ok(Value::Module(id)),
            Def::Missing => Err(self.reported()),
            Def::Struct(_) => {
                let message = format!("`{name}` is a struct, a value was expected");
                let diagnostic = Diagnostic::error(codes::WRONG_KIND, span, message);
                Err(self.report(diagnostic.help(format!("make one: {name} {{ … }}"))))
            }
            Def::Input(_) => {
                let message = format!("the input `{name}` is known in `main` and tests only");
                let diagnostic = Diagnostic::error(codes::MISPLACED, span, message);
                let help = format!("give `{name}` to the function as an argument");
                Err(self.report(diagnostic.help(help)))
            }
        }
    }

    pub(crate) fn unknown_name(&mut self, name: &str, span: Span) -> super::Reported {
        let message = format!("`{name}` is not defined");
        let diagnostic = Diagnostic::error(codes::UNKNOWN_NAME, span, message);
        if let Some(help) = suggest::module(name, self.text_after(span)) {
            return self.report(diagnostic.help(help));
        }
        let locals = self.visible().iter().map(|l| l.name.as_str());
        let generics = self.frame().generics.0.iter().map(|b| b.name.as_str());
        let items = self.world.names(self.module());
        let builtins = builtin::table().iter().map(|b| b.name);
        let known = locals.chain(generics).chain(items).chain(builtins);
        let diagnostic = suggest::instead(diagnostic, name, known);
        self.report(diagnostic)
    }

    /// `value.name`: a field, a part of a tuple, or a member of a module.
    fn field(&mut self, base: &Value<'w>, base_span: Span, name: &ast::Ident) -> Eval<Value<'w>> {
        let fields: Vec<&str> = match base {
            Value::Error => return Err(self.reported()),
            Value::Module(module) => return self.member(*module, name),
            Value::Struct(of, values) => {
                let decl = &self.world.structure(of.def).decl;
                if let Some(i) = decl.fields.iter().position(|f| f.name.name == name.name) {
                    return Ok(values[i].clone());
                }
                decl.fields.iter().map(|f| f.name.name.as_str()).collect()
            }
            Value::Record(values) => {
                if let Some((_, value)) = values.iter().find(|(n, _)| *n == name.name) {
                    return Ok(value.clone());
                }
                values.iter().map(|(n, _)| n.as_str()).collect()
            }
            other => {
                let position = name.name.parse::<usize>().ok();
                if let Some(value) = position.and_then(|i| other.numbered().into_iter().nth(i)) {
                    return Ok(value.clone());
                }
                Vec::new()
            }
        };
        let (ty, text) = (self.show(base), self.text(base_span));
        let message = format!("`{text}` has no field `{}`", name.name);
        let mut diagnostic = Diagnostic::error(codes::UNKNOWN_FIELD, name.span, message);
        diagnostic = diagnostic.label(base_span, format!("this is {ty}"));
        if let Some(near) = nearest(&name.name, fields.iter().copied()) {
            diagnostic = diagnostic.help(format!("did you mean `{near}`?"));
        } else if !fields.is_empty() {
            diagnostic = diagnostic.help(format!("it has {}", quoted(&fields)));
        } else if name.name == "T" {
            diagnostic = diagnostic.help(format!("write transpose({text})"));
        } else if name.name == "shape" {
            diagnostic = diagnostic.help("sizes are names: take them from the function's brackets");
        } else if let Some(help) = suggest::method(&name.name, &text) {
            diagnostic = diagnostic.help(help);
        } else if name.name == "at" {
            diagnostic = diagnostic.help(format!("write where(arange(n) == i, new, {text})"));
        }
        Err(self.report(diagnostic))
    }

    fn member(&mut self, module: ModuleId, name: &ast::Ident) -> Eval<Value<'w>> {
        if let Some(private) = self.world.private(module, name) {
            return Err(self.report(private));
        }
        if let Some(def) = self.world.member(module, &name.name) {
            return self.def(def, &name.name, name.span);
        }
        let of = self.world.module(module);
        let message = format!("`{}` has no `{}`", of.name, name.name);
        let mut diagnostic = Diagnostic::error(codes::UNKNOWN_MEMBER, name.span, message);
        let near = nearest(&name.name, self.world.public_names(module));
        diagnostic.help.extend(near.map(|n| format!("did you mean `{n}`?")));
        Err(self.report(diagnostic))
    }

    /// `f[N, f32]`: explicit generic arguments.
    fn with_generics(
        &mut self,
        function: &Callable<'w>,
        args: &'w [ast::IndexArg],
        span: Span,
    ) -> Eval<Value<'w>> {
        let Callable::Fn(id, _) = function else {
            let message = "only functions with generic parameters take arguments in brackets";
            return Err(self.error(codes::BAD_ARGUMENTS, span, message));
        };
        let def = self.world.function(*id);
        let packs = def.sorts.iter().filter(|s| **s == GenericSort::Pack).count();
        let single = def.sorts.len() - packs;
        if args.len() > single && packs == 0 {
            let message = format!(
                "`{}` has {single} generic parameter{}, found {} arguments",
                def.decl.name.name,
                if single == 1 { "" } else { "s" },
                args.len()
            );
            return Err(self.error(codes::BAD_ARGUMENTS, span, message));
        }
        let mut values = Vec::with_capacity(args.len());
        for arg in args {
            let ast::IndexArg::Expr(expr) = arg else {
                let message = "a size or a type was expected here";
                return Err(self.error(codes::BAD_ARGUMENTS, arg.span(), message));
            };
            values.push((self.expr(expr, None), expr.span));
        }
        // Beside a pack, what has a default is given where an element type stands at the end.
        let dtype = |(value, _): &&(Value<'w>, Span)| matches!(value, Value::Function(_));
        let given = values.iter().rev().take_while(dtype).count();
        let optional = def.decl.generics.iter().filter(|g| g.default.is_some()).count();
        let single = match packs {
            0 => single,
            _ => single - optional.saturating_sub(given),
        };
        let mut rest = &values[..];
        let mut generics = Vec::new();
        for sort in &def.sorts {
            if rest.is_empty() {
                break;
            }
            let width = match sort {
                GenericSort::Pack => values.len() - single.min(values.len()),
                _ => 1,
            };
            let (group, after) = rest.split_at(width.min(rest.len()));
            rest = after;
            generics.push(self.generic(*sort, group)?);
        }
        Ok(Value::Function(Rc::new(Callable::Fn(*id, generics.into()))))
    }

    fn generic(&mut self, sort: GenericSort, values: &[(Value<'w>, Span)]) -> Eval<Generic> {
        match (sort, values) {
            (GenericSort::Dim, [(Value::Static(Static::Dim(dim)), _)]) => {
                Ok(Generic::Dim(dim.clone()))
            }
            (GenericSort::Pack, dims) => {
                let mut pack = Vec::with_capacity(dims.len());
                for (value, span) in dims {
                    pack.push(self.as_dim(value, *span)?);
                }
                Ok(Generic::Pack(pack))
            }
            (GenericSort::DType(_), [(Value::Function(f), span)]) => match &**f {
                Callable::Convert(dtype) if sort.accepts(*dtype) => Ok(Generic::DType(*dtype)),
                _ => Err(self.expected("an element type", &values[0].0, *span)),
            },
            (_, values) => {
                let what = match sort {
                    GenericSort::Dim => "a size",
                    GenericSort::DType(_) => "an element type",
                    GenericSort::Tree | GenericSort::Pack => "an inferred type",
                };
                let (value, span) = &values[0];
                Err(self.expected(what, value, *span))
            }
        }
    }

    /// The value as a size.
    pub(crate) fn as_dim(&mut self, value: &Value<'w>, span: Span) -> Eval<Dim> {
        match value {
            Value::Static(Static::Dim(dim)) => Ok(dim.clone()),
            Value::Error => Err(self.reported()),
            Value::Tensor(leaf) => match self.size_of(*leaf) {
                Some(dim) => Ok(dim),
                None => {
                    self.whole_quotient(*leaf, span)?;
                    let message =
                        "a size must be known to the compiler, this is computed at run time";
                    Err(self.error(codes::NOT_STATIC, span, message))
                }
            },
            other => Err(self.expected("a size", other, span)),
        }
    }

    /// The number that an integer of a declared type is, where the compiler knows it.
    pub(crate) fn known_integer(&self, leaf: Leaf) -> Option<Dim> {
        match leaf {
            Leaf::Node(level, node) => integer(self.levels[level as usize].graph.op(node)),
            Leaf::Slot(slot) => self.script.as_ref()?.integer(slot),
        }
    }

    fn lambda(
        &mut self,
        params: &'w [ast::Param],
        ret: Option<&'w ast::Type>,
        body: &'w Expr,
        span: Span,
    ) -> Value<'w> {
        let base = self.frame().base;
        self.locals[base..].iter_mut().for_each(|local| local.read = true);
        let captured = self.visible().iter().map(|l| (l.name.clone(), l.value.clone())).collect();
        let (module, generics) = (self.module(), self.frame().generics.clone());
        let lambda = Lambda { params, ret, body, module, generics, captured, span };
        Value::Function(Rc::new(Callable::Lambda(lambda)))
    }

    /// `if c { a } else { b }`: a known condition chooses what is walked; otherwise the arm that is
    /// taken is computed, or both, and selected, where that is no more work (`lazy`).
    fn if_expr(
        &mut self,
        cond: &'w Expr,
        then: &'w ast::Block,
        otherwise: Option<&'w Expr>,
        span: Span,
        want: Option<&Type>,
    ) -> Eval<Value<'w>> {
        let condition = self.expr(cond, None);
        match condition {
            Value::Error => Err(self.reported()),
            Value::Static(Static::Bool(true)) => Ok(self.block(then, want)),
            Value::Static(Static::Bool(false)) => match otherwise {
                Some(otherwise) => self.eval(otherwise, want),
                None => Ok(Value::Unit),
            },
            condition => {
                let mask = self.condition(&condition, cond.span)?;
                let start = self.level().graph.len();
                let before = std::mem::replace(&mut self.assignable_from, self.locals.len());
                let outside = std::mem::replace(&mut self.both_ways, true);
                let a = self.block(then, want);
                let b = otherwise.map_or(Value::Unit, |e| self.expr(e, want));
                let (a, b) = self.arms_with_fractions((then, a), (otherwise, b));
                self.both_ways = outside;
                self.assignable_from = before;
                if otherwise.is_none() && !matches!(a, Value::Unit | Value::Error) {
                    let message = "an `if` without `else` has no value";
                    let diagnostic = Diagnostic::error(codes::TYPE_MISMATCH, span, message);
                    let help = format!("say what it is where {} is false", self.text(cond.span));
                    return Err(self.report(diagnostic.help(help)));
                }
                let mut pairs = Vec::new();
                let both = self.paired(&a, &b, (span, want), &mut pairs)?;
                let Value::Tensor(leaf) = mask else { unreachable!("a condition is a tensor") };
                let mask = self.node(leaf);
                let chosen = self.taken(mask, &pairs, start, span)?;
                Ok(self.with_nodes(&both, &mut chosen.into_iter()))
            }
        }
    }

    /// A condition as a tensor.
    pub(super) fn condition(&mut self, value: &Value<'w>, at: Span) -> Eval<Value<'w>> {
        let mask = self.to_tensor(value, Some(DType::Bool), at)?;
        let ty = self.node_ty(mask).clone();
        let mask = self.tensor(mask);
        if ty.dtype == DType::Bool && ty.rank() == 0 {
            return Ok(mask);
        }
        let message = format!("a condition is a bool scalar, found {}", self.show(&mask));
        let diagnostic = Diagnostic::error(codes::TYPE_MISMATCH, at, message);
        let help = match ty.rank() {
            0 => format!("compare it: {} != 0", self.text(at)),
            _ => "choose between tensors elementwise with where(c, a, b)".to_string(),
        };
        Err(self.report(diagnostic.help(help)))
    }

    /// The form of two values of one type, and the pairs of their tensors; numbers in both become
    /// of the type that is asked for.
    pub(super) fn paired(
        &mut self,
        a: &Value<'w>,
        b: &Value<'w>,
        (span, want): (Span, Option<&Type>),
        pairs: &mut Vec<(NodeId, NodeId)>,
    ) -> Eval<Value<'w>> {
        match (a, b) {
            (Value::Error, _) | (_, Value::Error) => return Err(self.reported()),
            (Value::Unit, Value::Unit) => return Ok(Value::Unit),
            _ => {}
        }
        let (ta, tb) = (self.ty(a), self.ty(b));
        // Numbers in tuples take their types one by one.
        let tuples = matches!((a, b), (Value::Tuple(a), Value::Tuple(b)) if a.len() == b.len());
        if tuples || a.is_tree() && ta == tb {
            let parts = a.children().into_iter().zip(b.children()).enumerate();
            let part = |(i, (a, b))| {
                let want = match want {
                    Some(Type::Tuple(types)) => types.get(i),
                    _ => None,
                };
                self.paired(a, b, (span, want), pairs)
            };
            let parts: Eval<Vec<_>> = parts.map(part).collect();
            return Ok(a.with_children(parts?));
        }
        let both = |w: &mut Self, x: &Value<'w>, want: Option<DType>| w.to_tensor(x, want, span);
        let asked = match want {
            Some(Type::Tensor(ty)) => Some(ty.dtype),
            _ => None,
        };
        let strong = self.strong_dtype(a).or_else(|| self.strong_dtype(b));
        let want = strong.or(asked).or_else(|| match (&ta, &tb) {
            (Type::Tensor(a), Type::Tensor(b)) if a.dtype.is_float() || b.dtype.is_float() => {
                Some(DType::F32)
            }
            _ => None,
        });
        let x = both(self, a, want)?;
        let y = both(self, b, want)?;
        let (tx, ty) = (self.node_ty(x).clone(), self.node_ty(y).clone());
        if tx != ty {
            let message = format!("both arms of `if` must be of one type, found {tx} and {ty}");
            let diagnostic = Diagnostic::error(codes::TYPE_MISMATCH, span, message);
            let differ = |&axis: &usize| tx.shape.get(axis) != ty.shape.get(axis);
            let diagnostic = match (0..tx.rank()).find(differ) {
                Some(axis) if tx.rank() == ty.rank() => {
                    self.with_sizes(diagnostic, (x, axis), (y, axis))
                }
                _ => diagnostic,
            };
            return Err(self.report(diagnostic));
        }
        pairs.push((x, y));
        Ok(self.tensor(x))
    }

    /// The tensor of a leaf, as a node of the current graph.
    pub(crate) fn leaf_node(&mut self, value: &Value<'w>) -> Option<NodeId> {
        match value {
            Value::Tensor(leaf @ (Leaf::Node(..) | Leaf::Slot(_))) => Some(self.node(*leaf)),
            _ => None,
        }
    }
}

/// The number that an operation gives, if it is a known integer.
pub(crate) fn integer(op: &Op) -> Option<Dim> {
    match op {
        Op::Const(scalar) if scalar.dtype().is_int() => Some(Dim::Const(scalar.to_i64())),
        Op::Size(dim, dtype) if dtype.is_int() => Some(dim.clone()),
        _ => None,
    }
}

/// `` `a`, `b` and `c` ``
pub(crate) fn quoted(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|n| format!("`{n}`")).collect();
    match quoted.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [init @ .., last] => format!("{} and {last}", init.join(", ")),
    }
}
