//! The frame of a kernel's function: its arguments, its buffers, and counted loops.
//!
//! Every kernel that is not a call of the runtime becomes one function of type
//! [`KernelFn`](super::KernelFn) that does the tasks `begin..end` of the kernel.
//!
//! Neighbours: `nest` and `product` emit what is between the entry and the return.

use super::alias::Aliases;
use super::body::SlotAt;
use super::lanes::{Group, invariant};
use crate::kernel::{Access, Body, BufferId, Place, Program};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, BlockArg, InstBuilder, types};
use cranelift_frontend::FunctionBuilder;
use rustc_hash::FxHashMap;

/// Emits the function of one kernel.
pub(super) struct Emitter<'a, 'f> {
    pub b: FunctionBuilder<'f>,
    pub program: &'a Program,
    pub aliases: Aliases<'a>,
    /// First task.
    pub begin: ir::Value,
    /// Behind the last task; there is at least one.
    pub end: ir::Value,
    /// The thread's scratch memory.
    pub scratch: ir::Value,
    /// Where a failed check is reported.
    pub fault: ir::Value,
    pub x86: bool,
    /// The starts of the program's buffers.
    pub table: ir::Value,
    starts: FxHashMap<BufferId, ir::Value>,
}

impl<'a, 'f> Emitter<'a, 'f> {
    /// Begins a function of the signature of [`KernelFn`](super::KernelFn).
    pub fn new(
        mut b: FunctionBuilder<'f>,
        program: &'a Program,
        aliases: Aliases<'a>,
        x86: bool,
    ) -> Emitter<'a, 'f> {
        let entry = b.create_block();
        b.append_block_params_for_function_params(entry);
        b.switch_to_block(entry);
        let &[table, begin, end, scratch, fault] = b.block_params(entry) else {
            unreachable!("the signature has five parameters");
        };
        let starts = FxHashMap::default();
        Emitter { b, program, aliases, begin, end, scratch, fault, x86, table, starts }
    }

    /// A group of lanes to emit operations with.
    pub fn group(&mut self, lanes: u32) -> Group<'_, 'f> {
        Group { b: &mut self.b, lanes, x86: self.x86 }
    }

    /// An I64 constant.
    pub fn int(&mut self, x: i64) -> ir::Value {
        self.b.ins().iconst(types::I64, x)
    }

    /// Loads the starts of the buffers of `body`, while this is still the entry block.
    pub fn open_buffers(&mut self, body: &Body) {
        for access in &body.slots {
            self.start_of(access.buffer);
        }
    }

    /// The first byte of a buffer.
    pub fn start_of(&mut self, buffer: BufferId) -> ir::Value {
        if let Some(&start) = self.starts.get(&buffer) {
            return start;
        }
        let index = buffer.0 as usize;
        let start = if self.program.buffers[index].place == Place::Row {
            let offset = self.program.plan.row_offsets[index];
            let offset = offset.expect("the plan places row buffers");
            self.b.ins().iadd_imm_s(self.scratch, offset as i64)
        } else {
            let offset = i32::try_from(8 * index).expect("fewer than 2^28 buffers");
            self.b.ins().load(types::I64, invariant(), self.table, offset)
        };
        self.starts.insert(buffer, start);
        start
    }

    /// The element of `access` at these positions of its first axes, and at 0 of the others.
    pub fn point(&mut self, access: &Access, positions: &[ir::Value]) -> ir::Value {
        let size = self.size_of(access.buffer);
        let start = self.start_of(access.buffer);
        let start = self.advance_by(start, access.offset * size);
        self.walk(start, &access.strides, positions, size)
    }

    /// Bytes of an element of a buffer.
    pub fn size_of(&self, buffer: BufferId) -> i64 {
        self.program.buffers[buffer.0 as usize].dtype.size() as i64
    }

    /// `pointer` moved by `strides` elements of `size` bytes for each position.
    pub fn walk(
        &mut self,
        pointer: ir::Value,
        strides: &[i64],
        positions: &[ir::Value],
        size: i64,
    ) -> ir::Value {
        let mut pointer = pointer;
        for (&stride, &position) in strides.iter().zip(positions) {
            if stride != 0 {
                let distance = self.b.ins().imul_imm_s(position, stride * size);
                pointer = self.b.ins().iadd(pointer, distance);
            }
        }
        pointer
    }

    fn advance_by(&mut self, pointer: ir::Value, bytes: i64) -> ir::Value {
        if bytes == 0 { pointer } else { self.b.ins().iadd_imm_s(pointer, bytes) }
    }

