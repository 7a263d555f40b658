//! Expressions as text, with parentheses where the tree needs them and has none.

use super::doc::{Doc, docs, flat, hug};
use super::stmt::pattern;
use super::{BRACES, Brackets, Element, PARENS, Printer, SQUARE, bracketed, push_comments};
use crate::syntax::ast::{
    Align, Arg, BinaryOp, Expr, ExprKind, Format, FormatStyle, IndexArg, IndexBinder, StrPart,
};
use crate::syntax::parser::{level, level_of};

/// What an expression stands in.
#[derive(Clone, Copy)]
struct Place {
    /// Operators looser than this level need parentheses.
    least: u8,
    /// Whether an operator follows: what reaches as far right as it can needs parentheses.
    followed: bool,
}

impl Printer<'_> {
    /// An expression that stands by itself.
    pub(super) fn expr(&mut self, expr: &Expr) -> Doc {
        self.expr_in(expr, Place { least: 0, followed: false })
    }

    /// An expression before a block, on the line of its brace if that is possible.
    pub(super) fn header(&mut self, expr: &Expr) -> Doc {
        let header = std::mem::replace(&mut self.header, true);
        let doc = self.expr(expr);
        self.header = header;
        doc.whole()
    }

    /// An expression that calls, indices or members follow.
    fn base(&mut self, expr: &Expr) -> Doc {
        self.expr_in(expr, Place { least: level::POSTFIX, followed: true })
    }

    fn expr_in(&mut self, expr: &Expr, place: Place) -> Doc {
        let needs_parens = tightness(expr) < place.least
            || (place.followed && reaches_right(expr))
            || (self.header && matches!(expr.kind, ExprKind::Struct { .. }));
        if !needs_parens {
            return self.bare(expr, place.followed);
        }
        let header = std::mem::replace(&mut self.header, false);
        let inner = self.bare(expr, false);
        self.header = header;
        docs!["(", inner, ")"]
    }

    /// An expression without parentheses around it.
    fn bare(&mut self, expr: &Expr, followed: bool) -> Doc {
        let end = expr.span.end;
        match &expr.kind {
            ExprKind::Int { text, .. } | ExprKind::Float { text, .. } => text.clone().into(),
            ExprKind::Bool(value) => if *value { "true" } else { "false" }.into(),
            ExprKind::None => "None".into(),
            ExprKind::Str(parts) => self.string(parts).into(),
            ExprKind::Name(name) => name.clone().into(),
            ExprKind::Spread(name) => docs![name.name.clone(), "..."],
            ExprKind::Paren(inner) => {
                let header = std::mem::replace(&mut self.header, false);
                let gap = self.gap(inner.span.start, u32::MAX);
                let inner = Element { doc: self.expr(inner), gap };
                let last = self.last_gap(end);
                self.header = header;
                match inner.gap.has_comment() || last.has_comment() {
                    true => parenthesized(inner, &last),
                    false => docs!["(", inner.doc, ")"],
                }
            }
            ExprKind::Tuple(members) => match members.as_slice() {
                [one] => docs!["(", self.unheaded(one), ",)"],
                _ => self.list(PARENS, members, |e| e.span, end, |p, e| p.expr(e)),
            },
            ExprKind::Array(elements) => {
                let fills = elements.iter().all(is_number);
                let brackets = Brackets { fills, ..SQUARE };
                self.list(brackets, elements, |e| e.span, end, |p, e| p.expr(e))
            }
            ExprKind::Struct { path, fields, rest } => {
                docs![path.to_string(), " ", self.fields(fields, rest.as_deref(), end)]
            }
            ExprKind::Field { base, name } => docs![self.base(base), ".", name.name.clone()],
            ExprKind::Call { callee, args } => docs![self.base(callee), self.args(args, end)],
            ExprKind::Index { base, args } => {
                let base = self.base(base);
                docs![base, self.list(SQUARE, args, IndexArg::span, end, Self::index_arg)]
            }
            ExprKind::Unary { op, operand } => {
                let place = Place { least: level::UNARY, followed };
                docs![op.symbol(), self.expr_in(operand, place)]
            }
            ExprKind::Binary { .. } => self.binary(expr, followed),
            ExprKind::As { value, ty } => {
                let value = self.expr_in(value, Place { least: level::AS, followed: true });
                docs![value, " as ", self.ty(ty)]
            }
            ExprKind::If { .. } => self.if_expr(expr).group(),
            ExprKind::Block(block) => self.inline_block(block).group(),
            ExprKind::Lambda { params, ret, body } => {
                let end = ret.as_ref().map_or(body.span.start, |ty| ty.span.start);
                let params = self.params(params, end).whole();
                let ret = match ret {
                    Some(ty) => docs![" -> ", self.ty(ty).whole()],
                    None => Doc::Nil,
                };
                let body = self.expr_in(body, Place { least: 0, followed });
                docs!["fn", params, ret, " = ", body]
            }
            ExprKind::Scan { pattern: names, iter, state, body } => {
                let iter = self.iter(iter);
                let state = match state {
                    Some(s) => docs![" with ", pattern(&s.pattern), " = ", self.header(&s.init)],
                    None => Doc::Nil,
                };
                let body = self.inline_block(body).group();
                docs!["scan ", pattern(names), " in ", iter, state, " ", body]
            }
            ExprKind::Comprehension { indices, body } => {
                docs!["for ", self.binders(indices), ": ", self.expr(body)]
            }
            ExprKind::Reduction { op, indices, body, .. } => {
                docs![op.name(), " ", self.binders(indices), ": ", self.expr(body)]
            }
        }
    }

    /// An expression inside brackets of its own.
    fn unheaded(&mut self, expr: &Expr) -> Doc {
        let header = std::mem::replace(&mut self.header, false);
        let doc = self.expr(expr);
        self.header = header;
        doc
    }

    /// Operands and operators of one level; lines break before operators.
    fn binary(&mut self, expr: &Expr, followed: bool) -> Doc {
        let ExprKind::Binary { op, .. } = &expr.kind else { unreachable!("a binary expression") };
        let own = level_of(*op);
        // Down the left side as far as the level stays the same: the first operand, then the rest.
        let mut rest = Vec::new();
        let mut first = expr;
        while let ExprKind::Binary { op, op_span, left, right } = &first.kind
            && level_of(*op) == own
        {
            rest.push((*op, *op_span, right));
            first = left;
            // `**` groups to the right, comparisons not at all: what is on the left stands alone.
            if matches!(own, level::POW | level::COMPARE) {
                break;
            }
        }
        let left_least = if own == level::POW { level::POSTFIX } else { own };
        let left_least = if own == level::COMPARE { own + 1 } else { left_least };
        let first = self.expr_in(first, Place { least: left_least, followed: true });
        let mut inner = Vec::new();
        let count = rest.len();
        let last_hugs = rest.first().is_some_and(|(_, _, last)| hugs(last));
        for (i, (op, op_span, right)) in rest.into_iter().rev().enumerate() {
            let gap = self.gap(op_span.start, u32::MAX);
            push_comments(&mut inner, &gap, " ");
            let least = if op == BinaryOp::Pow { level::UNARY } else { own + 1 };
            let place = Place { least, followed: followed || i + 1 < count };
            let right = self.expr_in(right, place);
            inner.extend([Doc::Line(" "), op.symbol().into(), " ".into(), right]);
        }
        match inner.pop() {
            Some(last) if last_hugs => docs![first, hug(inner, last, Doc::Nil)],
            last => {
                inner.extend(last);
                docs![first, Doc::from(inner).nest()].group()
            }
        }
    }

    /// An `if` whose blocks are all on one line, or all over several.
    fn if_expr(&mut self, expr: &Expr) -> Doc {
        let ExprKind::If { cond, then, otherwise } = &expr.kind else {
            return self.expr(expr);
        };
        let cond = self.header(cond);
        let then = self.inline_block(then);
        let otherwise = match otherwise.as_deref() {
            None => Doc::Nil,
            Some(Expr { kind: ExprKind::Block(block), .. }) => {
                docs![" else ", self.inline_block(block)]
            }
            Some(chained) => docs![" else ", self.if_expr(chained)],
        };
        docs!["if ", cond, " ", then, otherwise]
    }

    /// The fields of a struct literal, braces included.
    fn fields(
        &mut self,
        fields: &[crate::syntax::ast::FieldInit],
        rest: Option<&Expr>,
        end: u32,
    ) -> Doc {
        let header = std::mem::replace(&mut self.header, false);
        let mut elements = Vec::new();
        for field in fields {
            let gap = self.gap(field.name.span.start, u32::MAX);
            let name = field.name.name.clone();
            let doc = match &field.value.kind {
                ExprKind::Name(value) if *value == name => name.into(),
                _ => docs![name, ": ", self.expr(&field.value)],
            };
            elements.push(Element { doc, gap });
        }
        if let Some(rest) = rest {
            let gap = self.gap(rest.span.start, u32::MAX);
            elements.push(Element { doc: docs!["..", self.expr(rest)], gap });
        }
        let last = match elements.is_empty() {
            true => super::Gap::default(),
            false => self.last_gap(end),
        };
        self.header = header;
        bracketed(BRACES, elements, last)
    }

    /// The arguments of a call, parentheses included.
    pub(super) fn args(&mut self, args: &[Arg], end: u32) -> Doc {
        // Breaking the line before a lone string gains nothing.
        if let [Arg { name: None, value, .. }] = args
            && let ExprKind::Str(_) = value.kind
            && !self.has_comment_before(end)
        {
            self.gap(value.span.start, u32::MAX);
            return docs!["(", self.expr(value), ")"];
        }
        let brackets = Brackets { hugs: last_hugs(args), ..PARENS };
        self.list(
            brackets,
            args,
            |a| a.span,
            end,
            |p, arg| match &arg.name {
                Some(name) => docs![name.name.clone(), " = ", p.expr(&arg.value)],
                None => p.expr(&arg.value),
            },
        )
    }

    fn index_arg(&mut self, arg: &IndexArg) -> Doc {
        match arg {
            IndexArg::Expr(expr) => self.expr(expr),
            IndexArg::Ellipsis(_) => "...".into(),
            IndexArg::NewAxis(_) => "None".into(),
            IndexArg::Slice { start, stop, step, .. } => {
                let mut part = |e: &Option<Box<Expr>>| match e {
                    Some(e) => self.expr_in(e, Place { least: 0, followed: false }),
                    None => Doc::Nil,
                };
                let (start, stop) = (part(start), part(stop));
                match step {
                    Some(_) => docs![start, ":", stop, ":", part(step)],
                    None => docs![start, ":", stop],
                }
            }
        }
    }

    fn binders(&mut self, indices: &[IndexBinder]) -> Doc {
        let mut docs = Vec::new();
        for (i, index) in indices.iter().enumerate() {
            if i > 0 {
                docs.push(", ".into());
            }
            docs.push(index.name.name.clone().into());
            if let Some(bound) = &index.bound {
                docs.extend([" < ".into(), self.dim(bound, 0)]);
            }
        }
        docs.into()
    }

    /// A string with its quotes.
    fn string(&mut self, parts: &[StrPart]) -> String {
        let mut out = String::from("\"");
        for part in parts {
            match part {
                StrPart::Text { value, .. } => escape(value, &mut out),
                StrPart::Interpolation { expr, format, .. } => {
                    let one_line = std::mem::replace(&mut self.one_line, true);
                    let header = std::mem::replace(&mut self.header, false);
                    let text = flat(&self.expr(expr));
                    (self.one_line, self.header) = (one_line, header);
                    // Two braces in a row stand for one.
                    out.push_str(if text.starts_with('{') { "{ " } else { "{" });
                    out.push_str(&text);
                    if let Some(format) = format {
                        out.push(':');
                        out.push_str(&format_text(format));
                    }
                    out.push('}');
                }
            }
        }
        out.push('"');
        out
    }
}

