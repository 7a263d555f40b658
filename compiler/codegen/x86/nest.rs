//! Whole nests as functions of wide code: rows, and the stages of a row one after another.
//!
//! The function is a [`KernelFn`](crate::codegen::KernelFn), as those that Cranelift makes. Its
//! frame holds all that is not in a register for the moment: positions of the row, bases of slots,
//! scalars that finished folds yield.
//!
//! Neighbours: the portable `codegen::nest` divides work the same way; `stage` emits what is in a
//! row.

use super::asm::{Alu, Assembler, Condition, Gpr, Label, Mem};
use super::frame::{Frame, frame};
use super::lower::SlotView;
use super::overlap::{Overlap, Span};
use super::short::{self, Rows};
use super::stage::StageWriter;
use super::stream::{self, Fetches};
use crate::codegen::alias::Aliases;
use crate::codegen::target::Isa;
use crate::kernel::touch::stage_extents;
use crate::kernel::walk::{met, points};
use crate::kernel::{self, Access, BufferId, Fold, LANE_BLOCK, Place, Program, Split};
use crate::vector::{SlotDecl, Stride};
use std::ops::Range;

/// Registers that carry the arguments, in the order of a `KernelFn`.
const ARGUMENTS: [Gpr; 5] = [Gpr::RDI, Gpr::RSI, Gpr::RDX, Gpr::RCX, Gpr::R8];

/// A nest's function being written.
pub(super) struct Nest<'n> {
    pub isa: Isa,
    pub a: Assembler,
    pub frame: Frame,
    pub program: &'n Program,
    pub aliases: Aliases<'n>,
    /// Extents of the row axes.
    pub outer: &'n [usize],
    /// In the frame: the pointer to the fault cell.
    pub fault: i32,
    /// In the frame: a 0.
    pub zero: i32,
    /// Results whose stores go past the caches.
    pub streamed: Vec<BufferId>,
    /// What each stage fetches for a later row.
    fetches: Vec<Fetches>,
    /// How rows overlap, if they do.
    overlap: Option<&'n Overlap>,
    /// In the frame: the table of buffers, and the thread's scratch memory.
    table: i32,
    scratch: i32,
}

/// The state of a row, all of it in the frame.
pub(super) struct Row {
    /// The position along each outer axis.
    pub positions: Vec<i32>,
    /// Row values, by number.
    pub values: Vec<i32>,
    /// First lane and end of the lanes that are to be done, if not all are.
    pub block: Option<(i32, i32)>,
}

/// Whether [`emit`] can do the nest.
pub(in crate::codegen) fn supports(nest: &kernel::Nest) -> bool {
    let small = |x: i64| x.abs() < 1 << 24;
    let body = |body: &kernel::Body| {
        body.slots.iter().zip(&body.program.slots).all(|(access, decl)| {
            let stride = access.strides.last().copied().unwrap_or(0);
            decl.stride != Stride::Far || small(stride)
        })
    };
    nest.stages.iter().all(|stage| {
        let extents = stage.reduce.iter().chain([&stage.lanes]);
        let finish = match &stage.fold {
            Fold::None => true,
            Fold::AcrossLanes(finish) | Fold::PerLane(finish) => body(finish),
        };
        extents.into_iter().all(|&n| n < 1 << 30) && body(&stage.body) && finish
    }) && nest.outer.iter().all(|&n| n < 1 << 30)
}

/// Instructions a lane below which a stage waits for memory.
const SHORT: usize = 12;
/// Elements that do not fit the caches of a core.
const LARGE: usize = 1 << 18;
/// Points for each such element beyond which a stage no longer waits for them.
const AGAIN: usize = 8;

/// Bytes of scratch memory that a thread needs for the nest.
pub(in crate::codegen) fn scratch(program: &Program, nest: &kernel::Nest, isa: Isa) -> usize {
    short::rows(nest, isa).map_or(1, |rows| rows.count) * row_bytes(program)
}

/// Bytes of the scratch memory of one row: whole cache lines.
fn row_bytes(program: &Program) -> usize {
    program.plan.row_bytes.next_multiple_of(64)
}

/// The instruction set to emit a nest in, at most `isa`: a narrower one where memory sets the pace,
/// if it should be `narrow` there. The bits are the same.
pub(in crate::codegen) fn choose(nest: &kernel::Nest, isa: Isa, narrow: bool) -> Isa {
    let short = nest.stages.iter().all(|stage| stage.body.program.insts.len() <= SHORT);
    let waits = |stage: &kernel::Stage| {
        let extents = stage_extents(nest, stage);
        let accesses = stage.bodies().flat_map(|body| &body.slots);
        let elements = accesses.map(|access| met(&access.strides, &extents));
        let far = elements.filter(|&n| n >= LARGE).fold(0, usize::saturating_add);
        far > 0 && points(&extents) <= far.saturating_mul(AGAIN)
    };
    if narrow && short && nest.stages.iter().any(waits) { isa.min(Isa::Avx2) } else { isa }
}

