//! Folds of C's columns: each tile's rows go into the results so far of its columns, when the
//! tile's epilogue makes them.
//!
//! Results so far are in scratch memory, one for each column and accumulator. The tile of the first
//! rows begins them, that of the last ones hands them to the fold's finish. A thread has all rows
//! of its columns, and takes them in order: so the kernel would by itself, and the bits are its
//! own. What nothing else reads is stored nowhere.
//!
//! Neighbours: `follow` says where it is allowed; `over_tile` has programs over tiles; `loops`
//! calls this for each complete tile.

use super::super::emit::Emitter;
use super::super::follow;
use super::super::lanes::plain;
use super::super::limits::Limits;
use super::loops::{Loops, Tile, when};
use super::over_tile::{Small, Written, walk};
use super::scratch::line;
use super::tiling::{Side, Tiling, strides};
use super::{Batch, Part};
use crate::kernel::column::same_element;
use crate::kernel::{Access, Body, BufferId, Fold, Nest, Product, Program, Split, Stage};
use crate::vector::reference::identity;
use crate::vector::{Accumulator, Binary, Combine, Inst, Param, Slot, Type, Value, verify};
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder};
use smallvec::smallvec;
use tensc_runtime::Scalar;

/// What folds the columns of C.
pub struct Columns {
    /// The product's own decisions: tasks divide columns.
    pub tiling: Tiling,
    /// What is folded at each element, and what becomes of the results.
    body: Body,
    finish: Body,
    folds: Vec<Folded>,
    /// What nothing else reads.
    passing: Vec<BufferId>,
    /// The table of the functions' buffers in the scratch memory, and the end of all.
    table_at: usize,
    bytes: usize,
}

/// An accumulator of the body.
struct Folded {
    op: Binary,
    /// The value that it takes in, and its type.
    value: Value,
    ty: Type,
    /// What it starts from.
    identity: Scalar,
    /// Where the elements of a tile are in the scratch memory, and the results so far of all
    /// columns.
    elements_at: usize,
    results_at: usize,
}

/// A function of the fold, called for a tile.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Begins the results of the tile's columns.
    Begin,
    /// The epilogue, then the fold of the tile's rows; of the last tile, which has fewer, or of
    /// any other.
    Rows { last: bool },
    /// The finish.
    End,
}

impl Columns {
    /// The fold right after the product at `at`, if there is one that may follow tile by tile. The
    /// product's tile is open unless it was `measured`.
    pub fn of(
        program: &Program,
        at: usize,
        product: &Product,
        tiling: &Tiling,
        measured: bool,
        limits: &Limits,
    ) -> Option<Columns> {
        let [body, finish] = follow::folds_after(program, at, limits.far_bytes)?;
        // What is folded does not go through memory first: it must have a type that it has there.
        let narrow = |access: &Access| {
            let dtype = program.buffers[access.buffer.0 as usize].dtype;
            Type::of(dtype).dtype() != dtype
        };
        if product.epilogue.stores().any(narrow) {
            return None;
        }
        let passing = follow::between(program, &program.kernels[at..=at + 1], |_, _| true);
        // Not to store C is worth another tile; not to read it is little.
        let passes = product.epilogue.stores().any(|store| passing.contains(&store.buffer));
        let open = !measured && passes;
        let tiling = tiling.by_columns(product, limits, open)?;
        let mut columns = Columns {
            table_at: line(tiling.scratch().bytes),
            bytes: 0,
            tiling,
            body: body.clone(),
            finish: finish.clone(),
            folds: Vec::new(),
            passing,
        };
        columns.lay_out(product);
        Some(columns)
    }

    /// Gives everything its place in the scratch memory.
    fn lay_out(&mut self, product: &Product) {
        let Columns { tiling, body, finish, .. } = self;
        let slots = [&product.epilogue, body, finish].map(|body| body.slots.len());
        let accumulators = &body.program.accumulators;
        let types = verify::types(&body.program).expect("a verified program");
        let mut end = self.table_at;
        let mut take = |bytes: usize| {
            let at = end;
            end += line(bytes);
            at
        };
        take(8 * (slots.iter().sum::<usize>() + 2 * accumulators.len()));
        for &Accumulator { combine, value, .. } in accumulators {
            let ty = types[value.0 as usize].expect("a value");
            let size = ty.dtype().size();
            self.folds.push(Folded {
                op: if combine == Combine::Mul { Binary::Mul } else { Binary::Add },
                value,
                ty,
                identity: identity(combine, ty).scalar(),
                elements_at: take(tiling.mr * tiling.nr * size),
                results_at: take(product.n * size),
            });
        }
        self.bytes = end;
    }

    /// What reads and writes beside the product.
    pub fn bodies(&self) -> [&Body; 2] {
        [&self.body, &self.finish]
    }

