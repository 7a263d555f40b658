//! Shape rule and naive evaluation of [`Fused`] nodes.

use super::lanes::{Lanes, after, shifted};
use super::naive::{checked_index, flat, from_floats, from_ints, points};
use super::reduce::{combine_all, takes};
use super::{Batch, Class, EvalError, Jvp, MapOp, Op, OpRow, ReduceOp, Sample, TypeError};
use crate::graph::fused::{AxisIndex, Fused, IndexMap, Lambda, LambdaInst, LambdaValue};
use crate::graph::{Builder, Dim, NodeId, TensorType};
use smallvec::{SmallVec, smallvec};
use tensc_runtime::{DType, Element, Scalar, Tensor, with_element};

pub(super) static FUSED: OpRow = OpRow {
    name: "fused",
    doc: "a scalar function over an iteration space, perhaps reduced",
    arity: None,
    class: Class::Fused,
    infer,
    eval,
    // Differentiation comes before rewriting, which alone makes these.
    jvp: Jvp::Zero,
    transpose: None,
    batch: Batch::Rule(batch),
    samples,
};

fn fused(op: &Op) -> &Fused {
    let Op::Fused(fused) = op else { unreachable!("the row of Fused") };
    fused
}

fn infer(op: &Op, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
    let f = fused(op);
    let rank = f.space.len();
    if f.maps.len() != operands.len() || f.body.args.len() != operands.len() {
        let (maps, args) = (f.maps.len(), f.body.args.len());
        let message = format!(
            "fused has {} operands, {maps} index maps and a body of {args} arguments",
            operands.len()
        );
        return Err(TypeError::new(message));
    }
    for (i, ((operand, map), dtype)) in operands.iter().zip(&f.maps).zip(&f.body.args).enumerate() {
        if operand.dtype != *dtype {
            let message = format!("fused reads operand {i} as {dtype}, which is {operand}");
            return Err(TypeError::new(message));
        }
        map.check(operand, &f.space).map_err(|message| {
            TypeError::new(format!("fused reads operand {i}, {operand}: {message}"))
        })?;
    }
    f.body.check(rank).map_err(|message| TypeError::new(format!("fused body: {message}")))?;
    if let Some((reduce, axes)) = &f.reduce {
        let space = TensorType::new(f.body.result(), f.space.iter().map(|&n| Dim::from(n)));
        super::shape::check_ascending("fused reduction", axes, 0, &space)?;
        takes(reduce.name(), *reduce, f.body.result())?;
        if axes.is_empty() {
            return Err(TypeError::new("fused reduction over no axis"));
        }
    }
    Ok(f.result())
}

impl IndexMap {
    /// Fails where some point of the space reads outside the operand.
    ///
    /// # Errors
    /// Says which axis.
    pub fn check(&self, operand: &TensorType, space: &[usize]) -> Result<(), String> {
        if self.0.len() != operand.rank() {
            return Err(format!("an index map of {} axes", self.0.len()));
        }
        if space.contains(&0) {
            return Ok(());
        }
        for (axis, (index, size)) in self.0.iter().zip(&operand.shape).enumerate() {
            let size = size.known().ok_or_else(|| format!("the size of axis {axis} is {size}"))?;
            let steps = match index.axis {
                None if index.step != 1 => {
                    return Err(format!("axis {axis} follows no axis and has step {}", index.step));
                }
                None => 0,
                Some(a) => match space.get(usize::from(a)) {
                    Some(&n) => n as i64 - 1,
                    None => return Err(format!("axis {axis} follows axis {a} of {space:?}")),
                },
            };
            let last = index.step.checked_mul(steps).and_then(|d| d.checked_add(index.start));
            let inside = |i: i64| (0..size).contains(&i);
            if !inside(index.start) || !last.is_some_and(inside) {
                let (start, step) = (index.start, index.step);
                return Err(format!("axis {axis}: {start} + {step} * i leaves 0..{size}"));
            }
        }
        Ok(())
    }
}

impl Lambda {
    /// The element type of the result.
    pub fn result(&self) -> DType {
        self.insts.last().expect("a body has a result").1
    }

