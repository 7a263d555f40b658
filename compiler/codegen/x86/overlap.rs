//! Rows that overlap: the last stage of each beside the fold of the next.
//!
//! `kernel::fuse::overlap` makes the pass over two rows, and says when it may be. Around it here
//! are the first row, whose fold has nothing beside it, and the map of the last row. What the map
//! needs of its row, positions and row values, waits in cells of its own.
//!
//! Neighbours: `nest` has rows one after another; `stage` emits the pass as any other stage.

use super::asm::{Condition, Gpr};
use super::frame::frame;
use super::nest::{Nest, Row};
use super::short;
use super::stage::StageWriter;
use super::stream::{Fetch, Fetches};
use crate::codegen::target::Isa;
use crate::kernel::fuse::{access_of_row, overlap};
use crate::kernel::{self, Access, Program, Split, Stage};

/// How rows overlap.
pub(super) struct Overlap {
    /// The last stage of a row and the stage before it, of the next one.
    stage: Stage,
    fetches: Fetches,
}

/// In the frame: which row it is, the first one, and where they end.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub row: i32,
    pub begin: i32,
    pub end: i32,
}

impl Overlap {
    /// How the rows of a nest overlap, if they do; short rows stand together as they are.
    pub fn of(
        program: &Program,
        nest: &kernel::Nest,
        isa: Isa,
        fetches: &[Fetches],
    ) -> Option<Overlap> {
        let rows: usize = nest.outer.iter().product();
        if nest.split != Split::Rows || rows < 2 || short::rows(nest, isa).is_some() {
            return None;
        }
        let stage = overlap(program, nest)?;
        let [.., fold, map] = &nest.stages[..] else { return None };
        let [.., of_fold, of_map] = fetches else { return None };
        let outer = nest.outer.len();
        let slot_of = |access: &Access, at: usize| {
            let access = access_of_row(access, outer, at);
            stage.body.slots.iter().position(|other| *other == access)
        };
        let mut all = Fetches::new();
        // The row after this one is the second after that of the map.
        for (of_stage, body, at, more) in
            [(of_map, &map.body, 0, 1), (of_fold, &fold.body, outer, 0)]
        {
            for &Fetch { slot, row, rows } in of_stage {
                let slot = slot_of(&body.slots[slot as usize], at);
                let rows = rows + more;
                all.extend(slot.map(|slot| Fetch { slot: slot as u32, row, rows }));
            }
        }
        Some(Overlap { stage, fetches: all })
    }
}

impl<'n> Nest<'n> {
    /// The rows of a span; `positions` are those of the first.
    pub fn overlapping_rows(
        &mut self,
        nest: &'n kernel::Nest,
        overlap: &'n Overlap,
        positions: Vec<i32>,
        span: Span,
    ) {
        let (fold, map) = (nest.stages.len() - 2, nest.stages.len() - 1);
        let Span { row, begin, end } = span;
        let top = self.a.here();
        let mut here = Row { positions, values: Vec::new(), block: None };
        self.stages(nest, 0..fold, &mut here);
        let known = here.values.len();

        // The first row: its fold alone, which says how many row values there are.
        let (both, folded) = (self.a.label(), self.a.label());
        self.compare(row, begin);
        self.a.jump_if(Condition::NotEqual, both);
        self.stages(nest, fold..map, &mut here);
        let mut cells = |count: usize| (0..count).map(|_| self.frame.take(8)).collect::<Vec<_>>();
        let before = Row {
            positions: cells(here.positions.len()),
            values: cells(here.values.len()),
            block: None,
        };
        self.keep(&here.values[known..], &before.values[known..]);
        self.a.jump(folded);

        self.a.bind(both);
        let two =
            |of: fn(&Row) -> &[i32], count: usize| [of(&before), &of(&here)[..count]].concat();
        let mut rows = Row {
            positions: two(|row| &row.positions, here.positions.len()),
            values: two(|row| &row.values, known),
            block: None,
        };
        let yields = rows.values.len();
        let fetches = &overlap.fetches;
        StageWriter { nest: self, row: &mut rows, fetches }.stage(&overlap.stage);
        self.keep(&rows.values[yields..], &before.values[known..]);

        self.a.bind(folded);
        self.keep(&here.values[..known], &before.values);
        self.keep(&here.positions, &before.positions);
        self.count(nest, &here.positions, row);
        self.compare(row, end);
        self.a.jump_if(Condition::Less, top);
        let mut before = before;
        self.stages(nest, map..map + 1, &mut before);
    }

    /// Copies cells of the frame.
    fn keep(&mut self, from: &[i32], to: &[i32]) {
        for (&from, &to) in from.iter().zip(to) {
            self.a.load(Gpr::RAX, frame(from), 8);
            self.a.store(frame(to), Gpr::RAX, 8);
        }
    }
}
