//! Messages: each program is wrong in several ways, and says so.

use super::messages;
use insta::assert_snapshot;

#[test]
fn a_product_names_both_sizes_and_what_to_change() {
    let text = r#"// mnist.tx: train
import std.nn.{Dense, dense}

struct Mlp { hidden: Dense[784, 128], out: Dense[512, 10] }

fn logits[B](m: Mlp, x: f32[B, 784]) -> f32[B, 10] =
    dense(m.out, relu(dense(m.hidden, x)))
"#;
    assert_snapshot!(messages(text), @r#"
    error[E0203]: `@` needs equal inner dimensions, found 128 and 512
     --> test.tx:7:5
      |
    4 | struct Mlp { hidden: Dense[784, 128], out: Dense[512, 10] }
      |                                 ---              --- 512 comes from here
      |                                 |
      |                                 128 comes from here
    ...
    7 |     dense(m.out, relu(dense(m.hidden, x)))
      |     ^^^^^ in `x @ p.w`: x is f32[B, 128], p.w is f32[512, 10]
      |
      = help: change it to Dense[784, 512], or `out` to Dense[128, 10]

    1 error
    "#);
}

#[test]
fn shapes_that_do_not_broadcast() {
    let text = r#"fn f[B](x: f32[B, 784], y: f32[128]) -> f32[B, 784] = x + y
fn g[B, C](x: f32[B, 3], y: f32[C, 3]) = x * y
"#;
    assert_snapshot!(messages(text), @r#"
    error[E0204]: `+` needs shapes that broadcast, found [B, 784] and [128]
     --> test.tx:1:55
      |
    1 | fn f[B](x: f32[B, 784], y: f32[128]) -> f32[B, 784] = x + y
      |                   ---          ---                    ^^^^^ x is f32[B, 784], y is f32[128]: 784 and 128 differ
      |                   |            |
      |                   |            128 comes from here
      |                   784 comes from here
      |
      = help: change it to f32[B, 128], or `y` to f32[784]

    error[E0204]: `*` needs shapes that broadcast, found [B, 3] and [C, 3]
     --> test.tx:2:42
      |
    2 | fn g[B, C](x: f32[B, 3], y: f32[C, 3]) = x * y
      |                   -             -        ^^^^^ x is f32[B, 3], y is f32[C, 3]: B and C differ
      |                   |             |
      |                   |             C comes from here
      |                   B comes from here
      |
      = note: a named size never stretches: only a missing axis or a literal 1 does

    2 errors
    "#);
}

#[test]
fn names_that_are_nearly_right() {
    let text = r#"import std.nn.{Dens, dense}
import std.optim.rmspro
struct P { w: f32[3] }
fn f(p: P, x: f32[3]) -> f32[3] = {
    let y = p.W * x
    let z = sofmax(x)
    rulu(y) + z + q
}
fn g(x: f32[N]) -> f32 = sum(x)
"#;
    assert_snapshot!(messages(text), @r#"
    error[E0502]: `std.nn` has no `Dens`
     --> test.tx:1:16
      |
    1 | import std.nn.{Dens, dense}
      |                ^^^^
      |
      = help: there is `Dense`

    error[E0502]: `std.optim` has no `rmspro`
     --> test.tx:2:18
      |
    2 | import std.optim.rmspro
      |                  ^^^^^^
      |
      = help: there is `rmsprop`

    error[E0303]: `p` has no field `W`
     --> test.tx:5:15
      |
    5 |     let y = p.W * x
      |             - ^
      |             |
      |             this is P
      |
      = help: did you mean `w`?

    error[E0301]: `sofmax` is not defined
     --> test.tx:6:13
      |
    6 |     let z = sofmax(x)
      |             ^^^^^^
      |
      = help: did you mean `softmax`?

    error[E0301]: `rulu` is not defined
     --> test.tx:7:5
      |
    7 |     rulu(y) + z + q
      |     ^^^^
      |
      = help: did you mean `relu`?

    error[E0301]: `q` is not defined
     --> test.tx:7:19
      |
    7 |     rulu(y) + z + q
      |                   ^

    error[E0302]: `N` is no type and no size that is known here
     --> test.tx:9:13
      |
    9 | fn g(x: f32[N]) -> f32 = sum(x)
      |             ^
      |
      = help: declare a size in the brackets of the function: `fn f[N](…)`

    7 errors
    "#);
}

#[test]
fn known_numbers_end_where_i64_does() {
    let text = "fn f[N](x: f32[N]) -> f32 = {
    let most = 9223372036854775807
    let a = most + 1
    let b = (-most - 1) / -1
    let c = -(-most - 1)
    let d = 2 ** 64
    let e = most * N + N
    let g = (-most - 1) % -1 + 2 ** 62 + most * 2.0
    0.0
}
";
    assert_snapshot!(messages(text), @r"
    error[E0215]: 9223372036854775807 + 1 is beyond i64, in which known numbers are exact
     --> test.tx:3:13
      |
    3 |     let a = most + 1
      |             ^^^^^^^^
      |
      = help: with a float, such as 1e19, it is rounded instead

    error[E0215]: (-9223372036854775808) / (-1) is beyond i64, in which known numbers are exact
     --> test.tx:4:13
      |
    4 |     let b = (-most - 1) / -1
      |             ^^^^^^^^^^^^^^^^
      |
      = help: with a float, such as 1e19, it is rounded instead

    error[E0215]: -(-9223372036854775808) is beyond i64, in which known numbers are exact
     --> test.tx:5:13
      |
    5 |     let c = -(-most - 1)
      |             ^^^^^^^^^^^^
      |
      = help: with a float, such as 1e19, it is rounded instead

    error[E0215]: 2 ** 64 is beyond i64, in which known numbers are exact
     --> test.tx:6:13
      |
    6 |     let d = 2 ** 64
      |             ^^^^^^^
      |
      = help: with a float, such as 1e19, it is rounded instead

    error[E0215]: (9223372036854775807*N) + N is beyond i64, in which known numbers are exact
     --> test.tx:7:13
      |
    7 |     let e = most * N + N
      |             ^^^^^^^^^^^^
      |
      = help: with a float, such as 1e19, it is rounded instead

    5 errors
    ");
}

#[test]
fn slices_and_windows_of_the_largest_steps() {
    let text = "fn f(x: f32[5]) -> f32[1] = {
    let step = -9223372036854775807 - 1
    let a = diag_embed(x, step)
    let b = windows(x, 0, 2, dilation = step)
    x[4:0:step]
}
";
    assert_snapshot!(messages(text), @r"
    error[E0205]: pad of type f32[9223372036854775807] does not fit the address space
     --> test.tx:3:13
      |
    3 |     let a = diag_embed(x, step)
      |             ^^^^^^^^^^^^^^^^^^^

    error[E0205]: a window of 2 does not fit axis 0, whose size is 5
     --> test.tx:4:27
      |
    1 | fn f(x: f32[5]) -> f32[1] = {
      |             - 5 comes from here
    ...
    4 |     let b = windows(x, 0, 2, dilation = step)
      |                           ^

    2 errors
    ");
}

#[test]
fn element_types() {
    let text = r#"fn f(x: f32[3], n: i64[3], b: u8[3]) -> f32[3] = {
    let a = x + n
    let c = b * 300
    let d = n + 1.5
    let e = exp(n)
    let h = x & x
    x
}
"#;
    assert_snapshot!(messages(text), @r#"
    error[E0202]: `+` needs operands of one element type, found f32 and i64
     --> test.tx:2:13
      |
    2 |     let a = x + n
      |             ^^^^^ x is f32[3], n is i64[3]
      |
      = help: convert one of them: f32(n)

    error[E0215]: 300 is no value of type u8
     --> test.tx:3:17
      |
    3 |     let c = b * 300
      |                 ^^^

    error[E0202]: expected i64, found the float 1.5
     --> test.tx:4:17
      |
    4 |     let d = n + 1.5
      |                 ^^^
      |
      = help: convert it, or the i64 to a float type: f32(…)

    error[E0202]: `exp` takes floats, found i64
     --> test.tx:5:13
      |
    5 |     let e = exp(n)
      |             ^^^^^^ n is i64[3]
      |
      = help: convert it: f32(n)

    error[E0202]: `&` takes integers or bool, found f32 and f32
     --> test.tx:6:13
      |
    6 |     let h = x & x
      |             ^^^^^ x is f32[3], x is f32[3]

    5 errors
    "#);
}

#[test]
fn arguments() {
    let text = r#"fn f(x: f32[3], static axis: i64 = 0) -> f32 = sum(x, axis = axis)
fn g(x: f32[3]) -> f32 = f(x, 1, 2)
fn h(x: f32[3]) -> f32 = f(x, axes = 0)
fn i(x: f32[3]) -> f32 = f()
fn j(x: f32[3], k: i64) -> f32 = f(x, axis = k)
fn k(x: f32[3]) -> f32 = f(x, axis = 1)
fn l(x: f32[3]) -> f32 = x(1)
fn m(x: f32[4]) -> f32 = f(x)
"#;
    assert_snapshot!(messages(text), @r#"
    error[E0211]: `f` takes 2 arguments, found 3
     --> test.tx:2:34
      |
    2 | fn g(x: f32[3]) -> f32 = f(x, 1, 2)
      |                                  ^
      |
      = note: it is f(x, axis?)

    error[E0211]: `f` has no parameter `axes`
     --> test.tx:3:31
      |
    3 | fn h(x: f32[3]) -> f32 = f(x, axes = 0)
      |                               ^^^^
      |
      = help: did you mean `axis`?

    error[E0211]: `f` also needs `x`
     --> test.tx:4:26
      |
    4 | fn i(x: f32[3]) -> f32 = f()
      |                          ^
      |
      = note: it is f(x, axis?)

    error[E0212]: `axis` must be known to the compiler
     --> test.tx:5:46
      |
    5 | fn j(x: f32[3], k: i64) -> f32 = f(x, axis = k)
      |                                              ^ this is computed at run time

    error[E0208]: there is no axis 1 of f32[3]
     --> test.tx:1:62
      |
    1 | fn f(x: f32[3], static axis: i64 = 0) -> f32 = sum(x, axis = axis)
      |                                                              ^^^^
    ...
    6 | fn k(x: f32[3]) -> f32 = f(x, axis = 1)
      |                          - in this call of `f`
      |
      = note: it has one axis: 0, or -1 from the end

    error[E0213]: `x` is no function
     --> test.tx:7:26
      |
    7 | fn l(x: f32[3]) -> f32 = x(1)
      |                          ^ this is f32[3]

    error[E0205]: `x` of `f` is f32[3], found f32[4]
     --> test.tx:8:28
      |
    8 | fn m(x: f32[4]) -> f32 = f(x)
      |             -              ^ 3 is expected, this is 4
      |             |
      |             4 comes from here
      |
      = help: change `x` to f32[3]

    7 errors
    "#);
}

#[test]
fn recursion() {
    let text = r#"fn f(x: f32) -> f32 = g(x) + 1.0
fn g(x: f32) -> f32 = f(x) * 2.0
"#;
    assert_snapshot!(messages(text), @r#"
    error[E0219]: `f` calls itself: functions cannot be recursive
     --> test.tx:2:23
      |
    1 | fn f(x: f32) -> f32 = g(x) + 1.0
      |                       - in this call of `g`
    2 | fn g(x: f32) -> f32 = f(x) * 2.0
      |                       ^
      |
      = note: `f` calls `g` calls `f`

    1 error
    "#);
}

#[test]
fn generics_that_nothing_tells() {
    let text = r#"import std.nn.{Dense, dense, glorot_uniform}
fn f(x: f32[3]) -> f32[2] = {
    let d = glorot_uniform(key(1))
    dense(d, x)
}
fn g(x: f32[3]) -> f32[2] = {
    let d: Dense[3, 2] = glorot_uniform(key(1))
    dense(d, x)
}
fn h(x: f32[3]) -> f32[2] = dense(glorot_uniform[3, 2](key(1)), x)
"#;
    assert_snapshot!(messages(text), @r#"
    error[E0206]: nothing tells what `I` and `O` of `glorot_uniform` are here
     --> test.tx:3:13
      |
    3 |     let d = glorot_uniform(key(1))
      |             ^^^^^^^^^^^^^^
      |
      = help: say the type: `let x: … = …`, or give the sizes in brackets after the name

    1 error
    "#);
}

#[test]
fn reshapes() {
    let text = r#"fn f[B](x: f32[B, 28, 28]) -> f32[B, 784] = reshape(x, [B, 785])
fn g[B](x: f32[B, 28, 28]) -> f32[B, 784] = reshape(x, [-1, 784])
fn h[B](x: f32[B, 28, 28]) -> f32[B, 783] = reshape(x, [B, -1])
fn i[B](x: f32[B, 5]) = reshape(x, [-1, 2])
"#;
    assert_snapshot!(messages(text), @r#"
    error[E0209]: f32[B, 28, 28] has 784*B elements, the shape [B, 785] has 785*B
     --> test.tx:1:56
      |
    1 | fn f[B](x: f32[B, 28, 28]) -> f32[B, 784] = reshape(x, [B, 785])
      |                -  --  -- 28 comes from here            ^^^^^^^^
      |                |  |
      |                |  28 comes from here
      |                B comes from here

    error[E0205]: expected f32[B, 783], found f32[B, 784]
     --> test.tx:3:45
      |
    3 | fn h[B](x: f32[B, 28, 28]) -> f32[B, 783] = reshape(x, [B, -1])
      |                               -----------   ^^^^^^^^^^^^^^^--^^
      |                               |             |              |
      |                               |             |              784 comes from here
      |                               |             axis 1 should be 783 and is 784
      |                               f32[B, 783] is declared here

    error[E0209]: f32[B, 5] has 5*B elements, which is not known to be a multiple of 2
     --> test.tx:4:37
      |
    4 | fn i[B](x: f32[B, 5]) = reshape(x, [-1, 2])
      |                                     ^^

    3 errors
    "#);
}

#[test]
fn indices() {
    let text = r#"fn f(x: f32[10, 4]) -> f32[4] = x[10]
fn g(x: f32[10, 4]) = x[2:12]
fn h(x: f32[10, 4]) = x[0, 1, 2]
fn i[N, K](x: f32[N], k: f32[K]) = x[:N / K]
fn j[N](x: f32[N, 4], i: f32) = x[i]
fn k[N](x: f32[N, 4]) -> f32[N] = x[:, 1:3]
fn l[N](x: f32[N, 4]) = x[:, -5]
"#;
    assert_snapshot!(messages(text), @r#"
    error[E0210]: index 10 is outside of axis 0, whose size is 10
     --> test.tx:1:35
      |
    1 | fn f(x: f32[10, 4]) -> f32[4] = x[10]
      |             -- 10 comes from here ^^

    error[E0210]: the bound 12 is outside of axis 0, whose size is 10
     --> test.tx:2:27
      |
    2 | fn g(x: f32[10, 4]) = x[2:12]
      |             --            ^^
      |             |
      |             10 comes from here

    error[E0210]: 3 indices for f32[10, 4], which has 2 axes
     --> test.tx:3:23
      |
    3 | fn h(x: f32[10, 4]) = x[0, 1, 2]
      |                       ^^^^^^^^^^

    error[E0207]: N / K is not known to be whole: it is no size
     --> test.tx:4:38
      |
    4 | fn i[N, K](x: f32[N], k: f32[K]) = x[:N / K]
      |                                      ^^^^^^
      |
      = help: a size divided by a number above 0 is one, toward zero; by a name, where that divides it

    error[E0210]: an index is an integer, found f32
     --> test.tx:5:35
      |
    5 | fn j[N](x: f32[N, 4], i: f32) = x[i]
      |                                   ^
      |
      = help: convert it: i64(…)

    error[E0205]: expected f32[N], found f32[N, 2]
     --> test.tx:6:35
      |
    6 | fn k[N](x: f32[N, 4]) -> f32[N] = x[:, 1:3]
      |                          ------   ^^^^^^^^^ 1 axis is expected, this has 2
      |                          |
      |                          f32[N] is declared here

    error[E0210]: index -5 is outside of axis 1, whose size is 4
     --> test.tx:7:30
      |
    7 | fn l[N](x: f32[N, 4]) = x[:, -5]
      |                   -          ^^
      |                   |
      |                   4 comes from here

    7 errors
    "#);
}

#[test]
fn gradients() {
    let text = r#"fn f(x: f32[3], y: i64[3]) -> f32[3] = x * f32(y)
fn g(x: f32[3], y: i64[3]) = grad(f)(x, y)
fn s(x: f32[3], y: i64[3]) -> f32 = sum(x * f32(y))
fn h(x: f32[3], y: i64[3]) = grad(s, wrt = y)(x, y)
fn i(x: f32[3], y: i64[3]) = grad(s, wrt = z)(x, y)
fn step(x: f32[3]) -> f32 = sum(f32(i64(x)))
fn j(x: f32[3]) = grad(step)(x)
fn k(x: f32[3], y: i64[3]) -> f32[3] = grad(s)(x, y)
"#;
    assert_snapshot!(messages(text), @r#"
    error[E0401]: a gradient is that of one float, the function gives f32[3]
     --> test.tx:2:30
      |
    2 | fn g(x: f32[3], y: i64[3]) = grad(f)(x, y)
      |                              ^^^^^^^^^^^^^
      |
      = help: reduce it to a scalar first, with mean or sum

    error[E0402]: there is no derivative by `y`, which is i64[3]
     --> test.tx:4:50
      |
    4 | fn h(x: f32[3], y: i64[3]) = grad(s, wrt = y)(x, y)
      |                                                  ^
      |
      = help: only floats have derivatives: choose another argument with `wrt = name`

    error[E0402]: the function has no parameter `z`
     --> test.tx:5:44
      |
    5 | fn i(x: f32[3], y: i64[3]) = grad(s, wrt = z)(x, y)
      |                                            ^
      |
      = help: it has `x` and `y`

    error[E0403]: the only way to the result leads through `convert`, whose result is i64[3] and has no derivative
     --> test.tx:6:37
      |
    6 | fn step(x: f32[3]) -> f32 = sum(f32(i64(x)))
      |                                     ^^^^^^
    7 | fn j(x: f32[3]) = grad(step)(x)
      |                   ------------- differentiated here
      |
      = help: stop_gradient(x) makes it a constant for the derivative

    4 errors
    "#);
}
