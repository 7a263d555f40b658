//! Text as graphs.

use super::cursor::Cursor;
use crate::graph::fused::{AxisIndex, Fused, IndexMap, Lambda, LambdaInst, LambdaValue};
use crate::graph::ops::{
    Call, Contraction, Draw, LiteralTensor, MapOp, Op, ROWS, Rule, Scan, Window,
};
use crate::graph::{Dim, DimVar, Graph, NodeId, Operands, Origin, TensorType};
use crate::vector::ParseError;
use smallvec::SmallVec;
use std::sync::Arc;
use tensc_runtime::along::Running;
use tensc_runtime::linear::Linear;
use tensc_runtime::{DType, Element, Scalar, Tensor, with_element};

/// The graph that the text says. Comments (`// …`) and blank lines are skipped.
///
/// # Errors
/// The first line that is wrong: its form, a type that the operation does not give, an unknown
/// node.
pub fn parse(text: &str) -> Result<Graph, ParseError> {
    let mut parser = Parser { graph: Graph::new(), dims: Vec::new() };
    for (i, line) in text.lines().enumerate() {
        let mut cursor = Cursor { rest: line };
        parser.line(&mut cursor).map_err(|message| ParseError { line: i + 1, message })?;
    }
    Ok(parser.graph)
}

/// The graphs of a text of several, each below a comment on a line of its own that is its title:
/// what `tensc dump` prints of a file. A text without comments is one graph without a title.
///
/// # Errors
/// As [`parse`].
pub fn parse_all(text: &str) -> Result<Vec<(String, Graph)>, ParseError> {
    sections(text).map(|section| section.parsed(parse)).collect()
}

/// A part of a text below its title.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Section<'t> {
    /// The comment that it begins with, without the slashes.
    pub title: &'t str,
    /// All of it, the title too.
    pub text: &'t str,
    /// How many lines of the text are before it.
    pub lines_before: usize,
}

impl Section<'_> {
    /// What `parse` makes of it, with its title; errors count lines in the whole text.
    ///
    /// # Errors
    /// Those of `parse`.
    pub fn parsed<T>(
        &self,
        parse: impl Fn(&str) -> Result<T, ParseError>,
    ) -> Result<(String, T), ParseError> {
        match parse(self.text) {
            Ok(parsed) => Ok((self.title.to_string(), parsed)),
            Err(error) => Err(ParseError { line: self.lines_before + error.line, ..error }),
        }
    }
}

/// The parts of a text, each of which begins with a comment on lines of its own.
pub fn sections(text: &str) -> impl Iterator<Item = Section<'_>> {
    let is_title = |line: &str| line.starts_with("//");
    let mut rest = text;
    let mut lines_before = 0;
    std::iter::from_fn(move || {
        let mut lines = rest.split_inclusive('\n').peekable();
        let (mut bytes, mut count, mut begun) = (0, 0, false);
        while let Some(line) = lines.next_if(|line| !(begun && is_title(line))) {
            begun |= !is_title(line) && !line.trim().is_empty();
            (bytes, count) = (bytes + line.len(), count + 1);
        }
        let (own, behind) = rest.split_at(bytes);
        let title = own.lines().find(|line| is_title(line)).unwrap_or_default();
        let section = Section { title: title.trim_matches(['/', ' ']), text: own, lines_before };
        (rest, lines_before) = (behind, lines_before + count);
        (count > 0).then_some(section)
    })
}

struct Parser {
    graph: Graph,
    dims: Vec<DimVar>,
}

pub(super) type Parsed<T> = Result<T, String>;

impl Parser {
    fn line(&mut self, c: &mut Cursor<'_>) -> Parsed<()> {
        if c.at_end() {
            return Ok(());
        }
        if c.eat_word("dims") {
            self.dims = c.separated(",", |c| {
                let name = c.name()?;
                c.expect("#")?;
                Ok(DimVar { id: c.integer()?, name: Arc::from(name) })
            })?;
        } else {
            self.statement(c)?;
        }
        if c.at_end() {
            Ok(())
        } else {
            Err(format!("expected the end of the line, found {}", c.found()))
        }
    }

    /// A node or an output.
    fn statement(&mut self, c: &mut Cursor<'_>) -> Parsed<()> {
        if c.eat_word("output") {
            let name = c.string()?;
            if self.graph.outputs().iter().any(|(n, _)| *n == name) {
                return Err(format!("there is an output {name:?} already"));
            }
            c.expect("=")?;
            let node = self.node_id(c)?;
            self.graph.add_output(name, node);
            return Ok(());
        }
        self.node(c)
    }

