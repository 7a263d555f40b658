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
    ("std.optim.adamax_torch", include_str!("../std/optim/adamax_torch.tx")),
    ("std.optim.nadam", include_str!("../std/optim/nadam.tx")),
    ("std.optim.radam", include_str!("../std/optim/radam.tx")),
    ("std.optim.rprop", include_str!("../std/optim/rprop.tx")),
    ("std.optim.lion", include_str!("../std/optim/lion.tx")),
    ("std.optim.lamb", include_str!("../std/optim/lamb.tx")),
    ("std.optim.ftrl", include_str!("../std/optim/ftrl.tx")),
    ("std.optim.adafactor", include_str!("../std/optim/adafactor.tx")),
    ("std.optim.muon", include_str!("../std/optim/muon.tx")),
    ("std.optim.rmsprop_centred", include_str!("../std/optim/rmsprop_centred.tx")),
    ("std.optim.rmsprop_momentum", include_str!("../std/optim/rmsprop_momentum.tx")),
    ("std.optim.rmsprop_momentum_torch", include_str!("../std/optim/rmsprop_momentum_torch.tx")),
    ("std.optim.rmsprop_centred_torch", include_str!("../std/optim/rmsprop_centred_torch.tx")),
    ("std.optim.momentum_damped", include_str!("../std/optim/momentum_damped.tx")),
    ("std.optim.asgd", include_str!("../std/optim/asgd.tx")),
    ("std.optim.adafactor_torch", include_str!("../std/optim/adafactor_torch.tx")),
    ("std.optim.schedule_free_adamw", include_str!("../std/optim/schedule_free_adamw.tx")),
    ("std.optim.adadelta", include_str!("../std/optim/adadelta.tx")),
    ("std.optim.amsgrad", include_str!("../std/optim/amsgrad.tx")),
    ("std.optim.average", include_str!("../std/optim/average.tx")),
    ("std.optim.clip", include_str!("../std/optim/clip.tx")),
    ("std.optim.schedule", include_str!("../std/optim/schedule.tx")),
    ("std.activation", include_str!("../std/activation.tx")),
    ("std.distance", include_str!("../std/distance.tx")),
    ("std.init", include_str!("../std/init.tx")),
    ("std.norm", include_str!("../std/norm.tx")),
    ("std.attention", include_str!("../std/attention.tx")),
    ("std.resize", include_str!("../std/resize.tx")),
    ("std.conv", include_str!("../std/conv.tx")),
    ("std.recurrent", include_str!("../std/recurrent.tx")),
    ("std.random", include_str!("../std/random.tx")),
    ("std.linalg", include_str!("../std/linalg.tx")),
    ("std.special", include_str!("../std/special.tx")),
    ("std.bessel", include_str!("../std/bessel.tx")),
    ("std.polynomial", include_str!("../std/polynomial.tx")),
    ("std.fourier", include_str!("../std/fourier.tx")),
    ("std.stats", include_str!("../std/stats.tx")),
    ("std.metric", include_str!("../std/metric.tx")),
    ("std.noise", include_str!("../std/noise.tx")),
    ("std.augment", include_str!("../std/augment.tx")),
    ("std.penalty", include_str!("../std/penalty.tx")),
];

/// What to import for a name: items of that name, or a module that ends with it.
pub(crate) fn homes(name: &str) -> Vec<String> {
    let modules = MODULES.iter().filter(|(module, _)| *module != PRELUDE);
    let home = |(module, text): &(&str, &str)| match has(text, name) {
        true => Some(format!("{module}.{name}")),
        false => module.strip_suffix(name)?.ends_with('.').then(|| module.to_string()),
    };
    modules.filter_map(home).collect()
}

/// Whether the prelude has a function of this name.
pub(crate) fn in_prelude(name: &str) -> bool {
    MODULES.iter().any(|(module, text)| *module == PRELUDE && has(text, name))
}

/// Whether a function or struct of the module has this name; those that only it sees have none.
fn has(text: &str, name: &str) -> bool {
    let items = text
        .lines()
        .filter_map(|line| line.strip_prefix("fn ").or_else(|| line.strip_prefix("struct ")));
    !name.starts_with('_')
        && items
            .filter_map(|rest| rest.strip_prefix(name))
            .any(|after| after.starts_with(['(', '[', ' ']))
}

const PRELUDE: &str = "std.prelude";
