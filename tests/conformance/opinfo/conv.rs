//! Convolution, pooling, interpolation.

use super::call::Row;

pub const ROWS: &[Row] = &[];
