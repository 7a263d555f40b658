//! Lowering: a graph of concrete sizes becomes a program of kernels.
//!
//! Every node becomes a `View`: constants, positions, transposes, slices and broadcasts are views
//! that cost nothing; the others get a buffer and the kernels that fill it. Each elementwise node,
//! fused or not, is one nest; `fuse` joins kernels afterwards.
//!
//! Invariant: a kernel reads only what earlier kernels wrote, and (pads and concatenations apart,
//! whose parts are disjoint or ordered) each buffer has one kernel that writes it.

mod arrange;
mod body;
mod contract;
mod form;
mod layout;
mod nest;
mod place;
mod scan;
mod scribe;
mod turn;
mod view;

pub use self::scribe::lane_stride;

use self::body::Point;
use self::nest::{Loop, LoopFold, Target};
use self::scribe::{Read, Scribe};
use self::view::{Base, View};
use super::walk::{Walk, points};
use super::{Buffer, BufferId, Call, Kernel, Place, Program, Work};
use crate::graph::fused::{LambdaInst, ReduceOp};
use crate::graph::ops::Class;
use crate::graph::{Fused, Graph, Node, NodeId, Op, Origin};
use crate::vector::{Combine, Value};
use smallvec::SmallVec;
use tensc_runtime::{DType, Scalar, Tensor};

/// The kernels of a graph, one for each piece of work, in the order of the nodes; not yet fused,
/// planned or scheduled. Panics where a size is still a name.
pub fn lower(graph: &Graph) -> Program {
    lower_after(graph, Vec::new())
}

/// The same where other checks have these sites.
fn lower_after(graph: &Graph, sites: Vec<Origin>) -> Program {
    assert!(graph.is_concrete(), "lowering needs known sizes");
    let graph = &*graph.written_out();
    let live = graph.live();
    let mut lowering = Lowering {
        graph,
        live,
        program: Program { sites, ..Program::default() },
        views: vec![None; graph.len()],
        origin: Origin::default(),
        waits: vec![SmallVec::new(); graph.len()],
        after: SmallVec::new(),
    };
    for (number, (name, node)) in graph.inputs().iter().enumerate() {
        lowering.input(number as u32, name, *node);
    }
    for id in graph.nodes() {
        if lowering.live[id.index()] && lowering.views[id.index()].is_none() {
            lowering.origin = graph.node(id).origin;
            lowering.wait(id);
            let before = lowering.program.kernels.len();
            let view = lowering.node(id);
            lowering.views[id.index()] = Some(view);
            // What is no kernel itself makes its readers wait.
            if lowering.program.kernels.len() == before {
                lowering.waits[id.index()] = std::mem::take(&mut lowering.after);
            }
        }
    }
    for (number, (name, node)) in graph.outputs().iter().enumerate() {
        lowering.output(number as u32, name, *node);
    }
    lowering.program
}

struct Lowering<'g> {
    graph: &'g Graph,
    /// Which nodes some output needs.
    live: Vec<bool>,
    program: Program,
    views: Vec<Option<View>>,
    /// Of the node that is being lowered.
    origin: Origin,
    /// For each node that is a view what kernels that read it are after.
    waits: Vec<SmallVec<[BufferId; 1]>>,
    /// What kernels of the node that is being lowered are after.
    after: SmallVec<[BufferId; 1]>,
}

