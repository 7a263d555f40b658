//! `tensc run --fn` and `tensc test`.

use super::output::{Error, Output};
use super::{Run, Test};
use std::path::Path;
use tensc::graph::{Dim, TensorType};
use tensc::module::{Function, Given, Module, Parameter, Tree};
use tensc::script::{Transcript, format_tensor};
use tensc::session::Session;
use tensc_runtime::data::{self, Loaded};
use tensc_runtime::{Scalar, Tensor, TensorView};

/// Calls one function on data files and numbers.
pub fn call(
    module: &Module,
    name: &str,
    run: &Run,
    session: &Session,
    output: &Output,
) -> Result<(), Error> {
    let given = given(module, name, &run.inputs)?;
    let types: Vec<(String, Given)> =
        given.iter().map(|(parameter, input)| (parameter.clone(), input.given())).collect();
    let function = module.instantiate(name, &types)?;
    let leaf = |(path, _): (String, _)| {
        let root = path.split('.').next().expect("a path has a first part");
        let input = given.iter().find(|(name, _)| name == root).map(|(_, input)| input);
        let Some(Input::File(file)) = input else { unreachable!("leaves are those of files") };
        let part = path.get(root.len() + 1..).unwrap_or_default();
        let tensor = file.get(part).cloned().or_else(|| file.clone().into_tensor());
        tensor.expect("the function is for what is in the files")
    };
    let tensors: Vec<Tensor> = function.parameters().into_iter().map(leaf).collect();
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

/// What a parameter is given.
enum Input {
    File(Loaded),
    Number(Scalar),
}

impl Input {
    fn given(&self) -> Given {
        match self {
            Input::Number(number) => Given::Known(*number),
            Input::File(file) => Given::Data(tree(file)),
        }
    }
}

/// The types of the tensors in a file: the fields of `hidden` are called `hidden.w`, `hidden.b`.
fn tree(file: &Loaded) -> Tree<TensorType> {
    fn put(tree: &mut Vec<(String, Tree<TensorType>)>, path: &str, ty: TensorType) {
        let (first, rest) = match path.split_once('.') {
            Some((first, rest)) => (first, Some(rest)),
            None => (path, None),
        };
        let at = tree.iter().position(|(name, _)| name == first).unwrap_or_else(|| {
            tree.push((first.to_string(), Tree::Record { name: None, fields: Vec::new() }));
            tree.len() - 1
        });
        match (rest, &mut tree[at].1) {
            (Some(rest), Tree::Record { fields, .. }) => put(fields, rest, ty),
            (_, node) => *node = Tree::Leaf(ty),
        }
    }
    let ty = |tensor: &Tensor| {
        TensorType::new(tensor.dtype(), tensor.shape().iter().map(|&size| Dim::from(size)))
    };
    match file {
        Loaded::One(tensor) => Tree::Leaf(ty(tensor)),
        Loaded::Named(tensors) => {
            let mut fields = Vec::new();
            for (name, tensor) in tensors {
                put(&mut fields, name, ty(tensor));
            }
            Tree::Record { name: None, fields }
        }
    }
}

/// What each parameter is given: `PARAM=FILE`, `PARAM=FILE:MEMBER`, or `PARAM=NUMBER`. A tensor is
/// given the member of its own name of a file of several. Those without a default must be.
fn given(
    module: &Module,
    function: &str,
    inputs: &[String],
) -> Result<Vec<(String, Input)>, Error> {
    let parameters =
        module.parameters(function).ok_or_else(|| unknown(module, function, String::new()))?;
    let mut given: Vec<(String, Input)> = Vec::new();
    for assignment in inputs {
        let Some((parameter, value)) = assignment.split_once('=') else {
            let expected = "expected PARAM=FILE or PARAM=NUMBER";
            return Err(Error::usage(format!("`--in {assignment}`: {expected}")));
        };
        let Some(declared) = parameters.iter().find(|known| known.name == parameter) else {
            let names: Vec<&str> = parameters.iter().map(|known| known.name.as_str()).collect();
            let names = names.join(", ");
            let message = format!("`{function}` has no parameter `{parameter}`; it has {names}");
            return Err(Error::usage(message));
        };
        if given.iter().any(|(before, _)| before == parameter) {
            return Err(Error::usage(format!("the parameter `{parameter}` is given twice")));
        }
        let input = match number(value).filter(|_| !Path::new(value).exists()) {
            Some(number) => Input::Number(number),
            None => Input::File(file(declared, value)?),
        };
        given.push((parameter.to_string(), input));
    }
    let missing = |parameter: &&Parameter| {
        !parameter.optional && given.iter().all(|(name, _)| *name != parameter.name)
    };
    if let Some(Parameter { name, .. }) = parameters.iter().find(missing) {
        return Err(Error::usage(format!("parameter `{name}` needs `--in {name}=FILE`")));
    }
    Ok(given)
}

/// A number or flag as it is written.
fn number(text: &str) -> Option<Scalar> {
    let whole = || text.parse().ok().map(Scalar::new::<i64>);
    let flag = || text.parse().ok().map(Scalar::new::<bool>);
    whole().or_else(flag).or_else(|| text.parse().ok().map(Scalar::new::<f64>))
}

fn file(parameter: &Parameter, value: &str) -> Result<Loaded, Error> {
    let member_of = |file: &Loaded, path: &str, member: &str| {
        let tensor = file.get(member).cloned().map(Loaded::One);
        tensor.ok_or_else(|| {
            let held = match file {
                Loaded::One(_) => "one tensor without a name".to_string(),
                Loaded::Named(_) => file.names().join(", "),
            };
            let message = format!("`{path}` holds nothing called `{member}`, it has {held}");
            Error::usage(format!("parameter `{}`: {message}", parameter.name))
        })
    };
    // A colon names a member, unless the whole is a file that exists.
    if let Some((path, member)) = value.rsplit_once(':').filter(|_| !Path::new(value).exists()) {
        return member_of(&data::load(Path::new(path))?, path, member);
    }
    let file = data::load(Path::new(value))?;
    match &file {
        Loaded::Named(tensors) if parameter.tensor && tensors.len() != 1 => {
            member_of(&file, value, &parameter.name)
        }
        _ => Ok(file),
    }
}

/// The function of this name, or an error that names those there are.
pub fn function(module: &Module, name: &str) -> Result<Function, Error> {
    module.function(name).ok_or_else(|| {
        let reason = match module.parameters(name) {
            Some(_) => "it has a graph only for types and functions that a call tells; ",
            None => "",
        };
        unknown(module, name, reason.to_string())
    })
}

fn unknown(module: &Module, name: &str, reason: String) -> Error {
    let names: Vec<&str> = module.program().functions.iter().map(|f| f.name.as_str()).collect();
    let known = match names.as_slice() {
        [] => "the source has none".to_string(),
        names => format!("the source has {}", names.join(", ")),
    };
    Error::usage(format!("no function `{name}` that can be called on data; {reason}{known}"))
}

/// Writes results to `FILE` (all of them) or `FIELD=FILE` (one).
fn write(out: &str, names: &[String], values: &[Tensor]) -> Result<(), Error> {
    // An equals sign behind what can be no name is one of the path.
    let letter = |c: char| c.is_alphanumeric() || "_.".contains(c);
    if let Some((field, path)) = out.split_once('=').filter(|(field, _)| field.chars().all(letter))
    {
        let Some(position) = names.iter().position(|name| name == field) else {
            let message = format!("there is no result `{field}`, there is {}", names.join(", "));
            return Err(Error::usage(format!("`--out {out}`: {message}")));
        };
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
