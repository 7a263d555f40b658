//! What kernels do to memory: the list of every access with the space it walks over. The planner,
//! the verifier, fusion and the cost model all look at kernels through it.

use super::walk::{injective, range};
use super::{
    Access, Body, BufferId, Call, Fold, Kernel, Nest, Operand, Product, Program, Spread, Stage,
    Work,
};
use crate::vector::{Inst, Slot};
use smallvec::{SmallVec, smallvec};

/// One access of a kernel.
#[derive(Clone, Debug)]
pub struct Touch<'k> {
    /// The buffer.
    pub buffer: BufferId,
    /// The walk; `None` for a runtime function, which takes whole buffers.
    pub access: Option<&'k Access>,
    /// Extents of the axes it walks over.
    pub extents: SmallVec<[usize; 6]>,
    /// Whether it writes.
    pub writes: bool,
    /// Where in the kernel it is.
    pub site: Site,
}

/// A place in a kernel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Site {
    /// An operand of a product or of a call, or what a kernel is after.
    Operand,
    /// The body of a stage, at this instruction.
    Body(usize, usize),
    /// The finish of a stage, at this instruction.
    Finish(usize, usize),
    /// The epilogue of a product, at this instruction.
    Epilogue(usize),
}

/// Every access of a kernel, in the order in which a point executes them.
pub fn touches(kernel: &Kernel) -> Vec<Touch<'_>> {
    let mut touches = Vec::new();
    let whole = |buffer, writes| Touch {
        buffer,
        access: None,
        extents: SmallVec::new(),
        writes,
        site: Site::Operand,
    };
    match &kernel.work {
        Work::Nest(nest) => {
            for (number, stage) in nest.stages.iter().enumerate() {
                let extents = stage_extents(nest, stage);
                of_body(&mut touches, &stage.body, &extents, |i| Site::Body(number, i));
                match &stage.fold {
                    Fold::None => {}
                    Fold::AcrossLanes(finish) | Fold::PerLane(finish) => {
                        let extents = finish_extents(nest, stage);
                        of_body(&mut touches, finish, &extents, |i| Site::Finish(number, i));
                    }
                }
            }
        }
        Work::Product(product) => {
            for (operand, extents) in operands(product) {
                let site = Site::Operand;
                match operand {
                    Operand::Stored(access) | Operand::Spread(Spread { access, .. }) => {
                        let (buffer, access) = (access.buffer, Some(access));
                        touches.push(Touch { buffer, access, extents, writes: false, site });
                    }
                    Operand::Made(made) => of_body(&mut touches, &made.body, &extents, |_| site),
                }
            }
            let extents = epilogue_extents(product);
            of_body(&mut touches, &product.epilogue, &extents, Site::Epilogue);
        }
        Work::Call(call) => {
            let (reads, out) = call_buffers(call);
            touches.extend(reads.into_iter().map(|b| whole(b, false)));
            touches.push(whole(out, true));
        }
        Work::Repeat(repeat) => {
            touches.extend(repeat.reads().map(|b| whole(b, false)));
            touches.extend(repeat.results().chain(repeat.scratch()).map(|b| whole(b, true)));
        }
    }
    touches.extend(kernel.after.iter().map(|&b| whole(b, false)));
    touches
}

/// For each buffer of a program the kernels that touch it, in order, and whether they write it.
pub struct Touching(Vec<Vec<(usize, bool)>>);

impl Touching {
    /// Of all kernels.
    pub fn new(program: &Program) -> Touching {
        let mut of = vec![Vec::new(); program.buffers.len()];
        for (at, kernel) in program.kernels.iter().enumerate() {
            for touch in touches(kernel) {
                let kernels: &mut Vec<(usize, bool)> = &mut of[touch.buffer.0 as usize];
                match kernels.last_mut() {
                    Some((last, writes)) if *last == at => *writes |= touch.writes,
                    _ => kernels.push((at, touch.writes)),
                }
            }
        }
        Touching(of)
    }

    /// Of one buffer.
    pub fn of(&self, buffer: BufferId) -> &[(usize, bool)] {
        &self.0[buffer.0 as usize]
    }
}

/// Extents of the axes of a stage's body: outer, reduce, lanes.
pub fn stage_extents(nest: &Nest, stage: &Stage) -> SmallVec<[usize; 6]> {
    let axes = nest.outer.iter().chain(&stage.reduce);
    axes.copied().chain([stage.lanes]).collect()
}

/// Extents of the axes of a stage's finish: it runs at one point of the axes that were folded.
pub fn finish_extents(nest: &Nest, stage: &Stage) -> SmallVec<[usize; 6]> {
    let mut extents = stage_extents(nest, stage);
    let rows = nest.outer.len();
    let folded = match stage.fold {
        Fold::PerLane(_) => rows + stage.reduce.len(),
        Fold::None | Fold::AcrossLanes(_) => extents.len(),
    };
    extents[rows..folded].fill(1);
    extents
}

/// Extents of the axes of a product's epilogue: batch, m, n.
pub fn epilogue_extents(product: &Product) -> SmallVec<[usize; 6]> {
    product.batch.iter().copied().chain([product.m, product.n]).collect()
}

