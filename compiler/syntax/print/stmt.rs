//! Blocks, statements and patterns as text.

use super::doc::{Doc, docs};
use super::{Gap, Printer};
use crate::syntax::ast::{Binding, Block, Iter, Pattern, PatternKind, Stmt, StmtKind};

impl Printer<'_> {
    /// A block over several lines, unless it is empty.
    pub(super) fn block(&mut self, block: &Block) -> Doc {
        let header = std::mem::replace(&mut self.header, false);
        let doc = self.block_lines(block);
        self.header = header;
        doc
    }

    /// A block on one line, if it holds one thing and no comment, fits there and was not written
    /// over lines. The group around it decides, so that both blocks of an `if` do the same.
    pub(super) fn inline_block(&mut self, block: &Block) -> Doc {
        let header = std::mem::replace(&mut self.header, false);
        let only = match (block.stmts.as_slice(), &block.value) {
            _ if self.has_comment_before(block.span.end) => None,
            ([stmt], None) => Some(stmt.span),
            ([], Some(value)) => Some(value.span),
            _ => None,
        };
        let doc = if let Some(only) = only {
            let begin = match self.gap(only.start, u32::MAX).broken {
                true => Doc::Break,
                false => Doc::Nil,
            };
            let inner = match &block.value {
                Some(value) => self.expr(value),
                None => docs![self.stmt(&block.stmts[0]), dropped(block)],
            };
            docs!["{", begin, docs![Doc::Line(" "), inner].nest(), Doc::Line(" "), "}"]
        } else {
            self.block_lines(block)
        };
        self.header = header;
        doc
    }

    fn block_lines(&mut self, block: &Block) -> Doc {
        let comments = self.has_comment_before(block.span.end);
        if block.stmts.is_empty() && block.value.is_none() && !comments {
            return "{}".into();
        }
        let mut inner = Vec::new();
        let mut previous = None;
        for stmt in &block.stmts {
            let gap = self.gap(stmt.span.start, previous.unwrap_or(block.span.start));
            push_line(&mut inner, gap, previous.is_none());
            inner.push(self.stmt(stmt));
            previous = Some(stmt.span.end);
        }
        match &block.value {
            Some(value) => {
                let gap = self.gap(value.span.start, previous.unwrap_or(block.span.start));
                push_line(&mut inner, gap, previous.is_none());
                inner.push(self.expr(value));
                previous = Some(value.span.end);
            }
            None => inner.push(dropped(block).into()),
        }
        let gap = self.gap(block.span.end, u32::MAX);
        push_comment_lines(&mut inner, &gap, previous.is_none());
        docs!["{", Doc::from(inner).nest(), Doc::Hard(" "), "}"]
    }

    /// A statement without what ends it.
    fn stmt(&mut self, stmt: &Stmt) -> Doc {
        match &stmt.kind {
            StmtKind::Let(binding) => docs!["let ", self.binding(binding)],
            StmtKind::Var(binding) => docs!["var ", self.binding(binding)],
            StmtKind::Assign { target, op, value } => {
                let op = op.map_or("", |op| op.symbol());
                docs![pattern(target), " ", op, "= ", self.expr(value)]
            }
            StmtKind::For { pattern: names, iter, body } => {
                let iter = self.iter(iter);
                docs!["for ", pattern(names), " in ", iter, " ", self.block(body)]
            }
            StmtKind::While { cond, limit, body } => {
                let cond = self.header(cond);
                let limit = match limit {
                    Some(limit) => docs![" limit ", self.header(limit)],
                    None => Doc::Nil,
                };
                docs!["while ", cond, limit, " ", self.block(body)]
            }
            StmtKind::Log(entries) => {
                let mut inner = Vec::new();
                for (i, entry) in entries.iter().enumerate() {
                    if i > 0 {
                        inner.extend([",".into(), Doc::Line(" ")]);
                    }
                    inner.push(docs![entry.name.name.clone(), " = ", self.expr(&entry.value)]);
                }
                docs!["log ", Doc::from(inner).nest().group()]
            }
            StmtKind::Break => "break".into(),
            StmtKind::Continue => "continue".into(),
            StmtKind::Expr(expr) => self.expr(expr),
        }
    }

    fn binding(&mut self, binding: &Binding) -> Doc {
        let ty = match &binding.ty {
            Some(ty) => docs![": ", self.ty(ty)],
            None => Doc::Nil,
        };
        docs![pattern(&binding.pattern), ty, " = ", self.expr(&binding.value)]
    }

    /// What a loop goes through.
    pub(super) fn iter(&mut self, iter: &Iter) -> Doc {
        match iter {
            Iter::Range { start, end } => docs![self.header(start), "..", self.header(end)],
            Iter::Each(expr) => self.header(expr),
        }
    }
}

/// Names taken from a value.
pub(super) fn pattern(pattern_: &Pattern) -> Doc {
    match &pattern_.kind {
        PatternKind::Name(name) => name.clone().into(),
        PatternKind::Wildcard => "_".into(),
        PatternKind::Tuple(members) => {
            let mut docs = vec!["(".into()];
            for (i, member) in members.iter().enumerate() {
                if i > 0 {
                    docs.push(", ".into());
                }
                docs.push(pattern(member));
            }
            docs.push(if members.len() == 1 { ",)" } else { ")" }.into());
            docs.into()
        }
    }
}

/// The `;` that says that the last expression is not the value of its block.
fn dropped(block: &Block) -> &'static str {
    let last = block.stmts.last().map(|s| &s.kind);
    match (&block.value, last) {
        (None, Some(StmtKind::Expr(_))) => ";",
        _ => "",
    }
}

/// The comments before a line, and the start of that line.
fn push_line(docs: &mut Vec<Doc>, gap: Gap, first: bool) {
    push_comment_lines(docs, &gap, first);
    if gap.blank && !(first && gap.comments.is_empty()) {
        docs.push(Doc::Blank);
    }
    docs.push(Doc::Hard(if first { " " } else { "; " }));
}

/// The comments between two lines.
fn push_comment_lines(docs: &mut Vec<Doc>, gap: &Gap, mut first: bool) {
    if let Some(comment) = &gap.trailing {
        docs.extend([" ".into(), comment.clone().into()]);
    }
    for comment in &gap.comments {
        if comment.blank_before && !first {
            docs.push(Doc::Blank);
        }
        docs.extend([Doc::Hard(" "), comment.text.clone().into()]);
        first = false;
    }
}
