//! Functions of functions. Their result is a function that knows what it was made of; what it does
//! when it is called is in `walk::transform`.

use super::{Builtin, Form, Run};
use crate::check::value::{Callable, Derivative, Param, Transform, Value, Wrt};
use crate::check::walk::{Eval, Slot, Walk};
use crate::diag::{Diagnostic, codes};
use crate::syntax::ast::{self, ExprKind};
use std::rc::Rc;

pub(super) fn rows() -> Vec<Builtin> {
    macro_rules! rows {
        ($($name:literal $params:expr, $doc:literal, $run:expr;)*) => {
            vec![$(Builtin { name: $name, params: &$params, doc: $doc, run: Run::Form($run) }),*]
        };
    }
    rows! {
        "grad" ["f", "wrt?"], "The function that gives the gradient of `f` by its first argument, or by those named.",
            |w, form| derivative(w, form, Derivative::Grad);
        "value_and_grad" ["f", "wrt?"], "The function that gives the value of `f` and its gradient, that of the first part of a tuple.",
            |w, form| derivative(w, form, Derivative::ValueAndGrad);
        "jvp" ["f", "wrt?"], "The function that gives the value of `f` and its derivative in a direction: `jvp(f)(x, dx)`.",
            |w, form| derivative(w, form, Derivative::Jvp);
        "vjp" ["f", "wrt?"], "The function that gives the value of `f` and a cotangent pulled back: `vjp(f)(x, dy)`.",
            |w, form| derivative(w, form, Derivative::Vjp);
        "hvp" ["f", "wrt?"], "The function that gives the second derivatives of `f` times a direction: `hvp(f)(x, v)`.",
            |w, form| derivative(w, form, Derivative::Hvp);
        "jacobian" ["f", "wrt?"], "The function that gives the derivatives of the elements of `f` by those of an argument.",
            |w, form| derivative(w, form, Derivative::Jacobian);
        "hessian" ["f", "wrt?"], "The function that gives the second derivatives of `f`.",
            |w, form| derivative(w, form, Derivative::Hessian);
        "vmap" ["f", "axes?", "out?"], "The function `f` on many values at once, along an axis of its arguments.", vmap;
        "checkpoint" ["f"], "The function `f`, computed again where its gradient needs what is inside of it.",
            |w, form| {
                let arguments = w.assign("checkpoint", &slots(&["f"]), form.args, form.callee)?;
                let f = function(w, arguments[0].expect("it must be given"))?;
                Ok(transformed(Transform::Checkpoint, f))
            };
        "custom_grad" ["f", "backward"], "The function `f` with the gradient that `backward` gives.", |w, form| {
            let slots = slots(&["f", "backward"]);
            let arguments = w.assign("custom_grad", &slots, form.args, form.callee)?;
            let f = function(w, arguments[0].expect("it must be given"));
            let given = arguments[1].expect("it must be given");
            let backward = function(w, given)?;
            Ok(transformed(Transform::CustomGrad(backward, given.value.span), f?))
        };
    }
}

fn slots(names: &[&'static str]) -> Vec<Slot<'static>> {
    let slot = |name: &&'static str| match name.strip_suffix('?') {
        Some(name) => Slot { name, optional: true },
        None => Slot { name, optional: false },
    };
    names.iter().map(slot).collect()
}

fn transformed<'w>(transform: Transform<'w>, f: Rc<Callable<'w>>) -> Value<'w> {
    Value::Function(Rc::new(Callable::Transform(Rc::new(transform), f)))
}

fn derivative<'w>(w: &mut Walk<'w>, form: &Form<'w>, which: Derivative) -> Eval<Value<'w>> {
    let name = which.name();
    let positional = form.args.iter().filter(|a| a.name.is_none()).count();
    if positional > 1 {
        let message = format!("`{name}` takes a function; its result takes the arguments");
        let diagnostic = Diagnostic::error(codes::BAD_ARGUMENTS, form.span, message);
        return Err(w.report(diagnostic.help(format!("write {name}(f)(x, y)"))));
    }
    let assigned = w.assign(name, &slots(&["f", "wrt?"]), form.args, form.callee)?;
    // `wrt` holds names of parameters, which mean nothing here: it is not evaluated.
    let mut wrt = Vec::new();
    if let Some(arg) = assigned[1] {
        parameters(w, &arg.value, &mut wrt)?;
    }
    let f = function(w, assigned[0].expect("it must be given"))?;
    Ok(transformed(Transform::Derivative(which, wrt), f))
}

fn vmap<'w>(w: &mut Walk<'w>, form: &Form<'w>) -> Eval<Value<'w>> {
    let assigned = w.assign("vmap", &slots(&["f", "axes?", "out?"]), form.args, form.callee)?;
    let f = function(w, assigned[0].expect("it must be given"))?;
    let axes = match assigned[1] {
        None => None,
        Some(arg) => match w.expr(&arg.value, None) {
            Value::Error => return Err(w.reported()),
            value => Some((value, arg.value.span)),
        },
    };
    let out = match assigned[2] {
        None => (0, form.span),
        Some(arg) => {
            let value = w.expr(&arg.value, None);
            (w.known_i64(&value, arg.value.span)?, arg.value.span)
        }
    };
    Ok(transformed(Transform::Lanes { axes, out }, f))
}

fn function<'w>(w: &mut Walk<'w>, arg: &'w ast::Arg) -> Eval<Rc<Callable<'w>>> {
    match w.expr(&arg.value, None) {
        Value::Function(inner) => Ok(inner),
        Value::Error => Err(w.reported()),
        other => Err(w.expected("a function", &other, arg.value.span)),
    }
}

/// `x`, `m.hidden`, `0`, or a tuple or list of such.
fn parameters(w: &mut Walk<'_>, expr: &ast::Expr, all: &mut Vec<Wrt>) -> Eval<()> {
    match &expr.kind {
        ExprKind::Paren(inner) => parameters(w, inner, all),
        ExprKind::Tuple(items) | ExprKind::Array(items) => {
            items.iter().try_for_each(|item| parameters(w, item, all))
        }
        _ => match parameter(expr) {
            Some((parameter, path)) => {
                all.push(Wrt { parameter, path, span: expr.span });
                Ok(())
            }
            None => {
                let message = "`wrt` names parameters of the function, or fields of them";
                Err(w.error(codes::BAD_ARGUMENTS, expr.span, message))
            }
        },
    }
}

fn parameter(expr: &ast::Expr) -> Option<(Param, Vec<ast::Ident>)> {
    match &expr.kind {
        ExprKind::Name(name) => Some((Param::Named(name.clone()), Vec::new())),
        ExprKind::Int { value, .. } => Some((Param::Numbered(*value), Vec::new())),
        ExprKind::Field { base, name } => {
            let (parameter, mut path) = parameter(base)?;
            path.push(name.clone());
            Some((parameter, path))
        }
        _ => None,
    }
}
