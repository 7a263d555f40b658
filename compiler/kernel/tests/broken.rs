//! The verifier finds what is broken.

use crate::kernel::text::parse;
use crate::kernel::verify;

const GOOD: &str = "\
buffer b0 \"x\": f32 80 = input 0
buffer b1 \"t\": f32 80 = arena @ 0
buffer b2 \"u\": f32 80 = arena @ 320
buffer b3 \"y\": f32 8 = output 0
buffer b4 \"z\": f32 80 = output 1
plan arena 640 row 0
kernel \"neg\" = nest [] split never
  stage reduce [] lanes 80
    body ()
      at s0 = b0 + 0 [1]
      at s1 = b1 + 0 [1]
      slot s0: f32 unit
      slot s1: f32 unit
      v0 = load s0
      v1 = neg v0
      v2 = store s1, v1
    end
kernel \"sum\" = nest [8] split rows
  stage reduce [] lanes 10
    body ()
      at s0 = b1 + 0 [10, 1]
      at s1 = b2 + 0 [10, 1]
      slot s0: f32 unit
      slot s1: f32 unit
      v0 = load s0
      v1 = store s1, v0
      fold add v0
    end
    across ()
      at s0 = b3 + 0 [1, 0]
      slot s0: f32 unit
      param p0: f32
      v0 = param p0
      v1 = store s0, v0
      yield v0
    end
  stage reduce [] lanes 10
    body (r0)
      at s0 = b2 + 0 [10, 1]
      at s1 = b4 + 0 [10, 1]
      slot s0: f32 unit
      slot s1: f32 unit
      param p0: f32
      v0 = load s0
      v1 = param p0
      v2 = div v0, v1
      v3 = store s1, v2
    end
";

/// What the verifier says of the good program with one part of its text replaced.
fn with(from: &str, to: &str) -> String {
    let text = GOOD.replacen(from, to, 1);
    assert_ne!(text, GOOD, "{from} is in the text");
    match verify(&parse(&text).expect("it is a text")) {
        Ok(()) => "right".to_owned(),
        Err(violation) => violation.to_string(),
    }
}

#[test]
fn the_good_program_is_right() {
    assert_eq!(verify(&parse(GOOD).expect("it is a text")), Ok(()));
}

/// The verdicts on several replacements, one a line.
fn verdicts(cases: &[(&str, &str)]) -> String {
    cases.iter().map(|(from, to)| with(from, to)).collect::<Vec<_>>().join("\n")
}

#[test]
fn accesses_stay_in_bounds() {
    let found = verdicts(&[
        ("b0 + 0 [1]", "b0 + 1 [1]"),
        ("b0 + 0 [1]", "b0 + 0 [-1]"),
        ("b1 + 0 [10, 1]", "b1 + 0 [11, 1]"),
        ("lanes 80", "lanes 81"),
        ("b0 + 0 [1]", "b0 + 0 [1, 1]"),
        ("b0 + 0 [1]", "b9 + 0 [1]"),
    ]);
    insta::assert_snapshot!(found, @r"
    kernel 0 (neg): b0: elements 1..=80 of 80
    kernel 0 (neg): b0: elements -79..=0 of 80
    kernel 1 (sum): b1: elements 0..=86 of 80
    kernel 0 (neg): b0: elements 0..=80 of 80
    kernel 0 (neg): b0: a stride for each axis
    kernel 0 (neg): there is no buffer b9
    ");
}

#[test]
fn rows_are_independent() {
    let found = verdicts(&[
        ("b2 + 0 [10, 1]", "b2 + 0 [9, 1]"),
        ("b3 + 0 [1, 0]", "b3 + 0 [0, 0]"),
        // The second stage would read what another row writes.
        ("body (r0)\n      at s0 = b2 + 0 [10, 1]", "body (r0)\n      at s0 = b2 + 70 [-10, 1]"),
    ]);
    insta::assert_snapshot!(found, @r"
    kernel 1 (sum): points may store to one element of b2
    kernel 1 (sum): points may store to one element of b3
    kernel 1 (sum): b2 is read where another row may write it
    ");
}

#[test]
fn buffers_are_written_before_they_are_read() {
    let found = verdicts(&[
        ("at s0 = b0 + 0 [1]", "at s0 = b2 + 0 [1]"),
        ("lanes 80", "lanes 79"),
        ("at s1 = b1 + 0 [1]", "at s1 = b0 + 0 [1]"),
    ]);
    insta::assert_snapshot!(found, @r"
    kernel 0 (neg): b2 is read before it is written
    kernel 1 (sum): b1 is read before it is written
    kernel 0 (neg): b0 is read only
    ");
}

#[test]
fn slots_and_parameters_are_what_is_declared() {
    let found = verdicts(&[
        ("slot s0: f32 unit", "slot s0: f32 splat"),
        ("slot s0: f32 unit", "slot s0: i32 unit"),
        ("body (r0)", "body (r1)"),
        ("      fold add v0\n", ""),
        ("split never", "split lanes"),
    ]);
    insta::assert_snapshot!(found, @r"
    kernel 0 (neg): slot s0 moves by 1 elements a lane
    kernel 0 (neg): v2: wants f32, gets i32
    kernel 1 (sum): row value 1 is used before it is made
    kernel 1 (sum): stage 0 folds in two minds
    kernel 0 (neg): there is only one block of lanes to split
    ");
}

#[test]
fn plans_keep_living_buffers_apart() {
    let plan = "plan arena 640 row 0";
    let found = verdicts(&[
        // Both are alive in the second kernel, which reads one in step with writing the other ...
        ("arena @ 320", "arena @ 0"),
        // ... at the same offset only.
        ("arena @ 320", "arena @ 256"),
        ("arena @ 320", "arena @ 328"),
        (plan, "plan arena 600 row 0"),
        (plan, "plan arena 640 row 0\ndonate input 0 to output 1"),
        (plan, "plan arena 640 row 0\ndonate input 0 to output 0"),
    ]);
    insta::assert_snapshot!(found, @r"
    right
    b1 and b2 share memory while both are alive
    b2 is not aligned
    b2 is outside the image
    right
    input 0 is not of the type of output 0
    ");
}

#[test]
fn texts_that_are_no_programs() {
    let error = |text: &str| parse(text).expect_err("it is no program").to_string();
    let found = [
        error("buffer b1 \"x\": f32 8 = arena"),
        error("buffer b0 \"x: f32 8 = arena"),
        error("buffer b0 \"x\": f32 1 = constant [1] 0000"),
        error("kernel \"k\" = nest [1 split never"),
        error(&GOOD[..GOOD.len() - 8]),
        error(&GOOD.replacen("neg v0", "nag v0", 1)),
    ];
    insta::assert_snapshot!(found.join("\n"), @r"
    line 1: expected b0, found b1
    line 1: a string without an end
    line 1: 2 bytes for 1 elements of f32
    line 1: expected `[…]`, found `[1 split never`
    line 47: the text ends inside a kernel
    line 17: in the body after line 9: line 4: no instruction is called `nag`
    ");
}
