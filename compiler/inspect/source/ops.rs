//! One node as an expression: the surface form of each operation.
//!
//! Forms that the grammar has are preferred (`a @ b`, `x[:, 3:]`, `f32(x)`); the rest are calls of
//! the language's functions.

use super::Writer;
use super::tree;
use super::view::{Printed, elementwise, typed};
use crate::graph::fused::ReduceOp;
use crate::graph::ops::elementwise::Takes;
use crate::graph::ops::{Contraction, Draw, Window};
use crate::graph::{Dim, MapOp, NodeId, Op, TensorType};
use crate::syntax::ast::{BinaryOp, Expr, IndexArg, UnaryOp};
use tensc_runtime::along::Running;
use tensc_runtime::{DType, Scalar, Tensor};

/// Functions of the language that are not elementwise operations: names that no `let` may take.
pub(super) const FUNCTIONS: &[&str] = &[
    "all",
    "any",
    "arange",
    "argmax",
    "argmin",
    "argsort",
    "bits",
    "broadcast_to",
    "check_index",
    "cholesky",
    "concat",
    "cummax",
    "cummin",
    "cumprod",
    "cumsum",
    "det",
    "det_sign",
    "diagonal",
    "einsum",
    "fold_in",
    "inf",
    "log_abs_det",
    "logcumsumexp",
    "mean",
    "nan",
    "normal",
    "ones",
    "pad",
    "prod",
    "recurrence",
    "reshape",
    "scatter_add",
    "solve",
    "solve_lower",
    "sum",
    "transpose",
    "uniform",
    "where",
    "windows",
    "zeros",
];

