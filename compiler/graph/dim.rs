//! Sizes: integers, or polynomials over named dimensions and quotients of such.
//!
//! Invariant: a [`Dim`] is in normal form (monomials sorted, no zero coefficients), so that two
//! sizes are the same function of the named dimensions exactly when they are `==`.
//!
//! Coefficients are `i64`. The operators saturate: a size at that end is beyond what memory holds,
//! which whoever makes a tensor of it reports. The checker folds a user's numbers by the checked
//! functions.

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

/// A factor of a term of a size that is not known.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Factor {
    /// A named dimension.
    Var(DimVar),
    /// The quotient toward zero of a size by a number above 1 that does not divide all its terms.
    Quotient(Arc<(Dim, i64)>),
}

/// A product of factors, sorted; empty for the constant term.
type Monomial = SmallVec<[Factor; 2]>;

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
        Dim::factor(Factor::Var(var))
    }

    fn factor(factor: Factor) -> Dim {
        Dim::Poly(Arc::new(vec![(SmallVec::from_iter([factor]), 1)]))
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
                [(m, 1)] => match m.as_slice() {
                    [Factor::Var(var)] => Some(var),
                    _ => None,
                },
                _ => None,
            },
            Dim::Const(_) => None,
        }
    }

    /// What is added to the terms with variables.
    pub fn constant_term(&self) -> i64 {
        match self {
            Dim::Const(n) => *n,
            Dim::Poly(terms) => terms.iter().find(|(m, _)| m.is_empty()).map_or(0, |(_, n)| *n),
        }
    }

    /// `self % by`, where it is one number for all sizes, which are at least 0: `2*N + 5` by 2 is
    /// 1. A quotient may be below 0.
    pub fn remainder(&self, by: i64) -> Option<i64> {
        let (rest, terms) = (self.constant_term(), self.terms());
        let sizes = |m: &Monomial| m.iter().all(|factor| matches!(factor, Factor::Var(_)));
        let whole = |(m, n): &(Monomial, i64)| *n >= 0 && (m.is_empty() || n % by == 0 && sizes(m));
        (by > 0 && terms.iter().all(whole)).then(|| rest % by)
    }

    /// Whether it falls, and never rises, with the sizes in it: `-H`, `1 - 2*H`; a number, whether
    /// it is below 0.
    pub fn has_negative_terms_only(&self) -> bool {
        match self {
            Dim::Const(n) => *n < 0,
            Dim::Poly(terms) => terms.iter().all(|(m, n)| m.is_empty() || *n < 0),
        }
    }

    /// Every variable that occurs.
    pub fn vars(&self) -> Vec<DimVar> {
        let of = |factor| match factor {
            Factor::Var(var) => vec![var],
            Factor::Quotient(quotient) => quotient.0.vars(),
        };
        let factors = self.terms().into_iter().flat_map(|(m, _)| m);
        let mut vars: Vec<DimVar> = factors.flat_map(of).collect();
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
            for factor in monomial {
                let value = match factor {
                    Factor::Var(var) => values(var),
                    Factor::Quotient(quotient) => {
                        let (of, by) = (quotient.0.substitute(values), quotient.1);
                        let left = || Dim::factor(Factor::Quotient(Arc::new((of.clone(), by))));
                        Some(of.quotient(by).unwrap_or_else(left))
                    }
                };
                product = product * value.unwrap_or_else(|| Dim::factor(factor.clone()));
            }
            sum = sum + product;
        }
        sum
    }

    /// `self / by` as [`Dim::div_exact`] has it, or else toward zero.
    pub fn over(&self, by: &Dim) -> Option<Dim> {
        self.div_exact(by).or_else(|| self.quotient(by.known()?))
    }

    /// `self / by` toward zero, for a number above 0: `(N / 3)` where the division is not exact.
    pub fn quotient(&self, by: i64) -> Option<Dim> {
        let terms = match (self, self.div_exact(&Dim::Const(by))) {
            _ if by <= 0 => return None,
            (_, Some(exact)) => return Some(exact),
            (Dim::Const(n), None) => return Some(Dim::Const(n / by)),
            (Dim::Poly(terms), None) => terms,
        };
        // Toward zero, `-a / b` is `-(a / b)`.
        if terms[0].1 < 0 {
            let positive = Dim::Const(0).checked_sub(self)?.quotient(by)?;
            return Dim::Const(0).checked_sub(&positive);
        }
        let common = terms.iter().fold(by, |common, (_, n)| common_divisor(common, *n));
        let of = Dim::exact(terms.iter().map(|(m, n)| (m.clone(), n / common)).collect())?;
        Some(Dim::factor(Factor::Quotient(Arc::new((of, by / common)))))
    }

    /// A size and the number it is divided by, where some division in this one is not exact.
    pub fn broken(&self) -> Option<(Dim, i64)> {
        self.terms().into_iter().flat_map(|(m, _)| m).find_map(|factor| match factor {
            Factor::Var(_) => None,
            Factor::Quotient(quotient) => Some((*quotient).clone()),
        })
    }

    /// `self / by` where that is exact as a polynomial.
    pub fn div_exact(&self, by: &Dim) -> Option<Dim> {
        let (lead, lead_coefficient) = by.terms().first()?.clone();
        let (mut rest, mut quotient) = (self.terms(), Vec::new());
        while let Some((monomial, coefficient)) = rest.first().cloned() {
            let mut factor = monomial;
            for var in &lead {
                let at = factor.iter().position(|v| v == var)?;
                factor.remove(at);
            }
            if coefficient.checked_rem(lead_coefficient)? != 0 {
                return None;
            }
            let term = (factor, coefficient / lead_coefficient);
            let taken = Dim::exact(vec![term.clone()])?.checked_mul(by)?;
            rest = Dim::exact(rest)?.checked_sub(&taken)?.terms();
            quotient.push(term);
        }
        Dim::exact(quotient)
    }

    /// The sum, where its coefficients are `i64`.
    pub fn checked_add(&self, other: &Dim) -> Option<Dim> {
        fitting(sum(self, other, 1))
    }

    /// The difference, where its coefficients are `i64`.
    pub fn checked_sub(&self, other: &Dim) -> Option<Dim> {
        fitting(sum(self, other, -1))
    }

    /// The product, where its coefficients are `i64`.
    pub fn checked_mul(&self, other: &Dim) -> Option<Dim> {
        fitting(product(self, other))
    }

    fn terms(&self) -> Vec<(Monomial, i64)> {
        match self {
            Dim::Const(0) => Vec::new(),
            Dim::Const(n) => vec![(Monomial::new(), *n)],
            Dim::Poly(terms) => terms.to_vec(),
        }
    }

    fn exact(terms: Vec<(Monomial, i64)>) -> Option<Dim> {
        fitting(normal(terms.into_iter().map(|(monomial, n)| (monomial, i128::from(n)))))
    }
}

