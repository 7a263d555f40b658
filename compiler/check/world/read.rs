//! Reading files: their items, and what their imports bind, each file once.

use super::super::library;
use super::super::suggest::nearest;
use super::sorts::{find_sorts, has_bad_defaults, has_endless_structs};
use super::{
    Def, FnDef, FnId, InputDef, Module, ModuleId, SourceLoader, StructDef, StructId, World,
};
use crate::diag::{Code, Diagnostic, Diagnostics, SourceId, Sources, Span, codes};
use crate::syntax::{ast, parse};
use rustc_hash::FxHashMap;

/// Reads a program: the source `root`, the prelude, and all that they import.
pub(crate) fn load(
    sources: &mut Sources,
    root: SourceId,
    loader: &SourceLoader,
    diags: &mut Diagnostics,
) -> (World, ModuleId) {
    let mut reader = Reader {
        world: World::default(),
        sources,
        loader,
        diags,
        by_name: FxHashMap::default(),
        reading: Vec::new(),
    };
    let prelude = reader.library("std.prelude", None);
    reader.world.prelude = prelude;
    let name = loader.root.clone().unwrap_or_else(|| reader.sources.get(root).name.clone());
    let root = reader.read(root, name, false);
    let (mut world, diags) = (reader.world, reader.diags);
    find_sorts(&mut world);
    world.incomplete |= has_endless_structs(&world, diags);
    world.incomplete |= has_bad_defaults(&world, diags);
    (world, root)
}

struct Reader<'a> {
    world: World,
    sources: &'a mut Sources,
    loader: &'a SourceLoader,
    diags: &'a mut Diagnostics,
    by_name: FxHashMap<String, ModuleId>,
    /// Files whose imports are being read, outermost first.
    reading: Vec<String>,
}

