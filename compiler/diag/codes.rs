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

    // E02xx: types and shapes.
    TYPE_MISMATCH = 201, "a value of another type was expected";
    DTYPE_MISMATCH = 202, "element types that an operation does not take together";
    INNER_SIZES = 203, "the dimensions that a product pairs differ";
    BROADCAST = 204, "shapes that do not broadcast";
    SHAPE_MISMATCH = 205, "a shape that is not the declared one";
    CANNOT_INFER = 206, "a generic parameter that nothing determines";
    INEXACT_DIVISION = 207, "a size that is not known to be a multiple";
    BAD_AXIS = 208, "an axis that the tensor does not have";
    RESHAPE = 209, "a reshape to another number of elements";
    BAD_INDEX = 210, "an index that does not fit";
    BAD_ARGUMENTS = 211, "arguments that the function does not take";
    NOT_STATIC = 212, "a value that the compiler must know";
    NOT_CALLABLE = 213, "a call of what is no function";
    BAD_PATTERN = 214, "a pattern of axes that makes no sense";
    BAD_LITERAL = 215, "a number that its type cannot hold";
    CONSTRAINT = 216, "a `where` that does not hold";
    MISPLACED = 217, "a statement or function that has no meaning here";
    NOT_ASSIGNABLE = 218, "an assignment to what is no variable";
    RECURSION = 219, "a function that calls itself";
    TOO_LARGE = 220, "a program that grows too large when its calls are replaced";
    BAD_TYPE = 221, "a type that makes no sense";
    UNUSED_INDEX = 223, "an index that the body of its comprehension does not use";

    // E03xx: names.
    UNKNOWN_NAME = 301, "a name that is not defined";
    UNKNOWN_TYPE = 302, "a type that is not defined";
    UNKNOWN_FIELD = 303, "a field that the value does not have";
    DUPLICATE = 304, "a name defined twice";
    WRONG_KIND = 305, "a name that means another kind of thing";
    ENDLESS_STRUCT = 306, "a struct that contains itself";
    MISSING_FIELD = 307, "a struct without one of its fields";

    // E04xx: transformations.
    GRAD_RESULT = 401, "a gradient of what is not one float";
    GRAD_ARGUMENT = 402, "a gradient by what is not a float";
    NOT_DIFFERENTIABLE = 403, "an operation without a derivative on the way to the result";
    BATCH_SIZE = 404, "axes of different sizes that `vmap` goes along";
    BATCH_ARGUMENT = 405, "an argument that `vmap` cannot go along";

    // E05xx: modules.
    UNKNOWN_MODULE = 501, "a module that does not exist";
    UNKNOWN_MEMBER = 502, "a name that the module does not have";
    IMPORT_CYCLE = 503, "files that import each other";
    UNREADABLE_IMPORT = 504, "a file that cannot be imported";
    CANNOT_READ_SOURCE = 505, "a source file that cannot be read";
    NO_MAIN = 506, "a program without `main` that is to be run";
    PRIVATE = 507, "a name that only its own file sees";

    // E06xx: what only running can tell.
    BAD_DATA_FILE = 601, "a data file that is missing, malformed, or lacks a tensor";
    DATA_SHAPE = 602, "data of another type or shape than the program declares";
    CANNOT_SAVE = 603, "a file that cannot be written";
    INDEX_OUT_OF_RANGE = 604, "an index outside of its axis";
    BAD_SIZE = 605, "a size that is negative, or makes no sense";
    ASSERTION_FAILED = 606, "an assertion that does not hold";
    LOOP_LIMIT = 607, "a loop that did not end within its limit";
    NO_MEMORY = 608, "more memory than the system gives";
    NO_CODE = 609, "a computation that there is no machine code for";
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
