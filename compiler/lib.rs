//! tensc: a tensor-expression compiler with a JIT.

pub mod autodiff;
pub mod check;
pub mod codegen;
pub mod diag;
pub mod graph;
pub mod inspect;
pub mod kernel;
pub mod rewrite;
pub mod syntax;
pub mod vector;
