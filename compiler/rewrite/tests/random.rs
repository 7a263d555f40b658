//! Random graphs, optimised and not.

use super::check;
use crate::graph::testing::{Options, random_case};
use crate::rewrite::Numerics;

#[test]
fn random_graphs_compute_the_same() {
    let options = Options::default();
    for seed in 0..300 {
        let case = random_case(seed, &options);
        let numerics = Numerics::ALL[(seed % 4) as usize];
        let exact_sums = numerics.max(Numerics::Stable);
        let (_, report) = check(&case.graph, &case.inputs, exact_sums);
        assert!(report.kept_input.as_deref().is_none_or(|why| why.starts_with("nothing")));
        assert!(report.cost_after <= report.cost_before || report.count("softmax") > 0);
    }
}
