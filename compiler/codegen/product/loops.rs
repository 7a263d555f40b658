//! The loops around micro-kernels: blocks of columns, of rows, of depth; panels; tiles.
//!
//! Neighbours: `tiling` has decided everything; `pack` copies panels, `collect` collects them,
//! `prologue` makes them, `finish` runs epilogues.

use super::super::emit::{Emitter, Range};
use super::ahead::Ahead;
use super::micro::Role;
use super::pack::{self, Panel};
use super::scratch::Scratch;
use super::tiling::{PackRight, Share, Side, Tiling, strides};
use super::{After, Batch, First, MICRO_PARAMS, Part};
use crate::kernel::Product;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder};

/// What the loops of one product know.
pub(super) struct Loops<'a> {
    pub product: &'a Product,
    pub t: &'a Tiling,
    pub scratch: Scratch,
    pub parts: &'a [(Part, ir::FuncRef)],
    /// What follows, if something does: a block of panels of A is a turn.
    pub after: Option<&'a After>,
}

/// A block of the depth.
#[derive(Clone, Copy)]
pub(super) struct Depth {
    /// First step.
    pub from: ir::Value,
    /// Number of steps.
    pub count: ir::Value,
    /// Which block it is.
    pub number: ir::Value,
}

/// A range of panels.
#[derive(Clone, Copy)]
pub(super) struct Panels {
    pub from: ir::Value,
    pub to: ir::Value,
}

impl Panels {
    fn range(self, step: usize) -> Range {
        Range { start: self.from, end: self.to, step: step as i64, nonempty: true }
    }
}

