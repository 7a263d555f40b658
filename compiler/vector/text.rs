//! The printed form of programs, and its parser: `parse(print(p)) == p`.
//!
//! One line a declaration or instruction. Stores have a number as all instructions do, though no
//! value; the numbers of a line must be those that the order implies, so that a line lost in an
//! edit is noticed. A NaN is written with its bits.
//!
//! ```text
//! slot s0: f32 unit
//! param p0: f32
//! v0 = load s0
//! v1 = param p0
//! v2 = sub v0, v1
//! v3 = const f32 0.5
//! v4 = fma v2, v3, v0
//! fold max v4
//! yield v4
//! ```

use super::{
    Accumulator, Binary, Combine, Compare, Inst, Param, Program, Slot, SlotDecl, Stride, Type,
    Unary, Value,
};
use std::fmt;
use std::str::FromStr;
use tensc_runtime::{DType, Scalar};

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, slot) in self.slots.iter().enumerate() {
            writeln!(f, "slot s{i}: {} {}", slot.dtype, name_of(STRIDES, slot.stride))?;
        }
        for (i, ty) in self.params.iter().enumerate() {
            writeln!(f, "param p{i}: {ty}")?;
        }
        for (i, inst) in self.insts.iter().enumerate() {
            writeln!(f, "v{i} = {inst}")?;
        }
        for acc in &self.accumulators {
            write!(f, "fold {} {}", name_of(COMBINES, acc.combine), acc.value)?;
            if let Some(index) = acc.index {
                write!(f, ", {index}")?;
            }
            writeln!(f)?;
        }
        self.yields.iter().try_for_each(|v| writeln!(f, "yield {v}"))
    }
}

impl fmt::Display for Inst {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Inst::Const(scalar) => {
                write!(f, "const {} ", scalar.dtype())?;
                if scalar.to_f64().is_nan() {
                    write!(f, "nan:{:x}", scalar.bits())
                } else {
                    write!(f, "{scalar}")
                }
            }
            Inst::Param(Param(p)) => write!(f, "param p{p}"),
            Inst::Load(s) => write!(f, "load {s}"),
            Inst::Gather(s, index) => write!(f, "gather {s}, {index}"),
            Inst::Store(s, value) => write!(f, "store {s}, {value}"),
            Inst::Index(axis) => write!(f, "index {axis}"),
            Inst::CheckIndex { index, bound, site } => {
                write!(f, "check_index {index}, {bound}, {site}")
            }
            Inst::Unary(Unary::Convert(to), x) => write!(f, "convert {to}, {x}"),
            Inst::Unary(Unary::Bitcast(to), x) => write!(f, "bitcast {to}, {x}"),
            Inst::Unary(Unary::Wrap(to), x) => write!(f, "wrap {to}, {x}"),
            Inst::Unary(Unary::RoundTo(to), x) => write!(f, "round_to {to}, {x}"),
            Inst::Unary(op, x) => write!(f, "{} {x}", name_of(UNARIES, op)),
            Inst::Binary(op, a, b) => write!(f, "{} {a}, {b}", name_of(BINARIES, op)),
            Inst::Fma(a, b, c) => write!(f, "fma {a}, {b}, {c}"),
            Inst::Compare(op, a, b) => write!(f, "{} {a}, {b}", name_of(COMPARES, op)),
            Inst::Select(mask, a, b) => write!(f, "select {mask}, {a}, {b}"),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

type Names<T> = &'static [(&'static str, T)];

const STRIDES: Names<Stride> =
    &[("splat", Stride::Splat), ("unit", Stride::Unit), ("far", Stride::Far)];
