//! A checked source, as a host program holds it.

pub use crate::check::typed::Tree;
use crate::check::typed::{self, TestKind, TypedProgram};
use crate::check::{self, SourceLoader};
pub use crate::check::{Given, Parameter};
use crate::diag::{Diagnostic, Diagnostics, SourceId, Sources, codes, render};
use crate::graph::{DimVar, Graph, Origin, TensorType, both_halves};
use crate::script::{self, Console, Environment};
use crate::session::sizes::{Datum, Sizes, bind};
use crate::session::{Argument, CallError, Compiled, Input, Session, Subject};
use crate::syntax;
use std::fmt;
use std::hash::Hash;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tensc_runtime::{Scalar, Tensor, TensorView};

/// Messages with the sources they are about: what compiling or running gives instead of a result.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The sources.
    pub sources: Sources,
    /// The messages, at least one of them an error.
    pub diagnostics: Diagnostics,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for diagnostic in self.diagnostics.iter() {
            writeln!(f, "{}", render::render(&self.sources, diagnostic, false))?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

/// A source in the one formatting, comments kept.
///
/// # Errors
/// What keeps it from being read; names and types are not looked at.
pub fn format(name: &str, text: &str) -> Result<String, Failure> {
    let mut sources = Sources::default();
    let id = sources.add(name, text);
    let (file, diagnostics) = syntax::parse(id, text);
    match diagnostics.has_errors() {
        true => Err(Failure { sources, diagnostics }),
        false => Ok(syntax::print(&file)),
    }
}

/// A checked source.
#[derive(Clone, Debug)]
pub struct Module {
    sources: Sources,
    program: TypedProgram,
    warnings: Diagnostics,
    base: PathBuf,
}

impl Module {
    /// Checks the file at `path` and what it imports.
    ///
    /// # Errors
    /// What is wrong with the file or its imports.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Module, Failure> {
        let path = path.as_ref();
        let text = syntax::read_file(path).map_err(|e| {
            let message = format!("cannot read {}: {e}", path.display());
            let diagnostics = Diagnostic::global(codes::CANNOT_READ_SOURCE, message).into();
            Failure { sources: Sources::default(), diagnostics }
        })?;
        let base = path.parent().unwrap_or(Path::new("")).to_path_buf();
        let loader = SourceLoader::files(base.clone(), Some(path));
        Module::check(&path.display().to_string(), text, base, &loader)
    }

    /// Checks a source that stands in memory; files it imports or loads are relative to the working
    /// directory.
    ///
    /// # Errors
    /// What is wrong with the source.
    pub fn from_source(name: &str, text: impl Into<String>) -> Result<Module, Failure> {
        let loader = SourceLoader::files(PathBuf::new(), None);
        Module::check(name, text.into(), PathBuf::new(), &loader)
    }

    fn check(
        name: &str,
        text: String,
        base: PathBuf,
        loader: &SourceLoader,
    ) -> Result<Module, Failure> {
        let mut sources = Sources::default();
        let root = sources.add(name, text);
        let (program, diagnostics) = check::check(&mut sources, root, loader);
        match program {
            Some(program) if !diagnostics.has_errors() => {
                Ok(Module { sources, program, warnings: diagnostics, base })
            }
            _ => Err(Failure { sources, diagnostics }),
        }
    }

    /// The sources, for rendering messages.
    pub fn sources(&self) -> &Sources {
        &self.sources
    }
    /// The typed program.
    pub fn program(&self) -> &TypedProgram {
        &self.program
    }
    /// The `input`s of `main`: what a run can be given.
    pub fn inputs(&self) -> &[typed::Input] {
        self.program.main.as_ref().map_or(&[], |main| &main.inputs)
    }
    /// The syntax of the source itself, in the one formatting.
    pub fn formatted(&self) -> String {
        let root = SourceId(0);
        syntax::print(&syntax::parse(root, &self.sources.get(root).text).0)
    }
    /// What is probably not meant.
    pub fn warnings(&self) -> &Diagnostics {
        &self.warnings
    }

    /// The pure function of this name, if it is generic over sizes at most. One that is generic
    /// over types, ranks or parameter trees has a graph only for given types:
    /// [`Module::instantiate`] makes it.
    pub fn function(&self, name: &str) -> Option<Function> {
        let typed = self.program.functions.iter().find(|f| f.name == name)?;
        Some(Function::new(typed.clone()))
    }

    /// The function of this name, which may be generic over types too, for what some of its
    /// parameters are given; the others are what they are by default. A call takes the leaves of
    /// what is data, in the order of [`Function::parameters`].
    ///
    /// # Errors
    /// Where there is no such function, or what is given does not fit it.
    pub fn instantiate(&self, name: &str, given: &[(String, Given)]) -> Result<Function, Failure> {
        let typed = check::instantiate(&self.program, name, given);
        typed.map(Function::new).map_err(|diagnostics| self.failed(diagnostics))
    }

    /// The parameters of a function of this name, generic or not.
    pub fn parameters(&self, name: &str) -> Option<Vec<Parameter>> {
        check::parameters(&self.program, name)
    }

    /// Runs `main`.
    ///
    /// # Errors
    /// That there is no `main`, that an input is given which it does not have, twice, or of another
    /// type than its default, or what only running can tell.
    pub fn run(
        &self,
        session: &Session,
        options: &RunOptions,
        console: &mut dyn Console,
    ) -> Result<(), Failure> {
        let Some(main) = &self.program.main else {
            let message = format!("{} has no `main`", self.sources.name());
            return Err(self.failure(Diagnostic::global(codes::NO_MAIN, message)));
        };
        self.run_script(main, session, options, console)
    }

    /// Runs one `test` item.
    ///
    /// # Errors
    /// What fails.
    pub fn run_test(
        &self,
        test: &typed::Test,
        session: &Session,
        console: &mut dyn Console,
    ) -> Result<(), Failure> {
        match &test.kind {
            TestKind::Script(script) => {
                self.run_script(script, session, &RunOptions::default(), console)
            }
            TestKind::Gradient(gradient) => script::check_gradient(gradient, session, test.span)
                .map_err(|diagnostic| self.failure(diagnostic)),
        }
    }

    fn run_script(
        &self,
        script: &typed::Script,
        session: &Session,
        options: &RunOptions,
        console: &mut dyn Console,
    ) -> Result<(), Failure> {
        let inputs = &options.inputs;
        let environment = Environment { session, inputs, base: self.base.clone(), console };
        script::run(script, environment).map_err(|diagnostic| self.failure(diagnostic))
    }

    /// What a failed call of one of its functions says, where in the source: at the index that was
    /// out of range; at the parameter that an argument does not fit, and at those whose arguments
    /// told the sizes that it should have.
    pub fn call_failure(&self, error: &CallError) -> Failure {
        let diagnostic = script::call_failed(error, None);
        let mut labels = diagnostic.primary.iter().chain(&diagnostic.secondary);
        match labels.all(|label| self.sources.has(label.span)) {
            true => self.failure(diagnostic),
            false => self.failure(Diagnostic::global(diagnostic.code, error.to_string())),
        }
    }

    /// One message about this module, with its sources.
    pub fn failure(&self, diagnostic: Diagnostic) -> Failure {
        self.failed(diagnostic.into())
    }

    fn failed(&self, diagnostics: Diagnostics) -> Failure {
        Failure { sources: self.sources.clone(), diagnostics }
    }
}