    /// Fails where the function breaks an invariant, in a space of `rank` axes.
    ///
    /// # Errors
    /// Says which instruction.
    pub fn check(&self, rank: usize) -> Result<(), String> {
        let Some(last) = self.insts.len().checked_sub(1) else {
            return Err("no instruction".into());
        };
        let mut used = vec![false; self.insts.len()];
        used[last] = true;
        for (i, (inst, dtype)) in self.insts.iter().enumerate() {
            let of = |v: LambdaValue| match usize::from(v.0) < i {
                true => Ok(self.insts[usize::from(v.0)].1),
                false => Err(format!("v{i} uses v{}", v.0)),
            };
            let derived = match inst {
                LambdaInst::Arg(n) => match self.args.get(usize::from(*n)) {
                    Some(dtype) => *dtype,
                    None => return Err(format!("v{i} is argument {n} of {}", self.args.len())),
                },
                LambdaInst::Const(scalar) => scalar.dtype(),
                LambdaInst::Index(axis, dtype) => {
                    if usize::from(*axis) >= rank || *dtype == DType::Bool {
                        return Err(format!("v{i} is index {axis} as {dtype} of {rank} axes"));
                    }
                    *dtype
                }
                LambdaInst::Map(op, operands) => {
                    let types =
                        operands.iter().map(|&v| of(v)).collect::<Result<Vec<_>, String>>()?;
                    op.row().result(&types).map_err(|e| format!("v{i}: {e}"))?
                }
                LambdaInst::Convert(to, v) => of(*v).map(|_| *to)?,
                LambdaInst::CheckIndex(_, v) => match of(*v)? {
                    DType::I64 => DType::I64,
                    other => return Err(format!("v{i} checks an index of type {other}")),
                },
            };
            if derived != *dtype {
                return Err(format!("v{i} is {derived}, not {dtype}"));
            }
            if self.insts[..i].iter().any(|(earlier, _)| earlier == inst) {
                return Err(format!("v{i} repeats an instruction"));
            }
            inst.operands().iter().for_each(|v| used[usize::from(v.0)] = true);
        }
        match used.iter().position(|u| !u) {
            Some(i) => Err(format!("v{i} is not used")),
            None => Ok(()),
        }
    }

    /// The value for these arguments at a point of the space.
    ///
    /// # Errors
    /// Where an index is out of range.
    pub fn eval(&self, args: &[Scalar], point: &[usize]) -> Result<Scalar, EvalError> {
        let mut values: Vec<Scalar> = Vec::with_capacity(self.insts.len());
        for (inst, _) in &self.insts {
            let of = |v: &LambdaValue| values[usize::from(v.0)];
            let value = match inst {
                LambdaInst::Arg(n) => args[usize::from(*n)],
                LambdaInst::Const(scalar) => *scalar,
                LambdaInst::Index(axis, dtype) => {
                    Scalar::from_i64(*dtype, point[usize::from(*axis)] as i64)
                }
                LambdaInst::Map(op, operands) => {
                    op.row().scalar(&operands.iter().map(of).collect::<SmallVec<[_; 3]>>())
                }
                LambdaInst::Convert(to, v) => convert(*to, of(v)),
                LambdaInst::CheckIndex(bound, v) => {
                    Scalar::new(checked_index(of(v).to_i64(), *bound)?)
                }
            };
            values.push(value);
        }
        Ok(*values.last().expect("a body has a result"))
    }
}

impl LambdaInst {
    /// The values it uses.
    pub fn operands(&self) -> SmallVec<[LambdaValue; 3]> {
        match self {
            LambdaInst::Arg(_) | LambdaInst::Const(_) | LambdaInst::Index(..) => smallvec![],
            LambdaInst::Map(_, operands) => operands.clone(),
            LambdaInst::Convert(_, v) | LambdaInst::CheckIndex(_, v) => smallvec![*v],
        }
    }
}

fn convert(to: DType, x: Scalar) -> Scalar {
    if x.dtype().is_float() {
        return Scalar::from_f64(to, x.to_f64());
    }
    Scalar::from_i64(to, x.to_i64())
}

fn element(tensor: &Tensor, at: usize) -> Scalar {
    with_element!(tensor.dtype(), T => {
        let x = tensor.as_slice::<T>()[at];
        if T::DTYPE.is_float() {
            Scalar::from_f64(T::DTYPE, x.to_f64())
        } else {
            Scalar::from_i64(T::DTYPE, x.to_i64())
        }
    })
}

fn eval(op: &Op, operands: &[&Tensor], ty: &TensorType) -> Result<Tensor, EvalError> {
    let f = fused(op);
    let value = |point: &[usize]| {
        let read = |(tensor, map): (&&Tensor, &IndexMap)| {
            element(tensor, flat(tensor.shape(), &map.at(point)))
        };
        let args: SmallVec<[Scalar; 4]> = operands.iter().zip(&f.maps).map(read).collect();
        f.body.eval(&args, point)
    };
    let values = points(&f.space).map(|p| value(&p)).collect::<Result<Vec<Scalar>, _>>()?;
    let Some((reduce, axes)) = &f.reduce else {
        return Ok(if ty.dtype.is_float() {
            from_floats(ty, &values.iter().map(|v| v.to_f64()).collect::<Vec<f64>>())
        } else {
            from_ints(ty, &values.iter().map(|v| v.to_i64()).collect::<Vec<i64>>())
        });
    };
    let kept = super::naive::other_axes(f.space.len(), axes);
    Ok(combine_all(*reduce, ty, |fold| {
        for (point, value) in points(&f.space).zip(&values) {
            let target: SmallVec<[usize; 4]> = kept.iter().map(|&a| point[a]).collect();
            fold(&target, value.to_f64(), value.to_i64());
        }
    }))
}

