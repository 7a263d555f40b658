//! Types without open names, and matching a written type against one.
//!
//! A [`Type`] has every generic argument filled in: its sizes are polynomials over named dims. A
//! type as written (`T[S..., I]`) is a pattern: [`ground`](Bindings) fills it from [`Bindings`],
//! and `unify` finds the bindings that make it a given type. Nothing here reports: callers turn a
//! [`Mismatch`] into a diagnostic that knows the place.

mod stack;
mod unify;

use stack::STACK;
pub(crate) use stack::{Instance, is_stack, stack_args};
pub(crate) use unify::Unifier;

use super::world::{Def, GenericSort, StructId, World, default_of};
use crate::graph::{Dim, TensorType};
use crate::syntax::ast;
use tensc_runtime::DType;

/// The type of a value.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Type {
    /// A tensor; a scalar has rank 0.
    Tensor(TensorType),
    /// A struct.
    Struct(Instance),
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
            Type::Struct(of) if !of.lanes.is_empty() => {
                let one = Type::Struct(of.one()).show(world);
                of.lanes.iter().rev().fold(one, |ty, size| format!("stack[{size}, {ty}]"))
            }
            Type::Struct(Instance { def, args, .. }) => {
                let decl = &world.structure(*def).decl;
                let name = &decl.name.name;
                // What is as by default goes without saying.
                let said = |(param, arg): (&ast::GenericParam, &Generic)| {
                    default_of(param).is_none_or(|dtype| *arg != Generic::DType(dtype))
                };
                let last = decl.generics.iter().zip(args.iter()).rposition(said);
                let said = &args[..last.map_or(0, |i| i + 1)];
                if said.is_empty() {
                    return name.clone();
                }
                let args: Vec<String> = said.iter().map(|a| a.show(world)).collect();
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

    /// What is not bound as it is by default.
    pub(crate) fn or_default(mut self, generics: &[ast::GenericParam]) -> Bindings {
        for (binding, param) in self.0.iter_mut().zip(generics) {
            if binding.value.is_none() {
                binding.value = default_of(param).map(Generic::DType);
            }
        }
        self
    }

    /// Whether every size was found: none stands for itself.
    pub(crate) fn is_told(&self) -> bool {
        self.0.iter().all(|binding| match &binding.value {
            Some(Generic::Dim(size)) => size.vars().iter().all(|var| var.id != u32::MAX),
            _ => true,
        })
    }

    /// Adds a parameter of a function that is a known size, which types may name too.
    pub(crate) fn add_size(&mut self, name: &str, size: Dim) {
        let value = Some(Generic::Dim(size));
        self.0.push(Binding { name: name.to_string(), sort: GenericSort::Dim, value });
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
    /// Another element type; why, where the written type does not tell.
    DType(Option<String>),
    /// Another type than the tree that a name stands for; which one that is.
    Tree(String),
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
            Head::Key => Ok(Type::Tensor(TensorType::new(DType::I64, self.ground_shape(args)?))),
            Head::OpenDType(name) | Head::OpenTree(name) => Err(Mismatch::Open(name)),
            Head::Tree(ty) if args.is_empty() => Ok(ty),
            Head::Tree(_) => Err(Mismatch::Malformed(span, format!("`{path}` takes no sizes"))),
            Head::Stack => {
                let (size, ty) = stack_args(args, span)?;
                Ok(self.ground(&ty)?.stacked(&self.axis_size(size)?))
            }
            Head::Struct(def) => {
                let sorts = &self.world.structure(def).sorts;
                let groups = self.split_args(def, args, span)?;
                let ground = |(sort, group): (&GenericSort, Group<'_>)| match group {
                    Group::Written(args) => self.ground_generic(*sort, args, span),
                    Group::Default(dtype) => Ok(Generic::DType(dtype)),
                };
                let args: Vec<Generic> =
                    sorts.iter().zip(groups).map(ground).collect::<Result<_, _>>()?;
                Ok(Type::Struct(Instance::new(def, args)))
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
                Head::Tensor(dtype) if sort.accepts(dtype) => Generic::DType(dtype),
                Head::Tensor(dtype) => {
                    let message = format!("this struct is of no {dtype}");
                    return Err(Mismatch::Malformed(args[0].span(), message));
                }
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
                _ => shape.push(self.axis_size(dim)?),
            }
        }
        Ok(shape)
    }

    /// The size of an axis, which is not known to be negative.
    pub(crate) fn axis_size(&self, dim: &ast::Dim) -> Result<Dim, Mismatch> {
        let size = self.dim(dim)?;
        match size.known() {
            Some(n) if n < 0 => Err(Mismatch::Malformed(dim.span, format!("a size cannot be {n}"))),
            _ => Ok(size),
        }
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
                    ast::DimOp::Div => a.over(&b).ok_or_else(|| {
                        let message = format!("{a} is not known to be a multiple of {b}");
                        Mismatch::Malformed(dim.span, message)
                    })?,
                })
            }
        }
    }

    /// Which of the arguments in brackets belong to each parameter: a pack takes what is left.
    /// Where there is one, as many parameters with a default are given as element types end the
    /// list.
    fn split_args<'a>(
        &self,
        def: StructId,
        args: &'a [ast::GenericArg],
        span: crate::diag::Span,
    ) -> Result<Vec<Group<'a>>, Mismatch> {
        let def = self.world.structure(def);
        let defaults = def.decl.generics.iter().map(default_of);
        let optional = defaults.clone().flatten().count();
        let given = args.iter().rev().take_while(|arg| self.is_dtype(arg)).count();
        let packs = def.sorts.iter().filter(|s| **s == GenericSort::Pack).count();
        let single = def.sorts.len() - packs;
        let needed = match packs {
            0 => args.len().clamp(single - optional, single),
            _ => single - optional.saturating_sub(given),
        };
        if args.len() < needed || (packs == 0 && args.len() > needed) {
            let (wanted, found) = (single - optional, args.len());
            let s = if wanted == 1 { "" } else { "s" };
            let or = if optional > 0 { format!(" or {single}") } else { String::new() };
            let message =
                format!("this struct takes {wanted}{or} argument{s} in brackets, found {found}");
            return Err(Mismatch::Malformed(span, message));
        }
        let mut rest = args;
        let mut groups = Vec::with_capacity(def.sorts.len());
        for (sort, default) in def.sorts.iter().zip(defaults) {
            groups.push(match default {
                Some(dtype) if rest.is_empty() => Group::Default(dtype),
                _ => {
                    let pack = *sort == GenericSort::Pack;
                    let width = if pack { args.len() - needed } else { 1 };
                    let (group, after) = rest.split_at(width);
                    rest = after;
                    Group::Written(group)
                }
            });
        }
        Ok(groups)
    }

    /// Whether the argument names an element type.
    fn is_dtype(&self, arg: &ast::GenericArg) -> bool {
        let head = as_path(arg).and_then(|path| self.head(&path));
        matches!(head, Ok(Head::Tensor(_) | Head::OpenDType(_)))
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
            match name.name.as_str() {
                "key" => return Ok(Head::Key),
                STACK => return Ok(Head::Stack),
                _ => {}
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
    Stack,
}

/// What was written for a generic parameter of a struct.
enum Group<'a> {
    /// Its arguments: one, or those of a pack.
    Written(&'a [ast::GenericArg]),
    /// Nothing: it is this element type.
    Default(DType),
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
