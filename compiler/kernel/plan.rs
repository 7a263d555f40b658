//! Memory planning: where every buffer lives, decided from liveness.
//!
//! Offsets are chosen greedily by size (Pisarchyk and Lee, arXiv 2001.03288): the largest buffer
//! first, each at the lowest offset where it meets no buffer that is alive at the same time. Before
//! that, a buffer whose elements are written where the last reads of another one happen is put in
//! that one's memory. The verifier checks the result without asking how it was found.

use super::order::order;
use super::touch::{Site, Touching, in_place, touches};
use super::{BufferId, Place, Plan, Program, Work};
use std::cmp::Reverse;

/// Every offset is a multiple of this.
pub const ALIGNMENT: usize = 64;

/// Puts the kernels of a program in order and fills in its plan.
pub fn plan(program: &mut Program) {
    order(program);
    super::repeat::plan_steps(program);
    let lives = lives(program);
    let mut plan = Plan {
        offsets: vec![None; program.buffers.len()],
        row_offsets: vec![None; program.buffers.len()],
        ..Plan::default()
    };
    let mut blocks = share(program, &lives);
    plan.bytes = place(&mut blocks);
    for block in &blocks {
        for buffer in &block.buffers {
            plan.offsets[buffer.0 as usize] = Some(block.offset);
        }
    }
    place_rows(program, &mut plan);
    for kernel in &program.kernels {
        // A step's rows lie where those of the kernels around it do, at other times.
        if let Work::Repeat(repeat) = &kernel.work {
            plan.row_bytes = plan.row_bytes.max(repeat.step.plan.row_bytes);
        }
    }
    plan.donations = donations(program);
    program.plan = plan;
}

/// First and last kernel that touches a buffer; `None` where no kernel does.
pub type Life = Option<(usize, usize)>;

/// The life of every buffer.
pub fn lives(program: &Program) -> Vec<Life> {
    let mut lives: Vec<Life> = vec![None; program.buffers.len()];
    for (time, kernel) in program.kernels.iter().enumerate() {
        for touch in touches(kernel) {
            let life = lives[touch.buffer.0 as usize].get_or_insert((time, time));
            life.1 = time;
        }
    }
    lives
}

/// Buffers at one offset, one after another.
struct Block {
    buffers: Vec<BufferId>,
    bytes: usize,
    life: (usize, usize),
    offset: usize,
}

fn bytes(program: &Program, buffer: BufferId) -> usize {
    let declared = &program.buffers[buffer.0 as usize];
    declared.elements * declared.dtype.size()
}

fn in_arena(program: &Program, buffer: BufferId) -> bool {
    matches!(program.buffers[buffer.0 as usize].place, Place::Arena)
}

/// Arena buffers as blocks: in order of birth, each takes over the block of one that dies where it
/// is born, if the kernel reads and writes the two in step.
fn share(program: &Program, lives: &[Life]) -> Vec<Block> {
    let mut born: Vec<BufferId> =
        (0..program.buffers.len() as u32).map(BufferId).filter(|&b| in_arena(program, b)).collect();
    born.sort_by_key(|b| (lives[b.0 as usize], b.0));
    let mut blocks: Vec<Block> = Vec::new();
    for buffer in born {
        let size = bytes(program, buffer);
        let Some(life) = lives[buffer.0 as usize] else {
            blocks.push(Block { buffers: vec![buffer], bytes: 0, life: (0, 0), offset: 0 });
            continue;
        };
        let kernel = &program.kernels[life.0];
        let element = |b: BufferId| program.buffers[b.0 as usize].dtype.size();
        let heir = blocks.iter_mut().find(|block| {
            let last = *block.buffers.last().expect("a block has a buffer");
            block.life.1 == life.0
                && block.bytes == size
                && size > 0
                && element(last) == element(buffer)
                && in_place(kernel, last, buffer)
        });
        match heir {
            Some(block) => {
                block.buffers.push(buffer);
                block.life.1 = life.1;
            }
            None => blocks.push(Block { buffers: vec![buffer], bytes: size, life, offset: 0 }),
        }
    }
    blocks
}

