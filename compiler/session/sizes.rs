//! Solving named sizes from the shapes of data.

use crate::graph::{Dim, DimVar, TensorType};
use rustc_hash::FxHashMap;
use std::fmt;
use tensc_runtime::{DType, Shape};

/// The values of named sizes.
pub type Sizes = FxHashMap<DimVar, i64>;

/// How data differs from its declared type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mismatch {
    /// Declared and found element type.
    DType(DType, DType),
    /// Declared and found rank.
    Rank(usize, usize),
    /// Along one axis.
    Size {
        /// The axis.
        axis: usize,
        /// The size as declared.
        declared: Dim,
        /// The same with the sizes bound so far.
        expected: Dim,
        /// What the data has.
        found: usize,
    },
    /// Along one axis: nothing tells the names in the declared size.
    Open {
        /// The axis.
        axis: usize,
        /// The size as declared.
        declared: Dim,
    },
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mismatch::DType(want, have) => write!(f, "declared {want}, found {have}"),
            Mismatch::Rank(want, have) => write!(f, "declared rank {want}, found rank {have}"),
            Mismatch::Size { axis, declared, expected, found } if declared == expected => {
                write!(f, "axis {axis} is declared {declared}, found {found}")
            }
            Mismatch::Size { axis, declared, expected, found } => {
                write!(f, "axis {axis} is declared {declared} = {expected}, found {found}")
            }
            Mismatch::Open { axis, declared } => {
                write!(f, "nothing tells the names in axis {axis}, declared {declared}")
            }
        }
    }
}

/// Data and its declared type.
pub struct Datum<'a> {
    /// The type.
    pub declared: &'a TensorType,
    /// The data's element type.
    pub dtype: DType,
    /// The data's shape.
    pub shape: &'a Shape,
}

/// A datum that gave a named size its value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Teller {
    /// The name.
    pub size: DimVar,
    /// Its value.
    pub value: i64,
    /// The number of the datum.
    pub datum: usize,
    /// Its axis.
    pub axis: usize,
}

/// A datum that is not as it is declared.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Misfit {
    /// Its number.
    pub datum: usize,
    /// How they differ.
    pub mismatch: Mismatch,
    /// Which of the data gave their values to the names in the declared size.
    pub told: Vec<Teller>,
}

