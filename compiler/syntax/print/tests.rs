//! Printing keeps the tree and the comments, and is its own fixed point.

use super::print;
use crate::diag::SourceId;
use crate::syntax::ast::{File, TriviaKind};
use crate::syntax::{parse, samples};

/// The items of a file without their spans.
fn spanless(file: &File) -> String {
    let text = format!("{:?}", file.items);
    let mut out = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("Span { ") {
        out.push_str(before);
        rest = after.split_once(" }").map_or("", |(_, rest)| rest);
    }
    out + rest
}

/// The texts of the comments of a file, sorted: one may be moved.
fn comments(file: &File) -> Vec<&str> {
    let mut texts: Vec<&str> = file
        .trivia
        .iter()
        .filter_map(|t| match &t.kind {
            TriviaKind::OwnLine(text) | TriviaKind::Trailing(text) => Some(text.as_str()),
            TriviaKind::BlankLine | TriviaKind::Opened => None,
        })
        .collect();
    texts.sort_unstable();
    texts
}

/// Prints a text that parses, and checks all that must hold of the result.
#[track_caller]
pub(in crate::syntax) fn formatted(text: &str) -> String {
    let (file, diagnostics) = parse(SourceId(0), text);
    assert!(diagnostics.is_empty(), "{diagnostics:?}\n{text}");
    let printed = print(&file);
    let (again, diagnostics) = parse(SourceId(0), &printed);
    assert!(diagnostics.is_empty(), "{diagnostics:?}\n{printed}");
    assert_eq!(spanless(&file), spanless(&again), "{printed}");
    assert_eq!(comments(&file), comments(&again), "{printed}");
    assert_eq!(print(&again), printed, "printing is idempotent");
    printed
}

#[test]
fn samples_survive() {
    for (name, text) in samples::ALL {
        let printed = formatted(text);
        let longest = printed.lines().map(|l| l.chars().count()).max();
        assert!(longest <= Some(super::doc::WIDTH), "{name}: {longest:?}");
    }
}

