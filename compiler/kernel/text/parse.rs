//! Text as programs.

use crate::graph::Origin;
use crate::graph::ops::Draw;
use crate::graph::text::sections;
use crate::kernel::{
    Access, Body, Buffer, BufferId, Call, Fold, Kernel, Nest, Operand, Place, Product, Program,
    Prologue, Repeat, RowValue, Split, Spread, Stage, State, Work,
};
use crate::vector::{self, ParseError};
use std::iter::Peekable;
use std::str::{FromStr, Lines};
use tensc_runtime::along::{Around, Running};
use tensc_runtime::linear::Linear;
use tensc_runtime::{DType, Element, Shape, Tensor, with_element};

/// The program that the text says. It is well formed as a text; `verify` says whether it is right.
/// Lines that are comments (`// …`) are skipped.
///
/// # Errors
/// The first line that is wrong.
pub fn parse(text: &str) -> Result<Program, ParseError> {
    let mut parser = Parser {
        lines: text.lines().peekable(),
        line: 0,
        program: Program::default(),
        planned: false,
    };
    match parser.program() {
        Ok(()) => Ok(parser.program),
        Err(message) => Err(ParseError { line: parser.line.max(1), message }),
    }
}

/// The programs of a text of several, each below a comment that is its title.
///
/// # Errors
/// As [`parse`].
pub fn parse_all(text: &str) -> Result<Vec<(String, Program)>, ParseError> {
    sections(text).map(|section| section.parsed(parse)).collect()
}

struct Parser<'t> {
    lines: Peekable<Lines<'t>>,
    line: usize,
    program: Program,
    planned: bool,
}

type Parsed<T> = Result<T, String>;

impl<'t> Parser<'t> {
    fn program(&mut self) -> Parsed<()> {
        let (mut inputs, mut outputs) = (Vec::new(), Vec::new());
        let (mut offsets, mut row_offsets) = (Vec::new(), Vec::new());
        while let Some(mut line) = self.next() {
            match line.word() {
                "" => continue,
                "done" => break,
                "buffer" => {
                    let (buffer, offset) = self.buffer(&mut line)?;
                    let id = BufferId(self.program.buffers.len() as u32);
                    match buffer.place {
                        Place::Input(n) => inputs.push((n, id)),
                        Place::Output(n) => outputs.push((n, id)),
                        Place::Arena | Place::Row | Place::Constant(_) => {}
                    }
                    let row = matches!(buffer.place, Place::Row);
                    offsets.push(offset.filter(|_| !row));
                    row_offsets.push(offset.filter(|_| row));
                    self.program.buffers.push(buffer);
                }
                "plan" => {
                    line.expect("arena")?;
                    self.program.plan.bytes = line.number()?;
                    line.expect("row")?;
                    self.program.plan.row_bytes = line.number()?;
                    self.planned = true;
                }
                "donate" => {
                    line.expect("input")?;
                    let input = line.number()?;
                    line.expect("to")?;
                    line.expect("output")?;
                    self.program.plan.donations.push((input, line.number()?));
                }
                "sites" => self.program.sites = vec![Origin::default(); line.number()?],
                "kernel" => {
                    let kernel = self.kernel(&mut line)?;
                    self.program.kernels.push(kernel);
                }
                other => return Err(format!("expected a buffer or a kernel, found `{other}`")),
            }
            line.end()?;
        }
        self.program.inputs = numbered(inputs, "input")?;
        self.program.outputs = numbered(outputs, "output")?;
        if self.planned {
            self.program.plan.offsets = offsets;
            self.program.plan.row_offsets = row_offsets;
        }
        Ok(())
    }

