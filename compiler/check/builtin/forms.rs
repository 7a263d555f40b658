//! Functions that need their arguments as written: what only `main` can do.

use super::{Builtin, Run};
use crate::diag::{Diagnostic, codes};

pub(super) fn rows() -> Vec<Builtin> {
    macro_rules! rows {
        ($($name:literal $params:expr, $doc:literal, $run:expr;)*) => {
            vec![$(Builtin { name: $name, params: &$params, doc: $doc, run: Run::Form($run) }),*]
        };
    }
    rows! {
        "print" ["text"], "Prints a line.", |w, form| w.print(form);
        "save" ["path", "value"], "Writes a tensor or a struct of tensors to a file.", |w, form| w.save(form);
        "assert" ["condition", "message?"], "Fails where the condition is false.", |w, form| w.assert(form);
        "assert_close" ["actual", "expected", "tol?"],
            "Fails where two values differ by more than `tol * max(1, |expected|)` (1e-6).",
            |w, form| w.assert_close(form);
        "load" ["path"], "Reads a file: `load(\"x.npy\") as f32[N]`.", |w, form| {
            let message = "`load` needs to know what is in the file";
            let diagnostic = Diagnostic::error(codes::MISPLACED, form.span, message);
            let text = w.text(form.span);
            Err(w.report(diagnostic.help(format!("say the type: {text} as f32[N]"))))
        };
        "batches" ["data", "size", "shuffle?", "order?", "drop_last?"],
            "The rows of tensors in groups: `for b in batches(data, 128) { … }`.", |w, form| {
            let message = "`batches` is what a `for` of `main` goes through";
            let diagnostic = Diagnostic::error(codes::MISPLACED, form.span, message);
            Err(w.report(diagnostic.help("write for b in batches(data, 128) { … }")))
        };
    }
}
