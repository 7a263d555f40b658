//! Random graphs with inputs, for differential tests of whatever maps or runs graphs.
//!
//! A [`Case`] is well typed and tame: its operations are inside their domains, its values finite
//! and of moderate size, and what is not continuous (comparisons, rounding, positions of extremes)
//! is fed only with values that every correct executor computes to the same bits. So results may be
//! compared with a tolerance. The generator evaluates each node as it adds it, to know.

mod steps;

use super::fused::ReduceOp;
use super::ops::elementwise::Partial;
use super::ops::{Draw, Draws, MapOp, Op};
use super::{Builder, Dim, Graph, NodeId, TensorType};
use tensc_runtime::along::Running;
use tensc_runtime::{DType, Tensor};

/// A concrete graph and values for its inputs.
#[derive(Clone, Debug)]
pub struct Case {
    /// The graph; it has outputs.
    pub graph: Graph,
    /// A value for each input.
    pub inputs: Vec<Tensor>,
}

/// What cases look like.
#[derive(Clone, Debug)]
pub struct Options {
    /// Steps of the generator; each adds a few nodes.
    pub steps: usize,
    /// Most elements of a node, and most terms of its sums.
    pub max_elements: usize,
    /// Element types of inputs and conversions.
    pub dtypes: Vec<DType>,
    /// Whether there may be `Fused` nodes, which only rewriting makes.
    pub fused: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { steps: 12, max_elements: 600, dtypes: DType::ALL.to_vec(), fused: false }
    }
}

/// The case of this seed: the same for the same seed and options.
pub fn random_case(seed: u64, options: &Options) -> Case {
    let mut graph = Graph::new();
    let mut generator = Generator {
        g: Builder::new(&mut graph),
        rng: Rng(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x5851_F42D_4C95_7F2D),
        options,
        inputs: Vec::new(),
        values: Vec::new(),
        tame: Vec::new(),
        exact: Vec::new(),
    };
    for _ in 0..1 + generator.rng.below(4) {
        generator.add_input();
    }
    for _ in 0..options.steps {
        generator.step();
    }
    let inputs = generator.finish();
    Case { graph, inputs }
}

struct Generator<'g> {
    g: Builder<'g>,
    rng: Rng,
    options: &'g Options,
    inputs: Vec<Tensor>,
    /// Of each node: its value, whether it may be used, whether every executor has the same bits.
    values: Vec<Tensor>,
    tame: Vec<bool>,
    exact: Vec<bool>,
}

impl Generator<'_> {
    fn add_input(&mut self) {
        let dtype = self.rng.pick(&self.options.dtypes);
        let rank = self.rng.below(4);
        let sizes: Vec<usize> = (0..rank).map(|_| self.size()).collect();
        let ty = TensorType::new(dtype, sizes.iter().map(|&n| Dim::from(n)));
        let limit = if dtype.is_float() { 2.0 } else { 9.0 };
        let value =
            Draws::Between(-limit, limit).tensor(dtype, ty.concrete_shape(), self.rng.next());
        self.g.input(format!("x{}", self.inputs.len()), ty);
        self.inputs.push(value);
        self.settle();
    }

    /// Tries one of the ways to add nodes; some find nothing to work on and add none.
    fn step(&mut self) {
        match self.rng.below(33) {
            0..8 => self.map(),
            8 => self.convert(),
            9 | 10 => self.reshape(),
            11 => self.transpose(),
            12 | 13 => self.broadcast(),
            14 => self.slice(),
            15 => self.pad(),
            16 => self.concat(),
            17 | 18 => self.reduce(),
            19 => self.arg_reduce(),
            20 | 21 => self.contract(),
            22 => self.gather(),
            23 => self.scatter(),
            24 => self.source(),
            25 => self.window(),
            26 => self.diagonal(),
            27 | 28 => self.along(),
            29 => self.scan(),
            30 => self.call(),
            _ if self.options.fused => self.fused(),
            _ => self.map(),
        };
        self.settle();
    }

    /// Outputs: what no other node uses, and one more.
    fn finish(mut self) -> Vec<Tensor> {
        let usable: Vec<NodeId> = self.usable(|_| true);
        let mut outputs: Vec<NodeId> = self
            .g
            .graph(|graph| usable.iter().copied().filter(|&n| graph.users(n).is_empty()).collect());
        let extra = self.rng.pick(&usable);
        if !outputs.contains(&extra) {
            outputs.push(extra);
        }
        for (i, node) in outputs.into_iter().enumerate() {
            self.g.output(format!("y{i}"), node);
        }
        self.inputs
    }

    /// Evaluates the new nodes and notes what they may be used for.
    fn settle(&mut self) {
        let len = self.g.graph(Graph::len);
        for id in (self.values.len()..len).map(NodeId::from_index) {
            let (op, operands, ty) = (self.g.op(id), self.g.operands(id), self.g.ty(id));
            let value = match &op {
                Op::Input(_) => self.inputs[self.inputs.len() - 1].clone(),
                _ => {
                    let values: Vec<&Tensor> =
                        operands.iter().map(|o| &self.values[o.index()]).collect();
                    (op.row().eval)(&op, &values, &ty).expect("indices are kept in range")
                }
            };
            let moderate = |x: f64| x.is_finite() && x.abs() < 1e4;
            let float = ty.dtype.is_float();
            let tame = !float || value.to_f64_vec().into_iter().all(moderate);
            let fed = |flags: &[bool]| operands.iter().all(|o| flags[o.index()]);
            let exact = fed(&self.exact) && keeps_exact(&self.g, &op, &operands, &ty);
            self.tame.push(tame && fed(&self.tame));
            self.exact.push(exact);
            self.values.push(value);
        }
    }

    fn usable(&self, wanted: impl Fn(&TensorType) -> bool) -> Vec<NodeId> {
        let nodes = (0..self.values.len()).map(NodeId::from_index);
        nodes.filter(|&n| self.tame[n.index()] && wanted(&self.g.ty(n))).collect()
    }

    fn any(&mut self, wanted: impl Fn(&TensorType) -> bool) -> Option<NodeId> {
        let nodes = self.usable(wanted);
        // Later nodes are likelier, so that graphs grow deep.
        let late = nodes.len().saturating_sub(6);
        let from = if self.rng.chance(2, 3) { late } else { 0 };
        (!nodes.is_empty()).then(|| self.rng.pick(&nodes[from..]))
    }

    fn size(&mut self) -> usize {
        self.rng.pick(&[1, 2, 3, 4, 5, 7, 8, 16, 17])
    }

    fn fits(&self, shape: &[Dim]) -> bool {
        let elements = TensorType::new(DType::F32, shape.iter().cloned()).elements();
        elements.known().is_some_and(|n| n <= self.options.max_elements as i64)
    }
}