impl Reader<'_> {
    fn error(&mut self, code: Code, span: Span, message: impl Into<String>) {
        self.diags.push(Diagnostic::error(code, span, message));
    }

    /// The module of this file: its own names first, so that its imports cannot replace them.
    fn read(&mut self, source: SourceId, name: String, is_std: bool) -> ModuleId {
        if is_std {
            self.world.std_sources.push(source);
        }
        let (file, diagnostics) = parse(source, &self.sources.get(source).text);
        self.world.incomplete |= diagnostics.has_errors();
        self.diags.extend(diagnostics);
        let id = ModuleId::new(self.world.modules.len());
        self.world.modules.push(Module {
            name: name.clone(),
            is_std,
            names: FxHashMap::default(),
            inputs: Vec::new(),
            main: None,
            tests: Vec::new(),
            fns: Vec::new(),
        });
        self.by_name.insert(name.clone(), id);
        let mut imports = Vec::new();
        for item in file.items {
            match item.kind {
                ast::ItemKind::Import(import) => imports.push(import),
                kind => self.define(id, kind, item.span, item.docs),
            }
        }
        self.reading.push(name);
        for import in imports {
            self.import(id, import);
        }
        self.reading.pop();
        id
    }

    fn define(&mut self, module: ModuleId, kind: ast::ItemKind, span: Span, docs: Vec<String>) {
        match kind {
            ast::ItemKind::Struct(decl) => {
                let id = StructId::new(self.world.structs.len());
                self.bind(module, &decl.name, Def::Struct(id));
                self.check_names("field", decl.fields.iter().map(|f| &f.name));
                self.check_names("generic parameter", decl.generics.iter().map(|g| &g.name));
                self.world.structs.push(StructDef { module, decl, sorts: Vec::new() });
            }
            ast::ItemKind::Fn(decl) => {
                let id = FnId::new(self.world.fns.len());
                self.bind(module, &decl.name, Def::Fn(id));
                self.check_names("parameter", decl.params.iter().map(|p| &p.name));
                self.check_names("generic parameter", decl.generics.iter().map(|g| &g.name));
                self.world.modules[module.index()].fns.push(id);
                self.world.fns.push(FnDef { module, decl, sorts: Vec::new(), span });
            }
            ast::ItemKind::Input(decl) => {
                let position = self.world.module(module).inputs.len();
                self.bind(module, &decl.name, Def::Input(position));
                let doc = docs.join("\n");
                self.world.modules[module.index()].inputs.push(InputDef { decl, span, doc });
            }
            ast::ItemKind::Main(body) => {
                let head = Span::new(span.source, span.start as usize, span.start as usize + 4);
                match &self.world.module(module).main {
                    None => self.world.modules[module.index()].main = Some((body, head)),
                    Some((_, first)) => {
                        let message = "a program has one `main`";
                        let error = Diagnostic::error(codes::DUPLICATE, head, message);
                        self.diags.push(error.label(*first, "the first is here"));
                    }
                }
            }
            ast::ItemKind::Test(test) => {
                self.world.modules[module.index()].tests.push((test, span));
            }
            ast::ItemKind::Import(_) => unreachable!("imports are read apart"),
        }
    }

    /// Reports names that occur twice in one list.
    fn check_names<'i>(&mut self, what: &str, names: impl Iterator<Item = &'i ast::Ident>) {
        let mut seen: FxHashMap<&str, Span> = FxHashMap::default();
        for name in names {
            if let Some(first) = seen.insert(&name.name, name.span) {
                let message = format!("the {what} `{}` is declared twice", name.name);
                let error = Diagnostic::error(codes::DUPLICATE, name.span, message);
                self.diags.push(error.label(first, "first here"));
                self.world.incomplete = true;
            }
        }
    }

    fn bind(&mut self, module: ModuleId, name: &ast::Ident, def: Def) {
        let names = &mut self.world.modules[module.index()].names;
        match names.get(&name.name) {
            Some((before, _)) if *before == def => {}
            Some((_, first)) => {
                let message = format!("`{}` is defined twice", name.name);
                let error = Diagnostic::error(codes::DUPLICATE, name.span, message);
                self.diags.push(error.label(*first, "first here"));
            }
            None => {
                names.insert(name.name.clone(), (def, name.span));
            }
        }
    }

    fn import(&mut self, module: ModuleId, import: ast::Import) {
        let (found, bound_as) = match &import.source {
            ast::ImportSource::File(file) => {
                let found = self.file(module, &file.value, file.span).map(Def::Module);
                let stem = file.value.rsplit('/').next().unwrap_or(&file.value);
                let name = stem.strip_suffix(".tx").unwrap_or(stem).to_string();
                (found, ast::Ident { name, span: file.span })
            }
            ast::ImportSource::Path(path) => {
                (self.path(module, path, import.names.is_some()), path.last().clone())
            }
        };
        let found = found.unwrap_or(Def::Missing);
        let Some(names) = import.names else {
            if let Def::Module(folder) = found {
                self.fill(folder);
            }
            self.bind(module, &import.alias.unwrap_or(bound_as), found);
            return;
        };
        if found == Def::Missing {
            for ast::ImportName { name, alias } in names {
                self.bind(module, &alias.unwrap_or(name), Def::Missing);
            }
            return;
        }
        let Def::Module(from) = found else {
            self.error(codes::UNKNOWN_MODULE, bound_as.span, "this is not a module");
            return;
        };
        for ast::ImportName { name, alias } in names {
            if let Some(private) = self.world.private(from, &name) {
                self.diags.push(private);
                self.bind(module, &alias.unwrap_or(name), Def::Missing);
                continue;
            }
            match self.member(from, &name) {
                Some(def) => self.bind(module, &alias.unwrap_or(name), def),
                None => {
                    self.no_member(from, &name);
                    self.bind(module, &alias.unwrap_or(name), Def::Missing);
                }
            }
        }
    }

    /// An item of a module, or a library module below it.
    fn member(&mut self, from: ModuleId, name: &ast::Ident) -> Option<Def> {
        if let Some(def) = self.world.member(from, &name.name) {
            return Some(def);
        }
        let module = self.world.module(from);
        let below = format!("{}.{}", module.name, name.name);
        if !module.is_std {
            return None;
        }
        self.library(&below, Some(name.span)).map(Def::Module)
    }

    fn no_member(&mut self, from: ModuleId, name: &ast::Ident) {
        let module = self.world.module(from);
        let inside = format!("{}.", module.name);
        let below = library::MODULES.iter().filter_map(|(n, _)| n.strip_prefix(&inside));
        let names = self.world.public_names(from).chain(below);
        let help = nearest(&name.name, names).map(|n| format!("there is `{n}`"));
        let message = format!("`{}` has no `{}`", module.name, name.name);
        let mut error = Diagnostic::error(codes::UNKNOWN_MEMBER, name.span, message);
        error.help.extend(help);
        self.diags.push(error);
    }

    /// What a dotted path names: a module, or the item of the module before its last segment.
    fn path(&mut self, importer: ModuleId, path: &ast::Path, module_only: bool) -> Option<Def> {
        let dotted = path.to_string();
        let is_std = path.segments[0].name == "std";
        let module = |reader: &mut Self, dotted: &str, report: bool| match is_std {
            true => reader.library(dotted, Some(path.span)),
            false => {
                let file = format!("{}.tx", dotted.replace('.', "/"));
                let span = report.then_some(path.span);
                reader.try_file(importer, &file, span)
            }
        };
        if let Some(found) = module(self, &dotted, module_only || path.segments.len() == 1) {
            return Some(Def::Module(found));
        }
        let before = dotted.rsplit_once('.').map(|(before, _)| before.to_string());
        if let (false, Some(before)) = (module_only, before)
            && let Some(parent) = module(self, &before, !is_std)
        {
            if let Some(private) = self.world.private(parent, path.last()) {
                self.diags.push(private);
                return None;
            }
            let found = self.member(parent, path.last());
            if found.is_none() {
                self.no_member(parent, path.last());
            }
            return found;
        }
        if is_std {
            let known = library::MODULES.iter().map(|(name, _)| *name);
            let last = dotted.rsplit('.').next().unwrap_or_default();
            let help = match library::homes(last).first() {
                Some(home) => Some(format!("`{last}` is in the library: import {home}")),
                None => nearest(&dotted, known).map(|n| format!("there is `{n}`")),
            };
            let message = format!("the standard library has no module `{dotted}`");
            let mut error = Diagnostic::error(codes::UNKNOWN_MODULE, path.span, message);
            error.help.extend(help);
            self.diags.push(error);
        }
        None
    }

    /// A module of the library: a file, or a folder of files.
    fn library(&mut self, dotted: &str, from: Option<Span>) -> Option<ModuleId> {
        if let Some(&module) = self.by_name.get(dotted) {
            if let (Some(span), true) = (from, self.reading.iter().any(|n| n == dotted)) {
                self.cycle(dotted, span);
                return None;
            }
            return Some(module);
        }
        if let Some((_, text)) = library::MODULES.iter().find(|(name, _)| *name == dotted) {
            let name = format!("{}.tx", dotted.replace('.', "/"));
            let source = self.sources.add(name, *text);
            return Some(self.read(source, dotted.to_string(), true));
        }
        let inside = format!("{dotted}.");
        library::MODULES.iter().any(|(name, _)| name.starts_with(&inside)).then(|| {
            let id = ModuleId::new(self.world.modules.len());
            self.world.modules.push(Module {
                name: dotted.to_string(),
                is_std: true,
                names: FxHashMap::default(),
                inputs: Vec::new(),
                main: None,
                tests: Vec::new(),
                fns: Vec::new(),
            });
            self.by_name.insert(dotted.to_string(), id);
            id
        })
    }

    /// Reads what is in a folder of the library that is named as a whole: `optim.adam` is one of
    /// its modules.
    fn fill(&mut self, folder: ModuleId) {
        let module = self.world.module(folder);
        if !module.is_std || library::MODULES.iter().any(|(name, _)| *name == module.name) {
            return;
        }
        let inside = format!("{}.", module.name);
        let below = library::MODULES.iter().filter_map(|(name, _)| name.strip_prefix(&inside));
        let mut names: Vec<&str> = below.filter_map(|rest| rest.split('.').next()).collect();
        names.dedup();
        for name in names {
            if let Some(id) = self.library(&format!("{inside}{name}"), None) {
                self.fill(id);
                // Nobody wrote its name: it stands at the start of its text.
                let span = Span::new(self.world.std_sources[0], 0, 0);
                let names = &mut self.world.modules[folder.index()].names;
                names.entry(name.to_string()).or_insert((Def::Module(id), span));
            }
        }
    }

    fn file(&mut self, importer: ModuleId, path: &str, span: Span) -> Option<ModuleId> {
        self.try_file(importer, path, Some(span))
    }

    /// The module of a file; says why there is none where a span is given.
    fn try_file(&mut self, importer: ModuleId, path: &str, span: Option<Span>) -> Option<ModuleId> {
        let from = self.world.module(importer).name.clone();
        match (self.loader.read)(&from, path) {
            Ok((name, text)) => match self.by_name.get(&name) {
                Some(_) if self.reading.contains(&name) => {
                    if let Some(span) = span {
                        self.cycle(&name, span);
                    }
                    None
                }
                Some(&module) => Some(module),
                None => {
                    let source = self.sources.add(name.clone(), text);
                    Some(self.read(source, name, false))
                }
            },
            Err(why) => {
                if let Some(span) = span {
                    let message = format!("`{path}` cannot be imported: {why}");
                    self.error(codes::UNREADABLE_IMPORT, span, message);
                }
                None
            }
        }
    }

    fn cycle(&mut self, name: &str, span: Span) {
        let start = self.reading.iter().position(|n| n == name).unwrap_or(0);
        let mut chain: Vec<&str> = self.reading[start..].iter().map(String::as_str).collect();
        chain.push(name);
        let message = "files import each other in a circle";
        let error = Diagnostic::error(codes::IMPORT_CYCLE, span, message);
        let error = error.note(chain.join(" imports "));
        self.diags.push(error.help("move what both need into a third file"));
    }
}
