//! Patterns of axes: `"b i d, b j d -> b i j"`, `"bij,bjk"`, `"... i i -> ... i"`.
//!
//! Names are words that stand apart, or letters that stand together. `...` stands for the axes that
//! have no name, counted from the last one, so that they broadcast. Without `->` the result has
//! what `...` stands for and then, in the order of the alphabet, the letters that occur once.

use crate::check::walk::{Eval, Walk};
use crate::diag::{Diagnostic, Span, codes};

/// The axes of an operand: names with their places.
pub(super) type Axes = Vec<(String, Span)>;

/// What a product is of.
pub(super) struct Pattern {
    pub(super) inputs: Vec<Axes>,
    pub(super) output: Axes,
}

/// `...` among names.
pub(super) const DOTS: &str = "...";

/// The pattern of a product of operands of these ranks.
pub(super) fn of_product(w: &mut Walk<'_>, text: &str, at: Span, ranks: &[usize]) -> Eval<Pattern> {
    let arrow = text.find("->");
    let left = &text[..arrow.unwrap_or(text.len())];
    let mut offset = 0;
    let mut inputs = Vec::new();
    for part in left.split(',') {
        inputs.push(words(part, at, offset));
        offset += part.len() + 1;
    }
    if inputs.len() != ranks.len() {
        let (a, b) = (inputs.len(), ranks.len());
        let s = if a == 1 { "" } else { "s" };
        let message = format!("the pattern is for {a} operand{s}, found {b}");
        return Err(w.error(codes::BAD_PATTERN, at, message));
    }
    let mut output = arrow.map(|arrow| words(&text[arrow + 2..], at, arrow + 2));
    if are_letters(&inputs, output.as_ref(), ranks) {
        inputs = inputs.into_iter().map(split_letters).collect();
        output = output.map(split_letters);
    }
    for (name, place) in inputs.iter().chain(&output).flatten() {
        let plain = name.chars().all(|c| c.is_alphanumeric() || c == '_');
        let number = name.starts_with(|c: char| c.is_numeric());
        if (!plain || number) && name != DOTS {
            let message = format!("`{name}` is no name of an axis");
            let diagnostic = Diagnostic::error(codes::BAD_PATTERN, *place, message);
            let help = "name the axis, or take one of size 1 away first: squeeze(x)";
            return Err(w.report(match number {
                true => diagnostic.help(help),
                false => diagnostic,
            }));
        }
    }
    for axes in inputs.iter().chain(&output) {
        let mut dots = axes.iter().filter(|(name, _)| name == DOTS);
        if let (Some(_), Some((_, second))) = (dots.next(), dots.next()) {
            let message = "`...` can stand only once for each operand";
            return Err(w.error(codes::BAD_PATTERN, *second, message));
        }
    }
    let output = match output {
        Some(output) => output,
        None => implied(w, &inputs, at)?,
    };
    expanded(w, inputs, output, ranks)
}

/// Whether words are letters that stand together: where a word touches `...`, or where as many
/// letters as an operand has axes fit, and as many words do not.
fn are_letters(inputs: &[Axes], output: Option<&Axes>, ranks: &[usize]) -> bool {
    let compact = |axes: &Axes| axes.iter().filter(|(name, _)| name != DOTS).count() <= 2;
    let touches = |axes: &Axes| axes.windows(2).any(|pair| pair[0].1.end == pair[1].1.start);
    if inputs.iter().chain(output).any(touches) {
        return true;
    }
    let count = |axes: &Axes, of: fn(&str) -> usize| {
        axes.iter().filter(|(name, _)| name != DOTS).map(|(name, _)| of(name)).sum::<usize>()
    };
    let fits = |of: fn(&str) -> usize| {
        inputs.iter().zip(ranks).all(|(axes, &rank)| {
            let dots = axes.iter().any(|(name, _)| name == DOTS);
            let n = count(axes, of);
            if dots { n <= rank } else { n == rank }
        })
    };
    let known = |name: &str| name == DOTS || inputs.iter().flatten().any(|(n, _)| n == name);
    let as_words = fits(|_| 1) && output.is_none_or(|axes| axes.iter().all(|(n, _)| known(n)));
    !as_words && fits(|name| name.chars().count()) && inputs.iter().all(compact)
}

