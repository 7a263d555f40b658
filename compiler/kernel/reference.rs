//! The reference executor of programs: one point, one lane at a time, in an actual arena.
//!
//! It is what compiled programs are compared with. It places every buffer where the plan says,
//! so that two buffers that overlap while both are alive spoil its results as they would spoil
//! compiled ones; memory that nobody has written holds a pattern, not zeros.
//!
//! Neighbours: `vector::reference` runs the bodies; `plan` made the offsets.

use super::{
    Access, Body, BufferId, Call, Fold, Nest, Operand, Place, Product, Program, Repeat, RowValue,
    Spread, Stage, Work,
};
use crate::graph::ops::Draw;
use crate::graph::{Op, Origin, TensorType};
use crate::vector::lane::{self, Lane};
use crate::vector::reference::{Accumulate, Environment, accumulators, run};
use crate::vector::{Binary, Param, Slot};
use smallvec::SmallVec;
use std::fmt;
use tensc_runtime::along::Around;
use tensc_runtime::dtype::{BF16, F16};
use tensc_runtime::{DType, Scalar, Shape, Tensor};

/// An index that was out of range.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Which check found it, as a position in [`Program::sites`].
    pub site: u32,
    /// Where the index was written.
    pub origin: Origin,
    /// The index.
    pub index: i64,
    /// The number of valid indices.
    pub bound: u64,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "index {} is out of range for an axis of size {}", self.index, self.bound)
    }
}

impl std::error::Error for Fault {}

/// Runs a planned program. Outputs are flat: a buffer has no shape.
///
/// # Errors
/// The first index that was out of range.
pub fn execute(program: &Program, inputs: &[Tensor]) -> Result<Vec<Tensor>, Fault> {
    Machine::new(program, inputs, false).run()
}

/// The same with every input given away, so that outputs are written over inputs where the plan
/// says that they may be.
///
/// # Errors
/// The first index that was out of range.
pub fn execute_donated(program: &Program, inputs: &[Tensor]) -> Result<Vec<Tensor>, Fault> {
    Machine::new(program, inputs, true).run()
}

/// What memory holds before anything is written.
const UNWRITTEN: u8 = 0xA5;

struct Machine<'p> {
    program: &'p Program,
    /// Arena, row scratch, then one for each input, constant and output.
    regions: Vec<Vec<u8>>,
    /// Region and first byte of each buffer.
    places: Vec<(usize, usize)>,
    fault: Option<Fault>,
}

