//! The kernel IR: what a compiled graph does, as kernels in order over buffers.
//!
//! A [`Program`] is a list of [`Kernel`]s; each reads and writes whole [`Buffer`]s through affine
//! [`Access`]es. A kernel is a loop nest around vector programs, a matrix product with an epilogue,
//! a call of a runtime function, or a program repeated. Nothing here knows a graph operation, and
//! nothing below asks what an operation means: fusion is over, only loops, addresses and scalar
//! arithmetic are left.
//!
//! Invariants (`verify`): every access is in bounds for every point of its loops, proved from the
//! extents; tasks of a kernel that may run at once never touch the same element unless all read;
//! each buffer is written before it is read; row buffers do not outlive a row.
//!
//! Neighbours: `lower` makes programs from graphs, `fuse` joins kernels, `tile` cuts transposes,
//! `border` writes the ends of rows with them, `column` finds folds of a product's columns, `plan`
//! places buffers, `reference` executes programs naively, `text` prints and parses them; `codegen`
//! emits them.

mod border;
pub mod column;
pub mod cost;
pub mod fuse;
pub mod lower;
mod order;
pub mod plan;
pub mod reference;
pub mod repeat;
pub mod text;
mod tile;
pub mod touch;
pub mod verify;
pub mod walk;

pub use border::join_borders;
pub use cost::{schedule, work_ns};
pub use fuse::fuse;
pub use lower::lower;
pub use plan::plan;
pub use repeat::{Repeat, State};
pub use tile::tile;
pub use verify::verify;

use crate::graph::Origin;
use crate::graph::ops::Draw;
use crate::vector;
use smallvec::SmallVec;
use tensc_runtime::along::{Around, Running};
use tensc_runtime::linear::Linear;
use tensc_runtime::{DType, Tensor};

/// A buffer of a [`Program`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct BufferId(pub u32);

/// Where a buffer lives.
#[derive(Clone, PartialEq, Debug)]
pub enum Place {
    /// The caller's argument of this number; read only, unless the plan lets an output share it.
    Input(u32),
    /// The result of this number, allocated by the caller.
    Output(u32),
    /// The arena, at the offset the plan gives.
    Arena,
    /// Private to a thread; its contents live for one row of one nest.
    Row,
    /// Read-only data of the executable.
    Constant(Tensor),
}

/// A dense run of elements.
#[derive(Clone, PartialEq, Debug)]
pub struct Buffer {
    /// For dumps and profiles: the name of an input or output, or one made from the graph node.
    pub name: String,
    /// Element type in memory.
    pub dtype: DType,
    /// Number of elements.
    pub elements: usize,
    /// Where it lives.
    pub place: Place,
}

/// An affine walk over a buffer: element `offset + Σ strides[i] * index[i]` over the loop's axes.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Access {
    /// The buffer.
    pub buffer: BufferId,
    /// Element at index 0 of every axis.
    pub offset: i64,
    /// Elements for each step along each axis of the loop, outermost first.
    pub strides: SmallVec<[i64; 6]>,
    /// For slots that are gathered from: elements for each step of the index, and the number of
    /// valid indices (what the `CheckIndex` before it promised).
    pub gather: Option<(i64, usize)>,
}

/// A scalar that a finished fold hands to later stages of the same row: numbered over all yields
/// of all finishes of the nest, in order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct RowValue(pub u32);

/// A vector program bound to memory and to values of the row.
#[derive(Clone, PartialEq, Debug)]
pub struct Body {
    /// What is computed.
    pub program: vector::Program,
    /// The walk of each slot of the program.
    pub slots: Vec<Access>,
    /// What each parameter of the program is. In a finish the accumulators come first, and these
    /// are the parameters after them.
    pub params: Vec<RowValue>,
}

/// What becomes of the accumulators of a stage.
#[derive(Clone, PartialEq, Debug)]
pub enum Fold {
    /// There are none.
    None,
    /// They combine over the reduce axes and all lanes; then the body runs once for the row, its
    /// first parameters the results. It may yield row values.
    AcrossLanes(Body),
    /// They combine over the reduce axes only; then the body runs for every lane, its first
    /// parameters the accumulators. It yields nothing.
    PerLane(Body),
}

/// One pass over the inner axes of a row. Axes of its accesses: the nest's outer axes, `reduce`,
/// the lane axis. (A finish runs at index 0 of the reduce axes; for `AcrossLanes`, of the lane axis
/// too: its slots that store count as `Unit`, and nothing is lost since there is one lane.)
#[derive(Clone, PartialEq, Debug)]
pub struct Stage {
    /// Extents of the sequential axes around the lanes, outermost first.
    pub reduce: SmallVec<[usize; 2]>,
    /// Extent of the vectorised innermost axis.
    pub lanes: usize,
    /// Executed at every point; may store, unless the stage folds per lane.
    pub body: Body,
    /// What becomes of its accumulators.
    pub fold: Fold,
}

