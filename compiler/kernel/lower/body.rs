//! Scalar expressions of the graph as vector programs.
//!
//! Lanes are computed in the type that `vector::Type::of` gives. What an operation makes of narrow
//! elements is wrapped or rounded at once, so that a fused chain gives what the separate
//! operations through memory would give.

use super::scribe::{Read, Scribe};
use crate::graph::fused::LambdaInst;
use crate::graph::{Lambda, MapOp};
use crate::vector::{Builder, Type, Value};
use tensc_runtime::{DType, Scalar};

/// What the instructions of a lambda refer to.
pub struct Point<'a> {
    /// The element of each operand.
    pub args: &'a [Read],
    /// The position along each axis that the lambda asks for, as `i64`: (axis, position).
    pub axes: &'a [(u8, Read)],
    /// The number each `CheckIndex` reports under, in order.
    pub sites: &'a [u32],
}

/// The value of a lambda at the loop's point.
pub fn lambda(body: &Lambda, scribe: &mut Scribe, point: &Point<'_>) -> Value {
    let mut values: Vec<Value> = Vec::with_capacity(body.insts.len());
    let mut sites = point.sites.iter();
    for (inst, dtype) in &body.insts {
        let value = match inst {
            LambdaInst::Arg(number) => scribe.read(&point.args[usize::from(*number)]),
            LambdaInst::Const(scalar) => scribe.b.konst(*scalar),
            LambdaInst::Index(axis, to) => {
                let position = point.axes.iter().find(|(a, _)| a == axis);
                let (_, read) = position.expect("a position for each axis that is asked for");
                let index = scribe.read(read);
                convert(&scribe.b, DType::I64, *to, index)
            }
            LambdaInst::Map(op, operands) => {
                let operands: Vec<Value> =
                    operands.iter().map(|v| values[usize::from(v.0)]).collect();
                map(&scribe.b, *op, &operands, *dtype)
            }
            LambdaInst::Convert(to, v) => {
                let (from, value) = (body.insts[usize::from(v.0)].1, values[usize::from(v.0)]);
                convert(&scribe.b, from, *to, value)
            }
            LambdaInst::CheckIndex(bound, v) => {
                let site = *sites.next().expect("a site for each check");
                check_index(&scribe.b, values[usize::from(v.0)], *bound, site)
            }
        };
        values.push(value);
    }
    *values.last().expect("a lambda has a result")
}

/// An elementwise operation whose result has this element type.
pub fn map(b: &Builder, op: MapOp, operands: &[Value], result: DType) -> Value {
    b.through(result, (op.row().lower)(b, operands))
}

/// Conversion by value between element types.
pub fn convert(b: &Builder, from: DType, to: DType, x: Value) -> Value {
    if from == to {
        return x;
    }
    let lanes = b.ty(x);
    let narrow = to.is_int() && !matches!(to, DType::I32 | DType::I64);
    if from.is_float() && narrow {
        // Truncation saturates at the ends of the narrow type; a NaN stays one, and becomes 0.
        let (low, high) = match to {
            DType::U8 => (0.0, 255.0),
            DType::I8 => (-128.0, 127.0),
            _ => (-32768.0, 32767.0),
        };
        let clamped = b.max(b.min(x, b.f(lanes, high)), b.f(lanes, low));
        return b.convert(Type::I32, clamped);
    }
    let wider = from == DType::F64 || to == DType::BF16 && matches!(from, DType::I32 | DType::I64);
    if wider && matches!(to, DType::F16 | DType::BF16) {
        return b.through(to, to_odd(b, b.convert(Type::F64, x)));
    }
    b.through(to, b.convert(Type::of(to), x))
}

/// `x` as an F32, rounded to the neighbour whose last bit is set where it must be rounded, so that
/// rounding to half precision next makes no tie of what was none.
fn to_odd(b: &Builder, x: Value) -> Value {
    let nearest = b.convert(Type::F32, x);
    let back = b.convert(Type::F64, nearest);
    let (bits, one) = (b.bitcast(Type::I32, nearest), b.i(Type::I32, 1));
    let beyond = b.gt(b.abs(back), b.abs(x));
    let toward_zero = b.select(beyond, b.sub(bits, one), bits);
    let odd = b.select(b.ne(back, x), b.or(toward_zero, one), bits);
    b.bitcast(Type::F32, odd)
}

/// An index brought into `0..bound`, or reported.
pub fn check_index(b: &Builder, index: Value, bound: i64, site: u32) -> Value {
    match u64::try_from(bound) {
        Ok(bound) if bound > 0 => b.check_index(index, bound, site),
        // Nothing is a valid index of an empty axis: an index that is always reported.
        _ => b.check_index(b.konst(Scalar::from_i64(DType::I64, i64::MIN)), 1, site),
    }
}
