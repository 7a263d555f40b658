//! Turning what went wrong into diagnostics: where in the user's text, through which calls, and
//! where the sizes that disagree come from.

use super::{Walk, show_shape};
use crate::check::suggest;
use crate::check::types::{Mismatch, Type};
use crate::check::value::{SizeSource, Value};
use crate::diag::{Code, Diagnostic, Diagnostics, Label, Span, codes};
use crate::graph::ops::TypeError;
use crate::graph::{Dim, DimVar, NodeId, TensorType};
use crate::syntax::ast;

/// Proof that a diagnostic was reported.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Reported(());

/// Calls of the chain that are shown.
const MAX_CALLS: usize = 3;

impl<'w> Walk<'w> {
    /// Reports an error at a place.
    pub(crate) fn error(&mut self, code: Code, span: Span, message: impl Into<String>) -> Reported {
        self.report(Diagnostic::error(code, span, message))
    }

    /// Reports a diagnostic whose primary place may be inside a callee: what is inside the library
    /// is shown at the call from the program, and calls between are named.
    pub(crate) fn report(&mut self, mut diagnostic: Diagnostic) -> Reported {
        if let Some(primary) = diagnostic.primary.clone() {
            let frames = self.frames.iter().rev();
            let mut calls = frames.filter_map(|f| f.call.map(|span| (f.name.clone(), span)));
            if self.world.in_std(primary.span)
                && let Some((name, span)) = calls.by_ref().find(|(_, s)| !self.world.in_std(*s))
            {
                let inside = one_line(self.sources.text(primary.span));
                let text = match primary.text.is_empty() {
                    true => format!("in `{inside}` of `{name}`"),
                    false => format!("in `{inside}`: {}", primary.text),
                };
                diagnostic.primary = Some(Label { span, text });
                diagnostic.secondary.retain(|l| !self.world.in_std(l.span));
            }
            let seen = diagnostic.primary.as_ref().map(|l| l.span);
            let calls = calls.filter(|(_, s)| !self.world.in_std(*s) && Some(*s) != seen);
            let calls: Vec<_> = calls.take(MAX_CALLS).collect();
            for (name, span) in calls {
                diagnostic = diagnostic.label(span, format!("in this call of `{name}`"));
            }
        }
        self.keep(diagnostic)
    }

    /// Keeps a diagnostic as it is. One mistake in a function that is called often is one error.
    pub(crate) fn keep(&mut self, diagnostic: Diagnostic) -> Reported {
        let place = |d: &Diagnostic| d.primary.as_ref().map(|l| l.span);
        let same = |d: &Diagnostic| d.code == diagnostic.code && place(d) == place(&diagnostic);
        if diagnostic.primary.is_none() || !self.diags.iter().any(same) {
            self.diags.push(diagnostic);
        }
        Reported(())
    }

    /// Runs `f` and gives what it reported instead of keeping it.
    pub(crate) fn listening<T>(&mut self, f: impl FnOnce(&mut Self) -> T) -> (T, Diagnostics) {
        let before = std::mem::take(&mut self.diags);
        let given_up = self.given_up;
        let result = f(self);
        // The message may be dropped: who goes on comes to another.
        self.given_up = given_up;
        (result, std::mem::replace(&mut self.diags, before))
    }

    /// That something was reported, where a value says so.
    pub(crate) fn reported(&self) -> Reported {
        Reported(())
    }

    pub(crate) fn too_large(&mut self, span: Span) -> Reported {
        self.given_up = true;
        let message = "this program grows too large when its calls are replaced by their bodies";
        self.error(codes::TOO_LARGE, span, message)
    }

    /// What the user wrote at a span, on one line.
    pub(crate) fn text(&self, span: Span) -> String {
        one_line(self.sources.text(span))
    }

    /// `x is f32[B, 784]`
    pub(crate) fn describe(&self, span: Span, ty: &Type) -> String {
        format!("{} is {}", self.text(span), ty.show(self.world))
    }

