//! What parses, how it is grouped, and what is said about what does not parse.

use super::parse;
use crate::diag::{Diagnostics, SourceId};
use crate::syntax::ast::{ExprKind, File, ItemKind};
use crate::syntax::samples;

/// The file of a text without mistakes.
#[track_caller]
fn good(text: &str) -> File {
    let (file, diagnostics) = parse(SourceId(0), text);
    assert!(diagnostics.is_empty(), "{}", shown(text, &diagnostics));
    file
}

/// The messages about a text: line, column, code, message and help.
fn shown(text: &str, diagnostics: &Diagnostics) -> String {
    let mut sources = crate::diag::Sources::default();
    sources.add("t.tx", text);
    let mut out = String::new();
    for d in diagnostics.iter() {
        let (line, column) = d.primary.as_ref().map_or((0, 0), |p| sources.line_column(p.span));
        out.push_str(&format!("{line}:{column} {} {}\n", d.code, d.message));
        for help in &d.help {
            out.push_str(&format!("    help: {help}\n"));
        }
    }
    out
}

fn errors(text: &str) -> String {
    shown(text, &parse(SourceId(0), text).1)
}

#[test]
fn samples_parse() {
    for (name, text) in samples::ALL {
        let (file, diagnostics) = parse(SourceId(0), text);
        assert!(diagnostics.is_empty(), "{name}:\n{}", shown(text, &diagnostics));
        assert!(!file.items.is_empty());
    }
}

/// The body of `fn f() = …`, operators in parentheses.
#[track_caller]
fn grouped(text: &str) -> String {
    let source = format!("fn f() = {text}");
    let file = good(&source);
    let ItemKind::Fn(f) = &file.items[0].kind else { panic!("not a function") };
    fn show(e: &crate::syntax::ast::Expr, source: &str) -> String {
        match &e.kind {
            ExprKind::Binary { op, left, right, .. } => {
                format!("({} {} {})", show(left, source), op.symbol(), show(right, source))
            }
            ExprKind::Unary { op, operand } => {
                format!("({}{})", op.symbol(), show(operand, source))
            }
            ExprKind::As { value, .. } => format!("({} as …)", show(value, source)),
            ExprKind::Paren(inner) => show(inner, source),
            _ => source[e.span.start as usize..e.span.end as usize].to_string(),
        }
    }
    show(&f.body, &source)
}

#[test]
fn operators_group_as_the_grammar_says() {
    assert_eq!(grouped("a + b * c - d"), "((a + (b * c)) - d)");
    assert_eq!(grouped("-x ** 2"), "(-(x ** 2))");
    assert_eq!(grouped("2 ** -x ** 2 * 3"), "((2 ** (-(x ** 2))) * 3)");
    assert_eq!(grouped("a ** b ** c"), "(a ** (b ** c))");
    assert_eq!(grouped("a @ b * c"), "((a @ b) * c)");
    assert_eq!(grouped("a > 0 & b < 1 | c"), "(((a > 0) & (b < 1)) | c)");
    assert_eq!(grouped("a ^ b & c"), "(a ^ (b & c))");
    assert_eq!(grouped("!a == b"), "((!a) == b)");
    assert_eq!(grouped("-x as f32 * 2"), "(((-x) as …) * 2)");
    assert_eq!(grouped("a - b - c"), "((a - b) - c)");
    assert_eq!(grouped("-x.y[0](1)"), "(-x.y[0](1))");
}

