//! Where the size of an axis comes from: back through the operations to what was written.

use super::Walk;
use super::transform::leaves;
use crate::check::types::{is_stack, stack_args};
use crate::check::value::{SizeOrigin, SizeSource, Value};
use crate::graph::{Dim, NodeId, Op};
use crate::syntax::ast;
use rustc_hash::FxHashSet;

impl Walk<'_> {
    /// The place that determined the size of an axis of a node of the current graph.
    pub(crate) fn trace(&self, node: NodeId, axis: usize) -> Option<SizeSource> {
        self.trace_in(self.levels.len() - 1, node, axis)
    }

    /// As [`Walk::trace`], for a node of the graph at `level`.
    pub(crate) fn trace_in(&self, level: usize, node: NodeId, axis: usize) -> Option<SizeSource> {
        self.trace_at(level, node, axis, &mut FxHashSet::default())
    }

    fn trace_at(
        &self,
        level: usize,
        node: NodeId,
        axis: usize,
        seen: &mut FxHashSet<(usize, NodeId, usize)>,
    ) -> Option<SizeSource> {
        if !seen.insert((level, node, axis)) {
            return None;
        }
        match self.levels[level].origins.get(&(node, axis)) {
            Some(SizeOrigin::Written(source)) => return Some(source.clone()),
            Some(SizeOrigin::Axis(node, axis)) => return self.trace_at(level, *node, *axis, seen),
            Some(SizeOrigin::Outer(node, axis)) => {
                return self.trace_at(level - 1, *node, *axis, seen);
            }
            None => {}
        }
        let graph = &self.levels[level].graph;
        let operands = graph.operands(node);
        let mut from =
            |operand: usize, axis: usize| self.trace_at(level, operands[operand], axis, seen);
        let found = match graph.op(node) {
            Op::Map(_) => (0..operands.len()).find_map(|operand| from(operand, axis)),
            Op::Convert(_) | Op::CheckIndex(_) => from(0, axis),
            Op::Transpose(perm) => from(0, usize::from(perm[axis])),
            Op::Broadcast { axes, .. } => {
                axes.iter().position(|&a| usize::from(a) == axis).and_then(|at| from(0, at))
            }
            Op::Reshape(shape) => {
                let size = &shape[axis];
                let same: Vec<usize> = (0..graph.ty(operands[0]).rank())
                    .filter(|&a| graph.ty(operands[0]).shape[a] == *size)
                    .collect();
                match same.as_slice() {
                    &[one] => from(0, one),
                    _ => None,
                }
            }
            Op::Slice { lens, .. } => {
                let whole = graph.ty(operands[0]).shape[axis] == lens[axis];
                if whole { from(0, axis) } else { None }
            }
            Op::Reduce(_, axes) => from(0, kept(axes, axis)),
            Op::ArgReduce(_, along) => from(0, kept(&[*along], axis)),
            Op::Concat(along) if usize::from(*along) != axis => from(0, axis),
            Op::Contract(c) => {
                let left_rank = graph.ty(operands[0]).rank();
                let right_rank = graph.ty(operands[1]).rank();
                let free = |rank: usize, batch: &[u8], sum: &[u8]| -> Vec<usize> {
                    let taken = |a: &usize| batch.iter().chain(sum).any(|&t| usize::from(t) == *a);
                    (0..rank).filter(|a| !taken(a)).collect()
                };
                let left = free(left_rank, &c.left_batch, &c.left_sum);
                let right = free(right_rank, &c.right_batch, &c.right_sum);
                let batches = c.left_batch.len();
                if axis < batches {
                    from(0, usize::from(c.left_batch[axis]))
                } else if axis < batches + left.len() {
                    from(0, left[axis - batches])
                } else {
                    from(1, right[axis - batches - left.len()])
                }
            }
            Op::Gather(along) => {
                let (along, rank) = (usize::from(*along), graph.ty(operands[1]).rank());
                match axis {
                    a if a < along => from(0, a),
                    a if a < along + rank => from(1, a - along),
                    a => from(0, a + 1 - rank),
                }
            }
            Op::ScatterAdd(_) | Op::Running(..) | Op::Recur(_) | Op::Argsort { .. } => {
                from(0, axis)
            }
            Op::After => from(0, axis),
            Op::Linear(linear) => from(usize::from(linear.solves()), axis),
            Op::Scan(scan) if scan.result < scan.carried => from(scan.result, axis),
            Op::Scan(scan) if axis == 0 && scan.sliced > 0 => from(scan.carried, 0),
            Op::Window(w) => match axis.checked_sub(usize::from(w.axis)) {
                None => from(0, axis),
                Some(0 | 1) => None,
                Some(_) => from(0, axis - 1),
            },
            Op::Diagonal(_, b) => from(0, axis + usize::from(axis >= usize::from(*b))),
            Op::Input(_)
            | Op::Const(_)
            | Op::Literal(_)
            | Op::Size(..)
            | Op::Iota { .. }
            | Op::Pad { .. }
            | Op::Concat(_)
            | Op::Random { .. }
            | Op::FoldKey
            | Op::Scan(_)
            | Op::Call(_)
            | Op::Fused(_) => None,
        };
        // What made the size up is the next best place.
        found.or_else(|| {
            let made = matches!(
                graph.op(node),
                Op::Literal(_)
                    | Op::Iota { .. }
                    | Op::Slice { .. }
                    | Op::Concat(_)
                    | Op::Reshape(_)
            );
            let span = graph.node(node).origin.span.filter(|_| made)?;
            Some(SizeSource { span, ty: None, owner: None })
        })
    }
}

