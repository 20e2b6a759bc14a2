//! Kimi K2 and K2-Thinking. The number counts the calls of the conversation:
//!
//! ```text
//! <|tool_calls_section_begin|><|tool_call_begin|>functions.read:0<|tool_call_argument_begin|>{"path": "src/main.rs"}<|tool_call_end|><|tool_calls_section_end|>
//! ```

use super::super::marks::Marks;
use super::{Known, json};

pub(super) fn form() -> Known {
    let section = ("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>");
    let open = "<|tool_call_begin|>functions.";
    let marks = json(section, open, ":0<|tool_call_argument_begin|>", "<|tool_call_end|>");
    Known::new("kimi", Marks { open_too: vec!["<|tool_call_begin|>".into()], ..marks })
}