impl Writer<'_> {
    /// The node's value, written out over the names that are bound.
    pub(super) fn write(&self, node: NodeId) -> Printed {
        let operands = self.graph.operands(node);
        let ty = self.graph.ty(node);
        match self.graph.op(node) {
            Op::Input(_) => Printed::plain(tree::member(&self.inputs[&node]), &ty.shape),
            Op::Const(scalar) => {
                let (expr, open) = tree::scalar(*scalar);
                Printed::scalar(expr, open)
            }
            Op::Literal(literal) => plain(dense(&literal.0), ty),
            Op::Size(dim, dtype) => {
                let size = tree::dim(dim);
                let expr = match dtype {
                    DType::I64 => size,
                    _ => tree::call(dtype.name(), [size]),
                };
                Printed::scalar(expr, false)
            }
            Op::Iota { dtype, shape, axis } => {
                let axis = usize::from(*axis);
                let named = tree::dtype_arg(*dtype, DType::I64);
                let expr = tree::call_named("arange", [tree::dim(&shape[axis])], named);
                let along: Vec<Option<usize>> =
                    (0..shape.len()).map(|a| (a == axis).then_some(0)).collect();
                Printed::plain(expr, &shape[axis..=axis]).through(&along)
            }
            Op::Map(map) => self.map(*map, &operands, ty),
            Op::Convert(dtype) => self.unary(operands[0], |x| tree::call(dtype.name(), [x])),
            Op::CheckIndex(bound) => {
                self.unary(operands[0], |x| tree::call("check_index", [x, tree::dim(bound)]))
            }
            Op::Broadcast { .. } | Op::Reshape(_) if self.view(node).is_some() => {
                let axes = self.view(node).expect("it is a view");
                self.print(operands[0]).through(&axes)
            }
            Op::Broadcast { .. } => unreachable!("a broadcast is a view"),
            Op::Reshape(shape) => match self.dropped_slice(node) {
                Some(expr) => plain(expr, ty),
                None => {
                    plain(tree::call("reshape", [self.exact(operands[0]), tree::sizes(shape)]), ty)
                }
            },
            Op::Transpose(perm) => {
                let x = self.exact(operands[0]);
                let reversed = perm.iter().rev().enumerate().all(|(i, &a)| i == usize::from(a));
                let order = tree::array(perm.iter().map(|&a| tree::int(i64::from(a))));
                let expr = match reversed {
                    true => tree::call("transpose", [x]),
                    false => tree::call("transpose", [x, order]),
                };
                plain(expr, ty)
            }
            Op::Slice { lens, .. } if lens.is_empty() => self.print(operands[0]),
            Op::Slice { lens, .. } if lens.is_empty() => self.print(operands[0]),
            Op::Slice { .. } => {
                plain(tree::index(self.exact(operands[0]), self.slice_args(node, &[])), ty)
            }
            Op::Window(w) => plain(self.windows(operands[0], w), ty),
            Op::Diagonal(a, b) => {
                let axes = [("axis1", axis_number(*a)), ("axis2", axis_number(*b))];
                let x = tree::call_named("diagonal", [self.exact(operands[0])], axes);
                // The language puts the diagonal last.
                let mut perm: Vec<i64> = (0..ty.rank() as i64 - 1).collect();
                perm.insert(usize::from(*a), ty.rank() as i64 - 1);
                let order = tree::array(perm.iter().map(|&a| tree::int(a)));
                plain(tree::call("transpose", [x, order]), ty)
            }
            Op::Pad { low, high, interior } => plain(self.pad(&operands, low, high, interior), ty),
            Op::Concat(axis) => {
                let parts = tree::array(operands.iter().map(|&o| self.exact(o)));
                plain(tree::call_named("concat", [parts], [("axis", axis_number(*axis))]), ty)
            }
            Op::Reduce(_, axes) if axes.is_empty() => self.print(operands[0]),
            Op::Reduce(op, axes) => self.reduction(node, op.name(), axes),
            Op::ArgReduce(op, axis) => {
                let callee = match op {
                    ReduceOp::Min => "argmin",
                    _ => "argmax",
                };
                let x = self.exact(operands[0]);
                plain(tree::call_named(callee, [x], [("axis", axis_number(*axis))]), ty)
            }
            Op::Running(running, axis) => {
                let callee = match running {
                    Running::Sum => "cumsum",
                    Running::Prod => "cumprod",
                    Running::Max => "cummax",
                    Running::Min => "cummin",
                    Running::LogSumExp => "logcumsumexp",
                };
                let x = self.exact(operands[0]);
                plain(tree::call_named(callee, [x], [("axis", axis_number(*axis))]), ty)
            }
            Op::Linear(linear) => {
                let args: Vec<Expr> = operands.iter().map(|&o| self.exact(o)).collect();
                plain(tree::call(linear.name(), args), ty)
            }
            Op::Recur(axis) => {
                let args = [self.exact(operands[0]), self.exact(operands[1])];
                plain(tree::call_named("recurrence", args, [("axis", axis_number(*axis))]), ty)
            }
            Op::Scan(_) => unreachable!("loops are bound before"),
            Op::Call(_) => unreachable!("source is printed of graphs with calls written out"),
            Op::After => self.print(operands[0]),
            Op::Argsort { axis, descending } => {
                let mut named = vec![("axis", axis_number(*axis))];
                if *descending {
                    named.push(("descending", tree::name("true")));
                }
                plain(tree::call_named("argsort", [self.exact(operands[0])], named), ty)
            }
            Op::Contract(c) => self.contract(c, operands[0], operands[1], ty),
            Op::Gather(axis) => {
                let data = self.graph.ty(operands[0]);
                let at = self.indices(operands[1], &data.shape[usize::from(*axis)]);
                let mut args: Vec<IndexArg> = (0..*axis).map(|_| tree::whole()).collect();
                args.push(IndexArg::Expr(at));
                plain(tree::index(self.exact(operands[0]), args), ty)
            }
            Op::ScatterAdd(axis) => {
                let at = self.indices(operands[1], &ty.shape[usize::from(*axis)]);
                let args = [self.exact(operands[0]), at, self.exact(operands[2])];
                plain(tree::call_named("scatter_add", args, [("axis", axis_number(*axis))]), ty)
            }
            Op::Random { draw, ty: drawn } => {
                let (callee, default) = match draw {
                    Draw::Bits => ("bits", DType::I64),
                    Draw::Uniform => ("uniform", DType::F32),
                    Draw::Normal => ("normal", DType::F32),
                };
                let args = [
                    self.key(operands[0]),
                    tree::sizes(&drawn.shape[self.graph.ty(operands[0]).rank()..]),
                ];
                plain(tree::call_named(callee, args, tree::dtype_arg(drawn.dtype, default)), ty)
            }
            Op::FoldKey => {
                let args = [self.key(operands[0]), self.exact(operands[1])];
                plain(tree::call("fold_in", args), ty)
            }
            Op::Fused(_) => {
                unreachable!("only rewriting fuses, and source is printed of what it was given")
            }
        }
    }

    /// A key: a number is one only where it says so.
    fn key(&self, node: NodeId) -> Expr {
        match self.graph.op(node) {
            Op::Const(_) => tree::call("key", [self.exact(node)]),
            _ => self.exact(node),
        }
    }

    /// The node's value in its own shape.
    pub(super) fn exact(&self, node: NodeId) -> Expr {
        self.print(node).exact(self.graph.ty(node))
    }

    fn unary(&self, operand: NodeId, form: impl FnOnce(Expr) -> Expr) -> Printed {
        let x = self.print(operand);
        let expr = typed(x.expr, x.open, self.graph.ty(operand).dtype);
        Printed { expr: form(expr), open: false, ..x }
    }

    fn map(&self, map: MapOp, operands: &[NodeId], ty: &TensorType) -> Printed {
        if let Some(other) = self.unit_factor(map, operands) {
            return self.print(other);
        }
        if let Some(mean) = self.mean(map, operands) {
            return mean;
        }
        let mut values: Vec<Printed> = operands.iter().map(|&o| self.print(o)).collect();
        // Bare numbers alone would be computed by the compiler, as `f64`; the sign aside.
        let common = usize::from(map.row().takes == Takes::MaskThenAny);
        let open = values[common..].iter().all(|v| v.open);
        if map == MapOp::Neg && open {
            return Printed {
                expr: surface(map, vec![values[0].expr.clone()]),
                ..values[0].clone()
            };
        }
        if open {
            let dtype = self.graph.ty(operands[common]).dtype;
            let first = values[common].expr.clone();
            values[common] = Printed {
                expr: tree::call(dtype.name(), [first]),
                open: false,
                ..values[common].clone()
            };
        }
        elementwise(values, &ty.shape, |exprs| surface(map, exprs))
    }

    /// The other factor of a product by one, which is that factor bit for bit.
    pub(super) fn unit_factor(&self, map: MapOp, operands: &[NodeId]) -> Option<NodeId> {
        match *operands {
            [a, b] if map == MapOp::Mul => {
                let other = |one: NodeId, other| self.is_number(one, 1.0).then_some(other);
                other(a, b).or_else(|| other(b, a))
            }
            _ => None,
        }
    }

    /// Whether every element is this number.
    fn is_number(&self, node: NodeId, number: f64) -> bool {
        match self.graph.op(node) {
            Op::Const(scalar) => scalar.is(number),
            Op::Broadcast { .. } | Op::Reshape(_) => {
                self.is_number(self.graph.operands(node)[0], number)
            }
            _ => false,
        }
    }

    /// `mean(x, axis = 0)`, where a sum that nothing else needs is divided by the number of its
    /// terms.
    fn mean(&self, map: MapOp, operands: &[NodeId]) -> Option<Printed> {
        let [sum, count] = *operands else { return None };
        let Op::Reduce(ReduceOp::Sum, axes) = self.graph.op(sum) else { return None };
        if map != MapOp::Div || self.bound[sum.index()].is_some() {
            return None;
        }
        let from = self.graph.ty(self.graph.operands(sum)[0]);
        let terms = axes.iter().map(|&a| from.shape[usize::from(a)].clone());
        let terms = terms.fold(Dim::Const(1), |a, b| a * b);
        let mut divisor = count;
        while let Op::Broadcast { .. } = self.graph.op(divisor) {
            divisor = self.graph.operands(divisor)[0];
        }
        let same = match self.graph.op(divisor) {
            Op::Size(dim, _) => *dim == terms,
            Op::Const(n) => terms.known().is_some_and(|t| *n == Scalar::from_i64(n.dtype(), t)),
            _ => false,
        };
        // A mean over one term is not divided.
        (same && !terms.is(1)).then(|| self.reduction(sum, "mean", axes))
    }

    fn reduction(&self, node: NodeId, callee: &str, axes: &[u8]) -> Printed {
        let operand = self.graph.operands(node)[0];
        let from = self.graph.ty(operand);
        let mut named = Vec::new();
        if axes.len() < from.rank() {
            let axis = match axes {
                [axis] => axis_number(*axis),
                axes => tree::tuple(axes.iter().map(|&a| axis_number(a)).collect()),
            };
            named.push(("axis", axis));
        }
        let keep = self.keep[node.index()];
        if keep {
            named.push(("keep", tree::scalar(Scalar::from_i64(DType::Bool, 1)).0));
        }
        let expr = tree::call_named(callee, [self.exact(operand)], named);
        if !keep {
            return Printed::plain(expr, &self.graph.ty(node).shape);
        }
        let reduced = |axis: usize| axes.contains(&(axis as u8));
        let size = |axis: usize| match reduced(axis) {
            true => Dim::Const(1),
            false => from.shape[axis].clone(),
        };
        let shape: Vec<Dim> = (0..from.rank()).map(size).collect();
        let kept: Vec<Option<usize>> =
            (0..from.rank()).filter(|&axis| !reduced(axis)).map(Some).collect();
        Printed { axes: kept, ..Printed::plain(expr, &shape) }
    }

    /// Indices as they are written in brackets, where they are checked anyway.
    fn indices(&self, node: NodeId, bound: &Dim) -> Expr {
        match self.graph.op(node) {
            Op::CheckIndex(checked) if checked == bound && self.bound[node.index()].is_none() => {
                self.exact(self.graph.operands(node)[0])
            }
            _ => self.exact(node),
        }
    }

    /// `x[3]`, where the node drops the axes along which a slice took one element.
    fn dropped_slice(&self, node: NodeId) -> Option<Expr> {
        let slice = self.graph.operands(node)[0];
        let Op::Slice { lens, .. } = self.graph.op(slice) else { return None };
        if self.bound[slice.index()].is_some() {
            return None;
        }
        let kept: Vec<usize> = (0..lens.len()).filter(|&axis| !lens[axis].is(1)).collect();
        let dropped: Vec<usize> = (0..lens.len()).filter(|&axis| lens[axis].is(1)).collect();
        let shape = &self.graph.ty(node).shape;
        let same = kept.len() == shape.len() && kept.iter().zip(shape).all(|(&a, d)| lens[a] == *d);
        let x = self.graph.operands(slice)[0];
        same.then(|| tree::index(self.exact(x), self.slice_args(slice, &dropped)))
    }

    /// What stands in the brackets of a slice; the `dropped` axes have an index.
    fn slice_args(&self, node: NodeId, dropped: &[usize]) -> Vec<IndexArg> {
        let Op::Slice { starts, lens, steps } = self.graph.op(node) else {
            unreachable!("a slice has the arguments of one")
        };
        let sizes = &self.graph.ty(self.graph.operands(node)[0]).shape;
        let arg = |axis: usize| match dropped.contains(&axis) {
            true => IndexArg::Expr(position(&starts[axis], &sizes[axis])),
            false => range(&starts[axis], &lens[axis], steps[axis], &sizes[axis]),
        };
        let mut args: Vec<IndexArg> = (0..starts.len()).map(arg).collect();
        while args.len() > 1 && args.last() == Some(&tree::whole()) {
            args.pop();
        }
        args
    }

    fn pad(&self, operands: &[NodeId], low: &[Dim], high: &[Dim], interior: &[i64]) -> Expr {
        let mut named = Vec::new();
        if interior.iter().any(|&n| n != 0) {
            named.push(("interior", tree::array(interior.iter().map(|&n| tree::int(n)))));
        }
        let zero = matches!(self.graph.op(operands[1]), Op::Const(c) if c.bits() == 0);
        if !zero {
            named.push(("value", self.exact(operands[1])));
        }
        let args = [self.exact(operands[0]), tree::sizes(low), tree::sizes(high)];
        tree::call_named("pad", args, named)
    }

    fn windows(&self, operand: NodeId, w: &Window) -> Expr {
        let mut named = vec![("axis", axis_number(w.axis)), ("size", tree::dim(&w.size))];
        for (name, step) in [("stride", w.stride), ("dilation", w.dilation)] {
            if step != 1 {
                named.push((name, tree::int(step)));
            }
        }
        named.push(("start", tree::dim(&w.start)));
        named.push(("count", tree::dim(&w.count)));
        tree::call_named("windows", [self.exact(operand)], named)
    }

    /// A product: `@` where NumPy's says it, else `einsum`.
    fn contract(&self, c: &Contraction, left: NodeId, right: NodeId, ty: &TensorType) -> Printed {
        let (l, r) = (self.graph.ty(left), self.graph.ty(right));
        let open = |node: NodeId| self.print(node).open && self.graph.ty(node).rank() == 0;
        let (mut a, b) = (self.exact(left), self.exact(right));
        if open(left) && open(right) && matches!(l.dtype, DType::F32 | DType::I64) {
            // Bare numbers alone would be computed by the compiler, as `f64`.
            a = tree::call(l.dtype.name(), [a]);
        }
        let matmul = |a, b| plain(tree::binary(BinaryOp::MatMul, a, b), ty);
        let flip = |x| tree::call("transpose", [x]);
        let no_batch = c.left_batch.is_empty();
        let sums = (c.left_sum.as_slice(), c.right_sum.as_slice());
        match (no_batch, sums, l.rank(), r.rank()) {
            (true, (&[0], &[0]), 1, 1) => matmul(a, b),
            (true, (&[last], &[0]), rank, 1 | 2) if usize::from(last) + 1 == rank => matmul(a, b),
            (true, (&[last], &[1]), rank, 2) if usize::from(last) + 1 == rank && rank > 1 => {
                matmul(a, flip(b))
            }
            // A vector on either side of a matrix.
            (true, (&[0], &[1]), 1, 2) | (true, (&[0], &[0]), 2, 1) => matmul(b, a),
            (true, (&[0], &[0]), 2, 2) => matmul(flip(a), b),
            (true, (&[0], &[1]), 2, 2) => matmul(flip(a), flip(b)),
            (true, (&[], &[]), ..) => {
                let rank = ty.rank();
                let of_left: Vec<Option<usize>> =
                    (0..rank).map(|axis| (axis < l.rank()).then_some(axis)).collect();
                let of_right: Vec<Option<usize>> =
                    (0..rank).map(|axis| axis.checked_sub(l.rank())).collect();
                let values = vec![
                    Printed::plain(a, &l.shape).through(&of_left),
                    Printed::plain(b, &r.shape).through(&of_right),
                ];
                elementwise(values, &ty.shape, |exprs| surface(MapOp::Mul, exprs))
            }
            (false, ..) if is_batched_matmul(c, l.rank(), r.rank()) => matmul(a, b),
            _ => plain(tree::call("einsum", [tree::text(&einsum(c, l, r)), a, b]), ty),
        }
    }
}

