//! Rewriting: a concrete graph to an equal one that costs less, by equality saturation.
//!
//! Loops are tidied first (`blocks`, `loops`): what does not fit an e-graph, whose terms have no
//! steps. The graph becomes an e-graph (`language`, `analysis`, `convert`). Rules (`rules`, run by
//! `search`) add equal terms, phase after phase, within limits that are counts. Extraction
//! (`extract`) chooses an e-node for each class and, together with it, what to store and what to
//! recompute inside the expressions that use it (`improve`, by the roofline of `cost`). Fusion
//! (`fusion`) then joins elementwise work, views and reductions into `Fused` e-nodes along that
//! plan, and the plan becomes a graph again.
//!
//! Invariants: the result computes the outputs of the input, within the [`Numerics`] asked for; its
//! inputs and outputs are the same, by name, order and type; it is never costlier than the input,
//! or it *is* the input; the same graph and options give the same result everywhere.
//!
//! Neighbours: below, `graph`. Above, `kernel` lowers the result. `explain` tells what was done.

pub mod analysis;
mod blocks;
mod convert;
pub mod cost;
pub mod explain;
mod extract;
mod fusion;
mod improve;
mod interval;
mod lambda;
pub mod language;
mod loops;
mod proof;
pub mod rules;
mod search;
mod site;
#[cfg(test)]
mod tests;

pub use cost::Machine;
pub use explain::{Applied, Choice, Limit, LoopNote, Proof, Report, Step};
pub use rules::{Numerics, Phase, Rule};

use crate::graph::{Graph, verify};
use analysis::{Analysis, EGraph};
use convert::{Loaded, Origins};
use egg::{BackoffScheduler, Rewrite, Runner, StopReason};
use explain::PhaseReport;
use extract::Problem;
use language::ENode;
use std::time::{Duration, Instant};

/// What rewriting may do, and how much.
#[derive(Clone, Debug)]
pub struct Options {
    /// How far results may differ.
    pub numerics: Numerics,
    /// E-nodes that a phase may add before it stops.
    pub nodes: usize,
    /// Rounds of rules after which a phase stops.
    pub iterations: usize,
    /// Only these rules, where given.
    pub only: Option<Vec<&'static str>>,
    /// Whether expressions are fused.
    pub fuse: bool,
    /// Whether to prove every change: slower, with the same result.
    pub explain: bool,
    /// The machine that costs are of.
    pub machine: Machine,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            numerics: Numerics::default(),
            nodes: 10_000,
            iterations: 30,
            only: None,
            fuse: true,
            explain: false,
            machine: Machine::default(),
        }
    }
}

impl Options {
    /// The default, of another class of numerics.
    pub fn of(numerics: Numerics) -> Options {
        Options { numerics, ..Options::default() }
    }

    fn allows(&self, rule: &Rule) -> bool {
        rule.class <= self.numerics
            && self.only.as_ref().is_none_or(|only| only.contains(&rule.name))
    }
}

/// The phases that saturate, in order.
const PHASES: [Phase; 5] =
    [Phase::Algebra, Phase::Movement, Phase::Contraction, Phase::Stabilise, Phase::Reassociate];

/// An equal graph that costs less, and what was done. Panics where sizes are not all known.
pub fn optimise(graph: &Graph, options: &Options) -> (Graph, Report) {
    assert!(graph.is_concrete(), "sizes are known before rewriting");
    let graph = &*graph.written_out();
    let reorders = options.numerics > Numerics::Exact;
    let mut notes = Vec::new();
    let cut = if reorders { blocks::cut(graph, &mut notes) } else { None };
    let graph = cut.as_ref().unwrap_or(graph);
    let tidied = loops::tidy(graph, options, &mut notes);
    let (result, report) = saturated(tidied.as_ref().unwrap_or(graph), options);
    (result, Report { loops: notes, ..report })
}

/// As [`optimise`], for a graph whose loops are tidy.
fn saturated(graph: &Graph, options: &Options) -> (Graph, Report) {
    let mut report = Report { cost_before: options.machine.graph(graph), ..Report::default() };
    let mut loaded = convert::load(graph, options.explain);
    for phase in PHASES {
        saturate(&mut loaded, phase, options, &mut report);
    }
    let result = extract(graph, &mut loaded, options, &mut report);
    report.collect(graph, &loaded);
    let kept = match result {
        _ if loaded.egraph.analysis.broken.is_some() => Err(loaded.egraph.analysis.broken.take()),
        Ok(result) => {
            report.cost_after = options.machine.graph(&result);
            let stabler = !loaded.egraph.analysis.superseded.is_empty();
            if report.cost_after > report.cost_before && !stabler { Err(None) } else { Ok(result) }
        }
        Err(message) => {
            debug_assert!(false, "extraction made a wrong graph: {message}");
            Err(Some(message))
        }
    };
    match kept {
        Ok(result) => (result, report),
        Err(why) => {
            report.cost_after = report.cost_before;
            report.kept_input = Some(why.unwrap_or_else(|| "nothing cheaper was found".into()));
            (graph.clone(), report)
        }
    }
}

