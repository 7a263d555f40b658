//! The command line: arguments in, exit codes and streams out. Nothing can be done here that the
//! library cannot do.
//!
//! Results go to standard output; messages and progress go to standard error. Exit code 0 is
//! success, 1 a program that is wrong or fails, 2 wrong usage of the command.

mod bench;
mod calls;
mod format;
mod inputs;
mod inspect;
mod output;
mod profile;
mod terminal;
mod trace;
mod tune;
mod workbench;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;
use tensc::codegen::Isa;
use tensc::module::{Failure, Module, RunOptions};
use tensc::rewrite::Numerics;
use tensc::session::{Backend, Options, Session};

/// Runs the command for the process's arguments.
pub fn main() -> ExitCode {
    let begin = Instant::now();
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let (own, behind) = inputs::split_at_dashes(&Cli::command(), &arguments);
    let (command, module) = inputs::with_model_inputs(Cli::command(), own);
    let matches = command.get_matches_from(own);
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|e| e.exit());
    let output = output::Output::new(cli.color, cli.message_format);
    match execute(cli, (module, begin), (&matches, behind), &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn execute(
    cli: Cli,
    (module, begin): (Option<Result<Module, Failure>>, Instant),
    (matches, behind): (&clap::ArgMatches, &[OsString]),
    output: &output::Output,
) -> Result<(), output::Error> {
    let load = |file: &PathBuf| -> Result<Module, output::Error> {
        let module = Module::from_file(file)?;
        output.warnings(&module);
        Ok(module)
    };
    match cli.command {
        Command::Run(run) => {
            let module = module.unwrap_or_else(|| Module::from_file(&run.file))?;
            let checked = begin.elapsed();
            output.warnings(&module);
            let mut session = run.engine.session(output)?;
            let compilations = Arc::new(Mutex::new(Vec::new()));
            if run.time_passes {
                let compilations = Arc::clone(&compilations);
                session.on_compile(move |compilation| {
                    let mut all = compilations.lock().unwrap_or_else(PoisonError::into_inner);
                    all.push(compilation.clone());
                });
            }
            let (_, run_matches) = matches.subcommand().expect("this is `run`");
            let inputs = inputs::given(&module, run_matches, &run, behind)?;
            if let Some(function) = &run.function {
                if let Some((name, _)) = inputs.first() {
                    let message = format!("`--fn {function}` does not run `main`, which alone");
                    return Err(output::Error::usage(format!("{message} sees the input `{name}`")));
                }
                calls::call(&module, function, &run, &session, output)?;
            } else {
                let mut console = terminal::Terminal::new(run.quiet, run.log.as_deref(), output)?;
                module.run(&session, &RunOptions { inputs }, &mut console)?;
            }
            if run.time_passes {
                inspect::time_passes(checked, &session.pass_times(), output);
                let all = compilations.lock().unwrap_or_else(PoisonError::into_inner);
                inspect::compilations(&module, &all, output);
            }
            Ok(())
        }
        Command::Check { files } => {
            for file in &files {
                load(file)?;
            }
            Ok(())
        }
        Command::Fmt { files, check } => format::format(&files, check, output),
        Command::Test(test) => calls::test(&load(&test.file)?, &test, output),
        Command::Dump(dump) if dump.list => inspect::list(output),
        Command::Dump(dump) => {
            let module = load(dump.file()?)?;
            inspect::dump((&module, begin.elapsed()), &dump, output)
        }
        Command::Grad(grad) => inspect::grad(&load(&grad.file)?, &grad),
        Command::Bench { measure, serve } => bench::bench(&measure, serve, output),
        Command::Profile { measure, trace } => profile::profile(&measure, trace.as_deref(), output),
        Command::Tune(measure) => tune::tune(measure, output),
        Command::Explain(explain) => inspect::explain(&load(&explain.file)?, &explain, output),
    }
}

/// Compiles and runs models written in the tensor language `.tx`.
///
/// A model is a file of pure functions over tensors and a `main` that loads data, trains, prints
/// and saves. tensc proves its shapes, derives its gradients, fuses it, and runs it as machine
/// code.
#[derive(Parser)]
#[command(name = "tensc", version, max_term_width = 100, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    /// Whether messages are coloured.
    #[arg(long, value_enum, default_value_t, global = true, value_name = "WHEN")]
    color: Color,
    /// How messages about the program are written to standard error.
    #[arg(long, value_enum, default_value_t, global = true, value_name = "FORMAT")]
    message_format: MessageFormat,
}

const AFTER_HELP: &str = "\
Examples:
  tensc run examples/mnist.tx --epochs 10     train; the model's own inputs are options
  tensc run model.tx --fn f --in x=a.npy --out y.npy
                                              call one function on files
  tensc check model.tx                        types and shapes only
  tensc fmt model.tx                          the one formatting, comments kept
  tensc grad model.tx --fn loss               the gradient, as readable .tx
  tensc dump model.tx --fn loss --size B=128 --after rewrite
                                              the IR after a pass
  tensc explain model.tx --fn loss --size B=128
                                              the rewrites that were applied, and why