/// What a nest may be divided over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Split {
    /// Rows: the points of the outer axes.
    Rows,
    /// Blocks of [`LANE_BLOCK`] lanes of the only stage, which does not fold across lanes.
    Lanes,
    /// Nothing: one task.
    Never,
}

/// Lanes in a unit of work of [`Split::Lanes`].
pub const LANE_BLOCK: usize = 1024;

/// Independent rows; in each, stages one after another.
#[derive(Clone, PartialEq, Debug)]
pub struct Nest {
    /// Extents of the row axes, outermost first; their points are independent of each other.
    pub outer: SmallVec<[usize; 4]>,
    /// Passes over a row, in order.
    pub stages: Vec<Stage>,
    /// What threads may share out.
    pub split: Split,
}

/// A matrix that a product multiplies, over the axes batch…, then its own two.
#[derive(Clone, PartialEq, Debug)]
pub enum Operand {
    /// Elements in memory.
    Stored(Access),
    /// Elements in memory where an axis of the matrix is several ones.
    Spread(Spread),
    /// Elements made as panels of the matrix are packed, perhaps several times.
    Made(Prologue),
}

/// The elements of an operand one of whose own axes is several axes of memory, such as the windows
/// of a convolution: panels of the matrix are collected as they are packed, so that it is nowhere
/// as a whole.
#[derive(Clone, PartialEq, Debug)]
pub struct Spread {
    /// A walk over the axes batch…, those of `axes[0]`, those of `axes[1]`.
    pub access: Access,
    /// Extents of the axes that each of the operand's own two consists of, outermost first.
    pub axes: [SmallVec<[usize; 4]>; 2],
    /// Whether neighbours in memory are so along the first of the operand's own axes, rather than
    /// along the second.
    pub turned: bool,
}

/// What makes the elements of an operand: a body that stores nothing and yields the element.
#[derive(Clone, PartialEq, Debug)]
pub struct Prologue {
    /// Its slots walk over the axes of the operand, the last two in the other order if it is
    /// turned. Lanes go along the last.
    pub body: Body,
    /// Whether lanes go along the first of the operand's own axes.
    pub turned: bool,
}

impl Operand {
    /// The body that makes the elements, if they are not in memory.
    pub fn body(&self) -> Option<&Body> {
        match self {
            Operand::Stored(_) | Operand::Spread(_) => None,
            Operand::Made(prologue) => Some(&prologue.body),
        }
    }

    /// Everything that is read.
    pub fn accesses(&self) -> &[Access] {
        match self {
            Operand::Stored(access) | Operand::Spread(Spread { access, .. }) => {
                std::slice::from_ref(access)
            }
            Operand::Made(prologue) => &prologue.body.slots,
        }
    }
}

/// `C = epilogue(A × B)` for each point of the batch axes. The epilogue's program has the
/// accumulator as parameter 0, and lanes along `n`.
#[derive(Clone, PartialEq, Debug)]
pub struct Product {
    /// Extents of the batch axes.
    pub batch: SmallVec<[usize; 2]>,
    /// Rows of A and C.
    pub m: usize,
    /// Columns of B and C.
    pub n: usize,
    /// Columns of A, rows of B.
    pub k: usize,
    /// `F32` or `F64`: of A, B and the accumulator.
    pub dtype: DType,
    /// A over axes batch…, m, k.
    pub left: Operand,
    /// B over axes batch…, k, n.
    pub right: Operand,
    /// What is done with each element of the product; its slots walk over axes batch…, m, n. It
    /// stores the result; its only parameter is the accumulator.
    pub epilogue: Body,
}

impl Product {
    /// A and B.
    pub fn operands(&self) -> [&Operand; 2] {
        [&self.left, &self.right]
    }

    /// A and B, to be changed.
    pub fn operands_mut(&mut self) -> [&mut Operand; 2] {
        [&mut self.left, &mut self.right]
    }

    /// Everything that is read before the epilogue.
    pub fn reads(&self) -> impl Iterator<Item = &Access> + Clone {
        self.operands().into_iter().flat_map(Operand::accesses)
    }
}

