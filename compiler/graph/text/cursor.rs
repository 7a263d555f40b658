//! Words, numbers and lists of one line of a graph's text.

use super::parse::Parsed;
use crate::graph::fused::ReduceOp;
use crate::graph::ops::Axes;
use smallvec::SmallVec;
use tensc_runtime::{DType, Scalar};

/// What is left of a line.
pub(super) struct Cursor<'a> {
    pub(super) rest: &'a str,
}

impl<'a> Cursor<'a> {
    pub(super) fn skip(&mut self) {
        self.rest = self.rest.trim_start();
        if self.rest.starts_with("//") {
            self.rest = "";
        }
    }

    pub(super) fn at_end(&mut self) -> bool {
        self.skip();
        self.rest.is_empty()
    }

    pub(super) fn found(&self) -> String {
        match self.rest.trim_start() {
            "" => "the end of the line".into(),
            rest => format!("`{}`", rest.chars().take(12).collect::<String>()),
        }
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest.trim_start().chars().next()
    }

    pub(super) fn eat(&mut self, token: &str) -> bool {
        self.skip();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    pub(super) fn expect(&mut self, token: &str) -> Parsed<()> {
        if self.eat(token) {
            return Ok(());
        }
        Err(format!("expected `{token}`, found {}", self.found()))
    }

    pub(super) fn take_while(&mut self, accept: impl Fn(char) -> bool) -> &'a str {
        self.skip();
        let end = self.rest.find(|c| !accept(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    pub(super) fn word(&mut self) -> Parsed<&'a str> {
        let before = self.rest;
        let word = self.take_while(|c| c.is_ascii_alphanumeric() || "_.'".contains(c));
        if word.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
            return Ok(word);
        }
        self.rest = before;
        Err(format!("expected a word, found {}", self.found()))
    }

    pub(super) fn eat_word(&mut self, wanted: &str) -> bool {
        let before = self.rest;
        if self.word() == Ok(wanted) {
            return true;
        }
        self.rest = before;
        false
    }

    /// A word, or a string where it is none.
    pub(super) fn name(&mut self) -> Parsed<String> {
        match self.peek() {
            Some('"') => self.string(),
            _ => self.word().map(String::from),
        }
    }

    /// A string as Rust writes it.
    pub(super) fn string(&mut self) -> Parsed<String> {
        self.expect("\"")?;
        let mut text = String::new();
        let mut chars = self.rest.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(text);
                }
                '\\' => match chars.next().map(|(_, c)| c) {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some('r') => text.push('\r'),
                    Some('0') => text.push('\0'),
                    Some(c @ ('\\' | '"' | '\'')) => text.push(c),
                    Some('u') => {
                        let code: String =
                            chars.by_ref().map(|(_, c)| c).take_while(|&c| c != '}').collect();
                        let code = u32::from_str_radix(code.trim_start_matches('{'), 16);
                        let c = code.ok().and_then(char::from_u32);
                        text.push(c.ok_or("a string with an unknown escape")?);
                    }
                    _ => return Err("a string with an unknown escape".into()),
                },
                c => text.push(c),
            }
        }
        Err("a string without an end".into())
    }

    pub(super) fn integer<N: std::str::FromStr>(&mut self) -> Parsed<N> {
        let before = self.rest;
        let sign = if self.eat("-") { "-" } else { "" };
        let digits = self.take_while(|c| c.is_ascii_digit());
        format!("{sign}{digits}").parse().map_err(|_| {
            self.rest = before;
            format!("expected an integer in range, found {}", self.found())
        })
    }

    /// `v12`: the number after a letter.
    pub(super) fn numbered<N: std::str::FromStr>(&mut self, letter: &str) -> Parsed<N> {
        self.expect(letter)?;
        self.integer()
    }

    pub(super) fn scalar(&mut self, dtype: DType) -> Parsed<Scalar> {
        if self.eat_word("bits") {
            self.expect("0x")?;
            let digits = self.take_while(|c| c.is_ascii_hexdigit());
            let bits = u64::from_str_radix(digits, 16).map_err(|e| e.to_string())?;
            return Ok(Scalar::from_bits(dtype, bits));
        }
        let before = self.rest;
        let text = self.take_while(|c| c.is_ascii_alphanumeric() || "+-.".contains(c));
        let scalar = match dtype {
            DType::Bool => text.parse::<bool>().ok().map(Scalar::new),
            DType::F32 => text.parse::<f32>().ok().map(Scalar::new),
            d if d.is_float() => text.parse::<f64>().ok().map(|x| Scalar::from_f64(d, x)),
            d => text.parse::<i64>().ok().map(|x| Scalar::from_i64(d, x)),
        };
        scalar.ok_or_else(|| {
            self.rest = before;
            format!("expected an element of type {dtype}, found {}", self.found())
        })
    }

    pub(super) fn dtype(&mut self) -> Parsed<DType> {
        let word = self.word()?;
        DType::from_name(word).ok_or_else(|| format!("there is no element type `{word}`"))
    }

    pub(super) fn separated<T>(
        &mut self,
        separator: &str,
        mut item: impl FnMut(&mut Self) -> Parsed<T>,
    ) -> Parsed<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.eat(separator) {
            items.push(item(self)?);
        }
        Ok(items)
    }

    pub(super) fn list<T>(&mut self, item: impl FnMut(&mut Self) -> Parsed<T>) -> Parsed<Vec<T>> {
        self.expect("[")?;
        if self.eat("]") {
            return Ok(Vec::new());
        }
        let items = self.separated(",", item)?;
        self.expect("]")?;
        Ok(items)
    }

    pub(super) fn integers<A, N>(&mut self) -> Parsed<SmallVec<A>>
    where
        A: smallvec::Array<Item = N>,
        N: std::str::FromStr,
    {
        Ok(self.list(Cursor::integer)?.into_iter().collect())
    }

    pub(super) fn key(&mut self, key: &str) -> Parsed<()> {
        if self.eat_word(key) {
            return self.expect(":");
        }
        Err(format!("expected `{key}:`, found {}", self.found()))
    }

    pub(super) fn next_key(&mut self, key: &str) -> Parsed<()> {
        self.expect(",")?;
        self.key(key)
    }

    pub(super) fn axis_attribute(&mut self) -> Parsed<u8> {
        self.key("axis")?;
        self.integer()
    }

    /// `[1]x[0]`.
    pub(super) fn axis_pairs(&mut self) -> Parsed<(Axes, Axes)> {
        let left = self.integers()?;
        self.expect("x")?;
        Ok((left, self.integers()?))
    }

    /// `sum:` and its like.
    pub(super) fn reduction(&mut self) -> Parsed<ReduceOp> {
        let word = self.word()?;
        let reduce = ReduceOp::from_name(word);
        let reduce = reduce.ok_or_else(|| format!("there is no reduction `{word}`"))?;
        self.expect(":")?;
        Ok(reduce)
    }
}
