//! Graphs before and after, to be read.

use crate::graph::text::parse;
use crate::rewrite::{Numerics, Options, optimise};

fn optimised(text: &str) -> String {
    let graph = parse(text).expect("a graph");
    let (result, report) = optimise(&graph, &Options::of(Numerics::Stable));
    format!("{result}{report}")
}

#[test]
fn chain_of_elementwise_operations_is_one_kernel() {
    let text = "\
%0: f32[64, 32] = input \"x\"
%1: f32[32] = input \"b\"
%2: f32[64, 32] = broadcast(%1) {axes: [1]}
%3: f32[64, 32] = add(%0, %2)
%4: f32[64, 32] = tanh(%3)
%5: f32[64, 32] = mul(%4, %0)
%6: f32[64, 32] = exp(%5)
output \"y\" = %6
";
    println!("{}", optimised(text));
}
