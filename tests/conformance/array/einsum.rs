//! Equations of einsum: the value and, where the collection has them, the gradients.

use crate::collection::{Case, Fault};
use crate::npz::{self, Arrays};
use crate::program::{Program, Tolerance, compare, in_type, parameters};
use serde::Deserialize;
use std::path::Path;
use std::sync::Arc;
use tensc::{DType, Session, Tensor};

#[derive(Deserialize)]
struct Line {
    id: String,
    eq: String,
    shapes: Vec<Vec<usize>>,
}

/// f64 by the README of the collection; f32 by its precision over sums of this size.
const TYPES: [(DType, Tolerance); 2] = [
    (DType::F64, Tolerance { abs: 1e-12, rel: 1e-12 }),
    (DType::F32, Tolerance { abs: 1e-4, rel: 1e-4 }),
];

pub fn cases(folder: &Path) -> Vec<Case> {
    let lines = std::fs::read_to_string(folder.join("einsum.jsonl")).unwrap_or_default();
    let arrays = Arc::new(npz::read(&folder.join("einsum.npz")));
    let case = |line: &str| {
        let line: Line = serde_json::from_str(line).expect("a case");
        let (name, arrays) = (format!("einsum.{}", line.id), Arc::clone(&arrays));
        Case { name, judge: Box::new(move |session| judge(&line, &arrays, session)) }
    };
    lines.lines().map(case).collect()
}

fn judge(line: &Line, arrays: &Arrays, session: &Session) -> Result<(), Fault> {
    let array =
        |name: &str| arrays.get(&format!("{}.{name}", line.id)).and_then(|array| array.tensor());
    for (dtype, tolerance) in TYPES {
        let count = line.shapes.len();
        let operand = |i: usize| in_type(&array(&format!("in{i}")).expect("an operand"), dtype);
        let operands: Vec<Tensor> = (0..count).map(operand).collect();
        let names: Vec<String> = (0..count).map(|i| format!("in{i}")).collect();
        let typed = names.iter().map(String::as_str).zip(&operands);
        let (all, eq) = (names.join(", "), &line.eq);
        let mut text = format!("fn f({}) = einsum({eq:?}, {all})\n", parameters(typed.clone()));
        let cotangent = array("ct").map(|ct| in_type(&ct, dtype));
        if let Some(ct) = &cotangent {
            let typed = parameters(typed.chain([("ct", ct)]));
            text += &format!(
                "fn scored({typed}) = sum(f({all}) * ct)\n\
                 fn gradients({typed}) = grad(scored, wrt = ({all}))({all}, ct)\n"
            );
        }
        let program = Program::new(&text)?;
        let mut arguments: Vec<&Tensor> = operands.iter().collect();
        let value = program.call(session, "f", &arguments)?;
        let what = |part: &str| format!("{dtype}: {eq}: {part}");
        compare(&what("value"), &value[0], &array("out").expect("a result"), tolerance)?;
        let Some(ct) = &cotangent else { continue };
        arguments.push(ct);
        for (i, found) in program.call(session, "gradients", &arguments)?.iter().enumerate() {
            let name = format!("grad{i}");
            let truth = array(&name).expect("a gradient");
            compare(&what(&name), found, &truth, tolerance)?;
        }
    }
    Ok(())
}