#[test]
fn several_mistakes_are_reported_in_one_run() {
    let text = "\
fn f(x f32) -> f32 = x
fn g(x: f32) -> f32 = x +
struct S { a: f32 b: f32, c: 3 }
main {
    let y = f(1.0
    let = 3
    for i in 0..10 {
        y z
        g(])
    }
    x.a = 3
}
test \"t\" { assert(1 < 2 < 3) }
";
    insta::assert_snapshot!(errors(text), @"
        1:8 E0101 expected `:` and the type of the parameter, found `f32`
        3:1 E0101 expected an expression, found `struct`
        3:19 E0101 expected `,` or `}` after a field, found `b`
            help: a comma is missing before it
        3:30 E0101 expected a type, found `3`
        5:14 E0102 this `(` is never closed
        6:9 E0101 expected a name, found `=`
        8:11 E0101 expected a new line after a statement, found `z`
        9:11 E0103 this `]` closes nothing
        11:5 E0110 only variables, and tuples of them, can be assigned
            help: make a new value: `x = Name { a: …, ..x }`
        13:25 E0107 comparisons do not chain
            help: write `a < b & b < c`
        ");
}

#[test]
fn habits_of_other_languages() {
    let text = "\
def f(x: f32) -> f32:
    return x

func g[N](x: f32[N]) = x && y || !z
function h<N>(x: f32) = x
pub fn i() = 1
from std import nn
class A { }
fn j(x) -> f32 = not x
fn k(x: f32[]) = x and y
main {
    let mut x = 1
    let a, b = f()
    if x = 1 { y }
    if x == 1: y
    elif y { z }
    for i in 0..=3 { print(i) }
    while x: y
    return x
    x++
    f(a: 1)
    let y == 2
    std::nn::dense(x)
    let z = lambda x: x
    const c = 1
    fn inner() = 1
}
";
    insta::assert_snapshot!(errors(text), @"
        1:1 E0105 functions start with `fn`, not `def`
        1:21 E0101 expected `=` or `{` and the body of the function, found `:`
            help: blocks stand in braces: `{ … }`
        4:1 E0105 functions start with `fn`, not `func`
        4:26 E0106 `&&` is written `&`
        4:31 E0106 `||` is written `|`
        5:1 E0105 functions start with `fn`, not `function`
        5:11 E0101 expected `[`, found `<`
            help: generic parameters stand in square brackets: `fn f[N](…)`
        6:1 E0105 `pub` means nothing here
            help: everything is visible in other files, but for names that start with `_`
        7:1 E0105 `from` means nothing here
            help: write `import module.{name}`
        8:1 E0105 `class` means nothing here
            help: write `struct` for a group of tensors
        9:6 E0111 the parameter `x` needs a type
            help: write `x: f32[N]`, for example
        9:18 E0105 `not` means nothing here
            help: write `!`
        10:12 E0101 expected a dim in the brackets
            help: a scalar has no brackets: `f32`
        10:20 E0105 `and` means nothing here
            help: write `&`
        12:5 E0105 `let mut` is not a word of the language
            help: write `var` for a variable that is assigned later
        13:9 E0101 several names need parentheses around them
            help: write `let (a, b) = …`
        14:10 E0101 expected `{` after the condition, found `=`
            help: write `==` to compare
        15:14 E0101 expected `{` after the condition, found `:`
            help: blocks stand in braces: `{ … }`
        16:5 E0105 `elif` means nothing here
            help: write `else if`
        17:15 E0106 a range excludes its end, and there is no `..=`
            help: write `a..b + 1` to include `b`
        18:12 E0101 expected `{` and the body of the loop, found `:`
            help: blocks stand in braces: `{ … }`
        19:5 E0105 `return` means nothing here
            help: the last expression of a block is its value
        20:7 E0101 expected an expression, found `+`
            help: there is no `+` before or after a value
        21:8 E0101 expected `,` or `)` after an argument, found `:`
            help: arguments are named with `=`
        22:11 E0101 expected `=` and a value, found `==`
            help: write `=` here; `==` compares
        23:8 E0101 expected a new line after a statement, found `:`
            help: paths are written with dots: `a.b`
        24:13 E0105 `lambda` means nothing here
            help: write `fn(x) = …`
        25:5 E0105 `const` means nothing here
            help: at the top level write a function without parameters: `fn n() = 3`; in a block, `let`
        26:5 E0101 `fn` stands at the top level only
            help: write `let f = fn(x) = …`, or move the function out of the block
        ");
}

#[test]
fn words_and_numbers() {
    let text = "\
# a comment
fn f() = 12ab + 1.5f32 + 99999999999999999999 + 1e999
/* another
comment */
fn g() = \"a\\q\\{ {} } {x:.4.4} {x y} {\"
fn h() = a − b €€€ c
import 3
fn i(x: f32[2.5], T: x) = ...
fn j[T: real](let: f32) = x[]
let x = 1
print(\"{x // y}\")
test \"{x}\" {}
";
    insta::assert_snapshot!(errors(text), @r#"
        1:1 E0006 comments start with `//`
            help: write `// …` on each line of the comment
        2:10 E0004 `12ab` is not a number
            help: a name cannot start with a digit
        3:1 E0006 comments start with `//`
            help: write `// …` on each line of the comment
        5:10 E0002 this string has no closing `"`
            help: a string ends on the line where it starts; write `\n` for a new line in it
        5:12 E0003 `\q` stands for nothing
            help: the escapes are `\n`, `\t`, `\r`, `\0`, `\\`, `\"` and `\u{1f600}`
        5:14 E0003 `\{` stands for nothing
            help: write `{{` for a brace
        5:17 E0109 nothing stands in these braces
            help: write the value between them, `{x}`; or `{{` and `}}` for braces
        5:20 E0109 this `}` closes no interpolation
            help: write `}}` for a brace
        5:25 E0109 `.4.4` is not a format
            help: a format is `[<|>|^|0][width][.digits][e|%]`: `{x:.4}`, `{x:>8.2}`, `{x:.1%}`
        5:34 E0101 expected `}` or `:` and a format, found `y`
        6:12 E0001 the language does not use the character `−`
            help: write `-`
        6:16 E0001 the language does not use the character `€`
        7:8 E0101 expected a module or a file to import, found `3`
        8:13 E0101 a dim is an integer
        8:27 E0101 `...` stands in an index only
        9:9 E0112 there is no bound `real`
            help: the bounds are `float`, `int`, `number`, `dtype` and `tree`
            help: dims have none: `[N]`, `[S...]`
        9:15 E0113 `let` is a word of the language; expected the name of a parameter
        9:29 E0101 expected an index, found `]`
        10:1 E0101 statements stand inside `main { … }`, a `test` or a function
            help: put it into `main { … }`
        11:1 E0101 statements stand inside `main { … }`, a `test` or a function
            help: put it into `main { … }`
        12:7 E0109 nothing can be interpolated in this string
            help: write `{{` for a brace
        "#);
}

#[test]
fn brackets() {
    let text = "\
fn f(x: f32) {
    if x > 1 {
        x
    else {
        y
    }
}

fn g() = f(1, [2, 3)
fn h() = f(1, [2, 3]
main {
    print(\"a\"
    let x = (1, 2
    for i in 0..3 {
        f(x)
}
test \"t\" { }
}
";
    insta::assert_snapshot!(errors(text), @"
        2:14 E0102 this `{` is never closed
        9:15 E0102 this `[` is never closed
        10:11 E0102 this `(` is never closed
        11:6 E0102 this `{` is never closed
        12:10 E0102 this `(` is never closed
        13:13 E0102 this `(` is never closed
        18:1 E0103 this `}` closes nothing
        ");
}
