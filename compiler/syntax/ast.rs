//! What was written, with the place of every piece.
//!
//! A [`File`] is the tree of one source. The tree says only what the text says: names are not
//! resolved, `x[…]` may be an index or the explicit generic arguments of a function, `a.b` may be a
//! field or a member of a module. The checker decides those. Nothing that a formatter needs is lost:
//! parentheses, the spelling of numbers, comments and blank lines are kept.
//!
//! Invariant: the height of the tree is bounded (see `parser`), so recursive walks over it are safe.
//! A file whose diagnostics hold errors is incomplete: what could not be read is missing from it.
//!
//! The tree derives `PartialEq`, spans included; `spans::erase` makes it comparable without them.

use crate::diag::{SourceId, Span};

/// The span of nodes that no source holds, such as those of a printed backward function.
pub const NOWHERE: Span = Span { source: SourceId(u32::MAX), start: 0, end: 0 };

/// A name where it is written.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Ident {
    /// The name.
    pub name: String,
    /// Its place.
    pub span: Span,
}

/// A string without interpolation: the name of a test, the path of an import.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StrLit {
    /// The text it stands for, escapes replaced.
    pub value: String,
    /// Its place, quotes included.
    pub span: Span,
}

/// A dotted name: `Dense`, `std.nn.Dense`. Never empty.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Path {
    /// The names between the dots.
    pub segments: Vec<Ident>,
    /// From the first to the last.
    pub span: Span,
}

impl Path {
    /// The last segment.
    pub fn last(&self) -> &Ident {
        &self.segments[self.segments.len() - 1]
    }
    /// The name, where there is only one segment.
    pub fn as_name(&self) -> Option<&Ident> {
        match self.segments.as_slice() {
            [one] => Some(one),
            _ => None,
        }
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (i, segment) in self.segments.iter().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            f.write_str(&segment.name)?;
        }
        Ok(())
    }
}

// ---------------------------------------------------------------------------------------- files

/// One source.
#[derive(Clone, PartialEq, Debug)]
pub struct File {
    /// Its items in order.
    pub items: Vec<Item>,
    /// Comments (documentation comments of items and fields apart) and blank lines, in order.
    pub trivia: Vec<Trivia>,
    /// The whole text.
    pub span: Span,
}

/// What the meaning does not depend on and the formatter keeps.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trivia {
    /// Comment or blank line.
    pub kind: TriviaKind,
    /// Its place.
    pub span: Span,
}

/// The kinds of [`Trivia`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum TriviaKind {
    /// A comment on its own line; the text starts with its slashes and has no trailing blanks.
    OwnLine(String),
    /// A comment after other tokens of its line.
    Trailing(String),
    /// One or more lines with nothing on them.
    BlankLine,
}

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
    /// The body; `= { … }` and `{ … }` are both an [`ExprKind::Block`].
    pub body: Expr,
}