fn plain(expr: Expr, ty: &TensorType) -> Printed {
    Printed::plain(expr, &ty.shape)
}

fn axis_number(axis: u8) -> Expr {
    tree::int(i64::from(axis))
}

/// Leading axes paired in order, then `i k` with `k j`.
fn is_batched_matmul(c: &Contraction, left: usize, right: usize) -> bool {
    let n = c.left_batch.len();
    let in_order = |axes: &[u8]| axes.iter().enumerate().all(|(i, &a)| usize::from(a) == i);
    in_order(&c.left_batch)
        && in_order(&c.right_batch)
        && left == n + 2
        && right == n + 2
        && c.left_sum.as_slice() == [n as u8 + 1]
        && c.right_sum.as_slice() == [n as u8]
}

/// The pattern of a contraction: an axis is called by the name of its size where no other is.
fn einsum(c: &Contraction, left: &TensorType, right: &TensorType) -> String {
    let mut free = ('i'..='z').chain('a'..'i').map(String::from);
    let mut taken: Vec<String> = Vec::new();
    let mut letter = |size: &Dim| {
        let own = size.as_var().map(|var| var.name.to_lowercase());
        let own = own.filter(|name| !taken.contains(name));
        let name = own.unwrap_or_else(|| {
            free.find(|name| !taken.contains(name)).expect("fewer axes than letters")
        });
        taken.push(name.clone());
        name
    };
    let of_left: Vec<String> = left.shape.iter().map(&mut letter).collect();
    let paired = |axis: u8| {
        let partner = |from: &[u8], to: &[u8]| {
            let at = from.iter().position(|&a| a == axis)?;
            Some(of_left[usize::from(to[at])].clone())
        };
        partner(&c.right_batch, &c.left_batch).or_else(|| partner(&c.right_sum, &c.left_sum))
    };
    let of_right: Vec<String> = (right.shape.iter().enumerate())
        .map(|(axis, size)| paired(axis as u8).unwrap_or_else(|| letter(size)))
        .collect();
    let result: Vec<&str> = (c.left_batch.iter().map(|&a| of_left[usize::from(a)].as_str()))
        .chain(c.left_free(left.rank()).iter().map(|&a| of_left[usize::from(a)].as_str()))
        .chain(c.right_free(right.rank()).iter().map(|&a| of_right[usize::from(a)].as_str()))
        .collect();
    format!("{}, {} -> {}", of_left.join(" "), of_right.join(" "), result.join(" "))
}

