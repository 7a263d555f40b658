//! Names, types and symbolic sizes: from syntax to the typed program.
//!
//! `world` finds out what each name means; `walk` evaluates function bodies on values that are not
//! known, building symbolic graphs whose shape rules find the mistakes; `define` makes functions of
//! that, `script` makes `main` and tests into host steps around graphs. `builtin` is the table of
//! built-in functions, `library` the embedded standard library, `typed` what comes out.
//!
//! Invariant: a program comes out only where no error was reported, and then nothing after this
//! reports a mistake of the user that could have been found without running.
//!
//! Neighbours: `syntax` below gives trees; `graph` operations and their rules; `autodiff`
//! gradients.

mod builtin;
mod define;
mod library;
mod script;
mod suggest;
#[cfg(test)]
mod tests;
pub mod typed;
mod types;
mod value;
mod walk;
mod world;

pub use suggest::nearest;
pub use world::SourceLoader;

use crate::diag::{Diagnostics, SourceId, Sources, codes};
use crate::graph::TensorType;
use crate::syntax::ast;
use tensc_runtime::{DType, Scalar};
use typed::{Function, Tree, TypedProgram};
use walk::Walk;
use world::{Def, GenericSort, ModuleId, World};

/// What is kept of a program for instantiating its generic functions.
#[derive(Clone, Debug)]
pub(crate) struct Checked {
    world: World,
    root: ModuleId,
    sources: Sources,
}

/// Checks a program: the source `root`, which is in `sources` already, and all that it imports,
/// which is added. The program is there where no error was found.
pub fn check(
    sources: &mut Sources,
    root: SourceId,
    loader: &SourceLoader,
) -> (Option<TypedProgram>, Diagnostics) {
    let mut diagnostics = Diagnostics::default();
    let (world, root) = world::load(sources, root, loader, &mut diagnostics);
    // What could not be read would only be reported as missing.
    if world.incomplete() {
        return (None, diagnostics);
    }
    let sources = &*sources;
    let program = deep(|| {
        let mut walk = Walk::new(&world, sources);
        let mut program = TypedProgram::default();
        for &id in &world.module(root).fns {
            program.functions.extend(define::define(&mut walk, id));
            // What calls a function that grows too large would only grow as large, and as slowly.
            if walk.diags.iter().any(|d| d.code == codes::TOO_LARGE) {
                diagnostics.extend(walk.diags);
                return program;
            }
            walk.reset();
        }
        program.main = script::main(&mut walk, root);
        program.tests = script::tests(&mut walk, root);
        diagnostics.extend(walk.diags);
        program
    });
    if diagnostics.has_errors() {
        return (None, diagnostics);
    }
    let checked = Checked { world, root, sources: sources.clone() };
    (Some(TypedProgram { checked: Some(checked.into()), ..program }), diagnostics)
}

/// A parameter of a function, as far as it matters to who calls from outside.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: String,
    /// Whether it has a default.
    pub optional: bool,
    /// Whether it is declared a tensor, and not a struct, tuple or function.
    pub tensor: bool,
}

/// The parameters of a function of the program, generic or not; `None` where there is none of this
/// name.
pub fn parameters(program: &TypedProgram, name: &str) -> Option<Vec<Parameter>> {
    let Checked { world, root, .. } = &**program.checked.as_ref()?;
    let Some(Def::Fn(id)) = world.member(*root, name) else { return None };
    let def = world.function(id);
    let is_dtype = |name: &str| {
        let mut generics = def.decl.generics.iter().zip(&def.sorts);
        DType::from_name(name).is_some()
            || generics
                .any(|(g, sort)| g.name.name == name && matches!(sort, GenericSort::DType(_)))
    };
    let is_tensor = |ty: &ast::Type| match &ty.kind {
        ast::TypeKind::Named { path, .. } => path.as_name().is_some_and(|n| is_dtype(&n.name)),
        _ => false,
    };
    let parameter = |param: &ast::Param| Parameter {
        name: param.name.name.clone(),
        optional: param.default.is_some(),
        tensor: param.ty.as_ref().is_some_and(is_tensor),
    };
    Some(def.decl.params.iter().map(parameter).collect())
}

/// What a parameter is given from outside.
#[derive(Clone, PartialEq, Debug)]
pub enum Given {
    /// Data of these types.
    Data(Tree<TensorType>),
    /// A number or flag that the compiler knows, of the type that the parameter asks for.
    Known(Scalar),
}

/// A function of the program for what some of its parameters are given, by name; the others are
/// what they are by default. So functions that are generic over more than sizes have a graph, which
/// has an input for each leaf of the data.
///
/// # Errors
/// Where there is no such function, or what is given does not fit it.
pub fn instantiate(
    program: &TypedProgram,
    name: &str,
    given: &[(String, Given)],
) -> Result<Function, Diagnostics> {
    let checked = program.checked.as_ref().expect("a program that was checked");
    let Checked { world, root, sources } = &**checked;
    let Some(Def::Fn(id)) = world.member(*root, name) else {
        let fns = world.module(*root).fns.iter();
        let known: Vec<&str> = fns.map(|&id| world.function(id).decl.name.name.as_str()).collect();
        return Err(define::unknown_function(name, &known).into());
    };
    deep(|| {
        let mut walk = Walk::new(world, sources);
        // Names of sizes in the arguments must not meet those made here.
        walk.avoid_dims(given.iter().filter_map(|(_, given)| match given {
            Given::Data(tree) => Some(tree),
            Given::Known(_) => None,
        }));
        match define::instantiate(&mut walk, id, given) {
            Ok(function) => Ok(function),
            Err(_) => Err(walk.diags),
        }
    })
}

/// Runs `f` on a stack that is deep enough for the nesting that the walk allows.
fn deep<T: Send>(f: impl FnOnce() -> T + Send) -> T {
    const STACK: usize = 256 << 20;
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, f);
        match thread.expect("a thread can be started").join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