/// The axis before `axes` (ascending) were removed.
fn kept(axes: &[u8], axis: usize) -> usize {
    let mut at = axis;
    for &removed in axes {
        if usize::from(removed) <= at {
            at += 1;
        }
    }
    at
}

impl<'w> Walk<'w> {
    /// The axis of a value where a size was found: below the parts of `path`, or, where a struct's
    /// argument disagrees, at the first leaf that has this size.
    pub(crate) fn axis_of(
        &mut self,
        value: &Value<'w>,
        path: &[usize],
        axis: usize,
        size: &Dim,
    ) -> Option<(NodeId, usize)> {
        let mut at = value.clone();
        for &step in path {
            let part = at.children().get(step).map(|v| (*v).clone())?;
            at = part;
        }
        let mut found = None;
        let _ = at.map_leaves::<()>(&mut |leaf| {
            if let (None, Some(node)) = (found, self.leaf_node(leaf)) {
                let shape = &self.node_ty(node).shape;
                found = match shape.get(axis) {
                    Some(_) => Some((node, axis)),
                    None => shape.iter().position(|d| d == size).map(|axis| (node, axis)),
                };
            }
            Ok(leaf.clone())
        });
        found
    }

    /// The axis of a value that bound the size `name` of its written type.
    pub(crate) fn axis_named(
        &mut self,
        ty: &ast::Type,
        value: &Value<'w>,
        name: &str,
    ) -> Option<(NodeId, usize)> {
        match (&ty.kind, value) {
            (ast::TypeKind::Paren(inner), _) => self.axis_named(inner, value, name),
            (ast::TypeKind::Tuple(types), Value::Tuple(parts)) => {
                types.iter().zip(parts.iter()).find_map(|(t, v)| self.axis_named(t, v, name))
            }
            (ast::TypeKind::Record(fields), Value::Record(parts)) => fields
                .iter()
                .zip(parts.iter())
                .find_map(|(f, (_, v))| self.axis_named(&f.ty, v, name)),
            (ast::TypeKind::Named { args, .. }, Value::Tensor(leaf)) => {
                let at = args.iter().position(|arg| is_name(arg, name))?;
                let node = self.node(*leaf);
                let rank = self.node_ty(node).rank();
                // A stack has more axes than are written, in front.
                let axis = match args[at..].iter().any(is_pack) {
                    true => at,
                    false => (rank + at).checked_sub(args.len())?,
                };
                (axis < rank).then_some((node, axis))
            }
            (ast::TypeKind::Named { path, args }, Value::Struct(of, parts)) => {
                if is_stack(path) {
                    let (size, one) = stack_args(args, ty.span).ok()?;
                    let names = matches!(&size.kind, ast::DimKind::Name(n) if n == name);
                    return match names {
                        true => leaves(value).first().map(|leaf| (self.node(*leaf), 0)),
                        false => self.axis_named(&one, value, name),
                    };
                }
                let at = args.iter().position(|arg| is_name(arg, name))?;
                let decl = &self.world.structure(of.def).decl;
                let inner = &decl.generics.get(at)?.name.name;
                decl.fields
                    .iter()
                    .zip(parts.iter())
                    .find_map(|(f, v)| self.axis_named(&f.ty, v, inner))
            }
            _ => None,
        }
    }
}

impl<'w> Walk<'w> {
    /// The axis of a tensor that is one of a pack in its written type, where it has this size.
    pub(crate) fn axis_packed(
        &mut self,
        ty: &ast::Type,
        value: &Value<'w>,
        pack: &str,
        (axis, size): (usize, &Dim),
    ) -> Option<(NodeId, usize)> {
        let (ast::TypeKind::Named { args, .. }, Value::Tensor(leaf)) = (&ty.kind, value) else {
            return None;
        };
        let names = |arg: &ast::GenericArg| {
            matches!(arg, ast::GenericArg::Dim(ast::Dim { kind: ast::DimKind::Pack(n), .. })
                if n.name == pack)
        };
        let node = self.node(*leaf);
        let same = self.node_ty(node).shape.get(axis) == Some(size);
        (args.iter().any(names) && same).then_some((node, axis))
    }
}

fn is_name(arg: &ast::GenericArg, name: &str) -> bool {
    matches!(arg, ast::GenericArg::Dim(ast::Dim { kind: ast::DimKind::Name(n), .. }) if n == name)
}

fn is_pack(arg: &ast::GenericArg) -> bool {
    matches!(arg, ast::GenericArg::Dim(ast::Dim { kind: ast::DimKind::Pack(_), .. }))
}
