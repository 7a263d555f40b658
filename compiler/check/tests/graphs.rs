//! Functions and the graphs they become.

use super::graph;
use insta::assert_snapshot;

#[test]
fn a_pack_may_be_for_some_ranks_only() {
    let text = r#"fn f[S...](x: f32[S...]) -> f32 = sum(sum(x, axis = 2))"#;
    assert_snapshot!(graph(text), @"no function");
}

#[test]
fn literals_take_the_type_asked_for() {
    let text = r#"fn where_[B, N](x: f32[B, N]) -> f32[B, N] = where(x > 0, x, 0)"#;
    assert_snapshot!(graph(text), @r#"
    dims B#1, N#2
    %0: f32[B, N] = input "x"
    %1: f32 = const 0.0
    %2: f32[B, N] = broadcast(%1) {axes: []}
    %3: bool[B, N] = gt(%0, %2)
    %4: f32 = const 0.0
    %5: f32[B, N] = broadcast(%4) {axes: []}
    %6: f32[B, N] = select(%3, %0, %5)
    output "result" = %6
    "#);
}

#[test]
fn literals_in_f64() {
    let text = r#"fn h(x: f64[3]) -> f64[3] = softmax(x * 2 + 1e-3)"#;
    assert_snapshot!(graph(text), @r#"
    %0: f64[3] = input "x"
    %1: f64 = const 2.0
    %2: f64[3] = broadcast(%1) {axes: []}
    %3: f64[3] = mul(%0, %2)
    %4: f64 = const 0.001
    %5: f64[3] = broadcast(%4) {axes: []}
    %6: f64[3] = add(%3, %5)
    %7: f64 = reduce(%6) {max: [0]}
    %8: f64[3] = broadcast(%7) {axes: []}
    %9: f64[3] = sub(%6, %8)
    %10: f64[3] = exp(%9)
    %11: f64 = reduce(%10) {sum: [0]}
    %12: f64[1] = reshape(%11)
    %13: f64[1] = reciprocal(%12)
    %14: f64 = reshape(%13)
    %15: f64[3] = broadcast(%14) {axes: []}
    %16: f64[3] = mul(%10, %15)
    output "result" = %16
    "#);
}

#[test]
fn indexing_by_a_tensor() {
    let text =
        r#"fn gather[V, D, B, T](table: f32[V, D], idx: i32[B, T]) -> f32[B, T, D] = table[idx]"#;
    assert_snapshot!(graph(text), @r#"
    dims V#1, D#2, B#3, T#4
    %0: f32[V, D] = input "table"
    %1: i32[B, T] = input "idx"
    %2: i64[B, T] = convert(%1)
    %3: i64[B, T] = check_index(%2) {bound: V}
    %4: f32[B, T, D] = gather(%0, %3) {axis: 0}
    output "result" = %4
    "#);
}

#[test]
fn indexing_by_two_tensors() {
    let text = r#"fn pair[N](x: f32[N, 4], i: i64[5], j: i64[5]) -> f32[5] = x[i, j]"#;
    assert_snapshot!(graph(text), @r#"
    dims N#1
    %0: f32[N, 4] = input "x"
    %1: i64[5] = input "i"
    %2: i64[5] = input "j"
    %3: i64[5] = check_index(%1) {bound: N}
    %4: i64[5] = check_index(%2) {bound: 4}
    %5: f32[4*N] = reshape(%0)
    %6: i64 = const 4
    %7: i64[5] = broadcast(%6) {axes: []}
    %8: i64[5] = mul(%3, %7)
    %9: i64[5] = add(%8, %4)
    %10: f32[5] = gather(%5, %9) {axis: 0}
    output "result" = %10
    "#);
}

#[test]
fn slices() {
    let text = r#"fn crop[B](x: f32[B, 28, 28]) -> f32[B, 14, 14] = x[:, 7:-7, 14:]"#;
    assert_snapshot!(graph(text), @r#"
    dims B#1
    %0: f32[B, 28, 28] = input "x"
    %1: f32[B, 14, 14] = slice(%0) {starts: [0, 7, 14], steps: [1, 1, 1]}
    output "result" = %1
    "#);
}

#[test]
fn reversal() {
    let text = r#"fn rev[N](x: f32[N]) -> f32[N] = x[::-1]"#;
    assert_snapshot!(graph(text), @r#"
    dims N#1
    %0: f32[N] = input "x"
    %1: f32[N] = slice(%0) {starts: [N - 1], steps: [-1]}
    output "result" = %1
    "#);
}

#[test]
fn an_index_from_the_end() {
    let text = r#"fn last[N](x: f32[N, 3]) -> f32[3] = x[-1]"#;
    assert_snapshot!(graph(text), @r#"
    dims N#1
    %0: f32[N, 3] = input "x"
    %1: f32[1, 3] = slice(%0) {starts: [N - 1, 0], steps: [1, 1]}
    %2: f32[3] = reshape(%1)
    output "result" = %2
    "#);
}

#[test]
fn new_axes() {
    let text = r#"fn add_axis[N](x: f32[N]) -> f32[1, N, 1] = x[None, :, None]"#;
    assert_snapshot!(graph(text), @r#"
    dims N#1
    %0: f32[N] = input "x"
    %1: f32[1, N, 1] = reshape(%0)
    output "result" = %1
    "#);
}

#[test]
fn an_ellipsis() {
    let text = r#"fn dots[A, B, C](x: f32[A, B, C]) -> f32[A, B] = x[..., 0]"#;
    assert_snapshot!(graph(text), @r#"
    dims A#1, B#2, C#3
    %0: f32[A, B, C] = input "x"
    %1: f32[A, B, 1] = slice(%0) {starts: [0, 0, 0], steps: [1, 1, 1]}
    %2: f32[A, B] = reshape(%1)
    output "result" = %2
    "#);
}

#[test]
fn library_functions_are_replaced_by_their_bodies() {
    let text = r#"fn var_(x: f32[5, 3]) -> f32[5] = variance(x, axis = -1)"#;
    assert_snapshot!(graph(text), @r#"
    %0: f32[5, 3] = input "x"
    %1: f32[5] = reduce(%0) {sum: [1]}
    %2: f32 = const 3.0
    %3: f32[5] = broadcast(%2) {axes: []}
    %4: f32[5] = div(%1, %3)
    %5: f32[5, 3] = broadcast(%4) {axes: [0]}
    %6: f32[5, 3] = sub(%0, %5)
    %7: f32[5, 3] = square(%6)
    %8: f32[5] = reduce(%7) {sum: [1]}
    %9: f32 = const 3.0
    %10: f32[5] = broadcast(%9) {axes: []}
    %11: f32[5] = div(%8, %10)
    output "result" = %11
    "#);
}

#[test]
fn gradients_nest() {
    let text = r#"fn hess(x: f32) -> f32 = grad(grad(fn(y) = y ** 3))(x)"#;
    assert_snapshot!(graph(text), @r#"
    %0: f32 = input "x"
    %1: f32 = const 2.0
    %2: f32 = mul(%1, %0)
    %3: f32 = const 1.0
    %4: f32 = mul(%0, %3)
    %5: f32 = mul(%2, %3)
    %6: f32 = mul(%4, %3)
    %7: f32 = mul(%3, %3)
    %8: f32 = mul(%3, %5)
    %9: f32 = mul(%1, %6)
    %10: f32 = add(%8, %9)
    %11: f32 = mul(%2, %7)
    %12: f32 = add(%10, %11)
    output "result" = %12
    "#);
}

#[test]
fn gradients_capture() {
    let text = r#"fn cap(x: f32[3], s: f32) -> f32[3] = grad(fn(y) = sum(y * s * x))(x)"#;
    assert_snapshot!(graph(text), @r#"
    %0: f32[3] = input "x"
    %1: f32 = input "s"
    %2: f32[3] = broadcast(%1) {axes: []}
    %3: f32 = const 1.0
    %4: f32[3] = broadcast(%3) {axes: []}
    %5: f32[3] = mul(%0, %4)
    %6: f32[3] = mul(%2, %5)
    output "result" = %6
    "#);
}

#[test]
fn batched_products() {
    let text = r#"fn bmm[B, H, T, D](q: f32[B, H, T, D], k: f32[B, H, T, D]) -> f32[B, H, T, T] = softmax(q @ transpose(k, [0, 1, 3, 2]) / sqrt(f32(D)))"#;
    assert_snapshot!(graph(text), @r#"
    dims B#1, H#2, T#3, D#4
    %0: f32[B, H, T, D] = input "q"
    %1: f32[B, H, T, D] = input "k"
    %2: f32[B, H, D, T] = transpose(%1) {perm: [0, 1, 3, 2]}
    %3: f32[B, H, T, T] = contract(%0, %2) {batch: [0, 1]x[0, 1], sum: [3]x[2]}
    %4: f32 = size D
    %5: f32 = sqrt(%4)
    %6: f32[B, H, T, T] = broadcast(%5) {axes: []}
    %7: f32[B, H, T, T] = div(%3, %6)
    %8: f32[B, H, T] = reduce(%7) {max: [3]}
    %9: f32[B, H, T, T] = broadcast(%8) {axes: [0, 1, 2]}
    %10: f32[B, H, T, T] = sub(%7, %9)
    %11: f32[B, H, T, T] = exp(%10)
    %12: f32[B, H, T] = reduce(%11) {sum: [3]}
    %13: f32[B, H, T, 1] = reshape(%12)
    %14: f32[B, H, T, 1] = reciprocal(%13)
    %15: f32[B, H, T] = reshape(%14)
    %16: f32[B, H, T, T] = broadcast(%15) {axes: [0, 1, 2]}
    %17: f32[B, H, T, T] = mul(%11, %16)
    output "result" = %17
    "#);
}

#[test]
fn batch_axes_that_stretch() {
    let text =
        r#"fn mixed[B, T, D](x: f32[B, 1, T, D], w: f32[7, D, 5]) -> f32[B, 7, T, 5] = x @ w"#;
    assert_snapshot!(graph(text), @r#"
    dims B#1, T#2, D#3
    %0: f32[B, 1, T, D] = input "x"
    %1: f32[7, D, 5] = input "w"
    %2: f32[B, T, D] = reshape(%0)
    %3: f32[B, T, 7, 5] = contract(%2, %1) {sum: [2]x[1]}
    %4: f32[B, 7, T, 5] = transpose(%3) {perm: [0, 2, 1, 3]}
    output "result" = %4
    "#);
}

#[test]
fn loops_are_written_out() {
    let text = r#"fn loop(x: f32) -> f32 = { var y = x; for i in 0..3 { y = y * x }; y }"#;
    assert_snapshot!(graph(text), @r#"
    %0: f32 = input "x"
    %1: f32 = mul(%0, %0)
    %2: f32 = mul(%1, %0)
    %3: f32 = mul(%2, %0)
    output "result" = %3
    "#);
}

#[test]
fn an_if_on_values_selects() {
    let text = r#"fn cond(x: f32) -> f32 = if x > 0.0 { x } else { -x }"#;
    assert_snapshot!(graph(text), @r#"
    %0: f32 = input "x"
    %1: f32 = const 0.0
    %2: bool = gt(%0, %1)
    %3: f32 = neg(%0)
    %4: f32 = select(%2, %0, %3)
    output "result" = %4
    "#);
}

#[test]
fn tuples() {
    let text = r#"fn tup(x: f32[3]) -> (f32, f32[3]) = { let (a, b) = value_and_grad(fn(y) = sum(y * y))(x); (a, b) }"#;
    assert_snapshot!(graph(text), @r#"
    %0: f32[3] = input "x"
    %1: f32[3] = mul(%0, %0)
    %2: f32 = reduce(%1) {sum: [0]}
    %3: f32 = const 1.0
    %4: f32[3] = broadcast(%3) {axes: []}
    %5: f32[3] = add(%4, %4)
    %6: f32[3] = mul(%0, %5)
    output "0" = %2
    output "1" = %6
    "#);
}

#[test]
fn sizes_are_solved_from_products() {
    let text = r#"fn heads[B, T, E](x: f32[B, T, 8 * E]) -> f32[B, 8, T, E] = transpose(reshape(x, [B, T, 8, E]), [0, 2, 1, 3])"#;
    assert_snapshot!(graph(text), @r#"
    dims B#1, T#2, E#3
    %0: f32[B, T, 8*E] = input "x"
    %1: f32[B, T, 8, E] = reshape(%0)
    %2: f32[B, 8, T, E] = transpose(%1) {perm: [0, 2, 1, 3]}
    output "result" = %2
    "#);
}

#[test]
fn sizes_that_divide() {
    let text = r#"fn halves[B, N](x: f32[B, N]) -> f32[B, N / 2, 2] where 2 divides N = reshape(x, [B, N / 2, 2])"#;
    assert_snapshot!(graph(text), @r##"
    dims B#1, "(N/2)"#3
    %0: f32[B, 2*"(N/2)"#3] = input "x"
    %1: f32[B, "(N/2)"#3, 2] = reshape(%0)
    output "result" = %1
    "##);
}

#[test]
fn lists_are_tensors() {
    let text = r#"fn lit(x: f32[2, 2]) -> f32[2, 2] = x @ [[1, 2], [3, 4]] + [0.5, 1]"#;
    assert_snapshot!(graph(text), @r#"
    %0: f32[2, 2] = input "x"
    %1: f32[2, 2] = literal [1.0, 2.0, 3.0, 4.0]
    %2: f32[2, 2] = contract(%0, %1) {sum: [1]x[0]}
    %3: f32[2] = literal [0.5, 1.0]
    %4: f32[2, 2] = broadcast(%3) {axes: [1]}
    %5: f32[2, 2] = add(%2, %4)
    output "result" = %5
    "#);
}
