//! Programs that the tests of this module read, print, and damage.

/// Their names and texts.
pub(super) const ALL: &[(&str, &str)] = &[
    ("mnist.tx", include_str!("samples/mnist.tx")),
    ("forms.tx", include_str!("samples/forms.tx")),
];

/// Lines that do not fit.
pub(super) const LONG: &str = include_str!("samples/long.tx");
