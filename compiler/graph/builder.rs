//! Making nodes: one call an operation, each node made once.
//!
//! A [`Builder`] adds to a graph under a current [`Origin`]. A node with the operation and operands
//! of an earlier one *is* the earlier one. What cannot change a bit is not made at all: a reshape
//! to the same shape, two transposes that cancel, a conversion to the same type. Methods take
//! `&self`, so that calls nest as the mathematics does; they panic where types do not fit, which is
//! a bug of the caller. The checker, whose operands are a user's, uses [`Builder::try_add`] and the
//! `try_` methods.

use super::fused::ReduceOp;
use super::ops::shape::{self, Dims};
use super::ops::{Axes, Contraction, Draw, LiteralTensor, TypeError, Window};
use super::{Dim, Graph, MapOp, NodeId, Op, Operands, Origin, TensorType};
use rustc_hash::{FxHashMap, FxHasher};
use smallvec::{SmallVec, smallvec};
use std::cell::RefCell;
use std::convert::Infallible;
use std::hash::{Hash, Hasher};
use tensc_runtime::along::Running;
use tensc_runtime::{DType, Scalar, Tensor};

/// Adds nodes to a graph.
pub struct Builder<'g> {
    state: RefCell<State<'g>>,
}

struct State<'g> {
    graph: &'g mut Graph,
    origin: Origin,
    /// Nodes by the hash of operation and operands.
    made: FxHashMap<u64, SmallVec<[NodeId; 1]>>,
}