/// What a run of `main` is given.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// Values of `input`s by name; the others take their defaults.
    pub inputs: Vec<(String, Scalar)>,
}

/// A pure function of a module, over named sizes. Sizes are solved from the arguments of each call;
/// each set of sizes is compiled once.
#[derive(Clone, Debug)]
pub struct Function {
    typed: Arc<typed::Function>,
    /// The hash of what it computes, and of where that is written.
    identity: u128,
}

impl Function {
    fn new(typed: typed::Function) -> Function {
        let identity = both_halves(|hasher| {
            (typed.graph.content_hash(), typed.graph.live_origins()).hash(hasher);
        });
        Function { typed: Arc::new(typed), identity }
    }

    /// The typed function: parameters, result, sizes, graph.
    pub fn typed(&self) -> &typed::Function {
        &self.typed
    }

    /// Name and type of each parameter leaf, in the order of a call's arguments: `m.hidden.w`.
    pub fn parameters(&self) -> Vec<(String, &TensorType)> {
        self.typed.params.iter().flat_map(|(name, tree)| tree.leaves(name)).collect()
    }

    /// Name and type of each leaf of the result.
    pub fn results(&self) -> Vec<(String, &TensorType)> {
        match &self.typed.result {
            Tree::Leaf(ty) => vec![("result".to_string(), ty)],
            tree => tree.leaves(""),
        }
    }