/// An elementwise operation: an operator where the language has one, else a call by the row's name.
fn surface(map: MapOp, operands: Vec<Expr>) -> Expr {
    let operator = match map {
        MapOp::Add => Some(BinaryOp::Add),
        MapOp::Sub => Some(BinaryOp::Sub),
        MapOp::Mul => Some(BinaryOp::Mul),
        MapOp::Div => Some(BinaryOp::Div),
        MapOp::Rem => Some(BinaryOp::Rem),
        MapOp::Pow => Some(BinaryOp::Pow),
        MapOp::Eq => Some(BinaryOp::Eq),
        MapOp::Ne => Some(BinaryOp::Ne),
        MapOp::Lt => Some(BinaryOp::Lt),
        MapOp::Le => Some(BinaryOp::Le),
        MapOp::Gt => Some(BinaryOp::Gt),
        MapOp::Ge => Some(BinaryOp::Ge),
        MapOp::And => Some(BinaryOp::And),
        MapOp::Or => Some(BinaryOp::Or),
        MapOp::Xor => Some(BinaryOp::Xor),
        _ => None,
    };
    match (map, operator, <[Expr; 2]>::try_from(operands)) {
        (_, Some(operator), Ok([a, b])) => tree::binary(operator, a, b),
        (MapOp::Select, _, Err(operands)) => tree::call("where", operands),
        (MapOp::Neg, _, Err(operands)) => prefix(UnaryOp::Neg, operands),
        (MapOp::Not, _, Err(operands)) => prefix(UnaryOp::Not, operands),
        (_, _, Ok(operands)) => tree::call(map.row().name, operands),
        (_, _, Err(operands)) => tree::call(map.row().name, operands),
    }
}

