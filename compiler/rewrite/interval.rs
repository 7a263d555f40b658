//! What is known of the values of a tensor: between which bounds they lie, and whether one may be
//! NaN.
//!
//! Invariant: bounds are sound for the *rounded* results of the operations: after float arithmetic
//! they are widened outward by more than the rounding of the type; integer bounds that may wrap
//! become the whole range of the type, and beyond 2⁵³, where an `f64` does not hold every integer,
//! they are widened too. Zero stays zero, so signs are never lost.

use crate::graph::MapOp;
use tensc_runtime::{DType, Scalar};

/// Bounds of the values that are numbers, and whether a NaN may occur.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Interval {
    /// No number is below.
    pub low: f64,
    /// No number is above.
    pub high: f64,
    /// Whether a value may be NaN.
    pub nan: bool,
}

impl Interval {
    /// All that is known of any value of a type.
    pub fn of(dtype: DType) -> Interval {
        let (low, high) = match dtype {
            DType::Bool => (0.0, 1.0),
            DType::U8 => (0.0, 255.0),
            DType::I8 => (-128.0, 127.0),
            DType::I16 => (-32768.0, 32767.0),
            DType::I32 => (f64::from(i32::MIN), f64::from(i32::MAX)),
            DType::I64 => (i64::MIN as f64, i64::MAX as f64),
            DType::F16 | DType::BF16 | DType::F32 | DType::F64 => {
                (f64::NEG_INFINITY, f64::INFINITY)
            }
        };
        Interval { low, high, nan: dtype.is_float() }
    }
    /// Numbers between two bounds.
    pub fn between(low: f64, high: f64) -> Interval {
        Interval { low, high, nan: false }
    }
    /// Just this value.
    pub fn point(value: Scalar) -> Interval {
        Interval::number(value.to_f64(), value.dtype())
    }
    /// Just the number of type `dtype` of which `x` is the nearest `f64`.
    pub fn number(x: f64, dtype: DType) -> Interval {
        if x.is_nan() {
            return Interval { low: f64::INFINITY, high: f64::NEG_INFINITY, nan: true };
        }
        let point = Interval::between(x, x);
        if dtype.is_float() { point } else { point.around_integers().meet(Interval::of(dtype)) }
    }
    /// No value is infinite or NaN.
    pub fn is_finite(self) -> bool {
        !self.nan && self.low > f64::NEG_INFINITY && self.high < f64::INFINITY
    }
    /// Every value is a number that is not below zero (a zero may be `-0`).
    pub fn is_nonnegative(self) -> bool {
        !self.nan && self.low >= 0.0
    }
    /// Every value is a number above or below zero.
    pub fn is_nonzero(self) -> bool {
        !self.nan && (self.low > 0.0 || self.high < 0.0)
    }
    /// What both say; both are true.
    pub fn meet(self, other: Interval) -> Interval {
        Interval {
            low: self.low.max(other.low),
            high: self.high.min(other.high),
            nan: self.nan && other.nan,
        }
    }
    /// What holds of values of which some are of the one and some of the other.
    pub fn hull(self, other: Interval) -> Interval {
        Interval {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
            nan: self.nan || other.nan,
        }
    }
    /// Of the result, of type `dtype`, of an elementwise operation.
    pub fn map(op: MapOp, dtype: DType, x: &[Interval]) -> Interval {
        if dtype == DType::Bool {
            return Interval::of(DType::Bool);
        }
        match op {
            // An operand as it is.
            MapOp::Max | MapOp::Min | MapOp::Select | MapOp::StopGradient => {
                transfer(op, dtype, x).unwrap_or(Interval::of(dtype))
            }
            _ => transfer(op, dtype, x).unwrap_or(Interval::of(dtype)).rounded(dtype),
        }
    }
    /// Of the values converted to another type.
    pub fn convert(self, from: DType, to: DType) -> Interval {
        if to == DType::Bool {
            return Interval::of(DType::Bool);
        }
        if to.is_float() {
            return self.rounded(to);
        }
        let range = Interval::of(to);
        if from.is_float() {
            // Saturates, truncates toward zero; a NaN becomes 0.
            let number = |x: f64| Interval::number(x.trunc().clamp(range.low, range.high), to);
            let (low, high) = (number(self.low).low, number(self.high).high);
            let numbers = Interval::between(low, high);
            return if self.nan { numbers.hull(Interval::between(0.0, 0.0)) } else { numbers };
        }
        let fits = self.low >= range.low && self.high <= range.high;
        if fits { self } else { range }
    }
    /// Of sums of `n` values.
    pub fn sum(self, n: usize, dtype: DType) -> Interval {
        let n = n as f64;
        let times = |bound: f64| if bound == 0.0 { 0.0 } else { bound * n };
        // An accumulated error of n roundings at most doubles the bound for every n in practice.
        let sum = Interval {
            low: (2.0 * times(self.low)).min(0.0),
            high: (2.0 * times(self.high)).max(0.0),
            nan: self.nan,
        };
        let sum = sum.rounded(dtype);
        // A part that overflows to one side meets a part that is at the other end.
        let both = sum.low == f64::NEG_INFINITY && sum.high == f64::INFINITY;
        Interval { nan: sum.nan || both && dtype.is_float(), ..sum }
    }

