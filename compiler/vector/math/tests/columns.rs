//! A quick executor for programs of one float type: a column of lanes an instruction.
//!
//! Only what the functions of `math` use is there. A test compares it with the reference executor.

use std::borrow::Cow;

use crate::vector::{Binary, Compare, Inst, Param, Program, Type, Unary, Value, verify};
use tensc_runtime::Scalar;

type Ints<'a, F> = Cow<'a, [<F as Format>::Bits]>;

/// The types of one width. Operations take columns, so that each is a loop of its own.
pub trait Format: Copy + PartialOrd + std::fmt::LowerExp + std::fmt::Debug + Send + Sync {
    type Bits: Copy + PartialEq + Send + Sync;
    const TYPE: Type;
    fn to_bits(self) -> Self::Bits;
    fn from_bits(bits: Self::Bits) -> Self;
    fn number(scalar: Scalar) -> Self;
    fn integer(scalar: Scalar) -> Self::Bits;
    fn unary(op: Unary, a: Cow<'_, [Self]>) -> Vec<Self>;
    fn arithmetic(op: Binary, a: Cow<'_, [Self]>, b: Cow<'_, [Self]>) -> Vec<Self>;
    fn logic(op: Binary, a: Ints<'_, Self>, b: Ints<'_, Self>) -> Vec<Self::Bits>;
    fn fma(self, b: Self, c: Self) -> Self;
    fn less(a: Self::Bits, b: Self::Bits) -> bool;
}

macro_rules! format {
    ($float:ty, $int:ty, $unsigned:ty, $ty:expr) => {
        impl Format for $float {
            type Bits = $int;
            const TYPE: Type = $ty;
            fn to_bits(self) -> $int {
                <$float>::to_bits(self) as $int
            }
            fn from_bits(bits: $int) -> $float {
                <$float>::from_bits(bits as $unsigned)
            }
            fn number(scalar: Scalar) -> $float {
                scalar.to_f64() as $float
            }
            fn integer(scalar: Scalar) -> $int {
                scalar.to_i64() as $int
            }
            fn unary(op: Unary, a: Cow<'_, [$float]>) -> Vec<$float> {
                match op {
                    Unary::Neg => one(a, |x| -x),
                    Unary::Abs => one(a, <$float>::abs),
                    Unary::Sqrt => one(a, <$float>::sqrt),
                    Unary::Trunc => one(a, <$float>::trunc),
                    other => panic!("{other:?} has no column form"),
                }
            }
            fn arithmetic(op: Binary, a: Cow<'_, [$float]>, b: Cow<'_, [$float]>) -> Vec<$float> {
                match op {
                    Binary::Add => two(a, b, |a, b| a + b),
                    Binary::Sub => two(a, b, |a, b| a - b),
                    Binary::Mul => two(a, b, |a, b| a * b),
                    Binary::Div => two(a, b, |a, b| a / b),
                    Binary::Max => two(a, b, |a, b| if a > b || a.is_nan() { a } else { b }),
                    Binary::Min => two(a, b, |a, b| if a < b || a.is_nan() { a } else { b }),
                    Binary::Scale => two(a, b, |a, b| {
                        let bits = <$float>::MANTISSA_DIGITS - 1;
                        let bias = <$float>::MAX_EXP as $int - 1;
                        let power =
                            |n: $int| <$float>::from_bits(((n + bias) << bits) as $unsigned);
                        let n = (b as $int).max(-2 * bias);
                        a * power(n >> 1) * power(n - (n >> 1))
                    }),
                    other => panic!("{other:?} has no column form"),
                }
            }
            fn logic(op: Binary, a: Ints<'_, $float>, b: Ints<'_, $float>) -> Vec<$int> {
                let fits = |n: $int| (n as $unsigned) < <$int>::BITS as $unsigned;
                match op {
                    Binary::Add => two(a, b, <$int>::wrapping_add),
                    Binary::Sub => two(a, b, <$int>::wrapping_sub),
                    Binary::Mul => two(a, b, <$int>::wrapping_mul),
                    Binary::And => two(a, b, |a, b| a & b),
                    Binary::Or => two(a, b, |a, b| a | b),
                    Binary::Xor => two(a, b, |a, b| a ^ b),
                    Binary::Shl => two(a, b, |a, n| if fits(n) { a << n } else { 0 }),
                    Binary::Shr => {
                        two(a, b, |a, n| if fits(n) { ((a as $unsigned) >> n) as $int } else { 0 })
                    }
                    other => panic!("{other:?} has no column form"),
                }
            }
            fn fma(self, b: $float, c: $float) -> $float {
                self.mul_add(b, c)
            }
            fn less(a: $int, b: $int) -> bool {
                a < b
            }
        }
    };
}

format!(f32, i32, u32, Type::F32);
format!(f64, i64, u64, Type::F64);

enum Column<F: Format> {
    Same(Scalar),
    Floats(Vec<F>),
    Ints(Vec<F::Bits>),
    Masks(Vec<bool>),
}

/// The program's one yield, for `arguments` of equal length as its parameters.
pub fn evaluate<F: Format>(program: &Program, arguments: &[&[F]]) -> Vec<F> {
    // Few lanes at a time, so that all columns stay in the nearest cache.
    const BLOCK: usize = 256;
    let types = verify::types(program).unwrap();
    let block = |start: usize| {
        let end = (start + BLOCK).min(arguments[0].len());
        let arguments: Vec<&[F]> = arguments.iter().map(|a| &a[start..end]).collect();
        evaluate_block(program, &types, &arguments)
    };
    (0..arguments[0].len()).step_by(BLOCK).flat_map(block).collect()
}

fn evaluate_block<F: Format>(
    program: &Program,
    types: &[Option<Type>],
    arguments: &[&[F]],
) -> Vec<F> {
    let lanes = arguments[0].len();
    let mut columns: Vec<Column<F>> = Vec::new();
    for inst in &program.insts {
        let at = |v: Value| (&columns[v.0 as usize], types[v.0 as usize].unwrap());
        let floats = |v| match at(v).0 {
            Column::Floats(x) => Cow::Borrowed(&x[..]),
            Column::Same(x) => Cow::Owned(vec![F::number(*x); lanes]),
            _ => panic!("not floats"),
        };
        let ints = |v| match at(v).0 {
            Column::Ints(x) => Cow::Borrowed(&x[..]),
            Column::Same(x) => Cow::Owned(vec![F::integer(*x); lanes]),
            _ => panic!("not integers"),
        };
        let masks = |v| match at(v).0 {
            Column::Masks(x) => Cow::Borrowed(&x[..]),
            Column::Same(x) => Cow::Owned(vec![x.to_i64() != 0; lanes]),
            _ => panic!("not masks"),
        };
        let column = match *inst {
            Inst::Const(x) => Column::Same(x),
            Inst::Param(Param(p)) => Column::Floats(arguments[p as usize].to_vec()),
            Inst::Unary(Unary::Bitcast(to), x) if to == F::TYPE => {
                Column::Floats(one(ints(x), F::from_bits))
            }
            Inst::Unary(Unary::Bitcast(_), x) => Column::Ints(one(floats(x), F::to_bits)),
            Inst::Unary(Unary::Likely, x) => Column::Masks(masks(x).into_owned()),
            Inst::Unary(Unary::Not, x) => Column::Masks(one(masks(x), |x| !x)),
            Inst::Unary(op, x) => Column::Floats(F::unary(op, floats(x))),
            Inst::Binary(op, a, b) => match at(a).1 {
                Type::Mask => Column::Masks(match op {
                    Binary::And => two(masks(a), masks(b), |a, b| a & b),
                    Binary::Or => two(masks(a), masks(b), |a, b| a | b),
                    Binary::Xor => two(masks(a), masks(b), |a, b| a ^ b),
                    other => panic!("{other:?} of masks"),
                }),
                ty if ty == F::TYPE => Column::Floats(F::arithmetic(op, floats(a), floats(b))),
                _ => Column::Ints(F::logic(op, ints(a), ints(b))),
            },
            Inst::Fma(a, b, c) => {
                let (a, b, c) = (floats(a), floats(b), floats(c));
                let products = a.iter().zip(&b[..]).zip(&c[..]);
                Column::Floats(products.map(|((a, b), c)| a.fma(*b, *c)).collect())
            }
            Inst::Compare(op, a, b) if at(a).1 == F::TYPE => {
                let (a, b) = (floats(a), floats(b));
                Column::Masks(match op {
                    Compare::Eq => two(a, b, |a, b| a == b),
                    Compare::Ne => two(a, b, |a, b| a != b),
                    Compare::Lt => two(a, b, |a, b| a < b),
                    Compare::Le => two(a, b, |a, b| a <= b),
                    Compare::Gt => two(a, b, |a, b| a > b),
                    Compare::Ge => two(a, b, |a, b| a >= b),
                })
            }
            Inst::Compare(op, a, b) => {
                let (a, b) = (ints(a), ints(b));
                Column::Masks(match op {
                    Compare::Eq => two(a, b, |a, b| a == b),
                    Compare::Ne => two(a, b, |a, b| a != b),
                    Compare::Lt => two(a, b, F::less),
                    other => panic!("{other:?} of integers has no column form"),
                })
            }
            Inst::Select(mask, a, b) => {
                let mask = masks(mask);
                if at(a).1 == F::TYPE {
                    Column::Floats(choose(&mask, floats(a), &floats(b)))
                } else {
                    Column::Ints(choose(&mask, ints(a), &ints(b)))
                }
            }
            ref other => panic!("{other:?} has no column form"),
        };
        columns.push(column);
    }
    match columns.swap_remove(program.yields[0].0 as usize) {
        Column::Floats(x) => x,
        Column::Same(x) => vec![F::number(x); lanes],
        _ => panic!("a function yields floats"),
    }
}

fn one<T: Copy, R>(a: Cow<'_, [T]>, f: impl Fn(T) -> R) -> Vec<R> {
    a.iter().map(|&a| f(a)).collect()
}

fn two<T: Copy, R>(a: Cow<'_, [T]>, b: Cow<'_, [T]>, f: impl Fn(T, T) -> R) -> Vec<R> {
    a.iter().zip(&b[..]).map(|(&a, &b)| f(a, b)).collect()
}

fn choose<T: Copy>(mask: &[bool], a: Cow<'_, [T]>, b: &[T]) -> Vec<T> {
    mask.iter().zip(a.iter().zip(b)).map(|(&m, (&a, &b))| if m { a } else { b }).collect()
}
