//! What the code says: trees of every language, an index of definitions, uses and words, and what of it a request needs.
//!
//! `language` has the rows, `extract` reads a file, `skim` what of it needs no tree; `entry` is what is kept of it, and `index`
//! and `store` keep it up to date; `request`, `rank`, `graph` and `history` find what a request needs, `chunk` and `pack` what of
//! that fits into a budget, and `map` shows signatures. Nothing here knows the workspace: files are paths below a root.

mod chunk;
mod definition;
mod elision;
mod entry;
mod extract;
mod graph;
pub mod highlight;
mod history;
mod index;
mod language;
pub mod lines;
mod macros;
mod map;
mod pack;
mod rank;
mod request;
mod resolve;
mod skim;
mod source;
mod store;
pub mod syntax;
mod weights;
mod words;

pub use definition::{Definition, Kind};
pub use elision::{elision, stands_for_code};
pub use index::{Confidence, Index, Reference, Refreshed, Symbol};
pub use language::Language;
pub use map::outline_text;
pub use pack::Slice;
pub use request::{Request, is_test};
pub use resolve::{Undefined, knows_scopes};
pub use words::runs;

/// Tokens of a text where no model is loaded that could count them: code has between three and four bytes in one.
pub fn estimate(text: &str) -> usize {
    text.len().div_ceil(3)
}

/// The definitions of a text, as the file's name tells its language.
pub fn definitions(path: &str, text: &str) -> Vec<Definition> {
    extract::extract(path, text, &mut words::Words::default()).definitions
}