    /// Outward to the next `f64` from bounds that may have been rounded: integers beyond 2⁵³.
    fn around_integers(self) -> Interval {
        const HELD: f64 = (1u64 << f64::MANTISSA_DIGITS) as f64;
        let low = if self.low.abs() >= HELD { self.low.next_down() } else { self.low };
        let high = if self.high.abs() >= HELD { self.high.next_up() } else { self.high };
        Interval { low, high, nan: self.nan }
    }

    /// Outward by the rounding of a float type, or the whole range of an integer type that wraps.
    fn rounded(self, dtype: DType) -> Interval {
        let range = Interval::of(dtype);
        if !dtype.is_float() {
            // Widened, a bound past the end of `i64` is past it as an `f64` too.
            let wide = self.around_integers();
            let fits = wide.low >= range.low && wide.high <= range.high;
            return if fits && !self.nan { wide } else { range };
        }
        let (epsilon, largest, tiny) = match dtype {
            DType::F16 => (2f64.powi(-9), 65504.0, 2f64.powi(-23)),
            DType::BF16 => (2f64.powi(-6), 3e38, 2f64.powi(-126)),
            DType::F32 => (2f64.powi(-21), 3e38, 2f64.powi(-126)),
            _ => (2f64.powi(-48), 1e308, 2f64.powi(-1022)),
        };
        // A bound whose sign is strict may underflow to zero.
        let outward = |bound: f64, away: f64| {
            if bound.abs() >= largest && (bound > 0.0) == (away > 0.0) {
                return away * f64::INFINITY;
            }
            if bound.is_infinite() {
                return bound;
            }
            if bound.abs() < tiny && bound != 0.0 {
                return if (bound > 0.0) == (away > 0.0) { away * tiny } else { 0.0 };
            }
            if bound == 0.0 || bound.fract() == 0.0 && bound.abs() < 256.0 {
                bound
            } else {
                bound + away * bound.abs() * epsilon
            }
        };
        if self.low > self.high {
            return Interval { nan: self.nan, ..range };
        }
        Interval { low: outward(self.low, -1.0), high: outward(self.high, 1.0), nan: self.nan }
    }
}

