//! Items as text.

use super::doc::{Doc, docs, hug};
use super::expr::{hugs, quoted};
use super::{BRACES, Brackets, PARENS, Printer, push_comments};
use crate::syntax::ast::{
    Constraint, ExprKind, FnDecl, Ident, Import, ImportName, ImportSource, Item, ItemKind, Param,
    StructDecl, Test,
};

impl Printer<'_> {
    /// An item without its documentation.
    pub(super) fn item(&mut self, item: &Item) -> Doc {
        match &item.kind {
            ItemKind::Import(import) => self.import(import, item.span.end),
            ItemKind::Struct(decl) => self.struct_decl(decl, item.span.end),
            ItemKind::Fn(decl) => self.fn_decl(decl),
            ItemKind::Input(input) => {
                let (ty, default) = (self.ty(&input.ty), self.expr(&input.default));
                docs!["input ", input.name.name.clone(), ": ", ty, " = ", default]
            }
            ItemKind::Main(block) => docs!["main ", self.block(block)],
            ItemKind::Test(Test::Block { name, body }) => {
                docs!["test ", quoted(&name.value), " ", self.block(body)]
            }
            ItemKind::Test(Test::Property { name, args }) => {
                docs!["test ", name.name.clone(), self.args(args, item.span.end)]
            }
        }
    }

    fn import(&mut self, import: &Import, end: u32) -> Doc {
        let source = match &import.source {
            ImportSource::Path(path) => path.to_string(),
            ImportSource::File(file) => quoted(&file.value),
        };
        let members = match &import.names {
            None => alias(import.alias.as_ref()),
            Some(names) => {
                let tight = Brackets { pad: "", ..BRACES };
                let span = |n: &ImportName| n.name.span;
                let names = self.list(tight, names, span, end, |_, n| {
                    docs![n.name.name.clone(), alias(n.alias.as_ref())]
                });
                docs![".", names]
            }
        };
        docs!["import ", source, members]
    }

    fn struct_decl(&mut self, decl: &StructDecl, end: u32) -> Doc {
        let first = decl.fields.first().map_or(end, |f| f.span.start);
        let generics = self.generics(&decl.generics, start_of(&decl.constraints).min(first));
        let constraints = self.constraints(&decl.constraints);
        let brackets = Brackets { blanks: true, ..BRACES };
        let fields = self.list(
            brackets,
            &decl.fields,
            |f| f.span,
            end,
            |p, f| {
                let frozen = if f.frozen { "frozen " } else { "" };
                docs![doc_lines(&f.docs), frozen, f.name.name.clone(), ": ", p.ty(&f.ty)]
            },
        );
        docs!["struct ", decl.name.name.clone(), generics, constraints, " ", fields]
    }

    fn fn_decl(&mut self, decl: &FnDecl) -> Doc {
        let after = start_of(&decl.constraints).min(decl.body.span.start);
        let end = decl.ret.as_ref().map_or(after, |ty| ty.span.start);
        let first = decl.params.first().map_or(end, |p| p.span.start);
        let generics = self.generics(&decl.generics, first);
        let params = self.params(&decl.params, end);
        let ret = match &decl.ret {
            Some(ty) => docs![" -> ", self.ty(ty).whole()],
            None => Doc::Nil,
        };
        let constraints = self.constraints(&decl.constraints);
        let head = docs!["fn ", decl.name.name.clone(), generics, params, ret, constraints];
        if let ExprKind::Block(block) = &decl.body.kind {
            return docs![head, " = ", self.block(block)];
        }
        let gap = self.gap(decl.body.span.start, u32::MAX);
        let mut before = Vec::new();
        push_comments(&mut before, &gap, " ");
        before.push(Doc::Line(" "));
        let body = self.expr(&decl.body);
        let body = match hugs(&decl.body) {
            true => hug(before, body, Doc::Nil),
            false => docs![docs![before, body].nest()].group(),
        };
        docs![head, " =", body]
    }

    /// The parameters of a function, parentheses included.
    pub(super) fn params(&mut self, params: &[Param], end: u32) -> Doc {
        self.list(
            PARENS,
            params,
            |p| p.span,
            end,
            |p, param| {
                let is_static = if param.is_static { "static " } else { "" };
                let ty = match &param.ty {
                    Some(ty) => docs![": ", p.ty(ty)],
                    None => Doc::Nil,
                };
                let default = match &param.default {
                    Some(default) => docs![" = ", p.expr(default)],
                    None => Doc::Nil,
                };
                docs![is_static, param.name.name.clone(), ty, default]
            },
        )
    }
}

/// Where the constraints begin; far away where there are none.
fn start_of(constraints: &[Constraint]) -> u32 {
    constraints.first().map_or(u32::MAX, |c| c.span.start)
}

/// ` as name`, or nothing.
fn alias(name: Option<&Ident>) -> Doc {
    match name {
        Some(name) => docs![" as ", name.name.clone()],
        None => Doc::Nil,
    }
}

/// `/// …` lines.
pub(super) fn doc_lines(lines: &[String]) -> Doc {
    let mut docs = Vec::new();
    for line in lines {
        let blank = if line.is_empty() { "" } else { " " };
        docs.extend([docs!["///", blank, line.clone()], Doc::Hard(" ")]);
    }
    docs.into()
}