    pub(crate) fn show(&self, value: &Value<'w>) -> String {
        self.ty(value).show(self.world)
    }

    /// A value of another kind was expected.
    pub(crate) fn expected(&mut self, what: &str, found: &Value<'w>, span: Span) -> Reported {
        self.expected_with((what, None), found, span)
    }

    /// As `expected`, with what to write instead.
    pub(crate) fn expected_with(
        &mut self,
        (what, help): (&str, Option<&str>),
        found: &Value<'w>,
        span: Span,
    ) -> Reported {
        if found.is_error() {
            return Reported(());
        }
        let found = match found {
            Value::Unit => "nothing".to_string(),
            Value::Function(_) => "a function".to_string(),
            value => self.show(value),
        };
        let message = format!("expected {what}, found {found}");
        let mut diagnostic = Diagnostic::error(codes::TYPE_MISMATCH, span, message);
        diagnostic.help.extend(help.map(str::to_string));
        self.report(diagnostic)
    }

    /// An operation's shape rule said no.
    pub(crate) fn operation_refused(
        &mut self,
        error: &TypeError,
        operands: &[NodeId],
        span: Span,
    ) -> Reported {
        let mut diagnostic = Diagnostic::error(codes::SHAPE_MISMATCH, span, &error.message);
        for &(operand, axis) in &error.axes {
            let Some(&node) = operands.get(operand) else { continue };
            if axis < self.node_ty(node).rank() {
                diagnostic = self.with_size(diagnostic, node, axis);
            }
        }
        self.report(diagnostic)
    }

    /// Adds where the size of an axis comes from.
    pub(crate) fn with_size(
        &self,
        diagnostic: Diagnostic,
        node: NodeId,
        axis: usize,
    ) -> Diagnostic {
        let size = self.node_ty(node).shape[axis].clone();
        match self.trace(node, axis) {
            Some(source) => self.with_source(diagnostic, &size, &source),
            None => diagnostic,
        }
    }

    pub(crate) fn with_source(
        &self,
        diagnostic: Diagnostic,
        size: &Dim,
        source: &SizeSource,
    ) -> Diagnostic {
        if self.world.in_std(source.span) {
            return diagnostic;
        }
        let text = format!("{size} comes from here");
        if diagnostic.secondary.iter().any(|l| l.span == source.span && l.text == text) {
            return diagnostic;
        }
        diagnostic.label(source.span, text)
    }

    /// Two sizes that should be equal are not: where both come from, and what to change. Each is a
    /// node's axis.
    pub(crate) fn with_sizes(
        &self,
        diagnostic: Diagnostic,
        left: (NodeId, usize),
        right: (NodeId, usize),
    ) -> Diagnostic {
        let size = |(node, axis): (NodeId, usize)| self.node_ty(node).shape[axis].clone();
        let (a, b) = (size(left), size(right));
        let (from, to) = (self.trace(left.0, left.1), self.trace(right.0, right.1));
        self.with_sources(diagnostic, (&a, from), (&b, to))
    }

    /// As [`Walk::with_sizes`], for sizes with what they were found to come from.
    pub(crate) fn with_sources(
        &self,
        mut diagnostic: Diagnostic,
        left: (&Dim, Option<SizeSource>),
        right: (&Dim, Option<SizeSource>),
    ) -> Diagnostic {
        for (size, source) in [&left, &right] {
            if let Some(source) = source {
                diagnostic = self.with_source(diagnostic, size, source);
            }
        }
        match self.advice(&(left.1, right.1), left.0, right.0) {
            Some(help) => diagnostic.help(help),
            None => diagnostic,
        }
    }

    /// Where the size of an axis comes from, if there is one to ask about.
    pub(crate) fn source_of(&self, at: Option<(NodeId, usize)>) -> Option<SizeSource> {
        at.and_then(|(node, axis)| self.trace(node, axis))
    }

