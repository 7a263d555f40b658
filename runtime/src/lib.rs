//! What compiled tensc code needs while it runs, and nothing that knows a graph: element types,
//! tensors, data files, keyed random numbers, a thread pool and memory for temporaries.
//!
//! Invariant: nothing here depends on the compiler, so a program that only reads data files or
//! holds tensors never pays for Cranelift.

pub mod along;
pub mod arena;
pub mod atomic_file;
pub mod data;
pub mod dtype;
pub mod linear;
pub mod pool;
pub mod rng;
pub mod scalar;
pub mod tensor;

pub use arena::Arena;
#[cfg(unix)]
pub use arena::GuardedBuffer;
pub use atomic_file::write_atomically;
pub use data::{DataError, Loaded, load, load_members, save, save_named};
pub use dtype::{DType, Element};
pub use pool::Pool;
pub use rng::Key;
pub use scalar::Scalar;
pub use tensor::{Shape, Tensor, TensorView};
