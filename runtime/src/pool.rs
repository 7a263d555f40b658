//! A persistent thread pool for fork and join: workers spin briefly, then park.
//!
//! A job is `tasks` calls of one function. Each thread, the caller among them, has a *lane*: a
//! contiguous share of the task indices, which it works through in order, so that the same
//! thread tends to touch the same memory from job to job. A thread whose lane is done goes on
//! with the others', so a thread that the system has put to sleep delays nobody.
//!
//! Nothing about a result may depend on which thread runs a task: tasks are independent, and
//! there is no reduction here.
//!
//! # How a job starts and ends
//!
//! One atomic word, the *gate*, counts the workers inside, and says whether it is open and for
//! which job (the epoch). The caller writes the job, then opens the gate. A worker that sees a new
//! epoch enters by adding one; the value that this returns tells whether it was open, and only
//! then does the worker look at the job. The caller takes part, and when no task is left to
//! claim, closes the gate and waits until nobody is inside. So the job is written only while the
//! gate is closed and nobody is inside, and read only by those who entered it open. A worker
//! that comes too late finds the gate closed and leaves.
//!
//! Sleeping is off this path: a worker that has spun for a while announces itself in `sleepers`,
//! looks at the gate once more, and waits; the caller opens the gate, then looks at `sleepers`.
//! Both do so in the sequentially consistent order, so one of them sees the other.

#![allow(unsafe_code, reason = "the job is shared through a raw pointer; each block argues")]

use std::any::Any;
use std::cell::{Cell, UnsafeCell};
use std::hint::spin_loop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, SeqCst};
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, Condvar, Mutex, PoisonError, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A task as compiled code gives it: called with the job's context and the task's index.
pub type RawTask = unsafe extern "C" fn(context: *mut u8, task: usize);

/// How long a thread looks for work, or for the end of it, before it parks.
const SPIN: Duration = Duration::from_micros(200);
/// Above this no machine is helped, and the gate could not count.
const MAX_THREADS: usize = 1024;

// The gate, from the lowest bit: how many workers are inside, the flags, the epoch.
const INSIDE: u64 = 0xFFFF;
const OPEN: u64 = 1 << 16;
/// The caller has parked until nobody is inside.
const WAITING: u64 = 1 << 17;
/// The pool is being dropped.
const STOP: u64 = 1 << 18;
const EPOCH: u64 = 1 << 20;

thread_local! {
    /// Whether this thread is running a task, so that a job started from it runs serially.
    static IN_TASK: Cell<bool> = const { Cell::new(false) };
}

/// A pool of threads. Dropping it ends them.
///
/// ```
/// use std::sync::atomic::{AtomicUsize, Ordering};
/// let pool = tensc_runtime::Pool::new(2);
/// let sum = AtomicUsize::new(0);
/// pool.run(100, |task| {
///     sum.fetch_add(task, Ordering::Relaxed);
/// });
/// assert_eq!(sum.into_inner(), 4950);
/// ```
pub struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Held by the thread whose job the workers are on.
    turn: Mutex<()>,
}

impl Pool {
    /// A pool of `threads` threads, the caller included: one fewer are started.
    ///
    /// Where the system refuses to start a thread the pool does with those it has.
    pub fn new(threads: usize) -> Pool {
        let threads = threads.clamp(1, MAX_THREADS);
        let spin = if threads <= available_cores() { SPIN } else { Duration::ZERO };
        let shared = Arc::new(Shared::new(threads, spin));
        let start = |me: usize| {
            let shared = shared.clone();
            thread::Builder::new().name(format!("tensc-{me}")).spawn(move || shared.work(me)).ok()
        };
        let workers = (1..threads).map_while(start).collect();
        Pool { shared, workers, turn: Mutex::new(()) }
    }

