//! What compiled tensc code needs while it runs, and nothing that knows a graph: element types,
//! tensors, data files, keyed random numbers and a thread pool.
//!
//! Invariant: nothing here depends on the compiler, so a program that only reads data files or
//! holds tensors never pays for Cranelift.

pub mod dtype;
pub mod scalar;
pub mod tensor;

pub use dtype::{DType, Element};
pub use scalar::Scalar;
pub use tensor::{Shape, Tensor, TensorView};
