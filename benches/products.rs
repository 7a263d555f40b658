//! Matrix products beside the `gemm` crate: the contestants take turns, so that both meet the same
//! machine, and the figure to read is the ratio of their medians.
//!
//! `cargo bench --bench products`

use std::hint::black_box;
use std::time::{Duration, Instant};
use tensc::{Module, Options, Session, Tensor, TensorView};

/// Rows, inner size, columns.
const SIZES: &[(usize, usize, usize)] = &[
    (64, 64, 64),
    (128, 128, 128),
    (256, 256, 256),
    (512, 512, 512),
    (1024, 1024, 1024),
    (128, 784, 512),
    (784, 128, 512),
    (32, 784, 512),
    (1024, 64, 1024),
];

const SOURCE: &str = "fn product[M, K, N](a: f32[M, K], b: f32[K, N]) -> f32[M, N] = a @ b";

/// Time each contestant gets for one size.
const BUDGET: Duration = Duration::from_millis(300);

fn main() {
    // `cargo bench` passes `--bench`; `cargo test --benches` runs everything once.
    let once = !std::env::args().any(|a| a == "--bench");
    let module = Module::from_source("product.tx", SOURCE).unwrap_or_else(|e| panic!("{e}"));
    let product = module.function("product").expect("the source has it");
    let session = Session::new(Options { threads: 1, ..Options::default() });
    println!("one thread, medians, f32; GFLOP/s");
    println!("{:>18} {:>8} {:>8} {:>12}", "M x K x N", "tensc", "gemm", "tensc / gemm");
    for &(m, k, n) in SIZES {
        let (a, b) = (filled(m * k, 1), filled(k * n, 2));
        let arguments = [TensorView::new(&a, [m, k]), TensorView::new(&b, [k, n])];
        let compiled = product.compile(&session, &arguments).expect("the sizes fit");
        let mut out = vec![Tensor::zeros(tensc::DType::F32, [m, n])];
        let mut ours = || {
            compiled.call_into(session.pool(), &arguments, &mut out).expect("no index is checked");
        };
        let mut c = vec![0.0f32; m * n];
        let mut theirs = || gemm_crate(&a, &b, &mut c, (m, k, n));
        let (mine, other) = take_turns(&mut ours, &mut theirs, once);
        let gflops = |t: Duration| 2.0 * (m * k * n) as f64 / t.as_secs_f64() / 1e9;
        let (mine, other) = (gflops(mine), gflops(other));
        println!("{:>18} {mine:>8.1} {other:>8.1} {:>12.2}", format!("{m}x{k}x{n}"), mine / other);
        let close = c.iter().zip(out[0].as_slice::<f32>()).all(|(x, y)| (x - y).abs() < 1e-2);
        assert!(close, "the two products agree");
    }
}

/// Median times of two contestants that run alternately.
fn take_turns(a: &mut dyn FnMut(), b: &mut dyn FnMut(), once: bool) -> (Duration, Duration) {
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    let time = |f: &mut dyn FnMut()| {
        let start = Instant::now();
        f();
        start.elapsed()
    };
    time(a);
    time(b);
    let start = Instant::now();
    while of_a.is_empty() || (!once && start.elapsed() < 2 * BUDGET) {
        of_a.push(time(a));
        of_b.push(time(b));
    }
    of_a.sort_unstable();
    of_b.sort_unstable();
    (of_a[of_a.len() / 2], of_b[of_b.len() / 2])
}

fn filled(len: usize, seed: u64) -> Vec<f32> {
    let key = tensc_runtime::rng::key(seed as i64);
    let mut values = vec![0.0; len];
    tensc_runtime::rng::fill_uniform_f32(key, 0, &mut values);
    values.iter_mut().for_each(|x| *x -= 0.5);
    values
}

#[allow(unsafe_code, reason = "the crate's interface is raw pointers and strides")]
fn gemm_crate(a: &[f32], b: &[f32], c: &mut [f32], (m, k, n): (usize, usize, usize)) {
    assert!(a.len() == m * k && b.len() == k * n && c.len() == m * n, "dense operands");
    let one = |x: usize| isize::try_from(x).expect("sizes are small");
    // SAFETY: dense row-major operands of these sizes, as asserted; `c` overlaps neither.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            black_box(c).as_mut_ptr(),
            1,
            one(n),
            false,
            a.as_ptr(),
            1,
            one(k),
            b.as_ptr(),
            1,
            one(n),
            0.0f32,
            1.0f32,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
