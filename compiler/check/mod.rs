//! Names, types and symbolic sizes: from syntax to the typed program.

pub mod typed;
