//! The compiler in one screen: from a concrete graph to an executable, pass by pass.
//!
//! Everything before is the front end (`check` makes symbolic graphs, `Graph::with_sizes` makes
//! them concrete); everything after is calling. Each pass is a pure function; the IR is verified
//! after each one in debug builds and wherever [`Options::verify`] asks for it, and a failure names
//! the pass.

use crate::codegen::{self, CompileError, Executable, Isa};
use crate::graph::Graph;
use crate::kernel::fuse::Note;
use crate::rewrite::{self, Report};
use crate::{graph, kernel};
use std::fmt;
use std::time::{Duration, Instant};

/// What compiling does beyond the necessary.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rewrite and fuse. Without, every operation becomes its own kernel: the second opinion.
    pub optimise: bool,
    /// What rewriting may do.
    pub rewrite: rewrite::Options,
    /// What code is emitted for, and how.
    pub emit: codegen::Options,
    /// Verify the IR after every pass; always on in debug builds.
    pub verify: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            optimise: true,
            rewrite: rewrite::Options::default(),
            emit: codegen::Options::default(),
            verify: cfg!(debug_assertions),
        }
    }
}

impl Options {
    /// Whether this machine can do so.
    ///
    /// # Errors
    /// That it does not have the instructions, or a rewrite rule that there is not.
    pub fn check(&self) -> Result<(), String> {
        let isa = self.emit.isa;
        if !isa.is_available() {
            let had: Vec<&str> = Isa::available().map(Isa::name).collect();
            let (name, had) = (isa.name(), had.join(", "));
            return Err(format!("this machine has no `{name}` instructions: it has {had}"));
        }
        let unknown = |rule: &&&str| rewrite::rules::all().all(|known| known.name != **rule);
        match self.rewrite.only.iter().flatten().find(unknown) {
            Some(rule) => Err(format!("there is no rewrite rule `{rule}`")),
            None => Ok(()),
        }
    }
}

/// A pass: its name for `--after`, and one line about it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pass {
    /// The name.
    pub name: &'static str,
    /// What it does.
    pub about: &'static str,
}

macro_rules! passes {
    ($($(#[doc = $about:literal])+ $constant:ident = $name:literal;)*) => {
        $(
            $(#[doc = $about])+
            pub const $constant: Pass = Pass { name: $name, about: concat!($($about),+) };
        )*
        /// Every pass from the graph on, in order.
        pub const PASSES: &[Pass] = &[$($constant),*];
    };
}

passes! {
    /// the concrete graph as it was given: sizes known, gradients included
    ELABORATE = "elaborate";
    /// the graph after e-graph rewriting and fusion
    REWRITE = "rewrite";
    /// kernels over buffers, one for each operation that does work
    LOWER = "lower";
    /// kernels after products took their epilogues and rows their passes
    FUSE = "fuse";
    /// every nest divided and every buffer at its place in the arena
    PLAN = "plan";
    /// machine code
    EMIT = "emit";
}

/// What there is after a pass. It is shown as the text of `spec/ir.md`.
#[derive(Clone, Debug)]
pub enum Ir {
    /// A graph of known sizes.
    Graph(Graph),
    /// Kernels.
    Program(kernel::Program),
    /// Machine code, as text.
    Code(String),
}

impl fmt::Display for Ir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Ir::Graph(graph) => graph.fmt(f),
            Ir::Program(program) => program.fmt(f),
            Ir::Code(text) => f.write_str(text),
        }
    }
}

/// Sees the IR after each pass: a copy, which is made only where `wants` says so.
pub trait Observer {
    /// Whether what there is after this pass is wanted.
    fn wants(&self, pass: Pass) -> bool;
    /// What there is after a pass, if it was wanted.
    fn seen(&mut self, pass: Pass, ir: Ir);
    /// How long a pass took.
    fn time(&mut self, pass: Pass, time: Duration);
    /// What rewriting did.
    fn rewritten(&mut self, report: Report);
    /// Which kernels were joined, and why.
    fn joined(&mut self, notes: Vec<Note>);
}

/// Compiles a concrete graph.
///
/// # Errors
/// Where the system gives no memory for code.
///
/// # Panics
/// Where a pass breaks an invariant: that is a bug of the compiler, and the message names the pass.
/// Where the graph is not well formed or not concrete, or [`Options::check`] finds something:
/// [`Session::compile_graph`](crate::session::Session::compile_graph) makes errors of these.
pub fn compile(
    graph: &Graph,
    options: &Options,
    observer: &mut dyn Observer,
) -> Result<Executable, CompileError> {
    let mut driver = Driver { options, observer, started: Instant::now() };
    driver.graph(ELABORATE, graph);
    let optimised = options.optimise.then(|| {
        let (optimised, report) = rewrite::optimise(graph, &options.rewrite);
        driver.graph(REWRITE, &optimised);
        driver.observer.rewritten(report);
        optimised
    });
    let mut program = kernel::lower(optimised.as_ref().unwrap_or(graph));
    driver.program(LOWER, &program);
    if options.optimise {
        let (fused, notes) = kernel::fuse::explained(program);
        program = fused;
        driver.program(FUSE, &program);
        driver.observer.joined(notes);
        kernel::tile(&mut program);
        kernel::join_borders(&mut program);
    }
    kernel::schedule(&mut program);
    kernel::plan(&mut program);
    driver.program(PLAN, &program);
    let keep_text = options.emit.keep_text || driver.observer.wants(EMIT);
    let emit = codegen::Options { keep_text, ..options.emit.clone() };
    let executable = codegen::compile(program, &emit)?;
    driver.executable(EMIT, &executable);
    Ok(executable)
}

