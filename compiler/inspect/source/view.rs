//! Values as they are printed: perhaps smaller than what they stand for.
//!
//! NumPy's rule repeats an operand along leading axes and along axes of size 1, so a broadcast in
//! the graph need not show in the text, nor an axis of size 1 that comes and goes. A [`Printed`]
//! value is an expression with the map from the node's axes to the expression's; it is brought into
//! the node's own shape only where something asks for that ([`Printed::exact`]).

use super::tree;
use crate::graph::{Dim, TensorType};
use crate::syntax::ast::{Expr, IndexArg};
use tensc_runtime::DType;

/// An expression and how a node's value is read from it.
#[derive(Clone, Debug)]
pub(super) struct Printed {
    /// What is printed.
    pub expr: Expr,
    /// The shape of what is printed.
    pub shape: Vec<Dim>,
    /// For each axis of the node that of the expression; `None` where the value is repeated. Those
    /// of the expression ascend; those that none maps to have size 1.
    pub axes: Vec<Option<usize>>,
    /// Whether it is a bare number, whose type the context gives.
    pub open: bool,
}

/// An expression aligned with the last axes of a node.
pub(super) struct Aligned {
    pub expr: Expr,
    pub shape: Vec<Dim>,
}

impl Printed {
    /// An expression of the node's own shape.
    pub fn plain(expr: Expr, shape: &[Dim]) -> Printed {
        let axes = (0..shape.len()).map(Some).collect();
        Printed { expr, shape: shape.to_vec(), axes, open: false }
    }

    /// A scalar.
    pub fn scalar(expr: Expr, open: bool) -> Printed {
        Printed { expr, shape: Vec::new(), axes: Vec::new(), open }
    }

    /// The value seen through a node whose axis `i` is axis `axes[i]` of this one's, or repeated.
    pub fn through(self, axes: &[Option<usize>]) -> Printed {
        let axes = axes.iter().map(|axis| axis.and_then(|axis| self.axes[axis])).collect();
        Printed { axes, ..self }
    }

    /// Whether both are laid out in the same way, so that they can be combined as they are.
    pub fn same_layout(&self, other: &Printed) -> bool {
        self.shape == other.shape && self.axes == other.axes
    }

    /// Whether the last axes of the expression are the last axes of the node, or 1 where it
    /// repeats.
    fn is_aligned(&self) -> bool {
        let Some(lead) = self.axes.len().checked_sub(self.shape.len()) else { return false };
        let fits = |(i, size): (usize, &Dim)| match self.axes[lead + i] {
            Some(axis) => axis == i,
            None => size.is(1),
        };
        self.axes[..lead].iter().all(Option::is_none) && self.shape.iter().enumerate().all(fits)
    }

    /// The expression, indexed so that NumPy's rule reads it as the node means it: `b`, `s[:,
    /// None]`.
    pub fn aligned(self) -> Aligned {
        if self.is_aligned() {
            return Aligned { expr: self.expr, shape: self.shape };
        }
        let mut next = 0;
        let (mut args, mut shape) = (Vec::new(), Vec::new());
        let drop = || IndexArg::Expr(tree::int(0));
        let first = self.axes.iter().position(Option::is_some).unwrap_or(self.axes.len());
        for axis in &self.axes[first..] {
            match axis {
                Some(axis) => {
                    args.extend((next..*axis).map(|_| drop()));
                    args.push(tree::whole());
                    shape.push(self.shape[*axis].clone());
                    next = axis + 1;
                }
                None => {
                    let spare = next < self.shape.len() && !self.axes.contains(&Some(next));
                    args.push(if spare { tree::whole() } else { tree::new_axis() });
                    shape.push(Dim::Const(1));
                    next += usize::from(spare);
                }
            }
        }
        args.extend((next..self.shape.len()).map(|_| drop()));
        Aligned { expr: tree::index(self.expr, args), shape }
    }

    /// An expression of just this type.
    pub fn exact(self, ty: &TensorType) -> Expr {
        let open = self.open;
        let Aligned { expr, shape } = self.aligned();
        if shape == ty.shape.as_slice() {
            return typed(expr, open, ty.dtype);
        }
        let missing = ty.shape.len() - shape.len();
        let only_ones = ty.shape[..missing].iter().all(|d| d.is(1));
        if only_ones && shape == ty.shape[missing..] && !open {
            let new = (0..missing).map(|_| tree::new_axis());
            return tree::index(expr, new.chain(shape.iter().map(|_| tree::whole())).collect());
        }
        let sizes = tree::sizes(&ty.shape);
        let filled = |callee| {
            tree::call_named(callee, [sizes.clone()], tree::dtype_arg(ty.dtype, DType::F32))
        };
        match (open, expr.to_string().as_str()) {
            (true, "0.0" | "0") => filled("zeros"),
            (true, "1.0" | "1") => filled("ones"),
            _ => tree::call("broadcast_to", [typed(expr, open, ty.dtype), sizes]),
        }
    }
}

/// The expression with its type said, if it is a bare number that would be taken for another.
pub(super) fn typed(expr: Expr, open: bool, dtype: DType) -> Expr {
    if open && !matches!(dtype, DType::F32 | DType::I64) {
        return tree::call(dtype.name(), [expr]);
    }
    expr
}

/// The values as operands of one elementwise operation whose result has this shape: their
/// expressions, and how the result is printed if `combine` joins them.
pub(super) fn elementwise(
    operands: Vec<Printed>,
    shape: &[Dim],
    combine: impl FnOnce(Vec<Expr>) -> Expr,
) -> Printed {
    let like = operands.iter().find(|o| !o.open).or(operands.first());
    let like = like.expect("an elementwise operation has operands").clone();
    if operands.iter().all(|o| o.open || o.same_layout(&like)) {
        let expr = combine(operands.into_iter().map(|o| o.expr).collect());
        let axes = if like.open { vec![None; shape.len()] } else { like.axes };
        return Printed { expr, shape: like.shape, axes, open: false };
    }
    let mut common: Vec<Dim> = Vec::new();
    let mut exprs = Vec::new();
    for operand in operands {
        let Aligned { expr, shape } = operand.aligned();
        if shape.len() > common.len() {
            let missing = shape.len() - common.len();
            common.splice(0..0, std::iter::repeat_n(Dim::Const(1), missing));
        }
        let lead = common.len() - shape.len();
        for (i, size) in shape.into_iter().enumerate().filter(|(_, size)| !size.is(1)) {
            common[lead + i] = size;
        }
        exprs.push(expr);
    }
    let lead = shape.len() - common.len();
    let axis = |axis: usize| {
        let own = axis.checked_sub(lead)?;
        (common[own] == shape[axis]).then_some(own)
    };
    let axes = (0..shape.len()).map(axis).collect();
    Printed { expr: combine(exprs), shape: common, axes, open: false }
}
