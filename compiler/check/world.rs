//! Which name means what: the files of a program, their items, and what their imports bind.
//!
//! A [`World`] is built once, before any type is looked at, and does not change afterwards. A name
//! that an import could not find is reported here and stays unbound. Names are looked up among the
//! file's own items and imports, then in the prelude; locals and built-in functions are the walk's
//! business. `read` reads the files, `sorts` what generic parameters range over.

mod read;
mod sorts;

pub(crate) use read::load;

use crate::diag::{Diagnostic, SourceId, Span, codes};
use crate::syntax::ast;
use rustc_hash::FxHashMap;
use std::cell::RefCell;
use std::fmt;
use std::path::{Path, PathBuf};
use tensc_runtime::DType;

/// Gives the text of files that a program imports.
pub struct SourceLoader {
    read: Box<Reading>,
    /// By what name an import of the root is recognised, where that is not what it is called.
    root: Option<String>,
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
        SourceLoader { read: Box::new(read), root: None }
    }

    /// A loader for programs that consist of one file.
    pub fn none() -> SourceLoader {
        SourceLoader::new(|_, _| Err("there are no other files here".to_string()))
    }

    /// A loader that reads files relative to the folder of the importing one; what the root
    /// source imports is relative to `base`. `root` is its file, if it is one.
    pub fn files(base: PathBuf, root: Option<&Path>) -> SourceLoader {
        let root = root.map(|file| shown(&base, file));
        let known: RefCell<FxHashMap<String, PathBuf>> = RefCell::default();
        let loader = SourceLoader::new(move |from, path| {
            let folder = known.borrow().get(from).cloned().unwrap_or_else(|| base.clone());
            let file = folder.join(path);
            let text = crate::syntax::read_file(&file)?;
            let name = shown(&base, &file);
            let folder = file.parent().unwrap_or(Path::new("")).to_path_buf();
            known.borrow_mut().insert(name.clone(), folder);
            Ok((name, text))
        });
        SourceLoader { root, ..loader }
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

/// The element type that a generic parameter is where nothing else is said.
pub(crate) fn default_of(param: &ast::GenericParam) -> Option<DType> {
    param.default.as_ref().and_then(|name| DType::from_name(&name.name))
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
        own.map(|(def, _)| *def).or_else(|| self.in_prelude(name))
    }

    /// What `name` means in every file that does not say otherwise.
    pub(crate) fn in_prelude(&self, name: &str) -> Option<Def> {
        let names = &self.module(self.prelude?).names;
        names.get(name).filter(|_| !is_private(name)).map(|(def, _)| *def)
    }

    /// The member of a module.
    pub(crate) fn member(&self, module: ModuleId, name: &str) -> Option<Def> {
        self.module(module).names.get(name).map(|(def, _)| *def)
    }

    /// The names of a module that other files see.
    pub(crate) fn public_names(&self, module: ModuleId) -> impl Iterator<Item = &str> {
        self.module(module).names.keys().map(String::as_str).filter(|name| !is_private(name))
    }

    /// That a name of a module is not for the file that uses it.
    pub(crate) fn private(&self, module: ModuleId, name: &ast::Ident) -> Option<Diagnostic> {
        let (_, declared) = self.module(module).names.get(&name.name)?;
        if !is_private(&name.name) {
            return None;
        }
        let message = format!("`{}` is visible in `{}` only", name.name, self.module(module).name);
        let error = Diagnostic::error(codes::PRIVATE, name.span, message);
        let error = error.note("names that start with `_` are those of their own file");
        Some(match self.in_std(*declared) {
            true => error,
            false => error.label(*declared, "it is defined here"),
        })
    }

    /// The same for a name that some other file defines, where the use does not say which.
    pub(crate) fn private_elsewhere(
        &self,
        module: ModuleId,
        name: &ast::Ident,
    ) -> Option<Diagnostic> {
        let others = (0..self.modules.len()).map(ModuleId::new).filter(|&other| other != module);
        let defines = |other: &ModuleId| {
            self.member(*other, &name.name).is_some_and(|def| !matches!(def, Def::Missing))
        };
        others.filter(defines).find_map(|other| self.private(other, name))
    }

    /// Every name that [`World::lookup`] knows.
    pub(crate) fn names(&self, module: ModuleId) -> impl Iterator<Item = &str> {
        let prelude = self.prelude.into_iter().flat_map(|p| self.public_names(p));
        self.module(module).names.keys().map(String::as_str).chain(prelude)
    }

    /// What a dotted path means.
    pub(crate) fn resolve(&self, module: ModuleId, path: &ast::Path) -> Option<Def> {
        let (head, rest) = path.segments.split_first()?;
        let mut def = self.lookup(module, &head.name)?;
        for segment in rest {
            let Def::Module(inner) = def else { break };
            def = self.member(inner, &segment.name).filter(|_| !is_private(&segment.name))?;
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

/// Whether only the file that defines a name sees it.
fn is_private(name: &str) -> bool {
    name.starts_with('_')
}
