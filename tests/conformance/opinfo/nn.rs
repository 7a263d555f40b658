//! Distances, tables of vectors and the like.

use super::call::{Call, Row, code};

pub const ROWS: &[Row] =
    &[code("nn.functional.embedding", "input:indices weight padding_idx=None", embedding)];

/// The samples call it with the table first.
fn embedding(c: &mut Call<'_>) -> Result<String, String> {
    if c.has("padding_idx") {
        return c.unknown("padding_idx");
    }
    match c.tensor("indices")?.dtype().is_float() {
        true => Ok("take(indices, weight)".to_string()),
        false => Ok("take(weight, indices)".to_string()),
    }
}