impl<'p> Machine<'p> {
    fn new(program: &'p Program, inputs: &[Tensor], donated: bool) -> Machine<'p> {
        assert_eq!(inputs.len(), program.inputs.len(), "one tensor for each input");
        assert_eq!(program.plan.offsets.len(), program.buffers.len(), "the program is planned");
        let unwritten = |bytes: usize| vec![UNWRITTEN; bytes];
        let plan = &program.plan;
        let mut regions = vec![unwritten(plan.bytes), unwritten(plan.row_bytes)];
        let mut places = Vec::new();
        for (number, buffer) in program.buffers.iter().enumerate() {
            let bytes = buffer.elements * buffer.dtype.size();
            let offset = |offsets: &[Option<usize>]| offsets[number].expect("every buffer has one");
            let place = match &buffer.place {
                Place::Arena => (0, offset(&plan.offsets)),
                Place::Row => (1, offset(&plan.row_offsets)),
                Place::Input(input) => {
                    let tensor = &inputs[*input as usize];
                    assert_eq!(tensor.dtype(), buffer.dtype, "input {input}");
                    assert_eq!(tensor.len(), buffer.elements, "input {input}");
                    regions.push(tensor.as_bytes().to_vec());
                    (regions.len() - 1, 0)
                }
                Place::Constant(tensor) => {
                    regions.push(tensor.as_bytes().to_vec());
                    (regions.len() - 1, 0)
                }
                Place::Output(output) => {
                    let mut pairs = plan.donations.iter();
                    let given = pairs.find(|(_, o)| donated && o == output).map(|(i, _)| *i);
                    // Inputs are declared before outputs.
                    match given.map(|i| places[program.inputs[i as usize].0 as usize]) {
                        Some(place) => place,
                        None => {
                            regions.push(unwritten(bytes));
                            (regions.len() - 1, 0)
                        }
                    }
                }
            };
            places.push(place);
        }
        Machine { program, regions, places, fault: None }
    }

    fn run(mut self) -> Result<Vec<Tensor>, Fault> {
        let program = self.program;
        for kernel in &program.kernels {
            match &kernel.work {
                Work::Nest(nest) => self.nest(nest),
                Work::Product(product) => self.product(product),
                Work::Call(call) => self.call(call),
                Work::Repeat(repeat) => self.repeat(repeat),
            }
        }
        match self.fault {
            Some(fault) => Err(fault),
            None => Ok(program.outputs.iter().map(|&output| self.tensor(output)).collect()),
        }
    }

    /// Step by step, each in memory of its own.
    fn repeat(&mut self, repeat: &Repeat) {
        let mut states: Vec<Tensor> = repeat.states.iter().map(|s| self.tensor(s.first)).collect();
        if repeat.gate.is_some_and(|gate| !self.tensor(gate).as_slice::<bool>()[0]) {
            for (state, value) in repeat.states.iter().zip(&states) {
                self.fill(state.last, value);
            }
            for &buffer in &repeat.elements {
                let element = self.tensor(buffer);
                self.fill(buffer, &Tensor::zeros(element.dtype(), element.shape().clone()));
            }
            return;
        }
        for place in repeat.order() {
            let slices = repeat.slices.iter().map(|&b| {
                let whole = self.tensor(b);
                let each = whole.len() / repeat.count;
                tensc_runtime::with_element!(whole.dtype(), T => {
                    let part = &whole.as_slice::<T>()[place * each..][..each];
                    Tensor::from_slice::<T>(part, [each])
                })
            });
            let whole = repeat.whole.iter().map(|&b| self.tensor(b));
            let inputs: Vec<Tensor> = states.into_iter().chain(slices).chain(whole).collect();
            let mut outputs = match execute(&repeat.step, &inputs) {
                Ok(outputs) => outputs,
                Err(fault) => {
                    self.fault.get_or_insert(fault);
                    return;
                }
            };
            let elements = outputs.split_off(repeat.states.len());
            for (&buffer, element) in repeat.elements.iter().zip(elements) {
                let size = element.dtype().size();
                for (i, bytes) in element.as_bytes().chunks_exact(size).enumerate() {
                    let at = place * element.len() + i;
                    self.write(buffer, at, decode(element.dtype(), bytes));
                }
            }
            states = outputs;
        }
        for (state, value) in repeat.states.iter().zip(&states) {
            self.fill(state.last, value);
        }
    }

    fn nest(&mut self, nest: &Nest) {
        let empty: Vec<Vec<Accumulate>> =
            nest.stages.iter().map(|s| accumulators(&s.body.program)).collect();
        each_point(&nest.outer, |row| {
            let mut values: Vec<Lane> = Vec::new();
            for (stage, empty) in nest.stages.iter().zip(&empty) {
                self.stage(stage, empty, row, &mut values);
            }
        });
    }

    /// One row of a stage, whose accumulators start as `empty`.
    fn stage(
        &mut self,
        stage: &Stage,
        empty: &[Accumulate],
        row: &[usize],
        values: &mut Vec<Lane>,
    ) {
        match &stage.fold {
            Fold::None | Fold::AcrossLanes(_) => {
                let mut folds = empty.to_vec();
                each_point(&stage.reduce, |reduce| {
                    for lane in 0..stage.lanes {
                        let params = of_row(&stage.body, values);
                        let point = join(row, reduce, lane);
                        self.body(&stage.body, &point, &params, &mut folds);
                    }
                });
                if let Fold::AcrossLanes(finish) = &stage.fold {
                    let mut params = results(&folds);
                    params.extend(of_row(finish, values));
                    let point = join(row, &vec![0; stage.reduce.len()], 0);
                    let yields = self.body(finish, &point, &params, &mut []);
                    values.extend(yields);
                }
            }
            Fold::PerLane(finish) => {
                for lane in 0..stage.lanes {
                    let mut folds = empty.to_vec();
                    each_point(&stage.reduce, |reduce| {
                        let params = of_row(&stage.body, values);
                        let point = join(row, reduce, lane);
                        self.body(&stage.body, &point, &params, &mut folds);
                    });
                    let mut params = results(&folds);
                    params.extend(of_row(finish, values));
                    let point = join(row, &vec![0; stage.reduce.len()], lane);
                    self.body(finish, &point, &params, &mut []);
                }
            }
        }
    }

    fn product(&mut self, product: &Product) {
        let mut space: Vec<usize> = product.batch.to_vec();
        space.extend([product.m, product.n]);
        let batches = product.batch.len();
        // All sums before all stores: an epilogue may write over what it reads, not over operands,
        // and the verifier holds it to that.
        each_point(&space, |point| {
            let (batch, place) = point.split_at(batches);
            let mut sum = Lane::widen(Scalar::from_i64(product.dtype, 0));
            for k in 0..product.k {
                let left: Vec<usize> = batch.iter().copied().chain([place[0], k]).collect();
                let right: Vec<usize> = batch.iter().copied().chain([k, place[1]]).collect();
                let a = self.operand(&product.left, product.dtype, left);
                let b = self.operand(&product.right, product.dtype, right);
                sum = lane::binary(Binary::Add, sum, lane::binary(Binary::Mul, a, b));
            }
            self.body(&product.epilogue, point, &[sum], &mut []);
        });
    }

    /// An element of an operand of this type.
    fn operand(&mut self, operand: &Operand, dtype: DType, mut point: Vec<usize>) -> Lane {
        match operand {
            Operand::Stored(access) => Lane::widen(self.load(access, dtype, &point, 0)),
            Operand::Spread(Spread { access, axes, .. }) => {
                let own = point.split_off(point.len() - 2);
                point.extend(axes.iter().zip(own).flat_map(|(axes, at)| unflatten(axes, at)));
                Lane::widen(self.load(access, dtype, &point, 0))
            }
            Operand::Made(prologue) => {
                let last = point.len() - 1;
                if prologue.turned {
                    point.swap(last - 1, last);
                }
                self.body(&prologue.body, &point, &[], &mut [])[0]
            }
        }
    }

    fn call(&mut self, call: &Call) {
        match *call {
            Call::Random { draw, key, out } => {
                let key = self.tensor(key);
                let result = self.draw(draw, &key, out);
                self.fill(out, &result);
            }
            Call::FoldKey { key, data, out } => {
                let operands = [self.tensor(key), self.tensor(data)];
                let ty = TensorType::new(DType::I64, [operands[0].len().into()]);
                let op = Op::FoldKey;
                let result = (op.row().eval)(&op, &[&operands[0], &operands[1]], &ty);
                self.fill(out, &result.expect("keys always fold"));
            }
            Call::ScatterAdd { operand, index, updates, out, outer, bound, inner } => {
                let start: Vec<Scalar> = match operand {
                    Some(operand) => self.scalars(operand),
                    None => {
                        let zero = Scalar::from_i64(self.dtype(out), 0);
                        vec![zero; outer * bound * inner]
                    }
                };
                let mut sums: Vec<Lane> = start.into_iter().map(Lane::widen).collect();
                let index = self.scalars(index);
                let updates = self.scalars(updates);
                let dtype = self.dtype(out);
                for o in 0..outer {
                    for (p, at) in index.iter().enumerate() {
                        let at = usize::try_from(at.to_i64()).expect("indices were checked");
                        assert!(at < bound, "indices were checked");
                        for i in 0..inner {
                            let sum = &mut sums[(o * bound + at) * inner + i];
                            let update = updates[(o * index.len() + p) * inner + i];
                            *sum = lane::binary(Binary::Add, *sum, Lane::widen(update));
                        }
                    }
                }
                for (element, sum) in sums.into_iter().enumerate() {
                    self.write(out, element, sum.narrow(dtype));
                }
            }
            Call::Running { op, operand, out, around } => {
                self.along(Op::Running(op, 1), &[operand], out, around);
            }
            Call::Linear { op, matrix, right, out, sizes: [n, m] } => {
                let matrices = self.tensor(matrix);
                let batch = matrices.len() / (n * n).max(1);
                let mut operands = vec![matrices.reshape([batch, n, n])];
                operands.extend(right.map(|b| self.tensor(b).reshape([batch, n, m])));
                let op = Op::Linear(op);
                let types: Vec<TensorType> = (operands.iter())
                    .map(|t| TensorType::new(t.dtype(), t.shape().iter().map(|&n| n.into())))
                    .collect();
                let ty = op.infer(&types.iter().collect::<Vec<_>>()).expect("it was verified");
                let result = (op.row().eval)(&op, &operands.iter().collect::<Vec<_>>(), &ty);
                self.fill(out, &result.expect("it has a value for any matrices"));
            }
            Call::Recur { factor, operand, out, around } => {
                self.along(Op::Recur(1), &[factor, operand], out, around);
            }
            Call::Argsort { operand, out, descending, around, .. } => {
                self.along(Op::Argsort { axis: 1, descending }, &[operand], out, around);
            }
        }
    }

    /// By the meaning of the operation along the middle one of three axes.
    fn along(&mut self, op: Op, operands: &[BufferId], out: BufferId, around: Around) {
        let shape = [around.outer, around.n, around.inner];
        let values: Vec<Tensor> = operands.iter().map(|&b| self.tensor(b).reshape(shape)).collect();
        let ty = TensorType::new(self.dtype(out), shape.map(Into::into));
        let result = (op.row().eval)(&op, &values.iter().collect::<Vec<_>>(), &ty);
        self.fill(out, &result.expect("it has a value for any operands"));
    }

    fn draw(&self, draw: Draw, key: &Tensor, out: BufferId) -> Tensor {
        let buffer = &self.program.buffers[out.0 as usize];
        let each = buffer.elements / key.len().max(1);
        let ty = TensorType::new(buffer.dtype, [key.len().into(), each.into()]);
        let op = Op::Random { draw, ty: ty.clone() };
        (op.row().eval)(&op, &[key], &ty).expect("draws always succeed")
    }
}

/// Bodies.
impl Machine<'_> {
    fn body(
        &mut self,
        body: &Body,
        point: &[usize],
        params: &[Lane],
        folds: &mut [Accumulate],
    ) -> SmallVec<[Lane; 2]> {
        let mut here = Here { machine: self, body, point, params };
        run(&body.program, &mut here, folds)
    }

