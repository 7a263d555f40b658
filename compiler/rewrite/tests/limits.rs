//! Limits are each phase's own, and the report tells of those that were reached.

use crate::graph::text::parse;
use crate::rewrite::{Limit, Options, optimise};

/// A product that takes a round of algebra for each factor, beside a logarithm of an exponential.
const GRAPH: &str = "\
%0: f32[4] = input \"x\"
%1: f32[4] = input \"a\"
%2: f32[4] = input \"b\"
%3: f32[4] = input \"c\"
%4: f32[4] = neg(%0)
%5: f32[4] = mul(%1, %4)
%6: f32[4] = mul(%2, %5)
%7: f32[4] = mul(%3, %6)
%8: f32[4] = exp(%0)
%9: f32[4] = log(%8)
output \"u\" = %7
output \"t\" = %9
";

#[test]
fn what_one_phase_takes_is_taken_from_no_other() {
    let graph = parse(GRAPH).expect("the test's graph is right");
    let limited = |iterations: usize, nodes: usize| {
        optimise(&graph, &Options { iterations, nodes, ..Options::default() }).1
    };
    let report = limited(1, 10_000);
    assert_eq!(report.count("log-exp"), 1, "{report}");
    assert!(report.phases.iter().any(|phase| phase.limit == Some(Limit::Rounds)), "{report}");
    let report = limited(30, 1);
    assert_eq!(report.count("log-exp"), 1, "{report}");
    assert!(report.phases.iter().any(|phase| phase.limit == Some(Limit::Nodes)), "{report}");
    let report = limited(30, 10_000);
    assert!(report.phases.iter().all(|phase| phase.limit.is_none()), "{report}");
}