const TYPES: Names<Type> = &[
    ("i32", Type::I32),
    ("i64", Type::I64),
    ("f32", Type::F32),
    ("f64", Type::F64),
    ("mask", Type::Mask),
];
const COMBINES: Names<Combine> = &[
    ("add", Combine::Add),
    ("mul", Combine::Mul),
    ("max", Combine::Max),
    ("min", Combine::Min),
    ("and", Combine::And),
    ("or", Combine::Or),
    ("argmax", Combine::ArgMax),
    ("argmin", Combine::ArgMin),
];
/// Those without an attribute.
const UNARIES: Names<Unary> = &[
    ("neg", Unary::Neg),
    ("abs", Unary::Abs),
    ("sqrt", Unary::Sqrt),
    ("round", Unary::Round),
    ("floor", Unary::Floor),
    ("ceil", Unary::Ceil),
    ("trunc", Unary::Trunc),
    ("not", Unary::Not),
    ("likely", Unary::Likely),
];
const BINARIES: Names<Binary> = &[
    ("add", Binary::Add),
    ("sub", Binary::Sub),
    ("mul", Binary::Mul),
    ("div", Binary::Div),
    ("rem", Binary::Rem),
    ("max", Binary::Max),
    ("min", Binary::Min),
    ("and", Binary::And),
    ("or", Binary::Or),
    ("xor", Binary::Xor),
    ("shl", Binary::Shl),
    ("sar", Binary::Sar),
    ("shr", Binary::Shr),
    ("scale", Binary::Scale),
];
const COMPARES: Names<Compare> = &[
    ("eq", Compare::Eq),
    ("ne", Compare::Ne),
    ("lt", Compare::Lt),
    ("le", Compare::Le),
    ("gt", Compare::Gt),
    ("ge", Compare::Ge),
];

fn name_of<T: PartialEq + fmt::Debug>(names: Names<T>, item: T) -> &'static str {
    let row = names.iter().find(|(_, other)| *other == item);
    row.unwrap_or_else(|| panic!("{item:?} has no name")).0
}

fn named<T: Copy>(names: Names<T>, name: &str) -> Option<T> {
    names.iter().find(|(other, _)| *other == name).map(|row| row.1)
}

/// A line of a text form, of a program or of a graph, that is not understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, or was expected there; one sentence without a full stop.
    pub message: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.message)
    }
}

impl std::error::Error for ParseError {}

impl FromStr for Program {
    type Err = ParseError;

    /// Reads the printed form. Blank lines are skipped. The program is not verified.
    fn from_str(text: &str) -> Result<Program, ParseError> {
        let mut program = Program::default();
        for (i, line) in text.lines().enumerate() {
            if !line.trim().is_empty() {
                parse_line(&mut program, &mut Line { rest: line.trim() })
                    .map_err(|message| ParseError { line: i + 1, message })?;
            }
        }
        Ok(program)
    }
}

fn parse_line(program: &mut Program, line: &mut Line<'_>) -> Result<(), String> {
    match line.word() {
        "slot" => {
            line.numbered("s", program.slots.len())?;
            let dtype = line.dtype()?;
            let stride = line.one_of(STRIDES, "a stride")?;
            program.slots.push(SlotDecl { dtype, stride });
        }
        "param" => {
            line.numbered("p", program.params.len())?;
            program.params.push(line.one_of(TYPES, "a type")?);
        }
        "fold" => {
            let combine = line.one_of(COMBINES, "a combination")?;
            let value = line.value()?;
            let index = if line.rest.is_empty() { None } else { Some(line.value()?) };
            program.accumulators.push(Accumulator { combine, value, index });
        }
        "yield" => program.yields.push(line.value()?),
        word => {
            let expected = format!("v{}", program.insts.len());
            if word != expected {
                return Err(format!("expected `{expected} = …`, found `{word}`"));
            }
            match line.word() {
                "=" => program.insts.push(parse_inst(line)?),
                other => return Err(format!("expected `=`, found `{other}`")),
            }
        }
    }
    match line.rest {
        "" => Ok(()),
        rest => Err(format!("unexpected `{rest}`")),
    }
}

