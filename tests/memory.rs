//! How much memory plans need: training steps, and `checkpoint`, which asks for less. And a call
//! that needs more than there is, which is an error.

use std::collections::BTreeMap;
use tensc::kernel::plan::lives;
use tensc::kernel::{self, Program};
use tensc::pipeline::{Ir, Options, PLAN, Recorder, compile};
use tensc::session::{Argument, CallError};
use tensc::{Module, Session, Tensor};

const BLOCKS: usize = 6;

/// The bytes of the arena of a function of the source.
fn arena(source: &str, function: &str) -> usize {
    let module = Module::from_source("memory.tx", source).expect("the program is right");
    planned(&module, function).plan.bytes
}

/// The program of a function, with its plan.
fn planned(module: &Module, function: &str) -> Program {
    let function = module.function(function).expect("it is there");
    let mut recorder = Recorder { wanted: vec![PLAN.name.to_string()], ..Recorder::default() };
    compile(&function.typed().graph, &Options::default(), &mut recorder).expect("it compiles");
    let Some((_, Ir::Program(program))) = recorder.seen.pop() else { panic!("a plan was made") };
    kernel::verify(&program).expect("the plan is sound");
    program
}

/// The most bytes of the arena that hold something at once: at each kernel, all buffers from their
/// first use to their last, where those that share memory count once.
fn largest_live_set(program: &Program) -> usize {
    let lives = lives(program);
    let at = |time: usize| {
        let mut bytes = BTreeMap::new();
        for (i, buffer) in program.buffers.iter().enumerate() {
            let alive = lives[i].is_some_and(|(first, last)| (first..=last).contains(&time));
            if let (true, Some(offset)) = (alive, program.plan.offsets[i]) {
                let size = buffer.elements * buffer.dtype.size();
                let shared = bytes.entry(offset).or_insert(0);
                *shared = size.max(*shared);
            }
        }
        bytes.values().sum()
    };
    (0..program.kernels.len()).map(at).max().unwrap_or(0)
}

/// New parameters and optimiser state are written over the old ones, and what lies between takes
/// little more than what is needed at once.
#[test]
fn a_training_step_needs_its_parameters_and_what_is_alive() {
    for workload in ["rmsprop_b128", "rmsprop_b1024", "sgd_b128", "sgd_b1024"] {
        let file = format!("benches/workloads/mlp_train_{workload}.tx");
        let program = planned(&Module::from_file(file).expect("it is right"), "bench");
        let (bytes, live) = (program.plan.bytes, largest_live_set(&program));
        assert!(live > 0 && 4 * bytes <= 5 * live, "{workload}: {bytes} bytes for {live}");
        let taken: Vec<u32> = program.plan.donations.iter().map(|&(_, output)| output).collect();
        for (number, output) in program.outputs.iter().enumerate() {
            let name = &program.buffers[output.0 as usize].name;
            assert!(
                taken.contains(&(number as u32)) || name.contains("loss"),
                "{workload}: {name}"
            );
        }
    }
}

/// Blocks of two products each, the function that differentiates through `f` and the loop over
/// them.
fn source(f: &str) -> String {
    let blocks: Vec<String> = (0..BLOCKS).map(|i| format!("p.{i}")).collect();
    let chain = blocks.iter().fold("x".to_string(), |x, p| format!("f({p}, {x})"));
    let types = ["Block"; BLOCKS].join(", ");
    format!(
        "struct Block {{ a: f32[64, 256], b: f32[256, 64] }}
         fn block(p: Block, x: f32[512, 64]) -> f32[512, 64] = x + tanh(x @ p.a) @ p.b
         fn loss(p: ({types}), x: f32[512, 64]) -> f32 = {{
             let f = {f}
             sum(square({chain}))
         }}
         fn chain(p: ({types}), x: f32[512, 64]) = grad(loss)(p, x)
         fn steps(p: Block, x: f32[512, 64]) -> f32 = {{
             let f = {f}
             sum(square(scan i in 0..16 with h = x {{ f(p, h) }}))
         }}
         fn repeated(p: Block, x: f32[512, 64]) = grad(steps)(p, x)"
    )
}

#[test]
fn checkpoints_need_less_memory() {
    let (kept, again) = (source("block"), source("checkpoint(block)"));
    // Inside a block 512 x 256 numbers are kept, 512 x 64 come out of it.
    const INSIDE: usize = 512 * 256 * 4;
    const BETWEEN: usize = 512 * 64 * 4;
    let (plain, spared) = (arena(&kept, "chain"), arena(&again, "chain"));
    assert!(plain >= BLOCKS * (INSIDE + BETWEEN), "{plain}");
    assert!(spared <= (BLOCKS + 3) * BETWEEN + 3 * INSIDE, "{spared} of {plain}");
    let (plain, spared) = (arena(&kept, "repeated"), arena(&again, "repeated"));
    assert!(plain >= 16 * (INSIDE + BETWEEN), "{plain}");
    assert!(spared <= (16 + 4) * BETWEEN + 4 * INSIDE, "{spared} of {plain}");
}

#[test]
fn memory_that_is_not_there_is_an_error_of_every_call() {
    let text = "fn f(k: i64) -> f32 = sum(uniform(key(k), [1073741824, 1073741824]))";
    let module = Module::from_source("memory.tx", text).expect("the program is right");
    let (session, k) = (Session::default(), Tensor::scalar(1i64));
    let function = module.function("f").expect("it is there");
    let compiled = function.compile(&session, &[k.view()]).expect("it compiles");
    let called = compiled.call(session.pool(), vec![Argument::Borrowed(k.view())]);
    let mut result = [Tensor::scalar(0f32)];
    let into = compiled.call_into(session.pool(), &[k.view()], &mut result);
    let message = "this needs 4.6 EB of memory, which the system does not give".to_string();
    assert_eq!(called, Err(CallError::Memory(message.clone())));
    assert_eq!(into, Err(CallError::Memory(message)));
}