    /// The graph for arguments of these shapes.
    ///
    /// # Errors
    /// Where a shape does not fit the declared type or the sizes that others fix.
    pub fn specialise(&self, arguments: &[TensorView<'_>]) -> Result<Graph, CallError> {
        self.with_sizes(&self.solve(arguments)?)
    }

    /// The sizes that arguments tell.
    fn solve(&self, arguments: &[TensorView<'_>]) -> Result<Sizes, CallError> {
        let parameters = self.parameters();
        let input = |number: usize| Input {
            name: parameters[number].0.clone(),
            origin: self.typed.graph.node(self.typed.graph.inputs()[number].1).origin,
        };
        if parameters.len() != arguments.len() {
            return Err(CallError::count(parameters.len(), arguments.len(), input));
        }
        let mut sizes = Sizes::default();
        let data: Vec<Datum<'_>> = (parameters.iter().zip(arguments))
            .map(|((_, declared), argument)| {
                let (dtype, shape) = (argument.dtype(), argument.shape());
                Datum { declared, dtype, shape }
            })
            .collect();
        bind(&data, &mut sizes).map_err(|misfit| CallError::misfit(&data, misfit, input))?;
        match self.open_size() {
            Some(size) => Err(CallError::Open { function: self.typed.name.clone(), size }),
            None => Ok(sizes),
        }
    }

    fn with_sizes(&self, sizes: &Sizes) -> Result<Graph, CallError> {
        let graph = self.typed.graph.with_sizes(&|var| sizes.get(var).copied());
        graph.map_err(CallError::Size)
    }

    /// What a call with these arguments is of.
    fn subject(&self, arguments: &[TensorView<'_>], sizes: &Sizes) -> Subject {
        let value = |var: &DimVar| Some((var.name.to_string(), *sizes.get(var)?));
        let inputs = self.parameters().into_iter().zip(arguments);
        Subject {
            name: self.typed.name.clone(),
            origin: Origin::source(self.typed.span),
            sizes: self.typed.dims.iter().filter_map(value).collect(),
            inputs: inputs
                .map(|((name, _), given)| (name, given.dtype(), given.shape().clone()))
                .collect(),
            identity: self.identity,
        }
    }

    /// A size that no argument determines, such as `N` of `fn blank[N]() -> f32[N]`: other
    /// functions can call this one, a host program cannot.
    pub fn open_size(&self) -> Option<String> {
        let told = &self.typed.dims;
        let open = self.typed.graph.named_sizes().into_iter().find(|var| !told.contains(var));
        open.map(|var| var.name.to_string())
    }

    /// The executable for arguments of these types and shapes: compiled now, or before.
    ///
    /// # Errors
    /// As [`Function::specialise`].
    pub fn compile(
        &self,
        session: &Session,
        arguments: &[TensorView<'_>],
    ) -> Result<Arc<Compiled>, CallError> {
        let key = both_halves(|hasher| {
            self.identity.hash(hasher);
            for argument in arguments {
                (argument.dtype(), argument.shape()).hash(hasher);
            }
        });
        session.compile_once(key, || {
            let sizes = self.solve(arguments)?;
            Ok((self.with_sizes(&sizes)?, self.subject(arguments, &sizes)))
        })
    }

    /// Calls it on borrowed tensors, which are not copied: one for each parameter leaf; the
    /// result has one for each result leaf. It is compiled by the first call with such shapes.
    ///
    /// # Errors
    /// Where an argument does not fit, or an index is out of range while the code runs:
    /// [`Module::call_failure`] shows where. [`Session::on_compile`] tells why a call compiles.
    pub fn call(
        &self,
        session: &Session,
        arguments: &[TensorView<'_>],
    ) -> Result<Vec<Tensor>, CallError> {
        let compiled = self.compile(session, arguments)?;
        let arguments = arguments.iter().cloned().map(Argument::Borrowed).collect();
        compiled.call(session.pool(), arguments)
    }
}
