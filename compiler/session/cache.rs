//! Everything a session has compiled, and why it was.
//!
//! Graphs are kept by content, calls by what is called and for which arguments; a call leads to a
//! graph. Of more graphs than the capacity those go that were not used for the longest time, with
//! the calls that led to them. Who still holds one may go on calling it.
//!
//! Invariant: the graph of every call is kept.

use super::Compiled;
use crate::graph::{Graph, Origin};
use rustc_hash::{FxHashMap, FxHashSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tensc_runtime::{DType, Shape};

/// A function, or a region of `main`, at known sizes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Subject {
    /// The name of the function, or `region 2 of main`.
    pub name: String,
    /// Where it is written.
    pub origin: Origin,
    /// The value of each named size.
    pub sizes: Vec<(String, i64)>,
    /// Name, element type and shape of each argument.
    pub inputs: Vec<(String, DType, Shape)>,
    /// The hash of what it computes, over named sizes.
    pub identity: u128,
}

/// What was compiled for a call, and why that was necessary.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Compilation {
    /// What was compiled.
    pub subject: Subject,
    /// Why nothing that was there could be called.
    pub reason: Reason,
    /// How long it took.
    pub time: Duration,
}

/// Why something was compiled.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Nothing of this name has been compiled yet.
    First,
    /// In which respects it differs from the nearest of the same name that was compiled before.
    Differs(Vec<Difference>),
    /// It was compiled before, and dropped: by [`Session::clear`](super::Session::clear), or
    /// because so many graphs at most are kept.
    Dropped(usize),
}

/// One difference between a call and an earlier one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Difference {
    /// The value of a named size.
    Size {
        /// The name.
        name: String,
        /// Its value now.
        now: i64,
        /// Its value then.
        before: i64,
    },
    /// The type of an argument.
    Input {
        /// The parameter.
        name: String,
        /// Its type now.
        now: (DType, Shape),
        /// Its type then.
        before: (DType, Shape),
    },
    /// What the name stands for.
    Program,
}

impl fmt::Display for Compilation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Subject { name, sizes, inputs, .. } = &self.subject;
        let told: Vec<String> = match sizes.is_empty() {
            false => sizes.iter().map(|(name, size)| format!("{name} = {size}")).collect(),
            true => inputs.iter().map(|(name, ty, at)| format!("{name}: {ty}{at}")).collect(),
        };
        f.write_str(name)?;
        if !told.is_empty() {
            write!(f, " for {}", told.join(", "))?;
        }
        let differences = match &self.reason {
            Reason::First => return f.write_str(", the first time"),
            Reason::Dropped(capacity) => {
                return write!(f, ", again: it was dropped, as {capacity} graphs are kept");
            }
            Reason::Differs(differences) => differences,
        };
        let before = differences.iter().map(|difference| match difference {
            Difference::Size { name, before, .. } => format!("{name} = {before}"),
            Difference::Input { name, before: (dtype, shape), .. } => {
                format!("{name}: {dtype}{shape}")
            }
            Difference::Program => "another program".to_string(),
        });
        write!(f, ", before for {}", before.collect::<Vec<_>>().join(", "))
    }
}

impl Subject {
    /// In which respects it differs from one that was compiled.
    fn differences(&self, before: &Subject) -> Vec<Difference> {
        let sizes = self.sizes.iter().zip(&before.sizes);
        let mut all: Vec<Difference> = sizes
            .filter(|(now, before)| now.0 == before.0 && now.1 != before.1)
            .map(|((name, now), (_, before))| Difference::Size {
                name: name.clone(),
                now: *now,
                before: *before,
            })
            .collect();
        let resized = !all.is_empty();
        for ((name, dtype, shape), (_, was, had)) in self.inputs.iter().zip(&before.inputs) {
            let retyped = dtype != was || shape.rank() != had.rank();
            if retyped || (!resized && shape != had) {
                let (now, before) = ((*dtype, shape.clone()), (*was, had.clone()));
                all.push(Difference::Input { name: name.clone(), now, before });
            }
        }
        if all.is_empty() {
            all.push(Difference::Program);
        }
        all
    }
}

/// What is compiled.
#[derive(Default)]
pub(super) struct Cache {
    /// By content: one for each place in the source, that compiled first at the front.
    graphs: FxHashMap<u128, Kept>,
    calls: FxHashMap<u128, Call>,
    /// The keys of calls that were there once.
    dropped: FxHashSet<u128>,
    /// Counts uses.
    clock: u64,
}

