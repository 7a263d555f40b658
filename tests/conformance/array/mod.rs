//! `array-dev`: what NumPy and opt_einsum hold true.

mod einsum;
mod functions;

use crate::collection::{Case, Fault};
use crate::program::Program;
use serde::Deserialize;
use std::path::Path;
use tensc::{DType, Session, Tensor};

pub fn cases(folder: &Path) -> Vec<Case> {
    let mut cases = einsum::cases(folder);
    cases.extend(broadcasts(folder));
    cases.extend(functions::umath(folder));
    cases.extend(functions::special(folder));
    cases
}

/// A line of `broadcast.jsonl`: shapes, and theirs together or none where they do not fit.
#[derive(Deserialize)]
struct Shapes {
    shapes: Vec<Vec<usize>>,
    result: Option<Vec<usize>>,
}

fn broadcasts(folder: &Path) -> Vec<Case> {
    let lines = std::fs::read_to_string(folder.join("broadcast.jsonl")).unwrap_or_default();
    let case = |(number, line): (usize, &str)| {
        let shapes: Shapes = serde_json::from_str(line).expect("shapes");
        let name = format!("broadcast.{number}");
        Case { name, judge: Box::new(move |session| broadcast(&shapes, session)) }
    };
    lines.lines().enumerate().map(case).collect()
}

/// The sum of tensors of these shapes has the result's shape, or is refused.
fn broadcast(case: &Shapes, session: &Session) -> Result<(), Fault> {
    for dtype in [DType::F64, DType::F32] {
        let tensors: Vec<Tensor> =
            case.shapes.iter().map(|shape| Tensor::zeros(dtype, shape.as_slice())).collect();
        let names: Vec<String> = (0..tensors.len()).map(|i| format!("x{i}")).collect();
        let typed = names.iter().map(String::as_str).zip(&tensors);
        let parameters = crate::program::parameters(typed);
        let text = format!("fn f({parameters}) = {}\n", names.join(" + "));
        let arguments: Vec<&Tensor> = tensors.iter().collect();
        match (Program::new(&text), &case.result) {
            (Err(_), None) => {}
            (Ok(_), None) => {
                let shapes = &case.shapes;
                return Err(Fault::Mismatch(format!("{shapes:?} are not refused")));
            }
            (Err(fault), Some(_)) => return Err(fault),
            (Ok(program), Some(shape)) => {
                let found = program.call(session, "f", &arguments)?;
                let found = found[0].shape();
                if found[..] != shape[..] {
                    let what = format!("{:?} give {found} instead of {shape:?}", case.shapes);
                    return Err(Fault::Mismatch(what));
                }
            }
        }
    }
    Ok(())
}
