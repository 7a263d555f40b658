//! The rewrite rules, as tables: one file a phase, one row a rule.
//!
//! A [`Rule`] has a name, the loosest numerics it is true under, its side condition in words, and
//! an action: a pair of terms for what elementwise algebra can say, or a function of a `Site` for
//! what depends on shapes and axes. The class of the rules is chosen *before* saturation: an
//! unsound union cannot be filtered out afterwards, because it has merged what is not equal.
//!
//! `spec/rewrites.md` lists every rule; a test keeps it so.

pub mod algebra;
pub mod contraction;
pub mod finite;
pub mod movement;
pub mod pattern;
pub mod reassoc;
pub mod stabilise;

use super::language::{ENode, Kind};
use super::site::Site;
use pattern::Bound;
use std::fmt;

/// How far the result may differ from the graph as it was written. Each class holds the rules of
/// those before it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default)]
pub enum Numerics {
    /// The same bits, NaN payloads apart, where reductions add up in the same order.
    Exact,
    /// At least as accurate: fewer roundings, less overflow, less cancellation. Sums may run in
    /// another order.
    #[default]
    Stable,
    /// Real arithmetic with roundings of the same size: associativity, distributivity.
    Reassoc,
    /// As if nothing were infinite or NaN and zero had no sign.
    Finite,
    /// Errors of a few units in the last place for speed.
    Approx,
}

impl Numerics {
    /// Every class, strictest first.
    pub const ALL: [Numerics; 5] =
        [Numerics::Exact, Numerics::Stable, Numerics::Reassoc, Numerics::Finite, Numerics::Approx];
    /// The name in options and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Numerics::Exact => "exact",
            Numerics::Stable => "stable",
            Numerics::Reassoc => "reassoc",
            Numerics::Finite => "finite",
            Numerics::Approx => "approx",
        }
    }
    /// The class of this name.
    pub fn from_name(name: &str) -> Option<Numerics> {
        Numerics::ALL.into_iter().find(|n| n.name() == name)
    }
}

impl fmt::Display for Numerics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// When a rule has its turn. A phase runs its own rules and those of the phases before it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Phase {
    /// Elementwise identities.
    Algebra,
    /// Transposes, reshapes, broadcasts and slices: composed, cancelled, pushed, absorbed.
    Movement,
    /// Sums and products to contractions; contractions simplified.
    Contraction,
    /// Formulas that overflow or cancel to ones that do not.
    Stabilise,
    /// Associativity, distributivity, and what else changes roundings.
    Reassociate,
    /// Elementwise work joined into one node; after extraction has chosen what to store.
    Fuse,
}

impl Phase {
    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Algebra => "algebra",
            Phase::Movement => "movement",
            Phase::Contraction => "contraction",
            Phase::Stabilise => "stabilise",
            Phase::Reassociate => "reassociate",
            Phase::Fuse => "fuse",
        }
    }
}

/// A side condition, in words and as a test of what the variables stand for.
#[derive(Clone, Copy)]
pub struct Condition {
    /// For the tables; empty where there is none.
    pub words: &'static str,
    /// Whether it holds.
    pub holds: fn(&Site<'_>, &Bound) -> bool,
}

/// What a rule does.
#[derive(Clone, Copy)]
pub enum Act {
    /// Wherever `left` is found, `right` is equal. Terms are elementwise operations on variables
    /// `?x` and numbers; a number stands for a tensor of it. Operands of commutative operations
    /// match in both orders.
    Terms {
        /// What is looked for.
        left: &'static str,
        /// What is as good.
        right: &'static str,
        /// When.
        when: Condition,
    },
    /// Looks at every e-node of these kinds.
    Code {
        /// The kinds.
        roots: &'static [Kind],
        /// In words, the side condition.
        when: &'static str,
        /// Emits what is as good.
        find: fn(&mut Site<'_>, &ENode),
    },
    /// Applied by the fusion phase itself, along the choices of extraction.
    Fusion,
}

/// A rewrite rule.
#[derive(Clone, Copy)]
pub struct Rule {
    /// Its name: unique, in kebab case.
    pub name: &'static str,
    /// The strictest class it belongs to.
    pub class: Numerics,
    /// When it has its turn.
    pub phase: Phase,
    /// One line: what it does or why.
    pub doc: &'static str,
    /// What it does.
    pub act: Act,
    /// Extraction avoids what it replaces, whatever the cost: the replacement is better numerics.
    pub supersedes: bool,
}

impl Rule {
    /// The same rule, whose left side extraction avoids.
    const fn superseding(self) -> Rule {
        Rule { supersedes: true, ..self }
    }
    /// The side condition in words.
    pub fn when(&self) -> &'static str {
        match self.act {
            Act::Terms { when, .. } => when.words,
            Act::Code { when, .. } => when,
            Act::Fusion => "",
        }
    }
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rule({})", self.name)
    }
}

/// A row that replaces one term by another.
const fn terms(
    (phase, class): (Phase, Numerics),
    name: &'static str,
    left: &'static str,
    right: &'static str,
    when: Condition,
    doc: &'static str,
) -> Rule {
    let act = Act::Terms { left, right, when };
    Rule { name, class, phase, doc, act, supersedes: false }
}

/// A row that looks at e-nodes of some kinds.
const fn code(
    (phase, class): (Phase, Numerics),
    name: &'static str,
    roots: &'static [Kind],
    find: fn(&mut Site<'_>, &ENode),
    when: &'static str,
    doc: &'static str,
) -> Rule {
    let act = Act::Code { roots, when, find };
    Rule { name, class, phase, doc, act, supersedes: false }
}

/// Every rule, by phase.
pub fn all() -> impl Iterator<Item = &'static Rule> {
    let tables: [&'static [Rule]; 7] = [
        algebra::RULES,
        movement::RULES,
        contraction::RULES,
        stabilise::RULES,
        reassoc::RULES,
        finite::RULES,
        super::fusion::RULES,
    ];
    tables.into_iter().flatten()
}
