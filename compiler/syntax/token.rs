//! The words of the language.
//!
//! A string is one token; `parser::string` looks inside it. A newline is no token: each token knows
//! whether it is the first of its line, and the parser decides what that means. `lex` makes tokens.

use crate::diag::Span;
use logos::{Lexer, Logos};

/// A word.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Token {
    /// What it is.
    pub kind: TokenKind,
    /// Its place.
    pub span: Span,
    /// Whether it is the first token of its line.
    pub first_on_line: bool,
    /// Blanks at the start of its line.
    pub indent: u32,
    /// Whether it is not in the text: a bracket added to balance the others.
    pub synthetic: bool,
}

/// The kinds of [`Token`].
#[derive(Logos, Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[logos(skip r"[ \t\r]+", error = LexError)]
pub enum TokenKind {
    /// The end of a line; never in [`Lexed::tokens`].
    #[token("\n")]
    Newline,
    /// `// …`; never in [`Lexed::tokens`].
    #[regex(r"//[^\n]*", allow_greedy = true)]
    Comment,
    /// The end of the text.
    Eof,

    /// A name.
    #[regex(r"[A-Za-z_\p{Greek}][A-Za-z0-9_\p{Greek}]*")]
    Ident,
    /// `42`, `0xff`; may be malformed (`12ab`).
    #[regex(r"[0-9][0-9A-Za-z_]*")]
    Int,
    /// `1.0`, `1e-3`; may be malformed (`1.0ab`).
    #[regex(r"[0-9][0-9_]*\.[0-9][0-9A-Za-z_]*", priority = 8)]
    #[regex(r"[0-9][0-9_]*(\.[0-9][0-9_]*)?[eE][+-]?[0-9][0-9A-Za-z_]*", priority = 9)]
    Float,
    /// `"…"`, on one line.
    #[token("\"", string)]
    Str,

    /// `import`
    #[token("import")]
    Import,
    /// `struct`
    #[token("struct")]
    Struct,
    /// `fn`
    #[token("fn")]
    Fn,
    /// `let`
    #[token("let")]
    Let,
    /// `var`
    #[token("var")]
    Var,
    /// `for`
    #[token("for")]
    For,
    /// `in`
    #[token("in")]
    In,
    /// `while`
    #[token("while")]
    While,
    /// `if`
    #[token("if")]
    If,
    /// `else`
    #[token("else")]
    Else,
    /// `scan`
    #[token("scan")]
    Scan,
    /// `break`
    #[token("break")]
    Break,
    /// `continue`
    #[token("continue")]
    Continue,
    /// `as`
    #[token("as")]
    As,
    /// `true`
    #[token("true")]
    True,
    /// `false`
    #[token("false")]
    False,
    /// `None`
    #[token("None")]
    None,

    /// `(`
    #[token("(")]
    LParen,
    /// `)`
    #[token(")")]
    RParen,
    /// `[`
    #[token("[")]
    LBracket,
    /// `]`
    #[token("]")]
    RBracket,
    /// `{`
    #[token("{")]
    LBrace,
    /// `}`
    #[token("}")]
    RBrace,
    /// `,`
    #[token(",")]
    Comma,
    /// `:`
    #[token(":")]
    Colon,
    /// `;`
    #[token(";")]
    Semi,
    /// `.`
    #[token(".")]
    Dot,
    /// `..`
    #[token("..")]
    DotDot,
    /// `...`
    #[token("...")]
    Ellipsis,
    /// `->`
    #[token("->")]
    Arrow,
    /// `=>`, which the language does not use
    #[token("=>")]
    FatArrow,

    /// `=`
    #[token("=")]
    Assign,
    /// `+=`
    #[token("+=")]
    AddAssign,
    /// `-=`
    #[token("-=")]
    SubAssign,
    /// `*=`
    #[token("*=")]
    MulAssign,
    /// `/=`
    #[token("/=")]
    DivAssign,
    /// `+`
    #[token("+")]
    Plus,
    /// `-`
    #[token("-")]
    Minus,
    /// `*`
    #[token("*")]
    Star,
    /// `/`
    #[token("/")]
    Slash,
    /// `%`
    #[token("%")]
    Percent,
    /// `**`
    #[token("**")]
    StarStar,
    /// `@`
    #[token("@")]
    At,
    /// `==`
    #[token("==")]
    EqEq,
    /// `!=`
    #[token("!=")]
    NotEq,
    /// `<`
    #[token("<")]
    Less,
    /// `<=`
    #[token("<=")]
    LessEq,
    /// `>`
    #[token(">")]
    Greater,
    /// `>=`
    #[token(">=")]
    GreaterEq,
    /// `&`
    #[token("&")]
    And,
    /// `|`
    #[token("|")]
    Or,
    /// `^`
    #[token("^")]
    Caret,
    /// `!`
    #[token("!")]
    Bang,
    /// `&&`, which the language does not use
    #[token("&&")]
    AndAnd,
    /// `||`, which the language does not use
    #[token("||")]
    OrOr,
    /// `/* … */`, which the language does not use; never in [`Lexed::tokens`]
    #[token("/*", block_comment)]
    BlockComment,
    /// `# …`, which the language does not use; never in [`Lexed::tokens`]
    #[regex(r"#[^\n]*", allow_greedy = true)]
    HashComment,
    /// Characters that start no word; reported already.
    Unknown,
}

/// Why a word could not be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum LexError {
    /// No word starts with this character.
    #[default]
    UnknownCharacter,
    /// The line ends inside a string.
    UnterminatedString,
}

