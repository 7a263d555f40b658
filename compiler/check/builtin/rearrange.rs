//! Axes split, ordered and merged by a pattern: `rearrange("b (h p) c -> b h (p c)", x, p = 4)`.
//!
//! Each side names the axes of a tensor; names in parentheses share one axis, the last of them
//! running fastest. A size that a group leaves open is what its axis divides to.

use super::pattern::{DOTS, words};
use super::{Builtin, Form, Run};
use crate::check::value::{Static, Value};
use crate::check::walk::{Eval, Walk};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::{Dim, NodeId};

pub(super) fn rows() -> Vec<Builtin> {
    vec![Builtin {
        name: "rearrange",
        params: &["pattern", "x", "sizes"],
        doc: "Axes split, ordered and merged by a pattern; sizes of names that it splits by name.",
        run: Run::Form(rearrange),
    }]
}

/// The names of one axis, outermost first, and where they stand; none for a `1`.
struct Group {
    names: Vec<(String, Span)>,
    /// Whether they stand in parentheses.
    merged: bool,
    place: Span,
}

/// A name with its size, once that is known.
type Sizes = Vec<(String, Option<Dim>)>;

fn rearrange<'w>(w: &mut Walk<'w>, form: &Form<'w>) -> Eval<Value<'w>> {
    let mut plain = Vec::new();
    let mut sizes: Sizes = Vec::new();
    let mut named = Vec::new();
    for arg in form.args {
        let value = w.expr(&arg.value, None);
        if value.is_error() {
            return Err(w.reported());
        }
        match &arg.name {
            None => plain.push((value, arg.value.span)),
            Some(name) => {
                let size = w.as_dim(&value, arg.value.span)?;
                sizes.push((name.name.clone(), Some(size)));
                named.push((name.name.clone(), name.span));
            }
        }
    }
    let [(Value::Static(Static::Str(text, at)), _), (x, x_at)] = plain.as_slice() else {
        let message = "`rearrange` takes a pattern and a tensor: rearrange(\"a b -> b a\", x)";
        return Err(w.error(codes::BAD_ARGUMENTS, form.callee, message));
    };
    let Some(arrow) = text.find("->") else {
        let message = "the pattern needs `->` and the axes of the result";
        return Err(w.error(codes::BAD_PATTERN, *at, message));
    };
    let x = w.to_tensor(x, None, *x_at)?;
    let rank = w.node_ty(x).rank();
    let left = groups(w, &text[..arrow], *at, 0, Some(rank))?;
    let dots = left.iter().filter(|g| is_dots(g)).count();
    let right = groups(w, &text[arrow + 2..], *at, arrow + 2, None)?;
    let right = with_dots(right, dots);
    if left.len() != rank {
        let ty = w.node_ty(x).clone();
        let named = left.len();
        let axes = if named == 1 { "axis" } else { "axes" };
        let message = format!("the pattern names {named} {axes}, the tensor is {ty}");
        let diagnostic = Diagnostic::error(codes::BAD_PATTERN, *at, message);
        return Err(w.report(diagnostic.label(*x_at, format!("this is {ty}"))));
    }
    for group in &left {
        for (name, place) in &group.names {
            match sizes.iter().position(|(n, _)| n == name) {
                // A size may be given by its name; a name stands once.
                Some(i) if named.iter().any(|(n, _)| n == name) => {
                    named.retain(|(n, _)| n != name);
                    let given = sizes.remove(i);
                    sizes.push(given);
                }
                Some(_) => return Err(twice(w, name, *place)),
                None => sizes.push((name.clone(), None)),
            }
        }
    }
    if let Some((name, place)) = named.first() {
        let message = format!("the pattern has no axis `{name}`");
        return Err(w.error(codes::BAD_PATTERN, *place, message));
    }
    for (axis, group) in left.iter().enumerate() {
        solve(w, x, axis, group, &mut sizes)?;
    }
    let size = |name: &str| {
        let found = sizes.iter().find(|(n, _)| n == name);
        found.and_then(|(_, size)| size.clone()).expect("it was solved")
    };
    let from: Vec<&str> = left.iter().flat_map(|g| &g.names).map(|(n, _)| n.as_str()).collect();
    let mut perm: Vec<u8> = Vec::new();
    for (name, place) in right.iter().flat_map(|g| &g.names) {
        match from.iter().position(|n| n == name) {
            Some(i) if perm.contains(&(i as u8)) => return Err(twice(w, name, *place)),
            Some(i) => perm.push(i as u8),
            None => {
                let message = format!("the left side has no axis `{name}`");
                return Err(w.error(codes::BAD_PATTERN, *place, message));
            }
        }
    }
    if let Some(i) = (0..from.len()).find(|&i| !perm.contains(&(i as u8))) {
        let (name, place) =
            left.iter().flat_map(|g| &g.names).nth(i).expect("an axis of the left side").clone();
        let message = format!("the axis `{name}` is missing on the right side");
        let diagnostic = Diagnostic::error(codes::BAD_PATTERN, place, message);
        return Err(w.report(diagnostic.help("sum over it first, or index it")));
    }
    let split = w.reshape(x, from.iter().map(|n| size(n)), form.span)?;
    let ordered = w.transpose(split, &perm, form.span)?;
    let merged: Vec<Dim> = (right.iter())
        .map(|g| g.names.iter().fold(Dim::Const(1), |n, (name, _)| n * size(name)))
        .collect();
    let node = w.reshape(ordered, merged, form.span)?;
    Ok(w.tensor(node))
}

