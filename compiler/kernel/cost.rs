//! What kernels cost, roughly, and what is worth sharing out among threads.
//!
//! A roofline: the time of a kernel is that of its arithmetic or that of its memory traffic,
//! whichever is longer. The constants are those of one core of 2020 with 256-bit vectors; they are
//! committed, not measured, so that programs are the same everywhere. Decisions that would change
//! results never depend on them.

use super::touch::{call_buffers, finish_extents, stage_extents};
use super::walk::{points, range};
use super::{Body, Call, Fold, Kernel, LANE_BLOCK, Nest, Operand, Product, Program, Split, Work};
use crate::graph::ops::Draw;
use crate::vector::usual::Usual;
use crate::vector::{Binary, Inst, Stride, Type, Unary};
use tensc_runtime::DType;

/// Serial work below this is not worth waking a thread for, ns.
pub const SERIAL_NS: f64 = 10_000.0;

/// A simple vector instruction, ns; a vector has 8 lanes of 32 bits.
const INST_NS: f64 = 0.16;
/// Bytes a nanosecond from memory.
const MEMORY: f64 = 14.0;
/// Bytes a nanosecond from the caches.
const CACHE: f64 = 60.0;
/// Bytes that stay in the caches.
const CACHED: f64 = 512.0 * 1024.0;
/// Collecting an element of a spread operand, ns.
const COLLECT_NS: f64 = 0.1;
/// Multiply-adds a nanosecond in `f32`.
const FMA: f64 = 35.0;
/// The start of a row or a body, ns.
const ROW_NS: f64 = 4.0;

/// Chooses what every nest is divided over.
pub fn schedule(program: &mut Program) {
    for kernel in &mut program.kernels {
        if let Work::Repeat(repeat) = &mut kernel.work {
            schedule(&mut repeat.step);
        }
    }
    let splits: Vec<Option<Split>> = program
        .kernels
        .iter()
        .map(|kernel| match &kernel.work {
            Work::Nest(nest) => Some(split(nest, work_ns(program, kernel))),
            Work::Product(_) | Work::Call(_) | Work::Repeat(_) => None,
        })
        .collect();
    for (kernel, split) in program.kernels.iter_mut().zip(splits) {
        if let (Work::Nest(nest), Some(split)) = (&mut kernel.work, split) {
            nest.split = split;
        }
    }
}

fn split(nest: &Nest, ns: f64) -> Split {
    let rows = points(&nest.outer);
    let lanes = match nest.stages.as_slice() {
        [stage] if !matches!(stage.fold, Fold::AcrossLanes(_)) => stage.lanes,
        _ => 0,
    };
    if ns < SERIAL_NS {
        Split::Never
    } else if lanes >= 2 * LANE_BLOCK && rows < 8 && lanes / LANE_BLOCK > rows {
        Split::Lanes
    } else if rows > 1 {
        Split::Rows
    } else if lanes > LANE_BLOCK {
        Split::Lanes
    } else {
        Split::Never
    }
}

/// Nanoseconds that the kernel takes on one thread, roughly.
pub fn work_ns(program: &Program, kernel: &Kernel) -> f64 {
    match &kernel.work {
        Work::Nest(nest) => nest_ns(nest),
        Work::Product(product) => product_ns(product),
        Work::Call(call) => call_ns(program, call),
        Work::Repeat(repeat) => {
            let step = &repeat.step;
            repeat.count as f64 * step.kernels.iter().map(|k| work_ns(step, k)).sum::<f64>()
        }
    }
}

/// What a kernel asks of the machine, counted.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Counts {
    /// Arithmetic operations; a multiply-add is two, a comparison or a square root one.
    pub flops: f64,
    /// Bytes of the elements that are read or written, each counted once for each access to it.
    pub bytes: f64,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.flops += other.flops;
        self.bytes += other.bytes;
    }
}

