//! `tensc dump` for other programs: JSON says what the text says.

use super::{assert_success, folder, stderr, stdout, tensc};
use serde_json::Value;
use std::path::Path;
use tempfile::TempDir;
use tensc::{graph, kernel};

const MODEL: &str = r"
fn decayed[N](x: f32[N, 3], w: f32[3, 3]) -> f32[3] =
    scan row in x with h = zeros([3]) { tanh(0.5 * h + row @ w) }

fn loss[N](w: f32[3, 3], x: f32[N, 3], rows: i64[N]) -> f32 =
    sum(decayed(x, w)[rows]) + sum(where(x > inf, 0.1, x[:, ::-1]))

fn slope[N](w: f32[3, 3], x: f32[N, 3], rows: i64[N]) -> f32[3, 3] = grad(loss)(w, x, rows)
";

fn dumped(dir: &TempDir, function: &str, after: &str, format: &str) -> String {
    let which = ["dump", "model.tx", "--fn", function, "--size", "N=8"];
    let out = tensc(dir, &[&which[..], &["--after", after, "--format", format]].concat());
    assert_success(&out);
    stdout(&out)
}

fn in_json(dir: &TempDir, function: &str, after: &str) -> Value {
    let text = dumped(dir, function, after, "json");
    let value: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}:\n{text}"));
    assert_eq!(value["of"], format!("fn {function}"));
    assert_eq!(value["after"], after);
    value
}

/// A node as the text has it, without attributes: `%2: f32[8] = mul(%0, %1)`.
fn line(node: &Value) -> String {
    let list = |value: &Value, before: &str| {
        let items = value.as_array().expect("a list").iter();
        let text = |item: &Value| item.as_str().map_or(item.to_string(), String::from);
        items.map(|item| format!("{before}{}", text(item))).collect::<Vec<_>>().join(", ")
    };
    let shape = list(&node["type"]["shape"], "");
    let brackets = if shape.is_empty() { shape } else { format!("[{shape}]") };
    let (dtype, op) = (node["type"]["dtype"].as_str(), node["op"].as_str());
    let (dtype, op) = (dtype.expect("a word"), op.expect("a word"));
    let operands = list(&node["operands"], "%");
    format!("%{}: {dtype}{brackets} = {op}({operands})", node["id"])
}

/// The comment of a line of text: where its node comes from.
fn comment(origin: &Value) -> String {
    let place = origin["file"].as_str().map(|file| {
        let file = Path::new(file).display();
        format!("{file}:{}:{}", origin["line"], origin["column"])
    });
    let by = origin["by"].as_str().map(|by| match by {
        "tangent" | "cotangent" => by.to_string(),
        rule => format!("by {rule}"),
    });
    place.into_iter().chain(by).collect::<Vec<_>>().join(", ")
}

fn assert_same(json: &Value, text: &str) {
    let parsed = graph::text::parse(text).unwrap_or_else(|e| panic!("{e}:\n{text}"));
    let nodes = json["nodes"].as_array().expect("nodes");
    assert_eq!(nodes.len(), parsed.len(), "{text}");
    let lines = text.lines().filter(|line| line.starts_with('%'));
    for (node, written) in nodes.iter().zip(lines) {
        let (code, origin) = written.split_once("  // ").unwrap_or((written, ""));
        assert_eq!(comment(&node["origin"]), origin, "{written}");
        let (head, rest) = code.split_once(" = ").expect("a node");
        let op = rest.split([' ', '(']).next().expect("an operation");
        let operands = match rest.strip_prefix(op).and_then(|rest| rest.strip_prefix('(')) {
            Some(rest) => rest.split_once(')').expect("a bracket").0,
            None => "",
        };
        assert_eq!(line(node), format!("{head} = {op}({operands})"));
        let attributes = node["attributes"].as_object().expect("attributes");
        let bare = ["input", "const", "literal", "size"].contains(&op);
        let braces = code.contains(" {");
        assert_eq!(attributes.is_empty(), !bare && !braces, "{code}");
        let named = |name: &String| bare || code.contains(name.as_str());
        assert!(attributes.keys().all(named), "{code}: {attributes:?}");
    }
    assert_eq!(named(&json["inputs"]), ends(parsed.inputs()));
    assert_eq!(named(&json["outputs"]), ends(parsed.outputs()));
}

fn named(list: &Value) -> Vec<(String, u64)> {
    let entry = |entry: &Value| {
        let (name, node) = (entry["name"].as_str(), entry["node"].as_u64());
        (name.expect("a name").to_string(), node.expect("a number"))
    };
    list.as_array().expect("a list").iter().map(entry).collect()
}

fn ends(of: &[(String, graph::NodeId)]) -> Vec<(String, u64)> {
    of.iter().map(|(name, node)| (name.clone(), node.index() as u64)).collect()
}

#[test]
fn graphs_are_the_same_in_json() {
    let dir = folder(&[("model.tx", MODEL)]);
    for function in ["decayed", "loss", "slope"] {
        for after in ["check", "elaborate", "rewrite"] {
            let text = dumped(&dir, function, after, "text");
            let json = in_json(&dir, function, after);
            assert_same(&json["graph"], &text);
            let dims: &[&str] = if after == "check" { &["N"] } else { &[] };
            let given = json["graph"]["dims"].as_array().expect("a list");
            let given: Vec<_> =
                given.iter().map(|dim| dim["name"].as_str().expect("text")).collect();
            assert_eq!(given, dims);
        }
    }
}

