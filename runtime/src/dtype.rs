//! The ten element types of the language and their Rust counterparts.

use half::{bf16, f16};
use std::fmt;

/// The type of one element of a tensor.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum DType {
    /// One byte holding 0 or 1.
    Bool,
    /// Unsigned 8-bit integer.
    U8,
    /// Signed 8-bit integer.
    I8,
    /// Signed 16-bit integer.
    I16,
    /// Signed 32-bit integer.
    I32,
    /// Signed 64-bit integer.
    I64,
    /// IEEE 754 binary16; stored as such, computed in `f32`.
    F16,
    /// bfloat16; stored as such, computed in `f32`.
    BF16,
    /// IEEE 754 binary32.
    F32,
    /// IEEE 754 binary64.
    F64,
}

impl DType {
    /// Every element type, in order of declaration.
    pub const ALL: [DType; 10] = [
        DType::Bool,
        DType::U8,
        DType::I8,
        DType::I16,
        DType::I32,
        DType::I64,
        DType::F16,
        DType::BF16,
        DType::F32,
        DType::F64,
    ];

    /// Bytes one element takes in memory.
    #[inline]
    pub const fn size(self) -> usize {
        match self {
            DType::Bool | DType::U8 | DType::I8 => 1,
            DType::I16 | DType::F16 | DType::BF16 => 2,
            DType::I32 | DType::F32 => 4,
            DType::I64 | DType::F64 => 8,
        }
    }

    /// The name the language uses: `f32`, `u8`, …
    pub const fn name(self) -> &'static str {
        match self {
            DType::Bool => "bool",
            DType::U8 => "u8",
            DType::I8 => "i8",
            DType::I16 => "i16",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::F16 => "f16",
            DType::BF16 => "bf16",
            DType::F32 => "f32",
            DType::F64 => "f64",
        }
    }

    /// The element type that bears `name`, if one does.
    pub fn from_name(name: &str) -> Option<DType> {
        DType::ALL.into_iter().find(|d| d.name() == name)
    }

    /// `f16`, `bf16`, `f32` or `f64`.
    #[inline]
    pub const fn is_float(self) -> bool {
        matches!(self, DType::F16 | DType::BF16 | DType::F32 | DType::F64)
    }

    /// An integer type; `bool` is not one.
    #[inline]
    pub const fn is_int(self) -> bool {
        matches!(self, DType::U8 | DType::I8 | DType::I16 | DType::I32 | DType::I64)
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A Rust type that is the element of a tensor: sealed, one per [`DType`].
pub trait Element: sealed::Sealed + Copy + PartialEq + fmt::Debug + Send + Sync + 'static {
    /// The element type this Rust type stands for.
    const DTYPE: DType;
    /// The value as `f64`; exact for every type but large `i64`.
    fn to_f64(self) -> f64;
    /// The nearest value of this type (integers truncate toward zero and saturate).
    fn from_f64(x: f64) -> Self;
    /// The value as `i64` (floats truncate toward zero and saturate).
    fn to_i64(self) -> i64;
    /// The low bits of `x` for integers, the nearest value for floats.
    fn from_i64(x: i64) -> Self;
}

macro_rules! element {
    ($(
        $t:ty, $d:ident,
        |$a:ident| $to:expr, |$b:ident| $from:expr,
        |$c:ident| $toi:expr, |$e:ident| $fromi:expr;
    )*) => {$(
        impl sealed::Sealed for $t {}
        impl Element for $t {
            const DTYPE: DType = DType::$d;
            #[inline]
            fn to_f64(self) -> f64 { let $a = self; $to }
            #[inline]
            fn from_f64($b: f64) -> Self { $from }
            #[inline]
            fn to_i64(self) -> i64 { let $c = self; $toi }
            #[inline]
            fn from_i64($e: i64) -> Self { $fromi }
        }
    )*};
}

element! {
    bool, Bool, |x| f64::from(u8::from(x)), |x| x != 0.0, |x| i64::from(x), |x| x != 0;
    u8, U8, |x| f64::from(x), |x| x as u8, |x| i64::from(x), |x| x as u8;
    i8, I8, |x| f64::from(x), |x| x as i8, |x| i64::from(x), |x| x as i8;
    i16, I16, |x| f64::from(x), |x| x as i16, |x| i64::from(x), |x| x as i16;
    i32, I32, |x| f64::from(x), |x| x as i32, |x| i64::from(x), |x| x as i32;
    i64, I64, |x| x as f64, |x| x as i64, |x| x, |x| x;
    f16, F16, |x| x.to_f64(), |x| f16::from_f32(to_odd(x)),
        |x| x.to_f64() as i64, |x| f16::from_f32(to_odd(x as f64));
    bf16, BF16, |x| x.to_f64(), |x| bf16::from_f32(to_odd(x)),
        |x| x.to_f64() as i64, |x| bf16::from_f32(to_odd(x as f64));
    f32, F32, |x| f64::from(x), |x| x as f32, |x| x as i64, |x| x as f32;
    f64, F64, |x| x, |x| x, |x| x as i64, |x| x as f64;
}

/// `x` as `f32`, rounded to the neighbour whose last bit is set where it has to be rounded.
/// Rounding that again to a type with two bits less gives what rounding `x` once gives, as no tie
/// is made.
fn to_odd(x: f64) -> f32 {
    let nearest = x as f32;
    if x.is_nan() || f64::from(nearest) == x {
        return nearest;
    }
    let beyond = f64::from(nearest).abs() > x.abs();
    f32::from_bits((nearest.to_bits() - u32::from(beyond)) | 1)
}

/// Runs `$body` with the type alias `$T` bound to the Rust type of the element type `$dtype`.
///
/// ```
/// use tensc_runtime::{with_element, DType, Element};
/// let bytes = with_element!(DType::F32, T => size_of::<T>());
/// assert_eq!(bytes, 4);
/// ```
#[macro_export]
macro_rules! with_element {
    ($dtype:expr, $T:ident => $body:expr) => {{
        #[allow(unused_qualifications, reason = "the macro must name its types in full")]
        match $dtype {
            $crate::DType::Bool => {
                type $T = bool;
                $body
            }
            $crate::DType::U8 => {
                type $T = u8;
                $body
            }
            $crate::DType::I8 => {
                type $T = i8;
                $body
            }
            $crate::DType::I16 => {
                type $T = i16;
                $body
            }
            $crate::DType::I32 => {
                type $T = i32;
                $body
            }
            $crate::DType::I64 => {
                type $T = i64;
                $body
            }
            $crate::DType::F16 => {
                type $T = $crate::dtype::F16;
                $body
            }
            $crate::DType::BF16 => {
                type $T = $crate::dtype::BF16;
                $body
            }
            $crate::DType::F32 => {
                type $T = f32;
                $body
            }
            $crate::DType::F64 => {
                type $T = f64;
                $body
            }
        }
    }};
}

/// The Rust type of [`DType::F16`].
pub type F16 = f16;
/// The Rust type of [`DType::BF16`].
pub type BF16 = bf16;