/// Terms in normal form before it is known whether their coefficients fit `i64`.
type Terms = Vec<(Monomial, i128)>;

/// Normal form: by descending degree, then by variables; like terms added.
fn normal(terms: impl IntoIterator<Item = (Monomial, i128)>) -> Terms {
    let mut sums: FxHashMap<Monomial, i128> = FxHashMap::default();
    for (mut monomial, coefficient) in terms {
        monomial.sort();
        let sum = sums.entry(monomial).or_default();
        *sum = sum.saturating_add(coefficient);
    }
    let mut terms: Terms = sums.into_iter().filter(|(_, c)| *c != 0).collect();
    terms.sort_by(|(a, _), (b, _)| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
    terms
}

/// The greatest divisor of a number above 0 and any other.
fn common_divisor(a: i64, b: i64) -> i64 {
    let (mut a, mut b) = (a, b.rem_euclid(a));
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// `left + sign * right`
fn sum(left: &Dim, right: &Dim, sign: i128) -> Terms {
    let left = left.terms().into_iter().map(|(monomial, n)| (monomial, i128::from(n)));
    let right = right.terms().into_iter().map(|(monomial, n)| (monomial, sign * i128::from(n)));
    normal(left.chain(right))
}

fn product(left: &Dim, right: &Dim) -> Terms {
    let (left, right) = (left.terms(), right.terms());
    normal(left.iter().flat_map(|(a, x)| {
        right.iter().map(|(b, y)| {
            let monomial = a.iter().chain(b).cloned().collect();
            (monomial, i128::from(*x) * i128::from(*y))
        })
    }))
}

/// The size of these terms, where their coefficients are `i64`.
fn fitting(terms: Terms) -> Option<Dim> {
    let fits = |(monomial, n): (Monomial, i128)| Some((monomial, i64::try_from(n).ok()?));
    Some(made(terms.into_iter().map(fits).collect::<Option<_>>()?))
}

/// The size of these terms; what is beyond `i64` is its end, which no tensor has room for.
fn saturated(terms: Terms) -> Dim {
    let end = |n: i128| n.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64;
    made(terms.into_iter().map(|(monomial, n)| (monomial, end(n))).collect())
}

fn made(terms: Vec<(Monomial, i64)>) -> Dim {
    match terms.as_slice() {
        [] => Dim::Const(0),
        [(monomial, n)] if monomial.is_empty() => Dim::Const(*n),
        _ => Dim::Poly(Arc::new(terms)),
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
        match (&self, &other) {
            (Dim::Const(a), Dim::Const(b)) => Dim::Const(a.saturating_add(*b)),
            _ => saturated(sum(&self, &other, 1)),
        }
    }
}

impl Sub for Dim {
    type Output = Dim;
    fn sub(self, other: Dim) -> Dim {
        match (&self, &other) {
            (Dim::Const(a), Dim::Const(b)) => Dim::Const(a.saturating_sub(*b)),
            _ => saturated(sum(&self, &other, -1)),
        }
    }
}

impl Mul for Dim {
    type Output = Dim;
    fn mul(self, other: Dim) -> Dim {
        match (&self, &other) {
            (Dim::Const(a), Dim::Const(b)) => Dim::Const(a.saturating_mul(*b)),
            _ => saturated(product(&self, &other)),
        }
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
            factors.extend(monomial.iter().map(|factor| match factor {
                Factor::Var(var) => name(var),
                Factor::Quotient(quotient) => {
                    format!("({} / {})", quotient.0.show(name), quotient.1)
                }
            }));
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
    fn quotients_are_exact_or_sizes_of_their_own() {
        let (n, three) = (var(0, "N"), Dim::Const(3));
        let third = n.quotient(3).expect("N is not below 0");
        assert_eq!(third.to_string(), "(N / 3)");
        assert_eq!((third.vars().len(), third.as_var()), (1, None));
        assert_eq!((three.clone() * n.clone()).quotient(3), Some(n.clone()));
        assert_eq!(
            (Dim::Const(8) * n.clone()).quotient(10).expect("as N").to_string(),
            "(4*N / 5)"
        );
        assert_eq!((Dim::Const(2) * n.clone()).quotient(6), Some(third.clone()));
        assert_eq!(third.clone() + (n.clone() - third.clone()), n, "equal ones cancel");
        assert_eq!(third.broken(), Some((n.clone(), 3)));
        let at = |size: &Dim, n: i64| size.substitute(&|_| Some(Dim::Const(n))).known();
        assert_eq!([0, 2, 3, 11].map(|n| at(&third, n)), [Some(0), Some(0), Some(1), Some(3)]);
        let below = (n.clone() - Dim::Const(1)).quotient(2).expect("it is 0 for 0");
        assert_eq!([0, 1, 2, 3].map(|n| at(&below, n)), [Some(0), Some(0), Some(0), Some(1)]);
        let sixth = third.quotient(2).expect("as N");
        assert_eq!((sixth.to_string(), at(&sixth, 12)), ("((N / 3) / 2)".to_string(), Some(2)));
        let minus = Dim::Const(0) - n.clone();
        assert_eq!(minus.quotient(3), Some(Dim::Const(0) - third.clone()));
        assert_eq!((Dim::Const(-7).quotient(2), n.quotient(0)), (Some(Dim::Const(-3)), None));
        let less = (n - three).quotient(2).expect("toward zero as well below 0");
        assert_eq!([0, 1, 2, 7].map(|n| at(&less, n)), [Some(-1), Some(-1), Some(0), Some(2)]);
        assert_eq!((Dim::Const(2) * less).remainder(2), None, "it may be below 0");
    }

    #[test]
    fn remainders_are_known_where_they_are_one_number() {
        let (b, h) = (var(0, "B"), var(1, "H"));
        let size = Dim::Const(6) * b.clone() * h.clone() + Dim::Const(2) * h.clone();
        let odd = size.clone() + Dim::Const(7);
        assert_eq!((odd.remainder(2), odd.constant_term()), (Some(1), 7));
        assert_eq!(size.remainder(2), Some(0));
        assert_eq!(size.remainder(3), None);
        assert_eq!((size.clone() - Dim::Const(1)).remainder(2), None, "it is -1 where H is 0");
        assert_eq!((size - Dim::Const(2) * b).remainder(2), None, "it may be below 0");
        assert_eq!((odd.remainder(0), odd.remainder(-2)), (None, None));
    }

    #[test]
    fn what_only_falls_with_its_sizes_is_told_from_what_may_rise() {
        let (b, h) = (var(0, "B"), var(1, "H"));
        let minus = |d: &Dim| Dim::Const(0) - d.clone();
        assert!(minus(&h).has_negative_terms_only());
        assert!((Dim::Const(1) - h.clone() * b.clone()).has_negative_terms_only());
        assert!(!(b.clone() - h.clone()).has_negative_terms_only());
        assert!(Dim::Const(-1).has_negative_terms_only());
        assert!(!Dim::Const(0).has_negative_terms_only());
    }

    #[test]
    fn coefficients_are_checked_or_end_where_i64_does() {
        let (b, most, least) = (var(0, "B"), Dim::Const(i64::MAX), Dim::Const(i64::MIN));
        let one = Dim::Const(1);
        assert_eq!(most.checked_add(&one), None);
        assert_eq!(most.clone() + one.clone(), most);
        assert_eq!(least.checked_sub(&one), None);
        assert_eq!(most.checked_sub(&least), None);
        assert_eq!(least.div_exact(&Dim::Const(-1)), None, "2^63 is no i64");
        assert_eq!(most.checked_mul(&most), None);
        let many = b.checked_mul(&most).expect("it fits");
        assert_eq!(many.checked_add(&b), None);
        assert_eq!(many.clone() + b.clone(), many);
        let square = |x: &Dim| x.checked_mul(x);
        let large = b.checked_add(&Dim::Const(3_037_000_500)).expect("it fits");
        assert_eq!(square(&large), None);
        assert_eq!(many.checked_sub(&many), Some(Dim::Const(0)));
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
