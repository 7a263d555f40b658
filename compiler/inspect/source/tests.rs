//! Gradients of small functions as text, and the text read back.

use super::{Head, Names, function, tree_type, tuple_type};
use crate::check::typed::{Function, Tree};
use crate::check::{SourceLoader, check};
use crate::diag::{SourceId, Sources, Span, render};
use crate::graph::ops::{Contraction, ROWS};
use crate::graph::testing::{Options, random_case};
use crate::graph::{Builder, Dim, DimVar, Graph, NodeId, Op, Origin, TensorType, interpret};
use crate::inspect::gradient::gradient_of;
use crate::syntax::ast::{Ident, NOWHERE, Param};
use crate::syntax::parse;
use tensc_runtime::{DType, Tensor};

/// A function made by hand: the source is for its names and its signature.
struct Sketch<'a> {
    text: &'a str,
    b: Builder<'a>,
}

impl Sketch<'_> {
    /// Nodes from now on come from this piece of the source.
    fn at(&self, piece: &str) {
        let start = self.text.find(piece).unwrap_or_else(|| panic!("{piece} is in the source"));
        self.b.set_origin(Origin::source(Span::new(SourceId(0), start, start + piece.len())));
    }
}

fn dim(name: &str) -> Dim {
    match name.parse::<i64>() {
        Ok(n) => Dim::Const(n),
        Err(_) => Dim::var(DimVar { id: 0, name: name.into() }),
    }
}

fn f32s(shape: &[&str]) -> TensorType {
    TensorType::new(DType::F32, shape.iter().map(|d| dim(d)))
}

