//! Micro-kernels: a tile of C in registers, over a block of depth. Their keys, and those of
//! 128-bit vectors; `x86::product` has the wider ones.

use super::super::lanes::{invariant, plain};
use super::super::target::Isa;
use super::ahead::Ahead;
use super::tiling::Tiling;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, BlockArg, InstBuilder, Value, types};
use cranelift_frontend::FunctionBuilder;

/// What a micro-kernel is made for: equal keys, equal code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Key {
    /// The vectors it is emitted in.
    pub isa: Isa,
    /// Rows of the tile.
    pub rows: usize,
    /// Columns of the tile: with 128-bit vectors whole vectors, otherwise any.
    pub columns: usize,
    /// Bytes of an element: 4 or 8.
    pub size: usize,
    /// Bytes from row to row of A, and from step to step of depth.
    pub row_bytes: i64,
    pub step_bytes: i64,
    /// Whether the rows of B are copied to a packed panel as they are read.
    pub copies: bool,
    /// What is asked for of the next block of B, if no rows are copied.
    pub ahead: Option<Ahead>,
    /// Whether the tile's memory is asked for before the sums are made: it is C.
    pub prefetches: bool,
    /// Bytes from row to row of that panel.
    pub panel_bytes: i64,
}

/// Which tiles a micro-kernel is called for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Role {
    /// Those of the last rows, which are fewer.
    pub last_rows: bool,
    /// Those of the last columns, which are fewer.
    pub last_columns: bool,
    /// Those that pack a panel of B on the way.
    pub copies: bool,
}

impl Key {
    /// The micro-kernel of a tiling for one role; A has these strides if not packed.
    pub fn of(tiling: &Tiling, role: Role, strides: (i64, i64), ahead: Option<Ahead>) -> Key {
        let size = tiling.size as i64;
        let rows = if role.last_rows { tiling.m_edge } else { tiling.mr };
        let (row, column) = if tiling.pack_left { tiling.left_strides(rows) } else { strides };
        Key {
            isa: tiling.isa,
            rows,
            columns: if role.last_columns { tiling.n_edge } else { tiling.nr },
            size: tiling.size,
            row_bytes: row * size,
            step_bytes: column * size,
            copies: role.copies,
            ahead: ahead.filter(|_| !role.copies),
            prefetches: tiling.masked() && tiling.plain,
            panel_bytes: tiling.nr as i64 * size,
        }
    }

    /// For dumps.
    pub fn name(&self) -> String {
        let copies = if self.copies { "_packing" } else { "" };
        format!("micro_f{}_{}x{}{copies}", 8 * self.size, self.rows, self.columns)
    }

    fn vector(&self) -> ir::Type {
        if self.size == 8 { types::F64X2 } else { types::F32X4 }
    }

    fn vectors(&self) -> usize {
        self.columns * self.size / 16
    }

    fn accumulators(&self) -> usize {
        self.rows * self.vectors()
    }

    /// Steps of depth an iteration. Cranelift places each instruction where its result is wanted,
    /// so that several steps keep as many rows of B alive: one vector each may.
    fn unrolled(&self) -> usize {
        if self.vectors() == 1 { 2 } else { 1 }
    }
}

/// The parameters: A, B, bytes from row to row of B, depth, whether to add to the tile (or to
/// start from zeros), the tile in memory, bytes from row to row of it, where to copy B's rows or
/// what to ask for.
pub const PARAMS: [ir::Type; 8] = [types::I64; 8];

/// Emits the function. Each element is the chain of its multiply-adds in order of depth, fused
/// where that is an instruction.
pub fn emit(mut b: FunctionBuilder, key: Key, has_fma: bool) -> FunctionBuilder {
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let &[left, right, right_bytes, depth, adds, out, out_bytes, _] = b.block_params(entry) else {
        unreachable!("the signature has eight parameters");
    };
    let accumulators = zeros(&mut b, key);
    let before = State { left, right, depth, sums: accumulators };
    let micro = Micro { key, has_fma, right_bytes };
    let unrolled = key.unrolled() as i64;
    let after = micro.repeat(&mut b, before, unrolled, true);
    let after = if unrolled == 1 { after } else { micro.repeat(&mut b, after, 1, false) };
    let sums = add_tile(&mut b, key, &after.sums, (adds, out, out_bytes));
    let mut to = out;
    for row in sums.chunks(key.vectors()) {
        for (v, &sum) in row.iter().enumerate() {
            b.ins().store(plain(), sum, to, 16 * v as i32);
        }
        to = b.ins().iadd(to, out_bytes);
    }
    b.ins().return_(&[]);
    b.seal_all_blocks();
    b
}

/// The sums before the first step.
fn zeros(b: &mut FunctionBuilder, key: Key) -> Vec<Value> {
    let bytes = b.func.dfg.constants.insert(vec![0u8; 16].into());
    let zero = b.ins().vconst(key.vector(), bytes);
    vec![zero; key.accumulators()]
}

