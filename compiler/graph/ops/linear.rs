//! Linear algebra on the last two axes: factors, solutions, determinants.

use super::naive::from_floats;
use super::{Batch, Class, Draws, EvalError, Jvp, Op, OpRow, Sample, TypeError};
use crate::graph::{Builder, Dim, NodeId, TensorType};
use smallvec::SmallVec;
use tensc_runtime::linear::Linear;
use tensc_runtime::{DType, Tensor};

pub(super) static LINEAR: OpRow = OpRow {
    name: "linear",
    doc: "a factor, solution or determinant of the matrices along the last two axes",
    arity: None,
    class: Class::Linear,
    infer,
    eval,
    jvp: Jvp::Rule(jvp),
    // Solutions are linear in the right-hand sides.
    transpose: Some(|b, op, operands, _, cotangent| match of(op) {
        Linear::SolveLower => {
            // The transpose is an upper triangle: a lower one with both axes reversed.
            let turned = both_reversed(b, b.matrix_transpose(operands[0]));
            let rows = b.ty(cotangent).rank() - 2;
            let solved = b.linear(Linear::SolveLower, &[turned, b.flip(cotangent, rows)]);
            b.flip(solved, rows)
        }
        _ => b.linear(Linear::Solve, &[b.matrix_transpose(operands[0]), cotangent]),
    }),
    batch: Batch::Rule(|b, op, lanes| b.linear(of(op), &lanes.all(b))),
    samples: || {
        let ty = |dtype: DType, sizes: &[i64]| {
            TensorType::new(dtype, sizes.iter().map(|&n| Dim::Const(n)))
        };
        let mut samples = Vec::new();
        for linear in Linear::ALL {
            for (dtype, matrix, right) in [
                (DType::F64, &[3, 3][..], &[3, 2][..]),
                (DType::F32, &[4, 4], &[4, 1]),
                (DType::F64, &[2, 3, 3], &[2, 3, 1]),
                (DType::F64, &[1, 1], &[1, 3]),
            ] {
                let mut operands = vec![ty(dtype, matrix)];
                if linear.solves() {
                    operands.push(ty(dtype, right));
                }
                samples.push(Sample::new(Op::Linear(linear), operands).with(0, Draws::Dominant));
            }
        }
        samples
    },
};

fn of(op: &Op) -> Linear {
    let Op::Linear(linear) = op else { unreachable!("the row of Linear") };
    *linear
}

fn infer(op: &Op, operands: &[&TensorType]) -> Result<TensorType, TypeError> {
    let linear = of(op);
    let name = linear.name();
    let wanted = 1 + usize::from(linear.solves());
    if operands.len() != wanted {
        let found = operands.len();
        return Err(TypeError::new(format!("{name} takes {wanted} operands, found {found}")));
    }
    let matrix = operands[0];
    let rank = matrix.rank();
    if rank < 2 || !matrix.dtype.is_float() {
        return Err(TypeError::new(format!("{name} takes matrices of floats, found {matrix}")));
    }
    if matrix.shape[rank - 2] != matrix.shape[rank - 1] {
        let message = format!("{name} takes square matrices, found {matrix}");
        return Err(TypeError::new(message).axis(0, rank - 2).axis(0, rank - 1));
    }
    if !linear.solves() {
        let kept = if linear == Linear::Cholesky { rank } else { rank - 2 };
        return Ok(TensorType { dtype: matrix.dtype, shape: matrix.shape[..kept].into() });
    }
    let (right, dtype) = (operands[1], matrix.dtype);
    let fits = right.rank() == rank
        && right.dtype == matrix.dtype
        && right.shape[..rank - 1] == matrix.shape[..rank - 1];
    if !fits {
        let wanted: Vec<String> = matrix.shape[..rank - 1].iter().map(Dim::to_string).collect();
        let wanted = wanted.join(", ");
        let message = format!("{name} by {matrix} needs {dtype}[{wanted}, columns], found {right}");
        return Err(TypeError::new(message)
            .axis(0, rank - 2)
            .axis(1, rank.min(right.rank()).max(2) - 2));
    }
    Ok(right.clone())
}

/// `aᵀ` by rows and columns of a nested list: what the evaluation is written with.
type Rows = Vec<Vec<f64>>;

fn eval(op: &Op, operands: &[&Tensor], ty: &TensorType) -> Result<Tensor, EvalError> {
    let linear = of(op);
    let shape = operands[0].shape();
    let n = shape[shape.rank() - 1];
    let batch: usize = shape[..shape.rank() - 2].iter().product();
    let m = if linear.solves() { operands[1].shape()[shape.rank() - 1] } else { 0 };
    let rows = |values: &[f64], which: usize, width: usize| -> Rows {
        let at = |i: usize| (which * n + i) * width;
        (0..n).map(|i| values[at(i)..at(i) + width].to_vec()).collect()
    };
    let values: Vec<Vec<f64>> = operands.iter().map(|t| t.to_f64_vec()).collect();
    let mut out = Vec::new();
    for which in 0..batch {
        let a = rows(&values[0], which, n);
        match linear {
            Linear::Cholesky => out.extend(factor(&a).concat()),
            Linear::Solve => out.extend(reduced(a, rows(&values[1], which, m)).0.concat()),
            Linear::SolveLower => {
                let lower = |(i, row): (usize, Vec<f64>)| -> Vec<f64> {
                    row.into_iter().enumerate().map(|(j, x)| if j > i { 0.0 } else { x }).collect()
                };
                let a = a.into_iter().enumerate().map(lower).collect();
                out.extend(reduced(a, rows(&values[1], which, m)).0.concat());
            }
            Linear::Det | Linear::DetSign | Linear::LogAbsDet => {
                let det = reduced(a, vec![Vec::new(); n]).1;
                out.push(match linear {
                    Linear::Det => det,
                    Linear::DetSign if det == 0.0 => 0.0,
                    Linear::DetSign => det.signum(),
                    _ => det.abs().ln(),
                });
            }
        }
    }
    Ok(from_floats(ty, &out))
}