/// A generic parameter.
#[derive(Clone, PartialEq, Debug)]
pub struct GenericParam {
    /// Its name.
    pub name: Ident,
    /// What it ranges over.
    pub kind: GenericKind,
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

// ---------------------------------------------------------------------------------------- types

/// A type as written.
#[derive(Clone, PartialEq, Debug)]
pub struct Type {
    /// What it is.
    pub kind: TypeKind,
    /// Its place.
    pub span: Span,
}

/// The kinds of [`Type`].
#[derive(Clone, PartialEq, Debug)]
pub enum TypeKind {
    /// `f32`, `f32[B, 784]`, `T[S...]`, `Dense[784, 512]`, `P`, `key`, `std.nn.Dense[I, O]`.
    Named {
        /// The element type, struct, or parameter.
        path: Path,
        /// What stands in brackets; empty where there are none (`f32[]` is not written).
        args: Vec<GenericArg>,
    },
    /// `(A, B)`; `()` is the type of statements, `(A,)` has one member.
    Tuple(Vec<Type>),
    /// `{ images: u8[N, 28, 28], labels: u8[N] }`
    Record(Vec<RecordField>),
    /// `fn(A, B) -> C`
    Fn {
        /// The parameters' types.
        params: Vec<Type>,
        /// The result's type.
        ret: Box<Type>,
    },
    /// `(A)`: parentheses around a type.
    Paren(Box<Type>),
}

/// A field of a record type.
#[derive(Clone, PartialEq, Debug)]
pub struct RecordField {
    /// Its name.
    pub name: Ident,
    /// Its type.
    pub ty: Type,
}

/// What stands in the brackets of a type.
#[derive(Clone, PartialEq, Debug)]
pub enum GenericArg {
    /// A dim. A lone name is read as a dim even where it names a type (`Rmsprop[Mlp]`): the checker
    /// looks at what the parameter is.
    Dim(Dim),
    /// What can only be a type: `f32[3]`, `(A, B)`, `std.nn.Dense[2, 3]`.
    Type(Type),
}

impl GenericArg {
    /// Its place.
    pub fn span(&self) -> Span {
        match self {
            GenericArg::Dim(d) => d.span,
            GenericArg::Type(t) => t.span,
        }
    }
}

/// An integer polynomial over named dims.
#[derive(Clone, PartialEq, Debug)]
pub struct Dim {
    /// What it is.
    pub kind: DimKind,
    /// Its place.
    pub span: Span,
}

/// The kinds of [`Dim`].
#[derive(Clone, PartialEq, Debug)]
pub enum DimKind {
    /// `784`
    Int(i64),
    /// `B`
    Name(String),
    /// `S...`
    Pack(Ident),
    /// `2 * N`
    Binary {
        /// The operator.
        op: DimOp,
        /// What is on the left.
        left: Box<Dim>,
        /// What is on the right.
        right: Box<Dim>,
    },
    /// `-N`
    Neg(Box<Dim>),
    /// `(N + 1)`
    Paren(Box<Dim>),
}

/// An operator between dims.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DimOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`: exact division.
    Div,
}

impl DimOp {
    /// How it is written.
    pub const fn symbol(self) -> &'static str {
        match self {
            DimOp::Add => "+",
            DimOp::Sub => "-",
            DimOp::Mul => "*",
            DimOp::Div => "/",
        }
    }
}

// ----------------------------------------------------------------------------------- statements

/// `{ statements; value }`
#[derive(Clone, PartialEq, Debug)]
pub struct Block {
    /// The statements before the value.
    pub stmts: Vec<Stmt>,
    /// The last expression, unless a `;` follows it. The block's value is `()` without one.
    pub value: Option<Box<Expr>>,
    /// Braces included.
    pub span: Span,
}

/// A statement.
#[derive(Clone, PartialEq, Debug)]
pub struct Stmt {
    /// What it is.
    pub kind: StmtKind,
    /// Its place.
    pub span: Span,
}

/// The kinds of [`Stmt`]. Which of them a function's body may hold is the checker's business.
#[derive(Clone, PartialEq, Debug)]
pub enum StmtKind {
    /// `let (l, g) = value`, `let x: f32[3] = value`
    Let(Binding),
    /// `var m = value`: as `let`, and may be assigned.
    Var(Binding),
    /// `x = value`, `(m, opt) = value`, `x += value`
    Assign {
        /// The variables.
        target: Pattern,
        /// `+` in `+=`.
        op: Option<BinaryOp>,
        /// What they become.
        value: Expr,
    },
    /// `for i in a..b { … }`, `for b in batches(…) { … }`
    For {
        /// What each turn binds.
        pattern: Pattern,
        /// What is gone through.
        iter: Iter,
        /// What is done.
        body: Block,
    },
    /// `while c limit 100 { … }`
    While {
        /// Whether to go on.
        cond: Expr,
        /// How many turns there are at most.
        limit: Option<Expr>,
        /// What is done.
        body: Block,
    },
    /// `log loss = l, accuracy = a`
    Log(Vec<LogEntry>),
    /// `break`
    Break,
    /// `continue`
    Continue,
    /// An expression for its effect, or whose value is dropped: `print("…")`.
    Expr(Expr),
}

