//! Compiled programs against the reference executor of kernels, between guard pages, on one thread
//! and on several.

#![allow(unsafe_code, reason = "runs machine code, and checks the memory around its buffers")]

mod columns;
mod follow;
mod insts;
mod nests;
mod overlap;
mod products;
mod programs;
mod shapes;
mod spread;
mod support;
