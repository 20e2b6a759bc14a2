//! Command R7B and Command A:
//!
//! ```text
//! <|START_ACTION|>[
//!     {"tool_call_id": "0", "tool_name": "read", "parameters": {"path": "src/main.rs"}}
//! ]<|END_ACTION|>
//! ```

use super::super::marks::{Arguments, Key, Keys, Marks};
use super::super::reasoning::Thoughts;
use super::{Known, list};

pub(super) fn form() -> Known {
    let keys = vec![Key::Id("tool_call_id".into()), Key::Name("tool_name".into()), Key::Arguments("parameters".into())];
    let section = ("<|START_ACTION|>[\n    ", "\n]<|END_ACTION|>");
    let marks = list(section, "tool_name", "parameters");
    Known {
        thoughts: Some(Thoughts::new("<|START_THINKING|>", "<|END_THINKING|>")),
        noise: &["<|START_RESPONSE|>", "<|END_RESPONSE|>"],
        ..Known::new("action", Marks { arguments: Arguments::Whole(Keys::Named(keys)), ..marks })
    }
}
