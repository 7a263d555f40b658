//! Names that are nearly right, names that an import would bring, and names of other libraries.

use super::library;
use crate::diag::Diagnostic;

/// Longer words are not compared: the time is the product of both lengths.
const LONGEST: usize = 64;

/// The candidate that is closest to what was written, where it is close enough to be meant.
pub fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    // Short names are near to everything: of one or two letters only the case may differ.
    let length = written.chars().count();
    let limit = length / 3;
    if length > LONGEST {
        return None;
    }
    candidates
        .into_iter()
        .filter(|c| *c != written && c.chars().count().abs_diff(length) <= limit)
        .map(|c| (distance(written, c), c))
        .filter(|(d, _)| *d <= limit)
        .min()
        .map(|(_, c)| c.to_string())
}

/// Adds what to write in the place of a name that is not defined, if one of `known` is near, the
/// library has it, or another library.
pub(crate) fn instead<'a>(
    diagnostic: Diagnostic,
    written: &str,
    known: impl IntoIterator<Item = &'a str>,
) -> Diagnostic {
    let homes = library::homes(written);
    let elsewhere = ELSEWHERE.iter().find(|(name, _)| *name == written);
    match (homes.as_slice(), elsewhere, nearest(written, known)) {
        ([home], Some((_, here)), _) => {
            diagnostic.help(format!("write {here}; another `{written}` is in the library: {home}"))
        }
        ([home], None, _) => diagnostic.help(format!("it is in the library: import {home}")),
        ([first, .., last], _, _) => {
            diagnostic.help(format!("it is in the library: import {first}, or {last}"))
        }
        ([], Some((_, here)), _) => diagnostic.help(format!("write {here}")),
        ([], None, Some(near)) => diagnostic.help(format!("did you mean `{near}`?")),
        ([], None, None) => diagnostic,
    }
}

/// What to write for a name that stands for nothing before `.member`, given as `after`: what other
/// libraries call a module, or one of the library that is not imported.
pub(crate) fn module(written: &str, after: &str) -> Option<String> {
    let letter = |c: char| c.is_alphanumeric() || c == '_';
    let member = after.strip_prefix('.')?.split(|c| !letter(c)).next()?;
    if written == "std" {
        return Some(format!("import it: `import std.{member}`, and write {member}.name"));
    }
    let known = super::builtin::find(member).is_some() || library::in_prelude(member);
    // A name that leads somewhere itself does not need its member's.
    let leads =
        !library::homes(written).is_empty() || ELSEWHERE.iter().any(|(name, _)| *name == written);
    match library::homes(member).as_slice() {
        _ if leads => None,
        _ if known => Some(format!("write {member}(…)")),
        [home, ..] => Some(format!("`{member}` is in the library: import {home}")),
        [] => None,
    }
}

/// What to write for something that is called as a method, or read as a field, of `of` elsewhere.
pub(crate) fn method(written: &str, of: &str) -> Option<String> {
    if super::builtin::find(written).is_some() || library::in_prelude(written) {
        return Some(format!("write {written}({of}, …)"));
    }
    ELSEWHERE.iter().find(|(name, _)| *name == written).map(|(_, here)| format!("write {here}"))
}

/// The one of these parameters that another library calls so.
pub(crate) fn parameter<'a>(written: &str, names: &[&'a str]) -> Option<&'a str> {
    let here =
        PARAMETERS.iter().filter(|(elsewhere, _)| *elsewhere == written).map(|(_, here)| *here);
    here.into_iter().find_map(|here| names.iter().find(|name| **name == here).copied())
}

/// What is written instead of a text that other libraries take for a parameter.
pub(crate) fn value(parameter: &str, text: &str) -> Option<&'static str> {
    let found = VALUES.iter().find(|(name, value, _)| *name == parameter && *value == text);
    found.map(|(_, _, help)| *help)
}

/// Texts that other libraries take for parameters, and what to write.
const VALUES: &[(&str, &str, &str)] = &[
    ("padding", "same", "write same = true"),
    ("padding", "SAME", "write same = true"),
    ("padding", "valid", "leave it out: nothing is added"),
    ("padding", "VALID", "leave it out: nothing is added"),
    ("padding", "causal", "write causal = true"),
];

