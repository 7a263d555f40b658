//! The numbers of all messages, each with one line about what it means.
//!
//! A code is never used for a second meaning, and never renumbered: people search for it. The
//! hundreds say which stage found the mistake.

use super::Code;

/// Declares a constant a code, and the table of them all.
macro_rules! codes {
    ($($name:ident = $number:literal, $meaning:literal;)*) => {
        $(#[doc = $meaning] pub const $name: Code = Code($number);)*

        /// Every code with its meaning, in order.
        pub const ALL: &[(Code, &str)] = &[$(($name, $meaning)),*];
    };
}

codes! {
    // E00xx: characters and words.
    UNKNOWN_CHARACTER = 1, "a character that the language does not use";
    UNTERMINATED_STRING = 2, "a string without its closing quote";
    BAD_ESCAPE = 3, "an escape in a string that stands for nothing";
    BAD_NUMBER = 4, "a number that is not well formed";
    NUMBER_TOO_LARGE = 5, "a number that its type cannot hold";
    BAD_COMMENT = 6, "a comment in another language's style";
    SOURCE_TOO_LARGE = 7, "a source file of more than 16 MiB";

    // E01xx: syntax.
    UNEXPECTED = 101, "something else was expected here";
    UNCLOSED = 102, "a bracket that is never closed";
    MISMATCHED = 103, "a closing bracket that closes nothing, or another kind of bracket";
    TOO_DEEP = 104, "an expression or block nested too deeply";
    FOREIGN_WORD = 105, "a word of another language";
    FOREIGN_OPERATOR = 106, "an operator of another language";
    CHAINED_COMPARISON = 107, "comparisons do not chain";
    ARGUMENT_ORDER = 108, "an argument without a name after one with a name";
    BAD_FORMAT = 109, "an interpolation whose format is not well formed";
    BAD_TARGET = 110, "only variables, and tuples of them, can be assigned";
    MISSING_TYPE = 111, "a parameter without a type";
    UNKNOWN_BOUND = 112, "a bound that generic parameters do not have";
    RESERVED_WORD = 113, "a word of the language where a name was expected";
}

/// What a code means, if it is one.
pub fn meaning(code: Code) -> Option<&'static str> {
    ALL.iter().find(|(c, _)| *c == code).map(|(_, meaning)| *meaning)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_and_in_order() {
        assert!(ALL.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(meaning(UNEXPECTED), Some("something else was expected here"));
        assert_eq!(meaning(Code(9999)), None);
    }
}