    /// Bytes of scratch memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The functions that are called.
    pub fn parts(&self) -> Vec<Part> {
        let t = &self.tiling;
        let panels = |side: Side| {
            let (_, edge) = t.widths(side);
            [(t.has_full(side), false), (edge > 0, true)].into_iter().filter(|(are, _)| *are)
        };
        let rows = panels(Side::Left).map(|(_, last)| Step::Rows { last });
        let steps: Vec<Step> = [Step::Begin, Step::End].into_iter().chain(rows).collect();
        let of = |(_, last)| steps.iter().map(move |&step| Part::Columns(step, last));
        panels(Side::Right).flat_map(of).collect()
    }

    /// A function as a nest over a tile, of the last columns or of any others. Its buffers, in the
    /// order of the table: the slots of the epilogue, of the body, of the finish, then the tile's
    /// elements and the results so far of each fold; and the tile in its scratch memory.
    pub fn nest(
        &self,
        program: &Program,
        product: &Product,
        step: Step,
        last: bool,
    ) -> (Program, Nest) {
        let t = &self.tiling;
        let lanes = if last { t.n_edge } else { t.nr };
        let mut small = Small::of(program);
        let [epilogue, body, finish] = [&product.epilogue, &self.body, &self.finish]
            .map(|body| small.take(program, &body.slots));
        let mut own = |name: &str, count: usize, row: i64| -> Vec<Access> {
            let of =
                |fold: &Folded| walk(small.add_own(name, fold.ty.dtype(), count), 0, &[row, 1]);
            self.folds.iter().map(of).collect()
        };
        let mut elements = own("elements", t.mr * t.nr, t.nr as i64);
        let results = own("results", lanes, 0);
        for (fold, element) in self.folds.iter().zip(&mut elements) {
            if let Some(slot) = self.kept(product, fold) {
                element.clone_from(&epilogue[slot]);
            }
        }
        let tile = small.add_tile(product, t);
        let once = |body: Body| Stage { reduce: smallvec![], lanes, body, fold: Fold::None };
        let stages = match step {
            Step::Begin => vec![once(self.begin(&results))],
            Step::Rows { last } => {
                let rows = if last { t.m_edge } else { t.mr };
                let made = self.elements(product, [epilogue, body], tile, &elements);
                let made = Stage { reduce: smallvec![rows], ..once(made) };
                vec![made, once(self.rows(rows, &elements, &results))]
            }
            Step::End => vec![once(self.end(&finish, &results))],
        };
        (small.0, Nest { outer: smallvec![], stages, split: Split::Never })
    }

    /// The slot of the epilogue that stores what is folded, as it is, for others to read too.
    fn kept(&self, product: &Product, fold: &Folded) -> Option<usize> {
        let Inst::Load(slot) = self.body.program.insts[fold.value.0 as usize] else { return None };
        let load = &self.body.slots[slot.0 as usize];
        let mut stores = product.epilogue.stores();
        let store = stores.rfind(|store| same_element(store, load))?;
        let slot = product.epilogue.slots.iter().position(|slot| std::ptr::eq(slot, store));
        slot.filter(|_| !self.passing.contains(&store.buffer))
    }

    fn begin(&self, results: &[Access]) -> Body {
        let mut body = Written::default();
        for (fold, result) in self.folds.iter().zip(results) {
            let slot = body.at(fold, result, 0);
            body.b.store(slot, body.b.konst(fold.identity));
        }
        body.finish()
    }

    /// Does the epilogue, and stores what is folded.
    fn elements(
        &self,
        product: &Product,
        [epilogue, body]: [Vec<Access>; 2],
        tile: Access,
        elements: &[Access],
    ) -> Body {
        // The epilogue yields what it stores, and the body takes it from there.
        let mut made = product.epilogue.program.clone();
        let mut stores = Vec::new();
        for inst in &mut made.insts {
            if let Inst::Store(slot, value) = *inst {
                let access = &product.epilogue.slots[slot.0 as usize];
                stores.push(access);
                made.yields.push(value);
                if self.passing.contains(&access.buffer) {
                    *inst = Inst::Const(Scalar::new(0f32));
                }
            }
        }
        let mut folded = self.body.program.clone();
        folded.accumulators.clear();
        folded.yields = self.folds.iter().map(|fold| fold.value).collect();
        for inst in &mut folded.insts {
            if let Inst::Load(slot) = *inst
                && let access = &self.body.slots[slot.0 as usize]
                && let Some(number) = stores.iter().rposition(|store| same_element(store, access))
            {
                *inst = Inst::Param(Param(number as u32));
            }
        }
        let mut written = Written::default();
        let sum = written.load(product.dtype, tile);
        let slots = written.slots(&made, epilogue);
        let made = written.b.inline(&made, &[sum], &slots);
        let slots = written.slots(&folded, body);
        let values = written.b.inline(&folded, &made, &slots);
        for ((fold, element), value) in self.folds.iter().zip(elements).zip(values) {
            if self.kept(product, fold).is_some() {
                continue;
            }
            let slot = written.slot(fold.ty.dtype(), element.clone());
            written.b.store(slot, value);
        }
        written.finish()
    }

