//! Granite 3.x. (Granite 4 writes the form of [`super::super::hermes`].)
//!
//! ```text
//! <|tool_call|>[{"name": "read", "arguments": {"path": "src/main.rs"}}]
//! ```

use super::{Known, list};

pub(super) fn form() -> Known {
    Known::new("granite", list(("<|tool_call|>[", "]"), "name", "arguments"))
}
