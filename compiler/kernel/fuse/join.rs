//! Joining a map to the body that makes, or consumes, what it shares with it.

use super::Pair;
use super::respace::{Respace, walk_of};
use super::weave::{Part, Weave};
use crate::kernel::touch::{epilogue_extents, finish_extents, operands, stage_extents};
use crate::kernel::walk::Walk;
use crate::kernel::{Access, Body, Fold, Kernel, Nest, Operand, Prologue, Stage, Work};
use crate::vector::{self, Inst, Type, Value};
use tensc_runtime::DType;

/// What a join gives: the kernel, and why.
pub type Joined = Option<(Kernel, String)>;

/// The guest, a map, at the end of the host's body that makes one of its operands, or that reads
/// an operand it reads.
pub fn append(pair: &Pair<'_>) -> Joined {
    let (nest, stage) = as_map(pair.guest)?;
    let guest_extents = stage_extents(nest, stage);
    let hosts = bodies(pair.host);
    // The last body that makes an operand; the others are then of the past.
    let made = hosts
        .iter()
        .rev()
        .find(|h| h.body.stores().any(|a| loads(&stage.body).any(|b| b.buffer == a.buffer)));
    let (host, reference, source, how) = match made {
        Some(host) => {
            let (to, from) = shared(host.body.stores(), loads(&stage.body)).next()?;
            (host, to, from, host.kind.saved())
        }
        None => {
            // Two maps that read the same elements.
            as_map(pair.host)?;
            let host = hosts.first()?;
            let mut reads = shared(loads(host.body), loads(&stage.body));
            let (to, from) = reads
                .find(|(to, from)| relate(&guest_extents, from, &host.extents, to).is_some())?;
            (host, to, from, "both read the same elements, which are now read once")
        }
    };
    let respace = relate(&guest_extents, source, &host.extents, reference)?;
    if !respace.free.is_empty() {
        return None;
    }
    let part = part_in(&stage.body, &respace)?;
    // What the host makes, the guest must want at the same point.
    for other in &hosts {
        for made in other.body.stores() {
            for (slot, access) in part.accesses.iter().enumerate() {
                if made.buffer == access.buffer && is_loaded(&stage.body, slot) {
                    let here = std::ptr::eq(other.body, host.body);
                    if !here || !same(made, access, &host.extents) {
                        return None;
                    }
                }
            }
        }
    }
    if worse(&stage.body, &part.accesses) {
        return None;
    }
    if let Kind::Epilogue(dtype) = host.kind
        && !(fits_epilogue(&stage.body, dtype) && part.accesses.iter().all(near))
    {
        return None;
    }
    let body = append_part(host.body, host.extents.len(), &part);
    let mut kernel = pair.host.clone();
    *body_mut(&mut kernel, host.kind) = body;
    Some((kernel, how.to_owned()))
}

/// The host, a map, at the start of the body of the reduction that consumes it.
pub fn prepend(pair: &Pair<'_>) -> Joined {
    let (nest, stage) = as_map(pair.host)?;
    let Work::Nest(guest) = &pair.guest.work else { return None };
    let mut consumers = bodies(pair.guest)
        .into_iter()
        .filter(|b| shared(stage.body.stores(), loads(b.body)).next().is_some());
    let (consumer, None) = (consumers.next()?, consumers.next()) else { return None };
    let Kind::Stage(number) = consumer.kind else { return None };
    let (from, to) = shared(stage.body.stores(), loads(consumer.body)).next()?;
    let respace = relate(&stage_extents(nest, stage), from, &consumer.extents, to)?;
    if !respace.free.is_empty() {
        return None;
    }
    let part = part_in(&stage.body, &respace)?;
    for (slot, made) in part.accesses.iter().enumerate() {
        for read in loads(consumer.body).filter(|r| r.buffer == made.buffer) {
            if !is_loaded(&stage.body, slot) && !same(made, read, &consumer.extents) {
                return None;
            }
        }
    }
    if worse(&stage.body, &part.accesses) {
        return None;
    }
    let mut nest = guest.clone();
    let per_lane = matches!(nest.stages[number].fold, Fold::PerLane(_));
    if per_lane && !stage.body.stores().all(|a| pair.private(a.buffer)) {
        return None;
    }
    let second = Part::unmoved(consumer.body, consumer.extents.len());
    nest.stages[number].body = weave_parts(&[&part, &second], per_lane);
    let kernel = Kernel { work: Work::Nest(nest), ..pair.guest.clone() };
    Some((kernel, "a map is computed where it is reduced, and not read back".to_owned()))
}

/// Instructions of a prologue: fewer than a product has for each element of an operand.
const SIMPLE: usize = 16;

/// Columns of a product up to which it packs A once.
const ONE_BLOCK: usize = 256;