impl<'g> Builder<'g> {
    /// A builder that adds to `graph` and finds what is already there.
    pub fn new(graph: &'g mut Graph) -> Builder<'g> {
        let mut made: FxHashMap<u64, SmallVec<[NodeId; 1]>> = FxHashMap::default();
        for id in graph.nodes() {
            if !matches!(graph.op(id), Op::Input(_)) {
                made.entry(key(graph.op(id), &graph.operands(id))).or_default().push(id);
            }
        }
        Builder { state: RefCell::new(State { graph, origin: Origin::default(), made }) }
    }

    /// Sets the origin that nodes made from now on get; returns the one before.
    pub fn set_origin(&self, origin: Origin) -> Origin {
        std::mem::replace(&mut self.state.borrow_mut().origin, origin)
    }

    /// The origin that nodes get.
    pub fn origin(&self) -> Origin {
        self.state.borrow().origin
    }

    /// What `read` sees in the graph as it is now.
    pub fn graph<R>(&self, read: impl FnOnce(&Graph) -> R) -> R {
        read(self.state.borrow().graph)
    }

    /// The type of a node.
    pub fn ty(&self, node: NodeId) -> TensorType {
        self.state.borrow().graph.ty(node).clone()
    }

    /// The operation of a node.
    pub fn op(&self, node: NodeId) -> Op {
        self.state.borrow().graph.op(node).clone()
    }

    /// The operands of a node.
    pub fn operands(&self, node: NodeId) -> Operands {
        self.state.borrow().graph.operands(node)
    }

    /// Declares an input.
    pub fn input(&self, name: impl Into<String>, ty: TensorType) -> NodeId {
        let state = &mut *self.state.borrow_mut();
        state.graph.add_input(name, ty, state.origin)
    }

    /// Declares an output.
    pub fn output(&self, name: impl Into<String>, node: NodeId) {
        self.state.borrow_mut().graph.add_output(name, node);
    }

    /// The node of this operation on these operands: an earlier one, a simpler one, or a new one.
    ///
    /// # Errors
    /// Where the operands do not satisfy the operation's constraints.
    pub fn try_add(&self, op: impl Into<Op>, operands: &[NodeId]) -> Result<NodeId, TypeError> {
        self.state.borrow_mut().add(op.into(), operands)
    }

    /// As [`Builder::try_add`]; panics where types do not fit. A result that no memory holds is
    /// made: what derives graphs cannot know, who uses them asks [`Graph::beyond_memory`].
    pub fn add_op(&self, op: impl Into<Op>, operands: &[NodeId]) -> NodeId {
        let op = op.into();
        let made = self.try_add(op.clone(), operands).or_else(|e| {
            let state = &mut *self.state.borrow_mut();
            state.graph.add_beyond_memory(&op, operands, state.origin).ok_or(e)
        });
        made.unwrap_or_else(|e| {
            let types: Vec<String> = operands.iter().map(|&n| self.ty(n).to_string()).collect();
            panic!("{} on {}: {e}", op.name(), types.join(", "))
        })
    }

    /// A copy of `other`'s live nodes on `arguments`; the nodes that stand for its outputs. Origins
    /// are those of `other`.
    pub fn inline(&self, other: &Graph, arguments: &[NodeId]) -> Vec<NodeId> {
        for ((name, input), &argument) in other.inputs().iter().zip(arguments) {
            assert_eq!(*other.ty(*input), self.ty(argument), "type of argument {name}");
        }
        let copy = |id: NodeId, operands: &[NodeId]| {
            Ok::<_, Infallible>(self.add_op(other.op(id).clone(), operands))
        };
        let Ok(results) = self.rebuild(other, arguments, copy);
        results
    }

    /// The live nodes of `other` made anew, in order, by `make`, which is given each with what
    /// stands for its operands; gives what stands for the outputs. Origins are those of `other`.
    ///
    /// # Errors
    /// The first of `make`.
    pub fn rebuild<E>(
        &self,
        other: &Graph,
        arguments: &[NodeId],
        mut make: impl FnMut(NodeId, &[NodeId]) -> Result<NodeId, E>,
    ) -> Result<Vec<NodeId>, E> {
        assert_eq!(arguments.len(), other.inputs().len(), "one argument for each input");
        let mut map: Vec<Option<NodeId>> = vec![None; other.len()];
        for ((_, input), &argument) in other.inputs().iter().zip(arguments) {
            map[input.index()] = Some(argument);
        }
        let stands = |map: &[Option<NodeId>], id: NodeId| map[id.index()].expect("in order");
        let live = other.live();
        let origin = self.origin();
        for id in other.nodes().filter(|id| live[id.index()]) {
            if map[id.index()].is_none() {
                let operands: Operands =
                    other.operands(id).iter().map(|&o| stands(&map, o)).collect();
                self.set_origin(other.node(id).origin);
                map[id.index()] = Some(make(id, &operands)?);
            }
        }
        self.set_origin(origin);
        Ok(other.outputs().iter().map(|&(_, node)| stands(&map, node)).collect())
    }
}

fn key(op: &Op, operands: &[NodeId]) -> u64 {
    let mut hasher = FxHasher::default();
    (op, operands).hash(&mut hasher);
    hasher.finish()
}

impl State<'_> {
    fn add(&mut self, op: Op, operands: &[NodeId]) -> Result<NodeId, TypeError> {
        if let [x] = *operands
            && let Some((op, x)) = self.simpler(&op, x)
        {
            return match op {
                Some(op) => self.add(op, &[x]),
                None => Ok(x),
            };
        }
        if let (Op::Concat(_), [x]) = (&op, operands) {
            return Ok(*x);
        }
        let key = key(&op, operands);
        if let Some(made) = self.made.get(&key) {
            let same = |&&id: &&NodeId| {
                *self.graph.op(id) == op && self.graph.operands(id).as_slice() == operands
            };
            if let Some(&id) = made.iter().find(same) {
                return Ok(id);
            }
        }
        let id = self.graph.add(op, operands, self.origin)?;
        self.made.entry(key).or_default().push(id);
        Ok(id)
    }

