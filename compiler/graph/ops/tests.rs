//! Over the whole table: what every row must satisfy.

use super::*;
use crate::graph::TensorType;

fn samples() -> impl Iterator<Item = (&'static OpRow, Sample)> {
    ROWS.iter().flat_map(|row| (row.samples)().into_iter().map(move |s| (*row, s)))
}

#[test]
fn every_row_has_samples_of_its_own() {
    for row in ROWS {
        let samples = (row.samples)();
        assert!(!samples.is_empty(), "{} has no sample", row.name);
        assert!(samples.iter().all(|s| std::ptr::eq(s.op.row(), row)), "{}", row.name);
        assert!(!row.doc.is_empty() && !row.doc.ends_with('.'), "{}", row.name);
    }
}

#[test]
fn names_are_unique() {
    let mut names: Vec<&str> = ROWS.iter().map(|r| r.name).collect();
    names.extend(MapOp::ALL.iter().map(|op| op.row().name));
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn elementwise_rows_are_whole() {
    for op in MapOp::ALL {
        let row = op.row();
        assert_eq!(row.partials.len(), row.arity, "{}", row.name);
        assert_eq!(row.sample.len(), row.arity, "{}", row.name);
        assert!(row.doc.ends_with('.'), "{}", row.name);
        assert_eq!(MapOp::from_name(row.name), Some(op));
        for dtype in DType::ALL.into_iter().filter(|&d| row.takes.accepts(d)) {
            let meant = if dtype.is_float() { row.float.is_some() } else { row.int.is_some() };
            assert!(meant, "{} takes {dtype} and does not say what it means", row.name);
        }
    }
}

#[test]
fn samples_have_a_type_and_a_value_of_that_type() {
    for (row, sample) in samples() {
        let ty = sample.op.infer(&sample.types()).unwrap_or_else(|e| panic!("{sample:?}: {e}"));
        assert!(sample.op.is_concrete());
        if row.name == "input" {
            continue;
        }
        let values = sample.values(1);
        let value = (row.eval)(&sample.op, &values.iter().collect::<Vec<_>>(), &ty)
            .unwrap_or_else(|e| panic!("{sample:?}: {e}"));
        assert_eq!(value.dtype(), ty.dtype, "{sample:?}");
        assert_eq!(*value.shape(), ty.concrete_shape(), "{sample:?}");
    }
}

#[test]
fn wrong_numbers_of_operands_are_errors() {
    for (row, sample) in samples() {
        let mut types = sample.types();
        let extra = TensorType::scalar(DType::F32);
        types.push(&extra);
        let variadic = row.name == "concat" && sample.types()[0].rank() == 0;
        assert!(variadic || sample.op.infer(&types).is_err(), "{sample:?}");
    }
}

/// Gathering through the view's index map gives what the evaluation gives.
#[test]
fn view_maps_say_what_views_mean() {
    let mut seen = 0;
    for (row, sample) in samples() {
        let Class::View(map) = row.class else { continue };
        let ty = sample.op.infer(&sample.types()).expect("samples are well typed");
        let values = sample.values(2);
        let operand = &values[0];
        let value = (row.eval)(&sample.op, &[operand], &ty).expect("views have values");
        let read = match map(&sample.op, &sample.operands[0].0, &ty) {
            Some(map) => {
                map.check(&sample.operands[0].0, &ty.concrete_shape()).expect("in bounds");
                naive::rearranged(&ty, &[operand], |p| {
                    (0, naive::flat(operand.shape(), &map.at(p)))
                })
            }
            None => operand.clone().reshape(ty.concrete_shape()),
        };
        assert_eq!(read, value, "{sample:?}");
        seen += 1;
    }
    assert!(seen > 20);
}

/// `spec/ops.md` has a section for each row and a line for each elementwise operation, saying what
/// the row says.
#[test]
fn the_specification_names_every_row() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/spec/ops.md");
    let spec = std::fs::read_to_string(path).expect("the specification is there");
    for row in ROWS.iter().filter(|row| row.name != "map") {
        assert!(spec.contains(&format!("\n### {}\n", row.name)), "no section `{}`", row.name);
    }
    for op in MapOp::ALL {
        let row = op.row();
        let operands = ["a", "a, b", "c, a, b"][row.arity - 1];
        let result = match row.gives {
            elementwise::Gives::Same => "the same",
            elementwise::Gives::Bool => "bool",
        };
        let (name, takes, doc) = (row.name, row.takes.describe(), row.doc);
        let line = format!("\n| `{name}({operands})` | {takes} | {result} | {doc} | ");
        assert!(spec.contains(&line), "spec/ops.md lacks the line{line}");
    }
}
