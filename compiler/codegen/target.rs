//! What code is made for, and how much is said about it.

use super::product::Tiles;
use std::sync::Arc;

/// The vectors that innermost loops are emitted in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Isa {
    /// 128-bit vectors by Cranelift: on every host, and the second opinion in tests.
    Portable,
    /// 256-bit vectors of x86, with FMA and F16C.
    Avx2,
    /// 512-bit vectors of x86, with masks: AVX-512 F, BW, DQ and VL.
    Avx512,
}

impl Isa {
    /// Every instruction set, in order of width.
    pub const ALL: [Isa; 3] = [Isa::Portable, Isa::Avx2, Isa::Avx512];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        }
    }

    /// The instruction set of that name.
    pub fn from_name(name: &str) -> Option<Isa> {
        Isa::ALL.into_iter().find(|isa| isa.name() == name)
    }

    /// Whether this machine, and its operating system, have it.
    pub fn is_available(self) -> bool {
        match self {
            Isa::Portable => true,
            Isa::Avx2 => host_has_avx2(),
            Isa::Avx512 => host_has_avx512(),
        }
    }

    /// Those that this machine has, in order of width.
    pub fn available() -> impl Iterator<Item = Isa> {
        Isa::ALL.into_iter().filter(|isa| isa.is_available())
    }

    /// The widest that this machine has.
    pub fn widest() -> Isa {
        Isa::available().last().expect("the portable one is everywhere")
    }
}

impl Default for Isa {
    /// The widest that this machine has.
    fn default() -> Isa {
        Isa::widest()
    }
}

// Code for these follows the System V convention, see `x86`.
// The macro asks CPUID once, and XGETBV whether the system saves the registers.
#[cfg(all(target_arch = "x86_64", unix))]
fn host_has_avx2() -> bool {
    std::is_x86_feature_detected!("avx2")
        && std::is_x86_feature_detected!("fma")
        && std::is_x86_feature_detected!("f16c")
}

#[cfg(all(target_arch = "x86_64", unix))]
fn host_has_avx512() -> bool {
    host_has_avx2()
        && std::is_x86_feature_detected!("avx512f")
        && std::is_x86_feature_detected!("avx512bw")
        && std::is_x86_feature_detected!("avx512dq")
        && std::is_x86_feature_detected!("avx512vl")
}

#[cfg(not(all(target_arch = "x86_64", unix)))]
fn host_has_avx2() -> bool {
    false
}

#[cfg(not(all(target_arch = "x86_64", unix)))]
fn host_has_avx512() -> bool {
    false
}

/// How to compile.
#[derive(Clone, Debug)]
pub struct Options {
    /// The vectors of innermost loops.
    pub isa: Isa,
    /// Whether to keep the text of every function.
    pub keep_text: bool,
    /// Whether Cranelift verifies every function.
    pub verify: bool,
    /// Whether to divide every kernel that can be, however little it does: slow, and a test of
    /// the claim that results do not depend on it.
    pub divide_all: bool,
    /// Threads that will share the work: how a kernel is divided takes this into account, its
    /// results do not.
    pub threads: usize,
    /// Measured choices for products; the model chooses for those that are not among them. Results
    /// do not depend on it.
    pub tiles: Option<Arc<Tiles>>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            isa: Isa::default(),
            keep_text: false,
            verify: cfg!(debug_assertions),
            divide_all: false,
            threads: 1,
            tiles: None,
        }
    }
}
