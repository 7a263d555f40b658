//! One pass over the rows of a large tensor where there were two.
//!
//! A step of gradient descent reads its table twice: `z = x @ w`, and, after elementwise work on
//! `z`, `transpose(x) @ d`. Where the table does not fit the caches, both readings come from memory
//! and take all the time there is. Here the rows are cut into blocks, and a loop does both for
//! each block while it is near. Partial sums are kept for [`GROUPS`] parts of each block apart, so
//! that threads can share a block and the bits do not depend on how many there are.
//!
//! What is *row-wise* has an axis whose place `i` depends only on row `i` of the table. What sums
//! over that axis is an *accumulation*. The loop holds the accumulations that read the table, what
//! leads from the table to them, and other accumulations of that.

mod rows;

use self::rows::{is_repeated, is_thin, moved, part, reads};
use super::LoopNote;
use crate::graph::fused::ReduceOp;
use crate::graph::ops::{Axes, Contraction, Scan};
use crate::graph::{Builder, Dim, Graph, NodeId, Op, Operands, TensorType};
use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use std::sync::Arc;
use tensc_runtime::DType;

/// Bytes from which on a table is read from afar.
const FAR: i64 = 1 << 20;
/// Bytes of a block.
const BLOCK: i64 = 400 << 10;
/// Parts of a block that are summed apart.
const GROUPS: i64 = 8;
/// Rows of a part at least.
const FEW_ROWS: i64 = 16;
/// Vectors that a table is multiplied by in one product at most; more are worth their own pass.
const THIN: i64 = 4;

/// The graph with such passes joined; `None` where there are none. Says what it did.
pub fn cut(graph: &Graph, notes: &mut Vec<LoopNote>) -> Option<Graph> {
    let live = graph.live();
    let table = |id: &NodeId| live[id.index()] && is_table(graph, *id);
    let (sweep, cut) = graph.nodes().filter(table).find_map(|table| {
        let sweep = Sweep::of(graph, &live, table)?;
        let cut = sweep.apply(graph)?;
        Some((sweep, cut))
    })?;
    notes.push(sweep.note(graph));
    Some(cut)
}

fn is_table(graph: &Graph, id: NodeId) -> bool {
    let ty = graph.ty(id);
    let float = matches!(ty.dtype, DType::F32 | DType::F64);
    let held = matches!(graph.op(id), Op::Input(_));
    held && float && ty.rank() >= 2 && bytes(ty) >= FAR
}

fn size(dim: &Dim) -> i64 {
    dim.known().expect("sizes are known before rewriting")
}

fn bytes(ty: &TensorType) -> i64 {
    ty.shape.iter().map(size).product::<i64>() * ty.dtype.size() as i64
}

/// What a node has to do with the rows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Part {
    /// Nothing: it is known before.
    Before,
    /// It is row-wise along this axis.
    Rows(usize),
    /// It sums over the rows.
    Sum,
    /// It needs the loop to be over.
    After,
}

/// The work on the rows of one table.
struct Sweep {
    table: NodeId,
    parts: Vec<Part>,
    /// The nodes that the loop does, in order.
    nodes: Vec<NodeId>,
    /// Rows of a part of a block, and blocks.
    rows: i64,
    blocks: i64,
}