    fn node(&mut self, c: &mut Cursor<'_>) -> Parsed<()> {
        c.expect("%")?;
        let number: usize = c.integer()?;
        if number != self.graph.len() {
            return Err(format!("expected node %{}, found %{number}", self.graph.len()));
        }
        c.expect(":")?;
        let ty = self.ty(c)?;
        c.expect("=")?;
        let name = c.word()?;
        if name == "input" {
            let name = c.string()?;
            if self.graph.inputs().iter().any(|(n, _)| *n == name) {
                return Err(format!("there is an input {name:?} already"));
            }
            Op::Input(ty.clone()).infer(&[]).map_err(|e| e.message)?;
            self.graph.add_input(name, ty, Origin::default());
            return Ok(());
        }
        // A size may begin with a bracket: `size (N / 2)`.
        let operands = match name != "size" && c.eat("(") {
            true if c.eat(")") => Operands::new(),
            true => {
                let operands = c.separated(",", |c| self.node_id(c))?;
                c.expect(")")?;
                operands.into_iter().collect()
            }
            false => Operands::new(),
        };
        let op = self.op(name, &ty, &operands, c)?;
        let id = self.graph.add(op, &operands, Origin::default()).map_err(|e| e.message)?;
        if *self.graph.ty(id) != ty {
            return Err(format!("{name} gives {}, not {ty}", self.graph.ty(id)));
        }
        Ok(())
    }

    fn node_id(&self, c: &mut Cursor<'_>) -> Parsed<NodeId> {
        c.expect("%")?;
        let number: usize = c.integer()?;
        if number >= self.graph.len() {
            return Err(format!("%{number} does not exist yet"));
        }
        Ok(NodeId::from_index(number))
    }

    fn op(
        &self,
        name: &str,
        ty: &TensorType,
        operands: &[NodeId],
        c: &mut Cursor<'_>,
    ) -> Parsed<Op> {
        Ok(match name {
            "const" => Op::Const(c.scalar(ty.dtype)?),
            "literal" => Op::Literal(LiteralTensor(literal(ty, c)?)),
            "size" => Op::Size(self.dim(c)?, ty.dtype),
            "convert" => Op::Convert(ty.dtype),
            "reshape" => Op::Reshape(ty.shape.clone()),
            "fold_key" => Op::FoldKey,
            "after" => Op::After,
            _ => match MapOp::from_name(name) {
                Some(op) => Op::Map(op),
                None if ROWS.iter().all(|row| row.name != name) => {
                    return Err(format!("there is no operation `{name}`"));
                }
                None => {
                    c.expect("{")?;
                    let op = self.with_attributes(name, ty, operands, c)?;
                    c.expect("}")?;
                    op
                }
            },
        })
    }

