//! Machine code from kernels.
//!
//! [`compile`] makes an [`Executable`] from a [`Program`]: one function a
//! kernel, compiled by Cranelift into memory that the executable owns. [`Executable::run`] calls
//! them in order, and divides those that are worth it over the threads of a pool.
//!
//! The bodies of innermost loops are vector programs. Here they are emitted in 128-bit vectors,
//! which every target of Cranelift has ([`Isa::Portable`]): `lanes`, `arith`, `convert` and
//! `memory` emit operations on groups of lanes, `body` emits a program, `fold` the accumulators.
//! `nest` and `product` decide on loops, and reach a program's emission through `body::emit` only;
//! `follow` has rows of a product go through the kernels after it while they are in the cache.
//! `x86` is a second implementation of nests, in wider vectors and without Cranelift; a nest gives
//! the same bits either way.
//!
//! Invariants: the bits of a result depend on the program, never on the number of threads;
//! kernels touch memory only through the program's accesses; an executable's code is freed after
//! its last call and not before.
//!
//! Neighbours: `kernel` above all; below, the pool, arenas and random numbers of the runtime.

mod alias;
mod arith;
mod body;
mod calls;
mod convert;
mod emit;
mod executable;
mod fold;
mod follow;
#[cfg(unix)]
mod guard;
mod lanes;
mod limits;
mod memory;
mod module;
mod nest;
mod product;
mod target;
mod work;
mod x86;

pub use executable::{Executable, Fault, KernelFn, Workspace};
#[cfg(unix)]
pub use guard::Guard;
pub use product::{Choice, ProductKind, Share, Tiles};
pub use target::{Isa, Options};

use crate::kernel::{Kernel, Nest, Product, Program, Work};
use alias::Aliases;
use cranelift_codegen::ir;
use emit::Emitter;
use executable::{Entry, Step};
use limits::Limits;
use module::{Code, Function, KERNEL_PARAMS};
use product::{After, Tiling};
use rustc_hash::FxHashMap;
use std::fmt;
use std::sync::Arc;
use work::{checks, worth_dividing};
use x86::product_collect::Collect;
use x86::product_pack::Turn;

/// Why a program has no machine code: the system refused memory, or Cranelift a function.
#[derive(Debug)]
pub struct CompileError(String);

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for CompileError {}

/// The text of a kernel's function, kept on request.
#[derive(Clone, Debug)]
pub struct KernelText {
    /// The kernel's name.
    pub name: String,
    /// Cranelift's intermediate form as it was emitted.
    pub clif: String,
    /// The machine code in Cranelift's notation.
    pub assembly: String,
}

/// Compiles a verified program whose buffers are placed.
///
/// # Errors
/// Where the system gives no memory for code.
pub fn compile(program: Program, options: &Options) -> Result<Executable, CompileError> {
    compile_within(program, options, limits(options))
}

fn limits(options: &Options) -> Limits {
    Limits { threads: options.threads, ..Limits::of_host() }
}

/// What a product is to [`Tiles`], and what the model chooses for it.
pub fn model_choice(product: &Product, options: &Options) -> (ProductKind, Choice) {
    let kind = ProductKind::of(product, options.isa, options.threads);
    (kind, Choice::of(&Tiling::of(product, options.isa, &limits(options), None)))
}

/// Choices for a product that differ from `now` in one respect; `None` where there is no respect of
/// that number.
pub fn variations(
    product: &Product,
    options: &Options,
    now: Choice,
    respect: usize,
) -> Option<Vec<Choice>> {
    product::variations(product, options.isa, &limits(options), now, respect)
}