    /// How many threads work on a job, the caller included.
    pub fn threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `task` with each index below `tasks`, and returns when all calls have.
    ///
    /// Called from inside a task, or while another thread's job has the workers, it runs all
    /// tasks on this thread. Where tasks panic, the others still run, and then the panic of the
    /// lowest index goes on in the caller.
    pub fn run<F: Fn(usize) + Sync>(&self, tasks: usize, task: F) {
        let job = Guarded { task, panic: Mutex::new(None) };
        let context = (&raw const job).cast_mut().cast::<u8>();
        // SAFETY: `context` points to a `Guarded<F>`, which `call_guarded::<F>` expects, for as
        // long as the job runs. It is only read through; `F: Sync` allows that on many threads.
        unsafe { self.run_raw(tasks, call_guarded::<F>, context) };
        let panic = job.panic.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, payload)) = panic {
            resume_unwind(payload);
        }
    }

    /// As [`Pool::run`] for a function of the C calling convention, such as compiled code.
    ///
    /// # Safety
    /// `call(context, task)` must be sound for each `task < tasks`, on any thread, several of
    /// them at once, until this returns; and it must not unwind.
    pub unsafe fn run_raw(&self, tasks: usize, call: RawTask, context: *mut u8) {
        let alone = tasks <= 1 || self.workers.is_empty() || IN_TASK.get();
        let turn = match self.turn.try_lock() {
            _ if alone => None,
            Ok(turn) => Some(turn),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        match turn {
            Some(_held) => self.shared.fork_join(Job { tasks, call, context }),
            None => {
                for task in 0..tasks {
                    // SAFETY: by this function's contract.
                    unsafe { call(context, task) };
                }
            }
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.gate.0.fetch_or(STOP, SeqCst);
        self.shared.wake_workers(self.workers.len());
        for worker in self.workers.drain(..) {
            // A worker runs nothing that unwinds.
            let _ = worker.join();
        }
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({} threads)", self.threads())
    }
}

/// How many threads the machine runs at once, as far as the system says.
pub fn available_cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// A Rust closure as a job, with the panic of its lowest index.
struct Guarded<F> {
    task: F,
    panic: Mutex<Option<(usize, Box<dyn Any + Send>)>>,
}

unsafe extern "C" fn call_guarded<F: Fn(usize) + Sync>(context: *mut u8, task: usize) {
    // SAFETY: `Pool::run` passes a live `Guarded<F>`.
    let job = unsafe { &*context.cast_const().cast::<Guarded<F>>() };
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| (job.task)(task))) {
        let mut first = job.panic.lock().unwrap_or_else(PoisonError::into_inner);
        if first.as_ref().is_none_or(|(index, _)| task < *index) {
            *first = Some((task, payload));
        }
    }
}

#[derive(Clone, Copy)]
struct Job {
    tasks: usize,
    call: RawTask,
    context: *mut u8,
}

/// Keeps what is inside off its neighbours' cache lines (processors fetch them in pairs).
#[repr(align(128))]
struct Apart<T>(T);

/// A thread's share of the tasks: those from `next` up to `end` are still to be claimed.
struct Lane {
    next: AtomicUsize,
    end: AtomicUsize,
}

impl Lane {
    fn claim(&self) -> Option<usize> {
        let end = self.end.load(Relaxed);
        // Looking first keeps finished lanes readable without taking them from their owners,
        // and keeps `next` from running away.
        if self.next.load(Relaxed) >= end {
            return None;
        }
        Some(self.next.fetch_add(1, Relaxed)).filter(|&task| task < end)
    }
}

struct Shared {
    gate: Apart<AtomicU64>,
    /// Written by the holder of the turn while the gate is closed with nobody inside.
    job: UnsafeCell<Job>,
    lanes: Box<[Apart<Lane>]>,
    /// Workers that have announced that they will wait for `wake`.
    sleepers: AtomicUsize,
    sleep: Mutex<()>,
    wake: Condvar,
    done: Condvar,
    spin: Duration,
}

// SAFETY: all fields but `job` are Sync. `job` is handed over through the gate, see above; the
// context pointer in it may be used on any thread by the contract of `run_raw`.
unsafe impl Sync for Shared {}
// SAFETY: as above; nothing in it is tied to a thread.
unsafe impl Send for Shared {}

impl Shared {
    fn new(threads: usize, spin: Duration) -> Shared {
        unsafe extern "C" fn nothing(_: *mut u8, _: usize) {}
        let lane = |_| Apart(Lane { next: AtomicUsize::new(0), end: AtomicUsize::new(0) });
        Shared {
            gate: Apart(AtomicU64::new(0)),
            job: UnsafeCell::new(Job { tasks: 0, call: nothing, context: std::ptr::null_mut() }),
            lanes: (0..threads).map(lane).collect(),
            sleepers: AtomicUsize::new(0),
            sleep: Mutex::new(()),
            wake: Condvar::new(),
            done: Condvar::new(),
            spin,
        }
    }