/// The result of a pattern without one.
fn implied(w: &mut Walk<'_>, inputs: &[Axes], at: Span) -> Eval<Axes> {
    let all: Vec<&(String, Span)> = inputs.iter().flatten().collect();
    if let Some((name, place)) = all.iter().find(|(n, _)| n != DOTS && n.chars().count() > 1) {
        let message = "the pattern needs `->` and the axes of the result";
        let diagnostic = Diagnostic::error(codes::BAD_PATTERN, at, message);
        let note = format!("`{name}` is a word; only letters have an order that says the result");
        return Err(w.report(diagnostic.label(*place, note)));
    }
    let once = |name: &str| all.iter().filter(|(n, _)| n == name).count() == 1;
    let dots = all.iter().find(|(name, _)| name == DOTS).map(|dots| (*dots).clone());
    let mut letters: Axes =
        all.iter().filter(|(n, _)| n != DOTS && once(n)).map(|axis| (*axis).clone()).collect();
    letters.sort();
    Ok(dots.into_iter().chain(letters).collect())
}

/// `...` replaced by names of its own, numbered from the last axis.
fn expanded(w: &mut Walk<'_>, inputs: Vec<Axes>, output: Axes, ranks: &[usize]) -> Eval<Pattern> {
    let width = |axes: &Axes, rank: usize| {
        let dots = axes.iter().any(|(name, _)| name == DOTS);
        if dots { (rank + 1).saturating_sub(axes.len()) } else { 0 }
    };
    let replaced = |axes: Axes, width: usize| -> Axes {
        let names = |(name, place): (String, Span)| -> Vec<(String, Span)> {
            match name == DOTS {
                true => (0..width).rev().map(|i| (format!("{DOTS}{i}"), place)).collect(),
                false => vec![(name, place)],
            }
        };
        axes.into_iter().flat_map(names).collect()
    };
    let widths: Vec<usize> = inputs.iter().zip(ranks).map(|(a, &rank)| width(a, rank)).collect();
    let most = widths.iter().copied().max().unwrap_or(0);
    let dots = inputs.iter().flatten().find(|(name, _)| name == DOTS).map(|(_, place)| *place);
    if let Some(place) = dots
        && most > 0
        && output.iter().all(|(name, _)| name != DOTS)
    {
        let message = "what `...` stands for is missing in the result";
        let diagnostic = Diagnostic::error(codes::BAD_PATTERN, place, message);
        let help = "write `...` after `->` too, or name the axes to sum over";
        return Err(w.report(diagnostic.help(help)));
    }
    let inputs = inputs.into_iter().zip(widths).map(|(axes, width)| replaced(axes, width));
    Ok(Pattern { inputs: inputs.collect(), output: replaced(output, most) })
}

fn split_letters(axes: Axes) -> Axes {
    let letters = axes.into_iter().flat_map(|(word, span)| {
        if word == DOTS {
            return vec![(word, span)];
        }
        word.char_indices()
            .map(|(i, c)| {
                let start = span.start as usize + i;
                (c.to_string(), Span::new(span.source, start, start + c.len_utf8()))
            })
            .collect::<Vec<_>>()
    });
    letters.collect()
}

/// The words of a part of the pattern, with their places; `...` and a parenthesis
/// are words wherever they stand.
pub(super) fn words(part: &str, at: Span, offset: usize) -> Axes {
    let mut words = Vec::new();
    let mut start = None;
    let mut skip = 0;
    let mut push = |from: usize, to: usize| {
        let place = at.start as usize + offset;
        let span = Span::new(at.source, place + from, place + to);
        words.push((part[from..to].to_string(), span));
    };
    for (i, c) in part.char_indices().chain([(part.len(), ' ')]) {
        if i < skip {
            continue;
        }
        let dots = part[i..].starts_with(DOTS);
        let bracket = c == '(' || c == ')';
        if (c.is_whitespace() || dots || bracket)
            && let Some(from) = start.take()
        {
            push(from, i);
        }
        if bracket {
            push(i, i + 1);
        } else if dots {
            push(i, i + DOTS.len());
            skip = i + DOTS.len();
        } else if !c.is_whitespace() && start.is_none() {
            start = Some(i);
        }
    }
    words
}