    /// Takes in the elements, one row after another: a column's result stays in a register.
    fn rows(&self, rows: usize, elements: &[Access], results: &[Access]) -> Body {
        let mut body = Written::default();
        for ((fold, element), result) in self.folds.iter().zip(elements).zip(results) {
            let slot = body.at(fold, result, 0);
            let mut so_far = body.b.load(slot);
            for row in 0..rows as i64 {
                let element = body.at(fold, element, row);
                so_far = body.b.binary(fold.op, so_far, body.b.load(element));
            }
            body.b.store(slot, so_far);
        }
        body.finish()
    }

    fn end(&self, finish: &[Access], results: &[Access]) -> Body {
        let mut body = Written::default();
        let all = self.folds.iter().zip(results);
        let slots: Vec<Slot> = all.map(|(fold, result)| body.at(fold, result, 0)).collect();
        let results: Vec<Value> = slots.into_iter().map(|slot| body.b.load(slot)).collect();
        let slots =
            body.slots(&self.finish.program, finish.iter().map(|to| at_row(to, 0)).collect());
        body.b.inline(&self.finish.program, &results, &slots);
        body.finish()
    }
}

/// A walk over a tile at one of its rows.
fn at_row(access: &Access, row: i64) -> Access {
    let (across, along) = strides(access);
    walk(access.buffer, row * across, &[along])
}

impl Written {
    /// The slot of a fold's elements or results at a row.
    fn at(&mut self, fold: &Folded, access: &Access, row: i64) -> Slot {
        self.slot(fold.ty.dtype(), at_row(access, row))
    }
}

impl Loops<'_> {
    /// Runs the epilogue on a tile that is complete, and folds its rows.
    pub fn fold_columns(
        &self,
        e: &mut Emitter,
        batch: &Batch,
        tile: &Tile,
        columns: &Columns,
        scratch: ir::Value,
    ) {
        let Tile { row, column, .. } = *tile;
        let first_row = e.b.ins().imul_imm_s(row, self.t.mr as i64);
        let first_column = e.b.ins().imul_imm_s(column, self.t.nr as i64);
        let table = e.b.ins().iadd_imm_s(e.scratch, columns.table_at as i64);
        let zero = e.int(0);
        let mut entry = 0;
        let mut entries = |e: &mut Emitter, pointers: &[ir::Value]| {
            for &pointer in pointers {
                e.b.ins().store(plain(), pointer, table, 8 * entry);
                entry += 1;
            }
        };
        let positions = [first_row, first_column];
        let pointers =
            self.first_elements(e, &self.product.epilogue.slots, &batch.slots, positions);
        entries(e, &pointers);
        for (body, row) in [(&columns.body, first_row), (&columns.finish, zero)] {
            let slots = e.slots(body, &[]);
            let pointers = self.first_elements(e, &body.slots, &slots, [row, first_column]);
            entries(e, &pointers);
        }
        for fold in &columns.folds {
            let elements = e.b.ins().iadd_imm_s(e.scratch, fold.elements_at as i64);
            entries(e, &[elements]);
        }
        for fold in &columns.folds {
            let start = e.b.ins().iadd_imm_s(e.scratch, fold.results_at as i64);
            let size = fold.ty.dtype().size() as i64;
            let result = e.walk(start, &[1], &[first_column], size);
            entries(e, &[result]);
        }
        let begins = e.b.ins().icmp_imm_s(IntCC::Equal, row, 0);
        when(e, begins, |e| self.call_step(e, tile, |_| Step::Begin, [table, scratch]));
        self.call_step(e, tile, |last| Step::Rows { last }, [table, scratch]);
        let ends = e.b.ins().icmp_imm_s(IntCC::Equal, row, self.t.m_panels as i64 - 1);
        when(e, ends, |e| self.call_step(e, tile, |_| Step::End, [table, scratch]));
    }

    /// Calls the function of a step, which depends on whether the tile's rows are the last: a
    /// `KernelFn` whose scratch memory is the tile.
    fn call_step(
        &self,
        e: &mut Emitter,
        tile: &Tile,
        step: impl Fn(bool) -> Step,
        [table, scratch]: [ir::Value; 2],
    ) {
        let t = self.t;
        let call = |e: &mut Emitter, step: Step| {
            self.full_or_edge(e, tile.column, t.n_panels, t.n_edge, |e, last| {
                let this = |&&(part, _): &&(Part, _)| part == Part::Columns(step, last);
                let (_, function) = self.parts.iter().find(this).expect("each has its part");
                let (zero, fault) = (e.int(0), e.fault);
                e.b.ins().call(*function, &[table, zero, zero, scratch, fault]);
            });
        };
        if step(false) == step(true) {
            return call(e, step(false));
        }
        self.full_or_edge(e, tile.row, t.m_panels, t.m_edge, |e, last| call(e, step(last)));
    }
}
