//! Gemma 4: see [`super::super::gemma`] for the values. Reasoning may come more than once.
//!
//! ```text
//! <|channel>thought
//! …<channel|><|tool_call>call:read{path:<|"|>src/main.rs<|"|>}<tool_call|>
//! ```

use super::super::marks::{Arguments, Marks};
use super::super::reasoning::Thoughts;
use super::Known;

pub(super) fn form() -> Known {
    let marks = Marks {
        open: "<|tool_call>call:".into(),
        name_end: "{".into(),
        close: "}<tool_call|>".into(),
        arguments: Arguments::Gemma,
        ..Marks::default()
    };
    let thoughts = Thoughts { anywhere: true, ..Thoughts::new("<|channel>thought", "<channel|>") };
    Known { thoughts: Some(thoughts), noise: &["<|tool_response>"], ..Known::new("gemma", marks) }
}