Exit codes: 0 success, 1 the program is wrong or failed, 2 wrong usage.";

#[derive(Subcommand)]
enum Command {
    /// Compile and run `main`, or one function on files
    Run(Run),
    /// Check names, types and shapes; run nothing
    Check {
        /// Source files
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Bring source files into the one formatting; prints the names of those that change
    Fmt {
        /// Source files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Change nothing, and fail where a file would change
        #[arg(long)]
        check: bool,
    },
    /// Run the `test` items of a file
    Test(Test),
    /// Print the IR after a pass
    Dump(Dump),
    /// Print the gradient of a function as readable .tx
    Grad(Grad),
    /// Tell which rewrites were applied to a function, where and why
    Explain(Explain),
    /// Measure how long calls of a function take
    Bench {
        #[command(flatten)]
        measure: Measure,
        /// Answer one JSON line to each JSON line of standard input: reset, call, run, save
        #[arg(long)]
        serve: bool,
    },
    /// Measure where the time of a function goes, kernel by kernel
    Profile {
        #[command(flatten)]
        measure: Measure,
        /// Write the calls and their kernels as a timeline, which ui.perfetto.dev shows
        #[arg(long, value_name = "FILE")]
        trace: Option<PathBuf>,
    },
    /// Measure tiles for the products of a function, and keep the best for later runs
    Tune(Measure),
}

/// What is measured, on which data.
#[derive(Args)]
struct Measure {
    /// Source file
    file: PathBuf,
    /// The function
    #[arg(long = "fn", value_name = "NAME", default_value = "bench")]
    function: String,
    /// A folder with `in_PARAM.npy` or `state_PARAM.npy` for each parameter; state is what the
    /// field of that name in the last result was [default: made-up data, see --size]
    #[arg(long, value_name = "DIR", conflicts_with = "sizes")]
    data: Option<PathBuf>,
    /// A named size of made-up data
    #[arg(long = "size", value_name = "NAME=N")]
    sizes: Vec<String>,
    /// How long to measure
    #[arg(
        long,
        value_name = "S",
        allow_negative_numbers = true,
        default_value_t = 1.0,
        value_parser = seconds
    )]
    seconds: f64,
    #[command(flatten)]
    engine: Engine,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.0..=86400.0).contains(&seconds) => Ok(seconds),
        _ => Err("a number of seconds from 0 to 86400".to_string()),
    }
}

/// How code is made and run.
#[derive(Args, Clone)]
struct Engine {
    /// Threads that share the work; results do not depend on it [default: all cores]
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        value_parser = clap::value_parser!(u16).range(1..=1024)
    )]
    threads: Option<u16>,
    /// Machine code or the naive interpreter
    #[arg(long, value_enum, default_value_t, value_name = "BACKEND")]
    backend: BackendArgument,
    /// Compile every operation on its own: no rewriting, no fusion
    #[arg(long)]
    no_optimise: bool,
    /// Instruction set to emit [default: the widest this machine has]
    #[arg(long, value_name = "ISA")]
    isa: Option<String>,
    /// How far results may differ from the program as written: exact, stable (the default:
    /// more accurate only), reassoc, finite or approx, each with what those before it may do
    #[arg(long, value_name = "CLASS")]
    fp: Option<String>,
    /// Tiles that `tensc tune` measured, or `none`: a matter of time, results do not depend on it
    /// [default: tensc/tiles.json in the user's cache, where it exists]
    #[arg(long, value_name = "FILE")]
    tiles: Option<PathBuf>,
}

impl Engine {
    fn options(&self, output: &output::Output) -> Result<Options, output::Error> {
        let mut options = Options::default();
        if let Some(threads) = self.threads {
            options.threads = usize::from(threads);
        }
        options.compile.emit.threads = options.threads;
        options.backend = match self.backend {
            BackendArgument::Jit => Backend::Jit,
            BackendArgument::Interpreter => Backend::Interpreter,
        };
        options.compile.optimise = !self.no_optimise;
        if let Some(isa) = &self.isa {
            let known = || Isa::ALL.map(Isa::name).join(", ");
            let isa = Isa::from_name(isa).ok_or_else(|| {
                output::Error::usage(format!("no instruction set `{isa}`: there are {}", known()))
            })?;
            options.compile.emit.isa = isa;
            options.compile.check().map_err(output::Error::usage)?;
        }
        if let Some(class) = &self.fp {
            let known = || Numerics::ALL.map(Numerics::name).join(", ");
            options.compile.rewrite.numerics = Numerics::from_name(class).ok_or_else(|| {
                output::Error::usage(format!(
                    "no class `{class}` of numerics: there are {}",
                    known()
                ))
            })?;
        }
        options.compile.emit.tiles = tune::tiles(self.tiles.as_deref(), output)?.map(Arc::new);
        Ok(options)
    }

