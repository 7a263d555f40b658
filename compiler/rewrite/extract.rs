//! Extraction: one e-node for each class that the outputs need, by the cost of the whole DAG.
//!
//! [`Problem`] is the e-graph pruned to what the root reaches, with dense numbers and each e-node's
//! [`Role`]. [`greedy`] fills in choices bottom up: the cost of a class is that of the *set* of
//! classes under it (a bitset), so that what is shared is paid for once. The choice is a starting
//! point: `improve` weighs it together with what to store, with the exact cost.
//!
//! Invariant: choices are acyclic.

use super::analysis::EGraph;
use super::cost::{Machine, Work, elements, fusible};
use super::language::{ENode, Kind, Symbol};
use crate::graph::{Op, TensorType};
use egg::Id;
use rustc_hash::{FxHashMap, FxHashSet};
use smallvec::SmallVec;
use std::sync::Arc;

/// A class of a [`Problem`], by its dense number.
pub type ClassNumber = u32;

/// What becomes of an e-node when it is chosen.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Role {
    /// An input or a constant: nothing to do.
    Source,
    /// A scalar expression of its operands, or a view of its operand: units of arithmetic an
    /// element.
    Inline {
        /// Units for each element.
        units: f64,
        /// Reads its operand against the order of memory.
        strided: bool,
        /// Stored, it is its operand's memory under another shape.
        alias: bool,
    },
    /// Combines what it reads; its operand may be an expression.
    Reduce,
    /// The operand's memory under another shape, which no expression reads through.
    Alias,
    /// A product, which may go on to compute what is done with its elements.
    Product(Work),
    /// A kernel of its own.
    Solid(Work),
}

/// An e-node to choose.
#[derive(Clone, Debug)]
pub struct Alternative {
    /// The e-node.
    pub node: ENode,
    /// Its operands.
    pub children: SmallVec<[ClassNumber; 4]>,
    /// What becomes of it.
    pub role: Role,
    /// Added to the cost where it is chosen: large for what a stabler formula replaces.
    pub penalty: f64,
}

/// A class to choose an e-node for.
#[derive(Clone, Debug)]
pub struct Class {
    /// Its id in the e-graph.
    pub id: Id,
    /// Its type.
    pub ty: Arc<TensorType>,
    /// Every element is one known value: an expression has it for nothing.
    pub constant: bool,
    /// Number of elements.
    pub elements: f64,
    /// Time to read or write it once.
    pub traffic: f64,
    /// The same where rows wait in the nearest cache for who reads them.
    pub row_traffic: f64,
    /// What to choose from, the e-node of the original graph first.
    pub alternatives: Vec<Alternative>,
}

/// What extraction chooses from.
pub struct Problem {
    /// Classes that the outputs reach; operands may have larger numbers than their users.
    pub classes: Vec<Class>,
    /// The outputs.
    pub outputs: Vec<ClassNumber>,
    /// The machine that costs are of.
    pub machine: Machine,
}

/// The cost of doing what a stabler formula replaces.
const SUPERSEDED: f64 = 1e9;

/// More e-nodes than this of one class are not looked at.
const MOST_ALTERNATIVES: usize = 12;

impl Problem {
    /// The problem of the e-graph under `root`. `original` holds the e-nodes of the graph as it
    /// was.
    pub fn new(
        egraph: &EGraph,
        root: Id,
        original: &FxHashSet<ENode>,
        machine: &Machine,
    ) -> Problem {
        let canonical = |n: &ENode| {
            let mut n = n.clone();
            n.children.iter_mut().for_each(|c| *c = egraph.find(*c));
            n
        };
        let superseded: FxHashSet<ENode> =
            egraph.analysis.superseded.iter().map(canonical).collect();
        let mut numbering = Numbering { egraph, numbers: FxHashMap::default(), order: Vec::new() };
        let outputs = egraph[root]
            .nodes
            .iter()
            .find(|n| n.kind() == Kind::Outputs)
            .expect("the root holds the outputs");
        let outputs: Vec<ClassNumber> =
            outputs.children.iter().map(|&c| numbering.number(c)).collect();
        let mut classes = Vec::new();
        let mut next = 0;
        while next < numbering.order.len() {
            let id = numbering.order[next];
            next += 1;
            let class = &egraph[id];
            let facts = &class.data;
            // A class known to be constant may have no constant among its e-nodes.
            let constant_form = facts.constant.is_some()
                && class.nodes.iter().any(|n| n.kind() != Kind::Fused && is_constant_form(n));
            let mut alternatives: Vec<Alternative> = class
                .nodes
                .iter()
                // `improve` weighs what rules fused; what came fused is a kernel like any other.
                .filter(|n| n.kind() != Kind::Fused || original.contains(n))
                .filter(|n| n.children.iter().all(|&c| egraph.find(c) != id))
                .filter(|n| !constant_form || is_constant_form(n))
                .map(|n| Alternative {
                    node: n.clone(),
                    children: SmallVec::new(),
                    role: role(egraph, n, &facts.ty, machine),
                    penalty: if superseded.contains(n) { SUPERSEDED } else { 0.0 },
                })
                .collect();
            alternatives.sort_by_key(|a| (a.penalty > 0.0, !original.contains(&a.node)));
            alternatives.truncate(MOST_ALTERNATIVES);
            for alternative in &mut alternatives {
                alternative.children =
                    alternative.node.children.iter().map(|&c| numbering.number(c)).collect();
            }
            classes.push(Class {
                id,
                ty: Arc::clone(&facts.ty),
                constant: facts.constant.is_some(),
                elements: elements(&facts.ty),
                traffic: machine.traffic(&facts.ty),
                row_traffic: machine.row_traffic(&facts.ty),
                alternatives,
            });
        }
        let mut problem = Problem { classes, outputs, machine: machine.clone() };
        problem.drop_endless();
        problem
    }