fn prefix(op: UnaryOp, operands: Vec<Expr>) -> Expr {
    tree::unary(op, operands.into_iter().next().expect("a prefix operator has an operand"))
}

/// An index counted from the start, or from the end where only that is a number.
fn position(at: &Dim, size: &Dim) -> Expr {
    match (at.known(), (at.clone() - size.clone()).known()) {
        (None, Some(from_end)) if from_end < 0 => tree::int(from_end),
        _ => tree::dim(at),
    }
}

/// `start:stop:step`, what goes without saying left out.
fn range(start: &Dim, len: &Dim, step: i64, size: &Dim) -> IndexArg {
    let one = Dim::Const(1);
    let reach = start.clone() + Dim::Const(step) * len.clone();
    let last = reach.clone() - Dim::Const(step);
    // Where the length is a number any stop that gives it will do, the nearest is plainest; else
    // the distance must be a whole multiple of the step.
    let near = len.known().is_some();
    let (first, stop) = if step > 0 {
        let next = last.clone() + one;
        let beyond = matches!((last.known(), size.known()), (Some(l), Some(n)) if l + step >= n);
        let stop = if near { next } else { reach };
        (start.is(0), (!beyond && stop != *size).then_some(stop))
    } else {
        let beyond = last.known().is_some_and(|l| l + step < 0);
        let stop = if near { last - one.clone() } else { reach };
        (*start == size.clone() - one, (!beyond && !stop.is(-1)).then_some(stop))
    };
    let start = (!first).then(|| position(start, size));
    let step = (step != 1).then(|| tree::int(step));
    tree::slice(start, stop.map(|stop| position(&stop, size)), step)
}