    /// The next line, and its number as that of errors.
    fn next(&mut self) -> Option<Line<'t>> {
        loop {
            let rest = self.lines.next()?.trim();
            self.line += 1;
            if !rest.starts_with("//") {
                return Some(Line { rest });
            }
        }
    }

    fn some_line(&mut self) -> Parsed<Line<'t>> {
        self.next().ok_or_else(|| "the text ends inside a kernel".to_owned())
    }

    fn buffer(&mut self, line: &mut Line<'t>) -> Parsed<(Buffer, Option<usize>)> {
        let BufferId(id) = line.buffer()?;
        let expected = self.program.buffers.len();
        if id as usize != expected {
            return Err(format!("expected b{expected}, found b{id}"));
        }
        let name = line.string()?;
        line.expect(":")?;
        let dtype = line.dtype()?;
        let elements = line.number()?;
        line.expect("=")?;
        let mut offset = None;
        let place = match line.word() {
            "input" => Place::Input(line.number()?),
            "output" => Place::Output(line.number()?),
            kind @ ("arena" | "row") => {
                if !line.rest.is_empty() {
                    line.expect("@")?;
                    offset = Some(line.number()?);
                }
                if kind == "row" { Place::Row } else { Place::Arena }
            }
            "constant" => {
                let shape: Vec<usize> = line.list()?;
                let tensor = constant(dtype, &shape, line.word())?;
                if tensor.len() != elements {
                    return Err(format!("a constant of {} elements", tensor.len()));
                }
                Place::Constant(tensor)
            }
            other => return Err(format!("`{other}` is no place")),
        };
        Ok((Buffer { name, dtype, elements, place }, offset))
    }

    fn kernel(&mut self, line: &mut Line<'t>) -> Parsed<Kernel> {
        let name = line.string()?;
        let mut after = Vec::new();
        let mut word = line.word();
        if word == "after" {
            loop {
                word = line.word();
                if word == "=" {
                    break;
                }
                after.push(buffer_of(word)?);
            }
        }
        if word != "=" {
            return Err(format!("expected `=`, found `{word}`"));
        }
        let work = match line.word() {
            "nest" => {
                let outer: Vec<usize> = line.list()?;
                line.expect("split")?;
                let split = match line.word() {
                    "rows" => Split::Rows,
                    "lanes" => Split::Lanes,
                    "never" => Split::Never,
                    other => return Err(format!("nothing is split over `{other}`")),
                };
                let mut stages = Vec::new();
                while self.lines.peek().is_some_and(|l| l.trim_start().starts_with("stage ")) {
                    let mut line = self.some_line()?;
                    stages.push(self.stage(&mut line)?);
                }
                Work::Nest(Nest { outer: outer.into(), stages, split })
            }
            "product" => Work::Product(self.product(line)?),
            "random" => {
                let draw = match line.word() {
                    "bits" => Draw::Bits,
                    "uniform" => Draw::Uniform,
                    "normal" => Draw::Normal,
                    other => return Err(format!("there is no distribution `{other}`")),
                };
                let (key, out) = (line.named("key")?, line.named("out")?);
                Work::Call(Call::Random { draw, key, out })
            }
            "fold_key" => Work::Call(Call::FoldKey {
                key: line.named("key")?,
                data: line.named("data")?,
                out: line.named("out")?,
            }),
            "scatter_add" => Work::Call(scatter_add(line)?),
            "running" => {
                let word = line.word();
                let op = Running::from_name(word);
                let op = op.ok_or_else(|| format!("there is no running `{word}`"))?;
                let (operand, out) = (line.named("of")?, line.named("out")?);
                Work::Call(Call::Running { op, operand, out, around: around(line)? })
            }
            "linear" => {
                let word = line.word();
                let op = Linear::from_name(word);
                let op = op.ok_or_else(|| format!("there is no `{word}` of matrices"))?;
                let matrix = line.named("of")?;
                let solves = line.rest.starts_with("right ");
                let right = if solves { Some(line.named("right")?) } else { None };
                let out = line.named("out")?;
                let sizes: Vec<usize> = line.list()?;
                let sizes = sizes.try_into().map_err(|_| "a matrix has two sizes".to_owned())?;
                Work::Call(Call::Linear { op, matrix, right, out, sizes })
            }
            "recur" => {
                let factor = line.named("factor")?;
                let (operand, out) = (line.named("of")?, line.named("out")?);
                Work::Call(Call::Recur { factor, operand, out, around: around(line)? })
            }
            "argsort" => {
                let descending = match line.word() {
                    "ascending" => false,
                    "descending" => true,
                    other => return Err(format!("there is no order `{other}`")),
                };
                line.expect("first")?;
                let first = line.number()?;
                let (operand, out) = (line.named("of")?, line.named("out")?);
                let around = around(line)?;
                Work::Call(Call::Argsort { operand, out, descending, first, around })
            }
            "repeat" => Work::Repeat(self.repeat(line)?),
            other => return Err(format!("there is no kernel `{other}`")),
        };
        Ok(Kernel { name, work, after, origins: Vec::new() })
    }

    fn repeat(&mut self, line: &mut Line<'t>) -> Parsed<Repeat> {
        let count = line.number()?;
        line.expect("from")?;
        let reverse = match line.word() {
            "first" => false,
            "last" => true,
            other => return Err(format!("steps do not start at the `{other}`")),
        };
        let arena = line.named("arena")?;
        let mut states = Vec::new();
        let [mut slices, mut whole, mut elements] = [Vec::new(), Vec::new(), Vec::new()];
        let (mut gate, mut until) = (None, None);
        loop {
            let mut line = self.some_line()?;
            match line.word() {
                "state" => {
                    let (first, last) = (line.buffer()?, line.named("to")?);
                    states.push(State { first, last, spare: line.named("spare")? });
                }
                "slice" => slices.push(line.buffer()?),
                "whole" => whole.push(line.buffer()?),
                "element" => elements.push(line.buffer()?),
                "gate" => gate = Some(line.buffer()?),
                "until" => until = Some(line.number()?),
                "step" => break,
                other => return Err(format!("expected a buffer or the step, found `{other}`")),
            }
            line.end()?;
        }
        let around = std::mem::take(&mut self.program);
        let planned = std::mem::replace(&mut self.planned, false);
        self.program()?;
        let step = Box::new(std::mem::replace(&mut self.program, around));
        self.planned = planned;
        Ok(Repeat { count, reverse, step, states, slices, whole, elements, gate, until, arena })
    }

    fn stage(&mut self, line: &mut Line<'t>) -> Parsed<Stage> {
        line.expect("stage")?;
        line.expect("reduce")?;
        let reduce: Vec<usize> = line.list()?;
        line.expect("lanes")?;
        let lanes = line.number()?;
        line.end()?;
        let body = self.body("body")?;
        let next = self.lines.peek().map_or("", |l| l.trim_start());
        let fold = if next.starts_with("across ") {
            Fold::AcrossLanes(self.body("across")?)
        } else if next.starts_with("per_lane ") {
            Fold::PerLane(self.body("per_lane")?)
        } else {
            Fold::None
        };
        Ok(Stage { reduce: reduce.into(), lanes, body, fold })
    }

    fn product(&mut self, line: &mut Line<'t>) -> Parsed<Product> {
        let dtype = line.dtype()?;
        line.expect("batch")?;
        let batch: Vec<usize> = line.list()?;
        line.expect("m")?;
        let m = line.number()?;
        line.expect("n")?;
        let n = line.number()?;
        line.expect("k")?;
        let k = line.number()?;
        let (left, right) = (self.operand("left")?, self.operand("right")?);
        let epilogue = self.body("epilogue")?;
        Ok(Product { batch: batch.into(), m, n, k, dtype, left, right, epilogue })
    }

    fn operand(&mut self, what: &str) -> Parsed<Operand> {
        let mut line = self.some_line()?;
        line.expect(what)?;
        if line.rest.starts_with("spread") {
            line.expect("spread")?;
            let axes: [Vec<usize>; 2] = [line.list()?, line.list()?];
            let turned = line.rest.starts_with("turned");
            if turned {
                line.expect("turned")?;
            }
            let access = line.access()?;
            line.end()?;
            return Ok(Operand::Spread(Spread { access, axes: axes.map(Into::into), turned }));
        }
        if !line.rest.starts_with("made") {
            let access = line.access()?;
            return line.end().map(|()| Operand::Stored(access));
        }
        line.expect("made")?;
        let turned = !line.rest.is_empty();
        if turned {
            line.expect("turned")?;
        }
        line.end()?;
        Ok(Operand::Made(Prologue { body: self.body("prologue")?, turned }))
    }

    fn body(&mut self, what: &str) -> Parsed<Body> {
        let mut line = self.some_line()?;
        line.expect(what)?;
        let params = line.row_values()?;
        line.end()?;
        let mut slots = Vec::new();
        let mut text = String::new();
        let first = self.line;
        loop {
            let mut line = self.some_line()?;
            if line.rest == "end" {
                break;
            }
            if line.rest.starts_with("at ") {
                line.expect("at")?;
                let expected = format!("s{}", slots.len());
                line.expect(&expected)?;
                line.expect("=")?;
                slots.push(line.access()?);
                line.end()?;
            } else {
                text.push_str(line.rest);
                text.push('\n');
            }
        }
        let program: vector::Program =
            text.parse().map_err(|e: ParseError| format!("in the body after line {first}: {e}"))?;
        Ok(Body { program, slots, params })
    }
}

