//! `tensc run --fn` and `tensc test`.

use super::output::{Error, Output};
use super::{Run, Test};
use std::path::Path;
use tensc::module::{Function, Module};
use tensc::script::{Transcript, format_tensor};
use tensc::session::Session;
use tensc_runtime::data::{self, Loaded};
use tensc_runtime::{Tensor, TensorView};

/// Calls one function on data files.
pub fn call(
    module: &Module,
    name: &str,
    run: &Run,
    session: &Session,
    output: &Output,
) -> Result<(), Error> {
    let function = function(module, name)?;
    let tensors = arguments(&function, &run.inputs)?;
    let views: Vec<TensorView<'_>> = tensors.iter().map(Tensor::view).collect();
    let values = function.call(session, &views).map_err(|e| module.call_failure(&e))?;
    let names: Vec<String> = function.results().into_iter().map(|(name, _)| name).collect();
    if run.outputs.is_empty() {
        for (name, value) in names.iter().zip(&values) {
            output.line(format_args!("{name} = {}", format_tensor(value, None)));
        }
    }
    for out in &run.outputs {
        write(out, &names, &values)?;
    }
    Ok(())
}

/// The function of this name, or an error that names those there are.
pub fn function(module: &Module, name: &str) -> Result<Function, Error> {
    module.function(name).ok_or_else(|| {
        let names: Vec<&str> = module.program().functions.iter().map(|f| f.name.as_str()).collect();
        let known = match names.as_slice() {
            [] => "the source has none".to_string(),
            names => format!("the source has {}", names.join(", ")),
        };
        Error::usage(format!("no function `{name}` that can be called on data; {known}"))
    })
}

/// A tensor for each parameter leaf, from `PARAM=FILE` or `PARAM=FILE:MEMBER`.
fn arguments(function: &Function, given: &[String]) -> Result<Vec<Tensor>, Error> {
    let mut files: Vec<(&str, Option<&str>, Loaded)> = Vec::new();
    for assignment in given {
        let Some((parameter, file)) = assignment.split_once('=') else {
            return Err(Error::usage(format!("`--in {assignment}`: expected PARAM=FILE")));
        };
        if !function.typed().params.iter().any(|(name, _)| name == parameter) {
            let names: Vec<&str> =
                function.typed().params.iter().map(|(name, _)| name.as_str()).collect();
            let (name, names) = (&function.typed().name, names.join(", "));
            let message = format!("`{name}` has no parameter `{parameter}`; it has {names}");
            return Err(Error::usage(message));
        }
        // A colon names a member, unless the whole is a file that exists.
        let (path, member) = match file.rsplit_once(':') {
            Some((path, member)) if !Path::new(file).exists() => (path, Some(member)),
            _ => (file, None),
        };
        files.push((parameter, member, data::load(Path::new(path))?));
    }
    let leaf = |path: &str| {
        let root = path.split('.').next().expect("a path has a first part");
        let Some((_, member, file)) = files.iter().find(|(name, ..)| *name == root) else {
            return Err(Error::usage(format!("parameter `{root}` needs `--in {root}=FILE`")));
        };
        let found = match member {
            Some(member) => file.get(member).cloned(),
            None if path == root => file.clone().into_tensor(),
            None => file.get(&path[root.len() + 1..]).or_else(|| file.get(path)).cloned(),
        };
        found.ok_or_else(|| {
            let held = file.names().join(", ");
            Error::usage(format!(
                "the file for `{root}` holds nothing for `{path}` (it has {held})"
            ))
        })
    };
    function.parameters().iter().map(|(path, _)| leaf(path)).collect()
}

/// Writes results to `FILE` (all of them) or `FIELD=FILE` (one).
fn write(out: &str, names: &[String], values: &[Tensor]) -> Result<(), Error> {
    if let Some((field, path)) = out.split_once('=')
        && let Some(position) = names.iter().position(|name| name == field)
    {
        return Ok(data::save(Path::new(path), &values[position])?);
    }
    match values {
        [value] => data::save(Path::new(out), value)?,
        values => {
            let named: Vec<(&str, &Tensor)> =
                names.iter().map(String::as_str).zip(values).collect();
            data::save_named(Path::new(out), &named)?;
        }
    }
    Ok(())
}

/// Runs the tests of a file; fails if one fails.
pub fn test(module: &Module, test: &Test, output: &Output) -> Result<(), Error> {
    let session = test.engine.session(output)?;
    let wanted = |name: &str| test.filter.as_ref().is_none_or(|filter| name.contains(filter));
    let (mut passed, mut failed, mut skipped) = (0, 0, 0);
    for item in &module.program().tests {
        if !wanted(&item.name) {
            skipped += 1;
            continue;
        }
        let mut transcript = Transcript::default();
        match module.run_test(item, &session, &mut transcript) {
            Ok(()) => {
                passed += 1;
                output.line(format_args!("test {} ... ok", item.name));
            }
            Err(failure) => {
                failed += 1;
                output.line(format_args!("test {} ... FAILED", item.name));
                for line in &transcript.lines {
                    output.line(format_args!("    {line}"));
                }
                output.error(&Error::from(failure));
            }
        }
    }
    let filtered = if skipped > 0 { format!(", {skipped} filtered out") } else { String::new() };
    output.line(format_args!("{passed} passed, {failed} failed{filtered}"));
    match failed {
        0 => Ok(()),
        1 => Err(Error::other("1 test failed")),
        n => Err(Error::other(format!("{n} tests failed"))),
    }
}
