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
use crate::program::{Program, Tolerance, compare as differs, in_type, parameters};
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
    let ask = Ask { line, row, arrays, session };
    for (dtype, tolerance) in TYPES {
        ask.compared(dtype, tolerance).map_err(|fault| match fault {
            Fault::Mismatch(why) => Fault::Mismatch(format!("{dtype}: {why}")),
            Fault::Error(why) => Fault::Error(format!("{dtype}: {why}")),
            unsupported => unsupported,
        })?;
    }
    Ok(())
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

/// A case and its row.
struct Ask<'a> {
    line: &'a Line,
    row: &'a Row,
    arrays: &'a Arrays,
    session: &'a Session,
}

/// Results and gradients, each with the name of its truth.
type Answers = Vec<(String, Tensor)>;

impl Ask<'_> {
    /// Compares the answers in one float type with the truth. Where rounding the operands to that
    /// type moves the truth, it is what `f64`, compared before, gives for the same operands.
    fn compared(&self, dtype: DType, tolerance: Tolerance) -> Result<(), Fault> {
        let operand = |tensor: &Tensor| in_type(tensor, dtype);
        let found = self.answers(dtype, &operand)?;
        let truth = |(name, _): &(String, Tensor)| {
            let tensor = self.arrays.get(name).and_then(|array| array.tensor());
            (name.clone(), tensor.expect("the truth of each answer"))
        };
        let truth: Answers = found.iter().map(truth).collect();
        let apart = all_near(&found, &truth, tolerance);
        if apart.is_ok() || dtype == DType::F64 {
            return apart;
        }
        let rounded = |tensor: &Tensor| in_type(&in_type(tensor, dtype), DType::F64);
        let moved = self.answers(DType::F64, &rounded)?;
        all_near(&found, &moved, tolerance).or(apart)
    }

    /// The answers in one float type for operands that are changed so. What is narrower than its
    /// neighbours stays as it is: it was computed with in its own type.
    fn answers(&self, dtype: DType, operand: &dyn Fn(&Tensor) -> Tensor) -> Result<Answers, Fault> {
        let Ask { line, row, arrays, session } = self;
        let typed = |(name, tensor): (String, Tensor)| match tensor.dtype() {
            DType::F64 => (name, operand(&tensor)),
            _ => (name, tensor),
        };
        let inputs: Vec<_> = numbered(arrays, "in")?.into_iter().map(typed).collect();
        let cotangents: Vec<_> = numbered(arrays, "ct")?.into_iter().map(typed).collect();
        let outputs = numbered(arrays, "out")?;

        let call = Call::new(row, &line.args, &line.kwargs, &inputs, dtype, outputs.len());
        let body = call.and_then(|mut call| call.body()).map_err(Fault::Unsupported)?;
        let named = |of: &[(String, Tensor)]| parameters(of.iter().map(|(n, t)| (n.as_str(), t)));
        let imports = imports(&body);
        let mut text = format!("{imports}fn forward({}) = {{\n{body}}}\n", named(&inputs));
        let differentiates = line.fd_ok == Some(true) && !line.diff.is_empty();
        if differentiates {
            text += &scored(line, &inputs, &cotangents, outputs.len(), &named);
        }

        let program = Program::new(&text)?;
        let mut arguments: Vec<&Tensor> = inputs.iter().map(|(_, t)| t).collect();
        let results = program.call(session, "forward", &arguments)?;
        if results.len() != outputs.len() {
            let (found, wanted) = (results.len(), outputs.len());
            return Err(Fault::Mismatch(format!("{found} results instead of {wanted}")));
        }
        let mut answers: Answers = outputs.into_iter().map(|(name, _)| name).zip(results).collect();
        if differentiates {
            arguments.extend(cotangents.iter().map(|(_, t)| t));
            let gradients = program.call(session, "gradients", &arguments)?;
            let names = line.diff.iter().map(|name| format!("grad_{name}"));
            answers.extend(names.zip(gradients));
        }
        Ok(answers)
    }
}

/// Says where the first of these differs by more than is allowed.
fn all_near(
    found: &[(String, Tensor)],
    truth: &[(String, Tensor)],
    tolerance: Tolerance,
) -> Result<(), Fault> {
    let mut pairs = found.iter().zip(truth);
    pairs.try_for_each(|((name, found), (_, truth))| differs(name, found, truth, tolerance))
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