    fn load(&self, access: &Access, dtype: DType, point: &[usize], gathered: i64) -> Scalar {
        self.read(access.buffer, element(access, point, gathered), dtype)
    }

    fn dtype(&self, buffer: BufferId) -> DType {
        self.program.buffers[buffer.0 as usize].dtype
    }

    fn bytes(&self, buffer: BufferId, element: usize) -> (usize, std::ops::Range<usize>) {
        let declared = &self.program.buffers[buffer.0 as usize];
        assert!(element < declared.elements, "element {element} of {}", declared.name);
        let (region, base) = self.places[buffer.0 as usize];
        let size = declared.dtype.size();
        (region, base + element * size..base + (element + 1) * size)
    }

    fn read(&self, buffer: BufferId, element: usize, dtype: DType) -> Scalar {
        assert_eq!(dtype, self.dtype(buffer), "a slot has the element type of its buffer");
        let (region, range) = self.bytes(buffer, element);
        decode(dtype, &self.regions[region][range])
    }

    fn write(&mut self, buffer: BufferId, element: usize, value: Scalar) {
        assert_eq!(value.dtype(), self.dtype(buffer), "a slot has the element type of its buffer");
        let (region, range) = self.bytes(buffer, element);
        let bits = value.bits().to_le_bytes();
        let size = range.len();
        self.regions[region][range].copy_from_slice(&bits[..size]);
    }