    fn with_attributes(
        &self,
        name: &str,
        ty: &TensorType,
        operands: &[NodeId],
        c: &mut Cursor<'_>,
    ) -> Parsed<Op> {
        let shape = ty.shape.clone();
        Ok(match name {
            "iota" => Op::Iota { dtype: ty.dtype, shape, axis: c.axis_attribute()? },
            "concat" => Op::Concat(c.axis_attribute()?),
            "gather" => Op::Gather(c.axis_attribute()?),
            "scatter_add" => Op::ScatterAdd(c.axis_attribute()?),
            "check_index" => {
                c.key("bound")?;
                Op::CheckIndex(self.dim(c)?)
            }
            "transpose" => {
                c.key("perm")?;
                Op::Transpose(c.integers()?)
            }
            "broadcast" => {
                c.key("axes")?;
                Op::Broadcast { shape, axes: c.integers()? }
            }
            "slice" => {
                c.key("starts")?;
                let starts = self.dims(c)?;
                c.next_key("steps")?;
                Op::Slice { starts, lens: shape, steps: c.integers()? }
            }
            "window" => {
                c.key("axis")?;
                let axis: u8 = c.integer()?;
                c.next_key("start")?;
                let start = self.dim(c)?;
                c.next_key("stride")?;
                let stride = c.integer()?;
                c.next_key("dilation")?;
                let dilation = c.integer()?;
                let places = shape.get(usize::from(axis)..usize::from(axis) + 2);
                let [count, size] = places.ok_or("a window has two axes for one")? else {
                    unreachable!("a range of two")
                };
                let (count, size) = (count.clone(), size.clone());
                Op::Window(Window { axis, start, count, size, stride, dilation })
            }
            "diagonal" => {
                c.key("axes")?;
                let axes: SmallVec<[u8; 4]> = c.integers()?;
                let [a, b] = axes[..] else { return Err("a diagonal has two axes".into()) };
                Op::Diagonal(a, b)
            }
            "pad" => {
                c.key("low")?;
                let low = self.dims(c)?;
                c.next_key("high")?;
                let high = self.dims(c)?;
                c.next_key("interior")?;
                Op::Pad { low, high, interior: c.integers()? }
            }
            "reduce" => {
                let reduce = c.reduction()?;
                Op::Reduce(reduce, c.integers()?)
            }
            "arg_reduce" => {
                let reduce = c.reduction()?;
                Op::ArgReduce(reduce, c.integer()?)
            }
            "running" => {
                let word = c.word()?;
                let running = Running::from_name(word);
                let running = running.ok_or_else(|| format!("there is no running `{word}`"))?;
                c.expect(":")?;
                Op::Running(running, c.integer()?)
            }
            "linear" => {
                c.key("op")?;
                let word = c.word()?;
                let linear = Linear::from_name(word);
                Op::Linear(linear.ok_or_else(|| format!("there is no `{word}` of matrices"))?)
            }
            "recur" => Op::Recur(c.axis_attribute()?),
            "argsort" => {
                let descending = c.eat_word("descending");
                c.expect(if descending { ":" } else { "ascending:" })?;
                Op::Argsort { axis: c.integer()?, descending }
            }
            "contract" => {
                let mut contraction = Contraction::default();
                if c.eat_word("batch") {
                    c.expect(":")?;
                    (contraction.left_batch, contraction.right_batch) = c.axis_pairs()?;
                    c.expect(",")?;
                }
                c.key("sum")?;
                (contraction.left_sum, contraction.right_sum) = c.axis_pairs()?;
                Op::Contract(contraction)
            }
            "random" => {
                c.key("draw")?;
                let word = c.word()?;
                let draw = Draw::ALL.into_iter().find(|d| d.name() == word);
                let draw = draw.ok_or_else(|| format!("there is no distribution `{word}`"))?;
                Op::Random { draw, ty: ty.clone() }
            }
            "scan" => {
                c.key("count")?;
                let count = self.dim(c)?;
                c.next_key("carried")?;
                let carried = c.integer()?;
                c.next_key("sliced")?;
                let sliced = c.integer()?;
                c.next_key("from")?;
                let reverse = c.eat_word("last");
                if !reverse && !c.eat_word("first") {
                    return Err(format!("expected `first` or `last`, found {}", c.found()));
                }
                c.next_key("result")?;
                let result = c.integer()?;
                c.expect(",")?;
                let gated = c.eat_word("gated");
                if gated {
                    c.expect(",")?;
                }
                let mut until = None;
                if c.eat_word("until") {
                    c.expect(":")?;
                    until = Some(c.integer()?);
                    c.expect(",")?;
                }
                c.key("step")?;
                let step = Arc::new(self.step(c)?);
                Op::Scan(Scan { step, count, carried, sliced, reverse, result, gated, until })
            }
            "call" => {
                c.key("result")?;
                let result = c.integer()?;
                c.next_key("body")?;
                let body = Arc::new(self.step(c)?);
                let mut call = Call { body, rule: Rule::Again, result, moving: SmallVec::new() };
                while c.eat(",") {
                    if c.eat_word("by") {
                        c.expect(":")?;
                        let by = c.integers()?;
                        c.next_key("rule")?;
                        let backward = Arc::new(self.step(c)?);
                        call.rule = Rule::Given { backward, by };
                    } else {
                        c.key("moving")?;
                        call.moving = c.integers()?;
                    }
                }
                Op::Call(call)
            }
            "fused" => {
                let args = operands.iter().map(|&o| self.graph.ty(o).dtype).collect();
                fused(args, c)?.into()
            }
            other => return Err(format!("`{other}` has no attributes")),
        })
    }

    /// `[%0: f32 = input "h"; …; output "y" = %0]`
    fn step(&self, c: &mut Cursor<'_>) -> Parsed<Graph> {
        c.expect("[")?;
        let mut parser = Parser { graph: Graph::new(), dims: self.dims.clone() };
        while !c.eat("]") {
            parser.statement(c)?;
            if !c.eat(";") {
                c.expect("]")?;
                break;
            }
        }
        Ok(parser.graph)
    }

    fn ty(&self, c: &mut Cursor<'_>) -> Parsed<TensorType> {
        let dtype = c.dtype()?;
        let scalar = !c.rest.trim_start().starts_with('[');
        let shape = if scalar { SmallVec::new() } else { self.dims(c)? };
        Ok(TensorType { dtype, shape })
    }

    fn dims(&self, c: &mut Cursor<'_>) -> Parsed<SmallVec<[Dim; 4]>> {
        Ok(c.list(|c| self.dim(c))?.into_iter().collect())
    }

    /// `2*B*H + 1`: a sum of products.
    fn dim(&self, c: &mut Cursor<'_>) -> Parsed<Dim> {
        let mut minus = c.eat("-");
        let mut sum = Dim::Const(0);
        loop {
            let mut product = self.factor(c)?;
            while c.eat("*") {
                product = product * self.factor(c)?;
            }
            sum = if minus { sum - product } else { sum + product };
            minus = if c.eat("+") {
                false
            } else if c.eat("-") {
                true
            } else {
                return Ok(sum);
            };
        }
    }