impl Loops<'_> {
    /// The panels of rows and of columns of the tasks `begin..end` of one batch.
    pub fn panels(&self, e: &mut Emitter, begin: ir::Value, end: ir::Value) -> [Panels; 2] {
        let shared = Panels { from: begin, to: end };
        let zero = e.int(0);
        match self.t.share {
            Share::Rows => [shared, Panels { from: zero, to: e.int(self.t.n_panels as i64) }],
            Share::Columns => [Panels { from: zero, to: e.int(self.t.m_panels as i64) }, shared],
        }
    }

    /// The panels `begin..end`, of those that tasks share, of one batch.
    pub fn batch(
        &self,
        e: &mut Emitter,
        positions: &[ir::Value],
        begin: ir::Value,
        end: ir::Value,
    ) {
        let batch = Batch {
            positions: positions.to_vec(),
            left: First::of(e, &self.product.left, positions),
            right: First::of(e, &self.product.right, positions),
            slots: e.slots(&self.product.epilogue, positions),
        };
        let [rows, columns] = self.panels(e, begin, end);
        self.in_blocks(e, rows, self.t.rows_block, self.t.m_panels, |e, rows| {
            self.in_blocks(e, columns, self.t.right_block, self.t.n_panels, |e, columns| {
                self.in_blocks(e, rows, self.t.waiting, self.t.rows_block, |e, rows| {
                    self.each_depth(e, |e, depth| self.block(e, &batch, rows, columns, depth));
                });
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

    pub fn is_last(&self, e: &mut Emitter, number: ir::Value) -> ir::Value {
        e.b.ins().icmp_imm_s(IntCC::Equal, number, self.t.blocks as i64 - 1)
    }

    /// All tiles of the panels over one block of depth.
    fn block(&self, e: &mut Emitter, batch: &Batch, rows: Panels, columns: Panels, depth: Depth) {
        let ahead = Ahead::of(self.product, self.t);
        let next = ahead.map(|ahead| (ahead, self.next_block(e, batch, columns, depth)));
        self.pack_right(e, batch, columns, depth);
        self.in_blocks(e, rows, self.t.left_block, self.t.m_panels, |e, some_rows| {
            let batch = &self.at_turn(e, batch, some_rows);
            if self.t.pack_left {
                self.pack_left(e, batch, some_rows, depth);
            }
            let one = |e: &mut Emitter, row: ir::Value, column: ir::Value| {
                let tile = Tile { row, column, rows, columns };
                let left = self.left_panel(e, batch, some_rows, row, depth);
                let right = self.right_panel(e, batch, &tile, depth, next);
                self.tile(e, batch, &tile, left, right, depth);
            };
            // The panel with more elements stays in the first-level cache for the inner loop.
            if self.t.rows_outside() {
                e.each(some_rows.range(1), |e, row| {
                    e.each(columns.range(1), |e, column| one(e, row, column));
                });
            } else {
                e.each(columns.range(1), |e, column| {
                    e.each(some_rows.range(1), |e, row| one(e, row, column));
                });
            }
            self.follow(e, batch, some_rows, columns, depth);
        });
    }

    /// A packed panel of B: the one of this number from the block's first.
    fn packed_right(&self, e: &mut Emitter, number: ir::Value) -> ir::Value {
        let bytes = self.t.nr * self.t.kc * self.t.size;
        self.packed(e, self.scratch.right_at, number, bytes)
    }

    /// A packed panel's place: behind `number` panels of so many bytes from `at`.
    fn packed(&self, e: &mut Emitter, at: usize, number: ir::Value, bytes: usize) -> ir::Value {
        let distance = e.b.ins().imul_imm_s(number, bytes as i64);
        let start = e.b.ins().iadd_imm_s(e.scratch, at as i64);
        e.b.ins().iadd(start, distance)
    }

    /// The element of an operand at a panel's first row or column and the block's first step.
    pub fn corner(
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
        let size = self.t.size;
        if let First::Spread(start) = batch.left {
            let tables = self.tables(e, Side::Left, start, rows, depth);
            return e.each(rows.range(1), |e, panel| {
                let to = self.packed_left(e, rows, panel);
                self.collect(e, &tables, panel, to);
            });
        }
        e.each(rows.range(1), |e, panel| {
            let to = self.packed_left(e, rows, panel);
            if let First::Made(slots) = &batch.left {
                return self.make(e, Side::Left, slots, panel, depth, to);
            }
            let (start, (row, column)) = batch.left.in_memory();
            let from = self.corner(e, start, panel, row * self.t.mr as i64, depth, column);
            self.full_or_edge(e, panel, self.t.m_panels, self.t.m_edge, |e, edge| {
                let width = if edge { self.t.m_edge } else { self.t.mr };
                let (across_bytes, step_bytes) = (row * size as i64, column * size as i64);
                let depth = depth.count;
                let panel =
                    Panel { from, to, depth, across_bytes, step_bytes, width, padded: width, size };
                pack::emit(e, &panel);
            });
        });
    }

    fn packed_left(&self, e: &mut Emitter, rows: Panels, panel: ir::Value) -> ir::Value {
        let number = e.b.ins().isub(panel, rows.from);
        self.packed(e, 0, number, self.t.left_panel_bytes())
    }

    /// Packs the panels of B; where B is read in place, the last one only, if it is to be filled
    /// up.
    fn pack_right(&self, e: &mut Emitter, batch: &Batch, columns: Panels, depth: Depth) {
        if self.product.k == 0 {
            return;
        }
        let (start, (row, column)) = match &batch.right {
            First::Made(slots) => {
                return e.each(columns.range(1), |e, panel| {
                    let number = e.b.ins().isub(panel, columns.from);
                    let to = self.packed_right(e, number);
                    self.make(e, Side::Right, slots, panel, depth, to);
                });
            }
            First::Spread(start) => {
                let tables = self.tables(e, Side::Right, *start, columns, depth);
                return e.each(columns.range(1), |e, panel| {
                    let number = e.b.ins().isub(panel, columns.from);
                    let to = self.packed_right(e, number);
                    self.collect(e, &tables, panel, to);
                });
            }
            First::Stored(start, strides) => (*start, *strides),
        };
        let copy = |e: &mut Emitter, panel: ir::Value, number: ir::Value, edge: bool| {
            let from = self.corner(e, start, panel, column * self.t.nr as i64, depth, row);
            let to = self.packed_right(e, number);
            self.copy_right(e, from, (row, column), depth, to, edge);
        };
        match self.t.pack_right {
            PackRight::Before => e.each(columns.range(1), |e, panel| {
                let number = e.b.ins().isub(panel, columns.from);
                self.full_or_edge(e, panel, self.t.n_panels, self.t.n_edge, |e, edge| {
                    copy(e, panel, number, edge);
                });
            }),
            PackRight::Never if self.t.fills_up() => {
                let last = self.t.n_panels as i64;
                let has_last = e.b.ins().icmp_imm_s(IntCC::Equal, columns.to, last);
                when(e, has_last, |e| {
                    let (last, zero) = (e.int(last - 1), e.int(0));
                    copy(e, last, zero, true);
                });
            }
            PackRight::Never | PackRight::OnTheWay => {}
        }
    }

    /// Copies a panel of B with these strides, by wide code if there is some.
    pub fn copy_right(
        &self,
        e: &mut Emitter,
        from: ir::Value,
        (row, column): (i64, i64),
        depth: Depth,
        to: ir::Value,
        last: bool,
    ) {
        let turn = |&&(part, _): &&(Part, _)| matches!(part, Part::Turn(of, _) if of == last);
        if let Some(&(_, turn)) = self.parts.iter().find(turn) {
            e.b.ins().call(turn, &[from, to, depth.count]);
            return;
        }
        let (size, padded) = (self.t.size, self.t.nr);
        let width = if last { self.t.n_edge } else { padded };
        let (across_bytes, step_bytes) = (column * size as i64, row * size as i64);
        let depth = depth.count;
        pack::emit(e, &Panel { from, to, depth, across_bytes, step_bytes, width, padded, size });
    }

    /// Emits `body` for full panels and, if the last one is smaller, again for that.
    pub fn full_or_edge(
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
            return self.packed_left(e, rows, row);
        }
        let (start, (row_stride, column_stride)) = batch.left.in_memory();
        self.corner(e, start, row, row_stride * self.t.mr as i64, depth, column_stride)
    }

    /// A tile's panel of B; `next` is the block that it may ask for ahead.
    fn right_panel(
        &self,
        e: &mut Emitter,
        batch: &Batch,
        tile: &Tile,
        depth: Depth,
        next: Option<(Ahead, ir::Value)>,
    ) -> Right {
        let zero = e.int(0);
        let ahead = next.map_or(zero, |(ahead, next)| self.share_ahead(e, tile, ahead, next));
        let packed_row = e.int((self.t.nr * self.t.size) as i64);
        let in_place = |e: &mut Emitter| {
            let (start, (row, column)) = batch.right.in_memory();
            let step = column * self.t.nr as i64;
            let place = self.corner(e, start, tile.column, step, depth, row);
            (place, e.int(row * self.t.size as i64))
        };
        match self.t.pack_right {
            PackRight::Before => {
                let number = e.b.ins().isub(tile.column, tile.columns.from);
                let start = self.packed_right(e, number);
                Right { start, row_bytes: packed_row, copy_or_ask: zero }
            }
            PackRight::OnTheWay => {
                let number = e.b.ins().isub(tile.column, tile.columns.from);
                let copy = self.packed_right(e, number);
                let (place, row) = in_place(e);
                let first = e.b.ins().icmp(IntCC::Equal, tile.row, tile.rows.from);
                let start = e.b.ins().select(first, place, copy);
                let row_bytes = e.b.ins().select(first, row, packed_row);
                let copy_or_ask = e.b.ins().select(first, copy, ahead);
                Right { start, row_bytes, copy_or_ask }
            }
            PackRight::Never => {
                let (place, row) = in_place(e);
                if !self.t.fills_up() || self.product.k == 0 {
                    return Right { start: place, row_bytes: row, copy_or_ask: ahead };
                }
                let filled = self.packed_right(e, zero);
                let last = self.is_last_column(e, tile.column);
                let start = e.b.ins().select(last, filled, place);
                let row_bytes = e.b.ins().select(last, packed_row, row);
                Right { start, row_bytes, copy_or_ask: zero }
            }
        }
    }

    /// One tile over one block of depth, and after the last block its epilogue.
    fn tile(
        &self,
        e: &mut Emitter,
        batch: &Batch,
        tile: &Tile,
        left: ir::Value,
        right: Right,
        depth: Depth,
    ) {
        let (out, out_bytes) = self.place(e, batch, tile);
        let arguments = |adds: ir::Value| {
            let Right { start, row_bytes, copy_or_ask } = right;
            [left, start, row_bytes, depth.count, adds, out, out_bytes, copy_or_ask]
        };
        // Any block but the first adds to the sums of those before.
        let arguments = arguments(depth.number);
        self.call(e, tile, arguments);
        let complete = |e: &mut Emitter| match self.after {
            Some(After::Columns(columns)) => self.fold_columns(e, batch, tile, columns, out),
            Some(After::Turns(_)) | None => self.finish(e, batch, tile, out),
        };
        if self.t.blocks == 1 {
            return complete(e);
        }
        let last = self.is_last(e, depth.number);
        when(e, last, complete);
    }

    pub fn is_last_column(&self, e: &mut Emitter, column: ir::Value) -> ir::Value {
        e.b.ins().icmp_imm_s(IntCC::Equal, column, self.t.n_panels as i64 - 1)
    }

    /// Where a tile is until it is complete, and the bytes from row to row.
    fn place(&self, e: &mut Emitter, batch: &Batch, tile: &Tile) -> (ir::Value, ir::Value) {
        let in_scratch = |e: &mut Emitter| {
            let start = match self.t.blocks {
                1 => e.b.ins().iadd_imm_s(e.scratch, self.scratch.tile_at as i64),
                _ => self.waiting_tile(e, tile),
            };
            (start, e.int((self.t.nr * self.t.size) as i64))
        };
        if !self.t.plain {
            return in_scratch(e);
        }
        let (c, c_bytes) = self.place_in_c(e, batch, tile);
        if !self.t.fills_up() {
            return (c, c_bytes);
        }
        let (scratch, scratch_bytes) = in_scratch(e);
        let last = self.is_last_column(e, tile.column);
        (e.b.ins().select(last, scratch, c), e.b.ins().select(last, scratch_bytes, c_bytes))
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

    /// A tile's column and row, from the first ones of its blocks.
    pub fn within_block(&self, e: &mut Emitter, tile: &Tile) -> (ir::Value, ir::Value) {
        let column = e.b.ins().isub(tile.column, tile.columns.from);
        (column, e.b.ins().isub(tile.row, tile.rows.from))
    }

    fn waiting_tile(&self, e: &mut Emitter, tile: &Tile) -> ir::Value {
        let (column, row) = self.within_block(e, tile);
        let before = e.b.ins().imul_imm_s(row, self.t.right_block as i64);
        let number = e.b.ins().iadd(before, column);
        let distance = e.b.ins().imul_imm_s(number, self.t.tile_bytes() as i64);
        let start = e.b.ins().iadd_imm_s(e.scratch, self.scratch.waiting_at as i64);
        e.b.ins().iadd(start, distance)
    }

    /// Calls the micro-kernel of the tile's role.
    fn call(&self, e: &mut Emitter, tile: &Tile, arguments: [ir::Value; MICRO_PARAMS.len()]) {
        let after = e.b.create_block();
        let last_row = e.b.ins().icmp_imm_s(IntCC::Equal, tile.row, self.t.m_panels as i64 - 1);
        let last_column = self.is_last_column(e, tile.column);
        let first = e.b.ins().icmp(IntCC::Equal, tile.row, tile.rows.from);
        let micro = |&(part, function): &(Part, ir::FuncRef)| match part {
            Part::Micro(role, _) => Some((role, function)),
            _ => None,
        };
        let mut left: Vec<(Role, ir::FuncRef)> = self.parts.iter().filter_map(micro).collect();
        // A panel that is alone in its range has no use for a copy, and there may be none that
        // makes one: the last rows have none.
        self.choose(e, &mut left, last_row, |role| role.last_rows, &mut |e, left| {
            self.choose(e, left, last_column, |role| role.last_columns, &mut |e, left| {
                self.choose(e, left, first, |role| role.copies, &mut |e, left| {
                    e.b.ins().call(left[0].1, &arguments);
                    e.b.ins().jump(after, &[]);
                });
            });
        });
        e.b.switch_to_block(after);
    }

    /// Divides micro-kernels by a property of their roles, and emits `body` for either part that
    /// there is, under the condition that the property belongs to.
    fn choose(
        &self,
        e: &mut Emitter,
        all: &mut Vec<(Role, ir::FuncRef)>,
        condition: ir::Value,
        property: impl Fn(&Role) -> bool,
        body: &mut dyn FnMut(&mut Emitter, &mut Vec<(Role, ir::FuncRef)>),
    ) {
        let (mut with, mut without): (Vec<_>, Vec<_>) =
            all.iter().partition(|(role, _)| property(role));
        if with.is_empty() || without.is_empty() {
            return body(e, all);
        }
        let (then, otherwise) = (e.b.create_block(), e.b.create_block());
        e.b.ins().brif(condition, then, &[], otherwise, &[]);
        e.b.switch_to_block(then);
        body(e, &mut with);
        e.b.switch_to_block(otherwise);
        body(e, &mut without);
    }
}

/// Emits `body` under a condition.
pub(super) fn when(e: &mut Emitter, condition: ir::Value, body: impl FnOnce(&mut Emitter)) {
    let (then, after) = (e.b.create_block(), e.b.create_block());
    e.b.ins().brif(condition, then, &[], after, &[]);
    e.b.switch_to_block(then);
    body(e);
    e.b.ins().jump(after, &[]);
    e.b.switch_to_block(after);
}

/// A panel of B: its first row, bytes from row to row, and where it is copied to, or else what of
/// the next block is asked for.
#[derive(Clone, Copy)]
struct Right {
    start: ir::Value,
    row_bytes: ir::Value,
    copy_or_ask: ir::Value,
}

/// A tile's panels, and the blocks they are in.
pub(super) struct Tile {
    pub row: ir::Value,
    pub column: ir::Value,
    pub rows: Panels,
    pub columns: Panels,
}
