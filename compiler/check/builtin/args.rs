//! Reading the arguments of built-in functions.

use super::Args;
use crate::check::types::Type;
use crate::check::value::{Callable, Static, Value};
use crate::check::walk::{Eval, Walk};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::{Dim, NodeId, TensorType};
use smallvec::SmallVec;
use tensc_runtime::DType;

impl<'w> Args<'w> {
    /// An argument that must be given.
    pub(crate) fn get(&self, i: usize) -> (&Value<'w>, Span) {
        let (value, span) = self.values[i].as_ref().expect("it is not optional");
        (value, *span)
    }

    /// An argument that may be left out; `()` stands for that too.
    pub(crate) fn given(&self, i: usize) -> Option<(&Value<'w>, Span)> {
        match self.values[i].as_ref()? {
            (Value::Unit, _) => None,
            (value, span) => Some((value, *span)),
        }
    }

    /// The element type that the context asks for.
    pub(crate) fn wanted_dtype(&self) -> Option<DType> {
        match &self.want {
            Some(Type::Tensor(ty)) => Some(ty.dtype),
            _ => None,
        }
    }
}

impl<'w> Walk<'w> {
    pub(crate) fn tensor_arg(&mut self, args: &Args<'w>, i: usize) -> Eval<NodeId> {
        let (value, span) = args.get(i);
        self.to_tensor(value, None, span)
    }

    /// As `tensor_arg`, for what keeps the element type: a number is of the one that is asked for.
    pub(crate) fn kept_arg(&mut self, args: &Args<'w>, i: usize) -> Eval<NodeId> {
        let (value, span) = args.get(i);
        self.to_tensor(value, args.wanted_dtype().filter(|_| value.is_weak()), span)
    }

    pub(crate) fn flag_arg(&mut self, args: &Args<'w>, i: usize) -> Eval<bool> {
        match args.given(i) {
            None => Ok(false),
            Some((Value::Static(Static::Bool(b)), _)) => Ok(*b),
            Some((other, span)) => Err(self.not_known("a flag (true or false)", other, span)),
        }
    }

    pub(crate) fn int_arg(&mut self, args: &Args<'w>, i: usize) -> Eval<i64> {
        let (value, span) = args.get(i);
        self.known_i64(value, span)
    }

    pub(crate) fn known_i64(&mut self, value: &Value<'w>, span: Span) -> Eval<i64> {
        match value {
            Value::Static(Static::Dim(Dim::Const(n))) => Ok(*n),
            Value::Static(Static::Dim(size)) => {
                let message = format!("a number is needed here, and the size {size} has a name");
                let diagnostic = Diagnostic::error(codes::NOT_STATIC, span, message);
                let help = "a function is compiled for all sizes at once; give a `static` \
                            parameter, which is a number where the function is called";
                Err(self.report(diagnostic.help(help)))
            }
            other => Err(self.not_known("a whole number", other, span)),
        }
    }

    pub(crate) fn not_known(
        &mut self,
        what: &str,
        found: &Value<'w>,
        span: Span,
    ) -> crate::check::walk::Reported {
        if matches!(found, Value::Tensor(_)) {
            let message = format!("{what} must be known to the compiler here");
            let diagnostic = Diagnostic::error(codes::NOT_STATIC, span, message);
            return self.report(diagnostic.here("this is computed at run time"));
        }
        self.expected(what, found, span)
    }

    /// An element type: `f32`, given as the conversion function of that name.
    pub(crate) fn dtype_arg(&mut self, args: &Args<'w>, i: usize) -> Eval<Option<DType>> {
        match args.given(i) {
            None => Ok(None),
            Some((Value::Function(f), span)) => match &**f {
                Callable::Convert(dtype) => Ok(Some(*dtype)),
                _ => Err(self.error(codes::TYPE_MISMATCH, span, "an element type was expected")),
            },
            Some((other, span)) => {
                let sizes = matches!(other, Value::Static(Static::Dim(_)));
                let help = sizes.then_some("a shape is one list: [3, 4]");
                Err(self.expected_with(("an element type", help), other, span))
            }
        }
    }