    /// `change it to Dense[784, 512], or `out` to Dense[128, 10]`
    fn advice(
        &self,
        sources: &(Option<SizeSource>, Option<SizeSource>),
        a: &Dim,
        b: &Dim,
    ) -> Option<String> {
        let rewritten = |source: &SizeSource, size: &Dim| {
            // What has names of another function's tells nothing here.
            let told = |var: &DimVar| self.frame().generics.get(&var.name).is_some();
            if !size.vars().iter().all(told) {
                return None;
            }
            let ty = source.ty.filter(|_| !self.world.in_std(source.span))?;
            // Only what the user wrote as a number is theirs to change here.
            self.sources.text(source.span).parse::<i64>().ok()?;
            let text = self.sources.text(ty);
            let (from, to) = (source.span.start - ty.start, source.span.end - ty.start);
            Some(format!("{}{size}{}", &text[..from as usize], &text[to as usize..]))
        };
        let first = sources.0.as_ref().and_then(|s| Some((s, rewritten(s, b)?)));
        let second = sources.1.as_ref().and_then(|s| Some((s, rewritten(s, a)?)));
        let named = |source: &SizeSource| match &source.owner {
            Some(owner) => format!("`{owner}`"),
            None => "the other".to_string(),
        };
        match (first, second) {
            (Some((_, first)), Some((other, second))) => {
                Some(format!("change it to {first}, or {} to {second}", named(other)))
            }
            (Some((source, text)), None) | (None, Some((source, text))) => {
                Some(format!("change {} to {text}", named(source)))
            }
            (None, None) => None,
        }
    }

    /// A written type that has no meaning here.
    pub(crate) fn bad_type(&mut self, ty: &ast::Type, mismatch: Mismatch) -> Reported {
        match mismatch {
            Mismatch::Unknown(name) => self.unknown_type(&name),
            Mismatch::Malformed(span, message) => self.error(codes::BAD_TYPE, span, message),
            Mismatch::Reported => self.reported(),
            Mismatch::Open(name) => {
                let message = format!("nothing tells what `{name}` is here");
                self.error(codes::CANNOT_INFER, ty.span, message)
            }
            Mismatch::Size { .. }
            | Mismatch::Rank
            | Mismatch::DType(_)
            | Mismatch::Tree(_)
            | Mismatch::Kind => {
                unreachable!("a type alone has nothing to differ from")
            }
        }
    }

    /// A name in a type that stands for nothing.
    pub(crate) fn unknown_type(&mut self, name: &ast::Ident) -> Reported {
        let module = self.module();
        if let Some(private) = self.world.private_elsewhere(module, name) {
            return self.report(private);
        }
        if tensc_runtime::DType::from_name(&name.name).is_some() {
            let message = format!("`{}` is an element type, a size is expected here", name.name);
            let diagnostic = Diagnostic::error(codes::UNKNOWN_TYPE, name.span, message);
            let help = "a parameter that is an element type is declared so: `T: float`";
            return self.report(diagnostic.help(help));
        }
        let generics = self.frame().generics.0.iter().map(|b| b.name.as_str());
        let dtypes = tensc_runtime::DType::ALL.map(|d| d.name());
        let known = self.world.names(module).chain(generics).chain(dtypes);
        let message = format!("`{}` is no type and no size that is known here", name.name);
        let diagnostic = Diagnostic::error(codes::UNKNOWN_TYPE, name.span, message);
        let mut diagnostic = suggest::instead(diagnostic, &name.name, known);
        if diagnostic.help.is_empty() && name.name.len() == 1 {
            let (what, dots) = match self.text_after(name.span).starts_with("...") {
                true => ("sizes", "..."),
                false => ("a size", ""),
            };
            let brackets = format!("`fn f[{}{dots}](…)`", name.name);
            diagnostic = diagnostic
                .help(format!("declare {what} in the brackets of the function: {brackets}"));
        }
        self.report(diagnostic)
    }

