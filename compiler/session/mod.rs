//! Compiling on demand and calling what was compiled.
//!
//! A [`Session`] owns the options, the thread pool and the cache of compiled graphs. A graph is
//! compiled once for its content: places that need the same computation at the same sizes share
//! one executable, though each is told of its own lines. Only threads that ask for a new graph at
//! the same time may compile it twice; all but the first of the results are dropped.
//!
//! Neighbours: `pipeline` compiles, `compiled` calls, `cache` keeps and says why something is new,
//! `tune` measures tiles; above, `script` runs `main` and `module` is what a host program holds.

mod cache;
mod compiled;
mod error;
pub mod sizes;
mod tune;
mod witness;

pub use cache::{Compilation, Difference, Reason, Subject};
pub use compiled::{Argument, Compiled, enough_memory};
pub use error::{CallError, Input, Told};
pub use tune::Tuned;

use crate::graph::{Graph, TensorType, verify};
use crate::pipeline::{self, Observer, Pass, Timed, Unobserved};
use cache::Cache;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
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
    /// How many compiled graphs are kept, one at least. Of more those go that were not used for
    /// the longest time; when they are called again they are compiled again.
    pub capacity: usize,
}

impl Default for Options {
    fn default() -> Options {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Options {
            threads,
            backend: Backend::Jit,
            compile: pipeline::Options::default(),
            guard: false,
            capacity: 1 << 14,
        }
    }
}

/// Who is told what was compiled, and why.
type Tell = Box<dyn Fn(&Compilation) + Send + Sync>;

/// Options, threads, and everything compiled so far.
pub struct Session {
    options: Options,
    pool: Pool,
    cache: Mutex<Cache>,
    /// How long each pass took, over all that was compiled.
    times: Mutex<Vec<(Pass, Duration)>>,
    tell: Option<Tell>,
}

impl Session {
    /// A session with its own thread pool and an empty cache.
    pub fn new(mut options: Options) -> Session {
        let pool = Pool::new(options.threads);
        options.compile.emit.threads = pool.threads();
        Session { options, pool, cache: Mutex::default(), times: Mutex::default(), tell: None }
    }

    /// Has `tell` called whenever a call of a function or a step of `main` made it necessary to
    /// compile, with the reason: what differs from the nearest that was compiled before.
    ///
    /// ```
    /// use std::sync::mpsc::channel;
    /// use tensc::{Module, Session, TensorView};
    ///
    /// let module = Module::from_source("twice.tx", "fn twice[N](x: f32[N]) -> f32[N] = 2.0 * x")?;
    /// let twice = module.function("twice").expect("it is there");
    /// let (sender, told) = channel();
    /// let mut session = Session::default();
    /// session.on_compile(move |compilation| drop(sender.send(compilation.to_string())));
    /// for n in [5, 7, 5] {
    ///     twice.call(&session, &[TensorView::new(&vec![1.0f32; n], [n])])?;
    /// }
    /// let told: Vec<String> = told.try_iter().collect();
    /// assert_eq!(told, ["twice for N = 5, the first time", "twice for N = 7, before for N = 5"]);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn on_compile(&mut self, tell: impl Fn(&Compilation) + Send + Sync + 'static) {
        self.tell = Some(Box::new(tell));
    }

    /// Drops everything that was compiled, and the memory that it keeps for its calls. What is
    /// still held elsewhere can be called as before.
    pub fn clear(&self) {
        locked(&self.cache).clear();
    }

    /// Gives back the memory for temporaries that compiled graphs keep for their next call.
    pub fn release_idle(&self) {
        locked(&self.cache).compiled().for_each(|compiled| compiled.release_idle());
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
    /// [`CallError::Graph`] where the graph is not well formed or has sizes without a value,
    /// [`CallError::Memory`] where no memory holds one of its results, [`CallError::Compile`] where
    /// there is no code for it or no memory for code.
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
        Ok(self.compiled_or_kept(graph, observer)?.0)
    }

    /// The executable of a graph, its key in the cache, and how long it took to compile it now.
    fn compiled_or_kept(
        &self,
        graph: &Graph,
        observer: &mut dyn Observer,
    ) -> Result<(Arc<Compiled>, u128, Option<Duration>), CallError> {
        verify::names(graph).map_err(unsound)?;
        let (key, origins) = (graph.content_hash(), graph.live_origins());
        if let Some(compiled) = locked(&self.cache).graph(key, graph, &origins) {
            return Ok((compiled, key, None));
        }
        can_be_compiled(graph)?;
        let start = Instant::now();
        let compiled = match self.options.backend {
            Backend::Interpreter => Compiled::interpreted(graph, origins.clone()),
            Backend::Jit if Compiled::is_trivial(graph) => {
                Compiled::interpreted(graph, origins.clone())
            }
            Backend::Jit => {
                self.options.compile.check().map_err(CallError::Compile)?;
                let mut timed = Timed { observer, times: Vec::new() };
                let executable = pipeline::compile(graph, &self.options.compile, &mut timed);
                let mut times = locked(&self.times);
                timed.times.into_iter().for_each(|time| pipeline::add_time(&mut times, time));
                let executable = executable.map_err(|e| CallError::Compile(e.to_string()))?;
                Compiled::jit(graph, origins.clone(), executable, self.options.guard)
            }
        };
        let took = compiled.executable().map(|_| start.elapsed());
        let mut cache = locked(&self.cache);
        cache.keep(key, compiled, self.options.capacity);
        let compiled = cache.graph(key, graph, &origins).expect("what is new is kept");
        Ok((compiled, key, took))
    }

    /// The executable for the call that `key` stands for; its graph is made for the first one.
    pub(crate) fn compile_once(
        &self,
        key: u128,
        graph: impl FnOnce() -> Result<(Graph, Subject), CallError>,
    ) -> Result<Arc<Compiled>, CallError> {
        if let Some(compiled) = locked(&self.cache).call(key) {
            return Ok(compiled);
        }
        let (graph, subject) = graph()?;
        let (compiled, content, took) = self.compiled_or_kept(&graph, &mut Unobserved)?;
        let mut cache = locked(&self.cache);
        let news = self.tell.as_ref().zip(took).map(|(tell, time)| {
            let reason = cache.reason(key, &subject, self.options.capacity);
            (tell, Compilation { subject: subject.clone(), reason, time })
        });
        cache.keep_call(key, (content, &compiled), subject);
        drop(cache);
        if let Some((tell, compilation)) = news {
            tell(&compilation);
        }
        Ok(compiled)
    }

    /// Number of different graphs that were compiled and are kept.
    pub fn compiled_graphs(&self) -> usize {
        locked(&self.cache).len()
    }
}

/// Whether a graph is one that later stages take.
fn can_be_compiled(graph: &Graph) -> Result<(), CallError> {
    if let Err(broken) = verify(graph) {
        let no_size =
            |ty: &TensorType| ty.shape.iter().any(|size| size.known().is_some_and(|n| n < 0));
        return Err(match graph.beyond_memory() {
            Some(ty) if !no_size(ty) => {
                CallError::Memory(format!("this needs {ty}, which does not fit the address space"))
            }
            _ => unsound(broken.to_string()),
        });
    }
    if !graph.is_concrete() {
        let names: Vec<String> =
            graph.named_sizes().iter().map(|size| format!("`{}`", size.name)).collect();
        let message = format!("the graph has sizes without a value: {}", names.join(", "));
        return Err(CallError::Graph(message));
    }
    Ok(())
}

fn unsound(message: String) -> CallError {
    CallError::Graph(format!("the graph is not well formed: {message}"))
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