/// As [`compile`], with the sizes that cache blocks keep within.
fn compile_within(
    program: Program,
    options: &Options,
    limits: Limits,
) -> Result<Executable, CompileError> {
    assert!(options.isa.is_available(), "this machine has no {}", options.isa.name());
    let mut compiler = Compiler {
        isa: options.isa,
        limits,
        tiles: options.tiles.clone(),
        module: module::Builder::new(options)?,
        micro: FxHashMap::default(),
        turns: FxHashMap::default(),
        collects: FxHashMap::default(),
        scratch: program.plan.row_bytes,
    };
    let compiled = compiler.kernels(&program)?;
    let (code, texts) = compiler.module.finish()?;
    let steps = steps(&code, &program, &compiled, options);
    Ok(Executable::new(code, program, steps, texts, compiler.scratch))
}

/// The kernels of a program as they are run.
fn steps(code: &Code, program: &Program, compiled: &[Compiled], options: &Options) -> Vec<Step> {
    let step = |(at, (kernel, compiled)): (usize, (&Kernel, &Compiled))| Step {
        entry: match (&kernel.work, compiled.function) {
            (_, Some(function)) => Entry::Native(code.function(function)),
            (Work::Repeat(repeat), None) => {
                Entry::Repeat(steps(code, &repeat.step, &compiled.inside, options))
            }
            _ if compiled.tasks == 0 => Entry::Nothing,
            _ => Entry::Call,
        },
        tasks: compiled.tasks,
        parallel: compiled.tasks > 1 && (options.divide_all || worth_dividing(&kernel.work)),
        checks: program.kernels[at..=at + compiled.followed].iter().any(checks),
        followed: compiled.followed,
    };
    program.kernels.iter().zip(compiled).enumerate().map(step).collect()
}

/// Compilation of one program.
struct Compiler {
    isa: Isa,
    limits: Limits,
    /// Measured choices for products.
    tiles: Option<Arc<Tiles>>,
    module: module::Builder,
    /// Micro-kernels that products share.
    micro: FxHashMap<product::Key, Function>,
    /// Likewise, what packs panels.
    turns: FxHashMap<Turn, Function>,
    collects: FxHashMap<Collect, Function>,
    /// Bytes of scratch memory that a thread needs so far.
    scratch: usize,
}

/// A kernel whose code is not final yet; a call of the runtime has none.
struct Compiled {
    function: Option<Function>,
    tasks: u64,
    /// How many of the next kernels it does too.
    followed: usize,
    /// The kernels of a step.
    inside: Vec<Compiled>,
}

impl Compiled {
    fn new(function: Option<Function>, tasks: u64) -> Compiled {
        Compiled { function, tasks, followed: 0, inside: Vec::new() }
    }
}

impl Compiler {
    fn kernels(&mut self, program: &Program) -> Result<Vec<Compiled>, CompileError> {
        let mut compiled: Vec<Compiled> = Vec::with_capacity(program.kernels.len());
        while compiled.len() < program.kernels.len() {
            let one = self.kernel(program, compiled.len())?;
            let followed = one.followed;
            compiled.push(one);
            compiled.extend((0..followed).map(|_| Compiled::new(None, 0)));
        }
        Ok(compiled)
    }

    fn kernel(&mut self, program: &Program, at: usize) -> Result<Compiled, CompileError> {
        let kernel = &program.kernels[at];
        match &kernel.work {
            Work::Nest(nest) => self.nest(program, kernel, nest),
            Work::Product(product) => self.product(program, at, product),
            Work::Call(_) => Ok(Compiled::new(None, 1)),
            Work::Repeat(repeat) => {
                let inside = self.kernels(&repeat.step)?;
                Ok(Compiled { inside, ..Compiled::new(None, 1) })
            }
        }
    }

    fn nest(
        &mut self,
        program: &Program,
        kernel: &Kernel,
        nest: &Nest,
    ) -> Result<Compiled, CompileError> {
        let tasks = nest::tasks(nest);
        if tasks == 0 {
            return Ok(Compiled::new(None, tasks));
        }
        self.scratch = self.scratch.max(self.nest_scratch(program, nest));
        let streamed_bytes = self.limits.streamed_bytes;
        let function = self.nest_function(&kernel.name, program, &kernel.work, streamed_bytes)?;
        Ok(Compiled::new(Some(function), tasks))
    }