/// The code of a nest; stores of results from `streamed_bytes` on go past the caches.
pub(in crate::codegen) fn emit(
    program: &Program,
    nest: &kernel::Nest,
    aliases: Aliases,
    isa: Isa,
    streamed_bytes: usize,
) -> Vec<u8> {
    let mut layout = Frame::new();
    let cells: [i32; 5] = [(); 5].map(|()| layout.take(8));
    let [table, begin, end, scratch, fault] = cells;
    let zero = layout.take(8);
    let fetches = stream::fetches(program, nest);
    let overlap = Overlap::of(program, nest, isa, &fetches);
    let mut n = Nest {
        isa,
        a: Assembler::new(isa),
        frame: layout,
        program,
        aliases,
        outer: &nest.outer,
        fault,
        zero,
        streamed: Vec::new(),
        fetches,
        overlap: overlap.as_ref(),
        table,
        scratch,
    };
    // The frame's size is known at the end: what makes room for it stands there.
    let (entry, body) = (n.a.label(), n.a.label());
    n.a.jump(entry);
    n.a.bind(body);
    n.tasks(nest, begin, end);
    n.leave();
    let streamed = stream::streamed(program, nest, streamed_bytes);
    let past_caches = (!streamed.is_empty()).then(|| {
        let at = n.a.here();
        n.streamed = streamed;
        n.tasks(nest, begin, end);
        n.a.store_fence();
        n.leave();
        at
    });
    n.a.bind(entry);
    n.enter(cells);
    if let Some(past_caches) = past_caches {
        stream::check(&mut n.a, program, &n.streamed, table, body);
        n.a.jump(past_caches);
    }
    n.a.jump(body);
    n.a.finish()
}

impl<'n> Nest<'n> {
    fn enter(&mut self, cells: [i32; 5]) {
        let size = (self.frame.bytes() + 63) & -64;
        let a = &mut self.a;
        for register in Gpr::SAVED {
            a.push_register(register);
        }
        a.mov(Gpr::RAX, Gpr::RSP);
        a.alu_imm(Alu::Sub, Gpr::RSP, size);
        a.alu_imm(Alu::And, Gpr::RSP, -64);
        a.store(frame(0), Gpr::RAX, 8);
        for (cell, register) in cells.into_iter().zip(ARGUMENTS) {
            a.store(frame(cell), register, 8);
        }
        a.store_imm(frame(self.zero), 0);
    }

    fn leave(&mut self) {
        let a = &mut self.a;
        a.load(Gpr::RSP, frame(0), 8);
        for register in Gpr::SAVED.into_iter().rev() {
            a.pop_register(register);
        }
        a.vzeroupper();
        a.ret();
    }

    /// The tasks from `begin` to `end`, which lie in the frame.
    fn tasks(&mut self, nest: &'n kernel::Nest, begin: i32, end: i32) {
        let rows: usize = nest.outer.iter().product();
        let block = match nest.split {
            Split::Rows => return self.rows(nest, begin, end, None),
            Split::Never => None,
            Split::Lanes => Some((self.frame.take(8), self.frame.take(8))),
        };
        let (first, last) = (self.zero, self.frame.take(8));
        let a = &mut self.a;
        a.mov_imm(Gpr::RAX, rows as i64);
        a.store(frame(last), Gpr::RAX, 8);
        if let Some((from, to)) = block {
            for (task, lane) in [(begin, from), (end, to)] {
                a.load(Gpr::RAX, frame(task), 8);
                a.times(Gpr::RAX, Gpr::RAX, LANE_BLOCK as i64, Gpr::RCX);
                a.mov_imm(Gpr::RCX, nest.stages[0].lanes as i64);
                a.alu(Alu::Cmp, Gpr::RAX, Gpr::RCX);
                a.mov_if(Condition::Greater, Gpr::RAX, Gpr::RCX);
                a.store(frame(lane), Gpr::RAX, 8);
            }
        }
        self.rows(nest, first, last, block);
    }

    /// The rows from `begin` to `end`, of which there is at least one.
    fn rows(&mut self, nest: &'n kernel::Nest, begin: i32, end: i32, block: Option<(i32, i32)>) {
        let positions: Vec<i32> = nest.outer.iter().map(|_| self.frame.take(8)).collect();
        if nest.outer.iter().all(|&extent| extent == 1) {
            for &at in &positions {
                self.a.store_imm(frame(at), 0);
            }
            return self.row(nest, Row { positions, values: Vec::new(), block });
        }
        let row = self.frame.take(8);
        let a = &mut self.a;
        a.load(Gpr::RAX, frame(begin), 8);
        a.store(frame(row), Gpr::RAX, 8);
        for (&extent, &at) in nest.outer.iter().zip(&positions).rev() {
            a.mov_imm(Gpr::RDX, 0);
            a.mov_imm(Gpr::RCX, extent as i64);
            a.divide_unsigned(Gpr::RCX);
            a.store(frame(at), Gpr::RDX, 8);
        }
        if let Some(overlap) = self.overlap {
            return self.overlapping_rows(nest, overlap, positions, Span { row, begin, end });
        }
        let (top, next) = (self.a.here(), self.a.label());
        if block.is_none()
            && let Some(rows) = short::rows(nest, self.isa)
        {
            self.short_or_one(nest, &positions, rows, (row, end), next);
        }
        self.row(nest, Row { positions: positions.clone(), values: Vec::new(), block });
        self.a.bind(next);
        self.count(nest, &positions, row);
        self.compare(row, end);
        self.a.jump_if(Condition::Less, top);
    }

