//! Diagnostics as text for a terminal: the only file that knows the rendering crate.