    /// The function of a nest; results of at least `streamed_bytes` may go past the caches.
    fn nest_function(
        &mut self,
        name: &str,
        program: &Program,
        work: &Work,
        streamed_bytes: usize,
    ) -> Result<Function, CompileError> {
        let Work::Nest(nest) = work else { unreachable!("the caller has a nest") };
        let aliases = Aliases::new(program, work);
        if let Some(isa) = self.wide(nest) {
            let code = x86::emit(program, nest, aliases, isa, streamed_bytes);
            return self.wide_function(name, &KERNEL_PARAMS, &code);
        }
        let x86 = self.module.is_x86();
        self.module.define(name, &KERNEL_PARAMS, &[], |b, _| {
            let mut e = Emitter::new(b, program, aliases, x86);
            nest::emit(&mut e, nest);
            e.finish()
        })
    }

    /// The instruction set of wide code for a nest, if there is some.
    fn wide(&self, nest: &Nest) -> Option<Isa> {
        let wide = self.isa != Isa::Portable && x86::supports(nest);
        wide.then(|| x86::choose(nest, self.isa, self.limits.narrow_streams))
    }

    /// Bytes of scratch memory that a thread needs for a nest.
    fn nest_scratch(&self, program: &Program, nest: &Nest) -> usize {
        let wide = self.wide(nest).map(|isa| x86::scratch(program, nest, isa));
        wide.unwrap_or(program.plan.row_bytes)
    }

    /// A product, and the kernels that follow it.
    fn product(
        &mut self,
        program: &Program,
        at: usize,
        product: &Product,
    ) -> Result<Compiled, CompileError> {
        let kind = ProductKind::of(product, self.isa, self.limits.threads);
        let choice = self.tiles.as_ref().and_then(|tiles| tiles.get(&kind));
        let tiling = Tiling::of(product, self.isa, &self.limits, choice);
        let after = After::of(program, at, product, &tiling, choice.is_some(), &self.limits);
        let tiling = after.as_ref().map_or(&tiling, After::tiling);
        let tasks = product::tasks(product, tiling);
        if tasks == 0 {
            return Ok(Compiled::new(None, tasks));
        }
        let kernels = &program.kernels[at..];
        let function = self.product_function(program, kernels, tiling, after.as_ref(), 0)?;
        let followed = after.map_or(0, |after| after.count());
        Ok(Compiled { followed, ..Compiled::new(Some(function), tasks) })
    }

    /// The function of a product, the first of `kernels`, that has the next ones follow. The first
    /// `before` bytes of the thread's scratch memory are another's.
    fn product_function(
        &mut self,
        program: &Program,
        kernels: &[Kernel],
        tiling: &Tiling,
        after: Option<&After>,
        before: usize,
    ) -> Result<Function, CompileError> {
        let (kernel, later) = kernels.split_first().expect("it is one of the program's");
        let Work::Product(product) = &kernel.work else { unreachable!("the caller has one") };
        let before = before + after.map_or(tiling.scratch().bytes, After::bytes);
        self.scratch = self.scratch.max(before);
        let parts = product::parts(program, product, tiling, after);
        let mut calls = Vec::new();
        for part in &parts {
            calls.push(match *part {
                product::Part::Micro(_, key) => self.micro_kernel(key)?,
                product::Part::Turn(_, turn) => self.turn(turn)?,
                product::Part::Collect(collect) => self.collect(collect)?,
                product::Part::Make(side, last) => {
                    let parts = product::over_panel(program, product, tiling, side, last);
                    self.part(&format!("{}_prologue", kernel.name), parts)?
                }
                product::Part::Finish(last) => {
                    let parts = product::finish(program, product, tiling, last);
                    self.part(&format!("{}_finish", kernel.name), parts)?
                }
                product::Part::Columns(step, last) => {
                    let Some(After::Columns(columns)) = after else { unreachable!("its part") };
                    let nest = columns.nest(program, product, step, last);
                    self.part(&format!("{}_columns", kernel.name), Some(nest))?
                }
                product::Part::Follow(number) => {
                    let Some(After::Turns(turns)) = after else { unreachable!("its part") };
                    let follower = turns.followers[number].as_ref();
                    self.follower(program, &later[number..], follower, before)?
                }
            });
        }
        let x86 = self.module.is_x86();
        self.module.define(&kernel.name, &KERNEL_PARAMS, &calls, |b, refs| {
            let mut e = Emitter::new(b, program, Aliases::new(program, &kernel.work), x86);
            let parts: Vec<_> = parts.into_iter().zip(refs.iter().copied()).collect();
            product::emit(&mut e, product, tiling, &parts, after);
            e.finish()
        })
    }

