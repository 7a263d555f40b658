//! Numbers whose element type is still open, and fitting a value to the type that is asked for.
//!
//! A literal, a size and what is computed from them alone is *weak*: it becomes a tensor of the
//! type that the context asks for, `f32` or `i64` where nothing asks.

use super::{Eval, Walk};
use crate::check::types::Type;
use crate::check::value::{SizeOrigin, SizeSource, Static, Value};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::ops::LiteralTensor;
use crate::graph::{Dim, NodeId, Op};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use tensc_runtime::{DType, Scalar, Tensor};

impl<'w> Walk<'w> {
    /// The value as a tensor of the current graph; a weak one becomes `want`.
    pub(crate) fn to_tensor(
        &mut self,
        value: &Value<'w>,
        want: Option<DType>,
        span: Span,
    ) -> Eval<NodeId> {
        match value {
            Value::Tensor(leaf) => Ok(self.node(*leaf)),
            Value::Static(Static::Dim(Dim::Const(n))) => {
                let scalar = self.int_scalar(*n, want.unwrap_or(DType::I64), span)?;
                Ok(self.constant(scalar, span))
            }
            Value::Static(Static::Dim(dim)) => {
                let dtype = want.unwrap_or(DType::I64);
                if dtype == DType::Bool {
                    return Err(self.expected("a bool", value, span));
                }
                self.add(Op::Size(dim.clone(), dtype), &[], span)
            }
            Value::Static(Static::Float(x, text)) => {
                let scalar = self.float_scalar(*x, text.as_deref(), want, span)?;
                Ok(self.constant(scalar, span))
            }
            Value::Static(computed @ Static::Computed(..)) => {
                // Where no float is asked for it is one nonetheless, which is refused as such.
                let dtype = want.filter(|dtype| dtype.is_float()).unwrap_or(DType::F32);
                self.computed(computed, dtype, span, &mut FxHashMap::default())
            }
            Value::Static(Static::Bool(b)) => match want {
                None | Some(DType::Bool) => Ok(self.constant(Scalar::new(*b), span)),
                Some(dtype) => {
                    let message = format!("expected {dtype}, found bool");
                    let diagnostic = Diagnostic::error(codes::DTYPE_MISMATCH, span, message);
                    Err(self.report(diagnostic.help(format!("convert it: {dtype}(…)"))))
                }
            },
            Value::List(items) => self.list_tensor(items, want, span),
            _ => Err(self.expected("a tensor", value, span)),
        }
    }

    /// A number that is computed from sizes, in this type; what it holds several times is computed
    /// once.
    fn computed(
        &mut self,
        known: &Static,
        dtype: DType,
        span: Span,
        done: &mut FxHashMap<*const Static, NodeId>,
    ) -> Eval<NodeId> {
        let Static::Computed(map, operands) = known else {
            return self.to_tensor(&Value::Static(known.clone()), Some(dtype), span);
        };
        if let Some(&node) = done.get(&operands.as_ptr()) {
            return Ok(node);
        }
        let mut nodes: SmallVec<[NodeId; 3]> = SmallVec::new();
        for operand in operands.iter() {
            nodes.push(self.computed(operand, dtype, span, done)?);
        }
        let node = self.add(*map, &nodes, span)?;
        done.insert(operands.as_ptr(), node);
        Ok(node)
    }

    fn int_scalar(&mut self, n: i64, dtype: DType, span: Span) -> Eval<Scalar> {
        let scalar = Scalar::from_i64(dtype, n);
        if dtype == DType::Bool || (dtype.is_int() && scalar.to_i64() != n) {
            let message = format!("{n} is no value of type {dtype}");
            return Err(self.error(codes::BAD_LITERAL, span, message));
        }
        Ok(scalar)
    }

