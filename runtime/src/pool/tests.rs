use super::*;
use std::sync::atomic::AtomicU32;

fn counts(pool: &Pool, tasks: usize) -> Vec<u32> {
    let counts: Vec<AtomicU32> = (0..tasks).map(|_| AtomicU32::new(0)).collect();
    pool.run(tasks, |task| {
        counts[task].fetch_add(1, Relaxed);
    });
    counts.into_iter().map(AtomicU32::into_inner).collect()
}

#[test]
fn every_task_runs_once_at_any_number_of_threads() {
    for threads in [1, 2, 3, 4, 9] {
        let pool = Pool::new(threads);
        assert_eq!(pool.threads(), threads);
        for tasks in [0, 1, 2, 3, 7, 8, 100, 1000] {
            assert_eq!(counts(&pool, tasks), vec![1; tasks], "{threads} threads");
        }
    }
    assert_eq!(Pool::new(0).threads(), 1);
}

#[test]
fn many_short_jobs_see_each_others_writes() {
    // Each job reads what the job before wrote without atomics that would order it: only the
    // fork and the join do.
    for threads in [2, 4] {
        let pool = Pool::new(threads);
        let mut values = vec![0u64; 64];
        for round in 1..=20_000u64 {
            let cells = Cells(values.as_mut_ptr());
            let tasks = 1 + (round % 8) as usize;
            let chunk = 64usize.div_ceil(tasks);
            pool.run(tasks, |task| {
                for i in task * chunk..((task + 1) * chunk).min(64) {
                    // SAFETY: each index belongs to one task.
                    unsafe { *cells.at(i) += round };
                }
            });
            assert!(values.iter().all(|&v| v == round * (round + 1) / 2), "round {round}");
        }
    }
}

struct Cells(*mut u64);
// SAFETY: the tests write disjoint elements.
unsafe impl Sync for Cells {}
impl Cells {
    fn at(&self, i: usize) -> *mut u64 {
        self.0.wrapping_add(i)
    }
}

#[test]
fn jobs_after_a_pause_wake_parked_workers() {
    let pool = Pool::new(3);
    for _ in 0..50 {
        thread::sleep(Duration::from_micros(300));
        assert_eq!(counts(&pool, 17), vec![1; 17]);
    }
}

#[test]
fn uneven_and_long_tasks_are_waited_for_and_shared() {
    let pool = Pool::new(2);
    for _ in 0..5 {
        let finished = AtomicUsize::new(0);
        pool.run(6, |task| {
            thread::sleep(Duration::from_millis(if task == 5 { 8 } else { 1 }));
            finished.fetch_add(1, Relaxed);
        });
        assert_eq!(finished.into_inner(), 6);
    }
    // Two tasks that wait for each other finish only if two threads run them.
    let arrived = AtomicUsize::new(0);
    pool.run(2, |_| {
        arrived.fetch_add(1, SeqCst);
        let start = Instant::now();
        while arrived.load(SeqCst) < 2 {
            thread::yield_now();
            assert!(start.elapsed() < Duration::from_secs(60), "the other thread never came");
        }
    });
}

#[test]
fn a_panic_reaches_the_caller_after_all_tasks_and_the_pool_lives_on() {
    for threads in [1, 2, 4] {
        let pool = Pool::new(threads);
        let ran = AtomicUsize::new(0);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            pool.run(100, |task| {
                ran.fetch_add(1, Relaxed);
                if task % 10 == 3 {
                    std::panic::panic_any(task);
                }
            })
        }));
        assert_eq!(caught.unwrap_err().downcast_ref::<usize>(), Some(&3));
        assert_eq!(ran.into_inner(), 100);
        assert_eq!(counts(&pool, 33), vec![1; 33]);
    }
}

#[test]
fn a_job_inside_a_task_runs_on_the_tasks_thread() {
    let pool = Pool::new(4);
    let total = AtomicUsize::new(0);
    pool.run(8, |_| {
        let outer = thread::current().id();
        pool.run(8, |_| {
            assert_eq!(thread::current().id(), outer);
            total.fetch_add(1, Relaxed);
        });
    });
    assert_eq!(total.into_inner(), 64);
}

#[test]
fn several_callers_share_a_pool() {
    let pool = Pool::new(3);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..500).for_each(|_| assert_eq!(counts(&pool, 13), vec![1; 13])));
        }
    });
}

#[test]
fn raw_tasks_get_their_context() {
    unsafe extern "C" fn square(context: *mut u8, task: usize) {
        // SAFETY: the test passes an array of 50 and each task writes its own element.
        unsafe { *context.cast::<u64>().add(task) = (task * task) as u64 };
    }
    let pool = Pool::new(2);
    let mut squares = [0u64; 50];
    // SAFETY: as `square` says.
    unsafe { pool.run_raw(50, square, squares.as_mut_ptr().cast()) };
    assert_eq!(squares, std::array::from_fn(|i| (i * i) as u64));
}

#[test]
fn pools_come_and_go_with_workers_spinning_or_parked() {
    for round in 0..40 {
        let pool = Pool::new(1 + round % 5);
        if round % 3 > 0 {
            assert_eq!(counts(&pool, 5), vec![1; 5]);
        }
        if round % 3 > 1 {
            thread::sleep(Duration::from_micros(200));
        }
    }
}

/// Run with `--release -- --ignored --nocapture` on a quiet machine.
#[test]
#[ignore = "a measurement, of nothing but the machine at that moment"]
fn fork_join_latency() {
    // Tasks that end at once measure the caller's part; those that wait for each other measure
    // how long the farthest worker takes to come.
    for (threads, meet) in [(1, false), (2, false), (2, true), (4, false)] {
        let pool = Pool::new(threads);
        let arrived = AtomicUsize::new(0);
        let mut times: Vec<Duration> = (1..=20_000)
            .map(|round| {
                let start = Instant::now();
                pool.run(threads, |_| {
                    arrived.fetch_add(1, SeqCst);
                    while meet && arrived.load(SeqCst) < round * threads {
                        spin_loop();
                    }
                });
                start.elapsed()
            })
            .collect();
        times.sort_unstable();
        let (median, late) = (times[times.len() / 2], times[times.len() * 99 / 100]);
        eprintln!("{threads} threads, meeting {meet}: {median:?} median, {late:?} at 99 %");
    }
}
