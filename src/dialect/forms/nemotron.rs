//! Nemotron Nano 2 and Llama-Nemotron:
//!
//! ```text
//! <TOOLCALL>[{"name": "read", "arguments": {"path": "src/main.rs"}}]</TOOLCALL>
//! ```

use super::{Known, list};

pub(super) fn form() -> Known {
    Known::new("nemotron", list(("<TOOLCALL>[", "]</TOOLCALL>"), "name", "arguments"))
}