    fn float_scalar(
        &mut self,
        x: f64,
        text: Option<&str>,
        want: Option<DType>,
        span: Span,
    ) -> Eval<Scalar> {
        let dtype = want.unwrap_or(DType::F32);
        if !dtype.is_float() {
            let message = format!("expected {dtype}, found the float {x:?}");
            let diagnostic = Diagnostic::error(codes::DTYPE_MISMATCH, span, message);
            let help = match x.fract() == 0.0 && dtype.is_int() {
                true => format!("convert the {dtype} to a float: f32(…); {x:.0} is an integer"),
                false => format!("convert it, or the {dtype} to a float type: f32(…)"),
            };
            return Err(self.report(diagnostic.help(help)));
        }
        // A literal is rounded once, from its decimal spelling.
        let once = text.filter(|_| dtype == DType::F32);
        let scalar = match once.and_then(|t| t.replace('_', "").parse::<f32>().ok()) {
            Some(single) => Scalar::new(single),
            None => Scalar::from_f64(dtype, x),
        };
        if scalar.to_f64().is_infinite() && x.is_finite() {
            let message = format!("{x:?} is too large for {dtype}");
            return Err(self.error(codes::BAD_LITERAL, span, message));
        }
        Ok(scalar)
    }

    /// The tensor of a list's values: a constant where all are known, rows joined otherwise.
    fn list_tensor(
        &mut self,
        items: &[(Value<'w>, Span)],
        want: Option<DType>,
        span: Span,
    ) -> Eval<NodeId> {
        if items.is_empty() {
            let message = "nothing tells the type and shape of an empty list";
            let diagnostic = Diagnostic::error(codes::CANNOT_INFER, span, message);
            return Err(self.report(diagnostic.help("write zeros([0])")));
        }
        let mut flat = Vec::new();
        if let Some(shape) = constants(items, &mut flat) {
            let dtype = want.unwrap_or_else(|| literal_dtype(&flat));
            let mut scalars = Vec::with_capacity(flat.len());
            for (value, at) in flat {
                scalars.push(match value {
                    Static::Dim(Dim::Const(n)) => self.int_scalar(*n, dtype, at)?,
                    Static::Float(x, text) => {
                        self.float_scalar(*x, text.as_deref(), Some(dtype), at)?
                    }
                    Static::Bool(b) if dtype == DType::Bool => Scalar::new(*b),
                    other => {
                        return Err(self.expected(dtype.name(), &Value::Static(other.clone()), at));
                    }
                });
            }
            let node = self.add(Op::Literal(literal(dtype, &shape, &scalars)), &[], span)?;
            for axis in 0..shape.len() {
                let source = SizeSource { span, ty: None, owner: None };
                self.set_origin(node, axis, SizeOrigin::Written(source));
            }
            return Ok(node);
        }
        // The element type is that of the first tensor in it, or of a float.
        let want = want.or_else(|| items.iter().find_map(|(v, _)| self.strong_dtype(v)));
        let float = items.iter().any(|(v, _)| v.has_float());
        let want = want.or(Some(DType::F32).filter(|_| float));
        let mut rows = Vec::with_capacity(items.len());
        for (item, at) in items {
            rows.push((self.to_tensor(item, want, *at)?, *at));
        }
        self.stack(&rows, 0, span)
    }

    /// The element type of the first tensor in a value.
    pub(crate) fn strong_dtype(&self, value: &Value<'w>) -> Option<DType> {
        match value {
            Value::Tensor(leaf) => Some(self.leaf_ty(*leaf).dtype),
            Value::List(items) => items.iter().find_map(|(v, _)| self.strong_dtype(v)),
            tree => tree.children().into_iter().find_map(|v| self.strong_dtype(v)),
        }
    }

    /// Tensors of one type along a new axis.
    pub(crate) fn stack(
        &mut self,
        rows: &[(NodeId, Span)],
        axis: usize,
        span: Span,
    ) -> Eval<NodeId> {
        let mut parts = Vec::with_capacity(rows.len());
        let first = self.node_ty(rows[0].0).clone();
        for &(row, at) in rows {
            let ty = self.node_ty(row).clone();
            if ty != first {
                let message = format!("what is joined must be of one type, found {first} and {ty}");
                let code = codes::SHAPE_MISMATCH;
                let diagnostic = Diagnostic::error(code, at, message).here(format!("this is {ty}"));
                return Err(self.report(diagnostic.label(rows[0].1, format!("this is {first}"))));
            }
            let mut shape = ty.shape.clone();
            shape.insert(axis, Dim::Const(1));
            parts.push(self.reshape(row, shape, span)?);
        }
        match parts.as_slice() {
            &[one] => Ok(one),
            many => self.add(Op::Concat(axis as u8), many, span),
        }
    }

    /// The value as one of this type: weak parts take the element types asked for. `declared` is
    /// where the type is written.
    pub(crate) fn coerce(
        &mut self,
        value: &Value<'w>,
        ty: &Type,
        span: Span,
        declared: Option<Span>,
    ) -> Eval<Value<'w>> {
        if value.is_error() {
            return Err(self.reported());
        }
        let found = self.fit(value, ty, span)?;
        if self.ty(&found) == *ty {
            return Ok(found);
        }
        let mut diagnostic = self.mismatch(&found, ty, span);
        if let Some(declared) = declared {
            let text = format!("{} is declared here", ty.show(self.world));
            diagnostic = diagnostic.label(declared, text);
        }
        Err(self.report(diagnostic))
    }

    /// The value with its weak parts of the element types asked for; the others are as they were.
    pub(crate) fn fit(&mut self, value: &Value<'w>, ty: &Type, span: Span) -> Eval<Value<'w>> {
        Ok(match (value, ty) {
            (weak, Type::Tensor(want)) if weak.is_weak() || matches!(weak, Value::List(_)) => {
                let node = self.to_tensor(weak, Some(want.dtype), span)?;
                self.tensor(node)
            }
            (Value::Tuple(items), Type::Tuple(types)) if items.len() == types.len() => {
                let items: Eval<Vec<_>> =
                    items.iter().zip(types).map(|(v, t)| self.fit(v, t, span)).collect();
                Value::tuple(items?)
            }
            (Value::List(items), Type::Tuple(types)) if items.len() == types.len() => {
                let items: Eval<Vec<_>> =
                    items.iter().zip(types).map(|((v, _), t)| self.fit(v, t, span)).collect();
                Value::tuple(items?)
            }
            (Value::Record(_), Type::Struct(of)) => match self.as_asked(value.clone(), ty) {
                fitted @ Value::Struct(..) => fitted,
                // What it is then says what differs.
                _ => self.record_as(of.def, value).unwrap_or_else(|| value.clone()),
            },
            _ => self.as_asked(value.clone(), ty),
        })
    }

    /// What to report where a value is not of the type asked for: the first axis that differs.
    pub(crate) fn mismatch(&mut self, found: &Value<'w>, want: &Type, span: Span) -> Diagnostic {
        if let (Value::Tensor(leaf), Type::Tensor(want)) = (found, want) {
            let node = self.node(*leaf);
            let ty = self.node_ty(node).clone();
            let message = format!("expected {want}, found {ty}");
            if ty.dtype != want.dtype && ty.shape == want.shape {
                let diagnostic = Diagnostic::error(codes::DTYPE_MISMATCH, span, message);
                return diagnostic.help(format!("convert it: {}(…)", want.dtype));
            }
            let diagnostic = Diagnostic::error(codes::SHAPE_MISMATCH, span, message);
            if ty.rank() != want.rank() {
                let wanted = match want.rank() {
                    0 => "a scalar is".to_string(),
                    1 => "1 axis is".to_string(),
                    n => format!("{n} axes are"),
                };
                let found = match ty.rank() {
                    0 => "is a scalar".to_string(),
                    1 => "has 1 axis".to_string(),
                    n => format!("has {n}"),
                };
                return diagnostic.here(format!("{wanted} expected, this {found}"));
            }
            let Some(axis) = (0..ty.rank()).find(|&a| ty.shape[a] != want.shape[a]) else {
                return diagnostic;
            };
            let (a, b) = (&want.shape[axis], &ty.shape[axis]);
            let diagnostic = diagnostic.here(format!("axis {axis} should be {a} and is {b}"));
            return self.with_size(diagnostic, node, axis);
        }
        let found = match found {
            Value::Unit => "nothing".to_string(),
            value => self.show(value),
        };
        let message = format!("expected {}, found {found}", want.show(self.world));
        Diagnostic::error(codes::TYPE_MISMATCH, span, message)
    }

    /// Gives weak values the type of a literal that nothing asks anything of.
    pub(crate) fn strengthen(&mut self, value: &Value<'w>, span: Span) -> Eval<Value<'w>> {
        match value {
            Value::Static(Static::Str(..)) => Ok(value.clone()),
            Value::Static(_) | Value::List(_) => {
                let node = self.to_tensor(value, None, span)?;
                Ok(self.tensor(node))
            }
            tree if tree.is_tree() => tree.map_leaves(&mut |leaf| self.strengthen(leaf, span)),
            other => Ok(other.clone()),
        }
    }

    /// The same elements under another shape.
    pub(crate) fn reshape(
        &mut self,
        node: NodeId,
        shape: impl IntoIterator<Item = Dim>,
        span: Span,
    ) -> Eval<NodeId> {
        let shape: SmallVec<[Dim; 4]> = shape.into_iter().collect();
        // Reshapes of reshapes say the same in one.
        let mut from = node;
        while self.node_ty(from).shape != shape {
            match self.level().graph.op(from) {
                Op::Reshape(_) => from = self.level().graph.operands(from)[0],
                _ => break,
            }
        }
        if self.node_ty(from).shape == shape {
            return Ok(from);
        }
        self.add(Op::Reshape(shape), &[from], span)
    }

    /// The type of a node with its text, for messages.
    pub(crate) fn tensor_ty(&self, node: NodeId) -> Type {
        Type::Tensor(self.node_ty(node).clone())
    }
}

/// The shape of a rectangular list of known values, which are appended to `flat`.
fn constants<'v>(
    items: &'v [(Value<'_>, Span)],
    flat: &mut Vec<(&'v Static, Span)>,
) -> Option<Vec<usize>> {
    let mut inner: Option<Vec<usize>> = None;
    for (item, span) in items {
        let shape = match item {
            Value::Static(Static::Dim(Dim::Poly(_)) | Static::Computed(..) | Static::Str(..)) => {
                return None;
            }
            Value::Static(known) => {
                flat.push((known, *span));
                Vec::new()
            }
            Value::List(row) => constants(row, flat)?,
            _ => return None,
        };
        match &inner {
            Some(first) if *first != shape => return None,
            _ => inner = Some(shape),
        }
    }
    let mut shape = vec![items.len()];
    shape.extend(inner?);
    Some(shape)
}

fn literal_dtype(values: &[(&Static, Span)]) -> DType {
    let float = values.iter().any(|(v, _)| matches!(v, Static::Float(..)));
    let flag = values.iter().any(|(v, _)| matches!(v, Static::Bool(_)));
    match (float, flag) {
        (true, _) => DType::F32,
        (false, true) => DType::Bool,
        (false, false) => DType::I64,
    }
}

fn literal(dtype: DType, shape: &[usize], scalars: &[Scalar]) -> LiteralTensor {
    LiteralTensor(match dtype.is_float() {
        true => {
            let values: Vec<f64> = scalars.iter().map(|s| s.to_f64()).collect();
            Tensor::from_f64_slice(dtype, &values, shape)
        }
        false => {
            let mut tensor = Tensor::zeros(dtype, shape);
            tensc_runtime::with_element!(dtype, T => {
                for (element, scalar) in tensor.as_mut_slice::<T>().iter_mut().zip(scalars) {
                    *element = tensc_runtime::Element::from_i64(scalar.to_i64());
                }
            });
            tensor
        }
    })
}
