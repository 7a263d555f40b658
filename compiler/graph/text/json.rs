//! Graphs as JSON, for other programs: what the text says, with origins; `spec/ir.md` has the form.

use super::attribute::{Attribute, attributes};
use super::print::{Names, elements as decimals, show};
use crate::diag::{Sources, Span};
use crate::graph::fused::{AxisIndex, Lambda, LambdaInst, LambdaValue};
use crate::graph::{Dim, Graph, NodeId, Origin, TensorType, Via};
use serde_json::{Map, Value, json};
use tensc_runtime::Tensor;

/// The graph with its nodes in topological order.
pub fn to_json(graph: &Graph, sources: &Sources) -> Value {
    let names = Names::of(graph);
    let dims = names.vars.iter().map(|var| json!({ "name": *var.name, "id": var.id }));
    let dims: Vec<Value> = dims.collect();
    let mut value = Writer { names: &names, sources }.graph(graph);
    value["dims"] = dims.into();
    value
}

/// Where something comes from, or null.
pub fn origin(origin: Origin, sources: &Sources) -> Value {
    let place = |span: Span| {
        let (line, column) = sources.line_column(span);
        json!({ "file": sources.get(span.source).name, "line": line, "column": column })
    };
    let mut value = origin.span.map_or(Value::Null, place);
    if let Some(call) = origin.call {
        value["call"] = place(call);
    }
    match origin.via {
        Via::Source => {}
        Via::Tangent => value["by"] = "tangent".into(),
        Via::Cotangent => value["by"] = "cotangent".into(),
        Via::Rewrite(rule) => value["by"] = rule.into(),
    }
    value
}

/// The elements of a constant in order.
pub fn elements(tensor: &Tensor) -> Value {
    decimals(tensor).into_iter().map(number).collect()
}

/// A decimal as a number; text where JSON has none (`inf`, `NaN`).
fn number(decimal: String) -> Value {
    serde_json::from_str(&decimal).unwrap_or(Value::String(decimal))
}

struct Writer<'a> {
    names: &'a Names,
    sources: &'a Sources,
}

impl Writer<'_> {
    fn graph(&self, graph: &Graph) -> Value {
        let named = |all: &[(String, NodeId)]| -> Value {
            all.iter().map(|(name, id)| json!({ "name": name, "node": id.index() })).collect()
        };
        json!({
            "inputs": named(graph.inputs()),
            "nodes": graph.nodes().map(|id| self.node(graph, id)).collect::<Value>(),
            "outputs": named(graph.outputs()),
        })
    }

    fn node(&self, graph: &Graph, id: NodeId) -> Value {
        let attribute = |(name, of)| (String::from(name), self.attribute(of));
        let attributes: Map<String, Value> =
            attributes(graph, id).into_iter().map(attribute).collect();
        json!({
            "id": id.index(),
            "op": graph.op(id).name(),
            "operands": graph.operands(id).iter().map(|o| o.index()).collect::<Value>(),
            "type": self.ty(graph.ty(id)),
            "attributes": attributes,
            "origin": origin(graph.node(id).origin, self.sources),
        })
    }

    fn ty(&self, ty: &TensorType) -> Value {
        json!({ "dtype": ty.dtype.to_string(), "shape": self.dims(&ty.shape) })
    }

    /// A number if it is known, and text over names otherwise.
    fn dim(&self, dim: &Dim) -> Value {
        dim.known().map_or_else(|| self.names.dim(dim).into(), Value::from)
    }

    fn dims(&self, dims: &[Dim]) -> Value {
        dims.iter().map(|dim| self.dim(dim)).collect()
    }

    fn attribute(&self, attribute: Attribute<'_>) -> Value {
        match attribute {
            Attribute::Name(name) | Attribute::Word(name) => name.into(),
            Attribute::Value(scalar) => number(show(scalar)),
            Attribute::Values(tensor) => elements(tensor),
            Attribute::Dim(dim) => self.dim(dim),
            Attribute::Dims(dims) => self.dims(dims),
            Attribute::Number(number) => number.into(),
            Attribute::Numbers(numbers) => numbers.into(),
            Attribute::Pairs(pairs) => json!(pairs),
            Attribute::So => true.into(),
            Attribute::Graph(graph) => self.graph(graph),
            Attribute::Maps(maps) => {
                maps.iter().map(|map| map.0.iter().map(index).collect::<Value>()).collect()
            }
            Attribute::Body(lambda) => body(lambda),
        }
    }
}

/// `start + step * i` along an axis of the space, or just the start.
fn index(of: &AxisIndex) -> Value {
    match of.axis {
        Some(axis) => json!({ "axis": axis, "start": of.start, "step": of.step }),
        None => json!({ "start": of.start }),
    }
}

fn body(lambda: &Lambda) -> Value {
    let ids = |values: &[LambdaValue]| values.iter().map(|value| value.0).collect::<Value>();
    let instruction = |(inst, dtype): &(LambdaInst, _)| {
        let mut value = match inst {
            LambdaInst::Arg(n) => json!({ "op": "arg", "number": n }),
            LambdaInst::Const(scalar) => json!({ "op": "const", "value": number(show(*scalar)) }),
            LambdaInst::Index(axis, _) => json!({ "op": "index", "axis": axis }),
            LambdaInst::Map(op, of) => json!({ "op": op.row().name, "operands": ids(of) }),
            LambdaInst::Convert(_, of) => json!({ "op": "convert", "operands": ids(&[*of]) }),
            LambdaInst::CheckIndex(bound, of) => {
                json!({ "op": "check_index", "bound": bound, "operands": ids(&[*of]) })
            }
        };
        value["dtype"] = format!("{dtype}").into();
        value
    };
    lambda.insts.iter().map(instruction).collect()
}
