//! Building fused expressions: one operation as a scalar function over its space, and a producing
//! expression absorbed into its consumer.
//!
//! Invariant: a [`Fused`] made here is canonical. Instructions are hash-consed and ordered as a
//! walk from the result meets them, operands left to right; so are the operands. Equal expressions
//! over equal operands are equal values, and so one e-node.

use crate::graph::fused::{AxisIndex, Fused, IndexMap, Lambda, LambdaInst, LambdaValue, ReduceOp};
use crate::graph::ops::Class;
use crate::graph::{MapOp, Op, TensorType};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use tensc_runtime::{DType, Scalar};

/// An expression with the operands it reads, of whatever kind `X` the caller names operands by.
#[derive(Clone, PartialEq, Debug)]
pub struct Expression<X> {
    /// The function.
    pub fused: Fused,
    /// What each of its operands is.
    pub operands: SmallVec<[X; 4]>,
}

/// The expression of one operation; `None` where the operation cannot be part of one.
pub fn lift<X: Copy + PartialEq>(
    op: &Op,
    operands: &[(X, &TensorType)],
    ty: &TensorType,
) -> Option<Expression<X>> {
    let (mut space, mut reduce) = (ty.concrete_shape().0, None);
    let mut body = Body::default();
    let rank = ty.rank();
    let whole = |body: &mut Body<X>| -> SmallVec<[LambdaValue; 3]> {
        let arg = |(x, of): &(X, &TensorType)| body.arg(*x, IndexMap::identity(rank), of.dtype);
        operands.iter().map(arg).collect()
    };
    let result = match op {
        Op::Map(map) => {
            let args = whole(&mut body);
            body.push(LambdaInst::Map(*map, args), ty.dtype)
        }
        Op::Convert(to) => {
            let args = whole(&mut body);
            body.push(LambdaInst::Convert(*to, args[0]), *to)
        }
        Op::CheckIndex(bound) => {
            let args = whole(&mut body);
            let bound = bound.known().expect("sizes are known");
            body.push(LambdaInst::CheckIndex(bound, args[0]), ty.dtype)
        }
        Op::Iota { axis, dtype, .. } => body.push(LambdaInst::Index(*axis, *dtype), *dtype),
        Op::Const(value) => body.push(LambdaInst::Const(*value), value.dtype()),
        Op::Reduce(combine, axes) => {
            let (x, of) = operands[0];
            space = of.concrete_shape().0;
            reduce = Some((*combine, axes.clone()));
            body.arg(x, IndexMap::identity(of.rank()), of.dtype)
        }
        Op::Reshape(_) | Op::Transpose(_) | Op::Broadcast { .. } | Op::Slice { .. } => {
            let Class::View(map) = op.row().class else { return None };
            let (x, of) = operands[0];
            body.arg(x, map(op, of, ty)?, of.dtype)
        }
        _ => return None,
    };
    Some(body.finish(result, space, reduce))
}

/// The expression of one number over a space.
pub fn constant<X: Copy + PartialEq>(value: Scalar, ty: &TensorType) -> Expression<X> {
    let mut body = Body::default();
    let result = body.push(LambdaInst::Const(value), value.dtype());
    body.finish(result, ty.concrete_shape().0, None)
}

/// The consumer with its operands `x` replaced by the expression that makes `x`.
pub fn absorb<X: Copy + PartialEq>(
    consumer: &Expression<X>,
    x: X,
    producer: &Expression<X>,
) -> Expression<X> {
    debug_assert!(producer.fused.reduce.is_none(), "a reduction is not a scalar function");
    let mut body = Body::default();
    let mut values: Vec<LambdaValue> = Vec::with_capacity(consumer.fused.body.insts.len());
    for (inst, dtype) in &consumer.fused.body.insts {
        let value = match inst {
            LambdaInst::Arg(n) => {
                let n = usize::from(*n);
                let map = &consumer.fused.maps[n];
                if consumer.operands[n] == x {
                    body.inline(producer, map)
                } else {
                    body.arg(consumer.operands[n], map.clone(), *dtype)
                }
            }
            other => {
                let moved = renamed(other, &values);
                body.push(moved, *dtype)
            }
        };
        values.push(value);
    }
    let result = *values.last().expect("a body has a result");
    body.finish(result, consumer.fused.space.clone(), consumer.fused.reduce.clone())
}

/// A lambda while it is built.
struct Body<X> {
    insts: Vec<(LambdaInst, DType)>,
    known: FxHashMap<LambdaInst, LambdaValue>,
    args: Vec<(X, IndexMap, DType)>,
}

impl<X> Default for Body<X> {
    fn default() -> Body<X> {
        Body { insts: Vec::new(), known: FxHashMap::default(), args: Vec::new() }
    }
}

impl<X: Copy + PartialEq> Body<X> {
    fn push(&mut self, inst: LambdaInst, dtype: DType) -> LambdaValue {
        if let Some(value) = self.known.get(&inst) {
            return *value;
        }
        let value = LambdaValue(u16::try_from(self.insts.len()).expect("bodies are capped"));
        self.known.insert(inst.clone(), value);
        self.insts.push((inst, dtype));
        value
    }

