//! The standard library: plain `.tx` files, embedded.

/// Every module with its text.
pub(crate) const MODULES: &[(&str, &str)] = &[
    ("std.prelude", include_str!("../std/prelude.tx")),
    ("std.nn", include_str!("../std/nn.tx")),
    ("std.loss", include_str!("../std/loss.tx")),
    ("std.optim.sgd", include_str!("../std/optim/sgd.tx")),
    ("std.optim.momentum", include_str!("../std/optim/momentum.tx")),
    ("std.optim.nesterov", include_str!("../std/optim/nesterov.tx")),
    ("std.optim.adagrad", include_str!("../std/optim/adagrad.tx")),
    ("std.optim.rmsprop", include_str!("../std/optim/rmsprop.tx")),
    ("std.optim.adam", include_str!("../std/optim/adam.tx")),
    ("std.optim.adamw", include_str!("../std/optim/adamw.tx")),
];
