//! Fusion in the e-graph: elementwise work joined into `Fused` e-nodes along a plan.
//!
//! A plan says which classes are stored. From operands to users, each expression class gets the
//! e-node of its operation as a scalar function (*lifted*), and absorbs, one rule application each,
//! the *most fused* variant of every operand that is not stored. Each step is an e-node united with
//! its class under the rule's name, so that fusion is explained and replayed like every other
//! rewrite, and equal expressions found on different ways are one. Saturating these rules blindly
//! would make a variant for every connected part of the graph; the plan asks for one a class.

use super::analysis::{EGraph, add_by};
use super::extract::{ClassNumber, Problem, Role};
use super::improve::{Plan, order};
use super::lambda::{self, Expression};
use super::language::Kind;
use super::rules::{Act, Numerics, Phase, Rule};
use crate::graph::{Op, TensorType};
use egg::Id;
use smallvec::SmallVec;

const fn row(name: &'static str, doc: &'static str) -> Rule {
    Rule {
        name,
        class: Numerics::Exact,
        phase: Phase::Fuse,
        doc,
        act: Act::Fusion,
        supersedes: false,
    }
}

const LIFT: Rule = row("lift", "an operation as a scalar function over its space");
const MAP: Rule = row("fuse-map", "an elementwise operation into what uses it");
const CONVERT: Rule = row("fuse-convert", "a conversion into what uses it");
const CHECK: Rule = row("fuse-check-index", "the check of an index into what uses it");
const IOTA: Rule = row("fuse-iota", "positions into what uses them");
const CONSTANT: Rule = row("fuse-constant", "a constant into what uses it");
const BROADCAST: Rule = row("fuse-broadcast", "a broadcast into what reads it");
const TRANSPOSE: Rule = row("fuse-transpose", "a transpose into what reads it");
const SLICE: Rule = row("fuse-slice", "a slice into what reads it");
const RESHAPE: Rule = row("fuse-reshape", "a reshape that moves axes of size 1 into what reads it");
const REDUCE: Rule = row("fuse-reduce", "elementwise work into the reduction of its result");

/// The rows.
pub const RULES: &[Rule] =
    &[LIFT, MAP, CONVERT, CHECK, IOTA, CONSTANT, BROADCAST, TRANSPOSE, SLICE, RESHAPE, REDUCE];

/// What a plan makes of each class: the expression of those that are one, by class number.
pub type Expressions = Vec<Option<Expression<ClassNumber>>>;

/// Adds the plan's fused e-nodes to the e-graph. Expressions that absorbed nothing are left out:
/// they stay the operation they are.
pub fn fuse(egraph: &mut EGraph, problem: &Problem, plan: &Plan) -> Expressions {
    let mut made: Expressions = vec![None; problem.classes.len()];
    let mut absorbed = vec![false; problem.classes.len()];
    for class in order(problem, &plan.choice) {
        let here = problem.class(class);
        let chosen = &here.alternatives[plan.choice[class as usize] as usize];
        let reduces = matches!(chosen.role, Role::Reduce);
        if !reduces && !matches!(chosen.role, Role::Inline { .. }) || here.constant {
            continue;
        }
        let op = chosen.node.op().expect("expressions are operations").clone();
        let operands: SmallVec<[(ClassNumber, &TensorType); 3]> =
            chosen.children.iter().map(|&c| (c, &*problem.class(c).ty)).collect();
        let mut expression = lambda::lift(&op, &operands, &here.ty).expect("its role says so");
        let mut joined = Joined { egraph, problem, class: here.id };
        joined.unite(LIFT.name, &expression);
        let mut seen: SmallVec<[ClassNumber; 4]> = SmallVec::new();
        for &operand in &chosen.children {
            if seen.contains(&operand) {
                continue;
            }
            seen.push(operand);
            let Some((producer, rule)) =
                producer(joined.egraph, problem, plan, &made, operand, reduces)
            else {
                continue;
            };
            expression = lambda::absorb(&expression, operand, &producer);
            absorbed[class as usize] = true;
            joined.unite(rule.name, &expression);
        }
        made[class as usize] = Some(expression);
    }
    for (class, absorbed) in absorbed.iter().enumerate() {
        if !absorbed {
            made[class] = None;
        }
    }
    made
}

/// The expression to absorb in place of an operand, where it is not stored, and under which rule.
fn producer(
    egraph: &EGraph,
    problem: &Problem,
    plan: &Plan,
    made: &Expressions,
    operand: ClassNumber,
    reduces: bool,
) -> Option<(Expression<ClassNumber>, &'static Rule)> {
    let class = problem.class(operand);
    if let Some(value) = egraph[class.id].data.constant {
        return Some((lambda::constant(value, &class.ty), &CONSTANT));
    }
    let chosen = &class.alternatives[plan.choice[operand as usize] as usize];
    let inline = matches!(chosen.role, Role::Inline { .. });
    if !inline || plan.stored[operand as usize] || problem.outputs.contains(&operand) {
        return None;
    }
    let rule = match chosen.node.kind() {
        _ if reduces => &REDUCE,
        Kind::Convert => &CONVERT,
        Kind::CheckIndex => &CHECK,
        Kind::Iota => &IOTA,
        Kind::Broadcast => &BROADCAST,
        Kind::Transpose => &TRANSPOSE,
        Kind::Slice => &SLICE,
        Kind::Reshape => &RESHAPE,
        _ => &MAP,
    };
    let expression = made[operand as usize].clone().expect("operands come first");
    Some((expression, rule))
}

/// A class that gets fused e-nodes.
struct Joined<'a> {
    egraph: &'a mut EGraph,
    problem: &'a Problem,
    class: Id,
}

impl Joined<'_> {
    fn unite(&mut self, rule: &'static str, expression: &Expression<ClassNumber>) {
        let children: SmallVec<[Id; 4]> =
            expression.operands.iter().map(|&c| self.problem.class(c).id).collect();
        let op = Op::from(expression.fused.clone());
        let id = add_by(self.egraph, self.class, rule, op, &children);
        if self.egraph.union_trusted(self.class, id, rule) {
            self.egraph.analysis.applied.push((rule, self.class));
        }
    }
}
