//! The statements of `main`: loops, branches, and what interrupts a region.

use crate::check::typed::{SlotId, Step};
use crate::check::types::{Generic, Instance, Type};
use crate::check::value::{Callable, Leaf, SizeSource, Static, Value};
use crate::check::walk::{Eval, Slot, Walk};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::{Dim, DimVar, TensorType};
use crate::syntax::ast::{self, ExprKind, Stmt, StmtKind};
use tensc_runtime::DType;

impl<'w> Walk<'w> {
    /// The statements of a block of the script, its last expression included.
    pub(crate) fn script_block(&mut self, block: &'w ast::Block) {
        let mark = self.locals.len();
        for stmt in &block.stmts {
            self.stmt(stmt);
        }
        if let Some(value) = &block.value {
            let _ = self.script_expr(value);
        }
        if mark > 0 || self.locals.len() > mark {
            // Variables around the block keep their nodes in the open region.
            self.leave(mark);
        }
    }

    pub(crate) fn script_stmt(&mut self, stmt: &'w Stmt) -> Eval<()> {
        match &stmt.kind {
            StmtKind::Let(_) | StmtKind::Var(_) | StmtKind::Assign { .. } => {
                self.cover(stmt.span);
                self.shared_stmt(stmt)
            }
            StmtKind::Expr(expr) => self.script_expr(expr),
            StmtKind::Log(entries) => {
                self.cover(stmt.span);
                self.log(entries)
            }
            StmtKind::For { pattern, iter: ast::Iter::Range { start, end }, body } => {
                self.range_loop(pattern, start, end, body)
            }
            StmtKind::For { pattern, iter: ast::Iter::Each(data), body } => {
                self.batch_loop(pattern, data, body)
            }
            StmtKind::While { cond, limit, body } => {
                self.while_loop(cond, limit.as_ref(), body, stmt.span)
            }
            StmtKind::Break | StmtKind::Continue => {
                if self.state().blocks.len() == 1 {
                    let message = "there is no loop around this";
                    return Err(self.error(codes::MISPLACED, stmt.span, message));
                }
                self.close_region();
                let step = match stmt.kind {
                    StmtKind::Break => Step::Break,
                    _ => Step::Continue,
                };
                self.state().push(step);
                Ok(())
            }
        }
    }

    /// An expression for its effect.
    fn script_expr(&mut self, expr: &'w ast::Expr) -> Eval<()> {
        self.cover(expr.span);
        match &expr.unparenthesized().kind {
            ExprKind::If { cond, then, otherwise } => self.branch(cond, then, otherwise.as_deref()),
            ExprKind::Block(block) => {
                self.script_block(block);
                Ok(())
            }
            _ => match self.expr(expr, None) {
                Value::Error => Err(self.reported()),
                Value::Unit => Ok(()),
                other => {
                    let found = self.show(&other);
                    let message = format!("the value of this, {found}, is not used");
                    let warning = Diagnostic::warning(codes::MISPLACED, expr.span, message);
                    self.report(warning.help("bind it: let x = …"));
                    Ok(())
                }
            },
        }
    }

    /// Closes the region and walks a block into a list of steps of its own.
    fn steps_of(&mut self, f: impl FnOnce(&mut Self)) -> Vec<Step> {
        self.state().blocks.push(Vec::new());
        f(self);
        self.close_region();
        self.state().blocks.pop().expect("pushed above")
    }

    /// A scalar of this type in a slot.
    pub(crate) fn scalar_slot(
        &mut self,
        name: &str,
        value: &Value<'w>,
        dtype: DType,
        what: &str,
        span: Span,
    ) -> Eval<SlotId> {
        if value.is_error() {
            return Err(self.reported());
        }
        let found = match value {
            Value::Tensor(leaf) => Some(self.leaf_ty(*leaf)),
            Value::Static(Static::Str(..)) => None,
            Value::Static(_) => Some(TensorType::scalar(dtype)),
            _ => None,
        };
        if found != Some(TensorType::scalar(dtype)) {
            return Err(self.expected(&format!("{what} ({dtype})"), value, span));
        }
        let leaf = match value {
            Value::Tensor(leaf) => *leaf,
            known => {
                let node = self.to_tensor(known, Some(dtype), span)?;
                Leaf::Node(0, node)
            }
        };
        Ok(self.slot_of(name, leaf))
    }

    fn range_loop(
        &mut self,
        pattern: &'w ast::Pattern,
        start: &'w ast::Expr,
        end: &'w ast::Expr,
        body: &'w ast::Block,
    ) -> Eval<()> {
        self.cover(start.span.to(end.span));
        let first = self.expr(start, None);
        let last = self.expr(end, None);
        let from = self.scalar_slot("start", &first, DType::I64, "the first value", start.span);
        let to = self.scalar_slot("end", &last, DType::I64, "one past the last value", end.span);
        self.close_region();
        let name = match &pattern.kind {
            ast::PatternKind::Name(name) => name.clone(),
            _ => "_".to_string(),
        };
        let var = self.state().slot(name, TensorType::scalar(DType::I64));
        let mark = self.locals.len();
        let steps = self.steps_of(|w| {
            let _ = w.destructure(pattern, Value::Tensor(Leaf::Slot(var)), false);
            w.script_block(body);
            w.locals.truncate(mark);
        });
        let (start, end) = (from?, to?);
        self.state().push(Step::Range { var, start, end, body: steps });
        Ok(())
    }

