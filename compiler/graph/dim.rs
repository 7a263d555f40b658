//! Sizes: integers, or polynomials over named dimensions.
//!
//! Invariant: a [`Dim`] is in normal form (monomials sorted, no zero coefficients), so that two
//! sizes are the same function of the named dimensions exactly when they are `==`.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::fmt;
use std::ops::{Add, Mul, Sub};
use std::sync::Arc;

/// A named dimension of a function, of `main`, or bound by data. Equal means the same variable.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct DimVar {
    /// Distinguishes variables that bear one name.
    pub id: u32,
    /// What the user calls it.
    pub name: Arc<str>,
}

/// A product of variables, sorted; empty for the constant term.
type Monomial = SmallVec<[DimVar; 2]>;

/// A size: an integer or a polynomial with integer coefficients, in normal form.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Dim {
    /// A known size.
    Const(i64),
    /// At least one variable: monomials in descending order with their non-zero coefficients.
    Poly(Arc<Vec<(Monomial, i64)>>),
}

impl Dim {
    /// The size named `var`.
    pub fn var(var: DimVar) -> Dim {
        Dim::Poly(Arc::new(vec![(SmallVec::from_iter([var]), 1)]))
    }

    /// The size where it is known.
    pub fn known(&self) -> Option<i64> {
        match self {
            Dim::Const(n) => Some(*n),
            Dim::Poly(_) => None,
        }
    }

    /// Whether this is the literal `n`.
    pub fn is(&self, n: i64) -> bool {
        *self == Dim::Const(n)
    }

    /// The variable, where the size is just that.
    pub fn as_var(&self) -> Option<&DimVar> {
        match self {
            Dim::Poly(terms) => match terms.as_slice() {
                [(m, 1)] if m.len() == 1 => Some(&m[0]),
                _ => None,
            },
            Dim::Const(_) => None,
        }
    }

    /// Every variable that occurs.
    pub fn vars(&self) -> Vec<DimVar> {
        let mut vars: Vec<DimVar> = self.terms().into_iter().flat_map(|(m, _)| m).collect();
        vars.sort();
        vars.dedup();
        vars
    }

    /// The size with variables replaced; those that `values` does not name stay.
    pub fn substitute(&self, values: &dyn Fn(&DimVar) -> Option<Dim>) -> Dim {
        let Dim::Poly(terms) = self else { return self.clone() };
        let mut sum = Dim::Const(0);
        for (monomial, coefficient) in terms.iter() {
            let mut product = Dim::Const(*coefficient);
            for var in monomial {
                product = product * values(var).unwrap_or_else(|| Dim::var(var.clone()));
            }
            sum = sum + product;
        }
        sum
    }

    /// `self / divisor` where that is exact as a polynomial.
    pub fn div_exact(&self, divisor: &Dim) -> Option<Dim> {
        let divisor = divisor.terms();
        let (lead, lead_coefficient) = divisor.first()?.clone();
        let (mut rest, mut quotient) = (self.terms(), Vec::new());
        while let Some((monomial, coefficient)) = rest.first().cloned() {
            let mut factor = monomial;
            for var in &lead {
                let at = factor.iter().position(|v| v == var)?;
                factor.remove(at);
            }
            if coefficient % lead_coefficient != 0 {
                return None;
            }
            let term = (factor, coefficient / lead_coefficient);
            let taken = Dim::from_terms(vec![term.clone()]) * Dim::from_terms(divisor.clone());
            rest = (Dim::from_terms(rest) - taken).terms();
            quotient.push(term);
        }
        Some(Dim::from_terms(quotient))
    }

    fn terms(&self) -> Vec<(Monomial, i64)> {
        match self {
            Dim::Const(0) => Vec::new(),
            Dim::Const(n) => vec![(Monomial::new(), *n)],
            Dim::Poly(terms) => terms.to_vec(),
        }
    }

    /// Normal form: by descending degree, then by variables; like terms added.
    fn from_terms(terms: Vec<(Monomial, i64)>) -> Dim {
        let mut sums: FxHashMap<Monomial, i64> = FxHashMap::default();
        for (mut monomial, coefficient) in terms {
            monomial.sort();
            let sum = sums.entry(monomial).or_default();
            *sum = sum.saturating_add(coefficient);
        }
        let mut terms: Vec<_> = sums.into_iter().filter(|(_, c)| *c != 0).collect();
        terms.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        match terms.as_slice() {
            [] => Dim::Const(0),
            [(monomial, n)] if monomial.is_empty() => Dim::Const(*n),
            _ => Dim::Poly(Arc::new(terms)),
        }
    }
}

impl From<usize> for Dim {
    fn from(n: usize) -> Dim {
        Dim::Const(i64::try_from(n).expect("a size fits i64"))
    }
}

impl From<i64> for Dim {
    fn from(n: i64) -> Dim {
        Dim::Const(n)
    }
}

