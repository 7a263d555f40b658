//! tensc: a tensor-expression compiler with a JIT.
//!
//! A source in the language `.tx` is checked once, over named sizes ([`Module`]); each of its
//! functions is compiled for the sizes it is called with, once, and called on borrowed slices
//! ([`Function::call`]); its `main` loads, trains, prints and saves ([`Module::run`]).
//!
//! ```
//! use tensc::{Module, Session, TensorView};
//!
//! let module = Module::from_source("demo.tx", "
//!     fn affine[N, M](w: f32[M, N], x: f32[N], b: f32[M]) -> f32[M] = relu(w @ x + b)
//! ")?;
//! let session = Session::default();
//! let affine = module.function("affine").expect("it is there");
//! let (w, x, b) = ([1.0f32, 2.0, 3.0, -4.0], [1.0f32, 1.0], [0.5f32, 0.0]);
//! let y = affine.call(&session, &[
//!     TensorView::new(&w, [2, 2]),
//!     TensorView::new(&x, [2]),
//!     TensorView::new(&b, [2]),
//! ])?;
//! assert_eq!(y[0].as_slice::<f32>(), [3.5, 0.0]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A mistake in a source is data, not text:
//!
//! ```
//! let failure = tensc::Module::from_source("bad.tx", "fn f(x: f32[2, 3]) -> f32[2, 2] = x @ x")
//!     .unwrap_err();
//! let diagnostic = failure.diagnostics.iter().next().expect("at least one");
//! assert_eq!(diagnostic.message, "`@` needs equal inner dimensions, found 3 and 2");
//! ```
//!
//! The stages, each a module with its invariant, are listed in `spec/architecture.md`.

pub mod autodiff;
pub mod check;
pub mod codegen;
pub mod diag;
pub mod graph;
pub mod inspect;
pub mod kernel;
pub mod module;
pub mod pipeline;
pub mod rewrite;
pub mod script;
pub mod session;
pub mod syntax;
pub mod vector;

pub use module::{Failure, Function, Module, RunOptions};
pub use session::{Backend, CallError, Options, Session};
pub use tensc_runtime::{DType, Scalar, Shape, Tensor, TensorView};
