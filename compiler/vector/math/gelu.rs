//! The two forms of `gelu`, `x` times the probability that a normal draw is below it.
//!
//! Both are `max(x, 0) - a S` with `a = |x|`, where `S` is at most a half and falls off like the
//! normal density: all digits that there are below 0, and nothing cancels above it. `S` is a power
//! of e or 2 whose exponent is a polynomial of `a`, kept to twice the precision, since an absolute
//! error of the exponent is a relative one of the result. The power of two is applied last, so
//! that results below the normal numbers are rounded once more at most.

use super::Float;
use super::coefficients::{
    EXP2, GELU_CUBIC, GELU_LINEAR, LN_2_FULL, TAIL, TAIL_AT_CENTER, TAIL_CENTER,
};
use super::exp::{Reduced, expm1_small, reduce};
use crate::vector::{Builder, Value};

/// `x Φ(x)`, with `Φ` the distribution function of the standard normal. The tail is
/// `1 - Φ(a) = e^(-a²/2) R(u) / (a + k)` with `u = a / (a + k)` and a polynomial `R`.
pub fn gelu(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let (a, minus_a) = magnitude(&c, x, c.pick(27.0, 75.5));

    // u, and what it lost. With v = k / (a + k) that is `left · v / k`, which `u R(u)` feels about
    // v-fold.
    let k = c.pick(2.0, 3.0);
    let (divisor, divisor_low) = c.fast_two_sum(c.num(k), a);
    let u = c.div(a, divisor);
    let minus_u = c.neg(u);
    let left = c.fma(minus_u, divisor_low, c.fma(minus_u, divisor, a));
    let root = c.num(k.sqrt().recip());
    let v = c.fma(minus_u, root, root);
    let left = c.mul(left, c.mul(v, v));

    // u R(u), in two parts.
    let from_center = c.sub(u, c.part(&TAIL_CENTER, 0, 1.0));
    let rest = c.poly(from_center, &TAIL);
    let center = c.part(&TAIL_AT_CENTER, 0, 1.0);
    let ratio = c.fma(from_center, rest, center);
    let ratio_low = c.fma(from_center, rest, c.sub(center, ratio));
    let (product, lost) = c.two_product(u, ratio);
    let low = c.fma(left, ratio, c.fma(u, ratio_low, lost));

    // e^(-a²/2) = 2ⁿ eʳ
    let (minus_square, lost) = minus_square(&c, a, minus_a);
    let Reduced { n, r, .. } = reduce(&c, c.mul(minus_square, c.num(0.5)), 1.0, 0);
    let growth = expm1_small(&c, c.fma(lost, c.num(-0.5), r));
    let tail = c.add(product, c.fma(product, growth, low));
    c.sub(positive_part(&c, x), c.scale(tail, n))
}

/// `x` times the sigmoid of `√(8/π) (x + 0.044715 x³)`: with `2^(n - f)` for the exponential of
/// minus its magnitude it is `max(x, 0) - a 2ⁿ / (2ⁿ + 2ᶠ)`.
pub fn gelu_tanh(b: &Builder, x: Value) -> Value {
    let c = Float::of(b, x);
    let (a, minus_a) = magnitude(&c, x, c.pick(17.0, 34.2));
    let (minus_square, lost) = minus_square(&c, a, minus_a);

    // What a is multiplied by in the exponent. The linear coefficient has few bits, so that its
    // difference from the sum is exact.
    let (linear, minus_cubic) = (c.part(&GELU_LINEAR, 0, 1.0), c.part(&GELU_CUBIC, 0, -1.0));
    let factor = c.fma(minus_cubic, minus_square, linear);
    let low = c.part(&GELU_LINEAR, 1, 1.0);
    let low = c.fma(c.part(&GELU_CUBIC, 1, -1.0), minus_square, low);
    let low = c.fma(c.part(&GELU_CUBIC, 0, 1.0), lost, low);
    let low = c.add(low, c.fma(minus_cubic, minus_square, c.sub(linear, factor)));
    let magic = c.num(c.magic());
    let n = c.sub(c.fma(minus_a, factor, magic), magic);
    let f = c.fma(a, low, c.fma(a, factor, n));

    let one = c.num(1.0);
    let (sum, lost) = c.fast_two_sum(one, c.scale(one, n));
    // 2ᶠ - 1, and what was lost.
    let curve = c.fma(c.mul(f, f), c.poly(f, &EXP2), lost);
    let growth = c.fma(f, c.part(&LN_2_FULL, 0, 1.0), curve);
    let divisor = c.add(sum, growth);
    c.sub(positive_part(&c, x), c.div(c.scale(a, n), divisor))
}

/// `|x|` and `-|x|`. Past `most`, where the result is `max(x, 0)`, exponents end: `exp::FAR` says
/// why there.
fn magnitude(c: &Float<'_>, x: Value, most: f64) -> (Value, Value) {
    let a = c.at_most(c.abs(x), most);
    (a, c.neg(a))
}

/// `-a²`, and what is to be added to `a²` for what rounding lost.
fn minus_square(c: &Float<'_>, a: Value, minus_a: Value) -> (Value, Value) {
    let square = c.mul(minus_a, a);
    (square, c.fma(a, a, square))
}

/// `max(x, 0)`, with the sign of `x` even where it is 0.
fn positive_part(c: &Float<'_>, x: Value) -> Value {
    c.max(c.num(-0.0), x)
}
