//! Spread operands: panels collected from elements that several axes of memory lead to.
//!
//! Where an element is depends on its two positions in the matrix by a sum, so a table of offsets
//! for the steps of a block of depth and one for its rows or columns say it for all: no address is
//! computed for an element. Beside the offsets of lanes is how many from each on lie side by side.
//! Short tables are written once for all batches, longer ones for each block.
//!
//! Neighbours: `loops` calls this where it would copy a panel; `x86::product_collect` has the wide
//! code.

use super::super::emit::{Emitter, Range};
use super::super::lanes::{invariant, plain};
use super::super::x86::product_collect::Collect;
use super::Part;
use super::loops::{Depth, Loops, Panels};
use super::scratch::{OFFSET, offsets};
use super::tiling::{Along, Side, Tiling};
use crate::kernel::{Operand, Spread};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder, types};

impl Tiling {
    /// Whether a side is collected.
    pub fn spread(&self, side: Side) -> bool {
        match side {
            Side::Left => self.left_spread,
            Side::Right => self.right_spread,
        }
    }

    /// How many panels a side has.
    fn panels(&self, side: Side) -> usize {
        match side {
            Side::Left => self.m_panels,
            Side::Right => self.n_panels,
        }
    }

    /// Whether the tables of a side are of all steps, and of all rows or columns.
    fn whole_tables(&self, side: Side) -> bool {
        self.steps_and_panels(side).iter().sum::<usize>() <= self.short_table
    }

    /// Steps of all blocks, rows or columns of all panels.
    fn steps_and_panels(&self, side: Side) -> [usize; 2] {
        [self.blocks * self.kc, self.panels(side) * self.widths(side).0]
    }

    /// How long the tables of a side are: of steps, and of rows or columns.
    pub fn entries(&self, side: Side) -> [usize; 2] {
        match side {
            _ if self.whole_tables(side) => self.steps_and_panels(side),
            Side::Left => [self.kc, self.left_block * self.mr],
            Side::Right => [self.kc, self.right_block * self.nr],
        }
    }

    /// Bytes from the offset of a lane to the length of its run.
    fn runs_at(&self, side: Side, along: Along) -> usize {
        let [steps, across] = self.entries(side);
        offsets(if along == Along::Depth { steps } else { across })
    }

    /// The functions that collect panels of a side.
    pub fn collects(&self, side: Side, along: Along) -> Vec<Part> {
        if !self.masked() {
            return Vec::new();
        }
        let (_, edge) = self.widths(side);
        let some = [self.has_full(side).then_some(false), (edge > 0).then_some(true)];
        let of = |last| Part::Collect(self.collect(side, along, last));
        let mut parts: Vec<Part> = some.into_iter().flatten().map(of).collect();
        parts.dedup();
        parts
    }

    /// What collects a panel of a side, one of the last or any other.
    fn collect(&self, side: Side, along: Along, last: bool) -> Collect {
        let (full, edge) = self.widths(side);
        let elements = match along {
            Along::Depth if side == Side::Right => self.turned_steps(),
            Along::Depth => self.kc,
            Along::Across if side == Side::Left && last => edge,
            Along::Across => full,
        };
        Collect {
            isa: self.isa,
            size: self.size,
            row_bytes: (elements * self.size) as i64,
            runs_at: self.runs_at(side, along) as i64,
        }
    }
}

/// Offsets in bytes, as many as there are.
#[derive(Clone, Copy)]
struct Offsets {
    table: ir::Value,
    count: ir::Value,
}

/// The tables of a side: of the steps of a block of depth, and of the rows or columns of panels.
#[derive(Clone, Copy)]
pub struct Tables {
    side: Side,
    along: Along,
    /// The element that offsets count from.
    start: ir::Value,
    steps: Offsets,
    /// Of the panels from `first` on.
    across: ir::Value,
    first: ir::Value,
}

/// What a call collects: lanes of rows.
#[derive(Clone, Copy)]
struct Piece {
    start: ir::Value,
    lanes: Offsets,
    rows: Offsets,
    to: ir::Value,
}

