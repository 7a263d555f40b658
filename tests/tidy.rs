//! The house rules that a compiler does not check: who may import whom, how long files and lines
//! are, where `unsafe` may stand, that programs are formatted, and that no snapshot is left behind.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use tensc::diag::SourceId;
use tensc::syntax::{parse, print};

/// Each part of `compiler/` with the parts it may import. Arrows point down; floor-mates do not
/// know each other. `spec/architecture.md` says why.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("diag", &[]),
    ("vector", &[]),
    ("syntax", &["diag"]),
    ("graph", &["diag", "vector"]),
    ("autodiff", &["graph"]),
    ("check", &["diag", "syntax", "graph", "autodiff"]),
    ("rewrite", &["diag", "graph"]),
    ("kernel", &["graph", "vector"]),
    ("codegen", &["kernel", "graph", "vector"]),
    ("pipeline", &["graph", "rewrite", "kernel", "codegen"]),
    ("session", &["graph", "kernel", "pipeline", "codegen"]),
    ("script", &["diag", "check", "graph", "session"]),
    ("module", &["diag", "syntax", "check", "graph", "session", "script"]),
    (
        "inspect",
        &[
            "diag", "syntax", "check", "graph", "autodiff", "rewrite", "kernel", "pipeline",
            "module",
        ],
    ),
];

/// The files that may contain `unsafe`, each block with its `SAFETY:` argument.
const MAY_BE_UNSAFE: &[&str] = &[
    "runtime/src/tensor.rs",
    "runtime/src/arena.rs",
    "runtime/src/pool.rs",
    "runtime/src/pool/tests.rs",
    "runtime/src/data/input.rs",
    "compiler/main.rs",
    "compiler/codegen/calls.rs",
    "compiler/codegen/executable.rs",
    "compiler/codegen/guard.rs",
    "compiler/codegen/module.rs",
    "benches/products.rs",
    "compiler/session/compiled.rs",
];

const MAX_LINES: usize = 600;
const MAX_COLUMNS: usize = 100;

#[test]
fn parts_import_only_what_is_below_them() {
    let mut wrong = Vec::new();
    for (path, text) in rust_files("compiler") {
        let Some(part) = part_of(&path) else { continue };
        let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == part) else {
            wrong.push(format!("{path}: `{part}` is not in the table"));
            continue;
        };
        for import in imports(&text) {
            if import != part && !allowed.contains(&import.as_str()) {
                wrong.push(format!("{path} imports crate::{import}"));
            }
        }
    }
    assert!(wrong.is_empty(), "imports against the floors:\n{}", wrong.join("\n"));
}

