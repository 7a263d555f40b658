//! The rows of the elementwise operations.
//!
//! Conventions (`spec/ops.md`). Floats: `float` is the IEEE 754 meaning where there is one, and NaN
//! in gives NaN out unless the row says otherwise. Integers wrap; `x / 0` and `x % 0` are 0;
//! division truncates and the remainder has the sign of the dividend, as in C. `bool` is 0 and 1.
//! Derivatives at points where there is none: at 0 that of `abs` is 0; where the operands of `max`
//! or `min` are equal, the second has derivative 1 and the first 0, so that `max(x, 0)` is flat at
//! 0; `x ** y` at `x = 0` has derivative 0 by `y`; steps (`floor`, `sign`, comparisons) have
//! derivative 0.
//!
//! In a row, `a`, `b`, `c` are the operands and `y`, bound by a partial's `|g, y|`, is the result.

use super::meaning::{acosh, asinh, atanh, erf, gelu, gelu_tanh, max, min, truth};
use super::{Gives, MapRow, Partial, Takes, program};
use crate::graph::{Builder, NodeId};
use crate::vector::math;
use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI, LN_2, LN_10, PI};

elementwise! {
    Neg "neg" (a): Number -> Same, "Minus `a`: the sign flipped; integers wrap." {
        float: { -a },
        int: { a.wrapping_neg() },
        lower: |p| p.neg(a),
        partials: [MinusOne()],
        cost: 1, sample: [(-2.0, 2.0)],
    }
    Abs "abs" (a): Number -> Same, "The magnitude of `a`; integers wrap." {
        float: { a.abs() },
        int: { a.wrapping_abs() },
        lower: |p| p.abs(a),
        partials: [Times(|g, _| g.sign(a))],
        cost: 1, sample: [(0.2, 2.0)],
    }
    StopGradient "stop_gradient" (a): Any -> Same, "`a` itself, as a constant to differentiation." {
        float: { a },
        int: { a },
        lower: |_| a,
        partials: [Zero()],
        cost: 0, sample: [(0.2, 2.0)],
    }
    Sign "sign" (a): Number -> Same, "-1, 0 or 1, as `a` is; of either zero +0, of NaN NaN." {
        float: { if a > 0.0 { 1.0 } else if a < 0.0 { -1.0 } else { a + 0.0 } },
        int: { a.signum() },
        lower: |p| program::sign(p, a),
        partials: [Zero()],
        cost: 5, sample: [(0.2, 2.0)],
    }
    Square "square" (a): Number -> Same, "`a * a`." {
        float: { a * a },
        int: { a.wrapping_mul(a) },
        lower: |p| p.mul(a, a),
        partials: [Times(|g, _| g.scale(2.0, a))],
        cost: 1, sample: [(-2.0, 2.0)],
    }
    Reciprocal "reciprocal" (a): Float -> Same, "`1 / a`." {
        float: { 1.0 / a },
        int: _,
        lower: |p| p.div(p.number(p.ty(a), 1), a),
        partials: [Times(|g, y| g.neg(g.square(y)))],
        cost: 5, sample: [(0.5, 2.0)],
    }
    Sqrt "sqrt" (a): Float -> Same, "The square root; NaN below 0." {
        float: { a.sqrt() },
        int: _,
        lower: |p| p.sqrt(a),
        partials: [Times(|g, y| g.div(g.like(0.5, y), y))],
        cost: 6, sample: [(0.3, 3.0)],
    }
    Rsqrt "rsqrt" (a): Float -> Same, "`1 / sqrt(a)`." {
        float: { 1.0 / a.sqrt() },
        int: _,
        lower: |p| math::rsqrt(p, a),
        partials: [Times(|g, y| g.scale(-0.5, g.div(y, a)))],
        cost: 11, sample: [(0.3, 3.0)],
    }
    Cbrt "cbrt" (a): Float -> Same, "The cube root, with the sign of `a`." {
        float: { a.cbrt() },
        int: _,
        lower: |p| math::cbrt(p, a),
        partials: [Times(|g, y| g.reciprocal(g.scale(3.0, g.square(y))))],
        cost: 60, sample: [(0.3, 3.0)],
    }
    Exp "exp" (a): Float -> Same, "e to the power of `a`." {
        float: { a.exp() },
        int: _,
        lower: |p| math::exp(p, a),
        partials: [Times(|_, y| y)],
        cost: 13, sample: [(-2.0, 2.0)],
    }
    Exp2 "exp2" (a): Float -> Same, "2 to the power of `a`." {
        float: { a.exp2() },
        int: _,
        lower: |p| math::exp2(p, a),
        partials: [Times(|g, y| g.scale(LN_2, y))],
        cost: 46, sample: [(-2.0, 2.0)],
    }
    Expm1 "expm1" (a): Float -> Same, "`exp(a) - 1`, accurate near 0." {
        float: { a.exp_m1() },
        int: _,
        lower: |p| math::expm1(p, a),
        partials: [Times(|g, y| g.add(y, g.like(1.0, y)))],
        cost: 20, sample: [(-2.0, 2.0)],
    }
    Log "log" (a): Float -> Same, "The natural logarithm; -inf at 0, NaN below." {
        float: { a.ln() },
        int: _,
        lower: |p| math::log(p, a),
        partials: [Times(|g, _| g.reciprocal(a))],
        cost: 35, sample: [(0.3, 3.0)],
    }
    Log2 "log2" (a): Float -> Same, "The logarithm to base 2." {
        float: { a.log2() },
        int: _,
        lower: |p| math::log2(p, a),
        partials: [Times(|g, _| g.reciprocal(g.scale(LN_2, a)))],
        cost: 40, sample: [(0.3, 3.0)],
    }
    Log10 "log10" (a): Float -> Same, "The logarithm to base 10." {
        float: { a.log10() },
        int: _,
        lower: |p| math::log10(p, a),
        partials: [Times(|g, _| g.reciprocal(g.scale(LN_10, a)))],
        cost: 74, sample: [(0.3, 3.0)],
    }
    Log1p "log1p" (a): Float -> Same, "`log(1 + a)`, accurate near 0." {
        float: { a.ln_1p() },
        int: _,
        lower: |p| math::log1p(p, a),
        partials: [Times(|g, _| g.reciprocal(g.add(a, g.like(1.0, a))))],
        cost: 60, sample: [(-0.6, 3.0)],
    }
    Sin "sin" (a): Float -> Same, "The sine of `a` radians." {
        float: { a.sin() },
        int: _,
        lower: |p| math::sin(p, a),
        partials: [Times(|g, _| g.cos(a))],
        cost: 120, sample: [(-3.0, 3.0)],
    }
    Cos "cos" (a): Float -> Same, "The cosine of `a` radians." {
        float: { a.cos() },
        int: _,
        lower: |p| math::cos(p, a),
        partials: [Times(|g, _| g.neg(g.sin(a)))],
        cost: 118, sample: [(-3.0, 3.0)],
    }
    Tan "tan" (a): Float -> Same, "The tangent of `a` radians." {
        float: { a.tan() },
        int: _,
        lower: |p| math::tan(p, a),
        partials: [Times(|g, y| g.add(g.square(y), g.like(1.0, y)))],
        cost: 127, sample: [(-1.0, 1.0)],
    }
    Sinh "sinh" (a): Float -> Same, "The hyperbolic sine." {
        float: { a.sinh() },
        int: _,
        lower: |p| math::sinh(p, a),
        partials: [Times(|g, _| g.cosh(a))],
        cost: 43, sample: [(-2.0, 2.0)],
    }
    Cosh "cosh" (a): Float -> Same, "The hyperbolic cosine." {
        float: { a.cosh() },
        int: _,
        lower: |p| math::cosh(p, a),
        partials: [Times(|g, _| g.sinh(a))],
        cost: 21, sample: [(-2.0, 2.0)],
    }
    Tanh "tanh" (a): Float -> Same, "The hyperbolic tangent." {
        float: { a.tanh() },
        int: _,
        lower: |p| math::tanh(p, a),
        partials: [Times(|g, y| g.sub(g.like(1.0, y), g.square(y)))],
        cost: 29, sample: [(-2.0, 2.0)],
    }
    Asin "asin" (a): Float -> Same, "The angle in -π/2..π/2 whose sine is `a`; NaN outside -1..1." {
        float: { a.asin() },
        int: _,
        lower: |p| math::asin(p, a),
        partials: [Times(|g, _| g.rsqrt(within_one(g, a)))],
        cost: 62, sample: [(-0.8, 0.8)],
    }
    Acos "acos" (a): Float -> Same, "The angle in 0..π whose cosine is `a`; NaN outside -1..1." {
        float: { a.acos() },
        int: _,
        lower: |p| math::acos(p, a),
        partials: [Times(|g, _| g.neg(g.rsqrt(within_one(g, a))))],
        cost: 67, sample: [(-0.8, 0.8)],
    }
    Atan "atan" (a): Float -> Same, "The angle in -π/2..π/2 whose tangent is `a`." {
        float: { a.atan() },
        int: _,
        lower: |p| math::atan(p, a),
        partials: [Times(|g, _| g.reciprocal(g.add(g.square(a), g.like(1.0, a))))],
        cost: 50, sample: [(-2.0, 2.0)],
    }
    Asinh "asinh" (a): Float -> Same, "The inverse of `sinh`." {
        float: { asinh(a) },
        int: _,
        lower: |p| math::asinh(p, a),
        partials: [Times(|g, _| g.rsqrt(g.add(g.square(a), g.like(1.0, a))))],
        cost: 148, sample: [(-2.0, 2.0)],
    }
    Acosh "acosh" (a): Float -> Same, "The inverse of `cosh` on 1..inf; NaN below 1." {
        float: { acosh(a) },
        int: _,
        lower: |p| math::acosh(p, a),
        partials: [Times(|g, _| {
            let one = g.like(1.0, a);
            g.rsqrt(g.mul(g.sub(a, one), g.add(a, one)))
        })],
        cost: 146, sample: [(1.3, 3.0)],
    }
    Atanh "atanh" (a): Float -> Same, "The inverse of `tanh`; infinite at ±1, NaN beyond." {
        float: { atanh(a) },
        int: _,
        lower: |p| math::atanh(p, a),
        partials: [Times(|g, _| g.reciprocal(within_one(g, a)))],
        cost: 77, sample: [(-0.8, 0.8)],
    }
    Sigmoid "sigmoid" (a): Float -> Same, "`1 / (1 + exp(-a))`." {
        float: { 1.0 / (1.0 + (-a).exp()) },
        int: _,
        lower: |p| math::sigmoid(p, a),
        partials: [Times(|g, y| g.mul(y, g.sub(g.like(1.0, y), y)))],
        cost: 22, sample: [(-2.0, 2.0)],
    }
    Erf "erf" (a): Float -> Same, "The error function." {
        float: { erf(a) },
        int: _,
        lower: |p| math::erf(p, a),
        partials: [Times(|g, _| g.scale(FRAC_2_SQRT_PI, g.exp(g.neg(g.square(a)))))],
        cost: 42, sample: [(-2.0, 2.0)],
    }
    Gelu "gelu" (a): Float -> Same,
        "`a` times the probability that a standard normal draw is below it." {
        float: { gelu(a) },
        int: _,
        lower: |p| math::gelu(p, a),
        partials: [Times(|g, _| {
            let erf = g.map(MapOp::Erf, &[g.scale(FRAC_1_SQRT_2, a)]);
            let below = g.scale(0.5, g.add(erf, g.like(1.0, a)));
            let bell = g.exp(g.scale(-0.5, g.square(a)));
            let density = g.scale(0.5 * FRAC_1_SQRT_2 * FRAC_2_SQRT_PI, bell);
            g.add(below, g.mul(a, density))
        })],
        cost: 60, sample: [(-2.0, 2.0)],
    }
    GeluTanh "gelu_tanh" (a): Float -> Same,
        "`a * sigmoid(sqrt(8 / pi) * (a + 0.044715 * a ** 3))` (Hendrycks and Gimpel 2016)." {
        float: { gelu_tanh(a) },
        int: _,
        lower: |p| math::gelu_tanh(p, a),
        partials: [Times(|g, _| {
            // Beyond, the derivative is 0 or 1, and powers may be infinite.
            let a = g.max(g.min(a, g.like(100.0, a)), g.like(-100.0, a));
            let (c, one) = ((8.0 / PI).sqrt(), g.like(1.0, a));
            let square = g.square(a);
            let part = |cubic: f64| g.scale(c, g.add(g.scale(cubic, square), one));
            let s = g.map(MapOp::Sigmoid, &[g.mul(a, part(0.044715))]);
            let slope = g.mul(g.mul(a, part(0.134145)), g.sub(one, s));
            g.mul(s, g.add(slope, one))
        })],
        cost: 36, sample: [(-2.0, 2.0)],
    }
    Floor "floor" (a): Float -> Same, "The largest integer that is not above `a`." {
        float: { a.floor() },
        int: _,
        lower: |p| p.floor(a),
        partials: [Zero()],
        cost: 1, sample: [(0.1, 0.9)],
    }
    Ceil "ceil" (a): Float -> Same, "The smallest integer that is not below `a`." {
        float: { a.ceil() },
        int: _,
        lower: |p| p.ceil(a),
        partials: [Zero()],
        cost: 1, sample: [(0.1, 0.9)],
    }
    Round "round" (a): Float -> Same, "The nearest integer; halves go to the even one." {
        float: { a.round_ties_even() },
        int: _,
        lower: |p| p.round(a),
        partials: [Zero()],
        cost: 1, sample: [(0.6, 1.4)],
    }
    Trunc "trunc" (a): Float -> Same, "`a` without its fraction." {
        float: { a.trunc() },
        int: _,
        lower: |p| p.trunc(a),
        partials: [Zero()],
        cost: 1, sample: [(0.1, 0.9)],
    }
    IsNan "is_nan" (a): Float -> Bool, "Whether `a` is NaN." {
        float: { truth(a.is_nan()) },
        int: _,
        lower: |p| p.ne(a, a),
        partials: [Zero()],
        cost: 1, sample: [(-2.0, 2.0)],
    }
    IsInf "is_inf" (a): Float -> Bool, "Whether `a` is infinite." {
        float: { truth(a.is_infinite()) },
        int: _,
        lower: |p| p.eq(p.abs(a), p.f(p.ty(a), f64::INFINITY)),
        partials: [Zero()],
        cost: 2, sample: [(-2.0, 2.0)],
    }
    IsFinite "is_finite" (a): Float -> Bool, "Whether `a` is a number and not infinite." {
        float: { truth(a.is_finite()) },
        int: _,
        lower: |p| p.lt(p.abs(a), p.f(p.ty(a), f64::INFINITY)),
        partials: [Zero()],
        cost: 2, sample: [(-2.0, 2.0)],
    }
    SignBit "signbit" (a): Float -> Bool, "Whether the sign bit is set: of -0 it is." {
        float: { truth(a.is_sign_negative()) },
        int: _,
        lower: |p| program::signbit(p, a),
        partials: [Zero()],
        cost: 2, sample: [(-2.0, 2.0)],
    }
    Not "not" (a): Bits -> Same, "The complement: of each bit, or of truth." {
        float: _,
        int: { !a },
        lower: |p| p.not(a),
        partials: [Zero()],
        cost: 1, sample: [(0.0, 1.0)],
    }
    Add "add" (a, b): Number -> Same, "The sum; integers wrap." {
        float: { a + b },
        int: { a.wrapping_add(b) },
        lower: |p| p.add(a, b),
        partials: [One(), One()],
        cost: 1, sample: [(-2.0, 2.0), (-2.0, 2.0)],
    }
    Sub "sub" (a, b): Number -> Same, "The difference; integers wrap." {
        float: { a - b },
        int: { a.wrapping_sub(b) },
        lower: |p| p.sub(a, b),
        partials: [One(), MinusOne()],
        cost: 1, sample: [(-2.0, 2.0), (-2.0, 2.0)],
    }
    Mul "mul" (a, b): Number -> Same, "The product; integers wrap." {
        float: { a * b },
        int: { a.wrapping_mul(b) },
        lower: |p| p.mul(a, b),
        partials: [Times(|_, _| b), Times(|_, _| a)],
        cost: 1, sample: [(-2.0, 2.0), (-2.0, 2.0)],
    }
    Div "div" (a, b): Number -> Same, "The quotient; integers truncate toward zero, `a / 0` is 0." {
        float: { a / b },
        int: { if b == 0 { 0 } else { a.wrapping_div(b) } },
        lower: |p| p.div(a, b),
        partials: [
            Times(|g, _| g.reciprocal(b)),
            Times(|g, y| g.neg(g.div(y, b)))
        ],
        cost: 5, sample: [(-2.0, 2.0), (0.5, 2.0)],
    }
    Rem "rem" (a, b): Number -> Same, "`a - b * trunc(a / b)`, exact, with the sign of `a`; integers: `a % 0` is 0." {
        float: { a % b },
        int: { if b == 0 { 0 } else { a.wrapping_rem(b) } },
        lower: |p| program::rem(p, a, b),
        partials: [One(), Times(|g, _| g.neg(g.trunc(g.div(a, b))))],
        cost: 183, sample: [(2.1, 2.9), (1.05, 1.35)],
    }
    Pow "pow" (a, b): Float -> Same, "`a` to the power of `b`, as in IEEE 754: `pow(x, 0)` is 1." {
        float: { a.powf(b) },
        int: _,
        lower: |p| math::pow(p, a, b),
        partials: [
            // b * a**(b - 1), whose exponent must not reach -1 where b is 0: 0 * inf is NaN.
            Times(|g, _| {
                let one = g.like(1.0, b);
                let flat = g.eq(b, g.like(0.0, b));
                let exponent = g.select(flat, one, g.sub(b, one));
                g.mul(b, g.pow(a, exponent))
            }),
            Times(|g, y| {
                let zero = g.eq(a, g.like(0.0, a));
                g.mul(y, g.log(g.select(zero, g.like(1.0, a), a)))
            })
        ],
        cost: 148, sample: [(0.3, 2.0), (-2.0, 2.0)],
    }
    Max "max" (a, b): Number -> Same, "The larger; NaN if either is; the second of equals (of +0 and -0)." {
        float: { max(a, b) },
        int: { a.max(b) },
        lower: |p| p.max(a, b),
        partials: [Where(|g, _| g.gt(a, b)), Where(|g, _| g.not(g.gt(a, b)))],
        cost: 1, sample: [(-2.0, 0.4), (0.5, 2.0)],
    }
    Min "min" (a, b): Number -> Same, "The smaller; NaN if either is; the second of equals (of +0 and -0)." {
        float: { min(a, b) },
        int: { a.min(b) },
        lower: |p| p.min(a, b),
        partials: [Where(|g, _| g.lt(a, b)), Where(|g, _| g.not(g.lt(a, b)))],
        cost: 1, sample: [(-2.0, 0.4), (0.5, 2.0)],
    }
    Atan2 "atan2" (a, b): Float -> Same, "The angle of the point (`b`, `a`) in -π..π." {
        float: { a.atan2(b) },
        int: _,
        lower: |p| math::atan2(p, a, b),
        partials: [
            Times(|g, _| g.div(b, g.add(g.square(a), g.square(b)))),
            Times(|g, _| g.neg(g.div(a, g.add(g.square(a), g.square(b)))))
        ],
        cost: 72, sample: [(0.3, 2.0), (-2.0, 2.0)],
    }
    Hypot "hypot" (a, b): Float -> Same, "`sqrt(a² + b²)`, infinite if either is." {
        float: { a.hypot(b) },
        int: _,
        lower: |p| math::hypot(p, a, b),
        partials: [Times(|g, y| g.div(a, y)), Times(|g, y| g.div(b, y))],
        cost: 27, sample: [(0.3, 2.0), (-2.0, 2.0)],
    }
    Copysign "copysign" (a, b): Float -> Same, "The magnitude of `a` with the sign of `b`." {
        float: { a.copysign(b) },
        int: _,
        lower: |p| program::copysign(p, a, b),
        partials: [Times(|g, _| g.copysign(g.sign(a), g.mul(a, b))), Zero()],
        cost: 6, sample: [(0.2, 2.0), (0.2, 2.0)],
    }
    Eq "eq" (a, b): Any -> Bool, "Whether both are equal; a NaN equals nothing." {
        float: { truth(a == b) },
        int: { i64::from(a == b) },
        lower: |p| p.eq(a, b),
        partials: [Zero(), Zero()],
        cost: 1, sample: [(-2.0, 0.4), (0.5, 2.0)],
    }
    Ne "ne" (a, b): Any -> Bool, "Whether they differ; a NaN differs from everything." {
        float: { truth(a != b) },
        int: { i64::from(a != b) },
        lower: |p| p.ne(a, b),
        partials: [Zero(), Zero()],
        cost: 1, sample: [(-2.0, 0.4), (0.5, 2.0)],
    }
    Lt "lt" (a, b): Any -> Bool, "Whether `a < b`; false is below true." {
        float: { truth(a < b) },
        int: { i64::from(a < b) },
        lower: |p| p.lt(a, b),
        partials: [Zero(), Zero()],
        cost: 1, sample: [(-2.0, 0.4), (0.5, 2.0)],
    }
    Le "le" (a, b): Any -> Bool, "Whether `a <= b`." {
        float: { truth(a <= b) },
        int: { i64::from(a <= b) },
        lower: |p| p.le(a, b),
        partials: [Zero(), Zero()],
        cost: 1, sample: [(-2.0, 0.4), (0.5, 2.0)],
    }
    Gt "gt" (a, b): Any -> Bool, "Whether `a > b`." {
        float: { truth(a > b) },
        int: { i64::from(a > b) },
        lower: |p| p.gt(a, b),
        partials: [Zero(), Zero()],
        cost: 1, sample: [(-2.0, 0.4), (0.5, 2.0)],
    }
    Ge "ge" (a, b): Any -> Bool, "Whether `a >= b`." {
        float: { truth(a >= b) },
        int: { i64::from(a >= b) },
        lower: |p| p.ge(a, b),
        partials: [Zero(), Zero()],
        cost: 1, sample: [(-2.0, 0.4), (0.5, 2.0)],
    }
    And "and" (a, b): Bits -> Same, "Conjunction, bit by bit." {
        float: _,
        int: { a & b },
        lower: |p| p.and(a, b),
        partials: [Zero(), Zero()],
        cost: 1, sample: [(0.0, 1.0), (0.0, 1.0)],
    }
    Or "or" (a, b): Bits -> Same, "Disjunction, bit by bit." {
        float: _,
        int: { a | b },
        lower: |p| p.or(a, b),
        partials: [Zero(), Zero()],
        cost: 1, sample: [(0.0, 1.0), (0.0, 1.0)],
    }
    Xor "xor" (a, b): Bits -> Same, "Exclusive disjunction, bit by bit." {
        float: _,
        int: { a ^ b },
        lower: |p| p.xor(a, b),
        partials: [Zero(), Zero()],
        cost: 1, sample: [(0.0, 1.0), (0.0, 1.0)],
    }
    Shl "shl" (a, b): Int -> Same, "`a` shifted left; 0 unless `b` is in `0..64`." {
        float: _,
        int: { if (0..64).contains(&b) { a << b } else { 0 } },
        lower: |p| p.shl(a, b),
        partials: [Zero(), Zero()],
        cost: 1, sample: [(0.0, 9.0), (0.0, 9.0)],
    }
    Shr "shr" (a, b): Int -> Same, "`a` shifted right, filled with its sign; all sign beyond 63." {
        float: _,
        int: { if (0..64).contains(&b) { a >> b } else { a >> 63 } },
        lower: |p| p.sar(a, b),
        partials: [Zero(), Zero()],
        cost: 1, sample: [(0.0, 9.0), (0.0, 9.0)],
    }
    Select "select" (c, a, b): MaskThenAny -> Same, "`a` where `c` is true, else `b`." {
        float: { if c != 0.0 { a } else { b } },
        int: { if c != 0 { a } else { b } },
        lower: |p| p.select(c, a, b),
        partials: [Zero(), Where(|_, _| c), Where(|g, _| g.not(c))],
        cost: 1, sample: [(0.0, 1.0), (-2.0, 2.0), (-2.0, 2.0)],
    }
}

/// `1 - a²`, with all its digits near ±1 too.
fn within_one(g: &Builder<'_>, a: NodeId) -> NodeId {
    let one = g.like(1.0, a);
    g.mul(g.sub(one, a), g.add(one, a))
}