impl Loops<'_> {
    /// Writes the tables that serve all batches, for these panels of either side.
    pub fn open_tables(&self, e: &mut Emitter, panels: [Panels; 2]) {
        for (side, panels) in [Side::Left, Side::Right].into_iter().zip(panels) {
            if self.product.k > 0 && self.t.spread(side) && self.t.whole_tables(side) {
                let (from, count) = (e.int(0), e.int(self.product.k as i64));
                let depth = Depth { from, count, number: from };
                let [steps, across] = self.table_places(e, side);
                let (width, _) = self.t.widths(side);
                let across = e.walk(across, &[width as i64], &[panels.from], OFFSET as i64);
                self.write_tables(e, side, [steps, across], panels, depth);
            }
        }
    }

    /// The tables of a side that is spread and starts there, for these panels.
    pub fn tables(
        &self,
        e: &mut Emitter,
        side: Side,
        start: ir::Value,
        panels: Panels,
        depth: Depth,
    ) -> Tables {
        let [table, across] = self.table_places(e, side);
        let along = self.along(side);
        if self.t.whole_tables(side) {
            let table = e.walk(table, &[1], &[depth.from], OFFSET as i64);
            let steps = Offsets { table, count: depth.count };
            return Tables { side, along, start, steps, across, first: e.int(0) };
        }
        self.write_tables(e, side, [table, across], panels, depth);
        let steps = Offsets { table, count: depth.count };
        Tables { side, along, start, steps, across, first: panels.from }
    }

    fn along(&self, side: Side) -> Along {
        let along = if side == Side::Left { self.t.left_made } else { self.t.right_made };
        along.expect("what is spread is collected along an axis")
    }

    /// Where the tables of a side begin: of steps, and of rows or columns.
    fn table_places(&self, e: &mut Emitter, side: Side) -> [ir::Value; 2] {
        let steps = self.scratch.tables_at[side as usize];
        let across = steps + 2 * offsets(self.t.entries(side)[0]);
        [steps, across].map(|at| e.b.ins().iadd_imm_s(e.scratch, at as i64))
    }

    /// Writes the tables of a side for these steps and panels.
    fn write_tables(
        &self,
        e: &mut Emitter,
        side: Side,
        [table, across]: [ir::Value; 2],
        panels: Panels,
        depth: Depth,
    ) {
        let (operand, all) = match side {
            Side::Left => (&self.product.left, self.product.m),
            Side::Right => (&self.product.right, self.product.n),
        };
        let Operand::Spread(Spread { access, axes, .. }) = operand else {
            unreachable!("this side is spread")
        };
        let strides = &access.strides[self.product.batch.len()..];
        let (first, second) = strides.split_at(axes[0].len());
        let [first, second] = [(&axes[0][..], first), (&axes[1][..], second)];
        let (rows_or_columns, steps) = match side {
            Side::Left => (first, second),
            Side::Right => (second, first),
        };
        self.write_table(e, steps, (depth.from, depth.count), table);
        let steps = Offsets { table, count: depth.count };
        let (width, _) = self.t.widths(side);
        let from = e.b.ins().imul_imm_s(panels.from, width as i64);
        let to = e.b.ins().imul_imm_s(panels.to, width as i64);
        let all = e.int(all as i64);
        let to = e.b.ins().smin(to, all);
        let count = e.b.ins().isub(to, from);
        self.write_table(e, rows_or_columns, (from, count), across);
        if self.t.masked() {
            let along = self.along(side);
            let across = Offsets { table: across, count };
            let lanes = if along == Along::Depth { steps } else { across };
            self.write_runs(e, lanes, self.t.runs_at(side, along));
        }
    }

    /// Writes the offsets of `count` positions from `from` on, where the axis consists of these:
    /// an odometer.
    fn write_table(
        &self,
        e: &mut Emitter,
        (extents, strides): (&[usize], &[i64]),
        (from, count): (ir::Value, ir::Value),
        table: ir::Value,
    ) {
        let size = self.t.size as i64;
        let mut rest = from;
        let mut state = vec![table, e.int(0)];
        for (&extent, &stride) in extents.iter().zip(strides).rev() {
            let digit = e.b.ins().urem_imm_u(rest, extent as i64);
            rest = e.b.ins().udiv_imm_u(rest, extent as i64);
            let bytes = e.b.ins().imul_imm_s(digit, stride * size);
            state[1] = e.b.ins().iadd(state[1], bytes);
            state.push(digit);
        }
        let range = Range { start: e.int(0), end: count, step: 1, nonempty: true };
        e.count(range, &state, |e, _, state| {
            let &[to, offset, ref digits @ ..] = state else { unreachable!("at least these") };
            e.b.ins().store(plain(), offset, to, 0);
            let to = e.b.ins().iadd_imm_s(to, OFFSET as i64);
            let zero = e.int(0);
            let (mut carry, mut offset) = (e.int(1), offset);
            let mut next = Vec::with_capacity(state.len());
            for ((&digit, &extent), &stride) in
                digits.iter().zip(extents.iter().rev()).zip(strides.iter().rev())
            {
                // A digit that comes to its end starts again, and the next one moves.
                let moved = e.b.ins().iadd(digit, carry);
                let step = e.b.ins().imul_imm_s(carry, stride * size);
                offset = e.b.ins().iadd(offset, step);
                let ends = e.b.ins().icmp_imm_s(IntCC::Equal, moved, extent as i64);
                let back = e.b.ins().iadd_imm_s(offset, -(stride * size * extent as i64));
                offset = e.b.ins().select(ends, back, offset);
                next.push(e.b.ins().select(ends, zero, moved));
                carry = e.b.ins().uextend(types::I64, ends);
            }
            [to, offset].into_iter().chain(next).collect()
        });
    }

    /// Writes how many lanes from each on lie side by side, from the last one on.
    fn write_runs(&self, e: &mut Emitter, lanes: Offsets, runs_at: usize) {
        let size = self.t.size as i64;
        let end = e.walk(lanes.table, &[1], &[lanes.count], OFFSET as i64);
        let range = Range { start: e.int(0), end: lanes.count, step: 1, nonempty: true };
        let zero = e.int(0);
        e.count(range, &[end, zero, zero], |e, _, state| {
            let &[after, run, next] = state else { unreachable!("as many") };
            let at = e.b.ins().iadd_imm_s(after, -(OFFSET as i64));
            let offset = e.b.ins().load(types::I64, plain(), at, 0);
            let beside = e.b.ins().iadd_imm_s(offset, size);
            let beside = e.b.ins().icmp(IntCC::Equal, beside, next);
            let run = e.b.ins().select(beside, run, zero);
            let run = e.b.ins().iadd_imm_s(run, 1);
            let runs_at = i32::try_from(runs_at).expect("a table of a block");
            e.b.ins().store(plain(), run, at, runs_at);
            vec![at, run, offset]
        });
    }

    /// Collects the elements of a panel, of those that the tables are of, where it is packed.
    pub fn collect(&self, e: &mut Emitter, of: &Tables, panel: ir::Value, to: ir::Value) {
        let &Tables { side, along, start, steps, across, first } = of;
        let panels = self.t.panels(side);
        let (width, edge) = self.t.widths(side);
        let before = e.b.ins().isub(panel, first);
        let before = e.b.ins().imul_imm_s(before, (OFFSET * width) as i64);
        let table = e.b.ins().iadd(across, before);
        let across = Offsets { table, count: self.extent(e, panel, panels, (width, edge)) };
        let (lanes, rows) = if along == Along::Depth { (steps, across) } else { (across, steps) };
        let piece = Piece { start, lanes, rows, to };
        self.full_or_edge(e, panel, panels, edge, |e, last| match (side, along) {
            (Side::Right, Along::Depth) => self.collect_turned(e, last, piece),
            _ => self.call_collect(e, self.t.collect(side, along, last), piece),
        });
    }

    /// Collects some steps of all columns side by side, turns them over, and goes on: what waits
    /// to be turned stays in the first-level cache.
    fn collect_turned(&self, e: &mut Emitter, last: bool, piece: Piece) {
        let Piece { lanes: Offsets { table, count: depth }, to, .. } = piece;
        let collect = self.t.collect(Side::Right, Along::Depth, last);
        let side_by_side = e.b.ins().iadd_imm_s(e.scratch, self.scratch.rows_at as i64);
        let some = self.t.turned_steps();
        let some_bytes = (some * self.t.nr * self.t.size) as i64;
        let range = Range { start: e.int(0), end: depth, step: some as i64, nonempty: true };
        e.count(range, &[table, to], |e, done, at| {
            let (table, to) = (at[0], at[1]);
            let left = e.b.ins().isub(depth, done);
            let most = e.int(some as i64);
            let count = e.b.ins().smin(left, most);
            let lanes = Offsets { table, count };
            self.call_collect(e, collect, Piece { lanes, to: side_by_side, ..piece });
            let depth = Depth { from: done, count, number: done };
            self.copy_right(e, side_by_side, (1, some as i64), depth, to, last);
            let table = e.b.ins().iadd_imm_s(table, (OFFSET * some) as i64);
            vec![table, e.b.ins().iadd_imm_s(to, some_bytes)]
        });
    }

    fn call_collect(&self, e: &mut Emitter, collect: Collect, piece: Piece) {
        let Piece { start, lanes, rows, to } = piece;
        let this = |&&(part, _): &&(Part, _)| part == Part::Collect(collect);
        if let Some(&(_, function)) = self.parts.iter().find(this) {
            let arguments = [start, lanes.table, lanes.count, rows.table, rows.count, to];
            e.b.ins().call(function, &arguments);
            return;
        }
        let Collect { size, row_bytes, .. } = collect;
        let ty = if size == 8 { types::I64 } else { types::I32 };
        let all = |e: &mut Emitter, of: Offsets| Range {
            start: e.int(0),
            end: of.count,
            step: 1,
            nonempty: true,
        };
        let range = all(e, rows);
        e.count(range, &[rows.table, to], |e, _, at| {
            let (row, to) = (at[0], at[1]);
            let offset = e.b.ins().load(types::I64, plain(), row, 0);
            let from = e.b.ins().iadd(start, offset);
            let range = all(e, lanes);
            e.count(range, &[lanes.table, to], |e, _, at| {
                let (lane, to) = (at[0], at[1]);
                let offset = e.b.ins().load(types::I64, plain(), lane, 0);
                let from = e.b.ins().iadd(from, offset);
                let x = e.b.ins().load(ty, invariant(), from, 0);
                e.b.ins().store(plain(), x, to, 0);
                let lane = e.b.ins().iadd_imm_s(lane, OFFSET as i64);
                vec![lane, e.b.ins().iadd_imm_s(to, size as i64)]
            });
            let row = e.b.ins().iadd_imm_s(row, OFFSET as i64);
            vec![row, e.b.ins().iadd_imm_s(to, row_bytes)]
        });
    }
}
