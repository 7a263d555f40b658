//! The model's own `input`s as options of `tensc run`.

use super::output::Error;
use clap::{Arg, ArgMatches, Command};
use std::path::Path;
use tensc::check::typed::Input;
use tensc::module::{Failure, Module};
use tensc_runtime::{DType, Scalar};

/// Adds an option for each `input` of the model that `tensc run` is given, so that `--help` shows
/// them and a misspelt one is an error of usage. The model is checked on the way and handed back.
pub fn with_model_inputs(
    command: Command,
    arguments: &[String],
) -> (Command, Option<Result<Module, Failure>>) {
    let is_run = arguments.get(1).is_some_and(|a| a == "run");
    let file = arguments.iter().skip(2).find(|a| a.ends_with(".tx") && Path::new(a).is_file());
    let (true, Some(file)) = (is_run, file) else {
        return (command, None);
    };
    let module = Module::from_file(file);
    let inputs: Vec<Input> = match &module {
        Ok(module) => module.inputs().to_vec(),
        Err(_) => Vec::new(),
    };
    let command = command.mut_subcommand("run", |run| {
        let taken: Vec<String> =
            run.get_arguments().filter_map(|a| a.get_long().map(str::to_string)).collect();
        let new = inputs.iter().filter(|input| !taken.contains(&option_name(&input.name)));
        let options: Vec<Arg> = new.map(option).collect();
        if options.is_empty() {
            return run;
        }
        run.next_help_heading("Inputs of the model").args(options)
    });
    (command, Some(module))
}

fn option(input: &Input) -> Arg {
    let dtype = input.default.dtype();
    let about = if input.doc.is_empty() { String::new() } else { format!("{} ", input.doc.trim()) };
    Arg::new(format!("input.{}", input.name))
        .long(option_name(&input.name))
        .value_name(dtype.name())
        .allow_negative_numbers(true)
        .help(format!("{about}[default: {}]", input.default))
        .value_parser(move |text: &str| parse(dtype, text))
}

/// `learning_rate` may be written `--learning-rate` nowhere: options bear the model's names.
fn option_name(input: &str) -> String {
    input.to_string()
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
