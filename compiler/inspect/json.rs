//! Programs as JSON, for other programs: what the text says, with origins; `spec/ir.md` has the
//! form. Vector programs and calls are lines of their text.

use crate::diag::Sources;
use crate::graph::Origin;
use crate::graph::text::{elements_json, origin_json};
use crate::kernel::{
    Access, Body, BufferId, Fold, Kernel, Nest, Operand, Place, Plan, Product, Program, Repeat,
    Split, Stage, State, Work,
};
use serde_json::{Value, json};

/// The program with its kernels in order.
pub fn program(of: &Program, sources: &Sources) -> Value {
    let buffers = of.buffers.iter().enumerate().map(|(id, buffer)| {
        let mut value = json!({
            "id": id,
            "name": buffer.name,
            "dtype": buffer.dtype.to_string(),
            "elements": buffer.elements,
        });
        place(&buffer.place, &of.plan, id, &mut value);
        value
    });
    let origins = |all: &[Origin]| -> Value {
        all.iter().map(|&origin| origin_json(origin, sources)).collect()
    };
    let kernels = of.kernels.iter().map(|kernel| {
        let mut value = work(kernel, sources);
        value["name"] = kernel.name.as_str().into();
        value["after"] = ids(&kernel.after);
        value["origins"] = origins(&kernel.origins);
        value
    });
    let donation = |&(input, output): &(u32, u32)| json!({ "input": input, "output": output });
    let mut value = json!({
        "buffers": buffers.collect::<Value>(),
        "donations": of.plan.donations.iter().map(donation).collect::<Value>(),
        "sites": origins(&of.sites),
        "kernels": kernels.collect::<Value>(),
    });
    if !of.plan.offsets.is_empty() {
        value["plan"] = json!({ "arena": of.plan.bytes, "row": of.plan.row_bytes });
    }
    value
}

fn place(place: &Place, plan: &Plan, id: usize, value: &mut Value) {
    let mut planned = |word: &str, offsets: &[Option<usize>]| {
        value["place"] = word.into();
        if let Some(Some(offset)) = offsets.get(id) {
            value["offset"] = (*offset).into();
        }
    };
    match place {
        Place::Input(number) => {
            value["place"] = "input".into();
            value["number"] = (*number).into();
        }
        Place::Output(number) => {
            value["place"] = "output".into();
            value["number"] = (*number).into();
        }
        Place::Arena => planned("arena", &plan.offsets),
        Place::Row => planned("row", &plan.row_offsets),
        Place::Constant(tensor) => {
            value["place"] = "constant".into();
            value["shape"] = tensor.shape()[..].into();
            value["values"] = elements_json(tensor);
        }
    }
}

fn work(kernel: &Kernel, sources: &Sources) -> Value {
    match &kernel.work {
        Work::Nest(of) => nest(of),
        Work::Product(of) => product(of),
        Work::Call(of) => json!({ "work": "call", "call": of.to_string() }),
        Work::Repeat(of) => repeat(of, sources),
    }
}

fn nest(of: &Nest) -> Value {
    let split = match of.split {
        Split::Rows => "rows",
        Split::Lanes => "lanes",
        Split::Never => "never",
    };
    let stages: Value = of.stages.iter().map(stage).collect();
    json!({ "work": "nest", "outer": of.outer[..], "split": split, "stages": stages })
}

fn stage(of: &Stage) -> Value {
    let mut value = json!({ "reduce": of.reduce[..], "lanes": of.lanes, "body": body(&of.body) });
    match &of.fold {
        Fold::None => {}
        Fold::AcrossLanes(finish) => value["across"] = body(finish),
        Fold::PerLane(finish) => value["per_lane"] = body(finish),
    }
    value
}

fn product(of: &Product) -> Value {
    json!({
        "work": "product",
        "dtype": of.dtype.to_string(),
        "batch": of.batch[..],
        "m": of.m,
        "n": of.n,
        "k": of.k,
        "left": operand(&of.left),
        "right": operand(&of.right),
        "epilogue": body(&of.epilogue),
    })
}

fn operand(of: &Operand) -> Value {
    match of {
        Operand::Stored(of) => access(of),
        Operand::Spread(of) => {
            let axes: Vec<_> = of.axes.iter().map(|axes| axes.to_vec()).collect();
            json!({ "spread": access(&of.access), "axes": axes, "turned": of.turned })
        }
        Operand::Made(made) => json!({ "prologue": body(&made.body), "turned": made.turned }),
    }
}

fn repeat(of: &Repeat, sources: &Sources) -> Value {
    let states = of.states.iter().map(|State { first, last, spare }| {
        json!({ "first": first.0, "last": last.0, "spare": spare.0 })
    });
    json!({
        "work": "repeat",
        "count": of.count,
        "from": if of.reverse { "last" } else { "first" },
        "arena": of.arena.0,
        "states": states.collect::<Value>(),
        "slices": ids(&of.slices),
        "whole": ids(&of.whole),
        "elements": ids(&of.elements),
        "gate": of.gate.map(|gate| gate.0),
        "until": of.until,
        "step": program(&of.step, sources),
    })
}

fn body(of: &Body) -> Value {
    json!({
        "params": of.params.iter().map(|param| param.0).collect::<Value>(),
        "slots": of.slots.iter().map(access).collect::<Value>(),
        "program": of.program.to_string().lines().collect::<Value>(),
    })
}

fn access(of: &Access) -> Value {
    let mut value =
        json!({ "buffer": of.buffer.0, "offset": of.offset, "strides": of.strides[..] });
    if let Some((stride, bound)) = of.gather {
        value["gather"] = json!({ "stride": stride, "bound": bound });
    }
    value
}

fn ids(buffers: &[BufferId]) -> Value {
    buffers.iter().map(|buffer| buffer.0).collect()
}
