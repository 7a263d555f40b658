//! Why a call has no result, as data: what is wrong with which argument, and what made it wrong.

use super::sizes::{Datum, Misfit, Mismatch, Sizes, bind};
use crate::graph::{Dim, Origin, SizeError, TensorType};
use std::fmt;
use tensc_runtime::{DType, Shape};

/// An input of what is called: a leaf of a parameter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Input {
    /// Its path: `m.hidden.w`.
    pub name: String,
    /// Where it is declared, in a graph that a source made.
    pub origin: Origin,
}

/// An argument that told the value of a named size.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// The name.
    pub size: String,
    /// Its value.
    pub value: i64,
    /// The input whose argument told it.
    pub input: Input,
    /// The axis that did.
    pub axis: usize,
}

/// Why a call has no result.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CallError {
    /// The number of places for results is not that of the outputs.
    Places {
        /// Outputs.
        expected: usize,
        /// Places.
        found: usize,
    },
    /// The number of arguments is not that of the inputs.
    Count {
        /// Inputs.
        expected: usize,
        /// Arguments.
        found: usize,
        /// The first input that no argument is left for.
        missing: Option<Input>,
    },
    /// An argument is not of its input's type.
    Type {
        /// The input.
        input: Input,
        /// Its type, over named sizes where it has them.
        declared: TensorType,
        /// The argument's element type.
        dtype: DType,
        /// The argument's shape.
        shape: Shape,
        /// In which respect they differ.
        mismatch: Mismatch,
        /// Where the values of the named sizes in the declared axis come from.
        told: Vec<Told>,
    },
    /// No parameter tells a size of the result: `N` of `fn blank[N]() -> f32[N]`.
    Open {
        /// The function.
        function: String,
        /// The size.
        size: String,
    },
    /// The function has no meaning for the sizes of the arguments: one becomes negative.
    Size(SizeError),
    /// The graph is not one that can be compiled: it is not well formed, or has sizes without a
    /// value.
    Graph(String),
    /// The graph has no code: there is no memory for it, or none for this machine.
    Compile(String),
    /// There is no memory for what a call computes.
    Memory(String),
    /// An index was out of range while the code ran.
    Index {
        /// Where it was written.
        origin: Origin,
        /// What happened.
        message: String,
    },
}

impl CallError {
    /// Where in the source it is about: the index that was out of range, or the parameter that an
    /// argument does not fit.
    pub fn origin(&self) -> Option<Origin> {
        match self {
            CallError::Index { origin, .. } => Some(*origin),
            CallError::Size(error) => Some(error.origin),
            CallError::Type { input, .. } => Some(input.origin),
            CallError::Count { missing, .. } => missing.as_ref().map(|input| input.origin),
            CallError::Places { .. }
            | CallError::Open { .. }
            | CallError::Graph(_)
            | CallError::Compile(_)
            | CallError::Memory(_) => None,
        }
    }

    /// That there are fewer or more arguments than inputs.
    pub(crate) fn count(
        expected: usize,
        found: usize,
        input: impl Fn(usize) -> Input,
    ) -> CallError {
        let missing = (found < expected).then(|| input(found));
        CallError::Count { expected, found, missing }
    }

    /// That the argument which `misfit` names is not as it is declared.
    pub(crate) fn misfit(
        data: &[Datum<'_>],
        misfit: Misfit,
        input: impl Fn(usize) -> Input,
    ) -> CallError {
        let Datum { declared, dtype, shape } = &data[misfit.datum];
        let told = misfit.told.into_iter().map(|told| Told {
            size: told.size.name.to_string(),
            value: told.value,
            input: input(told.datum),
            axis: told.axis,
        });
        CallError::Type {
            input: input(misfit.datum),
            declared: (*declared).clone(),
            dtype: *dtype,
            shape: (*shape).clone(),
            mismatch: misfit.mismatch,
            told: told.collect(),
        }
    }

    /// What is wrong with a tensor that has to be of a known type.
    ///
    /// # Errors
    /// That it is of another type.
    pub(super) fn unless_of(
        (dtype, shape): (DType, &Shape),
        (wanted, wanted_shape): (DType, &Shape),
        input: impl Fn() -> Input,
    ) -> Result<(), CallError> {
        if dtype == wanted && shape == wanted_shape {
            return Ok(());
        }
        let sizes = wanted_shape.iter().map(|&size| Dim::from(size));
        let declared = TensorType::new(wanted, sizes);
        let data = [Datum { declared: &declared, dtype, shape }];
        let fits = bind(&data, &mut Sizes::default());
        fits.map_err(|misfit| CallError::misfit(&data, misfit, |_| input()))
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Places { expected, found } => {
                write!(f, "places for results: {expected} needed, {found} given")
            }
            CallError::Count { expected, found, missing } => {
                let (needed, given) = (arguments(*expected), arguments(*found));
                let (are, were) = (verb(*expected, "is"), verb(*found, "was"));
                write!(f, "{needed} {are} needed, {given} {were} given")?;
                match missing {
                    Some(input) => write!(f, ": `{}` has none", input.name),
                    None => Ok(()),
                }
            }
            CallError::Type { input, declared, dtype, shape, mismatch, told } => {
                let name = &input.name;
                write!(f, "`{name}` needs {declared}, found {dtype}{shape} ({mismatch}")?;
                told.iter().try_for_each(|told| write!(f, "; {told}"))?;
                f.write_str(")")
            }
            CallError::Open { function, size } => {
                write!(f, "no parameter of `{function}` tells the size `{size}`")
            }
            CallError::Size(error) => error.fmt(f),
            CallError::Graph(message)
            | CallError::Compile(message)
            | CallError::Memory(message) => f.write_str(message),
            CallError::Index { message, .. } => f.write_str(message),
        }
    }
}

impl std::error::Error for CallError {}

/// `N = 3 comes from axis 0 of `x``
impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Told { size, value, input, axis } = self;
        write!(f, "{size} = {value} comes from axis {axis} of `{}`", input.name)
    }
}

fn arguments(count: usize) -> String {
    format!("{count} argument{}", if count == 1 { "" } else { "s" })
}

/// The plural of `is` and `was` where it is that of many.
fn verb(count: usize, one: &'static str) -> &'static str {
    match (count, one) {
        (1, _) => one,
        (_, "is") => "are",
        _ => "were",
    }
}