struct Kept {
    places: Vec<Arc<Compiled>>,
    used: u64,
}

struct Call {
    compiled: Arc<Compiled>,
    /// The key of its graph.
    graph: u128,
    subject: Subject,
    used: u64,
}

/// So many keys of dropped calls are remembered.
const REMEMBERED: usize = 1 << 12;

impl Cache {
    /// Number of graphs.
    pub(super) fn len(&self) -> usize {
        self.graphs.len()
    }

    /// Everything that is kept.
    pub(super) fn compiled(&self) -> impl Iterator<Item = &Arc<Compiled>> {
        self.graphs.values().flat_map(|kept| &kept.places)
    }

    /// What a call leads to.
    pub(super) fn call(&mut self, key: u128) -> Option<Arc<Compiled>> {
        let call = self.calls.get_mut(&key)?;
        self.clock += 1;
        call.used = self.clock;
        Some(Arc::clone(&call.compiled))
    }

    /// What was compiled for this content, with the lines of this graph.
    pub(super) fn graph(
        &mut self,
        key: u128,
        graph: &Graph,
        origins: &[Origin],
    ) -> Option<Arc<Compiled>> {
        let kept = self.graphs.get_mut(&key)?;
        self.clock += 1;
        kept.used = self.clock;
        let places = &mut kept.places;
        if let Some(compiled) = places.iter().find(|compiled| compiled.origins() == origins) {
            return Some(Arc::clone(compiled));
        }
        let compiled = Arc::new(places.first()?.elsewhere(graph, origins));
        places.push(Arc::clone(&compiled));
        Some(compiled)
    }

    /// Keeps what was compiled, unless another thread was first, and drops what is too much.
    pub(super) fn keep(&mut self, key: u128, compiled: Compiled, capacity: usize) {
        self.clock += 1;
        let used = self.clock;
        let new = || Kept { places: vec![Arc::new(compiled)], used };
        self.graphs.entry(key).or_insert_with(new);
        if self.graphs.len() > capacity.max(1) {
            self.drop_oldest(key);
        }
    }

    /// Drops the graph that was not used for the longest time, by itself or in a call.
    fn drop_oldest(&mut self, but: u128) {
        let mut used: FxHashMap<u128, u64> =
            self.graphs.iter().map(|(key, kept)| (*key, kept.used)).collect();
        used.remove(&but);
        for call in self.calls.values() {
            used.entry(call.graph).and_modify(|used| *used = call.used.max(*used));
        }
        let Some((oldest, _)) = used.into_iter().min_by_key(|(key, used)| (*used, *key)) else {
            return;
        };
        self.graphs.remove(&oldest);
        let gone = self.calls.extract_if(|_, call| call.graph == oldest).map(|(key, _)| key);
        if self.dropped.len() >= REMEMBERED {
            self.dropped.clear();
        }
        self.dropped.extend(gone);
    }

    /// Keeps what a call leads to, whose graph has this key.
    pub(super) fn keep_call(
        &mut self,
        key: u128,
        (graph, compiled): (u128, &Arc<Compiled>),
        subject: Subject,
    ) {
        self.clock += 1;
        // Another thread may have filled the cache meanwhile.
        if self.graphs.contains_key(&graph) {
            let compiled = Arc::clone(compiled);
            self.calls.insert(key, Call { compiled, graph, subject, used: self.clock });
        }
    }

    /// Why a call that is not kept has to be compiled.
    pub(super) fn reason(&self, key: u128, subject: &Subject, capacity: usize) -> Reason {
        if self.dropped.contains(&key) {
            return Reason::Dropped(capacity);
        }
        let others = self.calls.values().filter(|call| call.subject.name == subject.name);
        let far = others.map(|call| {
            let another = call.subject.identity != subject.identity;
            (subject.differences(&call.subject), another, call.used)
        });
        let nearest = far.min_by_key(|(differences, another, used)| {
            (differences.len(), *another, std::cmp::Reverse(*used))
        });
        match nearest {
            Some((differences, ..)) => Reason::Differs(differences),
            None => Reason::First,
        }
    }

    /// Drops everything.
    pub(super) fn clear(&mut self) {
        self.dropped.clear();
        self.dropped.extend(self.calls.keys().take(REMEMBERED));
        self.calls.clear();
        self.graphs.clear();
    }
}