    /// An operation on an earlier node, or a node, that gives the same bits. Types are checked
    /// first: what is wrong must not be simplified away.
    fn simpler(&self, op: &Op, x: NodeId) -> Option<(Option<Op>, NodeId)> {
        let ty = self.graph.ty(x);
        let result = op.infer(&[ty]).ok()?;
        let inner = || (self.graph.op(x), self.graph.operands(x));
        match op {
            Op::Reshape(_) | Op::Convert(_) | Op::Broadcast { .. } if result == *ty => {
                Some((None, x))
            }
            Op::Reshape(shape) => match inner() {
                (Op::Reshape(_), operands) => Some((Some(Op::Reshape(shape.clone())), operands[0])),
                _ => None,
            },
            Op::Transpose(perm) if perm.is_sorted() => Some((None, x)),
            Op::Transpose(perm) => match inner() {
                (Op::Transpose(first), operands) => {
                    let both = perm.iter().map(|&axis| first[usize::from(axis)]).collect();
                    Some((Some(Op::Transpose(both)), operands[0]))
                }
                _ => None,
            },
            Op::Broadcast { shape, axes } => match inner() {
                (Op::Broadcast { axes: first, .. }, operands) => {
                    let axes = first.iter().map(|&axis| axes[usize::from(axis)]).collect();
                    Some((Some(Op::Broadcast { shape: shape.clone(), axes }), operands[0]))
                }
                _ => None,
            },
            Op::Slice { starts, steps, .. }
                if result == *ty
                    && starts.iter().all(|s| s.is(0))
                    && steps.iter().all(|&s| s == 1) =>
            {
                Some((None, x))
            }
            Op::Reduce(_, axes) if axes.is_empty() => Some((None, x)),
            Op::CheckIndex(_) if self.graph.op(x) == op => Some((None, x)),
            _ => None,
        }
    }
}

/// Constants and positions.
impl Builder<'_> {
    /// A rank-0 constant: the nearest element of the type.
    pub fn constant(&self, x: f64, dtype: DType) -> NodeId {
        self.scalar(Scalar::from_f64(dtype, x))
    }
    /// A rank-0 constant.
    pub fn scalar(&self, scalar: Scalar) -> NodeId {
        self.add_op(Op::Const(scalar), &[])
    }
    /// A dense constant; of rank 0 a scalar one.
    pub fn literal(&self, tensor: Tensor) -> NodeId {
        self.add_op(Op::Literal(LiteralTensor(tensor)), &[])
    }
    /// A tensor of one value.
    pub fn full(&self, x: f64, ty: &TensorType) -> NodeId {
        self.splat(self.constant(x, ty.dtype), &ty.shape)
    }
    /// A tensor of one value, of the type of `node`.
    pub fn like(&self, x: f64, node: NodeId) -> NodeId {
        self.full(x, &self.ty(node))
    }
    /// Zeros of the type of `node`.
    pub fn zeros_like(&self, node: NodeId) -> NodeId {
        self.like(0.0, node)
    }
    /// A size as a rank-0 constant; an integer becomes a plain constant.
    pub fn size(&self, dim: &Dim, dtype: DType) -> NodeId {
        match dim {
            Dim::Const(n) => self.scalar(Scalar::from_i64(dtype, *n)),
            Dim::Poly(_) => self.add_op(Op::Size(dim.clone(), dtype), &[]),
        }
    }
    /// Positions along `axis` of `shape`.
    pub fn iota(&self, dtype: DType, shape: &[Dim], axis: usize) -> NodeId {
        self.add_op(Op::Iota { dtype, shape: shape.into(), axis: axis as u8 }, &[])
    }
    /// A keyed draw.
    pub fn random(&self, draw: Draw, key: NodeId, ty: &TensorType) -> NodeId {
        self.add_op(Op::Random { draw, ty: ty.clone() }, &[key])
    }
    /// A new key from a key and an `i64` scalar.
    pub fn fold_key(&self, key: NodeId, data: NodeId) -> NodeId {
        self.add_op(Op::FoldKey, &[key, data])
    }
}

