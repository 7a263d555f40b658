//! Stacks: so many values of one type, whose leaves have an axis for them in front.
//!
//! A stack of tensors is a tensor, a stack of trees the tree of stacks; that of a struct is still
//! that struct, which knows how many it holds.

use super::super::world::StructId;
use super::{Generic, Mismatch, Type, as_dim, as_path};
use crate::diag::Span;
use crate::graph::{Dim, TensorType};
use crate::syntax::ast;
use std::borrow::Cow;
use std::rc::Rc;

/// The type of so many structs of one type, each leaf of which has an axis for them in front.
pub(super) const STACK: &str = "stack";

/// Whether a type's name is that of stacks.
pub(crate) fn is_stack(path: &ast::Path) -> bool {
    path.as_name().is_some_and(|name| name.name == STACK)
}

/// `stack[3, Dense[4, 2]]`: how many, and of what.
pub(crate) fn stack_args(
    args: &[ast::GenericArg],
    span: Span,
) -> Result<(&ast::Dim, Cow<'_, ast::Type>), Mismatch> {
    let [size, ty] = args else {
        let message = "a stack is of a size and a type: stack[3, Dense[4, 2]]".to_string();
        return Err(Mismatch::Malformed(span, message));
    };
    let ty = match ty {
        ast::GenericArg::Type(ty) => Cow::Borrowed(ty),
        ast::GenericArg::Dim(_) => {
            let kind = ast::TypeKind::Named { path: as_path(ty)?, args: Vec::new() };
            Cow::Owned(ast::Type { kind, span: ty.span() })
        }
    };
    Ok((as_dim(size)?, ty))
}

/// A struct with its arguments, or a stack of such.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Instance {
    pub(crate) def: StructId,
    pub(crate) args: Rc<[Generic]>,
    /// The axes that every leaf has in front of its own: `stack[3, Dense[4, 2]]` has one.
    pub(crate) lanes: Rc<[Dim]>,
}

impl Type {
    /// The type of so many of this one: every leaf has one more axis in front.
    pub(crate) fn stacked(&self, size: &Dim) -> Type {
        match self {
            Type::Tensor(ty) => {
                let shape = std::iter::once(size).chain(&ty.shape).cloned();
                Type::Tensor(TensorType::new(ty.dtype, shape))
            }
            Type::Struct(of) => Type::Struct(of.stacked(size)),
            Type::Tuple(items) => Type::Tuple(items.iter().map(|ty| ty.stacked(size)).collect()),
            Type::Record(fields) => {
                Type::Record(fields.iter().map(|(n, ty)| (n.clone(), ty.stacked(size))).collect())
            }
            Type::Unit | Type::Function | Type::Static(_) => self.clone(),
        }
    }

    /// How many this is a stack of, and of what; `None` where leaves have no axis in front, or
    /// differ in it.
    pub(crate) fn unstacked(&self) -> Option<(Dim, Type)> {
        fn all<'t>(types: impl Iterator<Item = &'t Type>) -> Option<(Dim, Vec<Type>)> {
            let parts: Vec<(Dim, Type)> = types.map(Type::unstacked).collect::<Option<_>>()?;
            let size = parts.first()?.0.clone();
            let same = parts.iter().all(|(other, _)| *other == size);
            same.then(|| (size, parts.into_iter().map(|(_, ty)| ty).collect()))
        }
        match self {
            Type::Tensor(ty) => {
                let (size, rest) = ty.shape.split_first()?;
                Some((size.clone(), Type::Tensor(TensorType::new(ty.dtype, rest.iter().cloned()))))
            }
            Type::Struct(of) => {
                let (size, of) = of.unstacked()?;
                Some((size, Type::Struct(of)))
            }
            Type::Tuple(items) => {
                let (size, items) = all(items.iter())?;
                Some((size, Type::Tuple(items)))
            }
            Type::Record(fields) => {
                let (size, types) = all(fields.iter().map(|(_, ty)| ty))?;
                let names = fields.iter().map(|(name, _)| name.clone());
                Some((size, Type::Record(names.zip(types).collect())))
            }
            Type::Unit | Type::Function | Type::Static(_) => None,
        }
    }

    /// What differs where the leaves of a tree are not of one length: `` `a` has 3, `b` has 4 ``.
    pub(crate) fn uneven(&self) -> Option<String> {
        fn lengths(ty: &Type, path: &str, all: &mut Vec<(String, Dim)>) {
            let below = |name: &str| match path.is_empty() {
                true => name.to_string(),
                false => format!("{path}.{name}"),
            };
            match ty {
                Type::Tensor(ty) => {
                    all.extend(ty.shape.first().map(|size| (path.to_string(), size.clone())));
                }
                Type::Struct(of) => {
                    all.extend(of.lanes.first().map(|size| (path.to_string(), size.clone())));
                }
                Type::Tuple(items) => {
                    for (i, item) in items.iter().enumerate() {
                        lengths(item, &below(&i.to_string()), all);
                    }
                }
                Type::Record(fields) => {
                    fields.iter().for_each(|(name, ty)| lengths(ty, &below(name), all));
                }
                Type::Unit | Type::Function | Type::Static(_) => {}
            }
        }
        let mut all = Vec::new();
        lengths(self, "", &mut all);
        let ((first, size), rest) = all.split_first()?;
        let (other, found) = rest.iter().find(|(_, found)| found != size)?;
        Some(format!("`{first}` has {size}, `{other}` has {found}"))
    }
}

impl Instance {
    /// A struct with its arguments.
    pub(crate) fn new(def: StructId, args: impl Into<Rc<[Generic]>>) -> Instance {
        Instance { def, args: args.into(), lanes: Rc::default() }
    }

    /// One of a stack.
    pub(crate) fn one(&self) -> Instance {
        Instance { lanes: Rc::default(), ..self.clone() }
    }

    /// So many of it.
    pub(crate) fn stacked(&self, size: &Dim) -> Instance {
        self.with_lanes(std::iter::once(size).chain(self.lanes.iter()).cloned().collect())
    }

    /// How many a stack holds, and of what.
    pub(crate) fn unstacked(&self) -> Option<(Dim, Instance)> {
        let (size, rest) = self.lanes.split_first()?;
        Some((size.clone(), self.with_lanes(rest.into())))
    }

    pub(crate) fn with_lanes(&self, lanes: Rc<[Dim]>) -> Instance {
        Instance { lanes, ..self.clone() }
    }

    /// The type of a field whose type in one struct this is.
    pub(crate) fn field(&self, one: Type) -> Type {
        self.lanes.iter().rev().fold(one, |ty, size| ty.stacked(size))
    }
}

impl Mismatch {
    /// The same of a stack, where it was found in one of what it holds.
    pub(super) fn in_stack(self) -> Mismatch {
        match self {
            Mismatch::Size { written, wanted, found, path, axis } => {
                Mismatch::Size { written, wanted, found, path, axis: axis.saturating_add(1) }
            }
            other => other,
        }
    }
}