#[test]
fn comments_keep_their_places() {
    let text = "\
//! A file.


// Before the import.
import std.nn.{ // after the brace
    Dense, // about Dense
    // before dense
    dense
} // after the import
/// Documentation,
///
///     code.
struct S {
    a: f32, // about a


    /// About b.
    b: f32
    // the end of S
}
fn f(
    x: f32, // about x
    y: f32 // about y
) -> f32 = // after the sign
    // before the body
    x + // after the operator
    y // after the body
fn g() = 1
fn h() = 2

main { // after main
    // first

    let a = f(1.0, // one
        2.0)

    // before the loop
    for i in 0..3 { // in the loop
    }


    if a { b /* c */ }
    // last
}
// the end
";
    let text = text.replace("/* c */", "// c\n");
    insta::assert_snapshot!(formatted(&text), @"
        //! A file.

        // Before the import.
        import std.nn.{ // after the brace
            Dense, // about Dense
            // before dense
            dense,
        } // after the import

        /// Documentation,
        ///
        ///     code.
        struct S {
            a: f32, // about a

            /// About b.
            b: f32,
            // the end of S
        }

        fn f(
            x: f32, // about x
            y: f32, // about y
        ) -> f32 = // after the sign
            // before the body
            x + y // after the operator
        // after the body

        fn g() = 1
        fn h() = 2

        main { // after main
            // first

            let a = f(
                1.0, // one
                2.0,
            )

            // before the loop
            for i in 0..3 { // in the loop
            }

            if a {
                b // c
            }
            // last
        }
        // the end
        ");
}

#[test]
fn what_was_written_over_lines_stays_so() {
    let text = "\
struct S {
    a: f32 }
fn m() = S { a: [
    [1.0, 2.0], [3.0, 4.0]] }
fn f(c: bool) = if c {
    1 } else { 2 }
fn g(c: bool) = if c { 1 } else { 2 }
fn h(x: f32) -> f32 { x }
/// First.
input one: i64 = 1
/// Second.
input two: i64 = 2
main {
    if a { break }
    if a {
        break
    }
    f(
        1, 2)
    f(
    )(1,
        2)
}
";
    insta::assert_snapshot!(formatted(text), @"
        struct S {
            a: f32,
        }

        fn m() = S {
            a: [
                [1.0, 2.0],
                [3.0, 4.0],
            ],
        }

        fn f(c: bool) = if c {
            1
        } else {
            2
        }

        fn g(c: bool) = if c { 1 } else { 2 }

        fn h(x: f32) -> f32 = {
            x
        }

        /// First.
        input one: i64 = 1
        /// Second.
        input two: i64 = 2

        main {
            if a { break }
            if a {
                break
            }
            f(
                1,
                2,
            )
            f()(1, 2)
        }
        ");
}

#[test]
fn the_last_argument_alone_breaks_where_it_holds_a_block() {
    let text = "\
fn turns[N](x: f32[N], rate: f32) -> f32[N] = fold(8, x, fn(y, i) {
    let z = y * rate
    z + 1.0
})
fn turns_of_many_things[N](values_of_the_first: f32[N], rate: f32) -> f32[N] = fold(8, x, fn(y, i) {
    let z = y * rate
    z + 1.0
})
fn many_results(first_argument: f32[N], second_argument: f32[N], third: f32) -> (f32[N], f32[N], f32) = f(x)
main {
    let a = fold(2, zero, fn(sum, i) = fold(2, sum, fn(sum, j) = {
        let weight = near(i) * near(j)
        sum + weight
    }))
    let b = combined(the_first_of_all_arguments, the_second_of_all_arguments, the_third, fn(x) = {
        let weight = near(i) * near(j)
        sum + weight
    })
    let c = combined(the_first_of_all_arguments, the_second_of_all_arguments, S { a: x, b: y, c: z })
    let d = combined(S { a: the_first_of_all_arguments, b: the_second_of_all_arguments, c: the_third, d: z })
    let e = scan x in xs with s = 0.0 { s + x }
    let f = sum_of_the_first(x) * (sum j < 8: {
        let weight = near(j)
        weight * weight
    })
}
";
    insta::assert_snapshot!(formatted(text), @"
        fn turns[N](x: f32[N], rate: f32) -> f32[N] = fold(8, x, fn(y, i) = {
            let z = y * rate
            z + 1.0
        })

        fn turns_of_many_things[N](values_of_the_first: f32[N], rate: f32) -> f32[N] =
            fold(8, x, fn(y, i) = {
                let z = y * rate
                z + 1.0
            })

        fn many_results(
            first_argument: f32[N],
            second_argument: f32[N],
            third: f32,
        ) -> (f32[N], f32[N], f32) = f(x)

        main {
            let a = fold(2, zero, fn(sum, i) = fold(2, sum, fn(sum, j) = {
                let weight = near(i) * near(j)
                sum + weight
            }))
            let b = combined(the_first_of_all_arguments, the_second_of_all_arguments, the_third, fn(x) = {
                let weight = near(i) * near(j)
                sum + weight
            })
            let c = combined(
                the_first_of_all_arguments,
                the_second_of_all_arguments,
                S { a: x, b: y, c: z },
            )
            let d = combined(
                S { a: the_first_of_all_arguments, b: the_second_of_all_arguments, c: the_third, d: z },
            )
            let e = scan x in xs with s = 0.0 { s + x }
            let f = sum_of_the_first(x) * (sum j < 8: {
                let weight = near(j)
                weight * weight
            })
        }
        ");
}