/// `[[1.0, 2.0], [3.0, 4.0]]`
fn dense(tensor: &Tensor) -> Expr {
    fn rows(dtype: DType, values: &[Expr], shape: &[usize]) -> Expr {
        match shape {
            [] => values[0].clone(),
            [_] => tree::array(values.iter().cloned()),
            [_, rest @ ..] => {
                let each = rest.iter().product::<usize>().max(1);
                tree::array(values.chunks(each).map(|row| rows(dtype, row, rest)))
            }
        }
    }
    let dtype = tensor.dtype();
    if tensor.is_empty() {
        let sizes: Vec<Dim> = tensor.shape().iter().map(|&n| Dim::from(n)).collect();
        let named = tree::dtype_arg(dtype, DType::F32);
        return tree::call_named("zeros", [tree::sizes(&sizes)], named);
    }
    let element = |x: f64| tree::scalar(Scalar::from_f64(dtype, x));
    let values: Vec<Expr> = match dtype {
        DType::I64 => tensor.as_slice::<i64>().iter().map(|&n| tree::int(n)).collect(),
        _ => tensor.to_f64_vec().into_iter().map(|x| element(x).0).collect(),
    };
    let array = rows(dtype, &values, tensor.shape());
    match dtype {
        DType::Bool => array,
        dtype => typed(array, true, dtype),
    }
}