    fn session(&self, output: &output::Output) -> Result<Session, output::Error> {
        Ok(Session::new(self.options(output)?))
    }
}

#[derive(Args)]
struct Run {
    /// Source file
    file: PathBuf,
    /// How long each pass of the compiler took, and what was compiled and why, at the end, to
    /// standard error
    #[arg(long)]
    time_passes: bool,
    /// Set an `input` of the model; `--NAME VALUE` does the same, also behind `--`
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Call this function instead of running `main`
    #[arg(long = "fn", value_name = "NAME")]
    function: Option<String>,
    /// A parameter of the function: a data file (FILE or FILE:MEMBER) or a number; those that are
    /// not given are what they are by default
    #[arg(long = "in", value_name = "PARAM=FILE", requires = "function")]
    inputs: Vec<String>,
    /// A data file for the result (FILE, or FIELD=FILE)
    #[arg(long = "out", value_name = "FILE", requires = "function")]
    outputs: Vec<String>,
    /// No progress, only what the program prints
    #[arg(short, long)]
    quiet: bool,
    /// Append every logged step to a file as JSON lines
    #[arg(long, value_name = "FILE")]
    log: Option<PathBuf>,
    #[command(flatten)]
    engine: Engine,
}

#[derive(Args)]
struct Test {
    /// Source file
    file: PathBuf,
    /// Only tests whose name contains this
    filter: Option<String>,
    #[command(flatten)]
    engine: Engine,
}

/// Which graph is looked at.
#[derive(Args)]
struct Subject {
    /// The function
    #[arg(long = "fn", value_name = "NAME", conflicts_with = "region")]
    function: Option<String>,
    /// A compiled region of `main`, by number
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    region: Option<usize>,
    /// A named size
    #[arg(long = "size", value_name = "NAME=N")]
    sizes: Vec<String>,
}

#[derive(Args)]
struct Dump {
    /// Source file
    #[arg(required_unless_present = "list")]
    file: Option<PathBuf>,
    #[command(flatten)]
    subject: Subject,
    /// The pass after which to print [default: check]
    #[arg(long, value_name = "PASS")]
    after: Option<String>,
    /// Text, a drawing for Graphviz, or JSON (one object a line, for each graph)
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT")]
    format: DumpFormat,
    /// List the passes
    #[arg(long)]
    list: bool,
    /// How long each pass took
    #[arg(long, conflicts_with = "format")]
    time_passes: bool,
    #[command(flatten)]
    engine: Engine,
}

impl Dump {
    fn file(&self) -> Result<&PathBuf, output::Error> {
        self.file.as_ref().ok_or_else(|| output::Error::usage("a source file is needed"))
    }
}

#[derive(Args)]
struct Grad {
    /// Source file
    file: PathBuf,
    /// The function; its result must be a scalar
    #[arg(long = "fn", value_name = "NAME")]
    function: String,
    /// Parameters to differentiate by [default: the first]
    #[arg(long, value_name = "PARAM")]
    wrt: Vec<String>,
}

#[derive(Args)]
struct Explain {
    /// Source file
    file: PathBuf,
    #[command(flatten)]
    subject: Subject,
    /// Also the steps that prove each result equal to what was written
    #[arg(long)]
    proof: bool,
    #[command(flatten)]
    engine: Engine,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum Color {
    /// On a terminal
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum MessageFormat {
    /// For a person
    #[default]
    Human,
    /// One JSON object a line
    Json,
}

#[derive(Clone, Copy, Default, ValueEnum)]
enum BackendArgument {
    /// Machine code
    #[default]
    Jit,
    /// The naive interpreter: slow, the oracle of the tests
    Interpreter,
}

#[derive(Clone, Copy, Default, PartialEq, ValueEnum)]
enum DumpFormat {
    /// The text form, which parses back
    #[default]
    Text,
    /// A drawing for Graphviz
    Dot,
    /// For other programs to read
    Json,
}

impl DumpFormat {
    fn name(self) -> &'static str {
        match self {
            DumpFormat::Text => "text",
            DumpFormat::Dot => "dot",
            DumpFormat::Json => "json",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_compiles_knows_the_threads_too() {
        let Command::Dump(dump) =
            Cli::parse_from(["tensc", "dump", "m.tx", "--after", "emit", "--threads", "3"]).command
        else {
            panic!("it is `dump`");
        };
        let output = output::Output::new(Color::Never, MessageFormat::Human);
        let engine = Engine { tiles: Some("none".into()), ..dump.engine };
        let options = engine.options(&output).map_err(|e| e.to_string()).expect("they are right");
        assert_eq!((options.threads, options.compile.emit.threads), (3, 3));
    }
}