fn around(line: &mut Line<'_>) -> Parsed<Around> {
    let sizes: Vec<usize> = line.list()?;
    match sizes.as_slice() {
        &[outer, n, inner] => Ok(Around { outer, n, inner }),
        _ => Err("an axis stands between two sizes".to_owned()),
    }
}

fn scatter_add(line: &mut Line<'_>) -> Parsed<Call> {
    let operand = if line.rest.starts_with("to ") { Some(line.named("to")?) } else { None };
    let (index, updates) = (line.named("index")?, line.named("updates")?);
    let out = line.named("out")?;
    let sizes: Vec<usize> = line.list()?;
    let &[outer, bound, inner] = sizes.as_slice() else {
        return Err("scatter_add has three sizes".to_owned());
    };
    Ok(Call::ScatterAdd { operand, index, updates, out, outer, bound, inner })
}

fn numbered(mut pairs: Vec<(u32, BufferId)>, what: &str) -> Parsed<Vec<BufferId>> {
    pairs.sort_unstable();
    let gapless = pairs.iter().enumerate().all(|(i, (n, _))| i == *n as usize);
    let buffers = pairs.into_iter().map(|(_, buffer)| buffer).collect();
    gapless.then_some(buffers).ok_or_else(|| format!("each {what} has one buffer"))
}