/// What a kernel asks of the machine. Calls of the runtime count as their result's bytes.
pub fn counts(program: &Program, kernel: &Kernel) -> Counts {
    let mut counts = Counts::default();
    let mut add = |body: &Body, extents: &[usize]| {
        counts.flops += operations(&body.program) * points(extents) as f64;
        let slots = body.program.slots.iter().zip(&body.slots);
        counts.bytes +=
            slots.map(|(d, a)| (d.dtype.size() * reach(a, extents)) as f64).sum::<f64>();
    };
    match &kernel.work {
        Work::Nest(nest) => {
            for stage in &nest.stages {
                add(&stage.body, &stage_extents(nest, stage));
                if let Fold::AcrossLanes(finish) | Fold::PerLane(finish) = &stage.fold {
                    add(finish, &finish_extents(nest, stage));
                }
            }
        }
        Work::Product(product) => {
            add(&product.epilogue, &super::touch::epilogue_extents(product));
            let mut stored = 0;
            for (operand, extents) in super::touch::operands(product) {
                match operand {
                    Operand::Stored(_) => stored += points(&extents),
                    Operand::Spread(spread) => stored += distinct(&spread.access, &extents),
                    Operand::Made(prologue) => add(&prologue.body, &extents),
                }
            }
            let elements = points(&super::touch::epilogue_extents(product)) as f64;
            counts.flops += 2.0 * elements * product.k as f64;
            counts.bytes += (product.dtype.size() * stored) as f64;
        }
        Work::Call(call) => {
            let (_, out) = call_buffers(call);
            let out = &program.buffers[out.0 as usize];
            counts.bytes += (out.elements * out.dtype.size()) as f64;
        }
        Work::Repeat(repeat) => {
            for kernel in &repeat.step.kernels {
                let step = self::counts(&repeat.step, kernel);
                counts.flops += repeat.count as f64 * step.flops;
                counts.bytes += repeat.count as f64 * step.bytes;
            }
        }
    }
    counts
}

/// Arithmetic operations of one run of a body for one lane, in its usual form.
fn operations(program: &crate::vector::Program) -> f64 {
    let of = |inst: &Inst| match inst {
        Inst::Fma(..) => 2.0,
        Inst::Unary(Unary::Convert(_) | Unary::Bitcast(_) | Unary::Likely, _) => 0.0,
        Inst::Unary(..) | Inst::Binary(..) | Inst::Compare(..) | Inst::Select(..) => 1.0,
        _ => 0.0,
    };
    let usual = Usual::of(program, |_| false);
    let insts = usual.as_ref().map_or(&program.insts, |usual| &usual.program.insts);
    insts.iter().map(of).sum::<f64>() + program.accumulators.len() as f64
}

/// Elements that an access reaches: the points along the axes it moves on.
fn reach(access: &super::Access, extents: &[usize]) -> usize {
    let moving = access.strides.iter().zip(extents).filter(|(stride, _)| **stride != 0);
    moving.map(|(_, extent)| extent).product()
}

/// Elements that an access reaches, at most: it may reach one at several points.
fn distinct(access: &super::Access, extents: &[usize]) -> usize {
    let last = range(0, &access.strides, extents).map_or(0, |(low, high)| high - low + 1);
    usize::try_from(last).map_or(usize::MAX, |last| last.min(points(extents)))
}

fn nest_ns(nest: &Nest) -> f64 {
    let (mut arithmetic, mut bytes) = (0.0, 0.0);
    for stage in &nest.stages {
        let extents = stage_extents(nest, stage);
        let lanes = stage.lanes as f64;
        let rows = points(&extents) as f64 / lanes;
        arithmetic += rows * (ROW_NS + body_ns(&stage.body, lanes));
        bytes += traffic(&stage.body, points(&extents));
        if let Fold::AcrossLanes(finish) | Fold::PerLane(finish) = &stage.fold {
            let extents = finish_extents(nest, stage);
            let lanes = extents.last().map_or(1.0, |&l| l as f64);
            arithmetic += points(&extents) as f64 / lanes * (ROW_NS + body_ns(finish, lanes));
            bytes += traffic(finish, points(&extents));
        }
    }
    arithmetic.max(memory_ns(bytes))
}