/// A function of the runtime.
#[derive(Clone, PartialEq, Debug)]
pub enum Call {
    /// Fills `out` with draws, as many for each of the keys in `key` (`i64`).
    Random {
        /// Distribution.
        draw: Draw,
        /// The keys.
        key: BufferId,
        /// Dense result.
        out: BufferId,
    },
    /// Makes keys from keys and numbers (as many `i64` each).
    FoldKey {
        /// The keys.
        key: BufferId,
        /// The numbers.
        data: BufferId,
        /// The new keys.
        out: BufferId,
    },
    /// `out = operand`, then adds `updates[o, p, i]` to `out[o, index[p], i]` in row-major order.
    ScatterAdd {
        /// Dense `[outer, bound, inner]`; `None` for zeros.
        operand: Option<BufferId>,
        /// Checked `i64` indices, dense.
        index: BufferId,
        /// Dense `[outer, positions, inner]`.
        updates: BufferId,
        /// Dense `[outer, bound, inner]`.
        out: BufferId,
        /// Product of the axes before the scattered one.
        outer: usize,
        /// Size of the scattered axis.
        bound: usize,
        /// Product of the axes after it.
        inner: usize,
    },
    /// Running combinations along an axis.
    Running {
        /// How elements combine.
        op: Running,
        /// Dense `[outer, n, inner]`.
        operand: BufferId,
        /// Dense, of the same type.
        out: BufferId,
        /// The sizes.
        around: Around,
    },
    /// `out[i] = factor[i] * out[i - 1] + operand[i]` along an axis.
    Recur {
        /// Dense `[outer, n, inner]`.
        factor: BufferId,
        /// Dense, of the same type.
        operand: BufferId,
        /// Dense, of the same type.
        out: BufferId,
        /// The sizes.
        around: Around,
    },
    /// Linear algebra on a batch of matrices.
    Linear {
        /// What is done.
        op: Linear,
        /// Dense `[batch, n, n]`.
        matrix: BufferId,
        /// Dense `[batch, n, m]`, where it takes right-hand sides.
        right: Option<BufferId>,
        /// Dense.
        out: BufferId,
        /// Rows of a matrix, and right-hand sides.
        sizes: [usize; 2],
    },
    /// Positions along an axis in the order of their elements, the first ones of each row.
    Argsort {
        /// Dense `[outer, n, inner]`.
        operand: BufferId,
        /// Dense `i64`.
        out: BufferId,
        /// The largest first.
        descending: bool,
        /// How many of each row there are; 0 follows.
        first: usize,
        /// The sizes.
        around: Around,
    },
}

/// What a kernel does.
#[derive(Clone, PartialEq, Debug)]
pub enum Work {
    /// Loops around vector programs.
    Nest(Nest),
    /// A matrix product.
    Product(Product),
    /// A runtime function.
    Call(Call),
    /// A program, step after step.
    Repeat(Repeat),
}

impl Work {
    /// Every body of vector code, those that make operands included; none of what is called or
    /// repeated.
    pub fn bodies(&self) -> Vec<&Body> {
        match self {
            Work::Nest(nest) => nest.stages.iter().flat_map(Stage::bodies).collect(),
            Work::Product(product) => {
                let made = product.operands().into_iter().filter_map(Operand::body);
                made.chain([&product.epilogue]).collect()
            }
            Work::Call(_) | Work::Repeat(_) => Vec::new(),
        }
    }
}

impl Stage {
    /// The body, and the finish if there is one.
    pub fn bodies(&self) -> impl Iterator<Item = &Body> {
        let finish = match &self.fold {
            Fold::None => None,
            Fold::AcrossLanes(finish) | Fold::PerLane(finish) => Some(finish),
        };
        [&self.body].into_iter().chain(finish)
    }
}

impl Body {
    /// The walks that are stored to.
    pub fn stores(&self) -> impl DoubleEndedIterator<Item = &Access> + Clone {
        self.program.insts.iter().filter_map(|inst| match inst {
            vector::Inst::Store(slot, _) => Some(&self.slots[slot.0 as usize]),
            _ => None,
        })
    }
}

/// One step of a program.
#[derive(Clone, PartialEq, Debug)]
pub struct Kernel {
    /// For dumps and profiles: made from the operations it holds, such as `matmul_add_relu`.
    pub name: String,
    /// What it does.
    pub work: Work,
    /// Buffers that are to be written before, though it does not read them.
    pub after: Vec<BufferId>,
    /// The graph nodes it came from.
    pub origins: Vec<Origin>,
}

/// Where each arena buffer starts, and which outputs take an input's memory.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// Byte offset of each `Place::Arena` buffer, by buffer number.
    pub offsets: Vec<Option<usize>>,
    /// Bytes of the arena.
    pub bytes: usize,
    /// Byte offset of each `Place::Row` buffer in a thread's scratch, by buffer number.
    pub row_offsets: Vec<Option<usize>>,
    /// Bytes of a thread's scratch.
    pub row_bytes: usize,
    /// (input, output): when the caller gives the input away, the output may be written over it.
    pub donations: Vec<(u32, u32)>,
}

/// A compiled graph before machine code.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Program {
    /// Every buffer; [`BufferId`] is the position.
    pub buffers: Vec<Buffer>,
    /// Steps, in order.
    pub kernels: Vec<Kernel>,
    /// The buffer of each input.
    pub inputs: Vec<BufferId>,
    /// The buffer of each output.
    pub outputs: Vec<BufferId>,
    /// What a failed `CheckIndex` of this site reports: where the index was written, and the bound.
    pub sites: Vec<Origin>,
    /// Placement.
    pub plan: Plan,
}

#[cfg(test)]
mod tests;