    fn scalars(&self, buffer: BufferId) -> Vec<Scalar> {
        let declared = &self.program.buffers[buffer.0 as usize];
        (0..declared.elements).map(|e| self.read(buffer, e, declared.dtype)).collect()
    }

    fn tensor(&self, buffer: BufferId) -> Tensor {
        let scalars = self.scalars(buffer);
        let dtype = self.dtype(buffer);
        let shape = Shape::new(&[scalars.len()]);
        tensc_runtime::with_element!(dtype, T => {
            let of = |s: &Scalar| -> T {
                if dtype.is_float() {
                    tensc_runtime::Element::from_f64(s.to_f64())
                } else {
                    tensc_runtime::Element::from_i64(s.to_i64())
                }
            };
            Tensor::from_slice::<T>(&scalars.iter().map(of).collect::<Vec<T>>(), shape)
        })
    }

    fn fill(&mut self, buffer: BufferId, tensor: &Tensor) {
        let dtype = self.dtype(buffer);
        for (element, bytes) in tensor.as_bytes().chunks_exact(dtype.size()).enumerate() {
            self.write(buffer, element, decode(dtype, bytes));
        }
    }
}

/// A body at a point of its loops.
struct Here<'m, 'p> {
    machine: &'m mut Machine<'p>,
    body: &'m Body,
    point: &'m [usize],
    params: &'m [Lane],
}

