//! Losses.

use super::call::Row;

pub const ROWS: &[Row] = &[];