    /// The function of the first of `kernels`, which follows a product: of another one with this
    /// tiling, or of a nest.
    fn follower(
        &mut self,
        program: &Program,
        kernels: &[Kernel],
        tiling: Option<&Tiling>,
        before: usize,
    ) -> Result<Function, CompileError> {
        if let Some(tiling) = tiling {
            return self.product_function(program, kernels, tiling, None, before);
        }
        let Work::Nest(nest) = &kernels[0].work else { unreachable!("what else may follow") };
        self.scratch = self.scratch.max(before + self.nest_scratch(program, nest));
        let streamed_bytes = self.limits.streamed_bytes;
        self.nest_function(&kernels[0].name, program, &kernels[0].work, streamed_bytes)
    }

    /// A part of a product that is a nest over a tile or a panel: what it stores is near.
    fn part(
        &mut self,
        name: &str,
        parts: Option<(Program, Nest)>,
    ) -> Result<Function, CompileError> {
        let (small, nest) = parts.expect("it was asked for before");
        self.nest_function(name, &small, &Work::Nest(nest), usize::MAX)
    }

    /// A function of wide code.
    fn wide_function(
        &mut self,
        name: &str,
        params: &[ir::Type],
        code: &[u8],
    ) -> Result<Function, CompileError> {
        self.module.define_bytes(name, params, code, || x86::asm::text(code))
    }

    /// A function that packs a panel.
    fn turn(&mut self, turn: Turn) -> Result<Function, CompileError> {
        if let Some(&function) = self.turns.get(&turn) {
            return Ok(function);
        }
        let code = x86::product_pack::emit(&turn);
        let function = self.wide_function(&turn.name(), &x86::product_pack::PARAMS, &code)?;
        self.turns.insert(turn, function);
        Ok(function)
    }

    /// A function that collects a panel.
    fn collect(&mut self, collect: Collect) -> Result<Function, CompileError> {
        if let Some(&function) = self.collects.get(&collect) {
            return Ok(function);
        }
        let code = x86::product_collect::emit(&collect);
        let function = self.wide_function(&collect.name(), &x86::product_collect::PARAMS, &code)?;
        self.collects.insert(collect, function);
        Ok(function)
    }

    fn micro_kernel(&mut self, key: product::Key) -> Result<Function, CompileError> {
        if let Some(&function) = self.micro.get(&key) {
            return Ok(function);
        }
        let (name, params) = (key.name(), &product::MICRO_PARAMS);
        let function = match key.isa {
            Isa::Portable => {
                let has_fma = self.module.has_fma();
                self.module
                    .define(&name, params, &[], |b, _| product::emit_micro(b, key, has_fma))?
            }
            Isa::Avx2 | Isa::Avx512 => {
                self.wide_function(&name, params, &x86::product::emit(&key))?
            }
        };
        self.micro.insert(key, function);
        Ok(function)
    }
}

#[cfg(test)]
mod tests;