/// The tensor whose bytes these hexadecimal digits are.
fn constant(dtype: DType, shape: &[usize], digits: &str) -> Parsed<Tensor> {
    let byte = |pair: &[u8]| {
        let text = std::str::from_utf8(pair).ok()?;
        u8::from_str_radix(text, 16).ok()
    };
    let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(byte).collect();
    let bytes = bytes.ok_or("bytes are pairs of hexadecimal digits")?;
    let shape = Shape::new(shape);
    let elements = shape.checked_elements().ok_or("a constant of too many elements")?;
    if bytes.len() != elements.saturating_mul(dtype.size()) {
        return Err(format!("{} bytes for {elements} elements of {dtype}", bytes.len()));
    }
    Ok(with_element!(dtype, T => {
        let elements: Vec<T> =
            bytes.chunks_exact(dtype.size()).map(|b| element(dtype, b)).collect();
        Tensor::from_slice(&elements, shape)
    }))
}

fn element<T: Element>(dtype: DType, bytes: &[u8]) -> T {
    let scalar = crate::kernel::reference::decode(dtype, bytes);
    if dtype.is_float() { T::from_f64(scalar.to_f64()) } else { T::from_i64(scalar.to_i64()) }
}

/// What is left of a line.
struct Line<'t> {
    rest: &'t str,
}

