//! The checker on whole programs.

mod errors;
mod graphs;
mod items;
mod mistakes;
mod modules;
mod run;
mod scripts;

use super::*;
use crate::diag::render;

/// A checked program, or its messages.
fn checked(text: &str) -> Result<TypedProgram, String> {
    checked_with(text, &SourceLoader::none())
}

fn checked_with(text: &str, loader: &SourceLoader) -> Result<TypedProgram, String> {
    let mut sources = Sources::default();
    let root = sources.add("test.tx", text);
    let (program, diagnostics) = check(&mut sources, root, loader);
    program.ok_or_else(|| render::render_all(&sources, &diagnostics, false))
}

/// The messages of a program that is wrong.
fn messages(text: &str) -> String {
    match checked(text) {
        Ok(_) => "no message".to_string(),
        Err(messages) => messages,
    }
}

/// The graph of a program's last function.
fn graph(text: &str) -> String {
    match checked(text) {
        Ok(program) => match program.functions.last() {
            Some(function) => function.graph.to_string(),
            None => "no function".to_string(),
        },
        Err(messages) => messages,
    }
}