/// The operands of a product with the extents of the axes that their accesses walk over.
pub fn operands(product: &Product) -> [(&Operand, SmallVec<[usize; 6]>); 2] {
    let &Product { m, n, k, ref left, ref right, .. } = product;
    [(left, [m, k]), (right, [k, n])].map(|(operand, [first, second])| {
        let inner: SmallVec<[usize; 6]> = match operand {
            Operand::Made(prologue) if prologue.turned => smallvec![second, first],
            Operand::Made(_) | Operand::Stored(_) => smallvec![first, second],
            Operand::Spread(spread) => spread.axes.iter().flatten().copied().collect(),
        };
        (operand, product.batch.iter().copied().chain(inner).collect())
    })
}

/// The buffers a runtime function reads, and the one it writes.
pub fn call_buffers(call: &Call) -> (SmallVec<[BufferId; 3]>, BufferId) {
    match *call {
        Call::Random { key, out, .. } => ([key].into_iter().collect(), out),
        Call::FoldKey { key, data, out } => ([key, data].into_iter().collect(), out),
        Call::ScatterAdd { operand, index, updates, out, .. } => {
            (operand.into_iter().chain([index, updates]).collect(), out)
        }
        Call::Running { operand, out, .. } | Call::Argsort { operand, out, .. } => {
            ([operand].into_iter().collect(), out)
        }
        Call::Linear { matrix, right, out, .. } => {
            (right.into_iter().chain([matrix]).collect(), out)
        }
        Call::Recur { factor, operand, out, .. } => ([factor, operand].into_iter().collect(), out),
    }
}

fn of_body<'k>(
    touches: &mut Vec<Touch<'k>>,
    body: &'k Body,
    extents: &[usize],
    site: impl Fn(usize) -> Site,
) {
    for (number, inst) in body.program.insts.iter().enumerate() {
        let (slot, writes) = match inst {
            Inst::Load(slot) | Inst::Gather(slot, _) => (slot, false),
            Inst::Store(slot, _) => (slot, true),
            _ => continue,
        };
        let &Slot(slot) = slot;
        let access = &body.slots[slot as usize];
        touches.push(Touch {
            buffer: access.buffer,
            access: Some(access),
            extents: extents.into(),
            writes,
            site: site(number),
        });
    }
}

/// Whether `written` may share the memory of `read`, which no later kernel reads: every element is
/// read before it is written, whatever the order of rows, lanes and tiles. Both buffers have
/// elements of one size.
pub fn in_place(kernel: &Kernel, read: BufferId, written: BufferId) -> bool {
    if matches!(kernel.work, Work::Call(_) | Work::Repeat(_)) {
        return false;
    }
    let touches = touches(kernel);
    let mut writes = touches.iter().filter(|t| t.buffer == written && t.writes);
    let (Some(write), None) = (writes.next(), writes.next()) else { return false };
    let reads = touches.iter().filter(|t| t.buffer == read);
    reads.into_iter().all(|r| !r.writes && before(kernel, r, write))
}

/// Whether the elements of the read were all read before the write changes them.
fn before(kernel: &Kernel, read: &Touch<'_>, write: &Touch<'_>) -> bool {
    let (Some(from), Some(to)) = (read.access, write.access) else { return false };
    if from.gather.is_some() || read.site > write.site {
        return false;
    }
    match (&kernel.work, read.site, write.site) {
        (_, Site::Body(a, _), Site::Body(b, _)) if a == b => same_elements(read, write),
        (_, Site::Finish(a, _), Site::Finish(b, _)) if a == b => same_elements(read, write),
        (_, Site::Epilogue(_), Site::Epilogue(_)) => same_elements(read, write),
        (
            Work::Nest(nest),
            Site::Body(a, _) | Site::Finish(a, _),
            Site::Body(b, _) | Site::Finish(b, _),
        ) if a < b => within_row(nest.outer.len(), read, write, from, to),
        _ => false,
    }
}

/// Whether both walks give the same element at every point, and no element twice.
pub fn same_elements(a: &Touch<'_>, b: &Touch<'_>) -> bool {
    let (Some(x), Some(y)) = (a.access, b.access) else { return false };
    let mut axes = x.strides.iter().zip(&y.strides).zip(&a.extents);
    a.extents == b.extents
        && x.offset == y.offset
        && x.gather.is_none()
        && y.gather.is_none()
        && axes.all(|((s, t), &extent)| extent == 1 || s == t)
        && injective(&x.strides, &a.extents)
}

/// Whether a row reads only what the same row writes: the rows of both walks start at the same
/// places, those of the write are apart, and the reads stay within them.
fn within_row(
    rows: usize,
    read: &Touch<'_>,
    write: &Touch<'_>,
    from: &Access,
    to: &Access,
) -> bool {
    let extents = &write.extents[..rows];
    let mut axes = from.strides.iter().zip(&to.strides).zip(extents);
    if !axes.all(|((s, t), &extent)| extent == 1 || s == t) {
        return false;
    }
    let inner = |touch: &Touch<'_>, access: &Access| {
        range(access.offset, &access.strides[rows..], &touch.extents[rows..])
    };
    let (Some(r), Some(w)) = (inner(read, from), inner(write, to)) else { return true };
    // One more axis of unit steps, as long as a row, makes rows that overlap not injective.
    let Ok(span) = usize::try_from(w.1 - w.0 + 1) else { return false };
    let mut strides: SmallVec<[i64; 6]> = to.strides[..rows].into();
    strides.push(1);
    let mut spans: SmallVec<[usize; 6]> = extents.into();
    spans.push(span);
    r.0 >= w.0 && r.1 <= w.1 && injective(&strides, &spans)
}
