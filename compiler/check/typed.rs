//! The typed program: what the checker hands to everything above it.
//!
//! Every name is resolved, every tensor leaf has an element type and a shape over named sizes, and
//! every pure expression has become nodes of a symbolic [`Graph`]. Functions are inlined where they
//! are called, so a [`Function`] or [`Region`] is one graph, without calls but those of
//! `checkpoint` and `custom_grad`.
//!
//! Invariant: no later stage reports a mistake of the user, but for what only running can tell (a
//! file that is missing or has another shape, an index out of range, an assertion).

use crate::diag::Span;
use crate::graph::{DimVar, Graph, TensorType};
pub use crate::syntax::ast::{Align, FormatStyle};
use tensc_runtime::Scalar;

/// A value that is made of tensors: structs, records and tuples are trees, tensors are leaves.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Tree<T> {
    /// A tensor.
    Leaf(T),
    /// Values by position.
    Tuple(Vec<Tree<T>>),
    /// Values by name, in order of declaration.
    Record {
        /// The struct's name; `None` for an anonymous record.
        name: Option<String>,
        /// Fields in order of declaration.
        fields: Vec<(String, Tree<T>)>,
    },
}

impl<T> Tree<T> {
    /// Every leaf with its path below `root`: `m.hidden.w`, `pair.0`.
    pub fn leaves(&self, root: &str) -> Vec<(String, &T)> {
        fn walk<'a, T>(tree: &'a Tree<T>, path: String, out: &mut Vec<(String, &'a T)>) {
            let join = |name: &str| match path.is_empty() {
                true => name.to_string(),
                false => format!("{path}.{name}"),
            };
            match tree {
                Tree::Leaf(leaf) => out.push((path, leaf)),
                Tree::Tuple(items) => {
                    for (i, item) in items.iter().enumerate() {
                        walk(item, join(&i.to_string()), out);
                    }
                }
                Tree::Record { fields, .. } => {
                    for (name, field) in fields {
                        walk(field, join(name), out);
                    }
                }
            }
        }
        let mut out = Vec::new();
        walk(self, root.to_string(), &mut out);
        out
    }

    /// The tree of the images of its leaves; `None` where a leaf has none.
    pub(crate) fn try_map<U>(&self, f: &mut dyn FnMut(&T) -> Option<U>) -> Option<Tree<U>> {
        Some(match self {
            Tree::Leaf(leaf) => Tree::Leaf(f(leaf)?),
            Tree::Tuple(items) => {
                Tree::Tuple(items.iter().map(|item| item.try_map(f)).collect::<Option<_>>()?)
            }
            Tree::Record { name, fields } => {
                let field = |(n, part): &(String, Tree<T>)| Some((n.clone(), part.try_map(f)?));
                let fields = fields.iter().map(field).collect::<Option<_>>()?;
                Tree::Record { name: name.clone(), fields }
            }
        })
    }
}

/// A pure function at given element types and ranks, over named sizes.
#[derive(Clone, Debug)]
pub struct Function {
    /// The name it is called by.
    pub name: String,
    /// Parameters; their leaves in order are the graph's inputs, named by path.
    pub params: Vec<(String, Tree<TensorType>)>,
    /// The result; its leaves in order are the graph's outputs, named by path (`result` or `.0`
    /// where the result has no field names).
    pub result: Tree<TensorType>,
    /// The sizes a caller's arguments determine.
    pub dims: Vec<DimVar>,
    /// What it computes.
    pub graph: Graph,
    /// The whole item.
    pub span: Span,
}

/// A tensor variable of the script; also each leaf of a struct variable, and each scalar.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct SlotId(pub u32);

/// What a slot holds.
#[derive(Clone, PartialEq, Debug)]
pub struct SlotDecl {
    /// For messages and profiles: `m.hidden.w`.
    pub name: String,
    /// Its type over the script's named sizes.
    pub ty: TensorType,
}

/// A region of [`Script::regions`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct RegionId(pub u32);

/// A straight-line run of tensor statements: compiled as one graph.
#[derive(Clone, Debug)]
pub struct Region {
    /// What it computes, over the script's named sizes.
    pub graph: Graph,
    /// The slot each input reads. `true`: its value is not used afterwards (dead, or overwritten by
    /// this region), so the memory may be reused.
    pub inputs: Vec<(SlotId, bool)>,
    /// The slot each output writes, after all inputs were read.
    pub outputs: Vec<SlotId>,
    /// The statements.
    pub span: Span,
}

/// A piece of text with values in it.
#[derive(Clone, PartialEq, Debug)]
pub enum TextPart {
    /// As written.
    Text(String),
    /// The value of a slot.
    Value(SlotId, TextFormat),
}

/// How a value is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct TextFormat {
    /// Where it stands in its width; to the right where nothing is said.
    pub align: Option<Align>,
    /// Characters at least.
    pub width: Option<u16>,
    /// Digits after the point: `Some(4)` for `:.4`.
    pub precision: Option<u16>,
    /// The notation.
    pub style: FormatStyle,
}

/// Text with values in it.
pub type Text = Vec<TextPart>;

/// A tensor to be taken from a file.
#[derive(Clone, PartialEq, Debug)]
pub struct LoadLeaf {
    /// The name in the file; `None` where the whole file is one tensor.
    pub key: Option<String>,
    /// Where it goes. Its type's sizes that are not bound yet are bound by the data; the others
    /// must agree with it.
    pub slot: SlotId,
    /// The type's place in the source.
    pub span: Span,
}

