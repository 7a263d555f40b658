//! What code is made for, and how much is said about it.

/// The vectors that innermost loops are emitted in.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Isa {
    /// 128-bit vectors by Cranelift: on every host, and the second opinion in tests.
    #[default]
    Portable,
}

impl Isa {
    /// Every instruction set, in order of width.
    pub const ALL: [Isa; 1] = [Isa::Portable];

    /// The name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
        }
    }

    /// The instruction set of that name.
    pub fn from_name(name: &str) -> Option<Isa> {
        Isa::ALL.into_iter().find(|isa| isa.name() == name)
    }
}

/// How to compile.
#[derive(Clone, Copy, Debug)]
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
}

impl Default for Options {
    fn default() -> Options {
        Options {
            isa: Isa::default(),
            keep_text: false,
            verify: cfg!(debug_assertions),
            divide_all: false,
        }
    }
}