struct Driver<'a> {
    options: &'a Options,
    observer: &'a mut dyn Observer,
    started: Instant,
}

impl Driver<'_> {
    fn graph(&mut self, pass: Pass, graph: &Graph) {
        self.observer.time(pass, self.started.elapsed());
        if self.options.verify
            && let Err(e) = graph::verify::verify(graph)
        {
            panic!("the graph is broken after `{}`: {e}\n{graph}", pass.name);
        }
        self.show(pass, || Ir::Graph(graph.clone()));
    }

    fn program(&mut self, pass: Pass, program: &kernel::Program) {
        self.observer.time(pass, self.started.elapsed());
        if self.options.verify
            && let Err(e) = kernel::verify(program)
        {
            panic!("the program is broken after `{}`: {e}\n{program}", pass.name);
        }
        self.show(pass, || Ir::Program(program.clone()));
    }

    fn executable(&mut self, pass: Pass, executable: &Executable) {
        self.observer.time(pass, self.started.elapsed());
        let text = |t: &codegen::KernelText| format!("// {}\n{}\n{}\n", t.name, t.clif, t.assembly);
        self.show(pass, || Ir::Code(executable.texts().iter().map(text).collect()));
    }

    fn show(&mut self, pass: Pass, ir: impl FnOnce() -> Ir) {
        if self.observer.wants(pass) {
            self.observer.seen(pass, ir());
        }
        self.started = Instant::now();
    }
}

/// An observer that wants nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unobserved;

impl Observer for Unobserved {
    fn wants(&self, _pass: Pass) -> bool {
        false
    }
    fn seen(&mut self, _pass: Pass, _ir: Ir) {}
    fn time(&mut self, _pass: Pass, _time: Duration) {}
    fn rewritten(&mut self, _report: Report) {}
    fn joined(&mut self, _notes: Vec<Note>) {}
}

/// Adds the time of a pass to that of the same pass before.
pub fn add_time(times: &mut Vec<(Pass, Duration)>, (pass, time): (Pass, Duration)) {
    match times.iter_mut().find(|(known, _)| known.name == pass.name) {
        Some((_, sum)) => *sum += time,
        None => times.push((pass, time)),
    }
}

/// Keeps the times of passes; another observer sees everything.
pub struct Timed<'a> {
    /// The other observer.
    pub observer: &'a mut dyn Observer,
    /// Times in the order of passes.
    pub times: Vec<(Pass, Duration)>,
}

impl Observer for Timed<'_> {
    fn wants(&self, pass: Pass) -> bool {
        self.observer.wants(pass)
    }
    fn seen(&mut self, pass: Pass, ir: Ir) {
        self.observer.seen(pass, ir);
    }
    fn time(&mut self, pass: Pass, time: Duration) {
        add_time(&mut self.times, (pass, time));
        self.observer.time(pass, time);
    }
    fn rewritten(&mut self, report: Report) {
        self.observer.rewritten(report);
    }
    fn joined(&mut self, notes: Vec<Note>) {
        self.observer.joined(notes);
    }
}

/// An observer that keeps the times, the report, and the IR after the passes it was asked for.
#[derive(Clone, Debug, Default)]
pub struct Recorder {
    /// Passes after which the IR is wanted, by name.
    pub wanted: Vec<String>,
    /// What there was after them, in order.
    pub seen: Vec<(Pass, Ir)>,
    /// Times in order.
    pub times: Vec<(Pass, Duration)>,
    /// What rewriting did.
    pub report: Option<Report>,
    /// Which kernels were joined, and why.
    pub notes: Vec<Note>,
}

impl Observer for Recorder {
    fn wants(&self, pass: Pass) -> bool {
        self.wanted.iter().any(|name| name == pass.name)
    }
    fn seen(&mut self, pass: Pass, ir: Ir) {
        self.seen.push((pass, ir));
    }
    fn time(&mut self, pass: Pass, time: Duration) {
        self.times.push((pass, time));
    }
    fn rewritten(&mut self, report: Report) {
        self.report = Some(report);
    }
    fn joined(&mut self, notes: Vec<Note>) {
        self.notes = notes;
    }
}