    /// The caller's side of a job. The caller holds the turn and is in no task.
    fn fork_join(&self, job: Job) {
        let (share, rest) = (job.tasks / self.lanes.len(), job.tasks % self.lanes.len());
        let mut start = 0;
        for (i, Apart(lane)) in self.lanes.iter().enumerate() {
            let end = start + share + usize::from(i < rest);
            lane.next.store(start, Relaxed);
            lane.end.store(end, Relaxed);
            start = end;
        }
        // SAFETY: the gate is closed and nobody is inside (the last job's end, or the start), and
        // only the holder of the turn, this thread, opens it.
        unsafe { *self.job.get() = job };
        // Both fields are clear of each other: OPEN is not set, and EPOCH may wrap.
        self.gate.0.fetch_add(EPOCH | OPEN, SeqCst);
        if self.sleepers.load(SeqCst) > 0 {
            self.wake_workers(job.tasks - 1);
        }
        IN_TASK.set(true);
        self.take_part(0, job);
        IN_TASK.set(false);
        self.gate.0.fetch_and(!OPEN, AcqRel);
        self.wait_until_empty();
    }

    /// A worker's life.
    fn work(&self, me: usize) {
        IN_TASK.set(true);
        let mut seen = 0;
        while self.await_epoch_after(seen) {
            let gate = self.gate.0.fetch_add(1, AcqRel);
            seen = gate / EPOCH;
            if gate & OPEN != 0 {
                // SAFETY: this thread entered while the gate was open, so the job is written and
                // stays as it is until this thread leaves.
                let job = unsafe { *self.job.get() };
                self.take_part(me, job);
            }
            self.leave();
        }
    }

    /// Runs tasks until none is left to claim: first of the own lane, then of the others.
    fn take_part(&self, me: usize, job: Job) {
        let (before, from) = self.lanes.split_at(me);
        for Apart(lane) in from.iter().chain(before) {
            while let Some(task) = lane.claim() {
                // SAFETY: by the contract of `run_raw`, whose caller waits until all have left.
                unsafe { (job.call)(job.context, task) };
            }
        }
    }

    fn leave(&self) {
        let before = self.gate.0.fetch_sub(1, AcqRel);
        if before & WAITING != 0 && before & INSIDE == 1 {
            // The lock makes sure that the caller is not between its look at the gate and its wait.
            let _asleep = self.lock_sleep();
            self.done.notify_all();
        }
    }

    /// Waits for a job after that of epoch `seen`; false where the pool ends instead.
    fn await_epoch_after(&self, seen: u64) -> bool {
        let news = |gate: u64| {
            let stop = gate & STOP != 0;
            (stop || gate & OPEN != 0 && gate / EPOCH != seen).then_some(!stop)
        };
        if let Some(job) = self.spin_for(|| news(self.gate.0.load(Acquire))) {
            return job;
        }
        let mut asleep = self.lock_sleep();
        self.sleepers.fetch_add(1, SeqCst);
        let job = loop {
            if let Some(job) = news(self.gate.0.load(SeqCst)) {
                break job;
            }
            asleep = self.wake.wait(asleep).unwrap_or_else(PoisonError::into_inner);
        };
        self.sleepers.fetch_sub(1, SeqCst);
        job
    }

    /// Waits until the closed gate has nobody inside.
    fn wait_until_empty(&self) {
        let empty = || (self.gate.0.load(Acquire) & INSIDE == 0).then_some(());
        if self.spin_for(empty).is_some() {
            return;
        }
        let mut asleep = self.lock_sleep();
        self.gate.0.fetch_or(WAITING, AcqRel);
        while empty().is_none() {
            asleep = self.done.wait(asleep).unwrap_or_else(PoisonError::into_inner);
        }
        self.gate.0.fetch_and(!WAITING, AcqRel);
    }

    fn wake_workers(&self, wanted: usize) {
        let _asleep = self.lock_sleep();
        if wanted >= self.sleepers.load(SeqCst) {
            self.wake.notify_all();
        } else {
            (0..wanted).for_each(|_| self.wake.notify_one());
        }
    }

    fn lock_sleep(&self) -> std::sync::MutexGuard<'_, ()> {
        self.sleep.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks until there is an answer or the time for spinning is over.
    fn spin_for<T>(&self, ask: impl Fn() -> Option<T>) -> Option<T> {
        if let Some(answer) = ask() {
            return Some(answer);
        }
        let start = Instant::now();
        while start.elapsed() < self.spin {
            for _ in 0..32 {
                spin_loop();
                if let Some(answer) = ask() {
                    return Some(answer);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests;