impl Sweep {
    fn of(graph: &Graph, live: &[bool], table: NodeId) -> Option<Sweep> {
        let n = size(&graph.ty(table).shape[0]);
        let row = bytes(graph.ty(table)) / n;
        let fits = |rows: &i64| {
            n % (rows * GROUPS) == 0 && rows * GROUPS * row <= BLOCK && rows * GROUPS < n
        };
        let rows = (FEW_ROWS..=n / GROUPS).take_while(|r| r * GROUPS * row <= BLOCK);
        let rows = rows.filter(fits).last()?;
        let mut parts = vec![Part::Before; graph.len()];
        parts[table.index()] = Part::Rows(0);
        for id in graph.nodes().filter(|id| live[id.index()] && *id != table) {
            parts[id.index()] = part(graph, &parts, id);
        }
        // The accumulations that read the table again, and what they are made of.
        let mut wanted = vec![false; graph.len()];
        for id in graph.nodes().filter(|id| live[id.index()]) {
            let operands = graph.operands(id);
            let is_view = |o: NodeId| {
                o == table
                    || matches!(graph.op(o), Op::Transpose(_)) && graph.operands(o)[0] == table
            };
            let again = operands.iter().any(|&o| is_view(o));
            let product = matches!(graph.op(id), Op::Contract(_));
            wanted[id.index()] = parts[id.index()] == Part::Sum
                && product
                && again
                && operands.iter().any(|&o| !is_view(o) && reads(graph, &parts, o, table));
        }
        if !wanted.contains(&true) {
            return None;
        }
        for id in graph.nodes().rev() {
            if wanted[id.index()] {
                for operand in graph.operands(id) {
                    wanted[operand.index()] |= matches!(parts[operand.index()], Part::Rows(_));
                }
            }
        }
        for id in graph.nodes().filter(|id| live[id.index()]) {
            let mut rows = graph
                .operands(id)
                .into_iter()
                .filter(|o| matches!(parts[o.index()], Part::Rows(_)));
            wanted[id.index()] |= parts[id.index()] == Part::Sum && rows.all(|o| wanted[o.index()]);
        }
        let nodes: Vec<NodeId> =
            graph.nodes().filter(|id| wanted[id.index()] && *id != table).collect();
        let thin = nodes.iter().all(|&id| is_thin(graph, id));
        let float = |id: &NodeId| {
            parts[id.index()] != Part::Sum || matches!(graph.ty(*id).dtype, DType::F32 | DType::F64)
        };
        // Rows that leave the loop are stacked along the first axis.
        let leave = |id: &NodeId| {
            let outside = graph.users(*id).iter().any(|(user, _)| !wanted[user.index()]);
            outside || graph.outputs().iter().any(|(_, node)| node == id)
        };
        let first = |id: &NodeId| !leave(id) || !matches!(parts[id.index()], Part::Rows(1..));
        let fine = thin && nodes.iter().all(float) && nodes.iter().all(first);
        let blocks = n / (rows * GROUPS);
        fine.then_some(Sweep { table, parts, nodes, rows, blocks })
    }
}

/// The step while it is made.
struct Step<'s, 'g> {
    sweep: &'s Sweep,
    graph: &'s Graph,
    b: &'s Builder<'g>,
    /// What stands for a node in a step, or for the part of it that a step has.
    made: FxHashMap<NodeId, NodeId>,
    /// What stands for all of a node from before the loop.
    whole: FxHashMap<NodeId, NodeId>,
    /// For each input of the step after its states: the node outside, and whether it is cut.
    inputs: Vec<(NodeId, bool)>,
}

impl Sweep {
    fn note(&self, graph: &Graph) -> LoopNote {
        let named = graph.inputs().iter().find(|(_, node)| *node == self.table);
        let (name, _) = named.expect("a table is an input");
        let products = |id: &&NodeId| matches!(graph.op(**id), Op::Contract(_));
        let (ty, blocks, rows) = (graph.ty(self.table), self.blocks, self.rows * GROUPS);
        let what = format!(
            "{} products with `{name}`, {ty}, share one pass over its rows, in {blocks} blocks of \
             {rows}",
            self.nodes.iter().filter(products).count()
        );
        let sum = self.nodes.iter().find(|id| self.parts[id.index()] == Part::Sum);
        LoopNote { span: sum.and_then(|id| graph.node(*id).origin.span), what }
    }