macro_rules! named {
    ($($name:ident($($arg:ident),+) $op:ident;)*) => {
        /// Elementwise operations on operands of one shape, by their rows.
        impl Builder<'_> { $(
            #[doc = concat!("`", stringify!($name), "`, elementwise.")]
            pub fn $name(&self, $($arg: NodeId),+) -> NodeId {
                self.map(MapOp::$op, &[$($arg),+])
            }
        )* }
    };
}

// What derivative rules and rewrites are written with; any other is `map(MapOp::…, …)`.
named! {
    neg(x) Neg;
    abs(x) Abs;
    sign(x) Sign;
    square(x) Square;
    reciprocal(x) Reciprocal;
    sqrt(x) Sqrt;
    rsqrt(x) Rsqrt;
    exp(x) Exp;
    log(x) Log;
    sin(x) Sin;
    cos(x) Cos;
    sinh(x) Sinh;
    cosh(x) Cosh;
    tanh(x) Tanh;
    trunc(x) Trunc;
    not(x) Not;
    add(a, b) Add;
    sub(a, b) Sub;
    mul(a, b) Mul;
    div(a, b) Div;
    pow(a, b) Pow;
    max(a, b) Max;
    min(a, b) Min;
    copysign(a, b) Copysign;
    eq(a, b) Eq;
    ne(a, b) Ne;
    lt(a, b) Lt;
    le(a, b) Le;
    gt(a, b) Gt;
    ge(a, b) Ge;
    and(a, b) And;
    or(a, b) Or;
    select(mask, a, b) Select;
}

/// Elementwise operations.
impl Builder<'_> {
    /// An elementwise operation on operands of one shape.
    pub fn map(&self, op: MapOp, operands: &[NodeId]) -> NodeId {
        self.add_op(op, operands)
    }
    /// An elementwise operation on operands broadcast to one shape by NumPy's rule.
    ///
    /// # Errors
    /// Where shapes do not broadcast or the operation does not take the types.
    pub fn try_map(&self, op: MapOp, operands: &[NodeId]) -> Result<NodeId, TypeError> {
        let mut common = Dims::new();
        for (i, &operand) in operands.iter().enumerate() {
            common = shape::broadcast(&common, &self.ty(operand).shape).map_err(|mut e| {
                // The first shape is what the operands before gave: name one that has that axis.
                let rank = common.len();
                for (o, axis) in &mut e.axes {
                    if *o == 1 {
                        *o = i;
                        continue;
                    }
                    let holder = operands[..i].iter().position(|&n| {
                        let ty = self.ty(n);
                        let at = (*axis + ty.rank()).checked_sub(rank);
                        at.is_some_and(|at| ty.shape[at] == common[*axis])
                    });
                    *o = holder.unwrap_or(0);
                    *axis = (*axis + self.ty(operands[*o]).rank()).saturating_sub(rank);
                }
                e
            })?;
        }
        let types: Vec<DType> = operands.iter().map(|&n| self.ty(n).dtype).collect();
        op.row().result(&types)?;
        let operands: Operands = operands.iter().map(|&n| self.broadcast_to(n, &common)).collect();
        self.try_add(op, &operands)
    }
    /// `factor * x`.
    pub fn scale(&self, factor: f64, x: NodeId) -> NodeId {
        if factor == 1.0 { x } else { self.mul(self.like(factor, x), x) }
    }
    /// Conversion by value.
    pub fn convert(&self, x: NodeId, dtype: DType) -> NodeId {
        self.add_op(Op::Convert(dtype), &[x])
    }
    /// Indices brought into `0..bound` or reported.
    pub fn check_index(&self, x: NodeId, bound: &Dim) -> NodeId {
        self.add_op(Op::CheckIndex(bound.clone()), &[x])
    }
}

