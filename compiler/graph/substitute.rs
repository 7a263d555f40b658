//! From named sizes to integers, and the name of what comes out.

use super::ops::Scan;
use super::{Builder, Dim, DimVar, Graph, Op, Origin};
use rustc_hash::FxHashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

/// Sizes for which a graph has no meaning.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SizeError {
    /// One sentence without a full stop.
    pub message: String,
    /// Where the node that cannot be comes from.
    pub origin: Origin,
}

impl fmt::Display for SizeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for SizeError {}

/// A hash as wide as two of the standard library's, the same in every run of one binary.
pub(crate) fn both_halves(content: impl Fn(&mut DefaultHasher)) -> u128 {
    let half = |seed: u64| {
        let mut hasher = DefaultHasher::new();
        seed.hash(&mut hasher);
        content(&mut hasher);
        u128::from(hasher.finish())
    };
    half(0) << 64 | half(1)
}

impl Graph {
    /// The graph for these values of named sizes; names that `values` does not give stay. Every
    /// input stays, of the other nodes those that an output needs. A `Size` becomes a constant;
    /// types are derived anew, and what became equal (two reshapes, say) is one node.
    ///
    /// # Errors
    /// Where an operation cannot be for these sizes: a size that becomes negative, a slice that
    /// leaves its axis.
    pub fn with_sizes(&self, values: &dyn Fn(&DimVar) -> Option<i64>) -> Result<Graph, SizeError> {
        let mut graph = Graph::new();
        let b = Builder::new(&mut graph);
        let mut replace = |dim: &Dim| dim.substitute(&|var| values(var).map(Dim::Const));
        let mut inputs = Vec::with_capacity(self.inputs().len());
        for (name, input) in self.inputs() {
            let (ty, origin) = (self.ty(*input).map_dims(&mut replace), self.node(*input).origin);
            // The shape rule refuses negative and oversized types.
            Op::Input(ty.clone())
                .infer(&[])
                .map_err(|e| SizeError { message: format!("`{name}`: {e}"), origin })?;
            b.set_origin(origin);
            inputs.push(b.input(name.clone(), ty));
        }
        // The results of a loop share its step.
        let mut steps: FxHashMap<*const Graph, Arc<Graph>> = FxHashMap::default();
        let results = b.rebuild(self, &inputs, |id, operands| {
            let origin = self.node(id).origin;
            if let Op::Scan(scan) = self.op(id) {
                let step = match steps.entry(Arc::as_ptr(&scan.step)) {
                    Entry::Occupied(known) => Arc::clone(known.get()),
                    Entry::Vacant(new) => {
                        Arc::clone(new.insert(Arc::new(scan.step.with_sizes(values)?)))
                    }
                };
                let scan = Scan { step, count: replace(&scan.count), ..scan.clone() };
                return b
                    .try_add(Op::Scan(scan), operands)
                    .map_err(|e| SizeError { message: e.message, origin });
            }
            let op = match (self.op(id).map_dims(&mut replace), self.op(id)) {
                (Op::Size(Dim::Const(n), _), _) if n < 0 => {
                    let message = format!("a size becomes negative: {n}");
                    return Err(SizeError { message, origin });
                }
                (Op::Size(dim @ Dim::Const(_), dtype), _) => return Ok(b.size(&dim, dtype)),
                // What `map_dims` makes of graphs inside keeps sizes that are constants now.
                (Op::Call(_), Op::Call(before)) => {
                    Op::Call(before.map_graphs(&mut |graph| graph.with_sizes(values))?)
                }
                (op, _) => op,
            };
            b.try_add(op, operands).map_err(|e| SizeError { message: e.message, origin })
        })?;
        for ((name, _), result) in self.outputs().iter().zip(results) {
            b.output(name.clone(), result);
        }
        Ok(graph)
    }

    /// Every named size that occurs in the types of inputs, in order of first occurrence.
    pub fn size_names(&self) -> Vec<DimVar> {
        let mut vars: Vec<DimVar> = Vec::new();
        for (_, input) in self.inputs() {
            for var in self.ty(*input).shape.iter().flat_map(Dim::vars) {
                if !vars.contains(&var) {
                    vars.push(var);
                }
            }
        }
        vars
    }

    /// Every named size that occurs anywhere: what [`Graph::with_sizes`] asks for.
    pub fn named_sizes(&self) -> Vec<DimVar> {
        let mut names = Vec::new();
        let mut note = |dim: &Dim| {
            names.extend(dim.vars());
            dim.clone()
        };
        for id in self.nodes() {
            self.ty(id).map_dims(&mut note);
            self.op(id).map_dims(&mut note);
        }
        names.sort();
        names.dedup();
        names
    }

    /// A hash of what the graph computes: operations, types, edges, names of inputs and outputs,
    /// but neither origins nor nodes that no output needs. The same in every run of one binary.
    pub fn content_hash(&self) -> u128 {
        both_halves(|hasher| self.hash_content(hasher))
    }