/// Gauss and Jordan: the right-hand sides when the matrix has become the identity, and its
/// determinant.
fn reduced(mut a: Rows, mut b: Rows) -> (Rows, f64) {
    let n = a.len();
    let mut det = 1.0;
    for j in 0..n {
        let best = (j..n).max_by(|&x, &y| a[x][j].abs().total_cmp(&a[y][j].abs())).expect("a row");
        if best != j {
            a.swap(best, j);
            b.swap(best, j);
            det = -det;
        }
        let pivot = a[j][j];
        det *= pivot;
        // A column of zeros makes solutions infinite, and the determinant, alone, 0.
        if pivot == 0.0 && b[j].is_empty() {
            continue;
        }
        a[j].iter_mut().chain(&mut b[j]).for_each(|x| *x /= pivot);
        for i in (0..n).filter(|&i| i != j) {
            let factor = a[i][j];
            let (row, right) = (a[j].clone(), b[j].clone());
            a[i].iter_mut().zip(row).for_each(|(x, y)| *x -= factor * y);
            b[i].iter_mut().zip(right).for_each(|(x, y)| *x -= factor * y);
        }
    }
    (b, det)
}

/// The lower triangular factor of the symmetric part, row by row.
fn factor(a: &Rows) -> Rows {
    let n = a.len();
    let mut l = vec![vec![0.0; n]; n];
    for i in 0..n {
        for j in 0..=i {
            let products: f64 = (0..j).map(|k| l[i][k] * l[j][k]).sum();
            let rest = 0.5 * (a[i][j] + a[j][i]) - products;
            // The root of a number that is not positive spoils all that follows.
            l[i][j] = match i == j {
                true if rest > 0.0 => rest.sqrt(),
                true => return vec![vec![f64::NAN; n]; n],
                false => rest / l[j][j],
            };
        }
    }
    l
}

fn jvp(
    b: &Builder<'_>,
    op: &Op,
    operands: &[NodeId],
    result: NodeId,
    tangents: &[Option<NodeId>],
) -> Option<NodeId> {
    let (linear, matrix) = (of(op), operands[0]);
    match linear {
        // A (dX) = dB - (dA) X
        Linear::Solve | Linear::SolveLower => {
            let moved = tangents[0].map(|t| {
                let t = if linear == Linear::SolveLower { below(b, t, 1.0) } else { t };
                b.neg(b.matmul(t, result))
            });
            let right = match (moved, tangents[1]) {
                (Some(a), Some(t)) => b.add(a, t),
                (one, other) => one.or(other)?,
            };
            Some(b.linear(linear, &[matrix, right]))
        }
        // dL = L Φ(L⁻¹ dA L⁻ᵀ), where Φ takes the lower triangle and half of the diagonal.
        Linear::Cholesky => {
            let t = tangents[0]?;
            let even = b.scale(0.5, b.add(t, b.matrix_transpose(t)));
            let left = b.linear(Linear::SolveLower, &[result, even]);
            let inner = b.linear(Linear::SolveLower, &[result, b.matrix_transpose(left)]);
            Some(b.matmul(result, below(b, inner, 0.5)))
        }
        Linear::Det => Some(b.mul(result, relative_change(b, matrix, tangents[0]?))),
        Linear::LogAbsDet => Some(relative_change(b, matrix, tangents[0]?)),
        Linear::DetSign => None,
    }
}

/// The trace of `A⁻¹ dA`: the change of the determinant relative to it.
fn relative_change(b: &Builder<'_>, matrix: NodeId, tangent: NodeId) -> NodeId {
    let rank = b.ty(matrix).rank();
    let solved = b.linear(Linear::Solve, &[matrix, tangent]);
    b.sum(b.diagonal(solved, rank - 2, rank - 1), &[rank - 2])
}

/// The lower triangle, its diagonal times a factor.
fn below(b: &Builder<'_>, matrix: NodeId, diagonal: f64) -> NodeId {
    let shape = b.ty(matrix).shape;
    let [rows, columns] = [2, 1].map(|i| b.iota(DType::I64, &shape, shape.len() - i));
    let zero = b.zeros_like(matrix);
    let strict = b.select(b.gt(rows, columns), matrix, zero);
    b.select(b.eq(rows, columns), b.scale(diagonal, matrix), strict)
}

/// Rows and columns in reversed order.
fn both_reversed(b: &Builder<'_>, matrix: NodeId) -> NodeId {
    let rank = b.ty(matrix).rank();
    b.flip(b.flip(matrix, rank - 2), rank - 1)
}

impl Builder<'_> {
    /// Linear algebra on the last two axes.
    pub fn linear(&self, op: Linear, operands: &[NodeId]) -> NodeId {
        self.add_op(Op::Linear(op), operands)
    }

    /// The last two axes in each other's place.
    pub fn matrix_transpose(&self, x: NodeId) -> NodeId {
        let rank = self.ty(x).rank();
        let mut perm: SmallVec<[usize; 4]> = (0..rank).collect();
        perm.swap(rank - 2, rank - 1);
        self.transpose(x, &perm)
    }
}
