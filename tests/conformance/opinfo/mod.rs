//! `opinfo-dev`: samples of PyTorch's own tests, forward and as vector-Jacobian products.
//!
//! A case is a call of a PyTorch operation. The row of that operation says how its parameters are
//! called and which `.tx` expression means the same; an operation or a form of arguments that no
//! row knows is unsupported. Rows stand in one file a group.

mod activation;
mod binary;
mod call;
mod combined;
mod compare;
mod conv;
mod counted;
mod factors;
mod fourier;
mod index;
mod linalg;
mod loss;
mod masked;
mod matrix;
mod names;
mod nn;
mod norm;
mod reduce;
mod shape;
mod sources;
mod special;
mod unary;
mod views;

use crate::collection::{Case, Fault};
use crate::npz::{self, Arrays};
use crate::program::{Program, Tolerance, compare as differs, in_type, moved, parameters};
use call::{Call, Row};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::path::Path;
use tensc::{DType, Session, Tensor};

/// Every row.
const GROUPS: [&[Row]; 21] = [
    unary::ROWS,
    binary::ROWS,
    compare::ROWS,
    reduce::ROWS,
    shape::ROWS,
    index::ROWS,
    linalg::ROWS,
    nn::ROWS,
    norm::ROWS,
    conv::ROWS,
    loss::ROWS,
    activation::ROWS,
    combined::ROWS,
    counted::ROWS,
    factors::ROWS,
    fourier::ROWS,
    masked::ROWS,
    matrix::ROWS,
    sources::ROWS,
    special::ROWS,
    views::ROWS,
];

/// The tolerance of each element type, by the README of the collection.
const TYPES: [(DType, Tolerance); 2] = [
    (DType::F64, Tolerance { abs: 1e-10, rel: 1e-9 }),
    (DType::F32, Tolerance { abs: 1e-5, rel: 1e-4 }),
];

/// Operations whose samples are parts of something larger, which counts and is not there.
const UNTOLD: [&str; 1] = ["as_strided.partial_views"];

/// A line of `cases.jsonl`.
#[derive(Deserialize)]
struct Line {
    id: String,
    op: String,
    call: String,
    args: Vec<Value>,
    kwargs: Map<String, Value>,
    diff: Vec<String>,
    fd_ok: Option<bool>,
}

impl Line {
    fn differentiates(&self) -> bool {
        self.fd_ok == Some(true) && !self.diff.is_empty()
    }
}

pub fn cases(folder: &Path) -> Vec<Case> {
    let lines = std::fs::read_to_string(folder.join("cases.jsonl")).expect("the list of cases");
    let case = |line: &str| {
        let line: Line = serde_json::from_str(line).expect("a case");
        let path = folder.join(format!("{}.npz", line.id));
        let name = line.id.clone();
        Case { name, judge: Box::new(move |session| judge(&line, &npz::read(&path), session)) }
    };
    lines.lines().map(case).collect()
}

fn judge(line: &Line, arrays: &Arrays, session: &Session) -> Result<(), Fault> {
    if UNTOLD.contains(&line.op.as_str()) {
        return Err(Fault::Unsupported("what is around the input in memory is not told".into()));
    }
    // What is called, without the variant that only the tests' name has: `norm.fro` calls `norm`.
    let name = line.call.split('(').next().expect("a call");
    let name = names::usual(name);
    // A form that copies what another one views means the same.
    let viewed = names::usual(name.strip_suffix("_copy").unwrap_or(name));
    let named = |row: &&Row| row.name == name || row.name == viewed;
    let row = GROUPS.iter().flat_map(|rows| rows.iter()).find(named);
    let Some(row) = row else {
        return Err(Fault::Unsupported(format!("no row for {name}")));
    };
    let truths = truths(line, arrays)?;
    for (dtype, tolerance) in TYPES {
        let told = |fault| match fault {
            Fault::Mismatch(why) => Fault::Mismatch(format!("{dtype}: {why}")),
            Fault::Error(why) => Fault::Error(format!("{dtype}: {why}")),
            unsupported => unsupported,
        };
        let found = answers(line, row, arrays, session, [dtype, dtype]).map_err(told)?;
        let compared = all_near(&truths, &found, tolerance);
        if let (Err(Fault::Mismatch(_)), DType::F32) = (&compared, dtype) {
            let of_rounded = answers(line, row, arrays, session, [DType::F32, DType::F64])?;
            let moved = (truths.iter().zip(of_rounded))
                .map(|((name, truth), exact)| (name.clone(), moved(truth, &exact, tolerance)));
            if all_near(&moved.collect::<Vec<_>>(), &found, tolerance).is_ok() {
                return Err(Fault::Unsupported(INPUTS.into()));
            }
        }
        compared.map_err(told)?;
    }
    Ok(())
}

/// Why no arithmetic passes a case in f32. An answer is counted so only where it is near to what
/// f64 computes from the same rounded numbers, in each element where that is far from the truth,
/// and near to the truth in all others.
const INPUTS: &str =
    "the inputs, rounded to f32, have results further away than allowed, in f64 too";

