//! Matching a written type against one: the bindings that make them equal.

use super::super::world::{DTypeBound, GenericSort, ModuleId, World};
use super::{
    Binding, Bindings, Generic, Group, Head, Instance, Mismatch, Type, TypeScope, as_dim, as_path,
    stack_args,
};
use crate::graph::{Dim, DimVar};
use crate::syntax::ast;
use tensc_runtime::DType;

/// Finds what the open names of `bindings` must stand for so that `ty`, as written in `module`, is
/// `actual`. Names that are bound are compared.
pub(crate) struct Unifier<'a, 'w> {
    pub(crate) world: &'w World,
    pub(crate) module: ModuleId,
    pub(crate) bindings: &'a mut Bindings,
    /// Sizes whose names were not all bound when they were met: checked by [`Unifier::finish`].
    pub(crate) deferred: Vec<(ast::Dim, Dim, Vec<usize>, usize)>,
    /// The fields on the way from the argument to the part at hand.
    pub(crate) path: Vec<usize>,
}

/// Another element type than the one that is written, or that the written name stands for.
fn told(path: &ast::Path, dtype: DType) -> Mismatch {
    let stands = path.last().name != dtype.name();
    Mismatch::DType(stands.then(|| format!("`{path}` is {dtype} here")))
}

/// An element type that a parameter does not stand for.
fn refused(name: &str, sort: GenericSort) -> Mismatch {
    let of = match sort {
        GenericSort::DType(DTypeBound::Float) => "floats",
        GenericSort::DType(DTypeBound::Int) => "integers",
        _ => "numbers",
    };
    Mismatch::DType(Some(format!("`{name}` is a type of {of}")))
}

impl<'a, 'w> Unifier<'a, 'w> {
    pub(crate) fn new(
        world: &'w World,
        module: ModuleId,
        bindings: &'a mut Bindings,
    ) -> Unifier<'a, 'w> {
        Unifier { world, module, bindings, deferred: Vec::new(), path: Vec::new() }
    }

    fn scope(&self) -> TypeScope<'_, 'w> {
        TypeScope { world: self.world, module: self.module, bindings: self.bindings }
    }

    /// Matches one type.
    pub(crate) fn unify(&mut self, ty: &ast::Type, actual: &Type) -> Result<(), Mismatch> {
        match (&ty.kind, actual) {
            (ast::TypeKind::Paren(inner), _) => self.unify(inner, actual),
            (ast::TypeKind::Tuple(items), Type::Unit) if items.is_empty() => Ok(()),
            (ast::TypeKind::Tuple(items), Type::Tuple(actual)) if items.len() == actual.len() => {
                for (i, (item, actual)) in items.iter().zip(actual).enumerate() {
                    self.below(i, |u| u.unify(item, actual))?;
                }
                Ok(())
            }
            (ast::TypeKind::Record(fields), Type::Record(actual))
                if fields.len() == actual.len() =>
            {
                for (i, (field, (name, actual))) in fields.iter().zip(actual).enumerate() {
                    if field.name.name != *name {
                        return Err(Mismatch::Kind);
                    }
                    self.below(i, |u| u.unify(&field.ty, actual))?;
                }
                Ok(())
            }
            (ast::TypeKind::Fn { .. }, Type::Function) => Ok(()),
            (ast::TypeKind::Named { path, args }, _) => {
                self.unify_named(path, args, ty.span, actual)
            }
            _ => Err(Mismatch::Kind),
        }
    }

    /// Solves what had to wait for other names: `G * I`, once `I` is told. All of it stays to be
    /// checked.
    pub(crate) fn settle(&mut self) {
        let mut settled = false;
        while !settled {
            settled = true;
            for (dim, actual, ..) in &self.deferred.clone() {
                if let Err(Mismatch::Open(name)) = self.scope().dim(dim)
                    && let Some(value) = self.solve(dim, &name, actual)
                {
                    let binding = self.bindings.get_mut(&name).expect("it is open");
                    binding.value = Some(Generic::Dim(value));
                    settled = false;
                }
            }
        }
    }

    /// Checks what had to wait.
    pub(crate) fn finish(&mut self) -> Result<(), Mismatch> {
        self.settle();
        for (dim, actual, path, axis) in std::mem::take(&mut self.deferred) {
            let wanted = self.scope().dim(&dim)?;
            if wanted != actual {
                return Err(Mismatch::Size {
                    written: dim.span,
                    wanted,
                    found: actual,
                    path,
                    axis,
                });
            }
        }
        Ok(())
    }