    fn apply(&self, graph: &Graph) -> Option<Graph> {
        // The inputs of a step: what is cut, then what is whole.
        let mut cut: Vec<NodeId> = vec![self.table];
        let mut whole: Vec<NodeId> = Vec::new();
        for &id in &self.nodes {
            for (operand, axis) in graph.operands(id).into_iter().zip(self.axes(graph, id)) {
                if self.parts[operand.index()] != Part::Before {
                    continue;
                }
                let (list, node) = match axis {
                    Some(axis) if is_repeated(graph, operand, axis) => {
                        (&mut whole, graph.operands(operand)[0])
                    }
                    Some(_) => (&mut cut, operand),
                    None => (&mut whole, operand),
                };
                if !list.contains(&node) {
                    list.push(node);
                }
            }
        }
        let sums: Vec<NodeId> = self.chosen(|part| part == Part::Sum);
        let leaving: Vec<NodeId> = self.chosen(|part| matches!(part, Part::Rows(_)));
        let leaving: Vec<NodeId> =
            leaving.into_iter().filter(|id| self.leaves(graph, *id)).collect();

        let mut step_graph = Graph::new();
        let s = Builder::new(&mut step_graph);
        let mut states = Vec::new();
        for (number, &sum) in sums.iter().enumerate() {
            states.push(s.input(format!("state.{number}"), self.partial_ty(graph, sum)));
        }
        let (made, inputs) = (FxHashMap::default(), Vec::new());
        let mut step =
            Step { sweep: self, graph, b: &s, made, whole: FxHashMap::default(), inputs };
        for (list, is_cut) in [(&cut, true), (&whole, false)] {
            for &node in list {
                let ty = match is_cut {
                    true => self.cut_ty(graph.ty(node), 0),
                    false => graph.ty(node).clone(),
                };
                let what = if is_cut { "slice" } else { "whole" };
                let input = s.input(format!("{what}.{}", step.inputs.len()), ty);
                step.inputs.push((node, is_cut));
                let stands = if is_cut { &mut step.made } else { &mut step.whole };
                stands.insert(node, input);
            }
        }
        for &id in &self.nodes {
            let node = step.node(id);
            step.made.insert(id, node);
        }
        for ((number, sum), &state) in sums.iter().enumerate().zip(&states) {
            s.output(format!("state.{number}"), s.add(state, step.made[sum]));
        }
        for (number, id) in leaving.iter().enumerate() {
            s.output(format!("element.{number}"), step.made[id]);
        }
        let Step { inputs, .. } = step;
        drop(s);
        Some(self.outer(graph, step_graph, &sums, &leaving, &inputs))
    }

    /// The graph with the loop in the place of the nodes that it does.
    fn outer(
        &self,
        graph: &Graph,
        step: Graph,
        sums: &[NodeId],
        leaving: &[NodeId],
        inputs: &[(NodeId, bool)],
    ) -> Graph {
        let mut result = Graph::new();
        let b = Builder::new(&mut result);
        let mut map: FxHashMap<NodeId, NodeId> = FxHashMap::default();
        for (name, input) in graph.inputs() {
            b.set_origin(graph.node(*input).origin);
            map.insert(*input, b.input(name, graph.ty(*input).clone()));
        }
        let live = graph.live();
        // Everything that is not after the loop comes before it.
        let after = |id: NodeId| {
            self.parts[id.index()] != Part::Before && id != self.table || self.nodes.contains(&id)
        };
        let copy = |id: NodeId, map: &mut FxHashMap<NodeId, NodeId>| {
            let operands: Operands = graph.operands(id).iter().map(|o| map[o]).collect();
            b.set_origin(graph.node(id).origin);
            let node = b.add_op(graph.op(id).clone(), &operands);
            map.insert(id, node);
        };
        for id in graph.nodes().filter(|&id| live[id.index()] && !after(id)) {
            if !map.contains_key(&id) {
                copy(id, &mut map);
            }
        }
        b.set_origin(graph.node(sums[0]).origin);
        let sliced = inputs.iter().filter(|(_, cut)| *cut).count();
        let scan = Scan {
            step: Arc::new(step),
            count: Dim::Const(self.blocks),
            carried: sums.len(),
            sliced,
            reverse: false,
            result: 0,
            gated: false,
            until: None,
        };
        let mut operands = Operands::new();
        for &sum in sums {
            operands.push(b.full(0.0, &self.partial_ty(graph, sum)));
        }
        for &(node, cut) in inputs {
            operands.push(match cut {
                true => {
                    let mut ty = self.cut_ty(graph.ty(node), 0);
                    ty.shape.insert(0, Dim::Const(self.blocks));
                    b.reshape(map[&node], &ty.shape)
                }
                false => map[&node],
            });
        }
        let results = b.scan_all(&scan, &operands);
        let (states, elements) = results.split_at(sums.len());
        for (&sum, &state) in sums.iter().zip(states) {
            b.set_origin(graph.node(sum).origin);
            let total = b.reduce(ReduceOp::Sum, state, &[self.group_axis(graph, sum)]);
            map.insert(sum, total);
        }
        for (&id, &element) in leaving.iter().zip(elements) {
            map.insert(id, b.reshape(element, &graph.ty(id).shape));
        }
        for id in graph.nodes().filter(|&id| live[id.index()] && after(id)) {
            if !map.contains_key(&id) && !self.nodes.contains(&id) {
                copy(id, &mut map);
            }
        }
        for (name, node) in graph.outputs() {
            b.output(name, map[node]);
        }
        drop(b);
        result
    }