/// Lanes are one more axis of the iteration space; their number must be known, as every size is
/// where there are fused nodes.
fn batch(b: &Builder<'_>, op: &Op, lanes: &Lanes<'_>) -> NodeId {
    let f = fused(op);
    let size = lanes.size.known().and_then(|n| usize::try_from(n).ok());
    let lane = AxisIndex { axis: Some(0), start: 0, step: 1 };
    let map = |(map, &batched): (&IndexMap, &bool)| {
        let moved = |i: &AxisIndex| AxisIndex { axis: i.axis.map(|a| a + 1), ..*i };
        let rest: SmallVec<[AxisIndex; 4]> = map.0.iter().map(moved).collect();
        IndexMap(if batched { after(lane, &rest) } else { rest })
    };
    let mut body = f.body.clone();
    for (inst, _) in &mut body.insts {
        if let LambdaInst::Index(axis, _) = inst {
            *axis += 1;
        }
    }
    let more = Fused {
        space: after(size.expect("sizes are known where there are fused nodes"), &f.space),
        maps: f.maps.iter().zip(lanes.batched).map(map).collect(),
        body,
        reduce: f.reduce.as_ref().map(|(op, axes)| (*op, shifted(axes))),
    };
    b.add_op(more, lanes.operands)
}

/// `max(x[i] * w[j] + 1, 0)` over 4 × 6, as it is, summed along either axis, and with a transposed
/// and a reversed operand; an iota compared; a gathered index checked.
fn samples() -> Vec<Sample> {
    let inst = |inst, dtype| (inst, dtype);
    let v = LambdaValue;
    let f32 = DType::F32;
    let affine = Lambda {
        args: smallvec![f32, f32],
        insts: vec![
            inst(LambdaInst::Arg(0), f32),
            inst(LambdaInst::Arg(1), f32),
            inst(LambdaInst::Map(MapOp::Mul, smallvec![v(0), v(1)]), f32),
            inst(LambdaInst::Const(Scalar::new(1f32)), f32),
            inst(LambdaInst::Map(MapOp::Add, smallvec![v(2), v(3)]), f32),
            inst(LambdaInst::Const(Scalar::new(0f32)), f32),
            inst(LambdaInst::Map(MapOp::Max, smallvec![v(4), v(5)]), f32),
        ],
    };
    let follow = |axis: u8| AxisIndex { axis: Some(axis), start: 0, step: 1 };
    let back = |axis: u8, size: i64| AxisIndex { axis: Some(axis), start: size - 1, step: -1 };
    let ty = |dtype, sizes: &[i64]| TensorType::new(dtype, sizes.iter().map(|&n| Dim::Const(n)));
    let outer = |reduce: Option<(ReduceOp, &[u8])>| {
        let fused = Fused {
            space: smallvec![4, 6],
            maps: smallvec![IndexMap(smallvec![follow(0)]), IndexMap(smallvec![back(1, 6)])],
            body: affine.clone(),
            reduce: reduce.map(|(op, axes)| (op, SmallVec::from_slice(axes))),
        };
        Sample::new(fused, [ty(f32, &[4]), ty(f32, &[6])])
    };
    let transposed = Fused {
        space: smallvec![3, 5],
        maps: smallvec![IndexMap(smallvec![follow(1), follow(0)]), IndexMap::identity(2)],
        body: affine.clone(),
        reduce: None,
    };
    let triangle = Fused {
        space: smallvec![4, 4],
        maps: smallvec![IndexMap::identity(2)],
        body: Lambda {
            args: smallvec![f32],
            insts: vec![
                inst(LambdaInst::Arg(0), f32),
                inst(LambdaInst::Index(0, DType::I64), DType::I64),
                inst(LambdaInst::Index(1, DType::I64), DType::I64),
                inst(LambdaInst::Map(MapOp::Lt, smallvec![v(1), v(2)]), DType::Bool),
                inst(LambdaInst::Const(Scalar::new(0f32)), f32),
                inst(LambdaInst::Map(MapOp::Select, smallvec![v(3), v(4), v(0)]), f32),
            ],
        },
        reduce: None,
    };
    let wrapped = Fused {
        space: smallvec![7],
        maps: smallvec![IndexMap::identity(1)],
        body: Lambda {
            args: smallvec![DType::I32],
            insts: vec![
                inst(LambdaInst::Arg(0), DType::I32),
                inst(LambdaInst::Convert(DType::I64, v(0)), DType::I64),
                inst(LambdaInst::CheckIndex(9, v(1)), DType::I64),
            ],
        },
        reduce: None,
    };
    vec![
        outer(None),
        outer(Some((ReduceOp::Sum, &[1]))),
        outer(Some((ReduceOp::Max, &[0]))),
        outer(Some((ReduceOp::Sum, &[0, 1]))),
        Sample::new(transposed, [ty(f32, &[5, 3]), ty(f32, &[3, 5])]),
        Sample::new(triangle, [ty(f32, &[4, 4])]),
        Sample::new(wrapped, [ty(DType::I32, &[7])]).with(0, super::Draws::Between(-9.0, 8.0)),
    ]
}