    fn below<T>(&mut self, step: usize, f: impl FnOnce(&mut Self) -> T) -> T {
        self.path.push(step);
        let result = f(self);
        self.path.pop();
        result
    }

    fn unify_named(
        &mut self,
        path: &ast::Path,
        args: &[ast::GenericArg],
        span: crate::diag::Span,
        actual: &Type,
    ) -> Result<(), Mismatch> {
        let head = self.scope().head(path)?;
        match (head, actual) {
            (Head::Tensor(dtype), Type::Tensor(actual)) => {
                self.unify_shape(args, &actual.shape)?;
                if dtype == actual.dtype { Ok(()) } else { Err(told(path, dtype)) }
            }
            (Head::Key, Type::Tensor(actual)) => {
                self.unify_shape(args, &actual.shape)?;
                if actual.dtype == DType::I64 { Ok(()) } else { Err(Mismatch::DType(None)) }
            }
            (Head::OpenDType(name), Type::Tensor(actual)) => {
                let binding = self.bindings.get_mut(&name).expect("open names are bound later");
                if !binding.sort.accepts(actual.dtype) {
                    return Err(refused(&name, binding.sort));
                }
                binding.value = Some(Generic::DType(actual.dtype));
                self.unify_shape(args, &actual.shape)
            }
            (Head::Tree(ty), _) => match ty == *actual {
                true => Ok(()),
                false => Err(Mismatch::Tree(format!("`{path}` is {} here", ty.show(self.world)))),
            },
            (Head::OpenTree(name), _) => {
                if matches!(actual, Type::Function | Type::Static(_) | Type::Unit) {
                    return Err(Mismatch::Kind);
                }
                let binding = self.bindings.get_mut(&name).expect("open names are bound later");
                binding.value = Some(Generic::Tree(actual.clone()));
                Ok(())
            }
            (Head::Stack, actual) => {
                let (size, ty) = stack_args(args, span)?;
                let uneven = || actual.uneven().map_or(Mismatch::Kind, Mismatch::Tree);
                let (found, one) = actual.unstacked().ok_or_else(uneven)?;
                let result = self.unify_dim(size, &found, 0);
                // What differs in one is an axis further on in the stack.
                let before = self.deferred.len();
                let inner = self.unify(&ty, &one).map_err(Mismatch::in_stack);
                for (.., axis) in &mut self.deferred[before..] {
                    *axis = axis.saturating_add(1);
                }
                result.and(inner)
            }
            (Head::Struct(def), Type::Struct(Instance { def: found, args: actual, lanes }))
                if def == *found && lanes.is_empty() =>
            {
                let groups = self.scope().split_args(def, args, span)?;
                for (group, actual) in groups.into_iter().zip(actual.iter()) {
                    match group {
                        Group::Written(args) => self.unify_generic(args, span, actual)?,
                        Group::Default(dtype) if *actual == Generic::DType(dtype) => {}
                        Group::Default(dtype) => {
                            let why = format!("`{path}` is of {dtype} where nothing else is said");
                            return Err(Mismatch::DType(Some(why)));
                        }
                    }
                }
                Ok(())
            }
            _ => Err(Mismatch::Kind),
        }
    }

    fn unify_generic(
        &mut self,
        args: &[ast::GenericArg],
        span: crate::diag::Span,
        actual: &Generic,
    ) -> Result<(), Mismatch> {
        match actual {
            Generic::Dim(dim) => self.unify_dim(as_dim(&args[0])?, dim, usize::MAX),
            Generic::Pack(dims) => self.unify_shape(args, dims),
            Generic::DType(dtype) => match self.scope().head(&as_path(&args[0])?)? {
                Head::Tensor(wanted) if wanted == *dtype => Ok(()),
                Head::Tensor(wanted) => Err(told(&as_path(&args[0])?, wanted)),
                Head::OpenDType(name) => {
                    let binding = self.bindings.get_mut(&name).expect("it is open");
                    if !binding.sort.accepts(*dtype) {
                        return Err(refused(&name, binding.sort));
                    }
                    binding.value = Some(Generic::DType(*dtype));
                    Ok(())
                }
                _ => Err(Mismatch::Kind),
            },
            Generic::Tree(ty) => match &args[0] {
                ast::GenericArg::Type(written) => self.unify(written, ty),
                dim @ ast::GenericArg::Dim(_) => self.unify_named(&as_path(dim)?, &[], span, ty),
            },
        }
    }