/// What `let` and `var` bind.
#[derive(Clone, PartialEq, Debug)]
pub struct Binding {
    /// The names.
    pub pattern: Pattern,
    /// The type that was asked for.
    pub ty: Option<Type>,
    /// The value.
    pub value: Expr,
}

/// One `name = value` of a `log` statement.
#[derive(Clone, PartialEq, Debug)]
pub struct LogEntry {
    /// The column's name.
    pub name: Ident,
    /// The value.
    pub value: Expr,
}

/// Names taken from a value.
#[derive(Clone, PartialEq, Debug)]
pub struct Pattern {
    /// What it is.
    pub kind: PatternKind,
    /// Its place.
    pub span: Span,
}

/// The kinds of [`Pattern`].
#[derive(Clone, PartialEq, Debug)]
pub enum PatternKind {
    /// `x`
    Name(String),
    /// `_`
    Wildcard,
    /// `(a, (b, _))`
    Tuple(Vec<Pattern>),
}

/// What a loop goes through.
#[derive(Clone, PartialEq, Debug)]
pub enum Iter {
    /// `a..b`, `b` excluded.
    Range {
        /// The first.
        start: Expr,
        /// One past the last.
        end: Expr,
    },
    /// The members of a value: the rows of a tensor, `batches(…)`.
    Each(Expr),
}

// ---------------------------------------------------------------------------------- expressions

/// An expression.
#[derive(Clone, PartialEq, Debug)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Its place.
    pub span: Span,
}

/// The kinds of [`Expr`].
#[derive(Clone, PartialEq, Debug)]
pub enum ExprKind {
    /// `42`, `0xff`, `1_000`
    Int {
        /// The value.
        value: i64,
        /// How it is spelled.
        text: String,
    },
    /// `1.0`, `1e-3`; always finite.
    Float {
        /// The nearest `f64`.
        value: f64,
        /// How it is spelled, so that an `f32` is rounded once.
        text: String,
    },
    /// `true`, `false`
    Bool(bool),
    /// `"epoch {epoch}: {loss:.4}"`; one `Text` part, or none, where nothing is interpolated.
    Str(Vec<StrPart>),
    /// `x`; also the head of a path: `std.nn.dense` is two fields of the name `std`.
    Name(String),
    /// `B...` in `reshape(x, [B..., I])`: every dim of a pack.
    Spread(Ident),
    /// `(a)`: parentheses, kept for the formatter.
    Paren(Box<Expr>),
    /// `()`, `(a,)`, `(a, b)`
    Tuple(Vec<Expr>),
    /// `[B, 784]`
    Array(Vec<Expr>),
    /// `Mlp { hidden: h, out, ..m }`
    Struct {
        /// The struct.
        path: Path,
        /// The fields given.
        fields: Vec<FieldInit>,
        /// Where the fields not given come from.
        rest: Option<Box<Expr>>,
    },
    /// `base.name`; `base.0` of a tuple has the name `"0"`.
    Field {
        /// The struct, record, tuple or module.
        base: Box<Expr>,
        /// The member.
        name: Ident,
    },
    /// `f(a, axis = -1)`; `f[N](a)` is a call of an [`ExprKind::Index`].
    Call {
        /// What is called.
        callee: Box<Expr>,
        /// The arguments: those without a name come first.
        args: Vec<Arg>,
    },
    /// `x[1:3, ..., None, i]`; or the explicit generic arguments in `zeros[f32]([3])`, where `x`
    /// names a function.
    Index {
        /// The tensor, or the generic function.
        base: Box<Expr>,
        /// One an axis; never empty.
        args: Vec<IndexArg>,
    },
    /// `-x`, `!x`
    Unary {
        /// The operator.
        op: UnaryOp,
        /// What it is applied to.
        operand: Box<Expr>,
    },
    /// `a + b`
    Binary {
        /// The operator.
        op: BinaryOp,
        /// Its place.
        op_span: Span,
        /// What is on the left.
        left: Box<Expr>,
        /// What is on the right.
        right: Box<Expr>,
    },
    /// `if c { a } else { b }`
    If {
        /// The condition.
        cond: Box<Expr>,
        /// Where it holds.
        then: Block,
        /// Where it does not: a `Block` or another `If`.
        otherwise: Option<Box<Expr>>,
    },
    /// `{ let y = x; y + y }`
    Block(Block),
    /// `load("train.npz") as { images: u8[N, 28, 28] }`
    As {
        /// The value.
        value: Box<Expr>,
        /// The type it is checked against when it comes in.
        ty: Type,
    },
    /// `fn(x) = x * x`
    Lambda {
        /// The parameters.
        params: Vec<Param>,
        /// The result's type, if said.
        ret: Option<Type>,
        /// The body.
        body: Box<Expr>,
    },
    /// `scan x in xs with h = h0 { … }`
    Scan {
        /// What each step binds.
        pattern: Pattern,
        /// What is gone through.
        iter: Box<Iter>,
        /// The state's names and their first value: `with (h, c) = (h0, c0)`.
        state: Option<Box<ScanState>>,
        /// A step.
        body: Block,
    },
    /// `for i, j: body`: the tensor of the body's values.
    Comprehension {
        /// The axes of the result.
        indices: Vec<IndexBinder>,
        /// The element.
        body: Box<Expr>,
    },
    /// `sum k: a[i, k] * b[k, j]`
    Reduction {
        /// How values are combined.
        op: ReduceOp,
        /// The place of the operator's name.
        op_span: Span,
        /// What runs.
        indices: Vec<IndexBinder>,
        /// What is combined.
        body: Box<Expr>,
    },
}

