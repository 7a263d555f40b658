//! The `tensc` command.

fn main() {}
