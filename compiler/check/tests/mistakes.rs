//! Mistakes that stand alone: one kind a test.

use super::messages;
use insta::assert_snapshot;

#[test]
fn a_number_that_its_type_cannot_hold() {
    let text = r"fn f() -> i64 = 99999999999999999999
fn g() -> f32 = 1e999
";
    assert_snapshot!(messages(text), @r"
    error[E0005]: this integer is too large for `i64`
     --> test.tx:1:17
      |
    1 | fn f() -> i64 = 99999999999999999999
      |                 ^^^^^^^^^^^^^^^^^^^^
      |
      = note: the largest is 9223372036854775807

    error[E0005]: no float type holds a number this large
     --> test.tx:2:17
      |
    2 | fn g() -> f32 = 1e999
      |                 ^^^^^

    2 errors
    ");
}

#[test]
fn an_argument_without_a_name_comes_first() {
    let text = r"fn order(x: f32) = relu(x = x, x)
";
    assert_snapshot!(messages(text), @r"
    error[E0108]: arguments without a name come before those with one
     --> test.tx:1:32
      |
    1 | fn order(x: f32) = relu(x = x, x)
      |                         -      ^
      |                         |
      |                         this one has a name

    1 error
    ");
}

#[test]
fn constraints_are_demanded_at_calls() {
    let text = r"fn halves[N](x: f32[N]) -> f32[N / 2, 2] where 2 divides N = reshape(x, [N / 2, 2])

fn odd(x: f32[7]) -> f32[3, 2] = halves(x)

fn narrow[N, M](x: f32[N], y: f32[M]) -> f32[N] where N <= M = x

fn wrong(x: f32[7], y: f32[3]) -> f32[7] = narrow(x, y)
";
    assert_snapshot!(messages(text), @r"
    error[E0216]: `halves` needs 2 divides 7
     --> test.tx:3:34
      |
    1 | fn halves[N](x: f32[N]) -> f32[N / 2, 2] where 2 divides N = reshape(x, [N / 2, 2])
      |                                                ----------- demanded here
    2 |
    3 | fn odd(x: f32[7]) -> f32[3, 2] = halves(x)
      |                                  ^^^^^^

    error[E0216]: `narrow` needs 7 <= 3
     --> test.tx:7:44
      |
    5 | fn narrow[N, M](x: f32[N], y: f32[M]) -> f32[N] where N <= M = x
      |                                                       ------ demanded here
    6 |
    7 | fn wrong(x: f32[7], y: f32[3]) -> f32[7] = narrow(x, y)
      |                                            ^^^^^^

    2 errors
    ");
}

#[test]
fn sizes_that_cannot_be() {
    let text = r"fn f(x: f32[-1, 3]) -> f32[3] = sum(x, axis = 0)

struct Wide[N] { w: f32[N, N - 5] }

fn g(p: Wide[3]) -> f32 = sum(p.w)
";
    assert_snapshot!(messages(text), @r"
    error[E0221]: a size cannot be -1
     --> test.tx:1:13
      |
    1 | fn f(x: f32[-1, 3]) -> f32[3] = sum(x, axis = 0)
      |             ^^

    error[E0221]: a size cannot be -2
     --> test.tx:3:28
      |
    3 | struct Wide[N] { w: f32[N, N - 5] }
      |                            ^^^^^

    2 errors
    ");
}

#[test]
fn names_that_are_defined_twice() {
    let text = r"fn f(x: f32) -> f32 = x

fn f(y: f32) -> f32 = y

struct P { a: f32, a: f32 }

fn g(x: f32, x: f32) -> f32 = x

fn h[N, N](x: f32[N]) -> f32[N] = x
";
    assert_snapshot!(messages(text), @r"
    error[E0304]: `f` is defined twice
     --> test.tx:3:4
      |
    1 | fn f(x: f32) -> f32 = x
      |    - first here
    2 |
    3 | fn f(y: f32) -> f32 = y
      |    ^

    error[E0304]: the field `a` is declared twice
     --> test.tx:5:20
      |
    5 | struct P { a: f32, a: f32 }
      |            -       ^
      |            |
      |            first here

    error[E0304]: the parameter `x` is declared twice
     --> test.tx:7:14
      |
    7 | fn g(x: f32, x: f32) -> f32 = x
      |      -       ^
      |      |
      |      first here

    error[E0304]: the generic parameter `N` is declared twice
     --> test.tx:9:9
      |
    9 | fn h[N, N](x: f32[N]) -> f32[N] = x
      |      -  ^
      |      |
      |      first here

    4 errors
    ");
}

#[test]
fn what_is_no_function_no_value_and_no_condition() {
    let text = r"fn f(x: f32) -> f32 = x(3.0)

struct P { a: f32 }

fn g(x: f32) -> P = P(x)

fn h(x: f32) -> f32 = if x { 1.0 } else { 2.0 }
";
    assert_snapshot!(messages(text), @r"
    error[E0213]: `x` is no function
     --> test.tx:1:23
      |
    1 | fn f(x: f32) -> f32 = x(3.0)
      |                       ^ this is f32

    error[E0305]: `P` is a struct, a value was expected
     --> test.tx:5:21
      |
    5 | fn g(x: f32) -> P = P(x)
      |                     ^
      |
      = help: make one: P { … }

    error[E0201]: a condition is a bool scalar, found f32
     --> test.tx:7:26
      |
    7 | fn h(x: f32) -> f32 = if x { 1.0 } else { 2.0 }
      |                          ^
      |
      = help: compare it: x != 0

    3 errors
    ");
}

#[test]
fn a_struct_that_contains_itself() {
    let text = r"struct Tree { value: f32, left: Tree }

fn f(t: Tree) -> f32 = t.value
";
    assert_snapshot!(messages(text), @r"
    error[E0306]: the struct `Tree` contains itself
     --> test.tx:1:8
      |
    1 | struct Tree { value: f32, left: Tree }
      |        ^^^^

    1 error
    ");
}

#[test]
fn an_index_that_is_not_used() {
    let text = r"fn unused[N](x: f32[N]) = for i, j: x[i]
fn repeated[N](x: f32[N]) = for i, j < 3: x[i]
";
    assert_snapshot!(messages(text), @r"
    error[E0223]: the index `j` is not used
     --> test.tx:1:34
      |
    1 | fn unused[N](x: f32[N]) = for i, j: x[i]
      |                                  ^
      |
      = help: leave it out

    error[E0223]: the index `j` is not used
     --> test.tx:2:36
      |
    2 | fn repeated[N](x: f32[N]) = for i, j < 3: x[i]
      |                                    ^
      |
      = help: to repeat a value, call it `_j`

    2 errors
    ");
}

#[test]
fn axes_that_vmap_does_not_go_along() {
    let text = r"fn dot(x: f32[3], y: f32[3]) -> f32 = sum(x * y)

fn sizes[A, B](x: f32[A, 3], y: f32[B, 3]) -> f32[A] = vmap(dot)(x, y)

fn sizes_inside(x: f32[4, 3]) -> f32[4] = {
    let ys = zeros([5, 3])
    vmap(dot)(x, ys)
}

fn not_a_lane(x: f32[3], y: f32[3]) -> f32 = vmap(fn(a: f32, s: f32) = a * s)(x, sum(y))

fn no_such_axis[B](x: f32[B, 3]) -> f32[B] = vmap(dot, axes = (2, 0))(x, x)

fn too_few_axes[B](x: f32[B, 3]) -> f32[B] = vmap(dot, axes = (0,))(x, x)

fn no_lanes(x: f32[3]) -> f32 = vmap(dot, axes = (None, None))(x, x)
";
    assert_snapshot!(messages(text), @r"
    error[E0404]: `vmap` goes along axes of one size, found A and B
     --> test.tx:3:69
      |
    3 | fn sizes[A, B](x: f32[A, 3], y: f32[B, 3]) -> f32[A] = vmap(dot)(x, y)
      |                       -             -                            -  ^ B along axis 0 of f32[B, 3]
      |                       |             |                            |
      |                       |             B comes from here            A here
      |                       A comes from here

    error[E0404]: `vmap` goes along axes of one size, found 4 and 5
     --> test.tx:7:18
      |
    5 | fn sizes_inside(x: f32[4, 3]) -> f32[4] = {
      |                        - 4 comes from here
    6 |     let ys = zeros([5, 3])
      |                     - 5 comes from here
    7 |     vmap(dot)(x, ys)
      |               -  ^^ 5 along axis 0 of f32[5, 3]
      |               |
      |               4 here

    error[E0405]: `vmap` goes along an axis, this is the scalar f32
      --> test.tx:10:82
       |
    10 | fn not_a_lane(x: f32[3], y: f32[3]) -> f32 = vmap(fn(a: f32, s: f32) = a * s)(x, sum(y))
       |                                                                                  ^^^^^^
       |
       = help: say the axis of each argument, `None` for one that serves all lanes: vmap(f, axes = (0, None))

    error[E0405]: `vmap` goes along axis 2, which f32[B, 3] does not have
      --> test.tx:12:71
       |
    12 | fn no_such_axis[B](x: f32[B, 3]) -> f32[B] = vmap(dot, axes = (2, 0))(x, x)
       |                                                                       ^
       |
       = help: say the axis of each argument, `None` for one that serves all lanes: vmap(f, axes = (0, None))

    error[E0405]: `axes` says 1 for 2 arguments
      --> test.tx:14:63
       |
    14 | fn too_few_axes[B](x: f32[B, 3]) -> f32[B] = vmap(dot, axes = (0,))(x, x)
       |                                                               ^^^^
       |
       = help: one axis for each argument, `None` for one that serves all lanes

    error[E0405]: no argument holds many values: there is nothing for `vmap` to go along
      --> test.tx:16:33
       |
    16 | fn no_lanes(x: f32[3]) -> f32 = vmap(dot, axes = (None, None))(x, x)
       |                                 ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

    6 errors
    ");
}

#[test]
fn slices_whose_length_is_not_known() {
    let text = r"fn rest(x: f32[4], i: i64) = x[i:]
fn first(x: f32[4, 5], i: i64) = x[:, :i]
fn between(x: f32[4], i: i64, j: i64) = x[i + 1:j]
fn growing(x: f32[4], i: i64) = x[i:2 * i + 1]
fn long(x: f32[4], i: i64) = x[i:i + 5]
fn far(x: f32[4], i: i64) = x[i:i + 5:2]
fn several(x: f32[4], i: i64[2]) = x[i:i + 2]
fn fraction(x: f32[4], i: f32) = x[i:i + 2.0]
";
    assert_snapshot!(messages(text), @r"
    error[E0212]: how many elements `i:` takes is not known to the compiler
     --> test.tx:1:32
      |
    1 | fn rest(x: f32[4], i: i64) = x[i:]
      |                                ^^
      |
      = help: a slice that begins at a computed place has a known length: `i:i + 4`

    error[E0212]: how many elements `:i` takes is not known to the compiler
     --> test.tx:2:39
      |
    2 | fn first(x: f32[4, 5], i: i64) = x[:, :i]
      |                                       ^^
      |
      = help: a slice that begins at a computed place has a known length: `i:i + 4`

    error[E0212]: how many elements `i + 1:j` takes is not known to the compiler
     --> test.tx:3:43
      |
    3 | fn between(x: f32[4], i: i64, j: i64) = x[i + 1:j]
      |                                           ^^^^^^^
      |
      = help: a slice that begins at a computed place has a known length: `i + 1:i + 1 + 4`

    error[E0212]: how many elements `i:2 * i + 1` takes is not known to the compiler
     --> test.tx:4:35
      |
    4 | fn growing(x: f32[4], i: i64) = x[i:2 * i + 1]
      |                                   ^^^^^^^^^^^
      |
      = help: a slice that begins at a computed place has a known length: `i:i + 4`

    error[E0210]: `i:i + 5` takes more than axis 0 has, whose size is 4
     --> test.tx:5:32
      |
    5 | fn long(x: f32[4], i: i64) = x[i:i + 5]
      |                -               ^^^^^^^
      |                |
      |                4 comes from here

    error[E0210]: `i:i + 5:2` takes more than axis 0 has, whose size is 4
     --> test.tx:6:31
      |
    6 | fn far(x: f32[4], i: i64) = x[i:i + 5:2]
      |               -               ^^^^^^^^^
      |               |
      |               4 comes from here

    error[E0210]: a bound of a slice is one integer, found i64[2]
     --> test.tx:7:38
      |
    7 | fn several(x: f32[4], i: i64[2]) = x[i:i + 2]
      |                                      ^

    error[E0210]: a bound of a slice is one integer, found f32
     --> test.tx:8:36
      |
    8 | fn fraction(x: f32[4], i: f32) = x[i:i + 2.0]
      |                                    ^

    8 errors
    ");
}