    /// Goes on to the next row, without a division.
    pub fn count(&mut self, nest: &kernel::Nest, positions: &[i32], row: i32) {
        let a = &mut self.a;
        let counted = a.label();
        for (&extent, &at) in nest.outer.iter().zip(positions).rev() {
            a.add_to_memory(frame(at), 1);
            a.cmp_memory(frame(at), extent as i32);
            a.jump_if(Condition::Less, counted);
            a.store_imm(frame(at), 0);
        }
        a.bind(counted);
        a.add_to_memory(frame(row), 1);
    }

    /// Compares two numbers in the frame.
    pub fn compare(&mut self, left: i32, right: i32) {
        self.a.load(Gpr::RAX, frame(left), 8);
        self.a.alu_mem(Alu::Cmp, Gpr::RAX, frame(right));
    }

    /// Several rows at once where so many are left, of the axis and of the task; then goes to
    /// `next` with the last of them counted.
    fn short_or_one(
        &mut self,
        nest: &'n kernel::Nest,
        positions: &[i32],
        rows: Rows,
        (row, end): (i32, i32),
        next: Label,
    ) {
        let one = self.a.label();
        let (axis, count) = (positions[rows.axis], rows.count as i32);
        let a = &mut self.a;
        a.cmp_memory(frame(axis), nest.outer[rows.axis] as i32 - count);
        a.jump_if(Condition::Greater, one);
        a.load(Gpr::RAX, frame(row), 8);
        a.add_any(Gpr::RAX, i64::from(count), Gpr::RCX);
        a.alu_mem(Alu::Cmp, Gpr::RAX, frame(end));
        a.jump_if(Condition::Greater, one);
        self.short_rows(nest, positions, rows);
        let a = &mut self.a;
        a.add_to_memory(frame(axis), count - 1);
        a.add_to_memory(frame(row), count - 1);
        a.jump(next);
        a.bind(one);
    }

    /// Bytes of the scratch memory of one row.
    pub fn row_bytes(&self) -> usize {
        row_bytes(self.program)
    }

    /// How a body sees a slot whose pointer has that number.
    pub fn view(
        &self,
        access: &Access,
        decl: &SlotDecl,
        number: usize,
        row_bytes: i64,
    ) -> SlotView {
        let size = decl.dtype.size() as i64;
        let lane_stride = match decl.stride {
            Stride::Splat => 0,
            Stride::Unit => 1,
            Stride::Far => access.strides.last().copied().unwrap_or(0),
        };
        SlotView {
            number: number as u32,
            lane_bytes: lane_stride * size,
            row_bytes,
            gather_bytes: access.gather.map_or(0, |(stride, _)| stride) * size,
            readonly: self.aliases.readonly(access.buffer),
            streams: self.streamed.contains(&access.buffer),
        }
    }

    fn row(&mut self, nest: &'n kernel::Nest, mut row: Row) {
        self.stages(nest, 0..nest.stages.len(), &mut row);
    }

    /// Some stages of a row.
    pub fn stages(&mut self, nest: &'n kernel::Nest, some: Range<usize>, row: &mut Row) {
        let all = std::mem::take(&mut self.fetches);
        for (stage, fetches) in nest.stages[some.clone()].iter().zip(&all[some]) {
            StageWriter { nest: self, row, fetches }.stage(stage);
        }
        self.fetches = all;
    }

    /// `rax` = the element of an access at these positions, and at 0 of other axes. Uses `rcx` and
    /// `rdx`.
    pub fn point(&mut self, access: &Access, positions: &[i32]) {
        let index = access.buffer.0 as usize;
        let buffer = &self.program.buffers[index];
        let size = buffer.dtype.size() as i64;
        let a = &mut self.a;
        let mut offset = access.offset * size;
        if buffer.place == Place::Row {
            let start = self.program.plan.row_offsets[index].expect("the plan places row buffers");
            offset += start as i64;
            a.load(Gpr::RAX, frame(self.scratch), 8);
        } else {
            a.load(Gpr::RAX, frame(self.table), 8);
            let entry = i32::try_from(8 * index).expect("fewer than 2^28 buffers");
            a.load(Gpr::RAX, Mem::at(Gpr::RAX).plus(entry), 8);
        }
        a.add_any(Gpr::RAX, offset, Gpr::RCX);
        for (&stride, &position) in access.strides.iter().zip(positions) {
            if stride != 0 {
                a.load(Gpr::RCX, frame(position), 8);
                a.times(Gpr::RCX, Gpr::RCX, stride * size, Gpr::RDX);
                a.alu(Alu::Add, Gpr::RAX, Gpr::RCX);
            }
        }
    }
}