#[test]
fn files_and_lines_are_short_enough_to_read() {
    let mut wrong = Vec::new();
    for (path, text) in all_rust_files() {
        let lines = text.lines().count();
        if lines > MAX_LINES {
            wrong.push(format!("{path}: {lines} lines"));
        }
        // What a test expects word for word may not be broken.
        let prose = !path.contains("/tests");
        for (number, line) in text.lines().enumerate().filter(|_| prose) {
            if line.chars().count() > MAX_COLUMNS && !line.contains(['"', '|']) {
                wrong.push(format!("{path}:{}: over {MAX_COLUMNS} columns", number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_stands_in_named_files_with_its_argument() {
    let mut wrong = Vec::new();
    for (path, text) in all_rust_files().filter(|(path, _)| !path.starts_with("tests/")) {
        let lines: Vec<&str> = text.lines().collect();
        for (number, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            if !code.contains("unsafe {") && !code.contains("unsafe impl") {
                continue;
            }
            if !MAY_BE_UNSAFE.contains(&path.as_str()) {
                wrong.push(format!("{path}:{}: unsafe outside the named files", number + 1));
            }
            let above = &lines[number.saturating_sub(12)..=number];
            if !above.iter().any(|l| l.contains("SAFETY:")) {
                wrong.push(format!("{path}:{}: no SAFETY: argument above", number + 1));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_exception_to_a_lint_carries_its_reason() {
    let mut wrong = Vec::new();
    for (path, text) in all_rust_files() {
        for (at, _) in text.match_indices("allow(") {
            let attribute = &text[at..];
            let end = attribute.find(")]").unwrap_or(attribute.len());
            let is_attribute = text[..at].ends_with("#[") || text[..at].ends_with("#![");
            if is_attribute && !attribute[..end].contains("reason") {
                wrong.push(format!("{path}: {}", attribute[..end].replace('\n', " ")));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn programs_are_in_the_one_formatting() {
    let mut wrong = Vec::new();
    for folder in ["examples", "compiler/std", "benches"] {
        let files = files_below(Path::new(folder), "tx");
        assert!(!files.is_empty(), "no programs in {folder}");
        for path in files {
            let text = fs::read_to_string(&path).unwrap();
            let (file, diagnostics) = parse(SourceId(0), &text);
            if !diagnostics.is_empty() || print(&file) != text {
                wrong.push(path.display().to_string());
            }
        }
    }
    assert!(wrong.is_empty(), "run `tensc fmt` on:\n{}", wrong.join("\n"));
}

/// A snapshot `<file>__<test>.snap` is of a test that exists; one of the suite,
/// `<test>@<program>.snap`, also of a program that exists.
#[test]
fn no_snapshot_is_left_behind() {
    let sources: Vec<(String, String)> = all_rust_files().collect();
    let programs = files_below(Path::new("tests"), "tx");
    let program_exists = |name: &str| {
        let name = name.trim_end_matches(".tx");
        programs.iter().any(|p| p.file_stem().is_some_and(|s| s.to_string_lossy() == name))
    };
    let mut wrong = Vec::new();
    for path in files_below(Path::new("."), "snap") {
        let stem = path.file_stem().expect("a file has a name").to_string_lossy().to_string();
        let (name, program) = match stem.split_once('@') {
            Some((name, program)) => (name, Some(program)),
            None => (stem.as_str(), None),
        };
        let (file, test) = name.rsplit_once("__").unwrap_or(("", name));
        // A snapshot is named in its own file, or is all that a function of this name says.
        let (named, function) = (format!("\"{test}\""), format!("fn {test}("));
        let file = file.rsplit("__").next().unwrap_or_default();
        let own = [format!("/{file}.rs"), format!("/{file}/main.rs")];
        let says = |(path, text): &(String, String)| {
            (file.is_empty() || own.iter().any(|own| path.ends_with(own)))
                && (text.contains(&named) || text.contains(&function))
        };
        if !sources.iter().any(says) || !program.is_none_or(program_exists) {
            wrong.push(path.display().to_string());
        }
    }
    assert!(wrong.is_empty(), "snapshots that nothing refers to:\n{}", wrong.join("\n"));
}

/// The code map of `spec/architecture.md` names every part, and the table only parts that exist.
#[test]
fn the_code_map_is_true() {
    let spec = fs::read_to_string("spec/architecture.md").expect("the architecture is described");
    let parts: BTreeSet<String> =
        rust_files("compiler").iter().filter_map(|(path, _)| part_of(path)).collect();
    for part in &parts {
        let named = spec.contains(&format!("{part}/")) || spec.contains(&format!("{part}.rs"));
        assert!(named, "spec/architecture.md does not name compiler/{part}");
    }
    for (part, _) in MAY_IMPORT {
        assert!(parts.contains(*part), "the table names compiler/{part}, which is not there");
    }
}

/// `compiler/graph/ops/mod.rs` belongs to `graph`; the roots `lib.rs`, `main.rs` and the command
/// line stand above the floors.
fn part_of(path: &str) -> Option<String> {
    let part = path.strip_prefix("compiler/")?.split('/').next()?.trim_end_matches(".rs");
    (!["lib", "main", "cli"].contains(&part)).then(|| part.to_string())
}

/// The parts that a file names as `crate::part`, alone or in braces; its test module aside.
fn imports(text: &str) -> BTreeSet<String> {
    let code: String = text
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default()
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect();
    let mut parts = BTreeSet::new();
    let paths = code.match_indices("crate::").filter(|(at, _)| {
        // Not `$crate::`, nor the end of another word.
        !code[..*at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$')
    });
    for (at, _) in paths {
        let tail = &code[at + "crate::".len()..];
        match tail.strip_prefix('{') {
            Some(group) => parts.extend(top_level_names(group)),
            None => _ = parts.insert(first_name(tail)),
        }
    }
    // Capitals are items of the crate root, not parts.
    parts.retain(|name| name.starts_with(|c: char| c.is_ascii_lowercase()));
    parts
}

fn first_name(text: &str) -> String {
    text.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn top_level_names(group: &str) -> Vec<String> {
    let (mut depth, mut names, mut start) = (0, Vec::new(), true);
    for (i, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            _ if start && !c.is_whitespace() => {
                names.push(first_name(&group[i..]));
                start = false;
            }
            _ => {}
        }
    }
    names
}

fn all_rust_files() -> impl Iterator<Item = (String, String)> {
    ["compiler", "runtime/src", "tests", "benches", "examples"].into_iter().flat_map(rust_files)
}

fn rust_files(folder: &str) -> Vec<(String, String)> {
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("sources are readable");
        (path.to_string_lossy().replace('\\', "/"), text)
    };
    files_below(Path::new(folder), "rs").into_iter().map(read).collect()
}

fn files_below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut files = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        let skipped = path.file_name().is_some_and(|n| n == "target" || n == ".git");
        if path.is_dir() && !skipped {
            files.extend(files_below(&path, extension));
        } else if path.extension().is_some_and(|e| e == extension) {
            files.push(path);
        }
    }
    files.sort();
    files
}
