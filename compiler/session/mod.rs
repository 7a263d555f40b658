//! Compiling on demand and calling what was compiled.
//!
//! A [`Session`] owns the options, the thread pool and the cache of compiled graphs. A graph is
//! compiled once for its content: places that need the same computation at the same sizes share
//! one executable, though each is told of its own lines. Only threads that ask for a new graph at
//! the same time may compile it twice; all but the first of the results are dropped.
//!
//! Neighbours: `pipeline` compiles, `compiled` calls, `tune` measures tiles; above, `script` runs
//! `main` and `module` is what a host program holds.

mod compiled;
pub mod sizes;
mod tune;
mod witness;

pub use compiled::{Argument, CallError, Compiled, enough_memory};
pub use tune::Tuned;

use crate::graph::{Graph, Origin};
use crate::pipeline::{self, Observer, Pass, Timed, Unobserved};
use rustc_hash::FxHashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tensc_runtime::Pool;

/// How compiled functions are executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Backend {
    /// Machine code.
    #[default]
    Jit,
    /// The naive interpreter: slow, and the oracle of all tests.
    Interpreter,
}

/// What a session does with the programs it is given.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads that share the work of a kernel. Results do not depend on it.
    pub threads: usize,
    /// Machine code or the interpreter.
    pub backend: Backend,
    /// How machine code is made.
    pub compile: pipeline::Options,
    /// Makes every call twice with each buffer between pages that may not be touched (see
    /// [`codegen::Guard`](crate::codegen::Guard)), and compares the bits: for tests of the
    /// compiler. Nothing where the system has no such pages.
    pub guard: bool,
}

impl Default for Options {
    fn default() -> Options {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Options {
            threads,
            backend: Backend::Jit,
            compile: pipeline::Options::default(),
            guard: false,
        }
    }
}

/// Options, threads, and everything compiled so far.
pub struct Session {
    options: Options,
    pool: Pool,
    /// By content: one for each place in the source, that compiled first at the front.
    cache: Mutex<FxHashMap<u128, Vec<Arc<Compiled>>>>,
    /// What [`Session::compile_once`] gave, by its key.
    calls: Mutex<FxHashMap<u128, Arc<Compiled>>>,
    /// How long each pass took, over all that was compiled.
    times: Mutex<Vec<(Pass, Duration)>>,
}

impl Session {
    /// A session with its own thread pool and an empty cache.
    pub fn new(mut options: Options) -> Session {
        let pool = Pool::new(options.threads);
        options.compile.emit.threads = pool.threads();
        Session {
            options,
            pool,
            cache: Mutex::default(),
            calls: Mutex::default(),
            times: Mutex::default(),
        }
    }

    /// How long each pass of the compiler took so far, over all that was compiled here, in order.
    pub fn pass_times(&self) -> Vec<(Pass, Duration)> {
        locked(&self.times).clone()
    }

    /// The options it was made with.
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// The threads that calls share.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }

    /// The executable of a concrete graph: compiled now, or before.
    ///
    /// # Errors
    /// [`CallError::Compile`] where there is no code for the graph or no memory for code.
    pub fn compile_graph(&self, graph: &Graph) -> Result<Arc<Compiled>, CallError> {
        self.compile_observed(graph, &mut Unobserved)
    }

    /// As [`Session::compile_graph`]; the observer sees the passes of a graph that is new.
    ///
    /// # Errors
    /// As [`Session::compile_graph`].
    pub fn compile_observed(
        &self,
        graph: &Graph,
        observer: &mut dyn Observer,
    ) -> Result<Arc<Compiled>, CallError> {
        let (key, origins) = (graph.content_hash(), graph.live_origins());
        if let Some(compiled) = self.cached(key, graph, &origins) {
            return Ok(compiled);
        }
        let compiled = match self.options.backend {
            Backend::Interpreter => Compiled::interpreted(graph, origins.clone()),
            Backend::Jit if Compiled::is_trivial(graph) => {
                Compiled::interpreted(graph, origins.clone())
            }
            Backend::Jit => {
                let mut timed = Timed { observer, times: Vec::new() };
                let executable = pipeline::compile(graph, &self.options.compile, &mut timed);
                let mut times = locked(&self.times);
                timed.times.into_iter().for_each(|time| pipeline::add_time(&mut times, time));
                let executable = executable.map_err(|e| CallError::Compile(e.to_string()))?;
                Compiled::jit(graph, origins.clone(), executable, self.options.guard)
            }
        };
        locked(&self.cache).entry(key).or_insert_with(|| vec![Arc::new(compiled)]);
        Ok(self.cached(key, graph, &origins).expect("nothing leaves the cache"))
    }

    /// What was compiled for this content, with the lines of this graph.
    fn cached(&self, key: u128, graph: &Graph, origins: &[Origin]) -> Option<Arc<Compiled>> {
        let mut cache = locked(&self.cache);
        let places = cache.get_mut(&key)?;
        if let Some(compiled) = places.iter().find(|compiled| compiled.origins() == origins) {
            return Some(Arc::clone(compiled));
        }
        let compiled = Arc::new(places.first()?.elsewhere(graph, origins));
        places.push(Arc::clone(&compiled));
        Some(compiled)
    }

    /// The executable of the graph that `key` stands for, which is made for the first call only.
    pub(crate) fn compile_once(
        &self,
        key: u128,
        graph: impl FnOnce() -> Result<Graph, CallError>,
    ) -> Result<Arc<Compiled>, CallError> {
        if let Some(compiled) = locked(&self.calls).get(&key) {
            return Ok(Arc::clone(compiled));
        }
        let compiled = self.compile_graph(&graph()?)?;
        locked(&self.calls).insert(key, Arc::clone(&compiled));
        Ok(compiled)
    }

    /// Number of different graphs compiled so far.
    pub fn compiled_graphs(&self) -> usize {
        locked(&self.cache).len()
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while the lock was held left no half-made entry: each is made before it is added.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("options", &self.options)
            .field("compiled_graphs", &self.compiled_graphs())
            .finish()
    }
}

impl Default for Session {
    /// A session with the default options: all cores, machine code, optimised.
    fn default() -> Session {
        Session::new(Options::default())
    }
}