    fn chosen(&self, wanted: impl Fn(Part) -> bool) -> Vec<NodeId> {
        self.nodes.iter().copied().filter(|id| wanted(self.parts[id.index()])).collect()
    }

    /// Whether somebody outside of the loop needs the node.
    fn leaves(&self, graph: &Graph, id: NodeId) -> bool {
        graph.users(id).iter().any(|(user, _)| !self.nodes.contains(user))
            || graph.outputs().iter().any(|(_, node)| *node == id)
    }

    /// For each operand of a node of the loop the axis along which it must be cut, if it must.
    fn axes(&self, graph: &Graph, id: NodeId) -> SmallVec<[Option<usize>; 3]> {
        let operands = graph.operands(id);
        let rows = |o: NodeId| match self.parts[o.index()] {
            Part::Rows(axis) => Some(axis),
            _ => None,
        };
        match graph.op(id) {
            Op::Map(_) | Op::Convert(_) => {
                let axis = operands.iter().find_map(|&o| rows(o));
                operands.iter().map(|_| axis).collect()
            }
            Op::Contract(c) => {
                let (l, r) = (rows(operands[0]), rows(operands[1]));
                let partner = |from: &Axes, to: &Axes, axis: Option<usize>| {
                    let at = from.iter().position(|&a| Some(usize::from(a)) == axis)?;
                    Some(usize::from(to[at]))
                };
                let left = l
                    .or_else(|| partner(&c.right_sum, &c.left_sum, r))
                    .or_else(|| partner(&c.right_batch, &c.left_batch, r));
                let right = r
                    .or_else(|| partner(&c.left_sum, &c.right_sum, l))
                    .or_else(|| partner(&c.left_batch, &c.right_batch, l));
                [left, right].into_iter().collect()
            }
            _ => operands.iter().map(|&o| rows(o)).collect(),
        }
    }

    /// The type of a part of what has its rows along an axis: groups, then rows.
    fn cut_ty(&self, ty: &TensorType, axis: usize) -> TensorType {
        let mut ty = ty.clone();
        ty.shape[axis] = Dim::Const(GROUPS);
        ty.shape.insert(axis + 1, Dim::Const(self.rows));
        ty
    }

    /// Where the groups of a partial sum are.
    fn group_axis(&self, graph: &Graph, sum: NodeId) -> usize {
        match graph.op(sum) {
            Op::Reduce(_, axes) => {
                let Part::Rows(axis) = self.parts[graph.operands(sum)[0].index()] else {
                    unreachable!("a sum of rows")
                };
                axis - axes.iter().filter(|&&a| usize::from(a) < axis).count()
            }
            _ => 0,
        }
    }