/// What NumPy, PyTorch, JAX and Keras call parameters, and what they are called here.
const PARAMETERS: &[(&str, &str)] = &[
    ("dim", "axis"),
    ("dims", "axis"),
    ("axes", "axis"),
    ("keepdims", "keep"),
    ("keepdim", "keep"),
    ("strides", "stride"),
    ("pad", "padding"),
    ("kernel_size", "window"),
    ("pool_size", "window"),
    ("momentum", "mu"),
    ("weight_decay", "decay"),
    ("learning_rate", "lr"),
    ("ddof", "correction"),
    ("epsilon", "eps"),
    ("depth", "size"),
    ("ord", "p"),
    ("num_classes", "size"),
    ("argnums", "wrt"),
    ("in_axes", "axes"),
    ("out_axes", "out"),
];

/// What NumPy, PyTorch, JAX and Keras call otherwise, and what to write.
const ELSEWHERE: &[(&str, &str)] = &[
    ("np", "the function's name alone"),
    ("numpy", "the function's name alone"),
    ("jnp", "the function's name alone"),
    ("jax", "the function's name alone"),
    ("lax", "the function's name alone"),
    ("torch", "the function's name alone"),
    ("tf", "the function's name alone"),
    ("keras", "the function's name alone"),
    ("jit", "the function's name alone: what is called is compiled"),
    ("True", "true (in small letters)"),
    ("False", "false (in small letters)"),
    ("range", "0..n after `in`, or arange(n)"),
    ("cond", "if c { a } else { b }"),
    ("fori_loop", "scan i in 0..n with x = start { … }"),
    ("while_loop", "while condition limit n { … }"),
    ("len", "size(x, 0), or the name of the size"),
    ("shape", "size(x, axis), or the name of the size"),
    ("array", "the list itself: [1.0, 2.0]"),
    ("tensor", "the list itself: [1.0, 2.0]"),
    ("asarray", "the list itself: [1.0, 2.0]"),
    ("float", "f32"),
    ("double", "f64"),
    ("int", "i64"),
    ("long", "i64"),
    ("bfloat16", "bf16"),
    ("float16", "f16"),
    ("float32", "f32"),
    ("float64", "f64"),
    ("uint8", "u8"),
    ("int8", "i8"),
    ("int16", "i16"),
    ("int32", "i32"),
    ("int64", "i64"),
    ("Tensor", "the elements and sizes: f32[N, 3]"),
    ("expand_dims", "expand"),
    ("unsqueeze", "expand"),
    ("permute", "transpose"),
    ("permute_dims", "transpose"),
    ("swapaxes", "swap_axes"),
    ("moveaxis", "move_axis"),
    ("movedim", "move_axis"),
    ("concatenate", "concat"),
    ("cat", "concat"),
    ("chunk", "parts"),
    ("array_split", "parts"),
    ("hstack", "concat"),
    ("vstack", "concat, or stack"),
    ("view", "reshape"),
    ("ravel", "flatten"),
    ("gather", "x[indices], or take_along_axis"),
    ("index_select", "take"),
    ("dot", "x @ y"),
    ("mm", "x @ y"),
    ("bmm", "x @ y"),
    ("power", "x ** y"),
    ("absolute", "abs"),
    ("negative", "-x"),
    ("maximum", "max"),
    ("minimum", "min"),
    ("amax", "max"),
    ("amin", "min"),
    ("clamp", "clip"),
    ("var", "variance"),
    ("std", "std_dev"),
    ("arcsin", "asin"),
    ("arccos", "acos"),
    ("arctan", "atan"),
    ("arctan2", "atan2"),
    ("arcsinh", "asinh"),
    ("arccosh", "acosh"),
    ("arctanh", "atanh"),
    ("isnan", "is_nan"),
    ("isinf", "is_inf"),
    ("isfinite", "is_finite"),
    ("isclose", "is_close"),
    ("isin", "is_in"),
    ("allclose", "all(is_close(x, y))"),
    ("diag", "diag_embed(v), or diagonal(x)"),
    ("jacfwd", "jacobian"),
    ("jacrev", "jacobian"),
    ("PRNGKey", "key"),
    ("remat", "checkpoint"),
    ("custom_vjp", "custom_grad"),
    ("expit", "sigmoid"),
    ("gammaln", "lgamma, of std.special"),
    ("gammainc", "igamma, of std.special"),
    ("gammaincc", "igammac, of std.special"),
    ("percentile", "quantile(x, 0.01 * percent), of std.stats"),
    ("repeat_interleave", "repeat"),
    ("cdist", "the distances of all pairs that std.distance has"),
    ("divide", "x / y"),
    ("true_divide", "x / y"),
    ("multiply", "x * y"),
    ("subtract", "x - y"),
    ("equal", "x == y"),
    ("not_equal", "x != y"),
    ("less", "x < y"),
    ("less_equal", "x <= y"),
    ("greater", "x > y"),
    ("greater_equal", "x >= y"),
    ("cumulative_sum", "cumsum"),
    ("cumulative_prod", "cumprod"),
    ("matrix_transpose", "swap_axes(x, -2, -1)"),
    ("vector_norm", "norm"),
    ("unique_values", "unique(x, count), of std.stats"),
    ("rint", "round"),
    ("soft_sign", "softsign, of std.activation"),
    ("unstack", "x[i], or parts(x, n) of n rows"),
    ("insert", "concat([x[:i], new, x[i:]])"),
    ("append", "concat"),
    ("map", "vmap(f)(xs), or tree_map"),
    ("logical_not", "!x"),
    ("bitwise_and", "x & y"),
    ("bitwise_or", "x | y"),
    ("bitwise_xor", "x ^ y"),
    ("bitwise_not", "!x"),
    ("bitwise_invert", "!x"),
    ("bitwise_left_shift", "shl"),
    ("bitwise_right_shift", "shr"),
    ("left_shift", "shl"),
    ("right_shift", "shr"),
    ("masked_fill", "where"),
    ("detach", "stop_gradient"),
    ("astype", "f32(x), or another type's name"),
    ("cast", "f32(x), or another type's name"),
    ("reduce_sum", "sum"),
    ("reduce_mean", "mean"),
    ("reduce_max", "max"),
    ("reduce_min", "min"),
    ("reduce_prod", "prod"),
    ("rand", "uniform(key(seed), [N])"),
    ("randn", "normal(key(seed), [N])"),
];

