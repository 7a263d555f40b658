//! Indexing, in NumPy's forms.
//!
//! Known integers and slices become one slice of all axes; slices that begin at a computed place
//! follow, one by one; then tensors of indices gather, from the last axis to the first; then a
//! reshape drops the axes of integers and adds the new ones.

use super::comprehend::Form;
use super::{Eval, Walk};
use crate::check::builtin::{checked, strictly_checked};
use crate::check::value::{Leaf, SizeOrigin, SizeSource, Static, Value};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::{Dim, MapOp, NodeId, Op, TensorType};
use crate::syntax::ast;
use smallvec::SmallVec;
use tensc_runtime::DType;

/// What an index does to one axis.
pub(super) enum Item {
    /// All of it.
    Whole,
    /// From `start` on, `len` elements `step` apart.
    Slice { start: Dim, len: Dim, step: i64, span: Span },
    /// From a computed place on, `len` elements `step` apart.
    Sliding { start: NodeId, len: Dim, step: i64, span: Span },
    /// One element; the axis goes.
    At(Dim),
    /// The elements at these indices.
    Gather(NodeId, Span),
    /// At a sum of indices of comprehensions; the axis goes.
    Form(Form, Leaf),
    /// At `i * W + j`, where `j` runs to `W`: the axis is two, the second `W` long.
    Split([(Form, Leaf); 2], Dim),
    /// A new axis of size 1, in front of the next.
    New,
}

