//! What expressions evaluate to while the checker walks them.
//!
//! A tensor is a node of a graph under construction, or a slot of the script; everything else is
//! known to the compiler: trees of tensors, sizes, flags, text, functions.

use super::typed::SlotId;
use super::types::{Bindings, Generic, Instance, Type};
use super::world::{FnId, ModuleId};
use crate::diag::Span;
use crate::graph::{Dim, MapOp, NodeId};
use crate::syntax::ast;
use std::rc::Rc;
use tensc_runtime::DType;

/// Where a tensor is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Leaf {
    /// A node of the graph at this level: 0 is the function's or region's, deeper ones are of
    /// functions being differentiated. A deeper graph imports it on use.
    Node(u32, NodeId),
    /// A slot of the script.
    Slot(SlotId),
}

/// What an expression evaluates to.
#[derive(Clone, Debug)]
pub(crate) enum Value<'w> {
    /// An error was reported; whatever uses this stays silent.
    Error,
    /// What a statement gives.
    Unit,
    /// A tensor.
    Tensor(Leaf),
    /// A number, flag or text that is known.
    Static(Static),
    /// `[a, b]`: sizes, axes, or the rows of a tensor; with the place of each.
    List(Rc<[(Value<'w>, Span)]>),
    /// `(a, b)`
    Tuple(Rc<[Value<'w>]>),
    /// `{ a: x }` from data.
    Record(Rc<[(String, Value<'w>)]>),
    /// A struct.
    Struct(Instance, Rc<[Value<'w>]>),
    /// What can be called.
    Function(Rc<Callable<'w>>),
    /// A file; only its members are values.
    Module(ModuleId),
}

/// What the compiler knows.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Static {
    /// An integer, or a size. Becomes a scalar of any numeric type.
    Dim(Dim),
    /// A float, with its spelling where it is a literal. Becomes a scalar of any float type.
    Float(f64, Option<Rc<str>>),
    /// A float that is computed from sizes: the operation and its operands. Becomes a scalar of any
    /// float type, in which it is computed then.
    Computed(MapOp, Rc<[Static]>),
    /// A flag.
    Bool(bool),
    /// Text, and its place inside the quotes.
    Str(Rc<str>, Span),
}

/// What can be called.
#[derive(Clone, Debug)]
pub(crate) enum Callable<'w> {
    /// A function with those of its generic arguments that were given.
    Fn(FnId, Rc<[Generic]>),
    /// A built-in function.
    Builtin(&'static super::builtin::Builtin),
    /// Conversion to an element type.
    Convert(DType),
    /// `grad(f)` and its like.
    Transform(Rc<Transform<'w>>, Rc<Callable<'w>>),
    /// `fn(x) = …` with what it sees.
    Lambda(Lambda<'w>),
}

/// A function without a name.
#[derive(Clone, Debug)]
pub(crate) struct Lambda<'w> {
    pub(crate) params: &'w [ast::Param],
    pub(crate) ret: Option<&'w ast::Type>,
    pub(crate) body: &'w ast::Expr,
    pub(crate) module: ModuleId,
    pub(crate) generics: Rc<Bindings>,
    pub(crate) captured: Rc<[(String, Value<'w>)]>,
    pub(crate) span: Span,
}

/// A function of functions, with what it was told.
#[derive(Clone, Debug)]
pub(crate) enum Transform<'w> {
    /// A derivative, by the parameters named or by the first.
    Derivative(Derivative, Vec<Wrt>),
    /// `vmap`: the axes along which each argument holds its lanes, where they are said, and the
    /// axis along which the result does.
    Lanes { axes: Option<(Value<'w>, Span)>, out: (i64, Span) },
    /// `checkpoint`
    Checkpoint,
    /// `custom_grad`, with the function that gives the gradient, and where that is written.
    CustomGrad(Rc<Callable<'w>>, Span),
}

/// The derivatives.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Derivative {
    Grad,
    ValueAndGrad,
    Jvp,
    Vjp,
    Hvp,
    Jacobian,
    Hessian,
}

impl Derivative {
    /// What the language calls it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Derivative::Grad => "grad",
            Derivative::ValueAndGrad => "value_and_grad",
            Derivative::Jvp => "jvp",
            Derivative::Vjp => "vjp",
            Derivative::Hvp => "hvp",
            Derivative::Jacobian => "jacobian",
            Derivative::Hessian => "hessian",
        }
    }
}

/// What a derivative is by: a parameter, or a part of one.
#[derive(Clone, Debug)]
pub(crate) struct Wrt {
    pub(crate) parameter: Param,
    /// The fields on the way to the part.
    pub(crate) path: Vec<ast::Ident>,
    pub(crate) span: Span,
}

/// A parameter by its name, or by its position from 0.
#[derive(Clone, Debug)]
pub(crate) enum Param {
    Named(String),
    Numbered(i64),
}

/// Where a size comes from, for messages. Followed only when there is one to write.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum SizeOrigin {
    /// It was written.
    Written(SizeSource),
    /// It is that of an axis of a node of the same graph.
    Axis(NodeId, usize),
    /// It is that of an axis of a node of the graph around this one.
    Outer(NodeId, usize),
}

/// A size as it was written.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct SizeSource {
    /// The size: `784`.
    pub(crate) span: Span,
    /// What it is part of, where that is a type: `Dense[784, 512]`.
    pub(crate) ty: Option<Span>,
    /// The parameter or field that has this type.
    pub(crate) owner: Option<String>,
}

impl<'w> Value<'w> {
    pub(crate) fn int(n: i64) -> Value<'w> {
        Value::Static(Static::Dim(Dim::Const(n)))
    }

    pub(crate) fn dim(dim: Dim) -> Value<'w> {
        Value::Static(Static::Dim(dim))
    }

    pub(crate) fn tuple(items: Vec<Value<'w>>) -> Value<'w> {
        Value::Tuple(items.into())
    }

    /// Whether it is a known number or flag, or a list of such: its element type is still open.
    pub(crate) fn is_weak(&self) -> bool {
        match self {
            Value::Static(Static::Str(..)) => false,
            Value::Static(_) => true,
            Value::List(items) => items.iter().all(|(v, _)| v.is_weak()),
            _ => false,
        }
    }

    /// Whether it is a known float, or a list with one.
    pub(crate) fn has_float(&self) -> bool {
        match self {
            Value::Static(Static::Float(..) | Static::Computed(..)) => true,
            Value::List(items) => items.iter().any(|(v, _)| v.has_float()),
            _ => false,
        }
    }

    /// Whether it is a flag, or a list with one.
    pub(crate) fn has_flag(&self) -> bool {
        match self {
            Value::Static(Static::Bool(_)) => true,
            Value::List(items) => items.iter().any(|(v, _)| v.has_flag()),
            _ => false,
        }
    }

    /// Whether an error was reported for it or a part of it.
    pub(crate) fn is_error(&self) -> bool {
        match self {
            Value::Error => true,
            Value::Tuple(items) | Value::Struct(_, items) => items.iter().any(Value::is_error),
            Value::Record(fields) => fields.iter().any(|(_, v)| v.is_error()),
            Value::List(items) => items.iter().any(|(v, _)| v.is_error()),
            Value::Unit
            | Value::Tensor(_)
            | Value::Static(_)
            | Value::Function(_)
            | Value::Module(_) => false,
        }
    }

    /// Whether it is a struct, tuple or record: arithmetic goes to its leaves.
    pub(crate) fn is_tree(&self) -> bool {
        matches!(self, Value::Struct(..) | Value::Tuple(_) | Value::Record(_))
    }

    /// The parts of a tuple or list, which numbers name.
    pub(crate) fn numbered(&self) -> Vec<&Value<'w>> {
        match self {
            Value::Tuple(items) => items.iter().collect(),
            Value::List(items) => items.iter().map(|(item, _)| item).collect(),
            _ => Vec::new(),
        }
    }

    /// The parts of a tree in order, with their names; none for a leaf.
    pub(crate) fn children(&self) -> Vec<&Value<'w>> {
        match self {
            Value::Tuple(items) | Value::Struct(_, items) => items.iter().collect(),
            Value::Record(fields) => fields.iter().map(|(_, v)| v).collect(),
            _ => Vec::new(),
        }
    }

    /// The same tree with other parts.
    pub(crate) fn with_children(&self, parts: Vec<Value<'w>>) -> Value<'w> {
        match self {
            Value::Tuple(_) => Value::Tuple(parts.into()),
            Value::Struct(of, _) => Value::Struct(of.clone(), parts.into()),
            Value::Record(fields) => {
                let named = fields.iter().zip(parts).map(|((n, _), v)| (n.clone(), v));
                Value::Record(named.collect())
            }
            leaf => leaf.clone(),
        }
    }

    /// The same tree for leaves that have one more axis in front, of this size.
    pub(crate) fn stacked(&self, size: &Dim) -> Value<'w> {
        let parts = self.children().into_iter().map(|part| part.stacked(size)).collect();
        match self.with_children(parts) {
            Value::Struct(of, parts) => Value::Struct(of.stacked(size), parts),
            other => other,
        }
    }

    /// The same tree with each leaf replaced.
    pub(crate) fn map_leaves<E>(
        &self,
        f: &mut dyn FnMut(&Value<'w>) -> Result<Value<'w>, E>,
    ) -> Result<Value<'w>, E> {
        if !self.is_tree() {
            return f(self);
        }
        let parts: Result<Vec<_>, E> =
            self.children().into_iter().map(|part| part.map_leaves(f)).collect();
        Ok(self.with_children(parts?))
    }

    /// Replaces every tensor in it, those that a function captured included.
    pub(crate) fn map_tensors(&self, f: &mut dyn FnMut(Leaf) -> Value<'w>) -> Value<'w> {
        match self {
            Value::Tensor(leaf) => f(*leaf),
            Value::List(items) => {
                Value::List(items.iter().map(|(v, s)| (v.map_tensors(f), *s)).collect())
            }
            Value::Function(callable) => Value::Function(Rc::new(callable.map_tensors(f))),
            tree if tree.is_tree() => {
                let parts = tree.children().into_iter().map(|v| v.map_tensors(f)).collect();
                tree.with_children(parts)
            }
            other => other.clone(),
        }
    }

    /// The type, given those of tensors. A known number has the type of a literal that nothing
    /// asks anything of.
    pub(crate) fn ty(&self, tensor: &dyn Fn(Leaf) -> crate::graph::TensorType) -> Type {
        match self {
            Value::Tensor(leaf) => Type::Tensor(tensor(*leaf)),
            Value::Static(Static::Str(..)) => Type::Static("text"),
            Value::Static(Static::Dim(_)) => Type::Tensor(scalar(DType::I64)),
            Value::Static(Static::Float(..) | Static::Computed(..)) => {
                Type::Tensor(scalar(DType::F32))
            }
            Value::Static(Static::Bool(_)) => Type::Tensor(scalar(DType::Bool)),
            Value::List(_) => Type::Static("a list"),
            Value::Tuple(items) => Type::Tuple(items.iter().map(|v| v.ty(tensor)).collect()),
            Value::Record(fields) => {
                Type::Record(fields.iter().map(|(n, v)| (n.clone(), v.ty(tensor))).collect())
            }
            Value::Struct(of, _) => Type::Struct(of.clone()),
            Value::Function(_) => Type::Function,
            Value::Module(_) => Type::Static("a module"),
            Value::Unit | Value::Error => Type::Unit,
        }
    }
}

impl<'w> Callable<'w> {
    fn map_tensors(&self, f: &mut dyn FnMut(Leaf) -> Value<'w>) -> Callable<'w> {
        match self {
            Callable::Lambda(lambda) => {
                let captured =
                    lambda.captured.iter().map(|(n, v)| (n.clone(), v.map_tensors(f))).collect();
                Callable::Lambda(Lambda { captured, ..lambda.clone() })
            }
            Callable::Transform(transform, inner) => {
                let transform = match &**transform {
                    Transform::CustomGrad(backward, at) => {
                        let backward = Rc::new(backward.map_tensors(f));
                        Rc::new(Transform::CustomGrad(backward, *at))
                    }
                    Transform::Derivative(..) | Transform::Lanes { .. } | Transform::Checkpoint => {
                        transform.clone()
                    }
                };
                Callable::Transform(transform, Rc::new(inner.map_tensors(f)))
            }
            Callable::Fn(..) | Callable::Builtin(_) | Callable::Convert(_) => self.clone(),
        }
    }
}

fn scalar(dtype: DType) -> crate::graph::TensorType {
    crate::graph::TensorType::scalar(dtype)
}