/// What a `scan` carries.
#[derive(Clone, PartialEq, Debug)]
pub struct ScanState {
    /// The names of the state.
    pub pattern: Pattern,
    /// Its first value.
    pub init: Expr,
}

/// An index of a comprehension: `i`, or `i < N` where its range does not follow from the types.
#[derive(Clone, PartialEq, Debug)]
pub struct IndexBinder {
    /// Its name.
    pub name: Ident,
    /// How far it runs, itself excluded.
    pub bound: Option<Dim>,
}

/// The reductions of a comprehension.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReduceOp {
    /// `sum`
    Sum,
    /// `prod`
    Prod,
    /// `mean`
    Mean,
    /// `max`
    Max,
    /// `min`
    Min,
    /// `any`
    Any,
    /// `all`
    All,
}

impl ReduceOp {
    /// Every one of them.
    pub const ALL: [ReduceOp; 7] = [
        ReduceOp::Sum,
        ReduceOp::Prod,
        ReduceOp::Mean,
        ReduceOp::Max,
        ReduceOp::Min,
        ReduceOp::Any,
        ReduceOp::All,
    ];

    /// How it is written.
    pub const fn name(self) -> &'static str {
        match self {
            ReduceOp::Sum => "sum",
            ReduceOp::Prod => "prod",
            ReduceOp::Mean => "mean",
            ReduceOp::Max => "max",
            ReduceOp::Min => "min",
            ReduceOp::Any => "any",
            ReduceOp::All => "all",
        }
    }
}

/// `name: value` of a struct literal; `name` alone stands for `name: name`.
#[derive(Clone, PartialEq, Debug)]
pub struct FieldInit {
    /// The field.
    pub name: Ident,
    /// Its value.
    pub value: Expr,
}

/// An argument: `x`, `axis = -1`.
#[derive(Clone, PartialEq, Debug)]
pub struct Arg {
    /// The parameter, if named.
    pub name: Option<Ident>,
    /// The value.
    pub value: Expr,
    /// The whole of it.
    pub span: Span,
}

/// What stands for one axis (or more) in an index.
#[derive(Clone, PartialEq, Debug)]
pub enum IndexArg {
    /// `i`: an integer drops the axis, an integer tensor gathers, `B...` names dims.
    Expr(Expr),
    /// `a:b:c`, every part optional.
    Slice {
        /// The first.
        start: Option<Box<Expr>>,
        /// One past the last.
        stop: Option<Box<Expr>>,
        /// The distance.
        step: Option<Box<Expr>>,
        /// The whole of it.
        span: Span,
    },
    /// `...`: every axis not mentioned.
    Ellipsis(Span),
    /// `None`: a new axis of size 1.
    NewAxis(Span),
}