impl Add for Dim {
    type Output = Dim;
    fn add(self, other: Dim) -> Dim {
        if let (Dim::Const(a), Dim::Const(b)) = (&self, &other) {
            return Dim::Const(a.saturating_add(*b));
        }
        let mut terms = self.terms();
        terms.extend(other.terms());
        Dim::from_terms(terms)
    }
}

impl Sub for Dim {
    type Output = Dim;
    fn sub(self, other: Dim) -> Dim {
        self + other * Dim::Const(-1)
    }
}

impl Mul for Dim {
    type Output = Dim;
    fn mul(self, other: Dim) -> Dim {
        if let (Dim::Const(a), Dim::Const(b)) = (&self, &other) {
            return Dim::Const(a.saturating_mul(*b));
        }
        let (left, right) = (self.terms(), other.terms());
        let mut terms = Vec::with_capacity(left.len() * right.len());
        for (a, x) in &left {
            for (b, y) in &right {
                let monomial = a.iter().chain(b).cloned().collect();
                terms.push((monomial, x.saturating_mul(*y)));
            }
        }
        Dim::from_terms(terms)
    }
}

impl fmt::Display for Dim {
    /// As the language writes it: `2*B*H + 1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.show(&|var| var.name.to_string()))
    }
}

impl Dim {
    /// As the language writes it, variables as `name` says.
    pub fn show(&self, name: &dyn Fn(&DimVar) -> String) -> String {
        let terms = match self {
            Dim::Const(n) => return n.to_string(),
            Dim::Poly(terms) => terms,
        };
        let mut text = String::new();
        for (i, (monomial, coefficient)) in terms.iter().enumerate() {
            let sign = match (i, *coefficient < 0) {
                (0, false) => "",
                (0, true) => "-",
                (_, false) => " + ",
                (_, true) => " - ",
            };
            text.push_str(sign);
            let magnitude = coefficient.unsigned_abs();
            let mut factors: SmallVec<[String; 4]> = SmallVec::new();
            if magnitude != 1 || monomial.is_empty() {
                factors.push(magnitude.to_string());
            }
            factors.extend(monomial.iter().map(name));
            text.push_str(&factors.join("*"));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn var(id: u32, name: &str) -> Dim {
        Dim::var(DimVar { id, name: Arc::from(name) })
    }

    #[test]
    fn equal_functions_have_equal_forms() {
        let (b, h) = (var(0, "B"), var(1, "H"));
        let two = || Dim::Const(2);
        let left = (b.clone() + h.clone()) * (b.clone() - h.clone());
        let right = b.clone() * b.clone() - h.clone() * h.clone();
        assert_eq!(left, right);
        assert_eq!(b.clone() - b.clone(), Dim::Const(0));
        assert_eq!(two() * b.clone() - b.clone(), b);
        assert_ne!(b, h);
        assert_ne!(var(0, "B"), var(1, "B"), "names do not make variables equal");
        assert_eq!((b.clone() + two()).vars().len(), 1);
    }

    #[test]
    fn shown_as_the_language_writes_it() {
        let (b, h) = (var(0, "B"), var(1, "H"));
        let show = |d: &Dim| d.to_string();
        assert_eq!(show(&(b.clone() * h.clone() * Dim::Const(2) + Dim::Const(1))), "2*B*H + 1");
        assert_eq!(show(&(Dim::Const(3) - b.clone())), "-B + 3");
        assert_eq!(show(&(b.clone() - Dim::Const(2) * h)), "B - 2*H");
        assert_eq!(show(&Dim::Const(-4)), "-4");
    }

    #[test]
    fn division_is_exact_or_none() {
        let (b, h) = (var(0, "B"), var(1, "H"));
        let product = (b.clone() + Dim::Const(1)) * (h.clone() - Dim::Const(2));
        assert_eq!(
            product.div_exact(&(h.clone() - Dim::Const(2))),
            Some(b.clone() + Dim::Const(1))
        );
        assert_eq!(product.div_exact(&b), None);
        assert_eq!(Dim::Const(12).div_exact(&Dim::Const(4)), Some(Dim::Const(3)));
        assert_eq!(Dim::Const(12).div_exact(&Dim::Const(5)), None);
        assert_eq!(Dim::Const(12).div_exact(&Dim::Const(0)), None);
        assert_eq!(Dim::Const(0).div_exact(&b), Some(Dim::Const(0)));
    }

    #[test]
    fn substitution_keeps_what_is_not_named() {
        let (b, h) = (var(0, "B"), var(1, "H"));
        let size = b.clone() * h.clone() + b.clone();
        let at = |d: &Dim, x: Dim| d.substitute(&|v| (v.id == 0).then(|| x.clone()));
        assert_eq!(at(&size, Dim::Const(3)), Dim::Const(3) * h.clone() + Dim::Const(3));
        assert_eq!(at(&size, h.clone()), h.clone() * h.clone() + h);
    }
}