/// Nodes.
impl Lowering<'_> {
    fn input(&mut self, number: u32, name: &str, node: NodeId) {
        let ty = self.graph.ty(node);
        let shape = ty.concrete_shape();
        let buffer = self.buffer(ty.dtype, shape.elements(), Place::Input(number));
        self.program.buffers[buffer.0 as usize].name = name.to_owned();
        self.program.inputs.push(buffer);
        self.views[node.index()] = Some(View::buffer(buffer, ty.dtype, &shape));
    }

    fn node(&mut self, id: NodeId) -> View {
        let node = self.graph.node(id);
        let operands: SmallVec<[View; 3]> =
            self.graph.operands(id).iter().map(|&o| self.view(o)).collect();
        let shape = node.ty.concrete_shape();
        match &node.op {
            Op::Input(_) => unreachable!("inputs have their views"),
            Op::Const(scalar) => View::constant(*scalar, &[]),
            Op::Literal(literal) => self.literal(&literal.0),
            Op::Size(dim, dtype) => {
                let size = dim.known().expect("lowering needs known sizes");
                View::constant(Scalar::from_i64(*dtype, size), &[])
            }
            Op::Iota { dtype, axis, .. } => View::position(*dtype, &shape, usize::from(*axis)),
            Op::Map(map) => self.pointwise(id, &operands, &|scribe, values| {
                body::map(&scribe.b, *map, values, node.ty.dtype)
            }),
            Op::Convert(to) => {
                let from = operands[0].dtype;
                self.pointwise(id, &operands, &|scribe, values| {
                    body::convert(&scribe.b, from, *to, values[0])
                })
            }
            Op::CheckIndex(bound) => {
                let bound = bound.known().expect("lowering needs known sizes");
                let site = self.site();
                self.pointwise(id, &operands, &|scribe, values| {
                    body::check_index(&scribe.b, values[0], bound, site)
                })
            }
            Op::Reshape(_)
            | Op::Transpose(_)
            | Op::Broadcast { .. }
            | Op::Slice { .. }
            | Op::Diagonal(..) => self.rearranged(node, &operands[0]),
            Op::Window(window) => operands[0].windowed(window),
            Op::Pad { low, interior, .. } => {
                let low: Vec<i64> =
                    low.iter().map(|d| d.known().expect("lowering needs known sizes")).collect();
                self.pad(id, &operands[0], &operands[1], &low, interior)
            }
            Op::Concat(axis) => self.concat(id, &operands, usize::from(*axis)),
            Op::Reduce(reduce, axes) => self.reduce(id, &operands[0], *reduce, axes),
            Op::ArgReduce(reduce, axis) => {
                self.arg_reduce(id, &operands[0], *reduce, usize::from(*axis))
            }
            Op::Contract(contraction) => self.contract(id, &operands[0], &operands[1], contraction),
            Op::Gather(axis) => self.gather(id, &operands[0], &operands[1], usize::from(*axis)),
            Op::Running(op, axis) => {
                self.along(id, &operands, usize::from(*axis), &|b, out, around| Call::Running {
                    op: *op,
                    operand: b[0],
                    out,
                    around,
                })
            }
            Op::Linear(op) => self.linear(id, &operands, *op),
            Op::Recur(axis) => self.along(id, &operands, usize::from(*axis), &|b, out, around| {
                Call::Recur { factor: b[0], operand: b[1], out, around }
            }),
            Op::Argsort { axis, descending } => {
                let axis = usize::from(*axis);
                let first = self.first_read(id, axis);
                self.along(id, &operands, axis, &|b, out, around| Call::Argsort {
                    operand: b[0],
                    out,
                    descending: *descending,
                    first,
                    around,
                })
            }
            Op::ScatterAdd(axis) => self.scatter_add(id, &operands, usize::from(*axis)),
            Op::Random { draw, .. } => self.random(id, &operands[0], *draw),
            Op::FoldKey => self.fold_key(id, &operands[0], &operands[1]),
            Op::Scan(scan) => self.scan(id, &operands, scan),
            Op::Call(_) => unreachable!("calls were written out"),
            Op::After => operands[0].clone(),
            Op::Fused(fused) => self.fused(id, &operands, fused),
        }
    }

    /// The output of this number: the buffer of its node where that is the node's own, otherwise a
    /// copy.
    fn output(&mut self, number: u32, name: &str, node: NodeId) {
        let view = self.view(node);
        self.after = self.waits[node.index()].clone();
        self.origin = self.graph.node(node).origin;
        let own = self
            .whole_buffer(&view)
            .filter(|b| matches!(self.program.buffers[b.0 as usize].place, Place::Arena));
        let buffer = match own {
            Some(buffer) => buffer,
            None => {
                let buffer = self.buffer(view.dtype, view.elements(), Place::Arena);
                self.copy("copy", &view, buffer);
                buffer
            }
        };
        let declared = &mut self.program.buffers[buffer.0 as usize];
        declared.place = Place::Output(number);
        declared.name = name.to_owned();
        self.program.outputs.push(buffer);
    }

    fn literal(&mut self, tensor: &Tensor) -> View {
        let shape: SmallVec<[usize; 4]> = tensor.shape().iter().copied().collect();
        let place = Place::Constant(tensor.clone());
        let buffer = self.buffer(tensor.dtype(), tensor.len(), place);
        View::buffer(buffer, tensor.dtype(), &shape)
    }

    fn rearranged(&mut self, node: &Node, operand: &View) -> View {
        let shape = node.ty.concrete_shape();
        let Class::View(map) = node.op.row().class else {
            unreachable!("the operations of this arm are views");
        };
        let operand_ty = crate::graph::TensorType::new(
            operand.dtype,
            operand.shape.iter().map(|&n| crate::graph::Dim::from(n)),
        );
        match map(&node.op, &operand_ty, &node.ty) {
            Some(map) => operand.mapped(&map, &shape),
            None => operand.reshaped(&shape).unwrap_or_else(|| {
                let buffer = self.dense(operand);
                View::buffer(buffer, operand.dtype, &shape)
            }),
        }
    }

    /// An elementwise operation on operands of the shape of the result.
    fn pointwise(
        &mut self,
        id: NodeId,
        operands: &[View],
        make: &dyn Fn(&Scribe, &[Value]) -> Value,
    ) -> View {
        let body = |scribe: &mut Scribe, reads: &[Read]| {
            let values: Vec<Value> = reads.iter().map(|r| scribe.read(r)).collect();
            make(scribe, &values)
        };
        let reads: Vec<Read> = operands.iter().map(Read::whole).collect();
        self.map_loop(id, reads, &body)
    }

    /// A map over the space of the node's shape; a constant where it turns out to be one.
    fn map_loop(
        &mut self,
        id: NodeId,
        reads: Vec<Read>,
        body: &dyn Fn(&mut Scribe, &[Read]) -> Value,
    ) -> View {
        let (dtype, shape) = self.ty(id);
        if reads.iter().all(|r| matches!(r.base, Base::Const(_))) {
            let mut trial = Scribe::default();
            let value = body(&mut trial, &reads);
            if let Some(constant) = trial.b.constant(value) {
                return View::constant(narrow(constant, dtype), &shape);
            }
        }
        let result = self.result(id);
        let work = Loop {
            reduced: vec![false; shape.len()],
            reads,
            body,
            fold: None,
            target: self.target(&result),
            space: shape.to_vec(),
        };
        self.emit(&self.name(id), work, &[self.origin]);
        result
    }

    fn fused(&mut self, id: NodeId, operands: &[View], fused: &Fused) -> View {
        let rank = fused.space.len();
        let mut reads: Vec<Read> = operands
            .iter()
            .zip(&fused.maps)
            .map(|(view, map)| Read::mapped(view, map, rank))
            .collect();
        let mut axes: SmallVec<[u8; 4]> = SmallVec::new();
        let mut sites: SmallVec<[u32; 2]> = SmallVec::new();
        for (inst, _) in &fused.body.insts {
            match inst {
                LambdaInst::Index(axis, _) if !axes.contains(axis) => axes.push(*axis),
                LambdaInst::CheckIndex(..) => sites.push(self.site()),
                _ => {}
            }
        }
        for &axis in &axes {
            reads.push(Read::whole(&View::position(DType::I64, &fused.space, usize::from(axis))));
        }
        let operands = operands.len();
        let body = |scribe: &mut Scribe, reads: &[Read]| {
            let (args, positions) = reads.split_at(operands);
            let axes: Vec<(u8, Read)> = axes.iter().copied().zip(positions.to_vec()).collect();
            let point = Point { args, axes: &axes, sites: &sites };
            body::lambda(&fused.body, scribe, &point)
        };
        let Some((reduce, reduced)) = &fused.reduce else {
            return self.map_loop(id, reads, &body);
        };
        self.reduce_loop(id, &fused.space, reduced, reads, &body, *reduce)
    }

    fn reduce(&mut self, id: NodeId, operand: &View, reduce: ReduceOp, axes: &[u8]) -> View {
        let body = |scribe: &mut Scribe, reads: &[Read]| scribe.read(&reads[0]);
        let space = operand.shape.clone();
        self.reduce_loop(id, &space, axes, vec![Read::whole(operand)], &body, reduce)
    }

    fn reduce_loop(
        &mut self,
        id: NodeId,
        space: &[usize],
        axes: &[u8],
        reads: Vec<Read>,
        body: &dyn Fn(&mut Scribe, &[Read]) -> Value,
        reduce: ReduceOp,
    ) -> View {
        let result = self.result(id);
        let combine = match reduce {
            ReduceOp::Sum => Combine::Add,
            ReduceOp::Prod => Combine::Mul,
            ReduceOp::Max => Combine::Max,
            ReduceOp::Min => Combine::Min,
            ReduceOp::Any => Combine::Or,
            ReduceOp::All => Combine::And,
        };
        let empty = reduce.identity(result.dtype);
        let fold = LoopFold { combine, index: None, empty };
        self.fold_loop(id, space, axes, reads, body, fold, &result);
        result
    }

    fn arg_reduce(&mut self, id: NodeId, operand: &View, reduce: ReduceOp, axis: usize) -> View {
        let (_, shape) = self.ty(id);
        if operand.shape[axis] == 1 {
            return View::constant(Scalar::new(0i64), &shape);
        }
        let result = self.result(id);
        let combine = match reduce {
            ReduceOp::Max => Combine::ArgMax,
            ReduceOp::Min => Combine::ArgMin,
            _ => unreachable!("the shape rule allows max and min"),
        };
        let position = View::position(DType::I64, &operand.shape, axis);
        let reads = vec![Read::whole(operand), Read::whole(&position)];
        let body = |scribe: &mut Scribe, reads: &[Read]| scribe.read(&reads[0]);
        let fold = LoopFold { combine, index: Some(1), empty: Scalar::new(0i64) };
        self.fold_loop(id, &operand.shape, &[axis as u8], reads, &body, fold, &result);
        result
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of a loop, named by their types")]
    fn fold_loop(
        &mut self,
        id: NodeId,
        space: &[usize],
        axes: &[u8],
        reads: Vec<Read>,
        body: &dyn Fn(&mut Scribe, &[Read]) -> Value,
        fold: LoopFold,
        result: &View,
    ) {
        let reduced: Vec<bool> = (0..space.len()).map(|a| axes.contains(&(a as u8))).collect();
        let mut walk = Walk::still(space.len());
        let kept = (0..space.len()).filter(|&a| !reduced[a]);
        for (axis, &stride) in kept.zip(&result.walk.strides) {
            walk.strides[axis] = stride;
        }
        let work = Loop {
            space: space.to_vec(),
            reduced,
            reads,
            body,
            fold: Some(fold),
            target: Target { walk, ..self.target(result) },
        };
        self.emit(&self.name(id), work, &[self.origin]);
    }
}

