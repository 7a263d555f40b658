//! One element of a known type, comparable and hashable by its bits.

use crate::dtype::{BF16, DType, F16};
use crate::{Element, with_element};
use std::fmt;

/// A single element. Two scalars are equal when type and bits are: `-0.0` differs from `0.0`, and a
/// NaN equals itself, so that a scalar can be a key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Scalar {
    dtype: DType,
    bits: u64,
}

impl Scalar {
    /// The element `value`.
    pub fn new<T: Element>(value: T) -> Scalar {
        if T::DTYPE.is_float() {
            Scalar::from_f64(T::DTYPE, value.to_f64())
        } else {
            Scalar::from_i64(T::DTYPE, value.to_i64())
        }
    }
    /// The nearest element of type `dtype` (integers truncate toward zero and saturate).
    pub fn from_f64(dtype: DType, x: f64) -> Scalar {
        let bits = match dtype {
            DType::F16 => u64::from(<F16 as Element>::from_f64(x).to_bits()),
            DType::BF16 => u64::from(<BF16 as Element>::from_f64(x).to_bits()),
            DType::F32 => u64::from((x as f32).to_bits()),
            DType::F64 => x.to_bits(),
            _ => with_element!(dtype, T => T::from_f64(x).to_i64() as u64),
        };
        Scalar { dtype, bits }
    }
    /// The element of type `dtype`: low bits for integers, nearest value for floats.
    pub fn from_i64(dtype: DType, x: i64) -> Scalar {
        if dtype.is_float() {
            // i64 -> f64 -> f32 would round twice.
            let x = if dtype == DType::F32 { f64::from(x as f32) } else { x as f64 };
            return Scalar::from_f64(dtype, x);
        }
        Scalar { dtype, bits: with_element!(dtype, T => T::from_i64(x).to_i64() as u64) }
    }
    /// The element type.
    pub fn dtype(self) -> DType {
        self.dtype
    }
    /// The value as `f64`; exact for every type but large `i64`.
    pub fn to_f64(self) -> f64 {
        match self.dtype {
            DType::F16 => F16::from_bits(self.bits as u16).to_f64(),
            DType::BF16 => BF16::from_bits(self.bits as u16).to_f64(),
            DType::F32 => f64::from(f32::from_bits(self.bits as u32)),
            DType::F64 => f64::from_bits(self.bits),
            _ => self.bits as i64 as f64,
        }
    }
    /// The number of the fewest decimal digits that reads back as the same element, the nearest one
    /// of those: what a float is printed as. Of other elements the value.
    ///
    /// ```
    /// use tensc_runtime::{DType, Scalar};
    /// let tenth = Scalar::from_f64(DType::F16, 0.1);
    /// assert_eq!((tenth.to_f64(), tenth.shortest()), (0.0999755859375, 0.1));
    /// ```
    pub fn shortest(self) -> f64 {
        let x = self.to_f64();
        let reads_back = |decimals: usize| {
            let near = format!("{x:.decimals$e}").parse().expect("a number as it is printed");
            (Scalar::from_f64(self.dtype, near) == self).then_some(near)
        };
        match self.dtype {
            DType::F16 | DType::BF16 | DType::F32 if x.is_finite() => {
                (0..9).find_map(reads_back).unwrap_or(x)
            }
            _ => x,
        }
    }
    /// The value as `i64` (floats truncate toward zero and saturate).
    pub fn to_i64(self) -> i64 {
        if self.dtype.is_float() { self.to_f64() as i64 } else { self.bits as i64 }
    }
    /// The bits: of the IEEE representation for floats, sign-extended two's complement otherwise.
    pub fn bits(self) -> u64 {
        self.bits
    }
    /// The element of these bits: the inverse of [`Scalar::bits`]. High bits that the type does not
    /// have are dropped.
    pub fn from_bits(dtype: DType, bits: u64) -> Scalar {
        if !dtype.is_float() {
            return Scalar::from_i64(dtype, bits as i64);
        }
        let unused = 64 - 8 * dtype.size();
        Scalar { dtype, bits: bits << unused >> unused }
    }
    /// Whether this is a float whose bits are those of `x` rounded to the type, or the integer `x`.
    pub fn is(self, x: f64) -> bool {
        self == Scalar::from_f64(self.dtype, x)
    }
}

impl fmt::Display for Scalar {
    /// The shortest decimal that reads back as the same element.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.dtype {
            DType::Bool => write!(f, "{}", self.bits != 0),
            DType::F64 => write!(f, "{:?}", self.to_f64()),
            DType::F32 => write!(f, "{:?}", self.to_f64() as f32),
            DType::F16 | DType::BF16 => write!(f, "{:?}", self.shortest()),
            _ => write!(f, "{}", self.bits as i64),
        }
    }
}