/// What the case says of results and gradients, in the order of `answers`.
fn truths(line: &Line, arrays: &Arrays) -> Result<Vec<(String, Tensor)>, Fault> {
    let mut truths = numbered(arrays, "out")?;
    if line.differentiates() {
        for input in &line.diff {
            let name = format!("grad_{input}");
            let truth = arrays.get(&name).and_then(|array| array.tensor());
            truths.push((name, truth.expect("a float array")));
        }
    }
    Ok(truths)
}

fn all_near(
    truths: &[(String, Tensor)],
    found: &[Tensor],
    tolerance: Tolerance,
) -> Result<(), Fault> {
    let mut pairs = truths.iter().zip(found);
    pairs.try_for_each(|((name, truth), found)| differs(name, found, truth, tolerance))
}

/// The arrays called `prefix0`, `prefix1`, …
fn numbered(arrays: &Arrays, prefix: &str) -> Result<Vec<(String, Tensor)>, Fault> {
    let is_one = |name: &str| {
        let number = name.strip_prefix(prefix);
        number.is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
    };
    let mut found = Vec::new();
    for (name, array) in arrays.iter().filter(|(name, _)| is_one(name)) {
        let Some(tensor) = array.tensor() else {
            return Err(Fault::Unsupported(format!("the element type of {name}")));
        };
        found.push((name.clone(), tensor));
    }
    found.sort_by_key(|(name, _)| name[prefix.len()..].parse::<usize>().expect("a number"));
    Ok(found)
}

/// The results and, where the case has them, the gradients: of inputs in one type, computed with in
/// another.
fn answers(
    line: &Line,
    row: &Row,
    arrays: &Arrays,
    session: &Session,
    [given, dtype]: [DType; 2],
) -> Result<Vec<Tensor>, Fault> {
    // What is narrower than its neighbours stays so: it was computed with in its own type.
    let typed = |(name, tensor): (String, Tensor)| match tensor.dtype() {
        DType::F64 => (name, in_type(&in_type(&tensor, given), dtype)),
        _ => (name, tensor),
    };
    let inputs: Vec<_> = numbered(arrays, "in")?.into_iter().map(typed).collect();
    let cotangents: Vec<_> = numbered(arrays, "ct")?.into_iter().map(typed).collect();
    let outputs = numbered(arrays, "out")?.len();

    let call = Call::new(row, &line.args, &line.kwargs, &inputs, dtype, outputs);
    let body = call.and_then(|mut call| call.body()).map_err(Fault::Unsupported)?;
    let named = |of: &[(String, Tensor)]| parameters(of.iter().map(|(n, t)| (n.as_str(), t)));
    let imports = imports(&body);
    let mut text = format!("{imports}fn forward({}) = {{\n{body}}}\n", named(&inputs));
    if line.differentiates() {
        text += &scored(line, &inputs, &cotangents, outputs, &named);
    }

    let program = Program::new(&text)?;
    let mut arguments: Vec<&Tensor> = inputs.iter().map(|(_, t)| t).collect();
    let mut results = program.call(session, "forward", &arguments)?;
    if results.len() != outputs {
        let found = results.len();
        return Err(Fault::Mismatch(format!("{found} results instead of {outputs}")));
    }
    if line.differentiates() {
        arguments.extend(cotangents.iter().map(|(_, t)| t));
        results.extend(program.call(session, "gradients", &arguments)?);
    }
    Ok(results)
}

/// The modules of the library that an expression names.
fn imports(body: &str) -> String {
    const MODULES: [&str; 13] = [
        "activation",
        "attention",
        "bessel",
        "conv",
        "distance",
        "fourier",
        "linalg",
        "loss",
        "norm",
        "polynomial",
        "resize",
        "special",
        "stats",
    ];
    let named = MODULES.iter().filter(|module| body.contains(&format!("{module}.")));
    named.map(|module| format!("import std.{module}\n")).collect()
}

/// The functions whose gradient is the vector-Jacobian product: results times cotangents, summed.
fn scored(
    line: &Line,
    inputs: &[(String, Tensor)],
    cotangents: &[(String, Tensor)],
    outputs: usize,
    named: &dyn Fn(&[(String, Tensor)]) -> String,
) -> String {
    let list = |names: Vec<&str>| names.join(", ");
    let names = list(inputs.iter().map(|(n, _)| n.as_str()).collect());
    let all = list(inputs.iter().chain(cotangents).map(|(n, _)| n.as_str()).collect());
    let parameters = named(&[inputs, cotangents].concat());
    let outs: Vec<String> = (0..outputs).map(|i| format!("out{i}")).collect();
    let pattern = if outputs == 1 { outs[0].clone() } else { format!("({})", outs.join(", ")) };
    let terms: Vec<String> = (cotangents.iter())
        .map(|(ct, _)| format!("sum(out{} * {ct})", &ct["ct".len()..]))
        .collect();
    let (terms, wrt) = (terms.join(" + "), line.diff.join(", "));
    format!(
        "fn scored({parameters}) = {{\n    let {pattern} = forward({names})\n    {terms}\n}}\n\
         fn gradients({parameters}) = grad(scored, wrt = ({wrt}))({all})\n"
    )
}
