//! Graphs as text.

use super::attribute::{Attribute, attributes};
use crate::diag::Sources;
use crate::graph::fused::{AxisIndex, IndexMap, Lambda, LambdaInst};
use crate::graph::ops::Op;
use crate::graph::{Dim, DimVar, Graph, NodeId, Origin, TensorType, Via};
use rustc_hash::FxHashMap;
use std::fmt::{self, Write};
use tensc_runtime::{Element, Scalar, Tensor, with_element};

/// The text with a comment on each line: the source position the node comes from and by which
/// derivation.
pub fn with_origins(graph: &Graph, sources: &Sources) -> String {
    let mut text = String::new();
    print(graph, Some(sources), &mut text).expect("writing to a string does not fail");
    text
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(self, None, f)
    }
}

impl fmt::Debug for Graph {
    /// The text form.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(self, None, f)
    }
}

fn print(graph: &Graph, sources: Option<&Sources>, out: &mut dyn Write) -> fmt::Result {
    let names = Names::of(graph);
    if !names.vars.is_empty() {
        let vars: Vec<String> = names.vars.iter().map(numbered).collect();
        writeln!(out, "dims {}", vars.join(", "))?;
    }
    for id in graph.nodes() {
        write!(out, "{id}: {} = {}", names.ty(graph.ty(id)), node(graph, id, &names))?;
        match sources.and_then(|s| comment(graph.node(id).origin, s)) {
            Some(comment) => writeln!(out, "  // {comment}")?,
            None => writeln!(out)?,
        }
    }
    for (name, node) in graph.outputs() {
        writeln!(out, "output {name:?} = {node}")?;
    }
    Ok(())
}

fn comment(origin: Origin, sources: &Sources) -> Option<String> {
    let via = match origin.via {
        Via::Source => String::new(),
        Via::Tangent => "tangent".into(),
        Via::Cotangent => "cotangent".into(),
        Via::Rewrite(rule) => format!("by {rule}"),
    };
    let place = origin.span.map(|span| {
        let (line, column) = sources.line_column(span);
        format!("{}:{line}:{column}", sources.get(span.source).name)
    });
    match (place, via.is_empty()) {
        (Some(place), true) => Some(place),
        (Some(place), false) => Some(format!("{place}, {via}")),
        (None, true) => None,
        (None, false) => Some(via),
    }
}

/// How named sizes are written: by their name where no other bears it, else with the number.
pub(super) struct Names {
    /// All of the graph, in order.
    pub(super) vars: Vec<DimVar>,
    short: FxHashMap<DimVar, bool>,
}

impl Names {
    pub(super) fn of(graph: &Graph) -> Names {
        let mut vars: Vec<DimVar> = Vec::new();
        for id in graph.nodes() {
            let mut note = |dim: &Dim| {
                vars.extend(dim.vars());
                dim.clone()
            };
            graph.ty(id).map_dims(&mut note);
            graph.op(id).map_dims(&mut note);
        }
        vars.sort();
        vars.dedup();
        let mut count: FxHashMap<&str, usize> = FxHashMap::default();
        for var in &vars {
            *count.entry(&var.name).or_default() += 1;
        }
        let short =
            vars.iter().map(|v| (v.clone(), count[&*v.name] == 1 && plain(&v.name))).collect();
        Names { vars, short }
    }

    pub(super) fn dim(&self, dim: &Dim) -> String {
        dim.show(&|var| if self.short[var] { var.name.to_string() } else { numbered(var) })
    }

    fn dims(&self, dims: &[Dim]) -> String {
        list(dims.iter().map(|d| self.dim(d)))
    }

    fn ty(&self, ty: &TensorType) -> String {
        let shape = if ty.rank() == 0 { String::new() } else { self.dims(&ty.shape) };
        format!("{}{shape}", ty.dtype)
    }
}

/// Whether a name can stand without quotes.
fn plain(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "_.'".contains(c))
}

fn numbered(var: &DimVar) -> String {
    if plain(&var.name) {
        format!("{}#{}", var.name, var.id)
    } else {
        format!("{:?}#{}", var.name, var.id)
    }
}

fn list(items: impl IntoIterator<Item = impl fmt::Display>) -> String {
    let items: Vec<String> = items.into_iter().map(|i| i.to_string()).collect();
    format!("[{}]", items.join(", "))
}

