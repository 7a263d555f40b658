//! Proofs: the chain of rules from each output as it was to the output of the result.
//!
//! egg keeps, when asked, why it united classes. The extracted terms are added to the e-graph
//! (where they already are, under congruence) and egg says how they follow from the original ones.
//! Its proofs are DAGs that would be exponential if written out; each part is told once.

use super::analysis::{EGraph, FOLD};
use super::convert::{Loaded, Made, kernel};
use super::explain::{Proof, Step};
use super::extract::{ClassNumber, Problem};
use super::fusion::Expressions;
use super::improve::Plan;
use super::language::{ENode, Symbol};
use super::rules;
use crate::graph::{Graph, Op};
use egg::{Id, Language, TreeTerm};
use rustc_hash::{FxHashMap, FxHashSet};
use std::rc::Rc;

/// A proof for each output. The e-graph must have kept explanations.
pub fn proofs(
    graph: &Graph,
    loaded: &mut Loaded,
    problem: &Problem,
    plan: &Plan,
    expressions: &Expressions,
) -> Vec<Proof> {
    let mut told = FxHashSet::default();
    let mut extracted = FxHashMap::default();
    let mut proofs = Vec::new();
    for ((name, node), &class) in graph.outputs().iter().zip(&problem.outputs) {
        let before = loaded.nodes[node.index()].expect("outputs are loaded");
        let after = add(graph, loaded, problem, plan, expressions, &mut extracted, class);
        let explanation = loaded.egraph.explain_id_equivalence(before, after);
        let mut steps = Vec::new();
        for term in &explanation.explanation_trees {
            tell(&loaded.egraph, term, &mut told, &mut steps);
        }
        proofs.push(Proof { output: name.clone(), steps });
    }
    proofs
}

/// The e-node of the term that was extracted for a class.
fn add(
    graph: &Graph,
    loaded: &mut Loaded,
    problem: &Problem,
    plan: &Plan,
    expressions: &Expressions,
    extracted: &mut FxHashMap<ClassNumber, Id>,
    class: ClassNumber,
) -> Id {
    if let Some(id) = extracted.get(&class) {
        return *id;
    }
    let (made, operands) = kernel(problem, plan, expressions, class);
    let id = match made {
        Made::Input(number) => {
            let (_, input) = graph.inputs()[number as usize];
            loaded.nodes[input.index()].expect("inputs are loaded")
        }
        Made::Op(op) => {
            let children: Vec<Id> = operands
                .iter()
                .map(|&o| add(graph, loaded, problem, plan, expressions, extracted, o))
                .collect();
            let shared = loaded.egraph.analysis.symbols.op(op);
            loaded.egraph.add_uncanonical(ENode::new(shared, children))
        }
    };
    extracted.insert(class, id);
    id
}

/// The steps of a part of a proof: those inside its operands, then its own.
fn tell(
    egraph: &EGraph,
    term: &Rc<TreeTerm<ENode>>,
    told: &mut FxHashSet<*const TreeTerm<ENode>>,
    steps: &mut Vec<Step>,
) {
    if !told.insert(Rc::as_ptr(term)) {
        return;
    }
    let used = [(term.forward_rule, false), (term.backward_rule, true)];
    for (rule, backward) in used {
        if let Some(rule) = rule.and_then(|symbol| known(symbol.as_str())) {
            steps.push(Step { rule, backward, term: show(egraph, &term.node, 2) });
        }
    }
    for part in term.child_proofs.iter().flatten() {
        tell(egraph, part, told, steps);
    }
}

/// The rule of this name, or what the analysis does by itself.
fn known(name: &str) -> Option<&'static str> {
    rules::all().map(|rule| rule.name).chain([FOLD]).find(|known| *known == name)
}

/// A term in short: operations to a depth, then `…`.
fn show(egraph: &EGraph, node: &ENode, depth: usize) -> String {
    let name = match node.shared.symbol() {
        Symbol::Input(number, _) => return format!("input {number}"),
        Symbol::Outputs => "outputs".to_string(),
        Symbol::Op(Op::Const(value)) => return value.to_string(),
        Symbol::Op(op) => op.name().to_string(),
    };
    if node.is_leaf() {
        return name;
    }
    if depth == 0 {
        return format!("{name}(…)");
    }
    let operands: Vec<String> = node
        .children
        .iter()
        .map(|&child| show(egraph, egraph.id_to_node(child), depth - 1))
        .collect();
    format!("{name}({})", operands.join(", "))
}
