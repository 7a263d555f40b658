//! Stacks of structs: the form of one and of many, and indexing along the axes in front.

use super::{Eval, Walk};
use crate::check::value::Value;
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::Dim;
use crate::syntax::ast;

impl<'w> Walk<'w> {
    /// `m.blocks[i]`: every leaf of a stack, in each form that indexes a tensor along its first
    /// axes.
    pub(super) fn index_stack(
        &mut self,
        base: &Value<'w>,
        base_span: Span,
        args: &'w [ast::IndexArg],
        span: Span,
    ) -> Eval<Value<'w>> {
        let taken = args.iter().filter(|arg| !matches!(arg, ast::IndexArg::NewAxis(_))).count();
        let (lanes, found) = (self.lanes_of(base), self.show(base));
        if lanes == 0 {
            let message = format!("{found} has fields, not axes: it cannot be indexed");
            return Err(self.error(codes::BAD_INDEX, base_span, message));
        }
        let dots = args.iter().find_map(|arg| match arg {
            ast::IndexArg::Ellipsis(at) => Some(*at),
            _ => None,
        });
        if let Some(at) = dots {
            let message = "a stack is indexed along the axes in front, which all its leaves have";
            return Err(self.error(codes::BAD_INDEX, at, message));
        }
        if taken > lanes {
            let in_front = if lanes == 1 { "1 axis" } else { &format!("{lanes} axes") };
            let message =
                format!("{taken} indices for {found}, whose leaves have {in_front} in front");
            return Err(self.error(codes::BAD_INDEX, span, message));
        }
        if let Some(differs) = self.ty(base).uneven() {
            let message = "a stack is of leaves of one length";
            let error = Diagnostic::error(codes::SHAPE_MISMATCH, base_span, message);
            return Err(self.report(error.here(differs)));
        }
        let mut front: Option<Vec<Dim>> = None;
        let indexed = base.map_leaves(&mut |leaf| {
            let before = self.to_tensor(leaf, None, base_span)?;
            let own = self.node_ty(before).rank() - taken;
            let part = self.index(leaf, base_span, args, span)?;
            let node = self.to_tensor(&part, None, span)?;
            let shape = &self.node_ty(node).shape;
            front.get_or_insert_with(|| shape[..shape.len() - own].to_vec());
            Ok(part)
        })?;
        Ok(with_front(&indexed, taken, &front.unwrap_or_default()))
    }

    /// How many axes all leaves of a value have in front; those of a struct are its own.
    fn lanes_of(&self, value: &Value<'w>) -> usize {
        match value {
            Value::Tensor(leaf) => self.leaf_ty(*leaf).rank(),
            Value::Struct(of, _) => of.lanes.len(),
            tree => tree.children().into_iter().map(|v| self.lanes_of(v)).min().unwrap_or(0),
        }
    }

    /// One of a stack, as the form of a tree whose leaves have lost an axis in front. A struct that
    /// is no stack becomes a record: its leaves are not what it says any more.
    pub(super) fn unstacked(&self, tree: &Value<'w>) -> Value<'w> {
        let parts = || tree.children().into_iter().map(|part| self.unstacked(part));
        match tree {
            Value::Struct(of, _) => match of.unstacked() {
                Some((_, one)) => Value::Struct(one, parts().collect()),
                None => self.as_records(tree),
            },
            other => other.with_children(parts().collect()),
        }
    }

    /// The names of a tree's tensors, as the fields on the way to each.
    pub(crate) fn leaf_names(&mut self, tree: &Value<'w>) -> Vec<String> {
        let mut names = Vec::new();
        self.each_leaf("", tree, &mut |_, name, _| names.push(name));
        names
    }
}

/// The form of a tree whose leaves have these axes in the place of so many in front.
fn with_front<'w>(tree: &Value<'w>, taken: usize, front: &[Dim]) -> Value<'w> {
    let parts = tree.children().into_iter().map(|part| with_front(part, taken, front)).collect();
    match tree.with_children(parts) {
        Value::Struct(of, parts) => {
            let lanes = front.iter().chain(&of.lanes[taken..]).cloned().collect();
            Value::Struct(of.with_lanes(lanes), parts)
        }
        other => other,
    }
}