/// Reads on from the opening quote. Inside `{…}` stands an expression, which may hold strings.
fn string(lexer: &mut Lexer<'_, TokenKind>) -> Result<(), LexError> {
    match end_of(Open::Text, lexer.remainder()) {
        Ok(end) => {
            lexer.bump(end);
            Ok(())
        }
        Err(end) => {
            lexer.bump(end);
            Err(LexError::UnterminatedString)
        }
    }
}

/// What has begun inside a string token and must end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Open {
    /// After `"`, up to the next one.
    Text,
    /// After `{`, up to its `}`.
    Interpolation,
}

/// The length of `rest`, which follows the start of `what`, up to and with its end; or the length
/// of the line where it does not end.
pub(super) fn end_of(what: Open, rest: &str) -> Result<usize, usize> {
    let mut open = vec![what];
    let mut chars = rest.char_indices().peekable();
    while let Some((i, c)) = chars.next() {
        if c == '\n' {
            return Err(i);
        }
        match (open.last(), c) {
            // A backslash before the line's end escapes nothing.
            (Some(Open::Text), '\\') if chars.peek().is_some_and(|&(_, next)| next != '\n') => {
                chars.next();
            }
            (Some(Open::Text), '{') if chars.peek().is_some_and(|&(_, next)| next == '{') => {
                chars.next();
            }
            (Some(Open::Text), '{') => open.push(Open::Interpolation),
            (Some(Open::Interpolation), '"') => open.push(Open::Text),
            (Some(Open::Interpolation), '{') => open.push(Open::Interpolation),
            (Some(Open::Text), '"') | (Some(Open::Interpolation), '}') => {
                open.pop();
            }
            (Some(Open::Text | Open::Interpolation) | None, _) => {}
        }
        if open.is_empty() {
            return Ok(i + c.len_utf8());
        }
    }
    Err(rest.len())
}

/// Reads on from `/*` to `*/` or to the end.
fn block_comment(lexer: &mut Lexer<'_, TokenKind>) {
    let rest = lexer.remainder();
    lexer.bump(rest.find("*/").map_or(rest.len(), |i| i + 2));
}

impl TokenKind {
    /// How messages call it: `` `(` ``, "a name", "a string".
    pub const fn describe(self) -> &'static str {
        use TokenKind as T;
        match self {
            T::Newline | T::Comment | T::BlockComment | T::HashComment => "the end of the line",
            T::Eof => "the end of the file",
            T::Unknown => "an unknown character",
            T::Ident => "a name",
            T::Int => "an integer",
            T::Float => "a number",
            T::Str => "a string",
            T::Import => "`import`",
            T::Struct => "`struct`",
            T::Fn => "`fn`",
            T::Let => "`let`",
            T::Var => "`var`",
            T::For => "`for`",
            T::In => "`in`",
            T::While => "`while`",
            T::If => "`if`",
            T::Else => "`else`",
            T::Scan => "`scan`",
            T::Break => "`break`",
            T::Continue => "`continue`",
            T::As => "`as`",
            T::True => "`true`",
            T::False => "`false`",
            T::None => "`None`",
            T::LParen => "`(`",
            T::RParen => "`)`",
            T::LBracket => "`[`",
            T::RBracket => "`]`",
            T::LBrace => "`{`",
            T::RBrace => "`}`",
            T::Comma => "`,`",
            T::Colon => "`:`",
            T::Semi => "`;`",
            T::Dot => "`.`",
            T::DotDot => "`..`",
            T::Ellipsis => "`...`",
            T::Arrow => "`->`",
            T::FatArrow => "`=>`",
            T::Assign => "`=`",
            T::AddAssign => "`+=`",
            T::SubAssign => "`-=`",
            T::MulAssign => "`*=`",
            T::DivAssign => "`/=`",
            T::Plus => "`+`",
            T::Minus => "`-`",
            T::Star => "`*`",
            T::Slash => "`/`",
            T::Percent => "`%`",
            T::StarStar => "`**`",
            T::At => "`@`",
            T::EqEq => "`==`",
            T::NotEq => "`!=`",
            T::Less => "`<`",
            T::LessEq => "`<=`",
            T::Greater => "`>`",
            T::GreaterEq => "`>=`",
            T::And => "`&`",
            T::Or => "`|`",
            T::Caret => "`^`",
            T::Bang => "`!`",
            T::AndAnd => "`&&`",
            T::OrOr => "`||`",
        }
    }

    /// Whether it is a word that cannot be a name.
    pub const fn is_reserved(self) -> bool {
        use TokenKind as T;
        matches!(
            self,
            T::Import
                | T::Struct
                | T::Fn
                | T::Let
                | T::Var
                | T::For
                | T::In
                | T::While
                | T::If
                | T::Else
                | T::Scan
                | T::Break
                | T::Continue
                | T::As
                | T::True
                | T::False
                | T::None
        )
    }

    /// The closing bracket of an opening one.
    pub const fn closer(self) -> Option<TokenKind> {
        match self {
            TokenKind::LParen => Some(TokenKind::RParen),
            TokenKind::LBracket => Some(TokenKind::RBracket),
            TokenKind::LBrace => Some(TokenKind::RBrace),
            _ => None,
        }
    }

    /// Whether it is a closing bracket.
    pub const fn is_closer(self) -> bool {
        matches!(self, TokenKind::RParen | TokenKind::RBracket | TokenKind::RBrace)
    }
}
