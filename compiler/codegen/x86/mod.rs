//! Wide vectors on x86: machine code for loop nests, in 256-bit or 512-bit vectors.
//!
//! `nest` writes the function of a nest, `overlap` rows beside each other, `stage`, `strip`,
//! `short` and `loops` what is in a row; `plan` decides what stays in registers, `stream` what goes
//! past the caches; `lower`, with `arith`, `convert`, `memory` and `fold`, makes machine
//! instructions on virtual registers from vector programs; `allocate` gives them registers, with
//! `scalar` and `frame` for what is not a vector; `asm` writes the bytes, by the rows of `table`.
//! `product` and its neighbours write the micro-kernels of products.
//!
//! Code made here follows the System V convention of C, and lies in the same module as
//! Cranelift's.
//!
//! Neighbours: `module` takes the bytes; `vector` and `kernel` say what is emitted; the portable
//! `codegen::nest` does the same for every nest, in 128-bit vectors.

mod allocate;
mod arith;
pub(super) mod asm;
mod convert;
mod fold;
mod frame;
mod loops;
mod lower;
mod machine;
mod memory;
mod nest;
mod order;
mod overlap;
mod plan;
pub(super) mod product;
pub(super) mod product_collect;
pub(super) mod product_pack;
mod product_vectors;
mod scalar;
mod short;
mod stage;
mod stream;
mod strip;
pub(super) mod table;

pub(super) use nest::{choose, emit, scratch, supports};