    /// Where each node comes from that some output needs, those of the steps of loops and of bodies
    /// of calls too: of graphs with one [`Graph::content_hash`], position by position.
    pub fn live_origins(&self) -> Vec<Origin> {
        let mut origins = Vec::with_capacity(self.len());
        self.collect_origins(&mut origins);
        origins
    }

    fn collect_origins(&self, origins: &mut Vec<Origin>) {
        let live = self.live();
        for id in self.nodes().filter(|id| live[id.index()]) {
            origins.push(self.node(id).origin);
            match self.op(id) {
                Op::Scan(scan) => scan.step.collect_origins(origins),
                Op::Call(call) => call.body.collect_origins(origins),
                _ => {}
            }
        }
    }

    fn hash_content(&self, hasher: &mut impl Hasher) {
        let live = self.live();
        let mut numbers: Vec<usize> = vec![usize::MAX; self.len()];
        let mut next = 0;
        for id in self.nodes() {
            let node = self.node(id);
            if !live[id.index()] && !matches!(node.op, Op::Input(_)) {
                continue;
            }
            numbers[id.index()] = next;
            next += 1;
            node.op.hash(hasher);
            node.ty.hash(hasher);
            for operand in self.operands(id) {
                numbers[operand.index()].hash(hasher);
            }
        }
        for list in [self.inputs(), self.outputs()] {
            list.len().hash(hasher);
            for (name, node) in list {
                (name, numbers[node.index()]).hash(hasher);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::TensorType;
    use crate::graph::interpret::interpret;
    use crate::graph::verify::verify;
    use std::sync::Arc;
    use tensc_runtime::{DType, Tensor};

    fn mean(rows: &DimVar, unused: &DimVar) -> Graph {
        let mut graph = Graph::new();
        let g = Builder::new(&mut graph);
        let (n, m) = (Dim::var(rows.clone()), Dim::var(unused.clone()));
        let x = g.input("x", TensorType::new(DType::F32, [n.clone(), Dim::Const(2)]));
        g.input("unused", TensorType::new(DType::F32, [m]));
        g.exp(x);
        let flat = g.reshape(x, &[n.clone() * Dim::Const(2)]);
        let rest =
            g.slice(flat, &[Dim::Const(1)], &[n.clone() * Dim::Const(2) - Dim::Const(3)], &[1]);
        let count = g.size(&(n * Dim::Const(2) - Dim::Const(3)), DType::F32);
        g.output("mean", g.div(g.sum_all(rest), count));
        graph
    }

    fn var(id: u32, name: &str) -> DimVar {
        DimVar { id, name: Arc::from(name) }
    }

    #[test]
    fn sizes_are_replaced_everywhere() {
        let (n, m) = (var(0, "N"), var(1, "M"));
        let symbolic = mean(&n, &m);
        assert_eq!(symbolic.size_names(), [n.clone(), m]);
        let known = |size: i64| symbolic.with_sizes(&|v| Some(if *v == n { size } else { 7 }));
        let graph = known(3).expect("6 elements");
        assert!(graph.is_concrete() && !symbolic.is_concrete());
        verify(&graph).expect("verifies");
        // The dead exponential is gone, the unused input is not.
        assert_eq!(graph.len(), symbolic.len() - 1);
        assert_eq!(graph.inputs().len(), 2);
        let x = Tensor::from_slice(&[9f32, 1.0, 2.0, 3.0, 9.0, 9.0], [3, 2]);
        let y = interpret(&graph, &[x, Tensor::zeros(DType::F32, [7])]).expect("runs");
        assert_eq!(y, [Tensor::scalar(2f32)]);
        insta::assert_snapshot!(known(1).expect_err("-1 elements"), @"slice of type f32[-1] has a negative size");
        insta::assert_snapshot!(known(-1).expect_err("-1 rows"), @"`x`: input of type f32[-1, 2] has a negative size");
    }

    #[test]
    fn the_hash_is_of_what_is_computed() {
        let (n, m) = (var(0, "N"), var(1, "M"));
        let graph = mean(&n, &m);
        let at = |size: i64| graph.with_sizes(&move |_| Some(size)).expect("large enough");
        assert_eq!(at(4).content_hash(), at(4).content_hash());
        assert_ne!(at(4).content_hash(), at(5).content_hash());
        let mut more = at(4);
        let dead = more.add_input("z", TensorType::scalar(DType::F32), Origin::default());
        assert_ne!(more.content_hash(), at(4).content_hash(), "an input is part of the signature");
        let with_input = more.content_hash();
        more.add(crate::graph::MapOp::Exp.into(), &[dead], Origin::default()).expect("well typed");
        assert_eq!(more.content_hash(), with_input, "a dead node is not");
    }
}
