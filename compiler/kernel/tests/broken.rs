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

/// Indices that are checked, then used by a runtime function.
const SCATTER: &str = "\
buffer b0 \"t\": f32 4 = input 0
buffer b1 \"i\": i64 2 = input 1
buffer b2 \"u\": f32 2 = input 2
buffer b3 \"at\": i64 2 = arena @ 0
buffer b4 \"y\": f32 4 = output 0
plan arena 64 row 0
sites 1
kernel \"check_index\" = nest [] split never
  stage reduce [] lanes 2
    body ()
      at s0 = b1 + 0 [1]
      at s1 = b3 + 0 [1]
      slot s0: i64 unit
      slot s1: i64 unit
      v0 = load s0
      v1 = check_index v0, 4, 0
      v2 = store s1, v1
    end
kernel \"scatter_add\" = scatter_add to b0 index b3 updates b2 out b4 [1, 4, 1]
";

/// An index that is checked and gathered from at once.
const GATHER: &str = "\
buffer b0 \"t\": f32 4 = input 0
buffer b1 \"i\": i64 2 = input 1
buffer b2 \"y\": f32 2 = output 0
plan arena 0 row 0
sites 1
kernel \"gather\" = nest [] split never
  stage reduce [] lanes 2
    body ()
      at s0 = b1 + 0 [1]
      at s1 = b0 + 0 [0] gather 1 of 4
      at s2 = b2 + 0 [1]
      slot s0: i64 unit
      slot s1: f32 splat
      slot s2: f32 unit
      v0 = load s0
      v1 = check_index v0, 4, 0
      v2 = gather s1, v1
      v3 = store s2, v2
    end
";

/// A product whose left operand is made, and whose result goes through the steps of a loop.
const STEPS: &str = "\
buffer b0 \"a\": u8 128 = input 0
buffer b1 \"b\": f32 512 = input 1
buffer b2 \"x\": f32 768 = input 2
buffer b3 \"first\": f32 256 = arena @ 0
buffer b4 \"y\": f32 256 = output 0
buffer b5 \"spare\": f32 0 = arena @ 0
buffer b6 \"memory\": u8 0 = arena @ 0
plan arena 1024 row 0
kernel \"convert_matmul\" = product f32 batch [] m 8 n 32 k 16
  left made
    prologue ()
      at s0 = b0 + 0 [16, 1]
      slot s0: u8 unit
      v0 = load s0
      v1 = convert f32, v0
      yield v1
    end
  right b1 + 0 [32, 1]
    epilogue ()
      at s0 = b3 + 0 [32, 1]
      slot s0: f32 unit
      param p0: f32
      v0 = param p0
      v1 = store s0, v0
    end
kernel \"scan\" = repeat 3 from first arena b6
  state b3 to b4 spare b5
  slice b2
  step
    buffer b0 \"state\": f32 256 = input 0
    buffer b1 \"slice\": f32 256 = input 1
    buffer b2 \"state\": f32 256 = output 0
    plan arena 0 row 0
    donate input 0 to output 0
    kernel \"mul\" = nest [] split never
      stage reduce [] lanes 256
        body ()
          at s0 = b0 + 0 [1]
          at s1 = b1 + 0 [1]
          at s2 = b2 + 0 [1]
          slot s0: f32 unit
          slot s1: f32 unit
          slot s2: f32 unit
          v0 = load s0
          v1 = load s1
          v2 = mul v0, v1
          v3 = store s2, v2
        end
  done
";

/// What the verifier says of the good program with one part of its text replaced.
fn with(from: &str, to: &str) -> String {
    broken(GOOD, from, to)
}

fn broken(good: &str, from: &str, to: &str) -> String {
    let text = good.replacen(from, to, 1);
    assert_ne!(text, good, "{from} is in the text");
    match verify(&parse(&text).expect("it is a text")) {
        Ok(()) => "right".to_owned(),
        Err(violation) => violation.to_string(),
    }
}

