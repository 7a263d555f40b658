//! Terms over elementwise operations, as text: `(add (mul ?x ?y) -0)`.
//!
//! A variable is one letter. A number matches a class whose every element is that number (the sign
//! of a zero counts, a type that cannot hold the number does not match); in a right side it stands
//! for such a tensor, of the type of the operand beside it or of the whole. Operands of commutative
//! operations match in both orders, so that no rule for commutativity has to make e-nodes.

use super::super::language::{ENode, Kind};
use super::super::site::{Ref, Site};
use crate::graph::MapOp;
use egg::Id;
use smallvec::SmallVec;
use tensc_runtime::{DType, Scalar};

/// What the variables of a term stand for.
#[derive(Clone, Copy, Default, Debug)]
pub struct Bound([Option<Id>; 26]);

impl Bound {
    /// The class that `?name` stands for. Panics where the left side has no such variable.
    pub fn get(&self, name: u8) -> Id {
        self.0[usize::from(name - b'a')].unwrap_or_else(|| panic!("?{} is bound", name as char))
    }
}

/// A term.
#[derive(Clone, PartialEq, Debug)]
pub enum Term {
    /// Any class; the same letter is the same class.
    Var(u8),
    /// A tensor of this number.
    Number(f64),
    /// An elementwise operation.
    Map(MapOp, Vec<Term>),
}

impl Term {
    /// Reads a term. Panics where it is malformed: rules are part of the program.
    pub fn parse(text: &str) -> Term {
        let spaced = text.replace('(', " ( ").replace(')', " ) ");
        let mut words = spaced.split_whitespace().peekable();
        let term = read(&mut words, text);
        assert!(words.next().is_none(), "one term: {text}");
        term
    }

    /// Finds the term at an e-node.
    pub fn match_node(&self, site: &Site<'_>, node: &ENode, bound: &mut Bound) -> bool {
        let Term::Map(op, operands) = self else { unreachable!("a left side is an operation") };
        if node.kind() != Kind::Map(*op) {
            return false;
        }
        let straight: &[usize] = &[0, 1, 2];
        let swapped: &[usize] = &[1, 0];
        let swaps = commutes(*op, site.dtype(node.children[0]));
        let orders = if swaps { &[straight, swapped][..] } else { &[straight][..] };
        for order in orders {
            let mut attempt = *bound;
            let operands = operands.iter().zip(order.iter());
            if operands
                .into_iter()
                .all(|(t, &at)| t.match_class(site, node.children[at], &mut attempt))
            {
                *bound = attempt;
                return true;
            }
        }
        false
    }

    fn match_class(&self, site: &Site<'_>, class: Id, bound: &mut Bound) -> bool {
        match self {
            Term::Var(name) => {
                let slot = &mut bound.0[usize::from(name - b'a')];
                match *slot {
                    Some(id) => site.same(id, class),
                    None => {
                        *slot = Some(class);
                        true
                    }
                }
            }
            Term::Number(x) => {
                site.constant(class).is_some_and(|c| number(c.dtype(), *x) == Some(c))
            }
            Term::Map(op, _) => {
                site.nodes(class, Kind::Map(*op)).any(|n| self.match_node(site, n, bound))
            }
        }
    }

    /// Builds the term; `like` is what its type is known from. `None` where a number has no
    /// counterpart in the type, or an operation does not take it.
    pub fn build(&self, site: &mut Site<'_>, bound: &Bound, like: Ref) -> Option<Ref> {
        match self {
            Term::Var(name) => Some(Ref::Class(bound.get(*name))),
            Term::Number(x) => {
                let ty = site.ty(like);
                let value = number(ty.dtype, *x)?;
                Some(site.splat(value, &ty.shape))
            }
            Term::Map(op, operands) => {
                let typed = operands.iter().rev().find(|t| !matches!(t, Term::Number(_)));
                let like = match typed {
                    Some(term) => term.build(site, bound, like)?,
                    None => like,
                };
                let operands: Option<SmallVec<[Ref; 3]>> =
                    operands.iter().map(|t| t.build(site, bound, like)).collect();
                let operands = operands?;
                let last = *operands.last().expect("an operation has operands");
                let accepted = op.row().takes.accepts(site.ty(last).dtype);
                accepted.then(|| site.map(*op, &operands))
            }
        }
    }
}

/// The element `x` of a type, where the type has it.
fn number(dtype: DType, x: f64) -> Option<Scalar> {
    let value = Scalar::from_f64(dtype, x);
    (dtype.is_float() || value.to_f64() == x).then_some(value)
}

/// Whether the operands may be swapped, to the bit. Of two zeros of floats, `max` and `min` take
/// the second.
pub fn commutes(op: MapOp, dtype: DType) -> bool {
    let extreme = matches!(op, MapOp::Max | MapOp::Min);
    extreme && !dtype.is_float()
        || matches!(
            op,
            MapOp::Add | MapOp::Mul | MapOp::And | MapOp::Or | MapOp::Xor | MapOp::Eq | MapOp::Ne
        )
}

fn read<'t>(words: &mut impl Iterator<Item = &'t str>, text: &str) -> Term {
    let word = words.next().unwrap_or_else(|| panic!("unfinished term: {text}"));
    if let Some(name) = word.strip_prefix('?') {
        assert!(name.len() == 1, "variables are one letter: {text}");
        return Term::Var(name.as_bytes()[0]);
    }
    if word != "(" {
        return Term::Number(word.parse().unwrap_or_else(|_| panic!("{word} in {text}")));
    }
    let name = words.next().unwrap_or_else(|| panic!("unfinished term: {text}"));
    let op = MapOp::from_name(name).unwrap_or_else(|| panic!("no operation {name}: {text}"));
    let operands: Vec<Term> = (0..op.row().arity).map(|_| read(words, text)).collect();
    assert_eq!(words.next(), Some(")"), "operands of {name}: {text}");
    Term::Map(op, operands)
}
