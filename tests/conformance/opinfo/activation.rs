//! Activations.

use super::call::{Row, text};

pub const ROWS: &[Row] = &[text("nn.functional.relu", "input inplace=false", "relu(input)")];