/// A parenthesis with comments inside, over several lines.
fn parenthesized(inner: Element, last: &super::Gap) -> Doc {
    let mut docs = Vec::new();
    push_comments(&mut docs, &inner.gap, "");
    docs.extend([Doc::Line(""), inner.doc]);
    push_comments(&mut docs, last, "");
    docs!["(", Doc::from(docs).nest(), Doc::Line(""), ")"].group()
}

/// The level of an expression's outermost operator.
fn tightness(expr: &Expr) -> u8 {
    match &expr.kind {
        ExprKind::Binary { op, .. } => level_of(*op),
        ExprKind::As { .. } => level::AS,
        ExprKind::Unary { .. } => level::UNARY,
        ExprKind::Int { text, .. } | ExprKind::Float { text, .. } if text.starts_with('-') => {
            level::UNARY
        }
        // These begin as an operand does; `reaches_right` knows how they end.
        ExprKind::Lambda { .. }
        | ExprKind::Comprehension { .. }
        | ExprKind::Reduction { .. }
        | ExprKind::Int { .. }
        | ExprKind::Float { .. }
        | ExprKind::Bool(_)
        | ExprKind::None
        | ExprKind::Str(_)
        | ExprKind::Name(_)
        | ExprKind::Spread(_)
        | ExprKind::Paren(_)
        | ExprKind::Tuple(_)
        | ExprKind::Array(_)
        | ExprKind::Struct { .. }
        | ExprKind::Field { .. }
        | ExprKind::Call { .. }
        | ExprKind::Index { .. }
        | ExprKind::If { .. }
        | ExprKind::Block(_)
        | ExprKind::Scan { .. } => level::POSTFIX,
    }
}