    fn batch_loop(
        &mut self,
        pattern: &'w ast::Pattern,
        iter: &'w ast::Expr,
        body: &'w ast::Block,
    ) -> Eval<()> {
        self.cover(iter.span);
        let batches = self.batches(iter);
        self.close_region();
        let mark = self.locals.len();
        let value = match &batches {
            Ok((value, _)) => value.clone(),
            Err(_) => Value::Error,
        };
        let steps = self.steps_of(|w| {
            let _ = w.destructure(pattern, value, false);
            w.script_block(body);
            w.locals.truncate(mark);
        });
        let (_, step) = batches?;
        let step = match step {
            Step::Batches { data, size, shuffle, order, drop_last, dim, span, .. } => {
                Step::Batches { data, size, shuffle, order, drop_last, dim, body: steps, span }
            }
            _ => unreachable!("batches makes its own step"),
        };
        self.state().push(step);
        Ok(())
    }

    /// The value that a turn sees, and the step without its body.
    fn batches(&mut self, iter: &'w ast::Expr) -> Eval<(Value<'w>, Step)> {
        let ExprKind::Call { callee, args } = &iter.unparenthesized().kind else {
            return Err(self.no_batches(iter));
        };
        let builtin = match self.expr(callee, None) {
            Value::Error => return Err(self.reported()),
            Value::Function(f) => match &*f {
                Callable::Builtin(b) if b.name == "batches" => *b,
                _ => return Err(self.no_batches(iter)),
            },
            _ => return Err(self.no_batches(iter)),
        };
        let slots: Vec<Slot<'_>> = builtin.slots().collect();
        let assigned = self.assign("batches", &slots, args, callee.span)?;
        let values: Vec<Option<(Value<'w>, Span)>> = assigned
            .iter()
            .map(|arg| arg.map(|a| (self.expr(&a.value, None), a.value.span)))
            .collect();
        if values.iter().flatten().any(|(v, _)| v.is_error()) {
            return Err(self.reported());
        }
        let (data, at) = values[0].clone().expect("it is not optional");
        let data = self.strengthen(&data, at)?;
        let rows = self.common_rows(&data, at)?;
        let (size, size_at) = values[1].clone().expect("it is not optional");
        let size = self.scalar_slot("size", &size, DType::I64, "rows of a batch", size_at)?;
        let shuffle = match &values[2] {
            Some((key, at)) => Some(self.scalar_slot("shuffle", key, DType::I64, "a key", *at)?),
            None => None,
        };
        let order = match &values[3] {
            Some((order, at)) => Some(self.order_slot(order, &rows, *at)?),
            None => None,
        };
        if let (Some(_), Some(_), Some((_, at))) = (shuffle, order, &values[3]) {
            let message = "rows come shuffled or in the given order, not both";
            return Err(self.error(codes::BAD_ARGUMENTS, *at, message));
        }
        let drop_last = match &values[4] {
            None => false,
            Some((Value::Static(Static::Bool(b)), _)) => *b,
            Some((other, at)) => {
                return Err(self.not_known("a flag (true or false)", other, *at));
            }
        };
        let dim = self.fresh_dim("batch");
        let (value, pairs) = self.batch_of(&data, &rows, &dim, iter.span);
        let step = Step::Batches {
            data: pairs,
            size,
            shuffle,
            order,
            drop_last,
            dim,
            body: Vec::new(),
            span: iter.span,
        };
        Ok((value, step))
    }

    fn no_batches(&mut self, iter: &ast::Expr) -> crate::check::walk::Reported {
        let message = "`for` goes through a range or batches";
        let diagnostic = Diagnostic::error(codes::MISPLACED, iter.span, message);
        self.report(diagnostic.help("write 0..n, or batches(data, size)"))
    }

    /// The size of axis 0 that all tensors of the data have.
    fn common_rows(&mut self, data: &Value<'w>, at: Span) -> Eval<Dim> {
        let mut leaves = Vec::new();
        self.each_leaf("", data, &mut |_, path, leaf| leaves.push((path, leaf)));
        let Some((_, first)) = leaves.first().cloned() else {
            return Err(self.expected("tensors to take rows from", data, at));
        };
        for (path, leaf) in &leaves {
            if self.leaf_ty(*leaf).rank() == 0 {
                let message = format!("`{path}` is a scalar: it has no rows");
                return Err(self.error(codes::SHAPE_MISMATCH, at, message));
            }
        }
        let rows = self.leaf_ty(first).shape[0].clone();
        for (path, leaf) in &leaves {
            let ty = self.leaf_ty(*leaf);
            if ty.shape[0] != rows {
                let message = format!("`{path}` has {} rows, others have {rows}", ty.shape[0]);
                let diagnostic = Diagnostic::error(codes::SHAPE_MISMATCH, at, message);
                let (a, b) = (self.node(first), self.node(*leaf));
                let diagnostic = self.with_sizes(diagnostic, (a, 0), (b, 0));
                return Err(self.report(diagnostic));
            }
        }
        Ok(rows)
    }

    fn order_slot(&mut self, order: &Value<'w>, rows: &Dim, at: Span) -> Eval<SlotId> {
        let want = TensorType::new(DType::I64, [rows.clone()]);
        // So many rows as it names, some of them more than once perhaps: not all that there are.
        let order = self.strengthen(order, at)?;
        let fitted = match &order {
            Value::Tensor(leaf) => {
                let ty = self.leaf_ty(*leaf);
                ty.rank() == 1 && ty.dtype == DType::I64
            }
            _ => false,
        };
        let value = match fitted {
            true => order.clone(),
            false => self.coerce(&order, &Type::Tensor(want), at, None)?,
        };
        let Value::Tensor(leaf) = value else {
            return Err(self.expected("the rows in order (i64)", &value, at));
        };
        Ok(self.slot_of("order", leaf))
    }

    /// The data with each tensor's axis 0 replaced by the batch's size, in slots of its own.
    fn batch_of(
        &mut self,
        data: &Value<'w>,
        rows: &Dim,
        dim: &DimVar,
        span: Span,
    ) -> (Value<'w>, Vec<(SlotId, SlotId)>) {
        let mut names = Vec::new();
        self.each_leaf("batch", data, &mut |_, path, _| names.push(path));
        let mut names = names.into_iter();
        let mut pairs = Vec::new();
        let batch = data.map_tensors(&mut |leaf| {
            let name = names.next().unwrap_or_else(|| "batch".to_string());
            let whole = self.slot_of(&name, leaf);
            let mut ty = self.leaf_ty(leaf);
            ty.shape[0] = Dim::var(dim.clone());
            let rank = ty.rank();
            let state = self.state();
            let slot = state.slot(name, ty);
            let source = SizeSource { span, ty: None, owner: None };
            state.sources.insert((slot, 0), source);
            for axis in 1..rank {
                if let Some(source) = state.sources.get(&(whole, axis)).cloned() {
                    state.sources.insert((slot, axis), source);
                }
            }
            pairs.push((whole, slot));
            Value::Tensor(Leaf::Slot(slot))
        });
        // A struct's type says how many rows it has.
        let batch = match batch {
            Value::Struct(of, parts) => {
                let batch = |size: &Dim| match size == rows {
                    true => Dim::var(dim.clone()),
                    false => size.clone(),
                };
                let fewer = |arg: &Generic| match arg {
                    Generic::Dim(size) => Generic::Dim(batch(size)),
                    other => other.clone(),
                };
                let args = of.args.iter().map(fewer).collect();
                let lanes = of.lanes.iter().map(batch).collect();
                Value::Struct(Instance { def: of.def, args, lanes }, parts)
            }
            other => other,
        };
        (batch, pairs)
    }

    fn while_loop(
        &mut self,
        cond: &'w ast::Expr,
        limit: Option<&'w ast::Expr>,
        body: &'w ast::Block,
        span: Span,
    ) -> Eval<()> {
        let limit_expr = self.limit_of(cond, limit)?;
        let limit = self.expr(limit_expr, None);
        let limit = self.scalar_slot("limit", &limit, DType::I64, "the limit", limit_expr.span);
        self.close_region();
        let mut condition = Err(self.reported());
        let head = self.steps_of(|w| {
            w.cover(cond.span);
            let value = w.expr(cond, None);
            condition = w.scalar_slot("condition", &value, DType::Bool, "a condition", cond.span);
        });
        let body = self.steps_of(|w| w.script_block(body));
        let (limit, condition) = (limit?, condition?);
        self.state().push(Step::While { head, condition, body, limit, span });
        Ok(())
    }

    fn branch(
        &mut self,
        cond: &'w ast::Expr,
        then: &'w ast::Block,
        otherwise: Option<&'w ast::Expr>,
    ) -> Eval<()> {
        let value = self.expr(cond, None);
        if let Value::Static(Static::Bool(known)) = value {
            match (known, otherwise) {
                (true, _) => self.script_block(then),
                (false, Some(otherwise)) => return self.script_expr(otherwise),
                (false, None) => {}
            }
            return Ok(());
        }
        let condition =
            self.scalar_slot("condition", &value, DType::Bool, "a condition", cond.span);
        self.close_region();
        let then = self.steps_of(|w| w.script_block(then));
        let mut result = Ok(());
        let otherwise = self.steps_of(|w| {
            if let Some(otherwise) = otherwise {
                result = w.script_expr(otherwise);
            }
        });
        self.state().push(Step::If { condition: condition?, then, otherwise });
        result
    }
}
