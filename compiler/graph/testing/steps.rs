//! The ways to add nodes. Each gives nothing where the graph has nothing to work on.

use super::Generator;
use crate::graph::fused::{AxisIndex, Fused, IndexMap, Lambda, LambdaInst, LambdaValue, ReduceOp};
use crate::graph::ops::elementwise::{Partial, Takes};
use crate::graph::ops::{
    Axes, Call, Contraction, Draw, Draws, MapOp, MapRow, Op, Rule, Scan, Window, shape,
};
use crate::graph::{Builder, Dim, Graph, NodeId, TensorType};
use smallvec::{SmallVec, smallvec};
use std::sync::Arc;
use tensc_runtime::along::Running;
use tensc_runtime::linear::Linear;
use tensc_runtime::{DType, Scalar};

impl Generator<'_> {
    /// A loop over the rows of a tensor that carries a vector and gives the sum so far.
    pub(super) fn scan(&mut self) -> Option<NodeId> {
        let row = |ty: &TensorType| ty.rank() == 2 && ty.dtype.is_float();
        let rows = self.any(row)?;
        let ty = self.g.ty(rows);
        let state_ty = TensorType::new(ty.dtype, [ty.shape[1].clone()]);
        let state = self.of_type(&state_ty)?;
        let mut step = Graph::new();
        let s = Builder::new(&mut step);
        let before = s.input("state.0", state_ty.clone());
        let row = s.input("slice.0", state_ty.clone());
        let scale = s.input("whole.0", TensorType::scalar(ty.dtype));
        let scaled = s.mul(before, s.broadcast_to(scale, &state_ty.shape));
        let after = s.tanh(s.add(scaled, row));
        s.output("state.0", after);
        s.output("element.0", s.sum_all(s.mul(after, row)));
        drop(s);
        let scan = Scan {
            step: Arc::new(step),
            count: ty.shape[0].clone(),
            carried: 1,
            sliced: 1,
            reverse: self.rng.chance(1, 2),
            result: self.rng.below(2),
            gated: self.rng.chance(1, 2),
            until: None,
        };
        let scale = self.g.constant(0.5, ty.dtype);
        let mut operands = vec![state, rows, scale];
        if scan.gated {
            let zero = self.g.constant(0.0, ty.dtype);
            let first =
                self.g.reshape(self.g.slice_axis(state, 0, &Dim::Const(0), &Dim::Const(1)), &[]);
            operands.push(self.g.map(MapOp::Gt, &[first, zero]));
        }
        Some(self.g.scan(&scan, &operands))
    }

    /// A call, and its result after something else.
    pub(super) fn call(&mut self) -> Option<NodeId> {
        let x = self.any(|ty| ty.dtype.is_float())?;
        let other = self.any(|_| true)?;
        let ty = self.g.ty(x);
        let mut body = Graph::new();
        let s = Builder::new(&mut body);
        let inside = s.input("x", ty);
        let bent = s.tanh(inside);
        s.output("bent", bent);
        s.output("twice", s.add(bent, bent));
        drop(s);
        let result = self.rng.below(2);
        let (body, moving) = (Arc::new(body), SmallVec::new());
        let call = Call { body, rule: Rule::Again, result, moving };
        let result = self.g.add_op(Op::Call(call), &[x]);
        Some(self.g.after(result, other))
    }

    pub(super) fn map(&mut self) -> Option<NodeId> {
        let op = self.rng.pick(&MapOp::ALL);
        let row = op.row();
        let first = self.any(|ty| row.takes.accepts(ty.dtype))?;
        let ty = self.g.ty(first);
        let masked = row.takes == Takes::MaskThenAny;
        let mut operands: Vec<NodeId> = Vec::new();
        for i in 0..row.arity {
            let dtype = if masked && i == 0 { DType::Bool } else { ty.dtype };
            let node = match i == row.arity - 1 {
                true => first,
                false => self.of_type(&ty.with_dtype(dtype))?,
            };
            operands.push(self.in_domain(op, row, i, node)?);
        }
        if self.rng.chance(1, 2) && row.arity == 2 {
            operands.swap(0, 1);
            operands[0] = self.in_domain(op, row, 0, operands[0])?;
            operands[1] = self.in_domain(op, row, 1, operands[1])?;
        }
        Some(self.g.map(op, &operands))
    }

    /// A node of that type, stretched where need be.
    fn of_type(&mut self, ty: &TensorType) -> Option<NodeId> {
        let stretches = |t: &TensorType| {
            t.dtype == ty.dtype
                && shape::broadcast(&t.shape, &ty.shape).is_ok_and(|s| s == ty.shape)
        };
        if let Some(node) = self.any(stretches) {
            return Some(self.g.broadcast_to(node, &ty.shape));
        }
        Some(self.g.full(f64::from(self.rng.below(5) as u8), ty))
    }

    /// The node, or its values squeezed into the domain of operand `i`; nothing where the operation
    /// jumps and the values are not exact.
    fn in_domain(&mut self, op: MapOp, row: &MapRow, i: usize, node: NodeId) -> Option<NodeId> {
        self.settle();
        if !self.g.ty(node).dtype.is_float() {
            return Some(node);
        }
        let flat = row.partials.iter().all(|p| matches!(p, Partial::Zero));
        if flat || matches!(op, MapOp::Rem | MapOp::Copysign) {
            return (self.exact[node.index()] && self.tame[node.index()]).then_some(node);
        }
        let everywhere = matches!(
            op,
            MapOp::Neg
                | MapOp::Abs
                | MapOp::Square
                | MapOp::Add
                | MapOp::Sub
                | MapOp::Mul
                | MapOp::Max
                | MapOp::Min
                | MapOp::Select
        );
        let (low, high) = row.sample[i];
        let inside = |x: f64| (low..=high).contains(&x);
        if everywhere || self.values[node.index()].to_f64_vec().into_iter().all(inside) {
            return Some(node);
        }
        let unit = self.g.map(MapOp::Sigmoid, &[node]);
        let squeezed = self.g.scale(high - low, unit);
        Some(self.g.add(squeezed, self.g.like(low, node)))
    }

    pub(super) fn convert(&mut self) -> Option<NodeId> {
        let x = self.any(|_| true)?;
        let dtype = self.rng.pick(&self.options.dtypes);
        let jumps = self.g.ty(x).dtype.is_float() && !dtype.is_float();
        (!jumps || self.exact[x.index()]).then(|| self.g.convert(x, dtype))
    }

    pub(super) fn reshape(&mut self) -> Option<NodeId> {
        let x = self.any(|_| true)?;
        let mut shape = self.g.ty(x).shape;
        match self.rng.below(4) {
            0 => shape = smallvec![self.g.ty(x).elements()],
            1 => {
                let at = self.rng.below(shape.len() + 1);
                shape.insert(at, Dim::Const(1));
            }
            2 => shape.retain(|d| !d.is(1)),
            _ => {
                let at = (0..shape.len()).find(|&a| shape[a].known().is_some_and(|n| n > 2))?;
                let n = shape[at].known().expect("known");
                let divisor = (2..n).find(|d| n % d == 0)?;
                shape[at] = Dim::Const(divisor);
                shape.insert(at + 1, Dim::Const(n / divisor));
            }
        }
        Some(self.g.reshape(x, &shape))
    }

    pub(super) fn transpose(&mut self) -> Option<NodeId> {
        let x = self.any(|ty| ty.rank() >= 2)?;
        let mut perm: Vec<usize> = (0..self.g.ty(x).rank()).collect();
        self.rng.shuffle(&mut perm);
        Some(self.g.transpose(x, &perm))
    }

    pub(super) fn broadcast(&mut self) -> Option<NodeId> {
        let x = self.any(|ty| ty.rank() <= 3)?;
        let mut shape = self.g.ty(x).shape;
        let at = self.rng.below(shape.len() + 1);
        let size = self.size();
        shape.insert(at, Dim::from(size));
        let to: Vec<usize> = (0..shape.len()).filter(|&axis| axis != at).collect();
        self.fits(&shape).then(|| self.g.broadcast(x, &shape, &to))
    }

    pub(super) fn slice(&mut self) -> Option<NodeId> {
        let x = self.any(|ty| ty.rank() >= 1 && !ty.shape.iter().any(|d| d.is(0)))?;
        let (mut starts, mut lens, mut steps) = (Vec::new(), Vec::new(), Vec::new());
        for dim in self.g.ty(x).shape {
            let size = dim.known().expect("known") as usize;
            let (a, b) = (self.rng.below(size), self.rng.below(size));
            let step = 1 + self.rng.below(2) as i64;
            lens.push(Dim::from(a.abs_diff(b) / step as usize + 1));
            starts.push(Dim::from(a));
            steps.push(if a <= b { step } else { -step });
        }
        Some(self.g.slice(x, &starts, &lens, &steps))
    }

    pub(super) fn window(&mut self) -> Option<NodeId> {
        let x = self.any(|ty| ty.rank() >= 1 && !ty.shape.iter().any(|d| d.is(0)))?;
        let ty = self.g.ty(x);
        let axis = self.rng.below(ty.rank());
        let n = ty.shape[axis].known().expect("known");
        let (stride, dilation) = (1 + self.rng.below(3) as i64, 1 + self.rng.below(2) as i64);
        let size = 1 + self.rng.below(((n - 1) / dilation + 1) as usize) as i64;
        let reach = dilation * (size - 1);
        let count = Dim::Const((n - reach - 1) / stride + 1);
        let back = self.rng.chance(1, 3);
        let window = Window {
            axis: axis as u8,
            start: Dim::Const(if back { reach } else { 0 }),
            count,
            size: Dim::Const(size),
            stride,
            dilation: if back { -dilation } else { dilation },
        };
        let result = Op::Window(window.clone()).infer(&[&ty]).expect("well typed");
        self.fits(&result.shape).then(|| self.g.window(x, window))
    }

    pub(super) fn diagonal(&mut self) -> Option<NodeId> {
        let pair = |ty: &TensorType| {
            let axes = (0..ty.rank()).flat_map(|b| (0..b).map(move |a| (a, b)));
            axes.into_iter().find(|&(a, b)| ty.shape[a] == ty.shape[b])
        };
        if let Some(x) = self.any(|ty| pair(ty).is_some()) {
            let (a, b) = pair(&self.g.ty(x)).expect("it was asked for");
            return Some(self.g.diagonal(x, a, b));
        }
        // A row and itself make a square.
        let x = self.any(|ty| ty.rank() == 1)?;
        let n = self.g.ty(x).shape[0].clone();
        let shape = [n.clone(), n];
        let square = self.fits(&shape).then(|| self.g.broadcast(x, &shape, &[1]))?;
        Some(self.g.diagonal(square, 0, 1))
    }

    /// A running combination, a recurrence, or the order of exact elements.
    pub(super) fn along(&mut self) -> Option<NodeId> {
        let x = self.any(|ty| ty.rank() >= 1 && ty.dtype != DType::Bool)?;
        let ty = self.g.ty(x);
        let axis = self.rng.below(ty.rank());
        match self.rng.below(4) {
            // A difference of rounding may decide the order.
            0 => {
                let descending = self.rng.chance(1, 2);
                self.exact[x.index()].then(|| self.g.argsort(x, axis, descending))
            }
            1 if ty.dtype.is_float() && ty.rank() == 1 && self.rng.chance(1, 2) => {
                let n = ty.shape[0].clone();
                let shape = [n.clone(), n.clone()];
                let small = self.g.map(MapOp::Sigmoid, &[x]);
                let wide = self.fits(&shape).then(|| self.g.broadcast(small, &shape, &[0]))?;
                let [rows, columns] = [0, 1].map(|a| self.g.iota(DType::I64, &shape, a));
                let heavy = self.g.like(2.0 + n.known().expect("known") as f64, wide);
                let on_diagonal = self.g.eq(rows, columns);
                let matrix = self.g.select(on_diagonal, heavy, wide);
                let right = self.g.reshape(x, &[n, Dim::Const(1)]);
                Some(self.g.linear(Linear::Solve, &[matrix, right]))
            }
            1 if ty.dtype.is_float() => {
                let other = self.of_type(&ty)?;
                let factor = self.g.map(MapOp::Sigmoid, &[other]);
                Some(self.g.recur(factor, x, axis))
            }
            _ => {
                let op = self.rng.pick(&Running::ALL);
                let tame = match op {
                    Running::LogSumExp => ty.dtype.is_float(),
                    Running::Prod => !ty.dtype.is_float(),
                    Running::Sum | Running::Max | Running::Min => true,
                };
                tame.then(|| self.g.running(op, x, axis))
            }
        }
    }

    pub(super) fn pad(&mut self) -> Option<NodeId> {
        let x = self.any(|ty| ty.rank() >= 1)?;
        let ty = self.g.ty(x);
        let mut amounts = || (0..ty.rank()).map(|_| Dim::from(self.rng.below(3))).collect();
        let (low, high): (Vec<Dim>, Vec<Dim>) = (amounts(), amounts());
        let interior: Vec<i64> = (0..ty.rank()).map(|_| self.rng.below(2) as i64).collect();
        let value = self.g.constant(f64::from(self.rng.below(2) as u8), ty.dtype);
        let op = Op::Pad { low: low.into(), high: high.into(), interior: interior.into() };
        let result = op.infer(&[&ty, &TensorType::scalar(ty.dtype)]).expect("well typed");
        self.fits(&result.shape).then(|| self.g.add_op(op, &[x, value]))
    }

    pub(super) fn concat(&mut self) -> Option<NodeId> {
        let x = self.any(|ty| ty.rank() >= 1)?;
        let ty = self.g.ty(x);
        let axis = self.rng.below(ty.rank());
        let beside = |t: &TensorType| {
            t.dtype == ty.dtype
                && t.rank() == ty.rank()
                && (0..t.rank()).all(|a| a == axis || t.shape[a] == ty.shape[a])
        };
        let mut parts = vec![x];
        for _ in 0..1 + self.rng.below(2) {
            parts.push(self.any(beside)?);
        }
        let types: Vec<TensorType> = parts.iter().map(|&n| self.g.ty(n)).collect();
        let result = Op::Concat(axis as u8).infer(&types.iter().collect::<Vec<_>>());
        let fits = self.fits(&result.expect("well typed").shape);
        fits.then(|| self.g.concat(&parts, axis))
    }

    pub(super) fn reduce(&mut self) -> Option<NodeId> {
        let op = self.rng.pick(&ReduceOp::ALL);
        let x = self.any(|ty| ty.rank() >= 1 && op.accepts(ty.dtype))?;
        let ty = self.g.ty(x);
        let over: Vec<usize> = (0..ty.rank()).filter(|_| self.rng.chance(1, 2)).collect();
        // The extreme of nothing is infinite: no tame value.
        let empty = over.iter().any(|&a| ty.shape[a].is(0));
        (!empty).then(|| self.g.reduce(op, x, &over))
    }

    pub(super) fn arg_reduce(&mut self) -> Option<NodeId> {
        let op = self.rng.pick(&[ReduceOp::Max, ReduceOp::Min]);
        let x = self.any(|ty| ty.rank() >= 1 && ty.dtype != DType::Bool)?;
        let axis = self.rng.below(self.g.ty(x).rank());
        let empty = self.g.ty(x).shape[axis].is(0);
        (self.exact[x.index()] && !empty).then(|| self.g.arg_reduce(op, x, axis))
    }

    pub(super) fn contract(&mut self) -> Option<NodeId> {
        let x = self.any(|ty| ty.dtype != DType::Bool && ty.rank() <= 4)?;
        let left = self.g.ty(x);
        let y = self.any(|ty| ty.dtype == left.dtype && ty.rank() <= 4)?;
        let right = self.g.ty(y);
        let mut c = Contraction::default();
        for l in 0..left.rank() {
            let free = (0..right.rank()).find(|&r| {
                let taken = c.right_batch.iter().chain(&c.right_sum).any(|&a| usize::from(a) == r);
                !taken && left.shape[l] == right.shape[r]
            });
            let Some(r) = free else { continue };
            match self.rng.below(5) {
                0..3 => {
                    c.left_sum.push(l as u8);
                    c.right_sum.push(r as u8);
                }
                3 => {
                    c.left_batch.push(l as u8);
                    c.right_batch.push(r as u8);
                }
                _ => {}
            }
        }
        let summed = c.left_sum.iter().map(|&a| left.shape[usize::from(a)].clone());
        let op = Op::Contract(c.clone());
        let result = op.infer(&[&left, &right]).expect("well typed");
        let work: Vec<Dim> = result.shape.iter().cloned().chain(summed).collect();
        (self.fits(&result.shape) && TensorType::new(left.dtype, work).elements().known()? < 20_000)
            .then(|| self.g.add_op(op, &[x, y]))
    }

    /// Checked indices of `0..bound`, of a small shape.
    fn indices(&mut self, bound: &Dim) -> Option<NodeId> {
        let from = self.any(|ty| ty.dtype == DType::I64 && ty.rank() <= 2);
        let from = match from {
            Some(node) => node,
            None => {
                let size = self.size();
                let key = self.g.constant(7.0, DType::I64);
                self.g.random(Draw::Bits, key, &TensorType::new(DType::I64, [Dim::from(size)]))
            }
        };
        let limit = self.g.full(bound.known()? as f64, &self.g.ty(from));
        Some(self.g.check_index(self.g.map(MapOp::Rem, &[from, limit]), bound))
    }

    pub(super) fn gather(&mut self) -> Option<NodeId> {
        let x = self.any(|ty| ty.rank() >= 1)?;
        let ty = self.g.ty(x);
        let axis = self.rng.below(ty.rank());
        if ty.shape[axis].is(0) {
            return None;
        }
        let indices = self.indices(&ty.shape[axis])?;
        let result = Op::Gather(axis as u8).infer(&[&ty, &self.g.ty(indices)]).expect("well typed");
        self.fits(&result.shape).then(|| self.g.gather(x, indices, axis))
    }

    pub(super) fn scatter(&mut self) -> Option<NodeId> {
        let base = self.any(|ty| ty.rank() >= 1 && ty.dtype != DType::Bool)?;
        let ty = self.g.ty(base);
        let axis = self.rng.below(ty.rank());
        if ty.shape[axis].is(0) {
            return None;
        }
        let indices = self.indices(&ty.shape[axis])?;
        let taken = Op::Gather(axis as u8).infer(&[&ty, &self.g.ty(indices)]).expect("well typed");
        if !self.fits(&taken.shape) {
            return None;
        }
        let updates = self.of_type(&taken)?;
        Some(self.g.scatter_add(base, indices, updates, axis))
    }

    pub(super) fn source(&mut self) -> Option<NodeId> {
        let dtype = self.rng.pick(&self.options.dtypes);
        let (rows, columns) = (self.size(), self.size());
        let ty = TensorType::new(dtype, [Dim::from(rows), Dim::from(columns)]);
        match self.rng.below(4) {
            0 if dtype != DType::Bool => {
                let axis = self.rng.below(2);
                Some(self.g.iota(dtype, &ty.shape, axis))
            }
            1 if dtype.is_float() => {
                let draw = self.rng.pick(&[Draw::Uniform, Draw::Normal]);
                let seed = self.g.constant(self.rng.below(100) as f64, DType::I64);
                let key = self.g.fold_key(seed, seed);
                Some(self.g.random(draw, key, &ty))
            }
            2 => Some(self.g.full(f64::from(self.rng.below(3) as u8), &ty)),
            _ => {
                let limit = if dtype.is_float() { 2.0 } else { 9.0 };
                let seed = self.rng.next();
                let tensor = Draws::Between(-limit, limit).tensor(dtype, ty.concrete_shape(), seed);
                Some(self.g.literal(tensor))
            }
        }
    }

    /// A space with operands read along some of its axes, a body of a few operations, perhaps
    /// reduced.
    pub(super) fn fused(&mut self) -> Option<NodeId> {
        let first = self.any(|ty| ty.dtype.is_float() && (1..=3).contains(&ty.rank()))?;
        let ty = self.g.ty(first);
        if ty.shape.iter().any(|d| d.is(0)) {
            return None;
        }
        let space: SmallVec<[usize; 4]> = ty.concrete_shape().0;
        let mut operands = vec![first];
        let mut maps: SmallVec<[IndexMap; 4]> = smallvec![IndexMap::identity(space.len())];
        for _ in 0..self.rng.below(3) {
            let Some(other) = self.any(|t| t.dtype == ty.dtype && t.rank() <= 3) else { continue };
            if let Some(map) = self.index_map(&self.g.ty(other), &space) {
                operands.push(other);
                maps.push(map);
            }
        }
        let body = self.body(ty.dtype, operands.len(), space.len());
        let reduce = if self.rng.chance(1, 2) {
            let op = self.rng.pick(&[ReduceOp::Sum, ReduceOp::Max, ReduceOp::Min]);
            let mut over: Axes = (0..space.len() as u8).filter(|_| self.rng.chance(1, 2)).collect();
            if over.is_empty() {
                over.push(0);
            }
            Some((op, over))
        } else {
            None
        };
        Some(self.g.add_op(Fused { space, maps, body, reduce }, &operands))
    }

    /// Each axis follows an axis of the space that is small enough, forwards or backwards, or none.
    fn index_map(&mut self, operand: &TensorType, space: &[usize]) -> Option<IndexMap> {
        let mut map = IndexMap::default();
        for dim in &operand.shape {
            let size = dim.known()?;
            let fitting: Vec<usize> =
                (0..space.len()).filter(|&a| space[a] as i64 <= size).collect();
            if size == 0 {
                return None;
            }
            map.0.push(if fitting.is_empty() || self.rng.chance(1, 4) {
                AxisIndex { axis: None, start: self.rng.below(size as usize) as i64, step: 1 }
            } else {
                let axis = self.rng.pick(&fitting);
                let last = space[axis] as i64 - 1;
                let room = size - 1 - last;
                let low = self.rng.below(room as usize + 1) as i64;
                let back = self.rng.chance(1, 3);
                AxisIndex {
                    axis: Some(axis as u8),
                    start: if back { low + last } else { low },
                    step: if back { -1 } else { 1 },
                }
            });
        }
        Some(map)
    }

    fn body(&mut self, dtype: DType, args: usize, rank: usize) -> Lambda {
        let mut lambda = Lambda { args: SmallVec::from_elem(dtype, args), insts: Vec::new() };
        let mut push = |inst: LambdaInst, dtype: DType| {
            let at = lambda.insts.iter().position(|(i, _)| *i == inst).unwrap_or_else(|| {
                lambda.insts.push((inst, dtype));
                lambda.insts.len() - 1
            });
            LambdaValue(at as u16)
        };
        // A fold over everything there is, so that every instruction is used.
        let mut sum = push(LambdaInst::Arg(0), dtype);
        for arg in 1..args {
            let x = push(LambdaInst::Arg(arg as u8), dtype);
            let op = self.rng.pick(&[MapOp::Add, MapOp::Sub, MapOp::Mul, MapOp::Max]);
            sum = push(LambdaInst::Map(op, smallvec![sum, x]), dtype);
        }
        let unary = self.rng.pick(&[MapOp::Tanh, MapOp::Sigmoid, MapOp::Neg, MapOp::Abs]);
        sum = push(LambdaInst::Map(unary, smallvec![sum]), dtype);
        if self.rng.chance(1, 2) {
            let half = push(LambdaInst::Const(Scalar::from_f64(dtype, 0.5)), dtype);
            sum = push(LambdaInst::Map(MapOp::Mul, smallvec![sum, half]), dtype);
        }
        if self.rng.chance(1, 3) {
            let axis = self.rng.below(rank) as u8;
            let i = push(LambdaInst::Index(axis, DType::I64), DType::I64);
            let two = push(LambdaInst::Const(Scalar::new(2i64)), DType::I64);
            let mask = push(LambdaInst::Map(MapOp::Lt, smallvec![i, two]), DType::Bool);
            let zero = push(LambdaInst::Const(Scalar::from_f64(dtype, 0.0)), dtype);
            push(LambdaInst::Map(MapOp::Select, smallvec![mask, sum, zero]), dtype);
        }
        lambda
    }
}
