//! Tensors as a person reads them in a printed line.

use crate::check::typed::{Align, FormatStyle, TextFormat};
use tensc_runtime::{Scalar, Tensor, with_element};

/// Entries shown at each end of an axis that is too long to be shown whole.
const EDGE: usize = 3;
/// From so many elements on, or rows without any, long axes are shortened.
const WHOLE: usize = 100;

/// A tensor in the format that an interpolation asks for: `{loss:>10.4}`, `{accuracy:.1%}`.
pub fn format_value(tensor: &Tensor, format: TextFormat) -> String {
    let precision = format.precision.map(usize::from);
    let text = match format.style {
        FormatStyle::Plain => format_tensor(tensor, precision),
        FormatStyle::Characters => characters(tensor),
        style => format_entries(tensor, &|scalar| match (style, precision) {
            (FormatStyle::Percent, p) => {
                format!("{:.p$}%", 100.0 * scalar.to_f64(), p = p.unwrap_or(0))
            }
            (_, Some(p)) if scalar.dtype().is_int() => format!("{:.p$e}", scalar.to_i64()),
            (_, Some(p)) => format!("{:.p$e}", scalar.to_f64()),
            (_, None) if scalar.dtype().is_int() => format!("{:e}", scalar.to_i64()),
            (_, None) => format!("{:e}", scalar.shortest()),
        }),
    };
    let width = usize::from(format.width.unwrap_or(0));
    match format.align.unwrap_or(Align::Right) {
        Align::Left => format!("{text:<width$}"),
        Align::Right => format!("{text:>width$}"),
        Align::Center => format!("{text:^width$}"),
        Align::Zeros => with_zeros(&text, width),
    }
}

/// A number with zeros between its sign and its digits; what is none (`inf`, a list) with blanks in
/// front.
fn with_zeros(text: &str, width: usize) -> String {
    let (sign, digits) = text.split_at(usize::from(text.starts_with('-')));
    match digits.starts_with(|c: char| c.is_ascii_digit()) {
        true => format!("{sign}{digits:0>width$}", width = width.saturating_sub(sign.len())),
        false => format!("{text:>width$}"),
    }
}

/// The characters of the code points in a tensor, row after row; what is none shows as U+FFFD.
fn characters(tensor: &Tensor) -> String {
    let character = |value: f64| {
        let code = if value.fract() == 0.0 && value >= 0.0 { value as u32 } else { u32::MAX };
        char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
    };
    tensor.to_f64_vec().into_iter().map(character).collect()
}

/// A scalar as its value, a tensor as nested lists with the middle of long axes left out.
/// `precision` is the number of decimals; without it floats print as short as they read back.
pub fn format_tensor(tensor: &Tensor, precision: Option<usize>) -> String {
    format_entries(tensor, &|value| match precision {
        Some(p) if value.dtype().is_float() => format!("{:.p$}", value.to_f64()),
        _ => value.to_string(),
    })
}

fn format_entries(tensor: &Tensor, entry: &dyn Fn(Scalar) -> String) -> String {
    // Rows without elements are as long to read as others.
    let places = tensor.shape().iter().fold(1usize, |n, &size| n.saturating_mul(size.max(1)));
    let longest = if places < WHOLE { usize::MAX } else { 2 * EDGE + 1 };
    let mut out = String::new();
    with_element!(tensor.dtype(), T => {
        let elements = tensor.as_slice::<T>();
        let entry = |at: usize| entry(Scalar::new(elements[at]));
        write_axes(&mut out, 0, tensor.shape(), longest, &entry);
    });
    out
}

/// Writes the elements from `first` on as nested lists of this shape.
fn write_axes(
    out: &mut String,
    first: usize,
    shape: &[usize],
    longest: usize,
    entry: &dyn Fn(usize) -> String,
) {
    let Some((&size, inner)) = shape.split_first() else {
        out.push_str(&entry(first));
        return;
    };
    let row: usize = inner.iter().product();
    out.push('[');
    let left_out = if size > longest { EDGE..size - EDGE } else { size..size };
    for i in (0..left_out.start).chain(left_out.end..size) {
        if i > 0 && i == left_out.end {
            out.push_str(", …");
        }
        if i > 0 {
            out.push_str(", ");
        }
        write_axes(out, first + i * row, inner, longest, entry);
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
    fn formats_pad_and_scale() {
        let format = |precision, width, style| TextFormat { precision, width, style, align: None };
        let share = Tensor::scalar(0.98125f64);
        let percent = format(Some(1), None, FormatStyle::Percent);
        assert_eq!(format_value(&share, percent), "98.1%");
        let wide = format(Some(2), Some(8), FormatStyle::Plain);
        assert_eq!(format_value(&share, wide), "    0.98");
        assert_eq!(
            format_value(&share, TextFormat { align: Some(Align::Left), ..wide }),
            "0.98    "
        );
        let zeros = TextFormat { align: Some(Align::Zeros), ..wide };
        assert_eq!(format_value(&share, zeros), "00000.98");
        assert_eq!(format_value(&Tensor::scalar(-7i64), zeros), "-0000007");
        assert_eq!(format_value(&Tensor::scalar(f32::NEG_INFINITY), zeros), "    -inf");
        assert_eq!(format_value(&share, format(Some(2), None, FormatStyle::Exponent)), "9.81e-1");
        let whole = Tensor::scalar(9_007_199_254_740_993i64);
        let exponent = format(None, None, FormatStyle::Exponent);
        assert_eq!(format_value(&whole, exponent), "9.007199254740993e15");
        let codes = Tensor::from_slice(&[84u8, 111, 10], [3]);
        assert_eq!(format_value(&codes, format(None, None, FormatStyle::Characters)), "To\n");
        let none = Tensor::from_slice(&[-1i64, 0x3b1], [2]);
        assert_eq!(format_value(&none, format(None, None, FormatStyle::Characters)), "\u{fffd}α");
    }

    #[test]
    fn tensors_print_as_nested_lists_with_long_axes_shortened() {
        let t = Tensor::from_slice(&[1i32, 2, 3, 4, 5, 6], [2, 3]);
        assert_eq!(format_tensor(&t, None), "[[1, 2, 3], [4, 5, 6]]");
        let long: Vec<i64> = (0..104).collect();
        let shown = |shape: &[usize]| {
            let elements = shape.iter().product();
            format_tensor(&Tensor::from_slice(&long[..elements], shape), None)
        };
        assert_eq!(shown(&[12]), "[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]");
        assert_eq!(shown(&[101]), "[0, 1, 2, …, 98, 99, 100]");
        assert_eq!(shown(&[2, 52]), "[[0, 1, 2, …, 49, 50, 51], [52, 53, 54, …, 101, 102, 103]]");
        assert_eq!(format_tensor(&Tensor::from_slice::<f32>(&[], [0]), None), "[]");
        assert_eq!(format_tensor(&Tensor::from_slice::<f32>(&[], [2, 0]), None), "[[], []]");
        let long = Tensor::from_slice::<f32>(&[], [1 << 40, 0]);
        assert_eq!(format_tensor(&long, None), "[[], [], [], …, [], [], []]");
    }
}
