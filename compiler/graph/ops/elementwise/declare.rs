//! The form of a row, as macros: `rows` is written in it.

/// Declares [`MapOp`] and its rows.
macro_rules! elementwise {
    ($($op:ident $name:literal $args:tt : $takes:ident -> $gives:ident, $doc:literal {
        float: $float:tt,
        int: $int:tt,
        lower: |$p:pat_param| $lower:expr,
        partials: [$($partial:ident $rule:tt),*],
        cost: $cost:literal, sample: [$($sample:expr),*],
    })*) => {
        /// An elementwise operation.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        pub enum MapOp {
            $(#[doc = $doc] $op,)*
        }

        impl MapOp {
            /// Every elementwise operation.
            pub const ALL: [MapOp; [$(MapOp::$op),*].len()] = [$(MapOp::$op),*];

            /// Everything there is to know of it.
            pub fn row(self) -> &'static MapRow {
                match self {
                    $(MapOp::$op => {
                        static ROW: MapRow = MapRow {
                            name: $name,
                            arity: arity!($args),
                            takes: Takes::$takes,
                            gives: Gives::$gives,
                            doc: $doc,
                            float: meaning!($args f64, $float),
                            int: meaning!($args i64, $int),
                            partials: &[$(partial!($args $partial $rule)),*],
                            lower: lower!($args |$p| $lower),
                            cost: $cost,
                            sample: &[$($sample),*],
                        };
                        &ROW
                    })*
                }
            }
        }
    };
}

/// The number of operands.
macro_rules! arity {
    (($($arg:ident),*)) => { [$(stringify!($arg)),*].len() };
}

/// A row's meaning: `_` for none, or an expression in the operands.
macro_rules! meaning {
    ($args:tt $ty:ty, _) => { None };
    (($($arg:ident),*) $ty:ty, $body:block) => {
        Some(|operands: &[$ty]| -> $ty {
            let &[$($arg),*] = operands else { unreachable!("the row's number of operands") };
            $body
        })
    };
}

/// A row's program: an instruction or a few in the operands.
macro_rules! lower {
    (($($arg:ident),*) |$p:pat_param| $body:expr) => {
        |$p, operands| {
            let &[$($arg),*] = operands else { unreachable!("the row's number of operands") };
            $body
        }
    };
}

/// A row's derivative by one operand: `()` where the kind says it all, or `(|g, y| node)`.
macro_rules! partial {
    ($args:tt $kind:ident ()) => { Partial::$kind };
    (($($arg:ident),*) $kind:ident (|$g:pat_param, $y:pat_param| $body:expr)) => {
        Partial::$kind(|$g, operands, $y| {
            #[allow(unused_variables, reason = "a derivative needs only some of the operands")]
            let &[$($arg),*] = operands else { unreachable!("the row's number of operands") };
            $body
        })
    };
}
