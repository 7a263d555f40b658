//! `main` and tests: what becomes of their statements.

use super::checked;
use super::run::{printed, run};
use crate::check::typed::TestKind;
use insta::assert_snapshot;

#[test]
fn a_training_step_of_mnist_is_one_region() {
    let program = checked(include_str!("../../../examples/mnist.tx")).unwrap();
    let names: Vec<&str> = program.functions.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["logits", "loss", "pixels"]);
    let main = program.main.unwrap();
    // Initial values, batch size, training step, evaluation.
    assert_eq!(main.regions.len(), 4);
    let step = &main.regions[2];
    let dying = step.inputs.iter().filter(|(_, dies)| *dies).count();
    assert_eq!((step.inputs.len(), dying, step.outputs.len()), (11, 10, 9));
}

#[test]
fn examples_run_and_learn() {
    assert_snapshot!(printed(include_str!("../../../examples/linear_regression.tx")), @"w = 1.991 -3.002 0.498, b = 1.008, loss = 0.01038");
    assert_snapshot!(printed(include_str!("../../../examples/logistic_regression.tx")), @"w = 2.00 1.95, b = -0.29, accuracy = 0.921");
    assert_snapshot!(printed(include_str!("../../../examples/two_layer.tx")), @"train 0.00047, test 0.00064");
}

#[test]
fn tests_of_the_examples_pass() {
    for text in [
        include_str!("../../../examples/linear_regression.tx"),
        include_str!("../../../examples/logistic_regression.tx"),
        include_str!("../../../examples/two_layer.tx"),
    ] {
        for test in checked(text).unwrap().tests {
            let TestKind::Script(script) = &test.kind else { panic!("{} is a script", test.name) };
            assert_eq!(run(script), Vec::<String>::new(), "{}", test.name);
        }
    }
}

#[test]
fn variables_carry_through_loops_and_branches() {
    let text = r#"
        input n: i64 = 5
        main {
            var a = 0
            var b = 1
            for i in 0..n {
                (a, b) = (b, a + b)
                if i % 2 == 0 { print("{i}: {a}") } else { a += 100; a -= 100 }
            }
            print("{a} {b}")
        }
    "#;
    assert_snapshot!(printed(text), @r#"
    0: 1
    2: 2
    4: 5
    5 8
    "#);
}

#[test]
fn a_let_keeps_what_a_variable_was() {
    let text = r#"
        main {
            var x = 1.0
            let before = x
            let add = fn(y) = y + x
            for i in 0..3 { x = 2.0 * x }
            let after = x
            x = 0.0
            print("{before} {after} {add(1.0)} {x}")
        }
    "#;
    assert_snapshot!(printed(text), @"1 8 2 0");
}

#[test]
fn variables_that_swap_are_not_mixed_up() {
    let text = r#"
        main {
            var a = [1.0, 2.0]
            var b = [3.0, 4.0]
            for i in 0..3 { (a, b) = (b, a) }
            var c = a
            a = b
            b = c
            print("{a} {b}")
        }
    "#;
    assert_snapshot!(printed(text), @"1 2 3 4");
}

#[test]
fn break_continue_and_while() {
    let text = r#"
        main {
            var sum = 0
            for i in 0..10 {
                if i == 3 { continue }
                if i == 6 { break }
                sum += i
            }
            var x = 1
            while x < 100 limit 1000 { x = 3 * x }
            print("{sum} {x}")
        }
    "#;
    assert_snapshot!(printed(text), @"12 243");
}

#[test]
fn batches_have_a_size_of_their_own() {
    let text = r#"
        struct Pair[N] { x: f32[N, 2], y: i64[N] }
        fn total[N](p: Pair[N]) -> f32 = sum(p.x) + f32(N)
        main {
            let data = Pair { x: ones([5, 2]), y: arange(5) }
            for b in batches(data, 2) { print("{total(b)} {b.y}") }
            for b in batches(data.y, 2, drop_last = true) { print("{b}") }
        }
    "#;
    assert_snapshot!(printed(text), @r#"
    6 0 1
    6 2 3
    3 4
    0 1
    2 3
    "#);
}

#[test]
fn a_log_does_not_split_a_region_and_a_print_does() {
    let regions = |text: &str| checked(text).unwrap().main.unwrap().regions.len();
    let body = |between: &str| {
        format!("main {{ var x = 1.0; let y = x + 1.0; {between}; x = y * y; print(\"{{x}}\") }}")
    };
    assert_eq!(regions(&body("log y = y")), 1);
    assert_eq!(regions(&body("print(\"{y}\")")), 2);
}

#[test]
fn what_nobody_reads_is_not_computed() {
    let text = r#"
        main {
            var unused = zeros([1000, 1000])
            for i in 0..3 { unused = unused + 1.0 }
            let x = 1.0 + 1.0
            print("{x}")
        }
    "#;
    let main = checked(text).unwrap().main.unwrap();
    assert_eq!(main.regions.len(), 2, "the bounds of the loop and what is printed");
    assert_snapshot!(printed(text), @"2");
}
