//! The naive interpreter: each node by its row, in order. It is the oracle of all tests, so it
//! shares no code with lowering and takes no short cuts.
//!
//! Elementwise float work is done in `f64` and rounded to the node's type after each operation;
//! sums, products and contractions are accumulated in `f64` and rounded once.

use super::ops::EvalError;
use super::{Graph, NodeId, Op};
use tensc_runtime::Tensor;

/// The values of the outputs for these inputs, both in order of declaration.
///
/// # Errors
/// Where an input is not of its type, a size is not known, or an index is out of range.
pub fn interpret(graph: &Graph, inputs: &[Tensor]) -> Result<Vec<Tensor>, EvalError> {
    let values = evaluate(graph, inputs, &graph.live())?;
    let value = |node: NodeId| values[node.index()].clone().expect("outputs are live");
    Ok(graph.outputs().iter().map(|(_, node)| value(*node)).collect())
}

/// The value of every node, by index; also of those that no output needs.
///
/// # Errors
/// As [`interpret`].
pub fn interpret_all(graph: &Graph, inputs: &[Tensor]) -> Result<Vec<Tensor>, EvalError> {
    let values = evaluate(graph, inputs, &vec![true; graph.len()])?;
    Ok(values.into_iter().map(|v| v.expect("every node was wanted")).collect())
}

fn evaluate(
    graph: &Graph,
    inputs: &[Tensor],
    wanted: &[bool],
) -> Result<Vec<Option<Tensor>>, EvalError> {
    check_inputs(graph, inputs)?;
    let mut values: Vec<Option<Tensor>> = vec![None; graph.len()];
    for ((_, node), value) in graph.inputs().iter().zip(inputs) {
        values[node.index()] = Some(value.clone());
    }
    for id in graph.nodes() {
        let node = graph.node(id);
        if !wanted[id.index()] || matches!(node.op, Op::Input(_)) {
            continue;
        }
        let at = |e: EvalError| EvalError { node: Some(id), ..e };
        if !node.ty.is_concrete() || !node.op.is_concrete() {
            return Err(at(EvalError::new(format!("the size of {} is not known", node.ty))));
        }
        let operands = graph.operands(id);
        let operands: Vec<&Tensor> =
            operands.iter().map(|o| values[o.index()].as_ref().expect("in order")).collect();
        values[id.index()] = Some((node.op.row().eval)(&node.op, &operands, &node.ty).map_err(at)?);
    }
    Ok(values)
}

fn check_inputs(graph: &Graph, inputs: &[Tensor]) -> Result<(), EvalError> {
    let declared = graph.inputs();
    if declared.len() != inputs.len() {
        let (wanted, found) = (declared.len(), inputs.len());
        return Err(EvalError::new(format!("the graph has {wanted} inputs, found {found} values")));
    }
    for ((name, node), value) in declared.iter().zip(inputs) {
        let ty = graph.ty(*node);
        if !ty.is_concrete() {
            return Err(EvalError::new(format!("the size of input `{name}`, {ty}, is not known")));
        }
        if value.dtype() != ty.dtype || *value.shape() != ty.concrete_shape() {
            let found = format!("{}{}", value.dtype(), value.shape());
            return Err(EvalError::new(format!("input `{name}` is {ty}, found {found}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{Builder, Dim, Origin, TensorType};
    use tensc_runtime::DType;

    #[test]
    fn a_dense_layer() {
        let mut graph = Graph::new();
        let g = Builder::new(&mut graph);
        let matrix = |rows: i64, columns: i64| {
            TensorType::new(DType::F32, [Dim::Const(rows), Dim::Const(columns)])
        };
        let (x, w) = (g.input("x", matrix(2, 3)), g.input("w", matrix(3, 2)));
        let b = g.input("b", TensorType::new(DType::F32, [Dim::Const(2)]));
        let product = g.matmul(x, w);
        let sum = g.add(product, g.broadcast_to(b, &g.ty(product).shape));
        g.output("y", g.max(sum, g.zeros_like(sum)));
        let inputs = [
            Tensor::from_slice(&[1f32, 2.0, 3.0, 4.0, 5.0, 6.0], [2, 3]),
            Tensor::from_slice(&[1f32, -1.0, 0.5, 2.0, -2.0, 1.0], [3, 2]),
            Tensor::from_slice(&[0.25f32, -10.0], [2]),
        ];
        let y = interpret(&graph, &inputs).expect("well typed");
        assert_eq!(y, [Tensor::from_slice(&[0f32, 0.0, 0.0, 2.0], [2, 2])]);
        let all = interpret_all(&graph, &inputs).expect("well typed");
        assert_eq!(all[product.index()], Tensor::from_slice(&[-4f32, 6.0, -5.5, 12.0], [2, 2]));
    }

    #[test]
    fn an_index_out_of_range_names_its_node() {
        let mut graph = Graph::new();
        let g = Builder::new(&mut graph);
        let i = g.input("i", TensorType::new(DType::I64, [Dim::Const(2)]));
        let checked = g.check_index(i, &Dim::Const(3));
        g.output("y", checked);
        let ok = interpret(&graph, &[Tensor::from_slice(&[-3i64, 2], [2])]);
        assert_eq!(ok.expect("in range"), [Tensor::from_slice(&[0i64, 2], [2])]);
        let error = interpret(&graph, &[Tensor::from_slice(&[0i64, 3], [2])]).expect_err("3 of 3");
        assert_eq!(error.node, Some(checked));
        insta::assert_snapshot!(error, @"%1: index 3 is out of range for an axis of size 3");
    }

    #[test]
    fn inputs_of_another_type_are_errors() {
        let mut graph = Graph::new();
        let ty = TensorType::new(DType::F32, [Dim::Const(2)]);
        let x = graph.add_input("x", ty, Origin::default());
        graph.add_output("y", x);
        let of = |inputs: &[Tensor]| interpret(&graph, inputs).expect_err("wrong").to_string();
        insta::assert_snapshot!(of(&[Tensor::zeros(DType::F32, [3])]), @"input `x` is f32[2], found f32[3]");
        insta::assert_snapshot!(of(&[Tensor::zeros(DType::F64, [2])]), @"input `x` is f32[2], found f64[2]");
        insta::assert_snapshot!(of(&[]), @"the graph has 1 inputs, found 0 values");
    }
}
