//! Which name means what: the files of a program, their items, and what their imports bind.
//!
//! A [`World`] is built once, before any type is looked at, and does not change afterwards. A name that
//! an import could not find is reported here and stays unbound. Names are looked up among the file's own
//! items and imports, then in the prelude; locals and built-in functions are the walk's business.

use super::library;
use super::suggest::nearest;
use crate::diag::{Code, Diagnostic, Diagnostics, SourceId, Sources, Span, codes};
use crate::syntax::{ast, parse};
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};
use tensc_runtime::DType;

/// Gives the text of files that a program imports.
pub struct SourceLoader {
    read: Box<Reading>,
}

/// From the name of the importing source and the path it writes (with `/` and `.tx`) to the name by
/// which an import of the same file from elsewhere is recognised, and the text; or a sentence.
type Reading = dyn Fn(&str, &str) -> Result<(String, String), String>;

impl SourceLoader {
    /// A loader that asks `read` with the name of the importing source and the path it writes. It
    /// gives the name by which an import of the same file from elsewhere is recognised, and the
    /// text; or a sentence for the user.
    pub fn new(
        read: impl Fn(&str, &str) -> Result<(String, String), String> + 'static,
    ) -> SourceLoader {
        SourceLoader { read: Box::new(read) }
    }

    /// A loader for programs that consist of one file.
    pub fn none() -> SourceLoader {
        SourceLoader::new(|_, _| Err("there are no other files here".to_string()))
    }

    /// A loader that reads files relative to the folder of the importing one; what the root
    /// source imports is relative to `base`.
    pub fn files(base: PathBuf) -> SourceLoader {
        let known: RefCell<FxHashMap<String, PathBuf>> = RefCell::default();
        SourceLoader::new(move |from, path| {
            let folder = known.borrow().get(from).cloned().unwrap_or_else(|| base.clone());
            let file = folder.join(path);
            let text = std::fs::read_to_string(&file).map_err(|e| e.to_string())?;
            let name = shown(&base, &file);
            let folder = file.parent().unwrap_or(Path::new("")).to_path_buf();
            known.borrow_mut().insert(name.clone(), folder);
            Ok((name, text))
        })
    }
}

/// What a file is called: relative to the root's folder where it is below it, and the same however
/// it is reached.
fn shown(base: &Path, file: &Path) -> String {
    let base = if base.as_os_str().is_empty() { Path::new(".") } else { base };
    let whole = file.canonicalize().unwrap_or_else(|_| file.to_path_buf());
    let below =
        base.canonicalize().ok().and_then(|b| Some(whole.strip_prefix(b).ok()?.to_path_buf()));
    below.unwrap_or(whole).display().to_string()
}

impl fmt::Debug for SourceLoader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SourceLoader")
    }
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub(crate) struct $name(u32);
        impl $name {
            fn new(index: usize) -> $name {
                $name(u32::try_from(index).expect("fewer than 2^32 items"))
            }
            fn index(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

ids! {
    /// A file, or a folder of the standard library.
    ModuleId
    /// A function.
    FnId
    /// A struct.
    StructId
}

/// What a name of a module means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Def {
    Fn(FnId),
    Struct(StructId),
    Module(ModuleId),
    /// An `input` of this position in the module.
    Input(usize),
    /// What an import did not find, which was reported.
    Missing,
}

/// What a generic parameter ranges over, once its uses have been looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum GenericSort {
    Dim,
    Pack,
    DType(DTypeBound),
    Tree,
}

/// A set of element types.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum DTypeBound {
    Float,
    Int,
    Number,
    Any,
}

impl GenericSort {
    /// Whether the element type may stand for such a parameter.
    pub(crate) fn accepts(self, dtype: DType) -> bool {
        match self {
            GenericSort::DType(DTypeBound::Float) => dtype.is_float(),
            GenericSort::DType(DTypeBound::Int) => dtype.is_int(),
            GenericSort::DType(DTypeBound::Number) => dtype != DType::Bool,
            GenericSort::DType(DTypeBound::Any) => true,
            GenericSort::Dim | GenericSort::Pack | GenericSort::Tree => false,
        }
    }
}

/// A function of the program or the library.
#[derive(Clone, Debug)]
pub(crate) struct FnDef {
    pub(crate) module: ModuleId,
    pub(crate) decl: ast::FnDecl,
    pub(crate) sorts: Vec<GenericSort>,
    pub(crate) span: Span,
}

/// A struct of the program or the library.
#[derive(Clone, Debug)]
pub(crate) struct StructDef {
    pub(crate) module: ModuleId,
    pub(crate) decl: ast::StructDecl,
    pub(crate) sorts: Vec<GenericSort>,
}

/// An `input`.
#[derive(Clone, Debug)]
pub(crate) struct InputDef {
    pub(crate) decl: ast::InputDecl,
    pub(crate) span: Span,
    pub(crate) doc: String,
}

