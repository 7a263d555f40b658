//! The checker on whole programs.

use super::*;
use crate::diag::render;

/// A checked program, or its messages.
fn checked(text: &str) -> Result<TypedProgram, String> {
    let mut sources = Sources::default();
    let root = sources.add("test.tx", text);
    let (program, diagnostics) = check(&mut sources, root, &SourceLoader::none());
    program.ok_or_else(|| render::render_all(&sources, &diagnostics, false))
}

#[test]
fn a_training_step_of_mnist_is_one_region() {
    let program = checked(include_str!("../../examples/mnist.tx")).unwrap();
    let names: Vec<&str> = program.functions.iter().map(|f| f.name.as_str()).collect();
    assert_eq!(names, ["logits", "loss", "pixels"]);
    let main = program.main.unwrap();
    // Initial values, batch size, training step, evaluation.
    assert_eq!(main.regions.len(), 4);
    let step = &main.regions[2];
    let dying = step.inputs.iter().filter(|(_, dies)| *dies).count();
    assert_eq!((step.inputs.len(), dying, step.outputs.len()), (11, 10, 9));
}

#[test]
fn scratch() {
    let mut files: Vec<_> = std::fs::read_dir("/tmp/cases").unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    for file in files {
        println!("=== {}", file.display());
        let text = std::fs::read_to_string(&file).unwrap();
        match checked(&text) {
            Err(e) => println!("{e}"),
            Ok(p) => for f in &p.functions { println!("{}:\n{}", f.name, f.graph) },
        }
    }
}