    /// A reduction along an axis of what it meets, as it is written when it keeps the axis.
    fn keeping(&self, one: &TensorType, other: &TensorType, at: Span) -> Option<String> {
        let text = self.sources.text(at);
        let along = text.contains("axis =") && !text.contains("keep =");
        let open = text.strip_suffix(')').filter(|_| along)?;
        lacks_an_axis(&one.shape, &other.shape).then(|| format!("{open}, keep = true)"))
    }

    /// A number that is known stands where a key must.
    pub(crate) fn no_key(&mut self, at: Span) -> Reported {
        let text = self.text(at);
        let diagnostic = Diagnostic::error(codes::TYPE_MISMATCH, at, "a key was expected here");
        self.report(diagnostic.help(format!("make one from a seed: key({text})")))
    }

    /// What is written behind a place.
    pub(crate) fn text_after(&self, span: Span) -> &str {
        &self.sources.get(span.source).text[span.end as usize..]
    }

    /// How to call the function that is for a struct and called like it, where the struct itself
    /// was called: `dense(m, …)` for `m(…)`.
    pub(crate) fn function_of(&self, value: &Value<'w>, span: Span) -> Option<String> {
        let Value::Struct(of, _) = value else { return None };
        let def = self.world.structure(of.def);
        let plain = |name: &str| name.replace('_', "").to_lowercase();
        let fits = |name: &str| plain(name) == plain(&def.decl.name.name);
        let functions = self.world.module(def.module).fns.iter();
        let mut names = functions.map(|id| &self.world.function(*id).decl.name.name);
        let name = names.find(|name| fits(name))?;
        Some(format!("a struct holds numbers alone; write {name}({}, …)", self.text(span)))
    }

    /// Shapes that do not broadcast, found at these axes.
    pub(crate) fn no_broadcast(
        &mut self,
        what: &str,
        left: (NodeId, usize, Span),
        right: (NodeId, usize, Span),
        span: Span,
    ) -> Reported {
        let ty = |node: NodeId| self.node_ty(node).clone();
        let (l, r) = (ty(left.0), ty(right.0));
        let (a, b) = (&l.shape[left.1], &r.shape[right.1]);
        let message = format!(
            "{what} needs shapes that broadcast, found {} and {}",
            show_shape(&l.shape),
            show_shape(&r.shape),
        );
        let text = format!(
            "{}, {}: {a} and {b} differ",
            self.describe(left.2, &Type::Tensor(l.clone())),
            self.describe(right.2, &Type::Tensor(r.clone())),
        );
        let mut diagnostic = Diagnostic::error(codes::BROADCAST, span, message).here(text);
        diagnostic = self.with_sizes(diagnostic, (left.0, left.1), (right.0, right.1));
        let named = |d: &Dim| matches!(d, Dim::Poly(_));
        if (named(a) && b.known().is_none_or(|n| n != 1)) || named(b) {
            let note = "a named size never stretches: only a missing axis or a literal 1 does";
            diagnostic = diagnostic.note(note);
        }
        for (one, other, at) in [(&l, &r, left.2), (&r, &l, right.2)] {
            if let Some(keeping) = self.keeping(one, other, at) {
                diagnostic.help = vec![format!("keep the axis that goes: {keeping}")];
                break;
            }
            if one.rank() == 1 && other.rank() == 2 && one.shape[0] == other.shape[0] {
                diagnostic =
                    diagnostic.help(format!("a value for each row: {}[:, None]", self.text(at)));
            }
        }
        self.report(diagnostic)
    }
}

/// Whether a shape is another without one of its axes.
fn lacks_an_axis(one: &[Dim], other: &[Dim]) -> bool {
    let without = |axis: usize| other[..axis].iter().chain(&other[axis + 1..]);
    one.len() + 1 == other.len() && (0..other.len()).any(|axis| without(axis).eq(one))
}

/// Text on one line, shortened.
fn one_line(text: &str) -> String {
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.chars().count() > 60 {
        line = line.chars().take(57).collect::<String>() + "…";
    }
    line
}
