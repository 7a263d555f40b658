//! Matrix products: cache blocks around a register tile.
//!
//! In the words of BLIS: panels of `MR` rows of A and `NR` columns of B meet in a micro-kernel that
//! keeps a tile of C in registers. Blocks of panels are packed into the thread's scratch memory
//! where that pays (`tiling` decides). Where the depth takes several blocks, tiles wait in scratch
//! memory for the next; after the last the epilogue runs on each tile, row by row, before it
//! leaves the cache. A tile whose epilogue only stores goes to C directly.
//!
//! Invariant: an element of C is the sum over depth in ascending order, in blocks that
//! depend on the extents only, so that no division of the panels changes a bit.
//!
//! Neighbours: `emit` for loops, `body` for the epilogue.

mod micro;
mod pack;
mod tiling;

pub(super) use micro::{Key, PARAMS as MICRO_PARAMS, emit as emit_micro};
pub(super) use tiling::{Limits, Tiling};

use super::body::{self, Argument, Scene, SlotAt};
use super::emit::{Emitter, Range};
use super::memory::Address;
use crate::kernel::Product;
use crate::vector::{SlotDecl, Stride};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder};
use pack::Panel;
use tiling::{Scratch, Share, strides};

/// The micro-kernels of a product: for full tiles, and those of the last rows if they are fewer.
#[derive(Clone, Copy)]
pub(super) struct Micro<F> {
    pub full: Option<F>,
    pub edge: Option<F>,
}

/// The micro-kernels that a product calls.
pub(super) fn micro_kernels(product: &Product, tiling: &Tiling) -> Micro<Key> {
    let strides = strides(&product.left);
    let key = |rows: usize| Key::of(tiling, rows, strides);
    Micro {
        full: (product.m >= tiling.mr).then(|| key(tiling.mr)),
        edge: (tiling.m_edge > 0).then(|| key(tiling.m_edge)),
    }
}

/// How many tasks a product has.
pub(super) fn tasks(product: &Product, tiling: &Tiling) -> u64 {
    let batches: usize = product.batch.iter().product();
    if product.m == 0 || product.n == 0 {
        return 0;
    }
    (batches * tiling.shared_panels()) as u64
}

/// Emits the tasks `begin..end` of a product.
pub(super) fn emit(e: &mut Emitter, product: &Product, tiling: &Tiling, micro: Micro<ir::FuncRef>) {
    e.open_buffers(&product.epilogue);
    e.start_of(product.left.buffer);
    e.start_of(product.right.buffer);
    let batches: usize = product.batch.iter().product();
    let loops = Loops { product, t: tiling, scratch: tiling.scratch(), micro };
    let panels = tiling.shared_panels() as i64;
    if batches == 1 {
        let zero = e.int(0);
        let (begin, end) = (e.begin, e.end);
        return loops.batch(e, &vec![zero; product.batch.len()], begin, end);
    }
    // From the batch of the first task to that of the last.
    let first = e.b.ins().udiv_imm_u(e.begin, panels);
    let last = e.b.ins().iadd_imm_s(e.end, panels - 1);
    let last = e.b.ins().udiv_imm_u(last, panels);
    let range = Range { start: first, end: last, step: 1, nonempty: true };
    e.each(range, |e, batch| {
        let mut positions = Vec::new();
        let mut rest = batch;
        for &extent in product.batch.iter().rev() {
            positions.push(e.b.ins().urem_imm_u(rest, extent as i64));
            rest = e.b.ins().udiv_imm_u(rest, extent as i64);
        }
        positions.reverse();
        let before = e.b.ins().imul_imm_s(batch, panels);
        let (zero, all) = (e.int(0), e.int(panels));
        let begin = e.b.ins().isub(e.begin, before);
        let begin = e.b.ins().smax(begin, zero);
        let end = e.b.ins().isub(e.end, before);
        let end = e.b.ins().smin(end, all);
        loops.batch(e, &positions, begin, end);
    });
}