    /// Drops e-nodes that lead around in circles only: what would end their classes in sources may
    /// be among the e-nodes that are not looked at.
    fn drop_endless(&mut self) {
        let mut ends = vec![false; self.classes.len()];
        let does = |ends: &[bool], alternative: &Alternative| {
            alternative.children.iter().all(|&child| ends[child as usize])
        };
        let mut changed = true;
        while changed {
            changed = false;
            for (at, class) in self.classes.iter().enumerate().rev() {
                if !ends[at] && class.alternatives.iter().any(|a| does(&ends, a)) {
                    ends[at] = true;
                    changed = true;
                }
            }
        }
        for class in &mut self.classes {
            class.alternatives.retain(|alternative| does(&ends, alternative));
        }
    }

    /// The class.
    pub fn class(&self, number: ClassNumber) -> &Class {
        &self.classes[number as usize]
    }
}

struct Numbering<'a> {
    egraph: &'a EGraph,
    numbers: FxHashMap<Id, ClassNumber>,
    order: Vec<Id>,
}

impl Numbering<'_> {
    fn number(&mut self, id: Id) -> ClassNumber {
        let id = self.egraph.find(id);
        *self.numbers.entry(id).or_insert_with(|| {
            self.order.push(id);
            (self.order.len() - 1) as ClassNumber
        })
    }
}

fn is_constant_form(node: &ENode) -> bool {
    match node.op() {
        Some(Op::Const(_) | Op::Size(..)) => true,
        Some(Op::Broadcast { axes, .. }) => axes.is_empty(),
        _ => false,
    }
}

fn role(egraph: &EGraph, node: &ENode, ty: &TensorType, machine: &Machine) -> Role {
    let op = match node.shared.symbol() {
        Symbol::Input(..) | Symbol::Outputs => return Role::Source,
        Symbol::Op(op) => op,
    };
    let operands: SmallVec<[&TensorType; 3]> =
        node.children.iter().map(|&c| &*egraph[c].data.ty).collect();
    match op {
        Op::Input(_) | Op::Const(_) | Op::Literal(_) | Op::Size(..) => Role::Source,
        Op::Reduce(..) => Role::Reduce,
        Op::Contract(_) => Role::Product(machine.operation(op, &operands, ty)),
        _ => match fusible(op, operands.first().copied(), ty) {
            Some(units) => {
                let strided = match op {
                    Op::Transpose(perm) => {
                        perm.last().is_some_and(|&p| usize::from(p) + 1 != perm.len())
                    }
                    _ => false,
                };
                Role::Inline { units, strided, alias: matches!(op, Op::Reshape(_)) }
            }
            None if matches!(op, Op::Reshape(_)) => Role::Alias,
            None => Role::Solid(machine.operation(op, &operands, ty)),
        },
    }
}

/// Classes that the sets of all e-nodes to choose from may have together, before each is as dear as
/// its tree.
const MOST_MEMBERS: usize = 8_000_000;