/// A statement of the script.
#[derive(Clone, Debug)]
pub enum Step {
    /// Runs a compiled region.
    Region(RegionId),
    /// Makes `to` the same tensor as `from`.
    Copy {
        /// Source.
        from: SlotId,
        /// Destination.
        to: SlotId,
    },
    /// Reads a data file; the path is relative to the source's folder.
    Load {
        /// File.
        path: Text,
        /// What is taken from it.
        leaves: Vec<LoadLeaf>,
        /// The call.
        span: Span,
    },
    /// Writes a data file whole or not at all; the path is relative to the working directory.
    Save {
        /// File; the extension names the format.
        path: Text,
        /// Names in the file and values; one nameless leaf for a file that is one tensor.
        leaves: Vec<(Option<String>, SlotId)>,
        /// The call.
        span: Span,
    },
    /// Prints a line to standard output.
    Print(Text),
    /// Reports named scalars of a training step.
    Log(Vec<(String, SlotId)>),
    /// `for var in start..end`: all `i64` scalars.
    Range {
        /// The loop variable.
        var: SlotId,
        /// First value.
        start: SlotId,
        /// One past the last.
        end: SlotId,
        /// Statements.
        body: Vec<Step>,
    },
    /// `for b in batches(data, size, shuffle = key)`: rows in groups along axis 0.
    Batches {
        /// Each whole tensor and the slot its batch goes to. All have one size of axis 0.
        data: Vec<(SlotId, SlotId)>,
        /// Rows of a batch (`i64` scalar, positive); the last batch may have fewer.
        size: SlotId,
        /// Key of the permutation; rows in order without one.
        shuffle: Option<SlotId>,
        /// Explicit row order (`i64` vector) instead of a shuffle.
        order: Option<SlotId>,
        /// Leaves out a last batch that is short.
        drop_last: bool,
        /// The size of axis 0 in the body.
        dim: DimVar,
        /// Statements.
        body: Vec<Step>,
        /// The call.
        span: Span,
    },
    /// Two ways by a `bool` scalar.
    If {
        /// The condition.
        condition: SlotId,
        /// When true.
        then: Vec<Step>,
        /// When false.
        otherwise: Vec<Step>,
    },
    /// `while`: `head` computes the condition before each turn.
    While {
        /// Statements that compute the condition.
        head: Vec<Step>,
        /// The condition.
        condition: SlotId,
        /// Statements.
        body: Vec<Step>,
        /// Turns after which it is an error (`i64` scalar).
        limit: SlotId,
        /// The statement.
        span: Span,
    },
    /// Leaves the innermost loop.
    Break,
    /// Starts the next turn of the innermost loop.
    Continue,
    /// Fails the test or the run where the `bool` scalar is false.
    Assert {
        /// The condition.
        condition: SlotId,
        /// What to say; the source of the assertion where the user gave no message.
        message: Text,
        /// The call.
        span: Span,
    },
}

/// A value that the command line may set.
#[derive(Clone, PartialEq, Debug)]
pub struct Input {
    /// `epochs` for `--epochs`.
    pub name: String,
    /// Where it goes in a script.
    pub slot: SlotId,
    /// Its value unless set; the type is that of the scalar.
    pub default: Scalar,
    /// The item.
    pub span: Span,
    /// Its `///` comment.
    pub doc: String,
}

/// `main`, or the body of a `test`.
#[derive(Clone, Debug, Default)]
pub struct Script {
    /// Every slot; [`SlotId`] is the position.
    pub slots: Vec<SlotDecl>,
    /// Every region; [`RegionId`] is the position.
    pub regions: Vec<Region>,
    /// Values from the command line.
    pub inputs: Vec<Input>,
    /// Statements.
    pub body: Vec<Step>,
}

/// A `test` item.
#[derive(Clone, Debug)]
pub struct Test {
    /// Its name; that of a property as it is written.
    pub name: String,
    /// What it does.
    pub kind: TestKind,
    /// The item.
    pub span: Span,
}

/// What a test does.
#[derive(Clone, Debug)]
pub enum TestKind {
    /// Runs statements.
    Script(Script),
    /// Compares a gradient with differences.
    Gradient(GradientTest),
}

/// A function and its gradient in float64, for parameters of known sizes.
#[derive(Clone, Debug)]
pub struct GradientTest {
    /// The function as it is written.
    pub function: String,
    /// One number, from the leaves of the parameters.
    pub value: Graph,
    /// The number, then its gradient by each of `moving`.
    pub gradient: Graph,
    /// What the gradient is by.
    pub moving: Vec<Moving>,
    /// How far they may be apart, relatively to the largest of gradient, difference and value, or
    /// to 1 where these are smaller.
    pub tolerance: f64,
}

/// A leaf of a parameter that a gradient is by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Moving {
    /// Its path: `m.hidden.w`.
    pub name: String,
    /// Which input of the graphs it is.
    pub input: usize,
}

/// A checked program.
#[derive(Clone, Debug, Default)]
pub struct TypedProgram {
    /// The functions of the root file that are generic over sizes at most, in order.
    pub functions: Vec<Function>,
    /// `main`, where there is one.
    pub main: Option<Script>,
    /// The tests in order.
    pub tests: Vec<Test>,
    /// For [`instantiate`](super::instantiate).
    pub(super) checked: Option<std::sync::Arc<super::Checked>>,
}
