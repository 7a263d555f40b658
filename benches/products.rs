//! Matrix products beside the `gemm` crate: the contestants take turns, so that both meet the same
//! machine, and the figure to read is the ratio of their medians.
//!
//! `cargo bench --bench products -- [--isa NAME] [--threads N] [--only WORD] [--f64]`

use std::hint::black_box;
use std::time::{Duration, Instant};
use tensc::codegen::Isa;
use tensc::{Module, Options, Session, Tensor, TensorView};
use tensc_runtime::Element;

/// Rows, inner size, columns.
const SIZES: &[(usize, usize, usize)] = &[
    (8, 8, 8),
    (16, 16, 16),
    (32, 32, 32),
    (64, 64, 64),
    (100, 100, 100),
    (128, 128, 128),
    (256, 256, 256),
    (512, 512, 512),
    (1024, 1024, 1024),
    (2048, 2048, 2048),
    (1, 512, 512),
    (32, 784, 512),
    (128, 784, 512),
    (784, 128, 512),
    (1024, 64, 1024),
    (128, 512, 10),
];

/// The operands as they are named in the source, and whether each is transposed.
const LAYOUTS: [(&str, bool, bool); 3] =
    [("nn", false, false), ("nt", false, true), ("tn", true, false)];

const SOURCE: &str = "
fn nn_f32[M, K, N](a: f32[M, K], b: f32[K, N]) -> f32[M, N] = a @ b
fn nt_f32[M, K, N](a: f32[M, K], b: f32[N, K]) -> f32[M, N] = a @ transpose(b)
fn tn_f32[M, K, N](a: f32[K, M], b: f32[K, N]) -> f32[M, N] = transpose(a) @ b
fn nn_f64[M, K, N](a: f64[M, K], b: f64[K, N]) -> f64[M, N] = a @ b
fn nt_f64[M, K, N](a: f64[M, K], b: f64[N, K]) -> f64[M, N] = a @ transpose(b)
fn tn_f64[M, K, N](a: f64[K, M], b: f64[K, N]) -> f64[M, N] = transpose(a) @ b
";

/// Time each contestant gets for one size.
const BUDGET: Duration = Duration::from_millis(200);

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let value = |name: &str| {
        let place = arguments.iter().position(|a| a == name)?;
        arguments.get(place + 1).map(String::as_str)
    };
    // `cargo bench` passes `--bench`; `cargo test --benches` runs everything once.
    let once = !arguments.iter().any(|a| a == "--bench");
    let isa = value("--isa").map_or(Isa::default(), |name| {
        Isa::from_name(name).unwrap_or_else(|| panic!("no instruction set is called {name}"))
    });
    let threads = value("--threads").map_or(1, |n| n.parse().expect("a number of threads"));
    let double = arguments.iter().any(|a| a == "--f64");
    let module = Module::from_source("product.tx", SOURCE).unwrap_or_else(|e| panic!("{e}"));
    let mut options = Options { threads, ..Options::default() };
    options.compile.emit.isa = isa;
    let session = Session::new(options);
    let dtype = if double { "f64" } else { "f32" };
    println!("{threads} thread(s), {}, {dtype}, medians; GFLOP/s", isa.name());
    println!("{:>20} {:>8} {:>8} {:>12}", "M x K x N", "tensc", "gemm", "tensc / gemm");
    for &(m, k, n) in SIZES {
        for (layout, left, right) in LAYOUTS {
            let name = format!("{m}x{k}x{n} {layout}");
            if value("--only").is_some_and(|word| !name.contains(word))
                || once && m * k * n > 1 << 21
            {
                continue;
            }
            let case = Case { name, sizes: (m, k, n), left, right, once, threads };
            let function = module.function(&format!("{layout}_{dtype}")).expect("it is there");
            match double {
                true => case.compare(&function, &session, filled::<f64>),
                false => case.compare(&function, &session, filled::<f32>),
            }
        }
    }
}

struct Case {
    name: String,
    sizes: (usize, usize, usize),
    left: bool,
    right: bool,
    once: bool,
    threads: usize,
}