    fn factor(&self, c: &mut Cursor<'_>) -> Parsed<Dim> {
        if c.peek().is_some_and(|p| p.is_ascii_digit()) {
            return Ok(Dim::Const(c.integer()?));
        }
        if c.eat("(") {
            let of = self.dim(c)?;
            c.expect("/")?;
            let by = c.integer()?;
            c.expect(")")?;
            return of.quotient(by).ok_or_else(|| format!("{of} / {by} is no size"));
        }
        let name = c.name()?;
        let id: Option<u32> = if c.eat("#") { Some(c.integer()?) } else { None };
        let is = |v: &&DimVar| *v.name == *name && id.is_none_or(|id| v.id == id);
        match self.dims.iter().find(is) {
            Some(var) => Ok(Dim::var(var.clone())),
            None => Err(format!("`{name}` is not among the dims")),
        }
    }
}

fn literal(ty: &TensorType, c: &mut Cursor<'_>) -> Parsed<Tensor> {
    if !ty.is_concrete() {
        return Err("a literal has known sizes".into());
    }
    let values = c.list(|c| c.scalar(ty.dtype))?;
    let shape = ty.concrete_shape();
    if shape.checked_elements() != Some(values.len()) {
        return Err(format!("{} elements for a literal of type {ty}", values.len()));
    }
    let mut tensor = Tensor::zeros(ty.dtype, shape);
    with_element!(ty.dtype, T => {
        for (out, value) in tensor.as_mut_slice::<T>().iter_mut().zip(&values) {
            *out = element::<T>(*value);
        }
    });
    Ok(tensor)
}

fn element<T: Element>(scalar: Scalar) -> T {
    if T::DTYPE.is_float() { T::from_f64(scalar.to_f64()) } else { T::from_i64(scalar.to_i64()) }
}

fn fused(args: SmallVec<[DType; 4]>, c: &mut Cursor<'_>) -> Parsed<Fused> {
    c.key("space")?;
    let space = c.integers()?;
    c.next_key("maps")?;
    let maps = c.list(|c| Ok(IndexMap(c.list(axis_index)?.into_iter().collect())))?;
    c.next_key("body")?;
    c.expect("[")?;
    let mut insts = Vec::new();
    loop {
        let number: usize = c.numbered("v")?;
        if number != insts.len() {
            return Err(format!("expected v{}, found v{number}", insts.len()));
        }
        c.expect(":")?;
        let dtype = c.dtype()?;
        c.expect("=")?;
        insts.push((instruction(dtype, c)?, dtype));
        if !c.eat(";") {
            break;
        }
    }
    c.expect("]")?;
    let reduce = if c.eat(",") { Some((c.reduction()?, c.integers()?)) } else { None };
    let body = Lambda { args, insts };
    Ok(Fused { space, maps: maps.into_iter().collect(), body, reduce })
}

fn instruction(dtype: DType, c: &mut Cursor<'_>) -> Parsed<LambdaInst> {
    let value = |c: &mut Cursor<'_>| Ok::<_, String>(LambdaValue(c.numbered("v")?));
    Ok(match c.word()? {
        "arg" => LambdaInst::Arg(c.integer()?),
        "const" => LambdaInst::Const(c.scalar(dtype)?),
        "index" => LambdaInst::Index(c.integer()?, dtype),
        "convert" => LambdaInst::Convert(dtype, value(c)?),
        "check_index" => {
            let index = value(c)?;
            LambdaInst::CheckIndex(c.integer()?, index)
        }
        name => {
            let op = MapOp::from_name(name).ok_or_else(|| format!("there is no `{name}`"))?;
            let mut operands = SmallVec::new();
            while c.peek() == Some('v') {
                operands.push(value(c)?);
            }
            LambdaInst::Map(op, operands)
        }
    })
}

/// `0`, `i1`, `5 - i1`, `3 + 2*i0`.
fn axis_index(c: &mut Cursor<'_>) -> Parsed<AxisIndex> {
    let follows = |c: &Cursor<'_>| c.peek() == Some('i');
    let mut start = 0;
    let mut sign = 1;
    let mut factor = None;
    if !follows(c) {
        let number: i64 = c.integer()?;
        if c.eat("*") {
            factor = Some(number);
        } else {
            start = number;
            sign = match (c.eat("+"), c.eat("-")) {
                (true, _) => 1,
                (_, true) => -1,
                _ => return Ok(AxisIndex { axis: None, start, step: 1 }),
            };
            if !follows(c) {
                factor = Some(c.integer()?);
                c.expect("*")?;
            }
        }
    }
    let step = sign * factor.unwrap_or(1);
    Ok(AxisIndex { axis: Some(c.numbered("i")?), start, step })
}
