//! The model's own `input`s: as options of `tensc run`, as `--set NAME=VALUE`, and as options
//! behind a `--`, where a name that `tensc run` has itself is the model's.

use super::output::Error;
use clap::{Arg, ArgAction, ArgMatches, Command};
use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use tensc::check::nearest;
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
    let free = |name: &str| run.get_arguments().all(|a| a.get_long() != Some(name));
    let options: Vec<Arg> = match &module {
        Ok(module) => module.inputs().iter().filter(|i| free(&i.name)).map(option).collect(),
        Err(_) => options_in(arguments).into_iter().filter(|name| free(name)).map(any).collect(),
    };
    let command = match options.is_empty() {
        true => command,
        false => command.mut_subcommand("run", |run| {
            run.next_help_heading("Inputs of the model").args(options)
        }),
    };
    (command, Some(module))
}

/// The names of all options there are among the arguments.
fn options_in(arguments: &[OsString]) -> BTreeSet<&str> {
    fn name(argument: &OsString) -> Option<&str> {
        let option = argument.to_str()?.strip_prefix("--")?;
        option.split('=').next().filter(|name| !name.is_empty())
    }
    arguments.iter().filter_map(name).collect()
}

/// What may be an option of a model that is wrong, so that its mistakes are told and not that the
/// option is unknown.
fn any(name: &str) -> Arg {
    let name = name.to_string();
    let option = Arg::new(format!("input.{name}")).long(name).hide(true);
    option.num_args(0..=1).action(ArgAction::Append).allow_negative_numbers(true)
}

/// The arguments of the command, and those behind a `--` that follows the file of `tensc run`.
pub fn split_at_dashes<'a>(
    command: &Command,
    arguments: &'a [OsString],
) -> (&'a [OsString], &'a [OsString]) {
    let mut built = command.clone();
    built.build();
    let mut rest = arguments.iter();
    if file_behind(&built, &mut rest).is_some()
        && let Some(at) = rest.as_slice().iter().position(|a| a == "--")
    {
        let behind = &rest.as_slice()[at + 1..];
        return (&arguments[..arguments.len() - behind.len() - 1], behind);
    }
    (arguments, &[])
}

/// What `tensc run` is and the file that it is given, before the model's own options are known:
/// each takes a value.
fn file_to_run<'c>(command: &'c Command, arguments: &[OsString]) -> Option<(&'c Command, PathBuf)> {
    file_behind(command, &mut arguments.iter())
}

/// [`file_to_run`]; the arguments behind the file are left.
fn file_behind<'c>(
    command: &'c Command,
    arguments: &mut std::slice::Iter<'_, OsString>,
) -> Option<(&'c Command, PathBuf)> {
    arguments.next();
    let name = next_word(command, arguments, false)?;
    let run = command.find_subcommand(name).filter(|run| run.get_name() == "run")?;
    Some((run, next_word(run, arguments, true)?.into()))
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

/// The values given on the command line, by name: `--set`, options, and what stands behind `--`.
pub fn given(
    module: &Module,
    matches: &ArgMatches,
    run: &super::Run,
    behind: &[OsString],
) -> Result<Vec<(String, Scalar)>, Error> {
    let mut values = Vec::new();
    for assignment in &run.set {
        values.push(set(module, assignment)?);
    }
    options(module, matches, &mut values);
    if !behind.is_empty() {
        let command = Command::new(format!("tensc run {} --", run.file.display()));
        let inputs = || module.inputs().iter();
        let command = command
            .no_binary_name(true)
            .disable_help_flag(inputs().any(|input| input.name == "help"))
            .args(inputs().map(option));
        let matches = command.try_get_matches_from(behind).unwrap_or_else(|e| e.exit());
        options(module, &matches, &mut values);
    }
    for (number, (name, _)) in values.iter().enumerate() {
        if values[..number].iter().any(|(before, _)| before == name) {
            return Err(Error::usage(format!("the input `{name}` is given twice")));
        }
    }
    Ok(values)
}

/// The values of options, where any are given.
fn options(module: &Module, matches: &ArgMatches, values: &mut Vec<(String, Scalar)>) {
    for input in module.inputs() {
        let id = format!("input.{}", input.name);
        if let Ok(Some(value)) = matches.try_get_one::<Scalar>(&id) {
            values.push((input.name.clone(), *value));
        }
    }
}

/// `NAME=VALUE`
fn set(module: &Module, assignment: &str) -> Result<(String, Scalar), Error> {
    let wrong = |what: String| Error::usage(format!("`--set {assignment}`: {what}"));
    let Some((name, text)) = assignment.split_once('=').filter(|(_, text)| !text.is_empty()) else {
        return Err(wrong("expected NAME=VALUE".to_string()));
    };
    let Some(input) = module.inputs().iter().find(|i| i.name == name) else {
        let names: Vec<&str> = module.inputs().iter().map(|i| i.name.as_str()).collect();
        let known = match (nearest(name, names.iter().copied()), names.as_slice()) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, []) => "the model has no inputs".to_string(),
            (None, names) => format!("the model's inputs are {}", names.join(", ")),
        };
        return Err(wrong(format!("no input `{name}`; {known}")));
    };
    let value = parse(input.default.dtype(), text).map_err(wrong)?;
    Ok((name.to_string(), value))
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
        let split = |line: &str| {
            let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            let (own, behind) = split_at_dashes(&command(), &arguments);
            (own.len(), behind.len())
        };
        assert_eq!(split("tensc run m.tx --log f -- --log 3"), (5, 2));
        assert_eq!(split("tensc run --n 3 -- m.tx -- --n 3"), (6, 2));
        assert_eq!(split("tensc run -- m.tx"), (4, 0));
        assert_eq!(split("tensc run m.tx --"), (3, 0));
        assert_eq!(split("tensc fmt m.tx -- n.tx"), (5, 0));
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
