//! A call of a PyTorch operation, on its way to `.tx`.
//!
//! A row names the operation's parameters in order, with defaults. Each becomes a `let` of that
//! name, so that a row whose meaning is one expression is just that expression; rows that depend on
//! ranks or on which arguments are given are functions that write one.

use serde_json::{Map, Value};
use std::fmt::Write;
use tensc::{DType, Tensor};

/// How an operation is said in `.tx`.
pub struct Row {
    /// PyTorch's name.
    pub name: &'static str,
    /// Parameters: `name`, `name=default`; `name:other=default` is called `other` in `.tx`.
    parameters: &'static str,
    meaning: Meaning,
}

enum Meaning {
    /// An expression over the parameters.
    Text(&'static str),
    /// What writes such an expression, or says which form it does not know.
    Code(fn(&mut Call<'_>) -> Result<String, String>),
}

/// A row whose meaning is an expression.
pub const fn text(name: &'static str, parameters: &'static str, tx: &'static str) -> Row {
    Row { name, parameters, meaning: Meaning::Text(tx) }
}

/// A row whose meaning depends on the arguments.
pub const fn code(
    name: &'static str,
    parameters: &'static str,
    write: fn(&mut Call<'_>) -> Result<String, String>,
) -> Row {
    Row { name, parameters, meaning: Meaning::Code(write) }
}

/// An argument.
#[derive(Clone, Debug)]
pub enum Arg {
    None,
    Flag(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Tensor(String),
    List(Vec<Arg>),
    Tuple(Vec<Arg>),
    /// `start:stop:step`
    Slice(Vec<Arg>),
    Ellipsis,
    /// An element type, as PyTorch calls it.
    Type(String),
}

impl Arg {
    fn of(value: &Value) -> Result<Arg, String> {
        let all = |items: &[Value]| items.iter().map(Arg::of).collect::<Result<Vec<_>, _>>();
        let unknown = || Err(format!("an argument of the form {value}"));
        Ok(match value {
            Value::Null => Arg::None,
            Value::Bool(b) => Arg::Flag(*b),
            Value::Number(n) => match n.as_i64() {
                Some(n) => Arg::Int(n),
                None => Arg::Float(n.as_f64().expect("a number")),
            },
            Value::String(text) => Arg::Text(text.clone()),
            Value::Array(items) => Arg::List(all(items)?),
            Value::Object(map) => match map.iter().next().map(|(k, v)| (k.as_str(), v)) {
                Some(("t", Value::String(name))) => Arg::Tensor(name.clone()),
                Some(("tuple", Value::Array(items))) => Arg::Tuple(all(items)?),
                Some(("slice", Value::Array(items))) => Arg::Slice(all(items)?),
                Some(("ellipsis", _)) => Arg::Ellipsis,
                Some(("dtype", Value::String(name))) => {
                    Arg::Type(name.trim_start_matches("torch.").to_string())
                }
                Some(("float", Value::String(text))) => match text.parse() {
                    Ok(number) => Arg::Float(number),
                    Err(_) => return unknown(),
                },
                _ => return unknown(),
            },
        })
    }

    /// The parts of a list or tuple.
    pub fn items(&self) -> Option<&[Arg]> {
        match self {
            Arg::List(items) | Arg::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// As `.tx` writes it, where it is a value.
    pub fn tx(&self) -> Option<String> {
        Some(match self {
            Arg::None => "()".to_string(),
            Arg::Flag(b) => b.to_string(),
            Arg::Int(n) => format!("({n})"),
            Arg::Float(x) if x.is_nan() => "nan".to_string(),
            Arg::Float(x) if x.is_infinite() => if *x > 0.0 { "inf" } else { "(-inf)" }.to_string(),
            Arg::Float(x) => format!("({x:?})"),
            Arg::Text(text) => format!("{text:?}"),
            Arg::Tensor(name) => name.clone(),
            Arg::List(items) | Arg::Tuple(items) => {
                let items: Option<Vec<String>> = items.iter().map(Arg::tx).collect();
                format!("[{}]", items?.join(", "))
            }
            Arg::Slice(_) | Arg::Ellipsis | Arg::Type(_) => return None,
        })
    }
}

/// A call with its arguments bound to the row's parameters.
pub struct Call<'a> {
    row: &'a Row,
    bound: Vec<(&'static str, Arg)>,
    inputs: &'a [(String, Tensor)],
    /// The float type of this run.
    pub dtype: DType,
    /// How many results there are: the samples leave some out.
    pub results: usize,
    lets: String,
    fresh: usize,
}

impl<'a> Call<'a> {
    pub fn new(
        row: &'a Row,
        args: &[Value],
        kwargs: &Map<String, Value>,
        inputs: &'a [(String, Tensor)],
        dtype: DType,
        results: usize,
    ) -> Result<Call<'a>, String> {
        let mut bound = Vec::new();
        let mut args = args.iter();
        let mut used = 0;
        for parameter in row.parameters.split_whitespace() {
            let (names, default) = match parameter.split_once('=') {
                Some((names, default)) => (names, Some(default)),
                None => (parameter, None),
            };
            let (theirs, ours) = names.split_once(':').unwrap_or((names, names));
            if let Some(rest) = theirs.strip_prefix('*') {
                // `*tensors`: all that are left, or one list of them.
                let all: Vec<Arg> = args.by_ref().map(Arg::of).collect::<Result<_, _>>()?;
                let all = match (all.is_empty(), kwargs.get(rest)) {
                    (true, Some(given)) => {
                        used += 1;
                        vec![Arg::of(given)?]
                    }
                    _ => all,
                };
                let all = match <[Arg; 1]>::try_from(all) {
                    Ok([Arg::List(items) | Arg::Tuple(items)]) => items,
                    Ok([one]) => vec![one],
                    Err(all) => all,
                };
                bound.push((ours.strip_prefix('*').unwrap_or(rest), Arg::List(all)));
                continue;
            }
            let given = match args.next() {
                Some(given) => Some(given),
                None => kwargs.get(theirs).inspect(|_| used += 1),
            };
            let arg = match (given, default) {
                (Some(given), _) => Arg::of(given)?,
                (None, Some("None")) => Arg::None,
                (None, Some(default)) => {
                    let default: Value = serde_json::from_str(default).expect("a row's default");
                    Arg::of(&default)?
                }
                (None, None) => return Err(format!("{} without {theirs}", row.name)),
            };
            bound.push((ours, arg));
        }
        if args.next().is_some() || used != kwargs.len() {
            return Err(format!("these arguments of {}", row.name));
        }
        Ok(Call { row, bound, inputs, dtype, results, lets: String::new(), fresh: 0 })
    }

    /// The body of a function of the inputs: parameters, then the meaning.
    pub fn body(&mut self) -> Result<String, String> {
        let mut body = String::new();
        for (name, arg) in &self.bound {
            match arg.tx() {
                Some(value) if value != *name => writeln!(body, "    let {name} = {value}"),
                _ => Ok(()),
            }
            .expect("text can be written");
        }
        let meaning = match self.row.meaning {
            Meaning::Text(tx) => tx.to_string(),
            Meaning::Code(write) => write(self)?,
        };
        Ok(format!("{body}{}    {meaning}\n", self.lets))
    }

    /// The argument of this parameter, by its name in `.tx`.
    pub fn arg(&self, name: &str) -> &Arg {
        let found = self.bound.iter().find(|(n, _)| *n == name);
        &found.unwrap_or_else(|| panic!("{} has a parameter {name}", self.row.name)).1
    }

    /// The argument of this parameter, if the row has it.
    pub fn given(&self, name: &str) -> Option<&Arg> {
        self.bound.iter().find(|(n, _)| *n == name).map(|(_, arg)| arg)
    }

    /// Whether something was given for it.
    pub fn has(&self, name: &str) -> bool {
        !matches!(self.arg(name), Arg::None)
    }

    /// The tensor given for a parameter.
    pub fn tensor(&self, name: &str) -> Result<&'a Tensor, String> {
        match self.arg(name) {
            Arg::Tensor(input) => Ok(self.input(input)),
            other => Err(format!("{} with {name} = {other:?}", self.row.name)),
        }
    }

    /// The input of this name.
    pub fn input(&self, name: &str) -> &'a Tensor {
        &self.inputs.iter().find(|(n, _)| n == name).expect("the archive has it").1
    }

    /// The shape of the tensor given for a parameter; a number has none.
    pub fn shape(&self, name: &str) -> Result<Vec<usize>, String> {
        match self.arg(name) {
            Arg::Int(_) | Arg::Float(_) | Arg::Flag(_) => Ok(Vec::new()),
            _ => Ok(self.tensor(name)?.shape().to_vec()),
        }
    }

    /// The number of axes of the tensor given for a parameter.
    pub fn rank(&self, name: &str) -> Result<usize, String> {
        Ok(self.shape(name)?.len())
    }

    /// The names of the tensors given as a list.
    pub fn tensors(&self, name: &str) -> Result<Vec<(String, &'a Tensor)>, String> {
        let Some(items) = self.arg(name).items() else { return self.unknown(name) };
        let tensor = |item: &Arg| match item {
            Arg::Tensor(input) => Ok((input.clone(), self.input(input))),
            _ => self.unknown(name),
        };
        items.iter().map(tensor).collect()
    }

    /// A whole number.
    pub fn int(&self, name: &str) -> Result<i64, String> {
        match self.arg(name) {
            Arg::Int(n) => Ok(*n),
            Arg::Flag(b) => Ok(i64::from(*b)),
            _ => self.unknown(name),
        }
    }

    /// Checks that a result of another element type than the operands' is not asked for.
    pub fn same_type(&self) -> Result<(), String> {
        match self.given("dtype") {
            None | Some(Arg::None) => Ok(()),
            Some(Arg::Type(name)) if name == "float64" => Ok(()),
            Some(_) => self.unknown("dtype"),
        }
    }

    /// A number.
    pub fn float(&self, name: &str) -> Result<f64, String> {
        match self.arg(name) {
            Arg::Float(x) => Ok(*x),
            _ => Ok(self.int(name)? as f64),
        }
    }

    /// A flag.
    pub fn flag(&self, name: &str) -> Result<bool, String> {
        match self.arg(name) {
            Arg::Flag(b) => Ok(*b),
            _ => self.unknown(name),
        }
    }

    /// Text.
    pub fn word(&self, name: &str) -> Result<&str, String> {
        match self.arg(name) {
            Arg::Text(text) => Ok(text),
            _ => self.unknown(name),
        }
    }

    /// Whole numbers: one, or a list.
    pub fn ints(&self, name: &str) -> Result<Vec<i64>, String> {
        let Some(items) = self.arg(name).items() else { return Ok(vec![self.int(name)?]) };
        let int = |item: &Arg| match item {
            Arg::Int(n) => Ok(*n),
            _ => self.unknown(name),
        };
        items.iter().map(int).collect()
    }

    /// One number for each of `count` axes; a single one stands for all.
    pub fn per_axis(&self, name: &str, count: usize) -> Result<Vec<i64>, String> {
        let given = self.ints(name)?;
        match given.len() {
            1 => Ok(vec![given[0]; count]),
            n if n == count => Ok(given),
            _ => self.unknown(name),
        }
    }

    /// An axis out of `rank`, counted from the first; a scalar has one by courtesy.
    pub fn axis(&self, name: &str, rank: usize) -> Result<usize, String> {
        self.checked_axis(name, self.int(name)?, rank)
    }

    /// Axes out of `rank`: those given, or all where none are.
    pub fn axes(&self, name: &str, rank: usize) -> Result<Vec<usize>, String> {
        match self.arg(name) {
            Arg::None => Ok((0..rank).collect()),
            Arg::List(items) | Arg::Tuple(items) if items.is_empty() => Ok((0..rank).collect()),
            _ => self.ints(name)?.iter().map(|&d| self.checked_axis(name, d, rank)).collect(),
        }
    }

    fn checked_axis(&self, name: &str, axis: i64, rank: usize) -> Result<usize, String> {
        let n = rank.max(1) as i64;
        let at = if axis < 0 { axis + n } else { axis };
        match usize::try_from(at) {
            Ok(at) if at < rank.max(1) => Ok(at),
            _ => self.unknown(name),
        }
    }

    /// Binds an expression to a name of its own.
    pub fn bind(&mut self, tx: impl AsRef<str>) -> String {
        let name = format!("t{}", self.fresh);
        self.fresh += 1;
        writeln!(self.lets, "    let {name} = {}", tx.as_ref()).expect("text can be written");
        name
    }

    /// Says that this form of an argument is not known.
    pub fn unknown<T>(&self, name: &str) -> Result<T, String> {
        let given = self.arg(name);
        Err(format!("{} with {name} = {}", self.row.name, given.tx().unwrap_or_default()))
    }
}

/// Numbers as a list of `.tx`.
pub fn list<T: std::fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    format!("[{}]", items.join(", "))
}
