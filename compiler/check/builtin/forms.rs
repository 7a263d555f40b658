//! Functions that need their arguments as written: transformations, and what only `main` can do.

use super::{Builtin, Form, Run};
use crate::check::value::{Callable, Transform, Value};
use crate::check::walk::{Eval, Slot, Walk};
use crate::diag::{Diagnostic, codes};
use crate::syntax::ast;
use std::rc::Rc;

pub(super) fn rows() -> Vec<Builtin> {
    macro_rules! rows {
        ($($name:literal $params:expr, $doc:literal, $run:expr;)*) => {
            vec![$(Builtin { name: $name, params: &$params, doc: $doc, run: Run::Form($run) }),*]
        };
    }
    rows! {
        "grad" ["f", "wrt?"], "The function that gives the gradient of `f` by its first argument, or by those named.",
            |w, form| transform(w, form, Transform::Grad);
        "value_and_grad" ["f", "wrt?"], "The function that gives the value of `f` and its gradient.",
            |w, form| transform(w, form, Transform::ValueAndGrad);
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

fn transform<'w>(w: &mut Walk<'w>, form: &Form<'w>, transform: Transform) -> Eval<Value<'w>> {
    let slots = [Slot { name: "f", optional: false }, Slot { name: "wrt", optional: true }];
    let name = match transform {
        Transform::Grad => "grad",
        Transform::ValueAndGrad => "value_and_grad",
    };
    // `wrt` holds names of parameters, which mean nothing here: it is not evaluated.
    let positional = form.args.iter().filter(|a| a.name.is_none()).count();
    if positional > 1 {
        let message = format!("`{name}` takes a function; its result takes the arguments");
        let diagnostic = Diagnostic::error(codes::BAD_ARGUMENTS, form.span, message);
        return Err(w.report(diagnostic.help(format!("write {name}(f)(x, y)"))));
    }
    let assigned = w.assign(name, &slots, form.args, form.callee)?;
    let function = assigned[0].expect("it is not optional");
    let wrt = match assigned[1] {
        Some(arg) => names(w, &arg.value)?,
        None => Vec::new(),
    };
    match w.expr(&function.value, None) {
        Value::Function(inner) => {
            Ok(Value::Function(Rc::new(Callable::Transform(transform, inner, wrt))))
        }
        Value::Error => Err(w.reported()),
        other => {
            let found = w.expected("a function", &other, function.value.span);
            Err(found)
        }
    }
}

/// `x`, `(x, y)` or `[x, y]`: names of parameters.
fn names(w: &mut Walk<'_>, expr: &ast::Expr) -> Eval<Vec<ast::Ident>> {
    match &expr.kind {
        ast::ExprKind::Name(name) => Ok(vec![ast::Ident { name: name.clone(), span: expr.span }]),
        ast::ExprKind::Paren(inner) => names(w, inner),
        ast::ExprKind::Tuple(items) | ast::ExprKind::Array(items) => {
            let mut all = Vec::with_capacity(items.len());
            for item in items {
                all.extend(names(w, item)?);
            }
            Ok(all)
        }
        _ => {
            let message = "`wrt` names parameters of the function";
            Err(w.error(codes::BAD_ARGUMENTS, expr.span, message))
        }
    }
}