fn twice(w: &mut Walk<'_>, name: &str, place: Span) -> crate::check::walk::Reported {
    let message = format!("the axis `{name}` occurs twice");
    w.error(codes::BAD_PATTERN, place, message)
}

/// The sizes of the names of one axis: at most one is open.
fn solve(w: &mut Walk<'_>, x: NodeId, axis: usize, group: &Group, sizes: &mut Sizes) -> Eval<()> {
    let whole = w.node_ty(x).shape[axis].clone();
    let mut known = Dim::Const(1);
    let mut open = None;
    for (name, place) in &group.names {
        let entry = sizes.iter().position(|(n, _)| n == name).expect("it was entered");
        match &sizes[entry].1 {
            Some(size) => known = known * size.clone(),
            None if open.is_none() => open = Some(entry),
            None => {
                let message = format!("the size of `{name}` is not known");
                let diagnostic = Diagnostic::error(codes::BAD_PATTERN, *place, message);
                let help = format!("say it: rearrange(…, {name} = 4)");
                return Err(w.report(diagnostic.help(help)));
            }
        }
    }
    let fits = match open {
        Some(entry) => {
            sizes[entry].1 = if known.is(0) { None } else { whole.div_exact(&known) };
            sizes[entry].1.is_some()
        }
        None => known == whole,
    };
    if fits {
        return Ok(());
    }
    let message = match open {
        Some(_) => {
            format!("axis {axis} is {whole}, which is not known to be a multiple of {known}")
        }
        None => format!("axis {axis} is {whole}, its names are {known} together"),
    };
    let diagnostic = Diagnostic::error(codes::BAD_PATTERN, group.place, message);
    let mut diagnostic = w.with_size(diagnostic, x, axis);
    if open.is_some() && whole.as_var().is_some() {
        let help = format!("say so behind the result's type: where {known} divides {whole}");
        diagnostic = diagnostic.help(help);
    }
    Err(w.report(diagnostic))
}

/// An axis of one name.
fn alone(name: (String, Span)) -> Group {
    Group { place: name.1, names: vec![name], merged: false }
}

fn is_dots(group: &Group) -> bool {
    !group.merged && matches!(group.names.as_slice(), [(name, _)] if name.starts_with(DOTS))
}

/// One side of a pattern. Where the rank is known, `...` becomes as many axes as have no name.
fn groups(
    w: &mut Walk<'_>,
    part: &str,
    at: Span,
    offset: usize,
    rank: Option<usize>,
) -> Eval<Vec<Group>> {
    let mut groups: Vec<Group> = Vec::new();
    let mut inside: Option<Group> = None;
    for (word, place) in words(part, at, offset) {
        let plain = word.chars().all(|c| c.is_alphanumeric() || c == '_');
        match (word.as_str(), &mut inside) {
            ("(", None) => inside = Some(Group { names: Vec::new(), merged: true, place }),
            (")", Some(group)) => {
                group.place = group.place.to(place);
                groups.extend(inside.take());
            }
            ("1", None) => groups.push(Group { names: Vec::new(), merged: false, place }),
            ("1", Some(_)) => {}
            (DOTS, None) => groups.push(alone((word, place))),
            // On the left nothing would tell how many axes they are.
            (DOTS, Some(group)) if rank.is_none() => group.names.push((word, place)),
            (_, Some(group)) if plain => group.names.push((word, place)),
            (_, None) if plain => groups.push(alone((word, place))),
            _ => {
                let message = format!("`{word}` makes no sense here");
                return Err(w.error(codes::BAD_PATTERN, place, message));
            }
        }
    }
    if let Some(group) = inside {
        return Err(w.error(codes::BAD_PATTERN, group.place, "this `(` is not closed"));
    }
    let named = groups.iter().filter(|g| !is_dots(g)).count();
    Ok(match rank {
        Some(rank) => with_dots(groups, rank.saturating_sub(named)),
        None => groups,
    })
}

/// `...` as so many axes, which share one where it stands in parentheses.
fn with_dots(groups: Vec<Group>, count: usize) -> Vec<Group> {
    let numbered = |(name, place): (String, Span)| -> Vec<(String, Span)> {
        match name == DOTS {
            true => (0..count).map(|i| (format!("{DOTS}{i}"), place)).collect(),
            false => vec![(name, place)],
        }
    };
    let expanded = |group: Group| -> Vec<Group> {
        let apart = is_dots(&group);
        let names: Vec<_> = group.names.into_iter().flat_map(numbered).collect();
        match apart {
            true => names.into_iter().map(alone).collect(),
            false => vec![Group { names, ..group }],
        }
    };
    groups.into_iter().flat_map(expanded).collect()
}
