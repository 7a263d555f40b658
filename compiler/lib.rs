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
//! A program that only embeds the library leaves out what the command needs:
//! `tensc = { path = "…", default-features = false }`.
//!
//! In a loop, a result that is given back lends its memory to the next one, and a tensor of a
//! struct is an argument of its own ([`Function::parameters`] names them in order):
//!
//! ```
//! use tensc::{Argument, Module, Session, Tensor, TensorView};
//!
//! let module = Module::from_source("fit.tx", "
//!     struct Line { w: f32[2], b: f32 }
//!
//!     fn loss[N](p: Line, x: f32[N, 2], y: f32[N]) -> f32 = mean(square(x @ p.w + p.b - y))
//!
//!     fn step[N](p: Line, x: f32[N, 2], y: f32[N]) -> Line = p - 0.1 * grad(loss)(p, x, y)
//! ")?;
//! let session = Session::default();
//! let step = module.function("step").expect("it is there");
//! let names: Vec<String> = step.parameters().into_iter().map(|(name, _)| name).collect();
//! assert_eq!(names, ["p.w", "p.b", "x", "y"]);
//! let (x, y) = ([1.0f32, 0.0, 0.0, 1.0, 1.0, 1.0], [2.5f32, -2.5, -0.5]);
//! let (x, y) = (TensorView::new(&x, [3, 2]), TensorView::new(&y, [3]));
//! let (mut w, mut b) = (Tensor::from_slice(&[0.0f32, 0.0], [2]), Tensor::scalar(0.0f32));
//! let compiled = step.compile(&session, &[w.view(), b.view(), x.clone(), y.clone()])?;
//! for _ in 0..1000 {
//!     let (x, y) = (Argument::Borrowed(x.clone()), Argument::Borrowed(y.clone()));
//!     let arguments = vec![Argument::Owned(w), Argument::Owned(b), x, y];
//!     let mut results = compiled.call(session.pool(), arguments)?.into_iter();
//!     (w, b) = (results.next().expect("p.w"), results.next().expect("p.b"));
//! }
//! assert!((w.as_slice::<f32>()[0] - 2.0).abs() < 1e-3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! An index out of range ends such a step after it may have written over `w` and `b`: what was
//! given away is lost then. [`Compiled::call_reusing`] shows a loop that keeps its state.
//!
//! A call that fails says why, and where in the source:
//!
//! ```
//! use tensc::{Module, Session, TensorView};
//!
//! let module = Module::from_source("pick.tx", "fn pick[N](x: f32[N], i: i64) -> f32 = x[i]")?;
//! let pick = module.function("pick").expect("it is there");
//! let arguments = [TensorView::new(&[1.0f32, 2.0], [2]), TensorView::new(&[7i64], [])];
//! let error = pick.call(&Session::default(), &arguments).unwrap_err();
//! assert_eq!(error.to_string(), "index 7 is out of range for an axis of size 2");
//! assert!(module.call_failure(&error).to_string().contains("pick.tx:1:"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A call for sizes that are new compiles; [`Session::on_compile`] tells when and why,
//! [`Options::capacity`] bounds how much is kept.
//!
//! A graph prints as text that parses back, before ([`Function::typed`]) and after rewriting, which
//! a snapshot test can hold:
//!
//! ```
//! use tensc::{Module, rewrite};
//!
//! let module = Module::from_source("twice.tx", "fn twice(x: f32[4]) -> f32[4] = (x + x) * 1.0")?;
//! let twice = module.function("twice").expect("it is there");
//! let options = rewrite::Options { fuse: false, ..rewrite::Options::default() };
//! let (optimised, _) = rewrite::optimise(&twice.typed().graph, &options);
//! let text = "%0: f32[4] = input \"x\"\n%1: f32[4] = add(%0, %0)\noutput \"result\" = %1\n";
//! assert_eq!(optimised.to_string(), text);
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
pub use session::{Argument, Backend, CallError, Compilation, Compiled, Options, Session};
pub use tensc_runtime::dtype::{BF16, F16};
pub use tensc_runtime::{DType, Element, Key, Pool, Scalar, Shape, Tensor, TensorView};
pub use tensc_runtime::{DataError, Loaded, load, load_members, save, save_named, with_element};
