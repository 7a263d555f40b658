//! Plans, donations, faults.

use super::{check, values};
use crate::graph::text::parse;
use crate::kernel::reference::execute;
use crate::kernel::{Place, fuse, lower, plan, schedule};
use tensc_runtime::Tensor;

#[test]
fn a_chain_that_is_not_fused_runs_in_one_buffer() {
    let text = "\
%0: f32[100] = input \"x\"
%1: f32[100] = exp(%0)
%2: f32[100] = neg(%1)
%3: f32[100] = sin(%2)
%4: f32[100] = square(%3)
output \"y\" = %4
";
    let graph = parse(text).expect("the test's graph is right");
    let mut program = lower(&graph);
    plan(&mut program);
    let arena = program.buffers.iter().filter(|b| matches!(b.place, Place::Arena)).count();
    assert_eq!((arena, program.plan.bytes), (3, 448));
    check(&graph, &values(&graph, 1));
}

#[test]
fn an_update_waits_for_the_readers_of_what_it_replaces() {
    // `y` is lowered after the new `w`, but reads the old one.
    let text = "\
%0: f32[16, 16] = input \"w\"
%1: f32[16, 16] = input \"g\"
%2: f32[16, 16] = sub(%0, %1)
%3: f32[16, 16] = contract(%1, %0) {sum: [1]x[0]}
output \"w\" = %2
output \"y\" = %3
";
    let graph = parse(text).expect("the test's graph is right");
    let program = check(&graph, &values(&graph, 1));
    assert!(program.plan.donations.contains(&(0, 0)), "{program}");
}

#[test]
fn an_input_that_is_read_later_is_not_written_over() {
    // What `y` is made of needs both the new and the old `w`.
    let text = "\
%0: f32[16, 16] = input \"w\"
%1: f32[16, 16] = contract(%0, %0) {sum: [1]x[0]}
%2: f32[16, 16] = contract(%1, %0) {sum: [1]x[0]}
output \"w\" = %1
output \"y\" = %2
";
    let graph = parse(text).expect("the test's graph is right");
    let program = check(&graph, &values(&graph, 1));
    assert!(program.plan.donations.is_empty(), "{program}");
}

#[test]
fn outputs_may_be_inputs_constants_and_each_other() {
    let text = "\
%0: f32[3, 4] = input \"x\"
%1: f32[4, 3] = transpose(%0) {perm: [1, 0]}
%2: f32 = const 2.0
%3: f32[3, 4] = exp(%0)
%4: f32[12] = reshape(%3)
output \"x\" = %0
output \"t\" = %1
output \"c\" = %2
output \"e\" = %3
output \"again\" = %3
output \"flat\" = %4
";
    let graph = parse(text).expect("the test's graph is right");
    check(&graph, &values(&graph, 1));
}

#[test]
fn an_index_out_of_range_is_reported_with_its_bound() {
    let text = "\
%0: f32[5, 3] = input \"x\"
%1: i64[2] = input \"i\"
%2: i64[2] = check_index(%1) {bound: 5}
%3: f32[2, 3] = gather(%0, %2) {axis: 0}
output \"y\" = %3
";
    let graph = parse(text).expect("the test's graph is right");
    for fused in [false, true] {
        let mut program = lower(&graph);
        if fused {
            program = fuse(program);
        }
        schedule(&mut program);
        plan(&mut program);
        let x = values(&graph, 1).remove(0);
        let run =
            |indices: [i64; 2]| execute(&program, &[x.clone(), Tensor::from_slice(&indices, [2])]);
        let fault = run([1, 7]).expect_err("7 is no index");
        assert_eq!((fault.index, fault.bound), (7, 5));
        assert!(run([-6, 0]).is_err());
        assert!(run([-5, 4]).is_ok());
    }
}

#[test]
fn nothing_is_a_valid_index_of_an_empty_axis() {
    let text = "\
%0: f32[0, 3] = input \"x\"
%1: i64[1] = input \"i\"
%2: f32[1, 3] = gather(%0, %1) {axis: 0}
output \"y\" = %2
";
    let graph = parse(text).expect("the test's graph is right");
    let mut program = fuse(lower(&graph));
    plan(&mut program);
    let inputs = [values(&graph, 1).remove(0), Tensor::from_slice(&[0i64], [1])];
    assert!(execute(&program, &inputs).is_err());
}