/// The sums, or with those of the blocks before added.
fn add_tile(
    b: &mut FunctionBuilder,
    key: Key,
    sums: &[Value],
    (adds, out, out_bytes): (Value, Value, Value),
) -> Vec<Value> {
    let (load, ready) = (b.create_block(), b.create_block());
    let arguments = |sums: &[Value]| -> Vec<BlockArg> { sums.iter().map(|&x| x.into()).collect() };
    let results: Vec<Value> =
        sums.iter().map(|_| b.append_block_param(ready, key.vector())).collect();
    b.ins().brif(adds, load, &[], ready, &arguments(sums));
    b.switch_to_block(load);
    let mut added = Vec::with_capacity(sums.len());
    let mut from = out;
    for row in sums.chunks(key.vectors()) {
        for (v, &sum) in row.iter().enumerate() {
            let before = b.ins().load(key.vector(), plain(), from, 16 * v as i32);
            added.push(b.ins().fadd(sum, before));
        }
        from = b.ins().iadd(from, out_bytes);
    }
    b.ins().jump(ready, &arguments(&added));
    b.switch_to_block(ready);
    results
}

/// What the loop over the depth carries.
struct State {
    left: Value,
    right: Value,
    /// Steps to do.
    depth: Value,
    sums: Vec<Value>,
}

impl State {
    fn arguments(&self) -> Vec<BlockArg> {
        let scalars = [self.left, self.right, self.depth];
        scalars.iter().chain(&self.sums).map(|&x| x.into()).collect()
    }

    fn params(b: &mut FunctionBuilder, block: ir::Block, key: Key) -> State {
        let mut scalar = || b.append_block_param(block, types::I64);
        let (left, right, depth) = (scalar(), scalar(), scalar());
        let sums =
            (0..key.accumulators()).map(|_| b.append_block_param(block, key.vector())).collect();
        State { left, right, depth, sums }
    }
}

struct Micro {
    key: Key,
    has_fma: bool,
    right_bytes: Value,
}

impl Micro {
    /// `steps` at a time while there are as many: in a loop, or at most once.
    ///
    /// The sums that an iteration makes are used once, as arguments of the jump back: what is
    /// used twice Cranelift joins with no load.
    fn repeat(&self, b: &mut FunctionBuilder, before: State, steps: i64, looping: bool) -> State {
        let (head, inside, after) = (b.create_block(), b.create_block(), b.create_block());
        let here = State::params(b, head, self.key);
        b.ins().jump(head, &before.arguments());
        b.switch_to_block(head);
        let enough = b.ins().icmp_imm_s(IntCC::SignedGreaterThanOrEqual, here.depth, steps);
        if looping {
            b.ins().brif(enough, inside, &[], after, &[]);
            b.switch_to_block(inside);
            let next = self.steps(b, &here, steps);
            b.ins().jump(head, &next.arguments());
            b.switch_to_block(after);
            return here;
        }
        let done = State::params(b, after, self.key);
        b.ins().brif(enough, inside, &[], after, &here.arguments());
        b.switch_to_block(inside);
        let next = self.steps(b, &here, steps);
        b.ins().jump(after, &next.arguments());
        b.switch_to_block(after);
        done
    }

    fn steps(&self, b: &mut FunctionBuilder, here: &State, steps: i64) -> State {
        let depth = b.ins().iadd_imm_s(here.depth, -steps);
        let left = b.ins().iadd_imm_s(here.left, steps * self.key.step_bytes);
        let (mut sums, mut right) = (here.sums.clone(), here.right);
        for step in 0..steps {
            sums = self.step(b, here.left, step * self.key.step_bytes, right, &sums);
            right = b.ins().iadd(right, self.right_bytes);
        }
        State { left, right, depth, sums }
    }

    /// One step of depth: every row's element of A with every vector of B's row.
    fn step(
        &self,
        b: &mut FunctionBuilder,
        left: Value,
        left_offset: i64,
        right: Value,
        sums: &[Value],
    ) -> Vec<Value> {
        let vector = self.key.vector();
        let row: Vec<Value> = (0..self.key.vectors())
            .map(|v| b.ins().load(vector, invariant(), right, 16 * v as i32))
            .collect();
        let mut next = Vec::with_capacity(sums.len());
        for r in 0..self.key.rows {
            let offset = self.key.row_bytes * r as i64 + left_offset;
            let offset = i32::try_from(offset).expect("the tiling checked the reach");
            let x = b.ins().load(vector.lane_type(), invariant(), left, offset);
            let x = b.ins().splat(vector, x);
            for (v, &y) in row.iter().enumerate() {
                let sum = sums[r * self.key.vectors() + v];
                next.push(if self.has_fma {
                    // The first factor is overwritten on x86: let it be the one used once.
                    b.ins().fma(x, y, sum)
                } else {
                    let product = b.ins().fmul(x, y);
                    b.ins().fadd(sum, product)
                });
            }
        }
        next
    }
}
