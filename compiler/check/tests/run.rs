//! Runs scripts by the naive interpreter: what lowering to steps must mean.

use super::checked;
use crate::check::typed::{Script, SlotId, Step, TextPart};
use crate::graph::{DimVar, interpret};
use rustc_hash::FxHashMap;
use tensc_runtime::{Scalar, Tensor};

/// What a script prints and logs, and the assertions that fail, as lines.
pub(super) fn run(script: &Script) -> Vec<String> {
    let mut runner = Runner {
        script,
        slots: vec![None; script.slots.len()],
        sizes: FxHashMap::default(),
        lines: Vec::new(),
    };
    for input in &script.inputs {
        runner.set(input.slot, scalar(input.default));
    }
    runner.steps(&script.body);
    runner.lines
}

/// What `main` of a program prints.
pub(super) fn printed(text: &str) -> String {
    match checked(text) {
        Ok(program) => run(&program.main.expect("a program with main")).join("\n"),
        Err(messages) => messages,
    }
}

struct Runner<'a> {
    script: &'a Script,
    slots: Vec<Option<Tensor>>,
    sizes: FxHashMap<DimVar, i64>,
    lines: Vec<String>,
}

#[derive(PartialEq)]
enum Flow {
    Next,
    Break,
    Continue,
}

impl Runner<'_> {
    fn steps(&mut self, steps: &[Step]) -> Flow {
        for step in steps {
            match self.step(step) {
                Flow::Next => {}
                leave => return leave,
            }
        }
        Flow::Next
    }

    fn step(&mut self, step: &Step) -> Flow {
        match step {
            Step::Region(id) => self.region(id.0 as usize),
            Step::Copy { from, to } => self.set(*to, self.get(*from)),
            Step::Print(text) => {
                let part = |part: &TextPart| match part {
                    TextPart::Text(text) => text.clone(),
                    TextPart::Value(slot, format) => {
                        let values = self.get(*slot).to_f64_vec();
                        let show = |x: &f64| match format.precision {
                            Some(p) => format!("{x:.p$}", p = usize::from(p)),
                            None => format!("{x}"),
                        };
                        values.iter().map(show).collect::<Vec<_>>().join(" ")
                    }
                };
                let line: String = text.iter().map(part).collect();
                self.lines.push(line);
            }
            Step::Log(_) => {}
            Step::Assert { condition, .. } => {
                if !self.truth(*condition) {
                    self.lines.push("an assertion failed".to_string());
                }
            }
            Step::Range { var, start, end, body } => {
                for i in self.int(*start)..self.int(*end) {
                    self.set(*var, Tensor::scalar(i));
                    if self.steps(body) == Flow::Break {
                        break;
                    }
                }
            }
            Step::Batches { data, size, dim, drop_last, body, .. } => {
                let rows = self.get(data[0].0).shape()[0] as i64;
                let size = self.int(*size);
                let mut at = 0;
                while at < rows && (!drop_last || at + size <= rows) {
                    let n = size.min(rows - at);
                    self.sizes.insert(dim.clone(), n);
                    for (whole, batch) in data {
                        let tensor = rows_of(&self.get(*whole), at as usize, n as usize);
                        self.set(*batch, tensor);
                    }
                    at += n;
                    if self.steps(body) == Flow::Break {
                        break;
                    }
                }
            }
            Step::If { condition, then, otherwise } => {
                return self.steps(if self.truth(*condition) { then } else { otherwise });
            }
            Step::While { head, condition, body, limit, .. } => {
                for _ in 0..self.int(*limit) {
                    self.steps(head);
                    if !self.truth(*condition) || self.steps(body) == Flow::Break {
                        break;
                    }
                }
            }
            Step::Break => return Flow::Break,
            Step::Continue => return Flow::Continue,
            Step::Load { .. } | Step::Save { .. } => panic!("these tests use no files"),
        }
        Flow::Next
    }

    fn region(&mut self, id: usize) {
        let region = &self.script.regions[id];
        let graph = region.graph.with_sizes(&|var| self.sizes.get(var).copied());
        let graph = graph.expect("every size is known when a region is reached");
        let take = |(slot, dies): &(SlotId, bool)| {
            let place = &mut self.slots[slot.0 as usize];
            let value = if *dies { place.take() } else { place.clone() };
            value.unwrap_or_else(|| panic!("{slot:?} is read before it is written"))
        };
        let inputs: Vec<Tensor> = region.inputs.iter().map(take).collect();
        let results = interpret(&graph, &inputs).expect("the graph has values");
        for (slot, tensor) in region.outputs.iter().zip(results) {
            self.set(*slot, tensor);
        }
    }

    fn get(&self, slot: SlotId) -> Tensor {
        let name = &self.script.slots[slot.0 as usize].name;
        let value = self.slots[slot.0 as usize].clone();
        value.unwrap_or_else(|| panic!("{name} is read before it is written"))
    }

    fn set(&mut self, slot: SlotId, value: Tensor) {
        self.slots[slot.0 as usize] = Some(value);
    }

    fn int(&self, slot: SlotId) -> i64 {
        self.get(slot).as_slice::<i64>()[0]
    }

    fn truth(&self, slot: SlotId) -> bool {
        self.get(slot).as_slice::<bool>()[0]
    }
}

fn scalar(value: Scalar) -> Tensor {
    Tensor::from_f64_slice(value.dtype(), &[value.to_f64()], [])
}

fn rows_of(tensor: &Tensor, start: usize, count: usize) -> Tensor {
    let mut shape = tensor.shape().to_vec();
    let row: usize = shape[1..].iter().product();
    shape[0] = count;
    let values = tensor.to_f64_vec()[start * row..(start + count) * row].to_vec();
    Tensor::from_f64_slice(tensor.dtype(), &values, shape.as_slice())
}
