//! Epilogues of products: a vector program on each row of a complete tile.
//!
//! Neighbours: `loops` calls this after the last block of depth, `body` emits the program.

use super::super::body::{self, Argument, Scene, SlotAt};
use super::super::emit::{Emitter, Range};
use super::super::memory::Address;
use super::loops::{Loops, Tile, when};
use super::tiling::{Side, strides};
use super::{Batch, Part};
use crate::vector::{SlotDecl, Stride};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder};

impl Loops<'_> {
    /// Runs the epilogue on a tile in scratch memory, if it is not in C already.
    pub fn finish(&self, e: &mut Emitter, batch: &Batch, tile: &Tile, scratch: ir::Value) {
        if self.t.plain && !self.t.fills_up() {
            return;
        }
        if self.parts.iter().any(|(part, _)| matches!(part, Part::Finish(_))) {
            return self.call_finish(e, batch, tile, scratch);
        }
        let all = e.int(self.t.nr as i64);
        if self.t.n_edge == 0 {
            return self.finish_columns(e, batch, tile, scratch, all);
        }
        let edge = e.int(self.t.n_edge as i64);
        let last = self.is_last_column(e, tile.column);
        if !self.t.plain {
            let columns = e.b.ins().select(last, edge, all);
            return self.finish_columns(e, batch, tile, scratch, columns);
        }
        // Full tiles are in C already.
        when(e, last, |e| self.finish_columns(e, batch, tile, scratch, edge));
    }

    /// Calls the function of the epilogue: a `KernelFn` whose tasks are rows of the tile, whose
    /// table has the first element of each slot, and whose scratch memory is the tile.
    fn call_finish(&self, e: &mut Emitter, batch: &Batch, tile: &Tile, scratch: ir::Value) {
        let row = e.b.ins().imul_imm_s(tile.row, self.t.mr as i64);
        let column = e.b.ins().imul_imm_s(tile.column, self.t.nr as i64);
        let table = self.table(e, &self.product.epilogue.slots, &batch.slots, [row, column]);
        let rows = self.rows_of(e, tile);
        let (zero, fault) = (e.int(0), e.fault);
        self.full_or_edge(e, tile.column, self.t.n_panels, self.t.n_edge, |e, edge| {
            let this =
                |&&(part, _): &&(Part, _)| matches!(part, Part::Finish(last) if last == edge);
            let (_, function) = self.parts.iter().find(this).expect("there is one for either");
            e.b.ins().call(*function, &[table, zero, rows, scratch, fault]);
        });
    }

    /// Rows of a tile.
    fn rows_of(&self, e: &mut Emitter, tile: &Tile) -> ir::Value {
        self.extent(e, tile.row, self.t.m_panels, self.t.widths(Side::Left))
    }

    /// How wide a panel is: like the others, or, the last one, smaller if there is an edge.
    pub fn extent(
        &self,
        e: &mut Emitter,
        panel: ir::Value,
        panels: usize,
        (width, edge): (usize, usize),
    ) -> ir::Value {
        let full = e.int(width as i64);
        if edge == 0 {
            return full;
        }
        let last = e.b.ins().icmp_imm_s(IntCC::Equal, panel, panels as i64 - 1);
        let edge = e.int(edge as i64);
        e.b.ins().select(last, edge, full)
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
        let rows = self.rows_of(e, tile);
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
