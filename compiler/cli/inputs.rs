//! The model's own `input`s as options of `tensc run`.

use super::output::Error;
use clap::{Arg, ArgMatches, Command};
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use tensc::check::typed::Input;
use tensc::module::{Failure, Module};
use tensc_runtime::{DType, Scalar};

/// Adds an option for each `input` of the model that `tensc run` is given, so that `--help` shows
/// them and a misspelt one is an error of usage. The model is checked on the way and handed back.
pub fn with_model_inputs(
    command: Command,
    arguments: &[OsString],
) -> (Command, Option<Result<Module, Failure>>) {
    let mut built = command.clone();
    built.build();
    let Some((run, file)) = file_to_run(&built, arguments) else { return (command, None) };
    let module = Module::from_file(file);
    let inputs: Vec<Input> = match &module {
        Ok(module) => module.inputs().to_vec(),
        Err(_) => Vec::new(),
    };
    let taken = |name: &str| run.get_arguments().any(|a| a.get_long() == Some(name));
    let options: Vec<Arg> = inputs.iter().filter(|input| !taken(&input.name)).map(option).collect();
    let command = match options.is_empty() {
        true => command,
        false => command.mut_subcommand("run", |run| {
            run.next_help_heading("Inputs of the model").args(options)
        }),
    };
    (command, Some(module))
}

/// What `tensc run` is and the file that it is given, before the model's own options are known:
/// each takes a value.
fn file_to_run<'c>(command: &'c Command, arguments: &[OsString]) -> Option<(&'c Command, PathBuf)> {
    let mut arguments = arguments.iter().skip(1);
    let name = next_word(command, &mut arguments, false)?;
    let run = command.find_subcommand(name).filter(|run| run.get_name() == "run")?;
    Some((run, next_word(run, &mut arguments, true)?.into()))
}

/// The next argument that is neither an option of the command nor the value of one.
fn next_word<'a>(
    command: &Command,
    arguments: &mut impl Iterator<Item = &'a OsString>,
    unknown_take_values: bool,
) -> Option<&'a OsStr> {
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        if text == "--" {
            return arguments.next().map(OsString::as_os_str);
        }
        let known = match text.strip_prefix("--") {
            Some(long) => {
                if long.contains('=') {
                    continue;
                }
                command.get_arguments().find(|a| a.get_long() == Some(long))
            }
            // Letters are flags.
            None if text.starts_with('-') && text.len() > 1 => continue,
            None => return Some(argument),
        };
        if known.map_or(unknown_take_values, |option| option.get_action().takes_values()) {
            arguments.next();
        }
    }
    None
}

fn option(input: &Input) -> Arg {
    let dtype = input.default.dtype();
    let about = if input.doc.is_empty() { String::new() } else { format!("{} ", input.doc.trim()) };
    Arg::new(format!("input.{}", input.name))
        .long(input.name.clone())
        .value_name(dtype.name())
        .allow_negative_numbers(true)
        .help(format!("{about}[default: {}]", input.default))
        .value_parser(move |text: &str| parse(dtype, text))
}

/// The values given on the command line, by name.
pub fn given(
    module: &Module,
    matches: &ArgMatches,
    set: &[String],
) -> Result<Vec<(String, Scalar)>, Error> {
    let mut values = Vec::new();
    for assignment in set {
        let Some((name, text)) = assignment.split_once('=') else {
            return Err(Error::usage(format!("`--set {assignment}`: expected NAME=VALUE")));
        };
        let Some(input) = module.inputs().iter().find(|i| i.name == name) else {
            let names: Vec<&str> = module.inputs().iter().map(|i| i.name.as_str()).collect();
            let known = match names.as_slice() {
                [] => "the model has no inputs".to_string(),
                names => format!("the model's inputs are {}", names.join(", ")),
            };
            return Err(Error::usage(format!("`--set {assignment}`: no input `{name}`; {known}")));
        };
        let value = parse(input.default.dtype(), text)
            .map_err(|e| Error::usage(format!("`--set {assignment}`: {e}")))?;
        values.push((name.to_string(), value));
    }
    for input in module.inputs() {
        let id = format!("input.{}", input.name);
        if let Ok(Some(value)) = matches.try_get_one::<Scalar>(&id) {
            values.push((input.name.clone(), *value));
        }
    }
    Ok(values)
}

/// A scalar of this type from text; out of range is an error, not another value.
pub fn parse(dtype: DType, text: &str) -> Result<Scalar, String> {
    let bad = || format!("`{text}` is not a value of type {dtype}");
    if dtype == DType::Bool {
        return text.parse::<bool>().map(Scalar::new).map_err(|_| bad());
    }
    if dtype.is_float() {
        let value: f64 = text.parse().map_err(|_| bad())?;
        let scalar = Scalar::from_f64(dtype, value);
        let overflows = value.is_finite() && !scalar.to_f64().is_finite();
        return if overflows { Err(bad()) } else { Ok(scalar) };
    }
    let value: i64 = text.parse().map_err(|_| bad())?;
    let scalar = Scalar::from_i64(dtype, value);
    if scalar.to_i64() == value { Ok(scalar) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ArgAction::SetTrue;

    #[test]
    fn the_file_is_found_among_options() {
        let command = || {
            let run = Command::new("run")
                .arg(Arg::new("file"))
                .arg(Arg::new("log").long("log"))
                .arg(Arg::new("quiet").long("quiet").short('q').action(SetTrue));
            let color = Arg::new("color").long("color").global(true);
            let mut command =
                Command::new("tensc").arg(color).subcommand(run).subcommand(Command::new("fmt"));
            command.build();
            command
        };
        let file = |line: &str| {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            file_to_run(&command(), &arguments).map(|(_, file)| file.display().to_string())
        };
        let found = |file: &str| Some(file.to_string());
        assert_eq!(file("tensc run m.tx"), found("m.tx"));
        assert_eq!(file("tensc run --log old.tx new.tx"), found("new.tx"));
        assert_eq!(file("tensc run model.txt --log other.tx"), found("model.txt"));
        assert_eq!(file("tensc --color never run -q m.tx --epochs 3"), found("m.tx"));
        assert_eq!(file("tensc run --color=never --quiet --epochs 3 m.tx"), found("m.tx"));
        assert_eq!(file("tensc run --epochs=3 --help m.tx"), found("m.tx"));
        assert_eq!(file("tensc run -- -m.tx"), found("-m.tx"));
        assert_eq!(file("tensc run --log m.tx"), None);
        assert_eq!(file("tensc fmt m.tx"), None);
        assert_eq!(file("tensc --color run m.tx"), None);
    }

    #[test]
    fn values_out_of_range_are_refused() {
        assert_eq!(parse(DType::I64, "-3").unwrap().to_i64(), -3);
        assert_eq!(parse(DType::F32, "1e-3").unwrap(), Scalar::new(1e-3f32));
        assert!(parse(DType::U8, "256").is_err());
        assert!(parse(DType::F32, "1e39").is_err());
        assert!(parse(DType::I64, "1.5").is_err());
        assert!(parse(DType::Bool, "1").is_err());
    }
}