impl<'w> Walk<'w> {
    pub(crate) fn index(
        &mut self,
        base: &Value<'w>,
        base_span: Span,
        args: &'w [ast::IndexArg],
        span: Span,
    ) -> Eval<Value<'w>> {
        if let Some(part) = self.known_part(base, args)? {
            return Ok(part);
        }
        if base.is_tree() {
            return self.index_stack(base, base_span, args, span);
        }
        let x = self.to_tensor(base, None, base_span)?;
        let ty = self.node_ty(x).clone();
        let items = self.items(x, &ty, args, span)?;
        let (x, items) = self.split(x, items, span)?;
        let (x, items) = self.at_forms(x, items, span)?;
        let ty = self.node_ty(x).clone();
        let x = self.sliced(x, &ty, &items, span)?;
        let (x, items) = self.slid(x, items)?;
        let (x, items, place) = self.together(x, items, span)?;
        let (x, widths) = self.gathered(x, &items, span)?;
        let value = self.arranged(x, &items, &widths, span)?;
        let Some((place, width)) = place else { return Ok(value) };
        // What the tensors of indices gave stands in front.
        let node = self.to_tensor(&value, None, span)?;
        let rank = self.node_ty(node).rank();
        let (front, rest) = (0..width as u8, width as u8..rank as u8);
        let perm: Vec<u8> =
            (rest.clone().take(place)).chain(front).chain(rest.skip(place)).collect();
        let node = self.transpose(node, &perm, span)?;
        Ok(self.tensor(node))
    }

    /// Makes two axes of each that is indexed by `i * W + j`.
    fn split(&mut self, x: NodeId, items: Vec<Item>, span: Span) -> Eval<(NodeId, Vec<Item>)> {
        if !items.iter().any(|item| matches!(item, Item::Split(..))) {
            return Ok((x, items));
        }
        let mut sizes = self.node_ty(x).shape.clone().into_iter();
        let (mut shape, mut split) = (Vec::new(), Vec::with_capacity(items.len() + 1));
        for item in items {
            if matches!(item, Item::New) {
                split.push(item);
                continue;
            }
            let size = sizes.next().expect("one for each item");
            match item {
                Item::Split([(first, i), (second, j)], width) => {
                    shape.push(size.div_exact(&width).expect("seen when it was found"));
                    shape.push(width);
                    split.extend([Item::Form(first, i), Item::Form(second, j)]);
                }
                other => {
                    shape.push(size);
                    split.push(other);
                }
            }
        }
        Ok((self.reshape(x, shape, span)?, split))
    }

    /// Takes out the axes that are indexed by sums of indices of comprehensions: these are views. A
    /// tensor that itself depends on such an index is gathered from.
    fn at_forms(&mut self, x: NodeId, items: Vec<Item>, span: Span) -> Eval<(NodeId, Vec<Item>)> {
        let outermost = items.iter().filter_map(|item| match item {
            Item::Form(form, _) => form.outermost(),
            _ => None,
        });
        let Some(outermost) = outermost.min() else { return Ok((x, items)) };
        let (level, base) = self.hoisted(x, outermost, span)?;
        let mut views = Vec::new();
        let mut left = Vec::with_capacity(items.len());
        for item in items {
            let axis = views.len();
            match item {
                Item::Form(form, leaf) if form.outermost().is_none_or(|index| index <= level) => {
                    if let Some(index) = form.alone() {
                        self.tell_range(index, (level, base), axis, form.span)?;
                    }
                    let size = self.node_ty(x).shape[axis].clone();
                    let index = self.node(leaf);
                    let index = checked(self, index, &size, form.span)?;
                    left.push(Item::Gather(index, form.span));
                    views.push(None);
                }
                // What an arm does not take may be out of range, which a view may not.
                Item::Form(form, leaf) if self.both_ways && self.may_leave(&form, x, axis) => {
                    let size = self.node_ty(x).shape[axis].clone();
                    let index = self.node(leaf);
                    let index = strictly_checked(self, index, &size, form.span)?;
                    left.push(Item::Gather(index, form.span));
                    views.push(None);
                }
                Item::Form(form, _) => {
                    left.push(Item::At(Dim::Const(0)));
                    views.push(Some(form));
                }
                Item::New => left.push(Item::New),
                other => {
                    left.push(other);
                    views.push(None);
                }
            }
        }
        let viewed: Vec<bool> = views.iter().map(Option::is_some).collect();
        let x = self.indexed((level, base), views, span)?;
        if !left.iter().any(|item| matches!(item, Item::Gather(..))) {
            let mut axes = viewed.iter();
            left.retain(|item| matches!(item, Item::New) || !axes.next().expect("one an item"));
            return Ok((x, left));
        }
        // Where the tensors of indices put their axes depends on the numbers beside them.
        let mut sizes = self.node_ty(x).shape.clone().into_iter();
        let shape: Vec<Dim> = viewed
            .iter()
            .map(|&gone| if gone { Dim::Const(1) } else { sizes.next().expect("an axis is left") })
            .collect();
        Ok((self.reshape(x, shape, span)?, left))
    }

    /// Axes with tensors of indices that stand apart, or beside numbers, brought to the front. Then
    /// also the place where NumPy puts what they give, and how many axes that is: where the indices
    /// and numbers stand if those are side by side, and in front otherwise.
    fn together(
        &mut self,
        x: NodeId,
        items: Vec<Item>,
        span: Span,
    ) -> Eval<(NodeId, Vec<Item>, Option<(usize, usize)>)> {
        let gathers = |item: &Item| matches!(item, Item::Gather(..));
        let chosen = |item: &Item| matches!(item, Item::Gather(..) | Item::At(_));
        let ends = |wanted: &dyn Fn(&Item) -> bool| {
            let first = items.iter().position(wanted);
            first.zip(items.iter().rposition(wanted))
        };
        let width = items.iter().filter_map(|item| match item {
            Item::Gather(node, _) => Some(self.node_ty(*node).rank()),
            _ => None,
        });
        let width = width.max().unwrap_or(0);
        let (Some((first, last)), Some((start, end))) = (ends(&gathers), ends(&chosen)) else {
            return Ok((x, items, None));
        };
        let lone = items[first..=last].iter().all(gathers) && (start, end) == (first, last);
        if lone || width == 0 {
            return Ok((x, items, None));
        }
        let side_by_side = items[start..=end].iter().all(chosen);
        let place = if side_by_side { start } else { 0 };
        let axes: Vec<bool> =
            items.iter().filter(|item| !matches!(item, Item::New)).map(gathers).collect();
        let axes = &axes;
        let of = |wanted: bool| (0..axes.len()).filter(move |&a| axes[a] == wanted);
        let perm: Vec<u8> = of(true).chain(of(false)).map(|a| a as u8).collect();
        let x = self.transpose(x, &perm, span)?;
        let (front, rest): (Vec<Item>, Vec<Item>) = items.into_iter().partition(gathers);
        Ok((x, front.into_iter().chain(rest).collect(), Some((place, width))))
    }

    /// `list[1]`, `tuple[0]` with a known number.
    fn known_part(
        &mut self,
        base: &Value<'w>,
        args: &'w [ast::IndexArg],
    ) -> Eval<Option<Value<'w>>> {
        let (ast::IndexArg::Expr(expr), 1) = (&args[0], args.len()) else { return Ok(None) };
        if !matches!(base, Value::List(_) | Value::Tuple(_)) {
            return Ok(None);
        }
        let parts = base.numbered();
        let Value::Static(Static::Dim(Dim::Const(n))) = self.expr(expr, None) else {
            return Ok(None);
        };
        let len = parts.len() as i64;
        let at = if n < 0 { n + len } else { n };
        match usize::try_from(at).ok().and_then(|i| parts.get(i)) {
            Some(&part) => Ok(Some(part.clone())),
            None => {
                let message = format!("there is no element {n}: there are {len}");
                Err(self.error(codes::BAD_INDEX, expr.span, message))
            }
        }
    }

    /// One item for each axis, and the new axes between.
    fn items(
        &mut self,
        x: NodeId,
        ty: &TensorType,
        args: &'w [ast::IndexArg],
        span: Span,
    ) -> Eval<Vec<Item>> {
        let takes = |arg: &ast::IndexArg| {
            matches!(arg, ast::IndexArg::Expr(_) | ast::IndexArg::Slice { .. })
        };
        let taken = args.iter().filter(|a| takes(a)).count();
        let dots = args.iter().filter(|a| matches!(a, ast::IndexArg::Ellipsis(_))).count();
        if dots > 1 {
            return Err(self.error(codes::BAD_INDEX, span, "`...` can stand only once"));
        }
        if taken > ty.rank() {
            let indices = if taken == 1 { "1 index" } else { &format!("{taken} indices") };
            let axes = match ty.rank() {
                0 => "no axes".to_string(),
                1 => "1 axis".to_string(),
                n => format!("{n} axes"),
            };
            let message = format!("{indices} for {ty}, which has {axes}");
            return Err(self.error(codes::BAD_INDEX, span, message));
        }
        let mut items = Vec::new();
        let mut axis = 0;
        let mut failed = None;
        for arg in args {
            match arg {
                ast::IndexArg::NewAxis(_) => items.push(Item::New),
                ast::IndexArg::Ellipsis(_) => {
                    for _ in 0..ty.rank() - taken {
                        items.push(Item::Whole);
                        axis += 1;
                    }
                }
                ast::IndexArg::Slice { start, stop, step, span } => {
                    let parts = [start, stop, step].map(|p| p.as_deref());
                    match self.slice(x, ty, axis, parts, *span) {
                        Ok(item) => items.push(item),
                        Err(reported) => failed = Some(reported),
                    }
                    axis += 1;
                }
                ast::IndexArg::Expr(expr) => {
                    match self.at(x, ty, axis, expr) {
                        Ok(item) => items.push(item),
                        Err(reported) => failed = Some(reported),
                    }
                    axis += 1;
                }
            }
        }
        if let Some(reported) = failed {
            return Err(reported);
        }
        while axis < ty.rank() {
            items.push(Item::Whole);
            axis += 1;
        }
        Ok(items)
    }

    fn at(&mut self, x: NodeId, ty: &TensorType, axis: usize, expr: &'w ast::Expr) -> Eval<Item> {
        let value = self.expr(expr, None);
        let size = &ty.shape[axis];
        match &value {
            Value::Error => Err(self.reported()),
            Value::Static(Static::Dim(at)) => {
                let at = self.place(at, size, expr.span)?;
                let room = (size.clone() - at.clone()).known();
                if at.known().is_some_and(|n| n < 0) || room.is_some_and(|n| n <= 0) {
                    let index = self.text(expr.span);
                    let message =
                        format!("index {index} is outside of axis {axis}, whose size is {size}");
                    let diagnostic = Diagnostic::error(codes::BAD_INDEX, expr.span, message);
                    let diagnostic = self.with_size(diagnostic, x, axis);
                    return Err(self.report(diagnostic));
                }
                Ok(Item::At(at))
            }
            Value::Tensor(leaf) if let Some(form) = self.form_of(*leaf, expr.span) => {
                Ok(Item::Form(form, *leaf))
            }
            Value::Tensor(leaf) if let Some(split) = self.split_of(*leaf, size, expr.span) => {
                Ok(split)
            }
            Value::Tensor(_) | Value::List(_) => {
                let index = self.to_tensor(&value, None, expr.span)?;
                let index = checked(self, index, size, expr.span)?;
                Ok(Item::Gather(index, expr.span))
            }
            other => Err(self.expected("an index", other, expr.span)),
        }
    }

    /// `i * W + j` for an axis whose size is a multiple of `W`.
    fn split_of(&self, leaf: Leaf, size: &Dim, span: Span) -> Option<Item> {
        let (first, second, width) = self.split_form(leaf, span)?;
        let rows = size.div_exact(&width)?;
        // Where the indices run otherwise the axis is not so many rows of so many elements.
        let fits =
            self.may_run_to(&first.0, &rows, true)? && self.may_run_to(&second.0, &width, false)?;
        fits.then_some(Item::Split([first, second], width))
    }

    fn sliced(&mut self, x: NodeId, ty: &TensorType, items: &[Item], span: Span) -> Eval<NodeId> {
        let axes: Vec<&Item> = items.iter().filter(|i| !matches!(i, Item::New)).collect();
        let changes = |i: &&&Item| matches!(i, Item::Slice { .. } | Item::At(_));
        if !axes.iter().any(|i| changes(&i)) {
            return Ok(x);
        }
        let mut starts = SmallVec::new();
        let mut lens = SmallVec::new();
        let mut steps = SmallVec::new();
        for (axis, item) in axes.iter().enumerate() {
            let (start, len, step) = match item {
                Item::Slice { start, len, step, .. } => (start.clone(), len.clone(), *step),
                Item::At(at) => (at.clone(), Dim::Const(1), 1),
                Item::Whole
                | Item::Sliding { .. }
                | Item::Gather(..)
                | Item::New
                | Item::Form(..)
                | Item::Split(..) => (Dim::Const(0), ty.shape[axis].clone(), 1),
            };
            starts.push(start);
            lens.push(len);
            steps.push(step);
        }
        let node = self.add(Op::Slice { starts, lens, steps }, &[x], span)?;
        for (axis, item) in axes.iter().enumerate() {
            if let Item::Slice { span, len, .. } = item
                && *len != ty.shape[axis]
            {
                let source = SizeSource { span: *span, ty: None, owner: None };
                self.set_origin(node, axis, SizeOrigin::Written(source));
            }
        }
        Ok(node)
    }

    /// Gathers by the tensors of indices. Returns how many axes each item has become.
    fn gathered(&mut self, x: NodeId, items: &[Item], span: Span) -> Eval<(NodeId, Vec<usize>)> {
        let axes: Vec<&Item> = items.iter().filter(|i| !matches!(i, Item::New)).collect();
        let mut widths = vec![1; axes.len()];
        let tensors: Vec<(usize, NodeId, Span)> = axes
            .iter()
            .enumerate()
            .filter_map(|(axis, item)| match item {
                Item::Gather(node, span) => Some((axis, *node, *span)),
                _ => None,
            })
            .collect();
        let (Some(&(first, ..)), Some(&(last, ..))) = (tensors.first(), tensors.last()) else {
            return Ok((x, widths));
        };
        let scalar = tensors.iter().all(|&(_, n, _)| self.node_ty(n).rank() == 0);
        if scalar {
            let mut node = x;
            for &(axis, index, _) in tensors.iter().rev() {
                node = self.add(Op::Gather(axis as u8), &[node, index], span)?;
                widths[axis] = 0;
            }
            return Ok((node, widths));
        }
        let nodes: Vec<NodeId> = tensors.iter().map(|&(_, n, _)| n).collect();
        let spans: Vec<Span> = tensors.iter().map(|&(_, _, s)| s).collect();
        let nodes = self.broadcast("indexing", &nodes, &spans, span)?;
        let rank = self.node_ty(nodes[0]).rank();
        widths[first] = rank;
        widths[first + 1..=last].fill(0);
        // Several axes become one, whose index is row-major.
        let shape = self.node_ty(x).shape.clone();
        let merged = shape[first..=last].iter().cloned().fold(Dim::Const(1), |a, b| a * b);
        let flat = shape[..first].iter().cloned().chain([merged]);
        let flat: Vec<Dim> = flat.chain(shape[last + 1..].iter().cloned()).collect();
        let x = self.reshape(x, flat, span)?;
        let mut index = nodes[0];
        for (i, &next) in nodes.iter().enumerate().skip(1) {
            let of = self.node_ty(index).shape.clone();
            let size = Value::dim(shape[first + i].clone());
            let size = self.to_tensor(&size, Some(DType::I64), span)?;
            let size = self.stretch(size, &of, span)?;
            let scaled = self.add(MapOp::Mul, &[index, size], span)?;
            index = self.add(MapOp::Add, &[scaled, next], span)?;
        }
        let node = self.add(Op::Gather(first as u8), &[x, index], span)?;
        Ok((node, widths))
    }

    /// Drops the axes of integers and adds the new ones.
    fn arranged(
        &mut self,
        x: NodeId,
        items: &[Item],
        widths: &[usize],
        span: Span,
    ) -> Eval<Value<'w>> {
        let from = self.node_ty(x).shape.clone();
        let mut shape: Vec<Dim> = Vec::new();
        let mut origins: Vec<(usize, usize)> = Vec::new();
        let mut axis = 0;
        let mut widths = widths.iter();
        for item in items {
            match item {
                Item::New => shape.push(Dim::Const(1)),
                Item::At(_) => {
                    widths.next();
                    axis += 1;
                }
                Item::Sliding { .. } | Item::Form(..) | Item::Split(..) => {
                    unreachable!("taken out before")
                }
                Item::Whole | Item::Slice { .. } | Item::Gather(..) => {
                    for _ in 0..*widths.next().expect("a width for each axis") {
                        origins.push((shape.len(), axis));
                        shape.push(from[axis].clone());
                        axis += 1;
                    }
                }
            }
        }
        let node = self.reshape(x, shape, span)?;
        if node != x {
            for (to, from) in origins {
                self.set_origin(node, to, SizeOrigin::Axis(x, from));
            }
        }
        Ok(self.tensor(node))
    }
}
