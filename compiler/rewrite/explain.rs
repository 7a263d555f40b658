//! What rewriting did: which rules, where, how often, at what cost; and why a value is stored or
//! recomputed.

use super::convert::{Loaded, Origins};
use super::extract::Problem;
use super::improve::{self, Plan};
use super::rules;
use crate::diag::Span;
use crate::graph::Graph;
use rustc_hash::FxHashMap;
use std::fmt;
use std::time::Duration;

/// The applications of one rule.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Applied {
    /// The rule.
    pub rule: &'static str,
    /// How often it changed something.
    pub count: usize,
    /// Where: the expressions that its left sides come from, in order of the source.
    pub spans: Vec<Span>,
}

/// A phase of rewriting.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PhaseReport {
    /// Its name.
    pub name: &'static str,
    /// Rounds of rules.
    pub iterations: usize,
    /// E-nodes at its end.
    pub nodes: usize,
    /// How long it took.
    pub time: Duration,
    /// What ended it before nothing was new.
    pub limit: Option<Limit>,
}

/// A limit of a phase that saturates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limit {
    /// [`Options::nodes`](super::Options).
    Nodes,
    /// [`Options::iterations`](super::Options).
    Rounds,
}

/// What was done to a loop before rewriting, or what became one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoopNote {
    /// Where it was written.
    pub span: Option<Span>,
    /// In words, without a full stop.
    pub what: String,
}

/// Why a value with several users is stored, or computed in each of them.
#[derive(Clone, PartialEq, Debug)]
pub struct Choice {
    /// What the value is: its operation and type.
    pub value: String,
    /// Where it was written.
    pub span: Option<Span>,
    /// How many users it has.
    pub uses: usize,
    /// Whether it is stored.
    pub stored: bool,
    /// Nanoseconds of the whole graph with it stored.
    pub cost_stored: f64,
    /// Nanoseconds of the whole graph with it recomputed.
    pub cost_recomputed: f64,
}

/// Why an output of the result is equal to that of the graph that was given.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proof {
    /// The name of the output.
    pub output: String,
    /// From the graph that was given to the result; steps that an earlier output has are left out.
    pub steps: Vec<Step>,
}

/// A step of a proof: one rule, used once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Step {
    /// The rule, or the reason `fold-constant`.
    pub rule: &'static str,
    /// Whether it was used from right to left.
    pub backward: bool,
    /// The term that the step gives, its operands in short.
    pub term: String,
}

/// What [`optimise`](super::optimise) did.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Report {
    /// Rounds of rules, over all phases.
    pub iterations: usize,
    /// E-nodes after saturation.
    pub nodes: usize,
    /// Classes after saturation.
    pub classes: usize,
    /// Rules that changed something, most often first.
    pub applied: Vec<Applied>,
    /// Nanoseconds, estimated, of the graph that was given.
    pub cost_before: f64,
    /// Nanoseconds, estimated, of the result.
    pub cost_after: f64,
    /// Phases in order.
    pub phases: Vec<PhaseReport>,
    /// Loops that were made, joined or made smaller, those inside of others first.
    pub loops: Vec<LoopNote>,
    /// Values with several users: stored or recomputed, and why.
    pub choices: Vec<Choice>,
    /// With [`Options::explain`](super::Options): a proof for each output.
    pub proofs: Vec<Proof>,
    /// Why the result is the graph that was given, where it is.
    pub kept_input: Option<String>,
}

impl Report {
    /// How often a rule changed something.
    pub fn count(&self, rule: &str) -> usize {
        self.applied.iter().find(|a| a.rule == rule).map_or(0, |a| a.count)
    }

    /// Time of all phases.
    pub fn time(&self) -> Duration {
        self.phases.iter().map(|p| p.time).sum()
    }

    /// Gathers the applications that the e-graph noted.
    pub(super) fn collect(&mut self, graph: &Graph, loaded: &Loaded) {
        let origins = Origins::new(loaded, graph);
        let mut by_rule: FxHashMap<&'static str, Applied> = FxHashMap::default();
        for &(rule, class) in &loaded.egraph.analysis.applied {
            let entry = by_rule.entry(rule);
            let applied = entry.or_insert_with(|| Applied { rule, count: 0, spans: Vec::new() });
            applied.count += 1;
            applied.spans.extend(origins.of(class).span);
        }
        self.applied = by_rule.into_values().collect();
        for applied in &mut self.applied {
            applied.spans.sort_unstable();
            applied.spans.dedup();
        }
        self.applied.sort_by_key(|a| (std::cmp::Reverse(a.count), a.rule));
    }

    /// Notes why values are stored or not.
    pub(super) fn decide(
        &mut self,
        graph: &Graph,
        loaded: &Loaded,
        problem: &Problem,
        plan: &Plan,
    ) {
        let origins = Origins::new(loaded, graph);
        for decision in improve::decisions(problem, plan) {
            let class = problem.class(decision.class);
            let chosen = &class.alternatives[plan.choice[decision.class as usize] as usize];
            let name = chosen.node.op().map_or("input", |op| op.name());
            self.choices.push(Choice {
                value: format!("{name}: {}", class.ty),
                span: origins.of(class.id).span,
                uses: decision.uses,
                stored: decision.stored,
                cost_stored: decision.cost_stored,
                cost_recomputed: decision.cost_recomputed,
            });
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (done, took, instead, other) = if self.stored {
            ("stored", self.cost_stored, "recomputing it", self.cost_recomputed)
        } else {
            ("recomputed", self.cost_recomputed, "storing it", self.cost_stored)
        };
        write!(
            f,
            "{done} {} for its {} users: {:.2} us; {instead} would make it {:.2} us",
            self.value,
            self.uses,
            took / 1e3,
            other / 1e3,
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let us = |ns: f64| ns / 1e3;
        writeln!(
            f,
            "{} e-nodes in {} classes after {} rounds; {:.2} us -> {:.2} us (estimated)",
            self.nodes,
            self.classes,
            self.iterations,
            us(self.cost_before),
            us(self.cost_after),
        )?;
        if let Some(why) = &self.kept_input {
            writeln!(f, "the graph stays as it is: {why}")?;
        }
        for applied in &self.applied {
            let doc = rules::all().find(|r| r.name == applied.rule).map_or("", |r| r.doc);
            writeln!(f, "{:>5} x {:<24} {doc}", applied.count, applied.rule)?;
        }
        for note in &self.loops {
            writeln!(f, "{}", note.what)?;
        }
        for choice in &self.choices {
            writeln!(f, "{choice}")?;
        }
        Ok(())
    }
}