/// A file with its names.
#[derive(Clone, Debug)]
pub(crate) struct Module {
    /// The dotted path for the library, the name of the source otherwise.
    pub(crate) name: String,
    /// Whether it is part of the library: errors in it are shown at the call from the program.
    pub(crate) is_std: bool,
    pub(crate) names: FxHashMap<String, (Def, Span)>,
    pub(crate) inputs: Vec<InputDef>,
    pub(crate) main: Option<(ast::Block, Span)>,
    pub(crate) tests: Vec<(ast::Test, Span)>,
    pub(crate) fns: Vec<FnId>,
}

/// Every file of a program.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    modules: Vec<Module>,
    fns: Vec<FnDef>,
    structs: Vec<StructDef>,
    prelude: Option<ModuleId>,
    std_sources: Vec<SourceId>,
    /// Whether some file could not be read to its end, or declarations contradict themselves: the
    /// errors are reported, and a walk would only add to them.
    incomplete: bool,
}

impl World {
    pub(crate) fn module(&self, id: ModuleId) -> &Module {
        &self.modules[id.index()]
    }
    pub(crate) fn function(&self, id: FnId) -> &FnDef {
        &self.fns[id.index()]
    }
    pub(crate) fn structure(&self, id: StructId) -> &StructDef {
        &self.structs[id.index()]
    }
    /// Whether there is no sense in walking the program: what is wrong was reported.
    pub(crate) fn incomplete(&self) -> bool {
        self.incomplete
    }
    /// Every struct.
    pub(crate) fn structs(&self) -> impl Iterator<Item = &StructDef> {
        self.structs.iter()
    }
    /// Whether the span lies in the standard library.
    pub(crate) fn in_std(&self, span: Span) -> bool {
        self.std_sources.contains(&span.source)
    }

    /// What `name` means in a file, locals and built-in functions apart.
    pub(crate) fn lookup(&self, module: ModuleId, name: &str) -> Option<Def> {
        let own = self.module(module).names.get(name);
        let prelude = || self.module(self.prelude?).names.get(name);
        own.or_else(prelude).map(|(def, _)| *def)
    }

    /// The member of a module.
    pub(crate) fn member(&self, module: ModuleId, name: &str) -> Option<Def> {
        self.module(module).names.get(name).map(|(def, _)| *def)
    }

    /// Every name that [`World::lookup`] knows.
    pub(crate) fn names(&self, module: ModuleId) -> impl Iterator<Item = &str> {
        let prelude = self.prelude.into_iter().flat_map(|p| self.module(p).names.keys());
        self.module(module).names.keys().chain(prelude).map(String::as_str)
    }

    /// What a dotted path means.
    pub(crate) fn resolve(&self, module: ModuleId, path: &ast::Path) -> Option<Def> {
        let (head, rest) = path.segments.split_first()?;
        let mut def = self.lookup(module, &head.name)?;
        for segment in rest {
            let Def::Module(inner) = def else { break };
            def = self.member(inner, &segment.name)?;
        }
        Some(def)
    }

