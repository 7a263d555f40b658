//! A collection: its folder, its cases, what became of each.
//!
//! A case is a name and a function that judges it; cases run on two threads, each with a session of
//! its own, and a panic of one is an error of that one.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use tensc::Session;
use tensc::session::Options;

/// One case.
pub struct Case {
    /// What the collection calls it.
    pub name: String,
    /// Translates, runs and compares.
    pub judge: Box<dyn Fn(&Session) -> Result<(), Fault> + Send + Sync>,
}

/// Why a case does not pass.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    /// The adapter or the language does not know this; no answer was given.
    Unsupported(String),
    /// An answer that is not the expected one.
    Mismatch(String),
    /// No answer where there should be one.
    Error(String),
}

/// Runs the collection of this name, if it is there; fails where an answer is wrong or missing.
pub fn run(name: &str, cases: fn(&Path) -> Vec<Case>) {
    let root = root();
    let Some(folder) = folder(&root, name) else {
        println!("{name}: not in {}", root.display());
        return;
    };
    check(name, cases(&folder));
}

/// Where the collections are.
pub fn root() -> PathBuf {
    let root = std::env::var_os("TENSC_CONFORMANCE");
    PathBuf::from(root.expect("TENSC_CONFORMANCE names the folder of the collections"))
}

/// Runs the cases that are asked for and reports; fails where an answer is wrong or missing.
pub fn check(name: &str, mut cases: Vec<Case>) {
    let only = std::env::var("TENSC_CONFORMANCE_ONLY").unwrap_or_default();
    cases.retain(|case| case.name.contains(&only));
    let faults = judged(&cases);
    print!("{}", report(name, &cases, &faults));
    let wrong = |fault: &&Fault| !matches!(fault, Fault::Unsupported(_));
    let wrong = faults.iter().flatten().filter(wrong).count();
    assert_eq!(wrong, 0, "{name}: {wrong} cases are wrong or have no answer");
}

/// `ROOT/NAME` or `ROOT/NAME/NAME`.
fn folder(root: &Path, name: &str) -> Option<PathBuf> {
    let outer = root.join(name);
    let inner = outer.join(name);
    [inner, outer].into_iter().find(|path| path.is_dir())
}

/// What is wrong with each case, in their order.
fn judged(cases: &[Case]) -> Vec<Option<Fault>> {
    let next = AtomicUsize::new(0);
    let faults: Mutex<Vec<Option<Fault>>> = Mutex::new(vec![None; cases.len()]);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let session = Session::new(Options { threads: 1, ..Options::default() });
                while let Some((i, case)) = take(&next, cases) {
                    let found = catch_unwind(AssertUnwindSafe(|| (case.judge)(&session)));
                    let found = found.unwrap_or_else(|panic| Err(Fault::Error(message(&*panic))));
                    faults.lock().expect("no thread panics with it")[i] = found.err();
                }
            });
        }
    });
    faults.into_inner().expect("no thread panics with it")
}

fn take<'a>(next: &AtomicUsize, cases: &'a [Case]) -> Option<(usize, &'a Case)> {
    let i = next.fetch_add(1, Ordering::Relaxed);
    cases.get(i).map(|case| (i, case))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
    format!("panic: {text}")
}

/// What did not pass, a line for each reason, and the line that counts.
fn report(name: &str, cases: &[Case], faults: &[Option<Fault>]) -> String {
    let mut groups: BTreeMap<&Fault, Vec<&str>> = BTreeMap::new();
    let [mut unsupported, mut mismatched, mut errors] = [0; 3];
    for (case, fault) in cases.iter().zip(faults) {
        let Some(fault) = fault else { continue };
        match fault {
            Fault::Unsupported(_) => unsupported += 1,
            Fault::Mismatch(_) => mismatched += 1,
            Fault::Error(_) => errors += 1,
        }
        groups.entry(fault).or_default().push(&case.name);
    }
    let mut text = String::new();
    for (fault, names) in groups {
        let (kind, why) = match fault {
            Fault::Unsupported(why) => ("unsupported", why),
            Fault::Mismatch(why) => ("mismatched", why),
            Fault::Error(why) => ("error", why),
        };
        text += &format!("{kind}: {}: {why}\n", names.join(", "));
    }
    let passed = cases.len() - unsupported - mismatched - errors;
    text += &format!(
        "{name}: {passed} passed, {unsupported} unsupported, {mismatched} mismatched, \
         {errors} errors, of {}\n",
        cases.len()
    );
    text
}