fn parse_inst(line: &mut Line<'_>) -> Result<Inst, String> {
    let name = line.word();
    if let Some(op) = named(UNARIES, name) {
        return Ok(Inst::Unary(op, line.value()?));
    }
    if let Some(op) = named(BINARIES, name) {
        return Ok(Inst::Binary(op, line.value()?, line.value()?));
    }
    if let Some(op) = named(COMPARES, name) {
        return Ok(Inst::Compare(op, line.value()?, line.value()?));
    }
    Ok(match name {
        "const" => Inst::Const(line.scalar()?),
        "param" => Inst::Param(Param(line.id("p")?)),
        "load" => Inst::Load(line.slot()?),
        "gather" => Inst::Gather(line.slot()?, line.value()?),
        "store" => Inst::Store(line.slot()?, line.value()?),
        "index" => Inst::Index(line.number()?),
        "check_index" => {
            Inst::CheckIndex { index: line.value()?, bound: line.number()?, site: line.number()? }
        }
        "convert" => Inst::Unary(Unary::Convert(line.ty()?), line.value()?),
        "bitcast" => Inst::Unary(Unary::Bitcast(line.ty()?), line.value()?),
        "wrap" => Inst::Unary(Unary::Wrap(line.dtype()?), line.value()?),
        "round_to" => Inst::Unary(Unary::RoundTo(line.dtype()?), line.value()?),
        "fma" => Inst::Fma(line.value()?, line.value()?, line.value()?),
        "select" => Inst::Select(line.value()?, line.value()?, line.value()?),
        other => return Err(format!("no instruction is called `{other}`")),
    })
}

/// What is left of a line.
struct Line<'a> {
    rest: &'a str,
}

impl<'a> Line<'a> {
    /// The next word, without the comma or colon after it; empty at the end.
    fn word(&mut self) -> &'a str {
        let end = self.rest.find(char::is_whitespace).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest.trim_start();
        word.strip_suffix([',', ':']).unwrap_or(word)
    }

    fn one_of<T: Copy>(&mut self, names: Names<T>, what: &str) -> Result<T, String> {
        let word = self.word();
        named(names, word).ok_or_else(|| format!("expected {what}, found `{word}`"))
    }

    fn ty(&mut self) -> Result<Type, String> {
        self.one_of(TYPES, "a type")
    }

    fn dtype(&mut self) -> Result<DType, String> {
        let word = self.word();
        DType::from_name(word).ok_or_else(|| format!("expected an element type, found `{word}`"))
    }

    fn number<T: FromStr>(&mut self) -> Result<T, String> {
        let word = self.word();
        word.parse().map_err(|_| format!("expected a number, found `{word}`"))
    }

    fn id(&mut self, letter: &str) -> Result<u32, String> {
        let word = self.word();
        let digits = word.strip_prefix(letter).and_then(|digits| digits.parse().ok());
        digits.ok_or_else(|| format!("expected `{letter}` and a number, found `{word}`"))
    }

    fn numbered(&mut self, letter: &str, expected: usize) -> Result<(), String> {
        match self.id(letter)? {
            id if id as usize == expected => Ok(()),
            id => Err(format!("expected {letter}{expected}, found {letter}{id}")),
        }
    }

    fn value(&mut self) -> Result<Value, String> {
        self.id("v").map(Value)
    }

    fn slot(&mut self) -> Result<Slot, String> {
        self.id("s").map(Slot)
    }

    fn scalar(&mut self) -> Result<Scalar, String> {
        let dtype = self.dtype()?;
        let word = self.word();
        let scalar = if let Some(bits) = word.strip_prefix("nan:") {
            u64::from_str_radix(bits, 16).ok().and_then(|bits| nan(dtype, bits))
        } else {
            match dtype {
                DType::Bool => word.parse().ok().map(|x: bool| Scalar::new(x)),
                DType::F64 => word.parse().ok().map(|x: f64| Scalar::new(x)),
                DType::F16 | DType::BF16 | DType::F32 => {
                    let x: Option<f32> = word.parse().ok();
                    x.map(|x| Scalar::from_f64(dtype, f64::from(x)))
                }
                DType::U8 | DType::I8 | DType::I16 | DType::I32 | DType::I64 => {
                    word.parse().ok().map(|x: i64| Scalar::from_i64(dtype, x))
                }
            }
        };
        scalar.ok_or_else(|| format!("expected an element of {dtype}, found `{word}`"))
    }
}

/// The NaN of those bits.
fn nan(dtype: DType, bits: u64) -> Option<Scalar> {
    use tensc_runtime::dtype::{BF16, F16};
    let scalar = match dtype {
        DType::F16 => Scalar::new(F16::from_bits(bits as u16)),
        DType::BF16 => Scalar::new(BF16::from_bits(bits as u16)),
        DType::F32 => Scalar::new(f32::from_bits(bits as u32)),
        DType::F64 => Scalar::new(f64::from_bits(bits)),
        _ => return None,
    };
    (scalar.bits() == bits).then_some(scalar)
}
