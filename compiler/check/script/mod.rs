//! `main` and tests: host steps around regions.
//!
//! The walk runs over a script's statements as over a function's. What is computed goes into the
//! graph of the open region; a statement that the host must execute closes it: the variables that
//! hold nodes of the region get slots, the region becomes a step, and from then on they are read
//! from their slots. `liveness` then removes what nobody reads, so that a region gives only what is
//! used after it.
//!
//! Invariants: at every step boundary a local's tensors are in slots; a `var` is in its own slots;
//! a slot of a `let` is written once per turn of the loops around it.

mod effects;
mod flow;
mod liveness;
mod property;
mod region;

use super::typed::{Input, Script, SlotDecl, SlotId, Step, Test, TestKind};
use super::value::{Leaf, SizeSource, Static, Value};
use super::walk::{Eval, Walk};
use super::world::{InputDef, ModuleId};
use crate::diag::{Diagnostic, Span, codes};
use crate::graph::{Dim, NodeId, TensorType};
use crate::syntax::ast;
use rustc_hash::{FxHashMap, FxHashSet};
use std::rc::Rc;
use tensc_runtime::Scalar;

/// A script under construction.
#[derive(Default)]
pub(crate) struct ScriptState {
    script: Script,
    /// The lists of steps being written, the innermost last.
    blocks: Vec<Vec<Step>>,
    /// Slots that are assigned: what is read from one must be kept apart.
    vars: FxHashSet<SlotId>,
    /// Where the sizes of a slot's axes were written.
    sources: FxHashMap<(SlotId, usize), SizeSource>,
    /// Slots that hold a known integer.
    integers: FxHashMap<SlotId, Dim>,
    /// Results of the open region that a step after it reads.
    forced: Vec<(NodeId, SlotId)>,
    /// `log` steps that follow the open region: they do not interrupt it.
    logs: Vec<Step>,
    /// The statements of the open region.
    span: Option<Span>,
}

impl ScriptState {
    pub(crate) fn slot_ty(&self, slot: SlotId) -> &TensorType {
        &self.script.slots[slot.0 as usize].ty
    }

    /// The known integer that a slot holds for good.
    pub(crate) fn integer(&self, slot: SlotId) -> Option<Dim> {
        self.integers.get(&slot).filter(|_| !self.vars.contains(&slot)).cloned()
    }

    /// A new slot.
    fn slot(&mut self, name: String, ty: TensorType) -> SlotId {
        let id = SlotId(u32::try_from(self.script.slots.len()).expect("fewer than 2^32 slots"));
        self.script.slots.push(SlotDecl { name, ty });
        id
    }

    fn push(&mut self, step: Step) {
        self.blocks.last_mut().expect("a script has a list of steps").push(step);
    }
}

/// The script of the root file's `main`.
pub(crate) fn main(walk: &mut Walk<'_>, root: ModuleId) -> Option<Script> {
    let (body, _) = walk.world.module(root).main.as_ref()?;
    let script = lower(walk, root, body);
    walk.reset();
    script
}

/// The root file's tests.
pub(crate) fn tests(walk: &mut Walk<'_>, root: ModuleId) -> Vec<Test> {
    let mut tests: Vec<Test> = Vec::new();
    for (test, span) in &walk.world.module(root).tests {
        match test {
            ast::Test::Block { name, body } => {
                if let Some(first) = tests.iter().find(|t| t.name == name.value) {
                    let message = format!("there are two tests called \"{}\"", name.value);
                    let error = Diagnostic::error(codes::DUPLICATE, name.span, message);
                    let first = first.span;
                    walk.report(error.label(first, "the first is here"));
                }
                if let Some(script) = lower(walk, root, body) {
                    let kind = TestKind::Script(script);
                    tests.push(Test { name: name.value.clone(), kind, span: *span });
                }
            }
            ast::Test::Property { name, args } => {
                walk.reset();
                if let Ok(test) = walk.property(root, name, args, *span) {
                    let text = walk.text(*span);
                    let name = text.strip_prefix("test ").unwrap_or(&text).to_string();
                    tests.push(Test { name, kind: TestKind::Gradient(test), span: *span });
                }
            }
        }
        walk.reset();
    }
    tests
}

fn lower<'w>(walk: &mut Walk<'w>, root: ModuleId, body: &'w ast::Block) -> Option<Script> {
    walk.reset();
    walk.script = Some(ScriptState { blocks: vec![Vec::new()], ..ScriptState::default() });
    walk.push_frame("main", None, root, Rc::default(), None);
    let errors = walk.diags.len();
    for input in &walk.world.module(root).inputs {
        if walk.declare_input(input).is_err() {
            walk.bind(&input.decl.name.name, Value::Error, input.decl.name.span);
        }
    }
    walk.script_block(body);
    walk.close_region();
    let mut state = walk.script.take().expect("a script is being walked");
    let failed = walk.diags.iter().skip(errors);
    if failed.into_iter().any(|d| d.severity == crate::diag::Severity::Error) {
        return None;
    }
    state.script.body = state.blocks.pop().expect("the outermost list");
    liveness::prune(&mut state.script);
    Some(state.script)
}

impl<'w> Walk<'w> {
    pub(crate) fn state(&mut self) -> &mut ScriptState {
        self.script.as_mut().expect("a script is being walked")
    }

    /// An `input` as a local in a slot.
    fn declare_input(&mut self, input: &'w InputDef) -> Eval<()> {
        let decl = &input.decl;
        let ty = self.ground(&decl.ty)?;
        let super::types::Type::Tensor(ty) = ty else {
            let message = "an input is a number or a flag";
            return Err(self.error(codes::TYPE_MISMATCH, decl.ty.span, message));
        };
        if ty.rank() != 0 {
            let message = format!("an input is a scalar, found {ty}");
            return Err(self.error(codes::TYPE_MISMATCH, decl.ty.span, message));
        }
        let value = self.expr(&decl.default, None);
        let default = self.input_default(&value, &ty, decl.default.span)?;
        let state = self.state();
        let slot = state.slot(decl.name.name.clone(), ty);
        state.script.inputs.push(Input {
            name: decl.name.name.clone(),
            slot,
            default,
            span: input.span,
            doc: input.doc.clone(),
        });
        self.bind(&decl.name.name, Value::Tensor(Leaf::Slot(slot)), decl.name.span);
        Ok(())
    }

    fn input_default(&mut self, value: &Value<'w>, ty: &TensorType, span: Span) -> Eval<Scalar> {
        match value {
            Value::Error => Err(self.reported()),
            Value::Static(Static::Str(..)) => Err(self.expected(ty.dtype.name(), value, span)),
            Value::Static(_) => {
                // The constant that the literal becomes.
                let node = self.to_tensor(value, Some(ty.dtype), span)?;
                match self.level().graph.op(node) {
                    crate::graph::Op::Const(scalar) => Ok(*scalar),
                    _ => Err(self.error(codes::NOT_STATIC, span, "a default is a number")),
                }
            }
            _ => {
                let message = "the default of an input must be known to the compiler";
                Err(self.error(codes::NOT_STATIC, span, message))
            }
        }
    }
}