#[test]
fn attributes_are_data() {
    let dir = folder(&[("model.tx", MODEL)]);
    let json = in_json(&dir, "loss", "check");
    let nodes = json["graph"]["nodes"].as_array().expect("nodes");
    let attributes = |op: &str| {
        let node = nodes.iter().find(|node| node["op"] == op);
        node.unwrap_or_else(|| panic!("{op} in {json}"))["attributes"].clone()
    };
    assert_eq!(attributes("input")["name"], "w");
    assert_eq!(attributes("slice")["steps"], serde_json::json!([1, -1]));
    let of_constants = nodes.iter().filter(|node| node["op"] == "const");
    let values: Vec<_> = of_constants.map(|node| node["attributes"]["value"].clone()).collect();
    assert!(values.contains(&serde_json::json!(0.1)), "{values:?}");
    assert!(values.contains(&serde_json::json!("inf")), "JSON has no infinity: {values:?}");
    let scan = attributes("scan");
    assert_eq!(scan["count"], "N");
    let step = scan["step"]["nodes"].as_array().expect("the step is a graph");
    assert!(step.iter().any(|node| node["op"] == "tanh"), "{scan}");
    let json = in_json(&dir, "loss", "rewrite");
    let nodes = json["graph"]["nodes"].as_array().expect("nodes");
    let fused = nodes.iter().find(|node| node["op"] == "fused").expect("something is fused");
    let body = fused["attributes"]["body"].as_array().expect("instructions");
    assert!(body.iter().all(|inst| inst["op"].is_string() && inst["dtype"].is_string()));
}

#[test]
fn programs_are_the_same_in_json() {
    let dir = folder(&[("model.tx", MODEL)]);
    for after in ["lower", "fuse", "plan"] {
        let text = dumped(&dir, "slope", after, "text");
        let program = kernel::text::parse(&text).unwrap_or_else(|e| panic!("{e}:\n{text}"));
        let code: String = text.lines().skip(1).map(|line| format!("{line}\n")).collect();
        assert_eq!(program.to_string(), code);
        let json = &in_json(&dir, "slope", after)["program"];
        let buffers = json["buffers"].as_array().expect("buffers");
        assert_eq!(buffers.len(), program.buffers.len());
        for (written, buffer) in buffers.iter().zip(&program.buffers) {
            assert_eq!(written["name"], buffer.name.as_str());
            assert_eq!(written["dtype"], buffer.dtype.to_string());
            assert_eq!(written["elements"], buffer.elements);
        }
        let kernels = json["kernels"].as_array().expect("kernels");
        assert_eq!(kernels.len(), program.kernels.len());
        for (written, kernel) in kernels.iter().zip(&program.kernels) {
            assert_eq!(written["name"], kernel.name.as_str());
            let repeated = matches!(kernel.work, kernel::Work::Repeat(_));
            assert_eq!(written["work"] == "repeat", repeated);
            let origins = written["origins"].as_array().expect("origins");
            assert!(origins.iter().all(|origin| origin["line"].is_u64()), "{written}");
        }
        assert!(kernels.iter().any(|kernel| kernel["work"] == "repeat"), "{text}");
        let arena = (after == "plan").then_some(program.plan.bytes as u64);
        assert_eq!(json["plan"]["arena"].as_u64(), arena);
    }
}

#[test]
fn several_graphs_are_an_object_a_line() {
    let dir = folder(&[("model.tx", MODEL)]);
    let out = tensc(&dir, &["dump", "model.tx", "--format", "json"]);
    assert_success(&out);
    let lines = stdout(&out);
    let titles: Vec<String> = lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("an object")["of"].to_string())
        .collect();
    assert_eq!(titles, ["\"fn decayed\"", "\"fn loss\"", "\"fn slope\""]);
}

#[test]
fn what_is_dumped_of_a_file_parses_back() {
    let dir = folder(&[("model.tx", MODEL)]);
    let dump = |options: &[&str]| {
        let out = tensc(&dir, &[&["dump", "model.tx"][..], options].concat());
        assert_success(&out);
        stdout(&out).to_string()
    };
    let titles = ["fn decayed", "fn loss", "fn slope"];
    let graphs = graph::text::parse_all(&dump(&[])).expect("they are graphs");
    let found: Vec<&str> = graphs.iter().map(|(title, _)| title.as_str()).collect();
    assert_eq!(found, titles);
    let programs = kernel::text::parse_all(&dump(&["--size", "N=4", "--after", "plan"]));
    let programs = programs.expect("they are programs");
    let found: Vec<&str> = programs.iter().map(|(title, _)| title.as_str()).collect();
    assert_eq!(found, titles);
}

#[test]
fn passes_that_do_not_run_are_not_dumped() {
    let dir = folder(&[("model.tx", MODEL)]);
    for after in ["rewrite", "fuse"] {
        let options = ["--fn", "loss", "--size", "N=4", "--no-optimise", "--after", after];
        let out = tensc(&dir, &[&["dump", "model.tx"][..], &options].concat());
        assert_eq!(out.status.code(), Some(2));
        let message = format!("error: with `--no-optimise` the pass `{after}` does not run\n");
        assert_eq!(stderr(&out), message);
    }
    let options = ["--fn", "loss", "--size", "N=4", "--time-passes"];
    let out = tensc(&dir, &[&["dump", "model.tx"][..], &options].concat());
    let lines: Vec<String> = stdout(&out).lines().map(str::to_string).collect();
    let timed: Vec<&str> = (lines.iter().filter(|line| line.ends_with(" us")))
        .map(|line| line.split_whitespace().next().expect("a name"))
        .collect();
    assert_eq!(timed, ["check", "elaborate", "rewrite", "lower", "fuse", "plan", "emit"]);
}
