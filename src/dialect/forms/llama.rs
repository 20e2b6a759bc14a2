//! Llama 3.x: the whole answer is a call. Some write `<|python_tag|>` before it.
//!
//! ```text
//! {"name": "read", "parameters": {"path": "src/main.rs"}}
//! ```

use super::super::marks::Marks;
use super::{Known, list};

pub(super) fn form() -> Known {
    let marks = Marks { between: String::new(), ..list(("", ""), "name", "parameters") };
    Known::new("llama", Marks { open_too: vec!["<|python_tag|>".into()], ..marks })
}
