//! LFM2 and LFM2.5: a list of calls as in Python.
//!
//! ```text
//! <|tool_call_start|>[read(path="src/main.rs"), list()]<|tool_call_end|>
//! ```
//!
//! The templates show the tools but no calls, so the form is known by how the tools are listed.

use super::super::marks::{Arguments, Marks};
use super::Known;

pub(super) fn form() -> Known {
    let marks = Marks {
        section: ("<|tool_call_start|>[".into(), "]<|tool_call_end|>".into()),
        name_end: "(".into(),
        close: ")".into(),
        between: ", ".into(),
        arguments: Arguments::Python,
        ..Marks::default()
    };
    Known { announced_by: Some("List of tools: "), ..Known::new("lfm", marks) }
}
