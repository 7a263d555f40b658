//! Tests of rewriting as a whole.
