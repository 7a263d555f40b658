//! Messages about `main`, structs and generic functions.

use super::messages;
use insta::assert_snapshot;

#[test]
fn statements_of_main() {
    let text = r#"input epochs: i64 = 5.5
input lr: f32[3] = 1
fn f(x: f32) -> f32 = x * lr
fn p(x: f32) -> f32 = { print("hi"); x }
main {
    let a = 1.0
    a = 2.0
    var b = 1.0
    b = 2
    b = [1.0]
    for i in 0..epochs { c = i }
    for x in b { }
    while b > 0.0 { }
    break
    let t = load("x.npy")
    let u = load("x.npy") as f32[N]
    let v = batches(u, 3)
    for k in batches(u, 1.5) { }
    print("{nope}")
    u + 1
    let z = if b > 0.5 { print("x"); 1.0 } else { 2.0 }
}
"#;
    assert_snapshot!(messages(text), @r#"
    error[E0217]: the input `lr` is known in `main` and tests only
     --> test.tx:3:27
      |
    3 | fn f(x: f32) -> f32 = x * lr
      |                           ^^
      |
      = help: give `lr` to the function as an argument

    error[E0217]: `print` is for `main` and tests: functions only compute
     --> test.tx:4:25
      |
    4 | fn p(x: f32) -> f32 = { print("hi"); x }
      |                         ^^^^^

    error[E0202]: expected i64, found the float 5.5
     --> test.tx:1:21
      |
    1 | input epochs: i64 = 5.5
      |                     ^^^
      |
      = help: convert it, or the i64 to a float type: f32(…)

    error[E0201]: an input is a scalar, found f32[3]
     --> test.tx:2:11
      |
    2 | input lr: f32[3] = 1
      |           ^^^^^^

    error[E0218]: `a` cannot be assigned: it is no `var`
     --> test.tx:7:5
      |
    6 |     let a = 1.0
      |         - bound here
    7 |     a = 2.0
      |     ^

    error[E0205]: expected f32, found f32[1]
      --> test.tx:10:9
       |
     8 |     var b = 1.0
       |         - f32 is declared here
     9 |     b = 2
    10 |     b = [1.0]
       |         ^^^^^ a scalar is expected, this has 1 axis

    error[E0301]: `c` is not defined
      --> test.tx:11:26
       |
    11 |     for i in 0..epochs { c = i }
       |                          ^
       |
       = help: define it first: var c = …

    error[E0217]: `for` goes through a range or batches
      --> test.tx:12:14
       |
    12 |     for x in b { }
       |              ^
       |
       = help: write 0..n, or batches(data, size)

    error[E0211]: `while` says how often it turns at most
      --> test.tx:13:11
       |
    13 |     while b > 0.0 { }
       |           ^^^^^^^
       |
       = help: write while b > 0.0 limit 1000 { … }

    error[E0217]: there is no loop around this
      --> test.tx:14:5
       |
    14 |     break
       |     ^^^^^

    error[E0217]: `load` needs to know what is in the file
      --> test.tx:15:13
       |
    15 |     let t = load("x.npy")
       |             ^^^^^^^^^^^^^
       |
       = help: say the type: load("x.npy") as f32[N]

    error[E0217]: `batches` is what a `for` of `main` goes through
      --> test.tx:17:13
       |
    17 |     let v = batches(u, 3)
       |             ^^^^^^^^^^^^^
       |
       = help: write for b in batches(data, 128) { … }

    error[E0202]: expected i64, found the float 1.5
      --> test.tx:18:25
       |
    18 |     for k in batches(u, 1.5) { }
       |                         ^^^
       |
       = help: convert it, or the i64 to a float type: f32(…)

    error[E0301]: `nope` is not defined
      --> test.tx:19:13
       |
    19 |     print("{nope}")
       |             ^^^^

    warning[E0217]: the value of this, f32[N], is not used
      --> test.tx:20:5
       |
    20 |     u + 1
       |     ^^^^^
       |
       = help: bind it: let x = …

    error[E0217]: `print` is for `main` and tests: functions only compute
      --> test.tx:21:26
       |
    21 |     let z = if b > 0.5 { print("x"); 1.0 } else { 2.0 }
       |                          ^^^^^

    15 errors, 1 warning
    "#);
}

#[test]
fn structs() {
    let text = r#"struct A[N] { x: f32[N], y: f32[N] }
fn f(v: f32[3], w: f32[4]) = A { x: v, y: w }
fn g(v: f32[3]) = A { x: v }
fn h(v: f32[3]) = A { x: v, y: v, w: v }
fn i(v: f32[3]) = B { x: v }
fn j(a: A[3], b: A[4]) = a + b
fn k(a: A[3], b: f32[3]) = a * b
fn l(a: A[3]) = 2.0 * a - a
"#;
    assert_snapshot!(messages(text), @r#"
    error[E0205]: the field `y` is f32[N], found f32[4]
     --> test.tx:2:43
      |
    2 | fn f(v: f32[3], w: f32[4]) = A { x: v, y: w }
      |             -          -                  ^ `N` is 3 here, this is 4
      |             |          |
      |             |          4 comes from here
      |             3 comes from here
      |
      = help: change it to f32[3], or `v` to f32[4]

    error[E0307]: `A` also has `y`
     --> test.tx:3:19
      |
    3 | fn g(v: f32[3]) = A { x: v }
      |                   ^

    error[E0303]: `A` has no field `w`
     --> test.tx:4:35
      |
    4 | fn h(v: f32[3]) = A { x: v, y: v, w: v }
      |                                   ^
      |
      = help: it has `x` and `y`

    error[E0302]: there is no struct `B`
     --> test.tx:5:19
      |
    5 | fn i(v: f32[3]) = B { x: v }
      |                   ^

    error[E0201]: `+` needs values of one type, found A[3] and A[4]
     --> test.tx:6:26
      |
    6 | fn j(a: A[3], b: A[4]) = a + b
      |                          ^^^^^

    error[E0201]: `*` between A[3] and f32[3] has no meaning
     --> test.tx:7:32
      |
    7 | fn k(a: A[3], b: f32[3]) = a * b
      |                                ^
      |
      = help: with a struct, the other operand is the same struct or a scalar

    6 errors
    "#);
}

#[test]
fn generic_functions_are_tried() {
    let text = r#"fn bad[T: float, S...](x: T[S...]) -> T[S...] = x @ x
fn outer[A, B](x: f32[A], y: f32[B]) -> f32[A, B] = x[:, None] * y
fn twice[P: tree](p: P) -> P = p + p
fn split_heads[B, E, H](x: f32[B, E], static n: i64 = 1) -> f32[B, H, E / H] where H divides E = reshape(x, [B, H, E / H])
"#;
    assert_snapshot!(messages(text), @r#"
    error[E0203]: `@` needs equal inner dimensions, found S.1 and S.0
     --> test.tx:1:49
      |
    1 | fn bad[T: float, S...](x: T[S...]) -> T[S...] = x @ x
      |                                                 ^^^^^ x is f32[S.0, S.1], x is f32[S.0, S.1]
      |
      = note: `bad` was tried with T = f32, S... = [S.0, S.1]
      = help: or write transpose(x) @ x

    1 error
    "#);
}

#[test]
fn patterns() {
    let text = r#"fn att[B, I, J, D](q: f32[B, I, D], k: f32[B, J, D]) -> f32[B, I, J] = einsum("b i d, b j d -> b i j", q, k)
fn bad[B, I, J, D, E](q: f32[B, I, D], k: f32[B, J, E]) -> f32[B, I, J] = einsum("b i d, b j d -> b i j", q, k)
fn bad2[I, J](q: f32[I, J]) = einsum("i j k -> i", q)
fn bad3[I, J](q: f32[I, J]) = einsum("i j -> i x", q)
fn tr[I, J](q: f32[I, J]) -> f32[J, I] = einsum("ij->ji", q)
"#;
    assert_snapshot!(messages(text), @r#"
    error[E0203]: the axis `d` is D and E
     --> test.tx:2:94
      |
    2 | fn bad[B, I, J, D, E](q: f32[B, I, D], k: f32[B, J, E]) -> f32[B, I, J] = einsum("b i d, b j d -> b i j", q, k)
      |                                    -                -                                 -      ^ E here
      |                                    |                |                                 |
      |                                    |                E comes from here                 D here
      |                                    D comes from here

    error[E0214]: the pattern names 3 axes, the operand is f32[I, J] with 2
     --> test.tx:3:39
      |
    3 | fn bad2[I, J](q: f32[I, J]) = einsum("i j k -> i", q)
      |                                       ^^^^^        - this is f32[I, J]

    error[E0214]: no operand has an axis `x`
     --> test.tx:4:48
      |
    4 | fn bad3[I, J](q: f32[I, J]) = einsum("i j -> i x", q)
      |                                                ^

    3 errors
    "#);
}

#[test]
fn results() {
    let text = r#"fn f[B](x: f32[B, 3]) -> f32[B, 4] = {
    let y = x * 2
    y
}
fn g(x: f32[3]) -> f32 = x
fn h(x: f32[3]) -> (f32, f32) = (sum(x), 1)
fn i(x: f32[3]) -> i64[3] = x
fn u[B](m: f32[B, 5], v: f32[3]) -> f32[B] = mm(m, v)
fn mm[A, B](m: f32[A, B], v: f32[B]) -> f32[A] = m @ v
"#;
    assert_snapshot!(messages(text), @r#"
    error[E0205]: expected f32[B, 4], found f32[B, 3]
     --> test.tx:3:5
      |
    1 | fn f[B](x: f32[B, 3]) -> f32[B, 4] = {
      |                   -      --------- f32[B, 4] is declared here
      |                   |
      |                   3 comes from here
    2 |     let y = x * 2
    3 |     y
      |     ^ axis 1 should be 4 and is 3

    error[E0205]: expected f32, found f32[3]
     --> test.tx:5:26
      |
    5 | fn g(x: f32[3]) -> f32 = x
      |                    ---   ^ a scalar is expected, this has 1 axis
      |                    |
      |                    f32 is declared here

    error[E0202]: expected i64[3], found f32[3]
     --> test.tx:7:29
      |
    7 | fn i(x: f32[3]) -> i64[3] = x
      |                    ------   ^
      |                    |
      |                    i64[3] is declared here
      |
      = help: convert it: i64(…)

    error[E0205]: `v` of `mm` is f32[B], found f32[3]
     --> test.tx:8:52
      |
    8 | fn u[B](m: f32[B, 5], v: f32[3]) -> f32[B] = mm(m, v)
      |                   -          - 3 comes from here   ^ `B` is 5 here, this is 3
      |                   |
      |                   5 comes from here
      |
      = help: change it to f32[5], or `m` to f32[B, 3]

    4 errors
    "#);
}

#[test]
fn defaults_of_generic_parameters() {
    let text = r#"import std.nn.{Dense, dense}
struct Late[T: float = f32, N] { w: T[N] }
struct Whole[N, T: float = i64] { w: T[N] }
struct Sized[N = 3] { w: f32[N] }
"#;
    assert_snapshot!(messages(text), @r#"
    error[E0101]: expected the element type that it is where nothing else is said, found `3`
     --> test.tx:4:18
      |
    4 | struct Sized[N = 3] { w: f32[N] }
      |                  ^

    error[E0221]: `N` has no default
     --> test.tx:2:29
      |
    2 | struct Late[T: float = f32, N] { w: T[N] }
      |                             ^
      |
      = help: parameters with a default come last

    error[E0221]: `T` cannot be `i64` by default
     --> test.tx:3:28
      |
    3 | struct Whole[N, T: float = i64] { w: T[N] }
      |                            ^^^
      |
      = help: a default is an element type: `T: float = f32`

    3 errors
    "#);
    let text = r#"import std.nn.{Dense, dense}
struct Own[N..., T: number = f32] { w: T[N...] }
fn f(p: Dense[4, 3], x: f64[2, 4]) = dense(p, x)
fn g(p: Dense[4, 3, f64]) -> Dense[4, 3] = p
fn h(p: Dense[4, 3, i64]) = p
fn i(p: Dense[4]) = p
fn j(p: Dense[4, 3, 5]) = p
fn k(p: Own[4, 3, i64]) -> Own[4, 3] = p
fn l(p: Own[4, f32, 3]) = p
"#;
    assert_snapshot!(messages(text), @r#"
    error[E0202]: `x` of `dense` is T[B..., I], found f64[2, 4]
     --> test.tx:3:47
      |
    3 | fn f(p: Dense[4, 3], x: f64[2, 4]) = dense(p, x)
      |                                               ^ `T` is f32 here
      |
      = note: it is dense(p: Dense[I, O, T], x: T[B..., I])

    error[E0201]: expected Dense[4, 3], found Dense[4, 3, f64]
     --> test.tx:4:44
      |
    4 | fn g(p: Dense[4, 3, f64]) -> Dense[4, 3] = p
      |                              -----------   ^
      |                              |
      |                              Dense[4, 3] is declared here

    error[E0221]: this struct is of no i64
     --> test.tx:5:21
      |
    5 | fn h(p: Dense[4, 3, i64]) = p
      |                     ^^^

    error[E0221]: this struct takes 2 or 3 arguments in brackets, found 1
     --> test.tx:6:9
      |
    6 | fn i(p: Dense[4]) = p
      |         ^^^^^^^^

    error[E0221]: a type was expected here, found a size
     --> test.tx:7:21
      |
    7 | fn j(p: Dense[4, 3, 5]) = p
      |                     ^

    error[E0201]: expected Own[4, 3], found Own[4, 3, i64]
     --> test.tx:8:40
      |
    8 | fn k(p: Own[4, 3, i64]) -> Own[4, 3] = p
      |                            ---------   ^
      |                            |
      |                            Own[4, 3] is declared here

    error[E0302]: `f32` is an element type, a size is expected here
     --> test.tx:9:16
      |
    9 | fn l(p: Own[4, f32, 3]) = p
      |                ^^^
      |
      = help: a parameter that is an element type is declared so: `T: float`

    7 errors
    "#);
}
