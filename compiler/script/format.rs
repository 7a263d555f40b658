//! Tensors as a person reads them in a printed line.

use std::fmt::Write;
use tensc_runtime::{Scalar, Tensor, with_element};

/// Entries shown at each end of an axis that is too long to be shown whole.
const EDGE: usize = 3;
/// The longest axis that is shown whole.
const WHOLE: usize = 10;

/// A scalar as its value, a tensor as nested lists with the middle of long axes left out.
/// `precision` is the number of decimals; without it floats print as short as they read back.
pub fn format_tensor(tensor: &Tensor, precision: Option<usize>) -> String {
    let elements: Vec<Scalar> = with_element!(tensor.dtype(), T => {
        tensor.as_slice::<T>().iter().map(|x| Scalar::new(*x)).collect()
    });
    let mut out = String::new();
    write_axes(&mut out, &elements, tensor.shape(), precision);
    out
}

fn write_axes(out: &mut String, elements: &[Scalar], shape: &[usize], precision: Option<usize>) {
    let Some((&size, inner)) = shape.split_first() else {
        let value = elements[0];
        match precision {
            Some(p) if value.dtype().is_float() => write!(out, "{:.p$}", value.to_f64()),
            _ => write!(out, "{value}"),
        }
        .expect("writing to a string succeeds");
        return;
    };
    let row: usize = inner.iter().product();
    out.push('[');
    for i in 0..size {
        if size > WHOLE && i == EDGE {
            out.push_str(", …");
        }
        if size > WHOLE && (EDGE..size - EDGE).contains(&i) {
            continue;
        }
        if i > 0 {
            out.push_str(", ");
        }
        write_axes(out, &elements[i * row..(i + 1) * row], inner, precision);
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_print_as_short_as_they_read_back_or_with_the_asked_decimals() {
        assert_eq!(format_tensor(&Tensor::scalar(0.1f32), None), "0.1");
        assert_eq!(format_tensor(&Tensor::scalar(0.98765f32), Some(3)), "0.988");
        assert_eq!(format_tensor(&Tensor::scalar(7i64), Some(3)), "7");
        assert_eq!(format_tensor(&Tensor::scalar(true), None), "true");
    }

    #[test]
    fn tensors_print_as_nested_lists_with_long_axes_shortened() {
        let t = Tensor::from_slice(&[1i32, 2, 3, 4, 5, 6], [2, 3]);
        assert_eq!(format_tensor(&t, None), "[[1, 2, 3], [4, 5, 6]]");
        let long: Vec<i64> = (0..100).collect();
        let text = format_tensor(&Tensor::from_slice(&long, [100]), None);
        assert_eq!(text, "[0, 1, 2, …, 97, 98, 99]");
        assert_eq!(format_tensor(&Tensor::from_slice::<f32>(&[], [0]), None), "[]");
    }
}