/// The host, a map, where the product that alone reads what it makes packs its operand.
pub fn pack(pair: &Pair<'_>) -> Joined {
    let (nest, stage) = as_map(pair.host)?;
    let Work::Product(product) = &pair.guest.work else { return None };
    let mut stored = stage.body.stores();
    let (made, None) = (stored.next()?, stored.next()) else { return None };
    if !pair.private(made.buffer) || loads(&product.epilogue).any(|a| a.buffer == made.buffer) {
        return None;
    }
    let mut uses = operands(product).into_iter().enumerate().filter_map(|(side, operand)| {
        let reads = |access: &&Access| access.buffer == made.buffer;
        Some((side, operand.0.accesses().iter().find(reads)?, operand))
    });
    let ((side, read, (operand, mut extents)), None) = (uses.next()?, uses.next()) else {
        return None;
    };
    let Operand::Stored(_) = operand else { return None };
    // Each block of columns packs A again; B is packed once.
    if side == 0 && product.n > ONE_BLOCK {
        return None;
    }
    // Lanes go along the axis whose elements are neighbours.
    let mut read = read.clone();
    let last = extents.len() - 1;
    let turned = read.strides[last] != 1;
    if turned {
        extents.swap(last - 1, last);
        read.strides.swap(last - 1, last);
    }
    let respace = relate(&stage_extents(nest, stage), made, &extents, &read)?;
    let part = respace.free.is_empty().then(|| part_in(&stage.body, &respace))??;
    let inputs =
        (part.accesses.iter().enumerate()).filter(|(slot, _)| is_loaded(&stage.body, *slot));
    let program = &stage.body.program;
    if !inputs.map(|(_, access)| access).all(near)
        || program.insts.len() > SIMPLE
        || !asks_nothing(&stage.body)
    {
        return None;
    }
    let mut weave = Weave::default();
    let values = weave.part(&part, &[]);
    weave.drop_stores(|_| true);
    let element = program.insts.iter().find_map(|inst| match *inst {
        Inst::Store(_, value) => Some(values[value.0 as usize]),
        _ => None,
    });
    weave.b.yields(element?);
    let prologue = Prologue { body: weave.finish(Vec::new()), turned };
    let mut product = product.clone();
    *product.operands_mut()[side] = Operand::Made(prologue);
    let kernel = Kernel { work: Work::Product(product), ..pair.guest.clone() };
    Some((kernel, "the operand is made as it is packed, and not stored".to_owned()))
}

/// The nest and its stage, if the kernel is a map: one stage that folds nothing.
pub fn as_map(kernel: &Kernel) -> Option<(&Nest, &Stage)> {
    let Work::Nest(nest) = &kernel.work else { return None };
    match nest.stages.as_slice() {
        [stage] if matches!(stage.fold, Fold::None) => Some((nest, stage)),
        _ => None,
    }
}

/// Which body of a kernel.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Kind {
    /// The epilogue of a product of this type.
    Epilogue(DType),
    /// The body of a stage.
    Stage(usize),
    /// The finish of a stage.
    Finish(usize),
}

impl Kind {
    fn saved(self) -> &'static str {
        match self {
            Kind::Epilogue(_) => "an epilogue on the product's registers replaces a pass over it",
            Kind::Stage(_) => "the value is handed on in a register, and not read back",
            Kind::Finish(_) => "the result of the reduction is used where it is finished",
        }
    }
}

/// A body that may be appended to, with the extents of its axes.
pub struct Host<'k> {
    pub body: &'k Body,
    pub extents: Vec<usize>,
    pub kind: Kind,
}

/// The bodies of a kernel that stores may be added to, in order of execution.
pub fn bodies(kernel: &Kernel) -> Vec<Host<'_>> {
    match &kernel.work {
        Work::Product(product) => vec![Host {
            body: &product.epilogue,
            extents: epilogue_extents(product).to_vec(),
            kind: Kind::Epilogue(product.dtype),
        }],
        Work::Nest(nest) => {
            let mut bodies = Vec::new();
            for (number, stage) in nest.stages.iter().enumerate() {
                let extents = stage_extents(nest, stage).to_vec();
                bodies.push(Host { body: &stage.body, extents, kind: Kind::Stage(number) });
                if let Fold::AcrossLanes(body) | Fold::PerLane(body) = &stage.fold {
                    let extents = finish_extents(nest, stage).to_vec();
                    bodies.push(Host { body, extents, kind: Kind::Finish(number) });
                }
            }
            bodies
        }
        Work::Call(_) | Work::Repeat(_) => Vec::new(),
    }
}

fn body_mut(kernel: &mut Kernel, kind: Kind) -> &mut Body {
    match (&mut kernel.work, kind) {
        (Work::Product(product), Kind::Epilogue(_)) => &mut product.epilogue,
        (Work::Nest(nest), Kind::Stage(number)) => &mut nest.stages[number].body,
        (Work::Nest(nest), Kind::Finish(number)) => match &mut nest.stages[number].fold {
            Fold::AcrossLanes(body) | Fold::PerLane(body) => body,
            Fold::None => unreachable!("the stage has a finish"),
        },
        _ => unreachable!("the kernel has this body"),
    }
}