#[test]
fn the_good_programs_are_right() {
    for good in [GOOD, SCATTER, GATHER, STEPS, HALVES] {
        assert_eq!(verify(&parse(good).expect("it is a text")), Ok(()));
    }
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

/// Two kernels that each make half of a result.
const HALVES: &str = "\
buffer b0 \"x\": f32 8 = input 0
buffer b1 \"y\": f32 8 = output 0
plan arena 0 row 0
kernel \"left\" = nest [] split never
  stage reduce [] lanes 4
    body ()
      at s0 = b0 + 0 [1]
      at s1 = b1 + 0 [1]
      slot s0: f32 unit
      slot s1: f32 far
      v0 = load s0
      v1 = store s1, v0
    end
kernel \"right\" = nest [] split never
  stage reduce [] lanes 4
    body ()
      at s0 = b0 + 4 [1]
      at s1 = b1 + 4 [1]
      slot s0: f32 unit
      slot s1: f32 far
      v0 = load s0
      v1 = store s1, v0
    end
";

#[test]
fn a_half_that_is_written_twice_is_no_whole() {
    let interleaved = HALVES.replace("b1 + 4 [1]", "b1 + 1 [2]");
    let found = [
        broken(HALVES, "b1 + 4 [1]", "b1 + 0 [1]"),
        broken(HALVES, "b1 + 4 [1]", "b1 + 3 [1]"),
        broken(&interleaved, "b1 + 0 [1]", "b1 + 0 [2]"),
        broken(&interleaved, "b1 + 0 [1]", "b1 + 1 [2]"),
    ];
    insta::assert_snapshot!(found.join("\n"), @r"
    output b1 is not written in full
    output b1 is not written in full
    right
    output b1 is not written in full
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
fn indices_are_checked() {
    let scatter = |from, to| broken(SCATTER, from, to);
    let gather = |from, to| broken(GATHER, from, to);
    let last = "kernel \"scatter_add\"";
    let found = [
        scatter("v0, 4, 0", "v0, 5, 0"),
        scatter("v0, 4, 0", "v0, 4, 1"),
        scatter("index b3", "index b1"),
        scatter("store s1, v1", "store s1, v0"),
        // No store is to be seen where a runtime function writes.
        scatter(last, &format!("kernel \"k\" = running max of b1 out b3 [1, 2, 1]\n{last}")),
        scatter("[1, 4, 1]", "[1, 2, 2]"),
        gather("gather 1 of 4", "gather 1 of 5"),
        gather("gather 1 of 4", "gather 2 of 4"),
        gather("gather 1 of 4", "gather 1 of 3"),
        gather("gather s1, v1", "gather s1, v0"),
        gather(" gather 1 of 4", ""),
    ];
    insta::assert_snapshot!(found.join("\n"), @r"
    kernel 1 (scatter_add): b3 holds indices unchecked
    kernel 0 (check_index): there is no site 1
    kernel 1 (scatter_add): b1 holds indices unchecked
    kernel 1 (scatter_add): b3 holds indices unchecked
    kernel 2 (scatter_add): b3 holds indices unchecked
    kernel 1 (scatter_add): scatter_add of b2 to 4 elements
    kernel 0 (gather): b0: elements 0..=4 of 4
    kernel 0 (gather): b0: elements 0..=6 of 4
    kernel 0 (gather): slot s1 is gathered from past what was checked
    kernel 0 (gather): v2: index v0 does not come from check_index
    kernel 0 (gather): slot s1 is gathered from without a stride
    ");
}

#[test]
fn calls_products_and_steps_have_what_they_need() {
    let steps = |from, to| broken(STEPS, from, to);
    let running = "kernel \"k\" = running max of b1 out b1 [1, 2, 1]\nkernel \"scatter_add\"";
    let found = [
        broken(SCATTER, "kernel \"scatter_add\"", running),
        broken(SCATTER, "updates b2", "updates b0"),
        steps("yield v1", "yield v0"),
        steps("b0 + 0 [16, 1]", "b0 + 1 [16, 1]"),
        steps("v1 = convert f32, v0\n      yield v1", "v1 = index 0\n      yield v0"),
        steps("f32 768", "f32 512"),
        steps("repeat 3", "repeat 0"),
        steps("state b3 to b4", "state b4 to b4"),
        steps("state b3 to b4", "state b3 to b2"),
        steps("lanes 256", "lanes 255"),
    ];
    insta::assert_snapshot!(found.join("\n"), @r"
    kernel 1 (k): b1 cannot be written
    kernel 1 (scatter_add): scatter_add of b0 to 4 elements
    kernel 0 (convert_matmul): a prologue yields one element of f32
    kernel 0 (convert_matmul): b0: elements 1..=128 of 128
    kernel 0 (convert_matmul): a prologue stores, or asks where it is
    kernel 1 (scan): x is not of the size of the step's slice
    kernel 1 (scan): no step
    kernel 1 (scan): b4 cannot be written
    kernel 1 (scan): x is not of the size of the step's state
    kernel 1 (scan): in a step, output b2 is not written in full
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
