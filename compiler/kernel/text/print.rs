//! Programs as text.

use crate::graph::ops::Draw;
use crate::kernel::{
    Access, Body, BufferId, Call, Fold, Kernel, Nest, Operand, Place, Product, Program, Repeat,
    RowValue, Split, Spread, Stage, State, Work,
};
use std::fmt;
use tensc_runtime::along::Around;

impl fmt::Display for BufferId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b{}", self.0)
    }
}

impl fmt::Display for RowValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

impl fmt::Display for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} + {} {}", self.buffer, self.offset, list(&self.strides))?;
        match self.gather {
            Some((stride, bound)) => write!(f, " gather {stride} of {bound}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let planned = !self.plan.offsets.is_empty();
        for (number, buffer) in self.buffers.iter().enumerate() {
            let (name, dtype, elements) = (&buffer.name, buffer.dtype, buffer.elements);
            write!(f, "buffer b{number} {name:?}: {dtype} {elements} = ")?;
            let offset = |offsets: &[Option<usize>]| match offsets.get(number) {
                Some(Some(offset)) => format!(" @ {offset}"),
                _ => String::new(),
            };
            match &buffer.place {
                Place::Input(n) => writeln!(f, "input {n}")?,
                Place::Output(n) => writeln!(f, "output {n}")?,
                Place::Arena => writeln!(f, "arena{}", offset(&self.plan.offsets))?,
                Place::Row => writeln!(f, "row{}", offset(&self.plan.row_offsets))?,
                Place::Constant(tensor) => {
                    write!(f, "constant {} ", list(tensor.shape()))?;
                    tensor.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
                    writeln!(f)?;
                }
            }
        }
        if planned {
            writeln!(f, "plan arena {} row {}", self.plan.bytes, self.plan.row_bytes)?;
        }
        for (input, output) in &self.plan.donations {
            writeln!(f, "donate input {input} to output {output}")?;
        }
        if !self.sites.is_empty() {
            writeln!(f, "sites {}", self.sites.len())?;
        }
        self.kernels.iter().try_for_each(|kernel| write!(f, "{kernel}"))
    }
}

impl fmt::Display for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kernel {:?}", self.name)?;
        for (number, buffer) in self.after.iter().enumerate() {
            write!(f, "{} {buffer}", if number == 0 { " after" } else { "" })?;
        }
        f.write_str(" = ")?;
        match &self.work {
            Work::Nest(nest) => write!(f, "{nest}"),
            Work::Product(product) => write!(f, "{product}"),
            Work::Call(call) => writeln!(f, "{call}"),
            Work::Repeat(repeat) => write!(f, "{repeat}"),
        }
    }
}

impl fmt::Display for Repeat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let from = if self.reverse { "last" } else { "first" };
        writeln!(f, "repeat {} from {from} arena {}", self.count, self.arena)?;
        for State { first, last, spare } in &self.states {
            writeln!(f, "  state {first} to {last} spare {spare}")?;
        }
        let mut all = |what, buffers: &[BufferId]| {
            buffers.iter().try_for_each(|buffer| writeln!(f, "  {what} {buffer}"))
        };
        all("slice", &self.slices)?;
        all("whole", &self.whole)?;
        all("element", &self.elements)?;
        all("gate", self.gate.as_slice())?;
        if let Some(until) = self.until {
            writeln!(f, "  until {until}")?;
        }
        writeln!(f, "  step")?;
        for line in self.step.to_string().lines() {
            writeln!(f, "    {line}")?;
        }
        writeln!(f, "  done")
    }
}

impl fmt::Display for Nest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let split = match self.split {
            Split::Rows => "rows",
            Split::Lanes => "lanes",
            Split::Never => "never",
        };
        writeln!(f, "nest {} split {split}", list(&self.outer))?;
        self.stages.iter().try_for_each(|stage| write!(f, "{stage}"))
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "  stage reduce {} lanes {}", list(&self.reduce), self.lanes)?;
        body(f, "body", &self.body)?;
        match &self.fold {
            Fold::None => Ok(()),
            Fold::AcrossLanes(finish) => body(f, "across", finish),
            Fold::PerLane(finish) => body(f, "per_lane", finish),
        }
    }
}

impl fmt::Display for Product {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (batch, m, n, k) = (list(&self.batch), self.m, self.n, self.k);
        writeln!(f, "product {} batch {batch} m {m} n {n} k {k}", self.dtype)?;
        operand(f, "left", &self.left)?;
        operand(f, "right", &self.right)?;
        body(f, "epilogue", &self.epilogue)
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Call::Random { draw, key, out } => {
                let draw = match draw {
                    Draw::Bits => "bits",
                    Draw::Uniform => "uniform",
                    Draw::Normal => "normal",
                };
                write!(f, "random {draw} key {key} out {out}")
            }
            Call::FoldKey { key, data, out } => {
                write!(f, "fold_key key {key} data {data} out {out}")
            }
            Call::ScatterAdd { operand, index, updates, out, outer, bound, inner } => {
                f.write_str("scatter_add ")?;
                if let Some(operand) = operand {
                    write!(f, "to {operand} ")?;
                }
                write!(f, "index {index} updates {updates} out {out} [{outer}, {bound}, {inner}]")
            }
            Call::Running { op, operand, out, around } => {
                write!(f, "running {} of {operand} out {out} {}", op.name(), sizes(around))
            }
            Call::Linear { op, matrix, right, out, sizes } => {
                write!(f, "linear {} of {matrix} ", op.name())?;
                if let Some(right) = right {
                    write!(f, "right {right} ")?;
                }
                write!(f, "out {out} {}", list(sizes))
            }
            Call::Recur { factor, operand, out, around } => {
                write!(f, "recur factor {factor} of {operand} out {out} {}", sizes(around))
            }
            Call::Argsort { operand, out, descending, first, around } => {
                let order = if *descending { "descending" } else { "ascending" };
                let sizes = sizes(around);
                write!(f, "argsort {order} first {first} of {operand} out {out} {sizes}")
            }
        }
    }
}

fn sizes(around: &Around) -> String {
    list(&[around.outer, around.n, around.inner])
}

fn operand(f: &mut fmt::Formatter<'_>, what: &str, operand: &Operand) -> fmt::Result {
    match operand {
        Operand::Stored(access) => writeln!(f, "  {what} {access}"),
        Operand::Spread(Spread { access, axes: [first, second], turned }) => {
            let (first, second, turned) = (list(first), list(second), turned_word(*turned));
            writeln!(f, "  {what} spread {first} {second}{turned} {access}")
        }
        Operand::Made(prologue) => {
            writeln!(f, "  {what} made{}", turned_word(prologue.turned))?;
            body(f, "prologue", &prologue.body)
        }
    }
}

fn turned_word(turned: bool) -> &'static str {
    if turned { " turned" } else { "" }
}

fn body(f: &mut fmt::Formatter<'_>, what: &str, body: &Body) -> fmt::Result {
    let params: Vec<String> = body.params.iter().map(ToString::to_string).collect();
    writeln!(f, "    {what} ({})", params.join(", "))?;
    for (number, access) in body.slots.iter().enumerate() {
        writeln!(f, "      at s{number} = {access}")?;
    }
    for line in body.program.to_string().lines() {
        writeln!(f, "      {line}")?;
    }
    writeln!(f, "    end")
}

fn list(items: &[impl fmt::Display]) -> String {
    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
    format!("[{}]", items.join(", "))
}