/// Insertions, deletions, replacements and swaps of neighbours that make one word the other
/// (the optimal string alignment distance), case ignored.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0usize; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    for (j, cell) in rows[0].iter_mut().enumerate() {
        *cell = j;
    }
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replace = usize::from(!a[i - 1].eq_ignore_ascii_case(&b[j - 1]));
            let mut best =
                (rows[i - 1][j] + 1).min(rows[i][j - 1] + 1).min(rows[i - 1][j - 1] + replace);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::{ELSEWHERE, nearest};
    use crate::check::{builtin, library};

    #[test]
    fn suggests_what_is_close() {
        let names = ["relu", "reshape", "softmax", "sum", "Dense"];
        assert_eq!(nearest("rehsape", names), Some("reshape".to_string()));
        assert_eq!(nearest("dense", names), Some("Dense".to_string()));
        assert_eq!(nearest("sofmax", names), Some("softmax".to_string()));
        assert_eq!(nearest("conv2d", names), None);
        assert_eq!(nearest("q", ["p", "x"]), None);
    }

    #[test]
    fn names_of_other_libraries_are_none_of_ours_and_lead_to_ours() {
        for (name, here) in ELSEWHERE {
            // The condition number is one of the library.
            let ours = builtin::find(name).is_some() || !library::homes(name).is_empty();
            assert!(!ours || *name == "cond", "{name}");
            let known = |name: &str| {
                let dtype = tensc_runtime::DType::from_name(name).is_some();
                dtype || builtin::find(name).is_some() || library::in_prelude(name)
            };
            let mut words = here.split([',', '(', '[', ' ']).filter(|w| w.contains('_'));
            assert!(words.all(known), "{here}");
            assert!(here.contains([' ', '[', '-', '!']) || known(here), "{here}");
        }
    }

    #[test]
    fn parameters_of_other_libraries_lead_to_ours() {
        assert_eq!(super::parameter("keepdims", &["x", "axis", "keep"]), Some("keep"));
        assert_eq!(super::parameter("keepdims", &["x", "axis"]), None);
        assert_eq!(super::method("sum", "x").as_deref(), Some("write sum(x, …)"));
        assert_eq!(super::method("view", "x").as_deref(), Some("write reshape"));
        assert_eq!(super::method("other", "x"), None);
        let module = |name, after| super::module(name, after);
        assert_eq!(module("F", ".relu(x)").as_deref(), Some("write relu(…)"));
        let import = "import it: `import std.random`, and write random.name";
        assert_eq!(module("std", ".random.bits(k)").as_deref(), Some(import));
        for (name, after) in [("np", ".relu"), ("F", ".no"), ("F", " + 1")] {
            assert_eq!(module(name, after), None);
        }
    }
}
