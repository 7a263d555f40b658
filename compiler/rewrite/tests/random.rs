//! Random graphs, optimised and not.

use super::check;
use crate::graph::testing::{Options, random_case};
use crate::rewrite::{Numerics, optimise};

#[test]
fn random_graphs_compute_the_same() {
    let options = Options::default();
    for seed in 0..300 {
        let case = random_case(seed, &options);
        let numerics = Numerics::ALL[(seed % 5) as usize];
        let (_, report) = check(&case.graph, &case.inputs, numerics);
        assert!(report.kept_input.as_deref().is_none_or(|why| why.starts_with("nothing")));
        assert!(report.cost_after <= report.cost_before || numerics > Numerics::Exact);
    }
}

#[test]
fn large_random_graphs_compute_the_same() {
    let options = Options { steps: 60, max_elements: 200, ..Options::default() };
    for seed in 1000..1040 {
        let case = random_case(seed, &options);
        check(&case.graph, &case.inputs, Numerics::Stable);
    }
}

#[test]
fn proofs_are_of_the_same_result() {
    let mut told = 0;
    for seed in 0..60 {
        let case = random_case(seed, &Options::default());
        let plain = crate::rewrite::Options::of(Numerics::Stable);
        let (result, report) = optimise(&case.graph, &plain);
        let proving = crate::rewrite::Options { explain: true, ..plain };
        let (proved, proof) = optimise(&case.graph, &proving);
        assert_eq!(result.to_string(), proved.to_string(), "seed {seed}\n{}", case.graph);
        // Where two rules find one equality, a run that proves may report both: its terms stay apart
        // for longer. It never tells less.
        let told_too = |rule: &str| proof.applied.iter().any(|a| a.rule == rule);
        assert!(report.applied.iter().all(|a| told_too(a.rule)), "seed {seed}");
        assert_eq!(proof.proofs.len(), case.graph.outputs().len());
        told += usize::from(proof.proofs.iter().any(|p| !p.steps.is_empty()));
    }
    assert!(told > 30, "most graphs are rewritten, and the proofs say how: {told} of 60");
}

#[test]
fn rewriting_twice_gives_the_same() {
    for seed in 0..40 {
        let case = random_case(seed, &Options::default());
        let options = crate::rewrite::Options::of(Numerics::Reassoc);
        let (first, _) = optimise(&case.graph, &options);
        let (second, _) = optimise(&case.graph, &options);
        assert_eq!(first.to_string(), second.to_string());
        // What is fused already is a kernel like any other, and stays right.
        check(&first, &case.inputs, Numerics::Stable);
    }
}
