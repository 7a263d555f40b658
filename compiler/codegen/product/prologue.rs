//! Prologues of products: elements of an operand made in the panel that they are packed in.
//!
//! Neighbours: `loops` calls this where it would copy a panel; `over_tile` has the nests.

use super::super::body::SlotAt;
use super::super::emit::Emitter;
use super::super::lanes::plain;
use super::Part;
use super::loops::{Depth, Loops};
use super::tiling::{Along, Side, strides};
use crate::kernel::Access;
use cranelift_codegen::ir::{self, InstBuilder};

impl Loops<'_> {
    /// Makes the elements of a panel where it is packed.
    pub fn make(
        &self,
        e: &mut Emitter,
        side: Side,
        slots: &[SlotAt],
        panel: ir::Value,
        depth: Depth,
        to: ir::Value,
    ) {
        let (operand, along, panels) = match side {
            Side::Left => (&self.product.left, self.t.left_made, self.t.m_panels),
            Side::Right => (&self.product.right, self.t.right_made, self.t.n_panels),
        };
        let (width, edge) = self.t.widths(side);
        let across = e.b.ins().imul_imm_s(panel, width as i64);
        match along.expect("the elements of this side are made") {
            Along::Across => {
                let table = self.table(e, operand.accesses(), slots, [depth.from, across]);
                self.full_or_edge(e, panel, panels, edge, |e, last| {
                    self.call_make(e, side, last, [table, depth.count, to]);
                });
            }
            Along::Depth => {
                let table = self.table(e, operand.accesses(), slots, [across, depth.from]);
                let rows = self.extent(e, panel, panels, (width, edge));
                let (_, edge_depth) = self.t.depths();
                let place = match side {
                    Side::Left => to,
                    Side::Right => e.b.ins().iadd_imm_s(e.scratch, self.scratch.rows_at as i64),
                };
                self.full_or_edge(e, depth.number, self.t.blocks, edge_depth, |e, last| {
                    self.call_make(e, side, last, [table, rows, place]);
                });
                if side == Side::Right {
                    self.full_or_edge(e, panel, panels, edge, |e, last| {
                        self.copy_right(e, place, (1, self.t.kc as i64), depth, to, last);
                    });
                }
            }
        }
    }

    /// Calls the function of a prologue: a `KernelFn` whose tasks are rows of the panel, whose
    /// table has the first element of each slot, and whose scratch memory is the panel.
    fn call_make(
        &self,
        e: &mut Emitter,
        side: Side,
        last: bool,
        [table, rows, to]: [ir::Value; 3],
    ) {
        let this = |&&(part, _): &&(Part, _)| part == Part::Make(side, last);
        let (_, function) = self.parts.iter().find(this).expect("there is one for either");
        let (zero, fault) = (e.int(0), e.fault);
        e.b.ins().call(*function, &[table, zero, rows, to, fault]);
    }

    /// Writes the table of a body over a tile or a panel: the elements at these positions of the
    /// last two axes.
    pub fn table(
        &self,
        e: &mut Emitter,
        accesses: &[Access],
        slots: &[SlotAt],
        positions: [ir::Value; 2],
    ) -> ir::Value {
        let table = e.b.ins().iadd_imm_s(e.scratch, self.scratch.table_at as i64);
        for (i, start) in self.first_elements(e, accesses, slots, positions).into_iter().enumerate()
        {
            e.b.ins().store(plain(), start, table, 8 * i as i32);
        }
        table
    }

    /// The element of each slot at these positions of the last two axes.
    pub fn first_elements(
        &self,
        e: &mut Emitter,
        accesses: &[Access],
        slots: &[SlotAt],
        positions: [ir::Value; 2],
    ) -> Vec<ir::Value> {
        let first = |(access, slot): (&Access, &SlotAt)| {
            let (row, column) = strides(access);
            let size = e.size_of(access.buffer);
            e.walk(slot.pointer, &[row, column], &positions, size)
        };
        accesses.iter().zip(slots).map(first).collect()
    }
}