impl IndexArg {
    /// Its place.
    pub fn span(&self) -> Span {
        match self {
            IndexArg::Expr(e) => e.span,
            IndexArg::Slice { span, .. } | IndexArg::Ellipsis(span) | IndexArg::NewAxis(span) => {
                *span
            }
        }
    }
}

/// A piece of a string.
#[derive(Clone, PartialEq, Debug)]
pub enum StrPart {
    /// Text as it is.
    Text {
        /// The text, escapes replaced.
        value: String,
        /// Its place inside the quotes; byte for byte that of `value` where it has no escapes.
        span: Span,
    },
    /// `{expr}`, `{expr:.4}`
    Interpolation {
        /// The value shown.
        expr: Expr,
        /// How.
        format: Option<Format>,
        /// Braces included.
        span: Span,
    },
}

/// How a value is shown: `[<|>|^][width][.precision][e|%]` after the colon of an interpolation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Format {
    /// Where the value stands in its width.
    pub align: Option<Align>,
    /// Characters at least.
    pub width: Option<u16>,
    /// Digits after the point.
    pub precision: Option<u16>,
    /// The notation.
    pub style: FormatStyle,
    /// Its place, colon apart.
    pub span: Span,
}

/// Where a value stands in its width.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Align {
    /// `<`
    Left,
    /// `>`
    Right,
    /// `^`
    Center,
}

/// The notation of a shown number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FormatStyle {
    /// As it is: `0.9812`.
    Plain,
    /// `e`: `9.812e-1`.
    Exponent,
    /// `%`: `98.12%`.
    Percent,
}

/// An operator before an expression.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnaryOp {
    /// `-`
    Neg,
    /// `!`
    Not,
}

impl UnaryOp {
    /// How it is written.
    pub const fn symbol(self) -> &'static str {
        match self {
            UnaryOp::Neg => "-",
            UnaryOp::Not => "!",
        }
    }
}

/// An operator between expressions.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BinaryOp {
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/`
    Div,
    /// `%`
    Rem,
    /// `@`
    MatMul,
    /// `**`
    Pow,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `&`
    And,
    /// `|`
    Or,
    /// `^`
    Xor,
}

impl BinaryOp {
    /// How it is written.
    pub const fn symbol(self) -> &'static str {
        match self {
            BinaryOp::Add => "+",
            BinaryOp::Sub => "-",
            BinaryOp::Mul => "*",
            BinaryOp::Div => "/",
            BinaryOp::Rem => "%",
            BinaryOp::MatMul => "@",
            BinaryOp::Pow => "**",
            BinaryOp::Eq => "==",
            BinaryOp::Ne => "!=",
            BinaryOp::Lt => "<",
            BinaryOp::Le => "<=",
            BinaryOp::Gt => ">",
            BinaryOp::Ge => ">=",
            BinaryOp::And => "&",
            BinaryOp::Or => "|",
            BinaryOp::Xor => "^",
        }
    }

    /// Whether it yields `bool` from a comparison of two values.
    pub const fn is_comparison(self) -> bool {
        use BinaryOp::{Eq, Ge, Gt, Le, Lt, Ne};
        matches!(self, Eq | Ne | Lt | Le | Gt | Ge)
    }
}

impl Expr {
    /// An expression at a place.
    pub fn new(kind: ExprKind, span: Span) -> Expr {
        Expr { kind, span }
    }
    /// The expression inside any parentheses.
    pub fn unparenthesized(&self) -> &Expr {
        match &self.kind {
            ExprKind::Paren(inner) => inner.unparenthesized(),
            _ => self,
        }
    }
    /// The dotted path it spells, where it is names and dots only.
    pub fn as_path(&self) -> Option<Path> {
        match &self.kind {
            ExprKind::Name(name) => {
                let head = Ident { name: name.clone(), span: self.span };
                Some(Path { segments: vec![head], span: self.span })
            }
            ExprKind::Field { base, name } => {
                let mut path = base.as_path()?;
                path.segments.push(name.clone());
                path.span = self.span;
                Some(path)
            }
            _ => None,
        }
    }
}
