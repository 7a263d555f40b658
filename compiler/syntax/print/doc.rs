//! Text whose line breaks are not decided yet.
//!
//! A [`Doc`] says where lines may break; [`layout`] decides, for a width, after Wadler, *A prettier
//! printer*: a group is put on one line where it fits, and otherwise all of its own lines break; a
//! hug has a third way, in which only its last part breaks.
//! Both walk the document with a stack of their own, so its depth does not matter.

use std::borrow::Cow;

/// A piece of text to lay out.
#[derive(Clone, Debug)]
pub(super) enum Doc {
    /// Nothing.
    Nil,
    /// Text without a line break.
    Text(Cow<'static, str>),
    /// A line break where the group around it breaks, and this text where it does not.
    Line(&'static str),
    /// A blank; a line break where the group around it breaks and what follows, up to the next
    /// break, does not fit on the line.
    Fill,
    /// A line break in any case; this text where everything must be on one line.
    Hard(&'static str),
    /// An empty line; it stands before a `Hard`.
    Blank,
    /// Nothing, but the groups around it break.
    Break,
    /// Text where the group around it breaks, and nothing where it does not.
    IfBroken(&'static str),
    /// One level deeper.
    Nest(Box<Doc>),
    /// On one line if it fits.
    Group(Box<Doc>),
    /// On one line as far as it matters to what stands before it, which breaks first.
    Whole(Box<Doc>),
    /// Something whose last part may alone be broken.
    Hug(Box<Hug>),
    /// One after the other.
    Concat(Vec<Doc>),
}

/// Three parts in a row, the first two one level deeper: on one line if they fit. Otherwise all
/// break where that gets the last one onto one line; and where nothing does, the last one alone
/// breaks, and stays on the line of the head.
#[derive(Clone, Debug)]
pub(super) struct Hug {
    /// What stands before the last part.
    head: Doc,
    /// The last part, which ends with the bracket that it begins with.
    last: Doc,
    /// What closes it all.
    tail: Doc,
}

/// The columns of a line.
pub(super) const WIDTH: usize = 100;

/// The blanks of a level.
const INDENT: usize = 4;

impl Doc {
    /// Text as it is.
    pub fn text(text: impl Into<Cow<'static, str>>) -> Doc {
        Doc::Text(text.into())
    }
    /// The document one level deeper.
    pub fn nest(self) -> Doc {
        Doc::Nest(Box::new(self))
    }
    /// The document on one line, if it fits.
    pub fn group(self) -> Doc {
        Doc::Group(Box::new(self))
    }
    /// The document, before which something else breaks.
    pub fn whole(self) -> Doc {
        Doc::Whole(Box::new(self))
    }
}

/// A [`Hug`].
pub(super) fn hug(head: impl Into<Doc>, last: Doc, tail: Doc) -> Doc {
    Doc::Hug(Box::new(Hug { head: head.into(), last, tail }))
}

/// Documents in a row: `docs!["let ", pattern, " = ", value]`.
macro_rules! docs {
    ($($part:expr),* $(,)?) => {
        $crate::syntax::print::doc::Doc::Concat(vec![$($part.into()),*])
    };
}
pub(super) use docs;

impl From<&'static str> for Doc {
    fn from(text: &'static str) -> Doc {
        Doc::text(text)
    }
}

impl From<String> for Doc {
    fn from(text: String) -> Doc {
        Doc::text(text)
    }
}

impl From<Vec<Doc>> for Doc {
    fn from(docs: Vec<Doc>) -> Doc {
        Doc::Concat(docs)
    }
}

/// How a part of a document is laid out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// All on one line.
    Flat,
    /// Lines break.
    Broken,
}

/// The text, in lines of at most [`WIDTH`] columns where its breaks allow it.
pub(super) fn layout(doc: &Doc) -> String {
    let mut out = String::new();
    let mut column = 0;
    let mut todo = vec![(0, Mode::Broken, doc)];
    while let Some((indent, mode, doc)) = todo.pop() {
        match doc {
            Doc::Nil | Doc::Break => {}
            Doc::Blank => out.push('\n'),
            Doc::Text(text) => {
                out.push_str(text);
                column += text.chars().count();
            }
            Doc::Line(flat) if mode == Mode::Flat => {
                out.push_str(flat);
                column += flat.len();
            }
            Doc::Fill if mode == Mode::Flat || fits(&[], column + 1, &todo) => {
                out.push(' ');
                column += 1;
            }
            Doc::Line(_) | Doc::Fill | Doc::Hard(_) => {
                // A line of blanks only is an empty line.
                out.truncate(out.trim_end_matches(' ').len());
                out.push('\n');
                out.extend(std::iter::repeat_n(' ', indent));
                column = indent;
            }
            Doc::IfBroken(text) => {
                if mode == Mode::Broken {
                    out.push_str(text);
                    column += text.len();
                }
            }
            Doc::Nest(inner) => todo.push((indent + INDENT, mode, inner)),
            Doc::Whole(inner) => todo.push((indent, mode, inner)),
            Doc::Group(inner) => {
                let flat = mode == Mode::Flat || fits(&[(Mode::Flat, inner)], column, &todo);
                todo.push((indent, if flat { Mode::Flat } else { Mode::Broken }, inner));
            }
            Doc::Hug(hug) => {
                let Hug { head, last, tail } = &**hug;
                let flat = |column, docs: &[&Doc]| {
                    let docs: Vec<_> = docs.iter().map(|d| (Mode::Flat, *d)).collect();
                    fits(&docs, column, &todo)
                };
                let deep = indent + INDENT;
                let parts = if mode == Mode::Flat || flat(column, &[tail, last, head]) {
                    [(indent, Mode::Flat), (indent, Mode::Flat), (indent, Mode::Flat)]
                } else if !flat(deep, &[last])
                    && fits(&[(Mode::Broken, last), (Mode::Flat, head)], column, &todo)
                {
                    [(indent, Mode::Flat), (indent, Mode::Broken), (indent, Mode::Flat)]
                } else {
                    [(deep, Mode::Broken), (deep, Mode::Broken), (indent, Mode::Broken)]
                };
                let parts = parts.into_iter().zip([head, last, tail]).rev();
                todo.extend(parts.map(|((indent, mode), doc)| (indent, mode, doc)));
            }
            Doc::Concat(docs) => todo.extend(docs.iter().rev().map(|d| (indent, mode, d))),
        }
    }
    out
}

/// Whether documents, of which the last is the first, and what follows them end on this line, up
/// to the first break of one that is broken.
fn fits(docs: &[(Mode, &Doc)], column: usize, after: &[(usize, Mode, &Doc)]) -> bool {
    let Some(mut room) = WIDTH.checked_sub(column) else { return false };
    let mut todo = docs.to_vec();
    let mut own = true;
    let mut after = after.iter().rev();
    loop {
        let (mode, doc) = match todo.pop() {
            Some(next) => next,
            None => match after.next() {
                Some((_, mode, doc)) => {
                    own = false;
                    (*mode, *doc)
                }
                None => return true,
            },
        };
        let used = match doc {
            Doc::Nil => 0,
            Doc::Blank | Doc::Break | Doc::Hard(_) => return mode == Mode::Broken,
            Doc::Text(text) => text.chars().count(),
            Doc::Line(_) | Doc::Fill if mode == Mode::Broken => return true,
            Doc::Line(flat) => flat.len(),
            Doc::Fill => 1,
            Doc::IfBroken(text) if mode == Mode::Broken => text.len(),
            Doc::IfBroken(_) => 0,
            Doc::Nest(inner) | Doc::Group(inner) => {
                todo.push((mode, inner));
                0
            }
            Doc::Whole(inner) => {
                todo.push((Mode::Flat, inner));
                0
            }
            Doc::Hug(hug) => {
                let head = if own { Mode::Flat } else { mode };
                todo.extend([(mode, &hug.tail), (mode, &hug.last), (head, &hug.head)]);
                0
            }
            Doc::Concat(docs) => {
                todo.extend(docs.iter().rev().map(|d| (mode, d)));
                0
            }
        };
        match room.checked_sub(used) {
            Some(left) => room = left,
            None => return false,
        }
    }
}

/// The text on one line, whatever its width.
pub(super) fn flat(doc: &Doc) -> String {
    let mut out = String::new();
    let mut todo = vec![doc];
    while let Some(doc) = todo.pop() {
        match doc {
            Doc::Nil | Doc::Break | Doc::Blank | Doc::IfBroken(_) => {}
            Doc::Text(text) => out.push_str(text),
            Doc::Line(flat) | Doc::Hard(flat) => out.push_str(flat),
            Doc::Fill => out.push(' '),
            Doc::Nest(inner) | Doc::Group(inner) | Doc::Whole(inner) => todo.push(inner),
            Doc::Hug(hug) => todo.extend([&hug.tail, &hug.last, &hug.head]),
            Doc::Concat(docs) => todo.extend(docs.iter().rev()),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(args: &[&'static str]) -> Doc {
        let mut inner = vec![Doc::Line("")];
        for (i, arg) in args.iter().enumerate() {
            if i > 0 {
                inner.extend([",".into(), Doc::Line(" ")]);
            }
            inner.push((*arg).into());
        }
        inner.push(Doc::IfBroken(","));
        docs!["f(", Doc::from(inner).nest(), Doc::Line(""), ")"].group()
    }

    #[test]
    fn groups_break_where_they_do_not_fit() {
        assert_eq!(layout(&call(&["a", "b"])), "f(a, b)");
        let long = "x".repeat(60).leak();
        assert_eq!(layout(&call(&[long, long])), format!("f(\n    {long},\n    {long},\n)"));
        // What follows the group counts as well.
        let exact = "y".repeat(WIDTH - 3).leak();
        assert_eq!(layout(&call(&[exact])), format!("f({exact})"));
        let followed = docs![call(&[exact]), ";"];
        assert_eq!(layout(&followed), format!("f(\n    {exact},\n);"));
        assert_eq!(flat(&followed), format!("f({exact});"));
    }

    #[test]
    fn what_fills_lines_breaks_where_it_must() {
        let mut inner = vec![Doc::Line("")];
        for i in 0..60 {
            inner.extend([if i == 0 { Doc::Nil } else { Doc::Fill }, format!("{i},").into()]);
        }
        let doc = docs!["[", Doc::from(inner).nest(), Doc::Line(""), "]"].group();
        let text = layout(&doc);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!((lines.len(), lines[0], lines[4]), (5, "[", "]"), "{text}");
        assert!(lines[1..3].iter().all(|line| (97..=WIDTH).contains(&line.len())), "{text}");
        assert!(flat(&doc).starts_with("[0, 1, 2,"));
    }

    #[test]
    fn a_break_inside_breaks_all_groups_around_it() {
        let inner = docs!["a // c", Doc::Break, Doc::Line(" "), "b"].group();
        let doc = docs!["{", docs![Doc::Line(" "), inner].nest(), Doc::Line(" "), "}"].group();
        assert_eq!(layout(&doc), "{\n    a // c\n    b\n}");
    }
}