/// Shapes.
impl Builder<'_> {
    /// The same elements under another shape.
    pub fn reshape(&self, x: NodeId, shape: &[Dim]) -> NodeId {
        self.add_op(Op::Reshape(shape.into()), &[x])
    }
    /// Result axis `i` is operand axis `perm[i]`.
    pub fn transpose(&self, x: NodeId, perm: &[usize]) -> NodeId {
        self.add_op(Op::Transpose(axes(perm)), &[x])
    }
    /// Operand axis `i` becomes axis `to[i]` of `shape`; `to` ascends.
    pub fn broadcast(&self, x: NodeId, shape: &[Dim], to: &[usize]) -> NodeId {
        self.add_op(Op::Broadcast { shape: shape.into(), axes: axes(to) }, &[x])
    }
    /// A rank-0 value everywhere.
    pub fn splat(&self, x: NodeId, shape: &[Dim]) -> NodeId {
        self.broadcast(x, shape, &[])
    }
    /// Stretched to `shape` by NumPy's rule. Panics where the rule does not allow it.
    pub fn broadcast_to(&self, x: NodeId, shape: &[Dim]) -> NodeId {
        let from = self.ty(x).shape;
        let lead = shape.len().checked_sub(from.len()).expect("broadcast does not drop axes");
        let kept: SmallVec<[usize; 4]> =
            (0..from.len()).filter(|&axis| !from[axis].is(1) || shape[lead + axis].is(1)).collect();
        let dims: Dims = kept.iter().map(|&axis| from[axis].clone()).collect();
        let to: SmallVec<[usize; 4]> = kept.iter().map(|&axis| lead + axis).collect();
        self.broadcast(self.reshape(x, &dims), shape, &to)
    }
    /// The inverse of [`Builder::broadcast_to`] for cotangents: sums over what was stretched.
    pub fn sum_to(&self, x: NodeId, shape: &[Dim]) -> NodeId {
        let from = self.ty(x).shape;
        let lead = from.len().checked_sub(shape.len()).expect("a broadcast does not drop axes");
        let stretched: SmallVec<[usize; 4]> = (0..from.len())
            .filter(|&axis| axis < lead || (shape[axis - lead].is(1) && !from[axis].is(1)))
            .collect();
        self.reshape(self.sum(x, &stretched), shape)
    }
    /// Adds an axis of size 1 before axis `at`.
    pub fn expand(&self, x: NodeId, at: usize) -> NodeId {
        let mut shape = self.ty(x).shape;
        shape.insert(at, Dim::Const(1));
        self.reshape(x, &shape)
    }
    /// Along each axis `start + step * i` for `i` in `0..len`.
    pub fn slice(&self, x: NodeId, starts: &[Dim], lens: &[Dim], steps: &[i64]) -> NodeId {
        let op = Op::Slice { starts: starts.into(), lens: lens.into(), steps: steps.into() };
        self.add_op(op, &[x])
    }
    /// `start..start + len` along one axis.
    pub fn slice_axis(&self, x: NodeId, axis: usize, start: &Dim, len: &Dim) -> NodeId {
        let mut lens = self.ty(x).shape;
        let mut starts: Dims = smallvec![Dim::Const(0); lens.len()];
        starts[axis] = start.clone();
        lens[axis] = len.clone();
        let steps: SmallVec<[i64; 4]> = smallvec![1; lens.len()];
        self.slice(x, &starts, &lens, &steps)
    }
    /// Reversed along an axis.
    pub fn flip(&self, x: NodeId, axis: usize) -> NodeId {
        let lens = self.ty(x).shape;
        let mut starts: Dims = smallvec![Dim::Const(0); lens.len()];
        let mut steps: SmallVec<[i64; 4]> = smallvec![1; lens.len()];
        starts[axis] = lens[axis].clone() - Dim::Const(1);
        steps[axis] = -1;
        self.slice(x, &starts, &lens, &steps)
    }
    /// What stands one place earlier along an axis, `first` at the first place.
    pub fn delayed(&self, x: NodeId, axis: usize, first: f64) -> NodeId {
        let ty = self.ty(x);
        let mut low: Dims = smallvec![Dim::Const(0); ty.rank()];
        let high = low.clone();
        low[axis] = Dim::Const(1);
        let interior: SmallVec<[i64; 4]> = smallvec![0; ty.rank()];
        let more = self.pad(x, self.constant(first, ty.dtype), &low, &high, &interior);
        self.slice_axis(more, axis, &Dim::Const(0), &ty.shape[axis])
    }
    /// Along an axis, at each place the element that the checked index there names; apart from the
    /// axis both have one shape.
    pub fn take_along(&self, x: NodeId, indices: NodeId, axis: usize) -> NodeId {
        let flat = self.reshape(x, &[self.ty(x).elements()]);
        self.gather(flat, self.flat_places(indices, &self.ty(x).shape, axis), 0)
    }
    /// The row-major places in a tensor of this shape that checked indices along an axis name.
    pub fn flat_places(&self, indices: NodeId, shape: &[Dim], axis: usize) -> NodeId {
        let own = self.ty(indices).shape;
        let mut stride = Dim::Const(1);
        let mut places = None;
        for a in (0..shape.len()).rev() {
            let at = if a == axis { indices } else { self.iota(DType::I64, &own, a) };
            let step = self.splat(self.size(&stride, DType::I64), &own);
            let part = if stride.is(1) { at } else { self.mul(at, step) };
            places = Some(places.map_or(part, |sum| self.add(sum, part)));
            stride = stride * shape[a].clone();
        }
        places.expect("an axis is among the axes")
    }
    /// Along an axis the elements `start + stride * i + dilation * j`, as two axes.
    pub fn window(&self, x: NodeId, window: Window) -> NodeId {
        self.add_op(Op::Window(window), &[x])
    }
    /// The elements whose indices along `first` and `second` (ascending) are equal.
    pub fn diagonal(&self, x: NodeId, first: usize, second: usize) -> NodeId {
        self.add_op(Op::Diagonal(first as u8, second as u8), &[x])
    }
    /// Surrounded by a rank-0 `value`.
    pub fn pad(
        &self,
        x: NodeId,
        value: NodeId,
        low: &[Dim],
        high: &[Dim],
        interior: &[i64],
    ) -> NodeId {
        let op = Op::Pad { low: low.into(), high: high.into(), interior: interior.into() };
        self.add_op(op, &[x, value])
    }
    /// One after another along an axis.
    pub fn concat(&self, parts: &[NodeId], axis: usize) -> NodeId {
        self.add_op(Op::Concat(axis as u8), parts)
    }
}

