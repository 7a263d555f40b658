//! One loop nest for one elementwise expression, reduced or not.

use super::Lowering;
use super::arrange::{Arranged, arrange};
use super::scribe::{Read, Scribe};
use super::view::Base;
use crate::graph::Origin;
use crate::kernel::walk::{Walk, injective, points};
use crate::kernel::{Access, BufferId, Fold, Nest, Place, Split, Stage, Work};
use crate::vector::{Combine, Type, Value};
use tensc_runtime::{DType, Scalar};

/// An expression over an iteration space, and where its values go.
pub struct Loop<'a> {
    /// Sizes of the space.
    pub space: Vec<usize>,
    /// Whether each axis is reduced.
    pub reduced: Vec<bool>,
    /// Operands, with walks over the space.
    pub reads: Vec<Read>,
    /// The value at a point, from the operands with walks over the loop's axes.
    pub body: &'a dyn Fn(&mut Scribe, &[Read]) -> Value,
    /// The reduction, if there is one.
    pub fold: Option<LoopFold>,
    /// Where the results go.
    pub target: Target,
}

/// A reduction over the reduced axes.
#[derive(Clone, Copy)]
pub struct LoopFold {
    /// How values combine.
    pub combine: Combine,
    /// Of `ArgMax` and `ArgMin`: the operand that is the position.
    pub index: Option<usize>,
    /// The result of no values, as an element of the target.
    pub empty: Scalar,
}

/// The elements a loop writes: strides of reduced axes are 0.
#[derive(Clone)]
pub struct Target {
    /// The buffer.
    pub buffer: BufferId,
    /// Its element type.
    pub dtype: DType,
    /// The place of each point's result.
    pub walk: Walk,
}

/// Reductions of at least so many points ...
const LARGE: usize = 1 << 17;
/// ... to fewer results than this are done in chunks, for the threads to share and for the accuracy
/// of sums. The chunks depend on the shapes alone, so that the result does not depend on threads.
const FEW: usize = 128;
/// Points of a chunk, roughly.
const CHUNK: usize = 1 << 14;

impl Lowering<'_> {
    /// Appends the kernels of a loop.
    pub(super) fn emit(&mut self, name: &str, work: Loop<'_>, origins: &[Origin]) {
        if work.kept() == 0 {
            return;
        }
        match work.fold {
            Some(fold) if points(&work.space) == 0 => self.fill(name, &work, fold, origins),
            Some(fold) if work.wants_chunks() && fold.index.is_none() => {
                self.emit_chunks(name, work, fold, origins);
            }
            _ => {
                let nest = match self.turned(&work) {
                    Some(reads) => Loop { reads, ..work }.nest(),
                    None => work.nest(),
                };
                self.kernel(name, Work::Nest(nest), origins);
            }
        }
    }

    /// A reduction of nothing.
    fn fill(&mut self, name: &str, work: &Loop<'_>, fold: LoopFold, origins: &[Origin]) {
        let kept: Vec<usize> = (0..work.space.len()).filter(|&a| !work.reduced[a]).collect();
        let filled = Loop {
            space: kept.iter().map(|&a| work.space[a]).collect(),
            reduced: vec![false; kept.len()],
            reads: Vec::new(),
            body: &|scribe, _| scribe.b.konst(fold.empty),
            fold: None,
            target: Target { walk: work.target.walk.select(&kept), ..work.target.clone() },
        };
        self.kernel(name, Work::Nest(filled.nest()), origins);
    }

    /// Splits the outermost reduced axis into chunks, reduces each, then reduces their results.
    fn emit_chunks(&mut self, name: &str, work: Loop<'_>, fold: LoopFold, origins: &[Origin]) {
        let long = |&a: &usize| work.reduced[a] && work.space[a] > 1;
        let axis = (0..work.space.len()).find(long).expect("a large reduction has a reduced axis");
        let extent = work.space[axis];
        let inner = points(&work.space) / work.kept() / extent;
        let full = (CHUNK / inner).clamp(1, extent);
        let (whole, rest) = (extent / full, extent % full);
        let chunks = whole + usize::from(rest > 0);

        // The space of a chunked part: the axes kept, the chunks, then the axes reduced.
        let ty = Type::of(work.target.dtype).dtype();
        let kept: Vec<usize> = (0..work.space.len()).filter(|&a| !work.reduced[a]).collect();
        let mut shape: Vec<usize> = kept.iter().map(|&a| work.space[a]).collect();
        shape.push(chunks);
        let partial = self.buffer(ty, points(&shape), Place::Arena);
        let dense = Walk::dense(&shape);
        for (first, count, length) in [(0, whole, full), (whole, 1, rest)] {
            if length == 0 || count == 0 {
                continue;
            }
            let start = (first * full) as i64;
            let split = |walk: &Walk| {
                let step = walk.strides[axis];
                let mut walk = walk.clone();
                walk.offset += step * start;
                walk.strides.insert(axis, step * length as i64);
                walk
            };
            let mut target = Walk::still(work.space.len() + 1);
            for (i, &a) in kept.iter().enumerate() {
                target.strides[a + usize::from(a >= axis)] = dense.strides[i];
            }
            target.offset = first as i64;
            target.strides[axis] = 1;
            let mut space = work.space.clone();
            space[axis] = length;
            space.insert(axis, count);
            let mut reduced = work.reduced.clone();
            reduced.insert(axis, false);
            let part = Loop {
                space,
                reduced,
                reads: work.reads.iter().map(|r| r.with_walk(split(&r.walk))).collect(),
                body: work.body,
                fold: work.fold,
                target: Target { buffer: partial, dtype: ty, walk: target },
            };
            self.kernel(name, Work::Nest(part.nest()), origins);
        }
        let mut walk = work.target.walk.select(&kept);
        walk.strides.push(0);
        let mut reduced = vec![false; kept.len()];
        reduced.push(true);
        let whole = Loop {
            space: shape,
            reduced,
            reads: vec![Read { base: Base::Buffer(partial), dtype: ty, walk: dense }],
            body: &|scribe, reads| scribe.read(&reads[0]),
            fold: Some(fold),
            target: Target { walk, ..work.target },
        };
        self.kernel(&format!("{name}_chunks"), Work::Nest(whole.nest()), origins);
    }
}