    /// An axis of a tensor of this type; a negative one counts from the last.
    pub(crate) fn axis(&mut self, value: &Value<'w>, ty: &TensorType, span: Span) -> Eval<usize> {
        let axis = self.known_i64(value, span)?;
        self.checked_axis(axis, ty.rank(), &ty.to_string(), span)
    }

    /// An axis out of `rank`.
    pub(crate) fn checked_axis(
        &mut self,
        axis: i64,
        rank: usize,
        of: &str,
        span: Span,
    ) -> Eval<usize> {
        let n = rank as i64;
        if (-n..n).contains(&axis) {
            return Ok((if axis < 0 { axis + n } else { axis }) as usize);
        }
        let message = format!("there is no axis {axis} of {of}");
        let note = match rank {
            0 => "it is a scalar".to_string(),
            1 => "it has one axis: 0, or -1 from the end".to_string(),
            _ => format!("its axes are 0 to {}, or -{n} to -1 from the end", n - 1),
        };
        let diagnostic = Diagnostic::error(codes::BAD_AXIS, span, message).note(note);
        Err(self.report(diagnostic))
    }

    /// Axes in ascending order: one, several, or all where nothing is given.
    pub(crate) fn axes_arg(
        &mut self,
        args: &Args<'w>,
        i: usize,
        ty: &TensorType,
    ) -> Eval<SmallVec<[u8; 4]>> {
        let mut axes: SmallVec<[u8; 4]> = SmallVec::new();
        match args.given(i) {
            None => axes.extend(0..ty.rank() as u8),
            Some((Value::List(items), span)) => {
                for (item, at) in items.iter() {
                    axes.push(self.axis(item, ty, *at)? as u8);
                }
                axes.sort_unstable();
                if axes.windows(2).any(|w| w[0] == w[1]) {
                    let message = "an axis is named twice";
                    return Err(self.error(codes::BAD_AXIS, span, message));
                }
            }
            Some((Value::Tuple(items), span)) => {
                let list: Vec<(Value<'w>, Span)> =
                    items.iter().map(|v| (v.clone(), span)).collect();
                let inner = Args {
                    values: vec![Some((Value::List(list.into()), span))],
                    span: args.span,
                    want: None,
                };
                return self.axes_arg(&inner, 0, ty);
            }
            Some((value, span)) => axes.push(self.axis(value, ty, span)? as u8),
        }
        Ok(axes)
    }

    /// A list of sizes with the place of each; one size alone stands for a list of it.
    pub(crate) fn sizes(&mut self, value: &Value<'w>, span: Span) -> Eval<Vec<(Dim, Span)>> {
        let items = match value {
            Value::List(items) => items.clone(),
            Value::Tuple(items) => items.iter().map(|v| (v.clone(), span)).collect(),
            Value::Unit => return Ok(Vec::new()),
            Value::Static(Static::Dim(dim)) => return Ok(vec![(dim.clone(), span)]),
            other => return Err(self.not_known("a list of sizes", other, span)),
        };
        let mut sizes = Vec::with_capacity(items.len());
        for (item, at) in items.iter() {
            sizes.push((self.as_dim(item, *at)?, *at));
        }
        Ok(sizes)
    }

    /// A shape: sizes, none of which is known to be negative.
    pub(crate) fn shape_arg(&mut self, args: &Args<'w>, i: usize) -> Eval<Vec<(Dim, Span)>> {
        let (value, span) = args.get(i);
        let sizes = self.sizes(value, span)?;
        if let Some((size, at)) = sizes.iter().find(|(d, _)| d.known().is_some_and(|n| n < 0)) {
            let message = format!("a size cannot be {size}");
            return Err(self.error(codes::SHAPE_MISMATCH, *at, message));
        }
        Ok(sizes)
    }

    /// Remembers that the axes of a node were written as these sizes.
    pub(crate) fn written_sizes(&mut self, node: NodeId, sizes: &[(Dim, Span)]) {
        use crate::check::value::{SizeOrigin, SizeSource};
        for (axis, (_, span)) in sizes.iter().enumerate() {
            let source = SizeSource { span: *span, ty: None, owner: None };
            self.set_origin(node, axis, SizeOrigin::Written(source));
        }
    }
}
