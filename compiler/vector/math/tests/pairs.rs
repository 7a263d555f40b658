//! Functions to about 100 bits, on unevaluated sums of two `f64`: what `f64` results are measured
//! against. Slow and plain: Taylor series on small arguments, and Newton steps for inverses.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// `high + low`, the second below half the last place of the first.
#[derive(Clone, Copy, Debug)]
pub struct Pair {
    pub high: f64,
    pub low: f64,
}

pub const LN_2: Pair = Pair { high: std::f64::consts::LN_2, low: 2.3190468138462996e-17 };
pub const PI_2: Pair = Pair { high: std::f64::consts::FRAC_PI_2, low: 6.123233995736766e-17 };
const PI_2_REST: f64 = -1.4973849048591698e-33;
const FRAC_2_SQRT_PI: Pair =
    Pair { high: std::f64::consts::FRAC_2_SQRT_PI, low: 1.533545961316588e-17 };

impl From<f64> for Pair {
    fn from(x: f64) -> Pair {
        Pair { high: x, low: 0.0 }
    }
}

fn two_sum(a: f64, b: f64) -> Pair {
    let high = a + b;
    let bb = high - a;
    Pair { high, low: (a - (high - bb)) + (b - bb) }
}

fn two_product(a: f64, b: f64) -> Pair {
    let high = a * b;
    Pair { high, low: a.mul_add(b, -high) }
}

impl Add for Pair {
    type Output = Pair;
    fn add(self, b: Pair) -> Pair {
        let (s, t) = (two_sum(self.high, b.high), two_sum(self.low, b.low));
        let first = two_sum(s.high, s.low + t.high);
        two_sum(first.high, first.low + t.low)
    }
}

impl Neg for Pair {
    type Output = Pair;
    fn neg(self) -> Pair {
        Pair { high: -self.high, low: -self.low }
    }
}

impl Sub for Pair {
    type Output = Pair;
    fn sub(self, b: Pair) -> Pair {
        self + -b
    }
}

impl Mul for Pair {
    type Output = Pair;
    fn mul(self, b: Pair) -> Pair {
        let p = two_product(self.high, b.high);
        two_sum(p.high, self.high.mul_add(b.low, self.low.mul_add(b.high, p.low)))
    }
}

impl Div for Pair {
    type Output = Pair;
    fn div(self, b: Pair) -> Pair {
        let first = self.high / b.high;
        let rest = self - b * first.into();
        let second = rest.high / b.high;
        let rest = rest - b * second.into();
        two_sum(first, second) + (rest.high / b.high).into()
    }
}

impl Pair {
    pub fn scale(self, n: i32) -> Pair {
        // In two steps, as 2ⁿ itself may not be a number.
        let (half, rest) = (2f64.powi(n / 2), 2f64.powi(n - n / 2));
        Pair { high: self.high * half * rest, low: self.low * half * rest }
    }

    pub fn exp(self) -> Pair {
        let n = (self.high / LN_2.high).round();
        let r = (self - LN_2 * n.into()).scale(-6);
        let mut e = expm1_series(r, 18);
        for _ in 0..6 {
            // e² + 2e, for e = eʳ - 1, which keeps what is small.
            e = e * e + e.scale(1);
        }
        (e + 1.0.into()).scale(n as i32)
    }

    pub fn expm1(self) -> Pair {
        if self.high.abs() < 0.3 {
            return expm1_series(self, 26);
        }
        self.exp() - 1.0.into()
    }

    pub fn ln(self) -> Pair {
        let mut y = Pair::from(self.high.ln());
        for _ in 0..2 {
            y = y + (self * (-y).exp() - 1.0.into());
        }
        y
    }

    pub fn ln_1p(self) -> Pair {
        if self.high.abs() > 0.1 {
            return (self + 1.0.into()).ln();
        }
        // 2 artanh(x / (2 + x))
        let s = self / (self + 2.0.into());
        s.artanh().scale(1)
    }

