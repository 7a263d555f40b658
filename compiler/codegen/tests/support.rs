//! Programs by hand, and the check that every test makes.

use crate::codegen::limits::Limits;
use crate::codegen::{Executable, Fault, Guard, Isa, Options, compile_within};
use crate::kernel::{
    Access, Body, Buffer, BufferId, Fold, Kernel, Nest, Place, Program, Split, Stage, Work,
    reference,
};
use crate::vector;
use smallvec::SmallVec;
use std::io::Write;
use std::sync::Once;
use tensc_runtime::{DType, Pool, Tensor, with_element};

/// Numbers that are the same in every run.
pub struct Rng(pub u64);

impl Rng {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    pub fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    /// In `-1..1`, on a grid that sums represent exactly enough.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 40) as f64 / (1u64 << 23) as f64 - 1.0
    }
}

/// A tensor of `n` elements of which every one is as awkward as the type allows.
pub fn awkward(dtype: DType, n: usize, rng: &mut Rng) -> Tensor {
    const FLOATS: [f64; 22] = [
        0.0,
        -0.0,
        1.0,
        -1.0,
        0.5,
        -2.5,
        1.5,
        3.7,
        -3.2,
        1e-8,
        -1e-40,
        65504.0,
        65520.0,
        1e30,
        -1e30,
        2147483648.0,
        -2147483904.0,
        9.3e18,
        f64::INFINITY,
        f64::NEG_INFINITY,
        f64::NAN,
        6e-8,
    ];
    const INTS: [i64; 16] = [
        0,
        1,
        -1,
        2,
        7,
        -7,
        31,
        32,
        33,
        63,
        64,
        127,
        -128,
        i32::MAX as i64,
        i32::MIN as i64,
        i64::MIN,
    ];
    let mut tensor = Tensor::zeros(dtype, [n]);
    with_element!(dtype, T => {
        for x in tensor.as_mut_slice::<T>() {
            *x = match rng.below(4) {
                0 => <T as tensc_runtime::Element>::from_i64(rng.next() as i64),
                1 => <T as tensc_runtime::Element>::from_f64(rng.unit() * 100.0),
                _ if dtype.is_float() => {
                    <T as tensc_runtime::Element>::from_f64(FLOATS[rng.below(FLOATS.len())])
                }
                _ => <T as tensc_runtime::Element>::from_i64(INTS[rng.below(INTS.len())]),
            };
        }
    });
    tensor
}

/// A tensor of small numbers.
pub fn tame(dtype: DType, n: usize, rng: &mut Rng) -> Tensor {
    let scale = if dtype.is_float() { 1.0 } else { 50.0 };
    let values: Vec<f64> = (0..n).map(|_| rng.unit() * scale).collect();
    Tensor::from_f64_slice(dtype, &values, [n])
}

/// A program being made.
#[derive(Clone, Default)]
pub struct Maker {
    pub program: Program,
    pub inputs: Vec<Tensor>,
}

impl Maker {
    fn buffer(&mut self, dtype: DType, elements: usize, place: Place) -> BufferId {
        let id = BufferId(self.program.buffers.len() as u32);
        let plan = &mut self.program.plan;
        let bytes = (elements * dtype.size()).next_multiple_of(64);
        let at = |total: &mut usize| {
            let start = *total;
            *total += bytes;
            Some(start)
        };
        let arena = if place == Place::Arena { at(&mut plan.bytes) } else { None };
        plan.offsets.push(arena);
        let row = if place == Place::Row { at(&mut plan.row_bytes) } else { None };
        plan.row_offsets.push(row);
        self.program.buffers.push(Buffer { name: format!("b{}", id.0), dtype, elements, place });
        id
    }
    pub fn input(&mut self, tensor: Tensor) -> BufferId {
        let place = Place::Input(self.inputs.len() as u32);
        let id = self.buffer(tensor.dtype(), tensor.len(), place);
        self.inputs.push(tensor);
        self.program.inputs.push(id);
        id
    }
    pub fn output(&mut self, dtype: DType, elements: usize) -> BufferId {
        let place = Place::Output(self.program.outputs.len() as u32);
        let id = self.buffer(dtype, elements, place);
        self.program.outputs.push(id);
        id
    }
    pub fn arena(&mut self, dtype: DType, elements: usize) -> BufferId {
        self.buffer(dtype, elements, Place::Arena)
    }
    pub fn row(&mut self, dtype: DType, elements: usize) -> BufferId {
        self.buffer(dtype, elements, Place::Row)
    }
    pub fn constant(&mut self, tensor: Tensor) -> BufferId {
        self.buffer(tensor.dtype(), tensor.len(), Place::Constant(tensor))
    }
    pub fn kernel(&mut self, work: Work) {
        let name = format!("kernel{}", self.program.kernels.len());
        self.program.kernels.push(Kernel { name, work, after: Vec::new(), origins: Vec::new() });
    }
    pub fn nest(&mut self, outer: &[usize], stages: Vec<Stage>, split: Split) {
        self.kernel(Work::Nest(Nest { outer: SmallVec::from_slice(outer), stages, split }));
    }
}

/// An affine walk.
pub fn access(buffer: BufferId, offset: i64, strides: &[i64]) -> Access {
    Access { buffer, offset, strides: SmallVec::from_slice(strides), gather: None }
}

/// A stage that folds nothing.
pub fn map_stage(lanes: usize, program: vector::Program, slots: Vec<Access>) -> Stage {
    let body = Body { program, slots, params: Vec::new() };
    Stage { reduce: SmallVec::new(), lanes, body, fold: Fold::None }
}