/// The right-hand side: name, operands, attributes. What the type says is not repeated.
fn node(graph: &Graph, id: NodeId, names: &Names) -> String {
    let (op, attributes) = (graph.op(id), attributes(graph, id));
    let name = op.name();
    let shown = |attribute: &Attribute<'_>| names.attribute(attribute);
    if let (Op::Input(_) | Op::Const(_) | Op::Literal(_) | Op::Size(..), [(_, value)]) =
        (op, &attributes[..])
    {
        return format!("{name} {}", shown(value));
    }
    let operands: Vec<String> = graph.operands(id).iter().map(ToString::to_string).collect();
    let mut text = match op {
        Op::Iota { .. } => name.to_string(),
        _ => format!("{name}({})", operands.join(", ")),
    };
    let entry = |(key, value): &(&str, Attribute<'_>)| match value {
        Attribute::So => (*key).to_string(),
        value => format!("{key}: {}", shown(value)),
    };
    if !attributes.is_empty() {
        let entries: Vec<String> = attributes.iter().map(entry).collect();
        let _ = write!(text, " {{{}}}", entries.join(", "));
    }
    text
}

impl Names {
    fn attribute(&self, attribute: &Attribute<'_>) -> String {
        match attribute {
            Attribute::Name(name) => format!("{name:?}"),
            Attribute::Word(word) => (*word).to_string(),
            Attribute::Value(scalar) => show(*scalar),
            Attribute::Values(tensor) => list(elements(tensor)),
            Attribute::Dim(dim) => self.dim(dim),
            Attribute::Dims(dims) => self.dims(dims),
            Attribute::Number(number) => number.to_string(),
            Attribute::Numbers(numbers) => list(numbers),
            Attribute::Pairs([left, right]) => format!("{}x{}", list(*left), list(*right)),
            Attribute::So => "true".to_string(),
            Attribute::Graph(graph) => format!("[{}]", statements(graph, self).join("; ")),
            Attribute::Maps(maps) => list(*maps),
            Attribute::Body(lambda) => format!("[{}]", instructions(lambda).join("; ")),
        }
    }
}

/// The nodes and outputs of a step, without origins.
fn statements(step: &Graph, names: &Names) -> Vec<String> {
    let line = |id: NodeId| format!("{id}: {} = {}", names.ty(step.ty(id)), node(step, id, names));
    let output = |(name, node): &(String, NodeId)| format!("output {name:?} = {node}");
    step.nodes().map(line).chain(step.outputs().iter().map(output)).collect()
}

fn instructions(lambda: &Lambda) -> Vec<String> {
    let insts = lambda.insts.iter().enumerate();
    insts.map(|(i, (inst, dtype))| format!("v{i}: {dtype} = {}", instruction(inst))).collect()
}

fn instruction(inst: &LambdaInst) -> String {
    match inst {
        LambdaInst::Arg(n) => format!("arg {n}"),
        LambdaInst::Const(scalar) => format!("const {}", show(*scalar)),
        LambdaInst::Index(axis, _) => format!("index {axis}"),
        LambdaInst::Map(op, operands) => {
            let operands: Vec<String> = operands.iter().map(|v| format!("v{}", v.0)).collect();
            format!("{} {}", op.row().name, operands.join(" "))
        }
        LambdaInst::Convert(_, v) => format!("convert v{}", v.0),
        LambdaInst::CheckIndex(bound, v) => format!("check_index v{} {bound}", v.0),
    }
}

impl fmt::Display for IndexMap {
    /// `[i0, 5 - i1, 0]`: the index along each axis of the operand.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&list(&self.0))
    }
}

impl fmt::Display for AxisIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(axis) = self.axis else { return write!(f, "{}", self.start) };
        let magnitude = match self.step.unsigned_abs() {
            1 => String::new(),
            n => format!("{n}*"),
        };
        match (self.start, self.step < 0) {
            (0, false) => write!(f, "{magnitude}i{axis}"),
            (start, false) => write!(f, "{start} + {magnitude}i{axis}"),
            (start, true) => write!(f, "{start} - {magnitude}i{axis}"),
        }
    }
}

/// A decimal that reads back as the same element; the bits where there is none (a NaN that is not
/// the usual one).
pub(super) fn show(scalar: Scalar) -> String {
    let nan = scalar.dtype().is_float() && scalar.to_f64().is_nan();
    if nan && scalar != Scalar::from_f64(scalar.dtype(), f64::NAN) {
        return format!("bits {:#x}", scalar.bits());
    }
    scalar.to_string()
}

pub(super) fn elements(tensor: &Tensor) -> Vec<String> {
    with_element!(tensor.dtype(), T => {
        tensor.as_slice::<T>().iter().map(|&x| show(exact(x))).collect()
    })
}

/// The element with its bits, which a NaN's journey through `f64` may lose.
fn exact<T: Element>(x: T) -> Scalar {
    Scalar::new(x)
}
