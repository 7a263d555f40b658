//! Packing: panels of A and B copied so that a micro-kernel reads them in order.
//!
//! A packed panel holds, for each step of depth, its rows of A or its columns of B side by side.
//! A panel of B that is the matrix's last and smaller is filled up with zeros.

use super::super::emit::{Emitter, Range};
use super::super::lanes::{invariant, plain};
use cranelift_codegen::ir::{self, InstBuilder, types};

/// A panel to copy: `across` is the axis along which it is narrow.
#[derive(Clone, Copy)]
pub struct Panel {
    /// Its first element.
    pub from: ir::Value,
    /// Where to copy it.
    pub to: ir::Value,
    /// Steps of depth, at least one.
    pub depth: ir::Value,
    /// Bytes from element to element across, and from step to step.
    pub across_bytes: i64,
    pub step_bytes: i64,
    /// Elements across, and those that a step of the copy has.
    pub width: usize,
    pub padded: usize,
    /// Bytes of an element.
    pub size: usize,
}

/// Emits the copy.
pub fn emit(e: &mut Emitter, panel: &Panel) {
    if panel.across_bytes == panel.size as i64 {
        each_step(e, panel, copy_run);
    } else if panel.step_bytes == panel.size as i64 && panel.size == 4 {
        transpose(e, panel);
    } else {
        each_step(e, panel, copy_elements);
    }
}

/// Calls `copy` with the pointers of each step of depth, then pads.
fn each_step(e: &mut Emitter, panel: &Panel, copy: fn(&mut Emitter, &Panel, ir::Value, ir::Value)) {
    let range = Range { start: e.int(0), end: panel.depth, step: 1, nonempty: true };
    e.count(range, &[panel.from, panel.to], |e, _, pointers| {
        let (from, to) = (pointers[0], pointers[1]);
        copy(e, panel, from, to);
        pad(e, panel, to);
        let from = e.b.ins().iadd_imm_s(from, panel.step_bytes);
        let to = e.b.ins().iadd_imm_s(to, (panel.padded * panel.size) as i64);
        vec![from, to]
    });
}

/// Contiguous elements: as few loads as there can be.
fn copy_run(e: &mut Emitter, panel: &Panel, from: ir::Value, to: ir::Value) {
    let bytes = panel.width * panel.size;
    let mut done = 0;
    for (ty, step) in [(types::I8X16, 16), (types::I64, 8), (types::I32, 4)] {
        while bytes - done >= step {
            let x = e.b.ins().load(ty, invariant(), from, done as i32);
            e.b.ins().store(plain(), x, to, done as i32);
            done += step;
        }
    }
}

/// Elements apart, one by one.
fn copy_elements(e: &mut Emitter, panel: &Panel, from: ir::Value, to: ir::Value) {
    for i in 0..panel.width {
        let x = element(e, panel, from, i);
        e.b.ins().store(plain(), x, to, (i * panel.size) as i32);
    }
}

fn element(e: &mut Emitter, panel: &Panel, from: ir::Value, i: usize) -> ir::Value {
    let ty = if panel.size == 8 { types::F64 } else { types::F32 };
    let distance = panel.across_bytes * i as i64;
    match i32::try_from(distance) {
        Ok(offset) => e.b.ins().load(ty, invariant(), from, offset),
        Err(_) => {
            let at = e.b.ins().iadd_imm_s(from, distance);
            e.b.ins().load(ty, invariant(), at, 0)
        }
    }
}

fn pad(e: &mut Emitter, panel: &Panel, to: ir::Value) {
    let ty = if panel.size == 8 { types::F64 } else { types::F32 };
    for i in panel.width..panel.padded {
        let zero = e.group(1).bits_constant(ty, 0);
        e.b.ins().store(plain(), zero, to, (i * panel.size) as i32);
    }
}

/// Elements contiguous along the depth: four steps of four elements across at a time turned
/// over in registers, then the steps that are left one by one.
fn transpose(e: &mut Emitter, panel: &Panel) {
    let zero = e.int(0);
    let fours = e.b.ins().band_imm_s(panel.depth, -4);
    let range = Range { start: zero, end: fours, step: 4, nonempty: false };
    let step = (panel.padded * panel.size) as i64;
    let pointers = e.count(range, &[panel.from, panel.to], |e, _, pointers| {
        let (from, to) = (pointers[0], pointers[1]);
        let mut i = 0;
        while i < panel.width {
            if panel.width - i >= 4 {
                transpose_four(e, panel, from, to, i);
                i += 4;
                continue;
            }
            for s in 0..4 {
                let from = e.b.ins().iadd_imm_s(from, 4 * s);
                let x = element(e, panel, from, i);
                e.b.ins().store(plain(), x, to, (s * step) as i32 + 4 * i as i32);
            }
            i += 1;
        }
        for s in 0..4 {
            let to = e.b.ins().iadd_imm_s(to, s * step);
            pad(e, panel, to);
        }
        let from = e.b.ins().iadd_imm_s(from, 16);
        let to = e.b.ins().iadd_imm_s(to, 4 * step);
        vec![from, to]
    });
    let range = Range { start: fours, end: panel.depth, step: 1, nonempty: false };
    e.count(range, &pointers, |e, _, pointers| {
        let (from, to) = (pointers[0], pointers[1]);
        copy_elements(e, panel, from, to);
        pad(e, panel, to);
        let from = e.b.ins().iadd_imm_s(from, 4);
        let to = e.b.ins().iadd_imm_s(to, step);
        vec![from, to]
    });
}

fn transpose_four(e: &mut Emitter, panel: &Panel, from: ir::Value, to: ir::Value, i: usize) {
    let step = (panel.padded * panel.size) as i32;
    let mut rows = Vec::with_capacity(4);
    for j in i..i + 4 {
        let at = e.b.ins().iadd_imm_s(from, panel.across_bytes * j as i64);
        rows.push(e.b.ins().load(types::F32X4, invariant(), at, 0));
    }
    let mut g = e.group(4);
    let mut mix = |x, y, lanes| g.shuffle32(types::F32X4, x, y, lanes);
    let low = (mix(rows[0], rows[1], [0, 4, 1, 5]), mix(rows[2], rows[3], [0, 4, 1, 5]));
    let high = (mix(rows[0], rows[1], [2, 6, 3, 7]), mix(rows[2], rows[3], [2, 6, 3, 7]));
    let columns = [
        mix(low.0, low.1, [0, 1, 4, 5]),
        mix(low.0, low.1, [2, 3, 6, 7]),
        mix(high.0, high.1, [0, 1, 4, 5]),
        mix(high.0, high.1, [2, 3, 6, 7]),
    ];
    for (s, column) in columns.into_iter().enumerate() {
        e.b.ins().store(plain(), column, to, s as i32 * step + 4 * i as i32);
    }
}
