//! Items: what stands at the top level of a file.

use super::{Arg, Block, Dim, Expr, Ident, Path, StrLit, Type};
use crate::diag::Span;

/// A definition at the top level, with its documentation.
#[derive(Clone, PartialEq, Debug)]
pub struct Item {
    /// The lines of the `///` comments before it, without slashes and the blank after them.
    pub docs: Vec<String>,
    /// What it is.
    pub kind: ItemKind,
    /// From its first to its last token, documentation apart.
    pub span: Span,
}

/// The kinds of [`Item`].
#[derive(Clone, PartialEq, Debug)]
pub enum ItemKind {
    /// `import std.nn.{Dense, dense}`
    Import(Import),
    /// `struct Dense[I, O] { w: f32[I, O], b: f32[O] }`
    Struct(StructDecl),
    /// `fn relu[S...](x: f32[S...]) -> f32[S...] = max(x, 0.0)`
    Fn(FnDecl),
    /// `input epochs: i64 = 5`
    Input(InputDecl),
    /// `main { … }`
    Main(Block),
    /// `test "name" { … }`, `test gradcheck(loss, B = 4)`
    Test(Test),
}

/// `import a.b.c`, `import a.b.c as d`, `import a.b.{C, d as e}`, `import "file.tx" as f`,
/// `import "file.tx".{C}`.
///
/// Without `names`, the last segment (or the file's stem) is bound: to a module, or to the item of
/// that name in the module before it. The resolver says which.
#[derive(Clone, PartialEq, Debug)]
pub struct Import {
    /// Where from.
    pub source: ImportSource,
    /// The members in braces.
    pub names: Option<Vec<ImportName>>,
    /// The other name for the whole import; never together with `names`.
    pub alias: Option<Ident>,
}

/// Where an [`Import`] looks.
#[derive(Clone, PartialEq, Debug)]
pub enum ImportSource {
    /// A dotted path from the library's or the program's root.
    Path(Path),
    /// A file, relative to the importing one.
    File(StrLit),
}

/// One member in the braces of an import: `dense`, `dense as layer`.
#[derive(Clone, PartialEq, Debug)]
pub struct ImportName {
    /// The member.
    pub name: Ident,
    /// What it is called here, if something else.
    pub alias: Option<Ident>,
}

/// `struct Name[params] where … { field: Type, frozen field: Type }`
#[derive(Clone, PartialEq, Debug)]
pub struct StructDecl {
    /// Its name.
    pub name: Ident,
    /// The generic parameters in brackets.
    pub generics: Vec<GenericParam>,
    /// What must hold of the dims.
    pub constraints: Vec<Constraint>,
    /// Its fields in order.
    pub fields: Vec<StructField>,
}

/// A field of a struct.
#[derive(Clone, PartialEq, Debug)]
pub struct StructField {
    /// Its documentation lines.
    pub docs: Vec<String>,
    /// Whether it is `frozen`: it gets no gradient.
    pub frozen: bool,
    /// Its name.
    pub name: Ident,
    /// Its type.
    pub ty: Type,
    /// The whole field.
    pub span: Span,
}

/// `fn name[generics](params) -> ret where … = body`, or with a block as body.
#[derive(Clone, PartialEq, Debug)]
pub struct FnDecl {
    /// Its name.
    pub name: Ident,
    /// The generic parameters in brackets.
    pub generics: Vec<GenericParam>,
    /// The parameters in order.
    pub params: Vec<Param>,
    /// The result's type; `None` where it is to be inferred.
    pub ret: Option<Type>,
    /// What must hold of the dims.
    pub constraints: Vec<Constraint>,
    /// The body; `= { … }` and `{ … }` are both an [block](super::ExprKind::Block).
    pub body: Expr,
}

/// A generic parameter.
#[derive(Clone, PartialEq, Debug)]
pub struct GenericParam {
    /// Its name.
    pub name: Ident,
    /// What it ranges over.
    pub kind: GenericKind,
    /// The element type that it is where nothing else is said: `T: float = f32`.
    pub default: Option<Ident>,
    /// The whole of it.
    pub span: Span,
}

/// What a generic parameter ranges over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum GenericKind {
    /// `N`: a dim; or a parameter tree where its uses show that (`struct Rmsprop[P] { v: P }`).
    Plain,
    /// `S...`: any number of dims.
    Pack,
    /// `T: float`: `f16`, `bf16`, `f32` or `f64`.
    Float,
    /// `T: int`: an integer type.
    Int,
    /// `T: number`: an integer or a float.
    Number,
    /// `T: dtype`: any element type, `bool` included.
    DType,
    /// `P: tree`: a tensor, or a tuple or struct of trees.
    Tree,
}

/// `N divides E`, `K <= H`, `A == B` after `where`.
#[derive(Clone, PartialEq, Debug)]
pub struct Constraint {
    /// What is on the left.
    pub left: Dim,
    /// How it relates.
    pub relation: Relation,
    /// What is on the right.
    pub right: Dim,
    /// The whole of it.
    pub span: Span,
}

/// The relation of a [`Constraint`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Relation {
    /// `left divides right`: there is an integer `q` with `right = q * left`.
    Divides,
    /// `left == right`
    Equal,
    /// `left <= right`
    AtMost,
}

/// A parameter of a function or a lambda: `x: f32[B]`, `static axis: i64 = -1`.
#[derive(Clone, PartialEq, Debug)]
pub struct Param {
    /// Whether it is `static`: its argument must be known to the compiler.
    pub is_static: bool,
    /// Its name.
    pub name: Ident,
    /// Its type; only a lambda may leave it out.
    pub ty: Option<Type>,
    /// What it is where no argument is given.
    pub default: Option<Expr>,
    /// The whole of it.
    pub span: Span,
}

/// `input epochs: i64 = 5`: a value that the command line can set.
#[derive(Clone, PartialEq, Debug)]
pub struct InputDecl {
    /// Its name.
    pub name: Ident,
    /// Its type.
    pub ty: Type,
    /// Its value where none is given.
    pub default: Expr,
}

/// A test.
#[derive(Clone, PartialEq, Debug)]
pub enum Test {
    /// `test "name" { … }`
    Block {
        /// What it is called.
        name: StrLit,
        /// What it runs.
        body: Block,
    },
    /// `test gradcheck(loss, B = 4)`: a property that the test runner knows.
    Property {
        /// The property: `gradcheck`.
        name: Ident,
        /// What it is checked on.
        args: Vec<Arg>,
    },
}