/// Runs the rules up to a phase until nothing changes or a limit is reached. Each phase has limits
/// of its own, so that what an earlier one finds in one part of a graph takes none from the others.
fn saturate(loaded: &mut Loaded, phase: Phase, options: &Options, report: &mut Report) {
    let start = Instant::now();
    let own = rules::all().any(|r| r.phase == phase && options.allows(r));
    if !own || loaded.egraph.analysis.broken.is_some() {
        return;
    }
    let root = loaded.root;
    let egraph = std::mem::replace(&mut loaded.egraph, EGraph::new(Analysis::default()));
    let size = egraph.total_size();
    let runner = Runner::<ENode, Analysis>::new(Analysis::default())
        .with_egraph(egraph)
        .with_node_limit(size.saturating_add(options.nodes))
        .with_iter_limit(options.iterations)
        .with_time_limit(Duration::MAX)
        .with_scheduler(BackoffScheduler::default());
    let runner = with_rewrites(|rewrites| {
        let enabled =
            rewrites.iter().filter(|(rule, _)| rule.phase <= phase && options.allows(rule));
        runner.run(enabled.map(|(_, rewrite)| rewrite))
    });
    report.iterations += runner.iterations.len();
    report.phases.push(PhaseReport {
        name: phase.name(),
        iterations: runner.iterations.len(),
        nodes: runner.egraph.total_number_of_nodes(),
        time: start.elapsed(),
        limit: match runner.stop_reason {
            Some(StopReason::NodeLimit(_)) => Some(Limit::Nodes),
            Some(StopReason::IterationLimit(_)) => Some(Limit::Rounds),
            _ => None,
        },
    });
    loaded.egraph = runner.egraph;
    loaded.root = root;
}

/// Extracts a plan, fuses along it, and makes the graph.
fn extract(
    graph: &Graph,
    loaded: &mut Loaded,
    options: &Options,
    report: &mut Report,
) -> Result<Graph, String> {
    let start = Instant::now();
    report.nodes = loaded.egraph.total_number_of_nodes();
    report.classes = loaded.egraph.number_of_classes();
    let problem = Problem::new(&loaded.egraph, loaded.root, &loaded.original(), &options.machine);
    let choice = extract::greedy(&problem);
    let mut plan = improve::improve(&problem, choice);
    if !options.fuse {
        plan.stored.fill(true);
    }
    report.phases.push(PhaseReport {
        name: "extract",
        iterations: 1,
        nodes: problem.classes.len(),
        time: start.elapsed(),
        limit: None,
    });

    let start = Instant::now();
    let expressions = if options.fuse {
        let made = fusion::fuse(&mut loaded.egraph, &problem, &plan);
        loaded.egraph.rebuild();
        report.decide(graph, loaded, &problem, &plan);
        made
    } else {
        vec![None; problem.classes.len()]
    };
    if options.explain {
        report.proofs = proof::proofs(graph, loaded, &problem, &plan, &expressions);
    }
    let origins = Origins::new(loaded, graph);
    let result = convert::emit(graph, &problem, &plan, &expressions, &origins)
        .map_err(|error| error.message)?;
    report.phases.push(PhaseReport {
        name: Phase::Fuse.name(),
        iterations: 1,
        nodes: loaded.egraph.total_number_of_nodes(),
        time: start.elapsed(),
        limit: None,
    });
    verify(&result).map_err(|broken| broken.to_string())?;
    let types = |g: &Graph| -> Vec<_> {
        g.outputs().iter().map(|(name, n)| (name.clone(), g.ty(*n).clone())).collect()
    };
    if types(graph) != types(&result) {
        return Err("an output changed its type".into());
    }
    Ok(result)
}

/// Every rule as egg runs it, made once a thread: a rewrite carries what its last search found.
fn with_rewrites<R>(run: impl FnOnce(&[(&'static Rule, Rewrite<ENode, Analysis>)]) -> R) -> R {
    thread_local! {
        static REWRITES: Vec<(&'static Rule, Rewrite<ENode, Analysis>)> = rules::all()
            .filter_map(|rule| search::rewrite(rule).map(|rewrite| (rule, rewrite)))
            .collect();
    }
    REWRITES.with(|rewrites| run(rewrites))
}