/// Gives each block an offset; returns the bytes of all.
fn place(blocks: &mut [Block]) -> usize {
    let mut order: Vec<usize> = (0..blocks.len()).collect();
    order.sort_by_key(|&b| (Reverse(blocks[b].bytes), blocks[b].life, b));
    let mut placed: Vec<usize> = Vec::new();
    let mut total = 0;
    for at in order {
        let (life, bytes) = (blocks[at].life, blocks[at].bytes.next_multiple_of(ALIGNMENT));
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .map(|&other| &blocks[other])
            .filter(|other| other.life.0 <= life.1 && life.0 <= other.life.1)
            .map(|other| (other.offset, other.offset + other.bytes.next_multiple_of(ALIGNMENT)))
            .collect();
        taken.sort_unstable();
        let mut offset = 0;
        for (start, end) in taken {
            if offset + bytes <= start {
                break;
            }
            offset = offset.max(end);
        }
        blocks[at].offset = offset;
        total = total.max(offset + bytes);
        placed.push(at);
    }
    total
}

/// Row buffers: alive from stage to stage of one nest.
fn place_rows(program: &Program, plan: &mut Plan) {
    for kernel in &program.kernels {
        let Work::Nest(_) = &kernel.work else { continue };
        let mut blocks: Vec<Block> = Vec::new();
        for touch in touches(kernel) {
            let declared = &program.buffers[touch.buffer.0 as usize];
            if !matches!(declared.place, Place::Row) {
                continue;
            }
            let (Site::Body(stage, _) | Site::Finish(stage, _)) = touch.site else { continue };
            match blocks.iter_mut().find(|b| b.buffers[0] == touch.buffer) {
                Some(block) => block.life.1 = stage,
                None => blocks.push(Block {
                    buffers: vec![touch.buffer],
                    bytes: bytes(program, touch.buffer),
                    life: (stage, stage),
                    offset: 0,
                }),
            }
        }
        plan.row_bytes = plan.row_bytes.max(place(&mut blocks));
        for block in &blocks {
            plan.row_offsets[block.buffers[0].0 as usize] = Some(block.offset);
        }
    }
}

/// Pairs of an input and an output that may share memory; pairs of one name first, then those that
/// a kernel reads and writes in step.
fn donations(program: &Program) -> Vec<(u32, u32)> {
    let touching = Touching::new(program);
    let mut pairs: Vec<(bool, bool, u32, u32)> = Vec::new();
    for (o, &output) in program.outputs.iter().enumerate() {
        for (i, &input) in program.inputs.iter().enumerate() {
            let declared = |b: BufferId| &program.buffers[b.0 as usize];
            let (from, to) = (declared(input), declared(output));
            if from.elements != to.elements || from.dtype != to.dtype || from.elements == 0 {
                continue;
            }
            if let Some(in_step) = may_take(program, &touching, input, output) {
                let named = from.name == to.name;
                pairs.push((!named, !in_step, i as u32, o as u32));
            }
        }
    }
    pairs.sort_unstable();
    let mut chosen: Vec<(u32, u32)> = Vec::new();
    for (_, _, input, output) in pairs {
        if chosen.iter().all(|&(i, o)| i != input && o != output) {
            chosen.push((input, output));
        }
    }
    chosen.sort_unstable();
    chosen
}

/// Whether the output may be written over the input: every read of the input is before the first
/// write of the output, or in step with it (`Some(true)`).
fn may_take(
    program: &Program,
    touching: &Touching,
    input: BufferId,
    output: BufferId,
) -> Option<bool> {
    let &(first, _) = touching.of(output).first()?;
    match touching.of(input).last() {
        Some(&(last, _)) if last > first => None,
        Some(&(last, _)) if last == first => {
            in_place(&program.kernels[first], input, output).then_some(true)
        }
        _ => Some(false),
    }
}

/// Whether one kernel alone writes the output, and reads the input in step with that.
pub fn may_take_in_step(
    program: &Program,
    touching: &Touching,
    input: BufferId,
    output: BufferId,
) -> bool {
    let mut writers = touching.of(output).iter().filter(|(_, writes)| *writes);
    let (Some(&(writer, _)), None) = (writers.next(), writers.next()) else { return false };
    let reads = touching.of(input).iter().any(|&(at, _)| at == writer);
    reads && in_place(&program.kernels[writer], input, output)
}