/// Whether an expression is a number as it is written, perhaps with a sign.
fn is_number(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Int { .. } | ExprKind::Float { .. } => true,
        ExprKind::Unary { operand, .. } => is_number(operand),
        _ => false,
    }
}

/// Whether an expression takes in every operator that follows it.
fn reaches_right(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Comprehension { .. } | ExprKind::Reduction { .. } => true,
        ExprKind::Lambda { body, .. } => !matches!(body.kind, ExprKind::Block(_)),
        _ => false,
    }
}

/// Whether an expression may stay on the line where it begins while what its brackets hold is
/// broken over the lines below: one that they end, or one that ends with such a one.
pub(super) fn hugs(expr: &Expr) -> bool {
    match &expr.kind {
        ExprKind::Array(_)
        | ExprKind::Struct { .. }
        | ExprKind::Block(_)
        | ExprKind::If { .. }
        | ExprKind::Scan { .. } => true,
        ExprKind::Paren(body)
        | ExprKind::Lambda { body, .. }
        | ExprKind::Comprehension { body, .. }
        | ExprKind::Reduction { body, .. } => hugs(body),
        ExprKind::Call { args, .. } => last_hugs(args),
        _ => false,
    }
}

fn last_hugs(args: &[Arg]) -> bool {
    args.last().is_some_and(|arg| hugs(&arg.value))
}

/// Text in quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    escape(text, &mut out);
    out.push('"');
    out
}

/// Adds `text` as it is written inside quotes. Characters that cannot be seen are escaped.
fn escape(text: &str, out: &mut String) {
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            '\0' => out.push_str("\\0"),
            '{' => out.push_str("{{"),
            '}' => out.push_str("}}"),
            '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' => out.extend(c.escape_unicode()),
            c if c.is_control() => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
}

/// `[<|>|^][width][.precision][e|%]`
fn format_text(format: &Format) -> String {
    let mut out = String::new();
    out.push_str(match format.align {
        Some(Align::Left) => "<",
        Some(Align::Right) => ">",
        Some(Align::Center) => "^",
        Some(Align::Zeros) => "0",
        None => "",
    });
    if let Some(width) = format.width {
        out.push_str(&width.to_string());
    }
    if let Some(precision) = format.precision {
        out.push_str(&format!(".{precision}"));
    }
    out.push_str(match format.style {
        FormatStyle::Plain => "",
        FormatStyle::Exponent => "e",
        FormatStyle::Percent => "%",
        FormatStyle::Characters => "c",
    });
    out
}