/// Whether exact operands give a result that every executor computes to the same bits.
fn keeps_exact(g: &Builder<'_>, op: &Op, operands: &[NodeId], ty: &TensorType) -> bool {
    match op {
        Op::Map(map) => {
            let copies = matches!(map, MapOp::Neg | MapOp::Abs | MapOp::Max | MapOp::Min)
                || map.row().partials.iter().all(|p| matches!(p, Partial::Zero))
                || *map == MapOp::Select;
            !ty.dtype.is_float() || copies
        }
        Op::Convert(to) => {
            let from = g.ty(operands[0]).dtype;
            // Narrow floats may be reached through `f32`, rounding twice.
            !to.is_float() || matches!(to, DType::F32 | DType::F64) && from.size() <= to.size()
        }
        Op::Reduce(reduce, _) => {
            !ty.dtype.is_float() || matches!(reduce, ReduceOp::Max | ReduceOp::Min)
        }
        Op::Random { draw, .. } => *draw != Draw::Normal,
        Op::Running(Running::Max | Running::Min, _) => true,
        Op::Contract(_)
        | Op::ScatterAdd(_)
        | Op::Running(..)
        | Op::Recur(_)
        | Op::Linear(_)
        | Op::Scan(_)
        | Op::Call(_)
        | Op::Fused(_) => !ty.dtype.is_float(),
        Op::Input(_)
        | Op::Const(_)
        | Op::Literal(_)
        | Op::Size(..)
        | Op::Iota { .. }
        | Op::CheckIndex(_)
        | Op::Reshape(_)
        | Op::Transpose(_)
        | Op::Broadcast { .. }
        | Op::Slice { .. }
        | Op::Window(_)
        | Op::Diagonal(..)
        | Op::Pad { .. }
        | Op::Concat(_)
        | Op::ArgReduce(..)
        | Op::Argsort { .. }
        | Op::Gather(_)
        | Op::FoldKey
        | Op::After => true,
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let a = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let b = (a ^ (a >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        b ^ (b >> 31)
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    fn chance(&mut self, times: usize, of: usize) -> bool {
        self.below(of) < times
    }
    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
    fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{interpret, text, verify};
    use std::collections::HashSet;

    #[test]
    fn cases_are_sound_and_tame() {
        let mut ops: HashSet<&str> = HashSet::new();
        for seed in 0..400 {
            let options = Options { fused: seed % 2 == 0, ..Options::default() };
            let Case { graph, inputs } = random_case(seed, &options);
            verify(&graph).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{graph}"));
            let outputs = interpret(&graph, &inputs).expect("runs");
            assert!(!outputs.is_empty());
            for value in &outputs {
                assert!(value.to_f64_vec().iter().all(|x| x.is_finite()), "seed {seed}");
            }
            ops.extend(graph.nodes().map(|n| graph.op(n).name()));
        }
        let rows = crate::graph::ops::ROWS.iter().map(|r| r.name);
        let maps = MapOp::ALL.iter().map(|op| op.row().name);
        let all = rows.chain(maps).filter(|name| !["map", "size"].contains(name));
        let missing: Vec<&str> = all.filter(|name| !ops.contains(name)).collect();
        assert!(missing.is_empty(), "no case has {missing:?}");
    }

    #[test]
    fn text_parses_back() {
        for seed in 0..200 {
            let options = Options { fused: true, ..Options::default() };
            let Case { graph, .. } = random_case(seed, &options);
            let text = graph.to_string();
            let parsed = text::parse(&text).unwrap_or_else(|e| panic!("seed {seed}: {e}\n{text}"));
            assert_eq!(parsed, graph);
        }
    }

    #[test]
    fn known_sizes_change_nothing_but_dead_nodes() {
        for seed in 0..200 {
            let Case { graph, inputs } = random_case(seed, &Options::default());
            let same = graph.with_sizes(&|_| None).expect("nothing to replace");
            assert!(same.len() <= graph.len());
            assert_eq!(interpret(&same, &inputs), interpret(&graph, &inputs), "seed {seed}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_case() {
        let of = |seed| random_case(seed, &Options::default());
        assert_eq!(of(5).graph, of(5).graph);
        assert_eq!(of(5).inputs, of(5).inputs);
        assert_ne!(of(5).graph, of(6).graph);
    }
}
