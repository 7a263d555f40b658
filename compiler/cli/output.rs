//! Streams: results to standard output, messages to standard error.

use super::{Color, MessageFormat};
use std::fmt;
use std::io::{self, IsTerminal, Write};
use tensc::diag::{Diagnostics, Sources, render};
use tensc::module::{Failure, Module};
use tensc::session::CallError;

/// Why the command ends with a non-zero exit code.
pub enum Error {
    /// Messages about the program.
    Program(Box<Failure>),
    /// The command was used wrongly: how, in one sentence.
    Usage(String),
    /// Anything else, in one sentence.
    Other(String),
}

impl Error {
    /// Wrong usage, in one sentence.
    pub fn usage(message: impl Into<String>) -> Error {
        Error::Usage(message.into())
    }

    /// A failure, in one sentence.
    pub fn other(message: impl Into<String>) -> Error {
        Error::Other(message.into())
    }

    /// The exit code of a command that ends with it.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Usage(_) => 2,
            Error::Program(_) | Error::Other(_) => 1,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Program(failure) => write!(f, "{failure}"),
            Error::Usage(message) | Error::Other(message) => f.write_str(message),
        }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Error {
        Error::Program(Box::new(failure))
    }
}

impl From<CallError> for Error {
    fn from(error: CallError) -> Error {
        Error::Other(error.to_string())
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Error {
        Error::Other(error.to_string())
    }
}

impl From<tensc_runtime::data::DataError> for Error {
    fn from(error: tensc_runtime::data::DataError) -> Error {
        Error::Other(error.to_string())
    }
}

/// Where things are written.
pub struct Output {
    color: bool,
    format: MessageFormat,
}

impl Output {
    /// Streams with these settings.
    pub fn new(color: Color, format: MessageFormat) -> Output {
        let color = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none(),
        };
        Output { color, format }
    }

    /// A line to standard output.
    pub fn line(&self, line: impl fmt::Display) {
        write_out(format_args!("{line}\n"));
    }

    /// A line to standard error, whose results are elsewhere.
    pub fn note(&self, line: impl fmt::Display) {
        write_err(format_args!("{line}\n"));
    }

    /// An error to standard error.
    pub fn error(&self, error: &Error) {
        match error {
            Error::Program(failure) => self.diagnostics(&failure.sources, &failure.diagnostics),
            Error::Usage(message) | Error::Other(message) => self.sentence("error", message),
        }
    }

    /// A warning to standard error, in one sentence.
    pub fn warning(&self, message: &str) {
        self.sentence("warning", message);
    }

    fn sentence(&self, severity: &str, message: &str) {
        match self.format {
            MessageFormat::Human => write_err(format_args!("{severity}: {message}\n")),
            MessageFormat::Json => {
                let line = serde_json::json!({ "severity": severity, "message": message });
                write_err(format_args!("{line}\n"));
            }
        }
    }

    /// The warnings of a module to standard error.
    pub fn warnings(&self, module: &Module) {
        self.diagnostics(module.sources(), module.warnings());
    }

    fn diagnostics(&self, sources: &Sources, diagnostics: &Diagnostics) {
        for diagnostic in diagnostics.iter() {
            match self.format {
                MessageFormat::Human => {
                    let text = render::render(sources, diagnostic, self.color);
                    write_err(format_args!("{}\n\n", text.trim_end()));
                }
                MessageFormat::Json => {
                    write_err(format_args!("{}\n", render::to_json(sources, diagnostic)));
                }
            }
        }
    }
}

/// Writes to standard output. A reader that has gone away (`tensc … | head`) ends the process
/// quietly, as it ends other Unix tools.
pub fn write_out(text: fmt::Arguments<'_>) {
    let mut stdout = io::stdout().lock();
    if let Err(e) = stdout.write_fmt(text).and_then(|()| stdout.flush()) {
        if e.kind() != io::ErrorKind::BrokenPipe {
            write_err(format_args!("error: cannot write to standard output: {e}\n"));
        }
        std::process::exit(1);
    }
}

/// Writes to standard error. Where that cannot be written there is nowhere to say so; the exit code
/// tells what the message would have.
pub fn write_err(text: fmt::Arguments<'_>) {
    drop(io::stderr().lock().write_fmt(text));
}