/// Checks data against declared types. A size in which one name has no value yet, and occurs once
/// and linearly, gives the name the value that the data asks for: `N`, `4 * N`, `N + 1`. Every
/// other size must agree.
///
/// # Errors
/// The first datum that differs; `sizes` may then have been extended.
pub fn bind(data: &[Datum<'_>], sizes: &mut Sizes) -> Result<(), Misfit> {
    let misfit = |datum: usize, mismatch| Misfit { datum, mismatch, told: Vec::new() };
    let mut open: Vec<(usize, usize)> = Vec::new();
    let mut told: Vec<Teller> = Vec::new();
    for (number, Datum { declared, dtype, shape }) in data.iter().enumerate() {
        if declared.dtype != *dtype {
            return Err(misfit(number, Mismatch::DType(declared.dtype, *dtype)));
        }
        if declared.rank() != shape.rank() {
            return Err(misfit(number, Mismatch::Rank(declared.rank(), shape.rank())));
        }
        open.extend((0..declared.rank()).map(|axis| (number, axis)));
    }
    // What one axis tells may be what another waits for.
    while !open.is_empty() {
        let before = open.len();
        let mut waiting = Vec::new();
        for (number, axis) in open {
            let (size, found) = (&data[number].declared.shape[axis], data[number].shape[axis]);
            let expected = size.substitute(&|var| sizes.get(var).map(|n| Dim::Const(*n)));
            match (expected.known(), solve(&expected, found as i64)) {
                (Some(n), _) if n == found as i64 => {}
                (None, Solved::Is(var, n)) => {
                    sizes.insert(var.clone(), n);
                    told.push(Teller { size: var, value: n, datum: number, axis });
                }
                (None, Solved::Not) => waiting.push((number, axis)),
                _ => {
                    let (declared, vars) = (size.clone(), size.vars());
                    told.retain(|told| vars.contains(&told.size));
                    let mismatch = Mismatch::Size { axis, declared, expected, found };
                    return Err(Misfit { datum: number, mismatch, told });
                }
            }
        }
        open = waiting;
        if open.len() == before {
            let (number, axis) = open[0];
            let declared = data[number].declared.shape[axis].clone();
            return Err(misfit(number, Mismatch::Open { axis, declared }));
        }
    }
    Ok(())
}

/// What an equation tells.
enum Solved {
    /// The value of a name.
    Is(DimVar, i64),
    /// That it cannot hold.
    Never,
    /// Nothing yet.
    Not,
}

/// Solves `size = found` where `size` is linear in a single name.
fn solve(size: &Dim, found: i64) -> Solved {
    let [var] = &size.vars()[..] else { return Solved::Not };
    let at = |n: i64| size.substitute(&|_| Some(Dim::Const(n))).known();
    let (Some(offset), Some(one)) = (at(0), at(1)) else { return Solved::Not };
    let Some(factor) = one.checked_sub(offset) else { return Solved::Not };
    let linear = Dim::Const(factor) * Dim::var(var.clone()) + Dim::Const(offset);
    if factor == 0 || linear != *size {
        return Solved::Not;
    }
    let n = found.checked_sub(offset).filter(|rest| rest % factor == 0).map(|rest| rest / factor);
    match n.filter(|n| *n >= 0) {
        Some(n) => Solved::Is(var.clone(), n),
        None => Solved::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn solved(declared: &[Dim], shape: &[usize]) -> Result<Vec<(String, i64)>, String> {
        let declared = TensorType::new(DType::F32, declared.to_vec());
        let shape = Shape::new(shape);
        let datum = Datum { declared: &declared, dtype: DType::F32, shape: &shape };
        let mut sizes = Sizes::default();
        bind(&[datum], &mut sizes).map_err(|misfit| misfit.mismatch.to_string())?;
        let mut sizes: Vec<(String, i64)> =
            sizes.into_iter().map(|(var, n)| (var.name.to_string(), n)).collect();
        sizes.sort();
        Ok(sizes)
    }

    #[test]
    fn linear_sizes_are_solved_in_any_order() {
        let named = |id: u32, name: &str| Dim::var(DimVar { id, name: name.into() });
        let (n, m) = (|| named(0, "N"), || named(1, "M"));
        let of = |pairs: &[(&str, i64)]| {
            Ok(pairs.iter().map(|(name, n)| (name.to_string(), *n)).collect::<Vec<_>>())
        };
        assert_eq!(solved(&[n()], &[3]), of(&[("N", 3)]));
        assert_eq!(solved(&[n() * Dim::Const(4)], &[12]), of(&[("N", 3)]));
        assert_eq!(solved(&[n() + m(), n() + Dim::Const(1)], &[5, 3]), of(&[("M", 3), ("N", 2)]));
        assert_eq!(solved(&[n(), n() * n()], &[3, 9]), of(&[("N", 3)]));
        insta::assert_snapshot!(
            solved(&[n() * Dim::Const(4)], &[10]).expect_err("10 is no multiple of 4"),
            @"axis 0 is declared 4*N, found 10"
        );
        insta::assert_snapshot!(
            solved(&[n() + Dim::Const(2)], &[1]).expect_err("N is not negative"),
            @"axis 0 is declared N + 2, found 1"
        );
        insta::assert_snapshot!(
            solved(&[n(), n() + Dim::Const(1)], &[3, 3]).expect_err("4 is not 3"),
            @"axis 1 is declared N + 1 = 4, found 3"
        );
        insta::assert_snapshot!(
            solved(&[n() * m()], &[6]).expect_err("2 * 3, or 6 * 1?"),
            @"nothing tells the names in axis 0, declared N*M"
        );
        // As N at 0, 1 and 2, and nowhere else.
        let times = |factor: i64, of: Dim| Dim::Const(factor) * of;
        let cubic = n() * n() * n() - times(3, n() * n()) + times(3, n());
        insta::assert_snapshot!(
            solved(&[cubic], &[9]).expect_err("9 = 3^3 - 3 * 3^2 + 3 * 3"),
            @"nothing tells the names in axis 0, declared N*N*N - 3*N*N + 3*N"
        );
    }
}
