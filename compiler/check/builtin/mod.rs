//! The built-in functions: one row each, in the table of its family.
//!
//! Elementwise functions are the rows of the graph's own table. What can be said in the language is
//! not here but in the library.

mod along;
mod args;
mod arrange;
mod create;
mod einsum;
mod forms;
mod linear;
mod pattern;
mod rearrange;
mod reduce;
mod select;
mod shape;
mod transforms;
mod window;

use super::types::Type;
pub(crate) use select::{checked, strictly_checked};

use super::value::Value;
use super::walk::{Eval, Slot, Walk};
use crate::diag::Span;
use crate::graph::MapOp;
use crate::graph::ops::elementwise::Takes;
use crate::syntax::ast;
use std::sync::LazyLock;

/// A built-in function.
#[derive(Debug)]
pub(crate) struct Builtin {
    pub(crate) name: &'static str,
    /// Parameters in order; a `?` after the name marks one that may be left out.
    pub(crate) params: &'static [&'static str],
    /// One line: the meaning.
    #[allow(dead_code, reason = "the row's own documentation, for whoever reads the table")]
    pub(crate) doc: &'static str,
    pub(crate) run: Run,
}

/// How a built-in function is evaluated.
#[derive(Clone, Copy)]
pub(crate) enum Run {
    /// Elementwise, by the row of the operation.
    Map(MapOp),
    /// On evaluated arguments.
    Values(for<'w> fn(&mut Walk<'w>, &Args<'w>) -> Eval<Value<'w>>),
    /// On arguments as written.
    Form(for<'w> fn(&mut Walk<'w>, &Form<'w>) -> Eval<Value<'w>>),
}

impl std::fmt::Debug for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Run::Map(_) => "Map",
            Run::Values(_) => "Values",
            Run::Form(_) => "Form",
        })
    }
}

/// The arguments of a call, one for each parameter.
#[derive(Clone, Debug)]
pub(crate) struct Args<'w> {
    pub(crate) values: Vec<Option<(Value<'w>, Span)>>,
    /// The call.
    pub(crate) span: Span,
    /// The type that the context asks for.
    pub(crate) want: Option<Type>,
}

/// The arguments of a call as written.
pub(crate) struct Form<'w> {
    pub(crate) args: &'w [ast::Arg],
    pub(crate) callee: Span,
    pub(crate) span: Span,
}

impl Builtin {
    /// The parameters.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot<'static>> + use<> {
        self.params.iter().map(|p| match p.strip_suffix('?') {
            Some(name) => Slot { name, optional: true },
            None => Slot { name: p, optional: false },
        })
    }
}

/// Every built-in function, by name.
pub(crate) fn table() -> &'static [Builtin] {
    static TABLE: LazyLock<Vec<Builtin>> = LazyLock::new(|| {
        let elementwise = MapOp::ALL.into_iter().map(|map| {
            let row = map.row();
            let params: &[&str] = match (row.arity, row.takes) {
                (1, _) => &["x"],
                (2, _) => &["x", "y"],
                (_, Takes::MaskThenAny) => &["condition", "x", "y"],
                _ => &["x", "y", "z"],
            };
            Builtin { name: row.name, params, doc: row.doc, run: Run::Map(map) }
        });
        let mut rows: Vec<Builtin> = Vec::new();
        // A row that is written out wins over the elementwise one of its name: `max` reduces too.
        rows.extend(reduce::rows());
        rows.extend(select::rows());
        rows.extend(shape::rows());
        rows.extend(window::rows());
        rows.extend(along::rows());
        rows.extend(arrange::rows());
        rows.extend(create::rows());
        rows.extend(einsum::rows());
        rows.extend(linear::rows());
        rows.extend(rearrange::rows());
        rows.extend(forms::rows());
        rows.extend(transforms::rows());
        let written: Vec<&str> = rows.iter().map(|r| r.name).collect();
        let rest: Vec<Builtin> = elementwise.filter(|r| !written.contains(&r.name)).collect();
        rows.extend(rest);
        rows.sort_by_key(|r| r.name);
        rows
    });
    &TABLE
}

/// Numbers with names.
const CONSTANTS: [(&str, f64); 4] = [
    ("inf", f64::INFINITY),
    ("nan", f64::NAN),
    ("pi", std::f64::consts::PI),
    ("tau", std::f64::consts::TAU),
];

/// The number of this name.
pub(crate) fn constant(name: &str) -> Option<f64> {
    CONSTANTS.iter().find(|(n, _)| *n == name).map(|(_, value)| *value)
}

/// The built-in function of this name.
pub(crate) fn find(name: &str) -> Option<&'static Builtin> {
    let table = table();
    table.binary_search_by_key(&name, |r| r.name).ok().map(|i| &table[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_each_row_is_documented() {
        assert!(table().windows(2).all(|pair| pair[0].name < pair[1].name));
        assert!(table().iter().all(|r| r.doc.ends_with('.')), "a doc is a sentence");
        assert!(find("relu").is_none(), "what the language can say is in the library");
        assert!(find("exp").is_some());
    }

    #[test]
    fn every_row_stands_in_the_spec() {
        let page = include_str!("../../../spec/builtin.md");
        let written = table().iter().filter(|row| !matches!(row.run, Run::Map(_)));
        let lines =
            written.map(|r| format!("- `{}({})`: {}\n", r.name, r.params.join(", "), r.doc));
        let missing: String = lines.filter(|line| !page.contains(line.as_str())).collect();
        assert!(missing.is_empty(), "spec/builtin.md lacks\n{missing}");
        let listed = page.lines().filter_map(|line| line.strip_prefix("- `")?.split('(').next());
        for name in listed {
            assert!(find(name).is_some(), "spec/builtin.md has `{name}`, which there is not");
        }
    }
}