/// The accesses a body loads or gathers from.
pub fn loads(body: &Body) -> impl Iterator<Item = &Access> + Clone {
    body.program.insts.iter().filter_map(|inst| match inst {
        Inst::Load(slot) | Inst::Gather(slot, _) => Some(&body.slots[slot.0 as usize]),
        _ => None,
    })
}

fn is_loaded(body: &Body, slot: usize) -> bool {
    body.program.insts.iter().any(|inst| match inst {
        Inst::Load(s) | Inst::Gather(s, _) => s.0 as usize == slot,
        _ => false,
    })
}

/// Pairs of accesses to one buffer.
pub fn shared<'a>(
    ours: impl Iterator<Item = &'a Access>,
    theirs: impl Iterator<Item = &'a Access> + Clone,
) -> impl Iterator<Item = (&'a Access, &'a Access)> {
    ours.flat_map(move |a| {
        theirs.clone().filter(move |b| b.buffer == a.buffer).map(move |b| (a, b))
    })
}

/// The source's space over the target's axes, related by one buffer.
pub fn relate(source: &[usize], from: &Access, target: &[usize], to: &Access) -> Option<Respace> {
    if from.gather.is_some() || to.gather.is_some() {
        return None;
    }
    Respace::between((source, &walk_of(from)), (target, &walk_of(to)))
}

/// Whether two accesses over one space are to the same element at every point.
pub fn same(a: &Access, b: &Access, extents: &[usize]) -> bool {
    let mut axes = a.strides.iter().zip(&b.strides).zip(extents);
    a.buffer == b.buffer
        && a.offset == b.offset
        && a.gather.is_none()
        && b.gather.is_none()
        && axes.all(|((s, t), &extent)| extent == 1 || s == t)
}

/// A body over the axes of the target, which determine its point.
fn part_in<'b>(body: &'b Body, respace: &Respace) -> Option<Part<'b>> {
    let rank = respace.source_rank();
    let accesses: Option<Vec<Access>> = body.slots.iter().map(|a| respace.access(a)).collect();
    let mut positions: Vec<Option<Walk>> = vec![None; rank];
    for inst in &body.program.insts {
        if let Inst::Index(axis) = *inst {
            let mut unit = Walk::still(rank);
            unit.strides[axis as usize] = 1;
            positions[axis as usize] = Some(respace.walk(&unit)?.0);
        }
    }
    Some(Part { body, accesses: accesses?, positions })
}

/// Whether some slot that walked by single elements, or not at all, would walk farther.
fn worse(body: &Body, accesses: &[Access]) -> bool {
    body.slots.iter().zip(accesses).any(|(old, new)| near(old) && !near(new))
}

fn near(access: &Access) -> bool {
    matches!(access.strides.last(), None | Some(0 | 1))
}

/// Epilogues stay simple: lanes of one width, no positions, nothing gathered.
fn fits_epilogue(body: &Body, dtype: DType) -> bool {
    let Ok(types) = vector::verify::types(&body.program) else { return false };
    let width = Type::of(dtype).bits();
    let one_width = |ty: &Option<Type>| ty.is_none_or(|t| t.bits().is_none() || t.bits() == width);
    types.iter().all(one_width) && asks_nothing(body)
}

/// Whether a body neither asks where it is nor computes where to read.
fn asks_nothing(body: &Body) -> bool {
    let asks = |i: &Inst| matches!(i, Inst::Index(_) | Inst::Gather(..) | Inst::CheckIndex { .. });
    !body.program.insts.iter().any(asks)
}

/// The body with the part, a map, after it.
fn append_part(body: &Body, rank: usize, part: &Part<'_>) -> Body {
    weave_parts(&[&Part::unmoved(body, rank), part], false)
}

/// Parts one after another, with the parameters, accumulators and yields of all; only one has any.
/// `drop_first` drops what the first part stores: nobody else reads it.
pub fn weave_parts(parts: &[&Part<'_>], drop_first: bool) -> Body {
    let mut weave = Weave::default();
    let mut row_values = Vec::new();
    for (number, part) in parts.iter().enumerate() {
        let program = &part.body.program;
        let params: Vec<Value> = program.params.iter().map(|&ty| weave.b.param(ty)).collect();
        let values = weave.part(part, &params);
        if number == 0 && drop_first {
            weave.drop_stores(|_| true);
        }
        let value = |v: Value| values[v.0 as usize];
        for acc in &program.accumulators {
            weave.b.accumulate(acc.combine, value(acc.value), acc.index.map(value));
        }
        for &v in &program.yields {
            weave.b.yields(value(v));
        }
        row_values.extend(part.body.params.iter().copied());
    }
    weave.finish(row_values)
}
