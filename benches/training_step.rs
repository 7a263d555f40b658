//! The training step of MNIST (784-512-10, RMSprop), a whole epoch's batches of 128 and its last of
//! 96, and a pass over the test set; compiled once, called again and again as a training loop does.
//!
//! `cargo bench --bench training_step`

use divan::{Bencher, counter::ItemsCount};
use tensc::session::{Argument, Options, Session};
use tensc::{DType, Function, Module, Tensor, TensorView};
use tensc_runtime::{Element, rng};

fn main() {
    divan::main();
}

/// `step` on random data, everything that is rebound handed over, as a script does.
#[divan::bench(args = [1, 2], consts = [128, 96])]
fn step<const B: usize>(bencher: Bencher<'_, '_>, threads: usize) {
    let (session, function) = prepared("step", threads);
    let mut arguments = random_arguments(&function, B);
    let views: Vec<TensorView<'_>> = arguments.iter().map(Tensor::view).collect();
    let compiled = function.compile(&session, &views).expect("the sizes fit");
    drop(views);
    let data = arguments.split_off(arguments.len() - 2);
    let mut state = arguments;
    bencher.counter(ItemsCount::new(B)).bench_local(|| {
        let given: Vec<Argument<'_>> = std::mem::take(&mut state)
            .into_iter()
            .map(Argument::Owned)
            .chain(data.iter().map(|t| Argument::Borrowed(t.view())))
            .collect();
        state = compiled.call(session.pool(), given).expect("labels are in range");
        state.pop().expect("the loss comes last").to_f64_vec()[0]
    });
}

/// The guesses for the test set at once.
#[divan::bench(args = [1, 2])]
fn guess_10000(bencher: Bencher<'_, '_>, threads: usize) {
    let (session, function) = prepared("guess", threads);
    let arguments = random_arguments(&function, 10_000);
    let views: Vec<TensorView<'_>> = arguments.iter().map(Tensor::view).collect();
    let compiled = function.compile(&session, &views).expect("the sizes fit");
    let mut results = vec![Tensor::zeros(DType::I64, [10_000])];
    bencher.counter(ItemsCount::new(10_000usize)).bench_local(|| {
        compiled.call_into(session.pool(), &views, &mut results).expect("no index is checked");
    });
}

fn prepared(name: &str, threads: usize) -> (Session, Function) {
    let module = Module::from_file("benches/mnist_step.tx").unwrap_or_else(|e| panic!("{e}"));
    let function = module.function(name).expect("the source has it");
    (Session::new(Options { threads, ..Options::default() }), function)
}

/// Small weights, images of noise, labels below 10.
fn random_arguments(function: &Function, batch: usize) -> Vec<Tensor> {
    let parameters = function.parameters().into_iter().enumerate();
    let tensor = |(i, (name, ty)): (usize, (String, &tensc::graph::TensorType))| {
        let size = |dim: &tensc::graph::Dim| dim.known().map_or(batch, |n| n as usize);
        let shape: Vec<usize> = ty.shape.iter().map(size).collect();
        let count: usize = shape.iter().product();
        let unit = |k: usize| rng::uniform_f64(rng::key(i as i64), k as u64);
        if ty.dtype.is_float() {
            let scale = if name.starts_with("state") { 0.0 } else { 0.05 };
            let values: Vec<f64> = (0..count).map(|k| scale * (2.0 * unit(k) - 1.0)).collect();
            return Tensor::from_f64_slice(ty.dtype, &values, &shape[..]);
        }
        let bound = if name == "labels" { 10.0 } else { 256.0 };
        let values: Vec<u8> = (0..count).map(|k| u8::from_i64((bound * unit(k)) as i64)).collect();
        Tensor::from_slice(&values, &shape[..])
    };
    parameters.map(tensor).collect()
}