    fn unify_shape(&mut self, args: &[ast::GenericArg], actual: &[Dim]) -> Result<(), Mismatch> {
        let dims: Vec<&ast::Dim> = args.iter().map(as_dim).collect::<Result<_, _>>()?;
        // How many axes each written dim stands for; `None` for the one pack that is open.
        let mut widths = Vec::with_capacity(dims.len());
        for dim in &dims {
            widths.push(match &dim.kind {
                ast::DimKind::Pack(name) => match self.bindings.get(&name.name) {
                    Some(Binding { value: Some(Generic::Pack(pack)), .. }) => Some(pack.len()),
                    Some(Binding { sort: GenericSort::Pack, .. }) => None,
                    _ => return Err(Mismatch::Unknown(name.clone())),
                },
                _ => Some(1),
            });
        }
        let fixed: usize = widths.iter().flatten().sum();
        let open = widths.iter().filter(|w| w.is_none()).count();
        if open > 1 {
            let message = "only one pack of a shape can be open".to_string();
            return Err(Mismatch::Malformed(dims[0].span, message));
        }
        if fixed > actual.len() || (open == 0 && fixed != actual.len()) {
            return Err(Mismatch::Rank);
        }
        let mut axis = 0;
        let mut first = Ok(());
        for (dim, width) in dims.iter().zip(widths) {
            let width = width.unwrap_or(actual.len() - fixed);
            let part = &actual[axis..axis + width];
            let result = match &dim.kind {
                ast::DimKind::Pack(name) => self.unify_pack(name, part, axis),
                _ => self.unify_dim(dim, &part[0], axis),
            };
            // The other names are bound all the same: fewer errors follow from this one.
            if first.is_ok() {
                first = result;
            }
            axis += width;
        }
        first
    }

    fn unify_pack(
        &mut self,
        name: &ast::Ident,
        actual: &[Dim],
        axis: usize,
    ) -> Result<(), Mismatch> {
        let path = self.path.clone();
        let binding = self.bindings.get_mut(&name.name).expect("looked up before");
        let Some(Generic::Pack(wanted)) = &binding.value else {
            binding.value = Some(Generic::Pack(actual.to_vec()));
            return Ok(());
        };
        for (i, (wanted, found)) in wanted.iter().zip(actual).enumerate() {
            if wanted != found {
                return Err(Mismatch::Size {
                    written: name.span,
                    wanted: wanted.clone(),
                    found: found.clone(),
                    path,
                    axis: axis + i,
                });
            }
        }
        Ok(())
    }

    fn unify_dim(&mut self, dim: &ast::Dim, actual: &Dim, axis: usize) -> Result<(), Mismatch> {
        match self.scope().dim(dim) {
            Ok(wanted) if wanted == *actual => Ok(()),
            Ok(wanted) => Err(Mismatch::Size {
                written: dim.span,
                wanted,
                found: actual.clone(),
                path: self.path.clone(),
                axis,
            }),
            Err(Mismatch::Open(name)) => {
                match self.solve(dim, &name, actual) {
                    Some(value) => {
                        let binding = self.bindings.get_mut(&name).expect("it is open");
                        binding.value = Some(Generic::Dim(value));
                    }
                    None => {
                        let path = self.path.clone();
                        self.deferred.push((dim.clone(), actual.clone(), path, axis));
                    }
                }
                Ok(())
            }
            Err(other) => Err(other),
        }
    }

    /// What `name` must be for `dim` to be `actual`, where it is linear in that name alone.
    fn solve(&self, dim: &ast::Dim, name: &str, actual: &Dim) -> Option<Dim> {
        let unknown = DimVar { id: u32::MAX, name: name.into() };
        let mut trial = self.bindings.clone();
        trial.get_mut(name)?.value = Some(Generic::Dim(Dim::var(unknown.clone())));
        let scope = TypeScope { world: self.world, module: self.module, bindings: &trial };
        let written = scope.dim(dim).ok()?;
        let at = |value: i64| {
            let value = Dim::Const(value);
            written.substitute(&|v| (*v == unknown).then(|| value.clone()))
        };
        let offset = at(0);
        let factor = at(1) - offset.clone();
        let linear = at(2) == offset.clone() + factor.clone() + factor.clone();
        if !linear || factor.is(0) {
            return None;
        }
        let solution = (actual.clone() - offset).div_exact(&factor)?;
        // What is divided looks linear where the remainders happen to.
        let value = || Some(solution.clone());
        let holds = written.substitute(&|v| (*v == unknown).then(value).flatten()) == *actual;
        holds.then_some(solution)
    }
}