impl Case {
    fn compare<T: Element>(
        &self,
        function: &tensc::Function,
        session: &Session,
        filled: fn(usize, u64) -> Vec<T>,
    ) {
        let (m, k, n) = self.sizes;
        let (a, b) = (filled(m * k, 1), filled(k * n, 2));
        let shape = |turned: bool, x, y| if turned { [y, x] } else { [x, y] };
        let arguments = [
            TensorView::new(&a, shape(self.left, m, k)),
            TensorView::new(&b, shape(self.right, k, n)),
        ];
        let compiled = function.compile(session, &arguments).expect("the sizes fit");
        let mut out = vec![Tensor::zeros(T::DTYPE, [m, n])];
        let mut ours = || {
            compiled.call_into(session.pool(), &arguments, &mut out).expect("no index is checked");
        };
        let mut c = filled(m * n, 3);
        let mut theirs = || self.gemm_crate(&a, &b, &mut c);
        let (mine, other) = take_turns(&mut ours, &mut theirs, self.once);
        let gflops = |t: Duration| 2.0 * (m * k * n) as f64 / t.as_secs_f64() / 1e9;
        let (mine, other) = (gflops(mine), gflops(other));
        println!("{:>20} {mine:>8.1} {other:>8.1} {:>12.2}", self.name, mine / other);
        let close = |(x, y): (&T, &T)| (x.to_f64() - y.to_f64()).abs() < 1e-2;
        assert!(c.iter().zip(out[0].as_slice::<T>()).all(close), "the two products agree");
    }

    #[allow(unsafe_code, reason = "the crate's interface is raw pointers and strides")]
    fn gemm_crate<T: Element>(&self, a: &[T], b: &[T], c: &mut [T]) {
        let (m, k, n) = self.sizes;
        assert!(a.len() == m * k && b.len() == k * n && c.len() == m * n, "dense operands");
        let one = |x: usize| isize::try_from(x).expect("sizes are small");
        // Strides from column to column, and from row to row.
        let strides = |turned: bool, x: usize, y: usize| match turned {
            true => (one(x), 1),
            false => (1, one(y)),
        };
        let (left, right) = (strides(self.left, m, k), strides(self.right, k, n));
        let threads = match self.threads {
            1 => gemm::Parallelism::None,
            n => gemm::Parallelism::Rayon(n),
        };
        // SAFETY: dense operands of these sizes, as asserted; `c` overlaps neither.
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
                left.0,
                left.1,
                b.as_ptr(),
                right.0,
                right.1,
                T::from_f64(0.0),
                T::from_f64(1.0),
                false,
                false,
                false,
                threads,
            );
        }
    }
}

/// Median times of two contestants that run alternately.
fn take_turns(a: &mut dyn FnMut(), b: &mut dyn FnMut(), once: bool) -> (Duration, Duration) {
    let time = |f: &mut dyn FnMut(), calls: u32| {
        let start = Instant::now();
        (0..calls).for_each(|_| f());
        start.elapsed() / calls
    };
    let first = time(a, 1).max(time(b, 1));
    // Short calls are timed several at a time.
    let calls = (20_000 / first.as_nanos().max(1) as u32).clamp(1, 1000);
    let (mut of_a, mut of_b) = (Vec::new(), Vec::new());
    let start = Instant::now();
    while of_a.is_empty() || (!once && (start.elapsed() < 2 * BUDGET || of_a.len() < 5)) {
        of_a.push(time(a, calls));
        of_b.push(time(b, calls));
    }
    of_a.sort_unstable();
    of_b.sort_unstable();
    (of_a[of_a.len() / 2], of_b[of_b.len() / 2])
}

fn filled<T: Element>(len: usize, seed: u64) -> Vec<T> {
    let key = tensc_runtime::rng::key(seed as i64);
    (0..len).map(|i| T::from_f64(tensc_runtime::rng::uniform_f64(key, i as u64) - 0.5)).collect()
}
