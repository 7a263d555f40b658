//! Types without open names, and matching a written type against one.
//!
//! A [`Type`] has every generic argument filled in: its sizes are polynomials over named dims. A type as
//! written (`T[S..., I]`) is a pattern: [`ground`](Bindings) fills it from [`Bindings`], and `unify`
//! finds the bindings that make it a given type. Nothing here reports: callers turn a
//! [`Mismatch`] into a diagnostic that knows the place.

use super::world::{Def, GenericSort, StructId, World};
use crate::graph::{Dim, DimVar, TensorType};
use crate::syntax::ast;
use std::rc::Rc;
use tensc_runtime::DType;

/// The type of a value.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Type {
    /// A tensor; a scalar has rank 0.
    Tensor(TensorType),
    /// A struct with its arguments.
    Struct(StructId, Rc<[Generic]>),
    /// `(A, B)`
    Tuple(Vec<Type>),
    /// `{ a: A }`
    Record(Vec<(String, Type)>),
    /// The type of statements.
    Unit,
    /// Any function: its types are found where it is called.
    Function,
    /// What only the compiler handles, such as a string.
    Static(&'static str),
}

/// What a generic parameter stands for.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Generic {
    /// A size.
    Dim(Dim),
    /// Sizes.
    Pack(Vec<Dim>),
    /// An element type.
    DType(DType),
    /// A tensor type or a tree of them.
    Tree(Type),
}

impl Type {
    /// As a user would write it.
    pub(crate) fn show(&self, world: &World) -> String {
        let list =
            |types: &[Type]| types.iter().map(|t| t.show(world)).collect::<Vec<_>>().join(", ");
        match self {
            Type::Tensor(ty) => ty.to_string(),
            Type::Struct(def, args) => {
                let name = &world.structure(*def).decl.name.name;
                if args.is_empty() {
                    return name.clone();
                }
                let args: Vec<String> = args.iter().map(|a| a.show(world)).collect();
                format!("{name}[{}]", args.join(", "))
            }
            Type::Tuple(items) if items.len() == 1 => format!("({},)", items[0].show(world)),
            Type::Tuple(items) => format!("({})", list(items)),
            Type::Record(fields) => {
                let fields: Vec<String> =
                    fields.iter().map(|(n, t)| format!("{n}: {}", t.show(world))).collect();
                format!("{{ {} }}", fields.join(", "))
            }
            Type::Unit => "()".to_string(),
            Type::Function => "a function".to_string(),
            Type::Static(what) => (*what).to_string(),
        }
    }
}

impl Generic {
    pub(crate) fn show(&self, world: &World) -> String {
        match self {
            Generic::Dim(dim) => dim.to_string(),
            Generic::Pack(dims) => {
                dims.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            }
            Generic::DType(dtype) => dtype.to_string(),
            Generic::Tree(ty) => ty.show(world),
        }
    }
}

/// A generic parameter and what it stands for, once that is known.
#[derive(Clone, Debug)]
pub(crate) struct Binding {
    pub(crate) name: String,
    pub(crate) sort: GenericSort,
    pub(crate) value: Option<Generic>,
}

/// The generic parameters of a function or struct.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bindings(pub(crate) Vec<Binding>);

