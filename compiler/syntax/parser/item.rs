//! Items: what stands at the top level of a file.

use super::{Failed, Parsed, Parser};
use crate::diag::{Diagnostic, codes};
use crate::syntax::ast::{
    ExprKind, FnDecl, Ident, Import, ImportName, ImportSource, InputDecl, Item, ItemKind, Param,
    StrLit, StructDecl, StructField, Test,
};
use crate::syntax::delimiters::starts_item;
use crate::syntax::token::TokenKind as T;

impl Parser<'_> {
    /// All items up to the end of the file.
    pub(super) fn items(&mut self) -> Vec<Item> {
        let mut items = Vec::new();
        while !self.is(T::Eof) {
            if self.eat(T::Semi) {
                continue;
            }
            let start = self.at;
            match self.item().and_then(|item| self.end_of_line("an item").map(|()| item)) {
                Ok(item) => items.push(item),
                Err(Failed) => {
                    (self.newlines, self.structs) = (true, true);
                    self.leave_brackets(start);
                    if self.at == start {
                        self.bump();
                    }
                    self.skip_to_item();
                }
            }
        }
        items
    }

    /// Skips to the next line on which an item starts, or should, as the indentation says.
    fn skip_to_item(&mut self) {
        let starts = |p: &Self| {
            let token = p.peek();
            let word = token.kind == T::Ident || token.kind.is_reserved();
            token.first_on_line && (p.at_item() || (token.indent == 0 && word))
        };
        while !self.is(T::Eof) {
            self.skip_to(starts);
            if starts(self) {
                return;
            }
            self.bump();
        }
    }

    /// Whether an item starts at the current token.
    pub(super) fn at_item(&self) -> bool {
        let upto = self.tokens.len().min(self.at + 3);
        starts_item(&self.tokens[self.at..upto], self.text)
    }

    /// Reports what follows `what` on the line where it ends.
    pub(super) fn end_of_line(&mut self, what: &str) -> Parsed<()> {
        match self.peek().kind {
            T::Semi | T::RBrace | T::Eof => Ok(()),
            _ if self.peek().first_on_line => Ok(()),
            _ => Err(self.unexpected(&format!("a new line after {what}"))),
        }
    }

    fn item(&mut self) -> Parsed<Item> {
        let docs = self.docs();
        let first = self.peek().span;
        let kind = match self.peek().kind {
            T::Import => self.import().map(ItemKind::Import),
            T::Struct => self.struct_decl().map(ItemKind::Struct),
            T::Fn => {
                self.bump();
                self.fn_decl().map(ItemKind::Fn)
            }
            T::Ident if self.is_word("main") => {
                self.bump();
                self.block("`{` and the statements of `main`").map(ItemKind::Main)
            }
            T::Ident if self.is_word("test") => self.test().map(ItemKind::Test),
            T::Ident if self.is_word("input") => self.input().map(ItemKind::Input),
            T::Ident if self.is_function_elsewhere() => {
                let word = self.bump();
                let message =
                    format!("functions start with `fn`, not `{}`", self.text_of(word.span));
                self.report(Diagnostic::error(codes::FOREIGN_WORD, word.span, message));
                self.fn_decl().map(ItemKind::Fn)
            }
            _ => Err(self.not_an_item()),
        }?;
        Ok(Item { docs, kind, span: self.since(first) })
    }

    /// Reports that no item starts here.
    fn not_an_item(&mut self) -> Failed {
        let statement = matches!(
            self.peek().kind,
            T::Let | T::Var | T::For | T::While | T::If | T::Break | T::Continue | T::Scan
        ) || (self.is(T::Ident)
            && matches!(self.kind(1), T::LParen | T::Assign | T::Dot));
        if statement {
            let message = "statements stand inside `main { … }`, a `test` or a function";
            let span = self.peek().span;
            let d = Diagnostic::error(codes::UNEXPECTED, span, message);
            self.report(d.help("put it into `main { … }`"));
            Failed
        } else {
            self.unexpected("`import`, `struct`, `fn`, `input`, `main` or `test`")
        }
    }

    fn import(&mut self) -> Parsed<Import> {
        self.bump();
        let mut braces = false;
        let source = if self.is(T::Str) {
            let file = self.str_lit()?;
            if self.eat(T::Dot) {
                self.expect(T::LBrace, "`{` and the names to import")?;
                braces = true;
            }
            ImportSource::File(file)
        } else {
            let head = self.ident("a module or a file to import")?;
            let first = head.span;
            let mut segments = vec![head];
            while !braces && self.eat(T::Dot) {
                braces = self.eat(T::LBrace);
                if !braces {
                    segments.push(self.ident("a name or `{` after the dot")?);
                }
            }
            let span = first.to(segments[segments.len() - 1].span);
            ImportSource::Path(crate::syntax::ast::Path { segments, span })
        };
        if braces {
            let (names, _) = self.list(T::RBrace, "a name", |p| {
                let name = p.ident("a name to import")?;
                Ok(ImportName { name, alias: p.alias()? })
            });
            return Ok(Import { source, names: Some(names), alias: None });
        }
        Ok(Import { source, names: None, alias: self.alias()? })
    }

    /// `as name`, if there is one.
    fn alias(&mut self) -> Parsed<Option<Ident>> {
        match self.eat(T::As) {
            true => self.ident("the other name").map(Some),
            false => Ok(None),
        }
    }

    fn struct_decl(&mut self) -> Parsed<StructDecl> {
        self.bump();
        let name = self.ident("the name of the struct")?;
        let generics = self.generics()?;
        let constraints = self.constraints()?;
        self.expect(T::LBrace, "`{` and the fields of the struct")?;
        let (fields, _) = self.list(T::RBrace, "a field", Self::struct_field);
        Ok(StructDecl { name, generics, constraints, fields })
    }

    fn struct_field(&mut self) -> Parsed<StructField> {
        let docs = self.docs();
        let first = self.peek().span;
        let frozen = self.is_word("frozen") && self.kind(1) == T::Ident;
        if frozen {
            self.bump();
        }
        let name = self.ident("the name of a field")?;
        self.expect(T::Colon, "`:` and the type of the field")?;
        let ty = self.ty()?;
        if self.is(T::Assign) {
            let d = Diagnostic::error(
                codes::UNEXPECTED,
                self.peek().span,
                "fields have no default values",
            );
            self.report(d.help("write a function that makes the struct"));
            return Err(Failed);
        }
        Ok(StructField { docs, frozen, name, ty, span: self.since(first) })
    }

    /// What follows `fn`.
    fn fn_decl(&mut self) -> Parsed<FnDecl> {
        let name = self.ident("the name of the function")?;
        let generics = self.generics()?;
        self.expect(T::LParen, "`(` and the parameters")?;
        let (params, _) = self.list(T::RParen, "a parameter", |p| p.param(true));
        let ret = self.result_type()?;
        let constraints = self.constraints()?;
        let body = match self.peek().kind {
            T::LBrace => {
                let block = self.block("`{`")?;
                let span = block.span;
                crate::syntax::ast::Expr::new(ExprKind::Block(block), span)
            }
            T::Assign => {
                let equals = self.bump();
                if self.at_new_line() && self.at_item() {
                    let message = format!("`{}` has no body", name.name);
                    let d = Diagnostic::error(codes::UNEXPECTED, equals.span, message);
                    self.report(d.help("its value stands after the `=`"));
                    return Err(Failed);
                }
                self.expr()?
            }
            _ => return Err(self.unexpected("`=` or `{` and the body of the function")),
        };
        Ok(FnDecl { name, generics, params, ret, constraints, body })
    }

    /// `-> Type`, if there is one.
    pub(super) fn result_type(&mut self) -> Parsed<Option<crate::syntax::ast::Type>> {
        match self.eat(T::Arrow) {
            true => self.ty().map(Some),
            false => Ok(None),
        }
    }

    /// A parameter of a function, or of a lambda, where the type may be missing.
    pub(super) fn param(&mut self, typed: bool) -> Parsed<Param> {
        let first = self.peek().span;
        let is_static = self.is_word("static") && self.kind(1) == T::Ident;
        if is_static {
            self.bump();
        }
        let name = self.ident("the name of a parameter")?;
        let ty = if self.eat(T::Colon) {
            Some(self.ty()?)
        } else if typed && matches!(self.peek().kind, T::Comma | T::RParen | T::Assign) {
            let message = format!("the parameter `{}` needs a type", name.name);
            let d = Diagnostic::error(codes::MISSING_TYPE, name.span, message);
            self.report(d.help(format!("write `{}: f32[N]`, for example", name.name)));
            None
        } else if typed {
            return Err(self.unexpected("`:` and the type of the parameter"));
        } else {
            None
        };
        let default = match self.eat(T::Assign) {
            true => Some(self.expr()?),
            false => None,
        };
        Ok(Param { is_static, name, ty, default, span: self.since(first) })
    }

    fn input(&mut self) -> Parsed<InputDecl> {
        self.bump();
        let name = self.ident("the name of the input")?;
        self.expect(T::Colon, "`:` and the type of the input")?;
        let ty = self.ty()?;
        self.expect(T::Assign, "`=` and the value where none is given")?;
        Ok(InputDecl { name, ty, default: self.expr()? })
    }

    fn test(&mut self) -> Parsed<Test> {
        self.bump();
        if self.is(T::Str) {
            let name = self.str_lit()?;
            let body = self.block("`{` and the statements of the test")?;
            return Ok(Test::Block { name, body });
        }
        let name = self.ident("the name of the test in quotes, or a property")?;
        self.expect(T::LParen, "`(` and what the property is checked on")?;
        Ok(Test::Property { name, args: self.args() })
    }

    /// A string without interpolation.
    fn str_lit(&mut self) -> Parsed<StrLit> {
        let token = self.bump();
        let value = self.plain_string(token)?;
        Ok(StrLit { value, span: token.span })
    }
}
