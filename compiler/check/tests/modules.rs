//! Programs of several files, and functions instantiated from outside.

use super::{checked, checked_with};
use crate::check::typed::Tree;
use crate::check::{Given, SourceLoader, check, instantiate};
use crate::diag::{Sources, render};
use crate::graph::{Dim, TensorType};
use insta::assert_snapshot;
use tensc_runtime::DType;

/// A loader of the given files.
fn files(files: &'static [(&str, &str)]) -> SourceLoader {
    SourceLoader::new(move |_, path| match files.iter().find(|(name, _)| *name == path) {
        Some((name, text)) => Ok(((*name).to_string(), (*text).to_string())),
        None => Err("no such file".to_string()),
    })
}

fn outcome(text: &str, loader: &SourceLoader) -> String {
    match checked_with(text, loader) {
        Err(messages) => messages,
        Ok(program) => program.functions.iter().map(|f| f.graph.to_string()).collect(),
    }
}

#[test]
fn files_import_each_other_s_items() {
    let loader = files(&[
        (
            "layers.tx",
            "import \"deep/maths.tx\" as maths\nfn twice(x: f32) -> f32 = maths.double(x)",
        ),
        ("deep/maths.tx", "fn double(x: f32) -> f32 = x + x"),
    ]);
    let text = "import layers.{twice as two}\nimport \"layers.tx\"\n\
                fn f(x: f32) -> f32 = two(layers.twice(x))";
    assert_snapshot!(outcome(text, &loader), @r#"
    %0: f32 = input "x"
    %1: f32 = add(%0, %0)
    %2: f32 = add(%1, %1)
    output "result" = %2
    "#);
}

#[test]
fn files_of_like_paths_are_no_circle() {
    let dir = tempfile::tempdir().expect("a folder");
    let write = |path: &str, text: &str| {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(path, text).expect("written");
    };
    write("models/a.tx", "import \"models/a.tx\" as inner\nfn f(x: f32) = inner.g(x)");
    write("models/models/a.tx", "fn g(x: f32) = x + x");
    write("models/b.tx", "import \"c.tx\"\nfn f(x: f32) = x");
    write("models/c.tx", "import \"b.tx\"\nfn g(x: f32) = x");
    let folder = dir.path().join("models");
    let read = |file: &str| {
        let (mut sources, path) = (Sources::default(), folder.join(file));
        let text = std::fs::read_to_string(&path).expect("read");
        // As `models/a.tx`, from the folder above.
        let root = sources.add(format!("models/{file}"), text);
        let loader = SourceLoader::files(folder.clone(), Some(&path));
        let (_, diagnostics) = check(&mut sources, root, &loader);
        diagnostics.iter().map(|d| format!("{} {}\n", d.message, d.notes.join(""))).collect()
    };
    let messages: [String; 2] = ["a.tx", "b.tx"].map(read);
    assert_eq!(messages[0], "");
    assert_snapshot!(messages[1], @"files import each other in a circle b.tx imports c.tx imports b.tx");
}

#[test]
fn circles_and_missing_files_are_refused() {
    let loader =
        files(&[("a.tx", "import \"b.tx\"\nfn f(x: f32) -> f32 = x"), ("b.tx", "import \"a.tx\"")]);
    assert_snapshot!(outcome("import a\nimport \"c.tx\"\nimport std.nothing\nimport std.nm.{Dense}", &loader), @r#"
    error[E0503]: files import each other in a circle
     --> b.tx:1:8
      |
    1 | import "a.tx"
      |        ^^^^^^
      |
      = note: a.tx imports b.tx imports a.tx
      = help: move what both need into a third file

    error[E0504]: `c.tx` cannot be imported: no such file
     --> test.tx:2:8
      |
    2 | import "c.tx"
      |        ^^^^^^

    error[E0502]: `std` has no `nothing`
     --> test.tx:3:12
      |
    3 | import std.nothing
      |            ^^^^^^^

    error[E0501]: the standard library has no module `std.nm`
     --> test.tx:4:8
      |
    4 | import std.nm.{Dense}
      |        ^^^^^^
      |
      = help: there is `std.nn`

    4 errors
    "#);
}

#[test]
fn names_that_start_with_a_line_are_those_of_their_own_file() {
    const HIDDEN: &str = r"struct _Inner { w: f32[3] }

fn _half(x: f32) -> f32 = 0.5 * x

fn quarter(x: f32) -> f32 = _half(_half(x))
";
    let loader = files(&[("parts/hidden.tx", HIDDEN)]);
    let text = r#"import "parts/hidden.tx"
import parts.hidden.{quarter, _half as half}
import parts.hidden._Inner

fn f(x: f32) -> f32 = hidden.quarter(x) + hidden._half(x) + quarter(x) + half(x)

fn g(p: hidden._Inner) -> f32 = sum(p.w)

fn made() -> f32 = sum(hidden._Inner { w: [1.0, 2.0, 3.0] }.w)

fn h(x: f32) -> f32 = hidden.half(x) + _own(x)

fn _own(x: f32) -> f32 = x
"#;
    assert_snapshot!(outcome(text, &loader), @r"
    error[E0507]: `_half` is visible in `parts/hidden.tx` only
     --> test.tx:2:31
      |
    2 | import parts.hidden.{quarter, _half as half}
      |                               ^^^^^
      |
     ::: parts/hidden.tx:3:4
      |
    3 | fn _half(x: f32) -> f32 = 0.5 * x
      |    ----- it is defined here
      |
      = note: names that start with `_` are those of their own file

    error[E0507]: `_Inner` is visible in `parts/hidden.tx` only
     --> test.tx:3:21
      |
    3 | import parts.hidden._Inner
      |                     ^^^^^^
      |
     ::: parts/hidden.tx:1:8
      |
    1 | struct _Inner { w: f32[3] }
      |        ------ it is defined here
      |
      = note: names that start with `_` are those of their own file

    error[E0507]: `_half` is visible in `parts/hidden.tx` only
     --> test.tx:5:50
      |
    5 | fn f(x: f32) -> f32 = hidden.quarter(x) + hidden._half(x) + quarter(x) + half(x)
      |                                                  ^^^^^
      |
     ::: parts/hidden.tx:3:4
      |
    3 | fn _half(x: f32) -> f32 = 0.5 * x
      |    ----- it is defined here
      |
      = note: names that start with `_` are those of their own file

    error[E0507]: `_Inner` is visible in `parts/hidden.tx` only
     --> test.tx:7:16
      |
    7 | fn g(p: hidden._Inner) -> f32 = sum(p.w)
      |                ^^^^^^
      |
     ::: parts/hidden.tx:1:8
      |
    1 | struct _Inner { w: f32[3] }
      |        ------ it is defined here
      |
      = note: names that start with `_` are those of their own file

    error[E0507]: `_Inner` is visible in `parts/hidden.tx` only
     --> test.tx:9:31
      |
    9 | fn made() -> f32 = sum(hidden._Inner { w: [1.0, 2.0, 3.0] }.w)
      |                               ^^^^^^
      |
     ::: parts/hidden.tx:1:8
      |
    1 | struct _Inner { w: f32[3] }
      |        ------ it is defined here
      |
      = note: names that start with `_` are those of their own file

    error[E0502]: `parts/hidden.tx` has no `half`
      --> test.tx:11:30
       |
    11 | fn h(x: f32) -> f32 = hidden.half(x) + _own(x)
       |                              ^^^^

    6 errors
    ");
}

#[test]
fn a_generic_function_is_instantiated_for_given_types() {
    let program = checked(
        "struct Pair[N] { a: f32[N], b: f32[N] }\n\
         fn mix[T: float, S...](x: T[S...], static k: i64 = 2) -> T[S...] = x * k\n\
         fn total[N](p: Pair[N], y: f32[N]) -> f32 = sum(p.a * p.b * y)",
    )
    .unwrap();
    let leaf = |dtype, sizes: &[i64]| {
        Tree::Leaf(TensorType::new(dtype, sizes.iter().map(|&n| Dim::Const(n))))
    };
    let given = |name: &str, tree| (name.to_string(), Given::Data(tree));
    let mix = instantiate(&program, "mix", &[given("x", leaf(DType::F64, &[2, 3]))]).unwrap();
    assert_snapshot!(mix.graph, @r#"
    %0: f64[2, 3] = input "x"
    %1: f64 = const 2.0
    %2: f64[2, 3] = broadcast(%1) {axes: []}
    %3: f64[2, 3] = mul(%0, %2)
    output "result" = %3
    "#);
    let pair = |n: i64| Tree::Record {
        name: None,
        fields: vec![
            ("a".to_string(), leaf(DType::F32, &[3])),
            ("b".to_string(), leaf(DType::F32, &[n])),
        ],
    };
    let totals = |n| [given("p", pair(n)), given("y", leaf(DType::F32, &[3]))];
    let total = instantiate(&program, "total", &totals(3)).unwrap();
    assert_eq!(total.params[0].1.leaves("p").len(), 2);
    let wrong = instantiate(&program, "total", &totals(4)).unwrap_err();
    let mut sources = Sources::default();
    sources.add("std/prelude.tx", "");
    let message = wrong.iter().next().unwrap().message.clone();
    assert_snapshot!(message, @"`p` is Pair[N], found a: f32[3], b: f32[4]");
    let unknown = instantiate(&program, "mixx", &[]).unwrap_err();
    assert_snapshot!(render::render_all(&sources, &unknown, false), @r#"
    error[E0301]: there is no function `mixx`
     |
     = help: did you mean `mix`?

    1 error
    "#);
}

#[test]
fn every_module_of_the_library_is_right() {
    let mut imports = String::new();
    for (i, (name, _)) in crate::check::library::MODULES.iter().enumerate() {
        imports.push_str(&format!("import {name} as m{i}\n"));
    }
    if let Err(messages) = checked(&imports) {
        panic!("{messages}");
    }
    for (name, text) in crate::check::library::MODULES {
        if let Err(messages) = checked(text) {
            panic!("{name}: {messages}");
        }
    }
}

#[test]
fn the_library_is_documented_and_listed() {
    let page = include_str!("../../../spec/library.md");
    for (name, text) in crate::check::library::MODULES {
        let section = page.split("\n## ").find(|section| section.starts_with(&format!("{name}\n")));
        let section = section.unwrap_or_else(|| panic!("spec/library.md has no `## {name}`"));
        let mut before = "";
        for line in text.lines() {
            let item = line.strip_prefix("fn ").or(line.strip_prefix("struct "));
            if let Some(item) = item {
                let item = item.split(['[', '(', ' ']).next().expect("an item has a name");
                // What is without a comment is for the module's own use.
                let listed = section.contains(&format!("\n- `{item}`: "));
                assert!(!before.starts_with("///") || listed, "{name}: `{item}` is not listed");
            }
            before = line;
        }
    }
}