    /// The slots of a body whose accesses walk over `positions`, then perhaps others that are at
    /// 0, then the lanes.
    pub fn slots(&mut self, body: &Body, positions: &[ir::Value]) -> Vec<SlotAt> {
        let mut slots = Vec::with_capacity(body.slots.len());
        for access in &body.slots {
            slots.push(SlotAt {
                pointer: self.point(access, positions),
                lane_stride: access.strides.last().copied().unwrap_or(0),
                gather_stride: access.gather.map_or(0, |(stride, _)| stride),
                readonly: self.aliases.readonly(access.buffer),
            });
        }
        slots
    }

    /// A loop over `start, start + step, …` below `end` that carries `state`; gives the state
    /// after the last iteration.
    ///
    /// The state that an iteration makes is used once, as arguments of the jump back: what is
    /// used twice Cranelift joins with no load.
    pub fn count(
        &mut self,
        range: Range,
        state: &[ir::Value],
        body: impl FnOnce(&mut Self, ir::Value, &[ir::Value]) -> Vec<ir::Value>,
    ) -> Vec<ir::Value> {
        let [head, inside, after] = [(); 3].map(|()| self.b.create_block());
        let position = self.b.append_block_param(head, types::I64);
        let types: Vec<ir::Type> = state.iter().map(|&x| self.b.func.dfg.value_type(x)).collect();
        let carried: Vec<ir::Value> =
            types.into_iter().map(|ty| self.b.append_block_param(head, ty)).collect();
        self.b.ins().jump(head, &arguments(range.start, state));
        self.b.switch_to_block(head);
        let more = self.b.ins().icmp(IntCC::SignedLessThan, position, range.end);
        self.b.ins().brif(more, inside, &[], after, &[]);
        self.b.switch_to_block(inside);
        let next_state = body(self, position, &carried);
        let next = self.b.ins().iadd_imm_s(position, range.step);
        self.b.ins().jump(head, &arguments(next, &next_state));
        self.b.switch_to_block(after);
        carried
    }

    /// A loop that carries nothing. With `nonempty` the first iteration is not asked for.
    pub fn each(&mut self, range: Range, body: impl FnOnce(&mut Self, ir::Value)) {
        let (inside, after) = (self.b.create_block(), self.b.create_block());
        let position = self.b.append_block_param(inside, types::I64);
        if range.nonempty {
            self.b.ins().jump(inside, &[range.start.into()]);
        } else {
            let any = self.b.ins().icmp(IntCC::SignedLessThan, range.start, range.end);
            self.b.ins().brif(any, inside, &[range.start.into()], after, &[]);
        }
        self.b.switch_to_block(inside);
        body(self, position);
        let next = self.b.ins().iadd_imm_s(position, range.step);
        let more = self.b.ins().icmp(IntCC::SignedLessThan, next, range.end);
        self.b.ins().brif(more, inside, &[next.into()], after, &[]);
        self.b.switch_to_block(after);
    }

    /// [`Emitter::count`], or [`Emitter::each`] where there is nothing to carry.
    pub fn repeat(
        &mut self,
        range: Range,
        state: &[ir::Value],
        body: impl FnOnce(&mut Self, ir::Value, &[ir::Value]) -> Vec<ir::Value>,
    ) -> Vec<ir::Value> {
        if state.is_empty() {
            self.each(range, |e, position| {
                body(e, position, &[]);
            });
            return Vec::new();
        }
        self.count(range, state, body)
    }

    /// Nested loops over all positions of axes of these extents, none of them 0, carrying `state`.
    pub fn nested(
        &mut self,
        extents: &[usize],
        outer: &mut Vec<ir::Value>,
        state: Vec<ir::Value>,
        body: &mut dyn FnMut(&mut Self, &[ir::Value], Vec<ir::Value>) -> Vec<ir::Value>,
    ) -> Vec<ir::Value> {
        let Some((&extent, inner)) = extents.split_first() else {
            return body(self, outer, state);
        };
        let start = self.int(0);
        if extent == 1 {
            outer.push(start);
            let state = self.nested(inner, outer, state, body);
            outer.pop();
            return state;
        }
        let end = self.int(extent as i64);
        let range = Range { start, end, step: 1, nonempty: true };
        self.repeat(range, &state, |e, position, carried| {
            outer.push(position);
            let state = e.nested(inner, outer, carried.to_vec(), body);
            outer.pop();
            state
        })
    }

    /// Ends the function.
    pub fn finish(mut self) -> FunctionBuilder<'f> {
        self.b.ins().return_(&[]);
        self.b.seal_all_blocks();
        self.b
    }
}

fn arguments(first: ir::Value, rest: &[ir::Value]) -> Vec<BlockArg> {
    std::iter::once(first).chain(rest.iter().copied()).map(BlockArg::from).collect()
}

/// What a loop counts over.
#[derive(Clone, Copy)]
pub(super) struct Range {
    pub start: ir::Value,
    pub end: ir::Value,
    pub step: i64,
    /// Whether `start` is known to be below `end`.
    pub nonempty: bool,
}
