//! Normalisation and softmax.

use super::call::{Row, text};

pub const ROWS: &[Row] = &[text("log_softmax", "input dim", "log_softmax(input, axis = dim)")];