/// `b3`
fn buffer_of(word: &str) -> Parsed<BufferId> {
    let id = word.strip_prefix('b').and_then(|digits| digits.parse().ok());
    id.map(BufferId).ok_or_else(|| format!("expected a buffer, found `{word}`"))
}

impl<'t> Line<'t> {
    /// The next word; empty at the end.
    fn word(&mut self) -> &'t str {
        let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        word
    }

    fn expect(&mut self, what: &str) -> Parsed<()> {
        match self.rest.strip_prefix(what) {
            Some(rest) => {
                self.rest = rest.trim_start();
                Ok(())
            }
            None => Err(format!("expected `{what}`, found `{}`", self.rest)),
        }
    }

    fn end(&self) -> Parsed<()> {
        match self.rest {
            "" => Ok(()),
            rest => Err(format!("expected the end of the line, found `{rest}`")),
        }
    }

    fn number<T: FromStr>(&mut self) -> Parsed<T> {
        let word = self.word();
        word.parse().map_err(|_| format!("expected a number, found `{word}`"))
    }

    fn dtype(&mut self) -> Parsed<DType> {
        let word = self.word();
        DType::from_name(word).ok_or_else(|| format!("expected an element type, found `{word}`"))
    }

    fn buffer(&mut self) -> Parsed<BufferId> {
        buffer_of(self.word())
    }

    fn named(&mut self, what: &str) -> Parsed<BufferId> {
        self.expect(what)?;
        self.buffer()
    }

    /// A string in quotes, with Rust's escapes for quotes and backslashes.
    fn string(&mut self) -> Parsed<String> {
        self.expect("\"")?;
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = self.rest[at + 1..].trim_start();
                    return Ok(text);
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, escaped @ ('"' | '\\' | '\''))) => text.push(escaped),
                    _ => return Err("an escape that is not known".to_owned()),
                },
                c => text.push(c),
            }
        }
        Err("a string without an end".to_owned())
    }

    /// Items between brackets.
    fn items(&mut self, open: char, close: char) -> Parsed<Vec<&'t str>> {
        let inside = self.rest.strip_prefix(open).and_then(|rest| rest.split_once(close));
        let (items, rest) =
            inside.ok_or_else(|| format!("expected `{open}…{close}`, found `{}`", self.rest))?;
        self.rest = rest.trim_start();
        Ok(items.split(',').map(str::trim).filter(|i| !i.is_empty()).collect())
    }

    fn list<T: FromStr>(&mut self) -> Parsed<Vec<T>> {
        let number =
            |item: &str| item.parse().map_err(|_| format!("expected a number, found `{item}`"));
        self.items('[', ']')?.into_iter().map(number).collect()
    }

    fn row_values(&mut self) -> Parsed<Vec<RowValue>> {
        let value = |item: &str| {
            let number = item.strip_prefix('r').and_then(|digits| digits.parse().ok());
            number.map(RowValue).ok_or_else(|| format!("expected a row value, found `{item}`"))
        };
        self.items('(', ')')?.into_iter().map(value).collect()
    }

    fn access(&mut self) -> Parsed<Access> {
        let buffer = self.buffer()?;
        self.expect("+")?;
        let offset = self.number()?;
        let strides: Vec<i64> = self.list()?;
        let gather = if self.rest.starts_with("gather") {
            self.expect("gather")?;
            let stride = self.number()?;
            self.expect("of")?;
            Some((stride, self.number()?))
        } else {
            None
        };
        Ok(Access { buffer, offset, strides: strides.into(), gather })
    }
}