fn product_ns(product: &Product) -> f64 {
    let batch = points(&product.batch) as f64;
    let (m, n, k) = (product.m as f64, product.n as f64, product.k as f64);
    let size = product.dtype.size() as f64;
    let rate = if product.dtype == DType::F64 { FMA / 2.0 } else { FMA };
    let whole = points(&super::touch::epilogue_extents(product));
    let mut around = batch * m * body_ns(&product.epilogue, n);
    let mut bytes = traffic(&product.epilogue, whole);
    for (operand, extents) in super::touch::operands(product) {
        let elements = points(&extents);
        match operand {
            Operand::Stored(_) => bytes += size * elements as f64,
            Operand::Spread(spread) => {
                around += elements as f64 * COLLECT_NS;
                bytes += size * distinct(&spread.access, &extents) as f64;
            }
            Operand::Made(prologue) => {
                let lanes = extents.last().map_or(1.0, |&n| n as f64);
                around += elements as f64 / lanes * body_ns(&prologue.body, lanes);
                bytes += traffic(&prologue.body, elements);
            }
        }
    }
    ROW_NS + (batch * m * n * k / rate + around).max(memory_ns(bytes))
}

fn call_ns(program: &Program, call: &Call) -> f64 {
    let elements = |b: super::BufferId| program.buffers[b.0 as usize].elements as f64;
    let (_, out) = call_buffers(call);
    match call {
        Call::Random { draw: Draw::Normal, .. } => 12.0 * elements(out),
        Call::Random { draw: Draw::Uniform | Draw::Bits, .. } => 4.0 * elements(out),
        Call::FoldKey { .. } => 20.0 * elements(out),
        Call::Linear { matrix, sizes, .. } => elements(*matrix) * sizes[0] as f64,
        Call::Running { .. } | Call::Recur { .. } => 2.0 * elements(out),
        Call::Argsort { first, around, .. } => {
            let share = *first as f64 / around.n.max(1) as f64;
            elements(out) * (6.0 + 4.0 * share * (first.max(&2).ilog2() as f64))
        }
        Call::ScatterAdd { updates, .. } => 0.3 * elements(out) + elements(*updates),
    }
}

/// One run of a body over so many lanes.
fn body_ns(body: &Body, lanes: f64) -> f64 {
    let program = &body.program;
    let insts: f64 = program.insts.iter().map(|inst| inst_cost(inst, body)).sum();
    let wide = program.slots.iter().any(|s| s.dtype.size() == 8);
    let vectors = (lanes / if wide { 4.0 } else { 8.0 }).ceil();
    vectors * (insts + program.accumulators.len() as f64) * INST_NS
}

/// Vector instructions that an instruction is worth.
fn inst_cost(inst: &Inst, body: &Body) -> f64 {
    let slot = |slot: &crate::vector::Slot| match body.program.slots[slot.0 as usize].stride {
        Stride::Splat => 0.5,
        Stride::Unit => 1.0,
        Stride::Far => 8.0,
    };
    match inst {
        Inst::Const(_) | Inst::Param(_) => 0.0,
        Inst::Load(s) | Inst::Store(s, _) => slot(s),
        Inst::Gather(..) => 10.0,
        Inst::CheckIndex { .. } => 4.0,
        Inst::Index(_) => 1.0,
        Inst::Binary(Binary::Div, ..) | Inst::Unary(Unary::Sqrt, _) => 5.0,
        Inst::Binary(Binary::Rem, ..) => 20.0,
        Inst::Unary(Unary::Convert(Type::I64 | Type::F64), _) => 2.0,
        Inst::Unary(..) | Inst::Binary(..) | Inst::Fma(..) => 1.0,
        Inst::Compare(..) | Inst::Select(..) => 1.0,
    }
}

/// Bytes that a body moves, each slot counted for the points where it is another element.
fn traffic(body: &Body, points: usize) -> f64 {
    let slots = body.program.slots.iter().zip(&body.slots);
    let moving = slots.filter(|(_, access)| access.strides.iter().any(|&s| s != 0));
    moving.map(|(decl, _)| (decl.dtype.size() * points) as f64).sum()
}

fn memory_ns(bytes: f64) -> f64 {
    if bytes <= CACHED { bytes / CACHE } else { bytes / MEMORY }
}
