//! Seed-OSS: as Qwen's XML, with tags of its own, and values that are not on lines of their own.
//!
//! ```text
//! <seed:tool_call>
//! <function=read>
//! <parameter=path>src/main.rs</parameter>
//! </function>
//! </seed:tool_call>
//! ```
//!
//! The template prints values that are no strings as Python does.

use super::super::marks::Tags;
use super::super::reasoning::Thoughts;
use super::{Known, tagged, tags};

pub(super) fn form() -> Known {
    let tags = Tags { python: true, ..tags("<parameter=", ">", "</parameter>\n") };
    let marks = tagged(("", ""), "<seed:tool_call>\n<function=", ">\n", "</function>\n</seed:tool_call>", tags);
    Known { thoughts: Some(Thoughts::new("<seed:think>", "</seed:think>")), ..Known::new("seed", marks) }
}
