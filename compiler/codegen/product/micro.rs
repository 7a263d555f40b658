//! The micro-kernel: a tile of C in registers, over a block of depth.

use super::super::lanes::{invariant, plain};
use super::tiling::Tiling;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, BlockArg, InstBuilder, types};
use cranelift_frontend::FunctionBuilder;

/// What a micro-kernel is made for: equal keys, equal code.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Key {
    /// Rows of the tile.
    pub rows: usize,
    /// Vectors of a row.
    pub vectors: usize,
    /// Bytes of an element: 4 or 8.
    pub size: usize,
    /// Bytes from row to row of A, and from step to step of depth.
    pub row_bytes: i64,
    pub step_bytes: i64,
}

impl Key {
    /// The micro-kernel of a tiling for tiles of `rows` rows; A has these strides if not packed.
    pub fn of(tiling: &Tiling, rows: usize, (row, column): (i64, i64)) -> Key {
        let size = tiling.size as i64;
        let (row, column) = if tiling.pack_left { (1, rows as i64) } else { (row, column) };
        Key {
            rows,
            vectors: tiling.vectors(),
            size: tiling.size,
            row_bytes: row * size,
            step_bytes: column * size,
        }
    }

    /// For dumps.
    pub fn name(&self) -> String {
        let columns = self.vectors * 16 / self.size;
        format!("micro_f{}_{}x{columns}", 8 * self.size, self.rows)
    }
}

/// The parameters: A, B, bytes from row to row of B, depth, tile to start from (or null), where
/// to store the tile, bytes from row to row there.
pub const PARAMS: [ir::Type; 7] = [types::I64; 7];

/// Emits the function. One step of depth an iteration: Cranelift places each multiply-add where its
/// result is wanted, and over several steps that would keep too many rows of B alive.
pub fn emit(mut b: FunctionBuilder, key: Key, has_fma: bool) -> FunctionBuilder {
    let entry = b.create_block();
    b.append_block_params_for_function_params(entry);
    b.switch_to_block(entry);
    let &[left, right, right_bytes, depth, start, out, out_bytes] = b.block_params(entry) else {
        unreachable!("the signature has seven parameters");
    };
    let vector = if key.size == 8 { types::F64X2 } else { types::F32X4 };
    let element = vector.lane_type();
    let count = key.rows * key.vectors;

    // The accumulators: zeros, or the sums of the blocks before.
    let (load, ready) = (b.create_block(), b.create_block());
    let zero = {
        let bytes = b.func.dfg.constants.insert(vec![0u8; 16].into());
        b.ins().vconst(vector, bytes)
    };
    for _ in 0..count {
        b.append_block_param(ready, vector);
    }
    let zeros = vec![BlockArg::from(zero); count];
    b.ins().brif(start, load, &[], ready, &zeros);
    b.switch_to_block(load);
    let before: Vec<BlockArg> =
        (0..count).map(|i| b.ins().load(vector, plain(), start, 16 * i as i32).into()).collect();
    b.ins().jump(ready, &before);

    b.switch_to_block(ready);
    let accumulators = b.block_params(ready).to_vec();
    let (step, done) = (b.create_block(), b.create_block());
    for block in [step, done] {
        if block == step {
            for _ in 0..3 {
                b.append_block_param(step, types::I64);
            }
        }
        for _ in 0..count {
            b.append_block_param(block, vector);
        }
    }
    let args = |first: &[ir::Value], rest: &[ir::Value]| -> Vec<BlockArg> {
        first.iter().chain(rest).map(|&x| x.into()).collect()
    };
    let enter = args(&[left, right, depth], &accumulators);
    let leave = args(&[], &accumulators);
    b.ins().brif(depth, step, &enter, done, &leave);

    b.switch_to_block(step);
    let params = b.block_params(step).to_vec();
    let (&[left, right, left_to_do], sums) = params.split_at(3) else {
        unreachable!("three scalars come first");
    };
    let row: Vec<ir::Value> =
        (0..key.vectors).map(|v| b.ins().load(vector, invariant(), right, 16 * v as i32)).collect();
    let mut next = Vec::with_capacity(count);
    for r in 0..key.rows {
        let offset = i32::try_from(key.row_bytes * r as i64).expect("the tiling checked the reach");
        let x = b.ins().load(element, invariant(), left, offset);
        let x = b.ins().splat(vector, x);
        for (v, &y) in row.iter().enumerate() {
            let sum = sums[r * key.vectors + v];
            next.push(if has_fma {
                b.ins().fma(x, y, sum)
            } else {
                let product = b.ins().fmul(x, y);
                b.ins().fadd(sum, product)
            });
        }
    }
    let left = b.ins().iadd_imm_s(left, key.step_bytes);
    let right = b.ins().iadd(right, right_bytes);
    let left_to_do = b.ins().iadd_imm_s(left_to_do, -1);
    let again = args(&[left, right, left_to_do], &next);
    let leave = args(&[], &next);
    let more = b.ins().icmp_imm_s(IntCC::NotEqual, left_to_do, 0);
    b.ins().brif(more, step, &again, done, &leave);

    b.switch_to_block(done);
    let sums = b.block_params(done).to_vec();
    let mut to = out;
    for row in sums.chunks(key.vectors) {
        for (v, &sum) in row.iter().enumerate() {
            b.ins().store(plain(), sum, to, 16 * v as i32);
        }
        to = b.ins().iadd(to, out_bytes);
    }
    b.ins().return_(&[]);
    b.seal_all_blocks();
    b
}