/// The backward function of `fn loss` in `text`, whose parameters are given and whose graph `build`
/// makes of their leaves. It must parse, and be in the one formatting.
fn backward(
    text: &str,
    params: &[(&str, Tree<TensorType>)],
    wrt: &[&str],
    build: impl FnOnce(&Sketch<'_>, &[NodeId]) -> NodeId,
) -> String {
    let mut sources = Sources::default();
    let id = sources.add("test.tx", text);
    let mut graph = Graph::new();
    let leaves: Vec<NodeId> = params
        .iter()
        .flat_map(|(name, tree)| tree.leaves(name))
        .map(|(path, ty)| graph.add_input(path, ty.clone(), Origin::default()))
        .collect();
    let sketch = Sketch { text, b: Builder::new(&mut graph) };
    let value = build(&sketch, &leaves);
    sketch.b.output("result", value);
    let result = Tree::Leaf(sketch.b.ty(value));
    drop(sketch);
    let start = text.find("fn loss").expect("there is a function");
    let function = Function {
        name: "loss".to_string(),
        params: params.iter().map(|(n, t)| ((*n).to_string(), t.clone())).collect(),
        result,
        dims: Vec::new(),
        graph,
        span: Span::new(id, start, text.trim_end().len()),
    };
    let wrt: Vec<String> = wrt.iter().map(ToString::to_string).collect();
    let printed =
        gradient_of(&sources, &function, &wrt).unwrap_or_else(|e| panic!("{}", e.message));
    let (file, diagnostics) = parse(SourceId(0), &printed);
    assert!(diagnostics.is_empty(), "{printed}\n{diagnostics:?}");
    assert_eq!(crate::syntax::print(&file), printed, "it is formatted");
    printed
}

#[test]
fn dot_product() {
    let text = "fn loss[N](x: f32[N], y: f32[N]) -> f32 = sum(x * y)";
    let params = [("x", Tree::Leaf(f32s(&["N"]))), ("y", Tree::Leaf(f32s(&["N"])))];
    let printed = backward(text, &params, &["x", "y"], |s, p| s.b.sum_all(s.b.mul(p[0], p[1])));
    insta::assert_snapshot!(printed, @r#"
    /// `loss` and its gradient by `x` and `y`.
    fn loss_grad[N](x: f32[N], y: f32[N]) -> (f32, (f32[N], f32[N])) = {
        (sum(x * y), (y, x))
    }
    "#);
}

fn dense(s: &Sketch<'_>, x: NodeId, w: NodeId, b: NodeId) -> NodeId {
    let product = s.b.contract(x, w, Contraction::matmul());
    s.b.add(product, s.b.broadcast_to(b, &s.b.ty(product).shape))
}

#[test]
fn two_layers() {
    let text = "
fn dense(p: Dense, x: f32) = x @ p.w + p.b
fn relu(x: f32) = max(x, 0.0)
fn logits(m: Mlp, x: f32) = dense(m.out, relu(dense(m.hidden, x)))
fn log_softmax(x: f32) = {
    let z = x - max(x, axis = -1, keep = true)
    z - log(sum(exp(z), axis = -1, keep = true))
}
fn loss[B](m: Mlp, x: f32[B, 784], t: f32[B, 10]) -> f32 = mean(-sum(t * log_softmax(logits(m, x)), axis = -1))";
    let layer = |i: &str, o: &str| Tree::Record {
        name: Some("Dense".to_string()),
        fields: vec![
            ("w".to_string(), Tree::Leaf(f32s(&[i, o]))),
            ("b".to_string(), Tree::Leaf(f32s(&[o]))),
        ],
    };
    let m = Tree::Record {
        name: Some("Mlp".to_string()),
        fields: vec![
            ("hidden".to_string(), layer("784", "512")),
            ("out".to_string(), layer("512", "10")),
        ],
    };
    let params =
        [("m", m), ("x", Tree::Leaf(f32s(&["B", "784"]))), ("t", Tree::Leaf(f32s(&["B", "10"])))];
    let printed = backward(text, &params, &[], |s, p| {
        let b = &s.b;
        s.at("x @ p.w + p.b");
        let a = dense(s, p[4], p[0], p[1]);
        s.at("max(x, 0.0)");
        let h = b.max(a, b.like(0.0, a));
        s.at("x @ p.w + p.b");
        let x = dense(s, h, p[2], p[3]);
        let keep = [dim("B"), dim("1")];
        s.at("max(x, axis = -1, keep = true)");
        let top = b.reshape(b.reduce(crate::graph::fused::ReduceOp::Max, x, &[1]), &keep);
        s.at("x - max(x, axis = -1, keep = true)");
        let shape = b.ty(x).shape;
        let z = b.sub(x, b.broadcast_to(top, &shape));
        s.at("exp(z)");
        let e = b.exp(z);
        s.at("sum(exp(z), axis = -1, keep = true)");
        let total = b.reshape(b.sum(e, &[1]), &keep);
        s.at("log(sum(exp(z), axis = -1, keep = true))");
        let log = b.log(total);
        s.at("z - log(sum(exp(z), axis = -1, keep = true))");
        let p_log = b.sub(z, b.broadcast_to(log, &shape));
        s.at("sum(t * log_softmax(logits(m, x)), axis = -1)");
        let l = b.neg(b.sum(b.mul(p[5], p_log), &[1]));
        s.at("mean(-sum(t * log_softmax(logits(m, x)), axis = -1))");
        b.div(b.sum_all(l), b.size(&dim("B"), DType::F32))
    });
    insta::assert_snapshot!(printed, @r#"
    /// `loss` and its gradient by `m`.
    fn loss_grad[B](m: Mlp, x: f32[B, 784], t: f32[B, 10]) -> (f32, Mlp) = {
        let hidden = x @ m.hidden.w + m.hidden.b
        let relu = max(hidden, 0.0)
        let out = relu @ m.out.w + m.out.b
        let largest = max(out, axis = 1, keep = true)
        let z = out - largest
        let e = exp(z)
        let total = sum(e, axis = 1, keep = true)
        let loss = mean(-sum(t * (z - log(total)), axis = 1))

        // backward
        let mask = out == largest
        let g = t * -reciprocal(f32(B))
        let d_z = g + e * (reciprocal(total) * sum(-g, axis = 1, keep = true))
        let d_largest = sum(-d_z, axis = 1, keep = true)
        let g_2 = d_largest / max(sum(f32(mask), axis = 1, keep = true), 1.0)
        let d_out = d_z + where(mask, g_2, 0.0)
        let d_relu = d_out @ transpose(m.out.w)
        let d_hidden = where(hidden > 0.0, d_relu, 0.0)

        (
            loss,
            Mlp {
                hidden: Dense { w: transpose(x) @ d_hidden, b: sum(d_hidden, axis = 0) },
                out: Dense { w: transpose(relu) @ d_out, b: sum(d_out, axis = 0) },
            },
        )
    }
    "#);
}

/// A graph whose inputs are tensors, as a function `f` with a tuple of its outputs as result.
fn printed(graph: &Graph) -> String {
    let param = |(name, node): &(String, NodeId)| Param {
        is_static: false,
        name: Ident { name: name.clone(), span: NOWHERE },
        ty: Some(tree_type(&Tree::Leaf(graph.ty(*node).clone()))),
        default: None,
        span: NOWHERE,
    };
    let outputs = graph.outputs().iter().map(|(_, node)| *node);
    let types = outputs.clone().map(|n| tree_type(&Tree::Leaf(graph.ty(n).clone())));
    let head = Head {
        docs: Vec::new(),
        name: "f".to_string(),
        generics: Vec::new(),
        params: graph.inputs().iter().map(param).collect(),
        ret: tuple_type(types.collect()),
        constraints: Vec::new(),
    };
    let result = Tree::Tuple(outputs.map(Tree::Leaf).collect());
    let text = function(head, graph, &result, &Names::default());
    let (file, diagnostics) = parse(SourceId(0), &text);
    assert!(diagnostics.is_empty(), "{text}\n{diagnostics:?}");
    assert_eq!(crate::syntax::print(&file), text, "it is formatted");
    text
}

/// The graph that the checker makes of a text's function `name`, or its messages.
fn checked(text: &str, name: &str) -> Result<Graph, String> {
    let mut sources = Sources::default();
    let root = sources.add("test.tx", text);
    let (program, diagnostics) = check(&mut sources, root, &SourceLoader::none());
    let program = program.ok_or_else(|| render::render_all(&sources, &diagnostics, false))?;
    let function = program.functions.into_iter().find(|f| f.name == name);
    Ok(function.expect("it is in the program").graph)
}

/// Prints a concrete graph, reads it back, and compares what both compute; how they differ.
fn round_trip(graph: &Graph, inputs: &[Tensor]) -> Result<(), String> {
    let text = printed(graph);
    let said = |why: String| format!("{text}\n{why}");
    let again = checked(&text, "f").map_err(said)?;
    let wanted = interpret(graph, inputs).expect("it has values");
    let found = interpret(&again, inputs).map_err(|e| said(e.to_string()))?;
    for (wanted, found) in wanted.iter().zip(&found) {
        let same_type = (wanted.dtype(), wanted.shape()) == (found.dtype(), found.shape());
        if !same_type || wanted.as_bytes() != found.as_bytes() {
            return Err(said(format!("{wanted:?}\n{found:?}")));
        }
    }
    Ok(())
}

#[test]
fn every_operation_reads_back() {
    let mut wrong = Vec::new();
    for row in ROWS {
        for sample in (row.samples)() {
            if matches!(sample.op, Op::Input(_) | Op::Fused(_)) {
                continue;
            }
            let mut graph = Graph::new();
            let operands: Vec<NodeId> = (sample.operands.iter().enumerate())
                .map(|(i, (ty, _))| graph.add_input(format!("x{i}"), ty.clone(), Origin::default()))
                .collect();
            let node =
                graph.add(sample.op.clone(), &operands, Origin::default()).expect("a sample");
            graph.add_output("result", node);
            wrong.extend(round_trip(&graph.written_out(), &sample.values(5)).err());
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn random_graphs_read_back() {
    let mut wrong = Vec::new();
    for seed in 0..100 {
        let case = random_case(seed, &Options::default());
        wrong.extend(round_trip(&case.graph.written_out(), &case.inputs).err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