/// Buffers, views and kernels.
impl Lowering<'_> {
    fn view(&self, id: NodeId) -> View {
        self.views[id.index()].clone().expect("operands come first")
    }

    /// Notes what the kernels of a node are after.
    fn wait(&mut self, id: NodeId) {
        self.after.clear();
        let operands = self.graph.operands(id);
        let other = match self.graph.op(id) {
            Op::After => match self.view(operands[1]).base {
                Base::Buffer(buffer) => Some(buffer),
                Base::Const(_) | Base::Position => None,
            },
            _ => None,
        };
        let inherited = operands.iter().flat_map(|o| self.waits[o.index()].iter().copied());
        for buffer in inherited.chain(other) {
            if !self.after.contains(&buffer) {
                self.after.push(buffer);
            }
        }
    }

    fn ty(&self, id: NodeId) -> (DType, SmallVec<[usize; 4]>) {
        let ty = self.graph.ty(id);
        (ty.dtype, ty.concrete_shape().0)
    }

    /// For names of kernels: what the node does.
    fn name(&self, id: NodeId) -> String {
        match self.graph.op(id) {
            Op::Fused(fused) => fused_name(fused),
            Op::Reduce(reduce, _) => reduce.name().to_owned(),
            Op::ArgReduce(reduce, _) => format!("arg{}", reduce.name()),
            Op::Contract(_) => "matmul".to_owned(),
            op => op.name().to_owned(),
        }
    }

    /// A new buffer with the node's elements.
    fn result(&mut self, id: NodeId) -> View {
        let (dtype, shape) = self.ty(id);
        let buffer = self.buffer(dtype, points(&shape), Place::Arena);
        View::buffer(buffer, dtype, &shape)
    }

    fn buffer(&mut self, dtype: DType, elements: usize, place: Place) -> BufferId {
        let id = BufferId(self.program.buffers.len() as u32);
        let name = format!("t{}", id.0);
        self.program.buffers.push(Buffer { name, dtype, elements, place });
        id
    }

    /// The elements of a view that is a buffer.
    fn target(&self, view: &View) -> Target {
        let Base::Buffer(buffer) = view.base else { unreachable!("results are in buffers") };
        Target { buffer, dtype: view.dtype, walk: view.walk.clone() }
    }

    /// The buffer that holds exactly the elements of the view in row-major order.
    fn whole_buffer(&self, view: &View) -> Option<BufferId> {
        let Base::Buffer(buffer) = view.base else { return None };
        let elements = self.program.buffers[buffer.0 as usize].elements;
        let whole = view.is_dense() && view.walk.offset == 0 && view.elements() == elements;
        whole.then_some(buffer)
    }

    /// A buffer with the elements of the view in row-major order: its own, or a copy.
    fn dense(&mut self, view: &View) -> BufferId {
        self.whole_buffer(view).unwrap_or_else(|| {
            let buffer = self.buffer(view.dtype, view.elements(), Place::Arena);
            self.copy("copy", view, buffer);
            buffer
        })
    }

    fn copy(&mut self, name: &str, view: &View, buffer: BufferId) {
        self.copy_to(name, view, buffer, Walk::dense(&view.shape));
    }

    /// Copies a view to a walk over its shape, converting to the element type of the buffer.
    fn copy_to(&mut self, name: &str, view: &View, buffer: BufferId, walk: Walk) {
        let to = self.program.buffers[buffer.0 as usize].dtype;
        let work = Loop {
            space: view.shape.to_vec(),
            reduced: vec![false; view.shape.len()],
            reads: vec![Read::whole(view)],
            body: &|scribe, reads| {
                let value = scribe.read(&reads[0]);
                body::convert(&scribe.b, view.dtype, to, value)
            },
            fold: None,
            target: Target { buffer, dtype: to, walk },
        };
        self.emit(name, work, &[self.origin]);
    }

    fn kernel(&mut self, name: &str, work: Work, origins: &[Origin]) {
        let after = self.after.to_vec();
        let kernel = Kernel { name: name.to_owned(), work, after, origins: origins.to_vec() };
        self.program.kernels.push(kernel);
    }

    /// A number under which checks of the current node report.
    fn site(&mut self) -> u32 {
        self.program.sites.push(self.origin);
        self.program.sites.len() as u32 - 1
    }
}

/// The last operations of a body, at most three, and the reduction.
fn fused_name(fused: &Fused) -> String {
    let maps = fused.body.insts.iter().filter_map(|(inst, _)| match inst {
        LambdaInst::Map(op, _) => Some(op.row().name),
        LambdaInst::Convert(..) => Some("convert"),
        LambdaInst::CheckIndex(..) => Some("check_index"),
        LambdaInst::Arg(_) | LambdaInst::Const(_) | LambdaInst::Index(..) => None,
    });
    let mut names: Vec<&str> = maps.collect();
    let skip = names.len().saturating_sub(3);
    names.drain(..skip);
    names.extend(fused.reduce.as_ref().map(|(reduce, _)| reduce.name()));
    if names.is_empty() { "copy".to_owned() } else { names.join("_") }
}

/// A lane constant as an element of memory.
fn narrow(constant: Scalar, dtype: DType) -> Scalar {
    crate::vector::Lane::widen(constant).narrow(dtype)
}