    /// The struct that a path names.
    pub(crate) fn resolve_struct(&self, module: ModuleId, path: &ast::Path) -> Option<StructId> {
        match self.resolve(module, path)? {
            Def::Struct(id) => Some(id),
            Def::Fn(_) | Def::Module(_) | Def::Input(_) | Def::Missing => None,
        }
    }
}

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
    let name = reader.sources.get(root).name.clone();
    let root = reader.read(root, name, false);
    let (mut world, diags) = (reader.world, reader.diags);
    find_sorts(&mut world);
    world.incomplete |= has_endless_structs(&world, diags);
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
        let names = module.names.keys().map(String::as_str).chain(below);
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
            let found = self.member(parent, path.last());
            if found.is_none() {
                self.no_member(parent, path.last());
            }
            return found;
        }
        if is_std {
            let known = library::MODULES.iter().map(|(name, _)| *name);
            let help = nearest(&dotted, known).map(|n| format!("there is `{n}`"));
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

/// Finds what each generic parameter without a bound ranges over: a tree where it stands for a type,
/// a size otherwise. A struct's answer may depend on another's, so this goes on until nothing changes.
fn find_sorts(world: &mut World) {
    for i in 0..world.structs.len() {
        world.structs[i].sorts = declared_sorts(&world.structs[i].decl.generics);
    }
    loop {
        let mut changes = Vec::new();
        for (i, def) in world.structs.iter().enumerate() {
            let types: Vec<&ast::Type> = def.decl.fields.iter().map(|f| &f.ty).collect();
            let sorts = used_sorts(world, def.module, &def.decl.generics, &def.sorts, &types);
            if sorts != def.sorts {
                changes.push((i, sorts));
            }
        }
        if changes.is_empty() {
            break;
        }
        for (i, sorts) in changes {
            world.structs[i].sorts = sorts;
        }
    }
    for i in 0..world.fns.len() {
        let def = &world.fns[i];
        let types = def.decl.params.iter().filter_map(|p| p.ty.as_ref()).chain(&def.decl.ret);
        let types: Vec<&ast::Type> = types.collect();
        let declared = declared_sorts(&def.decl.generics);
        let sorts = used_sorts(world, def.module, &def.decl.generics, &declared, &types);
        world.fns[i].sorts = sorts;
    }
}

fn declared_sorts(generics: &[ast::GenericParam]) -> Vec<GenericSort> {
    let sort = |g: &ast::GenericParam| match g.kind {
        ast::GenericKind::Plain => GenericSort::Dim,
        ast::GenericKind::Pack => GenericSort::Pack,
        ast::GenericKind::Float => GenericSort::DType(DTypeBound::Float),
        ast::GenericKind::Int => GenericSort::DType(DTypeBound::Int),
        ast::GenericKind::Number => GenericSort::DType(DTypeBound::Number),
        ast::GenericKind::DType => GenericSort::DType(DTypeBound::Any),
        ast::GenericKind::Tree => GenericSort::Tree,
    };
    generics.iter().map(sort).collect()
}

fn used_sorts(
    world: &World,
    module: ModuleId,
    generics: &[ast::GenericParam],
    known: &[GenericSort],
    types: &[&ast::Type],
) -> Vec<GenericSort> {
    let mut sorts = known.to_vec();
    let mut mark = |name: &str| {
        let found =
            generics.iter().position(|g| g.name.name == name && g.kind == ast::GenericKind::Plain);
        if let Some(i) = found {
            sorts[i] = GenericSort::Tree;
        }
    };
    types.iter().for_each(|ty| mark_trees(world, module, ty, &mut mark));
    sorts
}

/// Calls `mark` with each lone name that stands where a type must.
fn mark_trees(world: &World, module: ModuleId, ty: &ast::Type, mark: &mut dyn FnMut(&str)) {
    match &ty.kind {
        ast::TypeKind::Paren(inner) => mark_trees(world, module, inner, mark),
        ast::TypeKind::Tuple(items) => {
            items.iter().for_each(|t| mark_trees(world, module, t, mark));
        }
        ast::TypeKind::Record(fields) => {
            fields.iter().for_each(|f| mark_trees(world, module, &f.ty, mark));
        }
        ast::TypeKind::Fn { params, ret } => {
            params.iter().for_each(|t| mark_trees(world, module, t, mark));
            mark_trees(world, module, ret, mark);
        }
        ast::TypeKind::Named { path, args } => {
            if let (Some(name), true) = (path.as_name(), args.is_empty()) {
                mark(&name.name);
            }
            let def = world.resolve_struct(module, path);
            let sorts = def.map_or(&[][..], |d| &world.structure(d).sorts);
            for (i, arg) in args.iter().enumerate() {
                match arg {
                    ast::GenericArg::Type(ty) => mark_trees(world, module, ty, mark),
                    ast::GenericArg::Dim(ast::Dim { kind: ast::DimKind::Name(name), .. })
                        if sorts.get(i) == Some(&GenericSort::Tree) =>
                    {
                        mark(name);
                    }
                    ast::GenericArg::Dim(_) => {}
                }
            }
        }
    }
}

/// Reports structs that contain themselves, if there are any: a value of one would never end.
fn has_endless_structs(world: &World, diags: &mut Diagnostics) -> bool {
    fn contains(world: &World, from: StructId, target: StructId, seen: &mut Vec<StructId>) -> bool {
        let def = world.structure(from);
        let mut found = false;
        for field in &def.decl.fields {
            each_struct(world, def.module, &field.ty, &mut |inner| {
                if inner == target {
                    found = true;
                } else if !seen.contains(&inner) {
                    seen.push(inner);
                    found |= contains(world, inner, target, seen);
                }
            });
        }
        found
    }
    let mut any = false;
    for index in 0..world.structs.len() {
        let id = StructId::new(index);
        if contains(world, id, id, &mut Vec::new()) {
            any = true;
            let name = &world.structure(id).decl.name;
            let message = format!("the struct `{}` contains itself", name.name);
            diags.push(Diagnostic::error(codes::ENDLESS_STRUCT, name.span, message));
        }
    }
    any
}

fn each_struct(world: &World, module: ModuleId, ty: &ast::Type, f: &mut dyn FnMut(StructId)) {
    match &ty.kind {
        ast::TypeKind::Paren(inner) => each_struct(world, module, inner, f),
        ast::TypeKind::Tuple(items) => {
            items.iter().for_each(|t| each_struct(world, module, t, f));
        }
        ast::TypeKind::Record(fields) => {
            fields.iter().for_each(|field| each_struct(world, module, &field.ty, f));
        }
        ast::TypeKind::Fn { .. } => {}
        ast::TypeKind::Named { path, args } => {
            if let Some(def) = world.resolve_struct(module, path) {
                f(def);
            }
            for arg in args {
                if let ast::GenericArg::Type(ty) = arg {
                    each_struct(world, module, ty, f);
                }
            }
        }
    }
}