impl Here<'_, '_> {
    fn slot(&self, slot: Slot) -> (&Access, DType) {
        let at = slot.0 as usize;
        (&self.body.slots[at], self.body.program.slots[at].dtype)
    }
}

impl Environment for Here<'_, '_> {
    fn load(&mut self, slot: Slot) -> Scalar {
        let (access, dtype) = self.slot(slot);
        self.machine.load(access, dtype, self.point, 0)
    }
    fn gather(&mut self, slot: Slot, index: i64) -> Scalar {
        let (access, dtype) = self.slot(slot);
        let (stride, bound) = access.gather.expect("a gathered slot has a stride");
        assert!((0..bound as i64).contains(&index), "indices were checked");
        self.machine.load(access, dtype, self.point, stride * index)
    }
    fn store(&mut self, slot: Slot, value: Scalar) {
        let (access, _) = self.slot(slot);
        let (buffer, element) = (access.buffer, element(access, self.point, 0));
        self.machine.write(buffer, element, value);
    }
    fn param(&mut self, param: Param) -> Lane {
        self.params[param.0 as usize]
    }
    fn index(&mut self, axis: u32) -> i64 {
        self.point[axis as usize] as i64
    }
    fn fault(&mut self, site: u32, index: i64, bound: u64) {
        let origin = self.machine.program.sites[site as usize];
        self.machine.fault.get_or_insert(Fault { site, origin, index, bound });
    }
}

fn element(access: &Access, point: &[usize], gathered: i64) -> usize {
    assert_eq!(access.strides.len(), point.len(), "a stride for each axis of the loop");
    let steps = access.strides.iter().zip(point).map(|(&stride, &i)| stride * i as i64);
    let element = access.offset + gathered + steps.sum::<i64>();
    usize::try_from(element).expect("accesses stay inside their buffers")
}

/// The parameters that come from earlier finishes of the row.
fn of_row(body: &Body, values: &[Lane]) -> Vec<Lane> {
    body.params.iter().map(|&RowValue(v)| values[v as usize]).collect()
}

fn results(folds: &[Accumulate]) -> Vec<Lane> {
    folds.iter().map(Accumulate::result).collect()
}

fn join(row: &[usize], reduce: &[usize], lane: usize) -> SmallVec<[usize; 8]> {
    row.iter().chain(reduce).copied().chain([lane]).collect()
}

/// The position on each of these axes of a point of all of them, row-major.
fn unflatten(axes: &[usize], mut at: usize) -> SmallVec<[usize; 4]> {
    let mut place = SmallVec::from_elem(0, axes.len());
    for (axis, place) in axes.iter().zip(&mut place).rev() {
        *place = at % axis;
        at /= axis;
    }
    place
}

/// Calls `f` for every point in row-major order.
fn each_point(extents: &[usize], mut f: impl FnMut(&[usize])) {
    if extents.contains(&0) {
        return;
    }
    let mut point: SmallVec<[usize; 6]> = SmallVec::from_elem(0, extents.len());
    loop {
        f(&point);
        let mut axis = extents.len();
        loop {
            if axis == 0 {
                return;
            }
            axis -= 1;
            point[axis] += 1;
            if point[axis] < extents[axis] {
                break;
            }
            point[axis] = 0;
        }
    }
}

pub(super) fn decode(dtype: DType, bytes: &[u8]) -> Scalar {
    let mut word = [0; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    let bits = u64::from_le_bytes(word);
    match dtype {
        DType::Bool => Scalar::new(bits != 0),
        DType::U8 => Scalar::new(bits as u8),
        DType::I8 => Scalar::new(bits as i8),
        DType::I16 => Scalar::new(bits as i16),
        DType::I32 => Scalar::new(bits as i32),
        DType::I64 => Scalar::new(bits as i64),
        DType::F16 => Scalar::new(F16::from_bits(bits as u16)),
        DType::BF16 => Scalar::new(BF16::from_bits(bits as u16)),
        DType::F32 => Scalar::new(f32::from_bits(bits as u32)),
        DType::F64 => Scalar::new(f64::from_bits(bits)),
    }
}