/// Bounds before rounding; `None` where nothing is known.
fn transfer(op: MapOp, dtype: DType, x: &[Interval]) -> Option<Interval> {
    let nan = x.iter().any(|i| i.nan);
    let of = |low: f64, high: f64| Some(Interval { low, high, nan });
    let infinite = |i: Interval| i.low == f64::NEG_INFINITY || i.high == f64::INFINITY;
    let monotone = |f: fn(f64) -> f64| of(f(x[0].low), f(x[0].high));
    match op {
        MapOp::Neg => of(-x[0].high, -x[0].low),
        MapOp::Abs => {
            let straddles = x[0].low <= 0.0 && x[0].high >= 0.0;
            let (a, b) = (x[0].low.abs(), x[0].high.abs());
            of(if straddles { 0.0 } else { a.min(b) }, a.max(b))
        }
        MapOp::Square => {
            let a = x[0].low.abs().max(x[0].high.abs());
            of(0.0, a * a)
        }
        MapOp::Sign => of(x[0].low.clamp(-1.0, 0.0).floor(), x[0].high.clamp(0.0, 1.0).ceil()),
        MapOp::Exp => monotone(f64::exp),
        MapOp::Exp2 => monotone(f64::exp2),
        MapOp::Expm1 => monotone(f64::exp_m1),
        MapOp::Floor => monotone(f64::floor),
        MapOp::Ceil => monotone(f64::ceil),
        MapOp::Round => monotone(f64::round_ties_even),
        MapOp::Trunc => monotone(f64::trunc),
        MapOp::Sigmoid => of(0.0, 1.0),
        MapOp::Tanh | MapOp::Erf => of(-1.0, 1.0),
        MapOp::Sin | MapOp::Cos => {
            Some(Interval { low: -1.0, high: 1.0, nan: nan || infinite(x[0]) })
        }
        MapOp::Cosh => of(1.0, f64::INFINITY),
        MapOp::Sqrt => {
            let nan = nan || x[0].low < 0.0;
            Some(Interval { low: x[0].low.max(0.0).sqrt(), high: x[0].high.max(0.0).sqrt(), nan })
        }
        MapOp::Log if x[0].low >= 0.0 => monotone(f64::ln),
        MapOp::Log1p if x[0].low >= -1.0 => monotone(f64::ln_1p),
        MapOp::Max => of(x[0].low.max(x[1].low), x[0].high.max(x[1].high)),
        MapOp::Min => of(x[0].low.min(x[1].low), x[0].high.min(x[1].high)),
        MapOp::Add => sum(x[0], x[1]),
        MapOp::Sub => sum(x[0], Interval { low: -x[1].high, high: -x[1].low, nan: x[1].nan }),
        MapOp::Mul => {
            let zero = |i: Interval| i.low <= 0.0 && i.high >= 0.0;
            let invalid =
                dtype.is_float() && (zero(x[0]) && infinite(x[1]) || zero(x[1]) && infinite(x[0]));
            let corners =
                corners(x[0], x[1], |a, b| if a == 0.0 || b == 0.0 { 0.0 } else { a * b });
            Some(Interval { nan: nan || invalid, ..corners })
        }
        MapOp::Div if dtype.is_float() && x[1].is_nonzero() => {
            let invalid = infinite(x[0]) && infinite(x[1]);
            // A quotient by an infinite bound tends to 0.
            let corners = corners(x[0], x[1], |a, b| if b.is_infinite() { 0.0 } else { a / b });
            Some(Interval { nan: nan || invalid, ..corners })
        }
        MapOp::Reciprocal if x[0].is_nonzero() => of(1.0 / x[0].high, 1.0 / x[0].low),
        // Of -0 it is -inf.
        MapOp::Rsqrt if x[0].low > 0.0 => of(0.0, f64::INFINITY),
        MapOp::Select => Some(x[1].hull(x[2])),
        _ => None,
    }
}

fn sum(a: Interval, b: Interval) -> Option<Interval> {
    let opposite = a.low == f64::NEG_INFINITY && b.high == f64::INFINITY
        || a.high == f64::INFINITY && b.low == f64::NEG_INFINITY;
    let add = |x: f64, y: f64, invalid: f64| {
        let sum = x + y;
        if sum.is_nan() { invalid } else { sum }
    };
    Some(Interval {
        low: add(a.low, b.low, f64::NEG_INFINITY),
        high: add(a.high, b.high, f64::INFINITY),
        nan: a.nan || b.nan || opposite,
    })
}

fn corners(a: Interval, b: Interval, f: fn(f64, f64) -> f64) -> Interval {
    let at = [f(a.low, b.low), f(a.low, b.high), f(a.high, b.low), f(a.high, b.high)];
    let low = at.iter().copied().fold(f64::INFINITY, f64::min);
    let high = at.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    Interval { low, high, nan: at.iter().any(|x| x.is_nan()) }
}