    fn arg(&mut self, x: X, map: IndexMap, dtype: DType) -> LambdaValue {
        let known = self.args.iter().position(|(y, m, _)| *y == x && *m == map);
        let n = known.unwrap_or_else(|| {
            self.args.push((x, map, dtype));
            self.args.len() - 1
        });
        self.push(LambdaInst::Arg(u8::try_from(n).expect("operands are capped")), dtype)
    }

    /// The producer's result at the element that `outer` says.
    fn inline(&mut self, producer: &Expression<X>, outer: &IndexMap) -> LambdaValue {
        let mut values: Vec<LambdaValue> = Vec::with_capacity(producer.fused.body.insts.len());
        for (inst, dtype) in &producer.fused.body.insts {
            let value = match inst {
                LambdaInst::Arg(n) => {
                    let n = usize::from(*n);
                    let map = producer.fused.maps[n].then(outer);
                    self.arg(producer.operands[n], map, *dtype)
                }
                LambdaInst::Index(axis, dtype) => self.index(outer.0[usize::from(*axis)], *dtype),
                other => {
                    let moved = renamed(other, &values);
                    self.push(moved, *dtype)
                }
            };
            values.push(value);
        }
        *values.last().expect("a body has a result")
    }

    /// The position `start + step * i`, as a type.
    fn index(&mut self, at: AxisIndex, dtype: DType) -> LambdaValue {
        let Some(axis) = at.axis else {
            let value = Scalar::from_i64(dtype, at.start);
            return self.push(LambdaInst::Const(value), dtype);
        };
        if (at.start, at.step) == (0, 1) {
            return self.push(LambdaInst::Index(axis, dtype), dtype);
        }
        // In integers first: exact for every size.
        let whole = DType::I64;
        let mut value = self.push(LambdaInst::Index(axis, whole), whole);
        for (op, neutral, by) in [(MapOp::Mul, 1, at.step), (MapOp::Add, 0, at.start)] {
            if by != neutral {
                let by = self.push(LambdaInst::Const(Scalar::from_i64(whole, by)), whole);
                value = self.push(LambdaInst::Map(op, SmallVec::from_iter([value, by])), whole);
            }
        }
        if dtype == whole {
            return value;
        }
        self.push(LambdaInst::Convert(dtype, value), dtype)
    }

    /// Only what the result needs, in canonical order.
    fn finish(
        self,
        result: LambdaValue,
        space: SmallVec<[usize; 4]>,
        reduce: Option<(ReduceOp, SmallVec<[u8; 4]>)>,
    ) -> Expression<X> {
        let mut walk = Walk {
            from: &self.insts,
            numbers: vec![None; self.insts.len()],
            args: vec![None; self.args.len()],
            order: SmallVec::new(),
            insts: Vec::with_capacity(self.insts.len()),
        };
        walk.visit(result);
        let Walk { order, insts, .. } = walk;
        let at = |n: &usize| &self.args[*n];
        let body = Lambda { args: order.iter().map(|n| at(n).2).collect(), insts };
        let maps = order.iter().map(|n| at(n).1.clone()).collect();
        let operands = order.iter().map(|n| at(n).0).collect();
        Expression { fused: Fused { space, maps, body, reduce }, operands }
    }
}

/// Renumbering from the result down, operands left to right.
struct Walk<'a> {
    from: &'a [(LambdaInst, DType)],
    numbers: Vec<Option<LambdaValue>>,
    args: Vec<Option<u8>>,
    order: SmallVec<[usize; 4]>,
    insts: Vec<(LambdaInst, DType)>,
}

impl Walk<'_> {
    fn visit(&mut self, value: LambdaValue) -> LambdaValue {
        let at = usize::from(value.0);
        if let Some(number) = self.numbers[at] {
            return number;
        }
        let (inst, dtype) = self.from[at].clone();
        let inst = match inst {
            LambdaInst::Arg(n) => {
                let n = usize::from(n);
                let number = self.args[n].unwrap_or_else(|| {
                    self.order.push(n);
                    (self.order.len() - 1) as u8
                });
                self.args[n] = Some(number);
                LambdaInst::Arg(number)
            }
            LambdaInst::Map(op, operands) => {
                LambdaInst::Map(op, operands.iter().map(|&v| self.visit(v)).collect())
            }
            LambdaInst::Convert(to, v) => LambdaInst::Convert(to, self.visit(v)),
            LambdaInst::CheckIndex(bound, v) => LambdaInst::CheckIndex(bound, self.visit(v)),
            other @ (LambdaInst::Const(_) | LambdaInst::Index(..)) => other,
        };
        let number = LambdaValue(self.insts.len() as u16);
        self.insts.push((inst, dtype));
        self.numbers[at] = Some(number);
        number
    }
}

fn renamed(inst: &LambdaInst, values: &[LambdaValue]) -> LambdaInst {
    let of = |v: &LambdaValue| values[usize::from(v.0)];
    match inst {
        LambdaInst::Map(op, operands) => LambdaInst::Map(*op, operands.iter().map(of).collect()),
        LambdaInst::Convert(to, v) => LambdaInst::Convert(*to, of(v)),
        LambdaInst::CheckIndex(bound, v) => LambdaInst::CheckIndex(*bound, of(v)),
        LambdaInst::Arg(_) | LambdaInst::Const(_) | LambdaInst::Index(..) => inst.clone(),
    }
}