impl Bindings {
    /// Parameters that stand for nothing yet.
    pub(crate) fn open(generics: &[ast::GenericParam], sorts: &[GenericSort]) -> Bindings {
        let open = |(param, sort): (&ast::GenericParam, &GenericSort)| Binding {
            name: param.name.name.clone(),
            sort: *sort,
            value: None,
        };
        Bindings(generics.iter().zip(sorts).map(open).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Binding> {
        self.0.iter().rev().find(|b| b.name == name)
    }

    pub(crate) fn get_mut(&mut self, name: &str) -> Option<&mut Binding> {
        self.0.iter_mut().rev().find(|b| b.name == name)
    }

    /// The values of bound parameters, each replaced by that of `other` where it has none.
    pub(crate) fn or(&self, other: &Bindings) -> Bindings {
        let mut both = self.clone();
        for (mine, theirs) in both.0.iter_mut().zip(&other.0) {
            if mine.value.is_none() {
                mine.value.clone_from(&theirs.value);
            }
        }
        both
    }
}

/// Why a written type is not that of a value.
#[derive(Clone, Debug)]
pub(crate) enum Mismatch {
    /// A size differs: as written, what it stands for here, what was found on which axis.
    Size { written: crate::diag::Span, wanted: Dim, found: Dim, path: Vec<usize>, axis: usize },
    /// Another number of axes.
    Rank,
    /// Another element type.
    DType,
    /// Another kind of type altogether.
    Kind,
    /// A name in the written type stands for no type.
    Unknown(ast::Ident),
    /// A written type that makes no sense, such as a struct with too many arguments.
    Malformed(crate::diag::Span, String),
    /// A name in it is not bound yet.
    Open(String),
    /// A name in it was imported in vain, which was reported.
    Reported,
}

/// A written type's surroundings: which file's names it sees, and what generic names stand for.
pub(crate) struct TypeScope<'a, 'w> {
    pub(crate) world: &'w World,
    pub(crate) module: super::world::ModuleId,
    pub(crate) bindings: &'a Bindings,
}

impl TypeScope<'_, '_> {
    /// The type that is written, where every name in it is bound.
    pub(crate) fn ground(&self, ty: &ast::Type) -> Result<Type, Mismatch> {
        match &ty.kind {
            ast::TypeKind::Paren(inner) => self.ground(inner),
            ast::TypeKind::Tuple(items) if items.is_empty() => Ok(Type::Unit),
            ast::TypeKind::Tuple(items) => {
                Ok(Type::Tuple(items.iter().map(|t| self.ground(t)).collect::<Result<_, _>>()?))
            }
            ast::TypeKind::Record(fields) => {
                let field = |f: &ast::RecordField| Ok((f.name.name.clone(), self.ground(&f.ty)?));
                Ok(Type::Record(fields.iter().map(field).collect::<Result<_, _>>()?))
            }
            ast::TypeKind::Fn { .. } => Ok(Type::Function),
            ast::TypeKind::Named { path, args } => self.ground_named(path, args, ty.span),
        }
    }

    fn ground_named(
        &self,
        path: &ast::Path,
        args: &[ast::GenericArg],
        span: crate::diag::Span,
    ) -> Result<Type, Mismatch> {
        match self.head(path)? {
            Head::Tensor(dtype) => {
                Ok(Type::Tensor(TensorType::new(dtype, self.ground_shape(args)?)))
            }
            Head::Key => Ok(Type::Tensor(TensorType::scalar(DType::I64))),
            Head::OpenDType(name) | Head::OpenTree(name) => Err(Mismatch::Open(name)),
            Head::Tree(ty) if args.is_empty() => Ok(ty),
            Head::Tree(_) => Err(Mismatch::Malformed(span, format!("`{path}` takes no sizes"))),
            Head::Struct(def) => {
                let sorts = &self.world.structure(def).sorts;
                let groups = split_args(sorts, args, span)?;
                let ground = |(sort, group): (&GenericSort, &[ast::GenericArg])| {
                    self.ground_generic(*sort, group, span)
                };
                let args: Vec<Generic> =
                    sorts.iter().zip(groups).map(ground).collect::<Result<_, _>>()?;
                Ok(Type::Struct(def, args.into()))
            }
        }
    }

    fn ground_generic(
        &self,
        sort: GenericSort,
        args: &[ast::GenericArg],
        span: crate::diag::Span,
    ) -> Result<Generic, Mismatch> {
        Ok(match sort {
            GenericSort::Dim => Generic::Dim(self.dim(as_dim(&args[0])?)?),
            GenericSort::Pack => Generic::Pack(self.ground_shape(args)?),
            GenericSort::DType(_) => match self.head(&as_path(&args[0])?)? {
                Head::Tensor(dtype) => Generic::DType(dtype),
                Head::OpenDType(name) => return Err(Mismatch::Open(name)),
                _ => {
                    let message = "an element type was expected here".to_string();
                    return Err(Mismatch::Malformed(span, message));
                }
            },
            GenericSort::Tree => Generic::Tree(match &args[0] {
                ast::GenericArg::Type(ty) => self.ground(ty)?,
                dim @ ast::GenericArg::Dim(_) => {
                    self.ground_named(&as_path(dim)?, &[], dim.span())?
                }
            }),
        })
    }

    fn ground_shape(&self, args: &[ast::GenericArg]) -> Result<Vec<Dim>, Mismatch> {
        let mut shape = Vec::with_capacity(args.len());
        for arg in args {
            let dim = as_dim(arg)?;
            match &dim.kind {
                ast::DimKind::Pack(name) => match self.bindings.get(&name.name) {
                    Some(Binding { value: Some(Generic::Pack(dims)), .. }) => {
                        shape.extend(dims.iter().cloned());
                    }
                    Some(Binding { sort: GenericSort::Pack, .. }) => {
                        return Err(Mismatch::Open(name.name.clone()));
                    }
                    _ => return Err(Mismatch::Unknown(name.clone())),
                },
                _ => shape.push(self.dim(dim)?),
            }
        }
        Ok(shape)
    }

    /// The size that is written, where every name in it is bound.
    pub(crate) fn dim(&self, dim: &ast::Dim) -> Result<Dim, Mismatch> {
        match &dim.kind {
            ast::DimKind::Int(n) => Ok(Dim::Const(*n)),
            ast::DimKind::Name(name) => match self.bindings.get(name) {
                Some(Binding { value: Some(Generic::Dim(dim)), .. }) => Ok(dim.clone()),
                Some(Binding { sort: GenericSort::Dim, value: None, .. }) => {
                    Err(Mismatch::Open(name.clone()))
                }
                _ => Err(Mismatch::Unknown(ast::Ident { name: name.clone(), span: dim.span })),
            },
            ast::DimKind::Pack(name) => Err(Mismatch::Malformed(
                dim.span,
                format!("the pack `{}...` is not one size", name.name),
            )),
            ast::DimKind::Paren(inner) => self.dim(inner),
            ast::DimKind::Neg(inner) => Ok(Dim::Const(0) - self.dim(inner)?),
            ast::DimKind::Binary { op, left, right } => {
                let (a, b) = (self.dim(left)?, self.dim(right)?);
                Ok(match op {
                    ast::DimOp::Add => a + b,
                    ast::DimOp::Sub => a - b,
                    ast::DimOp::Mul => a * b,
                    ast::DimOp::Div => a.div_exact(&b).ok_or_else(|| {
                        let message = format!("{a} is not known to be a multiple of {b}");
                        Mismatch::Malformed(dim.span, message)
                    })?,
                })
            }
        }
    }

    /// What the name before the brackets stands for.
    fn head(&self, path: &ast::Path) -> Result<Head, Mismatch> {
        if let Some(name) = path.as_name() {
            match self.bindings.get(&name.name) {
                Some(Binding { value: Some(Generic::DType(dtype)), .. }) => {
                    return Ok(Head::Tensor(*dtype));
                }
                Some(Binding { value: Some(Generic::Tree(ty)), .. }) => {
                    return Ok(Head::Tree(ty.clone()));
                }
                Some(Binding { sort: GenericSort::DType(_), .. }) => {
                    return Ok(Head::OpenDType(name.name.clone()));
                }
                Some(Binding { sort: GenericSort::Tree, .. }) => {
                    return Ok(Head::OpenTree(name.name.clone()));
                }
                Some(_) | None => {}
            }
            if let Some(dtype) = DType::from_name(&name.name) {
                return Ok(Head::Tensor(dtype));
            }
            if name.name == "key" {
                return Ok(Head::Key);
            }
        }
        match self.world.resolve(self.module, path) {
            Some(Def::Struct(def)) => Ok(Head::Struct(def)),
            Some(Def::Missing) => Err(Mismatch::Reported),
            _ => Err(Mismatch::Unknown(path.last().clone())),
        }
    }
}

/// What a type's name stands for.
enum Head {
    Tensor(DType),
    OpenDType(String),
    Tree(Type),
    OpenTree(String),
    Struct(StructId),
    Key,
}

/// Finds what the open names of `bindings` must stand for so that `ty`, as written in `module`, is
/// `actual`. Names that are bound are compared.
pub(crate) struct Unifier<'a, 'w> {
    pub(crate) world: &'w World,
    pub(crate) module: super::world::ModuleId,
    pub(crate) bindings: &'a mut Bindings,
    /// Sizes whose names were not all bound when they were met: checked by [`Unifier::finish`].
    pub(crate) deferred: Vec<(ast::Dim, Dim, Vec<usize>, usize)>,
    /// The fields on the way from the argument to the part at hand.
    pub(crate) path: Vec<usize>,
}

impl<'a, 'w> Unifier<'a, 'w> {
    pub(crate) fn new(
        world: &'w World,
        module: super::world::ModuleId,
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

    /// Checks what had to wait.
    pub(crate) fn finish(&mut self) -> Result<(), Mismatch> {
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
                if dtype == actual.dtype { Ok(()) } else { Err(Mismatch::DType) }
            }
            (Head::Key, Type::Tensor(actual)) => match actual.rank() {
                0 if actual.dtype == DType::I64 => Ok(()),
                0 => Err(Mismatch::DType),
                _ => Err(Mismatch::Rank),
            },
            (Head::OpenDType(name), Type::Tensor(actual)) => {
                let binding = self.bindings.get_mut(&name).expect("open names are bound later");
                if !binding.sort.accepts(actual.dtype) {
                    return Err(Mismatch::DType);
                }
                binding.value = Some(Generic::DType(actual.dtype));
                self.unify_shape(args, &actual.shape)
            }
            (Head::Tree(ty), _) => match ty == *actual {
                true => Ok(()),
                false => Err(Mismatch::Kind),
            },
            (Head::OpenTree(name), _) => {
                if matches!(actual, Type::Function | Type::Static(_) | Type::Unit) {
                    return Err(Mismatch::Kind);
                }
                let binding = self.bindings.get_mut(&name).expect("open names are bound later");
                binding.value = Some(Generic::Tree(actual.clone()));
                Ok(())
            }
            (Head::Struct(def), Type::Struct(found, actual)) if def == *found => {
                let sorts = self.world.structure(def).sorts.clone();
                let groups: Vec<Vec<ast::GenericArg>> =
                    split_args(&sorts, args, span)?.into_iter().map(<[_]>::to_vec).collect();
                for (group, actual) in groups.iter().zip(actual.iter()) {
                    self.unify_generic(group, span, actual)?;
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
                Head::Tensor(_) => Err(Mismatch::DType),
                Head::OpenDType(name) => {
                    let binding = self.bindings.get_mut(&name).expect("it is open");
                    if !binding.sort.accepts(*dtype) {
                        return Err(Mismatch::DType);
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
        (actual.clone() - offset).div_exact(&factor)
    }
}

/// Which of the arguments in brackets belong to each parameter: a pack takes what is left.
fn split_args<'a>(
    sorts: &[GenericSort],
    args: &'a [ast::GenericArg],
    span: crate::diag::Span,
) -> Result<Vec<&'a [ast::GenericArg]>, Mismatch> {
    let packs = sorts.iter().filter(|s| **s == GenericSort::Pack).count();
    let single = sorts.len() - packs;
    if args.len() < single || (packs == 0 && args.len() > single) {
        let (wanted, found) = (single, args.len());
        let s = if wanted == 1 { "" } else { "s" };
        let message = format!("this struct takes {wanted} argument{s} in brackets, found {found}");
        return Err(Mismatch::Malformed(span, message));
    }
    let mut rest = args;
    let mut groups = Vec::with_capacity(sorts.len());
    for sort in sorts {
        let width = if *sort == GenericSort::Pack { args.len() - single } else { 1 };
        let (group, after) = rest.split_at(width.min(rest.len()));
        groups.push(group);
        rest = after;
    }
    Ok(groups)
}

/// The argument as a size.
fn as_dim(arg: &ast::GenericArg) -> Result<&ast::Dim, Mismatch> {
    match arg {
        ast::GenericArg::Dim(dim) => Ok(dim),
        ast::GenericArg::Type(ty) => {
            Err(Mismatch::Malformed(ty.span, "a size was expected here, found a type".to_string()))
        }
    }
}

/// The argument as a name: a lone name is read as a size.
fn as_path(arg: &ast::GenericArg) -> Result<ast::Path, Mismatch> {
    match arg {
        ast::GenericArg::Dim(ast::Dim { kind: ast::DimKind::Name(name), span }) => {
            let ident = ast::Ident { name: name.clone(), span: *span };
            Ok(ast::Path { segments: vec![ident], span: *span })
        }
        ast::GenericArg::Type(ast::Type { kind: ast::TypeKind::Named { path, args }, .. })
            if args.is_empty() =>
        {
            Ok(path.clone())
        }
        other => {
            let message = "a type was expected here, found a size".to_string();
            Err(Mismatch::Malformed(other.span(), message))
        }
    }
}
