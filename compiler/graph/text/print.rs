//! Graphs as text.

use crate::diag::Sources;
use crate::graph::fused::{AxisIndex, Fused, IndexMap, LambdaInst};
use crate::graph::ops::{LiteralTensor, Op, Rule};
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
struct Names {
    vars: Vec<DimVar>,
    short: FxHashMap<DimVar, bool>,
}

impl Names {
    fn of(graph: &Graph) -> Names {
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

    fn dim(&self, dim: &Dim) -> String {
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
    let op = graph.op(id);
    let operands: Vec<String> = graph.operands(id).iter().map(ToString::to_string).collect();
    let name = op.name();
    let call = format!("{name}({})", operands.join(", "));
    match op {
        Op::Input(_) => {
            let input = graph.inputs().iter().find(|(_, n)| *n == id);
            format!("{name} {:?}", input.map_or("", |(n, _)| n))
        }
        Op::Const(scalar) => format!("{name} {}", show(*scalar)),
        Op::Literal(LiteralTensor(tensor)) => format!("{name} {}", list(elements(tensor))),
        Op::Size(dim, _) => format!("{name} {}", names.dim(dim)),
        Op::Iota { axis, .. } => format!("{name} {{axis: {axis}}}"),
        Op::CheckIndex(bound) => format!("{call} {{bound: {}}}", names.dim(bound)),
        Op::Transpose(perm) => format!("{call} {{perm: {}}}", list(perm)),
        Op::Broadcast { axes, .. } => format!("{call} {{axes: {}}}", list(axes)),
        Op::Slice { starts, steps, .. } => {
            format!("{call} {{starts: {}, steps: {}}}", names.dims(starts), list(steps))
        }
        Op::Window(w) => {
            let (axis, start, stride, dilation) =
                (w.axis, names.dim(&w.start), w.stride, w.dilation);
            format!(
                "{call} {{axis: {axis}, start: {start}, stride: {stride}, dilation: {dilation}}}"
            )
        }
        Op::Diagonal(a, b) => format!("{call} {{axes: {}}}", list([a, b])),
        Op::Pad { low, high, interior } => {
            let (low, high) = (names.dims(low), names.dims(high));
            format!("{call} {{low: {low}, high: {high}, interior: {}}}", list(interior))
        }
        Op::Concat(axis) | Op::Gather(axis) | Op::ScatterAdd(axis) => {
            format!("{call} {{axis: {axis}}}")
        }
        Op::Reduce(reduce, axes) => format!("{call} {{{}: {}}}", reduce.name(), list(axes)),
        Op::ArgReduce(reduce, axis) => format!("{call} {{{}: {axis}}}", reduce.name()),
        Op::Running(running, axis) => format!("{call} {{{}: {axis}}}", running.name()),
        Op::Linear(linear) => format!("{call} {{op: {}}}", linear.name()),
        Op::Recur(axis) => format!("{call} {{axis: {axis}}}"),
        Op::Argsort { axis, descending } => {
            let order = if *descending { "descending" } else { "ascending" };
            format!("{call} {{{order}: {axis}}}")
        }
        Op::Contract(c) => {
            let pair = |a: &[u8], b: &[u8]| format!("{}x{}", list(a), list(b));
            let sum = pair(&c.left_sum, &c.right_sum);
            if c.left_batch.is_empty() && c.right_batch.is_empty() {
                format!("{call} {{sum: {sum}}}")
            } else {
                format!("{call} {{batch: {}, sum: {sum}}}", pair(&c.left_batch, &c.right_batch))
            }
        }
        Op::Random { draw, .. } => format!("{call} {{draw: {}}}", draw.name()),
        Op::Scan(scan) => {
            let from = if scan.reverse { "last" } else { "first" };
            let (count, carried, sliced) = (names.dim(&scan.count), scan.carried, scan.sliced);
            let gated = if scan.gated { "gated, " } else { "" };
            let until = scan.until.map(|state| format!("until: {state}, ")).unwrap_or_default();
            format!(
                "{call} {{count: {count}, carried: {carried}, sliced: {sliced}, from: {from}, \
                 result: {}, {gated}{until}step: [{}]}}",
                scan.result,
                statements(&scan.step, names).join("; ")
            )
        }
        Op::Call(of) => {
            let graph = |graph: &Graph| format!("[{}]", statements(graph, names).join("; "));
            let rule = match &of.rule {
                Rule::Again => String::new(),
                Rule::Given { backward, by } => {
                    format!(", by: {}, rule: {}", list(by), graph(backward))
                }
            };
            let moving = match of.is_value() {
                true => String::new(),
                false => format!(", moving: {}", list(&of.moving)),
            };
            format!("{call} {{result: {}, body: {}{rule}{moving}}}", of.result, graph(&of.body))
        }
        Op::Fused(fused) => format!("{call} {{{}}}", body(fused)),
        Op::Map(_) | Op::Convert(_) | Op::Reshape(_) | Op::FoldKey | Op::After => call,
    }
}

/// The nodes and outputs of a step, without origins.
fn statements(step: &Graph, names: &Names) -> Vec<String> {
    let line = |id: NodeId| format!("{id}: {} = {}", names.ty(step.ty(id)), node(step, id, names));
    let output = |(name, node): &(String, NodeId)| format!("output {name:?} = {node}");
    step.nodes().map(line).chain(step.outputs().iter().map(output)).collect()
}

fn body(fused: &Fused) -> String {
    let insts = fused
        .body
        .insts
        .iter()
        .enumerate()
        .map(|(i, (inst, dtype))| format!("v{i}: {dtype} = {}", instruction(inst)));
    let insts: Vec<String> = insts.collect();
    let reduce = match &fused.reduce {
        Some((op, axes)) => format!(", {}: {}", op.name(), list(axes)),
        None => String::new(),
    };
    let (space, maps) = (list(&fused.space), list(&fused.maps));
    format!("space: {space}, maps: {maps}, body: [{}]{reduce}", insts.join("; "))
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
fn show(scalar: Scalar) -> String {
    let nan = scalar.dtype().is_float() && scalar.to_f64().is_nan();
    if nan && scalar != Scalar::from_f64(scalar.dtype(), f64::NAN) {
        return format!("bits {:#x}", scalar.bits());
    }
    scalar.to_string()
}

fn elements(tensor: &Tensor) -> Vec<String> {
    with_element!(tensor.dtype(), T => {
        tensor.as_slice::<T>().iter().map(|&x| show(exact(x))).collect()
    })
}

/// The element with its bits, which a NaN's journey through `f64` may lose.
fn exact<T: Element>(x: T) -> Scalar {
    Scalar::new(x)
}
