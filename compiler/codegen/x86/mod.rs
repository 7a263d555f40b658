//! Wide vectors on x86: machine code for the nests whose bodies are worth it.
//!
//! `asm` writes instructions, from `table`. Code made here follows the System V convention of C,
//! whatever the host, and lies in the same module as Cranelift's.
//!
//! Neighbours: `module` takes the bytes; `vector` and `kernel` say what is emitted.

pub(super) mod asm;
pub(super) mod product;
mod product_vectors;
pub(super) mod table;