    fn artanh(self) -> Pair {
        let z = self * self;
        let mut sum = Pair::from(0.0);
        for i in (0..30).rev() {
            sum = sum * z + Pair::from(1.0) / f64::from(2 * i + 1).into();
        }
        sum * self
    }

    /// Sine and cosine, for arguments below 2²².
    pub fn sin_cos(self) -> (Pair, Pair) {
        let n = (self.high / PI_2.high).round();
        let r = self - two_product(n, PI_2.high) - two_product(n, PI_2.low);
        let r = r - Pair::from(n * PI_2_REST);
        let z = -(r * r);
        let sin = r * even_series(z, 1);
        let cos = even_series(z, 0);
        match (n as i64).rem_euclid(4) {
            0 => (sin, cos),
            1 => (cos, -sin),
            2 => (-sin, -cos),
            _ => (-cos, sin),
        }
    }

    pub fn sqrt(self) -> Pair {
        if self.high == 0.0 {
            return self;
        }
        let first = Pair::from(self.high.sqrt());
        first + (self - first * first) / first.scale(1)
    }

    pub fn atan(self) -> Pair {
        if self.high.abs() < 1e-8 {
            return self - self * self * self / 3.0.into();
        }
        let first = Pair::from(self.high.atan());
        let (sin, cos) = first.sin_cos();
        // tan(atan x - first), whose cube is nothing.
        first + (sin - self * cos) / -(cos + self * sin)
    }

    pub fn asin(self) -> Pair {
        let (one, x) = (Pair::from(1.0), self);
        (x / ((one - x) * (one + x)).sqrt()).atan()
    }

    pub fn acos(self) -> Pair {
        let (one, x) = (Pair::from(1.0), self);
        (((one - x) / (one + x)).sqrt().atan()).scale(1)
    }

    pub fn erf(self) -> Pair {
        let z = self * self;
        if self.high.abs() > 6.5 {
            return Pair::from(self.high.signum());
        }
        // x · 2/√π · e^-x² · Σ (2x²)ⁿ / (1·3·5···(2n+1)): all terms positive.
        let (mut term, mut sum) = (Pair::from(1.0), Pair::from(1.0));
        for n in 1..250 {
            term = term * z.scale(1) / f64::from(2 * n + 1).into();
            sum = sum + term;
        }
        self * FRAC_2_SQRT_PI * (-z).exp() * sum
    }

    /// How much of the standard normal distribution is below.
    pub fn normal_below(self) -> Pair {
        let (a, one) = (-self, Pair::from(1.0));
        if a.high < 4.0 {
            return ((self * Pair::from(0.5).sqrt()).erf() + one).scale(-1);
        }
        // φ(a) / (a + 1 / (a + 2 / (a + 3 / …)))
        let terms = (400.0 / a.high) as i32 + 2;
        let fraction = (1..terms).rev().fold(a, |rest, n| a + Pair::from(f64::from(n)) / rest);
        (-(a * a).scale(-1)).exp() / (PI_2.scale(2).sqrt() * fraction)
    }

    /// `√(8/π) (x + 0.044715 x³)`.
    pub fn gelu_exponent(self) -> Pair {
        let cubic = Pair::from(44715.0) / 1e6.into();
        (Pair::from(4.0) / PI_2).sqrt() * (self + cubic * self * self * self)
    }

    pub fn pow(self, y: Pair) -> Pair {
        (self.ln() * y).exp()
    }
}

/// `eˣ - 1`, by Taylor's series.
fn expm1_series(x: Pair, terms: i32) -> Pair {
    let mut sum = Pair::from(1.0);
    for i in (2..terms + 2).rev() {
        sum = Pair::from(1.0) + x * sum / f64::from(i).into();
    }
    x * sum
}

/// `Σ zⁿ / (2n + odd)!`.
fn even_series(z: Pair, odd: i32) -> Pair {
    let mut sum = Pair::from(1.0);
    for n in (1..16).rev() {
        sum = Pair::from(1.0) + z * sum / f64::from((2 * n + odd) * (2 * n + odd - 1)).into();
    }
    sum
}
