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
    ("std.optim.rmsprop_torch", include_str!("../std/optim/rmsprop_torch.tx")),
    ("std.optim.adagrad_keras", include_str!("../std/optim/adagrad_keras.tx")),
    ("std.optim.adamax", include_str!("../std/optim/adamax.tx")),
    ("std.optim.nadam", include_str!("../std/optim/nadam.tx")),
    ("std.optim.lion", include_str!("../std/optim/lion.tx")),
    ("std.optim.adadelta", include_str!("../std/optim/adadelta.tx")),
    ("std.optim.clip", include_str!("../std/optim/clip.tx")),
    ("std.optim.schedule", include_str!("../std/optim/schedule.tx")),
    ("std.activation", include_str!("../std/activation.tx")),
    ("std.distance", include_str!("../std/distance.tx")),
    ("std.init", include_str!("../std/init.tx")),
    ("std.norm", include_str!("../std/norm.tx")),
    ("std.attention", include_str!("../std/attention.tx")),
    ("std.resize", include_str!("../std/resize.tx")),
];