    fn partial_ty(&self, graph: &Graph, sum: NodeId) -> TensorType {
        let mut ty = graph.ty(sum).clone();
        ty.shape.insert(self.group_axis(graph, sum), Dim::Const(GROUPS));
        ty
    }
}

impl Step<'_, '_> {
    /// A node of the loop for the rows of one block.
    fn node(&mut self, id: NodeId) -> NodeId {
        let (graph, b) = (self.graph, self.b);
        let axes = self.sweep.axes(graph, id);
        let operands: Operands =
            graph.operands(id).iter().zip(&axes).map(|(&o, &axis)| self.operand(o, axis)).collect();
        b.set_origin(graph.node(id).origin);
        let op = match graph.op(id) {
            Op::Broadcast { shape, axes: to } => {
                let axis = axes[0].expect("it reads rows");
                let place = usize::from(to[axis]);
                let ty = TensorType::new(graph.ty(id).dtype, shape.iter().cloned());
                let mut new: Axes = Axes::new();
                for (from, &to) in to.iter().enumerate() {
                    new.push(moved(to, Some(place)));
                    if from == axis {
                        new.push(to + 1);
                    }
                }
                Op::Broadcast { shape: self.sweep.cut_ty(&ty, place).shape, axes: new }
            }
            Op::Transpose(perm) => {
                let axis = axes[0].expect("it reads rows");
                let mut new: Axes = Axes::new();
                for &from in perm {
                    new.push(moved(from, Some(axis)));
                    if usize::from(from) == axis {
                        new.push(from + 1);
                    }
                }
                Op::Transpose(new)
            }
            Op::Reduce(op, over) => {
                let axis = axes[0].expect("it reads rows");
                // The rows of a group are summed, the groups stay apart.
                let new = |&a: &u8| if usize::from(a) == axis { a + 1 } else { moved(a, axes[0]) };
                Op::Reduce(*op, over.iter().map(new).collect())
            }
            Op::Contract(c) => Op::Contract(self.contraction(c, axes[0], axes[1])),
            op => op.clone(),
        };
        b.add_op(op, &operands)
    }

    fn contraction(
        &self,
        c: &Contraction,
        left: Option<usize>,
        right: Option<usize>,
    ) -> Contraction {
        let mut new = Contraction::default();
        let pairs =
            |a: &Axes, b: &Axes| a.iter().copied().zip(b.iter().copied()).collect::<Vec<_>>();
        let is = |a: u8, axis: Option<usize>| Some(usize::from(a)) == axis;
        for (a, b) in pairs(&c.left_sum, &c.right_sum) {
            let rows = is(a, left) && is(b, right);
            if rows {
                new.left_batch.push(a);
                new.right_batch.push(b);
            }
            new.left_sum.push(if rows { a + 1 } else { moved(a, left) });
            new.right_sum.push(if rows { b + 1 } else { moved(b, right) });
        }
        for (a, b) in pairs(&c.left_batch, &c.right_batch) {
            new.left_batch.push(moved(a, left));
            new.right_batch.push(moved(b, right));
            if is(a, left) && is(b, right) {
                new.left_batch.push(a + 1);
                new.right_batch.push(b + 1);
            }
        }
        new
    }

    fn operand(&self, node: NodeId, axis: Option<usize>) -> NodeId {
        let (graph, b) = (self.graph, self.b);
        let before = self.sweep.parts[node.index()] == Part::Before;
        match axis {
            None if before => self.whole[&node],
            Some(axis) if before && is_repeated(graph, node, axis) => {
                let Op::Broadcast { axes, .. } = graph.op(node) else { unreachable!("repeated") };
                let to: SmallVec<[usize; 4]> = axes
                    .iter()
                    .map(|&a| usize::from(a) + usize::from(usize::from(a) > axis))
                    .collect();
                let shape = self.sweep.cut_ty(graph.ty(node), axis).shape;
                b.broadcast(self.whole[&graph.operands(node)[0]], &shape, &to)
            }
            _ => self.made[&node],
        }
    }
}