/// Combining elements.
impl Builder<'_> {
    /// Combined along `axes` (ascending), which the result lacks.
    pub fn reduce(&self, op: ReduceOp, x: NodeId, over: &[usize]) -> NodeId {
        self.add_op(Op::Reduce(op, axes(over)), &[x])
    }
    /// Summed along `axes` (ascending).
    pub fn sum(&self, x: NodeId, over: &[usize]) -> NodeId {
        self.reduce(ReduceOp::Sum, x, over)
    }
    /// Summed over every axis.
    pub fn sum_all(&self, x: NodeId) -> NodeId {
        let all: SmallVec<[usize; 4]> = (0..self.ty(x).rank()).collect();
        self.sum(x, &all)
    }
    /// Position of the first largest or smallest element along an axis.
    pub fn arg_reduce(&self, op: ReduceOp, x: NodeId, axis: usize) -> NodeId {
        self.add_op(Op::ArgReduce(op, axis as u8), &[x])
    }
    /// At each place the combination of the elements up to it along an axis.
    pub fn running(&self, op: Running, x: NodeId, axis: usize) -> NodeId {
        self.add_op(Op::Running(op, axis as u8), &[x])
    }
    /// Along an axis `result[i] = factor[i] * result[i - 1] + x[i]`.
    pub fn recur(&self, factor: NodeId, x: NodeId, axis: usize) -> NodeId {
        self.add_op(Op::Recur(axis as u8), &[factor, x])
    }
    /// Positions along an axis in the order of their elements.
    pub fn argsort(&self, x: NodeId, axis: usize, descending: bool) -> NodeId {
        self.add_op(Op::Argsort { axis: axis as u8, descending }, &[x])
    }
    /// The sum of products over paired axes.
    pub fn contract(&self, left: NodeId, right: NodeId, contraction: Contraction) -> NodeId {
        self.add_op(Op::Contract(contraction), &[left, right])
    }
    /// NumPy's `@`; panics where the operands do not fit.
    pub fn matmul(&self, left: NodeId, right: NodeId) -> NodeId {
        self.try_matmul(left, right).unwrap_or_else(|e| panic!("matmul: {e}"))
    }
    /// NumPy's `@`: the last axis of `left` with the last but one of `right` (the only one of a
    /// vector), leading axes broadcast as batches.
    ///
    /// # Errors
    /// Where sizes differ or an operand is a scalar.
    pub fn try_matmul(&self, left: NodeId, right: NodeId) -> Result<NodeId, TypeError> {
        let (l, r) = (self.ty(left), self.ty(right));
        if l.rank() == 0 || r.rank() == 0 {
            return Err(TypeError::new(format!("@ takes vectors and matrices, found {l} and {r}")));
        }
        let (l_sum, r_sum) = (l.rank() - 1, r.rank().saturating_sub(2));
        let (a, b) = (&l.shape[l_sum], &r.shape[r_sum]);
        if a != b {
            let message = format!("@ needs equal inner dimensions, found {a} and {b}");
            return Err(TypeError::new(message).axis(0, l_sum).axis(1, r_sum));
        }
        let batch = |ty: &TensorType| ty.rank().saturating_sub(2);
        let (l_batch, r_batch) = (batch(&l), batch(&r));
        let lead = shape::broadcast(&l.shape[..l_batch], &r.shape[..r_batch])?;
        // Batch axes of one operand only stay free axes of that operand; then no repeat is needed.
        if r_batch == 0 {
            let c = Contraction {
                left_sum: axes(&[l_sum]),
                right_sum: axes(&[r_sum]),
                ..Contraction::default()
            };
            return self.try_add(Op::Contract(c), &[left, right]);
        }
        let stretched = |x: NodeId, ty: &TensorType, batch: usize| {
            let dims: Dims = lead.iter().chain(&ty.shape[batch..]).cloned().collect();
            self.broadcast_to(x, &dims)
        };
        let (left, right) = (stretched(left, &l, l_batch), stretched(right, &r, r_batch));
        let n = lead.len();
        let (l_sum, r_sum) = (l_sum - l_batch + n, r_sum - r_batch + n);
        let both: SmallVec<[usize; 4]> = (0..n).collect();
        let c = Contraction {
            left_batch: axes(&both),
            right_batch: axes(&both),
            left_sum: axes(&[l_sum]),
            right_sum: axes(&[r_sum]),
        };
        self.try_add(Op::Contract(c), &[left, right])
    }
    /// `data` at checked `indices` along `axis`.
    pub fn gather(&self, data: NodeId, indices: NodeId, axis: usize) -> NodeId {
        self.add_op(Op::Gather(axis as u8), &[data, indices])
    }
    /// `base` with `updates` added at checked indices, `at`, along `axis`.
    pub fn scatter_add(&self, base: NodeId, at: NodeId, updates: NodeId, axis: usize) -> NodeId {
        self.add_op(Op::ScatterAdd(axis as u8), &[base, at, updates])
    }
}

fn axes(of: &[usize]) -> Axes {
    of.iter().map(|&axis| u8::try_from(axis).expect("fewer than 256 axes")).collect()
}

#[cfg(test)]
mod tests;