/// How close compiled results must be to those of the reference.
#[derive(Clone, Copy, Debug)]
pub enum Close {
    /// The same bits; NaNs are one value.
    Same,
    /// Within this much of the larger of 1 and the magnitude, for floats.
    Within(f64),
}

/// The instruction sets of this machine. Those that it has not are named once, past what tests
/// capture: their bytes are compared with a decoder, but nobody runs them.
fn tested() -> impl Iterator<Item = Isa> {
    static SKIPPED: Once = Once::new();
    SKIPPED.call_once(|| {
        for isa in Isa::ALL.into_iter().filter(|isa| !isa.is_available()) {
            let line = format!("skipped: this machine has no {} instructions\n", isa.name());
            std::io::stderr().write_all(line.as_bytes()).expect("standard error takes a line");
        }
    });
    Isa::available()
}

/// Runs the program compiled for every instruction set of this machine, on one thread and on
/// several, and compares with the reference. Stores go past the caches where a buffer lies at a
/// line, as one of the two ends of its page does.
pub fn check(maker: Maker, close: Close) {
    check_within(maker, close, Limits { streamed_bytes: 0, ..Limits::default() });
}

/// As `check`, with cache blocks of other sizes.
pub fn check_within(maker: Maker, close: Close, limits: Limits) {
    let Maker { program, inputs } = maker;
    let expected = reference::execute(&program, &inputs).map_err(|f| Fault { site: f.site });
    let mut portable: Option<Vec<Tensor>> = None;
    for isa in tested() {
        let options = Options { isa, ..Options::default() };
        let mut executable = compile_within(program.clone(), &options, limits).unwrap();
        executable.divide_everything();
        let found = check_threads((isa.name(), &executable), &inputs, &expected, close);
        // Nests give the same bits on all instruction sets, sums too.
        let nests = program.kernels.iter().all(|k| matches!(k.work, Work::Nest(_)));
        match (&portable, found) {
            (None, found) => portable = found,
            (Some(portable), Some(found)) if nests => {
                for (i, (found, portable)) in found.iter().zip(portable).enumerate() {
                    let what = format!("output {i}, {} against portable", isa.name());
                    compare(&what, found, portable, Close::Same);
                }
            }
            (Some(_), Some(_)) => {}
            (Some(_), None) => panic!("{} faults where portable code does not", isa.name()),
        }
    }
}

/// Compiles within either limits, for every instruction set, and compares the bits of results.
pub fn same_bits(maker: &Maker, limits: [Limits; 2]) {
    let bytes: Vec<&[u8]> = maker.inputs.iter().map(Tensor::as_bytes).collect();
    for isa in tested() {
        let options = Options { isa, ..Options::default() };
        let [one, other] = limits.map(|limits| {
            let executable = compile_within(maker.program.clone(), &options, limits).unwrap();
            executable.run_guarded(&Pool::new(1), &bytes, Guard::Above).unwrap()
        });
        for (one, other) in one.iter().zip(&other) {
            assert_eq!(one.as_bytes(), other.as_bytes(), "{}", isa.name());
        }
    }
}

/// Runs on several numbers of threads; gives the results, if no check failed.
fn check_threads(
    (isa, executable): (&str, &Executable),
    inputs: &[Tensor],
    expected: &Result<Vec<Tensor>, Fault>,
    close: Close,
) -> Option<Vec<Tensor>> {
    let bytes: Vec<&[u8]> = inputs.iter().map(Tensor::as_bytes).collect();
    let mut first: Option<Vec<Tensor>> = None;
    for (threads, guard) in [(1, Guard::Above), (2, Guard::Above), (3, Guard::Below)] {
        let pool = Pool::new(threads);
        let found = executable.run_guarded(&pool, &bytes, guard);
        let (found, expected) = match (found, expected) {
            (Err(found), Err(expected)) => {
                assert_eq!(found, *expected);
                continue;
            }
            (Ok(found), Ok(expected)) => (found, expected),
            (found, expected) => panic!("{isa}: found {found:?}, expected {expected:?}"),
        };
        for (i, (found, expected)) in found.iter().zip(expected).enumerate() {
            compare(&format!("{isa}: output {i}, {threads} threads"), found, expected, close);
        }
        match &first {
            None => first = Some(found),
            Some(first) => {
                for (found, first) in found.iter().zip(first) {
                    assert_eq!(found.as_bytes(), first.as_bytes(), "{isa}: {threads} threads");
                }
            }
        }
    }
    first
}

fn compare(what: &str, found: &Tensor, expected: &Tensor, close: Close) {
    assert_eq!(found.dtype(), expected.dtype(), "{what}");
    let (f, e) = (found.to_f64_vec(), expected.to_f64_vec());
    assert_eq!(f.len(), e.len(), "{what}");
    for (i, (&f, &e)) in f.iter().zip(&e).enumerate() {
        let same = if f.is_nan() { e.is_nan() } else { f.to_bits() == e.to_bits() };
        let near = match close {
            Close::Within(bound) if found.dtype().is_float() => {
                (f - e).abs() <= bound * e.abs().max(1.0)
            }
            _ => false,
        };
        assert!(same || near, "{what}, element {i}: found {f:?}, expected {e:?}");
    }
    if found.dtype() == DType::I64 {
        assert_eq!(found.as_bytes(), expected.as_bytes(), "{what}: large integers");
    }
}
