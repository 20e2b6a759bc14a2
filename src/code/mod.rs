//! What tree-sitter knows of the code.

pub mod language;
pub mod syntax;

pub use language::Language;