impl Loop<'_> {
    /// Number of results.
    fn kept(&self) -> usize {
        let kept = self.space.iter().zip(&self.reduced).filter(|(_, reduced)| !**reduced);
        kept.map(|(extent, _)| *extent).product()
    }

    fn wants_chunks(&self) -> bool {
        points(&self.space) >= LARGE && self.kept() < FEW
    }

    /// The nest; the space has no empty axis.
    fn nest(&self) -> Nest {
        let mut walks: Vec<Walk> = self.reads.iter().map(|r| r.walk.clone()).collect();
        let mut memory: Vec<bool> =
            self.reads.iter().map(|r| matches!(r.base, Base::Buffer(_))).collect();
        walks.push(self.target.walk.clone());
        memory.push(true);
        let mut arranged = arrange(&self.space, &self.reduced, &walks, &memory);
        let target = arranged.walks.pop().expect("the target's walk");
        debug_assert!(self.fold.is_some() || injective(&target.strides, &extents(&arranged)));
        let reads: Vec<Read> = self
            .reads
            .iter()
            .zip(&arranged.walks)
            .map(|(r, walk)| r.with_walk(walk.clone()))
            .collect();
        let mut scribe = Scribe::default();
        let value = (self.body)(&mut scribe, &reads);
        let fold = match self.fold {
            None => {
                scribe.store(access(self.target.buffer, &target), self.target.dtype, value);
                Fold::None
            }
            Some(fold) => {
                let index = fold.index.map(|i| scribe.read(&reads[i]));
                scribe.b.accumulate(fold.combine, value, index);
                let ty = if index.is_some() { Type::I64 } else { scribe.b.ty(value) };
                let mut finish = Scribe::default();
                let result = finish.b.param(ty);
                finish.store(access(self.target.buffer, &target), self.target.dtype, result);
                let finish = finish.finish(Vec::new());
                if arranged.across { Fold::AcrossLanes(finish) } else { Fold::PerLane(finish) }
            }
        };
        let body = scribe.finish(Vec::new());
        let Arranged { outer, reduce, lanes, .. } = arranged;
        Nest { outer, stages: vec![Stage { reduce, lanes, body, fold }], split: Split::Never }
    }
}

fn extents(arranged: &Arranged) -> Vec<usize> {
    let axes = arranged.outer.iter().chain(&arranged.reduce);
    axes.copied().chain([arranged.lanes]).collect()
}

fn access(buffer: BufferId, walk: &Walk) -> Access {
    Access { buffer, offset: walk.offset, strides: walk.strides.clone(), gather: None }
}