#[test]
fn long_lines_break_at_the_outermost_place() {
    insta::assert_snapshot!(formatted(samples::LONG), @r#"
        import std.nn.{
            Dense,
            dense,
            glorot_uniform,
            layer_norm,
            batch_norm,
            dropout,
            attention,
            convolution,
        }

        struct Transformer {
            query: Dense[512, 512],
            key: Dense[512, 512],
            value: Dense[512, 512],
            out: Dense[512, 512],
        }

        fn attention[B, T, D, H](
            q: f32[B, T, D],
            k: f32[B, T, D],
            v: f32[B, T, D],
            static heads: i64 = 8,
        ) -> f32[B, T, D] where H divides D, T <= 1024 = softmax(q @ k, axis = -1) @ v

        fn long(x: f32) =
            first_operand_of_the_sum
                + second_operand_of_the_sum * third_operand_of_it
                - fourth_operand_of_the_sum

        fn choose(c: bool) = if this_condition_is_quite_long_indeed {
            this_value_is_long_too(1, 2)
        } else if other {
            b
        } else {
            let y = 2
            y
        }

        main {
            let result = some_function(
                another_function(1, 2, 3),
                yet_another_function(4, 5, 6),
                [7, 8, 9, 10, 11, 12],
            )
            let m = Mlp {
                hidden: glorot_uniform(key(1)),
                out: glorot_uniform(key(2)),
                extra: glorot_uniform(key(3)),
                ..other,
            }
            log loss = mean(losses_of_this_epoch),
                accuracy = mean(accuracies_of_this_epoch),
                gradient_norm = norm(g)
            print("a long string that does not fit on the line is left as it is, since nothing is gained by breaking")
        }
        "#);
}

#[test]
fn trees_that_no_parser_built_get_their_parentheses() {
    use crate::syntax::ast::{
        BinaryOp as B, Expr, ExprKind as E, Ident, IndexBinder, NOWHERE, ReduceOp, UnaryOp,
    };
    let new = |kind| Expr::new(kind, NOWHERE);
    let name = |n: &str| new(E::Name(n.into()));
    let binary = |op, left: &Expr, right: &Expr| {
        let (left, right) = (Box::new(left.clone()), Box::new(right.clone()));
        new(E::Binary { op, op_span: NOWHERE, left, right })
    };
    let neg = |e: &Expr| new(E::Unary { op: UnaryOp::Neg, operand: Box::new(e.clone()) });
    let call = |f: &Expr| new(E::Call { callee: Box::new(f.clone()), args: vec![] });
    let reduction = |body: &Expr| {
        let k = Ident { name: "k".into(), span: NOWHERE };
        let indices = vec![IndexBinder { name: k, bound: None }];
        new(E::Reduction {
            op: ReduceOp::Sum,
            op_span: NOWHERE,
            indices,
            body: Box::new(body.clone()),
        })
    };
    let (a, b) = (name("a"), name("b"));
    let sum = binary(B::Add, &a, &b);
    let power = binary(B::Pow, &a, &b);
    let less = binary(B::Lt, &a, &b);
    let cases = [
        (binary(B::Mul, &sum, &sum), "(a + b) * (a + b)"),
        (binary(B::Sub, &a, &sum), "a - (a + b)"),
        (binary(B::Add, &sum, &a), "a + b + a"),
        (binary(B::Pow, &power, &a), "(a ** b) ** a"),
        (binary(B::Pow, &a, &power), "a ** a ** b"),
        (binary(B::Pow, &neg(&a), &neg(&b)), "(-a) ** -b"),
        (neg(&power), "-a ** b"),
        (neg(&sum), "-(a + b)"),
        (neg(&neg(&a)), "--a"),
        (binary(B::Eq, &less, &less), "(a < b) == (a < b)"),
        (binary(B::And, &less, &less), "a < b & a < b"),
        (call(&sum), "(a + b)()"),
        (call(&reduction(&a)), "(sum k: a)()"),
        (binary(B::Add, &reduction(&a), &b), "(sum k: a) + b"),
        (binary(B::Add, &b, &reduction(&a)), "b + sum k: a"),
        (binary(B::Mul, &binary(B::Mul, &b, &reduction(&a)), &b), "b * (sum k: a) * b"),
    ];
    for (expr, text) in cases {
        assert_eq!(expr.to_string(), text);
    }
}