/// What the loops of one product know.
struct Loops<'a> {
    product: &'a Product,
    t: &'a Tiling,
    scratch: Scratch,
    micro: Micro<ir::FuncRef>,
}

/// The operands of one batch: first elements, and the slots of the epilogue at row 0.
struct Batch {
    positions: Vec<ir::Value>,
    left: ir::Value,
    right: ir::Value,
    slots: Vec<SlotAt>,
}

/// A block of the depth.
#[derive(Clone, Copy)]
struct Depth {
    /// First step.
    from: ir::Value,
    /// Number of steps.
    count: ir::Value,
    /// Which block it is.
    number: ir::Value,
}

/// A range of panels.
#[derive(Clone, Copy)]
struct Panels {
    from: ir::Value,
    to: ir::Value,
}

impl Panels {
    fn range(self, step: usize) -> Range {
        Range { start: self.from, end: self.to, step: step as i64, nonempty: true }
    }
}

impl Loops<'_> {
    /// The panels `begin..end`, of those that tasks share, of one batch.
    fn batch(&self, e: &mut Emitter, positions: &[ir::Value], begin: ir::Value, end: ir::Value) {
        let batch = Batch {
            positions: positions.to_vec(),
            left: e.point(&self.product.left, positions),
            right: e.point(&self.product.right, positions),
            slots: e.slots(&self.product.epilogue, positions),
        };
        let shared = Panels { from: begin, to: end };
        let zero = e.int(0);
        let (rows, columns) = match self.t.share {
            Share::Rows => (shared, Panels { from: zero, to: e.int(self.t.n_panels as i64) }),
            Share::Columns => (Panels { from: zero, to: e.int(self.t.m_panels as i64) }, shared),
        };
        self.in_blocks(e, columns, self.t.right_block, self.t.n_panels, |e, columns| {
            self.in_blocks(e, rows, self.t.waiting, self.t.m_panels, |e, rows| {
                self.each_depth(e, |e, depth| self.block(e, &batch, rows, columns, depth));
            });
        });
    }

    /// Cuts a range of panels into blocks of `most`; `all` is how many there can be.
    fn in_blocks(
        &self,
        e: &mut Emitter,
        panels: Panels,
        most: usize,
        all: usize,
        body: impl FnOnce(&mut Emitter, Panels),
    ) {
        if all <= most {
            return body(e, panels);
        }
        e.each(panels.range(most), |e, from| {
            let to = e.b.ins().iadd_imm_s(from, most as i64);
            let to = e.b.ins().smin(to, panels.to);
            body(e, Panels { from, to });
        });
    }

    fn each_depth(&self, e: &mut Emitter, body: impl FnOnce(&mut Emitter, Depth)) {
        let zero = e.int(0);
        if self.t.blocks == 1 {
            let count = e.int(self.t.kc as i64);
            return body(e, Depth { from: zero, count, number: zero });
        }
        let end = e.int(self.t.blocks as i64);
        let range = Range { start: zero, end, step: 1, nonempty: true };
        e.each(range, |e, number| {
            let from = e.b.ins().imul_imm_s(number, self.t.kc as i64);
            let last = self.is_last(e, number);
            let (kc, last_kc) = (e.int(self.t.kc as i64), e.int(self.t.last_kc as i64));
            let count = e.b.ins().select(last, last_kc, kc);
            body(e, Depth { from, count, number });
        });
    }

    fn is_last(&self, e: &mut Emitter, number: ir::Value) -> ir::Value {
        e.b.ins().icmp_imm_s(IntCC::Equal, number, self.t.blocks as i64 - 1)
    }

    /// All tiles of the panels over one block of depth.
    fn block(&self, e: &mut Emitter, batch: &Batch, rows: Panels, columns: Panels, depth: Depth) {
        self.pack_right(e, batch, columns, depth);
        self.in_blocks(e, rows, self.t.left_block, self.t.m_panels, |e, some_rows| {
            if self.t.pack_left {
                self.pack_left(e, batch, some_rows, depth);
            }
            // The panel with more elements stays in the first-level cache for the inner loop.
            if self.t.mr >= self.t.nr {
                e.each(some_rows.range(1), |e, row| {
                    let left = self.left_panel(e, batch, some_rows, row, depth);
                    e.each(columns.range(1), |e, column| {
                        let right = self.right_panel(e, batch, columns, column, depth);
                        self.tile(
                            e,
                            batch,
                            &Tile { row, column, rows, columns },
                            left,
                            right,
                            depth,
                        );
                    });
                });
            } else {
                e.each(columns.range(1), |e, column| {
                    let right = self.right_panel(e, batch, columns, column, depth);
                    e.each(some_rows.range(1), |e, row| {
                        let left = self.left_panel(e, batch, some_rows, row, depth);
                        self.tile(
                            e,
                            batch,
                            &Tile { row, column, rows, columns },
                            left,
                            right,
                            depth,
                        );
                    });
                });
            }
        });
    }

    /// A packed panel's place: `number` panels of `width` from `at`.
    fn packed(&self, e: &mut Emitter, at: usize, number: ir::Value, width: usize) -> ir::Value {
        let bytes = (width * self.t.kc * self.t.size) as i64;
        let distance = e.b.ins().imul_imm_s(number, bytes);
        let start = e.b.ins().iadd_imm_s(e.scratch, at as i64);
        e.b.ins().iadd(start, distance)
    }

    /// The element of an operand at a panel's first row or column and the block's first step.
    fn corner(
        &self,
        e: &mut Emitter,
        start: ir::Value,
        panel: ir::Value,
        panel_stride: i64,
        depth: Depth,
        depth_stride: i64,
    ) -> ir::Value {
        let size = self.t.size as i64;
        e.walk(start, &[panel_stride, depth_stride], &[panel, depth.from], size)
    }

    fn pack_left(&self, e: &mut Emitter, batch: &Batch, rows: Panels, depth: Depth) {
        let (row, column) = strides(&self.product.left);
        let size = self.t.size as i64;
        e.each(rows.range(1), |e, panel| {
            let from = self.corner(e, batch.left, panel, row * self.t.mr as i64, depth, column);
            let number = e.b.ins().isub(panel, rows.from);
            let to = self.packed(e, 0, number, self.t.mr);
            self.full_or_edge(e, panel, self.t.m_panels, self.t.m_edge, |e, edge| {
                let width = if edge { self.t.m_edge } else { self.t.mr };
                let (across_bytes, step_bytes) = (row * size, column * size);
                let (depth, size) = (depth.count, self.t.size);
                let panel =
                    Panel { from, to, depth, across_bytes, step_bytes, width, padded: width, size };
                pack::emit(e, &panel);
            });
        });
    }

    /// Packs the panels of B; where B is read in place, the last one only, if it is smaller.
    fn pack_right(&self, e: &mut Emitter, batch: &Batch, columns: Panels, depth: Depth) {
        if self.product.k == 0 {
            return;
        }
        let (row, column) = strides(&self.product.right);
        let size = self.t.size as i64;
        let copy = |e: &mut Emitter, panel: ir::Value, number: ir::Value, edge: bool| {
            let from = self.corner(e, batch.right, panel, column * self.t.nr as i64, depth, row);
            let to = self.packed(e, self.scratch.right_at, number, self.t.nr);
            let width = if edge { self.t.n_edge } else { self.t.nr };
            let (across_bytes, step_bytes) = (column * size, row * size);
            let (depth, size, padded) = (depth.count, self.t.size, self.t.nr);
            let panel = Panel { from, to, depth, across_bytes, step_bytes, width, padded, size };
            pack::emit(e, &panel);
        };
        if self.t.pack_right {
            e.each(columns.range(1), |e, panel| {
                let number = e.b.ins().isub(panel, columns.from);
                self.full_or_edge(e, panel, self.t.n_panels, self.t.n_edge, |e, edge| {
                    copy(e, panel, number, edge);
                });
            });
        } else if self.t.n_edge > 0 {
            let has_last = e.b.ins().icmp_imm_s(IntCC::Equal, columns.to, self.t.n_panels as i64);
            let (then, after) = (e.b.create_block(), e.b.create_block());
            e.b.ins().brif(has_last, then, &[], after, &[]);
            e.b.switch_to_block(then);
            let (last, zero) = (e.int(self.t.n_panels as i64 - 1), e.int(0));
            copy(e, last, zero, true);
            e.b.ins().jump(after, &[]);
            e.b.switch_to_block(after);
        }
    }

    /// Emits `body` for full panels and, if the last one is smaller, again for that.
    fn full_or_edge(
        &self,
        e: &mut Emitter,
        panel: ir::Value,
        panels: usize,
        edge: usize,
        body: impl Fn(&mut Emitter, bool),
    ) {
        if edge == 0 {
            return body(e, false);
        }
        if panels == 1 {
            return body(e, true);
        }
        let is_last = e.b.ins().icmp_imm_s(IntCC::Equal, panel, panels as i64 - 1);
        let (small, full, after) = (e.b.create_block(), e.b.create_block(), e.b.create_block());
        e.b.ins().brif(is_last, small, &[], full, &[]);
        for (block, edge) in [(small, true), (full, false)] {
            e.b.switch_to_block(block);
            body(e, edge);
            e.b.ins().jump(after, &[]);
        }
        e.b.switch_to_block(after);
    }

    fn left_panel(
        &self,
        e: &mut Emitter,
        batch: &Batch,
        rows: Panels,
        row: ir::Value,
        depth: Depth,
    ) -> ir::Value {
        if self.t.pack_left {
            let number = e.b.ins().isub(row, rows.from);
            return self.packed(e, 0, number, self.t.mr);
        }
        let (row_stride, column_stride) = strides(&self.product.left);
        self.corner(e, batch.left, row, row_stride * self.t.mr as i64, depth, column_stride)
    }

    /// The panel of B, and the bytes from row to row of it.
    fn right_panel(
        &self,
        e: &mut Emitter,
        batch: &Batch,
        columns: Panels,
        column: ir::Value,
        depth: Depth,
    ) -> (ir::Value, ir::Value) {
        let packed_row = e.int((self.t.nr * self.t.size) as i64);
        if self.t.pack_right {
            let number = e.b.ins().isub(column, columns.from);
            return (self.packed(e, self.scratch.right_at, number, self.t.nr), packed_row);
        }
        let (row_stride, column_stride) = strides(&self.product.right);
        let panel_stride = column_stride * self.t.nr as i64;
        let place = self.corner(e, batch.right, column, panel_stride, depth, row_stride);
        let row = e.int(row_stride * self.t.size as i64);
        if self.t.n_edge == 0 || self.product.k == 0 {
            return (place, row);
        }
        let zero = e.int(0);
        let copy = self.packed(e, self.scratch.right_at, zero, self.t.nr);
        let last = e.b.ins().icmp_imm_s(IntCC::Equal, column, self.t.n_panels as i64 - 1);
        (e.b.ins().select(last, copy, place), e.b.ins().select(last, packed_row, row))
    }

    /// One tile over one block of depth, and after the last block its epilogue.
    fn tile(
        &self,
        e: &mut Emitter,
        batch: &Batch,
        tile: &Tile,
        left: ir::Value,
        (right, right_bytes): (ir::Value, ir::Value),
        depth: Depth,
    ) {
        let zero = e.int(0);
        let tile_row = e.int((self.t.nr * self.t.size) as i64);
        let scratch = e.b.ins().iadd_imm_s(e.scratch, self.scratch.tile_at as i64);
        // A full row of a tile may be stored to C where the epilogue does nothing else.
        let direct = self.t.plain.then(|| self.place_in_c(e, batch, tile));
        let (out, out_bytes) = match direct {
            None => (scratch, tile_row),
            Some((place, bytes)) if self.t.n_edge == 0 => (place, bytes),
            Some((place, bytes)) => {
                let last = self.is_last_column(e, tile.column);
                (e.b.ins().select(last, scratch, place), e.b.ins().select(last, tile_row, bytes))
            }
        };
        if self.t.blocks == 1 {
            self.call(e, tile, [left, right, right_bytes, depth.count, zero, out, out_bytes]);
            return self.finish(e, batch, tile, scratch);
        }
        let waiting = self.waiting_tile(e, tile);
        let first = e.b.ins().icmp_imm_s(IntCC::Equal, depth.number, 0);
        let start = e.b.ins().select(first, zero, waiting);
        let last = self.is_last(e, depth.number);
        let out = e.b.ins().select(last, out, waiting);
        let out_bytes = e.b.ins().select(last, out_bytes, tile_row);
        self.call(e, tile, [left, right, right_bytes, depth.count, start, out, out_bytes]);
        let (then, after) = (e.b.create_block(), e.b.create_block());
        e.b.ins().brif(last, then, &[], after, &[]);
        e.b.switch_to_block(then);
        self.finish(e, batch, tile, scratch);
        e.b.ins().jump(after, &[]);
        e.b.switch_to_block(after);
    }

    fn is_last_column(&self, e: &mut Emitter, column: ir::Value) -> ir::Value {
        e.b.ins().icmp_imm_s(IntCC::Equal, column, self.t.n_panels as i64 - 1)
    }

    /// Where the tile's first element is in C, and the bytes from row to row.
    fn place_in_c(&self, e: &mut Emitter, batch: &Batch, tile: &Tile) -> (ir::Value, ir::Value) {
        let (row, column) = strides(&self.product.epilogue.slots[0]);
        let (mr, nr) = (self.t.mr as i64, self.t.nr as i64);
        let steps = [row * mr, column * nr];
        let size = self.t.size as i64;
        let start = batch.slots[0].pointer;
        (e.walk(start, &steps, &[tile.row, tile.column], size), e.int(row * size))
    }

    fn waiting_tile(&self, e: &mut Emitter, tile: &Tile) -> ir::Value {
        let row = e.b.ins().isub(tile.row, tile.rows.from);
        let column = e.b.ins().isub(tile.column, tile.columns.from);
        let before = e.b.ins().imul_imm_s(row, self.t.right_block as i64);
        let number = e.b.ins().iadd(before, column);
        let distance = e.b.ins().imul_imm_s(number, self.t.tile_bytes() as i64);
        let start = e.b.ins().iadd_imm_s(e.scratch, self.scratch.waiting_at as i64);
        e.b.ins().iadd(start, distance)
    }

    fn call(&self, e: &mut Emitter, tile: &Tile, arguments: [ir::Value; 7]) {
        self.full_or_edge(e, tile.row, self.t.m_panels, self.t.m_edge, |e, edge| {
            let micro = if edge { self.micro.edge } else { self.micro.full };
            e.b.ins().call(micro.expect("each height has its micro-kernel"), &arguments);
        });
    }

    /// Runs the epilogue on a tile in scratch memory.
    fn finish(&self, e: &mut Emitter, batch: &Batch, tile: &Tile, scratch: ir::Value) {
        let all = e.int(self.t.nr as i64);
        if self.t.n_edge == 0 {
            if !self.t.plain {
                self.finish_columns(e, batch, tile, scratch, all);
            }
            return;
        }
        let edge = e.int(self.t.n_edge as i64);
        let last = self.is_last_column(e, tile.column);
        if !self.t.plain {
            let columns = e.b.ins().select(last, edge, all);
            return self.finish_columns(e, batch, tile, scratch, columns);
        }
        // Full tiles are in C already.
        let (then, after) = (e.b.create_block(), e.b.create_block());
        e.b.ins().brif(last, then, &[], after, &[]);
        e.b.switch_to_block(then);
        self.finish_columns(e, batch, tile, scratch, edge);
        e.b.ins().jump(after, &[]);
        e.b.switch_to_block(after);
    }

    /// Runs the epilogue on the first `columns` columns of a tile, row by row.
    fn finish_columns(
        &self,
        e: &mut Emitter,
        batch: &Batch,
        tile: &Tile,
        scratch: ir::Value,
        columns: ir::Value,
    ) {
        let mut rows = e.int(self.t.mr as i64);
        if self.t.m_edge > 0 {
            let last = e.b.ins().icmp_imm_s(IntCC::Equal, tile.row, self.t.m_panels as i64 - 1);
            let edge = e.int(self.t.m_edge as i64);
            rows = e.b.ins().select(last, edge, rows);
        }
        let first_row = e.b.ins().imul_imm_s(tile.row, self.t.mr as i64);
        let first_column = e.b.ins().imul_imm_s(tile.column, self.t.nr as i64);
        let zero = e.int(0);
        let range = Range { start: zero, end: rows, step: 1, nonempty: true };
        e.each(range, |e, i| {
            let row = e.b.ins().iadd(first_row, i);
            let sums = e.walk(scratch, &[(self.t.nr * self.t.size) as i64], &[i], 1);
            self.finish_row(e, batch, row, first_column, columns, sums);
        });
    }

    /// The epilogue of one row of a tile: `columns` of them in groups, then one by one.
    fn finish_row(
        &self,
        e: &mut Emitter,
        batch: &Batch,
        row: ir::Value,
        first_column: ir::Value,
        columns: ir::Value,
        sums: ir::Value,
    ) {
        let epilogue = &self.product.epilogue;
        let slots: Vec<SlotAt> = epilogue
            .slots
            .iter()
            .zip(&batch.slots)
            .map(|(access, slot)| {
                let size = e.size_of(access.buffer);
                let pointer = e.walk(slot.pointer, &[strides(access).0], &[row], size);
                SlotAt { pointer, ..*slot }
            })
            .collect();
        let mut axes = batch.positions.clone();
        axes.push(row);
        let accumulator = SlotDecl { dtype: self.product.dtype, stride: Stride::Unit };
        let long = epilogue.program.insts.len() > 24;
        let width: u32 = if self.t.nr.is_multiple_of(8) && !long { 8 } else { 4 };
        let mut widths = vec![width];
        if self.t.n_edge % width as usize >= 4 {
            widths.push(4);
        }
        if !self.t.n_edge.is_multiple_of(4) {
            widths.push(1);
        }
        let mut start = e.int(0);
        for width in widths {
            let end =
                if width == 1 { columns } else { e.b.ins().band_imm_s(columns, -i64::from(width)) };
            let range = Range { start, end, step: i64::from(width), nonempty: false };
            e.each(range, |e, column| {
                let distance = e.b.ins().imul_imm_s(column, self.t.size as i64);
                let pointer = e.b.ins().iadd(sums, distance);
                let lane_bytes = self.t.size as i64;
                let at = Address { pointer, lane_bytes, readonly: false };
                let fault = e.fault;
                let mut g = e.group(width);
                let sums = g.load(&accumulator, at);
                let lane = g.b.ins().iadd(first_column, column);
                let params = [Argument::Lanes(sums)];
                let scene = Scene { slots: &slots, params: &params, axes: &axes, lane, fault };
                body::emit(&mut g, &epilogue.program, &scene);
            });
            start = end;
        }
    }
}

/// A tile's panels, and the blocks they are in.
struct Tile {
    row: ir::Value,
    column: ir::Value,
    rows: Panels,
    columns: Panels,
}