/// The cheapest choice, bottom up. Panics where a class has no e-node that ends in sources, which
/// no e-graph made from a graph has.
pub fn greedy(problem: &Problem) -> Vec<u8> {
    let n = problem.classes.len();
    let words = n.div_ceil(64);
    let weights: Vec<Vec<f64>> = (0..n).map(|c| weights(problem, c)).collect();
    let numbers = problem.classes.iter().map(|class| class.alternatives.len());
    if numbers.filter(|&number| number > 1).sum::<usize>().saturating_mul(n) > MOST_MEMBERS {
        return by_trees(problem, &weights);
    }
    let mut best: Vec<Option<Best>> = vec![None; n];
    let mut changed = true;
    let mut union = vec![0u64; words];
    while changed {
        changed = false;
        // Operands tend to have larger numbers, so this order settles in a few passes.
        for c in (0..n).rev() {
            for (a, alternative) in problem.classes[c].alternatives.iter().enumerate() {
                union.fill(0);
                let mut known = true;
                for &child in &alternative.children {
                    let Some(under) = &best[child as usize] else {
                        known = false;
                        break;
                    };
                    union.iter_mut().zip(&under.set).for_each(|(u, w)| *u |= w);
                }
                if !known || union[c / 64] & (1 << (c % 64)) != 0 {
                    continue;
                }
                // Where there is nothing to choose from, nobody asks for the cost.
                let chosen =
                    |m: usize| best[m].as_ref().map_or(0.0, |b| weights[m][b.choice as usize]);
                let cost = match problem.classes[c].alternatives.len() {
                    1 => 0.0,
                    _ => members(&union).map(chosen).sum::<f64>() + weights[c][a],
                };
                let better = match &best[c] {
                    None => true,
                    Some(b) => cost < b.cost - 1e-9 && !reaches(problem, &best, alternative, c),
                };
                if better {
                    union[c / 64] |= 1 << (c % 64);
                    best[c] = Some(Best { cost, choice: a as u8, set: union.clone() });
                    changed = true;
                }
            }
        }
    }
    let choice = |b: Option<Best>| b.map_or(0, |b| b.choice);
    best.into_iter().map(choice).collect()
}

/// The cheapest choice where what is shared is paid for by everybody: for graphs of which there are
/// too many sets to look at. Costs fall only, so choices have no circles.
fn by_trees(problem: &Problem, weights: &[Vec<f64>]) -> Vec<u8> {
    let mut best: Vec<Option<(f64, u8)>> = vec![None; problem.classes.len()];
    let mut changed = true;
    while changed {
        changed = false;
        for (c, class) in problem.classes.iter().enumerate().rev() {
            for (a, alternative) in class.alternatives.iter().enumerate() {
                let below = alternative.children.iter().map(|&child| best[child as usize]);
                let below: Option<f64> = below.map(|best| Some(best?.0)).sum();
                let Some(cost) = below.map(|below| below + weights[c][a]) else { continue };
                if best[c].is_none_or(|(least, _)| cost < least - 1e-9 * least.abs()) {
                    best[c] = Some((cost, a as u8));
                    changed = true;
                }
            }
        }
    }
    best.into_iter().map(|best| best.map_or(0, |(_, choice)| choice)).collect()
}

/// Whether the choices made so far lead from the e-node to the class. The sets do not tell: a set
/// is not made anew when a choice under it changes.
fn reaches(problem: &Problem, best: &[Option<Best>], from: &Alternative, class: usize) -> bool {
    let mut seen = vec![false; best.len()];
    let mut stack: SmallVec<[ClassNumber; 32]> = from.children.iter().copied().collect();
    while let Some(at) = stack.pop() {
        let at = at as usize;
        if at == class {
            return true;
        }
        if !std::mem::replace(&mut seen[at], true) {
            let chosen = best[at].as_ref().expect("operands are chosen before their users").choice;
            let chosen = &problem.classes[at].alternatives[usize::from(chosen)];
            stack.extend(chosen.children.iter().copied());
        }
    }
    false
}

#[derive(Clone)]
struct Best {
    cost: f64,
    choice: u8,
    set: Vec<u64>,
}

fn members(set: &[u64]) -> impl Iterator<Item = usize> + '_ {
    set.iter().enumerate().flat_map(|(word, &bits)| {
        let mut bits = bits;
        std::iter::from_fn(move || {
            let bit = bits.trailing_zeros();
            (bits != 0).then(|| {
                bits &= bits - 1;
                word * 64 + bit as usize
            })
        })
    })
}

/// What each alternative of a class costs by itself, expressions as if they were fused.
fn weights(problem: &Problem, class: usize) -> Vec<f64> {
    let class = &problem.classes[class];
    let machine = &problem.machine;
    // For equal costs the original graph's e-node, which comes first, is as good as any.
    let tie = |a: usize| 1e-6 * (a.min(1) as f64);
    let of = |(a, alternative): (usize, &Alternative)| {
        let own = match alternative.role {
            Role::Source => 0.0,
            Role::Alias => 0.1,
            Role::Inline { .. } if class.constant => 0.0,
            Role::Inline { units, strided, .. } => {
                let units = units + if strided { machine.strided } else { 0.0 };
                machine.arithmetic(class.elements, units + 0.1, class.ty.dtype) + 0.5
            }
            Role::Reduce => {
                let operand = problem.class(alternative.children[0]);
                machine.arithmetic(operand.elements, 1.0, class.ty.dtype)
                    + class.traffic
                    + machine.dispatch
            }
            Role::Product(work) | Role::Solid(work) => work.time(),
        };
        own + alternative.penalty + tie(a)
    };
    class.alternatives.iter().enumerate().map(of).collect()
}
